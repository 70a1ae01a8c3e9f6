//! Bills: quantities, prices and amounts, rounded as AWS rounds them.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::item::Item;
use super::price_book::{PriceBook, Tier};
use crate::domain::function::Region;
use crate::domain::text::grouped;

/// The lines of a bill. As in AWS bills, each line is rounded half up to cents before the sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// The lines in the order of addition.
    pub lines: Vec<BillLine>,
}

/// A line of a bill: a quantity at a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// The description for users, including the tier.
    pub item: String,
    /// The region of the price.
    pub region: Region,
    /// The exact quantity.
    pub quantity: Decimal,
    /// The unit of the quantity.
    pub unit: &'static str,
    /// US dollars per unit; `None` when unknown.
    pub unit_price: Option<Decimal>,
    /// The item of the price book and the description without the tier; `None` for another price.
    listed: Option<(Item, String)>,
}

impl BillLine {
    /// Returns the item of the price book, or `None` for another price.
    pub fn listed(&self) -> Option<&Item> {
        self.listed.as_ref().map(|(item, _)| item)
    }

    /// Returns the unrounded amount: zero for a quantity of zero, `None` when unknown.
    pub fn exact(&self) -> Option<Decimal> {
        if self.quantity.is_zero() {
            return Some(Decimal::ZERO);
        }
        self.quantity.checked_mul(self.unit_price?)
    }

    /// Returns the amount in US dollars, rounded half up to cents; `None` when unknown.
    pub fn amount(&self) -> Option<Decimal> {
        self.exact().map(cents)
    }
}

/// Rounds half up to cents, with two decimals.
fn cents(amount: Decimal) -> Decimal {
    let mut amount = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    amount.rescale(2);
    amount
}

impl Bill {
    /// Returns the sum of the rounded lines, or `None` when any line is unknown.
    pub fn total(&self) -> Option<Decimal> {
        let zero = Decimal::new(0, 2);
        self.lines.iter().try_fold(zero, |sum, line| sum.checked_add(line.amount()?))
    }

    /// Returns the sum of the unrounded lines, or `None` when any line is unknown.
    pub fn exact(&self) -> Option<Decimal> {
        self.lines.iter().try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.exact()?))
    }

    /// Returns the sum of the rounded lines with a known price.
    pub fn known(&self) -> Decimal {
        self.lines.iter().filter_map(BillLine::amount).fold(Decimal::ZERO, Decimal::saturating_add)
    }

    /// Returns the lines with an unknown price, as `item in region`.
    pub fn unknown(&self) -> impl Iterator<Item = String> {
        let unknown = self.lines.iter().filter(|line| line.amount().is_none());
        unknown.map(|line| format!("{} in {}", line.item, line.region))
    }

    /// Merges bills as AWS does for one account: quantities of the same item and region are added before tiers apply,
    /// so the total may be lower than the sum of totals. Lines name their region.
    pub fn merged<'a>(prices: &PriceBook, bills: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sums: Vec<BillLine> = Vec::new();
        for line in bills.into_iter().flat_map(|bill| &bill.lines) {
            let same = sums.iter_mut().find(|known| match (&known.listed, &line.listed) {
                (Some(known_as), Some(listed)) => known_as == listed && known.region == line.region,
                (None, None) => {
                    (&known.item, known.region, known.unit_price)
                        == (&line.item, line.region, line.unit_price)
                }
                _ => false,
            });
            match same {
                Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
                None => sums.push(line.clone()),
            }
        }
        let mut merged = Self::default();
        for line in sums {
            match line.listed {
                Some((item, name)) => {
                    let name = format!("{name}, {}", line.region);
                    merged.add(prices, name, (&item, line.region), line.quantity);
                }
                None => {
                    let item = format!("{}, {}", line.item, line.region);
                    merged.lines.push(BillLine { item, ..line });
                }
            }
        }
        merged
    }

    /// Adds a line at a price that is not in the price book, unless the quantity is zero.
    pub(super) fn add_at(
        &mut self,
        item: impl Into<String>,
        region: Region,
        (quantity, unit): (Decimal, &'static str),
        unit_price: Option<Decimal>,
    ) {
        if !quantity.is_zero() {
            let (item, quantity) = (item.into(), quantity.normalize());
            self.lines.push(BillLine { item, region, quantity, unit, unit_price, listed: None });
        }
    }

    /// Adds a line for each tier that `quantity` of `item` reaches. Adds nothing for a quantity of zero.
    pub(in crate::domain) fn add(
        &mut self,
        prices: &PriceBook,
        name: impl Into<String>,
        item: (&Item, Region),
        quantity: Decimal,
    ) {
        self.add_with_free(prices, name, item, quantity, Decimal::ZERO);
    }

    /// Adds lines as [`Bill::add`] does. The first `free` units are not billed but count towards the tiers. Adds a line
    /// of zero when the whole quantity is free.
    pub(super) fn add_with_free(
        &mut self,
        prices: &PriceBook,
        name: impl Into<String>,
        (item, region): (&Item, Region),
        quantity: Decimal,
        free: Decimal,
    ) {
        if quantity.is_zero() {
            return;
        }
        let name = name.into();
        let mut push = |tier: Option<String>, quantity: Decimal, unit_price| {
            let listed = Some((item.clone(), name.clone()));
            let item_name = tier.map_or_else(|| name.clone(), |tier| format!("{name}, {tier}"));
            let quantity = quantity.normalize();
            self.lines.push(BillLine {
                item: item_name,
                region,
                quantity,
                unit: item.unit(),
                unit_price,
                listed,
            });
        };
        let billed = (quantity - free).max(Decimal::ZERO);
        let Some(figure) = prices.lookup(item, region) else {
            return push(None, billed, None);
        };
        if billed.is_zero() {
            return push(None, billed, Some(figure.first_price()));
        }
        let mut from = Decimal::ZERO;
        for tier in &figure.tiers {
            let to = tier.up_to.unwrap_or(Decimal::MAX);
            let part = quantity.min(to) - free.max(from);
            if part > Decimal::ZERO {
                push(tier_name(from, tier, item.unit()), part, Some(tier.price));
            }
            from = to;
        }
    }
}

/// Returns `first 10 TiB`, `next 40 TiB` or `over 150 TiB`, `None` for a price without tiers.
fn tier_name(from: Decimal, tier: &Tier, unit: &str) -> Option<String> {
    match tier.up_to {
        Some(to) if from.is_zero() => Some(format!("first {}", size(to, unit))),
        Some(to) => Some(format!("next {}", size(to - from, unit))),
        None if from.is_zero() => None,
        None => Some(format!("over {}", size(from, unit))),
    }
}

/// Formats the size of a tier in TiB, billions or units.
fn size(quantity: Decimal, unit: &str) -> String {
    let tib = Decimal::from(1_024);
    let billion = Decimal::from(1_000_000_000);
    if unit == "GiB" && (quantity % tib).is_zero() {
        format!("{} TiB", (quantity / tib).normalize())
    } else if quantity >= billion {
        format!("{} billion {unit}", (quantity / billion).normalize())
    } else {
        format!("{} {unit}s", grouped(quantity.to_u64().unwrap_or(u64::MAX)))
    }
}

impl Serialize for BillLine {
    /// Serializes `item`, `quantity` (exact), `unit`, `unit_price` and `amount` (rounded to cents). Decimals are
    /// strings, null when unknown.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("BillLine", 5)?;
        line.serialize_field("item", &self.item)?;
        line.serialize_field("quantity", &self.quantity)?;
        line.serialize_field("unit", self.unit)?;
        line.serialize_field("unit_price", &self.unit_price)?;
        line.serialize_field("amount", &self.amount())?;
        line.end()
    }
}

impl Serialize for Bill {
    /// Serializes `lines` and `total`, which is null when any line is unknown.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bill = serializer.serialize_struct("Bill", 2)?;
        bill.serialize_field("lines", &self.lines)?;
        bill.serialize_field("total", &self.total())?;
        bill.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn egress(gib: Decimal, free: Decimal) -> Bill {
        let mut bill = Bill::default();
        bill.add_with_free(
            &PriceBook::embedded(),
            "egress",
            (&Item::InternetData, region("us-east-1")),
            gib,
            free,
        );
        bill
    }

    #[test]
    fn lines_are_rounded_half_up_before_the_sum() {
        let line = |quantity: &str, price: &str| BillLine {
            item: "x".to_owned(),
            region: region("us-east-1"),
            quantity: quantity.parse().unwrap(),
            unit: "GiB",
            unit_price: Some(price.parse().unwrap()),
            listed: None,
        };
        let bill = Bill { lines: vec![line("1", "0.005"), line("1", "0.0049"), line("3", "0.015")] };
        assert_eq!(
            serde_json::to_string(&bill).unwrap(),
            r#"{"lines":[{"item":"x","quantity":"1","unit":"GiB","unit_price":"0.005","amount":"0.01"},{"item":"x","quantity":"1","unit":"GiB","unit_price":"0.0049","amount":"0.00"},{"item":"x","quantity":"3","unit":"GiB","unit_price":"0.015","amount":"0.05"}],"total":"0.06"}"#
        );
        assert_eq!(bill.exact(), Some("0.0549".parse().unwrap()));
        assert_eq!(serde_json::to_string(&Bill::default()).unwrap(), r#"{"lines":[],"total":"0.00"}"#);
    }

    #[test]
    fn unknown_price_makes_total_null() {
        let mut bill = egress(Decimal::ONE, Decimal::ZERO);
        let nowhere = (&Item::NatData, region("me-south-1"));
        bill.add(&PriceBook::embedded(), "NAT gateway", nowhere, Decimal::TEN);
        assert_eq!((bill.total(), bill.exact()), (None, None));
        assert_eq!(bill.unknown().collect::<Vec<_>>(), ["NAT gateway in me-south-1"]);
        let json = serde_json::to_value(&bill).unwrap();
        assert_eq!(json["lines"][1]["amount"], serde_json::Value::Null);
        assert_eq!(json["lines"][1]["quantity"], "10");
    }

    #[test]
    fn lines_name_tiers() {
        let names: Vec<String> =
            egress(Decimal::from(200_000), Decimal::ZERO).lines.into_iter().map(|line| line.item).collect();
        assert_eq!(
            names,
            ["egress, first 10 TiB", "egress, next 40 TiB", "egress, next 100 TiB", "egress, over 150 TiB"]
        );
    }

    #[test]
    fn free_quantity_counts_towards_tiers() {
        let bill = egress(Decimal::from(10_241), Decimal::from(10_240));
        assert_eq!(bill.lines.len(), 1);
        assert_eq!(bill.lines[0].item, "egress, next 40 TiB");
        let free = egress(Decimal::TEN, Decimal::from(100));
        assert_eq!((free.lines[0].quantity, free.total()), (Decimal::ZERO, Some(Decimal::new(0, 2))));
    }

    #[test]
    fn merging_adds_quantities_before_rounding_and_names_regions() {
        let prices = PriceBook::embedded();
        let bill = egress("0.05".parse().unwrap(), Decimal::ZERO);
        assert_eq!(bill.total().unwrap().to_string(), "0.00");
        let merged = Bill::merged(&prices, [&bill, &bill, &bill]);
        assert_eq!(merged.lines.len(), 1);
        assert_eq!(merged.lines[0].item, "egress, us-east-1, first 10 TiB");
        assert_eq!(merged.total().unwrap().to_string(), "0.01");
    }

    #[test]
    fn merging_adds_quantities_before_tiers() {
        let prices = PriceBook::embedded();
        let six_tib = egress(Decimal::from(6 * 1_024), Decimal::ZERO);
        assert_eq!(six_tib.lines.len(), 1);
        let merged = Bill::merged(&prices, [&six_tib, &six_tib]);
        assert_eq!(merged.total(), egress(Decimal::from(12 * 1_024), Decimal::ZERO).total());
        let mut own = Bill::default();
        own.add_at("EC2 m7g.xlarge", region("us-east-1"), (Decimal::TEN, "hour"), Some(Decimal::ONE));
        let merged = Bill::merged(&prices, [&own, &six_tib, &own]);
        let shown: Vec<String> = merged.lines.iter().map(|l| format!("{} {}", l.item, l.quantity)).collect();
        assert_eq!(shown, ["EC2 m7g.xlarge, us-east-1 20", "egress, us-east-1, first 10 TiB 6144"]);
    }

    /// Returns every tiered item of every region.
    fn tiered() -> Vec<(Item, Region)> {
        let prices = PriceBook::embedded();
        let mut tiered = Vec::new();
        for (item, place, figure) in prices.iter() {
            if let Some(region) = place.filter(|_| figure.tiers.len() > 1) {
                tiered.push((item.clone(), region));
            }
        }
        tiered
    }

    fn exact_total(bill: &Bill) -> Decimal {
        bill.exact().unwrap()
    }

    fn cost(item: &(Item, Region), quantity: Decimal) -> Decimal {
        let mut bill = Bill::default();
        bill.add(&PriceBook::embedded(), "x", (&item.0, item.1), quantity);
        exact_total(&bill)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn cost_is_monotone_and_continuous_across_tiers(which in 0_usize..1000, tier in 0_usize..4, offset in -1_000_i64..1_000) {
            let tiered = tiered();
            let item = &tiered[which % tiered.len()];
            let prices = PriceBook::embedded();
            let figure = prices.lookup(&item.0, item.1).unwrap();
            let edge = figure.tiers[tier % figure.tiers.len()].up_to.unwrap_or(Decimal::from(1_000_000_000_000_u64));
            let quantity = edge + Decimal::new(offset, 2);
            let step = Decimal::new(1, 2);
            let more = cost(item, quantity + step) - cost(item, quantity);
            // More usage is never cheaper, and a step costs at most the highest price.
            prop_assert!(more > Decimal::ZERO);
            prop_assert!(more <= step * figure.first_price());
        }

        #[test]
        fn tiers_add_up_to_billed_quantity(which in 0_usize..1000, quantity in 0_u64..100_000_000_000, free in 0_u64..1_000_000) {
            let tiered = tiered();
            let item = &tiered[which % tiered.len()];
            let (quantity, free) = (Decimal::from(quantity), Decimal::from(free));
            let mut bill = Bill::default();
            bill.add_with_free(&PriceBook::embedded(), "x", (&item.0, item.1), quantity, free);
            let parts: Decimal = bill.lines.iter().map(|line| line.quantity).sum();
            prop_assert_eq!(parts, (quantity - free).max(Decimal::ZERO));
            // The free units belong to the lowest tiers.
            prop_assert_eq!(exact_total(&bill), (cost(item, quantity) - cost(item, free)).max(Decimal::ZERO));
        }
    }
}
