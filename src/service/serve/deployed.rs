//! Serves deployments: their rounds go out once the deployment is complete.

use std::collections::HashSet;
use std::mem::take;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Service;
use super::job::{Job, Work};
use crate::domain::events::Deployment;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::preflight::Progress;
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::ports::{Events, Lambda, Metrics};
use crate::engine::tick::Due;
use crate::service::Trigger;
use crate::service::budget::TimeBudget;
use crate::service::planner::{AfterDeployment, EndedClaim, StoreHealth};

/// The longest time for which a deployment is waited for. Afterwards the next tick serves it.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// The targets that a job has claimed for the rounds after their deployment.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    /// The targets.
    ids: Vec<Identity>,
    /// The time at which the deployment was read last.
    read: DateTime<Utc>,
}

impl Claimed {
    /// Returns the end of the claim. Of the targets, `sent` have a round and `skipped` none.
    pub(super) fn end<'d>(&self, sent: impl Iterator<Item = &'d Due>, skipped: &[RoundRecord]) -> EndedClaim {
        let sent: HashSet<&Identity> = sent.map(|due| &due.target.id).collect();
        let is_over = |id: &Identity| {
            let reason = skipped.iter().find(|round| round.id == *id).and_then(RoundRecord::skip_reason);
            reason.is_some_and(|reason| !reason.stays_due())
        };
        let after = |id: &Identity| match sent.contains(id) {
            true => AfterDeployment::Warmed,
            false if is_over(id) => AfterDeployment::Over,
            false => AfterDeployment::Left,
        };
        let targets = self.ids.iter().map(|id| (id.clone(), after(id))).collect();
        EndedClaim { targets, read: self.read }
    }
}

/// Returns the reason why nothing is to be done for a trigger; `None` if something may be.
pub(super) fn unneeded(trigger: &Trigger, fleet: &Fleet) -> Option<String> {
    match trigger {
        Trigger::Ignored(reason) => Some(format!("an event of CloudTrail is ignored: {reason}")),
        Trigger::Deployed(deployment) => {
            let is_pinged = |target: &Target| deployment.concerns(target) && target.is_pinged();
            let region = deployment.region;
            (!fleet.targets.iter().any(is_pinged)).then(|| {
                format!("the deployment of {deployment} in {region} is ignored: no target is pinged there")
            })
        }
        _ => None,
    }
}

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Plans the rounds after a deployment.
    pub(super) async fn plan_deployed(&self, job: Job, deployment: &Deployment) -> Job {
        // The clock of the service that made the call may be ahead.
        let at = deployment.at.unwrap_or(job.now).min(job.now);
        let is_late = self.is_older(at, job.now);
        let concerned = |target: &Target| deployment.concerns(target) && target.is_pinged();
        let plan = self.planner.deployed(&job.fleet, concerned, at, is_late, job.now).await;
        let (rounds, skipped) = (plan.due.len(), plan.skipped.len());
        info!(function = %deployment, region = %deployment.region, time = %at, rounds, skipped, is_late, "deployment");
        if rounds == 0 && skipped == 0 && plan.health == StoreHealth::Sound {
            return job.nothing(Work::Unneeded);
        }
        let ids = plan.due.iter().map(|due| due.target.id.clone()).collect();
        let claimed = Some(Claimed { ids, read: job.now }).filter(|claimed| !claimed.ids.is_empty());
        Job { plan, claimed, ..job }
    }

    /// Waits until the deployment of a job is complete, at most [`READY_WITHIN`] and until rounds are no longer
    /// released. The rounds of targets whose deployment is not complete then are skipped.
    pub(super) async fn await_deployed(&self, job: &mut Job, budget: &TimeBudget) {
        let (Some(claimed), Some(guards)) = (&mut job.claimed, &self.guards) else { return };
        let until = Instant::now() + READY_WITHIN;
        let due = take(&mut job.plan.due);
        let progress = {
            let targets = due.iter().map(|due| due.target.as_ref());
            let waiting = guards.await_deployed(targets, &job.fleet, &mut job.known, until, &*self.clock);
            let mut stop = budget.stop().clone();
            tokio::select! {
                biased;
                (progress, read) = waiting => {
                    claimed.read = read;
                    progress
                }
                // No round is released from now on.
                _ = stop.stopped() => Default::default(),
            }
        };
        for due in due {
            let reason = match progress.get(&due.target.id.without_tenant()) {
                Some(Progress::Ready) => {
                    job.plan.due.push(due);
                    continue;
                }
                Some(Progress::Failed) => SkipReason::UpdateFailed,
                Some(Progress::Underway) | None => {
                    guards.doubt_deployed(&due.target);
                    SkipReason::Updating
                }
            };
            let (function, region) = (due.target.id.shown(), due.target.region());
            info!(function, %region, reason = reason.name(), "skipped: {}", reason.explanation());
            job.plan.skipped.push(due.skipped(reason));
        }
    }

    /// Ends the claim of a job when its rounds are released.
    pub(super) async fn end_deployed(&self, ended: Option<&EndedClaim>) -> StoreHealth {
        match ended {
            Some(ended) => self.planner.end_deployed(ended, self.clock.now()).await,
            None => StoreHealth::Sound,
        }
    }

    /// Writes what was read after a deployment for the other processes.
    pub(super) async fn save_deployed(&self, job: &Job, budget: &TimeBudget, health: StoreHealth) {
        let (Some(claimed), Some(guards)) = (&job.claimed, &self.guards) else { return };
        let until = budget.until(|split| split.record);
        let saved = guards.save_deployed(&claimed.ids, &job.fleet, self.clock.now(), until).await;
        if let Some(unavailable) = saved.err().filter(|_| health == StoreHealth::Sound) {
            warn!("StateUnavailable: {unavailable}; the facts are written with the next refresh");
        }
    }
}
