//! The configuration's JSON Schema, generated from the wire types.

use schemars::generate::SchemaSettings;
use schemars::{Schema, json_schema};

use super::wire::FileKeys;

/// The JSON Schema (draft 7, which every YAML editor knows) of a configuration file.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<FileKeys>();
    schema.insert("title".to_owned(), "warmd configuration".into());
    schema.to_value()
}

/// [`schema`] as the text of a file: what `warmd schema` prints and `warm-configs/schema.json` holds.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

/// The schema of a map with known keys: for each its name, what it means, and what it holds.
pub(super) fn object(doc: &str, required: &[&str], properties: Vec<(&str, &str, Schema)>) -> Schema {
    let properties: serde_json::Map<String, serde_json::Value> = properties
        .into_iter()
        .map(|(key, doc, mut schema)| {
            if schema.get("description").is_none() {
                schema.insert("description".to_owned(), prose(doc).into());
            }
            (key.to_owned(), schema.to_value())
        })
        .collect();
    let mut schema = json_schema!({
        "description": prose(doc),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

/// A doc comment's text on one line.
fn prose(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
