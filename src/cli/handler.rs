//! Handler snippets: what a function needs to know warmd's pings. `warmd handler LANGUAGE` prints one.
//!
//! Each holds for the time that a ping asks for, answers with an id of the environment that was made on its first
//! invocation, and hands every other event on untouched. `tests/handlers.rs` runs them.

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

/// A handler's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python.
    Python,
    /// Node.js.
    Node,
    /// Rust.
    Rust,
}

/// The source of the handler snippet, whole: it can be saved as a file and imported.
pub fn snippet(language: Language) -> &'static str {
    match language {
        Language::Python => include_str!("handlers/python.py"),
        Language::Node => include_str!("handlers/node.mjs"),
        Language::Rust => include_str!("handlers/rust.rs"),
    }
}
