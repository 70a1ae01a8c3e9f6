//! Calendars and named windows.

use insta::assert_snapshot;

use super::*;

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
