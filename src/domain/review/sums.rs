//! Sums of rows, and what each route of S3 cost.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::domain::cost::{Item, PriceBook};
use crate::domain::function::Region;
use crate::domain::history::Row;

/// The sums of a target, of an owner or of the fleet. Those of an owner or the fleet are exactly the sum of their
/// targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// The added rows.
    pub row: Row,
    /// The known cost in US dollars.
    pub known_usd: Decimal,
    /// The bytes and their cost, without requests, by the name of the route.
    pub routes: BTreeMap<String, Amount>,
}

/// An amount of data from S3, and a cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// The bytes.
    pub bytes: u64,
    /// The known cost in US dollars.
    pub usd: Decimal,
    /// True if the cost is not fully known.
    pub is_partial: bool,
}

impl Amount {
    /// Adds another amount.
    pub fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.usd = self.usd.saturating_add(other.usd);
        self.is_partial |= other.is_partial;
    }

    /// Returns the known cost in US dollars; `None` if nothing of it is known.
    pub fn known_usd(&self) -> Option<Decimal> {
        (!self.is_partial || !self.usd.is_zero()).then_some(self.usd)
    }
}

impl Sums {
    /// Creates the sums of a target. Its known cost of egress is divided among its routes in proportion to their bytes at
    /// list prices.
    pub(super) fn of(row: Row, region: Region, prices: &PriceBook) -> Self {
        let price = |route: &str| {
            let item = match route {
                "same-region" => Item::SameRegionData,
                "nat-gateway" => Item::NatData,
                "interface-endpoint" => Item::EndpointData,
                "inter-region" => Item::InterRegionData,
                _ => Item::InternetData,
            };
            prices.price(&item, region)
        };
        let weights = |of: &dyn Fn(&str) -> Option<Decimal>| {
            let weight = |(route, bytes): (&String, &u64)| of(route)?.checked_mul(Decimal::from(*bytes));
            row.egress.iter().map(weight).collect::<Option<Vec<Decimal>>>()
        };
        let is_some = |weights: &Vec<Decimal>| weights.iter().any(|weight| !weight.is_zero());
        let weights = weights(&price).filter(is_some).or_else(|| weights(&|_| Some(Decimal::ONE)));
        let weights = weights.unwrap_or_default();
        let recorded = row.cost.get("s3_egress").copied();
        // A cost of zero is not recorded.
        let is_free = |route: &str| price(route).is_some_and(|price| price.is_zero());
        let is_unknown = recorded.is_none() || row.cost_unknown > 0;
        let mut left = recorded.unwrap_or_default();
        let mut of_rest = weights.iter().fold(Decimal::ZERO, |sum, weight| sum.saturating_add(*weight));
        let mut routes = BTreeMap::new();
        for ((route, bytes), weight) in row.egress.iter().zip(weights) {
            // The last route has exactly what is left.
            let share = if weight == of_rest { Some(Decimal::ONE) } else { weight.checked_div(of_rest) };
            let usd = share.and_then(|share| left.checked_mul(share)).unwrap_or_default().round_dp(12);
            let usd = if weight == of_rest { left } else { usd.min(left) };
            left -= usd;
            of_rest -= weight;
            let is_partial = is_unknown && *bytes > 0 && !is_free(route);
            routes.insert(route.clone(), Amount { bytes: *bytes, usd, is_partial });
        }
        if !left.is_zero() {
            routes.insert("unknown".to_owned(), Amount { usd: left, ..Amount::default() });
        }
        Self { known_usd: row.known_usd(), row, routes }
    }

    /// Adds the sums of another target.
    pub(super) fn add(&mut self, other: &Self) {
        self.row.add(&other.row);
        self.known_usd = self.known_usd.saturating_add(other.known_usd);
        for (route, amount) in &other.routes {
            self.routes.entry(route.clone()).or_default().add(amount);
        }
    }

    /// Returns the known cost of a warm hour in US dollars; `None` without warm minutes.
    pub fn usd_per_warm_hour(&self) -> Option<Decimal> {
        let hours = Decimal::from(self.row.minutes.warm).checked_div(Decimal::from(60))?;
        self.known_usd.checked_div(hours)
    }

    /// Returns the bytes of all routes, and the cost of everything.
    pub fn amount(&self) -> Amount {
        let Self { row, known_usd, .. } = self;
        Amount { bytes: self.egress_bytes(), usd: *known_usd, is_partial: row.cost_unknown > 0 }
    }

    /// Returns the bytes of all routes.
    pub fn egress_bytes(&self) -> u64 {
        self.routes.values().fold(0, |sum, route| sum.saturating_add(route.bytes))
    }
}
