//! The cost of one round.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;
use std::ops::Add;

use rust_decimal::{Decimal, RoundingStrategy};
use schemars::JsonSchema;
use serde::Serialize;

use super::super::by_kind::ByKind;
use super::super::function::{Architecture, Region};
use super::item::Item;
use super::price_book::PriceBook;
use super::{Download, Per, Route, gb_seconds, gib, memory_gib};

/// The usage of a round, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundQuantities {
    /// Billed invocations: pings that started the function, with any outcome. Pings that were throttled (429),
    /// refused (403, 404) or not sent do not count. `None` if a ping may be one of those.
    pub requests: Option<u64>,
    /// Billed duration, ms, summed over the round's pings.
    pub billed_ms: Option<u64>,
    /// Memory in MB of 1,048,576 bytes.
    pub memory_mb: Option<u32>,
    /// The downloads from S3; `None` if they depend on a number of cold starts or pings that is unknown.
    pub s3: Option<S3Quantities>,
    /// New environments of a tenant, which have a price of their own, zero without a tenant; `None` if unknown.
    pub tenant_environments: Option<u64>,
    /// The lower bound of the usage.
    pub least: Usage,
    /// The upper bound of the usage; `None` if it is unbounded.
    pub most: Option<Usage>,
    /// The usage by the kind of environment, which determines the price of duration; `None` if all are on demand.
    pub by_kind: Option<Box<ByKind<RoundQuantities>>>,
}

/// The sums of a round's cost by the kind of environment, US dollars; `None` where unknown.
pub type ByKindCost = ByKind<Option<Decimal>>;

/// The cost of a round, US dollars; null where unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RoundCost {
    /// Invocations.
    #[schemars(with = "Option<String>")]
    pub requests: Option<Decimal>,
    /// GB-seconds.
    #[schemars(with = "Option<String>")]
    pub compute: Option<Decimal>,
    /// GET requests to S3.
    #[schemars(with = "Option<String>")]
    pub s3_requests: Option<Decimal>,
    /// Bytes from S3, at the price of their routes.
    #[schemars(with = "Option<String>")]
    pub s3_egress: Option<Decimal>,
    /// New environments of a tenant. Absent when there is none, and when their cost is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub tenant_environments: Option<Decimal>,
    /// The sum; null when a part is unknown.
    #[schemars(with = "Option<String>")]
    pub total: Option<Decimal>,
    /// The lower bound of an unknown sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cost_at_least: Option<Decimal>,
    /// The upper bound of an unknown sum. Absent when the function's memory, its timeout or a price is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cost_at_most: Option<Decimal>,
    /// The sum by the kind of environment, in another key of the round; `None` if all are on demand.
    #[serde(skip)]
    pub by_kind: Option<ByKindCost>,
}

impl RoundCost {
    /// The cost of nothing.
    pub const ZERO: Self = {
        let zero = Some(Decimal::ZERO);
        Self {
            requests: zero,
            compute: zero,
            s3_requests: zero,
            s3_egress: zero,
            tenant_environments: None,
            total: zero,
            cost_at_least: None,
            cost_at_most: None,
            by_kind: None,
        }
    };
}

impl Add for RoundCost {
    type Output = Self;

    /// Returns the cost of both. It is unknown where one of them is.
    fn add(self, other: Self) -> Self {
        let add = |of: fn(&Self) -> Option<Decimal>| sum(vec![of(&self), of(&other)]);
        let total = add(|cost| cost.total);
        let bound = |bound| if total.is_none() { bound } else { None };
        Self {
            requests: add(|cost| cost.requests),
            compute: add(|cost| cost.compute),
            s3_requests: add(|cost| cost.s3_requests),
            s3_egress: add(|cost| cost.s3_egress),
            tenant_environments: match (self.tenant_environments, other.tenant_environments) {
                (None, None) => None,
                (one, other) => Some(one.unwrap_or_default().saturating_add(other.unwrap_or_default())),
            },
            total,
            cost_at_least: bound(add(|cost| cost.total.or(cost.cost_at_least))),
            cost_at_most: bound(add(|cost| cost.total.or(cost.cost_at_most))),
            by_kind: None,
        }
    }
}

/// A bound of the usage of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Billed invocations.
    pub requests: u64,
    /// Billed duration, ms.
    pub billed_ms: u64,
    /// The downloads from S3.
    pub s3: S3Quantities,
    /// New environments of a tenant.
    pub tenant_environments: u64,
}

/// Downloads from S3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Quantities {
    flows: BTreeMap<Route, Flow>,
}

/// Downloads by one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes.
    pub bytes: u64,
    /// GET requests: one per object and download. Reads in several parts count as one.
    pub gets: u64,
}

impl Sum for S3Quantities {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        for (route, flow) in all.flat_map(|quantities| quantities.flows) {
            let total = sum.flows.entry(route).or_default();
            total.bytes = total.bytes.saturating_add(flow.bytes);
            total.gets = total.gets.saturating_add(flow.gets);
        }
        sum
    }
}

impl S3Quantities {
    /// Returns the bytes of all routes.
    pub fn bytes(&self) -> u64 {
        self.flows.values().fold(0, |sum, flow| sum.saturating_add(flow.bytes))
    }

    /// Returns the GET requests of all routes.
    pub fn gets(&self) -> u64 {
        self.flows.values().fold(0, |sum, flow| sum.saturating_add(flow.gets))
    }

    /// Returns the bytes by the name of the route, as in the tick object.
    pub fn routes(&self) -> BTreeMap<&'static str, u64> {
        let mut routes = BTreeMap::new();
        for (route, flow) in &self.flows {
            let bytes: &mut u64 = routes.entry(route.name()).or_default();
            *bytes = bytes.saturating_add(flow.bytes);
        }
        routes
    }

    /// Iterates over bytes and requests by route.
    pub fn flows(&self) -> impl Iterator<Item = (Route, Flow)> {
        self.flows.iter().map(|(route, flow)| (*route, *flow))
    }
}

/// Returns the downloads of `pings` pings that ran the function, `cold_starts` of them in a new environment.
/// `None` if something is downloaded per cold start and the number of cold starts is unknown.
pub fn s3_quantities(downloads: &[Download], pings: u64, cold_starts: Option<u64>) -> Option<S3Quantities> {
    let mut flows: BTreeMap<Route, Flow> = BTreeMap::new();
    for download in downloads {
        let times = match download.per {
            Per::ColdStart => cold_starts?,
            Per::Ping => pings,
        };
        if times > 0 {
            let flow = flows.entry(download.route).or_default();
            flow.bytes = flow.bytes.saturating_add(download.size_bytes.saturating_mul(times));
            flow.gets = flow.gets.saturating_add(times);
        }
    }
    Some(S3Quantities { flows })
}

/// Returns the cost of a round of a function in `region`, and the reasons why a figure is unknown, each once.
///
/// Prices are those of the first tier: the cost of one round does not depend on the rest of the month. A quantity of
/// zero costs zero even where the price is unknown. An unknown total has a lower bound, from the least usage with known
/// prices and memory, and an upper bound if prices and memory for the most usage are all known.
pub fn round_cost(
    book: &PriceBook,
    region: Region,
    architecture: Architecture,
    used: &RoundQuantities,
) -> (RoundCost, Vec<String>) {
    let mut bill = RoundBill { book, region, reasons: Vec::new(), missing: BTreeMap::new() };
    let on_demand = Item::Duration(architecture);
    let cost = match used.by_kind.as_deref() {
        None => bill.cost(&on_demand, used),
        Some(used) => {
            let provisioned = bill.cost(&Item::ProvisionedDuration(architecture), &used.provisioned);
            let parts = ByKind { provisioned, on_demand: bill.cost(&on_demand, &used.on_demand) };
            RoundCost { by_kind: Some(parts.map(|part| part.total)), ..parts.sum() }
        }
    };
    let missing = bill.missing.into_iter().map(|(region, items)| {
        let items: Vec<String> = items.iter().map(Item::to_string).collect();
        format!("the price book has no {} for {region}", items.join(", "))
    });
    (cost, bill.reasons.into_iter().map(str::to_owned).chain(missing).collect())
}

struct RoundBill<'a> {
    book: &'a PriceBook,
    region: Region,
    reasons: Vec<&'static str>,
    missing: BTreeMap<Region, BTreeSet<Item>>,
}

impl RoundBill<'_> {
    /// Returns the cost of a usage whose duration is priced as `duration`.
    fn cost(&mut self, duration: &Item, used: &RoundQuantities) -> RoundCost {
        let requests = match used.requests {
            Some(requests) => self.price(&Item::Requests, self.region, Decimal::from(requests)),
            None => {
                self.unknown("a ping without an answer may have run");
                None
            }
        };
        let compute = self.compute(duration, used);
        let (s3_requests, s3_egress) = match &used.s3 {
            Some(s3) => self.s3(s3),
            None => {
                if used.requests.is_some() {
                    self.unknown("the number of cold starts is unknown, and so is what they downloaded");
                }
                (None, None)
            }
        };
        let environments = match used.tenant_environments {
            Some(created) => self.tenant_environments(used.memory_mb, created),
            None => {
                if used.requests.is_some() {
                    self.unknown("the number of new environments of the tenant is unknown");
                }
                None
            }
        };
        let total = sum(vec![requests, compute, s3_requests, s3_egress, environments]);
        let (cost_at_least, cost_at_most) = match total {
            Some(_) => (None, None),
            None => {
                let known = |parts: [Option<Decimal>; 5]| parts.map(|part| Some(part.unwrap_or_default()));
                let least = sum(known(self.usage(duration, used.memory_mb, &used.least)).to_vec());
                let most = used.most.as_ref().map(|most| self.usage(duration, used.memory_mb, most));
                (least, most.and_then(|parts| sum(parts.to_vec())))
            }
        };
        RoundCost {
            requests: requests.map(shown),
            compute: compute.map(shown),
            s3_requests: s3_requests.map(shown),
            s3_egress: s3_egress.map(shown),
            tenant_environments: environments.filter(|cost| !cost.is_zero()).map(shown),
            total: total.map(shown),
            cost_at_least: cost_at_least.map(shown),
            cost_at_most: cost_at_most.map(shown),
            by_kind: None,
        }
    }

    /// Adds a reason for which a figure is unknown, once.
    fn unknown(&mut self, reason: &'static str) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn price(&mut self, item: &Item, region: Region, quantity: Decimal) -> Option<Decimal> {
        if quantity.is_zero() {
            return Some(Decimal::ZERO);
        }
        let price = self.book.price(item, region);
        if price.is_none() {
            self.missing.entry(region).or_default().insert(item.clone());
        }
        price?.checked_mul(quantity)
    }

    fn compute(&mut self, duration: &Item, used: &RoundQuantities) -> Option<Decimal> {
        if used.requests == Some(0) {
            return Some(Decimal::ZERO);
        }
        if used.billed_ms.is_none() && used.requests.is_some() {
            self.unknown("the billed duration of some pings is unknown");
        }
        if used.memory_mb.is_none() {
            self.unknown("the function's memory is unknown");
        }
        let quantity = gb_seconds(Decimal::from(used.billed_ms?), used.memory_mb?);
        self.price(duration, self.region, quantity)
    }

    /// Returns the cost of `created` environments of a tenant, each charged by its memory.
    fn tenant_environments(&mut self, memory_mb: Option<u32>, created: u64) -> Option<Decimal> {
        match memory_mb {
            _ if created == 0 => Some(Decimal::ZERO),
            Some(memory) => self.price(&Item::TenantEnvironment, self.region, memory_gib(created, memory)),
            None => None,
        }
    }

    /// Returns the cost of GET requests and of bytes.
    fn s3(&mut self, s3: &S3Quantities) -> (Option<Decimal>, Option<Decimal>) {
        let region = self.region;
        let gets = s3.flows().map(|(route, flow)| {
            self.price(&Item::S3Get, route.bucket_region(region), Decimal::from(flow.gets))
        });
        let gets = sum(gets.collect());
        let bytes = s3.flows().map(|(route, flow)| self.egress(route, region, flow.bytes));
        (gets, sum(bytes.collect()))
    }

    /// Returns the parts of a bound's cost: requests, compute, GET requests, bytes, environments of a tenant.
    fn usage(&mut self, duration: &Item, memory_mb: Option<u32>, usage: &Usage) -> [Option<Decimal>; 5] {
        let compute = match (usage.billed_ms, memory_mb) {
            (0, _) => Some(Decimal::ZERO),
            (_, None) => None,
            (billed_ms, Some(memory_mb)) => {
                let quantity = gb_seconds(Decimal::from(billed_ms), memory_mb);
                self.price(duration, self.region, quantity)
            }
        };
        let requests = self.price(&Item::Requests, self.region, Decimal::from(usage.requests));
        let (gets, bytes) = self.s3(&usage.s3);
        let environments = self.tenant_environments(memory_mb, usage.tenant_environments);
        [requests, compute, gets, bytes, environments]
    }

    fn egress(&mut self, route: Route, region: Region, bytes: u64) -> Option<Decimal> {
        let (item, place) = route.priced_as(self.book, region);
        self.price(&item, place, gib(bytes))
    }
}

fn sum(parts: Vec<Option<Decimal>>) -> Option<Decimal> {
    parts.into_iter().try_fold(Decimal::ZERO, |sum, part| sum.checked_add(part?))
}

/// Rounds to seven to fifteen decimals: enough for one request ($0.0000002), without the long tail of a division by
/// 2^30.
fn shown(amount: Decimal) -> Decimal {
    let mut amount = amount.round_dp_with_strategy(15, RoundingStrategy::MidpointAwayFromZero).normalize();
    if amount.scale() < 7 {
        amount.rescale(7);
    }
    amount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn download(size_bytes: u64, route: Route, per: Per) -> Download {
        Download { object: "s3://models/nlp-v7.bin".to_owned(), size_bytes, route, per }
    }

    fn used() -> RoundQuantities {
        let s3 = s3_quantities(&[download(220_000_000, Route::NatGateway, Per::ColdStart)], 10, Some(10));
        let whole = Usage { requests: 10, billed_ms: 12_345, s3: s3.clone().unwrap(), ..Usage::default() };
        RoundQuantities {
            requests: Some(10),
            billed_ms: Some(12_345),
            memory_mb: Some(1024),
            s3,
            tenant_environments: Some(0),
            least: whole.clone(),
            most: Some(whole),
            by_kind: None,
        }
    }

    fn cost(place: &str, used: &RoundQuantities) -> (RoundCost, Vec<String>) {
        round_cost(&PriceBook::embedded(), region(place), Architecture::Arm64, used)
    }

    fn lines(cost: &RoundCost) -> String {
        let show = |amount: Option<Decimal>| amount.map_or("null".to_owned(), |amount| amount.to_string());
        format!(
            "requests {} compute {} s3_requests {} s3_egress {} total {}",
            show(cost.requests),
            show(cost.compute),
            show(cost.s3_requests),
            show(cost.s3_egress),
            show(cost.total)
        )
    }

    #[test]
    fn a_round_in_london_to_the_last_digit() {
        let (cost, reasons) = cost("eu-west-2", &used());
        insta::assert_snapshot!(lines(&cost), @"requests 0.0000020 compute 0.000164600823 s3_requests 0.0000042 s3_egress 0.102445483207703 total 0.102616284030703");
        assert!(reasons.is_empty());
    }

    #[test]
    fn downloads_are_counted_by_cold_start_or_by_ping_and_by_route() {
        let virginia = Route::InterRegion { bucket_region: region("us-east-1") };
        let downloads = [
            download(100, Route::SameRegion, Per::ColdStart),
            download(10, virginia, Per::ColdStart),
            download(1, virginia, Per::Ping),
        ];
        let s3 = s3_quantities(&downloads, 8, Some(3)).unwrap();
        assert_eq!((s3.bytes(), s3.gets()), (338, 14));
        assert_eq!(s3.routes(), BTreeMap::from([("same-region", 300), ("inter-region", 38)]));
        assert_eq!(s3_quantities(&downloads, 8, None), None);
        assert_eq!(s3_quantities(&downloads[2..], 8, None).unwrap().bytes(), 8);
        assert_eq!(s3_quantities(&downloads, 0, Some(0)).unwrap(), S3Quantities::default());
    }

    #[test]
    fn bytes_from_another_region_have_the_price_of_that_region() {
        let tokyo = Route::InterRegion { bucket_region: region("ap-northeast-1") };
        let s3 = s3_quantities(&[download(1 << 30, tokyo, Per::Ping)], 1, None);
        let (cost, _) = cost("us-east-1", &RoundQuantities { s3, ..used() });
        assert_eq!(cost.s3_egress.unwrap().to_string(), "0.0900000");
        assert_eq!(cost.s3_requests.unwrap().to_string(), "0.00000037");
    }

    #[test]
    fn a_pair_of_regions_may_have_its_own_price() {
        let ohio = Route::InterRegion { bucket_region: region("us-east-2") };
        let s3 = s3_quantities(&[download(1 << 30, ohio, Per::Ping)], 1, None);
        let near = cost("us-east-1", &RoundQuantities { s3: s3.clone(), ..used() }).0;
        let far = cost("eu-west-1", &RoundQuantities { s3, ..used() }).0;
        assert_eq!(near.s3_egress.unwrap().to_string(), "0.0100000");
        assert_eq!(far.s3_egress.unwrap().to_string(), "0.0200000");
    }

    #[test]
    fn an_unknown_figure_is_null_with_its_reason_once() {
        let (no_memory, reasons) = cost("eu-west-2", &RoundQuantities { memory_mb: None, ..used() });
        insta::assert_snapshot!(lines(&no_memory), @"requests 0.0000020 compute null s3_requests 0.0000042 s3_egress 0.102445483207703 total null");
        assert_eq!(reasons, ["the function's memory is unknown"]);

        let (no_s3, reasons) = cost("eu-west-2", &RoundQuantities { s3: None, ..used() });
        assert_eq!((no_s3.s3_requests, no_s3.s3_egress, no_s3.total), (None, None, None));
        assert_eq!(reasons, ["the number of cold starts is unknown, and so is what they downloaded"]);

        let (nowhere, reasons) = cost("me-south-1", &used());
        assert_eq!(nowhere, RoundCost { cost_at_least: Some(Decimal::ZERO), ..RoundCost::default() });
        insta::assert_snapshot!(reasons.join("\n"), @"the price book has no lambda.requests, lambda.duration.arm64, s3.get, nat-gateway.gb for me-south-1");
    }

    #[test]
    fn an_unknown_cost_is_between_bounds() {
        let download = [download(220_000_000, Route::NatGateway, Per::ColdStart)];
        let s3 = |cold_starts| s3_quantities(&download, 10, Some(cold_starts)).unwrap();
        // Nine pings reported 900 ms and one cold start; of the tenth only the timeout of 30 s is known.
        let unknown = RoundQuantities {
            requests: None,
            billed_ms: None,
            memory_mb: Some(1024),
            s3: None,
            tenant_environments: Some(0),
            least: Usage { requests: 9, billed_ms: 900, s3: s3(1), ..Usage::default() },
            most: Some(Usage { requests: 10, billed_ms: 160_900, s3: s3(2), ..Usage::default() }),
            by_kind: None,
        };
        let (bounded, reasons) = cost("eu-west-2", &unknown);
        assert_eq!(reasons, ["a ping without an answer may have run"]);
        assert_eq!((bounded.total, bounded.requests, bounded.compute), (None, None, None));
        // 9 × $0.20/M + 0.9 GB-s × $0.0000133334 + $0.00042/1,000 + 220,000,000 B × $0.05/GB, and the same of the most.
        let (least, most) = (bounded.cost_at_least.unwrap(), bounded.cost_at_most.unwrap());
        assert_eq!(least.round_dp(9).to_string(), "0.010258768");
        assert_eq!(most.round_dp(9).to_string(), "0.022637281");

        let no_timeout = cost("eu-west-2", &RoundQuantities { most: None, ..unknown.clone() }).0;
        assert_eq!((no_timeout.cost_at_least, no_timeout.cost_at_most), (Some(least), None));
        let no_memory = cost("eu-west-2", &RoundQuantities { memory_mb: None, ..unknown.clone() }).0;
        assert_eq!((no_memory.total, no_memory.cost_at_most), (None, None));
        assert_eq!(no_memory.cost_at_least.unwrap().round_dp(9).to_string(), "0.010246768", "no compute");
        let no_price = cost("me-south-1", &unknown).0;
        assert_eq!((no_price.cost_at_least, no_price.cost_at_most), (Some(Decimal::ZERO), None));
        assert_eq!(cost("eu-west-2", &used()).0.cost_at_least, None, "a known total has no bounds");
    }

    #[test]
    fn new_environments_of_a_tenant_are_charged_by_memory() {
        let of = |tenant_environments| RoundQuantities { tenant_environments, ..used() };
        let without = cost("us-east-1", &of(Some(0))).0;
        assert_eq!(without.tenant_environments, None);
        // Three environments of 1 GB at $0.000167.
        let (three, reasons) = cost("us-east-1", &of(Some(3)));
        assert_eq!(three.tenant_environments.unwrap().to_string(), "0.0005010");
        assert_eq!(three.total.unwrap() - without.total.unwrap(), three.tenant_environments.unwrap());
        assert!(reasons.is_empty());

        let (no_price, reasons) = cost("eu-west-2", &of(Some(3)));
        assert_eq!((no_price.tenant_environments, no_price.total), (None, None));
        assert_eq!(reasons, ["the price book has no lambda.tenant-environment for eu-west-2"]);
        assert!(no_price.cost_at_least.is_some());

        let (unknown, reasons) = cost("us-east-1", &of(None));
        assert_eq!((unknown.tenant_environments, unknown.total), (None, None));
        assert_eq!(reasons, ["the number of new environments of the tenant is unknown"]);
    }

    #[test]
    fn duration_on_provisioned_environments_has_its_own_price() {
        let part = |requests, billed_ms| RoundQuantities {
            requests: Some(requests),
            billed_ms: Some(billed_ms),
            memory_mb: Some(1024),
            s3: Some(S3Quantities::default()),
            tenant_environments: Some(0),
            ..RoundQuantities::default()
        };
        let by_kind = ByKind { provisioned: part(2, 2_000), on_demand: part(8, 10_345) };
        let used = RoundQuantities { by_kind: Some(Box::new(by_kind)), ..part(10, 12_345) };
        let (parted, reasons) = cost("us-east-1", &used);
        // 2 GB-s × $0.0000077778 + 10.345 GB-s × $0.0000133334 + 10 × $0.20/M.
        insta::assert_snapshot!(lines(&parted), @"requests 0.0000020 compute 0.000153489623 s3_requests 0.0000000 s3_egress 0.0000000 total 0.000155489623");
        let parts = parted.by_kind.unwrap();
        assert_eq!(parts.provisioned.unwrap().to_string(), "0.0000159556");
        assert_eq!(Some(parts.provisioned.unwrap() + parts.on_demand.unwrap()), parted.total);
        assert!(reasons.is_empty());

        let (parted, reasons) = cost("me-south-1", &used);
        assert_eq!((parted.total, parted.by_kind), (None, Some(ByKindCost::default())));
        insta::assert_snapshot!(reasons.join("\n"), @"the price book has no lambda.requests, lambda.duration.arm64, lambda.provisioned-duration.arm64 for me-south-1");
    }

    #[test]
    fn the_bounds_of_one_kind_include_the_known_cost_of_the_other() {
        let least = Usage { requests: 1, billed_ms: 1_000, ..Usage::default() };
        let most = Some(Usage { requests: 2, billed_ms: 3_000, ..Usage::default() });
        let memory_mb = Some(1024);
        let tenant_environments = Some(0);
        let unknown =
            RoundQuantities { memory_mb, least, most, tenant_environments, ..RoundQuantities::default() };
        let s3 = Some(S3Quantities::default());
        let provisioned = RoundQuantities {
            requests: Some(1),
            billed_ms: Some(1_000),
            memory_mb,
            s3,
            tenant_environments,
            ..Default::default()
        };
        let by_kind = |on_demand| Some(Box::new(ByKind { provisioned: provisioned.clone(), on_demand }));
        let total = |used: &RoundQuantities| cost("us-east-1", used).0;
        let parted = total(&RoundQuantities { by_kind: by_kind(unknown.clone()), ..Default::default() });
        let (first, rest) = (parted.by_kind.unwrap().provisioned.unwrap(), total(&unknown));
        assert_eq!((parted.total, rest.total), (None, None));
        assert_eq!(parted.cost_at_least, Some(first + rest.cost_at_least.unwrap()));
        assert_eq!(parted.cost_at_most, Some(first + rest.cost_at_most.unwrap()));
        let twice = ByKind { provisioned: unknown.clone(), on_demand: unknown.clone() };
        let (_, reasons) = cost("us-east-1", &RoundQuantities { by_kind: Some(Box::new(twice)), ..unknown });
        assert_eq!(reasons, ["a ping without an answer may have run"], "once");
    }

    #[test]
    fn zero_usage_costs_zero_even_where_prices_are_unknown() {
        let throttled = RoundQuantities {
            requests: Some(0),
            s3: s3_quantities(&[], 0, Some(0)),
            tenant_environments: Some(0),
            ..RoundQuantities::default()
        };
        let (cost, reasons) = cost("me-south-1", &throttled);
        assert_eq!(cost.total, Some(Decimal::ZERO));
        assert!(reasons.is_empty());
    }
}
