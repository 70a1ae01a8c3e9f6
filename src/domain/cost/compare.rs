//! The same coverage by other means: provisioned concurrency, managed instances, EC2, or doing nothing.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::assume::Traffic;
use super::bill::{Bill, thousands};
use super::book::PriceBook;
use super::calculator::{self, ManagedUse, break_even_utilisation};
use super::coverage::{
    Coverage, add_downloads, coverage_cost, environments_made, init_ms, sum_over_environments,
};
use super::instance::{self, Shape};
use super::item::Item;
use super::round::s3_quantities;
use super::traffic::cold_starts_per_second;
use super::{gb_seconds, seconds};

/// Provisioned concurrency is billed in steps of this. Source: AWS Lambda pricing.
const PROVISIONED_STEP_SECONDS: u64 = 300;
/// The fewest managed instances: Lambda spreads them over three availability zones.
const FEWEST_INSTANCES: u64 = 3;

/// A way to have environments ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Pings.
    Pings,
    /// Provisioned concurrency in the same windows.
    ProvisionedWindows,
    /// Provisioned concurrency of the highest target, all the time.
    ProvisionedAlways,
    /// Lambda managed instances.
    ManagedInstances,
    /// The same instances without Lambda's fee.
    Ec2,
    /// Letting users meet the cold starts.
    Nothing,
}

impl Way {
    /// As in JSON: `pings`, `provisioned-windows`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Pings => "pings",
            Self::ProvisionedWindows => "provisioned-windows",
            Self::ProvisionedAlways => "provisioned-always",
            Self::ManagedInstances => "managed-instances",
            Self::Ec2 => "ec2",
            Self::Nothing => "nothing",
        }
    }
}

/// What one way costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which way.
    pub way: Way,
    /// What it costs; `None` when it cannot be told. The run time of users' requests is not in it: all ways have that.
    pub bill: Option<Bill>,
    /// Cold starts that an invocation meets: the pings', or with `nothing` the users'.
    pub cold_starts: Option<u64>,
    /// Why it cannot be told, or what it consists of, for people.
    pub note: Option<String>,
}

impl Offer {
    /// US dollars; `None` when unknown.
    pub fn total(&self) -> Option<Decimal> {
        self.bill.as_ref().and_then(Bill::total)
    }
}

impl Serialize for Offer {
    /// `option`, `total`, `cold_starts`, `lines`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut offer = serializer.serialize_struct("Offer", 4)?;
        offer.serialize_field("option", &self.way)?;
        offer.serialize_field("total", &self.total())?;
        offer.serialize_field("cold_starts", &self.cold_starts)?;
        offer.serialize_field("lines", self.bill.as_ref().map_or(&[][..], |bill| &bill.lines[..]))?;
        offer.end()
    }
}

/// The ways beside each other, for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Every [`Way`], in its order.
    pub options: Vec<Offer>,
    /// The way with the lowest known total; the first of equals.
    pub cheapest: Option<Way>,
    /// The share of the time that provisioned environments must be busy to pay for themselves, such as 0.60.
    pub break_even_utilisation: Option<Decimal>,
}

/// Compares the ways of giving one target the coverage of its plan over `horizon`.
pub fn compare(book: &PriceBook, coverage: &Coverage, horizon: Duration) -> Comparison {
    let options = vec![
        pings(book, coverage),
        provisioned_in_windows(book, coverage),
        provisioned_always(book, coverage, horizon),
        managed_instances(book, coverage, horizon),
        ec2(book, coverage, horizon),
        nothing(book, coverage),
    ];
    let known = options.iter().filter_map(|offer| offer.total().map(|total| (total, offer.way)));
    let cheapest = known.min_by_key(|(total, _)| *total).map(|(_, way)| way);
    let architecture = coverage.assume.architecture.value();
    let break_even_utilisation = break_even_utilisation(book, coverage.region, architecture);
    Comparison { options, cheapest, break_even_utilisation }
}

fn pings(book: &PriceBook, coverage: &Coverage) -> Offer {
    let cost = coverage_cost(book, coverage);
    Offer { way: Way::Pings, bill: Some(cost.bill), cold_starts: Some(cost.cold_starts), note: None }
}

fn provisioned_in_windows(book: &PriceBook, coverage: &Coverage) -> Offer {
    let recycle = coverage.assume.recycle_after.value();
    let held = sum_over_environments(coverage.stretches, Duration::ZERO, |seconds| {
        seconds.div_ceil(PROVISIONED_STEP_SECONDS).saturating_mul(PROVISIONED_STEP_SECONDS)
    });
    let made = environments_made(coverage.stretches, Duration::ZERO, recycle);
    provisioned(book, coverage, Way::ProvisionedWindows, held, made)
}

fn provisioned_always(book: &PriceBook, coverage: &Coverage, horizon: Duration) -> Offer {
    let recycle = coverage.assume.recycle_after.value().as_secs().max(1);
    let highest = highest(coverage);
    let held = highest.saturating_mul(horizon.as_secs());
    let made = highest.saturating_mul(horizon.as_secs().div_ceil(recycle));
    provisioned(book, coverage, Way::ProvisionedAlways, held, made)
}

/// Provisioned concurrency for `held` environment-seconds in which Lambda makes `made` environments. It makes them
/// before anybody waits for them, and bills their initialisation.
fn provisioned(book: &PriceBook, coverage: &Coverage, way: Way, held: u64, made: u64) -> Offer {
    let Coverage { region, assume, .. } = *coverage;
    let (architecture, memory) = (assume.architecture.value(), assume.memory_mb.value());
    let held_ms = Decimal::from(held).saturating_mul(Decimal::ONE_THOUSAND);
    let mut bill = Bill::default();
    let idle = (&Item::ProvisionedIdle(architecture), region);
    let name = format!("Provisioned concurrency {}", architecture.as_str());
    bill.add(book, name, idle, gb_seconds(held_ms, memory), Decimal::ZERO);
    let run = (&Item::ProvisionedDuration(architecture), region);
    let init = gb_seconds(init_ms(assume, made), memory);
    bill.add(book, "Provisioned initialisation", run, init, Decimal::ZERO);
    add_each_environments_downloads(&mut bill, book, coverage, made);
    let note = format!("{} environments made ahead", thousands(made.into()));
    Offer { way, bill: Some(bill), cold_starts: Some(0), note: Some(note) }
}

/// A new environment downloads everything once, whatever pings would have it download again.
fn add_each_environments_downloads(bill: &mut Bill, book: &PriceBook, coverage: &Coverage, made: u64) {
    let s3 = s3_quantities(coverage.downloads, made, Some(made)).unwrap_or_default();
    add_downloads(bill, book, coverage.region, &s3);
}

/// The instances that hold the highest target at the lowest price, and how many of them.
fn fleet<'a>(book: &'a PriceBook, coverage: &Coverage) -> Option<(&'a str, u64)> {
    let memory = coverage.assume.memory_mb.value().max(1);
    let architecture = coverage.assume.architecture.value();
    let wanted = highest(coverage);
    let fitting = book.instances(coverage.region).filter_map(|(name, price)| {
        let Shape { memory_mb, .. } =
            instance::shape(name).filter(|shape| shape.architecture == architecture)?;
        let each = u64::from(memory_mb / memory);
        let count = if each == 0 { return None } else { wanted.div_ceil(each).max(FEWEST_INSTANCES) };
        Some((Decimal::from(count).checked_mul(price)?, memory_mb, name, count))
    });
    let best = fitting.min_by_key(|(price, memory_mb, _, _)| (*price, *memory_mb));
    best.map(|(_, _, name, count)| (name, count))
}

fn managed_instances(book: &PriceBook, coverage: &Coverage, horizon: Duration) -> Offer {
    on_instances(book, coverage, Way::ManagedInstances, |instance, count| {
        let hours = Decimal::from(count).saturating_mul(hours(horizon));
        let used = ManagedUse { instance: instance.to_owned(), hours, requests: 0, hourly: None };
        calculator::managed(book, coverage.region, &used)
    })
}

fn ec2(book: &PriceBook, coverage: &Coverage, horizon: Duration) -> Offer {
    on_instances(book, coverage, Way::Ec2, |instance, count| {
        calculator::ec2(book, coverage.region, instance, count, hours(horizon))
    })
}

/// Environments on instances live on: what they download once, at the start, is not counted.
fn on_instances(book: &PriceBook, coverage: &Coverage, way: Way, bill: impl Fn(&str, u64) -> Bill) -> Offer {
    if highest(coverage) == 0 {
        return Offer { way, bill: Some(Bill::default()), cold_starts: Some(0), note: None };
    }
    match fleet(book, coverage) {
        Some((instance, count)) => {
            let note = Some(format!("{count} × {instance}"));
            Offer { way, bill: Some(bill(instance, count)), cold_starts: Some(0), note }
        }
        None => {
            let architecture = coverage.assume.architecture.value().as_str();
            let note = format!("no {architecture} instance with a price holds it");
            Offer { way, bill: None, cold_starts: Some(0), note: Some(note) }
        }
    }
}

fn nothing(book: &PriceBook, coverage: &Coverage) -> Offer {
    let Coverage { region, assume, .. } = *coverage;
    let Some(Traffic { requests_per_second, duration }) = assume.traffic else {
        let note = "needs assume: { requests_per_second, duration }".to_owned();
        return Offer { way: Way::Nothing, bill: None, cold_starts: None, note: Some(note) };
    };
    // The windows' time, in which users are expected.
    let open = sum_over_time(coverage);
    let rate = requests_per_second.to_f64().unwrap_or(0.0);
    let cold = cold_starts_per_second(rate, duration, assume.idle_life.value()) * open as f64;
    // A float that is too large becomes the largest integer; none here is negative.
    let cold = cold.round() as u64;
    let mut bill = Bill::default();
    let architecture = assume.architecture.value();
    let init = gb_seconds(init_ms(assume, cold), assume.memory_mb.value());
    bill.add(book, "Cold starts of users", (&Item::Duration(architecture), region), init, Decimal::ZERO);
    add_each_environments_downloads(&mut bill, book, coverage, cold);
    let note = format!("{} users would wait for a cold start", thousands(cold.into()));
    Offer { way: Way::Nothing, bill: Some(bill), cold_starts: Some(cold), note: Some(note) }
}

fn highest(coverage: &Coverage) -> u64 {
    coverage.stretches.iter().map(|stretch| u64::from(stretch.target)).max().unwrap_or(0)
}

/// Seconds in which at least one environment is wanted.
fn sum_over_time(coverage: &Coverage) -> u64 {
    let open = coverage.stretches.iter().filter(|stretch| stretch.target > 0);
    open.map(|stretch| stretch.seconds()).fold(0, u64::saturating_add)
}

fn hours(horizon: Duration) -> Decimal {
    seconds(horizon) / Decimal::from(3_600)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
