//! The stages of a pipeline: their functions, and the payloads between them.

use std::collections::HashMap;

use rust_decimal::Decimal;

use super::super::reader::At;
use super::super::values::{FreeText, List, TableEntry};
use super::super::wire::{FunctionKeys, StageKeys};
use super::functions::{FileDefaults, without_latest};
use super::{Location, Registered, Resolver};
use crate::config::problem::MOST_PROBLEMS;
use crate::domain::capacity::REQUESTS_PER_ENVIRONMENT;
use crate::domain::function::{FunctionRef, Region};
use crate::domain::limits::{Invocation, PayloadLimit};
use crate::domain::parse::quoted;
use crate::domain::pipeline::Payload;
use crate::domain::text::grouped;

/// A checked stage.
pub(super) struct Stage<'k> {
    pub parts: Vec<(&'k FunctionRef, Location)>,
    pub takes: u32,
    pub rate: Decimal,
    pub rate_at: Location,
    pub per_backlog: Option<u32>,
    pub payload: Option<Payload>,
    /// The function is invoked synchronously.
    pub is_sync: bool,
    pub location: Location,
}

/// The functions under `functions` that are named without account, with their regions.
pub(super) type ByName = HashMap<FunctionRef, Vec<Region>>;

impl Resolver<'_, '_> {
    /// Returns the functions that are registered so far without account.
    pub(super) fn functions_by_name(&self) -> ByName {
        let mut by_name = ByName::new();
        for id in self.identities.keys().filter(|id| id.account.is_none()) {
            let reference =
                FunctionRef { name: id.name.clone(), qualifier: id.qualifier.clone(), place: None };
            by_name.entry(without_latest(&reference)).or_default().push(id.region);
        }
        by_name.values_mut().for_each(|regions| regions.sort_unstable());
        by_name
    }

    /// Checks the stages of a pipeline.
    pub(super) fn stages<'k>(&mut self, file: usize, keys: &'k At<List<StageKeys>>) -> Vec<Stage<'k>> {
        let mut seen = HashMap::new();
        let mut stages = Vec::new();
        for at in &keys.value.0 {
            let location = Location { file, span: at.span };
            let parts = self.parts(location, &at.value);
            for (part, location) in &parts {
                if let Some(first) = seen.insert(without_latest(part), *location) {
                    let message = format!("duplicate function {} in the pipeline", quoted(&part.to_string()));
                    let problem = self.error(*location, message).hint("remove one of the two");
                    self.reject::<()>(problem.related(self.position(first)));
                }
            }
            let payload = self.payload(file, &at.value);
            let StageKeys { takes, rate: Some(rate), per_backlog, source, .. } = &at.value else { continue };
            stages.push(Stage {
                parts,
                takes: takes.as_ref().map_or(1, |at| at.value.0),
                rate: rate.value.0,
                rate_at: Location { file, span: rate.span },
                per_backlog: per_backlog.as_ref().map(|at| at.value.0),
                payload,
                is_sync: source.as_ref().is_some_and(|at| at.value == Invocation::Sync),
                location,
            });
        }
        stages
    }

    /// Returns the functions of a stage.
    fn parts<'k>(&mut self, location: Location, keys: &'k StageKeys) -> Vec<(&'k FunctionRef, Location)> {
        let file = location.file;
        match (&keys.function, &keys.parts) {
            (Some(one), None) => vec![(&one.value, Location { file, span: one.span })],
            (None, Some(parts)) => {
                if let [only] = parts.value.0.as_slice() {
                    let hint = format!("add the other parts, or write `function: {}`", only.value);
                    let message = "expected at least two parts, found one";
                    self.fail::<()>(Location { file, span: parts.span }, message, &hint);
                }
                parts.value.0.iter().map(|at| (&at.value, Location { file, span: at.span })).collect()
            }
            (Some(one), Some(parts)) => {
                let hint = "remove one of the two: `parts` are the functions of a split model";
                self.conflict(file, ("function", one.span), ("parts", parts.span), hint);
                Vec::new()
            }
            (None, None) => {
                if !keys.has_errors {
                    let hint = "add the function of the stage, or `parts` for a split model";
                    self.fail::<()>(location, "missing key \"function\"", hint);
                }
                Vec::new()
            }
        }
    }

    /// Returns the payload of a stage. Reports one above the limit of its invocations, and keys without effect.
    fn payload(&mut self, file: usize, keys: &StageKeys) -> Option<Payload> {
        let StageKeys { payload, via, source, route, bucket_region, has_errors, .. } = keys;
        let at = |span| Location { file, span };
        if let (Some(via), None, false) = (via, payload, has_errors) {
            let hint = "add its size, such as `payload: 2MB`, or remove the key";
            self.fail::<()>(at(via.span), "\"via\" requires \"payload\"", hint);
        }
        if let (Some(route), None, false) = (route, via, has_errors) {
            let message = "\"route\" requires \"via\"";
            self.fail::<()>(at(route.span), message, "add `via: s3`, or remove it");
        }
        if let (None, Some(region), false) = (route, bucket_region, has_errors) {
            let message = "\"bucket_region\" requires the route \"inter-region\"";
            self.fail::<()>(at(region.span), message, "remove it, or add `route: inter-region`");
        }
        let checked =
            route.as_ref().map(|route| self.route(file, route, bucket_region.as_ref(), *has_errors));
        let payload = payload.as_ref()?;
        let bytes = payload.value.0;
        let invocation = source.as_ref().map(|at| at.value).unwrap_or_default();
        let PayloadLimit { bytes: most, dated, .. } = invocation.payload_limit();
        if bytes > most && via.is_none() && !has_errors {
            let message = format!(
                "the payload of {} bytes exceeds the limit of {} invocations, {} bytes {dated}",
                grouped(bytes),
                invocation.adjective(),
                grouped(most)
            );
            let fits_sync = bytes <= Invocation::Sync.payload_limit().bytes;
            let hint = match fits_sync {
                true => "add `via: s3`, or `source: sync` if the function is invoked synchronously",
                false => "add `via: s3`",
            };
            self.fail::<()>(at(payload.span), message, hint);
        }
        let route = match checked {
            Some(route) => Some(route?),
            None => None,
        };
        Some(Payload { bytes, is_via_s3: via.is_some(), route })
    }

    /// Makes the functions of stages that are not under `functions`, with the defaults of the file. Reports those that
    /// are not in the regions of the pipeline. Warns of those that are disabled.
    pub(super) fn staged_functions(
        &mut self,
        defaults: &FileDefaults<'_>,
        by_name: &ByName,
        stages: &[Stage<'_>],
        regions: &[Region],
        owner: Option<&At<FreeText>>,
    ) {
        for (part, location) in stages.iter().flat_map(|stage| &stage.parts) {
            let elsewhere = match &part.place {
                Some((_, own)) => {
                    regions.iter().find(|region| *region != own).map(|region| (*region, vec![*own]))
                }
                None => by_name.get(&without_latest(part)).and_then(|own| {
                    let missing = regions.iter().find(|region| !own.contains(region))?;
                    Some((*missing, own.clone()))
                }),
            };
            if let Some((missing, own)) = elsewhere {
                self.report_elsewhere(part, *location, missing, &own);
                continue;
            }
            let is_new = |region: &&Region| !self.identities.contains_key(&part.identity(**region));
            let new: Vec<Region> = regions.iter().filter(is_new).copied().collect();
            if new.is_empty() {
                continue;
            }
            let span = location.span;
            let new = List(new.into_iter().map(|value| At { value, span }).collect());
            let keys = FunctionKeys {
                regions: Some(At { value: new, span }),
                owner: owner.cloned(),
                ..FunctionKeys::default()
            };
            let name = At { value: part.to_string(), span };
            self.function(location.file, defaults, &TableEntry { name, value: Some(keys) });
        }
    }

    fn report_elsewhere(&mut self, part: &FunctionRef, location: Location, missing: Region, own: &[Region]) {
        let names: Vec<&str> = own.iter().map(|region| region.as_str()).collect();
        let message = format!("the function is in {}, the pipeline in {missing}", names.join(", "));
        let hint = match part.place {
            Some(_) => format!("set `region: {}` for the pipeline", names.join(", ")),
            None => format!(
                "add {missing} to the regions of the function, or remove it from those of the pipeline"
            ),
        };
        let first = own.first().and_then(|region| self.identities.get(&part.identity(*region)));
        let mut problem = self.error(location, message).hint(hint);
        if let (None, Some(Registered { location, .. })) = (&part.place, first) {
            problem = problem.related(self.position(*location));
        }
        self.reject::<()>(problem);
    }

    /// Warns of stages whose function is disabled, and of those whose environments serve fewer requests than their
    /// rate.
    pub(super) fn warn_of_stages(&mut self, stages: &[Stage<'_>], region: Option<&Region>) {
        let Some(region) = region else { return };
        for (stage, (part, location)) in
            stages.iter().flat_map(|stage| stage.parts.iter().map(move |part| (stage, part)))
        {
            let Some(Registered { location: function, made: Some(made) }) =
                self.identities.get(&part.identity(*region))
            else {
                continue;
            };
            if self.stage_warnings.len() >= MOST_PROBLEMS {
                return;
            }
            let limited = stage.is_sync || made.capacity.is_provisioned();
            let served = Decimal::from(u64::from(stage.takes) * u64::from(REQUESTS_PER_ENVIRONMENT));
            if !made.is_enabled {
                let message = format!(
                    "the stage {} is never warmed: the function is disabled",
                    quoted(&part.to_string())
                );
                let warning =
                    self.warning(*location, message).hint("enable the function, or remove the stage");
                self.stage_warnings.push(warning.related(self.position(*function)));
            } else if limited && stage.rate > served {
                let takes = (stage.rate / Decimal::from(REQUESTS_PER_ENVIRONMENT)).ceil();
                let message = format!(
                    "an environment of {} serves {served} of {} requests a second: at most {REQUESTS_PER_ENVIRONMENT} \
                     invocations a second with {} each",
                    quoted(&part.to_string()),
                    stage.rate.normalize(),
                    stage.takes,
                );
                let hint = format!("set `takes: {takes}`, or lower `rate`");
                self.stage_warnings.push(self.warning(stage.rate_at, message).hint(hint));
            }
        }
    }
}
