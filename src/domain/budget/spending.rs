//! The known cost of the present month: the document `spending`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Level, Month};
use crate::domain::function::Identity;
use crate::domain::records::keyed;

/// The writes that a document remembers. Each of a few writers repeats a write within seconds.
const MOST_WRITES: usize = 64;

/// The cost of a month so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// The month.
    pub month: Month,
    /// The cost of each target. Targets that are no longer configured stay for the month.
    #[serde(with = "keyed")]
    pub targets: BTreeMap<Identity, Spent>,
    /// The highest level of each budget that was reported in the month, by the name of its scope.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reported: BTreeMap<String, Level>,
    /// Random numbers of the latest writes. A write is repeated when its answer was lost.
    #[serde(default)]
    writes: Vec<u64>,
}

/// The cost of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The known cost of pings in US dollars.
    pub pings_usd: Decimal,
    /// The known cost of capacity in US dollars.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub capacity_usd: Decimal,
    /// The pings of known cost.
    pub pings: u64,
    /// The rounds and ticks whose cost is not fully known, and is excluded as far as it is unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde calls.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Spent {
    /// Returns the known cost in US dollars.
    pub fn usd(&self) -> Decimal {
        self.pings_usd.saturating_add(self.capacity_usd)
    }

    /// Returns the mean cost of a ping in US dollars; `None` before the first of known cost.
    pub fn usd_per_ping(&self) -> Option<Decimal> {
        self.pings_usd.checked_div(Decimal::from(self.pings))
    }

    /// Returns the sum with another cost.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            pings_usd: self.pings_usd.saturating_add(other.pings_usd),
            capacity_usd: self.capacity_usd.saturating_add(other.capacity_usd),
            pings: self.pings.saturating_add(other.pings),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}

impl Spending {
    /// Begins a new month if the one of `now` differs. A document of the future was written by a wrong clock, and is
    /// begun anew as well.
    pub fn turn(&mut self, now: DateTime<Utc>) {
        let month = Month::of(now);
        if self.month != month {
            *self = Self { month, ..Self::default() };
        }
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

    /// Returns the sum of the targets that `is_of` selects.
    pub fn sum(&self, is_of: impl Fn(&Identity) -> bool) -> Spent {
        let own = self.targets.iter().filter(|(id, _)| is_of(id));
        own.fold(Spent::default(), |sum, (_, spent)| sum.plus(spent))
    }

    /// Notes that a level of a budget is reported. Returns false if it was reported before in this month.
    pub fn report(&mut self, scope: &str, level: Level) -> bool {
        let known = self.reported.entry(scope.to_owned()).or_default();
        let is_new = level > *known;
        *known = level.max(*known);
        is_new
    }
}
