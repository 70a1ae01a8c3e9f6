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
use crate::domain::records::{Kept, Made, MadeBy, Seen};
use crate::domain::schedule::Minute;

/// The minutes between two attempts at a number that Lambda failed to prepare.
const RETRY_FAILED_MINUTES: i64 = 15;
/// The quota of scheduled actions of a scalable target. Source: Application Auto Scaling quotas.
const QUOTA_ACTIONS: usize = 200;
/// The reason when another owner has the scalable target.
const FOREIGN_TARGET: &str = "foreign-scalable-target";

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
    /// The observations.
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
            _ => Made::new(by, self.now),
        }
    }

    /// Returns the status and the reason while a change of provisioned concurrency is not possible, if one is known.
    fn obstacle(&self) -> Option<(Status, &str)> {
        let Observed { alias, is_updating, last_failure, .. } = self.observed;
        if alias.known().is_some_and(|alias| alias.is_weighted()) {
            return Some((Status::Waiting, "alias-weights"));
        }
        if *is_updating == Some(true) {
            return Some((Status::Waiting, "function-updating"));
        }
        let failure = last_failure.as_ref()?;
        let is_over = match failure.kind {
            ChangeErrorKind::AliasWeights => alias.known().is_some(),
            ChangeErrorKind::FunctionUpdating => *is_updating == Some(false),
            ChangeErrorKind::Unknown => true,
            _ => false,
        };
        (!is_over).then(|| meaning(failure))
    }

    /// Adds the status of provisioned concurrency: the state in comparison with the wanted bounds.
    fn judged(&self, decision: Decision, state: Option<&ProvisionedState>, wanted: Bounds) -> Decision {
        let (status, reason) = match state {
            None if wanted.min == 0 => (Status::Closed, None),
            None => match self.obstacle() {
                Some((status, reason)) => (status, Some(reason.to_owned())),
                None => (Status::InProgress, None),
            },
            Some(state) if state.requested < wanted.min || state.requested > wanted.max => {
                match (self.obstacle(), state.status) {
                    (Some((status, reason)), _) => (status, Some(reason.to_owned())),
                    (None, ProvisionedStatus::Failed) => (Status::Failed, state.reason.clone()),
                    (None, _) => (Status::InProgress, None),
                }
            }
            Some(state) => match state.status {
                ProvisionedStatus::Failed => (Status::Failed, state.reason.clone()),
                ProvisionedStatus::InProgress if state.available < wanted.min => (Status::InProgress, None),
                _ if state.available >= wanted.min => (Status::Ready, None),
                _ => (Status::InProgress, self.obstacle().map(|(_, reason)| reason.to_owned())),
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
        match unread(&self.observed.scalable) {
            Err((status, reason)) => return Decision { reason, ..decision(status) },
            Ok(None) => {}
            Ok(Some(scalable)) => {
                return match self.is_own(scalable) {
                    Some(false) => decision(Status::Conflict).because(FOREIGN_TARGET),
                    None => {
                        let (status, reason) = missed(&scalable.owner);
                        Decision { reason, ..decision(status) }
                    }
                    Some(true) if self.is_paused => decision(Status::Paused),
                    Some(true) => {
                        // The way was changed from `autoscaling`. The number is taken over once nothing else changes it.
                        let made = Some(self.made_by(MadeBy::Autoscaling));
                        Decision { made, ..decision(Status::InProgress) }.with([Change::Deregister])
                    }
                };
            }
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
                (differs || self.retries(state)).then_some(Change::PutProvisioned(number))
            }
        };
        let mut numbers: Vec<u32> = state.map(|state| state.requested).into_iter().collect();
        if let Some(Change::PutProvisioned(number)) = &change
            && !numbers.contains(&number.get())
        {
            numbers.push(number.get());
        }
        let is_made = !numbers.is_empty() || self.made().is_some_and(|made| made.by == MadeBy::Direct);
        let made = is_made.then_some(Made { numbers, ..record });
        Decision { made, ..decision }.with(change)
    }

    /// Returns true if a number that Lambda failed to prepare is requested again.
    fn retries(&self, state: &ProvisionedState) -> bool {
        // In the first tick of every quarter of an hour.
        let part = |at| Minute::of(at).epoch().div_euclid(RETRY_FAILED_MINUTES);
        let seen = self.kept.and_then(|kept| kept.seen.as_ref());
        let is_time = seen.is_none_or(|seen| part(seen.at) != part(self.now));
        state.status == ProvisionedStatus::Failed && is_time
    }

    /// Returns the number that is requested from Lambda, if known.
    fn requested(&self) -> Option<u32> {
        self.observed.provisioned.known()?.as_ref().map(|state| state.requested)
    }

    /// Returns true if a scalable target has the tag of the owner, or of the owner with which it was made; `None` if its
    /// tags are unknown.
    fn is_own(&self, scalable: &ScalableTarget) -> Option<bool> {
        is_own(scalable, self.owner, self.made())
    }

    /// Returns true if a policy or a scheduled action is that of the owner.
    fn has_made(&self, name: &str) -> bool {
        let earlier = self.made().and_then(|made| made.owner.as_deref()).and_then(Owner::parse);
        self.owner.has_made(name) || earlier.is_some_and(|owner| owner.has_made(name))
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
                // Another owner has taken it over.
                Ok(reason) if reason == FOREIGN_TARGET => {
                    Decision { made: None, ..decision(Status::Conflict) }.because(reason)
                }
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
            None if desired == 0 && wanted_actions.is_empty() => {
                changes.extend(state.map(|_| Change::DeleteProvisioned));
            }
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
                if scalable.owner.known().and_then(Option::as_deref) != Some(self.owner.as_str()) {
                    let (arn, owner) = (scalable.arn.clone(), self.owner.as_str().to_owned());
                    changes.push(Change::Tag { arn, owner });
                }
                if differs || suspend.is_some() {
                    changes.push(Change::Register { bounds: Some(wanted), suspend, owner: None });
                }
                // The service does not request a number again that Lambda failed to prepare.
                let failed = state.filter(|state| !is_outside && self.retries(state));
                let number = failed.and_then(|state| NonZeroU32::new(state.requested));
                changes.extend(number.map(Change::PutProvisioned));
            }
        }

        let exists =
            scalable.is_some() || changes.iter().any(|change| matches!(change, Change::Register { .. }));
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

            (Lookup::NotRead, _) if desired == 0 => decision,
            (Lookup::NotRead, _) => Decision { status: Status::InProgress, reason: None, ..decision },
            (unread, _) => {
                let (status, reason) = missed(unread);
                Decision { status, reason, ..decision }
            }
        };
        let is_left = exists || state.is_some();
        let tag = scalable.and_then(|scalable| scalable.owner.known().cloned().flatten());
        let made = is_left.then(|| Made {
            bounds: vec![wanted],
            // The tag as it is, until a change of the owner is seen.
            owner: tag.or_else(|| Some(self.owner.as_str().to_owned())),
            ..self.made_by(MadeBy::Autoscaling)
        });
        Decision { made, ..decision }.with(changes)
    }

    /// Returns the reason for a conflict, or the reason why a conflict cannot be excluded; `None` without a conflict.
    fn foreign(&self, scalable: Option<&ScalableTarget>) -> Option<Result<String, (Status, Option<String>)>> {
        let Some(scalable) = scalable else {
            // Before a scalable target is made, the qualifier must be free.
            return match unread(&self.observed.provisioned) {
                Ok(None) => None,

                Ok(Some(state)) if self.made().is_some_and(|made| may_be_of(made, state.requested)) => None,
                Ok(Some(_)) => Some(Ok("foreign-configuration".to_owned())),
                Err(unknown) => Some(Err(unknown)),
            };
        };
        match self.is_own(scalable) {
            Some(true) => {}
            Some(false) => return Some(Ok(FOREIGN_TARGET.to_owned())),
            None => return Some(Err(missed(&scalable.owner))),
        }
        let policies = self.observed.policies.known().into_iter().flatten();
        let actions = self.observed.actions.known().into_iter().flatten();
        if policies.map(|policy| &policy.name).any(|name| !self.has_made(name)) {
            Some(Ok("foreign-policy".to_owned()))
        } else if actions.map(|action| &action.name).any(|name| !self.has_made(name)) {
            Some(Ok("foreign-scheduled-action".to_owned()))
        } else {
            self.is_requested_by_others(scalable).then(|| Ok("foreign-configuration".to_owned()))
        }
    }

    /// Returns true if there is capacity although the scalable target allows none and there was none: Application Auto
    /// Scaling has not requested it.
    fn is_requested_by_others(&self, scalable: &ScalableTarget) -> bool {
        let seen = self.kept.and_then(|kept| kept.seen.as_ref());
        let was_theirs = |seen: &Seen| seen.requested == Some(0) || seen.status == Status::Conflict;
        scalable.bounds == Bounds::ZERO
            && self.requested().is_some_and(|number| number > 0)
            && seen.is_some_and(was_theirs)
    }

    /// Returns the bounds, with the maximum lowered to the minimum while capacity above it is unused. Without traffic
    /// there are no data points, and Application Auto Scaling never scales in.
    fn tracked(
        &self,
        bounds: Bounds,
        scalable: Option<&ScalableTarget>,
        state: Option<&ProvisionedState>,
    ) -> Bounds {
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
        let policies = self.observed.policies.known().into_iter().flatten();
        let earlier = policies.filter(|policy| policy.name != name && self.has_made(&policy.name));
        changes.extend(earlier.map(|policy| Change::DeletePolicy(policy.name.clone())));
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

        // The last action, which closes, comes first. Obsolete ones are deleted last, unless the quota needs their room.
        let mut missing: Vec<Change> =
            wanted.iter().rev().filter(is_missing).cloned().map(Change::PutAction).collect();
        let others = match present.len() + missing.len() > QUOTA_ACTIONS {
            true => missing.split_off(missing.len().min(1)),
            false => Vec::new(),
        };
        changes.extend(missing.into_iter().chain(obsolete).chain(others));
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

        let is_weighted = self.observed.alias.known().is_some_and(|alias| alias.is_weighted());
        let version = match (&self.observed.alias, &self.target.id.qualifier) {
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
        let is_foreign = current.is_configured() && !is_known && !record.is_adopted;

        let is_changed = is_known && current.target().is_some_and(|now| !record.bounds.contains(&now));
        if self.is_paused {
            return decision(Status::Paused);
        }
        let mut changes = Vec::new();
        if !is_foreign && !is_changed && current.target() != Some(wanted) {
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
                || config(old).known().is_some_and(|config| config.target() == Some(floor));
            if !is_restored {
                versions.push(old.clone());

                // The new version takes over first. One with a weight still serves users.
                if (is_applied || is_foreign) && !is_weighted {
                    changes.push(Change::PutScaling { version: old.clone(), bounds: floor });
                }
            }
        }

        if is_foreign || is_changed {
            let reason = if is_foreign { "foreign-configuration" } else { "foreign-change" };
            versions.extend(is_changed.then_some(version));
            let made = (!versions.is_empty()).then_some(Made { versions, ..record });
            return Decision { made, ..decision(Status::Conflict) }.because(reason).with(changes);
        }
        versions.push(version);
        let mut now: Vec<Bounds> = current.target().into_iter().collect();
        if !now.contains(&wanted) {
            now.push(wanted);
        }
        let (status, reason) = match (current.target() == Some(wanted), is_applied) {
            (true, true) if desired == 0 => (Status::Closed, None),
            (true, true) => (Status::Ready, None),
            _ => (Status::InProgress, self.obstacle().map(|(_, reason)| reason.to_owned())),
        };

        let restore = record.restore.or(current.target()).or(Some(floor));
        let made = Made { versions, restore, bounds: now, ..record };
        Decision { status, reason, made: Some(made), ..decision(Status::Unknown) }.with(changes)
    }
}

/// Returns the changes that delete what warmd has made. Resources of other owners stay.
pub fn release(made: &Made, owner: &Owner, observed: &Observed) -> Vec<Change> {
    match made.by {
        MadeBy::Direct | MadeBy::Autoscaling => match (&observed.scalable, &observed.provisioned) {
            (Lookup::Known(Some(scalable)), _) if is_own(scalable, owner, Some(made)) != Some(true) => {
                Vec::new()
            }
            (Lookup::Known(Some(_)), _) => vec![Change::Deregister, Change::DeleteProvisioned],
            (Lookup::Known(None), Lookup::Known(Some(state))) if may_be_of(made, state.requested) => {
                vec![Change::DeleteProvisioned]
            }
            _ => Vec::new(),
        },
        MadeBy::Managed => {
            let Some(bounds) = made.restore else { return Vec::new() };
            let is_left = |version: &&_| {
                let config = observed.scaling.iter().find(|(of, _)| of == *version).map(|(_, config)| config);
                config.is_some_and(|config| {
                    config.known().is_some_and(|config| config.target().is_some_and(|now| now != bounds))
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

    let made = |by| {
        let owner = (by == MadeBy::Autoscaling).then(|| owner.as_str().to_owned());
        Made { is_adopted: true, owner, ..situation.made_by(by) }
    };
    match situation.target.strategy {
        Strategy::Pings => None,
        Strategy::Provisioned(provisioned) => match (provisioned.by, &situation.observed.scalable) {
            (By::Autoscaling { .. }, Lookup::Known(Some(scalable))) => {
                let mut changes = Vec::new();
                if situation.is_own(scalable) != Some(true) {
                    changes.push(Change::Tag { arn: scalable.arn.clone(), owner: owner.as_str().to_owned() });
                }
                let policies = situation.observed.policies.known().into_iter().flatten();
                let foreign = policies.filter(|policy| !situation.has_made(&policy.name));
                changes.extend(foreign.map(|policy| Change::DeletePolicy(policy.name.clone())));
                let actions = situation.observed.actions.known().into_iter().flatten();
                let foreign = actions.filter(|action| !situation.has_made(&action.name));
                changes.extend(foreign.map(|action| Change::DeleteAction(action.name.clone())));
                Some((changes, made(MadeBy::Autoscaling)))
            }

            // The number is taken over once nothing else changes it.
            (By::Direct, Lookup::Known(Some(scalable))) => {
                // Only a target with the tag is deregistered.
                let (arn, owner) = (scalable.arn.clone(), owner.as_str().to_owned());
                Some((vec![Change::Tag { arn, owner }, Change::Deregister], made(MadeBy::Autoscaling)))
            }
            (by, _) => {
                let requested = situation.requested()?;
                let by = match by {
                    By::Direct => MadeBy::Direct,
                    By::Autoscaling { .. } => MadeBy::Autoscaling,
                };

                let bounds = vec![Bounds { min: requested, max: requested }];
                Some((Vec::new(), Made { numbers: vec![requested], bounds, ..made(by) }))
            }
        },
        Strategy::Managed(_) => {
            let (version, config) = situation.observed.scaling.first()?;
            let before = config.known()?.target()?;

            let record = made(MadeBy::Managed);
            let (versions, restore) = (vec![version.clone()], record.restore.or(Some(before)));
            Some((Vec::new(), Made { versions, restore, bounds: vec![before], ..record }))
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
            Status::Waiting | Status::Refused | Status::Paused | Status::Conflict => decision.status,
            Status::Closed if decision.desired == 0 => Status::Closed,
            _ if is_moving => Status::InProgress,
            status => status,
        };
        return (status, decision.reason.clone());
    };
    let (status, reason) = meaning(error);
    (status, Some(reason.to_owned()))
}

/// Returns the status and the reason after a failed change.
fn meaning(error: &ChangeError) -> (Status, &str) {
    match error.kind {
        ChangeErrorKind::AliasWeights => (Status::Waiting, "alias-weights"),
        ChangeErrorKind::FunctionUpdating => (Status::Waiting, "function-updating"),
        ChangeErrorKind::Quota => (Status::Waiting, "quota"),
        ChangeErrorKind::Throttled => (Status::Waiting, "throttled"),
        ChangeErrorKind::AccessDenied => (Status::Refused, "access-denied"),
        ChangeErrorKind::ServiceLinkedRole => (Status::Refused, "service-linked-role"),
        ChangeErrorKind::NotFound => (Status::Refused, "not-found"),
        ChangeErrorKind::Unknown => (Status::Unknown, "no-answer"),
        ChangeErrorKind::Refused => (Status::Refused, error.message.as_str()),
    }
}

/// Returns the value of a read, or the status and reason without it.
fn unread<T>(lookup: &Lookup<T>) -> Result<&T, (Status, Option<String>)> {
    lookup.known().ok_or_else(|| missed(lookup))
}

/// Returns the status and the reason without a value that is needed.
fn missed<T>(lookup: &Lookup<T>) -> (Status, Option<String>) {
    failure(lookup).unwrap_or_else(|| (Status::Unknown, Some("not-read".to_owned())))
}

/// Returns true if a scalable target has the tag of `owner`, or of the owner with which it was made; `None` if its tags
/// are unknown.
fn is_own(scalable: &ScalableTarget, owner: &Owner, made: Option<&Made>) -> Option<bool> {
    let tag = scalable.owner.known()?.as_deref();
    let earlier = made.and_then(|made| made.owner.as_deref());
    Some(tag.is_some_and(|tag| tag == owner.as_str() || Some(tag) == earlier))
}

/// Returns true if a number without a scalable target can be the one that was made.
fn may_be_of(made: &Made, requested: u32) -> bool {
    match made.by {
        MadeBy::Direct => made.numbers.contains(&requested),
        // A scheduled action may have opened since the bounds were 0.
        MadeBy::Autoscaling => {
            let is_within = |bounds: &Bounds| (bounds.min..=bounds.max).contains(&requested);
            made.bounds.is_empty() || made.bounds.contains(&Bounds::ZERO) || made.bounds.iter().any(is_within)
        }
        MadeBy::Managed => false,
    }
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
