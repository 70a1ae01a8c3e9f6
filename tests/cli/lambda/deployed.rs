//! Deployments that CloudTrail reports.

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use warmd::deploy::{EventKind, sample};
use warmd::emulator::Scenario;

use super::support::{LambdaHarness, Setting, now};
use crate::support::{rounds, run};

const FLEET: &str = "
version: 1
defaults: { region: eu-west-2, interval: 1h, canary: off }
functions:
  nlp-inference:live: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  thumbnails: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  closed: { on_request: { max_concurrency: 5, max_for: 30m } }
";

/// Returns the event of a call that was made just now.
fn deployed(call: &str, parameters: Value) -> Value {
    let mut event = sample(EventKind::Deployed);
    let at = (now() - TimeDelta::seconds(2)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let detail = &mut event["detail"];
    (detail["eventName"], detail["eventTime"], detail["requestParameters"]) =
        (json!(call), json!(at), parameters);
    event
}

#[tokio::test]
async fn the_printed_sample_warms_the_targets_of_its_alias_once() {
    let state = [("WARMD_STATE", "s3://warmd-state/live"), ("WARMD_BUS", "default")];
    let setting = Setting { scenario: Scenario::default(), config: FLEET, variables: &state };
    let mut harness = LambdaHarness::set(setting).await;
    let mut other = LambdaHarness::beside(harness.emulator.clone(), FLEET, &state).await;
    let printed: Value = serde_json::from_str(&run(&["lambda-event", "deployed"]).stdout).unwrap();
    assert_eq!(printed["detail"]["eventTime"], printed["time"]);
    assert_eq!(rounds(&harness.tick(printed.clone()).await), ["nlp-inference 3 reached"]);
    for harness in [&mut harness, &mut other] {
        assert_eq!(rounds(&harness.tick(printed.clone()).await), ["nlp-inference 3 coalesced"]);
    }
    assert_eq!(harness.metric("Pings"), Some(3.0));
    let code = deployed("UpdateFunctionCode20150331v2", json!({ "functionName": "thumbnails" }));
    assert_eq!(rounds(&other.tick(code).await), ["thumbnails 2 reached"]);
    assert_eq!(harness.emulator.observe().events.len(), 0, "no event has the result");
}

#[tokio::test]
async fn events_of_others_send_nothing_and_are_no_error() {
    let variables = [("WARMD_BUS", "default")];
    let setting = Setting { scenario: Scenario::default(), config: FLEET, variables: &variables };
    let mut harness = LambdaHarness::set(setting).await;
    let code = "UpdateFunctionCode20150331v2";
    let mut failed = deployed(code, json!({ "functionName": "thumbnails" }));
    failed["detail"]["errorCode"] = json!("ResourceConflictException");
    for event in [
        deployed(code, json!({ "functionName": "somebody-elses" })),
        deployed(code, json!({ "functionName": "nlp-inference" })),
        deployed(code, json!({ "functionName": "closed" })),
        deployed(code, json!({ "functionName": "thumbnails", "dryRun": true })),
        deployed(code, json!({ "functionName": ["thumbnails"] })),
        deployed(code, json!({ "functionName": "x".repeat(200_000) })),
        deployed(code, Value::Null),
        deployed("DeleteFunction20150331", json!({ "functionName": "thumbnails" })),
        failed,
    ] {
        let tick = harness.tick(event).await;
        assert_eq!((rounds(&tick), &tick["unfinished"]), (vec![], &json!([])));
    }
    let seen = harness.emulator.observe();
    assert_eq!((seen.invocations.len(), seen.metrics.len(), seen.reads.len()), (0, 0, 0));
    assert!(harness.stderr().contains("is ignored"), "{}", harness.stderr());
}
