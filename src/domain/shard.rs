//! Shards: parts of a tick that is too large for one invocation. Each is put on the bus for another instance of the
//! same Lambda.

use std::num::NonZeroU32;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::function::Identity;

/// The maximum number of attempts at a round: one in its tick or shard, and further ones in new shards.
pub const MAX_ATTEMPTS: u32 = 3;
/// The version of the schema.
pub(super) const VERSION: u32 = 1;
/// The maximum size in bytes of a shard's `detail`. An entry of PutEvents, like the payload of an asynchronous
/// invocation, may have 256 KiB in every region (1 MB in some), envelope included.
const MAX_BYTES: usize = 240_000;
/// An upper estimate of the bytes of a `detail` without its rounds.
const ENVELOPE_BYTES: usize = 400;

/// A part of a tick: whole rounds that fit in flight together.
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
}

impl ShardRound {
    pub(super) fn json(&self) -> Value {
        let mut round = json!({
            "function": self.id.label(),
            "region": self.id.region,
            "concurrency": self.concurrency,
        });
        if let Some(tenant) = &self.id.tenant {
            round["tenant"] = json!(tenant.as_str());
        }
        round
    }

    /// Returns the bytes of the round in a `detail`, with its comma.
    fn bytes(&self) -> usize {
        self.json().to_string().len() + 1
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

    /// Returns the id of the shard: the first 128 bits of the SHA-256 of its `detail`, in hexadecimal. It is the same
    /// in every delivery, and different for every other shard and attempt.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.detail().to_string().as_bytes());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Packs `rounds` of the same tick and attempt into shards, see [`pack`].
    pub fn parts(&self, rounds: &[ShardRound], max_in_flight: u32) -> Vec<Self> {
        let parts = pack(rounds, max_in_flight, self.tick, self.config.as_deref());
        parts.into_iter().map(|part| Self { rounds: part.rounds, ..self.clone() }).collect()
    }

    /// Returns the shard for the next attempt at rounds of this one that were not released; `None` after
    /// [`MAX_ATTEMPTS`], or without rounds.
    pub fn retry(&self, rounds: Vec<ShardRound>) -> Option<Self> {
        let attempt = self.attempt + 1;
        (attempt <= MAX_ATTEMPTS && !rounds.is_empty()).then(|| Self { attempt, rounds, ..self.clone() })
    }
}

/// Packs the rounds of a tick into shards by first-fit decreasing: at most `max_in_flight` pings, and the bytes of one
/// event, in each. A round is never split: one above the cap is alone in its shard.
///
/// The same rounds in the same order give the same shards. `attempt` is 1 for a tick's own rounds.
pub fn pack(
    rounds: &[ShardRound],
    max_in_flight: u32,
    tick: DateTime<Utc>,
    config: Option<&str>,
) -> Vec<Shard> {
    struct Bin {
        room: u32,
        bytes: usize,
        rounds: Vec<ShardRound>,
    }
    let mut sorted: Vec<&ShardRound> = rounds.iter().collect();
    sorted.sort_by_key(|round| std::cmp::Reverse(round.concurrency));
    let mut bins: Vec<Bin> = Vec::new();
    // Bins only fill up: a bin without room for one round has none for the next of the same size.
    let (mut size, mut first) = (u32::MAX, 0);
    for round in sorted {
        if round.concurrency.get() < size {
            (size, first) = (round.concurrency.get(), 0);
        }
        let bytes = round.bytes();
        let fits = |bin: &Bin| bin.room >= size && bin.bytes + bytes <= MAX_BYTES;
        first += bins.iter().skip(first).take_while(|bin| !fits(bin)).count();
        match bins.get_mut(first) {
            Some(bin) => {
                bin.room -= size;
                bin.bytes += bytes;
                bin.rounds.push(round.clone());
            }
            None => bins.push(Bin {
                room: max_in_flight.saturating_sub(size),
                bytes: ENVELOPE_BYTES + bytes,
                rounds: vec![round.clone()],
            }),
        }
    }
    let shard = |rounds| Shard { tick, config: config.map(str::to_owned), attempt: 1, run: None, rounds };
    bins.into_iter().map(|bin| shard(bin.rounds)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::function::{FunctionRef, Region};

    fn round(name: &str, concurrency: u32) -> ShardRound {
        let id = FunctionRef::parse(name).unwrap().identity(Region::parse("eu-west-2").unwrap());
        ShardRound { id, concurrency: NonZeroU32::new(concurrency).unwrap() }
    }

    fn rounds(sizes: &[u32]) -> Vec<ShardRound> {
        sizes.iter().enumerate().map(|(index, size)| round(&format!("f{index}"), *size)).collect()
    }

    fn sizes(shards: &[Shard]) -> Vec<Vec<u32>> {
        let sizes = |shard: &Shard| shard.rounds.iter().map(|round| round.concurrency.get()).collect();
        shards.iter().map(sizes).collect()
    }

    const TICK: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn small_rounds_fill_the_room_left_by_large_ones() {
        let shards = pack(&rounds(&[1, 5, 3, 8, 2, 7, 4]), 10, TICK, Some("abc"));
        assert_eq!(sizes(&shards), [vec![8, 2], vec![7, 3], vec![5, 4, 1]]);
        assert!(shards.iter().all(|shard| shard.attempt == 1 && shard.config.as_deref() == Some("abc")));
    }

    #[test]
    fn a_round_above_the_cap_has_a_shard_of_its_own() {
        assert_eq!(sizes(&pack(&rounds(&[12, 10, 1]), 10, TICK, None)), [vec![12], vec![10], vec![1]]);
        assert_eq!(pack(&[], 10, TICK, None), []);
    }

    #[test]
    fn no_detail_is_larger_than_an_event_may_be() {
        let long = format!("{}:{}", "f".repeat(64), "q".repeat(128));
        let shards = pack(&vec![round(&long, 1); 3_000], 100_000, TICK, Some(&"c".repeat(64)));
        assert!(shards.len() > 1);
        assert!(shards.iter().all(|shard| shard.detail().to_string().len() <= MAX_BYTES));
        assert!(shards[0].detail().to_string().len() > MAX_BYTES - 1_000, "almost all of it is used");
    }

    #[test]
    fn ten_thousand_functions_of_five_make_a_hundred_full_shards() {
        let shards = pack(&rounds(&[5; 10_000]), 500, TICK, None);
        assert_eq!(shards.len(), 100);
        assert!(shards.iter().all(|shard| shard.rounds.len() == 100));
    }

    #[test]
    fn rounds_that_were_not_released_are_handed_on_twice() {
        let first = pack(&rounds(&[3, 2]), 10, TICK, None).remove(0);
        let second = first.retry(vec![first.rounds[1].clone()]).unwrap();
        assert_eq!((second.attempt, second.rounds.len(), second.tick), (2, 1, TICK));
        let third = second.retry(second.rounds.clone()).unwrap();
        assert_eq!(third.retry(third.rounds.clone()), None);
        assert_eq!(first.retry(Vec::new()), None);
    }

    #[test]
    fn only_another_delivery_has_the_same_id() {
        let shard = pack(&rounds(&[3, 2]), 10, TICK, Some("abc")).remove(0);
        assert_eq!(shard.id(), shard.clone().id());
        assert_eq!(shard.id().len(), 32);
        let run = |id: &str| Shard { run: Some(id.to_owned()), ..shard.clone() };
        let others = [
            shard.clone(),
            shard.retry(shard.rounds.clone()).unwrap(),
            Shard { tick: TICK + chrono::TimeDelta::minutes(1), ..shard.clone() },
            Shard { rounds: vec![shard.rounds[0].clone()], ..shard.clone() },
            run("request-1"),
            run("request-2"),
        ];
        let ids: std::collections::BTreeSet<String> = others.iter().map(Shard::id).collect();
        assert_eq!(ids.len(), others.len());
    }

    #[test]
    fn parts_are_of_the_same_tick_attempt_and_run() {
        let whole =
            Shard { run: Some("request-1".to_owned()), ..pack(&rounds(&[3, 2]), 10, TICK, None).remove(0) };
        let retry = whole.retry(whole.rounds.clone()).unwrap();
        let parts = retry.parts(&retry.rounds, 3);
        assert_eq!(sizes(&parts), [vec![3], vec![2]]);
        assert!(parts.iter().all(|part| (part.attempt, part.run.as_deref()) == (2, Some("request-1"))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_round_is_in_one_shard_and_none_is_overfull(
            given in prop::collection::vec(1_u32..=60, 0..200), cap in 60_u32..=120,
        ) {
            let shards = pack(&rounds(&given), cap, TICK, None);
            let mut packed: Vec<String> =
                shards.iter().flat_map(|shard| &shard.rounds).map(|round| round.id.label()).collect();
            let mut names: Vec<String> = rounds(&given).iter().map(|round| round.id.label()).collect();
            packed.sort();
            names.sort();
            prop_assert_eq!(packed, names);
            let total: u32 = given.iter().sum();
            for shard in &shards {
                prop_assert!(shard.rounds.iter().map(|round| round.concurrency.get()).sum::<u32>() <= cap);
            }
            // Two bins that are at most half full would be one.
            prop_assert!(shards.len() as u32 <= 1 + 2 * total / cap);
        }
    }
}
