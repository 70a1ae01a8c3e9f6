//! Capacity that a budget has stopped: until the end of the month its number only falls.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::outlook::number;
use super::report::Stopped;
use super::schedule::{AHEAD_DAYS, desired};
use crate::domain::budget::{CapacityStop, Month, Scope, Standing, capacity_stops};
use crate::domain::calendar::{Opening, Window};
use crate::domain::fleet::Target;
use crate::domain::schedule::{Minute, segments};

/// The minutes in a day.
const DAY: i64 = 24 * 60;

/// Returns a target with what the budgets that are used up leave of its capacity, and the one of them that stops it
/// earliest; `None` if none does.
pub fn stop(
    target: &Target,
    standings: &BTreeMap<Scope, Standing>,
    now: Minute,
) -> Option<(Target, Stopped)> {
    if !target.strategy.is_capacity() {
        return None;
    }
    let mut stops: Vec<(Scope, CapacityStop)> = capacity_stops(target, standings).collect();
    stops.sort_by_key(|(_, stop)| (!stop.is_immediate, stop.since));
    let (by, first) = stops.first()?;
    let until = Month::of(first.since).end();
    let by = Stopped { from: number(target.strategy, desired(target, now)), by: by.setting(), until };
    let stopped = stops.iter().fold(target.clone(), |target, (_, stop)| stopped(&target, *stop, now));
    Some((stopped, by))
}

/// Returns a target with the windows that a stop leaves: each number until the end of the month is at most the lowest
/// since the stop, and 0 if it is immediate. The windows reach from two days before `now` to a day after the last
/// scheduled action.
fn stopped(target: &Target, stop: CapacityStop, now: Minute) -> Target {
    let since = Minute::of(stop.since);
    let month_end = Minute::of(Month::of(stop.since).end());
    let day = now.epoch().div_euclid(DAY);
    let (from, until) = ((day - 2) * DAY, (day + AHEAD_DAYS + 2) * DAY);
    // The lowest number since the stop is that of a beginning before `from` as well.
    let (from, until) = (Minute::from_epoch(from.min(since.epoch())), Minute::from_epoch(until));
    let mut windows = Vec::new();
    let mut open = |from: Minute, until: Minute, number: u32| {
        let minutes = until.epoch() - from.epoch();
        if minutes > 0 && number > 0 {
            let opening = Opening::Once(from.instant(), TimeDelta::minutes(minutes));
            windows.push(Window::new("budget", chrono_tz::UTC, opening, number));
        }
    };
    let mut lowest = if stop.is_immediate { 0 } else { u32::MAX };
    let mut last = since;
    for segment in segments(target, from, until) {
        // Before the stop.
        open(segment.from, segment.until.min(since), segment.desired);
        let (begin, end) = (segment.from.max(since), segment.until.min(month_end));
        if begin < end {
            // A gap is a closing.
            lowest = if begin > last { 0 } else { lowest.min(segment.desired) };
            last = end;
            open(begin, end, lowest);
        }
        open(segment.from.max(month_end), segment.until, segment.desired);
    }
    Target { windows, spare: 0, ..target.clone() }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::domain::calendar::{DaySet, Hours};
    use crate::domain::capacity::{By, Fallback, Owner, Provisioned, Strategy, actions, desired};

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}:00Z").parse().unwrap()
    }

    fn target() -> Target {
        let hours = |start: &str, end: &str| Hours::Between {
            start: format!("{start}:00").parse().unwrap(),
            end: format!("{end}:00").parse().ok(),
        };
        let window =
            |hours, number| Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), number);
        let by = By::Autoscaling { max: 20, utilization: 70 };
        Target {
            windows: vec![window(hours("08:00", "18:00"), 4), window(hours("10:00", "12:00"), 9)],
            spare: 1,
            strategy: Strategy::Provisioned(Provisioned { by, fallback: Fallback::None }),
            ..Target::example("f:live", "eu-west-2", Vec::new())
        }
    }

    fn numbers(is_immediate: bool, now: &str) -> Vec<u32> {
        let stop = CapacityStop { since: at("2026-11-27T11:00"), is_immediate };
        let stopped = stopped(&target(), stop, Minute::of(at(now)));
        ["26T09:00", "27T10:59", "27T11:30", "27T12:30", "27T18:00", "28T09:00", "30T23:59"]
            .map(|time| desired(&stopped, Minute::of(at(&format!("2026-11-{time}")))))
            .into_iter()
            .chain([desired(&stopped, Minute::of(at("2026-12-01T10:30")))])
            .collect()
    }

    #[test]
    fn capacity_ends_at_its_next_closing_and_opens_again_in_the_next_month() {
        assert_eq!(numbers(false, "2026-11-27T11:00"), [5, 10, 10, 5, 0, 0, 0, 10]);
        assert_eq!(numbers(false, "2026-11-29T09:00"), [0, 10, 10, 5, 0, 0, 0, 10], "two days later");
        assert_eq!(numbers(true, "2026-11-27T11:00"), [5, 10, 0, 0, 0, 0, 0, 10]);
    }

    #[test]
    fn a_stop_between_windows_opens_none() {
        let stop = CapacityStop { since: at("2026-11-27T20:00"), is_immediate: false };
        let stopped = stopped(&target(), stop, Minute::of(stop.since));
        assert_eq!(desired(&stopped, Minute::of(at("2026-11-28T11:00"))), 0);
        assert_eq!(desired(&stopped, Minute::of(at("2026-12-01T11:00"))), 10);
    }

    #[test]
    fn scheduled_actions_beyond_the_stop_are_gone() {
        let shown = |target: &Target| -> Vec<String> {
            let actions = actions(target, &Owner::default(), Minute::of(at("2026-11-27T11:00")));
            let shown = |action: &crate::domain::capacity::ScheduledAction| {
                format!("{} {}", action.schedule, action.bounds.unwrap().min)
            };
            actions.iter().map(shown).take(4).collect()
        };
        let stop = CapacityStop { since: at("2026-11-27T11:00"), is_immediate: false };
        let stopped = stopped(&target(), stop, Minute::of(stop.since));
        assert_eq!(
            shown(&stopped),
            [
                "at(2026-11-27T12:00:00) 5",
                "at(2026-11-27T18:00:00) 0",
                "at(2026-12-01T08:00:00) 5",
                "at(2026-12-01T10:00:00) 10"
            ]
        );
        assert_eq!(shown(&target())[2], "at(2026-11-28T08:00:00) 5");
    }
}
