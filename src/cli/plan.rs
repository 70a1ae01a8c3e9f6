//! `warmd plan`: the schedule ahead and its cost.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::app::App;
use super::chain::ChainObject;
use super::configuration;
use super::deployed::Deployed;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, Prices};
use super::output::{print, print_json};
use super::period::{Bounds, period};
use super::render::{self, Style};
use super::select::{pipelines, plans};
use super::value_parsers;
use crate::domain::backlog::Rule;
use crate::domain::capacity::Finding;
use crate::domain::chain::Chain;
use crate::domain::cost::FleetCost;
use crate::domain::cost::coverage::CoverageCost;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::plan::{Period, Scope, TargetPlan, fleet_cost};
use crate::domain::schedule::{Minute, Segment};
use crate::domain::tick::SkipReason;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd plan`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").args(["for_", "until"])), after_help = "\
Examples:
  warmd plan                                            the next 7 days
  warmd plan --zone Europe/London --from 2026-10-24 --for 3d
  warmd plan --function nlp-inference:live --json
  warmd plan --live                                     with what the guards of a tick allow

--live reads each deployed function and the limits of its account, as `check --live` does.
Rounds above the headroom have the lowered number, and refused rounds are left out. In JSON,
`capped_from` is the configured number of the largest lowered round, and `skipped` the reason why
rounds are left out. Exit code 1 if a target cannot be read for another reason than a missing
permission.

A DATE is midnight in --zone (default: UTC). --until is exclusive.

Functions with provisioned concurrency or managed instances have no rounds: their week shows the
steps of their capacity, with the time of preparation, in steps of at least five minutes. Pings that
replace capacity while it is not available are not included. In JSON, `findings` has what follows
for their load: `rate-decides` (the number follows from requests per second), `spillover` (the
assumed traffic exceeds 10 requests per second for each environment) and `doubles` (the number on
managed instances more than doubles within five minutes; `ramp_up_minutes` avoids it).

Costs are estimates at list prices without free tiers. * marks assumptions, which `assume` in the
configuration replaces. Hours of a NAT gateway are not included.

Pipelines are shown stage by stage: the environments of each part while a window is open, and the
time that cold starts add to a request, with each function after the one before or all at the same
time. Payloads through S3 are priced per request and for the load of the period, by each route that
is possible. Spare environments and the cost of warming are with the functions.

Totals are by owner and for warmd itself (metrics, dashboard, alarms, log, the Lambda function;
without queries of the dashboard, state in S3 except for budgets, and the alarms of functions, which
`warmd alarms` prices). Observing is the part of it for metrics, dashboard, alarms, reads of metrics
and log, `observing_usd` in JSON. In JSON, functions without an owner are in `by_owner` under the
empty name.")]
pub struct PlanArgs {
    /// Start: RFC 3339 or a DATE. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// Length, such as 12h or 30d, at most 10 years. [default: 7d]
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::duration)]
    pub for_: Option<Duration>,
    /// End, exclusive: RFC 3339 or a DATE.
    #[arg(long, value_name = "RFC3339|DATE")]
    pub until: Option<String>,
    /// Function or pipeline to include: NAME, NAME:QUALIFIER or ARN, as in the configuration. [default: all]
    #[arg(long, value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Time zone of dates and the chart. [default: UTC for dates, that of the first window for the chart]
    #[arg(long, value_name = "ZONE", value_parser = value_parsers::zone)]
    pub zone: Option<chrono_tz::Tz>,
    /// Also read the deployed functions, and plan the rounds that the guards of a tick allow. No handler runs.
    #[arg(long)]
    pub live: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The user's own prices.
    #[command(flatten)]
    pub prices: Prices,
    /// The part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// The default period.
const WEEK: TimeDelta = TimeDelta::days(7);

#[derive(Serialize)]
struct PlanObject<'p> {
    from: Minute,
    until: Minute,
    functions: Vec<FunctionObject<'p>>,
    pipelines: Vec<ChainObject<'p>>,
    cost: &'p FleetCost,
}

#[derive(Serialize)]
struct FunctionObject<'p> {
    function: &'p str,
    region: Region,
    tenant: Option<&'p str>,
    strategy: &'static str,
    capped_from: Option<u32>,
    skipped: Option<SkipReason>,
    segments: &'p [Segment],
    rounds: u64,
    pings: u64,
    findings: &'p [Finding],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backlogs: Vec<BacklogObject<'p>>,
    cost: &'p CoverageCost,
}

/// The backlog of a metric, which is read at each tick and not planned ahead.
#[derive(Serialize)]
pub struct BacklogObject<'t> {
    namespace: &'t str,
    name: &'t str,
    dimensions: &'t BTreeMap<String, String>,
    statistic: &'static str,
    max: u32,
    pipeline: Option<&'t str>,
}

impl<'t> BacklogObject<'t> {
    /// Creates the objects of a target.
    pub fn of(target: &'t Target) -> Vec<Self> {
        let object = |rule: &'t Rule| Self {
            namespace: &rule.metric.namespace,
            name: &rule.metric.name,
            dimensions: &rule.metric.dimensions,
            statistic: rule.metric.statistic,
            max: rule.max,
            pipeline: rule.pipeline.as_deref(),
        };
        target.backlogs.iter().map(object).collect()
    }
}

/// Prints the plan.
///
/// # Errors
/// An invalid configuration, an unknown function, or an invalid period.
pub async fn plan(args: &PlanArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load_priced(&args.configs, &args.only, &args.prices).await?.fleet;
    let bounds = Bounds {
        from: args.from.as_deref(),
        length: args.for_,
        until: args.until.as_deref(),
        zone: args.zone,
    };
    let now = SystemClock.now();
    let period = period(bounds, WEEK, now)?;
    let mut plans = plans(&fleet, args.function.as_ref(), period)?;
    let mut exit = Exit::Success;
    if args.live {
        let targets = plans.iter().map(|plan| plan.target.clone()).collect();
        let planned = Fleet { targets, ..fleet.clone() };
        let deployed = Deployed::live(&App::aws().await, &planned, now).await;
        exit = deployed.report_unchecked();
        plans = plans
            .into_iter()
            .map(|plan| {
                let target = plan.target;
                plan.guarded(&fleet.prices, |desired| deployed.decide(&fleet, target, desired, false))
            })
            .collect();
    }
    let scope = if args.function.is_some() { Scope::Function } else { Scope::Fleet };
    let cost = fleet_cost(&fleet, &plans, period, scope);
    let chains = pipelines(&fleet, args.function.as_ref());
    let chains: Vec<Chain<'_>> =
        chains.into_iter().map(|pipeline| Chain::new(&fleet, pipeline, period)).collect();
    if args.json {
        print_json(&object(&plans, &chains, &cost, period))?;
    } else {
        print(&render::plan::plan(&plans, &chains, &cost, period, args.zone, style))?;
    }
    Ok(exit)
}

fn object<'p>(
    plans: &'p [TargetPlan<'_>],
    chains: &'p [Chain<'_>],
    cost: &'p FleetCost,
    period: Period,
) -> PlanObject<'p> {
    let functions = plans.iter().map(|plan| FunctionObject {
        function: &plan.target.label,
        region: plan.target.region(),
        tenant: plan.target.tenant(),
        strategy: plan.target.strategy.name(),
        capped_from: plan.capped.as_ref().map(|capped| capped.from),
        skipped: plan.skipped,
        segments: &plan.segments,
        rounds: plan.rounds(),
        pings: plan.pings(),
        findings: &plan.findings,
        backlogs: BacklogObject::of(plan.target),
        cost: &plan.cost,
    });
    let pipelines = chains.iter().map(ChainObject::new).collect();
    PlanObject { from: period.from, until: period.until, functions: functions.collect(), pipelines, cost }
}
