//! SIGKILL at any time: every state document stays readable, and the next tick is served.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Emulate, PATIENCE, Running, done, pause, warmd, with_aws, write};

/// The number of kills, each later in the life of the process than the one before.
const KILLS: u32 = 100;
/// Later than the end of an undisturbed tick.
const LATEST: Duration = Duration::from_millis(150);

/// Asserts that every document in a state directory is JSON.
fn assert_parsed(state: &Path, number: u32) {
    for file in fs::read_dir(state).into_iter().flatten() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let read: Result<Value, _> = serde_json::from_slice(&fs::read(&path).unwrap());
            assert!(read.is_ok(), "after kill {number}: {}", path.display());
        }
    }
}

#[test]
fn kills_at_any_time_break_no_document() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    // New functions each time, because those of a killed process are claimed until the claim expires.
    let once = |number: u32| {
        let functions: String = (0..5)
            .map(|index| {
                format!("  k{number}-{index}: {{ windows: [{{ days: daily, hours: all-day, concurrency: 2 }}] }}\n")
            })
            .collect();
        let defaults = "version: 1\ndefaults: { region: eu-west-2, interval: 1m }\nfunctions:\n";
        let configs =
            write(folder.path(), &format!("fleet-{number}.yaml"), &format!("{defaults}{functions}"));
        let args = ["run", "--once", "--due-only", "--json", "--state", state, configs.to_str().unwrap()];
        with_aws(warmd(&args), &emulate.endpoint)
    };
    for number in 0..KILLS {
        let running = Running::start(once(number));
        pause(LATEST * number / KILLS);
        drop(running);
        let status = done(warmd(&["status", "--state", state]));
        assert!(matches!(status.code, 0 | 2), "after kill {number}: {}", status.shown());
        assert!(!status.stderr.contains("cannot be read"), "after kill {number}: {}", status.shown());
        assert_parsed(Path::new(state), number);
    }
    let last = done(once(KILLS));
    assert_eq!((last.code, last.stderr.as_str()), (0, ""));
    let invocations = emulate.observations()["invocations"].as_array().unwrap().len();
    // Some processes were killed before their pings, some after.
    assert!((10..10 + 10 * KILLS as usize).contains(&invocations), "{invocations} invocations");
}

/// The number of kills of the daemon.
const DAEMON_KILLS: u32 = 16;
/// Later than the rounds, the records, the metrics and the first reads of facts.
const DAEMON_LATEST: Duration = Duration::from_millis(2_400);

/// Returns the newest version of a document: `NAME.VERSION.json`; empty if there is none.
fn newest(state: &Path, name: &str) -> String {
    let files = fs::read_dir(state).into_iter().flatten().map(|file| file.unwrap().path());
    let version = |path: &Path| -> Option<u64> {
        path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".json")?.parse().ok()
    };
    let newest = files.filter_map(|path| Some((version(&path)?, path))).max();
    newest.map_or(String::new(), |(_, path)| fs::read_to_string(path).unwrap())
}

#[test]
fn a_killed_daemon_loses_at_most_the_tick_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
    let state = folder.path().join("state");
    let document = |name: &str| newest(&state, name);
    // `base` is in every configuration. The others are new each time: a minute is served once.
    let daemon = |names: &[String]| {
        let windows = "{ windows: [{ days: daily, hours: all-day, concurrency: 2 }] }";
        let functions: String = names.iter().map(|name| format!("  {name}: {windows}\n")).collect();
        let text = format!(
            "version: 1\ndefaults: {{ region: eu-west-2, interval: 24h }}\nfunctions:\n  base: {windows}\n{functions}"
        );
        let configs = write(folder.path(), "fleet.yaml", &text);
        let args = ["run", "--json", "--state", state.to_str().unwrap(), configs.to_str().unwrap()];
        Running::start(with_aws(warmd(&args), &emulate.endpoint))
    };
    let has = |document: &str, name: &str| document.contains(&format!("\"{name} eu-west-2\""));
    // The first process is not killed before the facts are kept.
    let first = daemon(&[]);
    first.await_stdout("\"base\"");
    for _ in 0..PATIENCE.as_millis() / 20 {
        if has(&document("facts-eu-west-2"), "base") {
            break;
        }
        pause(Duration::from_millis(20));
    }
    first.signal("KILL");
    drop(first);
    assert!(has(&document("guards-eu-west-2"), "base"), "{}", document("guards-eu-west-2"));
    let (mut reported, mut unreported) = (Vec::new(), Vec::new());
    for number in 0..DAEMON_KILLS {
        let names: Vec<String> = (0..5).map(|index| format!("k{number}-{index}")).collect();
        let running = daemon(&names);
        pause(DAEMON_LATEST * number / DAEMON_KILLS);
        running.signal("KILL");
        let (_, stdout, _) = running.end();
        assert_parsed(&state, number);
        for name in ["facts-eu-west-2", "guards-eu-west-2"] {
            assert!(has(&document(name), "base"), "after kill {number}: {name}: {}", document(name));
        }
        // A part of a tick is printed after it was recorded.
        let ticks = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let rounds: Vec<Value> =
            ticks.flat_map(|tick| tick["rounds"].as_array().cloned().unwrap_or_default()).collect();
        for name in names {
            match rounds.iter().find(|round| round["function"] == name.as_str()) {
                Some(round) => reported.push((name, round.clone())),
                None => unreported.push(name),
            }
        }
    }
    let observed = emulate.observations();
    let calls: Vec<&str> = observed["invocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["function"].as_str().unwrap())
        .collect();
    let pings = |name: &str| calls.iter().filter(|function| **function == name).count() as u64;
    let (served, guards) = (document("served"), document("guards-eu-west-2"));
    for (name, round) in &reported {
        assert_eq!(round["pings"].as_u64(), Some(pings(name)), "{round}");
        assert!(has(&served, name) && has(&guards, name), "{name} is not in the documents");
    }
    let values = observed["metrics"].as_array().unwrap().iter().filter(|metric| metric["name"] == "Pings");
    let counted: f64 = values.map(|metric| metric["values"][0][0].as_f64().unwrap()).sum();
    let lost: u64 = unreported.iter().map(|name| pings(name)).sum();
    let all = calls.len() as f64;
    assert!(
        counted <= all && counted >= all - lost as f64,
        "{counted} of {all} in metrics, {lost} may be lost"
    );
    assert!(!reported.is_empty() && !unreported.is_empty(), "kills came too early or too late");
    // One round of two pings with its first contact, and another if a day begins meanwhile.
    assert!(pings("base") <= 6, "{} pings", pings("base"));
}
