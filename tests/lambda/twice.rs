//! Deliveries that come twice, as those of EventBridge and of Lambda's asynchronous invocation may.

use std::time::Duration;

use serde_json::{Value, json};
use warmd::emulator::{Profile, Scenario};

use crate::support::{Setting, Stage, now, request, scheduled};

const FLEET: &str = "
version: 1
limits: { max_in_flight: 5 }
defaults: { region: eu-west-2, interval: 1m }
functions:
  f0: { windows: [{ days: daily, hours: all-day, concurrency: 5 }] }
  f1: { windows: [{ days: daily, hours: all-day, concurrency: 5 }], on_request: { max_concurrency: 5, max_for: 1h } }
";
const STATE: (&str, &str) = ("WARMD_STATE", "s3://warmd-state/live");

async fn stage(scenario: Scenario, variables: &[(&str, &str)]) -> Stage {
    Stage::set(Setting { scenario, config: FLEET, variables }).await
}

/// A shard of these functions.
fn shard(functions: &[&str], attempt: u32) -> Value {
    let round = |function: &&str| json!({ "function": function, "region": "eu-west-2", "concurrency": 5 });
    json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
        "version": 1, "tick": "2026-11-20T09:00:00Z", "config": "cafe", "attempt": attempt,
        "rounds": functions.iter().map(round).collect::<Vec<_>>(),
    } })
}

/// What became of each round.
fn rounds(tick: &Value) -> Vec<String> {
    let rounds = tick["rounds"].as_array().unwrap();
    let shown = |round: &Value| {
        let what = round["skipped"].as_str().or(round["verdict"].as_str()).unwrap();
        format!("{} {} {what}", round["function"].as_str().unwrap(), round["target"])
    };
    rounds.iter().map(shown).collect()
}

fn pings(stage: &Stage) -> usize {
    stage.pings().values().sum()
}

#[tokio::test]
async fn a_shard_is_served_once_and_its_next_attempt_is_another() {
    let mut stage = stage(Scenario::default(), &[]).await;
    let both = ["f0", "f1"];
    assert_eq!(rounds(&stage.tick(shard(&both, 1)).await), ["f0 5 reached", "f1 5 reached"]);
    let again = stage.tick(shard(&both, 1)).await;
    assert_eq!(rounds(&again), ["f0 5 served", "f1 5 served"]);
    assert_eq!((pings(&stage), again["unfinished"].as_array().unwrap().len()), (10, 0));
    let line = stage.stdout().lines().last().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["tick"], again, "the log has it as well");
    assert_eq!(rounds(&stage.tick(shard(&both, 2)).await), ["f0 5 reached", "f1 5 reached"]);
}

#[tokio::test]
async fn environments_with_a_store_serve_a_shard_and_a_minute_once_between_them() {
    let mut one = stage(Scenario::default(), &[STATE]).await;
    let mut two = Stage::beside(one.emulator.clone(), FLEET, &[STATE]).await;
    let (first, second) = tokio::join!(one.tick(shard(&["f0"], 1)), two.tick(shard(&["f0"], 1)));
    let mut became = [rounds(&first), rounds(&second)].concat();
    became.sort();
    assert_eq!((became, pings(&one)), (vec!["f0 5 reached".to_owned(), "f0 5 served".to_owned()], 5));
    let at = now();
    let (first, second) = tokio::join!(one.tick(scheduled(at)), two.tick(scheduled(at)));
    let mut became = [rounds(&first), rounds(&second)].concat();
    became.sort();
    assert_eq!(
        (became.as_slice(), pings(&one)),
        (["f0 5 reached", "f1 5 reached"].map(str::to_owned).as_slice(), 15)
    );
}

#[tokio::test]
async fn a_shard_of_which_nothing_was_sent_is_served_when_it_comes_again() {
    let slow = Duration::from_secs(60);
    let slow = Profile { ping: slow.into(), duration: slow.into(), ..Profile::default() };
    let mut full = stage(Scenario::default().with("f0", slow), &[STATE]).await;
    // All that may be in flight is, until long after the other shard's time is over. Three attempts are all.
    full.invoke_within(shard(&["f0"], 1), 4_000).await;
    let given_up = full.invoke_within(shard(&["f1"], 3), 4_000).await.body;
    assert_eq!((rounds(&given_up), &given_up["unfinished"][0]["reason"]), (vec![], &json!("deadline")));
    let mut other = Stage::beside(full.emulator.clone(), FLEET, &[STATE]).await;
    assert_eq!(rounds(&other.tick(shard(&["f1"], 3)).await), ["f1 5 reached"]);
    assert_eq!(rounds(&other.tick(shard(&["f0"], 1)).await), ["f0 5 served"], "its pings may still run");
}

#[tokio::test]
async fn an_operator_may_ask_for_the_same_minute_again() {
    let mut stage = stage(Scenario::default(), &[("WARMD_BUS", "default")]).await;
    for time in 1..=2 {
        let tick = stage.tick(json!({ "warmd": { "run": { "at": "2026-11-20T09:00:00Z" } } })).await;
        assert_eq!((rounds(&tick).len(), tick["unfinished"][0]["reason"].as_str()), (1, Some("handed-on")));
        let event = stage.emulator.observe().events.back().unwrap().clone();
        let shard =
            json!({ "source": event.source, "detail-type": event.detail_type, "detail": event.detail });
        for became in ["f1 5 reached", "f1 5 served"] {
            assert_eq!(rounds(&stage.tick(shard.clone()).await), [became]);
        }
        assert_eq!(pings(&stage), time * 10);
    }
}

#[tokio::test]
async fn a_request_is_served_once() {
    let mut stage = stage(Scenario::default(), &[]).await;
    let event = request(json!({ "function": "f1", "concurrency": 3 }));
    assert_eq!(rounds(&stage.tick(event.clone()).await), ["f1 3 reached"]);
    assert_eq!(rounds(&stage.tick(event).await), ["f1 3 coalesced"]);
    assert_eq!(pings(&stage), 3);
}
