//! Serving events.

mod bus;
mod rounds;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_runtime::{Context, Diagnostic, LambdaEvent as Invocation};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::deadline::{Share as TimeShare, divide};
use super::settings::{CustomPayload, Settings};
use super::{REFUSED, STATE_UNAVAILABLE, failed, refused};
use crate::aws::{AwsLambda, CloudWatch, EventBridge, fd_limit};
use crate::cli::app::App;
use crate::cli::clock::SystemClock;
use crate::cli::configuration::{Origin, largest};
use crate::cli::error::Failure;
use crate::cli::live_config::{Asked as LookedAt, LiveConfig};
use crate::cli::logging;
use crate::cli::options::Only;
use crate::cli::store::{Store, halfway, time_of_record, unavailable};
use crate::cli::value_parsers::Regions;
use crate::domain::events::{DirectWarm, LambdaEvent, WarmRequest};
use crate::domain::fleet::{Fleet, Limits, Target};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::metric_data::{Batch, TickFacts, TickScope};
use crate::domain::parse::nearest;
use crate::domain::protocol::Protocol;
use crate::domain::records::{RequestTerms, STATUS, Status};
use crate::domain::schedule::{Minute, Mode};
use crate::domain::shard::{MAX_ATTEMPTS, Shard};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, UnfinishedReason};
use crate::domain::tick_line;
use crate::engine::planner::{Cause, Durability, Plan, StoreHealth, TickPlanner};
use crate::engine::ports::Clock;
use crate::engine::record::{PATIENCE, Recorded, Recorder};
use crate::engine::state::update;
use crate::engine::tick::{Due, Engine};

/// How many minutes are remembered as served.
const REMEMBERED_MINUTES: usize = 64;

/// Everything that lives on between invocations.
pub struct Warmer {
    settings: Settings,
    app: App,
    live_config: Arc<LiveConfig>,
    engine: Arc<Engine<AwsLambda>>,
    recorder: Recorder<CloudWatch>,
    events: EventBridge,
    planner: TickPlanner<Store>,
    served: Mutex<VecDeque<Minute>>,
}

/// What one invocation is about.
struct Invoked<'i> {
    request_id: &'i str,
    start: Instant,
    share: TimeShare,
}

impl Invoked<'_> {
    /// An instant of the invocation's time, or [`PATIENCE`] from now when that is earlier.
    fn until(&self, end: Duration) -> Instant {
        (self.start + end).min(Instant::now() + PATIENCE)
    }
}

impl Warmer {
    /// Makes everything that can be made before the first event.
    ///
    /// # Errors
    /// A configuration that is refused, or one that does not fit.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        if let Err(error) = fd_limit::raise() {
            warn!(%error, "the limit of open files stays as it is");
        }
        let only = Only { regions: settings.regions.clone() };
        let app = App::aws().await;
        let fits = |fleet: &Fleet| app.room(fleet.limits, largest(fleet)).map(drop);
        let origin = Origin::of_path(Path::new(&settings.configs), &only);
        let live_config = LiveConfig::begin_or_earlier(origin, fits)?;
        let fleet = live_config.fleet();
        warn_without_target(&fleet, &settings);
        let engine = app.engine(fleet.limits, largest(&fleet))?;
        engine.set_prices(fleet.prices.clone());
        // CloudWatch reads embedded-metric lines from a Lambda's standard output.
        let recorder = Recorder::new(app.cloudwatch()?, Box::new(io::stdout()));
        let events = app.clients().events().map_err(|error| Failure::Usage(error.to_string()))?;
        let store = Store::at(settings.state.as_deref(), app.clients())?;
        let planner = store.swept(SystemClock.now()).await.planner();
        Ok(Self {
            settings,
            app,
            live_config: Arc::new(live_config),
            engine,
            recorder,
            events,
            planner,
            served: Mutex::default(),
        })
    }

    /// Serves one event. The answer is the tick object.
    ///
    /// # Errors
    /// An event that is refused, or that should be delivered again; nothing was sent for it.
    pub async fn serve(&self, invocation: Invocation<Value>) -> Result<TickReport, Diagnostic> {
        let Invocation { payload, context } = invocation;
        logging::invocation(&context.request_id);
        let now = SystemClock.now();
        let invoked = invoked(&context, now);
        let event = LambdaEvent::parse(&payload).and_then(|event| event.check_time(now).map(|()| event));
        let served = match event {
            Err(error) => Err(refused(error)),
            Ok(LambdaEvent::Scheduled { at }) => Ok(self.scheduled(at, &invoked).await),
            Ok(LambdaEvent::Run { at }) => Ok(self.run(at, &invoked).await),
            Ok(LambdaEvent::Shard { at, shard }) => self.shard(at, shard, &invoked).await,
            Ok(LambdaEvent::Request(request)) => self.request(request, &invoked).await,
            Ok(LambdaEvent::Warm(warm)) => self.warm(warm, &invoked).await,
        };
        if let Err(diagnostic) = &served {
            let counted = match diagnostic.error_type.as_str() {
                REFUSED => TickFacts { events_refused: 1, ..TickFacts::default() },
                _ => TickFacts { state_unavailable: 1, ..TickFacts::default() },
            };
            self.count(&self.live_config.fleet(), counted, &invoked).await;
        }
        served
    }

    /// Sends metrics that belong to no tick.
    async fn count(&self, fleet: &Fleet, facts: TickFacts, invoked: &Invoked<'_>) {
        let batch =
            Batch { namespace: fleet.metrics.namespace.clone(), at: SystemClock.now(), data: facts.data() };
        note(self.recorder.put(&batch, invoked.until(invoked.share.record)).await);
    }

    async fn fleet(&self) -> Arc<Fleet> {
        let before = self.live_config.fleet();
        self.live_config.clone().reload(LookedAt::ByTick, &self.app, &self.engine).await;
        let fleet = self.live_config.fleet();
        if fleet.hash != before.hash {
            warn_without_target(&fleet, &self.settings);
        }
        fleet
    }

    /// A tick at the event's own time.
    async fn scheduled(&self, at: DateTime<Utc>, invoked: &Invoked<'_>) -> TickReport {
        let fleet = self.fleet().await;
        if self.is_late(at) {
            return self.late(&fleet, at, invoked).await;
        }
        let minute = Minute::of(at);
        if !self.claim(minute) {
            info!(tick = %at, "this minute has been served by this environment: nothing is sent again");
            let report = nothing(at, &fleet);
            log(&report, invoked);
            return report;
        }
        let previous = minute.plus(-self.settings.tick_minutes);
        let plan = self.planner.plan(&fleet, at, previous, SystemClock.now()).await;
        self.tick(&fleet, at, None, plan, invoked).await
    }

    /// Whether an event that was put on the bus at `at` comes too late.
    fn is_late(&self, at: DateTime<Utc>) -> bool {
        let age = SystemClock.now().signed_duration_since(at);
        let most = self.settings.max_tick_age.and_then(|most| TimeDelta::from_std(most).ok());
        let late = most.is_some_and(|most| age > most);
        if late {
            warn!(time = %at, age_seconds = age.num_seconds(), "this event comes too late: nothing is sent for it");
        }
        late
    }

    /// Notes an event that comes too late.
    async fn late(&self, fleet: &Fleet, tick: DateTime<Utc>, invoked: &Invoked<'_>) -> TickReport {
        let report = nothing(tick, fleet);
        log(&report, invoked);
        let facts = self.facts(TickScope::Part, StoreHealth::Sound);
        self.count(fleet, TickFacts { ticks_stale: 1, ..facts }, invoked).await;
        report
    }

    /// Whether this environment sees the minute for the first time.
    fn claim(&self, minute: Minute) -> bool {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.contains(&minute) {
            return false;
        }
        served.push_back(minute);
        if served.len() > REMEMBERED_MINUTES {
            served.pop_front();
        }
        true
    }

    /// An operator's tick: every target that is above zero, as `warmd run --once` does it.
    async fn run(&self, at: Option<DateTime<Utc>>, invoked: &Invoked<'_>) -> TickReport {
        let fleet = self.fleet().await;
        let now = SystemClock.now();
        let at = at.unwrap_or(now);
        let plan = self.planner.look(&fleet, Mode::Open, at, now).await;
        self.tick(&fleet, at, Some(invoked.request_id.to_owned()), plan, invoked).await
    }

    /// Serves a plan: what does not fit in flight together goes on the bus.
    async fn tick(
        &self,
        fleet: &Fleet,
        at: DateTime<Utc>,
        run: Option<String>,
        mut plan: Plan,
        invoked: &Invoked<'_>,
    ) -> TickReport {
        let due = self.allowed(&mut plan.skipped, std::mem::take(&mut plan.due));
        let shard = Shard { run, ..first_shard(at, fleet) };
        let (own, handed_on) = self.spread(fleet, &shard, due, invoked).await;
        let sent: Vec<Due> = own.iter().chain(&handed_on).cloned().collect();
        let share = if shard.run.is_none() { TickScope::Whole } else { TickScope::Part };
        let (mut report, part) = self.rounds(fleet, &shard, own, share, Some(&plan), invoked).await;
        report.rounds.append(&mut plan.skipped);
        report.unfinished.extend(handed_on.iter().map(|due| due.unfinished(UnfinishedReason::HandedOn)));
        // An operator's tick is none of the schedule's.
        let cause = match shard.run {
            None => Cause::Schedule { config_behind_since: self.live_config.stale_since() },
            Some(_) => Cause::Asked,
        };
        let noting = self.planner.note(&plan, &sent, &report, cause, SystemClock.now());
        let noted = halfway(invoked.until(invoked.share.record), noting).await;
        self.record(fleet, &part.rest(&report), part.share(share), plan.health.and(noted), invoked).await;
        report
    }

    /// A part of a tick that another instance was too small for.
    async fn shard(
        &self,
        at: Option<DateTime<Utc>>,
        shard: Shard,
        invoked: &Invoked<'_>,
    ) -> Result<TickReport, Diagnostic> {
        let fleet = self.fleet().await;
        // Not by its tick: a later attempt at it comes a quarter of an hour after.
        if at.is_some_and(|at| self.is_late(at)) {
            return Ok(self.late(&fleet, shard.tick, invoked).await);
        }
        if let Err(reason) = self.planner.admit_shard(&shard, &fleet, SystemClock.now()).await {
            return Err(refused(format!("the Warm Shard is refused, and nothing was sent: {reason}")));
        }
        if shard.config.as_deref() != Some(fleet.hash.as_str()) {
            warn!(config = shard.config, own = %fleet.hash, "the shard was planned on another configuration");
        }
        let mut skipped = Vec::new();
        let due = shard.rounds.iter().filter_map(|round| {
            let id = &round.id;
            let Some(target) = fleet.targets.iter().find(|target| target.id == *id) else {
                warn!(function = id.label(), region = %id.region, "not in the configuration: not served");
                return None;
            };
            // Whoever puts it on the bus cannot have more warmed than the configuration does.
            let concurrency = NonZeroU32::new(round.concurrency.get().min(target.highest()));
            concurrency.map(|concurrency| Due { target: Arc::new(target.clone()), concurrency })
        });
        let due = self.allowed(&mut skipped, due.collect());
        // EventBridge and Lambda both deliver at least once.
        let (taken, mut health) = self.planner.take_shard(&shard.id(), SystemClock.now()).await;
        let Some(taken) = taken else {
            info!(tick = %shard.tick, "this shard was delivered before: nothing is sent again");
            let served = due.iter().map(|due| due.skipped(SkipReason::Served));
            let rounds = served.chain(skipped).collect();
            let report = TickReport { rounds, ..nothing(shard.tick, &fleet) };
            self.record(&fleet, &report, TickScope::Part, health, invoked).await;
            return Ok(report);
        };
        let (mut report, part) =
            self.rounds(&fleet, &shard, due.clone(), TickScope::Part, None, invoked).await;
        if report.sent_nothing() {
            health = health.and(self.planner.give_back(taken).await);
        }
        report.rounds.append(&mut skipped);
        let mut nothing_planned = Plan::default();
        nothing_planned.health = health;
        let cause = if shard.run.is_none() { Cause::Shard } else { Cause::Asked };
        let noting = self.planner.note(&nothing_planned, &due, &report, cause, SystemClock.now());
        let noted = halfway(invoked.until(invoked.share.record), noting).await;
        self.record(&fleet, &part.rest(&report), TickScope::Part, noted, invoked).await;
        Ok(report)
    }

    /// An application asks for warmth.
    async fn request(&self, request: WarmRequest, invoked: &Invoked<'_>) -> Result<TickReport, Diagnostic> {
        let started = Instant::now();
        let fleet = self.fleet().await;
        let refuse = |reason: String| {
            let function = &request.function;
            Err(refused(format!(
                "the Warm Request for `{function}` is refused, and nothing was sent: {reason}"
            )))
        };
        let targets: Vec<&Target> = fleet
            .targets
            .iter()
            .filter(|target| target.id == request.function.identity(target.region()))
            .filter(|target| request.region.is_none_or(|region| region == target.region()))
            .collect();
        if targets.is_empty() {
            let hint = meant(&fleet, &request.function);
            let hint = hint.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            return refuse(format!("it is not in the configuration of this region{hint}"));
        }
        let targets: Vec<&Target> =
            targets.into_iter().filter(|target| target.on_request.is_some()).collect();
        if targets.is_empty() {
            return refuse("it has no `on_request` in the configuration".to_owned());
        }
        if request.keep_for.is_some() && self.planner.durability() == Durability::Volatile {
            return refuse("`for` needs a state store (WARMD_STATE), and there is none".to_owned());
        }
        let now = SystemClock.now();
        // It may be up to a minute ahead, when clocks differ.
        let at = request.at.unwrap_or(now).min(now);
        if self.is_late(at) {
            return Ok(self.late(&fleet, at, invoked).await);
        }
        let asked = RequestTerms {
            at,
            concurrency: request.concurrency,
            keep_for: request.keep_for,
            reason: request.reason.clone(),
        };
        info!(function = %request.function, concurrency = request.concurrency, reason = request.reason, "asked for warmth");
        let mut plan = match self.planner.request(&targets, &asked, now).await {
            Ok(plan) => plan,
            Err(unavailable) => {
                let function = &request.function;
                return Err(failed(
                    STATE_UNAVAILABLE,
                    format!(
                        "{STATE_UNAVAILABLE}: the Warm Request for `{function}` cannot be kept, and nothing was sent: \
                         {unavailable}"
                    ),
                ));
            }
        };
        let due = self.allowed(&mut plan.skipped, std::mem::take(&mut plan.due));
        let shard = first_shard(at, &fleet);
        let (mut report, part) =
            self.rounds(&fleet, &shard, due.clone(), TickScope::Part, None, invoked).await;
        report.rounds.append(&mut plan.skipped);
        // Told before anything else is written: somebody may wait for it.
        self.tell(&report, started, invoked).await;
        let noting = self.planner.note_request(&fleet, &plan, &due, &report, SystemClock.now());
        let noted = halfway(invoked.until(invoked.share.record), noting).await;
        if self.planner.durability() == Durability::Volatile && !due.is_empty() {
            // For requests that are one with it.
            let note = |status: &mut Status| status.note_rounds(&report.rounds, report.tick, now);
            let _ = update(self.planner.state(), STATUS, note).await;
        }
        self.record(&fleet, &part.rest(&report), TickScope::Part, plan.health.and(noted), invoked).await;
        Ok(report)
    }

    /// An operator's round.
    async fn warm(&self, warm: DirectWarm, invoked: &Invoked<'_>) -> Result<TickReport, Diagnostic> {
        let fleet = self.fleet().await;
        let own = self.app.clients().own_region().ok().and_then(|region| Region::parse(region).ok());
        let place = warm.function.place.as_ref().map(|(_, region)| *region);
        let Some(region) = place.or(warm.region).or(own) else {
            return Err(refused("nothing was sent: the function's region is not known"));
        };
        let id = warm.function.identity(region);
        let configured = fleet.targets.iter().find(|target| target.id == id).cloned();
        let mut target = configured.unwrap_or_else(|| Target::bare(&warm.function, region));
        target.protocol = warm.protocol.unwrap_or(target.protocol);
        target.hold = warm.hold.unwrap_or(target.hold);
        let at = SystemClock.now();
        let limits = Limits { max_in_flight: warm.concurrency, ..fleet.limits };
        if let Err(failure) = self.app.cap(limits, warm.concurrency) {
            return Err(refused(format!("nothing was sent: {failure}")));
        }
        let mut skipped = Vec::new();
        let due = |concurrency| Due { target: Arc::new(target), concurrency };
        let due = NonZeroU32::new(warm.concurrency).map(due).into_iter().collect();
        let due = self.allowed(&mut skipped, due);
        let shard = Shard { attempt: MAX_ATTEMPTS, ..first_shard(at, &fleet) };
        let (mut report, part) = self.rounds(&fleet, &shard, due, TickScope::Part, None, invoked).await;
        report.rounds.append(&mut skipped);
        self.record(&fleet, &part.rest(&report), TickScope::Part, StoreHealth::Sound, invoked).await;
        Ok(report)
    }

    /// Takes out rounds whose payload is the configuration's own, unless that is allowed.
    fn allowed(&self, skipped: &mut Vec<RoundRecord>, due: Vec<Due>) -> Vec<Due> {
        let (refused, allowed): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| {
            self.settings.custom_payload == CustomPayload::Refused
                && matches!(due.target.protocol, Protocol::Custom(_))
        });
        for due in refused {
            error!(function = %due.target.label, region = %due.target.region(),
                "not sent: its payload is `custom`, which needs WARMD_ALLOW_CUSTOM_PAYLOAD=true");
            skipped.push(due.skipped(SkipReason::CustomPayload));
        }
        allowed
    }

    fn facts(&self, share: TickScope, health: StoreHealth) -> TickFacts {
        let age = self.live_config.stale_since().map(|since| SystemClock.now().signed_duration_since(since));
        let config_age = age.map(|age| age.to_std().unwrap_or_default());
        let state_unavailable = unavailable(health);
        TickFacts { scope: share, config_age, state_unavailable, ..TickFacts::default() }
    }

    /// Writes the tick down: in the log, and in CloudWatch.
    async fn record(
        &self,
        fleet: &Fleet,
        report: &TickReport,
        share: TickScope,
        health: StoreHealth,
        invoked: &Invoked<'_>,
    ) {
        let until = invoked.until(invoked.share.record);
        self.record_until(fleet, report, share, health, invoked, until).await;
    }

    async fn record_until(
        &self,
        fleet: &Fleet,
        report: &TickReport,
        share: TickScope,
        health: StoreHealth,
        invoked: &Invoked<'_>,
        until: Instant,
    ) {
        log(report, invoked);
        // The metrics are of now, also when an operator asked for another minute.
        let shown = TickReport { tick: time_of_record(report, SystemClock.now()), ..report.clone() };
        note(self.recorder.record(&shown, &fleet.metrics, self.facts(share, health), until).await);
    }
}

/// Warns when there is nothing to warm here: the configuration may be meant for other regions.
fn warn_without_target(fleet: &Fleet, settings: &Settings) {
    if fleet.targets.iter().any(Target::is_warmed) {
        return;
    }
    let regions = match &settings.regions {
        Regions::All => "any region".to_owned(),
        Regions::Only(regions) => regions.iter().map(|region| region.as_str()).collect::<Vec<_>>().join(", "),
    };
    warn!(config = %fleet.hash, "the configuration has nothing to warm in {regions}: WARMD_REGIONS says which regions are served");
}

/// Writes the tick down in the log.
fn log(report: &TickReport, invoked: &Invoked<'_>) {
    let mut lines = tick_line::lines(report, SystemClock.now(), invoked.request_id).join("\n");
    lines.push('\n');
    let written = {
        let mut out = io::stdout().lock();
        out.write_all(lines.as_bytes()).and_then(|()| out.flush())
    };
    if let Err(error) = written {
        error!(%error, "the tick could not be written to standard output");
    }
}

/// The target that was probably meant: the same function by another qualifier, or one of almost that name. Those that
/// may be asked for come first.
fn meant<'f>(fleet: &'f Fleet, function: &FunctionRef) -> Option<&'f str> {
    let written = function.to_string();
    let others = || fleet.targets.iter().filter(|target| target.label != written);
    let same = others().filter(|target| target.id.name == function.name);
    let same = same.min_by_key(|target| target.on_request.is_none()).map(|target| target.label.as_str());
    let allowed = || others().filter(|target| target.on_request.is_some());
    same.or_else(|| nearest(&written, allowed().map(|target| target.label.as_str())))
        .or_else(|| nearest(&written, others().map(|target| target.label.as_str())))
}

/// The recorder has said what went wrong.
fn note(recorded: Recorded) {
    match recorded {
        Recorded::Sent => {}
        Recorded::FellBack | Recorded::Lost => warn!("CloudWatch misses metrics of this tick"),
    }
}

fn invoked(context: &Context, now: DateTime<Utc>) -> Invoked<'_> {
    let deadline = i64::try_from(context.deadline).ok().and_then(DateTime::from_timestamp_millis);
    let left = deadline.and_then(|deadline| deadline.signed_duration_since(now).to_std().ok());
    let share = divide(left.unwrap_or_default());
    Invoked { request_id: &context.request_id, start: Instant::now(), share }
}

/// What rounds of a tick belong to when they are tried for the first time.
fn first_shard(tick: DateTime<Utc>, fleet: &Fleet) -> Shard {
    Shard { tick, config: Some(fleet.hash.clone()), attempt: 1, run: None, rounds: Vec::new() }
}

fn nothing(tick: DateTime<Utc>, fleet: &Fleet) -> TickReport {
    TickReport::empty(tick, Some(fleet.hash.clone()))
}
