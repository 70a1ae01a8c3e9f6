//! Every CloudWatch metric, in one table: name, unit, scope and meaning. The data of ticks, the dashboard, the estimate
//! of warmd's cost and the help text are made from it or checked against it.

/// A CloudWatch unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Count`.
    Count,
    /// `Bytes`.
    Bytes,
    /// `Milliseconds`.
    Milliseconds,
    /// `Seconds`.
    Seconds,
    /// `None`. CloudWatch has no unit for US dollars.
    None,
}

impl Unit {
    /// Returns the name in CloudWatch.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::None => "None",
        }
    }
}

/// The dimensions of a metric, and the condition under which it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The fleet, every tick, zero included.
    Fleet,
    /// The fleet, unless it is zero.
    FleetNotZero,
    /// The fleet, every tick; and each target with [`Detail::Function`].
    FleetAndTarget,
    /// The fleet, and each target with [`Detail::Function`], unless it is zero.
    FleetAndTargetNotZero,
    /// The fleet, every tick, zero included; and each target with [`Detail::Function`], unless it is zero.
    FleetAndNotZeroTarget,
    /// Each target with [`Detail::Function`].
    Target,
    /// The fleet, and each target with [`Detail::Function`], every tick of a fleet with capacity.
    Capacity,
    /// The fleet, and each target with [`Detail::Function`], when a round or the end of a window has judged minutes.
    Coverage,
}

impl Scope {
    /// Returns true if the metric is sent for the fleet with every tick.
    pub fn is_every_tick(self) -> bool {
        matches!(self, Self::Fleet | Self::FleetAndTarget | Self::FleetAndNotZeroTarget)
    }

    /// Returns true if the metric is sent for each target with every round.
    pub fn is_every_round(self) -> bool {
        matches!(self, Self::FleetAndTarget | Self::Target)
    }

    /// Returns true if the metric is sent for targets.
    pub fn is_target(self) -> bool {
        self.is_every_round() || matches!(self, Self::FleetAndTargetNotZero | Self::FleetAndNotZeroTarget)
    }

    /// Returns true if the metric is sent while windows are open.
    pub fn is_coverage(self) -> bool {
        self == Self::Coverage
    }

    /// Returns true if the metric is sent for fleets with capacity.
    pub fn is_capacity(self) -> bool {
        self == Self::Capacity
    }
}

/// Defines [`Metric`] from rows of name, unit, scope and meaning.
macro_rules! metrics {
    ($($name:ident, $unit:ident, $scope:ident, $meaning:literal;)*) => {
        /// A metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $meaning] $name,)*
        }

        impl Metric {
            /// Every metric, in the order in which metrics are sent and documented.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Returns the unit.
            pub fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)* }
            }

            /// Returns the scope.
            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }

            /// Returns the meaning.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

metrics! {
    Pings, Count, FleetAndTarget, "pings sent, top-ups included";
    ColdStarts, Count, FleetAndTarget, "pings that started a new environment, restored ones included: a user would have waited";
    SemiColdStarts, Count, FleetNotZero, "those of `ColdStarts` whose code was still cached, for functions with a known threshold";
    Restores, Count, FleetNotZero, "those of `ColdStarts` that were restored from a snapshot";
    ProactiveInits, Count, FleetAndTargetNotZero, "pings to a new environment whose init Lambda began before the request; none of them is in `ColdStarts`";
    Throttles, Count, Fleet, "pings that Lambda throttled";
    Errors, Count, Fleet, "pings that failed otherwise: function errors, timeouts, denied, not found, network and service";
    RoundsShort, Count, FleetAndNotZeroTarget, "rounds with the verdict `short`";
    WindowMinutes, Count, Coverage, "minutes of open windows that are known to have been warm or not";
    WarmMinutes, Count, Coverage, "those of `WindowMinutes` in which the wanted environments were warm; sent with them, zero included";
    UnknownMinutes, Count, Coverage, "minutes of open windows of which nothing is known, because no round proved anything; none of them is in `WindowMinutes`";
    BudgetExceeded, Count, FleetNotZero, "monthly budgets of which 80 % or 100 % were reached at this tick, each level once a month";
    RoundsUnsafe, Count, FleetAndTargetNotZero, "targets with the verdict `unsafe`: their handler took a ping for work, and nothing more is sent";
    S3EgressBytes, Bytes, Fleet, "bytes that functions read from S3 because of pings";
    S3EgressCost, None, FleetAndTarget, "US dollars for the bytes that functions read from S3, as far as known";
    WarmingCost, None, FleetAndTarget, "US dollars for requests, compute, S3 requests and S3 egress, as far as known";
    TickDuration, Milliseconds, Fleet, "duration of a scheduled tick (from cron: `run --once --due-only`); not sent for shards, requests and operators' rounds";
    Functions, Count, Fleet, "targets that were due, skipped rounds included";
    CostUnknown, Count, FleetNotZero, "rounds whose cost is not fully known";
    RoundsUnfinished, Count, FleetNotZero, "rounds that were due and have no result: not sent in time, or not answered before the end of the tick";
    PipelinesCold, Count, FleetNotZero, "pipelines with a cold stage: fewer environments than the stage needs at a tick";
    TicksStale, Count, FleetNotZero, "events that were too old to be served: of the schedule, shards and Warm Requests; nothing was sent for them";
    EventsRefused, Count, FleetNotZero, "events that were refused, with the reason in the log: of an unknown kind, invalid, not allowed, or with a time more than a minute ahead; nothing was sent for them";
    StateUnavailable, Count, FleetNotZero, "ticks, shards and requests for which the state store could not be read or written, with the reason in the log";
    MetricsDropped, Count, FleetNotZero, "batches of metrics, one for each part of a tick, that the daemon dropped from its spool: beyond its size, older than two weeks, or unreadable";
    ConfigAge, Seconds, FleetNotZero, "time for which the configuration in use has been older than its source, because the source is refused or cannot be read";
    Target, Count, Target, "environments wanted";
    Reached, Count, Target, "environments proven; not sent when unknown";
    CapacityDesired, Count, Capacity, "environments wanted as capacity: by provisioned concurrency or on managed instances";
    CapacityAvailable, Count, Capacity, "environments of capacity that serve requests, as far as known; the applied minimum on managed instances";
    CapacityCost, None, Capacity, "US dollars for having capacity, without invocations, as far as known";
}

impl Metric {
    /// Returns the number of metrics with such a scope.
    pub fn count(of: fn(Scope) -> bool) -> u64 {
        Self::ALL.iter().filter(|metric| of(metric.scope())).count() as u64
    }
}

/// The granularity of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// The metrics of the fleet, as many as the free tier of CloudWatch has.
    #[default]
    Fleet,
    /// The metrics of each target too. CloudWatch bills each as a custom metric.
    Function,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_metrics_fit_into_the_free_tier() {
        // Ten custom metrics. Source: Amazon CloudWatch pricing.
        assert_eq!((Metric::count(Scope::is_every_tick), Metric::count(Scope::is_every_round)), (10, 6));
        // Those of coverage are sent while windows are open.
        assert_eq!(Metric::count(Scope::is_coverage), 3);
        // Those of capacity are additional, and are sent only where there is capacity, which costs more.
        assert_eq!(Metric::count(Scope::is_capacity), 3);
    }
}
