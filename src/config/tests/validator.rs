//! A validator for the part of JSON Schema draft 7 that the published schemas use. Other keywords are
//! failures. `tests/deploy/lint.sh` checks the schema and the examples with a complete validator.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// A schema and its definitions.
pub(crate) struct Validator {
    root: Value,
}

impl Validator {
    pub(crate) fn new(root: Value) -> Self {
        assert_eq!(root["$schema"], "http://json-schema.org/draft-07/schema#");
        Self { root }
    }

    pub(crate) fn is_valid(&self, document: &Value) -> bool {
        self.errors(document).is_empty()
    }

    /// The violations, each with the path of the value.
    pub(crate) fn errors(&self, document: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.root, document, "", &mut errors);
        errors
    }

    fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
        let Some(schema) = schema.as_object() else {
            assert!(schema.is_boolean(), "{schema}");
            if schema == &Value::Bool(false) {
                errors.push(format!("{path}: not allowed"));
            }
            return;
        };
        // In draft 7, `$ref` replaces its siblings.
        if let Some(reference) = schema.get("$ref") {
            let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#')).unwrap();
            return self.check(self.root.pointer(pointer).unwrap(), value, path, errors);
        }
        for (keyword, expected) in schema {
            if !self.holds(schema, keyword, expected, value) {
                errors.push(format!("{path}: {value} violates {keyword}: {expected}"));
            }
        }
        if let Some(properties) = value.as_object() {
            let known = schema.get("properties").and_then(Value::as_object);
            for (key, property) in properties {
                let of_key = known.and_then(|known| known.get(key)).or(schema.get("additionalProperties"));
                if let Some(of_key) = of_key {
                    self.check(of_key, property, &format!("{path}/{key}"), errors);
                }
            }
        }
        if let (Some(items), Some(of_item)) = (value.as_array(), schema.get("items")) {
            for (index, item) in items.iter().enumerate() {
                self.check(of_item, item, &format!("{path}/{index}"), errors);
            }
        }
    }

    /// Reports if `value` satisfies one keyword. Those of members and elements are left to [`Self::check`].
    fn holds(&self, schema: &Map<String, Value>, keyword: &str, expected: &Value, value: &Value) -> bool {
        let list = || expected.as_array().unwrap().iter();
        let number = |holds: &dyn Fn(f64, f64) -> bool| {
            value.as_f64().is_none_or(|number| holds(number, expected.as_f64().unwrap()))
        };
        let length = |length: Option<usize>, holds: &dyn Fn(usize, usize) -> bool| {
            let bound = usize::try_from(expected.as_u64().unwrap()).unwrap();
            length.is_none_or(|length| holds(length, bound))
        };
        let characters = value.as_str().map(|text| text.chars().count());
        match keyword {
            "$schema" | "title" | "description" | "examples" | "default" | "format" | "definitions"
            | "items" | "properties" => true,
            "additionalProperties" => {
                // The keyword has another meaning beside patterns.
                assert!(!schema.contains_key("patternProperties"));
                true
            }
            "type" => match expected {
                Value::Array(types) => types.iter().any(|one| is_of(value, one)),
                one => is_of(value, one),
            },
            "const" => value == expected,
            "enum" => list().any(|one| value == one),
            "allOf" => list().all(|one| self.accepts(one, value)),
            "oneOf" => list().filter(|one| self.accepts(one, value)).count() == 1,
            "anyOf" => list().any(|one| self.accepts(one, value)),
            "required" => value
                .as_object()
                .is_none_or(|object| list().all(|key| object.contains_key(key.as_str().unwrap()))),
            "propertyNames" => value.as_object().is_none_or(|object| {
                object.keys().all(|key| self.accepts(expected, &Value::from(key.as_str())))
            }),
            "minItems" => length(value.as_array().map(Vec::len), &|length, least| length >= least),
            "maxProperties" => length(value.as_object().map(Map::len), &|length, most| length <= most),
            "minLength" => length(characters, &|length, least| length >= least),
            "maxLength" => length(characters, &|length, most| length <= most),
            "minimum" => number(&|number, least| number >= least),
            "exclusiveMinimum" => number(&|number, least| number > least),
            "maximum" => number(&|number, most| number <= most),
            "pattern" => value.as_str().is_none_or(|text| matches(expected.as_str().unwrap(), text)),
            other => panic!("the keyword `{other}` is not supported here"),
        }
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("unknown type `{other}`"),
    }
}

/// Matches as ECMA 262 does, with a negative lookahead at the beginning at most.
fn matches(pattern: &str, text: &str) -> bool {
    let found = |pattern: &str| Regex::new(pattern).unwrap().is_match(text);
    match pattern.strip_prefix("^(?!").and_then(|rest| rest.split_once(')')) {
        Some((not, rest)) => !found(&format!("^({not})")) && found(&format!("^{rest}")),
        None => found(pattern),
    }
}
