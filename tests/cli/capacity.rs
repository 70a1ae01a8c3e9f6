//! `warmd capacity`, and what `status` and the dry run show of capacity.

use chrono::{Datelike, SecondsFormat, TimeDelta};
use serde_json::json;
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{Done, Fixture, run, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2, interval: 5m, memory: 1024MB, architecture: arm64 }
functions:
  kept:live:
    strategy: provisioned
    provisioned: { by: direct }
    windows: [{ days: daily, hours: all-day, concurrency: 10 }]
  pinged: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";

const FUNCTIONS: &str = "
functions:
  kept: { provisioned: 10, provisioned_on: [live], aliases: { live: 1 } }
  old: { provisioned: 4, provisioned_on: [live], aliases: { live: 1 } }
  bare: { aliases: { live: 1 } }
  pinged: {}
";

/// An account with provisioned concurrency, and a state directory.
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

    /// Runs a command with the state directory and the configuration.
    fn run(&self, args: &[&str]) -> Done {
        self.fixture.run(&[args, &["--state", &self.state, "--configs", &self.fixture.configs()]].concat())
    }

    /// Runs a command with the state directory.
    fn stored(&self, args: &[&str]) -> Done {
        self.fixture.run(&[args, &["--state", &self.state]].concat())
    }

    /// Records that warmd has made the capacity of `function`.
    fn record(&self, function: &str, number: u32) {
        let at = (SystemClock.now() - TimeDelta::minutes(2)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let document = json!({ "targets": { format!("{function} eu-west-2"): {
            "made": { "by": "direct", "at": "2026-11-20T08:00:00Z", "numbers": [number] },
            "seen": { "at": at, "desired": 12, "requested": number, "allocated": number, "available": number,
                "status": "waiting", "reason": "alias-weights" },
            "memory_mb": 1024, "architecture": "arm64",
        } } });
        write(self.state.as_ref(), "capacity-eu-west-2.1.json", &document.to_string());
    }
}

#[test]
fn commands_are_described() {
    insta::assert_snapshot!(run(&["capacity", "--help"]).stdout, @"
    Show, release or take over provisioned concurrency and managed instances

    Usage: warmd capacity [OPTIONS] <COMMAND>

    Commands:
      status   Show provisioned concurrency and managed instances as they are, with their cost per hour
      release  Delete the capacity that warmd has made
      adopt    Take over capacity that another owner has made
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help

    Output:
          --log-format <text|json>     Format of logs, which go to stderr. Data goes to stdout [default:
                                       text]
          --log-level <FILTER>         Log filter: error, warn, info, debug, trace, or directives such
                                       as `info,warmd=debug`. Logs of dependencies are limited to debug:
                                       at trace, the AWS SDK logs credentials. [default: info for the
                                       daemon, warn otherwise] [env: RUST_LOG]
          --color <auto|always|never>  Use of colour. auto: on a terminal, unless NO_COLOR is set
                                       [default: auto]
    ");
    insta::assert_snapshot!(run(&["capacity", "release", "--help"]).stdout, @"
    Delete the capacity that warmd has made

    Usage: warmd capacity release [OPTIONS] [FUNCTION]

    Arguments:
      [FUNCTION]  Function or pipeline, as in the configuration, or a function as it was when warmd made
                  its capacity

    Options:
          --all                 All capacity that warmd has made
          --yes                 Do not ask. Needed where standard input is not a terminal
          --region <REGION>     Region, if only one is meant
          --json                Print JSON: an array with the keys of `capacity` in the tick object, and
                                usd_per_hour
          --local               Use the embedded emulator, started for this command, instead of AWS
          --state <DIR|s3://…>  State store: a directory, or s3://bucket/prefix [env: WARMD_STATE]
          --configs <PATH>...   Configuration: YAML files, directories of *.yaml files, or
                                s3://bucket/prefix. [default: warm-configs]
      -h, --help                Print help

    Output:
          --log-format <text|json>     Format of logs, which go to stderr. Data goes to stdout [default:
                                       text]
          --log-level <FILTER>         Log filter: error, warn, info, debug, trace, or directives such
                                       as `info,warmd=debug`. Logs of dependencies are limited to debug:
                                       at trace, the AWS SDK logs credentials. [default: info for the
                                       daemon, warn otherwise] [env: RUST_LOG]
          --color <auto|always|never>  Use of colour. auto: on a terminal, unless NO_COLOR is set
                                       [default: auto]

    Examples:
      warmd capacity release checkout-api:live --state s3://my-warmd/state
      warmd capacity release --all --yes --state s3://my-warmd/state     before the stack is deleted

    Shows what would be deleted, and asks. Only what warmd has made or taken over is deleted: by the
    tag warmd:owner with Application Auto Scaling, else by the state store. Versions on managed
    instances get the numbers back that they had before. A pause does not prevent it. A running daemon
    or stack makes it again at its next tick while the configuration names it: stop it, pause the
    function, or set `strategy: pings` first. Exit code 0 when nothing is left, 1 when something could
    not be deleted.
    ");
    for command in ["status", "release", "adopt"] {
        let help = run(&["capacity", command, "--help"]).stdout;
        for option in ["--configs", "--state", "--region", "--json", "--local"] {
            assert!(help.contains(option), "{command} {option}");
        }
    }
}

#[test]
fn mistakes_are_refused() {
    let account = Account::new();
    let refused = |done: Done| {
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
        done.stderr
    };
    let configs = account.fixture.configs();
    insta::assert_snapshot!(refused(account.fixture.run(&["capacity", "status", "--configs", &configs])), @"
    error: no state store
    hint: set --state or WARMD_STATE
    ");
    insta::assert_snapshot!(refused(account.run(&["capacity", "status", "kep:live"])), @r#"
    error: "kep:live" is neither in the configuration nor in the state store
    hint: did you mean `kept:live`?
    "#);
    insta::assert_snapshot!(refused(account.run(&["capacity", "release", "kept"])), @r#"
    error: "kept" is neither in the configuration nor in the state store
    hint: did you mean `kept:live`?
    "#);
    insta::assert_snapshot!(
        refused(account.run(&["capacity", "release", "kept:live", "--region", "us-east-1"])), @"error: `kept:live` is not configured in us-east-1, only in eu-west-2");
    insta::assert_snapshot!(refused(account.run(&["capacity", "adopt", "pinged"])), @"
    error: nothing to adopt for `pinged`: its strategy is pings
    hint: set `strategy: provisioned` or `strategy: managed` first
    ");
    for wrong in [
        &["capacity", "release"][..],
        &["capacity", "release", "--all", "kept:live"],
        &["capacity", "adopt"],
        &["capacity", "adopt", "--all"],
        &["capacity", "status", "--yes"],
        &["capacity"],
    ] {
        refused(account.run(wrong));
    }
}

#[test]
fn capacity_of_another_owner_is_a_conflict_with_a_cost() {
    let account = Account::new();
    let done = account.run(&["capacity", "status"]);
    insta::assert_snapshot!(done.shown(), @"
    exit 0
    --- stdout
      FUNCTION   REGION     STRATEGY     BY      DESIRED  REQUESTED  ALLOCATED  AVAILABLE  COST/HOUR  STATUS    REASON
    ✗ kept:live  eu-west-2  provisioned  direct       10         10         10         10  $0.139115  conflict  foreign-configuration
    --- stderr
    ");
    let json = account.run(&["capacity", "status", "kept:live", "--json"]).json();
    insta::assert_snapshot!(json.to_string(), @r#"[{"function":"kept","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"direct","desired":10,"requested":10,"allocated":10,"available":10,"status":"conflict","reason":"foreign-configuration","cost_usd":null,"changes":[],"usd_per_hour":"0.1391148000"}]"#);
    let none = account.run(&["capacity", "status", "pinged"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, "no capacity\n"));
}

#[test]
fn what_warmd_has_not_made_is_not_released() {
    let account = Account::new();
    let done = account.run(&["capacity", "release", "--all", "--yes"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "nothing to delete\n"), "{}", done.stderr);
    let done = account.run(&["capacity", "release", "pinged", "--json"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "[]\n"), "{}", done.stderr);
}

#[test]
fn a_release_without_terminal_needs_consent() {
    let account = Account::new();
    account.record("kept:live", 10);
    insta::assert_snapshot!(account.run(&["capacity", "release", "kept:live"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    kept:live (eu-west-2): 10 requested, 10 available, $0.139115 an hour
      delete provisioned concurrency
    A running daemon or stack makes it again at its next tick, because the configuration names kept:live: stop it, pause the function, or set `strategy: pings`.
    error: consent is needed, and standard input is not a terminal
    hint: add --yes
    ");
    // The configuration names it no more, and neither does it warn of the next tick.
    account.record("old:live", 4);
    insta::assert_snapshot!(account.run(&["capacity", "release", "--all"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    old:live (eu-west-2): 4 requested, 4 available, $0.055646 an hour
      delete provisioned concurrency
    error: consent is needed, and standard input is not a terminal
    hint: add --yes
    ");
    let document = std::fs::read_to_string(format!("{}/capacity-eu-west-2.1.json", account.state)).unwrap();
    assert!(document.contains("old:live"), "nothing was changed: {document}");
}

#[test]
fn an_unreadable_store_changes_nothing() {
    let account = Account::new();
    write(account.state.as_ref(), "capacity-eu-west-2.1.json", "{");
    let done = account.run(&["capacity", "release", "--all", "--yes"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("capacity-eu-west-2"), "{}", done.stderr);
    let done = account.stored(&["status"]);
    assert_eq!((done.code, done.stdout.contains("capacity unknown\n")), (1, true), "{}", done.stdout);
}

#[test]
fn an_adoption_without_terminal_needs_consent() {
    let account = Account::new();
    insta::assert_snapshot!(account.run(&["capacity", "adopt", "kept:live"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    kept:live (eu-west-2): 10 requested, 10 available, $0.139115 an hour
    warmd takes over this capacity, and changes it from the next tick on. Infrastructure as code that has made it should ignore it (`warmd capacity adopt --help`).
    error: consent is needed, and standard input is not a terminal
    hint: add --yes
    ");
    let done = account.run(&["capacity", "adopt", "kept:live", "--yes"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "kept:live (eu-west-2) adopted\n"), "{}", done.stderr);
    let again = account.run(&["capacity", "adopt", "kept:live", "--yes"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""));
    assert!(again.stderr.contains("kept:live (eu-west-2) belongs to warmd already"), "{}", again.stderr);
}

#[test]
fn the_status_of_the_store_has_the_capacity_that_was_seen() {
    let account = Account::new();
    account.record("kept:live", 10);
    let done = account.stored(&["status"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = done.stdout.lines().find(|line| line.starts_with("capacity")).unwrap();
    insta::assert_snapshot!(line, @"capacity: kept:live eu-west-2: provisioned by direct, 10/12 available, waiting (alias-weights), since 2026-11-20T08:00:00Z, $0.139115 an hour (2 min ago)");
    let mut json = account.stored(&["status", "kept:live", "--json"]).json();
    json["capacity"][0]["seen"] = json!("…");
    insta::assert_snapshot!(json["capacity"].to_string(), @r#"[{"function":"kept","qualifier":"live","region":"eu-west-2","strategy":"provisioned","by":"direct","desired":12,"requested":10,"allocated":10,"available":10,"status":"waiting","reason":"alias-weights","since":"2026-11-20T08:00:00Z","adopted":false,"seen":"…","usd_per_hour":"0.1391148000"}]"#);
    let unknown = account.stored(&["status", "kept:lve"]);
    assert!(unknown.stderr.contains("did you mean `kept:live`?"), "{}", unknown.stderr);
}

#[test]
fn a_dry_run_shows_changes_of_capacity_and_makes_none() {
    let account = Account::new();
    account.fixture.write("fleet.yaml", &FLEET.replace("kept:live", "bare:live"));
    let done = account.run(&["run", "--once", "--dry-run"]);
    let lines: Vec<&str> = done.stdout.lines().skip_while(|line| !line.contains("CAPACITY")).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
      CAPACITY   REGION     STRATEGY     AVAILABLE  STATUS
    … bare:live  eu-west-2  provisioned       0/10  in-progress
    bare:live (eu-west-2) planned: put provisioned concurrency 10
    ");
    let json = account.run(&["run", "--once", "--dry-run", "--json"]).json();
    assert_eq!(json["capacity"][0]["changes"], json!(["put provisioned concurrency 10"]));
    let configs = account.fixture.configs();
    let note = account.fixture.run(&["run", "--once", "--dry-run", &configs]);
    assert_eq!((note.code, note.stdout.contains("CAPACITY")), (0, false), "{}", note.stderr);
    insta::assert_snapshot!(note.stderr, @"note: changes of capacity are not shown without a state store; set --state");
    let chosen = account.run(&["run", "--once", "--dry-run", "--at", "2026-11-20T09:00:00Z"]);
    insta::assert_snapshot!(chosen.stderr, @"note: a tick of another minute (--at) changes no capacity");
    assert_eq!(std::fs::read_dir(&account.state).unwrap().count(), 0, "nothing is recorded");
}

#[test]
fn a_stop_of_a_budget_is_shown_with_its_end() {
    let account = Account::new();
    account.record("kept:live", 10);
    let now = SystemClock.now();
    let month = now.year() * 12 + i32::try_from(now.month0()).unwrap();
    let spending =
        json!({ "month": month, "targets": { "kept:live eu-west-2": { "pings_usd": "9", "pings": 0 } } });
    write(account.state.as_ref(), "spending.1.json", &spending.to_string());
    let end = |text: &str| {
        let (before, after) = text.split_once("until ").unwrap();
        assert!(after.starts_with("20"), "{after}");
        format!("{before}until …")
    };
    let mut shown = Vec::new();
    for budget in
        ["{ monthly_usd: 8, on_exceed: stop }", "{ monthly_usd: 8, on_exceed: stop, stop_capacity: true }"]
    {
        let text = FLEET.replace("functions:", &format!("budget: {budget}\nfunctions:"));
        let configs = write(account.fixture.folder.path(), "stop.yaml", &text);
        let run = |args: &[&str]| {
            let common = ["--state", &account.state, "--configs", configs.to_str().unwrap()];
            account.fixture.run(&[args, &common].concat())
        };
        let done = run(&["capacity", "status"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        shown.push(end(done.stdout.lines().last().unwrap()));
        let json = run(&["capacity", "status", "--json"]).json();
        assert!(json[0]["capped_until"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{json}");
        shown.push(format!("{} {} {}", json[0]["desired"], json[0]["capped_from"], json[0]["capped_by"]));
        let done = run(&["run", "--once", "--dry-run"]);
        let is_of_stop = |line: &&str| line.starts_with("kept:live") && line.contains("used up");
        shown.extend(done.stdout.lines().filter(is_of_stop).map(end));
        let done = account.fixture.run(&[
            "explain",
            "kept:live",
            "--json",
            "--state",
            &account.state,
            configs.to_str().unwrap(),
        ]);
        shown.push(done.json()["capacity"]["desired"].to_string());
    }
    insta::assert_snapshot!(shown.join("\n"), @r#"
    kept:live (eu-west-2): ends at its next closing; budget is used up until …
    10 null "budget"
    kept:live (eu-west-2): ends at its next closing; budget is used up until …
    10
    kept:live (eu-west-2): stopped; budget is used up until …
    0 10 "budget"
    kept:live (eu-west-2): stopped; budget is used up until …
    0
    "#);
    // An operator's work does not depend on the budgets.
    write(account.state.as_ref(), "spending.2.json", "no JSON");
    let configs = account.fixture.folder.path().join("stop.yaml");
    let done = account.fixture.run(&[
        "capacity",
        "status",
        "--state",
        &account.state,
        "--configs",
        configs.to_str().unwrap(),
    ]);
    assert_eq!(
        (done.code, done.stderr.matches("the budgets are not applied").count()),
        (0, 1),
        "{}",
        done.stderr
    );
}
