//! The functions file: a [`Scenario`] in YAML.
//!
//! ```yaml
//! account: { concurrency: 1000 }
//! denied: [GetFunctionConcurrency]      # reads without permission
//! seed: 7
//! default: { profile: python }          # without it, only the listed functions exist
//! profiles:
//!   slow: { profile: python, init: 3s..4s }
//! functions:
//!   traced: { profile: python, extension: 30ms..80ms }   # works after the answer
//!   lying: { profile: python, ids: invocations }         # a new id on every invocation
//!   managed: { profile: python, at_once: 10 }            # concurrent invocations of an environment
//!   ocr: { profile: container-image, reserved: 20, aliases: { live: 7 } }
//!   flaky:
//!     profile: slow
//!     network: { median: 15ms, sigma: 0.6 }
//!     faults:
//!       - { fault: throttle, first: 3 }
//!       - { fault: slow, by: 2s, every: 10 }
//!       - { fault: function-error, type: Runtime.ExitError, probability: 0.01 }
//! ```

mod faults;
mod scalars;
mod wire;

use std::path::Path;

use serde_yaml::{DefaultMessageFormatter, Location, MessageFormatter};

use super::scenario::Scenario;

/// The reason why a functions file is not usable.
#[derive(Debug, thiserror::Error)]
pub enum FunctionsFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// The file has an error.
    #[error("{path}:{line}:{column}: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The error.
        message: String,
    },
}

/// Reads the scenario in the file at `path`.
///
/// # Errors
/// [`FunctionsFileError`].
pub fn load(path: &Path) -> Result<Scenario, FunctionsFileError> {
    let shown = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&shown, &text),
        Err(error) => Err(FunctionsFileError::Unreadable { path: shown, error }),
    }
}

/// Parses a scenario. `path` is for messages.
///
/// # Errors
/// [`FunctionsFileError::Malformed`].
pub fn parse(path: &str, text: &str) -> Result<Scenario, FunctionsFileError> {
    let malformed = |location: Option<Location>, message: String| FunctionsFileError::Malformed {
        path: path.to_owned(),
        line: location.map_or(1, |location| location.line()),
        column: location.map_or(1, |location| location.column()),
        message,
    };
    let file: wire::File = serde_yaml::from_str(text).map_err(|error| {
        malformed(
            error.location(),
            DefaultMessageFormatter.format_message(error.without_snippet()).into_owned(),
        )
    })?;
    file.resolve().map_err(|(location, message)| malformed(location, message))
}

#[cfg(test)]
mod tests;
