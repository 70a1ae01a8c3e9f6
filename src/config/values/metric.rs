//! The metrics that are read: namespaces, names and dimensions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::json;

use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};

/// The longest namespace, metric name or dimension name, in characters. Source: the model of `Dimension` and
/// `MetricDataQuery` in CloudWatch's API.
const LONGEST_NAME: usize = 255;
/// The longest value of a dimension, in characters. Same source.
const LONGEST_VALUE: usize = 1_024;
/// The most dimensions of a metric. Same source.
const MOST_DIMENSIONS: usize = 30;

/// Returns true for 1 to `longest` printable ASCII characters, not all of them spaces.
fn is_printable(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && !text.trim().is_empty()
}

/// The namespace of a metric that is read, of AWS services included.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^(?!:)[A-Za-z0-9._/#: -]{1,255}$",
    "examples" = ["AWS/SQS"],
))]
pub(in crate::config) struct AnyNamespace(pub String);

impl FromNode for AnyNamespace {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte);
        let is_namespace = |text: &str| {
            is_printable(text, LONGEST_NAME) && text.bytes().all(allowed) && !text.starts_with(':')
        };
        let hint = "use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `:`";
        reader.text_if(node, "a CloudWatch namespace", hint, is_namespace).map(Self)
    }
}

/// The name of a metric.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^[ -~]{1,255}$",
    "examples" = ["ApproximateNumberOfMessagesVisible"],
))]
pub(in crate::config) struct MetricName(pub String);

impl FromNode for MetricName {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = "use 1 to 255 ASCII characters";
        reader.text_if(node, "the name of a metric", hint, |text| is_printable(text, LONGEST_NAME)).map(Self)
    }
}

/// The dimensions of a metric, by name. A number counts as its text.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "serde_json::Value", extend(
    "type" = "object",
    "maxProperties" = MOST_DIMENSIONS,
    "propertyNames" = json!({ "pattern": "^(?!:)[ -~]{1,255}$" }),
    "additionalProperties" = json!({ "type": ["string", "number"], "pattern": "^[ -~]{1,1024}$" }),
    "examples" = [{ "QueueName": "orders" }],
))]
pub(in crate::config) struct Dimensions(pub BTreeMap<String, String>);

impl FromNode for Dimensions {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.reported();
        let entries = reader.entries(node)?;
        if entries.len() > MOST_DIMENSIONS {
            let message = format!("expected at most {MOST_DIMENSIONS} dimensions, found {}", entries.len());
            return reader.reject(reader.error(reader.head(node), message));
        }
        let mut dimensions = BTreeMap::new();
        for entry in &entries {
            if !is_printable(entry.key, LONGEST_NAME) || entry.key.starts_with(':') {
                let message = format!(
                    "expected the name of a dimension, found {}",
                    crate::domain::parse::quoted(entry.key)
                );
                let hint = "use 1 to 255 ASCII characters, not beginning with `:`";
                reader.reject::<()>(reader.error(entry.span, message).hint(hint));
            }
            let value = match &entry.node.value {
                Value::Number => Some(reader.raw(entry.node).to_owned()),
                _ => reader.text_if(
                    entry.node,
                    "the value of a dimension",
                    "use 1 to 1,024 ASCII characters",
                    |text| is_printable(text, LONGEST_VALUE),
                ),
            };
            dimensions.extend(value.map(|value| (entry.key.to_owned(), value)));
        }
        (reader.reported() == before).then_some(Self(dimensions))
    }
}
