//! `warmd compare`: the cost of pings and of alternatives.

use chrono::TimeDelta;
use serde::Serialize;

use super::args::CompareArgs;
use super::clock::SystemClock;
use super::configuration::Origin;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::period::{Bounds, period};
use super::render::{self, Style};
use super::select::plans;
use crate::domain::cost::compare::Comparison;
use crate::domain::function::Region;
use crate::engine::ports::Clock;

/// The default period.
const MONTH: TimeDelta = TimeDelta::days(30);

#[derive(Serialize)]
struct CompareObject<'c> {
    functions: Vec<FunctionObject<'c>>,
}

#[derive(Serialize)]
struct FunctionObject<'c> {
    function: &'c str,
    region: Region,
    #[serde(flatten)]
    comparison: &'c Comparison,
}

/// Prints the comparison.
///
/// # Errors
/// An invalid configuration, an unknown function, or an invalid period.
pub fn compare(args: &CompareArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = Origin::new(&args.configs, &args.only).with_prices(&args.prices).load()?.fleet;
    let bounds = Bounds {
        from: args.from.as_deref(),
        length: args.for_,
        until: args.until.as_deref(),
        zone: args.zone,
    };
    let period = period(bounds, MONTH, SystemClock.now())?;
    let plans = plans(&fleet, args.function.as_ref(), period)?;
    let comparisons: Vec<Comparison> =
        plans.iter().map(|plan| plan.compare(&fleet.prices, period.length())).collect();
    if args.json {
        let functions = plans.iter().zip(&comparisons).map(|(plan, comparison)| FunctionObject {
            function: &plan.target.label,
            region: plan.target.region(),
            comparison,
        });
        print_json(&CompareObject { functions: functions.collect() })?;
    } else {
        print(&render::compare::compare(&plans, &comparisons, period, style))?;
    }
    Ok(Exit::Success)
}
