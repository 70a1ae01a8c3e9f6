//! The daemon: signals and reloads.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Fixture, Holding, ONE, Running, run, warmd, write};

/// Returns a daemon with a tick at its start and at each full hour.
fn daemon(fixture: &Fixture, more: &[&str]) -> Command {
    fixture.warmd(&[&["run", "--cron", "0 0 * * * *"], more].concat())
}

#[test]
fn the_round_in_flight_ends_after_a_signal_and_is_reported() {
    let fixture = Fixture::new(ONE);
    let lambda = Holding::new();
    let (running, ping) = lambda.start(daemon(&fixture, &["--json"]));
    running.signal("TERM");
    running.await_stderr("finishing the rounds in flight");
    ping.answer();
    let (status, stdout, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    let tick: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    let round = &tick["rounds"][0];
    assert_eq!(
        [&round["function"], &round["warm"], &round["verdict"]],
        [&json!("f"), &json!(1), &json!("reached")]
    );
    // The metrics were sent too.
    assert!(!stderr.contains("CloudWatch"), "{stderr}");
    assert!(stderr.contains("stopped"), "{stderr}");
}

#[test]
fn a_second_signal_ends_the_daemon_and_names_the_rounds_in_flight() {
    let fixture = Fixture::new(ONE);
    let lambda = Holding::new();
    let (running, _never_answered) = lambda.start(daemon(&fixture, &[]));
    running.signal("TERM");
    running.await_stderr("finishing the rounds in flight");
    running.signal("TERM");
    let (status, stdout, stderr) = running.end();
    assert_eq!((status.code(), stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("ended at once; still in flight, and not reported: f (eu-west-2)"), "{stderr}");
}

#[test]
fn the_first_tick_serves_open_targets_and_prints_a_line() {
    let fixture = Fixture::new(ONE);
    let running = Running::start(daemon(&fixture, &[]));
    let line = running.await_stdout("1 target: ✓ 1 reached; 1 ping: 1 cold; cost ");
    assert!(line.starts_with("20") && line[..20].ends_with('Z'), "a line begins with its instant: {line}");
    running.signal("INT");
    let (status, _, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn sighup_reloads_and_an_invalid_configuration_is_refused() {
    let fixture = Fixture::new(ONE);
    let running = Running::start(daemon(&fixture, &[]));
    running.await_stderr("started");
    running.await_stdout("1 ping");
    running.signal("HUP");
    running.await_stderr("the configuration has not changed");
    fixture.write("fleet.yaml", &ONE.replace("daily", "dayly"));
    running.signal("HUP");
    let mistake = running.await_stderr("fleet.yaml:5:");
    assert!(mistake.contains("dayly"), "{mistake}");
    running.await_stderr("the new configuration is refused; the old one stays in force");
    fixture.write("fleet.yaml", &ONE.replace("concurrency: 1", "concurrency: 2"));
    running.signal("HUP");
    running.await_stderr("a new configuration is in force");
    running.stop();
}

#[test]
fn a_minute_with_several_ticks_is_served_once_and_changed_files_are_reloaded() {
    let fixture = Fixture::new(ONE);
    let running = Running::start(fixture.warmd(&["run", "--json", "--cron", "* * * * * *"]));
    // At most one tick of a minute has a round. Ticks may end in another order than they began, and the process may
    // start at the end of a minute, so the round need not be in the minute with several ticks.
    let mut minutes = BTreeMap::<String, Vec<usize>>::new();
    let served = |minutes: &BTreeMap<_, Vec<usize>>| minutes.values().any(|rounds| rounds.contains(&1));
    while !(served(&minutes) && minutes.values().any(|rounds| rounds.len() >= 2)) {
        let tick: Value = serde_json::from_str(&running.await_stdout("tick")).unwrap();
        let minute = tick["tick"].as_str().unwrap()[..16].to_owned();
        minutes.entry(minute).or_default().push(tick["rounds"].as_array().unwrap().len());
    }
    assert!(minutes.values().all(|rounds| rounds.iter().sum::<usize>() <= 1), "{minutes:?}");
    fixture.write("fleet.yaml", &ONE.replace("concurrency: 1", "concurrency: 22"));
    running.await_stderr("a new configuration is in force");
    running.signal("TERM");
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn the_daemon_does_not_start_with_an_invalid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let configs = write(folder.path(), "one.yaml", &ONE.replace("daily", "dayly"));
    let done = run(&["run", "--local", configs.to_str().unwrap()]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
}

/// A configuration with a strategy that changes capacity.
const PROVISIONED: &str = "
version: 1
defaults: { region: eu-west-2, canary: off }
functions:
  f:live: { strategy: provisioned, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";

#[test]
fn capacity_needs_a_state_store_but_not_to_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let configs = write(folder.path(), "fleet.yaml", PROVISIONED);
    let run = |args: &[&str]| run(&[args, &[configs.to_str().unwrap()]].concat());
    let refused = run(&["run", "--once"]);
    let shown = refused.shown().replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(shown, @r#"
    exit 2
    --- stdout
    --- stderr
    error: the strategy "provisioned" needs a state store
     --> /fleet.yaml:5:23
      |
    5 |   f:live: { strategy: provisioned, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                       ^^^^^^^^^^^
      |
      = hint: set --state or WARMD_STATE to a directory or s3://bucket/prefix
    "#);
    for args in [&["run"][..], &["run", "--local"], &["run", "--once", "--local"], &["run", "--state", ""]] {
        let done = run(args);
        assert_eq!(
            (done.code, &done.stdout, &done.stderr),
            (2, &refused.stdout, &refused.stderr),
            "{args:?}"
        );
    }
    assert_eq!(run(&["run", "--once", "--dry-run"]).code, 0);
    let state = folder.path().join("state");
    let done = run(&["run", "--once", "--local", "--state", state.to_str().unwrap()]);
    assert!(!done.stderr.contains("state store"), "{}", done.shown());
}

#[test]
fn a_reload_with_capacity_and_without_a_state_store_is_refused() {
    let fixture = Fixture::new(ONE);
    let running = Running::start(daemon(&fixture, &[]));
    running.await_stderr("started");
    running.await_stdout("1 ping");
    fixture.write("fleet.yaml", PROVISIONED);
    running.signal("HUP");
    let mistake = running.await_stderr("fleet.yaml:5:23: ");
    assert!(
        mistake.contains("the strategy \"provisioned\" needs a state store (hint: set --state or"),
        "{mistake}"
    );
    running.await_stderr("the new configuration is refused; the old one stays in force");
    fixture.write("fleet.yaml", &PROVISIONED.replace("provisioned", "pings"));
    running.signal("HUP");
    running.await_stderr("a new configuration is in force");
    running.stop();
}

#[test]
fn logs_can_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let configs = write(folder.path(), "one.yaml", ONE);
    let running =
        Running::start(warmd(&["run", "--local", "--log-format", "json", configs.to_str().unwrap()]));
    let line: Value = serde_json::from_str(&running.await_stderr("started")).unwrap();
    assert_eq!([&line["level"], &line["targets"]], [&json!("INFO"), &json!(1)]);
    running.await_stdout("1 ping");
    let stderr = running.stop();
    assert!(stderr.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{stderr}");
}
