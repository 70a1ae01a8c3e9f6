//! CloudWatch and EventBridge: the requests, and the reports of losses.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use ciborium::Value;
use http::Request;
use warmd::aws::Clients;
use warmd::domain::metric_data::{Batch, Datum};
use warmd::domain::metrics::Unit;
use warmd::engine::ports::{CallError, Delivery, ErrorKind, Event, Events, Metrics, Unacknowledged};
use warmd::service::recorder::PATIENCE;

use crate::clients_through;
use crate::server::{Server, answer};

fn clients(server: &Server) -> Clients {
    clients_through(server.dialer())
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + PATIENCE
}

fn batch(n: usize) -> Batch {
    let datum = |index: usize| Datum {
        name: "Pings",
        unit: Unit::Count,
        dimensions: vec![("Function", format!("f{index}"))],
        value: index as f64,
    };
    let at: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
    Batch { namespace: "warmd".to_owned(), at, data: (0..n).map(datum).collect() }
}

/// Decodes the metric data of a PutMetricData request.
fn data(request: &Request<Bytes>) -> Vec<Value> {
    let mut body = Vec::new();
    if request.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        flate2::read::GzDecoder::new(request.body().as_ref()).read_to_end(&mut body).unwrap();
    } else {
        body = request.body().to_vec();
    }
    let value: Value = ciborium::from_reader(body.as_slice()).unwrap();
    field(&value, "MetricData").as_array().unwrap().clone()
}

fn field(value: &Value, name: &str) -> Value {
    let entries = value.as_map().unwrap();
    entries.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap().1.clone()
}

fn cbor_ok() -> crate::server::Answer {
    let mut answer = answer(200, vec![0xa0]);
    let headers = answer.headers_mut();
    headers.insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
    headers.insert("content-type", "application/cbor".parse().unwrap());
    answer
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_split_at_the_limits_of_a_request() {
    let server = Server::new(|_| async { cbor_ok() });
    clients(&server).cloudwatch().unwrap().put(&batch(2_500), soon()).await.unwrap();
    let requests = server.observed.requests.lock().unwrap();
    let mut sizes: Vec<usize> = requests.iter().map(|request| data(request).len()).collect();
    sizes.sort();
    assert_eq!(sizes, [500, 1_000, 1_000]);
    let datum = data(&requests[0]).remove(7);
    assert_eq!(field(&datum, "MetricName"), Value::from("Pings"));
    assert_eq!(field(&datum, "Unit"), Value::from("Count"));
    assert_eq!(field(&datum, "Timestamp"), Value::Tag(1, Box::new(Value::from(1_795_165_200.0))));
    let dimensions = field(&datum, "Dimensions");
    assert_eq!(field(&dimensions.as_array().unwrap()[0], "Name"), Value::from("Function"));
}

#[tokio::test(start_paused = true)]
async fn metrics_that_cloudwatch_refuses_are_returned() {
    // Accepts the first request and refuses the others.
    let first = Arc::new(AtomicUsize::new(0));
    let server = Server::new(move |_| {
        let nth = first.fetch_add(1, Ordering::SeqCst);
        async move { if nth == 0 { cbor_ok() } else { answer(400, "") } }
    });
    let sent = batch(2_500);
    let lost = clients(&server).cloudwatch().unwrap().put(&sent, soon()).await.unwrap_err();
    let accepted = data(&server.observed.requests.lock().unwrap()[0]).len();
    assert_eq!(lost.lost.data.len(), sent.data.len() - accepted);
    assert_eq!((&lost.lost.namespace, lost.lost.at), (&sent.namespace, sent.at));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_reported_with_code_and_message() {
    let server = Server::new(|_| async {
        let mut body = Vec::new();
        let fields =
            [("__type", "AccessDeniedException"), ("message", "not allowed: cloudwatch:PutMetricData")];
        let fields = fields.map(|(key, value)| (Value::from(key), Value::from(value)));
        ciborium::into_writer(&Value::Map(fields.to_vec()), &mut body).unwrap();
        let mut answer = answer(403, body);
        answer.headers_mut().insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
        answer.headers_mut().insert("content-type", "application/cbor".parse().unwrap());
        answer
    });
    let lost = clients(&server).cloudwatch().unwrap().put(&batch(3), soon()).await.unwrap_err();
    let denied = "AccessDeniedException: not allowed: cloudwatch:PutMetricData";
    assert_eq!(lost.reason, CallError::new(ErrorKind::AccessDenied, denied));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_cloudwatch_the_metrics_are_unknown_after_fifteen_seconds() {
    let server = Server::new(|_| async { std::future::pending().await });
    let began = tokio::time::Instant::now();
    let lost = clients(&server).cloudwatch().unwrap().put(&batch(3), soon()).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 15);
    assert_eq!((lost.lost.data.len(), lost.unknown), (0, batch(3)));
    assert_eq!(server.observed.count(), 1);
}

fn event(index: usize) -> Event {
    Event {
        bus: Some("warm-bus".to_owned()),
        source: "warmd".to_owned(),
        detail_type: "Warm Shard".to_owned(),
        detail: format!("{{\"index\":{index}}}"),
    }
}

fn indexes(request: &Request<Bytes>) -> Vec<u64> {
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    let entries = body["Entries"].as_array().unwrap();
    let index = |entry: &serde_json::Value| {
        assert_eq!(entry["EventBusName"], "warm-bus");
        let detail: serde_json::Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        detail["index"].as_u64().unwrap()
    };
    entries.iter().map(index).collect()
}

#[tokio::test(start_paused = true)]
async fn only_refused_events_are_sent_again() {
    // Refuses event 3 once, and event 12 always.
    let attempts = Arc::new(AtomicUsize::new(0));
    let server = Server::new(move |request| {
        let attempts = Arc::clone(&attempts);
        async move {
            let mut failed = 0;
            let entries: Vec<_> = indexes(&request)
                .into_iter()
                .map(|index| {
                    let refused = index == 12 || index == 3 && attempts.fetch_add(1, Ordering::SeqCst) == 0;
                    failed += u32::from(refused);
                    match refused {
                        true => {
                            serde_json::json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "busy"})
                        }
                        false => serde_json::json!({"EventId": "id"}),
                    }
                })
                .collect();
            answer(200, serde_json::json!({"FailedEntryCount": failed, "Entries": entries}).to_string())
        }
    });
    let events: Vec<Event> = (0..15).map(event).collect();
    let lost = clients(&server).events().unwrap().put(&events, soon()).await.unwrap_err();
    let reason = Unacknowledged {
        reason: CallError::new(ErrorKind::Throttled, "ThrottlingException: busy"),
        delivery: Delivery::NotProcessed,
    };
    assert_eq!(lost.lost, [(event(12), reason)]);
    let requests = server.observed.requests.lock().unwrap();
    let mut batches: Vec<Vec<u64>> = requests.iter().map(indexes).collect();
    batches.sort();
    assert_eq!(batches, [(0..10).collect(), vec![3], (10..15).collect(), vec![12], vec![12]]);
}
