//! Assembles the fleet: looks up names, fills in defaults, checks the rules across keys and files.

mod backlog;
mod budget;
mod calendars;
mod capacity;
mod downloads;
mod estimates;
mod functions;
mod memory;
mod pipelines;
mod shared;
mod sources;
mod stages;
mod warnings;
mod windows;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use self::capacity::{Capacity, Max};
use self::functions::without_latest;
use self::windows::LoadForm;
use super::ics::EventDays;
use super::loaded::{Calendar, Loaded, Location, TargetLocations};
use super::problem::{Position, Problem, Problems};
use super::reader::At;
use super::source::{SourceFile, SourceText, Span};
use super::values::TableEntry;
use super::wire::{Defaults, FileKeys, LimitKeys, MetricKeys, WindowKeys};
use crate::domain::budget::{Budget, Scope};
use crate::domain::calendar::DateSet;
use crate::domain::fleet::{Fleet, Limits, MetricsSettings, Target};
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::parse::quoted;
use crate::domain::pipeline::Pipeline;

/// Reads a file that a calendar or `prices` names: from its path to its text, or to the reason of the failure.
pub type ReadFile<'r> = dyn FnMut(&str) -> Result<String, String> + 'r;

/// The definition of a name that is shared by all files.
struct Definition<T> {
    location: Location,
    /// `None` for a definition with errors.
    value: Option<T>,
    used: bool,
}

/// A number of environments, and so of the pings of a round, with its location and its limit.
struct RoundSize {
    location: Location,
    concurrency: u32,
    spare: u32,
    capacity: Capacity,
    /// The functions of a stage, for a number of a pipeline.
    of: Option<Arc<str>>,
}

/// A function in a region.
struct Registered {
    location: Location,
    /// `None` for a function with errors.
    made: Option<Made>,
}

/// The targets of a function in a region, with the settings that pipelines use.
#[derive(Clone)]
struct Made {
    /// The indices of its targets: one, or one for each tenant.
    targets: Range<usize>,
    /// Shared by the regions: there may be many.
    capacity: Rc<Capacity>,
    is_enabled: bool,
    staggers: bool,
}

/// The state of the assembly of a fleet.
struct Resolver<'a, 'r> {
    sources: &'a [SourceText<'a>],
    problems: &'r mut Problems,
    read: &'r mut ReadFile<'r>,
    attachments: Vec<SourceFile>,
    /// The days of the files that calendars name, by path; `None` for a file with errors.
    event_days: BTreeMap<String, Option<Arc<EventDays>>>,
    calendars: BTreeMap<&'a str, Definition<Arc<DateSet>>>,
    /// The named windows, each with the index of its file.
    windows: BTreeMap<&'a str, Definition<(usize, &'a WindowKeys)>>,
    owners: BTreeMap<&'a str, Definition<Budget>>,
    /// The days for which the history is kept.
    keep_history_days: u32,
    /// The functions of stages, also of disabled pipelines. They need no windows of their own.
    staged: HashSet<FunctionRef>,
    identities: HashMap<Identity, Registered>,
    pipeline_names: BTreeMap<&'a str, Definition<()>>,
    pipelines: Vec<Pipeline>,
    /// Warnings about stages that are never warmed, and the like.
    stage_warnings: Vec<Problem>,
    round_sizes: Vec<RoundSize>,
    /// An estimate of the memory of the fleet, in bytes.
    memory_estimate: usize,
    targets: Vec<(Target, TargetLocations)>,
    /// The environment variables in payloads, each with its first location.
    variables: BTreeMap<String, Location>,
}

/// Assembles the fleet from the texts of its files. Reads only the files that calendars and `prices` name, with `read`.
///
/// `filter` keeps only targets in those regions; all targets are checked.
///
/// # Errors
/// All problems of the configuration, in the order of files and lines.
pub fn resolve(
    files: Vec<SourceFile>,
    read: &mut ReadFile<'_>,
    filter: Option<&[Region]>,
) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let assembled = {
        let sources: Vec<SourceText<'_>> = files.iter().map(SourceText::new).collect();
        let parsed = sources::read_keys(&sources, &mut problems);
        assemble(&sources, &parsed, &mut problems, read, filter)
    };
    if !problems.is_empty() {
        let order: HashMap<&str, usize> =
            files.iter().enumerate().map(|(at, file)| (file.path.as_str(), at)).collect();
        let key = |problem: &Problem| {
            let Position { path, line, column } = &problem.position;
            (order.get(path.as_str()).copied().unwrap_or(usize::MAX), *line, *column)
        };
        problems.list.sort_by_key(key);
        return Err(problems);
    }
    let Assembled { fleet, calendars, locations, budgets, warnings, variables } = assembled;
    let attachments = Vec::new();
    Ok(Loaded { fleet, warnings, calendars, locations, budgets, variables, files, attachments })
}

struct Assembled {
    fleet: Fleet,
    calendars: Vec<Calendar>,
    locations: Vec<TargetLocations>,
    budgets: BTreeMap<Scope, Location>,
    warnings: Vec<Problem>,
    variables: BTreeMap<String, Location>,
}

fn assemble<'a>(
    sources: &'a [SourceText<'a>],
    parsed: &'a [Option<FileKeys>],
    problems: &mut Problems,
    read: &mut ReadFile<'_>,
    filter: Option<&[Region]>,
) -> Assembled {
    let mut resolver = Resolver {
        sources,
        problems,
        read,
        attachments: Vec::new(),
        event_days: BTreeMap::new(),
        calendars: BTreeMap::new(),
        windows: BTreeMap::new(),
        owners: BTreeMap::new(),
        keep_history_days: Limits::default().keep_history_days,
        staged: HashSet::new(),
        identities: HashMap::new(),
        pipeline_names: BTreeMap::new(),
        pipelines: Vec::new(),
        stage_warnings: Vec::new(),
        round_sizes: Vec::new(),
        memory_estimate: 0,
        targets: Vec::new(),
        variables: BTreeMap::new(),
    };
    let files =
        || parsed.iter().enumerate().filter_map(|(file, keys)| keys.as_ref().map(|keys| (file, keys)));
    let limits = resolver.limits(files().filter_map(|(file, keys)| Some((file, keys.limits.as_ref()?))));
    resolver.keep_history_days = limits.keep_history_days;
    let metrics = resolver.metrics(files().filter_map(|(file, keys)| Some((file, keys.metrics.as_ref()?))));
    let owner = resolver.owner(files().filter_map(|(file, keys)| Some((file, keys.capacity.as_ref()?))));
    let prices = resolver.prices(files().filter_map(|(file, keys)| Some((file, keys.prices.as_ref()?))));
    let budget =
        resolver.fleet_budget(files().filter_map(|(file, keys)| Some((file, keys.budget.as_ref()?))));
    for (file, keys) in files() {
        resolver.owners(file, keys);
    }
    for (file, keys) in files() {
        for TableEntry { name, value } in keys.calendars.iter().flat_map(|table| &table.value.0) {
            let value = value.as_ref().and_then(|keys| resolver.calendar(file, name, keys));
            resolver.define("calendar", file, name, value, |resolver| &mut resolver.calendars);
        }
    }
    for (file, keys) in files() {
        for TableEntry { name, value } in keys.windows.iter().flat_map(|table| &table.value.0) {
            let value = value.as_ref().map(|window| &window.0);
            let valid = value
                .filter(|keys| resolver.check_window_keys(file, keys, LoadForm::Whole))
                .map(|keys| (file, keys));
            resolver.define("window", file, name, valid, |resolver| &mut resolver.windows);
        }
    }
    let no_defaults = Defaults::default();
    let pipelines = |keys: &'a FileKeys| keys.pipelines.iter().flat_map(|table| &table.value.0);
    let staged = files().flat_map(|(_, keys)| pipelines(keys)).filter_map(|entry| entry.value.as_ref());
    resolver.staged = staged.flat_map(|keys| keys.functions().map(without_latest)).collect();
    let mut with_pipelines = Vec::new();
    for (file, keys) in files() {
        let defaults = keys.defaults.as_ref().map_or(&no_defaults, |at| &at.value);
        let defaults = resolver.defaults(file, defaults);
        for entry in keys.functions.iter().flat_map(|table| &table.value.0) {
            resolver.function(file, &defaults, entry);
        }
        if keys.pipelines.is_some() {
            with_pipelines.push((file, keys, defaults));
        }
    }
    if !with_pipelines.is_empty() {
        let by_name = resolver.functions_by_name();
        for (file, keys, defaults) in &with_pipelines {
            for entry in pipelines(keys) {
                resolver.pipeline(*file, defaults, &by_name, entry);
            }
        }
        resolver.check_pipeline_names();
        resolver.settle_strategies();
        resolver.share_minutes();
    }
    resolver.check_round_sizes(limits);
    let mut warnings = resolver.unused();
    warnings.extend(resolver.owners_without_functions());
    warnings.extend(resolver.objectives_without_alarms());
    warnings.append(&mut resolver.stage_warnings);
    warnings.extend(resolver.duplicates());
    warnings.extend(resolver.beyond_quotas());
    let hash = sources::hash(sources, &resolver.attachments);
    let mut budgets: BTreeMap<Scope, Location> = BTreeMap::new();
    budgets.extend(budget.map(|(_, location)| (Scope::Fleet, location)));
    let mut owner_budgets = BTreeMap::new();
    for (name, owner) in std::mem::take(&mut resolver.owners) {
        budgets.insert(Scope::Owner(name.to_owned()), owner.location);
        owner_budgets.extend(owner.value.map(|budget| (name.to_owned(), budget)));
    }
    let kept = |region: Region| filter.is_none_or(|regions| regions.contains(&region));
    let variables = std::mem::take(&mut resolver.variables);
    // They take memory that the fleet needs.
    drop(resolver.identities);
    let mut locations = Vec::new();
    let kept_targets = resolver.targets.into_iter().filter(|(target, _)| kept(target.region()));
    // Vectors are collected in place, without a copy of all targets.
    let targets = kept_targets.map(|(target, own)| {
        locations.push(own);
        target
    });
    let targets = targets.collect();
    let pipelines = resolver.pipelines.into_iter().filter(|pipeline| kept(pipeline.region)).collect();
    let calendars = resolver
        .calendars
        .into_values()
        .filter_map(|named| Some(Calendar { set: named.value?, location: named.location, used: named.used }))
        .collect();
    Assembled {
        fleet: Fleet {
            targets,
            pipelines,
            limits,
            metrics,
            owner,
            budget: budget.map(|(budget, _)| budget),
            owner_budgets,
            prices,
            hash,
        },
        calendars,
        locations,
        budgets,
        warnings,
        variables,
    }
}

impl<'a> Resolver<'a, '_> {
    fn source(&self, location: Location) -> &'a SourceText<'a> {
        self.sources.get(location.file).expect("locations have indices of these sources")
    }

    /// Creates an error.
    fn error(&self, location: Location, message: impl Into<String>) -> Problem {
        if self.problems.is_full() {
            return Problem::placeholder();
        }
        Problem::error(self.source(location), location.span, message)
    }

    /// Reports a problem. Returns `None`, for functions that end with it.
    fn reject<T>(&mut self, problem: Problem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    /// Reports an error with a hint. Returns `None`, for functions that end with it.
    fn fail<T>(&mut self, location: Location, message: impl Into<String>, hint: &str) -> Option<T> {
        self.reject(self.error(location, message).hint(hint))
    }

    /// Reports two keys of a map that exclude each other.
    fn conflict(&mut self, file: usize, first: (&str, Span), second: (&str, Span), hint: &str) {
        let message = format!("\"{}\" cannot be used with \"{}\"", second.0, first.0);
        let problem = self.error(Location { file, span: second.1 }, message).hint(hint);
        self.reject::<()>(problem.related(self.position(Location { file, span: first.1 })));
    }

    fn position(&self, location: Location) -> Position {
        self.error(location, "").position
    }

    /// Adds a definition. Reports a second one of the same name.
    fn define<T>(
        &mut self,
        kind: &str,
        file: usize,
        name: &'a At<String>,
        value: Option<T>,
        table: impl Fn(&mut Self) -> &mut BTreeMap<&'a str, Definition<T>>,
    ) {
        let location = Location { file, span: name.span };
        match table(self).get(name.value.as_str()).map(|first| first.location) {
            None => {
                table(self).insert(&name.value, Definition { location, value, used: false });
            }
            Some(first) => {
                let hint = match kind {
                    "owner" => "remove one of the two: all files share the owners",
                    _ => {
                        "rename one of the two: all files share the names of calendars, windows and pipelines"
                    }
                };
                let problem = self
                    .error(location, format!("duplicate {kind} {}", quoted(&name.value)))
                    .hint(hint)
                    .related(self.position(first));
                self.reject::<()>(problem);
            }
        }
    }

    /// Returns the value of a key that is allowed in one file only.
    fn single<'k, T>(
        &mut self,
        key: &str,
        mut given: impl Iterator<Item = (usize, &'k At<T>)>,
    ) -> Option<&'k T>
    where
        T: 'k,
    {
        let (file, first) = given.next()?;
        let related = self.position(Location { file, span: first.span });
        for (file, second) in given {
            let problem = self
                .error(
                    Location { file, span: second.span },
                    format!("duplicate key {} in a second file", quoted(key)),
                )
                .hint("keep it in one file: it applies to the whole fleet")
                .related(related.clone());
            self.reject::<()>(problem);
        }
        Some(&first.value)
    }

    fn limits<'k>(&mut self, given: impl Iterator<Item = (usize, &'k At<LimitKeys>)>) -> Limits {
        let mut limits = Limits::default();
        if let Some(keys) = self.single("limits", given) {
            if let Some(max) = &keys.max_in_flight {
                limits.max_in_flight = max.value.0;
            }
            if let Some(share) = &keys.account_share {
                limits.account_share = share.value.0;
            }
            if let Some(free) = &keys.leave_free {
                limits.leave_free = free.value.0;
            }
            if let Some(sign) = &keys.sign {
                limits.wire.sign = sign.value;
            }
            if let Some(http) = &keys.http {
                limits.wire.http = http.value;
            }
            if let Some(keep) = &keys.keep_history {
                limits.keep_history_days = keep.value.days();
            }
        }
        limits
    }

    fn metrics<'k>(&mut self, given: impl Iterator<Item = (usize, &'k At<MetricKeys>)>) -> MetricsSettings {
        let mut metrics = MetricsSettings::default();
        if let Some(keys) = self.single("metrics", given) {
            if let Some(namespace) = &keys.namespace {
                metrics.namespace.clone_from(&namespace.value.0);
            }
            if let Some(detail) = &keys.detail {
                metrics.detail = detail.value;
            }
        }
        metrics
    }

    /// Reports numbers above the maximum of a function, and rounds above the cap. A round is sent whole, so these could
    /// never be sent.
    fn check_round_sizes(&mut self, limits: Limits) {
        // A number of a pipeline is noted in each of its regions.
        let mut reported = HashSet::new();
        let cap = Max { key: "limits.max_in_flight", value: limits.max_in_flight, location: None };
        for RoundSize { location, concurrency, spare, capacity, of } in std::mem::take(&mut self.round_sizes)
        {
            let number = concurrency.saturating_add(spare);
            let limits = [capacity.max, Some(cap).filter(|_| capacity.may_ping())];
            for max in limits.into_iter().flatten().filter(|max| number > max.value) {
                let one = if concurrency == 1 { "environment" } else { "environments" };
                let spare = if spare > 0 { format!(" and {spare} spare ones") } else { String::new() };
                let of = of.as_ref().map(|stage| format!(" of {}", quoted(stage))).unwrap_or_default();
                let message =
                    format!("{concurrency} {one}{of}{spare} exceed \"{}\" ({})", max.key, max.value);
                if !reported.insert((location, message.clone())) {
                    continue;
                }
                let mut problem = self.error(location, message).hint(max.hint(number));
                if let Some(location) = max.location {
                    problem = problem.related(self.position(location));
                }
                self.reject::<()>(problem);
            }
        }
    }
}
