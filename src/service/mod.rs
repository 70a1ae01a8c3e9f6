//! The service: one entry for everything that sends pings, [`Service::serve`].
//!
//! ```text
//!  schedule, operator, request, shard, deployment ──▶ Trigger
//!                                                        │  reload the configuration, plan with the records
//!                                                        ▼
//!                                          rounds (engine), in parts ──▶ records, metrics, bus
//!                                                        │
//!                                                        ▼
//!                                                     Outcome
//! ```

pub mod alarms;
pub mod backlog;
pub mod budget;
pub mod capacity;
pub mod clock;
pub mod config_source;
pub mod daemon;
pub mod environment;
pub mod facts;
pub mod guards;
pub mod health;
pub mod history;
pub mod live_config;
pub mod manifest;
pub mod planner;
pub mod preflight;
pub mod probe;
pub mod recorder;
pub mod rounds;
pub mod s3_config;
mod serve;
pub mod spending;
pub mod store;
#[cfg(test)]
mod tests;
mod trigger;

pub use self::serve::{
    Bus, Capacity, CustomPayload, Observer, Outcome, Policy, Refusal, ScheduledTicks, Service, alike,
    largest_due, largest_round, preview,
};
pub use self::trigger::{RecordKind, Trigger};
