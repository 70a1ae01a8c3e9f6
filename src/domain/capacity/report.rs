//! The record of a target's capacity in the report of a tick.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{By, Strategy};
use crate::domain::fleet::Target;
use crate::domain::function::Identity;

/// The capacity of a target at the end of a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityReport {
    /// The target.
    pub id: Identity,
    /// The strategy; [`Strategy::Pings`] for capacity that the configuration no longer names.
    pub strategy: Strategy,
    /// The way in which provisioned concurrency is changed.
    pub by: Option<&'static str>,
    /// The number of environments wanted now.
    pub desired: u32,
    /// The number requested from Lambda; the minimum for managed instances. `None` if unknown.
    pub requested: Option<u32>,
    /// The number allocated; `None` if unknown, and for managed instances.
    pub allocated: Option<u32>,
    /// The number that serves requests; the applied minimum for managed instances. `None` if unknown.
    pub available: Option<u32>,
    /// The status.
    pub status: Status,
    /// The reason for the status; `None` if there is nothing to explain.
    pub reason: Option<String>,
    /// The price of the capacity since the tick before, US dollars; `None` if unknown. Invocations are not included.
    pub cost_usd: Option<Decimal>,
    /// The changes that were made, or would be made by a dry run, as text.
    pub changes: Vec<String>,
    /// The budget that has stopped the capacity; `None` without one. It may be up until its next closing.
    pub stopped: Option<Stopped>,
}

impl CapacityReport {
    /// Creates the report of a target without observations.
    pub fn new(target: &Target, desired: u32) -> Self {
        Self {
            id: target.id.clone(),
            strategy: target.strategy,
            by: target.strategy.by().map(By::name),
            desired,
            requested: None,
            allocated: None,
            available: None,
            status: Status::Unknown,
            reason: None,
            cost_usd: None,
            changes: Vec::new(),
            stopped: None,
        }
    }

    /// Returns the number that is wanted without a stop.
    pub fn whole(&self) -> u32 {
        self.stopped.as_ref().map_or(0, |stopped| stopped.from).max(self.desired)
    }

    /// Returns true if the wanted number serves requests.
    pub fn is_available(&self) -> bool {
        self.available.is_some_and(|available| available >= self.desired)
    }
}

/// A budget that has stopped the capacity of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The number of environments that is wanted now without the stop.
    pub from: u32,
    /// The setting of the budget, such as `owners.nlp.budget`.
    pub by: String,
    /// The end of the month of the budget.
    pub until: DateTime<Utc>,
}

/// The status of a target's capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// None is wanted, and there is none.
    Closed,
    /// The wanted number serves requests.
    Ready,
    /// It was requested, and is being prepared or taken down.
    InProgress,
    /// Lambda could not prepare it.
    Failed,
    /// A change is not possible now, and is tried again with every tick.
    Waiting,
    /// The service refused a change, or a read that is needed.
    Refused,
    /// A configuration of another owner exists. It is not changed.
    Conflict,
    /// The target is paused: nothing is changed.
    Paused,
    /// It could not be read.
    Unknown,
}

impl Status {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Ready => "ready",
            Self::InProgress => "in-progress",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }
}
