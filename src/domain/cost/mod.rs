//! What warming costs. Quantities first, prices after; decimals; unknown stays unknown.
//!
//! A billed GB is 2^30 bytes on every route. GB-seconds are seconds times memory in units of 1,024 MB.

use std::fmt;
use std::time::Duration;

use rust_decimal::Decimal;

use super::function::{Region, UnknownRegion, nearest};

pub mod assume;
pub mod calculator;
pub mod compare;
pub mod coverage;
pub mod own;

mod bill;
mod book;
mod fleet;
mod instance;
mod item;
mod round;
mod traffic;

pub use bill::{Bill, BillLine};
pub use book::{BadOverride, Figure, OLD_AFTER_DAYS, PriceBook, Source, Tier};
pub use fleet::FleetCost;
pub use item::Item;
pub use round::{Flow, RoundCost, RoundQuantities, S3Quantities, Usage, round_cost, s3_quantities};
pub use traffic::cold_starts_per_second;

/// Something that a cold start, or every ping, downloads from S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The object, `s3://bucket/key`.
    pub object: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The way its bytes take.
    pub route: Route,
    /// How often it is downloaded.
    pub per: Per,
}

/// The way of bytes from S3 to a function: it decides the price per GB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Straight, or through a gateway endpoint, inside one region: free of transfer charges.
    SameRegion,
    /// Through a NAT gateway: its price per GB.
    NatGateway,
    /// Through an interface endpoint: its price per GB.
    InterfaceEndpoint,
    /// From a bucket in another region: that region's price per GB. In the bucket's own region it is free of charge.
    InterRegion {
        /// The bucket's region, whose price it is.
        bucket_region: Region,
    },
    /// Over the internet.
    Internet,
}

impl Route {
    /// The name, as configured and as in the tick object: `same-region`, `nat-gateway`, `interface-endpoint`,
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

    /// Reads a name as written on a command line: `inter-region` has the bucket's region after a colon.
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

    /// Every name.
    pub const NAMES: [&'static str; 5] =
        ["same-region", "nat-gateway", "interface-endpoint", "inter-region", "internet"];

    /// The region of the bucket, for a function in `region`.
    pub fn bucket_region(self, region: Region) -> Region {
        match self {
            Self::InterRegion { bucket_region } => bucket_region,
            Self::SameRegion | Self::NatGateway | Self::InterfaceEndpoint | Self::Internet => region,
        }
    }

    /// The item and the region whose price a GB on this route to `region` has.
    fn priced_as(self, book: &PriceBook, region: Region) -> (Item, Region) {
        match self {
            Self::SameRegion => (Item::SameRegionGb, region),
            Self::NatGateway => (Item::NatGb, region),
            Self::InterfaceEndpoint => (Item::EndpointGb, region),
            Self::Internet => (Item::InternetGb, region),
            // A function configured for several regions may be in the bucket's own: nothing leaves that region then.
            Self::InterRegion { bucket_region } if bucket_region == region => (Item::SameRegionGb, region),
            Self::InterRegion { bucket_region } => {
                let pair = Item::InterRegionGbTo(region);
                let item =
                    if book.lookup(&pair, bucket_region).is_some() { pair } else { Item::InterRegionGb };
                (item, bucket_region)
            }
        }
    }
}

impl fmt::Display for Route {
    /// The name; the bucket's region after a colon for `inter-region:REGION`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterRegion { bucket_region } => write!(f, "inter-region:{bucket_region}"),
            route => f.pad(route.name()),
        }
    }
}

/// Why a text is not a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    /// There is no such route.
    #[error("unknown route `{given}`")]
    Unknown {
        /// What was given.
        given: String,
        /// The nearest name, when one is near enough to be meant.
        nearest: Option<&'static str>,
    },
    /// `inter-region` without the bucket's region.
    #[error("`inter-region` needs the bucket's region, as in `inter-region:us-east-1`")]
    NoRegion,
    /// The bucket's region is not known.
    #[error(transparent)]
    Region(#[from] UnknownRegion),
}

/// How often something is downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Per {
    /// Once for each new environment.
    #[default]
    ColdStart,
    /// On every ping.
    Ping,
}

/// Bytes as billed GB of 2^30 bytes.
fn gb(bytes: u64) -> Decimal {
    Decimal::from(bytes) / Decimal::from(1_u64 << 30)
}

/// Milliseconds with `memory_mb` of memory as GB-seconds.
fn gb_seconds(ms: Decimal, memory_mb: u32) -> Decimal {
    // 1,024 MB times 1,000 ms. A product too large for a decimal would be more than all of AWS.
    ms.saturating_mul(Decimal::from(memory_mb)) / Decimal::from(1_024_000_u32)
}

fn seconds(duration: Duration) -> Decimal {
    Decimal::from(duration.as_secs()) + Decimal::new(i64::from(duration.subsec_nanos()), 9)
}

fn milliseconds(duration: Duration) -> Decimal {
    seconds(duration).saturating_mul(Decimal::ONE_THOUSAND)
}

/// A stretch of time in months of 730 hours, as AWS reckons them.
fn months(duration: Duration) -> Decimal {
    seconds(duration) / Decimal::from(730 * 3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_read_as_they_are_written() {
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
    fn nothing_leaves_the_buckets_own_region() {
        let [virginia, london] = ["us-east-1", "eu-west-2"].map(|name| Region::parse(name).unwrap());
        let book = PriceBook::embedded();
        let route = Route::InterRegion { bucket_region: virginia };
        let price = |reader| {
            let (item, place) = route.priced_as(&book, reader);
            book.price(&item, place).unwrap().to_string()
        };
        assert_eq!((price(london).as_str(), price(virginia).as_str()), ("0.02", "0"));
    }

    #[test]
    fn quantities_are_exact() {
        assert_eq!(gb(1 << 30), Decimal::ONE);
        assert_eq!(gb_seconds(Decimal::from(250), 512).to_string(), "0.125");
        assert_eq!(milliseconds(Duration::from_micros(1_500)).normalize().to_string(), "1.5");
        assert_eq!(months(Duration::from_secs(730 * 3_600)), Decimal::ONE);
    }
}
