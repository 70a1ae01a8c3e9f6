//! The time that a trigger may take.

use std::future::pending;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::recorder::PATIENCE;
use crate::engine::stop::{Stop, stop};

/// The most time that is kept for the report: metrics, records and shards on the bus, each with its retries.
const MOST_FOR_REPORT: Duration = Duration::from_secs(15);
/// The most time that is kept for writing what CloudWatch did not acknowledge, and for the answer.
const MOST_FOR_LINES: Duration = Duration::from_secs(1);
/// The most time that the last released rounds have to end.
const MOST_FOR_ROUNDS: Duration = Duration::from_secs(30);

/// The time that a trigger may take: until a signal to stop, or a fixed time.
#[derive(Debug)]
pub struct TimeBudget {
    stop: Stop,
    end: End,
    /// Signals the release deadline of a fixed time. Ends with the budget.
    _timer: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// Rounds in flight and their records have this time after the signal to stop; none means any time.
    AfterStop(Option<Duration>),
    /// The deadlines count from this instant.
    Fixed(Instant, Split),
}

impl TimeBudget {
    /// Creates a budget without a limit until `stop` is signalled. Afterwards rounds in flight have half of `grace` to
    /// end, and the rest is left to their records; none means that they always run to their end.
    pub fn until_stopped(stop: Stop, grace: Option<Duration>) -> Self {
        Self { stop, end: End::AfterStop(grace), _timer: JoinSet::new() }
    }

    /// Creates a budget of a fixed time from now, such as the time that is left of a Lambda invocation.
    pub fn fixed(left: Duration) -> Self {
        let (stopper, stop) = stop();
        let (start, split) = (Instant::now(), split(left));
        let mut timer = JoinSet::new();
        timer.spawn(async move {
            sleep_until(start + split.release).await;
            stopper.stop();
        });
        Self { stop, end: End::Fixed(start, split), _timer: timer }
    }

    /// The signal after which no round is released.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Completes when rounds in flight are no longer waited for.
    pub(super) async fn cutoff(&self) {
        match self.end {
            End::AfterStop(None) => pending().await,
            End::AfterStop(Some(grace)) => {
                let since = self.stop.clone().stopped().await;
                sleep_until(since + grace / 2).await;
            }
            End::Fixed(start, split) => sleep_until(start + split.wait).await,
        }
    }

    /// Returns true if a first part that is reported at `at` leaves enough time for the rest.
    pub(super) fn allows_part(&self, at: Instant) -> bool {
        match self.end {
            End::AfterStop(_) => true,
            End::Fixed(start, split) => at < start + split.release,
        }
    }

    /// Returns a deadline of a fixed time, the end of the grace, or [`PATIENCE`] from now, whichever is earliest.
    pub(super) fn until(&self, deadline: impl Fn(Split) -> Duration) -> Instant {
        let now = Instant::now();
        let latest = now + PATIENCE;
        match self.end {
            End::AfterStop(None) => latest,
            // While nothing has been signalled yet, the signal may come while the part is recorded.
            End::AfterStop(Some(grace)) => latest.min(self.stop.since().unwrap_or(now) + grace * 9 / 10),
            End::Fixed(start, split) => latest.min(start + deadline(split)),
        }
    }
}

/// The deadlines of a fixed time, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// Rounds are released, and shards of a large tick are put on the bus, until then.
    pub release: Duration,
    /// Rounds in flight are waited for, and the first part is recorded, until then. The rest is for the report.
    pub wait: Duration,
    /// Unreleased rounds are put on the bus until then.
    pub hand_on: Duration,
    /// Events that answer a request are put on the bus until then.
    pub notify: Duration,
    /// CloudWatch is waited for until then. The rest is for the lines with what it did not acknowledge.
    pub record: Duration,
}

/// Splits a time: a tenth for the last rounds and a tenth for the report when it is short; fixed times when it is long.
fn split(left: Duration) -> Split {
    let tenth = left / 10;
    let report = tenth.min(MOST_FOR_REPORT);
    let wait = left.saturating_sub(report);
    Split {
        release: wait.saturating_sub(tenth.min(MOST_FOR_ROUNDS)),
        wait,
        hand_on: wait + report / 3,
        notify: wait + report / 2,
        record: wait + report - (report / 4).min(MOST_FOR_LINES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_time_left() {
        let of = |seconds| {
            let Split { release, wait, .. } = split(Duration::from_secs(seconds));
            (release.as_secs(), wait.as_secs())
        };
        assert_eq!(of(900), (855, 885));
        assert_eq!(of(60), (48, 54));
        assert_eq!(of(10), (8, 9));
        assert_eq!(of(0), (0, 0));
    }

    #[test]
    fn each_part_of_the_report_ends_before_the_deadline() {
        let of = |seconds| {
            let Split { wait, hand_on, notify, record, .. } = split(Duration::from_secs(seconds));
            [wait, hand_on, notify, record].map(|end| end.as_millis())
        };
        assert_eq!(of(900), [885_000, 890_000, 892_500, 899_000]);
        assert_eq!(of(60), [54_000, 56_000, 57_000, 59_000]);
        assert_eq!(of(10), [9_000, 9_333, 9_500, 9_750]);
        assert_eq!(of(0), [0, 0, 0, 0]);
    }
}
