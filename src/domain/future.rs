//! Instants that come from outside: from event envelopes and from stored documents, which other clocks have written.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedule::Minute;

/// The largest lead of an outside instant over the own clock: one minute, the period of the schedule. Clocks
/// that are synchronised differ by far less.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// Returns true if `at` is further ahead of `now` than [`TOLERANCE`] allows. Never overflows.
pub fn is_future(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at.signed_duration_since(now) > TOLERANCE
}

/// The same for a stored minute since the epoch, which may be any number.
pub fn is_future_minute(minute: i64, now: DateTime<Utc>) -> bool {
    minute > Minute::of(now).epoch().saturating_add(TOLERANCE.num_minutes())
}

/// `at` moved by `by`; the end of the calendar when that lies beyond it.
pub fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    let end = if by < TimeDelta::zero() { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    at.checked_add_signed(by).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_ahead_is_allowed_and_nothing_overflows() {
        let now: DateTime<Utc> = "2026-11-20T09:00:30Z".parse().unwrap();
        assert!(!is_future("2026-11-20T09:01:30Z".parse().unwrap(), now));
        assert!(is_future("2026-11-20T09:01:30.001Z".parse().unwrap(), now));
        assert!(!is_future_minute(Minute::of(now).epoch() + 1, now));
        assert!(is_future_minute(Minute::of(now).epoch() + 2, now));
        let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        assert!(is_future(last, first) && !is_future(first, last));
        assert!(is_future_minute(i64::MAX, last) && !is_future_minute(i64::MIN, first));
        assert_eq!((later(last, TOLERANCE), later(first, TimeDelta::MIN)), (last, first));
    }
}
