//! Reads values from a [`Node`] tree and collects every error on the way.

use std::collections::HashMap;
use std::ops::Range;

use super::node::{Node, Value};
use super::problem::{Position, Problem, Problems};
use super::source::{SourceText, Span};
use crate::domain::parse::{TextError, did_you_mean, nearest, quoted};

/// A value of the configuration.
pub(super) trait FromNode: Sized {
    /// Reads the value from `node`. Returns `None` after it has reported an error.
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A value with its position in its file.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
}

impl<T: FromNode> FromNode for At<T> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::from_node(node, reader).map(|value| Self { value, span: reader.head(node) })
    }
}

/// A box keeps a large and rare value out of frequent maps.
impl<T: FromNode> FromNode for Box<T> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::from_node(node, reader).map(Self::new)
    }
}

/// A file that is being read, and its problems so far.
pub(super) struct Reader<'a> {
    pub source: &'a SourceText<'a>,
    pub problems: &'a mut Problems,
    reported: usize,
}

/// An entry of a map. Its key is a text, and the first of its name.
pub(super) struct MapEntry<'n, 'a> {
    pub key: &'n str,
    pub span: Span,
    pub node: &'n Node<'a>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a SourceText<'a>, problems: &'a mut Problems) -> Self {
        Self { source, problems, reported: 0 }
    }

    /// Returns the number of problems that this reader has reported.
    pub fn reported(&self) -> usize {
        self.reported
    }

    /// Reports a problem. Returns `None`, for readers that end with it.
    pub fn reject<T>(&mut self, problem: Problem) -> Option<T> {
        self.reported += 1;
        self.problems.push(problem);
        None
    }

    /// Creates an error at `span`.
    pub fn error(&self, span: Span, message: impl Into<String>) -> Problem {
        if self.problems.is_full() {
            return Problem::placeholder();
        }
        Problem::error(self.source, span, message)
    }

    fn position(&self, span: Span) -> Position {
        self.error(span, "").position
    }

    /// Reports `expected …, found …` at `node`.
    pub fn expected<T>(&mut self, node: &Node<'_>, what: &str, hint: Option<String>) -> Option<T> {
        let raw = self.raw(node);
        let found = match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) | Value::Number => {
                raw.get(..raw.floor_char_boundary(60)).unwrap_or(raw).to_owned()
            }
            Value::Text(text) => quoted(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        };
        let problem = self.error(node.span, format!("expected {what}, found {found}")).maybe_hint(hint);
        self.reject(problem)
    }

    /// Reads a text.
    pub fn text<'n>(&mut self, node: &'n Node<'_>, what: &str) -> Option<&'n str> {
        let hint = match &node.value {
            Value::Text(text) => return Some(text),
            Value::Bool(_) | Value::Number => Some(format!("put it in quotes: `\"{}\"`", self.raw(node))),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        self.expected(node, what, hint)
    }

    /// Reads a text, or a number as its text: for values such as `5m`, because their parsers have better messages for a
    /// bare `5`.
    pub fn text_or_number<'n>(&mut self, node: &'n Node<'_>, what: &str) -> Option<&'n str>
    where
        'a: 'n,
    {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Number => Some(self.raw(node)),
            _ => self.expected(node, what, None),
        }
    }

    /// Reads a text that satisfies a condition.
    pub fn text_if(
        &mut self,
        node: &Node<'_>,
        what: &str,
        hint: &str,
        condition: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        let text = self.text(node, what)?;
        if condition(text) {
            return Some(text.to_owned());
        }
        self.expected(node, what, Some(hint.to_owned()))
    }

    /// Returns the source text of a scalar.
    pub fn raw(&self, node: &Node<'_>) -> &'a str {
        self.source.slice(node.span)
    }

    /// Reads the entries of a map. Reports keys that are no text and duplicate keys, and leaves them out.
    pub fn entries<'n, 'v>(&mut self, node: &'n Node<'v>) -> Option<Vec<MapEntry<'n, 'v>>> {
        let Value::Map(map) = &node.value else {
            let hint = match &node.value {
                Value::List(_) => "remove the `-` or `[]`: every entry is `key: value`",
                Value::Null => "indent its keys below it, or remove it",
                _ => "indent its keys below it, or write them in braces: `{ key: value }`",
            };
            return self.expected(node, "a map", Some(hint.to_owned()));
        };
        let mut entries = Vec::with_capacity(map.len());
        // A linear search is faster for small maps, and nearly all maps are small.
        let mut index = (map.len() > 16).then(HashMap::new);
        for (key, value) in map {
            let Some(text) = key.text.as_deref() else {
                self.reject::<()>(self.error(key.span, "expected a text as key").hint("put it in quotes"));
                continue;
            };
            let first = match &mut index {
                Some(index) => index.insert(text, key.span),
                None => {
                    entries.iter().find(|entry: &&MapEntry<'_, '_>| entry.key == text).map(|entry| entry.span)
                }
            };
            if let Some(first) = first {
                let problem = self.error(key.span, format!("duplicate key {}", quoted(text)));
                self.reject::<()>(problem.hint("remove one of the two").related(self.position(first)));
                continue;
            }
            entries.push(MapEntry { key: text, span: key.span, node: value });
        }
        Some(entries)
    }

    /// Reports a key that is not one of `known`.
    pub fn unknown_key(&mut self, key: &str, span: Span, known: &[&str]) {
        let (problem, hint) = if self.problems.is_full() {
            (Problem::placeholder(), String::new())
        } else if let Some((.., hint)) =
            REMOVED.iter().find(|(beside, removed, _)| *removed == key && known.contains(beside))
        {
            (self.error(span, format!("the key {} was removed", quoted(key))), (*hint).to_owned())
        } else {
            let all = || match known {
                [one] => format!("use {one}"),
                _ => format!("use one of {}", known.join(", ")),
            };
            let hint = did_you_mean(key, known.iter().copied()).unwrap_or_else(all);
            (self.error(span, format!("unknown key {}", quoted(key))), hint)
        };
        self.reject::<()>(problem.hint(hint));
    }

    /// Reports a missing key, unless another key looks like a misspelling of it: that one has been reported.
    pub fn missing_key(&mut self, node: &Node<'_>, key: &str, entries: &[MapEntry<'_, '_>]) {
        if entries.iter().any(|entry| nearest(entry.key, [key]).is_some()) {
            return;
        }
        let hint = match key {
            "version" => Some("begin the file with `version: 1`"),
            "route" => Some(
                "add `route` with same-region, nat-gateway, interface-endpoint, inter-region or internet: \
                 it decides the price, so there is no default",
            ),
            _ => None,
        };
        let problem = self.error(self.head(node), format!("missing key {}", quoted(key)));
        self.reject::<()>(problem.maybe_hint(hint));
    }

    /// Returns the span that represents a value in messages. For a map, it is the first key or the opening bracket.
    pub fn head(&self, node: &Node<'_>) -> Span {
        match &node.value {
            Value::Map(map) if self.raw(node).is_empty() => {
                map.first().map_or(node.span, |(key, _)| key.span)
            }
            _ => node.span,
        }
    }

    /// Reads one of some words.
    pub fn choice<T: Clone>(&mut self, node: &Node<'_>, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(word, _)| *word);
        let what = match names().map(quoted).collect::<Vec<_>>().as_slice() {
            [only] => only.clone(),
            [one, other] => format!("{one} or {other}"),
            all => format!("one of {}", all.join(", ")),
        };
        let text = self.text(node, &what)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(value.clone()),
            None => self.expected(node, &what, did_you_mean(text, names())),
        }
    }

    /// Unwraps the result of a parser of texts. Reports its error at the part of `node` that is wrong.
    pub fn parsed<T>(&mut self, node: &Node<'_>, text: &str, result: Result<T, TextError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(TextError { message, hint, at }) => {
                self.reject(self.error(self.within(node, text, at), message).maybe_hint(hint))
            }
        }
    }

    /// Returns the span of a part of a scalar's text, when the source has that text as it is (but for quotes).
    /// Otherwise returns the span of the whole scalar.
    pub fn within(&self, node: &Node<'_>, text: &str, part: Range<usize>) -> Span {
        let raw = self.raw(node);
        let quotes = match raw.as_bytes() {
            _ if raw == text => 0,
            [b'"' | b'\'', ..] if raw.get(1..raw.len() - 1) == Some(text) => 1,
            _ => return node.span,
        };
        let start = node.span.start() + quotes;
        Span::new(start + part.start.min(text.len())..start + part.end.min(text.len()))
    }
}

/// Keys of earlier versions: a key of the same map, the removed key, and the hint.
const REMOVED: &[(&str, &str, &str)] =
    &[("max_in_flight", "prepare", "remove it: connections are opened before the first ping without it")];
