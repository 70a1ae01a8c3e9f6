//! CloudWatch's PutMetricData in rpc-v2-cbor, with the API's limits.

use std::io::Read;

use chrono::{DateTime, TimeDelta, Utc};
use ciborium::tag::Required;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::errors::ErrorResponse;
use super::fault::CallEffect;
use super::observe::Metric;
use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse, response};
use super::{Emulator, EmulatorState, control};

/// The largest request on the wire, bytes. Source for this and the limits below: CloudWatch API reference, 2026-11.
const MAX_BODY: usize = 1024 * 1024;
/// The largest inflated body, bytes. CloudWatch documents no limit; this one bounds the emulator's memory.
const MAX_INFLATED: u64 = 64 * 1024 * 1024;
/// Metrics of a request.
const MAX_METRICS: usize = 1000;
/// Values of a metric.
const MAX_VALUES: usize = 150;
/// Dimensions of a metric.
const MAX_DIMENSIONS: usize = 30;
/// The oldest and the newest timestamp, relative to the request.
const OLDEST: TimeDelta = TimeDelta::days(14);
const NEWEST: TimeDelta = TimeDelta::hours(2);

/// The units without a rate.
const PLAIN_UNITS: &str = "Seconds Microseconds Milliseconds Percent None";
/// The units that may be a rate, such as `Bytes/Second`.
const RATE_UNITS: &str =
    "Count Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits Terabits";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutMetricData {
    namespace: Option<String>,
    metric_data: Option<Vec<Datum>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datum {
    metric_name: Option<String>,
    unit: Option<String>,
    dimensions: Option<Vec<Dimension>>,
    timestamp: Option<Required<Number, 1>>,
    value: Option<Number>,
    values: Option<Vec<Number>>,
    counts: Option<Vec<Number>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

/// A number, encoded as an integer or as a float.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Value(f64),
}

pub(super) fn invalid(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::new(400, "InvalidParameterValueException", message)
}

pub(super) fn missing(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::new(400, "MissingRequiredParameterException", message)
}

fn conflict(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::new(400, "InvalidParameterCombinationException", message)
}

pub(super) fn malformed(error: impl ToString) -> ErrorResponse {
    ErrorResponse::new(400, "SerializationException", error.to_string())
}

/// Returns CloudWatch's response for an error, with its code in the older query protocol.
pub(super) fn refused(error: &ErrorResponse) -> HttpResponse {
    let side = if error.status >= 500 { "Receiver" } else { "Sender" };
    let code = match error.code.as_str() {
        "AccessDeniedException" => "AccessDenied",
        "InvalidParameterCombinationException" => "InvalidParameterCombination",
        "InvalidParameterValueException" => "InvalidParameterValue",
        "MissingRequiredParameterException" => "MissingParameter",
        "RequestEntityTooLargeException" => "RequestEntityTooLarge",
        "ThrottlingException" => "Throttling",
        other => other,
    };
    let body =
        json!({ "__type": format!("com.amazonaws.cloudwatch#{}", error.code), "message": error.message });
    cbor(error.status, &body, &[("x-amzn-query-error", &format!("{code};{side}"))])
}

pub(super) fn cbor(status: u16, body: &impl Serialize, headers: &[(&'static str, &str)]) -> HttpResponse {
    let mut bytes = Vec::new();
    // Writing to a Vec does not fail, and the bodies are maps of texts.
    let _ = ciborium::into_writer(body, &mut bytes);
    let mut all = vec![("smithy-protocol", "rpc-v2-cbor")];
    all.extend_from_slice(headers);
    response(status, "application/cbor", bytes, &all)
}

/// Answers a call of an operation other than PutMetricData with `answer`, unless the rate limit, a missing permission or a
/// fault applies, and records it.
pub(super) async fn serve(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    answer: impl FnOnce() -> Result<HttpResponse, ErrorResponse>,
) -> Result<HttpResponse, ConnectionCut> {
    let (is_above_rate, effect) = control::admit(emulator, call, operation, "/monitoring");
    let result = match effect.refusal {
        Some(error) => Err(error),
        None if is_above_rate => Err(ErrorResponse::new(400, "ThrottlingException", "Rate exceeded")),
        None => control::permit(&emulator.scenario(), "cloudwatch", operation, "*").and_then(|()| answer()),
    };
    let response = match (result, effect.answer) {
        (Ok(response), Some(other)) if response.status().is_success() => cbor(200, &other, &[]),
        (Ok(response), _) => response,
        (Err(error), _) => refused(&error),
    };
    control::record(emulator, call, operation, None, (!effect.cut).then_some(response.status().as_u16()));
    emulator.respond_after(effect.delay, response, effect.cut).await
}

/// Handles PutMetricData.
pub(super) async fn put_metric_data(
    emulator: &Emulator,
    call: &Call,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    let CallEffect { refusal, delay, cut, .. } = {
        let EmulatorState { metrics, observations, .. } = &mut *emulator.state();
        observations.metric_calls += 1;
        CallEffect::of(&metrics.next_faults(&emulator.scenario().metrics))
    };
    let response = match refusal.map_or_else(|| metrics(call, body), Err) {
        Ok(metrics) => {
            let observed = &mut emulator.state().observations.metrics;
            observed.extend(metrics);
            while observed.len() > emulator.scenario().remembered {
                observed.pop_front();
            }
            cbor(200, &json!({}), &[])
        }
        Err(error) => refused(&error),
    };
    emulator.respond_after(delay, response, cut).await
}

/// Returns the metrics of a request, if all of them are valid.
fn metrics(call: &Call, body: &[u8]) -> Result<Vec<Metric>, ErrorResponse> {
    if call.header("smithy-protocol") != Some("rpc-v2-cbor") {
        return Err(malformed("the smithy-protocol header must be rpc-v2-cbor"));
    }
    if body.len() > MAX_BODY {
        let message = format!("Request size {} exceeded {MAX_BODY}.", body.len());
        return Err(ErrorResponse::new(413, "RequestEntityTooLargeException", message));
    }
    let request: PutMetricData = match call.header("content-encoding") {
        Some("gzip") => ciborium::from_reader(GzDecoder::new(body).take(MAX_INFLATED)),
        Some(_) | None => ciborium::from_reader(body),
    }
    .map_err(malformed)?;
    let namespace = request.namespace.unwrap_or_default();
    if namespace.is_empty() {
        return Err(missing("The parameter Namespace is required."));
    }
    if namespace.len() > 255 || namespace.starts_with(':') || namespace.starts_with("AWS/") {
        return Err(invalid("The value for parameter Namespace is invalid."));
    }
    let Some(data) = request.metric_data else {
        return Err(missing("The parameter MetricData is required."));
    };
    if data.len() > MAX_METRICS {
        let message = format!("The collection MetricData must not have a size greater than {MAX_METRICS}.");
        return Err(invalid(message));
    }
    let metric = |(n, datum): (usize, Datum)| {
        datum.into_metric(&format!("MetricData.member.{}", n + 1), &namespace, call)
    };
    data.into_iter().enumerate().map(metric).collect()
}

impl Datum {
    /// Validates the datum. `at` is its place in the request, for messages.
    fn into_metric(self, at: &str, namespace: &str, call: &Call) -> Result<Metric, ErrorResponse> {
        let name = self.metric_name.unwrap_or_default();
        if name.is_empty() {
            return Err(missing(format!("The parameter {at}.MetricName is required.")));
        }
        if name.len() > 255 {
            return Err(invalid(format!("The parameter {at}.MetricName is too long.")));
        }
        if let Some(unit) = self.unit.as_deref() {
            let quantity = unit.strip_suffix("/Second").unwrap_or(unit);
            if !PLAIN_UNITS.split(' ').any(|known| known == unit)
                && !RATE_UNITS.split(' ').any(|known| known == quantity)
            {
                return Err(invalid(format!("The value {unit} for parameter {at}.Unit is invalid.")));
            }
        }
        Ok(Metric {
            region: call.region().to_owned(),
            namespace: namespace.to_owned(),
            name,
            dimensions: dimensions(self.dimensions.unwrap_or_default(), at)?,
            unit: self.unit,
            timestamp: timestamp(self.timestamp, at, call.time())?,
            values: values(self.value, self.values, self.counts, at)?,
        })
    }
}

fn dimensions(given: Vec<Dimension>, at: &str) -> Result<Vec<(String, String)>, ErrorResponse> {
    if given.len() > MAX_DIMENSIONS {
        return Err(invalid(format!(
            "The collection {at}.Dimensions must not have a size greater than {MAX_DIMENSIONS}."
        )));
    }
    let mut dimensions: Vec<(String, String)> = Vec::with_capacity(given.len());
    for (n, Dimension { name, value }) in given.into_iter().enumerate() {
        for (part, text, longest) in [("Name", &name, 255), ("Value", &value, 1024)] {
            if text.trim().is_empty() || text.len() > longest || !text.is_ascii() {
                let place = format!("{at}.Dimensions.member.{}.{part}", n + 1);
                return Err(invalid(format!("The value for parameter {place} is invalid.")));
            }
        }
        if dimensions.iter().any(|(known, _)| *known == name) {
            return Err(conflict(format!("{at}.Dimensions has a duplicate name {name}.")));
        }
        dimensions.push((name, value));
    }
    Ok(dimensions)
}

/// Returns the values of a datum, each with its count. The emulator does not support `StatisticValues`.
fn values(
    value: Option<Number>,
    values: Option<Vec<Number>>,
    counts: Option<Vec<Number>>,
    at: &str,
) -> Result<Vec<(f64, f64)>, ErrorResponse> {
    let number = |Number::Value(number): Number| {
        // CloudWatch accepts magnitudes from 2^-360 to 2^360, and zero.
        let is_valid = number == 0.0 || (number.is_finite() && number.abs().log2().abs() <= 360.0);
        is_valid.then_some(number).ok_or_else(|| invalid(format!("A value of {at} is out of range.")))
    };
    let list = |name: &str, list: Option<Vec<Number>>| match list {
        Some(list) if list.len() > MAX_VALUES => Err(invalid(format!(
            "The collection {at}.{name} must not have a size greater than {MAX_VALUES}."
        ))),
        Some(list) => list.into_iter().map(number).collect::<Result<Vec<f64>, _>>().map(Some),
        None => Ok(None),
    };
    match (value, list("Values", values)?) {
        (Some(value), None) => Ok(vec![(number(value)?, 1.0)]),
        (None, Some(values)) => {
            let counts = list("Counts", counts)?.unwrap_or_else(|| vec![1.0; values.len()]);
            if counts.len() != values.len() {
                return Err(invalid(format!("{at}.Values and {at}.Counts must have the same size.")));
            }
            Ok(values.into_iter().zip(counts).collect())
        }
        (None, None) => Err(missing(format!("{at} has no value."))),
        _ => Err(conflict(format!("{at} must have only one of Value and Values."))),
    }
}

/// Validates a timestamp. Without `now`, the time of the request, its age is not checked.
fn timestamp(
    seconds: Option<Required<Number, 1>>,
    at: &str,
    now: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, ErrorResponse> {
    let Some(Required(Number::Value(seconds))) = seconds else { return Ok(None) };
    let bad = |problem: &str| invalid(format!("The parameter {at}.Timestamp {problem}."));
    let time =
        DateTime::from_timestamp_micros((seconds * 1e6) as i64).ok_or_else(|| bad("is out of range"))?;
    match now {
        Some(now) if time < now - OLDEST => Err(bad("must be a time within the last two weeks")),
        Some(now) if time > now + NEWEST => Err(bad("must not be more than two hours ahead")),
        Some(_) | None => Ok(Some(time)),
    }
}
