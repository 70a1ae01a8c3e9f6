use std::fmt::Write;

use chrono::{NaiveDate, Weekday};
use proptest::prelude::*;

use super::*;

/// Shows every text with carets under the invalid part, the message and the hint.
fn errors<T: std::fmt::Debug>(parse: fn(&str) -> Result<T, TextError>, texts: &[&str]) -> String {
    let mut out = String::new();
    for text in texts {
        let error = parse(text).expect_err(text);
        let before = text[..error.at.start].chars().count();
        let under = text[error.at.clone()].chars().count().max(1);
        writeln!(out, "{text}\n{}{} {error}", " ".repeat(before), "^".repeat(under)).unwrap();
        if let Some(hint) = &error.hint {
            writeln!(out, "  hint: {hint}").unwrap();
        }
    }
    out
}

fn days(text: &str) -> Vec<&'static str> {
    let set = DaySet::parse(text).unwrap();
    let week =
        [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
    week.into_iter().filter(|day| set.contains(*day)).map(short_name).collect()
}

#[test]
fn parses_day_names_ranges_and_lists() {
    assert_eq!(days("mon-fri"), ["mon", "tue", "wed", "thu", "fri"]);
    assert_eq!(days("sat,sun"), ["sat", "sun"]);
    assert_eq!(days("fri-mon"), ["mon", "fri", "sat", "sun"]);
    assert_eq!(days(" Monday , wed-THURS "), ["mon", "wed", "thu"]);
    assert_eq!(days("daily").len(), 7);
    assert_eq!(days("sun-sat").len(), 7);
}

#[test]
fn rejects_invalid_days() {
    insta::assert_snapshot!(
        errors(DaySet::parse, &["mon-fry", "", "mon,,tue", "1-5", "weekdays", "every-day", "mon-mon", "blursday"]),
        @r#"
        mon-fry
            ^^^ expected a day of the week, found "fry"
          hint: did you mean `fri`?

        ^ missing day
          hint: days are mon tue wed thu fri sat sun
        mon,,tue
            ^ missing day
          hint: days are mon tue wed thu fri sat sun
        1-5
        ^ expected a day of the week, found "1"
          hint: write days by name: mon tue wed thu fri sat sun
        weekdays
        ^^^^^^^^ expected a day of the week, found "weekdays"
          hint: write `mon-fri`
        every-day
        ^^^^^^^^^ expected a day of the week, found "every-day"
          hint: write `daily`
        mon-mon
        ^^^^^^^ the range starts and ends on mon
          hint: write `mon` for one day, `daily` for every day
        blursday
        ^^^^^^^^ expected a day of the week, found "blursday"
          hint: did you mean `thursday`?
        "#
    );
}

#[test]
fn parses_hours() {
    let time = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
    let between = |start, end| Ok(Hours::Between { start, end });
    assert_eq!(Hours::parse("08:00-18:30"), between(time(8, 0), Some(time(18, 30))));
    assert_eq!(Hours::parse(" 22:00 - 06:00 "), between(time(22, 0), Some(time(6, 0))));
    assert_eq!(Hours::parse("08:00-24:00"), between(time(8, 0), None));
    assert_eq!(Hours::parse("08:00-00:00"), between(time(8, 0), Some(time(0, 0))));
    assert_eq!(Hours::parse("00:00-24:00"), between(time(0, 0), None));
    assert_eq!(Hours::parse("all-day"), Ok(Hours::AllDay));
}

#[test]
fn rejects_invalid_hours() {
    insta::assert_snapshot!(
        errors(Hours::parse, &[
            "25:00-26:00", "08:00-18:60", "8:00-18:00", "8am-6pm", "0800-1800", "09:00-09:00", "24:00-06:00",
            "24:00-24:00", "09:00", "", "08:00 to 18:00", "all day", "08:00-24:01", "08:00-18:00-20:00", "٠٨:00-18:00",
        ]),
        @r#"
        25:00-26:00
        ^^^^^ expected a time of day, found "25:00"
          hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
        08:00-18:60
              ^^^^^ expected a time of day, found "18:60"
          hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
        8:00-18:00
        ^^^^ expected a time of day, found "8:00"
          hint: did you mean `08:00`?
        8am-6pm
        ^^^ expected a time of day, found "8am"
          hint: did you mean `08:00`?
        0800-1800
        ^^^^ expected a time of day, found "0800"
          hint: did you mean `08:00`?
        09:00-09:00
        ^^^^^^^^^^^ the window opens and closes at the same time
          hint: write `all-day` for midnight to midnight
        24:00-06:00
        ^^^^^ a window cannot open at 24:00
          hint: write `00:00` and the next day
        24:00-24:00
        ^^^^^^^^^^^ the window opens and closes at the same time
          hint: write `all-day` for midnight to midnight
        09:00
        ^^^^^ expected hours, found "09:00"
          hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`

        ^ missing hours
          hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
        08:00 to 18:00
        ^^^^^^^^^^^^^^ expected hours, found "08:00 to 18:00"
          hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
        all day
        ^^^^^^^ expected hours, found "all day"
          hint: write `all-day`
        08:00-24:01
              ^^^^^ expected a time of day, found "24:01"
          hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
        08:00-18:00-20:00
              ^^^^^^^^^^^ expected a time of day, found "18:00-20:00"
          hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
        ٠٨:00-18:00
        ^^^^^ expected a time of day, found "٠٨:00"
          hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
        "#
    );
}

#[test]
fn parses_names_of_iana_database() {
    for name in
        ["Europe/London", "America/Argentina/Buenos_Aires", "UTC", "EST", "CET", "Etc/GMT-1", "Asia/Calcutta"]
    {
        assert_eq!(parse_zone(name).unwrap().name(), name);
    }
}

#[test]
fn rejects_invalid_zones() {
    insta::assert_snapshot!(
        errors(parse_zone, &[
            "Europe/Lodnon", "IST", "BST", "est5", "JST", "europe/london", "London", "Lodnon", "New York", "Mumbai",
            "UTC+1", "+05:30", "GMT-8", "GMT+20", "", "Middle Earth", "Zürich",
        ]),
        @r#"
    Europe/Lodnon
    ^^^^^^^^^^^^^ unknown time zone "Europe/Lodnon"
      hint: did you mean `Europe/London`?
    IST
    ^^^ ambiguous time zone "IST"
      hint: write `Asia/Kolkata`, `Europe/Dublin` or `Asia/Jerusalem`
    BST
    ^^^ ambiguous time zone "BST"
      hint: write `Europe/London`, `Asia/Dhaka` or `Pacific/Bougainville`
    est5
    ^^^^ unknown time zone "est5"
      hint: did you mean `EST`?
    JST
    ^^^ unknown time zone "JST"
      hint: write `Asia/Tokyo`
    europe/london
    ^^^^^^^^^^^^^ unknown time zone "europe/london"
      hint: did you mean `Europe/London`?
    London
    ^^^^^^ unknown time zone "London"
      hint: did you mean `Europe/London`?
    Lodnon
    ^^^^^^ unknown time zone "Lodnon"
      hint: did you mean `Europe/London`?
    New York
    ^^^^^^^^ unknown time zone "New York"
      hint: did you mean `America/New_York`?
    Mumbai
    ^^^^^^ unknown time zone "Mumbai"
      hint: write `Asia/Kolkata`
    UTC+1
    ^^^^^ unknown time zone "UTC+1"
      hint: write a city, such as `Europe/Paris`, to follow its clock changes; or `Etc/GMT-1`
    +05:30
    ^^^^^^ unknown time zone "+05:30"
      hint: write a city, such as `Asia/Kolkata`
    GMT-8
    ^^^^^ unknown time zone "GMT-8"
      hint: write a city, such as `Europe/Paris`, to follow its clock changes; or `Etc/GMT+8`
    GMT+20
    ^^^^^^ unknown time zone "GMT+20"
      hint: write a city, such as `Asia/Kolkata`

    ^ missing time zone
      hint: write an IANA name such as `Europe/London`
    Middle Earth
    ^^^^^^^^^^^^ unknown time zone "Middle Earth"
      hint: write an IANA name such as `Europe/London` or `America/New_York`
    Zürich
    ^^^^^^ unknown time zone "Zürich"
      hint: did you mean `Europe/Zurich`?
    "#
    );
}

/// Returns the first wall times of the expression from 2026-11-20 00:00, a Friday.
fn times(text: &str) -> Vec<String> {
    let start = NaiveDate::from_ymd_opt(2026, 11, 19).unwrap().and_hms_opt(23, 59, 59).unwrap();
    let schedule = parse_cron(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    schedule
        .after(&start.and_utc())
        .take(3)
        .map(|time| time.format("%a %Y-%m-%d %H:%M:%S").to_string())
        .collect()
}

#[test]
fn parses_three_cron_dialects() {
    let expected = ["Fri 2026-11-20 07:30:00", "Mon 2026-11-23 07:30:00", "Tue 2026-11-24 07:30:00"];
    for text in [
        "30 7 * * mon-fri",
        "30 7 ? * Monday-FRIDAY",
        "0 30 7 * * mon-fri",
        "00 30 07 ? * MON,TUE,WED,THU,FRI",
        "cron(30 7 ? * MON-FRI *)",
        " CRON( 30 7 ? * MON-FRI 2026-2100 ) ",
    ] {
        assert_eq!(times(text), expected, "{text}");
    }
}

#[test]
fn parses_lists_steps_and_names_in_cron_fields() {
    assert_eq!(
        times("*/20 9-10/1 * * *"),
        ["Fri 2026-11-20 09:00:00", "Fri 2026-11-20 09:20:00", "Fri 2026-11-20 09:40:00"]
    );
    assert_eq!(times("5/50 0 * * *")[..2], ["Fri 2026-11-20 00:05:00", "Fri 2026-11-20 00:55:00"]);
    assert_eq!(times("0 0 1 jan,July *")[..2], ["Fri 2027-01-01 00:00:00", "Thu 2027-07-01 00:00:00"]);
    assert_eq!(times("0 0 * * sun-wed")[..2], ["Sun 2026-11-22 00:00:00", "Mon 2026-11-23 00:00:00"]);
    // In the crate's six fields both must match: the first Monday of a month.
    assert_eq!(times("0 30 7 1-7 * mon")[..2], ["Mon 2026-12-07 07:30:00", "Mon 2027-01-04 07:30:00"]);
    assert_eq!(times("cron(0 0 1 1 ? 2030)"), ["Tue 2030-01-01 00:00:00"]);
}

#[test]
fn rejects_invalid_cron_expressions() {
    insta::assert_snapshot!(
        errors(parse_cron, &[
            "30 7 * * 1-5", "30 7 * * 0", "30 7 * * 8", "cron(30 7 ? * 2-6 *)", "30 7 L * *", "30 7 LW * *",
            "30 7 15W * *", "30 7 * * mon#1", "30 7 * * friL", "30 7 * * fri-mon", "30 7 * * mon-sun", "0 22-6 * * *",
            "0 0 * nov-feb *", "10 30 7 * * mon-fri", "30 7 ? * MON-FRI *", "0 7 * * mon-fri *", "30 7 * *", "",
            "cron(30 7 * * MON-FRI)", "cron(30 7 ? * MON-FRI *", "rate(5 minutes)", "@daily", "30 24 * * *",
            "*/0 * * * *", "*/60 * * * *", "30 7 1 * mon", "cron(30 7 1 * MON *)", "30 ? * * *", "30 7 * * mno",
            "30 7 * jnu *", "1,,2 * * * *", "30 7 * * mon/2", "30 +7 * * *", "30 7 31 2 * * 2030",
        ]),
        @r#"
    30 7 * * 1-5
             ^^^ weekday numbers are ambiguous: cron dialects number days differently
      hint: if 1 is Monday, write `mon-fri`; if 1 is Sunday, `sun-thu`
    30 7 * * 0
             ^ weekday numbers are ambiguous: cron dialects number days differently
      hint: write `sun`
    30 7 * * 8
             ^ weekday numbers are ambiguous: cron dialects number days differently
      hint: write days by name: mon tue wed thu fri sat sun
    cron(30 7 ? * 2-6 *)
                  ^^^ weekday numbers are ambiguous: cron dialects number days differently
      hint: if 1 is Monday, write `tue-sat`; if 1 is Sunday, `mon-fri`
    30 7 L * *
         ^ "L" is not supported (the last one of a month)
      hint: list the days: `dates: [2026-11-30, 2026-12-31]`
    30 7 LW * *
         ^^ "LW" is not supported (the nearest working day)
      hint: list the days: `dates: [2026-11-30, 2026-12-31]`
    30 7 15W * *
         ^^^ "15W" is not supported (the nearest working day)
      hint: list the days: `dates: [2026-11-30, 2026-12-31]`
    30 7 * * mon#1
             ^^^^^ "mon#1" is not supported (the nth weekday of a month)
      hint: for the first one write six fields: `0 30 7 1-7 * mon`; for the second use 8-14, and so on
    30 7 * * friL
             ^^^^ "friL" is not supported (the last one of a month)
      hint: list the days: `dates: [2026-11-30, 2026-12-31]`
    30 7 * * fri-mon
             ^^^^^^^ the range "fri-mon" wraps around
      hint: write `fri,sat,sun,mon`
    30 7 * * mon-sun
             ^^^^^^^ the range "mon-sun" wraps around
      hint: write `*`
    0 22-6 * * *
      ^^^^ the range "22-6" wraps around
      hint: write `22-23,0-6`
    0 0 * nov-feb *
          ^^^^^^^ the range "nov-feb" wraps around
      hint: write `nov-dec,jan-feb`
    10 30 7 * * mon-fri
    ^^ expected 0 as the second, found "10"
      hint: windows start at whole minutes: write 0 or remove the first field
    30 7 ? * MON-FRI *
    ^^ expected 0 as the second, found "30"
      hint: for EventBridge's six fields write `cron(30 7 ? * MON-FRI *)`
    0 7 * * mon-fri *
            ^^^ expected a month, found "mon"
      hint: the weekday is the last of five or six fields; write EventBridge's six fields as `cron(…)`
    30 7 * *
    ^^^^^^^^ expected 5 fields, found 4
      hint: the fields are minute hour day-of-month month day-of-week: `30 7 * * mon-fri`

    ^ missing cron expression
      hint: write five fields, such as `30 7 * * mon-fri`
    cron(30 7 * * MON-FRI)
         ^^^^^^^^^^^^^^^^ expected 6 fields in `cron(…)`, found 5
      hint: the fields are minute hour day-of-month month day-of-week year: `cron(30 7 ? * MON-FRI *)`
    cron(30 7 ? * MON-FRI *
    ^^^^^^^^^^^^^^^^^^^^^^^ expected ")" at the end of "cron(…)"
      hint: write `cron(30 7 ? * MON-FRI *)`
    rate(5 minutes)
    ^^^^^^^^^^^^^^^ expected a cron expression, found a rate or a single time
      hint: `cron` sets the openings; set the time between pings with `interval`, and single days with `dates`
    @daily
    ^^^^^^ expected a cron expression, found a shorthand
      hint: write `0 0 * * *`
    30 24 * * *
       ^^ expected an hour, found "24"
      hint: an hour is a number from 0 to 23
    */0 * * * *
      ^ expected a step, found "0"
      hint: a step is a number from 1 to 59
    */60 * * * *
      ^^ expected a step, found "60"
      hint: a step is a number from 1 to 59
    30 7 1 * mon
         ^^^^^^^ a day of the month and a weekday are ambiguous: crontab matches either, other dialects both
      hint: to match either, write two windows; to match both, write six fields with 0 as the first
    cron(30 7 1 * MON *)
              ^^^^^^^ EventBridge accepts a day of the month or a weekday, not both
      hint: write `?` for the other
    30 ? * * *
       ^ expected an hour, found "?"
      hint: write `*`
    30 7 * * mno
             ^^^ expected a day of the week, found "mno"
      hint: did you mean `mon`?
    30 7 * jnu *
           ^^^ expected a month, found "jnu"
      hint: did you mean `jun`?
    1,,2 * * * *
      ^ expected a minute, found nothing
    30 7 * * mon/2
             ^^^^^ a single weekday cannot have a step
      hint: list the days: `mon,wed,fri`
    30 +7 * * *
       ^^ expected an hour, found "+7"
      hint: an hour is a number from 0 to 23
    30 7 31 2 * * 2030
    ^^^^^^^^^^^^^^^^^^ expected 5 fields, found 7
      hint: the fields are minute hour day-of-month month day-of-week: `30 7 * * mon-fri`
    "#
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn error_positions_are_within_text(text in "([a-zA-Z0-9*?,/#:() –é-]|mon|fri|cron\\(){0,30}") {
        let errors = [
            DaySet::parse(&text).err(),
            Hours::parse(&text).err(),
            parse_zone(&text).err(),
            parse_cron(&text).err(),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(text.get(error.at.clone()).is_some(), "{text:?}: {error:?}");
        }
    }
}
