//! Observations of the emulator, for tests, benchmarks and people.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::counts::{Count, Counts, InFlight};
use super::execution::Start;
use super::profile::Preset;
use super::scenario::Operation;

/// The observations since the emulator started or was last reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observations {
    /// The number of accepted connections.
    pub connections: u64,
    /// The totals of invocations.
    #[serde(default)]
    pub counts: Counts,
    /// The invocations, including dry runs, in the order in which they reached Lambda.
    pub invocations: VecDeque<Invocation>,
    /// The calls of Lambda's control plane, including refused ones.
    pub reads: VecDeque<ControlRead>,
    /// The number of PutMetricData calls, including refused ones.
    pub metric_calls: u64,
    /// The accepted metrics.
    pub metrics: VecDeque<Metric>,
    /// The accepted events.
    pub events: VecDeque<AcceptedEvent>,
    /// The provisioned concurrency since the emulator started, by account, region, function and qualifier.
    /// [`super::Emulator::reset`] keeps it.
    #[serde(default)]
    pub provisioned: Vec<ObservedProvisioned>,
    /// The changes of scalable targets, by their owner and by the service, in the order of time.
    #[serde(default)]
    pub scaling: VecDeque<ScalingChange>,
    /// The number of alarms that scaling policies have at present: two for each target tracking policy.
    #[serde(default)]
    pub alarms: usize,
    /// The bodies of the dashboards at present, by name. [`super::Emulator::reset`] keeps them.
    #[serde(default)]
    pub dashboards: BTreeMap<String, Value>,
    /// The alarms at present, without those of scaling policies. [`super::Emulator::reset`] keeps them.
    #[serde(default)]
    pub put_alarms: Vec<ObservedAlarm>,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedAlarm {
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The request that put it.
    pub properties: Value,
}

/// One invocation. Instants are counted from the emulator's origin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The function's name.
    pub function: String,
    /// The qualifier of the request.
    pub qualifier: Option<String>,
    /// The tenant of the request.
    pub tenant: Option<String>,
    /// The version that executed.
    pub version: Option<String>,
    /// `RequestResponse`, `AcceptedEvent` or `DryRun`.
    pub kind: String,
    /// The number of its connection, from 1; 0 without a connection.
    pub connection: u64,
    /// The arrival of the request at the emulator.
    #[serde(rename = "arrived_ms", with = "millis")]
    pub arrived: Duration,
    /// The instant of the answer, which may be in the future.
    #[serde(rename = "answered_ms", with = "millis")]
    pub answered: Duration,
    /// The interval in which its environment was occupied.
    pub occupied: Option<OccupiedInterval>,
    /// The HTTP status; `None` for a cut connection.
    pub status: Option<u16>,
    /// The exception of a refusal. The reason of a throttle follows after a colon.
    pub refusal: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The start of the environment.
    pub start: Option<Start>,
    /// The initialization type of the environment, such as `on-demand` or `provisioned-concurrency`.
    pub initialization: Option<String>,
    /// True when the environment is new.
    #[serde(default)]
    pub is_new: bool,
    /// True when the invocation started a durable execution.
    #[serde(default)]
    pub durable: bool,
    /// The billed duration times the memory size, in ms and MB; 0 if nothing ran.
    #[serde(default)]
    pub billed_mb_ms: u64,
    /// The type of the function's error.
    pub function_error: Option<String>,
    /// The preset of a ping; `None` for real work.
    pub preset: Option<Preset>,
    /// The round's id, if the payload has one.
    pub round: Option<String>,
    /// The ping's index, if the payload has one.
    pub index: Option<u64>,
    /// True when a real handler would have invoked itself or other functions.
    pub fans_out: bool,
}

/// One call of Lambda's control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRead {
    /// The region of the request.
    pub region: String,
    /// The operation.
    pub operation: Operation,
    /// The function and qualifier of the request; `None` for a call about the account.
    pub function: Option<String>,
    /// The arrival of the request.
    #[serde(rename = "arrived_ms", with = "millis")]
    pub arrived: Duration,
    /// The HTTP status; `None` for a cut connection.
    pub status: Option<u16>,
}

/// The provisioned concurrency of a qualifier that has or had some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedProvisioned {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The function's name.
    pub function: String,
    /// The alias or version.
    pub qualifier: String,
    /// `READY`, `IN_PROGRESS` or `FAILED`; `None` without a configuration.
    pub status: Option<String>,
    /// The reason of a failure.
    pub reason: Option<String>,
    /// The environments that are requested; 0 without a configuration.
    pub requested: u32,
    /// The environments that serve requests.
    pub available: u32,
    /// The bill so far: for each environment the seconds from when it was enabled until it was disabled, or now, each
    /// such period rounded up to five minutes.
    pub environment_seconds: u64,
    /// The changes of the numbers, the earliest first.
    pub levels: Vec<ProvisionedLevel>,
}

/// The numbers of provisioned environments from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedLevel {
    /// The instant, from the emulator's origin.
    #[serde(rename = "at_ms", with = "millis")]
    pub at: Duration,
    /// The environments that are requested.
    pub requested: u32,
    /// The environments that serve requests.
    pub available: u32,
    /// The environments that are billed: the requested ones, after a failure the available ones.
    pub billed: u32,
}

/// An interval of time, from the emulator's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccupiedInterval {
    /// Its beginning.
    #[serde(rename = "from_ms", with = "millis")]
    pub from: Duration,
    /// Its end.
    #[serde(rename = "until_ms", with = "millis")]
    pub until: Duration,
}

/// One metric that CloudWatch accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The region of the request.
    pub region: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The names and values of the dimensions, in the order sent.
    pub dimensions: Vec<(String, String)>,
    /// The unit, if given. CloudWatch's default is `None`.
    pub unit: Option<String>,
    /// The values, each with its count.
    pub values: Vec<(f64, f64)>,
    /// The timestamp.
    pub timestamp: Option<DateTime<Utc>>,
}

/// One event that EventBridge accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedEvent {
    /// The region of the request.
    pub region: String,
    /// The bus, or `default`.
    pub bus: String,
    /// `source`.
    pub source: String,
    /// `detail-type`.
    pub detail_type: String,
    /// The detail.
    pub detail: serde_json::Value,
}

/// A change of a scalable target: of its bounds, or of the requested capacity by the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingChange {
    /// The instant, from the emulator's origin.
    #[serde(rename = "at_ms", with = "millis")]
    pub at: Duration,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The function's name.
    pub function: String,
    /// The alias or version.
    pub qualifier: String,
    /// The minimum and the maximum; `None` after the deregistration.
    pub bounds: Option<(u32, u32)>,
    /// The requested capacity after the change.
    pub requested: u32,
}

/// One round of pings, as Lambda observes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedRound {
    /// The function's name.
    pub function: String,
    /// The region.
    pub region: String,
    /// The round's id, if the payloads have one.
    pub round: Option<String>,
    /// The number of invocations without dry runs.
    pub invocations: usize,
    /// The number of distinct environments that served them.
    pub environments: usize,
    /// The number of invocations that started a new environment.
    pub started: usize,
    /// The highest number of requests in flight.
    pub in_flight: usize,
    /// The time from the first to the last arrival.
    #[serde(rename = "arrival_spread_ms", with = "millis")]
    pub arrival_spread: Duration,
}

impl Invocation {
    /// Adds the invocation to totals.
    pub(super) fn add_to(&self, count: &mut Count) {
        if self.kind == "DryRun" {
            count.dry_runs += 1;
            return;
        }
        if let Some(refusal) = &self.refusal {
            *count.refusals.entry(refusal.clone()).or_default() += 1;
            return;
        }
        *if self.preset.is_some() { &mut count.pings } else { &mut count.work } += 1;
        *match self.function_error.as_deref() {
            None => &mut count.succeeded,
            Some("Sandbox.Timedout") => &mut count.timeouts,
            Some(_) => &mut count.function_errors,
        } += 1;
        count.unanswered += u64::from(self.status.is_none());
        count.durable += u64::from(self.durable);
        count.billed_mb_ms += self.billed_mb_ms;
        if let Some(initialization) = self.initialization.as_ref().filter(|_| self.is_new) {
            *count.environments.entry(initialization.clone()).or_default() += 1;
        }
    }
}

impl Observations {
    /// Adds an invocation, and deletes the oldest ones above the number of `remembered` ones.
    pub(super) fn add(&mut self, invocation: Invocation, in_flight: &mut InFlight, remembered: usize) {
        let scope = format!("{}/{}", invocation.account, invocation.region);
        let occupied = invocation.occupied.map(|OccupiedInterval { from, until }| (from, until));
        let key = (scope, invocation.function.as_str());
        in_flight.count(&mut self.counts, key, occupied, |count| invocation.add_to(count));
        self.invocations.push_back(invocation);
        while self.invocations.len() > remembered {
            self.invocations.pop_front();
        }
    }

    /// Returns the invocations of one function in all regions and versions, without dry runs.
    pub fn of<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Invocation> {
        self.invocations
            .iter()
            .filter(move |invocation| invocation.function == function && invocation.kind != "DryRun")
    }

    /// Groups the invocations into rounds by function, region and round id, in the order of the first arrival.
    /// Invocations without a round id form one round per function and region; [`super::Emulator::reset`] separates
    /// them.
    pub fn rounds(&self) -> Vec<ObservedRound> {
        let mut groups: Vec<Vec<&Invocation>> = Vec::new();
        let mut positions = std::collections::HashMap::new();
        for invocation in self.invocations.iter().filter(|invocation| invocation.kind != "DryRun") {
            let key = (invocation.function.as_str(), invocation.region.as_str(), invocation.round.as_deref());
            let position = *positions.entry(key).or_insert(groups.len());
            match groups.get_mut(position) {
                Some(group) => group.push(invocation),
                None => groups.push(vec![invocation]),
            }
        }
        groups.iter().filter_map(|group| ObservedRound::of(group)).collect()
    }

    /// Returns the values of a metric with any dimensions, in the order sent.
    pub fn values(&self, metric: &str) -> Vec<f64> {
        let named = self.metrics.iter().filter(|accepted| accepted.name == metric);
        named.flat_map(|metric| metric.values.iter().map(|(value, _)| *value)).collect()
    }
}

impl ObservedRound {
    /// Summarizes the invocations of one round; `None` without any.
    fn of(group: &[&Invocation]) -> Option<Self> {
        let Invocation { function, region, round, .. } = group.first()?;
        let environments: std::collections::HashSet<&str> =
            group.iter().filter_map(|invocation| invocation.environment.as_deref()).collect();
        let first = group.iter().map(|invocation| invocation.arrived).min().unwrap_or_default();
        let last = group.iter().map(|invocation| invocation.arrived).max().unwrap_or_default();
        let started = |invocation: &&&Invocation| {
            matches!(
                invocation.start,
                Some(Start::Cold | Start::SemiCold | Start::Preinitialized | Start::Restored)
            )
        };
        Some(Self {
            function: function.clone(),
            region: region.clone(),
            round: round.clone(),
            invocations: group.len(),
            environments: environments.len(),
            started: group.iter().filter(started).count(),
            in_flight: overlap(group.iter().map(|invocation| (invocation.arrived, invocation.answered))),
            arrival_spread: last - first,
        })
    }
}

/// Returns the highest number of half-open intervals that share an instant.
pub fn overlap(intervals: impl Iterator<Item = (Duration, Duration)>) -> usize {
    let mut edges: Vec<(Duration, bool)> = intervals
        .filter(|(from, until)| from < until)
        .flat_map(|(from, until)| [(from, true), (until, false)])
        .collect();
    // An end sorts before a start at the same instant, because the intervals are half-open.
    edges.sort_unstable();
    let (mut open, mut most) = (0_usize, 0);
    for (_, opens) in edges {
        open = if opens { open + 1 } else { open.saturating_sub(1) };
        most = most.max(open);
    }
    most
}

/// Serializes durations as fractional milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_nanos() as f64 / 1e6)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(millis / 1e3).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_counts_half_open_intervals() {
        let ms = Duration::from_millis;
        let of = |list: &[(u64, u64)]| overlap(list.iter().map(|(a, b)| (ms(*a), ms(*b))));
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(0, 10), (10, 20)]), 1);
        assert_eq!(of(&[(0, 10), (5, 20), (9, 11), (15, 16)]), 3);
    }
}
