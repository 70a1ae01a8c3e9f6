//! The shards of large ticks that are being served or were served.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::future::{is_future, later};

/// The time for which a shard is recorded. Above the longest delay of a delivery: EventBridge and Lambda stop after two
/// minutes each, see `template.yaml`.
const SHARDS_LIVE: TimeDelta = TimeDelta::hours(1);
/// The maximum number of shards in a document. An hour with a hundred shards a minute has about 400 in each of 16
/// documents.
pub(super) const MOST_SHARDS: usize = 1_000;

/// The shards that a delivery serves. Another delivery of a shard skips it. They are spread over several documents,
/// because all shards of a tick arrive at the same moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shards {
    /// The deliveries by [`Shard::id`](crate::domain::shard::Shard::id).
    pub taken: BTreeMap<String, Taken>,
}

/// The delivery that serves a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The instant at which it began.
    pub at: DateTime<Utc>,
    /// A random number of this delivery. It identifies a write whose answer was lost.
    pub by: u32,
}

impl Taken {
    /// Returns true if the entry counts: it is neither too old nor in the future.
    fn lives(&self, now: DateTime<Utc>) -> bool {
        later(self.at, SHARDS_LIVE) > now && !is_future(self.at, now)
    }
}

impl Shards {
    /// Returns the name of a shard's document: `shards-` and the first digit of its id.
    pub fn document(id: &str) -> String {
        format!("shards-{}", id.get(..1).unwrap_or_default())
    }

    /// Assigns a shard to the delivery `by`. Returns false if another delivery has it. Drops entries that are too old.
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

    /// Removes the assignment of a shard that the delivery `by` did not serve.
    pub fn give_back(&mut self, id: &str, by: u32) {
        self.taken.retain(|known, taken| known != id || taken.by != by);
    }
}
