//! The properties of evidence, on rounds of the reference model: no bound ever exceeds the truth.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::{
    Attempt, Doubt, IdHistory, Ids, Known, MOST_TOP_UPS, Outcome, PingResult, RoundReport, SkewHistory,
    overlap, run, skew, top_up,
};
use super::{Pool, Request, Reuse, Truth, attempt, cases, kept, ping, proven};
use crate::domain::fleet::Hold;
use crate::domain::protocol::Protocol;
use crate::domain::round::{Evidence, Verdict};

/// Network time of one way, µs: mostly short, sometimes very long.
fn way() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_u64..2_000, 3 => 2_000_u64..30_000, 1 => 30_000_u64..200_000]
}

fn request(ids: u32) -> impl Strategy<Value = Request> {
    let times = (
        prop_oneof![3 => 0_u64..3_000, 1 => 0_u64..200_000],
        way(),
        way(),
        1_u64..120_000,
        0_u64..200_000,
        0_u64..500_000,
    );
    let ids = prop::bool::weighted(f64::from(ids) / 3.0);
    (times, any::<usize>(), ids, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.05))
        .prop_map(
            |(
                (sent, way_there, way_back, runs, works_on, init),
                choice,
                tells_id,
                rounds_up,
                foreign,
                no_report,
            )| {
                Request {
                    sent,
                    way_there,
                    way_back,
                    runs,
                    works_on,
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

/// The behaviour of an extension after the answers of a round.
#[derive(Debug, Clone, Copy)]
enum Extension {
    None,
    /// It works on for as long as it happens to take.
    Any,
    /// It always works on for so long, µs.
    Always(u64),
    /// The same, far away: handlers are quick, and every request takes 150 ms there and back, so that what the extension
    /// does after the answer fits between request and answer.
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

/// The behaviour of a round's handlers on a hold, µs.
#[derive(Debug, Clone, Copy)]
enum Handling {
    /// There is none.
    NoHold,
    /// They keep it; their timers may fire 1 ms early.
    Keep(u64),
    /// They ignore it, and the network is faster than it.
    Ignore(u64),
}

fn handling() -> impl Strategy<Value = Handling> {
    prop_oneof![
        Just(Handling::NoHold),
        (5_000_u64..200_000).prop_map(Handling::Keep),
        (20_000_u64..200_000).prop_map(Handling::Ignore),
    ]
}

/// A round's requests, as handlers and extension make them, and the requested hold.
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
                request.way_there = request.way_there.saturating_mul(7) % 150_000;
                request.way_back = 150_000 - request.way_there;
                (request.runs, request.works_on) = (request.runs % 3_000 + 1, works_on);
            }
        }
        match handling {
            Handling::NoHold => {}
            Handling::Keep(hold) => request.runs += hold - 999,
            Handling::Ignore(hold) => {
                let times =
                    [&mut request.runs, &mut request.way_there, &mut request.way_back, &mut request.init];
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

    /// With handlers that keep a hold or ignore it, and with extensions that work on after the answer.
    #[test]
    fn no_bound_exceeds_the_truth(
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
            prop_assert!(proof.environments <= all.environments, "knowing less proved more");
        }
        let report = RoundReport::new(truth + 1, &attempts, true, Known::default());
        prop_assert_ne!(report.verdict, Verdict::Reached, "more than the truth was not reached");
    }

    /// Environments that take several invocations at once, and handlers that tell their ids: what ids prove stands
    /// while nothing contradicts it, and nothing does once something has.
    #[test]
    fn environments_that_take_several_at_once_are_not_counted_for_several(
        (idle, at_once) in (0_usize..4, 2_usize..12),
        requests in requests(),
        (handling, extension) in (handling(), extension()),
        reuse in reuse(),
    ) {
        let (mut requests, hold) = handled(requests, handling, extension);
        requests.iter_mut().for_each(|request| request.tells_id = true);
        let truth = Pool::of(idle, at_once).run(&requests, reuse);
        let reached = u32::try_from(truth.reached.len()).unwrap();
        let attempts = [Attempt { hold, handler_hold: hold, ..truth.attempt }];
        let proof = proven(&attempts);
        prop_assert!(proof.environments <= reached, "{proof:?} above {reached}");
        let report = RoundReport::new(reached + 1, &attempts, true, Known::default());
        prop_assert_ne!(report.verdict, Verdict::Reached);
    }

    /// A deployment before each attempt but the first: no claim above the environments of any one version.
    #[test]
    fn deployments_between_attempts_add_nothing(
        rounds in prop::collection::vec((requests(), handling(), extension()), 2..=3),
        reuse in reuse(),
    ) {
        let mut most = 0;
        let mut attempts = Vec::new();
        for (version, (requests, handling, extension)) in rounds.into_iter().enumerate() {
            let (mut requests, hold) = handled(requests, handling, extension);
            requests.iter_mut().for_each(|request| request.tells_id = true);
            let Truth { mut attempt, reached } = Pool::with_idle(1).run(&requests, reuse);
            for ping in &mut attempt.pings {
                ping.version = Some(version.to_string());
                ping.environment = ping.environment.take().map(|id| format!("{version}-{id}"));
            }
            most = most.max(u32::try_from(reached.len()).unwrap());
            attempts.push(Attempt { hold, handler_hold: hold, ..attempt });
        }
        let proof = proven(&attempts);
        prop_assert!(proof.environments <= most, "{proof:?} above {most}");
    }

    /// A handler that makes a new id on every invocation: after three all-warm rounds its ids prove nothing.
    #[test]
    fn ids_of_invocations_are_found_out(
        rounds in prop::collection::vec((requests(), handling(), extension()), 3..=5),
        reuse in reuse(),
    ) {
        let mut pool = Pool::with_idle(40);
        let (mut history, mut made) = (IdHistory::default(), 0);
        for (number, (requests, handling, extension)) in rounds.into_iter().enumerate() {
            let (mut requests, hold) = handled(requests, handling, extension);
            requests.iter_mut().for_each(|request| (request.foreign, request.no_report) = (false, false));
            let Truth { mut attempt, reached } = pool.run(&requests, reuse);
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
                let proof = super::super::proven(&attempts, Known { ids: history.ids() });
                let truth = u32::try_from(reached.len()).unwrap();
                prop_assert!(proof.environments <= truth, "{:?} above {}", proof, truth);
            }
        }
    }

    /// The sharpest case: environments that never rest, and a network that takes 5 µs, less than REPORT's rounding.
    #[test]
    fn runs_without_a_pause_prove_no_more_than_their_environments(
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
                // In tenths of a hundredth, so that REPORT has something to round.
                let told = if rounds_up { runs.div_ceil(10) } else { (runs + 5) / 10 };
                let outcome = if i == 0 && first_is_new { Outcome::Cold } else { Outcome::Warm };
                let (sent, received) = (now - 5, now + runs + 5);
                pings.push(ping(outcome, sent as f64 / 1e3, received as f64 / 1e3, told as f64 / 100.0));
                now += runs;
            }
        }
        let hold = Some(Duration::from_micros(hold));
        let proof = proven(&[Attempt { hold, handler_hold: hold, ..attempt(pings) }]);
        prop_assert!(proof.environments <= truth, "{proof:?} above {truth}");
    }

    /// With a hold longer than the way to the latest answer, all N are proven, and without help of ids.
    #[test]
    fn a_hold_above_the_spread_proves_them_all(mut requests in requests(), idle in 0_usize..60) {
        requests.iter_mut().for_each(|request| (request.foreign, request.no_report) = (false, false));
        let spread = requests.iter().map(|r| r.sent + r.way_there + r.way_back).max().unwrap_or(0);
        // 1 ms, 20 µs and two ten-thousandths more, for what hold and duration are shaved by.
        let hold = spread + spread / 2_500 + 1_040;
        requests.iter_mut().for_each(|request| {
            (request.runs, request.works_on, request.tells_id) = (hold, 0, false);
        });
        let n = u32::try_from(requests.len()).unwrap();

        let truth = Pool::with_idle(idle).run(&requests, Reuse::Newest);
        prop_assert_eq!(u32::try_from(truth.reached.len()).unwrap(), n);
        let held = Some(Duration::from_micros(hold));
        let proof = proven(&[Attempt { hold: held, handler_hold: held, ..truth.attempt }]);
        prop_assert_eq!(proof.environments, n);
        prop_assert!(matches!(proof.evidence, Evidence::Overlap | Evidence::ColdStarts));
    }

    /// The skew that is measured differs from the true one by no more than the network can hide.
    #[test]
    fn the_measured_skew_is_near_the_true_one(mut requests in requests()) {
        requests.iter_mut().for_each(|request| {
            (request.foreign, request.no_report, request.works_on) = (false, false, 0);
        });
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
            .map(|i| {
                let runs = u64::try_from(hold.as_micros()).unwrap() + 150;
                // Pings leave 10 µs apart.
                Request::plain(i as u64 * 10, way(), way(), runs)
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

/// 15 ms of network either way, σ .6, and no ids: 50 of 50 and 100 of 100 are proven in every round.
#[test]
fn every_round_is_proven_within_the_top_ups() {
    let mut rng = StdRng::seed_from_u64(7);
    for n in [50, 100] {
        let (mut history, mut pool) = (SkewHistory::default(), Pool::with_idle(n));
        for _ in 0..200 {
            let (attempts, _) =
                whole_round(n, &mut history, &mut pool, &mut || lognormal(&mut rng, 15.0, 0.6));
            let report = RoundReport::new(u32::try_from(n).unwrap(), &attempts, true, Known::default());
            assert_eq!(report.verdict, Verdict::Reached, "{n}: {report:?}");
            assert!(attempts.len() <= 1 + MOST_TOP_UPS);
        }
    }
}

/// On loopback the hold is short once learned, and still every round reaches and proves all, hardly ever with a top-up.
#[test]
fn on_loopback_the_learned_hold_is_short_and_enough() {
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

/// Two environments behind a slow network, each kept busy by an extension for 55 ms after 5 ms of work: without knowing
/// the extension, what fits between request and answer seems to prove three.
#[test]
fn an_extension_that_nobody_sees_proves_nothing_more() {
    let request = |sent: u64, way_there: u64| Request {
        works_on: 55_000,
        ..Request::plain(sent, way_there, 90_000 - way_there, 5_000)
    };
    let requests = [request(0, 1_000), request(0, 62_000), request(0, 2_000), request(0, 63_000)];
    let truth = Pool::with_idle(2).run(&requests, Reuse::Newest);
    assert_eq!(truth.reached.len(), 2);
    let likely = truth.attempt.pings.iter().filter_map(run::Run::likely).collect::<Vec<_>>();
    assert!(overlap::most_at_a_time(&likely, 0) > 2, "as if the answer were the end");
    assert_eq!(proven(std::slice::from_ref(&truth.attempt)).environments, 2);
    // Asked to hold for 10 ms, and seen not to: the answers came too late to tell, the durations are those of no hold.
    let hold = Some(Duration::from_millis(10));
    assert_eq!(proven(&[Attempt { hold, handler_hold: hold, ..truth.attempt }]).environments, 2);
}

/// One environment that takes all pings at once, as managed instances do: the id that all answer gives it away.
#[test]
fn one_managed_environment_proves_nothing() {
    let pings = (0..10).map(|i| PingResult {
        environment: Some("e".to_owned()),
        ..ping(Outcome::Warm, f64::from(i) * 0.1, 103.0, 100.2)
    });
    let report = RoundReport::new(10, &[kept(100.0, pings)], true, Known::default());
    assert_eq!((report.verdict, report.reached), (Verdict::Unproven, None));
    assert!(matches!(report.doubt, Some(Doubt::SharedEnvironments(_))));
}

/// The search stays cheap however large the round is: what is asserted is that it ends with a sane bound.
#[test]
fn a_round_of_ten_thousand_is_bounded_soon() {
    let pings = (0..10_000).map(|i| {
        let sent = f64::from(i) * 0.01;
        ping(Outcome::Warm, sent, sent + 60.0, 25.0)
    });
    let proof = proven(&[kept(25.0, pings)]);
    // 250 s of work within 160 ms.
    assert!(proof.environments >= 1_560, "{proof:?}");
}
