//! How many distinct environments a round is known to have reached: lower bounds, never above the truth.
//!
//! All bounds rest on one fact: an environment runs one invocation at a time. Ping i ran for dᵢ (REPORT's Duration)
//! without a break, somewhere between sᵢ (sent) and rᵢ (answered).
//!
//! - **Ids**: distinct ids are distinct environments. A ping without an id adds nothing: it may have met the
//!   environment of another.
//! - **Core overlap**: run i surely covers its core [rᵢ − dᵢ, sᵢ + dᵢ), when that is not empty. Runs that share an
//!   instant are in distinct environments.
//! - **Core overlap with cold starts**: a cold start's environment was made for it. Whatever else ran before it ended
//!   ran elsewhere, so for counting, the core of a cold run reaches back to the beginning: (−∞, sᵢ + dᵢ).
//! - **Work bound**: in any stretch [a, b] there are at least ⌈work that must lie inside ÷ (b − a)⌉ environments.
//! - **Cold starts**: each made an environment of its own.

use std::collections::HashSet;

use super::run::Run;
use super::{Attempt, PingResult};
use crate::domain::tick::Evidence;

/// How many (stretch, ping) pairs the work bound looks at, about: it bounds the search to a few milliseconds.
const WORK_BOUND_PAIRS: usize = 65_536;

/// However many pings there are, the work bound tries this many beginnings of stretches.
const FEWEST_BEGINNINGS: usize = 8;

/// How many distinct environments are proven, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// A lower bound of the distinct environments reached; 0 when nothing is known.
    pub environments: u32,
    /// What proves it: the best bound; of equal ones ids, then overlap, then cold starts.
    pub evidence: Evidence,
}

impl Proof {
    /// The environments proven; none when nothing is known.
    pub fn reached(self) -> Option<u32> {
        (self.environments > 0).then_some(self.environments)
    }
}

/// The best lower bound over a round's attempts. Ids are united over them; of the other bounds the best attempt
/// counts, because the environments of one attempt may be those of another.
pub fn proven(attempts: &[Attempt]) -> Proof {
    let ids: HashSet<&str> = attempts.iter().flat_map(evidence_of).filter_map(environment).collect();
    let ids = count(ids.len());

    let (mut overlap, mut cold_starts) = (0, 0);
    for attempt in attempts {
        cold_starts = cold_starts.max(cold_starts_of(attempt));
        // Not more environments than pings: when as many are proven already, there is nothing to find.
        if count(evidence_of(attempt).count()) > ids.max(overlap) {
            overlap = overlap.max(overlap_of(attempt, ids.max(overlap)));
        }
    }
    if ids == 0 && overlap == 0 && cold_starts == 0 {
        Proof { environments: 0, evidence: Evidence::Unknown }
    } else if ids >= overlap && ids >= cold_starts {
        Proof { environments: ids, evidence: Evidence::Ids }
    } else if overlap >= cold_starts {
        Proof { environments: overlap, evidence: Evidence::Overlap }
    } else {
        Proof { environments: cold_starts, evidence: Evidence::ColdStarts }
    }
}

fn evidence_of(attempt: &Attempt) -> impl Iterator<Item = &PingResult> {
    attempt.pings.iter().filter(|ping| ping.outcome.is_evidence())
}

fn environment(ping: &PingResult) -> Option<&str> {
    ping.environment.as_deref()
}

fn cold_starts_of(attempt: &Attempt) -> u32 {
    count(attempt.pings.iter().filter(|ping| ping.outcome.is_new()).count())
}

/// The better of core overlap and work bound; the work bound is left out when it cannot beat what is `known`.
fn overlap_of(attempt: &Attempt, known: u32) -> u32 {
    let runs: Vec<Run> = attempt.pings.iter().filter_map(Run::of).collect();
    let most = count(runs.len());
    if most == 0 {
        return 0;
    }
    // One run is one environment, however short it was.
    let cores = core_overlap(&runs).max(1);
    if cores.max(known) >= most { cores } else { cores.max(work_bound(&runs)) }
}

/// The most cores that share an instant. Cold runs reach back to the beginning, unless they alone would make the
/// number: that is the evidence of cold starts, and is to be called so.
fn core_overlap(runs: &[Run]) -> u32 {
    let new = count(runs.iter().filter(|run| run.is_new).count());
    if new > 0 {
        let with_new = most_at_once(
            runs.iter().map(|run| (if run.is_new { i64::MIN } else { run.latest_start }, run.earliest_end)),
        );
        if with_new > new {
            return with_new;
        }
    }
    most_at_once(runs.iter().map(|run| (run.latest_start, run.earliest_end)))
}

/// The most half-open intervals that share a point. Intervals that only touch do not: one environment can run two
/// invocations back to back.
fn most_at_once(intervals: impl Iterator<Item = (i64, i64)>) -> u32 {
    let (mut starts, mut ends): (Vec<i64>, Vec<i64>) = intervals.filter(|(start, end)| start < end).unzip();
    starts.sort_unstable();
    ends.sort_unstable();
    let mut ended = ends.iter().peekable();
    let (mut open, mut most) = (0_u32, 0_u32);
    for start in starts {
        while ended.next_if(|end| **end <= start).is_some() {
            open -= 1;
        }
        open += 1;
        most = most.max(open);
    }
    most
}

/// The most environments that any stretch [a, b] of those tried needs for the work that must lie inside it.
///
/// The least that run i can have done inside [a, b] is at one of its two extremes, begun as early or as late as can
/// be: min(|[s, s + d] ∩ [a, b]|, |[r − d, r] ∩ [a, b]|). With the beginning a fixed, that is a ramp in b: it rises by
/// 1 from max(r − d, a) until the whole of d, or of what an early run leaves after a, is counted. The quotient
/// work ÷ (b − a) is therefore largest where some ramp ends, and one sweep over sorted ramp ends tries every b worth
/// trying. For a, every s and r − d is worth trying; above [`WORK_BOUND_PAIRS`] an even choice of them is tried.
/// Whatever stretches are left out, each tried one gives a true lower bound.
fn work_bound(runs: &[Run]) -> u32 {
    let mut beginnings: Vec<i64> = runs.iter().flat_map(|run| [run.sent, run.latest_start]).collect();
    beginnings.sort_unstable();
    beginnings.dedup();
    let tried = (WORK_BOUND_PAIRS / runs.len().max(1)).max(FEWEST_BEGINNINGS);
    let step = beginnings.len().div_ceil(tried).max(1);

    let mut best = 0;
    let mut bends: Vec<(i64, i64)> = Vec::with_capacity(2 * runs.len());
    for a in beginnings.into_iter().step_by(step) {
        bends.clear();
        for run in runs {
            let rises = run.latest_start.max(a);
            let height = run.busy.min(run.earliest_end - a);
            if height > 0 {
                bends.push((rises, 1));
                bends.push((rises + height, -1));
            }
        }
        best = best.max(most_per_time(a, &mut bends));
    }
    best
}

/// The largest ⌈work ÷ (b − a)⌉, where the work done by b is a sum of ramps given by the `bends` (instant, change of
/// slope) of their ends.
fn most_per_time(a: i64, bends: &mut [(i64, i64)]) -> u32 {
    bends.sort_unstable();
    let (mut work, mut slope, mut at) = (0_i128, 0_i64, a);
    let mut best = 0;
    for &mut (b, change) in bends {
        work += i128::from(slope) * i128::from(b - at);
        at = b;
        slope += change;
        if change < 0 && b > a {
            let length = i128::from(b - a);
            best = best.max((work + length - 1) / length);
        }
    }
    u32::try_from(best).unwrap_or(0)
}

/// Pings are counted in `u32`: a round has at most 100,000.
fn count(pings: usize) -> u32 {
    u32::try_from(pings).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::round::Outcome;
    use crate::domain::round::model::{attempt, cases, ping};

    fn overlap(environments: u32) -> Proof {
        Proof { environments, evidence: Evidence::Overlap }
    }

    #[test]
    fn the_work_bound_of_fifty_pings_that_no_two_need_overlap() {
        let attempt = attempt((0..50).map(|_| ping(Outcome::Warm, 0.0, 60.0, 25.0)));
        let runs: Vec<Run> = attempt.pings.iter().filter_map(Run::of).collect();
        assert_eq!(core_overlap(&runs), 0);
        assert_eq!(proven(&[attempt]), overlap(21));
    }

    #[test]
    fn the_work_bound_finds_the_crowded_stretch() {
        // Ten runs of 30 ms within 50 ms, among stragglers that would thin them out: 300 / 50 = 6.
        let crowd = (0..10).map(|_| ping(Outcome::Warm, 100.0, 150.0, 20.0));
        let stragglers = [0.0, 400.0, 800.0].map(|at| ping(Outcome::Warm, at, at + 300.0, 20.0));
        assert_eq!(proven(&[attempt(crowd.chain(stragglers))]), overlap(4));
    }

    #[test]
    fn cores_that_share_an_instant_are_distinct() {
        let pings = |n: u32| (0..n).map(|i| ping(Outcome::Warm, f64::from(i), f64::from(i) + 110.0, 100.0));
        assert_eq!(proven(&[attempt(pings(50))]), overlap(50));
        // 110 ms after the first, its run is over: of 200 pings 1 ms apart, 90 cores share an instant at most, and
        // about 100 runs of 100 ms fit nowhere else.
        let Proof { environments, .. } = proven(&[attempt(pings(200))]);
        assert!((90..=100).contains(&environments), "{environments}");
    }

    #[test]
    fn runs_back_to_back_may_share_an_environment() {
        // Without network time the cores are the runs; they touch.
        let first = ping(Outcome::Warm, 0.0, 10.0, 10.0);
        let second = ping(Outcome::Warm, 10.0, 20.0, 10.0);
        assert_eq!(proven(&[attempt([first, second])]), overlap(1));
    }

    #[test]
    fn a_duration_rounded_up_proves_nothing_more() {
        // Two runs of 9.996 ms, one after the other in 20 ms, told as 10.00 ms.
        let pings = [ping(Outcome::Warm, 0.0, 19.992, 10.0), ping(Outcome::Warm, 0.0, 19.992, 10.0)];
        assert_eq!(proven(&[attempt(pings)]), overlap(1));
    }

    #[test]
    fn a_duration_that_does_not_fit_is_no_evidence_of_time() {
        let broken = |at: f64| ping(Outcome::Warm, at, at + 10.0, 1000.0);
        let proof = proven(&[attempt([broken(0.0), broken(1.0)])]);
        assert_eq!(proof, Proof { environments: 0, evidence: Evidence::Unknown });
        assert_eq!(proof.reached(), None);
        assert_eq!(proven(&[attempt([broken(0.0), ping(Outcome::Warm, 0.0, 9.0, 2.0)])]), overlap(1));
    }

    #[test]
    fn only_warm_cold_and_restored_pings_are_evidence() {
        for outcome in [
            Outcome::Unclassified,
            Outcome::TimedOut,
            Outcome::Denied,
            Outcome::FunctionError { kind: "E".to_owned() },
            Outcome::Throttled { reason: None },
        ] {
            // All that a warm ping tells, and still none.
            let warm = ping(Outcome::Warm, 0.0, 60.0, 55.0);
            let ping = PingResult { outcome, environment: Some("e".to_owned()), ..warm.clone() };
            assert_eq!(proven(&[attempt([ping.clone(), ping.clone()])]).evidence, Evidence::Unknown);
            assert_eq!(proven(&[attempt([warm, ping.clone(), ping])]), overlap(1));
        }
    }

    #[test]
    fn ids_are_united_over_attempts_and_other_bounds_are_not() {
        let id = |id: &str| {
            let mut ping = ping(Outcome::Warm, 0.0, 10.0, 1.0);
            ping.environment = Some(id.to_owned());
            ping
        };
        let rounds = [attempt([id("a"), id("b"), id("a")]), attempt([id("b"), id("c")])];
        assert_eq!(proven(&rounds), Proof { environments: 3, evidence: Evidence::Ids });

        let cold = |n: usize| attempt((0..n).map(|i| ping(Outcome::Cold, 0.0, 9.0 * (i + 1) as f64, 1.0)));
        let proof = proven(&[cold(2), cold(3)]);
        assert_eq!(proof, Proof { environments: 3, evidence: Evidence::ColdStarts });
    }

    #[test]
    fn of_equal_bounds_ids_come_first_and_cold_starts_last() {
        let mut pings: Vec<_> = (0..3).map(|_| ping(Outcome::Cold, 0.0, 30.0, 25.0)).collect();
        assert_eq!(proven(&[attempt(pings.clone())]), overlap(3));
        for (i, ping) in pings.iter_mut().enumerate() {
            ping.environment = Some(i.to_string());
        }
        assert_eq!(proven(&[attempt(pings.clone())]), Proof { environments: 3, evidence: Evidence::Ids });
        // An id too few, and the overlap is better.
        pings[0].environment = None;
        assert_eq!(proven(&[attempt(pings)]), overlap(3));
    }

    #[test]
    fn cold_runs_never_share_with_what_ran_before_they_ended() {
        // Three warm runs in the first 110 ms, two cold ones that began ten seconds later: five environments.
        let warm = (0..3).map(|_| ping(Outcome::Warm, 0.0, 110.0, 100.0));
        let cold = (0..2).map(|_| ping(Outcome::Cold, 0.0, 10_110.0, 100.0));
        assert_eq!(proven(&[attempt(warm.chain(cold))]), overlap(5));
        // A warm run that may have begun after a cold one ended may have met its environment.
        let pings = [ping(Outcome::Cold, 0.0, 500.0, 100.0), ping(Outcome::Warm, 0.0, 900.0, 100.0)];
        assert_eq!(proven(&[attempt(pings)]), overlap(1));
    }

    /// The least that a run can have done inside [a, b], from the definition.
    fn least_inside(run: &Run, a: i64, b: i64) -> i64 {
        let inside = |start: i64| (b.min(start + run.busy) - a.max(start)).max(0);
        (0..=10).map(|i| inside(run.sent + (run.latest_start - run.sent) * i / 10)).min().unwrap_or(0)
    }

    fn some_runs() -> impl Strategy<Value = Vec<Run>> {
        let run = (0_i64..30, 0_i64..20, 1_i64..20).prop_map(|(sent, slack, busy)| Run {
            sent,
            latest_start: sent + slack,
            earliest_end: sent + busy,
            busy,
            is_new: false,
        });
        prop::collection::vec(run, 1..10)
    }

    proptest! {
        #![proptest_config(cases(256))]

        /// The sweep finds as much as trying every stretch of whole numbers, or all but nearly so (it leaves out
        /// beginnings where two extremes cross), and never more.
        #[test]
        fn the_sweep_agrees_with_trying_every_stretch(runs in some_runs()) {
            let mut best = 0;
            for a in 0..70 {
                for b in a + 1..71 {
                    let work: i64 = runs.iter().map(|run| least_inside(run, a, b)).sum();
                    best = best.max((work + b - a - 1) / (b - a));
                }
            }
            let found = i64::from(work_bound(&runs));
            prop_assert!(found <= best, "{found} > {best}");
            prop_assert!(found + 1 >= best, "{found} far below {best}");
        }

        #[test]
        fn the_most_at_once_is_the_most_at_some_start(intervals in prop::collection::vec((0_i64..50, 0_i64..50), 0..20)) {
            let at = |t: i64| intervals.iter().filter(|(start, end)| *start <= t && t < *end).count();
            let most = (0..50).map(at).max().unwrap_or(0);
            prop_assert_eq!(most_at_once(intervals.iter().copied()) as usize, most);
        }
    }
}
