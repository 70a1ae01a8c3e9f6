//! From wall times to instants, and back.
//!
//! A clock change leaves a gap (wall times that never are) or a fold (wall times that are twice). What a
//! window means by such a time depends on whether it opens or closes then, so there are two mappings. Put
//! generally: an opening is the first instant at which the wall clock shows the time or a later one; a closing is
//! the last at which it shows the time, or what follows the last at which it shows an earlier one. Both therefore
//! keep the order of wall times.

use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// When a window that opens at the wall time `wall` opens: the first instant after the gap, the earlier in a fold.
pub fn opening_instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(only) => only.to_utc(),
        LocalResult::Ambiguous(earlier, _) => earlier.to_utc(),
        LocalResult::None => after_gap(wall, zone),
    }
}

/// When a window that closes at the wall time `wall` closes: the first instant after the gap, the later in a fold.
pub fn closing_instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(only) => only.to_utc(),
        LocalResult::Ambiguous(_, later) => later.to_utc(),
        LocalResult::None => after_gap(wall, zone),
    }
}

/// The first instant after the gap that `wall` is in.
fn after_gap(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    // The gap begins at a wall time of the offset before it; that offset maps it to the instant of the change,
    // which is also the first one after the gap.
    match GapInfo::new(&wall, &zone).and_then(|gap| gap.begin) {
        Some((begin, before)) => (begin - before.fix()).and_utc(),
        // No gap: only a time at the very end of what chrono can represent comes here.
        None => wall.and_utc(),
    }
}

/// What the wall clock shows at `instant`.
pub fn wall_time(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// The latest time the wall clock has shown up to `instant`, or a later one that opens after it.
///
/// While a fold repeats itself this is ahead of the wall clock; otherwise it is the wall clock.
pub(super) fn latest_shown(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let wall = wall_time(instant, zone);
    match zone.from_local_datetime(&wall) {
        LocalResult::Ambiguous(earlier, later) => wall + (later.to_utc() - earlier.to_utc()),
        LocalResult::Single(_) | LocalResult::None => wall,
    }
}
