//! Shards: the parts of a tick that is too large for one invocation. Each is put on the bus and handled by another
//! instance of the same Lambda.

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::events::{EventError, Fields, WARM_SHARD, place};
use super::function::{FunctionRef, Region};

/// How often a round is tried in all: first in the tick or shard it belongs to, then handed on when time ran out.
pub const MAX_ATTEMPTS: u32 = 3;
/// The version of the schema.
const VERSION: u32 = 1;
/// The most bytes of a shard's `detail`. An entry of PutEvents, like the payload of an asynchronous invocation, has
/// been allowed 256 KiB from the start (1 MB since, but not everywhere); the envelope needs some of it.
const MAX_BYTES: usize = 240_000;
/// The bytes of a `detail` without its rounds, generously.
const ENVELOPE_BYTES: usize = 400;

/// A part of a tick: whole rounds that fit in flight together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The tick's `now`.
    pub tick: DateTime<Utc>,
    /// The hash of the configuration that the tick was planned on.
    pub config: Option<String>,
    /// Which attempt at these rounds this is, 1 to [`MAX_ATTEMPTS`].
    pub attempt: u32,
    /// The request id of the invocation by which an operator asked for the tick: the same minute may be asked for
    /// again. None for the schedule's own ticks.
    pub run: Option<String>,
    /// The rounds, at least one.
    pub rounds: Vec<ShardRound>,
}

/// A round of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRound {
    /// The function, as it is configured.
    pub function: FunctionRef,
    /// The region.
    pub region: Region,
    /// Environments wanted, at least 1.
    pub concurrency: u32,
}

impl ShardRound {
    fn json(&self) -> Value {
        json!({
            "function": self.function.to_string(),
            "region": self.region,
            "concurrency": self.concurrency,
        })
    }

    /// The bytes of the round in a `detail`, with its comma.
    fn bytes(&self) -> usize {
        self.json().to_string().len() + 1
    }
}

impl Shard {
    /// The `detail` of the event that carries the shard.
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

    /// What the shard is known by: the same in every delivery, and another for every other shard and attempt. The
    /// first 128 bits of the SHA-256 of its `detail`, in hexadecimal.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.detail().to_string().as_bytes());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The shards that `rounds` of the same tick and attempt are packed into, see [`pack`].
    pub fn parts(&self, rounds: &[ShardRound], max_in_flight: u32) -> Vec<Self> {
        let parts = pack(rounds, max_in_flight, self.tick, self.config.as_deref());
        parts.into_iter().map(|part| Self { rounds: part.rounds, ..self.clone() }).collect()
    }

    /// The shard that hands on those of this one's rounds that were not released; none when they have been tried
    /// [`MAX_ATTEMPTS`] times, or when there are none.
    pub fn retry(&self, rounds: Vec<ShardRound>) -> Option<Self> {
        let attempt = self.attempt + 1;
        (attempt <= MAX_ATTEMPTS && !rounds.is_empty()).then(|| Self { attempt, rounds, ..self.clone() })
    }

    pub(super) fn read(mut fields: Fields<'_>) -> Result<Self, EventError> {
        let version = fields.number("version", VERSION, VERSION);
        fields.required("version", version);
        let tick = fields.instant("tick");
        let tick = fields.required("tick", tick);
        let config = fields.text("config");
        let attempt = fields.number("attempt", 1, MAX_ATTEMPTS);
        let attempt = fields.required("attempt", attempt);
        let run = fields.text("run");
        let (mut rounds, mut named) = (Vec::new(), HashSet::new());
        match fields.value("rounds").and_then(Value::as_array) {
            Some(given) if !given.is_empty() => {
                for (index, round) in given.iter().enumerate() {
                    match read_round(round) {
                        Ok(round) if named.insert(round.function.identity(round.region)) => {
                            rounds.push(round)
                        }
                        Ok(_) => fields.problem(format!("`rounds[{index}]`: the target has a round already")),
                        Err(error) => {
                            fields.problem(format!("`rounds[{index}]`: {}", error.problems.join("; ")));
                        }
                    }
                }
            }
            _ => fields.problem("`rounds` must be a list of at least one round"),
        }
        let (tick, attempt) = fields.finish(tick.zip(attempt))?;
        Ok(Self { tick, config, attempt, run, rounds })
    }
}

fn read_round(round: &Value) -> Result<ShardRound, EventError> {
    let mut fields = Fields::of_value(WARM_SHARD, "rounds", round)?;
    let (function, region, concurrency) = place(&mut fields);
    let region = fields.required("region", region);
    let ((function, region), concurrency) = fields.finish(function.zip(region).zip(concurrency))?;
    Ok(ShardRound { function, region, concurrency })
}

/// Packs the rounds of a tick into as few shards as first-fit decreasing finds: at most `max_in_flight` pings, and
/// as many bytes as an event may have, in each. A round is never split: one above the cap gets a shard of its own.
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
    // Bins only fill up: what was too full for one round is too full for the next of the same size.
    let (mut size, mut first) = (u32::MAX, 0);
    for round in sorted {
        if round.concurrency < size {
            (size, first) = (round.concurrency, 0);
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
    use crate::domain::events::{LambdaEvent, SOURCE};

    fn round(name: &str, concurrency: u32) -> ShardRound {
        let function = FunctionRef::parse(name).unwrap();
        ShardRound { function, region: Region::parse("eu-west-2").unwrap(), concurrency }
    }

    fn rounds(sizes: &[u32]) -> Vec<ShardRound> {
        sizes.iter().enumerate().map(|(index, size)| round(&format!("f{index}"), *size)).collect()
    }

    fn sizes(shards: &[Shard]) -> Vec<Vec<u32>> {
        let sizes = |shard: &Shard| shard.rounds.iter().map(|round| round.concurrency).collect();
        shards.iter().map(sizes).collect()
    }

    const TICK: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn small_rounds_fill_the_room_that_large_ones_leave() {
        let shards = pack(&rounds(&[1, 5, 3, 8, 2, 7, 4]), 10, TICK, Some("abc"));
        assert_eq!(sizes(&shards), [vec![8, 2], vec![7, 3], vec![5, 4, 1]]);
        assert!(shards.iter().all(|shard| shard.attempt == 1 && shard.config.as_deref() == Some("abc")));
    }

    #[test]
    fn a_round_above_the_cap_stands_alone_and_whole() {
        assert_eq!(sizes(&pack(&rounds(&[12, 10, 1]), 10, TICK, None)), [vec![12], vec![10], vec![1]]);
        assert_eq!(pack(&[], 10, TICK, None), []);
    }

    #[test]
    fn no_detail_is_larger_than_an_event_may_be() {
        let long = format!("{}:{}", "f".repeat(64), "q".repeat(128));
        let shards = pack(&vec![round(&long, 1); 3_000], 100_000, TICK, Some(&"c".repeat(64)));
        assert!(shards.len() > 1);
        assert!(shards.iter().all(|shard| shard.detail().to_string().len() <= MAX_BYTES));
        assert!(shards[0].detail().to_string().len() > MAX_BYTES - 1_000, "and that much is used");
    }

    #[test]
    fn ten_thousand_functions_of_five_make_a_hundred_full_shards() {
        let shards = pack(&rounds(&[5; 10_000]), 500, TICK, None);
        assert_eq!(shards.len(), 100);
        assert!(shards.iter().all(|shard| shard.rounds.len() == 100));
    }

    #[test]
    fn what_was_not_released_is_handed_on_twice() {
        let first = pack(&rounds(&[3, 2]), 10, TICK, None).remove(0);
        let second = first.retry(vec![first.rounds[1].clone()]).unwrap();
        assert_eq!((second.attempt, second.rounds.len(), second.tick), (2, 1, TICK));
        let third = second.retry(second.rounds.clone()).unwrap();
        assert_eq!(third.retry(third.rounds.clone()), None);
        assert_eq!(first.retry(Vec::new()), None);
    }

    #[test]
    fn the_event_tells_the_same_shard() {
        let shard = pack(&[round("nlp:live", 10), round("nlp:$LATEST", 2)], 500, TICK, Some("abc")).remove(0);
        for shard in [shard.clone(), Shard { run: Some("request-1".to_owned()), ..shard }] {
            let event = json!({ "source": SOURCE, "detail-type": WARM_SHARD, "detail": shard.detail() });
            assert_eq!(LambdaEvent::parse(&event), Ok(LambdaEvent::Shard { at: None, shard }));
        }
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
                shards.iter().flat_map(|shard| &shard.rounds).map(|round| round.function.to_string()).collect();
            let mut names: Vec<String> = rounds(&given).iter().map(|round| round.function.to_string()).collect();
            packed.sort();
            names.sort();
            prop_assert_eq!(packed, names);
            let total: u32 = given.iter().sum();
            for shard in &shards {
                prop_assert!(shard.rounds.iter().map(|round| round.concurrency).sum::<u32>() <= cap);
            }
            // Two bins at most half full would have been one.
            prop_assert!(shards.len() as u32 <= 1 + 2 * total / cap);
        }
    }
}
