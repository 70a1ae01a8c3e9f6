//! The environments that answered by the number of a version and through its alias.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::function::{Identity, Qualifier};
use crate::domain::round::{Attempt, RoundReport, id_hash};

/// The maximum number of versions of an alias that stay confirmed. The oldest is dropped.
const MOST_CONFIRMED: usize = 32;

/// The ids that answered by the numbers of versions and through their aliases.
///
/// That an environment which was warmed by number serves the alias is an assumption. It is confirmed once an id has
/// answered both, in either order.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// Hashes of the ids of each target's last round whose ids were those of environments. Empty for a target that
    /// executed without such a round.
    ids: HashMap<Identity, HashSet<u64>>,
    /// The versions that are confirmed for an alias, in the order of their confirmation. They stay so for later
    /// deployments.
    confirmed: HashMap<Identity, Vec<Identity>>,
    /// The versions that were last pinged behind each alias. A version that is a target of its own is behind itself.
    behind: HashMap<Identity, Vec<Identity>>,
}

impl Sightings {
    /// Notes a round. Returns the versions that it executed through the alias `id` and that were pinged by number too,
    /// with true for those that are confirmed.
    pub(super) fn note(
        &mut self,
        id: &Identity,
        report: &RoundReport,
        attempts: &[Attempt],
    ) -> BTreeMap<String, bool> {
        let Some(qualifier) = id.qualifier.as_ref().filter(|_| !report.versions.is_empty()) else {
            return BTreeMap::new();
        };
        // Ids in doubt are not those of environments.
        self.note_ids(id, if report.doubt.is_none() { attempts } else { &[] });
        let of = |name: &String| {
            let version = Identity { qualifier: Some(Qualifier::parse(name).ok()?), ..id.clone() };
            let is_confirmed = self.confirms(id, &version);
            (is_confirmed || self.ids.contains_key(&version)).then(|| (name.clone(), is_confirmed))
        };
        if qualifier.is_alias() { report.versions.iter().filter_map(of).collect() } else { BTreeMap::new() }
    }

    /// Replaces the ids of a target by those of a round. A round without ids leaves them.
    fn note_ids(&mut self, id: &Identity, attempts: &[Attempt]) {
        let pings = attempts.iter().flat_map(|attempt| &attempt.pings);
        let ids: HashSet<u64> = pings.filter_map(|ping| ping.environment.as_deref()).map(id_hash).collect();
        let known = self.ids.entry(id.clone()).or_default();
        if !ids.is_empty() {
            *known = ids;
        }
    }

    /// Confirms the version for the alias if their last rounds have an id in common. Returns true if it is confirmed.
    pub(super) fn confirms(&mut self, alias: &Identity, version: &Identity) -> bool {
        if self.confirmed.get(alias).is_some_and(|confirmed| confirmed.contains(version)) {
            return true;
        }
        let ids = self.ids.get(alias).zip(self.ids.get(version));
        let is_shared = ids.is_some_and(|(one, other)| !one.is_disjoint(other));
        if is_shared {
            let confirmed = self.confirmed.entry(alias.clone()).or_default();
            confirmed.push(version.clone());
            let surplus = confirmed.len().saturating_sub(MOST_CONFIRMED);
            confirmed.drain(..surplus);
        }
        is_shared
    }

    /// Notes the versions that are pinged behind an alias. The ids of earlier ones are dropped, unless these are pinged
    /// behind another alias or as targets of their own. Returns those that are dropped.
    pub(super) fn replace(&mut self, alias: &Identity, versions: Vec<Identity>) -> Vec<Identity> {
        let mut dropped = self.behind.insert(alias.clone(), versions).unwrap_or_default();
        dropped.retain(|version| !self.behind.values().any(|others| others.contains(version)));
        for version in &dropped {
            self.ids.remove(version);
        }
        dropped
    }

    /// Notes that a version is a target of its own.
    pub(super) fn note_own(&mut self, version: &Identity) {
        if version.qualifier.as_ref().is_some_and(Qualifier::is_version) && !self.behind.contains_key(version)
        {
            self.behind.insert(version.clone(), vec![version.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::protocol::Protocol;
    use crate::domain::round::{Answer, PingResult, RawInvocation, classify};

    fn id(label: &str) -> Identity {
        FunctionRef::parse(label).unwrap().identity(Region::parse("eu-west-2").unwrap())
    }

    fn round(ids: &[&str]) -> Vec<Attempt> {
        let answer = Answer::Broken { message: String::new(), may_have_run: true };
        let raw = RawInvocation { sent: Default::default(), received: Default::default(), answer };
        let lost = classify(&Protocol::Warmd, raw);
        let ping = |id: &&str| PingResult { environment: Some((*id).to_owned()), ..lost.clone() };
        vec![Attempt { pings: ids.iter().map(ping).collect(), ..Attempt::default() }]
    }

    #[test]
    fn a_version_is_confirmed_by_an_id_that_answered_both_ways() {
        let (live, blue, seven, eight) = (id("f:live"), id("f:blue"), id("f:7"), id("f:8"));
        let mut sightings = Sightings::default();
        sightings.note_ids(&live, &round(&["a", "b"]));
        sightings.replace(&live, vec![seven.clone(), eight.clone()]);
        sightings.note_ids(&seven, &round(&["b", "c"]));
        sightings.note_ids(&eight, &round(&["d", "e"]));
        assert!(sightings.confirms(&live, &seven), "before the weights");
        assert!(!sightings.confirms(&live, &eight) && !sightings.confirms(&blue, &seven));
        // A round without ids says nothing.
        sightings.note_ids(&seven, &[]);
        sightings.note_ids(&live, &round(&["e"]));
        assert!(sightings.confirms(&live, &eight), "after the weights");
        sightings.note_ids(&live, &round(&["x"]));
        assert!(sightings.confirms(&live, &seven) && sightings.confirms(&live, &eight), "it stays confirmed");
    }

    #[test]
    fn what_is_known_about_earlier_versions_is_dropped() {
        let (live, seven, eight, nine) = (id("f:live"), id("f:7"), id("f:8"), id("f:9"));
        let mut sightings = Sightings::default();
        assert!(sightings.replace(&live, vec![seven.clone(), eight.clone()]).is_empty());
        for target in [&live, &seven, &eight] {
            sightings.note_ids(target, &round(&["a"]));
            sightings.confirms(&live, target);
        }
        assert!(sightings.confirms(&live, &seven));
        assert_eq!(sightings.replace(&live, vec![eight.clone(), nine]), std::slice::from_ref(&seven));
        assert_eq!(sightings.ids.len(), 2);
        // What was confirmed once holds for later deployments.
        assert!(sightings.confirms(&live, &seven) && sightings.confirms(&live, &eight));
        for number in 100..200 {
            let version = id(&format!("f:{number}"));
            sightings.note_ids(&version, &round(&["a"]));
            assert!(sightings.confirms(&live, &version));
        }
        assert_eq!(sightings.confirmed[&live].len(), MOST_CONFIRMED);
    }

    #[test]
    fn the_history_of_a_version_of_others_is_kept() {
        let (live, blue, seven, eight) = (id("f:live"), id("f:blue"), id("f:7"), id("f:8"));
        let mut sightings = Sightings::default();
        sightings.replace(&live, vec![seven.clone(), eight.clone()]);
        sightings.replace(&blue, vec![seven.clone()]);
        sightings.note_own(&eight);
        sightings.note_own(&blue);
        assert!(sightings.replace(&live, vec![id("f:9")]).is_empty(), "behind another alias, and a target");
        assert_eq!(sightings.replace(&blue, vec![eight]), [seven]);
        assert!(sightings.replace(&blue, Vec::new()).is_empty());
    }
}
