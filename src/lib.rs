//! warmd keeps AWS Lambda functions warm. A round sends N dummy invocations at once, so that they overlap and reach N
//! distinct execution environments, proves how many were reached, and records the cost.
//!
//! ```text
//! warm-configs/*.yaml ──config──▶ Fleet ─┐
//!                              now ──────┼─▶ plan (pure) ─▶ rounds ─▶ one signed request, N streams ─▶ Lambda
//!                   observed state ──────┘                                                             │
//!      CloudWatch ◀── metrics ◀── cost (pure) ◀── RoundReport (pure) ◀── raw invocations ──────────────┘
//! ```
//!
//! Code that decides is a pure function of configuration, `now` and observations. Code with effects is an adapter
//! behind a narrow port of [`engine`].
//!
//! The modules, ground floor first. Imports point down, and files do not import each other in cycles;
//! `tests/cli/rooms.rs` checks both.
//!
//! | module | content | imports |
//! |---|---|---|
//! | [`domain`] | pure: no I/O, no async, no SDK, no YAML, no clock | |
//! | [`config`] | YAML to domain: wire types, defaults, diagnostics with locations, JSON Schema | `domain` |
//! | [`engine`] | ports; a round, admission under the in-flight cap, a tick, shutdown | `domain` |
//! | [`service`] | serves triggers: planner with state, live configuration, shards, recorder | `config`, `engine` |
//! | [`aws`] | adapters on the SDKs; connections (HTTP/2 first); errors | `domain`, `engine` |
//! | [`deploy`] | documents for AWS: dashboard, IAM policies, sample events | `domain` |
//! | [`emulator`] | Lambda, CloudWatch, EventBridge and S3 over HTTP; also a test double | `domain::function` |
//! | [`lambda`] | the Lambda runtime: settings, deadline, event to trigger | `service`, `aws` and those below |
//! | [`cli`] | commands with their arguments, rendering | all of them |

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod aws;
pub mod cli;
pub mod config;
pub mod deploy;
pub mod domain;
pub mod emulator;
pub mod engine;
pub mod lambda;
pub mod service;
