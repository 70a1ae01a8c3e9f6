//! Reads of the capacity of targets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::lane::Requests;
use super::task::{Purpose, Task};
use crate::domain::capacity::{Owner, ScalableTarget};
use crate::domain::function::Identity;
use crate::domain::future::is_future;
use crate::domain::preflight::Lookup;
use crate::domain::records::MadeBy;
use crate::domain::schedule::phase;
use crate::engine::capacity::{CapacityControl, Listed, Place};

/// The most functions of a DescribeScalableTargets. Source: Application Auto Scaling API.
const CHUNK: usize = 50;
/// The owners that are confirmed again in a tick, of those whose confirmation is older than an hour and a part of
/// another one.
const CONFIRMED_IN_TICK: usize = 10;
/// The time for which the owner of a scalable target is remembered.
const OWNED_FOR: TimeDelta = TimeDelta::hours(1);
/// The time without a data point after which capacity is unused.
const UNUSED_AFTER: TimeDelta = TimeDelta::minutes(15);

/// The age up to which the failure of a change explains why the number is not the wanted one.
const FAILED_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// The owners of scalable targets by ARN, each with the time of its read.
type Owners = BTreeMap<String, (DateTime<Utc>, Option<String>)>;

/// The control plane, and the owners of scalable targets by ARN.
pub(super) struct Reader {
    pub control: Arc<dyn CapacityControl>,
    owners: Mutex<Owners>,
}

/// Returns true if both are the same function and qualifier of one account and region.
pub(super) fn is_same(listed: &Identity, id: &Identity) -> bool {
    let accounts = (&listed.account, &id.account);
    let is_other = matches!(accounts, (Some(one), Some(other)) if one != other);
    !is_other && (listed.region, &listed.name, &listed.qualifier) == (id.region, &id.name, &id.qualifier)
}

impl Reader {
    pub fn new(control: Arc<dyn CapacityControl>) -> Self {
        Self { control, owners: Mutex::default() }
    }

    /// Reads the scalable targets of a lane: those of its tasks, or with `lists` all of them. Returns the latter. Recorded
    /// confirmations of the owner `own` are used; without it the tags are read.
    pub async fn survey(
        &self,
        requests: &Requests,
        tasks: &mut [Task],
        lists: bool,
        own: Option<&Owner>,
        now: DateTime<Utc>,
        until: Instant,
    ) -> Option<Vec<Listed>> {
        let lane = &requests.lane;
        let describe = async |ids: Option<&[Identity]>| {
            let read = self.control.scalable_targets(lane.region, lane.role.as_ref(), ids);
            requests.read(until, read).await
        };
        let mut concerned: Vec<&mut Task> =
            tasks.iter_mut().filter(|task| task.by().is_some_and(|by| by != MadeBy::Managed)).collect();
        let mut all = None;
        let found = |answer: &Lookup<Vec<Listed>>, task: &Task| {
            answer.clone().then(|listed| {
                let of = listed.into_iter().find(|listed| is_same(&listed.id, &task.id));
                Lookup::Known(of.map(|listed| listed.scalable))
            })
        };
        if lists {
            let answer = describe(None).await;
            concerned.iter_mut().for_each(|task| task.observed.scalable = found(&answer, task));
            all = answer.known().cloned();
        } else {
            for chunk in concerned.chunks_mut(CHUNK) {
                let ids: Vec<Identity> = chunk.iter().map(|task| task.id.clone()).collect();
                let answer = describe(Some(&ids)).await;
                chunk.iter_mut().for_each(|task| task.observed.scalable = found(&answer, task));
            }
        }
        let mut confirmations = CONFIRMED_IN_TICK;
        for task in concerned {
            let owned = task.kept.as_ref().and_then(|kept| kept.owned);
            let owned = owned.filter(|at| !is_future(*at, now)).zip(own);
            let Lookup::Known(Some(scalable)) = &mut task.observed.scalable else { continue };
            if let Some((at, own)) = owned {
                let spread = TimeDelta::minutes(phase(&task.id, 60).into());
                let is_old = now.signed_duration_since(at) >= OWNED_FOR + spread && confirmations > 0;
                confirmations -= usize::from(is_old);
                scalable.owner = Lookup::Known(Some(own.as_str().to_owned()));
                task.is_owner_kept = true;
                if !is_old {
                    continue;
                }
            }
            let (owner, at) = self.owner(requests, &task.id, scalable, now, until).await;
            match owner {
                Lookup::Known(_) | Lookup::Missing | Lookup::Denied(_) => {
                    task.is_owner_kept = false;
                    task.note_owner(owner, own, at);
                }
                // The confirmation stays until there is an answer.
                _ if task.is_owner_kept => {}
                _ => scalable.owner = owner,
            }
        }
        all
    }

    /// Reads the owner of a task's scalable target before it is changed. The task is left to the next tick if there is
    /// no time for it.
    pub async fn confirm(
        &self,
        requests: &Requests,
        task: &mut Task,
        own: &Owner,
        now: DateTime<Utc>,
        until: Instant,
    ) {
        let Lookup::Known(Some(scalable)) = &task.observed.scalable else { return };
        self.forget(&scalable.arn);
        let (owner, at) = self.owner(requests, &task.id, scalable, now, until).await;
        if owner == Lookup::NotRead {
            (task.was_read, task.is_pending, task.decision) = (false, true, None);
            task.done.clear();
        } else {
            task.note_owner(owner, Some(own), at);
        }
    }

    /// Returns the owner of a scalable target, as it was read within the last hour, with the time of the read.
    pub async fn owner(
        &self,
        requests: &Requests,
        id: &Identity,
        scalable: &ScalableTarget,
        now: DateTime<Utc>,
        until: Instant,
    ) -> (Lookup<Option<String>>, DateTime<Utc>) {
        if scalable.arn.is_empty() {
            return (Lookup::Failed("the scalable target has no ARN".to_owned()), now);
        }
        let known = self.owners().get(&scalable.arn).cloned();
        if let Some((at, owner)) = known.filter(|(at, _)| now.signed_duration_since(*at) < OWNED_FOR) {
            return (Lookup::Known(owner), at);
        }
        let place = Place { id, role: requests.lane.role.as_ref() };
        let owner = requests.read(until, self.control.owner(place, &scalable.arn)).await;
        if let Lookup::Known(owner) = &owner {
            self.owners().insert(scalable.arn.clone(), (now, owner.clone()));
        }
        (owner, now)
    }

    /// Forgets the owner of a scalable target, which was tagged.
    pub fn forget(&self, arn: &str) {
        self.owners().remove(arn);
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is needed to decide on a target. Nothing is decided without it.
    pub async fn read(
        &self,
        requests: &Requests,
        task: &mut Task,
        purpose: Purpose,
        now: DateTime<Utc>,
        until: Instant,
    ) {
        task.was_read = match task.by() {
            Some(MadeBy::Managed) => self.read_managed(requests, task, until).await,
            Some(_) => self.read_provisioned(requests, task, purpose, now, until).await,
            None => false,
        };
    }

    async fn read_managed(&self, requests: &Requests, task: &mut Task, until: Instant) -> bool {
        let id = task.id.clone();
        let place = Place { id: &id, role: requests.lane.role.as_ref() };
        let mut versions = Vec::new();
        task.observed.scaling.clear();
        if !task.is_left {
            task.observed.alias = requests.read(until, self.control.alias(place)).await;
            match &task.observed.alias {
                Lookup::NotRead => return false,
                Lookup::Known(alias) => versions.push(alias.version.clone()),
                Lookup::Missing => versions.extend(id.qualifier.clone()),
                _ => return true,
            }
        }
        let earlier = task.made().into_iter().flat_map(|made| made.versions.clone());
        for version in earlier {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        for version in versions {
            let config = requests.read(until, self.control.scaling(place, &version)).await;
            if config == Lookup::NotRead {
                return false;
            }
            task.observed.scaling.push((version, config));
        }
        true
    }

    async fn read_provisioned(
        &self,
        requests: &Requests,
        task: &mut Task,
        purpose: Purpose,
        now: DateTime<Utc>,
        until: Instant,
    ) -> bool {
        let id = task.id.clone();
        let place = Place { id: &id, role: requests.lane.role.as_ref() };
        let control = &self.control;
        let is_unread = match &task.observed.scalable {
            Lookup::NotRead => true,
            Lookup::Known(Some(scalable)) => scalable.owner == Lookup::NotRead,
            _ => false,
        };
        if is_unread {
            return false;
        }
        task.observed.provisioned = requests.read(until, control.provisioned(place)).await;
        if task.observed.provisioned == Lookup::NotRead {
            return false;
        }
        let exists = matches!(task.observed.scalable, Lookup::Known(Some(_)));
        if task.compares && (exists || purpose == Purpose::Adopt) {
            task.observed.policies = requests.read(until, control.policies(place)).await;
            task.observed.actions = requests.read(until, control.actions(place)).await;
            // Without them it is unknown whether the target is free of others.
            if task.observed.policies == Lookup::NotRead || task.observed.actions == Lookup::NotRead {
                return false;
            }
        }
        if task.needs_reason(now) {
            task.observed.alias = requests.read(until, control.alias(place)).await;
            task.observed.is_updating =
                requests.read(until, control.is_updating(place)).await.known().copied();
            if exists {
                let activities = requests.read(until, control.activities(place, now - FAILED_WITHIN)).await;
                let mut numbers =
                    activities.known().into_iter().flatten().filter(|activity| activity.to.is_some());
                task.observed.last_failure =
                    numbers.next_back().and_then(|activity| activity.failure.clone());
            }
        }
        if task.may_be_unused() {
            let read = control.last_utilization(place, now - UNUSED_AFTER, now);
            task.observed.last_utilization = requests.read(until, read).await;
        }
        if let Some(since) = task.gap(now) {
            task.replay = match requests.read(until, control.activities(place, since)).await {
                Lookup::NotRead => None,
                Lookup::Known(activities) => {
                    let successful = activities.into_iter().filter(|activity| activity.is_successful);
                    // A number is billed from its request on. The next one may be requested before it is prepared.
                    Some(successful.filter_map(|activity| Some((activity.started, activity.to?))).collect())
                }
                _ if task.is_left => Some(Vec::new()),
                _ => Some(task.scheduled(since, now)),
            };
        }
        true
    }
}
