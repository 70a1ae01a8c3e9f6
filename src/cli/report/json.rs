//! The report as JSON.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::domain::cost::compare::{CostAlternative, CostOption};
use crate::domain::function::Region;
use crate::domain::history::{CapacityHour, ShortReason};
use crate::domain::review::{Burn, Cheapest, Day, FunctionReview, Review, Sums};
use crate::domain::schedule::Minute;

/// The report of `--json`.
#[derive(Serialize)]
pub(super) struct ReportObject<'r> {
    from: Minute,
    until: Minute,
    /// The part of the period with a history.
    known_from: Option<Minute>,
    known_until: Option<Minute>,
    simulated: bool,
    fleet: FleetObject<'r>,
    functions: Vec<FunctionObject<'r>>,
    owners: Vec<OwnerObject<'r>>,
    routes: Vec<RouteObject<'r>>,
    days: Vec<DayObject>,
    days_without_history: usize,
    unread: &'r [String],
}

#[derive(Serialize)]
struct FleetObject<'r> {
    #[serde(flatten)]
    sums: SumsObject<'r>,
    /// The mean of the objectives of the functions, by their window minutes.
    slo: SloObject,
    /// True if no function has an objective, and the default one counts.
    default_slo: bool,
    error_budget: BurnObject,
}

#[derive(Serialize)]
struct FunctionObject<'r> {
    function: String,
    region: Region,
    tenant: Option<&'r str>,
    owner: Option<&'r str>,
    configured: bool,
    strategy: Option<&'static str>,
    #[serde(flatten)]
    sums: SumsObject<'r>,
    capacity: Option<CapacityHour>,
    slo: Option<SloObject>,
    error_budget: Option<BurnObject>,
    alternatives: Option<Vec<AlternativeObject>>,
    /// The assumptions of the alternatives that are not configured.
    assumed: &'r [&'static str],
    cheapest: Option<CostAlternative>,
    days: Vec<DayObject>,
}

#[derive(Serialize)]
struct OwnerObject<'r> {
    owner: Option<&'r str>,
    #[serde(flatten)]
    sums: SumsObject<'r>,
}

#[derive(Serialize)]
struct RouteObject<'r> {
    route: &'r str,
    bytes: u64,
    /// The known cost; null if nothing of it is known.
    usd: Option<Decimal>,
    /// True if the cost is not fully known.
    partial_cost: bool,
}

#[derive(Serialize)]
struct SumsObject<'r> {
    window_minutes: u64,
    warm_minutes: u64,
    unknown_minutes: u64,
    capped_minutes: u64,
    coverage: Option<f64>,
    rounds: u64,
    pings: u64,
    cold_starts: u64,
    semi_cold_starts: u64,
    restored: u64,
    preinitialized: u64,
    short_rounds: &'r BTreeMap<ShortReason, u64>,
    known_cost_usd: Decimal,
    cost_usd: &'r BTreeMap<String, Decimal>,
    unknown_costs: u64,
    usd_per_warm_hour: Option<Decimal>,
    egress_bytes: &'r BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct SloObject {
    coverage: f64,
    over_days: u32,
}

#[derive(Serialize)]
struct BurnObject {
    left: Option<f64>,
    burn_rate: Option<f64>,
    burn_rate_3d: Option<f64>,
}

#[derive(Serialize)]
struct AlternativeObject {
    option: CostAlternative,
    total_usd: Option<Decimal>,
    cold_starts: Option<u64>,
}

#[derive(Serialize)]
struct DayObject {
    date: NaiveDate,
    window_minutes: u64,
    warm_minutes: u64,
    unknown_minutes: u64,
    target: u32,
    reached: Option<u32>,
}

impl<'r> ReportObject<'r> {
    pub(super) fn new(review: &'r Review<'_>, simulated: bool) -> Self {
        let fleet = FleetObject {
            sums: SumsObject::new(&review.fleet),
            slo: SloObject { coverage: rounded(review.objective), over_days: review.over_days },
            default_slo: review.is_default_slo,
            error_budget: BurnObject::new(review.burn),
        };
        let owners = review.owners.iter().map(|(owner, sums)| OwnerObject {
            owner: Some(owner.as_str()).filter(|owner| !owner.is_empty()),
            sums: SumsObject::new(sums),
        });
        let routes = review.fleet.routes.iter().map(|(route, sum)| RouteObject {
            route,
            bytes: sum.bytes,
            usd: sum.known_usd().map(|usd| usd.normalize()),
            partial_cost: sum.is_partial,
        });
        Self {
            from: review.period.from,
            until: review.period.until,
            known_from: review.known.map(|known| known.from),
            known_until: review.known.map(|known| known.until),
            simulated,
            fleet,
            functions: review.functions.iter().map(FunctionObject::new).collect(),
            owners: owners.collect(),
            routes: routes.collect(),
            days: review.days.iter().map(DayObject::new).collect(),
            days_without_history: review.missing_days,
            unread: &review.unread,
        }
    }
}

impl<'r> FunctionObject<'r> {
    fn new(function: &'r FunctionReview<'_>) -> Self {
        let slo = function.target.and_then(|target| target.slo);
        let alternative = |option: &CostOption| AlternativeObject {
            option: option.alternative,
            total_usd: option.exact().map(|usd| usd.round_dp(6).normalize()),
            cold_starts: option.cold_starts,
        };
        let comparison = function.comparison.as_ref();
        Self {
            function: function.id.label(),
            region: function.id.region,
            tenant: function.id.tenant.as_ref().map(|tenant| tenant.as_str()),
            owner: function.sums.row.owner.as_deref(),
            configured: function.target.is_some(),
            strategy: function.target.map(|target| target.strategy.name()),
            sums: SumsObject::new(&function.sums),
            capacity: function.sums.row.capacity,
            slo: slo.map(|slo| SloObject { coverage: slo.coverage(), over_days: slo.over_days }),
            error_budget: function.burn.map(BurnObject::new),
            alternatives: comparison.map(|all| all.options.iter().map(alternative).collect()),
            assumed: &function.assumed,
            cheapest: function.cheapest().map(|cheapest| match cheapest {
                Cheapest::Present(own) => own,
                Cheapest::Other(other, _) => other,
            }),
            days: function.days.iter().map(DayObject::new).collect(),
        }
    }
}

impl<'r> SumsObject<'r> {
    fn new(sums: &'r Sums) -> Self {
        let row = &sums.row;
        Self {
            window_minutes: row.minutes.window,
            warm_minutes: row.minutes.warm,
            unknown_minutes: row.minutes.unknown,
            capped_minutes: row.minutes.capped,
            coverage: row.minutes.coverage(),
            rounds: row.rounds,
            pings: row.pings,
            cold_starts: row.cold,
            semi_cold_starts: row.semi_cold,
            restored: row.restored,
            preinitialized: row.preinitialized,
            short_rounds: &row.short,
            known_cost_usd: sums.known_usd.normalize(),
            cost_usd: &row.cost,
            unknown_costs: row.cost_unknown,
            usd_per_warm_hour: sums.usd_per_warm_hour().map(|usd| usd.round_dp(9).normalize()),
            egress_bytes: &row.egress,
        }
    }
}

impl BurnObject {
    fn new(burn: Burn) -> Self {
        let Burn { budget_left, whole, recent } = burn;
        Self {
            left: budget_left.map(rounded),
            burn_rate: whole.map(rounded),
            burn_rate_3d: recent.map(rounded),
        }
    }
}

/// Rounds to six decimals, as `warmd status`.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

impl DayObject {
    fn new(day: &Day) -> Self {
        Self {
            date: day.date,
            window_minutes: day.minutes.window,
            warm_minutes: day.minutes.warm,
            unknown_minutes: day.minutes.unknown,
            target: day.target,
            reached: day.reached,
        }
    }
}
