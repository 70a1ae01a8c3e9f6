//! How an invocation's time is divided.

use std::time::Duration;

/// The most that is kept for the report: metrics, state and what is handed on, each with its repetitions.
const MOST_FOR_REPORT: Duration = Duration::from_secs(15);
/// The most that the last released rounds are given to end, before that.
const MOST_FOR_ROUNDS: Duration = Duration::from_secs(30);

/// When to stop releasing rounds and when to stop waiting for them, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Nothing is released after this.
    pub release: Duration,
    /// Nothing is waited for after this: what is left is for the report.
    pub wait: Duration,
}

/// Divides what is left of an invocation: a tenth of it for the last rounds and a tenth for the report, when it is
/// short; fixed times when it is long.
pub fn divide(left: Duration) -> Share {
    let tenth = left / 10;
    let wait = left.saturating_sub(tenth.min(MOST_FOR_REPORT));
    Share { release: wait.saturating_sub(tenth.min(MOST_FOR_ROUNDS)), wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_always_has_time() {
        let of = |seconds| {
            let Share { release, wait } = divide(Duration::from_secs(seconds));
            (release.as_secs(), wait.as_secs())
        };
        assert_eq!(of(900), (855, 885));
        assert_eq!(of(60), (48, 54));
        assert_eq!(of(10), (8, 9));
        assert_eq!(of(0), (0, 0));
    }
}
