//! Capacity that clients request: provisioned concurrency of a qualifier, the versions and weights of aliases, and the
//! numbers of environments on managed instances.

mod change;
mod follow;
mod load;
mod provisioned;
mod public;
mod routing;
mod scaling;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Emulator;
use super::errors::ErrorResponse;
use super::observe::ObservedProvisioned;
use super::pool::Key;
use super::profile::Profile;
use super::reference::Reference;
use super::scenario::Scenario;
use provisioned::{Phase, Provisioned};
use routing::Routing;
use scaling::Scaling;

pub(super) use change::request_at;
pub(super) use wire::{alias, function_scaling, provisioned_concurrency, provisioned_list};

/// A function with its qualifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    /// Account and region, as in [`Key::scope`](super::pool::Key).
    pub scope: String,
    /// The name.
    pub function: String,
    /// The alias or version.
    pub qualifier: String,
}

impl Place {
    /// Returns the place of a reference; `None` without a qualifier, and for `$LATEST`.
    pub(super) fn of(reference: &Reference) -> Option<Self> {
        let qualifier = reference.qualifier.clone().filter(|qualifier| !qualifier.starts_with('$'))?;
        Some(Self { scope: reference.scope(), function: reference.name.clone(), qualifier })
    }

    fn reference(&self) -> Reference {
        let (account, region) = self.scope.split_once('/').unwrap_or((&self.scope, ""));
        Reference {
            account: account.to_owned(),
            region: region.to_owned(),
            name: self.function.clone(),
            qualifier: Some(self.qualifier.clone()),
        }
    }

    /// Returns true if the key is that of the place's provisioned environments.
    fn owns(&self, key: &Key) -> bool {
        let Key { scope, function, provisioned, .. } = key;
        (scope, function, provisioned.as_ref()) == (&self.scope, &self.function, Some(&self.qualifier))
    }

    fn with(&self, qualifier: &str) -> Self {
        Self { qualifier: qualifier.to_owned(), ..self.clone() }
    }

    fn is_version(&self) -> bool {
        self.qualifier.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// The capacity of all functions. What no call has changed is as the profiles have it.
#[derive(Debug, Default)]
pub(super) struct Capacity {
    provisioned: BTreeMap<Place, Provisioned>,
    aliases: BTreeMap<Place, Alias>,
    scaling: BTreeMap<Place, Scaling>,
    /// The instants when functions got their present profile's provisioned concurrency, unless at the origin.
    since: HashMap<String, Duration>,
}

/// An alias that differs from its profile's.
#[derive(Debug, Clone)]
struct Alias {
    routing: Routing,
    /// True while the weights are those of a move.
    is_moving: bool,
}

impl Capacity {
    /// Returns the provisioned concurrency of a place at `now`, also after it was deleted; `None` if it never had any.
    fn provisioned(&mut self, place: &Place, profile: &Profile, now: Duration) -> Option<&mut Provisioned> {
        if !self.provisioned.contains_key(place) {
            let number = profile.provisioned_for(Some(&place.qualifier))?;
            let since = self.since.get(&place.function).copied().unwrap_or_default();
            let mut initial = Provisioned::default();
            initial.is_initial = true;
            initial.request(since, number, profile.prepare, self.failure(place, profile));
            self.provisioned.insert(place.clone(), initial);
        }
        let Self { provisioned, aliases, .. } = self;
        let provisioned = provisioned.get_mut(place)?;
        provisioned.advance(now);
        // The move of the alias ends with the preparation of the new version's environments.
        if *provisioned.phase() == Phase::Ready
            && let Some(alias) = aliases.get_mut(place).filter(|alias| alias.is_moving)
        {
            alias.is_moving = false;
            alias.routing.weights.clear();
        }
        Some(provisioned)
    }

    /// Returns the routing of a place at `now`; `None` if there is no such alias.
    fn routing(&mut self, place: &Place, profile: &Profile, now: Duration) -> Option<Routing> {
        if place.is_version() {
            return Some(Routing { version: place.qualifier.clone(), ..Routing::default() });
        }
        // Ends a move.
        self.provisioned(place, profile, now);
        match self.aliases.get(place) {
            Some(alias) => Some(alias.routing.clone()),
            None => Routing::of(profile, &place.qualifier),
        }
    }

    /// Returns the version that executes. `sample`, in [0, 1), chooses among the weights of an alias.
    ///
    /// # Errors
    /// Lambda's 404 when the alias does not exist.
    pub(super) fn chosen_version(
        &mut self,
        reference: &Reference,
        profile: &Profile,
        now: Duration,
        sample: f64,
    ) -> Result<String, ErrorResponse> {
        let Some(place) = Place::of(reference) else {
            return Ok(reference.qualifier.clone().unwrap_or_else(|| "$LATEST".to_owned()));
        };
        let routing = self.routing(&place, profile, now).ok_or_else(|| no_alias(reference))?;
        Ok(routing.choose(sample).to_owned())
    }

    /// Returns the provisioned concurrency of a place, and how many of its available environments are those of
    /// `version`: in proportion to the weights of an alias, rounded.
    pub(super) fn environments_of(
        &mut self,
        place: &Place,
        version: &str,
        profile: &Profile,
        now: Duration,
    ) -> Option<(&mut Provisioned, u32)> {
        let share = self.routing(place, profile, now)?.share(version);
        let provisioned = self.provisioned(place, profile, now)?;
        let part = (f64::from(provisioned.available()) * share).round() as u32;
        Some((provisioned, part))
    }

    /// Returns true if a place has a configuration of its own. A profile without a list of qualifiers has one on every
    /// qualifier, which does not count.
    fn is_configured(&mut self, place: &Place, profile: &Profile, now: Duration) -> bool {
        let provisioned = match profile.provisioned_on.is_empty() {
            true => self.provisioned.get(place).filter(|provisioned| !provisioned.is_initial),
            false => self.provisioned(place, profile, now).map(|provisioned| &*provisioned),
        };
        provisioned.is_some_and(|provisioned| provisioned.requested() > 0)
    }

    /// Returns the reason for which environments of the place's version fail.
    fn failure(&self, place: &Place, profile: &Profile) -> Option<String> {
        let own = self.aliases.get(place).map(|alias| alias.routing.version.clone());
        let version = match own {
            Some(version) => version,
            None if place.is_version() => place.qualifier.clone(),
            None => Routing::of(profile, &place.qualifier)?.version,
        };
        profile.of_version(&version).provisioned_fails.clone()
    }

    /// Returns the unreserved concurrency of a scope that no provisioned environments take.
    fn unclaimed(&mut self, scenario: &Scenario, scope: &str, now: Duration) -> i64 {
        let mut left = i64::from(scenario.unreserved()) - i64::from(scenario.provisioned());
        for (place, provisioned) in &mut self.provisioned {
            let profile = scenario.profile(&place.function).filter(|profile| profile.reserved.is_none());
            let (Some(profile), true) = (profile, place.scope == scope && !provisioned.is_initial) else {
                continue;
            };
            provisioned.advance(now);
            let is_listed = profile.provisioned_on.contains(&place.qualifier);
            let is_counted = is_listed && scenario.functions.contains_key(&place.function);
            left += i64::from(profile.provisioned.filter(|_| is_counted).unwrap_or(0));
            left -= i64::from(provisioned.claimed());
        }
        left
    }

    /// Returns the concurrency on demand of functions without a reservation: the unreserved one, without provisioned
    /// environments and without that of other users of the account.
    pub(super) fn shared(&mut self, scenario: &Scenario, scope: &str, now: Duration) -> u32 {
        let left = self.unclaimed(scenario, scope, now) - i64::from(scenario.account.in_use_by_others);
        u32::try_from(left.max(0)).unwrap_or(u32::MAX)
    }

    /// Returns the provisioned concurrency of all places at `now`.
    pub(super) fn observe(&mut self, now: Duration) -> Vec<ObservedProvisioned> {
        let observed = |(place, provisioned): (&Place, &mut Provisioned)| {
            provisioned.advance(now);
            observed(place, provisioned, now)
        };
        self.provisioned.iter_mut().map(observed).collect()
    }
}

fn observed(place: &Place, provisioned: &Provisioned, now: Duration) -> ObservedProvisioned {
    let Reference { account, region, name, .. } = place.reference();
    let (status, reason) = status(provisioned);
    ObservedProvisioned {
        account,
        region,
        function: name,
        qualifier: place.qualifier.clone(),
        status: (provisioned.requested() > 0).then(|| status.to_owned()),
        reason,
        requested: provisioned.requested(),
        available: provisioned.available(),
        environment_seconds: provisioned.environment_seconds(now),
        levels: provisioned.levels().to_vec(),
    }
}

/// Returns Lambda's status and reason.
fn status(provisioned: &Provisioned) -> (&'static str, Option<String>) {
    match provisioned.phase() {
        Phase::Ready => ("READY", None),
        Phase::InProgress { .. } => ("IN_PROGRESS", None),
        Phase::Failed(reason) => ("FAILED", Some(reason.clone())),
    }
}

fn no_alias(reference: &Reference) -> ErrorResponse {
    ErrorResponse::not_found(format!("Cannot find alias arn: {}", reference.arn()))
}

/// Returns the version of a reference; for an alias the one that it points at, without its weights.
///
/// # Errors
/// Lambda's 404 when the function or the alias does not exist.
pub(super) fn version(emulator: &Emulator, reference: &Reference) -> Result<String, ErrorResponse> {
    let scenario = emulator.scenario();
    let profile = reference.profile(&scenario)?;
    match Place::of(reference) {
        None => Ok(reference.qualifier.clone().unwrap_or_else(|| "$LATEST".to_owned())),
        Some(place) => {
            let routing = emulator.state().capacity.routing(&place, profile, emulator.now());
            routing.map(|routing| routing.version).ok_or_else(|| no_alias(reference))
        }
    }
}

/// Requests `number` provisioned environments, as PutProvisionedConcurrencyConfig does, and with 0 as
/// DeleteProvisionedConcurrencyConfig does.
pub(super) fn request(emulator: &Emulator, place: &Place, number: u32) -> Result<(), ErrorResponse> {
    request_at(emulator, place, number, emulator.now())
}

/// Returns the number that is requested at the emulated time `at`; 0 without a configuration.
pub(super) fn requested(emulator: &Emulator, place: &Place, at: Duration) -> u32 {
    with(emulator, place, at, |provisioned| provisioned.requested()).unwrap_or(0)
}

/// Returns the utilization of the provisioned environments in the minute that ends at the emulated time `end`: the
/// largest number that was busy at once, divided by the available ones. `None` without an invocation, or without
/// available environments.
pub(super) fn utilization(emulator: &Emulator, place: &Place, end: Duration) -> Option<f64> {
    let (busy, available) = with(emulator, place, end, |provisioned| {
        (provisioned.load.peak(end), provisioned.available_at(end))
    })?;
    (busy > 0 && available > 0).then(|| f64::from(busy) / f64::from(available))
}

/// Reads the provisioned concurrency of a place at the emulated time `at`; `None` if it never had any. What is due later
/// does not happen yet.
fn with<T>(
    emulator: &Emulator,
    place: &Place,
    at: Duration,
    read: impl FnOnce(&Provisioned) -> T,
) -> Option<T> {
    let scenario = emulator.scenario();
    let profile = scenario.profile(&place.function)?;
    let mut state = emulator.state();
    state.capacity.provisioned(place, profile, at.min(emulator.now())).map(|provisioned| read(provisioned))
}
