//! A reference model of Lambda's environments, for tests, that knows the truth; and the property that no bound ever
//! exceeds it.
//!
//! It shares nothing with the evidence but the definition of a run. Environments run one invocation at a time; a
//! request takes an idle environment or makes a new one; what the caller sees are instants of its own and REPORT
//! lines as Lambda writes them.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{
    Attempt, MOST_TOP_UPS, Outcome, PingResult, Ran, RoundReport, SkewHistory, proven, skew, top_up,
};
use crate::domain::fleet::Hold;
use crate::domain::protocol::Protocol;
use crate::domain::report::Report;
use crate::domain::tick::{Evidence, Verdict};

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
    Attempt { hold: None, pings: pings.into_iter().collect() }
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

#[derive(Debug, Default)]
struct Pool {
    /// Each environment's end of its last run, µs.
    free_from: Vec<u64>,
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
        Self { free_from: vec![0; environments] }
    }

    /// The environment that a request arriving at `now` gets, and whether it is new.
    fn take(&mut self, now: u64, reuse: Reuse, choice: usize) -> (usize, bool) {
        let mut idle: Vec<usize> = (0..self.free_from.len()).filter(|e| self.free_from[*e] <= now).collect();
        idle.sort_by_key(|environment| self.free_from[*environment]);
        let taken = match reuse {
            Reuse::Newest => idle.last(),
            Reuse::Oldest => idle.first(),
            Reuse::Any if idle.is_empty() => None,
            Reuse::Any => idle.get(choice % idle.len()),
        };
        match taken {
            Some(environment) => (*environment, false),
            None => {
                self.free_from.push(0);
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
            let ended = began + request.runs;
            self.free_from[environment] = ended;
            if request.foreign {
                continue;
            }
            let hundredths =
                if request.rounds_up { request.runs.div_ceil(10) } else { (request.runs + 5) / 10 };
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
                (ended + request.way_back) as f64 / 1e3,
                hundredths as f64 / 100.0,
            );
            ping.environment = request.tells_id.then(|| format!("e{environment}"));
            truth.attempt.pings.push(ping);
        }
        truth
    }
}

/// Network time of one way, µs: mostly short, sometimes very long.
fn way() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_u64..2_000, 3 => 2_000_u64..30_000, 1 => 30_000_u64..200_000]
}

fn request(ids: u32) -> impl Strategy<Value = Request> {
    let times =
        (prop_oneof![3 => 0_u64..3_000, 1 => 0_u64..200_000], way(), way(), 1_u64..120_000, 0_u64..500_000);
    let ids = prop::bool::weighted(f64::from(ids) / 3.0);
    (times, any::<usize>(), ids, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.05))
        .prop_map(
            |((sent, way_there, way_back, runs, init), choice, tells_id, rounds_up, foreign, no_report)| {
                Request {
                    sent,
                    way_there,
                    way_back,
                    runs,
                    init,
                    choice,
                    tells_id,
                    rounds_up,
                    foreign,
                    no_report,
                }
            },
        )
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    (0_u32..=3, any::<bool>(), 1_u64..60_000).prop_flat_map(|(ids, alike, runs)| {
        prop::collection::vec(request(ids), 1..40).prop_map(move |mut requests| {
            if alike {
                // As with a hold: every run about as long.
                requests.iter_mut().for_each(|request| request.runs = runs + request.runs % 300);
            }
            requests
        })
    })
}

fn reuse() -> impl Strategy<Value = Reuse> {
    prop_oneof![2 => Just(Reuse::Newest), 1 => Just(Reuse::Oldest), 1 => Just(Reuse::Any)]
}

/// What a bound without ids, or without times, or without cold starts would have said.
fn blinded(attempts: &[Attempt], blind: impl Fn(&mut PingResult)) -> Vec<Attempt> {
    let mut attempts = attempts.to_vec();
    attempts.iter_mut().flat_map(|attempt| &mut attempt.pings).for_each(blind);
    attempts
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn no_bound_exceeds_the_truth(
        idle in 0_usize..30,
        rounds in prop::collection::vec(requests(), 1..=3),
        reuse in reuse(),
    ) {
        let mut pool = Pool::with_idle(idle);
        let mut reached = HashSet::new();
        let mut attempts = Vec::new();
        for requests in rounds {
            let truth = pool.run(&requests, reuse);
            // Top-ups wait for every earlier ping; each attempt has a clock of its own.
            pool.free_from.iter_mut().for_each(|free_from| *free_from = 0);
            reached.extend(truth.reached);
            attempts.push(truth.attempt);
        }
        let truth = u32::try_from(reached.len()).unwrap();

        let all = proven(&attempts);
        prop_assert!(all.environments <= truth, "{all:?} above {truth}");
        for attempts in [
            blinded(&attempts, |ping| ping.environment = None),
            blinded(&attempts, |ping| if let Some(report) = &mut ping.report { report.duration_ms = 0.0 }),
        ] {
            let proof = proven(&attempts);
            prop_assert!(proof.environments <= truth, "{proof:?} above {truth}");
            prop_assert!(proof.environments <= all.environments, "knowing less proved more");
        }
        let report = RoundReport::new(truth + 1, &attempts, true);
        prop_assert_ne!(report.verdict, Verdict::Reached, "more than the truth was not reached");
    }

    /// The sharpest case: environments that never rest, and a network that takes 5 µs, less than REPORT's rounding.
    #[test]
    fn runs_without_a_pause_prove_no_more_than_their_environments(
        environments in prop::collection::vec((5_u64..20_000, prop::collection::vec(1_u64..5_000, 1..12)), 1..8),
        rounds_up in any::<bool>(),
        first_is_new in any::<bool>(),
    ) {
        let truth = u32::try_from(environments.len()).unwrap();
        let mut pings = Vec::new();
        for (mut now, runs) in environments {
            for (i, runs) in runs.into_iter().enumerate() {
                // In tenths of a hundredth, so that REPORT has something to round.
                let told = if rounds_up { runs.div_ceil(10) } else { (runs + 5) / 10 };
                let outcome = if i == 0 && first_is_new { Outcome::Cold } else { Outcome::Warm };
                let (sent, received) = (now - 5, now + runs + 5);
                pings.push(ping(outcome, sent as f64 / 1e3, received as f64 / 1e3, told as f64 / 100.0));
                now += runs;
            }
        }
        let proof = proven(&[attempt(pings)]);
        prop_assert!(proof.environments <= truth, "{proof:?} above {truth}");
    }

    /// With a hold longer than the way to the latest answer, all N are proven, and without help of ids.
    #[test]
    fn a_hold_above_the_spread_proves_them_all(mut requests in requests(), idle in 0_usize..60) {
        requests.iter_mut().for_each(|request| (request.foreign, request.no_report) = (false, false));
        let spread = requests.iter().map(|r| r.sent + r.way_there + r.way_back).max().unwrap_or(0);
        // 20 µs and a ten-thousandth more, for what a duration is shaved by.
        let hold = spread + spread / 5_000 + 40;
        requests.iter_mut().for_each(|request| (request.runs, request.tells_id) = (hold, false));
        let n = u32::try_from(requests.len()).unwrap();

        let truth = Pool::with_idle(idle).run(&requests, Reuse::Newest);
        prop_assert_eq!(u32::try_from(truth.reached.len()).unwrap(), n);
        let proof = proven(std::slice::from_ref(&truth.attempt));
        prop_assert_eq!(proof.environments, n);
        prop_assert!(matches!(proof.evidence, Evidence::Overlap | Evidence::ColdStarts));
    }

    /// The skew that is measured differs from the true one by no more than the network can hide.
    #[test]
    fn the_measured_skew_is_near_the_true_one(mut requests in requests()) {
        requests.iter_mut().for_each(|request| (request.foreign, request.no_report) = (false, false));
        let mut pool = Pool::with_idle(requests.len());
        let truth = pool.run(&requests, Reuse::Newest);
        let began = |r: &Request| r.sent + r.way_there;
        let spread = requests.iter().map(began).max().unwrap_or(0) - requests.iter().map(began).min().unwrap_or(0);
        let hidden = requests.iter().map(|r| r.way_there.max(r.way_back)).max().unwrap_or(0);
        if let Some(skew) = skew(&truth.attempt) {
            let skew = u64::try_from(skew.as_micros()).unwrap();
            prop_assert!(skew.abs_diff(spread) <= hidden + 50, "{skew} for {spread}");
        }
    }
}

/// One way through the network, µs: lognormal, by Box and Muller.
fn lognormal(rng: &mut StdRng, median_ms: f64, sigma: f64) -> u64 {
    let (u, v): (f64, f64) = (rng.random_range(f64::EPSILON..1.0), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    (median_ms * (sigma * normal).exp() * 1e3) as u64
}

/// A round as the engine runs it: with the automatic hold, a handler that keeps it and tells no id, and top-ups.
/// Returns the attempts and the environments really reached by the last.
fn whole_round(
    n: usize,
    history: &mut SkewHistory,
    pool: &mut Pool,
    way: &mut impl FnMut() -> u64,
) -> (Vec<Attempt>, usize) {
    let mut attempts = Vec::new();
    let mut hold = history.auto_hold();
    loop {
        let requests: Vec<Request> = (0..n)
            .map(|i| Request {
                // Pings leave 10 µs apart.
                sent: i as u64 * 10,
                way_there: way(),
                way_back: way(),
                runs: u64::try_from(hold.as_micros()).unwrap() + 150,
                init: 0,
                choice: 0,
                tells_id: false,
                rounds_up: false,
                foreign: false,
                no_report: false,
            })
            .collect();
        pool.free_from.iter_mut().for_each(|free_from| *free_from = 0);
        let truth = pool.run(&requests, Reuse::Newest);
        let attempt = Attempt { hold: Some(hold), ..truth.attempt };
        if let Some(skew) = skew(&attempt) {
            history.record(skew);
        }
        attempts.push(attempt);
        match top_up(u32::try_from(n).unwrap(), &attempts, &Protocol::Warmd, Hold::Auto) {
            Some(longer) => hold = longer,
            None => return (attempts, truth.reached.len()),
        }
    }
}

/// 15 ms of network either way, σ .6, and no ids: 50 of 50 and 100 of 100 are proven in every round.
#[test]
fn every_round_is_proven_within_the_top_ups() {
    let mut rng = StdRng::seed_from_u64(7);
    for n in [50, 100] {
        let (mut history, mut pool) = (SkewHistory::default(), Pool::with_idle(n));
        for _ in 0..200 {
            let (attempts, _) =
                whole_round(n, &mut history, &mut pool, &mut || lognormal(&mut rng, 15.0, 0.6));
            let report = RoundReport::new(u32::try_from(n).unwrap(), &attempts, true);
            assert_eq!(report.verdict, Verdict::Reached, "{n}: {report:?}");
            assert!(attempts.len() <= 1 + MOST_TOP_UPS);
        }
    }
}

/// On loopback the hold is short once learned, and still every round reaches and proves all without a top-up.
#[test]
fn on_loopback_the_learned_hold_is_short_and_enough() {
    let mut rng = StdRng::seed_from_u64(7);
    let (mut history, mut pool) = (SkewHistory::default(), Pool::with_idle(100));
    for _ in 0..200 {
        let (attempts, reached) =
            whole_round(100, &mut history, &mut pool, &mut || lognormal(&mut rng, 0.4, 0.6));
        assert_eq!((attempts.len(), reached), (1, 100));
        assert_eq!(proven(&attempts).environments, 100);
    }
    assert!(history.auto_hold() <= Duration::from_millis(40), "{:?}", history.auto_hold());
}

/// The search stays cheap however large the round is: what is asserted is that it ends with a sane bound.
#[test]
fn a_round_of_ten_thousand_is_bounded_soon() {
    let pings = (0..10_000).map(|i| {
        let sent = f64::from(i) * 0.01;
        ping(Outcome::Warm, sent, sent + 60.0, 25.0)
    });
    let proof = proven(&[attempt(pings)]);
    // 250 s of work within 160 ms.
    assert!(proof.environments >= 1_560, "{proof:?}");
}
