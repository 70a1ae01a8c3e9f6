//! Conversion between wall times and instants.
//!
//! A clock change leaves a gap (wall times that do not occur) or a fold (wall times that occur twice). Openings and
//! closings resolve such times differently. An opening is the first instant at which the wall clock shows the time or a
//! later one. A closing is the last instant at which it shows the time, or the instant after the last at which it shows
//! an earlier one. Both mappings preserve the order of wall times.

use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// Returns the instant of an opening at the wall time `wall`: the first after a gap, the earlier in a fold.
pub fn opening_instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(only) => only.to_utc(),
        LocalResult::Ambiguous(earlier, _) => earlier.to_utc(),
        LocalResult::None => after_gap(wall, zone),
    }
}

/// Returns the instant of a closing at the wall time `wall`: the first after a gap, the later in a fold.
pub fn closing_instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(only) => only.to_utc(),
        LocalResult::Ambiguous(_, later) => later.to_utc(),
        LocalResult::None => after_gap(wall, zone),
    }
}

/// Returns the first instant after the gap that contains `wall`.
fn after_gap(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    // The wall time at which the gap begins, less the offset before the gap, is the instant of the change. It is also
    // the first instant after the gap.
    match GapInfo::new(&wall, &zone).and_then(|gap| gap.begin) {
        Some((begin, before)) => (begin - before.fix()).and_utc(),
        // Without a gap, `wall` is at the limit of chrono's range.
        None => wall.and_utc(),
    }
}

/// Returns the wall time at `instant`.
pub fn wall_time(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// Returns a wall time that is not before any time that the wall clock has shown up to `instant`.
///
/// In a fold the result is ahead of the wall clock by the length of the fold; otherwise it is the wall time.
pub(super) fn latest_shown(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let wall = wall_time(instant, zone);
    match zone.from_local_datetime(&wall) {
        LocalResult::Ambiguous(earlier, later) => wall + (later.to_utc() - earlier.to_utc()),
        LocalResult::Single(_) | LocalResult::None => wall,
    }
}
