//! Reads YAML files into a [`Fleet`](crate::domain::fleet::Fleet) and reports all errors at once.
//!
//! ```text
//! files ──▶ node ──▶ reader + wire ──▶ resolve ──▶ Fleet
//! (I/O)     (YAML)   (keys, values)    (names, defaults, rules across keys and files)
//!                         └──▶ schema (JSON Schema for editors)
//! ```
//!
//! Only [`load`] does I/O; [`resolve()`] takes texts, for tests, fuzzing and other sources of configurations.

mod arrivals;
mod edit;
mod files;
mod ics;
mod loaded;
mod node;
mod options;
mod prices;
mod problem;
mod reader;
mod resolve;
mod schema;
mod source;
mod values;
mod wire;
mod wire_struct;

use std::path::PathBuf;

pub use self::arrivals::load_arrivals;
pub use self::edit::{NotEdited, Setting, lines, set};
use self::files::FileReader;
pub use self::loaded::{Calendar, Diagnostics, Loaded, Location, TargetLocations};
pub use self::options::{Regions, duration, region, regions};
pub use self::prices::{load_prices, read_prices};
pub use self::problem::{MOST_PROBLEMS, Position, Problem, Problems, Severity};
pub use self::resolve::{ReadFile, resolve};
pub use self::schema::{schema, schema_text};
pub use self::source::SourceFile;
use crate::domain::function::Region;

/// Reads configurations from files and directories. Of a directory, reads the `*.yaml` and `*.yml` files in the order
/// of their names, without subdirectories; a link must not lead out of the directory. A file that is named may be
/// anything readable. All files together have at most 64 MiB.
///
/// `filter` keeps only targets in those regions; all targets are checked.
///
/// # Errors
/// All problems of all files.
pub fn load(sources: &[PathBuf], filter: Option<&[Region]>) -> Result<Loaded, Problems> {
    let mut reader = FileReader::new(sources);
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

#[cfg(test)]
pub(crate) mod tests;
