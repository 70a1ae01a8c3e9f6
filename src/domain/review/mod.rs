//! The review of a period: what the history shows of each function, each owner and the fleet.

mod days;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rust_decimal::Decimal;

pub use self::days::Day;
use self::days::Days;
pub use self::sums::{RouteSum, Sums};
use super::cost::compare::{Comparison, CostAlternative};
use super::coverage::{Minutes, Slo};
use super::fleet::{Fleet, Target};
use super::function::Identity;
use super::history::{History, Row};
use super::plan::{Period, TargetPlan};
use super::schedule::Minute;

/// The minutes of the slow burn: three days, within which an objective of 28 days loses a tenth of its error budget at
/// a burn rate of 1.
const RECENT_HOURS: i64 = 3 * 24;

/// The review of a period.
#[derive(Debug, Clone)]
pub struct Review<'f> {
    /// The period that was asked for.
    pub period: Period,
    /// The part of it from the first to the last hour of the history; `None` without history.
    pub known: Option<Period>,
    /// The fleet on each UTC day of `known`.
    pub days: Vec<Day>,
    /// The functions, the lowest coverage first, those without coverage last.
    pub functions: Vec<FunctionReview<'f>>,
    /// The sums of the fleet.
    pub fleet: Sums,
    /// The sums by owner; the empty name for functions without one.
    pub owners: BTreeMap<String, Sums>,
    /// The fleet's use of the error budgets: those of the objectives of its functions, or of the default objective if
    /// no function has one.
    pub burn: Burn,
    /// True if `burn` is that of the default objective.
    pub is_default_slo: bool,
    /// The documents that cannot be read, each with the reason; for people.
    pub unread: Vec<String>,
}

/// The review of one target.
#[derive(Debug, Clone)]
pub struct FunctionReview<'f> {
    /// The target.
    pub id: Identity,
    /// Its configuration; `None` if it is no longer configured.
    pub target: Option<&'f Target>,
    /// The sums.
    pub sums: Sums,
    /// Its days, as those of the fleet.
    pub days: Vec<Day>,
    /// The use of the error budget; `None` without an objective.
    pub burn: Option<Burn>,
    /// The estimated cost of the alternatives in the known part of the period; `None` if it is no longer configured.
    pub comparison: Option<Comparison>,
}

/// The use of an error budget. Each value is `None` without known minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Burn {
    /// The share that is left at the end of the period of the objective; negative beyond it.
    pub budget_left: Option<f64>,
    /// The burn rate over the reviewed period: at 1 the error budget lasts exactly.
    pub whole: Option<f64>,
    /// The burn rate over its last three days.
    pub recent: Option<f64>,
}

impl Burn {
    /// Returns true if the error budget is used up too fast at present, though perhaps too slowly for an alarm.
    pub fn is_slow_burn(&self) -> bool {
        self.recent.is_some_and(|rate| rate > 1.0)
    }
}

impl FunctionReview<'_> {
    /// Returns the owner, empty without one.
    pub fn owner(&self) -> &str {
        self.sums.row.owner.as_deref().unwrap_or_default()
    }

    /// Returns the cheapest alternative with its cost in US dollars.
    pub fn cheapest(&self) -> Option<(CostAlternative, Decimal)> {
        let comparison = self.comparison.as_ref()?;
        let cheapest = comparison.cheapest?;
        Some((cheapest, comparison.option(cheapest)?.total()?))
    }
}

impl Review<'_> {
    /// Returns the days of the known part without any record.
    pub fn silent_days(&self) -> usize {
        self.days.iter().filter(|day| !day.is_recorded).count()
    }
}

/// The minutes of a target that its error budgets need.
#[derive(Debug, Clone, Copy, Default)]
struct Burning {
    /// Those of the period of the objective.
    objective: Minutes,
    whole: Minutes,
    recent: Minutes,
}

/// What is added up of one target.
struct Adding {
    row: Row,
    days: Days,
    burning: Burning,
}

/// Reviews the history of a period. `fleet` is the configuration, whose prices and windows count for the alternatives.
pub fn review<'f>(history: &History, fleet: &'f Fleet, period: Period) -> Review<'f> {
    let (from, until) = (period.from.epoch().div_euclid(60), (period.until.epoch() + 59).div_euclid(60));
    let hours = || history.hours.range(from..until).filter(|(_, rows)| !rows.is_empty());
    let known = hours().next().zip(hours().next_back()).map(|((first, _), (last, _))| Period {
        from: Minute::from_epoch(first * 60).max(period.from),
        until: Minute::from_epoch((last + 1) * 60).min(period.until),
    });
    let empty = || known.map_or_else(Days::default, Days::new);
    let has_slo = fleet.targets.iter().any(|target| target.slo.is_some());
    let targets: BTreeMap<&Identity, &Target> =
        fleet.targets.iter().map(|target| (&target.id, target)).collect();
    let slo_of = |id: &Identity| match has_slo {
        true => targets.get(id).and_then(|target| target.slo),
        false => Some(Slo::DEFAULT),
    };
    let mut adding: BTreeMap<Identity, Adding> = BTreeMap::new();
    let add = |id: &Identity| {
        (id.clone(), Adding { row: Row::default(), days: empty(), burning: Burning::default() })
    };
    // Functions that nothing is recorded of are no less interesting.
    let warmed = fleet.targets.iter().filter(|target| target.is_warmed());
    adding.extend(warmed.map(|target| add(&target.id)));
    let mut days = empty();
    for (hour, rows) in hours() {
        let mut all = days::Hour::default();
        for (id, row) in rows {
            if !adding.contains_key(id) {
                adding.extend([add(id)]);
            }
            let Some(target) = adding.get_mut(id) else { continue };
            target.row.add(row);
            let levels = days::Hour::of(row);
            target.days.add(*hour, &levels);
            all.add(&levels);
            let over = slo_of(id).map_or(0, |slo| i64::from(slo.over_days) * 24);
            for (minutes, hours) in [
                (&mut target.burning.objective, over),
                (&mut target.burning.whole, i64::MAX),
                (&mut target.burning.recent, RECENT_HOURS),
            ] {
                if *hour >= until.saturating_sub(hours) {
                    *minutes += row.minutes;
                }
            }
        }
        days.add(*hour, &all);
    }
    let burn = burn(adding.iter().filter_map(|(id, adding)| Some((slo_of(id)?, adding.burning))));
    let mut functions: Vec<FunctionReview<'f>> = Vec::with_capacity(adding.len());
    for (id, Adding { mut row, days, burning }) in adding {
        let target = targets.get(&id).copied();
        if row.owner.is_none() {
            row.owner = target.and_then(|target| target.owner.clone());
        }
        let own_slo = target.and_then(|target| target.slo);
        let plan = target.zip(known).map(|(target, known)| TargetPlan::new(target, known, &fleet.prices));
        functions.push(FunctionReview {
            sums: Sums::of(row, id.region, &fleet.prices),
            target,
            days: days.all,
            burn: own_slo.map(|slo| self::burn([(slo, burning)].into_iter())),
            comparison: plan.map(|plan| plan.compare(&fleet.prices)),
            id,
        });
    }
    let mut sums = Sums::default();
    let mut owners: BTreeMap<String, Sums> = BTreeMap::new();
    for function in &functions {
        sums.add(&function.sums);
        owners.entry(function.owner().to_owned()).or_default().add(&function.sums);
    }
    let coverage = |function: &FunctionReview<'_>| function.sums.row.minutes.coverage().unwrap_or(2.0);
    functions
        .sort_by(|one, other| coverage(one).total_cmp(&coverage(other)).then_with(|| one.id.cmp(&other.id)));
    Review {
        period,
        known,
        days: days.all,
        functions,
        fleet: sums,
        owners,
        burn,
        is_default_slo: !has_slo,
        unread: history.unread.clone(),
    }
}

/// Returns the use of the error budgets of some targets together.
fn burn(targets: impl Iterator<Item = (Slo, Burning)> + Clone) -> Burn {
    let rate = |of: fn(&Burning) -> Minutes| {
        let (mut cold, mut allowed) = (0, 0.0);
        for (slo, burning) in targets.clone() {
            let minutes = of(&burning);
            cold += minutes.window.saturating_sub(minutes.warm);
            allowed += minutes.window as f64 * (1.0 - slo.coverage());
        }
        (allowed > 0.0).then(|| cold as f64 / allowed)
    };
    Burn {
        budget_left: rate(|burning| burning.objective).map(|rate| 1.0 - rate),
        whole: rate(|burning| burning.whole),
        recent: rate(|burning| burning.recent),
    }
}
