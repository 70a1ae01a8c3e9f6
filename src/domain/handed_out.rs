//! The shards that warmd put on the bus. Shards of other senders are refused, because they could ping the fleet again.
//!
//! With a state store every shard is recorded before it is put on the bus, and a shard that is not recorded is refused.
//! Without a state store, an environment serves at most as many shards a minute as the configuration requires.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::fleet::Fleet;
use super::schedule::Minute;
use super::shard::{ROUNDS_PER_HALF_EVENT, Shard};

/// The time for which a shard is recorded. Above the longest delay of a delivery: EventBridge and Lambda stop after two
/// minutes each, see `template.yaml`, and a dead letter that is older than an hour is not served.
const KEPT_FOR: TimeDelta = TimeDelta::hours(1);
/// The maximum number of shards in a document. An hour with 100 shards a minute has about 400 in each of 16 documents.
const MAX_SHARDS: usize = 2_000;
/// The number of documents. Ticks of the same minute share one.
const DOCUMENTS: i64 = 16;

/// A document of shards that were handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOut {
    /// The instants by [`Shard::id`].
    pub shards: BTreeMap<String, DateTime<Utc>>,
}

impl HandedOut {
    /// Returns the name of the document for shards of a tick.
    pub fn document(tick: DateTime<Utc>) -> String {
        format!("handed-out-{:x}", Minute::of(tick).epoch().rem_euclid(DOCUMENTS))
    }

    /// Adds shards that are handed out at `now`, and drops the oldest.
    pub fn note(&mut self, ids: &[String], now: DateTime<Utc>) {
        self.shards.retain(|_, at| is_kept(*at, now));
        self.shards.extend(ids.iter().map(|id| (id.clone(), now)));
        let excess = self.shards.len().saturating_sub(MAX_SHARDS);
        if excess > 0 {
            let mut by_age: Vec<(DateTime<Utc>, String)> =
                self.shards.iter().map(|(id, at)| (*at, id.clone())).collect();
            by_age.sort();
            by_age.iter().take(excess).for_each(|(_, id)| _ = self.shards.remove(id));
        }
    }

    /// Returns true if a shard was handed out within the last hour.
    pub fn has(&self, id: &str, now: DateTime<Utc>) -> bool {
        self.shards.get(id).is_some_and(|at| is_kept(*at, now))
    }
}

/// Returns true if the record is less than an hour away from `now`, in either direction: clocks may differ.
fn is_kept(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(at).abs() < KEPT_FOR
}

/// The number of shards that were served in the current minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerMinute {
    minute: Option<Minute>,
    served: u64,
}

impl PerMinute {
    /// Counts one more in the minute of `now`. Returns false if there have been `most` already.
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

/// Returns the most shards of a tick of this configuration: of any two shards at least one is half full, by pings or by
/// bytes. Rounds that wait for room have fewer pings in flight, and thus fewer shards.
pub fn most_a_minute(fleet: &Fleet) -> u64 {
    let pings: u64 = fleet.targets.iter().map(|target| u64::from(target.highest())).sum();
    let by_pings = 2 * pings / u64::from(fleet.limits.max_in_flight.max(1));
    1 + by_pings + fleet.targets.len() as u64 / ROUNDS_PER_HALF_EVENT
}

/// The reason why a shard is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The shard is not recorded.
    #[error("no tick of the last hour created this shard")]
    NotHandedOut,
    /// There is no state store, and the limit for one minute is reached.
    #[error(
        "expected at most {0} shards a minute for this configuration; set WARMD_STATE to have the \
         shards of each tick recorded and any other refused"
    )]
    TooMany(u64),
}

/// Returns the ids of shards.
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
    fn a_shard_is_recorded_for_an_hour() {
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
    fn a_document_is_limited_and_shared_by_ticks_of_a_minute() {
        let mut handed_out = HandedOut::default();
        handed_out.note(&["0-first".to_owned()], at("09:00:00"));
        let ids: Vec<String> = (0..MAX_SHARDS).map(|index| format!("{index}")).collect();
        handed_out.note(&ids, at("09:00:01"));
        assert_eq!((handed_out.shards.len(), handed_out.has("0-first", at("09:00:02"))), (MAX_SHARDS, false));
        assert_eq!(HandedOut::document(at("09:00:00")), HandedOut::document(at("09:00:59")));
        assert_ne!(HandedOut::document(at("09:00:00")), HandedOut::document(at("09:01:00")));
        assert!(HandedOut::document(DateTime::<Utc>::MIN_UTC).starts_with("handed-out-"));
    }

    #[test]
    fn every_minute_has_the_same_limit() {
        let mut per_minute = PerMinute::default();
        let admitted = (0..5).filter(|_| per_minute.admit(3, at("09:00:30"))).count();
        assert_eq!((admitted, per_minute.admit(3, at("09:01:00"))), (3, true));
    }
}
