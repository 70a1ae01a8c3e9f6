//! Changes of single keys of a function in a YAML file, which leave all other lines as they are.
//!
//! The text is changed line by line. The result is parsed again, and must differ from the file in the keys that were
//! set and in nothing else.

use serde_json::Value as Json;

use super::node::{Node, Value, parse_into};
use super::problem::Problems;
use super::source::{SourceFile, SourceText, Span};
use crate::domain::function::FunctionRef;
use crate::domain::parse::quoted;

/// A key to be set: its path under the function, such as `["assume", "idle_life"]`, and its plain value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The path: a key of the function, or a map and a key in it.
    pub path: Vec<&'static str>,
    /// The value: letters, digits and periods.
    pub value: String,
}

/// The reason why a file is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEdited {
    /// The file has errors.
    #[error("the file has errors")]
    Invalid(Problems),
    /// The file does not have the function.
    #[error("{} is not under `functions` in the file", quoted(.0))]
    NoFunction(String),
    /// The lines cannot be changed without an effect on others.
    #[error("line {line}: {reason}")]
    Unsafe {
        /// The line, from 1.
        line: usize,
        /// The reason.
        reason: &'static str,
    },
}

/// Returns the lines of the settings, to be pasted under the function.
pub fn lines(settings: &[Setting], indent: usize) -> String {
    let mut text = String::new();
    let mut map = None;
    for Setting { path, value } in settings {
        let (inner, key) = match path.as_slice() {
            [key] => (None, *key),
            [inner, .., key] => (Some(*inner), *key),
            [] => continue,
        };
        if let Some(inner) = inner.filter(|inner| map != Some(*inner)) {
            text += &format!("{:indent$}{inner}:\n", "");
        }
        map = inner;
        let deeper = indent + if inner.is_some() { 2 } else { 0 };
        text += &format!("{:deeper$}{key}: {value}\n", "");
    }
    text
}

/// Sets keys of a function in the text of a file.
///
/// # Errors
/// [`NotEdited`]. Flow style, anchors, aliases, merge keys and values over several lines are not changed.
pub fn set(file: &SourceFile, function: &FunctionRef, settings: &[Setting]) -> Result<String, NotEdited> {
    let before = tree(file)?;
    let name = function_key(&before, function).ok_or_else(|| NotEdited::NoFunction(function.to_string()))?;
    let mut expected = before;
    let mut edited = file.clone();
    // Each is put directly below the key of its map, so the last one first.
    for setting in settings.iter().rev() {
        edited.text = set_one(&edited, &name, setting)?;
        put(&mut expected, &name, setting);
    }
    // Whatever was overlooked: nothing but the settings may differ.
    if tree(&edited).ok().as_ref() != Some(&expected) {
        return Err(NotEdited::Unsafe { line: 1, reason: "the change would have an effect on other keys" });
    }
    Ok(edited.text)
}

fn with_tree<T>(
    file: &SourceFile,
    read: impl FnOnce(&SourceText<'_>, &Node<'_>) -> T,
) -> Result<T, NotEdited> {
    let source = SourceText::new(file);
    let mut problems = Problems::default();
    match parse_into(&source, "", &mut problems) {
        Some(node) => Ok(read(&source, &node)),
        None => Err(NotEdited::Invalid(problems)),
    }
}

/// Returns the values of a file, numbers as they are written.
fn tree(file: &SourceFile) -> Result<Json, NotEdited> {
    fn json(source: &SourceText<'_>, node: &Node<'_>) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number => Json::Array(vec![source.slice(node.span).into()]),
            Value::Text(text) => text.as_ref().into(),
            Value::List(items) => items.iter().map(|item| json(source, item)).collect(),
            Value::Map(entries) => {
                let key = |key: &super::node::Key<'_>| match &key.text {
                    Some(text) => text.to_string(),
                    None => source.slice(key.span).to_owned(),
                };
                Json::Object(entries.iter().map(|(name, value)| (key(name), json(source, value))).collect())
            }
        }
    }
    with_tree(file, json)
}

/// Returns the key under which a file has the function.
fn function_key(tree: &Json, function: &FunctionRef) -> Option<String> {
    let functions = tree.get("functions")?.as_object()?;
    functions.keys().find(|key| FunctionRef::parse(key).as_ref() == Ok(function)).cloned()
}

/// Sets a key in a tree of values.
fn put(tree: &mut Json, function: &str, Setting { path, value }: &Setting) {
    let mut place = &mut tree["functions"][function];
    for key in path {
        if place.is_null() {
            *place = Json::Object(serde_json::Map::new());
        }
        place = &mut place[*key];
    }
    *place = match value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        true => Json::Array(vec![value.as_str().into()]),
        false => value.as_str().into(),
    };
}

/// Sets one key of the function with this name.
fn set_one(file: &SourceFile, name: &str, setting: &Setting) -> Result<String, NotEdited> {
    let (text, path) = (&file.text, &setting.path);
    // The byte-order mark is not part of the spans.
    let shift = text.len() - text.strip_prefix('\u{feff}').map_or(text.len(), str::len);
    let found = with_tree(file, |_, root| {
        let mut keys = vec!["functions", name];
        keys.extend(path.iter().copied());
        deepest(root, &keys).map(|(span, depth, is_map)| (span.start() + shift, depth - 2, is_map))
    })?;
    let (at, depth, is_map) = found.ok_or_else(|| NotEdited::NoFunction(name.to_owned()))?;
    let line = Line::at(text, at);
    let refuse = |reason| Err(NotEdited::Unsafe { line: line.number, reason });
    if line.key.contains('{') || line.key.contains(',') {
        return refuse("it is in flow style");
    }
    if depth == path.len() {
        let Some(value) = line.plain_value() else {
            return refuse("its value is not a plain text on the line");
        };
        let quote = value.trim_matches(|c| c != '"' && c != '\'').get(..1).unwrap_or_default();
        let begin = value.as_ptr() as usize - text.as_ptr() as usize;
        let (head, tail) = (text.get(..begin), text.get(begin + value.len()..));
        let (Some(head), Some(tail)) = (head, tail) else { return refuse("its value cannot be found") };
        return Ok(format!("{head}{quote}{}{quote}{tail}", setting.value));
    }
    // A new key directly below the key of its map, so that no comment of another key is separated from it.
    if !line.value.is_empty() && !line.value.starts_with('#') {
        return refuse(match line.value.get(..1) {
            Some("{") => "it is in flow style",
            Some("&" | "*") => "it has an anchor or an alias",
            _ => "it is not a map in block style",
        });
    }
    let Some(indent) = line.indent_of_children(text).filter(|_| is_map) else {
        return refuse("it is not a map in block style");
    };
    if line.children(text).any(|child| child.trim_start().starts_with("<<")) {
        return refuse("it has a merge key");
    }
    let ending = if line.whole.ends_with("\r\n") { "\r\n" } else { "\n" };
    let rest = path.get(depth..).unwrap_or_default();
    let own = Setting { path: rest.to_vec(), value: setting.value.clone() };
    let added = lines(std::slice::from_ref(&own), indent).replace('\n', ending);
    let (head, tail) = text.split_at(line.end);
    let separator = if head.ends_with('\n') { "" } else { ending };
    Ok(format!("{head}{separator}{added}{tail}"))
}

/// Returns the key of the deepest of `keys` that exists with the number of keys on the way to it, and whether its value
/// is a map. `None` unless the first two exist.
fn deepest(root: &Node<'_>, keys: &[&str]) -> Option<(Span, usize, bool)> {
    let (mut node, mut found) = (root, None);
    for (depth, key) in (1..).zip(keys) {
        let Value::Map(entries) = &node.value else { break };
        let Some((name, value)) = entries.iter().find(|(name, _)| name.text.as_deref() == Some(*key)) else {
            break;
        };
        found = Some((name.span, depth, matches!(value.value, Value::Map(_))));
        node = value;
    }
    found.filter(|(_, depth, _)| *depth >= 2)
}

/// The line of a key.
struct Line<'t> {
    number: usize,
    /// The line with its end.
    whole: &'t str,
    /// The text before the value: spaces, the key and the colon.
    key: &'t str,
    /// The text after the colon, without spaces around it.
    value: &'t str,
    /// The end of the line in the text.
    end: usize,
}

impl<'t> Line<'t> {
    /// Finds the line of the key at byte `at`.
    fn at(text: &'t str, at: usize) -> Self {
        let at = text.floor_char_boundary(at);
        let (before, after) = text.split_at(at);
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let end = after.find('\n').map_or(text.len(), |end| at + end + 1);
        let whole = text.get(begin..end).unwrap_or_default();
        let content = whole.trim_end();
        // A key that is an ARN has colons of its own.
        let colon = content.match_indices(':').map(|(at, _)| at + 1).find(|after| {
            content.get(*after..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        });
        let (key, value) = content.split_at(colon.unwrap_or(content.len()));
        let number = before.matches('\n').count() + 1;
        Self { number, whole, key, value: value.trim(), end }
    }

    /// Returns the value if it is a text without spaces, in quotes or not, with at most a comment behind it.
    fn plain_value(&self) -> Option<&'t str> {
        let value = match self.value.split_once('#') {
            Some((value, _)) if value.ends_with([' ', '\t']) => value.trim_end(),
            Some(_) => return None,
            None => self.value,
        };
        let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        let inner = inner.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(inner);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        (!inner.is_empty() && inner.bytes().all(is_plain)).then_some(value)
    }

    fn indent(&self) -> usize {
        self.whole.len() - self.whole.trim_start_matches(' ').len()
    }

    /// Returns the lines below that are indented further, without empty ones and comments.
    fn children(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let own = self.indent();
        let below = text.get(self.end..).unwrap_or_default().lines();
        let content = below.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        content.take_while(move |line| line.len() - line.trim_start_matches(' ').len() > own)
    }

    fn indent_of_children(&self, text: &'t str) -> Option<usize> {
        self.children(text).next().map(|line| line.len() - line.trim_start_matches(' ').len())
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
