//! Lists, and maps whose keys are the user's.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::config::node::{Node, Value};
use crate::config::reader::{At, FromNode, Reader};

/// A list with at least one item.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) struct List<T>(#[schemars(with = "Vec<T>", length(min = 1))] pub Vec<At<T>>);

impl<T: FromNode> FromNode for List<T> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let items = list_items(node, reader)?;
        let before = reader.reported();
        let mut values = Vec::with_capacity(items.len());
        values.extend(items.iter().filter_map(|item| At::<T>::from_node(item, reader)));
        (reader.reported() == before || values.len() == items.len()).then_some(Self(values))
    }
}

/// Reads the items of a list, at least one.
pub(in crate::config) fn list_items<'n, 'v>(
    node: &'n Node<'v>,
    reader: &mut Reader<'_>,
) -> Option<&'n [Node<'v>]> {
    let hint = match &node.value {
        Value::List(items) if !items.is_empty() => return Some(items),
        Value::List(_) => {
            let problem = reader.error(node.span, "expected at least one item, found an empty list");
            return reader.reject(problem.hint("add an item, or remove the key"));
        }
        Value::Text(_) | Value::Number => Some(format!("write `[{}]`", reader.raw(node))),
        Value::Map(_) => Some("put `- ` before each item".to_owned()),
        Value::Null | Value::Bool(_) => None,
    };
    reader.expected(node, "a list", hint)
}

/// The maximum size in bytes of a name; the longest function ARN has about 270.
const LONGEST_NAME: usize = 300;

/// A map from the user's names to values of one type.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) struct Table<T>(
    #[schemars(with = "BTreeMap<String, T>", extend("propertyNames" = serde_json::json!({ "minLength": 1 })))]
    pub Vec<TableEntry<T>>,
);

/// An entry of a [`Table`].
#[derive(Debug)]
pub(in crate::config) struct TableEntry<T> {
    pub name: At<String>,
    /// `None` for a value with errors.
    pub value: Option<T>,
}

impl<T: FromNode> FromNode for Table<T> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let map = reader.entries(node)?;
        let mut entries = Vec::with_capacity(map.len());
        for entry in map {
            let fits = (1..=LONGEST_NAME).contains(&entry.key.len());
            if !fits || entry.key.chars().any(char::is_control) {
                let message =
                    format!("expected a name of 1 to {LONGEST_NAME} bytes without control characters");
                reader.reject::<()>(reader.error(entry.span, message));
                continue;
            }
            let name = At { value: entry.key.to_owned(), span: entry.span };
            entries.push(TableEntry { name, value: T::from_node(entry.node, reader) });
        }
        Some(Self(entries))
    }
}
