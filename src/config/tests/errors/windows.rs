//! Windows: days, hours, zones, numbers.

use insta::assert_snapshot;

use super::*;

#[test]
fn days_and_hours() {
    assert_snapshot!(window_errors("{ days: mun-fri, hours: \"08:00-18:00\", concurrency: 10 }"), @r#"
    error: expected a day of the week, found "mun"
     --> fleet.yaml:6:17
      |
    6 |       - { days: mun-fri, hours: "08:00-18:00", concurrency: 10 }
      |                 ^^^
      |
      = hint: did you mean `mon`?
    "#);
    assert_snapshot!(window_errors("{ days: [mon, \"tue, wednsday\"], hours: \"08:00-25:00\", concurrency: 10 }"), @r#"
    error: expected a day of the week, found "wednsday"
     --> fleet.yaml:6:29
      |
    6 |       - { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
      |                             ^^^^^^^^
      |
      = hint: did you mean `wednesday`?

    error: expected a time of day, found "25:00"
     --> fleet.yaml:6:55
      |
    6 |       - { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
      |                                                       ^^^^^
      |
      = hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
    "#);
    assert_snapshot!(window_errors("{ days: daily, hours: '08:00-08:00', concurrency: 10 }"), @r"
    error: the window opens and closes at the same time
     --> fleet.yaml:6:32
      |
    6 |       - { days: daily, hours: '08:00-08:00', concurrency: 10 }
      |                                ^^^^^^^^^^^
      |
      = hint: write `all-day` for midnight to midnight
    ");
    assert_snapshot!(window_errors("{ days: daily, hours: 800, concurrency: 10 }"), @r#"
    error: expected hours, found "800"
     --> fleet.yaml:6:31
      |
    6 |       - { days: daily, hours: 800, concurrency: 10 }
      |                               ^^^
      |
      = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    "#);
    assert_snapshot!(window_errors("{ days: daily, hours: 08:00, concurrency: 10 }"), @r#"
    error: expected hours, found "08:00"
     --> fleet.yaml:6:31
      |
    6 |       - { days: daily, hours: 08:00, concurrency: 10 }
      |                               ^^^^^
      |
      = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    "#);
    assert_snapshot!(window_errors("{ days: 1-5, hours: all-day, concurrency: 10 }"), @r#"
    error: expected a day of the week, found "1"
     --> fleet.yaml:6:17
      |
    6 |       - { days: 1-5, hours: all-day, concurrency: 10 }
      |                 ^
      |
      = hint: write days by name: mon tue wed thu fri sat sun
    "#);
    assert_snapshot!(window_errors("{ days: [], hours: all-day, concurrency: 10 }"), @r"
    error: expected at least one item, found an empty list
     --> fleet.yaml:6:17
      |
    6 |       - { days: [], hours: all-day, concurrency: 10 }
      |                 ^
      |
      = hint: add an item, or remove the key
    ");
    assert_snapshot!(window_errors("{ days: daily, concurrency: 10 }"), @r#"
    error: missing key "hours"
     --> fleet.yaml:6:9
      |
    6 |       - { days: daily, concurrency: 10 }
      |         ^
      |
      = hint: add `hours: all-day` for midnight to midnight
    "#);
    assert_snapshot!(window_errors("{ hours: all-day, concurrency: 10 }"), @r#"
    error: missing key "days"
     --> fleet.yaml:6:9
      |
    6 |       - { hours: all-day, concurrency: 10 }
      |         ^
      |
      = hint: add `days: daily` for every day
    "#);
    assert_snapshot!(window_errors("{ concurrency: 10 }"), @"
    error: the window has no openings
     --> fleet.yaml:6:9
      |
    6 |       - { concurrency: 10 }
      |         ^
      |
      = hint: add `days` and `hours`, or `dates` and `hours`, or `cron` and `for`
    ");
    assert_snapshot!(window_errors("\t{ days: mun, hours: all-day, concurrency: 10 } # 日本"), @r#"
    error: expected a day of the week, found "mun"
     --> fleet.yaml:6:18
      |
    6 |       -     { days: mun, hours: all-day, concurrency: 10 } # 日本
      |                     ^^^
      |
      = hint: did you mean `mon`?
    "#);
    assert_snapshot!(window_errors("{ 日本: \"日本\", days: \"日, mun\", hours: all-day, concurrency: 10 }"), @r#"
    error: unknown key "日本"
     --> fleet.yaml:6:11
      |
    6 |       - { 日本: "日本", days: "日, mun", hours: all-day, concurrency: 10 }
      |           ^^^^
      |
      = hint: use one of use, days, dates, hours, cron, for, concurrency, load, regions, timezone, only, except, from, through, lead, ramp_up, ramp_down, enabled

    error: expected a day of the week, found "日"
     --> fleet.yaml:6:28
      |
    6 |       - { 日本: "日本", days: "日, mun", hours: all-day, concurrency: 10 }
      |                                ^^
      |
      = hint: days are mon tue wed thu fri sat sun, ranges such as mon-fri, or daily
    "#);
}

#[test]
fn zones() {
    assert_snapshot!(function_errors("timezone: IST"), @r#"
    error: ambiguous time zone "IST"
     --> fleet.yaml:6:15
      |
    6 |     timezone: IST
      |               ^^^
      |
      = hint: write `Asia/Kolkata`, `Europe/Dublin` or `Asia/Jerusalem`
    "#);
    assert_snapshot!(function_errors("timezone: Europe/Lodnon"), @r#"
    error: unknown time zone "Europe/Lodnon"
     --> fleet.yaml:6:15
      |
    6 |     timezone: Europe/Lodnon
      |               ^^^^^^^^^^^^^
      |
      = hint: did you mean `Europe/London`?
    "#);
    assert_snapshot!(function_errors("timezone: +01:00"), @r#"
    error: unknown time zone "+01:00"
     --> fleet.yaml:6:15
      |
    6 |     timezone: +01:00
      |               ^^^^^^
      |
      = hint: write a city, such as `Europe/Paris`, to follow its clock changes; or `Etc/GMT-1`
    "#);
}

#[test]
fn kinds_of_openings_exclude_each_other() {
    assert_snapshot!(window_errors("{ days: mon, dates: [2026-11-27], hours: all-day, concurrency: 1 }"), @r#"
    error: "dates" cannot be used with "days"
     --> fleet.yaml:6:29
      |
    6 |       - { days: mon, dates: [2026-11-27], hours: all-day, concurrency: 1 }
      |                             ^
      |
      = hint: define two windows: where they overlap, the higher number applies
      = note: see also fleet.yaml:6:17
    "#);
    assert_snapshot!(window_errors("{ cron: \"30 7 * * mon-fri\", hours: all-day, concurrency: 1 }"), @r#"
    error: "hours" cannot be used with "cron"
     --> fleet.yaml:6:44
      |
    6 |       - { cron: "30 7 * * mon-fri", hours: all-day, concurrency: 1 }
      |                                            ^^^^^^^
      |
      = hint: set `for`: the time that the window stays open
      = note: see also fleet.yaml:6:17
    "#);
    assert_snapshot!(window_errors("{ cron: \"30 7 * * mon-fri\", concurrency: 1 }"), @r#"
    error: missing key "for"
     --> fleet.yaml:6:9
      |
    6 |       - { cron: "30 7 * * mon-fri", concurrency: 1 }
      |         ^
      |
      = hint: add the time that the window stays open, such as `for: 2h`
    "#);
    assert_snapshot!(window_errors("{ cron: \"30 7 * * 1-5\", for: 2h, concurrency: 1 }"), @r#"
    error: weekday numbers are ambiguous: cron dialects number days differently
     --> fleet.yaml:6:27
      |
    6 |       - { cron: "30 7 * * 1-5", for: 2h, concurrency: 1 }
      |                           ^^^
      |
      = hint: if 1 is Monday, write `mon-fri`; if 1 is Sunday, `sun-thu`
    "#);
    assert_snapshot!(window_errors("{ cron: 5, for: 2d, concurrency: 1 }"), @r#"
    error: expected a cron expression, found 5
     --> fleet.yaml:6:17
      |
    6 |       - { cron: 5, for: 2d, concurrency: 1 }
      |                 ^
      |
      = hint: put it in quotes: `"5"`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, for: 2h, concurrency: 1 }"), @r#"
    error: "for" cannot be used with "days"
     --> fleet.yaml:6:43
      |
    6 |       - { days: mon, hours: all-day, for: 2h, concurrency: 1 }
      |                                           ^^
      |
      = hint: set `hours`: they close the window
      = note: see also fleet.yaml:6:17
    "#);
    assert_snapshot!(window_errors("{ for: 2h, concurrency: 1 }"), @r#"
    error: missing key "cron"
     --> fleet.yaml:6:9
      |
    6 |       - { for: 2h, concurrency: 1 }
      |         ^
      |
      = hint: add the openings, such as `cron: "30 7 * * mon-fri"` for 07:30 on working days
    "#);
}

#[test]
fn numbers_of_environments() {
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 1, load: { requests_per_second: 5, duration: 1s } }"), @r#"
    error: "load" cannot be used with "concurrency"
     --> fleet.yaml:6:60
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, load: { requests_per_second: 5, duration: 1s } }
      |                                                            ^
      |
      = hint: remove one of the two
      = note: see also fleet.yaml:6:51
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day }"), @r#"
    error: missing key "concurrency"
     --> fleet.yaml:6:9
      |
    6 |       - { days: mon, hours: all-day }
      |         ^
      |
      = hint: add `concurrency`, or `load`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 0 }"), @r"
    error: expected a whole number from 1 to 100000, found 0
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 0 }
      |                                                   ^
    ");
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 1.5 }"), @r"
    error: expected a whole number from 1 to 100000, found 1.5
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1.5 }
      |                                                   ^^^
    ");
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: \"10\" }"), @r#"
    error: expected a whole number from 1 to 100000, found "10"
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: "10" }
      |                                                   ^^^^
      |
      = hint: remove the quotes: `10`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: ten }"), @r#"
    error: expected a whole number from 1 to 100000, found "ten"
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: ten }
      |                                                   ^^^
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, load: { duration: 1s } }"), @r#"
    error: missing key "requests_per_second"
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { duration: 1s } }
      |                                            ^
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, load: { requests_per_second: 5 } }"), @r#"
    error: missing key "duration" or "per_environment"
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 5 } }
      |                                            ^
      |
      = hint: write `{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, load: { requests_per_second: 5, duration: 1s, per_environment: 1 } }"), @r#"
    error: "per_environment" cannot be used with "duration"
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 5, duration: 1s, per_environment: 1 } }
      |                                            ^
      |
      = hint: write `{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }"), @r#"
    error: expected a number above 0, found 1e3
     --> fleet.yaml:6:67
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }
      |                                                                   ^^^
      |
      = hint: write plain digits, such as 50 or 0.045, up to 1000000000

    error: expected a duration with a unit, found "1"
     --> fleet.yaml:6:82
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }
      |                                                                                  ^
      |
      = hint: write `1ms`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, load: { requests_per_second: 1000000, duration: 10m } }"), @r"
    error: the load needs more than 100000 environments
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 1000000, duration: 10m } }
      |                                            ^
      |
      = hint: check the units of the rate and of `duration`
    ");
}

#[test]
fn rounds_above_the_cap() {
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 501 }"), @r#"
    error: 501 environments exceed "limits.max_in_flight" (500)
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 501 }
      |                                                   ^^^
      |
      = hint: lower the number, or raise `max_in_flight` to 501
    "#);
    assert_snapshot!(errors_of(&[
        ("a.yaml", "version: 1\nlimits: { max_in_flight: 12 }\n"),
        ("b.yaml", "version: 1\ndefaults: { region: eu-west-2, spare: 3 }\nfunctions:\n  f:\n    windows:\n      - { days: mon, hours: all-day, concurrency: 10 }\n      - { days: mon, hours: all-day, concurrency: 9 }\n      - { days: mon, hours: all-day, load: { requests_per_second: 50, duration: 200ms } }\n"),
    ]), @r#"
    error: 10 environments and 3 spare ones exceed "limits.max_in_flight" (12)
     --> b.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 10 }
      |                                                   ^^
      |
      = hint: lower the number, or raise `max_in_flight` to 13

    error: 10 environments and 3 spare ones exceed "limits.max_in_flight" (12)
     --> b.yaml:8:44
      |
    8 |       - { days: mon, hours: all-day, load: { requests_per_second: 50, duration: 200ms } }
      |                                            ^
      |
      = hint: lower the number, or raise `max_in_flight` to 13
    "#);
}
