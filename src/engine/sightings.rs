//! The environments that answered by the number of a version and through its alias.

use std::collections::{HashMap, HashSet};

use crate::domain::function::Identity;
use crate::domain::round::{Attempt, id_hash};

/// The ids that answered by the numbers of versions and through their aliases.
///
/// That an environment which was warmed by number serves the alias is an assumption. It is confirmed once an id has
/// answered both, in either order.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// Hashes of the ids of each target's last round whose ids were those of environments.
    ids: HashMap<Identity, HashSet<u64>>,
    /// The versions that are confirmed for an alias.
    confirmed: HashMap<Identity, HashSet<Identity>>,
    /// The versions that were last pinged behind each alias.
    behind: HashMap<Identity, Vec<Identity>>,
}

impl Sightings {
    /// Replaces the ids of a target by those of a round. A round without ids changes nothing.
    pub(super) fn note(&mut self, id: &Identity, attempts: &[Attempt]) {
        let pings = attempts.iter().flat_map(|attempt| &attempt.pings);
        let ids: HashSet<u64> = pings.filter_map(|ping| ping.environment.as_deref()).map(id_hash).collect();
        if !ids.is_empty() && id.qualifier.is_some() {
            self.ids.insert(id.clone(), ids);
        }
    }

    /// Confirms the version for the alias if their last rounds have an id in common. Returns true if it is confirmed.
    pub(super) fn confirms(&mut self, alias: &Identity, version: &Identity) -> bool {
        let ids = self.ids.get(alias).zip(self.ids.get(version));
        if ids.is_some_and(|(one, other)| !one.is_disjoint(other)) {
            self.confirmed.entry(alias.clone()).or_default().insert(version.clone());
        }
        self.confirmed.get(alias).is_some_and(|confirmed| confirmed.contains(version))
    }

    /// Notes the versions that are pinged behind an alias. What is known about earlier ones is dropped. Returns these.
    pub(super) fn replace(&mut self, alias: &Identity, versions: Vec<Identity>) -> Vec<Identity> {
        let mut dropped = self.behind.insert(alias.clone(), versions.clone()).unwrap_or_default();
        dropped.retain(|version| !versions.contains(version));
        for version in &dropped {
            self.ids.remove(version);
            self.confirmed.values_mut().for_each(|confirmed| {
                confirmed.remove(version);
            });
        }
        dropped
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
        sightings.note(&live, &round(&["a", "b"]));
        sightings.replace(&live, vec![seven.clone(), eight.clone()]);
        sightings.note(&seven, &round(&["b", "c"]));
        sightings.note(&eight, &round(&["d", "e"]));
        assert!(sightings.confirms(&live, &seven), "before the weights");
        assert!(!sightings.confirms(&live, &eight) && !sightings.confirms(&blue, &seven));
        // A round without ids says nothing.
        sightings.note(&seven, &[]);
        sightings.note(&live, &round(&["e"]));
        assert!(sightings.confirms(&live, &eight), "after the weights");
        sightings.note(&live, &round(&["x"]));
        assert!(sightings.confirms(&live, &seven) && sightings.confirms(&live, &eight), "it stays confirmed");
    }

    #[test]
    fn what_is_known_about_earlier_versions_is_dropped() {
        let (live, seven, eight, nine) = (id("f:live"), id("f:7"), id("f:8"), id("f:9"));
        let mut sightings = Sightings::default();
        assert!(sightings.replace(&live, vec![seven.clone(), eight.clone()]).is_empty());
        for target in [&live, &seven, &eight] {
            sightings.note(target, &round(&["a"]));
            sightings.confirms(&live, target);
        }
        assert!(sightings.confirms(&live, &seven));
        assert_eq!(sightings.replace(&live, vec![eight.clone(), nine]), std::slice::from_ref(&seven));
        assert!(!sightings.confirms(&live, &seven) && sightings.confirms(&live, &eight));
        assert_eq!(sightings.ids.len(), 2);
    }
}
