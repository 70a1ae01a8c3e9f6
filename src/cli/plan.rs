//! `warmd plan`: what will happen, before it does, and what it will cost.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::args::PlanArgs;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::render::{self, Style};
use super::select;
use crate::domain::calendar::opening_instant;
use crate::domain::cost::coverage::{Coverage, CoverageCost, Stretch, coverage_cost};
use crate::domain::cost::own::{OwnUse, own_cost};
use crate::domain::cost::{FleetCost, PriceBook};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::schedule::{Minute, Segment, segments};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// How long a plan is when nobody says.
const WEEK: TimeDelta = TimeDelta::days(7);

/// The longest plan: ten years.
const LONGEST: TimeDelta = TimeDelta::days(3_660);

/// A stretch of whole minutes, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first minute.
    pub from: Minute,
    /// The minute after the last.
    pub until: Minute,
}

impl Period {
    /// How long it is.
    pub fn length(self) -> Duration {
        let minutes = self.until.epoch().saturating_sub(self.from.epoch());
        Duration::from_secs(u64::try_from(minutes).unwrap_or(0).saturating_mul(60))
    }
}

/// One target's plan.
#[derive(Debug, Clone)]
pub struct TargetPlan<'f> {
    /// The target.
    pub target: &'f Target,
    /// When it is above zero, and how far.
    pub segments: Vec<Segment>,
    /// The segments, as estimates take them.
    stretches: Vec<Stretch>,
    /// What it costs.
    pub cost: CoverageCost,
}

impl<'f> TargetPlan<'f> {
    /// The plan of a target for a period, at the prices of `book`.
    pub fn new(target: &'f Target, period: Period, book: &PriceBook) -> Self {
        let segments = segments(target, period.from, period.until);
        let stretches: Vec<Stretch> = segments
            .iter()
            .map(|segment| Stretch {
                from_minute: segment.from.epoch(),
                until_minute: segment.until.epoch(),
                target: segment.target,
            })
            .collect();
        let cost =
            coverage_cost(book, &coverage(target, &stretches, segments.iter().map(Segment::pings).sum()));
        Self { target, segments, stretches, cost }
    }

    /// What is asked for, for comparisons.
    pub fn coverage(&self) -> Coverage<'_> {
        coverage(self.target, &self.stretches, self.pings())
    }

    /// The most environments wanted at any time.
    pub fn highest(&self) -> u32 {
        self.segments.iter().map(|segment| segment.target).max().unwrap_or(0)
    }

    /// Rounds in the period.
    pub fn rounds(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rounds).sum()
    }

    /// Pings in the period, without top-ups.
    pub fn pings(&self) -> u64 {
        self.segments.iter().map(Segment::pings).sum()
    }
}

fn coverage<'a>(target: &'a Target, stretches: &'a [Stretch], pings: u64) -> Coverage<'a> {
    Coverage {
        region: target.region(),
        stretches,
        pings,
        interval: Duration::from_secs(u64::from(target.interval_minutes) * 60),
        downloads: &target.downloads,
        assume: &target.assume,
    }
}

/// What all plans cost together, and for the whole fleet what warmd itself does: it is taken to run in the region of most
/// of the targets.
pub fn fleet_cost(fleet: &Fleet, plans: &[TargetPlan<'_>], period: Period, scope: Scope) -> FleetCost {
    let own = match scope {
        Scope::Fleet => home(plans).map(|region| own_use(fleet, plans, period, region)),
        Scope::Function => None,
    };
    let own = own.map(|own| own_cost(&fleet.prices, &own));
    FleetCost::new(&fleet.prices, plans.iter().map(|plan| (plan.target.owner.as_deref(), &plan.cost)), own)
}

/// Whether a plan is for all that is configured, and warmd itself belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Fleet,
    /// One function.
    Function,
}

/// The region of most of the targets; the first of several.
pub fn home(plans: &[TargetPlan<'_>]) -> Option<Region> {
    let mut counts: BTreeMap<Region, usize> = BTreeMap::new();
    for plan in plans {
        *counts.entry(plan.target.region()).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(region, _)| region)
}

fn own_use(fleet: &Fleet, plans: &[TargetPlan<'_>], period: Period, region: Region) -> OwnUse {
    let cold = plans.iter().filter(|plan| plan.cost.cold_starts > 0);
    OwnUse {
        region,
        horizon: period.length(),
        rounds: plans.iter().map(TargetPlan::rounds).sum(),
        cold_rounds: plans.iter().map(|plan| plan.cost.cold_rounds).sum(),
        init: cold.map(|plan| plan.target.assume.init_duration.value()).max().unwrap_or_default(),
        targets: plans.len() as u64,
        detail: fleet.metrics.detail,
    }
}

#[derive(Serialize)]
struct PlanObject<'p> {
    from: String,
    until: String,
    functions: Vec<FunctionObject<'p>>,
    cost: &'p FleetCost,
}

#[derive(Serialize)]
struct FunctionObject<'p> {
    function: &'p str,
    region: Region,
    segments: Vec<SegmentObject>,
    rounds: u64,
    pings: u64,
    cost: &'p CoverageCost,
}

#[derive(Serialize)]
struct SegmentObject {
    from: String,
    until: String,
    target: u32,
}

/// Prints the plan.
///
/// # Errors
/// A refused configuration, an unknown function, or a period that is none.
pub async fn plan(args: &PlanArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load_priced(&args.configs, &args.only, &args.prices).await?.fleet;
    let bounds =
        Bounds { from: args.from.as_deref(), long: args.for_, until: args.until.as_deref(), zone: args.zone };
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

/// The plans of all targets, or of one function's.
///
/// # Errors
/// When the function is not configured.
pub fn plans<'f>(
    fleet: &'f Fleet,
    function: Option<&FunctionRef>,
    period: Period,
) -> Result<Vec<TargetPlan<'f>>, Failure> {
    let targets = match function {
        Some(function) => select::targets(fleet, function)?,
        None => fleet.targets.iter().collect(),
    };
    Ok(targets.into_iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect())
}

fn object<'p>(plans: &'p [TargetPlan<'_>], cost: &'p FleetCost, period: Period) -> PlanObject<'p> {
    let functions = plans.iter().map(|plan| FunctionObject {
        function: &plan.target.label,
        region: plan.target.region(),
        segments: plan
            .segments
            .iter()
            .map(|segment| SegmentObject {
                from: text(segment.from),
                until: text(segment.until),
                target: segment.target,
            })
            .collect(),
        rounds: plan.rounds(),
        pings: plan.pings(),
        cost: &plan.cost,
    });
    PlanObject { from: text(period.from), until: text(period.until), functions: functions.collect(), cost }
}

/// An instant as JSON carries it: UTC, whole seconds.
pub fn text(minute: Minute) -> String {
    minute.instant().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A period as flags give it: where it begins, and how long it is or where it ends.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// RFC 3339 or a date; now without it.
    pub from: Option<&'a str>,
    /// How long.
    pub long: Option<Duration>,
    /// RFC 3339 or a date.
    pub until: Option<&'a str>,
    /// The zone of dates; UTC without it.
    pub zone: Option<Tz>,
}

/// The period of `bounds`, `usual` long when nobody says.
///
/// # Errors
/// When it is none, or longer than ten years.
pub fn period(bounds: Bounds<'_>, usual: TimeDelta, now: DateTime<Utc>) -> Result<Period, Failure> {
    let zone = bounds.zone.unwrap_or(Tz::UTC);
    let from = match bounds.from {
        // The minute that is running belongs to the plan.
        None => Minute::of(now).instant(),
        Some(text) => instant_or_date("--from", text, zone)?,
    };
    let until = match (bounds.until, bounds.long) {
        (Some(text), _) => instant_or_date("--until", text, zone)?,
        (None, None) => from + usual,
        (None, Some(long)) => TimeDelta::from_std(long)
            .ok()
            .and_then(|long| from.checked_add_signed(long))
            .ok_or_else(|| Failure::Usage("--for is too long".to_owned()))?,
    };
    if until <= from {
        let at = |instant: DateTime<Utc>| instant.format("%F %R UTC");
        return Err(Failure::Usage(format!(
            "nothing lies between {} and {}: the end must be later than the beginning",
            at(from),
            at(until)
        )));
    }
    if until - from > LONGEST {
        return Err(Failure::Usage("ten years are the most that can be looked at".to_owned()));
    }
    Ok(Period { from: first_minute_from(from), until: first_minute_from(until) })
}

/// The first whole minute at or after `at`.
fn first_minute_from(at: DateTime<Utc>) -> Minute {
    let up = at.duration_trunc(TimeDelta::minutes(1)).is_ok_and(|minute| minute != at);
    Minute::of(at).plus(i64::from(up))
}

/// An instant as a flag gives it: RFC 3339, or a date, which is its midnight in `zone`.
///
/// # Errors
/// When it is neither.
pub fn instant_or_date(flag: &str, text: &str, zone: Tz) -> Result<DateTime<Utc>, Failure> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // A midnight that the clocks skip is the first instant of that day.
        return Ok(opening_instant(date.and_time(NaiveTime::MIN), zone));
    }
    super::value_parsers::instant(text)
        .map_err(|error| Failure::Usage(format!("{flag} {text}: {error}, or a date such as 2026-11-20")))
}
