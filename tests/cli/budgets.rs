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
    guards: a round of 10 pings is skipped (budget): a monthly budget is used up, or leaves no ping now: `functions.f.budget`
    budget of f in eu-west-2: $4 a month, stop: $4.500000 spent in MONTH (112 %), used up, … at this rate, without 2 rounds of unknown cost
    budget of the owner nlp: $500000 a month, reduce: $4.500000 spent in MONTH (0 %), … at this rate, without 2 rounds of unknown cost
    budget of the fleet: $1000000 a month, warn: $4.500000 spent in MONTH (0 %), … at this rate, without 2 rounds of unknown cost
    ");
    let object = run(&["explain", "f", "--json", "--state", &state, &fleet]).json();
    let skipped = ["capped_from", "capped_by", "skipped"].map(|key| &object["guards"][key]);
    assert_eq!(skipped.map(ToString::to_string), ["10", "\"functions.f.budget\"", "\"budget\""]);
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

#[test]
fn a_hostile_document_leads_to_one_message_and_is_not_lost() {
    let month = now().year() * 12 + i32::try_from(now().month0()).unwrap();
    let of = |month: i32, targets: &str, more: &str| {
        format!(r#"{{"month":{month},"targets":{{{targets}}}{more}}}"#)
    };
    let f = |usd: &str| format!(r#""f eu-west-2":{{"pings_usd":{usd},"pings":1}}"#);
    let budgets = |usd: &str| {
        format!(
            r#","budgets":{{"fleet":{{"monthly_usd":"1","on_exceed":"stop","spent":{{"pings_usd":{usd},"pings":1}}}}}}"#
        )
    };
    let reserved =
        r#","reserved":{"7":{"at":"9999-01-01T00:00:00Z","usd":{"fleet":"79228162514264337593543950335"}}}"#;
    // With the spent money of `f`; `None` for a document that cannot be read.
    let cases = [
        ("negative", of(month, &f(r#""-5""#), &budgets(r#""-5""#)), Some("0")),
        ("NaN", of(month, &f(r#""NaN""#), ""), None),
        ("1e300", of(month, &f(r#""1e300""#), ""), None),
        ("a number of 1e300", of(month, &f("1e300"), ""), None),
        (
            "most",
            of(month, &f(r#""79228162514264337593543950335""#), ""),
            Some("79228162514264337593543950335"),
        ),
        ("an earlier month", of(month - 1, &f(r#""5""#), &budgets(r#""5""#)), Some("0")),
        ("the last month", of(i32::MAX, &f(r#""5""#), &budgets(r#""5""#)), Some("0")),
        ("the first month", of(i32::MIN, &f(r#""5""#), ""), Some("0")),
        ("a reservation", of(month, &f(r#""2""#), reserved), Some("2")),
        ("10 MB", format!("{}{}", of(month, &f(r#""2""#), ""), " ".repeat(10 << 20)), Some("2")),
        (
            "unknown functions",
            of(
                month,
                &format!(
                    r#"{},"\u001b[2J eu-west-2":{{"pings_usd":"1","pings":1}},"":{{"pings_usd":"1","pings":1}}"#,
                    f(r#""2""#)
                ),
                "",
            ),
            Some("2"),
        ),
        (
            "levels of a removed budget",
            of(
                month,
                &f(r#""2""#),
                r#","reported":{"owner gone":"exceeded","planet x":"near"},"owners":{"g eu-west-2":"gone"}"#,
            ),
            Some("2"),
        ),
        ("no JSON", "no JSON".to_owned(), None),
        ("an array", "[]".to_owned(), None),
        ("nothing", String::new(), None),
    ];
    for (name, text, spent) in cases {
        let (_folder, fleet, state) = folder();
        let file = std::path::Path::new(&state).join("spending.2.json");
        std::fs::write(&file, &text).unwrap();
        let sound = |args: &[&str]| {
            let done = run(args);
            let all = format!("{}{}", done.stdout, done.stderr);
            assert!(matches!(done.code, 0 | 1) && !all.contains("panicked"), "{name} {args:?}: {all}");
            assert!(!all.contains('\u{1b}'), "{name} {args:?}: {all}");
            done
        };
        let done = sound(&["status", "--state", &state]);
        assert_eq!(done.stdout.matches("budgets unknown").count(), usize::from(spent.is_none()), "{name}");
        assert_eq!(done.code == 0, spent.is_some(), "{name}: {}", done.stderr);
        let json = sound(&["status", "--json", "--state", &state]).json();
        assert_eq!(json["budgets"].is_null(), spent.is_none(), "{name}: {json}");
        let done = sound(&["explain", "f", "--json", "--state", &state, &fleet]);
        match spent {
            Some(spent) => assert_eq!(done.json()["budgets"][0]["spent_usd"], spent, "{name}"),
            None => {
                assert_eq!((done.code, done.stderr.matches("spending").count()), (1, 1), "{}", done.stderr)
            }
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{name}: it was only read");
        let done = sound(&["run", "--once", "--local", "--json", "--state", &state, &fleet]);
        let object = done.json();
        let rounds = object["rounds"].as_array().unwrap();
        let pings = rounds.iter().find(|round| round["function"] == "f").unwrap()["pings"].as_u64();
        // The budget of `f` is $4.
        let is_used_up = spent.is_some_and(|spent| spent.len() > 9);
        assert_eq!(pings, Some(if is_used_up { 0 } else { 10 }), "{name}: {object}");
        if let Some(spent) = spent {
            let json = sound(&["explain", "f", "--json", "--state", &state, &fleet]).json();
            let now: f64 = json["budgets"][0]["spent_usd"].as_str().unwrap().parse().unwrap();
            let before: f64 = spent.parse().unwrap();
            assert!(if is_used_up { now == before } else { now > before }, "{name}: {now}");
        } else {
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{name}: nothing is overwritten");
            assert!(
                done.stderr.contains("StateUnavailable") && done.stderr.contains("spending"),
                "{}",
                done.stderr
            );
        }
    }
}
