//! Windows of local time, and the instants at which they open and close.
//!
//! The weekday, date, calendars and `from`/`through` of a window apply to its opening day in its own zone. Openings and
//! closings are instants. A wall time inside a spring gap maps to the first instant after the gap. In an autumn fold,
//! an opening maps to the earlier occurrence and a closing to the later one.

mod occurrence;
pub mod text;
mod wall;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub use self::occurrence::{DayState, Occurrence};
pub use self::text::{parse_cron, parse_zone};
pub use self::wall::{closing_instant, opening_instant, wall_time};

/// A period of local time with a number of environments to keep warm.
#[derive(Debug, Clone)]
pub struct Window {
    /// The name, or `windows[i]` with the index i in the function's list.
    pub label: String,
    /// The time zone of its wall times.
    pub zone: Tz,
    /// Its openings and closings.
    pub opening: Opening,
    /// If not empty, only opening days in at least one of these sets count.
    pub only: Vec<Arc<DateSet>>,
    /// Opening days in any of these sets do not count.
    pub except: Vec<Arc<DateSet>>,
    /// The first opening day.
    pub from: Option<NaiveDate>,
    /// The last opening day, inclusive.
    pub through: Option<NaiveDate>,
    /// The number of environments while it is open, at least 1.
    pub concurrency: u32,
    /// The time before the opening from which the full number is kept, in whole minutes.
    pub lead: TimeDelta,
    /// The length of the rise to the full number, before opening and lead, in whole minutes.
    pub ramp_up: TimeDelta,
    /// The length of the fall to zero after the closing, in whole minutes.
    pub ramp_down: TimeDelta,
    /// The number that the window's load alone needs, if provisioned environments are limited by the rate of requests
    /// and `concurrency` is therefore higher.
    pub load_needs: Option<u32>,
    /// The pipeline that the window belongs to; `None` for a window of the function.
    pub pipeline: Option<Arc<str>>,
}

impl Window {
    /// Creates a window without calendars, first and last day, lead and ramps.
    pub fn new(label: impl Into<String>, zone: Tz, opening: Opening, concurrency: u32) -> Self {
        Self {
            label: label.into(),
            zone,
            opening,
            only: Vec::new(),
            except: Vec::new(),
            from: None,
            through: None,
            concurrency,
            lead: TimeDelta::zero(),
            ramp_up: TimeDelta::zero(),
            ramp_down: TimeDelta::zero(),
            load_needs: None,
            pipeline: None,
        }
    }
}

/// The openings and closings of a window.
#[derive(Debug, Clone)]
pub enum Opening {
    /// On days of the week, for hours of the day.
    Weekly(DaySet, Hours),
    /// On given dates, for hours of the day.
    Dates(BTreeSet<NaiveDate>, Hours),
    /// At the wall times of a cron expression, for an elapsed time.
    Cron(Box<cron::Schedule>, TimeDelta),
    /// Once, at an instant, for an elapsed time.
    Once(DateTime<Utc>, TimeDelta),
}

/// The hours of a window's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// From midnight to midnight.
    AllDay,
    /// From `start` to the next `end` on the wall clock, on the next day when `end` is not later than `start`.
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

    /// Returns the set with `day` added.
    #[must_use]
    pub fn with(self, day: chrono::Weekday) -> Self {
        Self(self.0 | 1 << day.num_days_from_monday())
    }

    /// Returns true if `day` is in the set.
    pub fn contains(self, day: chrono::Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }

    /// Returns the days in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if the set has no days.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A named set of dates, such as a calendar of holidays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateSet {
    /// The calendar's name.
    pub name: String,
    /// Single dates.
    pub dates: BTreeSet<NaiveDate>,
    /// Date ranges, both ends inclusive.
    pub ranges: Vec<(NaiveDate, NaiveDate)>,
}

impl DateSet {
    /// Returns true if `date` is in the set.
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.dates.contains(&date) || self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&date))
    }

    /// Returns true if every date of the set is before `today`, false for an empty set.
    pub fn has_passed(&self, today: NaiveDate) -> bool {
        self.last().is_some_and(|last| last < today)
    }

    /// Returns the last date in the set, or `None` when the set is empty.
    pub fn last(&self) -> Option<NaiveDate> {
        self.dates.last().copied().into_iter().chain(self.ranges.iter().map(|(_, last)| *last)).max()
    }
}
