//! CloudWatch's alarms in rpc-v2-cbor, with the API's limits. Their states are not evaluated.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Emulator;
use super::cloudwatch::{self, cbor, malformed};
use super::dashboards::unknown;
use super::errors::ErrorResponse;
use super::observe::ObservedAlarm;
use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse};

/// The requests that put alarms, by region and name.
pub(super) type Alarms = BTreeMap<(String, String), Value>;

/// The longest name and description, the most queries, actions and deletions, the longest rule. Source for these and the
/// limits of periods: CloudWatch API reference, 2026-11.
const LONGEST_NAME: usize = 255;
const LONGEST_DESCRIPTION: usize = 1_024;
const LONGEST_RULE: usize = 10_240;
const MOST_QUERIES: usize = 20;
const MOST_METRICS: usize = 10;
const MOST_ACTIONS: usize = 5;
const MOST_DELETIONS: usize = 100;
/// The alarms of a page: the most, and the default.
const PAGE: (u64, u64) = (100, 50);
/// The longest time of all periods in seconds: of periods below an hour, and of others.
const LONGEST: (u64, u64) = (86_400, 604_800);
const COMPARISONS: [&str; 7] = [
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
];
const MISSING: [&str; 4] = ["breaching", "notBreaching", "ignore", "missing"];
/// The key that only composite alarms have.
const RULE: &str = "AlarmRule";

pub(super) fn observe(alarms: &Alarms) -> Vec<ObservedAlarm> {
    let observed = |((region, name), properties): (&(String, String), &Value)| ObservedAlarm {
        region: region.clone(),
        name: name.clone(),
        properties: properties.clone(),
    };
    alarms.iter().map(observed).collect()
}

/// Handles an operation on alarms.
pub(super) async fn serve(
    emulator: &Emulator,
    call: &Call,
    operation: &str,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    type Handle = fn(&mut Alarms, &str, &Value) -> Result<Value, ErrorResponse>;
    let (operation, handle): (_, Handle) = match operation {
        "DescribeAlarms" => (Operation::DescribeAlarms, describe),
        "PutMetricAlarm" => (Operation::PutMetricAlarm, put_metric),
        "PutCompositeAlarm" => (Operation::PutCompositeAlarm, put_composite),
        "DeleteAlarms" => (Operation::DeleteAlarms, delete),
        _ => return Ok(cloudwatch::refused(&unknown(operation))),
    };
    cloudwatch::serve(emulator, call, operation, || {
        let request: Value = ciborium::from_reader(body).map_err(malformed)?;
        let answer = handle(&mut emulator.state().alarms, call.region(), &request)?;
        Ok(cbor(200, &answer, &[]))
    })
    .await
}

fn error(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::new(400, "ValidationError", message)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn texts<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    list(value, key).iter().filter_map(Value::as_str).collect()
}

fn is_composite(alarm: &Value) -> bool {
    alarm.get(RULE).is_some()
}

fn describe(alarms: &mut Alarms, region: &str, request: &Value) -> Result<Value, ErrorResponse> {
    let prefix = request["AlarmNamePrefix"].as_str().unwrap_or_default();
    let types = match texts(request, "AlarmTypes") {
        none if none.is_empty() => vec!["MetricAlarm"],
        types => types,
    };
    let size = request["MaxRecords"].as_u64().unwrap_or(PAGE.1);
    if !(1..=PAGE.0).contains(&size) {
        return Err(error("The value for MaxRecords must be between 1 and 100"));
    }
    let invalid_token = || ErrorResponse::new(400, "InvalidNextToken", "The next token is not valid");
    let skipped: usize = match request["NextToken"].as_str() {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid_token())?,
    };
    let is_asked = |((of, name), alarm): &(&(String, String), &Value)| {
        let kind = if is_composite(alarm) { "CompositeAlarm" } else { "MetricAlarm" };
        of == region && name.starts_with(prefix) && types.contains(&kind)
    };
    let found: Vec<&Value> = alarms.iter().filter(is_asked).map(|(_, alarm)| alarm).collect();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let page = found.iter().skip(skipped).take(size);
    let (composite, metric): (Vec<&Value>, Vec<&Value>) = page.partition(|alarm| is_composite(alarm));
    let mut answer = json!({ "MetricAlarms": metric, "CompositeAlarms": composite });
    if skipped + size < found.len() {
        answer["NextToken"] = json!((skipped + size).to_string());
    }
    Ok(answer)
}

/// Validates what both kinds of alarms have, and returns the name.
fn common(request: &Value) -> Result<String, ErrorResponse> {
    let name = request["AlarmName"].as_str().unwrap_or_default();
    if !(1..=LONGEST_NAME).contains(&name.chars().count()) || name.chars().any(|c| c.is_ascii_control()) {
        return Err(error("The value for AlarmName is invalid"));
    }
    let description = request["AlarmDescription"].as_str().unwrap_or_default();
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(error("AlarmDescription has more than 1024 characters"));
    }
    for key in ["AlarmActions", "OKActions", "InsufficientDataActions"] {
        let actions = texts(request, key);
        if actions.len() > MOST_ACTIONS || actions.iter().any(|action| !action.starts_with("arn:")) {
            return Err(error(format!("Invalid {key}")));
        }
    }
    Ok(name.to_owned())
}

fn put(alarms: &mut Alarms, region: &str, name: String, request: &Value) -> Result<Value, ErrorResponse> {
    let key = (region.to_owned(), name);
    if alarms.get(&key).is_some_and(|known| is_composite(known) != is_composite(request)) {
        return Err(error(format!("An alarm of another type has the name {}", key.1)));
    }
    alarms.insert(key, request.clone());
    Ok(json!({}))
}

fn put_metric(alarms: &mut Alarms, region: &str, request: &Value) -> Result<Value, ErrorResponse> {
    let name = common(request)?;
    let among = |key: &str, allowed: &[&str]| match request[key].as_str() {
        Some(value) if allowed.contains(&value) => Ok(()),
        _ => Err(error(format!("The value for {key} is invalid"))),
    };
    among("ComparisonOperator", &COMPARISONS)?;
    if request.get("TreatMissingData").is_some() {
        among("TreatMissingData", &MISSING)?;
    }
    if !request["Threshold"].is_number() {
        return Err(error("Threshold is required"));
    }
    let periods = request["EvaluationPeriods"].as_u64().filter(|periods| *periods > 0);
    let periods = periods.ok_or_else(|| error("EvaluationPeriods must be at least 1"))?;
    let single = request.get("MetricName").is_some();
    if single == request.get("Metrics").is_some() {
        return Err(error("Either MetricName or Metrics must be given"));
    }
    let all: Vec<&Value> = match single {
        true => vec![&request["Period"]],
        false => queries(list(request, "Metrics"))?,
    };
    for period in all {
        let Some(seconds) = period.as_u64() else { return Err(error("Period must not be null")) };
        if seconds == 0 || (seconds % 60 != 0 && ![10, 20, 30].contains(&seconds)) {
            return Err(error(format!("Invalid period {seconds}")));
        }
        let longest = if seconds < 3_600 { LONGEST.0 } else { LONGEST.1 };
        if seconds.saturating_mul(periods) > longest {
            return Err(error(format!("Metrics cannot be checked across more than {longest} seconds")));
        }
    }
    put(alarms, region, name, request)
}

/// Validates queries and returns their periods.
fn queries(queries: &[Value]) -> Result<Vec<&Value>, ErrorResponse> {
    let metrics: Vec<&Value> = queries.iter().filter(|query| query.get("MetricStat").is_some()).collect();
    if queries.is_empty() || queries.len() > MOST_QUERIES || metrics.len() > MOST_METRICS {
        return Err(error("The metrics list has too few or too many elements"));
    }
    let is_returned = |query: &&Value| query["ReturnData"].as_bool() != Some(false);
    if queries.iter().filter(is_returned).count() != 1 {
        return Err(error("Exactly one element of the metrics list should return data."));
    }
    let mut ids = BTreeSet::new();
    for query in queries {
        let id = query["Id"].as_str().unwrap_or_default();
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.chars().all(is_id) || !ids.insert(id) {
            return Err(error(format!("The value '{id}' for Id is invalid")));
        }
        if query.get("MetricStat").is_some() == query.get("Expression").is_some() {
            return Err(error(format!("Either Expression or MetricStat must be given for {id}")));
        }
    }
    for query in queries {
        let Some(expression) = query["Expression"].as_str() else { continue };
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut used = words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
        if let Some(word) = used.find(|word| !ids.contains(word)) {
            return Err(error(format!("Error in expression '{}': Undefined variable {word}", query["Id"])));
        }
    }
    Ok(metrics.into_iter().map(|query| &query["MetricStat"]["Period"]).collect())
}

/// Returns the names in a rule such as `ALARM("a") AND ALARM("b")`.
fn named(rule: &str) -> Vec<&str> {
    rule.split('"').skip(1).step_by(2).collect()
}

fn put_composite(alarms: &mut Alarms, region: &str, request: &Value) -> Result<Value, ErrorResponse> {
    let name = common(request)?;
    let rule = request[RULE].as_str().unwrap_or_default();
    if rule.is_empty() || rule.len() > LONGEST_RULE {
        return Err(error("The value for AlarmRule is invalid"));
    }
    let exists = |name: &str| alarms.contains_key(&(region.to_owned(), name.to_owned()));
    if let Some(unknown) = named(rule).into_iter().find(|name| !exists(name)) {
        return Err(error(format!("AlarmRule names an alarm that does not exist: {unknown}")));
    }
    put(alarms, region, name, request)
}

fn delete(alarms: &mut Alarms, region: &str, request: &Value) -> Result<Value, ErrorResponse> {
    let names = texts(request, "AlarmNames");
    let key = |name: &str| (region.to_owned(), name.to_owned());
    let composite = names.iter().filter(|name| alarms.get(&key(name)).is_some_and(is_composite)).count();
    if names.len() > MOST_DELETIONS || composite > 1 {
        return Err(error("At most 100 alarms and one composite alarm can be deleted with one operation"));
    }
    let left = alarms.iter().filter(|((of, name), _)| of == region && !names.contains(&name.as_str()));
    let rules: Vec<&str> = left.filter_map(|(_, alarm)| alarm[RULE].as_str()).collect();
    let used = |name: &&&str| rules.iter().any(|rule| named(rule).contains(*name));
    if let Some(name) = names.iter().find(used) {
        return Err(error(format!("Cannot delete {name} as there are composite alarm(s) depending on it.")));
    }
    let missing = names.iter().filter(|name| alarms.remove(&key(name)).is_none()).count();
    match missing {
        0 => Ok(json!({})),
        _ => Err(ErrorResponse::new(404, "ResourceNotFound", "An alarm does not exist")),
    }
}
