//! The start that a ping has met.

use std::time::Duration;

use serde::Serialize;

use crate::domain::round::{Outcome, PingResult};

/// The start that a ping has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// A new environment: its code was fetched, and it was initialised.
    Cold,
    /// A new environment whose code was still cached: only the init ran.
    SemiCold,
    /// A new environment that was initialised before the request came, at least in part.
    Preinitialized,
    /// A new environment that was restored from a snapshot.
    Restored,
    /// An existing environment.
    Warm,
}

impl Start {
    /// Returns the name in JSON, such as `semi-cold`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::SemiCold => "semi-cold",
            Self::Preinitialized => "preinitialized",
            Self::Restored => "restored",
            Self::Warm => "warm",
        }
    }

    /// Returns true if the environment is new.
    pub fn is_new(self) -> bool {
        self != Self::Warm
    }
}

/// A ping with its times. Instants are from the begin of the probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The instant just before it was written to the wire.
    pub sent: Duration,
    /// The instant at which the answer had been read.
    pub received: Duration,
    /// The time for which the handler held the ping.
    pub hold: Duration,
    /// The start; `None` if the ping failed, or its answer has no REPORT line.
    pub start: Option<Start>,
    /// The Init Duration, or the Restore Duration.
    pub init: Option<Duration>,
    /// The duration of the handler.
    pub duration: Option<Duration>,
    /// The billed duration.
    pub billed: Option<Duration>,
    /// The memory in MB of 1,048,576 bytes.
    pub memory_mb: Option<u32>,
    /// The environment's id.
    pub environment: Option<String>,
    /// The message about a failure.
    pub failure: Option<String>,
}

impl Measured {
    /// Creates the measurement of a ping that was released `at`, and that the handler held for `hold`.
    pub fn new(at: Duration, ping: &PingResult, hold: Duration) -> Self {
        let report = ping.report.as_ref();
        let init = report.and_then(|report| millis(report.init_ms.or(report.restore_ms)?));
        let start = match ping.outcome {
            Outcome::Warm => Some(Start::Warm),
            Outcome::Restored => Some(Start::Restored),
            Outcome::Preinitialized => Some(Start::Preinitialized),
            Outcome::Cold => Some(Start::Cold),
            _ => None,
        };
        let unclassified = || "the answer has no REPORT line".to_owned();
        Self {
            sent: at + ping.sent,
            received: at + ping.received,
            hold,
            start,
            init: init.filter(|_| start.is_some_and(Start::is_new)),
            duration: report.and_then(|report| millis(report.duration_ms)),
            billed: report.map(|report| Duration::from_millis(report.billed_ms)),
            memory_mb: report.and_then(|report| report.memory_mb),
            environment: ping.environment.clone(),
            failure: start.is_none().then(|| ping.message.clone().unwrap_or_else(unclassified)),
        }
    }

    /// Returns the time that the caller waited.
    pub fn total(&self) -> Duration {
        self.received.saturating_sub(self.sent)
    }

    /// Returns the time that the caller waited, without the hold.
    pub fn without_hold(&self) -> Duration {
        self.total().saturating_sub(self.hold)
    }
}

fn millis(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::Report;
    use crate::domain::round::Ran;

    fn ping(outcome: Outcome, total_ms: u64, init_ms: Option<f64>) -> PingResult {
        let report = Report { duration_ms: 2.0, billed_ms: 3, init_ms, ..Report::default() };
        PingResult {
            outcome,
            ran: Ran::Yes,
            sent: Duration::from_millis(5),
            received: Duration::from_millis(5 + total_ms),
            report: Some(report),
            environment: None,
            initialization: None,
            version: None,
            message: None,
        }
    }

    #[test]
    fn the_start_is_that_of_the_outcome() {
        let start =
            |outcome| Measured::new(Duration::ZERO, &ping(outcome, 400, Some(250.0)), Duration::ZERO).start;
        assert_eq!(start(Outcome::Cold), Some(Start::Cold));
        assert_eq!(start(Outcome::Preinitialized), Some(Start::Preinitialized));
        assert_eq!(start(Outcome::Restored), Some(Start::Restored));
    }

    #[test]
    fn failures_have_no_start_and_a_message() {
        let of = |outcome| Measured::new(Duration::from_secs(1), &ping(outcome, 10, None), Duration::ZERO);
        let warm = of(Outcome::Warm);
        assert_eq!((warm.start, warm.failure), (Some(Start::Warm), None));
        assert_eq!((warm.sent, warm.received), (Duration::from_millis(1_005), Duration::from_millis(1_015)));
        let failed = of(Outcome::Denied);
        assert_eq!((failed.start, failed.init), (None, None));
        assert!(failed.failure.is_some());
    }
}
