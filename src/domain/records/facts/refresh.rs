//! The order in which facts are read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{AccountFacts, FailedRead, FunctionFacts, REFRESHED_AFTER, is_recent, role_key};
use crate::domain::fleet::{Fleet, Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::future::is_future;
use crate::domain::preflight::{Lookup, Read, UncheckedReason, may_be_provisioned};
use crate::domain::schedule::{Minute, desired};

/// The time after which a read that failed for another reason than a missing permission is repeated.
const RETRIED_AFTER: TimeDelta = TimeDelta::minutes(5);
/// The age above which facts are read before aliases. A fleet with many aliases would otherwise never read the rest.
const LATE_AFTER: TimeDelta = TimeDelta::hours(2);

/// Reads that belong together.
#[derive(Debug, Clone)]
pub enum Refresh<'f> {
    /// The limits of an account in a region.
    Account(Region, Option<&'f Arc<Role>>),
    /// A function with those of its qualifiers that are due.
    Function(Vec<&'f Target>),
    /// The alias of a target whose other facts are not due.
    Alias(&'f Target),
}

/// The urgency of a read, and the time of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// A round had an error, or executed another version.
    Doubtful,
    /// Never read, or too long ago to be used.
    Unknown,
    /// Older than [`LATE_AFTER`].
    Late(DateTime<Utc>),
    /// An alias, and the time at which it was due.
    Alias(DateTime<Utc>),
    /// Old, or a failed read is due to be repeated.
    Old(DateTime<Utc>),
}

/// Returns what is due to be read at `now`: doubtful functions first, then what is unknown, then the aliases that have
/// been due for longest, then the oldest. `account` and `function` return the known facts; a function is doubtful if its
/// facts are, or if `is_doubted` returns true.
pub fn refresh_order<'f, 'k>(
    fleet: &'f Fleet,
    account: impl Fn(&'f Target) -> Option<&'k AccountFacts>,
    function: impl Fn(&'f Target) -> Option<&'k FunctionFacts>,
    is_doubted: impl Fn(&'f Target) -> bool,
    now: DateTime<Utc>,
) -> Vec<Refresh<'f>> {
    let mut accounts = BTreeMap::new();
    let mut functions: BTreeMap<_, (Urgency, usize, BTreeMap<Identity, &Target>)> = BTreeMap::new();
    let mut aliases: BTreeMap<_, (Urgency, usize, &Target)> = BTreeMap::new();
    for (index, target) in fleet.targets.iter().enumerate().filter(|(_, target)| target.is_warmed()) {
        let key = role_key(target.role.as_deref());
        accounts.entry((target.region(), key)).or_insert((index, target));
        let facts = function(target);
        let Some(urgency) = of_function(target, facts, is_doubted(target), now) else {
            if let Some(urgency) = of_alias(target, facts, now) {
                let alias =
                    aliases.entry((target.id.without_tenant(), key)).or_insert((urgency, index, target));
                alias.0 = urgency.min(alias.0);
            }
            continue;
        };
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
    let aliases = aliases.into_values();
    let aliases = aliases.map(|(urgency, index, target)| ((urgency, true, index), Refresh::Alias(target)));
    let mut order: Vec<_> = accounts.chain(functions).chain(aliases).collect();
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, refresh)| refresh).collect()
}

/// Returns true if a read of a target is due: not if it was denied within the last hour. An alias is read at most once in
/// a minute.
pub fn is_due(target: &Target, facts: Option<&FunctionFacts>, read: Read, now: DateTime<Utc>) -> bool {
    let applies = match read {
        Read::Provisioned => may_be_provisioned(&target.id),
        Read::Alias => {
            let last = facts.and_then(|facts| facts.alias);
            target.is_pinged_by_alias() && last.is_none_or(|read| Minute::of(read.at) != Minute::of(now))
        }
        _ => true,
    };
    applies && facts.is_none_or(|facts| !facts.is_denied(read, now))
}

/// Returns the urgency of reading an alias alone: once in an interval, while the target may have rounds.
fn of_alias(target: &Target, facts: Option<&FunctionFacts>, now: DateTime<Utc>) -> Option<Urgency> {
    let facts = facts.filter(|_| is_due(target, facts, Read::Alias, now))?;
    let minute = Minute::of(now);
    let is_wanted = target.on_request.is_some() || !target.backlogs.is_empty() || desired(target, minute) > 0;
    let Some(last) =
        facts.alias.filter(|read| !is_future(read.at, now) && facts.seen.alias != Lookup::NotRead)
    else {
        return is_wanted.then_some(Urgency::Unknown);
    };
    let interval = i64::from(target.interval_minutes.max(1));
    let pause = last.failed.map_or(interval, |_| interval.max(RETRIED_AFTER.num_minutes()));
    let due = Minute::of(last.at).plus(pause);
    (is_wanted && due <= minute).then(|| Urgency::Alias(due.instant()))
}

fn of_account(facts: Option<&AccountFacts>, now: DateTime<Utc>) -> Option<Urgency> {
    match facts {
        Some(facts) if facts.is_usable(now) => {
            let is_old = !is_recent(facts.at, REFRESHED_AFTER, now);
            (is_old || facts.failed.iter().any(|failed| failed.is_repeated(now)))
                .then_some(Urgency::old(facts.at, now))
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
        (facts.is_old(now) || is_repeated()).then_some(Urgency::old(facts.at, now))
    }
}

impl Urgency {
    fn old(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        if is_recent(at, LATE_AFTER, now) { Self::Old(at) } else { Self::Late(at) }
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
