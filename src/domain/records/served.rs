//! When each target was last served, and which targets a tick has claimed.
//!
//! A tick claims its targets before it pings them, for [`LEASE`]; it renews the lease while its rounds run, and notes
//! the targets as served when they have ended. The claim of a process that has died lapses, and the next tick finds
//! its targets late.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{FORGOTTEN_AFTER, key};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::future::{is_future, is_future_minute, later};
use crate::domain::schedule::{self, Minute};

/// The lease of a claim that is not renewed.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The longest that pings can be in flight: 15 minutes, which is the longest that Lambda runs a function, and its init
/// and the network. A later instant in `busy` comes from a clock that was wrong.
const LONGEST_BUSY: TimeDelta = TimeDelta::minutes(20);

/// When each target was last served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The minute since the epoch of the latest tick.
    pub ticked: Option<i64>,
    /// The minute since the epoch in which a target was last served, by target, see [`key`].
    pub targets: BTreeMap<String, i64>,
    /// The targets with pings whose end no process awaited, and the instant until which they may run.
    #[serde(default)]
    pub busy: BTreeMap<String, DateTime<Utc>>,
    /// Targets that a tick is serving, by target.
    #[serde(default)]
    pub claims: BTreeMap<String, Claim>,
}

/// A target that a tick is serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A random number of the tick. It identifies a write whose answer was lost.
    pub by: u32,
    /// The tick's minute since the epoch.
    pub minute: i64,
    /// Since which minute the target had been due. It still is when the claim lapses.
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
    /// Selects the targets that a tick at `at` serves; `previous` is the schedule's firing before, `now` the own clock.
    ///
    /// Whatever has been due for a target since it was last served: what a lost tick has left is made up for at the
    /// next one, and what has been served or claimed in this minute is not served again. Targets of which nothing is
    /// known have been due since the firing before, or since the latest tick when that is longer ago. A tick in this
    /// very minute says nothing about them: it may be that of another process, which has other targets.
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
            let since = self.since(&key(target), previous, now);
            let reason = schedule::due_since(target, since, at)?;
            Some(schedule::DueTarget { index, desired: schedule::desired(target, at), reason })
        });
        due.collect()
    }

    /// The minute after which minutes count as due for the target of that [`key`].
    fn since(&self, key: &str, previous: Minute, now: DateTime<Utc>) -> Minute {
        let known = |minute: &i64| !is_future_minute(*minute, now);
        let served = self.targets.get(key).copied().filter(known);
        let last = match self.claims.get(key).filter(|claim| !claim.is_future(now)) {
            Some(claim) if claim.holds(now) => served.max(Some(claim.minute)),
            Some(claim) => served.or(Some(claim.before)),
            None => served,
        };
        let ticked = self.ticked.filter(known).map(Minute::from_epoch);
        last.map_or_else(|| ticked.map_or(previous, |ticked| ticked.min(previous)), Minute::from_epoch)
    }

    /// Returns true if pings that were left in flight may still run at `now`.
    ///
    /// A claim that holds means that a process serves the target: it renews the claim until the round has ended.
    pub fn is_busy(&self, target: &Target, now: DateTime<Utc>) -> bool {
        let key = key(target);
        self.busy.get(&key).is_some_and(|until| now < *until && !is_too_busy(*until, now))
            || self.claims.get(&key).is_some_and(|claim| claim.holds(now))
    }

    /// Claims targets for a tick at `at`, until [`LEASE`] after `now`. Drops what is too old or in the future.
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
            let key = key(target);
            // There is a due minute in every interval: nothing before it matters.
            let interval_ago = at.plus(-i64::from(target.interval_minutes));
            let before = self.since(&key, previous, now).max(interval_ago).epoch();
            self.claims.insert(key, Claim { by, minute: at.epoch(), before, until });
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

    /// Ends the claims of the tick `by`: its targets were served in its minute, except those that `undone` names by
    /// their [`key`], which are due as they were before.
    pub fn settle(&mut self, by: u32, undone: impl Fn(&str) -> bool, now: DateTime<Utc>) {
        self.settle_part(by, |_| true, undone, now);
    }

    /// The same for the targets whose rounds have `ended`. The other claims of the tick stay.
    pub fn settle_part(
        &mut self,
        by: u32,
        ended: impl Fn(&str) -> bool,
        undone: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
    ) {
        let mut oldest = Minute::of(now);
        for (key, claim) in self.claims.extract_if(.., |key, claim| claim.by == by && ended(key)) {
            oldest = oldest.min(Minute::from_epoch(claim.minute));
            let minute = if undone(&key) { claim.before } else { claim.minute };
            let served = self.targets.entry(key).or_insert(minute);
            // Another tick may have served it since. What lies in the future is replaced.
            *served = if is_future_minute(*served, now) { minute } else { minute.max(*served) };
        }
        self.prune(oldest, now);
    }

    /// Notes that targets were served at `minute`, by schedule or on request.
    pub fn note<'t>(
        &mut self,
        minute: Minute,
        targets: impl IntoIterator<Item = &'t Target>,
        now: DateTime<Utc>,
    ) {
        self.prune(minute, now);
        for target in targets {
            // Deliveries may overtake each other: what is known stays when it is newer.
            let served = self.targets.entry(key(target)).or_insert(i64::MIN);
            *served = (*served).max(minute.epoch());
        }
    }

    /// Takes back that a tick at `minute` has served the target of that [`key`]: it was served at `before`. Nothing
    /// is taken back of what another tick has noted.
    pub fn take_back(&mut self, key: &str, minute: Minute, before: Minute) {
        // The tick that has handed the target on may still run, and have it claimed.
        if let Some(claim) = self.claims.get(key).filter(|claim| claim.minute == minute.epoch()).copied() {
            self.claims.remove(key);
            self.targets.insert(key.to_owned(), claim.before);
            return;
        }
        if let Some(served) = self.targets.get_mut(key).filter(|served| **served == minute.epoch()) {
            *served = before.epoch();
        }
    }

    /// Notes the instant until which pings may run whose end no process awaited.
    pub fn note_busy<'t>(&mut self, busy: impl IntoIterator<Item = (&'t Target, DateTime<Utc>)>) {
        for (target, until) in busy {
            let known = self.busy.entry(key(target)).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// The targets with a stored time in the future, and the latest tick if it lies there, for a warning.
    pub fn in_future(&self, now: DateTime<Utc>) -> Vec<&str> {
        let targets = self.targets.iter().filter(|(_, minute)| is_future_minute(**minute, now));
        let busy = self.busy.iter().filter(|(_, until)| is_too_busy(**until, now));
        let claims = self.claims.iter().filter(|(_, claim)| claim.is_future(now));
        let mut keys: Vec<&str> = targets.map(|(key, _)| key.as_str()).collect();
        keys.extend(busy.map(|(key, _)| key.as_str()));
        keys.extend(claims.map(|(key, _)| key.as_str()));
        keys.extend(self.ticked.filter(|ticked| is_future_minute(*ticked, now)).map(|_| "the latest tick"));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Drops what lies in the future of `now`, and what is too old to matter for a tick at `at`.
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
