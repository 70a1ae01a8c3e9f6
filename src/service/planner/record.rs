//! Records the results of rounds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::deployed::leave;
use super::failures::StoreFailures;
use super::{Plan, READ_WITHIN, StoreHealth, TickPlanner, WRITE_WITHIN};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::future::later;
use crate::domain::history::Observed;
use crate::domain::records::{
    self, Deployments, REQUESTS, Requests, SERVED, STATUS, Served, Status, TickNote,
};
use crate::domain::schedule::{self, Minute};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, UnfinishedReason};
use crate::engine::tick::Due;
use crate::service::history::{Saved, ToMove};
use crate::service::store::{Durability, Unavailable, before};
use crate::service::trigger::RecordKind;

/// The time beyond its timeout that a ping whose end was not awaited may take: for its init, and for the network.
const BUSY_MARGIN: Duration = Duration::from_secs(20);
/// The longest run of a function. Source: Lambda quotas.
const LONGEST_RUN: Duration = Duration::from_secs(900);

/// The time after its tick at which a round is of a repeated attempt.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// The consequence when the progress of backlogs is not recorded.
const NO_PROGRESS: &str = "the numbers of backlog requests fall later";

/// The results of rounds that have ended.
#[derive(Debug, Clone, Copy)]
pub struct Results<'r> {
    /// The fleet that the rounds were planned for.
    pub fleet: &'r Fleet,
    /// The plan.
    pub plan: &'r Plan,
    /// The rounds that were sent or handed on.
    pub sent: &'r [Due],
    /// The report on them.
    pub report: &'r TickReport,
}

impl TickPlanner {
    /// Records rounds that have ended at `now`: the targets that were served, those that are due again at the next
    /// tick, and those with pings in flight, which are skipped until the pings must have ended. Ends the claim of the
    /// plan.
    ///
    /// `stale_since` is the time since which the configuration differs from its source. Returns the history as well: the
    /// minutes that the rounds have judged, once, and the rows that are to be moved.
    pub async fn record(
        &self,
        results: Results<'_>,
        kind: RecordKind,
        stale_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> (StoreHealth, Saved) {
        let Results { fleet, plan, sent, report } = results;
        if let Some(lease) = &plan.claim {
            lease.renewing.abort();
        }
        let undone = left_undone(sent, report);
        note_warmed(&mut self.deployments(), results, &undone, now);
        // Requests are coalesced with earlier ones of this process even if the store is volatile.
        let is_durable = self.durability() == Durability::Durable;
        let is_kept = is_durable || kind == RecordKind::Request;
        let is_asked = matches!(kind, RecordKind::Request | RecordKind::Deployed);
        let mut failures = StoreFailures::default();
        let covered = match is_kept && is_asked && !sent.is_empty() {
            true => self.covered(results, &mut failures).await,
            false => Vec::new(),
        };
        let observed = observed(results, kind, &covered, now);
        let (observed, noted) = match is_durable {
            true => (Some(observed), Saved::default()),
            false => (None, self.history.note(&observed, fleet, now)),
        };
        if !is_kept || kind == RecordKind::MetricsOnly {
            if kind == RecordKind::Deployed {
                leave(&mut self.deployments(), &left_undone(sent, report), now);
            }
            // Pings of which there is no other record.
            let Some(observed) = observed.filter(|observed| !observed.is_empty()) else {
                return (StoreHealth::Sound, noted);
            };
            let saving = self.history.save(&self.documents, STATUS, Some(observed), fleet, now, |_| {});
            let saved = before(Instant::now() + write_within(plan.health), saving).await;
            let saved = saved.unwrap_or_else(|unavailable| {
                failures.add(unavailable, "the history is written with the next tick");
                Saved::default()
            });
            return (failures.log_unless(plan.health), saved);
        }
        let progress = self.record_progress(results, now);
        let has_rows = observed.as_ref().is_some_and(|observed| !observed.rows.is_empty());
        if is_asked && sent.is_empty() && !has_rows {
            if let Err(unavailable) = progress.await {
                failures.add(unavailable, NO_PROGRESS);
            }
            return (failures.log_unless(plan.health), noted);
        }
        // Requests leave the busy targets to the ticks.
        let busy = if is_asked { Vec::new() } else { busy(sent, report, now) };
        let is_served_touched = match kind {
            RecordKind::Tick => plan.claim.is_some() || !sent.is_empty(),
            RecordKind::Shard => !undone.is_empty() || !busy.is_empty(),
            RecordKind::Operator => !busy.is_empty(),
            RecordKind::Request => !covered.is_empty(),
            RecordKind::Deployed => !covered.is_empty() || !undone.is_empty(),
            RecordKind::MetricsOnly => false,
        };
        let change = |served: &mut Served| {
            record_served(served, results, kind, &undone, &covered, now);
            served.note_busy(busy.iter().copied());
        };
        let status = |status: &mut Status| record_status(status, results, kind, stale_since, now);
        let document = match kind {
            RecordKind::Shard => Status::document_of(&report.rounds),
            _ => STATUS.to_owned(),
        };
        let deadline = Instant::now() + write_within(plan.health);
        let served = async {
            match is_served_touched {
                true => self.documents.update(SERVED, change).await,
                false => Ok(()),
            }
        };
        let (served, status, progress) = tokio::join!(
            before(deadline, served),
            before(deadline, self.history.save(&self.documents, &document, observed, fleet, now, status)),
            progress,
        );
        if let Err(unavailable) = progress {
            failures.add(unavailable, NO_PROGRESS);
        }
        if let Err(unavailable) = served {
            failures.add(unavailable, "the served targets are not recorded");
        }
        let saved = match status {
            Ok(saved) if is_durable => saved,
            Ok(_) => noted,
            Err(unavailable) => {
                failures.add(unavailable, "the status is not recorded, and the history with the next tick");
                noted
            }
        };
        (failures.log_unless(plan.health), saved)
    }

    /// Moves rows of the history into the documents of their days by `until`.
    pub async fn move_history(
        &self,
        to_move: &ToMove,
        fleet: &Fleet,
        until: Instant,
        health: StoreHealth,
    ) -> StoreHealth {
        let mut failures = StoreFailures::default();
        if let Err(unavailable) = before(until, self.history.move_rows(&self.documents, to_move, fleet)).await
        {
            failures
                .add(unavailable, "the history is moved into the documents of its days with the next tick");
        }
        failures.log_unless(health)
    }

    /// Records the environments that work off the backlogs of requests from `now` on.
    async fn record_progress(&self, results: Results<'_>, now: DateTime<Utc>) -> Result<(), Unavailable> {
        let reached = reached(results);
        if reached.is_empty() || self.durability() == Durability::Volatile {
            return Ok(());
        }
        let note = |requests: &mut Requests| requests.note_reached(&reached, now);
        let deadline = Instant::now() + write_within(results.plan.health);
        before(deadline, self.documents.update(REQUESTS, note)).await
    }

    /// Ends the claims of the rounds that have ended while others of the tick are `running`, so that a target without
    /// an answer does not keep other processes from the rest.
    pub async fn record_part(
        &self,
        results: Results<'_>,
        running: &[Due],
        now: DateTime<Utc>,
    ) -> StoreHealth {
        let Results { plan, sent, report, .. } = results;
        let (Durability::Durable, Some(lease)) = (self.durability(), &plan.claim) else {
            return StoreHealth::Sound;
        };
        let running: HashSet<&Identity> = running.iter().map(|due| &due.target.id).collect();
        let undone = left_undone(sent, report);
        let settle = |served: &mut Served| {
            served.settle_part(lease.by, |id| !running.contains(id), |id| undone.contains(id), now);
            note_warmed(&mut served.deployments, results, &running.union(&undone).copied().collect(), now);
        };
        let settled = before(Instant::now() + READ_WITHIN, self.documents.update(SERVED, settle)).await;
        let mut failures = StoreFailures::default();
        if let Err(unavailable) = settled {
            failures.add(unavailable, "the served targets are not recorded yet");
        }
        failures.log_unless(plan.health)
    }

    /// Returns the targets for which a request's rounds served as many environments as the schedule needs, and as metrics
    /// may want. The tick of the minute may still follow.
    async fn covered<'r>(&self, results: Results<'r>, failures: &mut StoreFailures) -> Vec<&'r Target> {
        let Results { fleet, sent, report, .. } = results;
        let minute = Minute::of(report.tick);
        let undone = left_undone(sent, report);
        let requests = match self.requests(fleet, Instant::now() + READ_WITHIN).await {
            Ok(requests) => requests,
            Err(unavailable) => {
                failures.add(unavailable, "active requests are unknown");
                Requests::default()
            }
        };
        // The plan of the request has read them.
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fleet = records::with_requests(fleet, &requests, report.tick);
        let fleet = &*records::with_pauses(fleet, pauses.as_ref(), report.tick);
        let is_covered = |due: &&Due| {
            let scheduled = fleet.targets.iter().find(|target| target.id == due.target.id);
            // A metric may rise in this minute, and its rise is due once.
            let metrics = |target: &Target| target.backlogs.iter().map(|rule| rule.max).max().unwrap_or(0);
            let most = |target: &Target| schedule::desired(target, minute).max(metrics(target));
            scheduled.is_some_and(|target| most(target) <= due.configured().get())
                && !undone.contains(&due.target.id)
        };
        sent.iter().filter(is_covered).map(|due| due.target.as_ref()).collect()
    }
}

/// Returns what rounds that have ended at `now` add to the history. Rounds long after the time of their tick are those
/// of a repeated attempt, and operators' pings were sent now, even if the event names another minute. Those of a request
/// judge the minutes of the targets that it `covered`: the tick leaves these out.
fn observed(
    Results { fleet, report, .. }: Results<'_>,
    kind: RecordKind,
    covered: &[&Target],
    now: DateTime<Utc>,
) -> Observed {
    let duration = i64::try_from(report.duration_ms).ok().and_then(TimeDelta::try_milliseconds);
    let started = later(now, -duration.unwrap_or_default());
    let is_late = started.signed_duration_since(report.tick) > LATE;
    let at = match kind {
        RecordKind::Operator | RecordKind::MetricsOnly => started,
        _ if is_late => started,
        _ => report.tick,
    };
    let is_look = !matches!(kind, RecordKind::Operator | RecordKind::MetricsOnly);
    let is_scheduled = !matches!(kind, RecordKind::Request | RecordKind::Deployed);
    let mut observed = Observed { is_scheduled, ..Observed::new(report, fleet, at, rand::random(), is_look) };
    if let (RecordKind::Request, Some(looks)) = (kind, &mut observed.looks) {
        let covered: HashMap<&Identity, &Target> =
            covered.iter().map(|target| (&target.id, *target)).collect();
        looks.retain(|id, look| {
            let Some(target) = covered.get(id) else { return false };
            // A guard may have lowered only what the request asked beyond the schedule.
            let wanted = schedule::desired(target, Minute::of(report.tick));
            look.is_capped &= look.reached.is_none_or(|reached| reached < wanted);
            true
        });
    }
    observed
}

/// Changes the document of served targets. `covered` are the targets that a request served.
fn record_served(
    served: &mut Served,
    results: Results<'_>,
    kind: RecordKind,
    undone: &HashSet<&Identity>,
    covered: &[&Target],
    now: DateTime<Utc>,
) {
    note_warmed(&mut served.deployments, results, undone, now);
    let Results { plan, sent, report, .. } = results;
    let minute = Minute::of(report.tick);
    match (kind, &plan.claim) {
        (RecordKind::Tick, Some(lease)) => served.settle(lease.by, |id| undone.contains(id), now),
        // The store could not be written when the tick was planned.
        (RecordKind::Tick, None) => {
            let done = sent.iter().map(|due| due.target.as_ref());
            served.note(minute, done.filter(|target| !undone.contains(&target.id)), now);
        }
        // The tick that handed the shard on recorded its targets as served.
        (RecordKind::Shard, _) => {
            for due in sent {
                let id = &due.target.id;
                if undone.contains(id) {
                    // There is a due minute in every interval.
                    let interval_ago = minute.plus(-i64::from(due.target.interval_minutes));
                    served.take_back(id, minute, interval_ago);
                }
            }
        }
        (RecordKind::Request, _) => served.note(minute, covered.iter().copied(), now),
        (RecordKind::Deployed, _) => {
            served.note(minute, covered.iter().copied(), now);
            leave(&mut served.deployments, undone, now);
        }
        // The targets were not recorded as served.
        (RecordKind::Operator | RecordKind::MetricsOnly, _) => {}
    }
}

/// Notes that the rounds of a tick follow the deployments until its plan, except those that are `undone`, and those to
/// targets that were being updated. A payload that is refused is no reason to serve the target again.
fn note_warmed(
    deployments: &mut Deployments,
    Results { plan, sent, report, .. }: Results<'_>,
    undone: &HashSet<&Identity>,
    now: DateTime<Utc>,
) {
    let Some(planned) = plan.planned.filter(|_| !deployments.is_empty()) else { return };
    let is_refused = |round: &&RoundRecord| round.skip_reason() == Some(SkipReason::CustomPayload);
    let refused = report.rounds.iter().filter(is_refused).map(|round| &round.id);
    for id in sent.iter().map(|due| &due.target.id).chain(refused) {
        if undone.contains(id) || plan.updating.contains(id) {
            continue;
        }
        deployments.note_warmed(id, planned, now);
    }
}

/// Changes the document of the last rounds.
fn record_status(
    status: &mut Status,
    Results { plan, report, .. }: Results<'_>,
    kind: RecordKind,
    stale_since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) {
    match kind {
        RecordKind::Tick => {
            let pauses_unknown = plan.pauses_unknown;
            status.note_tick(&TickNote { report, config_behind_since: stale_since, pauses_unknown }, now);
        }
        RecordKind::Shard | RecordKind::Request | RecordKind::Deployed | RecordKind::Operator => {
            // The pings of an operator were sent now, even if the event names another minute.
            let at = if kind == RecordKind::Operator { now } else { report.tick };
            status.note_rounds(&report.rounds, at, now);
            status.note_pipelines(&report.pipelines, at, now);
        }
        RecordKind::MetricsOnly => {}
    }
}

/// Returns the environments of the targets with a backlog request, as their rounds and their capacity prove them;
/// `None` for an unknown number.
fn reached(Results { plan, sent, report, .. }: Results<'_>) -> BTreeMap<Identity, Option<u32>> {
    let may_have = |due: &&Due| due.target.on_request.is_some();
    let backlogs = match &plan.backlogs {
        Some(backlogs) => Cow::Borrowed(backlogs),
        None => Cow::Owned(sent.iter().filter(may_have).map(|due| due.target.id.clone()).collect()),
    };
    let rounds = report.rounds.iter().filter(|round| round.sent().is_some());
    let rounds = rounds.map(|round| (&round.id, round.reached()));
    let capacity = report.capacity.iter().map(|capacity| (&capacity.id, capacity.available));
    let mut reached: BTreeMap<Identity, Option<u32>> = BTreeMap::new();
    for (id, number) in rounds.chain(capacity).filter(|(id, _)| backlogs.contains(id)) {
        let known = reached.entry(id.clone()).or_default();
        *known = number.max(*known);
    }
    reached
}

/// Returns the longest time for a write after a plan that found the store in this condition.
fn write_within(health: StoreHealth) -> Duration {
    match health {
        StoreHealth::Sound => WRITE_WITHIN,
        StoreHealth::Unavailable => READ_WITHIN,
    }
}

/// Returns the targets with pings whose end was not awaited, and the time until which these may run.
fn busy<'d>(sent: &'d [Due], report: &TickReport, now: DateTime<Utc>) -> Vec<(&'d Target, DateTime<Utc>)> {
    let left = |target: &Target| {
        let in_flight = report
            .unfinished
            .iter()
            .any(|left| left.reason == UnfinishedReason::InFlight && left.id == target.id);
        // The pings may have been released long after the time of the tick.
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

/// Returns the targets whose rounds were neither sent nor handed on.
fn left_undone<'d>(sent: &'d [Due], report: &TickReport) -> HashSet<&'d Identity> {
    let unfinished = report.unfinished.iter().filter(|left| left.reason == UnfinishedReason::Deadline);
    let skipped = report.rounds.iter().filter(|round| round.stays_due()).map(|round| &round.id);
    let undone: HashSet<&Identity> = unfinished.map(|left| &left.id).chain(skipped).collect();
    sent.iter().map(|due| &due.target.id).filter(|id| undone.contains(id)).collect()
}
