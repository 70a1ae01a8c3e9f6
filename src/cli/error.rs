//! The error type of commands.

use std::io;

use super::exit::Exit;
use crate::config::Problems;

/// An error that ends a command, with a message for people and an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is invalid or cannot be read. Nothing was sent.
    #[error("{0}")]
    Configuration(Problems),
    /// The arguments are invalid. Nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// An internal error, or an error of a service.
    #[error("{0}")]
    Unexpected(String),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configuration(problems) if problems.unreached => Exit::Failed,
            Self::Configuration(_) | Self::Usage(_) => Exit::Usage,
            Self::Unexpected(_) | Self::Output(_) => Exit::Failed,
        }
    }

    /// Returns the message as printed.
    pub fn message(&self, color: bool) -> String {
        match self {
            Self::Configuration(problems) => problems.render_text(color),
            Self::Usage(_) | Self::Unexpected(_) | Self::Output(_) => format!("error: {self}"),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Configuration(problems)
    }
}
