//! Events that the Lambda serves, and events that it refuses.

use chrono::TimeDelta;
use serde_json::{Value, json};
use warmd::emulator::Scenario;

use super::support::{LambdaHarness, Setting, now, request, scheduled};
use crate::support::rounds;

const FLEET: &str = r#"
version: 1
defaults: { region: eu-west-2, interval: 1m, canary: off }
functions:
  checkout:
    windows: [{ days: daily, hours: all-day, concurrency: 3 }]
  nlp-inference:live:
    on_request: { max_concurrency: 5, max_for: 30m }
  custom:
    protocol: custom
    payload: { ping: true }
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
  elsewhere:
    region: us-east-1
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
"#;

async fn harness(variables: &[(&str, &str)]) -> LambdaHarness {
    LambdaHarness::set(Setting { scenario: Scenario::default(), config: FLEET, variables }).await
}

#[tokio::test]
async fn a_scheduled_event_is_a_tick_of_its_own_minute_once() {
    let mut harness = harness(&[]).await;
    let at = now();
    let tick = harness.tick(scheduled(at)).await;
    assert_eq!(rounds(&tick), ["checkout 3 reached", "custom 1 custom-payload"], "not another region's");
    assert_eq!(harness.pings().get("checkout"), Some(&3));
    assert_eq!(tick["tick"], at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    assert_eq!(harness.metric("Pings"), Some(3.0));
    let again = harness.tick(scheduled(at)).await;
    assert_eq!(rounds(&again), [""; 0], "delivered twice, served once");
    let line: Value = serde_json::from_str(harness.stdout().lines().last().unwrap()).unwrap();
    assert_eq!((&line["requestId"], &line["tick"]), (&json!("request-2"), &again), "and logged");
    let next = harness.tick(scheduled(at + TimeDelta::minutes(1))).await;
    assert_eq!(rounds(&next).len(), 2);

    let line = harness.stdout().lines().next().unwrap().to_owned();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((line["message"].as_str(), line["requestId"].as_str()), (Some("tick"), Some("request-1")));
    assert_eq!(line["tick"], tick, "the log contains the response");
    let logged = harness.stderr();
    let done = logged.lines().find(|line| line.contains("round done")).unwrap();
    let done: Value = serde_json::from_str(done).unwrap();
    assert_eq!(done["requestId"], "request-1");
}

#[tokio::test]
async fn stale_events_send_nothing_and_are_counted() {
    let late = now() - TimeDelta::seconds(95);
    let mut redriven = request(json!({ "function": "nlp-inference:live", "concurrency": 2 }));
    redriven["time"] = json!(late.to_rfc3339());
    for (event, of) in [(scheduled(late), "tick"), (shard(late, 1), "shard"), (redriven, "request")] {
        let mut harness = harness(&[("WARMD_MAX_TICK_AGE", "90s")]).await;
        let tick = harness.tick(event).await;
        assert_eq!(rounds(&tick), [""; 0], "{of}");
        assert_eq!((harness.metric("TicksStale"), harness.metric("Pings")), (Some(1.0), None), "{of}");
        assert!(harness.pings().is_empty() && harness.stderr().contains("the event is stale"), "{of}");
        let line: Value = serde_json::from_str(harness.stdout().lines().next().unwrap()).unwrap();
        assert_eq!(line["tick"], tick, "{of}: the log contains the response");
    }
    let mut harness = harness(&[("WARMD_MAX_TICK_AGE", "90s")]).await;
    let tick = harness.tick(shard(now(), 3)).await;
    assert_eq!(rounds(&tick), ["checkout 3 reached"], "put on the bus just now, long after its tick");
}

#[tokio::test]
async fn events_from_the_future_are_refused_and_counted() {
    let store = tempfile::tempdir().unwrap();
    let store = store.path().join("state").to_string_lossy().into_owned();
    let mut harness = harness(&[("WARMD_STATE", &store)]).await;
    let timed = |mut event: Value, time: &str| {
        event["time"] = json!(time);
        event
    };
    let warm_request =
        || request(json!({ "function": "nlp-inference:live", "concurrency": 2, "for": "10m" }));
    let (century, soon) = ("2099-01-01T00:00:00Z", (now() + TimeDelta::seconds(90)).to_rfc3339());
    let mut refused = 0.0;
    for time in [century, soon.as_str()] {
        for event in [scheduled(now()), warm_request(), shard(now(), 1)] {
            let answer = harness.invoke(timed(event, time)).await;
            assert!(answer.error, "{}", answer.body);
            assert_eq!(answer.body["errorType"], "EventRefused");
            let reason = answer.body["errorMessage"].as_str().unwrap();
            assert!(reason.contains("time: expected at most 60 s after 20"), "{reason}");
            refused += 1.0;
            assert_eq!(
                (harness.metric("EventsRefused"), harness.metric("TicksStale")),
                (Some(refused), None)
            );
        }
    }
    assert!(harness.pings().is_empty());
    let logged = lines(&harness);
    let of = |line: &&Value| line["message"].as_str().is_some_and(|text| text.contains("time: expected"));
    assert_eq!(logged.iter().filter(of).count(), 6, "each with its reason");
    assert_eq!(rounds(&harness.tick(scheduled(now())).await)[0], "checkout 3 reached");
    let early = timed(warm_request(), &(now() + TimeDelta::seconds(30)).to_rfc3339());
    assert_eq!(
        rounds(&harness.tick(early).await),
        ["nlp-inference 2 reached"],
        "within the tolerance of clocks"
    );
}

#[tokio::test]
async fn requests_are_served_without_the_store_and_the_failure_is_counted() {
    // A file instead of a directory.
    let mut harness = harness(&[("WARMD_STATE", "{folder}/fleet.yaml")]).await;
    let once = harness.tick(request(json!({ "function": "nlp-inference:live", "concurrency": 2 }))).await;
    assert_eq!(rounds(&once), ["nlp-inference 2 reached"]);
    assert_eq!((harness.metric("StateUnavailable"), harness.metric("EventsRefused")), (Some(1.0), None));
    let kept = harness
        .invoke(request(json!({ "function": "nlp-inference:live", "concurrency": 2, "for": "10m" })))
        .await;
    assert_eq!((kept.error, &kept.body["errorType"]), (true, &json!("StateUnavailable")));
    assert_eq!(harness.metric("StateUnavailable"), Some(2.0));
    assert_eq!(rounds(&harness.tick(scheduled(now())).await)[0], "checkout 3 reached");
    assert_eq!(rounds(&harness.tick(shard(now(), 1)).await), ["checkout 3 reached"]);
    assert_eq!((harness.metric("StateUnavailable"), harness.metric("EventsRefused")), (Some(4.0), None));
    let logged = lines(&harness);
    for (id, consequence) in [
        ("request-1", "; pauses unknown"),
        ("request-2", "cannot be kept, and nothing was sent"),
        ("request-3", "; pauses unknown"),
        ("request-4", "; the shard may be served twice"),
    ] {
        let messages = logged.iter().filter(|line| line["requestId"] == id);
        let messages = messages.map(|line| line["message"].as_str().unwrap());
        let unavailable: Vec<_> = messages.filter(|text| text.starts_with("StateUnavailable: ")).collect();
        let [line] = unavailable[..] else { panic!("{id}: expected one line, found {unavailable:?}") };
        assert!(line.contains(consequence), "{line}");
    }
}

/// Returns a shard that was put on the bus at that time, of a tick half an hour before.
fn shard(time: chrono::DateTime<chrono::Utc>, attempt: u32) -> Value {
    json!({ "source": "warmd", "detail-type": "Warm Shard", "time": time.to_rfc3339(), "detail": {
        "version": 1, "tick": (time - TimeDelta::minutes(30)).to_rfc3339(), "attempt": attempt,
        "rounds": [{ "function": "checkout", "region": "eu-west-2", "concurrency": 3 }],
    } })
}

#[tokio::test]
async fn any_age_and_custom_payloads_are_served_if_configured() {
    let variables =
        [("WARMD_MAX_TICK_AGE", "0"), ("WARMD_ALLOW_CUSTOM_PAYLOAD", "true"), ("WARMD_REGIONS", "all")];
    let mut harness = harness(&variables).await;
    let tick = harness.tick(scheduled(now() - TimeDelta::days(2))).await;
    let rounds = rounds(&tick);
    assert!(rounds.contains(&"elsewhere 1 reached".to_owned()), "{rounds:?}");
    assert_eq!((rounds.len(), harness.pings().get("custom")), (3, Some(&1)));
}

#[tokio::test]
async fn a_long_reason_is_refused() {
    let mut harness = harness(&[]).await;
    for (reason, found) in [("x".repeat(240_000), "found 240000"), ("a\u{1b}[2J".to_owned(), r"\u{1b}")] {
        let event = request(json!({ "function": "nlp-inference:live", "concurrency": 2, "reason": reason }));
        let answer = harness.invoke(event).await;
        let message = answer.body["errorMessage"].as_str().unwrap().to_owned();
        assert!(
            answer.error && message.contains("reason: expected one line of at most 256 characters"),
            "{message}"
        );
        assert!(message.contains(found) && message.len() < 400, "{message}");
    }
    assert!(harness.pings().is_empty());
}

#[tokio::test]
async fn a_region_without_a_target_is_warned_about() {
    let mut harness = harness(&[("WARMD_REGIONS", "ap-southeast-2")]).await;
    harness.ready().await;
    let warned = lines(&harness);
    let warned = warned.iter().find(|line| line["level"] == "WARN").unwrap();
    assert!(warned["message"].as_str().unwrap().contains("nothing to warm in ap-southeast-2"), "{warned}");
}

#[tokio::test]
async fn unknown_events_are_refused_with_the_reason() {
    let mut harness = harness(&[]).await;
    for (event, reason) in [
        (json!({ "hello": 1 }), "expected the keys \"source\" and \"detail-type\""),
        (json!({ "warmd": { "warm": { "function": "f" } } }), "missing key \"concurrency\""),
        (json!({ "source": "shop", "detail-type": "Warm Shard", "detail": {} }), "unknown event"),
    ] {
        let answer = harness.invoke(event).await;
        let message = answer.body["errorMessage"].as_str().unwrap().to_owned();
        assert!(
            answer.error && message.contains("nothing was sent") && message.contains(reason),
            "{message}"
        );
        assert_eq!(answer.body["errorType"], "EventRefused");
    }
    assert!(harness.pings().is_empty());
    assert_eq!(harness.metric("EventsRefused"), Some(3.0));
    let logged = lines(&harness);
    assert_eq!(logged.len(), 3, "one line for each: {logged:?}");
    for (line, id) in logged.iter().zip(["request-1", "request-2", "request-3"]) {
        assert_eq!((&line["level"], &line["requestId"]), (&json!("ERROR"), &json!(id)), "{line}");
        assert!(line["message"].as_str().unwrap().contains("nothing was sent"));
    }
}

/// Returns the lines on standard error, all of which are JSON.
fn lines(harness: &LambdaHarness) -> Vec<Value> {
    harness.stderr().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_log_line_has_the_request_id() {
    for filter in ["warn", "debug", ""] {
        let mut harness = harness(&[("RUST_LOG", filter)]).await;
        harness.ready().await;
        let before = lines(&harness).len();
        // Two warnings: an unknown function, and a shard of another configuration.
        harness
            .tick(json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
            "version": 1, "tick": "2026-11-20T09:00:00Z", "config": "cafe", "attempt": 1,
            "rounds": [{ "function": "payments", "region": "eu-west-2", "concurrency": 3 }],
        } }))
            .await;
        let logged = lines(&harness);
        let logged = logged.get(before..).unwrap();
        let warned = logged.iter().filter(|line| line["level"] == "WARN").collect::<Vec<_>>();
        assert_eq!(warned.len(), 2, "{filter}: {logged:?}");
        assert_eq!(warned[0]["config"], "cafe");
        assert!(warned.iter().all(|line| line["requestId"] == "request-1"), "{filter}: {logged:?}");
        let lacks = |line: &&Value| {
            line["requestId"].is_null() && line["target"].as_str().unwrap().starts_with("warmd")
        };
        assert_eq!(logged.iter().find(lacks), None, "{filter}");
    }
}

#[tokio::test]
async fn operators_run_ticks_and_rounds() {
    let mut harness = harness(&[]).await;
    let tick = harness.tick(json!({ "warmd": { "run": { "at": "2026-11-20T09:00:30Z" } } })).await;
    assert_eq!(tick["tick"], "2026-11-20T09:00:30Z");
    assert_eq!(rounds(&tick)[0], "checkout 3 reached");
    let round =
        harness.tick(json!({ "warmd": { "warm": { "function": "unheard-of", "concurrency": 2 } } })).await;
    assert_eq!(rounds(&round), ["unheard-of 2 reached"]);
    let custom =
        harness.tick(json!({ "warmd": { "warm": { "function": "custom", "concurrency": 1 } } })).await;
    assert_eq!(rounds(&custom), ["custom 1 custom-payload"]);
}

#[tokio::test]
async fn a_run_event_of_another_minute_is_recorded_now() {
    use warmd::engine::ports::{Fetched, ObjectStore};
    let mut harness = harness(&[("WARMD_STATE", "s3://warmd-state/live")]).await;
    let later = now() + TimeDelta::days(30);
    let tick = harness.tick(json!({ "warmd": { "run": { "at": later.to_rfc3339() } } })).await;
    assert_eq!(rounds(&tick)[0], "checkout 3 reached");
    let bucket = harness.clients().bucket("warmd-state", "live").unwrap();
    let Fetched::Object { bytes, .. } = bucket.get("status.json", None).await.unwrap() else {
        panic!("no status")
    };
    let status: Value = serde_json::from_slice(&bytes).unwrap();
    let noted: chrono::DateTime<chrono::Utc> =
        status["targets"]["checkout eu-west-2"]["tick"].as_str().unwrap().parse().unwrap();
    assert!(noted <= now(), "recorded at the current time: {noted}");
    assert_eq!(status["tick"], Value::Null, "not a tick of the schedule");
}

#[tokio::test]
async fn a_request_is_served_recorded_and_reported() {
    use warmd::engine::ports::{Condition, Fetched, ObjectStore};
    let mut harness = harness(&[("WARMD_STATE", "s3://warmd-state/live"), ("WARMD_BUS", "warm-bus")]).await;
    let detail =
        json!({ "function": "nlp-inference:live", "concurrency": 9, "for": "10m", "reason": "token issued" });
    let mut event = request(detail);
    event["time"] = json!((now() - TimeDelta::minutes(1)).to_rfc3339());
    let answer = harness.tick(event.clone()).await;
    assert_eq!(rounds(&answer), ["nlp-inference 5 reached"], "at most what the configuration allows");
    let again = harness.tick(event).await;
    assert_eq!(rounds(&again), ["nlp-inference 5 coalesced"]);
    assert_eq!(harness.pings().get("nlp-inference"), Some(&5));

    let events = harness.emulator.observe().events;
    let event = events.front().unwrap();
    assert_eq!((event.bus.as_str(), event.detail_type.as_str()), ("warm-bus", "Environments Warm"));
    assert_eq!(
        (&event.detail["function"], &event.detail["reached"]),
        (&json!("nlp-inference:live"), &json!(5))
    );
    assert!(event.detail["took_ms"].is_u64() && event.detail["evidence"].is_string(), "{}", event.detail);
    assert_eq!(events.len(), 2, "a result for the repeated request, too");
    for key in ["function", "reached", "evidence"] {
        assert_eq!(events[1].detail[key], event.detail[key], "{}", events[1].detail);
    }

    // Another environment finds the request in the store, and serves it with the schedule.
    let emulator = harness.emulator.clone();
    emulator.reset();
    let mut other = LambdaHarness::beside(emulator, FLEET, &[("WARMD_STATE", "s3://warmd-state/live")]).await;
    let tick = other.tick(scheduled(now())).await;
    assert!(rounds(&tick).contains(&"nlp-inference 5 reached".to_owned()), "{:?}", rounds(&tick));
    let bucket = other.clients().bucket("warmd-state", "live").unwrap();
    let Fetched::Object { bytes, .. } = bucket.get("requests.json", None).await.unwrap() else {
        panic!("no requests")
    };
    let mut requests: Value = serde_json::from_slice(&bytes).unwrap();
    requests["targets"]["nlp-inference:live eu-west-2"]["until"] = json!(now());
    bucket.put("requests.json", requests.to_string().into_bytes(), Condition::Always).await.unwrap();
    let late = other.tick(scheduled(now() + TimeDelta::minutes(1))).await;
    assert!(!rounds(&late).iter().any(|round| round.starts_with("nlp")), "the request has expired");
}

/// Returns function, `reached` and `evidence` of each `Environments Warm` event on the bus.
fn results(harness: &LambdaHarness) -> Vec<Value> {
    let events = harness.emulator.observe().events;
    let warm = events.iter().filter(|event| event.detail_type == "Environments Warm");
    warm.map(|event| {
        let detail = event.detail.as_object().unwrap();
        assert_eq!(
            detail.keys().collect::<Vec<_>>(),
            ["function", "tenant", "reached", "evidence", "took_ms"]
        );
        json!([detail["function"], detail["reached"], detail["evidence"]])
    })
    .collect()
}

#[tokio::test]
async fn every_request_leads_to_a_result_event() {
    use std::time::Duration;
    use warmd::emulator::Profile;
    use warmd::engine::ports::{Condition, ObjectStore};
    const STATE: (&str, &str) = ("WARMD_STATE", "s3://warmd-state/live");
    const BUS: (&str, &str) = ("WARMD_BUS", "default");
    let warm_request = || request(json!({ "function": "nlp-inference:live", "concurrency": 2 }));
    let warm = json!(["nlp-inference:live", 2, "ids"]);
    let unknown = json!(["nlp-inference:live", null, null]);

    let mut alone = harness(&[BUS]).await;
    for _ in 0..2 {
        alone.tick(warm_request()).await;
    }
    assert_eq!(results(&alone), [warm.clone(), warm.clone()], "without a store as well");

    let mut one = harness(&[STATE, BUS]).await;
    one.tick(warm_request()).await;
    let mut two = LambdaHarness::beside(one.emulator.clone(), FLEET, &[STATE, BUS]).await;
    assert_eq!(rounds(&two.tick(warm_request()).await), ["nlp-inference 2 coalesced"]);
    assert_eq!(results(&one), [warm.clone(), warm], "in another environment");
    let bucket = one.clients().bucket("warmd-state", "live").unwrap();
    let until = now() + TimeDelta::hours(1);
    let pauses = json!({ "all": { "until": until, "reason": "migration" }, "functions": {} });
    bucket.put("pauses.json", pauses.to_string().into_bytes(), Condition::Always).await.unwrap();
    assert_eq!(rounds(&two.tick(warm_request()).await), ["nlp-inference 2 paused"]);
    assert_eq!(results(&one).last(), Some(&unknown));

    let slow = Duration::from_secs(60);
    let slow = Profile { ping: slow.into(), duration: slow.into(), ..Profile::default() };
    let scenario = Scenario::default().with("nlp-inference", slow);
    let mut slow = LambdaHarness::set(Setting { scenario, config: FLEET, variables: &[STATE, BUS] }).await;
    slow.invoke_within(warm_request(), 4_000).await;
    let mut other = LambdaHarness::beside(slow.emulator.clone(), FLEET, &[STATE, BUS]).await;
    assert_eq!(rounds(&other.tick(warm_request()).await), ["nlp-inference 2 coalesced"]);
    assert_eq!(results(&slow), [unknown.clone(), unknown], "its round has not ended");
}

#[tokio::test]
async fn requests_that_are_not_allowed_are_refused_with_the_reason() {
    let mut harness = harness(&[]).await;
    for (detail, reason) in [
        (
            json!({ "function": "nowhere", "concurrency": 1 }),
            "for `nowhere` is refused, and nothing was sent: it is not in the configuration of this region",
        ),
        (json!({ "function": "nlp-inference", "concurrency": 1 }), "; did you mean `nlp-inference:live`?"),
        (
            json!({ "function": "nlp-infrence:live", "concurrency": 1 }),
            "; did you mean `nlp-inference:live`?",
        ),
        (
            json!({ "function": "checkout", "concurrency": 1 }),
            "for `checkout` is refused, and nothing was sent: it has no `on_request`",
        ),
        (
            json!({ "function": "nlp-inference:live", "concurrency": 1, "for": "10m" }),
            "needs a state store (WARMD_STATE)",
        ),
    ] {
        let answer = harness.invoke(request(detail)).await;
        let message = answer.body["errorMessage"].as_str().unwrap().to_owned();
        assert!(answer.error && message.contains(reason), "{message}");
    }
    assert!(harness.pings().is_empty());
    let once = harness.tick(request(json!({ "function": "nlp-inference:live", "concurrency": 2 }))).await;
    assert_eq!(rounds(&once), ["nlp-inference 2 reached"], "a single round needs no store");
}

#[tokio::test]
async fn environments_with_one_store_serve_a_minute_once_and_lost_minutes_later() {
    let shared = tempfile::tempdir().unwrap();
    let state = shared.path().join("state").to_string_lossy().into_owned();
    let variables = [("WARMD_STATE", state.as_str()), ("WARMD_MAX_TICK_AGE", "0")];
    let fleet = "version: 1\nfunctions:\n  f:\n    region: eu-west-2\n    interval: 10m\n    windows: [{ days: daily, hours: all-day, concurrency: 2 }]\n";
    let mut one =
        LambdaHarness::set(Setting { scenario: Scenario::default(), config: fleet, variables: &variables })
            .await;
    let mut two = LambdaHarness::beside(one.emulator.clone(), fleet, &variables).await;
    let at = |text: &str| scheduled(text.parse().unwrap());
    assert_eq!(rounds(&one.tick(at("2026-11-20T09:00:00Z")).await), ["f 2 reached"]);
    assert_eq!(rounds(&two.tick(at("2026-11-20T09:00:00Z")).await), [""; 0]);
    assert_eq!(rounds(&one.tick(at("2026-11-20T09:01:00Z")).await), [""; 0], "not due");
    // The tick of 09:10 is lost.
    assert_eq!(rounds(&two.tick(at("2026-11-20T09:13:00Z")).await), ["f 2 reached"], "late");
    assert_eq!(rounds(&one.tick(at("2026-11-20T09:14:00Z")).await), [""; 0], "made up once");
    assert_eq!(
        rounds(&one.tick(at("2026-11-20T09:20:00Z")).await),
        ["f 2 reached"],
        "the interval is unchanged"
    );
}

#[tokio::test]
async fn a_valid_configuration_in_s3_is_reloaded_and_a_broken_one_is_not() {
    use warmd::engine::ports::{Condition, ObjectStore};
    let mut harness = {
        // The configuration must exist when the Lambda starts.
        let account =
            LambdaHarness::set(Setting { scenario: Scenario::default(), config: FLEET, variables: &[] })
                .await;
        let bucket = account.clients().bucket("warmd-config", "live").unwrap();
        bucket.put("fleet.yaml", FLEET.as_bytes().to_vec(), Condition::Always).await.unwrap();
        LambdaHarness::beside(account.emulator.clone(), FLEET, &[("WARMD_CONFIGS", "s3://warmd-config/live")])
            .await
    };
    let bucket = harness.clients().bucket("warmd-config", "live").unwrap();
    let at = now() - TimeDelta::minutes(1);
    let first = harness.tick(scheduled(at)).await;
    assert_eq!(rounds(&first)[0], "checkout 3 reached");
    bucket.put("fleet.yaml", b"version: 2\n".to_vec(), Condition::Always).await.unwrap();
    let second = harness.tick(scheduled(at + TimeDelta::minutes(1))).await;
    assert_eq!((rounds(&second)[0].as_str(), &second["config"]), ("checkout 3 reached", &first["config"]));
    assert!(harness.metric("ConfigAge").is_some(), "the stale configuration is counted");
    assert!(harness.stderr().contains("expected version 1"));
    harness.emulator.reset();
    let new = FLEET.replace("concurrency: 3", "concurrency: 4");
    bucket.put("fleet.yaml", new.into_bytes(), Condition::Always).await.unwrap();
    let third = harness.tick(scheduled(at + TimeDelta::minutes(2))).await;
    assert_eq!(rounds(&third)[0], "checkout 4 reached");
    assert_ne!(third["config"], first["config"]);
    assert_eq!(harness.metric("ConfigAge"), None);
}

/// Describes the result of each round of a tick object with its tenant.
fn tenant_rounds(tick: &Value) -> Vec<String> {
    let tenants = tick["rounds"].as_array().unwrap().iter().map(|round| round["tenant"].to_string());
    rounds(tick).into_iter().zip(tenants).map(|(round, tenant)| format!("{round} {tenant}")).collect()
}

#[tokio::test]
async fn every_tenant_has_environments_rounds_and_results_of_its_own() {
    use std::collections::HashSet;
    use warmd::emulator::Profile;
    use warmd::engine::ports::{Fetched, ObjectStore};
    const TENANTS: &str = r#"
version: 1
defaults: { region: eu-west-2, interval: 1m, canary: off }
metrics: { detail: function }
functions:
  isolated:
    tenants: [a, "b: 1"]
    windows: [{ days: daily, hours: all-day, concurrency: 3 }]
    on_request: { max_concurrency: 5, max_for: 30m }
  shared:
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
"#;
    let configuration = json!({ "TenancyConfig": { "TenantIsolationMode": "PER_TENANT" } });
    let isolated =
        Profile { configuration: configuration.as_object().unwrap().clone(), ..Profile::default() };
    let scenario = Scenario::default().with("isolated", isolated);
    let variables = [("WARMD_STATE", "s3://warmd-state/live"), ("WARMD_BUS", "default")];
    let mut harness = LambdaHarness::set(Setting { scenario, config: TENANTS, variables: &variables }).await;
    let tick = harness.tick(scheduled(now())).await;
    let [a, b] = ["isolated 3 reached \"a\"", "isolated 3 reached \"b: 1\""];
    assert_eq!(tenant_rounds(&tick), [a, b, "shared 2 reached null"]);
    let environments = |tenant: Option<&str>, function: &str| -> HashSet<String> {
        let observed = harness.emulator.observe();
        let own = observed.of(function).filter(|ran| ran.tenant.as_deref() == tenant);
        own.map(|ran| ran.environment.clone().unwrap()).collect()
    };
    let [of_a, of_b] = [Some("a"), Some("b: 1")].map(|tenant| environments(tenant, "isolated"));
    assert_eq!((of_a.len(), of_b.len(), of_a.union(&of_b).count()), (3, 3, 6));
    assert_eq!((environments(None, "isolated").len(), environments(None, "shared").len()), (0, 2));
    let observed = harness.emulator.observe();
    let dimensions: HashSet<&str> = observed
        .metrics
        .iter()
        .flat_map(|metric| &metric.dimensions)
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(dimensions, HashSet::from(["isolated@a", "isolated@b: 1", "shared", "eu-west-2"]));

    // Delivered twice, served once: each target is claimed on its own.
    let at = tick["tick"].as_str().unwrap().parse().unwrap();
    let mut other = LambdaHarness::beside(harness.emulator.clone(), TENANTS, &variables[..1]).await;
    assert_eq!(tenant_rounds(&other.tick(scheduled(at)).await), [""; 0]);
    let bucket = harness.clients().bucket("warmd-state", "live").unwrap();
    let Fetched::Object { bytes, .. } = bucket.get("served.json", None).await.unwrap() else { panic!() };
    let served: Value = serde_json::from_slice(&bytes).unwrap();
    let keys: Vec<&String> = served["targets"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["isolated eu-west-2 a", "isolated eu-west-2 b: 1", "shared eu-west-2"]);

    let tick = harness.tick(request(json!({ "function": "isolated", "concurrency": 4 }))).await;
    assert_eq!(tenant_rounds(&tick), [a, b].map(|round| round.replace('3', "4")));
    let events = harness.emulator.observe().events;
    let of = |event: &warmd::emulator::AcceptedEvent| {
        json!([event.detail["function"], event.detail["tenant"], event.detail["reached"]])
    };
    let results: Vec<Value> = events.iter().map(of).collect();
    assert_eq!(results, [json!(["isolated", "a", 4]), json!(["isolated", "b: 1", 4])]);

    let warm = |tenant: Option<&str>, function: &str| {
        let mut warm = json!({ "function": function, "concurrency": 1 });
        if let Some(tenant) = tenant {
            warm["tenant"] = json!(tenant);
        }
        json!({ "warmd": { "warm": warm } })
    };
    let both = harness.tick(warm(None, "isolated")).await;
    assert_eq!(tenant_rounds(&both), [a, b].map(|round| round.replace('3', "1")));
    let one = harness.tick(warm(Some("b: 1"), "isolated")).await;
    assert_eq!(tenant_rounds(&one), ["isolated 1 reached \"b: 1\""]);
    let unknown = harness.tick(warm(Some("c"), "isolated")).await;
    assert_eq!(tenant_rounds(&unknown), ["isolated 1 reached \"c\""]);
    let refused = harness.tick(warm(Some("c"), "shared")).await;
    assert_eq!(tenant_rounds(&refused), ["shared 1 short \"c\""]);

    let shard = json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
        "version": 1, "tick": now().to_rfc3339(), "attempt": 1, "rounds": [
            { "function": "isolated", "region": "eu-west-2", "tenant": "a", "concurrency": 2 },
            { "function": "isolated", "region": "eu-west-2", "concurrency": 2 },
        ],
    } });
    let mut stateless = LambdaHarness::beside(harness.emulator.clone(), TENANTS, &[]).await;
    assert_eq!(tenant_rounds(&stateless.tick(shard).await), ["isolated 2 reached \"a\""]);
}

#[tokio::test]
async fn a_version_is_warmed_like_its_alias() {
    const ORDERS: &str = "
version: 1
defaults: { region: eu-west-2, interval: 1m }
functions:
  orders:live: { windows: [{ days: daily, hours: all-day, concurrency: 4 }] }
  orders:off: { windows: [{ dates: [2020-01-01], hours: all-day, concurrency: 4 }] }
";
    let variables = [("WARMD_STATE", "s3://warmd-state/live")];
    let setting = Setting { scenario: Scenario::default(), config: ORDERS, variables: &variables };
    let mut harness = LambdaHarness::set(setting).await;
    let like =
        |function: &str, like: &str| json!({ "warmd": { "warm": { "function": function, "like": like } } });
    let tick = harness.tick(like("orders:8", "live")).await;
    assert_eq!(rounds(&tick), ["orders 4 reached"]);
    assert_eq!((&tick["rounds"][0]["qualifier"], tick["rounds"][0]["first_pings"] != 0), (&json!("8"), true));
    let arn = "arn:aws:lambda:eu-west-2:123456789012:function:orders";
    assert_eq!(rounds(&harness.tick(like(&format!("{arn}:8"), "live")).await), [format!("{arn} 4 reached")]);
    let versions = harness.emulator.observe().invocations;
    assert!(versions.iter().all(|ping| ping.version.as_deref() == Some("8")), "{versions:?}");
    assert_eq!(rounds(&harness.tick(like("orders:8", "off")).await), [""; 0]);
    for (function, alias, reason) in [
        (
            "orders:8",
            "lvie",
            "`orders:lvie` is not in the configuration of eu-west-2; did you mean `orders:live`?",
        ),
        ("orders", "live", "expected a version that is to be warmed like `live`, such as `orders:8`"),
    ] {
        let answer = harness.invoke(like(function, alias)).await;
        assert!(
            answer.error && answer.body["errorMessage"].as_str().unwrap().contains(reason),
            "{}",
            answer.body
        );
    }
    assert_eq!(harness.metric("EventsRefused"), Some(2.0));
}
