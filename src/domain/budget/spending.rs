//! The known cost of the present month: the document `spending`. It keeps a few other months, so that a wrong clock
//! changes its own month only.

use std::collections::BTreeMap;
use std::mem::{replace, take};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::scope::Scope;
use super::spent::Spent;
use super::standing::Standing;
use super::{Level, Month};
use crate::domain::function::Identity;
use crate::domain::records::{Bounded, Status, keyed};
use crate::domain::tick::RoundRecord;

/// The name of the document [`Spending`].
pub const SPENDING: &str = "spending";

/// The writes that a document remembers. Each of a few writers repeats a write within seconds.
const MOST_WRITES: usize = 64;

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
    /// Random numbers of the latest writes. A write is repeated when its answer was lost.
    #[serde(default)]
    writes: Vec<u64>,
    /// Other months: the month before, or those of wrong clocks. The one that was used last is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aside: Vec<Self>,
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
    /// Drops the other months, then the budgets, which the next tick writes again, then the targets with the lowest cost, whose sum is kept.
    fn drop_oldest(&mut self, excess: usize) -> usize {
        if !self.aside.is_empty() {
            self.aside.remove(0);
            return 1;
        }
        if !self.budgets.is_empty() {
            return take(&mut self.budgets).len();
        }
        let mut cheapest: Vec<(Decimal, Identity)> =
            self.targets.iter().map(|(id, spent)| (spent.usd(), id.clone())).collect();
        cheapest.sort();
        let most = excess.div_ceil(LEAST_ENTRY_BYTES);
        cheapest.truncate(most);
        for (_, id) in &cheapest {
            if let Some(spent) = self.targets.remove(id) {
                self.others = self.others.plus(&spent);
            }
        }
        cheapest.len()
    }
}
