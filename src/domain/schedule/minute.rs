//! Whole minutes.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A whole minute since the Unix epoch, in the years 1 to 9999.
///
/// Within this range, every sum of a minute with the durations of a window, and its wall time in any zone, is
/// representable by chrono.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

/// 0001-01-01T00:00Z and 9999-12-31T23:59Z.
const FIRST: i64 = -1_035_593_280;
const LAST: i64 = 4_223_371_679;

impl Minute {
    /// Returns the minute that contains `instant`.
    pub fn of(instant: DateTime<Utc>) -> Self {
        Self::from_epoch(instant.timestamp().div_euclid(60))
    }

    /// Creates a minute from minutes since 1970-01-01T00:00Z, clamped to the range.
    pub fn from_epoch(minutes: i64) -> Self {
        Self(minutes.clamp(FIRST, LAST))
    }

    /// Returns the minutes since 1970-01-01T00:00Z.
    pub fn epoch(self) -> i64 {
        self.0
    }

    /// Returns the instant at which the minute begins.
    pub fn instant(self) -> DateTime<Utc> {
        instant_of(self.seconds())
    }

    /// Adds `minutes`, which may be negative. The result is clamped to the range.
    #[must_use]
    pub fn plus(self, minutes: i64) -> Self {
        Self::from_epoch(self.0.saturating_add(minutes))
    }

    /// Returns the seconds since the epoch at which the minute begins.
    pub(super) fn seconds(self) -> i64 {
        self.0 * 60
    }

    /// Returns the first minute that begins at `seconds` since the epoch or later.
    pub(super) fn from_seconds_up(seconds: i64) -> Self {
        Self::from_epoch(seconds.div_euclid(60) + i64::from(seconds.rem_euclid(60) > 0))
    }
}

/// Returns the instant of a second since the epoch, clamped to the range of [`Minute`].
pub(super) fn instant_of(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds.clamp(FIRST * 60, LAST * 60), 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Returns `instant` moved by `delta` and whole days, clamped to the range of [`Minute`].
pub(super) fn shifted(instant: DateTime<Utc>, delta: TimeDelta, days: i64) -> DateTime<Utc> {
    instant_of(instant.timestamp().saturating_add(delta.num_seconds()).saturating_add(days * 86_400))
}

impl fmt::Display for Minute {
    /// Formats the minute as RFC 3339 in UTC, such as `2026-11-20T09:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.instant().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl fmt::Debug for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Minute {
    /// Serializes the minute as [`Display`](fmt::Display) formats it.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minute_is_floor_of_instant() {
        for (instant, minute) in [(0, 0), (59, 0), (60, 1), (-1, -1), (-60, -1), (-61, -2)] {
            assert_eq!(Minute::of(DateTime::from_timestamp(instant, 0).unwrap()).epoch(), minute);
        }
        assert_eq!(Minute::from_seconds_up(60).epoch(), 1);
        assert_eq!(Minute::from_seconds_up(61).epoch(), 2);
        assert_eq!(Minute::from_seconds_up(-61).epoch(), -1);
    }

    #[test]
    fn extreme_instants_are_clamped_to_range() {
        assert_eq!(Minute::of(DateTime::<Utc>::MIN_UTC).to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Minute::of(DateTime::<Utc>::MAX_UTC).to_string(), "9999-12-31T23:59:00Z");
        assert_eq!(Minute::from_epoch(i64::MAX).plus(i64::MAX), Minute::from_epoch(i64::MAX));
    }
}
