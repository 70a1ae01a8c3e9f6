//! The known cost of a target in a month.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The cost of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The known cost of pings in US dollars.
    pub pings_usd: Decimal,
    /// The part of `pings_usd` of rounds whose cost is only partly known.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub partial_usd: Decimal,
    /// The known cost of capacity in US dollars.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub capacity_usd: Decimal,
    /// The pings of rounds whose cost is fully known.
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

    /// Returns the cost of `pings` in US dollars.
    pub fn priced_usd(&self) -> Decimal {
        self.pings_usd.saturating_sub(self.partial_usd)
    }

    /// Returns the mean cost of a ping in US dollars; `None` before the first of known cost.
    pub fn usd_per_ping(&self) -> Option<Decimal> {
        self.priced_usd().checked_div(Decimal::from(self.pings))
    }

    /// Returns the cost without negative sums, which nothing can have written.
    pub(super) fn plausible(self) -> Self {
        let [pings_usd, capacity_usd] = [self.pings_usd, self.capacity_usd].map(|usd| usd.max(Decimal::ZERO));
        let partial_usd = self.partial_usd.clamp(Decimal::ZERO, pings_usd);
        Self { pings_usd, partial_usd, capacity_usd, ..self }
    }

    /// Returns the sum with another cost.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            pings_usd: self.pings_usd.saturating_add(other.pings_usd),
            partial_usd: self.partial_usd.saturating_add(other.partial_usd),
            capacity_usd: self.capacity_usd.saturating_add(other.capacity_usd),
            pings: self.pings.saturating_add(other.pings),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}
