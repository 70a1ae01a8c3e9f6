//! The JSON Schema of the configuration, generated from the wire types.

use schemars::generate::SchemaSettings;

use super::wire::FileKeys;

/// Returns the JSON Schema of a configuration file, in draft 7, which every YAML editor supports.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<FileKeys>();
    schema.insert("title".to_owned(), "warmd configuration".into());
    schema.to_value()
}

/// Returns [`schema`] as the text of a file: the output of `warmd schema`, and the content of
/// `warm-configs/schema.json`.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
