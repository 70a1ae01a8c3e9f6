//! Recording a tick in CloudWatch, and where the data goes when CloudWatch does not take it.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing::error;

use super::ports::Metrics;
use crate::domain::fleet::MetricsSettings;
use crate::domain::metrics::{self, Batch, Circumstances};
use crate::domain::tick::TickReport;

/// Records ticks: CloudWatch first, embedded-metric lines on `fallback` for what it does not take.
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
    /// Not all: what CloudWatch did not take was written as embedded-metric lines.
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

    /// Sends the tick's metrics; writes what CloudWatch does not take.
    pub async fn record(
        &self,
        report: &TickReport,
        settings: &MetricsSettings,
        circumstances: Circumstances,
    ) -> Recorded {
        self.put(&metrics::batch(report, settings, circumstances)).await
    }

    /// Sends a batch; writes what CloudWatch does not take.
    pub async fn put(&self, batch: &Batch) -> Recorded {
        let Err(lost) = self.metrics.put(batch).await else {
            return Recorded::Sent;
        };
        error!(reason = %lost.reason, metrics = lost.lost.data.len(), "CloudWatch did not take the metrics: writing them as embedded-metric lines");
        let mut lines = metrics::emf_lines(&lost.lost).join("\n");
        lines.push('\n');
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for all lines, so that nothing else comes between.
        match fallback.write_all(lines.as_bytes()).and_then(|()| fallback.flush()) {
            Ok(()) => Recorded::FellBack,
            Err(error) => {
                error!(%error, "the embedded-metric lines could not be written");
                Recorded::Lost
            }
        }
    }
}
