//! The occurrences of a window: each opening with its closing.
//!
//! A lookup walks the days near an instant, so its cost does not depend on the age of the window. Openings and closings
//! are in the order of their wall times (see [`super::wall`]), so the latest occurrence that has opened also closes
//! last.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use cron::TimeUnitSpec;

use super::wall::{closing_instant, latest_shown, opening_instant, wall_time};
use super::{Hours, Opening, Window};

/// One opening of a window, with its closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// The opening day on the wall clock of the window's zone. Weekday, date and calendars apply to it.
    pub day: NaiveDate,
    /// The first instant at which the window is open.
    pub opens: DateTime<Utc>,
    /// The first instant at which the window is closed again.
    pub closes: DateTime<Utc>,
}

impl Occurrence {
    /// Returns true if a clock change leaves no time between opening and closing. Such an occurrence does not open.
    pub fn is_empty(&self) -> bool {
        self.closes <= self.opens
    }
}

/// The state of a window on a day of its zone's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayState {
    /// It opens, once or several times.
    Opens,
    /// The weekday, date, cron expression, `from` or `through` exclude the day.
    NoOpening,
    /// An `except` calendar contains the day, or no `only` calendar does.
    Excepted,
    /// A clock change leaves no time between opening and closing.
    Empty,
}

impl Window {
    /// Returns the latest occurrence that opens at or before `at`, on day `since` or later. Empty ones are skipped.
    pub fn latest_opening(&self, at: DateTime<Utc>, since: NaiveDate) -> Option<Occurrence> {
        if let Opening::Once(opens, length) = self.opening {
            return self.once(opens, length).filter(|once| once.opens <= at && once.day >= since);
        }
        let mut bound = latest_shown(at, self.zone);
        loop {
            let wall = self.wall_at_or_before(bound, since)?;
            if let Some(occurrence) = self.occurrence(wall)
                && occurrence.opens <= at
                && !occurrence.is_empty()
            {
                return Some(occurrence);
            }
            bound = wall.checked_sub_signed(TimeDelta::seconds(1))?;
        }
    }

    /// Returns the earliest occurrence that opens after `after`, on day `through` or earlier. Empty ones are skipped.
    pub fn next_opening(&self, after: DateTime<Utc>, through: NaiveDate) -> Option<Occurrence> {
        if let Opening::Once(opens, length) = self.opening {
            return self.once(opens, length).filter(|once| once.opens > after && once.day <= through);
        }
        let mut bound = wall_time(after, self.zone);
        loop {
            bound = self.wall_after(bound, through)?;
            if let Some(occurrence) = self.occurrence(bound)
                && occurrence.opens > after
                && !occurrence.is_empty()
            {
                return Some(occurrence);
            }
        }
    }

    /// Returns the state of the window on `day`.
    pub fn day_state(&self, day: NaiveDate) -> DayState {
        if !self.includes(day) {
            return DayState::NoOpening;
        }
        if self.is_suppressed(day) {
            return DayState::Excepted;
        }
        if matches!(self.opening, Opening::Once(..)) {
            return DayState::Opens;
        }
        // Only hours can be empty, and they open once a day.
        match self.first_time(NaiveTime::MIN).and_then(|time| self.occurrence(day.and_time(time))) {
            Some(occurrence) if occurrence.is_empty() => DayState::Empty,
            Some(_) => DayState::Opens,
            None => DayState::NoOpening,
        }
    }

    /// Returns an upper bound of the length of an occurrence.
    pub fn longest(&self) -> TimeDelta {
        match &self.opening {
            // A day on the wall clock. No fold has been longer than a day.
            Opening::Weekly(..) | Opening::Dates(..) => TimeDelta::days(2),
            Opening::Cron(_, length) | Opening::Once(_, length) => *length,
        }
    }

    /// Returns the only occurrence of [`Opening::Once`], unless it is excluded or empty.
    fn once(&self, opens: DateTime<Utc>, length: TimeDelta) -> Option<Occurrence> {
        let day = wall_time(opens, self.zone).date();
        let occurrence = Occurrence { day, opens, closes: later(opens, length) };
        (self.includes(day) && !self.is_suppressed(day) && !occurrence.is_empty()).then_some(occurrence)
    }

    /// Returns the occurrence that opens at a wall time, or `None` at the end of the calendar.
    fn occurrence(&self, wall: NaiveDateTime) -> Option<Occurrence> {
        let opens = opening_instant(wall, self.zone);
        let closes = match &self.opening {
            Opening::Weekly(_, hours) | Opening::Dates(_, hours) => {
                closing_instant(hours.closing(wall.date())?, self.zone)
            }
            Opening::Cron(_, length) | Opening::Once(_, length) => later(opens, *length),
        };
        Some(Occurrence { day: wall.date(), opens, closes })
    }

    /// Returns true if the window opens on `day`, calendars aside.
    fn includes(&self, day: NaiveDate) -> bool {
        if self.from.is_some_and(|from| day < from) || self.through.is_some_and(|through| day > through) {
            return false;
        }
        match &self.opening {
            Opening::Weekly(days, _) => days.contains(day.weekday()),
            Opening::Dates(dates, _) => dates.contains(&day),
            Opening::Cron(cron, _) => {
                cron.days_of_week().includes(day.weekday().number_from_sunday())
                    && cron.days_of_month().includes(day.day())
                    && cron.months().includes(day.month())
                    && cron.years().includes(year_of(day))
            }
            Opening::Once(opens, _) => wall_time(*opens, self.zone).date() == day,
        }
    }

    fn is_suppressed(&self, day: NaiveDate) -> bool {
        self.except.iter().any(|calendar| calendar.contains(day))
            || !self.only.is_empty() && !self.only.iter().any(|calendar| calendar.contains(day))
    }

    /// Returns the latest opening wall time at or before `bound`, on day `since` or later.
    fn wall_at_or_before(&self, bound: NaiveDateTime, since: NaiveDate) -> Option<NaiveDateTime> {
        let since = self.from.map_or(since, |from| from.max(since));
        let (mut day, mut bound) = match self.through {
            Some(through) if through < bound.date() => (through, END_OF_DAY),
            _ => (bound.date(), bound.time()),
        };
        loop {
            day = match &self.opening {
                _ if day < since => return None,
                Opening::Dates(dates, _) => {
                    let listed = *dates.range(since..=day).next_back()?;
                    if listed < day {
                        bound = END_OF_DAY;
                    }
                    listed
                }
                Opening::Cron(cron, _) => {
                    let year = cron.years().range(..=year_of(day)).next_back()?;
                    if year < year_of(day) {
                        bound = END_OF_DAY;
                        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 12, 31)?
                    } else {
                        day
                    }
                }
                Opening::Weekly(..) | Opening::Once(..) => day,
            };
            if day < since {
                return None;
            }
            if self.includes(day)
                && !self.is_suppressed(day)
                && let Some(time) = self.last_time(bound)
            {
                return Some(day.and_time(time));
            }
            day = day.pred_opt()?;
            bound = END_OF_DAY;
        }
    }

    /// Returns the earliest opening wall time after `bound`, on day `through` or earlier.
    fn wall_after(&self, bound: NaiveDateTime, through: NaiveDate) -> Option<NaiveDateTime> {
        let bound = bound.checked_add_signed(TimeDelta::seconds(1))?;
        let through = self.through.map_or(through, |own| own.min(through));
        let (mut day, mut bound) = match self.from {
            Some(from) if from > bound.date() => (from, NaiveTime::MIN),
            _ => (bound.date(), bound.time()),
        };
        loop {
            day = match &self.opening {
                _ if day > through => return None,
                Opening::Dates(dates, _) => {
                    let listed = *dates.range(day..=through).next()?;
                    if listed > day {
                        bound = NaiveTime::MIN;
                    }
                    listed
                }
                Opening::Cron(cron, _) => {
                    let year = cron.years().range(year_of(day)..).next()?;
                    if year > year_of(day) {
                        bound = NaiveTime::MIN;
                        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?
                    } else {
                        day
                    }
                }
                Opening::Weekly(..) | Opening::Once(..) => day,
            };
            if day > through {
                return None;
            }
            if self.includes(day)
                && !self.is_suppressed(day)
                && let Some(time) = self.first_time(bound)
            {
                return Some(day.and_time(time));
            }
            day = day.succ_opt()?;
            bound = NaiveTime::MIN;
        }
    }

    /// Returns the latest opening time of a day that is not after `bound`. [`Self::once`] handles a single opening.
    fn last_time(&self, bound: NaiveTime) -> Option<NaiveTime> {
        match &self.opening {
            Opening::Weekly(_, hours) | Opening::Dates(_, hours) => {
                Some(hours.start()).filter(|start| *start <= bound)
            }
            Opening::Cron(cron, _) => cron.hours().range(..=bound.hour()).rev().find_map(|hour| {
                let last = if hour == bound.hour() { bound.minute() } else { 59 };
                let minute = cron.minutes().range(..=last).next_back()?;
                NaiveTime::from_hms_opt(hour, minute, 0)
            }),
            Opening::Once(..) => None,
        }
    }

    /// Returns the earliest opening time of a day that is not before `bound`. [`Self::once`] handles a single opening.
    fn first_time(&self, bound: NaiveTime) -> Option<NaiveTime> {
        match &self.opening {
            Opening::Weekly(_, hours) | Opening::Dates(_, hours) => {
                Some(hours.start()).filter(|start| *start >= bound)
            }
            Opening::Cron(cron, _) => cron.hours().range(bound.hour()..).find_map(|hour| {
                // A bound within a minute is after the start of that minute.
                let past = u32::from(bound.second() > 0 || bound.nanosecond() > 0);
                let first = if hour == bound.hour() { bound.minute() + past } else { 0 };
                let minute = cron.minutes().range(first..).next()?;
                NaiveTime::from_hms_opt(hour, minute, 0)
            }),
            Opening::Once(..) => None,
        }
    }
}

impl Hours {
    /// Returns the opening wall time.
    fn start(self) -> NaiveTime {
        match self {
            Self::AllDay => NaiveTime::MIN,
            Self::Between { start, .. } => start,
        }
    }

    /// Returns the closing wall time for an opening on `day`, or `None` at the end of the calendar.
    fn closing(self, day: NaiveDate) -> Option<NaiveDateTime> {
        match self {
            Self::Between { start, end: Some(end) } if end > start => Some(day.and_time(end)),
            Self::Between { end: Some(end), .. } => Some(day.succ_opt()?.and_time(end)),
            Self::AllDay | Self::Between { end: None, .. } => Some(day.succ_opt()?.and_time(NaiveTime::MIN)),
        }
    }
}

/// Returns the year in the type of the `cron` crate, whose years end in 2100.
fn year_of(day: NaiveDate) -> u32 {
    u32::try_from(day.year()).unwrap_or(0)
}

/// Returns `at` plus `length`, clamped to chrono's range.
fn later(at: DateTime<Utc>, length: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A time after every opening time. Opening times are whole minutes.
const END_OF_DAY: NaiveTime = match NaiveTime::from_hms_opt(23, 59, 59) {
    Some(time) => time,
    None => NaiveTime::MIN,
};
