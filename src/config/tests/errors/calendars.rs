//! Calendars and named windows.

use insta::assert_snapshot;

use super::*;

#[test]
fn calendars_and_dates() {
    let cases = r#"
    { days: mon, hours: all-day, concurrency: 1, except: [england] }
                                                          ^^^^^^^ unknown calendar "england"
                                                          = hint: define it under `calendars`
    { days: mon, hours: all-day, concurrency: 1, except: england }
                                                         ^^^^^^^ expected a list, found "england"
                                                         = hint: write `[england]`
    { dates: [12-25, 25/12/2026, 2026-2-3, 2026-02-30, 2026, christmas], hours: all-day, concurrency: 1 }
              ^^^^^ expected a date with a year, found "12-25"
              = hint: add the year, as in `2026-12-25`
                     ^^^^^^^^^^ expected a date as YYYY-MM-DD, found "25/12/2026"
                     = hint: write year, month and day, as in `2026-12-25`
                                 ^^^^^^^^ expected a date as YYYY-MM-DD, found "2026-2-3"
                                 = hint: write `2026-02-03`
                                           ^^^^^^^^^^ expected a day of the calendar, found "2026-02-30"
                                                       ^^^^ expected a date, found "2026"
                                                       = hint: write year, month and day, as in `2026-12-25`
                                                             ^^^^^^^^^ expected a date, found "christmas"
                                                             = hint: write year, month and day, as in `2026-12-25`
    { days: mon, hours: all-day, concurrency: 1, from: 2026-06-01, through: 2026-05-31 }
                                                                            ^^^^^^^^^^ "through" (2026-05-31) must not be before "from" (2026-06-01)
    "#;
    check_cases(IN_WINDOW, cases);
    let document = r#"
    version: 1
    calendars:
      a: { dates: [2026-12-25], from: 2026-12-25 }
                                      ^^^^^^^^^^ "from" cannot be used with "dates"
                                      = hint: define two calendars: a window can name both
                                      = note: see also fleet.yaml:3:15
      b: {}
      ^ the calendar "b" has no dates
      = hint: add `dates`, or `from` and `through`, or `file`
      c: { from: 2026-12-25 }
                 ^^^^^^^^^^ missing key "through"
                 = hint: add the last day of the range
      d: { through: 2026-12-25, from: 2027-01-01 }
                    ^^^^^^^^^^ "through" (2026-12-25) must not be before "from" (2027-01-01)
      e: { dates: [] }
                  ^ expected at least one item, found an empty list
                  = hint: add an item, or remove the key
      f: { file: holidays.csv }
                 ^^^^^^^^^^^^ expected the path of an .ics or .yaml file, found "holidays.csv"
                 = hint: use an .ics file with all-day events, or a YAML file with `dates`
      g: { file: none.ics }
                 ^^^^^^^^ calendar file "none.ics": no such file
                 = hint: check the path, which is relative to this file
    "#;
    check_document(document);
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
      = hint: rename one of the two: all files share the names of calendars, windows and pipelines
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
    let document = r#"
    version: 1
    windows:
      office: { days: mon-fri, hours: "08:00-18:00" }
      early: { cron: "30 7 * * *", for: 1h, regions: [us-east-1] }
      nested: { use: office, hours: all-day }
                     ^^^^^^ "use" is not allowed in a named window
                     = hint: move it to the windows of functions
      both: { days: mon, cron: "30 7 * * *" }
                               ^^^^^^^^^^^^ "cron" cannot be used with "days"
                               = hint: define two windows: where they overlap, the higher number applies
                               = note: see also fleet.yaml:6:17
    functions:
      f:
        region: eu-west-2
        windows:
          - { use: ofice, concurrency: 1 }
                   ^^^^^ unknown window "ofice"
                   = hint: did you mean `office`?
          - { use: office }
            ^ missing key "concurrency"
            = hint: add `concurrency`, or `load`
          - { use: early, concurrency: 1 }
            ^ the function is not in us-east-1
            = hint: use some of the function's regions: eu-west-2
          - { use: early, hours: all-day, concurrency: 1, regions: [eu-west-2] }
                                 ^^^^^^^ "hours" cannot be used with "cron"
                                 = hint: set `for` instead: the named window opens by `cron`
          - { use: office, for: 1h, concurrency: 1 }
                                ^^ "for" requires "cron"
                                = hint: set `hours` instead: the named window opens by days
          - { use: both, concurrency: 1 }
    "#;
    check_document(document);
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
      = hint: rename one of the two: all files share the names of calendars, windows and pipelines
      = note: see also a.yaml:2:12
    "#);
}
