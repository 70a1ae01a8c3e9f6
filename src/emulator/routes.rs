//! The routing of requests.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse, decoded, json_response};
use super::{
    Emulator, alarms, autoscaling, capacity, cloudwatch, dashboards, events, functions, get_metric_data,
    invoke, reads, s3,
};

/// Handles one request of a connection.
pub(super) async fn route(
    emulator: &Emulator,
    connection: u64,
    request: Request<Incoming>,
) -> Result<HttpResponse, ConnectionCut> {
    let arrived = emulator.now();
    let (parts, body) = request.into_parts();
    // A client that does not send the whole body does not wait for an answer.
    let body: Bytes = body.collect().await.map_err(|_| ConnectionCut)?.to_bytes();
    answer(emulator, Call { parts, connection, arrived }, body).await
}

impl Emulator {
    /// Handles one request without a connection, as it handles those over HTTP. `None` for a cut connection.
    pub async fn handle(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let call = Call { parts, connection: 0, arrived: self.now() };
        let (head, body) = answer(self, call, body).await.ok()?.into_parts();
        let Ok(body) = body.collect().await;
        Some(Response::from_parts(head, body.to_bytes()))
    }
}

async fn answer(emulator: &Emulator, call: Call, body: Bytes) -> Result<HttpResponse, ConnectionCut> {
    let time = call.time();
    if let Some(time) = time {
        emulator.inner.utc_origin.get_or_init(|| time - call.arrived);
    }
    emulator.make_due_changes();
    let mut response = dispatch(emulator, &call, body).await?;
    // The emulator uses the caller's clock. The SDK would correct its signatures for a clock that differs.
    let date = time.map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
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
            reads::read(emulator, call, Operation::GetFunction, &decoded(name)).await
        }
        (&Method::GET, ["2015-03-31", "functions", name, "configuration"]) => {
            reads::read(emulator, call, Operation::GetFunctionConfiguration, &decoded(name)).await
        }
        (&Method::GET, ["2019-09-30", "functions", name, "concurrency"]) => {
            reads::read(emulator, call, Operation::GetFunctionConcurrency, &decoded(name)).await
        }
        (&Method::GET, ["2019-09-30", "functions", name, "provisioned-concurrency"])
            if call.query("List").is_some() =>
        {
            capacity::provisioned_list(emulator, call, &decoded(name)).await
        }
        (
            &Method::GET | &Method::PUT | &Method::DELETE,
            ["2019-09-30", "functions", name, "provisioned-concurrency"],
        ) => capacity::provisioned_concurrency(emulator, call, &decoded(name), &body).await,
        (&Method::GET | &Method::PUT, ["2015-03-31", "functions", name, "aliases", alias]) => {
            capacity::alias(emulator, call, &decoded(name), &decoded(alias), &body).await
        }
        (&Method::GET | &Method::PUT, ["2025-11-30", "functions", name, "function-scaling-config"]) => {
            capacity::function_scaling(emulator, call, &decoded(name), &body).await
        }
        (&Method::GET, ["2016-08-19", "account-settings"]) => reads::account_settings(emulator, call).await,
        (&Method::POST, ["service", "GraniteServiceVersion20100801", "operation", "PutMetricData"]) => {
            cloudwatch::put_metric_data(emulator, call, &body).await
        }
        (&Method::POST, ["service", "GraniteServiceVersion20100801", "operation", "GetMetricData"]) => {
            get_metric_data::get_metric_data(emulator, call, &body).await
        }
        (&Method::POST, ["service", "GraniteServiceVersion20100801", "operation", operation])
            if operation.contains("Dashboard") =>
        {
            dashboards::serve(emulator, call, operation, &body).await
        }
        (&Method::POST, ["service", "GraniteServiceVersion20100801", "operation", operation])
            if operation.contains("Alarm") =>
        {
            alarms::serve(emulator, call, operation, &body).await
        }
        (&Method::POST, [""]) if target == Some("AWSEvents.PutEvents") => {
            events::put_events(emulator, call, &body).await
        }
        (&Method::POST, [""]) if target.is_some_and(|target| target.starts_with(autoscaling::TARGET)) => {
            autoscaling::serve(emulator, call, &body).await
        }
        (&Method::GET, ["_emulator", "observations"]) => Ok(serialized(&emulator.observe())),
        (&Method::GET, ["_emulator", "rounds"]) => Ok(serialized(&emulator.observe().rounds())),
        (&Method::POST, ["_emulator", "change"]) => {
            let text = String::from_utf8_lossy(&body);
            let mut result = Ok(());
            emulator.change(|scenario| {
                let mut changed = scenario.clone();
                result = functions::change("body", &text, &mut changed);
                if result.is_ok() {
                    *scenario = changed;
                }
            });
            Ok(match result {
                Ok(()) => json_response(200, &serde_json::json!({}), &[]),
                Err(error) => json_response(400, &serde_json::json!({ "message": error.to_string() }), &[]),
            })
        }
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
