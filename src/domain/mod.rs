//! Functions, calendars, rounds, reports and cost.
//!
//! This module is pure: no I/O, no clock, no SDK, no YAML, no async. Decisions are functions of configuration, `now`
//! and observations.

pub mod alarm;
pub mod backlog;
pub mod budget;
pub mod burst;
pub mod by_kind;
pub mod calendar;
pub mod capacity;
pub mod chain;
pub mod clean;
pub mod cost;
pub mod coverage;
pub mod difference;
pub mod events;
pub mod exposition;
pub mod fleet;
pub mod function;
pub mod future;
pub mod guard;
pub mod handed_out;
pub mod health;
pub mod history;
mod keyed;
pub mod limits;
pub mod metric_data;
pub mod metrics;
mod on_request;
pub mod parse;
pub mod pipeline;
pub mod plan;
pub mod preflight;
pub mod probe;
pub mod protocol;
pub mod quantity;
pub mod records;
pub mod report;
pub mod review;
pub mod round;
pub mod routing;
pub mod s3_uri;
pub mod schedule;
pub mod secret;
pub mod shard;
pub mod spool;
pub mod text;
pub mod tick;
pub mod tick_line;
