//! SIGKILL at any time: every state document stays readable, and the next tick is served.

use std::time::Duration;

use crate::support::{Emulate, Running, done, pause, warmd, with_aws, write};

/// The number of kills, each later in the life of the process than the one before.
const KILLS: u32 = 100;
/// Later than the end of an undisturbed tick.
const LATEST: Duration = Duration::from_millis(150);

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
        for file in std::fs::read_dir(state).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let bytes = std::fs::read(&path).unwrap();
                let read: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
                assert!(read.is_ok(), "after kill {number}: {}", path.display());
            }
        }
    }
    let last = done(once(KILLS));
    assert_eq!((last.code, last.stderr.as_str()), (0, ""));
    let invocations = emulate.observations()["invocations"].as_array().unwrap().len();
    // Some processes were killed before their pings, some after.
    assert!((10..10 + 10 * KILLS as usize).contains(&invocations), "{invocations} invocations");
}
