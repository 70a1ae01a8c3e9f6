//! The difference between two configurations over a period.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::Serialize;

use super::backlog::Rule;
use super::cost::{Download, FleetCost, Per};
use super::fleet::{
    Canary, Fleet, Hold, HttpVersions, Limits, MetricsSettings, OnRequest, Role, Sign, Target, WireSettings,
};
use super::metrics::Detail;
use super::pipeline::{Payload, Pipeline, Stage};
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

/// A pipeline that differs.
#[derive(Debug, Clone)]
pub struct PipelineChange<'f> {
    /// The pipeline after the change, or before it when it is removed.
    pub pipeline: &'f Pipeline,
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The settings that differ: name, value before, value after. Added and removed pipelines have one value only.
    pub settings: Vec<Setting>,
}

/// A setting that differs: name, value before, value after; `None` where it does not exist.
pub type Setting = (String, Option<String>, Option<String>);

/// The difference between two configurations.
#[derive(Debug)]
pub struct Difference<'f> {
    /// The settings of the whole fleet that differ, by their path in the configuration, such as `owners.nlp.budget`.
    pub settings: Vec<Setting>,
    /// The pipelines that differ.
    pub pipelines: Vec<PipelineChange<'f>>,
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

impl Difference<'_> {
    /// Returns true if neither the fleet nor a pipeline nor a target differs.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.pipelines.is_empty() && self.changes.is_empty()
    }

    /// Returns true unless the total cost certainly does not rise.
    pub fn may_cost_more(&self) -> bool {
        let totals = self.before.total().zip(self.after.total());
        let rises = totals.is_none_or(|(before, after)| before < after);
        rises && self.before.bill != self.after.bill
    }
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
    let (settings, pipelines) = (fleet_settings(old, new), pipelines(old, new));
    Difference {
        settings,
        pipelines,
        changes,
        before: cost_before,
        after: cost_after,
        assumed_before,
        assumed_after,
    }
}

/// Compares the pipelines of two configurations. Those of `new` come first in their order, then the removed ones.
fn pipelines<'f>(old: &'f Fleet, new: &'f Fleet) -> Vec<PipelineChange<'f>> {
    fn find<'f>(fleet: &'f Fleet, pipeline: &Pipeline) -> Option<&'f Pipeline> {
        let key = |pipeline: &Pipeline| (Arc::clone(&pipeline.name), pipeline.region);
        fleet.pipelines.iter().find(|other| key(other) == key(pipeline))
    }
    let change = |before: Option<&'f Pipeline>, after: Option<&'f Pipeline>| {
        let kind = match (before, after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        };
        let settings = pipeline_settings(before, after);
        let is_different = kind != ChangeKind::Changed || !settings.is_empty();
        after.or(before).filter(|_| is_different).map(|pipeline| PipelineChange { pipeline, kind, settings })
    };
    let changed = new.pipelines.iter().filter_map(|after| change(find(old, after), Some(after)));
    let removed = old.pipelines.iter().filter(|before| find(new, before).is_none());
    changed.chain(removed.filter_map(|before| change(Some(before), None))).collect()
}

/// Returns the settings of the whole fleet that differ.
fn fleet_settings(old: &Fleet, new: &Fleet) -> Vec<Setting> {
    let none = || Some("none".to_owned());
    let differing = differing(&listed_fleet(old), &listed_fleet(new));
    differing
        .into_iter()
        .map(|(name, before, after)| (name, before.or_else(none), after.or_else(none)))
        .collect()
}

/// Returns the settings of the whole fleet as text, by their path in the configuration. Prices show in the costs.
fn listed_fleet(fleet: &Fleet) -> Vec<(String, String)> {
    let Fleet {
        targets: _,
        pipelines: _,
        limits: Limits { max_in_flight, account_share, leave_free, keep_history_days, wire },
        metrics: MetricsSettings { namespace, detail },
        owner,
        budget,
        owner_budgets,
        prices: _,
        hash: _,
    } = fleet;
    let WireSettings { sign, http } = wire;
    let detail = match detail {
        Detail::Fleet => "fleet",
        Detail::Function => "function",
    };
    let sign = match sign {
        Sign::Round => "round",
        Sign::Ping => "ping",
    };
    let http = match http {
        HttpVersions::Auto => "auto",
        HttpVersions::Http1 => "http1",
    };
    let settings = [
        ("limits.max_in_flight", max_in_flight.to_string()),
        ("limits.account_share", format!("{account_share}%")),
        ("limits.leave_free", leave_free.to_string()),
        ("limits.keep_history", format!("{keep_history_days}d")),
        ("limits.wire.sign", sign.to_owned()),
        ("limits.wire.http", http.to_owned()),
        ("metrics.namespace", namespace.clone()),
        ("metrics.detail", detail.to_owned()),
        ("capacity.owner", owner.to_string()),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
    let budget = budget.iter().map(|budget| ("budget".to_owned(), budget.to_string()));
    let owners =
        owner_budgets.iter().map(|(owner, budget)| (format!("owners.{owner}.budget"), budget.to_string()));
    settings.chain(budget).chain(owners).collect()
}

/// Returns the settings of pipelines that differ.
fn pipeline_settings(before: Option<&Pipeline>, after: Option<&Pipeline>) -> Vec<Setting> {
    let [before, after] = [before, after].map(|pipeline| pipeline.map(listed_pipeline).unwrap_or_default());
    differing(&before, &after)
}

/// Returns the settings with another value, in the order after the change.
fn differing(before: &[(String, String)], after: &[(String, String)]) -> Vec<Setting> {
    let value = |settings: &[(String, String)], name: &str| {
        settings.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let removed = before.iter().filter(|(name, _)| value(after, name).is_none());
    let names = after.iter().chain(removed).map(|(name, _)| name.clone());
    names
        .map(|name| {
            let (before, after) = (value(before, &name), value(after, &name));
            (name, before, after)
        })
        .filter(|(_, before, after)| before != after)
        .collect()
}

/// Returns the settings of a pipeline as text, except for the hours of its windows.
fn listed_pipeline(pipeline: &Pipeline) -> Vec<(String, String)> {
    let Pipeline { name: _, region: _, stages, loads, on_request } = pipeline;
    let all = |texts: Vec<String>| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let per_second = |rate: &Decimal| format!("{}/s", rate.normalize());
    let mut settings = vec![
        ("stages".to_owned(), all(stages.iter().map(Stage::label).collect())),
        ("load".to_owned(), all(loads.iter().map(per_second).collect())),
        ("on_request".to_owned(), on_request.as_ref().map_or_else(|| "none".to_owned(), limits)),
    ];
    for stage in stages {
        let Stage { parts: _, takes, rate, per_backlog, payload, windows } = stage;
        let number = windows.iter().map(|window| window.concurrency).max().unwrap_or(0);
        let payload = payload.map_or_else(
            || "none".to_owned(),
            |Payload { bytes: size, is_via_s3, route }| {
                let via = if is_via_s3 { " via s3" } else { "" };
                let by = route.map(|route| format!(" by {route}")).unwrap_or_default();
                format!("{}{via}{by}", bytes(size))
            },
        );
        let own = [
            ("environments", number.to_string()),
            ("takes", takes.to_string()),
            ("rate", per_second(rate)),
            ("per_backlog", per_backlog.map_or_else(|| "none".to_owned(), |backlog| backlog.to_string())),
            ("payload", payload),
        ];
        settings.extend(own.map(|(name, value)| (format!("{}: {name}", stage.label()), value)));
    }
    settings
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
        backlogs,
        on_request,
        role,
        trace,
        canary,
        strategy,
        semi_cold_below,
        slo,
        budget,
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
        ("semi_cold_below", semi_cold_below.map_or_else(none, elapsed)),
        ("traffic", traffic),
        ("on_request", on_request.as_ref().map_or_else(none, limits)),
        ("backlog", self::backlogs(backlogs)),
        ("role_arn", role.map_or_else(none, |role: &Role| role.arn.clone())),
        ("external_id", role.and_then(|role| role.external_id.clone()).unwrap_or_else(none)),
        ("trace", trace.name().to_owned()),
        ("canary", canary),
        ("strategy", strategy.to_string()),
        ("downloads", self::downloads(downloads)),
        ("slo", slo.map_or_else(none, |slo| slo.to_string())),
        ("budget", budget.map_or_else(none, |budget| budget.to_string())),
    ]);
    settings
}

fn limits(rule: &OnRequest) -> String {
    let OnRequest { max_concurrency, max_for, coalesce, hold_for } = rule;
    let [max_for, coalesce, hold_for] = [max_for, coalesce, hold_for].map(Duration::as_secs);
    format!("up to {max_concurrency} for {max_for}s, coalesced within {coalesce}s, held for {hold_for}s")
}

/// Formats the rules of backlogs: the metric, the requests of one environment, and the highest number.
fn backlogs(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "none".to_owned();
    }
    let text = |Rule { metric, per_environment, max, pipeline }: &Rule| {
        let of = pipeline.as_ref().map(|name| format!(" for pipeline {name}")).unwrap_or_default();
        format!("{} of {metric} ÷ {}, up to {max}{of}", metric.statistic, per_environment.normalize())
    };
    rules.iter().map(text).collect::<Vec<_>>().join(" + ")
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
