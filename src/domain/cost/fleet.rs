//! The cost of a fleet's plan, by owner and in total.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::bill::Bill;
use super::coverage::CoverageCost;
use super::price_book::PriceBook;
use super::self_usage;

/// The cost of the plans of several targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetCost {
    /// The bill of everything, including warmd itself.
    pub bill: Bill,
    /// The bill of each owner's targets; those without an owner have the empty name. warmd itself has no owner.
    pub by_owner: BTreeMap<String, Bill>,
    /// The bill of warmd itself; `None` when it is left out.
    pub warmd: Option<Bill>,
}

impl FleetCost {
    /// Adds up the costs of targets, each with its owner.
    ///
    /// Quantities are added before tiers and rounding apply, as in the bill of one account. The total may therefore
    /// differ by cents from the sum over targets or owners.
    pub fn new<'a>(
        prices: &PriceBook,
        targets: impl IntoIterator<Item = (Option<&'a str>, &'a CoverageCost)>,
        warmd: Option<Bill>,
    ) -> Self {
        let mut bills: BTreeMap<&str, Vec<&Bill>> = BTreeMap::new();
        for (owner, cost) in targets {
            bills.entry(owner.unwrap_or_default()).or_default().push(&cost.bill);
        }
        let bill = Bill::merged(prices, bills.values().flatten().copied().chain(&warmd));
        let merged = |(owner, bills): (&str, Vec<&Bill>)| (owner.to_owned(), Bill::merged(prices, bills));
        let by_owner = bills.into_iter().map(merged).collect();
        Self { bill, by_owner, warmd }
    }

    /// Returns the part of the cost of warmd itself that is for observing, in US dollars; `None` when a part is unknown, or
    /// warmd is left out.
    pub fn observing(&self) -> Option<Decimal> {
        self.warmd.as_ref().and_then(self_usage::observing)
    }

    /// Returns the total in US dollars, or `None` when a part is unknown.
    pub fn total(&self) -> Option<Decimal> {
        self.bill.total()
    }
}

impl Serialize for FleetCost {
    /// Serializes `lines`, `total`, `observing_usd` (a part of it) and `by_owner` (the total of each owner).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let totals: BTreeMap<&str, Option<Decimal>> =
            self.by_owner.iter().map(|(owner, bill)| (owner.as_str(), bill.total())).collect();
        let mut cost = serializer.serialize_struct("FleetCost", 4)?;
        cost.serialize_field("lines", &self.bill.lines)?;
        cost.serialize_field("total", &self.total())?;
        cost.serialize_field("observing_usd", &self.observing())?;
        cost.serialize_field("by_owner", &totals)?;
        cost.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::capacity::Strategy;
    use crate::domain::cost::assume::Assumptions;
    use crate::domain::cost::coverage::{Coverage, coverage_cost};
    use crate::domain::cost::{Download, Per, Route};
    use crate::domain::function::Region;
    use crate::domain::schedule::{Minute, Segment};
    use std::time::Duration;

    /// Returns the cost of a target with one ping that downloads `gib`.
    fn cost(gib: u64) -> CoverageCost {
        let coverage = Coverage {
            region: Region::parse("us-east-1").unwrap(),
            segments: &[Segment {
                from: Minute::from_epoch(0),
                until: Minute::from_epoch(5),
                desired: 1,
                rounds: 1,
            }],
            steps: &[],
            strategy: Strategy::Pings,
            horizon: Duration::from_secs(300),
            interval: Duration::from_secs(300),
            downloads: &[Download { size_bytes: gib << 30, ..Download::example(Route::Internet, Per::Ping) }],
            assume: &Assumptions::default(),
            is_tenant: false,
        };
        coverage_cost(&PriceBook::embedded(), &coverage)
    }

    #[test]
    fn owners_and_total_use_tiers_of_one_account() {
        let prices = PriceBook::embedded();
        let (small, large) = (cost(1), cost(10_240));
        let fleet = FleetCost::new(
            &prices,
            [(Some("search"), &large), (None, &small), (Some("search"), &small)],
            Some(small.bill.clone()),
        );
        let json = serde_json::to_value(&fleet).unwrap();
        // 10,240 GiB at .09, and each further one at .085: one for the owner, three in total.
        assert_eq!(json["by_owner"], serde_json::json!({ "": "0.09", "search": "921.69" }));
        let egress = |line: &&serde_json::Value| line["item"].as_str().unwrap().contains("egress");
        let lines: Vec<String> = json["lines"]
            .as_array()
            .unwrap()
            .iter()
            .filter(egress)
            .map(|line| format!("{}: {} {}", line["item"], line["quantity"], line["amount"]))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        "S3 egress by internet, us-east-1, first 10 TiB": "10240" "921.60"
        "S3 egress by internet, us-east-1, next 40 TiB": "3" "0.26"
        "#);
        let sum: Decimal = fleet.bill.lines.iter().map(|line| line.amount().unwrap()).sum();
        assert_eq!(json["total"], serde_json::json!(sum.to_string()));
    }

    #[test]
    fn unknown_price_makes_owner_and_total_unknown() {
        let prices = PriceBook::embedded();
        let mut unknown = cost(1);
        let nowhere = Region::parse("me-south-1").unwrap();
        unknown.bill.add(&prices, "NAT", (&crate::domain::cost::Item::NatData, nowhere), Decimal::ONE);
        let fleet = FleetCost::new(&prices, [(Some("a"), &unknown), (Some("b"), &cost(1))], None);
        let json = serde_json::to_value(&fleet).unwrap();
        assert_eq!(json["by_owner"], serde_json::json!({ "a": null, "b": "0.09" }));
        assert_eq!(json["total"], serde_json::Value::Null);
    }
}
