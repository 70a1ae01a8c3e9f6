//! What the emulator saw: for tests, benchmarks and people.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::execution::Start;
use super::profile::{Operation, Preset};

/// What the emulator saw since it started, or since it was last reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observations {
    /// Connections accepted.
    pub connections: u64,
    /// Invocations in the order in which they reached Lambda, DryRun included.
    pub invocations: VecDeque<Invocation>,
    /// Reads of Lambda's control plane, refused ones included.
    pub reads: VecDeque<Read>,
    /// PutMetricData calls, refused ones included.
    pub metric_calls: u64,
    /// Metrics taken.
    pub metrics: VecDeque<Metric>,
    /// Events taken.
    pub events: VecDeque<Event>,
}

/// One invocation. Instants are counted from the emulator's origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The function's name.
    pub function: String,
    /// The qualifier asked for.
    pub qualifier: Option<String>,
    /// The version that executed.
    pub version: Option<String>,
    /// `RequestResponse`, `Event` or `DryRun`.
    pub kind: String,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// When the request arrived at the emulator.
    #[serde(rename = "arrived_ms", with = "millis")]
    pub arrived: Duration,
    /// When the answer was due to leave. An answer that is still awaited is listed too.
    #[serde(rename = "answered_ms", with = "millis")]
    pub answered: Duration,
    /// From when to when its environment was occupied.
    pub occupied: Option<Occupied>,
    /// The HTTP status; none when the connection was cut.
    pub status: Option<u16>,
    /// The exception, when Lambda refused; a throttle's reason follows after a colon.
    pub refusal: Option<String>,
    /// The environment it ran in.
    pub environment: Option<String>,
    /// How that environment came to serve it.
    pub start: Option<Start>,
    /// The type of the function's error.
    pub function_error: Option<String>,
    /// Whose ping it was; none: real work.
    pub preset: Option<Preset>,
    /// The round's id, when the payload carried one.
    pub round: Option<String>,
    /// The ping's index, when the payload carried one.
    pub index: Option<u64>,
    /// A real handler would have invoked itself, or others.
    pub fans_out: bool,
}

/// One read of Lambda's control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The region it was sent to.
    pub region: String,
    /// What was asked.
    pub operation: Operation,
    /// The function and qualifier as they were asked for; none when it was about the account.
    pub function: Option<String>,
}

/// A stretch of time, from the emulator's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupied {
    /// Its beginning.
    #[serde(rename = "from_ms", with = "millis")]
    pub from: Duration,
    /// Its end.
    #[serde(rename = "until_ms", with = "millis")]
    pub until: Duration,
}

/// One metric that CloudWatch took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The region it was sent to.
    pub region: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Dimension names and values, in the order sent.
    pub dimensions: Vec<(String, String)>,
    /// The unit; CloudWatch takes `None` when it is not given.
    pub unit: Option<String>,
    /// The values, each with its count.
    pub values: Vec<(f64, f64)>,
    /// The timestamp.
    pub timestamp: Option<DateTime<Utc>>,
}

/// One event that EventBridge took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The region it was sent to.
    pub region: String,
    /// The bus; `default` when not given.
    pub bus: String,
    /// `source`.
    pub source: String,
    /// `detail-type`.
    pub detail_type: String,
    /// The detail.
    pub detail: serde_json::Value,
}

/// What one round of pings did, seen from Lambda.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The function's name.
    pub function: String,
    /// The region.
    pub region: String,
    /// The round's id, when the payloads carried one.
    pub round: Option<String>,
    /// Invocations, DryRun left out.
    pub invocations: usize,
    /// Distinct environments that served them.
    pub environments: usize,
    /// How many made a new environment.
    pub started: usize,
    /// The most requests that were waiting for their answer together.
    pub in_flight: usize,
    /// Last arrival minus first.
    #[serde(rename = "arrival_spread_ms", with = "millis")]
    pub arrival_spread: Duration,
}

impl Observations {
    /// The invocations of one function, in all regions and versions, DryRun left out.
    pub fn of<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Invocation> {
        self.invocations.iter().filter(move |seen| seen.function == function && seen.kind != "DryRun")
    }

    /// The rounds, by function, region and round id, in the order of their first arrival. Invocations without a round
    /// id form one round per function and region: [`super::Emulator::reset`] parts them.
    pub fn rounds(&self) -> Vec<Round> {
        let mut groups: Vec<Vec<&Invocation>> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for seen in self.invocations.iter().filter(|seen| seen.kind != "DryRun") {
            let key = (seen.function.as_str(), seen.region.as_str(), seen.round.as_deref());
            let place = *places.entry(key).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.push(seen),
                None => groups.push(vec![seen]),
            }
        }
        groups.iter().filter_map(|group| Round::of(group)).collect()
    }

    /// The values of a metric, in the order sent, whatever its dimensions.
    pub fn values(&self, metric: &str) -> Vec<f64> {
        let named = self.metrics.iter().filter(|seen| seen.name == metric);
        named.flat_map(|seen| seen.values.iter().map(|(value, _)| *value)).collect()
    }
}

impl Round {
    /// The round that the invocations of one function, region and round id are; none when there are none.
    fn of(group: &[&Invocation]) -> Option<Self> {
        let Invocation { function, region, round, .. } = group.first()?;
        let environments: std::collections::HashSet<&str> =
            group.iter().filter_map(|seen| seen.environment.as_deref()).collect();
        let first = group.iter().map(|seen| seen.arrived).min().unwrap_or_default();
        let last = group.iter().map(|seen| seen.arrived).max().unwrap_or_default();
        let made =
            |seen: &&&Invocation| matches!(seen.start, Some(Start::Cold | Start::SemiCold | Start::Restored));
        Some(Self {
            function: function.clone(),
            region: region.clone(),
            round: round.clone(),
            invocations: group.len(),
            environments: environments.len(),
            started: group.iter().filter(made).count(),
            in_flight: overlap(group.iter().map(|seen| (seen.arrived, seen.answered))),
            arrival_spread: last - first,
        })
    }
}

/// The most of the half-open intervals that share an instant.
pub fn overlap(intervals: impl Iterator<Item = (Duration, Duration)>) -> usize {
    let mut edges: Vec<(Duration, bool)> = intervals
        .filter(|(from, until)| from < until)
        .flat_map(|(from, until)| [(from, true), (until, false)])
        .collect();
    // An end sorts before a beginning at the same instant: half-open.
    edges.sort_unstable();
    let (mut open, mut most) = (0_usize, 0);
    for (_, opens) in edges {
        open = if opens { open + 1 } else { open.saturating_sub(1) };
        most = most.max(open);
    }
    most
}

/// Durations as fractional milliseconds.
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
    fn overlap_is_half_open_and_counts_the_most() {
        let ms = Duration::from_millis;
        let of = |list: &[(u64, u64)]| overlap(list.iter().map(|(a, b)| (ms(*a), ms(*b))));
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(0, 10), (10, 20)]), 1);
        assert_eq!(of(&[(0, 10), (5, 20), (9, 11), (15, 16)]), 3);
    }
}
