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
        std::fs::write(self.path(&format!("state/history-eu-west-2-{day}.gz")), bytes).unwrap();
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

      FUNCTION       REGION     COVERAGE  COLD   COST  WARM HOUR
    ? checkout:live  eu-west-2   unknown     0  $0.00          -
    ? nlp            eu-west-2   unknown     0  $0.00          -
      days: █ 100 %  ▇ 99.9  ▆ 99  ▅ 98  ▄ 95  ▃ 90  ▂ 50  ▁ less  · not known

      OWNER                 COVERAGE  PINGS   COST
      payments               unknown      0  $0.00
      search | <b>team</b>   unknown      0  $0.00

    coverage unknown: 0 of 0 window minutes were warm
    error budget of the default objective, 99 % over 28 days: unknown; burn rate unknown in the period,
      unknown in its last 3 days
    0 pings in 0 rounds: 0 cold starts (0 semi-cold, 0 restored, 0 initialised ahead); no short rounds
    cost $0.00
    ! the history has nothing in this period
    --- stderr
    ");
}

#[test]
fn markdown_of_three_days() {
    insta::assert_snapshot!(Stored::new().report(&["--markdown"]).shown(), @"
    exit 0
    --- stdout
    **warmd**: 3d from 2026-02-02 00:00 UTC until 2026-02-05 00:00 UTC

    - coverage unknown: 0 of 0 window minutes were warm
    - error budget of the default objective, 99 % over 28 days: unknown; burn rate unknown in the period, unknown in its last 3 days
    - 0 pings in 0 rounds: 0 cold starts (0 semi-cold, 0 restored, 0 initialised ahead); no short rounds
    - cost $0.00
    - ⚠ the history has nothing in this period

    | function | region | coverage | cold starts | pings | cost | per warm hour | cheapest alternative |
    |---|---|---:|---:|---:|---:|---:|---|
    | <code>checkout&#58;live</code> | eu-west-2 | unknown | 0 | 0 | $0.00 | - |  |
    | nlp | eu-west-2 | unknown | 0 | 0 | $0.00 | - |  |

    | owner | coverage | pings | S3 egress | cost |
    |---|---:|---:|---:|---:|
    | payments | unknown | 0 |  | $0.00 |
    | <code>search &#124; &#60;b&#62;team&#60;&#47;b&#62;</code> | unknown | 0 |  | $0.00 |

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
    insta::assert_snapshot!(serde_json::to_string_pretty(&object).unwrap(), @"");
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
