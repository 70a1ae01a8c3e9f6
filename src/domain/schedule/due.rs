//! The targets that are due at a tick.
//!
//! A minute is due for a target when its desired number is higher than in the minute before, or when the number is
//! above zero and the epoch minute plus the target's phase is a multiple of its interval. This needs no state, and a
//! repeated delivery gives the same answer. Two rounds of an open window are never further apart than the interval.

use std::ops::Range;

use super::minute::Minute;
use super::timeline::{Timeline, desired};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::text::fnv1a;

/// The targets that a tick serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every target with a desired number above zero: `run --once`.
    Open,
    /// The targets that are due in the tick's minute: `run --once --due-only`.
    DueOnly,
    /// The targets that were due in any minute after the previous firing of the schedule: the daemon and the Lambda.
    DueSince(Minute),
}

/// The reason for which a target is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueReason {
    /// The tick serves every open target.
    Open,
    /// The target's interval has elapsed.
    Interval,
    /// The desired number has risen within an interval.
    Rise,
    /// The target was deployed since its last round.
    Deployment,
}

/// A target to serve at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueTarget {
    /// Its index in the fleet's targets.
    pub index: usize,
    /// The desired number of environments at the tick's minute, above zero.
    pub desired: u32,
    /// The reason for which it is served.
    pub reason: DueReason,
}

/// Returns the targets that a tick at `now` serves, in the order of the fleet.
pub fn plan_tick(fleet: &Fleet, now: Minute, mode: Mode) -> Vec<DueTarget> {
    let serve = |target: &Target| match mode {
        Mode::Open => Some((desired(target, now), DueReason::Open)).filter(|(desired, _)| *desired > 0),
        Mode::DueOnly => served(target, now.plus(-1), now),
        Mode::DueSince(previous) => served(target, previous, now),
    };
    let targets = fleet.targets.iter().enumerate();
    targets
        .filter_map(|(index, target)| {
            serve(target).map(|(desired, reason)| DueTarget { index, desired, reason })
        })
        .collect()
}

/// Returns the reason for which `minute` is due for `target`, or `None` when it is not due.
pub fn due(target: &Target, minute: Minute) -> Option<DueReason> {
    served(target, minute.plus(-1), minute).map(|(_, reason)| reason)
}

/// Returns the reason for which a tick at `until` serves `target` when the schedule's previous firing was at `after`.
///
/// A target is served when any minute after `after` up to `until` was due and its number is above zero at `until`.
pub fn due_since(target: &Target, after: Minute, until: Minute) -> Option<DueReason> {
    served(target, after, until).map(|(_, reason)| reason)
}

fn served(target: &Target, after: Minute, until: Minute) -> Option<(u32, DueReason)> {
    // An interval that ends above zero always contains a due minute: either the target was above zero throughout, and
    // one minute is a multiple of the interval, or it has risen from zero. Minutes before the last interval have no
    // effect.
    let interval = i64::from(target.interval_minutes.max(1));
    let after = after.max(until.plus(-interval));
    if after >= until {
        return None;
    }
    let mut timeline = Timeline::at(target, after, until);
    let mut value = timeline.value();
    let mut from = after.plus(1);
    let mut reason = None;
    loop {
        let next = timeline.holds_until().filter(|next| *next <= until);
        if value > 0 && due_minutes(target, from.epoch()..next.map_or(until.epoch() + 1, Minute::epoch)) > 0 {
            reason = Some(DueReason::Interval);
        }
        let Some(next) = next else { break };
        timeline.advance(next);
        if timeline.value() > value {
            reason = reason.or(Some(DueReason::Rise));
        }
        value = timeline.value();
        from = next;
    }
    // A due minute of a window that has closed since is not served later.
    reason.filter(|_| value > 0).map(|reason| (value, reason))
}

/// Counts the epoch minutes in `minutes` that, with the target's phase added, are a multiple of its interval.
pub(super) fn due_minutes(target: &Target, minutes: Range<i64>) -> u64 {
    let interval = i64::from(target.interval_minutes.max(1));
    let phase = i64::from(target.phase_minutes);
    let before = |minute: i64| (minute + phase - 1).div_euclid(interval);
    u64::try_from(before(minutes.end) - before(minutes.start)).unwrap_or(0)
}

/// Returns true if one of the epoch minutes is a multiple of the target's interval, with its phase added.
pub fn has_interval_minute(target: &Target, minutes: Range<i64>) -> bool {
    due_minutes(target, minutes) > 0
}

/// Returns a phase from 0 to `interval_minutes` − 1 with which `stagger` spreads a fleet.
///
/// The phase is the 64-bit FNV-1a hash (offset basis 14695981039346656037, prime 1099511628211) of the identity as text,
/// which includes the region and the tenant, modulo the interval. It is the same on every machine and in every version.
pub fn phase(id: &Identity, interval_minutes: u32) -> u32 {
    u32::try_from(fnv1a(&id.to_string()) % u64::from(interval_minutes.max(1))).unwrap_or(0)
}
