//! Custom payloads with placeholders.

use std::collections::HashSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::PingContext;
use crate::domain::parse::{nearest, quoted};

/// A custom payload: any JSON with the placeholders `{{index}}`, `{{concurrency}}`, `{{hold_ms}}` and `{{round}}` in
/// its strings. A string that consists of one of the first three becomes a JSON number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomPayload {
    template: Value,
    pub(super) has_hold: bool,
    pub(super) has_index: bool,
}

impl CustomPayload {
    /// The names of the placeholders.
    pub const PLACEHOLDERS: &[&str] = &["index", "concurrency", "hold_ms", "round"];

    /// Validates the placeholders of a template.
    ///
    /// # Errors
    /// Every error, separated by `; `.
    pub fn parse(template: Value) -> Result<Self, String> {
        let mut errors = Vec::new();
        let mut found = HashSet::new();
        check(&template, &mut errors, &mut found);
        if !errors.is_empty() {
            return Err(errors.join("; "));
        }
        let (has_hold, has_index) = (found.contains("hold_ms"), found.contains("index"));
        Ok(Self { template, has_hold, has_index })
    }

    /// Returns a text that is the same for the same template. The order of its keys counts.
    pub(super) fn contract(&self) -> String {
        let hash = Sha256::digest(self.template.to_string());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("custom {hex}")
    }

    pub(super) fn fill(&self, ping: &PingContext<'_>) -> Value {
        fill(&self.template, ping)
    }
}

/// A part of a template string.
enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
    /// `{{` without `}}`.
    Unclosed,
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(open) = rest.find("{{") else {
            return Some(Piece::Text(std::mem::take(&mut rest)));
        };
        if open > 0 {
            let (text, after) = rest.split_at(open);
            rest = after;
            return Some(Piece::Text(text));
        }
        let inside = rest.get(2..).unwrap_or_default();
        match inside.split_once("}}") {
            Some((name, after)) => {
                rest = after;
                Some(Piece::Placeholder(name.trim()))
            }
            None => {
                rest = "";
                Some(Piece::Unclosed)
            }
        }
    })
}

fn check<'t>(template: &'t Value, errors: &mut Vec<String>, found: &mut HashSet<&'t str>) {
    match template {
        Value::String(text) => {
            for piece in pieces(text) {
                match piece {
                    Piece::Placeholder(name) if CustomPayload::PLACEHOLDERS.contains(&name) => {
                        found.insert(name);
                    }
                    Piece::Placeholder(name) => errors.push(unknown(name)),
                    Piece::Unclosed => {
                        errors.push(format!("expected \"}}}}\" after \"{{{{\", found {}", quoted(text)));
                    }
                    Piece::Text(_) => {}
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(item, errors, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if key.contains("{{") {
                    errors.push(format!("expected a key without placeholders, found {}", quoted(key)));
                }
                check(value, errors, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn unknown(name: &str) -> String {
    let known = CustomPayload::PLACEHOLDERS;
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{{{{{near}}}}}`?"),
        None => format!("use one of {}", known.join(", ")),
    };
    format!("unknown placeholder {}; {hint}", quoted(&format!("{{{{{name}}}}}")))
}

fn fill(template: &Value, ping: &PingContext<'_>) -> Value {
    match template {
        Value::String(text) => fill_text(text, ping),
        Value::Array(items) => items.iter().map(|item| fill(item, ping)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), fill(value, ping))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

fn fill_text(text: &str, ping: &PingContext<'_>) -> Value {
    let mut all = pieces(text);
    if let (Some(Piece::Placeholder(name)), None) = (all.next(), all.next()) {
        return value_of(name, ping);
    }
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Placeholder(name) => match value_of(name, ping) {
                Value::String(value) => filled.push_str(&value),
                value => filled.push_str(&value.to_string()),
            },
            // Rejected by `check`.
            Piece::Unclosed => {}
        }
    }
    Value::String(filled)
}

fn value_of(placeholder: &str, ping: &PingContext<'_>) -> Value {
    match placeholder {
        "index" => ping.index.into(),
        "concurrency" => ping.concurrency.into(),
        "hold_ms" => ping.hold_ms.into(),
        "round" => ping.round.into(),
        // Rejected by `check`.
        _ => Value::Null,
    }
}
