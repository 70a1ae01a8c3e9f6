//! What commands show of the guards: `canary`, `check --live`, `plan --live`, `explain`, `status` and the dry run.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{Done, Fixture, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2, interval: 5m, canary_max: 25ms }
functions:
  crowded:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  wide: { windows: [{ days: daily, hours: all-day, concurrency: 50 }] }
  full: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  durable: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  kept:live:
    windows:
      - { days: daily, hours: all-day, concurrency: 10 }
      - { days: daily, hours: \"10:00-11:00\", concurrency: 12 }
  sound: { windows: [{ days: daily, hours: all-day, concurrency: 5 }] }
  asleep: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  orders: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
";

const FUNCTIONS: &str = "
account: { concurrency: 151 }
functions:
  crowded: { reserved: 5, aliases: { live: 1 } }
  wide: {}
  full: { reserved: 1 }
  durable: { configuration: { DurableConfig: { ExecutionTimeout: 60 } } }
  kept: { provisioned: 10, provisioned_on: [live], aliases: { live: 1 } }
  sound: { code: a }
  asleep: { inactive: 30s }
  orders: { code: a, handler: none, duration: 400ms, runtime: python3.13 }
";

/// An account with guarded functions, and a state directory.
struct Account {
    fixture: Fixture,
    state: String,
}

impl Account {
    fn new() -> Self {
        let fixture = Fixture::with_functions(FLEET, FUNCTIONS);
        let state = fixture.folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        Self { state: state.to_str().unwrap().to_owned(), fixture }
    }

    fn run(&self, args: &[&str]) -> Done {
        self.fixture.run(args)
    }

    /// Runs a command with the state directory.
    fn stored(&self, args: &[&str]) -> Done {
        self.run(&[args, &["--state", &self.state]].concat())
    }

    /// Replaces a document.
    fn write(&self, document: &str, content: &Value) {
        for file in std::fs::read_dir(&self.state).unwrap().map(|file| file.unwrap().path()) {
            if file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{document}.")) {
                std::fs::remove_file(file).unwrap();
            }
        }
        write(self.state.as_ref(), &format!("{document}.1.json"), &content.to_string());
    }
}

fn minutes_ago(minutes: i64) -> String {
    (SystemClock.now() - TimeDelta::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[test]
fn check_live_lists_what_shrinks() {
    let account = Account::new();
    let done = account.run(&["check", "--live", &account.fixture.configs()]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    insta::assert_snapshot!(done.stdout.split_once("0 warnings\n").unwrap().1, @"
    shrinks: crowded:live (eu-west-2) from 10 to 4 by `limits.leave_free`
    shrinks: wide (eu-west-2) from 50 to 29 by `limits.account_share`
    shrinks: full (eu-west-2) from 2 to 0 by `limits.leave_free`
    compared 8 targets in 1 region with the deployed functions: 3 errors, 3 warnings
    ");
    let object = account.run(&["check", "--live", "--format", "json", &account.fixture.configs()]).json();
    insta::assert_snapshot!(object["live"]["shrinks"].to_string(), @r#"[{"function":"crowded","qualifier":"live","region":"eu-west-2","tenant":null,"target":4,"capped_from":10,"by":"limits.leave_free"},{"function":"wide","qualifier":null,"region":"eu-west-2","tenant":null,"target":29,"capped_from":50,"by":"limits.account_share"},{"function":"full","qualifier":null,"region":"eu-west-2","tenant":null,"target":0,"capped_from":2,"by":"limits.leave_free"}]"#);
    account
        .fixture
        .emulate
        .change("account: { concurrency: 1000 }\nfunctions: { crowded: ~, full: ~, wide: {} }");
    let object = account.run(&["check", "--live", "--format", "json", &account.fixture.configs()]).json();
    assert_eq!(object["live"]["shrinks"], json!([]));
}

#[test]
fn a_live_plan_has_the_rounds_that_the_guards_allow() {
    let account = Account::new();
    let configs = account.fixture.configs();
    let day = ["--from", "2026-11-20", "--for", "1d"];
    let plan = |more: &[&str]| account.run(&[&["plan", &configs], &day[..], more].concat());
    let done = plan(&["--live"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let is_shown = |line: &&str| line.contains(", every ") || line.starts_with('!');
    let lines: Vec<&str> = done.stdout.lines().filter(is_shown).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    crowded:live (eu-west-2), every 5 minutes, times in UTC: 288 rounds, 1,152 pings
    ! lowered from 10 to 4 by `limits.leave_free`
    wide (eu-west-2), every 5 minutes, times in UTC: 288 rounds, 8,352 pings
    ! lowered from 50 to 29 by `limits.account_share`
    full (eu-west-2), every 5 minutes, times in UTC: 0 rounds, 0 pings
    ! skipped (no-headroom): limits.leave_free leaves nothing of its reserved concurrency
    durable (eu-west-2), every 5 minutes, times in UTC: 0 rounds, 0 pings
    ! skipped (durable): every ping would begin a durable execution
    kept:live (eu-west-2), every 5 minutes, times in UTC: 12 rounds, 144 pings
    ! some rounds are skipped (provisioned): provisioned concurrency covers it
    sound (eu-west-2), every 5 minutes, times in UTC: 288 rounds, 1,440 pings
    asleep (eu-west-2), every 5 minutes, times in UTC: 288 rounds, 864 pings
    orders (eu-west-2), every 5 minutes, times in UTC: 288 rounds, 864 pings
    ");
    let (before, live) = (plan(&["--json"]).json(), plan(&["--json", "--live"]).json());
    let shown = |plan: &Value| {
        let row = |function: &Value| {
            let [name, capped, skipped] = ["function", "capped_from", "skipped"].map(|key| &function[key]);
            format!("{name} {capped} {skipped} {} {}", function["rounds"], function["pings"])
        };
        plan["functions"].as_array().unwrap().iter().map(row).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(shown(&before), @r#"
    "crowded:live" null null 288 2880
    "wide" null null 288 14400
    "full" null null 288 576
    "durable" null null 288 576
    "kept:live" null null 288 2904
    "sound" null null 288 1440
    "asleep" null null 288 864
    "orders" null null 288 864
    "#);
    insta::assert_snapshot!(shown(&live), @r#"
    "crowded:live" 10 null 288 1152
    "wide" 50 null 288 8352
    "full" null "no-headroom" 0 0
    "durable" null "durable" 0 0
    "kept:live" null "provisioned" 12 144
    "sound" null null 288 1440
    "asleep" null null 288 864
    "orders" null null 288 864
    "#);
    let cost = |plan: &Value, index: usize| plan["functions"][index]["cost"]["pings"].clone();
    assert_eq!((cost(&before, 1), cost(&live, 1), cost(&live, 3)), (json!(14_400), json!(8_352), json!(0)));
}

#[test]
fn a_live_plan_without_lambda_or_permission_is_that_of_the_configuration() {
    let account = Account::new();
    let configs = account.fixture.configs();
    account.fixture.emulate.change("functions: { durable: ~, kept: ~, full: ~ }");
    let plan = |flag: &[&str]| {
        account.run(&[&["plan", &configs, "--function", "sound", "--for", "1h"], flag].concat())
    };
    let denied = "denied: [GetAccountSettings]\ndefault: {}\n";
    let restricted = Fixture::with_functions(FLEET, denied);
    let done = restricted.run(&["plan", &configs, "--function", "wide", "--for", "1h", "--live"]);
    assert_eq!((done.code, done.stdout.contains("lowered")), (0, false));
    insta::assert_snapshot!(done.stderr, @"warning: not checked: the account's limits in eu-west-2: no permission for lambda:GetAccountSettings (`warmd iam --check-live`); without it these guards of a tick are off: headroom of accounts");
    let mut command = crate::support::with_aws(
        crate::support::warmd(&["plan", &configs, "--function", "sound", "--for", "1h", "--live"]),
        &crate::support::closed_endpoint(),
    );
    command.env("AWS_MAX_ATTEMPTS", "1");
    let done = crate::support::done(command);
    assert_eq!(done.code, 1);
    assert!(done.stderr.starts_with("warning: not compared: 1 target in eu-west-2: "), "{}", done.stderr);
    let without = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(without(&done.stdout), without(&plan(&[]).stdout));
}

#[test]
fn an_explanation_shows_what_the_guards_would_do() {
    let account = Account::new();
    let configs = account.fixture.configs();
    let live = |function: &str| {
        let done = account.run(&["explain", function, "--live", &configs]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let lines: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("guards: ")).collect();
        format!("{function}\n{}", lines.join("\n"))
    };
    let all = ["crowded:live", "wide", "full", "durable", "asleep", "sound"].map(live);
    insta::assert_snapshot!(all.join("\n"), @"
    crowded:live
    guards: a round of 10 pings is lowered to 4 by `limits.leave_free`
    guards: one ping precedes it: its handler was not pinged before with this code, protocol and payload
    wide
    guards: a round of 50 pings is lowered to 29 by `limits.account_share`
    guards: one ping precedes it: its handler was not pinged before with this code, protocol and payload
    full
    guards: a round of 2 pings is skipped (no-headroom): limits.leave_free leaves nothing of its reserved concurrency
    durable
    guards: a round of 2 pings is skipped (durable): every ping would begin a durable execution
    asleep
    guards: a round of 3 pings is sent in full
    guards: one ping precedes it: the function is inactive, and the ping wakes it
    sound
    guards: a round of 5 pings is sent in full
    guards: one ping precedes it: its handler was not pinged before with this code, protocol and payload
    ");
    let object = account.run(&["explain", "crowded:live", "--live", "--json", &configs]).json();
    insta::assert_snapshot!(object["guards"].to_string(), @r#"{"target":4,"capped_from":10,"capped_by":"limits.leave_free","backed_off_from":null,"skipped":null,"first_ping":"contact","unsafe":null,"next_try":null,"known":true}"#);
    let without = account.run(&["explain", "crowded:live", "--json", &configs]).json();
    assert!(without.get("guards").is_none());
    // The kept environments cover all but one hour of the day.
    let at = |at| account.run(&["explain", "kept:live", "--live", "--json", "--at", at, &configs]).json();
    assert_eq!(at("2026-11-20T09:00:00Z")["guards"]["skipped"], "provisioned");
    assert_eq!(at("2026-11-20T10:30:00Z")["guards"]["target"], 12);
}

/// Facts and results of rounds: `orders` is unsafe, the breaker of `sound` is open, and `wide` was throttled.
fn records(account: &Account) {
    let known = |code: &str| json!({ "known": { "code_sha256": code } });
    let fact = |code: &str| json!({ "at": minutes_ago(5), "seen": { "configuration": known(code), "reserved": { "known": null } } });
    account.write(
        "facts-eu-west-2",
        &json!({
            "accounts": { "": { "at": minutes_ago(5), "limits": { "known": { "concurrent": 150, "unreserved": 150 } } } },
            "functions": {
                "orders eu-west-2": fact("code-of-orders"), "sound eu-west-2": fact("code-of-sound"),
                "wide eu-west-2": fact("code-of-wide"), "durable eu-west-2": {
                    "at": minutes_ago(5), "seen": { "configuration": { "known": { "model": "durable" } } },
                },
            },
        }),
    );
    let contact = |code: &str, unsafe_because: Option<&str>| {
        let mut contact =
            json!({ "code": { "sha256": code }, "contract": "warmd", "at": "2026-11-20T09:00:00Z" });
        if let Some(reason) = unsafe_because {
            contact["unsafe_because"] = json!(reason);
        }
        contact
    };
    let reason = "the handler ran 3s on a ping, expected at most 1s 100ms";
    account.write(
        "guards-eu-west-2",
        &json!({
            "since": "2026-11-20T08:00:00Z",
            "contacts": {
                "orders eu-west-2": [contact("earlier-code", Some("KeyError")), contact("code-of-orders", Some(reason))],
                "sound eu-west-2": [contact("code-of-sound", None)],
                "wide eu-west-2": [contact("code-of-wide", None)],
            },
            "health": {
                "sound eu-west-2": { "at": minutes_ago(5), "failures": 3 },
                "wide eu-west-2": { "at": minutes_ago(5), "limit": 12 },
            },
        }),
    );
    let status = |reached: u32| json!({ "tick": minutes_ago(5), "target": 3, "reached": reached, "verdict": "reached" });
    account.write(
        "status",
        &json!({ "duration_ms": 0, "unfinished": 0, "targets": { "orders eu-west-2": status(0), "sound eu-west-2": status(0), "wide eu-west-2": status(0) } }),
    );
}

/// Replaces the times that depend on the clock.
fn steady(text: &str) -> String {
    let now = SystemClock.now();
    let is_recent = |word: &str| {
        let at = word.trim_end_matches(':').parse::<DateTime<Utc>>();
        at.is_ok_and(|at| (now - at).abs() < TimeDelta::hours(1))
    };
    let line = |line: &str| {
        let words = line.split(' ').map(|word| if is_recent(word) { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn stored_results_are_shown_by_explain_status_and_the_dry_run() {
    let account = Account::new();
    let configs = account.fixture.configs();
    records(&account);
    let explained = |function: &str| {
        let done = account.stored(&["explain", function, &configs]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let lines: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("guards: ")).collect();
        format!("{function}\n{}\n", lines.join("\n"))
    };
    let all = ["orders", "sound", "wide", "durable", "full"].map(explained);
    insta::assert_snapshot!(steady(&all.concat()), @"
    orders
    guards: a round of 3 pings is skipped (unsafe): its handler took a ping for work; `warmd canary clear` allows pings again
    guards: the handler is unsafe: the handler ran 3s on a ping, expected at most 1s 100ms
    sound
    guards: a round of 5 pings is skipped (breaker): its last rounds failed entirely; one ping each 15 minutes tries again
    guards: the breaker is open, and the next try is at TIME at the earliest
    wide
    guards: a round of 50 pings is lowered to 30 by `limits.account_share`
    guards: after throttles it is lowered from 30 to 12
    durable
    guards: a round of 2 pings is skipped (durable): every ping would begin a durable execution
    full
    guards: the deployed function is not known
    guards: a round of 2 pings is sent in full
    guards: one ping precedes it: its handler was not pinged before with this code, protocol and payload
    ");
    let object = account.stored(&["explain", "orders", "--json", &configs]).json();
    insta::assert_snapshot!(object["guards"].to_string(), @r#"{"target":0,"capped_from":null,"capped_by":null,"backed_off_from":null,"skipped":"unsafe","first_ping":null,"unsafe":"the handler ran 3s on a ping, expected at most 1s 100ms","next_try":null,"known":true}"#);

    let status = account.stored(&["status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    let guards = status.stdout.split_once("\nfacts about ").unwrap().1.split_once('\n').unwrap().1.to_owned();
    insta::assert_snapshot!(steady(&guards), @"
    unsafe: orders eu-west-2, protocol warmd, since 2026-11-20T09:00:00Z: the handler ran 3s on a ping, expected at most 1s 100ms
    breaker open: sound eu-west-2 after 3 failed rounds, next try TIME
    backed off: wide eu-west-2 to 12 pings after throttles (5 min ago)
    ");
    let object = account.stored(&["status", "--json"]).json();
    insta::assert_snapshot!(object["unsafe"].to_string(), @r#"[{"function":"orders","region":"eu-west-2","state":"unsafe","protocol":"warmd","code":"code-of-orders","since":"2026-11-20T09:00:00Z","reason":"the handler ran 3s on a ping, expected at most 1s 100ms"}]"#);
    let breaker = &object["breakers"][0];
    let time = |text: &Value| text.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    // At a whole minute.
    let wait = time(&breaker["next_try"]) - time(&breaker["since"]);
    assert!((TimeDelta::minutes(14)..=TimeDelta::minutes(15)).contains(&wait), "{wait}");
    assert_eq!(
        [&breaker["function"], &breaker["qualifier"], &breaker["tenant"], &breaker["failures"]],
        [&json!("sound"), &Value::Null, &Value::Null, &json!(3)]
    );
    let backed_off = &object["backed_off"][0];
    assert_eq!([&backed_off["function"], &backed_off["limit"]], [&json!("wide"), &json!(12)]);
    let only = account.stored(&["status", "wide", "--json"]).json();
    assert_eq!([&only["unsafe"], &only["breakers"]], [&json!([]); 2]);
    assert_eq!(only["backed_off"].as_array().unwrap().len(), 1);

    let dry_run = ["run", "--once", "--dry-run", "--at", "2026-11-20T09:00:00Z", &configs];
    let done = account.stored(&dry_run);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let shown = done.stdout.split_once('\n').unwrap().1;
    insta::assert_snapshot!(shown, @r#"

      FUNCTION      REGION     TARGET  PROTOCOL  HOLD
    · crowded:live  eu-west-2      10  warmd     auto
    · wide          eu-west-2      12  warmd     auto
    · full          eu-west-2       2  warmd     auto
    · kept:live     eu-west-2      10  warmd     auto
    · asleep        eu-west-2       3  warmd     auto

    5 targets: 37 pings, at most 500 in flight at once
    warmd ping: {"warmd":{"version":1,"round":"…","concurrency":10,"hold_ms":100}}
    ✗ orders (eu-west-2) unsafe: its handler took a ping for work; `warmd canary clear` allows pings again
    - durable (eu-west-2) skipped: every ping would begin a durable execution
    - sound (eu-west-2) skipped: its last rounds failed entirely; one ping each 15 minutes tries again
    ? wide (eu-west-2) lowered to 12: from 50 by `limits.account_share`, from 30 after throttles
    "#);
    let object = account.stored(&[&dry_run[..], &["--json"]].concat()).json();
    let row = |round: &Value| {
        let keys = ["function", "target", "capped_from", "backed_off_from", "verdict", "skipped"];
        keys.map(|key| round[key].to_string()).join(" ")
    };
    let rows: Vec<String> = object["rounds"].as_array().unwrap().iter().map(row).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    "crowded" 10 null null "skipped" "dry-run"
    "wide" 12 50 30 "skipped" "dry-run"
    "full" 2 null null "skipped" "dry-run"
    "kept" 10 null null "skipped" "dry-run"
    "asleep" 3 null null "skipped" "dry-run"
    "durable" 2 null null "skipped" "durable"
    "sound" 5 null null "skipped" "breaker"
    "orders" 3 null null "unsafe" "unsafe"
    "#);
    assert_eq!(account.fixture.emulate.observations()["invocations"], json!([]));

    account.write("guards-eu-west-2", &json!("no document"));
    let status = account.stored(&["status"]);
    assert_eq!((status.code, status.stdout.contains("results for the guards unknown\n")), (1, true));
    assert_eq!(account.stored(&["status", "--json"]).json()["breakers"], Value::Null);
    assert_eq!(account.stored(&["explain", "orders", &configs]).code, 1);
    let dry_run = account.stored(&dry_run);
    assert!(
        dry_run.code == 0 && dry_run.stderr.contains("; the guards are not applied"),
        "{}",
        dry_run.stderr
    );
}

#[test]
fn results_are_listed_and_cleared_in_all_regions() {
    let account = Account::new();
    assert_eq!(account.stored(&["canary", "list"]).stdout, "no first contact is recorded\n");
    records(&account);
    let qualified = json!({ "since": "2026-11-20T08:00:00Z", "contacts": {
        "orders us-east-1": [{ "code": { "behind": "live" }, "contract": "custom 0011", "at": "2026-11-20T10:00:00Z",
            "unsafe_because": "a\u{1b}[31m" }],
        "arn:aws:lambda:us-east-1:123456789012:function:orders us-east-1": [{ "code": { "sha256": "c" },
            "contract": "bref", "at": "2026-11-20T10:00:00Z", "unsafe_because": "TypeError" }],
    } });
    account.write("guards-us-east-1", &qualified);
    insta::assert_snapshot!(account.stored(&["canary", "list"]).stdout, @r"
      FUNCTION                                               REGION     STATE    PROTOCOL  CODE      SINCE                 REASON
    ✗ arn:aws:lambda:us-east-1:123456789012:function:orders  us-east-1  unsafe   bref      c         2026-11-20T10:00:00Z  TypeError
    ✗ orders                                                 eu-west-2  unsafe   warmd     earlier-  2026-11-20T09:00:00Z  KeyError
    ✗ orders                                                 eu-west-2  unsafe   warmd     code-of-  2026-11-20T09:00:00Z  the handler ran 3s on a ping, expected at most 1s 100ms
    ✗ orders                                                 us-east-1  unsafe   custom    unknown   2026-11-20T10:00:00Z  a\u{1b}[31m
    ✓ sound                                                  eu-west-2  trusted  warmd     code-of-  2026-11-20T09:00:00Z
    ✓ wide                                                   eu-west-2  trusted  warmd     code-of-  2026-11-20T09:00:00Z
    ");
    let list = || account.stored(&["canary", "list", "--json"]).json();
    insta::assert_snapshot!(list()[0].to_string(), @r#"{"function":"arn:aws:lambda:us-east-1:123456789012:function:orders","region":"us-east-1","state":"unsafe","protocol":"bref","code":"c","since":"2026-11-20T10:00:00Z","reason":"TypeError"}"#);

    let near = account.stored(&["canary", "clear", "ordres:live"]);
    insta::assert_snapshot!(near.shown(), @r#"
    exit 0
    --- stdout
    ordres was not unsafe
    --- stderr
    warning: no result for "ordres" is recorded; did you mean `orders`?
    "#);
    assert_eq!(list().as_array().unwrap().len(), 6);
    let cleared = account.stored(&["canary", "clear", "orders:live"]);
    assert_eq!((cleared.code, cleared.stderr.as_str()), (0, ""));
    assert_eq!(
        cleared.stdout,
        "orders cleared in eu-west-2, us-east-1: its next round begins with one ping\n"
    );
    assert_eq!(account.stored(&["canary", "clear", "orders"]).stdout, "orders was not unsafe\n");
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:orders";
    let cleared = account.stored(&["canary", "clear", arn, "--json"]).json();
    assert_eq!(cleared[0]["reason"], "TypeError");
    assert_eq!(account.stored(&["canary", "clear", arn, "--json"]).json(), json!([]));
    let left: Vec<Value> =
        list().as_array().unwrap().iter().map(|contact| contact["state"].clone()).collect();
    assert_eq!(left, ["trusted", "trusted"]);
    let configs = account.fixture.configs();
    let explained = account.stored(&["explain", "orders", "--json", &configs]).json();
    assert_eq!(
        [&explained["guards"]["skipped"], &explained["guards"]["first_ping"]],
        [&Value::Null, &json!("contact")]
    );

    records(&account);
    account.write("guards-us-east-1", &json!("no document"));
    let partly = account.stored(&["canary", "clear", "orders"]);
    assert_eq!((partly.code, partly.stdout.starts_with("orders cleared in eu-west-2: ")), (1, true));
    assert!(partly.stderr.contains("the document `guards-us-east-1` cannot be read: "), "{}", partly.stderr);
    for wrong in
        [&["canary"][..], &["canary", "clear"], &["canary", "clear", "a b"], &["canary", "list", "orders"]]
    {
        assert_eq!(account.stored(wrong).code, 2, "{wrong:?}");
    }
    let nowhere = account.run(&["canary", "list"]);
    assert_eq!((nowhere.code, nowhere.stderr.contains("set --state or WARMD_STATE")), (2, true));
}

/// The whole way: the handler takes a ping for work, and the next runs send nothing until it is cleared.
#[test]
fn an_unsafe_handler_is_reported_with_its_remedy_until_it_is_cleared() {
    let account = Account::new();
    account.fixture.write(
        "fleet.yaml",
        "version: 1\ndefaults: { region: eu-west-2, canary_max: 25ms }\n\
         functions: { orders: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] } }\n",
    );
    let configs = account.fixture.configs();
    let once = || account.stored(&["run", "--once", "--canary", "--json", &configs]);
    let first = once();
    let note = account.run(&["run", "--once", "--canary", &configs]);
    insta::assert_snapshot!(note.stdout.rsplit_once("\n✗ ").unwrap().1, @"
    orders (eu-west-2) unsafe: the handler ran 400ms on a ping, expected at most 125ms. Nothing more
      is sent until its code, protocol or payload changes. Add the code of `warmd handler python` to it,
      or set the `protocol` that it supports. `warmd canary clear` allows pings again.
    ");
    let shown = |done: &Done| {
        let round = &done.json()["rounds"][0];
        (done.code, round["verdict"].clone(), round["pings"].clone())
    };
    // A cold ping, and a warm one.
    assert_eq!(shown(&first), (3, json!("unsafe"), json!(2)));
    assert_eq!(shown(&once()), (3, json!("unsafe"), json!(0)));
    let without = account.stored(&["run", "--once", "--json", &configs]);
    assert_eq!(shown(&without), (3, json!("unsafe"), json!(0)));
    assert_eq!(account.stored(&["canary", "clear", "orders"]).code, 0);
    assert_eq!(shown(&once()), (3, json!("unsafe"), json!(1)));
    account.fixture.emulate.change("functions: { orders: { code: b, handler: warmd, duration: 5ms } }");
    assert_eq!(account.stored(&["canary", "clear", "orders"]).code, 0);
    assert_eq!(shown(&once()).1, "reached");
}
