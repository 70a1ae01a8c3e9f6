//! `warmd plan`: what will happen, before it does.

use chrono::{DateTime, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::args::PlanArgs;
use super::clock::SystemClock;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::render::{self, Style};
use super::select;
use crate::domain::calendar::opening_instant;
use crate::domain::fleet::Target;
use crate::domain::function::Region;
use crate::domain::schedule::{Minute, Segment, segments};
use crate::engine::ports::Clock;

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

/// One target's plan.
#[derive(Debug, Clone)]
pub struct TargetPlan<'f> {
    /// The target.
    pub target: &'f Target,
    /// When it is above zero, and how far.
    pub segments: Vec<Segment>,
}

impl<'f> TargetPlan<'f> {
    /// The plan of a target for a period.
    pub fn new(target: &'f Target, period: Period) -> Self {
        Self { target, segments: segments(target, period.from, period.until) }
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

#[derive(Serialize)]
struct PlanObject<'p> {
    from: String,
    until: String,
    functions: Vec<FunctionObject<'p>>,
}

#[derive(Serialize)]
struct FunctionObject<'p> {
    function: &'p str,
    region: Region,
    segments: Vec<SegmentObject>,
    rounds: u64,
    pings: u64,
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
pub fn plan(args: &PlanArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load(&args.configs, &args.only)?;
    let period = period(args, SystemClock.now())?;
    let targets = match &args.function {
        Some(function) => select::targets(&fleet, function)?,
        None => fleet.targets.iter().collect(),
    };
    let plans: Vec<_> = targets.into_iter().map(|target| TargetPlan::new(target, period)).collect();
    if args.json {
        print_json(&object(&plans, period))?;
    } else {
        print(&render::plan::plan(&plans, period, args.zone, style))?;
    }
    Ok(Exit::Success)
}

fn object<'p>(plans: &'p [TargetPlan<'_>], period: Period) -> PlanObject<'p> {
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
    });
    PlanObject { from: text(period.from), until: text(period.until), functions: functions.collect() }
}

/// An instant as JSON carries it: UTC, whole seconds.
pub fn text(minute: Minute) -> String {
    minute.instant().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn period(args: &PlanArgs, now: DateTime<Utc>) -> Result<Period, Failure> {
    let zone = args.zone.unwrap_or(Tz::UTC);
    let from = match &args.from {
        // The minute that is running belongs to the plan.
        None => Minute::of(now).instant(),
        Some(text) => instant_or_date("--from", text, zone)?,
    };
    let until = match (&args.until, args.for_) {
        (Some(text), _) => instant_or_date("--until", text, zone)?,
        (None, None) => from + WEEK,
        (None, Some(long)) => TimeDelta::from_std(long)
            .ok()
            .and_then(|long| from.checked_add_signed(long))
            .ok_or_else(|| Failure::Usage("--for is too long".to_owned()))?,
    };
    if until <= from {
        return Err(Failure::Usage(format!("the plan ends at {until}, before it begins at {from}")));
    }
    if until - from > LONGEST {
        return Err(Failure::Usage("a plan is at most ten years long".to_owned()));
    }
    Ok(Period { from: first_minute_from(from), until: first_minute_from(until) })
}

/// The first whole minute at or after `at`.
fn first_minute_from(at: DateTime<Utc>) -> Minute {
    let up = at.duration_trunc(TimeDelta::minutes(1)).is_ok_and(|minute| minute != at);
    Minute::of(at).plus(i64::from(up))
}

fn instant_or_date(flag: &str, text: &str, zone: Tz) -> Result<DateTime<Utc>, Failure> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // A midnight that the clocks skip is the first instant of that day.
        return Ok(opening_instant(date.and_time(NaiveTime::MIN), zone));
    }
    super::values::instant(text)
        .map_err(|error| Failure::Usage(format!("{flag} {text}: {error}, or a date such as 2026-11-20")))
}
