//! `warmd diff`: what a change of configuration will change.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use chrono::TimeDelta;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Serialize;

use super::args::{DiffArgs, DiffFormat};
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::plan::{Period, Scope, TargetPlan, fleet_cost, instant_or_date};
use super::render::{self, Style};
use crate::domain::cost::FleetCost;
use crate::domain::fleet::{Fleet, Hold, OnRequest, Role, Target};
use crate::domain::function::Region;
use crate::domain::schedule::Minute;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// One target that is not the same before and after.
#[derive(Debug, Clone)]
pub struct Change<'f> {
    /// The plan before; none when the target is new.
    pub before: Option<TargetPlan<'f>>,
    /// The plan after; none when the target is gone.
    pub after: Option<TargetPlan<'f>>,
    /// Settings that differ: name, before, after.
    pub settings: Vec<(&'static str, String, String)>,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is there before and after.
    Changed,
}

impl<'f> Change<'f> {
    /// What became of it.
    pub fn kind(&self) -> Kind {
        match (&self.before, &self.after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            (Some(_), Some(_)) => Kind::Changed,
        }
    }

    /// The target, as it is afterwards if it still is.
    pub fn target(&self) -> Option<&'f Target> {
        self.after.as_ref().or(self.before.as_ref()).map(|plan| plan.target)
    }
}

/// What differs between two configurations.
#[derive(Debug)]
pub struct Difference<'f> {
    /// Every target that is not the same.
    pub changes: Vec<Change<'f>>,
    /// What everything cost before, warmd itself included.
    pub before: FleetCost,
    /// What everything costs after.
    pub after: FleetCost,
    /// Owners whose cost before rests on what nobody configured; nobody under the empty name.
    pub assumed_before: BTreeSet<&'f str>,
    /// The same after.
    pub assumed_after: BTreeSet<&'f str>,
}

#[derive(Serialize)]
struct DiffObject<'c> {
    changes: Vec<ChangeObject<'c>>,
    before_total: Option<Decimal>,
    after_total: Option<Decimal>,
}

#[derive(Serialize)]
struct ChangeObject<'c> {
    function: &'c str,
    region: Region,
    change: Kind,
    before: Option<Amounts>,
    after: Option<Amounts>,
}

#[derive(Serialize)]
struct Amounts {
    pings: u64,
    cold_starts: u64,
    s3_egress_bytes: u64,
    total: Option<Decimal>,
}

/// Prints the difference.
///
/// # Errors
/// When one of the configurations is refused.
pub async fn diff(args: &DiffArgs, style: Style) -> Result<Exit, Failure> {
    let load = async |path: &Path| {
        let source = configuration::source(vec![path.to_owned()], &args.only).await;
        source.with_prices(args.prices.prices.clone()).load().await
    };
    let (old, new) = (load(&args.old).await?.fleet, load(&args.new).await?.fleet);
    let from = match &args.from {
        None => SystemClock.now(),
        Some(text) => instant_or_date("--from", text, Tz::UTC)?,
    };
    let from = Minute::of(from);
    let minutes = TimeDelta::from_std(args.for_).map_or(i64::MAX, |long| long.num_minutes());
    if !(1..=render::diff::MOST_MINUTES).contains(&minutes) {
        return Err(Failure::Usage("--for is from a minute to ten years".to_owned()));
    }
    let period = Period { from, until: from.plus(minutes) };
    let difference = difference(&old, &new, period);
    match args.format {
        DiffFormat::Table => print(&render::diff::table(&difference, period, style))?,
        DiffFormat::Markdown => print(&render::diff::markdown(&difference, period))?,
        DiffFormat::Json => print_json(&object(&difference))?,
    }
    Ok(if args.exit_code && !difference.changes.is_empty() { Exit::Changed } else { Exit::Success })
}

/// What differs: targets of `new` in their order, then those that are gone.
pub fn difference<'f>(old: &'f Fleet, new: &'f Fleet, period: Period) -> Difference<'f> {
    let plans = |fleet: &'f Fleet| -> Vec<TargetPlan<'f>> {
        fleet.targets.iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect()
    };
    let (before, after) = (plans(old), plans(new));
    let [cost_before, cost_after] =
        [(old, &before), (new, &after)].map(|(fleet, plans)| fleet_cost(fleet, plans, period, Scope::Fleet));
    let [assumed_before, assumed_after] = [&before, &after].map(|plans| {
        let resting = plans.iter().filter(|plan| !plan.cost.assumed.is_empty());
        resting.map(|plan| plan.target.owner.as_deref().unwrap_or_default()).collect()
    });
    let mut known: HashMap<_, _> =
        before.into_iter().enumerate().map(|(index, plan)| (&plan.target.id, (index, plan))).collect();
    let mut changes = Vec::new();
    for after in after {
        let before = known.remove(&after.target.id).map(|(_, plan)| plan);
        let settings =
            before.as_ref().map(|before| settings(before.target, after.target)).unwrap_or_default();
        let change = Change { before, after: Some(after), settings };
        if differs(&change) {
            changes.push(change);
        }
    }
    let mut gone: Vec<_> = known.into_values().collect();
    gone.sort_by_key(|(index, _)| *index);
    let gone =
        gone.into_iter().map(|(_, plan)| Change { before: Some(plan), after: None, settings: Vec::new() });
    changes.extend(gone);
    Difference { changes, before: cost_before, after: cost_after, assumed_before, assumed_after }
}

fn differs(change: &Change<'_>) -> bool {
    let same = |before: &TargetPlan<'_>, after: &TargetPlan<'_>| {
        // Other prices change the cost alone.
        let cost = |plan: &TargetPlan<'_>| (plan.cost.cold_starts, plan.cost.bill.clone());
        before.segments == after.segments && cost(before) == cost(after)
    };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => !same(before, after) || !change.settings.is_empty(),
        _ => true,
    }
}

/// The settings, other than the schedule, that differ.
fn settings(before: &Target, after: &Target) -> Vec<(&'static str, String, String)> {
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
        on_request,
        role,
        trace,
    } = before;
    let mut settings = Vec::new();
    let mut compare = |name, before: String, after: String| {
        if before != after {
            settings.push((name, before, after));
        }
    };
    let none = || "none".to_owned();
    let minutes = |minutes: u32| format!("{minutes}m");
    let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
    let seconds = |timeout: &Option<std::time::Duration>| {
        timeout.map_or_else(none, |timeout| format!("{}s", timeout.as_secs()))
    };
    let memory = |memory: Option<u32>| memory.map_or_else(none, |memory| format!("{memory} MB"));
    compare("interval", minutes(*interval_minutes), minutes(after.interval_minutes));
    compare("stagger", minutes(*phase_minutes), minutes(after.phase_minutes));
    compare("protocol", protocol.name().to_owned(), after.protocol.name().to_owned());
    if protocol != &after.protocol && protocol.name() == after.protocol.name() {
        compare("payload", "old".to_owned(), "new".to_owned());
    }
    compare("hold", held(*hold), held(after.hold));
    compare("timeout", seconds(timeout), seconds(&after.timeout));
    compare("memory", memory(*memory_mb), memory(after.memory_mb));
    compare("architecture", architecture.as_str().to_owned(), after.architecture.as_str().to_owned());
    compare("owner", text(owner), text(&after.owner));
    for name in
        ["idle_life", "recycle_after", "ping_duration", "init_duration", "log_bytes_per_ping", "traffic"]
    {
        compare(name, render::cost::value(name, assume), render::cost::value(name, &after.assume));
    }
    compare("on_request", requests(on_request.as_ref()), requests(after.on_request.as_ref()));
    let arn = |role: &Option<std::sync::Arc<Role>>| role.as_ref().map_or_else(none, |role| role.arn.clone());
    compare("role_arn", arn(role), arn(&after.role));
    let external = |role: &Option<std::sync::Arc<Role>>| {
        role.as_ref().and_then(|role| role.external_id.clone()).unwrap_or_else(none)
    };
    compare("external_id", external(role), external(&after.role));
    compare("trace", trace.name().to_owned(), after.trace.name().to_owned());
    if downloads != &after.downloads {
        compare("downloads", render::diff::downloads(downloads), render::diff::downloads(&after.downloads));
    }
    settings
}

fn requests(rule: Option<&OnRequest>) -> String {
    match rule {
        None => "none".to_owned(),
        Some(OnRequest { max_concurrency, max_for, coalesce }) => format!(
            "up to {max_concurrency} for {}s, coalesced within {}s",
            max_for.as_secs(),
            coalesce.as_secs()
        ),
    }
}

fn held(hold: Hold) -> String {
    match hold {
        Hold::Auto => "auto".to_owned(),
        Hold::Fixed(hold) => format!("{}ms", hold.as_millis()),
    }
}

fn object<'c>(difference: &'c Difference<'_>) -> DiffObject<'c> {
    let amounts = |plan: &Option<TargetPlan<'_>>| {
        plan.as_ref().map(|plan| Amounts {
            pings: plan.cost.pings,
            cold_starts: plan.cost.cold_starts,
            s3_egress_bytes: plan.cost.s3.bytes(),
            total: plan.cost.bill.total(),
        })
    };
    let changes = difference.changes.iter().filter_map(|change| {
        let target = change.target()?;
        Some(ChangeObject {
            function: &target.label,
            region: target.region(),
            change: change.kind(),
            before: amounts(&change.before),
            after: amounts(&change.after),
        })
    });
    DiffObject {
        changes: changes.collect(),
        before_total: difference.before.total(),
        after_total: difference.after.total(),
    }
}
