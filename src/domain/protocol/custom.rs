//! Custom payloads with placeholders.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::PingContext;
use crate::domain::parse::{TextError, nearest, quoted};
use crate::domain::secret::Environment;

/// A custom payload: any JSON with the placeholders `{{index}}`, `{{concurrency}}`, `{{hold_ms}}` and `{{round}}` in
/// its strings. A string that consists of one of the first three becomes a JSON number.
///
/// `${env:NAME}` in a string stands for the value of an environment variable, after [`CustomPayload::bind`]. Before it,
/// and in every output, it stays as it is. `$$` in front of `{` stands for `$`, so `$${` is a literal `${`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomPayload {
    template: Value,
    pub(super) has_hold: bool,
    pub(super) has_index: bool,
    /// The names of its environment variables.
    variables: BTreeSet<String>,
    /// Their values.
    environment: Option<Arc<Environment>>,
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
        let (mut found, mut names) = (HashSet::new(), BTreeSet::new());
        check(&template, &mut errors, &mut found, &mut names);
        if !errors.is_empty() {
            return Err(errors.join("; "));
        }
        let (has_hold, has_index) = (found.contains("hold_ms"), found.contains("index"));
        Ok(Self { template, has_hold, has_index, variables: names, environment: None })
    }

    /// Returns the names of the environment variables in a text of a template, with their positions.
    ///
    /// # Errors
    /// The first `${` that is neither `${env:NAME}` nor escaped.
    pub fn variables_in(text: &str) -> Result<Vec<(&str, Range<usize>)>, TextError> {
        let mut names = Vec::new();
        for piece in pieces(text) {
            if let Piece::Variable(at) = piece {
                names.push((variable(text, at.clone())?, at));
            }
        }
        Ok(names)
    }

    /// Checks a key of a template.
    ///
    /// # Errors
    /// It names an environment variable.
    pub fn check_key(key: &str) -> Result<(), TextError> {
        let Some(at) = key.find(VARIABLE) else { return Ok(()) };
        let error =
            TextError::new(at..key.len(), format!("expected a key without variables, found {}", quoted(key)));
        Err(error.hint("use the variable in a value"))
    }

    /// Returns the names of the environment variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// Sets the values of the environment variables.
    pub fn bind(&mut self, environment: &Arc<Environment>) {
        if !self.variables.is_empty() {
            self.environment = Some(Arc::clone(environment));
        }
    }

    /// Returns the values of the environment variables, if they are set.
    pub(super) fn environment(&self) -> Option<&Environment> {
        self.environment.as_deref()
    }

    /// Returns a text that is the same for the same template. The order of its keys counts.
    pub(super) fn contract(&self) -> String {
        let hash = Sha256::digest(self.template.to_string());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("custom {hex}")
    }

    pub(super) fn fill(&self, ping: &PingContext<'_>) -> Value {
        self.fill_part(&self.template, ping)
    }

    fn fill_part(&self, template: &Value, ping: &PingContext<'_>) -> Value {
        match template {
            Value::String(text) => self.fill_text(text, ping),
            Value::Array(items) => items.iter().map(|item| self.fill_part(item, ping)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.clone(), self.fill_part(value, ping)));
                Value::Object(fields.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        }
    }

    fn fill_text(&self, text: &str, ping: &PingContext<'_>) -> Value {
        let pieces = pieces(text);
        if let [Piece::Placeholder(name)] = pieces.as_slice() {
            return value_of(name, ping);
        }
        let mut filled = String::with_capacity(text.len());
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Placeholder(name) => match value_of(name, ping) {
                    Value::String(value) => filled.push_str(&value),
                    value => filled.push_str(&value.to_string()),
                },
                Piece::Variable(at) => {
                    let raw = text.get(at.clone()).unwrap_or_default();
                    let value = variable(text, at).ok().and_then(|name| self.environment()?.value(name));
                    filled.push_str(value.unwrap_or(raw));
                }
                // Rejected by `check`.
                Piece::Unclosed => {}
            }
        }
        Value::String(filled)
    }
}

/// The beginning of a variable.
const VARIABLE: &str = "${env:";

/// A part of a template string.
enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
    /// `${…}`, or `${` and the rest of the text. The position in the text.
    Variable(Range<usize>),
    /// `{{` without `}}`.
    Unclosed,
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    // The end of the pieces, and the place from which on a brace is searched.
    let (mut end, mut from) = (0, 0);
    let slice = |range: Range<usize>| text.get(range).unwrap_or_default();
    let push = |pieces: &mut Vec<_>, range: Range<usize>| {
        if !range.is_empty() {
            pieces.push(Piece::Text(slice(range)));
        }
    };
    while let Some(brace) = slice(from..text.len()).find('{').map(|at| from + at) {
        let inside = slice(brace + 1..text.len());
        if let Some(inside) = inside.strip_prefix('{') {
            push(&mut pieces, end..brace);
            let Some((name, _)) = inside.split_once("}}") else {
                pieces.push(Piece::Unclosed);
                return pieces;
            };
            pieces.push(Piece::Placeholder(name.trim()));
            end = brace + name.len() + "{{}}".len();
            from = end;
            continue;
        }
        let before = slice(end..brace);
        let dollars = before.len() - before.trim_end_matches('$').len();
        from = brace + 1;
        if dollars == 0 {
            continue;
        }
        // Two dollars are one.
        push(&mut pieces, end..brace - dollars.div_ceil(2));
        end = brace;
        if dollars % 2 == 1 {
            end = inside.find('}').map_or(text.len(), |close| brace + 1 + close + 1);
            pieces.push(Piece::Variable(brace - 1..end));
            from = end;
        }
    }
    push(&mut pieces, end..text.len());
    pieces
}

/// Returns the name in `${env:NAME}`.
fn variable(text: &str, at: Range<usize>) -> Result<&str, TextError> {
    let raw = text.get(at.clone()).unwrap_or_default();
    let error = |message: String, hint: &str| Err(TextError::new(at.clone(), message).hint(hint));
    let Some(closed) = raw.strip_suffix('}') else {
        let message = format!("expected \"}}\" after \"${{\", found {}", quoted(raw));
        return error(message, "write `${env:NAME}`, or `$${` for a literal `${`");
    };
    let Some(name) = closed.strip_prefix(VARIABLE) else {
        let message = format!("expected \"${{env:NAME}}\", found {}", quoted(raw));
        return error(message, "use an environment variable, or write `$${` for a literal `${`");
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        let message = format!("expected the name of an environment variable, found {}", quoted(name));
        return error(message, "use ASCII letters, digits and `_`, with no digit at the beginning");
    }
    if name.starts_with("AWS_") {
        let message = format!("the environment variable {} cannot be used in a payload", quoted(name));
        return error(message, "use a variable of another name: those of AWS hold the credentials of warmd");
    }
    Ok(name)
}

fn check<'t>(
    template: &'t Value,
    errors: &mut Vec<String>,
    found: &mut HashSet<&'t str>,
    names: &mut BTreeSet<String>,
) {
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
                    Piece::Variable(at) => match variable(text, at) {
                        Ok(name) => _ = names.insert(name.to_owned()),
                        Err(error) => errors.push(error.into_line()),
                    },
                    Piece::Text(_) => {}
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(item, errors, found, names)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if key.contains("{{") {
                    errors.push(format!("expected a key without placeholders, found {}", quoted(key)));
                }
                if let Err(error) = CustomPayload::check_key(key) {
                    errors.push(error.into_line());
                }
                check(value, errors, found, names);
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
