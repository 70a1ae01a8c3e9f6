//! `warmd check --live`: compares the configuration with the deployed functions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{
    CheckArgs, CheckFormat, CheckObject, object, print_errors, print_problems, print_summary, sort, warnings,
};
use crate::aws::AwsControl;
use crate::cli::app::App;
use crate::cli::configuration;
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_json, print_message};
use crate::cli::render::live::LiveCounts;
use crate::cli::render::{self, Style};
use crate::config::{Loaded, Problem};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::preflight::{Finding, Observations, Severity, Unchecked, findings, unchecked};
use crate::domain::schedule::Minute;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::preflight::Preflight;

/// The duration above which a comparison is announced.
const LONG: Duration = Duration::from_secs(10);

/// The result of the comparison in JSON.
#[derive(Debug, Serialize)]
pub struct LiveObject {
    #[serde(flatten)]
    counts: LiveCounts,
    not_checked: Vec<UncheckedObject>,
}

/// The output of `--format json`.
#[derive(Serialize)]
struct LiveCheckObject<'c> {
    #[serde(flatten)]
    check: CheckObject<'c>,
    live: LiveObject,
}

#[derive(Debug, Serialize)]
struct UncheckedObject {
    action: &'static str,
    /// The guards of a tick that need the read.
    guards: &'static [&'static str],
    why: &'static str,
    reason: String,
    regions: Vec<Region>,
    count: usize,
}

impl LiveObject {
    fn of(fleet: &Fleet, seen: &Observations, unchecked: &[Unchecked]) -> Self {
        let warmed = || fleet.targets.iter().filter(|target| target.is_warmed());
        let pairs = fleet.targets.iter().zip(&seen.targets);
        let counts = LiveCounts {
            targets: warmed().count(),
            compared: pairs.filter(|(target, seen)| target.is_warmed() && seen.was_compared()).count(),
            regions: warmed().map(Target::region).collect::<BTreeSet<_>>().len(),
        };
        Self { counts, not_checked: unchecked.iter().map(UncheckedObject::of).collect() }
    }
}

impl UncheckedObject {
    fn of(unchecked: &Unchecked) -> Self {
        Self {
            action: unchecked.read.action(),
            guards: unchecked.read.guards(),
            why: unchecked.why.name(),
            reason: unchecked.reason.clone(),
            regions: unchecked.regions.clone(),
            count: unchecked.count,
        }
    }
}

/// Checks the configuration, compares it with the deployed functions, and shows the result.
///
/// # Errors
/// Standard output cannot be written, or the emulator cannot be started. Mistakes in the configuration are a result.
pub async fn check(args: &CheckArgs, style: Style, color_on_stderr: bool) -> Result<Exit, Failure> {
    let now = Minute::of(SystemClock.now());
    let loaded = match configuration::source(args.configs.paths(), &args.only).await.load().await {
        Ok(loaded) => loaded,
        Err(problems) => return print_errors(&problems, args.format, color_on_stderr),
    };
    let mut all = warnings(&loaded, now);
    if args.format == CheckFormat::Text {
        // Printed first, because the comparison may take minutes.
        print_summary(&loaded, &all, style, color_on_stderr)?;
    }
    let fleet = &loaded.fleet;
    let preflight = Preflight::new(&fleet.targets);
    if preflight.duration() > LONG {
        print_message(&render::live::announcement(preflight.reads(), preflight.duration()));
    }
    let app = App::of(args.local, &fleet.targets).await?;
    let seen = preflight.observe(AwsControl::new(Arc::clone(app.clients()))).await;

    let found = findings(fleet, &seen, now);
    let mut problems = problems(&loaded, &found);
    let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
    let unchecked = unchecked(fleet, &seen);
    let live = LiveObject::of(fleet, &seen, &unchecked);
    match args.format {
        CheckFormat::Text => {
            print_problems(&problems, color_on_stderr);
            print(&render::live::summary(&live.counts, fleet.targets.len(), &unchecked, &problems))?;
        }
        CheckFormat::Json => {
            all.append(&mut problems);
            sort(&mut all);
            print_json(&LiveCheckObject { check: object(&all, &fleet.targets), live })?;
        }
        CheckFormat::Github => {
            all.append(&mut problems);
            sort(&mut all);
            print(&format!("{}{}", render::check::github(&all), render::live::github(&unchecked)))?;
        }
    }
    Ok(if errors > 0 {
        Exit::Usage
    } else if unchecked.iter().any(Unchecked::is_failure) {
        Exit::Failed
    } else {
        Exit::Success
    })
}

/// Returns the findings with their locations, in the order of the files.
fn problems(loaded: &Loaded, found: &[Finding]) -> Vec<Problem> {
    let diagnostics = loaded.diagnostics();
    let mut problems = Vec::new();
    for finding in found {
        let Some(locations) = loaded.locations.get(finding.target) else { continue };
        let window = finding.window.and_then(|index| locations.windows.get(index).copied());
        let location = window.unwrap_or(locations.function);
        let (message, hint) = (finding.message.clone(), finding.hint.clone());
        problems.push(match finding.severity {
            Severity::Error => diagnostics.error(location, message, hint),
            Severity::Warning => diagnostics.warning(location, message, hint),
        });
    }
    sort(&mut problems);
    problems
}
