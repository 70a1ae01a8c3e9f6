//! The capacity of one target during a tick: what is read of it, and what follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::domain::capacity::{
    Bounds, By, Change, ChangeError, Decision, Observed, Owner, ProvisionedStatus, ScalingConfig, Situation,
    Status, Strategy, actions, adopt, conclude, decide, desired, number, release, steps,
};
use crate::domain::fleet::{Role, Target};
use crate::domain::function::Identity;
use crate::domain::future::is_future;
use crate::domain::preflight::Lookup;
use crate::domain::records::{Kept, Made, MadeBy, Seen};
use crate::domain::schedule::{Minute, phase};

/// The age from which the state of a target without capacity is read again.
const CLOSED_FOR: TimeDelta = TimeDelta::hours(1);
/// The time without a count after which the service is asked for what happened.
const GAP: TimeDelta = TimeDelta::minutes(10);
/// The minutes that a change of the number takes at most, when all is well.
const CHANGE_MINUTES: i64 = 5;

/// The purpose of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A tick: what is due.
    Tick,
    /// Everything is read.
    Show,
    /// Everything that warmd has made is removed.
    Release,
    /// What somebody else has made is taken over.
    Adopt,
}

/// The order of reads: the first ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Something is about to change.
    Changing,
    /// Nothing is known.
    Unknown,
    /// It was changed, and is not there yet.
    Unsettled,
    /// It was read at this time.
    Routine(DateTime<Utc>),
    /// No read is needed.
    Idle,
}

/// The capacity of a target during a tick.
pub(super) struct Task {
    /// The place in the report.
    pub order: usize,
    /// The function with its qualifier.
    pub id: Identity,
    /// The identity under which it was recorded: the same function, written with or without its account.
    pub from: Option<Identity>,
    pub urgency: Urgency,
    /// The target; one with pings and without windows for what the configuration no longer names.
    pub target: Target,
    /// True if what warmd has made is to be removed.
    pub is_left: bool,
    /// The role; an error with the ARN of one that the configuration does not have.
    pub role: Result<Option<Arc<Role>>, String>,
    pub kept: Option<Kept>,
    pub is_paused: bool,
    pub desired: u32,
    pub observed: Observed,
    /// True if enough was read to decide.
    pub was_read: bool,
    /// True if policies and scheduled actions are read.
    pub compares: bool,
    /// The numbers since times, to be counted after a gap; `None` if the time cannot be counted yet.
    pub replay: Option<Vec<(DateTime<Utc>, u32)>>,
    /// True if the owner of the scalable target is that of the record.
    pub is_owner_kept: bool,
    /// Whether the scalable target has the tag of the owner, with the time of the read; `None` if it was not read.
    pub confirmed: Option<(bool, DateTime<Utc>)>,
    pub decision: Option<Decision>,
    /// The changes that were made, or in a dry run those that would be.
    pub done: Vec<Change>,
    pub failed: Option<ChangeError>,
    /// True if changes were begun.
    pub is_tried: bool,
    /// True if the changes were not all tried.
    pub is_pending: bool,
    /// The reason why nothing was changed.
    pub blocked: Option<&'static str>,
    /// True if nothing of warmd is left.
    pub is_gone: bool,
}

impl Task {
    pub fn new(target: Target, kept: Option<&Kept>, is_left: bool, now: DateTime<Utc>) -> Self {
        let mut kept = kept.cloned();
        if let Some(kept) = &mut kept {
            // A clock was wrong: it is read again.
            kept.seen.take_if(|seen| is_future(seen.at, now));
        }
        let desired = number(target.strategy, desired(&target, Minute::of(now)));
        Self {
            order: 0,
            id: target.id.without_tenant(),
            from: None,
            urgency: Urgency::Idle,
            is_left,
            role: Ok(target.role.clone()),
            kept,
            is_paused: false,
            desired: if is_left { 0 } else { desired },
            observed: Observed::default(),
            was_read: false,
            compares: false,
            replay: Some(Vec::new()),
            is_owner_kept: false,
            confirmed: None,
            decision: None,
            done: Vec::new(),
            failed: None,
            is_tried: false,
            is_pending: false,
            blocked: None,
            is_gone: false,
            target,
        }
    }

    pub fn made(&self) -> Option<&Made> {
        self.kept.as_ref()?.made.as_ref()
    }

    pub fn seen(&self) -> Option<&Seen> {
        self.kept.as_ref()?.seen.as_ref()
    }

    /// Notes the owner of the scalable target, as it was read at `at`.
    pub fn note_owner(&mut self, owner: Lookup<Option<String>>, own: Option<&Owner>, at: DateTime<Utc>) {
        if let Lookup::Known(Some(scalable)) = &mut self.observed.scalable {
            self.confirmed =
                owner.known().zip(own).map(|(owner, own)| (owner.as_deref() == Some(own.as_str()), at));
            scalable.owner = owner;
        }
    }

    /// Returns the way in which the capacity is or was made.
    pub fn by(&self) -> Option<MadeBy> {
        if self.is_left {
            return self.made().map(|made| made.by);
        }
        match (self.target.strategy, self.target.strategy.by()) {
            (Strategy::Managed(_), _) => Some(MadeBy::Managed),
            (_, Some(By::Direct)) => Some(MadeBy::Direct),
            (_, Some(By::Autoscaling { .. })) => Some(MadeBy::Autoscaling),
            (_, None) => None,
        }
    }

    /// Returns the bounds that the schedule wants.
    pub fn wanted(&self) -> Bounds {
        match (self.desired, self.target.strategy.by()) {
            (0, _) => Bounds::ZERO,
            (min, Some(By::Autoscaling { max, .. })) => Bounds { min, max: max.max(min) },
            (min, _) => Bounds { min, max: min },
        }
    }

    /// Returns a digest of what the scheduled actions follow from. It changes once an hour while the windows stay the
    /// same, at another minute for each target. The schedule itself takes much longer.
    pub fn digest(&self, owner: &Owner, now: DateTime<Utc>) -> String {
        let Target { windows, spare, strategy, .. } = &self.target;
        let text = format!("{owner} {strategy} {spare} {windows:?} {}", self.hour(now));
        Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the beginning of the hour of this target.
    fn hour(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let phase = i64::from(phase(&self.id, 60));
        let minute = Minute::of(now).epoch() - phase;
        Minute::from_epoch(minute.div_euclid(60) * 60 + phase).instant()
    }

    /// Returns the urgency of the reads, after the scalable target was read. Decides whether policies and scheduled
    /// actions are read with them.
    pub fn classify(
        &mut self,
        purpose: Purpose,
        pending: &BTreeSet<Identity>,
        owner: &Owner,
        now: DateTime<Utc>,
    ) -> Urgency {
        let is_autoscaling = self.by() == Some(MadeBy::Autoscaling) && !self.is_left;
        let mut is_moving = self.is_left || pending.contains(&self.id) || purpose != Purpose::Tick;
        if is_autoscaling && !self.is_paused {
            let digest = self.digest(owner, now);
            let (differs, exists) = match &self.observed.scalable {
                Lookup::Known(Some(scalable)) => {
                    (scalable.bounds != self.wanted() || scalable.is_suspended, true)
                }
                Lookup::Known(None) => {
                    (self.desired > 0 || !actions(&self.target, owner, Minute::of(now)).is_empty(), false)
                }
                _ => (false, false),
            };
            let kept = self.kept.as_ref();
            let is_old = kept.and_then(|kept| kept.compared).is_none_or(|at| at < self.hour(now));
            let has_changed = kept.and_then(|kept| kept.actions.as_ref()) != Some(&digest);
            // An earlier conflict is looked for again before anything is changed.
            let is_due = is_old || has_changed || differs;
            let was_conflict = self.seen().is_some_and(|seen| seen.status == Status::Conflict);
            self.compares = exists && (is_due || was_conflict || purpose != Purpose::Tick);
            is_moving |= (differs || exists && (is_old || has_changed)) && !was_conflict;
        } else if purpose == Purpose::Adopt {
            self.compares = true;
        }
        let Some(seen) = self.seen() else {
            return if is_moving { Urgency::Changing } else { Urgency::Unknown };
        };
        let is_unsettled =
            matches!(seen.status, Status::InProgress | Status::Failed | Status::Waiting | Status::Unknown);
        let is_up = match seen.requested {
            Some(requested) => requested > 0,
            // It should be closed, and the read failed.
            None => seen.status == Status::Closed,
        };
        let is_closing = self.desired == 0 && is_up;
        let is_managed = self.by() == Some(MadeBy::Managed);
        let was_paused = (seen.status == Status::Paused) != self.is_paused;
        if is_moving || seen.desired != self.desired || was_paused {
            return Urgency::Changing;
        }
        if is_unsettled || is_closing && !is_managed && seen.status != Status::Conflict {
            return Urgency::Unsettled;
        }
        let is_idle = seen.status == Status::Closed && now.signed_duration_since(seen.at) < CLOSED_FOR;
        if is_idle && !is_managed { Urgency::Idle } else { Urgency::Routine(seen.at) }
    }

    /// Returns true if the alias and the function are read as well: the number is not the wanted one, or its change
    /// takes longer than usual.
    pub fn needs_reason(&self, now: DateTime<Utc>) -> bool {
        let wanted = self.wanted();
        let state = match &self.observed.provisioned {
            Lookup::Known(Some(state)) => state,
            // Directly, the next change shows the reason.
            Lookup::Known(None) if self.by() == Some(MadeBy::Autoscaling) => {
                let was_missing = |seen: &Seen| seen.desired > 0 && seen.requested == Some(0);
                return self.desired > 0 && self.seen().is_some_and(was_missing);
            }
            _ => return false,
        };
        let is_outside = state.requested < wanted.min || state.requested > wanted.max;
        let was_wanted = || desired(&self.target, Minute::of(now).plus(-CHANGE_MINUTES)) == self.desired;
        let is_late = state.status == ProvisionedStatus::InProgress && was_wanted();
        !self.is_left && (is_outside || is_late || state.status == ProvisionedStatus::Failed)
    }

    /// Returns true if the utilization is read: more environments than wanted are up during a window.
    pub fn may_be_unused(&self) -> bool {
        let requested = self.number();
        self.by() == Some(MadeBy::Autoscaling)
            && self.desired > 0
            && requested.is_some_and(|requested| requested > self.desired)
    }

    /// Returns the beginning of a long time that was not counted; `None` without one.
    pub fn gap(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let kept = self.kept.as_ref()?;
        let read = self.seen().filter(|seen| seen.requested.is_some()).map(|seen| seen.at);
        // A read that could not be counted does not end the gap of what is up.
        let counted = if kept.meter.number() > 0 { kept.meter.until } else { kept.meter.until.max(read) }?;
        (self.by() == Some(MadeBy::Autoscaling) && now.signed_duration_since(counted) > GAP)
            .then_some(counted)
    }

    /// Returns the numbers of the schedule since a time, for a service that does not answer what happened.
    pub fn scheduled(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Vec<(DateTime<Utc>, u32)> {
        let steps = steps(&self.target, Minute::of(since), Minute::of(now));
        steps.into_iter().map(|step| (step.at.instant(), step.desired)).collect()
    }

    /// Returns the current version and its numbers on managed instances.
    fn managed(&self) -> Option<&ScalingConfig> {
        self.observed.scaling.first()?.1.known()
    }

    /// Returns the number that is requested, as it was read.
    pub fn number(&self) -> Option<u32> {
        if self.by() == Some(MadeBy::Managed) {
            return self.managed().map(|config| config.requested.map_or(0, |bounds| bounds.min));
        }
        self.observed.provisioned.known().map(|state| state.as_ref().map_or(0, |state| state.requested))
    }

    /// Returns the numbers requested, allocated and available, as they were read.
    pub fn numbers(&self) -> [Option<u32>; 3] {
        if self.by() == Some(MadeBy::Managed) {
            let available = self.managed().map(|config| config.applied.map_or(0, |bounds| bounds.min));
            return [self.number(), None, available];
        }
        match &self.observed.provisioned {
            Lookup::Known(Some(state)) => {
                [Some(state.requested), Some(state.allocated), Some(state.available)]
            }
            Lookup::Known(None) => [Some(0); 3],
            _ => [None; 3],
        }
    }

    /// Returns the number of environments that are up and billed, after the changes.
    pub fn billed(&self) -> Option<u32> {
        let last = self.done.iter().rev().find_map(|change| match change {
            Change::PutProvisioned(number) => Some(number.get()),
            Change::DeleteProvisioned => Some(0),
            _ => None,
        });
        last.or_else(|| match &self.observed.provisioned {
            Lookup::Known(Some(state)) if state.status == ProvisionedStatus::Failed => Some(state.allocated),
            _ if self.by() == Some(MadeBy::Managed) => None,
            _ => self.number(),
        })
    }

    /// Decides with what was read.
    pub fn judge(&mut self, purpose: Purpose, owner: &Owner, now: DateTime<Utc>) {
        let (target, kept, observed) = (&self.target, self.kept.as_ref(), &self.observed);
        let situation = Situation { target, owner, now, is_paused: self.is_paused, kept, observed };
        self.decision = Some(match purpose {
            Purpose::Adopt => {
                let (changes, made) = adopt(&situation).unzip();
                let unread = self.unread_by_adopt();
                let (status, reason) = match (&made, unread) {
                    (Some(_), _) => (Status::InProgress, None),
                    (None, None) => (Status::Refused, Some("nothing-to-adopt".to_owned())),
                    (None, Some(reason)) if reason == "access-denied" => (Status::Refused, Some(reason)),
                    (None, Some(reason)) => (Status::Unknown, Some(reason)),
                };
                let changes = changes.unwrap_or_default();
                Decision { desired: self.desired, changes, status, reason, made }
            }
            _ if self.is_left => self.removal(purpose, owner),
            _ => {
                let decision = decide(&situation);
                // A record is dropped once nothing is there.
                let is_empty = observed.provisioned == Lookup::Known(None)
                    || matches!(self.target.strategy, Strategy::Managed(_));
                let made = decision.made.or_else(|| self.made().filter(|_| !is_empty).cloned());
                let (status, reason) = self.explain(decision.status, decision.reason);
                Decision { desired: self.desired, status, reason, made, ..decision }
            }
        });
        self.is_gone = self.is_left
            && self.decision.as_ref().is_some_and(|decision| {
                decision.changes.is_empty() && !matches!(decision.status, Status::Paused | Status::Unknown)
            });
    }

    /// Adds what only a service's message or a refused read explains to the status and the reason.
    fn explain(&self, status: Status, reason: Option<String>) -> (Status, Option<String>) {
        let is_denied = matches!(self.observed.policies, Lookup::Denied(_))
            || matches!(self.observed.actions, Lookup::Denied(_));
        match (status, reason) {
            // The floor of managed instances serves requests outside of windows.
            (Status::Closed, None) if self.desired > 0 => (Status::Ready, None),
            (Status::Ready, None) if is_denied => (Status::Ready, Some("access-denied".to_owned())),
            (status, reason) => (status, reason),
        }
    }

    /// Returns the reason why it is unknown what can be taken over; `None` if it is known.
    fn unread_by_adopt(&self) -> Option<String> {
        let observed = &self.observed;
        if self.by() == Some(MadeBy::Managed) {
            return reason(&observed.alias).or_else(|| reason(&observed.scaling.first()?.1));
        }
        reason(&observed.scalable).or_else(|| reason(&observed.provisioned))
    }

    /// Decides on the removal of what warmd has made.
    fn removal(&self, purpose: Purpose, owner: &Owner) -> Decision {
        let made = self.made().cloned();
        let decision = |status, reason: Option<String>, changes| Decision {
            desired: 0,
            changes,
            status,
            reason,
            made: made.clone(),
        };
        if self.is_paused && purpose == Purpose::Tick {
            return decision(Status::Paused, None, Vec::new());
        }
        if let Some(reason) = self.unread() {
            return decision(Status::Unknown, Some(reason), Vec::new());
        }
        let changes = made.as_ref().map_or_else(Vec::new, |made| release(made, owner, &self.observed));
        let is_there = !matches!(self.observed.provisioned, Lookup::Known(None) | Lookup::Missing);
        match changes.is_empty() {
            false => decision(Status::InProgress, Some("left-over".to_owned()), changes),
            true if is_there && self.by() != Some(MadeBy::Managed) => {
                decision(Status::Conflict, Some("foreign-change".to_owned()), changes)
            }
            true => decision(Status::Closed, None, changes),
        }
    }

    /// Returns the reason why it is unknown what is left; `None` if it is known.
    fn unread(&self) -> Option<String> {
        let observed = &self.observed;
        match self.by() {
            Some(MadeBy::Managed) => observed.scaling.iter().find_map(|(_, config)| reason(config)),
            Some(MadeBy::Direct) => reason(&observed.provisioned),
            Some(MadeBy::Autoscaling) => {
                let owner = match &observed.scalable {
                    Lookup::Known(Some(scalable)) => reason(&scalable.owner),
                    Lookup::Missing => None,
                    other => reason(other),
                };
                owner.or_else(|| reason(&observed.provisioned))
            }
            None => None,
        }
    }

    /// Returns the status and the reason after the changes.
    pub fn conclusion(&self, is_dry: bool) -> (Status, Option<String>) {
        let Some(decision) = &self.decision else {
            return match (&self.role, self.blocked, self.seen()) {
                (Err(role), ..) => {
                    (Status::Unknown, Some(format!("role {role} is not in the configuration")))
                }
                (_, Some(blocked), _) => (Status::Unknown, Some(blocked.to_owned())),
                // What was seen does not say whether another number is there.
                (_, None, Some(seen)) if seen.desired == self.desired => (seen.status, seen.reason.clone()),
                (_, None, _) => {
                    let status = match &self.observed.scalable {
                        Lookup::Throttled(_) => Status::Waiting,
                        Lookup::Denied(_) => Status::Refused,
                        _ => Status::Unknown,
                    };
                    let failed =
                        reason(&self.observed.scalable).or_else(|| reason(&self.observed.provisioned));
                    (status, failed.or_else(|| Some("not-read".to_owned())))
                }
            };
        };
        let is_concluded = decision.changes.is_empty() && decision.status != Status::Conflict;
        if let Some(blocked) = self.blocked.filter(|_| !is_concluded) {
            return (Status::Unknown, Some(blocked.to_owned()));
        }
        if is_dry {
            return (decision.status, decision.reason.clone());
        }
        let made = Decision { changes: self.done.clone(), ..decision.clone() };
        conclude(&made, self.failed.as_ref())
    }

    /// Returns true if policies and scheduled actions are as they should be after this tick.
    pub fn has_compared(&self) -> bool {
        let is_new = self.observed.scalable == Lookup::Known(None);
        let was_read = self.observed.actions.known().is_some() && self.observed.policies.known().is_some();
        let is_free = self.decision.as_ref().is_some_and(|decision| {
            !matches!(decision.status, Status::Conflict | Status::Paused | Status::Unknown)
        });
        let is_whole = !self.is_pending && self.failed.is_none() && self.blocked.is_none();
        self.by() == Some(MadeBy::Autoscaling) && !self.is_left && (is_new || was_read) && is_free && is_whole
    }
}

/// Returns the reason why a value is unknown; `None` if it is known, or known to be missing.
fn reason<T>(lookup: &Lookup<T>) -> Option<String> {
    Some(match lookup {
        Lookup::Known(_) | Lookup::Missing => return None,
        Lookup::NotRead => "not-read".to_owned(),
        Lookup::Denied(_) => "access-denied".to_owned(),
        Lookup::Throttled(_) => "throttled".to_owned(),
        Lookup::Failed(message) | Lookup::Unreachable(message) => message.clone(),
    })
}
