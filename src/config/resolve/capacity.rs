//! Strategies: what keeps a function warm, and the most environments that its numbers may reach.

use super::super::reader::At;
use super::super::values::{ByName, StrategyName};
use super::super::wire::{CapacityKeys, Defaults, FunctionKeys, MOST_MANAGED, ManagedKeys, ProvisionedKeys};
use super::{Location, Resolver};
use crate::domain::capacity::{By, Managed, Owner, Provisioned, Strategy, default_lead_minutes};
use crate::domain::function::{FunctionRef, Qualifier};

/// The default utilization that target tracking keeps, in percent.
const DEFAULT_UTILIZATION: u32 = 70;
/// The default minimum of managed instances: that of Lambda.
const DEFAULT_FLOOR: u32 = 3;
/// The default maximum of managed instances.
const DEFAULT_MANAGED_MAX: u32 = 100;

/// The strategy of a function, and the limit of its numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Capacity {
    /// The strategy. Without a limit, the maximum of scaling is 0 until [`Capacity::strategy`].
    strategy: Strategy,
    /// The location of the strategy, or that of the defaults, if any.
    pub location: Option<Location>,
    /// The most environments, if they are limited.
    pub max: Option<Max>,
}

/// A key that limits numbers of environments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Max {
    pub key: &'static str,
    pub value: u32,
    /// The location of the value, if it is not the default.
    pub location: Option<Location>,
}

impl Capacity {
    /// Returns the strategy of a target whose highest number is `highest`, the default maximum of scaling.
    pub(super) fn strategy(self, highest: u32) -> Strategy {
        match self.strategy {
            Strategy::Provisioned(Provisioned { by: By::Autoscaling { utilization, .. }, fallback })
                if self.max.is_none() =>
            {
                let by = By::Autoscaling { max: highest, utilization };
                Strategy::Provisioned(Provisioned { by, fallback })
            }
            strategy => strategy,
        }
    }

    /// Returns true if pings are ever sent.
    pub(super) fn may_ping(self) -> bool {
        self.strategy.may_ping()
    }

    /// Returns true for provisioned concurrency, which limits the rate of requests.
    pub(super) fn is_provisioned(self) -> bool {
        matches!(self.strategy, Strategy::Provisioned(_))
    }

    /// Returns the default lead in minutes of a window with `number` environments, the spare ones included.
    pub(super) fn default_lead(self, number: u32) -> u32 {
        if self.strategy.is_capacity() { default_lead_minutes(number) } else { 0 }
    }
}

/// Returns the value and the location of a key in a map of settings: the function's own, or that of the defaults.
macro_rules! pick {
    ($maps:expr, $key:ident) => {
        $maps.into_iter().flatten().find_map(|keys| keys.$key.as_ref())
    };
}

impl Resolver<'_, '_> {
    /// Returns the owner of capacity.
    pub(super) fn owner<'k>(&mut self, given: impl Iterator<Item = (usize, &'k At<CapacityKeys>)>) -> Owner {
        let owner = self.single("capacity", given).and_then(|keys| keys.owner.as_ref());
        owner.map(|at| at.value.clone()).unwrap_or_default()
    }

    /// Checks the settings of capacity in the defaults of a file by themselves.
    pub(super) fn check_capacity_defaults(&mut self, file: usize, keys: &Defaults) {
        if let Some(At { value: provisioned, .. }) = &keys.provisioned {
            self.check_direct(file, provisioned, provisioned.by.as_ref());
        }
        if let Some(At { value: managed, .. }) = &keys.managed {
            self.managed(file, Some(managed), None);
        }
    }

    /// Returns the strategy of a function. Reports all errors of its keys.
    pub(super) fn capacity(
        &mut self,
        name: Location,
        reference: Option<&FunctionRef>,
        keys: &FunctionKeys,
        base: &Defaults,
    ) -> Capacity {
        let file = name.file;
        let chosen = keys.strategy.as_ref().or(base.strategy.as_ref());
        let location = chosen.map(|at| Location { file, span: at.span });
        let (strategy, max) = match chosen.map_or(StrategyName::Pings, |at| at.value) {
            StrategyName::Pings => (Strategy::Pings, None),
            StrategyName::Provisioned => {
                let maps = [&keys.provisioned, &base.provisioned].map(|at| at.as_ref().map(|at| &at.value));
                self.provisioned(file, maps)
            }
            StrategyName::Managed => {
                let [own, base] = [&keys.managed, &base.managed].map(|at| at.as_ref().map(|at| &at.value));
                self.managed(file, own, base)
            }
        };
        let capacity = Capacity { strategy, location, max };
        self.check_used(file, strategy, keys, base);
        if let (true, Some(reference)) = (strategy.is_capacity(), reference) {
            self.check_qualifier(name, reference, capacity);
        }
        if let (true, Some(tenants)) = (strategy.is_capacity(), &keys.tenants) {
            let message = format!("\"tenants\" cannot be used with the strategy \"{}\"", strategy.name());
            let hint = "set `strategy: pings`: Lambda has no capacity for single tenants";
            let problem = self.error(Location { file, span: tenants.span }, message).hint(hint);
            self.reject::<()>(problem.related(self.position(location.unwrap_or(name))));
        }
        capacity
    }

    /// Returns provisioned concurrency with the settings of a function over those of the defaults.
    fn provisioned(&mut self, file: usize, maps: [Option<&ProvisionedKeys>; 2]) -> (Strategy, Option<Max>) {
        let by = pick!(maps, by);
        let fallback = pick!(maps, fallback).map(|at| at.value).unwrap_or_default();
        if by.is_some_and(|by| by.value == ByName::Direct) {
            if let [Some(own), _] = maps {
                self.check_direct(file, own, by);
            }
            return (Strategy::Provisioned(Provisioned { by: By::Direct, fallback }), None);
        }
        let utilization = pick!(maps, utilization).map_or(DEFAULT_UTILIZATION, |at| at.value.0);
        let max = pick!(maps, max).map(|at| Max {
            key: "provisioned.max",
            value: at.value.0,
            location: Some(Location { file, span: at.span }),
        });
        let by = By::Autoscaling { max: max.map_or(0, |max| max.value), utilization };
        (Strategy::Provisioned(Provisioned { by, fallback }), max)
    }

    /// Reports settings of scaling in a map of settings that are not used with `by: direct`.
    fn check_direct(&mut self, file: usize, keys: &ProvisionedKeys, by: Option<&At<ByName>>) {
        let Some(by) = by.filter(|by| by.value == ByName::Direct) else { return };
        let max = keys.max.as_ref().map(|at| ("max", at.span));
        let utilization = keys.utilization.as_ref().map(|at| ("utilization", at.span));
        for unused in [max, utilization].into_iter().flatten() {
            let hint = "remove it, or set `by: autoscaling`";
            self.conflict(file, ("by: direct", by.span), unused, hint);
        }
    }

    /// Returns managed instances with the settings of a function over those of the defaults. Reports a floor above the
    /// maximum, but not for defaults alone, which [`Resolver::check_capacity_defaults`] checks.
    fn managed(
        &mut self,
        file: usize,
        own: Option<&ManagedKeys>,
        base: Option<&ManagedKeys>,
    ) -> (Strategy, Option<Max>) {
        let max = pick!([own, base], max);
        let most = max.map_or(DEFAULT_MANAGED_MAX, |at| at.value.0);
        let floor = pick!([own, base], floor);
        // An error in the map may be that of the other key.
        let has_errors = [own, base].into_iter().flatten().any(|keys| keys.has_errors);
        let is_own = own.is_some_and(|own| own.floor.is_some() || own.max.is_some());
        if let Some(At { value: floor, span }) = floor.filter(|_| is_own && !has_errors)
            && floor.0 > most
        {
            let message = format!("\"floor\" ({}) must not be above \"max\" ({most})", floor.0);
            self.fail::<()>(Location { file, span: *span }, message, "lower it, or raise `max`");
        }
        let managed = Managed { floor: floor.map_or(DEFAULT_FLOOR.min(most), |at| at.value.0), max: most };
        let location = max.map(|at| Location { file, span: at.span });
        let max = Max { key: "managed.max", value: most, location };
        (Strategy::Managed(managed), Some(max).filter(|_| !has_errors))
    }

    /// Reports settings of a strategy that a function does not have. Those of another strategy may stay while the
    /// defaults choose the strategy.
    fn check_used(&mut self, file: usize, strategy: Strategy, keys: &FunctionKeys, base: &Defaults) {
        if keys.has_errors || base.has_errors || (keys.strategy.is_none() && base.strategy.is_some()) {
            return;
        }
        let provisioned = keys.provisioned.as_ref().map(|at| ("provisioned", at.span));
        let managed = keys.managed.as_ref().map(|at| ("managed", at.span));
        for (key, span) in
            [provisioned, managed].into_iter().flatten().filter(|(key, _)| *key != strategy.name())
        {
            let hint = format!("remove it, or set `strategy: {key}`");
            let message = format!("\"{key}\" requires the strategy \"{key}\"");
            self.fail::<()>(Location { file, span }, message, &hint);
        }
    }

    /// Reports a function whose qualifier cannot have capacity. `$LATEST.PUBLISHED` is for managed instances.
    fn check_qualifier(&mut self, name: Location, reference: &FunctionRef, capacity: Capacity) {
        let is_latest = |qualifier: &Qualifier| {
            qualifier.is_latest() || capacity.is_provisioned() && qualifier.as_str().starts_with('$')
        };
        if reference.qualifier.as_ref().is_some_and(|qualifier| !is_latest(qualifier)) {
            return;
        }
        let example = FunctionRef { qualifier: Qualifier::parse("live").ok(), ..reference.clone() };
        let strategy = capacity.strategy.name();
        let message = format!("the strategy \"{strategy}\" requires an alias or a version");
        let problem = self.error(name, message).hint(format!("add it to the name, such as `{example}`"));
        self.reject::<()>(problem.related(self.position(capacity.location.unwrap_or(name))));
    }
}

impl Max {
    /// Returns the instruction for a number above the limit.
    pub(super) fn hint(&self, number: u32) -> String {
        let key = self.key.rsplit('.').next().unwrap_or(self.key);
        if self.key == "managed.max" && number > MOST_MANAGED {
            return format!(
                "lower the number: Lambda keeps at most {MOST_MANAGED} environments of a version"
            );
        }
        format!("lower the number, or raise `{key}` to {number}")
    }
}
