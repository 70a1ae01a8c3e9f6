//! Reading a JSON object key by key, collecting every mistake.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{EventError, kind_of};
use crate::domain::parse::{TextError, nearest};
use crate::domain::quantity::DurationRange;

/// A JSON object that is being read.
pub(in crate::domain) struct Fields<'a> {
    kind: &'static str,
    object: &'a Map<String, Value>,
    /// The keys that were asked for; none when further keys do not matter.
    known: Option<Vec<&'static str>>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    /// An object of which every key must be known.
    pub(in crate::domain) fn new(kind: &'static str, object: &'a Map<String, Value>) -> Self {
        Self { kind, object, known: Some(Vec::new()), problems: Vec::new() }
    }

    /// An event of EventBridge, whose envelope has keys that do not matter here.
    pub(super) fn of_envelope(kind: &'static str, event: &'a Map<String, Value>) -> Self {
        Self { kind, object: event, known: None, problems: Vec::new() }
    }

    /// The `detail` of an event of EventBridge.
    pub(super) fn of_detail(kind: &'static str, event: &'a Map<String, Value>) -> Result<Self, EventError> {
        Self::of_value(kind, "detail", event.get("detail").unwrap_or(&Value::Null))
    }

    /// The object under `key`.
    pub(in crate::domain) fn of_value(
        kind: &'static str,
        key: &str,
        value: &'a Value,
    ) -> Result<Self, EventError> {
        match value.as_object() {
            Some(object) => Ok(Self::new(kind, object)),
            None => {
                let problem = format!("`{key}` must be an object, not {}", kind_of(value));
                Err(EventError::new(kind, vec![problem]))
            }
        }
    }

    /// The value of `key`; null is as good as absent.
    pub(in crate::domain) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        if let Some(known) = &mut self.known {
            known.push(key);
        }
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// The text of `key`, read by `read`.
    pub(in crate::domain) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let read = match value.as_str() {
            Some(text) => read(text),
            None => Err(format!("must be a text, not {}", kind_of(value))),
        };
        read.map_err(|problem| self.problems.push(format!("`{key}`: {problem}"))).ok()
    }

    /// The text of `key`.
    pub(in crate::domain) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, |text| Ok(text.to_owned()))
    }

    /// The instant of `key`.
    pub(in crate::domain) fn instant(&mut self, key: &'static str) -> Option<DateTime<Utc>> {
        self.read(key, |text| {
            DateTime::parse_from_rfc3339(text)
                .map(|at| at.to_utc())
                .map_err(|_| format!("`{text}` is not an instant such as 2026-11-20T09:00:00Z"))
        })
    }

    /// The duration of `key`.
    pub(in crate::domain) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.read(key, duration)
    }

    /// The whole number of `key`, from `least` to `most`.
    pub(in crate::domain) fn number(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.value(key)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.problems.push(format!("`{key}` must be a whole number from {least} to {most}, not {value}"));
        }
        number
    }

    /// Notes that `key` is missing, unless there is a value, or one that could not be read.
    pub(in crate::domain) fn required<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if self.object.get(key).is_none_or(Value::is_null) {
            self.problems.push(format!("`{key}` is missing"));
        }
        value
    }

    /// Notes a mistake.
    pub(in crate::domain) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The result, if there was no mistake.
    pub(in crate::domain) fn finish<T>(mut self, result: Option<T>) -> Result<T, EventError> {
        if let Some(known) = &self.known {
            for key in self.object.keys().filter(|key| !known.contains(&key.as_str())) {
                self.problems.push(match nearest(key, known.iter().copied()) {
                    Some(near) => format!("`{key}` is not known: did you mean `{near}`?"),
                    None => format!("`{key}` is not known"),
                });
            }
        }
        match result {
            Some(result) if self.problems.is_empty() => Ok(result),
            _ => Err(EventError::new(self.kind, self.problems)),
        }
    }
}

/// The most characters of a reason.
pub const MOST_REASON_CHARS: usize = 256;

/// Checks a reason, which is for people: at most [`MOST_REASON_CHARS`] characters, none of them a control character.
/// Requests and pauses keep it, so a longer one would fill the document for everybody.
///
/// # Errors
/// The expected form.
pub fn reason(text: &str) -> Result<String, String> {
    let expected = format!("expected one line of at most {MOST_REASON_CHARS} characters");
    let length = text.chars().count();
    if length > MOST_REASON_CHARS {
        return Err(format!("{expected}, found {length}"));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(format!("{expected}, found the control character {}", control.escape_default())),
        None => Ok(text.to_owned()),
    }
}

/// A duration above 0: a whole number and one unit, `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    DurationRange::POSITIVE.parse(text).map_err(TextError::into_line)
}
