//! Ticks: the concurrent rounds of all due targets, and their report.

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
use crate::domain::round::{AnswerTimes, Attempt, IdHistory, Known, RoundReport, SkewHistory, Verdict, skew};
use crate::domain::tick::{RoundRecord, SentRound, SkipReason, TickReport, Unfinished, UnfinishedReason};

pub use super::due::Due;

/// Runs ticks. A process has one engine, which keeps the rounds in flight and the history of every target.
#[derive(Debug)]
pub struct Engine<L> {
    lambda: Arc<L>,
    prices: Mutex<PriceBook>,
    wire: Mutex<WireSettings>,
    admission: Admission,
    flights: Mutex<Flights>,
    answers: Mutex<HashMap<Identity, AnswerHistory>>,
    skews: Mutex<HashMap<Identity, SkewHistory>>,
    ids: Mutex<HashMap<Identity, IdHistory>>,
}

/// The rounds in flight, with the instant at which the pings of each were sent; none while it waits for room.
type Flights = HashMap<Identity, Arc<Mutex<Option<Instant>>>>;

/// The history of a target's answers.
#[derive(Debug, Clone, Copy, Default)]
struct AnswerHistory {
    times: AnswerTimes,
    /// The instant until which an unanswered ping may still run.
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
    /// Creates an engine that sends at most `max_in_flight` pings at once through `lambda`.
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

    /// Returns the targets with a round in flight, sorted.
    pub fn still_in_flight(&self) -> Vec<Identity> {
        let mut ids: Vec<Identity> = lock(&self.flights).keys().cloned().collect();
        ids.sort();
        ids
    }

    /// Changes the in-flight cap.
    pub fn set_max_in_flight(&self, limit: usize) {
        self.admission.set_limit(limit);
    }

    /// Changes the way in which pings reach Lambda.
    pub fn set_wire(&self, wire: WireSettings) {
        *lock(&self.wire) = wire;
    }

    /// Changes the prices from which the cost of rounds is calculated.
    pub fn set_prices(&self, prices: PriceBook) {
        *lock(&self.prices) = prices;
    }

    /// Runs the rounds of every due target. Rounds that were not released before the signal of `stop` are reported as
    /// unfinished. `now` is the tick's instant, `config` the configuration's hash.
    pub async fn tick(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
    ) -> TickReport {
        self.tick_until(now, config, due, stop, None).await
    }

    /// Runs the rounds of every due target until `cutoff`. Rounds that have not ended by then are reported as in
    /// flight.
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

    /// Starts the rounds of every due target. Rounds that were not released before the signal of `stop` are reported as
    /// unfinished.
    pub fn start(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
    ) -> RunningTick {
        let (engine, stop) = (Arc::clone(self), stop.clone());
        RunningTick::start(now, config, due, move |due| {
            let (engine, stop) = (Arc::clone(&engine), stop.clone());
            async move { engine.round(&due, now, stop).await }
        })
    }

    async fn round(&self, due: &Due, now: DateTime<Utc>, mut stop: Stop) -> Result<RoundRecord, Unfinished> {
        let Due { target, concurrency } = due;
        let sent = match self.reserve(target) {
            Ok(sent) => sent,
            Err(skipped) => {
                let reason = skipped.explanation();
                warn!(function = %target.label, region = %target.region(), %reason, "skipped");
                return Ok(due.skipped(skipped));
            }
        };
        let _in_flight = InFlight { flights: &self.flights, id: target.id.clone() };
        let round_id = format!("{:x}-{:08x}", now.timestamp(), rand::random::<u32>());
        let round = runner::Round {
            target,
            concurrency: *concurrency,
            id: &round_id,
            now,
            wire: *lock(&self.wire),
            known: self.known(target),
            answers: self.answers(target).times,
            sent: &sent,
        };
        let ran = runner::run(&self.lambda, &self.admission, round, self.hold(target), &mut stop).await;
        let attempts = match ran {
            Ok(attempts) => attempts,
            Err(error) => {
                warn!(function = %target.label, region = %target.region(), reason = %error, "not served");
                return Err(due.unfinished(match error {
                    NotStarted::Stopped => UnfinishedReason::Deadline,
                    NotStarted::TooLarge(_) => UnfinishedReason::TooLarge,
                }));
            }
        };
        self.record_history(target, &attempts, *lock(&sent));
        let record = self.evaluate(due, &attempts);
        log_round(target, &round_id, &record);
        Ok(record)
    }

    /// Evaluates and prices the attempts of a round.
    fn evaluate(&self, due: &Due, attempts: &[Attempt]) -> RoundRecord {
        let Due { target, concurrency } = due;
        let honours_hold = target.protocol.honours_hold();
        let report = RoundReport::new(concurrency.get(), attempts, honours_hold, self.known(target));
        let used = report.quantities(target);
        let prices = lock(&self.prices).clone();
        let (cost, cost_unknown) = round_cost(&prices, target.region(), target.architecture, &used);
        let quiet_until = self.answers(target).quiet_until;
        let quiet_for = quiet_until.and_then(|until| until.checked_duration_since(Instant::now()));
        let sent = SentRound { report, s3: used.s3.clone(), cost, cost_unknown, quiet_for };
        RoundRecord::sent_to(target, concurrency.get(), sent, &used)
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
        let ids = lock(&self.ids).get(&target.id).map(IdHistory::ids).unwrap_or_default();
        Known { ids, ..Known::default() }
    }

    /// Marks the target as in flight. Check and reservation are one step: of two ticks only one may find the target
    /// free.
    fn reserve(&self, target: &Target) -> Result<Arc<Mutex<Option<Instant>>>, SkipReason> {
        let mut flights = lock(&self.flights);
        if let Some(earlier) = flights.get(&target.id) {
            return Err(match *lock(earlier) {
                Some(_) => SkipReason::InFlight,
                None => SkipReason::NoRoom,
            });
        }
        if self.answers(target).quiet_until.is_some_and(|until| Instant::now() < until) {
            return Err(SkipReason::InFlight);
        }
        let sent = Arc::default();
        flights.insert(target.id.clone(), Arc::clone(&sent));
        Ok(sent)
    }

    fn answers(&self, target: &Target) -> AnswerHistory {
        lock(&self.answers).get(&target.id).copied().unwrap_or_default()
    }

    /// Adds the attempts of a round to the history of its target. `sent` is the instant of its last pings.
    fn record_history(&self, target: &Target, attempts: &[Attempt], sent: Option<Instant>) {
        {
            let mut all = lock(&self.answers);
            let answers = all.entry(target.id.clone()).or_default();
            answers.times.record(attempts);
            let pause = answers.times.pause(target.timeout, target.interval());
            answers.quiet_until = sent.zip(pause).map(|(sent, pause)| sent + pause);
        }
        lock(&self.ids).entry(target.id.clone()).or_default().record(attempts);
        let measured: Vec<Duration> = attempts.iter().filter_map(skew).collect();
        if !measured.is_empty() {
            let mut skews = lock(&self.skews);
            let history = skews.entry(target.id.clone()).or_default();
            measured.into_iter().for_each(|skew| history.record(skew));
        }
    }
}

/// Logs a round that was sent, and warnings about it.
fn log_round(target: &Target, round: &str, record: &RoundRecord) {
    let (function, region, desired) = (&target.label, target.region(), record.desired);
    let Some(SentRound { report, cost_unknown, .. }) = record.sent() else { return };
    let (verdict, reached) = (report.verdict, report.reached);
    if verdict == Verdict::Short {
        let problems = report.messages.join("; ");
        warn!(%function, %region, round, desired, reached, %problems, "round is short");
    } else {
        info!(%function, %region, round, desired, reached, verdict = verdict.name(), "round done");
    }
    if let Some(doubt) = report.doubt {
        warn!(%function, %region, round, doubt = doubt.explain(), "answers prove fewer environments than they report");
    }
    if report.versions.len() > 1 {
        warn!(%function, %region, round, versions = %report.versions.join(", "),
            "several versions executed in one round: a weighted alias, or a deployment in progress");
    }
    for reason in cost_unknown {
        warn!(%function, %region, round, %reason, "the cost of the round is unknown");
    }
}
