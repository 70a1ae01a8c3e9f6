//! What warming costs. Quantities first, prices after; decimals; unknown stays unknown.
//!
//! A billed GB is 2^30 bytes on every route. GB-seconds are seconds times memory in units of 1,024 MB.

use std::fmt;

use rust_decimal::Decimal;

use super::function::Region;

mod book;
mod item;
mod round;

pub use book::{BadOverride, Figure, OLD_AFTER_DAYS, PriceBook, Source, Tier};
pub use item::Item;
pub use round::{Flow, RoundQuantities, S3Quantities, billed_requests, round_cost, s3_quantities};

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
    /// From a bucket in another region.
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
