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
    /// The bytes and the cost by the name of the route.
    pub routes: BTreeMap<String, RouteSum>,
}

/// The data from S3 by a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteSum {
    /// The bytes.
    pub bytes: u64,
    /// The part of the known cost of the egress in US dollars, without requests.
    pub usd: Decimal,
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
        let mut left = row.cost.get("s3_egress").copied().unwrap_or_default();
        let mut of_rest: Decimal = weights.iter().sum();
        let mut routes = BTreeMap::new();
        for ((route, bytes), weight) in row.egress.iter().zip(weights) {
            // The last route has exactly what is left.
            let share = if weight == of_rest { Some(Decimal::ONE) } else { weight.checked_div(of_rest) };
            let usd = share.and_then(|share| left.checked_mul(share)).unwrap_or_default().round_dp(12);
            let usd = if weight == of_rest { left } else { usd.min(left) };
            left -= usd;
            of_rest -= weight;
            routes.insert(route.clone(), RouteSum { bytes: *bytes, usd });
        }
        if !left.is_zero() {
            routes.insert("unknown".to_owned(), RouteSum { bytes: 0, usd: left });
        }
        Self { known_usd: row.known_usd(), row, routes }
    }

    /// Adds the sums of another target.
    pub(super) fn add(&mut self, other: &Self) {
        self.row.add(&other.row);
        self.known_usd = self.known_usd.saturating_add(other.known_usd);
        for (route, RouteSum { bytes, usd }) in &other.routes {
            let sum = self.routes.entry(route.clone()).or_default();
            sum.bytes = sum.bytes.saturating_add(*bytes);
            sum.usd = sum.usd.saturating_add(*usd);
        }
    }

    /// Returns the known cost of a warm hour in US dollars; `None` without warm minutes.
    pub fn usd_per_warm_hour(&self) -> Option<Decimal> {
        let hours = Decimal::from(self.row.minutes.warm).checked_div(Decimal::from(60))?;
        self.known_usd.checked_div(hours)
    }

    /// Returns the bytes of all routes.
    pub fn egress_bytes(&self) -> u64 {
        self.routes.values().fold(0, |sum, route| sum.saturating_add(route.bytes))
    }
}
