//! The refresh of the facts after the rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::read::{ReadFacts, SingleReads, read_function};
use super::{FactsKeeper, Lane, PacedReads, READ_WITHIN, answer, lane, regions};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::preflight::{Lookup, failure};
use crate::domain::records::{Facts, FunctionReads, Refresh, is_due, refresh_order, role_key};
use crate::engine::ports::Clock;
use crate::service::store::{Durability, Unavailable};

/// The pause between two reads of a refresh: at most five in a second.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest time of a refresh.
const REFRESH_WITHIN: Duration = Duration::from_secs(10);
/// The time that is kept for writing, at most a quarter of the whole.
const WRITE_WITHIN: Duration = Duration::from_secs(1);
/// The functions that are read concurrently: enough for the rate of [`PAUSE`] when an answer takes 800 ms.
const CONCURRENT: usize = 4;

/// The result of a refresh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefreshReport {
    /// The number of reads.
    pub reads: usize,
    /// The number of reads that failed, those without permission included.
    pub failures: usize,
    /// True if the service throttled a read, which ended the refresh.
    pub is_throttled: bool,
    /// The reason why the facts could not be written. They are written with the next refresh.
    pub unavailable: Option<Unavailable>,
}

/// A refresh that is running.
struct Run<'k> {
    keeper: &'k FactsKeeper,
    reads: PacedReads,
    clock: &'k dyn Clock,
    sent: AtomicUsize,
    failed: AtomicUsize,
    is_throttled: AtomicBool,
    /// The accounts and regions that are unreachable.
    lost: Mutex<BTreeSet<Lane>>,
}

impl FactsKeeper {
    /// Reads facts again, after the rounds of a tick: those in doubt first, then those that are unknown, then the aliases
    /// that are due, then those that are older than an hour. At most five reads in a second, within 10 s and until
    /// `until`. The facts that changed are then written, and deployments are noted for [`FactsKeeper::take_deployed`].
    /// Nothing is done while another refresh of the process is running.
    pub async fn refresh(&self, fleet: &Fleet, until: Instant, clock: &dyn Clock) -> RefreshReport {
        let (Some(reader), Ok(_refreshing)) = (&self.reader, self.refreshing.try_lock()) else {
            return RefreshReport::default();
        };
        let now = clock.now();
        let begun = Instant::now();
        let until = until.min(begun + REFRESH_WITHIN);
        let left = until.saturating_duration_since(begun);
        let (held, doubted) = {
            let mut memory = self.memory();
            memory.forget_old_aliases(now);
            let held = memory.regions.iter().map(|(region, held)| (*region, Arc::clone(&held.facts)));
            (held.collect::<BTreeMap<_, _>>(), memory.doubted.clone())
        };
        let facts = |target: &Target| held.get(&target.region());
        let order = refresh_order(
            fleet,
            |target| facts(target)?.account(target.role.as_deref()),
            |target| facts(target)?.of(target),
            |target| doubted.contains(&target.id.without_tenant()),
            now,
        );
        let run = Run {
            keeper: self,
            reads: PacedReads::new(Arc::clone(reader), PAUSE),
            clock,
            sent: AtomicUsize::default(),
            failed: AtomicUsize::default(),
            is_throttled: AtomicBool::default(),
            lost: Mutex::default(),
        };
        let reading = stream::iter(order).for_each_concurrent(CONCURRENT, |what| run.read(what));
        // What was read until then is kept.
        let _ = timeout_at(until - WRITE_WITHIN.min(left / 4), reading).await;
        self.keep_doubts(fleet);
        self.forget(fleet, now);
        let mut unavailable = None;
        if self.documents.durability() == Durability::Durable {
            let now = clock.now();
            let saves = regions(fleet).into_iter().map(|region| self.save_region(region, fleet, now, until));
            unavailable = join_all(saves).await.into_iter().find_map(Result::err);
        }
        RefreshReport {
            reads: run.sent.into_inner(),
            failures: run.failed.into_inner(),
            is_throttled: run.is_throttled.into_inner(),
            unavailable,
        }
    }

    /// Drops what is no longer configured from the memory. Without a store nothing stays unsaved.
    fn forget(&self, fleet: &Fleet, now: DateTime<Utc>) {
        let is_volatile = self.documents.durability() == Durability::Volatile;
        let mut memory = self.memory();
        if is_volatile {
            for held in memory.regions.values_mut() {
                held.unsaved = Facts::default();
                Arc::make_mut(&mut held.facts).prune(&fleet.targets, now);
            }
        }
        let regions = regions(fleet);
        memory.regions.retain(|region, _| regions.contains(region));
    }

    /// Adds what is still in doubt to the facts, for the next refresh of any process.
    fn keep_doubts(&self, fleet: &Fleet) {
        let mut memory = self.memory();
        let doubted = std::mem::take(&mut memory.doubted);
        for target in fleet.targets.iter().filter(|target| doubted.contains(&target.id.without_tenant())) {
            memory.doubt(target);
        }
    }
}

impl Run<'_> {
    async fn read(&self, what: Refresh<'_>) {
        match what {
            Refresh::Account(region, role) => {
                let reads =
                    Reads { run: self, lane: (region, role_key(role.map(|role| &**role)).to_owned()) };
                if let Some(limits) = reads.one(reads.reader().account(region, role)).await {
                    self.keeper.add_account(region, role, limits, self.clock.now());
                }
            }
            Refresh::Function(targets) => self.read_function(&targets).await,
            Refresh::Alias(target) => self.read_alias(target).await,
        }
    }

    /// Reads an alias, and the rest if it has changed.
    async fn read_alias(&self, target: &Target) {
        let now = self.clock.now();
        let before = self.keeper.memory().function(target).cloned();
        let reads = Reads { run: self, lane: lane(target) };
        let alias = reads.one(reads.reader().alias(&target.id, target.role.as_ref())).await;
        if alias.is_none() {
            return;
        }
        let read = FunctionReads { alias, is_partial: true, ..FunctionReads::default() };
        if self.keeper.add_read(target, before.as_ref(), read, now) {
            self.keeper.doubt([target.id.clone()]);
            self.read_function(&[target]).await;
        }
    }

    /// Reads the qualifiers of a function that are due. The reserved concurrency is read once.
    async fn read_function(&self, targets: &[&Target]) {
        let mut reserved = None;
        for target in targets {
            let now = self.clock.now();
            let before = self.keeper.memory().function(target).cloned();
            let reads = Reads { run: self, lane: lane(target) };
            let wants = |read| is_due(target, before.as_ref(), read, now);
            let read = read_function(&reads, (&target.id, target.role.as_ref()), wants, &mut reserved).await;
            let (is_partial, is_empty) = (read.is_partial, read.is_empty());
            if !is_empty {
                self.keeper.add_read(target, before.as_ref(), read, now);
            }
            if is_partial {
                return;
            }
            self.keeper.memory().doubted.remove(&target.id.without_tenant());
        }
    }
}

/// The reads of an account in a region. There are no more after a throttle, or when it is unreachable.
struct Reads<'r> {
    run: &'r Run<'r>,
    lane: Lane,
}

impl Reads<'_> {
    fn is_over(&self) -> bool {
        let lost = self.run.lost.lock().unwrap_or_else(PoisonError::into_inner);
        self.run.is_throttled.load(Ordering::Relaxed) || lost.contains(&self.lane)
    }
}

impl SingleReads for Reads<'_> {
    fn reader(&self) -> &dyn ReadFacts {
        self.run.reads.reader()
    }

    async fn one<T: Send>(&self, read: BoxFuture<'_, Lookup<T>>) -> Option<Lookup<T>> {
        if self.is_over() {
            return None;
        }
        self.run.reads.turn().await;
        // Another read may have ended meanwhile.
        if self.is_over() {
            return None;
        }
        self.run.sent.fetch_add(1, Ordering::Relaxed);
        let answer = answer(Instant::now() + READ_WITHIN, read).await;
        if failure(&answer).is_some() {
            self.run.failed.fetch_add(1, Ordering::Relaxed);
        }
        match &answer {
            Lookup::Throttled(_) => {
                self.run.keeper.note_throttle(&answer);
                self.run.is_throttled.store(true, Ordering::Relaxed);
                return None;
            }
            Lookup::Unreachable(_) => {
                self.run.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(self.lane.clone());
            }
            _ => {}
        }
        Some(answer)
    }
}
