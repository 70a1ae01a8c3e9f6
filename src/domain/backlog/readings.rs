//! The values of metrics, and the numbers of environments that they want.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::{Metric, READ_METRICS, Rule, STALE_AFTER};
use crate::domain::clean::clean;
use crate::domain::fleet::{Fleet, Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::future::is_future;
use crate::domain::preflight::Lookup;
use crate::domain::text::elapsed;

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The beginning of the minute.
    pub at: DateTime<Utc>,
    /// The value, at least 0.
    pub value: Decimal,
}

impl Sample {
    /// Returns the age in whole seconds; `None` for a time in the future.
    pub fn age(&self, now: DateTime<Utc>) -> Option<u64> {
        let age = now.signed_duration_since(self.at).num_seconds().max(0);
        (!is_future(self.at, now)).then_some(age.unsigned_abs())
    }
}

/// The place from which a metric is read: the region, the role, and the metric.
pub type Source = (Region, Option<Arc<Role>>, Arc<Metric>);
/// The metrics as they were read. Those that were not read in time are missing.
pub type Samples = HashMap<Source, Lookup<Option<Sample>>>;

/// Returns the places from which the metrics of targets are read, each once, in the order of the targets. Targets that
/// are never warmed are left out.
pub fn sources<'t>(targets: impl IntoIterator<Item = &'t Target>) -> Vec<Source> {
    let of = |target: &'t Target| {
        let source = |rule: &Rule| (target.region(), target.role.clone(), Arc::clone(&rule.metric));
        target.backlogs.iter().map(source)
    };
    let mut known = HashSet::new();
    let sources = targets.into_iter().filter(|target| target.is_warmed()).flat_map(of);
    sources.filter(|source| known.insert(source.clone())).collect()
}

/// The reason why a metric has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// CloudWatch has no value of the last minutes.
    Missing,
    /// The latest value is older than [`STALE_AFTER`], or in the future. The time between it and the tick.
    Stale(TimeDelta),
    /// The caller has no permission; the service's message.
    Denied(String),
    /// CloudWatch throttles reads; the reason.
    Throttled(String),
    /// The metric could not be read; the reason.
    Unreadable(String),
}

impl Obstacle {
    /// Returns true if another obstacle is of the same kind, whatever its details.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it has no value of the last minutes"),
            Self::Stale(age) if *age < TimeDelta::zero() => f.write_str("its latest value is in the future"),
            Self::Stale(age) => {
                let age = age.to_std().unwrap_or_default();
                let most = STALE_AFTER.to_std().unwrap_or_default();
                write!(f, "its latest value is {} old, more than {}", elapsed(age), elapsed(most))
            }
            Self::Denied(reason) => write!(f, "no permission {READ_METRICS}: {reason}"),
            Self::Throttled(reason) => write!(f, "CloudWatch throttles its reads: {reason}"),
            Self::Unreadable(reason) => write!(f, "it cannot be read: {reason}"),
        }
    }
}

/// Returns the fresh value of a metric; `read` is `None` if it was not read in time.
///
/// # Errors
/// The reason why the metric has no effect.
pub fn fresh(read: Option<&Lookup<Option<Sample>>>, now: DateTime<Utc>) -> Result<Sample, Obstacle> {
    match read {
        Some(Lookup::Known(Some(sample))) => match sample.age(now) {
            Some(age) if age <= STALE_AFTER.num_seconds().unsigned_abs() => Ok(*sample),
            _ => Err(Obstacle::Stale(now.signed_duration_since(sample.at))),
        },
        Some(Lookup::Known(None)) => Err(Obstacle::Missing),
        Some(Lookup::Denied(reason)) => Err(Obstacle::Denied(reason.clone())),
        Some(Lookup::Throttled(reason)) => Err(Obstacle::Throttled(reason.clone())),
        Some(Lookup::Failed(reason) | Lookup::Unreachable(reason)) => {
            Err(Obstacle::Unreadable(reason.clone()))
        }
        Some(Lookup::Missing) => {
            Err(Obstacle::Unreadable("CloudWatch does not know the operation".to_owned()))
        }
        Some(Lookup::NotRead) | None => Err(Obstacle::Unreadable("no answer in time".to_owned())),
    }
}

/// Returns what a plan states about the backlogs of a target, such as `up to 100 by backlog of
/// AWS/SQS/ApproximateNumberOfMessagesVisible, not planned ahead`.
pub fn not_planned(target: &Target) -> Vec<String> {
    let mut highest: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for rule in &target.backlogs {
        let max = highest.entry((&rule.metric.namespace, &rule.metric.name)).or_default();
        *max = rule.max.max(*max);
    }
    let text = |((namespace, name), max): ((&str, &str), u32)| {
        format!("up to {max} by backlog of {}/{}, not planned ahead", clean(namespace), clean(name))
    };
    highest.into_iter().map(text).collect()
}

/// The metrics of a target as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The number of environments that the fresh values want, the highest of all rules; 0 without one.
    pub number: u32,
    /// The number of each rule of a pipeline, 0 without a fresh value.
    pub by_pipeline: Vec<(Arc<str>, u32)>,
    /// The age of the oldest value in seconds; `None` if one is missing.
    pub age: Option<u64>,
}

/// The readings of a tick, by target. Targets without a rule have none.
pub type Readings = HashMap<Identity, Reading>;

/// Returns the readings of the targets with a rule. A value that is older than [`STALE_AFTER`], or in the future, has no
/// effect.
pub fn readings(fleet: &Fleet, samples: &Samples, now: DateTime<Utc>) -> Readings {
    let read = |target: &Target, rule: &Rule| {
        let sample = samples.get(&(target.region(), target.role.clone(), Arc::clone(&rule.metric)));
        let age = match sample {
            Some(Lookup::Known(Some(sample))) => sample.age(now),
            _ => None,
        };
        (age, fresh(sample, now).map_or(0, |sample| rule.number(sample.value)))
    };
    let targets = fleet.targets.iter().filter(|target| !target.backlogs.is_empty());
    targets
        .map(|target| {
            let mut reading = Reading { age: Some(0), ..Reading::default() };
            for rule in &target.backlogs {
                let (age, number) = read(target, rule);
                reading.age = reading.age.zip(age).map(|(one, other)| one.max(other));
                reading.number = reading.number.max(number);
                reading.by_pipeline.extend(rule.pipeline.clone().map(|name| (name, number)));
            }
            (target.id.clone(), reading)
        })
        .collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
