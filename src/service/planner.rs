//! Plans ticks with the records in the state store, and records their results.
//!
//! When the store cannot be read, the schedule alone decides: a ping too many costs less than a cold fleet. Pauses that
//! this process has read before still apply. The documents for a plan are read concurrently, all of them within
//! [`READ_WITHIN`].

mod claim;
mod deployed;
mod failures;
mod record;
mod request;
mod select;
mod shards;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::warn;

use self::claim::Lease;
pub use self::deployed::{AfterDeployment, EndedClaim};
use self::failures::StoreFailures;
pub use self::record::Results;
pub use self::request::{Ask, AskTerms};
use self::select::{Selection, Tick, mark, needs, partition};
use super::backlog::BacklogReader;
use super::capacity::{CapacityPlan, Ledger, Loaded};
use super::history::HistoryWriter;
use super::store::{Document, DocumentStore, Durability, Unavailable, before, parse};
use crate::domain::backlog::{Readings, STALE_AFTER, Samples, readings};
use crate::domain::capacity::for_pings;
use crate::domain::fleet::Fleet;
use crate::domain::function::Identity;
use crate::domain::handed_out::PerMinute;
use crate::domain::pipeline::PipelineNeed;
use crate::domain::records::{
    self, Deployments, Levels, PAUSES, Pauses, REQUESTS, Requests, SERVED, STATUS, Served, Shards, Status,
};
use crate::domain::schedule::{self, Minute, Mode};
use crate::domain::tick::RoundRecord;
use crate::engine::metrics::ReadMetrics;
use crate::engine::tick::Due;

/// The longest time that the store delays the first ping of a tick.
pub const READ_WITHIN: Duration = Duration::from_secs(3);
/// The longest time for a write at the end of a tick, or for one that must not be lost. [`READ_WITHIN`] applies instead
/// when the store was unavailable before.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// The most entries of a document that a warning names.
const MOST_NAMED: usize = 5;

/// The condition of the state store during a tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub enum StoreHealth {
    /// Every read and write succeeded.
    #[default]
    Sound,
    /// A document could not be read or written. The log has the reason.
    Unavailable,
}

impl StoreHealth {
    /// Returns the worse of the two.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Sound { other } else { self }
    }
}

/// Plans ticks with a state store.
#[derive(Debug)]
pub struct TickPlanner {
    documents: DocumentStore,
    /// The pauses as they were last read; none before the first successful read.
    pauses: Mutex<Option<Pauses>>,
    /// The shards that this process served. Used when the store is volatile or unavailable.
    shards: Mutex<Shards>,
    /// The documents of capacity.
    ledger: Ledger,
    /// True if the fleet is the whole configuration.
    is_whole: bool,
    /// True once stored times in the future were logged.
    has_warned: AtomicBool,
    /// The shards of the current minute that were admitted without reading the store.
    per_minute: Mutex<PerMinute>,
    /// The reader of the metrics of backlogs; none means that they have no effect.
    backlogs: Option<BacklogReader>,
    /// The numbers that metrics want. Used when the store is volatile or unavailable.
    levels: Mutex<Levels>,
    /// The deployments that the store does not have: all of them if it is volatile.
    deployments: Mutex<Deployments>,
    /// The writer of the history.
    history: HistoryWriter,
}

/// A shard that this process serves.
#[derive(Debug)]
#[must_use]
pub struct TakenShard {
    id: String,
    by: u32,
}

/// The rounds of a tick.
#[derive(Debug, Default)]
pub struct Plan {
    /// The rounds to be sent.
    pub due: Vec<Due>,
    /// The rounds that are due but must not be sent.
    pub skipped: Vec<RoundRecord>,
    /// The condition of the store.
    pub health: StoreHealth,
    /// The capacity; none without capacity.
    pub capacity: Option<Arc<CapacityPlan>>,
    /// The numbers of the pipelines with stages that are due.
    pub pipelines: Vec<PipelineNeed>,
    /// The targets whose update had not ended when they were read last: no round follows it yet.
    pub updating: HashSet<Identity>,
    /// The targets with a backlog request, whose progress is recorded; `None` if they are unknown.
    backlogs: Option<BTreeSet<Identity>>,
    /// True if the pauses are unknown: they cannot be read, and this process has never read them.
    pauses_unknown: bool,
    /// The time of the plan of a tick: its rounds follow every deployment until then.
    planned: Option<DateTime<Utc>>,
    /// The claim on the targets of `due`; none without a claim.
    claim: Option<Lease>,
}

/// The records as they were read before a tick.
struct StoredRecords {
    requests: Requests,
    /// False if the requests could not be read.
    knows_requests: bool,
    pauses: Option<Pauses>,
    /// The document [`Served`]; none when it cannot be read or the store is volatile.
    served: Option<(Option<Document>, Served)>,
    capacity: Loaded,
    samples: Samples,
}

impl StoredRecords {
    /// Returns what a tick needs for the capacity of the fleet with its requests; none without capacity.
    fn capacity(&self, fleet: &Fleet) -> Option<Arc<CapacityPlan>> {
        let is_made =
            self.capacity.is_made() || fleet.targets.iter().any(|target| target.strategy.is_capacity());
        let (loaded, pauses) = (self.capacity.clone(), self.pauses.clone());
        let knows_requests = self.knows_requests;
        let (fleet, stopped) = (|| fleet.clone(), BTreeMap::new());
        let plan = || CapacityPlan { fleet: fleet(), only: None, loaded, pauses, knows_requests, stopped };
        is_made.then(|| Arc::new(plan()))
    }
}

impl Plan {
    /// Creates a plan without a claim.
    pub fn unclaimed(due: Vec<Due>, skipped: Vec<RoundRecord>, health: StoreHealth) -> Self {
        Self { due, skipped, health, ..Self::default() }
    }

    /// Creates the plan of a shard. The progress of the backlogs that its rounds name is recorded.
    pub fn of_shard(due: Vec<Due>, pipelines: Vec<PipelineNeed>, health: StoreHealth) -> Self {
        let backlogs = due.iter().filter(|due| due.has_backlog).map(|due| due.target.id.clone()).collect();
        Self { due, health, pipelines, backlogs: Some(backlogs), ..Self::default() }
    }
}

impl TickPlanner {
    /// Creates a planner that keeps its records in `documents`.
    pub fn new(documents: DocumentStore) -> Self {
        Self {
            ledger: Ledger::new(documents.clone()),
            is_whole: true,
            documents,
            pauses: Mutex::default(),
            shards: Mutex::default(),
            has_warned: AtomicBool::new(false),
            per_minute: Mutex::default(),
            backlogs: None,
            levels: Mutex::default(),
            deployments: Mutex::default(),
            history: HistoryWriter::default(),
        }
    }

    /// Plans for a part of the configuration: the capacity of regions that it does not name is not looked for.
    pub fn plan_part(&mut self) {
        self.is_whole = false;
    }

    /// Reads the metrics of backlogs through `metrics`.
    pub fn read_backlogs(&mut self, metrics: Arc<dyn ReadMetrics>) {
        self.backlogs = Some(BacklogReader::new(metrics));
    }

    /// The store of the records.
    pub fn documents(&self) -> &DocumentStore {
        &self.documents
    }

    /// Returns the lifetime of the records.
    pub fn durability(&self) -> Durability {
        self.documents.durability()
    }

    /// Plans a tick at `at`. `previous` is the minute of the schedule's previous firing, `now` the time of the system
    /// clock.
    ///
    /// The targets are claimed, so that only one of two deliveries of the same minute serves them. The claim holds
    /// while the plan lives, and [`TickPlanner::record`] ends it.
    pub async fn plan(&self, fleet: &Fleet, at: DateTime<Utc>, previous: Minute, now: DateTime<Utc>) -> Plan {
        let deadline = Instant::now() + READ_WITHIN;
        let mut failures = StoreFailures::default();
        let stored = self.read_records(fleet, at, now, deadline, &mut failures).await;
        let (fleet, readings, levels) = self.wanted(fleet, &stored, at, now);
        let fleet = &*fleet;
        self.note(&levels);
        let capacity = stored.capacity(fleet);
        let whole = fleet;
        let fleet = &*for_pings(fleet, |target| stored.capacity.is_covered(target, now));
        let tick =
            Tick { fleet, minute: Minute::of(at), previous, now, readings: &readings, levels: &levels };
        let pauses = stored.pauses.clone().unwrap_or_default();
        let (mut selection, claim) = match stored.served {
            Some((document, served)) => {
                self.claim(&tick, &pauses, document, served, deadline, &mut failures).await
            }
            None => {
                let served = Served { deployments: self.deployments().clone(), ..Served::default() };
                let due = served.plan(fleet, tick.minute, previous, now);
                (partition(&tick, &due, &pauses, &served), None)
            }
        };
        let pipelines = needs(whole, &readings, Minute::of(at), &selection);
        let backlogs = Some(open_backlogs(&stored.requests, now));
        mark(&mut selection.due, whole, &pipelines, backlogs.as_ref(), Minute::of(at));
        let planned = self.planned(selection, stored.pauses.is_none(), failures);
        Plan { claim, capacity, pipelines, backlogs, planned: Some(now), ..planned }
    }

    /// Plans a tick without a claim, and records nothing. The targets that are due depend on `at`, and with
    /// [`Mode::DueSince`] on the records of earlier ticks. Pauses and pings in flight are those of `now`, when the
    /// pings are sent.
    pub async fn preview(&self, fleet: &Fleet, mode: Mode, at: DateTime<Utc>, now: DateTime<Utc>) -> Plan {
        let minute = Minute::of(at);
        let deadline = Instant::now() + READ_WITHIN;
        let mut failures = StoreFailures::default();
        let stored = self.read_records(fleet, at, now, deadline, &mut failures).await;
        let (fleet, readings, levels) = self.wanted(fleet, &stored, at, now);
        let fleet = &*fleet;
        let capacity = stored.capacity(fleet);
        let whole = fleet;
        let fleet = &*for_pings(fleet, |target| stored.capacity.is_covered(target, now));
        let tick = Tick { fleet, minute, previous: minute, now, readings: &readings, levels: &levels };
        let served = stored.served.map(|(_, served)| served);
        let due = match (mode, &served) {
            (Mode::DueSince(previous), Some(served)) => served.plan(fleet, minute, previous, now),
            _ => schedule::plan_tick(fleet, minute, mode),
        };
        let pauses = stored.pauses.as_ref();
        let mut selection =
            partition(&tick, &due, pauses.unwrap_or(&Pauses::default()), &served.unwrap_or_default());
        let pipelines = needs(whole, &readings, minute, &selection);
        let backlogs = Some(open_backlogs(&stored.requests, now));
        mark(&mut selection.due, whole, &pipelines, backlogs.as_ref(), minute);
        Plan { capacity, pipelines, backlogs, ..self.planned(selection, pauses.is_none(), failures) }
    }

    /// Returns the fleet with what requests and metrics want at `at`, without that of paused pipelines, the metrics of
    /// its targets, and the numbers that these want.
    fn wanted<'f>(
        &self,
        fleet: &'f Fleet,
        stored: &StoredRecords,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> (Cow<'f, Fleet>, Readings, Levels) {
        let minute = Minute::of(at);
        let fleet = records::with_requests(fleet, &stored.requests, at);
        let fleet = records::with_pauses(fleet, stored.pauses.as_ref(), now);
        let readings = readings(&fleet, &stored.samples, now);
        let mut levels = match &stored.served {
            Some((_, served)) => served.levels.clone(),
            None => self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        levels.note(&fleet, &readings, minute);
        (records::with_levels(fleet, &levels, minute), readings, levels)
    }

    /// Keeps the numbers that metrics want, for a tick without a store.
    fn note(&self, levels: &Levels) {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone_from(levels);
    }

    fn planned(&self, selection: Selection, pauses_unknown: bool, failures: StoreFailures) -> Plan {
        let Selection { due, skipped } = selection;
        Plan { due, skipped, health: failures.log(), pauses_unknown, ..Plan::default() }
    }

    /// Reads the records for a plan concurrently. Metrics show the present, so a tick of another time has none.
    async fn read_records(
        &self,
        fleet: &Fleet,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
        deadline: Instant,
        failures: &mut StoreFailures,
    ) -> StoredRecords {
        let mut unread = StoreFailures::default();
        let is_now = at.signed_duration_since(now).abs() <= STALE_AFTER;
        let backlogs = self.backlogs.as_ref().filter(|_| is_now);
        let (requests, pauses, served, samples, (capacity, no_capacity)) = tokio::join!(
            self.requests(fleet, deadline),
            self.pauses(deadline, &mut unread),
            self.served(deadline),
            async {
                match backlogs {
                    Some(backlogs) => backlogs.read(fleet, now, deadline).await,
                    None => Samples::default(),
                }
            },
            async {
                if self.is_whole {
                    self.ledger.list(now, deadline).await;
                }
                self.ledger.load(&fleet.targets, now, deadline).await
            },
        );
        if let Some(unavailable) = no_capacity {
            failures.add(unavailable, "capacity is not changed");
        }
        let knows_requests = requests.is_ok();
        let requests = requests.unwrap_or_else(|unavailable| {
            failures.add(unavailable, "active requests are unknown");
            Requests::default()
        });
        let served = served.unwrap_or_else(|unavailable| {
            failures.add(unavailable, "the times at which targets were last served are unknown");
            None
        });
        failures.append(unread);
        let in_future = served.iter().flat_map(|(_, served)| served.in_future(now));
        let in_future: Vec<String> = in_future.chain(requests.in_future(now)).collect();
        if !in_future.is_empty() && !self.has_warned.swap(true, Ordering::Relaxed) {
            let some = in_future.get(..MOST_NAMED).unwrap_or(&in_future).join(", ");
            warn!(%now, entries = in_future.len(), %some,
                "the state store has times in the future, which are ignored: a clock is or was wrong");
        }
        StoredRecords { requests, knows_requests, pauses, served, capacity, samples }
    }

    /// Reads the requests; none when no target has `on_request`.
    async fn requests(&self, fleet: &Fleet, deadline: Instant) -> Result<Requests, Unavailable> {
        if fleet.targets.iter().all(|target| target.on_request.is_none()) {
            return Ok(Requests::default());
        }
        before(deadline, self.documents.read(REQUESTS)).await
    }

    /// Reads when targets were last served; none when the records are volatile.
    async fn served(&self, deadline: Instant) -> Result<Option<(Option<Document>, Served)>, Unavailable> {
        if self.durability() == Durability::Volatile {
            return Ok(None);
        }
        let document = before(deadline, self.documents.get(SERVED)).await?;
        let served = parse(SERVED, document.as_ref())?;
        Ok(Some((document, served)))
    }

    /// Reads the pauses. Returns those that were read last when the store is unavailable; none before the first
    /// successful read.
    async fn pauses(&self, deadline: Instant, failures: &mut StoreFailures) -> Option<Pauses> {
        let read = before(deadline, self.documents.read::<Pauses>(PAUSES)).await;
        let mut last = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(pauses) => *last = Some(pauses),
            Err(unavailable) if last.is_some() => {
                failures.add(unavailable, "pauses are those of the last successful read")
            }
            Err(unavailable) => failures.add(unavailable, "pauses unknown"),
        }
        last.clone()
    }
}

/// Returns the targets with a backlog request that can still want environments.
fn open_backlogs(requests: &Requests, now: DateTime<Utc>) -> BTreeSet<Identity> {
    requests.open_backlogs(now).map(|(id, _)| id.clone()).collect()
}

/// Reads the results of the last tick, including those of its shards.
///
/// # Errors
/// [`Unavailable`].
pub async fn status(documents: &DocumentStore) -> Result<Status, Unavailable> {
    let mut status: Status = documents.read(STATUS).await?;
    if status.spread {
        for document in Status::shard_documents() {
            status.merge(documents.read(&document).await?);
        }
    }
    Ok(status)
}

#[cfg(test)]
pub(in crate::service) mod tests;
