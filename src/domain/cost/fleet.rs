//! What a whole fleet's plan costs: by owner, and in total.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::bill::Bill;
use super::book::PriceBook;
use super::coverage::CoverageCost;

/// What a plan of several targets costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetCost {
    /// Everything on one bill, warmd itself included.
    pub bill: Bill,
    /// What the targets of each owner cost; those of nobody under the empty name. warmd itself is nobody's.
    pub by_owner: BTreeMap<String, Bill>,
    /// What warmd itself costs; `None` when it was left out.
    pub own: Option<Bill>,
}

impl FleetCost {
    /// Adds up the costs of targets, each with its owner.
    ///
    /// Quantities are added before they meet tiers and rounding, as on one account's bill. So the total may differ by
    /// cents from the sum of the targets' totals, and from the sum over owners.
    pub fn new<'a>(
        book: &PriceBook,
        targets: impl IntoIterator<Item = (Option<&'a str>, &'a CoverageCost)>,
        own: Option<Bill>,
    ) -> Self {
        let mut of: BTreeMap<&str, Vec<&Bill>> = BTreeMap::new();
        for (owner, cost) in targets {
            of.entry(owner.unwrap_or_default()).or_default().push(&cost.bill);
        }
        let bill = Bill::merged(book, of.values().flatten().copied().chain(&own));
        let merged = |(owner, bills): (&str, Vec<&Bill>)| (owner.to_owned(), Bill::merged(book, bills));
        let by_owner = of.into_iter().map(merged).collect();
        Self { bill, by_owner, own }
    }

    /// US dollars for everything; `None` when a part is unknown.
    pub fn total(&self) -> Option<Decimal> {
        self.bill.total()
    }
}

impl Serialize for FleetCost {
    /// `lines`, `total`, `by_owner` (each owner's total).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let totals: BTreeMap<&str, Option<Decimal>> =
            self.by_owner.iter().map(|(owner, bill)| (owner.as_str(), bill.total())).collect();
        let mut cost = serializer.serialize_struct("FleetCost", 3)?;
        cost.serialize_field("lines", &self.bill.lines)?;
        cost.serialize_field("total", &self.total())?;
        cost.serialize_field("by_owner", &totals)?;
        cost.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cost::assume::Assumptions;
    use crate::domain::cost::coverage::{Coverage, Stretch, coverage_cost};
    use crate::domain::cost::{Download, Per, Route};
    use crate::domain::function::Region;
    use std::time::Duration;

    /// A target that pings once, and downloads `gib` then.
    fn cost(gib: u64) -> CoverageCost {
        let object = "s3://models/nlp-v7.bin".to_owned();
        let coverage = Coverage {
            region: Region::parse("us-east-1").unwrap(),
            stretches: &[Stretch { from_minute: 0, until_minute: 5, target: 1 }],
            pings: 1,
            interval: Duration::from_secs(300),
            downloads: &[Download { object, size_bytes: gib << 30, route: Route::Internet, per: Per::Ping }],
            assume: &Assumptions::default(),
        };
        coverage_cost(&PriceBook::embedded(), &coverage)
    }

    #[test]
    fn owners_and_the_total_meet_the_tiers_as_one_account() {
        let book = PriceBook::embedded();
        let (small, large) = (cost(1), cost(10_240));
        let fleet = FleetCost::new(
            &book,
            [(Some("search"), &large), (None, &small), (Some("search"), &small)],
            Some(small.bill.clone()),
        );
        let json = serde_json::to_value(&fleet).unwrap();
        // 10,240 GB at .09, and each one more at .085: one of the owner's, three of all.
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
        "S3 egress by internet, us-east-1, first 10 TB": "10240" "921.60"
        "S3 egress by internet, us-east-1, next 40 TB": "3" "0.26"
        "#);
        let sum: Decimal = fleet.bill.lines.iter().map(|line| line.amount().unwrap()).sum();
        assert_eq!(json["total"], serde_json::json!(sum.to_string()));
    }

    #[test]
    fn one_unknown_price_makes_owner_and_total_unknown() {
        let book = PriceBook::embedded();
        let mut unknown = cost(1);
        let nowhere = Region::parse("me-south-1").unwrap();
        unknown.bill.add(
            &book,
            "NAT",
            (&crate::domain::cost::Item::NatGb, nowhere),
            Decimal::ONE,
            Decimal::ZERO,
        );
        let fleet = FleetCost::new(&book, [(Some("a"), &unknown), (Some("b"), &cost(1))], None);
        let json = serde_json::to_value(&fleet).unwrap();
        assert_eq!(json["by_owner"], serde_json::json!({ "a": null, "b": "0.09" }));
        assert_eq!(json["total"], serde_json::Value::Null);
    }
}
