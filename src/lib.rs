//! warmd keeps AWS Lambda functions warm: N dummy invocations at once, so that they overlap and hit distinct
//! execution environments; proof of how many were reached; and a record of what that cost.
//!
//! Rooms, ground floor first. Imports point down only (`tests/rooms.rs` keeps that):
//!
//! ```text
//! cli, bin ──▶ aws ──▶ engine ──▶ domain
//!    │         emulator ────────▶ domain
//!    └───────▶ config ──────────▶ domain
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod aws;
pub mod cli;
pub mod config;
pub mod deploy;
pub mod domain;
pub mod emulator;
pub mod engine;
