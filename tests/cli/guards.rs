//! The guards of `run --once`, `warm` and the daemon.

use serde_json::{Value, json};

use crate::support::{Done, Fixture};

const FLEET: &str = "
version: 1
defaults: { region: eu-west-2, interval: 1m }
functions:
  durable: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  works: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  sound:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";
const FUNCTIONS: &str = "
functions:
  durable: { configuration: { DurableConfig: { ExecutionTimeout: 60 } } }
  works: { handler: none, unrecognized: KeyError }
  sound: {}
";

/// Returns the results of the rounds of a tick object, with the first pings and the pings, sorted.
fn results(done: &Done) -> Vec<String> {
    let rounds = done.json()["rounds"].as_array().unwrap().clone();
    let shown = |round: &Value| {
        let result = round["skipped"].as_str().or(round["verdict"].as_str()).unwrap();
        format!(
            "{} {result} {}/{}",
            round["function"].as_str().unwrap(),
            round["first_pings"],
            round["pings"]
        )
    };
    let mut shown: Vec<String> = rounds.iter().map(shown).collect();
    shown.sort();
    shown
}

fn invocations(fixture: &Fixture) -> usize {
    fixture.emulate.observations()["invocations"].as_array().unwrap().len()
}

#[test]
fn a_single_tick_skips_what_the_store_knows_and_contacts_on_request() {
    let fixture = Fixture::with_functions(FLEET, FUNCTIONS);
    let (configs, state) = (fixture.configs(), fixture.folder.path().join("state"));
    let once = |more: &[&str]| {
        let args = ["run", "--once", "--json", "--state", state.to_str().unwrap(), &configs];
        fixture.run(&[&args[..], more].concat())
    };
    let first = once(&["--canary"]);
    assert_eq!((first.code, results(&first)[2].as_str()), (3, "works unsafe 1/1"), "{}", first.stderr);
    let seen = fixture.emulate.observations();
    assert_eq!(
        seen["counts"]["functions"]["123456789012/eu-west-2/durable"]["durable"], 2,
        "the first pings"
    );
    let before = invocations(&fixture);
    for more in [&[][..], &["--canary"]] {
        let next = once(more);
        assert_eq!(next.code, 3, "{}", next.stderr);
        assert_eq!(results(&next), ["durable durable 0/0", "sound reached 0/2", "works unsafe 0/0"]);
    }
    assert_eq!(invocations(&fixture), before + 4);
    // Without the unsafe one nothing is wrong.
    let text = FLEET.lines().filter(|line| !line.contains("works")).collect::<Vec<_>>().join("\n");
    fixture.write("fleet.yaml", &text);
    let next = once(&[]);
    assert_eq!(
        (next.code, results(&next)),
        (0, vec!["durable durable 0/0".into(), "sound reached 0/2".into()])
    );
}

#[test]
fn without_a_store_a_single_tick_contacts_only_on_request() {
    let fixture = Fixture::with_functions(FLEET, FUNCTIONS);
    let once = |more: &[&str]| {
        let configs = fixture.configs();
        fixture.run(&[&["run", "--once", "--json", &configs][..], more].concat())
    };
    let plain = once(&[]);
    assert_eq!(
        (plain.code, results(&plain)),
        (3, ["durable reached 0/2", "sound reached 0/2", "works short 0/2"].map(str::to_owned).to_vec())
    );
    let careful = once(&["--canary"]);
    assert_eq!(results(&careful), ["durable durable 1/1", "sound reached 1/3", "works unsafe 1/1"]);
    for (function, canary, code, expected) in [
        ("works", true, 3, "works unsafe 1/1"),
        ("works", false, 3, "works short 0/2"),
        ("sound:live", true, 0, "sound reached 1/3"),
        ("sound:live", false, 0, "sound reached 0/2"),
    ] {
        let args = ["warm", function, "-n", "2", "--json"];
        let warm = fixture.run(&[&args[..], if canary { &["--canary"] } else { &[] }].concat());
        assert_eq!((warm.code, results(&warm)[0].as_str()), (code, expected), "{}", warm.stderr);
    }
}

#[test]
fn the_daemon_names_an_unsafe_handler_and_sends_nothing_more_after_a_restart() {
    let fixture = Fixture::with_functions(FLEET, FUNCTIONS);
    let state = fixture.folder.path().join("state");
    let start = || {
        let args = ["run", "--cron", "* * * * * *", "--json", "--state", state.to_str().unwrap()];
        crate::support::Running::start(fixture.warmd(&args))
    };
    let daemon = start();
    let first: Value = serde_json::from_str(&daemon.await_stdout("\"rounds\":[{")).unwrap();
    let unsafe_round = first["rounds"].as_array().unwrap().iter().find(|round| round["function"] == "works");
    assert_eq!(unsafe_round.unwrap()["verdict"], "unsafe");
    let advice = daemon.await_stderr("warmd handler");
    assert!(advice.contains("the handler failed on a ping: KeyError"), "{advice}");
    daemon.stop();
    let daemon = start();
    let next: Value = serde_json::from_str(&daemon.await_stdout("\"rounds\":[{")).unwrap();
    let works = next["rounds"].as_array().unwrap().iter().find(|round| round["function"] == "works").unwrap();
    assert_eq!(
        [&works["skipped"], &works["verdict"], &works["pings"]],
        [&json!("unsafe"), &json!("unsafe"), &json!(0)]
    );
    daemon.stop();
    let counts = &fixture.emulate.observations()["counts"]["functions"]["123456789012/eu-west-2/works"];
    assert_eq!(counts["work"], 1, "{counts}");
}
