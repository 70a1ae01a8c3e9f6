//! What is due at a tick, and why.
//!
//! A minute is due for a target when its value is higher than in the minute before, or when it is above zero
//! and minutes since the epoch plus the target's phase are a multiple of its interval. No state is needed, and
//! a repeated delivery gives the same answer. Two rounds of an open window are never further apart than the
//! interval.

use std::ops::Range;

use super::course::{Course, target};
use super::minute::Minute;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;

/// Which targets a tick serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every target above zero: `run --once`.
    Open,
    /// Those due in this minute: `run --once --due-only`.
    DueOnly,
    /// Those due in any minute after the schedule's previous firing: the daemon and the Lambda.
    DueSince(Minute),
}

/// Why a target is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Everything above zero is.
    Open,
    /// Its interval has come round.
    Interval,
    /// It has risen, between two beats of its interval.
    Rise,
}

/// A target to be served at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its place in the fleet's targets.
    pub index: usize,
    /// The environments wanted at the tick's minute, above zero.
    pub target: u32,
    /// Why.
    pub why: Why,
}

/// What a tick at `now` serves, in the order of the fleet.
pub fn plan_tick(fleet: &Fleet, now: Minute, mode: Mode) -> Vec<Due> {
    let serve = |wanted: &Target| match mode {
        Mode::Open => Some((target(wanted, now), Why::Open)).filter(|(value, _)| *value > 0),
        Mode::DueOnly => served(wanted, now.plus(-1), now),
        Mode::DueSince(previous) => served(wanted, previous, now),
    };
    let targets = fleet.targets.iter().enumerate();
    targets
        .filter_map(|(index, wanted)| serve(wanted).map(|(target, why)| Due { index, target, why }))
        .collect()
}

/// Whether `minute` is due for `target`, and why.
pub fn due(target: &Target, minute: Minute) -> Option<Why> {
    served(target, minute.plus(-1), minute).map(|(_, why)| why)
}

/// Whether a tick at `until` serves `target` when the schedule's previous firing was at `after`: any minute
/// after `after` up to `until` was due, and the target is above zero at `until`.
pub fn due_since(target: &Target, after: Minute, until: Minute) -> Option<Why> {
    served(target, after, until).map(|(_, why)| why)
}

fn served(target: &Target, after: Minute, until: Minute) -> Option<(u32, Why)> {
    // An interval that ends above zero always holds a due minute: either the target was above zero all along,
    // and one minute is a beat, or it has risen from zero. So nothing before the last interval matters.
    let interval = i64::from(target.interval_minutes.max(1));
    let after = after.max(until.plus(-interval));
    if after >= until {
        return None;
    }
    let mut course = Course::at(target, after, until);
    let mut value = course.value();
    let mut from = after.plus(1);
    let mut why = None;
    loop {
        let next = course.holds_until().filter(|next| *next <= until);
        if value > 0 && beats(target, from.epoch()..next.map_or(until.epoch() + 1, Minute::epoch)) > 0 {
            why = Some(Why::Interval);
        }
        let Some(next) = next else { break };
        course.advance(next);
        if course.value() > value {
            why = why.or(Some(Why::Rise));
        }
        value = course.value();
        from = next;
    }
    // What was due and has closed since is not made up.
    why.filter(|_| value > 0).map(|why| (value, why))
}

/// How many of these epoch minutes are a multiple of the target's interval, its phase counted in.
pub(super) fn beats(target: &Target, minutes: Range<i64>) -> u64 {
    let interval = i64::from(target.interval_minutes.max(1));
    let phase = i64::from(target.phase_minutes);
    let before = |minute: i64| (minute + phase - 1).div_euclid(interval);
    u64::try_from(before(minutes.end) - before(minutes.start)).unwrap_or(0)
}

/// A phase from 0 to `interval_minutes` − 1 that is the same wherever and whenever it is asked for: the 64-bit
/// FNV-1a hash (offset basis 14695981039346656037, prime 1099511628211) of the target's label, a zero byte and
/// the region's name, modulo the interval. `stagger` spreads a fleet with it.
pub fn phase(id: &Identity, interval_minutes: u32) -> u32 {
    let label = id.label();
    let bytes = label.bytes().chain([0]).chain(id.region.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u32::try_from(hash % u64::from(interval_minutes.max(1))).unwrap_or(0)
}
