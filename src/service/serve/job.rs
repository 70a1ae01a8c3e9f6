//! Runs the rounds of a planned trigger and records them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::deployed::Claimed;
use super::{MAX_ATTEMPTS, Observer, Outcome, Service, log_unavailable};
use crate::domain::budget::{Level, Scope, Standing};
use crate::domain::capacity::CapacityReport;
use crate::domain::coverage::Minutes;
use crate::domain::fleet::Fleet;
use crate::domain::function::Identity;
use crate::domain::metric_data::{TickFacts, TickScope};
use crate::domain::pipeline::{self, Bonds, PipelineReport};
use crate::domain::preflight::TargetObservation;
use crate::domain::shard::Shard;
use crate::domain::tick::{TickReport, UnfinishedReason};
use crate::engine::ports::{Events, Lambda, Metrics};
use crate::engine::tick::{Due, Gate};
use crate::service::budget::TimeBudget;
use crate::service::capacity::Context;
use crate::service::guards::{ContactGate, Guarded, Known};
use crate::service::history::Saved;
use crate::service::planner::{Plan, Results, StoreHealth, TakenShard};
use crate::service::recorder::Recorded;
use crate::service::rounds::{Part, Reporter, report_in_parts};
use crate::service::spending::{Budgets, Channel, Reached, write_of};
use crate::service::trigger::{RecordKind, Trigger};

/// Metrics that are recorded later than this after their tick carry the time of the recording.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// A planned trigger.
pub struct Job {
    pub(super) fleet: Arc<Fleet>,
    /// The hash of the configuration, if it was loaded from somewhere.
    pub(super) config: Option<String>,
    pub(super) kind: RecordKind,
    pub(super) work: Work,
    /// The time of the plan.
    pub(super) now: DateTime<Utc>,
    /// The shard that the rounds belong to: for its first attempt, the tick itself.
    pub(super) shard: Shard,
    /// True if rounds that do not fit in flight together are spread over the bus.
    pub(super) is_spread: bool,
    /// True if an operator chose the minute of the tick.
    pub(super) is_of_chosen_minute: bool,
    /// True for a tick of the command line.
    pub(super) is_run_once: bool,
    /// True if capacity follows the windows with this trigger.
    pub(super) drives: bool,
    /// True if the facts about the targets are read before the guards are applied: those of a version that the
    /// configuration does not name, for all tenants.
    pub(super) reads_facts: bool,
    pub(super) started: Instant,
    pub(super) plan: Plan,
    /// The knowledge of the guards.
    pub(super) known: Known,
    /// The shard that was taken for this job.
    pub(super) taken: Option<TakenShard>,
    /// The targets that were claimed after their deployment; none for another trigger.
    pub(super) claimed: Option<Claimed>,
}

/// The work for a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// The rounds of the plan.
    Rounds,
    /// Nothing: the trigger is too old.
    Stale,
    /// Nothing: the trigger was served before.
    Repeated,
    /// Nothing: the event is about no target, or about none that is kept warm now.
    Unneeded,
}

impl Job {
    pub(super) fn new(trigger: &Trigger, fleet: Arc<Fleet>, now: DateTime<Utc>) -> Self {
        // A configuration that was not loaded from anywhere has no hash.
        let config = Some(fleet.hash.clone()).filter(|hash| !hash.is_empty());
        let tick = Shard { tick: now, config: config.clone(), attempt: 1, run: None, rounds: Vec::new() };
        let (shard, is_spread) = match trigger {
            Trigger::Schedule { at, .. } => (Shard { tick: *at, ..tick }, true),
            Trigger::RunOnce { at, .. } => (Shard { tick: at.unwrap_or(now), ..tick }, true),
            Trigger::RunEvent { at, request_id } => {
                (Shard { tick: at.unwrap_or(now), run: Some(request_id.clone()), ..tick }, true)
            }
            Trigger::Shard { shard, .. } => (shard.clone(), false),
            Trigger::Request(_) | Trigger::Deployed(_) | Trigger::Ignored(_) => (tick, false),
            // The round is not handed on: its operator waits for the answer.
            Trigger::Warm { .. } => (Shard { attempt: MAX_ATTEMPTS, ..tick }, false),
        };
        Self {
            fleet,
            config,
            kind: trigger.record_kind(),
            work: Work::Rounds,
            now,
            shard,
            is_spread,
            is_of_chosen_minute: trigger.is_of_chosen_minute(),
            is_run_once: matches!(trigger, Trigger::RunOnce { .. }),
            drives: trigger.drives_capacity(),
            reads_facts: false,
            started: Instant::now(),
            plan: Plan::default(),
            known: Known::default(),
            taken: None,
            claimed: None,
        }
    }

    /// Applies the limits of budgets to the rounds and the capacity. Of a shard, those count as well that were decided where
    /// it was put on the bus. The round of an operator has none.
    pub(super) fn apply_budgets(&mut self, budgets: &Budgets, is_of_operator: bool) {
        let Plan { due, capacity, .. } = &mut self.plan;
        if is_of_operator {
            let of_rounds: BTreeSet<Scope> = due.iter().flat_map(|due| Scope::of(&due.target)).collect();
            let is_exceeded = |standing: &&Standing| standing.level() == Level::Exceeded;
            let exceeded =
                of_rounds.iter().filter(|scope| budgets.standings.get(scope).filter(is_exceeded).is_some());
            exceeded.for_each(|scope| {
                warn!("the budget of {scope} is used up; an operator's round is sent nevertheless")
            });
            return;
        }
        for due in due {
            let desired = due.budget.as_ref().map_or(due.concurrency.get(), |cap| cap.to);
            due.budget = budgets.caps.lowest(&due.target, desired).or(due.budget.take());
        }
        if let Some(capacity) = capacity {
            Arc::make_mut(capacity).stop(&budgets.standings, self.now);
        }
    }

    /// Returns the job without rounds, and without an effect on the records.
    pub(super) fn nothing(self, work: Work) -> Self {
        Self { work, kind: RecordKind::MetricsOnly, ..self }
    }
}

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Runs a planned trigger.
    pub(super) async fn run(&self, mut job: Job, budget: &TimeBudget, observer: &impl Observer) -> Outcome {
        self.await_deployed(&mut job, budget).await;
        let (due, refused) = self.without_custom_payload(take(&mut job.plan.due));
        let mut skipped = take(&mut job.plan.skipped);
        skipped.extend(refused);
        let capacity = self.drive_capacity(&job, budget);
        let guarded = self.guarded(&mut job, due).await;
        skipped.extend(guarded.skipped);
        let max_in_flight = job.fleet.limits.max_in_flight;
        let bonds = Bonds::of(&job.fleet.pipelines);
        let (mut own, handed_on) = match job.is_spread {
            true => {
                let until = budget.until(|split| split.release);
                self.spread(&job.shard, guarded.sent, &bonds, max_in_flight, until).await
            }
            false => (guarded.sent, Vec::new()),
        };
        own.iter_mut().for_each(|due| due.together = bonds.stage(&due.target.id));
        let ended = job.claimed.as_ref().map(|claimed| claimed.end(own.iter().chain(&handed_on), &skipped));
        let sent = own.iter().chain(&guarded.held).chain(&handed_on).cloned().collect();
        let (tick, config) = (job.shard.tick, job.config.clone());
        let running = self.engine.start(tick, config, own.clone(), self.gate(&job, &own), budget.stop());
        let (results, capacity) = (Mutex::default(), tokio::sync::Mutex::new(capacity));
        let recording = Recording {
            service: self,
            job: &job,
            bonds,
            own,
            handed_on,
            sent,
            budget,
            observer,
            results,
            capacity,
        };
        let ending = self.end_deployed(ended.as_ref());
        let (report, ended) = tokio::join!(report_in_parts(running, skipped, budget, &recording), ending);
        let Progress { recorded, health, .. } =
            recording.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let health = health.and(ended).and(job.plan.health);
        self.save_deployed(&job, budget, health).await;
        let is_tick = job.kind == RecordKind::Tick || job.is_run_once;
        if let Some(guards) = self.guards.as_ref().filter(|_| is_tick && self.policy.refreshes_facts) {
            let until = budget.until(|split| split.record);
            let mut stop = budget.stop().clone();
            tokio::select! {
                () = guards.refresh(&job.fleet, until, &*self.clock, health) => {}
                // The signal to stop, or the end of the time for rounds: facts are read again at the next tick.
                _ = stop.stopped() => {}
            }
            let deadline = budget.until(|split| split.record);
            let now = self.clock.now();
            let noted = self.planner.note_deployed(&job.fleet, guards.take_deployed(), now, deadline).await;
            let consequence = "deployments are noted with the next tick of this process";
            let _ = log_unavailable(noted.err().as_ref(), consequence, health);
        }
        if is_tick && self.policy.refreshes_facts {
            let (keep_days, until) = (job.fleet.limits.keep_history_days, budget.until(|split| split.record));
            let mut stop = budget.stop().clone();
            tokio::select! {
                () = self.expiry.daily(self.planner.documents(), keep_days, self.clock.now(), until) => {}
                _ = stop.stopped() => {}
            }
        }
        Outcome { report, recorded, health }
    }

    /// Begins to make the capacity of the job, beside its rounds.
    fn drive_capacity(&self, job: &Job, budget: &TimeBudget) -> JoinSet<Vec<CapacityReport>> {
        let mut running = JoinSet::new();
        if let (Some(keeper), Some(plan), true) = (&self.keeper, &job.plan.capacity, job.drives) {
            let (keeper, plan, facts) = (Arc::clone(keeper), Arc::clone(plan), job.known.facts().clone());
            let (now, until, stop) = (job.now, budget.until(|split| split.wait), budget.stop().clone());
            running.spawn(async move {
                let context = Context { plan: &plan, facts: &facts, now, until, stop: &stop };
                keeper.tick(&context).await
            });
        }
        running
    }

    /// Applies the guards to the planned rounds. The receiver of a shard applies them again.
    async fn guarded(&self, job: &mut Job, due: Vec<Due>) -> Guarded {
        let Some(guards) = self.guards.as_ref().filter(|_| !due.is_empty()) else {
            return Guarded::by_budgets(due, &job.fleet.limits, job.now);
        };
        let Job { fleet, known, now, .. } = job;
        guards.read_unknown(fleet, &due, known, *now).await;
        if let (true, Some(due)) = (job.reads_facts, due.first()) {
            guards.read_facts(fleet, &due.target, known, *now).await;
        }
        let is_updating =
            |due: &&Due| known.of(&due.target).facts.is_some_and(TargetObservation::is_updating);
        job.plan.updating = due.iter().filter(is_updating).map(|due| due.target.id.clone()).collect();
        guards.apply(due, known, &fleet.limits, self.policy.checks_contact, *now)
    }

    /// Returns the decision after first contacts; none if there are none.
    fn gate(&self, job: &Job, own: &[Due]) -> Option<Arc<dyn Gate>> {
        let guards = Arc::clone(self.guards.as_ref()?);
        let is_contact = |due: &Due| due.terms.first.is_some_and(|first| first.canary.is_some());
        own.iter().flat_map(Due::rounds).any(is_contact).then(|| {
            let gate =
                ContactGate { guards, known: job.known.clone(), limits: job.fleet.limits, now: job.now };
            Arc::new(gate) as Arc<dyn Gate>
        })
    }

    /// Returns the facts beside a report. Those that count once are sent with the first part.
    fn facts(&self, scope: TickScope, health: StoreHealth, is_first: bool) -> TickFacts {
        let config_age = self.live_config.age(self.clock.now()).filter(|_| is_first);
        let state_unavailable = u32::from(health == StoreHealth::Unavailable);
        TickFacts { scope, config_age, state_unavailable, ..TickFacts::default() }
    }
}

/// Records the parts of a job.
struct Recording<'j, L, M, E, O> {
    service: &'j Service<L, M, E>,
    job: &'j Job,
    bonds: Bonds,
    /// The rounds that this process runs.
    own: Vec<Due>,
    /// The rounds that are on the bus.
    handed_on: Vec<Due>,
    /// All of them.
    sent: Vec<Due>,
    budget: &'j TimeBudget,
    observer: &'j O,
    results: Mutex<Progress>,
    /// The work on the capacity; empty without one.
    capacity: tokio::sync::Mutex<JoinSet<Vec<CapacityReport>>>,
}

/// The results of the parts so far.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    recorded: Option<Recorded>,
    health: StoreHealth,
    /// True once the unavailable store was counted in the metrics.
    is_counted: bool,
}

impl<L: Lambda, M: Metrics, E: Events, O: Observer> Reporter for Recording<'_, L, M, E, O> {
    async fn complete(&self, rest: &mut TickReport) {
        let max_in_flight = self.job.fleet.limits.max_in_flight;
        self.service.hand_on(&self.job.shard, &self.own, &self.bonds, rest, max_in_flight, self.budget).await;
        match self.capacity.lock().await.join_next().await {
            Some(Ok(capacity)) => rest.capacity = capacity,
            Some(Err(error)) => error!(%error, "the work on the capacity ended unexpectedly"),
            None => {}
        }
        rest.unfinished.extend(self.handed_on.iter().map(|due| due.unfinished(UnfinishedReason::HandedOn)));
    }

    fn pipelines(&self, whole: &TickReport) -> Vec<PipelineReport> {
        pipeline::report(&self.job.plan.pipelines, whole)
    }

    async fn part(&self, part: &Part) {
        // Before anything else is written: an application may wait for it.
        if let (RecordKind::Request, Some(whole)) = (self.job.kind, &part.whole) {
            self.service.notify(whole, self.job.started, self.budget).await;
        }
        self.observer.reported(part);
        let (health, (saved, reached)) = Box::pin(self.record_in_store(part)).await;
        self.service.expiry.note(saved.removed, self.service.clock.now());
        let (health, is_counted) = {
            let mut progress = self.progress();
            progress.health = progress.health.and(health);
            let is_counted = progress.is_counted;
            progress.is_counted |= progress.health == StoreHealth::Unavailable;
            (progress.health, is_counted)
        };
        let counted = if is_counted { StoreHealth::Sound } else { health };
        let moving = async {
            match &saved.to_move {
                Some(rows) => {
                    let fleet = &self.job.fleet;
                    self.service.planner.move_history(rows, fleet, part.until, health).await
                }
                None => StoreHealth::Sound,
            }
        };
        let uncounted = self.service.spending.unreported(&reached, Channel::Metric);
        uncounted.iter().for_each(Reached::log);
        let (recorded, moved) =
            tokio::join!(self.record_metrics(part, counted, &saved.minutes, uncounted.len()), moving);
        if recorded != Some(Recorded::Lost) {
            self.service.spending.reported(&uncounted, Channel::Metric);
        }
        {
            let mut progress = self.progress();
            progress.health = progress.health.and(moved);
            if let Some(recorded) = recorded {
                progress.recorded = Some(progress.recorded.map_or(recorded, |earlier| earlier.and(recorded)));
            }
        }
        self.service.announce_levels(reached, self.budget).await;
        self.observer.recorded(part);
    }
}

impl<L: Lambda, M: Metrics, E: Events, O: Observer> Recording<'_, L, M, E, O> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a part in the state store, in half of the time that is left. The other half is for the metrics.
    /// Returns the levels that budgets have reached, too.
    async fn record_in_store(&self, part: &Part) -> (StoreHealth, (Saved, Vec<Reached>)) {
        let (service, job) = (self.service, self.job);
        let results = |report| Results { fleet: &job.fleet, plan: &job.plan, sent: &self.sent, report };
        let guards = async {
            match &service.guards {
                Some(guards) => {
                    let rounds = &part.report.rounds;
                    guards.record(&self.sent, rounds, &job.fleet, &job.known, job.now).await
                }
                None => Ok(()),
            }
        };
        let records = async {
            let Some(whole) = &part.whole else {
                let now = service.clock.now();
                let health = service.planner.record_part(results(&part.report), &part.running, now).await;
                return (health, Saved::default());
            };
            let released = match &job.taken {
                Some(taken) if whole.sent_nothing() => service.planner.release_shard(taken).await,
                _ => StoreHealth::Sound,
            };
            let (stale_since, now) = (service.live_config.stale_since(), service.clock.now());
            let (health, saved) = service.planner.record(results(whole), job.kind, stale_since, now).await;
            (released.and(health), saved)
        };
        let spending = async {
            let shard = job.taken.is_some().then(|| write_of(&job.shard, part.whole.is_some()));
            let now = service.clock.now();
            match job.work {
                Work::Rounds => service.spending.record(&job.fleet, &part.report, shard, now).await,
                Work::Stale | Work::Repeated | Work::Unneeded => (Vec::new(), Ok(())),
            }
        };
        let recording = async {
            let ((records, saved), guards, (reached, spending)) = tokio::join!(records, guards, spending);
            let consequence = "the results for the guards are written with the next ones";
            let health = log_unavailable(guards.err().as_ref(), consequence, records.and(job.plan.health));
            let consequence = "the cost for the budgets is written with the next one";
            (log_unavailable(spending.err().as_ref(), consequence, health), (saved, reached))
        };
        let now = Instant::now();
        let deadline = now + part.until.saturating_duration_since(now) / 2;
        let (health, kept) = tokio::time::timeout_at(deadline, recording).await.unwrap_or_else(|_| {
            error!("StateUnavailable: no answer in time; the results are not recorded");
            (StoreHealth::Unavailable, <(Saved, Vec<Reached>)>::default())
        });
        (job.plan.health.and(health), kept)
    }

    /// Records the metrics of a part.
    async fn record_metrics(
        &self,
        part: &Part,
        health: StoreHealth,
        coverage: &BTreeMap<Identity, Minutes>,
        levels: usize,
    ) -> Option<Recorded> {
        let recorder = self.service.recorder.as_ref()?;
        match self.job.work {
            Work::Rounds => {}
            Work::Repeated | Work::Unneeded => return None,
            Work::Stale => {
                let facts = self.service.facts(TickScope::Part, StoreHealth::Sound, true);
                self.service.count(TickFacts { ticks_stale: 1, ..facts }, self.budget).await;
                return None;
            }
        }
        let scope = if part.is_first { self.job.kind.scope() } else { TickScope::Part };
        let budgets_exceeded = u32::try_from(levels).unwrap_or(u32::MAX);
        let facts = TickFacts { budgets_exceeded, ..self.service.facts(scope, health, part.is_first) };
        let tick = self.metrics_time(&part.report);
        let report = TickReport { tick, ..part.report.clone() };
        let settings = &self.job.fleet.metrics;
        let recorded = recorder.record(&report, settings, facts, coverage, part.until).await;
        if recorded == Recorded::Sent {
            debug!(tick = %part.report.tick, "recorded");
        }
        Some(recorded)
    }

    /// Returns the time of the metrics: that of the tick, unless it is far from now or an operator chose it. Alarms
    /// evaluate the latest minutes, and would miss earlier ones.
    fn metrics_time(&self, report: &TickReport) -> DateTime<Utc> {
        let now = self.service.clock.now();
        let is_late = now.signed_duration_since(report.tick).abs() > LATE;
        if is_late || self.job.is_of_chosen_minute { now } else { report.tick }
    }
}
