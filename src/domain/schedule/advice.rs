//! What `check` warns of: schedules that are allowed and probably not meant.

use chrono::{DateTime, TimeDelta, Utc};

use super::minute::{Minute, shifted};
use crate::domain::calendar::{Occurrence, Window};
use crate::domain::fleet::Target;

/// Something in a target's schedule that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
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

/// Minutes between two rounds up to which environments have been seen to stay: of those idle for 5 minutes
/// 0.3 % were gone, for 6 minutes 40.6 % (measured in January 2021).
const SAFE_INTERVAL_MINUTES: u32 = 5;

const A_YEAR: TimeDelta = TimeDelta::days(366);

/// What to warn of in `target`'s schedule over the year from `now`.
pub fn advise(target: &Target, now: Minute) -> Vec<Advice> {
    let (from, until) = (now.instant(), now.plus(A_YEAR.num_minutes()).instant());
    let mut advice = Vec::new();
    if target.interval_minutes > SAFE_INTERVAL_MINUTES {
        advice.push(Advice::LongInterval { minutes: target.interval_minutes });
    }
    for (window, this) in target.windows.iter().enumerate() {
        if open_stretches(this, from, until).next().is_none() {
            advice.push(Advice::NeverOpens { window });
        }
        for (other, that) in target.windows.iter().enumerate().skip(window + 1) {
            if this.concurrency == that.concurrency
                && let Some(at) = first_overlap(this, that, from, until)
            {
                advice.push(Advice::SameTarget { window, other, at });
            }
        }
    }
    advice
}

/// The first instant in [from, until) at which both windows are open.
fn first_overlap(
    this: &Window,
    that: &Window,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut those = open_stretches(that, from, until).peekable();
    for one in open_stretches(this, from, until) {
        while those.next_if(|other| other.closes <= one.opens).is_some() {}
        match those.peek() {
            Some(other) if other.opens < one.closes => return Some(one.opens.max(other.opens).max(from)),
            Some(_) => {}
            None => return None,
        }
    }
    None
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
