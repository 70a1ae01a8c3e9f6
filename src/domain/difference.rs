//! The difference between two configurations over a period.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::Serialize;

use super::cost::{Download, FleetCost, Per};
use super::fleet::{Canary, Fleet, Hold, OnRequest, Role, Target};
use super::plan::{Period, Scope, TargetPlan, fleet_cost};
use super::text::{bytes, elapsed};

/// A target that differs.
#[derive(Debug, Clone)]
pub struct Change<'f> {
    /// The plan before; `None` for an added target.
    pub before: Option<TargetPlan<'f>>,
    /// The plan after; `None` for a removed target.
    pub after: Option<TargetPlan<'f>>,
    /// The settings that differ: name, value before, value after.
    pub settings: Vec<(&'static str, String, String)>,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The target is added.
    Added,
    /// The target is removed.
    Removed,
    /// The target is changed.
    Changed,
}

impl<'f> Change<'f> {
    /// Returns the kind.
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        }
    }

    /// Returns the target after the change, or before it when the target is removed.
    pub fn target(&self) -> Option<&'f Target> {
        self.after.as_ref().or(self.before.as_ref()).map(|plan| plan.target)
    }

    /// Returns true if plan, cost or settings differ.
    fn is_different(&self) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return true };
        // A change of prices affects the cost only.
        let cost = |plan: &TargetPlan<'_>| (plan.cost.cold_starts, plan.cost.bill.clone());
        before.segments != after.segments || cost(before) != cost(after) || !self.settings.is_empty()
    }
}

/// The difference between two configurations.
#[derive(Debug)]
pub struct Difference<'f> {
    /// The targets that differ.
    pub changes: Vec<Change<'f>>,
    /// The total cost before, including warmd itself.
    pub before: FleetCost,
    /// The total cost after.
    pub after: FleetCost,
    /// The owners whose cost before depends on assumptions; empty for targets without an owner.
    pub assumed_before: BTreeSet<&'f str>,
    /// The owners whose cost after depends on assumptions.
    pub assumed_after: BTreeSet<&'f str>,
}

/// Compares two configurations over a period. Targets of `new` come first in their order, then the removed ones.
pub fn difference<'f>(old: &'f Fleet, new: &'f Fleet, period: Period) -> Difference<'f> {
    let plans = |fleet: &'f Fleet| -> Vec<TargetPlan<'f>> {
        fleet.targets.iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect()
    };
    let assumed = |plans: &[TargetPlan<'f>]| -> BTreeSet<&'f str> {
        plans.iter().filter(|plan| plan.is_assumed()).map(TargetPlan::owner).collect()
    };
    let (before, after) = (plans(old), plans(new));
    let [cost_before, cost_after] =
        [(old, &before), (new, &after)].map(|(fleet, plans)| fleet_cost(fleet, plans, period, Scope::Fleet));
    let (assumed_before, assumed_after) = (assumed(&before), assumed(&after));
    let mut known: HashMap<_, _> =
        before.into_iter().enumerate().map(|(index, plan)| (&plan.target.id, (index, plan))).collect();
    let mut changes = Vec::new();
    for after in after {
        let before = known.remove(&after.target.id).map(|(_, plan)| plan);
        let settings =
            before.as_ref().map(|before| settings(before.target, after.target)).unwrap_or_default();
        changes.push(Change { before, after: Some(after), settings });
    }
    changes.retain(Change::is_different);
    let mut removed: Vec<_> = known.into_values().collect();
    removed.sort_by_key(|(index, _)| *index);
    changes.extend(removed.into_iter().map(|(_, plan)| Change {
        before: Some(plan),
        after: None,
        settings: Vec::new(),
    }));
    Difference { changes, before: cost_before, after: cost_after, assumed_before, assumed_after }
}

/// Returns the settings that differ, except for the schedule: name, value before, value after.
fn settings(before: &Target, after: &Target) -> Vec<(&'static str, String, String)> {
    let old = listed(before);
    let new = listed(after);
    let mut settings: Vec<_> = old
        .into_iter()
        .zip(new)
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| (name, before, after))
        .collect();
    if before.protocol != after.protocol && before.protocol.name() == after.protocol.name() {
        settings.push(("payload", "old".to_owned(), "new".to_owned()));
    }
    settings
}

/// Returns the settings of a target as text, except for the schedule and the payload.
fn listed(target: &Target) -> Vec<(&'static str, String)> {
    let Target {
        id: _,
        label: _,
        owner,
        protocol,
        hold,
        timeout,
        memory_mb,
        architecture,
        downloads,
        assume,
        interval_minutes,
        phase_minutes,
        spare: _,
        windows: _,
        backlogs: _,
        on_request,
        role,
        trace,
        canary,
        strategy,
    } = target;
    let none = || "none".to_owned();
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    let role = role.as_deref();
    let hold = match hold {
        Hold::Auto => "auto".to_owned(),
        Hold::Fixed(hold) => format!("{}ms", hold.as_millis()),
    };
    let canary = match canary {
        Canary::Off => "off".to_owned(),
        Canary::On(max) => format!("on, up to {}ms beyond the hold", max.as_millis()),
    };
    let mut settings = vec![
        ("interval", format!("{interval_minutes}m")),
        ("stagger", format!("{phase_minutes}m")),
        ("protocol", protocol.name().to_owned()),
        ("hold", hold),
        ("timeout", timeout.map_or_else(none, seconds)),
        ("memory", memory_mb.map_or_else(none, |memory| format!("{memory} MB"))),
        ("architecture", architecture.as_str().to_owned()),
        ("owner", owner.clone().unwrap_or_else(none)),
    ];
    // Memory and architecture are settings of the target as well.
    let assumptions =
        assume.list().into_iter().filter(|entry| !["memory", "architecture"].contains(&entry.name));
    settings.extend(assumptions.map(|entry| (entry.name, entry.value)));
    let traffic = assume.traffic.map_or_else(none, |traffic| {
        format!("{}/s of {}", traffic.requests_per_second.normalize(), elapsed(traffic.duration))
    });
    settings.extend([
        ("traffic", traffic),
        ("on_request", on_request.as_ref().map_or_else(none, limits)),
        ("role_arn", role.map_or_else(none, |role: &Role| role.arn.clone())),
        ("external_id", role.and_then(|role| role.external_id.clone()).unwrap_or_else(none)),
        ("trace", trace.name().to_owned()),
        ("canary", canary),
        ("strategy", strategy.to_string()),
        ("downloads", self::downloads(downloads)),
    ]);
    settings
}

fn limits(rule: &OnRequest) -> String {
    let OnRequest { max_concurrency, max_for, coalesce, hold_for: _ } = rule;
    format!("up to {max_concurrency} for {}s, coalesced within {}s", max_for.as_secs(), coalesce.as_secs())
}

/// Formats downloads with size and route.
fn downloads(downloads: &[Download]) -> String {
    if downloads.is_empty() {
        return "none".to_owned();
    }
    let all = downloads.iter().map(|download| {
        let per = match download.per {
            Per::ColdStart => "",
            Per::Ping => " per ping",
        };
        format!("{} by {}{per}", bytes(download.size_bytes), download.route.name())
    });
    all.collect::<Vec<_>>().join(" + ")
}
