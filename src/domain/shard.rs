//! Shards: parts of a tick that is too large for one invocation. Each is put on the bus for another instance of the
//! same Lambda.

use std::num::NonZeroU32;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::function::Identity;
use super::pipeline::Bonds;
use super::preflight::Room;
use pack::{Capacity, Item};

mod pack;

/// The maximum number of attempts at a round: one in its tick or shard, and further ones in new shards.
pub const MAX_ATTEMPTS: u32 = 3;
/// The version of the schema.
pub(super) const VERSION: u32 = 1;
/// The maximum size in bytes of a shard's `detail`. An entry of PutEvents, like the payload of an asynchronous
/// invocation, may have 256 KiB in every region (1 MB in some), envelope included.
const MAX_BYTES: usize = 240_000;
/// An upper estimate of the bytes of a `detail` without its rounds.
const ENVELOPE_BYTES: usize = 400;
/// The maximum size in bytes of the key `share` of a round, with its comma.
const SHARE_BYTES: usize = r#","share":4294967295"#.len();
/// The number of rounds that always fit into half of an event: 119,800 bytes of at most 755 each.
pub(super) const ROUNDS_PER_HALF_EVENT: u64 = 158;

/// A part of a tick: whole rounds that one process serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The tick's `now`.
    pub tick: DateTime<Utc>,
    /// The hash of the configuration that the tick was planned with.
    pub config: Option<String>,
    /// The number of the attempt at these rounds, 1 to [`MAX_ATTEMPTS`].
    pub attempt: u32,
    /// The request id of the invocation of an operator's tick: the same minute may be requested again. `None` for ticks
    /// of the schedule.
    pub run: Option<String>,
    /// The rounds, at least one.
    pub rounds: Vec<ShardRound>,
}

/// A round of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRound {
    /// The identity of the target.
    pub id: Identity,
    /// The desired number of environments.
    pub concurrency: NonZeroU32,
    /// The number of processes that divide the concurrency of the round's account among their rounds.
    pub share: NonZeroU32,
    /// The age of the metric of the target's backlog in seconds.
    pub metric_age: Option<u32>,
    /// True if the environments work off the backlog of a request.
    pub has_backlog: bool,
    /// The number of environments to which requests or metrics of pipelines raise it, of several pipelines the highest;
    /// `None` if windows want as many.
    pub raised_to: Option<u32>,
    /// The number that a budget allows, with the budget; `None` without a limit. It does not change with another attempt.
    pub budget: Option<(BudgetOf, NonZeroU32)>,
    /// The number of rounds that are in flight together: one for each version behind a weighted alias. It is not in the
    /// event: the receiver knows the versions itself.
    pub rounds: NonZeroU32,
}

/// The budget that limits a round, as its shard names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetOf {
    /// That of the fleet.
    Fleet,
    /// That of the owner of the target.
    Owner,
    /// That of the target's function.
    Function,
}

impl BudgetOf {
    /// Every budget.
    pub const ALL: [Self; 3] = [Self::Fleet, Self::Owner, Self::Function];

    /// Returns the key of the number in an event.
    pub fn key(self) -> &'static str {
        match self {
            Self::Fleet => "budget_fleet",
            Self::Owner => "budget_owner",
            Self::Function => "budget_function",
        }
    }
}

/// The parts of a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The shards. Each fits into an event.
    pub shards: Vec<Shard>,
    /// The rounds that are in no shard: few processes may share the concurrency of their account, and together they are
    /// too large for an event.
    pub rest: Vec<ShardRound>,
    /// The most pings that are in flight together.
    pub in_flight: u64,
}

impl ShardRound {
    /// A round for tests that shares no room.
    #[cfg(test)]
    pub(crate) fn example(id: Identity, concurrency: NonZeroU32) -> Self {
        let share = NonZeroU32::MIN;
        let (metric_age, raised_to, rounds) = (None, None, NonZeroU32::MIN);
        Self { id, concurrency, share, metric_age, has_backlog: false, raised_to, budget: None, rounds }
    }

    pub(super) fn json(&self) -> Value {
        let mut round = json!({
            "function": self.id.label(),
            "region": self.id.region,
            "concurrency": self.concurrency,
        });
        if let Some(tenant) = &self.id.tenant {
            round["tenant"] = json!(tenant.as_str());
        }
        if self.share > NonZeroU32::MIN {
            round["share"] = json!(self.share);
        }
        if let Some(metric_age) = self.metric_age {
            round["metric_age"] = json!(metric_age);
        }
        if self.has_backlog {
            round["backlog"] = json!(true);
        }
        if let Some(raised_to) = self.raised_to {
            round["raised_to"] = json!(raised_to);
        }
        if let Some((of, to)) = self.budget {
            round[of.key()] = json!(to);
        }
        round
    }

    /// Returns the size of the round in a `detail`, with its comma, and its pings in flight.
    fn item(&self, room: Option<Room>, bonds: &Bonds) -> Item {
        let (pings, bytes) =
            (self.concurrency.saturating_mul(self.rounds).get(), self.json().to_string().len() + 1);
        let bonds = [bonds.pipeline(&self.id), bonds.stage(&self.id)];
        match &room {
            Some(Room { limit, .. }) => {
                Item { pings: pings.min(*limit), bytes: bytes + SHARE_BYTES, room, bonds }
            }
            None => Item { pings, bytes, room, bonds },
        }
    }
}

impl Shard {
    /// Returns the `detail` of the event that carries the shard.
    pub fn detail(&self) -> Value {
        let mut detail = json!({
            "version": VERSION,
            "tick": self.tick.to_rfc3339_opts(SecondsFormat::Secs, true),
            "config": self.config,
            "attempt": self.attempt,
            "rounds": self.rounds.iter().map(ShardRound::json).collect::<Vec<_>>(),
        });
        if let Some(run) = &self.run {
            detail["run"] = json!(run);
        }
        detail
    }

    /// Returns the id of the shard: the first 128 bits of the SHA-256 of its `detail` without the ages of metrics, in
    /// hexadecimal. It is the same in every delivery, and different for every other shard and attempt. A repeated run of
    /// the tick may read other ages.
    pub fn id(&self) -> String {
        let mut shard = self.clone();
        shard.rounds.iter_mut().for_each(|round| round.metric_age = None);
        let digest = Sha256::digest(shard.detail().to_string().as_bytes());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Packs rounds of the same tick and attempt, each with the concurrency that it shares with others if that is known,
    /// into shards of at most `max_in_flight` pings in flight. A larger round is alone in its shard. The rounds of a
    /// pipeline are in one shard if they fit, otherwise at least those of each stage if they fit.
    ///
    /// Rounds that do not fit into their common room go to a few shards only, which divide the room: `share` of each is
    /// multiplied by the number of these shards. The same rounds in the same order give the same shards.
    pub fn parts(&self, rounds: Vec<(ShardRound, Option<Room>)>, bonds: &Bonds, max_in_flight: u32) -> Parts {
        let (mut rounds, items): (Vec<ShardRound>, Vec<Item>) = rounds
            .into_iter()
            .map(|(round, room)| {
                let item = round.item(room, bonds);
                (round, item)
            })
            .unzip();
        let capacity = Capacity { pings: max_in_flight.max(1), bytes: MAX_BYTES - ENVELOPE_BYTES };
        let packed = pack::pack(&items, capacity);
        for (round, share) in rounds.iter_mut().zip(&packed.shares) {
            round.share = round.share.saturating_mul(*share);
        }
        let of = |bin: &Vec<usize>| bin.iter().map(|index| rounds[*index].clone()).collect();
        Parts {
            shards: packed.bins.iter().map(|bin| Self { rounds: of(bin), ..self.clone() }).collect(),
            rest: of(&packed.rest),
            in_flight: packed.in_flight,
        }
    }

    /// Returns the shards for the next attempt at rounds of this one that were not released; `None` after
    /// [`MAX_ATTEMPTS`], or without rounds. See [`Shard::parts`].
    pub fn retry(
        &self,
        rounds: Vec<(ShardRound, Option<Room>)>,
        bonds: &Bonds,
        max_in_flight: u32,
    ) -> Option<Parts> {
        let attempt = self.attempt + 1;
        let retry = Self { attempt, ..self.clone() };
        (attempt <= MAX_ATTEMPTS && !rounds.is_empty()).then(|| retry.parts(rounds, bonds, max_in_flight))
    }
}

#[cfg(test)]
mod tests;
