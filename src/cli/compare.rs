//! `warmd compare`: the cost of pings and of alternatives.

use std::time::Duration;

use chrono::TimeDelta;
use clap::{ArgGroup, Args};
use rust_decimal::Decimal;
use serde::Serialize;

use super::chain::TotalsObject;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, Prices};
use super::output::{print, print_json};
use super::period::{Bounds, period};
use super::render::{self, Style};
use super::select::{pipelines, plans};
use super::value_parsers;
use crate::domain::chain::totals;
use crate::domain::cost::advice::Advice;
use crate::domain::cost::compare::Comparison;
use crate::domain::function::{FunctionRef, Region};
use crate::domain::plan::{Scope, TargetPlan, fleet_cost};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd compare`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").args(["for_", "until"])), after_help = "\
Examples:
  warmd compare                                          the next 30 days
  warmd compare --function nlp-inference:live --from 2026-02-02 --until 2026-03-02
  warmd compare --json | jq '.functions[].cheapest'

Compares for each target the cost of the same coverage by pings, by provisioned concurrency (in the
same windows, or always), on managed instances and on EC2. It also shows the effect of no warming on
users, which requires `assume: { requests_per_second, duration }` in the configuration. The duration
of users' requests is not included. For each function with an alias or a version it names the
cheaper of pings and provisioned concurrency in windows, with the line of configuration; warmd never
changes a strategy by itself. The sum of the functions follows for each pipeline; a function of
several pipelines counts in each. The last line has the cost of observing the fleet beside that of
warming it. The price book has EC2 prices for us-east-1 only: use --prices for other regions. A DATE
is midnight in --zone (default: UTC). --until is exclusive.")]
pub struct CompareArgs {
    /// Start: RFC 3339 or a DATE. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// Length, such as 7d, at most 10 years. [default: 30d]
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::duration)]
    pub for_: Option<Duration>,
    /// End, exclusive: RFC 3339 or a DATE.
    #[arg(long, value_name = "RFC3339|DATE")]
    pub until: Option<String>,
    /// Function or pipeline to include: NAME, NAME:QUALIFIER or ARN, as in the configuration. [default: all]
    #[arg(long, value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Time zone of dates. [default: UTC]
    #[arg(long, value_name = "ZONE", value_parser = value_parsers::zone)]
    pub zone: Option<chrono_tz::Tz>,
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
const MONTH: TimeDelta = TimeDelta::days(30);

#[derive(Serialize)]
struct CompareObject<'c> {
    functions: Vec<FunctionObject<'c>>,
    pipelines: Vec<TotalsObject<'c>>,
    observing_usd: Option<Decimal>,
}

#[derive(Serialize)]
struct FunctionObject<'c> {
    function: &'c str,
    region: Region,
    tenant: Option<&'c str>,
    strategy: &'static str,
    #[serde(flatten)]
    comparison: &'c Comparison,
    advice: AdviceObject,
}

/// The advice on the strategy. It has a line of configuration or a reason.
#[derive(Serialize)]
struct AdviceObject {
    strategy: Option<&'static str>,
    saves_usd: Option<Decimal>,
    line: Option<String>,
    reason: Option<&'static str>,
}

impl AdviceObject {
    fn new(advice: Advice, length: Duration) -> Self {
        let (strategy, saves_usd, reason) = match advice {
            Advice::Change { to, costs, instead_of } => (Some(to), Some(instead_of - costs), None),
            Advice::Keep(present) => (Some(present), None, Some("already-cheaper")),
            Advice::None(reason) => (None, None, Some(reason.name())),
        };
        Self { strategy, saves_usd, line: render::compare::line(advice, length), reason }
    }
}

/// Prints the comparison.
///
/// # Errors
/// An invalid configuration, an unknown function, or an invalid period.
pub async fn compare(args: &CompareArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load_priced(&args.configs, &args.only, &args.prices).await?.fleet;
    let bounds = Bounds {
        from: args.from.as_deref(),
        length: args.for_,
        until: args.until.as_deref(),
        zone: args.zone,
    };
    let period = period(bounds, MONTH, SystemClock.now())?;
    let plans = plans(&fleet, args.function.as_ref(), period)?;
    let comparisons: Vec<Comparison> = plans.iter().map(|plan| plan.compare(&fleet.prices)).collect();
    let pipelines = pipelines(&fleet, args.function.as_ref()).into_iter();
    let sums: Vec<_> = pipelines.map(|pipeline| (pipeline, totals(pipeline, &plans, &comparisons))).collect();
    // warmd observes the whole fleet.
    let scope = if args.function.is_some() { Scope::Function } else { Scope::Fleet };
    let cost = fleet_cost(&fleet, &plans, period, scope);
    if args.json {
        let functions = plans.iter().zip(&comparisons).map(|(plan, comparison)| FunctionObject {
            function: &plan.target.label,
            region: plan.target.region(),
            tenant: plan.target.tenant(),
            strategy: plan.target.strategy.name(),
            comparison,
            advice: AdviceObject::new(plan.advice(comparison), period.length()),
        });
        let pipelines = sums.iter().map(|(pipeline, totals)| TotalsObject::new(pipeline, totals)).collect();
        print_json(&CompareObject {
            functions: functions.collect(),
            pipelines,
            observing_usd: cost.observing(),
        })?;
    } else {
        print(&render::compare::compare(&plans, &comparisons, period, style))?;
        for (pipeline, totals) in &sums {
            let mut own = plans.iter().filter(|plan| pipeline.contains(&plan.target.id));
            let is_assumed = own.any(TargetPlan::is_assumed);
            print(&render::chain::compare(pipeline, totals, is_assumed, style))?;
        }
        if cost.warmd.is_some() {
            let line = render::cost::observing(cost.total(), cost.observing());
            print(&format!("\nthe fleet as configured, with warmd itself\n{line}"))?;
        }
    }
    Ok(Exit::Success)
}
