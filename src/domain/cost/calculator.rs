//! Calculates bills from quantities.

use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

use super::super::function::{Architecture, Region};
use super::bill::Bill;
use super::item::Item;
use super::price_book::PriceBook;
use super::{Route, gb_seconds, gib, memory_gib, milliseconds, months};

/// Ephemeral storage without charge, in MB. Source: AWS Lambda pricing.
const FREE_EPHEMERAL_MB: u32 = 512;

/// The treatment of an account's free tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreeTier {
    /// Not deducted, because other functions of the account may have used it up.
    #[default]
    Ignored,
    /// Deducted.
    Used,
}

/// The usage of a function in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaUsage {
    /// Instruction set.
    pub architecture: Architecture,
    /// Memory in MB of 1,048,576 bytes.
    pub memory_mb: u32,
    /// Invocations on demand.
    pub requests: u64,
    /// Average duration of these invocations.
    pub duration: Duration,
    /// The free tier, which covers all requests and the duration on demand.
    pub free_tier: FreeTier,
    /// Ephemeral storage (`/tmp`) in MB. 512 MB are free.
    pub ephemeral_mb: u32,
    /// Provisioned concurrency.
    pub provisioned: Option<ProvisionedUsage>,
    /// SnapStart cache in GB-s.
    pub snapstart_cache_gb_s: Decimal,
    /// SnapStart restores.
    pub snapstart_restores: u64,
    /// New environments with tenant isolation.
    pub tenant_environments: u64,
}

/// The usage of provisioned concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionedUsage {
    /// Provisioned environments.
    pub concurrency: u64,
    /// The provisioned time. AWS bills from enabling to disabling, rounded up to five minutes.
    pub provisioned_for: Duration,
    /// Invocations in these environments.
    pub requests: u64,
    /// Average duration of these invocations.
    pub duration: Duration,
}

impl LambdaUsage {
    /// Creates the usage of a function without invocations.
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

/// Returns the bill of a function in `region`.
pub fn lambda(prices: &PriceBook, region: Region, usage: &LambdaUsage) -> Bill {
    let mut bill = Bill::default();
    let arch = usage.architecture;
    let free = |item: Item| match usage.free_tier {
        FreeTier::Ignored => Decimal::ZERO,
        FreeTier::Used => prices.price(&item, region).unwrap_or(Decimal::ZERO),
    };
    let run = |requests: u64, duration| Decimal::from(requests).saturating_mul(milliseconds(duration));
    let memory_gb = gb_seconds(Decimal::ONE_THOUSAND, usage.memory_mb);

    let provisioned_requests = usage.provisioned.map_or(0, |provisioned| provisioned.requests);
    let requests = Decimal::from(usage.requests) + Decimal::from(provisioned_requests);
    bill.add_with_free(
        prices,
        "Lambda requests",
        (&Item::Requests, region),
        requests,
        free(Item::FreeRequests),
    );

    let mut ran = run(usage.requests, usage.duration);
    let on_demand = gb_seconds(ran, usage.memory_mb);
    let name = format!("Lambda compute {}", arch.as_str());
    bill.add_with_free(prices, name, (&Item::Duration(arch), region), on_demand, free(Item::FreeDuration));

    if let Some(provisioned) = usage.provisioned {
        let idle = gb_seconds(run(provisioned.concurrency, provisioned.provisioned_for), usage.memory_mb);
        let name = format!("Provisioned concurrency {}", arch.as_str());
        bill.add(prices, name, (&Item::ProvisionedIdle(arch), region), idle);
        let busy = run(provisioned.requests, provisioned.duration);
        ran = ran.saturating_add(busy);
        let busy = gb_seconds(busy, usage.memory_mb);
        let name = format!("Provisioned compute {}", arch.as_str());
        bill.add(prices, name, (&Item::ProvisionedDuration(arch), region), busy);
    }

    let storage_mb = usage.ephemeral_mb.saturating_sub(FREE_EPHEMERAL_MB);
    let storage = gb_seconds(ran, storage_mb);
    bill.add(prices, "Ephemeral storage above 512 MB", (&Item::Ephemeral, region), storage);
    let cache = usage.snapstart_cache_gb_s;
    bill.add(prices, "SnapStart cache", (&Item::SnapStartCache, region), cache);
    let restored = Decimal::from(usage.snapstart_restores).saturating_mul(memory_gb);
    bill.add(prices, "SnapStart restore", (&Item::SnapStartRestore, region), restored);
    let tenants = memory_gib(usage.tenant_environments, usage.memory_mb);
    bill.add(prices, "Tenant isolation, new environments", (&Item::TenantEnvironment, region), tenants);
    bill
}

/// The usage of S3 by a reader in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressUsage {
    /// The route of the bytes to the reader.
    pub route: Route,
    /// The number of bytes.
    pub bytes: u64,
    /// Free bytes, which count towards the tiers.
    pub free_bytes: u64,
    /// Hours of the NAT gateway or interface endpoint, ignored for other routes.
    pub hours: Decimal,
    /// GET requests.
    pub gets: u64,
    /// PUT requests.
    pub puts: u64,
}

/// Returns the bill of reading from S3 into `region`.
pub fn egress(prices: &PriceBook, region: Region, usage: &EgressUsage) -> Bill {
    let mut bill = Bill::default();
    add_egress(&mut bill, prices, region, usage.route, usage.bytes, usage.free_bytes);
    let hours = match usage.route {
        Route::NatGateway => Some(("NAT gateway hours", Item::NatHour)),
        Route::InterfaceEndpoint => Some(("Interface endpoint hours", Item::EndpointHour)),
        Route::SameRegion | Route::InterRegion { .. } | Route::Internet => None,
    };
    if let Some((name, item)) = hours {
        bill.add(prices, name, (&item, region), usage.hours);
    }
    let bucket = usage.route.bucket_region(region);
    bill.add(prices, "S3 GET requests", (&Item::S3Get, bucket), Decimal::from(usage.gets));
    bill.add(prices, "S3 PUT requests", (&Item::S3Put, bucket), Decimal::from(usage.puts));
    bill
}

/// Adds the lines for bytes from S3 by `route`.
pub(super) fn add_egress(
    bill: &mut Bill,
    prices: &PriceBook,
    region: Region,
    route: Route,
    bytes: u64,
    free_bytes: u64,
) {
    let (item, place) = route.priced_as(prices, region);
    bill.add_with_free(prices, format!("S3 egress by {route}"), (&item, place), gib(bytes), gib(free_bytes));
}

/// The usage of managed instances in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedUsage {
    /// The instance type, such as `m7g.xlarge`.
    pub instance: String,
    /// Instance hours of all instances.
    pub hours: Decimal,
    /// Invocations.
    pub requests: u64,
    /// US dollars per hour, if not the on-demand price. The fee applies to the on-demand price.
    pub hourly: Option<Decimal>,
}

/// Returns the bill of a function on managed instances: instances, the fee on their on-demand price, and requests.
pub fn managed(prices: &PriceBook, region: Region, usage: &ManagedUsage) -> Bill {
    let mut bill = Bill::default();
    let on_demand = prices.price(&Item::Instance(usage.instance.clone()), region);
    let share = prices.price(&Item::ManagedFee, region);
    let fee = on_demand.zip(share).and_then(|(price, share)| price.checked_mul(share));
    let hours = (usage.hours, "hour");
    match usage.hourly {
        Some(own) => bill.add_at(format!("EC2 {}", usage.instance), region, hours, Some(own)),
        None => add_instance(&mut bill, prices, region, &usage.instance, usage.hours),
    }
    bill.add_at("Managed instances fee", region, hours, fee.map(|fee| fee.normalize()));
    let requests = Decimal::from(usage.requests);
    bill.add(prices, "Managed instances requests", (&Item::ManagedRequests, region), requests);
    bill
}

/// Returns the bill of `count` EC2 instances on demand for `hours` each.
pub fn ec2(prices: &PriceBook, region: Region, instance: &str, count: u64, hours: Decimal) -> Bill {
    let mut bill = Bill::default();
    let hours = Decimal::from(count).saturating_mul(hours);
    add_instance(&mut bill, prices, region, instance, hours);
    bill
}

fn add_instance(bill: &mut Bill, prices: &PriceBook, region: Region, instance: &str, hours: Decimal) {
    let item = Item::Instance(instance.to_owned());
    bill.add(prices, format!("EC2 {instance}"), (&item, region), hours);
}

/// Returns the utilisation at which provisioned concurrency costs as much as duration on demand: idle / (on demand −
/// provisioned duration), with two decimals. Returns `None` when a price is unknown or provisioned duration is not
/// cheaper.
pub fn break_even_utilisation(
    prices: &PriceBook,
    region: Region,
    architecture: Architecture,
) -> Option<Decimal> {
    let idle = prices.price(&Item::ProvisionedIdle(architecture), region)?;
    let on_demand = prices.price(&Item::Duration(architecture), region)?;
    let provisioned = prices.price(&Item::ProvisionedDuration(architecture), region)?;
    let saved = on_demand - provisioned;
    if saved <= Decimal::ZERO {
        return None;
    }
    let share = idle.checked_div(saved)?;
    let mut share = share.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    share.rescale(2);
    Some(share)
}

/// The usage of CloudWatch over a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudWatchUsage {
    /// Custom metrics.
    pub metrics: u64,
    /// Dashboards.
    pub dashboards: u64,
    /// Alarms.
    pub alarms: u64,
    /// The time for which they exist. A month is 730 hours.
    pub held: Duration,
    /// PutMetricData requests.
    pub put_requests: u64,
    /// Ingested log data in bytes.
    pub log_bytes: u64,
    /// The free tier of metrics, dashboards, alarms and requests.
    pub free_tier: FreeTier,
}

/// Returns the bill of CloudWatch metrics, dashboards, alarms and logs.
pub fn cloudwatch(prices: &PriceBook, region: Region, usage: &CloudWatchUsage) -> Bill {
    let mut bill = Bill::default();
    let months = months(usage.held);
    let free = |item: Item| match usage.free_tier {
        FreeTier::Ignored => Decimal::ZERO,
        FreeTier::Used => prices.price(&item, region).unwrap_or(Decimal::ZERO),
    };
    for (name, item, count, free) in [
        ("CloudWatch metrics", Item::Metrics, usage.metrics, free(Item::FreeMetrics)),
        ("CloudWatch dashboards", Item::Dashboards, usage.dashboards, free(Item::FreeDashboards)),
        ("CloudWatch alarms", Item::Alarms, usage.alarms, free(Item::FreeAlarms)),
    ] {
        let (held, free) = (Decimal::from(count).saturating_mul(months), free.saturating_mul(months));
        bill.add_with_free(prices, name, (&item, region), held, free);
    }
    let puts = Decimal::from(usage.put_requests);
    bill.add_with_free(
        prices,
        "PutMetricData requests",
        (&Item::PutRequests, region),
        puts,
        free(Item::FreePutRequests),
    );
    bill.add(prices, "CloudWatch Logs", (&Item::LogData, region), gib(usage.log_bytes));
    bill
}

#[cfg(test)]
#[path = "calculator_tests.rs"]
mod tests;
