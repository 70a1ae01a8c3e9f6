//! Payloads: any JSON.

use schemars::JsonSchema;

use crate::config::node::{Node, Value};
use crate::config::reader::{At, FromNode, Reader};
use crate::domain::parse::TextError;
use crate::domain::protocol::CustomPayload;

/// The JSON of a payload.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "serde_json::Value")]
pub(in crate::config) struct Json {
    pub value: serde_json::Value,
    /// An estimate of the memory that it takes, in bytes.
    pub memory_estimate: usize,
    /// The environment variables in its texts.
    pub variables: Vec<At<String>>,
}

/// The maximum memory of a payload. Lambda accepts 6 MB, but the fleet keeps a copy for each target.
const MAX_MEMORY: usize = 64 << 10;

impl FromNode for Json {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let reported = reader.reported();
        let mut json = Self { value: serde_json::Value::Null, memory_estimate: 0, variables: Vec::new() };
        json.value = to_json(node, reader, &mut json.memory_estimate, &mut json.variables)?;
        if json.memory_estimate <= MAX_MEMORY {
            return (reader.reported() == reported).then_some(json);
        }
        let problem = reader.error(reader.head(node), "the payload is larger than 64 KB");
        reader.reject(problem.hint("shorten it: it is sent with every ping"))
    }
}

fn to_json(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
    memory: &mut usize,
    variables: &mut Vec<At<String>>,
) -> Option<serde_json::Value> {
    *memory += 100;
    Some(match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Text(text) => {
            *memory += text.len();
            let names = reader.parsed(node, text, CustomPayload::variables_in(text)).unwrap_or_default();
            let at =
                |(name, at): (&str, _)| At { value: name.to_owned(), span: reader.within(node, text, at) };
            variables.extend(names.into_iter().map(at));
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
                list.push(to_json(item, reader, memory, variables)?);
            }
            list.into()
        }
        Value::Map(_) => {
            let mut map = serde_json::Map::new();
            for entry in reader.entries(node)? {
                *memory += entry.key.len();
                if let Err(TextError { message, hint, .. }) = CustomPayload::check_key(entry.key) {
                    reader.reject::<()>(reader.error(entry.span, message).maybe_hint(hint));
                }
                map.insert(entry.key.to_owned(), to_json(entry.node, reader, memory, variables)?);
            }
            map.into()
        }
    })
}
