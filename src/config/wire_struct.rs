//! Maps with known keys: one definition makes the struct, its reader and its JSON Schema.

use schemars::{Schema, json_schema};

/// Returns the schema of a map with known keys: for each, its name, its description and the schema of its value.
pub(super) fn object_schema(doc: &str, required: &[&str], properties: Vec<(&str, &str, Schema)>) -> Schema {
    let properties: serde_json::Map<String, serde_json::Value> = properties
        .into_iter()
        .map(|(key, doc, mut schema)| {
            schema.insert("description".to_owned(), on_one_line(doc).into());
            (key.to_owned(), schema.to_value())
        })
        .collect();
    let mut schema = json_schema!({
        "description": on_one_line(doc),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

/// Returns the text of a doc comment on one line.
fn on_one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Expands to the name of a key: that of the field, or the given one where the name is a keyword of Rust.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}
pub(super) use key;

/// Defines a struct for a map with known keys. Its doc comments become the descriptions of the JSON Schema. The names
/// in brackets are the required keys.
///
/// `has_errors` is set when a problem in the map was reported: a key that is absent may just be misspelt.
macro_rules! wire_struct {
    (
        $(#[doc = $doc:literal])+
        struct $name:ident [$($required:literal),*] {
            $( $(#[doc = $field_doc:literal])+ $field:ident $(= $key:literal)? : $type:ty, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        pub(in crate::config) struct $name {
            $( $(#[doc = $field_doc])+ pub $field: Option<$crate::config::reader::At<$type>>, )+
            /// A problem in the map was reported.
            pub has_errors: bool,
        }

        impl $crate::config::reader::FromNode for $name {
            fn from_node(
                node: &$crate::config::node::Node<'_>,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                const KEYS: &[&str] = &[$($crate::config::wire_struct::key!($field $($key)?)),+];
                const REQUIRED: &[&str] = &[$($required),*];
                let before = reader.reported();
                let entries = reader.entries(node)?;
                let mut this = Self::default();
                for entry in &entries {
                    match entry.key {
                        $($crate::config::wire_struct::key!($field $($key)?) => {
                            this.$field = $crate::config::reader::FromNode::from_node(entry.node, reader);
                        })+
                        unknown => reader.unknown_key(unknown, entry.span, KEYS),
                    }
                }
                for key in REQUIRED {
                    if !entries.iter().any(|entry| entry.key == *key) {
                        reader.missing_key(node, key, &entries);
                    }
                }
                this.has_errors = reader.reported() > before;
                Some(this)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let properties = vec![$((
                    $crate::config::wire_struct::key!($field $($key)?),
                    concat!($($field_doc),+),
                    generator.subschema_for::<$type>(),
                )),+];
                $crate::config::wire_struct::object_schema(concat!($($doc),+), &[$($required),*], properties)
            }
        }
    };
}
pub(super) use wire_struct;
