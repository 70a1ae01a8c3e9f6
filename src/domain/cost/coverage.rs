//! The cost of keeping environments warm over the segments of a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::assume::Assumptions;
use super::bill::Bill;
use super::calculator::add_egress;
use super::item::Item;
use super::price_book::PriceBook;
use super::round::s3_quantities;
use super::{Download, S3Quantities, gb_seconds, gib, memory_gib, milliseconds};
use crate::domain::capacity::Strategy;
use crate::domain::function::Region;
use crate::domain::schedule::{Minute, Segment, seconds_between};

/// The plan of one target, with the assumptions of the estimate.
#[derive(Debug, Clone, Copy)]
pub struct Coverage<'a> {
    /// The region of the function.
    pub region: Region,
    /// The segments of pings, sorted and not overlapping.
    pub segments: &'a [Segment],
    /// The segments of capacity, sorted and not overlapping: with its lead and in its steps. For pings they are those
    /// of the provisioned concurrency with which they are compared.
    pub steps: &'a [Segment],
    /// The means that keep the target warm.
    pub strategy: Strategy,
    /// The length of the period.
    pub horizon: Duration,
    /// The time between two rounds.
    pub interval: Duration,
    /// The downloads of cold starts or pings.
    pub downloads: &'a [Download],
    /// The assumptions of the estimate.
    pub assume: &'a Assumptions,
    /// True for a tenant of a function with tenant isolation, whose new environments have a price of their own.
    pub is_tenant: bool,
}

impl Coverage<'_> {
    /// Returns the number of pings, without top-ups.
    pub fn pings(&self) -> u64 {
        self.segments.iter().map(Segment::pings).fold(0, u64::saturating_add)
    }

    /// Returns the highest desired number, the floor of managed instances included.
    pub fn highest(&self) -> u32 {
        let segments = if self.strategy.is_capacity() { self.steps } else { self.segments };
        segments.iter().map(|segment| segment.desired).max().unwrap_or(0)
    }
}

/// The cost of the plan of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageCost {
    /// Pings.
    pub pings: u64,
    /// New environments among them.
    pub cold_starts: u64,
    /// The approximate number of rounds with new environments, which a round creates together.
    pub cold_rounds: u64,
    /// The capacity; `None` for pings.
    pub held: Option<Held>,
    /// The downloads.
    pub s3: S3Quantities,
    /// Requests, compute, S3 requests, S3 egress by route, and logs of the pings; or the capacity.
    pub bill: Bill,
    /// The assumptions that are not configured, by their names in the configuration.
    pub assumed: Vec<&'static str>,
}

/// The capacity that a target has over a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Environment-seconds: those that are billed of provisioned concurrency, the wanted ones of managed instances.
    pub seconds: u64,
    /// The environments that Lambda creates in advance; 0 for managed instances, whose environments do not expire.
    pub created: u64,
}

impl Serialize for CoverageCost {
    /// Serializes `pings`, `cold_starts`, for capacity `environment_seconds` and `environments_created`, and
    /// `s3_egress_bytes`, `lines`, `total` and `assumed`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cost =
            serializer.serialize_struct("CoverageCost", if self.held.is_some() { 8 } else { 6 })?;
        cost.serialize_field("pings", &self.pings)?;
        cost.serialize_field("cold_starts", &self.cold_starts)?;
        if let Some(held) = self.held {
            cost.serialize_field("environment_seconds", &held.seconds)?;
            cost.serialize_field("environments_created", &held.created)?;
        }
        cost.serialize_field("s3_egress_bytes", &self.s3.bytes())?;
        cost.serialize_field("lines", &self.bill.lines)?;
        cost.serialize_field("total", &self.bill.total())?;
        cost.serialize_field("assumed", &self.assumed)?;
        cost.end()
    }
}

/// Estimates the cost of the pings of one target on an otherwise unused account: tiers start at zero, and there is no
/// free tier. Hours of a NAT gateway are not included, because the gateway exists anyway.
pub fn coverage_cost(prices: &PriceBook, coverage: &Coverage) -> CoverageCost {
    let Coverage { region, assume, .. } = *coverage;
    let pings = coverage.pings();
    // Every ping is cold when the time between rounds exceeds the lifetime of idle environments.
    let all_cold = coverage.interval > assume.idle_life.value();
    let cold_starts = if all_cold {
        pings
    } else {
        environments_created(coverage.segments, assume.idle_life.value(), assume.recycle_after.value())
    };
    // The quantities are known, because the number of cold starts is.
    let s3 = s3_quantities(coverage.downloads, pings, Some(cold_starts)).unwrap_or_default();

    let mut bill = Bill::default();
    bill.add(prices, "Lambda requests", (&Item::Requests, region), Decimal::from(pings));
    let architecture = assume.architecture.value();
    let ran = Decimal::from(pings)
        .saturating_mul(milliseconds(assume.ping_duration.value()))
        .saturating_add(init_ms(assume, cold_starts));
    let compute = gb_seconds(ran, assume.memory_mb.value());
    let name = format!("Lambda compute {}", architecture.as_str());
    bill.add(prices, name, (&Item::Duration(architecture), region), compute);
    add_downloads(&mut bill, prices, region, &s3);
    add_tenant_environments(&mut bill, prices, coverage, cold_starts);
    let logs = gib(pings.saturating_mul(assume.log_bytes_per_ping.value()));
    bill.add(prices, "CloudWatch Logs of pings", (&Item::LogData, region), logs);
    let cold_rounds = cold_starts.div_ceil(u64::from(coverage.highest().max(1)));
    let mut assumed = assume.assumed();
    // A plan without pings uses no assumption, and cold environments are not recycled.
    assumed.retain(|name| pings > 0 && !(all_cold && *name == "recycle_after"));
    CoverageCost { pings, cold_starts, cold_rounds, held: None, s3, bill, assumed }
}

/// Returns the billed milliseconds of creating `environments`.
pub(super) fn init_ms(assume: &Assumptions, environments: u64) -> Decimal {
    Decimal::from(environments).saturating_mul(milliseconds(assume.init_duration.value()))
}

/// Adds the line for new environments of a tenant.
pub(super) fn add_tenant_environments(
    bill: &mut Bill,
    prices: &PriceBook,
    coverage: &Coverage,
    created: u64,
) {
    if coverage.is_tenant {
        let memory = memory_gib(created, coverage.assume.memory_mb.value());
        let item = (&Item::TenantEnvironment, coverage.region);
        bill.add(prices, "Tenant isolation, new environments", item, memory);
    }
}

/// Adds the lines for downloads from S3: requests by the bucket's region, bytes by route.
pub(super) fn add_downloads(bill: &mut Bill, prices: &PriceBook, region: Region, s3: &S3Quantities) {
    let mut gets: BTreeMap<Region, Decimal> = BTreeMap::new();
    for (route, flow) in s3.flows() {
        *gets.entry(route.bucket_region(region)).or_default() += Decimal::from(flow.gets);
    }
    for (bucket, gets) in gets {
        bill.add(prices, "S3 GET requests", (&Item::S3Get, bucket), gets);
    }
    for (route, flow) in s3.flows() {
        add_egress(bill, prices, region, route, flow.bytes, 0);
    }
}

/// Returns the number of environments created to provide the desired number at all times.
///
/// For k = 1 … the highest number, the k-th environment lives through the segments with a desired number of at least k
/// and through pauses shorter than `idle_life`, and is replaced every `recycle_after`.
pub(super) fn environments_created(
    segments: &[Segment],
    idle_life: Duration,
    recycle_after: Duration,
) -> u64 {
    let recycle = recycle_after.as_secs().max(1);
    sum_over_environments(segments, idle_life, |seconds| seconds.div_ceil(recycle).max(1))
}

/// Returns the sum of `of(seconds)` over the uninterrupted periods of every environment.
pub(super) fn sum_over_environments(
    segments: &[Segment],
    idle_life: Duration,
    of: impl Fn(u64) -> u64,
) -> u64 {
    let mut levels: Vec<u32> =
        segments.iter().map(|segment| segment.desired).filter(|desired| *desired > 0).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut below = 0;
    let mut sum = 0_u64;
    for level in levels {
        // Environments below + 1 … level have the same periods.
        let alike = u64::from(level - below);
        let one = uninterrupted(segments, level, idle_life).into_iter().map(&of).fold(0, u64::saturating_add);
        sum = sum.saturating_add(alike.saturating_mul(one));
        below = level;
    }
    sum
}

/// Returns the lengths in seconds of the periods with at least `level` environments, joined over pauses shorter than
/// `idle_life`.
fn uninterrupted(segments: &[Segment], level: u32, idle_life: Duration) -> Vec<u64> {
    let mut joined: Vec<(Minute, Minute)> = Vec::new();
    for segment in segments.iter().filter(|segment| segment.desired >= level) {
        if let Some((_, until)) = joined.last_mut() {
            let pause = seconds_between(*until, segment.from);
            if pause == 0 || Duration::from_secs(pause) < idle_life {
                *until = segment.until.max(*until);
                continue;
            }
        }
        joined.push((segment.from, segment.until));
    }
    joined.into_iter().map(|(from, until)| seconds_between(from, until)).collect()
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
