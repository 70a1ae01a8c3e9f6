//! Plans the rounds that follow deployments.

use std::collections::{BTreeMap, HashSet};
use std::mem::take;
use std::sync::{MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::failures::StoreFailures;
use super::select::{Selection, Tick, mark, partition};
use super::{Plan, READ_WITHIN, StoreHealth, TickPlanner, open_backlogs};
use crate::domain::capacity::for_pings;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::records::{Deployments, SERVED, Served};
use crate::domain::schedule::{self, Minute, Mode};
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::tick::Due;
use crate::service::store::{Durability, Unavailable, before};

/// The outcome for a target that was claimed for the round after its deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterDeployment {
    /// Its round is sent.
    Warmed,
    /// Nothing was sent. The next tick serves it.
    Left,
    /// Nothing was sent, and no round has to follow.
    Over,
}

/// The end of a claim after a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedClaim {
    /// The claimed targets.
    pub targets: Vec<(Identity, AfterDeployment)>,
    /// The time at which the deployed functions were read: rounds follow every earlier deployment, and one that was not
    /// complete then is later.
    pub read: DateTime<Utc>,
}

impl TickPlanner {
    /// Notes deployments of targets, which are given without tenants, with the times at which they were seen: the next
    /// tick serves them. They are written by `deadline` if the store is durable.
    ///
    /// # Errors
    /// [`Unavailable`]. The next tick of this process serves them nevertheless.
    pub async fn note_deployed(
        &self,
        fleet: &Fleet,
        deployed: BTreeMap<Identity, DateTime<Utc>>,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let seen = |target: &Target| deployed.get(&target.id.without_tenant()).copied();
        let noted = {
            let mut held = self.deployments();
            for (target, at) in fleet.targets.iter().filter_map(|target| Some((target, seen(target)?))) {
                held.note(&target.id, at, now);
            }
            held.clone()
        };
        if self.durability() == Durability::Durable && !noted.is_empty() {
            let note = |served: &mut Served| served.deployments.note_pending(&noted, now);
            before(deadline, self.documents.update(SERVED, note)).await?;
            self.forget(&noted);
        }
        Ok(())
    }

    /// Drops deployments that the store has now, unless others were noted meanwhile.
    pub(super) fn forget(&self, saved: &Deployments) {
        let mut held = self.deployments();
        if *held == *saved {
            *held = Deployments::default();
        }
    }

    /// The deployments in the memory of the process.
    pub(super) fn deployments(&self) -> MutexGuard<'_, Deployments> {
        self.deployments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans the rounds after a deployment at `at` of the targets that are `concerned`, with the numbers that a tick at
    /// `now` wants, and claims them. Targets of a number of 0 have no record. Targets that another process serves are
    /// left to the next tick, and so are all of them if the event `is_late`.
    pub async fn deployed(
        &self,
        fleet: &Fleet,
        concerned: impl Fn(&Target) -> bool,
        at: DateTime<Utc>,
        is_late: bool,
        now: DateTime<Utc>,
    ) -> Plan {
        let deadline = Instant::now() + READ_WITHIN;
        let mut failures = StoreFailures::default();
        let mut part = fleet.clone();
        part.targets.retain(concerned);
        let stored = self.read_records(&part, now, now, deadline, &mut failures).await;
        let (part, readings, levels) = self.wanted(&part, &stored, now, now);
        let part = &*for_pings(&part, |target| stored.capacity.is_covered(target, now));
        let minute = Minute::of(now);
        let tick = Tick { fleet: part, minute, previous: minute, now, readings: &readings, levels: &levels };
        let due = schedule::plan_tick(part, minute, Mode::Open);
        let pauses = stored.pauses.clone().unwrap_or_default();
        let by = rand::random();
        let claim = |served: &mut Served| {
            let mut selection = partition(&tick, &due, &pauses, served);
            let deployments = &mut served.deployments;
            let is_busy = |round: &&RoundRecord| round.skip_reason().is_some_and(SkipReason::stays_due);
            for round in selection.skipped.iter().filter(is_busy) {
                deployments.note(&round.id, at, now);
            }
            for due in take(&mut selection.due) {
                let id = &due.target.id;
                if is_late {
                    deployments.note(id, at, now);
                } else if deployments.claim(by, id, at, now) {
                    selection.due.push(Due { is_deployed: true, ..due });
                } else {
                    selection.skipped.push(due.skipped(SkipReason::Coalesced));
                }
            }
            selection
        };
        let claimed = match stored.served {
            Some((document, _)) if !due.is_empty() => {
                let claimed = before(deadline, self.documents.update_seen(SERVED, document, &claim)).await;
                let consequence = "another process may serve the same deployment";
                claimed.map_err(|unavailable| failures.add(unavailable, consequence)).ok()
            }
            Some(_) => Some(Selection::default()),
            None => None,
        };
        let mut selection = claimed.unwrap_or_else(|| {
            let mut known = self.deployments();
            let mut served = Served { deployments: take(&mut *known), ..Served::default() };
            let selection = claim(&mut served);
            *known = served.deployments;
            selection
        });
        let backlogs = Some(open_backlogs(&stored.requests, now));
        mark(&mut selection.due, part, &[], backlogs.as_ref(), minute);
        Plan { backlogs, ..self.planned(selection, stored.pauses.is_none(), failures) }
    }

    /// Ends a claim at `now`, when its rounds are released.
    pub async fn end_deployed(&self, ended: &EndedClaim, now: DateTime<Utc>) -> StoreHealth {
        let EndedClaim { targets, read } = ended;
        let read = *read;
        let end = |deployments: &mut Deployments| {
            for (id, after) in targets {
                match after {
                    AfterDeployment::Warmed => deployments.note_warmed(id, read, now),
                    AfterDeployment::Left => {
                        deployments.note(id, read, now);
                        deployments.release(id);
                    }
                    AfterDeployment::Over => deployments.forget(id, read),
                }
            }
        };
        let mut failures = StoreFailures::default();
        if self.durability() == Durability::Durable {
            let change = |served: &mut Served| end(&mut served.deployments);
            let written = before(Instant::now() + READ_WITHIN, self.documents.update(SERVED, change)).await;
            match written {
                Ok(()) => return StoreHealth::Sound,
                Err(unavailable) => failures.add(unavailable, "the next tick may serve the deployment again"),
            }
        }
        end(&mut self.deployments());
        failures.log()
    }
}

/// Leaves the targets of rounds that were not sent after all to the next tick.
pub(super) fn leave(deployments: &mut Deployments, undone: &HashSet<&Identity>, now: DateTime<Utc>) {
    undone.iter().for_each(|id| deployments.note(id, now, now));
}
