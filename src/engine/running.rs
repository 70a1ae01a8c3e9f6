//! A tick in progress: rounds that have ended can be reported before the rest.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, error};

use super::due::Due;
use crate::domain::tick::{RoundRecord, TickReport, Unfinished, UnfinishedReason};

/// The time after which a tick reports the rounds that have ended.
pub const PARTIAL_AFTER: Duration = Duration::from_secs(45);

/// A tick in progress.
#[derive(Debug)]
pub struct RunningTick {
    now: DateTime<Utc>,
    config: Option<String>,
    started: Instant,
    due: Vec<Due>,
    rounds: JoinSet<Result<RoundRecord, Unfinished>>,
    /// The index in `due` of each task.
    tasks: HashMap<Id, usize>,
    /// The rounds that have ended and are not reported yet, by their index in `due`.
    ended: Vec<(usize, Result<RoundRecord, Unfinished>)>,
}

impl RunningTick {
    /// Starts `run` for every due target.
    pub(super) fn start<R>(
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        run: impl Fn(Due) -> R,
    ) -> Self
    where
        R: Future<Output = Result<RoundRecord, Unfinished>> + Send + 'static,
    {
        let mut together: HashMap<u32, u64> = HashMap::new();
        for due in &due {
            if let Some(number) = due.together {
                *together.entry(number).or_default() += u64::from(due.pings());
            }
        }
        let mut order: Vec<usize> = (0..due.len()).collect();
        // The largest rounds first: small ones then fill the slots that are left.
        order.sort_by_key(|&index| {
            let (pings, number) = (due[index].pings(), due[index].together);
            let of_group = number.and_then(|number| together.get(&number).copied());
            (std::cmp::Reverse(of_group.unwrap_or(u64::from(pings))), number)
        });
        let mut rounds = JoinSet::new();
        let mut tasks = HashMap::with_capacity(due.len());
        for index in order {
            // The span has the id of the invocation.
            let round = run(due[index].clone()).in_current_span();
            tasks.insert(rounds.spawn(round).id(), index);
        }
        Self { now, config, started: Instant::now(), due, rounds, tasks, ended: Vec::new() }
    }

    /// Returns the instant at which the tick reports the rounds that have ended: after 45 s, or after half the shortest
    /// interval of its targets if that is less.
    pub fn partial_at(&self) -> Instant {
        let minutes = self.due.iter().map(|due| due.target.interval_minutes).min();
        let half = minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 30));
        self.started + half.map_or(PARTIAL_AFTER, |half| half.min(PARTIAL_AFTER))
    }

    /// Waits until all rounds have ended, or until `cutoff`. Returns true when all have ended. The wait can be
    /// cancelled without a loss.
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
            let unexpected = || Some(Err(self.due.get(index)?.unfinished(UnfinishedReason::Unexpected)));
            let record = record.or_else(unexpected);
            self.ended.extend(record.map(|record| (index, record)));
        }
    }

    /// Returns the rounds that have not ended.
    pub fn left(&self) -> Vec<Due> {
        self.tasks.values().filter_map(|index| self.due.get(*index)).cloned().collect()
    }

    /// Reports the rounds that have ended since the last report. The other rounds continue.
    pub fn partial(&mut self) -> TickReport {
        TickReport { partial: true, ..self.report() }
    }

    /// Reports the rest. Rounds that have not ended are reported as in flight. They continue, and in this process their
    /// targets stay in flight until they have ended.
    pub fn finish(mut self) -> TickReport {
        self.rounds.detach_all();
        for index in std::mem::take(&mut self.tasks).into_values() {
            let Some(due) = self.due.get(index) else { continue };
            self.ended.push((index, Err(due.unfinished(UnfinishedReason::InFlight))));
        }
        self.report()
    }

    fn report(&mut self) -> TickReport {
        self.ended.sort_by_key(|(index, _)| *index);
        let mut report = TickReport::empty(self.now, self.config.clone());
        report.duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        for (_, record) in self.ended.drain(..) {
            match record {
                Ok(record) => report.rounds.push(record),
                Err(unfinished) => report.unfinished.push(unfinished),
            }
        }
        report
    }
}
