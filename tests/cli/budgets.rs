//! What commands show of budgets: `check`, `explain`, `status` and the dry run.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{run, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2 }
budget: { monthly_usd: 1000000 }
owners: { nlp: { budget: { monthly_usd: 500000, on_exceed: reduce } } }
functions:
  f:
    owner: nlp
    budget: { monthly_usd: 4, on_exceed: stop }
    memory: 1024MB
    windows: [{ days: daily, hours: all-day, concurrency: 10 }]
  g: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// A folder with the configuration, and a state directory with the spending of this month.
fn folder() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let fleet = write(folder.path(), "fleet.yaml", FLEET);
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let month = now().year() * 12 + i32::try_from(now().month0()).unwrap();
    let spent = |usd: &str| json!({ "pings_usd": usd, "pings": 1000, "unknown": 2 });
    let standing = |usd: &str, on_exceed: &str, limit: &str| json!({ "monthly_usd": limit, "on_exceed": on_exceed, "spent": spent(usd) });
    let spending = json!({
        "month": month,
        "targets": { "f eu-west-2": spent("4.5"), "\u{1b}g eu-west-2": spent("1") },
        "budgets": {
            "fleet": standing("5.5", "warn", "1000000"),
            "function f eu-west-2": standing("4.5", "stop", "4"),
            "owner n\u{1b}[2J": standing("8.5", "reduce", "10"),
        },
    });
    write(&state, "spending.1.json", &spending.to_string());
    (folder, fleet.to_str().unwrap().to_owned(), state.to_str().unwrap().to_owned())
}

/// Replaces the month, and what depends on the time of the test.
fn steady(text: &str) -> String {
    let month = now().format("%Y-%m").to_string();
    let line = |line: &str| match line.split_once(" at this rate") {
        Some((before, after)) => {
            format!("{}, … at this rate{after}", before.rsplit_once(", ").unwrap().0)
        }
        None => line.to_owned(),
    };
    text.replace(&month, "MONTH").lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_explanation_shows_the_budgets_of_a_function() {
    let (_folder, fleet, state) = folder();
    let lines = |args: &[&str]| {
        let done = run(&[&["explain", "f", &fleet], args].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let own =
            done.stdout.lines().filter(|line| line.starts_with("budget") || line.starts_with("guards: a"));
        steady(&own.collect::<Vec<_>>().join("\n"))
    };
    insta::assert_snapshot!(lines(&[]), @"
    budget of f in eu-west-2: $4 a month, stop
    budget of the owner nlp: $500000 a month, reduce
    budget of the fleet: $1000000 a month, warn
    ");
    insta::assert_snapshot!(lines(&["--state", &state]), @"
    guards: a round of 10 pings is skipped (budget): a monthly budget is used up: its own, that of its owner, or that of the fleet
    budget of f in eu-west-2: $4 a month, stop: $4.500000 spent in MONTH (112 %), used up, … at this rate, without 2 rounds of unknown cost
    budget of the owner nlp: $500000 a month, reduce: $4.500000 spent in MONTH (0 %), … at this rate, without 2 rounds of unknown cost
    budget of the fleet: $1000000 a month, warn: $4.500000 spent in MONTH (0 %), … at this rate, without 2 rounds of unknown cost
    ");
    let object = run(&["explain", "f", "--json", "--state", &state, &fleet]).json();
    assert_eq!(object["guards"]["skipped"], "budget");
    let mut first = object["budgets"][0].clone();
    first.as_object_mut().unwrap().remove("forecast_usd");
    first["month"] = Value::Null;
    insta::assert_snapshot!(first, @r#"{"scope":"function","owner":null,"function":"f","region":"eu-west-2","month":null,"monthly_usd":"4","spent_usd":"4.5","unknown":2,"level":"exceeded","on_exceed":"stop"}"#);
    let unknown = run(&["explain", "f", "--json", &fleet]).json();
    assert_eq!(unknown["budgets"][2]["spent_usd"], Value::Null);
}

#[test]
fn the_status_shows_the_budgets_of_the_last_tick() {
    let (_folder, _, state) = folder();
    let done = run(&["status", "--state", &state]);
    let lines = done.stdout.lines().filter(|line| line.starts_with("budget"));
    insta::assert_snapshot!(steady(&lines.collect::<Vec<_>>().join("\n")), @r"
    budget of the fleet: $1000000 a month, warn: $5.500000 spent in MONTH (0 %), … at this rate, without 2 rounds of unknown cost
    budget of the owner n\u{1b}[2J: $10 a month, reduce: $8.500000 spent in MONTH (85 %), near its end, … at this rate, without 2 rounds of unknown cost
    budget of f in eu-west-2: $4 a month, stop: $4.500000 spent in MONTH (112 %), used up, … at this rate, without 2 rounds of unknown cost
    ");
    let object = run(&["status", "--json", "--state", &state]).json();
    let shown = |budget: &Value| {
        ["scope", "owner", "function", "level", "spent_usd", "unknown"]
            .map(|key| budget[key].to_string())
            .join(" ")
    };
    let shown: Vec<String> = object["budgets"].as_array().unwrap().iter().map(shown).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "fleet" null null "within" "5.5" 2
    "owner" "n\u001b[2J" null "near" "8.5" 2
    "function" null "f" "exceeded" "4.5" 2
    "#);
    write(std::path::Path::new(&state), "spending.2.json", "[]");
    let done = run(&["status", "--state", &state]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("budgets unknown\n"), "{}", done.stdout);
}

#[test]
fn a_check_warns_about_a_budget_below_the_planned_cost() {
    let (folder, fleet, _) = folder();
    assert_eq!(run(&["check", &fleet]).stderr, "");
    let low = FLEET
        .replace("monthly_usd: 4,", "monthly_usd: 0.02,")
        .replace("monthly_usd: 500000", "monthly_usd: 0.01");
    let low = write(folder.path(), "low.yaml", &low);
    let done = run(&["check", low.to_str().unwrap(), "--format", "json"]);
    let problems = done.json()["problems"].clone();
    let [owner, function] = &problems.as_array().unwrap()[..] else { panic!("{problems}") };
    assert_eq!((owner["line"].as_u64(), function["line"].as_u64(), done.code), (Some(4), Some(6), 0));
    let message = owner["message"].as_str().unwrap();
    assert!(
        message.starts_with("the budget of the owner nlp, $0.010000 a month, is below the planned $"),
        "{message}"
    );
    let message = function["message"].as_str().unwrap();
    assert!(message.starts_with("the budget of f in eu-west-2, $0.020000 a month"), "{message}");
}
