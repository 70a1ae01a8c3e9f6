//! Days: coverage, and the target against what was reached.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::coverage::Minutes;
use crate::domain::history::Row;
use crate::domain::plan::Period;
use crate::domain::schedule::Minute;

/// A UTC day of one target or of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The date.
    pub date: NaiveDate,
    /// The minutes of open windows.
    pub minutes: Minutes,
    /// The highest number of environments wanted in an hour.
    pub target: u32,
    /// That number, less the most environments that were missing in an hour. Hours in which the number of a target is
    /// unknown are left out; `None` if all are, or if no environments were wanted.
    pub reached: Option<u32>,
}

/// An hour of one target, or the sum of all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hour {
    minutes: Minutes,
    /// The environments wanted, 0 if unknown.
    target: u32,
    /// The environments that were missing; `None` if unknown.
    missing: Option<u32>,
}

/// The days from the first recorded one on.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// The days since the Unix epoch.
    all: BTreeMap<i64, Day>,
}

impl Hour {
    /// Returns the hour of a row. `wanted` returns the configured number, for hours without a round; `None` if the target
    /// is no longer configured.
    ///
    /// The number wanted may change within an hour, and the lowest number reached belongs to the lowest one wanted. So
    /// nothing was missing in an hour without a short or lowered round. Without any round, cold minutes mean that nothing
    /// was reached.
    pub fn of(row: &Row, wanted: impl FnOnce() -> Option<u32>) -> Self {
        let Minutes { window, warm, unknown, capped } = row.minutes;
        let target = match row.target {
            0 if window > 0 || unknown > 0 => wanted(),
            target => Some(target),
        };
        let is_sent = row.rounds > 0 || row.capacity.is_some();
        let is_short = !row.short.is_empty() || row.capacity.is_some() || capped > 0;
        let missing = match row.reached {
            Some(reached) if is_short => target.map(|target| target.saturating_sub(reached)),
            Some(_) => Some(0),
            None if is_sent => None,
            None if warm < window => target,
            None => (unknown == 0).then_some(0),
        };
        Self { minutes: row.minutes, target: target.unwrap_or(0), missing }
    }

    /// Adds another target in the same hour. What is unknown of one is unknown of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            minutes: self.minutes + other.minutes,
            target: self.target.saturating_add(other.target),
            missing: self.missing.zip(other.missing).map(|(one, other)| one.saturating_add(other)),
        }
    }
}

impl Days {
    /// Adds an hour, in hours since the Unix epoch.
    pub fn add(&mut self, hour: i64, levels: &Hour) {
        let date = hour.div_euclid(24);
        let day = self.all.entry(date).or_insert_with(|| Day::empty(date));
        let missing = day.reached.map(|reached| day.target - reached).max(levels.missing);
        day.minutes += levels.minutes;
        day.target = day.target.max(levels.target);
        day.reached = missing.filter(|_| day.target > 0).map(|missing| day.target.saturating_sub(missing));
    }

    /// Returns every day of a period.
    pub fn of(self, period: Option<Period>) -> Vec<Day> {
        let Some(Period { from, until }) = period else { return Vec::new() };
        let [first, last] = [from, until.plus(-1)].map(|minute| minute.epoch().div_euclid(24 * 60));
        (first..=last).map(|date| self.all.get(&date).copied().unwrap_or_else(|| Day::empty(date))).collect()
    }
}

impl Day {
    /// Creates a day without any record, from days since the Unix epoch.
    fn empty(date: i64) -> Self {
        Self {
            date: Minute::from_epoch(date * 24 * 60).instant().date_naive(),
            minutes: Minutes::default(),
            target: 0,
            reached: None,
        }
    }
}
