//! The load of windows against their capacity: the limit of requests per environment, and load that rises too fast for
//! managed instances.

use rust_decimal::Decimal;
use serde::Serialize;

use super::REQUESTS_PER_ENVIRONMENT;
use super::strategy::Strategy;
use crate::domain::fleet::Target;
use crate::domain::schedule::{Minute, Segment};

/// The minutes within which load that more than doubles is throttled on managed instances. Source: AWS Lambda, scaling
/// of managed instances.
const DOUBLING_MINUTES: u32 = 5;
/// The longest ramp that is searched, in minutes.
const LONGEST_RAMP: u32 = 24 * 60;

/// A finding about the load of a target with capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "finding")]
pub enum Finding {
    /// The rate of requests decides on the number of a window, not the number of requests at a time.
    RateDecides {
        /// The window.
        window: String,
        /// The number of environments that the rate needs.
        environments: u32,
        /// The number that the load alone needs.
        load_needs: u32,
    },
    /// The assumed traffic exceeds what the provisioned environments of a window serve. The rest runs on demand.
    Spillover {
        /// The window.
        window: String,
        /// The assumed requests per second.
        requests_per_second: Decimal,
        /// The number of environments.
        environments: u32,
    },
    /// The number on managed instances more than doubles within five minutes, and load that does is throttled.
    Doubles {
        /// The first minute of the higher number, the first of `times`.
        at: Minute,
        /// The number before the rise.
        before: u32,
        /// The number after the rise.
        environments: u32,
        /// The shortest `ramp_up` without such a rise, in minutes; `None` if none of a day or less suffices.
        ramp_up_minutes: Option<u32>,
        /// The number of rises between the same numbers.
        times: u32,
    },
}

impl Finding {
    /// Returns true if users may be affected.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::RateDecides { .. })
    }
}

/// Returns the findings about a target with the segments of its capacity in a period that begins at `from`.
pub fn findings(target: &Target, segments: &[Segment], from: Minute) -> Vec<Finding> {
    match target.strategy {
        Strategy::Pings => Vec::new(),
        Strategy::Provisioned(_) => rates(target),
        Strategy::Managed(_) => rises(target, segments, from),
    }
}

fn rates(target: &Target) -> Vec<Finding> {
    let traffic = target.assume.traffic.map(|traffic| traffic.requests_per_second);
    let mut findings = Vec::new();
    for window in &target.windows {
        let environments = window.concurrency;
        if let Some(load_needs) = window.load_needs {
            findings.push(Finding::RateDecides { window: window.label.clone(), environments, load_needs });
        }
        let environments = environments.saturating_add(target.spare);
        let served = Decimal::from(u64::from(environments) * u64::from(REQUESTS_PER_ENVIRONMENT));
        if let Some(requests_per_second) = traffic.filter(|rate| *rate > served) {
            let window = window.label.clone();
            findings.push(Finding::Spillover { window, requests_per_second, environments });
        }
    }
    findings
}

fn rises(target: &Target, segments: &[Segment], from: Minute) -> Vec<Finding> {
    // The steps of a ramp are five minutes long.
    let is_short = |segment: &Segment| segment.seconds() <= u64::from(DOUBLING_MINUTES) * 60;
    let mut findings: Vec<Finding> = Vec::new();
    let mut rest = segments.iter().peekable();
    let mut previous: Option<&Segment> = None;
    while let Some(segment) = rest.next() {
        let before = match previous.replace(segment) {
            Some(previous) if previous.until == segment.from => previous.desired,
            // The number before the period is unknown.
            None if segment.from == from => continue,
            _ => 0,
        };
        let mut last = segment;
        let mut is_too_fast = segment.desired > before.saturating_mul(2);
        while let Some(next) = rest.next_if(|next| {
            let is_adjacent = is_short(last) && last.until == next.from;
            segment.desired > before && is_adjacent && next.desired > last.desired
        }) {
            is_too_fast |= next.desired > last.desired.saturating_mul(2);
            last = next;
        }
        previous = Some(last);
        if !is_too_fast {
            continue;
        }
        let rise = (before, last.desired);
        let times_of = |finding: &mut Finding| match finding {
            Finding::Doubles { before, environments, times, .. } if (*before, *environments) == rise => {
                *times += 1;
                true
            }
            _ => false,
        };
        if !findings.iter_mut().any(times_of) {
            let (at, environments) = (segment.from, last.desired);
            let ramp_up_minutes = least_ramp(before, environments, target.spare);
            findings.push(Finding::Doubles { at, before, environments, ramp_up_minutes, times: 1 });
        }
    }
    findings
}

/// Returns the length in minutes of the shortest ramp to `number` environments, `spare` ones included, on which the
/// number never more than doubles within five minutes, where there are `before` until the ramp exceeds them.
fn least_ramp(before: u32, number: u32, spare: u32) -> Option<u32> {
    (1..=LONGEST_RAMP).find(|ramp| never_doubles(before, number, spare, *ramp))
}

fn never_doubles(before: u32, number: u32, spare: u32, ramp: u32) -> bool {
    let top = u64::from(number.saturating_sub(spare));
    // The ramp of `domain::schedule`: ⌈n · k / u⌉ in its minute k, and spare environments from the first one on.
    let at = |minute: u32| {
        let rising = (top * u64::from(minute.min(ramp))).div_ceil(u64::from(ramp.max(1)));
        let wanted = if rising == 0 { 0 } else { rising + u64::from(spare) };
        wanted.max(before.into())
    };
    (1..=ramp + DOUBLING_MINUTES).all(|minute| at(minute) <= 2 * at(minute.saturating_sub(DOUBLING_MINUTES)))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
