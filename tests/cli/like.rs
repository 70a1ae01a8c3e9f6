//! `warmd warm --like`: a new version with the number of its alias, before traffic moves to it.

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use warmd::domain::events::{DirectNeed, LambdaEvent};
use warmd::domain::function::{Qualifier, Region};
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{Done, Fixture, root, write};

const FLEET: &str = "
version: 1
defaults: { region: eu-west-2, interval: 5m, timezone: Europe/London }
functions:
  orders:live: { windows: [{ days: daily, hours: all-day, concurrency: 4 }] }
  quiet:live: { windows: [{ dates: [2020-01-01], hours: all-day, concurrency: 4 }] }
  later:live: { windows: [{ dates: [2998-01-02], hours: \"08:00-09:00\", concurrency: 4 }] }
  works:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  off:live: { canary: off, windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  full:live: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  gone:live: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  durable:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  asked:live:
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
    on_request: { max_concurrency: 9, max_for: 1h }
  far:live: { regions: [eu-west-2, us-east-1], windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  shop:live: { protocol: bref, windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  secret:live:
    protocol: custom
    payload: { token: \"${env:TOKEN}\" }
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
";
const FUNCTIONS: &str = "
functions:
  orders: { aliases: { live: 7 }, versions: { 7: { code: a }, 8: { code: b } } }
  works: { aliases: { live: 7 }, versions: { 7: { code: a }, 8: { code: b, handler: none, unrecognized: KeyError }, 9: { code: c } } }
  shop: { handler: bref }
  full: { faults: [{ fault: throttle, reason: ReservedFunctionConcurrentInvocationLimitExceeded }] }
  durable: { configuration: { DurableConfig: { ExecutionTimeout: 60 } } }
  off: {}
  far: {}
  asked: {}
  later: {}
  quiet: {}
  secret: {}
  blind: { faults: [{ fault: no-log }] }
";

fn fixture() -> Fixture {
    Fixture::with_functions(FLEET, FUNCTIONS)
}

fn warm(fixture: &Fixture, args: &str) -> Done {
    let configs = fixture.configs();
    let args: Vec<&str> =
        ["warm"].into_iter().chain(args.split(' ')).chain(["--configs", &configs]).collect();
    fixture.run(&args)
}

/// Returns the results of the rounds of a tick object: function, verdict or reason, reached of the number, whether a
/// ping preceded it.
fn rounds(done: &Done) -> Vec<String> {
    let tick = done.json();
    let shown = |round: &Value| {
        let result = round["skipped"].as_str().or(round["verdict"].as_str()).unwrap();
        let [function, qualifier] = ["function", "qualifier"].map(|key| round[key].as_str().unwrap());
        let first = if round["first_pings"] == 0 { "" } else { ", one first" };
        format!("{function}:{qualifier} {result} {}/{}{first}", round["reached"], round["target"])
    };
    tick["rounds"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn a_new_version_gets_the_number_and_the_settings_of_its_alias() {
    let fixture = fixture();
    let done = warm(&fixture, "orders:8 --like live --require-reached --json");
    assert_eq!(
        (done.code, rounds(&done)),
        (0, vec!["orders:8 reached 4/4, one first".to_owned()]),
        "{}",
        done.stderr
    );
    let invocations = fixture.emulate.observations()["invocations"].as_array().unwrap().clone();
    assert!(invocations.len() > 4);
    assert!(invocations.iter().all(|ping| ping["version"] == "8"), "{invocations:?}");
    // An ARN, as CloudFormation has it for a version.
    let done = warm(&fixture, "arn:aws:lambda:eu-west-2:123456789012:function:orders:8 --like live --json");
    assert_eq!((done.code, &done.json()["rounds"][0]["reached"]), (0, &json!(4)), "{}", done.stderr);
    let done = warm(&fixture, "shop:3 --like live --json");
    assert_eq!(done.json()["rounds"][0]["target"], 3, "{}", done.stderr);
    let presets = fixture.emulate.observations()["invocations"].as_array().unwrap().clone();
    let of_shop = presets.iter().filter(|ping| ping["function"] == "shop");
    assert!(of_shop.clone().all(|ping| ping["preset"] == "bref") && of_shop.count() >= 4, "{presets:?}");
    // A canary that is off, and a region of several.
    let done = warm(&fixture, "off:2 --like live --json");
    assert_eq!(rounds(&done), ["off:2 reached 2/2"]);
    let done = warm(&fixture, "far:2 --like live --region us-east-1 --json");
    assert_eq!((done.code, &done.json()["rounds"][0]["region"]), (0, &json!("us-east-1")));
}

#[test]
fn what_is_not_proven_exits_with_3() {
    let fixture = fixture();
    for (args, expected) in [
        ("works:8 --like live", "works:8 unsafe null/2, one first"),
        ("gone:8 --like live", ""),
        ("full:8 --like live", ""),
        ("durable:8 --like live", "durable:8 durable null/2"),
    ] {
        let done = warm(&fixture, &format!("{args} --require-reached --json"));
        assert_eq!(done.code, 3, "{args}: {}{}", done.stdout, done.stderr);
        let [round] = &rounds(&done)[..] else { panic!("{}", done.stdout) };
        assert!(!round.contains(" reached ") && round.ends_with(expected), "{round}");
    }
    // Without an alias, and for verdicts that are a success otherwise.
    let unproven = |more: &[&str]| {
        let args = ["warm", "blind", "-n", "3", "--protocol", "custom", "--payload", "{}"];
        fixture.run(&[&args[..], more].concat()).code
    };
    assert_eq!((unproven(&[]), unproven(&["--require-reached"])), (0, 3));
    assert_eq!(fixture.run(&["warm", "orders", "-n", "2", "--require-reached"]).code, 0);
}

#[test]
fn an_alias_without_pings_leaves_nothing_to_warm() {
    let fixture = fixture();
    let day = (SystemClock.now() + TimeDelta::days(3)).format("%Y-%m-%d").to_string();
    fixture.write("fleet.yaml", &FLEET.replace("2998-01-02", &day));
    let later = warm(&fixture, "later:8 --like live --require-reached");
    let lines: Vec<&str> = later.stdout.lines().skip(1).collect();
    let [_, nothing, next] = lines[..] else { panic!("{lines:?}") };
    assert_eq!((later.code, nothing), (0, "nothing to warm: later:live (eu-west-2) has no pings now"));
    assert!(next.starts_with("next: later:live (eu-west-2) to 4 at "), "{next}");
    let quiet = warm(&fixture, "quiet:8 --like live --require-reached");
    assert!(
        quiet.stdout.ends_with("nothing to warm: quiet:live (eu-west-2) has no pings now\n"),
        "{}",
        quiet.stdout
    );
    let object = warm(&fixture, "quiet:8 --like live --require-reached --json");
    assert_eq!((object.code, &object.json()["rounds"]), (0, &json!([])), "{}", object.stderr);
    assert_eq!(fixture.emulate.observations()["invocations"], json!([]));
}

#[test]
fn requests_pauses_and_trust_are_those_of_the_store() {
    let fixture = fixture();
    let folder = fixture.folder.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    let time = |seconds| {
        (SystemClock.now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let request = json!({
        "concurrency": 6, "asked": time(-90), "since": time(-150), "until": time(3_000), "reason": null,
    });
    let document = json!({ "targets": { "asked:live eu-west-2": request } });
    write(&folder, "requests.1.json", &document.to_string());
    let state = folder.to_str().unwrap();
    let like = |function: &str| {
        warm(&fixture, &format!("{function} --like live --require-reached --json --state {state}"))
    };
    let asked = like("asked:2");
    assert_eq!(
        (asked.code, rounds(&asked)),
        (0, vec!["asked:2 reached 6/6, one first".to_owned()]),
        "{}",
        asked.stderr
    );
    let again = like("asked:2");
    assert_eq!(rounds(&again), ["asked:2 reached 6/6"], "its code is trusted");
    assert_eq!(
        rounds(&warm(&fixture, "asked:2 --like live --json")),
        ["asked:2 reached 1/1, one first"],
        "without --state"
    );
    let paused = fixture.run(&["pause", "asked:live", "--for", "10m", "--reason", "r", "--state", state]);
    assert_eq!(paused.code, 0, "{}", paused.stderr);
    let done = like("asked:2");
    assert_eq!((done.code, rounds(&done)), (0, vec!["asked:2 paused null/6".to_owned()]), "{}", done.stderr);
}

#[test]
fn a_version_after_an_unsafe_one_is_tried() {
    let fixture = fixture();
    let state = fixture.folder.path().join("state");
    let state = state.to_str().unwrap();
    let like = |version: u32| {
        let done = warm(&fixture, &format!("works:{version} --like live --json --state {state}"));
        (done.code, rounds(&done))
    };
    assert_eq!(like(8), (3, vec!["works:8 unsafe null/2, one first".to_owned()]));
    assert_eq!(like(8), (3, vec!["works:8 unsafe null/2".to_owned()]), "nothing is sent again");
    assert_eq!(like(9), (0, vec!["works:9 reached 2/2, one first".to_owned()]));
}

#[test]
fn mistakes_are_refused_before_anything_is_sent() {
    let fixture = fixture();
    let refused = |args: &str| {
        let done = warm(&fixture, args);
        assert_eq!(done.code, 2, "{args}: {}", done.stdout);
        let message = done.stderr.lines().take(3).collect::<Vec<_>>().join(" ");
        format!("{args}: {message}")
    };
    let all = [
        "orders:8 --like lvie",
        "order:8 --like live",
        "arn:aws:lambda:eu-west-2:123456789012:function:order:8 --like live",
        "orders --like live",
        "orders:live --like live",
        "orders:8 --like a.b",
        "far:2 --like live",
        "far:2 --like live --region eu-west-1",
        "orders:8 --like live --tenant a",
        "secret:2 --like live",
        "orders:8 --like live --for 5m",
        "orders:8 --like live -n 4",
        "orders:8 --like live --via-bus",
        "orders:8 --like live --payload {}",
        "orders:8 -n 4",
    ];
    insta::assert_snapshot!(all.map(refused).join("\n"), @r#"
    orders:8 --like lvie: error: `orders:lvie` is not in the configuration; did you mean `orders:live`?
    order:8 --like live: error: `order:live` is not in the configuration; did you mean `orders:live`?
    arn:aws:lambda:eu-west-2:123456789012:function:order:8 --like live: error: `arn:aws:lambda:eu-west-2:123456789012:function:order:live` is not in the configuration of eu-west-2
    orders --like live: error: expected a version that is to be warmed like `live`, such as `orders:8`, found "orders"
    orders:live --like live: error: expected a version that is to be warmed like `live`, such as `orders:8`, found "orders:live"
    orders:8 --like a.b: error: invalid value 'a.b' for '--like <ALIAS>': expected a qualifier ($LATEST, a version number, or an alias of A-Z a-z 0-9 _ -), found "a.b"  For more information, try '--help'.
    far:2 --like live: error: `far:live` is configured in several regions: add --region with one of eu-west-2, us-east-1
    far:2 --like live --region eu-west-1: error: `far:live` is not in the configuration of eu-west-1
    orders:8 --like live --tenant a: error: `orders:live` is not in the configuration for the tenant "a"
    secret:2 --like live: error: `secret:live`: not set in the environment: "TOKEN"
    orders:8 --like live --for 5m: error: --for requires --via-bus
    orders:8 --like live -n 4: error: the argument '--like <ALIAS>' cannot be used with '--concurrency <N>'  Usage: warmd warm --like <ALIAS> --configs <PATH>... <FUNCTION>
    orders:8 --like live --via-bus: error: the argument '--like <ALIAS>' cannot be used with '--via-bus'  Usage: warmd warm --like <ALIAS> --configs <PATH>... <FUNCTION>
    orders:8 --like live --payload {}: error: --payload requires `--protocol custom`
    orders:8 -n 4: error: --configs requires --like
    "#);
    assert_eq!(fixture.emulate.observations()["invocations"], json!([]));
}

/// Returns the code of the hook in README.md.
fn hook() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, code) = readme.split_once("      InlineCode: |\n").unwrap();
    let (code, _) = code.split_once("\n```").unwrap();
    code.lines().map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or_default())).collect()
}

/// Invokes the hook with each answer of the warmer, with modules in place of boto3. `null` is a failed call.
const DRIVER: &str = r#"
import io, json, os, sys, types

class Client:
    def invoke(self, FunctionName, Payload):
        assert FunctionName == "warmd"
        sent.append(json.loads(Payload))
        if answer is None:
            raise TimeoutError("no answer")
        whole = {"Payload": io.BytesIO(json.dumps(answer["body"]).encode())}
        return {**whole, "FunctionError": "Unhandled"} if answer["error"] else whole

    def put_lifecycle_event_hook_execution_status(self, deploymentId, lifecycleEventHookExecutionId, status):
        assert (deploymentId, lifecycleEventHookExecutionId) == ("d-1", "h-1")
        reported.append(status)

sys.modules["boto3"] = types.SimpleNamespace(client=lambda name, config=None: Client())
sys.modules["botocore"] = types.ModuleType("botocore")
sys.modules["botocore.config"] = types.SimpleNamespace(Config=dict)
os.environ.update(WARMD="warmd", ALIAS="live", VERSION="arn:aws:lambda:eu-west-2:123456789012:function:orders:8")
sent, reported = [], []
import index
index.print = lambda *_: None
for answer in json.load(sys.stdin):
    try:
        index.handler({"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "h-1"}, None)
    except TimeoutError:
        assert answer is None
print(json.dumps({"sent": sent, "reported": reported}))
"#;

#[test]
fn the_hook_of_the_readme_reports_whether_the_version_is_warm() {
    let fixture = fixture();
    let tick = |args: &str| warm(&fixture, &format!("{args} --like live --json")).json();
    let (reached, short, nothing) = (tick("orders:8"), tick("gone:8"), tick("quiet:8"));
    let change = |key: &str, value: Value| {
        let mut tick = reached.clone();
        tick["rounds"][0][key] = value;
        tick
    };
    let mut paused = change("verdict", json!("skipped"));
    paused["rounds"][0]["skipped"] = json!("paused");
    let backed_off = change("backed_off_from", json!(8));
    let mut unfinished = nothing.clone();
    unfinished["unfinished"] = json!([{ "function": "orders", "reason": "deadline" }]);
    let (unproven, refused) = (change("verdict", json!("unproven")), json!({ "errorType": "EventRefused" }));
    let cases = [
        (json!({ "body": reached, "error": false }), "Succeeded"),
        (json!({ "body": nothing, "error": false }), "Succeeded"),
        (json!({ "body": paused, "error": false }), "Succeeded"),
        (json!({ "body": short, "error": false }), "Failed"),
        (json!({ "body": unproven, "error": false }), "Failed"),
        (json!({ "body": backed_off, "error": false }), "Failed"),
        (json!({ "body": unfinished, "error": false }), "Failed"),
        (json!({ "body": refused, "error": true }), "Failed"),
        (Value::Null, "Failed"),
    ];
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "index.py", &hook());
    write(folder.path(), "driver.py", DRIVER);
    let answers: Vec<&Value> = cases.iter().map(|(answer, _)| answer).collect();
    let answers = write(folder.path(), "answers.json", &json!(answers).to_string());
    let mut python = std::process::Command::new("python3");
    python.arg("driver.py").current_dir(folder.path()).stdin(std::fs::File::open(answers).unwrap());
    let output = match python.output() {
        Ok(output) => output,
        Err(error) if std::env::var_os("CI").is_none() => {
            return eprintln!("python3 is not installed: {error}");
        }
        Err(error) => panic!("{error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["reported"], json!(cases.iter().map(|(_, status)| status).collect::<Vec<_>>()));
    // The Lambda accepts what the hook sends.
    let event = LambdaEvent::parse(&result["sent"][0]).unwrap();
    let LambdaEvent::Warm(warm) = event else { panic!("{event:?}") };
    assert_eq!(
        (warm.function.to_string().as_str(), warm.region.map(Region::as_str)),
        ("orders:8", Some("eu-west-2"))
    );
    assert_eq!(warm.need, DirectNeed::Like(Qualifier::parse("live").unwrap()));
}
