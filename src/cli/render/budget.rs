//! Renders budgets and what has been spent of them.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use super::text::count;
use crate::domain::budget::{Level, Month, OnExceed, Scope, Standing};
use crate::domain::clean::clean;
use crate::domain::function::{Identity, Region};
use crate::domain::text::money;

/// A budget in JSON.
#[derive(Serialize)]
pub struct BudgetObject {
    scope: &'static str,
    owner: Option<String>,
    function: Option<String>,
    region: Option<Region>,
    month: String,
    monthly_usd: Decimal,
    /// Null if it is unknown.
    spent_usd: Option<Decimal>,
    /// The rounds whose cost is not fully known, and is excluded.
    unknown: Option<u64>,
    level: Option<Level>,
    on_exceed: OnExceed,
    /// The cost of the whole month if it goes on like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast_usd: Option<Decimal>,
}

impl BudgetObject {
    /// Creates the object of a budget. `is_known` is false if it is unknown what has been spent.
    pub fn new(scope: &Scope, standing: &Standing, is_known: bool, now: DateTime<Utc>) -> Self {
        let month = Month::of(now);
        Self {
            scope: scope.name(),
            owner: scope.owner().map(str::to_owned),
            function: scope.function().map(Identity::label),
            region: scope.function().map(|id| id.region),
            month: month.text(),
            monthly_usd: standing.monthly_usd.normalize(),
            spent_usd: is_known.then(|| standing.spent.usd().normalize()),
            unknown: is_known.then_some(standing.spent.unknown),
            level: is_known.then(|| standing.level()),
            on_exceed: standing.on_exceed,
            forecast_usd: standing.forecast_usd(month, now).filter(|_| is_known),
        }
    }
}

/// Returns the line of a budget. Ends with a line feed. `is_known` is false if it is unknown what has been spent.
pub fn line(scope: &Scope, standing: &Standing, is_known: bool, now: DateTime<Utc>) -> String {
    let budget = standing.budget();
    if !is_known {
        return format!("budget of {}: {budget}\n", clean(&scope.to_string()));
    }
    let (spent, month) = (standing.spent.usd(), Month::of(now));
    let percent = spent
        .saturating_mul(Decimal::ONE_HUNDRED)
        .checked_div(budget.monthly_usd)
        .unwrap_or_default()
        .floor();
    let state = match standing.level() {
        Level::Within => "",
        Level::Near => ", near its end",
        Level::Exceeded => ", used up",
    };
    let forecast = standing.forecast_usd(month, now);
    let forecast = forecast.map(|usd| format!(", {} at this rate", money(usd))).unwrap_or_default();
    let unknown = match standing.spent.unknown {
        0 => String::new(),
        unknown => format!(", without {} of unknown cost", count(unknown, "round")),
    };
    let (scope, month) = (clean(&scope.to_string()).into_owned(), month.text());
    format!(
        "budget of {scope}: {budget}: {} spent in {month} ({percent} %){state}{forecast}{unknown}\n",
        money(spent)
    )
}
