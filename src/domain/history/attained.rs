//! The coverage that was attained over the periods of objectives.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Rows;
use crate::domain::coverage::{Minutes, Slo};
use crate::domain::function::Identity;
use crate::domain::future::later;

/// The days of the slow burn.
const SLOW_DAYS: u32 = 3;

/// Sums of the history over the periods of objectives that end now.
#[derive(Debug, Clone)]
pub struct Objectives {
    now: DateTime<Utc>,
    /// The days of the fleet's period: the longest of an objective.
    over_days: u32,
    targets: BTreeMap<Identity, Attained>,
    fleet: FleetSums,
    slow: FleetSums,
}

/// The coverage of a target over the period of its objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attained {
    /// The objective.
    pub slo: Slo,
    /// The minutes.
    pub minutes: Minutes,
}

/// The coverage of the fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetAttained {
    /// The days of the period.
    pub over_days: u32,
    /// The minutes.
    pub minutes: Minutes,
    /// The share of window minutes that is to be warm: the mean of the objectives of the functions, 99 % for those
    /// without one, by their minutes.
    pub objective: f64,
    /// The share of the error budget that is left, negative when it is exceeded.
    pub budget_left: f64,
    /// The burn rate of the last three days; `None` without minutes.
    pub slow_burn: Option<f64>,
}

/// The minutes of the fleet, and those of them that may be cold.
#[derive(Debug, Clone, Copy, Default)]
struct FleetSums {
    minutes: Minutes,
    allowed: f64,
}

impl FleetSums {
    fn add(&mut self, minutes: Minutes, slo: &Slo) {
        self.minutes += minutes;
        self.allowed += minutes.window as f64 * slo.allowed();
    }

    fn burn_rate(&self) -> Option<f64> {
        let cold = self.minutes.window.saturating_sub(self.minutes.warm) as f64;
        (self.minutes.window > 0).then(|| cold / self.allowed)
    }
}

impl Objectives {
    /// Creates sums without any hour.
    pub fn new(slo: &BTreeMap<Identity, Slo>, now: DateTime<Utc>) -> Self {
        let longest = slo.values().map(|slo| slo.over_days).max().unwrap_or(Slo::DEFAULT.over_days);
        let attained =
            |(id, slo): (&Identity, &Slo)| (id.clone(), Attained { slo: *slo, minutes: Minutes::default() });
        Self {
            now,
            over_days: longest,
            targets: slo.iter().map(attained).collect(),
            fleet: FleetSums::default(),
            slow: FleetSums::default(),
        }
    }

    /// Returns the time from which hours are needed.
    pub fn from(&self) -> DateTime<Utc> {
        later(self.now, -TimeDelta::days(self.over_days.max(SLOW_DAYS).into()))
    }

    /// Adds an hour, in hours since the Unix epoch.
    pub fn add(&mut self, hour: i64, rows: &Rows) {
        rows.iter().for_each(|(id, row)| self.add_minutes(id, &[(hour, row.minutes)]));
    }

    /// Adds the minutes of a target in some hours since the Unix epoch.
    pub fn add_minutes(&mut self, id: &Identity, hours: &[(i64, Minutes)]) {
        let now = self.now.timestamp();
        let within = |days: u32| {
            let is_within =
                move |hour: i64| now.saturating_sub(hour.saturating_mul(3_600)) <= i64::from(days) * 86_400;
            hours.iter().filter(move |(hour, _)| is_within(*hour)).map(|(_, minutes)| *minutes).sum()
        };
        let attained = self.targets.get_mut(id);
        let slo = attained.as_ref().map_or(Slo::DEFAULT, |attained| attained.slo);
        if let Some(attained) = attained {
            let own: Minutes = within(slo.over_days);
            attained.minutes += own;
        }
        self.fleet.add(within(self.over_days), &slo);
        self.slow.add(within(SLOW_DAYS), &slo);
    }

    /// Returns the targets that have an objective.
    pub fn targets(&self) -> &BTreeMap<Identity, Attained> {
        &self.targets
    }

    /// Drops the targets that `is_kept` does not select.
    pub fn retain(&mut self, is_kept: impl Fn(&Identity) -> bool) {
        self.targets.retain(|id, _| is_kept(id));
    }

    /// Returns the coverage of the fleet; `None` without known minutes.
    pub fn fleet(&self) -> Option<FleetAttained> {
        let FleetSums { minutes, allowed } = self.fleet;
        Some(FleetAttained {
            over_days: self.over_days,
            minutes,
            objective: 1.0 - allowed / minutes.window as f64,
            budget_left: 1.0 - self.fleet.burn_rate()?,
            slow_burn: self.slow.burn_rate(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::history::Row;

    #[test]
    fn each_objective_has_its_period_and_its_share() {
        let id = |name: &str| FunctionRef::parse(name).unwrap().identity(Region::parse("eu-west-2").unwrap());
        let strict = Slo { coverage_ppm: 999_000, over_days: 7 };
        let now: DateTime<Utc> = "2026-11-20T09:30:00Z".parse().unwrap();
        let mut sums = Objectives::new(&[(id("a"), strict)].into(), now);
        assert_eq!(sums.from(), now - TimeDelta::days(7));
        assert_eq!(sums.fleet(), None);
        let this = now.timestamp() / 3_600;
        let row = |window, warm| Row::of_minutes(Minutes { window, warm, ..Minutes::default() });
        for hours in [0, 2, 4 * 24, 8 * 24] {
            sums.add(this - hours, &[(id("a"), row(60, 57)), (id("b"), row(60, 60))].into());
        }
        assert_eq!(sums.targets()[&id("a")].minutes, row(180, 171).minutes);
        let fleet = sums.fleet().unwrap();
        assert_eq!((fleet.over_days, fleet.minutes), (7, row(360, 351).minutes));
        // 180 minutes of 99.9 % and 180 of 99 % allow 1.98 cold minutes, and 9 were.
        assert!((fleet.budget_left - (1.0 - 9.0 / 1.98)).abs() < 1e-9, "{fleet:?}");
        assert!((fleet.objective - 0.9945).abs() < 1e-9, "{fleet:?}");
        assert!((fleet.slow_burn.unwrap() - 6.0 / 1.32).abs() < 1e-9, "{fleet:?}");
        sums.retain(|known| *known != id("a"));
        assert_eq!(sums.targets().len(), 0);
    }
}
