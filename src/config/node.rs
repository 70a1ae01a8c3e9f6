//! YAML text to a tree that knows where everything stands.
//!
//! A derived structure stops at its first mistake; a tree can be walked to the end, so that every mistake is
//! reported at once. serde_yaml parses, expands aliases and merge keys, and keeps the budgets.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::problem::Problem;
use super::source::{Source, Span};

/// Larger files are refused before they are parsed.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Values in one file, those that aliases repeat included: 60 for each of 10,000 functions. It bounds the memory.
const MOST_NODES: usize = 600_000;
/// The same while duplicate keys are looked for, which takes more memory for each.
const MOST_NODES_WITH_DUPLICATES: usize = 200_000;
/// Lists and maps inside each other. The keys we know need 6; the rest is for payloads.
const DEEPEST: usize = 32;

/// A value and where it stands. For a value that an alias repeats, where it was written.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub span: Span,
    pub value: Value<'a>,
}

/// A YAML value. Numbers are kept as they were written: see [`Source::slice`].
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
    /// None for a key that is a number, a boolean or nothing.
    pub text: Option<Cow<'a, str>>,
}

/// Parses a whole file. An empty one is [`Value::Null`].
pub(super) fn parse<'a>(source: &Source<'a>) -> Result<Node<'a>, Box<Problem>> {
    let first = match from_str(source.text, DuplicateKeyPolicy::Error, MOST_NODES) {
        Ok(node) => return Ok(node),
        Err(error) => error,
    };
    // The parser stops at the first duplicate key. The walker tells them all, with both places, so it gets to see
    // them; where that would take too much, the first must do.
    if let Error::DuplicateMappingKey { .. } = innermost(&first)
        && let Ok(node) = from_str(source.text, DuplicateKeyPolicy::LastWins, MOST_NODES_WITH_DUPLICATES)
    {
        return Ok(node);
    }
    Err(Box::new(explain(source, &first)))
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
            // One anchor may well be used by 10,000 functions; what aliases repeat counts as nodes.
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: duplicate_keys,
        // `on`, `off`, `yes` and `no` stay the texts that they are in YAML 1.2.
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
            Value::List(_) | Value::Map(_) => return Err(D::Error::custom("a key must be text")),
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

/// The error behind the wrappers that tell where an alias stands.
fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}

/// What the parser found, in words for people who do not know YAML's grammar.
fn explain(source: &Source<'_>, error: &Error) -> Problem {
    // Where an alias repeats too much is better shown than where its value was written.
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
            problem(&format!("the key `{}` stands twice", key.as_deref().unwrap_or("?")))
        }
        Error::MultipleDocuments { .. } => problem("a second YAML document begins here")
            .hint("one document for each file: put it into a file of its own"),
        Error::UnknownAnchor { .. } => problem("this alias names an anchor that is not defined before it")
            .hint("a text that begins with `*` needs quotes"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => problem("this alias contains itself"),
        Error::UnsupportedTag { tag, .. } => problem(&format!("the YAML tag `{tag}` is not supported"))
            .hint("a text that begins with `!` needs quotes"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            problem(&format!("the file grows too large here ({})", too_large(error)))
                .hint("split the file, and look for aliases (`*name`) that repeat each other")
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => problem("`<<` takes a map, or a list of maps"),
        _ => {
            let said = UserMessageFormatter.format_message(error);
            let (message, hint) = plainer(&said);
            match source.tab_before(span) {
                Some(tab) if said.contains("tab") => Problem::error(source, tab, message).maybe_hint(hint),
                _ => problem(message).maybe_hint(hint),
            }
        }
    }
}

fn too_large(error: &Error) -> String {
    use serde_yaml::budget::BudgetBreach;
    match error {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("more than {DEEPEST} lists and maps inside each other")
        }
        Error::Budget { breach: BudgetBreach::RecordedAnchorEvents { .. }, .. }
        | Error::Budget { breach: BudgetBreach::RecordedAnchorBytes { .. }, .. } => {
            "its anchors (`&name`) hold too much".to_owned()
        }
        _ => format!("more than {MOST_NODES} values, those that aliases repeat included"),
    }
}

/// The parser's more puzzling sentences in plainer words, with a hint.
fn plainer(said: &str) -> (&str, Option<&'static str>) {
    const SENTENCES: &[(&str, &str, &str)] = &[
        ("tabs disallowed", "a tab stands where YAML wants spaces", "replace the tab by spaces"),
        ("tab", "a tab stands where YAML wants spaces", "replace the tab by spaces"),
        (
            "mapping values are not allowed",
            "a `key:` is not expected here",
            "indent all keys of a map alike, and put a text with `: ` in it in quotes",
        ),
        (
            "did not find expected key",
            "the indentation does not fit the lines above",
            "indent all keys of a map alike",
        ),
        (
            "did not find expected '-'",
            "the indentation does not fit the lines above",
            "indent all items of a list alike",
        ),
        (
            "invalid indentation in multiline quoted scalar",
            "the quoted text above is not closed",
            "close it with the quote that opened it",
        ),
        ("recursion limit", "too many lists and maps inside each other", "32 is the most"),
        ("unexpected character", "", "put the text in quotes"),
        ("unclosed quote", "", "close it with the quote that opened it"),
    ];
    match SENTENCES.iter().find(|(part, ..)| said.contains(part)) {
        Some((_, "", hint)) => (said, Some(hint)),
        Some((_, message, hint)) => (message, Some(hint)),
        None => (said, None),
    }
}
