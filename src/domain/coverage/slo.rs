//! The objective for coverage: the error budget, its burn rate, and the alarms on it.
//!
//! With the objective c over a period, 1 − c of the window minutes may be cold. The burn rate is the share that was
//! cold, divided by 1 − c: at 1, the period uses up its error budget exactly. An alarm watches a long time, for a burn
//! that matters, and a short one, so that it ends soon after the burn. Source of the method and its shares of the budget:
//! Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs".

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Minutes;

/// An objective for coverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slo {
    /// The share of window minutes that are to be warm, in millionths, below 1,000,000.
    pub coverage_ppm: u32,
    /// The days over which it holds, 1 to 400.
    pub over_days: u32,
}

/// The number of millionths in a whole.
const WHOLE_PPM: u32 = 1_000_000;

/// An alarm on the burn rate of the error budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnAlarm {
    /// The burn rate above which it is raised, over both times.
    pub rate: f64,
    /// The long time.
    pub long: Duration,
    /// The short time.
    pub short: Duration,
}

impl BurnAlarm {
    /// The short or unsafe rounds in the long time without which no alarm is raised: one short round never pages.
    pub const LEAST_SHORT_ROUNDS: u64 = 2;
    /// Two percent of the error budget of 28 days within an hour: 0.02 × 672 h ÷ 1 h, rounded down.
    pub const FAST: Self =
        Self { rate: 13.4, long: Duration::from_secs(3_600), short: Duration::from_secs(300) };
    /// Five percent of it within six hours: 0.05 × 672 h ÷ 6 h.
    pub const SLOW: Self =
        Self { rate: 5.6, long: Duration::from_secs(6 * 3_600), short: Duration::from_secs(1_800) };

    /// Returns true if the alarm can be raised: an objective of 80 % burns five times too fast at most.
    pub fn can_be_raised(&self, slo: &Slo) -> bool {
        slo.fastest_burn() > self.rate
    }

    /// Returns true if the alarm is raised. `long` and `short` are the minutes of both times until now, and
    /// `short_rounds` the short or unsafe rounds in the long one. Without known minutes it is not.
    pub fn is_raised(&self, slo: &Slo, long: Minutes, short: Minutes, short_rounds: u64) -> bool {
        let burns = |minutes| slo.burn_rate(minutes).is_some_and(|rate| rate > self.rate);
        burns(long) && burns(short) && short_rounds >= Self::LEAST_SHORT_ROUNDS
    }
}

/// Writes the objective as it is configured, such as `99.95% over 28d`.
impl std::fmt::Display for Slo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = rust_decimal::Decimal::new(self.coverage_ppm.into(), 4).normalize();
        write!(f, "{percent}% over {}d", self.over_days)
    }
}

impl Slo {
    /// The default: 99 % over 28 days.
    pub const DEFAULT: Self = Self { coverage_ppm: 990_000, over_days: 28 };

    /// Returns the objective, from 0 to 1.
    pub fn coverage(&self) -> f64 {
        f64::from(self.coverage_ppm) / f64::from(WHOLE_PPM)
    }

    /// Returns the share that may be cold, above 0.
    pub fn allowed(&self) -> f64 {
        f64::from(WHOLE_PPM.saturating_sub(self.coverage_ppm).max(1)) / f64::from(WHOLE_PPM)
    }

    /// Returns the burn rate while no minute is warm, the highest one.
    pub fn fastest_burn(&self) -> f64 {
        1.0 / self.allowed()
    }

    /// Returns the burn rate over some minutes; `None` without known ones.
    pub fn burn_rate(&self, minutes: Minutes) -> Option<f64> {
        Some((1.0 - minutes.coverage()?) / self.allowed())
    }

    /// Returns the share of the error budget that is left after the minutes of the period: 1 when every minute was warm,
    /// 0 when it is used up, negative beyond. `None` without known minutes.
    pub fn budget_left(&self, minutes: Minutes) -> Option<f64> {
        self.burn_rate(minutes).map(|rate| 1.0 - rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(window: u64, cold: u64) -> Minutes {
        Minutes { window, warm: window - cold, ..Minutes::default() }
    }

    #[test]
    fn the_budget_is_used_up_by_the_allowed_share() {
        let slo = Slo::DEFAULT;
        let left = |window, cold| slo.budget_left(minutes(window, cold)).map(|left| (left * 1e6).round());
        assert_eq!(left(1_000, 0), Some(1e6));
        assert_eq!(left(1_000, 5), Some(5e5));
        assert_eq!(left(1_000, 10), Some(0.0));
        assert_eq!(left(1_000, 1_000), Some(-99e6));
        assert_eq!(left(0, 0), None);
    }

    #[test]
    fn the_rates_are_shares_of_the_budget_of_28_days() {
        let share = |alarm: BurnAlarm| alarm.rate * alarm.long.as_secs_f64() / (28.0 * 86_400.0);
        assert!((share(BurnAlarm::FAST) - 0.02).abs() < 1e-3, "{}", share(BurnAlarm::FAST));
        assert!((share(BurnAlarm::SLOW) - 0.05).abs() < 1e-3, "{}", share(BurnAlarm::SLOW));
    }

    #[test]
    fn both_times_and_two_short_rounds_are_needed() {
        let slo = Slo::DEFAULT;
        let fast = |long, short, rounds| {
            BurnAlarm::FAST.is_raised(&slo, minutes(60, long), minutes(5, short), rounds)
        };
        assert!(fast(9, 5, 2));
        assert!(!fast(9, 5, 1), "one short round");
        assert!(!fast(8, 5, 2), "8 of 60 is a rate of 13.3");
        assert!(!fast(9, 0, 2), "it is over");
        assert!(!BurnAlarm::FAST.is_raised(&slo, minutes(60, 60), minutes(0, 0), 9), "no data");
    }
}
