//! The occurrences of a window: each opening with its closing.
//!
//! They are looked up around an instant, by walking the days near it: what a lookup costs does not depend on
//! how long ago the window first opened. Openings are in the order of their wall times, and so are closings
//! (see [`super::wall`]), so the latest occurrence that has opened is also the one that closes last.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use cron::TimeUnitSpec;

use super::wall::{closing_instant, latest_shown, opening_instant, wall_time};
use super::{Hours, Opening, Window};

/// One opening of a window, with its closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// The opening day on the wall clock of the window's zone: its weekday, date and calendars are judged by it.
    pub day: NaiveDate,
    /// The first instant at which it is open.
    pub opens: DateTime<Utc>,
    /// The first instant at which it is no longer open.
    pub closes: DateTime<Utc>,
}

impl Occurrence {
    /// Whether a clock change has left nothing of it. Such an occurrence does not open.
    pub fn is_empty(&self) -> bool {
        self.closes <= self.opens
    }
}

/// What a window does on a day of its zone's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayState {
    /// It opens, once or several times.
    Opens,
    /// It is not for this day: the weekday, date, cron expression, `from` or `through` rule it out.
    Not,
    /// It would open, but an `except` calendar has the day or no `only` calendar does.
    Excepted,
    /// It would open, but a clock change leaves nothing of it.
    Empty,
}

impl Window {
    /// The latest occurrence that opens at or before `at`, on day `since` or later. Empty ones are passed over.
    pub fn latest_opening(&self, at: DateTime<Utc>, since: NaiveDate) -> Option<Occurrence> {
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

    /// The earliest occurrence that opens after `after`, on day `through` or earlier. Empty ones are passed over.
    pub fn next_opening(&self, after: DateTime<Utc>, through: NaiveDate) -> Option<Occurrence> {
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

    /// What the window does on `day`.
    pub fn day_state(&self, day: NaiveDate) -> DayState {
        if !self.is_for(day) {
            return DayState::Not;
        }
        if self.is_suppressed(day) {
            return DayState::Excepted;
        }
        // Only hours can be empty, and they open once a day.
        match self.first_time(NaiveTime::MIN).and_then(|time| self.occurrence(day.and_time(time))) {
            Some(occurrence) if occurrence.is_empty() => DayState::Empty,
            Some(_) => DayState::Opens,
            None => DayState::Not,
        }
    }

    /// The longest an occurrence can be, so that one that opened longer ago is surely closed.
    pub fn longest(&self) -> TimeDelta {
        match &self.opening {
            // A day on the wall clock, and no fold has ever been longer than one.
            Opening::Weekly(..) | Opening::Dates(..) => TimeDelta::days(2),
            Opening::Cron(_, length) => *length,
        }
    }

    /// `None` only at the very end of the calendar.
    fn occurrence(&self, wall: NaiveDateTime) -> Option<Occurrence> {
        let opens = opening_instant(wall, self.zone);
        let closes = match &self.opening {
            Opening::Weekly(_, hours) | Opening::Dates(_, hours) => {
                closing_instant(hours.closing(wall.date())?, self.zone)
            }
            Opening::Cron(_, length) => opens.checked_add_signed(*length).unwrap_or(DateTime::<Utc>::MAX_UTC),
        };
        Some(Occurrence { day: wall.date(), opens, closes })
    }

    /// Whether the window is written for `day`, calendars aside.
    fn is_for(&self, day: NaiveDate) -> bool {
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
        }
    }

    fn is_suppressed(&self, day: NaiveDate) -> bool {
        self.except.iter().any(|calendar| calendar.contains(day))
            || !self.only.is_empty() && !self.only.iter().any(|calendar| calendar.contains(day))
    }

    /// The latest opening wall time at or before `bound`, on day `since` or later.
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
                Opening::Weekly(..) => day,
            };
            if day < since {
                return None;
            }
            if self.is_for(day)
                && !self.is_suppressed(day)
                && let Some(time) = self.last_time(bound)
            {
                return Some(day.and_time(time));
            }
            day = day.pred_opt()?;
            bound = END_OF_DAY;
        }
    }

    /// The earliest opening wall time after `bound`, on day `through` or earlier.
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
                Opening::Weekly(..) => day,
            };
            if day > through {
                return None;
            }
            if self.is_for(day)
                && !self.is_suppressed(day)
                && let Some(time) = self.first_time(bound)
            {
                return Some(day.and_time(time));
            }
            day = day.succ_opt()?;
            bound = NaiveTime::MIN;
        }
    }

    /// The latest opening time of a day, not after `bound`.
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
        }
    }

    /// The earliest opening time of a day, not before `bound`.
    fn first_time(&self, bound: NaiveTime) -> Option<NaiveTime> {
        match &self.opening {
            Opening::Weekly(_, hours) | Opening::Dates(_, hours) => {
                Some(hours.start()).filter(|start| *start >= bound)
            }
            Opening::Cron(cron, _) => cron.hours().range(bound.hour()..).find_map(|hour| {
                // A bound within a minute is past that minute's beginning.
                let past = u32::from(bound.second() > 0 || bound.nanosecond() > 0);
                let first = if hour == bound.hour() { bound.minute() + past } else { 0 };
                let minute = cron.minutes().range(first..).next()?;
                NaiveTime::from_hms_opt(hour, minute, 0)
            }),
        }
    }
}

impl Hours {
    /// The opening wall time.
    fn start(self) -> NaiveTime {
        match self {
            Self::AllDay => NaiveTime::MIN,
            Self::Between { start, .. } => start,
        }
    }

    /// The closing wall time of what opens on `day`; `None` only at the end of the calendar.
    fn closing(self, day: NaiveDate) -> Option<NaiveDateTime> {
        match self {
            Self::Between { start, end: Some(end) } if end > start => Some(day.and_time(end)),
            Self::Between { end: Some(end), .. } => Some(day.succ_opt()?.and_time(end)),
            Self::AllDay | Self::Between { end: None, .. } => Some(day.succ_opt()?.and_time(NaiveTime::MIN)),
        }
    }
}

/// The year in the `cron` crate's type; its years end in 2100.
fn year_of(day: NaiveDate) -> u32 {
    u32::try_from(day.year()).unwrap_or(0)
}

/// Later than every opening time, which are whole minutes.
const END_OF_DAY: NaiveTime = match NaiveTime::from_hms_opt(23, 59, 59) {
    Some(time) => time,
    None => NaiveTime::MIN,
};
