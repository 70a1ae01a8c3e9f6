//! Compares the cost of pings with provisioned concurrency, managed instances, EC2 and no warming.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::assume::Traffic;
use super::bill::Bill;
use super::calculator::{self, ManagedUsage, break_even_utilisation};
use super::coverage::{
    Coverage, add_downloads, add_tenant_environments, coverage_cost, environments_created, init_ms,
    sum_over_environments,
};
use super::instance::{self, Shape};
use super::item::Item;
use super::price_book::PriceBook;
use super::round::s3_quantities;
use super::traffic::cold_starts_per_second;
use super::{gb_seconds, seconds};
use crate::domain::schedule::Segment;
use crate::domain::text::grouped;

/// The billing step of provisioned concurrency in seconds. Source: AWS Lambda pricing.
const PROVISIONED_STEP_SECONDS: u64 = 300;
/// The minimum number of managed instances: Lambda uses three availability zones.
const MIN_INSTANCES: u64 = 3;

/// An alternative for the availability of environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostAlternative {
    /// Pings.
    Pings,
    /// Provisioned concurrency in the same windows.
    ProvisionedWindows,
    /// Provisioned concurrency of the highest desired number, at all times.
    ProvisionedAlways,
    /// Lambda managed instances.
    ManagedInstances,
    /// The same instances without Lambda's fee.
    Ec2,
    /// No warming: users wait for cold starts.
    Nothing,
}

impl CostAlternative {
    /// Returns the name shown to users.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pings => "pings",
            Self::ProvisionedWindows => "provisioned, in windows",
            Self::ProvisionedAlways => "provisioned, always",
            Self::ManagedInstances => "managed instances",
            Self::Ec2 => "EC2 instances",
            Self::Nothing => "no warming",
        }
    }
}

/// The cost of an alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostOption {
    /// The alternative.
    pub alternative: CostAlternative,
    /// The bill, without the run time of user requests, which is the same for all; `None` when unknown.
    pub bill: Option<Bill>,
    /// Cold starts that delay invocations: of pings, or of users without warming.
    pub cold_starts: Option<u64>,
    /// Details, or the reason for which the cost is unknown.
    pub note: Option<String>,
}

impl CostOption {
    /// Returns US dollars, or `None` when unknown.
    pub fn total(&self) -> Option<Decimal> {
        self.bill.as_ref().and_then(Bill::total)
    }
}

impl Serialize for CostOption {
    /// Serializes `option`, `total`, `cold_starts` and `lines`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut option = serializer.serialize_struct("CostOption", 4)?;
        option.serialize_field("option", &self.alternative)?;
        option.serialize_field("total", &self.total())?;
        option.serialize_field("cold_starts", &self.cold_starts)?;
        option.serialize_field("lines", self.bill.as_ref().map_or(&[][..], |bill| &bill.lines[..]))?;
        option.end()
    }
}

/// The comparison of the alternatives for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Every [`CostAlternative`], in order.
    pub options: Vec<CostOption>,
    /// The alternative with the lowest known total, the first of several.
    pub cheapest: Option<CostAlternative>,
    /// The utilisation from which provisioned concurrency is cheaper than duration on demand, such as 0.60.
    pub break_even_utilisation: Option<Decimal>,
}

/// Compares the alternatives for the coverage of one target over `horizon`.
pub fn compare(prices: &PriceBook, coverage: &Coverage, horizon: Duration) -> Comparison {
    let options = vec![
        pings(prices, coverage),
        provisioned_in_windows(prices, coverage),
        provisioned_always(prices, coverage, horizon),
        managed_instances(prices, coverage, horizon),
        ec2(prices, coverage, horizon),
        no_warming(prices, coverage),
    ];
    let known = options.iter().filter_map(|option| option.total().map(|total| (total, option.alternative)));
    let cheapest = known.min_by_key(|(total, _)| *total).map(|(_, alternative)| alternative);
    let architecture = coverage.assume.architecture.value();
    let break_even_utilisation = break_even_utilisation(prices, coverage.region, architecture);
    let break_even_utilisation = break_even_utilisation.filter(|_| !coverage.is_tenant);
    Comparison { options, cheapest, break_even_utilisation }
}

fn pings(prices: &PriceBook, coverage: &Coverage) -> CostOption {
    let cost = coverage_cost(prices, coverage);
    CostOption {
        alternative: CostAlternative::Pings,
        bill: Some(cost.bill),
        cold_starts: Some(cost.cold_starts),
        note: None,
    }
}

fn provisioned_in_windows(prices: &PriceBook, coverage: &Coverage) -> CostOption {
    let recycle = coverage.assume.recycle_after.value();
    let held = sum_over_environments(coverage.segments, Duration::ZERO, |seconds| {
        seconds.div_ceil(PROVISIONED_STEP_SECONDS).saturating_mul(PROVISIONED_STEP_SECONDS)
    });
    let created = environments_created(coverage.segments, Duration::ZERO, recycle);
    provisioned(prices, coverage, CostAlternative::ProvisionedWindows, held, created)
}

fn provisioned_always(prices: &PriceBook, coverage: &Coverage, horizon: Duration) -> CostOption {
    let recycle = coverage.assume.recycle_after.value().as_secs().max(1);
    let highest = u64::from(coverage.highest());
    let held = highest.saturating_mul(horizon.as_secs());
    let created = highest.saturating_mul(horizon.as_secs().div_ceil(recycle));
    provisioned(prices, coverage, CostAlternative::ProvisionedAlways, held, created)
}

/// Returns the cost of provisioned concurrency for `held` environment-seconds in which Lambda creates `created`
/// environments. Lambda creates them in advance and bills their initialisation.
fn provisioned(
    prices: &PriceBook,
    coverage: &Coverage,
    alternative: CostAlternative,
    held: u64,
    created: u64,
) -> CostOption {
    let Coverage { region, assume, is_tenant, .. } = *coverage;
    if is_tenant {
        let note = Some("not available with tenant isolation".to_owned());
        return CostOption { alternative, bill: None, cold_starts: None, note };
    }
    let (architecture, memory) = (assume.architecture.value(), assume.memory_mb.value());
    let held_ms = Decimal::from(held).saturating_mul(Decimal::ONE_THOUSAND);
    let mut bill = Bill::default();
    let idle = (&Item::ProvisionedIdle(architecture), region);
    let name = format!("Provisioned concurrency {}", architecture.as_str());
    bill.add(prices, name, idle, gb_seconds(held_ms, memory));
    let run = (&Item::ProvisionedDuration(architecture), region);
    bill.add(prices, "Provisioned initialisation", run, gb_seconds(init_ms(assume, created), memory));
    add_downloads_of_environments(&mut bill, prices, coverage, created);
    let note = Some(format!("{} environments created in advance", grouped(created)));
    CostOption { alternative, bill: Some(bill), cold_starts: Some(0), note }
}

/// Adds the downloads of new environments. Each downloads everything once, including the downloads of pings.
fn add_downloads_of_environments(bill: &mut Bill, prices: &PriceBook, coverage: &Coverage, created: u64) {
    let s3 = s3_quantities(coverage.downloads, created, Some(created)).unwrap_or_default();
    add_downloads(bill, prices, coverage.region, &s3);
}

/// Returns the instance type with the lowest total price that provides the highest desired number, and the number of
/// instances.
fn cheapest_instances<'a>(prices: &'a PriceBook, coverage: &Coverage) -> Option<(&'a str, u64)> {
    let memory = coverage.assume.memory_mb.value().max(1);
    let architecture = coverage.assume.architecture.value();
    let fitting = prices.instances(coverage.region).filter_map(|(name, price)| {
        let Shape { memory_mb, .. } =
            instance::shape(name).filter(|shape| shape.architecture == architecture)?;
        let each = u64::from(memory_mb / memory);
        let count = if each == 0 {
            return None;
        } else {
            u64::from(coverage.highest()).div_ceil(each).max(MIN_INSTANCES)
        };
        Some((Decimal::from(count).checked_mul(price)?, memory_mb, name, count))
    });
    let best = fitting.min_by_key(|(price, memory_mb, _, _)| (*price, *memory_mb));
    best.map(|(_, _, name, count)| (name, count))
}

fn managed_instances(prices: &PriceBook, coverage: &Coverage, horizon: Duration) -> CostOption {
    on_instances(prices, coverage, CostAlternative::ManagedInstances, |instance, count| {
        let hours = Decimal::from(count).saturating_mul(hours(horizon));
        let usage = ManagedUsage { instance: instance.to_owned(), hours, requests: 0, hourly: None };
        calculator::managed(prices, coverage.region, &usage)
    })
}

fn ec2(prices: &PriceBook, coverage: &Coverage, horizon: Duration) -> CostOption {
    on_instances(prices, coverage, CostAlternative::Ec2, |instance, count| {
        calculator::ec2(prices, coverage.region, instance, count, hours(horizon))
    })
}

/// Returns the cost of instances. Their environments do not expire, so the downloads at their start are not included.
fn on_instances(
    prices: &PriceBook,
    coverage: &Coverage,
    alternative: CostAlternative,
    bill: impl Fn(&str, u64) -> Bill,
) -> CostOption {
    let (bill, note) = if coverage.highest() == 0 {
        (Some(Bill::default()), None)
    } else if let Some((instance, count)) = cheapest_instances(prices, coverage) {
        (Some(bill(instance, count)), Some(format!("{count} × {instance}")))
    } else {
        let Coverage { region, assume, .. } = *coverage;
        let architecture = assume.architecture.value();
        let same = |name| instance::shape(name).is_some_and(|shape| shape.architecture == architecture);
        let architecture = architecture.as_str();
        let note = if prices.instances(region).any(|(name, _)| same(name)) {
            format!("no {architecture} instance with a price has enough memory")
        } else {
            format!("no {architecture} instance has a price in {region}; add one under `prices`")
        };
        (None, Some(note))
    };
    CostOption { alternative, bill, cold_starts: Some(0), note }
}

fn no_warming(prices: &PriceBook, coverage: &Coverage) -> CostOption {
    let alternative = CostAlternative::Nothing;
    let Coverage { region, assume, .. } = *coverage;
    let Some(Traffic { requests_per_second, duration }) = assume.traffic else {
        let note = Some("needs assume: { requests_per_second, duration }".to_owned());
        return CostOption { alternative, bill: None, cold_starts: None, note };
    };
    // Users are expected during the windows.
    let open = coverage.segments.iter().map(Segment::seconds).fold(0, u64::saturating_add);
    let rate = requests_per_second.to_f64().unwrap_or(0.0);
    let cold = cold_starts_per_second(rate, duration, assume.idle_life.value()) * open as f64;
    // The cast saturates, and the value is not negative.
    let cold = cold.round() as u64;
    let mut bill = Bill::default();
    let architecture = assume.architecture.value();
    let init = gb_seconds(init_ms(assume, cold), assume.memory_mb.value());
    bill.add(prices, "Cold starts of users", (&Item::Duration(architecture), region), init);
    add_downloads_of_environments(&mut bill, prices, coverage, cold);
    add_tenant_environments(&mut bill, prices, coverage, cold);
    let note = Some(format!("{} users would wait for a cold start", grouped(cold)));
    CostOption { alternative, bill: Some(bill), cold_starts: Some(cold), note }
}

fn hours(horizon: Duration) -> Decimal {
    seconds(horizon) / Decimal::from(3_600)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
