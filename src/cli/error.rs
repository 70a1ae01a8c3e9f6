//! Why a command ends early.

use std::io;

use super::exit::Exit;
use crate::config::Problems;

/// Why a command ends early: one message for people, and an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is refused. Nothing was sent.
    #[error("{0}")]
    Configuration(Problems),
    /// What was asked for cannot be done. Nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// Something unexpected.
    #[error("{0}")]
    Unexpected(String),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configuration(problems) if problems.unreached => Exit::Failed,
            Self::Configuration(_) | Self::Usage(_) => Exit::Usage,
            Self::Unexpected(_) | Self::Output(_) => Exit::Failed,
        }
    }

    /// The message as it is shown.
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
