//! Backlogs of requests on the command line: `warmd warm --backlog`, `status` and `explain`.

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{Done, Emulate, Fixture, done, rounds, run, warmd, with_aws, write};

/// Runs `warmd warm` with these arguments.
fn warm(args: &str) -> Done {
    run(&format!("warm {args}").split(' ').collect::<Vec<_>>())
}

#[test]
fn a_round_for_a_backlog_shows_how_its_number_follows() {
    let shown = warm("nlp --backlog 90000 --rate 300 --drain 10s --local");
    let first = shown.stdout.lines().next().unwrap();
    assert_eq!(
        (shown.code, first),
        (0, "90,000 requests at 300/s within 10 s: 30 environments"),
        "{}",
        shown.stderr
    );
    let tick = warm("nlp --backlog 1 --rate 2.5 --drain 100ms --local --json").json();
    assert_eq!(rounds(&tick), ["nlp 4 reached"], "only the tick object");
}

#[test]
fn flags_that_do_not_fit_together_are_refused() {
    let refused = [
        "nlp",
        "nlp -n 5 --backlog 1",
        "nlp --backlog 1 --local",
        "nlp --backlog 1 --rate 300 --local",
        "nlp --rate 300 -n 5",
        "nlp --backlog 0 --rate 300 --drain 10s --local",
        "nlp --backlog 4294967295 --rate 1 --drain 1s --local",
        "nlp --backlog 1 --rate 0 --drain 1s",
        "nlp --backlog 1 --rate 1 --drain 25h",
        "nlp --backlog 1 --rate 1 --drain 1s --hold-for 5m --local",
        "nlp --backlog 1 --rate 1 --drain 1s --for 5m --via-bus",
        "--pipeline nlp --backlog 1 --local",
        "--pipeline nlp --backlog 1 --rate 300 --via-bus",
        "--pipeline nlp nlp --backlog 1 --via-bus",
        "--pipeline nlp -n 5 --via-bus",
    ];
    let lines = refused.map(|args| {
        let refused = warm(args);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args}");
        let error = refused.stderr.split("\n\n").next().unwrap().replace('\n', " ");
        format!("{args}: {error}")
    });
    insta::assert_snapshot!(lines.join("\n"), @r#"
    nlp: error: the following required arguments were not provided:   --concurrency <N>
    nlp -n 5 --backlog 1: error: the argument '--concurrency <N>' cannot be used with '--backlog <REQUESTS>'
    nlp --backlog 1 --local: error: --backlog requires --rate and --drain 
    nlp --backlog 1 --rate 300 --local: error: --backlog requires --rate and --drain 
    nlp --rate 300 -n 5: error: the argument '--rate <REQUESTS>' cannot be used with '--concurrency <N>'
    nlp --backlog 0 --rate 300 --drain 10s --local: error: expected a backlog for 1 to 100,000 environments, found 0 
    nlp --backlog 4294967295 --rate 1 --drain 1s --local: error: expected a backlog for 1 to 100,000 environments, found 4,294,967,295 
    nlp --backlog 1 --rate 0 --drain 1s: error: invalid value '0' for '--rate <REQUESTS>': expected requests a second from 0.001 to 1000000, with up to three decimals, found "0"
    nlp --backlog 1 --rate 1 --drain 25h: error: invalid value '25h' for '--drain <DURATION>': expected a duration from 1ms to 1d, found "25h"
    nlp --backlog 1 --rate 1 --drain 1s --hold-for 5m --local: error: --hold-for requires --via-bus 
    nlp --backlog 1 --rate 1 --drain 1s --for 5m --via-bus: error: the argument '--backlog <REQUESTS>' cannot be used with '--for <DURATION>'
    --pipeline nlp --backlog 1 --local: error: --pipeline requires --via-bus 
    --pipeline nlp --backlog 1 --rate 300 --via-bus: error: the argument '--pipeline <NAME>' cannot be used with '--rate <REQUESTS>'
    --pipeline nlp nlp --backlog 1 --via-bus: error: the argument '--pipeline <NAME>' cannot be used with '[FUNCTION]'
    --pipeline nlp -n 5 --via-bus: error: the argument '--pipeline <NAME>' cannot be used with '--concurrency <N>'
    "#);
}

#[test]
fn a_backlog_is_put_on_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: {}\n");
    let asked = |args: &str| {
        let args: Vec<&str> = ["warm"].into_iter().chain(args.split(' ')).chain(["--via-bus"]).collect();
        done(with_aws(warmd(&args), &emulate.endpoint)).stdout
    };
    assert_eq!(
        asked("nlp:live --backlog 90000 --rate 300 --drain 10s --hold-for 5m"),
        "requested 30 environments of nlp:live (90,000 requests at 300/s within 10 s) on the bus default in eu-west-2\n"
    );
    assert_eq!(
        asked("--pipeline nlp --backlog 90000"),
        "requested environments of the pipeline \"nlp\" for 90,000 requests on the bus default in eu-west-2\n"
    );
    assert!(asked("nlp --backlog 0 --rate 300 --drain 10s").starts_with("requested 0 environments of nlp ("));
}

#[test]
fn active_backlogs_are_shown_and_explained() {
    let account = Fixture::new(
        "version: 1\ndefaults: { region: eu-west-2 }\nfunctions:\n  nlp:live: { on_request: { max_concurrency: 20, max_for: 1h } }\n",
    );
    let state = account.folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let time = |seconds| {
        (SystemClock.now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let asked = time(-60);
    let backlog = |pipeline: Value, hold: i64, until: i64| {
        json!({
            "pipeline": pipeline, "messages": 90_000, "rate": "300", "per_environment": "3000", "most": 20,
            "asked": asked, "hold_until": time(hold), "until": time(until), "worked_off": "80000.5",
            "round": { "at": asked, "environments": 20 }, "counted": asked, "reached": null, "reason": "upload",
        })
    };
    let backlogs = [
        backlog(Value::Null, -30, 3_000),
        backlog(json!("nlp\u{1b}[2J"), 300, 3_000),
        backlog(json!("over"), -50, -10),
    ];
    let document = json!({ "targets": {}, "backlogs": { "nlp:live eu-west-2": backlogs } });
    write(&state, "requests.1.json", &document.to_string());
    let state = state.to_str().unwrap();
    let shown = account.run(&["status", "--state", state]);
    let lines: Vec<&str> = shown.stdout.lines().filter(|line| line.contains("backlog")).collect();
    // Without the time of the end.
    let steady = |line: &str| {
        let (before, after) = line.split_once(" until ").unwrap();
        format!("{before}{}", &after["2026-11-20T09:00:00Z".len()..])
    };
    let lines: Vec<String> = lines.into_iter().map(steady).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    nlp:live eu-west-2 is requested for a backlog, 4 environments, 10,000 of 90,000 requests left: upload
    nlp:live eu-west-2 is requested for a backlog of the pipeline nlp\u{1b}[2J, 20 environments, 10,000 of 90,000 requests left: upload
    ");
    let object = account.run(&["status", "--json", "nlp:live", "--state", state]).json();
    let [own, of_pipeline] = &object["requests"].as_array().unwrap()[..] else { panic!("{object}") };
    assert_eq!(
        (&own["function"], &own["concurrency"], &own["asked"]),
        (&json!("nlp"), &json!(4), &json!(asked))
    );
    let held = &of_pipeline["backlog"]["hold_until"];
    assert_eq!(
        of_pipeline["backlog"],
        json!({
            "pipeline": "nlp\u{1b}[2J", "messages": 90_000, "left": 10_000, "rate": "300", "reached": null,
            "hold_until": held,
        })
    );
    let explained =
        account.run(&["explain", "nlp:live", "--json", "--state", state, &account.configs()]).json();
    let window = &explained["windows"][0];
    assert_eq!(
        (&explained["target"], &window["window"], explained["windows"].as_array().unwrap().len()),
        (&json!(4), &json!("backlog request: upload"), 1),
        "{explained}"
    );
}
