//! Every mistake: its caret, its reason, its hint.

use insta::assert_snapshot;

use super::*;

#[test]
fn a_file_that_is_empty_or_says_nothing() {
    assert_snapshot!(wrong(""), @r#"
    error: the file is empty
     --> fleet.yaml:1:1
      |
    1 |
      | ^
      |
      = hint: begin it with `version: 1`, or remove it
    "#);
    assert_snapshot!(wrong("# only a comment\n"), @r#"
    error: the file is empty
     --> fleet.yaml:1:1
      |
    1 | # only a comment
      | ^
      |
      = hint: begin it with `version: 1`, or remove it
    "#);
    assert_snapshot!(wrong("functions: {}\n"), @r#"
    error: the key `version` is missing
     --> fleet.yaml:1:1
      |
    1 | functions: {}
      | ^^^^^^^^^
      |
      = hint: begin the file with `version: 1`
    "#);
    assert_snapshot!(wrong("version: 2\n"), @r#"
    error: this version is not known
     --> fleet.yaml:1:10
      |
    1 | version: 2
      |          ^
      |
      = hint: write `version: 1`
    "#);
    assert_snapshot!(wrong("version: \"1\"\n"), @r#"
    error: the version is a number
     --> fleet.yaml:1:10
      |
    1 | version: "1"
      |          ^^^
      |
      = hint: write `version: 1`, without quotes
    "#);
    assert_snapshot!(wrong("- version: 1\n"), @r#"
    error: a map (`key: value`) belongs here, not a list
     --> fleet.yaml:1:1
      |
    1 | - version: 1
      | ^
      |
      = hint: leave out the `-` or `[]`: every entry is `name: value`
    "#);
    assert_snapshot!(wrong("verison: 1\n"), @r#"
    error: unknown key `verison`
     --> fleet.yaml:1:1
      |
    1 | verison: 1
      | ^^^^^^^
      |
      = hint: did you mean `version`?
    "#);
}

#[test]
fn yaml_that_is_not_yaml() {
    assert_snapshot!(wrong("version: 1\nfunctions:\n\tf:\n\t\tregion: eu-west-2\n"), @r#"
    error: a tab stands where YAML wants spaces
     --> fleet.yaml:3:1
      |
    3 |     f:
      | ^^^^
      |
      = hint: replace the tab by spaces
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions: { f: [1, 2 }\n"), @r#"
    error: mismatched bracket '[' closed by '}'
     --> fleet.yaml:2:17
      |
    2 | functions: { f: [1, 2 }
      |                 ^
    "#);
    assert_snapshot!(wrong("version: 1\n functions: 1\n"), @r#"
    error: a `key:` is not expected here
     --> fleet.yaml:2:11
      |
    2 |  functions: 1
      |           ^
      |
      = hint: indent all keys of a map alike, and put a text with `: ` in it in quotes
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  a: 1\n b: 2\n"), @r#"
    error: the indentation does not fit the lines above
     --> fleet.yaml:4:2
      |
    4 |  b: 2
      |  ^
      |
      = hint: indent all keys of a map alike
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  f: { hours: \"08:00-18:00 }\nlimits: {}\n"), @r#"
    error: unclosed quote
     --> fleet.yaml:3:15
      |
    3 |   f: { hours: "08:00-18:00 }
      |               ^
      |
      = hint: close it with the quote that opened it
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: { owner: @team }\n"), @r#"
    error: unexpected character: `@'
     --> fleet.yaml:2:20
      |
    2 | defaults: { owner: @team }
      |                    ^
      |
      = hint: put the text in quotes
    "#);
    assert_snapshot!(wrong("version: 1\n---\nversion: 1\n"), @r#"
    error: a second YAML document begins here
     --> fleet.yaml:3:1
      |
    3 | version: 1
      | ^
      |
      = hint: one document for each file: put it into a file of its own
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: *common\n"), @r#"
    error: this alias names an anchor that is not defined before it
     --> fleet.yaml:2:11
      |
    2 | defaults: *common
      |           ^
      |
      = hint: a text that begins with `*` needs quotes
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: &a { owner: *a }\n"), @r#"
    error: this alias contains itself
     --> fleet.yaml:2:23
      |
    2 | defaults: &a { owner: *a }
      |                       ^
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: !secret x\n"), @r#"
    error: the YAML tag `!secret` is not supported
     --> fleet.yaml:2:19
      |
    2 | defaults: !secret x
      |                   ^
      |
      = hint: a text that begins with `!` needs quotes
    "#);
    assert_snapshot!(wrong("version: 1\n? [a, b]\n: c\n"), @r#"
    error: a key must be text
     --> fleet.yaml:2:3
      |
    2 | ? [a, b]
      |   ^
    "#);
    assert_snapshot!(wrong("version: 1\n2026: c\n"), @r#"
    error: a key must be a text
     --> fleet.yaml:2:1
      |
    2 | 2026: c
      | ^^^^
      |
      = hint: put it in quotes
    "#);
}

#[test]
fn files_that_grow_too_large() {
    let mut bomb = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert_snapshot!(wrong(&bomb), @r#"
    error: the file grows too large here (its anchors (`&name`) hold too much)
     --> fleet.yaml:7:10
      |
    7 | a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
      |          ^
      |
      = hint: split the file, and look for aliases (`*name`) that repeat each other
    "#);
    assert_snapshot!(wrong(&format!("version: 1\na: {}\n", "[".repeat(100))), @r#"
    error: too many lists and maps inside each other
     --> fleet.yaml:2:36
      |
    2 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
      |                                    ^
      |
      = hint: 32 is the most
    "#);
    assert_snapshot!(wrong(&format!("version: 1\na: [{}]\n", "1,".repeat(700_000))), @r#"
    error: the file grows too large here (more than 600000 values, those that aliases repeat included)
     --> fleet.yaml:2:1199995
      |
     ::: 
    2 | ...1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,...
      |                                                                    ^
      |
      = hint: split the file, and look for aliases (`*name`) that repeat each other
    "#);
    let large = format!("version: 1\n{}", "# 8 MB of comments\n".repeat(450_000));
    assert_snapshot!(wrong(&large), @r#"
    error: the file is larger than 8 MB
    --> fleet.yaml
     = hint: split it: all the files of a directory are one configuration
    "#);
}

#[test]
fn keys() {
    assert_snapshot!(wrong("version: 1\nfunktions: {}\nprices: x\n"), @r"
    error: unknown key `funktions`
     --> fleet.yaml:2:1
      |
    2 | funktions: {}
      | ^^^^^^^^^
      |
      = hint: did you mean `functions`?

    error: `x` is not a .yaml file
     --> fleet.yaml:3:9
      |
    3 | prices: x
      |         ^
      |
      = hint: prices stand here as a map, or in a YAML file of their own
    ");
    assert_snapshot!(wrong("version: 1\nversion: 1\nlimits: {}\nlimits: {}\n"), @r#"
    error: the key `version` stands twice
     --> fleet.yaml:2:1
      |
    2 | version: 1
      | ^^^^^^^
      |
      = hint: keep one of the two
      = note: the other place is fleet.yaml:1:1

    error: the key `limits` stands twice
     --> fleet.yaml:4:1
      |
    4 | limits: {}
      | ^^^^^^
      |
      = hint: keep one of the two
      = note: the other place is fleet.yaml:3:1
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  - name: f\n"), @r#"
    error: a map (`key: value`) belongs here, not a list
     --> fleet.yaml:3:3
      |
    3 |   - name: f
      |   ^
      |
      = hint: leave out the `-` or `[]`: every entry is `name: value`
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults:\nlimits: 5\n"), @r#"
    error: a map (`key: value`) belongs here, not nothing
     --> fleet.yaml:2:9
      |
    2 | defaults:
      |         ^
      |
      = hint: put its keys below it, indented, or leave it out

    error: a map (`key: value`) belongs here, not a number
     --> fleet.yaml:3:9
      |
    3 | limits: 5
      |         ^
      |
      = hint: put its keys below it, indented, or in braces: `{ key: value }`
    "#);
    assert_snapshot!(wrong_function("intervall: 5m\n    Owner: x"), @r#"
    error: unknown key `intervall`
     --> fleet.yaml:6:5
      |
    6 |     intervall: 5m
      |     ^^^^^^^^^
      |
      = hint: did you mean `interval`?

    error: unknown key `Owner`
     --> fleet.yaml:7:5
      |
    7 |     Owner: x
      |     ^^^^^
      |
      = hint: did you mean `owner`?
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: { enabled: true }\n"), @r"
    error: unknown key `enabled`
     --> fleet.yaml:2:13
      |
    2 | defaults: { enabled: true }
      |             ^^^^^^^
      |
      = hint: the keys here are region, regions, timezone, interval, protocol, payload, hold, owner, lead, spare, stagger, architecture, memory, timeout, role_arn, external_id, assume
    ");
}

#[test]
fn days_and_hours() {
    assert_snapshot!(wrong_window("{ days: mun-fri, hours: \"08:00-18:00\", concurrency: 10 }"), @r#"
    error: `mun` is not a day of the week
     --> fleet.yaml:6:17
      |
    6 |       - { days: mun-fri, hours: "08:00-18:00", concurrency: 10 }
      |                 ^^^
      |
      = hint: did you mean `mon`?
    "#);
    assert_snapshot!(wrong_window("{ days: [mon, \"tue, wednsday\"], hours: \"08:00-25:00\", concurrency: 10 }"), @r#"
    error: `wednsday` is not a day of the week
     --> fleet.yaml:6:29
      |
    6 |       - { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
      |                             ^^^^^^^^
      |
      = hint: did you mean `wednesday`?

    error: `25:00` is not a time of day
     --> fleet.yaml:6:55
      |
    6 |       - { days: [mon, "tue, wednsday"], hours: "08:00-25:00", concurrency: 10 }
      |                                                       ^^^^^
      |
      = hint: times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: '08:00-08:00', concurrency: 10 }"), @r#"
    error: the window opens and closes at the same time of day
     --> fleet.yaml:6:32
      |
    6 |       - { days: daily, hours: '08:00-08:00', concurrency: 10 }
      |                                ^^^^^^^^^^^
      |
      = hint: write `all-day` for midnight to midnight
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: 800, concurrency: 10 }"), @r#"
    error: `800` is not a stretch of hours
     --> fleet.yaml:6:31
      |
    6 |       - { days: daily, hours: 800, concurrency: 10 }
      |                               ^^^
      |
      = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: 08:00, concurrency: 10 }"), @r#"
    error: `08:00` is not a stretch of hours
     --> fleet.yaml:6:31
      |
    6 |       - { days: daily, hours: 08:00, concurrency: 10 }
      |                               ^^^^^
      |
      = hint: write hours as `08:00-18:00`, `22:00-06:00` or `all-day`
    "#);
    assert_snapshot!(wrong_window("{ days: 1-5, hours: all-day, concurrency: 10 }"), @r#"
    error: `1` is not a day of the week
     --> fleet.yaml:6:17
      |
    6 |       - { days: 1-5, hours: all-day, concurrency: 10 }
      |                 ^
      |
      = hint: days are written by name: mon tue wed thu fri sat sun
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
    error: `mun` is not a day of the week
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

    error: `日` is not a day of the week
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
    error: `IST` is ambiguous and not a time zone of the IANA database
     --> fleet.yaml:6:15
      |
    6 |     timezone: IST
      |               ^^^
      |
      = hint: it may be `Asia/Kolkata`, `Europe/Dublin` or `Asia/Jerusalem`
    "#);
    assert_snapshot!(wrong_function("timezone: Europe/Lodnon"), @r#"
    error: `Europe/Lodnon` is not a time zone of the IANA database
     --> fleet.yaml:6:15
      |
    6 |     timezone: Europe/Lodnon
      |               ^^^^^^^^^^^^^
      |
      = hint: did you mean `Europe/London`?
    "#);
    assert_snapshot!(wrong_function("timezone: +01:00"), @r#"
    error: `+01:00` is not a time zone of the IANA database
     --> fleet.yaml:6:15
      |
    6 |     timezone: +01:00
      |               ^^^^^^
      |
      = hint: write the place, such as `Europe/Paris`: its clock changes are then right; or `Etc/GMT-1`
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
    error: weekdays are written by name: numbers mean different days to different crons
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

#[test]
fn calendars_and_dates() {
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 1, except: [england] }"), @r#"
    error: unknown calendar `england`
     --> fleet.yaml:6:63
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, except: [england] }
      |                                                               ^^^^^^^
      |
      = hint: define it under `calendars`
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 1, except: england }"), @r#"
    error: a list belongs here, not a text
     --> fleet.yaml:6:62
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, except: england }
      |                                                              ^^^^^^^
      |
      = hint: write `[england]`
    "#);
    assert_snapshot!(wrong_window("{ dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }"), @r#"
    error: the date `12-25` has no year
     --> fleet.yaml:6:19
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                   ^^^^^
      |
      = hint: write the year too, as in 2026-12-25

    error: `25/12/2026` is not written as YYYY-MM-DD
     --> fleet.yaml:6:26
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                          ^^^^^^^^^^
      |
      = hint: write year, month and day, as in 2026-12-25

    error: `2026-2-3` is not written as YYYY-MM-DD
     --> fleet.yaml:6:38
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                      ^^^^^^^^
      |
      = hint: write `2026-02-03`

    error: `2026-02-30` is not a day of the calendar
     --> fleet.yaml:6:48
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                                ^^^^^^^^^^

    error: `2026` is not a date
     --> fleet.yaml:6:60
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                                            ^^^^
      |
      = hint: write year, month and day, as in 2026-12-25

    error: `christmas` is not a date
     --> fleet.yaml:6:66
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                                                  ^^^^^^^^^
      |
      = hint: write year, month and day, as in 2026-12-25
    "#);
    assert_snapshot!(wrong_window("{ days: mon, hours: all-day, concurrency: 1, from: 2026-06-01, through: 2026-05-31 }"), @r#"
    error: `through` (2026-05-31) is before `from` (2026-06-01)
     --> fleet.yaml:6:81
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, from: 2026-06-01, through: 2026-05-31 }
      |                                                                                 ^^^^^^^^^^
    "#);
    assert_snapshot!(wrong("version: 1\ncalendars:\n  a: { dates: [2026-12-25], from: 2026-12-25 }\n  b: {}\n  c: { from: 2026-12-25 }\n  d: { through: 2026-12-25, from: 2027-01-01 }\n  e: { dates: [] }\n  f: { file: holidays.csv }\n  g: { file: none.ics }\n"), @r#"
    error: `dates`, `from`/`through` and `file` exclude each other
     --> fleet.yaml:3:35
      |
    3 |   a: { dates: [2026-12-25], from: 2026-12-25 }
      |                                   ^^^^^^^^^^
      |
      = hint: make two calendars; a window can name both

    error: the calendar `b` has no dates
     --> fleet.yaml:4:3
      |
    4 |   b: {}
      |   ^
      |
      = hint: give `dates`, or `from` and `through`, or `file`

    error: the key `through` is missing
     --> fleet.yaml:5:14
      |
    5 |   c: { from: 2026-12-25 }
      |              ^^^^^^^^^^
      |
      = hint: both days are included

    error: `through` (2026-12-25) is before `from` (2027-01-01)
     --> fleet.yaml:6:17
      |
    6 |   d: { through: 2026-12-25, from: 2027-01-01 }
      |                 ^^^^^^^^^^

    error: the list is empty
     --> fleet.yaml:7:15
      |
    7 |   e: { dates: [] }
      |               ^
      |
      = hint: leave the key out, or put something in

    error: `holidays.csv` is neither an .ics nor a .yaml file
     --> fleet.yaml:8:14
      |
    8 |   f: { file: holidays.csv }
      |              ^^^^^^^^^^^^
      |
      = hint: a calendar is read from an .ics file with all-day events, or from YAML with `dates`

    error: the calendar's file `none.ics`: no such file
     --> fleet.yaml:9:14
      |
    9 |   g: { file: none.ics }
      |              ^^^^^^^^
      |
      = hint: the path is relative to this file
    "#);
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\ncalendars: { england: { dates: [2026-12-25] } }\n"),
        ("b.yaml", "version: 1\ncalendars:\n  england: { dates: [2026-12-26] }\n"),
    ]), @r#"
    error: the calendar `england` is defined twice
     --> b.yaml:3:3
      |
    3 |   england: { dates: [2026-12-26] }
      |   ^^^^^^^
      |
      = hint: names of calendars and windows hold for the whole fleet: rename one of the two
      = note: the other place is a.yaml:2:14
    "#);
    assert_snapshot!(mistakes(&[
        ("b.yaml", "version: 1\ncalendars: { england: { dates: [2026-12-26] } }\nfunctions: { f: { region: eu-west-2, windows: [{ days: mon, hours: all-day, concurrency: 1, only: [egnland] }] } }"),
    ]), @r#"
    error: unknown calendar `egnland`
     --> b.yaml:3:100
      |
    3 | functions: { f: { region: eu-west-2, windows: [{ days: mon, hours: all-day, concurrency: 1, only: [egnland] }] } }
      |                                                                                                    ^^^^^^^
      |
      = hint: did you mean `england`?
    "#);
}

#[test]
fn files_of_calendars() {
    let naming = |file: &str| format!("version: 1\ncalendars: {{ c: {{ file: {file} }} }}\n");
    let wrong = |name: &str, text: &str| {
        mistakes(&[
            ("dir/fleet.yaml", &naming(&format!("attached/{name}"))),
            (&format!("dir/attached/{name}"), text),
        ])
    };
    assert_snapshot!(wrong("a.yaml", "dates: [12-25]\nname: x\n"), @r#"
    error: the date `12-25` has no year
     --> dir/attached/a.yaml:1:9
      |
    1 | dates: [12-25]
      |         ^^^^^
      |
      = hint: write the year too, as in 2026-12-25

    error: unknown key `name`
     --> dir/attached/a.yaml:2:1
      |
    2 | name: x
      | ^^^^
      |
      = hint: the keys here are dates
    "#);
    assert_snapshot!(wrong("a.yaml", ""), @r#"
    error: the file is empty
     --> dir/attached/a.yaml:1:1
      |
    1 |
      | ^
      |
      = hint: give `dates`
    "#);
    assert_snapshot!(wrong("a.ics", "hello"), @r#"
    error: there is no event in this file
     --> dir/attached/a.ics:1:1
      |
    1 | hello
      | ^
      |
      = hint: an .ics file holds VEVENTs
    "#);
    assert_snapshot!(wrong("a.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Every\r\n  Christmas\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch\r\nDTSTART:20261225T120000Z\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Backwards\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261224\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n"), @r#"
    error: the event `Every Christmas` repeats by a rule
     --> dir/attached/a.ics:6:1
      |
    6 | RRULE:FREQ=YEARLY
      | ^^^^^^^^^^^^^^^^^
      |
      = hint: write each date as an event of its own

    error: the event `Lunch` does not last whole days
      --> dir/attached/a.ics:10:1
       |
    10 | DTSTART:20261225T120000Z
       | ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: only all-day events are read: `DTSTART;VALUE=DATE:20261225`

    error: the event `Backwards` ends before it starts
      --> dir/attached/a.ics:15:1
       |
    15 | DTEND;VALUE=DATE:20261224
       | ^^^^^^^^^^^^^^^^^^^^^^^^^

    error: the event that begins here does not end
      --> dir/attached/a.ics:17:1
       |
    17 | BEGIN:VEVENT
       | ^^^^^^^^^^^^
    "#);
}

#[test]
fn named_windows() {
    let head = "version: 1\nwindows:\n  office: { days: mon-fri, hours: \"08:00-18:00\" }\n  early: { cron: \"30 7 * * *\", for: 1h, regions: [us-east-1] }\n  nested: { use: office, hours: all-day }\n  both: { days: mon, cron: \"30 7 * * *\" }\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n";
    assert_snapshot!(wrong(&format!("{head}      - {{ use: ofice, concurrency: 1 }}\n      - {{ use: office }}\n      - {{ use: early, concurrency: 1 }}\n      - {{ use: early, hours: all-day, concurrency: 1, regions: [eu-west-2] }}\n      - {{ use: office, for: 1h, concurrency: 1 }}\n      - {{ use: both, concurrency: 1 }}\n")), @r#"
    error: a named window cannot take up another one
     --> fleet.yaml:5:18
      |
    5 |   nested: { use: office, hours: all-day }
      |                  ^^^^^^
      |
      = hint: `use` stands in the windows of functions

    error: `days` and `cron` exclude each other
     --> fleet.yaml:6:28
      |
    6 |   both: { days: mon, cron: "30 7 * * *" }
      |                            ^^^^^^^^^^^^
      |
      = hint: make two windows: where they overlap, the higher number counts

    error: unknown window `ofice`
      --> fleet.yaml:11:16
       |
    11 |       - { use: ofice, concurrency: 1 }
       |                ^^^^^
       |
       = hint: did you mean `office`?

    error: the window does not say how many environments to keep warm
      --> fleet.yaml:12:9
       |
    12 |       - { use: office }
       |         ^
       |
       = hint: give `concurrency`, or `load`

    error: the window is for us-east-1, which the function is not in
      --> fleet.yaml:13:9
       |
    13 |       - { use: early, concurrency: 1 }
       |         ^
       |
       = hint: the function is in eu-west-2

    error: `hours` does not go with `cron`
      --> fleet.yaml:14:30
       |
    14 |       - { use: early, hours: all-day, concurrency: 1, regions: [eu-west-2] }
       |                              ^^^^^^^
       |
       = hint: the named window opens by `cron`: give `for`

    error: `for` goes with `cron` only
      --> fleet.yaml:15:29
       |
    15 |       - { use: office, for: 1h, concurrency: 1 }
       |                             ^^
       |
       = hint: the named window opens by days: give `hours`
    "#);
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\nwindows: { w: { days: mon } }\n"),
        ("b.yaml", "version: 1\nwindows: { w: { days: mon } }\n"),
    ]), @r#"
    error: the window `w` is defined twice
     --> b.yaml:2:12
      |
    2 | windows: { w: { days: mon } }
      |            ^
      |
      = hint: names of calendars and windows hold for the whole fleet: rename one of the two
      = note: the other place is a.yaml:2:12
    "#);
}

#[test]
fn the_same_function_twice() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    assert_snapshot!(mistakes(&[
        ("team-a.yaml", &format!("version: 1\nfunctions:\n  nlp:live:\n    regions: [eu-west-2, us-east-1]\n    {window}\n")),
        ("team-b.yaml", &format!("version: 1\nfunctions:\n  nlp:live:\n    region: us-east-1\n    {window}\n")),
    ]), @r#"
    error: nlp:live in us-east-1 is configured twice
     --> team-b.yaml:3:3
      |
    3 |   nlp:live:
      |   ^^^^^^^^
      |
      = hint: keep one of the two; several windows can stand under one function
      = note: the other place is team-a.yaml:3:3
    "#);
    assert_snapshot!(wrong(&format!("version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n  f: {{ {window} }}\n  f:$LATEST: {{ {window} }}\n  f: {{ {window} }}\n")), @r#"
    error: f:$LATEST in eu-west-2 is configured twice
     --> fleet.yaml:5:3
      |
    5 |   f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^
      |
      = hint: keep one of the two; several windows can stand under one function
      = note: the other place is fleet.yaml:4:3

    error: the key `f` stands twice
     --> fleet.yaml:6:3
      |
    6 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: keep one of the two
      = note: the other place is fleet.yaml:4:3
    "#);
}

#[test]
fn functions_and_regions() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    assert_snapshot!(wrong(&format!("version: 1\nfunctions:\n  f: {{ {window} }}\n")), @r#"
    error: the function has no region
     --> fleet.yaml:3:3
      |
    3 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: give `region: eu-west-2` here or under `defaults`, or name the function by its ARN
    "#);
    assert_snapshot!(wrong(&format!("version: 1\nfunctions:\n  f: {{ region: eu-wset-2, {window} }}\n  g: {{ regions: eu-west-2, {window} }}\n  h: {{ region: [eu-west-2], {window} }}\n  i: {{ regions: [eu-west-2, eu-west-2], {window} }}\n  j: {{ regions: [eu-west-2], region: eu-west-2, {window} }}\n")), @r#"
    error: unknown region `eu-wset-2`
     --> fleet.yaml:3:16
      |
    3 |   f: { region: eu-wset-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                ^^^^^^^^^
      |
      = hint: did you mean `eu-west-2`?

    error: a list belongs here, not a text
     --> fleet.yaml:4:17
      |
    4 |   g: { regions: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                 ^^^^^^^^^
      |
      = hint: write `[eu-west-2]`

    error: a region such as `eu-west-2` belongs here, not a list
     --> fleet.yaml:5:16
      |
    5 |   h: { region: [eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                ^
      |
      = hint: `regions` takes a list

    error: eu-west-2 stands in the list twice
     --> fleet.yaml:6:29
      |
    6 |   i: { regions: [eu-west-2, eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                             ^^^^^^^^^

    error: `region` and `regions` exclude each other
     --> fleet.yaml:7:17
      |
    7 |   j: { regions: [eu-west-2], region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                 ^
      |
      = hint: `region: x` is the short form of `regions: [x]`
      = note: the other place is fleet.yaml:7:38
    "#);
    assert_snapshot!(wrong(&format!("version: 1\nfunctions:\n  my.function: {{ region: eu-west-2, {window} }}\n  arn:aws:lambda:eu-west-9:123456789012:function:f: {{ {window} }}\n  arn:aws:lambda:eu-west-2:123456789012:function:g: {{ region: us-east-1, {window} }}\n  arn:aws:s3:::bucket: {{ {window} }}\n")), @r#"
    error: `my.function` is not a function name (1 to 64 of A-Z a-z 0-9 _ -)
     --> fleet.yaml:3:3
      |
    3 |   my.function: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^

    error: unknown region `eu-west-9` in this ARN
     --> fleet.yaml:4:3
      |
    4 |   arn:aws:lambda:eu-west-9:123456789012:function:f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `eu-west-1`?

    error: the ARN is in eu-west-2
     --> fleet.yaml:5:63
      |
    5 |   arn:aws:lambda:eu-west-2:123456789012:function:g: { region: us-east-1, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                                                               ^^^^^^^^^
      |
      = hint: leave the region out: the ARN names it

    error: `arn:aws:s3:::bucket` is not a function ARN (arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER])
     --> fleet.yaml:6:3
      |
    6 |   arn:aws:s3:::bucket: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(wrong_function("enabled: yes"), @r#"
    error: `true` or `false` belongs here, not a text
     --> fleet.yaml:6:14
      |
    6 |     enabled: yes
      |              ^^^
      |
      = hint: write `true`
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  f: { region: eu-west-2 }\n  g: { region: eu-west-2, windows: [] }\n  h:\n"), @r#"
    error: the function has no windows
     --> fleet.yaml:3:3
      |
    3 |   f: { region: eu-west-2 }
      |   ^
      |
      = hint: without `windows` it is never warm; `enabled: false` says so

    error: the list is empty
     --> fleet.yaml:4:36
      |
    4 |   g: { region: eu-west-2, windows: [] }
      |                                    ^
      |
      = hint: leave the key out, or put something in

    error: a map (`key: value`) belongs here, not nothing
     --> fleet.yaml:5:4
      |
    5 |   h:
      |    ^
      |
      = hint: put its keys below it, indented, or leave it out
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }"), @r#"
    error: the window is for us-east-1, which the function is not in
     --> fleet.yaml:6:66
      |
    6 |       - { days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }
      |                                                                  ^^^^^^^^^
      |
      = hint: the function is in eu-west-2
    "#);
}

#[test]
fn quantities() {
    assert_snapshot!(wrong_function("interval: 90s"), @r#"
    error: `90s` is not a whole number of minutes
     --> fleet.yaml:6:15
      |
    6 |     interval: 90s
      |               ^^^
      |
      = hint: write `1m` or `2m`
    "#);
    assert_snapshot!(wrong_function("interval: 5"), @r#"
    error: `5` has no unit
     --> fleet.yaml:6:15
      |
    6 |     interval: 5
      |               ^
      |
      = hint: write `5m`?
    "#);
    assert_snapshot!(wrong_function("interval: 25h"), @r#"
    error: `25h` is outside of 1m to 24h
     --> fleet.yaml:6:15
      |
    6 |     interval: 25h
      |               ^^^
    "#);
    assert_snapshot!(wrong_function("interval: 5min"), @r#"
    error: `5min` is not a duration
     --> fleet.yaml:6:15
      |
    6 |     interval: 5min
      |               ^^^^
      |
      = hint: durations are a number and a unit: 250ms, 90s, 5m, 2h; this one from 1m to 24h
    "#);
    assert_snapshot!(wrong_function("interval: 30s"), @r#"
    error: `30s` is outside of 1m to 24h
     --> fleet.yaml:6:15
      |
    6 |     interval: 30s
      |               ^^^
    "#);
    assert_snapshot!(wrong_function("timeout: 16m"), @r#"
    error: `16m` is outside of 1s to 15m
     --> fleet.yaml:6:14
      |
    6 |     timeout: 16m
      |              ^^^
    "#);
    assert_snapshot!(wrong_function("hold: automatic"), @r#"
    error: `automatic` is not a duration
     --> fleet.yaml:6:11
      |
    6 |     hold: automatic
      |           ^^^^^^^^^
      |
      = hint: durations are a number and a unit: 250ms, 90s, 5m, 2h; this one from 0s to 15m
    "#);
    assert_snapshot!(wrong_function("memory: 1024"), @r#"
    error: `1024` has no unit
     --> fleet.yaml:6:13
      |
    6 |     memory: 1024
      |             ^^^^
      |
      = hint: write `1024MB`
    "#);
    assert_snapshot!(wrong_function("memory: 1GB"), @r#"
    error: `1GB` is not a memory size
     --> fleet.yaml:6:13
      |
    6 |     memory: 1GB
      |             ^^^
      |
      = hint: memory is written in Lambda's MB, such as `1024MB`, from 128MB to 10240MB
    "#);
    assert_snapshot!(wrong_function("memory: 64MB"), @r#"
    error: `64MB` is not a memory size
     --> fleet.yaml:6:13
      |
    6 |     memory: 64MB
      |             ^^^^
      |
      = hint: memory is written in Lambda's MB, such as `1024MB`, from 128MB to 10240MB
    "#);
    assert_snapshot!(wrong_function("architecture: arm"), @r#"
    error: `arm` is not `x86_64` or `arm64`
     --> fleet.yaml:6:19
      |
    6 |     architecture: arm
      |                   ^^^
    "#);
    assert_snapshot!(wrong_function("spare: -1"), @r#"
    error: `-1` is not a whole number from 0 to 100000
     --> fleet.yaml:6:12
      |
    6 |     spare: -1
      |            ^^
    "#);
    assert_snapshot!(wrong("version: 1\nlimits: { max_in_flight: 010 }\nmetrics: { namespace: AWS/Lambda, detail: all }\n"), @r#"
    error: `010` is not a whole number from 1 to 100000
     --> fleet.yaml:2:26
      |
    2 | limits: { max_in_flight: 010 }
      |                          ^^^

    error: `AWS/Lambda` is not a CloudWatch namespace
     --> fleet.yaml:3:23
      |
    3 | metrics: { namespace: AWS/Lambda, detail: all }
      |                       ^^^^^^^^^^
      |
      = hint: 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `AWS/` or `:`

    error: `all` is not `fleet` or `function`
     --> fleet.yaml:3:43
      |
    3 | metrics: { namespace: AWS/Lambda, detail: all }
      |                                           ^^^
    "#);
}

#[test]
fn downloads() {
    assert_snapshot!(wrong_function("downloads: [{ object: \"s3://models/a\", size: 220MB }]"), @r#"
    error: the key `route` is missing
     --> fleet.yaml:6:17
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220MB }]
      |                 ^
      |
      = hint: the route decides the price, so there is no default: same-region, nat-gateway, interface-endpoint, inter-region or internet
    "#);
    assert_snapshot!(wrong_function("downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]"), @r#"
    error: `models/a` is not an object in S3
     --> fleet.yaml:6:27
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                           ^^^^^^^^
      |
      = hint: write `s3://bucket/key`

    error: `220mb` is not a size
     --> fleet.yaml:6:43
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                           ^^^^^
      |
      = hint: write `220MB`

    error: `nat` is not a route
     --> fleet.yaml:6:57
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                                         ^^^
      |
      = hint: it is one of `same-region`, `nat-gateway`, `interface-endpoint`, `inter-region`, `internet`

    error: `cold_start` is not `cold-start` or `ping`
     --> fleet.yaml:6:67
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                                                   ^^^^^^^^^^
      |
      = hint: did you mean `cold-start`?
    "#);
    assert_snapshot!(wrong_function("downloads: [{ object: \"s3://models/a\", size: 220, route: inter-region }, { object: \"s3://models/a\", size: 1.5B, route: internet, bucket_region: eu-west-1 }]"), @r#"
    error: `220` has no unit
     --> fleet.yaml:6:50
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, ...
      |                                                  ^^^
      |
      = hint: sizes are a number and a unit: 220MB (10^6 bytes) or 210MiB (2^20 bytes)

    error: `1.5B` is not a whole number of bytes
     --> fleet.yaml:6:111
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, ...
      |                                                                                                               ^^^^
      |
      = hint: sizes are a number and a unit: 220MB (10^6 bytes) or 210MiB (2^20 bytes)

    error: `bucket_region` goes with the route `inter-region` only
     --> fleet.yaml:6:149
      |
    6 | ...s3://models/a", size: 1.5B, route: internet, bucket_region: eu-west-1 }]
      |                                                                ^^^^^^^^^
      |
      = hint: the other routes do not ask where the bucket is
    "#);
    assert_snapshot!(wrong_function("downloads: { object: \"s3://models/a\", size: 220MB, route: internet }"), @r#"
    error: a list belongs here, not a map
     --> fleet.yaml:6:16
      |
    6 |     downloads: { object: "s3://models/a", size: 220MB, route: internet }
      |                ^
      |
      = hint: put `- ` before each item
    "#);
}

#[test]
fn protocols() {
    assert_snapshot!(wrong_function("protocol: lamda-warmer"), @r#"
    error: `lamda-warmer` is not a protocol
     --> fleet.yaml:6:15
      |
    6 |     protocol: lamda-warmer
      |               ^^^^^^^^^^^^
      |
      = hint: did you mean `lambda-warmer`?
    "#);
    assert_snapshot!(wrong_function("protocol: custom"), @r#"
    error: the protocol `custom` needs a `payload`
     --> fleet.yaml:6:15
      |
    6 |     protocol: custom
      |               ^^^^^^
      |
      = hint: any JSON, such as `payload: { warm: true }`
    "#);
    assert_snapshot!(wrong_function("payload: { warm: true }"), @r#"
    error: `payload` goes with `protocol: custom` only
     --> fleet.yaml:6:14
      |
    6 |     payload: { warm: true }
      |              ^
      |
      = hint: the other protocols say what they have to say
    "#);
    assert_snapshot!(wrong_function("protocol: custom\n    payload: { n: \"{{indx}}\" }"), @r#"
    error: unknown placeholder `{{indx}}`, did you mean `{{index}}`?
     --> fleet.yaml:7:14
      |
    7 |     payload: { n: "{{indx}}" }
      |              ^
    "#);
    assert_snapshot!(wrong_function("protocol: custom\n    payload: { n: .inf }"), @r#"
    error: `.inf` is not a number of JSON
     --> fleet.yaml:7:19
      |
    7 |     payload: { n: .inf }
      |                   ^^^^
      |
      = hint: write plain digits, or put it in quotes
    "#);
}

#[test]
fn things_that_stand_in_one_file_only() {
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\nlimits: { max_in_flight: 10 }\nmetrics: {}\n"),
        ("b.yaml", "version: 1\nmetrics: { detail: function }\nlimits: { max_in_flight: 10 }\n"),
    ]), @r#"
    error: `metrics` stands in a second file
     --> b.yaml:2:10
      |
    2 | metrics: { detail: function }
      |          ^
      |
      = hint: it holds for the whole fleet, so it stands in one file only
      = note: the other place is a.yaml:3:10

    error: `limits` stands in a second file
     --> b.yaml:3:9
      |
    3 | limits: { max_in_flight: 10 }
      |         ^
      |
      = hint: it holds for the whole fleet, so it stands in one file only
      = note: the other place is a.yaml:2:9
    "#);
}

#[test]
fn all_mistakes_of_all_files_in_one_go() {
    assert_snapshot!(mistakes(&[
        ("a.yaml", "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - { days: mun, hours: \"8-18\", concurrency: 0 }\n"),
        ("b.yaml", "version: 1\nfunctions: [\n"),
        ("c.yaml", "functions: {}\n"),
    ]), @r#"
    error: `mun` is not a day of the week
     --> a.yaml:6:17
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                 ^^^
      |
      = hint: did you mean `mon`?

    error: `8` is not a time of day
     --> a.yaml:6:30
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                              ^
      |
      = hint: did you mean `08:00`?

    error: `0` is not a whole number from 1 to 100000
     --> a.yaml:6:50
      |
    6 |       - { days: mun, hours: "8-18", concurrency: 0 }
      |                                                  ^

    error: unclosed bracket '['
     --> b.yaml:2:12
      |
    2 | functions: [
      |            ^

    error: the key `version` is missing
     --> c.yaml:1:1
      |
    1 | functions: {}
      | ^^^^^^^^^
      |
      = hint: begin the file with `version: 1`
    "#);
    let many: String = (0..300).map(|n| format!("key{n}: 1\n")).collect();
    let problems = resolve_all(&[("a.yaml", &format!("version: 1\n{many}"))]).unwrap_err();
    assert_eq!((problems.list.len(), problems.omitted), (200, 100));
    assert!(problems.render_text(false).ends_with("\n\nand 100 more"));
}

#[test]
fn a_very_long_line_is_cropped_around_the_mistake() {
    let text = format!("version: 1\nlimits: {{ {} max_in_flight: -1 }}\n", " ".repeat(100_000));
    let problems = resolve_all(&[("a.yaml", &text)]).unwrap_err();
    let problem = &problems.list[0];
    assert_eq!((problem.place.line, problem.place.column, problem.end_column), (2, 100_027, 100_029));
    let rendered = problem.render_text(false);
    assert!(rendered.contains("--> a.yaml:2:100027\n"), "{rendered}");
    assert!(rendered.contains("max_in_flight: -1 }\n") && rendered.ends_with(" ^^"), "{rendered}");
    assert!(rendered.len() < 2_000, "{rendered}");
}
