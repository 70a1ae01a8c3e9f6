use std::fmt::Write;

use chrono::{NaiveDate, Weekday};
use proptest::prelude::*;

use super::*;

/// Every text with a caret under what is wrong, the message and the hint.
fn refusals<T: std::fmt::Debug>(parse: fn(&str) -> Result<T, TextError>, texts: &[&str]) -> String {
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
fn days_are_names_ranges_and_lists() {
    assert_eq!(days("mon-fri"), ["mon", "tue", "wed", "thu", "fri"]);
    assert_eq!(days("sat,sun"), ["sat", "sun"]);
    assert_eq!(days("fri-mon"), ["mon", "fri", "sat", "sun"]);
    assert_eq!(days(" Monday , wed-THURS "), ["mon", "wed", "thu"]);
    assert_eq!(days("daily").len(), 7);
    assert_eq!(days("sun-sat").len(), 7);
}

#[test]
fn days_that_are_refused() {
    insta::assert_snapshot!(
        refusals(DaySet::parse, &["mon-fry", "", "mon,,tue", "1-5", "weekdays", "every-day", "mon-mon", "blursday"]),
        @r#"
        mon-fry
            ^^^ "fry" is not a day of the week
          hint: did you mean `fri`?

        ^ a day is missing
          hint: days are mon tue wed thu fri sat sun
        mon,,tue
            ^ a day is missing
          hint: days are mon tue wed thu fri sat sun
        1-5
        ^ "1" is not a day of the week
          hint: days are written by name: mon tue wed thu fri sat sun
        weekdays
        ^^^^^^^^ "weekdays" is not a day of the week
          hint: write `mon-fri`
        every-day
        ^^^^^^^^^ "every-day" is not a day of the week
          hint: write `daily`
        mon-mon
        ^^^^^^^ a range from mon to mon
          hint: write `mon` for the one day, `daily` for every day
        blursday
        ^^^^^^^^ "blursday" is not a day of the week
          hint: did you mean `thursday`?
        "#
    );
}

#[test]
fn hours_are_two_times_or_all_day() {
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
fn hours_that_are_refused() {
    insta::assert_snapshot!(
        refusals(Hours::parse, &[
            "25:00-26:00", "08:00-18:60", "8:00-18:00", "8am-6pm", "0800-1800", "09:00-09:00", "24:00-06:00",
            "24:00-24:00", "09:00", "", "08:00 to 18:00", "all day", "08:00-24:01", "08:00-18:00-20:00", "٠٨:00-18:00",
        ]),
        @r#"
        25:00-26:00
        ^^^^^ "25:00" is not a time of day
          hint: times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window
        08:00-18:60
              ^^^^^ "18:60" is not a time of day
          hint: times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window
        8:00-18:00
        ^^^^ "8:00" is not a time of day
          hint: did you mean `08:00`?
        8am-6pm
        ^^^ "8am" is not a time of day
          hint: did you mean `08:00`?
        0800-1800
        ^^^^ "0800" is not a time of day
          hint: did you mean `08:00`?
        09:00-09:00
        ^^^^^^^^^^^ the window opens and closes at the same time of day
          hint: write `all-day` for midnight to midnight
        24:00-06:00
        ^^^^^ a window cannot open at 24:00
          hint: write `00:00`, and the following day
        24:00-24:00
        ^^^^^^^^^^^ the window opens and closes at the same time of day
          hint: write `all-day` for midnight to midnight
        09:00
        ^^^^^ "09:00" is not a stretch of hours
          hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`

        ^ hours are missing
          hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
        08:00 to 18:00
        ^^^^^^^^^^^^^^ "08:00 to 18:00" is not a stretch of hours
          hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
        all day
        ^^^^^^^ "all day" is not a stretch of hours
          hint: write `all-day`
        08:00-24:01
              ^^^^^ "24:01" is not a time of day
          hint: times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window
        08:00-18:00-20:00
              ^^^^^^^^^^^ "18:00-20:00" is not a time of day
          hint: times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window
        ٠٨:00-18:00
        ^^^^^ "٠٨:00" is not a time of day
          hint: times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window
        "#
    );
}

#[test]
fn zones_are_names_of_the_iana_database() {
    for name in
        ["Europe/London", "America/Argentina/Buenos_Aires", "UTC", "EST", "CET", "Etc/GMT-1", "Asia/Calcutta"]
    {
        assert_eq!(parse_zone(name).unwrap().name(), name);
    }
}

#[test]
fn zones_that_are_refused() {
    insta::assert_snapshot!(
        refusals(parse_zone, &[
            "Europe/Lodnon", "IST", "BST", "est5", "JST", "europe/london", "London", "Lodnon", "New York", "Mumbai",
            "UTC+1", "+05:30", "GMT-8", "GMT+20", "", "Middle Earth", "Zürich",
        ]),
        @r#"
        Europe/Lodnon
        ^^^^^^^^^^^^^ "Europe/Lodnon" is not a time zone of the IANA database
          hint: did you mean `Europe/London`?
        IST
        ^^^ `IST` is ambiguous and not a time zone of the IANA database
          hint: it may be `Asia/Kolkata`, `Europe/Dublin` or `Asia/Jerusalem`
        BST
        ^^^ `BST` is ambiguous and not a time zone of the IANA database
          hint: it may be `Europe/London`, `Asia/Dhaka` or `Pacific/Bougainville`
        est5
        ^^^^ "est5" is not a time zone of the IANA database
          hint: did you mean `EST`?
        JST
        ^^^ "JST" is not a time zone of the IANA database
          hint: write `Asia/Tokyo`
        europe/london
        ^^^^^^^^^^^^^ "europe/london" is not a time zone of the IANA database
          hint: did you mean `Europe/London`?
        London
        ^^^^^^ "London" is not a time zone of the IANA database
          hint: did you mean `Europe/London`?
        Lodnon
        ^^^^^^ "Lodnon" is not a time zone of the IANA database
          hint: did you mean `Europe/London`?
        New York
        ^^^^^^^^ "New York" is not a time zone of the IANA database
          hint: did you mean `America/New_York`?
        Mumbai
        ^^^^^^ "Mumbai" is not a time zone of the IANA database
          hint: write `Asia/Kolkata`
        UTC+1
        ^^^^^ "UTC+1" is not a time zone of the IANA database
          hint: write the place, such as `Europe/Paris`: its clock changes are then right; or `Etc/GMT-1`
        +05:30
        ^^^^^^ "+05:30" is not a time zone of the IANA database
          hint: write the place, such as `Asia/Kolkata`
        GMT-8
        ^^^^^ "GMT-8" is not a time zone of the IANA database
          hint: write the place, such as `Europe/Paris`: its clock changes are then right; or `Etc/GMT+8`
        GMT+20
        ^^^^^^ "GMT+20" is not a time zone of the IANA database
          hint: write the place, such as `Asia/Kolkata`

        ^ a time zone is missing
          hint: write an IANA name such as `Europe/London`
        Middle Earth
        ^^^^^^^^^^^^ "Middle Earth" is not a time zone of the IANA database
          hint: write an IANA name such as `Europe/London` or `America/New_York`
        Zürich
        ^^^^^^ "Zürich" is not a time zone of the IANA database
          hint: did you mean `Europe/Zurich`?
        "#
    );
}

/// The first wall times of the expression from 2026-11-20 00:00, a Friday.
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
fn three_dialects_mean_the_same() {
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
fn cron_fields_take_lists_steps_and_names() {
    assert_eq!(
        times("*/20 9-10/1 * * *"),
        ["Fri 2026-11-20 09:00:00", "Fri 2026-11-20 09:20:00", "Fri 2026-11-20 09:40:00"]
    );
    assert_eq!(times("5/50 0 * * *")[..2], ["Fri 2026-11-20 00:05:00", "Fri 2026-11-20 00:55:00"]);
    assert_eq!(times("0 0 1 jan,July *")[..2], ["Fri 2027-01-01 00:00:00", "Thu 2027-07-01 00:00:00"]);
    assert_eq!(times("0 0 * * sun-wed")[..2], ["Sun 2026-11-22 00:00:00", "Mon 2026-11-23 00:00:00"]);
    // In the crate's own six fields both must hold: the first Monday of a month.
    assert_eq!(times("0 30 7 1-7 * mon")[..2], ["Mon 2026-12-07 07:30:00", "Mon 2027-01-04 07:30:00"]);
    assert_eq!(times("cron(0 0 1 1 ? 2030)"), ["Tue 2030-01-01 00:00:00"]);
}

#[test]
fn cron_expressions_that_are_refused() {
    insta::assert_snapshot!(
        refusals(parse_cron, &[
            "30 7 * * 1-5", "30 7 * * 0", "30 7 * * 8", "cron(30 7 ? * 2-6 *)", "30 7 L * *", "30 7 LW * *",
            "30 7 15W * *", "30 7 * * mon#1", "30 7 * * friL", "30 7 * * fri-mon", "30 7 * * mon-sun", "0 22-6 * * *",
            "0 0 * nov-feb *", "10 30 7 * * mon-fri", "30 7 ? * MON-FRI *", "0 7 * * mon-fri *", "30 7 * *", "",
            "cron(30 7 * * MON-FRI)", "cron(30 7 ? * MON-FRI *", "rate(5 minutes)", "@daily", "30 24 * * *",
            "*/0 * * * *", "*/60 * * * *", "30 7 1 * mon", "cron(30 7 1 * MON *)", "30 ? * * *", "30 7 * * mno",
            "30 7 * jnu *", "1,,2 * * * *", "30 7 * * mon/2", "30 +7 * * *", "30 7 31 2 * * 2030",
        ]),
        @r#"
        30 7 * * 1-5
                 ^^^ weekdays are written by name: numbers mean different days to different crons
          hint: if 1 is Monday, write `mon-fri`; if 1 is Sunday, `sun-thu`
        30 7 * * 0
                 ^ weekdays are written by name: numbers mean different days to different crons
          hint: write `sun`
        30 7 * * 8
                 ^ weekdays are written by name: numbers mean different days to different crons
          hint: write mon tue wed thu fri sat sun
        cron(30 7 ? * 2-6 *)
                      ^^^ weekdays are written by name: numbers mean different days to different crons
          hint: if 1 is Monday, write `tue-sat`; if 1 is Sunday, `mon-fri`
        30 7 L * *
             ^ `L` is not supported (the last one of a month)
          hint: list the days: `dates: [2026-11-30, 2026-12-31]`
        30 7 LW * *
             ^^ `LW` is not supported (the nearest working day)
          hint: list the days: `dates: [2026-11-30, 2026-12-31]`
        30 7 15W * *
             ^^^ `15W` is not supported (the nearest working day)
          hint: list the days: `dates: [2026-11-30, 2026-12-31]`
        30 7 * * mon#1
                 ^^^^^ `mon#1` is not supported (the nth weekday of a month)
          hint: the first one is in six fields: `0 30 7 1-7 * mon`; the second has 8-14, and so on
        30 7 * * friL
                 ^^^^ `friL` is not supported (the last one of a month)
          hint: list the days: `dates: [2026-11-30, 2026-12-31]`
        30 7 * * fri-mon
                 ^^^^^^^ the range "fri-mon" wraps round
          hint: write `fri,sat,sun,mon`
        30 7 * * mon-sun
                 ^^^^^^^ the range "mon-sun" wraps round
          hint: write `*`
        0 22-6 * * *
          ^^^^ the range "22-6" wraps round
          hint: write `22-23,0-6`
        0 0 * nov-feb *
              ^^^^^^^ the range "nov-feb" wraps round
          hint: write `nov-dec,jan-feb`
        10 30 7 * * mon-fri
        ^^ the first of six fields is the second, and it must be 0
          hint: windows are in whole minutes: write 0, or leave the field out
        30 7 ? * MON-FRI *
        ^^ the first of six fields is the second, and it must be 0
          hint: EventBridge's form has a bracket: `cron(30 7 ? * MON-FRI *)`
        0 7 * * mon-fri *
                ^^^ "mon" is not a month
          hint: the weekday is the last field of five or six; EventBridge's form has a bracket: `cron(…)`
        30 7 * *
        ^^^^^^^^ 4 fields where cron has 5
          hint: the fields are minute hour day-of-month month day-of-week: `30 7 * * mon-fri`

        ^ a cron expression is missing
          hint: write five fields, such as `30 7 * * mon-fri`
        cron(30 7 * * MON-FRI)
             ^^^^^^^^^^^^^^^^ 5 fields where EventBridge has 6
          hint: the fields are minute hour day-of-month month day-of-week year: `cron(30 7 ? * MON-FRI *)`
        cron(30 7 ? * MON-FRI *
        ^^^^^^^^^^^^^^^^^^^^^^^ the bracket of `cron(` is not closed
          hint: `cron(30 7 ? * MON-FRI *)`
        rate(5 minutes)
        ^^^^^^^^^^^^^^^ a window needs a cron expression, not a rate or a single time
          hint: write `cron: …` for openings; how often to ping is `interval`; single days are `dates`
        @daily
        ^^^^^^ a shorthand is not a cron expression
          hint: write `0 0 * * *`
        30 24 * * *
           ^^ "24" is not an hour
          hint: an hour is a number from 0 to 23
        */0 * * * *
          ^ "0" is not a step
          hint: a step is a number from 1 to 59
        */60 * * * *
          ^^ "60" is not a step
          hint: a step is a number from 1 to 59
        30 7 1 * mon
             ^^^^^^^ a day of the month and a weekday: crontab takes days that match either, others both
          hint: for either write two windows; for both write six fields, the first of them 0
        cron(30 7 1 * MON *)
                  ^^^^^^^ a day of the month and a weekday: EventBridge takes only one of them
          hint: write `?` for the other
        30 ? * * *
           ^ `?` is not an hour
          hint: write `*`
        30 7 * * mno
                 ^^^ "mno" is not a day of the week
          hint: did you mean `mon`?
        30 7 * jnu *
               ^^^ "jnu" is not a month
          hint: did you mean `jun`?
        1,,2 * * * *
          ^ a minute is missing
        30 7 * * mon/2
                 ^^^^^ a step from a single weekday
          hint: list the days: `mon,wed,fri`
        30 +7 * * *
           ^^ "+7" is not an hour
          hint: an hour is a number from 0 to 23
        30 7 31 2 * * 2030
        ^^^^^^^^^^^^^^^^^^ 7 fields where cron has 5
          hint: the fields are minute hour day-of-month month day-of-week: `30 7 * * mon-fri`
        "#
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_parsed_or_refused_within_itself(text in "([a-zA-Z0-9*?,/#:() –é-]|mon|fri|cron\\(){0,30}") {
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
