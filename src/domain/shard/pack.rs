//! The packing of rounds into bins: each bin is a shard, or the part of the tick that its own process serves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;

use crate::domain::preflight::{Pool, Room};

/// A round to be packed.
#[derive(Debug, Clone)]
pub struct Item {
    /// The most pings that it has in flight.
    pub pings: u32,
    /// Its size in an event.
    pub bytes: usize,
    /// The concurrency that it shares with other rounds; `None` if it is unknown.
    pub room: Option<Room>,
    /// The groups with which it is packed if they fit, the larger one first.
    pub bonds: [Option<u32>; 2],
}

/// The capacity of a bin.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// The maximum number of pings in flight, at least 1.
    pub pings: u32,
    /// The maximum size, at least 1.
    pub bytes: usize,
}

/// Packed rounds, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The bins.
    pub bins: Vec<Vec<usize>>,
    /// The rounds that are in no bin: few processes may share their room, and together they are too large for one.
    pub rest: Vec<usize>,
    /// The number of processes that divide the room of each round.
    pub shares: Vec<NonZeroU32>,
    /// The most pings that are in flight together, in all bins.
    pub in_flight: u64,
}

/// Rounds that belong in one bin.
struct Bundle {
    /// The most pings in flight.
    pings: u32,
    bytes: usize,
    rounds: Vec<usize>,
}

/// A bin that is being filled.
struct Bin {
    pings: u32,
    bytes: usize,
    rounds: Vec<usize>,
}

/// Packs rounds by first-fit decreasing. A round is never split: one above the capacity is alone in its bin.
///
/// Rounds that do not fit into their room together are divided into as many bundles as fill the room at this capacity,
/// but no more than the room has place for with the largest of its rounds. Each process with some of them uses an equal
/// part of the room. The reserved concurrency of a function is not divided. The same rounds in the same order give the
/// same bins.
///
/// Groups are packed as one if they fit into a bin, and into half of an event, so that of two events at least one is
/// half full.
pub fn pack(items: &[Item], capacity: Capacity) -> Packed {
    let mut packed = Packed {
        bins: Vec::new(),
        rest: Vec::new(),
        shares: vec![NonZeroU32::MIN; items.len()],
        in_flight: 0,
    };
    let mut pools: HashMap<&Pool, (u32, Vec<usize>)> = HashMap::new();
    let mut single = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match &item.room {
            Some(room) => {
                let (limit, rounds) = pools.entry(&room.pool).or_insert((room.limit, Vec::new()));
                *limit = room.limit.min(*limit);
                rounds.push(index);
            }
            None => single.push(index),
        }
    }
    let mut pools: Vec<_> = pools.into_iter().collect();
    pools.sort_by_key(|(_, (_, rounds))| rounds.first().copied());
    let mut bundles = Vec::new();
    for (pool, (limit, rounds)) in pools {
        let pings: u64 = rounds.iter().map(|index| u64::from(items[*index].pings)).sum();
        if pings <= u64::from(limit) {
            single.extend(rounds);
            continue;
        }
        packed.in_flight += u64::from(limit);
        let number = number(pool, limit, items, &rounds, capacity);
        let divided = divide(items, rounds, number, limit, capacity);
        bundles.extend(divided.into_iter().map(|bundle| (pool, bundle)));
    }
    single.sort_unstable();
    let fits = |unit: &Bundle| unit.pings <= capacity.pings && unit.bytes <= capacity.bytes / 2;
    packed.in_flight += single.iter().map(|index| u64::from(items[*index].pings)).sum::<u64>();
    bundles.sort_by_key(|(_, bundle)| Reverse(bundle.pings));
    let mut units = units(items, single, 0, &fits);
    units.sort_by_key(|unit| (Reverse(unit.pings), unit.rounds.first().copied()));

    let mut bins: Vec<Bin> = Vec::new();
    let mut processes: HashMap<&Pool, HashSet<Option<usize>>> = HashMap::new();
    let mut divided = Vec::new();
    for (pool, bundle) in bundles {
        divided.extend(bundle.rounds.iter().map(|index| (*index, pool)));
        let process = if bundle.bytes > capacity.bytes {
            packed.rest.extend(bundle.rounds);
            None
        } else {
            Some(put(&mut bins, 0, bundle, capacity))
        };
        processes.entry(pool).or_default().insert(process);
    }
    for (index, pool) in divided {
        let number = processes.get(pool).and_then(|processes| u32::try_from(processes.len()).ok());
        packed.shares[index] = number.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    }
    // Bins only fill up: a bin without room for one round has none for the next of the same size.
    let (mut size, mut first) = (u32::MAX, 0);
    for unit in units {
        if unit.rounds.len() > 1 {
            put(&mut bins, 0, unit, capacity);
            continue;
        }
        if unit.pings < size {
            (size, first) = (unit.pings, 0);
        }
        first = put(&mut bins, first, unit, capacity);
    }
    packed.bins = bins.into_iter().map(|bin| bin.rounds).collect();
    packed
}

/// Returns the number of bundles for a room that is too small for all of its rounds: lower than their number.
fn number(pool: &Pool, limit: u32, items: &[Item], rounds: &[usize], capacity: Capacity) -> NonZeroU32 {
    let largest = rounds.iter().map(|index| items[*index].pings).max().unwrap_or(1).max(1);
    let bytes: usize = rounds.iter().map(|index| items[*index].bytes).sum();
    let of_bytes = u32::try_from(bytes.div_ceil(capacity.bytes)).unwrap_or(u32::MAX);
    let most = match pool {
        Pool::Account(..) => limit / largest,
        Pool::Function(_) => 1,
    };
    NonZeroU32::new(limit.div_ceil(capacity.pings).max(of_bytes).min(most)).unwrap_or(NonZeroU32::MIN)
}

/// Divides rounds into bundles of about as many pings.
fn divide(
    items: &[Item],
    rounds: Vec<usize>,
    number: NonZeroU32,
    limit: u32,
    capacity: Capacity,
) -> Vec<Bundle> {
    let empty = || (0_u64, Bundle { pings: 0, bytes: 0, rounds: Vec::new() });
    let mut bundles: Vec<(u64, Bundle)> = std::iter::repeat_with(empty).take(number.get() as usize).collect();
    let fits = |unit: &Bundle| unit.pings <= limit / number && unit.bytes <= capacity.bytes / 2;
    let mut units = units(items, rounds, 0, &fits);
    units.sort_by_key(|unit| (Reverse(unit.pings), unit.rounds.first().copied()));
    for unit in units {
        if let Some((pings, bundle)) = bundles.iter_mut().min_by_key(|(pings, _)| *pings) {
            *pings += u64::from(unit.pings);
            bundle.pings = u32::try_from(*pings).unwrap_or(u32::MAX).min(limit / number);
            bundle.bytes += unit.bytes;
            bundle.rounds.extend(unit.rounds);
        }
    }
    bundles.into_iter().map(|(_, bundle)| bundle).collect()
}

/// Divides rounds into those that are packed as one: the groups of a level that fit, those of the next level in the
/// others, and single rounds.
fn units(items: &[Item], rounds: Vec<usize>, level: usize, fits: &impl Fn(&Bundle) -> bool) -> Vec<Bundle> {
    let (mut units, mut groups) = (Vec::new(), BTreeMap::<u32, Vec<usize>>::new());
    for index in rounds {
        match items[index].bonds.get(level) {
            Some(Some(group)) => groups.entry(*group).or_default().push(index),
            _ => units.push(bundle(items, vec![index])),
        }
    }
    for group in groups.into_values() {
        let group = bundle(items, group);
        match group.rounds.len() == 1 || fits(&group) {
            true => units.push(group),
            false => units.extend(self::units(items, group.rounds, level + 1, fits)),
        }
    }
    units
}

fn bundle(items: &[Item], rounds: Vec<usize>) -> Bundle {
    let pings = rounds.iter().fold(0_u32, |sum, index| sum.saturating_add(items[*index].pings));
    Bundle { pings, bytes: rounds.iter().map(|index| items[*index].bytes).sum(), rounds }
}

/// Puts a bundle into the first bin from `from` on that has room for it, or into a new one. Returns the index of the
/// bin.
fn put(bins: &mut Vec<Bin>, from: usize, bundle: Bundle, capacity: Capacity) -> usize {
    let Bundle { pings, bytes, rounds } = bundle;
    let fits = |bin: &Bin| bin.pings >= pings && bin.bytes >= bytes;
    let index = from + bins.iter().skip(from).take_while(|bin| !fits(bin)).count();
    match bins.get_mut(index) {
        Some(bin) => {
            bin.pings -= pings;
            bin.bytes -= bytes;
            bin.rounds.extend(rounds);
        }
        None => bins.push(Bin {
            pings: capacity.pings.saturating_sub(pings),
            bytes: capacity.bytes.saturating_sub(bytes),
            rounds,
        }),
    }
    index
}
