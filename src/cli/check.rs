//! `warmd check`: errors, warnings and a summary of the configuration.

pub mod live;

use std::collections::BTreeMap;
use std::io;

use clap::{Args, ValueEnum};
use rust_decimal::Decimal;
use serde::Serialize;

use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only};
use super::output::{print, print_json, print_message};
use super::render::{self, Style};
use crate::config::{Loaded, Problem, Problems};
use crate::domain::budget::{Month, Scope, budgets};
use crate::domain::fleet::Fleet;
use crate::domain::function::{Identity, Region};
use crate::domain::parse::quoted;
use crate::domain::plan::{Period, TargetPlan};
use crate::domain::schedule::{LintLocation, Minute, lints};
use crate::domain::text::money;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd check                       the files in warm-configs/
  warmd check --format github       annotations for GitHub Actions
  warmd check --live                also compare with the deployed functions
  warmd check --live --local        the same with the emulator, without AWS account

--live checks for each target: the permission to invoke it (by a dry run, which runs no handler);
that it exists and is active; its memory, timeout and architecture; and the reserved, provisioned
and account concurrency for its rounds. It uses the given credentials and assumes `role_arn` as for
pings. With the credentials of the warmer, it shows which functions the warmer may invoke; the other
checks require the policies of `warmd iam --check-live`. It sends three requests for each target, at
most 10 a second for each region and role: 10,000 targets in one region take about 50 minutes, and
it reads each metric of a backlog once. `shrinks` lists the targets whose largest rounds the guards
of a tick lower, `target` 0 if they are skipped.

A file found in a directory must be in that directory after links are resolved, as with Kubernetes
volumes. A file given by name may be any readable file, such as a pipe. All files together may have
at most 64 MB.

Exit codes: 2 if there is an error. Warnings and missing permissions to read do not change the exit
code. 1 if --live cannot compare a target for another reason, such as no connection to Lambda.")]
pub struct CheckArgs {
    /// Also compare each target with the deployed function. No handler runs.
    #[arg(long)]
    pub live: bool,
    /// Use the embedded emulator, started for this run, instead of AWS.
    #[arg(long, requires = "live")]
    pub local: bool,
    /// Output format: text, json, or github for workflow annotations.
    #[arg(long, value_name = "text|json|github", default_value = "text", hide_possible_values = true)]
    pub format: CheckFormat,
    /// The part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// Output format of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// Text for people.
    Text,
    /// One JSON object.
    Json,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// The output of `--format json`.
#[derive(Serialize)]
struct CheckObject<'c> {
    problems: Vec<ProblemObject<'c>>,
    targets: Vec<TargetObject<'c>>,
    pipelines: Vec<PipelineObject<'c>>,
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
    tenant: Option<&'c str>,
    owner: Option<&'c str>,
    protocol: &'static str,
    strategy: &'static str,
    interval_minutes: u32,
    highest: u32,
    windows: Vec<&'c str>,
}

#[derive(Serialize)]
struct PipelineObject<'c> {
    name: &'c str,
    region: Region,
    /// The functions of each stage.
    stages: Vec<Vec<String>>,
}

/// Checks the configuration and prints the result.
///
/// # Errors
/// A failure to write to standard output. Errors in the configuration are part of the result.
pub async fn check(args: &CheckArgs, style: Style, color_on_stderr: bool) -> Result<Exit, Failure> {
    let now = Minute::of(SystemClock.now());
    match configuration::source(args.configs.paths(), &args.only).await.load().await {
        Ok(loaded) => {
            let warnings = warnings(&loaded, now);
            match args.format {
                CheckFormat::Text => print_summary(&loaded, &warnings, style, color_on_stderr)?,
                CheckFormat::Json => print_json(&object(&warnings, &loaded.fleet))?,
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
fn print_summary(
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
fn print_problems(problems: &[Problem], color: bool) {
    problems.iter().for_each(|problem| print_message(&format!("{}\n", problem.render_text(color))));
}

/// Prints the errors of a configuration.
///
/// # Errors
/// A failure to write to standard output.
fn print_errors(problems: &Problems, format: CheckFormat, color_on_stderr: bool) -> Result<Exit, Failure> {
    match format {
        CheckFormat::Text => print_message(&problems.render_text(color_on_stderr)),
        CheckFormat::Json => print_json(&object(&problems.list, &Fleet::new(Vec::new())))?,
        CheckFormat::Github => print(&render::check::github(&problems.list))?,
    }
    Ok(if problems.unreached { Exit::Failed } else { Exit::Usage })
}

/// Returns the output of `--format json`.
fn object<'c>(problems: &'c [Problem], fleet: &'c Fleet) -> CheckObject<'c> {
    let problems = problems.iter().map(|problem| ProblemObject {
        severity: problem.severity.as_str(),
        path: &problem.position.path,
        line: problem.position.line,
        column: problem.position.column,
        end_column: problem.end_column,
        message: &problem.message,
        hint: problem.hint.as_deref(),
    });
    let targets = fleet.targets.iter().map(|target| TargetObject {
        function: &target.label,
        region: target.region(),
        tenant: target.tenant(),
        owner: target.owner.as_deref(),
        protocol: target.protocol.name(),
        strategy: target.strategy.name(),
        interval_minutes: target.interval_minutes,
        highest: target.highest(),
        windows: target.windows.iter().map(|window| window.label.as_str()).collect(),
    });
    let pipelines = fleet.pipelines.iter().map(|pipeline| PipelineObject {
        name: &pipeline.name,
        region: pipeline.region,
        stages: pipeline
            .stages
            .iter()
            .map(|stage| stage.parts.iter().map(Identity::label).collect())
            .collect(),
    });
    CheckObject { problems: problems.collect(), targets: targets.collect(), pipelines: pipelines.collect() }
}

/// Returns all warnings in the order of the files. A warning about several targets of one entry is returned once.
fn warnings(loaded: &Loaded, now: Minute) -> Vec<Problem> {
    let mut warnings = loaded.warnings.clone();
    let diagnostics = loaded.diagnostics();
    for (target, locations) in loaded.fleet.targets.iter().zip(&loaded.locations) {
        for lint in lints(target, now) {
            let location = match lint.location {
                LintLocation::Interval => locations.interval,
                LintLocation::Window(index) => locations.windows.get(index).copied(),
            };
            warnings.push(diagnostics.warning(
                location.unwrap_or(locations.function),
                lint.message,
                lint.hint,
            ));
        }
    }
    for calendar in loaded.calendars.iter().filter(|calendar| calendar.used) {
        if calendar.set.has_passed(now.instant().date_naive()) {
            let message = format!("the last date of the calendar {} has passed", quoted(&calendar.set.name));
            let hint = "add the dates of the coming year".to_owned();
            warnings.push(diagnostics.warning(calendar.location, message, Some(hint)));
        }
    }
    warnings.extend(low_budgets(loaded, now));
    sort(&mut warnings);
    warnings
}

/// Returns a warning for each budget below the planned cost of the month of `now`.
fn low_budgets(loaded: &Loaded, now: Minute) -> Vec<Problem> {
    let fleet = &loaded.fleet;
    let budgets = budgets(fleet);
    if budgets.is_empty() {
        return Vec::new();
    }
    let month = Month::of(now.instant());
    let period = Period { from: Minute::of(month.begin()), until: Minute::of(month.end()) };
    let (mut planned, mut locations) = (BTreeMap::<Scope, Decimal>::new(), loaded.budgets.clone());
    for (target, own) in fleet.targets.iter().zip(&loaded.locations) {
        let plan = TargetPlan::new(target, period, &fleet.prices);
        let usd = plan.cost.bill.lines.iter().filter_map(|line| line.exact());
        let usd = usd.fold(Decimal::ZERO, Decimal::saturating_add);
        for scope in Scope::of(target).filter(|scope| budgets.contains_key(scope)) {
            locations.entry(scope.clone()).or_insert(own.function);
            let sum = planned.entry(scope).or_default();
            *sum = sum.saturating_add(usd);
        }
    }
    let diagnostics = loaded.diagnostics();
    let warning = |(scope, usd): (Scope, Decimal)| {
        let (budget, location) = (budgets.get(&scope)?, locations.get(&scope)?);
        let is_low = usd > budget.monthly_usd;
        is_low.then(|| {
            let (budget, usd) = (money(budget.monthly_usd), money(usd));
            let message = format!(
                "the budget of {scope}, {budget} a month, is below the planned {usd} of {}",
                month.text()
            );
            let hint =
                "raise `monthly_usd`, or lower the numbers of the windows; `warmd plan` shows the cost";
            diagnostics.warning(*location, message, Some(hint.to_owned()))
        })
    };
    planned.into_iter().filter_map(warning).collect()
}

/// Sorts problems by their location in the files and removes duplicates.
fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|one, other| (&one.position, &one.message).cmp(&(&other.position, &other.message)));
    problems.dedup();
}
