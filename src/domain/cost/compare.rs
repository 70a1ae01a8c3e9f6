//! Compares the cost of pings with provisioned concurrency, managed instances, EC2 and no warming.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::assume::Traffic;
use super::bill::Bill;
use super::calculator::break_even_utilisation;
use super::capacity::{Instances, downloads, held_in_windows, provisioned_bill};
use super::coverage::{Coverage, Held, add_downloads, add_tenant_environments, coverage_cost, init_ms};
use super::gb_seconds;
use super::instance;
use super::item::Item;
use super::price_book::PriceBook;
use super::traffic::cold_starts_per_second;
use crate::domain::capacity::{By, Strategy};
use crate::domain::schedule::Segment;
use crate::domain::text::grouped;

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

    /// Returns the alternative that a strategy is.
    pub fn of(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Pings => Self::Pings,
            Strategy::Provisioned(_) => Self::ProvisionedWindows,
            Strategy::Managed(_) => Self::ManagedInstances,
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

    /// Returns unrounded US dollars, or `None` when unknown.
    pub fn exact(&self) -> Option<Decimal> {
        self.bill.as_ref().and_then(Bill::exact)
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
    /// True if a window is open in the period.
    #[serde(skip)]
    pub has_windows: bool,
}

impl Comparison {
    /// Returns the cost of an alternative.
    pub fn option(&self, alternative: CostAlternative) -> Option<&CostOption> {
        self.options.iter().find(|option| option.alternative == alternative)
    }

    /// Adds the comparison of the same target in another period. Each period has its own highest number and its own
    /// environments. Notes that differ are left out.
    #[must_use]
    pub fn plus(self, other: Self, prices: &PriceBook) -> Self {
        let options = self.options.into_iter().zip(other.options).map(|(one, other)| CostOption {
            alternative: one.alternative,
            bill: one.bill.zip(other.bill).map(|(one, other)| Bill::merged(prices, [&one, &other])),
            cold_starts: one.cold_starts.zip(other.cold_starts).map(|(one, other)| one.saturating_add(other)),
            note: one.note.filter(|note| other.note.as_ref() == Some(note)),
        });
        let options: Vec<CostOption> = options.collect();
        Self {
            cheapest: cheapest(&options),
            options,
            has_windows: self.has_windows || other.has_windows,
            break_even_utilisation: self.break_even_utilisation,
        }
    }
}

/// Returns the alternative with the lowest known total, the first of several.
fn cheapest(options: &[CostOption]) -> Option<CostAlternative> {
    let known = options.iter().filter_map(|option| option.total().map(|total| (total, option.alternative)));
    known.min_by_key(|(total, _)| *total).map(|(_, alternative)| alternative)
}

/// Compares the alternatives for the coverage of one target.
pub fn compare(prices: &PriceBook, coverage: &Coverage) -> Comparison {
    let options = vec![
        pings(prices, coverage),
        provisioned_in_windows(prices, coverage),
        provisioned_always(prices, coverage),
        managed_instances(prices, coverage),
        ec2(prices, coverage),
        no_warming(prices, coverage),
    ];
    let cheapest = cheapest(&options);
    let architecture = coverage.assume.architecture.value();
    let break_even_utilisation = break_even_utilisation(prices, coverage.region, architecture);
    let break_even_utilisation = break_even_utilisation.filter(|_| !coverage.is_tenant);
    let has_windows = !coverage.segments.is_empty();
    Comparison { options, cheapest, break_even_utilisation, has_windows }
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
    // Unless configured otherwise, it is changed by Application Auto Scaling.
    let by = coverage.strategy.by().unwrap_or(By::Autoscaling { max: coverage.highest(), utilization: 70 });
    let held = held_in_windows(coverage);
    provisioned(prices, coverage, CostAlternative::ProvisionedWindows, held, Some(by))
}

fn provisioned_always(prices: &PriceBook, coverage: &Coverage) -> CostOption {
    let recycle = coverage.assume.recycle_after.value().as_secs().max(1);
    let (highest, horizon) = (u64::from(coverage.highest()), coverage.horizon.as_secs());
    let created = highest.saturating_mul(horizon.div_ceil(recycle));
    let held = Held { seconds: highest.saturating_mul(horizon), created };
    provisioned(prices, coverage, CostAlternative::ProvisionedAlways, held, None)
}

fn provisioned(
    prices: &PriceBook,
    coverage: &Coverage,
    alternative: CostAlternative,
    held: Held,
    by: Option<By>,
) -> CostOption {
    if coverage.is_tenant {
        let note = Some("not available with tenant isolation".to_owned());
        return CostOption { alternative, bill: None, cold_starts: None, note };
    }
    let bill = provisioned_bill(prices, coverage, held, by);
    let note = Some(format!("{} environments created in advance", grouped(held.created)));
    CostOption { alternative, bill: Some(bill), cold_starts: Some(0), note }
}

fn managed_instances(prices: &PriceBook, coverage: &Coverage) -> CostOption {
    let bill = |instances: &Instances<'_>| instances.managed(prices, coverage);
    on_instances(prices, coverage, CostAlternative::ManagedInstances, bill)
}

fn ec2(prices: &PriceBook, coverage: &Coverage) -> CostOption {
    let bill = |instances: &Instances<'_>| instances.ec2(prices, coverage);
    on_instances(prices, coverage, CostAlternative::Ec2, bill)
}

/// Returns the cost of instances. Their environments do not expire, so the downloads at their start are not included.
fn on_instances(
    prices: &PriceBook,
    coverage: &Coverage,
    alternative: CostAlternative,
    bill: impl Fn(&Instances<'_>) -> Bill,
) -> CostOption {
    let (bill, note) = if coverage.highest() == 0 {
        (Some(Bill::default()), None)
    } else if let Some(instances) = Instances::cheapest(prices, coverage) {
        let note = format!("{} × {}", instances.count, instances.name);
        (Some(bill(&instances)), Some(note))
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
    add_downloads(&mut bill, prices, region, &downloads(coverage, cold));
    add_tenant_environments(&mut bill, prices, coverage, cold);
    let note = Some(format!("{} users would wait for a cold start", grouped(cold)));
    CostOption { alternative, bill: Some(bill), cold_starts: Some(cold), note }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
