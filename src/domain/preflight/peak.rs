//! The minute in which the most pings are due.

use crate::domain::fleet::Target;
use crate::domain::schedule::{Minute, segments};

/// The period of the search in minutes: a month, which includes monthly windows.
const AHEAD: i64 = 31 * 24 * 60;

/// The minute in which the most pings are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// The minute, the first of several.
    pub minute: Minute,
    /// The pings that are due.
    pub pings: u64,
    /// The number of targets that are due.
    pub targets: usize,
    /// The number of the target with the most pings.
    pub largest: usize,
}

/// Returns the peak of `targets` in the month from `now`, or `None` when nothing is due. The caller numbers the
/// targets.
pub fn peak(targets: &[(usize, &Target)], now: Minute) -> Option<Peak> {
    let mut sums = vec![0_u64; usize::try_from(AHEAD).unwrap_or(0)];
    for (_, target) in targets {
        for (minute, pings) in due(target, now) {
            if let Some(sum) = usize::try_from(minute - now.epoch()).ok().and_then(|at| sums.get_mut(at)) {
                *sum = sum.saturating_add(pings);
            }
        }
    }
    // Reversed for the first maximum, because `max_by_key` returns the last.
    let (at, pings) = sums.into_iter().enumerate().rev().max_by_key(|(_, sum)| *sum)?;
    let minute = now.plus(i64::try_from(at).unwrap_or(0));
    let mut due_then: Vec<(u64, usize)> = Vec::new();
    for (index, target) in targets {
        let found = due(target, now).find(|(due, _)| *due == minute.epoch());
        due_then.extend(found.map(|(_, pings)| (pings, *index)));
    }
    // The first of several.
    let (_, largest) = due_then.iter().rev().max_by_key(|(pings, _)| *pings).copied()?;
    Some(Peak { minute, pings, targets: due_then.len(), largest })
}

/// Returns the epoch minutes at which the target is due, with the pings of each.
fn due(target: &Target, now: Minute) -> impl Iterator<Item = (i64, u64)> {
    let interval = i64::from(target.interval_minutes.max(1));
    let phase = i64::from(target.phase_minutes);
    segments(target, now, now.plus(AHEAD)).into_iter().flat_map(move |segment| {
        let (from, until) = (segment.from.epoch(), segment.until.epoch());
        let first = from + (-(from + phase)).rem_euclid(interval);
        let regular = (first..until).step_by(usize::try_from(interval).unwrap_or(1));
        // A segment with one round more than multiples of the interval begins with a rise.
        let risen = segment.rounds > u64::try_from(regular.clone().count()).unwrap_or(u64::MAX);
        let rise = risen.then_some(from).into_iter();
        rise.chain(regular).map(move |minute| (minute, u64::from(segment.desired)))
    })
}
