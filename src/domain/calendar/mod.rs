//! Windows of local time, and the instants at which they open and close.
//!
//! A window's weekday, date, calendars and `from`/`through` are those of its opening day in its own zone.
//! Openings and closings are instants: a wall time inside a spring gap means the first instant after the gap;
//! in an autumn fold an opening is the earlier and a closing the later occurrence.

mod occurrence;
pub mod text;
mod wall;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Tz;

pub use self::occurrence::{DayState, Occurrence};
pub use self::text::{parse_cron, parse_zone};
pub use self::wall::{closing_instant, opening_instant, wall_time};

/// A stretch of local time with a number of environments to keep warm in it.
#[derive(Debug, Clone)]
pub struct Window {
    /// Its name, or `windows[i]` with i from 0 as it stands under the function.
    pub label: String,
    /// The zone whose wall clock it is written in.
    pub zone: Tz,
    /// When it opens, and how it closes.
    pub opening: Opening,
    /// When not empty: only opening days in at least one of these sets count.
    pub only: Vec<Arc<DateSet>>,
    /// Opening days in any of these sets do not count.
    pub except: Vec<Arc<DateSet>>,
    /// First opening day.
    pub from: Option<NaiveDate>,
    /// Last opening day, included.
    pub through: Option<NaiveDate>,
    /// Environments wanted while it is open, at least 1.
    pub concurrency: u32,
    /// How long before the opening the full number is wanted, whole minutes.
    pub lead: TimeDelta,
    /// How long the number climbs before opening and lead, whole minutes.
    pub ramp_up: TimeDelta,
    /// How long the number falls after the closing, whole minutes.
    pub ramp_down: TimeDelta,
}

/// When a window opens, and how it closes.
#[derive(Debug, Clone)]
pub enum Opening {
    /// On days of the week, for hours of the day.
    Weekly(DaySet, Hours),
    /// On given dates, for hours of the day.
    Dates(BTreeSet<NaiveDate>, Hours),
    /// At the wall times of a cron expression, for a stretch of elapsed time.
    Cron(Box<cron::Schedule>, TimeDelta),
}

/// Hours of a window's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// From midnight to midnight.
    AllDay,
    /// From `start` to the first `end` after it on the wall clock: the next day when `end` is not later than `start`.
    Between {
        /// Opening wall time.
        start: NaiveTime,
        /// Closing wall time; `None` is 24:00.
        end: Option<NaiveTime>,
    },
}

/// A set of weekdays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DaySet(u8);

impl DaySet {
    /// Every day.
    pub const DAILY: Self = Self(0b111_1111);

    /// The set with `day` added.
    #[must_use]
    pub fn with(self, day: chrono::Weekday) -> Self {
        Self(self.0 | 1 << day.num_days_from_monday())
    }

    /// Whether `day` is in the set.
    pub fn contains(self, day: chrono::Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }

    /// The days of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether no day is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A named set of dates: a calendar of holidays, or a stretch of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateSet {
    /// The calendar's name.
    pub name: String,
    /// Its single dates.
    pub dates: BTreeSet<NaiveDate>,
    /// Its stretches, both days included.
    pub ranges: Vec<(NaiveDate, NaiveDate)>,
}

impl DateSet {
    /// Whether `date` is in the set.
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.dates.contains(&date) || self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&date))
    }

    /// Whether every date of the set is before `today`, so that it needs new ones. Not when it is empty.
    pub fn has_passed(&self, today: NaiveDate) -> bool {
        self.last().is_some_and(|last| last < today)
    }

    /// The last date in the set; `None` when it is empty.
    pub fn last(&self) -> Option<NaiveDate> {
        self.dates.last().copied().into_iter().chain(self.ranges.iter().map(|(_, last)| *last)).max()
    }
}
