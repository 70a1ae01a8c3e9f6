//! The known cost of the present month: the document `spending`. It keeps a few other months, so that a wrong clock
//! changes its own month only.

use std::collections::BTreeMap;
use std::mem::{replace, take};

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::scope::Scope;
use super::spent::Spent;
use super::standing::Standing;
use super::{Level, Month};
use crate::domain::fleet::Fleet;
use crate::domain::function::Identity;
use crate::domain::future::is_future;
use crate::domain::records::{Bounded, Status, keyed};
use crate::domain::tick::RoundRecord;

/// The name of the document [`Spending`].
pub const SPENDING: &str = "spending";

/// The writes that a document remembers. Each of a few writers repeats a write within seconds; those of shards are looked
/// for as long as their cost is reserved.
const MOST_WRITES: usize = 256;

/// The most shards whose cost is reserved.
const MOST_RESERVED: usize = 4_096;

/// The time after which the cost of a shard is no longer reserved: it waits for minutes, and runs for 15 at most.
const RESERVED_FOR: TimeDelta = TimeDelta::minutes(30);

/// The other months that a document keeps.
const MOST_ASIDE: usize = 2;

/// The fewest bytes of the entry of a target.
const LEAST_ENTRY_BYTES: usize = 64;

/// The cost of a month so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// The month.
    pub month: Month,
    /// The cost of each target. Targets that are no longer configured stay for the month.
    #[serde(with = "keyed")]
    pub targets: BTreeMap<Identity, Spent>,
    /// The owners of targets, as they were configured last. The cost of a target that is no longer configured counts for
    /// its owner still. Owners without a budget are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "keyed")]
    pub owners: BTreeMap<Identity, String>,
    /// The cost of targets whose entries did not fit into the document.
    #[serde(default)]
    pub others: Spent,
    /// True if shards have documents of their own, which are added.
    #[serde(default)]
    pub spread: bool,
    /// The budgets as the last tick found them. Budgets that a newer version wrote are left out.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "keyed::serialize",
        deserialize_with = "keyed::deserialize_known"
    )]
    pub budgets: BTreeMap<Scope, Standing>,
    /// The highest level of each budget that was reported in the month.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "keyed::serialize",
        deserialize_with = "keyed::deserialize_known"
    )]
    pub reported: BTreeMap<Scope, Level>,
    /// Numbers of the latest writes, random ones or those of shards. A write is repeated when its answer was lost.
    #[serde(default)]
    writes: Vec<u64>,
    /// The expected cost of shards on the bus, by the number of the write that replaces it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reserved: BTreeMap<u64, Reserved>,
    /// Other months: the month before, or those of wrong clocks. The one that was used last is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aside: Vec<Self>,
}

/// The expected cost of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reserved {
    at: DateTime<Utc>,
    /// US dollars of each budget.
    #[serde(serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize_known")]
    usd: BTreeMap<Scope, Decimal>,
}

impl Spending {
    /// Creates the document of a month without any cost.
    pub fn of(month: Month) -> Self {
        Self { month, ..Self::default() }
    }

    /// Turns to the month of `now`, and keeps the others. Of those, the one that was not used for longest is dropped.
    pub fn turn(&mut self, now: DateTime<Utc>) {
        let month = Month::of(now);
        if self.month == month {
            return;
        }
        let mut aside = take(&mut self.aside);
        let known = aside.iter().position(|other| other.month == month).map(|index| aside.remove(index));
        let left = replace(self, known.unwrap_or_else(|| Self::of(month)));
        aside.retain(|other| other.month != left.month);
        if left != Self::of(left.month) {
            aside.push(left);
        }
        self.aside = aside;
        self.limit_aside();
    }

    fn limit_aside(&mut self) {
        let surplus = self.aside.len().saturating_sub(MOST_ASIDE);
        self.aside.drain(..surplus);
        self.aside.iter_mut().for_each(|other| other.aside.clear());
    }

    /// Adds costs of the month of `now`. `write` is a random number of this write. Returns false if it was added before.
    pub fn add(&mut self, write: u64, costs: &BTreeMap<Identity, Spent>, now: DateTime<Utc>) -> bool {
        self.turn(now);
        if self.writes.contains(&write) {
            return false;
        }
        self.writes.push(write);
        let surplus = self.writes.len().saturating_sub(MOST_WRITES);
        self.writes.drain(..surplus);
        for (id, spent) in costs {
            let known = self.targets.entry(id.clone()).or_default();
            *known = known.plus(spent);
        }
        true
    }

    /// Notes the owners of the targets of a fleet that have a cost in `total`.
    pub fn note_owners(&mut self, fleet: &Fleet, total: &Self) {
        for target in &fleet.targets {
            let owner = target.owner.as_ref().filter(|owner| fleet.owner_budgets.contains_key(*owner));
            match owner.filter(|_| total.targets.contains_key(&target.id)) {
                Some(owner) if self.owners.get(&target.id) == Some(owner) => {}
                Some(owner) => drop(self.owners.insert(target.id.clone(), owner.clone())),
                None => drop(self.owners.remove(&target.id)),
            }
        }
    }

    /// Reserves the expected cost of a shard, in US dollars of each budget, until the write `write` replaces it.
    pub fn reserve(&mut self, write: u64, usd: BTreeMap<Scope, Decimal>, now: DateTime<Utc>) {
        self.turn(now);
        self.spread = true;
        if self.reserved.len() < MOST_RESERVED {
            self.reserved.insert(write, Reserved { at: now, usd });
        }
    }

    /// Drops what was reserved for writes that `is_written` knows. Returns the numbers of these writes.
    pub fn settle(&mut self, is_written: impl Fn(u64) -> bool) -> Vec<u64> {
        self.reserved.extract_if(.., |write, _| is_written(*write)).map(|(write, _)| write).collect()
    }

    /// Returns the cost that is reserved, in US dollars of each budget.
    pub fn reserved(&self) -> BTreeMap<Scope, Decimal> {
        let mut sum: BTreeMap<Scope, Decimal> = BTreeMap::new();
        for (scope, usd) in self.reserved.values().flat_map(|reserved| &reserved.usd) {
            let known = sum.entry(scope.clone()).or_default();
            *known = known.saturating_add(*usd);
        }
        sum
    }

    /// Returns true if a write of the month is in the document.
    pub fn has(&self, write: u64) -> bool {
        self.writes.contains(&write)
    }

    /// Returns the document as it counts at `now`, without what nothing can have written.
    #[must_use]
    pub fn plausible(mut self, now: DateTime<Utc>) -> Self {
        self.turn(now);
        self.limit_aside();
        self.budgets = take(&mut self.budgets)
            .into_iter()
            .filter_map(|(scope, standing)| Some((scope, standing.plausible()?)))
            .collect();
        self.targets.values_mut().for_each(|spent| *spent = spent.plausible());
        self.others = self.others.plausible();
        self.reserved.retain(|_, reserved| {
            reserved.usd.retain(|_, usd| *usd > Decimal::ZERO);
            !is_future(reserved.at, now) && now.signed_duration_since(reserved.at) < RESERVED_FOR
        });
        self
    }

    /// Adds the targets of another document of the same month.
    pub fn merge(&mut self, other: &Self) {
        if other.month == self.month {
            for (id, spent) in &other.targets {
                let known = self.targets.entry(id.clone()).or_default();
                *known = known.plus(spent);
            }
            self.others = self.others.plus(&other.others);
        }
    }

    /// Returns the name of the document for the cost of a shard's rounds.
    pub fn document_of(rounds: &[RoundRecord]) -> String {
        Status::document_of(rounds).replace("status", SPENDING)
    }

    /// Returns the names of all documents for the cost of shards.
    pub fn shard_documents() -> impl Iterator<Item = String> {
        Status::shard_documents().map(|name| name.replace("status", SPENDING))
    }

    /// Returns the cost of a target.
    pub fn of_target(&self, id: &Identity) -> Spent {
        self.targets.get(id).copied().unwrap_or_default()
    }

    /// Returns the sum of the targets that `is_of` selects.
    pub fn sum(&self, is_of: impl Fn(&Identity) -> bool) -> Spent {
        let own = self.targets.iter().filter(|(id, _)| is_of(id));
        own.fold(Spent::default(), |sum, (_, spent)| sum.plus(spent))
    }

    /// Returns true if a level of a budget was reported before in the month, or a higher one.
    pub fn is_reported(&self, scope: &Scope, level: Level) -> bool {
        self.reported.get(scope).copied().unwrap_or_default() >= level
    }

    /// Notes that a level of a budget is reported.
    pub fn report(&mut self, scope: &Scope, level: Level) {
        let known = self.reported.entry(scope.clone()).or_default();
        *known = level.max(*known);
    }
}

impl Bounded for Spending {
    /// Drops the other months, then the budgets, which the next tick writes again, then what is reserved, then the targets with the lowest cost, whose sum is kept.
    fn drop_oldest(&mut self, excess: usize) -> usize {
        if !self.aside.is_empty() {
            self.aside.remove(0);
            return 1;
        }
        if !self.budgets.is_empty() {
            return take(&mut self.budgets).len();
        }
        if !self.reserved.is_empty() {
            return take(&mut self.reserved).len();
        }
        let mut cheapest: Vec<(Decimal, Identity)> =
            self.targets.iter().map(|(id, spent)| (spent.usd(), id.clone())).collect();
        cheapest.sort();
        let most = excess.div_ceil(LEAST_ENTRY_BYTES);
        cheapest.truncate(most);
        for (_, id) in &cheapest {
            self.owners.remove(id);
            if let Some(spent) = self.targets.remove(id) {
                self.others = self.others.plus(&spent);
            }
        }
        cheapest.len()
    }
}
