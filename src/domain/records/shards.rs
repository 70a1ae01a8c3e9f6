//! Which shards of large ticks were taken on.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::future::{is_future, later};

/// The time that a shard is remembered. Above the greatest delay of a delivery: Lambda and EventBridge give up after
/// two minutes each, as `template.yaml` has it.
const SHARDS_LIVE: TimeDelta = TimeDelta::hours(1);
/// The most shards in a document. An hour of a hundred shards a minute makes some 400 in each of 16 documents.
pub(super) const MOST_SHARDS: usize = 1_000;

/// Shards of large ticks that a delivery serves already, so that another delivery skips them. They are spread over
/// several documents, because all shards of a tick are taken on at the same moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shards {
    /// By [`crate::domain::shard::Shard::id`].
    pub taken: BTreeMap<String, Taken>,
}

/// The delivery that serves a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// When.
    pub at: DateTime<Utc>,
    /// A random number of this delivery. It identifies a write whose answer was lost.
    pub by: u32,
}

impl Taken {
    /// Returns true if it is remembered: neither too old nor in the future.
    fn lives(&self, now: DateTime<Utc>) -> bool {
        later(self.at, SHARDS_LIVE) > now && !is_future(self.at, now)
    }
}

impl Shards {
    /// The name of the document that a shard is in: `shards-` and the first digit of its id.
    pub fn document(id: &str) -> String {
        format!("shards-{}", id.get(..1).unwrap_or_default())
    }

    /// Takes a shard on for the delivery `by`; `false` when another delivery has it. Drops what is too old.
    pub fn take(&mut self, id: &str, by: u32, now: DateTime<Utc>) -> bool {
        if let Some(taken) = self.taken.get(id).filter(|taken| taken.lives(now)) {
            return taken.by == by;
        }
        self.taken.retain(|_, taken| taken.lives(now));
        if self.taken.len() >= MOST_SHARDS {
            let oldest = self.taken.iter().min_by_key(|(_, taken)| taken.at).map(|(id, _)| id.clone());
            oldest.map(|oldest| self.taken.remove(&oldest));
        }
        self.taken.insert(id.to_owned(), Taken { at: now, by });
        true
    }

    /// Gives back what the delivery `by` has taken on and not served.
    pub fn give_back(&mut self, id: &str, by: u32) {
        self.taken.retain(|known, taken| known != id || taken.by != by);
    }
}
