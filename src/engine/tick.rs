//! A tick: every due target's round, side by side, and the record of them all.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, info, warn};

use super::admission::Admission;
use super::ports::Lambda;
use super::runner::{self, NotStarted};
use super::stop::Stop;
use crate::domain::cost::{PriceBook, round_cost};
use crate::domain::fleet::{Hold, Target, WireSettings};
use crate::domain::function::Identity;
use crate::domain::round::{Attempt, IdHistory, Known, RoundReport, SkewHistory, skew};
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
    in_flight: Mutex<HashSet<Identity>>,
    skews: Mutex<HashMap<Identity, SkewHistory>>,
    ids: Mutex<HashMap<Identity, IdHistory>>,
}

/// Marks a target as in flight until it is dropped.
struct InFlight<'a> {
    set: &'a Mutex<HashSet<Identity>>,
    id: Identity,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(self.set).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next round that ends; none when all have, or the time is over.
async fn next_until<T: 'static>(
    rounds: &mut JoinSet<T>,
    cutoff: Option<Instant>,
) -> Option<Result<(Id, T), JoinError>> {
    match cutoff {
        None => rounds.join_next_with_id().await,
        Some(cutoff) => tokio::time::timeout_at(cutoff, rounds.join_next_with_id()).await.unwrap_or(None),
    }
}

impl<L: Lambda> Engine<L> {
    /// An engine that pings through `lambda`, at most `max_in_flight` at once.
    pub fn new(lambda: L, prices: PriceBook, max_in_flight: usize) -> Self {
        Self {
            lambda: Arc::new(lambda),
            prices: Mutex::new(prices),
            wire: Mutex::default(),
            admission: Admission::new(max_in_flight),
            in_flight: Mutex::default(),
            skews: Mutex::default(),
            ids: Mutex::default(),
        }
    }

    /// Which targets have a round in flight, in order.
    pub fn still_in_flight(&self) -> Vec<Identity> {
        let mut ids: Vec<Identity> = lock(&self.in_flight).iter().cloned().collect();
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
        let started = Instant::now();
        let mut order: Vec<usize> = (0..due.len()).collect();
        // The largest first: small rounds fill what room they leave, the other way round they would not.
        order.sort_by_key(|&index| std::cmp::Reverse(due[index].concurrency));
        let mut rounds = JoinSet::new();
        let mut tasks = HashMap::with_capacity(due.len());
        for index in order {
            let (engine, due, stop) = (Arc::clone(self), due[index].clone(), stop.clone());
            // The span tells which invocation a log line belongs to.
            let round = async move { engine.round(&due, now, stop).await }.in_current_span();
            let task = rounds.spawn(round);
            tasks.insert(task.id(), index);
        }
        let mut records: Vec<(usize, Result<RoundRecord, Unfinished>)> = Vec::with_capacity(due.len());
        while let Some(joined) = next_until(&mut rounds, cutoff).await {
            let (task, record) = match joined {
                Ok((task, record)) => (task, Some(record)),
                Err(error) => {
                    tracing::error!(%error, "a round's task ended unexpectedly");
                    (error.id(), None)
                }
            };
            let Some((index, Due { target, concurrency })) =
                tasks.remove(&task).and_then(|index| Some((index, due.get(index)?)))
            else {
                continue;
            };
            let lost = || Err(Unfinished::new(target, *concurrency, UnfinishedReason::Unexpected));
            records.push((index, record.unwrap_or_else(lost)));
        }
        if !rounds.is_empty() {
            // They go on: their targets are in flight until they have ended, in this process at least.
            rounds.detach_all();
            for index in tasks.into_values() {
                let Some(Due { target, concurrency }) = due.get(index) else { continue };
                let unfinished = Unfinished::new(target, *concurrency, UnfinishedReason::InFlight);
                records.push((index, Err(unfinished)));
            }
        }
        records.sort_by_key(|(index, _)| *index);
        let mut report = TickReport {
            tick: now,
            config,
            duration_ms: 0,
            rounds: Vec::with_capacity(records.len()),
            unfinished: Vec::new(),
        };
        for (_, record) in records {
            match record {
                Ok(record) => report.rounds.push(record),
                Err(unfinished) => report.unfinished.push(unfinished),
            }
        }
        report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        report
    }

    async fn round(&self, due: &Due, now: DateTime<Utc>, mut stop: Stop) -> Result<RoundRecord, Unfinished> {
        let Due { target, concurrency } = due;
        // Check and reserve in one step: two ticks must not both find the target free.
        if !lock(&self.in_flight).insert(target.id.clone()) {
            warn!(function = %target.label, region = %target.region(), "skipped: its earlier round is still in flight");
            return Ok(RoundRecord::skipped(target, *concurrency, Skipped::InFlight));
        }
        let _in_flight = InFlight { set: &self.in_flight, id: target.id.clone() };
        let round = format!("{:x}-{:08x}", now.timestamp(), rand::random::<u32>());
        let wire = *lock(&self.wire);
        let wanted = runner::Round {
            target,
            concurrency: *concurrency,
            id: &round,
            now,
            wire,
            known: self.known(target),
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
        self.learn(target, &attempts);
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

    fn learn(&self, target: &Target, attempts: &[Attempt]) {
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
