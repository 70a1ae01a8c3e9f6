//! What was read last of the deployed functions and of the accounts: a document for each region.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::domain::fleet::{Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::preflight::{AccountLimits, Lookup, TargetObservation};

/// The facts about the functions and accounts of a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The accounts, by the ARN of the role to assume; the empty text is the account of the credentials of warmd.
    #[serde(default)]
    pub accounts: BTreeMap<String, AccountFacts>,
    /// The functions with their qualifiers. Observations of newer versions that cannot be read are left out.
    #[serde(default, serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize_known")]
    pub functions: BTreeMap<Identity, FunctionFacts>,
}

/// The facts about an account in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    /// The time of the read.
    pub at: DateTime<Utc>,
    /// The limits.
    pub limits: Lookup<AccountLimits>,
}

/// The facts about a function and qualifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionFacts {
    /// The time of the reads.
    pub at: DateTime<Utc>,
    /// True if they must be read again at the next opportunity: a round had an error, or executed another version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
    /// The observations.
    pub seen: TargetObservation,
}

impl Facts {
    /// Returns the name of the document of a region.
    pub fn document(region: Region) -> String {
        format!("facts-{region}")
    }

    /// Returns the facts about a target; `None` if they were never read.
    pub fn of(&self, target: &Target) -> Option<&FunctionFacts> {
        self.functions.get(&target.id.without_tenant())
    }

    /// Returns the limits of the account of a role; `None` if unknown.
    pub fn limits(&self, role: Option<&Role>) -> Option<&AccountLimits> {
        self.accounts.get(role_key(role))?.limits.known()
    }
}

/// Returns the key of an account.
pub(crate) fn role_key(role: Option<&Role>) -> &str {
    role.map_or("", |role| role.arn.as_str())
}
