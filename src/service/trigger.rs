//! The triggers that the service serves, and what is recorded of each.

use chrono::{DateTime, Utc};

use crate::domain::events::{Deployment, DirectWarm, WarmRequest};
use crate::domain::function::Region;
use crate::domain::metric_data::TickScope;
use crate::domain::schedule::Minute;
use crate::domain::shard::Shard;

/// A reason to send pings.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// A firing of the schedule.
    Schedule {
        /// The time of the firing: the `now` of the tick.
        at: DateTime<Utc>,
        /// The minute of the previous firing.
        previous: Minute,
    },
    /// A tick that the command line runs once.
    RunOnce {
        /// The time that decides what is due; none means now.
        at: Option<DateTime<Utc>>,
        /// True to serve the targets that are due; false to serve every target with an open window.
        due_only: bool,
    },
    /// A tick that an operator runs with an event: every target with an open window.
    RunEvent {
        /// The time that decides what is due; none means now.
        at: Option<DateTime<Utc>>,
        /// The id of the invocation. It tells apart repeated ticks of the same minute.
        request_id: String,
    },
    /// A part of a tick, from the bus.
    Shard {
        /// The time of the event; none when it did not come over a bus.
        at: Option<DateTime<Utc>>,
        /// The rounds.
        shard: Shard,
    },
    /// A Warm Request of an application.
    Request(WarmRequest),
    /// A deployment of a function.
    Deployed(Deployment),
    /// An event for which nothing is to be done, with the reason.
    Ignored(String),
    /// A round that an operator orders.
    Warm {
        /// The round.
        warm: DirectWarm,
        /// The region of the function.
        region: Region,
    },
}

/// The effect of rounds on the records and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A tick of the schedule. Its targets count as served, and it is the last tick in `warmd status`. The only kind
    /// whose duration is a metric, by which alarms see that the schedule runs.
    Tick,
    /// A shard of a tick of the schedule. Targets that it did not serve are due again. Its rounds are in `warmd
    /// status`.
    Shard,
    /// A tick of an operator, or a shard of one. Its rounds are in `warmd status`.
    Operator,
    /// A Warm Request. Its targets count as served if they have as many environments as the schedule wants. Its rounds
    /// are in `warmd status`.
    Request,
    /// A deployment. As for a Warm Request, and no event has its result.
    Deployed,
    /// Nothing is recorded but metrics.
    MetricsOnly,
}

impl Trigger {
    /// Returns what is recorded of the trigger. The one place that decides what counts as a tick of the schedule.
    pub fn record_kind(&self) -> RecordKind {
        match self {
            Self::Schedule { .. } | Self::RunOnce { at: None, due_only: true } => RecordKind::Tick,
            Self::RunOnce { at: None, due_only: false } | Self::RunEvent { .. } => RecordKind::Operator,
            Self::Shard { shard, .. } if shard.run.is_some() => RecordKind::Operator,
            Self::Shard { .. } => RecordKind::Shard,
            Self::Request(_) => RecordKind::Request,
            Self::Deployed(_) => RecordKind::Deployed,
            // The records of another minute than the present one would mislead later ticks.
            Self::RunOnce { at: Some(_), .. } | Self::Warm { .. } | Self::Ignored(_) => {
                RecordKind::MetricsOnly
            }
        }
    }

    /// Returns true if capacity follows the windows of the present minute with the trigger.
    pub(super) fn drives_capacity(&self) -> bool {
        match self {
            Self::Schedule { .. } | Self::RunOnce { at: None, .. } | Self::Request(_) => true,
            Self::RunOnce { at: Some(_), .. }
            | Self::RunEvent { .. }
            | Self::Shard { .. }
            | Self::Deployed(_)
            | Self::Ignored(_)
            | Self::Warm { .. } => false,
        }
    }

    /// Returns true if an operator chose the minute of the tick: its metrics are of the time of its pings.
    pub(super) fn is_of_chosen_minute(&self) -> bool {
        matches!(self, Self::RunOnce { at: Some(_), .. } | Self::RunEvent { at: Some(_), .. })
    }
}

impl RecordKind {
    /// Returns the scope of the metrics of the first part. Later parts are always [`TickScope::Part`].
    pub(super) fn scope(self) -> TickScope {
        match self {
            Self::Tick => TickScope::Whole,
            Self::Shard | Self::Operator | Self::Request | Self::Deployed | Self::MetricsOnly => {
                TickScope::Part
            }
        }
    }
}
