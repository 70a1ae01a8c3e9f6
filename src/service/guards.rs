//! The guards of the rounds of a process: facts about deployed functions, and the records of earlier rounds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::facts::{FactsKeeper, Snapshot};
use super::planner::{READ_WITHIN, StoreHealth};
use super::store::{DocumentStore, Durability, Unavailable, before, parse_bytes};
use crate::domain::fleet::{Fleet, Limits, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::guard::{Decision, Knowledge, Terms, decide, health_after};
use crate::domain::records::{Guards, Health, SERVED, Served, Trust};
use crate::domain::round::FirstResult;
use crate::domain::tick::{RoundRecord, SkipReason, TickReport};
use crate::engine::ports::{Clock, Fetched, Version};
use crate::engine::tick::{Due, Gate};

/// The longest refresh of facts after a tick.
const REFRESH_WITHIN: Duration = Duration::from_secs(10);

/// The guards of a process.
pub struct RoundGuards {
    facts: FactsKeeper,
    documents: DocumentStore,
    records: Mutex<BTreeMap<Region, Held>>,
    /// The code that ran at first contacts whose results are not recorded yet.
    executed: Mutex<HashMap<Identity, String>>,
}

/// A record as it was read.
#[derive(Debug, Clone, Default)]
struct Held {
    guards: Arc<Guards>,
    version: Option<Version>,
}

/// Rounds after the guards were applied.
#[derive(Debug, Default)]
pub struct Guarded {
    /// The rounds to be sent.
    pub sent: Vec<Due>,
    /// The rounds that must not be sent.
    pub held: Vec<Due>,
    /// Their records.
    pub skipped: Vec<RoundRecord>,
}

/// What is known before the rounds of a trigger.
#[derive(Default)]
pub struct Known {
    facts: Snapshot,
    records: BTreeMap<Region, Held>,
    /// The condition of the store.
    pub health: StoreHealth,
}

impl Known {
    /// Returns what is known about a target.
    pub fn of(&self, target: &Target) -> Knowledge<'_> {
        Knowledge {
            facts: self.facts.of(target).map(|facts| &facts.seen),
            account: self.facts.limits(target),
            guards: self.records.get(&target.region()).map(|held| &*held.guards),
        }
    }
}

impl RoundGuards {
    /// Creates guards with these facts. The records are kept in `documents`.
    pub fn new(facts: FactsKeeper, documents: DocumentStore) -> Self {
        Self { facts, documents, records: Mutex::default(), executed: Mutex::default() }
    }

    /// Loads what is known about a fleet, within [`READ_WITHIN`]. What the store cannot answer is what this process had.
    pub async fn load(&self, fleet: &Fleet, now: DateTime<Utc>) -> Known {
        let deadline = Instant::now() + READ_WITHIN;
        let mut regions: Vec<Region> = fleet.targets.iter().map(Target::region).collect();
        regions.sort();
        regions.dedup();
        let loads = regions.into_iter().map(|region| self.load_region(fleet, region, now, deadline));
        let ((facts, unread), loaded) = tokio::join!(self.facts.load(fleet, now, deadline), join_all(loads));
        let unavailable = unread.or_else(|| loaded.into_iter().find_map(Result::err));
        let health = match unavailable {
            None => StoreHealth::Sound,
            Some(unavailable) => {
                error!("StateUnavailable: {unavailable}; the guards use what this process knows");
                StoreHealth::Unavailable
            }
        };
        Known { facts, records: self.records().clone(), health }
    }

    /// Loads the record of a region if it has changed. Begins it if it is new: targets that were served before are
    /// trusted.
    async fn load_region(
        &self,
        fleet: &Fleet,
        region: Region,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let name = Guards::document(region);
        let known = self.records().get(&region).and_then(|held| held.version.clone());
        let held = match before(deadline, self.documents.get_unless(&name, known.as_ref())).await? {
            Fetched::Unchanged => return Ok(()),
            Fetched::Missing => Held::default(),
            Fetched::Object { bytes, version } => {
                Held { guards: Arc::new(parse_bytes(&name, &bytes)?), version: Some(version) }
            }
        };
        let is_new = held.guards.since.is_none();
        self.records().insert(region, held);
        if !is_new {
            return Ok(());
        }
        let served: Served = match self.documents.durability() {
            Durability::Durable => before(deadline, self.documents.read(SERVED)).await?,
            Durability::Volatile => Served::default(),
        };
        let was_served =
            |target: &&Target| target.region() == region && served.targets.contains_key(&target.id);
        self.change(region, deadline, |guards| guards.begin(fleet.targets.iter().filter(was_served), now))
            .await
    }

    /// Changes the record of a region in the store, and in this process also if the store fails.
    async fn change(
        &self,
        region: Region,
        deadline: Instant,
        change: impl Fn(&mut Guards) + Send + Sync,
    ) -> Result<(), Unavailable> {
        let mut held = self.records().get(&region).cloned().unwrap_or_default();
        change(Arc::make_mut(&mut held.guards));
        self.records().insert(region, Held { version: None, ..held });
        let name = Guards::document(region);
        let update = self.documents.update(&name, |guards: &mut Guards| {
            change(guards);
            guards.clone()
        });
        let guards = Arc::new(before(deadline, update).await?);
        // Without the version: the next load reads the document again.
        self.records().insert(region, Held { guards, version: None });
        Ok(())
    }

    /// Reads the limits of accounts that are unknown, before the first round.
    pub async fn read_unknown_limits(
        &self,
        fleet: &Fleet,
        due: &[Due],
        known: &mut Known,
        now: DateTime<Utc>,
    ) {
        let targets: Vec<&Target> = due.iter().map(|due| due.target.as_ref()).collect();
        if targets.iter().any(|target| known.facts.limits(target).is_none()) {
            self.facts.read_unknown_limits(&targets, now).await;
            known.facts = self.facts.snapshot(fleet, now);
        }
    }

    /// Applies the guards to rounds. Returns those that are sent, and those that are skipped.
    pub fn apply(
        &self,
        due: Vec<Due>,
        known: &Known,
        limits: &Limits,
        checks_contact: bool,
        now: DateTime<Utc>,
    ) -> Guarded {
        let mut guarded = Guarded::default();
        for due in due {
            match decide(&due.target, due.concurrency, known.of(&due.target), limits, checks_contact, now) {
                Decision::Send(concurrency, terms) => {
                    guarded.sent.push(Due { concurrency, terms, ..due });
                }
                Decision::Skip(reason) => {
                    let (function, region) = (due.target.id.shown(), due.target.region());
                    info!(%function, %region, reason = reason.name(), "skipped: {}", reason.explanation());
                    guarded.skipped.push(due.skipped(reason));
                    guarded.held.push(due);
                }
            }
        }
        guarded
    }

    /// Records the results of rounds: contacts, failures and throttles. Targets with errors are read first at the next
    /// refresh.
    pub async fn record(
        &self,
        due: &[Due],
        report: &TickReport,
        fleet: &Fleet,
        known: &Known,
        now: DateTime<Utc>,
    ) -> StoreHealth {
        let targets: HashMap<&Identity, &Target> =
            due.iter().map(|due| (&due.target.id, due.target.as_ref())).collect();
        let facts = self.facts.snapshot(fleet, now);
        let mut notes: BTreeMap<Region, Vec<Note<'_>>> = BTreeMap::new();
        let mut doubted = Vec::new();
        for round in &report.rounds {
            let Some(target) = targets.get(&round.id).copied() else { continue };
            let deployed = facts.of(target).and_then(|facts| facts.seen.configuration.known());
            let executed = lock(&self.executed).remove(&round.id);
            let code = executed.or_else(|| deployed?.code_sha256.clone());
            let version = deployed.and_then(|deployed| deployed.version.as_deref());
            if is_doubtful(round, version) {
                doubted.push(round.id.clone());
            }
            let note = Note { target, round, code };
            let guards = known.of(target).guards;
            if guards.is_none_or(|guards| note.changes(guards, now)) {
                notes.entry(target.region()).or_default().push(note);
            }
        }
        self.facts.doubt(doubted);
        let deadline = Instant::now() + READ_WITHIN;
        let writes = notes.iter().map(|(region, notes)| {
            self.change(*region, deadline, move |guards| {
                notes.iter().for_each(|note| note.apply(guards, now))
            })
        });
        match join_all(writes).await.into_iter().find_map(Result::err) {
            None => StoreHealth::Sound,
            Some(unavailable) => {
                error!(
                    "StateUnavailable: {unavailable}; the results for the guards are known to this process only"
                );
                StoreHealth::Unavailable
            }
        }
    }

    /// Reads old and doubtful facts again, until `until` and for 10 s at most.
    pub async fn refresh(&self, fleet: &Fleet, until: Instant, clock: &dyn Clock) {
        let until = until.min(Instant::now() + REFRESH_WITHIN);
        let refreshed = self.facts.refresh(fleet, until, clock).await;
        debug!(reads = refreshed.reads, failures = refreshed.failures, "refreshed the facts about functions");
        if let Some(unavailable) = refreshed.unavailable {
            warn!("StateUnavailable: {unavailable}; the facts are written with the next refresh");
        }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<Region, Held>> {
        lock(&self.records)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns true if the facts about the target of a round may have changed. `version` is the version that the facts
/// denote.
fn is_doubtful(round: &RoundRecord, version: Option<&str>) -> bool {
    let Some(sent) = round.sent() else { return false };
    let counts = &sent.report.counts;
    let ran_another = version.is_some_and(|version| sent.report.versions.iter().any(|ran| ran != version));
    counts.errors() > 0 || counts.throttled > 0 || ran_another
}

/// What a round shows of its target.
struct Note<'r> {
    target: &'r Target,
    round: &'r RoundRecord,
    code: Option<String>,
}

impl Note<'_> {
    /// Returns the result of the contact: of a first ping, or of a round without failures.
    fn contact(&self, guards: &Guards) -> Option<Option<String>> {
        let sent = self.round.sent()?;
        match &sent.contact {
            Some(FirstResult::Well) => Some(None),
            Some(FirstResult::Unsafe(reason)) => Some(Some(reason.clone())),
            Some(FirstResult::Failed | FirstResult::Again) => None,
            None => {
                let counts = &sent.report.counts;
                let went_well = counts.errors() == 0 && counts.throttled == 0 && sent.report.pings > 0;
                let trust = guards.trust(self.target, self.code.as_deref());
                (went_well && trust == Trust::None).then_some(None)
            }
        }
    }

    fn health(&self, guards: &Guards, now: DateTime<Utc>) -> Option<Health> {
        health_after(self.target, guards.health(&self.target.id, now), self.round, now)
    }

    fn changes(&self, guards: &Guards, now: DateTime<Utc>) -> bool {
        self.contact(guards).is_some()
            || self.health(guards, now).as_ref() != guards.health(&self.target.id, now)
            || self.code.as_deref().is_some_and(|code| guards.lacks_hash(self.target, code))
    }

    fn apply(&self, guards: &mut Guards, now: DateTime<Utc>) {
        let code = self.code.as_deref();
        if let Some(unsafe_because) = self.contact(guards) {
            guards.note_contact(self.target, code, unsafe_because, now);
        }
        if let Some(code) = code {
            guards.adopt_hash(self.target, code);
        }
        guards.set_health(&self.target.id, self.health(guards, now), now);
    }
}

/// Decides after a first contact, with facts that are read then.
pub struct ContactGate {
    /// The guards.
    pub guards: Arc<RoundGuards>,
    /// The configuration.
    pub fleet: Arc<Fleet>,
    /// The time of the plan.
    pub now: DateTime<Utc>,
}

impl Gate for ContactGate {
    fn admit<'a>(&'a self, due: &'a Due, version: Option<&'a str>) -> BoxFuture<'a, Result<Due, SkipReason>> {
        Box::pin(async move {
            let target = due.target.as_ref();
            let seen = self.guards.facts.read_now(target, version, self.now).await;
            let snapshot = self.guards.facts.snapshot(&self.fleet, self.now);
            let known = Knowledge { facts: seen.as_ref(), account: snapshot.limits(target), guards: None };
            if let Some(code) = known.code() {
                lock(&self.guards.executed).insert(target.id.clone(), code.to_owned());
            }
            match decide(target, due.configured(), known, &self.fleet.limits, false, self.now) {
                Decision::Skip(reason) => Err(reason),
                Decision::Send(allowed, terms) => {
                    let Terms { backed_off_from, first, .. } = due.terms;
                    let concurrency = allowed.min(due.concurrency);
                    Ok(Due {
                        concurrency,
                        terms: Terms { backed_off_from, first, ..terms },
                        target: Arc::clone(&due.target),
                    })
                }
            }
        })
    }
}
