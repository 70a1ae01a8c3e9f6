//! `warmd report`: what people see, the page in a browser, and its size.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde_json::Value;
use tempfile::TempDir;
use warmd::cli::report_page;
use warmd::domain::coverage::Minutes;
use warmd::domain::function::{FunctionRef, Identity, Region};
use warmd::domain::history::{DayFile, Row, Rows, ShortReason};
use warmd::domain::records::Status;
use warmd::domain::review::review;
use warmd::engine::ports::Clock as _;
use warmd::service::clock::SystemClock;

use crate::browser::Browser;
use crate::month;
use crate::support::{Done, run};

const CONFIGURATION: &str = "
version: 1
defaults: { region: eu-west-2, interval: 5m, memory: 512MB }
functions:
  checkout:live:
    owner: payments
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
  nlp:
    owner: \"search | <b>team</b>\"
    windows: [{ days: daily, hours: all-day, concurrency: 5 }]
    downloads: [{ object: 's3://models/nlp.bin', size: 220MB, route: nat-gateway, per: cold-start }]
";

/// A state store with a history, and a configuration.
struct Stored {
    folder: TempDir,
}

impl Stored {
    /// Creates three days from 2 February 2026, the second without any record.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("fleet.yaml"), CONFIGURATION).unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let stored = Self { folder };
        for day in ["2026-02-02", "2026-02-04"] {
            let mut file = DayFile::default();
            for hour in 0..24 {
                file.add(hour, region(), 1, &Self::rows(hour)).unwrap();
            }
            stored.write(day, &file.bytes());
        }
        stored
    }

    /// Returns the rows of an hour. The cost of the downloads of `nlp` is unknown, that of `removed-u` is known.
    fn rows(hour: u8) -> Rows {
        let is_short = hour == 9;
        let checkout = row("payments", 2, 24, 2_400);
        let nlp = Row {
            minutes: Minutes { window: 60, warm: if is_short { 30 } else { 60 }, unknown: 0, capped: 0 },
            reached: Some(if is_short { 3 } else { 5 }),
            cold: u64::from(is_short) * 2,
            short: is_short.then_some((ShortReason::Throttled, 6)).into_iter().collect(),
            egress: is_short.then(|| ("nat-gateway".to_owned(), 440_000_000)).into_iter().collect(),
            cost_unknown: u64::from(is_short),
            ..row("search | <b>team</b>", 5, 60, 6_000)
        };
        let mut removed = row("payments", 1, 12, 1_200);
        if is_short {
            removed.egress = [("interface-endpoint".to_owned(), 1_000_000)].into();
            removed.cost.insert("s3_egress".to_owned(), Decimal::new(1, 2));
        }
        [(id("checkout:live"), checkout), (id("nlp"), nlp), (id("removed-\u{75}"), removed)].into()
    }

    fn write(&self, day: &str, bytes: &[u8]) {
        std::fs::write(self.path(&format!("state/history-eu-west-2-{day}.1.gz")), bytes).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs the report of 2 until 5 February.
    fn report(&self, flags: &[&str]) -> Done {
        let (state, fleet) = (self.path("state"), self.path("fleet.yaml"));
        let period = ["report", "--from", "2026-02-02", "--until", "2026-02-05", "--state", &state];
        run(&[&period[..], flags, &[&fleet]].concat())
    }
}

fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

fn id(name: &str) -> warmd::domain::function::Identity {
    FunctionRef::parse(name).unwrap().identity(region())
}

fn row(owner: &str, target: u32, pings: u64, nanos: i64) -> Row {
    Row {
        owner: Some(owner.to_owned()),
        minutes: Minutes { window: 60, warm: 60, unknown: 0, capped: 0 },
        target,
        reached: Some(target),
        rounds: 12,
        pings,
        cost: [("requests".to_owned(), Decimal::new(nanos * 1_000, 9))].into(),
        ..Row::default()
    }
}

#[test]
fn text_of_three_days() {
    insta::assert_snapshot!(Stored::new().report(&[]).shown(), @"
    exit 0
    --- stdout
    3d from 2026-02-02 00:00 UTC until 2026-02-05 00:00 UTC

      FUNCTION       REGION     COVERAGE  DAYS  COLD    COST   WARM HOUR
      nlp            eu-west-2   97.91 %  ▄·▄      4  $0.29+  $0.006128+
      checkout:live  eu-west-2     100 %  █·█      0   $0.12   $0.002400
      removed-u      eu-west-2     100 %  █·█      0   $0.08   $0.001617
      days: █ 100 %  ▇ 99.9  ▆ 99  ▅ 98  ▄ 95  ▃ 90  ▂ 50  ▁ less  · not known

      FUNCTION       RECORDED    PINGS  PC WINDOWS  PC ALWAYS  MANAGED  EC2  NOTHING
      nlp              $0.29+   $1.24*      $3.34*     $3.32*        -    -        -
      checkout:live   ✓ $0.12  <$0.01*      $0.85*     $0.84*        -    -        -
      ✓ cheapest; all but RECORDED are estimates of `warmd compare` for the same windows
      * assumed: idle_life 5m, recycle_after 2h, ping_duration 5ms, init_duration 10s,
        log_bytes_per_ping 400, architecture x86_64

      OWNER                 COVERAGE  PINGS  S3 EGRESS    COST
      payments                 100 %  1,728    2.00 MB   $0.19
      search | <b>team</b>   97.91 %  2,880     880 MB  $0.29+

      ROUTE               S3 EGRESS     COST
      interface-endpoint    2.00 MB    $0.02
      nat-gateway            880 MB  unknown

    coverage 99.30 %: 8,580 of 8,640 window minutes were warm
    error budget of the default objective, 99 % over 28 days: 30.55 % left; burn rate 0.69 in the
      period, 0.69 in the last 3 days
    4,608 pings in 1,728 rounds: 4 cold starts (0 semi-cold, 0 restored, 0 initialised ahead); 12 short
      rounds: 12 throttled
    cost $0.48+: requests $0.460800, s3 egress $0.020000; $0.003362+ for each warm hour of a function
    ! nothing is recorded on 1 day with open windows, without which alternatives are estimated
    ! the cost of 2 rounds or reads of capacity is not fully known; what is unknown is not in the sums,
      which are marked with +
    ! no longer configured, so not compared: removed-u (eu-west-2)
    --- stderr
    ");
}

#[test]
fn markdown_of_three_days() {
    insta::assert_snapshot!(Stored::new().report(&["--markdown"]).shown(), @r"
    exit 0
    --- stdout
    **warmd**: 3d from 2026-02-02 00:00 UTC until 2026-02-05 00:00 UTC

    - coverage 99.30 %: 8,580 of 8,640 window minutes were warm
    - error budget of the default objective, 99 % over 28 days: 30.55 % left; burn rate 0.69 in the period, 0.69 in the last 3 days
    - 4,608 pings in 1,728 rounds: 4 cold starts (0 semi-cold, 0 restored, 0 initialised ahead); 12 short rounds: 12 throttled
    - cost $0.48+: requests $0.460800, s3 egress $0.020000; $0.003362+ for each warm hour of a function
    - ⚠ nothing is recorded on 1 day with open windows, without which alternatives are estimated
    - ⚠ the cost of 2 rounds or reads of capacity is not fully known; what is unknown is not in the sums, which are marked with +
    - ⚠ no longer configured, so not compared: removed-u (eu-west-2)

    | function | region | coverage | cold starts | pings | cost | per warm hour | cheapest alternative |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
    | nlp | eu-west-2 | 97.91 % | 4 | 2,880 | $0.29+ | $0.006128+ |  |
    | <code>checkout&#58;live</code> | eu-west-2 | 100 % | 0 | 1,152 | $0.12 | $0.002400 | as it is |
    | removed-u | eu-west-2 | 100 % | 0 | 576 | $0.08 | $0.001617 |  |

    | owner | coverage | pings | S3 egress | cost |
    | --- | ---: | ---: | ---: | ---: |
    | payments | 100 % | 1,728 | 2.00 MB | $0.19 |
    | <code>search &#124; &#60;b&#62;team&#60;&#47;b&#62;</code> | 97.91 % | 2,880 | 880 MB | $0.29+ |

    | route | S3 egress | cost |
    | --- | ---: | ---: |
    | interface-endpoint | 2.00 MB | $0.02 |
    | nat-gateway | 880 MB | unknown |

    Costs are recorded at list prices. Alternatives are estimates for the same windows.
    \* assumed: idle\_life 5m, recycle\_after 2h, ping\_duration 5ms, init\_duration 10s, log\_bytes\_per\_ping 400, architecture x86\_64
    --- stderr
    ");
}

#[test]
fn json_of_three_days() {
    let done = Stored::new().report(&["--json"]);
    let mut object = done.json();
    // One function and one day of each list.
    for list in ["functions", "days", "owners"] {
        object[list].as_array_mut().unwrap().truncate(1);
    }
    object["functions"][0]["days"].as_array_mut().unwrap().truncate(1);
    object["functions"][0]["alternatives"].as_array_mut().unwrap().truncate(2);
    insta::assert_snapshot!(serde_json::to_string_pretty(&object).unwrap(), @r#"
    {
      "from": "2026-02-02T00:00:00Z",
      "until": "2026-02-05T00:00:00Z",
      "known_from": "2026-02-02T00:00:00Z",
      "known_until": "2026-02-05T00:00:00Z",
      "simulated": false,
      "fleet": {
        "window_minutes": 8640,
        "warm_minutes": 8580,
        "unknown_minutes": 0,
        "capped_minutes": 0,
        "coverage": 0.9930555555555556,
        "rounds": 1728,
        "pings": 4608,
        "cold_starts": 4,
        "semi_cold_starts": 0,
        "restored": 0,
        "preinitialized": 0,
        "short_rounds": {
          "throttled": 12
        },
        "known_cost_usd": "0.4808",
        "cost_usd": {
          "requests": "0.460800000",
          "s3_egress": "0.02"
        },
        "unknown_costs": 2,
        "usd_per_warm_hour": "0.003362238",
        "egress_bytes": {
          "interface-endpoint": 2000000,
          "nat-gateway": 880000000
        },
        "slo": {
          "coverage": 0.99,
          "over_days": 28
        },
        "default_slo": true,
        "error_budget": {
          "left": 0.305556,
          "burn_rate": 0.694444,
          "burn_rate_3d": 0.694444
        }
      },
      "functions": [
        {
          "function": "nlp",
          "region": "eu-west-2",
          "tenant": null,
          "owner": "search | <b>team</b>",
          "configured": true,
          "strategy": "pings",
          "window_minutes": 2880,
          "warm_minutes": 2820,
          "unknown_minutes": 0,
          "capped_minutes": 0,
          "coverage": 0.9791666666666666,
          "rounds": 576,
          "pings": 2880,
          "cold_starts": 4,
          "semi_cold_starts": 0,
          "restored": 0,
          "preinitialized": 0,
          "short_rounds": {
            "throttled": 12
          },
          "known_cost_usd": "0.288",
          "cost_usd": {
            "requests": "0.288000000"
          },
          "unknown_costs": 2,
          "usd_per_warm_hour": "0.00612766",
          "egress_bytes": {
            "nat-gateway": 880000000
          },
          "capacity": null,
          "slo": null,
          "error_budget": null,
          "alternatives": [
            {
              "option": "pings",
              "total_usd": "1.240734",
              "cold_starts": 120
            },
            {
              "option": "provisioned-windows",
              "total_usd": "3.336042",
              "cold_starts": 0
            }
          ],
          "assumed": [
            "idle_life",
            "recycle_after",
            "ping_duration",
            "init_duration",
            "log_bytes_per_ping",
            "architecture"
          ],
          "cheapest": null,
          "days": [
            {
              "date": "2026-02-02",
              "window_minutes": 1440,
              "warm_minutes": 1410,
              "unknown_minutes": 0,
              "target": 5,
              "reached": 3
            }
          ]
        }
      ],
      "owners": [
        {
          "owner": "payments",
          "window_minutes": 5760,
          "warm_minutes": 5760,
          "unknown_minutes": 0,
          "capped_minutes": 0,
          "coverage": 1.0,
          "rounds": 1152,
          "pings": 1728,
          "cold_starts": 0,
          "semi_cold_starts": 0,
          "restored": 0,
          "preinitialized": 0,
          "short_rounds": {},
          "known_cost_usd": "0.1928",
          "cost_usd": {
            "requests": "0.172800000",
            "s3_egress": "0.02"
          },
          "unknown_costs": 0,
          "usd_per_warm_hour": "0.002008333",
          "egress_bytes": {
            "interface-endpoint": 2000000
          }
        }
      ],
      "routes": [
        {
          "route": "interface-endpoint",
          "bytes": 2000000,
          "usd": "0.02",
          "partial_cost": false
        },
        {
          "route": "nat-gateway",
          "bytes": 880000000,
          "usd": null,
          "partial_cost": true
        }
      ],
      "days": [
        {
          "date": "2026-02-02",
          "window_minutes": 4320,
          "warm_minutes": 4290,
          "unknown_minutes": 0,
          "target": 8,
          "reached": 6
        }
      ],
      "days_without_history": 1,
      "unread": []
    }
    "#);
}

#[test]
fn what_cannot_be_reported_is_said() {
    let without_store = run(&["report"]);
    insta::assert_snapshot!(without_store.shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: without a state store there is no history to report
    hint: set --state or WARMD_STATE, or see a simulated month with --local
    ");
    let stored = Stored::new();
    let folder = stored.path("state");
    let of = |flags: &[&str], message: &str| {
        let done = stored.report(flags);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
        assert!(done.stderr.contains(message), "{}", done.stderr);
    };
    of(&["--html", &folder], "expected a file for --html, found the directory");
    of(&["--last", "7d"], "cannot be used with");
    of(&["--json", "--markdown"], "cannot be used with");
    let done = run(&["report", "--state", &folder, "--from", "2026-02-05", "--until", "2026-02-05"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("must be after --from"), "{}", done.stderr);
    // The rest is reported.
    stored.write("2026-02-03", b"not gzip");
    let done = stored.report(&[]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("! parts of the history cannot be read: "), "{}", done.stdout);
    assert!(done.stdout.contains("nlp"), "{}", done.stdout);
}

#[test]
fn a_page_that_cannot_be_written_is_found_before_the_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("nowhere/report.html").display().to_string();
    let done = run(&["report", "--local", "--html", &page]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.starts_with("error: cannot write "), "{}", done.stderr);
}

#[test]
fn the_page_can_be_standard_output() {
    let stored = Stored::new();
    for stdout in ["-", "/dev/stdout"] {
        let done = stored.report(&["--html", stdout]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        assert!(done.stdout.starts_with("<!doctype html>") && done.stdout.ends_with("</html>\n"));
        let both = stored.report(&["--html", stdout, "--json"]);
        assert_eq!((both.code, both.stdout.as_str()), (2, ""), "{}", both.stderr);
    }
}

#[test]
fn the_history_and_the_report_cover_the_same_whole_hours() {
    let stored = Stored::new();
    let (state, fleet) = (stored.path("state"), stored.path("fleet.yaml"));
    let of = |from: &str, until: &str| {
        let store = ["--from", from, "--until", until, "--state", &state];
        (run(&[&["history"], &store[..]].concat()), run(&[&["report"], &store[..], &[&fleet]].concat()))
    };
    let (history, report) = of("2026-02-02T08:30:00Z", "2026-02-02T10:15:00Z");
    assert!(
        history.stdout.contains(
            "coverage from 2026-02-02 08:00 to 2026-02-02 11:00 UTC: 94.44 % of 540 window minutes"
        ),
        "{}",
        history.stdout
    );
    assert!(
        report.stdout.starts_with("3h from 2026-02-02 08:00 UTC until 2026-02-02 11:00 UTC\n"),
        "{}",
        report.stdout
    );
    assert!(report.stdout.contains("coverage 94.44 %: 510 of 540 window minutes"), "{}", report.stdout);
    let (history, report) = of("2099-01-01", "2099-02-01");
    assert_eq!((history.code, report.code), (2, 2));
    assert_eq!(history.stderr, report.stderr);
    assert!(
        report.stderr.starts_with("error: the period begins in the future: 2099-01-01 00:00 UTC, now is "),
        "{}",
        report.stderr
    );
}

#[test]
fn the_page_replaces_a_file_as_a_whole() {
    let stored = Stored::new();
    let page = stored.path("report.html");
    std::fs::write(&page, "old").unwrap();
    let done = stored.report(&["--html", &page]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(done.stderr.starts_with("wrote "), "{}", done.stderr);
    let written = std::fs::read_to_string(&page).unwrap();
    assert!(written.starts_with("<!doctype html>") && written.ends_with("</html>\n"));
    assert!(!written.contains("<b>team") && written.contains("search | &lt;b&gt;team&lt;/b&gt;"));
    let beside: Vec<_> = std::fs::read_dir(stored.folder.path()).unwrap().collect();
    assert_eq!(beside.len(), 3, "{beside:?}");
    let nowhere = stored.report(&["--html", &stored.path("nowhere/report.html")]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("cannot write"), "{}", nowhere.stderr);
}

#[test]
fn the_page_of_200_functions_and_30_days_is_small() {
    let (fleet, history) = month::month(200, 30);
    let page = report_page(&review(&history, &fleet, month::period(30)), false);
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    assert!(fleet.targets.iter().all(|target| target.id.name.as_str().len() == 48));
    let data = data(&page);
    let incidents = |function: &Value| function["reached"] != function["target"];
    assert!(data["functions"].as_array().unwrap().iter().all(incidents));
    let rows = || history.hours.values().flatten().map(|(_, row)| row);
    let sums = (sum(rows(), |row| row.pings), sum(rows(), |row| row.minutes.warm));
    let usd: Decimal = rows().map(Row::known_usd).sum();
    for all in lists(&data) {
        assert_eq!((total(all, "pings"), total(all, "warm")), sums);
        assert_eq!(total_usd(all, "known_usd"), usd);
    }
}

#[test]
fn the_page_of_200_long_names_and_as_many_owners_is_small() {
    let (mut fleet, mut history) = month::month(200, 30);
    let long = |id: &Identity| {
        let name = format!("{}{:->16}:live", id.name.as_str(), "x");
        FunctionRef::parse(&name).unwrap().identity(id.region)
    };
    let owner = |id: &Identity| Some(format!("owner-of-{}", id.name.as_str()));
    for target in &mut fleet.targets {
        (target.owner, target.id) = (owner(&target.id), long(&target.id));
    }
    for rows in history.hours.values_mut() {
        let renamed = std::mem::take(rows).into_iter();
        *rows = renamed.map(|(id, row)| (long(&id), Row { owner: owner(&id), ..row })).collect();
    }
    let review = review(&history, &fleet, month::period(30));
    assert_eq!((review.functions.len(), review.owners.len()), (200, 200));
    assert!(review.functions.iter().all(|function| function.id.name.as_str().len() == 64));
    let page = report_page(&review, false);
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    let names: BTreeSet<String> = review.functions.iter().map(|function| function.id.shown()).collect();
    let data = data(&page);
    let functions = data["functions"].as_array().unwrap();
    let of_data = functions.iter().map(|function| function["function"].as_str().unwrap().to_owned());
    assert_eq!(of_data.collect::<BTreeSet<_>>(), names);
    let owner =
        data["owners"][functions[7]["of_owner"].as_u64().unwrap() as usize]["owner"].as_str().unwrap();
    let of_owner = owner.strip_prefix("owner-of-").unwrap();
    assert!(functions[7]["function"].as_str().unwrap().starts_with(of_owner), "{owner}");
}

#[test]
fn coverage_below_the_scale_of_small_charts_is_marked() {
    let (fleet, mut history) = month::month(1, 3);
    let mut marks = |warm| {
        for row in history.hours.values_mut().take(24).flat_map(Rows::values_mut) {
            row.minutes.warm = warm;
        }
        let page = report_page(&review(&history, &fleet, month::period(3)), false);
        assert!(page.contains("<th>coverage by day<br>90 to 100 %, <u>below</u>"));
        page.matches("class=\"sb\"").count()
    };
    assert_eq!([54, 53, 0].map(&mut marks), [0, 1, 1], "90 % is the lowest of the scale");
}

fn sum<'r>(rows: impl Iterator<Item = &'r Row>, of: impl Fn(&Row) -> u64) -> u64 {
    rows.map(of).sum()
}

/// Returns the lists of a report whose sums are those of the fleet.
fn lists(report: &Value) -> [&[Value]; 3] {
    let list = |key: &str| &report[key].as_array().unwrap()[..];
    [list("functions"), list("owners"), std::slice::from_ref(&report["fleet"])]
}

/// Returns the sum of a key over objects. The page leaves out zeros.
fn total(objects: &[Value], key: &str) -> u64 {
    objects.iter().map(|object| object[key].as_u64().unwrap_or(0)).sum()
}

/// Returns the sum of a key in US dollars over objects; unknown ones are left out.
fn total_usd(objects: &[Value], key: &str) -> Decimal {
    objects.iter().filter_map(|object| object[key].as_str()).map(|usd| usd.parse::<Decimal>().unwrap()).sum()
}

#[test]
fn the_page_and_the_json_have_the_totals_of_the_history() {
    let stored = Stored::new();
    let path = stored.path("report.html");
    let json = stored.report(&["--json", "--html", &path]).json();
    let page = data(&std::fs::read_to_string(&path).unwrap());
    let hours: Vec<Rows> = (0..24).chain(0..24).map(Stored::rows).collect();
    let rows = || hours.iter().flat_map(Rows::values);
    let usd: Decimal = rows().map(Row::known_usd).sum();
    let egress: Decimal = rows().filter_map(|row| row.cost.get("s3_egress")).sum();
    let bytes = sum(rows(), |row| row.egress.values().sum());
    assert!(!egress.is_zero() && bytes > 0);
    for (object, [window, warm, cold, unknown_costs, known_usd]) in [
        (&json, ["window_minutes", "warm_minutes", "cold_starts", "unknown_costs", "known_cost_usd"]),
        (&page, ["window", "warm", "cold_starts", "unknown_costs", "known_usd"]),
    ] {
        for all in lists(object) {
            assert_eq!(total(all, window), sum(rows(), |row| row.minutes.window));
            assert_eq!(total(all, warm), sum(rows(), |row| row.minutes.warm));
            assert_eq!(total(all, cold), sum(rows(), |row| row.cold));
            assert_eq!(total(all, "pings"), sum(rows(), |row| row.pings));
            assert_eq!(total(all, unknown_costs), sum(rows(), |row| row.cost_unknown));
            assert_eq!(total_usd(all, known_usd), usd);
        }
        let routes = object["routes"].as_array().unwrap();
        assert_eq!((total(routes, "bytes"), total_usd(routes, "usd")), (bytes, egress));
    }
}

#[test]
fn the_error_budget_is_that_of_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let objective = "  checkout:live:\n    slo: { coverage: 99.9%, over: 7d }\n";
    std::fs::write(path("fleet.yaml"), CONFIGURATION.replace("  checkout:live:\n", objective)).unwrap();
    std::fs::create_dir(path("state")).unwrap();
    let now = SystemClock.now();
    for (days, warm) in [(1, 59), (2, 60), (5, 52), (20, 0)] {
        let mut file = DayFile::default();
        let row = |target, warm| Row {
            minutes: Minutes { window: 60, warm, unknown: 0, capped: 0 },
            ..row("payments", target, 24, 2_400)
        };
        let rows = [(id("checkout:live"), row(2, warm)), (id("nlp"), row(5, 60))].into();
        file.add(12, region(), 1, &rows).unwrap();
        let name = DayFile::document(region(), now - TimeDelta::days(days), None);
        std::fs::write(path("state").join(format!("{name}.1.gz")), file.bytes()).unwrap();
    }
    let mut status = Status { tick: Some(now), ..Status::default() };
    status.history.set_objectives(&warmd::config::load(&[path("fleet.yaml")], None).unwrap().fleet);
    std::fs::write(path("state/status.1.json"), serde_json::to_vec(&status).unwrap()).unwrap();
    let (state, fleet) = (path("state").display().to_string(), path("fleet.yaml").display().to_string());
    let status = run(&["status", "--state", &state, "--json"]).json();
    let report = run(&["report", "--state", &state, "--last", "3d", "--json", &fleet]).json();
    let of_status = &status["coverage"]["fleet"];
    let near = |one: &Value, other: &Value| {
        let [one, other] = [one, other].map(|number| number.as_f64().unwrap_or_else(|| panic!("{status}")));
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    };
    let of_report = &report["fleet"];
    near(&of_report["error_budget"]["left"], &of_status["budget_left"]);
    near(&of_report["error_budget"]["burn_rate_3d"], &of_status["burn_rate_3d"]);
    near(&of_report["slo"]["coverage"], &of_status["slo"]["coverage"]);
    assert_eq!(of_report["slo"]["over_days"], 7);
    // Cold: 1 + 8. Allowed: 180 minutes of 99.9 %, and as many of the default 99 %.
    near(&of_report["error_budget"]["left"], &serde_json::json!(1.0 - 9.0 / (0.18 + 1.8)));
    assert_eq!(of_report["window_minutes"], 240);
}

/// Returns the data inside a page.
fn data(page: &str) -> Value {
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

/// Returns a page with hostile names.
fn hostile() -> String {
    let (mut fleet, mut history) = month::month(40, 30);
    let names = [
        "</script><script>console.log(1)</script>",
        "\"><img src=http://127.0.0.1:9/x>",
        "\u{202e}evil & 'co'",
    ];
    for (index, target) in fleet.targets.iter_mut().enumerate() {
        target.owner = Some(names[index % names.len()].to_owned());
    }
    for rows in history.hours.values_mut() {
        for (index, row) in rows.values_mut().enumerate() {
            row.owner = Some(names[index % names.len()].to_owned());
            if !row.egress.is_empty() && index == 0 {
                row.egress = [("<script>".repeat(12), 5_000_000_000)].into();
            }
        }
    }
    history.unread.push("</style><script>alert(1)</script>".to_owned());
    report_page(&review(&history, &fleet, month::period(30)), false)
}

#[test]
fn a_browser_shows_the_page_without_overflow_messages_and_requests() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else {
        eprintln!("skipped: Chromium is not installed (Debian: apt-get install chromium)");
        return;
    };
    // What the test would notice.
    let wrong = "<body><div style='width:2000px'>.</div><img src='http://127.0.0.1:9/x'><script>console.log('hello')</script>";
    let seen = browser.show(&written(folder.path(), "wrong.html", wrong), 390, false);
    assert!(seen.width > 390, "{seen:?}");
    assert_eq!((seen.requests.len(), seen.messages.is_empty()), (1, false), "{seen:?}");
    let (fleet, history) = month::month(24, 30);
    let month = report_page(&review(&history, &fleet, month::period(30)), true);
    for (name, page) in [("month.html", month), ("hostile.html", hostile())] {
        let functions = data(&page)["functions"].as_array().unwrap().len();
        let path = written(folder.path(), name, &page);
        for (width, is_dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
            let seen = browser.show(&path, width, is_dark);
            assert!(seen.width <= width, "{name} at {width} px: {seen:?}");
            assert_eq!(seen.messages, Vec::<String>::new(), "{name} at {width} px");
            assert_eq!(seen.requests, Vec::<String>::new(), "{name} at {width} px");
            assert_eq!(seen.rows, functions as u64, "{name} at {width} px");
        }
    }
}

fn written(folder: &Path, name: &str, page: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, page).unwrap();
    path
}
