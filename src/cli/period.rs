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

fn not_after(from: DateTime<Utc>, until: DateTime<Utc>) -> Failure {
    let at = |instant: DateTime<Utc>| instant.format("%F %R UTC");
    Failure::Usage(format!("--until ({}) must be after --from ({})", at(until), at(from)))
}

fn too_long() -> Failure {
    Failure::Usage("the period must not be longer than 10 years".to_owned())
}

/// Returns a past period of whole hours in UTC, of which the last one may be the running hour until now. It begins with the
/// hour of `--from`, or of `length` before `--until` or now.
///
/// # Errors
/// A period that is empty, in the future or longer than ten years, or an invalid instant.
pub fn past(bounds: Bounds<'_>, length: TimeDelta, now: DateTime<Utc>) -> Result<Period, Failure> {
    let until = bounds.until.map(|text| instant_or_date("--until", text, Tz::UTC)).transpose()?;
    let from = match (bounds.from, bounds.length) {
        (Some(text), _) => instant_or_date("--from", text, Tz::UTC)?,
        (None, Some(Duration::ZERO)) => {
            return Err(Failure::Usage("--last must be longer than 0".to_owned()));
        }
        (None, given) => {
            let length = given.map_or(Ok(length), TimeDelta::from_std).ok();
            let from = length.and_then(|length| until.unwrap_or(now).checked_sub_signed(length));
            from.ok_or_else(|| Failure::Usage("--last is too long".to_owned()))?
        }
    };
    if let Some(until) = until.filter(|until| *until <= from) {
        return Err(not_after(from, until));
    }
    if from >= now {
        let [from, now] = [from, now].map(|instant| instant.format("%F %R UTC"));
        return Err(Failure::Usage(format!("the period begins in the future: {from}, now is {now}")));
    }
    let hour = TimeDelta::hours(1);
    let begin = |at: DateTime<Utc>| at.duration_trunc(hour).unwrap_or(at);
    let from = begin(from);
    let until =
        until.map_or(now, |until| if begin(until) == until { until } else { begin(until) + hour }.min(now));
    if until - from > MAX_LENGTH + hour {
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
    fn a_past_period_has_whole_hours_until_now() {
        let of = |from: Option<&str>, length: Option<u64>, until: Option<&str>| {
            let bounds = Bounds { from, length: length.map(Duration::from_secs), until, zone: None };
            let now = "2026-11-20T10:31:30Z".parse().unwrap();
            let shown = |Period { from, until }: Period| {
                [from, until].map(|at| at.instant().format("%dT%R").to_string()).join(" ")
            };
            past(bounds, TimeDelta::days(1), now).map(shown).map_err(|error| error.to_string())
        };
        let at = |time: &str| format!("2026-11-20T{time}Z");
        assert_eq!(of(None, None, None).unwrap(), "19T10:00 20T10:32");
        assert_eq!(of(None, None, Some("2026-11-10")).unwrap(), "09T00:00 10T00:00");
        assert_eq!(
            of(None, Some(3_600), None).unwrap(),
            "20T09:00 20T10:32",
            "the running hour and the one before"
        );
        assert_eq!(of(Some(&at("08:30:00")), None, Some(&at("09:15:00"))).unwrap(), "20T08:00 20T10:00");
        assert_eq!(of(Some(&at("08:30:00")), None, Some(&at("10:15:00"))).unwrap(), "20T08:00 20T10:32");
        assert_eq!(of(Some(&at("08:30:00")), None, Some("2027-01-01")).unwrap(), "20T08:00 20T10:32");
        assert_eq!(of(None, Some(86_400), Some("2026-11-21")).unwrap(), "20T00:00 20T10:32");
        for (from, length, until, error) in [
            (
                Some("2026-11-20"),
                None,
                Some("2026-11-20"),
                "--until (2026-11-20 00:00 UTC) must be after --from (2026-11-20 00:00 UTC)",
            ),
            (
                Some("2099-01-01"),
                None,
                Some("2099-02-01"),
                "the period begins in the future: 2099-01-01 00:00 UTC, now is 2026-11-20 10:31 UTC",
            ),
            (
                None,
                Some(86_400),
                Some("2099-02-01"),
                "the period begins in the future: 2099-01-31 00:00 UTC, now is 2026-11-20 10:31 UTC",
            ),
            (None, Some(0), None, "--last must be longer than 0"),
            (None, Some(u64::MAX), None, "--last is too long"),
            (Some("1990-01-01"), None, None, "the period must not be longer than 10 years"),
            (None, Some(3_661 * 86_400), None, "the period must not be longer than 10 years"),
        ] {
            assert_eq!(of(from, length, until).unwrap_err(), error);
        }
        assert!(of(None, Some(3_660 * 86_400), None).is_ok(), "ten years, and the hour in which they begin");
    }
}
