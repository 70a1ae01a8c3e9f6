//! The metrics of backlogs, read once a tick.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::domain::backlog::{Metric, Obstacle, Samples, fresh, sources};
use crate::domain::fleet::{Fleet, Role};
use crate::domain::function::{Identity, Region};
use crate::domain::future::later;
use crate::engine::metrics::ReadMetrics;

/// The time in which the latest value of a metric is looked for: long enough to know the age of one that is too old to
/// have an effect.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(15);
/// The metrics of a request. Source: CloudWatch API reference, 2026-11.
const METRICS_PER_REQUEST: usize = 500;
/// The requests that are sent concurrently. With 500 metrics of 15 points each they stay below the quotas of a region:
/// 50 requests and 180,000 points a second. Source: CloudWatch knowledge center on GetMetricData, 2026-11.
const CONCURRENT_REQUESTS: usize = 16;
/// The most log lines of a tick about single targets.
const MOST_LINES: usize = 20;

/// Reads the metrics of the backlogs of a fleet.
pub struct BacklogReader {
    metrics: Arc<dyn ReadMetrics>,
    /// The targets whose metrics had no effect at the last tick.
    obstacles: Mutex<HashMap<Identity, Obstacle>>,
}

/// A request for metrics.
struct Request {
    region: Region,
    role: Option<Arc<Role>>,
    metrics: Vec<Arc<Metric>>,
}

impl fmt::Debug for BacklogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BacklogReader").finish_non_exhaustive()
    }
}

impl BacklogReader {
    /// Creates a reader.
    pub fn new(metrics: Arc<dyn ReadMetrics>) -> Self {
        Self { metrics, obstacles: Mutex::default() }
    }

    /// Reads the metrics of all rules of the fleet until `deadline`. Logs when those of a target lose their effect, and
    /// when they have it again.
    pub async fn read(&self, fleet: &Fleet, now: DateTime<Utc>, deadline: Instant) -> Samples {
        let samples = read(&*self.metrics, fleet, LOOK_BACK, now, deadline).await;
        for change in self.changes(fleet, &samples, now) {
            change.log();
        }
        samples
    }

    /// Compares the metrics of targets with those of the last tick.
    fn changes(&self, fleet: &Fleet, samples: &Samples, now: DateTime<Utc>) -> Vec<Change> {
        let mut known = self.obstacles.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashMap::new();
        let (mut changes, mut unnamed) = (Vec::new(), 0);
        let with_rules = fleet.targets.iter().filter(|target| !target.backlogs.is_empty());
        for target in with_rules.filter(|target| target.is_warmed()) {
            let obstacle = target.backlogs.iter().find_map(|rule| {
                let source = (target.region(), target.role.clone(), Arc::clone(&rule.metric));
                let obstacle = fresh(samples.get(&source), now).err()?;
                Some((Arc::clone(&rule.metric), obstacle))
            });
            let before = known.get(&target.id);
            let is_same = match (before, &obstacle) {
                (None, None) => true,
                (Some(before), Some((_, now))) => before.is_like(now),
                _ => false,
            };
            if !is_same && changes.len() < MOST_LINES {
                let (function, region) = (target.id.shown(), target.region());
                changes.push(match &obstacle {
                    Some((metric, obstacle)) => {
                        let (metric, reason) = (metric.to_string(), obstacle.to_string());
                        Change::NoEffect { function, region, metric, reason }
                    }
                    None => Change::Effect { function, region },
                });
            } else if !is_same {
                unnamed += 1;
            }
            found.extend(obstacle.map(|(_, obstacle)| (target.id.clone(), obstacle)));
        }
        changes.extend((unnamed > 0).then_some(Change::More(unnamed)));
        *known = found;
        changes
    }
}

/// A change that is logged.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// The metric of a target has no effect.
    NoEffect { function: String, region: Region, metric: String, reason: String },
    /// All metrics of a target have their effect again.
    Effect { function: String, region: Region },
    /// The number of changes that are not listed.
    More(usize),
}

impl Change {
    fn log(&self) {
        match self {
            Self::NoEffect { function, region, metric, reason } => {
                warn!(function, %region, metric, "the metric of the backlog has no effect: {reason}");
            }
            Self::Effect { function, region } => {
                info!(function, %region, "the backlog is read from its metrics again");
            }
            Self::More(targets) => {
                warn!(targets, "the metrics of further backlogs have no effect, or have it again")
            }
        }
    }
}

/// Reads the latest value since `look_back` before `now` of all metrics of a fleet. Those without an answer at
/// `deadline` are missing.
pub async fn read(
    metrics: &dyn ReadMetrics,
    fleet: &Fleet,
    look_back: TimeDelta,
    now: DateTime<Utc>,
    deadline: Instant,
) -> Samples {
    let since = later(now, -look_back);
    let reading = requests(fleet).into_iter().map(|request| async move {
        let Request { region, role, metrics: named } = request;
        let values = metrics.latest(region, role.as_ref(), &named, since, now).await;
        let source = move |metric| (region, role.clone(), metric);
        named.into_iter().map(source).zip(values).collect::<Vec<_>>()
    });
    let mut reading = stream::iter(reading).buffer_unordered(CONCURRENT_REQUESTS);
    let mut samples = Samples::new();
    while let Ok(Some(values)) = timeout_at(deadline, reading.next()).await {
        samples.extend(values);
    }
    samples
}

/// Returns the requests for the metrics of a fleet: one region and role each. The first requests of all regions and
/// roles come first, so that a slow one does not delay the others for long.
fn requests(fleet: &Fleet) -> Vec<Request> {
    let mut places: HashMap<(Region, Option<Arc<Role>>), usize> = HashMap::new();
    let mut groups: Vec<Request> = Vec::new();
    for (region, role, metric) in sources(&fleet.targets) {
        let place = *places.entry((region, role.clone())).or_insert_with(|| {
            groups.push(Request { region, role, metrics: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.metrics.push(metric);
        }
    }
    let mut requests: Vec<(usize, Request)> = Vec::new();
    for Request { region, role, metrics } in groups {
        let chunks = metrics.chunks(METRICS_PER_REQUEST).enumerate();
        requests.extend(chunks.map(|(index, metrics)| {
            (index, Request { region, role: role.clone(), metrics: metrics.to_vec() })
        }));
    }
    requests.sort_by_key(|(index, _)| *index);
    requests.into_iter().map(|(_, request)| request).collect()
}

#[cfg(test)]
mod tests;
