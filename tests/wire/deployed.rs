//! Deployments: the round that follows an event of CloudTrail, with the real SDK over HTTP against the emulator.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::{Instant, sleep};
use warmd::deploy::{EventKind, sample};
use warmd::domain::events::LambdaEvent;
use warmd::emulator::Operation;
use warmd::engine::ports::Clock;
use warmd::service::Trigger;

use crate::guards::{Account, Process, daemon, fleet, shown};

const FLEET: &str = "
functions:
  orders: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  canary:live: { canary: off, windows: [{ days: daily, hours: all-day, concurrency: 4 }] }
";

/// Returns the event of a call at `at`, as the Lambda parses it.
fn event(call: &str, function: &str, at: DateTime<Utc>) -> Trigger {
    let mut event = sample(EventKind::Deployed);
    let detail = &mut event["detail"];
    (detail["eventName"], detail["eventTime"]) = (json!(call), json!(at.to_rfc3339()));
    detail["requestParameters"] = json!({ "functionName": function, "name": "live" });
    match LambdaEvent::parse(&event).unwrap() {
        LambdaEvent::Deployed(deployment) => Trigger::Deployed(deployment),
        other => panic!("{other:?}"),
    }
}

/// Serves the event of a call that was made just now. Returns the rounds, and the time that it took.
async fn serve(process: &Process, account: &Account, call: &str, function: &str) -> (Vec<String>, Duration) {
    let trigger = event(call, function, account.clock.now());
    let began = Instant::now();
    let report = process.serve(trigger).await.report;
    (shown(&json!(report)), began.elapsed())
}

fn reads(account: &Account, operation: Operation) -> usize {
    account.emulator.observe().reads.iter().filter(|read| read.operation == operation).count()
}

#[tokio::test(start_paused = true)]
async fn new_code_is_contacted_and_warmed_once_its_update_is_complete() {
    let account = Account::new("functions: { orders: { code: a, init: 800ms }, canary: {} }");
    let process = account.process(fleet(FLEET), daemon());
    assert_eq!(shown(&process.tick().await), ["canary:live: 4 reached 0+4", "orders: 3 reached 2+3"]);
    sleep(Duration::from_secs(20)).await;
    account.emulator.reset();
    account.change("functions: { orders: { code: b, configuration: { LastUpdateStatus: InProgress } } }");
    let completing = async {
        sleep(Duration::from_millis(3_500)).await;
        assert_eq!(account.emulator.observe().invocations.len(), 0, "nothing is sent before");
        account.change("functions: { orders: { configuration: { LastUpdateStatus: Successful } } }");
    };
    let serving = serve(&process, &account, "UpdateFunctionCode20150331v2", "orders");
    let ((rounds, took), ()) = tokio::join!(serving, completing);
    assert_eq!(rounds, ["orders: 3 reached 2+3"], "other code, so one ping precedes the round");
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(reads(&account, Operation::GetFunctionConfiguration), 4 + 1, "and one by the first contact");
    // Another process has the facts and the result of the contact.
    let other = account.process(fleet(FLEET), daemon());
    assert_eq!(shown(&other.tick().await), ["canary:live: 4 reached 0+4", "orders: 3 reached 0+3"]);
}

#[tokio::test(start_paused = true)]
async fn the_routing_of_an_alias_is_known_from_its_event_on() {
    let account = Account::new("functions: { orders: {}, canary: { aliases: { live: 7 } } }");
    let process = account.process(fleet(FLEET), daemon());
    process.tick().await;
    account.change("functions: { canary: { aliases: { live: { 7: 0.9, 8: 0.1 } } } }");
    account.emulator.reset();
    let (rounds, _) = serve(&process, &account, "UpdateAlias20150331", "canary").await;
    assert!(rounds[0].starts_with("canary:live: 4 "), "{rounds:?}");
    assert_eq!(reads(&account, Operation::GetAlias), 1);
    let facts = account.document("facts-eu-west-2").await;
    let routing = &facts["functions"]["canary:live eu-west-2"]["seen"]["alias"]["known"];
    assert_eq!((&routing["version"], &routing["others"]), (&json!("7"), &json!({ "8": 100_000 })), "{facts}");
}

#[tokio::test(start_paused = true)]
async fn processes_with_one_store_serve_a_deployment_once() {
    let account = Account::new("functions: { orders: { configuration: { LastUpdateStatus: InProgress } } }");
    let processes = [0, 1, 2].map(|_| account.process(fleet(FLEET), daemon()));
    let [one, two, three] = &processes;
    let call = |process| serve(process, &account, "UpdateFunctionConfiguration20150331v2", "orders");
    let completing = async {
        sleep(Duration::from_secs(2)).await;
        account.change("functions: { orders: { configuration: { LastUpdateStatus: Successful } } }");
    };
    let (one, two, three, ()) = tokio::join!(call(one), call(two), call(three), completing);
    let mut rounds = [one.0, two.0, three.0].concat();
    rounds.sort();
    assert_eq!(rounds, ["orders: 3 coalesced 0+0", "orders: 3 coalesced 0+0", "orders: 3 reached 2+3"]);
    let served = account.document("served").await;
    assert!(served["deployments"]["orders eu-west-2"]["warmed"].is_string(), "{served}");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_is_slow_throttled_or_lies_sends_nothing_early() {
    let faulty = |faults: &str| {
        format!(
            "reads: {{ faults: {{ GetFunctionConfiguration: [{faults}] }} }}\nfunctions: {{ orders: {{}} }}"
        )
    };
    for (account, result, seconds) in [
        (faulty("{ fault: slow, by: 3s, every: 1 }"), "orders: 3 updating 0+0", 15),
        (faulty("{ fault: throttle, every: 1 }"), "orders: 3 updating 0+0", 0),
        (faulty("{ fault: answer, body: { LastUpdateStatus: Failed } }"), "orders: 3 update-failed 0+0", 0),
        (faulty("{ fault: answer, body: { State: Pending } }"), "orders: 3 updating 0+0", 14),
        (faulty("{ fault: answer, body: \"<html>\" }"), "orders: 3 updating 0+0", 14),
        (
            "denied: [GetFunctionConfiguration]\nfunctions: { orders: {} }".to_owned(),
            "orders: 3 updating 0+0",
            0,
        ),
        ("functions: {}".to_owned(), "orders: 3 updating 0+0", 0),
    ] {
        let account = Account::new(&account);
        let process = account.process(fleet(FLEET), daemon());
        let (rounds, took) = serve(&process, &account, "UpdateFunctionCode20150331v2", "orders").await;
        assert_eq!((rounds, took.as_secs()), (vec![result.to_owned()], seconds));
        assert_eq!(account.emulator.observe().invocations.len(), 0, "{result}");
    }
    let missing = |fields: &str| format!("functions: {{ orders: {{ configuration: {{ {fields} }} }} }}");
    let account = Account::new(&missing("LastUpdateStatus: ~, State: ~, CodeSha256: ~"));
    let process = account.process(fleet(FLEET), daemon());
    let (rounds, _) = serve(&process, &account, "UpdateFunctionCode20150331v2", "orders").await;
    assert_eq!(rounds, ["orders: 3 reached 2+3"], "what an answer lacks does not delay a round");
}
