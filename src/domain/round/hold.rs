//! Holds: the measured skew, the automatic hold derived from it, and top-ups.
//!
//! N pings reach N environments when the hold exceeds the time between the pings. The hold is as short as the measured
//! skew allows, because a user's request cannot use an environment that a ping holds.

use std::collections::VecDeque;
use std::time::Duration;

use super::busy_interval::BusyInterval;
use super::doubt::{Doubt, doubt};
use super::{Attempt, Known, Outcome, proven};
use crate::domain::fleet::Hold;
use crate::domain::protocol::Protocol;

/// The automatic hold without any measurement. With 15 ms of network latency in either direction, 97 of 100 rounds
/// reach 50 of 50 environments.
const FIRST_AUTO_HOLD: Duration = Duration::from_millis(100);

/// The minimum automatic hold.
const MIN_AUTO_HOLD: Duration = Duration::from_millis(10);

/// The maximum automatic hold, including top-ups.
pub const MAX_AUTO_HOLD: Duration = Duration::from_secs(1);

/// The maximum number of top-ups of a round.
pub const MAX_TOP_UPS: usize = 2;

/// The number of rounds in the history. With fewer than 1,000 samples, the p99.9 is the maximum.
const HISTORY_LENGTH: usize = 128;

/// Returns the skew of an attempt: the difference between the largest and the smallest midpoint of the intervals [sᵢ,
/// rᵢ − dᵢ] in which its warm runs began.
///
/// Returns `None` with fewer than two usable warm pings, but zero for an attempt with a single ping.
pub fn skew(attempt: &Attempt) -> Option<Duration> {
    let midpoints = || warm_runs(attempt).map(|run| run.midpoint());
    if attempt.pings.len() > 1 && midpoints().nth(1).is_none() {
        return None;
    }
    difference(midpoints().max()?, midpoints().min()?)
}

fn warm_runs(attempt: &Attempt) -> impl Iterator<Item = BusyInterval> {
    attempt.pings.iter().filter(|ping| ping.outcome == Outcome::Warm).filter_map(BusyInterval::likely)
}

fn difference(later: i64, earlier: i64) -> Option<Duration> {
    u64::try_from(later - earlier).ok().map(Duration::from_nanos)
}

/// The skews of the latest rounds of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkewHistory {
    /// Microseconds, oldest first. The full history of a target has half a kilobyte.
    skews: VecDeque<u32>,
}

impl SkewHistory {
    /// Adds the skew of a round, and removes the oldest beyond 128.
    pub fn record(&mut self, skew: Duration) {
        if self.skews.len() == HISTORY_LENGTH {
            self.skews.pop_front();
        }
        self.skews.push_back(u32::try_from(skew.as_micros()).unwrap_or(u32::MAX));
    }

    /// Returns the automatic hold: 100 ms without history, otherwise the p99.9 of the skews (the maximum of the
    /// history) plus a quarter, plus 2 ms for timers, from 10 ms to 1 s, in whole ms.
    pub fn auto_hold(&self) -> Duration {
        let Some(largest) = self.skews.iter().max() else { return FIRST_AUTO_HOLD };
        let skew = Duration::from_micros(u64::from(*largest));
        let hold = skew + skew / 4 + Duration::from_millis(2);
        whole_ms(hold).clamp(MIN_AUTO_HOLD, MAX_AUTO_HOLD)
    }
}

/// Returns the hold of the next top-up, or `None` when the round needs none or none would help.
///
/// A round is topped up when fewer than `concurrency` environments are proven, the protocol carries a hold and the
/// handler kept it. It is topped up at most twice, never after a failed ping (throttled, denied, …), and never when an
/// environment runs several invocations at the same time. A fixed hold is extended as well, because it applies to the
/// first attempt only.
///
/// The overlap of all runs is proven when the hold exceeds the longest time to an answer. The first top-up therefore
/// uses one and a half times the hold that the last attempts would have needed, the second two and a half times. Both
/// at least double the hold. In a simulation with 15 ms of network latency in either direction (lognormal, σ .6), fewer
/// than 1 in 10,000 rounds of 100 pings remained unproven. A top-up holds at most 1 s, or twice a fixed hold.
pub fn top_up(
    concurrency: u32,
    attempts: &[Attempt],
    protocol: &Protocol,
    hold: Hold,
    known: Known,
) -> Option<Duration> {
    let last = attempts.last()?;
    let held = last.hold.filter(|_| protocol.honours_hold())?;
    let failed = attempts.iter().flat_map(|attempt| &attempt.pings).any(|ping| ping.outcome.is_failure());
    if attempts.len() > MAX_TOP_UPS
        || failed
        || !kept_hold(last, held)
        || matches!(doubt(attempts, known), Some(Doubt::SharedEnvironments(_)))
        || proven(attempts, known).environments >= concurrency
    {
        return None;
    }
    let needed = attempts.iter().filter_map(needed).max().unwrap_or_default();
    let extended = if attempts.len() == 1 { needed * 3 / 2 } else { needed * 5 / 2 };
    let longest = match hold {
        Hold::Auto => MAX_AUTO_HOLD,
        Hold::Fixed(fixed) => MAX_AUTO_HOLD.max(fixed * 2),
    };
    let next = whole_ms((extended + Duration::from_millis(5)).max(held * 2)).min(longest);
    (next > held).then_some(next)
}

/// Returns true if any ping ran about as long as requested, by Lambda's clock and by ours. The work of an extension
/// after the answer does not count. Otherwise the handler ignores the hold, and a longer one has no effect. A tolerance
/// of a tenth allows for the coarse timers of some runtimes.
fn kept_hold(attempt: &Attempt, hold: Duration) -> bool {
    let enough = hold.mul_f64(0.9);
    let enough_ms = enough.as_secs_f64() * 1e3;
    attempt.pings.iter().filter(|ping| ping.outcome.is_evidence()).any(|ping| {
        ping.received.saturating_sub(ping.sent) >= enough
            && ping.report.as_ref().is_some_and(|report| report.duration_ms >= enough_ms)
    })
}

/// Returns the hold with which all warm runs would have overlapped: the time from the first request to the latest
/// possible start.
fn needed(attempt: &Attempt) -> Option<Duration> {
    let first = warm_runs(attempt).map(|run| run.sent).min()?;
    let latest = warm_runs(attempt).map(|run| run.latest_start).max()?;
    difference(latest, first)
}

/// Rounds up to whole ms, the unit in payloads.
fn whole_ms(hold: Duration) -> Duration {
    let ms = hold.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::protocol::CustomPayload;
    use crate::domain::round::model::{attempt, ping};

    fn ms(ms: f64) -> Duration {
        Duration::from_secs_f64(ms / 1e3)
    }

    /// Returns pings that ran for `hold`, were sent at 0 and answered after the hold and these network times, in ms.
    fn held(hold: f64, networks: &[f64]) -> Attempt {
        let pings = networks.iter().map(|network| ping(Outcome::Warm, 0.0, network + hold, hold));
        Attempt { hold: Some(ms(hold)), handler_hold: Some(ms(hold)), ..attempt(pings) }
    }

    fn next(concurrency: u32, attempts: &[Attempt], hold: Hold) -> Option<f64> {
        top_up(concurrency, attempts, &Protocol::Warmd, hold, Known::default())
            .map(|hold| hold.as_secs_f64() * 1e3)
    }

    #[test]
    fn skew_is_difference_of_midpoints_of_warm_pings() {
        let mut attempt = attempt([
            ping(Outcome::Warm, 0.0, 30.0, 10.0),   // began in [0, 20]: 10
            ping(Outcome::Warm, 2.0, 20.0, 10.0),   // began in [2, 10]: 6
            ping(Outcome::Cold, 0.0, 900.0, 10.0),  // not warm
            ping(Outcome::Warm, 0.0, 50.0, 1000.0), // does not fit
        ]);
        let ms = skew(&attempt).unwrap().as_secs_f64() * 1e3;
        assert!((ms - 4.0).abs() < 0.02, "{ms}");
        attempt.pings.truncate(1);
        assert_eq!(skew(&attempt), Some(Duration::ZERO));
        attempt.pings.push(ping(Outcome::Cold, 0.0, 900.0, 10.0));
        assert_eq!(skew(&attempt), None, "a single warm ping of two has no skew");
        attempt.pings.clear();
        assert_eq!(skew(&attempt), None);
    }

    #[test]
    fn auto_hold_follows_largest_skew_in_history() {
        let mut history = SkewHistory::default();
        assert_eq!(history.auto_hold(), ms(100.0));
        history.record(ms(0.3));
        assert_eq!(history.auto_hold(), ms(10.0));
        history.record(ms(20.0));
        assert_eq!(history.auto_hold(), ms(27.0));
        history.record(ms(3.0));
        assert_eq!(history.auto_hold(), ms(27.0));
        history.record(Duration::from_secs(5000));
        assert_eq!(history.auto_hold(), ms(1000.0));
        for _ in 0..HISTORY_LENGTH {
            history.record(ms(9.0));
        }
        assert_eq!(history.auto_hold(), ms(14.0), "old skews are removed");
        assert_eq!(history.skews.len(), HISTORY_LENGTH);
    }

    #[test]
    fn top_up_uses_needed_hold() {
        let first = held(25.0, &[10.0, 60.0]);
        assert_eq!(next(2, std::slice::from_ref(&first), Hold::Auto), Some(96.0));
        // Twice the last hold is longer.
        assert_eq!(next(3, &[held(100.0, &[10.0, 60.0])], Hold::Auto), Some(200.0));
        let second = held(96.0, &[10.0, 120.0]);
        assert_eq!(next(2, &[first.clone(), second.clone()], Hold::Auto), Some(306.0));
        assert_eq!(next(2, &[first.clone(), second.clone(), second], Hold::Auto), None, "two at most");
        assert_eq!(next(2, &[held(25.0, &[10.0, 900.0])], Hold::Auto), Some(1000.0));
    }

    #[test]
    fn top_up_is_longer_than_last_hold() {
        assert_eq!(next(3, &[held(1000.0, &[10.0, 10.0])], Hold::Auto), None);
        let fixed = Hold::Fixed(ms(3000.0));
        assert_eq!(next(3, &[held(3000.0, &[10.0, 10.0])], fixed), Some(6000.0));
        assert_eq!(next(3, &[held(25.0, &[10.0, 10.0])], Hold::Fixed(ms(25.0))), Some(50.0));
    }

    #[test]
    fn no_top_up_without_need_or_effect() {
        let unproven = held(25.0, &[10.0, 60.0]);
        assert!(next(2, std::slice::from_ref(&unproven), Hold::Auto).is_some());

        let proven = held(100.0, &[10.0, 60.0]);
        assert_eq!(next(2, &[proven], Hold::Auto), None, "all proven");

        for outcome in [Outcome::Throttled { reason: None }, Outcome::Denied, Outcome::TimedOut] {
            let mut failed = unproven.clone();
            failed.pings.push(ping(outcome, 0.0, 5.0, 0.0));
            assert_eq!(next(2, &[failed], Hold::Auto), None, "a ping failed");
        }

        let mut ignored = held(2.0, &[10.0, 60.0]);
        ignored.hold = Some(ms(25.0));
        assert_eq!(next(2, &[ignored], Hold::Auto), None, "the handler does not hold");

        let mut extended = held(2.0, &[10.0, 12.0]);
        extended.hold = Some(ms(25.0));
        extended.pings.iter_mut().for_each(|ping| ping.report.as_mut().unwrap().duration_ms = 80.0);
        assert_eq!(next(2, &[extended], Hold::Auto), None, "an extension's work is no hold");

        let mut unclassified = unproven.clone();
        unclassified.pings.iter_mut().for_each(|ping| ping.outcome = Outcome::Unclassified);
        assert_eq!(next(2, &[unclassified], Hold::Auto), None, "nothing can be proven");

        let once = std::slice::from_ref(&unproven);
        assert_eq!(
            top_up(2, once, &Protocol::Bref, Hold::Auto, Known::default()),
            None,
            "no hold to lengthen"
        );
        let custom = |json| Protocol::Custom(CustomPayload::parse(json).unwrap());
        assert_eq!(top_up(2, once, &custom(serde_json::json!({})), Hold::Auto, Known::default()), None);
        assert!(
            top_up(2, once, &custom(serde_json::json!("{{hold_ms}}")), Hold::Auto, Known::default())
                .is_some()
        );
        assert_eq!(next(2, &[], Hold::Auto), None);
    }
}
