//! CloudWatch's PutMetricData in rpc-v2-cbor, held against the API's limits.

use std::io::Read;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ciborium::Value;
use flate2::read::GzDecoder;

use super::fault::FaultKind;
use super::observe::Metric;
use super::wire::{Answer, Call, Cut, answer};
use super::{Emulator, World};

/// The largest request on the wire, bytes. Source for this and the limits below: CloudWatch API reference, 2026-11.
const MAX_BODY: usize = 1024 * 1024;
/// What a gzipped body may become; CloudWatch names no limit, this one protects the emulator.
const MAX_INFLATED: u64 = 64 * 1024 * 1024;
/// Metrics in a request.
const MAX_METRICS: usize = 1000;
/// Values of a metric.
const MAX_VALUES: usize = 150;
/// Dimensions of a metric.
const MAX_DIMENSIONS: usize = 30;
/// How old a timestamp may be, and how far ahead.
const OLDEST: TimeDelta = TimeDelta::days(14);
const NEWEST: TimeDelta = TimeDelta::hours(2);

/// The units that CloudWatch knows: those without a scale, and those with one.
const PLAIN_UNITS: [&str; 6] = ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None"];
const SIZE_UNITS: [&str; 10] = [
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
];

/// A refusal: its shape's name, the code of the older protocol, and a message.
struct Refused {
    status: u16,
    shape: String,
    code: String,
    message: String,
}

impl Refused {
    fn value(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValueException", "InvalidParameterValue", message)
    }

    fn missing(message: impl Into<String>) -> Self {
        Self::new(400, "MissingRequiredParameterException", "MissingParameter", message)
    }

    fn combination(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterCombinationException", "InvalidParameterCombination", message)
    }

    fn new(status: u16, shape: &str, code: &str, message: impl Into<String>) -> Self {
        Self { status, shape: shape.to_owned(), code: code.to_owned(), message: message.into() }
    }

    fn answer(self) -> Answer {
        let side = if self.status >= 500 { "Receiver" } else { "Sender" };
        let body = Value::Map(vec![
            (text("__type"), text(&format!("com.amazonaws.cloudwatch#{}", self.shape))),
            (text("message"), text(&self.message)),
        ]);
        let query_error = format!("{};{side}", self.code);
        cbor(self.status, &body, &[("x-amzn-query-error", &query_error)])
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn cbor(status: u16, body: &Value, headers: &[(&'static str, &str)]) -> Answer {
    let mut bytes = Vec::new();
    // Writing to a Vec cannot fail, and neither can a map of texts.
    let _ = ciborium::into_writer(body, &mut bytes);
    let mut all = vec![("smithy-protocol", "rpc-v2-cbor")];
    all.extend_from_slice(headers);
    answer(status, "application/cbor", bytes, &all)
}

/// Serves PutMetricData.
pub(super) async fn put_metric_data(emulator: &Emulator, call: &Call, body: &[u8]) -> Result<Answer, Cut> {
    let faults: Vec<&FaultKind> = {
        let World { metrics, seen, .. } = &mut *emulator.world();
        seen.metric_calls += 1;
        metrics.struck(&emulator.scenario().metrics)
    };
    let (mut refused, mut late, mut cut) = (None, Duration::ZERO, false);
    for fault in faults {
        match fault {
            FaultKind::Throttle { .. } => {
                refused = Some(Refused::new(400, "ThrottlingException", "Throttling", "Rate exceeded"));
            }
            FaultKind::Refuse { status, code, message } => {
                refused = Some(Refused::new(*status, code, code, message));
            }
            FaultKind::Reset => cut = true,
            FaultKind::Slow { by } => late += *by,
            FaultKind::FunctionError { .. }
            | FaultKind::Timeout
            | FaultKind::GarbageLog
            | FaultKind::NoLog
            | FaultKind::ForeignReport
            | FaultKind::FailEntry => {}
        }
    }
    let taken = refused.map_or_else(|| read(call, body), Err);
    let answer = match taken {
        Ok(metrics) => {
            let seen = &mut emulator.world().seen.metrics;
            seen.extend(metrics);
            while seen.len() > emulator.scenario().remembered {
                seen.pop_front();
            }
            cbor(200, &Value::Map(Vec::new()), &[])
        }
        Err(refused) => refused.answer(),
    };
    emulator.answer_late(answer, late, cut).await
}

/// The metrics of a request, if all of them may be taken.
fn read(call: &Call, body: &[u8]) -> Result<Vec<Metric>, Refused> {
    if call.header("smithy-protocol") != Some("rpc-v2-cbor") {
        let message = "the smithy-protocol header must be rpc-v2-cbor";
        return Err(Refused::new(400, "SerializationException", "SerializationException", message));
    }
    if body.len() > MAX_BODY {
        let message = format!("Request size {} exceeded {MAX_BODY}.", body.len());
        return Err(Refused::new(413, "RequestEntityTooLargeException", "RequestEntityTooLarge", message));
    }
    let malformed =
        |error: String| Refused::new(400, "SerializationException", "SerializationException", error);
    let inflated;
    let body = match call.header("content-encoding") {
        Some("gzip") => {
            let mut bytes = Vec::new();
            let read = GzDecoder::new(body).take(MAX_INFLATED).read_to_end(&mut bytes);
            read.map_err(|error| malformed(error.to_string()))?;
            inflated = bytes;
            inflated.as_slice()
        }
        Some(_) | None => body,
    };
    let request: Value = ciborium::from_reader(body).map_err(|error| malformed(error.to_string()))?;
    let namespace = field(&request, "Namespace").and_then(Value::as_text).unwrap_or_default();
    if namespace.is_empty() {
        return Err(Refused::missing("The parameter Namespace is required."));
    }
    if namespace.len() > 255 || namespace.starts_with(':') || namespace.starts_with("AWS/") {
        return Err(Refused::value("The value for parameter Namespace is invalid."));
    }
    let data = field(&request, "MetricData").and_then(Value::as_array);
    let Some(data) = data else {
        return Err(Refused::missing("The parameter MetricData is required."));
    };
    if data.len() > MAX_METRICS {
        return Err(Refused::value(format!(
            "The collection MetricData must not have a size greater than {MAX_METRICS}."
        )));
    }
    let place = |(n, datum)| Metric::read(datum, &format!("MetricData.member.{}", n + 1), namespace, call);
    data.iter().enumerate().map(place).collect()
}

fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let found = map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name));
    found.map(|(_, value)| value).filter(|value| !value.is_null())
}

impl Metric {
    fn read(datum: &Value, at: &str, namespace: &str, call: &Call) -> Result<Self, Refused> {
        let name = field(datum, "MetricName").and_then(Value::as_text).unwrap_or_default();
        if name.is_empty() {
            return Err(Refused::missing(format!("The parameter {at}.MetricName is required.")));
        }
        if name.len() > 255 {
            return Err(Refused::value(format!("The parameter {at}.MetricName is too long.")));
        }
        let unit = field(datum, "Unit").and_then(Value::as_text);
        if let Some(unit) = unit {
            let size = unit.strip_suffix("/Second").unwrap_or(unit);
            if !PLAIN_UNITS.contains(&unit) && unit != "Count/Second" && !SIZE_UNITS.contains(&size) {
                return Err(Refused::value(format!("The value {unit} for parameter {at}.Unit is invalid.")));
            }
        }
        Ok(Self {
            region: call.region().to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions(datum, at)?,
            unit: unit.map(str::to_owned),
            values: values(datum, at)?,
            timestamp: timestamp(datum, at, call.time())?,
        })
    }
}

fn dimensions(datum: &Value, at: &str) -> Result<Vec<(String, String)>, Refused> {
    let given = field(datum, "Dimensions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if given.len() > MAX_DIMENSIONS {
        return Err(Refused::value(format!(
            "The collection {at}.Dimensions must not have a size greater than {MAX_DIMENSIONS}."
        )));
    }
    let mut dimensions: Vec<(String, String)> = Vec::with_capacity(given.len());
    for (n, dimension) in given.iter().enumerate() {
        let part = |part: &str, longest: usize| {
            let text = field(dimension, part).and_then(Value::as_text).unwrap_or_default();
            let fits = !text.trim().is_empty() && text.len() <= longest && text.is_ascii();
            let place = format!("{at}.Dimensions.member.{}.{part}", n + 1);
            fits.then(|| text.to_owned())
                .ok_or_else(|| Refused::value(format!("The value for parameter {place} is invalid.")))
        };
        let (name, value) = (part("Name", 255)?, part("Value", 1024)?);
        if dimensions.iter().any(|(known, _)| *known == name) {
            return Err(Refused::combination(format!("{at}.Dimensions names {name} twice.")));
        }
        dimensions.push((name, value));
    }
    Ok(dimensions)
}

fn values(datum: &Value, at: &str) -> Result<Vec<(f64, f64)>, Refused> {
    let number = |value: &Value| {
        let number = match value {
            Value::Integer(integer) => i128::from(*integer) as f64,
            Value::Float(float) => *float,
            _ => f64::NAN,
        };
        // CloudWatch takes magnitudes from 2^-360 to 2^360, and zero.
        let fits = number == 0.0 || (number.is_finite() && number.abs().log2().abs() <= 360.0);
        fits.then_some(number)
            .ok_or_else(|| Refused::value(format!("A value of {at} is not a number it takes.")))
    };
    let list = |name: &str| match field(datum, name).and_then(Value::as_array) {
        Some(list) if list.len() > MAX_VALUES => Err(Refused::value(format!(
            "The collection {at}.{name} must not have a size greater than {MAX_VALUES}."
        ))),
        Some(list) => list.iter().map(number).collect::<Result<Vec<f64>, _>>().map(Some),
        None => Ok(None),
    };
    let (value, many, statistics) = (field(datum, "Value"), list("Values")?, field(datum, "StatisticValues"));
    match (value, many, statistics) {
        (Some(value), None, None) => Ok(vec![(number(value)?, 1.0)]),
        (None, Some(values), None) => {
            let counts = list("Counts")?.unwrap_or_else(|| vec![1.0; values.len()]);
            if counts.len() != values.len() {
                return Err(Refused::value(format!("{at}.Values and {at}.Counts must have the same size.")));
            }
            Ok(values.into_iter().zip(counts).collect())
        }
        (None, None, Some(statistics)) => {
            let part = |name: &str| {
                let missing =
                    || Refused::missing(format!("The parameter {at}.StatisticValues.{name} is required."));
                field(statistics, name).ok_or_else(missing).and_then(number)
            };
            let (sum, count) = (part("Sum")?, part("SampleCount")?);
            part("Minimum")?;
            part("Maximum")?;
            Ok(vec![(if count == 0.0 { 0.0 } else { sum / count }, count)])
        }
        (None, None, None) => Err(Refused::missing(format!("{at} has no value."))),
        _ => Err(Refused::combination(format!(
            "{at} must have only one of Value, Values and StatisticValues."
        ))),
    }
}

/// `now` is the caller's time; without one the limits cannot be held.
fn timestamp(datum: &Value, at: &str, now: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Refused> {
    let bad = |why: &str| Refused::value(format!("The parameter {at}.Timestamp {why}."));
    let seconds = match field(datum, "Timestamp") {
        None => return Ok(None),
        Some(Value::Tag(1, seconds)) => match **seconds {
            Value::Integer(integer) => i128::from(integer) as f64,
            Value::Float(float) => float,
            _ => return Err(bad("is not a number of seconds")),
        },
        Some(_) => return Err(bad("is not a timestamp")),
    };
    let time =
        DateTime::from_timestamp_micros((seconds * 1e6) as i64).ok_or_else(|| bad("is out of range"))?;
    match now {
        Some(now) if time < now - OLDEST => Err(bad("must be a time within the last two weeks")),
        Some(now) if time > now + NEWEST => Err(bad("must not be more than two hours ahead")),
        Some(_) | None => Ok(Some(time)),
    }
}
