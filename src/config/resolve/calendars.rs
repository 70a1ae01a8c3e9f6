//! Calendars: their dates, ranges and files.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::super::ics::{self, EventDays};
use super::super::node::{self, MOST_BYTES};
use super::super::reader::{At, FromNode, Reader};
use super::super::source::{SourceFile, SourceText};
use super::super::values::{Date, List};
use super::super::wire::{CalendarKeys, DatesFile};
use super::{Location, Resolver, memory};
use crate::domain::calendar::DateSet;
use crate::domain::parse::quoted;

impl Resolver<'_, '_> {
    /// Returns the dates of a calendar, or `None` after it has reported an error.
    pub(super) fn calendar(
        &mut self,
        file: usize,
        name: &At<String>,
        keys: &CalendarKeys,
    ) -> Option<Arc<DateSet>> {
        let CalendarKeys { dates, from, through, file: path, has_errors } = keys;
        let at = |span| Location { file, span };
        let mut set = DateSet { name: name.value.clone(), dates: BTreeSet::new(), ranges: Vec::new() };
        let range = from.as_ref().map(|at| ("from", at.span));
        let range = range.or(through.as_ref().map(|at| ("through", at.span)));
        let sources =
            [dates.as_ref().map(|at| ("dates", at.span)), range, path.as_ref().map(|at| ("file", at.span))];
        match sources.into_iter().flatten().collect::<Vec<_>>().as_slice() {
            [] if *has_errors => return None,
            [] => {
                let message = format!("the calendar {} has no dates", quoted(&name.value));
                return self.fail(at(name.span), message, "add `dates`, or `from` and `through`, or `file`");
            }
            [_] => {}
            [first, second, ..] => {
                self.conflict(file, *first, *second, "define two calendars: a window can name both");
                return None;
            }
        }
        if let Some(List(dates)) = dates.as_ref().map(|at| &at.value) {
            set.dates = dates.iter().map(|date| date.value.0).collect();
        }
        match (from, through) {
            (Some(first), Some(last)) => {
                self.check_order(file, first, last)?;
                set.ranges.push((first.value.0, last.value.0));
            }
            (Some(first), None) if !has_errors => {
                return self.fail(at(first.span), "missing key \"through\"", "add the last day of the range");
            }
            (None, Some(last)) if !has_errors => {
                return self.fail(at(last.span), "missing key \"from\"", "add the first day of the range");
            }
            _ => {}
        }
        if let Some(path) = path {
            let days = self.calendar_file(at(path.span), &path.value.0)?;
            if !self.reserve_memory(at(path.span), memory::DATE * (days.dates.len() + days.ranges.len())) {
                return None;
            }
            set.dates.clone_from(&days.dates);
            set.ranges.clone_from(&days.ranges);
        }
        (!has_errors).then(|| Arc::new(set))
    }

    /// Reports a range whose last day is before its first.
    pub(super) fn check_order(&mut self, file: usize, first: &At<Date>, last: &At<Date>) -> Option<()> {
        if first.value.0 <= last.value.0 {
            return Some(());
        }
        let message =
            format!("\"through\" ({}) must not be before \"from\" ({})", last.value.0, first.value.0);
        self.reject(self.error(Location { file, span: last.span }, message))
    }

    /// Returns the days of a calendar's file. Reads a file once, for any number of calendars.
    fn calendar_file(&mut self, location: Location, path: &str) -> Option<Arc<EventDays>> {
        let path = self.relative(location, path);
        if let Some(known) = self.event_days.get(&path) {
            return known.clone();
        }
        let days = self.read_calendar_file(location, &path).map(Arc::new);
        self.event_days.insert(path, days.clone());
        days
    }

    fn read_calendar_file(&mut self, location: Location, path: &str) -> Option<EventDays> {
        let file = self.read_named("calendar file", location, path.to_owned())?;
        let source = SourceText::new(&file);
        let days = if path.to_ascii_lowercase().ends_with(".ics") {
            ics::parse(&source, self.problems)
        } else {
            self.yaml_dates(&source)
        };
        self.attachments.push(file);
        days
    }

    fn yaml_dates(&mut self, source: &SourceText<'_>) -> Option<EventDays> {
        let node = node::parse_into(source, "add `dates`", self.problems)?;
        let DatesFile { dates, has_errors } =
            DatesFile::from_node(&node, &mut Reader::new(source, self.problems))?;
        let dates = dates.filter(|_| !has_errors)?.value.0.iter().map(|date| date.value.0).collect();
        Some(EventDays { dates, ranges: Vec::new() })
    }

    /// Returns a path that is relative to the file of `location`.
    pub(super) fn relative(&self, location: Location, path: &str) -> String {
        let own = Path::new(self.source(location).path);
        own.parent().unwrap_or(Path::new("")).join(path).to_string_lossy().into_owned()
    }

    /// Reads a file that the configuration names, or returns `None` after it has reported an error.
    pub(super) fn read_named(&mut self, kind: &str, location: Location, path: String) -> Option<SourceFile> {
        let reason = match (self.read)(&path) {
            Ok(text) if text.len() > MOST_BYTES => "the file is larger than 8 MB".to_owned(),
            Ok(text) => return Some(SourceFile { path, text }),
            Err(reason) => reason,
        };
        let message = format!("{kind} {}: {reason}", quoted(&path));
        self.fail(location, message, "check the path, which is relative to this file")
    }
}
