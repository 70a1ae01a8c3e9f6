//! Calendars and named windows.

use insta::assert_snapshot;

use super::*;

#[test]
fn calendars_and_dates() {
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 1, except: [england] }"), @r#"
    error: unknown calendar "england"
     --> fleet.yaml:6:63
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, except: [england] }
      |                                                               ^^^^^^^
      |
      = hint: define it under `calendars`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 1, except: england }"), @r#"
    error: expected a list, found "england"
     --> fleet.yaml:6:62
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, except: england }
      |                                                              ^^^^^^^
      |
      = hint: write `[england]`
    "#);
    assert_snapshot!(window_errors("{ dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }"), @r#"
    error: expected a date with a year, found "12-25"
     --> fleet.yaml:6:19
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                   ^^^^^
      |
      = hint: add the year, as in `2026-12-25`

    error: expected a date as YYYY-MM-DD, found "25/12/2026"
     --> fleet.yaml:6:26
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                          ^^^^^^^^^^
      |
      = hint: write year, month and day, as in `2026-12-25`

    error: expected a date as YYYY-MM-DD, found "2026-2-3"
     --> fleet.yaml:6:38
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                      ^^^^^^^^
      |
      = hint: write `2026-02-03`

    error: expected a day of the calendar, found "2026-02-30"
     --> fleet.yaml:6:48
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                                ^^^^^^^^^^

    error: expected a date, found "2026"
     --> fleet.yaml:6:60
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                                            ^^^^
      |
      = hint: write year, month and day, as in `2026-12-25`

    error: expected a date, found "christmas"
     --> fleet.yaml:6:66
      |
    6 |       - { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
      |                                                                  ^^^^^^^^^
      |
      = hint: write year, month and day, as in `2026-12-25`
    "#);
    assert_snapshot!(window_errors("{ days: mon, hours: all-day, concurrency: 1, from: 2026-06-01, through: 2026-05-31 }"), @r#"
    error: "through" (2026-05-31) must not be before "from" (2026-06-01)
     --> fleet.yaml:6:81
      |
    6 |       - { days: mon, hours: all-day, concurrency: 1, from: 2026-06-01, through: 2026-05-31 }
      |                                                                                 ^^^^^^^^^^
    "#);
    assert_snapshot!(errors("version: 1\ncalendars:\n  a: { dates: [2026-12-25], from: 2026-12-25 }\n  b: {}\n  c: { from: 2026-12-25 }\n  d: { through: 2026-12-25, from: 2027-01-01 }\n  e: { dates: [] }\n  f: { file: holidays.csv }\n  g: { file: none.ics }\n"), @r#"
    error: "from" cannot be used with "dates"
     --> fleet.yaml:3:35
      |
    3 |   a: { dates: [2026-12-25], from: 2026-12-25 }
      |                                   ^^^^^^^^^^
      |
      = hint: define two calendars: a window can name both
      = note: see also fleet.yaml:3:15

    error: the calendar "b" has no dates
     --> fleet.yaml:4:3
      |
    4 |   b: {}
      |   ^
      |
      = hint: add `dates`, or `from` and `through`, or `file`

    error: missing key "through"
     --> fleet.yaml:5:14
      |
    5 |   c: { from: 2026-12-25 }
      |              ^^^^^^^^^^
      |
      = hint: add the last day of the range

    error: "through" (2026-12-25) must not be before "from" (2027-01-01)
     --> fleet.yaml:6:17
      |
    6 |   d: { through: 2026-12-25, from: 2027-01-01 }
      |                 ^^^^^^^^^^

    error: expected at least one item, found an empty list
     --> fleet.yaml:7:15
      |
    7 |   e: { dates: [] }
      |               ^
      |
      = hint: add an item, or remove the key

    error: expected the path of an .ics or .yaml file, found "holidays.csv"
     --> fleet.yaml:8:14
      |
    8 |   f: { file: holidays.csv }
      |              ^^^^^^^^^^^^
      |
      = hint: use an .ics file with all-day events, or a YAML file with `dates`

    error: calendar file "none.ics": no such file
     --> fleet.yaml:9:14
      |
    9 |   g: { file: none.ics }
      |              ^^^^^^^^
      |
      = hint: check the path, which is relative to this file
    "#);
    assert_snapshot!(errors_of(&[
        ("a.yaml", "version: 1\ncalendars: { england: { dates: [2026-12-25] } }\n"),
        ("b.yaml", "version: 1\ncalendars:\n  england: { dates: [2026-12-26] }\n"),
    ]), @r#"
    error: duplicate calendar "england"
     --> b.yaml:3:3
      |
    3 |   england: { dates: [2026-12-26] }
      |   ^^^^^^^
      |
      = hint: rename one of the two: all files share the names of calendars and windows
      = note: see also a.yaml:2:14
    "#);
    assert_snapshot!(errors_of(&[
        ("b.yaml", "version: 1\ncalendars: { england: { dates: [2026-12-26] } }\nfunctions: { f: { region: eu-west-2, windows: [{ days: mon, hours: all-day, concurrency: 1, only: [egnland] }] } }"),
    ]), @r#"
    error: unknown calendar "egnland"
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
    let errors = |name: &str, text: &str| {
        errors_of(&[
            ("dir/fleet.yaml", &naming(&format!("attached/{name}"))),
            (&format!("dir/attached/{name}"), text),
        ])
    };
    assert_snapshot!(errors("a.yaml", "dates: [12-25]\nname: x\n"), @r#"
    error: expected a date with a year, found "12-25"
     --> dir/attached/a.yaml:1:9
      |
    1 | dates: [12-25]
      |         ^^^^^
      |
      = hint: add the year, as in `2026-12-25`

    error: unknown key "name"
     --> dir/attached/a.yaml:2:1
      |
    2 | name: x
      | ^^^^
      |
      = hint: use dates
    "#);
    assert_snapshot!(errors("a.yaml", ""), @r"
    error: the file is empty
     --> dir/attached/a.yaml:1:1
      |
    1 |
      | ^
      |
      = hint: add `dates`
    ");
    assert_snapshot!(errors("a.ics", "hello"), @r"
    error: no event in this file
     --> dir/attached/a.ics:1:1
      |
    1 | hello
      | ^
      |
      = hint: add a VEVENT for each date
    ");
    assert_snapshot!(errors("a.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Every\r\n  Christmas\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch\r\nDTSTART:20261225T120000Z\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Backwards\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261224\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n"), @r#"
    error: the event "Every Christmas" repeats by a rule
     --> dir/attached/a.ics:6:1
      |
    6 | RRULE:FREQ=YEARLY
      | ^^^^^^^^^^^^^^^^^
      |
      = hint: add an event for each date

    error: the event "Lunch" does not last whole days
      --> dir/attached/a.ics:10:1
       |
    10 | DTSTART:20261225T120000Z
       | ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: use an all-day event: `DTSTART;VALUE=DATE:20261225`

    error: the event "Backwards" ends before it starts
      --> dir/attached/a.ics:15:1
       |
    15 | DTEND;VALUE=DATE:20261224
       | ^^^^^^^^^^^^^^^^^^^^^^^^^

    error: missing END:VEVENT for this event
      --> dir/attached/a.ics:17:1
       |
    17 | BEGIN:VEVENT
       | ^^^^^^^^^^^^
    "#);
}

#[test]
fn named_windows() {
    let head = "version: 1\nwindows:\n  office: { days: mon-fri, hours: \"08:00-18:00\" }\n  early: { cron: \"30 7 * * *\", for: 1h, regions: [us-east-1] }\n  nested: { use: office, hours: all-day }\n  both: { days: mon, cron: \"30 7 * * *\" }\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n";
    assert_snapshot!(errors(&format!("{head}      - {{ use: ofice, concurrency: 1 }}\n      - {{ use: office }}\n      - {{ use: early, concurrency: 1 }}\n      - {{ use: early, hours: all-day, concurrency: 1, regions: [eu-west-2] }}\n      - {{ use: office, for: 1h, concurrency: 1 }}\n      - {{ use: both, concurrency: 1 }}\n")), @r#"
    error: "use" is not allowed in a named window
     --> fleet.yaml:5:18
      |
    5 |   nested: { use: office, hours: all-day }
      |                  ^^^^^^
      |
      = hint: move it to the windows of functions

    error: "cron" cannot be used with "days"
     --> fleet.yaml:6:28
      |
    6 |   both: { days: mon, cron: "30 7 * * *" }
      |                            ^^^^^^^^^^^^
      |
      = hint: define two windows: where they overlap, the higher number applies
      = note: see also fleet.yaml:6:17

    error: unknown window "ofice"
      --> fleet.yaml:11:16
       |
    11 |       - { use: ofice, concurrency: 1 }
       |                ^^^^^
       |
       = hint: did you mean `office`?

    error: missing key "concurrency"
      --> fleet.yaml:12:9
       |
    12 |       - { use: office }
       |         ^
       |
       = hint: add `concurrency`, or `load`

    error: the function is not in us-east-1
      --> fleet.yaml:13:9
       |
    13 |       - { use: early, concurrency: 1 }
       |         ^
       |
       = hint: use some of the function's regions: eu-west-2

    error: "hours" cannot be used with "cron"
      --> fleet.yaml:14:30
       |
    14 |       - { use: early, hours: all-day, concurrency: 1, regions: [eu-west-2] }
       |                              ^^^^^^^
       |
       = hint: set `for` instead: the named window opens by `cron`

    error: "for" requires "cron"
      --> fleet.yaml:15:29
       |
    15 |       - { use: office, for: 1h, concurrency: 1 }
       |                             ^^
       |
       = hint: set `hours` instead: the named window opens by days
    "#);
    assert_snapshot!(errors_of(&[
        ("a.yaml", "version: 1\nwindows: { w: { days: mon } }\n"),
        ("b.yaml", "version: 1\nwindows: { w: { days: mon } }\n"),
    ]), @r#"
    error: duplicate window "w"
     --> b.yaml:2:12
      |
    2 | windows: { w: { days: mon } }
      |            ^
      |
      = hint: rename one of the two: all files share the names of calendars and windows
      = note: see also a.yaml:2:12
    "#);
}
