//! warmd keeps AWS Lambda functions warm: N dummy invocations at once, so that they overlap and hit distinct
//! execution environments; proof of how many were reached; and a record of what that cost.
//!
//! Rooms, ground floor first. Imports point down only (`tests/rooms.rs` keeps that):
//!
//! ```text
//! bin ──▶ cli ──▶ lambda ──▶ service ──▶ engine ──▶ domain
//!          │         │          └──────▶ config ──▶ domain
//!          │         └──────▶ aws ──▶ engine
//!          └──▶ emulator ──▶ domain
//! ```

pub mod aws;
pub mod cli;
pub mod config;
pub mod domain;
pub mod emulator;
pub mod engine;
pub mod lambda;
pub mod service;
