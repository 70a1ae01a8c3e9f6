//! The price of a plan.

use rust_decimal::Decimal;

use super::course::Burst;
use crate::domain::cost::{Bill, Item, PriceBook, gb_seconds};
use crate::domain::function::{Architecture, Region};

/// The billing step of provisioned concurrency in seconds. Source: AWS Lambda pricing.
pub(super) const STEP: usize = 300;

/// The means that provide the environments of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Pings: on-demand environments, which cost while they run.
    Pings,
    /// Provisioned concurrency, which costs while it exists, in steps of five minutes.
    Provisioned,
}

impl By {
    /// Both, with their names.
    pub const NAMES: [(Self, &'static str); 2] = [(Self::Pings, "pings"), (Self::Provisioned, "provisioned")];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(by, _)| *by == self).map_or("", |(_, name)| name)
    }
}

/// The prices and the function that they apply to.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'p> {
    /// The price book.
    pub prices: &'p PriceBook,
    /// The region.
    pub region: Region,
    /// The instruction set.
    pub architecture: Architecture,
    /// The memory in Lambda's MB.
    pub memory_mb: u32,
    /// The requests that one invocation serves, at least 1.
    pub per_invocation: u64,
    /// The means that provide the environments.
    pub by: By,
}

/// The use of a plan besides the invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// The environments launched.
    pub launches: u64,
    /// The pings that launch them.
    pub pings: u64,
    /// The billed environment-seconds of provisioned concurrency; `None` on demand.
    pub existed: Option<u128>,
}

/// Returns the billed milliseconds of an invocation with `requests` requests: b ÷ r, rounded up.
pub(super) fn invocation_ms(burst: &Burst, requests: u64) -> u64 {
    let thousandths = requests.saturating_mul(1_000).saturating_mul(burst.rate.per_request);
    thousandths.div_ceil(burst.rate.parts)
}

impl Pricing<'_> {
    /// Returns the bill of a burst, with list prices and without free tiers. Invocations are full. Every launch is
    /// billed for the launch time, which includes what Lambda may not bill, such as the download of the code.
    pub(super) fn bill(&self, burst: &Burst, usage: &Usage) -> Bill {
        let Self { prices, region, architecture, memory_mb, .. } = *self;
        let invocations = burst.arrivals.total().div_ceil(self.per_invocation.max(1));
        let mut bill = Bill::default();
        let mut add = |name: String, item: Item, quantity| bill.add(prices, name, (&item, region), quantity);
        let requests = Decimal::from(invocations) + Decimal::from(usage.pings);
        add("Lambda requests".to_owned(), Item::Requests, requests);
        let ran = Decimal::from(invocations)
            .saturating_mul(Decimal::from(invocation_ms(burst, self.per_invocation.max(1))));
        let init = Decimal::from(usage.launches).saturating_mul(Decimal::from(burst.launch as u64 * 1_000));
        let (kind, duration) = match usage.existed {
            None => ("Lambda", Item::Duration(architecture)),
            Some(_) => ("Provisioned", Item::ProvisionedDuration(architecture)),
        };
        let name = architecture.as_str();
        add(format!("{kind} compute {name}"), duration.clone(), gb_seconds(ran, memory_mb));
        add(format!("{kind} launches {name}"), duration, gb_seconds(init, memory_mb));
        if let Some(existed) = usage.existed {
            let idle = Item::ProvisionedIdle(architecture);
            let existed = gb_seconds(Decimal::from(existed).saturating_mul(Decimal::ONE_THOUSAND), memory_mb);
            add(format!("Provisioned concurrency {name}"), idle, existed);
        }
        bill
    }
}

/// Returns the sum of the unrounded lines; `None` when a price is unknown. A burst often costs less than a cent.
pub(super) fn exact(bill: &Bill) -> Option<Decimal> {
    bill.lines.iter().try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.exact()?))
}
