//! The decision on changes of a target's capacity.
//!
//! Only what warmd has made is changed: by the tag and the names with [`By::Autoscaling`], otherwise by the record in
//! the state store. What was not read leads to no change that depends on it.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};

use super::observe::{
    Bounds, Change, ChangeError, ChangeErrorKind, Observed, ProvisionedState, ProvisionedStatus,
    ScalableTarget, ScheduledAction,
};
use super::report::Status;
use super::schedule::{actions, bounds, desired};
use super::strategy::{By, Managed, Owner, Strategy};
use crate::domain::fleet::Target;
use crate::domain::preflight::Lookup;
use crate::domain::records::{Kept, Made, MadeBy};
use crate::domain::schedule::Minute;

/// The minutes between two attempts at a number that Lambda failed to prepare.
const RETRY_FAILED_MINUTES: i64 = 15;

/// The input of a decision.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'s> {
    /// The target, with the windows of its active requests.
    pub target: &'s Target,
    /// The owner in tags and names.
    pub owner: &'s Owner,
    /// The time.
    pub now: DateTime<Utc>,
    /// True if the target is paused.
    pub is_paused: bool,
    /// The record of the target.
    pub kept: Option<&'s Kept>,
    /// What was read.
    pub observed: &'s Observed,
}

/// The decision on the capacity of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The number of environments wanted now.
    pub desired: u32,
    /// The changes, in order. After a failed one the rest is left to the next tick.
    pub changes: Vec<Change>,
    /// The status without the changes.
    pub status: Status,
    /// The reason for the status.
    pub reason: Option<String>,
    /// The record of what warmd has made, to be stored before the changes; `None` if there is none.
    pub made: Option<Made>,
}

impl Decision {
    fn new(desired: u32, status: Status, made: Option<&Made>) -> Self {
        Self { desired, changes: Vec::new(), status, reason: None, made: made.cloned() }
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    fn with(self, changes: impl IntoIterator<Item = Change>) -> Self {
        Self { changes: changes.into_iter().collect(), ..self }
    }
}

/// Decides on the capacity of a target.
pub fn decide(situation: &Situation<'_>) -> Decision {
    match situation.target.strategy {
        Strategy::Pings => Decision::new(0, Status::Closed, situation.made()),
        Strategy::Provisioned(provisioned) => match provisioned.by {
            By::Direct => situation.direct(),
            By::Autoscaling { max, utilization } => situation.autoscaling(max, utilization),
        },
        Strategy::Managed(managed) => situation.managed(managed),
    }
}

impl Situation<'_> {
    fn made(&self) -> Option<&Made> {
        self.kept?.made.as_ref()
    }

    fn desired(&self) -> u32 {
        desired(self.target, Minute::of(self.now))
    }

    /// Returns the record of something made now, if there is none of this kind.
    fn made_by(&self, by: MadeBy) -> Made {
        match self.made() {
            Some(made) if made.by == by => made.clone(),
            _ => Made {
                by,
                at: self.now,
                numbers: Vec::new(),
                versions: Vec::new(),
                restore: None,
                is_adopted: false,
            },
        }
    }

    /// Returns the reason why a change of provisioned concurrency is not possible, if one is known.
    fn obstacle(&self) -> Option<&'static str> {
        let is_weighted = self.observed.alias.known().is_some_and(|alias| alias.is_weighted);
        if is_weighted {
            Some("alias-weights")
        } else {
            (self.observed.is_updating == Some(true)).then_some("function-updating")
        }
    }

    /// Adds the status of provisioned concurrency: the state in comparison with the wanted bounds.
    fn judged(&self, decision: Decision, state: Option<&ProvisionedState>, wanted: Bounds) -> Decision {
        let (status, reason) = match state {
            None if wanted.min == 0 => (Status::Closed, None),
            None => (Status::InProgress, None),
            Some(state) if state.requested < wanted.min || state.requested > wanted.max => {
                match (self.obstacle(), state.status) {
                    (Some(obstacle), _) => (Status::Waiting, Some(obstacle.to_owned())),
                    (None, ProvisionedStatus::Failed) => (Status::Failed, state.reason.clone()),
                    (None, _) => (Status::InProgress, None),
                }
            }
            Some(state) => match state.status {
                ProvisionedStatus::Failed => (Status::Failed, state.reason.clone()),
                ProvisionedStatus::InProgress if state.available < wanted.min => (Status::InProgress, None),
                _ if state.available >= wanted.min => (Status::Ready, None),
                _ => (Status::InProgress, self.obstacle().map(str::to_owned)),
            },
        };
        Decision { status, reason, ..decision }
    }

    fn direct(&self) -> Decision {
        let (desired, made) = (self.desired(), self.made());
        let decision = |status| Decision::new(desired, status, made);
        let state = match unread(&self.observed.provisioned) {
            Ok(state) => state.as_ref(),
            Err((status, reason)) => return Decision { reason, ..decision(status) },
        };
        let record = self.made_by(MadeBy::Direct);
        match &self.observed.scalable {
            Lookup::Known(Some(scalable)) if self.is_own(scalable) != Some(true) => {
                return decision(Status::Conflict).because("foreign-scalable-target");
            }
            Lookup::Known(Some(_)) if self.is_paused => return decision(Status::Paused),
            Lookup::Known(Some(_)) => {
                // The way was changed from `autoscaling`. Its number is warmd's from now on.
                let numbers = state.map(|state| state.requested).into_iter().collect();
                let made = Some(Made { numbers, ..record });
                return Decision { made, ..decision(Status::InProgress) }.with([Change::Deregister]);
            }
            _ => {}
        }
        if state.is_some_and(|state| !record.numbers.contains(&state.requested)) {
            let was_made = self.made().is_some_and(|made| made.by == MadeBy::Autoscaling);
            if !was_made {
                let reason =
                    if record.numbers.is_empty() { "foreign-configuration" } else { "foreign-change" };
                return decision(Status::Conflict).because(reason);
            }
        }
        if self.is_paused {
            return decision(Status::Paused);
        }
        let wanted = bounds(desired, By::Direct);
        let decision = self.judged(decision(Status::Unknown), state, wanted);
        let change = match (state, NonZeroU32::new(desired)) {
            (None, None) => None,
            (Some(_), None) => Some(Change::DeleteProvisioned),
            (None, Some(number)) => Some(Change::PutProvisioned(number)),
            (Some(state), Some(number)) => {
                let is_busy = state.status == ProvisionedStatus::InProgress;
                let differs = state.requested != desired && !is_busy;
                let has_failed = state.status == ProvisionedStatus::Failed && self.may_retry();
                (differs || has_failed).then_some(Change::PutProvisioned(number))
            }
        };
        let mut numbers: Vec<u32> = state.map(|state| state.requested).into_iter().collect();
        if let Some(Change::PutProvisioned(number)) = &change
            && !numbers.contains(&number.get())
        {
            numbers.push(number.get());
        }
        let is_made = !numbers.is_empty() || self.made().is_some_and(|made| made.by == MadeBy::Direct);
        let made = is_made.then(|| Made { numbers, ..record });
        Decision { made, ..decision }.with(change)
    }

    /// Returns true in the minutes in which a number that Lambda failed to prepare is requested again.
    fn may_retry(&self) -> bool {
        Minute::of(self.now).epoch() % RETRY_FAILED_MINUTES == 0
    }

    /// Returns the number that is requested from Lambda, if known.
    fn requested(&self) -> Option<u32> {
        self.observed.provisioned.known()?.as_ref().map(|state| state.requested)
    }

    /// Returns true if a scalable target has the tag of the owner; `None` if its tags are unknown.
    fn is_own(&self, scalable: &ScalableTarget) -> Option<bool> {
        scalable.owner.known().map(|owner| owner.as_deref() == Some(self.owner.as_str()))
    }

    fn autoscaling(&self, max: u32, utilization: u32) -> Decision {
        let (now, desired, made) = (Minute::of(self.now), self.desired(), self.made());
        let by = By::Autoscaling { max, utilization };
        let decision = |status| Decision::new(desired, status, made);
        let scalable = match unread(&self.observed.scalable) {
            Ok(scalable) => scalable.as_ref(),
            Err((status, reason)) => return Decision { reason, ..decision(status) },
        };
        if let Some(conflict) = self.foreign(scalable) {
            return match conflict {
                Ok(reason) => decision(Status::Conflict).because(reason),
                Err((status, reason)) => Decision { reason, ..decision(status) },
            };
        }
        if self.is_paused {
            let suspend = scalable.filter(|scalable| !scalable.is_suspended);
            let change = suspend.map(|_| Change::Register { bounds: None, suspend: Some(true), owner: None });
            return decision(Status::Paused).with(change);
        }
        let state = self.observed.provisioned.known().and_then(Option::as_ref);
        let wanted = self.tracked(bounds(desired, by), scalable, state);
        let wanted_actions = actions(self.target, self.owner, now);
        let mut changes = Vec::new();
        match scalable {
            None if desired == 0 && wanted_actions.is_empty() => {}
            None => changes.push(Change::Register {
                bounds: Some(wanted),
                suspend: None,
                owner: Some(self.owner.as_str().to_owned()),
            }),
            Some(scalable) => {
                // A change that the service could not carry out is tried again by the same request.
                let is_outside = state.is_some_and(|state| {
                    let is_busy = state.status == ProvisionedStatus::InProgress;
                    !is_busy && (state.requested < wanted.min || state.requested > wanted.max)
                });
                let is_missing = self.observed.provisioned == Lookup::Known(None) && wanted.min > 0;
                let differs = scalable.bounds != wanted || is_outside || is_missing;
                let suspend = scalable.is_suspended.then_some(false);
                if differs || suspend.is_some() {
                    changes.push(Change::Register { bounds: Some(wanted), suspend, owner: None });
                }
            }
        }
        let exists = scalable.is_some() || !changes.is_empty();
        if exists {
            self.compare_policy(scalable.is_none(), utilization, &mut changes);
            self.compare_actions(scalable.is_none(), wanted_actions, &mut changes);
        }
        let decision = self.judged(decision(Status::Unknown), state, wanted);
        let decision = match (&self.observed.provisioned, self.kept.and_then(|kept| kept.seen.as_ref())) {
            (Lookup::NotRead, Some(seen)) if changes.is_empty() && seen.desired == desired => {
                Decision { status: seen.status, reason: seen.reason.clone(), ..decision }
            }
            (Lookup::Known(_), _) => decision,
            (unread, _) if desired > 0 => {
                let status =
                    if matches!(unread, Lookup::NotRead) { Status::InProgress } else { Status::Unknown };
                Decision { status, reason: failure(unread).and_then(|(_, reason)| reason), ..decision }
            }
            _ => decision,
        };
        Decision { made: exists.then(|| self.made_by(MadeBy::Autoscaling)), ..decision }.with(changes)
    }

    /// Returns the reason for a conflict, or the reason why a conflict cannot be excluded; `None` without a conflict.
    fn foreign(&self, scalable: Option<&ScalableTarget>) -> Option<Result<String, (Status, Option<String>)>> {
        let Some(scalable) = scalable else {
            // Before a scalable target is made, the qualifier must be free.
            return match unread(&self.observed.provisioned) {
                Ok(None) => None,
                Ok(Some(_)) if self.made().is_some() => None,
                Ok(Some(_)) => Some(Ok("foreign-configuration".to_owned())),
                Err(unknown) => Some(Err(unknown)),
            };
        };
        match self.is_own(scalable) {
            Some(true) => {}
            Some(false) => return Some(Ok("foreign-scalable-target".to_owned())),
            None => {
                return Some(Err(missed(&scalable.owner)));
            }
        }
        let policies = self.observed.policies.known().into_iter().flatten();
        let policy = policies.map(|policy| &policy.name).find(|name| **name != self.owner.policy());
        let prefix = self.owner.action_prefix();
        let actions = self.observed.actions.known().into_iter().flatten();
        let action = actions.map(|action| &action.name).find(|name| !name.starts_with(&prefix));
        match (policy, action) {
            (Some(_), _) => Some(Ok("foreign-policy".to_owned())),
            (None, Some(_)) => Some(Ok("foreign-scheduled-action".to_owned())),
            (None, None) => None,
        }
    }

    /// Returns the bounds, with the maximum lowered to the minimum while capacity above it is unused. Without traffic
    /// there are no data points, and Application Auto Scaling never scales in.
    ///
    /// Nor does it request a number again that Lambda failed to prepare. Both bounds are then the available number for a
    /// tick, so that the next one requests more.
    fn tracked(
        &self,
        bounds: Bounds,
        scalable: Option<&ScalableTarget>,
        state: Option<&ProvisionedState>,
    ) -> Bounds {
        let failed = state.filter(|state| {
            state.status == ProvisionedStatus::Failed
                && state.available < bounds.min
                && (bounds.min..=bounds.max).contains(&state.requested)
        });
        if let Some(&ProvisionedState { available, .. }) = failed.filter(|_| self.may_retry()) {
            return Bounds { min: available, max: available };
        }
        let is_above = bounds.min > 0 && state.is_some_and(|state| state.requested > bounds.min);
        let is_lowered =
            scalable.is_some_and(|scalable| scalable.bounds == Bounds { max: bounds.min, ..bounds });
        let is_unused = match &self.observed.last_utilization {
            Lookup::Known(last) => last.is_none(),
            _ => is_lowered,
        };
        if is_above && is_unused { Bounds { max: bounds.min, ..bounds } } else { bounds }
    }

    fn compare_policy(&self, is_new: bool, utilization: u32, changes: &mut Vec<Change>) {
        let name = self.owner.policy();
        let is_right = match &self.observed.policies {
            Lookup::Known(policies) => {
                policies.iter().any(|policy| policy.name == name && policy.utilization == Some(utilization))
            }
            _ => !is_new,
        };
        if !is_right {
            changes.push(Change::PutPolicy { name, utilization });
        }
    }

    fn compare_actions(&self, is_new: bool, wanted: Vec<ScheduledAction>, changes: &mut Vec<Change>) {
        let present: &[ScheduledAction] = match &self.observed.actions {
            Lookup::Known(present) => present,
            _ if is_new => &[],
            _ => return,
        };
        let is_missing = |action: &&ScheduledAction| !present.contains(action);
        let obsolete: Vec<Change> = present
            .iter()
            .filter(|present| !wanted.iter().any(|action| action.name == present.name))
            .map(|present| Change::DeleteAction(present.name.clone()))
            .collect();
        // New actions come first: capacity that is not closed costs more than one action too many. The last one, which
        // closes, is the first of them.
        changes.extend(wanted.iter().rev().filter(is_missing).cloned().map(Change::PutAction));
        changes.extend(obsolete);
    }

    fn managed(&self, settings: Managed) -> Decision {
        let desired = self.desired();
        let decision = |status| Decision::new(desired, status, self.made());
        let number = match desired {
            0 => settings.floor,
            desired => desired.max(settings.floor),
        };
        let wanted =
            if number == 0 { Bounds::ZERO } else { Bounds { min: number, max: settings.max.max(number) } };
        let version = match (&self.observed.alias, &self.target.id.qualifier) {
            (Lookup::Known(alias), _) if alias.is_weighted => {
                return decision(Status::Waiting).because("alias-weights");
            }
            (Lookup::Known(alias), _) => alias.version.clone(),
            (Lookup::Missing, Some(qualifier)) => qualifier.clone(),
            (other, _) => {
                let (status, reason) = missed(other);
                return Decision { reason, ..decision(status) };
            }
        };
        let config = |of: &_| {
            let found = self.observed.scaling.iter().find(|(version, _)| version == of);
            found.map_or(&Lookup::NotRead, |(_, config)| config)
        };
        let current = match unread(config(&version)) {
            Ok(current) => *current,
            Err((status, reason)) => return Decision { reason, ..decision(status) },
        };
        let record = self.made_by(MadeBy::Managed);
        let is_known = record.versions.contains(&version);
        // A new version behind an adopted alias belongs to it.
        let is_foreign = current.requested.is_some() && !is_known && !record.is_adopted;
        if is_foreign {
            return decision(Status::Conflict).because("foreign-configuration");
        }
        if self.is_paused {
            return decision(Status::Paused);
        }
        let mut changes = Vec::new();
        if current.requested != Some(wanted) {
            changes.push(Change::PutScaling { version: version.clone(), bounds: wanted });
        }
        let is_applied = current.applied.is_some_and(|applied| applied.min >= wanted.min);
        let floor = match settings.floor {
            0 => Bounds::ZERO,
            min => Bounds { min, max: settings.max.max(min) },
        };
        let mut versions = Vec::new();
        for old in record.versions.iter().filter(|old| **old != version) {
            let is_restored = config(old) == &Lookup::Missing
                || config(old).known().is_some_and(|config| config.requested == Some(floor));
            if !is_restored {
                versions.push(old.clone());
                // The new version takes over first.
                if is_applied {
                    changes.push(Change::PutScaling { version: old.clone(), bounds: floor });
                }
            }
        }
        versions.push(version);
        let (status, reason) = match (current.requested == Some(wanted), is_applied) {
            (true, true) if desired == 0 => (Status::Closed, None),
            (true, true) => (Status::Ready, None),
            _ => (Status::InProgress, self.obstacle().map(str::to_owned)),
        };
        let made = Made { versions, restore: record.restore.or(Some(floor)), ..record };
        Decision { status, reason, made: Some(made), ..decision(Status::Unknown) }.with(changes)
    }
}

/// Returns the changes that delete what warmd has made. Resources of other owners stay.
pub fn release(made: &Made, owner: &Owner, observed: &Observed) -> Vec<Change> {
    match made.by {
        MadeBy::Direct => match &observed.provisioned {
            Lookup::Known(Some(state)) if made.numbers.contains(&state.requested) || made.is_adopted => {
                vec![Change::DeleteProvisioned]
            }
            _ => Vec::new(),
        },
        MadeBy::Autoscaling => {
            let is_own = |scalable: &ScalableTarget| {
                scalable.owner.known().and_then(Option::as_deref) == Some(owner.as_str())
            };
            match (&observed.scalable, &observed.provisioned) {
                (Lookup::Known(Some(scalable)), _) if !is_own(scalable) => Vec::new(),
                (Lookup::Known(Some(_)), _) => vec![Change::Deregister, Change::DeleteProvisioned],
                (Lookup::Known(None), Lookup::Known(Some(_))) => vec![Change::DeleteProvisioned],
                _ => Vec::new(),
            }
        }
        MadeBy::Managed => {
            let Some(bounds) = made.restore else { return Vec::new() };
            let is_left = |version: &&_| {
                let config = observed.scaling.iter().find(|(of, _)| of == *version).map(|(_, config)| config);
                config.is_some_and(|config| {
                    config.known().is_some_and(|config| config.requested.is_some_and(|now| now != bounds))
                })
            };
            let left = made.versions.iter().filter(is_left);
            left.map(|version| Change::PutScaling { version: version.clone(), bounds }).collect()
        }
    }
}

/// Returns the changes that take over the resources of another owner, and the record of them; `None` if there is
/// nothing to take over.
pub fn adopt(situation: &Situation<'_>) -> Option<(Vec<Change>, Made)> {
    let owner = situation.owner;
    let made = |by| Made { is_adopted: true, ..situation.made_by(by) };
    match situation.target.strategy {
        Strategy::Pings => None,
        Strategy::Provisioned(provisioned) => match (provisioned.by, &situation.observed.scalable) {
            (By::Autoscaling { .. }, Lookup::Known(Some(scalable))) => {
                let mut changes = Vec::new();
                if situation.is_own(scalable) != Some(true) {
                    changes.push(Change::Tag { arn: scalable.arn.clone(), owner: owner.as_str().to_owned() });
                }
                let policies = situation.observed.policies.known().into_iter().flatten();
                let foreign = policies.filter(|policy| policy.name != owner.policy());
                changes.extend(foreign.map(|policy| Change::DeletePolicy(policy.name.clone())));
                let actions = situation.observed.actions.known().into_iter().flatten();
                let foreign = actions.filter(|action| !action.name.starts_with(&owner.action_prefix()));
                changes.extend(foreign.map(|action| Change::DeleteAction(action.name.clone())));
                Some((changes, made(MadeBy::Autoscaling)))
            }
            (By::Direct, Lookup::Known(Some(_))) => {
                let numbers = situation.requested().into_iter().collect();
                Some((vec![Change::Deregister], Made { numbers, ..made(MadeBy::Direct) }))
            }
            (by, _) => {
                let requested = situation.requested()?;
                let by = match by {
                    By::Direct => MadeBy::Direct,
                    By::Autoscaling { .. } => MadeBy::Autoscaling,
                };
                Some((Vec::new(), Made { numbers: vec![requested], ..made(by) }))
            }
        },
        Strategy::Managed(_) => {
            let (version, config) = situation.observed.scaling.first()?;
            let before = config.known()?.requested?;
            let versions = vec![version.clone()];
            Some((Vec::new(), Made { versions, restore: Some(before), ..made(MadeBy::Managed) }))
        }
    }
}

/// Returns the status and the reason after the changes of a decision. `failed` is the first change that failed.
pub fn conclude(decision: &Decision, failed: Option<&ChangeError>) -> (Status, Option<String>) {
    let Some(error) = failed else {
        let is_moving = decision.changes.iter().any(|change| {
            matches!(
                change,
                Change::PutProvisioned(_)
                    | Change::DeleteProvisioned
                    | Change::Register { bounds: Some(_), .. }
                    | Change::PutScaling { .. }
            )
        });
        let status = match decision.status {
            Status::Waiting | Status::Paused | Status::Conflict => decision.status,
            Status::Closed if decision.desired == 0 => Status::Closed,
            _ if is_moving => Status::InProgress,
            status => status,
        };
        return (status, decision.reason.clone());
    };
    let (status, reason) = match error.kind {
        ChangeErrorKind::AliasWeights => (Status::Waiting, "alias-weights"),
        ChangeErrorKind::FunctionUpdating => (Status::Waiting, "function-updating"),
        ChangeErrorKind::Quota => (Status::Waiting, "quota"),
        ChangeErrorKind::Throttled => (Status::Waiting, "throttled"),
        ChangeErrorKind::AccessDenied => (Status::Refused, "access-denied"),
        ChangeErrorKind::ServiceLinkedRole => (Status::Refused, "service-linked-role"),
        ChangeErrorKind::NotFound => (Status::Refused, "not-found"),
        ChangeErrorKind::Unknown => (Status::Unknown, "no-answer"),
        ChangeErrorKind::Refused => (Status::Refused, error.message.as_str()),
    };
    (status, Some(reason.to_owned()))
}

/// Returns the value of a read, or the status and reason without it.
fn unread<T>(lookup: &Lookup<T>) -> Result<&T, (Status, Option<String>)> {
    lookup.known().ok_or_else(|| missed(lookup))
}

/// Returns the status and the reason without a value that is needed.
fn missed<T>(lookup: &Lookup<T>) -> (Status, Option<String>) {
    failure(lookup).unwrap_or_else(|| (Status::Unknown, Some("not-read".to_owned())))
}

/// Returns the status and the reason of a read that failed; `None` if it was not tried, or succeeded.
fn failure<T>(lookup: &Lookup<T>) -> Option<(Status, Option<String>)> {
    let (status, reason) = match lookup {
        Lookup::NotRead | Lookup::Known(_) => return None,
        Lookup::Missing => (Status::Refused, "not-found"),
        Lookup::Denied(_) => (Status::Refused, "access-denied"),
        Lookup::Throttled(_) => (Status::Waiting, "throttled"),
        Lookup::Failed(message) | Lookup::Unreachable(message) => (Status::Unknown, message.as_str()),
    };
    Some((status, Some(reason.to_owned())))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
