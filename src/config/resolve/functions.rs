//! Functions: their regions, their settings over the file's defaults, their targets.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;

use super::super::TargetMarks;
use super::super::reader::{At, quoted};
use super::super::source::Span;
use super::super::values::{ExternalId, Json, List, ProtocolName, RoleArn, Row, Way};
use super::super::wire::{Defaults, DownloadKeys, FunctionKeys, OnRequestKeys};
use super::assume::assumptions;
use super::windows::Resolved;
use super::{Demand, Mark, Problem, Resolver, weight};
use crate::domain::cost::assume::Traffic;
use crate::domain::cost::{Download, Route};
use crate::domain::fleet::{Hold, OnRequest, Role, Target};
use crate::domain::function::{BadFunction, FunctionRef, Identity, Region};
use crate::domain::protocol::{CustomPayload, Protocol};

/// Minutes between two rounds when nothing else is said: below the idle lives that were measured.
const DEFAULT_INTERVAL: u32 = 5;
/// How far apart requests are at least, to be two, when nothing else is said.
const COALESCE: Duration = Duration::from_secs(60);
/// Longer keys are no function reference; the longest ARN has about 270 characters.
const LONGEST_REFERENCE: usize = 300;

/// A file's defaults, checked.
pub(super) struct FileDefaults<'k> {
    keys: &'k Defaults,
    regions: Option<Vec<Region>>,
    traffic: Option<Traffic>,
}

/// What the windows of a function need to know of it.
pub(super) struct Context<'c> {
    pub file: usize,
    /// The function's regions; empty when they are not known.
    pub regions: &'c [Region],
    pub zone: Option<Tz>,
    /// Minutes.
    pub lead: u32,
    pub spare: u32,
}

impl<'a> Resolver<'a, '_> {
    pub(super) fn defaults<'k>(&mut self, file: usize, keys: &'k Defaults) -> FileDefaults<'k> {
        let regions = self.regions(file, keys.region.as_ref(), keys.regions.as_ref());
        let traffic = self.traffic(file, keys.assume.as_ref());
        FileDefaults { keys, regions, traffic }
    }

    /// The regions of `region` or `regions`; none when neither is given or both are.
    fn regions(
        &mut self,
        file: usize,
        one: Option<&At<Region>>,
        several: Option<&At<List<Region>>>,
    ) -> Option<Vec<Region>> {
        match (one, several) {
            (None, None) => None,
            (Some(one), None) => Some(vec![one.value]),
            (None, Some(several)) => {
                self.distinct(file, &several.value);
                Some(several.value.0.iter().map(|region| region.value).collect())
            }
            (Some(one), Some(several)) => {
                let problem = self
                    .error(Mark { file, span: several.span }, "`region` and `regions` exclude each other")
                    .hint("`region: x` is the short form of `regions: [x]`")
                    .related(self.place(Mark { file, span: one.span }));
                self.problems.push(problem);
                None
            }
        }
    }

    /// Adds the targets of one function.
    pub(super) fn function(&mut self, file: usize, defaults: &FileDefaults<'_>, row: &'a Row<FunctionKeys>) {
        let reference = self.reference(file, &row.name);
        let Some(keys) = &row.value else {
            return;
        };
        let name = Mark { file, span: row.name.span };
        let before = self.problems.count();
        let regions =
            reference.as_ref().and_then(|reference| self.function_regions(name, reference, keys, defaults));
        let regions = regions.unwrap_or_default();
        let payload =
            keys.payload.as_ref().or(defaults.keys.payload.as_ref()).map_or(0, |at| at.value.weight);
        let downloads = keys.downloads.as_ref().map_or(0, |at| at.value.0.len());
        let each = weight::TARGET + payload + 1_200 * downloads;
        if !self.bear(name, regions.len().saturating_mul(each)) {
            return;
        }
        if let Some(reference) = &reference {
            self.claim(name, reference, &regions);
        }
        let base = defaults.keys;
        let spare = keys.spare.as_ref().or(base.spare.as_ref()).map_or(0, |at| at.value.0);
        let context = Context {
            file,
            regions: &regions,
            zone: keys.timezone.as_ref().or(base.timezone.as_ref()).map(|at| at.value.0),
            lead: keys.lead.as_ref().or(base.lead.as_ref()).map_or(0, |at| at.value.minutes()),
            spare,
        };
        let protocol = self.protocol(file, name, keys, base);
        let windows = self.function_windows(&context, name, keys);
        let on_request = self.on_request(file, keys, spare);
        let role = self.role(file, keys, base);
        let downloads = self.downloads(file, keys);
        let traffic = self.traffic(file, keys.assume.as_ref()).or(defaults.traffic);
        let (Some(reference), Some(protocol)) = (reference, protocol) else {
            return;
        };
        if keys.flawed || self.problems.count() > before {
            return;
        }
        let interval = keys.interval.as_ref().or(base.interval.as_ref());
        let interval_minutes = interval.map_or(DEFAULT_INTERVAL, |at| at.value.minutes());
        let enabled = keys.enabled.as_ref().is_none_or(|flag| flag.value.0);
        let memory_mb = keys.memory.as_ref().or(base.memory.as_ref()).map(|at| at.value.0);
        let architecture = keys.architecture.as_ref().or(base.architecture.as_ref()).map(|at| at.value.0);
        let [own, usual] = [&keys.assume, &base.assume].map(|keys| keys.as_ref().map(|at| &at.value));
        let assume = assumptions(own, usual, traffic, memory_mb, architecture);
        let stagger = base.stagger.as_ref().is_some_and(|at| at.value.0);
        for region in regions {
            let id = reference.identity(region);
            let serves =
                |window: &&Resolved| window.regions.as_ref().is_none_or(|regions| regions.contains(&region));
            let served = || windows.iter().filter(serves);
            let target = Target {
                label: reference.to_string(),
                owner: keys.owner.as_ref().or(base.owner.as_ref()).map(|at| at.value.0.clone()),
                protocol: protocol.clone(),
                hold: keys.hold.as_ref().or(base.hold.as_ref()).map_or(Hold::Auto, |at| at.value.0),
                timeout: keys.timeout.as_ref().or(base.timeout.as_ref()).map(|at| -> Duration { at.value.0 }),
                memory_mb,
                architecture: architecture.unwrap_or_default(),
                downloads: downloads.clone(),
                assume,
                interval_minutes,
                phase_minutes: if stagger { phase(&id, interval_minutes) } else { 0 },
                spare,
                windows: served().map(|resolved| resolved.window.clone()).collect(),
                on_request: on_request.filter(|_| enabled),
                role: role.clone(),
                trace: keys.trace.as_ref().or(base.trace.as_ref()).map(|at| at.value.0).unwrap_or_default(),
                id,
            };
            let marks = TargetMarks {
                function: name,
                interval: interval.map(|at| Mark { file, span: at.span }),
                windows: served().map(|resolved| resolved.mark).collect(),
            };
            self.targets.push((target, marks));
        }
    }

    /// What requests may ask for. Its rounds count as demands, like those of windows.
    fn on_request(&mut self, file: usize, keys: &FunctionKeys, spare: u32) -> Option<OnRequest> {
        let OnRequestKeys { max_concurrency, max_for, coalesce, flawed: _ } =
            &keys.on_request.as_ref()?.value;
        let (most, longest) = (max_concurrency.as_ref()?, max_for.as_ref()?);
        if most.value.0 <= spare {
            let mark = Mark { file, span: most.span };
            let message = format!("`max_concurrency` must be above the {spare} environments that are spare");
            self.problems
                .push(self.error(mark, message).hint("spare ones are part of what a request is given"));
        }
        self.demands.push(Demand {
            mark: Mark { file, span: most.span },
            concurrency: most.value.0,
            spare: 0,
        });
        Some(OnRequest {
            max_concurrency: most.value.0,
            max_for: longest.value.0,
            coalesce: coalesce.as_ref().map_or(COALESCE, |at| at.value.0),
        })
    }

    /// The role to assume: the function's own, or that of the defaults, each with its own external id.
    fn role(&mut self, file: usize, keys: &FunctionKeys, base: &Defaults) -> Option<Arc<Role>> {
        let layer = |arn: &Option<At<RoleArn>>, id: &Option<At<ExternalId>>| {
            let arn = arn.as_ref()?.value.0.clone();
            Some(Arc::new(Role { arn, external_id: id.as_ref().map(|at| at.value.0.clone()) }))
        };
        if let (Some(id), None, false) = (&keys.external_id, &keys.role_arn, keys.flawed) {
            let problem = self
                .error(Mark { file, span: id.span }, "`external_id` goes with a `role_arn`")
                .hint("give both here, or both under `defaults`");
            self.problems.push(problem);
        }
        layer(&keys.role_arn, &keys.external_id).or_else(|| layer(&base.role_arn, &base.external_id))
    }

    /// The function that a key names.
    fn reference(&mut self, file: usize, name: &At<String>) -> Option<FunctionRef> {
        let text = name.value.as_str();
        let mark = Mark { file, span: name.span };
        let problem = if text.len() > LONGEST_REFERENCE {
            self.error(mark, "this is too long for a function")
                .hint("write `name`, `name:qualifier` or a function ARN")
        } else {
            match FunctionRef::parse(text) {
                Ok(reference) => return Some(reference),
                Err(BadFunction::Region(unknown)) => {
                    let hint = unknown.nearest.map(|near| format!("did you mean `{near}`?"));
                    self.error(mark, format!("unknown region {} in this ARN", quoted(&unknown.given)))
                        .maybe_hint(hint)
                }
                Err(bad) => self.error(mark, bad.to_string()),
            }
        };
        self.problems.push(problem);
        None
    }

    fn function_regions(
        &mut self,
        name: Mark,
        reference: &FunctionRef,
        keys: &FunctionKeys,
        defaults: &FileDefaults<'_>,
    ) -> Option<Vec<Region>> {
        let own = self.regions(name.file, keys.region.as_ref(), keys.regions.as_ref());
        if let Some((_, region)) = &reference.place {
            let given = keys.region.as_ref().map(|at| at.span).or(keys.regions.as_ref().map(|at| at.span));
            if let (Some(own), Some(span)) = (own, given)
                && own != [*region]
            {
                let problem = self
                    .error(Mark { file: name.file, span }, format!("the ARN is in {region}"))
                    .hint("leave the region out: the ARN names it");
                self.problems.push(problem);
            }
            return Some(vec![*region]);
        }
        let given = keys.region.is_some() || keys.regions.is_some();
        match own.or_else(|| defaults.regions.clone().filter(|_| !given)) {
            Some(regions) => Some(regions),
            // Whatever is wrong with the regions that are given has been reported.
            None if given || keys.flawed || defaults.keys.flawed => None,
            None if defaults.keys.region.is_some() || defaults.keys.regions.is_some() => None,
            None => {
                let problem = self.error(name, "the function has no region").hint(
                    "give `region: eu-west-2` here or under `defaults`, or name the function by its ARN",
                );
                self.problems.push(problem);
                None
            }
        }
    }

    /// Takes the identities of a function; one that is taken is an error that tells both places.
    fn claim(&mut self, mark: Mark, reference: &FunctionRef, regions: &[Region]) {
        for region in regions {
            let first = match self.identities.entry(reference.identity(*region)) {
                Entry::Vacant(free) => {
                    free.insert(mark);
                    continue;
                }
                Entry::Occupied(taken) => *taken.get(),
            };
            if first == mark {
                // The same region twice in one list, which has been reported.
                continue;
            }
            let problem = self
                .error(mark, format!("{reference} in {region} is configured twice"))
                .hint("keep one of the two; several windows can stand under one function")
                .related(self.place(first));
            self.problems.push(problem);
            return;
        }
    }

    fn protocol(
        &mut self,
        file: usize,
        name: Mark,
        keys: &FunctionKeys,
        base: &Defaults,
    ) -> Option<Protocol> {
        let named = keys.protocol.as_ref().or(base.protocol.as_ref());
        let payload = keys.payload.as_ref().or(base.payload.as_ref());
        match (named.map(|at| &at.value), payload) {
            (Some(ProtocolName::Custom), Some(At { value: Json { value, .. }, span })) => {
                match CustomPayload::parse(value.clone()) {
                    Ok(payload) => Some(Protocol::Custom(payload)),
                    Err(reason) => {
                        let problem = self.error(Mark { file, span: *span }, reason);
                        self.problems.push(problem);
                        None
                    }
                }
            }
            (Some(ProtocolName::Custom), None) => {
                if !keys.flawed && !base.flawed {
                    let at = named.map_or(name, |at| Mark { file, span: at.span });
                    let problem = self
                        .error(at, "the protocol `custom` needs a `payload`")
                        .hint("any JSON, such as `payload: { warm: true }`");
                    self.problems.push(problem);
                }
                None
            }
            (preset, _) => {
                if let (Some(payload), false) = (&keys.payload, keys.flawed) {
                    let problem = self
                        .error(
                            Mark { file, span: payload.span },
                            "`payload` goes with `protocol: custom` only",
                        )
                        .hint("the other protocols say what they have to say");
                    self.problems.push(problem);
                    return None;
                }
                match preset {
                    Some(ProtocolName::Preset(protocol)) => Some(protocol.clone()),
                    _ => Some(Protocol::Warmd),
                }
            }
        }
    }

    /// The enabled windows of an enabled function.
    fn function_windows(
        &mut self,
        context: &Context<'_>,
        name: Mark,
        keys: &'a FunctionKeys,
    ) -> Vec<Resolved> {
        let enabled = keys.enabled.as_ref().is_none_or(|flag| flag.value.0);
        let Some(At { value: List(windows), .. }) = &keys.windows else {
            if enabled && !keys.flawed && keys.on_request.is_none() {
                let problem = self
                    .error(name, "the function has no windows")
                    .hint("without `windows` it is never warm; `enabled: false` says so");
                self.problems.push(problem);
            }
            return Vec::new();
        };
        let demands = self.demands.len();
        let resolved =
            windows.iter().enumerate().filter_map(|(index, at)| self.window(context, index, at)).collect();
        if enabled {
            return resolved;
        }
        self.demands.truncate(demands);
        Vec::new()
    }

    fn downloads(&mut self, file: usize, keys: &FunctionKeys) -> Vec<Download> {
        let Some(At { value: List(downloads), .. }) = &keys.downloads else {
            return Vec::new();
        };
        downloads.iter().filter_map(|at| self.download(file, at)).collect()
    }

    fn download(&mut self, file: usize, at: &At<DownloadKeys>) -> Option<Download> {
        let DownloadKeys { object, size, route, bucket_region, per, flawed } = &at.value;
        let fail = |resolver: &mut Self, span: Span, message: &str, hint: &str| {
            let problem: Problem = resolver.error(Mark { file, span }, message).hint(hint);
            resolver.problems.push(problem);
            None
        };
        let route = route.as_ref()?;
        let taken = match (route.value.0, bucket_region) {
            (Way::InterRegion, Some(region)) => Route::InterRegion { bucket_region: region.value },
            (Way::InterRegion, None) if *flawed => return None,
            (Way::InterRegion, None) => {
                let hint = "it decides the price: `bucket_region: eu-west-1`";
                return fail(self, route.span, "the route `inter-region` needs a `bucket_region`", hint);
            }
            (_, Some(region)) => {
                let hint = "the other routes do not ask where the bucket is";
                return fail(
                    self,
                    region.span,
                    "`bucket_region` goes with the route `inter-region` only",
                    hint,
                );
            }
            (Way::SameRegion, None) => Route::SameRegion,
            (Way::NatGateway, None) => Route::NatGateway,
            (Way::InterfaceEndpoint, None) => Route::InterfaceEndpoint,
            (Way::Internet, None) => Route::Internet,
        };
        Some(Download {
            object: object.as_ref()?.value.0.clone(),
            size_bytes: size.as_ref()?.value.0,
            route: taken,
            per: per.as_ref().map_or_else(Default::default, |at| at.value.0),
        })
    }
}

/// A target's place in the interval: the same in every process and on every machine.
fn phase(id: &Identity, interval_minutes: u32) -> u32 {
    // FNV-1a, 64 bits.
    let hash = id.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u32::try_from(hash % u64::from(interval_minutes.max(1))).unwrap_or(0)
}
