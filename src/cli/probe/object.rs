//! The JSON object of a probe.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::Serialize;

use super::measure::{Measurement, Result};
use crate::domain::cost::PriceBook;
use crate::domain::cost::calculator::{LambdaUsage, lambda};
use crate::domain::fleet::Target;
use crate::domain::function::Region;
use crate::domain::probe::{Candidate, Estimate, Gap, Measured, Start, StepResult, interval, marks};
use crate::domain::text::elapsed;
use crate::service::probe::{MemoryResult, Spent};

/// The result of a probe.
#[derive(Debug, Serialize)]
pub struct ProbeObject {
    /// The function, as it was given.
    pub function: String,
    /// The region.
    pub region: Region,
    /// True if the probe was interrupted: it has the measurements so far.
    pub partial: bool,
    /// The result.
    #[serde(flatten)]
    pub result: ResultObject,
    /// The cost that was estimated.
    pub estimate: CostObject,
    /// The cost of the pings.
    pub actual: CostObject,
}

/// The cost of a probe.
#[derive(Debug, Serialize)]
pub struct CostObject {
    /// The number of pings.
    pub pings: u64,
    /// The sum, US dollars; null when unknown.
    pub cost_usd: Option<Decimal>,
    /// The bytes from S3; null when unknown.
    pub s3_bytes: Option<u64>,
}

/// The result by kind.
#[derive(Debug, Serialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum ResultObject {
    /// The life of idle environments.
    Idle(IdleObject),
    /// Parallel users.
    Parallel {
        /// The steps.
        steps: Vec<StepObject>,
    },
    /// The shortest hold.
    FindHold {
        /// The number of environments.
        environments: u32,
        /// The shortest hold with which they were proven in all rounds, ms; null if none was found.
        hold_ms: Option<u64>,
        /// The rounds.
        rounds: Vec<RoundObject>,
    },
    /// Versions and aliases.
    Memory {
        /// The versions.
        versions: Vec<VersionObject>,
    },
}

/// The life of idle environments.
#[derive(Debug, Serialize)]
pub struct IdleObject {
    /// The pings.
    pub pings: Vec<PingObject>,
    /// The longest gap after which the environment was warm, s, rounded down to tenths; null where none was seen.
    pub longest_warm_gap: Option<f64>,
    /// The shortest gap after which it was gone, s, rounded up to tenths; null where none was seen.
    pub shortest_cold_gap: Option<f64>,
    /// The numbers of warm and cold pings by gap, without those that do not count.
    pub spread: Vec<SpreadObject>,
    /// True if a gap was cold and a longer one warm.
    pub varies: bool,
    /// The time below which a start is semi-cold, ms; null while it is unknown.
    pub semi_cold_below_ms: Option<f64>,
    /// The interval that follows, such as `12m`; null with fewer than five repeats.
    pub interval: Option<String>,
}

/// The results of a gap.
#[derive(Debug, Serialize)]
pub struct SpreadObject {
    /// The gap as it was planned, s.
    pub gap: f64,
    /// The number of warm pings.
    pub warm: u32,
    /// The number of cold pings.
    pub cold: u32,
}

/// A ping.
#[derive(Debug, Serialize)]
pub struct PingObject {
    /// The instant, s after the begin.
    pub at: f64,
    /// The idle time before it, s; null for the first one.
    pub gap: Option<f64>,
    /// The start; null if it failed.
    pub start: Option<Start>,
    /// The Init Duration, ms; null without one.
    pub init_ms: Option<f64>,
    /// The duration of the handler, ms; null when unknown.
    pub duration_ms: Option<f64>,
    /// The time that the caller waited, ms.
    pub total_ms: f64,
    /// True if others used the function within the gap.
    pub disturbed: bool,
    /// True if the gap has an effect on the bounds.
    pub counts: bool,
    /// The message about a failure.
    pub failure: Option<String>,
}

/// A step of users.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it; the README describes them")]
pub struct StepObject {
    pub users: u32,
    pub requests: usize,
    pub errors: usize,
    pub cold_starts: usize,
    pub environments: Option<usize>,
    pub min_ms: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub requests_per_second: f64,
}

/// A round of the search for the hold.
#[derive(Debug, Serialize)]
pub struct RoundObject {
    /// The hold, ms.
    pub hold_ms: u64,
    /// True if all environments were proven.
    pub proven: bool,
}

/// A version or an alias.
#[derive(Debug, Serialize)]
pub struct VersionObject {
    /// The version or alias.
    pub qualifier: String,
    /// The memory in MB of 1,048,576 bytes; null when unknown.
    pub memory_mb: Option<u32>,
    /// The start of the first ping; null if it failed.
    pub first: Option<Start>,
    /// The time of the first ping if it was not warm, ms.
    pub cold_total_ms: Option<f64>,
    /// The init of the first ping, ms.
    pub cold_init_ms: Option<f64>,
    /// The price of the first ping if it was not warm, US dollars.
    pub cold_usd: Option<Decimal>,
    /// The median billed duration of warm pings, ms.
    pub warm_billed_ms: Option<f64>,
    /// The median time of warm pings, ms.
    pub warm_total_ms: Option<f64>,
    /// The price of a warm ping, US dollars.
    pub warm_usd: Option<Decimal>,
    /// The price of a million warm pings, US dollars.
    pub usd_per_million: Option<Decimal>,
    /// True for the lowest price.
    pub best_value: bool,
    /// True for the shortest warm duration.
    pub fastest: bool,
    /// The message about a failure.
    pub failure: Option<String>,
}

impl ProbeObject {
    pub(super) fn new(
        target: &Target,
        prices: &PriceBook,
        measured: &Measurement,
        estimate: &Estimate,
        spent: Spent,
    ) -> Self {
        let result = match &measured.result {
            Result::Idle(plan) => {
                let ((gaps, threshold), bracket) = (plan.gaps(), plan.bracket());
                ResultObject::Idle(IdleObject {
                    pings: gaps.iter().map(ping).collect(),
                    longest_warm_gap: bracket
                        .longest_warm
                        .map(|gap| (gap.as_secs_f64() * 10.0).floor() / 10.0),
                    shortest_cold_gap: bracket
                        .shortest_cold
                        .map(|gap| (gap.as_secs_f64() * 10.0).ceil() / 10.0),
                    spread: plan.spread().into_iter().map(spread).collect(),
                    varies: bracket.varies(),
                    semi_cold_below_ms: threshold.map(ms),
                    interval: interval(&bracket, plan.passes()).map(elapsed),
                })
            }
            Result::Parallel(steps) => ResultObject::Parallel { steps: steps.iter().map(step).collect() },
            Result::FindHold { number, search, tried } => ResultObject::FindHold {
                environments: number.get(),
                hold_ms: search.proven().and_then(|hold| u64::try_from(hold.as_millis()).ok()),
                rounds: tried
                    .iter()
                    .map(|(hold, proven)| RoundObject {
                        hold_ms: u64::try_from(hold.as_millis()).unwrap_or(u64::MAX),
                        proven: *proven,
                    })
                    .collect(),
            },
            Result::Memory(results) => ResultObject::Memory { versions: versions(target, prices, results) },
        };
        let estimated = estimate.lambda_usd.zip(estimate.s3_usd).map(|(lambda, s3)| lambda + s3);
        Self {
            function: target.label.clone(),
            region: target.region(),
            partial: !measured.is_complete,
            result,
            estimate: CostObject {
                pings: estimate.pings,
                cost_usd: estimated,
                s3_bytes: Some(estimate.s3_bytes),
            },
            actual: CostObject { pings: spent.pings, cost_usd: spent.cost.total, s3_bytes: spent.s3_bytes },
        }
    }
}

fn spread((gap, (warm, cold)): (Duration, (u32, u32))) -> SpreadObject {
    SpreadObject { gap: seconds(gap), warm, cold }
}

/// Returns milliseconds in tenths.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

fn ping(gap: &Gap) -> PingObject {
    let Gap { ping, is_disturbed, .. } = gap;
    PingObject {
        at: seconds(ping.sent),
        gap: gap.least().map(seconds),
        start: ping.start,
        init_ms: ping.init.map(ms),
        duration_ms: ping.duration.map(ms),
        total_ms: ms(ping.total()),
        disturbed: *is_disturbed,
        counts: gap.counts(),
        failure: ping.failure.clone(),
    }
}

fn step(result: &StepResult) -> StepObject {
    let latency = result.latency;
    StepObject {
        users: result.step.users,
        requests: result.requests,
        errors: result.errors,
        cold_starts: result.cold_starts,
        environments: result.environments,
        min_ms: latency.map(|latency| ms(latency.min)),
        p50_ms: latency.map(|latency| ms(latency.p50)),
        p95_ms: latency.map(|latency| ms(latency.p95)),
        p99_ms: latency.map(|latency| ms(latency.p99)),
        max_ms: latency.map(|latency| ms(latency.max)),
        requests_per_second: (result.throughput * 100.0).round() / 100.0,
    }
}

/// Returns the median; `None` without any value.
pub(super) fn median(mut values: Vec<Duration>) -> Option<Duration> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn versions(target: &Target, prices: &PriceBook, results: &[MemoryResult]) -> Vec<VersionObject> {
    let warm = |result: &MemoryResult| -> Vec<Measured> {
        let all = std::iter::once(&result.first).chain(&result.warm);
        all.filter(|ping| ping.start == Some(Start::Warm)).cloned().collect()
    };
    let memory = |result: &MemoryResult| {
        std::iter::once(&result.first).chain(&result.warm).find_map(|ping| ping.memory_mb)
    };
    // A million has no fractions of cents that matter.
    let million = |billed: Duration, memory_mb: u32| {
        let usage = LambdaUsage::new(target.architecture, memory_mb);
        let usage = LambdaUsage { requests: 1_000_000, duration: billed, ..usage };
        lambda(prices, target.region(), &usage).total()
    };
    let price = |billed: Duration, memory_mb: u32| {
        let million = million(billed, memory_mb)?;
        Some((million / Decimal::from(1_000_000)).normalize())
    };
    let candidate = |result: &MemoryResult| {
        let pings = warm(result);
        let billed = median(pings.iter().filter_map(|ping| ping.billed).collect())?;
        let total = median(pings.iter().map(Measured::total).collect())?;
        let usd = memory(result).and_then(|memory| million(billed, memory));
        Some(Candidate { warm_billed: billed, warm_total: total, usd_per_million: usd })
    };
    let candidates: Vec<Option<Candidate>> = results.iter().map(candidate).collect();
    let best = marks(&candidates);
    let version = |(index, result): (usize, &MemoryResult)| {
        let own = candidates.get(index).and_then(Option::as_ref);
        let new = Some(&result.first).filter(|first| first.start.is_some_and(Start::is_new));
        VersionObject {
            qualifier: result.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default(),
            memory_mb: memory(result),
            first: result.first.start,
            cold_total_ms: new.map(|first| ms(first.total())),
            cold_init_ms: new.and_then(|first| first.init).map(ms),
            cold_usd: new.and_then(|first| price(first.billed?, first.memory_mb?)),
            warm_usd: own.and_then(|own| price(own.warm_billed, memory(result)?)),
            warm_billed_ms: own.map(|own| ms(own.warm_billed)),
            warm_total_ms: own.map(|own| ms(own.warm_total)),
            usd_per_million: own.and_then(|own| own.usd_per_million),
            best_value: best.best_value == Some(index),
            fastest: best.fastest == Some(index),
            failure: result.first.failure.clone(),
        }
    };
    results.iter().enumerate().map(version).collect()
}
