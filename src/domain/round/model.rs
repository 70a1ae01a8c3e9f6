//! A reference model of Lambda's environments, for tests, that knows the truth.
//!
//! It shares nothing with the evidence but the definition of a run. Environments run one invocation at a time, or
//! several where that is what a test is about; a request takes an idle environment or makes a new one; an extension may
//! work on after the answer, for a time that the caller does not know; what the caller sees are instants of its own and
//! REPORT lines as Lambda writes them.

mod properties;

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Attempt, Known, Outcome, PingResult, Proof, Ran};
use crate::domain::report::Report;

/// A ping sent and answered at these offsets, that ran for `duration`, all in ms.
pub(super) fn ping(outcome: Outcome, sent: f64, received: f64, duration: f64) -> PingResult {
    let report = outcome.is_evidence().then(|| Report {
        duration_ms: duration,
        billed_ms: duration.ceil() as u64,
        memory_mb: Some(128),
        init_ms: (outcome == Outcome::Cold).then_some(80.0),
        restore_ms: (outcome == Outcome::Restored).then_some(80.0),
        ..Report::default()
    });
    let ran = match outcome {
        Outcome::Throttled { .. } | Outcome::Denied | Outcome::NotFound | Outcome::Failed { .. } => Ran::No,
        Outcome::TimedOut => Ran::Maybe,
        _ => Ran::Yes,
    };
    PingResult {
        outcome,
        ran,
        sent: Duration::from_secs_f64(sent / 1e3),
        received: Duration::from_secs_f64(received / 1e3),
        report,
        environment: None,
        managed_instance: false,
        version: None,
        message: None,
    }
}

/// So many cases, and no file of regressions beside the crate: a case worth keeping becomes a test.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// An attempt of these pings, without a hold.
pub(super) fn attempt(pings: impl IntoIterator<Item = PingResult>) -> Attempt {
    Attempt { pings: pings.into_iter().collect(), ..Attempt::default() }
}

/// An attempt of these pings, by handlers that keep a hold of `hold` ms.
pub(super) fn kept(hold: f64, pings: impl IntoIterator<Item = PingResult>) -> Attempt {
    // By 1 ms more, which is how early a timer may fire, less what durations of 10 ms are shaved by.
    let hold = Some(Duration::from_secs_f64((hold + 0.98) / 1e3));
    Attempt { hold, handler_hold: hold, ..attempt(pings) }
}

fn proven(attempts: &[Attempt]) -> Proof {
    super::proven(attempts, Known::default())
}

/// Which idle environment a request is given. Lambda is known to take the newest; no bound may depend on it.
#[derive(Debug, Clone, Copy)]
enum Reuse {
    Newest,
    Oldest,
    Any,
}

/// One request, all times in µs.
#[derive(Debug, Clone)]
struct Request {
    sent: u64,
    way_there: u64,
    way_back: u64,
    /// How long the handler runs.
    runs: u64,
    /// The time that an extension works on after the handler has answered.
    works_on: u64,
    /// How long a cold start's init takes.
    init: u64,
    /// Picks among idle environments under [`Reuse::Any`].
    choice: usize,
    /// Whether the handler tells the environment's id.
    tells_id: bool,
    /// Whether Lambda rounds this REPORT's duration up or to the nearest hundredth.
    rounds_up: bool,
    /// Whether it is somebody else's: it occupies an environment and is not in the round.
    foreign: bool,
    /// Whether its log tail is lost.
    no_report: bool,
}

impl Request {
    /// A request of the round without extension, init, id or a fault of the log.
    fn plain(sent: u64, way_there: u64, way_back: u64, runs: u64) -> Self {
        Self {
            sent,
            way_there,
            way_back,
            runs,
            works_on: 0,
            init: 0,
            choice: 0,
            tells_id: false,
            rounds_up: false,
            foreign: false,
            no_report: false,
        }
    }
}

#[derive(Debug)]
struct Pool {
    /// For each environment and each invocation that it takes at once, the end of the last run, µs.
    free_from: Vec<Vec<u64>>,
    /// The number of invocations that an environment takes at once.
    at_once: usize,
}

/// What one attempt really did.
#[derive(Debug)]
struct Truth {
    attempt: Attempt,
    /// The environments that ran a ping of the round which is evidence.
    reached: HashSet<usize>,
}

impl Pool {
    fn with_idle(environments: usize) -> Self {
        Self::of(environments, 1)
    }

    fn of(environments: usize, at_once: usize) -> Self {
        Self { free_from: vec![vec![0; at_once]; environments], at_once }
    }

    /// All runs end, and a new clock begins: top-ups wait for every earlier ping.
    fn rest(&mut self) {
        self.free_from.iter_mut().flatten().for_each(|free_from| *free_from = 0);
    }

    fn idle_from(&self, environment: usize) -> u64 {
        self.free_from[environment].iter().copied().min().unwrap_or(0)
    }

    /// The environment that a request arriving at `now` gets, and whether it is new.
    fn take(&mut self, now: u64, reuse: Reuse, choice: usize) -> (usize, bool) {
        let mut idle: Vec<usize> = (0..self.free_from.len()).filter(|e| self.idle_from(*e) <= now).collect();
        idle.sort_by_key(|environment| self.idle_from(*environment));
        let taken = match reuse {
            Reuse::Newest => idle.last(),
            Reuse::Oldest => idle.first(),
            Reuse::Any if idle.is_empty() => None,
            Reuse::Any => idle.get(choice % idle.len()),
        };
        match taken {
            Some(environment) => (*environment, false),
            None => {
                self.free_from.push(vec![0; self.at_once]);
                (self.free_from.len() - 1, true)
            }
        }
    }

    fn run(&mut self, requests: &[Request], reuse: Reuse) -> Truth {
        let mut by_arrival: Vec<&Request> = requests.iter().collect();
        by_arrival.sort_by_key(|request| request.sent + request.way_there);
        let mut truth = Truth { attempt: Attempt::default(), reached: HashSet::new() };
        for request in by_arrival {
            let arrived = request.sent + request.way_there;
            let (environment, new) = self.take(arrived, reuse, request.choice);
            let began = arrived + if new { request.init } else { 0 };
            let answered = began + request.runs;
            let runs = request.runs + request.works_on;
            let slot = self.free_from[environment].iter_mut().min().unwrap();
            *slot = began + runs;
            if request.foreign {
                continue;
            }
            let hundredths = if request.rounds_up { runs.div_ceil(10) } else { (runs + 5) / 10 };
            let outcome = match (request.no_report, new) {
                (true, _) => Outcome::Unclassified,
                (false, true) => Outcome::Cold,
                (false, false) => Outcome::Warm,
            };
            if outcome.is_evidence() {
                truth.reached.insert(environment);
            }
            let mut ping = ping(
                outcome,
                request.sent as f64 / 1e3,
                (answered + request.way_back) as f64 / 1e3,
                hundredths as f64 / 100.0,
            );
            ping.environment = request.tells_id.then(|| format!("e{environment}"));
            truth.attempt.pings.push(ping);
        }
        truth
    }
}
