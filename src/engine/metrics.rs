//! The port for the values of metrics.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use crate::domain::backlog::{Metric, Sample};
use crate::domain::fleet::Role;
use crate::domain::function::Region;
use crate::domain::preflight::Lookup;

/// The port for the values of metrics.
pub trait ReadMetrics: Send + Sync + 'static {
    /// GetMetricData: the latest value of each metric in [`since`, `until`), in their order; `Known(None)` for a metric
    /// without one. At most 500 metrics are read with one request, which is not retried.
    fn latest<'a>(
        &'a self,
        region: Region,
        role: Option<&'a Arc<Role>>,
        metrics: &'a [Arc<Metric>],
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Vec<Lookup<Option<Sample>>>>;
}
