//! Watches the ticks of the daemon. One answer decides about `/healthz` and the watchdog of systemd.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::recorder::PATIENCE;
use super::rounds::Part;
use crate::domain::health::{Condition, Reports};
use crate::engine::ports::Clock;
use crate::engine::running::PARTIAL_AFTER;
use crate::engine::stop::Stop;

/// The most time from a firing to the start of its rounds: reload and reads of the state store, each with its retries.
const PLANNING: Duration = Duration::from_secs(57);
/// The longest time from a firing to the report of its tick: 2 minutes. A tick with rounds that take longer reports
/// those that have ended.
pub const LONGEST: Duration =
    Duration::from_secs(PLANNING.as_secs() + PARTIAL_AFTER.as_secs() + PATIENCE.as_secs());

/// Watches the ticks of the daemon.
pub struct TickWatch {
    cron: cron::Schedule,
    clock: Arc<dyn Clock>,
    stop: Stop,
    began: Instant,
    reports: Mutex<Reports>,
}

impl TickWatch {
    /// Starts to watch the ticks of `cron`. None are expected after `stop`.
    pub fn start(cron: cron::Schedule, clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { cron, clock, stop, began: Instant::now(), reports: Mutex::new(Reports::new(LONGEST)) }
    }

    /// Notes the first report of a tick. Later reports do not show that ticks continue.
    pub fn note(&self, part: &Part) {
        if part.is_first {
            let (now, uptime) = (self.clock.now(), self.began.elapsed());
            self.reports(|reports| reports.note(part.report.tick, &self.cron, now, uptime));
        }
    }

    /// Returns the condition of the daemon.
    pub fn condition(&self) -> Condition {
        let (uptime, is_stopping) = (self.began.elapsed(), self.stop.is_stopping());
        self.reports(|reports| reports.condition(uptime, is_stopping))
    }

    /// Returns the time of the last tick that has reported.
    pub fn last_tick(&self) -> Option<DateTime<Utc>> {
        self.reports(|reports| reports.last_tick())
    }

    fn reports<T>(&self, of: impl FnOnce(&mut Reports) -> T) -> T {
        of(&mut self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
