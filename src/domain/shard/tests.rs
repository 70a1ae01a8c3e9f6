use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::domain::fleet::{Fleet, OnRequest, Target};
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::handed_out::most_a_minute;
use crate::domain::pipeline::{Bonds, Pipeline};
use crate::domain::preflight::Pool;

const TICK: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn tick() -> Shard {
    Shard { tick: TICK, config: Some("abc".to_owned()), attempt: 1, run: None, rounds: Vec::new() }
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn id(name: &str) -> Identity {
    FunctionRef::parse(name).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

fn round(name: &str, concurrency: u32) -> ShardRound {
    ShardRound::example(id(name), number(concurrency))
}

/// Rounds of these sizes, without a room.
fn rounds(sizes: &[u32]) -> Vec<(ShardRound, Option<Room>)> {
    sizes.iter().enumerate().map(|(index, size)| (round(&format!("f{index}"), *size), None)).collect()
}

/// Rounds of these sizes in one room.
fn in_room(room: &Room, sizes: &[u32]) -> Vec<(ShardRound, Option<Room>)> {
    rounds(sizes).into_iter().map(|(round, _)| (round, Some(room.clone()))).collect()
}

fn account(name: &str, limit: u32) -> Room {
    Room { pool: Pool::Account(Region::parse("eu-west-2").unwrap(), Some(name.to_owned())), limit }
}

fn function(limit: u32) -> Room {
    Room { pool: Pool::Function(id("reserved")), limit }
}

fn sizes(shards: &[Shard]) -> Vec<Vec<u32>> {
    let sizes = |shard: &Shard| shard.rounds.iter().map(|round| round.concurrency.get()).collect();
    shards.iter().map(sizes).collect()
}

/// The sizes of shards, with the share that their rounds have in common.
fn shared(parts: &Parts) -> Vec<(Vec<u32>, u32)> {
    let share = |shard: &Shard| {
        let shares: BTreeSet<u32> = shard.rounds.iter().map(|round| round.share.get()).collect();
        assert_eq!(shares.len(), 1, "{shard:?}");
        shares.into_iter().max().unwrap()
    };
    sizes(&parts.shards).into_iter().zip(parts.shards.iter().map(share)).collect()
}

fn bytes(shard: &Shard) -> usize {
    shard.detail().to_string().len()
}

#[test]
fn small_rounds_fill_the_room_left_by_large_ones() {
    let parts = tick().parts(rounds(&[1, 5, 3, 8, 2, 7, 4]), &Bonds::default(), 10);
    assert_eq!(sizes(&parts.shards), [vec![8, 2], vec![7, 3], vec![5, 4, 1]]);
    assert!(parts.shards.iter().all(|shard| shard.attempt == 1 && shard.config.as_deref() == Some("abc")));
    assert_eq!((parts.rest, parts.in_flight), (Vec::new(), 30));
}

#[test]
fn a_round_above_the_cap_has_a_shard_of_its_own() {
    assert_eq!(
        sizes(&tick().parts(rounds(&[12, 10, 1]), &Bonds::default(), 10).shards),
        [vec![12], vec![10], vec![1]]
    );
    assert_eq!(tick().parts(Vec::new(), &Bonds::default(), 10).shards, []);
}

#[test]
fn no_detail_is_larger_than_an_event_may_be() {
    let long = format!("{}:{}", "f".repeat(64), "q".repeat(128));
    let shard = Shard { config: Some("c".repeat(64)), run: Some("r".repeat(36)), ..tick() };
    let shards = shard.parts(vec![(round(&long, 1), None); 3_000], &Bonds::default(), 100_000).shards;
    assert!(shards.len() > 1);
    assert!(shards.iter().all(|shard| bytes(shard) <= MAX_BYTES));
    assert!(bytes(&shards[0]) > MAX_BYTES - 1_000, "almost all of it is used");
}

#[test]
fn the_age_of_a_metric_is_not_part_of_the_id() {
    let of = |round| Shard { rounds: vec![round], ..tick() }.id();
    let read = |age| ShardRound { metric_age: Some(age), ..round("f", 1) };
    assert_eq!(of(read(1)), of(read(61)));
    assert_ne!(of(read(1)), of(ShardRound { raised_to: Some(1), ..read(1) }));
}

#[test]
fn half_of_an_event_has_place_for_the_longest_rounds() {
    let arn = format!(
        "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:{}:{}",
        "f".repeat(64),
        "q".repeat(128)
    );
    let tenant = Tenant::parse(&"t".repeat(Tenant::MOST_CHARS)).ok();
    let (metric_age, raised_to) = (Some(u32::MAX), Some(u32::MAX));
    let id = Identity { tenant, ..id(&arn) };
    let longest = ShardRound { id, metric_age, has_backlog: true, raised_to, ..round("f", 100_000) };
    let bytes = longest.item(Some(account("a", 1)), &Bonds::default()).bytes;
    assert!(bytes as u64 * ROUNDS_PER_HALF_EVENT <= (MAX_BYTES - ENVELOPE_BYTES) as u64 / 2, "{bytes}");
    let shared = ShardRound { share: number(u32::MAX), ..longest };
    assert_eq!(shared.json().to_string().len() + 1, bytes);
}

#[test]
fn ten_thousand_functions_of_five_make_a_hundred_full_shards() {
    for room in [None, Some(account("a", 50_000))] {
        let rounds = rounds(&[5; 10_000]).into_iter().map(|(round, _)| (round, room.clone())).collect();
        let shards = tick().parts(rounds, &Bonds::default(), 500).shards;
        assert_eq!(shards.len(), 100);
        assert!(shards.iter().flat_map(|shard| &shard.rounds).all(|round| round.share.get() == 1));
        assert!(shards.iter().all(|shard| shard.rounds.len() == 100));
    }
}

#[test]
fn rounds_above_their_room_are_in_as_many_shards_as_fill_it() {
    let parts =
        |room: Room, given: &[u32]| shared(&tick().parts(in_room(&room, given), &Bonds::default(), 10));
    assert_eq!(parts(account("a", 12), &[4, 3, 3, 2]), [(vec![4, 3, 3], 1), (vec![2], 1)], "all fit");
    assert_eq!(parts(account("a", 13), &[4, 4, 4, 2]), [(vec![4, 4], 2), (vec![4, 2], 2)]);
    assert_eq!(
        parts(account("a", 11), &[4, 3, 3, 2]),
        [(vec![4, 2, 3, 3], 1)],
        "one process almost fills it"
    );
    assert_eq!(parts(account("a", 10), &[4, 3, 3, 2]), [(vec![4, 3, 3, 2], 1)], "one process fills the room");
    assert_eq!(parts(account("a", 30), &[9; 6]), [(vec![9, 9], 3), (vec![9, 9], 3), (vec![9, 9], 3)]);
    assert_eq!(parts(account("a", 30), &[16, 9, 9]), [(vec![16, 9, 9], 1)], "no two processes have place");
    assert_eq!(parts(function(30), &[9; 6]), [(vec![9; 6], 1)], "a function's room is not divided");
    // A round is lowered to its room.
    assert_eq!(parts(account("a", 20), &[70, 9]), [(vec![70, 9], 1)]);
}

#[test]
fn rooms_are_divided_independently() {
    let (a, b) = (account("a", 20), account("b", 6));
    let given = [in_room(&a, &[5; 6]), in_room(&b, &[2; 5]), rounds(&[3, 1])].concat();
    let parts = tick().parts(given, &Bonds::default(), 10);
    assert_eq!(parts.in_flight, 20 + 6 + 4);
    assert_eq!(sizes(&parts.shards), [vec![5, 5, 5], vec![5, 5, 5], vec![2, 2, 2, 2, 2, 3, 1]]);
    let shares = |shard: &Shard| shard.rounds.iter().map(|round| round.share.get()).collect::<BTreeSet<_>>();
    assert_eq!(parts.shards.iter().map(shares).collect::<Vec<_>>(), [[2].into(), [2].into(), [1].into()]);
}

#[test]
fn rounds_that_fit_into_no_event_are_left() {
    let large = round(&"f".repeat(64), 1);
    let given = |limit| vec![(large.clone(), Some(account("a", limit))); 5_000];
    let divided = tick().parts(given(100), &Bonds::default(), 500);
    assert!(
        divided.shards.len() == 3 && divided.rest.is_empty(),
        "three events are needed, one for the pings"
    );
    let parts = tick().parts([given(1), rounds(&[2])].concat(), &Bonds::default(), 500);
    assert_eq!((parts.rest.len(), sizes(&parts.shards), parts.in_flight), (5_000, vec![vec![2]], 3));
}

#[test]
fn rounds_that_were_not_released_are_handed_on_twice() {
    let first = tick().parts(rounds(&[3, 2]), &Bonds::default(), 10).shards.remove(0);
    let again = |shard: &Shard, room: Option<&Room>| {
        let rounds = shard.rounds.iter().map(|round| (round.clone(), room.cloned())).collect();
        shard.retry(rounds, &Bonds::default(), 20)
    };
    let second = again(&first, None).unwrap().shards.remove(0);
    assert_eq!((second.attempt, second.rounds.len(), second.tick), (2, 2, TICK));
    let third = again(&second, None).unwrap().shards.remove(0);
    assert_eq!(again(&third, None), None);
    assert_eq!(first.retry(Vec::new(), &Bonds::default(), 10), None);

    // The room of a shard is not exceeded by its later attempts.
    let shard = tick().parts(in_room(&account("a", 80), &[5; 30]), &Bonds::default(), 20).shards.remove(0);
    assert_eq!(shared(&again(&shard, Some(&account("a", 20))).unwrap()), [(vec![5; 8], 4)]);
    // With a lower `max_in_flight` the part of the room is divided further.
    let lower = |(round, _)| (ShardRound { share: number(4), ..round }, Some(account("a", 20)));
    let lower = shard.retry(rounds(&[5; 6]).into_iter().map(lower).collect(), &Bonds::default(), 10);
    assert_eq!(shared(&lower.unwrap()), [(vec![5; 3], 8), (vec![5; 3], 8)]);
}

#[test]
fn only_another_delivery_has_the_same_id() {
    let shard = tick().parts(rounds(&[3, 2]), &Bonds::default(), 10).shards.remove(0);
    assert_eq!(shard.id(), shard.clone().id());
    assert_eq!(shard.id().len(), 32);
    let run = |id: &str| Shard { run: Some(id.to_owned()), ..shard.clone() };
    let mut shared = shard.clone();
    shared.rounds[0].share = number(2);
    let others = [
        shard.clone(),
        shared,
        shard.retry(rounds(&[3, 2]), &Bonds::default(), 10).unwrap().shards.remove(0),
        Shard { tick: TICK + chrono::TimeDelta::minutes(1), ..shard.clone() },
        Shard { rounds: vec![shard.rounds[0].clone()], ..shard.clone() },
        run("request-1"),
        run("request-2"),
    ];
    let ids: BTreeSet<String> = others.iter().map(Shard::id).collect();
    assert_eq!(ids.len(), others.len());
}

#[test]
fn parts_are_of_the_same_tick_attempt_and_run() {
    let whole = Shard { run: Some("request-1".to_owned()), ..tick() };
    let parts = whole.retry(rounds(&[3, 2]), &Bonds::default(), 3).unwrap().shards;
    assert_eq!(sizes(&parts), [vec![3], vec![2]]);
    assert!(parts.iter().all(|part| (part.attempt, part.run.as_deref()) == (2, Some("request-1"))));
}

/// Rounds of random sizes. Some share rooms of accounts and functions.
fn given() -> impl Strategy<Value = Vec<(ShardRound, Option<Room>)>> {
    let rooms = prop::collection::vec(1_u32..=150, 4);
    (prop::collection::vec((1_u32..=60, 0_usize..6), 0..200), rooms).prop_map(|(given, limits)| {
        let rooms =
            [account("a", limits[0]), account("b", limits[1]), account("c", limits[2]), function(limits[3])];
        let round = |(index, (size, room)): (usize, &(u32, usize))| {
            (round(&format!("f{index}"), *size), rooms.get(*room).cloned())
        };
        given.iter().enumerate().map(round).collect()
    })
}

/// The most pings of a room that a process with these rounds has in flight: a round that is larger than its part of the
/// room is sent alone.
fn most(room: &Room, rounds: &[&ShardRound]) -> u32 {
    let pings = |round: &&&ShardRound| round.concurrency.get().min(room.limit);
    let total: u32 = rounds.iter().map(|round| pings(&round)).sum();
    let part = rounds.iter().map(|round| room.limit / round.share).max().unwrap_or(0);
    total.min(part.max(rounds.iter().map(|round| pings(&round)).max().unwrap_or(0)))
}

/// Returns pipelines of `length` functions each, with stages of two parts.
fn pipelines(given: &[(ShardRound, Option<Room>)], length: usize) -> Vec<Pipeline> {
    let ids: Vec<Identity> = given.iter().map(|(round, _)| round.id.clone()).collect();
    let pipeline = |functions: &[Identity]| {
        Pipeline::example("p", &functions.chunks(2).map(<[_]>::to_vec).collect::<Vec<_>>())
    };
    ids.chunks(length).map(pipeline).collect()
}

#[test]
fn a_pipeline_is_in_one_shard_or_at_least_each_stage() {
    let given = rounds(&[4, 4, 3, 3, 2, 2]);
    let bonds = |length| Bonds::of(&pipelines(&given, length));
    let sizes = |length, cap| sizes(&tick().parts(given.clone(), &bonds(length), cap).shards);
    assert_eq!(sizes(6, 18), [vec![4, 4, 3, 3, 2, 2]]);
    assert_eq!(sizes(6, 17), [vec![4, 4, 3, 3], vec![2, 2]], "18 pings in stages of 8, 6 and 4");
    assert_eq!(sizes(2, 10), [vec![4, 4], vec![3, 3, 2, 2]]);
    assert_eq!(sizes(6, 7), [vec![3, 3], vec![4], vec![4], vec![2, 2]], "the first stage does not fit");
    // In a room that is too small for all, the parts stay together where the division allows it.
    let given = in_room(&account("a", 24), &[5, 5, 5, 5, 4, 4]);
    let parts = tick().parts(given.clone(), &Bonds::of(&pipelines(&given, 2)), 12);
    assert_eq!(shared(&parts), [(vec![5, 5, 4, 4], 2), (vec![5, 5], 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn every_round_is_in_one_part_and_rooms_are_not_exceeded(
        given in given(),
        cap in 1_u32..=120,
        length in 1_usize..9,
    ) {
        let bonds = Bonds::of(&pipelines(&given, length));
        let parts = tick().parts(given.clone(), &bonds, cap);
        prop_assert_eq!(&parts, &tick().parts(given.clone(), &bonds, cap), "the same each time");
        for group in given.chunks(length) {
            let pings: u32 = group.iter().map(|(round, _)| round.concurrency.get()).sum();
            let holds = |shard: &&Shard| shard.rounds.iter().any(|round| group.iter().any(|(of, _)| of.id == round.id));
            let is_free = group.iter().all(|(_, room)| room.is_none());
            prop_assert!(pings > cap || !is_free || parts.shards.iter().filter(holds).count() == 1);
        }
        let mut packed: Vec<&ShardRound> =
            parts.shards.iter().flat_map(|shard| &shard.rounds).chain(&parts.rest).collect();
        packed.sort_by_key(|round| &round.id);
        let mut all: Vec<&ShardRound> = given.iter().map(|(round, _)| round).collect();
        all.sort_by_key(|round| &round.id);
        let plain = |rounds: &[&ShardRound]| -> Vec<_> {
            rounds.iter().map(|round| (round.id.clone(), round.concurrency)).collect()
        };
        prop_assert_eq!(plain(&packed), plain(&all));

        let rooms: HashMap<&Identity, &Room> =
            given.iter().filter_map(|(round, room)| Some((&round.id, room.as_ref()?))).collect();
        let mut in_flight: HashMap<&Pool, (u32, u32)> = HashMap::new();
        for process in parts.shards.iter().map(|shard| &shard.rounds).chain([&parts.rest]) {
            let mut of_rooms: HashMap<&Pool, Vec<&ShardRound>> = HashMap::new();
            let mut total = 0;
            for round in process {
                match rooms.get(&round.id) {
                    Some(room) => of_rooms.entry(&room.pool).or_default().push(round),
                    None => total += round.concurrency.get(),
                }
            }
            for (pool, rounds) in &of_rooms {
                let room = rooms[&rounds[0].id];
                let most = most(room, rounds);
                total += most;
                in_flight.entry(*pool).or_insert((0, room.limit)).0 += most;
            }
            let is_of_one_room = of_rooms.values().any(|rounds| rounds.len() == process.len());
            prop_assert!(total <= cap || process.len() == 1 || is_of_one_room, "{total} of {cap}");
        }
        for (pool, (most, limit)) in in_flight {
            prop_assert!(most <= limit, "{pool:?}: {most} of {limit}");
        }
    }

    #[test]
    fn a_configuration_has_no_more_shards_than_are_admitted(
        given in given(),
        cap in 1_u32..=120,
        length in 1_usize..9,
    ) {
        let bonds = Bonds::of(&pipelines(&given, length));
        let target = |(round, _): &(ShardRound, Option<Room>)| {
            let on_request = OnRequest {
                max_concurrency: round.concurrency.get(),
                max_for: std::time::Duration::from_secs(60),
                coalesce: std::time::Duration::from_secs(60),
                hold_for: crate::domain::backlog::DEFAULT_HOLD,
            };
            Target { on_request: Some(on_request), ..Target::example(&round.id.label(), "eu-west-2", Vec::new()) }
        };
        let mut fleet = Fleet::new(given.iter().map(target).collect());
        fleet.limits.max_in_flight = cap;
        let shards = tick().parts(given, &bonds, cap).shards;
        prop_assert!(shards.len() as u64 <= most_a_minute(&fleet), "{} shards", shards.len());
        prop_assert!(shards.iter().all(|shard| bytes(shard) <= MAX_BYTES));
    }
}
