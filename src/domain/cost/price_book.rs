//! The price book: prices with region, unit, tiers, source and date.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::super::function::Region;
use super::super::parse::{nearest, quoted};
use super::item::Item;

/// The age in days from which a figure is marked as old.
pub const OLD_AFTER_DAYS: u64 = 180;

/// The price book, in US dollars. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PriceBook {
    figures: Arc<BTreeMap<(Item, Option<Region>), Figure>>,
}

/// One figure of the price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The price of a unit in each tier of usage; at least one tier, the last without an end. A free allowance or a
    /// share is a single tier.
    pub tiers: Vec<Tier>,
    /// The publication, or the configuration.
    pub source: PriceSource,
    /// The date of retrieval; `None` for an override without a date.
    pub date: Option<NaiveDate>,
}

/// The price of a part of the quantity used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// The end of the tier, counted from zero; `None` for the last.
    pub up_to: Option<Decimal>,
    /// US dollars per unit.
    pub price: Decimal,
}

/// The origin of a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSource {
    /// The name shown to users.
    pub name: Arc<str>,
    /// The address; `None` for an override.
    pub url: Option<Arc<str>>,
}

impl Figure {
    /// Returns the price of the first tier, which is the highest.
    pub fn first_price(&self) -> Decimal {
        self.tiers.first().map_or(Decimal::ZERO, |tier| tier.price)
    }

    /// Returns true if the figure is more than [`OLD_AFTER_DAYS`] old on `today`. A figure without a date is not old.
    pub fn is_old(&self, today: NaiveDate) -> bool {
        let limit = self.date.and_then(|date| date.checked_add_days(Days::new(OLD_AFTER_DAYS)));
        limit.is_some_and(|limit| limit < today)
    }
}

/// The error for an invalid override.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOverride {
    /// The item is not in the price book.
    #[error("unknown item {}", quoted(given))]
    UnknownItem {
        /// The given name.
        given: String,
        /// The nearest name, if a typo is likely.
        nearest: Option<&'static str>,
    },
    /// The ends of the tiers do not rise, the last has an end or another has none, or a price is negative.
    #[error("expected prices of at least 0 in tiers with rising ends, the last without an end")]
    Tiers,
}

impl PriceBook {
    /// Returns the embedded price book.
    pub fn embedded() -> Self {
        static BOOK: LazyLock<PriceBook> = LazyLock::new(|| {
            // The data is compiled in and covered by a test.
            PriceBook::read(include_str!("prices.json")).expect("the embedded price book is well formed")
        });
        BOOK.clone()
    }

    fn read(json: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut figures = BTreeMap::new();
        for entry in file.figures {
            let item = Item::parse(&entry.item).ok_or_else(|| format!("unknown item {}", entry.item))?;
            let source = file.sources.get(&entry.source).ok_or_else(|| format!("{item}: unknown source"))?;
            for (regions, price) in entry.prices {
                let tiers = price.tiers().filter(|tiers| well_formed(tiers));
                let tiers = tiers.ok_or_else(|| format!("{item}: malformed tiers"))?;
                for region in regions.split(' ') {
                    let place = match region {
                        "*" => None,
                        name => Some(Region::parse(name).map_err(|error| error.to_string())?),
                    };
                    let source = PriceSource { name: source.name.clone(), url: Some(source.url.clone()) };
                    let figure = Figure { tiers: tiers.clone(), source, date: Some(entry.date) };
                    if figures.insert((item.clone(), place), figure).is_some() {
                        return Err(format!("duplicate figure for {item} in {region}"));
                    }
                }
            }
        }
        Ok(Self { figures: Arc::new(figures) })
    }

    /// Returns the figure for `item` in `region`: that of the region, otherwise that of all regions. `None` is unknown.
    pub fn lookup(&self, item: &Item, region: Region) -> Option<&Figure> {
        self.figures.get(&(item.clone(), Some(region))).or_else(|| self.figures.get(&(item.clone(), None)))
    }

    /// Returns the price of the first tier of `item` in `region`.
    pub fn price(&self, item: &Item, region: Region) -> Option<Decimal> {
        self.lookup(item, region).map(Figure::first_price)
    }

    /// Overrides a figure.
    ///
    /// Without a region, the override replaces the figure of all regions and every regional one. `date` is the date of
    /// retrieval, if given.
    ///
    /// # Errors
    /// [`BadOverride`] for an unknown item or invalid tiers. The price book is unchanged then.
    pub fn set(
        &mut self,
        name: &str,
        region: Option<Region>,
        tiers: Vec<Tier>,
        source: &str,
        date: Option<NaiveDate>,
    ) -> Result<(), BadOverride> {
        let item = Item::parse(name).ok_or_else(|| BadOverride::UnknownItem {
            given: name.to_owned(),
            nearest: nearest(name, Item::names()),
        })?;
        if !well_formed(&tiers) {
            return Err(BadOverride::Tiers);
        }
        // Copies the map only if it is shared.
        let figures = Arc::make_mut(&mut self.figures);
        if region.is_none() {
            let regional = figures.range((item.clone(), None)..).map(|(key, _)| key);
            let regional: Vec<_> = regional.take_while(|(known, _)| *known == item).cloned().collect();
            for key in regional {
                figures.remove(&key);
            }
        }
        let source = PriceSource { name: source.into(), url: None };
        figures.insert((item, region), Figure { tiers, source, date });
        Ok(())
    }

    /// Returns every figure, ordered by item and region. Region `None` applies to all regions.
    pub fn iter(&self) -> impl Iterator<Item = (&Item, Option<Region>, &Figure)> {
        self.figures.iter().map(|((item, region), figure)| (item, *region, figure))
    }

    /// Returns the EC2 instance types with a price in `region`, and the price per hour.
    pub fn instances(&self, region: Region) -> impl Iterator<Item = (&str, Decimal)> {
        // A price of the region takes precedence over that of all regions.
        let own = move |item: &Item| self.figures.contains_key(&(item.clone(), Some(region)));
        self.iter().filter_map(move |(item, place, figure)| match (item, place) {
            (Item::Instance(name), Some(place)) if place == region => {
                Some((name.as_str(), figure.first_price()))
            }
            (Item::Instance(name), None) if !own(item) => Some((name.as_str(), figure.first_price())),
            _ => None,
        })
    }
}

fn well_formed(tiers: &[Tier]) -> bool {
    let Some((last, rest)) = tiers.split_last() else { return false };
    let mut below = Decimal::ZERO;
    last.up_to.is_none()
        && tiers.iter().all(|tier| tier.price >= Decimal::ZERO)
        && rest.iter().all(|tier| match tier.up_to {
            Some(end) if end > below => {
                below = end;
                true
            }
            _ => false,
        })
}

/// The data file. Prices are strings, because JSON numbers are parsed as binary floating point.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: BTreeMap<String, FileSource>,
    figures: Vec<FileFigure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSource {
    name: Arc<str>,
    url: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileFigure {
    item: String,
    source: String,
    date: NaiveDate,
    /// Prices by region names, separated by spaces, or `*`.
    prices: BTreeMap<String, FilePrice>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FilePrice {
    Flat(String),
    Tiers(Vec<(Option<String>, String)>),
}

impl FilePrice {
    fn tiers(&self) -> Option<Vec<Tier>> {
        let number = |text: &str| Decimal::from_str_exact(text).ok();
        match self {
            Self::Flat(price) => Some(vec![Tier { up_to: None, price: number(price)? }]),
            Self::Tiers(tiers) => tiers
                .iter()
                .map(|(up_to, price)| {
                    let up_to = match up_to {
                        Some(end) => Some(number(end)?),
                        None => None,
                    };
                    Some(Tier { up_to, price: number(price)? })
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn flat(price: &str) -> Vec<Tier> {
        vec![Tier { up_to: None, price: price.parse().unwrap() }]
    }

    #[test]
    fn every_figure_has_source_date_unit_and_valid_tiers() {
        let prices = PriceBook::read(include_str!("prices.json")).unwrap();
        assert!(prices.iter().count() > 100);
        for (item, _, figure) in prices.iter() {
            assert!(figure.source.url.as_ref().unwrap().starts_with("https://"), "{item}");
            assert!(!figure.source.name.is_empty(), "{item}");
            assert!((day("2021-03-31")..=day("2026-11-20")).contains(&figure.date.unwrap()), "{item}");
            assert!(!item.unit().is_empty(), "{item}");
            assert!(well_formed(&figure.tiers), "{item}");
        }
    }

    #[test]
    fn eleven_regions_have_prices_for_every_route() {
        use crate::domain::function::Architecture::{Arm64, X86_64};
        for name in [
            "us-east-1",
            "us-east-2",
            "us-west-2",
            "eu-west-1",
            "eu-west-2",
            "eu-central-1",
            "ap-south-1",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-northeast-1",
            "sa-east-1",
        ] {
            for item in [
                Item::Requests,
                Item::Duration(X86_64),
                Item::Duration(Arm64),
                Item::ProvisionedIdle(X86_64),
                Item::ProvisionedDuration(X86_64),
                Item::Ephemeral,
                Item::S3Get,
                Item::SameRegionData,
                Item::InternetData,
                Item::InterRegionData,
                Item::NatData,
                Item::EndpointData,
                Item::Metrics,
                Item::Events,
            ] {
                assert!(PriceBook::embedded().lookup(&item, region(name)).is_some(), "{item} in {name}");
            }
        }
    }

    #[test]
    fn unsourced_price_is_absent() {
        assert_eq!(PriceBook::embedded().price(&Item::Requests, region("me-south-1")), None);
    }

    #[test]
    fn override_takes_precedence_and_original_is_unchanged() {
        let prices = PriceBook::embedded();
        let london = region("eu-west-2");
        let mut own = prices.clone();
        own.set("nat-gateway.gb", Some(london), flat("0.03"), "contract", Some(day("2026-11-01"))).unwrap();
        assert_eq!(own.price(&Item::NatData, london), Some("0.03".parse().unwrap()));
        assert_eq!(own.lookup(&Item::NatData, london).unwrap().source.url, None);
        assert_eq!(
            own.price(&Item::NatData, region("us-east-1")),
            prices.price(&Item::NatData, region("us-east-1"))
        );
        assert_eq!(prices.price(&Item::NatData, london), Some("0.05".parse().unwrap()));

        let mut everywhere = own.clone();
        everywhere.set("nat-gateway.gb", None, flat("0.02"), "contract", None).unwrap();
        assert_eq!(everywhere.iter().filter(|(item, ..)| **item == Item::NatData).count(), 1);
        for place in [london, region("me-south-1")] {
            assert_eq!(everywhere.price(&Item::NatData, place), Some("0.02".parse().unwrap()));
        }
    }

    #[test]
    fn instance_has_one_price_in_a_region() {
        let virginia = region("us-east-1");
        let mut prices = PriceBook::embedded();
        prices.set("ec2.m7g.xlarge", None, flat("0.10"), "contract", None).unwrap();
        prices.set("ec2.m7g.xlarge", Some(virginia), flat("0.12"), "contract", None).unwrap();
        let prices = |place| -> Vec<String> {
            let own = prices.instances(place).filter(|(name, _)| *name == "m7g.xlarge");
            own.map(|(_, price)| price.to_string()).collect()
        };
        assert_eq!(prices(virginia), ["0.12"]);
        assert_eq!(prices(region("me-south-1")), ["0.10"]);
    }

    #[test]
    fn rejects_invalid_overrides() {
        let mut prices = PriceBook::embedded();
        let tier =
            |up_to: Option<u32>, price: i32| Tier { up_to: up_to.map(Decimal::from), price: price.into() };
        assert_eq!(
            prices.set("nat-gateway.bg", None, flat("1"), "x", None).unwrap_err(),
            BadOverride::UnknownItem { given: "nat-gateway.bg".to_owned(), nearest: Some("nat-gateway.gb") }
        );
        for tiers in [
            vec![],
            vec![tier(None, -1)],
            vec![tier(Some(5), 1)],
            vec![tier(None, 1), tier(None, 1)],
            vec![tier(Some(5), 1), tier(Some(5), 1), tier(None, 1)],
        ] {
            assert!(prices.set("nat-gateway.gb", None, tiers, "x", None).is_err());
        }
    }

    #[test]
    fn figure_is_old_from_its_181st_day() {
        let mut prices = PriceBook::embedded();
        prices.set("s3.get", None, flat("1"), "x", Some(day("2026-01-01"))).unwrap();
        let figure = prices.lookup(&Item::S3Get, region("us-east-1")).unwrap().clone();
        assert!(!figure.is_old(day("2026-06-30")));
        assert!(figure.is_old(day("2026-07-01")));
        assert!(!Figure { date: None, ..figure }.is_old(day("2099-01-01")));
    }
}
