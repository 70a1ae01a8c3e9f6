//! Windows: days, hours, zones, numbers.

use insta::assert_snapshot;

use super::*;

#[test]
fn days_and_hours() {
    assert_snapshot!(wrong_window("{ days: mun-fri, hours: \"08:00-18:00\", concurrency: 10 }"), @r#"
    error: expected a day of the week, found `mun`
     --> fleet.yaml:6:17
      |
    6 |       - { days: mun-fri, hours: "08:00-18:00", concurrency: 10 }
      |                 ^^^
      |
      = hint: did you mean `mon`?
    "#);
    assert_snapshot!(wrong_window("{ days: [mon, \"tue, wednsday\"], hours: \"08:00-25:00\", concurrency: 10 }"), @r#"
    error: expected a day of the week, found `wednsday`
     --> fleet.yaml:6:29
      |
    6 |       - { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
      |                             ^^^^^^^^
      |
      = hint: did you mean `wednesday`?

    error: expected a time of day, found `25:00`
     --> fleet.yaml:6:55
      |
    6 |       - { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
      |                                                       ^^^^^
      |
      = hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: '08:00-08:00', concurrency: 10 }"), @r#"
    error: the window opens and closes at the same time
     --> fleet.yaml:6:32
      |
    6 |       - { days: daily, hours: '08:00-08:00', concurrency: 10 }
      |                                ^^^^^^^^^^^
      |
      = hint: write `all-day` for midnight to midnight
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: 800, concurrency: 10 }"), @r#"
    error: expected hours, found `800`
     --> fleet.yaml:6:31
      |
    6 |       - { days: daily, hours: 800, concurrency: 10 }
      |                               ^^^
      |
      = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: 08:00, concurrency: 10 }"), @r#"
    error: expected hours, found `08:00`
     --> fleet.yaml:6:31
      |
    6 |       - { days: daily, hours: 08:00, concurrency: 10 }
      |                               ^^^^^
      |
      = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    "#);
    assert_snapshot!(wrong_window("{ days: 1-5, hours: all-day, concurrency: 10 }"), @r#"
    error: expected a day of the week, found `1`
     --> fleet.yaml:6:17
      |
    6 |       - { days: 1-5, hours: all-day, concurrency: 10 }
      |                 ^
      |
      = hint: write days by name: mon tue wed thu fri sat sun
    "#);
    assert_snapshot!(wrong_window("{ days: [], hours: all-day, concurrency: 10 }"), @r#"
    error: the list is empty
     --> fleet.yaml:6:17
      |
    6 |       - { days: [], hours: all-day, concurrency: 10 }
      |                 ^
      |
      = hint: leave the key out, or put something in
    "#);
    assert_snapshot!(wrong_window("{ days: daily, concurrency: 10 }"), @r#"
    error: the key `hours` is missing
     --> fleet.yaml:6:9
      |
    6 |       - { days: daily, concurrency: 10 }
      |         ^
      |
      = hint: `hours: all-day` is midnight to midnight
    "#);
    assert_snapshot!(wrong_window("{ hours: all-day, concurrency: 10 }"), @r#"
    error: the key `days` is missing
     --> fleet.yaml:6:9
      |
    6 |       - { hours: all-day, concurrency: 10 }
      |         ^
      |
      = hint: `days: daily` is every day
    "#);
    assert_snapshot!(wrong_window("{ concurrency: 10 }"), @r#"
    error: the window does not say when it opens
     --> fleet.yaml:6:9
      |
    6 |       - { concurrency: 10 }
      |         ^
      |
      = hint: give `days` and `hours`, or `dates` and `hours`, or `cron` and `for`
    "#);
    assert_snapshot!(wrong_window("\t{ days: mun, hours: all-day, concurrency: 10 } # 日本"), @r#"
    error: expected a day of the week, found `mun`
     --> fleet.yaml:6:18
      |
    6 |       -     { days: mun, hours: all-day, concurrency: 10 } # 日本
      |                     ^^^
      |
      = hint: did you mean `mon`?
    "#);
    assert_snapshot!(wrong_window("{ 日本: \"日本\", days: \"日, mun\", hours: all-day, concurrency: 10 }"), @r#"
    error: unknown key `日本`
     --> fleet.yaml:6:11
      |
    6 |       - { 日本: "日本", days: "日, mun", hours: all-day, concurrency: 10 }
      |           ^^^^
      |
      = hint: the keys here are use, days, dates, hours, cron, for, concurrency, load, regions, timezone, only, except, from, through, lead, ramp_up, ramp_down, enabled

    error: expected a day of the week, found `日`
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
    assert_snapshot!(wrong_function("timezone: IST"), @r#"
    error: ambiguous time zone `IST`
     --> fleet.yaml:6:15
      |
    6 |     timezone: IST
      |               ^^^
      |
      = hint: write `Asia/Kolkata`, `Europe/Dublin` or `Asia/Jerusalem`
    "#);
    assert_snapshot!(wrong_function("timezone: Europe/Lodnon"), @r#"
    error: unknown time zone `Europe/Lodnon`
     --> fleet.yaml:6:15
      |
    6 |     timezone: Europe/Lodnon
      |               ^^^^^^^^^^^^^
      |
      = hint: did you mean `Europe/London`?
    "#);
    assert_snapshot!(wrong_function("timezone: +01:00"), @r#"
    error: unknown time zone `+01:00`
     --> fleet.yaml:6:15
      |
    6 |     timezone: +01:00
      |               ^^^^^^
      |
      = hint: write a city, such as `Europe/Paris`, to follow its clock changes; or `Etc/GMT-1`
    "#);
}

#[test]
fn ways_of_opening_exclude_each_other() {
    assert_snapshot!(wrong_window("{ days: mon, dates: [2026-11-27], hours: all-day, concurrency: 1 }"), @r#"
    error: `days` and `dates` exclude each other
     --> fleet.yaml:6:29
      |
    6 |       - { days: mon, dates: [2026-11-27], hours: all-day, concurrency: 1 }
      |                             ^
      |
      = hint: make two windows: where they overlap, the higher number counts
    "#);
    assert_snapshot!(wrong_window("{ cron: \"30 7 * * mon-fri\", hours: all-day, concurrency: 1 }"), @r#"
    error: `hours` does not go with `cron`
     --> fleet.yaml:6:44
      |
    6 |       - { cron: "30 7 * * mon-fri", hours: all-day, concurrency: 1 }
      |                                            ^^^^^^^
      |
      = hint: with `cron`, `for` says how long the window stays open
    "#);
    assert_snapshot!(wrong_window("{ cron: \"30 7 * * mon-fri\", concurrency: 1 }"), @r#"
    error: the key `for` is missing
     --> fleet.yaml:6:9
      |
    6 |       - { cron: "30 7 * * mon-fri", concurrency: 1 }
      |         ^
      |
      = hint: it says how long a window with `cron` stays open: `for: 2h`
    "#);
    assert_snapshot!(wrong_window("{ cron: \"30 7 * * 1-5\", for: 2h, concurrency: 1 }"), @r#"
    error: weekday numbers are ambiguous: cron dialects number days differently
     --> fleet.yaml:6:27
      |
    6 |       - { cron: "30 7 * * 1-5", for: 2h, concurrency: 1 }
      |                           ^^^
      |
      = hint: if 1 is Monday, write `mon-fri`; if 1 is Sunday, `sun-thu`
    "#);
    assert_snapshot!(wrong_window("{ cron: 5, for: 2d, concurrency: 1 }"), @r#"
    error: a cron expression such as "30 7 * * mon-fri" belongs here, not a number
     --> fleet.yaml:6:17
      |
    6 |       - { cron: 5, for: 2d, concurrency: 1 }
      |                 ^
      |
      = hint: in quotes it is a text: "5"

    error: `2d` is not a duration
     --> fleet.yaml:6:25
      |
    6 |       - { cron: 5, for: 2d, concurrency: 1 }
      |                         ^^
      |
      = hint: durations are a number and a unit: 250ms, 90s, 5m, 2h; this one from 1m to 168h
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, for: 2h, concurrency: 1 }"), @r#"
    error: `for` goes with `cron` only
     --> fleet.yaml:6:43
      |
    6 |       - { days: mon, hours: all-day, for: 2h, concurrency: 1 }
      |                                           ^^
      |
      = hint: with `days` or `dates`, `hours` says when the window closes
    "#);
    assert_snapshot!(wrong_window("{ for: 2h, concurrency: 1 }"), @r#"
    error: the key `cron` is missing
     --> fleet.yaml:6:9
      |
    6 |       - { for: 2h, concurrency: 1 }
      |         ^
      |
      = hint: `cron: "30 7 * * mon-fri"` opens at 07:30 on working days
    "#);
}

#[test]
fn numbers_of_environments() {
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 1, load: { requests_per_second: 5, duration: 1s } }"), @r#"
    error: `concurrency` and `load` exclude each other
     --> fleet.yaml:6:60
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, load: { requests_per_second: 5, duration: 1s } }
      |                                                            ^
      |
      = hint: keep the one that is meant
      = note: the other place is fleet.yaml:6:51
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day }"), @r#"
    error: the window does not say how many environments to keep warm
     --> fleet.yaml:6:9
      |
    6 |       - { days: mon, hours: all-day }
      |         ^
      |
      = hint: give `concurrency`, or `load`
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 0 }"), @r#"
    error: `0` is not a whole number from 1 to 100000
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 0 }
      |                                                   ^
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 1.5 }"), @r#"
    error: `1.5` is not a whole number from 1 to 100000
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1.5 }
      |                                                   ^^^
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: \"10\" }"), @r#"
    error: a whole number from 1 to 100000 belongs here, not a text
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: "10" }
      |                                                   ^^^^
      |
      = hint: without quotes it is a number: 10
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: ten }"), @r#"
    error: a whole number from 1 to 100000 belongs here, not a text
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: ten }
      |                                                   ^^^
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, load: { duration: 1s } }"), @r#"
    error: the key `requests_per_second` is missing
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { duration: 1s } }
      |                                            ^
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, load: { requests_per_second: 5 } }"), @r#"
    error: the load needs `duration` or `per_environment`
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 5 } }
      |                                            ^
      |
      = hint: `{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, load: { requests_per_second: 5, duration: 1s, per_environment: 1 } }"), @r#"
    error: `duration` and `per_environment` exclude each other
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 5, duration: 1s, per_environment: 1 } }
      |                                            ^
      |
      = hint: `{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }"), @r#"
    error: `1e3` is not a number above 0
     --> fleet.yaml:6:67
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }
      |                                                                   ^^^
      |
      = hint: write plain digits, such as 50 or 0.5; 1000000000 is the most

    error: `1` has no unit
     --> fleet.yaml:6:82
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }
      |                                                                                  ^
      |
      = hint: write `1ms`?
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, load: { requests_per_second: 1000000, duration: 10m } }"), @r#"
    error: the load asks for more than 100000 environments
     --> fleet.yaml:6:44
      |
    6 |       - { days: mon, hours: all-day, load: { requests_per_second: 1000000, duration: 10m } }
      |                                            ^
      |
      = hint: check its units
    "#);
}

#[test]
fn targets_above_the_cap() {
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 501 }"), @r#"
    error: 501 environments are more than limits.max_in_flight (500)
     --> fleet.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 501 }
      |                                                   ^^^
      |
      = hint: a round is never cut: ask for fewer, or raise max_in_flight to 501
    "#);
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\nlimits: { max_in_flight: 12 }\n"),
        ("b.yaml", "version: 1\ndefaults: { region: eu-west-2, spare: 3 }\nfunctions:\n  f:\n    windows:\n      - { days: mon, hours: all-day, concurrency: 10 }\n      - { days: mon, hours: all-day, concurrency: 9 }\n      - { days: mon, hours: all-day, load: { requests_per_second: 50, duration: 200ms } }\n"),
    ]), @r#"
    error: 10 environments with 3 to spare are more than limits.max_in_flight (12)
     --> b.yaml:6:51
      |
    6 |       - { days: mon, hours: all-day, concurrency: 10 }
      |                                                   ^^
      |
      = hint: a round is never cut: ask for fewer, or raise max_in_flight to 13

    error: 10 environments with 3 to spare are more than limits.max_in_flight (12)
     --> b.yaml:8:44
      |
    8 |       - { days: mon, hours: all-day, load: { requests_per_second: 50, duration: 200ms } }
      |                                            ^
      |
      = hint: a round is never cut: ask for fewer, or raise max_in_flight to 13
    "#);
}
