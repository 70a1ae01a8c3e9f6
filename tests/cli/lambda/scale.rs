//! Ticks that are too large or too long for one invocation.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use warmd::emulator::{Fault, FaultKind, Profile, Scenario};

use super::support::{LambdaHarness, Setting, now, scheduled};

const SLOW: Duration = Duration::from_secs(30);
const BUS: [(&str, &str); 1] = [("WARMD_BUS", "default")];

fn fleet(functions: u32, cap: u32) -> String {
    let entry = |index: u32| {
        format!(
            "  f{index}: {{ region: eu-west-2, windows: [{{ days: daily, hours: all-day, concurrency: 5 }}] }}\n"
        )
    };
    let entries: String = (0..functions).map(entry).collect();
    format!(
        "version: 1\nlimits: {{ max_in_flight: {cap} }}\ndefaults: {{ interval: 1m, canary: off }}\nfunctions:\n{entries}"
    )
}

#[tokio::test]
async fn a_large_tick_is_spread_over_the_bus() {
    let config = fleet(10, 10);
    let mut harness =
        LambdaHarness::set(Setting { scenario: Scenario::default(), config: &config, variables: &BUS }).await;
    let tick = harness.tick(scheduled(now())).await;
    assert_eq!(tick["rounds"].as_array().unwrap().len(), 2, "its own part");
    let left = tick["unfinished"].as_array().unwrap().clone();
    assert!(left.len() == 8 && left.iter().all(|left| left["reason"] == "handed-on"), "{left:?}");
    let shards = harness.shards();
    assert_eq!(shards.len(), 4);
    for shard in shards {
        let tick = harness.tick(shard).await;
        assert_eq!(
            (tick["rounds"].as_array().unwrap().len(), tick["unfinished"].as_array().unwrap().len()),
            (2, 0)
        );
    }
    assert_eq!(
        harness.emulator.observe().values("TickDuration").len(),
        1,
        "shards are not ticks of the schedule"
    );
    let pings = harness.pings();
    assert!(pings.len() == 10 && pings.values().all(|pings| *pings == 5), "each once: {pings:?}");
}

#[tokio::test]
async fn unacknowledged_shards_are_served_once() {
    let scenario = Scenario { events: vec![Fault::always(FaultKind::FailEntry)], ..Scenario::default() };
    let config = fleet(10, 10);
    let variables = [BUS[0], ("WARMD_STATE", "s3://warmd-state/live")];
    let mut planner = LambdaHarness::set(Setting { scenario, config: &config, variables: &variables }).await;
    let at = now();
    let tick = planner.tick(scheduled(at)).await;
    assert_eq!(tick["rounds"].as_array().unwrap().len(), 10, "the planner serves all rounds: {tick}");
    // The shards are delivered nevertheless.
    let tick_time = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut other = LambdaHarness::beside(planner.emulator.clone(), &config, &variables).await;
    for pair in [[2, 3], [4, 5], [6, 7], [8, 9]] {
        let round =
            |index: &u32| json!({ "function": format!("f{index}"), "region": "eu-west-2", "concurrency": 5 });
        let shard = json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
            "version": 1, "tick": tick_time, "config": tick["config"], "attempt": 1,
            "rounds": pair.iter().map(round).collect::<Vec<_>>(),
        } });
        let again = other.tick(shard).await;
        let skipped = again["rounds"].as_array().unwrap().iter().all(|round| round["skipped"] == "served");
        assert!(skipped, "{again}");
    }
    let pings = planner.pings();
    assert!(pings.len() == 10 && pings.values().all(|pings| *pings == 5), "each once: {pings:?}");
}

#[tokio::test]
async fn a_shard_is_limited_by_the_configuration() {
    let config = fleet(1, 10);
    let mut harness =
        LambdaHarness::set(Setting { scenario: Scenario::default(), config: &config, variables: &BUS }).await;
    let round = |function: &str| json!({ "function": function, "region": "eu-west-2", "concurrency": 9_000 });
    let shard = json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
        "version": 1, "tick": "2026-11-20T09:00:00Z", "config": "cafe", "attempt": 1,
        "rounds": [round("f0"), round("payments")],
    } });
    let tick = harness.tick(shard).await;
    assert_eq!((tick["rounds"].as_array().unwrap().len(), &tick["rounds"][0]["target"]), (1, &json!(5)));
    assert!(harness.stderr().contains("not in the configuration"));
}

#[tokio::test]
async fn rounds_beyond_the_deadline_are_handed_on_or_in_flight() {
    // One round fits at a time, and each takes longer than the invocation.
    let slow = Profile { ping: SLOW.into(), duration: SLOW.into(), ..Profile::default() };
    let scenario =
        ["f0", "f1", "f2"].iter().fold(Scenario::default(), |all, name| all.with(name, slow.clone()));
    let config = fleet(3, 5);
    let shard = |attempt: u32| {
        let round =
            |index: u32| json!({ "function": format!("f{index}"), "region": "eu-west-2", "concurrency": 5 });
        json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
            "version": 1, "tick": "2026-11-20T09:00:00Z", "config": "cafe", "attempt": attempt,
            "rounds": [round(0), round(1), round(2)],
        } })
    };
    let mut harness =
        LambdaHarness::set(Setting { scenario: scenario.clone(), config: &config, variables: &BUS }).await;
    let mut last = LambdaHarness::set(Setting { scenario, config: &config, variables: &BUS }).await;
    // In parallel, because both mostly wait.
    let (answer, given_up) =
        tokio::join!(harness.invoke_within(shard(2), 6_000), last.invoke_within(shard(3), 6_000));
    let reasons = |tick: &Value| {
        let left = tick["unfinished"].as_array().unwrap();
        let mut reasons: Vec<_> =
            left.iter().map(|left| left["reason"].as_str().unwrap().to_owned()).collect();
        reasons.sort();
        reasons
    };
    assert_eq!(reasons(&answer.body), ["handed-on", "handed-on", "in-flight"]);
    let retried = harness.shards();
    let rounds: usize = retried.iter().map(|shard| shard["detail"]["rounds"].as_array().unwrap().len()).sum();
    assert!(rounds == 2 && retried.iter().all(|shard| shard["detail"]["attempt"] == 3), "{retried:?}");
    assert_eq!(harness.pings().len(), 1, "one round was sent once, the others were not sent");
    // The pings are still in flight, so their target is skipped.
    let next = harness.invoke_within(scheduled(now() + TimeDelta::minutes(1)), 4_000).await;
    let skipped = next.body["rounds"].as_array().unwrap().iter().any(|round| round["skipped"] == "in-flight");
    assert!(skipped, "{}\n{}", next.body, harness.stderr());

    assert_eq!(reasons(&given_up.body), ["deadline", "deadline", "in-flight"], "at most three attempts");
    assert!(last.shards().is_empty());
}
