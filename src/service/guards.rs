//! The guards of the rounds of a process: facts about deployed functions, and the records of earlier rounds.

mod deployed;
mod versions;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::versions::with_versions;
use super::facts::{FactsKeeper, Snapshot};
use super::planner::{READ_WITHIN, StoreHealth};
use super::store::{DocumentStore, Durability, Unavailable, before, parse_bytes};
use crate::domain::fleet::{Fleet, Limits, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::guard::{
    Decision, Denials, Knowledge, Terms, decide, decide_versions, health_after, is_of_function, seen_of,
    weighted,
};
use crate::domain::preflight::{FunctionState, TargetObservation, UpdateStatus};
use crate::domain::records::{Guards, Health, SERVED, Served};
use crate::domain::round::FirstResult;
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::ports::{Clock, Fetched, Version};
use crate::engine::tick::{Due, Gate};

/// The longest refresh of facts after a tick.
const REFRESH_WITHIN: Duration = Duration::from_secs(10);

/// The guards of a process.
pub struct RoundGuards {
    facts: FactsKeeper,
    documents: DocumentStore,
    records: Mutex<BTreeMap<Region, Held>>,
    denials: Mutex<Denials>,
    /// The targets whose first ping may have executed the code before an update, until their rounds are recorded.
    updating: Mutex<BTreeSet<Identity>>,
}

/// The record of a region.
#[derive(Debug, Clone, Default)]
struct Held {
    /// The stored record with the unsaved results.
    guards: Arc<Guards>,
    /// The version of the stored document; `None` to read it again.
    version: Option<Version>,
    /// The results that the store does not have yet.
    unsaved: BTreeMap<Identity, Unsaved>,
}

/// The results of a target that the store does not have yet.
#[derive(Debug, Clone)]
struct Unsaved {
    target: Arc<Target>,
    /// The result of the first contact.
    contact: Option<Contacted>,
    /// The hash of the deployed code.
    code: Option<String>,
    /// The health after the last round, if there was one.
    health: Option<Option<Health>>,
}

/// The result of a first contact.
#[derive(Debug, Clone, PartialEq)]
struct Contacted {
    code: Option<String>,
    unsafe_because: Option<String>,
    at: DateTime<Utc>,
}

impl Unsaved {
    fn is_same(&self, other: &Self) -> bool {
        (&self.contact, &self.code, &self.health) == (&other.contact, &other.code, &other.health)
    }

    fn add_to(&self, guards: &mut Guards, now: DateTime<Utc>) {
        let Self { target, contact, code, health } = self;
        if let Some(Contacted { code, unsafe_because, at }) = contact {
            guards.note_contact(target, code.as_deref(), unsafe_because.clone(), *at);
        }
        if let Some(code) = code {
            guards.adopt_hash(target, code);
        }
        if let Some(health) = health {
            guards.set_health(&target.id, health.clone(), now);
        }
    }
}

impl Held {
    /// Adds the unsaved results to the record.
    fn add_unsaved(&self, guards: &mut Guards, now: DateTime<Utc>) {
        self.unsaved.values().for_each(|unsaved| unsaved.add_to(guards, now));
    }

    /// Adds results of a target, which the store does not have yet.
    fn note(&mut self, target: &Arc<Target>, now: DateTime<Utc>, note: impl FnOnce(&mut Unsaved, &Guards)) {
        let none = || Unsaved { target: Arc::clone(target), contact: None, code: None, health: None };
        let unsaved = self.unsaved.entry(target.id.clone()).or_insert_with(none);
        note(unsaved, &self.guards);
        unsaved.add_to(Arc::make_mut(&mut self.guards), now);
    }
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

impl Guarded {
    /// Applies the limits of budgets only.
    pub fn by_budgets(due: Vec<Due>, limits: &Limits, now: DateTime<Utc>) -> Self {
        let mut guarded = Self::default();
        for due in due {
            let budget = due.budget.clone();
            let known = Knowledge { budget: budget.as_ref(), ..Knowledge::default() };
            match budget {
                Some(_) => {
                    let decision = decide(&due.target, due.concurrency, known, limits, false, now);
                    guarded.add(due, decision);
                }
                None => guarded.sent.push(due),
            }
        }
        guarded
    }

    fn add(&mut self, due: Due, decision: Decision) {
        match decision {
            Decision::Send(concurrency, terms) => self.sent.push(Due { concurrency, terms, ..due }),
            Decision::Skip(reason) => {
                let (function, region) = (due.target.id.shown(), due.target.region());
                info!(%function, %region, reason = reason.name(), "skipped: {}", reason.explanation());
                self.skipped.push(due.skipped(reason));
                self.held.push(due);
            }
        }
    }
}

/// The knowledge before the rounds of a trigger.
#[derive(Clone, Default)]
pub struct Known {
    facts: Snapshot,
    records: BTreeMap<Region, Held>,
    /// The reason why the store could not be read.
    pub unavailable: Option<Unavailable>,
}

impl Known {
    /// The facts.
    pub fn facts(&self) -> &Snapshot {
        &self.facts
    }

    /// Returns what is known about a target.
    pub fn of(&self, target: &Target) -> Knowledge<'_> {
        Knowledge {
            facts: self.facts.of(target).map(|facts| &facts.seen),
            account: self.facts.limits(target),
            guards: self.records.get(&target.region()).map(|held| &*held.guards),
            ..Knowledge::default()
        }
    }
}

impl RoundGuards {
    /// Creates guards with these facts. The records are kept in `documents`.
    pub fn new(facts: FactsKeeper, documents: DocumentStore) -> Self {
        let (records, denials, updating) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { facts, documents, records, denials, updating }
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
        Known { facts, records: self.records().clone(), unavailable }
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
        let fetched = before(deadline, self.documents.get_unless(&name, known.as_ref())).await?;
        let stored = match fetched {
            Fetched::Unchanged => None,
            Fetched::Missing => Some((Guards::default(), None)),
            Fetched::Object { bytes, version } => {
                Some((parse_bytes::<Guards>(&name, &bytes)?, Some(version)))
            }
        };
        let is_new = {
            let mut records = self.records();
            let held = records.entry(region).or_default();
            // Otherwise another tick has written or read the document meanwhile.
            if let Some((mut guards, version)) = stored.filter(|_| held.version == known) {
                held.add_unsaved(&mut guards, now);
                (held.guards, held.version) = (Arc::new(guards), version);
            }
            held.guards.since.is_none()
        };
        if !is_new {
            return Ok(());
        }
        let served: Served = match self.documents.durability() {
            Durability::Durable => before(deadline, self.documents.read(SERVED)).await?,
            Durability::Volatile => Served::default(),
        };
        let was_served =
            |target: &&Target| target.region() == region && served.targets.contains_key(&target.id);
        let begin = |guards: &mut Guards| guards.begin(fleet.targets.iter().filter(was_served), now);
        begin(Arc::make_mut(&mut self.records().entry(region).or_default().guards));
        self.save(region, deadline, now, begin).await
    }

    /// Writes the unsaved results of a region, and another change.
    async fn save(
        &self,
        region: Region,
        deadline: Instant,
        now: DateTime<Utc>,
        change: impl Fn(&mut Guards) + Send + Sync,
    ) -> Result<(), Unavailable> {
        let held = {
            let mut records = self.records();
            let held = records.entry(region).or_default();
            // The next load reads the document again.
            held.version = None;
            held.clone()
        };
        let name = Guards::document(region);
        let update = self.documents.update(&name, |guards: &mut Guards| {
            held.add_unsaved(guards, now);
            change(guards);
            guards.clone()
        });
        let mut guards = before(deadline, update).await?;
        let mut records = self.records();
        let current = records.entry(region).or_default();
        current
            .unsaved
            .retain(|id, unsaved| !held.unsaved.get(id).is_some_and(|saved| saved.is_same(unsaved)));
        current.add_unsaved(&mut guards, now);
        current.guards = Arc::new(guards);
        Ok(())
    }

    /// Reads, before the rounds, the limits of accounts and the versions behind aliases that are unknown, and the weights
    /// of aliases that were read too long ago.
    pub async fn read_unknown(&self, fleet: &Fleet, due: &[Due], known: &mut Known, now: DateTime<Utc>) {
        let targets: Vec<&Target> = due.iter().map(|due| due.target.as_ref()).collect();
        let without_limits = targets.iter().any(|target| known.facts.limits(target).is_none());
        let limits = async {
            if without_limits {
                self.facts.read_unknown_limits(&targets, now).await;
            }
        };
        let ((), has_read) = tokio::join!(limits, self.facts.read_aliases(&targets, now));
        if without_limits || has_read {
            known.facts = self.facts.snapshot(fleet, now);
        }
    }

    /// Reads the facts about a target that the configuration does not name. Without an answer in time they are unknown.
    pub async fn read_facts(&self, fleet: &Fleet, target: &Target, known: &mut Known, now: DateTime<Utc>) {
        self.facts.read_now(target, None, now).await;
        known.facts = self.facts.snapshot(fleet, now);
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
            let of_target = known.of(&due.target);
            // During an update the code that failed still runs.
            let is_updating = of_target.facts.is_some_and(TargetObservation::is_updating);
            let budget = due.budget.clone();
            let of_target = Knowledge {
                is_deployed: due.is_deployed && !is_updating,
                budget: budget.as_ref(),
                ..of_target
            };
            let decision = decide(&due.target, due.concurrency, of_target, limits, checks_contact, now);
            let of_function = matches!(&decision, Decision::Skip(reason) if is_of_function(*reason));
            let has_old_weights = known.facts.of(&due.target).is_some_and(|facts| facts.has_old_weights(now));
            let routing = weighted(&due.target, of_target).filter(|_| !of_function && !has_old_weights);
            let (decision, due) = match routing {
                None => (decision, due),
                Some(routing) => {
                    let own = |target: &Target| known.facts.of(target).map(|facts| &facts.seen);
                    let wanted = (&*due.target, due.concurrency);
                    let versions =
                        decide_versions(wanted, routing, of_target, own, limits, checks_contact, now);
                    with_versions(due, decision, versions, &lock(&self.denials), now)
                }
            };
            guarded.add(due, decision);
        }
        guarded
    }

    /// Records the results of rounds that have ended: contacts, failures and throttles. Targets with errors are read
    /// first at the next refresh. `due` are the rounds of the trigger, skipped ones included; `now` is the time of its
    /// plan. Results that the store does not take are written with the next ones.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn record(
        &self,
        due: &[Due],
        rounds: &[RoundRecord],
        fleet: &Fleet,
        known: &Known,
        now: DateTime<Utc>,
    ) -> Result<(), Unavailable> {
        let dues: HashMap<&Identity, &Due> = due.iter().map(|due| (&due.target.id, due)).collect();
        let facts = self.facts.snapshot(fleet, now);
        let mut notes = Vec::new();
        let mut doubted = Vec::new();
        for round in rounds {
            let Some(due) = dues.get(&round.id).copied() else { continue };
            let seen = facts.of(&due.target).map(|facts| &facts.seen);
            if is_doubtful(round, seen) {
                doubted.push(round.id.clone());
            }
            self.note_denials(round, now);
            // A denied version says nothing about its function: the next try is an hour later.
            let is_denied_version = |id: &Identity, part: &RoundRecord| *id != round.id && part.is_denied();
            for (target, part) in versions::rounds(due, round) {
                if is_denied_version(&target.id, part) {
                    continue;
                }
                let code = self.contacted_code(target).or_else(|| code(target, round, seen, &facts));
                let seen = [known.of(target).facts, facts.of(target).map(|facts| &facts.seen)];
                let is_updating = lock(&self.updating).remove(&target.id) || is_update_in_progress(seen);
                let code = code.filter(|_| !is_updating);
                let note = Note { target, round: part, code, is_updating };
                if known.of(target).guards.is_none_or(|guards| note.changes(guards, now)) {
                    notes.push(note);
                }
            }
        }
        self.facts.doubt(doubted);
        let regions: Vec<Region> = {
            let mut records = self.records();
            for note in notes {
                let held = records.entry(note.target.region()).or_default();
                held.note(note.target, now, |unsaved, guards| note.add_to(unsaved, guards, now));
            }
            records.iter().filter(|(_, held)| !held.unsaved.is_empty()).map(|(region, _)| *region).collect()
        };
        let deadline = Instant::now() + READ_WITHIN;
        let writes = regions.into_iter().map(|region| self.save(region, deadline, now, |_| {}));
        join_all(writes).await.into_iter().collect()
    }

    /// Notes versions behind an alias that may not be pinged by their numbers, and warns about it once.
    fn note_denials(&self, round: &RoundRecord, now: DateTime<Utc>) {
        let versions = round.sent().map(|sent| &sent.versions[..]).unwrap_or_default();
        if !versions.is_empty() && lock(&self.denials).note(&round.id, versions, now) {
            let (function, region) = (round.id.shown(), round.id.region);
            let (allow, on) = ("lambda:InvokeFunction", format!("function:{}:*", round.id.name.as_str()));
            warn!(%function, %region, "pings by the numbers of its versions are denied, so the alias is pinged, and no \
                number of environments is proven: allow {allow} on {on} (`warmd iam` grants it)");
        }
    }

    /// Adds the result of a first contact at once: another tick of this process may be planned before it is recorded.
    fn note_contact(&self, target: &Arc<Target>, contact: Contacted, now: DateTime<Utc>) {
        let mut records = self.records();
        let held = records.entry(target.region()).or_default();
        held.note(target, now, |unsaved, _| unsaved.contact = Some(contact));
    }

    /// Returns the code that ran at a first contact whose result is not recorded yet.
    fn contacted_code(&self, target: &Target) -> Option<String> {
        self.records().get(&target.region())?.unsaved.get(&target.id)?.contact.as_ref()?.code.clone()
    }

    /// Takes the targets, without tenants, whose deployment a refresh has shown, and the time of that.
    pub fn take_deployed(&self) -> BTreeMap<Identity, DateTime<Utc>> {
        self.facts.take_deployed()
    }

    /// Reads old and doubtful facts again, until `until` and for 10 s at most. `store` is the condition of the store
    /// during the tick: its failure is logged once.
    pub async fn refresh(&self, fleet: &Fleet, until: Instant, clock: &dyn Clock, store: StoreHealth) {
        let until = until.min(Instant::now() + REFRESH_WITHIN);
        let refreshed = self.facts.refresh(fleet, until, clock).await;
        debug!(reads = refreshed.reads, failures = refreshed.failures, "refreshed the facts about functions");
        if let Some(unavailable) = refreshed.unavailable.filter(|_| store == StoreHealth::Sound) {
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

/// Returns true if the facts about the target of a round may have changed: it had errors, met an inactive function, or
/// executed another version than `seen` denotes.
fn is_doubtful(round: &RoundRecord, seen: Option<&TargetObservation>) -> bool {
    let Some(sent) = round.sent() else { return false };
    let counts = &sent.report.counts;
    let deployed = seen.and_then(|seen| seen.configuration.known());
    let routing = seen.and_then(|seen| seen.alias.known());
    let of_routing = routing.map(|routing| routing.versions().map(|(version, _)| version.as_str()).collect());
    let of_deployed = || Some(vec![deployed?.version.as_deref()?]);
    let denoted: Option<Vec<&str>> = of_routing.or_else(of_deployed);
    let is_other = |ran: &String| denoted.as_ref().is_some_and(|denoted| !denoted.contains(&ran.as_str()));
    let was_inactive = deployed.is_some_and(|deployed| deployed.state != FunctionState::Active);
    let ran_another = sent.report.versions.iter().any(is_other);
    counts.errors() > 0 || counts.throttled > 0 || ran_another || was_inactive
}

/// Returns true if one of the observations shows an update that has not ended: the code of an invocation is unknown.
fn is_update_in_progress(seen: [Option<&TargetObservation>; 2]) -> bool {
    let deployed = seen.into_iter().flatten().filter_map(|seen| seen.configuration.known());
    deployed.map(|deployed| deployed.update).any(|update| update == UpdateStatus::InProgress)
}

/// Returns the hash of the code of a round's target, or of a version behind it; `None` if it is unknown. `seen` are the
/// facts about the target of the round.
fn code(
    target: &Target,
    round: &RoundRecord,
    seen: Option<&TargetObservation>,
    facts: &Snapshot,
) -> Option<String> {
    let version = target.id.qualifier.as_ref().filter(|_| target.id != round.id);
    match version {
        None => seen?.configuration.known()?.code().map(str::to_owned),
        Some(version) => {
            let own = facts.of(target).map(|facts| &facts.seen);
            seen_of(version.as_str(), seen, own).configuration.known()?.code().map(str::to_owned)
        }
    }
}

/// The result of a round for the guards of its target.
struct Note<'r> {
    target: &'r Arc<Target>,
    round: &'r RoundRecord,
    code: Option<String>,
    /// True if it is unknown which code was executed: the target was being updated.
    is_updating: bool,
}

impl Note<'_> {
    /// Returns the result of the first contact: the reason if the handler is unsafe. `None` without a result.
    fn contact(&self) -> Option<Option<String>> {
        if self.is_updating {
            return None;
        }
        match &self.round.sent()?.contact {
            Some(FirstResult::Well) => Some(None),
            Some(FirstResult::Unsafe(reason)) => Some(Some(reason.clone())),
            Some(FirstResult::Failed | FirstResult::Again) | None => None,
        }
    }

    fn health(&self, guards: &Guards, now: DateTime<Utc>) -> Option<Health> {
        health_after(self.target, guards.health(&self.target.id, now), self.round, now)
    }

    fn changes(&self, guards: &Guards, now: DateTime<Utc>) -> bool {
        self.contact().is_some()
            || self.health(guards, now).as_ref() != guards.health(&self.target.id, now)
            || self.code.is_some() && guards.lacks_hash(self.target)
    }

    fn add_to(self, unsaved: &mut Unsaved, guards: &Guards, now: DateTime<Utc>) {
        unsaved.health = Some(self.health(guards, now));
        if let Some(unsafe_because) = self.contact() {
            unsaved.contact = Some(Contacted { code: self.code.clone(), unsafe_because, at: now });
        }
        unsaved.code = self.code;
    }
}

/// Decides after a first contact, with facts that are read then.
pub struct ContactGate {
    /// The guards.
    pub guards: Arc<RoundGuards>,
    /// The facts and records of the plan.
    pub known: Known,
    /// The limits.
    pub limits: Limits,
    /// The time of the plan.
    pub now: DateTime<Utc>,
}

impl Gate for ContactGate {
    fn admit<'a>(
        &'a self,
        due: &'a Due,
        version: Option<&'a str>,
        unsafe_because: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Due, SkipReason>> {
        Box::pin(async move {
            let target = due.target.as_ref();
            let seen = self.guards.facts.read_now(target, version, self.now).await;
            let planned = self.known.of(target);
            // Without an answer in time the facts of the plan hold.
            let (facts, budget) = (seen.as_ref().or(planned.facts), due.budget.as_ref());
            let known = Knowledge { facts, guards: None, budget, ..planned };
            let (code, unsafe_because) = (known.code().map(str::to_owned), unsafe_because.map(str::to_owned));
            let has_reserved = known.facts.is_some_and(|seen| seen.reserved.known().is_some());
            if is_update_in_progress([seen.as_ref(), planned.facts]) {
                lock(&self.guards.updating).insert(target.id.clone());
            } else {
                let contact = Contacted { code, unsafe_because, at: self.now };
                self.guards.note_contact(&due.target, contact, self.now);
            }
            match decide(target, due.configured(), known, &self.limits, false, self.now) {
                Decision::Skip(reason) => Err(reason),
                Decision::Send(allowed, terms) => {
                    let Terms { backed_off_from, first, ref room, .. } = due.terms;
                    let concurrency = allowed.min(due.concurrency);
                    let backed_off_from = backed_off_from.filter(|_| concurrency < allowed);
                    // The facts of an alias are known before those of a version behind it.
                    let room = if has_reserved { terms.room } else { room.clone().or(terms.room) };
                    let terms = Terms { backed_off_from, first, room, ..terms };
                    Ok(Due { concurrency, terms, ..due.clone() })
                }
            }
        })
    }
}
