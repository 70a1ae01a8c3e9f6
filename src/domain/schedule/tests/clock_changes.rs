//! Tables of both clock changes of a year in zones with different rules.

use std::fmt::Write;

use chrono::{NaiveDateTime, SecondsFormat};

use super::*;
use crate::domain::calendar::{closing_instant, opening_instant};

/// Returns one line per window with its openings and closings around `day`, in UTC.
fn table(zone: Tz, day: &str, hours: &[&str]) -> String {
    let mut out = String::new();
    let day = date(day);
    for text in hours {
        let window = weekly(zone, "daily", text, 1);
        let (first, last) = (day.pred_opt().unwrap(), day.succ_opt().unwrap());
        let mut line = format!("{text:<12}");
        let mut at = opening_instant(first.and_hms_opt(0, 0, 0).unwrap(), zone) - TimeDelta::seconds(1);
        while let Some(next) = window.next_opening(at, last) {
            write!(line, " {} {}-{}", next.day.format("%d:"), short(next.opens), short(next.closes)).unwrap();
            at = next.opens;
        }
        writeln!(out, "{line}").unwrap();
    }
    out
}

fn short(at: DateTime<Utc>) -> String {
    at.format("%dT%H:%MZ").to_string()
}

const HOURS: &[&str] =
    &["all-day", "22:00-06:00", "01:00-03:00", "01:30-02:30", "02:00-02:30", "02:15-02:45", "02:30-02:00"];

#[test]
fn clock_changes_of_london() {
    // Forward at 01:00 to 02:00 on 29 March, back at 02:00 to 01:00 on 25 October 2026.
    insta::assert_snapshot!(table(Tz::Europe__London, "2026-03-29", HOURS), @r#"
        all-day      28: 28T00:00Z-29T00:00Z 29: 29T00:00Z-29T23:00Z 30: 29T23:00Z-30T23:00Z
        22:00-06:00  28: 28T22:00Z-29T05:00Z 29: 29T21:00Z-30T05:00Z 30: 30T21:00Z-31T05:00Z
        01:00-03:00  28: 28T01:00Z-28T03:00Z 29: 29T01:00Z-29T02:00Z 30: 30T00:00Z-30T02:00Z
        01:30-02:30  28: 28T01:30Z-28T02:30Z 29: 29T01:00Z-29T01:30Z 30: 30T00:30Z-30T01:30Z
        02:00-02:30  28: 28T02:00Z-28T02:30Z 29: 29T01:00Z-29T01:30Z 30: 30T01:00Z-30T01:30Z
        02:15-02:45  28: 28T02:15Z-28T02:45Z 29: 29T01:15Z-29T01:45Z 30: 30T01:15Z-30T01:45Z
        02:30-02:00  28: 28T02:30Z-29T01:00Z 29: 29T01:30Z-30T01:00Z 30: 30T01:30Z-31T01:00Z
        "#);
    insta::assert_snapshot!(table(Tz::Europe__London, "2026-10-25", HOURS), @r#"
        all-day      24: 23T23:00Z-24T23:00Z 25: 24T23:00Z-26T00:00Z 26: 26T00:00Z-27T00:00Z
        22:00-06:00  24: 24T21:00Z-25T06:00Z 25: 25T22:00Z-26T06:00Z 26: 26T22:00Z-27T06:00Z
        01:00-03:00  24: 24T00:00Z-24T02:00Z 25: 25T00:00Z-25T03:00Z 26: 26T01:00Z-26T03:00Z
        01:30-02:30  24: 24T00:30Z-24T01:30Z 25: 25T00:30Z-25T02:30Z 26: 26T01:30Z-26T02:30Z
        02:00-02:30  24: 24T01:00Z-24T01:30Z 25: 25T02:00Z-25T02:30Z 26: 26T02:00Z-26T02:30Z
        02:15-02:45  24: 24T01:15Z-24T01:45Z 25: 25T02:15Z-25T02:45Z 26: 26T02:15Z-26T02:45Z
        02:30-02:00  24: 24T01:30Z-25T02:00Z 25: 25T02:30Z-26T02:00Z 26: 26T02:30Z-27T02:00Z
        "#);
}

#[test]
fn clock_changes_of_new_york() {
    // Forward at 02:00 to 03:00 on 8 March, back at 02:00 to 01:00 on 1 November 2026.
    insta::assert_snapshot!(table(Tz::America__New_York, "2026-03-08", HOURS), @r#"
        all-day      07: 07T05:00Z-08T05:00Z 08: 08T05:00Z-09T04:00Z 09: 09T04:00Z-10T04:00Z
        22:00-06:00  07: 08T03:00Z-08T10:00Z 08: 09T02:00Z-09T10:00Z 09: 10T02:00Z-10T10:00Z
        01:00-03:00  07: 07T06:00Z-07T08:00Z 08: 08T06:00Z-08T07:00Z 09: 09T05:00Z-09T07:00Z
        01:30-02:30  07: 07T06:30Z-07T07:30Z 08: 08T06:30Z-08T07:00Z 09: 09T05:30Z-09T06:30Z
        02:00-02:30  07: 07T07:00Z-07T07:30Z 09: 09T06:00Z-09T06:30Z
        02:15-02:45  07: 07T07:15Z-07T07:45Z 09: 09T06:15Z-09T06:45Z
        02:30-02:00  07: 07T07:30Z-08T07:00Z 08: 08T07:00Z-09T06:00Z 09: 09T06:30Z-10T06:00Z
        "#);
    insta::assert_snapshot!(table(Tz::America__New_York, "2026-11-01", HOURS), @r#"
        all-day      31: 31T04:00Z-01T04:00Z 01: 01T04:00Z-02T05:00Z 02: 02T05:00Z-03T05:00Z
        22:00-06:00  31: 01T02:00Z-01T11:00Z 01: 02T03:00Z-02T11:00Z 02: 03T03:00Z-03T11:00Z
        01:00-03:00  31: 31T05:00Z-31T07:00Z 01: 01T05:00Z-01T08:00Z 02: 02T06:00Z-02T08:00Z
        01:30-02:30  31: 31T05:30Z-31T06:30Z 01: 01T05:30Z-01T07:30Z 02: 02T06:30Z-02T07:30Z
        02:00-02:30  31: 31T06:00Z-31T06:30Z 01: 01T07:00Z-01T07:30Z 02: 02T07:00Z-02T07:30Z
        02:15-02:45  31: 31T06:15Z-31T06:45Z 01: 01T07:15Z-01T07:45Z 02: 02T07:15Z-02T07:45Z
        02:30-02:00  31: 31T06:30Z-01T07:00Z 01: 01T07:30Z-02T07:00Z 02: 02T07:30Z-03T07:00Z
        "#);
}

#[test]
fn clock_changes_of_lord_howe() {
    // A change of half an hour: back at 02:00 to 01:30 on 5 April, forward at 02:00 to 02:30 on 4 October 2026.
    insta::assert_snapshot!(table(Tz::Australia__Lord_Howe, "2026-04-05", HOURS), @r#"
        all-day      04: 03T13:00Z-04T13:00Z 05: 04T13:00Z-05T13:30Z 06: 05T13:30Z-06T13:30Z
        22:00-06:00  04: 04T11:00Z-04T19:30Z 05: 05T11:30Z-05T19:30Z 06: 06T11:30Z-06T19:30Z
        01:00-03:00  04: 03T14:00Z-03T16:00Z 05: 04T14:00Z-04T16:30Z 06: 05T14:30Z-05T16:30Z
        01:30-02:30  04: 03T14:30Z-03T15:30Z 05: 04T14:30Z-04T16:00Z 06: 05T15:00Z-05T16:00Z
        02:00-02:30  04: 03T15:00Z-03T15:30Z 05: 04T15:30Z-04T16:00Z 06: 05T15:30Z-05T16:00Z
        02:15-02:45  04: 03T15:15Z-03T15:45Z 05: 04T15:45Z-04T16:15Z 06: 05T15:45Z-05T16:15Z
        02:30-02:00  04: 03T15:30Z-04T15:30Z 05: 04T16:00Z-05T15:30Z 06: 05T16:00Z-06T15:30Z
        "#);
    insta::assert_snapshot!(table(Tz::Australia__Lord_Howe, "2026-10-04", HOURS), @r#"
        all-day      03: 02T13:30Z-03T13:30Z 04: 03T13:30Z-04T13:00Z 05: 04T13:00Z-05T13:00Z
        22:00-06:00  03: 03T11:30Z-03T19:00Z 04: 04T11:00Z-04T19:00Z 05: 05T11:00Z-05T19:00Z
        01:00-03:00  03: 02T14:30Z-02T16:30Z 04: 03T14:30Z-03T16:00Z 05: 04T14:00Z-04T16:00Z
        01:30-02:30  03: 02T15:00Z-02T16:00Z 04: 03T15:00Z-03T15:30Z 05: 04T14:30Z-04T15:30Z
        02:00-02:30  03: 02T15:30Z-02T16:00Z 05: 04T15:00Z-04T15:30Z
        02:15-02:45  03: 02T15:45Z-02T16:15Z 04: 03T15:30Z-03T15:45Z 05: 04T15:15Z-04T15:45Z
        02:30-02:00  03: 02T16:00Z-03T15:30Z 04: 03T15:30Z-04T15:00Z 05: 04T15:30Z-05T15:00Z
        "#);
}

#[test]
fn clock_changes_of_apia() {
    // Friday 30 December 2011 was skipped; clocks went back at 04:00 to 03:00 on 1 April 2012.
    insta::assert_snapshot!(table(Tz::Pacific__Apia, "2011-12-30", HOURS), @r#"
        all-day      29: 29T10:00Z-30T10:00Z 31: 30T10:00Z-31T10:00Z
        22:00-06:00  29: 30T08:00Z-30T10:00Z 30: 30T10:00Z-30T16:00Z 31: 31T08:00Z-31T16:00Z
        01:00-03:00  29: 29T11:00Z-29T13:00Z 31: 30T11:00Z-30T13:00Z
        01:30-02:30  29: 29T11:30Z-29T12:30Z 31: 30T11:30Z-30T12:30Z
        02:00-02:30  29: 29T12:00Z-29T12:30Z 31: 30T12:00Z-30T12:30Z
        02:15-02:45  29: 29T12:15Z-29T12:45Z 31: 30T12:15Z-30T12:45Z
        02:30-02:00  29: 29T12:30Z-30T10:00Z 30: 30T10:00Z-30T12:00Z 31: 30T12:30Z-31T12:00Z
        "#);
    insta::assert_snapshot!(
        table(Tz::Pacific__Apia, "2012-04-01", &["all-day", "03:00-04:00", "03:30-03:45", "22:00-03:30"]),
        @r#"
        all-day      31: 30T10:00Z-31T10:00Z 01: 31T10:00Z-01T11:00Z 02: 01T11:00Z-02T11:00Z
        03:00-04:00  31: 30T13:00Z-30T14:00Z 01: 31T13:00Z-31T15:00Z 02: 01T14:00Z-01T15:00Z
        03:30-03:45  31: 30T13:30Z-30T13:45Z 01: 31T13:30Z-31T14:45Z 02: 01T14:30Z-01T14:45Z
        22:00-03:30  31: 31T08:00Z-31T14:30Z 01: 01T09:00Z-01T14:30Z 02: 02T09:00Z-02T14:30Z
        "#
    );
}

#[test]
fn clock_changes_of_casablanca() {
    // Clocks go back for Ramadan, at 03:00 to 02:00 on 15 February, and forward again at 02:00 to 03:00 on 22 March
    // 2026.
    insta::assert_snapshot!(table(Tz::Africa__Casablanca, "2026-02-15", HOURS), @r#"
        all-day      14: 13T23:00Z-14T23:00Z 15: 14T23:00Z-16T00:00Z 16: 16T00:00Z-17T00:00Z
        22:00-06:00  14: 14T21:00Z-15T06:00Z 15: 15T22:00Z-16T06:00Z 16: 16T22:00Z-17T06:00Z
        01:00-03:00  14: 14T00:00Z-14T02:00Z 15: 15T00:00Z-15T03:00Z 16: 16T01:00Z-16T03:00Z
        01:30-02:30  14: 14T00:30Z-14T01:30Z 15: 15T00:30Z-15T02:30Z 16: 16T01:30Z-16T02:30Z
        02:00-02:30  14: 14T01:00Z-14T01:30Z 15: 15T01:00Z-15T02:30Z 16: 16T02:00Z-16T02:30Z
        02:15-02:45  14: 14T01:15Z-14T01:45Z 15: 15T01:15Z-15T02:45Z 16: 16T02:15Z-16T02:45Z
        02:30-02:00  14: 14T01:30Z-15T02:00Z 15: 15T01:30Z-16T02:00Z 16: 16T02:30Z-17T02:00Z
        "#);
    insta::assert_snapshot!(table(Tz::Africa__Casablanca, "2026-03-22", HOURS), @r#"
        all-day      21: 21T00:00Z-22T00:00Z 22: 22T00:00Z-22T23:00Z 23: 22T23:00Z-23T23:00Z
        22:00-06:00  21: 21T22:00Z-22T05:00Z 22: 22T21:00Z-23T05:00Z 23: 23T21:00Z-24T05:00Z
        01:00-03:00  21: 21T01:00Z-21T03:00Z 22: 22T01:00Z-22T02:00Z 23: 23T00:00Z-23T02:00Z
        01:30-02:30  21: 21T01:30Z-21T02:30Z 22: 22T01:30Z-22T02:00Z 23: 23T00:30Z-23T01:30Z
        02:00-02:30  21: 21T02:00Z-21T02:30Z 23: 23T01:00Z-23T01:30Z
        02:15-02:45  21: 21T02:15Z-21T02:45Z 23: 23T01:15Z-23T01:45Z
        02:30-02:00  21: 21T02:30Z-22T02:00Z 22: 22T02:00Z-23T01:00Z 23: 23T01:30Z-24T01:00Z
        "#);
}

#[test]
fn clock_changes_of_sao_paulo() {
    // Changes at midnight: back at 00:00 to 23:00 (of the 17th) on 18 February, forward at 00:00 to 01:00 on
    // 4 November 2018.
    let hours =
        ["all-day", "22:00-06:00", "00:00-00:30", "00:00-01:30", "00:30-01:00", "23:30-00:30", "23:00-23:30"];
    insta::assert_snapshot!(table(Tz::America__Sao_Paulo, "2018-02-18", &hours), @r#"
        all-day      17: 17T02:00Z-18T03:00Z 18: 18T03:00Z-19T03:00Z 19: 19T03:00Z-20T03:00Z
        22:00-06:00  17: 18T00:00Z-18T09:00Z 18: 19T01:00Z-19T09:00Z 19: 20T01:00Z-20T09:00Z
        00:00-00:30  17: 17T02:00Z-17T02:30Z 18: 18T03:00Z-18T03:30Z 19: 19T03:00Z-19T03:30Z
        00:00-01:30  17: 17T02:00Z-17T03:30Z 18: 18T03:00Z-18T04:30Z 19: 19T03:00Z-19T04:30Z
        00:30-01:00  17: 17T02:30Z-17T03:00Z 18: 18T03:30Z-18T04:00Z 19: 19T03:30Z-19T04:00Z
        23:30-00:30  17: 18T01:30Z-18T03:30Z 18: 19T02:30Z-19T03:30Z 19: 20T02:30Z-20T03:30Z
        23:00-23:30  17: 18T01:00Z-18T02:30Z 18: 19T02:00Z-19T02:30Z 19: 20T02:00Z-20T02:30Z
        "#);
    insta::assert_snapshot!(table(Tz::America__Sao_Paulo, "2018-11-04", &hours), @r#"
        all-day      03: 03T03:00Z-04T03:00Z 04: 04T03:00Z-05T02:00Z 05: 05T02:00Z-06T02:00Z
        22:00-06:00  03: 04T01:00Z-04T08:00Z 04: 05T00:00Z-05T08:00Z 05: 06T00:00Z-06T08:00Z
        00:00-00:30  03: 03T03:00Z-03T03:30Z 05: 05T02:00Z-05T02:30Z
        00:00-01:30  03: 03T03:00Z-03T04:30Z 04: 04T03:00Z-04T03:30Z 05: 05T02:00Z-05T03:30Z
        00:30-01:00  03: 03T03:30Z-03T04:00Z 05: 05T02:30Z-05T03:00Z
        23:30-00:30  03: 04T02:30Z-04T03:00Z 04: 05T01:30Z-05T02:30Z 05: 06T01:30Z-06T02:30Z
        23:00-23:30  03: 04T02:00Z-04T02:30Z 04: 05T01:00Z-05T01:30Z 05: 06T01:00Z-06T01:30Z
        "#);
}

#[test]
fn wall_times_in_gaps_and_folds_map_to_instants() {
    let at = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
    for (zone, wall, opens, closes) in [
        (Tz::Europe__London, "2026-03-29T01:30:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        (Tz::Europe__London, "2026-10-25T01:30:00", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        // The first and the last minute of a fold, and the minutes beside it.
        (Tz::Europe__London, "2026-10-25T00:59:00", "2026-10-24T23:59:00Z", "2026-10-24T23:59:00Z"),
        (Tz::Europe__London, "2026-10-25T01:00:00", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"),
        (Tz::Europe__London, "2026-10-25T01:59:00", "2026-10-25T00:59:00Z", "2026-10-25T01:59:00Z"),
        (Tz::Europe__London, "2026-10-25T02:00:00", "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"),
        (Tz::Australia__Lord_Howe, "2026-10-04T02:15:00", "2026-10-03T15:30:00Z", "2026-10-03T15:30:00Z"),
        (Tz::Australia__Lord_Howe, "2026-04-05T01:45:00", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"),
        (Tz::Pacific__Chatham, "2026-09-27T03:00:00", "2026-09-26T14:00:00Z", "2026-09-26T14:00:00Z"),
        (Tz::Pacific__Apia, "2011-12-30T12:00:00", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
        (Tz::America__Sao_Paulo, "2018-11-04T00:00:00", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z"),
    ] {
        let wall: NaiveDateTime = wall.parse().unwrap();
        assert_eq!(at(opening_instant(wall, zone)), opens, "{zone} {wall}");
        assert_eq!(at(closing_instant(wall, zone)), closes, "{zone} {wall}");
    }
}
