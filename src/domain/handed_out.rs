//! The shards that warmd itself has put on the bus. Without the check, any sender could repeat the pings of the fleet.
//!
//! With a state store the planner notes a shard before it puts it on the bus, and a shard that is not noted is refused.
//! Without one an environment serves no more shards a minute than the configuration can need.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::fleet::Fleet;
use super::schedule::Minute;
use super::shard::Shard;

/// The time that a shard stays noted. Above the greatest delay of a delivery: EventBridge and Lambda give up after two
/// minutes each, as `template.yaml` has it, and a dead letter is sent again within the hour or not at all.
const NOTED_FOR: TimeDelta = TimeDelta::hours(1);
/// The most shards in a document. An hour of 100 shards a minute makes some 400 in each of 16 documents.
const MOST_NOTED: usize = 2_000;
/// The number of documents. Ticks of one minute share one.
const DOCUMENTS: i64 = 16;
/// Rounds that surely fit into half of an event, see [`super::shard::pack`]: 120,000 bytes of 400 each.
const ROUNDS_PER_HALF_EVENT: u64 = 300;

/// Shards that were handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOut {
    /// When, by [`Shard::id`].
    pub shards: BTreeMap<String, DateTime<Utc>>,
}

impl HandedOut {
    /// The name of the document for shards of a tick.
    pub fn document(tick: DateTime<Utc>) -> String {
        format!("handed-out-{:x}", Minute::of(tick).epoch().rem_euclid(DOCUMENTS))
    }

    /// Notes shards that are handed out at `now`, and drops the oldest.
    pub fn note(&mut self, ids: &[String], now: DateTime<Utc>) {
        self.shards.retain(|_, at| lives(*at, now));
        self.shards.extend(ids.iter().map(|id| (id.clone(), now)));
        let excess = self.shards.len().saturating_sub(MOST_NOTED);
        if excess > 0 {
            let mut by_age: Vec<(DateTime<Utc>, String)> =
                self.shards.iter().map(|(id, at)| (*at, id.clone())).collect();
            by_age.sort();
            by_age.iter().take(excess).for_each(|(_, id)| _ = self.shards.remove(id));
        }
    }

    /// Returns true if a shard was handed out within the last hour.
    pub fn has(&self, id: &str, now: DateTime<Utc>) -> bool {
        self.shards.get(id).is_some_and(|at| lives(*at, now))
    }
}

/// Whatever the clocks of two environments say: they may differ by less than an hour.
fn lives(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(at).abs() < NOTED_FOR
}

/// Shards that were served in the present minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerMinute {
    minute: Option<Minute>,
    served: u64,
}

impl PerMinute {
    /// Counts one more in the minute of `now`; `false` when it would be one above `most`.
    pub fn admit(&mut self, most: u64, now: DateTime<Utc>) -> bool {
        let minute = Some(Minute::of(now));
        if self.minute != minute {
            *self = Self { minute, served: 0 };
        }
        if self.served >= most {
            return false;
        }
        self.served += 1;
        true
    }
}

/// The most shards into which a tick of this configuration can be cut: of two shards at least one is half full, of
/// pings or of bytes.
pub fn most_a_minute(fleet: &Fleet) -> u64 {
    let pings: u64 = fleet.targets.iter().map(|target| u64::from(target.highest())).sum();
    let by_pings = 2 * pings / u64::from(fleet.limits.max_in_flight.max(1));
    1 + by_pings + fleet.targets.len() as u64 / ROUNDS_PER_HALF_EVENT
}

/// A shard that is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// It is not noted.
    #[error("no tick of the last hour has handed it out")]
    NotHandedOut,
    /// There is nothing that it could be noted in.
    #[error(
        "expected at most {0} a minute, which is what this configuration can need; with a state store \
         (WARMD_STATE) a shard that no tick has handed out is refused instead"
    )]
    TooMany(u64),
}

/// The ids of shards.
pub fn ids(shards: &[Shard]) -> Vec<String> {
    shards.iter().map(Shard::id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-20T{time}Z").parse().unwrap()
    }

    #[test]
    fn what_was_handed_out_is_known_for_an_hour() {
        let mut handed_out = HandedOut::default();
        handed_out.note(&["a".to_owned(), "b".to_owned()], at("09:00:00"));
        assert!(handed_out.has("a", at("09:00:00")) && handed_out.has("b", at("09:59:59")));
        assert!(!handed_out.has("c", at("09:00:00")) && !handed_out.has("a", at("10:00:00")));
        handed_out.note(&["c".to_owned()], at("10:00:00"));
        assert_eq!(handed_out.shards.len(), 1, "the others are dropped");
        let mut hostile = HandedOut::default();
        hostile.shards.insert("x".to_owned(), DateTime::<Utc>::MAX_UTC);
        hostile.shards.insert("y".to_owned(), DateTime::<Utc>::MIN_UTC);
        hostile.note(&[], at("09:00:00"));
        assert!(hostile.shards.is_empty());
    }

    #[test]
    fn a_document_is_bounded_and_ticks_of_a_minute_share_one() {
        let mut handed_out = HandedOut::default();
        handed_out.note(&["0-first".to_owned()], at("09:00:00"));
        let ids: Vec<String> = (0..MOST_NOTED).map(|index| format!("{index}")).collect();
        handed_out.note(&ids, at("09:00:01"));
        assert_eq!((handed_out.shards.len(), handed_out.has("0-first", at("09:00:02"))), (MOST_NOTED, false));
        assert_eq!(HandedOut::document(at("09:00:00")), HandedOut::document(at("09:00:59")));
        assert_ne!(HandedOut::document(at("09:00:00")), HandedOut::document(at("09:01:00")));
        assert!(HandedOut::document(DateTime::<Utc>::MIN_UTC).starts_with("handed-out-"));
    }

    #[test]
    fn a_minute_has_a_limit_of_its_own() {
        let mut per_minute = PerMinute::default();
        let admitted = (0..5).filter(|_| per_minute.admit(3, at("09:00:30"))).count();
        assert_eq!((admitted, per_minute.admit(3, at("09:01:00"))), (3, true));
    }
}
