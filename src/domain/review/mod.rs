//! The review of a period: what the history shows of each function, each owner and the fleet.

mod days;
mod known;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

pub use self::days::Day;
use self::days::Days;
use self::known::Known;
pub use self::sums::{Amount, Sums};
use super::cost::PriceBook;
use super::cost::compare::{Comparison, CostAlternative};
use super::coverage::{Minutes, Slo};
use super::fleet::{Fleet, Target};
use super::function::Identity;
use super::history::{History, Objectives, Row, Rows};
use super::plan::{Period, TargetPlan};
use super::schedule::{Minute, segments};

/// The days of the slow burn, within which an objective of 28 days loses a tenth of its error budget at a burn rate of 1.
const RECENT_DAYS: u32 = 3;

/// The review of a period.
#[derive(Debug, Clone)]
pub struct Review<'f> {
    /// The period that was asked for.
    pub period: Period,
    /// The part of it that is known: with a record, or without an open window before, between and after records; `None`
    /// without history, unless no window was open.
    pub known: Option<Period>,
    /// The UTC days of `known` with an open window and without any record.
    pub missing_days: usize,
    /// The fleet on each UTC day of `known`.
    pub days: Vec<Day>,
    /// The functions, the lowest coverage first, those without coverage last.
    pub functions: Vec<FunctionReview<'f>>,
    /// The sums of the fleet.
    pub fleet: Sums,
    /// The sums by owner; the empty name for functions without one.
    pub owners: BTreeMap<String, Sums>,
    /// The objective of the fleet, from 0 to 1: the mean of those of the functions, the default one for functions without,
    /// by their window minutes.
    pub objective: f64,
    /// The days of the fleet's objective: the longest of a function.
    pub over_days: u32,
    /// The fleet's use of its error budget.
    pub burn: Burn,
    /// True if no function has an objective.
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
    /// The estimated cost of the alternatives in the known part of the period, without the missing days; `None` if it is
    /// no longer configured.
    pub comparison: Option<Comparison>,
    /// The assumptions of the comparison that are not configured, by their names in the configuration.
    pub assumed: Vec<&'static str>,
}

/// The cheapest way of keeping a function warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cheapest {
    /// As it is: no other alternative costs less than what is recorded.
    Present(CostAlternative),
    /// Another alternative, with its estimated cost in US dollars.
    Other(CostAlternative, Decimal),
}

/// The use of an error budget. Each value is `None` without known minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Burn {
    /// The share that is left of the period of the objective that ends with the reviewed one; negative beyond it.
    pub budget_left: Option<f64>,
    /// The burn rate over the reviewed period: at 1 the error budget lasts exactly.
    pub whole: Option<f64>,
    /// The burn rate over the last three days.
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

    /// Compares what is recorded with the alternatives other than the function's own strategy. `None` if the function is
    /// no longer configured, if nothing was done for it in open windows, or if it may cost more than what is known.
    pub fn cheapest(&self) -> Option<Cheapest> {
        let comparison = self.comparison.as_ref()?;
        let own = CostAlternative::of(self.target?.strategy);
        let Sums { row, known_usd, .. } = &self.sums;
        if !comparison.has_windows || (row.rounds == 0 && row.capacity.is_none()) {
            return None;
        }
        let others = comparison.options.iter().filter(|option| option.alternative != own);
        let known = others.filter_map(|option| Some((option.exact()?, option.alternative)));
        match known.min_by_key(|(usd, _)| *usd) {
            Some((usd, other)) if usd < *known_usd => Some(Cheapest::Other(other, usd)),
            _ if row.cost_unknown > 0 => None,
            _ => Some(Cheapest::Present(own)),
        }
    }
}

/// The sums of one target.
#[derive(Debug, Default)]
struct Adding {
    row: Row,
    days: Days,
}

/// A review to which hours are added.
#[derive(Debug)]
pub struct Reviewing<'f> {
    fleet: &'f Fleet,
    targets: BTreeMap<&'f Identity, &'f Target>,
    objectives: Objectives,
    /// The same objectives over the last days.
    recent: Objectives,
    period: Period,
    /// The hours with a record.
    recorded: BTreeSet<i64>,
    all: BTreeMap<Identity, Adding>,
    days: Days,
}

/// Reviews the history of a period, see [`Reviewing`].
pub fn review<'f>(history: &History, fleet: &'f Fleet, period: Period) -> Review<'f> {
    let mut reviewing = Reviewing::new(fleet, period);
    for (hour, rows) in &history.hours {
        reviewing.add(*hour, rows);
    }
    reviewing.finish(history.unread.clone())
}

impl<'f> Reviewing<'f> {
    /// Begins the review of a period. `fleet` is the configuration, whose prices and windows count for the alternatives.
    /// Functions that nothing is recorded of are reviewed as well.
    pub fn new(fleet: &'f Fleet, period: Period) -> Self {
        let warmed = fleet.targets.iter().filter(|target| target.is_warmed());
        let slos = fleet.targets.iter().filter_map(|target| Some((target.id.clone(), target.slo?)));
        let slos: BTreeMap<Identity, Slo> = slos.collect();
        let recent = |(id, slo): (&Identity, &Slo)| (id.clone(), Slo { over_days: RECENT_DAYS, ..*slo });
        let until = period.until.instant();
        Self {
            fleet,
            targets: fleet.targets.iter().map(|target| (&target.id, target)).collect(),
            objectives: Objectives::new(&slos, until),
            recent: Objectives::new(&slos.iter().map(recent).collect(), until),
            period,
            recorded: BTreeSet::new(),
            all: warmed.map(|target| (target.id.clone(), Adding::default())).collect(),
            days: Days::default(),
        }
    }

    /// Returns the time from which hours are needed: the beginning of the period, or of that of the longest objective.
    pub fn from(&self) -> DateTime<Utc> {
        self.period.from.instant().min(self.objectives.from())
    }

    /// Adds an hour, in hours since the Unix epoch, as a whole. Of those before the period only the objectives use the
    /// minutes. Those after it are left out.
    pub fn add(&mut self, hour: i64, rows: &Rows) {
        let Period { from, until } = self.period;
        if Minute::from_epoch(hour * 60) >= until {
            return;
        }
        self.objectives.add(hour, rows);
        if Minute::from_epoch(hour * 60) >= until.plus(-i64::from(RECENT_DAYS) * 24 * 60) {
            self.recent.add(hour, rows);
        }
        if rows.is_empty() || hour < from.epoch().div_euclid(60) {
            return;
        }
        self.recorded.insert(hour);
        let mut of_fleet: Option<days::Hour> = None;
        for (id, row) in rows {
            let levels = days::Hour::of(row, || Some(wanted(self.targets.get(id)?, hour)));
            if !self.all.contains_key(id) {
                self.all.insert(id.clone(), Adding::default());
            }
            let Some(adding) = self.all.get_mut(id) else { continue };
            adding.row.add(row);
            adding.days.add(hour, &levels);
            of_fleet = Some(of_fleet.map_or(levels, |sum| sum.plus(levels)));
        }
        if let Some(levels) = of_fleet {
            self.days.add(hour, &levels);
        }
    }

    /// Ends the review. `unread` names the documents that cannot be read.
    pub fn finish(mut self, unread: Vec<String>) -> Review<'f> {
        let prices = &self.fleet.prices;
        let known = Known::of(self.fleet, self.period, &self.recorded);
        let mut functions: Vec<FunctionReview<'f>> = Vec::with_capacity(self.all.len());
        for (id, Adding { mut row, days }) in std::mem::take(&mut self.all) {
            let target = self.targets.get(&id).copied();
            row.owner = row.owner.or_else(|| target?.owner.clone());
            let (comparison, assumed) = target.and_then(|target| compared(target, &known, prices)).unzip();
            functions.push(FunctionReview {
                burn: self.burn(&id, row.minutes),
                sums: Sums::of(row, id.region, prices),
                target,
                days: days.of(known.period),
                comparison,
                assumed: assumed.unwrap_or_default(),
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
        functions.sort_by(|one, other| {
            coverage(one).total_cmp(&coverage(other)).then_with(|| one.id.cmp(&other.id))
        });
        let attained = self.objectives.fleet();
        let burn = Burn {
            budget_left: attained.map(|fleet| fleet.budget_left),
            whole: burn_rate(&functions),
            recent: attained.and_then(|fleet| fleet.slow_burn),
        };
        Review {
            period: self.period,
            known: known.period,
            missing_days: known.missing_days,
            days: self.days.of(known.period),
            functions,
            fleet: sums,
            owners,
            objective: attained.map_or(Slo::DEFAULT.coverage(), |fleet| fleet.objective),
            over_days: attained.map_or(Slo::DEFAULT.over_days, |fleet| fleet.over_days),
            burn,
            is_default_slo: self.objectives.targets().is_empty(),
            unread,
        }
    }

    /// Returns a target's use of its error budget; `None` without an objective. `minutes` are those of the period.
    fn burn(&self, id: &Identity, minutes: Minutes) -> Option<Burn> {
        let attained = self.objectives.targets().get(id)?;
        Some(Burn {
            budget_left: attained.slo.budget_left(attained.minutes),
            whole: attained.slo.burn_rate(minutes),
            recent: attained.slo.burn_rate(self.recent.targets().get(id)?.minutes),
        })
    }
}

/// Returns the configured number of a target in an hour, the highest one.
fn wanted(target: &Target, hour: i64) -> u32 {
    let [from, until] = [hour, hour + 1].map(|hour| Minute::from_epoch(hour * 60));
    segments(target, from, until).iter().map(|segment| segment.desired).max().unwrap_or(0)
}

/// Compares the alternatives for a target in the known stretches, and returns the assumptions; `None` without any.
fn compared(target: &Target, known: &Known, prices: &PriceBook) -> Option<(Comparison, Vec<&'static str>)> {
    let compared = known.stretches.iter().map(|stretch| {
        let plan = TargetPlan::new(target, *stretch, prices);
        (plan.compare(prices), plan.compared_by())
    });
    compared.reduce(|(one, by), (other, by_other)| {
        (one.plus(other, prices), if by.len() < by_other.len() { by_other } else { by })
    })
}

/// Returns the burn rate of some functions together in the period; `None` without known minutes.
fn burn_rate(functions: &[FunctionReview<'_>]) -> Option<f64> {
    let (mut cold, mut allowed) = (0_u64, 0.0);
    for function in functions {
        let Minutes { window, warm, .. } = function.sums.row.minutes;
        let slo = function.target.and_then(|target| target.slo).unwrap_or(Slo::DEFAULT);
        cold = cold.saturating_add(window.saturating_sub(warm));
        allowed += window as f64 * slo.allowed();
    }
    (allowed > 0.0).then(|| cold as f64 / allowed)
}
