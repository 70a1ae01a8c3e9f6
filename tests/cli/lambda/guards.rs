//! The guards of the Lambda.

use chrono::TimeDelta;
use serde_json::{Value, json};
use warmd::emulator::{Profile, Scenario, functions};

use super::support::{LambdaHarness, Setting, now, request, scheduled};

const FLEET: &str = "
version: 1
limits: { max_in_flight: 5 }
defaults: { region: eu-west-2, interval: 1m }
functions:
  works:
    windows: [{ days: daily, hours: all-day, concurrency: 3 }]
    on_request: { max_concurrency: 5, max_for: 30m }
  sound:
    windows: [{ days: daily, hours: all-day, concurrency: 3 }]
    on_request: { max_concurrency: 5, max_for: 30m }
";
const STATE: (&str, &str) = ("WARMD_STATE", "s3://warmd-state/live");

#[tokio::test]
async fn every_event_contacts_a_handler_once_and_an_unsafe_one_never_again() {
    let text = "functions: { works: { handler: none, unrecognized: KeyError }, sound: {} }";
    let scenario = functions::parse("functions.yaml", text).unwrap();
    let variables = [STATE, ("WARMD_BUS", "default")];
    let mut one = LambdaHarness::set(Setting { scenario, config: FLEET, variables: &variables }).await;
    let mut other = LambdaHarness::beside(one.emulator.clone(), FLEET, &variables).await;
    // Both rounds do not fit together: another environment serves the shard.
    let mut served = vec![one.tick(scheduled(now())).await];
    let shards = one.shards();
    assert_eq!(shards.len(), 1);
    served.push(other.tick(shards[0].clone()).await);
    let first = |round: &Value| {
        let pings = [&round["first_pings"], &round["pings"]].map(|number| number.as_u64().unwrap());
        (round["function"].as_str().unwrap().to_owned(), round["verdict"].as_str().unwrap().to_owned(), pings)
    };
    let rounds = served.iter().flat_map(|tick| tick["rounds"].as_array().unwrap());
    let mut contacts: Vec<_> = rounds.map(first).collect();
    contacts.sort();
    let expected = [("sound", "reached", [2, 5]), ("works", "unsafe", [1, 1])];
    assert_eq!(contacts, expected.map(|(name, verdict, pings)| (name.to_owned(), verdict.to_owned(), pings)));
    // Every environment knows both results from the store.
    let tick = one.tick(scheduled(now() + TimeDelta::minutes(1))).await;
    // The unsafe handler has no round, so that the other round fits.
    assert_eq!(one.shards().len(), 1);
    let mut later = vec![tick];
    for harness in [&mut one, &mut other] {
        for event in [
            request(json!({ "function": "works", "concurrency": 3 })),
            request(json!({ "function": "sound", "concurrency": 4 })),
            json!({ "warmd": { "run": {} } }),
        ] {
            later.push(harness.tick(event).await);
        }
    }
    for round in later.iter().flat_map(|tick| tick["rounds"].as_array().unwrap()) {
        assert_eq!(round["first_pings"], 0, "{round}");
        if round["function"] == "works" {
            assert_eq!(round["pings"], 0, "{round}");
            assert!(round["skipped"] == "unsafe" || round["skipped"] == "coalesced", "{round}");
        }
    }
    assert_eq!(one.pings()["works"], 1);
}

#[tokio::test]
async fn rounds_that_wait_for_room_until_the_deadline_are_handed_on_with_the_configured_number() {
    let slow = Profile { ping: std::time::Duration::from_secs(30).into(), ..Profile::default() };
    let mut scenario =
        ["f0", "f1"].iter().fold(Scenario::default(), |all, name| all.with(name, slow.clone()));
    scenario.account.concurrency = 20;
    let config = "
version: 1
defaults: { region: eu-west-2, interval: 1m, canary: off }
functions:
  f0: { windows: [{ days: daily, hours: all-day, concurrency: 8 }] }
  f1: { windows: [{ days: daily, hours: all-day, concurrency: 8 }] }
";
    let variables = [("WARMD_BUS", "default")];
    let mut harness = LambdaHarness::set(Setting { scenario, config, variables: &variables }).await;
    let tick = harness.invoke_within(scheduled(now()), 6_000).await.body;
    let left = tick["unfinished"].as_array().unwrap();
    let mut reasons: Vec<_> =
        left.iter().map(|left| (left["reason"].clone(), left["target"].clone())).collect();
    reasons.sort_by_key(|(reason, _)| reason.to_string());
    assert_eq!(reasons, [(json!("handed-on"), json!(5)), (json!("in-flight"), json!(5))], "{tick}");
    let shards = harness.shards();
    assert_eq!(shards.len(), 1);
    assert_eq!(shards[0]["detail"]["rounds"][0]["concurrency"], 8);
    assert_eq!(harness.emulator.observe().invocations.len(), 5);
}
