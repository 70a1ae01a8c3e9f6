//! Checks of instants from other clocks, in event envelopes and stored documents.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedule::Minute;

/// The maximum lead of another clock over the local clock: one minute, the period of the schedule. Synchronised clocks
/// differ by far less.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// Returns true if `at` is more than [`TOLERANCE`] ahead of `now`. Never overflows.
pub fn is_future(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at.signed_duration_since(now) > TOLERANCE
}

/// Returns true if a stored epoch minute, which may be any number, is more than [`TOLERANCE`] ahead of `now`.
pub fn is_future_minute(minute: i64, now: DateTime<Utc>) -> bool {
    minute > Minute::of(now).epoch().saturating_add(TOLERANCE.num_minutes())
}

/// Returns `at` moved by `by`, clamped to chrono's range.
pub fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    let end = if by < TimeDelta::zero() { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    at.checked_add_signed(by).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minute_ahead_is_tolerated_and_nothing_overflows() {
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
