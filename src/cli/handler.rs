//! Handler snippets that answer warmd's pings. `warmd handler LANGUAGE` prints one.
//!
//! A snippet keeps the environment busy for the hold of a ping, responds with an environment id that is created on the
//! first invocation, and passes every other event to the handler. `tests/cli/handlers.rs` runs them.

use clap::{Args, ValueEnum};

/// `warmd handler`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd handler python > warmd_handler.py
  warmd handler node")]
pub struct HandlerArgs {
    /// Language of the handler.
    #[arg(value_name = "LANGUAGE")]
    pub language: Language,
}

/// Language of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python.
    Python,
    /// Node.js.
    Node,
    /// Rust.
    Rust,
}

/// Returns the source of a snippet, a file that can be imported.
pub fn snippet(language: Language) -> &'static str {
    match language {
        Language::Python => include_str!("handlers/python.py"),
        Language::Node => include_str!("handlers/node.mjs"),
        Language::Rust => include_str!("handlers/rust.rs"),
    }
}
