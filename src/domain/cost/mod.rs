//! What warming costs. Quantities first, prices after; decimals; unknown stays unknown.

use super::function::Region;

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

/// How often something is downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Per {
    /// Once for each new environment.
    #[default]
    ColdStart,
    /// On every ping.
    Ping,
}
