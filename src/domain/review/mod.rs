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
use super::history::{History, Row, Rows};
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
#[derive(Debug, Default)]
struct Adding {
    row: Row,
    days: Days,
    burning: Burning,
}

/// A review to which hours are added.
#[derive(Debug)]
pub struct Reviewing<'f> {
    fleet: &'f Fleet,
    targets: BTreeMap<&'f Identity, &'f Target>,
    has_slo: bool,
    period: Period,
    known: Option<Period>,
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
        Self {
            fleet,
            targets: fleet.targets.iter().map(|target| (&target.id, target)).collect(),
            has_slo: fleet.targets.iter().any(|target| target.slo.is_some()),
            period,
            known: None,
            all: warmed.map(|target| (target.id.clone(), Adding::default())).collect(),
            days: Days::default(),
        }
    }

    /// Returns the objective that counts for the fleet.
    fn slo(&self, id: &Identity) -> Option<Slo> {
        match self.has_slo {
            true => self.targets.get(id).and_then(|target| target.slo),
            false => Some(Slo::DEFAULT),
        }
    }

    /// Adds an hour, in hours since the Unix epoch. Those outside the period are left out.
    pub fn add(&mut self, hour: i64, rows: &Rows) {
        let Period { from, until } = self.period;
        let end = (until.epoch() + 59).div_euclid(60);
        if rows.is_empty() || !(from.epoch().div_euclid(60)..end).contains(&hour) {
            return;
        }
        let (begins, ends) =
            (Minute::from_epoch(hour * 60).max(from), Minute::from_epoch((hour + 1) * 60).min(until));
        self.known = Some(self.known.map_or(Period { from: begins, until: ends }, |known| Period {
            from: known.from.min(begins),
            until: known.until.max(ends),
        }));
        let mut of_fleet = days::Hour::default();
        for (id, row) in rows {
            let over = self.slo(id).map_or(0, |slo| i64::from(slo.over_days) * 24);
            if !self.all.contains_key(id) {
                self.all.insert(id.clone(), Adding::default());
            }
            let Some(adding) = self.all.get_mut(id) else { continue };
            adding.row.add(row);
            let levels = days::Hour::of(row);
            adding.days.add(hour, &levels);
            of_fleet.add(&levels);
            let Burning { objective, whole, recent } = &mut adding.burning;
            for (minutes, hours) in [(objective, over), (whole, i64::MAX), (recent, RECENT_HOURS)] {
                if hour >= end.saturating_sub(hours) {
                    *minutes += row.minutes;
                }
            }
        }
        self.days.add(hour, &of_fleet);
    }

    /// Ends the review. `unread` names the documents that cannot be read.
    pub fn finish(mut self, unread: Vec<String>) -> Review<'f> {
        let all = std::mem::take(&mut self.all);
        let burning = all.iter().filter_map(|(id, adding)| Some((self.slo(id)?, adding.burning)));
        let burn = burn(burning);
        let prices = &self.fleet.prices;
        let mut functions: Vec<FunctionReview<'f>> = Vec::with_capacity(all.len());
        for (id, Adding { mut row, days, burning }) in all {
            let target = self.targets.get(&id).copied();
            row.owner = row.owner.or_else(|| target?.owner.clone());
            let slo = target.and_then(|target| target.slo);
            let plan = target.zip(self.known).map(|(target, known)| TargetPlan::new(target, known, prices));
            functions.push(FunctionReview {
                sums: Sums::of(row, id.region, prices),
                target,
                days: days.of(self.known),
                burn: slo.map(|slo| self::burn([(slo, burning)].into_iter())),
                comparison: plan.map(|plan| plan.compare(prices)),
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
        Review {
            period: self.period,
            known: self.known,
            days: self.days.of(self.known),
            functions,
            fleet: sums,
            owners,
            burn,
            is_default_slo: !self.has_slo,
            unread,
        }
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
