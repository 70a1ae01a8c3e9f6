//! Calendars: their dates, stretches and files.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::super::ics::{self, EventDays};
use super::super::node::{self, MOST_BYTES, Value};
use super::super::problem::Problem;
use super::super::reader::{At, Reader, Wire, quoted};
use super::super::source::{Source, SourceFile};
use super::super::values::{Date, List};
use super::super::wire::{CalendarKeys, DatesFile};
use super::{Mark, Resolver};
use crate::domain::calendar::DateSet;

impl Resolver<'_, '_> {
    /// The dates of a calendar. None when something is wrong; that has been reported.
    pub(super) fn calendar(
        &mut self,
        file: usize,
        name: &At<String>,
        keys: &CalendarKeys,
    ) -> Option<Arc<DateSet>> {
        let CalendarKeys { dates, from, through, file: path, flawed } = keys;
        let mark = |span| Mark { file, span };
        let mut set = DateSet { name: name.value.clone(), dates: BTreeSet::new(), ranges: Vec::new() };
        let stretch = from.as_ref().or(through.as_ref());
        let exclusive =
            [dates.as_ref().map(|at| at.span), stretch.map(|at| at.span), path.as_ref().map(|at| at.span)];
        let given: Vec<_> = exclusive.into_iter().flatten().collect();
        match given.as_slice() {
            [] if *flawed => return None,
            [] => {
                let problem = self
                    .error(mark(name.span), format!("the calendar {} has no dates", quoted(&name.value)))
                    .hint("give `dates`, or `from` and `through`, or `file`");
                self.problems.push(problem);
                return None;
            }
            [_] => {}
            [_, second, ..] => {
                let problem = self
                    .error(mark(*second), "`dates`, `from`/`through` and `file` exclude each other")
                    .hint("make two calendars; a window can name both");
                self.problems.push(problem);
                return None;
            }
        }
        if let Some(List(dates)) = dates.as_ref().map(|at| &at.value) {
            set.dates = dates.iter().map(|date| date.value.0).collect();
        }
        match (from, through) {
            (Some(first), Some(last)) => {
                self.in_order(file, first, last)?;
                set.ranges.push((first.value.0, last.value.0));
            }
            (Some(one), None) | (None, Some(one)) if !flawed => {
                let missing = if from.is_some() { "through" } else { "from" };
                let problem = self
                    .error(mark(one.span), format!("the key `{missing}` is missing"))
                    .hint("both days are included");
                self.problems.push(problem);
                return None;
            }
            _ => {}
        }
        if let Some(path) = path {
            let days = self.calendar_file(mark(path.span), &path.value.0)?;
            if !self.bear(mark(path.span), 40 * (days.dates.len() + days.ranges.len())) {
                return None;
            }
            set.dates.clone_from(&days.dates);
            set.ranges.clone_from(&days.ranges);
        }
        (!flawed).then(|| Arc::new(set))
    }

    /// Reports a stretch whose last day comes before its first.
    pub(super) fn in_order(&mut self, file: usize, first: &At<Date>, last: &At<Date>) -> Option<()> {
        if first.value.0 <= last.value.0 {
            return Some(());
        }
        let message = format!("`through` ({}) is before `from` ({})", last.value.0, first.value.0);
        let problem = self.error(Mark { file, span: last.span }, message);
        self.problems.push(problem);
        None
    }

    /// The days of the file that a calendar names, relative to the calendar's own. A file is read once, however many
    /// calendars name it.
    fn calendar_file(&mut self, mark: Mark, path: &str) -> Option<Arc<EventDays>> {
        let own = Path::new(self.source(mark).path);
        let path = own.parent().unwrap_or(Path::new("")).join(path).to_string_lossy().into_owned();
        if let Some(known) = self.event_days.get(&path) {
            return known.clone();
        }
        let days = self.read_calendar_file(mark, &path).map(Arc::new);
        self.event_days.insert(path, days.clone());
        days
    }

    fn read_calendar_file(&mut self, mark: Mark, path: &str) -> Option<EventDays> {
        let text = match (self.read)(path) {
            Ok(text) if text.len() > MOST_BYTES => Err("the file is larger than 8 MB".to_owned()),
            read => read,
        };
        let text = match text {
            Ok(text) => text,
            Err(reason) => {
                let problem = self
                    .error(mark, format!("the calendar's file {}: {reason}", quoted(path)))
                    .hint("the path is relative to this file");
                self.problems.push(problem);
                return None;
            }
        };
        let file = SourceFile { path: path.to_owned(), text };
        let source = Source::new(&file);
        let days = if file.path.to_ascii_lowercase().ends_with(".ics") {
            ics::parse(&source, self.problems)
        } else {
            self.yaml_dates(&source)
        };
        self.attachments.push(file);
        days
    }

    fn yaml_dates(&mut self, source: &Source<'_>) -> Option<EventDays> {
        let node = match node::parse(source) {
            Ok(node) => node,
            Err(problem) => {
                self.problems.push(*problem);
                return None;
            }
        };
        if let Value::Null = node.value {
            self.problems.push(Problem::error(source, node.span, "the file is empty").hint("give `dates`"));
            return None;
        }
        let keys = DatesFile::read(&node, &mut Reader::new(source, self.problems))?;
        let DatesFile { dates, flawed } = keys;
        let dates = dates.filter(|_| !flawed)?.value.0.iter().map(|date| date.value.0).collect();
        Some(EventDays { dates, ranges: Vec::new() })
    }
}
