//! The starts of new environments: whether a request waited for the whole init.
//!
//! Lambda also initialises environments ahead of demand, so an Init Duration in a REPORT line does not prove that
//! anybody waited. An environment whose init began after the request cannot answer before the init and the hold are
//! over. If the answer came sooner, a part of the init came before the request. The conclusion is one-sided: other
//! pings may have met such an environment too.
//!
//! The hold counts only where a warm ping of the attempt shows that the handlers kept it. An answer after an init is
//! late in any case, and an extension that works on after the answer makes the duration as long as a hold.

use std::time::Duration;

use super::busy_interval::{REPORT_GRAIN_NS, held, may_have_kept, nanoseconds, reduced};
use super::{Attempt, Outcome, PingResult};

impl Attempt {
    /// Marks the cold pings whose init began before the request as preinitialized. All pings of the attempt must have
    /// ended, because together they show whether the handlers kept the hold.
    pub fn with_starts(mut self) -> Self {
        let held = certain_hold(&self);
        for ping in self.pings.iter_mut().filter(|ping| ping.outcome == Outcome::Cold) {
            if init_began_before(ping, held) {
                ping.outcome = Outcome::Preinitialized;
            }
        }
        self
    }
}

/// Returns the time for which every handler of the attempt certainly ran before it answered, see [`held`]. Zero without
/// a warm ping.
pub(super) fn certain_hold(attempt: &Attempt) -> Duration {
    let has_warm = attempt.pings.iter().any(|ping| ping.outcome == Outcome::Warm);
    let ns = if has_warm { held(attempt) } else { 0 };
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

/// Returns the longest time that a request can have waited for the handler, network included. `held` is that of the
/// attempt.
pub(super) fn waited(ping: &PingResult, held: Duration) -> Duration {
    ping.received.saturating_sub(ping.sent).saturating_sub(held)
}

/// Returns the time that a request of the attempt probably waited for the handler, network included: without the hold if
/// the handler may have kept it. Unlike [`waited`], it is neither a lower nor an upper bound.
pub(super) fn probably_waited(ping: &PingResult, attempt: &Attempt) -> Duration {
    let kept = attempt.handler_hold.filter(|hold| may_have_kept(ping, *hold));
    waited(ping, kept.unwrap_or_default())
}

/// Returns true if the init in the REPORT line certainly began before the request. `held` is that of the attempt.
pub(super) fn init_began_before(ping: &PingResult, held: Duration) -> bool {
    let init_ms = ping.report.as_ref().and_then(|report| report.init_ms);
    // A report has at most 1e9 ms, so the error of the cast is below the precision of the report.
    let least = init_ms.map(|ms| reduced((ms * 1e6) as i64, REPORT_GRAIN_NS));
    least.zip(nanoseconds(waited(ping, held))).is_some_and(|(init, waited)| waited < init)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::model::{attempt, ping};
    use crate::domain::round::{Known, RoundReport};

    /// Returns a cold ping with an answer after `received` ms, whose handler ran for `duration` and init for `init` ms.
    fn cold(received: f64, duration: f64, init: f64) -> PingResult {
        let mut ping = ping(Outcome::Cold, 0.0, received, duration);
        ping.report.as_mut().unwrap().init_ms = Some(init);
        ping
    }

    fn outcomes(attempt: Attempt) -> Vec<Outcome> {
        attempt.with_starts().pings.into_iter().map(|ping| ping.outcome).collect()
    }

    /// Returns true if the init of `new` came before, in part, with a hold of 100 ms and `others` in the attempt.
    fn is_ahead(new: PingResult, others: &[PingResult]) -> bool {
        let hold = Some(Duration::from_millis(100));
        let pings = others.iter().cloned().chain([new]);
        let outcomes = outcomes(Attempt { hold, handler_hold: hold, ..attempt(pings) });
        assert!(outcomes.iter().rev().skip(1).all(|outcome| *outcome == Outcome::Warm));
        *outcomes.last().unwrap() == Outcome::Preinitialized
    }

    #[test]
    fn an_answer_before_the_end_of_an_init_shows_that_it_began_before_the_request() {
        let of = |received, init| outcomes(attempt([cold(received, 2.0, init)]));
        assert_eq!(of(400.0, 250.0), [Outcome::Cold]);
        assert_eq!(of(250.0, 250.0), [Outcome::Cold]);
        // REPORT may have rounded the init up, and the clocks may differ by a ten-thousandth: 35 µs.
        assert_eq!(of(249.97, 250.0), [Outcome::Cold]);
        assert_eq!(of(249.96, 250.0), [Outcome::Preinitialized]);
        assert_eq!(of(2.0, 250.0), [Outcome::Preinitialized]);
    }

    #[test]
    fn a_hold_that_warm_pings_prove_is_no_wait() {
        let warm = |received, duration| ping(Outcome::Warm, 0.0, received, duration);
        let new = || cold(300.0, 100.2, 250.0);
        assert!(is_ahead(new(), &[warm(103.0, 100.2)]));
        assert!(!is_ahead(cold(349.0, 100.2, 250.0), &[warm(103.0, 100.2)]), "a timer may fire 1 ms early");
        assert!(is_ahead(cold(348.9, 100.2, 250.0), &[warm(103.0, 100.2)]));
        // The handler may have ignored the hold, and an extension worked after the answer.
        assert!(!is_ahead(new(), &[]));
        assert!(!is_ahead(new(), &[warm(3.0, 101.0)]));
        assert!(!is_ahead(new(), &[warm(103.0, 2.0)]));
        assert!(is_ahead(cold(240.0, 101.0, 250.0), &[warm(3.0, 101.0)]), "sooner than the init alone");
    }

    #[test]
    fn only_cold_pings_are_marked() {
        let ahead = || cold(5.0, 2.0, 250.0);
        let failed = PingResult { outcome: Outcome::FunctionError { kind: "E".to_owned() }, ..ahead() };
        let restored = PingResult { outcome: Outcome::Restored, ..ahead() };
        let silent = PingResult { outcome: Outcome::Unclassified, report: None, ..ahead() };
        let pings = [failed, restored, silent];
        let before: Vec<Outcome> = pings.iter().map(|ping| ping.outcome.clone()).collect();
        assert_eq!(outcomes(attempt(pings)), before);
        let late = PingResult { received: Duration::from_secs(90_000), ..cold(5.0, 2.0, 1e9) };
        assert_eq!(outcomes(attempt([late])), [Outcome::Cold], "an implausible time");
    }

    #[test]
    fn a_report_has_the_longest_wait_and_the_semi_cold_starts() {
        let pings = || [cold(5.25, 2.0, 250.0), cold(40.0, 2.0, 250.0), cold(300.0, 2.0, 250.0)];
        let known = |ms| Known { semi_cold_below: Some(Duration::from_millis(ms)), ..Known::default() };
        let report = |known| RoundReport::new(3, &[attempt(pings()).with_starts()], true, known);
        let unknown = report(Known::default());
        let counts = unknown.counts;
        assert_eq!((counts.cold, counts.preinitialized, counts.semi_cold), (1, 2, None));
        assert_eq!(unknown.waited_at_most, Some(Duration::from_millis(40)));
        assert_eq!(
            (unknown.reached, unknown.cold_starts),
            (Some(3), Some(3)),
            "new environments all the same"
        );
        assert_eq!(report(known(300)).counts.semi_cold, Some(0));
        assert_eq!(report(known(301)).counts.semi_cold, Some(1));
        let warm = RoundReport::new(1, &[attempt([ping(Outcome::Warm, 0.0, 5.0, 1.0)])], true, known(300));
        assert_eq!((warm.waited_at_most, warm.counts.semi_cold), (None, Some(0)));
    }

    #[test]
    fn a_semi_cold_start_is_below_the_threshold_without_the_hold_if_the_handler_may_have_kept_it() {
        let hold = Some(Duration::from_secs(2));
        let known = Known { semi_cold_below: Some(Duration::from_millis(900)), ..Known::default() };
        let semi_cold = |pings: &[PingResult]| {
            let attempt = Attempt { hold, handler_hold: hold, ..attempt(pings.iter().cloned()) };
            RoundReport::new(1, &[attempt.with_starts()], true, known).counts.semi_cold
        };
        // The first round after a deployment: no ping is warm.
        assert_eq!(semi_cold(&vec![cold(2_300.0, 2_000.4, 250.0); 10]), Some(10));
        assert_eq!(semi_cold(&[cold(2_899.0, 2_000.4, 250.0), cold(2_901.0, 2_000.4, 250.0)]), Some(1));
        assert_eq!(semi_cold(&[cold(2_300.0, 1_500.0, 250.0)]), Some(0), "the handler ignored the hold");
        assert_eq!(
            semi_cold(&[cold(1_500.0, 2_000.4, 250.0)]),
            Some(0),
            "an extension worked after the answer"
        );
        assert_eq!(semi_cold(&[cold(899.0, 2.0, 250.0)]), Some(1));
    }
}
