//! The keys of the files, and the hash of the configuration.

use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::files::SPLIT;
use super::super::node::{self, MOST_BYTES, Node, Value};
use super::super::problem::{Problem, Problems};
use super::super::reader::{FromNode, Reader};
use super::super::source::{SourceFile, SourceText};
use super::super::wire::FileKeys;

/// Reads the keys of each file. Returns `None` for a file with errors, and for a file of dates or prices that another
/// file names.
pub(super) fn read_keys<'a>(sources: &'a [SourceText<'a>], problems: &mut Problems) -> Vec<Option<FileKeys>> {
    let nodes: Vec<Option<Node<'_>>> = sources.iter().map(|source| parse(source, problems)).collect();
    let named: Vec<PathBuf> = sources
        .iter()
        .zip(&nodes)
        .flat_map(|(source, node)| node.iter().flat_map(|node| named_files(source, node)))
        .collect();
    sources
        .iter()
        .zip(nodes)
        .map(|(source, node)| match node {
            Some(_) if named.contains(&normalize(Path::new(source.path))) => None,
            Some(node) => FileKeys::from_node(&node, &mut Reader::new(source, problems)),
            None => None,
        })
        .collect()
}

fn parse<'a>(source: &SourceText<'a>, problems: &mut Problems) -> Option<Node<'a>> {
    if source.text.len() > MOST_BYTES {
        problems.push(Problem::of_file(source.path, "the file is larger than 8 MB").hint(SPLIT));
        return None;
    }
    node::parse_into(source, "begin it with `version: 1`, or remove it", problems)
}

/// Returns the files that the calendars and prices of a file name.
fn named_files(source: &SourceText<'_>, node: &Node<'_>) -> Vec<PathBuf> {
    let parent = Path::new(source.path).parent().unwrap_or(Path::new(""));
    let path = |node: Option<&Node<'_>>| match node {
        Some(Node { value: Value::Text(path), .. }) => Some(normalize(&parent.join(path.as_ref()))),
        _ => None,
    };
    let calendars = match entry(node, "calendars") {
        Some(Node { value: Value::Map(calendars), .. }) => calendars.as_slice(),
        _ => &[],
    };
    let of_calendars = calendars.iter().filter_map(|(_, calendar)| path(entry(calendar, "file")));
    of_calendars.chain(path(entry(node, "prices"))).collect()
}

fn entry<'n, 'a>(node: &'n Node<'a>, name: &str) -> Option<&'n Node<'a>> {
    match &node.value {
        Value::Map(map) => {
            map.iter().find(|(key, _)| key.text.as_deref() == Some(name)).map(|(_, value)| value)
        }
        _ => None,
    }
}

/// Removes `.` and `..` from a path, without a look at the file system.
fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Hashes the contents of files, in the order of their names: 64 bits of SHA-256, in hexadecimal. Independent of
/// directories and of the kind of line ends.
pub(super) fn hash(sources: &[SourceText<'_>], attachments: &[SourceFile]) -> String {
    let name = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut texts: Vec<(bool, Option<String>, String)> = sources
        .iter()
        .map(|source| (false, name(source.path), source.text.replace("\r\n", "\n")))
        .chain(attachments.iter().map(|file| (true, name(&file.path), file.text.replace("\r\n", "\n"))))
        .collect();
    texts.sort_unstable();
    let mut hasher = Sha256::new();
    for (attached, _, text) in &texts {
        hasher.update([u8::from(*attached)]);
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
