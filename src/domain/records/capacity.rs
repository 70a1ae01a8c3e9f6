//! The capacity that warmd has made, as it was last seen, and the time for which it was counted. One document for each
//! region.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::domain::capacity::{Bounds, Meter, Status};
use crate::domain::function::{Architecture, Identity, Qualifier, Region};

/// The capacity of a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacities {
    /// The capacity by target.
    #[serde(default, serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize_known")]
    pub targets: BTreeMap<Identity, Kept>,
    /// The time at which all scalable targets of the region were last listed.
    #[serde(default)]
    pub listed: Option<DateTime<Utc>>,
}

impl Capacities {
    /// The beginning of the names of the documents, before the region.
    pub const PREFIX: &str = "capacity-";

    /// Returns the name of the document of a region.
    pub fn document(region: Region) -> String {
        format!("{}{region}", Self::PREFIX)
    }
}

/// The record of a target's capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The capacity that warmd has made or taken over; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// The capacity as it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// The time for which environments were up.
    #[serde(default)]
    pub meter: Meter,
    /// The memory in MB of 1,048,576 bytes, for the price; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u32>,
    /// The instruction set, for the price.
    #[serde(default)]
    pub architecture: Architecture,
    /// The ARN of the role through which the function is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The time at which policies and scheduled actions were last compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<DateTime<Utc>>,
    /// A digest of the scheduled actions that were last set completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<String>,
    /// The time at which the tag of the scalable target was last read and named the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned: Option<DateTime<Utc>>,
}

/// The capacity that warmd has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The way.
    pub by: MadeBy,
    /// The time of the first change.
    pub at: DateTime<Utc>,
    /// With [`MadeBy::Direct`], the numbers that may be there: the one that was set last, and before a change is
    /// confirmed the one before. Any other number is that of another owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<u32>,
    /// With [`MadeBy::Autoscaling`] the bounds that were set last; with [`MadeBy::Managed`] those that the version may
    /// have, as `numbers`. Others are those of another owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bounds>,
    /// With [`MadeBy::Autoscaling`], the owner in the tag. It differs from the configured one after a change of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// With [`MadeBy::Managed`], the versions with numbers of warmd, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Qualifier>,
    /// With [`MadeBy::Managed`], the numbers to which a version is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Bounds>,
    /// True if an operator has handed it over.
    #[serde(default)]
    pub is_adopted: bool,
}

impl Made {
    /// Creates the record of something that is made at `at`.
    pub fn new(by: MadeBy, at: DateTime<Utc>) -> Self {
        Self {
            by,
            at,
            numbers: Vec::new(),
            bounds: Vec::new(),
            owner: None,
            versions: Vec::new(),
            restore: None,
            is_adopted: false,
        }
    }
}

/// The way in which capacity was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MadeBy {
    /// A provisioned concurrency configuration.
    Direct,
    /// A scalable target.
    Autoscaling,
    /// A scaling configuration of a version on managed instances.
    Managed,
}

/// The capacity of a target as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The time.
    pub at: DateTime<Utc>,
    /// The number wanted then.
    pub desired: u32,
    /// The number requested from Lambda; the minimum for managed instances.
    #[serde(default)]
    pub requested: Option<u32>,
    /// The number allocated.
    #[serde(default)]
    pub allocated: Option<u32>,
    /// The number that serves requests; the applied minimum for managed instances.
    #[serde(default)]
    pub available: Option<u32>,
    /// The status.
    pub status: Status,
    /// The reason for the status.
    #[serde(default)]
    pub reason: Option<String>,
}
