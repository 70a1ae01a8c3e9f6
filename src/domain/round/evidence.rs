//! Lower bounds of the distinct environments that a round reached, never above the truth.
//!
//! All bounds rest on one fact: an environment runs one invocation at a time. Where answers show that it does not,
//! nothing is proven ([`Doubt`]). Ping i ran for dᵢ (REPORT's Duration) without a break. The run began after sᵢ (sent),
//! and at least hᵢ before rᵢ (answered), where hᵢ ≤ dᵢ is the time that the handler certainly ran before it answered:
//! its hold. The rest of dᵢ may come after the answer, while an extension still runs.
//!
//! - **Ids**: distinct ids are distinct environments. A ping without an id adds nothing, because its environment may be
//!   that of another ping.
//! - **Core overlap**: run i certainly covers its core [rᵢ − hᵢ, sᵢ + dᵢ), when that is not empty. Runs that share an
//!   instant are in distinct environments.
//! - **Core overlap with cold starts**: a cold start has a new environment. Every other run that began before its end
//!   was in another environment, so the core of a cold run extends back to the beginning: (−∞, sᵢ + dᵢ).
//! - **Work bound**: in any interval [a, b] there are at least ⌈work that must lie inside ÷ (b − a)⌉ environments.
//! - **Cold starts**: each created one environment.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::busy_interval::{BusyInterval, held};
use super::doubt::{Doubt, doubt};
use super::overlap::most_at_a_time;
use super::{Attempt, Known, PingResult};

/// The proof of the number of environments reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Distinct ids in the answers.
    Ids,
    /// Runs that must have overlapped, or work that cannot have fitted into fewer environments.
    Overlap,
    /// Cold starts and restores. Each created one environment.
    ColdStarts,
    /// No proof.
    Unknown,
}

/// The number of distinct environments proven, and its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// A lower bound of the distinct environments reached; 0 when nothing is known.
    pub environments: u32,
    /// The best bound; of equal ones ids, then overlap, then cold starts.
    pub evidence: Evidence,
}

impl Proof {
    /// Returns the number of environments proven; `None` if nothing is known.
    pub fn reached(self) -> Option<u32> {
        (self.environments > 0).then_some(self.environments)
    }
}

/// Returns the best lower bound over a round's attempts. Ids are united over the attempts, per executed version. The
/// other bounds are those of the best attempt, because two attempts may have reached the same environments.
pub fn proven(attempts: &[Attempt], known: Known) -> Proof {
    proven_of(attempts, attempts, doubt(attempts, known))
}

/// Returns the best lower bound from a part of a round's pings: `part` has some pings of each attempt of `whole`.
/// `doubt` is that about the whole round, and all pings of an attempt show whether the handlers kept the hold.
pub(super) fn proven_of(part: &[Attempt], whole: &[Attempt], doubt: Option<Doubt>) -> Proof {
    let ids = match doubt {
        Some(Doubt::SharedEnvironments(_)) => return Proof { environments: 0, evidence: Evidence::Unknown },
        Some(Doubt::ForeignIds(_)) => 0,
        None => distinct_ids(part, |ping| ping.outcome.is_evidence()),
    };

    let (mut overlap, mut cold_starts) = (0, 0);
    for (attempt, whole) in part.iter().zip(whole) {
        cold_starts = cold_starts.max(cold_starts_of(attempt));
        // There are at most as many environments as pings: a bound that is already that high cannot improve.
        if count(evidence_of(attempt).count()) > ids.max(overlap) {
            overlap = overlap.max(overlap_of(attempt, held(whole), ids.max(overlap)));
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

/// Returns the number of distinct ids in the pings that `counts` selects: the most of any attempt, or of any version
/// over all attempts. Between two attempts a deployment may replace every environment by one of another version.
pub(super) fn distinct_ids(attempts: &[Attempt], counts: impl Fn(&PingResult) -> bool) -> u32 {
    let mut versions: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
    let mut most = 0;
    for attempt in attempts {
        let mut ids = BTreeSet::new();
        for ping in attempt.pings.iter().filter(|ping| counts(ping)) {
            if let Some(id) = ping.environment.as_deref() {
                ids.insert(id);
                versions.entry(ping.version.as_deref()).or_default().insert(id);
            }
        }
        most = most.max(ids.len());
    }
    count(versions.values().map(BTreeSet::len).fold(most, usize::max))
}

fn evidence_of(attempt: &Attempt) -> impl Iterator<Item = &PingResult> {
    attempt.pings.iter().filter(|ping| ping.outcome.is_evidence())
}

fn cold_starts_of(attempt: &Attempt) -> u32 {
    count(attempt.pings.iter().filter(|ping| ping.outcome.is_new()).count())
}

/// Returns at least 1, because any ping that is evidence reached an environment.
fn overlap_of(attempt: &Attempt, held: i64, known: u32) -> u32 {
    let runs: Vec<BusyInterval> =
        attempt.pings.iter().filter_map(|ping| BusyInterval::of(ping, held)).collect();
    most_at_a_time(&runs, known).max(1)
}

/// Pings are counted in `u32`: a round has at most 100,000.
pub(super) fn count(pings: usize) -> u32 {
    u32::try_from(pings).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::model::{attempt, kept, ping};
    use crate::domain::round::{Ids, Initialization, Outcome};

    fn proven(attempts: &[Attempt]) -> Proof {
        super::proven(attempts, Known::default())
    }

    fn overlap(environments: u32) -> Proof {
        Proof { environments, evidence: Evidence::Overlap }
    }

    #[test]
    fn the_work_bound_of_fifty_pings_that_no_two_need_overlap() {
        let pings = || (0..50).map(|_| ping(Outcome::Warm, 0.0, 60.0, 25.0));
        assert_eq!(proven(&[kept(25.0, pings())]), overlap(21));
        // Without a hold the whole run may be that of an extension that began with the answer. 50 × 25 / 85.
        assert_eq!(proven(&[attempt(pings())]), overlap(15));
    }

    #[test]
    fn the_work_bound_finds_the_densest_interval() {
        // Ten runs of 30 ms within 50 ms, among stragglers with longer intervals: 300 / 50 = 6.
        let crowd = (0..10).map(|_| ping(Outcome::Warm, 100.0, 150.0, 20.0));
        let stragglers = [0.0, 400.0, 800.0].map(|at| ping(Outcome::Warm, at, at + 300.0, 20.0));
        assert_eq!(proven(&[kept(20.0, crowd.chain(stragglers))]), overlap(4));
    }

    #[test]
    fn cores_that_share_an_instant_are_distinct() {
        let pings = |n: u32| (0..n).map(|i| ping(Outcome::Warm, f64::from(i), f64::from(i) + 110.0, 100.0));
        assert_eq!(proven(&[kept(100.0, pings(50))]), overlap(50));
        // 110 ms after the first, its run is over: of 200 pings 1 ms apart, 90 cores share an instant at most, and
        // about 100 runs of 100 ms fit nowhere else.
        let Proof { environments, .. } = proven(&[kept(100.0, pings(200))]);
        assert!((90..=100).contains(&environments), "{environments}");
    }

    #[test]
    fn runs_back_to_back_may_share_an_environment() {
        // Without network time the cores are the runs; they touch.
        let first = ping(Outcome::Warm, 0.0, 10.0, 10.0);
        let second = ping(Outcome::Warm, 10.0, 20.0, 10.0);
        assert_eq!(proven(&[kept(10.0, [first, second])]), overlap(1));
    }

    #[test]
    fn a_duration_rounded_up_does_not_raise_the_bound() {
        // Two runs of 9.996 ms, one after the other in 20 ms, reported as 10.00 ms.
        let pings = [ping(Outcome::Warm, 0.0, 19.992, 10.0), ping(Outcome::Warm, 0.0, 19.992, 10.0)];
        assert_eq!(proven(&[kept(10.0, pings)]), overlap(1));
    }

    #[test]
    fn a_duration_that_does_not_fit_is_no_evidence_of_time() {
        let broken = |at: f64| ping(Outcome::Warm, at, at + 10.0, 1000.0);
        assert_eq!(proven(&[attempt([broken(0.0), broken(1.0)])]), overlap(1));
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
            // The data of a warm ping, with another outcome.
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
        assert_eq!(proven(&[kept(25.0, pings.clone())]), overlap(3));
        for (i, ping) in pings.iter_mut().enumerate() {
            ping.environment = Some(i.to_string());
        }
        assert_eq!(proven(&[attempt(pings.clone())]), Proof { environments: 3, evidence: Evidence::Ids });
        // With one id fewer the overlap is the better bound.
        pings[0].environment = None;
        assert_eq!(proven(&[kept(25.0, pings)]), overlap(3));
    }

    #[test]
    fn a_cold_run_shares_no_environment_with_earlier_runs() {
        // Three warm runs in the first 110 ms, two cold ones that began ten seconds later: five environments.
        let warm = (0..3).map(|_| ping(Outcome::Warm, 0.0, 110.0, 100.0));
        let cold = (0..2).map(|_| ping(Outcome::Cold, 0.0, 10_110.0, 100.0));
        assert_eq!(proven(&[kept(100.0, warm.chain(cold))]), overlap(5));
        // A warm run that may have begun after the end of a cold one may have used the same environment.
        let pings = [ping(Outcome::Cold, 0.0, 500.0, 100.0), ping(Outcome::Warm, 0.0, 900.0, 100.0)];
        assert_eq!(proven(&[kept(100.0, pings)]), overlap(1));
    }

    fn with_id(id: &str, version: &str, ping: PingResult) -> PingResult {
        PingResult { environment: Some(id.to_owned()), version: Some(version.to_owned()), ..ping }
    }

    #[test]
    fn ids_are_united_for_each_version() {
        let id = |id: &str, version: &str| with_id(id, version, ping(Outcome::Warm, 0.0, 10.0, 1.0));
        // One environment at a time: a deployment replaces the first.
        let deployed = [attempt([id("a", "7"), id("a", "7")]), attempt([id("b", "8"), id("b", "8")])];
        assert_eq!(proven(&deployed).environments, 1);
        // A weighted alias: both versions at once.
        let weighted = attempt([id("a", "7"), id("b", "8"), id("b", "8")]);
        assert_eq!(proven(std::slice::from_ref(&weighted)).environments, 2);
        let more = attempt([id("c", "7"), id("d", "7")]);
        assert_eq!(proven(&[weighted, more]), Proof { environments: 3, evidence: Evidence::Ids });
    }

    const NOTHING: Proof = Proof { environments: 0, evidence: Evidence::Unknown };

    #[test]
    fn one_id_in_overlapping_runs_proves_nothing() {
        let same = |ids: [&str; 3], received: f64| {
            ids.map(|id| with_id(id, "7", ping(Outcome::Warm, 0.0, received, 100.0)))
        };
        let ids = ["a", "a", "b"];
        assert_eq!(proven(&[kept(100.0, same(ids, 110.0))]), NOTHING);
        // Empty cores, but more work than fits into one environment: 2 × 100 ms in 199 ms.
        assert_eq!(proven(&[kept(100.0, same(ids, 199.0))]), NOTHING);
        // One after the other: two environments.
        let proof = Proof { environments: 2, evidence: Evidence::Ids };
        assert_eq!(proven(&[kept(100.0, same(ids, 201.0))]), proof);
        // Without a hold no two of them must have overlapped.
        assert_eq!(proven(&[attempt(same(ids, 199.0))]), NOTHING_BUT_IDS);
    }

    /// Without a hold, 2 × 100 ms fit into 199 ms and the work after the answer.
    const NOTHING_BUT_IDS: Proof = Proof { environments: 2, evidence: Evidence::Ids };

    #[test]
    fn a_managed_instance_proves_nothing() {
        let mut pings: Vec<_> =
            ["a", "b"].iter().map(|id| with_id(id, "7", ping(Outcome::Warm, 0.0, 110.0, 100.0))).collect();
        assert_eq!(proven(&[kept(100.0, pings.clone())]).environments, 2);
        pings[1].initialization = Some(Initialization::ManagedInstances);
        assert_eq!(proven(&[kept(100.0, pings)]), NOTHING);
    }

    #[test]
    fn an_id_shared_by_new_environments_does_not_count() {
        let restored = |id| with_id(id, "7", ping(Outcome::Restored, 0.0, 900.0, 25.0));
        let proof = proven(&[attempt([restored("a"), restored("a"), restored("b")])]);
        assert_eq!(proof, Proof { environments: 3, evidence: Evidence::ColdStarts });
    }

    #[test]
    fn ids_of_invocations_count_as_nothing() {
        let known = Known { ids: Ids::Invocations, ..Known::default() };
        let pings = || ["a", "b"].map(|id| with_id(id, "7", ping(Outcome::Warm, 0.0, 110.0, 100.0)));
        assert_eq!(super::proven(&[kept(100.0, pings())], known), overlap(2));
        let slow = ["a", "b"].map(|id| with_id(id, "7", ping(Outcome::Warm, 0.0, 900.0, 100.0)));
        assert_eq!(super::proven(&[kept(100.0, slow)], known), overlap(1));
    }
}
