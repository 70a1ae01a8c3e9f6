//! The pings of a round by the kind of their environments: provisioned or on demand.
//!
//! Requests reach provisioned environments first. An answer may have the initialization type of its environment, which
//! decides. Of the other pings, as many are taken as provisioned as the qualifier is known to have free provisioned
//! environments in an attempt, but only those that are certainly not cold starts: the ones without an init, and then
//! the ones whose init began before the request. The REPORT line of the first invocation of a provisioned environment
//! has an init, although no request waited for it.

use super::doubt::Doubt;
use super::evidence::{Proof, count, proven_of};
use super::start::{certain_hold, init_began_before};
use super::usage::PingUsage;
use super::{Attempt, Initialization, PingResult, Ran};
use crate::domain::by_kind::ByKind;

/// The part of a round on provisioned environments, and the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct KindReports {
    /// The parts. They add up to the round.
    pub parts: ByKind<KindReport>,
    /// True if a ping that ran, or may have run, has no initialization type in its answer.
    pub assumed: bool,
}

/// The part of a round on one kind of environment.
#[derive(Debug, Clone, PartialEq)]
pub struct KindReport {
    /// The number of environments proven, `None` if unknown. Never above the truth where no kind is assumed.
    pub environments: Option<u32>,
    /// The usage.
    pub usage: PingUsage,
}

/// The attempts of a round, parted by the kind of environment. Each part has every attempt with some of its pings.
#[derive(Debug)]
pub(super) struct Parted {
    pub attempts: ByKind<Vec<Attempt>>,
    assumed: bool,
    /// The maximum number of provisioned environments, if some of the pings on them are assumed.
    most: Option<u32>,
}

impl Parted {
    /// Parts the attempts of a round. `known` is the number of provisioned environments of the qualifier. Returns
    /// `None` if neither it nor an answer indicates any.
    pub fn of(attempts: &[Attempt], known: Option<u32>) -> Option<Self> {
        let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
        if known.unwrap_or(0) == 0 && !pings().any(reports_provisioned) {
            return None;
        }
        let mut parts = ByKind { provisioned: Vec::new(), on_demand: Vec::new() };
        for attempt in attempts {
            let landed = on_provisioned(attempt, known.unwrap_or(0));
            let part = |kind: bool| {
                let pings = attempt.pings.iter().zip(&landed).filter(|(_, landed)| **landed == kind);
                Attempt { pings: pings.map(|(ping, _)| ping.clone()).collect(), ..*attempt }
            };
            parts.provisioned.push(part(true));
            parts.on_demand.push(part(false));
        }
        let assumed = pings().any(|ping| ping.ran != Ran::No && ping.initialization.is_none());
        let taken = parts.provisioned.iter().map(|attempt| count(attempt.pings.len())).max().unwrap_or(0);
        let most = known.filter(|_| assumed).map(|known| known.max(taken));
        Some(Self { attempts: parts, assumed, most })
    }

    /// Evaluates both parts. `whole` has the attempts that prove something, the last ones of the round; `doubt` is that
    /// about them, and `proof` that of all environments.
    pub fn report(&self, whole: &[Attempt], doubt: Option<Doubt>, proof: Proof) -> KindReports {
        let ByKind { provisioned, on_demand } = &self.attempts;
        let all = proof.environments;
        let bound = |part: &[Attempt]| {
            let proving = part.get(part.len().saturating_sub(whole.len())..).unwrap_or(part);
            proven_of(proving, whole, doubt).environments
        };
        let (first, rest) = match (bound(provisioned).min(all), self.most) {
            // Different pings of several attempts are assumed. All environments above the maximum are on demand.
            (first, Some(most)) if first > most => (most, all - most),
            (first, _) => (first, bound(on_demand).min(all - first)),
        };
        let report = |attempts: &[Attempt], environments: u32, provisioned: bool| {
            let usage = PingUsage::of(attempts.iter().flat_map(|attempt| &attempt.pings), provisioned);
            let ran = usage.requests + usage.maybe_requests > 0;
            let environments = (environments > 0 || !ran).then_some(environments);
            KindReport { environments, usage }
        };
        let parts = ByKind {
            provisioned: report(provisioned, first, true),
            on_demand: report(on_demand, rest, false),
        };
        KindReports { parts, assumed: self.assumed }
    }
}

fn reports_provisioned(ping: &PingResult) -> bool {
    ping.initialization == Some(Initialization::ProvisionedConcurrency)
}

/// Returns true for each ping of the attempt that is taken as one on a provisioned environment.
fn on_provisioned(attempt: &Attempt, known: u32) -> Vec<bool> {
    let mut landed: Vec<bool> = attempt.pings.iter().map(reports_provisioned).collect();
    let mut free = known.saturating_sub(count(landed.iter().filter(|landed| **landed).count()));
    let held = certain_hold(attempt);
    for certain in [|ping: &PingResult, _| has_no_init(ping), init_began_before] {
        for (ping, landed) in attempt.pings.iter().zip(&mut landed) {
            if free > 0 && !*landed && ping.initialization.is_none() && certain(ping, held) {
                *landed = true;
                free -= 1;
            }
        }
    }
    landed
}

/// Returns true if the REPORT line shows that an existing environment answered.
fn has_no_init(ping: &PingResult) -> bool {
    ping.report.as_ref().is_some_and(|report| report.init_ms.is_none() && report.restore_ms.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::model::{attempt, ping};
    use crate::domain::round::{Known, Outcome, RoundReport};

    /// A ping with the id `id`, answered after `received` ms. The init of a cold one takes 80 ms.
    fn answered(outcome: Outcome, id: &str, received: f64, kind: Option<Initialization>) -> PingResult {
        PingResult {
            environment: Some(id.to_owned()),
            initialization: kind,
            ..ping(outcome, 0.0, received, 1.0)
        }
    }

    fn report(attempts: &[Attempt], provisioned: Option<u32>) -> RoundReport {
        RoundReport::new(4, attempts, true, Known { provisioned, ..Known::default() })
    }

    type Parts = ((Option<u32>, Option<u32>), (Option<u32>, Option<u32>), bool);

    /// Returns environments and cold starts of provisioned environments, those of others, and true if assumed.
    fn parts(report: &RoundReport) -> Option<Parts> {
        let KindReports { parts, assumed } = report.by_kind.as_ref()?;
        let ByKind { provisioned, on_demand } =
            parts.as_ref().map(|part| (part.environments, part.usage.cold_starts));
        Some((provisioned, on_demand, *assumed))
    }

    const PROVISIONED: Option<Initialization> = Some(Initialization::ProvisionedConcurrency);
    const ON_DEMAND: Option<Initialization> = Some(Initialization::OnDemand);

    #[test]
    fn answers_with_types_decide() {
        let mut pings = vec![
            answered(Outcome::Cold, "a", 900.0, PROVISIONED),
            answered(Outcome::Warm, "b", 60.0, PROVISIONED),
            answered(Outcome::Cold, "c", 900.0, ON_DEMAND),
            answered(Outcome::Warm, "d", 60.0, ON_DEMAND),
        ];
        let cold = &mut pings[0];
        cold.report.as_mut().unwrap().billed_ms = 81;
        // More than the qualifier is said to have: that may be outdated.
        let report = report(&[attempt(pings.clone())], Some(1));
        assert_eq!(parts(&report), Some(((Some(2), Some(0)), (Some(2), Some(1)), false)));
        let counts = report.counts;
        assert_eq!((counts.warm, counts.cold, report.cold_starts, report.reached), (3, 1, Some(1), Some(4)));
        // The init of the first is billed with its environment.
        assert_eq!(report.billed_ms, Some(4));

        for ping in &mut pings {
            ping.initialization = ON_DEMAND;
        }
        assert_eq!(parts(&self::report(&[attempt(pings)], None)), None);
    }

    #[test]
    fn without_types_only_pings_that_are_certainly_no_cold_starts_are_assumed() {
        let pings = [
            answered(Outcome::Cold, "a", 900.0, None),
            answered(Outcome::Cold, "b", 60.0, None),
            answered(Outcome::Warm, "c", 60.0, None),
            answered(Outcome::Cold, "d", 900.0, None),
        ];
        let attempts = [attempt(pings)];
        let cold_starts =
            |known| parts(&report(&attempts, known)).map(|(first, rest, assumed)| (first.0, rest, assumed));
        assert_eq!(cold_starts(None), None);
        assert_eq!(cold_starts(Some(0)), None);
        // The warm one first, then the one that did not wait for its init. The others waited: cold starts.
        assert_eq!(cold_starts(Some(1)), Some((Some(1), (Some(3), Some(3)), true)));
        assert_eq!(cold_starts(Some(2)), Some((Some(2), (Some(2), Some(2)), true)));
        assert_eq!(cold_starts(Some(4)), Some((Some(2), (Some(2), Some(2)), true)));
        assert_eq!((report(&attempts, Some(4)).counts.cold, report(&attempts, Some(1)).counts.cold), (2, 3));
    }

    #[test]
    fn top_ups_do_not_add_assumed_environments() {
        let warm = |id| answered(Outcome::Warm, id, 60.0, None);
        let attempts = [attempt([warm("a"), warm("b")]), attempt([warm("c"), warm("d")])];
        assert_eq!(parts(&report(&attempts, Some(1))), Some(((Some(1), Some(0)), (Some(3), Some(0)), true)));
    }

    #[test]
    fn a_ping_without_a_type_or_a_report_line_stays_unknown() {
        let silent = |kind| answered(Outcome::Unclassified, "s", 60.0, kind);
        let warm = answered(Outcome::Warm, "a", 60.0, PROVISIONED);
        let lost = PingResult { ran: Ran::Maybe, ..ping(Outcome::TimedOut, 0.0, 60.0, 0.0) };
        // It may have been a cold start on demand.
        let unknown = report(&[attempt([warm.clone(), silent(None)])], Some(2));
        assert_eq!(parts(&unknown), Some(((Some(1), Some(0)), (None, None), true)));
        let unknown = report(&[attempt([warm.clone(), lost])], Some(2));
        assert_eq!(parts(&unknown), Some(((Some(1), Some(0)), (None, None), true)));
        // It certainly was not, but is no evidence.
        let known =
            report(&[attempt([answered(Outcome::Cold, "c", 900.0, ON_DEMAND), silent(PROVISIONED)])], None);
        assert_eq!(parts(&known), Some(((None, Some(0)), (Some(1), Some(1)), false)));
        assert_eq!((known.cold_starts, known.billed_ms), (Some(1), None));
        // A refused ping reached no environment.
        let throttled = ping(Outcome::Throttled { reason: None }, 0.0, 5.0, 0.0);
        let refused = report(&[attempt([throttled])], Some(2));
        assert_eq!(parts(&refused), Some(((Some(0), Some(0)), (Some(0), Some(0)), false)));
    }

    #[test]
    fn one_id_of_both_kinds_is_one_environment() {
        let pings =
            [answered(Outcome::Warm, "a", 60.0, PROVISIONED), answered(Outcome::Warm, "a", 160.0, ON_DEMAND)];
        let contradictory = report(&[attempt(pings)], None);
        assert_eq!(contradictory.reached, Some(1));
        assert_eq!(parts(&contradictory), Some(((Some(1), Some(0)), (None, Some(0)), false)));
    }
}
