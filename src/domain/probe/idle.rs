//! The life of idle environments, from single pings at growing intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::regime;
use super::start::{Measured, Start};
use crate::domain::future::later;
use crate::domain::schedule::Minute;

/// The time of use from which Lambda may replace an environment whatever its idle time. Measured: about two hours, so a
/// cold start after four fifths of that has two explanations and no effect on the bracket.
pub const LIFE_OF_USE: Duration = Duration::from_secs(96 * 60);
/// The longest gap that `--until-cold` tries. A cold start after a longer one proves nothing, see [`LIFE_OF_USE`].
const LONGEST_GAP: Duration = Duration::from_secs(90 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// The repeats from which an interval follows from the gaps.
const LEAST_REPEATS: usize = 5;

/// A ping after an idle time.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The idle time that was planned; zero for the first ping.
    pub planned: Duration,
    /// The ping.
    pub ping: Measured,
    /// The ping before it; `None` for the first one.
    pub before: Option<Measured>,
    /// The age of the environment before the ping: the time since the last new one; `None` if unknown.
    pub age: Option<Duration>,
    /// True if the function has answered others within the gap. It has no effect then.
    pub is_disturbed: bool,
}

impl Gap {
    /// Returns the shortest time for which the environment can have been idle: from the answer to the next request.
    pub fn least(&self) -> Option<Duration> {
        Some(self.ping.sent.saturating_sub(self.before.as_ref()?.received))
    }

    /// Returns the longest time for which it can have been idle: from the earliest end of its run to the latest arrival
    /// of the next request.
    pub fn most(&self) -> Option<Duration> {
        let before = self.before.as_ref()?;
        let ended = before.sent + before.duration.unwrap_or_default() + before.init.unwrap_or_default();
        let own = self.ping.duration.unwrap_or_default() + self.ping.init.unwrap_or_default();
        Some(self.ping.received.saturating_sub(own).max(self.ping.sent).saturating_sub(ended))
    }

    /// Returns true if the gap has an effect on the bracket.
    pub fn counts(&self) -> bool {
        let Some(start) = self.ping.start else { return false };
        // Lambda may initialise an environment ahead of demand beside one that lives.
        if start == Start::Preinitialized {
            return false;
        }
        let was_answered = self.before.as_ref().is_some_and(|before| before.start.is_some());
        let may_be_replaced = self.age.is_none_or(|age| age >= LIFE_OF_USE);
        was_answered && !self.is_disturbed && !(start.is_new() && may_be_replaced)
    }
}

/// The bounds of the life of idle environments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bracket {
    /// The longest gap after which the environment was warm; `None` if none was seen.
    pub longest_warm: Option<Duration>,
    /// The shortest gap after which it was gone; `None` if none was seen.
    pub shortest_cold: Option<Duration>,
}

impl Bracket {
    /// Returns true if a gap was cold and a longer one warm: the life differs from time to time.
    pub fn varies(&self) -> bool {
        matches!((self.longest_warm, self.shortest_cold), (Some(warm), Some(cold)) if warm >= cold)
    }

    /// Returns the life that is certain: the longest warm gap, or the shortest cold one if that is shorter.
    pub fn certain(&self) -> Option<Duration> {
        let warm = self.longest_warm?;
        Some(self.shortest_cold.map_or(warm, |cold| cold.min(warm)))
    }
}

/// Returns the bracket that the gaps prove.
pub fn bracket<'g>(gaps: impl IntoIterator<Item = &'g Gap>) -> Bracket {
    let mut bracket = Bracket::default();
    for gap in gaps.into_iter().filter(|gap| gap.counts()) {
        let (Some(least), Some(most), Some(start)) = (gap.least(), gap.most(), gap.ping.start) else {
            continue;
        };
        if start.is_new() {
            bracket.shortest_cold = Some(bracket.shortest_cold.map_or(most, |known| known.min(most)));
        } else {
            bracket.longest_warm = bracket.longest_warm.max(Some(least));
        }
    }
    bracket
}

/// Returns the interval in whole minutes that keeps an environment warm: four fifths of the longest warm gap, rounded
/// down. `None` with fewer than five repeats, without a warm gap, and below a minute.
pub fn interval(bracket: &Bracket, repeats: usize) -> Option<Duration> {
    let certain = bracket.certain().filter(|_| repeats >= LEAST_REPEATS)?;
    let minutes = certain.as_secs() * 4 / 5 / 60;
    (minutes > 0).then(|| Duration::from_secs(minutes * 60))
}

/// The pings of a probe: those at the given instants, as often as they are repeated, then those of a bisection.
#[derive(Debug, Clone)]
pub struct IdlePlan {
    gaps: Vec<Duration>,
    repeats: usize,
    is_until_cold: bool,
    done: Vec<Gap>,
    /// The begin of the present environment; `None` if unknown.
    begun: Option<Duration>,
    /// The gaps of the bisection that had no effect in a row.
    wasted: usize,
}

/// The tries of a gap that has no effect, because of a failure or other users.
const MOST_WASTED: usize = 3;

impl IdlePlan {
    /// Creates the plan of pings at `instants`, which rise. The time between two of them is the idle time: each is
    /// counted from the answer to the one before.
    pub fn new(instants: &[Duration], repeats: usize, is_until_cold: bool) -> Self {
        let before = std::iter::once(&Duration::ZERO).chain(instants);
        let mut gaps: Vec<Duration> =
            instants.iter().zip(before).map(|(at, before)| at.saturating_sub(*before)).collect();
        // The first ping has none before it.
        if gaps.first().is_some_and(|first| !first.is_zero()) {
            gaps.insert(0, Duration::ZERO);
        }
        Self { gaps, repeats: repeats.max(1), is_until_cold, done: Vec::new(), begun: None, wasted: 0 }
    }

    /// Returns the number of pings of the instants, without the bisection.
    pub fn pings(&self) -> usize {
        // The first ping of each further repeat is the last one of the repeat before.
        match self.gaps.len() {
            0 => 0,
            gaps => 1 + (gaps - 1) * self.repeats,
        }
    }

    /// Returns the idle time of the instants, without the bisection.
    pub fn length(&self) -> Duration {
        self.gaps.iter().sum::<Duration>() * u32::try_from(self.repeats).unwrap_or(u32::MAX)
    }

    /// Returns the idle time before the next ping; `None` if nothing is left to be measured.
    pub fn next(&self) -> Option<Duration> {
        let sent = self.done.len();
        if sent < self.pings() {
            let per_repeat = self.gaps.len().saturating_sub(1).max(1);
            let index = if sent == 0 { 0 } else { (sent - 1) % per_repeat + 1 };
            return self.gaps.get(index).copied();
        }
        if !self.is_until_cold || self.wasted >= MOST_WASTED {
            return None;
        }
        // By the planned gaps: the measured ones are a little longer.
        let planned = |is_new: bool| {
            let of_kind = move |gap: &&Gap| {
                gap.counts() && gap.ping.start.is_some_and(|start| start.is_new() == is_new)
            };
            self.done.iter().filter(of_kind).map(|gap| gap.planned)
        };
        let warm = planned(false).max().unwrap_or_default();
        let Some(cold) = planned(true).min() else {
            let longer = (warm * 2).clamp(MINUTE, LONGEST_GAP);
            return (longer > warm).then_some(longer);
        };
        // The middle, in whole minutes.
        let middle = Duration::from_secs((warm + cold).as_secs() / 120 * 60).max(warm + MINUTE);
        (middle < cold).then_some(middle)
    }

    /// Adds the ping after the gap that [`IdlePlan::next`] returned.
    pub fn note(&mut self, ping: Measured, is_disturbed: bool) {
        let planned = self.next().unwrap_or_default();
        let is_bisection = self.done.len() >= self.pings();
        let before = self.done.last().map(|gap| gap.ping.clone());
        let age = self.begun.map(|begun| ping.sent.saturating_sub(begun));
        self.begun = match ping.start {
            Some(start) if start.is_new() => Some(ping.sent),
            Some(_) => self.begun,
            None => None,
        };
        let gap = Gap { planned, ping, before, age, is_disturbed };
        self.wasted = if is_bisection && !gap.counts() { self.wasted + 1 } else { 0 };
        self.done.push(gap);
    }

    /// Marks the gaps in which the function was invoked more often than the probe did. `begun` is the time at which the
    /// probe began, `invocations` the number by minute. The minutes in which a gap begins and ends count to it.
    pub fn mark(&mut self, begun: DateTime<Utc>, invocations: &BTreeMap<Minute, u64>) {
        let minute =
            |after: Duration| Minute::of(later(begun, TimeDelta::from_std(after).unwrap_or(TimeDelta::MAX)));
        let own: Vec<Minute> = self.done.iter().map(|gap| minute(gap.ping.sent)).collect();
        for gap in &mut self.done {
            let Some(before) = &gap.before else { continue };
            let within = minute(before.sent)..=minute(gap.ping.sent);
            let own = own.iter().filter(|at| within.contains(at)).count() as u64;
            let all = invocations.range(within).fold(0_u64, |sum, (_, number)| sum.saturating_add(*number));
            gap.is_disturbed |= all > own;
        }
    }

    /// Returns the passes over the instants that were completed.
    pub fn passes(&self) -> usize {
        self.done.len().saturating_sub(1) / self.gaps.len().saturating_sub(1).max(1)
    }

    /// Returns the gaps that count, by their planned length: how often the environment was warm, and how often gone.
    pub fn spread(&self) -> BTreeMap<Duration, (u32, u32)> {
        let mut spread: BTreeMap<Duration, (u32, u32)> = BTreeMap::new();
        for gap in self.done.iter().filter(|gap| gap.counts()) {
            let (warm, gone) = spread.entry(gap.planned).or_default();
            if gap.ping.start == Some(Start::Warm) { *warm += 1 } else { *gone += 1 }
        }
        spread
    }

    /// Returns the time from the begin until the last ping; `None` before it.
    pub fn last(&self) -> Option<Duration> {
        self.done.last().map(|gap| gap.ping.sent)
    }

    /// Returns the gaps that were measured, with cold and semi-cold starts told apart, and the threshold between the two
    /// if it is known.
    pub fn gaps(&self) -> (Vec<Gap>, Option<Duration>) {
        let mut gaps = self.done.clone();
        let threshold = regime::classify(gaps.iter_mut().map(|gap| &mut gap.ping));
        (gaps, threshold)
    }

    /// Returns the bracket so far.
    pub fn bracket(&self) -> Bracket {
        bracket(&self.done)
    }
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
