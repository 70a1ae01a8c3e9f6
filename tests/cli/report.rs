//! `warmd report`: what people see, the page in a browser, and its size.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use warmd::cli::report_page;
use warmd::domain::coverage::Minutes;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::history::{DayFile, Row, Rows, ShortReason};
use warmd::domain::review::review;

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
        let rows = |hour: u8| -> Rows {
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
            let removed = row("payments", 1, 12, 1_200);
            [(id("checkout:live"), checkout), (id("nlp"), nlp), (id("removed-\u{75}"), removed)].into()
        };
        for day in ["2026-02-02", "2026-02-04"] {
            let mut file = DayFile::default();
            for hour in 0..24 {
                file.add(hour, region(), 1, &rows(hour)).unwrap();
            }
            stored.write(day, &file.bytes());
        }
        stored
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
        cost: [("requests".to_owned(), rust_decimal::Decimal::new(nanos * 1_000, 9))].into(),
        ..Row::default()
    }
}

#[test]
fn text_of_three_days() {
    insta::assert_snapshot!(Stored::new().report(&[]).shown(), @"
    exit 0
    --- stdout
    3d from 2026-02-02 00:00 UTC until 2026-02-05 00:00 UTC

      FUNCTION       REGION     COVERAGE  DAYS  COLD    COST  WARM HOUR
      nlp            eu-west-2   97.91 %  ▄·▄      4  $0.29+  $0.006128
      checkout:live  eu-west-2     100 %  █·█      0   $0.12  $0.002400
      removed-u      eu-west-2     100 %  █·█      0   $0.06  $0.001200
      days: █ 100 %  ▇ 99.9  ▆ 99  ▅ 98  ▄ 95  ▃ 90  ▂ 50  ▁ less  · not known

      FUNCTION       RECORDED   PINGS  PC WINDOWS  PC ALWAYS  MANAGED  EC2  NOTHING
      nlp              $0.29+  >$1.86       $5.00      $4.98        -    -        -
      checkout:live     $0.12  >$0.01       $1.27      $1.25        -    -        -
      > cheapest; estimates of `warmd compare` for the same windows

      OWNER                 COVERAGE  PINGS  S3 EGRESS    COST
      payments                 100 %  1,728              $0.17
      search | <b>team</b>   97.91 %  2,880     880 MB  $0.29+

      ROUTE        S3 EGRESS   COST
      nat-gateway     880 MB  $0.00

    coverage 99.30 %: 8,580 of 8,640 window minutes were warm
    error budget of the default objective, 99 % over 28 days: 30.55 % left; burn rate 0.69 in the
      period, 0.69 in its last 3 days
    4,608 pings in 1,728 rounds: 4 cold starts (0 semi-cold, 0 restored, 0 initialised ahead); 12 short
      rounds: 12 throttled
    cost $0.46+: requests $0.460800; $0.003222 for each warm hour of a function
    ! nothing is recorded on 1 day
    ! the cost of 2 rounds or reads of capacity is not fully known; what is unknown is not in the sums,
      which are marked with +
    ! no longer configured, so not compared: removed-u (eu-west-2)
    --- stderr
    ");
}

#[test]
fn markdown_of_three_days() {
    insta::assert_snapshot!(Stored::new().report(&["--markdown"]).shown(), @"
    exit 0
    --- stdout
    **warmd**: 3d from 2026-02-02 00:00 UTC until 2026-02-05 00:00 UTC

    - coverage 99.30 %: 8,580 of 8,640 window minutes were warm
    - error budget of the default objective, 99 % over 28 days: 30.55 % left; burn rate 0.69 in the period, 0.69 in its last 3 days
    - 4,608 pings in 1,728 rounds: 4 cold starts (0 semi-cold, 0 restored, 0 initialised ahead); 12 short rounds: 12 throttled
    - cost $0.46+: requests $0.460800; $0.003222 for each warm hour of a function
    - ⚠ nothing is recorded on 1 day
    - ⚠ the cost of 2 rounds or reads of capacity is not fully known; what is unknown is not in the sums, which are marked with +
    - ⚠ no longer configured, so not compared: removed-u (eu-west-2)

    | function | region | coverage | cold starts | pings | cost | per warm hour | cheapest alternative |
    |---|---|---:|---:|---:|---:|---:|---|
    | nlp | eu-west-2 | 97.91 % | 4 | 2,880 | $0.29+ | $0.006128 | pings, $1.86 |
    | <code>checkout&#58;live</code> | eu-west-2 | 100 % | 0 | 1,152 | $0.12 | $0.002400 | pings, $0.01 |
    | removed-u | eu-west-2 | 100 % | 0 | 576 | $0.06 | $0.001200 |  |

    | owner | coverage | pings | S3 egress | cost |
    |---|---:|---:|---:|---:|
    | payments | 100 % | 1,728 |  | $0.17 |
    | <code>search &#124; &#60;b&#62;team&#60;&#47;b&#62;</code> | 97.91 % | 2,880 | 880 MB | $0.29+ |

    | route | coverage | pings | S3 egress | cost |
    |---|---:|---:|---:|---:|
    | nat-gateway |  |  | 880 MB | $0.00 |

    Costs are recorded at list prices. Alternatives are estimates for the same windows.
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
        "known_cost_usd": "0.4608",
        "cost_usd": {
          "requests": "0.460800000"
        },
        "unknown_costs": 2,
        "usd_per_warm_hour": "0.003222378",
        "egress_bytes": {
          "nat-gateway": 880000000
        },
        "default_slo": true,
        "error_budget": {
          "left": 0.30555555555555614,
          "burn_rate": 0.6944444444444439,
          "burn_rate_3d": 0.6944444444444439
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
              "total_usd": "1.86",
              "cold_starts": 180
            },
            {
              "option": "provisioned-windows",
              "total_usd": "5",
              "cold_starts": 0
            }
          ],
          "cheapest": "pings",
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
          "known_cost_usd": "0.1728",
          "cost_usd": {
            "requests": "0.172800000"
          },
          "unknown_costs": 0,
          "usd_per_warm_hour": "0.0018",
          "egress_bytes": {}
        }
      ],
      "routes": [
        {
          "route": "nat-gateway",
          "bytes": 880000000,
          "usd": "0"
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
    let data = data(&page);
    let pings: u64 = history.hours.values().flatten().map(|(_, row)| row.pings).sum();
    let of_functions = data["functions"].as_array().unwrap().iter().map(|one| one["pings"].as_u64().unwrap());
    assert_eq!(of_functions.sum::<u64>(), pings);
    assert_eq!(data["fleet"]["pings"], pings);
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
