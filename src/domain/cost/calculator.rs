//! The calculator: a month's bill from its quantities.

use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

use super::super::fleet::Architecture;
use super::super::function::Region;
use super::bill::Bill;
use super::book::PriceBook;
use super::item::Item;
use super::{Route, gb, gb_seconds, milliseconds, months};

/// `/tmp` that every function has without charge, MB. Source: AWS Lambda pricing.
const FREE_EPHEMERAL_MB: u32 = 512;

/// Whether an account's free allowances are taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreeTier {
    /// No: an account has them once, and other functions may have used them up.
    #[default]
    Ignored,
    /// Yes.
    Used,
}

/// What a function does in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaUse {
    /// Instruction set.
    pub architecture: Architecture,
    /// Memory in MB of 1,048,576 bytes.
    pub memory_mb: u32,
    /// Invocations on demand.
    pub requests: u64,
    /// How long each of them runs, on average.
    pub duration: Duration,
    /// Whether the free tier is taken off. It covers requests of both kinds, and run time on demand.
    pub free_tier: FreeTier,
    /// `/tmp` in MB; 512 are not charged.
    pub ephemeral_mb: u32,
    /// Provisioned concurrency.
    pub provisioned: Option<ProvisionedUse>,
    /// Snapshots kept, GB-seconds.
    pub snapstart_cache_gb_s: Decimal,
    /// Environments restored from a snapshot.
    pub snapstart_restores: u64,
    /// Environments made for tenants.
    pub tenant_environments: u64,
}

/// Provisioned concurrency, and what runs in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionedUse {
    /// Environments.
    pub concurrency: u64,
    /// How long they are provisioned. AWS bills from enabling to disabling, rounded up to five minutes.
    pub provisioned_for: Duration,
    /// Invocations in them.
    pub requests: u64,
    /// How long each of those runs, on average.
    pub duration: Duration,
}

impl LambdaUse {
    /// A function with this memory that does nothing yet.
    pub fn new(architecture: Architecture, memory_mb: u32) -> Self {
        Self {
            architecture,
            memory_mb,
            requests: 0,
            duration: Duration::ZERO,
            free_tier: FreeTier::Ignored,
            ephemeral_mb: FREE_EPHEMERAL_MB,
            provisioned: None,
            snapstart_cache_gb_s: Decimal::ZERO,
            snapstart_restores: 0,
            tenant_environments: 0,
        }
    }
}

/// The bill of a function in `region`.
pub fn lambda(book: &PriceBook, region: Region, used: &LambdaUse) -> Bill {
    let mut bill = Bill::default();
    let arch = used.architecture;
    let free = |item: Item| match used.free_tier {
        FreeTier::Ignored => Decimal::ZERO,
        FreeTier::Used => book.price(&item, region).unwrap_or(Decimal::ZERO),
    };
    let run = |requests: u64, duration| Decimal::from(requests).saturating_mul(milliseconds(duration));
    let memory_gb = gb_seconds(Decimal::ONE_THOUSAND, used.memory_mb);

    let provisioned_requests = used.provisioned.map_or(0, |provisioned| provisioned.requests);
    let requests = Decimal::from(used.requests) + Decimal::from(provisioned_requests);
    bill.add(book, "Lambda requests", (&Item::Requests, region), requests, free(Item::FreeRequests));

    let mut ran = run(used.requests, used.duration);
    let on_demand = gb_seconds(ran, used.memory_mb);
    let name = format!("Lambda compute {}", arch.as_str());
    bill.add(book, name, (&Item::Duration(arch), region), on_demand, free(Item::FreeDuration));

    if let Some(provisioned) = used.provisioned {
        let idle = gb_seconds(run(provisioned.concurrency, provisioned.provisioned_for), used.memory_mb);
        let name = format!("Provisioned concurrency {}", arch.as_str());
        bill.add(book, name, (&Item::ProvisionedIdle(arch), region), idle, Decimal::ZERO);
        let busy = run(provisioned.requests, provisioned.duration);
        ran = ran.saturating_add(busy);
        let busy = gb_seconds(busy, used.memory_mb);
        let name = format!("Provisioned compute {}", arch.as_str());
        bill.add(book, name, (&Item::ProvisionedDuration(arch), region), busy, Decimal::ZERO);
    }

    let storage_mb = used.ephemeral_mb.saturating_sub(FREE_EPHEMERAL_MB);
    let storage = gb_seconds(ran, storage_mb);
    bill.add(book, "Ephemeral storage above 512 MB", (&Item::Ephemeral, region), storage, Decimal::ZERO);
    let cache = used.snapstart_cache_gb_s;
    bill.add(book, "SnapStart cache", (&Item::SnapStartCache, region), cache, Decimal::ZERO);
    let restored = Decimal::from(used.snapstart_restores).saturating_mul(memory_gb);
    bill.add(book, "SnapStart restore", (&Item::SnapStartRestore, region), restored, Decimal::ZERO);
    let tenants = Decimal::from(used.tenant_environments).saturating_mul(memory_gb);
    bill.add(
        book,
        "Tenant isolation, new environments",
        (&Item::TenantEnvironment, region),
        tenants,
        Decimal::ZERO,
    );
    bill
}

/// What a month's reading from S3 consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressUse {
    /// The way of the bytes to the reader.
    pub route: Route,
    /// Bytes.
    pub bytes: u64,
    /// Bytes that are free; they count towards the tiers.
    pub free_bytes: u64,
    /// Hours of the NAT gateway or interface endpoint; not looked at on other routes.
    pub hours: Decimal,
    /// GET requests.
    pub gets: u64,
    /// PUT requests.
    pub puts: u64,
}

/// The bill of reading from S3 into `region`.
pub fn egress(book: &PriceBook, region: Region, used: &EgressUse) -> Bill {
    let mut bill = Bill::default();
    add_egress(&mut bill, book, region, used.route, used.bytes, used.free_bytes);
    let hours = match used.route {
        Route::NatGateway => Some(("NAT gateway hours", Item::NatHour)),
        Route::InterfaceEndpoint => Some(("Interface endpoint hours", Item::EndpointHour)),
        Route::SameRegion | Route::InterRegion { .. } | Route::Internet => None,
    };
    if let Some((name, item)) = hours {
        bill.add(book, name, (&item, region), used.hours, Decimal::ZERO);
    }
    let bucket = used.route.bucket_region(region);
    bill.add(book, "S3 GET requests", (&Item::S3Get, bucket), Decimal::from(used.gets), Decimal::ZERO);
    bill.add(book, "S3 PUT requests", (&Item::S3Put, bucket), Decimal::from(used.puts), Decimal::ZERO);
    bill
}

/// Adds the line, or the tiers' lines, for bytes from S3 by `route`.
pub(super) fn add_egress(
    bill: &mut Bill,
    book: &PriceBook,
    region: Region,
    route: Route,
    bytes: u64,
    free_bytes: u64,
) {
    let (item, place) = route.priced_as(book, region);
    bill.add(book, format!("S3 egress by {route}"), (&item, place), gb(bytes), gb(free_bytes));
}

/// What managed instances do in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedUse {
    /// The instance type, such as `m7g.xlarge`.
    pub instance: String,
    /// Instance hours, of all instances.
    pub hours: Decimal,
    /// Invocations.
    pub requests: u64,
    /// US dollars an hour that the user pays, when it is not the on-demand price. The fee stays on the latter.
    pub hourly: Option<Decimal>,
}

/// The bill of a function on managed instances: instances, the fee on their on-demand price, requests.
pub fn managed(book: &PriceBook, region: Region, used: &ManagedUse) -> Bill {
    let mut bill = Bill::default();
    let on_demand = book.price(&Item::Instance(used.instance.clone()), region);
    let share = book.price(&Item::ManagedFee, region);
    let fee = on_demand.zip(share).and_then(|(price, share)| price.checked_mul(share));
    let hours = (used.hours, "hour");
    match used.hourly {
        Some(own) => bill.add_at(format!("EC2 {}", used.instance), region, hours, Some(own)),
        None => add_instance(&mut bill, book, region, &used.instance, used.hours),
    }
    bill.add_at("Managed instances fee", region, hours, fee.map(|fee| fee.normalize()));
    let requests = Decimal::from(used.requests);
    bill.add(book, "Managed instances requests", (&Item::ManagedRequests, region), requests, Decimal::ZERO);
    bill
}

/// The bill of `count` EC2 instances on demand, for `hours` each.
pub fn ec2(book: &PriceBook, region: Region, instance: &str, count: u64, hours: Decimal) -> Bill {
    let mut bill = Bill::default();
    let hours = Decimal::from(count).saturating_mul(hours);
    add_instance(&mut bill, book, region, instance, hours);
    bill
}

fn add_instance(bill: &mut Bill, book: &PriceBook, region: Region, instance: &str, hours: Decimal) {
    let item = Item::Instance(instance.to_owned());
    bill.add(book, format!("EC2 {instance}"), (&item, region), hours, Decimal::ZERO);
}

/// The share of the time that provisioned environments must run for provisioned concurrency to cost what run time on
/// demand costs: idle / (on demand − provisioned run time), two decimals. `None` when a price is unknown, or when
/// provisioned run time is not cheaper.
pub fn break_even_utilisation(
    book: &PriceBook,
    region: Region,
    architecture: Architecture,
) -> Option<Decimal> {
    let idle = book.price(&Item::ProvisionedIdle(architecture), region)?;
    let on_demand = book.price(&Item::Duration(architecture), region)?;
    let provisioned = book.price(&Item::ProvisionedDuration(architecture), region)?;
    let saved = on_demand - provisioned;
    if saved <= Decimal::ZERO {
        return None;
    }
    let share = idle.checked_div(saved)?;
    let mut share = share.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    share.rescale(2);
    Some(share)
}

/// CloudWatch things of an account, for a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudWatchUse {
    /// Custom metrics.
    pub metrics: u64,
    /// Dashboards.
    pub dashboards: u64,
    /// Alarms.
    pub alarms: u64,
    /// How long they exist. A month is 730 hours.
    pub held: Duration,
    /// PutMetricData requests.
    pub put_requests: u64,
    /// Log data taken in, bytes.
    pub log_bytes: u64,
    /// Whether the free metrics, dashboards, alarms and requests are taken off.
    pub free_tier: FreeTier,
}

/// The bill of CloudWatch metrics, dashboards, alarms and logs.
pub fn cloudwatch(book: &PriceBook, region: Region, used: &CloudWatchUse) -> Bill {
    let mut bill = Bill::default();
    let months = months(used.held);
    let free = |item: Item| match used.free_tier {
        FreeTier::Ignored => Decimal::ZERO,
        FreeTier::Used => book.price(&item, region).unwrap_or(Decimal::ZERO),
    };
    for (name, item, count, free) in [
        ("CloudWatch metrics", Item::Metrics, used.metrics, free(Item::FreeMetrics)),
        ("CloudWatch dashboards", Item::Dashboards, used.dashboards, free(Item::FreeDashboards)),
        ("CloudWatch alarms", Item::Alarms, used.alarms, free(Item::FreeAlarms)),
    ] {
        let (held, free) = (Decimal::from(count).saturating_mul(months), free.saturating_mul(months));
        bill.add(book, name, (&item, region), held, free);
    }
    let puts = Decimal::from(used.put_requests);
    bill.add(book, "PutMetricData requests", (&Item::PutRequests, region), puts, free(Item::FreePutRequests));
    bill.add(book, "CloudWatch Logs", (&Item::LogGb, region), gb(used.log_bytes), Decimal::ZERO);
    bill
}

#[cfg(test)]
#[path = "calculator_tests.rs"]
mod tests;
