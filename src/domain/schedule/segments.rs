//! What will be: stretches of one value, with the rounds in them.

use super::course::Course;
use super::due::beats;
use super::minute::Minute;
use crate::domain::fleet::Target;

/// How far ahead the next change and the next opening are looked for: a year with a month's margin, so that
/// what happens once a year is found.
pub const HORIZON_DAYS: i64 = 400;

/// A stretch of one value above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its first minute.
    pub from: Minute,
    /// The first minute after it.
    pub until: Minute,
    /// Environments wanted in it.
    pub target: u32,
    /// Minutes in it that are due.
    pub rounds: u64,
}

impl Segment {
    /// Pings of its rounds, top-ups aside.
    pub fn pings(&self) -> u64 {
        self.rounds.saturating_mul(u64::from(self.target))
    }
}

/// The segments of `target` from `from` to `until`, which is not included: sorted, each as long as it can be,
/// zero left out. The minute before `from` is looked at, so that a rise at `from` counts only if it is one.
pub fn segments(target: &Target, from: Minute, until: Minute) -> Vec<Segment> {
    let mut segments = Vec::new();
    if from >= until {
        return segments;
    }
    let mut course = Course::at(target, from.plus(-1), until);
    let mut before = course.value();
    course.advance(from);
    let mut start = from;
    while start < until {
        let value = course.value();
        let mut end = start;
        while end < until && course.value() == value {
            end = course.holds_until().map_or(until, |next| next.min(until));
            course.advance(end);
        }
        if value > 0 {
            let first = start.epoch();
            let rise = value > before && beats(target, first..first + 1) == 0;
            let rounds = beats(target, first..end.epoch()) + u64::from(rise);
            segments.push(Segment { from: start, until: end, target: value, rounds });
        }
        before = value;
        start = end;
    }
    segments
}

/// The next minute after `minute` at which the target's value is another, and that value; `None` when it
/// stays for [`HORIZON_DAYS`].
pub fn next_change(target: &Target, minute: Minute) -> Option<(Minute, u32)> {
    let horizon = minute.plus(HORIZON_DAYS * 24 * 60);
    let mut course = Course::at(target, minute, horizon);
    let value = course.value();
    loop {
        let next = course.holds_until().filter(|next| *next <= horizon)?;
        course.advance(next);
        if course.value() != value {
            return Some((next, course.value()));
        }
    }
}
