//! Shards in the records: which were put on the bus, and which were served.

use std::sync::{MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::debug;

use super::failures::StoreFailures;
use super::{READ_WITHIN, StoreHealth, TakenShard, TickPlanner, WRITE_WITHIN};
use crate::domain::fleet::Fleet;
use crate::domain::handed_out::{self, HandedOut, NotAdmitted};
use crate::domain::records::Shards;
use crate::domain::shard::Shard;
use crate::service::store::{Durability, before};

impl TickPlanner {
    /// Records shards that are about to be put on the bus, so that their receivers admit them. A failure is logged, and
    /// the shards are put on the bus nevertheless: their receivers can probably not read the records either.
    pub async fn record_shards(&self, shards: &[Shard], now: DateTime<Utc>) {
        let (Durability::Durable, Some(first)) = (self.durability(), shards.first()) else { return };
        let ids = handed_out::ids(shards);
        let record = |handed_out: &mut HandedOut| handed_out.note(&ids, now);
        let document = HandedOut::document(first.tick);
        let recorded = before(Instant::now() + READ_WITHIN, self.documents().update(&document, record)).await;
        if let Err(unavailable) = recorded {
            let mut failures = StoreFailures::default();
            failures.add(unavailable, "shards on the bus are not recorded, and may be refused");
            // The tick counts the unavailable store because of its own reads.
            let _ = failures.log();
        }
    }

    /// Admits a shard: with a durable store one that was recorded by [`TickPlanner::record_shards`], otherwise at most
    /// as many per minute as `fleet` can need.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub async fn admit_shard(
        &self,
        shard: &Shard,
        fleet: &Fleet,
        now: DateTime<Utc>,
    ) -> Result<(), NotAdmitted> {
        let id = shard.id();
        if self.durability() == Durability::Durable {
            let document = HandedOut::document(shard.tick);
            let reading = self.documents().read::<HandedOut>(&document);
            match before(Instant::now() + READ_WITHIN, reading).await {
                Ok(handed_out) if handed_out.has(&id, now) => return Ok(()),
                Ok(_) => return Err(NotAdmitted::NotHandedOut),
                // `take_shard` follows, and logs and counts the unavailable store.
                Err(unavailable) => debug!(%unavailable, "the records of handed out shards cannot be read"),
            }
        }
        // A repeated delivery: nothing is sent for it.
        if self.shards().taken.contains_key(&id) {
            return Ok(());
        }
        let most = handed_out::most_a_minute(fleet);
        let mut per_minute = self.per_minute.lock().unwrap_or_else(PoisonError::into_inner);
        if per_minute.admit(most, now) { Ok(()) } else { Err(NotAdmitted::TooMany(most)) }
    }

    /// Takes the shard with this id; none when it was taken before. When the store is unavailable, the memory of this
    /// process decides.
    pub async fn take_shard(&self, id: &str, now: DateTime<Utc>) -> (Option<TakenShard>, StoreHealth) {
        let by = rand::random();
        if !self.shards().take(id, by, now) {
            return (None, StoreHealth::Sound);
        }
        let mut failures = StoreFailures::default();
        let first = match self.durability() {
            Durability::Volatile => true,
            Durability::Durable => {
                let take = |shards: &mut Shards| shards.take(id, by, now);
                let document = Shards::document(id);
                let taken = self.documents().update(&document, take);
                before(Instant::now() + READ_WITHIN, taken).await.unwrap_or_else(|unavailable| {
                    failures.add(unavailable, "the shard may be served twice");
                    true
                })
            }
        };
        (first.then(|| TakenShard { id: id.to_owned(), by }), failures.log())
    }

    /// Releases a shard without sent pings, so that another delivery can serve it.
    pub async fn release_shard(&self, TakenShard { id, by }: &TakenShard) -> StoreHealth {
        self.shards().give_back(id, *by);
        let mut failures = StoreFailures::default();
        if self.durability() == Durability::Durable {
            let release = |shards: &mut Shards| shards.give_back(id, *by);
            let document = Shards::document(id);
            let released = self.documents().update(&document, release);
            if let Err(unavailable) = before(Instant::now() + WRITE_WITHIN, released).await {
                failures.add(unavailable, "the shard counts as served");
            }
        }
        failures.log()
    }

    fn shards(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
