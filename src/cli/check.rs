//! `warmd check`: what is wrong, what is probably not meant, and what there is.

use std::io;

use serde::Serialize;

use super::args::{CheckArgs, CheckFormat};
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::live::LiveObject;
use super::output::{complain, print, print_json};
use super::render::{self, Style};
use crate::config::{Loaded, Problem, Problems};
use crate::domain::fleet::Target;
use crate::domain::function::Region;
use crate::domain::schedule::{Lint, Minute, advise};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// What `--format json` prints.
#[derive(Serialize)]
pub(super) struct CheckObject<'c> {
    problems: Vec<ProblemObject<'c>>,
    targets: Vec<TargetObject<'c>>,
    /// What `--live` adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveObject>,
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

/// Checks the configuration and shows the result.
///
/// # Errors
/// When standard output cannot be written. Mistakes in the configuration are the result, not an error.
pub async fn check(args: &CheckArgs, style: Style, color_on_stderr: bool) -> Result<Exit, Failure> {
    let now = Minute::of(SystemClock.now());
    match configuration::source(args.configs.paths(), &args.only).await.load().await {
        Ok(loaded) => {
            let warnings = warnings(&loaded, now);
            match args.format {
                CheckFormat::Text => tell(&loaded, &warnings, style, color_on_stderr)?,
                CheckFormat::Json => print_json(&object(&warnings, &loaded.fleet.targets))?,
                CheckFormat::Github => print(&render::check::github(&warnings))?,
            }
            Ok(Exit::Success)
        }
        Err(problems) => refused(&problems, args.format, color_on_stderr),
    }
}

/// Shows a sound configuration to people, and what in it is probably not meant.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn tell(
    loaded: &Loaded,
    warnings: &[Problem],
    style: Style,
    color_on_stderr: bool,
) -> io::Result<()> {
    complain_of(warnings, color_on_stderr);
    let paths: Vec<_> = loaded.paths().collect();
    print(&render::check::summary(&loaded.fleet, &paths, warnings.len(), style))
}

/// Problems for people, on standard error.
pub(super) fn complain_of(problems: &[Problem], color: bool) {
    problems.iter().for_each(|problem| complain(&format!("{}\n", problem.render_text(color))));
}

/// Shows what is wrong with a configuration.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn refused(
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

/// What `--format json` prints.
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
    CheckObject { problems: problems.collect(), targets: targets.collect(), live: None }
}

/// Everything that is probably not meant, in the order of the files. What holds for several targets of one entry is
/// told once.
pub(super) fn warnings(loaded: &Loaded, now: Minute) -> Vec<Problem> {
    let mut warnings = loaded.warnings.clone();
    let places = loaded.places();
    for (target, marks) in loaded.fleet.targets.iter().zip(&loaded.marks) {
        for advice in advise(target, now) {
            let window = |index: usize| target.windows.get(index).map_or("", |window| window.label.as_str());
            let (mark, message, hint) = match advice {
                Lint::NeverOpens { window } => (
                    marks.windows.get(window).copied(),
                    "the window does not open in the next year".to_owned(),
                    None,
                ),
                Lint::SameTarget { window: earlier, other, at } => (
                    marks.windows.get(other).copied(),
                    format!(
                        "the window is open together with `{}` and wants the same number",
                        window(earlier)
                    ),
                    Some(format!(
                        "first on {}; the highest counts, they do not add up",
                        at.format("%Y-%m-%d at %H:%M UTC")
                    )),
                ),
                Lint::LongInterval { minutes } => (
                    marks.interval,
                    format!(
                        "{minutes} minutes between two rounds are longer than idle environments have been seen to live"
                    ),
                    Some("5m or less".to_owned()),
                ),
            };
            warnings.push(places.warning(mark.unwrap_or(marks.function), message, hint));
        }
    }
    for calendar in loaded.calendars.iter().filter(|calendar| calendar.used) {
        if calendar.set.has_passed(now.instant().date_naive()) {
            let message = format!("the last date of the calendar `{}` has passed", calendar.set.name);
            warnings.push(places.warning(
                calendar.mark,
                message,
                Some("add the dates of the coming year".to_owned()),
            ));
        }
    }
    in_order(&mut warnings);
    warnings
}

/// Puts problems into the order of the files, each told once.
pub(super) fn in_order(problems: &mut Vec<Problem>) {
    problems.sort_by(|one, other| (&one.place, &one.message).cmp(&(&other.place, &other.message)));
    problems.dedup();
}
