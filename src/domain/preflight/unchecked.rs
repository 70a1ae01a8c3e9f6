//! Reads that failed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AccountLimits, Lookup, Observations, Read, TargetObservation};
use crate::domain::fleet::Fleet;
use crate::domain::function::Region;

/// A read operation that failed for one or more targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// The operation.
    pub read: Read,
    /// The kind of failure.
    pub why: UncheckedReason,
    /// The message. For [`UncheckedReason::Denied`] it is the first message, because each names its own function.
    pub reason: String,
    /// The regions, in alphabetical order.
    pub regions: Vec<Region>,
    /// The number of targets, or of accounts and regions for [`Read::Account`].
    pub count: usize,
}

/// The kind of failure of a read operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncheckedReason {
    /// The endpoint was not reachable.
    Unreachable,
    /// The caller has no permission.
    Denied,
    /// The service could not answer.
    Failed,
}

impl UncheckedReason {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

impl Unchecked {
    /// Returns true if targets could not be compared because of a failure. Missing permissions are a decision of the
    /// user.
    pub fn is_failure(&self) -> bool {
        match self.why {
            UncheckedReason::Unreachable => true,
            UncheckedReason::Failed => self.read == Read::Configuration,
            UncheckedReason::Denied => false,
        }
    }
}

/// Returns the failed reads, merged by operation and reason. A denied dry run is a finding instead.
pub fn unchecked(fleet: &Fleet, seen: &Observations) -> Vec<Unchecked> {
    let pairs = fleet.targets.iter().zip(&seen.targets).filter(|(target, _)| target.is_warmed());
    let mut found = failures(
        pairs.map(|(target, observed)| (target.region(), observed)),
        seen.accounts.iter().map(|account| (account.region, &account.limits)),
    );
    found.retain(|lost| lost.read != Read::Invoke || lost.why != UncheckedReason::Denied);
    found
}

/// Returns the failed reads of targets and accounts, merged by operation and reason.
pub fn failures<'s>(
    targets: impl Iterator<Item = (Region, &'s TargetObservation)>,
    accounts: impl Iterator<Item = (Region, &'s Lookup<AccountLimits>)>,
) -> Vec<Unchecked> {
    let mut found: BTreeMap<(UncheckedReason, Read, &str), Unchecked> = BTreeMap::new();
    let mut add = |read: Read, region: Region, why: Option<(UncheckedReason, &'s str)>| {
        let Some((why, reason)) = why else { return };
        let distinct = if why == UncheckedReason::Denied { "" } else { reason };
        let entry = found.entry((why, read, distinct)).or_insert_with(|| {
            let reason = reason.to_owned();
            Unchecked { read, why, reason, regions: Vec::new(), count: 0 }
        });
        entry.count += 1;
        if let Err(place) = entry.regions.binary_search(&region) {
            entry.regions.insert(place, region);
        }
    };
    for (region, observed) in targets {
        add(Read::Invoke, region, failure(&observed.invoke));
        add(Read::Configuration, region, failure(&observed.configuration));
        add(Read::Alias, region, failure(&observed.alias));
        add(Read::Reserved, region, failure(&observed.reserved));
        add(Read::Provisioned, region, failure(&observed.provisioned));
    }
    for (region, limits) in accounts {
        add(Read::Account, region, failure(limits));
    }
    found.into_values().collect()
}

/// Returns the kind and the message of a failed read; `None` if it did not fail.
pub fn failure<T>(seen: &Lookup<T>) -> Option<(UncheckedReason, &str)> {
    match seen {
        Lookup::NotRead | Lookup::Known(_) | Lookup::Missing => None,
        Lookup::Denied(reason) => Some((UncheckedReason::Denied, reason)),
        Lookup::Failed(reason) | Lookup::Throttled(reason) => Some((UncheckedReason::Failed, reason)),
        Lookup::Unreachable(reason) => Some((UncheckedReason::Unreachable, reason)),
    }
}
