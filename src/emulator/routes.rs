//! Which request goes where.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::profile::Operation;
use super::wire::{Answer, Call, Cut, decoded, json};
use super::{Emulator, cloudwatch, events, invoke, reads, s3};

/// Answers one request.
pub(super) async fn route(
    emulator: &Emulator,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Answer, Cut> {
    let arrived = emulator.now();
    let (parts, body) = request.into_parts();
    // A body that does not arrive whole has no one waiting for the answer.
    let body: Bytes = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let call = Call { parts, connection, arrived };
    let mut answer = answered(emulator, &call, body).await?;
    // The emulator's wall clock is the caller's own. Otherwise the SDK would see two clocks, and sign for ours.
    let date = call.time().map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
        answer.headers_mut().insert(header::DATE, date);
    }
    Ok(answer)
}

async fn answered(emulator: &Emulator, call: &Call, body: Bytes) -> Result<Answer, Cut> {
    // Its paths are the user's own, so it must be told apart before they are looked at.
    if call.service() == Some("s3") {
        return Ok(s3::serve(emulator, call, body));
    }
    let path = call.parts.uri.path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let target = call.header("x-amz-target");
    match (&call.parts.method, segments.as_slice()) {
        (&Method::POST, ["2015-03-31", "functions", name, "invocations"]) => {
            invoke::invoke(emulator, call, &decoded(name), body).await
        }
        (&Method::GET, ["2015-03-31", "functions", name]) => {
            Ok(reads::read(emulator, call, Operation::GetFunction, &decoded(name)))
        }
        (&Method::GET, ["2015-03-31", "functions", name, "configuration"]) => {
            Ok(reads::read(emulator, call, Operation::GetFunctionConfiguration, &decoded(name)))
        }
        (&Method::GET, ["2019-09-30", "functions", name, "concurrency"]) => {
            Ok(reads::read(emulator, call, Operation::GetFunctionConcurrency, &decoded(name)))
        }
        (&Method::GET, ["2019-09-30", "functions", name, "provisioned-concurrency"]) => {
            Ok(reads::read(emulator, call, Operation::GetProvisionedConcurrencyConfig, &decoded(name)))
        }
        (&Method::GET, ["2016-08-19", "account-settings"]) => Ok(reads::account_settings(emulator, call)),
        (&Method::POST, ["service", "GraniteServiceVersion20100801", "operation", "PutMetricData"]) => {
            cloudwatch::put_metric_data(emulator, call, &body).await
        }
        (&Method::POST, [""]) if target == Some("AWSEvents.PutEvents") => {
            events::put_events(emulator, call, &body).await
        }
        (&Method::GET, ["_emulator", "observations"]) => Ok(told(&emulator.observe())),
        (&Method::GET, ["_emulator", "rounds"]) => Ok(told(&emulator.observe().rounds())),
        (&Method::POST, ["_emulator", "reset"]) => {
            emulator.reset();
            Ok(json(200, &serde_json::json!({}), &[]))
        }
        (method, _) => {
            let message = format!("the emulator does not know {method} {path}");
            let body = serde_json::json!({ "message": message, "__type": "UnknownOperationException" });
            Ok(json(404, &body, &[("x-amzn-errortype", "UnknownOperationException")]))
        }
    }
}

/// An answer about the emulator itself.
fn told<T: serde::Serialize>(what: &T) -> Answer {
    match serde_json::to_value(what) {
        Ok(body) => json(200, &body, &[]),
        Err(error) => json(500, &serde_json::json!({ "message": error.to_string() }), &[]),
    }
}
