//! How an invocation's time is divided.

use std::time::Duration;

/// The most that is kept for the report: metrics, state and what is handed on, each with its repetitions.
const MOST_FOR_REPORT: Duration = Duration::from_secs(15);
/// The most that is kept for writing down what CloudWatch did not acknowledge, and for the answer.
const MOST_FOR_LINES: Duration = Duration::from_secs(1);
/// The most that the last released rounds are given to end, before that.
const MOST_FOR_ROUNDS: Duration = Duration::from_secs(30);

/// When to stop releasing rounds and when to stop waiting for them, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Nothing is released after this.
    pub release: Duration,
    /// Nothing is waited for after this: what is left is for the report.
    pub wait: Duration,
    /// Unreleased rounds are put on the bus until then.
    pub hand_on: Duration,
    /// Events for requesters are put on the bus until then.
    pub tell: Duration,
    /// CloudWatch is waited for until then. What is left is for the lines with what it did not acknowledge.
    pub record: Duration,
}

/// Divides what is left of an invocation: a tenth of it for the last rounds and a tenth for the report, when it is
/// short; fixed times when it is long.
pub fn divide(left: Duration) -> Share {
    let tenth = left / 10;
    let report = tenth.min(MOST_FOR_REPORT);
    let wait = left.saturating_sub(report);
    Share {
        release: wait.saturating_sub(tenth.min(MOST_FOR_ROUNDS)),
        wait,
        hand_on: wait + report / 3,
        tell: wait + report / 2,
        record: wait + report - (report / 4).min(MOST_FOR_LINES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_always_has_time() {
        let of = |seconds| {
            let Share { release, wait, .. } = divide(Duration::from_secs(seconds));
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
            let Share { wait, hand_on, tell, record, .. } = divide(Duration::from_secs(seconds));
            [wait, hand_on, tell, record].map(|end| end.as_millis())
        };
        assert_eq!(of(900), [885_000, 890_000, 892_500, 899_000]);
        assert_eq!(of(60), [54_000, 56_000, 57_000, 59_000]);
        assert_eq!(of(10), [9_000, 9_333, 9_500, 9_750]);
        assert_eq!(of(0), [0, 0, 0, 0]);
    }
}
