//! Backlogs of requests: the number of environments that works them off in time.

mod readings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

pub use self::readings::{
    Obstacle, Reading, Readings, Sample, Samples, Source, fresh, not_planned, readings, sources,
};
use super::clean::clean;

/// The time for which the number of a request is kept at least, if neither the request nor the configuration has one.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(300);
/// The age from which the value of a metric has no effect.
pub const STALE_AFTER: TimeDelta = TimeDelta::minutes(5);
/// The IAM action that reads metrics. It has no narrower resource than `*`. Source: Service Authorization Reference,
/// 2026-11.
pub const READ_METRICS: &str = "cloudwatch:GetMetricData";

/// Returns the number of environments for `messages` when each works off `per_environment` of them in time, which is
/// above zero: ⌈messages ÷ per_environment⌉. Returns 0 if nothing waits.
pub fn environments(messages: Decimal, per_environment: Decimal) -> u32 {
    if messages <= Decimal::ZERO {
        return 0;
    }
    let number = messages.checked_div(per_environment).map(|number| number.ceil());
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
