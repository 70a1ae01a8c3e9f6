//! A valid configuration, and the locations of its parts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::problem::{Problem, Problems};
use super::source::{SourceFile, SourceText, Span};
use crate::domain::budget::Scope;
use crate::domain::calendar::DateSet;
use crate::domain::fleet::Fleet;
use crate::domain::parse::quoted;
use crate::domain::secret::Environment;

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The fleet.
    pub fleet: Fleet,
    /// Warnings: unused calendars and windows, functions that may be pinged twice, quotas.
    pub warnings: Vec<Problem>,
    /// The calendars, by name.
    pub calendars: Vec<Calendar>,
    /// The locations of the targets, in the order of [`Fleet::targets`].
    pub locations: Vec<TargetLocations>,
    /// The locations of the budgets of owners and of the fleet.
    pub budgets: BTreeMap<Scope, Location>,
    /// The environment variables in payloads, each with its first location.
    pub(super) variables: BTreeMap<String, Location>,
    /// The files, for [`Loaded::diagnostics`].
    pub(super) files: Vec<SourceFile>,
    /// The files that calendars and `prices` name.
    pub(super) attachments: Vec<PathBuf>,
}

/// A location in the configuration, for [`Diagnostics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// The index of the file.
    pub(super) file: usize,
    pub(super) span: Span,
}

/// A calendar with its location.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The dates.
    pub set: Arc<DateSet>,
    /// The location of the name.
    pub location: Location,
    /// A window uses the calendar.
    pub used: bool,
}

/// The locations of a target's keys.
#[derive(Debug, Clone)]
pub struct TargetLocations {
    /// The function's key.
    pub function: Location,
    /// The interval, or that of the defaults, if any.
    pub interval: Option<Location>,
    /// The strategy, or that of the defaults, if any.
    pub strategy: Option<Location>,
    /// The windows, in the order of [`Target::windows`](crate::domain::fleet::Target::windows).
    pub windows: Vec<Location>,
}

impl Loaded {
    /// Returns a builder of problems, for checks outside of this module.
    pub fn diagnostics(&self) -> Diagnostics<'_> {
        Diagnostics(self.files.iter().map(SourceText::new).collect())
    }

    /// Sets the values of the environment variables in the payloads of all targets, and returns them. Only commands
    /// that send pings need the values. Disabled functions have them too, because an operator can warm them.
    ///
    /// # Errors
    /// A problem for each variable that has no value.
    pub fn bind(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Arc<Environment>, Problems> {
        let names: BTreeSet<&str> =
            self.fleet.targets.iter().flat_map(|target| target.protocol.variables()).collect();
        let environment = Environment::read(names, variable).map_err(|missing| self.missing(&missing))?;
        let environment = Arc::new(environment);
        for target in &mut self.fleet.targets {
            target.protocol.bind(&environment);
        }
        Ok(environment)
    }

    /// Returns the problems of a process without a durable state store: one for each strategy that changes capacity.
    pub fn without_store(&self) -> Problems {
        let targets = self.fleet.targets.iter().zip(&self.locations);
        let changed = targets.filter(|(target, _)| target.strategy.is_capacity());
        // Targets have a strategy in common: those of a function, and those of the defaults.
        let mut seen = HashSet::new();
        let diagnostics = self.diagnostics();
        let mut problems = Problems::default();
        for (target, locations) in changed {
            let location = locations.strategy.unwrap_or(locations.function);
            if seen.insert(location) {
                let message = format!("the strategy \"{}\" needs a state store", target.strategy.name());
                let hint = "set --state or WARMD_STATE to a directory or s3://bucket/prefix".to_owned();
                problems.push(diagnostics.error(location, message, Some(hint)));
            }
        }
        problems
    }

    fn missing(&self, names: &BTreeSet<&str>) -> Problems {
        let diagnostics = self.diagnostics();
        let mut problems = Problems::default();
        for (name, location) in &self.variables {
            if names.contains(name.as_str()) {
                let message = format!("the environment variable {} is not set", quoted(name));
                let hint = "set it where pings are sent, or remove it from the payload".to_owned();
                problems.push(diagnostics.error(*location, message, Some(hint)));
            }
        }
        problems
    }

    /// Returns the paths of the files, in the order in which they were read.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// Returns the files, in the order in which they were read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Returns the files that calendars and `prices` name. A change of one is a change of the configuration.
    pub fn attachments(&self) -> &[PathBuf] {
        &self.attachments
    }
}

/// Builds problems at locations of a configuration. Indexes each file once: there may be thousands of problems.
#[derive(Debug)]
pub struct Diagnostics<'l>(Vec<SourceText<'l>>);

impl Diagnostics<'_> {
    /// Creates a warning.
    pub fn warning(&self, location: Location, message: impl Into<String>, hint: Option<String>) -> Problem {
        self.error(location, message, hint).into_warning()
    }

    /// Creates an error.
    pub fn error(&self, location: Location, message: impl Into<String>, hint: Option<String>) -> Problem {
        match self.0.get(location.file) {
            Some(source) => Problem::error(source, location.span, message),
            None => Problem::of_file("", message),
        }
        .maybe_hint(hint)
    }
}
