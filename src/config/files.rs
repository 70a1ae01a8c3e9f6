//! Reading the files: the only I/O of the configuration.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::node::MOST_BYTES;
use super::problem::{Problem, Problems};
use super::source::SourceFile;

/// Reads the files of all sources, each once. What cannot be read does not hide what is wrong with the others.
pub(super) fn read(sources: &[PathBuf]) -> (Vec<SourceFile>, Problems) {
    let mut problems = Problems::default();
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources {
        let paths = match paths_of(source) {
            Ok(paths) => paths,
            Err(problem) => {
                problems.push(*problem);
                continue;
            }
        };
        for path in paths {
            if !seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                continue;
            }
            match read_text(&path) {
                Ok(text) => files.push(SourceFile { path: path.to_string_lossy().into_owned(), text }),
                Err(reason) => problems.push(Problem::of_file(path.to_string_lossy(), reason)),
            }
        }
    }
    (files, problems)
}

/// The configuration files of a directory, or the file itself.
fn paths_of(source: &Path) -> Result<Vec<PathBuf>, Box<Problem>> {
    let fail = |reason: String| Box::new(Problem::of_file(source.to_string_lossy(), reason));
    if !source.is_dir() {
        return match fs::metadata(source) {
            Ok(_) => Ok(vec![source.to_owned()]),
            Err(error) => Err(fail(format!("cannot be read: {}", plain(&error)))),
        };
    }
    let yaml = |path: &PathBuf| {
        let extension = path.extension().and_then(OsStr::to_str);
        matches!(extension, Some("yaml" | "yml")) && !path.is_dir()
    };
    let entries = fs::read_dir(source).map_err(|error| fail(format!("cannot be read: {}", plain(&error))))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(yaml).collect();
    if paths.is_empty() {
        let problem = Problem::of_file(source.to_string_lossy(), "there is no .yaml file in this directory");
        return Err(Box::new(problem.hint("directories inside are not looked into")));
    }
    paths.sort();
    Ok(paths)
}

/// Reads a file that a calendar names.
pub(super) fn read_attachment(path: &str) -> Result<String, String> {
    read_text(Path::new(path))
}

/// A file's text. A larger file than is taken is not read to its end.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {}", plain(&error)))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {}", plain(&error)))?;
    if bytes.len() > MOST_BYTES {
        return Err("the file is larger than 8 MB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8 text (line {line})")
    })
}

/// The system's own words, without the error number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
