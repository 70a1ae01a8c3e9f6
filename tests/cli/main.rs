//! The built binaries, end to end: exit codes, both streams, JSON keys, signals. No sleeps: tests wait for lines.
//! Beside them, tests of the files that ship: the README, the template, the handler snippets, the sources.

mod action;
mod backlog;
mod backlog_metrics;
mod browser;
mod budgets;
mod burst;
mod canary;
mod capacity;
mod check;
mod cost;
mod daemon;
mod deploy;
mod examples;
mod guards;
mod handlers;
mod history;
mod hostile;
mod kills;
mod lambda;
mod like;
mod listen;
mod live;
#[cfg(target_os = "linux")]
mod memory;
#[path = "../benches/month.rs"]
mod month;
mod observability;
mod pipelines;
mod pipes;
mod plan;
mod probe;
mod readme;
mod report;
mod rooms;
mod run;
mod secrets;
mod spool;
mod state;
mod support;
mod template;
#[path = "../../src/config/tests/validator.rs"]
mod validator;
