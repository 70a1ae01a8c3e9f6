//! The environment variables of the process that payloads contain, and the removal of their values from its logs.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use crate::domain::secret::Redactor;

/// The values that were read so far. A log is shared by the whole process, and so are they.
static KNOWN: RwLock<Redactor> = RwLock::new(Redactor::new());

/// Returns the value of a variable of the process. An empty value counts as unset, and so does one that is not UTF-8.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Removes these values from all text that [`redact`] returns from now on.
pub fn hide(values: &Redactor) {
    if !values.is_empty() {
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).merge(values);
    }
}

/// Replaces every value that was read from the environment for a payload.
pub fn redact(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).redact(text)
}

/// Returns [`redact`] of every text in a line of JSON, which stays JSON.
pub fn redact_json(line: &str) -> Cow<'_, str> {
    if KNOWN.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
        return Cow::Borrowed(line);
    }
    let Ok(mut value) = serde_json::from_str(line) else { return redact(line) };
    match redact_value(&mut value) {
        true => Cow::Owned(format!("{value}\n")),
        false => Cow::Borrowed(line),
    }
}

/// Returns true if there was something to replace.
fn redact_value(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match redact(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(redacted) => {
                *text = redacted;
                true
            }
        },
        Value::Array(items) => items.iter_mut().fold(false, |any, item| redact_value(item) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, item| redact_value(item) | any),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::secret::Environment;

    #[test]
    fn json_lines_stay_json() {
        let value = r#"","level":"INFO\"#;
        let line =
            json!({ "level": "WARN", "answer": format!("{:?}", json!({ "token": value }).to_string()) });
        let line = format!("{line}\n");
        assert_eq!(redact_json(&line), line);
        hide(Environment::read(["T"], |_| Some(value.to_owned())).unwrap().redactor());
        let expected = json!({ "level": "WARN", "answer": r#""{\"token\":\"${env:T}\"}""# });
        assert_eq!(redact_json(&line), format!("{expected}\n"));
        assert_eq!(redact(&format!("not JSON: {value}")), "not JSON: ${env:T}");
    }

    #[test]
    fn an_empty_variable_is_unset() {
        assert_eq!(variable("WARMD_NO_SUCH_VARIABLE"), None);
        assert!(variable("PATH").is_some());
    }
}
