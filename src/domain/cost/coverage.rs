//! What keeping environments warm over a stretch of time costs: the plan's money.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::super::function::Region;
use super::assume::Assumptions;
use super::bill::Bill;
use super::book::PriceBook;
use super::calculator::add_egress;
use super::item::Item;
use super::round::s3_quantities;
use super::{Download, S3Quantities, gb, gb_seconds, milliseconds};

/// A stretch of time with the same target: a segment of the plan. Minutes since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// First minute.
    pub from_minute: i64,
    /// The minute after the last.
    pub until_minute: i64,
    /// Environments wanted.
    pub target: u32,
}

impl Stretch {
    /// Its length in seconds; 0 when it ends before it starts.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.until_minute.saturating_sub(self.from_minute)).unwrap_or(0).saturating_mul(60)
    }
}

/// What one target's plan asks for, and what an estimate of it rests on.
#[derive(Debug, Clone, Copy)]
pub struct Coverage<'a> {
    /// Where the function is.
    pub region: Region,
    /// The plan's segments, by time, not overlapping.
    pub stretches: &'a [Stretch],
    /// Pings in the plan.
    pub pings: u64,
    /// Time between two rounds.
    pub interval: Duration,
    /// What cold starts or pings download.
    pub downloads: &'a [Download],
    /// What the estimate rests on.
    pub assume: &'a Assumptions,
}

/// What one target's plan costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageCost {
    /// Pings.
    pub pings: u64,
    /// New environments among them.
    pub cold_starts: u64,
    /// About how many rounds have new environments among their pings: those of a round are made together.
    pub cold_rounds: u64,
    /// What they download.
    pub s3: S3Quantities,
    /// Requests, compute, S3 requests, S3 egress by route, logs of the pings.
    pub bill: Bill,
    /// The assumptions that the estimate uses and nobody configured, by their names in the configuration.
    pub assumed: Vec<&'static str>,
}

impl Serialize for CoverageCost {
    /// `pings`, `cold_starts`, `s3_egress_bytes`, `lines`, `total`, `assumed`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cost = serializer.serialize_struct("CoverageCost", 6)?;
        cost.serialize_field("pings", &self.pings)?;
        cost.serialize_field("cold_starts", &self.cold_starts)?;
        cost.serialize_field("s3_egress_bytes", &self.s3.bytes())?;
        cost.serialize_field("lines", &self.bill.lines)?;
        cost.serialize_field("total", &self.bill.total())?;
        cost.serialize_field("assumed", &self.assumed)?;
        cost.end()
    }
}

/// What the plan of one target costs, with nothing else on the account: tiers start at zero, no free tier.
/// Hours of a NAT gateway are not counted: it is there anyway.
pub fn coverage_cost(book: &PriceBook, coverage: &Coverage) -> CoverageCost {
    let Coverage { region, assume, pings, .. } = *coverage;
    // When rounds are further apart than an idle environment lives, every ping is cold.
    let all_cold = coverage.interval > assume.idle_life.value();
    let cold_starts = if all_cold {
        pings
    } else {
        environments_made(coverage.stretches, assume.idle_life.value(), assume.recycle_after.value())
    };
    // Cold starts are known here, so the quantities are too.
    let s3 = s3_quantities(coverage.downloads, pings, Some(cold_starts)).unwrap_or_default();

    let mut bill = Bill::default();
    bill.add(book, "Lambda requests", (&Item::Requests, region), Decimal::from(pings), Decimal::ZERO);
    let architecture = assume.architecture.value();
    let ran = Decimal::from(pings)
        .saturating_mul(milliseconds(assume.ping_duration.value()))
        .saturating_add(init_ms(assume, cold_starts));
    let compute = gb_seconds(ran, assume.memory_mb.value());
    let name = format!("Lambda compute {}", architecture.as_str());
    bill.add(book, name, (&Item::Duration(architecture), region), compute, Decimal::ZERO);
    add_downloads(&mut bill, book, region, &s3);
    let logs = gb(pings.saturating_mul(assume.log_bytes_per_ping.value()));
    bill.add(book, "CloudWatch Logs of pings", (&Item::LogGb, region), logs, Decimal::ZERO);
    let highest = coverage.stretches.iter().map(|stretch| u64::from(stretch.target)).max().unwrap_or(0);
    let cold_rounds = cold_starts.div_ceil(highest.max(1));
    let mut assumed = assume.assumed();
    // Where nothing is pinged nothing is assumed, and where every ping is cold nobody waits for a recycling.
    assumed.retain(|name| pings > 0 && !(all_cold && *name == "recycle_after"));
    CoverageCost { pings, cold_starts, cold_rounds, s3, bill, assumed }
}

/// Billed milliseconds of making `environments`.
pub(super) fn init_ms(assume: &Assumptions, environments: u64) -> Decimal {
    Decimal::from(environments).saturating_mul(milliseconds(assume.init_duration.value()))
}

/// Adds the lines of what comes from S3: requests by the bucket's region, bytes by route.
pub(super) fn add_downloads(bill: &mut Bill, book: &PriceBook, region: Region, s3: &S3Quantities) {
    let mut gets: BTreeMap<Region, Decimal> = BTreeMap::new();
    for (route, flow) in s3.flows() {
        *gets.entry(route.bucket_region(region)).or_default() += Decimal::from(flow.gets);
    }
    for (bucket, gets) in gets {
        bill.add(book, "S3 GET requests", (&Item::S3Get, bucket), gets, Decimal::ZERO);
    }
    for (route, flow) in s3.flows() {
        add_egress(bill, book, region, route, flow.bytes, 0);
    }
}

/// How many environments are made to have always as many as wanted: for k = 1 … the highest target, the k-th lives
/// through the stretches with target ≥ k and through pauses shorter than `idle_life`, and is made anew each
/// `recycle_after`.
pub(super) fn environments_made(stretches: &[Stretch], idle_life: Duration, recycle_after: Duration) -> u64 {
    let recycle = recycle_after.as_secs().max(1);
    sum_over_environments(stretches, idle_life, |seconds| seconds.div_ceil(recycle).max(1))
}

/// The sum of `of(seconds)` over every environment's unbroken stretches.
pub(super) fn sum_over_environments(
    stretches: &[Stretch],
    idle_life: Duration,
    of: impl Fn(u64) -> u64,
) -> u64 {
    let mut levels: Vec<u32> =
        stretches.iter().map(|stretch| stretch.target).filter(|target| *target > 0).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut below = 0;
    let mut sum = 0_u64;
    for level in levels {
        // Environments below + 1 … level are wanted at the very same times.
        let alike = u64::from(level - below);
        let one = unbroken(stretches, level, idle_life).into_iter().map(&of).fold(0, u64::saturating_add);
        sum = sum.saturating_add(alike.saturating_mul(one));
        below = level;
    }
    sum
}

/// The lengths, in seconds, of the stretches with at least `level` wanted, joined over pauses shorter than `idle_life`.
fn unbroken(stretches: &[Stretch], level: u32, idle_life: Duration) -> Vec<u64> {
    let mut joined: Vec<Stretch> = Vec::new();
    for stretch in stretches.iter().filter(|stretch| stretch.target >= level) {
        match joined.last_mut() {
            Some(last) => {
                let pause =
                    Stretch { from_minute: last.until_minute, until_minute: stretch.from_minute, target: 0 };
                if pause.seconds() == 0 || Duration::from_secs(pause.seconds()) < idle_life {
                    last.until_minute = last.until_minute.max(stretch.until_minute);
                } else {
                    joined.push(*stretch);
                }
            }
            None => joined.push(*stretch),
        }
    }
    joined.iter().map(Stretch::seconds).collect()
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
