//! Payloads: any JSON.

use schemars::JsonSchema;

use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};

/// The JSON of a payload.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "serde_json::Value")]
pub(in crate::config) struct Json {
    pub value: serde_json::Value,
    /// An estimate of the memory that it takes, in bytes.
    pub memory_estimate: usize,
}

/// The maximum memory of a payload. Lambda accepts 6 MB, but the fleet keeps a copy for each target.
const MAX_MEMORY: usize = 64 << 10;

impl FromNode for Json {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut memory_estimate = 0;
        let value = to_json(node, reader, &mut memory_estimate)?;
        if memory_estimate <= MAX_MEMORY {
            return Some(Self { value, memory_estimate });
        }
        let problem = reader.error(reader.head(node), "the payload is larger than 64 KB");
        reader.reject(problem.hint("shorten it: it is sent with every ping"))
    }
}

fn to_json(node: &Node<'_>, reader: &mut Reader<'_>, memory: &mut usize) -> Option<serde_json::Value> {
    *memory += 100;
    Some(match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Text(text) => {
            *memory += text.len();
            text.as_ref().into()
        }
        Value::Number => match reader.raw(node).parse::<serde_json::Number>() {
            Ok(number) => number.into(),
            Err(_) => {
                let hint = "write plain digits, or put it in quotes".to_owned();
                return reader.expected(node, "a JSON number", Some(hint));
            }
        },
        Value::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.push(to_json(item, reader, memory)?);
            }
            list.into()
        }
        Value::Map(_) => {
            let mut map = serde_json::Map::new();
            for entry in reader.entries(node)? {
                *memory += entry.key.len();
                map.insert(entry.key.to_owned(), to_json(entry.node, reader, memory)?);
            }
            map.into()
        }
    })
}
