//! `check --live` with an emulator.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Done, Emulate, closed_endpoint, done, read_request, root, run, warmd, with_aws, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2, interval: 5m, memory: 512MB }
functions:
  denied:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  gone: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  no-alias:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  crowded: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  off: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  asleep: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  kept:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  small:
    { timeout: 30s, hold: 3s, windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  sound:live:
    { regions: [eu-west-2, us-east-1], windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
  resting: { enabled: false }
";

const FUNCTIONS: &str = "
functions:
  denied: { faults: [{ fault: denied }] }
  no-alias: { aliases: { blue: 1 } }
  crowded: { reserved: 5 }
  off: { reserved: 0 }
  asleep: { configuration: { State: Inactive, StateReasonCode: Idle } }
  kept: { provisioned: 10 }
  small: { memory: 1024MB, timeout: 3s, configuration: { Architectures: [arm64] } }
  sound: {}
";

/// Runs `check --live` on one file. Returns the result and the emulator's observations.
fn compared(fleet: &str, functions: &str, flags: &[&str]) -> (Done, Value) {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), functions);
    write(folder.path(), "fleet.yaml", fleet);
    let mut command = warmd(&[&["check", "fleet.yaml", "--live"], flags].concat());
    command.current_dir(folder.path());
    (done(with_aws(command, &emulate.endpoint)), emulate.observations())
}

#[test]
fn every_finding_names_its_target_and_location() {
    let (done, seen) = compared(FLEET, FUNCTIONS, &[]);
    insta::assert_snapshot!(done.shown(), @"
    exit 2
    --- stdout
      FUNCTION       REGION     UP TO  EVERY  PROTOCOL  WINDOWS
      denied:live    eu-west-2     10     5m  warmd           1
      gone           eu-west-2     10     5m  warmd           1
      no-alias:live  eu-west-2     10     5m  warmd           1
      crowded        eu-west-2     10     5m  warmd           1
      off            eu-west-2     10     5m  warmd           1
      asleep         eu-west-2     10     5m  warmd           1
      kept:live      eu-west-2     10     5m  warmd           1
      small          eu-west-2     10     5m  warmd           1
      sound:live     eu-west-2     10     5m  warmd           1
      sound:live     us-east-1     10     5m  warmd           1
      resting        eu-west-2      0     5m  warmd           0

    11 targets of 10 functions in 1 file: valid, 0 warnings
    shrinks: crowded (eu-west-2) from 10 to 4 by `limits.leave_free`
    skipped: 1 target, never pinged
    compared 10 targets in 2 regions with the deployed functions: 6 errors, 5 warnings
    --- stderr
    error: no permission to invoke `denied:live` in eu-west-2
     --> fleet.yaml:4:3
      |
    4 |   denied:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
      |   ^^^^^^^^^^^
      |
      = hint: allow lambda:InvokeFunction on arn:aws:lambda:eu-west-2:123456789012:function:denied:live; `warmd iam` prints the policies
              Lambda reports: The caller is not authorized to perform this operation.

    error: the function `gone` in eu-west-2 does not exist
     --> fleet.yaml:5:3
      |
    5 |   gone: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
      |   ^^^^

    error: `no-alias` in eu-west-2 has no version or alias `live`
     --> fleet.yaml:6:3
      |
    6 |   no-alias:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
      |   ^^^^^^^^^^^^^

    error: `crowded` in eu-west-2 has a reserved concurrency of 5, less than its largest round of 10 pings: its rounds are lowered to 4
     --> fleet.yaml:7:24
      |
    7 |   crowded: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
      |                        ^
      |
      = hint: reserve more than 10, lower `limits.leave_free`, or reduce `concurrency`

    error: `off` in eu-west-2 is disabled: its reserved concurrency is 0, so every invocation is throttled
     --> fleet.yaml:8:3
      |
    8 |   off: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
      |   ^^^

    warning: `asleep` in eu-west-2 is inactive: its next invocation fails
     --> fleet.yaml:9:3
      |
    9 |   asleep: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
      |   ^^^^^^
      |
      = hint: invoke it once: that invocation fails and reactivates the function

    warning: `kept:live` in eu-west-2 has 10 provisioned environments for rounds of 10 pings: warming has no effect
      --> fleet.yaml:10:3
       |
    10 |   kept:live: { windows: [{ days: daily, hours: all-day, concurrency: 10 }] }
       |   ^^^^^^^^^
       |
       = hint: remove it from the configuration

    warning: `small` in eu-west-2 has 1,024 MB of memory, but 512 MB is configured: its cost estimate is wrong
      --> fleet.yaml:11:3
       |
    11 |   small:
       |   ^^^^^
       |
       = hint: set `memory: 1024MB`

    warning: `small` in eu-west-2 has a timeout of 3s, but 30s is configured
      --> fleet.yaml:11:3
       |
    11 |   small:
       |   ^^^^^
       |
       = hint: set `timeout: 3s`

    warning: `small` in eu-west-2 is arm64, but estimated as x86_64: its cost estimate is wrong
      --> fleet.yaml:11:3
       |
    11 |   small:
       |   ^^^^^
       |
       = hint: set `architecture: arm64`

    error: the hold of 3s is not shorter than the timeout of `small` in eu-west-2, 3s: every ping times out
      --> fleet.yaml:11:3
       |
    11 |   small:
       |   ^^^^^
    ");
    // Dry runs only, and no read twice.
    let kinds: BTreeSet<&str> =
        seen["invocations"].as_array().unwrap().iter().map(|seen| seen["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["DryRun"]));
    let reads: Vec<String> = seen["reads"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(reads.len(), reads.iter().collect::<BTreeSet<_>>().len(), "{reads:#?}");
}

#[test]
fn rounds_above_the_account_limit_are_findings() {
    let fleet = "version: 1
defaults: { region: eu-west-2, interval: 5m }
functions:
  many: { windows: [{ days: daily, hours: all-day, concurrency: 12 }] }
  some: { windows: [{ days: daily, hours: all-day, concurrency: 6 }] }
";
    let account = "account: { concurrency: 10 }\ndefault: {}\n";
    let (done, _) = compared(fleet, account, &["--format", "json"]);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    let problems = done.json()["problems"].as_array().unwrap().clone();
    let text = |problem: &Value| {
        format!("{}: {}", problem["severity"].as_str().unwrap(), problem["message"].as_str().unwrap())
    };
    let mut messages: Vec<String> = problems.iter().map(text).collect();
    // The minute depends on the current time.
    for message in &mut messages {
        if let Some((before, after)) = message.clone().split_once(" at 20") {
            *message = format!("{before} at …{}", &after[18..]);
        }
    }
    insta::assert_snapshot!(messages.join("\n"), @"
    warning: 18 pings to 2 targets are due at the same time in eu-west-2 at …, most of them to `many`; the account has an unreserved concurrency of 10: the rounds wait for room
    error: a round of 12 pings to `many` in eu-west-2 exceeds the account's unreserved concurrency of 10: its rounds are lowered to 5
    warning: a round of 6 pings to `some` in eu-west-2 exceeds 20% of the account's unreserved concurrency of 10: its rounds are lowered to 5
    ");
}

#[test]
fn missing_permissions_are_reported_once_and_are_not_errors() {
    let fleet = "version: 1
defaults: { region: eu-west-2, interval: 5m, memory: 512MB }
functions:
  one:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  two:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";
    let denied = "
denied: [GetFunctionConfiguration, GetFunctionConcurrency, GetProvisionedConcurrencyConfig, GetAccountSettings]
functions: { one: {}, two: { faults: [{ fault: refuse, status: 501, code: NotImplemented }] } }
";
    let (done, _) = compared(fleet, denied, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let live = done.stdout.split_once("0 warnings\n").unwrap().1;
    insta::assert_snapshot!(live, @r#"
    not checked: the configuration of 2 targets in eu-west-2: no permission for lambda:GetFunctionConfiguration (`warmd iam --check-live`); without it these guards of a tick are off: durable, managed-instances, needs-tenants, inactive, first contact by code
    not checked: the provisioned concurrency of 2 targets in eu-west-2: no permission for lambda:GetProvisionedConcurrencyConfig (`warmd iam --check-live`); without it these guards of a tick are off: provisioned
    not checked: the reserved concurrency of 2 targets in eu-west-2: no permission for lambda:GetFunctionConcurrency (`warmd iam --check-live`); without it these guards of a tick are off: switched-off, headroom of functions
    not checked: the account's limits in eu-west-2: no permission for lambda:GetAccountSettings (`warmd iam --check-live`); without it these guards of a tick are off: headroom of accounts
    not checked: the permission to invoke 1 target in eu-west-2: NotImplemented: An error occurred and the request cannot be processed.
    compared 0 of 2 targets in 1 region with the deployed functions: 0 errors, 0 warnings
    "#);
    let (object, _) = compared(fleet, denied, &["--format", "json"]);
    let live = &object.json()["live"];
    assert_eq!([&live["targets"], &live["compared"], &live["regions"]], [&json!(2), &json!(0), &json!(1)]);
    let denied = live["not_checked"].as_array().unwrap().iter().filter(|lost| lost["why"] == "denied");
    let actions: Vec<&str> = denied.map(|lost| lost["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "lambda:GetFunctionConfiguration",
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:GetFunctionConcurrency",
            "lambda:GetAccountSettings"
        ]
    );
    assert_eq!(live["not_checked"][3]["guards"], json!(["headroom of accounts"]));
}

/// Starts a server that responds to each request with the status and body that `answer` returns for it. Returns its
/// endpoint and the requests it receives.
fn scripted(answer: fn(&str) -> (&'static str, &'static str)) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, received) = (stream.unwrap(), Arc::clone(&received));
            std::thread::spawn(move || {
                let Some(request) = read_request(&mut stream) else { return };
                let (status, answer) = answer(&request);
                received.lock().unwrap().push(request);
                let length = answer.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close");
                let _ = write!(stream, "{head}\r\n\r\n{answer}");
            });
        }
    });
    (endpoint, seen)
}

const TWO: &str = "version: 1
defaults: { region: eu-west-2, interval: 5m }
functions:
  one:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  two: { protocol: bref, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";

/// Runs `check --live` on [`TWO`] at an endpoint.
fn two_at(endpoint: &str, flags: &[&str]) -> Done {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "fleet.yaml", TWO);
    let mut command = warmd(&[&["check", "fleet.yaml", "--live"], flags].concat());
    command.current_dir(folder.path());
    done(with_aws(command, endpoint))
}

#[test]
fn without_any_valid_response_the_exit_code_is_1() {
    let (proxy, _) = scripted(|_| ("403 Forbidden", "<html>no</html>"));
    let done = two_at(&proxy, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    let last = done.stdout.lines().last().unwrap();
    assert_eq!(last, "compared 0 of 2 targets in 1 region with the deployed functions: 0 errors, 0 warnings");
    let github = two_at(&proxy, &["--format", "github"]).stdout;
    assert!(github.contains("::error title=warmd::not checked: the configuration of 2 targets"), "{github}");
}

/// Some emulators of Lambda do not implement dry runs.
#[test]
fn a_server_that_executes_dry_runs_receives_only_one() {
    let (server, seen) = scripted(|request| match request.contains("/invocations") {
        true => ("200 OK", "{}"),
        false => ("501 Not Implemented", ""),
    });
    let done = two_at(&server, &[]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let seen = seen.lock().unwrap();
    let invoked: Vec<&String> = seen.iter().filter(|request| request.contains("/invocations")).collect();
    let [invoked] = invoked[..] else { panic!("{invoked:#?}") };
    let ping = invoked.split_once("\r\n\r\n").unwrap().1;
    assert!(ping.starts_with(r#"{"warmd":"#) || ping == r#"{"warmer":true}"#, "{ping}");
    let expected = "the permission to invoke 2 targets in eu-west-2: a dry run was answered with status 200";
    assert!(done.stdout.contains(&format!("not checked: {expected}")), "{}", done.stdout);
}

#[test]
fn an_unreachable_region_exits_with_1() {
    let done = done(with_aws(warmd(&["check", "--live", "--format", "github"]), &closed_endpoint()));
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let line = done.stdout.lines().last().unwrap();
    assert!(
        line.starts_with("::error title=warmd::not compared: 7 targets in eu-west-1, eu-west-2, us-east-1: "),
        "{line}"
    );
    // Without credentials.
    let done = run(&["check", "--live"]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains(
            "not compared: 7 targets in eu-west-1, eu-west-2, us-east-1: no AWS credentials were found"
        ),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("\ncompared 0 of 7 targets in 3 regions "), "{}", done.stdout);
}

#[test]
fn the_examples_match_the_embedded_emulator() {
    let done = run(&["check", "--live", "--local"]);
    let last: Vec<&str> = done.stdout.lines().rev().take(2).collect();
    assert_eq!(
        (done.code, last),
        (
            0,
            vec![
                "compared 7 targets in 3 regions with the deployed functions: 0 errors, 0 warnings",
                "skipped: 1 target, never pinged"
            ]
        )
    );
    let one = run(&["check", "--live", "--local", "--regions", "us-east-1"]);
    assert!(one.stdout.contains("\ncompared 2 targets in 1 region "), "{}", one.stdout);
    assert_eq!(run(&["check", "--local"]).code, 2, "--local requires --live");
}

#[test]
fn the_printed_policy_allows_exactly_the_requests_of_a_check() {
    let fleet = "version: 1
functions:
  f:live: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";
    let (done, seen) = compared(fleet, "default: {}\n", &[]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let reads = seen["reads"].as_array().unwrap().iter();
    let mut sent: BTreeSet<String> =
        reads.map(|read| format!("lambda:{}", read["operation"].as_str().unwrap())).collect();
    assert_eq!(seen["invocations"][0]["kind"], "DryRun");
    sent.insert("lambda:InvokeFunction".to_owned());

    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "fleet.yaml", fleet);
    let printed = run(&["iam", "--check-live", file.to_str().unwrap(), "--region", "eu-west-2"]);
    let allowed: BTreeSet<String> = actions(&printed.json()).filter(|it| it.starts_with("lambda:")).collect();
    assert_eq!(sent, allowed);
    let template = std::fs::read_to_string(Path::new(root()).join("template.yaml")).unwrap();
    assert!(sent.iter().all(|action| template.contains(action)), "{sent:?}");
}

fn actions(policy: &Value) -> impl Iterator<Item = String> + '_ {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let all = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    all.map(|action| action.as_str().unwrap().to_owned())
}

#[test]
fn tenants_are_compared_with_tenant_isolation() {
    let fleet = "version: 1
defaults: { region: eu-west-2 }
functions:
  right: { tenants: [a, b], windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  lacks: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  shared: { tenants: [a, b], windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";
    let functions = "
functions:
  right: { configuration: { TenancyConfig: { TenantIsolationMode: PER_TENANT } } }
  lacks: { configuration: { TenancyConfig: { TenantIsolationMode: PER_TENANT } } }
  shared: {}
";
    let (done, seen) = compared(fleet, functions, &[]);
    insta::assert_snapshot!(done.shown(), @"
    exit 2
    --- stdout
      FUNCTION  REGION     UP TO  EVERY  PROTOCOL  WINDOWS
      right@a   eu-west-2      2     5m  warmd           1
      right@b   eu-west-2      2     5m  warmd           1
      lacks     eu-west-2      2     5m  warmd           1
      shared@a  eu-west-2      2     5m  warmd           1
      shared@b  eu-west-2      2     5m  warmd           1

    5 targets of 3 functions in 1 file: valid, 0 warnings
    not checked: the permission to invoke 1 target in eu-west-2: InvalidParameterValueException: The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.
    not checked: the permission to invoke 2 targets in eu-west-2: InvalidParameterValueException: The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again.
    compared 5 targets in 1 region with the deployed functions: 2 errors, 0 warnings
    --- stderr
    error: `lacks` in eu-west-2 uses tenant isolation: Lambda rejects pings, because they name no tenant
     --> fleet.yaml:5:3
      |
    5 |   lacks: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
      |   ^^^^^
      |
      = hint: add the tenants whose environments to keep warm, such as `tenants: [a, b]`

    error: `shared` in eu-west-2 does not use tenant isolation: Lambda rejects pings, because they name a tenant
     --> fleet.yaml:6:3
      |
    6 |   shared: { tenants: [a, b], windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
      |   ^^^^^^
      |
      = hint: remove `tenants`
    ");
    let dry_runs = seen["invocations"].as_array().unwrap();
    let dry_runs: BTreeSet<String> = dry_runs
        .iter()
        .map(|run| format!("{} {} {}", run["function"], run["tenant"], run["status"]))
        .collect();
    let expected = ["\"lacks\" null 400", "\"right\" \"a\" 204", "\"shared\" \"a\" 400"];
    assert_eq!(dry_runs, expected.map(str::to_owned).into(), "one for all tenants of a function");
}
