//! Functions: their regions, their settings over the file's defaults, their targets.

use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use super::super::reader::At;
use super::super::values::{CanarySwitch, ExternalId, Json, List, ProtocolName, RoleArn, TableEntry};
use super::super::wire::{Defaults, FunctionKeys};
use super::budget::slo_of;
use super::capacity::Capacity;
use super::estimates::assumptions;
use super::warnings::MERGE;
use super::windows::{Context, LocatedWindow, Of};
use super::{Location, Made, Registered, Resolver, TargetLocations, memory};
use crate::domain::backlog::Rule;
use crate::domain::budget::Budget;
use crate::domain::capacity::Strategy;
use crate::domain::cost::Download;
use crate::domain::cost::assume::Traffic;
use crate::domain::fleet::{Canary, Hold, OnRequest, Role, Target};
use crate::domain::function::{BadFunction, FunctionRef, Identity, Region, Tenant};
use crate::domain::parse::{TextError, quoted};
use crate::domain::protocol::{CustomPayload, Protocol};
use crate::domain::schedule::phase;

/// The default interval, in minutes: below the measured lifetimes of idle environments.
const DEFAULT_INTERVAL: u32 = 5;

/// The checked defaults of a file.
pub(super) struct FileDefaults<'k> {
    pub keys: &'k Defaults,
    pub regions: Option<Vec<Region>>,
    traffic: Option<Traffic>,
}

/// Returns the value of a key: the function's own, or that of the defaults.
macro_rules! pick {
    ($keys:expr, $base:expr, $key:ident) => {
        $keys.$key.as_ref().or($base.$key.as_ref()).map(|at| &at.value)
    };
}

impl Resolver<'_, '_> {
    /// Checks the defaults of a file.
    pub(super) fn defaults<'k>(&mut self, file: usize, keys: &'k Defaults) -> FileDefaults<'k> {
        let regions = self.regions(file, keys.region.as_ref(), keys.regions.as_ref());
        let traffic = self.traffic(file, keys.assume.as_ref());
        self.check_capacity_defaults(file, keys);
        self.slo(file, keys.slo.as_ref());
        FileDefaults { keys, regions, traffic }
    }

    /// Returns the regions of `region` or `regions`; `None` without either, and after it has reported both.
    pub(super) fn regions(
        &mut self,
        file: usize,
        one: Option<&At<Region>>,
        several: Option<&At<List<Region>>>,
    ) -> Option<Vec<Region>> {
        match (one, several) {
            (None, None) => None,
            (Some(one), None) => Some(vec![one.value]),
            (None, Some(several)) => {
                self.check_distinct(file, "region", &several.value);
                Some(several.value.0.iter().map(|region| region.value).collect())
            }
            (Some(one), Some(several)) => {
                let hint = "remove one of the two: `region: x` is the short form of `regions: [x]`";
                self.conflict(file, ("region", one.span), ("regions", several.span), hint);
                None
            }
        }
    }

    /// Adds the targets of one function.
    pub(super) fn function(
        &mut self,
        file: usize,
        defaults: &FileDefaults<'_>,
        entry: &TableEntry<FunctionKeys>,
    ) {
        let name = Location { file, span: entry.name.span };
        let reference = self.reference(name, &entry.name.value);
        let Some(keys) = &entry.value else { return };
        let base = defaults.keys;
        let before = self.problems.count();
        let regions =
            reference.as_ref().and_then(|reference| self.function_regions(name, reference, keys, defaults));
        let regions = regions.unwrap_or_default();
        let payload = pick!(keys, base, payload).map_or(0, |payload| payload.memory_estimate);
        let downloads = keys.downloads.as_ref().map_or(0, |at| at.value.0.len());
        let bytes = memory::TARGET + payload + memory::DOWNLOAD * downloads;
        let targets = regions.len().saturating_mul(keys.tenants.as_ref().map_or(1, |at| at.value.0.len()));
        if !self.reserve_memory(name, targets.saturating_mul(bytes)) {
            return;
        }
        if let Some(reference) = &reference {
            self.register(name, reference, &regions);
        }
        let spare = pick!(keys, base, spare).map_or(0, |spare| spare.0);
        let capacity = self.capacity(name, reference.as_ref(), keys, base);
        let context = Context {
            file,
            regions: &regions,
            copies: targets,
            zone: pick!(keys, base, timezone).map(|zone| zone.0),
            lead: pick!(keys, base, lead).map(|lead| lead.minutes()),
            of: Of::Function { spare, capacity },
        };
        let protocol = self.protocol(name, keys, base);
        let windows = self.function_windows(&context, name, reference.as_ref(), keys);
        let on_request = self.on_request(file, keys, spare, capacity);
        let backlog = self.backlog(file, keys, spare, capacity);
        let role = self.role(file, keys, base);
        let downloads = self.downloads(file, keys);
        self.slo(file, keys.slo.as_ref());
        let budget = keys.budget.as_ref().and_then(|at| self.budget(file, &at.value));
        if let Some(tenants) = &keys.tenants {
            self.check_distinct(file, "tenant", &tenants.value);
        }
        let traffic = self.traffic(file, keys.assume.as_ref()).or(defaults.traffic);
        let (Some(reference), Some(protocol)) = (reference, protocol) else { return };
        if keys.has_errors || self.problems.count() > before {
            return;
        }
        let parts = Parts {
            reference,
            protocol,
            windows,
            on_request,
            backlog,
            role,
            downloads,
            traffic,
            spare,
            capacity,
            budget,
        };
        let tenants =
            keys.tenants.as_ref().map(|at| at.value.0.iter().map(|at| Some(at.value.clone())).collect());
        let tenants: Vec<Option<Tenant>> = tenants.unwrap_or_else(|| vec![None]);
        let staggers = base.stagger.as_ref().is_some_and(|at| at.value);
        let capacity = Rc::new(capacity);
        for region in regions {
            let first = self.targets.len();
            let id = parts.reference.identity(region);
            for tenant in &tenants {
                let id = Identity { tenant: tenant.clone(), ..id.clone() };
                self.targets.push(target(name, id, &parts, keys, base));
            }
            let targets = first..self.targets.len();
            let made =
                Made { targets, capacity: Rc::clone(&capacity), is_enabled: is_enabled(keys), staggers };
            self.identities.insert(id, Registered { location: name, made: Some(made) });
        }
    }

    /// Returns the role to assume: the function's own, or that of the defaults, each with its own external id.
    fn role(&mut self, file: usize, keys: &FunctionKeys, base: &Defaults) -> Option<Arc<Role>> {
        let layer = |arn: &Option<At<RoleArn>>, id: &Option<At<ExternalId>>| {
            let arn = arn.as_ref()?.value.0.clone();
            Some(Arc::new(Role { arn, external_id: id.as_ref().map(|at| at.value.0.clone()) }))
        };
        if let (Some(id), None, false) = (&keys.external_id, &keys.role_arn, keys.has_errors) {
            let location = Location { file, span: id.span };
            let hint = "set both here, or both under `defaults`";
            self.fail::<()>(location, "\"external_id\" requires \"role_arn\"", hint);
        }
        layer(&keys.role_arn, &keys.external_id).or_else(|| layer(&base.role_arn, &base.external_id))
    }

    /// Parses the key of a function.
    fn reference(&mut self, location: Location, text: &str) -> Option<FunctionRef> {
        match FunctionRef::parse(text) {
            Ok(reference) => Some(reference),
            Err(BadFunction::Region(unknown)) => {
                let TextError { message, hint, .. } = unknown.into();
                self.reject(self.error(location, message).maybe_hint(hint))
            }
            Err(error) => self.reject(self.error(location, error.to_string())),
        }
    }

    fn function_regions(
        &mut self,
        name: Location,
        reference: &FunctionRef,
        keys: &FunctionKeys,
        defaults: &FileDefaults<'_>,
    ) -> Option<Vec<Region>> {
        let own = self.regions(name.file, keys.region.as_ref(), keys.regions.as_ref());
        let given = keys.region.as_ref().map(|at| at.span).or(keys.regions.as_ref().map(|at| at.span));
        if let Some((_, region)) = &reference.place {
            if let (Some(own), Some(span)) = (own, given)
                && own != [*region]
            {
                let message = format!("the region differs from that of the ARN, {region}");
                self.fail::<()>(Location { file: name.file, span }, message, "remove it");
            }
            return Some(vec![*region]);
        }
        match own.or_else(|| defaults.regions.clone().filter(|_| given.is_none())) {
            Some(regions) => Some(regions),
            // Errors of the regions that are given have been reported.
            None if given.is_some() || keys.has_errors || defaults.keys.has_errors => None,
            None if defaults.keys.region.is_some() || defaults.keys.regions.is_some() => None,
            None => {
                let hint = "add `region: eu-west-2` here or under `defaults`, or use the ARN of the function";
                self.fail(name, "missing key \"region\"", hint)
            }
        }
    }

    /// Registers the identities of a function. Reports one that is registered already.
    fn register(&mut self, location: Location, reference: &FunctionRef, regions: &[Region]) {
        for region in regions {
            let first = match self.identities.entry(reference.identity(*region)) {
                Entry::Vacant(free) => {
                    free.insert(Registered { location, made: None });
                    continue;
                }
                Entry::Occupied(taken) => taken.get().location,
            };
            // A duplicate region of one list has been reported.
            if first != location {
                let message = format!("duplicate function {} in {region}", quoted(&reference.to_string()));
                let problem = self.error(location, message).hint(MERGE).related(self.position(first));
                self.reject::<()>(problem);
                return;
            }
        }
    }

    fn protocol(&mut self, name: Location, keys: &FunctionKeys, base: &Defaults) -> Option<Protocol> {
        let at = |span| Location { file: name.file, span };
        let protocol = keys.protocol.as_ref().or(base.protocol.as_ref());
        let payload = keys.payload.as_ref().or(base.payload.as_ref());
        match (protocol.map(|at| &at.value), payload) {
            (Some(ProtocolName::Custom), Some(At { value: Json { value, variables, .. }, span })) => {
                for At { value, span } in variables {
                    self.variables.entry(value.clone()).or_insert(at(*span));
                }
                match CustomPayload::parse(value.clone()) {
                    Ok(payload) => Some(Protocol::Custom(payload)),
                    Err(reason) => self.reject(self.error(at(*span), reason)),
                }
            }
            (Some(ProtocolName::Custom), None) if keys.has_errors || base.has_errors => None,
            (Some(ProtocolName::Custom), None) => {
                let location = protocol.map_or(name, |protocol| at(protocol.span));
                let hint = "add the JSON of a ping, such as `payload: { warm: true }`";
                self.fail(location, "the protocol \"custom\" requires \"payload\"", hint)
            }
            (preset, _) => {
                if let (Some(payload), false) = (&keys.payload, keys.has_errors) {
                    let hint = "remove it, or set `protocol: custom`";
                    let message = "\"payload\" requires the protocol \"custom\"";
                    return self.fail(at(payload.span), message, hint);
                }
                match preset {
                    Some(ProtocolName::Preset(protocol)) => Some(protocol.clone()),
                    _ => Some(Protocol::Warmd),
                }
            }
        }
    }

    /// Resolves the enabled windows of an enabled function.
    fn function_windows(
        &mut self,
        context: &Context<'_>,
        name: Location,
        reference: Option<&FunctionRef>,
        keys: &FunctionKeys,
    ) -> Vec<LocatedWindow> {
        let Some(At { value: List(windows), .. }) = &keys.windows else {
            let has_others = keys.on_request.is_some() || keys.backlog.is_some();
            let is_staged =
                reference.is_none_or(|reference| self.staged.contains(&without_latest(reference)));
            if is_enabled(keys) && !keys.has_errors && !has_others && !is_staged {
                let hint = "add windows, or disable the function with `enabled: false`";
                self.fail::<()>(name, "missing key \"windows\"", hint);
            }
            return Vec::new();
        };
        let round_sizes = self.round_sizes.len();
        let resolved =
            windows.iter().enumerate().filter_map(|(index, at)| self.window(context, index, at)).collect();
        if is_enabled(keys) {
            return resolved;
        }
        self.round_sizes.truncate(round_sizes);
        Vec::new()
    }
}

/// Returns the reference with `$LATEST` left out, which no qualifier equals.
pub(super) fn without_latest(reference: &FunctionRef) -> FunctionRef {
    let qualifier = reference.qualifier.clone().filter(|qualifier| !qualifier.is_latest());
    FunctionRef { qualifier, ..reference.clone() }
}

fn is_enabled(keys: &FunctionKeys) -> bool {
    keys.enabled.as_ref().is_none_or(|at| at.value)
}

/// The resolved parts of a function, which its targets share.
struct Parts {
    reference: FunctionRef,
    protocol: Protocol,
    windows: Vec<LocatedWindow>,
    on_request: Option<OnRequest>,
    backlog: Option<Rule>,
    role: Option<Arc<Role>>,
    downloads: Vec<Download>,
    traffic: Option<Traffic>,
    spare: u32,
    capacity: Capacity,
    budget: Option<Budget>,
}

/// Creates the target of a function in one region, for one tenant.
fn target(
    name: Location,
    id: Identity,
    parts: &Parts,
    keys: &FunctionKeys,
    base: &Defaults,
) -> (Target, TargetLocations) {
    let region = id.region;
    let windows = || parts.windows.iter().filter(|window| window.is_in(region));
    let interval_minutes = pick!(keys, base, interval).map_or(DEFAULT_INTERVAL, |time| time.minutes());
    let stagger = base.stagger.as_ref().is_some_and(|at| at.value);
    let memory_mb = pick!(keys, base, memory).map(|memory| memory.0);
    let architecture = pick!(keys, base, architecture).copied();
    let [own, usual] = [&keys.assume, &base.assume].map(|keys| keys.as_ref().map(|at| &at.value));
    let mut target = Target {
        label: parts.reference.to_string(),
        owner: pick!(keys, base, owner).map(|owner| owner.0.clone()),
        protocol: parts.protocol.clone(),
        hold: pick!(keys, base, hold).map_or(Hold::Auto, |hold| hold.0),
        timeout: pick!(keys, base, timeout).map(|timeout| timeout.0),
        memory_mb,
        architecture: architecture.unwrap_or_default(),
        downloads: parts.downloads.clone(),
        assume: assumptions(own, usual, parts.traffic, memory_mb, architecture),
        interval_minutes,
        phase_minutes: if stagger { phase(&id, interval_minutes) } else { 0 },
        spare: parts.spare,
        windows: windows().map(|window| window.window.clone()).collect(),
        backlogs: parts.backlog.iter().filter(|_| is_enabled(keys)).cloned().collect(),
        on_request: parts.on_request.filter(|_| is_enabled(keys)),
        role: parts.role.clone(),
        trace: pick!(keys, base, trace).copied().unwrap_or_default(),
        canary: match pick!(keys, base, canary) {
            Some(CanarySwitch::Off) => Canary::Off,
            Some(CanarySwitch::On) | None => {
                Canary::On(pick!(keys, base, canary_max).map_or(Canary::DEFAULT_MAX, |max| max.0))
            }
        },
        strategy: Strategy::Pings,
        semi_cold_below: {
            let mut keys = [own, usual].into_iter().flatten();
            keys.find_map(|keys| Some(keys.semi_cold_below.as_ref()?.value.0))
        },
        slo: pick!(keys, base, slo).and_then(slo_of),
        budget: parts.budget,
        id,
    };
    target.strategy = parts.capacity.strategy(target.highest());
    let interval = keys.interval.as_ref().or(base.interval.as_ref());
    let locations = TargetLocations {
        function: name,
        interval: interval.map(|at| Location { file: name.file, span: at.span }),
        strategy: parts.capacity.location,
        windows: windows().map(|window| window.location).collect(),
    };
    (target, locations)
}
