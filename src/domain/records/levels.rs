//! The numbers of environments that metrics want, each with the minute since which it is wanted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::domain::backlog::Readings;
use crate::domain::calendar::{Opening, Window};
use crate::domain::fleet::Fleet;
use crate::domain::function::Identity;
use crate::domain::schedule::Minute;

/// The minutes for which a number counts without a new reading.
const KEPT: i64 = 5;

/// The numbers that metrics want.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// The number by target.
    #[serde(default, with = "keyed")]
    pub targets: BTreeMap<Identity, Level>,
}

/// A number of environments that metrics want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The number, at least 1.
    pub number: u32,
    /// The minute since the epoch from which at least this number is wanted.
    pub since: i64,
    /// The minute since the epoch in which it was last read.
    pub at: i64,
}

impl Levels {
    /// Takes over the readings at `at`. A target is due in the minute in which its number rises.
    pub fn note(&mut self, readings: &Readings, at: Minute) {
        let at = at.epoch();
        let is_known = |level: &Level| level.since <= level.at && (at - KEPT..=at).contains(&level.at);
        self.targets.retain(|id, level| readings.contains_key(id) && is_known(level));
        for (id, reading) in readings {
            if reading.number == 0 {
                self.targets.remove(id);
                continue;
            }
            let held = self.targets.get(id).filter(|level| level.number >= reading.number);
            let since = held.map_or(at, |level| level.since);
            self.targets.insert(id.clone(), Level { number: reading.number, since, at });
        }
    }
}

/// Returns the fleet with the numbers that metrics want at `at`, each as a window of its target.
pub fn with_levels<'f>(fleet: Cow<'f, Fleet>, levels: &Levels, at: Minute) -> Cow<'f, Fleet> {
    let mut fleet = fleet;
    for index in 0..fleet.targets.len() {
        let Some(target) = fleet.targets.get(index).filter(|target| !target.backlogs.is_empty()) else {
            continue;
        };
        let Some(level) = levels.targets.get(&target.id).filter(|level| level.at <= at.epoch()) else {
            continue;
        };
        let wanted = level.number.saturating_sub(target.spare).max(1);
        let since = Minute::from_epoch(level.since);
        let length = TimeDelta::minutes(level.at + KEPT - level.since);
        let window = Window::new("backlog", chrono_tz::UTC, Opening::Once(since.instant(), length), wanted);
        if let Some(target) = fleet.to_mut().targets.get_mut(index) {
            target.windows.push(window);
        }
    }
    fleet
}
