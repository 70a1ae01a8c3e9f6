//! A tick under way: its rounds end one by one, and what has ended can be reported before the rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, error};

use super::ports::Lambda;
use super::stop::Stop;
use super::tick::{Due, Engine};
use crate::domain::tick::{RoundRecord, TickReport, Unfinished, UnfinishedReason};

/// After this time a tick reports what has ended.
const PARTIAL_AFTER: Duration = Duration::from_secs(45);

/// A tick whose rounds run.
#[derive(Debug)]
pub struct RunningTick {
    now: DateTime<Utc>,
    config: Option<String>,
    started: Instant,
    due: Vec<Due>,
    rounds: JoinSet<Result<RoundRecord, Unfinished>>,
    /// Which of `due` a task serves.
    tasks: HashMap<Id, usize>,
    /// The rounds that have ended and are not reported yet.
    ended: Vec<(usize, Result<RoundRecord, Unfinished>)>,
}

impl RunningTick {
    pub(super) fn start<L: Lambda>(
        engine: &Arc<Engine<L>>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
    ) -> Self {
        let mut order: Vec<usize> = (0..due.len()).collect();
        // The largest first: small rounds fill what room they leave, the other way round they would not.
        order.sort_by_key(|&index| std::cmp::Reverse(due[index].concurrency));
        let mut rounds = JoinSet::new();
        let mut tasks = HashMap::with_capacity(due.len());
        for index in order {
            let (engine, due, stop) = (Arc::clone(engine), due[index].clone(), stop.clone());
            // The span names the invocation that a log line belongs to.
            let round = async move { engine.round(&due, now, stop).await }.in_current_span();
            tasks.insert(rounds.spawn(round).id(), index);
        }
        Self { now, config, started: Instant::now(), due, rounds, tasks, ended: Vec::new() }
    }

    /// When the tick reports what has ended, although not all has: after 45 s, or half the shortest interval of its
    /// targets if that is less.
    pub fn partial_at(&self) -> Instant {
        let minutes = self.due.iter().map(|due| due.target.interval_minutes).min();
        let half = minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 30));
        self.started + half.map_or(PARTIAL_AFTER, |half| half.min(PARTIAL_AFTER))
    }

    /// Waits until all rounds have ended, or until `cutoff`. Returns true when all have ended. Nothing is lost when the
    /// wait is given up.
    pub async fn wait(&mut self, cutoff: Option<Instant>) -> bool {
        loop {
            let next = self.rounds.join_next_with_id();
            let joined = match cutoff {
                None => next.await,
                Some(cutoff) => match timeout_at(cutoff, next).await {
                    Ok(joined) => joined,
                    Err(_) => return false,
                },
            };
            let (task, record) = match joined {
                None => return true,
                Some(Ok((task, record))) => (task, Some(record)),
                Some(Err(panicked)) => {
                    error!(error = %panicked, "a round's task ended unexpectedly");
                    (panicked.id(), None)
                }
            };
            let Some(index) = self.tasks.remove(&task) else { continue };
            let record = record.or_else(|| {
                let Due { target, concurrency } = self.due.get(index)?;
                Some(Err(Unfinished::new(target, *concurrency, UnfinishedReason::Unexpected)))
            });
            self.ended.extend(record.map(|record| (index, record)));
        }
    }

    /// The rounds that have not ended.
    pub fn left(&self) -> Vec<Due> {
        self.tasks.values().filter_map(|index| self.due.get(*index)).cloned().collect()
    }

    /// Reports what has ended since the last report; the other rounds go on.
    pub fn partial(&mut self) -> TickReport {
        TickReport { partial: true, ..self.report() }
    }

    /// Reports the rest. Rounds that have not ended are reported as in flight; they go on, and their targets stay in
    /// flight until they have ended, in this process at least.
    pub fn finish(mut self) -> TickReport {
        self.rounds.detach_all();
        for index in std::mem::take(&mut self.tasks).into_values() {
            let Some(Due { target, concurrency }) = self.due.get(index) else { continue };
            let unfinished = Unfinished::new(target, *concurrency, UnfinishedReason::InFlight);
            self.ended.push((index, Err(unfinished)));
        }
        self.report()
    }

    fn report(&mut self) -> TickReport {
        self.ended.sort_by_key(|(index, _)| *index);
        let mut report = TickReport {
            tick: self.now,
            config: self.config.clone(),
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            partial: false,
            rounds: Vec::with_capacity(self.ended.len()),
            unfinished: Vec::new(),
        };
        for (_, record) in self.ended.drain(..) {
            match record {
                Ok(record) => report.rounds.push(record),
                Err(unfinished) => report.unfinished.push(unfinished),
            }
        }
        report
    }
}
