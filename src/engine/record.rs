//! Recording a tick in CloudWatch, and where the data goes when CloudWatch does not take it.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use super::ports::Metrics;
use crate::domain::fleet::MetricsSettings;
use crate::domain::metric_data::{self as metrics, Batch, TickFacts};
use crate::domain::tick::TickReport;

/// The time for CloudWatch and EventBridge when nothing else limits it: one attempt of 15 s and, before it,
/// refusals that take less than 3 s. Shorter than the 20 s in which the daemon ends after a signal.
pub const PATIENCE: Duration = Duration::from_secs(18);

/// Records ticks: CloudWatch first, lines on `fallback` for what it does not acknowledge.
pub struct Recorder<M> {
    metrics: M,
    fallback: Mutex<Box<dyn Write + Send>>,
}

/// Whether a tick's metrics reached CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// All of them.
    Sent,
    /// Not all: what CloudWatch did not take was written as embedded-metric lines, and what it may have counted as
    /// plain JSON.
    FellBack,
    /// Not all, and the lines could not be written either.
    Lost,
}

impl<M: Metrics> Recorder<M> {
    /// A recorder that falls back to `fallback`: stderr for the daemon, stdout in the Lambda, where CloudWatch reads
    /// embedded-metric lines.
    pub fn new(metrics: M, fallback: Box<dyn Write + Send>) -> Self {
        Self { metrics, fallback: Mutex::new(fallback) }
    }

    /// Sends the tick's metrics; writes what CloudWatch does not acknowledge by `until`.
    pub async fn record(
        &self,
        report: &TickReport,
        settings: &MetricsSettings,
        facts: TickFacts,
        until: Instant,
    ) -> Recorded {
        self.put(&metrics::batch(report, settings, facts), until).await
    }

    /// Sends a batch; writes what CloudWatch does not acknowledge by `until`.
    pub async fn put(&self, batch: &Batch, until: Instant) -> Recorded {
        let Err(lost) = self.metrics.put(batch, until).await else {
            return Recorded::Sent;
        };
        let (refused, unknown) = (lost.lost.data.len(), lost.unknown.data.len());
        if refused > 0 {
            error!(reason = %lost.reason, metrics = refused, "CloudWatch did not accept the metrics: writing them as embedded-metric lines{}", lost.hint());
        }
        if unknown > 0 {
            error!(reason = %lost.reason, metrics = unknown, "CloudWatch may or may not have counted the metrics: writing them as plain JSON, which is not counted again");
        }
        let mut lines = metrics::emf_lines(&lost.lost);
        lines.extend(metrics::plain_lines(&lost.unknown));
        let mut lines = lines.join("\n");
        lines.push('\n');
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for all lines, so that nothing else comes between.
        match fallback.write_all(lines.as_bytes()).and_then(|()| fallback.flush()) {
            Ok(()) => Recorded::FellBack,
            Err(error) => {
                error!(%error, "the metrics could not be written as lines");
                Recorded::Lost
            }
        }
    }
}
