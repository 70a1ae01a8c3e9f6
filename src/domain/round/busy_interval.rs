//! When a ping's run can have been, in whole nanoseconds, so that no rounding lifts a bound above the truth.

use std::time::Duration;

use super::{Attempt, PingResult};

/// REPORT gives the duration to a hundredth of a millisecond, maybe rounded up by as much: 10 µs.
const REPORT_GRAIN_NS: i64 = 10_000;

/// The most by which Lambda's clock and ours may differ in rate: one part in ten thousand, five times what an
/// undisciplined quartz does.
const CLOCK_RATES: i64 = 10_000;

/// Offsets beyond a day are not believed; sums over all pings then stay far from overflow.
const LATEST_NS: u128 = 86_400_000_000_000;

/// The largest error of a handler's timer that fires early: some runtimes count in whole milliseconds.
const TIMER_GRAIN_NS: i64 = 1_000_000;

/// The least allowance for a handler besides its hold: 10 ms, or a quarter of the hold when that is more. The quickest
/// ping of an attempt counts; what takes longer is not the hold alone.
const BESIDES_HOLD_NS: i64 = 10_000_000;

/// The known part of one ping's run in its environment: it kept the environment busy for `busy` without a break, and
/// began between `sent` and `latest_start`. Offsets from the attempt's release, ns.
///
/// The answer need not be the end of the run: extensions work on after it, and REPORT's Duration includes that. So the
/// latest start is not `received − busy` but `received` less what surely lay before the answer: see [`held`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BusyInterval {
    /// The run began no earlier.
    pub sent: i64,
    /// The run began no later.
    pub latest_start: i64,
    /// The run ended no earlier: `sent + busy`.
    pub earliest_end: i64,
    /// The time that the environment was certainly busy with it: never above the truth.
    pub busy: i64,
    /// Whether the environment was made for this run, and so had never run before.
    pub is_new: bool,
}

impl BusyInterval {
    /// The run of a ping that is evidence and has a duration, of which `held` ns certainly lay before the answer.
    ///
    /// A duration that does not fit between request and answer is not used: an extension worked on after the answer, or
    /// one of the clocks is wrong. Then the run is as long as it was held; none when that is nothing.
    pub fn of(ping: &PingResult, held: i64) -> Option<Self> {
        let times = Times::of(ping)?;
        let busy = if times.fits() { times.duration } else { held.min(times.longest()) };
        (times.fits() || busy > 0).then(|| Self {
            sent: times.sent,
            latest_start: times.received - held.min(busy),
            earliest_end: times.sent + busy,
            busy,
            is_new: ping.outcome.is_new(),
        })
    }

    /// The run as it most likely was, for estimates: without an extension, all of it before the answer. None when the
    /// duration does not fit between request and answer.
    pub fn likely(ping: &PingResult) -> Option<Self> {
        let times = Times::of(ping)?;
        times.fits().then(|| Self::of(ping, times.duration)).flatten()
    }

    /// The middle of the stretch in which the run began.
    pub fn midpoint(&self) -> i64 {
        self.sent + (self.latest_start - self.sent) / 2
    }
}

/// The times of a ping that is evidence, ns.
#[derive(Debug, Clone, Copy)]
struct Times {
    sent: i64,
    received: i64,
    /// REPORT's Duration, less what it may be too long by.
    duration: i64,
}

impl Times {
    fn of(ping: &PingResult) -> Option<Self> {
        if !ping.outcome.is_evidence() {
            return None;
        }
        // A Report's duration is at most 1e9 ms, so the cast is exact enough: less than the grain.
        let told = (ping.report.as_ref()?.duration_ms * 1e6) as i64;
        Some(Self {
            sent: nanoseconds(ping.sent)?,
            received: nanoseconds(ping.received)?,
            duration: shaved(told, REPORT_GRAIN_NS),
        })
    }

    /// From request to answer: the run before the answer took no longer.
    fn longest(&self) -> i64 {
        self.received - self.sent
    }

    fn fits(&self) -> bool {
        self.duration <= self.longest()
    }
}

/// `told` on another clock, at least; ns.
fn shaved(told: i64, grain: i64) -> i64 {
    (told - grain - told / CLOCK_RATES).max(0)
}

/// The time, in ns, that every handler of the attempt certainly ran before it answered; 0 without evidence.
///
/// Duration alone does not: how much of it an extension took after the answer is unknown. The hold does. Handlers kept it
/// when none answered sooner, neither by Lambda's clock nor by ours: a handler that ignores the hold gives itself away by
/// the first answer that comes sooner. Where a duration does not fit between request and answer, an extension is at work,
/// and may be what makes durations long; then the quickest ping must also have taken hardly longer than the hold.
///
/// A handler that ignores the hold would pass for one that keeps it only if every answer came later than the hold over a
/// slow network, while an extension worked for longer than the hold after each, yet never for longer than the network took.
pub(super) fn held(attempt: &Attempt) -> i64 {
    let Some(hold) = attempt.handler_hold.and_then(nanoseconds) else { return 0 };
    let least = shaved(hold, TIMER_GRAIN_NS);
    let times = || attempt.pings.iter().filter_map(Times::of);
    let Some(quickest) = times().map(|times| times.duration).min() else { return 0 };
    if quickest < least || times().any(|times| times.longest() < least) {
        return 0;
    }
    let asked = attempt.hold.and_then(nanoseconds).unwrap_or(hold).max(hold);
    let hardly_longer = quickest <= asked + (asked / 4).max(BESIDES_HOLD_NS);
    if hardly_longer || times().all(|times| times.fits()) { least } else { 0 }
}

fn nanoseconds(offset: Duration) -> Option<i64> {
    let ns = offset.as_nanos();
    if ns > LATEST_NS { None } else { i64::try_from(ns).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::Outcome;
    use crate::domain::round::model::{attempt, ping};

    /// Returns true if an attempt of pings, answered after `received` ms and run for `duration` ms, shows a hold of 100
    /// ms.
    fn shows_hold(pings: &[(f64, f64)]) -> bool {
        let pings = pings.iter().map(|(received, duration)| ping(Outcome::Warm, 0.0, *received, *duration));
        let hold = Some(Duration::from_millis(100));
        let held = held(&Attempt { hold, handler_hold: hold, ..attempt(pings) });
        // 1 ms and a ten-thousandth less.
        assert!([0, 98_990_000].contains(&held), "{held}");
        held > 0
    }

    #[test]
    fn what_shows_that_handlers_kept_the_hold() {
        assert!(shows_hold(&[(130.0, 100.2), (160.0, 101.0)]));
        assert!(shows_hold(&[(130.0, 99.5)]), "a timer that fired early");
        assert!(shows_hold(&[(4_020.0, 4_000.0), (160.0, 120.0)]), "slow for reasons of its own");
        assert!(!shows_hold(&[(130.0, 100.2), (160.0, 2.0)]), "Duration says that one did not");
        assert!(!shows_hold(&[(130.0, 100.2), (40.0, 400.0)]), "an answer came before the hold was over");
        // An extension that works on for 15 ms, or for 300 ms: the hold is only visible beside the first.
        assert!(shows_hold(&[(103.0, 115.2), (104.0, 115.3)]));
        assert!(!shows_hold(&[(103.0, 400.2), (160.0, 400.3)]));
        assert!(!shows_hold(&[]));
        let none = attempt([ping(Outcome::Warm, 0.0, 130.0, 100.2)]);
        assert_eq!(held(&none), 0, "there was no hold");
    }

    #[test]
    fn a_run_is_no_longer_than_what_surely_was() {
        let run = |received, duration, held| {
            let run = BusyInterval::of(&ping(Outcome::Warm, 0.0, received, duration), held)?;
            Some((run.latest_start, run.earliest_end, run.busy))
        };
        let ms = 1_000_000;
        // 50 ms less 10 µs and a ten-thousandth.
        let busy = 49_985_000;
        assert_eq!(run(60.0, 50.0, 0), Some((60 * ms, busy, busy)), "all of it may lie after the answer");
        assert_eq!(run(60.0, 50.0, 40 * ms), Some((20 * ms, busy, busy)));
        assert_eq!(run(60.0, 50.0, 90 * ms), Some((60 * ms - busy, busy, busy)));
        // It does not fit: only the hold is sure.
        assert_eq!(run(60.0, 70.0, 40 * ms), Some((20 * ms, 40 * ms, 40 * ms)));
        assert_eq!(run(60.0, 70.0, 0), None);
    }
}
