//! Records ticks in CloudWatch, and keeps what CloudWatch does not acknowledge: in the spool or in lines.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::store::Spool;

use crate::domain::coverage::Minutes;
use crate::domain::exposition::Totals;
use crate::domain::fleet::MetricsSettings;
use crate::domain::function::Identity;
use crate::domain::metric_data::{self, Batch, TickFacts};
use crate::domain::tick::TickReport;
use crate::engine::ports::{Delivery, ErrorKind, LostMetrics, Metrics};
use crate::engine::stop::Stop;

/// The most time for CloudWatch and EventBridge: one attempt of 15 s after refusals that take less than 3 s. It is
/// shorter than the 20 s in which the daemon ends after a signal.
pub const PATIENCE: Duration = Duration::from_secs(18);

const AS_PLAIN_JSON: &str = "writing them as plain JSON, which it does not count again";

/// The time in which spooled batches are sent after one tick. The last one may end later.
const REPLAY: Duration = Duration::from_secs(10);

/// Records ticks in CloudWatch, with a spool for what it refuses and a fallback for what it does not acknowledge.
pub struct Recorder<M> {
    metrics: M,
    spool: Option<Spool>,
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
    /// CloudWatch refused some, which are in the spool or were written as embedded-metric lines, or may not have
    /// counted some, which were written as plain JSON.
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
        Self { metrics, spool: None, fallback: Mutex::new(fallback), totals: None }
    }

    /// Adds a spool for metrics that CloudWatch refuses.
    pub fn with_spool(self, spool: Option<Spool>) -> Self {
        Self { spool, ..self }
    }

    /// Sends the metrics of a tick, with the minutes that it has judged. Keeps what CloudWatch does not acknowledge by `until`.
    pub async fn record(
        &self,
        report: &TickReport,
        settings: &MetricsSettings,
        facts: TickFacts,
        coverage: &BTreeMap<Identity, Minutes>,
        until: Instant,
    ) -> Recorded {
        let metrics_dropped = self.spool.as_ref().map_or(0, Spool::take_dropped);
        let facts = TickFacts { metrics_dropped, ..facts };
        self.put(&metric_data::batch(report, settings, facts, coverage), until).await
    }

    /// Sends a batch. Keeps what CloudWatch does not acknowledge by `until`.
    pub async fn put(&self, batch: &Batch, until: Instant) -> Recorded {
        if let Some(totals) = &self.totals {
            totals.lock().unwrap_or_else(PoisonError::into_inner).add(batch);
        }
        match self.metrics.put(batch, until).await {
            Ok(()) => Recorded::Sent,
            Err(lost) => self.keep(&lost).await,
        }
    }

    /// Sends spooled batches with their own timestamps, oldest first, until 10 seconds have passed or `stop` is
    /// signalled. `until` returns the deadline of a request. To be called when CloudWatch accepts metrics.
    ///
    /// A batch that CloudWatch refuses becomes the newest one, so that it does not block the others.
    pub async fn replay(&self, now: DateTime<Utc>, stop: &Stop, until: impl Fn() -> Instant) {
        let Some(spool) = &self.spool else { return };
        // A batch must not be sent by two ticks.
        let Some(_turn) = spool.turn() else { return };
        let end = Instant::now() + REPLAY;
        let waiting = spool.waiting(now).await.unwrap_or_else(|error| {
            error!("{error}");
            Default::default()
        });
        for batch in &waiting.interrupted {
            let data = batch.data.len();
            warn!(metrics = data, at = %batch.at, "the process ended while metrics were sent to CloudWatch: {AS_PLAIN_JSON}");
            let _ = self.write(&metric_data::plain_lines(batch));
        }
        let mut batches = 0_u32;
        for number in waiting.numbers {
            if stop.is_stopping() || Instant::now() >= end {
                break;
            }
            let batch = match spool.take(number, now).await {
                Ok(Some(batch)) => batch,
                Ok(None) => continue,
                Err(error) => {
                    error!("{error}");
                    break;
                }
            };
            let answer = self.metrics.put(&batch, until()).await;
            if let Err(lost) = &answer {
                let _ = self.keep(lost).await;
            }
            if let Err(error) = spool.sent(number).await {
                error!("{error}");
                break;
            }
            match answer {
                Ok(()) => batches += 1,
                Err(lost) if is_of_this_batch(&lost) => {}
                Err(_) => break,
            }
        }
        if batches > 0 {
            info!(batches, "sent spooled metrics to CloudWatch");
        }
    }

    /// Keeps metrics that CloudWatch did not acknowledge: those that it refused in the spool, or as embedded-metric
    /// lines if there is none; the others as plain JSON.
    async fn keep(&self, lost: &LostMetrics) -> Recorded {
        let (reason, hint) = (&lost.reason, lost.hint());
        let (refused, unknown) = (lost.lost.data.len(), lost.unknown.data.len());
        let mut lines = Vec::new();
        if refused > 0 {
            let spooled = match &self.spool {
                Some(spool) => spool.add(&lost.lost).await.map(|()| true),
                None => Ok(false),
            };
            match spooled {
                Ok(true) => {
                    error!(%reason, metrics = refused,
                        "CloudWatch did not accept the metrics: they wait in the spool{hint}");
                }
                // They may yet appear in the spool.
                Err(error) if error.delivery == Delivery::Unknown => {
                    error!(%reason, metrics = refused, "CloudWatch did not accept the metrics, and {error}: {AS_PLAIN_JSON}");
                    lines = metric_data::plain_lines(&lost.lost);
                }
                failed => {
                    if let Err(error) = failed {
                        error!("{error}");
                    }
                    error!(%reason, metrics = refused,
                        "CloudWatch did not accept the metrics: writing them as embedded-metric lines{hint}");
                    lines = metric_data::emf_lines(&lost.lost);
                }
            }
        }
        if unknown > 0 {
            error!(%reason, metrics = unknown, "CloudWatch may have counted the metrics: {AS_PLAIN_JSON}");
            lines.extend(metric_data::plain_lines(&lost.unknown));
        }
        self.write(&lines)
    }

    /// Writes lines to the fallback.
    fn write(&self, lines: &[String]) -> Recorded {
        if lines.is_empty() {
            return Recorded::FellBack;
        }
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

/// Returns true if CloudWatch refused this batch, and may accept the next one: it lies outside the limits, or in a
/// namespace that is denied.
fn is_of_this_batch(lost: &LostMetrics) -> bool {
    lost.unknown.data.is_empty()
        && matches!(lost.reason.kind, ErrorKind::AccessDenied | ErrorKind::NotFound | ErrorKind::Other)
}
