//! The additions of one tick, shard or request to the history.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::{Row, Rows};
use crate::domain::coverage::{Found, Look};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::tick::TickReport;

/// The additions of one tick, shard or request to the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// A random number. An observation is written again when the answer to its write was lost.
    pub write: u64,
    /// The time of the rounds.
    pub at: DateTime<Utc>,
    /// The rounds and the capacity.
    pub rows: Rows,
    /// The observations of coverage; `None` if nothing is judged by it.
    pub looks: Option<BTreeMap<Identity, Look>>,
    /// False for deployments: their looks count only if no shards serve the targets meanwhile, which do not know them.
    pub is_scheduled: bool,
}

impl Observed {
    /// Creates what `report` adds at the time `at`. `is_look` is true for ticks, shards and deployments, by whose rounds
    /// minutes of windows are judged; rounds of requests and of operators may want another number.
    pub fn new(report: &TickReport, fleet: &Fleet, at: DateTime<Utc>, write: u64, is_look: bool) -> Self {
        let mut rows = Rows::new();
        let mut add = |id: &Identity, row: Row| {
            if row != Row::default() {
                rows.entry(id.clone()).or_default().add(&row);
            }
        };
        for round in &report.rounds {
            add(&round.id, Row::of_round(round).unwrap_or_default());
        }
        for left in report.unfinished.iter().filter(|left| left.reason.may_have_sent()) {
            add(&left.id, Row::of_unanswered(left.pings));
        }
        for capacity in &report.capacity {
            add(&capacity.id, Row::of_capacity(capacity));
        }
        Self { write, at, rows, looks: is_look.then(|| looks(report, fleet)), is_scheduled: true }
    }

    /// Returns true if nothing was sent, and nothing is judged.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.looks.is_none()
    }
}

/// Returns what a report shows of the targets.
fn looks(report: &TickReport, fleet: &Fleet) -> BTreeMap<Identity, Look> {
    let targets: HashMap<&Identity, &Target> =
        fleet.targets.iter().map(|target| (&target.id, target)).collect();
    let mut looks = BTreeMap::new();
    let rounds = report.rounds.iter().filter_map(|round| {
        let target = targets.get(&round.id)?;
        Some((&round.id, Look::at_round(round, target)?))
    });
    let unanswered = report.unfinished.iter().filter(|left| left.reason.may_have_sent());
    let unanswered = unanswered.filter_map(|left| {
        let serves_minutes = i64::from(targets.get(&left.id)?.interval_minutes.max(1));
        Some((&left.id, Look { reached: None, found: Found::Unknown, is_capped: false, serves_minutes }))
    });
    let capacity = report.capacity.iter().filter_map(|capacity| {
        let strategy = targets.get(&capacity.id)?.strategy;
        // While it is not available, pings may serve the target instead.
        let decides = capacity.whole() > 0 && (!strategy.may_ping() || capacity.is_available());
        (strategy.is_capacity() && decides).then(|| (&capacity.id, Look::at_capacity(capacity)))
    });
    for (id, look) in rounds.chain(unanswered).chain(capacity) {
        looks.insert(id.clone(), look);
    }
    looks
}
