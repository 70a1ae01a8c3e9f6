//! The facts about deployed functions and accounts: kept in the memory of the process and in the state store, and read
//! again after the rounds.

mod deployed;
mod read;
mod refresh;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

pub use self::read::ReadFacts;
pub(super) use self::read::{PACE, Pace, PacedReads, SingleReads, read_function};
pub use self::refresh::RefreshReport;
use super::store::{
    DocumentStore, Durability, MOST_ATTEMPTS, Unavailable, before, conflict_pause, parse_bytes,
};
use crate::domain::fleet::{Fleet, Role, Target};
use crate::domain::function::{Identity, Qualifier, Region};
use crate::domain::preflight::{AccountLimits, Lookup, Read, TargetObservation};
pub use crate::domain::records::Snapshot;
use crate::domain::records::{
    AccountFacts, Facts, FunctionFacts, FunctionReads, is_due, role_key, shows_deployment,
};
use crate::engine::ports::{Fetched, Version};

/// The longest time for the reads before a round.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(2);
/// The most aliases that a process reads before a first round: as many as fit into [`READ_WITHIN`].
const MOST_FIRST_ALIASES: usize = 20;
/// The time without reads after the service throttled one.
pub(super) const QUIET_FOR: Duration = Duration::from_secs(5);

/// An account in a region: the role, or the empty text.
type Lane = (Region, String);

/// Keeps the facts about deployed functions. There is one in a process.
pub struct FactsKeeper {
    documents: DocumentStore,
    reader: Option<Arc<dyn ReadFacts>>,
    memory: Mutex<Memory>,
    /// Held during a refresh.
    refreshing: tokio::sync::Mutex<()>,
}

/// The facts of the process.
#[derive(Default)]
struct Memory {
    regions: BTreeMap<Region, Held>,
    /// The accounts whose limits were read, or tried to be read, before a round.
    tried: BTreeSet<Lane>,
    /// The aliases that were tried to be read before a round.
    tried_aliases: BTreeSet<Identity>,
    /// The targets that must be read first.
    doubted: BTreeSet<Identity>,
    /// The targets that were deployed, and when that was seen.
    deployed: BTreeMap<Identity, DateTime<Utc>>,
    /// True once a missing permission to read aliases was logged.
    has_warned: bool,
    /// The pace of the reads between a first ping and its round.
    lanes: BTreeMap<Lane, Arc<PacedReads>>,
    /// No reads before this instant, because the service throttled one.
    quiet_until: Option<Instant>,
}

/// The facts about a region.
#[derive(Default)]
struct Held {
    /// The stored facts, and the unsaved ones.
    facts: Arc<Facts>,
    /// The facts that the store does not have yet.
    unsaved: Facts,
    /// The version of the stored document; `None` if there is none, or it was never read.
    version: Option<Version>,
}

impl Memory {
    fn facts(&self, region: Region) -> Option<&Facts> {
        self.regions.get(&region).map(|held| &*held.facts)
    }

    fn function(&self, target: &Target) -> Option<&FunctionFacts> {
        self.facts(target.region())?.of(target)
    }

    fn account(&self, region: Region, role: Option<&Role>) -> Option<&AccountFacts> {
        self.facts(region)?.account(role)
    }

    /// Replaces the stored facts of a region, unless the process has written or read a newer version than `known`.
    fn adopt(
        &mut self,
        region: Region,
        known: Option<&Version>,
        mut stored: Facts,
        version: Option<Version>,
    ) {
        let held = self.regions.entry(region).or_default();
        if held.version.as_ref() == known {
            stored.merge(&held.unsaved);
            held.facts = Arc::new(stored);
            held.version = version;
        }
    }

    /// Returns true shortly after a throttle.
    fn is_quiet(&self) -> bool {
        self.quiet_until.is_some_and(|until| Instant::now() < until)
    }

    fn add_function(&mut self, target: &Target, facts: FunctionFacts) {
        // The time at which an unchanged alias was read is not worth a write.
        let of_region = self.regions.get_mut(&target.region()).map(|held| Arc::make_mut(&mut held.facts));
        let known = of_region.and_then(|facts| facts.functions.get_mut(&target.id.without_tenant()));
        if let Some(known) = known.filter(|known| known.is_same_but_alias_read(&facts)) {
            *known = facts;
            return;
        }
        let functions = [(target.id.without_tenant(), facts)].into();
        self.add(target.region(), Facts { functions, ..Facts::default() });
    }

    /// Marks the facts about a target to be read first by the next refresh of any process.
    fn doubt(&mut self, target: &Target) {
        if let Some(facts) = self.function(target).filter(|facts| !facts.is_doubtful) {
            let facts = FunctionFacts { is_doubtful: true, ..facts.clone() };
            self.add_function(target, facts);
        }
    }

    /// Drops the versions behind aliases that are no longer known.
    fn forget_old_aliases(&mut self, now: DateTime<Utc>) {
        for held in self.regions.values_mut().filter(|held| held.facts.has_old_aliases(now)) {
            Arc::make_mut(&mut held.facts).forget_old_aliases(now);
        }
    }

    /// Adds what was read.
    fn add(&mut self, region: Region, read: Facts) {
        let held = self.regions.entry(region).or_default();
        held.unsaved.replace(read.clone());
        Arc::make_mut(&mut held.facts).replace(read);
    }
}

impl FactsKeeper {
    /// Creates a keeper. Without a reader nothing is read, and the facts of the store are used.
    pub fn new(documents: DocumentStore, reader: Option<Arc<dyn ReadFacts>>) -> Self {
        Self { documents, reader, memory: Mutex::default(), refreshing: tokio::sync::Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the facts of a fleet at `now`. Documents that other processes have changed are read from the store by
    /// `deadline`; otherwise the facts are those that the process had, and the reason is returned.
    pub async fn load(
        &self,
        fleet: &Fleet,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> (Snapshot, Option<Unavailable>) {
        let mut unavailable = None;
        if self.documents.durability() == Durability::Durable {
            let regions = regions(fleet);
            let loads = regions.into_iter().map(|region| self.load_region(region, now, deadline));
            unavailable = join_all(loads).await.into_iter().find_map(Result::err);
        }
        (self.snapshot(fleet, now), unavailable)
    }

    /// Returns the facts of a fleet that the process has.
    pub fn snapshot(&self, fleet: &Fleet, now: DateTime<Utc>) -> Snapshot {
        let held: BTreeMap<_, _> =
            self.memory().regions.iter().map(|(region, held)| (*region, Arc::clone(&held.facts))).collect();
        Snapshot::new(held, fleet, now)
    }

    async fn load_region(
        &self,
        region: Region,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let known = self.memory().regions.get(&region).and_then(|held| held.version.clone());
        let name = Facts::document(region);
        let (stored, version) =
            match before(deadline, self.documents.get_unless(&name, known.as_ref())).await? {
                Fetched::Unchanged => return Ok(()),
                Fetched::Missing => (Facts::default(), None),
                Fetched::Object { bytes, version } => {
                    (parse_bytes::<Facts>(&name, &bytes)?.plausible(now), Some(version))
                }
            };
        self.memory().adopt(region, known.as_ref(), stored, version);
        Ok(())
    }

    /// Writes the unsaved facts of a region.
    async fn save_region(
        &self,
        region: Region,
        fleet: &Fleet,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let name = Facts::document(region);
        for attempt in 0..MOST_ATTEMPTS {
            let (mut document, unsaved, replaced) = match self.memory().regions.get(&region) {
                Some(held) if !held.unsaved.is_empty() => {
                    ((*held.facts).clone(), held.unsaved.clone(), held.version.clone())
                }
                _ => return Ok(()),
            };
            document.prune(fleet.targets.iter().filter(|target| target.region() == region), now);
            let put = self.documents.put(&name, &mut document, replaced.as_ref());
            if let Some(version) = before(deadline, put).await? {
                let mut memory = self.memory();
                let held = memory.regions.entry(region).or_default();
                held.unsaved.subtract(&unsaved);
                if held.version == replaced {
                    document.merge(&held.unsaved);
                    (held.facts, held.version) = (Arc::new(document), Some(version));
                }
                return Ok(());
            }
            conflict_pause(attempt).await;
            self.load_region(region, now, deadline).await?;
        }
        Err(Unavailable(format!(
            "`{name}` was changed by other writers during each of {MOST_ATTEMPTS} attempts"
        )))
    }

    /// Reads the limits of the accounts of these targets that are unknown and that this process has not tried to read:
    /// all of them concurrently, and within 2 s. A failure is known then, and the refresh tries again.
    pub async fn read_unknown_limits(&self, targets: &[&Target], now: DateTime<Utc>) {
        let Some(reader) = &self.reader else { return };
        let accounts: BTreeMap<Lane, Option<&Arc<Role>>> =
            targets.iter().map(|target| (lane(target), target.role.as_ref())).collect();
        let unknown: Vec<(Lane, Option<&Arc<Role>>)> = {
            let mut memory = self.memory();
            let is_unknown = |(lane, role): &(Lane, Option<&Arc<Role>>)| {
                let known = memory.account(lane.0, role.map(|role| &**role));
                known.is_none_or(|facts| !facts.is_usable(now)) && !memory.tried.contains(lane)
            };
            let unknown: Vec<_> = accounts.into_iter().filter(is_unknown).collect();
            memory.tried.extend(unknown.iter().map(|(lane, _)| lane.clone()));
            unknown
        };
        let deadline = Instant::now() + READ_WITHIN;
        let reads = unknown.into_iter().map(|((region, _), role)| async move {
            let limits = answer(deadline, reader.account(region, role)).await;
            self.note_throttle(&limits);
            self.add_account(region, role, limits, now);
        });
        join_all(reads).await;
    }

    fn add_account(
        &self,
        region: Region,
        role: Option<&Arc<Role>>,
        limits: Lookup<AccountLimits>,
        now: DateTime<Utc>,
    ) {
        if is_throttled(&limits) {
            return;
        }
        let role = role.map(|role| &**role);
        let mut memory = self.memory();
        let facts = AccountFacts::after(memory.account(region, role), limits, now);
        let accounts = [(role_key(role).to_owned(), facts)].into();
        memory.add(region, Facts { accounts, ..Facts::default() });
    }

    /// Reads the versions behind the aliases of these targets, all of them concurrently and within 2 s: those with
    /// weights that were read too long ago, and at most 20 in the life of the process that are unknown and that it has
    /// not tried to read. The rounds of the others go through the alias. A deployment that it shows is noted. Returns true if something was read.
    pub async fn read_aliases(&self, targets: &[&Target], now: DateTime<Utc>) -> bool {
        let (old, unknown) = {
            let mut memory = self.memory();
            let is_old = |target: &&Target| {
                let known = memory.function(target);
                known.is_some_and(|facts| facts.has_old_weights(now))
                    && is_due(target, known, Read::Alias, now)
            };
            let old = by_id(targets.iter().copied().filter(is_old));
            let left = MOST_FIRST_ALIASES.saturating_sub(memory.tried_aliases.len());
            let is_unknown = |target: &&Target| {
                let known = memory.function(target).filter(|facts| facts.is_usable(now));
                known.is_none_or(|facts| facts.seen.alias == Lookup::NotRead)
                    && is_due(target, known, Read::Alias, now)
                    && !memory.tried_aliases.contains(&target.id.without_tenant())
            };
            let unknown = by_id(targets.iter().copied().filter(is_unknown).take(left));
            memory.tried_aliases.extend(unknown.keys().cloned());
            (old, unknown)
        };
        let deadline = Instant::now() + READ_WITHIN;
        let reads = old.values().chain(unknown.values()).map(|target| async move {
            let Some((reads, known)) = self.lane_for(target) else { return false };
            let reads = ReadsBefore { keeper: self, reads: &reads, deadline };
            let alias = reads.one(reads.reader().alias(&target.id, target.role.as_ref())).await;
            let is_read = alias.is_some();
            if is_read {
                let read = FunctionReads { alias, is_partial: true, ..FunctionReads::default() };
                let known = known.filter(|facts| facts.is_usable(now));
                if self.add_read(target, known.as_ref(), read, now) {
                    // The configuration is that of the earlier version.
                    self.doubt([target.id.clone()]);
                }
            }
            is_read
        });
        join_all(reads).await.contains(&true)
    }

    /// Reads the facts about one target within 2 s: its configuration, and the rest if that is unknown or old.
    /// `version` is the version that a ping executed; if the qualifier denotes another one, the returned configuration
    /// is that of `version`. `None` if the configuration was not answered in time.
    pub async fn read_now(
        &self,
        target: &Target,
        version: Option<&str>,
        now: DateTime<Utc>,
    ) -> Option<TargetObservation> {
        let deadline = Instant::now() + READ_WITHIN;
        let (reads, known) = self.lane_for(target)?;
        let known = known.filter(|facts| facts.is_usable(now));
        let is_old =
            known.as_ref().is_none_or(|facts| facts.is_old(now) || facts.seen.reserved == Lookup::NotRead);
        let is_wanted = |read| match read {
            Read::Configuration => true,
            Read::Alias => known.as_ref().is_none_or(|facts| facts.seen.alias == Lookup::NotRead),
            _ => is_old,
        };
        let wants = |read| is_wanted(read) && is_due(target, known.as_ref(), read, now);
        let (id, role) = (&target.id, target.role.as_ref());
        let reads = ReadsBefore { keeper: self, reads: &reads, deadline };
        let mut read = read_function(&reads, (id, role), wants, &mut None).await;
        if read.configuration.is_none() && wants(Read::Configuration) {
            return None;
        }
        read.is_partial |= !is_old;
        let facts = FunctionFacts::after(known.as_ref(), read, now);
        let mut seen = facts.seen.clone();
        self.add_function(target, facts);
        let denoted = seen.configuration.known().and_then(|deployed| deployed.version.as_deref());
        if let Some(version) = version.filter(|version| denoted != Some(version))
            && let Ok(qualifier) = Qualifier::parse(version)
        {
            let id = Identity { qualifier: Some(qualifier), ..id.clone() };
            seen.configuration = reads.one(reads.reader().configuration(&id, role)).await?;
        }
        Some(seen)
    }

    fn add_function(&self, target: &Target, facts: FunctionFacts) {
        let mut memory = self.memory();
        if facts.is_alias_denied() && !std::mem::replace(&mut memory.has_warned, true) {
            warn!(function = %target.id.shown(), region = %target.region(),
                "no permission for {}: the versions behind aliases are unknown, and rounds go through the alias; `warmd iam` prints the policies",
                Read::Alias.action());
        }
        memory.add_function(target, facts);
    }

    /// Adds what was read, and notes a deployment that it shows. Returns true if there was one.
    fn add_read(
        &self,
        target: &Target,
        before: Option<&FunctionFacts>,
        read: FunctionReads,
        now: DateTime<Utc>,
    ) -> bool {
        let after = FunctionFacts::after(before, read, now);
        let before = before.filter(|before| before.is_usable(now));
        let is_deployed = before.is_some_and(|before| shows_deployment(&before.seen, &after.seen));
        if is_deployed {
            info!(function = %target.id.shown(), region = %target.region(), "a deployment was seen");
            self.memory().deployed.insert(target.id.without_tenant(), now);
        }
        self.add_function(target, after);
        is_deployed
    }

    /// Takes the targets, without tenants, whose deployment was seen since the last call, and the time of that.
    pub fn take_deployed(&self) -> BTreeMap<Identity, DateTime<Utc>> {
        std::mem::take(&mut self.memory().deployed)
    }

    /// Returns the paced reads of the target's account and region, and the known facts; `None` without a reader, or
    /// shortly after a throttle.
    fn lane_for(&self, target: &Target) -> Option<(Arc<PacedReads>, Option<FunctionFacts>)> {
        let reader = self.reader.as_ref()?;
        let mut memory = self.memory();
        if memory.is_quiet() {
            return None;
        }
        let known = memory.function(target).cloned();
        let reads = || Arc::new(PacedReads::new(Arc::clone(reader), PACE));
        Some((Arc::clone(memory.lanes.entry(lane(target)).or_insert_with(reads)), known))
    }

    /// Stops reads for a while after a throttled one.
    fn note_throttle<T>(&self, answer: &Lookup<T>) {
        if is_throttled(answer) {
            self.memory().quiet_until = Some(Instant::now() + QUIET_FOR);
        }
    }

    /// Marks targets to be read first at the next refresh: a round had an error, or executed another version.
    pub fn doubt(&self, ids: impl IntoIterator<Item = Identity>) {
        if self.reader.is_some() {
            self.memory().doubted.extend(ids.into_iter().map(|id| id.without_tenant()));
        }
    }
}

/// Reads that end at a deadline, and after a throttle.
struct ReadsBefore<'r> {
    keeper: &'r FactsKeeper,
    reads: &'r PacedReads,
    deadline: Instant,
}

impl SingleReads for ReadsBefore<'_> {
    fn reader(&self) -> &dyn ReadFacts {
        self.reads.reader()
    }

    async fn one<T: Send>(&self, read: BoxFuture<'_, Lookup<T>>) -> Option<Lookup<T>> {
        timeout_at(self.deadline, self.reads.turn()).await.ok()?;
        if self.keeper.memory().is_quiet() {
            return None;
        }
        let answer = timeout_at(self.deadline, read).await.ok()?;
        self.keeper.note_throttle(&answer);
        (!is_throttled(&answer)).then_some(answer)
    }
}

/// Returns the answer to a read; a failure if there is none by `deadline`.
async fn answer<T>(deadline: Instant, read: impl Future<Output = Lookup<T>>) -> Lookup<T> {
    let late = |_| Lookup::Unreachable("no answer in time".to_owned());
    timeout_at(deadline, read).await.unwrap_or_else(late)
}

fn is_throttled<T>(answer: &Lookup<T>) -> bool {
    matches!(answer, Lookup::Throttled(_))
}

/// Returns each function and qualifier once.
fn by_id<'t>(targets: impl Iterator<Item = &'t Target>) -> BTreeMap<Identity, &'t Target> {
    targets.map(|target| (target.id.without_tenant(), target)).collect()
}

fn lane(target: &Target) -> Lane {
    (target.region(), role_key(target.role.as_deref()).to_owned())
}

/// Returns the regions of the targets that are ever pinged.
fn regions(fleet: &Fleet) -> BTreeSet<Region> {
    fleet.targets.iter().filter(|target| target.is_warmed()).map(Target::region).collect()
}

#[cfg(test)]
mod tests;
