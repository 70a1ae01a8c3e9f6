//! The routing of requests.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse, decoded, json_response};
use super::{Emulator, cloudwatch, events, invoke, reads, s3};

/// Handles one request.
pub(super) async fn route(
    emulator: &Emulator,
    connection: u64,
    request: Request<Incoming>,
) -> Result<HttpResponse, ConnectionCut> {
    let arrived = emulator.now();
    let (parts, body) = request.into_parts();
    // A client that does not send the whole body does not wait for an answer.
    let body: Bytes = body.collect().await.map_err(|_| ConnectionCut)?.to_bytes();
    let call = Call { parts, connection, arrived };
    let mut response = dispatch(emulator, &call, body).await?;
    // The emulator uses the caller's clock. The SDK would correct its signatures for a clock that differs.
    let date = call.time().map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

async fn dispatch(emulator: &Emulator, call: &Call, body: Bytes) -> Result<HttpResponse, ConnectionCut> {
    // S3 comes first, because its paths are keys of the user.
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
        (&Method::GET, ["_emulator", "observations"]) => Ok(serialized(&emulator.observe())),
        (&Method::GET, ["_emulator", "rounds"]) => Ok(serialized(&emulator.observe().rounds())),
        (&Method::POST, ["_emulator", "reset"]) => {
            emulator.reset();
            Ok(json_response(200, &serde_json::json!({}), &[]))
        }
        (method, _) => {
            let message = format!("the emulator does not support {method} {path}");
            let body = serde_json::json!({ "message": message, "__type": "UnknownOperationException" });
            Ok(json_response(404, &body, &[("x-amzn-errortype", "UnknownOperationException")]))
        }
    }
}

/// Returns a response with the JSON form of a value.
fn serialized<T: serde::Serialize>(value: &T) -> HttpResponse {
    match serde_json::to_value(value) {
        Ok(body) => json_response(200, &body, &[]),
        Err(error) => json_response(500, &serde_json::json!({ "message": error.to_string() }), &[]),
    }
}
