//! The order in which facts are read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{AccountFacts, FailedRead, FunctionFacts, REFRESHED_AFTER, is_recent, role_key};
use crate::domain::fleet::{Fleet, Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::preflight::{Read, UncheckedReason, may_be_provisioned};

/// The time after which a read that failed for another reason than a missing permission is repeated.
const RETRIED_AFTER: TimeDelta = TimeDelta::minutes(5);

/// Reads that belong together.
#[derive(Debug, Clone)]
pub enum Refresh<'f> {
    /// The limits of an account in a region.
    Account(Region, Option<&'f Arc<Role>>),
    /// A function with those of its qualifiers that are due.
    Function(Vec<&'f Target>),
}

/// The urgency of a read, and the time of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// A round had an error, or executed another version.
    Doubtful,
    /// Never read, or too long ago to be used.
    Unknown,
    /// Old, or a failed read is due to be repeated.
    Old(DateTime<Utc>),
}

/// Returns what is due to be read at `now`: doubtful functions first, then what is unknown, then the oldest. `account`
/// and `function` return the known facts; a function is doubtful if its facts are, or if `is_doubted` returns true.
pub fn refresh_order<'f, 'k>(
    fleet: &'f Fleet,
    account: impl Fn(&'f Target) -> Option<&'k AccountFacts>,
    function: impl Fn(&'f Target) -> Option<&'k FunctionFacts>,
    is_doubted: impl Fn(&'f Target) -> bool,
    now: DateTime<Utc>,
) -> Vec<Refresh<'f>> {
    let mut accounts = BTreeMap::new();
    let mut functions: BTreeMap<_, (Urgency, usize, BTreeMap<Identity, &Target>)> = BTreeMap::new();
    for (index, target) in fleet.targets.iter().enumerate().filter(|(_, target)| target.is_warmed()) {
        let key = role_key(target.role.as_deref());
        accounts.entry((target.region(), key)).or_insert((index, target));
        let Some(urgency) = of_function(target, function(target), is_doubted(target), now) else { continue };
        let id = target.id.function();
        let (most, _, names) =
            functions.entry((id, key)).or_insert_with(|| (urgency, index, BTreeMap::new()));
        *most = urgency.min(*most);
        names.entry(target.id.without_tenant()).or_insert(target);
    }
    // Of the same urgency, accounts are read first: one of them is needed by many functions.
    let accounts = accounts.into_values().filter_map(|(index, target)| {
        let urgency = of_account(account(target), now)?;
        Some(((urgency, false, index), Refresh::Account(target.region(), target.role.as_ref())))
    });
    let functions = functions.into_values().map(|(urgency, index, names)| {
        ((urgency, true, index), Refresh::Function(names.into_values().collect()))
    });
    let mut order: Vec<_> = accounts.chain(functions).collect();
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, refresh)| refresh).collect()
}

/// Returns true if a read of a target is due: not if it was denied within the last hour.
pub fn is_due(target: &Target, facts: Option<&FunctionFacts>, read: Read, now: DateTime<Utc>) -> bool {
    (read != Read::Provisioned || may_be_provisioned(&target.id))
        && facts.is_none_or(|facts| !facts.is_denied(read, now))
}

fn of_account(facts: Option<&AccountFacts>, now: DateTime<Utc>) -> Option<Urgency> {
    match facts {
        Some(facts) if facts.is_usable(now) => {
            let is_old = !is_recent(facts.at, REFRESHED_AFTER, now);
            (is_old || facts.failed.iter().any(|failed| failed.is_repeated(now)))
                .then_some(Urgency::Old(facts.at))
        }
        _ => Some(Urgency::Unknown),
    }
}

fn of_function(
    target: &Target,
    facts: Option<&FunctionFacts>,
    is_doubted: bool,
    now: DateTime<Utc>,
) -> Option<Urgency> {
    let Some(facts) = facts.filter(|facts| facts.is_usable(now)) else { return Some(Urgency::Unknown) };
    let is_repeated = || facts.failed.values().any(|failed| failed.is_repeated(now));
    let reads = [Read::Configuration, Read::Reserved, Read::Provisioned];
    if !reads.into_iter().any(|read| is_due(target, Some(facts), read, now)) {
        None
    } else if is_doubted || facts.is_doubtful {
        Some(Urgency::Doubtful)
    } else {
        (facts.is_old(now) || is_repeated()).then_some(Urgency::Old(facts.at))
    }
}

impl FailedRead {
    /// Returns true if the read is due to be repeated.
    fn is_repeated(&self, now: DateTime<Utc>) -> bool {
        let pause = match self.why {
            UncheckedReason::Denied => REFRESHED_AFTER,
            UncheckedReason::Failed | UncheckedReason::Unreachable => RETRIED_AFTER,
        };
        !is_recent(self.at, pause, now)
    }
}
