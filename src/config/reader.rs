//! Walks a [`Node`] tree and collects every mistake on the way.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::node::{Node, Value};
use super::problem::{Place, Problem, Problems};
use super::source::{Source, Span};
use crate::domain::calendar::text::TextError;
use crate::domain::function::nearest;

/// Something that the configuration can hold: how it is read, and (by [`JsonSchema`]) what editors know of it.
pub(super) trait Wire: Sized + JsonSchema {
    /// Reads it from `node`. None when it is wrong; what is wrong has been reported.
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A value, and where it stands in its file.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
}

impl<T: Wire> Wire for At<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(|value| Self { value, span: reader.head(node) })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One file on its way in, and what was found wrong so far.
pub(super) struct Reader<'a> {
    pub source: &'a Source<'a>,
    pub problems: &'a mut Problems,
    reported: usize,
}

/// An entry of a map: its key is text and stands there once.
pub(super) struct Entry<'n, 'a> {
    pub key: &'n str,
    pub span: Span,
    pub node: &'n Node<'a>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a Source<'a>, problems: &'a mut Problems) -> Self {
        Self { source, problems, reported: 0 }
    }

    /// How many problems were reported: more than before means that something on the way was wrong.
    pub fn reported(&self) -> usize {
        self.reported
    }

    pub fn report(&mut self, problem: Problem) {
        self.reported += 1;
        self.problems.push(problem);
    }

    /// An error at `span`, to be given a hint and reported.
    pub fn error(&self, span: Span, message: impl Into<String>) -> Problem {
        if self.problems.is_full() {
            return Problem::counted();
        }
        Problem::error(self.source, span, message)
    }

    pub fn place(&self, span: Span) -> Place {
        self.error(span, "").place
    }

    /// Reports that `node` is of the wrong kind. `wanted` says what belongs there, such as "a list of regions".
    pub fn wrong_kind<T>(&mut self, node: &Node<'_>, wanted: &str, hint: Option<String>) -> Option<T> {
        let found = match &node.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        let problem = self.error(node.span, format!("{wanted} belongs here, not {found}")).maybe_hint(hint);
        self.report(problem);
        None
    }

    /// A text.
    pub fn text<'n>(&mut self, node: &'n Node<'_>, wanted: &str) -> Option<&'n str> {
        let hint = match &node.value {
            Value::Text(text) => return Some(text),
            Value::Bool(_) | Value::Number => Some(format!("in quotes it is a text: \"{}\"", self.raw(node))),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        self.wrong_kind(node, wanted, hint)
    }

    /// A text, or a number as it was written: for values such as `5m`, where a bare `5` gets a better message from
    /// the value's own parser.
    pub fn text_or_number<'n>(&mut self, node: &'n Node<'_>, wanted: &str) -> Option<&'n str>
    where
        'a: 'n,
    {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Number => Some(self.raw(node)),
            _ => self.wrong_kind(node, wanted, None),
        }
    }

    /// A scalar as it was written.
    pub fn raw(&self, node: &Node<'_>) -> &'a str {
        self.source.slice(node.span)
    }

    pub fn list<'n, 'v>(
        &mut self,
        node: &'n Node<'v>,
        wanted: &str,
        hint: Option<String>,
    ) -> Option<&'n [Node<'v>]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => self.wrong_kind(node, wanted, hint),
        }
    }

    /// The entries of a map. Keys that are no text or stand there twice are reported, and left out.
    pub fn entries<'n, 'v>(&mut self, node: &'n Node<'v>) -> Option<Vec<Entry<'n, 'v>>> {
        let Value::Map(map) = &node.value else {
            let hint = match &node.value {
                Value::List(_) => "leave out the `-` or `[]`: every entry is `name: value`",
                Value::Null => "put its keys below it, indented, or leave it out",
                _ => "put its keys below it, indented, or in braces: `{ key: value }`",
            };
            return self.wrong_kind(node, "a map (`key: value`)", Some(hint.to_owned()));
        };
        let mut entries = Vec::with_capacity(map.len());
        // Nearly all maps are small, and quicker searched than hashed.
        let mut index = (map.len() > 16).then(HashMap::new);
        for (key, value) in map {
            let Some(text) = key.text.as_deref() else {
                let problem = self.error(key.span, "a key must be a text").hint("put it in quotes");
                self.report(problem);
                continue;
            };
            let first = match &mut index {
                Some(index) => index.insert(text, key.span),
                None => {
                    entries.iter().find(|entry: &&Entry<'_, '_>| entry.key == text).map(|entry| entry.span)
                }
            };
            if let Some(first) = first {
                let problem = self
                    .error(key.span, format!("the key {} stands twice", quoted(text)))
                    .hint("keep one of the two")
                    .related(self.place(first));
                self.report(problem);
                continue;
            }
            entries.push(Entry { key: text, span: key.span, node: value });
        }
        Some(entries)
    }

    pub fn unknown_key(&mut self, key: &str, span: Span, known: &[&str]) {
        if self.problems.is_full() {
            return self.report(Problem::counted());
        }
        if let Some((_, _, hint)) =
            REMOVED.iter().find(|(beside, removed, _)| *removed == key && known.contains(beside))
        {
            let problem = self.error(span, format!("the key {} was removed", quoted(key))).hint(*hint);
            return self.report(problem);
        }
        let hint = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", known.join(", ")),
        };
        let problem = self.error(span, format!("unknown key {}", quoted(key))).hint(hint);
        self.report(problem);
    }

    /// Reports that a required key is missing, unless one of the others looks like a misspelling of it: that one
    /// has been reported.
    pub fn missing_key(&mut self, node: &Node<'_>, key: &str, entries: &[Entry<'_, '_>]) {
        if entries.iter().any(|entry| nearest(entry.key, [key]).is_some()) {
            return;
        }
        let hint = match key {
            "version" => Some("begin the file with `version: 1`"),
            "route" => Some(
                "the route decides the price, so there is no default: same-region, nat-gateway, \
                 interface-endpoint, inter-region or internet",
            ),
            _ => None,
        };
        let problem = self.error(self.head(node), format!("the key `{key}` is missing")).maybe_hint(hint);
        self.report(problem);
    }

    /// What is underlined when a whole map is meant: its first key, or the bracket that opens it.
    pub fn head(&self, node: &Node<'_>) -> Span {
        match &node.value {
            Value::Map(map) if self.raw(node).is_empty() => {
                map.first().map_or(node.span, |(key, _)| key.span)
            }
            _ => node.span,
        }
    }

    /// One of some words.
    pub fn choice<T: Clone>(&mut self, node: &Node<'_>, wanted: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, wanted)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let hint = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if wanted.starts_with('`') => return self.not_wanted(node, text, wanted, None),
            None => {
                let list: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                format!("it is one of {}", list.join(", "))
            }
        };
        self.not_wanted(node, text, wanted, Some(hint))
    }

    fn not_wanted<T>(
        &mut self,
        node: &Node<'_>,
        text: &str,
        wanted: &str,
        hint: Option<String>,
    ) -> Option<T> {
        let problem = self.error(node.span, format!("{} is not {wanted}", quoted(text))).maybe_hint(hint);
        self.report(problem);
        None
    }

    /// Takes the outcome of a parser of texts; its mistake is shown at the right part of `node`.
    pub fn parsed<T>(&mut self, node: &Node<'_>, text: &str, outcome: Result<T, TextError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(TextError { message, hint, at }) => {
                let problem = self.error(self.within(node, text, at), message).maybe_hint(hint);
                self.report(problem);
                None
            }
        }
    }

    /// The span of a part of a scalar's text, when the text stands in the file as it is (but for quotes); otherwise
    /// the whole scalar's.
    fn within(&self, node: &Node<'_>, text: &str, part: Range<usize>) -> Span {
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

/// Keys of earlier versions: a key of the same map, the key itself, and what to do about it.
const REMOVED: &[(&str, &str, &str)] = &[(
    "max_in_flight",
    "prepare",
    "delete it: a DryRun on each connection made rounds slower, and connections are opened before the first ping anyway",
)];

/// A text of the user's, short enough to repeat in a message.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("`{}…`", text.get(..cut).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

/// The name of a key: its own, or the one written beside it when that is a word of Rust's.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}
pub(super) use key;

/// Defines a map of the configuration once: its keys, what each means, and what each holds. From it come the
/// structure, its reader and its JSON Schema, so they cannot disagree.
///
/// `flawed` is set when anything in the map was wrong: what seems to be missing then may just be misspelt.
macro_rules! wire {
    (
        $(#[doc = $doc:literal])+
        struct $name:ident [$($required:literal),*] {
            $( $(#[doc = $field_doc:literal])+ $field:ident $(= $key:literal)? : $type:ty, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $( $(#[doc = $field_doc])+ pub $field: Option<$crate::config::reader::At<$type>>, )+
            /// Whether anything in it was wrong.
            pub flawed: bool,
        }

        impl $crate::config::reader::Wire for $name {
            fn read(
                node: &$crate::config::node::Node<'_>,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                const KEYS: &[&str] = &[$($crate::config::reader::key!($field $($key)?)),+];
                const REQUIRED: &[&str] = &[$($required),*];
                let before = reader.reported();
                let entries = reader.entries(node)?;
                let mut this = Self::default();
                for entry in &entries {
                    match entry.key {
                        $($crate::config::reader::key!($field $($key)?) => {
                            this.$field = $crate::config::reader::Wire::read(entry.node, reader);
                        })+
                        unknown => reader.unknown_key(unknown, entry.span, KEYS),
                    }
                }
                for key in REQUIRED {
                    if !entries.iter().any(|entry| entry.key == *key) {
                        reader.missing_key(node, key, &entries);
                    }
                }
                this.flawed = reader.reported() > before;
                Some(this)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let properties = vec![$((
                    $crate::config::reader::key!($field $($key)?),
                    concat!($($field_doc),+),
                    generator.subschema_for::<$type>(),
                )),+];
                $crate::config::schema::object(concat!($($doc),+), &[$($required),*], properties)
            }
        }
    };
}
pub(super) use wire;
