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
