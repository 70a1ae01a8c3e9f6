//! The minute in which the most pings fall due.

use crate::domain::fleet::Target;
use crate::domain::schedule::{Minute, segments};

/// How far ahead is looked, in minutes: a month, so that what happens at the end of one is seen.
const AHEAD: i64 = 31 * 24 * 60;

/// The minute in which the most pings fall due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// The first such minute.
    pub minute: Minute,
    /// The pings that fall due in it.
    pub pings: u64,
    /// How many targets they are for.
    pub targets: usize,
    /// Which of the targets has the most of them.
    pub largest: usize,
}

/// The peak of `targets` in the month from `now`; none when nothing falls due. Each target comes with a number of the
/// caller's.
pub fn peak(targets: &[(usize, &Target)], now: Minute) -> Option<Peak> {
    let mut sums = vec![0_u64; usize::try_from(AHEAD).unwrap_or(0)];
    for (_, target) in targets {
        for (minute, pings) in due(target, now) {
            if let Some(sum) = usize::try_from(minute - now.epoch()).ok().and_then(|at| sums.get_mut(at)) {
                *sum = sum.saturating_add(pings);
            }
        }
    }
    // The first of the highest: `max_by_key` would give the last.
    let (at, pings) = sums.into_iter().enumerate().rev().max_by_key(|(_, sum)| *sum)?;
    let minute = now.plus(i64::try_from(at).unwrap_or(0));
    let mut there: Vec<(u64, usize)> = Vec::new();
    for (index, target) in targets {
        let found = due(target, now).find(|(due, _)| *due == minute.epoch());
        there.extend(found.map(|(_, pings)| (pings, *index)));
    }
    // Of several that are as large, the first.
    let (_, largest) = there.iter().rev().max_by_key(|(pings, _)| *pings).copied()?;
    Some(Peak { minute, pings, targets: there.len(), largest })
}

/// The epoch minutes at which the target is due, and the pings of each.
fn due(target: &Target, now: Minute) -> impl Iterator<Item = (i64, u64)> {
    let interval = i64::from(target.interval_minutes.max(1));
    let phase = i64::from(target.phase_minutes);
    segments(target, now, now.plus(AHEAD)).into_iter().flat_map(move |segment| {
        let (from, until) = (segment.from.epoch(), segment.until.epoch());
        let first = from + (-(from + phase)).rem_euclid(interval);
        let beats = (first..until).step_by(usize::try_from(interval).unwrap_or(1));
        // A segment that has one round more than beats begins with a rise.
        let risen = segment.rounds > u64::try_from(beats.clone().count()).unwrap_or(u64::MAX);
        let rise = risen.then_some(from).into_iter();
        rise.chain(beats).map(move |minute| (minute, u64::from(segment.target)))
    })
}
