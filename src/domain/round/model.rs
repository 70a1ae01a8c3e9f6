//! A reference model of Lambda's environments for tests. It counts the environments that a round really reached.
//!
//! It shares only the definition of a run with the product. Environments run one invocation at a time, or several in
//! some tests. A request takes an idle environment or creates a new one. An extension may work after the answer for an
//! unknown time. The caller observes its own instants and REPORT lines as Lambda writes them.

mod properties;

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Attempt, Initialization, Known, Outcome, PingResult, Proof, Ran};
use crate::domain::report::Report;

/// Returns a ping that was sent and answered at these offsets and ran for `duration`, in ms.
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
        Outcome::Throttled { .. }
        | Outcome::Denied
        | Outcome::NotFound
        | Outcome::Inactive { .. }
        | Outcome::Failed { .. } => Ran::No,
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
        initialization: None,
        version: None,
        message: None,
    }
}

/// Returns a configuration without a file of regressions. Relevant cases become tests.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Returns an attempt without a hold.
pub(super) fn attempt(pings: impl IntoIterator<Item = PingResult>) -> Attempt {
    Attempt { pings: pings.into_iter().collect(), ..Attempt::default() }
}

/// Returns an attempt whose handlers keep a hold of `hold` ms.
pub(super) fn kept(hold: f64, pings: impl IntoIterator<Item = PingResult>) -> Attempt {
    // The tolerance of timers is 1 ms, and durations are reduced by about 20 µs.
    let hold = Some(Duration::from_secs_f64((hold + 0.98) / 1e3));
    Attempt { hold, handler_hold: hold, ..attempt(pings) }
}

fn proven(attempts: &[Attempt]) -> Proof {
    super::proven(attempts, Known::default())
}

/// The idle environment that a request gets. Lambda takes the newest, but bounds must not depend on it.
#[derive(Debug, Clone, Copy)]
enum Reuse {
    Newest,
    Oldest,
    Any,
}

/// A request, with times in µs.
#[derive(Debug, Clone)]
struct Request {
    sent: u64,
    latency_there: u64,
    latency_back: u64,
    /// The duration of the handler.
    runs: u64,
    /// The time for which an extension works after the answer.
    works_on: u64,
    /// The init time of a cold start.
    init: u64,
    /// The choice among idle environments with [`Reuse::Any`].
    choice: usize,
    /// True if the answer contains the environment's id.
    has_id: bool,
    /// True if Lambda rounds the reported duration up, false if it rounds to the nearest hundredth.
    rounds_up: bool,
    /// True if the request occupies an environment but does not belong to the round.
    foreign: bool,
    /// True if the log tail is missing.
    no_report: bool,
}

impl Request {
    /// Returns a request of the round without extension, init or id.
    fn plain(sent: u64, latency_there: u64, latency_back: u64, runs: u64) -> Self {
        Self {
            sent,
            latency_there,
            latency_back,
            runs,
            works_on: 0,
            init: 0,
            choice: 0,
            has_id: false,
            rounds_up: false,
            foreign: false,
            no_report: false,
        }
    }
}

#[derive(Debug)]
struct Pool {
    /// For each environment and each of its slots, the end of the last run in µs.
    free_from: Vec<Vec<u64>>,
    /// The number of slots: invocations that an environment runs at the same time.
    at_once: usize,
    /// True for each of the first environments that is provisioned and unused.
    provisioned: Vec<bool>,
}

/// The true result of an attempt.
#[derive(Debug)]
struct Truth {
    attempt: Attempt,
    /// The environments that ran a ping of the round with evidence.
    reached: HashSet<usize>,
    /// The environments that the pings of the round created.
    created: u32,
}

impl Pool {
    fn with_idle(environments: usize) -> Self {
        Self::of(environments, 1)
    }

    fn of(environments: usize, at_once: usize) -> Self {
        Self { free_from: vec![vec![0; at_once]; environments], at_once, provisioned: Vec::new() }
    }

    /// Returns a pool of provisioned environments, some of them unused, and `idle` others.
    fn with_provisioned(unused: Vec<bool>, idle: usize) -> Self {
        Self { provisioned: unused.clone(), ..Self::with_idle(unused.len() + idle) }
    }

    /// Ends all runs and resets the clock, because top-ups wait for every earlier ping.
    fn rest(&mut self) {
        self.free_from.iter_mut().flatten().for_each(|free_from| *free_from = 0);
    }

    fn idle_from(&self, environment: usize) -> u64 {
        self.free_from[environment].iter().copied().min().unwrap_or(0)
    }

    /// Returns the environment for a request that arrives at `now`, and true if it is new.
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
        by_arrival.sort_by_key(|request| request.sent + request.latency_there);
        let mut truth = Truth { attempt: Attempt::default(), reached: HashSet::new(), created: 0 };
        for request in by_arrival {
            let arrived = request.sent + request.latency_there;
            let (environment, new) = self.take(arrived, reuse, request.choice);
            let began = arrived + if new { request.init } else { 0 };
            let answered = began + request.runs;
            let runs = request.runs + request.works_on;
            let slot = self.free_from[environment].iter_mut().min().unwrap();
            *slot = began + runs;
            let unused = self.provisioned.get_mut(environment).is_some_and(std::mem::take);
            if request.foreign {
                continue;
            }
            let hundredths = if request.rounds_up { runs.div_ceil(10) } else { (runs + 5) / 10 };
            truth.created += u32::from(new);
            let outcome = match (request.no_report, new || unused) {
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
                (answered + request.latency_back) as f64 / 1e3,
                hundredths as f64 / 100.0,
            );
            if let Some(init_ms) = ping.report.as_mut().and_then(|report| report.init_ms.as_mut()) {
                // That of a provisioned environment was before the request.
                *init_ms = request.init as f64 / 1e3;
            }
            ping.initialization =
                (!self.provisioned.is_empty()).then_some(match environment < self.provisioned.len() {
                    true => Initialization::ProvisionedConcurrency,
                    false => Initialization::OnDemand,
                });
            ping.environment = request.has_id.then(|| format!("e{environment}"));
            truth.attempt.pings.push(ping);
        }
        truth
    }
}
