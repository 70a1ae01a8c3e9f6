//! Errors of the parsers of short texts, and what their messages share: quotation and suggestions.
//!
//! Messages quote user input in double quotes. Hints have the replacement in backticks.

use std::ops::Range;

/// An error in a short text, such as a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TextError {
    /// The problem, without its position.
    pub message: String,
    /// An instruction that solves it, when one is known.
    pub hint: Option<String>,
    /// The bytes of the text that are wrong. Within the text, on character boundaries.
    pub at: Range<usize>,
}

impl TextError {
    /// Creates an error about a part of a text.
    pub fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, at }
    }

    /// Creates an error about a whole text: `expected …, found "…"`.
    pub fn expected(what: &str, text: &str) -> Self {
        Self::new(0..text.len(), format!("expected {what}, found {}", quoted(text)))
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds a hint, if there is one.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    /// Returns the message and the hint on one line.
    pub fn into_line(self) -> String {
        match self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message,
        }
    }
}

/// Returns user input in double quotes, escaped and cut to 60 characters.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{:?}", format!("{}…", text.get(..cut).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

/// Returns the candidate nearest to `given`, when near enough that a typo is likely. Ignores case.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No name is longer, and the comparison takes quadratic time.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    let limit = (given.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&given, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the hint that suggests the [`nearest`] candidate.
pub fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(given, candidates).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_escapes_and_cuts() {
        assert_eq!(quoted("日本"), "\"日本\"");
        assert_eq!(quoted("a\"b\u{1b}"), r#""a\"b\u{1b}""#);
        assert_eq!(quoted(&"x".repeat(61)), format!("\"{}…\"", "x".repeat(60)));
    }

    #[test]
    fn suggestions_are_near() {
        assert_eq!(did_you_mean("huors", ["days", "hours"]).as_deref(), Some("did you mean `hours`?"));
        assert_eq!(did_you_mean("HOURS", ["hours"]).as_deref(), Some("did you mean `hours`?"));
        assert_eq!(did_you_mean("london", ["hours"]), None);
        assert_eq!(did_you_mean(&"x".repeat(65), ["x"]), None);
    }
}
