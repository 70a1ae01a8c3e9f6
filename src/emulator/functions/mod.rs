//! The functions file: a [`Scenario`] in YAML.
//!
//! ```yaml
//! account: { concurrency: 1000, in_use_by_others: 200 }
//! denied: [GetFunctionConcurrency]      # calls of the control plane without permission
//! reads:                                # the control plane, changes included
//!   rate: 15                            # calls a second; more are throttled
//!   faults:
//!     GetAccountSettings: [{ fault: slow, by: 3s, every: 2 }]
//!     GetFunctionConfiguration: [{ fault: answer, body: { MemorySize: -1, Timeout: ~ } }]
//! seed: 7
//! default: { profile: python }          # without it, functions that are not listed do not exist
//! profiles:
//!   slow: { profile: python, init: 3s..4s }
//! functions:
//!   traced: { profile: python, extension: 30ms..80ms }   # runs on after the response
//!   proactive: { ahead: { share: 0.7, by: 50ms..5s } }   # of new environments; their init begins before the request
//!   lying: { profile: python, ids: invocations }         # a new id for every invocation
//!   managed: { profile: python, at_once: 10 }            # concurrent invocations per environment
//!   ocr: { profile: container-image, reserved: 20, aliases: { live: 7 } }
//!   kept: { provisioned: 4, provisioned_on: [live], prepare: 90s }   # somebody else's provisioned concurrency
//!   broken: { prepare: 90s, provisioned_fails: FUNCTION_ERROR_INIT_FAILURE }   # `none`: it succeeds
//!   canary: { aliases: { live: { 7: 0.9, 8: 0.1 } } }    # version 7, and 8 with a weight
//!   locked: { aliases: { live: { 7: 0.9, 8: 0.1 } }, denied_on: [7, 8] }   # may be invoked by its alias only
//!   deployed: { aliases: { live: 7 }, moving: 60s }      # weights while an alias with provisioned concurrency moves
//!   updating: { configuration: { LastUpdateStatus: InProgress } }    # its capacity cannot be changed
//!   fleet: { prepare: 60s, configuration: { CapacityProviderConfig: {} } }   # has a scaling configuration
//!   asleep: { inactive: 30s }                            # Inactive, after its first invocation Pending for 30 s
//!   strict: { handler: bref, unrecognized: KeyError }    # other payloads: work, timeout or the type of an error
//!   orders: { code: a, versions: { 8: { code: b, handler: none, duration: 5s } } }
//!   flaky:
//!     profile: slow
//!     network: { median: 15ms, sigma: 0.6 }
//!     faults:
//!       - { fault: throttle, first: 3 }
//!       - { fault: slow, by: 2s, every: 10 }
//!       - { fault: function-error, type: Runtime.ExitError, probability: 0.01 }
//! changes:                              # new code, memory or timeout: the old environments end
//!   - { after: 10m, functions: { orders: { code: c, handler: none } } }
//!   - { after: 20m, account: { concurrency: 50 }, functions: { ocr: { reserved: 0 }, lying: ~ } }
//! ```

mod change;
mod faults;
mod file;
mod scalars;
mod wire;

use std::path::Path;

use serde_yaml::{DefaultMessageFormatter, Location, MessageFormatter};

use super::scenario::Scenario;
use change::Change;

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
    let file: file::File = read(path, text)?;
    file.resolve().map_err(|invalid| malformed(path, invalid))
}

/// Parses a change that applies at once, and applies it to `scenario`. `path` is for messages.
///
/// # Errors
/// [`FunctionsFileError::Malformed`]. The scenario may have been changed in part.
pub fn change(path: &str, text: &str, scenario: &mut Scenario) -> Result<(), FunctionsFileError> {
    let change: Change = read(path, text)?;
    change.immediate().and_then(|change| change.apply(scenario)).map_err(|invalid| malformed(path, invalid))
}

fn read<T: serde::de::DeserializeOwned>(path: &str, text: &str) -> Result<T, FunctionsFileError> {
    serde_yaml::from_str(text).map_err(|error| {
        let message = DefaultMessageFormatter.format_message(error.without_snippet()).into_owned();
        malformed(path, (error.location(), message))
    })
}

fn malformed(path: &str, (location, message): wire::InvalidValue) -> FunctionsFileError {
    FunctionsFileError::Malformed {
        path: path.to_owned(),
        line: location.map_or(1, |location: Location| location.line()),
        column: location.map_or(1, |location| location.column()),
        message,
    }
}

#[cfg(test)]
mod tests;
