//! Formats instants in local time, and finds clock changes.

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

/// The step of the search for clock changes. No zone has two changes within it.
const STEP: TimeDelta = TimeDelta::hours(6);

/// Returns the offset from UTC in seconds.
fn offset(at: DateTime<Utc>, zone: Tz) -> i32 {
    at.with_timezone(&zone).offset().fix().local_minus_utc()
}

/// Formats `08:00`, with seconds unless they are zero.
fn clock(wall: NaiveDateTime) -> String {
    let format = if wall.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    wall.format(format).to_string()
}

/// Formats `Sat 24 Oct`, with the year unless it is `year`.
fn day(wall: NaiveDateTime, year: i32) -> String {
    let format = if wall.year() == year { "%a %-d %b" } else { "%a %-d %b %Y" };
    wall.format(format).to_string()
}

/// Returns the zone's abbreviation, such as `BST`, or an offset such as `+03`.
fn abbreviation(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Z").to_string()
}

/// Formats `Sat 24 Oct 08:00 BST`, with the year unless it is `year`.
pub fn instant(at: DateTime<Utc>, zone: Tz, year: i32) -> String {
    let wall = at.with_timezone(&zone).naive_local();
    format!("{} {} {}", day(wall, year), clock(wall), abbreviation(at, zone))
}

/// Formats `Sat 24 Oct 08:00 – 18:00 BST`, or both ends in full when their days or abbreviations differ.
pub fn range(from: DateTime<Utc>, until: DateTime<Utc>, zone: Tz, year: i32) -> String {
    let [first, last] = [from, until].map(|at| at.with_timezone(&zone).naive_local());
    let [before, after] = [from, until].map(|at| abbreviation(at, zone));
    let opening = format!("{} {}", day(first, year), clock(first));
    // Midnight is shown as the end of the day before.
    let midnight = last.time() == chrono::NaiveTime::MIN && last.date().pred_opt() == Some(first.date());
    let closing = if midnight {
        "24:00".to_owned()
    } else if last.date() == first.date() && last > first {
        clock(last)
    } else {
        format!("{} {}", day(last, year), clock(last))
    };
    if before == after {
        format!("{opening} – {closing} {after}")
    } else {
        format!("{opening} {before} – {closing} {after}")
    }
}

/// Formats `24 Oct 07:00 – 17:00` in UTC, without weekday, year and zone.
pub fn utc_range(from: DateTime<Utc>, until: DateTime<Utc>) -> String {
    let day = |at: DateTime<Utc>| at.format("%-d %b").to_string();
    let [opening, closing] = [from, until].map(|at| clock(at.naive_utc()));
    if from.date_naive() == until.date_naive() {
        format!("{} {opening} – {closing}", day(from))
    } else {
        format!("{} {opening} – {} {closing}", day(from), day(until))
    }
}

/// A clock change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// The first instant with the new offset.
    pub at: DateTime<Utc>,
    /// The amount by which clocks go forward, negative when they go back.
    pub forward: TimeDelta,
}

/// Returns the clock changes of `zone` after `from` and before `until`.
pub fn changes(zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<ClockChange> {
    let mut changes = Vec::new();
    let mut start = from;
    while start < until {
        let end = (start + STEP).min(until);
        if offset(start, zone) != offset(end, zone) {
            let (mut before, mut after) = (start, end);
            while after - before > TimeDelta::seconds(1) {
                let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
                if offset(middle, zone) == offset(start, zone) { before = middle } else { after = middle }
            }
            let forward = i64::from(offset(after, zone)) - i64::from(offset(start, zone));
            if after < until {
                changes.push(ClockChange { at: after, forward: TimeDelta::seconds(forward) });
            }
        }
        start = end;
    }
    changes
}

/// Formats `clocks go back 1h on Sun 25 Oct: 02:00 BST becomes 01:00 GMT`.
pub fn change(change: ClockChange, zone: Tz, year: i32) -> String {
    let just_before = change.at - TimeDelta::nanoseconds(1);
    let new = change.at.with_timezone(&zone).naive_local();
    let old = new - change.forward;
    let direction = if change.forward > TimeDelta::zero() { "forward" } else { "back" };
    let by = super::text::elapsed(change.forward.abs().to_std().unwrap_or_default());
    let new_day = if new.date() == old.date() { String::new() } else { format!("{} ", day(new, year)) };
    format!(
        "clocks go {direction} {by} on {}: {} {} becomes {new_day}{} {}",
        day(old, year),
        clock(old),
        abbreviation(just_before, zone),
        clock(new),
        abbreviation(change.at, zone)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn all(zone: Tz, from: &str, until: &str) -> Vec<String> {
        changes(zone, utc(from), utc(until)).into_iter().map(|found| change(found, zone, 2026)).collect()
    }

    #[test]
    fn finds_clock_changes() {
        let year = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(
            all(Tz::Europe__London, year.0, year.1),
            [
                "clocks go forward 1h on Sun 29 Mar: 01:00 GMT becomes 02:00 BST",
                "clocks go back 1h on Sun 25 Oct: 02:00 BST becomes 01:00 GMT",
            ]
        );
        assert_eq!(
            all(Tz::Australia__Lord_Howe, year.0, year.1),
            [
                "clocks go back 30m on Sun 5 Apr: 02:00 +11 becomes 01:30 +1030",
                "clocks go forward 30m on Sun 4 Oct: 02:00 +1030 becomes 02:30 +11",
            ]
        );
        assert_eq!(
            all(Tz::Pacific__Apia, "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z"),
            ["clocks go forward 1d on Fri 30 Dec 2011: 00:00 -10 becomes Sat 31 Dec 2011 00:00 +14"]
        );
        assert_eq!(all(Tz::Asia__Kolkata, year.0, year.1), Vec::<String>::new());
        // The end is exclusive, and a change at the beginning is not included.
        assert_eq!(
            all(Tz::Europe__London, "2026-10-25T01:00:00Z", "2026-10-26T00:00:00Z"),
            Vec::<String>::new()
        );
        assert_eq!(
            all(Tz::Europe__London, "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn range_shows_differing_parts() {
        let of = |from: &str, until: &str| range(utc(from), utc(until), Tz::Europe__London, 2026);
        assert_eq!(of("2026-10-24T07:00:00Z", "2026-10-24T17:00:00Z"), "Sat 24 Oct 08:00 – 18:00 BST");
        assert_eq!(
            of("2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"),
            "Sat 24 Oct 22:00 BST – Sun 25 Oct 06:00 GMT"
        );
        assert_eq!(of("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"), "Fri 20 Nov 00:00 – 24:00 GMT");
        assert_eq!(
            of("2026-12-31T22:00:00Z", "2027-01-01T06:00:00Z"),
            "Thu 31 Dec 22:00 – Fri 1 Jan 2027 06:00 GMT"
        );
        // In the fold both ends may have the same wall time.
        assert_eq!(
            of("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
            "Sun 25 Oct 01:30 BST – Sun 25 Oct 01:30 GMT"
        );
    }
}
