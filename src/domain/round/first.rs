//! The pings that precede a round.

use std::time::Duration;

use super::{Attempt, Outcome, PingResult};
use crate::domain::text::elapsed;

/// A ping that precedes a round. The round follows if it goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstPing {
    /// Its purpose.
    pub purpose: Purpose,
    /// For a handler without trust: the longest warm run beyond the hold.
    pub canary: Option<Duration>,
}

/// The purpose of a first ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To learn whether the handler takes it for work.
    Contact,
    /// To wake an inactive function.
    Wake,
    /// To learn whether a target with an open breaker works again.
    Retry,
}

impl Purpose {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Wake => "wake",
            Self::Retry => "retry",
        }
    }

    /// Returns the explanation.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Contact => "its handler was not pinged before with this code, protocol and payload",
            Self::Wake => "the function is inactive, and the ping wakes it",
            Self::Retry => "its last rounds failed entirely, and the ping tries again",
        }
    }
}

/// The conclusion from the first pings of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstResult {
    /// The round follows.
    Well,
    /// Another ping is needed: the first met a new environment, whose init hides how long the handler took.
    Again,
    /// The round does not follow.
    Failed,
    /// The handler took the ping for work; the reason.
    Unsafe(String),
}

/// Returns the conclusion from first pings, each an attempt of its own. `hold` is the time that a handler of the
/// protocol keeps its environment busy.
pub fn conclude(first: &FirstPing, pings: &[Attempt], hold: Duration) -> FirstResult {
    let Some(last) = pings.last().and_then(|attempt| attempt.pings.last()) else { return FirstResult::Again };
    let Some(max) = first.canary else {
        return if last.outcome.is_failure() { FirstResult::Failed } else { FirstResult::Well };
    };
    let longest = hold.saturating_add(max);
    match &last.outcome {
        // Without the message, which may repeat the payload.
        Outcome::FunctionError { kind } => {
            FirstResult::Unsafe(format!("the handler failed on a ping: {kind}"))
        }
        Outcome::TimedOut => FirstResult::Unsafe("the handler did not answer a ping in time".to_owned()),
        Outcome::Throttled { .. }
        | Outcome::Denied
        | Outcome::NotFound
        | Outcome::Inactive { .. }
        | Outcome::Failed { .. } => FirstResult::Failed,
        Outcome::Cold | Outcome::Preinitialized | Outcome::Restored if pings.len() == 1 => FirstResult::Again,
        Outcome::Warm
        | Outcome::Cold
        | Outcome::Preinitialized
        | Outcome::Restored
        | Outcome::Unclassified => match run(last) {
            run if run <= longest => FirstResult::Well,
            // The environment may have been new.
            _ if last.outcome == Outcome::Unclassified && pings.len() == 1 => FirstResult::Again,
            run => {
                let (run, longest) = (elapsed(run), elapsed(longest));
                FirstResult::Unsafe(format!("the handler ran {run} on a ping, expected at most {longest}"))
            }
        },
    }
}

/// Returns the duration of a run: that of the REPORT line, otherwise the time to the answer, which is an upper bound.
fn run(ping: &PingResult) -> Duration {
    let reported =
        ping.report.as_ref().and_then(|report| Duration::try_from_secs_f64(report.duration_ms / 1e3).ok());
    reported.unwrap_or_else(|| ping.received.saturating_sub(ping.sent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::model::ping;

    #[test]
    fn a_first_ping_shows_whether_the_handler_works_on_it() {
        let hold = Duration::from_millis(100);
        let ms = |outcome, ran: f64| Attempt {
            pings: vec![ping(outcome, 0.0, ran + 10.0, ran)],
            ..Attempt::default()
        };
        let contact = FirstPing { purpose: Purpose::Contact, canary: Some(Duration::from_secs(1)) };
        let of = |attempts: &[Attempt]| conclude(&contact, attempts, hold);
        assert_eq!(of(&[ms(Outcome::Warm, 1_100.0)]), FirstResult::Well);
        let FirstResult::Unsafe(reason) = of(&[ms(Outcome::Warm, 1_101.0)]) else { panic!() };
        assert_eq!(reason, "the handler ran 1s 101ms on a ping, expected at most 1s 100ms");
        let cold = ms(Outcome::Cold, 9_000.0);
        assert_eq!(of(std::slice::from_ref(&cold)), FirstResult::Again);
        assert_eq!(of(&[cold.clone(), ms(Outcome::Warm, 100.0)]), FirstResult::Well);
        assert!(matches!(of(&[cold, ms(Outcome::Warm, 5_000.0)]), FirstResult::Unsafe(_)));
        let error = Outcome::FunctionError { kind: "TypeError".to_owned() };
        for outcome in [error, Outcome::TimedOut] {
            assert!(matches!(of(&[ms(outcome, 5.0)]), FirstResult::Unsafe(_)));
        }
        for outcome in [Outcome::Throttled { reason: None }, Outcome::Denied, Outcome::NotFound] {
            assert_eq!(of(&[ms(outcome, 0.0)]), FirstResult::Failed);
        }
        let retry = FirstPing { purpose: Purpose::Retry, canary: None };
        assert_eq!(conclude(&retry, &[ms(Outcome::Warm, 60_000.0)], hold), FirstResult::Well);
    }
}
