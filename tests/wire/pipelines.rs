//! Pipelines: the service with the real SDK over HTTP against the emulator, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;
use warmd::aws::AwsLambda;
use warmd::emulator::Invocation;
use warmd::engine::ports::Lambda;
use warmd::service::Policy;

use crate::guards::{Account, daemon, fleet};
use crate::{Connect, clients_through, emulator_dialer, pings};

const NLP: &str = r#"
pipelines:
  nlp:
    windows: [{ days: daily, hours: "09:05-18:00", load: { requests_per_second: 600 } }]
    stages:
      - { function: preprocess:live, takes: 20, rate: 600 }
      - { parts: [encode-a:live, encode-b:live], rate: 300 }
      - { function: infer:live, rate: 300, payload: 2MB, via: s3 }
"#;
const STAGES: [(&str, u32); 4] = [("preprocess", 1), ("encode-a", 2), ("encode-b", 2), ("infer", 2)];

/// The users of an instant: as many requests to each function as its stage serves at once.
async fn users(account: &Account) {
    let dialer = emulator_dialer(&account.emulator, |_| Connect::Serve);
    let lambda = AwsLambda::new(Arc::new(clients_through(dialer)));
    let request = async |(function, number): (&str, u32)| {
        let mut ends = lambda.send(pings(&format!("{function}:live"), number));
        while ends.recv().await.is_some() {}
    };
    join_all(STAGES.into_iter().map(request)).await;
}

fn result(tick: &Value) -> &Value {
    &tick["pipelines"]
}

fn of<'i>(invocations: &'i [Invocation], function: &str) -> Vec<&'i Invocation> {
    invocations.iter().filter(|invocation| invocation.function == function).collect()
}

#[tokio::test(start_paused = true)]
async fn users_who_arrive_with_the_opening_meet_no_cold_start_in_any_stage() {
    let account = Account::new("default: { init: 3s }");
    let process = account.process(fleet(NLP), daemon());
    let mut last = Value::Null;
    for minute in 0..5 {
        last = process.tick().await;
        assert!(minute == 4 || result(&last) == &json!([]), "closed: {last}");
    }
    let warm = json!([{ "name": "nlp", "region": "eu-west-2", "warm": true, "cold_stages": [] }]);
    assert_eq!(result(&last), &warm, "{last}");
    // Both parts had a first ping of their own; their rounds began at the same instant.
    let seen = account.emulator.observe();
    let begins = |function: &str| {
        let rounds = seen.rounds();
        assert_eq!(rounds.iter().filter(|round| round.function == function).count(), 1, "{rounds:?}");
        let arrivals: Vec<Duration> = seen.of(function).map(|invocation| invocation.arrived).collect();
        *arrivals.iter().max().unwrap()
    };
    assert!(begins("encode-a").abs_diff(begins("encode-b")) < Duration::from_millis(10));
    account.emulator.reset();
    // The time of the opening.
    sleep(Duration::from_secs(60)).await;
    users(&account).await;
    let seen: Vec<Invocation> = account.emulator.observe().invocations.into_iter().collect();
    for (function, number) in STAGES {
        let served = of(&seen, function);
        assert_eq!(served.len(), number as usize, "{function}");
        assert!(served.iter().all(|one| !one.is_new && one.status == Some(200)), "{function}: {served:?}");
    }
    // The status has the result.
    assert_eq!(account.document("status").await["pipelines"][0]["warm"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_switched_off_is_named() {
    let account = Account::new("default: { init: 1s }\nfunctions: { encode-b: { reserved: 0 } }");
    let process = account.process(fleet(&NLP.replace("09:05", "08:00")), daemon());
    // Before and after the facts about the function are known.
    for _ in 0..2 {
        let tick = process.tick().await;
        let cold = ["encode-a:live + encode-b:live"];
        let expected = json!([{ "name": "nlp", "region": "eu-west-2", "warm": false, "cold_stages": cold }]);
        assert_eq!(result(&tick), &expected, "{tick}");
        // The other stages, and the other part, are warm.
        for (function, number) in STAGES.into_iter().filter(|(function, _)| *function != "encode-b") {
            let rounds = tick["rounds"].as_array().unwrap();
            let round = rounds.iter().find(|round| round["function"] == function).unwrap();
            assert_eq!(round["reached"], json!(number), "{round}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parts_begin_together_when_the_cap_is_almost_used_up() {
    let text = r#"
limits: { max_in_flight: 10, account_share: 100% }
functions:
  slow:live: { hold: 2s, windows: [{ days: daily, hours: all-day, concurrency: 7 }] }
pipelines:
  nlp:
    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 900 } }]
    stages: [{ parts: [encode-a:live, encode-b:live], rate: 300 }]
"#;
    let account = Account::new("default: { init: 1ms }");
    let process = account.process(fleet(text), Policy::default());
    let tick = process.tick().await;
    assert_eq!(result(&tick)[0]["warm"], json!(true), "{tick}");
    let seen = account.emulator.observe();
    let arrivals = |function: &str| seen.of(function).map(|one| one.arrived).collect::<Vec<_>>();
    let parts = [arrivals("encode-a"), arrivals("encode-b")].concat();
    let (first, last) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
    assert_eq!(parts.len(), 6);
    assert!(*last - *first < Duration::from_millis(10), "{parts:?}");
    // Three slots were free for one of them before the slow round ended.
    let slow = arrivals("slow");
    assert!(*first >= *slow.iter().min().unwrap() + Duration::from_secs(2), "{slow:?} {parts:?}");
}
