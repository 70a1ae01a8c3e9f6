//! CloudWatch's dashboards in rpc-v2-cbor, with the validation of their bodies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Emulator;
use super::cloudwatch::{self, cbor, invalid, malformed};
use super::errors::ErrorResponse;
use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse};

/// The bodies of dashboards by name.
pub(super) type Dashboards = BTreeMap<String, String>;

/// The columns of a dashboard, the most widgets, and the largest height. Source: CloudWatch, dashboard body structure.
const COLUMNS: u64 = 24;
const MOST_WIDGETS: usize = 500;
const MOST_ROWS: u64 = 1_000;
/// The types of widgets.
const TYPES: [&str; 6] = ["metric", "text", "log", "alarm", "explorer", "custom"];

/// A validation message: a place and a text.
type Finding = (String, &'static str);

pub(super) fn observe(dashboards: &Dashboards) -> BTreeMap<String, Value> {
    let body = |body: &str| serde_json::from_str(body).unwrap_or_default();
    dashboards.iter().map(|(name, text)| (name.clone(), body(text))).collect()
}

/// Handles an operation on dashboards.
pub(super) async fn serve(
    emulator: &Emulator,
    call: &Call,
    operation: &str,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    type Handle = fn(&mut Dashboards, &Value) -> Result<HttpResponse, ErrorResponse>;
    let (operation, handle): (_, Handle) = match operation {
        "GetDashboard" => (Operation::GetDashboard, get),
        "PutDashboard" => (Operation::PutDashboard, put),
        "DeleteDashboards" => (Operation::DeleteDashboards, delete),
        _ => return Ok(cloudwatch::refused(&unknown(operation))),
    };
    cloudwatch::serve(emulator, call, operation, || {
        let request: Value = ciborium::from_reader(body).map_err(malformed)?;
        handle(&mut emulator.state().dashboards, &request)
    })
    .await
}

/// Returns the refusal of an operation that the emulator does not have.
pub(super) fn unknown(operation: &str) -> ErrorResponse {
    let message = format!("the emulator does not support {operation}");
    ErrorResponse::new(404, "UnknownOperationException", message)
}

fn missing(name: &str) -> ErrorResponse {
    ErrorResponse::new(404, "ResourceNotFound", format!("Dashboard {name} does not exist"))
}

fn get(dashboards: &mut Dashboards, request: &Value) -> Result<HttpResponse, ErrorResponse> {
    let name = request["DashboardName"].as_str().unwrap_or_default();
    let body = dashboards.get(name).ok_or_else(|| missing(name))?;
    Ok(cbor(200, &json!({ "DashboardName": name, "DashboardBody": body }), &[]))
}

fn put(dashboards: &mut Dashboards, request: &Value) -> Result<HttpResponse, ErrorResponse> {
    let name = request["DashboardName"].as_str().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !(1..=255).contains(&name.len()) || !name.chars().all(is_name) {
        return Err(invalid("The value for parameter DashboardName is invalid."));
    }
    let text = request["DashboardBody"].as_str().unwrap_or_default();
    let findings = findings(text);
    if findings.is_empty() {
        dashboards.insert(name.to_owned(), text.to_owned());
        return Ok(cbor(200, &json!({ "DashboardValidationMessages": [] }), &[]));
    }
    let message = |(path, message): &Finding| json!({ "DataPath": path, "Message": message });
    let body = json!({
        "__type": "com.amazonaws.cloudwatch#DashboardInvalidInputError",
        "message": "The dashboard body is invalid, there are validation errors",
        "dashboardValidationMessages": findings.iter().map(message).collect::<Vec<_>>(),
    });
    Ok(cbor(400, &body, &[("x-amzn-query-error", "InvalidParameterInput;Sender")]))
}

fn delete(dashboards: &mut Dashboards, request: &Value) -> Result<HttpResponse, ErrorResponse> {
    let names: Vec<&str> =
        request["DashboardNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // All or none.
    if let Some(name) = names.iter().find(|name| !dashboards.contains_key(**name)) {
        return Err(missing(name));
    }
    dashboards.retain(|name, _| !names.contains(&name.as_str()));
    Ok(cbor(200, &json!({}), &[]))
}

/// Validates a body.
fn findings(text: &str) -> Vec<Finding> {
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return vec![(String::new(), "The field DashboardBody must be a valid JSON object")];
    };
    let Some(widgets) = body["widgets"].as_array() else {
        return vec![("/widgets".to_owned(), "Should have required property 'widgets'")];
    };
    let mut findings = Vec::new();
    if widgets.len() > MOST_WIDGETS {
        findings.push(("/widgets".to_owned(), "Should NOT have more than 500 items"));
    }
    for (index, widget) in widgets.iter().enumerate() {
        self::widget(widget, &format!("/widgets/{index}"), &mut findings);
    }
    findings
}

fn widget(widget: &Value, at: &str, findings: &mut Vec<Finding>) {
    let mut check = |is_valid: bool, path: &str, message| {
        if !is_valid {
            findings.push((format!("{at}{path}"), message));
        }
    };
    let number = |key: &str| widget[key].as_u64();
    let kind = widget["type"].as_str().unwrap_or_default();
    check(TYPES.contains(&kind), "/type", "Should be equal to one of the allowed values");
    check(number("x").is_none_or(|x| x < COLUMNS), "/x", "Should be <= 23");
    let width = number("width").unwrap_or(6);
    check((1..=COLUMNS).contains(&width), "/width", "Should be between 1 and 24");
    let height = number("height").unwrap_or(6);
    check((1..=MOST_ROWS).contains(&height), "/height", "Should be between 1 and 1000");
    let properties = &widget["properties"];
    let has = |key: &str| properties[key].as_str().is_some_and(|text| !text.is_empty());
    match kind {
        "text" => check(has("markdown"), "/properties", "Should have required property 'markdown'"),
        "log" => {
            check(has("query"), "/properties", "Should have required property 'query'");
            check(has("region"), "/properties", "Should have required property 'region'");
        }
        "metric" => {
            check(has("region"), "/properties", "Should have required property 'region'");
            let annotations = &properties["annotations"]["horizontal"];
            let values = annotations.as_array().into_iter().flatten();
            let is_number = values.into_iter().all(|annotation| annotation["value"].is_number());
            check(is_number, "/properties/annotations/horizontal", "Should have a numeric 'value'");
            let metrics = properties["metrics"].as_array();
            check(
                metrics.is_some_and(|metrics| !metrics.is_empty())
                    || properties["annotations"]["alarms"].is_array(),
                "/properties",
                "Should have required property 'metrics'",
            );
            for (index, metric) in metrics.into_iter().flatten().enumerate() {
                check(
                    is_metric(metric),
                    &format!("/properties/metrics/{index}"),
                    "Should be a metric or an expression",
                );
            }
        }
        _ => {}
    }
}

/// Returns true for `[{ "expression": … }]` and `[namespace, name, dimension, value, …, { … }]`.
fn is_metric(metric: &Value) -> bool {
    let Some(parts) = metric.as_array() else { return false };
    match parts.as_slice() {
        [Value::Object(only)] => only.get("expression").is_some_and(Value::is_string),
        [namespace, name, rest @ ..] => {
            let texts = rest.iter().filter(|part| part.is_string()).count();
            let last_is_object = rest.last().is_none_or(|last| last.is_string() || last.is_object());
            namespace.is_string() && name.is_string() && texts % 2 == 0 && last_is_object
        }
        _ => false,
    }
}
