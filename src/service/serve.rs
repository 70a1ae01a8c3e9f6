//! Serves triggers.

mod bus;
mod deployed;
mod job;
mod like;
mod request;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{error, info, warn};

pub use self::bus::Bus;
use self::deployed::unneeded;
use self::job::{Job, Work};
pub use self::like::alike;
use self::request::backlog_terms;
use super::budget::TimeBudget;
use super::capacity::CapacityKeeper;
use super::clock::SystemClock;
use super::daemon::Ticks;
use super::facts::{FactsKeeper, ReadFacts};
use super::guards::{Known, RoundGuards};
use super::history::Expiry;
use super::live_config::{LiveConfig, ReloadReason};
use super::planner::{Ask, AskTerms, Plan, StoreHealth, TickPlanner};
use super::recorder::{Recorded, Recorder};
use super::rounds::Part;
use super::spending::SpendingKeeper;
use super::store::{DocumentStore, Durability, Unavailable};
use super::trigger::{RecordKind, Trigger};
use crate::domain::budget::Cap;
use crate::domain::cost::PriceBook;
use crate::domain::events::{DirectNeed, DirectWarm, Need};
use crate::domain::fleet::{Fleet, Limits, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::metric_data::{Batch, TickFacts};
use crate::domain::pipeline;
use crate::domain::protocol::Protocol;
use crate::domain::schedule::{self, Minute, Mode};
use crate::domain::shard::{MAX_ATTEMPTS, Shard};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport};
use crate::engine::capacity::CapacityControl;
use crate::engine::metrics::ReadMetrics;
use crate::engine::ports::{Clock, Events, Lambda, Metrics};
use crate::engine::tick::{Due, Engine};

/// The number of minutes that are remembered as served.
const REMEMBERED_MINUTES: usize = 64;

/// Returns the number of pings that fit in flight within these limits, or the reason why the largest round does not
/// fit.
pub type Capacity = Box<dyn Fn(Limits, u32) -> Result<usize, String> + Send + Sync>;

/// Sends pings for triggers, and records the results. A process has one service.
pub struct Service<L, M, E> {
    engine: Arc<Engine<L>>,
    planner: TickPlanner,
    live_config: LiveConfig,
    capacity: Capacity,
    /// The minutes that this process served last.
    minutes: Mutex<VecDeque<Minute>>,
    /// CloudWatch; none when nothing is recorded there.
    pub recorder: Option<Recorder<M>>,
    /// The bus for shards and for the results of requests; none means that no events are sent.
    pub bus: Option<Bus<E>>,
    /// The guards of rounds; none means that every planned round is sent.
    guards: Option<Arc<RoundGuards>>,
    /// The spending of the month.
    spending: SpendingKeeper,
    /// The keeper of provisioned concurrency and managed instances; none means that it is not changed.
    keeper: Option<Arc<CapacityKeeper>>,
    /// The removal of old history.
    expiry: Expiry,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The rules for triggers.
    pub policy: Policy,
}

/// The rules for triggers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Triggers that are older send nothing; none means any age.
    pub max_age: Option<Duration>,
    /// The treatment of targets with a payload of the configuration.
    pub custom_payload: CustomPayload,
    /// True if firings of the schedule may be delivered more than once: a minute is then served once.
    pub is_delivered_repeatedly: bool,
    /// True if a handler without trust gets one ping before its first round. Needs guards.
    pub checks_contact: bool,
    /// True if facts are read again after the ticks: the process or its state store lives on. Needs guards.
    pub refreshes_facts: bool,
}

/// The treatment of targets with a payload of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CustomPayload {
    /// They are pinged.
    #[default]
    Allowed,
    /// They are skipped. Otherwise write access to the configuration would be enough to send any payload to every
    /// function that the role may invoke.
    Refused,
}

/// Observes the parts of reports.
pub trait Observer: Send + Sync + 'static {
    /// Called with a part before it is recorded.
    fn reported(&self, _part: &Part) {}

    /// Called with a part after it was recorded.
    fn recorded(&self, _part: &Part) {}
}

/// The result of a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The whole report.
    pub report: TickReport,
    /// The worst result of recording its metrics; none when none were recorded.
    pub recorded: Option<Recorded>,
    /// The condition of the state store.
    pub health: StoreHealth,
}

/// The reason why nothing was sent for a trigger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The trigger is refused, and a repetition would be refused as well.
    #[error("{0}")]
    Refused(String),
    /// The trigger needs the state store. It should be delivered again.
    #[error("StateUnavailable: {0}")]
    StateUnavailable(String),
}

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Creates a service with the system clock that records no metrics and has no bus. `largest` is the number of pings
    /// of its largest round; none means the largest that the configuration ever needs.
    ///
    /// # Errors
    /// When the largest round does not fit into the process; for people.
    pub fn new(
        lambda: L,
        live_config: LiveConfig,
        documents: DocumentStore,
        capacity: Capacity,
        largest: Option<u32>,
    ) -> Result<Self, String> {
        let fleet = live_config.fleet();
        let engine = Arc::new(Engine::new(lambda, PriceBook::embedded(), 1));
        apply(&fleet, largest.unwrap_or_else(|| largest_round(&fleet)), &capacity, &engine)?;
        Ok(Self {
            engine,
            spending: SpendingKeeper::new(documents.clone()),
            planner: TickPlanner::new(documents),
            live_config,
            capacity,
            minutes: Mutex::default(),
            recorder: None,
            bus: None,
            guards: None,
            keeper: None,
            expiry: Expiry::default(),
            clock: Arc::new(SystemClock),
            policy: Policy::default(),
        })
    }

    /// Adds guards of the rounds, which read facts about deployed functions through `reader`.
    pub fn guard(&mut self, reader: Arc<dyn ReadFacts>) {
        let documents = self.planner.documents();
        let facts = FactsKeeper::new(documents.clone(), Some(reader));
        self.guards = Some(Arc::new(RoundGuards::new(facts, documents.clone())));
    }

    /// Changes provisioned concurrency and managed instances through `control`. `is_whole` is false if the fleet is a
    /// part of the configuration.
    pub fn drive(&mut self, control: Arc<dyn CapacityControl>, is_whole: bool) {
        if !is_whole {
            self.planner.plan_part();
        }
        let documents = self.planner.documents().clone();
        self.keeper = Some(Arc::new(CapacityKeeper::new(documents, control, is_whole)));
    }

    /// Reads the metrics of backlogs through `metrics`.
    pub fn read_backlogs(&mut self, metrics: Arc<dyn ReadMetrics>) {
        self.planner.read_backlogs(metrics);
    }

    /// The configuration.
    pub fn live_config(&self) -> &LiveConfig {
        &self.live_config
    }

    /// The engine.
    pub fn engine(&self) -> &Engine<L> {
        &self.engine
    }

    /// Serves a trigger: reloads the configuration, plans with the records, sends the pings within the time budget, and
    /// records the results.
    ///
    /// # Errors
    /// [`Refusal`]. Nothing was sent then.
    pub async fn serve(
        &self,
        trigger: Trigger,
        budget: &TimeBudget,
        observer: &impl Observer,
    ) -> Result<Outcome, Refusal> {
        match self.plan(trigger).await {
            Ok(job) => Ok(self.run(job, budget, observer).await),
            Err(refusal) => Err(self.refuse(refusal, budget).await),
        }
    }

    /// Logs a refusal and counts it in the metrics.
    pub async fn refuse(&self, refusal: Refusal, budget: &TimeBudget) -> Refusal {
        error!("{refusal}");
        let facts = match refusal {
            Refusal::Refused(_) => TickFacts { events_refused: 1, ..TickFacts::default() },
            Refusal::StateUnavailable(_) => TickFacts { state_unavailable: 1, ..TickFacts::default() },
        };
        self.count(facts, budget).await;
        refusal
    }

    /// Reloads the configuration if it has changed, or for a signal.
    pub async fn reload(&self, reason: ReloadReason) {
        let apply = |fleet: &Fleet| apply(fleet, largest_round(fleet), &self.capacity, &self.engine);
        self.live_config.reload(reason, self.clock.now(), apply).await;
    }

    /// Records metrics that belong to no tick.
    async fn count(&self, facts: TickFacts, budget: &TimeBudget) {
        let Some(recorder) = &self.recorder else { return };
        let namespace = self.live_config.fleet().metrics.namespace.clone();
        let batch = Batch { namespace, at: self.clock.now(), data: facts.data() };
        // The recorder logs failures.
        let _ = recorder.put(&batch, budget.until(|split| split.record)).await;
    }

    /// Sends spooled metrics, once CloudWatch has acknowledged those of a tick.
    async fn replay(&self, budget: &TimeBudget) {
        if let Some(recorder) = &self.recorder {
            recorder.replay(self.clock.now(), budget.stop(), || budget.until(|split| split.record)).await;
        }
    }

    /// Reloads the configuration and plans the rounds of a trigger.
    async fn plan(&self, trigger: Trigger) -> Result<Job, Refusal> {
        self.reload(ReloadReason::Trigger).await;
        let fleet = self.live_config.fleet();
        let now = self.clock.now();
        let job = Job::new(&trigger, Arc::clone(&fleet), now);
        if let Some(reason) = unneeded(&trigger, &fleet) {
            info!("{reason}");
            return Ok(job.nothing(Work::Unneeded));
        }
        let known = async {
            match &self.guards {
                Some(guards) => guards.load(&fleet, now).await,
                None => Known::default(),
            }
        };
        let is_of_operator = matches!(trigger, Trigger::Warm { .. });
        let is_shard = matches!(trigger, Trigger::Shard { .. });
        let budgets = self.spending.load(&fleet, is_shard, now);
        let (known, budgets, job) = tokio::join!(known, budgets, self.plan_rounds(trigger, job));
        let mut job = job?;
        let consequence = "the guards use what this process knows";
        job.plan.health = log_unavailable(known.unavailable.as_ref(), consequence, job.plan.health);
        if let Some(budgets) = budgets {
            let consequence = "the budgets count what this process knows";
            job.plan.health = log_unavailable(budgets.unavailable.as_ref(), consequence, job.plan.health);
            job.apply_budgets(&budgets, is_of_operator);
        }
        Ok(Job { known, ..job })
    }

    /// Plans the rounds of a trigger.
    async fn plan_rounds(&self, trigger: Trigger, job: Job) -> Result<Job, Refusal> {
        let (fleet, now) = (Arc::clone(&job.fleet), job.now);
        match trigger {
            Trigger::Schedule { at, .. } if self.is_stale(at, now) => Ok(job.nothing(Work::Stale)),
            Trigger::Schedule { at, .. } if !self.is_new_minute(Minute::of(at)) => {
                info!(tick = %at, "this environment has served the minute before: nothing is sent again");
                Ok(job.nothing(Work::Repeated))
            }
            Trigger::Schedule { at, previous } => {
                let plan = self.planner.plan(&fleet, at, previous, now).await;
                Ok(Job { plan, ..job })
            }
            Trigger::RunOnce { at: None, due_only: true } => {
                let plan = self.planner.plan(&fleet, now, minute_before(now), now).await;
                Ok(Job { plan, ..job })
            }
            Trigger::RunOnce { at, due_only } => {
                let plan = preview(&self.planner, &fleet, at, due_only, now).await;
                Ok(Job { plan, ..job })
            }
            Trigger::RunEvent { at, .. } => {
                let plan = preview(&self.planner, &fleet, at, false, now).await;
                Ok(Job { plan, ..job })
            }
            Trigger::Shard { at, shard } => self.plan_shard(job, at, shard).await,
            Trigger::Request(request) => self.plan_request(job, &request).await,
            Trigger::Deployed(deployment) => Ok(self.plan_deployed(job, &deployment).await),
            Trigger::Ignored(_) => Ok(job.nothing(Work::Unneeded)),
            Trigger::Warm { warm, region } => self.plan_warm(job, warm, region).await,
        }
    }

    /// Plans the rounds of a shard.
    async fn plan_shard(&self, job: Job, at: Option<DateTime<Utc>>, shard: Shard) -> Result<Job, Refusal> {
        // The time of the tick does not count: a later attempt follows a quarter of an hour after it.
        if at.is_some_and(|at| self.is_stale(at, job.now)) {
            return Ok(job.nothing(Work::Stale));
        }
        if let Err(reason) = self.planner.admit_shard(&shard, &job.fleet, job.now).await {
            let message = format!("the Warm Shard is refused, and nothing was sent: {reason}");
            return Err(Refusal::Refused(message));
        }
        if shard.config.as_deref() != Some(job.fleet.hash.as_str()) {
            warn!(config = shard.config, own = %job.fleet.hash, "the shard was planned with another configuration");
        }
        let due = shard.rounds.iter().filter_map(|round| {
            let Some(target) = job.fleet.targets.iter().find(|target| target.id == round.id) else {
                let (function, region) = (round.id.shown(), round.id.region);
                warn!(function, %region, "not served: it is not in the configuration");
                return None;
            };
            // An event must not warm more than the configuration does.
            let concurrency = NonZeroU32::new(round.concurrency.get().min(target.highest()))?;
            Some(Due {
                share: round.share,
                metric_age: round.metric_age.map(u64::from),
                has_backlog: round.has_backlog,
                raised_to: round.raised_to,
                budget: round.budget.map(|budget| Cap::of_shard(target, budget)),
                ..Due::new(Arc::new(target.clone()), concurrency)
            })
        });
        let due: Vec<Due> = due.collect();
        // EventBridge and Lambda both deliver at least once.
        let (taken, health) = self.planner.take_shard(&shard.id(), job.now).await;
        if let Some(taken) = taken {
            let rounds = due.iter().map(|due| (&due.target.id, due.raised_to));
            let pipelines = pipeline::needs_of_rounds(&job.fleet, Minute::of(shard.tick), rounds);
            let plan = Plan::of_shard(due, pipelines, health);
            return Ok(Job { plan, taken: Some(taken), ..job });
        }
        info!(tick = %shard.tick, "this shard was delivered before: nothing is sent again");
        let (due, mut skipped) = self.without_custom_payload(due);
        skipped.splice(0..0, due.iter().map(|due| due.skipped(SkipReason::Served)));
        let plan = Plan::unclaimed(Vec::new(), skipped, health);
        Ok(Job { kind: RecordKind::MetricsOnly, plan, ..job })
    }

    /// Plans the rounds that an operator orders: one, or one for each tenant of a configured function with tenants. A
    /// backlog of a function with `on_request` is limited, and kept with a durable store, as that of a Warm Request.
    /// Another one cannot be held.
    async fn plan_warm(&self, mut job: Job, warm: DirectWarm, region: Region) -> Result<Job, Refusal> {
        let need = match &warm.need {
            DirectNeed::Given(need) => need.clone(),
            DirectNeed::Like(like) => return self.plan_like(job, &warm, like, region).await,
        };
        let is_ordered = |target: &&Target| target.region() == region && warm.function.is_of(&target.id);
        let mut targets: Vec<Target> = job.fleet.targets.iter().filter(is_ordered).cloned().collect();
        if let Some(tenant) = &warm.tenant {
            // A tenant that is not configured has the settings of the others.
            targets.sort_by_key(|target| target.id.tenant.as_ref() != Some(tenant));
            targets.truncate(1);
            targets.iter_mut().for_each(|target| target.id.tenant = Some(tenant.clone()));
        }
        if targets.is_empty() {
            let bare = Target::bare(&warm.function, region);
            targets.push(Target { id: Identity { tenant: warm.tenant, ..bare.id }, ..bare });
        }
        for target in &mut targets {
            target.protocol = warm.protocol.clone().unwrap_or_else(|| target.protocol.clone());
            target.hold = warm.hold.unwrap_or(target.hold);
        }
        let wanted = need.environments();
        let number = |target: &Target| match (&need, &target.on_request) {
            (Need::Backlog(_), Some(rule)) => wanted.min(rule.max_concurrency),
            _ => wanted,
        };
        let largest = targets.iter().map(number).max().unwrap_or(0);
        let limits = Limits { max_in_flight: largest.max(1), ..job.fleet.limits };
        if let Err(reason) = (self.capacity)(limits, largest) {
            return Err(Refusal::Refused(format!("nothing was sent: {reason}")));
        }
        if let Need::Backlog(backlog) = &need {
            let terms = AskTerms::Backlog(backlog_terms(backlog, job.now, None));
            let asks: Vec<Ask<'_>> =
                targets.iter().filter_map(|target| Ask::new(target, terms.clone())).collect();
            let missing = match self.planner.durability() {
                _ if asks.is_empty() => Some("`on_request` in the configuration of the function"),
                Durability::Volatile => Some("a state store (WARMD_STATE)"),
                Durability::Durable => None,
            };
            if let (Some(missing), Some(_)) = (missing, backlog.hold_for) {
                let message = format!("nothing was sent: `hold_for` needs {missing}, and there is none");
                return Err(Refusal::Refused(message));
            }
            if missing.is_none() {
                let plan = self.planner.request(&job.fleet, &asks, job.now).await.map_err(|unavailable| {
                    let message = format!("the backlog cannot be kept, and nothing was sent: {unavailable}");
                    Refusal::StateUnavailable(message)
                })?;
                (job.kind, job.drives) = (RecordKind::Request, true);
                return Ok(Job { plan, ..job });
            }
        }
        let due = targets.into_iter().filter_map(|target| {
            let concurrency = NonZeroU32::new(number(&target))?;
            Some(Due::new(Arc::new(target), concurrency))
        });
        let due = due.collect();
        Ok(Job { plan: Plan::unclaimed(due, Vec::new(), StoreHealth::Sound), ..job })
    }

    /// Returns true if a trigger that was sent at `at` is too old.
    fn is_stale(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let is_stale = self.is_older(at, now);
        if is_stale {
            let age_seconds = now.signed_duration_since(at).num_seconds();
            warn!(time = %at, age_seconds, "the event is stale: nothing is sent for it");
        }
        is_stale
    }

    /// Returns true if `at` is longer ago than the greatest age of events.
    fn is_older(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let most = self.policy.max_age.and_then(|most| TimeDelta::from_std(most).ok());
        most.is_some_and(|most| now.signed_duration_since(at) > most)
    }

    /// Returns true unless this process has served the minute, and firings may be delivered repeatedly.
    fn is_new_minute(&self, minute: Minute) -> bool {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.policy.is_delivered_repeatedly && minutes.contains(&minute) {
            return false;
        }
        minutes.push_back(minute);
        if minutes.len() > REMEMBERED_MINUTES {
            minutes.pop_front();
        }
        true
    }

    /// Separates the rounds that may be sent from those with a payload of the configuration, if that is refused.
    fn without_custom_payload(&self, due: Vec<Due>) -> (Vec<Due>, Vec<RoundRecord>) {
        let is_refused = |due: &Due| {
            self.policy.custom_payload == CustomPayload::Refused
                && matches!(due.target.protocol, Protocol::Custom(_))
        };
        let (refused, allowed): (Vec<Due>, Vec<Due>) = due.into_iter().partition(is_refused);
        let skipped = refused.iter().map(|due| {
            error!(function = %due.target.id.shown(), region = %due.target.region(),
                "not sent: its payload is `custom`, which needs WARMD_ALLOW_CUSTOM_PAYLOAD=true");
            due.skipped(SkipReason::CustomPayload)
        });
        (allowed, skipped.collect())
    }
}

/// The ticks of the daemon, served by the service.
pub struct ScheduledTicks<L, M, E, O> {
    /// The service.
    pub service: Arc<Service<L, M, E>>,
    /// The time of every tick.
    pub budget: TimeBudget,
    /// Observes the ticks.
    pub observer: O,
}

impl<L: Lambda, M: Metrics, E: Events, O: Observer> Ticks for ScheduledTicks<L, M, E, O> {
    type Plan = Result<Job, Refusal>;

    async fn plan(&self, previous: DateTime<Utc>, now: DateTime<Utc>) -> Self::Plan {
        self.service.plan(Trigger::Schedule { at: now, previous: Minute::of(previous) }).await
    }

    async fn serve(&self, plan: Self::Plan) {
        match plan {
            Ok(job) => {
                let outcome = self.service.run(job, &self.budget, &self.observer).await;
                if outcome.recorded == Some(Recorded::Sent) {
                    self.service.replay(&self.budget).await;
                }
            }
            Err(refusal) => drop(self.service.refuse(refusal, &self.budget).await),
        }
    }
}

/// Plans a tick of the command line or of an operator without a claim. `at` is the minute that the operator chose, and
/// `due_only` selects the targets that are due in it, not all with an open window.
pub async fn preview(
    planner: &TickPlanner,
    fleet: &Fleet,
    at: Option<DateTime<Utc>>,
    due_only: bool,
    now: DateTime<Utc>,
) -> Plan {
    planner.preview(fleet, mode(at, due_only, now), at.unwrap_or(now), now).await
}

/// Returns the number of pings of the largest round of such a tick without any records. Metrics may want any number up
/// to the highest.
pub fn largest_due(fleet: &Fleet, at: Option<DateTime<Utc>>, due_only: bool, now: DateTime<Utc>) -> u32 {
    let due = schedule::plan_tick(fleet, Minute::of(at.unwrap_or(now)), mode(at, due_only, now));
    let read = fleet.targets.iter().filter(|target| !target.backlogs.is_empty() && target.is_pinged());
    due.iter().map(|due| due.desired).chain(read.map(Target::highest)).max().unwrap_or(0)
}

fn mode(at: Option<DateTime<Utc>>, due_only: bool, now: DateTime<Utc>) -> Mode {
    match (due_only, at) {
        (false, _) => Mode::Open,
        // The records of earlier ticks do not apply to another minute.
        (true, Some(_)) => Mode::DueOnly,
        (true, None) => Mode::DueSince(minute_before(now)),
    }
}

/// Returns the minute of the previous firing for a tick without earlier ones, so that only the present minute counts.
fn minute_before(now: DateTime<Utc>) -> Minute {
    Minute::of(now).plus(-1)
}

/// Returns the number of pings of the largest round that the fleet ever needs.
pub fn largest_round(fleet: &Fleet) -> u32 {
    fleet.targets.iter().filter(|target| target.is_pinged()).map(Target::highest).max().unwrap_or(0)
}

/// Logs that the guards could not use the store, unless another failure of the tick was logged before.
fn log_unavailable(
    unavailable: Option<&Unavailable>,
    consequence: &str,
    earlier: StoreHealth,
) -> StoreHealth {
    let Some(unavailable) = unavailable else { return earlier };
    if earlier == StoreHealth::Sound {
        error!("StateUnavailable: {unavailable}; {consequence}");
    }
    StoreHealth::Unavailable
}

/// Applies the limits and prices of a configuration to the engine, if its largest round fits into the process.
fn apply<L: Lambda>(
    fleet: &Fleet,
    largest: u32,
    capacity: &Capacity,
    engine: &Engine<L>,
) -> Result<(), String> {
    engine.set_max_in_flight(capacity(fleet.limits, largest)?);
    engine.set_wire(fleet.limits.wire);
    engine.set_prices(fleet.prices.clone());
    Ok(())
}
