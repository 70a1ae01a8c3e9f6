//! Windows: the keys under a function, over those of a named window.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::reader::At;
use super::super::values::{Lead, List, Name};
use super::super::wire::{LoadKeys, MOST_CONCURRENCY, WindowKeys};
use super::{Capacity, Location, Resolver, RoundSize, memory};
use crate::domain::calendar::{DateSet, Opening, Window};
use crate::domain::capacity::REQUESTS_PER_ENVIRONMENT;
use crate::domain::function::Region;
use crate::domain::parse::{did_you_mean, quoted};

/// The settings of a function or a pipeline that its windows use.
pub(super) struct Context<'c> {
    pub file: usize,
    /// The regions of the function or pipeline; empty when they have errors.
    pub regions: &'c [Region],
    /// The number of copies of each window: those of a function are its regions, times its tenants.
    pub copies: usize,
    pub zone: Option<Tz>,
    /// The lead of the function or pipeline, in minutes, if given.
    pub lead: Option<u32>,
    pub of: Of<'c>,
}

/// The owner of a window.
#[derive(Clone, Copy)]
pub(super) enum Of<'c> {
    /// A function.
    Function { spare: u32, capacity: Capacity },
    /// The pipeline of this name. Its windows have a load; their numbers are those of its stages.
    Pipeline(&'c Arc<str>),
}

impl Of<'_> {
    fn noun(self) -> &'static str {
        match self {
            Self::Function { .. } => "function",
            Self::Pipeline(_) => "pipeline",
        }
    }
}

/// The form of a load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadForm {
    /// The number of environments follows from the load.
    Whole,
    /// The rate of requests of a pipeline.
    RateOnly,
}

/// A window with its location.
pub(super) struct LocatedWindow {
    /// The window. That of a pipeline has no number and no lead yet.
    pub window: Window,
    /// The regions of the window; `None` for all of the function's or pipeline's.
    pub regions: Option<Vec<Region>>,
    pub location: Location,
    /// The location of the number or the load.
    pub number_at: Location,
    /// The requests per second of a pipeline; 0 for a window of a function.
    pub requests_per_second: Decimal,
    /// The lead in minutes, if given.
    pub lead: Option<u32>,
}

impl LocatedWindow {
    /// Returns `true` when the window applies to a region of the function.
    pub(super) fn is_in(&self, region: Region) -> bool {
        self.regions.as_ref().is_none_or(|regions| regions.contains(&region))
    }
}

/// The keys of a window over those of the named window that it uses, each with the index of its file.
struct Layers<'k> {
    own: (usize, &'k WindowKeys),
    named: Option<(usize, &'k WindowKeys)>,
}

impl<'k> Layers<'k> {
    /// Returns the value of a key with its location.
    fn pick<T>(&self, key: impl Fn(&'k WindowKeys) -> &'k Option<At<T>>) -> Option<(Location, &'k T)> {
        let find = |(file, keys): (usize, &'k WindowKeys)| {
            key(keys).as_ref().map(|at| (Location { file, span: at.span }, &at.value))
        };
        find(self.own).or_else(|| self.named.and_then(find))
    }

    /// Returns the value of a key, without the named window's if `own_only`.
    fn pick_from<T>(
        &self,
        own_only: bool,
        key: impl Fn(&'k WindowKeys) -> &'k Option<At<T>>,
    ) -> Option<(Location, &'k T)> {
        Self { own: self.own, named: self.named.filter(|_| !own_only) }.pick(key)
    }

    /// Returns a duration in minutes; 0 without one.
    fn minutes(&self, key: impl Fn(&'k WindowKeys) -> &'k Option<At<Lead>>) -> TimeDelta {
        minutes(self.pick(key).map_or(0, |(_, lead)| lead.minutes()))
    }
}

fn minutes(count: u32) -> TimeDelta {
    TimeDelta::minutes(i64::from(count))
}

impl<'a> Resolver<'a, '_> {
    /// Checks the keys of one window by themselves. Returns `false` after it has reported an error.
    pub(super) fn check_window_keys(&mut self, file: usize, keys: &WindowKeys, form: LoadForm) -> bool {
        let before = self.problems.count();
        let days = keys.days.as_ref().map(|at| ("days", at.span));
        let dates = keys.dates.as_ref().map(|at| ("dates", at.span));
        let cron = keys.cron.as_ref().map(|at| ("cron", at.span));
        let openings: Vec<_> = [days, dates, cron].into_iter().flatten().collect();
        if let [first, second, ..] = openings.as_slice() {
            let hint = "define two windows: where they overlap, the higher number applies";
            self.conflict(file, *first, *second, hint);
        }
        if let (Some(cron), Some(hours)) = (cron, &keys.hours) {
            self.conflict(
                file,
                cron,
                ("hours", hours.span),
                "set `for`: the time that the window stays open",
            );
        }
        if let (Some(open_for), Some(first)) = (&keys.r#for, days.or(dates)) {
            self.conflict(file, first, ("for", open_for.span), "set `hours`: they close the window");
        }
        if form == LoadForm::RateOnly {
            self.check_rate_only(file, keys);
        } else if let (Some(concurrency), Some(load)) = (&keys.concurrency, &keys.load) {
            let concurrency = ("concurrency", concurrency.span);
            self.conflict(file, concurrency, ("load", load.span), "remove one of the two");
        }
        if form == LoadForm::Whole
            && let Some(load) = keys.load.as_ref().filter(|load| !load.value.has_errors)
            && let Err((message, hint)) = environments(&load.value)
        {
            self.fail::<()>(Location { file, span: load.span }, message, hint);
        }
        if let (Some(first), Some(last)) = (&keys.from, &keys.through) {
            self.check_order(file, first, last);
        }
        if let Some(regions) = &keys.regions {
            self.check_distinct(file, "region", &regions.value);
        }
        let mut valid = !keys.has_errors;
        for names in [&keys.only, &keys.except].into_iter().flatten() {
            valid &= self.use_calendars(file, &names.value);
        }
        valid && self.problems.count() == before
    }

    /// Reports keys of a window that pipelines do not have, because the numbers are those of their stages.
    fn check_rate_only(&mut self, file: usize, keys: &WindowKeys) {
        let concurrency = keys.concurrency.as_ref().map(|at| ("concurrency", at.span));
        let load = keys.load.as_ref().map(|at| &at.value);
        let duration = load.and_then(|load| Some(("duration", load.duration.as_ref()?.span)));
        let each = load.and_then(|load| Some(("per_environment", load.per_environment.as_ref()?.span)));
        for (key, span) in [concurrency, duration, each].into_iter().flatten() {
            let hint = match key {
                "concurrency" => {
                    "write `load: { requests_per_second: 50 }`: each stage has a number of its own"
                }
                _ => "remove it: the number of a stage is `requests_per_second` ÷ its `rate`",
            };
            let message = format!("\"{key}\" cannot be used in a pipeline");
            self.fail::<()>(Location { file, span }, message, hint);
        }
    }

    /// Reports the first duplicate in a list of regions or tenants.
    pub(super) fn check_distinct<T>(&mut self, file: usize, kind: &str, list: &List<T>)
    where
        T: Eq + std::hash::Hash + ToString,
    {
        let mut seen = HashSet::new();
        if let Some(At { value, span }) = list.0.iter().find(|at| !seen.insert(&at.value)) {
            let message = format!("duplicate {kind} {}", quoted(&value.to_string()));
            self.fail::<()>(Location { file, span: *span }, message, "remove one of the two");
        }
    }

    /// Marks calendars as used. Returns `false` when one is unknown or has errors.
    fn use_calendars(&mut self, file: usize, names: &List<Name>) -> bool {
        let mut valid = true;
        for At { value: Name(name), span } in &names.0 {
            if let Some(calendar) = self.calendars.get_mut(name.as_str()) {
                calendar.used = true;
                valid &= calendar.value.is_some();
            } else {
                self.unknown::<()>("calendar", name, Location { file, span: *span });
                valid = false;
            }
        }
        valid
    }

    /// Reports the name of a calendar or a window that is not defined.
    fn unknown<T>(&mut self, kind: &str, name: &str, location: Location) -> Option<T> {
        if self.problems.is_full() {
            return self.reject(super::Problem::placeholder());
        }
        // The search takes time, and there may be any number of names.
        const CONSIDERED: usize = 1_000;
        const SHOWN: usize = 8;
        let known: Vec<&str> = match kind {
            "calendar" => self.calendars.keys().copied().take(CONSIDERED).collect(),
            _ => self.windows.keys().copied().take(CONSIDERED).collect(),
        };
        let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(|| {
            let shown = known.get(..SHOWN.min(known.len())).unwrap_or_default().join(", ");
            match known.len() {
                0 => format!("define it under `{kind}s`"),
                1..=SHOWN => format!("define it under `{kind}s`, or use one of {shown}"),
                _ => format!("define it under `{kind}s`, or use one of {shown}, …"),
            }
        });
        self.fail(location, format!("unknown {kind} {}", quoted(name)), &hint)
    }

    /// Resolves one window of a function or a pipeline. Returns `None` for a window that is disabled, and after it has
    /// reported an error.
    pub(super) fn window(
        &mut self,
        context: &Context<'_>,
        index: usize,
        at: &At<WindowKeys>,
    ) -> Option<LocatedWindow> {
        let own = &at.value;
        let location = Location { file: context.file, span: at.span };
        let form = match context.of {
            Of::Function { .. } => LoadForm::Whole,
            Of::Pipeline(_) => LoadForm::RateOnly,
        };
        let valid = self.check_window_keys(context.file, own, form);
        let named = match &own.r#use {
            None => None,
            Some(At { value: Name(name), span }) => {
                let location = Location { file: context.file, span: *span };
                let Some(named) = self.windows.get_mut(name.as_str()) else {
                    return self.unknown("window", name, location);
                };
                named.used = true;
                Some(named.value?)
            }
        };
        let layers = Layers { own: (context.file, own), named };
        let bytes = memory::of_window(own, named.map(|(_, keys)| keys));
        if !self.reserve_memory(location, bytes.saturating_mul(context.copies)) {
            return None;
        }
        let opening = self.opening(&layers, location);
        let number = match context.of {
            Of::Function { capacity, .. } => self.number(&layers, location, capacity),
            Of::Pipeline(_) => self.rate(own, location),
        };
        let regions = self.window_regions(&layers, location, context);
        if valid && layers.named.is_some() {
            self.check_merged_order(&layers)?;
        }
        let (opening, number, regions) = (opening?, number?, regions?);
        let Number { concurrency, load_needs, requests_per_second, location: number_at } = number;
        if !valid || layers.pick(|keys| &keys.enabled).is_some_and(|(_, enabled)| !enabled) {
            return None;
        }
        let mut label =
            own.r#use.as_ref().map_or_else(|| format!("windows[{index}]"), |name| name.value.0.clone());
        let zone = layers.pick(|keys| &keys.timezone).map(|(_, zone)| zone.0).or(context.zone);
        let lead = layers.pick(|keys| &keys.lead).map(|(_, lead)| lead.minutes()).or(context.lead);
        let default_lead = match context.of {
            Of::Function { spare, capacity } => {
                let size = RoundSize { location: number_at, concurrency, spare, capacity, of: None };
                self.round_sizes.push(size);
                capacity.default_lead(concurrency.saturating_add(spare))
            }
            Of::Pipeline(name) => {
                label = format!("{name}: {label}");
                0
            }
        };
        let window = Window {
            label,
            zone: zone.unwrap_or(Tz::UTC),
            opening,
            only: self.calendar_sets(layers.pick(|keys| &keys.only)),
            except: self.calendar_sets(layers.pick(|keys| &keys.except)),
            from: layers.pick(|keys| &keys.from).map(|(_, date)| date.0),
            through: layers.pick(|keys| &keys.through).map(|(_, date)| date.0),
            concurrency,
            lead: minutes(lead.unwrap_or(default_lead)),
            ramp_up: layers.minutes(|keys| &keys.ramp_up),
            ramp_down: layers.minutes(|keys| &keys.ramp_down),
            load_needs,
            pipeline: None,
        };
        Some(LocatedWindow { window, regions, location, number_at, requests_per_second, lead })
    }

    /// Reports a range whose last day is before its first, where the two come from different layers of one file.
    fn check_merged_order(&mut self, layers: &Layers<'_>) -> Option<()> {
        let from = layers.pick(|keys| &keys.from);
        let through = layers.pick(|keys| &keys.through);
        let (Some((from, first)), Some((through, last))) = (from, through) else { return Some(()) };
        if from.file != through.file {
            return Some(());
        }
        let (first, last) = (At { value: *first, span: from.span }, At { value: *last, span: through.span });
        self.check_order(from.file, &first, &last)
    }

    fn calendar_sets(&self, names: Option<(Location, &List<Name>)>) -> Vec<Arc<DateSet>> {
        let names = names.map(|(_, names)| names.0.as_slice()).unwrap_or_default();
        names.iter().filter_map(|name| self.calendars.get(name.value.0.as_str())?.value.clone()).collect()
    }

    /// Returns the openings of a window. Conflicts within one layer have been reported by
    /// [`Resolver::check_window_keys`].
    fn opening(&mut self, layers: &Layers<'_>, location: Location) -> Option<Opening> {
        let own = layers.own.1;
        // Another kind of opening replaces that of the named window with all its keys.
        let by_cron = own.cron.is_some();
        let by_days = own.days.is_some() || own.dates.is_some();
        let days = layers.pick_from(by_cron || by_days, |keys| &keys.days);
        let dates = layers.pick_from(by_cron || by_days, |keys| &keys.dates);
        let cron = layers.pick_from(by_cron || by_days, |keys| &keys.cron);
        let hours = layers.pick_from(by_cron, |keys| &keys.hours);
        let open_for = layers.pick_from(by_days, |keys| &keys.r#for);
        let (location, message, hint) = match (cron, days.is_some() || dates.is_some(), hours, open_for) {
            (Some(_), _, Some((location, _)), _) => {
                layers.named?;
                let hint = "set `for` instead: the named window opens by `cron`";
                (location, "\"hours\" cannot be used with \"cron\"", hint)
            }
            (Some((_, cron)), _, None, Some((_, open_for))) => {
                return Some(Opening::Cron(cron.0.clone(), minutes(open_for.minutes())));
            }
            (Some(_), _, None, None) => (
                location,
                "missing key \"for\"",
                "add the time that the window stays open, such as `for: 2h`",
            ),
            (None, true, _, Some((location, _))) => {
                layers.named?;
                let hint = "set `hours` instead: the named window opens by days";
                (location, "\"for\" requires \"cron\"", hint)
            }
            (None, true, Some((_, hours)), None) => {
                return match (days, dates) {
                    (Some((_, days)), _) => Some(Opening::Weekly(days.0, hours.0)),
                    (None, dates) => {
                        let dates: BTreeSet<_> = dates?.1.0.iter().map(|date| date.value.0).collect();
                        Some(Opening::Dates(dates, hours.0))
                    }
                };
            }
            (None, true, None, None) => {
                (location, "missing key \"hours\"", "add `hours: all-day` for midnight to midnight")
            }
            (None, false, Some(_), _) => {
                (location, "missing key \"days\"", "add `days: daily` for every day")
            }
            (None, false, None, Some(_)) => {
                let hint = "add the openings, such as `cron: \"30 7 * * mon-fri\"` for 07:30 on working days";
                (location, "missing key \"cron\"", hint)
            }
            (None, false, None, None) => {
                let hint = "add `days` and `hours`, or `dates` and `hours`, or `cron` and `for`";
                (location, "the window has no openings", hint)
            }
        };
        if own.has_errors { None } else { self.fail(location, message, hint) }
    }

    /// Returns the number of environments of a window.
    fn number(&mut self, layers: &Layers<'_>, location: Location, capacity: Capacity) -> Option<Number> {
        let own = layers.own.1;
        let own_only = own.concurrency.is_some() || own.load.is_some();
        if let Some((at, concurrency)) = layers.pick_from(own_only, |keys| &keys.concurrency) {
            return Some(Number { concurrency: concurrency.0, location: at, ..Number::of(location) });
        }
        match layers.pick_from(own_only, |keys| &keys.load) {
            Some((location, load)) => {
                // Errors of a load have been reported by `check_window_keys`.
                let needs = environments(load).ok()?;
                let least = if capacity.is_provisioned() { environments_by_rate(load) } else { Some(0) };
                let Some(least) = least else {
                    let message = format!("the load needs more than {MOST_CONCURRENCY} environments");
                    let hint = format!(
                        "lower the rate: a provisioned environment serves {REQUESTS_PER_ENVIRONMENT} requests a second"
                    );
                    return self.fail(location, message, &hint);
                };
                let load_needs = Some(needs).filter(|needs| least > *needs);
                Some(Number { concurrency: needs.max(least), load_needs, ..Number::of(location) })
            }
            None if own.has_errors => None,
            None => self.fail(location, "missing key \"concurrency\"", "add `concurrency`, or `load`"),
        }
    }

    /// Returns the load of a window of a pipeline: its own, not that of the named window.
    fn rate(&mut self, own: &WindowKeys, location: Location) -> Option<Number> {
        let Some(load) = &own.load else {
            let hint = "add the load of the pipeline, such as `load: { requests_per_second: 50 }`";
            let has_errors = own.has_errors || own.concurrency.is_some();
            return if has_errors { None } else { self.fail(location, "missing key \"load\"", hint) };
        };
        // A missing rate has been reported.
        let requests_per_second = load.value.requests_per_second.as_ref()?.value.0;
        Some(Number { requests_per_second, ..Number::of(Location { file: location.file, span: load.span }) })
    }

    /// Returns the regions of a window; the inner `None` is all regions of the function.
    #[expect(clippy::option_option, reason = "an error, all regions, or some")]
    fn window_regions(
        &mut self,
        layers: &Layers<'_>,
        location: Location,
        context: &Context<'_>,
    ) -> Option<Option<Vec<Region>>> {
        let Some((at, list)) = layers.pick(|keys| &keys.regions) else {
            return Some(None);
        };
        let before = self.problems.count();
        for region in &list.0 {
            if !context.regions.is_empty() && !context.regions.contains(&region.value) {
                let own = layers.own.1.regions.is_some();
                let location = if own { Location { file: at.file, span: region.span } } else { location };
                let names: Vec<&str> = context.regions.iter().map(|region| region.as_str()).collect();
                let noun = context.of.noun();
                let hint = format!("use some of the {noun}'s regions: {}", names.join(", "));
                self.fail::<()>(location, format!("the {noun} is not in {}", region.value), &hint);
            }
        }
        let regions = list.0.iter().map(|region| region.value).collect();
        (self.problems.count() == before).then_some(Some(regions))
    }
}

/// The number of environments of a window.
struct Number {
    concurrency: u32,
    /// The number that the load alone needs, if the rate of requests needs more.
    load_needs: Option<u32>,
    /// The load of a pipeline, whose stages have numbers of their own; 0 otherwise.
    requests_per_second: Decimal,
    location: Location,
}

impl Number {
    /// Returns 1 at a location.
    fn of(location: Location) -> Self {
        Self { concurrency: 1, load_needs: None, requests_per_second: Decimal::ZERO, location }
    }
}

/// Returns the provisioned environments that the rate of a load needs; `None` above the maximum.
fn environments_by_rate(load: &LoadKeys) -> Option<u32> {
    let rate = load.requests_per_second.as_ref()?.value.0;
    let count = rate.checked_div(REQUESTS_PER_ENVIRONMENT.into())?.ceil().to_u32()?;
    Some(count).filter(|count| *count <= MOST_CONCURRENCY)
}

/// Returns the number of environments that a load keeps busy.
fn environments(load: &LoadKeys) -> Result<u32, (String, &'static str)> {
    const FORMS: &str = "write `{ requests_per_second: 50, duration: 200ms }` or \
                         `{ requests_per_second: 50, per_environment: 5 }`";
    let Some(rate) = load.requests_per_second.as_ref().map(|at| at.value.0) else {
        return Err(("missing key \"requests_per_second\"".to_owned(), FORMS));
    };
    let busy = match (&load.duration, &load.per_environment) {
        // Little's law: concurrent requests = arrivals a second × seconds each.
        (Some(duration), None) => {
            let ms = Decimal::from(u64::try_from(duration.value.0.as_millis()).unwrap_or(u64::MAX));
            rate.checked_mul(ms).and_then(|product| product.checked_div(Decimal::ONE_THOUSAND))
        }
        (None, Some(each)) => rate.checked_div(each.value.0),
        (Some(_), Some(_)) => {
            return Err(("\"per_environment\" cannot be used with \"duration\"".to_owned(), FORMS));
        }
        (None, None) => {
            return Err(("missing key \"duration\" or \"per_environment\"".to_owned(), FORMS));
        }
    };
    match busy.and_then(|busy| busy.ceil().to_u32()) {
        Some(count) if (1..=MOST_CONCURRENCY).contains(&count) => Ok(count),
        _ => Err((
            format!("the load needs more than {MOST_CONCURRENCY} environments"),
            "check the units of the rate and of `duration`",
        )),
    }
}
