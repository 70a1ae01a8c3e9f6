//! The rounds of the versions behind weighted aliases.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::fleet::Target;
use crate::domain::function::Identity;
use crate::domain::guard::{Decision, Denials, Terms, VersionDecision};
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::tick::{Due, VersionDue};

/// Adds the versions behind a weighted alias to its round. `decision` is that on the alias, which is pinged only where
/// pings of a version are denied. Returns the decision on the round.
pub(super) fn with_versions(
    due: Due,
    decision: Decision,
    versions: Vec<VersionDecision>,
    denials: &Denials,
    now: DateTime<Utc>,
) -> (Decision, Due) {
    let version = |VersionDecision { target, weight, decision }| {
        let (concurrency, terms, skipped) = match decision {
            Decision::Send(concurrency, terms) => {
                (concurrency, terms, denials.holds(&target.id, now).then_some(SkipReason::Denied))
            }
            Decision::Skip(reason) => (due.concurrency, Terms::default(), Some(reason)),
        };
        let due = Due { target: Arc::new(target), concurrency, terms, ..due.clone() };
        VersionDue { weight, due, skipped }
    };
    let versions: Vec<VersionDue> = versions.into_iter().map(version).collect();
    let reasons: Option<Vec<SkipReason>> = versions.iter().map(|version| version.skipped).collect();
    if let Some(reasons) = reasons.filter(|reasons| !reasons.contains(&SkipReason::Denied)) {
        let is_unsafe = reasons.contains(&SkipReason::Unsafe).then_some(SkipReason::Unsafe);
        if let Some(reason) = is_unsafe.or(reasons.first().copied()) {
            return (Decision::Skip(reason), due);
        }
    }
    match decision {
        Decision::Send(..) => (decision, Due { versions, ..due }),
        Decision::Skip(reason) => {
            let room = versions.iter().find_map(|version| version.due.terms.room.clone());
            let terms = Terms { room, ..Terms::default() };
            (Decision::Send(due.concurrency, terms), Due { versions, alias_skipped: Some(reason), ..due })
        }
    }
}

/// Returns the rounds of a record with their targets: those of the versions and the one through their alias, otherwise
/// the round itself.
pub(super) fn rounds<'r>(due: &'r Due, record: &'r RoundRecord) -> Vec<(&'r Arc<Target>, &'r RoundRecord)> {
    let sent = record.sent();
    let versions = sent.map(|sent| &sent.versions[..]).unwrap_or_default();
    let through_alias = sent.and_then(|sent| Some((&due.target, sent.through_alias.as_deref()?)));
    if versions.is_empty() {
        return vec![(&due.target, record)];
    }
    let target = |id: &Identity| {
        due.versions.iter().map(|version| &version.due.target).find(|target| target.id == *id)
    };
    let versions = versions.iter().filter_map(|round| Some((target(&round.record.id)?, &round.record)));
    versions.chain(through_alias).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::fleet::Limits;
    use crate::domain::function::Qualifier;
    use crate::domain::guard::{Knowledge, decide, decide_versions, weighted};
    use crate::domain::preflight::{Lookup, TargetObservation};
    use crate::domain::records::Guards;
    use crate::domain::routing::{Routing, Weight};
    use crate::engine::stop::stop;
    use crate::engine::tests::{Script, at, due, engine};

    /// The versions, with an alias that must not be pinged.
    const LABELS: [&str; 8] = ["f:1", "f:2", "f:3", "f:4", "f:5", "f:6", "f:7", "f:live"];
    const NOW: &str = "2026-11-20T09:00:00Z";

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
    }

    /// Returns the round of `f:live` after its guards.
    fn guarded(routing: &Routing, desired: u32, is_trusted: bool) -> Due {
        let (due, now) = (due("f:live", desired), at(NOW));
        let seen =
            TargetObservation { alias: Lookup::Known(routing.clone()), ..TargetObservation::default() };
        let mut guards = Guards::default();
        guards.begin(is_trusted.then_some(&*due.target).into_iter(), now);
        let known = Knowledge { facts: Some(&seen), guards: Some(&guards), ..Knowledge::default() };
        let (wanted, limits) = ((&*due.target, due.concurrency), Limits::default());
        let decision = decide(&due.target, due.concurrency, known, &limits, true, now);
        let routing = weighted(&due.target, known).unwrap();
        let versions = decide_versions(wanted, routing, known, |_| None, &limits, true, now);
        let (decision, due) = with_versions(due.clone(), decision, versions, &Denials::default(), now);
        let Decision::Send(concurrency, terms) = decision else { panic!("{decision:?}") };
        Due { concurrency, terms, ..due }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn every_version_gets_its_full_number_of_pings(
            own in 1_u32..8,
            shares in proptest::collection::btree_map(1_u32..8, 0.0..=1.0, 1..=4),
            desired in 1_u32..5,
            is_trusted in any::<bool>(),
        ) {
            let sum = shares.values().sum::<f64>().max(1.0);
            let version = |number: u32| Qualifier::parse(&number.to_string()).unwrap();
            let others = shares.iter().map(|(number, share)| (version(*number), Weight::new(share / sum).unwrap()));
            let routing = Routing { version: version(own), others: others.collect() };
            let scripts = LABELS.map(|label| match label {
                "f:live" => (label, Script::Panics),
                _ => (label, Script::Runs(Duration::ZERO)),
            });
            let (engine, scripted) = engine(&scripts, 100);
            let (_stopper, stopped) = stop();
            let due = guarded(&routing, desired, is_trusted);
            let report = block_on(engine.tick(at(NOW), None, vec![due], &stopped));
            prop_assert!(report.is_proven(), "{:?}", report);
            let rounds = &report.rounds[0].sent().unwrap().versions;
            let mut expected: Vec<String> = Vec::new();
            for round in rounds {
                let sent = &round.record.sent().unwrap().report;
                prop_assert_eq!(sent.pings - sent.first_pings, desired);
                expected.extend(vec![round.record.id.label(); sent.pings as usize]);
            }
            let mut versions: Vec<u32> = shares.keys().copied().chain([own]).collect();
            versions.sort_unstable();
            versions.dedup();
            prop_assert_eq!(rounds.len(), versions.len());
            let mut sent: Vec<String> =
                scripted.sent.lock().unwrap().iter().map(|(label, _)| label.clone()).collect();
            for label in versions.iter().map(|number| format!("f:{number}")) {
                let pings = sent.iter().filter(|sent| **sent == label).count();
                prop_assert!(pings >= desired as usize, "{} {}", label, pings);
            }
            sent.sort();
            expected.sort();
            prop_assert_eq!(sent, expected, "counted by qualifier");
        }
    }

    #[test]
    fn the_round_through_the_alias_is_noted_too() {
        let version = |number| Qualifier::parse(number).unwrap();
        let others = [(version("8"), Weight::ALL)].into_iter().collect();
        let due = guarded(&Routing { version: version("7"), others }, 3, true);
        let scripts = [("f:7", Script::Denies), ("f:8", Script::Denies), ("f:live", Script::Throttles)];
        let (engine, _) = engine(&scripts, 100);
        let (_stopper, stopped) = stop();
        let report = block_on(engine.tick(at(NOW), None, vec![due.clone()], &stopped));
        let noted = rounds(&due, &report.rounds[0]);
        let shown: Vec<String> = noted
            .iter()
            .map(|(target, record)| format!("{} {}", target.id.label(), record.counts().throttled > 0))
            .collect();
        assert_eq!(shown, ["f:7 false", "f:8 false", "f:live true"]);
    }
}
