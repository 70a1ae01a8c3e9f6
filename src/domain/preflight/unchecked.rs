//! Reads that failed.

use std::collections::BTreeMap;

use super::{Lookup, Observations, Read};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UncheckedReason {
    /// The endpoint was not reachable.
    Unreachable,
    /// The caller has no permission.
    Denied,
    /// The service could not answer.
    Failed,
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

/// Returns the failed reads, merged by operation and reason.
pub fn unchecked<'s>(fleet: &Fleet, seen: &'s Observations) -> Vec<Unchecked> {
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
    for (target, observed) in fleet.targets.iter().zip(&seen.targets) {
        if !target.is_warmed() {
            continue;
        }
        let region = target.region();
        // A denied dry run is a finding.
        add(
            Read::Invoke,
            region,
            failure(&observed.invoke).filter(|(why, _)| *why != UncheckedReason::Denied),
        );
        add(Read::Configuration, region, failure(&observed.configuration));
        add(Read::Reserved, region, failure(&observed.reserved));
        add(Read::Provisioned, region, failure(&observed.provisioned));
    }
    for account in &seen.accounts {
        add(Read::Account, account.region, failure(&account.limits));
    }
    found.into_values().collect()
}

fn failure<T>(seen: &Lookup<T>) -> Option<(UncheckedReason, &str)> {
    match seen {
        Lookup::NotRead | Lookup::Known(_) | Lookup::Missing => None,
        Lookup::Denied(reason) => Some((UncheckedReason::Denied, reason)),
        Lookup::Failed(reason) => Some((UncheckedReason::Failed, reason)),
        Lookup::Unreachable(reason) => Some((UncheckedReason::Unreachable, reason)),
    }
}
