//! The daemon with a state directory: its lock, and the spool of metrics that CloudWatch refuses.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{Emulate, Fixture, ONE, Running, done, pause, with_aws, write};

/// A functions file with a CloudWatch that refuses metrics.
const WITHOUT_CLOUDWATCH: &str = "default: { profile: rust }\nmetrics: { faults: [{ fault: denied }] }\n";
/// The number of kills, each later in the life of the process than the one before.
const KILLS: u32 = 30;
/// Later than the end of the first replay.
const LATEST: Duration = Duration::from_millis(300);

/// Returns a daemon with a tick at its start and at each full hour, and a state directory.
fn daemon(fixture: &Fixture) -> Command {
    let state = fixture.folder.path().join("state");
    fixture.warmd(&["run", "--cron", "0 0 * * * *", "--state", state.to_str().unwrap()])
}

/// Returns the files of the spool.
fn spooled(fixture: &Fixture) -> Vec<PathBuf> {
    let files = fs::read_dir(fixture.folder.path().join("state/metrics-spool"));
    let mut files: Vec<_> = files.into_iter().flatten().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn read(file: &PathBuf) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_second_daemon_on_a_state_directory_is_refused() {
    let fixture = Fixture::new(ONE);
    let first = Running::start(daemon(&fixture));
    first.await_stdout("1 ping");
    let state = fixture.folder.path().join("state");
    let state = state.to_str().unwrap();
    let id = fs::read_to_string(format!("{state}/daemon.lock")).unwrap();
    let pings = || fixture.emulate.observations()["invocations"].as_array().unwrap().len();
    let (before, second) = (pings(), done(daemon(&fixture)));
    assert_eq!(pings(), before);
    let shown = second.shown().replace(state, "DIR").replace(id.trim(), "ID");
    insta::assert_snapshot!(shown, @r#"
    exit 2
    --- stdout
    --- stderr
    error: the state directory "DIR" is in use by another daemon (process ID)
    hint: stop that daemon, or set --state to another directory
    "#);
    // Other commands use the directory beside the daemon, and its files are no documents.
    let configs = fixture.configs();
    for args in [
        &["run", "--once", "--state", state, &configs][..],
        &["pause", "f", "--for", "1h", "--reason", "test", "--state", state],
        &["status", "--state", state],
    ] {
        let done = fixture.run(args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}: {}", done.stdout);
    }
    // The kernel releases the lock of a killed process.
    drop(first);
    let next = Running::start(daemon(&fixture));
    next.await_stderr("started");
    next.stop();
}

#[test]
fn a_directory_that_cannot_be_locked_is_used_without_a_lock() {
    let fixture = Fixture::new(ONE);
    fs::create_dir_all(fixture.folder.path().join("state/daemon.lock")).unwrap();
    let running = Running::start(daemon(&fixture));
    running.await_stderr("the state directory cannot be locked: daemon.lock: Is a directory");
    running.await_stdout("1 ping");
    running.stop();
}

#[test]
fn metrics_outlive_a_killed_daemon_and_are_sent_when_cloudwatch_is_back() {
    let mut fixture = Fixture::with_functions(ONE, WITHOUT_CLOUDWATCH);
    let killed = Running::start(daemon(&fixture));
    let line = killed.await_stderr("CloudWatch did not accept the metrics");
    assert!(line.contains("they wait in the spool; allow cloudwatch:PutMetricData"), "{line}");
    drop(killed);
    let files = spooled(&fixture);
    assert_eq!(files.len(), 1);
    let at = instant(&read(&files[0])["at"]);

    // Nothing is replayed while CloudWatch refuses the metrics of the tick itself.
    let refused = Running::start(daemon(&fixture));
    refused.await_stderr("they wait in the spool");
    refused.stop();
    assert_eq!((&fixture.emulate.observations()["metric_calls"], spooled(&fixture).len()), (&json!(2), 2));

    fixture.emulate = Emulate::start(fixture.folder.path(), "default: { profile: rust }\n");
    let next = Running::start(daemon(&fixture));
    next.await_stderr("sent spooled metrics to CloudWatch");
    let stderr = next.stop();
    assert!(!stderr.contains("_aws") && !stderr.contains("dropped"), "{stderr}");
    assert_eq!(spooled(&fixture), [] as [PathBuf; 0]);
    let observed = fixture.emulate.observations();
    let pings: Vec<&Value> =
        observed["metrics"].as_array().unwrap().iter().filter(|metric| metric["name"] == "Pings").collect();
    assert_eq!(pings.len(), 3);
    // The first tick of the last daemon comes before the replay.
    let [first, replayed] = [0, 1].map(|index| instant(&pings[index]["timestamp"]));
    // The SDK sends seconds as a floating-point number.
    assert_eq!(replayed.signed_duration_since(at).num_milliseconds(), 0);
    assert!(first > at, "{observed}");
    assert_eq!(pings[1]["values"][0][0], 1.0);
}

#[test]
fn the_embedded_emulator_receives_no_spooled_metrics() {
    let fixture = Fixture::with_functions(ONE, WITHOUT_CLOUDWATCH);
    let aws = Running::start(daemon(&fixture));
    aws.await_stderr("they wait in the spool");
    drop(aws);
    let mut local = daemon(&fixture);
    local.args(["--local", "--json"]);
    let local = Running::start(local);
    local.await_stdout("tick");
    local.stop();
    assert_eq!(spooled(&fixture).len(), 1);
}

#[test]
fn kills_at_any_time_leave_no_broken_spool() {
    let fixture = Fixture::with_functions(ONE, WITHOUT_CLOUDWATCH);
    let working = tempfile::tempdir().unwrap();
    let working = Emulate::start(working.path(), "default: { profile: rust }\n");
    let values = |file: &PathBuf| read(file)["data"].as_array().unwrap().len();
    // A daemon that replays, and one that cannot, in turn.
    let fleet = write(fixture.folder.path(), "none.yaml", "version: 1\nfunctions: {}\n");
    let state = fixture.folder.path().join("state");
    let args = ["run", "--cron", "0 0 * * * *", "--state", state.to_str().unwrap(), fleet.to_str().unwrap()];
    for number in 0..KILLS {
        let endpoint = if number % 2 == 0 { &fixture.emulate.endpoint } else { &working.endpoint };
        let running = Running::start(with_aws(crate::support::warmd(&args), endpoint));
        pause(LATEST * number / KILLS);
        drop(running);
        for file in spooled(&fixture) {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with('.') || values(&file) > 0, "after kill {number}: {name}");
        }
    }
    let waiting =
        spooled(&fixture).iter().filter(|file| file.extension().is_some_and(|e| e == "json")).count();
    let last = Running::start(with_aws(crate::support::warmd(&args), &working.endpoint));
    last.await_stderr("started");
    if waiting > 0 {
        last.await_stderr(&format!("sent spooled metrics to CloudWatch batches={waiting}"));
    }
    let stderr = last.stop();
    assert!(!stderr.contains("dropped"), "{stderr}");
}
