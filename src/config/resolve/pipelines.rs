//! Pipelines: their windows, requests and backlogs become those of the targets of their stages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::super::reader::At;
use super::super::values::TableEntry;
use super::super::wire::{MOST_CONCURRENCY, PipelineBacklogKeys, PipelineKeys};
use super::backlog::{in_time, metric};
use super::functions::FileDefaults;
use super::stages::{ByName, Stage};
use super::windows::{Context, LocatedWindow, Of};
use super::{Capacity, Location, Made, Resolver, RoundSize, TargetLocations};
use crate::domain::backlog::{Metric, Rule, environments};
use crate::domain::calendar::Window;
use crate::domain::fleet::{OnRequest, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::parse::quoted;
use crate::domain::pipeline::{self, Pipeline};

/// The bytes of a stage or of one of its parts, on the high side.
const STAGE: usize = 600;

/// The checked parts of a pipeline.
struct Parts<'k> {
    name: Arc<str>,
    stages: Vec<Stage<'k>>,
    windows: Vec<LocatedWindow>,
    on_request: Option<(OnRequest, Location)>,
    backlog: Option<Backlog>,
    /// The default lead of windows, in minutes.
    lead: u32,
}

/// A backlog of a pipeline.
struct Backlog {
    metric: Arc<Metric>,
    max: u32,
    max_at: Location,
    /// The requests that one environment of each stage works off in time.
    per_environment: Vec<Decimal>,
}

impl<'a> Resolver<'a, '_> {
    /// Adds a pipeline, and its windows, requests and backlogs to the targets of its stages. A pipeline that is
    /// disabled is checked only.
    pub(super) fn pipeline(
        &mut self,
        file: usize,
        defaults: &FileDefaults<'_>,
        by_name: &ByName,
        entry: &'a TableEntry<PipelineKeys>,
    ) {
        let location = Location { file, span: entry.name.span };
        self.define("pipeline", file, &entry.name, Some(()), |resolver| &mut resolver.pipeline_names);
        let Some(keys) = &entry.value else { return };
        let name: Arc<str> = entry.name.value.as_str().into();
        let is_enabled = keys.enabled.as_ref().is_none_or(|at| at.value);
        let regions = self.pipeline_regions(location, keys, defaults).unwrap_or_default();
        let stages = keys.stages.as_ref().map_or_else(Vec::new, |at| self.stages(file, at));
        let parts = stages.iter().map(|stage| 1 + stage.parts.len()).sum::<usize>();
        if !self.reserve_memory(location, regions.len().saturating_mul(parts).saturating_mul(STAGE)) {
            return;
        }
        if is_enabled {
            self.staged_functions(defaults, by_name, &stages, &regions, keys.owner.as_ref());
        }
        let made = self.made(&stages, &regions);
        let copies = made.iter().map(|made| made.targets.len()).sum::<usize>() + regions.len() * stages.len();
        let base = defaults.keys;
        let context = Context {
            file,
            regions: &regions,
            copies,
            zone: keys.timezone.as_ref().or(base.timezone.as_ref()).map(|at| at.value.0),
            lead: keys.lead.as_ref().or(base.lead.as_ref()).map(|at| at.value.minutes()),
            of: Of::Pipeline(&name),
        };
        let windows = keys.windows.iter().flat_map(|at| &at.value.0).enumerate();
        let windows = windows.filter_map(|(index, at)| self.window(&context, index, at)).collect();
        let on_request = self.request_limits(file, keys.on_request.as_ref());
        let backlog = keys.backlog.as_ref().and_then(|at| self.pipeline_backlog(file, at, &stages));
        let has_need = keys.windows.is_some() || keys.on_request.is_some() || keys.backlog.is_some();
        if is_enabled && !has_need && !keys.has_errors {
            let hint =
                "add windows, `on_request` or `backlog`, or disable the pipeline with `enabled: false`";
            self.fail::<()>(location, "missing key \"windows\"", hint);
        }
        if !is_enabled {
            return;
        }
        self.warn_of_stages(&stages, regions.first());
        let spare =
            made.iter().filter(|made| made.is_enabled).map(|made| self.spare(made)).max().unwrap_or(0);
        if let Some((rule, location)) = on_request {
            self.check_above_spare(("max_concurrency", location), rule.max_concurrency, spare);
        }
        if let Some(backlog) = &backlog {
            self.check_above_spare(("max", backlog.max_at), backlog.max, spare);
        }
        let inits = made.iter().filter(|made| made.is_enabled).flat_map(|made| {
            let targets = self.targets.get(made.targets.clone()).unwrap_or_default();
            targets.iter().map(|(target, _)| target.assume.init_duration.value())
        });
        let lead = whole_minutes(inits.max().unwrap_or_default());
        let parts = Parts { name, stages, windows, on_request, backlog, lead };
        for region in regions {
            self.add_pipeline(&parts, region);
        }
    }

    fn pipeline_regions(
        &mut self,
        name: Location,
        keys: &PipelineKeys,
        defaults: &FileDefaults<'_>,
    ) -> Option<Vec<Region>> {
        let own = self.regions(name.file, keys.region.as_ref(), keys.regions.as_ref());
        if own.is_some() || keys.region.is_some() || keys.regions.is_some() {
            return own;
        }
        let base = defaults.keys;
        let has_errors =
            keys.has_errors || base.has_errors || base.region.is_some() || base.regions.is_some();
        match &defaults.regions {
            Some(regions) => Some(regions.clone()),
            None if has_errors => None,
            None => {
                let hint = "add `region: eu-west-2` here or under `defaults`";
                self.fail(name, "missing key \"region\"", hint)
            }
        }
    }

    /// Returns the functions of stages in all regions. Those with errors are missing.
    fn made(&self, stages: &[Stage<'_>], regions: &[Region]) -> Vec<Made> {
        let ids = regions.iter().flat_map(|region| {
            let parts = stages.iter().flat_map(|stage| &stage.parts);
            parts.map(|(part, _)| part.identity(*region))
        });
        ids.filter_map(|id| self.identities.get(&id)?.made.clone()).collect()
    }

    /// Returns the backlog of a pipeline. Reports a missing time where a stage needs one.
    fn pipeline_backlog(
        &mut self,
        file: usize,
        at: &At<PipelineBacklogKeys>,
        stages: &[Stage<'_>],
    ) -> Option<Backlog> {
        let PipelineBacklogKeys { metric: source, max, drain, has_errors } = &at.value;
        let drain = drain.as_ref().map(|at| &at.value);
        let needs = stages.iter().find(|stage| stage.per_backlog.is_none() && drain.is_none());
        if let (Some(stage), false) = (needs, has_errors) {
            let hint = "add the time in which the backlog is worked off, or `per_backlog` to each stage";
            let problem = self.error(Location { file, span: at.span }, "missing key \"drain\"").hint(hint);
            return self.reject(problem.related(self.position(stage.location)));
        }
        let max = max.as_ref()?;
        let per_environment = |stage: &Stage<'_>| match (stage.per_backlog, drain) {
            (Some(requests), _) => Some(requests.into()),
            (None, drain) => Some(in_time(stage.rate, drain?)),
        };
        Some(Backlog {
            metric: metric(&source.as_ref()?.value)?,
            max: max.value.0,
            max_at: Location { file, span: max.span },
            per_environment: stages.iter().map(per_environment).collect::<Option<_>>()?,
        })
    }

    /// Adds a pipeline in one region.
    fn add_pipeline(&mut self, parts: &Parts<'_>, region: Region) {
        let Parts { name, stages, windows, on_request, backlog, .. } = parts;
        let mut resolved = Vec::with_capacity(stages.len());
        for (index, stage) in stages.iter().enumerate() {
            let ids: Vec<Identity> = stage.parts.iter().map(|(part, _)| part.identity(region)).collect();
            let made: Option<Vec<Made>> =
                ids.iter().map(|id| self.identities.get(id)?.made.clone()).collect();
            // The errors of functions have been reported.
            let Some(made) = made else { return };
            let mut resolved_stage = pipeline::Stage {
                parts: ids,
                takes: stage.takes,
                rate: stage.rate,
                per_backlog: stage.per_backlog,
                payload: stage.payload,
                windows: Vec::new(),
            };
            let label: Arc<str> = resolved_stage.label().into();
            for window in windows.iter().filter(|window| window.is_in(region)) {
                let Some(number) = self.stage_number(stage, &label, window) else { continue };
                let own = self.add_window(&made, window, number, parts);
                resolved_stage.windows.push(own);
                self.stage_sizes(window.number_at, number, Spare::Added, &made, &label);
            }
            if let Some((rule, location)) = on_request {
                self.stage_sizes(*location, rule.max_concurrency, Spare::Included, &made, &label);
                self.change_targets(&made, |_, target, _| {
                    target.on_request = Some(target.on_request.map_or(*rule, |own| higher(own, *rule)));
                });
            }
            if let Some(backlog) = backlog {
                self.stage_sizes(backlog.max_at, backlog.max, Spare::Included, &made, &label);
                let per_environment = backlog.per_environment.get(index).copied().unwrap_or(Decimal::ONE);
                let pipeline = Some(Arc::clone(name));
                let metric = Arc::clone(&backlog.metric);
                let rule = Rule { metric, per_environment, max: backlog.max, pipeline };
                self.change_targets(&made, |_, target, _| target.backlogs.push(rule.clone()));
            }
            resolved.push(resolved_stage);
        }
        let on_request = on_request.map(|(rule, _)| rule);
        let name = Arc::clone(name);
        let own = windows.iter().filter(|window| window.is_in(region));
        let loads = own.map(|window| window.requests_per_second).collect();
        self.pipelines.push(Pipeline { name, region, stages: resolved, loads, on_request });
    }

    /// Adds a window to the targets of a stage, and returns it. All have one lead, so that the parts open together.
    fn add_window(
        &mut self,
        made: &[Made],
        window: &LocatedWindow,
        number: u32,
        parts: &Parts<'_>,
    ) -> Window {
        let enabled = made.iter().filter(|made| made.is_enabled);
        let defaults =
            enabled.map(|made| made.capacity.default_lead(number.saturating_add(self.spare(made))));
        let lead = window.lead.unwrap_or_else(|| defaults.fold(parts.lead, u32::max));
        let own = Window {
            concurrency: number,
            pipeline: Some(Arc::clone(&parts.name)),
            lead: TimeDelta::minutes(lead.into()),
            ..window.window.clone()
        };
        self.change_targets(made, |_, target, locations| {
            target.windows.push(own.clone());
            locations.windows.push(window.location);
        });
        own
    }

    /// Returns the number of a stage for the load of a window.
    fn stage_number(&mut self, stage: &Stage<'_>, label: &str, window: &LocatedWindow) -> Option<u32> {
        let number = environments(window.requests_per_second, stage.rate).max(1);
        if number <= MOST_CONCURRENCY {
            return Some(number);
        }
        let message =
            format!("the load needs more than {MOST_CONCURRENCY} environments of {}", quoted(label));
        let hint = "check the units of `requests_per_second` and of the `rate` of the stage";
        let problem = self.error(window.number_at, message).hint(hint);
        self.reject(problem.related(self.position(stage.rate_at)))
    }

    /// Notes the number of a stage for each of its functions, and for all parts together: they are sent at the same
    /// instant.
    fn stage_sizes(&mut self, location: Location, number: u32, kind: Spare, made: &[Made], label: &Arc<str>) {
        let mut all = 0_u32;
        for made in made.iter().filter(|made| made.is_enabled) {
            let spare = if kind == Spare::Added { self.spare(made) } else { 0 };
            let (capacity, of) = (*made.capacity, Some(Arc::clone(label)));
            if capacity.may_ping() {
                let targets = u32::try_from(made.targets.len()).unwrap_or(u32::MAX);
                all = all.saturating_add(number.saturating_add(spare).saturating_mul(targets));
            }
            self.round_sizes.push(RoundSize { location, concurrency: number, spare, capacity, of });
        }
        if made.len() > 1 {
            let capacity = Capacity::default();
            let of = Some(Arc::clone(label));
            self.round_sizes.push(RoundSize { location, concurrency: all, spare: 0, capacity, of });
        }
    }

    /// Returns the spare environments of a function.
    fn spare(&self, made: &Made) -> u32 {
        self.targets.get(made.targets.start).map_or(0, |(target, _)| target.spare)
    }

    /// Changes the targets of enabled functions.
    fn change_targets(
        &mut self,
        made: &[Made],
        mut change: impl FnMut(&Made, &mut Target, &mut TargetLocations),
    ) {
        for made in made.iter().filter(|made| made.is_enabled) {
            for (target, locations) in self.targets.get_mut(made.targets.clone()).unwrap_or_default() {
                change(made, target, locations);
            }
        }
    }

    /// Gives the targets the strategy for their highest number, which pipelines may have raised.
    pub(super) fn settle_strategies(&mut self) {
        let made: Vec<Made> = self.identities.values().filter_map(|function| function.made.clone()).collect();
        self.change_targets(&made, |made, target, _| {
            target.strategy = made.capacity.strategy(target.highest());
        });
    }

    /// Reports pipelines with the name of a function: commands take names of both.
    pub(super) fn check_pipeline_names(&mut self) {
        let mut functions: HashMap<&str, Location> = HashMap::new();
        if !self.pipeline_names.is_empty() {
            let named =
                self.targets.iter().map(|(target, locations)| (target.label.as_str(), locations.function));
            functions.extend(named);
        }
        let found: Vec<_> = self
            .pipeline_names
            .iter()
            .filter_map(|(name, pipeline)| Some((*name, pipeline.location, *functions.get(name)?)))
            .collect();
        for (name, location, function) in found {
            let problem = self
                .error(location, format!("the pipeline {} has the name of a function", quoted(name)))
                .hint("rename it: commands take names of functions and of pipelines")
                .related(self.position(function));
            self.reject::<()>(problem);
        }
    }
}

/// The relation of a number to the spare environments of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spare {
    /// They are added to it.
    Added,
    /// It includes them.
    Included,
}

/// Returns the higher of each number.
fn higher(one: OnRequest, other: OnRequest) -> OnRequest {
    OnRequest {
        max_concurrency: one.max_concurrency.max(other.max_concurrency),
        max_for: one.max_for.max(other.max_for),
        coalesce: one.coalesce.max(other.coalesce),
        hold_for: one.hold_for.max(other.hold_for),
    }
}

/// Returns a time in minutes, rounded up.
fn whole_minutes(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(60_000)).unwrap_or(u32::MAX)
}
