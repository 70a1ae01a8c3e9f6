//! Property tests of evidence with the reference model: bounds never exceed the truth.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;

use super::super::{
    Attempt, Doubt, IdHistory, Ids, KindReports, Known, MAX_TOP_UPS, Outcome, PingResult, RoundReport,
    SkewHistory, busy_interval, overlap, skew, top_up,
};
use super::{Pool, Request, Reuse, Truth, attempt, cases, kept, ping, proven};
use crate::domain::cost::{Download, Per, PriceBook, Route, round_cost};
use crate::domain::fleet::{Hold, Target};
use crate::domain::function::Architecture;
use crate::domain::protocol::Protocol;
use crate::domain::round::{Evidence, Verdict};

/// A network latency in one direction in µs, mostly short and sometimes very long.
fn latency() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_u64..2_000, 3 => 2_000_u64..30_000, 1 => 30_000_u64..200_000]
}

fn request(ids: u32) -> impl Strategy<Value = Request> {
    let times = (
        prop_oneof![3 => 0_u64..3_000, 1 => 0_u64..200_000],
        latency(),
        latency(),
        1_u64..120_000,
        0_u64..200_000,
        0_u64..500_000,
    );
    let ids = prop::bool::weighted(f64::from(ids) / 3.0);
    (times, any::<usize>(), ids, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.05))
        .prop_map(|(times, choice, has_id, rounds_up, foreign, no_report)| {
            let (sent, latency_there, latency_back, runs, works_on, init) = times;
            Request {
                sent,
                latency_there,
                latency_back,
                runs,
                works_on,
                init,
                choice,
                has_id,
                rounds_up,
                foreign,
                no_report,
            }
        })
}

/// The behaviour of an extension after the answers of a round.
#[derive(Debug, Clone, Copy)]
enum Extension {
    None,
    /// It works for a random time.
    Any,
    /// It works for this time in µs.
    Always(u64),
    /// It works for this time in µs. Handlers are fast and the network is slow (150 ms in total), so that the work of
    /// the extension after the answer fits between request and answer.
    Unseen(u64),
}

fn extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        2 => Just(Extension::None),
        2 => Just(Extension::Any),
        1 => (0_u64..300_000).prop_map(Extension::Always),
        2 => (10_000_u64..140_000).prop_map(Extension::Unseen),
    ]
}

/// The behaviour of a round's handlers for a hold in µs.
#[derive(Debug, Clone, Copy)]
enum Handling {
    /// No hold is requested.
    NoHold,
    /// They keep the hold. Their timers may fire 1 ms early.
    Keep(u64),
    /// They ignore the hold, and the network is faster than the hold.
    Ignore(u64),
}

fn handling() -> impl Strategy<Value = Handling> {
    prop_oneof![
        Just(Handling::NoHold),
        (5_000_u64..200_000).prop_map(Handling::Keep),
        (20_000_u64..200_000).prop_map(Handling::Ignore),
    ]
}

/// Returns requests with the behaviour of handlers and extension, and the requested hold.
fn handled(
    mut requests: Vec<Request>,
    handling: Handling,
    extension: Extension,
) -> (Vec<Request>, Option<Duration>) {
    for request in &mut requests {
        match extension {
            Extension::None => request.works_on = 0,
            Extension::Any => {}
            Extension::Always(works_on) => request.works_on = works_on,
            Extension::Unseen(works_on) => {
                request.sent %= 3_000;
                request.latency_there = request.latency_there.saturating_mul(7) % 150_000;
                request.latency_back = 150_000 - request.latency_there;
                (request.runs, request.works_on) = (request.runs % 3_000 + 1, works_on);
            }
        }
        match handling {
            Handling::NoHold => {}
            Handling::Keep(hold) => request.runs += hold - 999,
            Handling::Ignore(hold) => {
                let times = [
                    &mut request.runs,
                    &mut request.latency_there,
                    &mut request.latency_back,
                    &mut request.init,
                ];
                for time in times {
                    *time %= hold / 5;
                }
            }
        }
    }
    let hold = match handling {
        Handling::NoHold => None,
        Handling::Keep(hold) | Handling::Ignore(hold) => Some(Duration::from_micros(hold)),
    };
    (requests, hold)
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    (0_u32..=3, any::<bool>(), 1_u64..60_000).prop_flat_map(|(ids, alike, runs)| {
        prop::collection::vec(request(ids), 1..40).prop_map(move |mut requests| {
            if alike {
                // With a hold, all runs have about the same length.
                requests.iter_mut().for_each(|request| request.runs = runs + request.runs % 300);
            }
            requests
        })
    })
}

fn reuse() -> impl Strategy<Value = Reuse> {
    prop_oneof![2 => Just(Reuse::Newest), 1 => Just(Reuse::Oldest), 1 => Just(Reuse::Any)]
}

/// Returns attempts without a part of the evidence.
fn blinded(attempts: &[Attempt], blind: impl Fn(&mut PingResult)) -> Vec<Attempt> {
    let mut attempts = attempts.to_vec();
    attempts.iter_mut().flat_map(|attempt| &mut attempt.pings).for_each(blind);
    attempts
}

proptest! {
    #![proptest_config(cases(512))]

    /// Covers handlers that keep or ignore a hold, and extensions that work after the answer.
    #[test]
    fn bounds_do_not_exceed_truth(
        idle in 0_usize..30,
        rounds in prop::collection::vec((requests(), handling(), extension()), 1..=3),
        reuse in reuse(),
    ) {
        let mut pool = Pool::with_idle(idle);
        let mut reached = HashSet::new();
        let mut attempts = Vec::new();
        for (requests, handling, extension) in rounds {
            let (requests, hold) = handled(requests, handling, extension);
            let truth = pool.run(&requests, reuse);
            pool.rest();
            reached.extend(truth.reached);
            attempts.push(Attempt { hold, handler_hold: hold, ..truth.attempt });
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
            prop_assert!(proof.environments <= all.environments, "less evidence proved more");
        }
        let report = RoundReport::new(truth + 1, &attempts, true, Known::default());
        prop_assert_ne!(report.verdict, Verdict::Reached, "more than the truth must not be reached");
    }

    /// Bounds by kind do not exceed the truth, and add up to that of the round, as do cold starts and cost. Without
    /// types in the answers, no more environments are assumed to be provisioned than are known to be, and no cold start
    /// is missed.
    #[test]
    fn kinds_add_up_to_the_round(
        unused in prop::collection::vec(any::<bool>(), 1..12),
        idle in 0_usize..8,
        rounds in prop::collection::vec((requests(), handling(), extension()), 1..=3),
        reuse in reuse(),
        known in 0_u32..12,
        has_types in any::<bool>(),
    ) {
        let provisioned = unused.len();
        let mut pool = Pool::with_provisioned(unused, idle);
        let (mut reached, mut created) = (HashSet::new(), 0);
        let mut attempts = Vec::new();
        for (requests, handling, extension) in rounds {
            let (requests, hold) = handled(requests, handling, extension);
            let truth = pool.run(&requests, reuse);
            pool.rest();
            reached.extend(truth.reached);
            created += truth.created;
            attempts.push(Attempt { hold, handler_hold: hold, ..truth.attempt });
        }
        if !has_types {
            attempts = blinded(&attempts, |ping| ping.initialization = None);
        }
        let known = Known { provisioned: Some(known), ..Known::default() };
        let report = RoundReport::new(10, &attempts, true, known);
        let plain = RoundReport::new(10, &attempts, true, Known::default());
        prop_assert_eq!((report.reached, report.evidence), (plain.reached, plain.evidence));
        prop_assert!(report.cold_starts.is_none_or(|cold_starts| cold_starts >= created));
        let Some(KindReports { parts, assumed }) = &report.by_kind else {
            prop_assert!(known.provisioned == Some(0) && !has_types || reached.iter().all(|e| *e >= provisioned));
            return Ok(());
        };
        let environments = parts.as_ref().map(|part| part.environments.unwrap_or(0));
        prop_assert_eq!(environments.sum(), report.reached.unwrap_or(0));
        prop_assert_eq!(*assumed, !has_types && report.pings > 0);
        if has_types {
            let true_provisioned = reached.iter().filter(|e| **e < provisioned).count();
            prop_assert!(environments.provisioned as usize <= true_provisioned);
            prop_assert!(environments.on_demand as usize <= reached.len() - true_provisioned);
            prop_assert!(report.cold_starts.is_none_or(|cold_starts| cold_starts == created));
        } else {
            prop_assert!(environments.provisioned <= known.provisioned.unwrap());
        }

        let usage = parts.as_ref().map(|part| part.usage);
        prop_assert_eq!(usage.provisioned.cold_starts, Some(0));
        prop_assert_eq!(usage.on_demand.cold_starts, report.cold_starts);
        let new = report.counts.new_environments();
        let new = new.cold + new.restored + new.preinitialized;
        prop_assert_eq!(new, usage.on_demand.sums.cold_starts);
        prop_assert_eq!(usage.sum().requests, report.requests);
        let download = Download::example(Route::NatGateway, Per::ColdStart);
        let target = Target { memory_mb: Some(512), ..Target::example("f", "eu-west-2", vec![download]) };
        let used = report.quantities(&target);
        let (cost, _) = round_cost(&PriceBook::embedded(), target.region(), Architecture::X86_64, &used);
        let costs = cost.by_kind.unwrap();
        prop_assert_eq!(costs.provisioned.zip(costs.on_demand).map(|(one, other)| one + other), cost.total);
        let parts = [cost.requests, cost.compute, cost.s3_requests, cost.s3_egress];
        prop_assert_eq!(parts.into_iter().sum::<Option<Decimal>>(), cost.total);
    }

    /// Covers environments that run several invocations at the same time, with ids in the answers. Contradictory
    /// evidence proves nothing.
    #[test]
    fn shared_environments_are_counted_once(
        (idle, at_once) in (0_usize..4, 2_usize..12),
        requests in requests(),
        (handling, extension) in (handling(), extension()),
        reuse in reuse(),
    ) {
        let (mut requests, hold) = handled(requests, handling, extension);
        requests.iter_mut().for_each(|request| request.has_id = true);
        let truth = Pool::of(idle, at_once).run(&requests, reuse);
        let reached = u32::try_from(truth.reached.len()).unwrap();
        let attempts = [Attempt { hold, handler_hold: hold, ..truth.attempt }];
        let proof = proven(&attempts);
        prop_assert!(proof.environments <= reached, "{proof:?} above {reached}");
        let report = RoundReport::new(reached + 1, &attempts, true, Known::default());
        prop_assert_ne!(report.verdict, Verdict::Reached);
    }

    /// With a deployment before each attempt but the first, bounds do not exceed the environments of any single
    /// version.
    #[test]
    fn deployments_between_attempts_do_not_raise_bounds(
        rounds in prop::collection::vec((requests(), handling(), extension()), 2..=3),
        reuse in reuse(),
    ) {
        let mut highest = 0;
        let mut attempts = Vec::new();
        for (version, (requests, handling, extension)) in rounds.into_iter().enumerate() {
            let (mut requests, hold) = handled(requests, handling, extension);
            requests.iter_mut().for_each(|request| request.has_id = true);
            let Truth { mut attempt, reached, .. } = Pool::with_idle(1).run(&requests, reuse);
            for ping in &mut attempt.pings {
                ping.version = Some(version.to_string());
                ping.environment = ping.environment.take().map(|id| format!("{version}-{id}"));
            }
            highest = highest.max(u32::try_from(reached.len()).unwrap());
            attempts.push(Attempt { hold, handler_hold: hold, ..attempt });
        }
        let proof = proven(&attempts);
        prop_assert!(proof.environments <= highest, "{proof:?} above {highest}");
    }

    /// A handler with a new id for every invocation is detected after three warm rounds. Its ids then prove nothing.
    #[test]
    fn ids_of_invocations_are_detected(
        rounds in prop::collection::vec((requests(), handling(), extension()), 3..=5),
        reuse in reuse(),
    ) {
        let mut pool = Pool::with_idle(40);
        let (mut history, mut made) = (IdHistory::default(), 0);
        for (number, (requests, handling, extension)) in rounds.into_iter().enumerate() {
            let (mut requests, hold) = handled(requests, handling, extension);
            requests.iter_mut().for_each(|request| (request.foreign, request.no_report) = (false, false));
            let Truth { mut attempt, reached, .. } = pool.run(&requests, reuse);
            pool.rest();
            for ping in &mut attempt.pings {
                made += 1;
                ping.environment = Some(made.to_string());
            }
            let attempts = [Attempt { hold, handler_hold: hold, ..attempt }];
            history.record(&attempts);
            let all_warm = attempts[0].pings.iter().all(|ping| ping.outcome == Outcome::Warm);
            prop_assert!(all_warm, "an environment for every request");
            if number >= 2 {
                prop_assert_eq!(history.ids(), Ids::Invocations);
                let proof = super::super::proven(&attempts, Known { ids: history.ids(), ..Known::default() });
                let truth = u32::try_from(reached.len()).unwrap();
                prop_assert!(proof.environments <= truth, "{:?} above {}", proof, truth);
            }
        }
    }

    /// The extreme case: environments without pauses, and a network latency of 5 µs, less than REPORT's rounding.
    #[test]
    fn runs_without_pauses_do_not_raise_bounds(
        environments in prop::collection::vec((5_u64..20_000, prop::collection::vec(1_u64..5_000, 1..12)), 1..8),
        hold in 1_100_u64..5_000,
        rounds_up in any::<bool>(),
        first_is_new in any::<bool>(),
    ) {
        let truth = u32::try_from(environments.len()).unwrap();
        let mut pings = Vec::new();
        for (mut now, runs) in environments {
            for (i, runs) in runs.into_iter().enumerate() {
                let runs = runs + hold - 1_000;
                // Times are in µs, which REPORT rounds to 10 µs.
                let reported = if rounds_up { runs.div_ceil(10) } else { (runs + 5) / 10 };
                let outcome = if i == 0 && first_is_new { Outcome::Cold } else { Outcome::Warm };
                let (sent, received) = (now - 5, now + runs + 5);
                pings.push(ping(outcome, sent as f64 / 1e3, received as f64 / 1e3, reported as f64 / 100.0));
                now += runs;
            }
        }
        let hold = Some(Duration::from_micros(hold));
        let proof = proven(&[Attempt { hold, handler_hold: hold, ..attempt(pings) }]);
        prop_assert!(proof.environments <= truth, "{proof:?} above {truth}");
    }

    /// With a hold longer than the time to the latest answer, all environments are proven without ids.
    #[test]
    fn hold_above_spread_proves_all_environments(mut requests in requests(), idle in 0_usize..60) {
        requests.iter_mut().for_each(|request| (request.foreign, request.no_report) = (false, false));
        let spread = requests.iter().map(|r| r.sent + r.latency_there + r.latency_back).max().unwrap_or(0);
        // Hold and duration are reduced by 1 ms, 20 µs and two ten-thousandths.
        let hold = spread + spread / 2_500 + 1_040;
        requests.iter_mut().for_each(|request| {
            (request.runs, request.works_on, request.has_id) = (hold, 0, false);
        });
        let n = u32::try_from(requests.len()).unwrap();

        let truth = Pool::with_idle(idle).run(&requests, Reuse::Newest);
        prop_assert_eq!(u32::try_from(truth.reached.len()).unwrap(), n);
        let held = Some(Duration::from_micros(hold));
        let proof = proven(&[Attempt { hold: held, handler_hold: held, ..truth.attempt }]);
        prop_assert_eq!(proof.environments, n);
        prop_assert!(matches!(proof.evidence, Evidence::Overlap | Evidence::ColdStarts));
    }

    /// The error of the measured skew is at most the network latency.
    #[test]
    fn measured_skew_is_near_true_skew(mut requests in requests()) {
        requests.iter_mut().for_each(|request| {
            (request.foreign, request.no_report, request.works_on) = (false, false, 0);
        });
        let mut pool = Pool::with_idle(requests.len());
        let truth = pool.run(&requests, Reuse::Newest);
        let began = |r: &Request| r.sent + r.latency_there;
        let spread = requests.iter().map(began).max().unwrap_or(0) - requests.iter().map(began).min().unwrap_or(0);
        let hidden = requests.iter().map(|r| r.latency_there.max(r.latency_back)).max().unwrap_or(0);
        if let Some(skew) = skew(&truth.attempt) {
            let skew = u64::try_from(skew.as_micros()).unwrap();
            prop_assert!(skew.abs_diff(spread) <= hidden + 50, "{skew} for {spread}");
        }
    }
}

/// Returns a lognormal network latency in µs, by the Box-Muller transform.
fn lognormal(rng: &mut StdRng, median_ms: f64, sigma: f64) -> u64 {
    let (u, v): (f64, f64) = (rng.random_range(f64::EPSILON..1.0), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    (median_ms * (sigma * normal).exp() * 1e3) as u64
}

/// Runs a round with the automatic hold, a handler that keeps it and has no id, and top-ups. Returns the attempts and
/// the number of environments reached by the last.
fn whole_round(
    n: usize,
    history: &mut SkewHistory,
    pool: &mut Pool,
    latency: &mut impl FnMut() -> u64,
) -> (Vec<Attempt>, usize) {
    let mut attempts = Vec::new();
    let mut hold = history.auto_hold();
    loop {
        let requests: Vec<Request> = (0..n)
            .map(|i| {
                let runs = u64::try_from(hold.as_micros()).unwrap() + 150;
                // Pings are sent 10 µs apart.
                Request::plain(i as u64 * 10, latency(), latency(), runs)
            })
            .collect();
        pool.rest();
        let truth = pool.run(&requests, Reuse::Newest);
        let attempt = Attempt { hold: Some(hold), handler_hold: Some(hold), ..truth.attempt };
        if let Some(skew) = skew(&attempt) {
            history.record(skew);
        }
        attempts.push(attempt);
        match top_up(u32::try_from(n).unwrap(), &attempts, &Protocol::Warmd, Hold::Auto, Known::default()) {
            Some(longer) => hold = longer,
            None => return (attempts, truth.reached.len()),
        }
    }
}

/// With 15 ms of network latency in either direction, σ .6, and no ids, all environments are proven in every round.
#[test]
fn every_round_is_proven_with_top_ups() {
    let mut rng = StdRng::seed_from_u64(7);
    for n in [50, 100] {
        let (mut history, mut pool) = (SkewHistory::default(), Pool::with_idle(n));
        for _ in 0..200 {
            let (attempts, _) =
                whole_round(n, &mut history, &mut pool, &mut || lognormal(&mut rng, 15.0, 0.6));
            let report = RoundReport::new(u32::try_from(n).unwrap(), &attempts, true, Known::default());
            assert_eq!(report.verdict, Verdict::Reached, "{n}: {report:?}");
            assert!(attempts.len() <= 1 + MAX_TOP_UPS);
        }
    }
}

/// On loopback the automatic hold becomes short, and rounds still reach and prove all, almost always without a top-up.
#[test]
fn automatic_hold_on_loopback_is_short_and_sufficient() {
    let mut rng = StdRng::seed_from_u64(7);
    let (mut history, mut pool) = (SkewHistory::default(), Pool::with_idle(100));
    let mut topped_up = 0;
    for _ in 0..200 {
        let (attempts, reached) =
            whole_round(100, &mut history, &mut pool, &mut || lognormal(&mut rng, 0.4, 0.6));
        assert_eq!((reached, proven(&attempts).environments), (100, 100));
        topped_up += attempts.len() - 1;
    }
    assert!(topped_up <= 2, "{topped_up} of 200");
    assert!(history.auto_hold() <= Duration::from_millis(40), "{:?}", history.auto_hold());
}

/// Two environments behind a slow network, each kept busy by an extension for 55 ms after 5 ms of work. Durations that
/// fit between request and answer appear to prove three environments.
#[test]
fn unnoticed_extension_does_not_raise_bounds() {
    let request = |sent: u64, latency_there: u64| Request {
        works_on: 55_000,
        ..Request::plain(sent, latency_there, 90_000 - latency_there, 5_000)
    };
    let requests = [request(0, 1_000), request(0, 62_000), request(0, 2_000), request(0, 63_000)];
    let truth = Pool::with_idle(2).run(&requests, Reuse::Newest);
    assert_eq!(truth.reached.len(), 2);
    let likely =
        truth.attempt.pings.iter().filter_map(busy_interval::BusyInterval::likely).collect::<Vec<_>>();
    assert!(overlap::most_at_a_time(&likely, 0) > 2, "as if runs ended with the answer");
    assert_eq!(proven(std::slice::from_ref(&truth.attempt)).environments, 2);
    // Handlers ignore a requested hold of 10 ms. The answers are too late to show this, but the durations are too long.
    let hold = Some(Duration::from_millis(10));
    assert_eq!(proven(&[Attempt { hold, handler_hold: hold, ..truth.attempt }]).environments, 2);
}

/// One environment that runs all pings at the same time, as managed instances do, is detected by the common id.
#[test]
fn managed_environment_proves_nothing() {
    let pings = (0..10).map(|i| PingResult {
        environment: Some("e".to_owned()),
        ..ping(Outcome::Warm, f64::from(i) * 0.1, 103.0, 100.2)
    });
    let report = RoundReport::new(10, &[kept(100.0, pings)], true, Known::default());
    assert_eq!((report.verdict, report.reached), (Verdict::Unproven, None));
    assert!(matches!(report.doubt, Some(Doubt::SharedEnvironments(_))));
}

/// The search for a bound is limited in large rounds and still gives a good bound.
#[test]
fn large_round_has_good_bound() {
    let pings = (0..10_000).map(|i| {
        let sent = f64::from(i) * 0.01;
        ping(Outcome::Warm, sent, sent + 60.0, 25.0)
    });
    let proof = proven(&[kept(25.0, pings)]);
    // 250 s of work within 160 ms.
    assert!(proof.environments >= 1_560, "{proof:?}");
}
