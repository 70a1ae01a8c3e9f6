//! The records as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use super::coverage::{CoverageObject, FleetObject};
use super::known::{
    Breaker, Coverage, Known, backed_off, breakers, guards_off, oldest, seconds, usd_per_hour,
};
use crate::cli::render::budget::BudgetObject;
use crate::cli::render::canary::ContactObject;
use crate::domain::capacity;
use crate::domain::cost::PriceBook;
use crate::domain::function::{FunctionRef, Identity, Region, Tenant};
use crate::domain::preflight::Unchecked;
use crate::domain::records::{
    Backlog, Facts, Health, Kept, LastPipeline, LastRound, LastVersion, MadeBy, Pause, Pauses, Request,
    Requests, Status,
};
use crate::domain::round::Verdict;
use crate::domain::schedule::Minute;
use crate::domain::tick::SkipReason;

/// Unreadable documents are null.
#[derive(Serialize)]
pub(super) struct StatusObject<'s> {
    status: Option<TickObject<'s>>,
    pauses: Option<PausesObject<'s>>,
    requests: Option<Vec<RequestObject<'s>>>,
    facts: Option<FactsObject>,
    guards_off: Option<Vec<GuardsOffObject>>,
    #[serde(rename = "unsafe")]
    unsafe_handlers: Option<Vec<ContactObject>>,
    breakers: Option<Vec<BreakerObject<'s>>>,
    backed_off: Option<Vec<BackedOffObject<'s>>>,
    capacity: Option<Vec<SeenObject<'s>>>,
    coverage: Option<CoveragesObject<'s>>,
    budgets: Option<Vec<BudgetObject>>,
}

/// The keys for a target, as in the tick object.
#[derive(Serialize)]
struct TargetObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    tenant: Option<&'s str>,
}

/// A target with an open breaker.
#[derive(Serialize)]
struct BreakerObject<'s> {
    #[serde(flatten)]
    target: TargetObject<'s>,
    failures: u32,
    since: String,
    next_try: String,
}

/// A target whose rounds are smaller after throttles.
#[derive(Serialize)]
struct BackedOffObject<'s> {
    #[serde(flatten)]
    target: TargetObject<'s>,
    limit: u32,
    since: String,
}

/// Provisioned concurrency or managed instances as the last tick saw them.
#[derive(Serialize)]
struct SeenObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    /// Null if warmd has made nothing.
    strategy: Option<&'static str>,
    by: Option<&'static str>,
    desired: u32,
    requested: Option<u32>,
    allocated: Option<u32>,
    available: Option<u32>,
    status: capacity::Status,
    reason: Option<&'s str>,
    /// The time of the first change of warmd.
    since: Option<String>,
    adopted: bool,
    /// The time at which it was seen.
    seen: String,
    usd_per_hour: Option<Decimal>,
}

/// The coverage of the fleet and of the functions with an objective. An unreadable history is null.
#[derive(Serialize)]
struct CoveragesObject<'s> {
    /// Null without known minutes.
    fleet: Option<FleetObject>,
    functions: Vec<FunctionCoverageObject<'s>>,
    unread: &'s [String],
}

#[derive(Serialize)]
struct FunctionCoverageObject<'s> {
    #[serde(flatten)]
    target: TargetObject<'s>,
    #[serde(flatten)]
    coverage: CoverageObject,
}

/// The facts about deployed functions and accounts that a tick uses.
#[derive(Serialize)]
struct FactsObject {
    targets: usize,
    accounts: usize,
    oldest: Option<String>,
}

/// Guards that are off because a read failed.
#[derive(Serialize)]
struct GuardsOffObject {
    guards: &'static [&'static str],
    read: &'static str,
    action: &'static str,
    reason: &'static str,
    message: String,
    regions: Vec<Region>,
    count: usize,
}

#[derive(Serialize)]
struct TickObject<'s> {
    tick: Option<String>,
    config: Option<&'s str>,
    config_behind_since: Option<String>,
    pauses_unknown: Option<bool>,
    duration_ms: Option<u64>,
    unfinished: Option<usize>,
    targets: Vec<RoundObject<'s>>,
    pipelines: Vec<LastPipelineObject<'s>>,
}

/// The last result of a pipeline.
#[derive(Serialize)]
struct LastPipelineObject<'s> {
    name: &'s str,
    region: &'s str,
    tick: String,
    warm: Option<bool>,
    cold_stages: &'s [String],
}

/// The keys for a function, as in the tick object.
#[derive(Debug, Serialize)]
pub struct FunctionObject {
    function: String,
    qualifier: Option<String>,
}

#[derive(Serialize)]
struct RoundObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    tenant: Option<&'s str>,
    tick: String,
    target: u32,
    reached: Option<u32>,
    verdict: Verdict,
    /// New environments by kind; null if unknown.
    cold: Option<u32>,
    semi_cold: Option<u32>,
    restored: Option<u32>,
    preinitialized: Option<u32>,
    skipped: Option<SkipReason>,
    skipped_tick: Option<String>,
    /// Those behind a weighted alias.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    versions: &'s [LastVersion],
}

#[derive(Serialize)]
struct PausesObject<'s> {
    all: Option<PauseObject<'s>>,
    functions: Vec<PausedObject<'s>>,
    pipelines: Vec<PausedPipelineObject<'s>>,
}

/// A pause, as commands print it.
#[derive(Debug, Serialize)]
pub struct PauseObject<'s> {
    until: String,
    reason: &'s str,
}

#[derive(Serialize)]
struct PausedObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    #[serde(flatten)]
    pause: PauseObject<'s>,
}

#[derive(Serialize)]
struct PausedPipelineObject<'s> {
    pipeline: &'s str,
    #[serde(flatten)]
    pause: PauseObject<'s>,
}

#[derive(Serialize)]
struct RequestObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    tenant: Option<&'s str>,
    concurrency: u32,
    asked: String,
    since: String,
    until: String,
    reason: Option<&'s str>,
    /// Null for a request of a number of environments.
    backlog: Option<BacklogObject<'s>>,
}

/// The backlog of a request.
#[derive(Serialize)]
struct BacklogObject<'s> {
    pipeline: Option<&'s str>,
    messages: u32,
    left: u32,
    rate: Decimal,
    reached: Option<u32>,
    hold_until: String,
}

impl<'s> StatusObject<'s> {
    pub(super) fn new(known: &'s Known, now: DateTime<Utc>) -> Self {
        let guards = known.guards.as_ref().ok();
        let requests = |requests: &'s Requests| {
            let plain = requests.targets.iter().map(|(id, request)| RequestObject::new(id, request));
            let backlogs = requests.backlogs.iter().flat_map(|(id, backlogs)| {
                backlogs.iter().map(move |backlog| RequestObject::of_backlog(id, backlog, now))
            });
            plain.chain(backlogs).collect()
        };
        Self {
            status: known.status.as_ref().ok().map(TickObject::new),
            pauses: known.pauses.as_ref().ok().map(PausesObject::new),
            requests: known.requests.as_ref().ok().map(requests),
            facts: known.facts.as_ref().ok().map(FactsObject::new),
            guards_off: known
                .facts
                .as_ref()
                .ok()
                .map(|facts| guards_off(facts).into_iter().map(GuardsOffObject::new).collect()),
            unsafe_handlers: guards.map(|_| known.unsafe_handlers().collect()),
            breakers: guards.map(|guards| breakers(guards, now).map(BreakerObject::new).collect()),
            backed_off: guards.map(|guards| backed_off(guards, now).map(BackedOffObject::new).collect()),
            budgets: known.budgets.as_ref().ok().map(|budgets| {
                let object = |(scope, standing)| BudgetObject::new(scope, standing, true, now);
                budgets.iter().map(object).collect()
            }),
            capacity: known.capacity.as_ref().ok().map(|_| {
                let prices = PriceBook::embedded();
                known.capacities().filter_map(|(id, kept)| SeenObject::new(id, kept, &prices)).collect()
            }),
            coverage: known.coverage.iter().flatten().next().map(CoveragesObject::new),
        }
    }
}

impl<'s> SeenObject<'s> {
    fn new(id: &'s Identity, kept: &'s Kept, prices: &PriceBook) -> Option<Self> {
        let (seen, made) = (kept.seen.as_ref()?, kept.made.as_ref());
        let (strategy, by) = match made.map(|made| made.by) {
            Some(MadeBy::Direct) => (Some("provisioned"), Some("direct")),
            Some(MadeBy::Autoscaling) => (Some("provisioned"), Some("autoscaling")),
            Some(MadeBy::Managed) => (Some("managed"), None),
            None => (None, None),
        };
        Some(Self {
            function: FunctionObject::of(id),
            region: id.region.as_str(),
            strategy,
            by,
            desired: seen.desired,
            requested: seen.requested,
            allocated: seen.allocated,
            available: seen.available,
            status: seen.status,
            reason: seen.reason.as_deref(),
            since: made.map(|made| seconds(made.at)),
            adopted: made.is_some_and(|made| made.is_adopted),
            seen: seconds(seen.at),
            usd_per_hour: usd_per_hour(id, kept, seen, prices),
        })
    }
}

impl<'s> CoveragesObject<'s> {
    fn new(Coverage { objectives, unread }: &'s Coverage) -> Self {
        let functions = objectives.targets().iter().map(|(id, attained)| FunctionCoverageObject {
            target: TargetObject::new(id),
            coverage: CoverageObject::of(attained),
        });
        let fleet = objectives.fleet().as_ref().map(FleetObject::new);
        Self { fleet, functions: functions.collect(), unread }
    }
}

impl FactsObject {
    fn new(facts: &BTreeMap<Region, Facts>) -> Self {
        Self {
            targets: facts.values().map(|facts| facts.functions.len()).sum(),
            accounts: facts.values().map(|facts| facts.accounts.len()).sum(),
            oldest: oldest(facts).map(seconds),
        }
    }
}

impl GuardsOffObject {
    fn new(lost: Unchecked) -> Self {
        let Unchecked { read, why, reason, regions, count } = lost;
        let (guards, action) = (read.guards(), read.action());
        Self { guards, read: read.name(), action, reason: why.name(), message: reason, regions, count }
    }
}

impl<'s> TickObject<'s> {
    fn new(status: &'s Status) -> Self {
        Self {
            tick: status.tick.map(seconds),
            config: status.config.as_deref(),
            config_behind_since: status.config_behind_since.map(seconds),
            pauses_unknown: status.tick.map(|_| status.pauses_unknown),
            duration_ms: status.tick.map(|_| status.duration_ms),
            unfinished: status.tick.map(|_| status.unfinished),
            targets: status.targets.iter().map(|(id, last)| RoundObject::new(id, last)).collect(),
            pipelines: status.pipelines.iter().map(LastPipelineObject::new).collect(),
        }
    }
}

impl<'s> LastPipelineObject<'s> {
    fn new(last: &'s LastPipeline) -> Self {
        let LastPipeline { name, region, tick, warm, cold_stages } = last;
        Self { name, region, tick: seconds(*tick), warm: *warm, cold_stages }
    }
}

impl<'s> TargetObject<'s> {
    fn new(id: &'s Identity) -> Self {
        let tenant = id.tenant.as_ref().map(Tenant::as_str);
        Self { function: FunctionObject::of(id), region: id.region.as_str(), tenant }
    }
}

impl<'s> BreakerObject<'s> {
    fn new((id, health, next_try): Breaker<'s>) -> Self {
        let (since, next_try) = (seconds(health.at), seconds(next_try));
        Self { target: TargetObject::new(id), failures: health.failures, since, next_try }
    }
}

impl<'s> BackedOffObject<'s> {
    fn new((id, health, limit): (&'s Identity, &Health, u32)) -> Self {
        Self { target: TargetObject::new(id), limit, since: seconds(health.at) }
    }
}

impl<'s> PausesObject<'s> {
    fn new(pauses: &'s Pauses) -> Self {
        let paused = |(function, pause): (&FunctionRef, &'s Pause)| PausedObject {
            function: FunctionObject::new(function),
            pause: PauseObject::new(pause),
        };
        let pipeline = |(pipeline, pause): (&'s String, &'s Pause)| PausedPipelineObject {
            pipeline,
            pause: PauseObject::new(pause),
        };
        Self {
            all: pauses.all.as_ref().map(PauseObject::new),
            functions: pauses.functions.iter().map(paused).collect(),
            pipelines: pauses.pipelines.iter().map(pipeline).collect(),
        }
    }
}

impl FunctionObject {
    fn new(function: &FunctionRef) -> Self {
        let qualifier = function.qualifier.as_ref().map(ToString::to_string);
        Self { function: FunctionRef { qualifier: None, ..function.clone() }.to_string(), qualifier }
    }

    /// Converts the function of a target.
    pub fn of(id: &Identity) -> Self {
        Self { function: id.unqualified(), qualifier: id.qualifier.as_ref().map(ToString::to_string) }
    }
}

impl<'s> RoundObject<'s> {
    fn new(id: &'s Identity, last: &'s LastRound) -> Self {
        Self {
            function: FunctionObject::of(id),
            region: id.region.as_str(),
            tenant: id.tenant.as_ref().map(Tenant::as_str),
            tick: seconds(last.tick),
            target: last.desired,
            reached: last.reached,
            verdict: last.verdict,
            cold: last.new.map(|new| new.cold),
            semi_cold: last.new.and_then(|new| new.semi_cold),
            restored: last.new.map(|new| new.restored),
            preinitialized: last.new.map(|new| new.preinitialized),
            skipped: last.skipped.as_ref().map(|skip| skip.reason),
            skipped_tick: last.skipped.as_ref().map(|skip| seconds(skip.tick)),
            versions: &last.versions,
        }
    }
}

impl<'s> PauseObject<'s> {
    /// Converts a pause.
    pub fn new(pause: &'s Pause) -> Self {
        Self { until: seconds(pause.until), reason: &pause.reason }
    }
}

impl<'s> RequestObject<'s> {
    fn new(id: &'s Identity, request: &'s Request) -> Self {
        Self {
            function: FunctionObject::of(id),
            region: id.region.as_str(),
            tenant: id.tenant.as_ref().map(Tenant::as_str),
            concurrency: request.concurrency,
            asked: seconds(request.asked),
            since: seconds(request.since),
            until: seconds(request.until),
            reason: request.reason.as_deref(),
            backlog: None,
        }
    }

    fn of_backlog(id: &'s Identity, backlog: &'s Backlog, now: DateTime<Utc>) -> Self {
        Self {
            function: FunctionObject::of(id),
            region: id.region.as_str(),
            tenant: id.tenant.as_ref().map(Tenant::as_str),
            concurrency: backlog.number(now, backlog.most),
            asked: seconds(backlog.asked),
            since: seconds(Minute::of(backlog.asked).instant()),
            until: seconds(backlog.until),
            reason: backlog.reason.as_deref(),
            backlog: Some(BacklogObject {
                pipeline: backlog.pipeline.as_deref(),
                messages: backlog.messages,
                left: backlog.left(now),
                rate: backlog.rate,
                reached: backlog.reached,
                hold_until: seconds(backlog.hold_until),
            }),
        }
    }
}
