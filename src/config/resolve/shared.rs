//! The minutes that the functions of a pipeline share.

use std::collections::{BTreeMap, HashSet};

use super::Resolver;
use crate::domain::schedule::phase;

impl Resolver<'_, '_> {
    /// Gives the functions of a pipeline one interval, the shortest of theirs, and one phase, so that they are due in the
    /// same minutes. Pipelines that have a function in common have these in common.
    pub(super) fn share_minutes(&mut self) {
        // Each target points at one before it in the same group, the first of a group at itself.
        let mut groups: BTreeMap<usize, usize> = BTreeMap::new();
        fn first_of(groups: &BTreeMap<usize, usize>, mut at: usize) -> usize {
            while let Some(before) = groups.get(&at).filter(|before| **before != at) {
                at = *before;
            }
            at
        }
        let mut staggers: HashSet<usize> = HashSet::new();
        for pipeline in &self.pipelines {
            let mut first: Option<usize> = None;
            for id in pipeline.stages.iter().flat_map(|stage| &stage.parts) {
                let made = self.identities.get(id).and_then(|function| function.made.as_ref());
                let Some(made) = made.filter(|made| made.is_enabled) else { continue };
                for target in made.targets.clone() {
                    let own = first_of(&groups, target);
                    let (low, high) = match first {
                        Some(first) => (first.min(own), first.max(own)),
                        None => (own, own),
                    };
                    groups.insert(high, low);
                    groups.insert(target, low);
                    first = Some(low);
                    if made.staggers {
                        staggers.insert(target);
                    }
                }
            }
        }
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for target in groups.keys() {
            members.entry(first_of(&groups, *target)).or_default().push(*target);
        }
        for (first, members) in members {
            let targets = || members.iter().filter_map(|index| self.targets.get(*index));
            let Some((shortest, locations)) = targets().min_by_key(|(target, _)| target.interval_minutes)
            else {
                continue;
            };
            let (interval, location) = (shortest.interval_minutes, locations.interval);
            let is_staggered = members.iter().any(|index| staggers.contains(index));
            let id = self.targets.get(first).map(|(target, _)| &target.id);
            let shared = id.filter(|_| is_staggered).map_or(0, |id| phase(id, interval));
            for index in members {
                if let Some((target, locations)) = self.targets.get_mut(index) {
                    target.interval_minutes = interval;
                    target.phase_minutes = shared;
                    locations.interval = location;
                }
            }
        }
    }
}
