//! Rounds to a function with provisioned environments.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::Target;
use warmd::domain::function::{FunctionRef, Region};
use warmd::engine::stop::stop;
use warmd::engine::tick::{Due, Engine};

use crate::lambda_through;
use crate::server::{Answer, Server, answer};

/// Returns the answer of environment `number`, initialised as `kind`, to its first request.
fn first_answer(number: usize, kind: Value) -> Answer {
    let body = json!({ "warmd": { "environment": format!("e{number}"), "initialization": kind } });
    let mut answer = answer(200, body.to_string());
    let report = "REPORT RequestId: q\tDuration: 10.00 ms\tBilled Duration: 310 ms\tMemory Size: 1024 MB\t\
                  Max Memory Used: 40 MB\tInit Duration: 300.00 ms";
    let log = HeaderValue::from_str(&STANDARD.encode(report)).unwrap();
    answer.headers_mut().insert("x-amz-log-result", log);
    answer
}

/// Returns the round object of five pings, of which the first two get an answer with `kind` and the others one of an
/// environment on demand.
async fn round(kind: Value) -> Value {
    let number = AtomicUsize::new(0);
    let server = Server::new(move |_: Request<_>| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        let kind = if number < 2 { kind.clone() } else { json!("on-demand") };
        async move { first_answer(number, kind) }
    });
    let engine = Arc::new(Engine::new(lambda_through(server.dialer()), PriceBook::embedded(), 100));
    let target = Target::bare(&FunctionRef::parse("f:live").unwrap(), Region::parse("us-east-1").unwrap());
    let due = Due::new(Arc::new(target), NonZeroU32::new(5).unwrap());
    let (_stopper, stop) = stop();
    let now = "2026-11-20T09:00:00Z".parse().unwrap();
    json!(engine.tick(now, None, vec![due], &stop).await.rounds[0])
}

#[tokio::test(start_paused = true)]
async fn answers_part_a_round_by_the_kind_of_environment() {
    let parted = round(json!("provisioned-concurrency")).await;
    assert_eq!((&parted["reached"], &parted["verdict"]), (&json!(5), &json!("reached")));
    // The answers come at once, although each init took 300 ms.
    let counts = ["warm", "cold", "preinitialized", "billed_ms"].map(|key| &parted[key]);
    assert_eq!(counts, [2, 0, 3, 950]);
    insta::assert_snapshot!(parted["by_kind"], @r#"{"provisioned":{"environments":2,"cold_starts":0,"cost_usd":"0.000000594444"},"on_demand":{"environments":3,"cold_starts":3,"cost_usd":"0.000016100031"},"assumed":false}"#);

    // Nothing indicates provisioned environments.
    for kind in [json!(null), json!("on-demand"), json!("provisioned"), json!(["provisioned-concurrency"])] {
        let plain = round(kind).await;
        assert_eq!((&plain["preinitialized"], &plain["by_kind"]), (&json!(5), &Value::Null));
    }
}

#[tokio::test(start_paused = true)]
async fn answers_name_restored_and_managed_environments() {
    let restored = round(json!("snap-start")).await;
    assert_eq!(["restored", "preinitialized", "cold"].map(|key| &restored[key]), [2, 3, 0]);
    assert_eq!((&restored["reached"], &restored["verdict"]), (&json!(5), &json!("reached")));
    let managed = round(json!("lambda-managed-instances")).await;
    assert_eq!((&managed["reached"], &managed["verdict"]), (&Value::Null, &json!("unproven")));
}
