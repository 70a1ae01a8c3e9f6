//! A tick: every due target's round, side by side, and the record of them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::{info, warn};

use super::admission::Admission;
use super::ports::Lambda;
use super::runner::{self, NotStarted};
use super::running::RunningTick;
use super::stop::Stop;
use crate::domain::cost::{PriceBook, round_cost};
use crate::domain::fleet::{Hold, Target, WireSettings};
use crate::domain::function::Identity;
use crate::domain::round::{AnswerTimes, Attempt, IdHistory, Known, RoundReport, SkewHistory, skew};
use crate::domain::tick::{RoundRecord, Skipped, TickReport, Unfinished, UnfinishedReason, Verdict};

/// A target that is due, and how many environments it is to have.
#[derive(Debug, Clone)]
pub struct Due {
    /// The target.
    pub target: Arc<Target>,
    /// Environments wanted, at least 1.
    pub concurrency: u32,
}

/// Runs ticks. One for the life of the process: it knows what is in flight, and the skews and ids seen so far.
#[derive(Debug)]
pub struct Engine<L> {
    lambda: Arc<L>,
    prices: Mutex<PriceBook>,
    wire: Mutex<WireSettings>,
    admission: Admission,
    flights: Mutex<Flights>,
    answers: Mutex<HashMap<Identity, Answers>>,
    skews: Mutex<HashMap<Identity, SkewHistory>>,
    ids: Mutex<HashMap<Identity, IdHistory>>,
}

/// The rounds in flight, and when the pings of each were sent; none while it waits for room.
type Flights = HashMap<Identity, Arc<Mutex<Option<Instant>>>>;

/// The history of a target's answers.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    times: AnswerTimes,
    /// Until when an unanswered ping may still run.
    quiet_until: Option<Instant>,
}

/// Marks a target as in flight until it is dropped.
struct InFlight<'a> {
    flights: &'a Mutex<Flights>,
    id: Identity,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(self.flights).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Lambda> Engine<L> {
    /// An engine that pings through `lambda`, at most `max_in_flight` at once.
    pub fn new(lambda: L, prices: PriceBook, max_in_flight: usize) -> Self {
        Self {
            lambda: Arc::new(lambda),
            prices: Mutex::new(prices),
            wire: Mutex::default(),
            admission: Admission::new(max_in_flight),
            flights: Mutex::default(),
            answers: Mutex::default(),
            skews: Mutex::default(),
            ids: Mutex::default(),
        }
    }

    /// Which targets have a round in flight, in order.
    pub fn still_in_flight(&self) -> Vec<Identity> {
        let mut ids: Vec<Identity> = lock(&self.flights).keys().cloned().collect();
        ids.sort();
        ids
    }

    /// Changes the in-flight cap, after a reload.
    pub fn set_max_in_flight(&self, limit: usize) {
        self.admission.set_limit(limit);
    }

    /// Changes how pings reach Lambda.
    pub fn set_wire(&self, wire: WireSettings) {
        *lock(&self.wire) = wire;
    }

    /// Changes the prices that rounds are reckoned with, after a configuration was read.
    pub fn set_prices(&self, prices: PriceBook) {
        *lock(&self.prices) = prices;
    }

    /// Serves every due target and reports on each. Rounds that were not released when `stop` spoke, are reported
    /// as unfinished. `now` is the tick's instant, `config` the configuration's hash.
    pub async fn tick(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
    ) -> TickReport {
        self.tick_until(now, config, due, stop, None).await
    }

    /// The same, but rounds that have not ended at `cutoff` are not waited for: they are reported as in flight.
    pub async fn tick_until(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
        cutoff: Option<Instant>,
    ) -> TickReport {
        let mut running = self.start(now, config, due, stop);
        running.wait(cutoff).await;
        running.finish()
    }

    /// Starts the rounds of every due target. Rounds that were not released when `stop` is signalled are reported as
    /// unfinished.
    pub fn start(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
    ) -> RunningTick {
        RunningTick::start(self, now, config, due, stop)
    }

    pub(super) async fn round(
        &self,
        due: &Due,
        now: DateTime<Utc>,
        mut stop: Stop,
    ) -> Result<RoundRecord, Unfinished> {
        let Due { target, concurrency } = due;
        let sent = match self.reserve(target) {
            Ok(sent) => sent,
            Err((skipped, reason)) => {
                warn!(function = %target.label, region = %target.region(), "skipped: {reason}");
                return Ok(RoundRecord::skipped(target, *concurrency, skipped));
            }
        };
        let _in_flight = InFlight { flights: &self.flights, id: target.id.clone() };
        let answers = self.answers(target);
        let round = format!("{:x}-{:08x}", now.timestamp(), rand::random::<u32>());
        let wire = *lock(&self.wire);
        let wanted = runner::Round {
            target,
            concurrency: *concurrency,
            id: &round,
            now,
            wire,
            known: self.known(target),
            answers: answers.times,
            sent: &sent,
        };
        let ran = runner::run(&self.lambda, &self.admission, wanted, self.hold(target), &mut stop).await;
        let attempts = match ran {
            Ok(attempts) => attempts,
            Err(why) => {
                warn!(function = %target.label, region = %target.region(), reason = %why, "not served");
                let reason = match why {
                    NotStarted::Stopped => UnfinishedReason::Deadline,
                    NotStarted::TooLarge(_) => UnfinishedReason::TooLarge,
                };
                return Err(Unfinished::new(target, *concurrency, reason));
            }
        };
        self.learn(target, &attempts, *lock(&sent));
        let honours_hold = target.protocol.honours_hold();
        let report = RoundReport::new(*concurrency, &attempts, honours_hold, self.known(target));
        let used = report.quantities(target);
        let prices = lock(&self.prices).clone();
        let (cost, unknown) = round_cost(&prices, target.region(), target.architecture, &used);
        let mut record = RoundRecord::new(target, &report, &used, cost);
        say(target, &round, &record, &report);
        for reason in &unknown {
            warn!(function = %target.label, region = %target.region(), round, %reason, "the round's cost is unknown");
        }
        record.cost_unknown = unknown;
        let quiet_until = self.answers(target).quiet_until;
        record.quiet_for = quiet_until.and_then(|until| until.checked_duration_since(Instant::now()));
        Ok(record)
    }

    fn hold(&self, target: &Target) -> Duration {
        match target.hold {
            Hold::Fixed(hold) => hold,
            Hold::Auto => lock(&self.skews)
                .get(&target.id)
                .map_or(SkewHistory::default().auto_hold(), SkewHistory::auto_hold),
        }
    }

    fn known(&self, target: &Target) -> Known {
        Known { ids: lock(&self.ids).get(&target.id).map(IdHistory::ids).unwrap_or_default() }
    }

    /// Marks the target as in flight. Check and reserve are one step: two ticks must not both find the target free.
    fn reserve(&self, target: &Target) -> Result<Arc<Mutex<Option<Instant>>>, (Skipped, &'static str)> {
        let mut flights = lock(&self.flights);
        if let Some(earlier) = flights.get(&target.id) {
            return Err(match *lock(earlier) {
                Some(_) => (Skipped::InFlight, "its earlier round is still in flight"),
                None => (Skipped::NoRoom, "its earlier round still waits for room under max_in_flight"),
            });
        }
        if self.answers(target).quiet_until.is_some_and(|until| Instant::now() < until) {
            return Err((Skipped::InFlight, "a ping that was not answered may still run"));
        }
        let sent = Arc::default();
        flights.insert(target.id.clone(), Arc::clone(&sent));
        Ok(sent)
    }

    fn answers(&self, target: &Target) -> Answers {
        lock(&self.answers).get(&target.id).copied().unwrap_or_default()
    }

    fn learn(&self, target: &Target, attempts: &[Attempt], sent: Option<Instant>) {
        {
            let mut all = lock(&self.answers);
            let answers = all.entry(target.id.clone()).or_default();
            answers.times.record(attempts);
            let pause = answers.times.pause(target.timeout, target.interval());
            answers.quiet_until = sent.zip(pause).map(|(sent, pause)| sent + pause);
        }
        lock(&self.ids).entry(target.id.clone()).or_default().record(attempts);
        let seen: Vec<Duration> = attempts.iter().filter_map(skew).collect();
        if !seen.is_empty() {
            let mut skews = lock(&self.skews);
            let history = skews.entry(target.id.clone()).or_default();
            seen.into_iter().for_each(|skew| history.record(skew));
        }
    }
}

/// One log line a round, louder when something is wrong.
fn say(target: &Target, round: &str, record: &RoundRecord, report: &RoundReport) {
    let (function, region, reached) = (&target.label, target.region(), record.reached);
    let wanted = record.target;
    match record.verdict {
        Verdict::Short => {
            warn!(%function, %region, round, wanted, reached, problems = %report.messages.join("; "), "round is short");
        }
        Verdict::Reached | Verdict::Unproven | Verdict::Skipped => {
            let verdict = record.verdict.name();
            info!(%function, %region, round, wanted, reached, verdict, "round done");
        }
    }
    for doubt in &record.doubts {
        warn!(%function, %region, round, %doubt, "answers prove less than they seem to");
    }
    if record.versions.len() > 1 {
        warn!(%function, %region, round, versions = %record.versions.join(", "),
            "several versions executed in one round: a weighted alias, or a deployment under way");
    }
}
