//! Runs the handler snippets, each in its own language, with the same events.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use warmd::cli::handler::{Language, snippet};
use warmd::domain::protocol::{PingContext, Protocol};

#[path = "../../src/cli/handlers/rust.rs"]
mod rust;

/// The output of a driver, one line of JSON.
#[derive(serde::Deserialize)]
struct Results {
    /// The environment id before the first invocation.
    at_load: Value,
    /// The responses to two pings of 60 ms, and the duration of the first in ms.
    first: Value,
    second: Value,
    took_ms: f64,
    /// The hold of a ping of 900 s, in ms.
    longest_ms: f64,
    /// The other events, as the user's handler received them.
    passed: Vec<Value>,
    /// The message of the user's own error.
    raised: String,
}

/// Returns a ping of 60 ms.
fn ping() -> Value {
    ping_of(60)
}

/// Returns the payload of the protocol `warmd`.
fn ping_of(hold_ms: u64) -> Value {
    let context = PingContext { round: "r", index: 0, concurrency: 2, hold_ms };
    serde_json::from_slice(&Protocol::Warmd.payload(&context)).unwrap()
}

/// Returns events that are not pings, some of them similar.
fn others() -> Vec<Value> {
    vec![
        json!(null),
        json!("warmd"),
        json!(7),
        json!([]),
        json!({}),
        json!({"order": {"id": 1}, "warm": true}),
        json!({"warmd": null}),
        json!({"warmd": "ping"}),
        json!({"warmd": []}),
        json!({"warmd": {}}),
        json!({"warmd": {"run": {"at": "2026-11-20T09:00:00Z"}}}),
        json!({"warmd": {"version": 1}}),
        json!({"warmd": {"version": 2, "hold_ms": 1}}),
        json!({"warmd": {"version": 1, "hold_ms": "1"}}),
        json!({"warmd": {"version": 1, "hold_ms": true}}),
        json!({"warmd": {"version": 1, "hold_ms": null}}),
        json!({"warmd": {"version": 1, "hold_ms": -1}}),
        json!({"warmd": {"version": 1, "hold_ms": 1_000_000_000_000_u64}}),
    ]
}

/// Writes the snippet as `file` beside `driver`, and runs `program driver`. Returns `None` if the program is not
/// installed. In continuous integration that is an error.
fn run(program: &str, language: Language, file: &str, driver: (&str, &str)) -> Option<Results> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(file), snippet(language)).unwrap();
    std::fs::write(dir.path().join(driver.0), driver.1).unwrap();
    let input = json!({"ping": ping(), "long": ping_of(900_000), "others": others()}).to_string();
    let mut command = Command::new(program);
    command.arg(driver.0).arg(input).current_dir(dir.path()).env(INITIALIZATION, "snap-start");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("{program} is not installed: its snippet was not run");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

const INITIALIZATION: &str = "AWS_LAMBDA_INITIALIZATION_TYPE";

/// Checks a response and returns its environment id. `initialization` is the expected type.
fn environment(answer: &Value, initialization: Option<&str>) -> String {
    let found = Protocol::Warmd.answered_by(answer.to_string().as_bytes());
    assert_eq!(found.initialization.as_deref(), initialization);
    let id = found.environment.expect("an id in the response");
    assert!(id.len() >= 32, "128 random bits: {id}");
    let whole = json!({"warmd": {"environment": id, "initialization": initialization}});
    assert_eq!(*answer, whole, "no other keys");
    id
}

fn check(results: &Results) -> String {
    assert_eq!(results.at_load, Value::Null, "the id is created on the first invocation");
    let id = environment(&results.first, Some("snap-start"));
    assert_eq!(environment(&results.second, Some("snap-start")), id, "one environment, one id");
    assert!((results.longest_ms - 10_000.0).abs() < 0.001, "{} ms", results.longest_ms);
    // Timers may fire a millisecond early, and late on a loaded machine.
    assert!((59.0..5_000.0).contains(&results.took_ms), "held for {} ms", results.took_ms);
    assert_eq!(results.passed, others(), "other events are unchanged");
    assert_eq!(results.raised, "mine");
    id
}

const PYTHON: &str = r#"
import json, sys, time
import warmd_handler
from warmd_handler import warmd

given = json.loads(sys.argv[1])
at_load = warmd_handler._environment

@warmd
def handler(event, context):
    "The user's."
    assert context == "context"
    if event == "fail":
        raise ValueError("mine")
    return {"saw": event}

assert handler.__name__ == "handler" and handler.__doc__ == "The user's."
began = time.monotonic()
first = handler(given["ping"], "context")
took_ms = (time.monotonic() - began) * 1000
second = handler(given["ping"], "context")
passed = [handler(event, "context")["saw"] for event in given["others"]]
try:
    handler("fail", "context")
except ValueError as error:
    raised = str(error)
held = []
warmd_handler.time.sleep = held.append
handler(given["long"], "context")
print(json.dumps(dict(at_load=at_load, first=first, second=second, took_ms=took_ms, longest_ms=held[0] * 1000,
                      passed=passed, raised=raised)))
"#;

const NODE: &str = r#"
import { warmd } from "./warmd-handler.mjs";
import assert from "node:assert";

const given = JSON.parse(process.argv[2]);
const handler = warmd(async (event, context) => {
  assert.equal(context, "context");
  if (event === "fail") throw new Error("mine");
  return { saw: event };
});
const began = performance.now();
const first = await handler(given.ping, "context");
const took_ms = performance.now() - began;
const second = await handler(given.ping, "context");
const passed = [];
for (const event of given.others) passed.push((await handler(event, "context")).saw);
const raised = await handler("fail", "context").catch((error) => error.message);

// A handler with a callback receives it. The wrapper returns no promise, which would end the invocation early.
const withCallback = warmd((event, context, callback) => {
  setImmediate(callback, null, event);
});
let called;
const back = withCallback({ order: 1 }, "context", (error, result) => (called = result));
assert.equal(back, undefined);
await new Promise((resolve) => setTimeout(resolve, 20));
assert.deepEqual(called, { order: 1 });
// The runtime treats a handler with three parameters as one with a callback.
assert.equal(handler.length, 2);

let longest_ms;
globalThis.setTimeout = (done, delay, ...rest) => {
  longest_ms = delay;
  setImmediate(done, ...rest);
};
await handler(given.long, "context");

console.log(JSON.stringify({ at_load: null, first, second, took_ms, longest_ms, passed, raised }));
"#;

/// Counts the calls that create an id: none while the module is loaded.
const NODE_LOAD: &str = r#"
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

let calls = 0;
const real = crypto.randomUUID;
crypto.randomUUID = (...options) => (calls++, real(...options));
syncBuiltinESMExports();
const { warmd } = await import("./warmd-handler.mjs");
const handler = warmd(() => "mine");
const atLoad = calls;
handler({});
handler({});
console.log(JSON.stringify([atLoad, calls]));
"#;

#[test]
fn python() {
    let run = || run("python3", Language::Python, "warmd_handler.py", ("driver.py", PYTHON));
    let (Some(one), Some(other)) = (run(), run()) else { return };
    assert_ne!(check(&one), check(&other), "two environments, two ids");
}

#[test]
fn node() {
    let run = || run("node", Language::Node, "warmd-handler.mjs", ("driver.mjs", NODE));
    let (Some(one), Some(other)) = (run(), run()) else { return };
    assert_ne!(check(&one), check(&other), "two environments, two ids");
}

#[test]
fn node_creates_the_id_on_the_first_invocation() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("warmd-handler.mjs"), snippet(Language::Node)).unwrap();
    std::fs::write(dir.path().join("driver.mjs"), NODE_LOAD).unwrap();
    let Ok(output) = Command::new("node").arg("driver.mjs").current_dir(dir.path()).output() else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[0,1]");
}

/// Applies the changes for CommonJS that the comment of the snippet describes.
#[test]
fn node_as_common_js() {
    let import = r#"import { randomUUID } from "node:crypto";"#;
    let source = snippet(Language::Node);
    assert!(source.contains(import));
    let source = source
        .replace(import, r#"const { randomUUID } = require("node:crypto");"#)
        .replace("export function", "function");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("warmd-handler.cjs"),
        format!("{source}\nmodule.exports = {{ warmd }};\n"),
    )
    .unwrap();
    let driver = r#"require("./warmd-handler.cjs").warmd(() => 0)({ warmd: { version: 1, hold_ms: 0 } }).then((a) => console.log(JSON.stringify(a)));"#;
    let mut command = Command::new("node");
    let Ok(output) = command.args(["-e", driver]).current_dir(dir.path()).env_remove(INITIALIZATION).output()
    else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    environment(&serde_json::from_slice(&output.stdout).unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn rust() {
    let began = tokio::time::Instant::now();
    let first = rust::answer(&ping()).await.expect("a response to a ping");
    assert_eq!(began.elapsed(), Duration::from_millis(60));
    let second = rust::answer(&ping()).await.expect("a response to a ping");
    let initialization = std::env::var(INITIALIZATION).ok();
    let id = |answer| environment(answer, initialization.as_deref());
    assert_eq!(id(&first), id(&second));
    let began = tokio::time::Instant::now();
    rust::answer(&ping_of(900_000)).await.expect("a response to a ping");
    assert_eq!(began.elapsed(), Duration::from_secs(10), "the upper limit of a hold");
    for event in others() {
        assert_eq!(rust::answer(&event).await, None, "{event}");
    }
}

#[test]
fn snippets_are_short_and_contain_an_example() {
    for (language, call) in [
        (Language::Python, "@warmd"),
        (Language::Node, "warmd(async"),
        (Language::Rust, "answer(&event.payload)"),
    ] {
        let source = snippet(language);
        assert!(source.contains(call));
        assert!(source.lines().count() <= 50 && source.ends_with('\n'));
    }
}
