//! What `check` warns of: schedules that are allowed and probably not meant.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use chrono::{DateTime, TimeDelta, Utc};

use super::minute::{Minute, shifted};
use crate::domain::calendar::{Occurrence, Window};
use crate::domain::fleet::Target;

/// Something in a target's schedule that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lint {
    /// The window does not open in the next year, and is not open now.
    NeverOpens {
        /// The window's place in the target.
        window: usize,
    },
    /// Both windows are open at the same time somewhere in the next year and want the same, so one of them
    /// does nothing then.
    SameTarget {
        /// The earlier window's place in the target.
        window: usize,
        /// The later window's place in the target.
        other: usize,
        /// The first instant from now at which both are open.
        at: DateTime<Utc>,
    },
    /// The interval is longer than five minutes, and environments have been seen to be gone after six.
    LongInterval {
        /// The interval.
        minutes: u32,
    },
}

type Opens = DateTime<Utc>;
type Closes = DateTime<Utc>;

impl Lint {
    /// Lint is in the order of windows; what is about the function itself comes first.
    fn place(&self) -> Option<usize> {
        match self {
            Self::LongInterval { .. } => None,
            Self::NeverOpens { window } => Some(*window),
            Self::SameTarget { other, .. } => Some(*other),
        }
    }
}

/// Minutes between two rounds up to which environments have been seen to stay: of those idle for 5 minutes
/// 0.3 % were gone, for 6 minutes 40.6 % (measured in January 2021).
const SAFE_INTERVAL_MINUTES: u32 = 5;

const A_YEAR: TimeDelta = TimeDelta::days(366);

/// What to warn of in `target`'s schedule over the year from `now`.
pub fn advise(target: &Target, now: Minute) -> Vec<Lint> {
    let (from, until) = (now.instant(), now.plus(A_YEAR.num_minutes()).instant());
    let mut advice = Vec::new();
    if target.interval_minutes > SAFE_INTERVAL_MINUTES {
        advice.push(Lint::LongInterval { minutes: target.interval_minutes });
    }
    for (window, this) in target.windows.iter().enumerate() {
        if open_stretches(this, from, until).next().is_none() {
            advice.push(Lint::NeverOpens { window });
        }
    }
    let mut alike: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, window) in target.windows.iter().enumerate() {
        alike.entry(window.concurrency).or_default().push(index);
    }
    let alike = alike.values().filter(|alike| alike.len() > 1);
    advice.extend(alike.flat_map(|alike| overlaps(target, alike, from, until)));
    advice.sort_by_key(Lint::place);
    advice
}

/// Which of the windows `alike` are open at the same time in [from, until). The later of two is told, and once only,
/// however many it overlaps with.
///
/// All stretches are gone through once, in the order of their openings, each held against the one of another window
/// that closes last: a function may have thousands of windows, and pairs of them would be millions.
fn overlaps(target: &Target, alike: &[usize], from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Lint> {
    let mut stretches: Vec<_> = alike
        .iter()
        .filter_map(|&index| Some((index, open_stretches(target.windows.get(index)?, from, until))))
        .collect();
    let next = |stretches: &mut Vec<(usize, _)>, place: usize| -> Option<Reverse<(Opens, Closes, usize)>> {
        let (_, stretches) = stretches.get_mut(place)?;
        let next: Occurrence = Iterator::next(stretches)?;
        Some(Reverse((next.opens, next.closes, place)))
    };
    let mut coming: BinaryHeap<_> =
        (0..stretches.len()).filter_map(|place| next(&mut stretches, place)).collect();
    // What closes last of all that has opened, and what closes last of the other windows.
    let mut last: [Option<(Closes, usize)>; 2] = [None; 2];
    let mut found: BTreeMap<usize, Lint> = BTreeMap::new();
    // The first window has no earlier one.
    while found.len() + 1 < alike.len()
        && let Some(Reverse((opens, closes, place))) = coming.pop()
    {
        let other = last.iter().flatten().find(|(_, other)| *other != place);
        if let Some((_, other)) = other.filter(|(closes, _)| opens < *closes) {
            let both = [place.min(*other), place.max(*other)]
                .map(|place| stretches.get(place).map(|(index, _)| *index));
            if let [Some(window), Some(other)] = both {
                let at = opens.max(from);
                found.entry(other).or_insert(Lint::SameTarget { window, other, at });
            }
        }
        let open = Some((closes, place));
        last = match last {
            [Some((_, first)), second] if first == place => [open.max(last[0]), second],
            [first, _] if open > first => [open, first],
            [first, Some((_, second))] if second == place => [first, open.max(last[1])],
            [first, second] => [first, open.max(second)],
        };
        coming.extend(next(&mut stretches, place));
    }
    found.into_values().collect()
}

/// The stretches in which the window is open that touch [from, until), in order. Where occurrences overlap,
/// those in between are passed over.
fn open_stretches(
    window: &Window,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = Occurrence> {
    let since = shifted(from, -window.longest(), -2).date_naive();
    let through = shifted(until, TimeDelta::zero(), 2).date_naive();
    let mut next = window
        .latest_opening(from, since)
        .filter(|latest| from < latest.closes)
        .or_else(|| window.next_opening(from, through));
    std::iter::from_fn(move || {
        let this = next.filter(|occurrence| occurrence.opens < until)?;
        // What opens before this one closes goes on from where this one ends.
        next = window
            .latest_opening(this.closes, this.day)
            .filter(|latest| latest.opens > this.opens)
            .or_else(|| window.next_opening(this.closes, through));
        Some(this)
    })
}
