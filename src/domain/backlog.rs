//! Backlogs of requests: the number of environments that works them off in time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::fleet::{Fleet, Role, Target};
use super::function::{Identity, Region};
use super::future::is_future;
use super::preflight::Lookup;

/// The time for which the number of a request is kept at least, if neither the request nor the configuration has one.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(300);
/// The age from which the value of a metric has no effect.
pub const STALE_AFTER: TimeDelta = TimeDelta::minutes(5);

/// Returns the number of environments for `messages` when each works off `per_environment` of them in time, which is
/// above zero: ⌈messages ÷ per_environment⌉.
pub fn environments(messages: Decimal, per_environment: Decimal) -> u32 {
    let number = messages.max(Decimal::ZERO).checked_div(per_environment).map(|number| number.ceil());
    number.map_or(u32::MAX, |number| number.to_u32().unwrap_or(u32::MAX))
}

/// Returns the waiting requests that one environment works off within `drain` at `rate` requests a second.
pub fn per_environment(rate: Decimal, drain: Duration) -> Decimal {
    let ms = i64::try_from(drain.as_millis()).unwrap_or(i64::MAX);
    rate.checked_mul(Decimal::new(ms, 3)).unwrap_or(Decimal::MAX)
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
        let source = (target.region(), target.role.clone(), Arc::clone(&rule.metric));
        let Some(Lookup::Known(Some(sample))) = samples.get(&source) else { return (None, 0) };
        let age = sample.age(now);
        let is_fresh = age.is_some_and(|age| age <= STALE_AFTER.num_seconds().unsigned_abs());
        (age, if is_fresh { rule.number(sample.value) } else { 0 })
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
