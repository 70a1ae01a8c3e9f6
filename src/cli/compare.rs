//! `warmd compare`: the same environments by other means, in money.

use chrono::TimeDelta;
use serde::Serialize;

use super::args::CompareArgs;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::plan::{Bounds, Period, TargetPlan, period, plans};
use super::render::{self, Style};
use crate::domain::cost::PriceBook;
use crate::domain::cost::compare::{Comparison, compare as ways};
use crate::domain::function::Region;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// How much time is compared when nobody says.
const MONTH: TimeDelta = TimeDelta::days(30);

/// One target and its ways.
#[derive(Debug)]
pub struct Compared<'f> {
    /// The target's plan.
    pub plan: TargetPlan<'f>,
    /// The ways.
    pub comparison: Comparison,
}

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
/// A refused configuration, an unknown function, or a period that is none.
pub async fn compare(args: &CompareArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load_priced(&args.configs, &args.only, &args.prices).await?.fleet;
    let bounds =
        Bounds { from: args.from.as_deref(), long: args.for_, until: args.until.as_deref(), zone: args.zone };
    let period = period(bounds, MONTH, SystemClock.now())?;
    let compared = compared(&fleet.prices, plans(&fleet, args.function.as_ref(), period)?, period);
    if args.json {
        print_json(&object(&compared))?;
    } else {
        print(&render::compare::compare(&compared, period, style))?;
    }
    Ok(Exit::Success)
}

/// The ways of every plan.
pub fn compared<'f>(book: &PriceBook, plans: Vec<TargetPlan<'f>>, period: Period) -> Vec<Compared<'f>> {
    plans
        .into_iter()
        .map(|plan| Compared { comparison: ways(book, &plan.coverage(), period.length()), plan })
        .collect()
}

fn object<'c>(compared: &'c [Compared<'_>]) -> CompareObject<'c> {
    let functions = compared.iter().map(|Compared { plan, comparison }| FunctionObject {
        function: &plan.target.label,
        region: plan.target.region(),
        comparison,
    });
    CompareObject { functions: functions.collect() }
}
