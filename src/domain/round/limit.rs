//! The timeout of an answer, and the pause of a target after an answer that never came.

use std::time::Duration;

use super::{Attempt, Outcome, PingResult};

/// The longest run of a function (Lambda quotas), and the longest wait for a function whose timeout is not configured.
const LONGEST: Duration = Duration::from_secs(900);
/// The allowance beyond a configured timeout: an init of 10 s that does not count towards it, and the
/// network.
const MARGIN: Duration = Duration::from_secs(20);
/// The allowance beyond the hold and the init when no timeout is configured.
const WORK: Duration = Duration::from_secs(30);
/// The limit before an init was observed. Cold starts of 90 s have been measured for functions that load large models.
const BEFORE_ANY_INIT: Duration = Duration::from_secs(180);
/// Pauses double up to 2^10 times the first. The longest pause is reached long before.
const MOST_DOUBLINGS: u32 = 10;

/// The history of one target's answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerTimes {
    /// The longest init or restore in a REPORT line.
    longest_init: Option<Duration>,
    /// Consecutive rounds with a ping that was not answered in time.
    unanswered: u32,
}

impl AnswerTimes {
    /// Returns the time limit of a ping with this `hold`, from its release.
    ///
    /// It is the configured timeout and 20 s more. Without one it is the hold, twice the longest init and 30 s; before
    /// an init was observed 180 s, doubled after each round that exceeded it, up to 15 minutes.
    pub fn limit(&self, timeout: Option<Duration>, hold: Duration) -> Duration {
        match (timeout, self.longest_init) {
            (Some(timeout), _) => timeout + MARGIN,
            (None, Some(init)) => (hold + init * 2 + WORK).min(LONGEST + MARGIN),
            (None, None) => BEFORE_ANY_INIT.saturating_mul(doublings(self.unanswered)).min(LONGEST),
        }
    }

    /// Adds a round's attempts.
    pub fn record(&mut self, attempts: &[Attempt]) {
        let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
        let init = pings()
            .filter_map(|ping| ping.report.as_ref())
            .filter_map(|report| report.init_ms.into_iter().chain(report.restore_ms).reduce(f64::max))
            .filter(|ms| ms.is_finite() && *ms >= 0.0)
            .map(|ms| Duration::try_from_secs_f64(ms / 1e3).unwrap_or(LONGEST).min(LONGEST))
            .max();
        self.longest_init = self.longest_init.max(init);
        self.unanswered = if pings().any(is_unanswered) { self.unanswered.saturating_add(1) } else { 0 };
    }

    /// Returns the pause of the target, from the release of a round with an unanswered ping; `None` if every ping was
    /// answered. Lambda continues a run after the caller has stopped waiting. The pause is the configured timeout;
    /// without one two intervals, doubled with each consecutive such round, up to 15 minutes.
    pub fn pause(&self, timeout: Option<Duration>, interval: Duration) -> Option<Duration> {
        let doublings = doublings(self.unanswered.checked_sub(1)?);
        Some(timeout.unwrap_or_else(|| interval.saturating_mul(2).saturating_mul(doublings).min(LONGEST)))
    }
}

fn doublings(times: u32) -> u32 {
    2_u32.pow(times.min(MOST_DOUBLINGS))
}

/// Returns true if the ping may still run: its end is unknown.
fn is_unanswered(ping: &PingResult) -> bool {
    // The timeout of the function is a timed-out ping too, but with an answer: that invocation has ended.
    ping.outcome == Outcome::TimedOut && ping.report.is_none() && ping.version.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::model::{attempt, ping};

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn round(outcomes: &[Outcome]) -> Attempt {
        attempt(outcomes.iter().map(|outcome| ping(outcome.clone(), 0.0, 100.0, 50.0)))
    }

    #[test]
    fn a_configured_timeout_is_the_limit_with_a_margin() {
        let times = AnswerTimes::default();
        assert_eq!(times.limit(Some(secs(3)), secs(1)), secs(23));
        assert_eq!(times.limit(Some(secs(900)), secs(1)), secs(920));
        assert_eq!(times.pause(Some(secs(3)), secs(300)), None, "nothing is unanswered");
    }

    #[test]
    fn without_a_timeout_the_longest_init_counts() {
        let mut times = AnswerTimes::default();
        assert_eq!(times.limit(None, secs(1)), secs(180));
        times.record(&[round(&[Outcome::Warm])]);
        assert_eq!(times.limit(None, secs(1)), secs(180), "no init was observed");
        let mut cold = round(&[Outcome::Cold, Outcome::Cold, Outcome::Restored]);
        for (ping, init) in cold.pings.iter_mut().zip([8_000.0, 2_000.0]) {
            ping.report.as_mut().unwrap().init_ms = Some(init);
        }
        times.record(&[cold]);
        assert_eq!(times.limit(None, secs(1)), secs(1 + 16 + 30));
        times.record(&[round(&[Outcome::Cold])]);
        assert_eq!(times.limit(None, secs(1)), secs(1 + 16 + 30), "the longest is kept");
    }

    #[test]
    fn unanswered_rounds_double_limit_and_pause_up_to_fifteen_minutes() {
        let mut times = AnswerTimes::default();
        let mut seen = Vec::new();
        for _ in 0..5 {
            times.record(&[round(&[Outcome::Warm, Outcome::TimedOut])]);
            let pause = times.pause(None, secs(60)).unwrap();
            seen.push((times.limit(None, secs(1)).as_secs(), pause.as_secs()));
        }
        assert_eq!(seen, [(360, 120), (720, 240), (900, 480), (900, 900), (900, 900)]);
        assert_eq!(times.pause(Some(secs(40)), secs(60)), Some(secs(40)), "a configured timeout ends it");
        times.record(&[round(&[Outcome::Warm])]);
        assert_eq!((times.limit(None, secs(1)), times.pause(None, secs(60))), (secs(180), None));
    }

    #[test]
    fn the_timeout_of_the_function_itself_causes_no_pause() {
        let mut times = AnswerTimes::default();
        let mut ended = round(&[Outcome::TimedOut]);
        ended.pings[0].report = Some(crate::domain::report::Report::default());
        times.record(&[ended]);
        assert_eq!(times.pause(None, secs(60)), None);
    }

    #[test]
    fn absurd_inits_are_bounded() {
        let mut times = AnswerTimes::default();
        for init in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let mut cold = round(&[Outcome::Cold]);
            cold.pings[0].report.as_mut().unwrap().init_ms = Some(init);
            times.record(&[cold]);
        }
        assert_eq!(times.limit(None, Duration::MAX / 4), secs(920));
    }
}
