//! Repeated deliveries by EventBridge and by asynchronous invocation.

use std::time::Duration;

use serde_json::{Value, json};
use warmd::emulator::{Profile, Scenario};

use super::support::{LambdaHarness, Setting, now, request, scheduled};
use crate::support::rounds;

const FLEET: &str = "
version: 1
limits: { max_in_flight: 5 }
defaults: { region: eu-west-2, interval: 1m, canary: off }
functions:
  f0: { windows: [{ days: daily, hours: all-day, concurrency: 5 }] }
  f1: { windows: [{ days: daily, hours: all-day, concurrency: 5 }], on_request: { max_concurrency: 5, max_for: 1h } }
";
const STATE: (&str, &str) = ("WARMD_STATE", "s3://warmd-state/live");
const BUS: (&str, &str) = ("WARMD_BUS", "default");

async fn harness(scenario: Scenario, variables: &[(&str, &str)]) -> LambdaHarness {
    LambdaHarness::set(Setting { scenario, config: FLEET, variables }).await
}

/// Returns a shard of functions.
fn shard(functions: &[&str], attempt: u32) -> Value {
    let round = |function: &&str| json!({ "function": function, "region": "eu-west-2", "concurrency": 5 });
    json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
        "version": 1, "tick": "2026-11-20T09:00:00Z", "config": "cafe", "attempt": attempt,
        "rounds": functions.iter().map(round).collect::<Vec<_>>(),
    } })
}

fn pings(harness: &LambdaHarness) -> usize {
    harness.pings().values().sum()
}

#[tokio::test]
async fn a_shard_is_served_once_for_each_attempt() {
    let mut harness = harness(Scenario::default(), &[]).await;
    let both = ["f0", "f1"];
    assert_eq!(rounds(&harness.tick(shard(&both, 1)).await), ["f0 5 reached", "f1 5 reached"]);
    let again = harness.tick(shard(&both, 1)).await;
    assert_eq!(rounds(&again), ["f0 5 served", "f1 5 served"]);
    assert_eq!((pings(&harness), again["unfinished"].as_array().unwrap().len()), (10, 0));
    let line = harness.stdout().lines().last().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["tick"], again, "the log contains the response");
    assert_eq!(rounds(&harness.tick(shard(&both, 2)).await), ["f0 5 reached", "f1 5 reached"]);
}

#[tokio::test]
async fn environments_with_one_store_serve_a_shard_and_a_minute_once() {
    let mut one = harness(Scenario::default(), &[STATE, BUS]).await;
    let mut two = LambdaHarness::beside(one.emulator.clone(), FLEET, &[STATE, BUS]).await;
    let at = now();
    let (first, second) = tokio::join!(one.tick(scheduled(at)), two.tick(scheduled(at)));
    assert_eq!(
        ([rounds(&first), rounds(&second)].concat(), pings(&one)),
        (vec!["f0 5 reached".to_owned()], 5)
    );
    let shard = one.shards().remove(0);
    let (first, second) = tokio::join!(one.tick(shard.clone()), two.tick(shard));
    let mut results = [rounds(&first), rounds(&second)].concat();
    results.sort();
    assert_eq!((results, pings(&one)), (vec!["f1 5 reached".to_owned(), "f1 5 served".to_owned()], 10));
}

#[tokio::test]
async fn shards_without_a_tick_are_refused() {
    let mut harness = harness(Scenario::default(), &[STATE, BUS]).await;
    harness.tick(scheduled(now())).await;
    let own = harness.shards().remove(0);
    for (key, value) in [
        ("config", json!("cafe")),
        ("attempt", json!(2)),
        ("run", json!("r")),
        ("tick", json!("2026-11-20T09:00:00Z")),
    ] {
        let mut forged = own.clone();
        forged["detail"][key] = value;
        let answer = harness.invoke(forged).await;
        let message = answer.body["errorMessage"].as_str().unwrap().to_owned();
        assert!(
            answer.error && message.contains("no tick of the last hour created this shard"),
            "{key}: {message}"
        );
    }
    assert_eq!(pings(&harness), 5, "nothing was sent for them");
    assert_eq!(rounds(&harness.tick(own).await), ["f1 5 reached"], "the genuine shard is served");
}

#[tokio::test]
async fn the_configuration_limits_the_shards_of_a_minute_without_a_store() {
    let mut harness = harness(Scenario::default(), &[]).await;
    let mut refused = 0;
    // 200 different shards, as an attacker may put them on the bus.
    for number in 0..200 {
        let mut forged = shard(&["f0", "f1"], 1);
        forged["detail"]["config"] = json!(number.to_string());
        let answer = harness.invoke(forged).await;
        if answer.error {
            refused += 1;
            let message = answer.body["errorMessage"].as_str().unwrap().to_owned();
            assert!(message.contains("expected at most 5 shards a minute"), "{message}");
        }
    }
    // The test may continue in the next minute or two.
    assert!(
        refused >= 200 - 3 * 5 && pings(&harness) <= 3 * 5 * 10,
        "{refused} refused, {} pings",
        pings(&harness)
    );
}

#[tokio::test]
async fn a_shard_with_a_duplicate_target_is_refused() {
    let mut harness = harness(Scenario::default(), &[]).await;
    let answer = harness.invoke(shard(&["f0", "f0"], 1)).await;
    let message = answer.body["errorMessage"].as_str().unwrap().to_owned();
    assert!(message.contains("rounds[1]: duplicate target"), "{message}");
}

#[tokio::test]
async fn a_shard_without_sent_pings_is_served_at_its_next_delivery() {
    let slow = Duration::from_secs(60);
    let slow = Profile { ping: slow.into(), duration: slow.into(), ..Profile::default() };
    let mut full = harness(Scenario::default().with("f0", slow), &[STATE, BUS]).await;
    // The limit of pings in flight is reached until after the deadline of the shard.
    full.invoke_within(scheduled(now()), 4_000).await;
    let mut other = LambdaHarness::beside(full.emulator.clone(), FLEET, &[STATE, BUS]).await;
    for (attempt, reason) in [(1, "handed-on"), (2, "handed-on"), (3, "deadline")] {
        let shard = full.shards().remove(attempt - 1);
        assert_eq!(shard["detail"]["attempt"], attempt);
        let given_up = full.invoke_within(shard.clone(), 4_000).await.body;
        assert_eq!((rounds(&given_up), &given_up["unfinished"][0]["reason"]), (vec![], &json!(reason)));
        // A round that was handed on is in another shard.
        let results = if reason == "deadline" { "f1 5 reached" } else { "f1 5 served" };
        assert_eq!(rounds(&other.tick(shard).await), [results]);
    }
}

#[tokio::test]
async fn an_operator_can_run_the_same_minute_again() {
    let mut harness = harness(Scenario::default(), &[("WARMD_BUS", "default")]).await;
    for time in 1..=2 {
        let tick = harness.tick(json!({ "warmd": { "run": { "at": "2026-11-20T09:00:00Z" } } })).await;
        assert_eq!((rounds(&tick).len(), tick["unfinished"][0]["reason"].as_str()), (1, Some("handed-on")));
        let event = harness.emulator.observe().events.back().unwrap().clone();
        let shard =
            json!({ "source": event.source, "detail-type": event.detail_type, "detail": event.detail });
        for results in ["f1 5 reached", "f1 5 served"] {
            assert_eq!(rounds(&harness.tick(shard.clone()).await), [results]);
        }
        assert_eq!(pings(&harness), time * 10);
    }
}

#[tokio::test]
async fn a_request_is_served_once() {
    let mut harness = harness(Scenario::default(), &[]).await;
    let event = request(json!({ "function": "f1", "concurrency": 3 }));
    assert_eq!(rounds(&harness.tick(event.clone()).await), ["f1 3 reached"]);
    assert_eq!(rounds(&harness.tick(event).await), ["f1 3 coalesced"]);
    assert_eq!(pings(&harness), 3);
}
