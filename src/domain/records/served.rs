//! The minute in which each target was last served, and the claims of running ticks.
//!
//! A tick claims its targets before it pings them, for [`LEASE`]. It renews the lease while its rounds run, and records
//! the targets as served when their rounds have ended. The claim of a process that has died expires, and its targets
//! are due at the next tick.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Deployments, FORGOTTEN_AFTER, Levels, keyed};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::future::{is_future, is_future_minute, later};
use crate::domain::schedule::{self, Minute};

/// The lease of a claim that is not renewed.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The maximum time that pings can be in flight: the longest run of a function, 15 minutes, and its init and the
/// network. A later instant in `busy` was written by a wrong clock.
const LONGEST_BUSY: TimeDelta = TimeDelta::minutes(20);

/// The minutes in which targets were served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The minute since the epoch of the latest tick.
    pub ticked: Option<i64>,
    /// The minute since the epoch in which a target was last served.
    #[serde(with = "keyed")]
    pub targets: BTreeMap<Identity, i64>,
    /// The targets with pings that no process waits for, and the instant until which these may run.
    #[serde(default, with = "keyed")]
    pub busy: BTreeMap<Identity, DateTime<Utc>>,
    /// The claims of running ticks.
    #[serde(default, with = "keyed")]
    pub claims: BTreeMap<Identity, Claim>,
    /// The numbers that metrics want.
    #[serde(default, skip_serializing_if = "Levels::is_empty")]
    pub levels: Levels,
    /// The deployments that rounds follow.
    #[serde(default, skip_serializing_if = "Deployments::is_empty")]
    pub deployments: Deployments,
}

/// The claim of a running tick on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A random number of the tick. It identifies a write whose answer was lost.
    pub by: u32,
    /// The tick's minute since the epoch.
    pub minute: i64,
    /// The minute after which the target was due. It is due again when the claim expires.
    pub before: i64,
    /// The end of the lease, this instant not included.
    pub until: DateTime<Utc>,
}

impl Claim {
    fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.until && !self.is_future(now)
    }

    fn is_future(&self, now: DateTime<Utc>) -> bool {
        is_future(self.until, later(now, LEASE)) || is_future_minute(self.minute, now)
    }
}

impl Served {
    /// Selects the targets that a tick at `at` serves. `previous` is the schedule's previous firing, `now` the local
    /// clock.
    ///
    /// A target is selected if it was due in a minute since it was last served. The next tick therefore serves the
    /// targets of a lost one, and a target that was served or claimed in this minute is not served again. A target
    /// without an entry counts from the previous firing, or from the latest tick if that was earlier. A tick in the
    /// same minute does not count, because it may be the tick of another process with other targets.
    ///
    /// A deployment makes a target due as well, even in a minute that was served: before the deployment. A target that
    /// is being served is not due again because of it: the deployment stays pending.
    ///
    /// A stored minute in the future counts as unknown.
    pub fn plan(
        &self,
        fleet: &Fleet,
        at: Minute,
        previous: Minute,
        now: DateTime<Utc>,
    ) -> Vec<schedule::DueTarget> {
        let targets = fleet.targets.iter().enumerate();
        let due = targets.filter_map(|(index, target)| {
            let since = self.since(&target.id, previous, now);
            let is_deployed = || self.deployments.is_due(&target.id, now) && !self.is_busy(target, now);
            let reason = schedule::due_since(target, since, at)
                .or_else(|| is_deployed().then_some(schedule::DueReason::Deployment))?;
            let desired = schedule::desired(target, at);
            (desired > 0).then_some(schedule::DueTarget { index, desired, reason })
        });
        due.collect()
    }

    /// Returns the minute after which minutes count as due for a target.
    fn since(&self, id: &Identity, previous: Minute, now: DateTime<Utc>) -> Minute {
        let known = |minute: &i64| !is_future_minute(*minute, now);
        let served = self.targets.get(id).copied().filter(known);
        let last = match self.claims.get(id).filter(|claim| !claim.is_future(now)) {
            Some(claim) if claim.holds(now) => served.max(Some(claim.minute)),
            Some(claim) => served.or(Some(claim.before)),
            None => served,
        };
        let ticked = self.ticked.filter(known).map(Minute::from_epoch);
        last.map_or_else(|| ticked.map_or(previous, |ticked| ticked.min(previous)), Minute::from_epoch)
    }

    /// Returns true if pings that were left in flight may still run at `now`, or if a process serves the target. That
    /// process renews its claim until the round has ended.
    pub fn is_busy(&self, target: &Target, now: DateTime<Utc>) -> bool {
        self.busy.get(&target.id).is_some_and(|until| now < *until && !is_too_busy(*until, now))
            || self.claims.get(&target.id).is_some_and(|claim| claim.holds(now))
    }

    /// Claims targets for a tick at `at`, until [`LEASE`] after `now`. Drops entries that are too old or in the future.
    pub fn claim<'t>(
        &mut self,
        by: u32,
        at: Minute,
        previous: Minute,
        now: DateTime<Utc>,
        targets: impl IntoIterator<Item = &'t Target>,
    ) {
        let until = later(now, LEASE);
        for target in targets {
            // Every interval has a due minute, so earlier minutes do not matter.
            let interval_ago = at.plus(-i64::from(target.interval_minutes));
            let before = self.since(&target.id, previous, now).max(interval_ago).epoch();
            self.claims.insert(target.id.clone(), Claim { by, minute: at.epoch(), before, until });
        }
        self.prune(at, now);
        self.ticked = self.ticked.max(Some(at.epoch()));
    }

    /// Returns true if the tick `by` has claims here.
    pub fn is_claimed_by(&self, by: u32) -> bool {
        self.claims.values().any(|claim| claim.by == by)
    }

    /// Extends the leases of the tick `by` to [`LEASE`] after `now`.
    pub fn renew(&mut self, by: u32, now: DateTime<Utc>) {
        for claim in self.claims.values_mut().filter(|claim| claim.by == by) {
            claim.until = later(now, LEASE).max(claim.until);
        }
    }

    /// Ends the claims of the tick `by`: its targets were served in its minute, except those that are `undone`, which
    /// are due as they were before.
    pub fn settle(&mut self, by: u32, undone: impl Fn(&Identity) -> bool, now: DateTime<Utc>) {
        self.settle_part(by, |_| true, undone, now);
    }

    /// Ends the claims of the targets whose rounds have `ended`. The other claims of the tick are kept.
    pub fn settle_part(
        &mut self,
        by: u32,
        ended: impl Fn(&Identity) -> bool,
        undone: impl Fn(&Identity) -> bool,
        now: DateTime<Utc>,
    ) {
        let mut oldest = Minute::of(now);
        for (id, claim) in self.claims.extract_if(.., |id, claim| claim.by == by && ended(id)) {
            oldest = oldest.min(Minute::from_epoch(claim.minute));
            let minute = if undone(&id) { claim.before } else { claim.minute };
            let served = self.targets.entry(id).or_insert(minute);
            // Another tick may have served it since. A minute in the future is replaced.
            *served = if is_future_minute(*served, now) { minute } else { minute.max(*served) };
        }
        self.prune(oldest, now);
    }

    /// Records that targets were served at `minute`, by schedule or on request.
    pub fn note<'t>(
        &mut self,
        minute: Minute,
        targets: impl IntoIterator<Item = &'t Target>,
        now: DateTime<Utc>,
    ) {
        self.prune(minute, now);
        for target in targets {
            // Deliveries may arrive in any order. A newer entry is kept.
            let served = self.targets.entry(target.id.clone()).or_insert(i64::MIN);
            *served = (*served).max(minute.epoch());
        }
    }

    /// Reverts the record that a tick at `minute` served a target to the minute `before`. The records of other ticks
    /// are kept.
    pub fn take_back(&mut self, id: &Identity, minute: Minute, before: Minute) {
        // The tick that put the target on the bus may still run and have a claim on it.
        if let Some(claim) = self.claims.get(id).filter(|claim| claim.minute == minute.epoch()).copied() {
            self.claims.remove(id);
            self.targets.insert(id.clone(), claim.before);
            return;
        }
        if let Some(served) = self.targets.get_mut(id).filter(|served| **served == minute.epoch()) {
            *served = before.epoch();
        }
    }

    /// Records the instant until which pings may run that no process waits for.
    pub fn note_busy<'t>(&mut self, busy: impl IntoIterator<Item = (&'t Target, DateTime<Utc>)>) {
        for (target, until) in busy {
            let known = self.busy.entry(target.id.clone()).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// Returns the entries with a time in the future, for a warning: targets, and the latest tick.
    pub fn in_future(&self, now: DateTime<Utc>) -> Vec<String> {
        let targets = self.targets.iter().filter(|(_, minute)| is_future_minute(**minute, now));
        let busy = self.busy.iter().filter(|(_, until)| is_too_busy(**until, now));
        let claims = self.claims.iter().filter(|(_, claim)| claim.is_future(now));
        let ids = targets.map(|(id, _)| id).chain(busy.map(|(id, _)| id)).chain(claims.map(|(id, _)| id));
        let ids: BTreeSet<&Identity> = ids.collect();
        let ticked = self.ticked.filter(|ticked| is_future_minute(*ticked, now));
        let ticked = ticked.map(|_| "the latest tick".to_owned());
        ids.into_iter().map(ToString::to_string).chain(ticked).collect()
    }

    /// Drops entries in the future of `now`, and those that are too old to matter for a tick at `at`.
    fn prune(&mut self, at: Minute, now: DateTime<Utc>) {
        let forgotten = at.min(Minute::of(now)).plus(-FORGOTTEN_AFTER.num_minutes()).epoch();
        let is_known = |minute: i64| minute > forgotten && !is_future_minute(minute, now);
        self.targets.retain(|_, served| is_known(*served));
        self.claims.retain(|_, claim| is_known(claim.minute) && !claim.is_future(now));
        self.busy.retain(|_, until| *until > now && !is_too_busy(*until, now));
        self.ticked = self.ticked.filter(|ticked| !is_future_minute(*ticked, now));
    }
}

fn is_too_busy(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    is_future(until, later(now, LONGEST_BUSY))
}
