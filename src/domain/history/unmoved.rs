//! Rows that are not in the documents of their days yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, Rows};
use crate::domain::coverage::{ByHour, MOST_FILLED, Watch, advance};
use crate::domain::fleet::Target;
use crate::domain::function::{Identity, Region};
use crate::domain::keyed;
use crate::domain::schedule::Minute;

/// The most rows: ten thousand targets in ten hours. The documents of days are written every five minutes.
const MOST_ROWS: usize = 100_000;
/// The hours within which rows may lie: those of an outage before now, and a day for clocks that are ahead.
const HOURS_BEFORE: i64 = MOST_FILLED / 60 + 48;
const HOURS_AHEAD: i64 = 24;

/// Rows that are not in the documents of their days yet.
///
/// A reader first reads these, and then the documents of the days: an hour of a document that has [`Unmoved::write`]
/// has these rows already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmoved {
    /// The random number under which the rows are added to the documents.
    pub write: u64,
    /// The time of the first of them.
    pub since: DateTime<Utc>,
    hours: BTreeMap<i64, HourRows>,
    /// Outages of many hours, whose rows are made when they are moved.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "keyed::serialize",
        deserialize_with = "keyed::deserialize"
    )]
    gaps: BTreeMap<Identity, Gap>,
}

/// The rows of an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct HourRows(#[serde(serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize")] Rows);

/// Minutes in which nobody served a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    /// The state at the first minute.
    pub(super) watch: Watch,
    /// The epoch minute after the last.
    pub(super) until: i64,
}

impl Gap {
    /// Returns the judged minutes.
    pub(super) fn minutes(&self, target: &Target) -> ByHour {
        advance(Some(&self.watch), target, Minute::from_epoch(self.until), None).1
    }

    /// Returns the epoch hours of the gap.
    fn hours(&self) -> impl Iterator<Item = i64> + use<> {
        let until = Minute::from_epoch(self.until).epoch();
        self.watch.until().max(until - MOST_FILLED).div_euclid(60)..until.saturating_add(59).div_euclid(60)
    }

    /// Returns the judged minutes of an epoch hour.
    fn within(&self, hour: i64, target: &Target) -> Option<Row> {
        let from = self.watch.until().max(hour.saturating_mul(60));
        let until = self.until.min(hour.saturating_add(1).saturating_mul(60));
        let part = Self { watch: self.watch.moved(from), until };
        let minutes = (from < until).then(|| part.minutes(target))?.remove(&hour)?;
        (!minutes.is_empty()).then(|| Row::of_minutes(minutes))
    }
}

impl Unmoved {
    /// Creates the rows of a first write, without any.
    pub(super) fn new(write: u64, since: DateTime<Utc>) -> Self {
        Self { write, since, hours: BTreeMap::new(), gaps: BTreeMap::new() }
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.hours.is_empty() && self.gaps.is_empty()
    }

    /// Returns true if outages of many hours are among them.
    pub(super) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Returns the rows by the hour, in hours since the Unix epoch. Those of outages of many hours are left out.
    pub fn rows(&self) -> impl Iterator<Item = (i64, &Rows)> {
        self.hours.iter().map(|(hour, HourRows(rows))| (*hour, rows))
    }

    /// Returns the number of rows and outages.
    pub(super) fn len(&self) -> usize {
        self.rows().map(|(_, rows)| rows.len()).sum::<usize>() + self.gaps.len()
    }

    /// Adds a row to an epoch hour.
    pub(super) fn add(&mut self, hour: i64, id: &Identity, row: &Row) {
        let HourRows(rows) = self.hours.entry(hour).or_default();
        match rows.get_mut(id) {
            Some(known) => known.add(row),
            None => drop(rows.insert(id.clone(), row.clone())),
        }
    }

    /// Adds an outage. Returns false if the target has another one.
    pub(super) fn add_gap(&mut self, id: &Identity, gap: Gap) -> bool {
        let is_new = !self.gaps.contains_key(id);
        if is_new {
            self.gaps.insert(id.clone(), gap);
        }
        is_new
    }

    /// Drops the rows that are too many, and those far from the present, which a wrong clock or a damaged document has
    /// left. Returns their number.
    pub(super) fn prune(&mut self, now: DateTime<Utc>) -> usize {
        let before = self.len();
        let hour = now.timestamp().div_euclid(3_600);
        self.hours.retain(|at, _| (hour - HOURS_BEFORE..=hour + HOURS_AHEAD).contains(at));
        let latest = Minute::of(now).plus(HOURS_AHEAD * 60).epoch();
        let earliest = Minute::of(now).plus(-HOURS_BEFORE * 60).epoch();
        let is_near = |gap: &Gap| gap.until <= latest && (earliest..gap.until).contains(&gap.watch.until());
        self.gaps.retain(|_, gap| is_near(gap));
        let mut excess = self.len().saturating_sub(MOST_ROWS);
        while excess > 0 {
            let oldest = self.hours.first_entry().map(|mut hour| hour.get_mut().0.pop_first().is_some());
            match oldest {
                Some(true) => excess -= 1,
                Some(false) => drop(self.hours.pop_first()),
                None => {
                    self.gaps.pop_first();
                    excess -= 1;
                }
            }
        }
        before - self.len()
    }

    /// Returns the epoch hours that have rows, by region and epoch day.
    pub fn days(&self) -> BTreeMap<(Region, i64), BTreeSet<i64>> {
        let rows = self.rows().flat_map(|(hour, rows)| rows.keys().map(move |id| (id.region, hour)));
        let gaps = self.gaps.iter().flat_map(|(id, gap)| gap.hours().map(move |hour| (id.region, hour)));
        let mut days: BTreeMap<_, BTreeSet<i64>> = BTreeMap::new();
        for (region, hour) in rows.chain(gaps) {
            days.entry((region, hour.div_euclid(24))).or_default().insert(hour);
        }
        days
    }

    /// Returns the rows of a region in an epoch hour, those of outages included. `targets` are those of the fleet: the
    /// windows of others are unknown.
    pub fn rows_of(&self, region: Region, hour: i64, targets: &HashMap<&Identity, &Target>) -> Rows {
        let mut found = Rows::new();
        if let Some(HourRows(rows)) = self.hours.get(&hour) {
            let own = rows.iter().filter(|(id, _)| id.region == region);
            found.extend(own.map(|(id, row)| (id.clone(), row.clone())));
        }
        for (id, gap) in self.gaps.iter().filter(|(id, _)| id.region == region) {
            let row = targets.get(id).and_then(|target| gap.within(hour, target));
            if let Some(row) = row {
                found.entry(id.clone()).or_default().add(&row);
            }
        }
        found
    }
}
