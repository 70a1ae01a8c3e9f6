//! Windows: days, hours, zones, numbers.

use insta::assert_snapshot;

use super::*;

#[test]
fn days_and_hours() {
    let cases = r#"
    { days: mun-fri, hours: "08:00-18:00", concurrency: 10 }
            ^^^ expected a day of the week, found "mun"
            = hint: did you mean `mon`?
    { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
                        ^^^^^^^^ expected a day of the week, found "wednsday"
                        = hint: did you mean `wednesday`?
                                                  ^^^^^ expected a time of day, found "25:00"
                                                  = hint: write HH:MM, from 00:00 to 23:59; a window may end at 24:00
    { days: daily, hours: '08:00-08:00', concurrency: 10 }
                           ^^^^^^^^^^^ the window opens and closes at the same time
                           = hint: write `all-day` for midnight to midnight
    { days: daily, hours: 800, concurrency: 10 }
                          ^^^ expected hours, found "800"
                          = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    { days: daily, hours: 08:00, concurrency: 10 }
                          ^^^^^ expected hours, found "08:00"
                          = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    { days: 1-5, hours: all-day, concurrency: 10 }
            ^ expected a day of the week, found "1"
            = hint: write days by name: mon tue wed thu fri sat sun
    { days: [], hours: all-day, concurrency: 10 }
            ^ expected at least one item, found an empty list
            = hint: add an item, or remove the key
    { days: daily, concurrency: 10 }
    ^ missing key "hours"
    = hint: add `hours: all-day` for midnight to midnight
    { hours: all-day, concurrency: 10 }
    ^ missing key "days"
    = hint: add `days: daily` for every day
    { concurrency: 10 }
    ^ the window has no openings
    = hint: add `days` and `hours`, or `dates` and `hours`, or `cron` and `for`
    "#;
    check_cases(IN_WINDOW, cases);
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
    let cases = r#"
    timezone: IST
              ^^^ ambiguous time zone "IST"
              = hint: write `Asia/Kolkata`, `Europe/Dublin` or `Asia/Jerusalem`
    timezone: Europe/Lodnon
              ^^^^^^^^^^^^^ unknown time zone "Europe/Lodnon"
              = hint: did you mean `Europe/London`?
    timezone: +01:00
              ^^^^^^ unknown time zone "+01:00"
              = hint: write a city, such as `Europe/Paris`, to follow its clock changes; or `Etc/GMT-1`
    "#;
    check_cases(IN_FUNCTION, cases);
}

#[test]
fn kinds_of_openings_exclude_each_other() {
    let cases = r#"
    { days: mon, dates: [2026-11-27], hours: all-day, concurrency: 1 }
                        ^ "dates" cannot be used with "days"
                        = hint: define two windows: where they overlap, the higher number applies
                        = note: see also fleet.yaml:6:17
    { cron: "30 7 * * mon-fri", hours: all-day, concurrency: 1 }
                                       ^^^^^^^ "hours" cannot be used with "cron"
                                       = hint: set `for`: the time that the window stays open
                                       = note: see also fleet.yaml:6:17
    { cron: "30 7 * * mon-fri", concurrency: 1 }
    ^ missing key "for"
    = hint: add the time that the window stays open, such as `for: 2h`
    { cron: "30 7 * * 1-5", for: 2h, concurrency: 1 }
                      ^^^ weekday numbers are ambiguous: cron dialects number days differently
                      = hint: if 1 is Monday, write `mon-fri`; if 1 is Sunday, `sun-thu`
    { cron: 5, for: 2d, concurrency: 1 }
            ^ expected a cron expression, found 5
            = hint: put it in quotes: `"5"`
    { days: mon, hours: all-day, for: 2h, concurrency: 1 }
                                      ^^ "for" cannot be used with "days"
                                      = hint: set `hours`: they close the window
                                      = note: see also fleet.yaml:6:17
    { for: 2h, concurrency: 1 }
    ^ missing key "cron"
    = hint: add the openings, such as `cron: "30 7 * * mon-fri"` for 07:30 on working days
    "#;
    check_cases(IN_WINDOW, cases);
}

#[test]
fn numbers_of_environments() {
    let cases = r#"
    { days: mon, hours: all-day, concurrency: 1, load: { requests_per_second: 5, duration: 1s } }
                                                       ^ "load" cannot be used with "concurrency"
                                                       = hint: remove one of the two
                                                       = note: see also fleet.yaml:6:51
    { days: mon, hours: all-day }
    ^ missing key "concurrency"
    = hint: add `concurrency`, or `load`
    { days: mon, hours: all-day, concurrency: 0 }
                                              ^ expected a whole number from 1 to 100000, found 0
    { days: mon, hours: all-day, concurrency: 1.5 }
                                              ^^^ expected a whole number from 1 to 100000, found 1.5
    { days: mon, hours: all-day, concurrency: "10" }
                                              ^^^^ expected a whole number from 1 to 100000, found "10"
                                              = hint: remove the quotes: `10`
    { days: mon, hours: all-day, concurrency: ten }
                                              ^^^ expected a whole number from 1 to 100000, found "ten"
    { days: mon, hours: all-day, load: { duration: 1s } }
                                       ^ missing key "requests_per_second"
    { days: mon, hours: all-day, load: { requests_per_second: 5 } }
                                       ^ missing key "duration" or "per_environment"
                                       = hint: write `{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`
    { days: mon, hours: all-day, load: { requests_per_second: 5, duration: 1s, per_environment: 1 } }
                                       ^ "per_environment" cannot be used with "duration"
                                       = hint: write `{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`
    { days: mon, hours: all-day, load: { requests_per_second: 1e3, duration: 1 } }
                                                              ^^^ expected a number above 0, found 1e3
                                                              = hint: write plain digits, such as 50 or 0.045, up to 1000000000
                                                                             ^ expected a duration with a unit, found "1"
                                                                             = hint: write `1ms`
    { days: mon, hours: all-day, load: { requests_per_second: 1000000, duration: 10m } }
                                       ^ the load needs more than 100000 environments
                                       = hint: check the units of the rate and of `duration`
    "#;
    check_cases(IN_WINDOW, cases);
}

#[test]
fn rounds_above_the_cap() {
    let cases = r#"
    { days: mon, hours: all-day, concurrency: 501 }
                                              ^^^ 501 environments exceed "limits.max_in_flight" (500)
                                              = hint: lower the number, or raise `max_in_flight` to 501
    "#;
    check_cases(IN_WINDOW, cases);
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
