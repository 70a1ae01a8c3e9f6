//! The guards of the rounds of the versions behind a weighted alias.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};

use super::{Decision, Knowledge, decide};
use crate::domain::fleet::{Limits, Target};
use crate::domain::function::{Identity, Qualifier};
use crate::domain::preflight::TargetObservation;
use crate::domain::routing::{Routing, Weight};
use crate::domain::tick::SkipReason;

/// The decision on the round of a version behind a weighted alias.
#[derive(Debug, Clone)]
pub struct VersionDecision {
    /// The target of the alias, with the version as qualifier.
    pub target: Target,
    /// The share of requests that the version serves.
    pub weight: Weight,
    /// The decision.
    pub decision: Decision,
}

/// Returns the routing of the target's alias if it is known to be weighted.
pub fn weighted<'k>(target: &Target, known: Knowledge<'k>) -> Option<&'k Routing> {
    target.id.qualifier.as_ref().filter(|qualifier| qualifier.is_alias())?;
    known.facts?.alias.known().filter(|routing| routing.is_weighted() && routing.is_possible())
}

/// Returns the target of a version behind the alias of `target`.
pub fn of_version(target: &Target, version: &Qualifier) -> Target {
    Target { id: Identity { qualifier: Some(version.clone()), ..target.id.clone() }, ..target.clone() }
}

/// Returns true if the reason concerns the function or the alias as a whole: no version is pinged.
pub fn is_of_function(reason: SkipReason) -> bool {
    matches!(
        reason,
        SkipReason::SwitchedOff | SkipReason::NoHeadroom | SkipReason::Budget | SkipReason::Provisioned
    )
}

/// Returns true if no ping may reach a version for this reason: its alias is not pinged either.
pub fn forbids_alias(reason: SkipReason) -> bool {
    matches!(
        reason,
        SkipReason::Unsafe | SkipReason::Durable | SkipReason::ManagedInstances | SkipReason::NeedsTenants
    )
}

/// Returns what is known about a version: `alias` are the facts about its alias, `own` those that were read by its
/// number. The reserved concurrency is that of the function.
pub fn seen_of(
    version: &str,
    alias: Option<&TargetObservation>,
    own: Option<&TargetObservation>,
) -> TargetObservation {
    let denotes = |seen: &&TargetObservation| {
        seen.configuration.known().is_some_and(|deployed| deployed.version.as_deref() == Some(version))
    };
    let configured = alias.filter(denotes).or(own);
    TargetObservation {
        configuration: configured.map(|seen| seen.configuration.clone()).unwrap_or_default(),
        reserved: alias.map(|seen| seen.reserved.clone()).unwrap_or_default(),
        // Pings by number do not reach the provisioned environments of the alias.
        provisioned: own.map(|seen| seen.provisioned.clone()).unwrap_or_default(),
        ..TargetObservation::default()
    }
}

/// Decides on the round of each version behind a weighted alias, on its own and with the full number: weights move.
/// `known` is what is known about the alias, `own` returns the facts that were read by the number of a version.
pub fn decide_versions<'k>(
    (target, desired): (&Target, NonZeroU32),
    routing: &Routing,
    known: Knowledge<'k>,
    own: impl Fn(&Target) -> Option<&'k TargetObservation>,
    limits: &Limits,
    checks_contact: bool,
    now: DateTime<Utc>,
) -> Vec<VersionDecision> {
    let of = |(version, weight): (&Qualifier, Weight)| {
        let target = of_version(target, version);
        let seen = seen_of(version.as_str(), known.facts, own(&target));
        let known = Knowledge { facts: Some(&seen), ..known };
        let decision = decide(&target, desired, known, limits, checks_contact, now);
        VersionDecision { target, weight, decision }
    };
    routing.versions().map(of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::preflight::{AccountLimits, Deployed, ExecutionModel, Lookup};
    use crate::domain::records::Guards;
    use crate::domain::round::Purpose;

    const NOW: &str = "2026-11-20T09:00:00Z";

    fn target() -> Target {
        Target::example("f:live", "eu-west-2", Vec::new())
    }

    fn version(number: u32) -> Qualifier {
        Qualifier::parse(&number.to_string()).unwrap()
    }

    fn deployed(version: &str, change: impl Fn(&mut Deployed)) -> TargetObservation {
        let mut deployed = Deployed {
            version: Some(version.to_owned()),
            code_sha256: Some(format!("code-{version}")),
            ..Deployed::default()
        };
        change(&mut deployed);
        TargetObservation { configuration: Lookup::Known(deployed), ..TargetObservation::default() }
    }

    fn routing(own: u32, others: &[(u32, f64)]) -> Routing {
        let others = others.iter().map(|(number, share)| (version(*number), Weight::new(*share).unwrap()));
        Routing { version: version(own), others: others.collect() }
    }

    fn decided(
        alias: &TargetObservation,
        routing: &Routing,
        guards: &Guards,
        own: Option<&TargetObservation>,
    ) -> Vec<String> {
        let known = Knowledge { facts: Some(alias), guards: Some(guards), ..Knowledge::default() };
        let desired = (&target(), NonZeroU32::new(10).unwrap());
        let of_its = |target: &Target| {
            let version = own?.configuration.known()?.version.as_deref();
            own.filter(|_| target.id.qualifier.as_ref().map(Qualifier::as_str) == version)
        };
        let now = NOW.parse().unwrap();
        let decisions = decide_versions(desired, routing, known, of_its, &Limits::default(), true, now);
        let shown = |decision: &VersionDecision| {
            let label = decision.target.id.label();
            match &decision.decision {
                Decision::Skip(reason) => format!("{label} {}", reason.name()),
                Decision::Send(pings, terms) => {
                    let first = terms.first.map_or("round", |first| match first.purpose {
                        Purpose::Contact => "contact",
                        Purpose::Wake => "wake",
                        Purpose::Retry => "retry",
                    });
                    format!("{label} {pings} {first}")
                }
            }
        };
        decisions.iter().map(shown).collect()
    }

    #[test]
    fn each_version_is_decided_by_its_own_code() {
        let mut guards = Guards::default();
        guards.note_contact(&target(), Some("code-7"), None, NOW.parse().unwrap());
        let (alias, weighted) = (deployed("7", |_| {}), routing(7, &[(8, 0.1)]));
        let of = |guards: &Guards, own| decided(&alias, &weighted, guards, own);
        assert_eq!(of(&guards, None), ["f:7 10 round", "f:8 10 contact"]);
        let own = deployed("8", |_| {});
        let failed = Some("it failed".to_owned());
        guards.note_contact(
            &of_version(&target(), &version(8)),
            Some("code-8"),
            failed.clone(),
            NOW.parse().unwrap(),
        );
        assert_eq!(of(&guards, Some(&own)), ["f:7 10 round", "f:8 unsafe"]);
        let durable = deployed("8", |deployed| deployed.model = ExecutionModel::Durable);
        assert_eq!(of(&guards, Some(&durable)), ["f:7 10 round", "f:8 durable"]);
        // An unsafe version says nothing about a later one, which is contacted.
        let mut guards = Guards::default();
        guards.note_contact(&target(), Some("code-7"), failed, NOW.parse().unwrap());
        assert_eq!(of(&guards, None), ["f:7 unsafe", "f:8 10 contact"]);
    }

    #[test]
    fn the_room_is_that_of_the_function() {
        let alias = TargetObservation { reserved: Lookup::Known(Some(5)), ..deployed("7", |_| {}) };
        let shown = decided(&alias, &routing(7, &[(8, 0.5)]), &Guards::default(), None);
        assert_eq!(shown, ["f:7 4 contact", "f:8 4 contact"]);
        assert!(is_of_function(SkipReason::NoHeadroom) && !is_of_function(SkipReason::Unsafe));
    }

    #[test]
    fn only_a_weighted_alias_has_versions() {
        let seen = |routing: Routing| TargetObservation {
            alias: Lookup::Known(routing),
            ..TargetObservation::default()
        };
        let is_weighted = |target: &Target, seen: &TargetObservation| {
            weighted(target, Knowledge { facts: Some(seen), ..Knowledge::default() }).is_some()
        };
        let (plain, split) = (seen(routing(7, &[])), seen(routing(7, &[(8, 0.0)])));
        assert!(!is_weighted(&target(), &plain) && is_weighted(&target(), &split));
        assert!(!is_weighted(&of_version(&target(), &version(7)), &split));
        assert!(!is_weighted(&target(), &TargetObservation::default()));
        let many: Vec<(u32, f64)> = (8..13).map(|number| (number, 0.1)).collect();
        assert!(is_weighted(&target(), &seen(routing(7, &many[..4]))));
        assert!(!is_weighted(&target(), &seen(routing(7, &many))), "more than Lambda allows");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn every_version_has_its_full_number(
            own in 1_u32..12,
            others in proptest::collection::btree_map(1_u32..12, 0.0..=1.0, 0..=4),
            desired in 1_u32..200,
            is_trusted in any::<bool>(),
        ) {
            let others: Vec<(u32, f64)> = others.into_iter().collect();
            let routing = routing(own, &others);
            let seen = deployed(&own.to_string(), |_| {});
            let mut guards = Guards::default();
            let now = NOW.parse().unwrap();
            if is_trusted {
                guards.note_contact(&target(), Some(&format!("code-{own}")), None, now);
            }
            let account = AccountLimits { concurrent: 1_000, unreserved: 1_000 };
            let known = Knowledge { facts: Some(&seen), account: Some(&account), guards: Some(&guards), ..Knowledge::default() };
            let wanted = (&target(), NonZeroU32::new(desired).unwrap());
            let decisions = decide_versions(wanted, &routing, known, |_| None, &Limits::default(), true, now);
            let mut expected: Vec<String> = others.iter().map(|(number, _)| number.to_string()).collect();
            expected.push(own.to_string());
            expected.sort();
            expected.dedup();
            let number = |decision: &VersionDecision| decision.target.id.qualifier.as_ref().unwrap().to_string();
            let mut versions: Vec<String> = decisions.iter().map(number).collect();
            versions.sort();
            prop_assert_eq!(versions, expected, "each once");
            for decision in &decisions {
                let Decision::Send(pings, terms) = &decision.decision else { panic!() };
                prop_assert_eq!(pings.get(), desired);
                prop_assert_eq!(terms.capped_from, None);
                prop_assert_eq!(terms.first.is_none(), is_trusted && number(decision) == own.to_string());
            }
        }
    }
}
