//! Plans of targets over a period, and their cost.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;

use super::backlog;
use super::budget::has_budgets;
use super::capacity::{self, By, Fallback, Finding, Provisioned, Strategy, default_lead_minutes, findings};
use super::cost::advice::{Advice, advise};
use super::cost::capacity::strategy_cost;
use super::cost::compare::{Comparison, compare};
use super::cost::coverage::{Coverage, CoverageCost};
use super::cost::self_usage::{SelfUsage, self_cost};
use super::cost::{FleetCost, PriceBook};
use super::fleet::{Fleet, Target};
use super::function::Region;
use super::guard::{Capped, Decision};
use super::schedule::{Minute, Segment, seconds_between, segments};
use super::tick::SkipReason;

/// A period of whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first minute.
    pub from: Minute,
    /// The minute after the last.
    pub until: Minute,
}

impl Period {
    /// Returns the length.
    pub fn length(self) -> Duration {
        Duration::from_secs(seconds_between(self.from, self.until))
    }
}

/// The plan of one target.
#[derive(Debug, Clone)]
pub struct TargetPlan<'f> {
    /// The target.
    pub target: &'f Target,
    /// The period.
    pub period: Period,
    /// The segments with a desired number above zero: of pings, or the steps of capacity, which have no rounds.
    pub segments: Vec<Segment>,
    /// The findings about the load of capacity.
    pub findings: Vec<Finding>,
    /// The estimated cost.
    pub cost: CoverageCost,
    /// The largest reduction by the headroom; `None` without one, or if the deployed function is unknown.
    pub capped: Option<Capped>,
    /// The reason why rounds are skipped, which are not in `segments`; `None` if none are.
    pub skipped: Option<SkipReason>,
}

impl<'f> TargetPlan<'f> {
    /// Creates the plan of a target for a period.
    pub fn new(target: &'f Target, period: Period, prices: &PriceBook) -> Self {
        let segments = planned(target, period);
        let cost = strategy_cost(prices, &coverage(target, period, &segments, &segments));
        let findings = findings(target, &segments, period.from);
        Self { target, period, segments, findings, cost, capped: None, skipped: None }
    }

    /// Returns the plan with the rounds that the guards allow. `decide` decides on a round of so many pings. Capacity
    /// has no rounds and is not changed.
    pub fn guarded(mut self, prices: &PriceBook, decide: impl Fn(NonZeroU32) -> Decision) -> Self {
        if self.target.strategy.is_capacity() {
            return self;
        }
        self.segments.retain_mut(|segment| {
            let Some(desired) = NonZeroU32::new(segment.desired) else { return false };
            let decision = decide(desired);
            let capped = decision.capped(desired).filter(|capped| capped.to > 0);
            self.capped = self.capped.take().into_iter().chain(capped).max_by_key(|capped| capped.from);
            match decision {
                Decision::Send(pings, _) => segment.desired = pings.get(),
                Decision::Skip(reason) => self.skipped = Some(reason),
            }
            matches!(decision, Decision::Send(..))
        });
        self.cost = strategy_cost(prices, &coverage(self.target, self.period, &self.segments, &[]));
        self
    }

    /// Compares the cost of pings with that of the alternatives, each with the lead of its strategy.
    pub fn compare(&self, prices: &PriceBook) -> Comparison {
        let Period { from, until } = self.period;
        let other;
        let (pings, steps) = if self.target.strategy.is_capacity() {
            other = segments(&with_strategy(self.target, Strategy::Pings), from, until);
            (&other, &self.segments)
        } else {
            let by = By::Autoscaling { max: self.target.highest(), utilization: 70 };
            let provisioned = Strategy::Provisioned(Provisioned { by, fallback: Fallback::None });
            other = capacity::segments(&with_strategy(self.target, provisioned), from, until);
            (&self.segments, &other)
        };
        compare(prices, &coverage(self.target, self.period, pings, steps))
    }

    /// Returns the advice on the strategy, from the comparison of this plan.
    pub fn advice(&self, comparison: &Comparison) -> Advice {
        advise(self.target, comparison)
    }

    /// Returns the highest desired number.
    pub fn highest(&self) -> u32 {
        self.segments.iter().map(|segment| segment.desired).max().unwrap_or(0)
    }

    /// Returns the number of rounds.
    pub fn rounds(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rounds).sum()
    }

    /// Returns the number of pings, without top-ups.
    pub fn pings(&self) -> u64 {
        self.cost.pings
    }

    /// Returns the owner of the target, empty without one.
    pub fn owner(&self) -> &'f str {
        self.target.owner.as_deref().unwrap_or_default()
    }

    /// Returns true if the cost depends on assumptions that are not configured.
    pub fn is_assumed(&self) -> bool {
        !self.cost.assumed.is_empty()
    }

    /// Returns the assumptions of the comparison that are not configured, by their names in the configuration.
    pub fn compared_by(&self) -> Vec<&'static str> {
        match self.target.strategy {
            Strategy::Pings => self.cost.assumed.clone(),
            // The plan of capacity uses fewer assumptions than its alternatives.
            Strategy::Provisioned(_) | Strategy::Managed(_) => self.target.assume.assumed(),
        }
    }
}

/// Returns the segments of a target with a desired number above zero: of pings, or the steps of capacity.
pub fn planned(target: &Target, Period { from, until }: Period) -> Vec<Segment> {
    match target.strategy.is_capacity() {
        true => capacity::segments(target, from, until),
        false => segments(target, from, until),
    }
}

/// Returns a target as it is with another strategy. A default lead becomes the default lead of that strategy: none for
/// pings, the time of preparation for capacity.
fn with_strategy(target: &Target, strategy: Strategy) -> Target {
    let mut target = Target { strategy, ..target.clone() };
    for window in &mut target.windows {
        let prepared = TimeDelta::minutes(default_lead_minutes(window.concurrency).into());
        if strategy.is_capacity() && window.lead.is_zero() {
            window.lead = prepared;
        } else if !strategy.is_capacity() && window.lead == prepared {
            window.lead = TimeDelta::zero();
        }
    }
    target
}

fn coverage<'a>(
    target: &'a Target,
    period: Period,
    segments: &'a [Segment],
    steps: &'a [Segment],
) -> Coverage<'a> {
    Coverage {
        region: target.region(),
        segments,
        steps,
        strategy: target.strategy,
        horizon: period.length(),
        interval: target.interval(),
        downloads: &target.downloads,
        assume: &target.assume,
        is_tenant: target.tenant().is_some(),
    }
}

/// The part of the fleet that a plan covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole fleet, including warmd itself.
    Fleet,
    /// One function.
    Function,
}

/// Returns the total cost of `plans`. For the whole fleet it includes warmd itself, which is assumed to run in the
/// region of most targets.
pub fn fleet_cost(fleet: &Fleet, plans: &[TargetPlan<'_>], period: Period, scope: Scope) -> FleetCost {
    let warmd = match scope {
        Scope::Fleet => most_common_region(plans).map(|region| {
            let minutes = period.length().as_secs() / 60;
            let backlogs = backlog::sources(plans.iter().map(|plan| plan.target)).len() as u64;
            let backlog_reads = backlogs.saturating_mul(minutes);
            let cold = plans.iter().filter(|plan| plan.cost.cold_starts > 0);
            let usage = SelfUsage {
                region,
                horizon: period.length(),
                rounds: plans.iter().map(TargetPlan::rounds).sum(),
                cold_rounds: plans.iter().map(|plan| plan.cost.cold_rounds).sum(),
                init: cold.map(|plan| plan.target.assume.init_duration.value()).max().unwrap_or_default(),
                targets: plans.len() as u64,
                capacity_targets: plans.iter().filter(|plan| plan.target.strategy.is_capacity()).count()
                    as u64,
                metric_reads: plans.iter().map(metric_reads).sum::<u64>().saturating_add(backlog_reads),
                detail: fleet.metrics.detail,
                has_budgets: has_budgets(fleet),
            };
            self_cost(&fleet.prices, &usage)
        }),
        Scope::Function => None,
    };
    let costs = plans.iter().map(|plan| (plan.target.owner.as_deref(), &plan.cost));
    FleetCost::new(&fleet.prices, costs, warmd)
}

/// Returns the metrics that are read for a target: each minute the utilization of capacity that may be above its minimum.
fn metric_reads(plan: &TargetPlan<'_>) -> u64 {
    let Some(By::Autoscaling { max, .. }) = plan.target.strategy.by() else { return 0 };
    let scaled = plan.segments.iter().filter(|segment| segment.desired < max);
    scaled.map(|segment| segment.seconds() / 60).sum()
}

/// Returns the region of most targets, the first of several.
fn most_common_region(plans: &[TargetPlan<'_>]) -> Option<Region> {
    let mut counts: BTreeMap<Region, usize> = BTreeMap::new();
    for plan in plans {
        *counts.entry(plan.target.region()).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(region, _)| region)
}
