//! The cost of warming. Quantities are computed before prices, amounts are decimals, and unknown values stay unknown.
//!
//! AWS bills data in units of 2^30 bytes, shown as GiB. A GB-s is a second of 1,024 MB of memory.

use std::fmt;
use std::time::Duration;

use rust_decimal::Decimal;

use super::function::{Region, UnknownRegion};
use super::parse::{nearest, quoted};

pub mod advice;
pub mod assume;
pub mod calculator;
pub mod capacity;
pub mod compare;
pub mod coverage;
pub mod self_usage;

mod bill;
mod fleet;
mod instance;
mod item;
mod payload;
mod price_book;
mod round;
mod traffic;

pub use bill::{Bill, BillLine};
pub use fleet::FleetCost;
pub use item::Item;
pub use payload::payloads;
pub use price_book::{BadOverride, Figure, OLD_AFTER_DAYS, PriceBook, PriceSource, Tier};
pub use round::{
    ByKindCost, Flow, RoundCost, RoundQuantities, S3Quantities, Usage, round_cost, s3_quantities,
};
pub use traffic::cold_starts_per_second;

/// A download from S3 by a cold start or by every ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The object, `s3://bucket/key`.
    pub object: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The route of the bytes.
    pub route: Route,
    /// The frequency of the download.
    pub per: Per,
}

#[cfg(test)]
impl Download {
    /// Creates a download of 220 MB for tests.
    pub(crate) fn example(route: Route, per: Per) -> Self {
        Self { object: "s3://models/nlp-v7.bin".to_owned(), size_bytes: 220_000_000, route, per }
    }
}

/// The route of bytes from S3 to a function, which determines the price per GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Directly or through a gateway endpoint within a region: no transfer charge.
    SameRegion,
    /// Through a NAT gateway: its price per GiB.
    NatGateway,
    /// Through an interface endpoint: its price per GiB.
    InterfaceEndpoint,
    /// From a bucket in another region: that region's price per GiB. No charge in the bucket's region.
    InterRegion {
        /// The bucket's region, whose price applies.
        bucket_region: Region,
    },
    /// Over the internet.
    Internet,
}

impl Route {
    /// Returns the name in the configuration and the tick object: `same-region`, `nat-gateway`, `interface-endpoint`,
    /// `inter-region`, `internet`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameRegion => "same-region",
            Self::NatGateway => "nat-gateway",
            Self::InterfaceEndpoint => "interface-endpoint",
            Self::InterRegion { .. } => "inter-region",
            Self::Internet => "internet",
        }
    }

    /// Parses a name as given on the command line. `inter-region` is followed by a colon and the bucket's region.
    ///
    /// # Errors
    /// [`BadRoute`].
    pub fn parse(text: &str) -> Result<Self, BadRoute> {
        match text.split_once(':').map_or((text, None), |(name, region)| (name, Some(region))) {
            ("same-region", None) => Ok(Self::SameRegion),
            ("nat-gateway", None) => Ok(Self::NatGateway),
            ("interface-endpoint", None) => Ok(Self::InterfaceEndpoint),
            ("internet", None) => Ok(Self::Internet),
            ("inter-region", Some(region)) => Ok(Self::InterRegion { bucket_region: Region::parse(region)? }),
            ("inter-region", None) => Err(BadRoute::NoRegion),
            (name, _) => {
                Err(BadRoute::Unknown { given: text.to_owned(), nearest: nearest(name, Self::NAMES) })
            }
        }
    }

    /// The names of all routes.
    pub const NAMES: [&'static str; 5] =
        ["same-region", "nat-gateway", "interface-endpoint", "inter-region", "internet"];

    /// Returns the region of the bucket for a function in `region`.
    pub fn bucket_region(self, region: Region) -> Region {
        match self {
            Self::InterRegion { bucket_region } => bucket_region,
            Self::SameRegion | Self::NatGateway | Self::InterfaceEndpoint | Self::Internet => region,
        }
    }

    /// Returns the item and the region of the price per GiB on this route to `region`.
    fn priced_as(self, prices: &PriceBook, region: Region) -> (Item, Region) {
        match self {
            Self::SameRegion => (Item::SameRegionData, region),
            Self::NatGateway => (Item::NatData, region),
            Self::InterfaceEndpoint => (Item::EndpointData, region),
            Self::Internet => (Item::InternetData, region),
            // A function in several regions may be in the bucket's region. The data does not leave it.
            Self::InterRegion { bucket_region } if bucket_region == region => (Item::SameRegionData, region),
            Self::InterRegion { bucket_region } => {
                let pair = Item::InterRegionDataTo(region);
                let item =
                    if prices.lookup(&pair, bucket_region).is_some() { pair } else { Item::InterRegionData };
                (item, bucket_region)
            }
        }
    }
}

impl fmt::Display for Route {
    /// Formats the name, with the bucket's region in `inter-region:REGION`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterRegion { bucket_region } => write!(f, "inter-region:{bucket_region}"),
            route => f.pad(route.name()),
        }
    }
}

/// The error for an invalid route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    /// The route is unknown.
    #[error("unknown route {}", quoted(given))]
    Unknown {
        /// The given text.
        given: String,
        /// The nearest name, if a typo is likely.
        nearest: Option<&'static str>,
    },
    /// `inter-region` without the bucket's region.
    #[error("`inter-region` needs the bucket's region, as in `inter-region:us-east-1`")]
    NoRegion,
    /// The bucket's region is unknown.
    #[error(transparent)]
    Region(#[from] UnknownRegion),
}

/// The frequency of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Per {
    /// Once in each new environment.
    #[default]
    ColdStart,
    /// On every ping.
    Ping,
}

/// Converts bytes to billed units of 2^30 bytes.
fn gib(bytes: u64) -> Decimal {
    Decimal::from(bytes) / Decimal::from(1_u64 << 30)
}

/// Converts milliseconds with `memory_mb` of memory to GB-s.
pub(in crate::domain) fn gb_seconds(ms: Decimal, memory_mb: u32) -> Decimal {
    // 1,024 MB times 1,000 ms. A product beyond the range of decimals is not realistic.
    ms.saturating_mul(Decimal::from(memory_mb)) / Decimal::from(1_024_000_u32)
}

/// Returns the memory of `environments` in GB of 2^30 bytes.
fn memory_gib(environments: u64, memory_mb: u32) -> Decimal {
    Decimal::from(environments).saturating_mul(gb_seconds(Decimal::ONE_THOUSAND, memory_mb))
}

fn seconds(duration: Duration) -> Decimal {
    Decimal::from(duration.as_secs()) + Decimal::new(i64::from(duration.subsec_nanos()), 9)
}

fn milliseconds(duration: Duration) -> Decimal {
    seconds(duration).saturating_mul(Decimal::ONE_THOUSAND)
}

/// Converts a duration to months of 730 hours, as AWS bills them.
fn months(duration: Duration) -> Decimal {
    seconds(duration) / Decimal::from(730 * 3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_round_trip() {
        let routes =
            ["same-region", "nat-gateway", "interface-endpoint", "inter-region:us-east-1", "internet"];
        for (text, name) in routes.into_iter().zip(Route::NAMES) {
            let route = Route::parse(text).unwrap();
            assert_eq!((route.to_string().as_str(), route.name()), (text, name));
        }
        assert_eq!(Route::parse("inter-region"), Err(BadRoute::NoRegion));
        assert!(matches!(Route::parse("inter-region:us-eats-1"), Err(BadRoute::Region(_))));
        for text in ["nat-gatway", "nat-gateway:us-east-1"] {
            let nearest = Some("nat-gateway");
            assert_eq!(Route::parse(text), Err(BadRoute::Unknown { given: text.to_owned(), nearest }));
        }
    }

    #[test]
    fn no_charge_in_the_region_of_the_bucket() {
        let [virginia, london] = ["us-east-1", "eu-west-2"].map(|name| Region::parse(name).unwrap());
        let prices = PriceBook::embedded();
        let route = Route::InterRegion { bucket_region: virginia };
        let price = |reader| {
            let (item, place) = route.priced_as(&prices, reader);
            prices.price(&item, place).unwrap().to_string()
        };
        assert_eq!((price(london).as_str(), price(virginia).as_str()), ("0.02", "0"));
    }

    #[test]
    fn quantities_are_exact() {
        assert_eq!(gib(1 << 30), Decimal::ONE);
        assert_eq!(gb_seconds(Decimal::from(250), 512).to_string(), "0.125");
        assert_eq!(milliseconds(Duration::from_micros(1_500)).normalize().to_string(), "1.5");
        assert_eq!(months(Duration::from_secs(730 * 3_600)), Decimal::ONE);
    }
}
