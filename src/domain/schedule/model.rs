//! A reference model for tests that visits every minute and applies the definitions literally. It shares the types of
//! the product, but no code that maps, looks up or steps.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use cron::TimeUnitSpec;

use super::{Minute, Segment};
use crate::domain::calendar::{Hours, Opening, Window};
use crate::domain::fleet::Target;

/// Returns the minutes by which `zone` is ahead of UTC at an epoch minute.
pub(super) fn offset(zone: Tz, minute: i64) -> i64 {
    let utc = DateTime::from_timestamp(minute * 60, 0).unwrap().naive_utc();
    let seconds = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
    assert_eq!(seconds % 60, 0, "{zone} is not on whole minutes");
    seconds / 60
}

/// A clock change: the offset from UTC is `before` minutes before the epoch minute `at`, and `after` from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClockChange {
    pub at: i64,
    pub before: i64,
    pub after: i64,
}

/// Returns every clock change of `zone` in [from, until), found by comparing days and bisecting.
///
/// Two changes within a day that cancel out are missed. A sweep of all zones in steps of 15 minutes found none from
/// 2000 to 2037.
pub(super) fn changes(zone: Tz, from: i64, until: i64) -> Vec<ClockChange> {
    const DAY: i64 = 1440;
    let mut changes = Vec::new();
    let mut day = from;
    let mut before = offset(zone, day);
    while day < until {
        let next = day + DAY;
        let after = offset(zone, next);
        if before != after {
            let (mut low, mut high) = (day, next);
            while high - low > 1 {
                let middle = (low + high) / 2;
                if offset(zone, middle) == before { low = middle } else { high = middle }
            }
            changes.push(ClockChange { at: high, before, after });
        }
        (day, before) = (next, after);
    }
    changes
}

fn minute_of(wall: NaiveDateTime) -> i64 {
    wall.and_utc().timestamp() / 60
}

fn day_of(wall_minute: i64) -> NaiveDate {
    DateTime::from_timestamp(wall_minute * 60, 0).unwrap().date_naive()
}

/// An occurrence, in epoch minutes. It does not open when `closes` is not later than `opens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub day: NaiveDate,
    pub opens: i64,
    pub closes: i64,
}

/// Returns the occurrences of the window around [from, until), with the zone's offset at each minute.
pub(super) fn spans(window: &Window, from: i64, until: i64, offset: impl Fn(i64) -> i64) -> Vec<Span> {
    let (lead, up, down) =
        (window.lead.num_minutes(), window.ramp_up.num_minutes(), window.ramp_down.num_minutes());
    if let Opening::Once(at, length) = window.opening {
        let opens = at.timestamp() / 60;
        let day = day_of(opens + offset(opens));
        let span = Span { day, opens, closes: opens + length.num_minutes() };
        return if opens_on(window, day) { vec![span] } else { Vec::new() };
    }
    let longest = match &window.opening {
        Opening::Cron(_, length) => length.num_minutes(),
        _ => 2 * 1440,
    };
    let first = from - down - longest - 1440;
    let last = until + lead + up + 2 * 1440;
    // Plain loops: without optimisation, iterators take several times as long.
    let mut clock = Vec::with_capacity(usize::try_from(last - first).unwrap());
    let (mut lowest, mut highest, mut minute) = (i64::MAX, i64::MIN, first);
    while minute < last {
        let shown = minute + offset(minute);
        (lowest, highest, minute) = (lowest.min(shown), highest.max(shown), minute + 1);
        clock.push(shown);
    }

    let mut openings: Vec<i64> = Vec::new();
    let mut day = day_of(lowest).succ_opt().unwrap();
    while day < day_of(highest) {
        if opens_on(window, day) {
            let times: Vec<NaiveTime> = match &window.opening {
                Opening::Weekly(_, Hours::AllDay) | Opening::Dates(_, Hours::AllDay) => vec![NaiveTime::MIN],
                Opening::Weekly(_, Hours::Between { start, .. })
                | Opening::Dates(_, Hours::Between { start, .. }) => {
                    vec![*start]
                }
                Opening::Cron(cron, _) => (0..1440)
                    // A fast check first.
                    .filter(|minute| cron.minutes().includes(minute % 60))
                    .map(|minute| NaiveTime::MIN + TimeDelta::minutes(minute.into()))
                    .filter(|time| cron.includes(day.and_time(*time).and_utc()))
                    .collect(),
                Opening::Once(..) => unreachable!("returned above"),
            };
            openings.extend(times.into_iter().map(|time| minute_of(day.and_time(time))));
        }
        day = day.succ_opt().unwrap();
    }

    let mut spans: Vec<Span> =
        openings.iter().map(|wall| Span { day: day_of(*wall), opens: 0, closes: 0 }).collect();
    // An opening is the first minute at which the clock shows the opening time or, after a gap, a later one.
    let mut next = 0;
    let (mut place, mut minute) = (0, first);
    while next < openings.len() && place < clock.len() {
        while next < openings.len() && clock[place] >= openings[next] {
            spans[next].opens = minute;
            next += 1;
        }
        (place, minute) = (place + 1, minute + 1);
    }
    // A closing is the last minute at which the clock shows the closing time or, after a gap, the minute after the last
    // earlier time.
    let closings: Vec<i64> = match &window.opening {
        Opening::Weekly(_, hours) | Opening::Dates(_, hours) => {
            spans.iter().map(|span| closing(*hours, span.day)).collect()
        }
        Opening::Cron(..) | Opening::Once(..) => Vec::new(),
    };
    let mut next = closings.len();
    let (mut place, mut minute) = (clock.len(), last);
    while next > 0 && place > 0 {
        (place, minute) = (place - 1, minute - 1);
        let shown = clock[place];
        while next > 0 && shown <= closings[next - 1] {
            spans[next - 1].closes = if shown == closings[next - 1] { minute } else { minute + 1 };
            next -= 1;
        }
    }
    if let Opening::Cron(_, length) = &window.opening {
        for span in &mut spans {
            span.closes = span.opens + length.num_minutes();
        }
    }
    spans
}

fn closing(hours: Hours, day: NaiveDate) -> i64 {
    let midnight = minute_of(day.succ_opt().unwrap().and_time(NaiveTime::MIN));
    match hours {
        Hours::AllDay | Hours::Between { end: None, .. } => midnight,
        Hours::Between { start, end: Some(end) } => {
            let end_minutes = minute_of(day.and_time(end));
            if end > start { end_minutes } else { end_minutes + 1440 }
        }
    }
}

fn opens_on(window: &Window, day: NaiveDate) -> bool {
    let chosen = match &window.opening {
        Opening::Weekly(days, _) => days.contains(day.weekday()),
        Opening::Dates(dates, _) => dates.iter().any(|date| *date == day),
        Opening::Cron(..) | Opening::Once(..) => true,
    };
    let calendars = |calendars: &[std::sync::Arc<crate::domain::calendar::DateSet>]| {
        calendars.iter().any(|calendar| {
            calendar.dates.iter().any(|date| *date == day)
                || calendar.ranges.iter().any(|(first, last)| *first <= day && day <= *last)
        })
    };
    chosen
        && window.from.is_none_or(|from| from <= day)
        && window.through.is_none_or(|through| day <= through)
        && (window.only.is_empty() || calendars(&window.only))
        && !calendars(&window.except)
}

/// Returns the concurrency that the window contributes in each minute of [from, until).
pub(super) fn concurrencies(window: &Window, from: i64, until: i64, offset: impl Fn(i64) -> i64) -> Vec<u32> {
    let mut concurrencies = vec![0; usize::try_from(until - from).unwrap()];
    let (lead, up, down) =
        (window.lead.num_minutes(), window.ramp_up.num_minutes(), window.ramp_down.num_minutes());
    let n = i64::from(window.concurrency);
    let ceiling = |dividend: i64, divisor: i64| (dividend + divisor - 1) / divisor;
    for Span { opens: o, closes: c, .. } in spans(window, from, until, offset) {
        if c <= o {
            continue;
        }
        for t in (o - lead - up).max(from)..(c + down).min(until) {
            let value = if t < o - lead {
                ceiling(n * (t - (o - lead - up)), up)
            } else if t < c {
                n
            } else {
                ceiling(n * (c + down - t), down)
            };
            let concurrency = &mut concurrencies[usize::try_from(t - from).unwrap()];
            *concurrency = (*concurrency).max(u32::try_from(value).unwrap());
        }
    }
    concurrencies
}

/// The desired number of a target in each minute from `from`.
pub(super) struct Timeline {
    pub from: i64,
    pub values: Vec<u32>,
    interval: i64,
    phase: i64,
}

impl Timeline {
    /// Creates the timeline of [from, until) with the offset of each zone at every minute.
    pub(super) fn of(target: &Target, from: i64, until: i64) -> Self {
        Self::with(target, from, until, offset)
    }

    pub(super) fn with(target: &Target, from: i64, until: i64, offset: impl Fn(Tz, i64) -> i64) -> Self {
        let mut values = vec![0; usize::try_from(until - from).unwrap()];
        for window in &target.windows {
            let concurrencies = concurrencies(window, from, until, |minute| offset(window.zone, minute));
            for (value, concurrency) in values.iter_mut().zip(concurrencies) {
                *value = concurrency.max(*value);
            }
        }
        for value in values.iter_mut().filter(|value| **value > 0) {
            *value += target.spare;
        }
        Self { from, values, interval: target.interval_minutes.into(), phase: target.phase_minutes.into() }
    }

    pub(super) fn value(&self, minute: i64) -> u32 {
        self.values[usize::try_from(minute - self.from).unwrap()]
    }

    /// Returns true if the minute is due. The first minute, whose predecessor is unknown, is not supported.
    pub(super) fn due(&self, minute: i64) -> bool {
        let value = self.value(minute);
        value > self.value(minute - 1) || value > 0 && (minute + self.phase) % self.interval == 0
    }

    /// Returns the segments from the second minute on.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        let end = self.from + i64::try_from(self.values.len()).unwrap();
        for minute in self.from + 1..end {
            let (value, rounds) = (self.value(minute), u64::from(self.due(minute)));
            if value == 0 {
                continue;
            }
            match segments.last_mut() {
                Some(segment) if segment.until.epoch() == minute && segment.desired == value => {
                    segment.until = Minute::from_epoch(minute + 1);
                    segment.rounds += rounds;
                }
                _ => segments.push(Segment {
                    from: Minute::from_epoch(minute),
                    until: Minute::from_epoch(minute + 1),
                    desired: value,
                    rounds,
                }),
            }
        }
        segments
    }
}
