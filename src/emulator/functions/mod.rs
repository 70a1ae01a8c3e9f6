//! The functions file: a [`Scenario`] in YAML.
//!
//! ```yaml
//! account: { concurrency: 1000 }
//! denied: [GetFunctionConcurrency]      # reads for which there is no permission
//! seed: 7
//! default: { profile: python }          # without it, functions that are not listed do not exist
//! profiles:
//!   slow: { profile: python, init: 3s..4s }
//! functions:
//!   traced: { profile: python, extension: 30ms..80ms }   # works on after the answer
//!   lying: { profile: python, ids: invocations }         # the handler makes a new id on every invocation
//!   managed: { profile: python, at_once: 10 }            # invocations that an environment takes at once
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
mod wire;
mod words;

use std::path::Path;

use serde_yaml::{DefaultMessageFormatter, Location, MessageFormatter};

use super::profile::Scenario;

/// Why a functions file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFunctions {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// The file does not say what it should.
    #[error("{path}:{line}:{column}: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
}

/// The scenario in the file at `path`.
///
/// # Errors
/// [`BadFunctions`].
pub fn load(path: &Path) -> Result<Scenario, BadFunctions> {
    let shown = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&shown, &text),
        Err(error) => Err(BadFunctions::Unreadable { path: shown, error }),
    }
}

/// The scenario that `text` describes; `path` is for the message.
///
/// # Errors
/// [`BadFunctions::Malformed`].
pub fn parse(path: &str, text: &str) -> Result<Scenario, BadFunctions> {
    let malformed = |place: Option<Location>, message: String| BadFunctions::Malformed {
        path: path.to_owned(),
        line: place.map_or(1, |place| place.line()),
        column: place.map_or(1, |place| place.column()),
        message,
    };
    let file: wire::File = serde_yaml::from_str(text).map_err(|error| {
        malformed(
            error.location(),
            DefaultMessageFormatter.format_message(error.without_snippet()).into_owned(),
        )
    })?;
    file.resolve().map_err(|(place, message)| malformed(place, message))
}

#[cfg(test)]
mod tests;
