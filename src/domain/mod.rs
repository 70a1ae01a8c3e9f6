//! The ground floor: names, calendars, rounds, reports and cost.
//!
//! Nothing here does I/O, reads a clock, knows the SDK or YAML, or is async. Everything that decides is a
//! pure function of (configuration, now, what was observed).

pub mod calendar;
pub mod clean;
pub mod cost;
pub mod dashboard;
pub mod events;
pub mod fleet;
pub mod function;
pub mod future;
pub mod handed_out;
pub mod iam;
pub mod metrics;
pub mod preflight;
pub mod protocol;
pub mod records;
pub mod report;
pub mod round;
pub mod s3_uri;
pub mod schedule;
pub mod shard;
pub mod tick;
pub mod tick_line;
