//! `warmd check --live`: compares the configuration with the deployed functions.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    CheckArgs, CheckFormat, CheckObject, object, print_errors, print_problems, print_summary, sort, warnings,
};
use crate::cli::app::App;
use crate::cli::configuration;
use crate::cli::deployed::{Deployed, observe};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_json};
use crate::cli::render::live::{LiveCounts, Shrink};
use crate::cli::render::{self, Style};
use crate::cli::status::FunctionObject;
use crate::config::{Loaded, Problem};
use crate::domain::chain::names;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::parse::quoted;
use crate::domain::preflight::{
    Finding, Observations, Severity, Unchecked, backlog_findings, findings, unchecked,
};
use crate::domain::schedule::Minute;
use crate::engine::ports::Clock;
use crate::service::backlog;
use crate::service::clock::SystemClock;

/// The time for which a metric of a backlog must have a value.
const METRICS_OF: TimeDelta = TimeDelta::hours(3);
/// The time within which the metrics of backlogs are read.
const METRICS_WITHIN: Duration = Duration::from_secs(20);

/// The result of the comparison in JSON.
#[derive(Debug, Serialize)]
pub struct LiveObject {
    #[serde(flatten)]
    counts: LiveCounts,
    shrinks: Vec<ShrinkObject>,
    not_checked: Vec<UncheckedObject>,
}

/// A round that ticks lower.
#[derive(Debug, Serialize)]
struct ShrinkObject {
    #[serde(flatten)]
    function: FunctionObject,
    region: Region,
    tenant: Option<String>,
    target: u32,
    capped_from: u32,
    by: String,
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
    fn of(fleet: &Fleet, seen: &Observations, shrinks: &[Shrink<'_>], unchecked: &[Unchecked]) -> Self {
        let warmed = || fleet.targets.iter().filter(|target| target.is_warmed());
        let pairs = fleet.targets.iter().zip(&seen.targets);
        let counts = LiveCounts {
            targets: warmed().count(),
            compared: pairs.filter(|(target, seen)| target.is_warmed() && seen.was_compared()).count(),
            regions: warmed().map(Target::region).collect::<BTreeSet<_>>().len(),
        };
        let shrinks = shrinks.iter().map(ShrinkObject::of).collect();
        Self { counts, shrinks, not_checked: unchecked.iter().map(UncheckedObject::of).collect() }
    }
}

impl ShrinkObject {
    fn of((target, capped): &Shrink<'_>) -> Self {
        Self {
            function: FunctionObject::of(&target.id),
            region: target.region(),
            tenant: target.tenant().map(str::to_owned),
            target: capped.to,
            capped_from: capped.from,
            by: capped.by.to_string(),
        }
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
    let app = App::of(args.local, &fleet.targets).await?;
    let until = Instant::now() + METRICS_WITHIN;
    let metrics = app.metrics();
    let (seen, samples) = tokio::join!(
        observe(&app, fleet),
        backlog::read(&*metrics, fleet, METRICS_OF, SystemClock.now(), until)
    );

    let mut found = findings(fleet, &seen, now);
    found.extend(backlog_findings(fleet, &samples, METRICS_OF));
    let mut problems = problems(&loaded, &found);
    let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
    let unchecked = unchecked(fleet, &seen);
    let shrinks = shrinks(fleet, &seen, now);
    let live = LiveObject::of(fleet, &seen, &shrinks, &unchecked);
    match args.format {
        CheckFormat::Text => {
            print_problems(&problems, color_on_stderr);
            print(&render::live::shrinks(&shrinks))?;
            print(&render::live::summary(&live.counts, fleet.targets.len(), &unchecked, &problems))?;
        }
        CheckFormat::Json => {
            all.append(&mut problems);
            sort(&mut all);
            print_json(&LiveCheckObject { check: object(&all, fleet), live })?;
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

/// Returns the targets whose largest rounds ticks lower.
fn shrinks<'f>(fleet: &'f Fleet, seen: &Observations, now: Minute) -> Vec<Shrink<'f>> {
    let deployed = Deployed::observed(fleet, seen, now.instant());
    let shrink = |target: &'f Target| {
        let desired = NonZeroU32::new(target.highest())?;
        Some((target, deployed.decide(fleet, target, desired, false).capped(desired)?))
    };
    fleet.targets.iter().filter_map(shrink).collect()
}

/// Returns the findings with their locations, in the order of the files.
fn problems(loaded: &Loaded, found: &[Finding]) -> Vec<Problem> {
    let diagnostics = loaded.diagnostics();
    let mut problems = Vec::new();
    for finding in found {
        let Some(locations) = loaded.locations.get(finding.target) else { continue };
        let window = finding.window.and_then(|index| locations.windows.get(index).copied());
        let location = window.unwrap_or(locations.function);
        let target = loaded.fleet.targets.get(finding.target);
        let pipelines = target.map(|target| names(&loaded.fleet, &target.id)).unwrap_or_default();
        let message = match &pipelines[..] {
            [] => finding.message.clone(),
            [name] => format!("{}, in the pipeline {}", finding.message, quoted(name)),
            all => {
                let all: Vec<String> = all.iter().map(|name| quoted(name)).collect();
                format!("{}, in the pipelines {}", finding.message, all.join(", "))
            }
        };
        let hint = finding.hint.clone();
        problems.push(match finding.severity {
            Severity::Error => diagnostics.error(location, message, hint),
            Severity::Warning => diagnostics.warning(location, message, hint),
        });
    }
    sort(&mut problems);
    problems
}
