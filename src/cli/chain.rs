//! Chains of pipelines in the outputs of `plan`, `explain` and `compare`.

use std::io;

use rust_decimal::Decimal;
use serde::Serialize;

use super::output::{print, print_json};
use super::render::chain::StageAt;
use super::render::{self, Style};
use super::status::PauseObject;
use crate::domain::chain::{Chain, Link, PayloadCost, Total, cheapest, windows};
use crate::domain::cost::compare::CostAlternative;
use crate::domain::cost::{Bill, Route};
use crate::domain::fleet::Fleet;
use crate::domain::function::{Identity, Region};
use crate::domain::pipeline::Pipeline;
use crate::domain::plan::Period;
use crate::domain::records::Pauses;
use crate::domain::schedule::{Minute, WindowView, explain_windows};

/// A pipeline in `plan`.
#[derive(Serialize)]
pub struct ChainObject<'c> {
    name: &'c str,
    region: Region,
    stages: Vec<StageObject<'c>>,
    cold_latency_ms: LatencyObject,
    /// The load of each window, requests per second.
    loads: &'c [Decimal],
    /// The requests of the load in the period.
    requests: Decimal,
}

#[derive(Serialize)]
struct StageObject<'c> {
    functions: Vec<String>,
    /// Null if no window opens in the period.
    environments: Option<RangeObject>,
    #[serde(flatten)]
    settings: SettingsObject,
    payload: Option<PayloadObject<'c>>,
}

/// The keys of a stage that do not depend on time.
#[derive(Serialize)]
struct SettingsObject {
    per_backlog: Option<u32>,
    takes: u32,
    rate: Decimal,
    /// The duration of a cold start of each function.
    init_ms: Vec<u128>,
    /// True if one of them is not configured.
    assumed: bool,
    /// The functions that the windows of the pipeline do not warm.
    never_warmed: Vec<String>,
}

#[derive(Serialize)]
struct RangeObject {
    lowest: u32,
    highest: u32,
}

#[derive(Serialize)]
struct LatencyObject {
    sequential: u128,
    overlapped: u128,
    assumed: bool,
}

#[derive(Serialize)]
struct PayloadObject<'c> {
    bytes: u64,
    via: Option<&'static str>,
    routes: Vec<RouteObject<'c>>,
}

#[derive(Serialize)]
struct RouteObject<'c> {
    route: &'static str,
    bucket_region: Option<Region>,
    /// Null if a price is unknown.
    usd_per_request: Option<Decimal>,
    /// The cost of the load in the period.
    cost: &'c Bill,
}

impl<'c> ChainObject<'c> {
    /// Converts a chain.
    pub fn new(chain: &'c Chain<'_>) -> Self {
        Self {
            name: &chain.pipeline.name,
            region: chain.pipeline.region,
            stages: chain.links.iter().map(StageObject::new).collect(),
            cold_latency_ms: LatencyObject::new(chain),
            loads: &chain.pipeline.loads,
            requests: chain.requests.normalize(),
        }
    }
}

impl<'c> StageObject<'c> {
    fn new(link: &'c Link<'_>) -> Self {
        let payload = link.stage.payload.map(|payload| PayloadObject {
            bytes: payload.bytes,
            via: payload.is_via_s3.then_some("s3"),
            routes: link.payloads.iter().map(RouteObject::new).collect(),
        });
        Self {
            functions: labels(&link.stage.parts),
            environments: link.environments.map(|(lowest, highest)| RangeObject { lowest, highest }),
            settings: SettingsObject::new(link),
            payload,
        }
    }
}

impl SettingsObject {
    fn new(link: &Link<'_>) -> Self {
        Self {
            per_backlog: link.stage.per_backlog,
            takes: link.stage.takes,
            rate: link.stage.rate.normalize(),
            init_ms: link.inits.iter().map(|init| init.value().as_millis()).collect(),
            assumed: link.inits.iter().any(|init| init.is_assumed()),
            never_warmed: labels(link.unwarmed.iter().copied()),
        }
    }
}

impl LatencyObject {
    fn new(chain: &Chain<'_>) -> Self {
        let latency = chain.cold_latency();
        let [sequential, overlapped] = [latency.sequential, latency.overlapped].map(|time| time.as_millis());
        Self { sequential, overlapped, assumed: latency.is_assumed }
    }
}

impl<'c> RouteObject<'c> {
    fn new(cost: &'c PayloadCost) -> Self {
        let bucket_region = match cost.route {
            Route::InterRegion { bucket_region } => Some(bucket_region),
            Route::SameRegion | Route::NatGateway | Route::InterfaceEndpoint | Route::Internet => None,
        };
        let usd_per_request = cost.per_request.map(|usd| usd.normalize());
        Self { route: cost.route.name(), bucket_region, usd_per_request, cost: &cost.bill }
    }
}

fn labels<'i>(functions: impl IntoIterator<Item = &'i Identity>) -> Vec<String> {
    functions.into_iter().map(Identity::label).collect()
}

/// A pipeline in `compare`.
#[derive(Serialize)]
pub struct TotalsObject<'c> {
    name: &'c str,
    region: Region,
    options: Vec<TotalObject>,
    cheapest: Option<CostAlternative>,
}

#[derive(Serialize)]
struct TotalObject {
    option: CostAlternative,
    total: Option<Decimal>,
    cold_starts: Option<u64>,
}

impl<'c> TotalsObject<'c> {
    /// Converts the sums over the functions of a pipeline.
    pub fn new(pipeline: &'c Pipeline, totals: &[Total]) -> Self {
        let option = |total: &Total| TotalObject {
            option: total.alternative,
            total: total.usd,
            cold_starts: total.cold_starts,
        };
        Self {
            name: &pipeline.name,
            region: pipeline.region,
            options: totals.iter().map(option).collect(),
            cheapest: cheapest(totals),
        }
    }
}

/// The next change of a number.
#[derive(Serialize)]
pub struct ChangeObject {
    at: Minute,
    #[serde(rename = "target")]
    desired: u32,
}

impl ChangeObject {
    /// Converts a change.
    pub fn new((at, desired): (Minute, u32)) -> Self {
        Self { at, desired }
    }
}

/// A pipeline in `explain`.
#[derive(Serialize)]
struct PipelineObject<'e> {
    pipeline: &'e str,
    region: Region,
    at: Minute,
    stages: Vec<StageAtObject<'e>>,
    cold_latency_ms: LatencyObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PauseObject<'e>>,
}

#[derive(Serialize)]
struct StageAtObject<'e> {
    functions: Vec<String>,
    #[serde(rename = "target")]
    desired: u32,
    #[serde(flatten)]
    settings: SettingsObject,
    windows: &'e [WindowView<'e>],
    next_change: Option<ChangeObject>,
}

impl<'e> StageAtObject<'e> {
    fn new((link, stage): (&Link<'_>, &'e StageAt<'_>)) -> Self {
        Self {
            functions: labels(&link.stage.parts),
            desired: stage.explanation.desired,
            settings: SettingsObject::new(link),
            windows: &stage.explanation.windows,
            next_change: stage.explanation.next_change.map(ChangeObject::new),
        }
    }
}

/// A pipeline to explain at a minute.
#[derive(Debug, Clone, Copy)]
pub struct Explained<'e> {
    /// The fleet with the requests.
    pub fleet: &'e Fleet,
    /// The pipeline.
    pub pipeline: &'e Pipeline,
    /// The minute.
    pub minute: Minute,
    /// The pauses.
    pub pauses: &'e Pauses,
}

/// Prints the explanation of a pipeline.
///
/// # Errors
/// A failure to write to standard output.
pub fn explain(explained: Explained<'_>, json: bool, style: Style) -> io::Result<()> {
    let Explained { fleet, pipeline, minute, pauses } = explained;
    let chain = Chain::new(fleet, pipeline, Period { from: minute, until: minute });
    let stage = |stage| {
        let windows = windows(fleet, pipeline, stage);
        StageAt { explanation: explain_windows(windows.iter().copied(), minute), windows }
    };
    let stages: Vec<StageAt<'_>> = pipeline.stages.iter().map(stage).collect();
    let now = minute.instant();
    let all = pauses.all.as_ref().filter(|pause| now < pause.until);
    let own = pauses.of_pipeline(&pipeline.name, now);
    let pause = all.into_iter().chain(own).max_by_key(|pause| pause.until);
    if json {
        print_json(&PipelineObject {
            pipeline: &pipeline.name,
            region: pipeline.region,
            at: minute,
            stages: chain.links.iter().zip(&stages).map(StageAtObject::new).collect(),
            cold_latency_ms: LatencyObject::new(&chain),
            paused: pause.map(PauseObject::new),
        })?;
    } else {
        // A pause overrides the schedule.
        if let Some(pause) = pause {
            print(&format!("pipeline {} is {pause}\n", render::chain::name(pipeline)))?;
        }
        print(&render::chain::explain(&chain, minute, &stages, style))?;
    }
    Ok(())
}
