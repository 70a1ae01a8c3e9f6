//! When a ping's run can have been, in whole nanoseconds, so that no rounding lifts a bound above the truth.

use std::time::Duration;

use super::PingResult;

/// REPORT gives the duration to a hundredth of a millisecond, maybe rounded up by as much: 10 µs.
const REPORT_GRAIN_NS: i64 = 10_000;

/// The most by which Lambda's clock and ours may differ in rate: one part in ten thousand, five times what an
/// undisciplined quartz does.
const CLOCK_RATES: i64 = 10_000;

/// Offsets beyond a day are not believed; sums over all pings then stay far from overflow.
const LATEST_NS: u128 = 86_400_000_000_000;

/// What is known of one ping's run in its environment: it took `busy` without a break, somewhere between `sent` and
/// `received`. Offsets from the attempt's release, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The run began no earlier.
    pub sent: i64,
    /// The run began no later: `received − busy`.
    pub latest_start: i64,
    /// The run ended no earlier: `sent + busy`.
    pub earliest_end: i64,
    /// How long the run surely took: never more than the truth.
    pub busy: i64,
    /// Whether the environment was made for this run, and so had never run before.
    pub is_new: bool,
}

impl Run {
    /// The run of a ping that is evidence and told its duration. None when the duration does not fit between request
    /// and answer: one of the clocks is wrong, and the ping tells nothing about time.
    pub fn of(ping: &PingResult) -> Option<Self> {
        if !ping.outcome.is_evidence() {
            return None;
        }
        let sent = nanoseconds(ping.sent)?;
        let received = nanoseconds(ping.received)?;
        // A Report's duration is at most 1e9 ms, so the cast is exact enough: less than the grain.
        let told = (ping.report.as_ref()?.duration_ms * 1e6) as i64;
        let busy = (told - REPORT_GRAIN_NS - told / CLOCK_RATES).max(0);
        (busy <= received - sent).then_some(Self {
            sent,
            latest_start: received - busy,
            earliest_end: sent + busy,
            busy,
            is_new: ping.outcome.is_new(),
        })
    }

    /// The middle of the stretch in which the run began.
    pub fn midpoint(&self) -> i64 {
        self.sent + (self.latest_start - self.sent) / 2
    }
}

fn nanoseconds(offset: Duration) -> Option<i64> {
    let ns = offset.as_nanos();
    if ns > LATEST_NS { None } else { i64::try_from(ns).ok() }
}
