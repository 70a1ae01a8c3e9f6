//! The observed capacity of a target, and the changes of it.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::strategy::Owner;
use crate::domain::function::Qualifier;
use crate::domain::preflight::Lookup;
use crate::domain::routing::Routing;

/// A minimum and a maximum number of environments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The minimum.
    pub min: u32,
    /// The maximum, at least the minimum.
    pub max: u32,
}

impl Bounds {
    /// Nothing.
    pub const ZERO: Self = Self { min: 0, max: 0 };
}

/// A provisioned concurrency configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedState {
    /// The environments requested.
    pub requested: u32,
    /// The environments allocated.
    pub allocated: u32,
    /// The environments that serve requests.
    pub available: u32,
    /// The status.
    pub status: ProvisionedStatus,
    /// The reason of a failure.
    pub reason: Option<String>,
}

/// The status of a provisioned concurrency configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionedStatus {
    /// `IN_PROGRESS`.
    InProgress,
    /// `READY`.
    Ready,
    /// `FAILED`.
    Failed,
}

/// A scalable target of Application Auto Scaling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalableTarget {
    /// Its ARN; empty if the service did not answer one.
    pub arn: String,
    /// Its bounds.
    pub bounds: Bounds,
    /// True if scheduled scaling is suspended.
    pub is_suspended: bool,
    /// The value of the tag [`Owner::TAG`](super::Owner::TAG); `Known(None)` without the tag.
    pub owner: Lookup<Option<String>>,
}

/// A scaling policy.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingPolicy {
    /// Its name.
    pub name: String,
    /// The utilization that it keeps, in percent; `None` if it is not a target tracking policy on the utilization of
    /// provisioned concurrency.
    pub utilization: Option<u32>,
}

/// A scheduled action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledAction {
    /// Its name.
    pub name: String,
    /// Its schedule, such as `at(2026-11-23T07:56:00)`, in UTC.
    pub schedule: String,
    /// Its bounds; `None` unless it sets both.
    pub bounds: Option<Bounds>,
}

/// A scaling activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Its beginning.
    pub started: DateTime<Utc>,
    /// Its end; `None` if it goes on.
    pub ended: Option<DateTime<Utc>>,
    /// The number of environments that it sets; `None` if its description has none.
    pub to: Option<u32>,
    /// True if it succeeded.
    pub is_successful: bool,
    /// Its failure; `None` if it has not failed.
    pub failure: Option<ChangeError>,
}

/// The scaling configuration of a version on managed instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScalingConfig {
    /// The requested numbers; `None` if none were requested.
    pub requested: Option<Bounds>,
    /// The numbers in effect; `None` if the service has applied none.
    pub applied: Option<Bounds>,
}

impl ScalingConfig {
    /// The minimum of a version without a scaling configuration. Source: the Lambda API reference.
    const DEFAULT_MIN: u32 = 3;

    /// Returns the numbers that the version has or will have. Lambda may leave out requested numbers that are applied.
    pub fn target(self) -> Option<Bounds> {
        self.requested.or(self.applied)
    }

    /// Returns true if the numbers were requested, as far as one can see: the minimum is not the default.
    pub fn is_configured(self) -> bool {
        self.requested.is_some() || self.applied.is_some_and(|applied| applied.min != Self::DEFAULT_MIN)
    }
}

/// The observations of the capacity of a target. A part that was not read does not lead to changes that depend on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The provisioned concurrency of the qualifier.
    pub provisioned: Lookup<Option<ProvisionedState>>,
    /// The scalable target of the qualifier.
    pub scalable: Lookup<Option<ScalableTarget>>,
    /// The scaling policies of the scalable target.
    pub policies: Lookup<Vec<ScalingPolicy>>,
    /// The scheduled actions of the scalable target.
    pub actions: Lookup<Vec<ScheduledAction>>,
    /// The alias; [`Lookup::Missing`] if the qualifier is a version.
    pub alias: Lookup<Routing>,
    /// True if the function is being created or updated; `None` if unknown.
    pub is_updating: Option<bool>,
    /// The last data point of the utilization in the last 15 minutes; `Known(None)` without one.
    pub last_utilization: Lookup<Option<DateTime<Utc>>>,
    /// The failure of the latest change of the number by Application Auto Scaling; `None` if it has not failed.
    pub last_failure: Option<ChangeError>,
    /// The scaling configurations of versions on managed instances, those of earlier versions included.
    pub scaling: Vec<(Qualifier, Lookup<ScalingConfig>)>,
}

/// A change of the capacity of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// PutProvisionedConcurrencyConfig.
    PutProvisioned(NonZeroU32),
    /// DeleteProvisionedConcurrencyConfig. A configuration that does not exist is a success.
    DeleteProvisioned,
    /// RegisterScalableTarget. `owner` is the tag of a new scalable target.
    Register {
        /// The bounds; `None` leaves them.
        bounds: Option<Bounds>,
        /// True to suspend scheduled scaling, false to resume it; `None` leaves it.
        suspend: Option<bool>,
        /// The value of the tag of a new target.
        owner: Option<String>,
    },
    /// TagResource on the scalable target with this ARN.
    Tag {
        /// The ARN of the scalable target.
        arn: String,
        /// The value of the tag.
        owner: String,
    },
    /// PutScalingPolicy: target tracking on the utilization of provisioned concurrency.
    PutPolicy {
        /// The name.
        name: String,
        /// The utilization, in percent.
        utilization: u32,
    },
    /// DeleteScalingPolicy.
    DeletePolicy(String),
    /// PutScheduledAction.
    PutAction(ScheduledAction),
    /// DeleteScheduledAction. An action that does not exist is a success.
    DeleteAction(String),
    /// DeregisterScalableTarget, which deletes policies and actions. A target that does not exist is a success.
    Deregister,
    /// PutFunctionScalingConfig.
    PutScaling {
        /// The version.
        version: Qualifier,
        /// The numbers.
        bounds: Bounds,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutProvisioned(number) => write!(f, "put provisioned concurrency {number}"),
            Self::DeleteProvisioned => f.write_str("delete provisioned concurrency"),
            Self::Register { bounds, suspend, .. } => {
                f.write_str("register scalable target")?;
                if let Some(Bounds { min, max }) = bounds {
                    write!(f, " {min} to {max}")?;
                }
                match suspend {
                    Some(true) => f.write_str(", suspend scheduled scaling"),
                    Some(false) => f.write_str(", resume scheduled scaling"),
                    None => Ok(()),
                }
            }
            Self::Tag { owner, .. } => write!(f, "tag scalable target {}={owner}", Owner::TAG),
            Self::PutPolicy { name, utilization } => write!(f, "put scaling policy {name} at {utilization}%"),
            Self::DeletePolicy(name) => write!(f, "delete scaling policy {name}"),
            Self::PutAction(ScheduledAction { name, bounds, .. }) => {
                write!(f, "put scheduled action {name}")?;
                bounds.map_or(Ok(()), |Bounds { min, max }| write!(f, " {min} to {max}"))
            }
            Self::DeleteAction(name) => write!(f, "delete scheduled action {name}"),
            Self::Deregister => f.write_str("deregister scalable target"),
            Self::PutScaling { version, bounds: Bounds { min, max } } => {
                write!(f, "put scaling configuration {min} to {max} on version {version}")
            }
        }
    }
}

/// A failed change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChangeError {
    /// The kind.
    pub kind: ChangeErrorKind,
    /// The message of the service in one line.
    pub message: String,
}

/// The kind of a failed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeErrorKind {
    /// The alias has routing weights.
    AliasWeights,
    /// The function is being updated, or another change is in progress.
    FunctionUpdating,
    /// A quota or the concurrency of the account or function does not suffice.
    Quota,
    /// The service throttles requests.
    Throttled,
    /// The credentials lack a permission.
    AccessDenied,
    /// The service-linked role of Application Auto Scaling is missing, and may not be created.
    ServiceLinkedRole,
    /// The function, qualifier or scalable target does not exist.
    NotFound,
    /// No answer: the change may have been made.
    Unknown,
    /// Any other refusal.
    Refused,
}
