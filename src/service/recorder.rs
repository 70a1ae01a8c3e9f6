//! Records ticks in CloudWatch, and writes lines with what CloudWatch does not acknowledge.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use crate::domain::exposition::Totals;
use crate::domain::fleet::MetricsSettings;
use crate::domain::metric_data::{self, Batch, TickFacts};
use crate::domain::tick::TickReport;
use crate::engine::ports::Metrics;

/// The most time for CloudWatch and EventBridge: one attempt of 15 s after refusals that take less than 3 s. It is
/// shorter than the 20 s in which the daemon ends after a signal.
pub const PATIENCE: Duration = Duration::from_secs(18);

/// Records ticks in CloudWatch, with a fallback for what it does not acknowledge.
pub struct Recorder<M> {
    metrics: M,
    fallback: Mutex<Box<dyn Write + Send>>,
    /// The totals of all metrics, whether CloudWatch accepts them or not; none if nobody can request them.
    pub totals: Option<Arc<Mutex<Totals>>>,
}

/// The result of recording the metrics of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// CloudWatch has all of them.
    Sent,
    /// CloudWatch refused some, which were written as embedded-metric lines, or may not have counted some, which were
    /// written as plain JSON.
    FellBack,
    /// Some are lost: the lines could not be written either.
    Lost,
}

impl Recorded {
    /// Returns the worse of the two results.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Sent { other } else { self }
    }
}

impl<M: Metrics> Recorder<M> {
    /// Creates a recorder with this fallback: standard error for the command line; standard output in the Lambda, where
    /// CloudWatch reads embedded-metric lines.
    pub fn new(metrics: M, fallback: Box<dyn Write + Send>) -> Self {
        Self { metrics, fallback: Mutex::new(fallback), totals: None }
    }

    /// Sends the metrics of a tick. Writes to the fallback what CloudWatch does not acknowledge by `until`.
    pub async fn record(
        &self,
        report: &TickReport,
        settings: &MetricsSettings,
        facts: TickFacts,
        until: Instant,
    ) -> Recorded {
        self.put(&metric_data::batch(report, settings, facts), until).await
    }

    /// Sends a batch. Writes to the fallback what CloudWatch does not acknowledge by `until`.
    pub async fn put(&self, batch: &Batch, until: Instant) -> Recorded {
        if let Some(totals) = &self.totals {
            totals.lock().unwrap_or_else(PoisonError::into_inner).add(batch);
        }
        let Err(lost) = self.metrics.put(batch, until).await else {
            return Recorded::Sent;
        };
        let (refused, unknown) = (lost.lost.data.len(), lost.unknown.data.len());
        if refused > 0 {
            error!(reason = %lost.reason, metrics = refused,
                "CloudWatch did not accept the metrics: writing them as embedded-metric lines{}", lost.hint());
        }
        if unknown > 0 {
            error!(reason = %lost.reason, metrics = unknown,
                "CloudWatch may have counted the metrics: writing them as plain JSON, which it does not count again");
        }
        let mut lines = metric_data::emf_lines(&lost.lost);
        lines.extend(metric_data::plain_lines(&lost.unknown));
        let mut lines = lines.join("\n");
        lines.push('\n');
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for all lines, so that nothing is written between them.
        match fallback.write_all(lines.as_bytes()).and_then(|()| fallback.flush()) {
            Ok(()) => Recorded::FellBack,
            Err(error) => {
                error!(%error, "the metrics could not be written as lines");
                Recorded::Lost
            }
        }
    }
}
