//! The price book: every figure with its region, unit, tiers, source and date.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::super::function::Region;
use super::super::parse::nearest;
use super::item::Item;

/// Figures older than this many days are marked: list prices do change.
pub const OLD_AFTER_DAYS: u64 = 180;

/// Prices, US dollars. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PriceBook {
    figures: Arc<BTreeMap<(Item, Option<Region>), Figure>>,
}

/// One figure of the price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The price for one unit, by how much was used; at least one tier, the last without an end.
    /// A free allowance or a share stands here too, as a single tier.
    pub tiers: Vec<Tier>,
    /// Where it was published, or who gave it.
    pub source: Source,
    /// The day it was looked up; `None` for a figure that the user gave without one.
    pub date: Option<NaiveDate>,
}

/// The price of a stretch of the quantity used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Where the tier ends, counted from zero; `None` for the last.
    pub up_to: Option<Decimal>,
    /// US dollars for one unit.
    pub price: Decimal,
}

/// Where a figure comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Its address; `None` for a figure that the user gave.
    pub url: Option<Arc<str>>,
}

impl Figure {
    /// The price of the first unit: the list price where there are no tiers, and the highest where there are.
    pub fn first_price(&self) -> Decimal {
        self.tiers.first().map_or(Decimal::ZERO, |tier| tier.price)
    }

    /// Whether the figure is more than [`OLD_AFTER_DAYS`] old on the day `today`. One without a date is not: who gave it
    /// answers for it.
    pub fn is_old(&self, today: NaiveDate) -> bool {
        let limit = self.date.and_then(|date| date.checked_add_days(Days::new(OLD_AFTER_DAYS)));
        limit.is_some_and(|limit| limit < today)
    }

    /// Whether the user gave it.
    pub fn is_override(&self) -> bool {
        self.source.url.is_none()
    }
}

/// Why an override is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOverride {
    /// No item has that name.
    #[error("`{given}` is not an item of the price book")]
    UnknownItem {
        /// What was given.
        given: String,
        /// The nearest name, when one is near enough to be meant.
        nearest: Option<&'static str>,
    },
    /// The tiers do not rise, have an end on the last or none on another, or a price below zero.
    #[error("the tiers of `{item}` must rise, only the last without an end, and no price below zero")]
    Tiers {
        /// The item's name.
        item: String,
    },
}

impl PriceBook {
    /// The prices that come with warmd.
    pub fn embedded() -> Self {
        static BOOK: LazyLock<PriceBook> = LazyLock::new(|| {
            // The data is compiled in, and a test reads it: this cannot fail at a user's.
            PriceBook::read(include_str!("prices.json")).expect("the embedded price book is well formed")
        });
        BOOK.clone()
    }

    fn read(json: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut figures = BTreeMap::new();
        for entry in file.figures {
            let item = Item::parse(&entry.item).ok_or_else(|| format!("unknown item {}", entry.item))?;
            let source = file.sources.get(&entry.source).ok_or_else(|| format!("{item}: no such source"))?;
            for (regions, price) in entry.prices {
                let tiers = price.tiers().filter(|tiers| well_formed(tiers));
                let tiers = tiers.ok_or_else(|| format!("{item}: malformed tiers"))?;
                for region in regions.split(' ') {
                    let place = match region {
                        "*" => None,
                        name => Some(Region::parse(name).map_err(|error| error.to_string())?),
                    };
                    let source = Source { name: source.name.clone(), url: Some(source.url.clone()) };
                    let figure = Figure { tiers: tiers.clone(), source, date: Some(entry.date) };
                    if figures.insert((item.clone(), place), figure).is_some() {
                        return Err(format!("{item} in {region} stands there twice"));
                    }
                }
            }
        }
        Ok(Self { figures: Arc::new(figures) })
    }

    /// The figure for `item` in `region`: the region's own, or the one that holds everywhere. `None` is unknown.
    pub fn lookup(&self, item: &Item, region: Region) -> Option<&Figure> {
        self.figures.get(&(item.clone(), Some(region))).or_else(|| self.figures.get(&(item.clone(), None)))
    }

    /// The price of the first unit of `item` in `region`.
    pub fn price(&self, item: &Item, region: Region) -> Option<Decimal> {
        self.lookup(item, region).map(Figure::first_price)
    }

    /// Puts a figure of the user's own in the place of the book's.
    ///
    /// `region` `None` replaces the figure that holds everywhere, and every regional one: it is meant for all.
    /// `date` is the day the user says it was looked up, if any; the last tier has no end.
    ///
    /// # Errors
    /// [`BadOverride`], when no item is called `name`, or the tiers make no sense. The book stays as it was then.
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
            return Err(BadOverride::Tiers { item: name.to_owned() });
        }
        // Copied only while somebody else has the same book.
        let figures = Arc::make_mut(&mut self.figures);
        if region.is_none() {
            let regional = figures.range((item.clone(), None)..).map(|(key, _)| key);
            let regional: Vec<_> = regional.take_while(|(known, _)| *known == item).cloned().collect();
            for key in regional {
                figures.remove(&key);
            }
        }
        let source = Source { name: source.into(), url: None };
        figures.insert((item, region), Figure { tiers, source, date });
        Ok(())
    }

    /// Every figure, by item and then region; region `None` holds everywhere.
    pub fn iter(&self) -> impl Iterator<Item = (&Item, Option<Region>, &Figure)> {
        self.figures.iter().map(|((item, region), figure)| (item, *region, figure))
    }

    /// The EC2 instance types with a price in `region`, and that price per hour.
    pub fn instances(&self, region: Region) -> impl Iterator<Item = (&str, Decimal)> {
        // A price of the region's own takes the place of the one that holds everywhere.
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

/// The data file. Prices are strings, because a JSON number would pass through binary floating point.
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
    /// Region names with spaces between them, or `*`, and their price.
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
    fn every_figure_has_a_source_a_date_a_unit_and_sensible_tiers() {
        let book = PriceBook::read(include_str!("prices.json")).unwrap();
        assert!(book.iter().count() > 100);
        for (item, _, figure) in book.iter() {
            assert!(figure.source.url.as_ref().unwrap().starts_with("https://"), "{item}");
            assert!(!figure.source.name.is_empty(), "{item}");
            assert!((day("2021-03-31")..=day("2026-11-20")).contains(&figure.date.unwrap()), "{item}");
            assert!(!item.unit().is_empty(), "{item}");
            assert!(well_formed(&figure.tiers), "{item}");
        }
    }

    #[test]
    fn eleven_regions_have_what_a_round_on_any_route_needs() {
        use crate::domain::fleet::Architecture::{Arm64, X86_64};
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
                Item::SameRegionGb,
                Item::InternetGb,
                Item::InterRegionGb,
                Item::NatGb,
                Item::EndpointGb,
                Item::Metrics,
                Item::Events,
            ] {
                assert!(PriceBook::embedded().lookup(&item, region(name)).is_some(), "{item} in {name}");
            }
        }
    }

    #[test]
    fn what_was_not_sourced_is_absent() {
        assert_eq!(PriceBook::embedded().price(&Item::Requests, region("me-south-1")), None);
    }

    #[test]
    fn an_override_wins_and_the_original_book_stays() {
        let book = PriceBook::embedded();
        let london = region("eu-west-2");
        let mut own = book.clone();
        own.set("nat-gateway.gb", Some(london), flat("0.03"), "contract", Some(day("2026-11-01"))).unwrap();
        assert_eq!(own.price(&Item::NatGb, london), Some("0.03".parse().unwrap()));
        assert!(own.lookup(&Item::NatGb, london).unwrap().is_override());
        assert_eq!(
            own.price(&Item::NatGb, region("us-east-1")),
            book.price(&Item::NatGb, region("us-east-1"))
        );
        assert_eq!(book.price(&Item::NatGb, london), Some("0.05".parse().unwrap()));

        let mut everywhere = own.clone();
        everywhere.set("nat-gateway.gb", None, flat("0.02"), "contract", None).unwrap();
        assert_eq!(everywhere.iter().filter(|(item, ..)| **item == Item::NatGb).count(), 1);
        for place in [london, region("me-south-1")] {
            assert_eq!(everywhere.price(&Item::NatGb, place), Some("0.02".parse().unwrap()));
        }
    }

    #[test]
    fn an_instance_has_one_price_in_a_region() {
        let virginia = region("us-east-1");
        let mut book = PriceBook::embedded();
        book.set("ec2.m7g.xlarge", None, flat("0.10"), "contract", None).unwrap();
        book.set("ec2.m7g.xlarge", Some(virginia), flat("0.12"), "contract", None).unwrap();
        let prices = |place| -> Vec<String> {
            let own = book.instances(place).filter(|(name, _)| *name == "m7g.xlarge");
            own.map(|(_, price)| price.to_string()).collect()
        };
        assert_eq!(prices(virginia), ["0.12"]);
        assert_eq!(prices(region("me-south-1")), ["0.10"]);
    }

    #[test]
    fn a_senseless_override_is_refused() {
        let mut book = PriceBook::embedded();
        let tier =
            |up_to: Option<u32>, price: i32| Tier { up_to: up_to.map(Decimal::from), price: price.into() };
        assert_eq!(
            book.set("nat-gateway.bg", None, flat("1"), "x", None).unwrap_err(),
            BadOverride::UnknownItem { given: "nat-gateway.bg".to_owned(), nearest: Some("nat-gateway.gb") }
        );
        for tiers in [
            vec![],
            vec![tier(None, -1)],
            vec![tier(Some(5), 1)],
            vec![tier(None, 1), tier(None, 1)],
            vec![tier(Some(5), 1), tier(Some(5), 1), tier(None, 1)],
        ] {
            assert!(book.set("nat-gateway.gb", None, tiers, "x", None).is_err());
        }
    }

    #[test]
    fn a_figure_is_old_from_its_181st_day() {
        let mut book = PriceBook::embedded();
        book.set("s3.get", None, flat("1"), "x", Some(day("2026-01-01"))).unwrap();
        let figure = book.lookup(&Item::S3Get, region("us-east-1")).unwrap().clone();
        assert!(!figure.is_old(day("2026-06-30")));
        assert!(figure.is_old(day("2026-07-01")));
        assert!(!Figure { date: None, ..figure }.is_old(day("2099-01-01")));
    }
}
