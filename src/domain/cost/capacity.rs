//! The cost of capacity: provisioned concurrency and managed instances.

use std::time::Duration;

use rust_decimal::Decimal;

use super::bill::Bill;
use super::calculator::{self, ManagedUsage};
use super::coverage::{
    Coverage, CoverageCost, Held, add_downloads, coverage_cost, environments_created, init_ms,
};
use super::instance;
use super::item::Item;
use super::price_book::PriceBook;
use super::round::s3_quantities;
use super::{S3Quantities, gb_seconds, months, seconds};
use crate::domain::capacity::{By, Meter, Strategy};
use crate::domain::function::{Architecture, Region};
use crate::domain::schedule::Segment;

/// The alarms that target tracking creates for a scalable target. Source: Application Auto Scaling, target tracking.
const ALARMS_PER_SCALABLE_TARGET: u64 = 2;
/// The minimum number of managed instances: Lambda uses three availability zones.
const MIN_INSTANCES: u64 = 3;

/// Estimates the cost of a target by its strategy. Pings that replace capacity while it is not available are not
/// included.
pub fn strategy_cost(prices: &PriceBook, coverage: &Coverage) -> CoverageCost {
    match coverage.strategy {
        Strategy::Pings => coverage_cost(prices, coverage),
        Strategy::Provisioned(provisioned) => {
            let held = held_in_windows(coverage);
            let bill = provisioned_bill(prices, coverage, held, Some(provisioned.by));
            let assumed = &["init_duration", "recycle_after", "memory", "architecture"];
            capacity_cost(coverage, held, downloads(coverage, held.created), bill, assumed)
        }
        Strategy::Managed(_) => {
            let seconds = coverage.steps.iter().map(environment_seconds).fold(0, u64::saturating_add);
            let bill = match Instances::cheapest(prices, coverage) {
                _ if seconds == 0 => Bill::default(),
                Some(instances) => instances.managed(prices, coverage),
                None => {
                    let hours = Decimal::from(seconds) / Decimal::from(3_600);
                    let mut bill = Bill::default();
                    bill.add_at("Managed instances", coverage.region, (hours, "environment-hour"), None);
                    bill
                }
            };
            let held = Held { seconds, created: 0 };
            capacity_cost(coverage, held, S3Quantities::default(), bill, &["memory", "architecture"])
        }
    }
}

fn capacity_cost(
    coverage: &Coverage,
    held: Held,
    s3: S3Quantities,
    bill: Bill,
    uses: &[&'static str],
) -> CoverageCost {
    let mut assumed = coverage.assume.assumed();
    assumed.retain(|name| held.seconds > 0 && uses.contains(name));
    CoverageCost { pings: 0, cold_starts: 0, cold_rounds: 0, held: Some(held), s3, bill, assumed }
}

/// Returns what provisioned concurrency holds in the steps of the capacity. Each environment is billed in whole steps
/// of five minutes, as [`Meter`] counts them.
pub(super) fn held_in_windows(coverage: &Coverage) -> Held {
    let mut meter = Meter::default();
    let mut seconds = 0_u64;
    let mut advance = |at: crate::domain::schedule::Minute, number| {
        seconds = seconds.saturating_add(meter.advance(at.instant(), number));
    };
    for (index, segment) in coverage.steps.iter().enumerate() {
        advance(segment.from, segment.desired);
        let is_followed = coverage.steps.get(index + 1).is_some_and(|next| next.from == segment.until);
        if !is_followed {
            advance(segment.until, 0);
        }
    }
    let recycle = coverage.assume.recycle_after.value();
    Held { seconds, created: environments_created(coverage.steps, Duration::ZERO, recycle) }
}

/// Returns the bill of provisioned concurrency. Lambda creates the environments in advance and bills their
/// initialisation. `by` adds what changes it; `None` if nothing does.
pub(super) fn provisioned_bill(prices: &PriceBook, coverage: &Coverage, held: Held, by: Option<By>) -> Bill {
    let Coverage { region, assume, .. } = *coverage;
    let (architecture, memory) = (assume.architecture.value(), assume.memory_mb.value());
    let held_ms = Decimal::from(held.seconds).saturating_mul(Decimal::ONE_THOUSAND);
    let mut bill = Bill::default();
    let idle = (&Item::ProvisionedIdle(architecture), region);
    let name = format!("Provisioned concurrency {}", architecture.as_str());
    bill.add(prices, name, idle, gb_seconds(held_ms, memory));
    let run = (&Item::ProvisionedDuration(architecture), region);
    bill.add(prices, "Provisioned initialisation", run, gb_seconds(init_ms(assume, held.created), memory));
    add_downloads(&mut bill, prices, region, &downloads(coverage, held.created));
    if matches!(by, Some(By::Autoscaling { .. })) && held.seconds > 0 {
        let alarms = Decimal::from(ALARMS_PER_SCALABLE_TARGET).saturating_mul(months(coverage.horizon));
        bill.add(prices, "CloudWatch alarms of target tracking", (&Item::Alarms, region), alarms);
    }
    bill
}

/// Returns the downloads of new environments. Each downloads everything once, including the downloads of pings.
pub(super) fn downloads(coverage: &Coverage, created: u64) -> S3Quantities {
    s3_quantities(coverage.downloads, created, Some(created)).unwrap_or_default()
}

fn environment_seconds(segment: &Segment) -> u64 {
    segment.seconds().saturating_mul(segment.desired.into())
}

/// Instances of one type that provide the environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instances<'p> {
    /// The type.
    pub name: &'p str,
    /// The highest number of instances.
    pub count: u64,
    /// The hours of all instances.
    hours: Decimal,
}

impl<'p> Instances<'p> {
    /// Returns the instances with the lowest total price: for managed instances those of each step, otherwise as many
    /// as the highest desired number needs, at all times. `None` without a type that has a price and enough memory.
    pub(super) fn cheapest(prices: &'p PriceBook, coverage: &Coverage) -> Option<Self> {
        let memory = coverage.assume.memory_mb.value().max(1);
        let architecture = coverage.assume.architecture.value();
        let levels: Vec<(u32, Decimal)> = match coverage.strategy {
            Strategy::Managed(_) => {
                let level = |step: &Segment| (step.desired, hours(Duration::from_secs(step.seconds())));
                coverage.steps.iter().map(level).collect()
            }
            Strategy::Pings | Strategy::Provisioned(_) => {
                vec![(coverage.highest(), hours(coverage.horizon))]
            }
        };
        let fitting = prices.instances(coverage.region).filter_map(|(name, price)| {
            let (memory_mb, each) = room(name, architecture, memory)?;
            let count = |desired: u32| u64::from(desired).div_ceil(each).max(MIN_INSTANCES);
            let hours = levels.iter().try_fold(Decimal::ZERO, |sum, (desired, hours)| {
                sum.checked_add(Decimal::from(count(*desired)).checked_mul(*hours)?)
            })?;
            let highest = levels.iter().map(|(desired, _)| count(*desired)).max()?;
            Some((hours.checked_mul(price)?, memory_mb, Self { name, count: highest, hours }))
        });
        let best = fitting.min_by_key(|(price, memory_mb, _)| (*price, *memory_mb));
        best.map(|(_, _, instances)| instances)
    }

    /// Returns the bill of managed instances, without requests.
    pub(super) fn managed(&self, prices: &PriceBook, coverage: &Coverage) -> Bill {
        let usage =
            ManagedUsage { instance: self.name.to_owned(), hours: self.hours, requests: 0, hourly: None };
        calculator::managed(prices, coverage.region, &usage)
    }

    /// Returns the bill of the same instances without Lambda.
    pub(super) fn ec2(&self, prices: &PriceBook, coverage: &Coverage) -> Bill {
        calculator::ec2(prices, coverage.region, self.name, 1, self.hours)
    }
}

/// Returns the memory of an instance type in MB, and the number of environments that it has room for; `None` if it has
/// none, or another instruction set.
fn room(name: &str, architecture: Architecture, memory_mb: u32) -> Option<(u32, u64)> {
    let shape = instance::shape(name).filter(|shape| shape.architecture == architecture)?;
    let each = u64::from(shape.memory_mb / memory_mb.max(1));
    (each > 0).then_some((shape.memory_mb, each))
}

/// Returns the price of an hour of `environments` environments on managed instances of the cheapest type that has room
/// for them, with the fee, in US dollars; `None` without a price.
pub fn managed_hour(
    prices: &PriceBook,
    region: Region,
    architecture: Architecture,
    memory_mb: u32,
    environments: u32,
) -> Option<Decimal> {
    let all = prices.instances(region).filter_map(|(name, price)| {
        let (_, each) = room(name, architecture, memory_mb)?;
        Decimal::from(u64::from(environments).div_ceil(each).max(MIN_INSTANCES)).checked_mul(price)
    });
    let fee = prices.price(&Item::ManagedFee, region)?;
    all.min()?.checked_mul(Decimal::ONE + fee)
}

fn hours(horizon: Duration) -> Decimal {
    seconds(horizon) / Decimal::from(3_600)
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
