//! The largest number of environments that a budget allows for the rest of a month.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::spent::Spent;
use crate::domain::fleet::Target;
use crate::domain::schedule::{Minute, Segment, segments};

/// The steps of a share.
const STEPS: u32 = 1_000;
/// The estimate of a ping's cost counts like one sent ping for this number of pings of the month. A day begins with cold
/// starts: after the first day of thirty, their excess counts an eighth.
const PINGS_PER_ESTIMATE: u64 = 4;

/// The scheduled rounds of a target in the rest of a month, and the cost of its pings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The cost of a ping in US dollars, with its part of cold starts.
    pub usd_per_ping: Decimal,
    /// The numbers of environments, each with the number of rounds.
    pub rounds: Vec<(u32, u64)>,
    /// For each of `rounds`, the most environments that other budgets allow; empty without a limit.
    pub most: Vec<u32>,
    /// The cost of what a number of pings does not change, such as capacity, in US dollars.
    pub fixed_usd: Decimal,
}

impl Rest {
    /// Creates the rest of a target from the minute `from` to `until`.
    pub fn of(target: &Target, from: Minute, until: Minute, usd_per_ping: Decimal) -> Self {
        Self::of_segments(&segments(target, from, until), usd_per_ping)
    }

    /// Creates the rest of a target from the segments of its schedule.
    pub fn of_segments(segments: &[Segment], usd_per_ping: Decimal) -> Self {
        // A month has few numbers and many segments.
        let mut rounds: BTreeMap<u32, u64> = BTreeMap::new();
        for segment in segments {
            let sum = rounds.entry(segment.desired).or_default();
            *sum = sum.saturating_add(segment.rounds);
        }
        let rounds = rounds.into_iter().collect();
        Self { usd_per_ping, rounds, most: Vec::new(), fixed_usd: Decimal::ZERO }
    }

    /// Returns what has a fixed cost in US dollars.
    pub fn fixed(fixed_usd: Decimal) -> Self {
        Self { usd_per_ping: Decimal::ZERO, rounds: Vec::new(), most: Vec::new(), fixed_usd }
    }

    /// Limits the number of each round to what `limit` returns for it.
    pub fn limit(&mut self, limit: impl Fn(u32) -> u32) {
        let most = self.numbers().map(|(desired, most, _)| limit(desired).min(most)).collect();
        self.most = most;
    }

    /// Returns the numbers of environments, each with the most that are allowed, and the number of rounds.
    fn numbers(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        let most = self.most.iter().copied().chain(std::iter::repeat(u32::MAX));
        self.rounds.iter().zip(most).map(|((desired, rounds), most)| (*desired, most.min(*desired), *rounds))
    }

    /// Returns the rest with the mean cost of the pings that were sent, weighted with the estimate if they are
    /// dearer: cold starts come first. An estimate of zero has no weight.
    #[must_use]
    pub fn with_mean(self, spent: &Spent) -> Self {
        let Some(mean) = spent.usd_per_ping() else { return self };
        if self.usd_per_ping.is_zero() {
            return Self { usd_per_ping: mean, ..self };
        }
        let planned = self.rounds.iter().map(|(desired, rounds)| u64::from(*desired).saturating_mul(*rounds));
        let month = planned.fold(spent.pings, u64::saturating_add);
        let (estimates, pings) = (Decimal::from(month / PINGS_PER_ESTIMATE), Decimal::from(spent.pings));
        let usd = self.usd_per_ping.saturating_mul(estimates).saturating_add(spent.priced_usd());
        Self {
            usd_per_ping: usd.checked_div(estimates.saturating_add(pings)).unwrap_or(mean).min(mean),
            ..self
        }
    }

    /// Returns the cost in US dollars with at most as many environments as `limit` returns for the number of a round.
    fn usd(&self, limit: impl Fn(u32) -> u32) -> Decimal {
        let pings = self.numbers().map(|(desired, most, rounds)| {
            u128::from(limit(desired).min(most)).saturating_mul(rounds.into())
        });
        let pings = pings.fold(0, u128::saturating_add);
        Decimal::from_u128(pings)
            .unwrap_or(Decimal::MAX)
            .saturating_mul(self.usd_per_ping)
            .saturating_add(self.fixed_usd)
    }

    fn highest(&self) -> u32 {
        self.numbers().map(|(_, most, _)| most).max().unwrap_or(0)
    }
}

/// Returns the largest number of environments with which the rest of the month costs at most `left` US dollars; `None`
/// if the schedule fits as it is.
pub fn largest_number(left: Decimal, rest: &Rest) -> Option<u32> {
    if rest.usd(|desired| desired) <= left {
        return None;
    }
    // The cost grows with the number: `low` fits, or is 0, and `high` does not.
    let (mut low, mut high) = (0, rest.highest());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if rest.usd(|_| middle) <= left { low = middle } else { high = middle }
    }
    Some(low)
}

/// The numbers of environments that several targets keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// The share that all keep, in thousandths. See [`share_of`].
    pub share: u32,
    /// True for each target that keeps one environment more.
    pub more: Vec<bool>,
}

/// Returns the largest numbers with which all of `rests` together cost at most `left` US dollars; `None` if their
/// schedules fit as they are. What the common share leaves goes to single targets, in the order of `rests`: a target that
/// wants one environment keeps it or not.
pub fn largest_shares<R: Borrow<Rest>>(left: Decimal, rests: &[R]) -> Option<Shares> {
    let share = largest_share(left, rests)?;
    let kept = |rest: &Rest| rest.usd(|desired| share_of(desired, share));
    let rests = rests.iter().map(Borrow::borrow);
    let mut free = rests.clone().fold(left, |left, rest| left.saturating_sub(kept(rest)));
    let more = rests.map(|rest| {
        let usd = rest.usd(|desired| share_of(desired, share).saturating_add(1)).saturating_sub(kept(rest));
        let fits = usd <= free;
        if fits {
            free = free.saturating_sub(usd);
        }
        fits
    });
    Some(Shares { share, more: more.collect() })
}

/// Returns the largest share of their numbers, in thousandths, with which all of `rests` together cost at most `left` US
/// dollars; `None` if their schedules fit as they are. See [`share_of`].
pub fn largest_share<R: Borrow<Rest>>(left: Decimal, rests: &[R]) -> Option<u32> {
    let usd = |share: u32| {
        let each = rests.iter().map(|rest| rest.borrow().usd(|desired| share_of(desired, share)));
        each.fold(Decimal::ZERO, Decimal::saturating_add)
    };
    if usd(STEPS) <= left {
        return None;
    }
    let (mut low, mut high) = (0, STEPS);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if usd(middle) <= left { low = middle } else { high = middle }
    }
    Some(low)
}

/// Returns the share of a number in thousandths, rounded down.
pub fn share_of(desired: u32, share: u32) -> u32 {
    let part = u64::from(desired) * u64::from(share.min(STEPS)) / u64::from(STEPS);
    u32::try_from(part).unwrap_or(desired)
}
