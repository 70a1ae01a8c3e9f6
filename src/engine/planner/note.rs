//! Noting how rounds went.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::trouble::Trouble;
use super::{Cause, Durability, Plan, READ_WITHIN, StoreHealth, TickPlanner, WRITE_WITHIN};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::future::later;
use crate::domain::records::{self, SERVED, STATUS, Served, Status, TickNote};
use crate::domain::schedule::{self, Minute};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, UnfinishedReason};
use crate::engine::state::{State, before, update};
use crate::engine::tick::Due;

/// The allowance beyond its timeout for a ping whose end was not awaited: its init, and the network.
const BUSY_MARGIN: Duration = Duration::from_secs(20);
/// The longest that Lambda runs a function. Source: Lambda quotas.
const LONGEST_RUN: Duration = Duration::from_secs(900);

impl<S: State> TickPlanner<S> {
    /// Notes how rounds went, when they have ended at `now`: what was served, what was not after all and is late at
    /// the next tick, and what is still in flight and left alone until it must have ended. Ends the claim of `plan`.
    ///
    /// `sent` are the rounds that were given out.
    pub async fn note(
        &self,
        plan: &Plan,
        sent: &[Due],
        report: &TickReport,
        cause: Cause,
        now: DateTime<Utc>,
    ) -> StoreHealth {
        if self.durability == Durability::Volatile {
            return StoreHealth::Sound;
        }
        if let Some(lease) = &plan.claim {
            lease.renewing.abort();
        }
        let minute = Minute::of(report.tick);
        let undone = left_undone(sent, report);
        let busy = busy(sent, report, now);
        let correct = |served: &mut Served| {
            match (cause, &plan.claim) {
                (Cause::Schedule { .. }, Some(lease)) => {
                    served.settle(lease.by, |id| undone.contains(id), now)
                }
                // The store could not be written when the tick was planned.
                (Cause::Schedule { .. }, None) => {
                    let done = sent.iter().map(|due| due.target.as_ref());
                    served.note(minute, done.filter(|target| !undone.contains(&target.id)), now);
                }
                // The tick that has handed the shard on has noted its targets as served.
                (Cause::Shard, _) => {
                    for due in sent {
                        let id = &due.target.id;
                        if undone.contains(id) {
                            // There is a due minute in every interval.
                            let interval_ago = minute.plus(-i64::from(due.target.interval_minutes));
                            served.take_back(id, minute, interval_ago);
                        }
                    }
                }
                // It was never noted that these were served.
                (Cause::Asked, _) => {}
            }
            served.note_busy(busy.iter().copied());
        };
        let document = match cause {
            Cause::Schedule { .. } | Cause::Asked => STATUS.to_owned(),
            Cause::Shard => Status::document_of(&report.rounds),
        };
        let status = |status: &mut Status| match cause {
            Cause::Schedule { config_behind_since } => {
                let tick = TickNote { report, config_behind_since, pauses_unknown: plan.pauses_unknown };
                status.note_tick(&tick, now);
            }
            Cause::Shard => status.note_rounds(&report.rounds, report.tick, now),
            // The pings were sent now, whatever the minute of the event.
            Cause::Asked => status.note_rounds(&report.rounds, now, now),
        };
        let is_served_touched = match cause {
            Cause::Schedule { .. } => plan.claim.is_some() || !sent.is_empty(),
            Cause::Shard => !undone.is_empty() || !busy.is_empty(),
            Cause::Asked => !busy.is_empty(),
        };
        let deadline = Instant::now() + write_within(plan.health);
        let served = async {
            match is_served_touched {
                true => update(self.state(), SERVED, correct).await,
                false => Ok(()),
            }
        };
        let (served, status) = tokio::join!(
            before(deadline, served),
            before(deadline, update(self.state(), &document, status)),
        );
        let mut trouble = Trouble::default();
        if let Err(unavailable) = served {
            trouble.met(unavailable, "what was served is not noted");
        }
        if let Err(unavailable) = status {
            trouble.met(unavailable, "how the tick went is not noted");
        }
        trouble.log_unless(plan.health)
    }

    /// Ends the claims of the rounds that have ended, as `report` has them, while others of the tick are `running`: a
    /// target that does not answer must not keep other processes from the targets that did.
    pub async fn note_part(
        &self,
        plan: &Plan,
        running: &[Due],
        report: &TickReport,
        sent: &[Due],
        now: DateTime<Utc>,
    ) -> StoreHealth {
        let (Durability::Durable, Some(lease)) = (self.durability, &plan.claim) else {
            return StoreHealth::Sound;
        };
        let running: HashSet<&Identity> = running.iter().map(|due| &due.target.id).collect();
        let undone = left_undone(sent, report);
        let settle = |served: &mut Served| {
            served.settle_part(lease.by, |id| !running.contains(id), |id| undone.contains(id), now);
        };
        let settled = before(Instant::now() + READ_WITHIN, update(self.state(), SERVED, settle)).await;
        let mut trouble = Trouble::default();
        if let Err(unavailable) = settled {
            trouble.met(unavailable, "what was served is not noted yet");
        }
        trouble.log_unless(plan.health)
    }

    /// Notes that a request's rounds have served their targets at this minute, as far as they have as many as the
    /// schedule wants. `now` is the own clock.
    pub async fn note_request(
        &self,
        fleet: &Fleet,
        plan: &Plan,
        sent: &[Due],
        report: &TickReport,
        now: DateTime<Utc>,
    ) -> StoreHealth {
        if self.durability == Durability::Volatile || sent.is_empty() {
            return StoreHealth::Sound;
        }
        let minute = Minute::of(report.tick);
        let undone = left_undone(sent, report);
        let mut trouble = Trouble::default();
        let requests = match self.requests(fleet, Instant::now() + READ_WITHIN).await {
            Ok(requests) => requests,
            Err(unavailable) => {
                trouble.met(unavailable, "requests in force are not known");
                records::Requests::default()
            }
        };
        let fleet = &*records::with_requests(fleet, &requests, report.tick);
        let enough = |due: &&Due| {
            let scheduled = fleet.targets.iter().find(|target| target.id == due.target.id);
            scheduled.is_some_and(|target| schedule::desired(target, minute) <= due.concurrency.get())
                && !undone.contains(&due.target.id)
        };
        let targets: Vec<&Target> = sent.iter().filter(enough).map(|due| due.target.as_ref()).collect();
        // Only what is noted of the targets: the tick of this minute may still come.
        let note = |served: &mut Served| served.note(minute, targets.iter().copied(), now);
        let status = |status: &mut Status| status.note_rounds(&report.rounds, report.tick, now);
        let deadline = Instant::now() + write_within(plan.health);
        let (served, status) = tokio::join!(
            before(deadline, update(self.state(), SERVED, note)),
            before(deadline, update(self.state(), STATUS, status)),
        );
        if let Err(unavailable) = served {
            trouble.met(unavailable, "the request's rounds are not noted");
        }
        if let Err(unavailable) = status {
            trouble.met(unavailable, "how the request went is not noted");
        }
        trouble.log_unless(plan.health)
    }
}

/// The longest duration of a note when the tick found the store in this condition.
fn write_within(health: StoreHealth) -> Duration {
    match health {
        StoreHealth::Sound => WRITE_WITHIN,
        StoreHealth::Unavailable => READ_WITHIN,
    }
}

/// The targets with pings whose end was not awaited, and the instant until which they may run.
fn busy<'d>(sent: &'d [Due], report: &TickReport, now: DateTime<Utc>) -> Vec<(&'d Target, DateTime<Utc>)> {
    let left = |target: &Target| {
        let in_flight = report
            .unfinished
            .iter()
            .any(|left| left.reason == UnfinishedReason::InFlight && left.id == target.id);
        // They may have been released in the last moment, however long ago the tick's own time is.
        in_flight.then(|| match target.timeout {
            Some(timeout) => timeout + BUSY_MARGIN,
            None => target.interval().saturating_mul(2).min(LONGEST_RUN),
        })
    };
    let unanswered =
        |target: &Target| report.rounds.iter().find(|round| round.id == target.id)?.sent()?.quiet_for;
    let until = |due: &'d Due| {
        let target = due.target.as_ref();
        let quiet = left(target).max(unanswered(target))?;
        Some((target, later(now, TimeDelta::from_std(quiet).ok()?)))
    };
    sent.iter().filter_map(until).collect()
}

/// Targets whose rounds were neither sent nor handed on.
fn left_undone<'d>(sent: &'d [Due], report: &TickReport) -> HashSet<&'d Identity> {
    let unfinished = report.unfinished.iter().filter(|left| left.reason == UnfinishedReason::Deadline);
    let is_skipped = |round: &&RoundRecord| round.skip_reason().is_some_and(SkipReason::stays_due);
    let skipped = report.rounds.iter().filter(is_skipped).map(|round| &round.id);
    let undone: HashSet<&Identity> = unfinished.map(|left| &left.id).chain(skipped).collect();
    sent.iter().map(|due| &due.target.id).filter(|id| undone.contains(id)).collect()
}
