//! The windows of a configuration that carry out a plan.

use super::course::Burst;
use super::money::By;
use super::policies::Plan;
use crate::domain::capacity::default_lead_minutes;

/// The longest ramp in minutes: a day.
const LONGEST_RAMP: u64 = 1_440;
/// The longest window in minutes. A window of a date lasts less than a day.
const LONGEST: usize = 720;

/// A window in minutes, see [`crate::domain::schedule`] for the numbers within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteWindow {
    /// The minute at which it opens, counted from the minute in which the burst starts.
    pub opens: usize,
    /// The minute at which it closes.
    pub closes: usize,
    /// The number of environments.
    pub concurrency: u64,
    /// The time before the opening from which on the number is kept.
    pub lead: u64,
    /// The length of the rise before that.
    pub ramp_up: u64,
    /// The length of the fall after the closing.
    pub ramp_down: u64,
}

/// Returns the most environments that `plan` keeps in each minute, for a burst that starts `offset` seconds after a
/// whole minute.
pub fn minutes(plan: &Plan, offset: usize) -> Vec<u64> {
    let mut minutes = Vec::new();
    for (second, number) in (1..).zip(&plan.kept) {
        let minute = (offset + second) / 60;
        if minutes.len() <= minute {
            minutes.resize(minute + 1, 0);
        }
        minutes[minute] = minutes[minute].max(*number);
    }
    minutes
}

/// Returns windows that have at least `needed` environments in each minute, one for each time without a minute at zero,
/// with the shortest ramps that suffice. The lead is the launch time; provisioned concurrency takes longer to prepare.
pub fn windows(needed: &[u64], burst: &Burst, by: By) -> Vec<MinuteWindow> {
    let mut windows = Vec::new();
    let mut from = 0;
    for run in needed.chunk_by(|number, next| (*number > 0) == (*next > 0)) {
        let pieces = run.chunks(LONGEST).filter(|piece| piece.iter().any(|number| *number > 0));
        let mut begin = from;
        for piece in pieces {
            windows.push(window(begin, piece, burst, by));
            begin += piece.len();
        }
        from += run.len();
    }
    windows
}

fn window(begin: usize, needed: &[u64], burst: &Burst, by: By) -> MinuteWindow {
    let concurrency = needed.iter().copied().max().unwrap_or(0);
    let prepared = match by {
        By::Pings => 1,
        By::Provisioned => u64::from(default_lead_minutes(u32::try_from(concurrency).unwrap_or(u32::MAX))),
    };
    let lead = prepared.max(burst.launch.div_ceil(60) as u64);
    let is_most = |number: &u64| *number == concurrency;
    let first = needed.iter().position(is_most).unwrap_or(0);
    let last = needed.iter().rposition(is_most).unwrap_or(0);
    // The minutes before the full number, and after it, with the distance to it.
    let before: Vec<(u64, u64)> = (1..).zip(needed[..first].iter().rev().copied()).collect();
    let after: Vec<(u64, u64)> = (0..).zip(needed[last + 1..].iter().copied()).collect();
    // ⌈n(ramp − distance) / ramp⌉ is the number on a ramp.
    let suffices = |ramp: u64, minutes: &[(u64, u64)]| {
        minutes.iter().all(|(distance, number)| {
            ramp > *distance
                && (u128::from(concurrency) * u128::from(ramp - distance)).div_ceil(ramp.into())
                    >= (*number).into()
        })
    };
    let early: Vec<(u64, u64)> = before
        .iter()
        .filter(|(distance, _)| *distance > lead)
        .map(|(distance, number)| (distance - lead, *number))
        .collect();
    let ramp = |minutes: &[(u64, u64)]| match minutes {
        [] => Some(0),
        _ => (1..=LONGEST_RAMP).find(|ramp| suffices(*ramp, minutes)),
    };
    let (first, ramp_up) = ramp(&early).map_or((0, 0), |ramp_up| (first, ramp_up));
    let (last, ramp_down) = ramp(&after).map_or((needed.len() - 1, 0), |ramp_down| (last, ramp_down));
    let (opens, closes) = (begin + first, begin + last + 1);
    MinuteWindow { opens, closes, concurrency, lead, ramp_up, ramp_down }
}
