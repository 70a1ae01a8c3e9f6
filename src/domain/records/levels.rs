//! The numbers of environments that metrics want, kept from tick to tick.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{FORGOTTEN_AFTER, Pauses, Requests, keyed, with_pauses, with_requests};
use crate::domain::backlog::Readings;
use crate::domain::calendar::{Opening, Window};
use crate::domain::capacity::LEAST_UP_MINUTES;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::schedule::{Minute, has_interval_minute};

/// The minutes for which a number counts without a new reading.
const KEPT: i64 = 5;
/// The end of the window of a number is a multiple of these minutes. The scheduled actions of capacity, which end it
/// without warmd, then change only as often.
const END_STEP: i64 = 5;

/// The numbers that metrics want.
///
/// Pings follow the metric at once. They are due in the minute in which the number rises above those of the interval
/// before, whose environments are still warm. A number that varies therefore causes no round in each minute.
///
/// Capacity rises at once, and falls when the number was lower for [`LEAST_UP_MINUTES`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// The number by target.
    #[serde(default, with = "keyed")]
    pub targets: BTreeMap<Identity, Level>,
}

/// A number of environments that metrics want. Minutes are counted since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The number. 0 is kept until the next round of the interval.
    pub number: u32,
    /// The number of the last round: that of the minute `since`.
    pub peak: u32,
    /// The minute in which a round was due last: the number rose above the peak, or the interval had elapsed. Of
    /// capacity, the minute from which the number is wanted.
    pub since: i64,
    /// The minute in which it was last read.
    pub at: i64,
    /// The lower numbers read since, of capacity that has not fallen yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<Lower>,
}

/// Lower numbers than that of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lower {
    /// The minute since which all are lower.
    pub since: i64,
    /// The highest of them.
    pub highest: u32,
}

impl Level {
    /// Returns false for a level that is too old for a tick at `at`, or that no clock can have written.
    fn is_known(&self, at: i64) -> bool {
        let forgotten = at.saturating_sub(FORGOTTEN_AFTER.num_minutes());
        self.at.abs_diff(at) <= KEPT.unsigned_abs() && (forgotten..=self.at).contains(&self.since)
    }

    /// Returns the level after a reading at `at`, which is not before `self.at`.
    fn next(self, target: &Target, number: u32, at: i64) -> Self {
        if target.strategy.is_capacity() {
            return self.held(self.number.min(most(target)), number, at);
        }
        let read = Self { number, at, ..self };
        let is_round = number > self.peak || has_interval_minute(target, self.at + 1..at + 1);
        if is_round { Self { peak: number, since: at, ..read } } else { read }
    }

    /// Returns the next level of capacity, whose number is `before` up to now.
    fn held(self, before: u32, number: u32, at: i64) -> Self {
        if number >= before {
            let since = if number > before { at } else { self.since };
            return Self { number, peak: number, since, at, lower: None };
        }
        let lower = self.lower.filter(|lower| lower.since <= self.at);
        let lower = Lower {
            since: lower.map_or(at, |lower| lower.since),
            highest: lower.map_or(number, |lower| lower.highest.min(before)).max(number),
        };
        match at.saturating_sub(lower.since) < LEAST_UP_MINUTES {
            true => Self { number: before, peak: before, at, lower: Some(lower), ..self },
            false => Self { number: lower.highest, peak: lower.highest, at, lower: None, ..self },
        }
    }
}

impl Levels {
    /// Returns true without any level.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Takes over the readings of a tick at `at`. Levels of targets without a reading, which other processes may have,
    /// are kept while they count. A level that was read later than `at` stays as it is.
    pub fn note(&mut self, fleet: &Fleet, readings: &Readings, at: Minute) {
        let at = at.epoch();
        self.targets.retain(|_, level| level.is_known(at));
        for target in &fleet.targets {
            let Some(number) = readings.get(&target.id).map(|reading| reading.number) else { continue };
            let level = match self.targets.get(&target.id) {
                Some(level) if level.at > at => continue,
                Some(level) => level.next(target, number, at),
                None => Level { number, peak: number, since: at, at, lower: None },
            };
            match level {
                Level { number: 0, peak: 0, .. } => self.targets.remove(&target.id),
                level => self.targets.insert(target.id.clone(), level),
            };
        }
    }

    /// Takes over the levels of the fleet's targets from those that were noted at `at`. Those of other targets, and those
    /// that another process has read later, are kept.
    pub fn take_over(&mut self, fleet: &Fleet, noted: &Self, at: Minute) {
        self.targets.retain(|_, level| level.is_known(at.epoch()));
        for target in fleet.targets.iter().filter(|target| !target.backlogs.is_empty()) {
            let level = noted.targets.get(&target.id);
            let read_at = level.map_or(at.epoch(), |level| level.at);
            if self.targets.get(&target.id).is_some_and(|kept| kept.at > read_at) {
                continue;
            }
            match level {
                Some(level) => self.targets.insert(target.id.clone(), *level),
                None => self.targets.remove(&target.id),
            };
        }
    }
}

/// Returns the fleet with what requests and metrics want at `now`, without that of paused pipelines.
pub fn with_all<'f>(
    fleet: &'f Fleet,
    requests: &Requests,
    pauses: Option<&Pauses>,
    levels: &Levels,
    now: DateTime<Utc>,
) -> Cow<'f, Fleet> {
    let fleet = with_pauses(with_requests(fleet, requests, now), pauses, now);
    with_levels(fleet, levels, Minute::of(now))
}

/// Returns the highest number that metrics may want for a target.
fn most(target: &Target) -> u32 {
    target.backlogs.iter().map(|rule| rule.max).max().unwrap_or(0)
}

/// Returns the fleet with the numbers that metrics want at `at`, each as a window of its target.
pub fn with_levels<'f>(fleet: Cow<'f, Fleet>, levels: &Levels, at: Minute) -> Cow<'f, Fleet> {
    let mut fleet = fleet;
    for index in 0..fleet.targets.len() {
        let Some(target) = fleet.targets.get(index).filter(|target| !target.backlogs.is_empty()) else {
            continue;
        };
        let level = levels.targets.get(&target.id).filter(|level| level.number > 0);
        let Some(level) = level.filter(|level| level.is_known(at.epoch())) else { continue };
        // The schedule adds the spare ones.
        let wanted = level.number.min(most(target)).saturating_sub(target.spare).max(1);
        let until = (level.at + KEPT + END_STEP - 1).div_euclid(END_STEP) * END_STEP;
        let since = Minute::from_epoch(level.since);
        let once = Opening::Once(since.instant(), TimeDelta::minutes(until - level.since));
        let window = Window::new("backlog", chrono_tz::UTC, once, wanted);
        if let Some(target) = fleet.to_mut().targets.get_mut(index) {
            target.windows.push(window);
        }
    }
    fleet
}

#[cfg(test)]
mod tests;
