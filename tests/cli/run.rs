//! `run --once` and `warm`.

use serde_json::{Value, json};

use crate::support::{Fixture, Holding, ONE, done, run, steady, warmd, with_aws, write};

const MORNING: &str = "2026-11-20T09:00:00Z";

const ROUND_KEYS: &str = "function qualifier region tenant owner target capped_from capped_by backed_off_from \
                          metric_age pings reached evidence verdict warm cold semi_cold preinitialized \
                          restored throttled function_errors timed_out denied not_found failed unclassified \
                          waited_at_most_ms versions hold_ms skew_ms first_pings top_ups resent skipped \
                          billed_ms memory_mb s3_egress_bytes routes cost_usd by_kind";

fn keys(object: &Value) -> String {
    object.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

const TWO: &str = "
version: 1
defaults: { region: eu-west-2 }
functions:
  good: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  bad: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
";

/// A functions file with a CloudWatch that refuses metrics.
const WITHOUT_CLOUDWATCH: &str = "default: { profile: rust }\nmetrics: { faults: [{ fault: denied }] }\n";

#[test]
fn a_first_run_needs_no_account() {
    let done = run(&["run", "--once", "--local", "--at", MORNING]);
    insta::assert_snapshot!(done.shown(), @r"
    exit 0
    --- stdout
    tick 2026-11-20T09:00:00Z, configuration …, took …

      FUNCTION             REGION     REACHED    WARM  COLD  SKEW/HOLD  S3 EGRESS       COST
    ✓ checkout-api:live    eu-west-2  2/2 ids       0     2   -/100 ms             $0.000005
    ✓ nlp-by-ping          us-east-1  10/10 ids     0    10   -/100 ms    2.20 GB  $0.092265
    ✓ nlp-inference:live   eu-west-2  10/10 ids     0    10   -/100 ms    2.20 GB  $0.102498
    ✓ storefront-ssr:live  eu-west-1  6/6 ids       0     6   -/100 ms             $0.000062
    ✓ thumbnails           eu-west-1  10/10 ids     0    10   -/100 ms             $0.000061

    5 targets: ✓ 5 reached
    38 pings: 38 cold
    cost $0.194891: requests $0.000008, compute $0.000229, S3 requests $0.000008, S3 egress $0.194646
      (4.40 GB by nat-gateway)
    --- stderr
    ");
}

#[test]
fn the_tick_object_has_exactly_these_keys_in_this_order() {
    let done = run(&["run", "--once", "--local", "--json", "--at", MORNING]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.stdout.lines().count(), 1);
    let tick = done.json();
    assert_eq!(keys(&tick), "tick config duration_ms partial rounds unfinished capacity pipelines");
    assert_eq!(tick["tick"], MORNING);
    for round in tick["rounds"].as_array().unwrap() {
        assert_eq!(keys(round), ROUND_KEYS);
        assert_eq!(keys(&round["cost_usd"]), "requests compute s3_requests s3_egress total");
        assert!(round["cost_usd"]["total"].is_string(), "money is a decimal string");
    }
}

#[test]
fn a_dry_run_sends_nothing() {
    // No AWS is configured, so a ping or a request with metrics would fail.
    let text = run(&["run", "--once", "--dry-run", "--at", MORNING]);
    insta::assert_snapshot!(text.shown(), @r#"
    exit 0
    --- stdout
    dry run of tick 2026-11-20T09:00:00Z, configuration …: nothing is sent

      FUNCTION             REGION     TARGET  PROTOCOL  HOLD
    · checkout-api:live    eu-west-2       2  warmd     auto
    · nlp-by-ping          us-east-1      10  warmd     auto
    · nlp-inference:live   eu-west-2      10  warmd     auto
    · storefront-ssr:live  eu-west-1       6  opennext  auto
    · thumbnails           eu-west-1      10  warmd     auto

    5 targets: 38 pings, at most 200 in flight at once
    opennext ping: {"type":"warmer","warmerId":"…","index":0,"concurrency":6,"delay":100}
    warmd ping: {"warmd":{"version":1,"round":"…","concurrency":2,"hold_ms":100}}
    --- stderr
    "#);
    let object = run(&["run", "--once", "--dry-run", "--json", "--at", MORNING]);
    assert_eq!((object.code, object.stderr.as_str()), (0, ""));
    let tick = object.json();
    let round = &tick["rounds"][0];
    assert_eq!(keys(round), ROUND_KEYS);
    assert_eq!(
        [&round["pings"], &round["verdict"], &round["skipped"]],
        [&json!(0), &json!("skipped"), &json!("dry-run")]
    );
}

#[test]
fn a_tick_without_rounds_prints_the_next_change() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        TWO.replace("all-day", "\"08:00-18:00\"").replace("eu-west-2", "eu-west-2, timezone: Europe/London");
    let configs = write(folder.path(), "two.yaml", &text);
    let once = |at: &str, more: &[&str]| {
        let args = ["run", "--once", "--local", "--at", at, configs.to_str().unwrap()];
        run(&[&args, more].concat())
    };
    insta::assert_snapshot!(once("2026-07-20T06:30:00Z", &[]).shown(), @r"
    exit 0
    --- stdout
    tick 2026-07-20T06:30:00Z, configuration …, took …
    nothing to do in this minute
    next: good (eu-west-2) to 2 at Mon 20 Jul 2026 08:00 BST
    --- stderr
    ");
    let pings = |at, more: &[&str]| {
        once(at, &[&["--json"], more].concat()).json()["rounds"].as_array().unwrap().len()
    };
    assert_eq!(pings("2026-07-20T07:01:00Z", &[]), 2, "every target that is open");
    assert_eq!(pings("2026-07-20T07:01:00Z", &["--due-only"]), 0);
    assert_eq!(pings("2026-07-20T07:00:00Z", &["--due-only"]), 2);
}

#[test]
fn regions_without_a_target_have_a_warning() {
    let done = run(&["run", "--once", "--local", "--json", "--regions", "ap-south-1", "--at", MORNING]);
    assert_eq!((done.code, done.json()["rounds"].as_array().unwrap().len()), (0, 0));
    assert_eq!(
        done.stderr,
        "the configuration has nothing to warm in ap-south-1 (--regions, WARMD_REGIONS)\n"
    );
}

#[test]
fn a_signal_is_logged_and_the_round_in_flight_ends() {
    let fixture = Fixture::new(ONE);
    let lambda = Holding::new();
    let command = with_aws(warmd(&["warm", "f", "-n", "1", "--json"]), &fixture.emulate.endpoint);
    let (running, ping) = lambda.start(command);
    running.signal("INT");
    running.await_stderr("finishing the rounds in flight");
    ping.answer();
    let (status, stdout, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stdout}{stderr}");
    let tick: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!([&tick["rounds"][0]["warm"], &tick["unfinished"]], [&json!(1), &json!([])]);
}

#[test]
fn invalid_usage_is_refused_with_a_hint() {
    for (args, part) in [
        (&["run", "--at", MORNING][..], "--once"),
        (&["run", "--once", "--at", "nine"], "expected RFC 3339"),
        (&["run", "--once", "--regions", "eu-wset-2"], "did you mean `eu-west-2`?"),
        (&["run", "--cron", "* * * * *"], "seconds first"),
        (
            &["warm", "f", "-n", "2", "--local", "--protocol", "custom", "--payload", "{\"a\":\"{{indx}}\"}"],
            "{{index}}",
        ),
        (&["warm", "f", "-n", "2", "--local", "--payload", "1"], "--protocol custom"),
        (&["warm", "f", "-n", "2", "--local", "--hold", "1000s"], "from 0s to 15m"),
        (
            &["warm", "arn:aws:lambda:eu-west-1:123456789012:function:f", "-n", "1", "--region", "eu-west-2"],
            "eu-west-1",
        ),
        (&["run", "--once", "no-such-folder"], "no-such-folder"),
    ] {
        let done = run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{args:?}: {}", done.stderr);
    }
}

#[test]
fn a_mistake_in_the_configuration_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "a.yaml",
        "version: 1\nfunctions:\n  f:\n    regoin: eu-west-2\n    windows: [{ days: mon-fry, hours: all-day, concurrency: 0 }]\n",
    );
    let done = run(&["run", "--once", "--local", folder.path().to_str().unwrap()]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
    for part in ["a.yaml:4:5", "regoin", "mon-fry", "concurrency"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

#[test]
fn commands_without_a_region_send_nothing() {
    let done = run(&["run", "--once", "--at", MORNING]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
    assert!(done.stderr.contains("AWS_REGION"), "{}", done.stderr);
    let done = run(&["warm", "f", "-n", "1"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("--region"), "{}", done.stderr);
}

#[test]
fn a_short_round_is_exit_3_with_its_reason() {
    let functions = "functions:\n  good: { profile: rust }\n  bad: { profile: rust, reserved: 1 }\n";
    let fixture = Fixture::with_functions(TWO, functions);
    let done = done(fixture.warmd(&["run", "--once", "--at", MORNING]));
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stdout.contains("✓ good"), "{}", done.stdout);
    assert!(
        done.stdout.contains(
            "✗ bad (eu-west-2) short: 2 pings throttled: ReservedFunctionConcurrentInvocationLimitExceeded"
        ),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("2 targets: ✓ 1 reached, ✗ 1 short"), "{}", done.stdout);
}

#[test]
fn a_missing_function_is_short() {
    let fixture = Fixture::with_functions(ONE, "functions:\n  other: { profile: rust }\n");
    let done = fixture.run(&["warm", "missing", "-n", "2", "--json"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    let tick = done.json();
    assert_eq!([&tick["config"], &tick["rounds"][0]["not_found"]], [&Value::Null, &json!(2)]);
    // Without --region, the function is in the region of the SDK.
    assert_eq!(tick["rounds"][0]["region"], "eu-west-2");
}

#[test]
fn metrics_that_cloudwatch_refuses_are_lines_on_stderr_and_exit_1() {
    let fixture = Fixture::with_functions(TWO, WITHOUT_CLOUDWATCH);
    let done = done(fixture.warmd(&["run", "--once", "--at", MORNING]));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stdout.contains("2 targets: ✓ 2 reached"), "{}", done.stdout);
    let lines: Vec<Value> = done.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 1, "one line of JSON: {}", done.stderr);
    assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "warmd");
    assert_eq!(lines[0]["Pings"], 5.0);
}

#[test]
fn only_scheduled_ticks_count_as_ticks() {
    let fixture = Fixture::with_functions(TWO, WITHOUT_CLOUDWATCH);
    let duration = |more: &[&str]| {
        let done = done(fixture.warmd(&[&["run", "--once"], more].concat()));
        let mut lines = done.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.next().unwrap()["TickDuration"].is_number()
    };
    assert!(duration(&["--due-only"]), "from cron");
    assert!(
        !duration(&[]) && !duration(&["--at", MORNING]) && !duration(&["--due-only", "--at", MORNING]),
        "by hand"
    );
}

#[test]
fn regions_are_selected_by_flag_and_by_environment() {
    let regions = |command| {
        let tick = done(command).json();
        let regions = tick["rounds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|round| round["region"].as_str().unwrap().to_owned());
        regions.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let args = &["run", "--once", "--dry-run", "--json", "--at", MORNING];
    assert_eq!(regions(warmd(args)), ["eu-west-1", "eu-west-2", "us-east-1"]);
    assert_eq!(regions(warmd(&[args, &["--regions", "eu-west-1,ap-south-1"][..]].concat())), ["eu-west-1"]);
    let mut command = warmd(args);
    command.env("WARMD_REGIONS", "eu-west-2");
    assert_eq!(regions(command), ["eu-west-2"]);
}

#[test]
fn one_function_is_warmed_without_a_configuration() {
    let done = run(&["warm", "my-function:live", "--concurrency", "4", "--local"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(steady(&done.stdout.replacen(&done.stdout[5..25], "2026-11-20T09:00:00Z", 1)), @r"
    tick 2026-11-20T09:00:00Z, took …

      FUNCTION          REGION     REACHED  WARM  COLD  SKEW/HOLD       COST
    ✓ my-function:live  us-east-1  4/4 ids     0     4   -/100 ms  $0.000013

    1 target: ✓ 1 reached
    4 pings: 4 cold
    cost $0.000013: requests <$0.000001, compute $0.000012
    ");
}

#[test]
fn a_round_above_the_limit_of_open_files_is_refused() {
    let program = env!("CARGO_BIN_EXE_warmd");
    let line = format!("ulimit -n 128 && exec {program} warm f -n 100 --region eu-west-2");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    // Without TLS there is no HTTP/2: each ping has a connection.
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let done = done(command);
    insta::assert_snapshot!(done.shown(), @r"
    exit 2
    --- stdout
    --- stderr
    error: a round of 100 pings does not fit: the limit of open files leaves room for 64 in flight
    hint: raise it with `ulimit -n 164` (`LimitNOFILE=164` in a systemd unit), or warm fewer environments at once
    ");
}

#[test]
fn the_emulator_follows_changes_and_counts() {
    let fixture = Fixture::with_functions(ONE, "functions: { f: { profile: rust } }\n");
    let warm = || fixture.run(&["warm", "f", "-n", "3", "--json"]).json()["rounds"][0]["verdict"].clone();
    assert_eq!(warm(), "reached");
    fixture.emulate.change("functions: { f: { reserved: 0 } }");
    assert_eq!(warm(), "short");
    let counts = &fixture.emulate.observations()["counts"]["functions"]["123456789012/eu-west-2/f"];
    assert_eq!([&counts["pings"], &counts["peak"]], [3, 3]);
    assert_eq!(counts["environments"], json!({ "on-demand": 3 }));
    let reason = "TooManyRequestsException: ReservedFunctionConcurrentInvocationLimitExceeded";
    assert_eq!(counts["refusals"], json!({ reason: 3 }));
}
