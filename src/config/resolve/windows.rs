//! Windows: the keys under a function, laid over those of a named window.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::quantity::{Lasting, Positive};
use super::super::reader::{At, quoted};
use super::super::values::{List, Name};
use super::super::wire::{LoadKeys, MOST_CONCURRENCY, WindowKeys};
use super::functions::Context;
use super::{Demand, Mark, Resolver, weight};
use crate::domain::calendar::{DateSet, Opening, Window};
use crate::domain::function::{Region, nearest};

/// A window, and what of it is not the window's own.
pub(super) struct Resolved {
    pub window: Window,
    /// The regions that it is for; none for all.
    pub regions: Option<Vec<Region>>,
    pub mark: Mark,
}

/// The keys of a window over those of the named one that it takes up, each with the file they stand in.
struct Layers<'k> {
    own: (usize, &'k WindowKeys),
    named: Option<(usize, &'k WindowKeys)>,
}

impl<'k> Layers<'k> {
    /// The key's value, and where it stands.
    fn pick<T>(&self, key: impl Fn(&'k WindowKeys) -> &'k Option<At<T>>) -> Option<(Mark, &'k T)> {
        let find = |(file, keys): (usize, &'k WindowKeys)| {
            key(keys).as_ref().map(|at| (Mark { file, span: at.span }, &at.value))
        };
        find(self.own).or_else(|| self.named.and_then(find))
    }

    /// The same for a key that the named window does not lend when the own layer says `instead` of it.
    fn pick_unless<T>(
        &self,
        instead: bool,
        key: impl Fn(&'k WindowKeys) -> &'k Option<At<T>>,
    ) -> Option<(Mark, &'k T)> {
        let layers = Self { own: self.own, named: self.named.filter(|_| !instead) };
        layers.pick(key)
    }
}

impl<'a> Resolver<'a, '_> {
    /// Checks what can be checked of the keys of one window by themselves. Whether nothing is wrong with them.
    pub(super) fn layer(&mut self, file: usize, keys: &WindowKeys) -> bool {
        let mut sound = !keys.flawed;
        let mark = |span| Mark { file, span };
        let selectors = [
            ("days", keys.days.as_ref().map(|at| at.span)),
            ("dates", keys.dates.as_ref().map(|at| at.span)),
            ("cron", keys.cron.as_ref().map(|at| at.span)),
        ];
        let given: Vec<_> = selectors.iter().filter_map(|(name, span)| Some((name, (*span)?))).collect();
        if let [(first, _), (second, span), ..] = given.as_slice() {
            let problem = self
                .error(mark(*span), format!("`{first}` and `{second}` exclude each other"))
                .hint("make two windows: where they overlap, the higher number counts");
            self.problems.push(problem);
            sound = false;
        }
        if let (Some(_), Some(hours)) = (&keys.cron, &keys.hours) {
            let problem = self
                .error(mark(hours.span), "`hours` does not go with `cron`")
                .hint("with `cron`, `for` says how long the window stays open");
            self.problems.push(problem);
            sound = false;
        }
        if let (Some(open_for), true) = (&keys.r#for, keys.days.is_some() || keys.dates.is_some()) {
            let problem = self
                .error(mark(open_for.span), "`for` goes with `cron` only")
                .hint("with `days` or `dates`, `hours` says when the window closes");
            self.problems.push(problem);
            sound = false;
        }
        if let (Some(concurrency), Some(load)) = (&keys.concurrency, &keys.load) {
            let problem = self
                .error(mark(load.span), "`concurrency` and `load` exclude each other")
                .hint("keep the one that is meant")
                .related(self.place(mark(concurrency.span)));
            self.problems.push(problem);
            sound = false;
        }
        if let Some(load) = keys.load.as_ref().filter(|load| !load.value.flawed)
            && let Err((message, hint)) = environments(&load.value)
        {
            let problem = self.error(mark(load.span), message).hint(hint);
            self.problems.push(problem);
            sound = false;
        }
        if let (Some(first), Some(last)) = (&keys.from, &keys.through) {
            sound &= self.in_order(file, first, last).is_some();
        }
        if let Some(regions) = &keys.regions {
            sound &= self.distinct(file, &regions.value);
        }
        for names in [&keys.only, &keys.except].into_iter().flatten() {
            sound &= self.calendars_exist(file, &names.value);
        }
        sound
    }

    /// Reports regions that stand in a list twice.
    pub(super) fn distinct(&mut self, file: usize, regions: &List<Region>) -> bool {
        let mut seen = Vec::new();
        for region in &regions.0 {
            if seen.contains(&region.value) {
                let mark = Mark { file, span: region.span };
                let problem = self.error(mark, format!("{} stands in the list twice", region.value));
                self.problems.push(problem);
                return false;
            }
            seen.push(region.value);
        }
        true
    }

    fn calendars_exist(&mut self, file: usize, names: &List<Name>) -> bool {
        let mut sound = true;
        for At { value: Name(name), span } in &names.0 {
            if let Some(calendar) = self.calendars.get_mut(name.as_str()) {
                calendar.used = true;
                sound &= calendar.value.is_some();
                continue;
            }
            let problem =
                self.unknown("calendar", name, Mark { file, span: *span }, self.calendars.keys().copied());
            self.problems.push(problem);
            sound = false;
        }
        sound
    }

    fn unknown<'n>(
        &self,
        what: &str,
        name: &str,
        mark: Mark,
        known: impl Iterator<Item = &'n str>,
    ) -> super::Problem {
        if self.problems.is_full() {
            return super::Problem::counted();
        }
        // Enough to guess from, and to be quick with any number of names.
        const CONSIDERED: usize = 1_000;
        let known: Vec<&str> = known.take(CONSIDERED).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("define it under `{what}s`"),
            None => format!("define it under `{what}s`; known are {}", shortened(&known)),
        };
        self.error(mark, format!("unknown {what} {}", quoted(name))).hint(hint)
    }

    /// One window of a function. None when something is wrong with it (that has been reported), or when it is not
    /// enabled.
    pub(super) fn window(
        &mut self,
        context: &Context<'_>,
        index: usize,
        at: &'a At<WindowKeys>,
    ) -> Option<Resolved> {
        let own = &at.value;
        let mark = Mark { file: context.file, span: at.span };
        let sound = self.layer(context.file, own);
        let named = match &own.r#use {
            None => None,
            Some(At { value: Name(name), span }) => {
                Some(self.named(name, Mark { file: context.file, span: *span })??)
            }
        };
        let layers = Layers { own: (context.file, own), named };
        let weight = weight::of_window(own, named.map(|(_, keys)| keys));
        if !self.bear(mark, weight.saturating_mul(context.regions.len())) {
            return None;
        }
        let opening = self.opening(&layers, mark, own.flawed);
        let concurrency = self.concurrency(&layers, mark, own.flawed);
        let regions = self.window_regions(&layers, mark, context);
        if let (Some((first_mark, first)), Some((last_mark, last))) =
            (layers.pick(|keys| &keys.from), layers.pick(|keys| &keys.through))
            && first_mark.file == last_mark.file
            && layers.named.is_some()
            && sound
        {
            let (first, last) =
                (At { value: *first, span: first_mark.span }, At { value: *last, span: last_mark.span });
            self.in_order(first_mark.file, &first, &last)?;
        }
        let (opening, (concurrency, asked), regions) = (opening?, concurrency?, regions?);
        if !sound || layers.pick(|keys| &keys.enabled).is_some_and(|(_, flag)| !flag.0) {
            return None;
        }
        self.demands.push(Demand { mark: asked, concurrency, spare: context.spare });
        let minutes = |key: Option<(Mark, &Lasting<0, 86_400_000, 60_000>)>| {
            key.map_or(0, |(_, lasting)| lasting.minutes())
        };
        let delta = |minutes: u32| TimeDelta::minutes(i64::from(minutes));
        let calendars = |resolver: &Self, names: Option<(Mark, &List<Name>)>| -> Vec<Arc<DateSet>> {
            let names = names.map(|(_, names)| names.0.as_slice()).unwrap_or_default();
            names
                .iter()
                .filter_map(|name| resolver.calendars.get(name.value.0.as_str())?.value.clone())
                .collect()
        };
        let window = Window {
            label: own
                .r#use
                .as_ref()
                .map_or_else(|| format!("windows[{index}]"), |name| name.value.0.clone()),
            zone: layers
                .pick(|keys| &keys.timezone)
                .map(|(_, zone)| zone.0)
                .or(context.zone)
                .unwrap_or(Tz::UTC),
            opening,
            only: calendars(self, layers.pick(|keys| &keys.only)),
            except: calendars(self, layers.pick(|keys| &keys.except)),
            from: layers.pick(|keys| &keys.from).map(|(_, date)| date.0),
            through: layers.pick(|keys| &keys.through).map(|(_, date)| date.0),
            concurrency,
            lead: delta(layers.pick(|keys| &keys.lead).map_or(context.lead, |(_, lead)| lead.minutes())),
            ramp_up: delta(minutes(layers.pick(|keys| &keys.ramp_up))),
            ramp_down: delta(minutes(layers.pick(|keys| &keys.ramp_down))),
        };
        Some(Resolved { window, regions, mark })
    }

    /// The named window of that name. The outer none: there is no such name, and that has been reported. The inner one:
    /// it is wrong itself.
    fn named(&mut self, name: &str, mark: Mark) -> Option<Option<(usize, &'a WindowKeys)>> {
        if let Some(named) = self.windows.get_mut(name) {
            named.used = true;
            return Some(named.value);
        }
        let problem = self.unknown("window", name, mark, self.windows.keys().copied());
        self.problems.push(problem);
        None
    }

    /// When the window opens. Keys of one layer that exclude each other were told where the layer was checked.
    fn opening(&mut self, layers: &Layers<'_>, mark: Mark, flawed: bool) -> Option<Opening> {
        let own = layers.own.1;
        // Another way of opening takes the place of the named window's whole way.
        let by_cron = own.cron.is_some();
        let by_days = own.days.is_some() || own.dates.is_some();
        let days = layers.pick_unless(by_cron || by_days, |keys| &keys.days);
        let dates = layers.pick_unless(by_cron || by_days, |keys| &keys.dates);
        let cron = layers.pick_unless(by_cron || by_days, |keys| &keys.cron);
        let hours = layers.pick_unless(by_cron, |keys| &keys.hours);
        let open_for = layers.pick_unless(by_days, |keys| &keys.r#for);
        let mut fail = |mark: Mark, message: &str, hint: &str| {
            if !flawed {
                let problem = self.error(mark, message).hint(hint);
                self.problems.push(problem);
            }
            None
        };
        if let Some((_, cron)) = cron {
            if let Some((at, _)) = hours {
                layers.named?;
                return fail(
                    at,
                    "`hours` does not go with `cron`",
                    "the named window opens by `cron`: give `for`",
                );
            }
            let Some((_, open_for)) = open_for else {
                return fail(
                    mark,
                    "the key `for` is missing",
                    "it says how long a window with `cron` stays open: `for: 2h`",
                );
            };
            let open_for = TimeDelta::minutes(i64::from(open_for.minutes()));
            return Some(Opening::Cron(cron.0.clone(), open_for));
        }
        if days.is_none() && dates.is_none() {
            let (message, hint) = match (hours, open_for) {
                (Some(_), _) => ("the key `days` is missing", "`days: daily` is every day"),
                (None, Some(_)) => (
                    "the key `cron` is missing",
                    "`cron: \"30 7 * * mon-fri\"` opens at 07:30 on working days",
                ),
                (None, None) => (
                    "the window does not say when it opens",
                    "give `days` and `hours`, or `dates` and `hours`, or `cron` and `for`",
                ),
            };
            return fail(mark, message, hint);
        }
        if let Some((at, _)) = open_for {
            layers.named?;
            return fail(at, "`for` goes with `cron` only", "the named window opens by days: give `hours`");
        }
        let Some((_, hours)) = hours else {
            return fail(mark, "the key `hours` is missing", "`hours: all-day` is midnight to midnight");
        };
        match (days, dates) {
            (Some((_, days)), _) => Some(Opening::Weekly(days.0, hours.0)),
            (None, Some((_, dates))) => {
                let dates: BTreeSet<_> = dates.0.iter().map(|date| date.value.0).collect();
                Some(Opening::Dates(dates, hours.0))
            }
            (None, None) => None,
        }
    }

    /// How many environments are wanted, and where that is said.
    fn concurrency(&mut self, layers: &Layers<'_>, mark: Mark, flawed: bool) -> Option<(u32, Mark)> {
        let own = layers.own.1;
        let told = own.concurrency.is_some() || own.load.is_some();
        if let Some((at, concurrency)) = layers.pick_unless(told, |keys| &keys.concurrency) {
            return Some((concurrency.0, at));
        }
        let Some((at, load)) = layers.pick_unless(told, |keys| &keys.load) else {
            if !flawed {
                let problem = self
                    .error(mark, "the window does not say how many environments to keep warm")
                    .hint("give `concurrency`, or `load`");
                self.problems.push(problem);
            }
            return None;
        };
        // What is wrong with a load was told where its layer was checked.
        environments(load).ok().map(|count| (count, at))
    }

    /// The regions that the window is for. The outer none: something is wrong.
    #[expect(clippy::option_option, reason = "wrong, for all regions, or for some")]
    fn window_regions(
        &mut self,
        layers: &Layers<'_>,
        mark: Mark,
        context: &Context<'_>,
    ) -> Option<Option<Vec<Region>>> {
        let Some((at, list)) = layers.pick(|keys| &keys.regions) else {
            return Some(None);
        };
        let mut sound = true;
        for region in &list.0 {
            if !context.regions.is_empty() && !context.regions.contains(&region.value) {
                let own = layers.own.1.regions.is_some();
                let span = if own { Mark { file: at.file, span: region.span } } else { mark };
                let names: Vec<&str> = context.regions.iter().map(|region| region.as_str()).collect();
                let problem = self
                    .error(span, format!("the window is for {}, which the function is not in", region.value))
                    .hint(format!("the function is in {}", names.join(", ")));
                self.problems.push(problem);
                sound = false;
            }
        }
        sound.then(|| Some(list.0.iter().map(|region| region.value).collect()))
    }
}

/// Environments that a load keeps busy.
fn environments(load: &LoadKeys) -> Result<u32, (String, &'static str)> {
    const FORMS: &str =
        "`{ requests_per_second: 50, duration: 200ms }` or `{ requests_per_second: 50, per_environment: 5 }`";
    let Some(At { value: Positive(rate), .. }) = &load.requests_per_second else {
        return Err(("the load has no rate".to_owned(), FORMS));
    };
    let busy = match (&load.duration, &load.per_environment) {
        // Little's law: requests under way = arrivals a second × seconds each.
        (Some(duration), None) => {
            let ms = Decimal::from(u64::try_from(duration.value.0.as_millis()).unwrap_or(u64::MAX));
            rate.checked_mul(ms).and_then(|product| product.checked_div(Decimal::ONE_THOUSAND))
        }
        (None, Some(At { value: Positive(each), .. })) => rate.checked_div(*each),
        (Some(_), Some(_)) => {
            return Err(("`duration` and `per_environment` exclude each other".to_owned(), FORMS));
        }
        (None, None) => {
            return Err(("the load needs `duration` or `per_environment`".to_owned(), FORMS));
        }
    };
    match busy.and_then(|busy| busy.ceil().to_u32()) {
        Some(count) if (1..=MOST_CONCURRENCY).contains(&count) => Ok(count),
        _ => Err((format!("the load asks for more than {MOST_CONCURRENCY} environments"), "check its units")),
    }
}

/// The first few names of a list.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.get(..SHOWN.min(names.len())).unwrap_or_default().join(", ");
    if names.len() > SHOWN { format!("{shown}, …") } else { shown }
}
