//! The capacity after changes of the scenario, and moves of aliases.

use std::time::Duration;

use super::super::pool::Pool;
use super::super::profile::Profile;
use super::super::scenario::Scenario;
use super::routing::Routing;
use super::{Alias, Capacity, Place};

impl Capacity {
    /// Follows a change of the scenario at the emulated time `at`: changed provisioned concurrency is requested, that of
    /// removed functions and aliases ends, and aliases with provisioned concurrency move.
    pub(in crate::emulator) fn follow(
        &mut self,
        old: &Scenario,
        new: &Scenario,
        pool: &mut Pool,
        at: Duration,
    ) {
        let given = |of: &Profile| (of.provisioned, of.provisioned_on.clone());
        for (name, profile) in &new.functions {
            if old.profile(name).map(given) != Some(given(profile)) {
                self.since.insert(name.clone(), at);
            }
        }
        let places: Vec<Place> = self.provisioned.keys().cloned().collect();
        let before: Vec<Option<Routing>> = places
            .iter()
            .map(|place| old.profile(&place.function).and_then(|profile| self.routing(place, profile, at)))
            .collect();
        // A change of the profile replaces what calls have set.
        self.aliases.retain(|Place { function, qualifier, .. }, _| {
            let routing = |of: &Scenario| of.profile(function).map(|profile| Routing::of(profile, qualifier));
            routing(old) == routing(new)
        });
        for (place, before) in places.iter().zip(before) {
            let number = |of: &Scenario| {
                of.profile(&place.function).and_then(|of| of.provisioned_for(Some(&place.qualifier)))
            };
            let routing = new.profile(&place.function).and_then(|profile| self.routing(place, profile, at));
            let (Some(profile), Some(routing)) = (new.profile(&place.function), routing) else {
                self.set(place, 0, None, pool, at);
                continue;
            };
            let fails = self.failure(place, profile);
            if let Some(provisioned) = self.provisioned.get_mut(place) {
                provisioned.set_fails(fails.as_ref());
            }
            if let Some(before) = before.filter(|before| before.version != routing.version) {
                self.moved(place, &before.version, routing, profile, pool, at);
            }
            if number(old) != number(new) {
                self.set(place, number(new).unwrap_or(0), Some((profile, fails)), pool, at);
                if let Some(provisioned) = self.provisioned.get_mut(place) {
                    provisioned.is_initial = true;
                }
            }
        }
    }

    /// Requests a number without validation. A profile and a failure are for an increase.
    pub(super) fn set(
        &mut self,
        place: &Place,
        number: u32,
        increase: Option<(&Profile, Option<String>)>,
        pool: &mut Pool,
        at: Duration,
    ) {
        let provisioned = self.provisioned.entry(place.clone()).or_default();
        let (prepare, fails) =
            increase.map_or((Duration::ZERO, None), |(profile, fails)| (profile.prepare, fails));
        provisioned.request(at, number, prepare, fails);
        provisioned.is_initial = false;
        pool.trim(|key| place.owns(key), provisioned.available(), at);
    }

    /// Moves an alias from the version `from`. With provisioned concurrency, all requests go to that version until the
    /// environments of the new one are prepared; without time for it, and with weights of the alias's own, at once.
    pub(super) fn moved(
        &mut self,
        place: &Place,
        from: &str,
        mut to: Routing,
        profile: &Profile,
        pool: &mut Pool,
        at: Duration,
    ) {
        let fails = profile.of_version(&to.version).provisioned_fails.clone();
        // Environments of an earlier move to the version are gone.
        pool.retain(|key| !(place.owns(key) && key.version == to.version));
        let provisioned = self.provisioned.get_mut(place).filter(|provisioned| provisioned.requested() > 0);
        let provisioned = provisioned.filter(|_| to.weights.is_empty() && !profile.moving.is_zero());
        let is_moving = provisioned.is_some();
        if let Some(provisioned) = provisioned {
            to.weights.insert(from.to_owned(), 1.0);
            provisioned.renew(at, profile.moving, fails, true);
        }
        self.aliases.insert(place.clone(), Alias { routing: to, is_moving });
    }
}
