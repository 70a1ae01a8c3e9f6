//! The records in the state store, as they were read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use rust_decimal::Decimal;
use tokio::time::Instant;

use crate::cli::render::canary::ContactObject;
use crate::domain::budget::{Scope, Standing};
use crate::domain::capacity::provisioned_usd_per_hour;
use crate::domain::cost::PriceBook;
use crate::domain::function::{Identity, Region};
use crate::domain::history::Objectives;
use crate::domain::preflight::{Unchecked, failures};
use crate::domain::records::{
    AccountFacts, Capacities, Code, Facts, FunctionFacts, Guards, Health, Kept, MadeBy, Pauses, Requests,
    Seen, Status,
};
use crate::service::history;
use crate::service::store::{DocumentStore, Unavailable, before};

/// The documents of the store.
pub(super) struct Known {
    pub(super) status: Result<Status, Unavailable>,
    pub(super) pauses: Result<Pauses, Unavailable>,
    pub(super) requests: Result<Requests, Unavailable>,
    /// The facts about functions and accounts that a tick uses.
    pub(super) facts: Result<BTreeMap<Region, Facts>, Unavailable>,
    /// The results of earlier rounds.
    pub(super) guards: Result<BTreeMap<Region, Guards>, Unavailable>,
    /// Provisioned concurrency and managed instances as the last tick saw them.
    pub(super) capacity: Result<BTreeMap<Region, Arc<Capacities>>, Unavailable>,
    /// The coverage; `None` without a history.
    pub(super) coverage: Result<Option<Coverage>, Unavailable>,
    /// The budgets as the last tick found them.
    pub(super) budgets: Result<BTreeMap<Scope, Standing>, Unavailable>,
}

/// The coverage, and the documents of the history that cannot be read.
pub(super) struct Coverage {
    pub(super) objectives: Objectives,
    pub(super) unread: Vec<String>,
}

impl Coverage {
    /// Reads the history of the periods; `None` if there is none.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(super) async fn read(
        store: &DocumentStore,
        status: &Status,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<Option<Self>, Unavailable> {
        if status.history.is_empty() {
            return Ok(None);
        }
        let mut objectives = Objectives::new(status.history.objectives(), now);
        let from = objectives.from();
        let add = |id: &Identity, hours: &[_]| objectives.add_minutes(id, hours);
        let unread = before(deadline, history::for_each_minutes(store, from, now, add)).await?;
        Ok(Some(Self { objectives, unread }))
    }
}

/// Reads the facts about the regions of the recorded targets.
pub(super) async fn read_facts(
    store: &DocumentStore,
    status: &Status,
    now: DateTime<Utc>,
    deadline: Instant,
) -> Result<BTreeMap<Region, Facts>, Unavailable> {
    let read = by_region(status, |region| async move {
        let mut facts: Facts = before(deadline, store.read(&Facts::document(region))).await?;
        facts = facts.plausible(now);
        facts.functions.retain(|_, facts| facts.is_usable(now));
        facts.accounts.retain(|_, facts| facts.is_usable(now));
        Ok(facts)
    });
    read.await
}

pub(super) async fn read_guards(
    store: &DocumentStore,
    region: Region,
    deadline: Instant,
) -> Result<Guards, Unavailable> {
    before(deadline, store.read(&Guards::document(region))).await
}

/// Reads a document for each region of the recorded targets.
pub(super) async fn by_region<T, F: Future<Output = Result<T, Unavailable>>>(
    status: &Status,
    read: impl Fn(Region) -> F,
) -> Result<BTreeMap<Region, T>, Unavailable> {
    let regions: BTreeSet<Region> = status.targets.keys().map(|id| id.region).collect();
    let read = regions.into_iter().map(|region| {
        let read = read(region);
        async move { Ok((region, read.await?)) }
    });
    join_all(read).await.into_iter().collect()
}

/// A target with an open breaker: its health, and the earliest time of the next ping.
pub(super) type Breaker<'k> = (&'k Identity, &'k Health, DateTime<Utc>);

/// Returns the targets with something against them.
pub(super) fn health(
    guards: &BTreeMap<Region, Guards>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (&Identity, &Health)> {
    guards.values().flat_map(move |guards| {
        guards.health.keys().filter_map(move |id| Some((id, guards.health(id, now)?)))
    })
}

/// Returns the targets with an open breaker.
pub(super) fn breakers(
    guards: &BTreeMap<Region, Guards>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Breaker<'_>> {
    health(guards, now).filter_map(|(id, health)| Some((id, health, health.next_try()?)))
}

/// Returns the targets with smaller rounds after throttles.
pub(super) fn backed_off(
    guards: &BTreeMap<Region, Guards>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (&Identity, &Health, u32)> {
    health(guards, now).filter_map(|(id, health)| Some((id, health, health.limit?)))
}

/// Returns the price of what was up, US dollars per hour; `None` if it is unknown.
pub(super) fn usd_per_hour(id: &Identity, kept: &Kept, seen: &Seen, prices: &PriceBook) -> Option<Decimal> {
    if kept.made.as_ref().is_some_and(|made| made.by == MadeBy::Managed) {
        return None;
    }
    let (numbers, place) = ([seen.requested, seen.allocated], (kept.architecture, id.region));
    provisioned_usd_per_hour(seen.status, numbers, kept.memory_mb, place, prices)
}

impl Known {
    /// Returns the capacity that was seen.
    pub(super) fn capacities(&self) -> impl Iterator<Item = (&Identity, &Kept)> {
        let all = self.capacity.iter().flat_map(BTreeMap::values);
        all.flat_map(|capacities| &capacities.targets).filter(|(_, kept)| kept.seen.is_some())
    }

    /// Returns the unsafe handlers. Those of code that is no longer deployed are left out.
    pub(super) fn unsafe_handlers(&self) -> impl Iterator<Item = ContactObject> {
        let all = self.guards.iter().flat_map(BTreeMap::values).flat_map(|guards| &guards.contacts);
        let all = all.flat_map(|(id, contacts)| contacts.iter().map(move |contact| (id, contact)));
        all.filter(|(id, contact)| contact.unsafe_because.is_some() && self.is_deployed(id, &contact.code))
            .map(|(id, contact)| ContactObject::new(id, contact))
    }

    /// Returns false if the facts show that all qualifiers of a function denote other code.
    pub(super) fn is_deployed(&self, function: &Identity, code: &Code) -> bool {
        let Code::Sha256(hash) = code else { return true };
        let facts = self.facts.as_ref().ok().and_then(|facts| facts.get(&function.region));
        let functions = facts.into_iter().flat_map(|facts| &facts.functions);
        let deployed = functions.filter(|(id, _)| id.function() == *function);
        let mut deployed = deployed.map(|(_, facts)| facts.seen.configuration.known()?.code_sha256.as_ref());
        let mut is_known = false;
        let is_it = deployed.any(|deployed| {
            is_known = true;
            deployed.is_none_or(|deployed| deployed == hash)
        });
        is_it || !is_known
    }

    /// Returns the reasons why documents cannot be read.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        let all = [
            self.status.as_ref().err(),
            self.pauses.as_ref().err(),
            self.requests.as_ref().err(),
            self.facts.as_ref().err(),
            self.guards.as_ref().err(),
            self.capacity.as_ref().err(),
            self.budgets.as_ref().err(),
            self.coverage.as_ref().err(),
        ];
        let unread = self.coverage.iter().flatten().flat_map(|coverage| &coverage.unread);
        let unread = unread.map(|part| format!("a part of the history cannot be read: {part}"));
        all.into_iter().flatten().map(ToString::to_string).chain(unread)
    }
}

/// Returns the labels of targets, as in the configuration.
pub fn labels<'i>(ids: impl Iterator<Item = &'i Identity>) -> BTreeSet<String> {
    ids.map(Identity::label).collect()
}

/// Formats a target, such as `nlp-inference:live eu-west-2`.
pub(super) fn shown_id(id: &Identity) -> String {
    format!("{} {}", id.shown(), id.region)
}

/// Formats a time in RFC 3339, in whole seconds and UTC.
pub fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns the failed reads on which guards depend.
pub(super) fn guards_off(facts: &BTreeMap<Region, Facts>) -> Vec<Unchecked> {
    let of = |(region, facts): (&Region, _)| (*region, facts);
    failures(
        facts.iter().map(of).flat_map(|(region, facts): (Region, &Facts)| {
            facts.functions.values().map(move |function| (region, &function.seen))
        }),
        facts.iter().map(of).flat_map(|(region, facts): (Region, &Facts)| {
            facts.accounts.values().map(move |account| (region, &account.limits))
        }),
    )
}

/// Returns the time of the oldest value.
pub(super) fn oldest(facts: &BTreeMap<Region, Facts>) -> Option<DateTime<Utc>> {
    let functions = facts.values().flat_map(|facts| facts.functions.values().map(FunctionFacts::since));
    let accounts = facts.values().flat_map(|facts| facts.accounts.values().map(AccountFacts::since));
    functions.chain(accounts).min()
}
