//! Days: coverage, and the target against what was reached.

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
    /// That number, less the most environments that were missing in an hour; `None` if unknown, or if none were wanted.
    pub reached: Option<u32>,
    /// True if anything is recorded.
    pub is_recorded: bool,
}

/// An hour of one target, or the sum of all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hour {
    minutes: Minutes,
    target: u32,
    /// The environments that were missing; `None` if unknown.
    missing: Option<u32>,
}

/// The days of a period.
#[derive(Debug, Default)]
pub(super) struct Days {
    pub all: Vec<Day>,
    /// The first day, in days since the Unix epoch.
    first: i64,
}

impl Hour {
    /// Returns the hour of a row.
    ///
    /// The number wanted may change within an hour, and the lowest number reached belongs to the lowest one wanted. So
    /// nothing was missing in an hour without a short round.
    pub fn of(row: &Row) -> Self {
        let lowest = row.target.saturating_sub(row.reached.unwrap_or(0));
        let is_short = !row.short.is_empty() || row.capacity.is_some();
        let missing = row.reached.map(|_| if is_short { lowest } else { 0 });
        Self { minutes: row.minutes, target: row.target, missing }
    }

    /// Adds another target in the same hour.
    pub fn add(&mut self, other: &Self) {
        self.minutes += other.minutes;
        self.target = self.target.saturating_add(other.target);
        self.missing = match (self.missing, other.missing) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
    }
}

impl Days {
    /// Creates the days of a period without any record.
    pub fn new(period: Period) -> Self {
        let day = |minute: Minute| minute.epoch().div_euclid(24 * 60);
        let (first, last) = (day(period.from), day(period.until.plus(-1)));
        let empty = |day| Day {
            date: Minute::from_epoch(day * 24 * 60).instant().date_naive(),
            minutes: Minutes::default(),
            target: 0,
            reached: None,
            is_recorded: false,
        };
        Self { all: (first..=last).map(empty).collect(), first }
    }

    /// Adds an hour, in hours since the Unix epoch.
    pub fn add(&mut self, hour: i64, levels: &Hour) {
        let index = usize::try_from(hour.div_euclid(24) - self.first).ok();
        let Some(day) = index.and_then(|index| self.all.get_mut(index)) else { return };
        let missing = day.reached.map(|reached| day.target - reached).max(levels.missing);
        day.minutes += levels.minutes;
        day.target = day.target.max(levels.target);
        day.reached = missing.filter(|_| day.target > 0).map(|missing| day.target.saturating_sub(missing));
        day.is_recorded = true;
    }
}
