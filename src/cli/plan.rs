//! `warmd plan`: the schedule ahead and its cost.

use chrono::TimeDelta;
use serde::Serialize;

use super::args::PlanArgs;
use super::clock::SystemClock;
use super::configuration::Origin;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::period::{Bounds, period};
use super::render::{self, Style};
use super::select::plans;
use crate::domain::cost::FleetCost;
use crate::domain::cost::coverage::CoverageCost;
use crate::domain::function::Region;
use crate::domain::plan::{Period, Scope, TargetPlan, fleet_cost};
use crate::domain::schedule::{Minute, Segment};
use crate::engine::ports::Clock;

/// The default period.
const WEEK: TimeDelta = TimeDelta::days(7);

#[derive(Serialize)]
struct PlanObject<'p> {
    from: Minute,
    until: Minute,
    functions: Vec<FunctionObject<'p>>,
    cost: &'p FleetCost,
}

#[derive(Serialize)]
struct FunctionObject<'p> {
    function: &'p str,
    region: Region,
    segments: &'p [Segment],
    rounds: u64,
    pings: u64,
    cost: &'p CoverageCost,
}

/// Prints the plan.
///
/// # Errors
/// An invalid configuration, an unknown function, or an invalid period.
pub fn plan(args: &PlanArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = Origin::new(&args.configs, &args.only).with_prices(&args.prices).load()?.fleet;
    let bounds = Bounds {
        from: args.from.as_deref(),
        length: args.for_,
        until: args.until.as_deref(),
        zone: args.zone,
    };
    let period = period(bounds, WEEK, SystemClock.now())?;
    let plans = plans(&fleet, args.function.as_ref(), period)?;
    let scope = if args.function.is_some() { Scope::Function } else { Scope::Fleet };
    let cost = fleet_cost(&fleet, &plans, period, scope);
    if args.json {
        print_json(&object(&plans, &cost, period))?;
    } else {
        print(&render::plan::plan(&plans, &cost, period, args.zone, style))?;
    }
    Ok(Exit::Success)
}

fn object<'p>(plans: &'p [TargetPlan<'_>], cost: &'p FleetCost, period: Period) -> PlanObject<'p> {
    let functions = plans.iter().map(|plan| FunctionObject {
        function: &plan.target.label,
        region: plan.target.region(),
        segments: &plan.segments,
        rounds: plan.rounds(),
        pings: plan.pings(),
        cost: &plan.cost,
    });
    PlanObject { from: period.from, until: period.until, functions: functions.collect(), cost }
}
