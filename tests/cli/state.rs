//! S3 as the place of configuration and state: publish, pause, resume, status, explain, and the bus.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Done, Emulate, done, run, warmd, with_aws, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2 }
calendars:
  holidays: { file: holidays/uk.yaml }
functions:
  checkout:
    windows: [{ days: daily, hours: all-day, concurrency: 3, except: [holidays] }]
";

struct Account {
    emulate: Emulate,
    folder: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulate = Emulate::start(folder.path(), "default: { profile: rust }\n");
        std::fs::create_dir_all(folder.path().join("configs/holidays")).unwrap();
        let account = Self { emulate, folder };
        account.write("fleet.yaml", FLEET);
        account.write("holidays/uk.yaml", "dates: [2027-12-25]\n");
        account
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.folder.path().join("configs"), name, text);
    }

    fn configs(&self) -> String {
        self.folder.path().join("configs").to_string_lossy().into_owned()
    }

    fn run(&self, args: &[&str]) -> Done {
        done(with_aws(warmd(args), &self.emulate.endpoint))
    }
}

const PLACE: &str = "s3://warmd-config/live";

#[test]
fn a_published_configuration_is_read_by_every_command_and_rolled_back() {
    let account = Account::new();
    let configs = account.configs();
    let first = account.run(&["publish", &configs, PLACE]);
    assert_eq!(
        (first.code, first.stdout.lines().last().unwrap().ends_with("is live at s3://warmd-config/live")),
        (0, true)
    );
    assert!(first.stderr.contains("nothing is live at s3://warmd-config/live yet"));
    let hash = first.stdout.lines().last().unwrap().split(' ').next().unwrap().to_owned();

    for command in
        [&["check", PLACE][..], &["plan", PLACE], &["explain", "checkout", PLACE], &["diff", PLACE, &configs]]
    {
        let shown = account.run(command);
        assert_eq!(shown.code, 0, "{command:?}: {}", shown.stderr);
    }
    let tick = account.run(&["run", "--once", "--json", "--at", "2026-11-20T09:00:00Z", PLACE]);
    let tick = tick.json();
    assert_eq!((tick["config"].as_str(), &tick["rounds"][0]["target"]), (Some(hash.as_str()), &json!(3)));

    account.write("fleet.yaml", &FLEET.replace("concurrency: 3", "concurrency: 4"));
    let second = account.run(&["publish", &configs, PLACE]);
    assert!(second.stdout.contains("checkout"), "the difference is shown: {}", second.stdout);
    let target = || {
        account.run(&["explain", "checkout", "--json", "--at", "2026-11-20T09:00:00Z", PLACE]).json()["target"].clone()
    };
    assert_eq!(target(), 4);
    let again = account.run(&["publish", &configs, PLACE]);
    assert!(again.stdout.contains("is live at s3://warmd-config/live already"), "{}", again.stdout);
    let back = account.run(&["publish", "--rollback", PLACE]);
    let (difference, switched) = back.stdout.trim_end().rsplit_once('\n').unwrap();
    assert!(difference.contains("~ checkout") && difference.contains("4 → 3"), "{difference}");
    assert!(switched.starts_with(&format!("{hash} is live at s3://warmd-config/live again")), "{switched}");
    assert_eq!(target(), 3);
    let further = account.run(&["publish", "--rollback", PLACE]);
    assert_eq!((further.code, further.stderr.contains("nothing was live")), (2, true));
}

#[test]
fn what_is_refused_is_not_published() {
    let account = Account::new();
    account.write("fleet.yaml", "version: 2\n");
    let refused = account.run(&["publish", &account.configs(), PLACE]);
    assert_eq!((refused.code, refused.stderr.contains("this version is not known")), (2, true));
    let empty = account.run(&["check", PLACE]);
    assert_eq!((empty.code, empty.stderr.contains("there is no .yaml object under this prefix")), (2, true));
    for wrong in [
        &["publish", "configs"][..],
        &["publish", PLACE],
        &["publish", "--rollback", "x", PLACE],
        &["check", PLACE, "x"],
    ] {
        assert_eq!(account.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn what_nobody_could_read_there_is_not_made_live() {
    let account = Account::new();
    let configs = account.configs();
    assert_eq!(account.run(&["publish", &configs, PLACE]).code, 0);
    // Sound here. In the bucket there is no such place.
    let absolute = format!("{configs}/holidays/uk.yaml");
    account.write("fleet.yaml", &FLEET.replace("holidays/uk.yaml", &absolute));
    assert_eq!(account.run(&["check", &configs]).code, 0);
    let refused = account.run(&["publish", &configs, PLACE]);
    assert_eq!((refused.code, refused.stderr.contains("there is no such object")), (2, true));
    assert_eq!(account.run(&["check", PLACE]).code, 0);
}

#[test]
fn an_object_that_somebody_deleted_is_published_again() {
    let account = Account::new();
    let configs = account.configs();
    assert_eq!(account.run(&["publish", &configs, PLACE]).code, 0);
    let digest: String = Sha256::digest(FLEET).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut stream = TcpStream::connect(account.emulate.endpoint.strip_prefix("http://").unwrap()).unwrap();
    let object = format!("/warmd-config/live/objects/{digest}/fleet.yaml");
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=test/20261120/eu-west-2/s3/aws4_request";
    write!(stream, "DELETE {object} HTTP/1.1\r\nhost: s3\r\n{signed}\r\nconnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let broken = account.run(&["check", PLACE]);
    assert_eq!((broken.code, broken.stderr.contains("is missing")), (2, true), "{}", broken.stderr);
    let again = account.run(&["publish", &configs, PLACE]);
    assert_eq!((again.code, again.stdout.contains("already")), (0, true), "{}", again.stderr);
    assert_eq!(account.run(&["check", PLACE]).code, 0);
}

#[test]
fn pauses_are_honoured_shown_and_ended() {
    let account = Account::new();
    let state = account.folder.path().join("state").to_string_lossy().into_owned();
    for state in [state.as_str(), "s3://warmd-state/live"] {
        let paused =
            account.run(&["pause", "checkout", "--for", "1h", "--reason", "migration", "--state", state]);
        assert!(paused.code == 0 && paused.stdout.starts_with("checkout paused until "), "{}", paused.stderr);
        let explained = account.run(&["explain", "checkout", "--state", state, &account.configs()]);
        assert!(explained.stdout.contains(": migration"), "{}", explained.stdout);
        let status = account.run(&["status", "--state", state]);
        assert!(status.stdout.contains("checkout is paused until "), "{}", status.stdout);
        let resumed = account.run(&["resume", "checkout", "--state", state]);
        assert_eq!(resumed.stdout, "checkout resumed\n");
        assert_eq!(account.run(&["resume", "--all", "--state", state]).stdout, "everything was not paused\n");
    }
    let nowhere = account.run(&["status"]);
    assert_eq!((nowhere.code, nowhere.stderr.contains("say --state, or set WARMD_STATE")), (2, true));
}

#[test]
fn the_daemon_keeps_state_and_status_tells_it() {
    use crate::support::Running;
    let account = Account::new();
    let (configs, state) =
        (account.configs(), account.folder.path().join("state").to_string_lossy().into_owned());
    let daemon =
        || Running::start(with_aws(warmd(&["run", "--state", &state, &configs]), &account.emulate.endpoint));
    let first = daemon();
    first.await_stdout("1 target: ✓ 1 reached");
    first.signal("TERM");
    first.end();
    let status = account.run(&["status", "--json", "--state", &state]).json();
    assert_eq!(status["status"]["targets"]["checkout eu-west-2"]["reached"], 3);
    // A restart does not serve again what was served just now; a pause is honoured by what runs next.
    let shown = account.run(&["status", "checkout", "--state", &state]);
    assert!(shown.stdout.contains("checkout eu-west-2: target 3, reached 3, reached"), "{}", shown.stdout);
}

#[test]
fn a_request_goes_over_the_bus() {
    let account = Account::new();
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
    assert_eq!(asked.stdout, "asked for 5 environments of nlp:live on the bus\n", "{}", asked.stderr);
    let lonely = account.run(&["warm", "nlp:live", "-n", "5", "--for", "10m"]);
    assert_eq!((lonely.code, lonely.stderr.contains("--via-bus")), (2, true));
}

#[test]
fn what_a_deployment_needs_is_printed() {
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
