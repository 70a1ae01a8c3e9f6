//! A reader of JSON objects that collects every mistake.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{EventError, kind_of};
use crate::domain::parse::{TextError, did_you_mean, quoted};
use crate::domain::quantity::DurationRange;

/// A JSON object that is being read.
pub(super) struct Fields<'a> {
    kind: &'static str,
    object: &'a Map<String, Value>,
    /// The keys that were read; `None` if other keys are allowed.
    known: Option<Vec<&'static str>>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Creates a reader of an object. Keys that are not read are mistakes.
    pub(super) fn new(kind: &'static str, object: &'a Map<String, Value>) -> Self {
        Self { kind, object, known: Some(Vec::new()), problems: Vec::new() }
    }

    /// Creates a reader of the envelope of an EventBridge event. Other keys are allowed.
    pub(super) fn of_envelope(kind: &'static str, event: &'a Map<String, Value>) -> Self {
        Self { kind, object: event, known: None, problems: Vec::new() }
    }

    /// Creates a reader of the `detail` of an EventBridge event.
    pub(super) fn of_detail(kind: &'static str, event: &'a Map<String, Value>) -> Result<Self, EventError> {
        Self::of_value(kind, "detail", event.get("detail").unwrap_or(&Value::Null))
    }

    /// Creates a reader of `value`, the object under `key`.
    pub(super) fn of_value(kind: &'static str, key: &str, value: &'a Value) -> Result<Self, EventError> {
        match value.as_object() {
            Some(object) => Ok(Self::new(kind, object)),
            None => {
                let problem = format!("{key}: expected an object, found {}", kind_of(value));
                Err(EventError::new(kind, vec![problem]))
            }
        }
    }

    /// Returns the value of `key`; `None` if it is null or absent.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        if let Some(known) = &mut self.known {
            known.push(key);
        }
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// Returns the string of `key`, parsed by `read`.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let read = match value.as_str() {
            Some(text) => read(text),
            None => Err(format!("expected a string, found {}", kind_of(value))),
        };
        read.map_err(|problem| self.problems.push(format!("{key}: {problem}"))).ok()
    }

    /// Returns the string of `key`.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, |text| Ok(text.to_owned()))
    }

    /// Returns the instant of `key`.
    pub(super) fn instant(&mut self, key: &'static str) -> Option<DateTime<Utc>> {
        self.read(key, |text| {
            DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|_| {
                format!("expected an instant such as 2026-11-20T09:00:00Z, found {}", quoted(text))
            })
        })
    }

    /// Returns the duration of `key`.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.read(key, duration)
    }

    /// Returns the whole number of `key`, from `least` to `most`.
    pub(super) fn number(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.value(key)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.problems
                .push(format!("{key}: expected a whole number from {least} to {most}, found {value}"));
        }
        number
    }

    /// Returns the boolean of `key`; false without it.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.value(key) else { return false };
        let flag = value.as_bool();
        if flag.is_none() {
            self.problems.push(format!("{key}: expected true or false, found {value}"));
        }
        flag.unwrap_or(false)
    }

    /// Returns the rate of `key`, from 0.001 to 1,000,000 a second.
    pub(super) fn rate(&mut self, key: &'static str) -> Option<Decimal> {
        let value = self.value(key)?;
        let text = value.as_number().map(ToString::to_string).unwrap_or_default();
        let rate = text.parse().or_else(|_| Decimal::from_scientific(&text)).ok();
        let range = Decimal::new(1, 3)..=Decimal::from(1_000_000);
        let rate = rate.filter(|rate| range.contains(rate));
        if rate.is_none() {
            self.problem(format!("{key}: expected a number from 0.001 to 1000000, found {value}"));
        }
        rate
    }

    /// Returns true if `key` has a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(|value| !value.is_null())
    }

    /// Adds a problem if `key` has a value: it cannot be used with `other`.
    pub(super) fn exclude(&mut self, key: &'static str, other: &str) {
        if self.value(key).is_some() {
            self.problem(format!("{} cannot be used with {}", quoted(key), quoted(other)));
        }
    }

    /// Adds a problem if `key` is missing. Returns `value`.
    pub(super) fn required<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if !self.has(key) {
            self.problems.push(format!("missing key {}", quoted(key)));
        }
        value
    }

    /// Adds a problem.
    pub(super) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Returns the result, or every problem.
    pub(super) fn finish<T>(mut self, result: Option<T>) -> Result<T, EventError> {
        if let Some(known) = &self.known {
            for key in self.object.keys().filter(|key| !known.contains(&key.as_str())) {
                let error = TextError::new(0..key.len(), format!("unknown key {}", quoted(key)));
                let hint = did_you_mean(key, known.iter().copied());
                self.problems.push(error.maybe_hint(hint).into_line());
            }
        }
        match result {
            Some(result) if self.problems.is_empty() => Ok(result),
            _ => Err(EventError::new(self.kind, self.problems)),
        }
    }
}

/// The maximum number of characters of a reason.
pub const MOST_REASON_CHARS: usize = 256;

/// Checks a reason: at most [`MOST_REASON_CHARS`] characters, and no control character. Documents have a limited size,
/// and requests and pauses store their reason.
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

/// Parses a duration above 0: a whole number and one unit, `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    DurationRange::POSITIVE.parse(text).map_err(TextError::into_line)
}
