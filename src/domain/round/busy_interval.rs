//! The interval in which a ping kept its environment busy, in whole nanoseconds, so that rounding never raises a bound.

use std::time::Duration;

use super::{Attempt, PingResult};

/// The precision of the duration in a REPORT, which may be rounded up: 10 µs.
pub(super) const REPORT_GRAIN_NS: i64 = 10_000;

/// The inverse of the maximum difference in rate between Lambda's clock and ours: one part in ten thousand, five times
/// that of an undisciplined quartz.
const CLOCK_RATES: i64 = 10_000;

/// The maximum accepted offset, a day. It prevents overflow in sums over all pings.
const MAX_OFFSET_NS: u128 = 86_400_000_000_000;

/// The maximum time by which a handler's timer fires early. Some runtimes count in whole milliseconds.
const TIMER_GRAIN_NS: i64 = 1_000_000;

/// The minimum allowance for a handler's work besides the hold: 10 ms, or a quarter of the hold if that is more. It
/// applies to the quickest ping of an attempt.
const BESIDES_HOLD_NS: i64 = 10_000_000;

/// The run of a ping in its environment: it was busy for `busy` without a break, and began between `sent` and
/// `latest_start`. Offsets from the start of the attempt, in ns.
///
/// The run may end after the answer: extensions work on, and REPORT's Duration includes their time. The latest start is
/// therefore not `received − busy`, but `received` less the time that is certainly before the answer, see [`held`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BusyInterval {
    /// The earliest start of the run.
    pub sent: i64,
    /// The latest start of the run.
    pub latest_start: i64,
    /// The earliest end of the run: `sent + busy`.
    pub earliest_end: i64,
    /// A lower bound of the time for which the environment was busy.
    pub busy: i64,
    /// True if the environment was created for this run.
    pub is_new: bool,
}

impl BusyInterval {
    /// Creates the run of a ping that is evidence and has a duration. `held` ns of it are certainly before the answer.
    ///
    /// A duration longer than the time between request and answer is not used, because an extension worked after the
    /// answer or a clock is wrong. The run then has the length `held`; `None` if that is zero.
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

    /// Creates the most likely run, for estimates: without an extension, all of it is before the answer. Returns `None`
    /// when the duration is longer than the time between request and answer.
    pub fn likely(ping: &PingResult) -> Option<Self> {
        let times = Times::of(ping)?;
        times.fits().then(|| Self::of(ping, times.duration)).flatten()
    }

    /// Returns the middle of the interval in which the run began.
    pub fn midpoint(&self) -> i64 {
        self.sent + (self.latest_start - self.sent) / 2
    }
}

/// The times of a ping that is evidence, in ns.
#[derive(Debug, Clone, Copy)]
struct Times {
    sent: i64,
    received: i64,
    /// REPORT's Duration, reduced by its maximum error.
    duration: i64,
}

impl Times {
    fn of(ping: &PingResult) -> Option<Self> {
        if !ping.outcome.is_evidence() {
            return None;
        }
        // A report's duration is at most 1e9 ms, so the error of the cast is below the precision of the report.
        let reported = (ping.report.as_ref()?.duration_ms * 1e6) as i64;
        Some(Self {
            sent: nanoseconds(ping.sent)?,
            received: nanoseconds(ping.received)?,
            duration: reduced(reported, REPORT_GRAIN_NS),
        })
    }

    /// Returns the time from request to answer, the maximum run before the answer.
    fn longest(&self) -> i64 {
        self.received - self.sent
    }

    fn fits(&self) -> bool {
        self.duration <= self.longest()
    }
}

/// Returns the minimum of a time in ns that was measured by another clock with the precision `grain`.
pub(super) fn reduced(measured: i64, grain: i64) -> i64 {
    (measured - grain - measured / CLOCK_RATES).max(0)
}

/// Returns the time in ns for which every handler of the attempt certainly ran before it answered; 0 without evidence.
///
/// Duration is not sufficient evidence, because an unknown part of it may be the work of an extension after the answer.
/// The hold is. Handlers kept it when none answered earlier, by Lambda's clock or by ours, because a handler that
/// ignores the hold is revealed by the first early answer. A duration that is longer than the time between request and
/// answer shows that an extension is at work, which may be the reason for long durations. The quickest ping must then
/// also have taken little more than the hold.
///
/// A handler that ignores the hold is mistaken for one that keeps it only if every answer came later than the hold over
/// a slow network, while an extension worked for longer than the hold after each, but never for longer than the network
/// took.
pub(super) fn held(attempt: &Attempt) -> i64 {
    let Some(hold) = attempt.handler_hold.and_then(nanoseconds) else { return 0 };
    let least = reduced(hold, TIMER_GRAIN_NS);
    let times = || attempt.pings.iter().filter_map(Times::of);
    let Some(quickest) = times().map(|times| times.duration).min() else { return 0 };
    if quickest < least || times().any(|times| times.longest() < least) {
        return 0;
    }
    let requested = attempt.hold.and_then(nanoseconds).unwrap_or(hold).max(hold);
    let little_more = quickest <= requested + (requested / 4).max(BESIDES_HOLD_NS);
    if little_more || times().all(|times| times.fits()) { least } else { 0 }
}

/// Returns true if neither the duration of a ping nor its answer contradicts that the handler kept `hold`. No proof,
/// unlike [`held`]: an extension that works on after the answer makes the duration longer.
pub(super) fn may_have_kept(ping: &PingResult, hold: Duration) -> bool {
    let least = nanoseconds(hold).map(|hold| reduced(hold, TIMER_GRAIN_NS));
    let times = Times::of(ping).map(|times| times.duration.min(times.longest()));
    times.zip(least).is_some_and(|(time, least)| time >= least)
}

pub(super) fn nanoseconds(offset: Duration) -> Option<i64> {
    let ns = offset.as_nanos();
    if ns > MAX_OFFSET_NS { None } else { i64::try_from(ns).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::Outcome;
    use crate::domain::round::model::{attempt, ping};

    /// Returns true if pings with an answer after `received` ms and a duration of `duration` ms prove a hold of 100 ms.
    fn proves_hold(pings: &[(f64, f64)]) -> bool {
        let pings = pings.iter().map(|(received, duration)| ping(Outcome::Warm, 0.0, *received, *duration));
        let hold = Some(Duration::from_millis(100));
        let held = held(&Attempt { hold, handler_hold: hold, ..attempt(pings) });
        // The hold less 1 ms and a ten-thousandth.
        assert!([0, 98_990_000].contains(&held), "{held}");
        held > 0
    }

    #[test]
    fn held_requires_that_no_answer_is_early() {
        assert!(proves_hold(&[(130.0, 100.2), (160.0, 101.0)]));
        assert!(proves_hold(&[(130.0, 99.5)]), "a timer that fired early");
        assert!(proves_hold(&[(4_020.0, 4_000.0), (160.0, 120.0)]), "a slow handler");
        assert!(!proves_hold(&[(130.0, 100.2), (160.0, 2.0)]), "a duration is shorter than the hold");
        assert!(!proves_hold(&[(130.0, 100.2), (40.0, 400.0)]), "an answer is earlier than the hold");
        // An extension of 15 ms leaves the hold proven, one of 300 ms does not.
        assert!(proves_hold(&[(103.0, 115.2), (104.0, 115.3)]));
        assert!(!proves_hold(&[(103.0, 400.2), (160.0, 400.3)]));
        assert!(!proves_hold(&[]));
        let none = attempt([ping(Outcome::Warm, 0.0, 130.0, 100.2)]);
        assert_eq!(held(&none), 0, "no hold was requested");
    }

    #[test]
    fn run_is_limited_to_certain_time() {
        let run = |received, duration, held| {
            let run = BusyInterval::of(&ping(Outcome::Warm, 0.0, received, duration), held)?;
            Some((run.latest_start, run.earliest_end, run.busy))
        };
        let ms = 1_000_000;
        // 50 ms less 10 µs and a ten-thousandth.
        let busy = 49_985_000;
        assert_eq!(run(60.0, 50.0, 0), Some((60 * ms, busy, busy)), "all of it may be after the answer");
        assert_eq!(run(60.0, 50.0, 40 * ms), Some((20 * ms, busy, busy)));
        assert_eq!(run(60.0, 50.0, 90 * ms), Some((60 * ms - busy, busy, busy)));
        // The duration is too long, so only the hold is certain.
        assert_eq!(run(60.0, 70.0, 40 * ms), Some((20 * ms, 40 * ms, 40 * ms)));
        assert_eq!(run(60.0, 70.0, 0), None);
    }
}
