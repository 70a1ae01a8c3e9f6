//! Schedules of scheduled actions.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Returns the instant of a schedule `at(yyyy-mm-ddThh:mm:ss)` in a time zone, UTC without one; `None` for a schedule
/// that recurs.
///
/// # Errors
/// The reason why the schedule is not valid.
pub(super) fn instant(schedule: &str, timezone: Option<&str>) -> Result<Option<DateTime<Utc>>, String> {
    let zone: Tz = match timezone {
        None => Tz::UTC,
        Some(name) => name.parse().map_err(|_| format!("{name} is not a time zone"))?,
    };
    let invalid = || format!("Invalid schedule expression: {schedule}");
    let inner = |kind: &str| schedule.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(at) = inner("at") {
        let local = NaiveDateTime::parse_from_str(at, "%Y-%m-%dT%H:%M:%S").map_err(|_| invalid())?;
        // A local time that occurs twice means the first one.
        let at = zone.from_local_datetime(&local).earliest().ok_or_else(invalid)?;
        return Ok(Some(at.to_utc()));
    }
    let is_rate = |text: &str| {
        let (value, unit) = text.split_once(' ').unwrap_or_default();
        let unit = unit.strip_suffix('s').unwrap_or(unit);
        value.parse::<u32>().is_ok_and(|value| value > 0) && ["minute", "hour", "day"].contains(&unit)
    };
    let is_cron = |text: &str| text.split_whitespace().count() == 6;
    match (inner("rate"), inner("cron")) {
        (Some(rate), _) if is_rate(rate) => Ok(None),
        (_, Some(cron)) if is_cron(cron) => Ok(None),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_in_the_time_zone() {
        let at = |schedule: &str, zone| {
            instant(schedule, zone).map(|at| at.map(|at| at.format("%dT%H:%M").to_string()))
        };
        let known = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(at("at(2026-11-23T07:56:00)", None), known("23T07:56"));
        assert_eq!(at("at(2026-11-23T07:56:00)", Some("America/New_York")), known("23T12:56"));
        // 02:30 occurs twice.
        assert_eq!(at("at(2026-10-25T02:30:00)", Some("Europe/Berlin")), known("25T00:30"));
        for recurs in ["rate(1 hour)", "rate(5 minutes)", "cron(0 8 ? * MON-FRI *)"] {
            assert_eq!(at(recurs, None), Ok(None));
        }
        // 02:30 does not occur.
        assert!(at("at(2026-03-29T02:30:00)", Some("Europe/Berlin")).is_err());
        assert!(at("rate(1 hour)", Some("Mars/Base")).is_err());
        for wrong in ["", "at()", "at(2026-11-23)", "at(2026-11-23T07:56:00Z)", "rate(0 hours)", "cron(0 8)"]
        {
            assert!(at(wrong, None).is_err(), "{wrong}");
        }
    }
}
