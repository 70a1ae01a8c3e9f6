//! Reads the files of the configuration: its only I/O.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::node::MOST_BYTES;
use super::problem::{Problem, Problems};
use super::source::SourceFile;

/// The maximum size in bytes of all files together, calendars and prices that they name included: 64 MiB. A
/// configuration of 10,000 functions has 1 MB.
const MOST_TOTAL_BYTES: u64 = 64 << 20;

/// The hint for a configuration file that is too large.
pub(super) const SPLIT: &str = "split it: the files of a directory are one configuration";

/// The reason why a file cannot be read, and a hint.
pub(super) type ReadError = (String, Option<&'static str>);

/// Reads files within [`MOST_TOTAL_BYTES`].
pub(super) struct FileReader {
    /// The directories among the sources, with links resolved.
    roots: Vec<PathBuf>,
    /// The bytes that may still be read.
    bytes_left: u64,
}

impl FileReader {
    /// Creates a reader of these sources.
    pub fn new(sources: &[PathBuf]) -> Self {
        let directories = sources.iter().filter(|source| source.is_dir());
        Self {
            roots: directories.filter_map(|path| fs::canonicalize(path).ok()).collect(),
            bytes_left: MOST_TOTAL_BYTES,
        }
    }

    /// Reads the files of all sources, each once. Continues after a file that cannot be read.
    pub fn read(&mut self, sources: &[PathBuf]) -> (Vec<SourceFile>, Problems) {
        let mut problems = Problems::default();
        let mut files = Vec::new();
        let mut seen = BTreeSet::new();
        for source in sources {
            let found = match found_in(source) {
                Ok(found) => found,
                Err(problem) => {
                    problems.push(*problem);
                    continue;
                }
            };
            for path in found {
                let resolved = fs::canonicalize(&path).ok();
                if !seen.insert(resolved.clone().unwrap_or_else(|| path.clone())) {
                    continue;
                }
                // The user did not name the files of a directory, so their links are not trusted.
                let text = match path == *source {
                    true => self.read_text(&path),
                    false => self.read_inside(&path),
                };
                match text {
                    Ok(text) => files.push(SourceFile { path: path.to_string_lossy().into_owned(), text }),
                    Err((reason, hint)) => {
                        problems.push(Problem::of_file(path.to_string_lossy(), reason).maybe_hint(hint))
                    }
                }
            }
        }
        (files, problems)
    }

    /// Reads a file of dates or prices that the configuration names.
    pub fn read_attachment(&mut self, path: &str) -> Result<String, String> {
        let path = Path::new(path);
        let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        let read = match is_link && !self.roots.is_empty() {
            true => self.read_inside(path),
            false => self.read_text(path),
        };
        read.map_err(|(reason, _)| reason)
    }

    /// Reads a regular file that is in one of the directories once links are resolved. Follows a link within a
    /// directory, such as those of Kubernetes, but no link out of it.
    fn read_inside(&mut self, path: &Path) -> Result<String, ReadError> {
        let unreadable = |error| (format!("cannot read: {}", without_code(&error)), None);
        let resolved = fs::canonicalize(path).map_err(unreadable)?;
        if !self.roots.iter().any(|root| resolved.starts_with(root)) {
            let hint = "name the file itself instead of its directory, or copy it into the directory";
            return Err(("the link leads out of the directory".to_owned(), Some(hint)));
        }
        if !fs::metadata(&resolved).map_err(unreadable)?.is_file() {
            return Err(("expected a regular file, found a pipe, a socket or a device".to_owned(), None));
        }
        self.read_text(&resolved)
    }

    fn read_text(&mut self, path: &Path) -> Result<String, ReadError> {
        let text = read_text(path)?;
        match self.bytes_left.checked_sub(text.len() as u64) {
            Some(bytes_left) => {
                self.bytes_left = bytes_left;
                Ok(text)
            }
            None => Err(("all files together are larger than 64 MB".to_owned(), None)),
        }
    }
}

/// Returns the configuration files of a directory, or the file itself.
fn found_in(source: &Path) -> Result<Vec<PathBuf>, Box<Problem>> {
    let fail = |reason: String| Box::new(Problem::of_file(source.to_string_lossy(), reason));
    if !source.is_dir() {
        return match fs::metadata(source) {
            Ok(_) => Ok(vec![source.to_owned()]),
            Err(error) => Err(fail(format!("cannot read: {}", without_code(&error)))),
        };
    }
    let yaml = |path: &PathBuf| {
        let extension = path.extension().and_then(OsStr::to_str);
        matches!(extension, Some("yaml" | "yml")) && !path.is_dir()
    };
    let entries =
        fs::read_dir(source).map_err(|error| fail(format!("cannot read: {}", without_code(&error))))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(yaml).collect();
    if paths.is_empty() {
        let problem = Problem::of_file(source.to_string_lossy(), "no .yaml file in this directory");
        return Err(Box::new(problem.hint("name a directory with YAML files: subdirectories are not read")));
    }
    paths.sort();
    Ok(paths)
}

/// Reads the text of a file, which may be a pipe. Stops at the limit of a file that is too large.
pub(super) fn read_text(path: &Path) -> Result<String, ReadError> {
    let unreadable = |error| (format!("cannot read: {}", without_code(&error)), None);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MOST_BYTES {
        return Err(("the file is larger than 8 MB".to_owned(), Some(SPLIT)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        (format!("the file is not UTF-8 text (line {line})"), Some("save it as UTF-8"))
    })
}

/// Returns the message of an error without its number.
fn without_code(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((message, _)) => message.to_lowercase(),
        None => text,
    }
}
