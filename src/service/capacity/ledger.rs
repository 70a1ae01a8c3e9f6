//! The documents of capacity, as a plan uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{join_all, try_join_all};
use tokio::time::Instant;
use tracing::warn;

use crate::domain::budget::{Scope, Standing};
use crate::domain::capacity::{Status, Stopped, desired, stop};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::future::{is_future, later};
use crate::domain::records::{
    Capacities, Kept, Levels, PAUSES, Pauses, REQUESTS, Requests, SERVED, Seen, Served, with_all,
};
use crate::domain::schedule::Minute;
use crate::engine::ports::{Fetched, Version};
use crate::service::store::{DocumentStore, Durability, Unavailable, before, parse_bytes};

/// The age up to which capacity that was seen replaces pings.
const COVERS_FOR: TimeDelta = TimeDelta::minutes(15);
/// The age while the status was ready. Many targets are read in turns.
const READY_COVERS_FOR: TimeDelta = TimeDelta::hours(1);
/// The time after which the document of a region without capacity is read again, and the documents are listed again.
const LOOKED_FOR: TimeDelta = TimeDelta::hours(1);

/// The longest time for a listing.
const LIST_WITHIN: Duration = Duration::from_secs(1);
/// The time after which a listing that failed is repeated.
const LIST_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(5);

/// The documents of capacity that a process has read.
#[derive(Debug)]
pub struct Ledger {
    documents: DocumentStore,
    held: Mutex<BTreeMap<Region, Held>>,
    listing: Mutex<Listing>,
}

/// The regions with a document of capacity.
#[derive(Debug, Default)]
struct Listing {
    regions: BTreeSet<Region>,
    /// The time from which the documents are listed again; `None` before the first listing.
    again_at: Option<DateTime<Utc>>,
}

/// The document of a region.
#[derive(Debug, Clone)]
struct Held {
    capacities: Arc<Capacities>,
    version: Option<Version>,
    /// The time of the last read.
    at: DateTime<Utc>,
}

/// The documents of capacity before a tick.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    regions: BTreeMap<Region, Arc<Capacities>>,
    /// The regions whose document could not be read. Nothing is changed there.
    unread: BTreeSet<Region>,
}

/// The state that a tick needs for its capacity.
#[derive(Debug, Clone)]
pub struct CapacityPlan {
    /// The fleet with the active requests and the numbers of metrics, without what is paused with pipelines.
    pub fleet: Fleet,
    /// The targets that a request names; `None` for all, and for what the configuration no longer names.
    pub only: Option<BTreeSet<Identity>>,
    /// The documents.
    pub loaded: Loaded,
    /// The pauses; `None` if they are unknown: nothing is changed then.
    pub pauses: Option<Pauses>,
    /// False if the requests are unknown: targets with `on_request` are not changed then.
    pub knows_requests: bool,
    /// The targets whose capacity a budget has stopped. In the fleet they have the windows that are left.
    pub stopped: BTreeMap<Identity, Stopped>,
}

impl CapacityPlan {
    /// Reads what the work of an operator needs: the documents of all regions, or of one, the requests, the pauses and
    /// the numbers of metrics.
    ///
    /// # Errors
    /// A document cannot be read by `deadline`.
    pub async fn read(
        documents: &DocumentStore,
        fleet: &Fleet,
        region: Option<Region>,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<Self, Unavailable> {
        let (regions, requests, pauses, levels) = tokio::try_join!(
            read_documents(documents, region, deadline),
            before(deadline, documents.read::<Requests>(REQUESTS)),
            before(deadline, documents.read::<Pauses>(PAUSES)),
            read_levels(documents, fleet, deadline),
        )?;
        let loaded = Loaded { regions, ..Loaded::default() };
        let fleet = with_all(fleet, &requests, Some(&pauses), &levels, now).into_owned();
        let stopped = BTreeMap::new();
        Ok(Self { fleet, only: None, loaded, pauses: Some(pauses), knows_requests: true, stopped })
    }

    /// Ends the capacity that budgets have stopped.
    pub fn stop(&mut self, standings: &BTreeMap<Scope, Standing>, now: DateTime<Utc>) {
        for target in &mut self.fleet.targets {
            if let Some((left, by)) = stop(target, standings, Minute::of(now)) {
                self.stopped.insert(target.id.without_tenant(), by);
                *target = left;
            }
        }
    }
}

/// Reads the numbers that metrics want; none if no target has a backlog.
///
/// # Errors
/// The document cannot be read by `deadline`.
pub async fn read_levels(
    documents: &DocumentStore,
    fleet: &Fleet,
    deadline: Instant,
) -> Result<Levels, Unavailable> {
    if fleet.targets.iter().all(|target| target.backlogs.is_empty()) {
        return Ok(Levels::default());
    }
    Ok(before(deadline, documents.read::<Served>(SERVED)).await?.levels)
}

/// Reads the documents of capacity of all regions, or of one. Regions without a document are left out.
///
/// # Errors
/// A document cannot be read by `deadline`.
pub async fn read_documents(
    documents: &DocumentStore,
    region: Option<Region>,
    deadline: Instant,
) -> Result<BTreeMap<Region, Arc<Capacities>>, Unavailable> {
    let names = before(deadline, documents.names()).await?;
    let is_stored =
        |of: &Region| region.is_none_or(|region| region == *of) && names.contains(&Capacities::document(*of));
    let reads = Region::all().filter(is_stored).map(|region| async move {
        let name = Capacities::document(region);
        let read = before(deadline, documents.read::<Capacities>(&name));
        read.await.map(|capacities| (region, Arc::new(capacities)))
    });
    Ok(try_join_all(reads).await?.into_iter().collect())
}

impl Loaded {
    /// Returns all records, by region and target.
    pub fn all(&self) -> impl Iterator<Item = (&Identity, &Kept)> {
        self.regions.values().flat_map(|capacities| &capacities.targets)
    }

    /// Returns the record of a target.
    pub fn of(&self, id: &Identity) -> Option<&Kept> {
        self.regions.get(&id.region)?.targets.get(&id.without_tenant())
    }

    /// Returns the documents with an entry, by region.
    pub(super) fn regions(&self) -> impl Iterator<Item = (Region, &Capacities)> {
        self.regions.iter().map(|(region, capacities)| (*region, &**capacities))
    }

    /// Returns true if warmd has made something.
    pub fn is_made(&self) -> bool {
        let mut kept = self.regions.values().flat_map(|capacities| capacities.targets.values());
        kept.any(|kept| kept.made.is_some())
    }

    /// Returns true if the document of a region could not be read.
    pub(super) fn is_unread(&self, region: Region) -> bool {
        self.unread.contains(&region)
    }

    /// Returns true if enough environments served requests when a target was last seen, at most 15 minutes ago, or an
    /// hour if it was ready.
    pub fn is_covered(&self, target: &Target, now: DateTime<Utc>) -> bool {
        self.covers(target, desired(target, Minute::of(now)), now)
    }

    /// Returns true if `wanted` environments served requests when a target was last seen, at most 15 minutes ago, or an
    /// hour if it was ready.
    pub fn covers(&self, target: &Target, wanted: u32, now: DateTime<Utc>) -> bool {
        let seen = self.of(&target.id).and_then(|kept| kept.seen.as_ref());
        let covers_for =
            |seen: &Seen| if seen.status == Status::Ready { READY_COVERS_FOR } else { COVERS_FOR };
        seen.filter(|seen| now.signed_duration_since(seen.at) <= covers_for(seen) && !is_future(seen.at, now))
            .and_then(|seen| seen.available)
            .is_some_and(|available| available >= wanted)
    }
}

impl Ledger {
    /// Creates a ledger over a store.
    pub fn new(documents: DocumentStore) -> Self {
        Self { documents, held: Mutex::default(), listing: Mutex::default() }
    }

    /// Lists the documents, once and then hourly, so that [`Ledger::load`] also reads those of regions that the
    /// configuration no longer names.
    pub async fn list(&self, now: DateTime<Utc>, deadline: Instant) {
        let again_at = self.listing().again_at;
        let is_known = again_at.is_some_and(|at| now < at && at.signed_duration_since(now) <= LOOKED_FOR);
        if is_known || self.documents.durability() == Durability::Volatile {
            return;
        }
        // The documents that are needed anyway are read in the time that is left.
        let deadline = deadline.min(Instant::now() + LIST_WITHIN);
        let names = before(deadline, self.documents.names()).await;
        let mut listing = self.listing();
        match names {
            Ok(names) => {
                let regions = names.iter().filter_map(|name| name.strip_prefix(Capacities::PREFIX));
                listing.regions = regions.filter_map(|region| Region::parse(region).ok()).collect();
                listing.again_at = Some(later(now, LOOKED_FOR));
            }
            Err(unavailable) => {
                let consequence = "capacity in regions that the configuration no longer names is unknown";
                warn!("the state store cannot be listed: {unavailable}; {consequence}");
                listing.again_at = Some(later(now, LIST_AGAIN_AFTER));
            }
        }
    }

    fn listing(&self) -> MutexGuard<'_, Listing> {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the documents of the regions that have capacity or had some. The document of another region with targets
    /// is read once, and then hourly. Returns the reason if one that is needed cannot be read by `deadline`; what the
    /// process had is then used to decide on pings.
    pub async fn load<'t>(
        &self,
        targets: impl IntoIterator<Item = &'t Target>,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> (Loaded, Option<Unavailable>) {
        let mut wanted: BTreeMap<Region, bool> = BTreeMap::new();
        for target in targets {
            *wanted.entry(target.region()).or_default() |= target.strategy.is_capacity();
        }
        let held = self.held();
        for region in &self.listing().regions {
            let is_old = |held: &Held| now.signed_duration_since(held.at) >= LOOKED_FOR;
            if held.get(region).is_none_or(is_old) {
                wanted.insert(*region, true);
            }
        }
        for (region, held) in held {
            if !held.capacities.targets.is_empty() {
                wanted.insert(region, true);
            } else if now.signed_duration_since(held.at) < LOOKED_FOR && wanted.get(&region) == Some(&false) {
                wanted.remove(&region);
            }
        }
        let mut loaded = Loaded::default();
        if self.documents.durability() == Durability::Volatile {
            // Without a record of what warmd has made, nothing may be made.
            loaded.unread = wanted.into_iter().filter_map(|(region, uses)| uses.then_some(region)).collect();
            return (loaded, None);
        }
        let reads = wanted.keys().map(|region| self.load_region(*region, now, deadline));
        let mut unavailable = None;
        for ((region, is_needed), read) in wanted.iter().zip(join_all(reads).await) {
            if let (Err(error), true) = (read, *is_needed) {
                loaded.unread.insert(*region);
                unavailable = Some(error);
            }
        }
        let held = self.held().into_iter().filter(|(region, _)| wanted.contains_key(region));
        loaded.regions = held.map(|(region, held)| (region, held.capacities)).collect();
        (loaded, unavailable)
    }

    fn held(&self) -> BTreeMap<Region, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn load_region(
        &self,
        region: Region,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let name = Capacities::document(region);
        let known = self.held().remove(&region);
        let version = known.as_ref().and_then(|held| held.version.as_ref());
        let (capacities, version) = match before(deadline, self.documents.get_unless(&name, version)).await? {
            Fetched::Unchanged => match &known {
                Some(held) => (Arc::clone(&held.capacities), held.version.clone()),
                None => return Err(Unavailable(format!("`{name}` has no version"))),
            },
            Fetched::Missing => (Arc::default(), None),
            Fetched::Object { bytes, version } => {
                (Arc::new(parse_bytes::<Capacities>(&name, &bytes)?), Some(version))
            }
        };
        let held = Held { capacities, version, at: now };
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(region, held);
        Ok(())
    }
}
