//! S3 as the location of configuration and state: publish, pause, resume, status, explain, and the bus.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Fixture, Holding, Running, rounds, run, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2 }
calendars:
  holidays: { file: holidays/uk.yaml }
functions:
  checkout:
    windows: [{ days: daily, hours: all-day, concurrency: 3, except: [holidays] }]
";

/// Returns [`FLEET`] with targets that are due every minute.
fn every_minute() -> String {
    FLEET.replace("eu-west-2 }", "eu-west-2, interval: 1m }")
}

/// Returns an account whose configuration is [`FLEET`] with its calendar.
fn account() -> Fixture {
    let fixture = Fixture::new(FLEET);
    std::fs::create_dir(fixture.folder.path().join("configs/holidays")).unwrap();
    fixture.write("holidays/uk.yaml", "dates: [2027-12-25]\n");
    fixture
}

const LIVE: &str = "s3://warmd-config/live";

#[test]
fn a_published_configuration_is_read_by_every_command_and_rolled_back() {
    let account = account();
    let configs = account.configs();
    let first = account.run(&["publish", &configs, LIVE]);
    assert_eq!(
        (first.code, first.stdout.lines().last().unwrap().ends_with("is live at s3://warmd-config/live")),
        (0, true)
    );
    assert!(first.stderr.contains("nothing is published at s3://warmd-config/live yet"));
    let hash = first.stdout.lines().last().unwrap().split(' ').next().unwrap().to_owned();

    for command in
        [&["check", LIVE][..], &["plan", LIVE], &["explain", "checkout", LIVE], &["diff", LIVE, &configs]]
    {
        let shown = account.run(command);
        assert_eq!(shown.code, 0, "{command:?}: {}", shown.stderr);
    }
    let tick = account.run(&["run", "--once", "--json", "--at", "2026-11-20T09:00:00Z", LIVE]);
    let tick = tick.json();
    assert_eq!((tick["config"].as_str(), &tick["rounds"][0]["target"]), (Some(hash.as_str()), &json!(3)));

    account.write("fleet.yaml", &FLEET.replace("concurrency: 3", "concurrency: 4"));
    let second = account.run(&["publish", &configs, LIVE]);
    assert!(second.stdout.contains("checkout"), "the difference is shown: {}", second.stdout);
    let target = || {
        account.run(&["explain", "checkout", "--json", "--at", "2026-11-20T09:00:00Z", LIVE]).json()["target"]
            .clone()
    };
    assert_eq!(target(), 4);
    let again = account.run(&["publish", &configs, LIVE]);
    assert!(again.stdout.contains("is already live at s3://warmd-config/live"), "{}", again.stdout);
    let back = account.run(&["publish", "--rollback", LIVE]);
    let (difference, switched) = back.stdout.trim_end().rsplit_once('\n').unwrap();
    assert!(difference.contains("~ checkout") && difference.contains("4 → 3"), "{difference}");
    assert!(switched.starts_with(&format!("{hash} is live at s3://warmd-config/live again")), "{switched}");
    assert_eq!(target(), 3);
    let further = account.run(&["publish", "--rollback", LIVE]);
    assert_eq!((further.code, further.stderr.contains("nothing was live")), (2, true));
}

#[test]
fn an_invalid_configuration_is_not_published() {
    let account = account();
    account.write("fleet.yaml", "version: 2\n");
    let refused = account.run(&["publish", &account.configs(), LIVE]);
    assert_eq!((refused.code, refused.stderr.contains("expected version 1")), (2, true));
    let empty = account.run(&["check", LIVE]);
    assert_eq!((empty.code, empty.stderr.contains("there is no .yaml object under this prefix")), (2, true));
    for wrong in [
        &["publish", "configs"][..],
        &["publish", LIVE],
        &["publish", "--rollback", "x", LIVE],
        &["check", LIVE, "x"],
    ] {
        assert_eq!(account.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn an_unreadable_version_is_not_published() {
    let account = account();
    let configs = account.configs();
    assert_eq!(account.run(&["publish", &configs, LIVE]).code, 0);
    // Valid here, but the path does not exist in the bucket.
    let absolute = format!("{configs}/holidays/uk.yaml");
    account.write("fleet.yaml", &FLEET.replace("holidays/uk.yaml", &absolute));
    assert_eq!(account.run(&["check", &configs]).code, 0);
    let refused = account.run(&["publish", &configs, LIVE]);
    assert_eq!((refused.code, refused.stderr.contains("there is no such object")), (2, true));
    assert_eq!(account.run(&["check", LIVE]).code, 0);
}

/// Sends a request to S3 and returns the body of the response.
fn s3(account: &Fixture, method: &str, key: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(account.emulate.endpoint.strip_prefix("http://").unwrap()).unwrap();
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=test/20261120/eu-west-2/s3/aws4_request";
    let length = body.len();
    write!(
        stream,
        "{method} /warmd-config/{key} HTTP/1.1\r\nhost: s3\r\n{signed}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Returns the key of a published configuration.
fn object(text: &str) -> String {
    let digest: String = Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("live/objects/{digest}/fleet.yaml")
}

#[test]
fn an_unreadable_live_version_is_an_error() {
    let account = account();
    let configs = account.configs();
    assert_eq!(account.run(&["publish", &configs, LIVE]).code, 0);
    let manifest = s3(&account, "GET", "live/manifest.json", "");
    // A manifest with the same hash and another object.
    s3(&account, "PUT", "live/manifest.json", &manifest.replace("fleet.yaml\",", "fleet.yml\","));
    assert_eq!(account.run(&["check", LIVE]).code, 2);
    let again = account.run(&["publish", &configs, LIVE]);
    assert_eq!((again.code, again.stdout.contains("already")), (0, false), "{}", again.stderr);
    assert_eq!(account.run(&["check", LIVE]).code, 0);
    let back = account.run(&["publish", "--rollback", LIVE]);
    assert_eq!((back.code, back.stderr.contains("nothing was live")), (2, true), "{}", back.stderr);
    // An object whose content does not match its key.
    s3(&account, "PUT", &object(FLEET), "version: 2\n");
    let refused = account.run(&["publish", &configs, LIVE]);
    assert_eq!((refused.code, refused.stdout.contains("already")), (2, false), "{}", refused.stdout);
    // An invalid manifest.
    s3(&account, "PUT", "live/manifest.json", "{");
    for args in [&["publish", &configs, LIVE][..], &["publish", "--rollback", LIVE]] {
        let refused = account.run(args);
        let hint = "hint: delete manifest.json, or restore its earlier version";
        assert_eq!((refused.code, refused.stderr.contains(hint)), (2, true), "{}", refused.stderr);
    }
}

#[test]
fn commands_refuse_a_broken_live_version() {
    let account = account();
    assert_eq!(account.run(&["publish", &account.configs(), LIVE]).code, 0);
    let new = FLEET.replace("concurrency: 3", "concurrency: 4");
    account.write("fleet.yaml", &new);
    assert_eq!(account.run(&["publish", &account.configs(), LIVE]).code, 0);
    s3(&account, "PUT", &object(&new), "version: 2\n");
    for command in [&["check", LIVE][..], &["plan", LIVE], &["run", "--once", LIVE], &["run", LIVE]] {
        let refused = account.run(command);
        let explained = refused.stderr.contains("expected version 1");
        assert_eq!((refused.code, explained), (2, true), "{command:?}: {}", refused.stderr);
    }
}

#[test]
fn a_published_configuration_is_published_elsewhere_with_its_calendars() {
    let account = account();
    let loose = "s3://warmd-config/loose";
    s3(&account, "PUT", "loose/fleet.yaml", FLEET);
    s3(&account, "PUT", "loose/holidays/uk.yaml", "dates: [2027-12-25]\n");
    s3(&account, "PUT", "loose/elsewhere/unused.yaml", "dates: [2027-12-26]\n");
    for (from, to) in [(loose, LIVE), (LIVE, "s3://warmd-config/other"), (loose, loose)] {
        let published = account.run(&["publish", from, to]);
        assert_eq!(published.code, 0, "{from} {to}: {}", published.stderr);
        assert_eq!(account.run(&["check", to]).code, 0);
        let key = format!("{}/manifest.json", to.trim_start_matches("s3://warmd-config/"));
        let manifest = s3(&account, "GET", &key, "");
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let paths: Vec<_> =
            manifest["files"].as_array().unwrap().iter().map(|file| file["path"].as_str()).collect();
        assert_eq!(paths, [Some("fleet.yaml"), Some("holidays/uk.yaml")]);
    }
}

#[test]
fn a_deleted_object_is_published_again() {
    let account = account();
    let configs = account.configs();
    assert_eq!(account.run(&["publish", &configs, LIVE]).code, 0);
    s3(&account, "DELETE", &object(FLEET), "");
    let broken = account.run(&["check", LIVE]);
    assert_eq!((broken.code, broken.stderr.contains("is missing")), (2, true), "{}", broken.stderr);
    let again = account.run(&["publish", &configs, LIVE]);
    assert_eq!((again.code, again.stdout.contains("already")), (0, true), "{}", again.stderr);
    assert_eq!(account.run(&["check", LIVE]).code, 0);
}

#[test]
fn pauses_are_applied_shown_and_ended() {
    let account = account();
    let state = account.folder.path().join("state").to_string_lossy().into_owned();
    for state in [state.as_str(), "s3://warmd-state/live"] {
        let paused =
            account.run(&["pause", "checkout", "--for", "1h", "--reason", "migration", "--state", state]);
        assert!(paused.code == 0 && paused.stdout.starts_with("checkout paused until "), "{}", paused.stderr);
        let explained = account.run(&["explain", "checkout", "--state", state, &account.configs()]);
        let first = explained.stdout.lines().next().unwrap();
        assert!(first.starts_with("checkout (eu-west-2) is paused until "), "{first}");
        assert!(first.ends_with("Z: migration"), "{first}");
        let explained = account.run(&["explain", "checkout", "--json", "--state", state, &account.configs()]);
        assert!(in_seconds(&explained.json()["paused"]["until"]), "{}", explained.stdout);
        let status = account.run(&["status", "--state", state]);
        assert!(status.stdout.contains("checkout is paused until "), "{}", status.stdout);
        let resumed = account.run(&["resume", "checkout", "--state", state]);
        assert_eq!(resumed.stdout, "checkout resumed\n");
        assert_eq!(account.run(&["resume", "--all", "--state", state]).stdout, "everything was not paused\n");
    }
    let nowhere = account.run(&["status"]);
    assert_eq!((nowhere.code, nowhere.stderr.contains("set --state or WARMD_STATE")), (2, true));
}

#[test]
fn a_pause_that_stops_nothing_has_a_warning() {
    let account = account();
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    let state = state.to_str().unwrap();
    account.write("nlp.yaml", "version: 1\nfunctions:\n  nlp-inference:live: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }\n");
    let pause = |function| {
        let paused = account.run(&["pause", function, "--for", "1h", "--reason", "r", "--state", state]);
        assert!(paused.code == 0 && paused.stdout.contains(" paused until "), "{}", paused.stderr);
        paused.stderr.replace(state, "STATE")
    };
    insta::assert_snapshot!(pause("checkout"), @"warning: no tick is recorded at STATE; check that it is the state store of the schedule");
    assert_eq!(account.run(&["resume", "--all", "--state", state]).code, 0);
    let elsewhere = ["run", "--once", "--due-only", "--regions", "us-east-1", "--state", state, &configs];
    assert_eq!(account.run(&elsewhere).code, 0);
    insta::assert_snapshot!(pause("checkout"), @r#"warning: no tick at STATE has served "checkout" in the last two days, nor any other function"#);
    assert_eq!(account.run(&["resume", "--all", "--state", state]).code, 0);
    assert_eq!(account.run(&["run", "--once", "--state", state, &configs]).code, 0);
    insta::assert_snapshot!(pause("nlp-inference"), @r#"warning: no tick at STATE has served "nlp-inference" in the last two days; did you mean `nlp-inference:live`?"#);
    insta::assert_snapshot!(pause("nope"), @r#"warning: no tick at STATE has served "nope" in the last two days; known: `checkout`, `nlp-inference:live`"#);
    assert_eq!(pause("checkout"), "");
    assert_eq!(pause("nlp-inference:live"), "");
    let everything = ["pause", "--all", "--for", "1h", "--reason", "r", "--state", state];
    assert_eq!(account.run(&everything).stderr, "");
    assert_eq!(account.run(&["run", "--once", "--state", state, &configs]).code, 0);
    let shown = account.run(&["status", "checkout", "--state", state]).stdout;
    assert!(shown.contains("  checkout eu-west-2: target 3, reached 3, reached, 3 cold ("), "{shown}");
    assert!(shown.contains(" s ago); skipped: paused ("), "{shown}");

    let status = account.run(&["status", "chekout", "--state", state]);
    assert_eq!((status.code, status.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(status.stderr, @r#"
    error: the state store has no record of "chekout"
    hint: did you mean `checkout`?
    "#);
    let status = account.run(&["status", "nlp-inference:live", "--json", "--state", state]).json();
    let named = json!({ "function": "nlp-inference", "qualifier": "live" });
    for object in [&status["status"]["targets"][0], &status["pauses"]["functions"][0]] {
        assert_eq!([&object["function"], &object["qualifier"]], [&named["function"], &named["qualifier"]]);
    }
    assert_eq!(status["status"]["targets"][0]["region"], "eu-west-2");
    assert!(
        in_seconds(&status["pauses"]["functions"][0]["until"])
            && in_seconds(&status["pauses"]["all"]["until"])
    );
    assert_eq!(
        [&status["status"]["targets"], &status["pauses"]["functions"]]
            .map(|list| list.as_array().unwrap().len()),
        [1, 1]
    );
}

#[test]
fn a_pause_names_the_pause_it_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let pause =
        |length, reason| run(&["pause", "--all", "--for", length, "--reason", reason, "--state", state]);
    assert_eq!(pause("8h", "change freeze").stdout.lines().count(), 1);
    let shorter = pause("1m", "trying it");
    let [now, before] = shorter.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{}", shorter.stdout) };
    assert!(now.starts_with("everything paused until ") && now.ends_with("Z: trying it"), "{now}");
    assert!(before.starts_with("this replaces an earlier pause, longer: paused until "), "{before}");
    assert!(before.ends_with("Z: change freeze"), "{before}");
    for blank in ["", " \t"] {
        let refused = pause("9h", blank);
        assert_eq!(
            (refused.code, refused.stderr.contains("expected a reason")),
            (2, true),
            "{}",
            refused.stderr
        );
    }
    let status = run(&["status", "--state", state]);
    assert!(status.stdout.ends_with(": trying it\n"), "{}", status.stdout);
}

#[test]
fn status_shows_the_records_of_the_daemon() {
    let account = account();
    let state = account.folder.path().join("state").to_string_lossy().into_owned();
    let daemon = Running::start(account.warmd(&["run", "--state", &state]));
    daemon.await_stdout("1 target: ✓ 1 reached");
    daemon.stop();
    let status = account.run(&["status", "--json", "--state", &state]).json();
    assert!(in_seconds(&status["status"]["tick"]), "{status}");
    let target = status["status"]["targets"][0].clone();
    assert!(in_seconds(&target["tick"]), "{target}");
    assert_eq!((&target["function"], &target["reached"]), (&json!("checkout"), &json!(3)));
    let shown = account.run(&["status", "checkout", "--state", &state]);
    assert!(shown.stdout.contains("checkout eu-west-2: target 3, reached 3, reached"), "{}", shown.stdout);
}

/// Returns true if `time` is in whole seconds, as in the tick object.
fn in_seconds(time: &Value) -> bool {
    time.as_str().is_some_and(|time| time.len() == "2026-11-20T09:00:00Z".len())
}

/// Returns the time `minutes` from now, in whole seconds.
#[allow(clippy::disallowed_methods, reason = "the binary compares with the machine's clock")]
fn minutes_from_now(minutes: i64) -> chrono::DateTime<chrono::Utc> {
    use chrono::SubsecRound;
    chrono::Utc::now().trunc_subsecs(0) + chrono::TimeDelta::minutes(minutes)
}

#[test]
fn run_once_applies_pauses_and_is_recorded() {
    let account = account();
    account.write(
        "fleet.yaml",
        &FLEET.replace(
            "  checkout",
            "  other: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }\n  checkout",
        ),
    );
    let (configs, state) =
        (account.configs(), account.folder.path().join("state").to_string_lossy().into_owned());
    let once = |more: &[&str]| account.run(&[&["run", "--once", "--json"], more, &[&configs]].concat());
    for state in [state.as_str(), "s3://warmd-state/live"] {
        let pause = ["pause", "checkout", "--for", "1h", "--reason", "migration", "--state", state];
        assert_eq!(account.run(&pause).code, 0);
        let tick = once(&["--state", state]);
        assert_eq!(
            (tick.code, rounds(&tick.json())),
            (0, vec!["other 2 reached".to_owned(), "checkout 3 paused".to_owned()])
        );
        let status = account.run(&["status", "--json", "--state", state]).json();
        assert_eq!(status["status"]["tick"], Value::Null, "not a tick of the schedule: {status}");
        let [paused, served] = [0, 1].map(|index| status["status"]["targets"][index].clone());
        assert_eq!((&served["function"], &served["reached"]), (&json!("other"), &json!(2)));
        assert_eq!((&paused["reached"], &paused["skipped"]), (&Value::Null, &json!("paused")));
        let dry = once(&["--dry-run", "--state", state]);
        assert_eq!(rounds(&dry.json()), ["other 2 dry-run", "checkout 3 paused"]);
        let dry = account.run(&["run", "--once", "--dry-run", "--state", state, &configs]);
        assert!(dry.stdout.ends_with("- checkout (eu-west-2) skipped: it is paused\n"), "{}", dry.stdout);
        assert_eq!(account.run(&["resume", "checkout", "--state", state]).code, 0);
        // All open targets, even those served in this minute.
        assert_eq!(rounds(&once(&["--state", state]).json()), ["other 2 reached", "checkout 3 reached"]);
    }
    assert_eq!(rounds(&once(&[]).json()).len(), 2, "no pauses without a store");
}

#[test]
fn run_once_serves_active_requests() {
    let account = account();
    account.write("fleet.yaml", "version: 1\nfunctions:\n  nlp: { region: eu-west-2, on_request: { max_concurrency: 5, max_for: 1h } }\n");
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    let request = json!({ "concurrency": 4, "asked": minutes_from_now(-5), "since": minutes_from_now(-5),
        "until": minutes_from_now(30), "reason": "token issued" });
    let requests = json!({ "targets": { "nlp eu-west-2": request } });
    write(&state, "requests.1.json", &requests.to_string());
    let tick = account.run(&["run", "--once", "--json", "--state", state.to_str().unwrap(), &configs]);
    assert_eq!(rounds(&tick.json()), ["nlp 4 reached"], "{}", tick.stderr);
    let later = minutes_from_now(31).to_rfc3339();
    let args = ["run", "--once", "--json", "--at", &later, "--state", state.to_str().unwrap(), &configs];
    assert!(rounds(&account.run(&args).json()).is_empty(), "the request has expired by then");
}

#[test]
fn run_once_due_only_uses_the_records() {
    let account = account();
    account.write("fleet.yaml", "version: 1\ndefaults: { region: eu-west-2, interval: 24h }\nfunctions:\n  f: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }\n");
    let (configs, folder) = (account.configs(), account.folder.path().join("state"));
    let state = folder.to_str().unwrap();
    std::fs::create_dir(&folder).unwrap();
    let a_day_ago = minutes_from_now(-1_441).timestamp() / 60;
    let served = json!({ "ticked": a_day_ago, "targets": { "f eu-west-2": a_day_ago }, "busy": {} });
    write(&folder, "served.1.json", &served.to_string());
    let due = ["run", "--once", "--due-only", "--json", "--state", state, &configs];
    let dry = account.run(&[&due[..], &["--dry-run"]].concat());
    assert_eq!(rounds(&dry.json()), ["f 2 dry-run"], "overdue");
    assert_eq!(rounds(&account.run(&due).json()), ["f 2 reached"], "a dry run is not recorded");
    assert!(rounds(&account.run(&due).json()).is_empty(), "served");
}

#[test]
fn one_store_serves_processes_of_different_regions() {
    let account = account();
    account.write("fleet.yaml", "version: 1\ndefaults: { interval: 1m }\nfunctions:\n  f: { regions: [eu-west-2, us-east-1], windows: [{ days: daily, hours: all-day, concurrency: 2 }] }\n");
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    for region in ["eu-west-2", "us-east-1"] {
        let tick = ["run", "--once", "--due-only", "--json", "--state", state.to_str().unwrap()];
        let tick = account.run(&[&tick[..], &["--regions", region, &configs]].concat());
        assert_eq!(rounds(&tick.json()), ["f 2 reached"], "{region}: {}", tick.stderr);
    }
}

#[test]
fn run_once_at_another_minute_is_not_recorded() {
    let account = account();
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    let state = state.to_str().unwrap();
    let tomorrow = minutes_from_now(24 * 60).to_rfc3339();
    for more in [&[][..], &["--due-only"]] {
        let args = ["run", "--once", "--json", "--at", &tomorrow, "--state", state, &configs];
        assert_eq!(account.run(&[&args[..], more].concat()).code, 0);
    }
    let mut written: Vec<_> =
        std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    written.retain(|name| {
        let name = name.to_str().unwrap();
        !["facts-", "guards-", "status."].iter().any(|about| name.starts_with(about))
    });
    assert_eq!(written, [""; 0], "only what is known about functions holds at any minute");
    let status = account.run(&["status", "--json", "--state", state]).json();
    // The pings cost money, so the history has them.
    assert_eq!((&status["status"]["tick"], &status["status"]["targets"]), (&json!(null), &json!([])));
    assert_eq!(status["coverage"], json!({ "fleet": null, "functions": [], "unread": [] }));
    account.run(&["pause", "--all", "--for", "1h", "--reason", "freeze", "--state", state]);
    let paused = account.run(&["run", "--once", "--json", "--at", &tomorrow, "--state", state, &configs]);
    assert_eq!(
        rounds(&paused.json()),
        ["checkout 3 paused"],
        "pings are sent now, so the current pause applies"
    );
}

#[test]
fn ticks_run_with_an_unreadable_store() {
    let account = account();
    account.write("fleet.yaml", &every_minute());
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    for document in ["pauses", "served", "status"] {
        write(&state, &format!("{document}.1.json"), "not json");
    }
    let state = state.to_str().unwrap();
    for more in [&[][..], &["--due-only"]] {
        let args = ["run", "--once", "--json", "--state", state, &configs];
        let tick = account.run(&[&args[..], more].concat());
        assert_eq!((tick.code, rounds(&tick.json())), (1, vec!["checkout 3 reached".to_owned()]));
        let lines: Vec<_> = tick.stderr.lines().filter(|line| line.contains("StateUnavailable")).collect();
        let [line] = lines[..] else { panic!("one line: {}", tick.stderr) };
        assert!(line.contains("cannot be read") && line.contains("pauses unknown"), "{line}");
        assert_eq!(tick.stderr.lines().count(), 1, "{}", tick.stderr);
    }
    let metrics = account.emulate.observations()["metrics"].to_string();
    assert!(metrics.contains("StateUnavailable"), "{metrics}");
    let wrong = account.run(&["run", "--once", "--state", "s3://", &configs]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""), "{}", wrong.stderr);
}

#[test]
fn status_shows_unreadable_documents_as_unknown() {
    let account = account();
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    let folder = state.to_str().unwrap();
    assert_eq!(account.run(&["run", "--once", "--state", folder, &configs]).code, 0);
    write(&state, "pauses.1.json", "not json");
    let shown = account.run(&["status", "--state", folder]);
    assert_eq!(shown.code, 1);
    assert!(shown.stdout.contains("  checkout eu-west-2: target 3, reached 3"), "{}", shown.stdout);
    assert!(shown.stdout.contains("\npauses unknown\n"), "{}", shown.stdout);
    assert!(shown.stderr.contains("`pauses` cannot be read"), "{}", shown.stderr);
    let shown = account.run(&["status", "checkout", "--json", "--state", folder]);
    let object = shown.json();
    assert_eq!((shown.code, &object["pauses"], &object["requests"]), (1, &Value::Null, &json!([])));
    assert_eq!(object["status"]["targets"][0]["reached"], 3);
}

#[test]
fn status_names_the_guards_that_are_off() {
    let account = account();
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    let folder = state.to_str().unwrap();
    assert_eq!(account.run(&["run", "--once", "--state", folder, &configs]).code, 0);
    let status = || account.run(&["status", "--state", folder]);
    for document in std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()) {
        if document.file_name().unwrap().to_str().unwrap().starts_with("facts-") {
            std::fs::remove_file(document).unwrap();
        }
    }
    assert!(!status().stdout.contains("facts"), "{}", status().stdout);
    let (now, before) = (minutes_from_now(-3), minutes_from_now(-120));
    let failed = json!({ "configuration": { "at": now, "why": "denied", "kept": before } });
    let facts = json!({
        "accounts": { "": { "at": now, "limits": { "denied": "User: …" } } },
        "functions": {
            "checkout eu-west-2": {
                "at": now,
                "seen": { "configuration": { "known": {} }, "reserved": { "denied": "User: …" } },
                "failed": failed,
            },
            "other:live eu-west-2": {
                "at": now,
                "seen": { "reserved": { "denied": "User: …" }, "provisioned": { "failed": "501\u{1b}[31m" } },
            },
            "removed eu-west-2": { "at": minutes_from_now(-24 * 60), "seen": { "reserved": { "denied": "" } } },
            "tomorrow eu-west-2": { "at": minutes_from_now(24 * 60), "seen": { "reserved": { "denied": "" } } },
        },
    });
    write(&state, "facts-eu-west-2.1.json", &facts.to_string());
    let shown = status();
    let (_, facts) = shown.stdout.split_once("\nfacts about ").unwrap();
    assert!(facts.starts_with("2 targets, the oldest of ") && facts.contains(" (120 min ago)\n"), "{facts}");
    insta::assert_snapshot!(facts.split_once('\n').unwrap().1, @r"
    guards off: switched-off, headroom of functions for 2 targets (no lambda:GetFunctionConcurrency in eu-west-2)
    guards off: headroom of accounts (no lambda:GetAccountSettings in eu-west-2)
    guards off: provisioned for 1 target (lambda:GetProvisionedConcurrencyConfig failed in eu-west-2: 501\u{1b}[31m)
    ");
    let object = account.run(&["status", "checkout", "--json", "--state", folder]).json();
    let seconds = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!(object["facts"], json!({ "targets": 1, "accounts": 1, "oldest": seconds(before) }));
    assert_eq!(
        object["guards_off"][1],
        json!({
            "guards": ["headroom of accounts"], "read": "account", "action": "lambda:GetAccountSettings",
            "reason": "denied", "message": "User: …", "regions": ["eu-west-2"], "count": 1,
        })
    );
    write(&state, "facts-eu-west-2.1.json", "not json");
    let shown = status();
    assert_eq!((shown.code, shown.stdout.contains("facts about deployed functions unknown\n")), (1, true));
}

#[test]
fn documents_that_are_no_regular_files_are_refused() {
    let account = account();
    account.write("fleet.yaml", &every_minute());
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    let fifo = state.join("served.1.json");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::os::unix::fs::symlink("/proc/self/environ", state.join("pauses.1.json")).unwrap();
    std::fs::create_dir(state.join("status.1.json")).unwrap();
    let folder = state.to_str().unwrap();
    let tick = account.run(&["run", "--once", "--due-only", "--json", "--state", folder, &configs]);
    assert_eq!((tick.code, rounds(&tick.json())), (1, vec!["checkout 3 reached".to_owned()]));
    assert!(tick.stderr.contains("served.1.json is refused: it is not a regular file"), "{}", tick.stderr);
    let shown = account.run(&["status", "--state", folder]);
    assert_eq!(shown.code, 1);
    assert!(shown.stderr.contains("pauses.1.json is refused: it is a symbolic link"), "{}", shown.stderr);
    assert!(shown.stderr.contains("status.1.json is refused: it is not a regular file"), "{}", shown.stderr);
}

#[test]
fn stored_times_in_the_future_are_repaired() {
    let account = account();
    account.write("fleet.yaml", &every_minute());
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    let tomorrow = minutes_from_now(24 * 60);
    let minute = tomorrow.timestamp() / 60;
    let served = json!({ "ticked": minute, "targets": { "checkout eu-west-2": minute }, "busy": {} });
    write(&state, "served.1.json", &served.to_string());
    // The last instant that can be stored.
    let last = json!({ "tick": "+262142-12-31T23:59:59Z", "target": 3, "reached": 3, "verdict": "reached" });
    let status = json!({ "tick": tomorrow, "duration_ms": 1, "unfinished": 0, "targets": { "checkout eu-west-2": last } });
    write(&state, "status.1.json", &status.to_string());
    let folder = state.to_str().unwrap();
    let shown = account.run(&["status", "--state", folder]);
    assert_eq!((shown.code, shown.stdout.matches("(in the future)").count()), (0, 2), "{}", shown.stdout);
    let due = ["run", "--once", "--due-only", "--json", "--state", folder, &configs];
    let tick = account.run(&due);
    assert_eq!(
        (tick.code, rounds(&tick.json())),
        (0, vec!["checkout 3 reached".to_owned()]),
        "{}",
        tick.stderr
    );
    assert_eq!(tick.stderr.matches("has times in the future").count(), 1, "{}", tick.stderr);
    let again = account.run(&due);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "repaired");
    let shown = account.run(&["status", "--state", folder]);
    assert!(!shown.stdout.contains("in the future"), "{}", shown.stdout);
}

#[test]
fn targets_of_a_killed_process_are_due_again() {
    let account = account();
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    let folder = state.to_str().unwrap();
    let lambda = Holding::new();
    let (running, _never_answered) = lambda.start(account.warmd(&["run", "--state", folder]));
    running.signal("KILL");
    drop(running);
    let due = ["run", "--once", "--due-only", "--json", "--state", folder, &configs];
    assert!(rounds(&account.run(&due).json()).is_empty(), "the claim is valid for a minute");
    let newest = |number: u32| state.join(format!("served.{number}.json"));
    let number = (1..9).rev().find(|number| newest(*number).exists()).unwrap();
    let mut served: Value = serde_json::from_slice(&std::fs::read(newest(number)).unwrap()).unwrap();
    assert_eq!(served["targets"], json!({}), "nothing is recorded as served");
    served["claims"]["checkout eu-west-2"]["until"] = json!(minutes_from_now(-1));
    write(&state, &format!("served.{number}.json"), &served.to_string());
    let tick = account.run(&due);
    assert_eq!(rounds(&tick.json()), ["checkout 3 reached"], "{}", tick.stderr);
}

#[test]
fn temporary_files_of_a_killed_process_are_removed() {
    let account = account();
    let (configs, state) = (account.configs(), account.folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    let stale = write(&state, ".served.0123456789abcdef", "{");
    let hours_ago = std::time::SystemTime::from(minutes_from_now(-120));
    std::fs::File::options().append(true).open(&stale).unwrap().set_modified(hours_ago).unwrap();
    let fresh = write(&state, ".served.0123456789abcde0", "{");
    let tick = account.run(&["run", "--once", "--state", state.to_str().unwrap(), &configs]);
    assert_eq!((tick.code, stale.exists(), fresh.exists()), (0, false, true), "{}", tick.stderr);
}

#[test]
fn a_request_is_put_on_the_bus() {
    let account = account();
    let asked = account.run(&[
        "warm",
        "nlp:live",
        "-n",
        "5",
        "--for",
        "10m",
        "--via-bus",
        "--bus",
        "warm-bus",
        "--reason",
        "token issued",
    ]);
    assert_eq!(
        asked.stdout, "requested 5 environments of nlp:live on the bus warm-bus in eu-west-2\n",
        "{}",
        asked.stderr
    );
    let lonely = account.run(&["warm", "nlp:live", "-n", "5", "--for", "10m"]);
    assert_eq!((lonely.code, lonely.stderr.contains("--via-bus")), (2, true));
}

#[test]
fn events_the_dashboard_and_policies_are_printed() {
    for kind in ["scheduled", "warm-request", "shard"] {
        assert!(run(&["lambda-event", kind]).json()["detail-type"].is_string());
    }
    assert_eq!(run(&["lambda-event", "other"]).code, 2);
    assert!(run(&["dashboard", "--print", "--region", "eu-west-2"]).json()["widgets"].is_array());
    assert_eq!(run(&["dashboard"]).code, 2);
    let policies = run(&["iam", "--account", "123456789012", "--region", "eu-west-2", "--bus", "default"]);
    let documents: Vec<Value> =
        policies.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!documents.is_empty() && policies.stdout.contains("event-bus/default"), "{}", policies.stdout);
}
