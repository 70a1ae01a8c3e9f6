//! The keys of backlogs that are read from metrics.

use super::MOST_CONCURRENCY;
use crate::config::values::{AnyNamespace, Dimensions, DrainTime, Integer, MetricName, Rate, StatisticName};
use crate::config::wire_struct::wire_struct;

wire_struct! {
    /// A backlog of requests that is read from a metric at each tick.
    struct BacklogKeys ["metric", "rate", "drain", "max"] {
        /// The metric whose value is the number of waiting requests.
        metric: MetricSourceKeys,
        /// Requests a second that one environment serves.
        rate: Rate,
        /// The time in which the backlog is worked off. The number is backlog ÷ (rate × drain), rounded up.
        drain: DrainTime,
        /// The most environments.
        max: Integer<1, MOST_CONCURRENCY>,
    }
}

wire_struct! {
    /// A metric of CloudWatch in the region of the function.
    struct MetricSourceKeys ["namespace", "name"] {
        /// Its namespace.
        namespace: AnyNamespace,
        /// Its name.
        name: MetricName,
        /// Its dimensions, at most 30.
        dimensions: Dimensions,
        /// The statistic of a minute. Default: `Maximum`.
        statistic: StatisticName,
    }
}
