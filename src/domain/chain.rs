//! The chain of a pipeline: the number of environments of each stage, the cold latency, and the cost of payloads
//! through S3.

use std::time::Duration;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::calendar::Window;
use super::cost::assume::{Assumed, Assumptions};
use super::cost::compare::{Comparison, CostAlternative};
use super::cost::{Bill, BillLine, PriceBook, Route, payloads};
use super::fleet::{Fleet, Target};
use super::function::Identity;
use super::pipeline::{Pipeline, Stage};
use super::plan::{Period, TargetPlan};
use super::schedule::window_segments;

/// The routes that are priced for a payload without a configured route.
const ROUTES: [Route; 4] = [Route::SameRegion, Route::NatGateway, Route::InterfaceEndpoint, Route::Internet];

/// A pipeline over a period.
#[derive(Debug, Clone)]
pub struct Chain<'f> {
    /// The pipeline.
    pub pipeline: &'f Pipeline,
    /// The stages in order.
    pub links: Vec<Link<'f>>,
    /// The requests of the load while a window is open, lead and ramps excluded.
    pub requests: Decimal,
}

/// A stage of a pipeline over a period.
#[derive(Debug, Clone)]
pub struct Link<'f> {
    /// The stage.
    pub stage: &'f Stage,
    /// The lowest and the highest number of environments of each part while a window is open, without spare ones;
    /// `None` if no window opens in the period.
    pub environments: Option<(u32, u32)>,
    /// The duration of a cold start of each part.
    pub inits: Vec<Assumed<Duration>>,
    /// The parts that the windows of the pipeline do not warm, such as disabled functions.
    pub unwarmed: Vec<&'f Identity>,
    /// The cost of the payload by route; empty for a payload that does not pass through S3.
    pub payloads: Vec<PayloadCost>,
}

/// The cost of a payload through S3 by one route.
#[derive(Debug, Clone)]
pub struct PayloadCost {
    /// The route.
    pub route: Route,
    /// US dollars per request, unrounded; `None` when unknown.
    pub per_request: Option<Decimal>,
    /// The bill for the load of the period.
    pub bill: Bill,
}

/// The time that cold starts add to the first request through a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdLatency {
    /// The sum over all functions: each begins to load when the one before hands over.
    pub sequential: Duration,
    /// The longest: all functions load at the same time.
    pub overlapped: Duration,
    /// True if a duration is not configured.
    pub is_assumed: bool,
}

/// The cost of an alternative for all functions of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The alternative.
    pub alternative: CostAlternative,
    /// The sum of the totals in US dollars; `None` if one is unknown.
    pub usd: Option<Decimal>,
    /// The sum of the cold starts that delay invocations; `None` if one is unknown.
    pub cold_starts: Option<u64>,
}

impl Pipeline {
    /// Returns the functions of all stages in order.
    pub fn functions(&self) -> impl Iterator<Item = &Identity> {
        self.stages.iter().flat_map(|stage| &stage.parts)
    }

    /// Returns true if a stage has the function of a target, for any tenant.
    pub fn contains(&self, target: &Identity) -> bool {
        let function = target.without_tenant();
        self.functions().any(|part| *part == function)
    }
}

/// Returns the names of the pipelines with the function of a target.
pub fn names<'f>(fleet: &'f Fleet, target: &Identity) -> Vec<&'f str> {
    let with_it = fleet.pipelines.iter().filter(|pipeline| pipeline.contains(target));
    with_it.map(|pipeline| &*pipeline.name).collect()
}

/// Returns the windows of a stage: those that its function has of the pipeline, requests included.
pub fn windows<'f>(fleet: &'f Fleet, pipeline: &'f Pipeline, stage: &'f Stage) -> Vec<&'f Window> {
    let parts = stage.parts.iter().map(|part| own_windows(fleet, pipeline, part));
    let found = parts.into_iter().find(|windows| !windows.is_empty());
    found.unwrap_or_else(|| stage.windows.iter().collect())
}

/// Returns the windows of a function that belong to a pipeline.
fn own_windows<'f>(fleet: &'f Fleet, pipeline: &Pipeline, part: &Identity) -> Vec<&'f Window> {
    let windows = targets(fleet, part).next().into_iter().flat_map(|target| &target.windows);
    windows.filter(|window| window.pipeline.as_ref() == Some(&pipeline.name)).collect()
}

fn targets<'f>(fleet: &'f Fleet, part: &Identity) -> impl Iterator<Item = &'f Target> {
    fleet.targets.iter().filter(move |target| target.id.without_tenant() == *part)
}

impl<'f> Chain<'f> {
    /// Creates the chain of a pipeline over a period.
    pub fn new(fleet: &'f Fleet, pipeline: &'f Pipeline, period: Period) -> Self {
        let requests = requests(pipeline, period);
        let link = |stage: &'f Stage| Link {
            stage,
            environments: environments(stage, period),
            inits: stage.parts.iter().map(|part| init(fleet, part)).collect(),
            unwarmed: stage
                .parts
                .iter()
                .filter(|part| !stage.windows.is_empty() && own_windows(fleet, pipeline, part).is_empty())
                .collect(),
            payloads: payload_costs(&fleet.prices, pipeline, stage, requests),
        };
        Self { pipeline, links: pipeline.stages.iter().map(link).collect(), requests }
    }

    /// Returns the time that cold starts add to the first request.
    pub fn cold_latency(&self) -> ColdLatency {
        let inits = || self.links.iter().flat_map(|link| &link.inits);
        ColdLatency {
            sequential: inits().fold(Duration::ZERO, |sum, init| sum.saturating_add(init.value())),
            overlapped: inits().map(|init| init.value()).max().unwrap_or_default(),
            is_assumed: inits().any(|init| init.is_assumed()),
        }
    }
}

/// Returns the duration of a cold start of a function.
fn init(fleet: &Fleet, part: &Identity) -> Assumed<Duration> {
    let target = targets(fleet, part).next();
    target.map_or_else(|| Assumptions::default().init_duration, |target| target.assume.init_duration)
}

/// Returns a window with another number, and without lead and ramps.
fn open_only(window: &Window, concurrency: u32) -> Window {
    let zero = TimeDelta::zero();
    Window { concurrency, lead: zero, ramp_up: zero, ramp_down: zero, ..window.clone() }
}

/// Returns the lowest and the highest number of a stage while a window is open.
fn environments(stage: &Stage, Period { from, until }: Period) -> Option<(u32, u32)> {
    let windows: Vec<Window> =
        stage.windows.iter().map(|window| open_only(window, window.concurrency)).collect();
    let segments = window_segments(&windows, from, until);
    let numbers = || segments.iter().map(|segment| segment.desired);
    numbers().min().zip(numbers().max())
}

/// Returns the requests of the load while a window is open: of several open windows the highest load counts.
fn requests(pipeline: &Pipeline, Period { from, until }: Period) -> Decimal {
    let Some(stage) = pipeline.stages.first() else { return Decimal::ZERO };
    let mut loads = pipeline.loads.clone();
    loads.sort_unstable();
    loads.dedup();
    // The place of a load in their order takes that of the number of environments.
    let place = |load: &Decimal| loads.partition_point(|other| other <= load);
    let windows = stage.windows.iter().zip(&pipeline.loads);
    let windows: Vec<Window> = windows
        .map(|(window, load)| open_only(window, u32::try_from(place(load)).unwrap_or(u32::MAX)))
        .collect();
    let segments = window_segments(&windows, from, until).into_iter();
    segments.fold(Decimal::ZERO, |sum, segment| {
        let load = usize::try_from(segment.desired).ok().and_then(|place| loads.get(place.checked_sub(1)?));
        let load = load.copied().unwrap_or_default();
        sum.saturating_add(load.saturating_mul(Decimal::from(segment.seconds())))
    })
}

/// Returns the cost of the payload of a stage by each route that is possible.
fn payload_costs(
    prices: &PriceBook,
    pipeline: &Pipeline,
    stage: &Stage,
    requests: Decimal,
) -> Vec<PayloadCost> {
    let Some(payload) = stage.payload.filter(|payload| payload.is_via_s3) else { return Vec::new() };
    let takes = Decimal::from(stage.takes.max(1));
    let bill = |route, number| payloads(prices, pipeline.region, route, payload.bytes, number);
    let cost = |route: Route| PayloadCost {
        route,
        per_request: bill(route, Decimal::ONE)
            .lines
            .iter()
            .map(BillLine::exact)
            .sum::<Option<Decimal>>()
            .map(|usd| usd / takes),
        bill: bill(route, (requests / takes).ceil()),
    };
    match payload.route {
        Some(route) => vec![cost(route)],
        None => ROUTES.into_iter().map(cost).collect(),
    }
}

/// Returns the sum of each alternative over the functions of a pipeline, in the order of the comparisons.
pub fn totals(pipeline: &Pipeline, plans: &[TargetPlan<'_>], comparisons: &[Comparison]) -> Vec<Total> {
    let own = plans.iter().zip(comparisons).filter(|(plan, _)| pipeline.contains(&plan.target.id));
    let own: Vec<&Comparison> = own.map(|(_, comparison)| comparison).collect();
    let Some(first) = own.first() else { return Vec::new() };
    let total = |alternative| {
        let options = || own.iter().map(|comparison| comparison.option(alternative));
        Total {
            alternative,
            usd: options().map(|option| option?.total()).sum(),
            cold_starts: options()
                .try_fold(0_u64, |sum, option| Some(sum.saturating_add(option?.cold_starts?))),
        }
    };
    first.options.iter().map(|option| total(option.alternative)).collect()
}

/// Returns the alternative with the lowest known cost, the first of several.
pub fn cheapest(totals: &[Total]) -> Option<CostAlternative> {
    let known = totals.iter().filter_map(|total| Some((total.usd?, total.alternative)));
    known.min_by_key(|(usd, _)| *usd).map(|(_, alternative)| alternative)
}

#[cfg(test)]
pub(crate) mod tests;
