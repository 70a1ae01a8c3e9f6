//! Parses YAML into a tree of values with their positions.
//!
//! A derived `Deserialize` stops at its first error. A tree can be read to its end, so that all errors are reported
//! at once. serde_yaml parses, expands aliases and merge keys, and enforces the budgets.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::problem::{Problem, Problems};
use super::source::{SourceText, Span};
use crate::domain::parse::quoted;

/// The maximum size in bytes of a file. Larger files are rejected before they are parsed.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The maximum number of values in one file, those that aliases repeat included: 60 for each of 10,000 functions.
/// Bounds memory.
const MOST_NODES: usize = 600_000;
/// The same limit for a parse that finds duplicate keys, which takes more memory for each value.
const MOST_NODES_WITH_DUPLICATES: usize = 200_000;
/// The maximum number of lists and maps inside each other. The known keys need 6; the rest is for payloads.
const DEEPEST: usize = 32;

/// A value with its position. The position of a value that an alias repeats is that of the anchor.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub span: Span,
    pub value: Value<'a>,
}

/// A YAML value. The text of a number is [`SourceText::slice`] of its span.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number,
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(Key<'a>, Node<'a>)>),
}

/// A key of a map.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub span: Span,
    /// `None` for a key that is a number, a boolean or null.
    pub text: Option<Cow<'a, str>>,
}

/// Parses a file. An empty file is [`Value::Null`].
fn parse<'a>(source: &SourceText<'a>) -> Result<Node<'a>, Box<Problem>> {
    let first = match from_str(source.text, DuplicateKeyPolicy::Error, MOST_NODES) {
        Ok(node) => return Ok(node),
        Err(error) => error,
    };
    // The parser stops at the first duplicate key. The reader reports all of them with both positions, so it is given
    // the whole tree, unless that takes too much memory.
    if let Error::DuplicateMappingKey { .. } = innermost(&first)
        && let Ok(node) = from_str(source.text, DuplicateKeyPolicy::LastWins, MOST_NODES_WITH_DUPLICATES)
    {
        return Ok(node);
    }
    Err(Box::new(explain(source, &first)))
}

/// Parses a file. Returns `None` after it has added an error to `problems`; `hint` is the one for an empty file.
pub(super) fn parse_into<'a>(
    source: &SourceText<'a>,
    hint: &str,
    problems: &mut Problems,
) -> Option<Node<'a>> {
    let problem = match parse(source) {
        Ok(Node { value: Value::Null, .. }) => {
            Problem::error(source, Span::START, "the file is empty").hint(hint)
        }
        Ok(node) => return Some(node),
        Err(problem) => *problem,
    };
    problems.push(problem);
    None
}

fn from_str(text: &str, duplicate_keys: DuplicateKeyPolicy, max_nodes: usize) -> Result<Node<'_>, Error> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 4 * max_nodes,
            max_nodes: max_nodes,
            max_aliases: max_nodes,
            max_merge_keys: max_nodes,
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_documents: 2,
            max_recorded_anchor_events: max_nodes / 3,
            max_recorded_anchor_bytes: MOST_BYTES,
            // One anchor may be used by 10,000 functions; the values that aliases repeat count as nodes.
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: duplicate_keys,
        // `on`, `off`, `yes` and `no` are texts, as in YAML 1.2.
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    serde_yaml::from_str_with_options(text, options)
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Value<'de>>::deserialize(deserializer)?;
        Ok(Self { span: span_of(defined), value })
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Value<'de>>::deserialize(deserializer)?;
        let text = match value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number => None,
            Value::List(_) | Value::Map(_) => return Err(D::Error::custom("expected a text as key")),
        };
        Ok(Self { span: span_of(defined), text })
    }
}

fn span_of(location: Location) -> Span {
    let span = location.span();
    let offset = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    let start = offset(span.byte_offset());
    Span::new(start..start + offset(span.byte_len()))
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Number)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = items.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

/// Returns the error without the wrappers that carry the position of an alias.
fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}

/// Converts an error of the parser into a problem, in words that do not assume knowledge of YAML's grammar.
fn explain(source: &SourceText<'_>, error: &Error) -> Problem {
    // The alias is the better position than the anchor whose values it repeats.
    let alias = match error {
        Error::AliasError { locations, .. } => Some(locations.reference_location),
        _ => None,
    };
    let error = innermost(error);
    let location = alias.or_else(|| error.location()).filter(|location| location.line() > 0);
    let span = location.map_or(Span::START, |location| source.span_at(location.line(), location.column()));
    let problem = |message: &str| Problem::error(source, span, message);
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            problem(&format!("duplicate key {}", quoted(key.as_deref().unwrap_or("?"))))
        }
        Error::MultipleDocuments { .. } => {
            problem("expected one YAML document, found a second one").hint("move it to a file of its own")
        }
        Error::UnknownAnchor { .. } => problem("unknown anchor")
            .hint("define the anchor before the alias, or put a text that begins with `*` in quotes"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => problem("the alias contains itself"),
        Error::UnsupportedTag { tag, .. } => problem(&format!("unsupported YAML tag {}", quoted(tag)))
            .hint("remove it, or put a text that begins with `!` in quotes"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            problem(&format!("the file is too large ({})", exceeded_limit(error)))
                .hint("split the file, and remove aliases (`*name`) that repeat each other")
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => problem("expected a map or a list of maps after \"<<\""),
        _ => {
            let original = UserMessageFormatter.format_message(error);
            let (message, hint) = simplify(&original);
            match source.tab_before(span) {
                Some(tab) if original.contains("tab") => {
                    Problem::error(source, tab, message).maybe_hint(hint)
                }
                _ => problem(message).maybe_hint(hint),
            }
        }
    }
}

/// Describes the limit that the file exceeds.
fn exceeded_limit(error: &Error) -> String {
    use serde_yaml::budget::BudgetBreach;
    match error {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("more than {DEEPEST} lists and maps inside each other")
        }
        Error::Budget { breach: BudgetBreach::RecordedAnchorEvents { .. }, .. }
        | Error::Budget { breach: BudgetBreach::RecordedAnchorBytes { .. }, .. } => {
            "too many values under anchors (`&name`)".to_owned()
        }
        _ => format!("more than {MOST_NODES} values, with those that aliases repeat"),
    }
}

/// Replaces a message of the parser that needs knowledge of YAML's grammar, and adds a hint.
fn simplify(original: &str) -> (&str, Option<&'static str>) {
    const MESSAGES: &[(&str, &str, &str)] = &[
        ("tab", "expected spaces, found a tab", "replace the tab by spaces"),
        (
            "mapping values are not allowed",
            "unexpected `key:`",
            "indent all keys of a map alike, and put a text that contains `: ` in quotes",
        ),
        (
            "did not find expected key",
            "the indentation does not match the lines above",
            "indent all keys of a map alike",
        ),
        (
            "did not find expected '-'",
            "the indentation does not match the lines above",
            "indent all items of a list alike",
        ),
        (
            "invalid indentation in multiline quoted scalar",
            "the quoted text above has no closing quote",
            "end it with the quote that begins it",
        ),
        ("recursion limit", "too many lists and maps inside each other", "use at most 32"),
        ("unexpected character", "", "put the text in quotes"),
        ("unclosed quote", "", "end the text with the quote that begins it"),
    ];
    match MESSAGES.iter().find(|(part, ..)| original.contains(part)) {
        Some((_, "", hint)) => (original, Some(hint)),
        Some((_, message, hint)) => (message, Some(hint)),
        None => (original, None),
    }
}
