//! Segments of constant desired number, with the rounds in them.

use serde::Serialize;

use super::due::due_minutes;
use super::minute::Minute;
use super::timeline::Timeline;
use crate::domain::calendar::Window;
use crate::domain::fleet::Target;

/// The number of days in which the next change and the next opening are searched: a year and a margin of a month, so
/// that yearly openings are found.
pub const HORIZON_DAYS: i64 = 400;

/// A period with the same desired number above zero. Plans contain it without the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// The first minute.
    pub from: Minute,
    /// The minute after the last.
    pub until: Minute,
    /// The desired number of environments.
    #[serde(rename = "target")]
    pub desired: u32,
    /// The number of minutes that are due.
    #[serde(skip)]
    pub rounds: u64,
}

impl Segment {
    /// Returns the number of pings of all rounds, without top-ups.
    pub fn pings(&self) -> u64 {
        self.rounds.saturating_mul(u64::from(self.desired))
    }

    /// Returns the length in seconds, 0 when the segment ends before it starts.
    pub fn seconds(&self) -> u64 {
        seconds_between(self.from, self.until)
    }
}

/// Returns the seconds from `from` to `until`, 0 when `until` is earlier.
pub(crate) fn seconds_between(from: Minute, until: Minute) -> u64 {
    u64::try_from(until.epoch().saturating_sub(from.epoch())).unwrap_or(0).saturating_mul(60)
}

/// Returns the segments of `target` in [`from`, `until`), sorted and each as long as possible. Periods with a desired
/// number of zero are left out.
///
/// A rise at `from` is a round only when the number in the minute before `from` is lower.
pub fn segments(target: &Target, from: Minute, until: Minute) -> Vec<Segment> {
    let mut segments = Vec::new();
    if from >= until {
        return segments;
    }
    let mut timeline = Timeline::at(target, from.plus(-1), until);
    let mut before = timeline.value();
    timeline.advance(from);
    for segment in constant(timeline, from, until) {
        let Segment { from, until, desired, .. } = segment;
        if desired > 0 {
            let first = from.epoch();
            let rise = desired > before && due_minutes(target, first..first + 1) == 0;
            let rounds = due_minutes(target, first..until.epoch()) + u64::from(rise);
            segments.push(Segment { rounds, ..segment });
        }
        before = desired;
    }
    segments
}

/// Returns the segments of windows in [`from`, `until`) without spare environments and rounds. Periods with a number of
/// zero are left out.
pub fn window_segments<'w>(
    windows: impl IntoIterator<Item = &'w Window>,
    from: Minute,
    until: Minute,
) -> Vec<Segment> {
    constant(Timeline::of(windows, from, until), from, until).filter(|segment| segment.desired > 0).collect()
}

/// Returns the periods of [`from`, `until`) with a constant number, each as long as possible. `timeline` is at `from`.
fn constant(mut timeline: Timeline<'_>, from: Minute, until: Minute) -> impl Iterator<Item = Segment> {
    let mut start = from;
    std::iter::from_fn(move || {
        if start >= until {
            return None;
        }
        let (from, desired) = (start, timeline.value());
        while start < until && timeline.value() == desired {
            start = timeline.holds_until().map_or(until, |next| next.min(until));
            timeline.advance(start);
        }
        Some(Segment { from, until: start, desired, rounds: 0 })
    })
}

/// Returns the next minute after `minute` at which the desired number differs, with that number; `None` when it is
/// constant for [`HORIZON_DAYS`].
pub fn next_change(target: &Target, minute: Minute) -> Option<(Minute, u32)> {
    next_value(Timeline::at(target, minute, horizon(minute)), minute)
}

/// Returns the end of the search for the next change after `minute`.
pub(super) fn horizon(minute: Minute) -> Minute {
    minute.plus(HORIZON_DAYS * 24 * 60)
}

/// Returns the next minute at which the value of a timeline differs from that at `minute`, with the new value.
pub(super) fn next_value(mut timeline: Timeline<'_>, minute: Minute) -> Option<(Minute, u32)> {
    let value = timeline.value();
    loop {
        let next = timeline.holds_until().filter(|next| *next <= horizon(minute))?;
        timeline.advance(next);
        if timeline.value() != value {
            return Some((next, timeline.value()));
        }
    }
}
