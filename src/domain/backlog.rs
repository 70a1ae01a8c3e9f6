//! Backlogs of requests: the number of environments that works them off in time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::clean::clean;
use super::fleet::{Fleet, Role, Target};
use super::function::{Identity, Region};
use super::future::is_future;
use super::preflight::Lookup;
use super::text::elapsed;

/// The time for which the number of a request is kept at least, if neither the request nor the configuration has one.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(300);
/// The age from which the value of a metric has no effect.
pub const STALE_AFTER: TimeDelta = TimeDelta::minutes(5);
/// The IAM action that reads metrics. It has no narrower resource than `*`. Source: Service Authorization Reference,
/// 2026-11.
pub const READ_METRICS: &str = "cloudwatch:GetMetricData";

/// Returns the number of environments for `messages` when each works off `per_environment` of them in time, which is
/// above zero: ⌈messages ÷ per_environment⌉.
pub fn environments(messages: Decimal, per_environment: Decimal) -> u32 {
    let number = messages.max(Decimal::ZERO).checked_div(per_environment).map(|number| number.ceil());
    number.map_or(u32::MAX, |number| number.to_u32().unwrap_or(u32::MAX))
}

/// A metric of CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metric {
    /// The namespace, such as `AWS/SQS`.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// The statistic of a minute, such as `Maximum`.
    pub statistic: &'static str,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", clean(&self.namespace), clean(&self.name))?;
        let of = |(name, value): (&String, &String)| format!("{}={}", clean(name), clean(value));
        let dimensions: Vec<String> = self.dimensions.iter().map(of).collect();
        if dimensions.is_empty() { Ok(()) } else { write!(f, " {{{}}}", dimensions.join(", ")) }
    }
}

/// A backlog that is read from a metric at each tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The metric whose value is the number of waiting requests.
    pub metric: Arc<Metric>,
    /// The requests that one environment works off in time, above zero.
    pub per_environment: Decimal,
    /// The maximum number of environments, at least 1.
    pub max: u32,
    /// The pipeline that the rule belongs to; `None` for a rule of the function.
    pub pipeline: Option<Arc<str>>,
}

impl Rule {
    /// Returns the number of environments for a value of the metric.
    pub fn number(&self, messages: Decimal) -> u32 {
        environments(messages, self.per_environment).min(self.max)
    }
}

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
    /// The number of each rule of a pipeline with a fresh value.
    pub by_pipeline: Vec<(Arc<str>, u32)>,
    /// The age of the oldest value in seconds; `None` if one is missing.
    pub age: Option<u64>,
}

/// The readings of a tick, by target. Targets without a rule have none.
pub type Readings = HashMap<Identity, Reading>;

/// Returns what the samples say about each target with a rule. A value that is older than [`STALE_AFTER`], or in the
/// future, has no effect.
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
mod tests;
