//! A budget and what has been spent of it.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::spent::Spent;
use super::{Budget, Level, Month, OnExceed};

/// A budget and what has been spent of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// See [`Budget::monthly_usd`].
    pub monthly_usd: Decimal,
    /// See [`Budget::on_exceed`].
    pub on_exceed: OnExceed,
    /// See [`Budget::stop_capacity`].
    #[serde(default)]
    pub stop_capacity: bool,
    /// The known cost of the month.
    pub spent: Spent,
    /// The first instant at which the budget was found used up; `None` while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

impl Standing {
    /// Returns the budget.
    pub fn budget(&self) -> Budget {
        let Self { monthly_usd, on_exceed, stop_capacity, .. } = *self;
        Budget { monthly_usd, on_exceed, stop_capacity }
    }

    /// Returns the standing without what nothing can have written.
    pub(super) fn plausible(self) -> Option<Self> {
        let spent = self.spent.plausible();
        (self.monthly_usd > Decimal::ZERO).then_some(Self { spent, ..self })
    }

    /// Returns the state.
    pub fn level(&self) -> Level {
        self.budget().level(self.spent.usd())
    }

    /// Returns the cost of the whole month in US dollars if it goes on as until `now`; `None` in the first hour.
    pub fn forecast_usd(&self, month: Month, now: DateTime<Utc>) -> Option<Decimal> {
        let minutes = |from: DateTime<Utc>, until: DateTime<Utc>| (until - from).num_minutes();
        let (passed, whole) = (minutes(month.begin(), now), minutes(month.begin(), month.end()));
        let is_known = passed >= 60 && passed <= whole;
        let usd = is_known.then(|| self.spent.usd().checked_mul(Decimal::from(whole)))??;
        Some((usd / Decimal::from(passed)).round_dp(6).normalize())
    }
}
