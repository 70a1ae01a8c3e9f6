//! The service with scripted ports and paused time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::budget::TimeBudget;
use super::daemon::{self, Ticks};
use super::rounds::{Part, Reporter, report_in_parts};
use crate::domain::fleet::Target;
use crate::domain::round::Verdict;
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, UnfinishedReason};
use crate::engine::ports::Clock;
use crate::engine::stop::stop;
use crate::engine::tests::{Script, Scripted, ScriptedLambda, at, due, engine};
use crate::engine::tick::{Due, Engine};

mod clocks;
mod health;
mod metrics;
mod parts;
mod replay;
mod shards;
mod soak;
mod triggers;

/// A wall clock that moves with tokio's clock, and can be set.
#[derive(Debug)]
struct Wall {
    start: DateTime<Utc>,
    began: Instant,
    ahead: AtomicI64,
}

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.began.elapsed()).unwrap();
        self.start + elapsed + TimeDelta::seconds(self.ahead.load(Ordering::SeqCst))
    }
}

/// The time that a stopped daemon has for its rounds and records.
const GRACE: Duration = Duration::from_secs(20);

impl Wall {
    fn new(start: &str) -> Self {
        Self { start: at(start), began: Instant::now(), ahead: AtomicI64::new(0) }
    }
}
