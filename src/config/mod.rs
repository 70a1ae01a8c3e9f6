//! YAML files to a [`Fleet`], with every mistake reported at once.
//!
//! ```text
//! files ──▶ node ──▶ reader + wire ──▶ resolve ──▶ Fleet
//! (I/O)     (YAML)   (keys, values)    (names, defaults, rules across keys and files)
//!                         └──▶ schema (JSON Schema for editors)
//! ```
//!
//! Only [`load`] touches the world; [`resolve`] is given texts, so that tests, fuzzing and other sources of
//! configurations go the same way.

mod files;
mod ics;
mod node;
mod options;
mod prices;
mod problem;
mod quantity;
mod reader;
mod resolve;
mod schema;
mod source;
mod values;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use self::files::Files;
pub use self::options::{Regions, duration, region, regions};
pub use self::prices::{load_prices, read_prices};
pub use self::problem::{MOST_PROBLEMS, Place, Problem, Problems, Severity};
pub use self::resolve::{Mark, ReadFile, resolve};
pub use self::schema::{schema, schema_text};
use self::source::Source;
pub use self::source::SourceFile;
use crate::domain::calendar::DateSet;
use crate::domain::calendar::text::TextError;
use crate::domain::fleet::Fleet;
use crate::domain::function::Region;

/// A configuration that is sound.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub fleet: Fleet,
    /// What is probably not meant: calendars and windows that nothing uses, functions that may be pinged twice.
    pub warnings: Vec<Problem>,
    /// The calendars, by name.
    pub calendars: Vec<Calendar>,
    /// Where the targets were written, in the order of [`Fleet::targets`].
    pub marks: Vec<TargetMarks>,
    /// The files, for [`Loaded::places`].
    files: Vec<SourceFile>,
    /// The files that calendars name.
    attachments: Vec<PathBuf>,
}

/// A calendar, and where it is defined.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// Its dates.
    pub set: Arc<DateSet>,
    /// Where its name is.
    pub mark: Mark,
    /// Whether a window names it.
    pub used: bool,
}

/// Where a target was written.
#[derive(Debug, Clone)]
pub struct TargetMarks {
    /// The function's key.
    pub function: Mark,
    /// Its interval, or that of the defaults; none when neither is given.
    pub interval: Option<Mark>,
    /// Its windows, in the order of [`crate::domain::fleet::Target::windows`].
    pub windows: Vec<Mark>,
}

impl Loaded {
    /// What makes problems at places of the configuration, for checks that need more than the files (such as the date).
    pub fn places(&self) -> Places<'_> {
        Places(self.files.iter().map(Source::new).collect())
    }

    /// The paths of the files, in the order in which they were read.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// The files, in the order in which they were read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The files that calendars name: who watches the configuration watches them too.
    pub fn attachments(&self) -> &[PathBuf] {
        &self.attachments
    }
}

/// The files of a configuration, for problems at places in them. It indexes each file once: there may be thousands.
#[derive(Debug)]
pub struct Places<'l>(Vec<Source<'l>>);

impl Places<'_> {
    /// A warning at a place.
    pub fn warning(&self, mark: Mark, message: impl Into<String>, hint: Option<String>) -> Problem {
        self.error(mark, message, hint).into_warning()
    }

    /// A mistake at a place.
    pub fn error(&self, mark: Mark, message: impl Into<String>, hint: Option<String>) -> Problem {
        match self.0.get(mark.file) {
            Some(source) => Problem::error(source, mark.span, message),
            None => Problem::of_file("", message),
        }
        .maybe_hint(hint)
    }
}

/// Reads configurations from directories (their `*.yaml` and `*.yml`, sorted by name, not those of directories
/// inside) and files. What is found in a directory must lie in it once links are resolved; a file that is named may be
/// anything that can be read. All files together have at most 64 MiB.
///
/// With `filter`, only targets in those regions are kept; everything is checked all the same.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub fn load(sources: &[PathBuf], filter: Option<&[Region]>) -> Result<Loaded, Problems> {
    let mut reader = Files::new(sources);
    let (files, mut problems) = reader.read(sources);
    let mut attachments = Vec::new();
    let mut read = |path: &str| {
        attachments.push(PathBuf::from(path));
        reader.read_attachment(path)
    };
    match resolve(files, &mut read, filter) {
        Ok(loaded) if problems.is_empty() => Ok(Loaded { attachments, ..loaded }),
        Ok(_) => Err(problems),
        Err(others) => {
            problems.append(others);
            Err(problems)
        }
    }
}

/// A size as the configuration writes it, such as `220MB` or `210MiB`, in bytes; zero is taken too.
///
/// # Errors
/// What was expected.
pub fn parse_size(text: &str) -> Result<u64, TextError> {
    quantity::Size::bytes(text)
}

/// A function's memory as the configuration writes it, such as `1024MB`, in MB.
///
/// # Errors
/// What was expected.
pub fn parse_memory(text: &str) -> Result<u32, TextError> {
    quantity::Memory::parse(text).map(|memory| memory.0)
}

#[cfg(test)]
mod tests;
