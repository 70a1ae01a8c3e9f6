//! Accepted configurations and the fleets that they make.

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use insta::assert_snapshot;

use super::*;
use crate::domain::calendar::{DateSet, Hours, Opening};
use crate::domain::cost::{Per, Route};
use crate::domain::fleet::{Hold, Target};
use crate::domain::function::Architecture;
use crate::domain::metrics::Detail;
use crate::domain::protocol::Protocol;

fn target<'l>(loaded: &'l Loaded, label: &str, region: &str) -> &'l Target {
    let found = |target: &&Target| target.label == label && target.region().as_str() == region;
    loaded.fleet.targets.iter().find(found).unwrap()
}

/// Returns the concurrency of the only window of the only function.
fn concurrency(window: &str) -> u32 {
    let loaded = valid(&format!(
        "version: 1\nlimits: {{ max_in_flight: 100000 }}\nfunctions:\n  f:\n    region: eu-west-2\n    windows:\n      - {{ days: daily, hours: all-day, {window} }}\n"
    ));
    loaded.fleet.targets[0].windows[0].concurrency
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

const OFFICE: &str = r#"
version: 1
defaults: { region: eu-west-2, timezone: Europe/London, interval: 5m, protocol: warmd, owner: payments }
limits: { max_in_flight: 600 }
metrics: { namespace: Warm/Fleet, detail: function }
functions:
  nlp-inference:live:
    regions: [eu-west-2, us-east-1]
    memory: 1024MB
    architecture: arm64
    windows:
      - { days: mon-fri, hours: "08:00-18:00", concurrency: 10 }
      - { days: sat, hours: "22:00-06:00", concurrency: 2, regions: [us-east-1], timezone: America/New_York }
    downloads:
      - { object: "s3://models/nlp-v7.bin", size: 220MB, route: nat-gateway, per: cold-start }
      - { object: "s3://models/vocab", size: 1.5MiB, route: inter-region, bucket_region: eu-west-1, per: ping }
  arn:aws:lambda:us-west-2:123456789012:function:thumbnails:
    hold: 75ms
    timeout: 30s
    interval: 1h
    protocol: opennext
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
"#;

#[test]
fn a_function_in_two_regions() {
    let loaded = valid(OFFICE);
    assert_eq!(loaded.fleet.limits.max_in_flight, 600);
    assert_eq!(loaded.fleet.metrics.namespace, "Warm/Fleet");
    assert_eq!(loaded.fleet.metrics.detail, Detail::Function);
    assert_eq!(loaded.fleet.targets.len(), 3);
    assert!(loaded.warnings.is_empty());

    let london = target(&loaded, "nlp-inference:live", "eu-west-2");
    assert_eq!((london.memory_mb, london.architecture), (Some(1024), Architecture::Arm64));
    assert_eq!((london.interval_minutes, london.phase_minutes, london.spare), (5, 0, 0));
    assert_eq!((london.hold, london.timeout), (Hold::Auto, None));
    assert_eq!(london.owner.as_deref(), Some("payments"));
    assert_eq!(london.protocol, Protocol::Warmd);
    assert_eq!(london.windows.len(), 1);
    assert_eq!(london.windows[0].zone, chrono_tz::Europe::London);
    assert_eq!(london.downloads[0].size_bytes, 220_000_000);
    assert_eq!((london.downloads[0].route, london.downloads[0].per), (Route::NatGateway, Per::ColdStart));
    assert_eq!((london.downloads[1].size_bytes, london.downloads[1].per), (1_572_864, Per::Ping));
    assert_eq!(
        london.downloads[1].route,
        Route::InterRegion { bucket_region: Region::parse("eu-west-1").unwrap() }
    );

    let virginia = target(&loaded, "nlp-inference:live", "us-east-1");
    let labels: Vec<&str> = virginia.windows.iter().map(|window| window.label.as_str()).collect();
    assert_eq!(labels, ["windows[0]", "windows[1]"]);
    assert_eq!(virginia.windows[1].zone, chrono_tz::America::New_York);
    assert!(matches!(virginia.windows[1].opening, Opening::Weekly(_, Hours::Between { .. })));

    let arn = "arn:aws:lambda:us-west-2:123456789012:function:thumbnails";
    let thumbnails = target(&loaded, arn, "us-west-2");
    assert_eq!(thumbnails.hold, Hold::Fixed(std::time::Duration::from_millis(75)));
    assert_eq!(thumbnails.timeout, Some(std::time::Duration::from_secs(30)));
    assert_eq!((thumbnails.interval_minutes, &thumbnails.protocol), (60, &Protocol::OpenNext));
}

#[test]
fn a_filter_keeps_targets_in_its_regions() {
    let files = || vec![SourceFile { path: "fleet.yaml".into(), text: OFFICE.into() }];
    let filter = [Region::parse("us-east-1").unwrap()];
    let loaded = resolve(files(), &mut |_| Err(String::new()), Some(&filter)).unwrap();
    let regions: Vec<&str> = loaded.fleet.targets.iter().map(|target| target.region().as_str()).collect();
    assert_eq!(regions, ["us-east-1"]);
    assert_eq!(loaded.locations.len(), 1);
    assert_eq!(loaded.fleet.hash, valid(OFFICE).fleet.hash);
}

#[test]
fn loads_are_converted_to_environments_exactly() {
    assert_eq!(concurrency("load: { requests_per_second: 50, duration: 200ms }"), 10);
    assert_eq!(concurrency("load: { requests_per_second: 50, duration: 201ms }"), 11);
    assert_eq!(concurrency("load: { requests_per_second: 0.1, duration: 1s }"), 1);
    // In floating point 0.1 × 30 is a little more than 3.
    assert_eq!(concurrency("load: { requests_per_second: 0.1, duration: 30s }"), 3);
    assert_eq!(concurrency("load: { requests_per_second: 300, per_environment: 3 }"), 100);
    assert_eq!(concurrency("load: { requests_per_second: 301, per_environment: 3 }"), 101);
    assert_eq!(concurrency("load: { requests_per_second: 90000, per_environment: 300 }"), 300);
}

#[test]
fn named_windows_calendars_and_every_kind_of_opening() {
    let fleet = r#"
version: 1
calendars:
  england: { dates: [2026-12-25, 2026-12-28, 2027-01-01] }
  release-freeze: { from: 2026-12-18, through: 2027-01-04 }
  from-file: { file: attached/uk.ics }
windows:
  london: { days: mon-fri, hours: "08:00-18:00", timezone: Europe/London, except: [england], lead: 4m, concurrency: 7 }
defaults: { timezone: Europe/Paris, interval: 5m, lead: 2m, region: eu-west-2, spare: 1 }
functions:
  nlp-inference:live:
    windows:
      - { use: london, concurrency: 10 }
      - { days: mon-fri, hours: "12:00-14:00", concurrency: 25, ramp_up: 10m, ramp_down: 30m, only: [release-freeze, from-file] }
      - { dates: [2026-11-27], hours: all-day, concurrency: 40, timezone: America/New_York }
      - { cron: "30 7 * * mon-fri", for: 2h, concurrency: 3, enabled: false }
      - { cron: "cron(30 7 ? * MON-FRI *)", for: 2h, concurrency: 3, lead: 0s }
      - { days: sat-sun, hours: "22:00-06:00", load: { requests_per_second: 50, duration: 200ms }, from: 2026-06-01, through: 2026-08-31 }
      - { use: london, cron: "0 9 * * sat", for: 1h, timezone: Asia/Tokyo }
"#;
    let ics = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Christmas\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nBEGIN:VALARM\r\nDURATION:PT1H\r\nEND:VALARM\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\ndtstart;x=\"a:b\";VALUE=DATE:2027\r\n 0101\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:20270102\r\nDURATION:P1W\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSTATUS:CANCELLED\r\nDTSTART:20270501\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let loaded = resolve_all(&[("dir/fleet.yaml", fleet), ("dir/attached/uk.ics", ics)]).unwrap();
    let [target] = loaded.fleet.targets.as_slice() else { panic!("one target") };
    let windows = &target.windows;
    let line = |window: &crate::domain::calendar::Window| {
        let names =
            |sets: &[Arc<DateSet>]| sets.iter().map(|set| set.name.clone()).collect::<Vec<_>>().join("+");
        let opening = match &window.opening {
            Opening::Weekly(..) => "weekly".to_owned(),
            Opening::Dates(dates, _) => format!("{dates:?}"),
            Opening::Cron(_, open_for) => format!("cron for {}m", open_for.num_minutes()),
            Opening::Once(..) => "once".to_owned(),
        };
        format!(
            "{} {opening} {} n={} lead={} up={} down={} only={} except={}\n",
            window.label,
            window.zone,
            window.concurrency,
            window.lead.num_minutes(),
            window.ramp_up.num_minutes(),
            window.ramp_down.num_minutes(),
            names(&window.only),
            names(&window.except),
        )
    };
    assert_snapshot!(windows.iter().map(line).collect::<String>(), @r#"
    london weekly Europe/London n=10 lead=4 up=0 down=0 only= except=england
    windows[1] weekly Europe/Paris n=25 lead=2 up=10 down=30 only=release-freeze+from-file except=
    windows[2] {2026-11-27} America/New_York n=40 lead=2 up=0 down=0 only= except=
    windows[4] cron for 120m Europe/Paris n=3 lead=0 up=0 down=0 only= except=
    windows[5] weekly Europe/Paris n=10 lead=2 up=0 down=0 only= except=
    london cron for 60m Asia/Tokyo n=7 lead=4 up=0 down=0 only= except=england
    "#);
    assert_eq!((windows[4].from, windows[4].through), (Some(date("2026-06-01")), Some(date("2026-08-31"))));
    assert_eq!(windows[1].ramp_down, TimeDelta::minutes(30));
    let from_file = &windows[1].only[1];
    for (day, inside) in [
        ("2026-12-24", false),
        ("2026-12-25", true),
        ("2026-12-26", true),
        ("2026-12-27", false),
        ("2027-01-01", true),
        ("2027-01-02", true),
        ("2027-01-08", true),
        ("2027-01-09", false),
        ("2027-05-01", false),
    ] {
        assert_eq!(from_file.contains(date(day)), inside, "{day}");
    }
    let freeze = &windows[1].only[0];
    assert!(freeze.contains(date("2026-12-18")) && freeze.contains(date("2027-01-04")));
    assert!(!freeze.contains(date("2026-12-17")) && !freeze.contains(date("2027-01-05")));
    let names: Vec<(&str, bool)> =
        loaded.calendars.iter().map(|calendar| (calendar.set.name.as_str(), calendar.used)).collect();
    assert_eq!(names, [("england", true), ("from-file", true), ("release-freeze", true)]);
}

#[test]
fn a_calendar_file_is_not_read_as_configuration() {
    let files = [
        ("c/fleet.yaml", "version: 1\ncalendars: { c: { file: ./days.yaml } }\n"),
        ("c/days.yaml", "dates: [2026-12-25]\n"),
    ];
    let all: Vec<SourceFile> =
        files.iter().map(|(path, text)| SourceFile { path: (*path).into(), text: (*text).into() }).collect();
    let loaded = resolve(all, &mut |_| Ok("dates: [2026-12-25]\n".into()), None).unwrap();
    assert!(loaded.calendars[0].set.contains(date("2026-12-25")));
}

#[test]
fn defaults_apply_to_their_own_file() {
    let windows = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    let loaded = resolve_all(&[
        ("a.yaml", &format!("version: 1\ndefaults: {{ region: eu-west-2, owner: a, interval: 2m }}\nfunctions:\n  f: {{ {windows} }}\n")),
        ("b.yaml", &format!("version: 1\nfunctions:\n  f: {{ region: us-east-1, {windows} }}\n")),
    ])
    .unwrap();
    let of = |region| {
        let target = target(&loaded, "f", region);
        (target.owner.clone(), target.interval_minutes, target.windows[0].zone)
    };
    assert_eq!(of("eu-west-2"), (Some("a".to_owned()), 2, chrono_tz::UTC));
    assert_eq!(of("us-east-1"), (None, 5, chrono_tz::UTC));
}

#[test]
fn disabled_parts_are_checked_and_ignored() {
    let text = "version: 1\ndefaults: { region: eu-west-2 }\nfunctions:\n  off: { enabled: false }\n  off-too:\n    enabled: false\n    windows: [{ days: daily, hours: all-day, concurrency: 900 }]\n  partly:\n    windows:\n      - { days: daily, hours: all-day, concurrency: 900, enabled: false }\n      - { days: daily, hours: all-day, concurrency: 1 }\n";
    let loaded = valid(text);
    let windows: Vec<usize> = loaded.fleet.targets.iter().map(|target| target.windows.len()).collect();
    assert_eq!(windows, [0, 0, 1]);
    assert_eq!(loaded.fleet.targets[2].windows[0].label, "windows[1]");
    assert!(errors(&text.replace("daily", "dayly")).contains("did you mean `daily`?"));
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let loaded = valid(
        "version: 1\ndefaults: { region: eu-west-2 }\nfunctions:\n  f: &f\n    owner: a\n    windows: &w\n      - &day { days: daily, hours: all-day, concurrency: 1 }\n  g: { <<: *f, owner: b }\n  h: { windows: [{ <<: *day, concurrency: 2 }] }\n  i: { windows: *w }\n",
    );
    let of = |label| {
        let target = target(&loaded, label, "eu-west-2");
        (target.owner.as_deref(), target.windows[0].concurrency)
    };
    assert_eq!((of("f"), of("g"), of("h"), of("i")), ((Some("a"), 1), (Some("b"), 1), (None, 2), (None, 1)));
}

#[test]
fn booleans_of_yaml_1_1_are_texts() {
    let loaded = valid(
        "version: 1\ndefaults: { region: eu-west-2 }\nfunctions:\n  on: { owner: no, windows: [{ days: daily, hours: 08:00-18:00, concurrency: 1 }] }\n  y: { owner: 0042, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }\n",
    );
    let owners: Vec<_> =
        loaded.fleet.targets.iter().map(|target| (target.label.as_str(), target.owner.as_deref())).collect();
    assert_eq!(owners, [("on", Some("no")), ("y", Some("0042"))]);
}

#[test]
fn stagger_gives_each_target_a_stable_phase() {
    let functions: String = (0..40)
        .map(|n| format!("  f{n}: {{ windows: [{{ days: daily, hours: all-day, concurrency: 1 }}] }}\n"))
        .collect();
    let text = |stagger| {
        format!(
            "version: 1\ndefaults: {{ regions: [eu-west-2, us-east-1], stagger: {stagger}, interval: 4m }}\nfunctions:\n{functions}"
        )
    };
    let phases = |stagger| -> Vec<u32> {
        valid(&text(stagger)).fleet.targets.iter().map(|target| target.phase_minutes).collect()
    };
    assert!(phases("false").iter().all(|phase| *phase == 0));
    let staggered = phases("true");
    assert_eq!(staggered, phases("true"));
    for phase in 0..4 {
        assert!(staggered.iter().filter(|given| **given == phase).count() >= 10, "{staggered:?}");
    }
    assert!(staggered.iter().all(|phase| *phase < 4));
    // The value must not change between machines and versions.
    assert_eq!(staggered[..8], [3, 0, 0, 3, 1, 2, 2, 1]);
}

#[test]
fn custom_payloads_are_json() {
    let loaded = valid(
        "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    protocol: custom\n    payload: { warm: true, n: 5, list: [a, null, 1.5], text: \"5\" }\n    windows: [{ days: daily, hours: all-day, concurrency: 1 }]\n",
    );
    assert!(matches!(loaded.fleet.targets[0].protocol, Protocol::Custom(_)));
}

#[test]
fn missing_environment_variables_are_problems_of_a_configuration_that_sends_pings() {
    let text = |windows: &str| {
        format!(
            "version: 1\ndefaults: {{ region: eu-west-2, protocol: custom }}\nfunctions:\n  f:\n    payload: {{ t: 'a ${{env:TOKEN}}', u: '${{env:OTHER}} ${{env:TOKEN}}' }}\n    windows: [{windows}]\n"
        )
    };
    let window = "{ days: daily, hours: all-day, concurrency: 1 }";
    let mut loaded = valid(&text(window));
    let hash = loaded.fleet.hash.clone();
    let missing = loaded.clone().bind(|name| (name == "OTHER").then(|| "o".to_owned())).unwrap_err();
    assert_snapshot!(missing.render_text(false), @r#"
    error: the environment variable "TOKEN" is not set
     --> fleet.yaml:5:22
      |
    5 |     payload: { t: 'a ${env:TOKEN}', u: '${env:OTHER} ${env:TOKEN}' }
      |                      ^^^^^^^^^^^^
      |
      = hint: set it where pings are sent, or remove it from the payload
    "#);
    loaded.bind(|name| Some(format!("value of {name}"))).unwrap();
    assert!(loaded.fleet.targets[0].protocol.is_bound());
    assert_eq!(loaded.fleet.hash, hash);
    assert!(!format!("{loaded:?}").contains("value of"));
    // An operator can warm a disabled function.
    let disabled = text(window).replace("  f:\n", "  f:\n    enabled: false\n");
    assert_eq!(valid(&disabled).bind(|_| None).unwrap_err().list.len(), 2);
    let elsewhere = Region::parse("us-east-1").unwrap();
    let file = SourceFile { path: "fleet.yaml".to_owned(), text: text(window) };
    let mut elsewhere = resolve(vec![file], &mut |_| Err(String::new()), Some(&[elsewhere])).unwrap();
    assert!(elsewhere.bind(|_| None).is_ok(), "a function that is not served needs no values");
}

#[test]
fn unused_names_are_warnings() {
    let loaded = valid(
        "version: 1\ncalendars: { unused: { dates: [2026-12-25] }, used: { dates: [2026-12-25] } }\nwindows: { idle: { days: daily, except: [used] } }\n",
    );
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.render_text(false)).collect();
    assert_snapshot!(warnings.join("\n\n"), @r#"
    warning: unused calendar "unused"
     --> fleet.yaml:2:14
      |
    2 | calendars: { unused: { dates: [2026-12-25] }, used: { dates: [2026-12-25] } }
      |              ^^^^^^

    warning: unused window "idle"
     --> fleet.yaml:3:12
      |
    3 | windows: { idle: { days: daily, except: [used] } }
      |            ^^^^
    "#);
    let at = loaded.calendars[1].location;
    let warning = loaded.diagnostics().warning(at, "its last date has passed", None);
    assert_eq!(
        (warning.severity, warning.position.to_string()),
        (Severity::Warning, "fleet.yaml:2:47".to_owned())
    );
}

#[test]
fn a_function_by_name_and_by_arn_is_a_warning() {
    let fleet = |name: &str, arn: &str| {
        let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
        let arn_key = "arn:aws:lambda:eu-west-2:123456789012:function";
        format!(
            "version: 1\nfunctions:\n  {arn_key}:nlp:live: {{ {window}{arn} }}\n  nlp:live: {{ regions: [eu-west-1, eu-west-2], {window}{name} }}\n  nlp: {{ region: eu-west-2, {window} }}\n"
        )
    };
    let shown = |name: &str, arn: &str| {
        let warnings = valid(&fleet(name, arn)).warnings;
        warnings.iter().map(|warning| warning.render_text(false)).collect::<Vec<_>>().join("\n\n")
    };
    assert_snapshot!(shown("", ""), @r"
    warning: nlp:live (eu-west-2) is pinged twice if warmd runs in account 123456789012
     --> fleet.yaml:4:3
      |
    4 |   nlp:live: { regions: [eu-west-1, eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^
      |
      = hint: it is configured by name and by ARN: remove one of the two, or use two ARNs
      = note: see also fleet.yaml:3:3
    ");
    // The function is not pinged, or it is in another account.
    assert_eq!(shown(", enabled: false", ""), "");
    assert_eq!(shown("", ", enabled: false"), "");
    assert_eq!(shown(", role_arn: \"arn:aws:iam::999999999999:role/warmed\"", ""), "");
    assert_snapshot!(errors(&fleet(", role_arn: \"arn:aws:iam::123456789012:role/warmed\"", "")), @r#"
    error: nlp:live (eu-west-2) is configured by name and by ARN
     --> fleet.yaml:4:3
      |
    4 |   nlp:live: { regions: [eu-west-1, eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }], role_arn: "arn:aws:iam::12...
      |   ^^^^^^^^
      |
      = hint: merge the two: a function can have several windows
      = note: see also fleet.yaml:3:3
    "#);
}

#[test]
fn the_hash_depends_on_the_content_alone() {
    let hash = |files: &[(&str, &str)]| resolve_all(files).unwrap().fleet.hash;
    let (a, b) = ("version: 1\nlimits: {}\n", "version: 1\nmetrics: {}\n");
    let one = hash(&[("x/a.yaml", a), ("x/b.yaml", b)]);
    assert_eq!(one.len(), 16);
    assert_eq!(one, hash(&[("elsewhere/b.yaml", b), ("elsewhere/a.yaml", a)]));
    assert_eq!(one, hash(&[("x/a.yaml", &a.replace('\n', "\r\n")), ("x/b.yaml", &format!("\u{feff}{b}"))]));
    assert_ne!(one, hash(&[("x/a.yaml", a)]));
    assert_ne!(one, hash(&[("x/a.yaml", a), ("x/b.yaml", "version: 1\nmetrics: { detail: function }\n")]));
    let calendar = "version: 1\ncalendars: { c: { file: attached/c.yaml } }\n";
    let with = |dates: &str| hash(&[("a.yaml", calendar), ("attached/c.yaml", dates)]);
    assert_ne!(with("dates: [2026-12-25]"), with("dates: [2026-12-26]"));
    // The value must not change between machines and versions.
    assert_snapshot!(one, @"472bbb86db10c6ee");
}

#[test]
fn each_tenant_is_a_target_in_each_region() {
    let text = "version: 1
defaults: { stagger: true }
functions:
  f:live:
    regions: [eu-west-2, us-east-1]
    tenants: [b, 'a: 1']
    windows: [{ days: daily, hours: all-day, concurrency: 2 }, { days: daily, hours: all-day, concurrency: 3, regions: [us-east-1] }]
";
    let loaded = valid(text);
    let targets: Vec<String> = loaded.fleet.targets.iter().map(|target| target.id.to_string()).collect();
    let expected = [
        "f:live@b (eu-west-2)",
        "f:live@a: 1 (eu-west-2)",
        "f:live@b (us-east-1)",
        "f:live@a: 1 (us-east-1)",
    ];
    assert_eq!(targets, expected);
    assert_eq!(loaded.fleet.targets.iter().map(|target| target.highest()).collect::<Vec<_>>(), [2, 2, 3, 3]);
    assert!(loaded.fleet.targets.iter().all(|target| target.label == "f:live"));
    let phases: std::collections::BTreeSet<u32> =
        loaded.fleet.targets.iter().map(|target| target.phase_minutes).collect();
    assert!(phases.len() > 1, "each has a phase of its own: {phases:?}");
}
