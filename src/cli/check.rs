//! `warmd check`: errors, warnings and a summary of the configuration.

use std::io;

use serde::Serialize;

use super::args::{CheckArgs, CheckFormat};
use super::clock::SystemClock;
use super::configuration::Origin;
use super::error::Failure;
use super::exit::Exit;
use super::output::{complain, print, print_json};
use super::render::{self, Style};
use crate::config::{Loaded, Problem, Problems};
use crate::domain::fleet::Target;
use crate::domain::function::Region;
use crate::domain::schedule::{LintLocation, Minute, lints};
use crate::engine::ports::Clock;

/// The output of `--format json`.
#[derive(Serialize)]
pub(super) struct CheckObject<'c> {
    problems: Vec<ProblemObject<'c>>,
    targets: Vec<TargetObject<'c>>,
}

#[derive(Serialize)]
struct ProblemObject<'c> {
    severity: &'static str,
    path: &'c str,
    line: u32,
    column: u32,
    end_column: u32,
    message: &'c str,
    hint: Option<&'c str>,
}

#[derive(Serialize)]
struct TargetObject<'c> {
    function: &'c str,
    region: Region,
    owner: Option<&'c str>,
    protocol: &'static str,
    interval_minutes: u32,
    highest: u32,
    windows: Vec<&'c str>,
}

/// Checks the configuration and prints the result.
///
/// # Errors
/// A failure to write to standard output. Errors in the configuration are part of the result.
pub fn check(args: &CheckArgs, style: Style, color_on_stderr: bool) -> Result<Exit, Failure> {
    let now = Minute::of(SystemClock.now());
    match Origin::new(&args.configs, &args.only).load() {
        Ok(loaded) => {
            let warnings = warnings(&loaded, now);
            match args.format {
                CheckFormat::Text => print_summary(&loaded, &warnings, style, color_on_stderr)?,
                CheckFormat::Json => print_json(&object(&warnings, &loaded.fleet.targets))?,
                CheckFormat::Github => print(&render::check::github(&warnings))?,
            }
            Ok(Exit::Success)
        }
        Err(problems) => print_errors(&problems, args.format, color_on_stderr),
    }
}

/// Prints the warnings and the summary of a valid configuration.
///
/// # Errors
/// A failure to write to standard output.
pub(super) fn print_summary(
    loaded: &Loaded,
    warnings: &[Problem],
    style: Style,
    color_on_stderr: bool,
) -> io::Result<()> {
    print_problems(warnings, color_on_stderr);
    let paths: Vec<_> = loaded.paths().collect();
    print(&render::check::summary(&loaded.fleet, &paths, warnings.len(), style))
}

/// Prints problems to standard error.
pub(super) fn print_problems(problems: &[Problem], color: bool) {
    problems.iter().for_each(|problem| complain(&format!("{}\n", problem.render_text(color))));
}

/// Prints the errors of a configuration.
///
/// # Errors
/// A failure to write to standard output.
pub(super) fn print_errors(
    problems: &Problems,
    format: CheckFormat,
    color_on_stderr: bool,
) -> Result<Exit, Failure> {
    match format {
        CheckFormat::Text => complain(&problems.render_text(color_on_stderr)),
        CheckFormat::Json => print_json(&object(&problems.list, &[]))?,
        CheckFormat::Github => print(&render::check::github(&problems.list))?,
    }
    Ok(if problems.unreached { Exit::Failed } else { Exit::Usage })
}

/// Returns the output of `--format json`.
pub(super) fn object<'c>(problems: &'c [Problem], targets: &'c [Target]) -> CheckObject<'c> {
    let problems = problems.iter().map(|problem| ProblemObject {
        severity: problem.severity.as_str(),
        path: &problem.place.path,
        line: problem.place.line,
        column: problem.place.column,
        end_column: problem.end_column,
        message: &problem.message,
        hint: problem.hint.as_deref(),
    });
    let targets = targets.iter().map(|target| TargetObject {
        function: &target.label,
        region: target.region(),
        owner: target.owner.as_deref(),
        protocol: target.protocol.name(),
        interval_minutes: target.interval_minutes,
        highest: target.highest(),
        windows: target.windows.iter().map(|window| window.label.as_str()).collect(),
    });
    CheckObject { problems: problems.collect(), targets: targets.collect() }
}

/// Returns all warnings in the order of the files. A warning about several targets of one entry is returned once.
pub(super) fn warnings(loaded: &Loaded, now: Minute) -> Vec<Problem> {
    let mut warnings = loaded.warnings.clone();
    let places = loaded.places();
    for (target, marks) in loaded.fleet.targets.iter().zip(&loaded.marks) {
        for lint in lints(target, now) {
            let mark = match lint.location {
                LintLocation::Interval => marks.interval,
                LintLocation::Window(index) => marks.windows.get(index).copied(),
            };
            warnings.push(places.warning(mark.unwrap_or(marks.function), lint.message, lint.hint));
        }
    }
    for calendar in loaded.calendars.iter().filter(|calendar| calendar.used) {
        if calendar.set.has_passed(now.instant().date_naive()) {
            let message = format!("the last date of the calendar `{}` has passed", calendar.set.name);
            let hint = "add the dates of the coming year".to_owned();
            warnings.push(places.warning(calendar.mark, message, Some(hint)));
        }
    }
    sort(&mut warnings);
    warnings
}

/// Sorts problems by their location in the files and removes duplicates.
pub(super) fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|one, other| (&one.place, &one.message).cmp(&(&other.place, &other.message)));
    problems.dedup();
}
