//! `warmd check --live`: what is configured, compared with what is deployed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::app::App;
use super::args::{CheckArgs, CheckFormat};
use super::check::{complain_of, in_order, object, refused, tell, warnings};
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{complain, print, print_json};
use super::render::{self, Style};
use crate::aws::AwsControl;
use crate::config::{Loaded, Mark, Problem};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::preflight::{Finding, Kind, Observations, Severity, Unchecked, Why, findings, unchecked};
use crate::domain::schedule::Minute;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::preflight::Preflight;

/// Reading for longer than this is announced.
const LONG: Duration = Duration::from_secs(10);

/// What was compared.
#[derive(Debug, Serialize)]
pub struct LiveObject {
    /// Targets that are ever pinged.
    pub targets: usize,
    /// Those of them that could be compared.
    pub compared: usize,
    /// The regions they are in.
    pub regions: usize,
    /// What could not be read.
    not_checked: Vec<UncheckedObject>,
}

#[derive(Debug, Serialize)]
struct UncheckedObject {
    action: &'static str,
    why: &'static str,
    reason: String,
    regions: Vec<Region>,
    count: usize,
}

impl LiveObject {
    fn of(fleet: &Fleet, seen: &Observations, unchecked: &[Unchecked]) -> Self {
        let warmed = || fleet.targets.iter().filter(|target| target.is_warmed());
        let pairs = fleet.targets.iter().zip(&seen.targets);
        Self {
            targets: warmed().count(),
            compared: pairs.filter(|(target, seen)| target.is_warmed() && seen.was_compared()).count(),
            regions: warmed().map(Target::region).collect::<BTreeSet<_>>().len(),
            not_checked: unchecked.iter().map(UncheckedObject::of).collect(),
        }
    }
}

impl UncheckedObject {
    fn of(unchecked: &Unchecked) -> Self {
        Self {
            action: unchecked.read.action(),
            why: match unchecked.why {
                Why::Unreachable => "unreachable",
                Why::Denied => "denied",
                Why::Failed => "failed",
            },
            reason: unchecked.reason.clone(),
            regions: unchecked.regions.clone(),
            count: unchecked.count,
        }
    }
}

/// Checks the configuration, compares it with what is deployed, and shows the result.
///
/// # Errors
/// When standard output cannot be written, or the emulator cannot be started. Mistakes are the result, not an error.
pub async fn check(args: &CheckArgs, style: Style, color_on_stderr: bool) -> Result<Exit, Failure> {
    let now = Minute::of(SystemClock.now());
    let loaded = match configuration::source(args.configs.paths(), &args.only).await.load().await {
        Ok(loaded) => loaded,
        Err(problems) => return refused(&problems, args.format, color_on_stderr),
    };
    let mut all = warnings(&loaded, now);
    if args.format == CheckFormat::Text {
        // Reading may take minutes: what is known is told before.
        tell(&loaded, &all, style, color_on_stderr)?;
    }
    let fleet = &loaded.fleet;
    let preflight = Preflight::new(&fleet.targets);
    if preflight.duration() > LONG {
        complain(&render::live::announced(preflight.reads(), preflight.duration()));
    }
    let app = App::of(args.local, &fleet.targets).await?;
    let seen = preflight.observe(AwsControl::new(Arc::clone(app.clients()))).await;

    let found = findings(fleet, &seen, now);
    let mut problems = problems(&loaded, &found);
    let errors = found.iter().filter(|finding| finding.kind.severity() == Severity::Error).count();
    let unchecked = unchecked(fleet, &seen);
    let live = LiveObject::of(fleet, &seen, &unchecked);
    match args.format {
        CheckFormat::Text => {
            complain_of(&problems, color_on_stderr);
            print(&render::live::summary(&live, fleet.targets.len(), &unchecked, &problems))?;
        }
        CheckFormat::Json => {
            all.append(&mut problems);
            in_order(&mut all);
            let mut object = object(&all, &fleet.targets);
            object.live = Some(live);
            print_json(&object)?;
        }
        CheckFormat::Github => {
            all.append(&mut problems);
            in_order(&mut all);
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

/// The findings at their places in the files, in the order of those.
fn problems(loaded: &Loaded, found: &[Finding]) -> Vec<Problem> {
    let places = loaded.places();
    let mut problems = Vec::new();
    for finding in found {
        let (Some(target), Some(marks)) =
            (loaded.fleet.targets.get(finding.target), loaded.marks.get(finding.target))
        else {
            continue;
        };
        let mark = window(target, finding, &marks.windows).unwrap_or(marks.function);
        let (message, hint) = render::live::words(&finding.kind, target);
        problems.push(match finding.kind.severity() {
            Severity::Error => places.error(mark, message, hint),
            Severity::Warning => places.warning(mark, message, hint),
        });
    }
    in_order(&mut problems);
    problems
}

/// The window that wants as many as the finding is about.
fn window(target: &Target, finding: &Finding, marks: &[Mark]) -> Option<Mark> {
    let (Kind::Reserved { reserved: 1.., wanted }
    | Kind::Account { wanted, .. }
    | Kind::ReservedAll { reserved: wanted }) = finding.kind
    else {
        return None;
    };
    let wants = |concurrency: u32| concurrency.saturating_add(target.spare) == wanted;
    let place = target.windows.iter().position(|window| wants(window.concurrency))?;
    marks.get(place).copied()
}
