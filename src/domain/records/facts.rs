//! The last observations of the deployed functions and of the accounts: a document for each region.
//!
//! A read that fails does not erase what was known: the value is kept for a day. Older values count as unknown.

mod deployment;
mod refresh;
mod snapshot;

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use self::deployment::shows_deployment;
pub use self::refresh::{Refresh, is_due, refresh_order};
pub use self::snapshot::Snapshot;
use super::{FORGOTTEN_AFTER, keyed};
use crate::domain::fleet::{Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::future::{is_future, later};
use crate::domain::preflight::{
    AccountLimits, Deployed, FunctionState, Lookup, Read, TargetObservation, UncheckedReason, UpdateStatus,
    failure,
};
use crate::domain::routing::Routing;

/// The age above which facts are unknown.
const USED_FOR: TimeDelta = TimeDelta::hours(24);
/// The age above which facts are read again, and the time after which a denied read is repeated.
pub(super) const REFRESHED_AFTER: TimeDelta = TimeDelta::hours(1);
/// The age up to which a value is kept when reading it again fails: until the next attempt it is not older than
/// [`USED_FOR`].
const KEPT_FOR: TimeDelta = TimeDelta::hours(23);
/// The age above which the versions behind an alias are unknown. Rounds to versions that the alias has left would keep
/// nothing warm.
const ALIAS_USED_FOR: TimeDelta = TimeDelta::minutes(90);
/// The age above which the weights of an alias are read again before its versions are pinged by their numbers.
const WEIGHTS_USED_FOR: TimeDelta = TimeDelta::minutes(1);
/// The largest JSON text of a reason. The facts about 8,000 aliases with a reason for each read are then smaller than
/// [`MOST_BYTES`](super::MOST_BYTES).
const MOST_REASON_BYTES: usize = 100;
/// The largest ARN, version, hash or runtime. Longer ones are not Lambda's.
const MOST_NAME_BYTES: usize = 400;

/// The facts about the functions and accounts of a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The accounts, by the ARN of the role to assume; the empty text is the account of the credentials of warmd.
    #[serde(default, deserialize_with = "keyed::deserialize_known")]
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
    /// The failure of the last read, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedRead>,
}

/// The facts about a function and qualifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionFacts {
    /// The time of the reads.
    pub at: DateTime<Utc>,
    /// True if they must be read again at the next opportunity: a round had an error or executed another version, or an
    /// update has not ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
    /// The observations.
    pub seen: TargetObservation,
    /// The reads that failed when they were last tried, except that of the alias, which earlier versions cannot read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Read, FailedRead>,
    /// The last read of the alias; `None` if it was never read. Aliases are read more often than the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<AliasRead>,
}

/// A read of an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRead {
    /// The time of the read.
    pub at: DateTime<Utc>,
    /// Its failure, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedRead>,
}

impl AliasRead {
    /// Returns the time of the value.
    fn since(&self) -> DateTime<Utc> {
        self.failed.and_then(|failed| failed.kept_from).unwrap_or(self.at)
    }

    fn is_usable(&self, now: DateTime<Utc>) -> bool {
        !is_future(self.at, now) && is_recent(self.since(), ALIAS_USED_FOR, now)
    }
}

/// A failed read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRead {
    /// The time of the last attempt.
    pub at: DateTime<Utc>,
    /// The kind of failure.
    pub why: UncheckedReason,
    /// The time of the earlier value that is kept; `None` if no value is known.
    #[serde(rename = "kept", default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<DateTime<Utc>>,
}

/// The results of reading a function and qualifier; `None` for a value that was not read again and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionReads {
    /// The deployed function.
    pub configuration: Option<Lookup<Deployed>>,
    /// The reserved concurrency of the function.
    pub reserved: Option<Lookup<Option<u32>>>,
    /// The provisioned concurrency of the qualifier.
    pub provisioned: Option<Lookup<Option<u32>>>,
    /// The versions behind the alias.
    pub alias: Option<Lookup<Routing>>,
    /// True if some values were not read although they should be.
    pub is_partial: bool,
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

    /// Returns the facts about the account of a role; `None` if they were never read.
    pub fn account(&self, role: Option<&Role>) -> Option<&AccountFacts> {
        self.accounts.get(role_key(role))
    }

    /// Returns the limits of the account of a role; `None` if unknown.
    pub fn limits(&self, role: Option<&Role>) -> Option<&AccountLimits> {
        self.account(role)?.limits.known()
    }

    /// Returns the entries of a stored document that can be true at `now`: not those of the future. Long texts are cut.
    pub fn plausible(mut self, now: DateTime<Utc>) -> Self {
        let is_past = |at: DateTime<Utc>| !is_future(at, now);
        let has_failed = |read: &FailedRead| is_past(read.at) && read.kept_from.is_none_or(is_past);
        self.accounts.retain(|_, facts| is_past(facts.at) && facts.failed.iter().all(has_failed));
        self.functions.retain(|_, facts| is_past(facts.at) && facts.failed.values().all(has_failed));
        for facts in self.accounts.values_mut() {
            cut_reason(&mut facts.limits);
        }
        for facts in self.functions.values_mut() {
            cut(&mut facts.seen);
        }
        self.forget_old_aliases(now);
        self
    }

    /// Returns true if the versions behind an alias are no longer known at `now`.
    pub fn has_old_aliases(&self, now: DateTime<Utc>) -> bool {
        self.functions.values().any(|facts| facts.has_old_alias(now))
    }

    /// Drops the versions behind aliases that were read too long ago to be used at `now`.
    pub fn forget_old_aliases(&mut self, now: DateTime<Utc>) {
        for facts in self.functions.values_mut().filter(|facts| facts.has_old_alias(now)) {
            (facts.alias, facts.seen.alias) = (None, Lookup::NotRead);
        }
    }

    /// Adds the entries of `other`. Of two entries the newer one is kept, and that of `other` if they have the same age.
    /// The same applies to what is known about aliases, which has times of its own.
    pub fn merge(&mut self, other: &Self) {
        for (role, theirs) in &other.accounts {
            if self.accounts.get(role).is_none_or(|ours| ours.at <= theirs.at) {
                self.accounts.insert(role.clone(), theirs.clone());
            }
        }
        for (id, theirs) in &other.functions {
            let Some(ours) = self.functions.get_mut(id) else {
                self.functions.insert(id.clone(), theirs.clone());
                continue;
            };
            let read_at = |facts: &FunctionFacts| facts.alias.map(|read| read.at);
            let with_alias = if read_at(ours) <= read_at(theirs) { theirs } else { &*ours };
            let (alias, routing) = (with_alias.alias, with_alias.seen.alias.clone());
            if ours.at <= theirs.at {
                // A doubt ends with the next read.
                let is_doubtful = theirs.is_doubtful || ours.at == theirs.at && ours.is_doubtful;
                *ours = FunctionFacts { is_doubtful, ..theirs.clone() };
            }
            (ours.alias, ours.seen.alias) = (alias, routing);
        }
    }

    /// Adds the entries of `other`, which replace those of the same key.
    pub fn replace(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.functions.extend(other.functions);
    }

    /// Removes the entries that are the same in `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.accounts.retain(|role, facts| other.accounts.get(role) != Some(facts));
        self.functions.retain(|id, facts| other.functions.get(id) != Some(facts));
    }

    /// Returns true if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.functions.is_empty()
    }

    /// Drops the entries that are no longer configured and older than two days.
    pub fn prune<'t>(&mut self, configured: impl IntoIterator<Item = &'t Target>, now: DateTime<Utc>) {
        let targets: Vec<&Target> = configured.into_iter().collect();
        let ids: HashSet<Identity> = targets.iter().map(|target| target.id.without_tenant()).collect();
        let roles: HashSet<&str> = targets.iter().map(|target| role_key(target.role.as_deref())).collect();
        let lives = |at: DateTime<Utc>| later(at, FORGOTTEN_AFTER) > now;
        self.accounts.retain(|role, facts| roles.contains(role.as_str()) || lives(facts.at));
        self.functions.retain(|id, facts| ids.contains(id) || lives(facts.at));
    }
}

impl FunctionReads {
    /// Returns true if nothing was read.
    pub fn is_empty(&self) -> bool {
        let Self { configuration, reserved, provisioned, alias, is_partial: _ } = self;
        configuration.is_none() && reserved.is_none() && provisioned.is_none() && alias.is_none()
    }
}

impl AccountFacts {
    /// Returns the facts after a read at `now`. `before` are the earlier ones.
    pub fn after(before: Option<&Self>, mut limits: Lookup<AccountLimits>, now: DateTime<Utc>) -> Self {
        let now = now.trunc_subsecs(0);
        cut_reason(&mut limits);
        let before = before.map(|before| (&before.limits, (before.failed, before.at)));
        let (limits, failed) = newest(before, Some(limits), KEPT_FOR, now);
        Self { at: now, limits, failed }
    }

    /// Returns true if the facts are recent enough to be used.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        is_recent(self.at, USED_FOR, now)
    }

    /// Returns the time of the value.
    pub fn since(&self) -> DateTime<Utc> {
        self.failed.and_then(|failed| failed.kept_from).unwrap_or(self.at)
    }
}

impl FunctionFacts {
    /// Creates the facts of a first read.
    pub fn new(at: DateTime<Utc>, seen: TargetObservation) -> Self {
        Self { at, is_doubtful: false, seen, failed: BTreeMap::new(), alias: None }
    }

    /// Returns the facts after reads at `now`. `before` are the earlier ones.
    pub fn after(before: Option<&Self>, reads: FunctionReads, now: DateTime<Utc>) -> Self {
        let now = now.trunc_subsecs(0);
        let FunctionReads { configuration, reserved, provisioned, alias, is_partial } = reads;
        let mut after = Self::new(now, TargetObservation::default());
        let mut add = |read: Read, failed: Option<FailedRead>| {
            after.failed.extend(failed.map(|failed| (read, failed)));
        };
        let old = before.map(|before| &before.seen);
        let failed = |read| before.map(|before| (before.failed.get(&read).copied(), before.at));
        let (configuration, lost) = newest(
            old.map(|old| &old.configuration).zip(failed(Read::Configuration)),
            configuration,
            KEPT_FOR,
            now,
        );
        add(Read::Configuration, lost);
        let (reserved, lost) =
            newest(old.map(|old| &old.reserved).zip(failed(Read::Reserved)), reserved, KEPT_FOR, now);
        add(Read::Reserved, lost);
        let (provisioned, lost) = newest(
            old.map(|old| &old.provisioned).zip(failed(Read::Provisioned)),
            provisioned,
            KEPT_FOR,
            now,
        );
        add(Read::Provisioned, lost);
        let last = before.and_then(|before| before.alias);
        let is_read = alias.is_some();
        let known = old.map(|old| &old.alias).zip(last.map(|read| (read.failed, read.at)));
        let (alias, failed) = newest(known, alias, ALIAS_USED_FOR, now);
        after.alias = if is_read { Some(AliasRead { at: now, failed }) } else { last };
        let invoke = Lookup::NotRead;
        after.seen = TargetObservation { invoke, configuration, reserved, provisioned, alias };
        cut(&mut after.seen);
        // The end of an update is read as soon as possible.
        let is_updating = after.seen.is_updating();
        match before {
            _ if !is_partial => Self { is_doubtful: is_updating, ..after },
            // The values that were not read again keep their time.
            Some(before) => Self { at: before.at, is_doubtful: is_updating || before.is_doubtful, ..after },
            // Reads that failed are repeated later than those that were not sent.
            None => Self { is_doubtful: is_updating || after.failed.is_empty(), ..after },
        }
    }

    /// Returns true if the facts are recent enough to be used.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        is_recent(self.at, USED_FOR, now)
    }

    /// Returns true if the facts are to be read again.
    pub fn is_old(&self, now: DateTime<Utc>) -> bool {
        !is_recent(self.at, REFRESHED_AFTER, now)
    }

    /// Returns true if the versions behind the alias were read too long ago.
    fn has_old_alias(&self, now: DateTime<Utc>) -> bool {
        self.seen.alias != Lookup::NotRead && !self.alias.is_some_and(|read| read.is_usable(now))
    }

    /// Returns true if the alias had weights when it was read, and that was too long ago to ping its versions by their
    /// numbers at `now`: deployments move weights every few minutes.
    pub fn has_old_weights(&self, now: DateTime<Utc>) -> bool {
        let is_weighted = self.seen.alias.known().is_some_and(Routing::is_weighted);
        is_weighted && self.alias.is_some_and(|read| !is_recent(read.since(), WEIGHTS_USED_FOR, now))
    }

    /// Returns true if the last read of the alias was denied.
    pub fn is_alias_denied(&self) -> bool {
        matches!(
            self.alias,
            Some(AliasRead { failed: Some(FailedRead { why: UncheckedReason::Denied, .. }), .. })
        )
    }

    /// Returns true if `other` differs in the last read of the alias at most.
    pub fn is_same_but_alias_read(&self, other: &Self) -> bool {
        let Self { at, is_doubtful, seen, failed, alias: _ } = self;
        (at, is_doubtful, seen, failed) == (&other.at, &other.is_doubtful, &other.seen, &other.failed)
    }

    /// Returns true if a read was denied within the last hour, and is not repeated yet.
    pub fn is_denied(&self, read: Read, now: DateTime<Utc>) -> bool {
        let failed = match read {
            Read::Alias => self.alias.and_then(|read| read.failed),
            read => self.failed.get(&read).copied(),
        };
        failed.is_some_and(|failed| {
            failed.why == UncheckedReason::Denied && is_recent(failed.at, REFRESHED_AFTER, now)
        })
    }

    /// Returns the time of the oldest value, that of the alias excepted.
    pub fn since(&self) -> DateTime<Utc> {
        self.failed.values().filter_map(|failed| failed.kept_from).fold(self.at, DateTime::min)
    }
}

/// Returns true if `at` is neither in the future nor older than `age`.
fn is_recent(at: DateTime<Utc>, age: TimeDelta, now: DateTime<Utc>) -> bool {
    !is_future(at, now) && later(at, age) > now
}

/// The failure of the last read of a value, and the time of its facts.
type LastRead = (Option<FailedRead>, DateTime<Utc>);

/// Returns the value after a read, and its failure. A value that is known stays for `kept_for` when the read failed.
/// `before` is the earlier value with its failure and time; `read` is `None` if the value was not read again.
fn newest<T: Clone>(
    before: Option<(&Lookup<T>, LastRead)>,
    read: Option<Lookup<T>>,
    kept_for: TimeDelta,
    now: DateTime<Utc>,
) -> (Lookup<T>, Option<FailedRead>) {
    let Some(read) = read else {
        return before.map_or((Lookup::NotRead, None), |(value, (failed, _))| (value.clone(), failed));
    };
    let Some((why, _)) = failure(&read) else { return (read, None) };
    let kept = before.and_then(|(value, (failed, at))| {
        let is_value = matches!(value, Lookup::Known(_) | Lookup::Missing);
        let from = failed.and_then(|failed| failed.kept_from).unwrap_or(at);
        (is_value && is_recent(from, kept_for, now)).then(|| (value.clone(), from))
    });
    let failed = |kept_from| Some(FailedRead { at: now, why, kept_from });
    match kept {
        Some((value, from)) => (value, failed(Some(from))),
        None => (read, failed(None)),
    }
}

/// Cuts the texts of an observation, which come from a server.
fn cut(seen: &mut TargetObservation) {
    cut_reason(&mut seen.invoke);
    cut_reason(&mut seen.reserved);
    cut_reason(&mut seen.provisioned);
    cut_reason(&mut seen.alias);
    if seen.alias.known().is_some_and(|routing| !routing.is_possible()) {
        seen.alias = Lookup::Failed("impossible versions".to_owned());
    }
    cut_reason(&mut seen.configuration);
    if let Lookup::Known(deployed) = &mut seen.configuration {
        // Reasons are of interest only while something is wrong.
        deployed.state_reason.take_if(|_| deployed.state == FunctionState::Active);
        deployed.update_reason.take_if(|_| deployed.update == UpdateStatus::Successful);
        let Deployed { arn, state_reason, update_reason, version, code_sha256, runtime, .. } = deployed;
        [state_reason, update_reason].into_iter().flatten().for_each(cut_text);
        for name in [arn, version, code_sha256, runtime] {
            name.take_if(|name| json_bytes(name.chars()) > MOST_NAME_BYTES);
        }
    }
}

fn cut_reason<T>(seen: &mut Lookup<T>) {
    match seen {
        Lookup::Denied(reason)
        | Lookup::Failed(reason)
        | Lookup::Throttled(reason)
        | Lookup::Unreachable(reason) => cut_text(reason),
        Lookup::NotRead | Lookup::Known(_) | Lookup::Missing => {}
    }
}

/// Cuts a text to [`MOST_REASON_BYTES`] of JSON.
fn cut_text(text: &mut String) {
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, c)| {
        bytes += json_bytes([*c]);
        bytes > MOST_REASON_BYTES
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
}

/// Returns the size of characters in a JSON text.
fn json_bytes(text: impl IntoIterator<Item = char>) -> usize {
    let bytes = |c: char| match c {
        '"' | '\\' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    };
    text.into_iter().map(bytes).sum()
}

/// Returns the key of an account.
pub fn role_key(role: Option<&Role>) -> &str {
    role.map_or("", |role| role.arn.as_str())
}

#[cfg(test)]
mod tests;
