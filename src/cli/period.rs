//! Periods from `--from`, `--for` and `--until`.

use std::time::Duration;

use chrono::{DateTime, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::error::Failure;
use crate::domain::calendar::opening_instant;
use crate::domain::parse::TextError;
use crate::domain::plan::Period;
use crate::domain::schedule::Minute;

/// The maximum length of a period: ten years.
const MAX_LENGTH: TimeDelta = TimeDelta::days(3_660);

/// The flags that define a period.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// `--from`: RFC 3339 or a date; the current time by default.
    pub from: Option<&'a str>,
    /// `--for`: the length.
    pub length: Option<Duration>,
    /// `--until`: RFC 3339 or a date.
    pub until: Option<&'a str>,
    /// The time zone of dates; UTC by default.
    pub zone: Option<Tz>,
}

/// Returns the period of `bounds`, with the length `default` without `--for` and `--until`.
///
/// # Errors
/// An empty period, one longer than ten years, or an invalid instant.
pub fn period(bounds: Bounds<'_>, default: TimeDelta, now: DateTime<Utc>) -> Result<Period, Failure> {
    let zone = bounds.zone.unwrap_or(Tz::UTC);
    let from = match bounds.from {
        // The current minute is included.
        None => Minute::of(now).instant(),
        Some(text) => instant_or_date("--from", text, zone)?,
    };
    let until = match (bounds.until, bounds.length) {
        (Some(text), _) => instant_or_date("--until", text, zone)?,
        (None, None) => from + default,
        (None, Some(length)) => TimeDelta::from_std(length)
            .ok()
            .and_then(|length| from.checked_add_signed(length))
            .ok_or_else(|| Failure::Usage("--for is too long".to_owned()))?,
    };
    if until <= from {
        return Err(match bounds.until {
            Some(_) => not_after(from, until),
            None => Failure::Usage("--for must be longer than 0".to_owned()),
        });
    }
    if until - from > MAX_LENGTH {
        return Err(too_long());
    }
    Ok(Period { from: first_minute_from(from), until: first_minute_from(until) })
}

/// Returns the past period of `bounds`, with dates in UTC. It ends with the present hour by default, and its default
/// length is `default`.
///
/// # Errors
/// An empty period, one longer than ten years, or an invalid instant.
pub fn past_hours(
    bounds: Bounds<'_>,
    default: TimeDelta,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Failure> {
    let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    let until = match bounds.until {
        None => hour + TimeDelta::hours(1),
        Some(text) => instant_or_date("--until", text, Tz::UTC)?,
    };
    let length = match bounds.length {
        None => default,
        Some(length) => TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX).min(MAX_LENGTH),
    };
    let from = match bounds.from {
        None => until.checked_sub_signed(length).unwrap_or(DateTime::<Utc>::MIN_UTC),
        Some(text) => instant_or_date("--from", text, Tz::UTC)?,
    };
    if until <= from {
        return Err(not_after(from, until));
    }
    if until - from > MAX_LENGTH {
        return Err(too_long());
    }
    Ok((from, until))
}

fn not_after(from: DateTime<Utc>, until: DateTime<Utc>) -> Failure {
    let at = |instant: DateTime<Utc>| instant.format("%F %R UTC");
    Failure::Usage(format!("--until ({}) must be after --from ({})", at(until), at(from)))
}

fn too_long() -> Failure {
    Failure::Usage("the period must not be longer than 10 years".to_owned())
}

/// Returns a past period: from the hour of `--from`, or of `length` before its end, until `--until`, or now.
///
/// # Errors
/// An empty period, one longer than ten years, or an invalid instant.
pub fn past(bounds: Bounds<'_>, length: TimeDelta, now: DateTime<Utc>) -> Result<Period, Failure> {
    let zone = bounds.zone.unwrap_or(Tz::UTC);
    let until = match bounds.until {
        Some(text) => instant_or_date("--until", text, zone)?.min(now),
        None => now,
    };
    let from = match (bounds.from, bounds.length) {
        (Some(text), _) => instant_or_date("--from", text, zone)?,
        (None, given) => {
            let length = given.map_or(Ok(length), TimeDelta::from_std).ok();
            let from = length.and_then(|length| until.checked_sub_signed(length));
            from.ok_or_else(|| Failure::Usage("--last is too long".to_owned()))?
        }
    };
    let from = from.duration_trunc(TimeDelta::hours(1)).unwrap_or(from);
    if until <= from {
        let at = |instant: DateTime<Utc>| instant.format("%F %R UTC");
        let end = if bounds.until.is_some() { "--until" } else { "the present" };
        return Err(Failure::Usage(format!("{end} ({}) must be after --from ({})", at(until), at(from))));
    }
    if until - from > MAX_LENGTH {
        return Err(too_long());
    }
    Ok(Period { from: Minute::of(from), until: first_minute_from(until) })
}

/// Returns the first whole minute at or after `at`.
fn first_minute_from(at: DateTime<Utc>) -> Minute {
    let up = at.duration_trunc(TimeDelta::minutes(1)).is_ok_and(|minute| minute != at);
    Minute::of(at).plus(i64::from(up))
}

/// Parses the value of a flag: RFC 3339, or a date, which is its midnight in `zone`.
fn instant_or_date(flag: &str, text: &str, zone: Tz) -> Result<DateTime<Utc>, Failure> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // If a clock change skips midnight, the day begins at the first instant after it.
        return Ok(opening_instant(date.and_time(NaiveTime::MIN), zone));
    }
    let expected = || TextError::expected("RFC 3339 or a date such as 2026-11-20", text).into_line();
    super::value_parsers::instant(text).map_err(|_| Failure::Usage(format!("{flag}: {}", expected())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_period_ends_with_the_present_hour() {
        let of = |from: Option<&str>, length: Option<u64>, until: Option<&str>| {
            let bounds = Bounds { from, length: length.map(Duration::from_secs), until, zone: None };
            let now = "2026-11-20T09:31:00Z".parse().unwrap();
            let shown = |(from, until): (DateTime<Utc>, DateTime<Utc>)| {
                format!("{} {}", from.format("%dT%R"), until.format("%dT%R"))
            };
            past_hours(bounds, TimeDelta::days(1), now).map(shown).map_err(|error| error.to_string())
        };
        assert_eq!(of(None, None, None).unwrap(), "19T10:00 20T10:00");
        assert_eq!(of(None, None, Some("2026-11-10")).unwrap(), "09T00:00 10T00:00");
        assert_eq!(of(Some("2026-11-20T08:30:00Z"), None, None).unwrap(), "20T08:30 20T10:00");
        assert_eq!(of(None, Some(7_200), None).unwrap(), "20T08:00 20T10:00");
        assert!(of(Some("2026-11-20T10:00:00Z"), None, None).unwrap_err().contains("must be after --from"));
        assert_eq!(
            of(Some("1990-01-01"), None, None).unwrap_err(),
            "the period must not be longer than 10 years"
        );
        assert!(of(None, Some(u64::MAX), None).is_ok(), "a length is cut");
    }
}
