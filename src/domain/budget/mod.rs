//! Monthly budgets, and what is done when they are used up.
//!
//! A budget is that of a function, of an owner or of the fleet, for a calendar month in UTC. It counts the known cost of
//! pings and of capacity. Rounds of unknown cost are excluded, and counted.

mod account;
mod caps;
mod rest;
mod scope;
mod spending;
mod spent;
mod standing;

use chrono::{DateTime, Datelike, TimeZone, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use self::account::{costs, standings};
pub use self::caps::{Cap, CapacityStop, Caps, Counted, capacity_stops, reduced};
pub use self::rest::{Rest, Shares, largest_number, largest_share, largest_shares, share_of};
pub use self::scope::{Scope, budgets, has_budgets};
pub use self::spending::{SPENDING, Spending};
pub use self::spent::Spent;
pub use self::standing::Standing;

/// The part of a budget, in percent, at which a warning is given.
pub const WARN_PERCENT: u32 = 80;

/// A monthly budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// US dollars in a month, above zero.
    pub monthly_usd: Decimal,
    /// The effect of its excess.
    pub on_exceed: OnExceed,
    /// True if [`OnExceed::Stop`] ends capacity inside a window too.
    pub stop_capacity: bool,
}

/// Writes the budget as a person would read it, such as `$25 a month, stop`.
impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${} a month, {}", self.monthly_usd.normalize(), self.on_exceed.name())?;
        if self.stop_capacity { f.write_str(" with capacity") } else { Ok(()) }
    }
}

/// The effect when a budget is used up, or would be before the end of the month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExceed {
    /// Nothing but warnings.
    #[default]
    Warn,
    /// Rounds have at most as many pings as the budget allows for the rest of the month.
    Reduce,
    /// No ping is sent any more; capacity ends at its next closing.
    Stop,
}

impl OnExceed {
    /// Every effect.
    pub const ALL: [Self; 3] = [Self::Warn, Self::Reduce, Self::Stop];

    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Reduce => "reduce",
            Self::Stop => "stop",
        }
    }
}

/// The state of a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Below [`WARN_PERCENT`].
    #[default]
    Within,
    /// From [`WARN_PERCENT`] on.
    Near,
    /// Used up.
    Exceeded,
}

impl Level {
    /// Returns the part of the budget in percent at which the level begins: 0, 80 or 100.
    pub fn percent(self) -> u32 {
        match self {
            Self::Within => 0,
            Self::Near => WARN_PERCENT,
            Self::Exceeded => 100,
        }
    }
}

impl Budget {
    /// Returns the state of the budget after `spent` US dollars.
    pub fn level(&self, spent: Decimal) -> Level {
        if spent >= self.monthly_usd {
            Level::Exceeded
        } else if spent >= self.monthly_usd.saturating_mul(Decimal::new(WARN_PERCENT.into(), 2)) {
            Level::Near
        } else {
            Level::Within
        }
    }

    /// Returns what is left after `spent` US dollars, at least zero.
    pub fn left(&self, spent: Decimal) -> Decimal {
        self.monthly_usd.saturating_sub(spent).max(Decimal::ZERO)
    }
}

/// A calendar month in UTC, counted from the year 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(i32);

impl Month {
    /// Returns the month of an instant.
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.year() * 12 + at.month0().cast_signed())
    }

    /// Returns the first instant.
    pub fn begin(self) -> DateTime<Utc> {
        let (year, month0) = (self.0.div_euclid(12), self.0.rem_euclid(12));
        let begin = Utc.with_ymd_and_hms(year, month0.cast_unsigned() + 1, 1, 0, 0, 0);
        begin.single().unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Returns the month as text, such as `2026-11`.
    pub fn text(self) -> String {
        format!("{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    /// Returns the first instant of the next month.
    pub fn end(self) -> DateTime<Utc> {
        Self(self.0.saturating_add(1)).begin()
    }
}

#[cfg(test)]
mod tests;
