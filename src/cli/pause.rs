//! `warmd pause` and `warmd resume`.

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;

use super::error::Failure;
use super::exit::Exit;
use super::options::StateArgs;
use super::output::{print, print_message};
use super::select::near;
use super::status::labels;
use super::value_parsers;
use crate::domain::clean::clean;
use crate::domain::function::FunctionRef;
use crate::domain::records::{PAUSES, Pause, Pauses, Status};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::planner;
use crate::service::store::Unavailable;

/// `warmd pause`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd pause nlp-inference:live --for 1h --reason 'migrating the model' --state s3://my-warmd/state
  warmd pause --all --for 2h --reason 'change freeze'
  warmd pause --pipeline nlp --for 1h --reason 'migrating the model'

A pause takes effect at the next tick, in all regions, and for Warm Requests too. `warmd status` and
`warmd explain --state` show it.

A name alone is that of a function: a pipeline needs --pipeline, because the pause is kept without
the configuration. Functions of a paused pipeline stay warm for their own windows and other
pipelines.")]
pub struct PauseArgs {
    /// Function, as in the configuration.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function,
        required_unless_present_any = ["all", "pipeline"])]
    pub function: Option<FunctionRef>,
    /// Pipeline, as in the configuration.
    #[arg(long, value_name = "NAME", value_parser = value_parsers::pipeline, conflicts_with_all = ["function", "all"])]
    pub pipeline: Option<String>,
    /// Pause the whole fleet.
    #[arg(long, conflicts_with = "function")]
    pub all: bool,
    /// Length of the pause, such as 1h.
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::duration)]
    pub for_: Duration,
    /// Reason, one line of at most 256 characters.
    #[arg(long, value_name = "TEXT", value_parser = value_parsers::reason)]
    pub reason: String,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `warmd resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Function, as in the configuration.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function,
        required_unless_present_any = ["all", "pipeline"])]
    pub function: Option<FunctionRef>,
    /// Pipeline, as in the configuration.
    #[arg(long, value_name = "NAME", value_parser = value_parsers::pipeline, conflicts_with_all = ["function", "all"])]
    pub pipeline: Option<String>,
    /// End all pauses: that of the fleet, and those of functions and pipelines.
    #[arg(long, conflicts_with = "function")]
    pub all: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Pauses a function, a pipeline or the fleet.
///
/// # Errors
/// The store cannot be written.
pub async fn pause(args: &PauseArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let length = TimeDelta::from_std(args.for_).unwrap_or(TimeDelta::MAX);
    let Some(until) = now.checked_add_signed(length).filter(|until| *until > now) else {
        return Err(Failure::Usage("--for must be above 0 and end before the year 262143".to_owned()));
    };
    let pause = Pause { until, reason: args.reason.clone() };
    let change = |pauses: &mut Pauses| {
        pauses.prune(now);
        match (&args.function, &args.pipeline) {
            (Some(function), _) => pauses.functions.insert(function.clone(), pause.clone()),
            (None, Some(pipeline)) => pauses.pipelines.insert(pipeline.clone(), pause.clone()),
            (None, None) => pauses.all.replace(pause.clone()),
        }
    };
    let before = store.update(PAUSES, change).await.map_err(unavailable)?;
    print(&format!("{} {pause}\n", name(args.function.as_ref(), args.pipeline.as_deref())))?;
    if let Some(before) = before {
        let which = if before.until > until { ", longer" } else { "" };
        print(&format!("this replaces an earlier pause{which}: {before}\n"))?;
    }
    // Never an error: the function may be served for the first time tomorrow.
    match planner::status(&store).await {
        Ok(status) => warn(&status, args),
        Err(error) => print_message(&format!("warning: the pause may have no effect: {error}")),
    }
    Ok(Exit::Success)
}

/// Prints a warning if the pause probably has no effect.
fn warn(status: &Status, args: &PauseArgs) {
    let location = args.state.location().unwrap_or_default();
    if status.tick.is_none() && status.targets.is_empty() {
        print_message(&format!(
            "warning: no tick is recorded at {location}; check that it is the state store of the schedule"
        ));
        return;
    }
    let (name, known) = match (&args.function, &args.pipeline) {
        (Some(function), _) => (function.to_string(), labels(status.targets.keys())),
        (None, Some(pipeline)) => {
            (pipeline.clone(), status.pipelines.iter().map(|last| last.name.clone()).collect())
        }
        (None, None) => return,
    };
    if known.contains(&name) {
        return;
    }
    let known = match near(&name, || known.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean `{}`?", clean(near)),
        None if known.is_empty() && args.pipeline.is_some() => ", nor any other pipeline".to_owned(),
        None if known.is_empty() => ", nor any other function".to_owned(),
        None => format!("; known: {}", few(known.iter().map(String::as_str))),
    };
    print_message(&format!(
        "warning: no tick at {location} has served \"{name}\" in the last two days{known}"
    ));
}

/// Ends the pause of a function or a pipeline, or all pauses.
///
/// # Errors
/// The store cannot be written.
pub async fn resume(args: &ResumeArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let change = |pauses: &mut Pauses| {
        pauses.prune(now);
        let was = match (&args.function, &args.pipeline) {
            (Some(function), _) => pauses.functions.remove(function).is_some(),
            (None, Some(pipeline)) => pauses.pipelines.remove(pipeline).is_some(),
            (None, None) => std::mem::take(pauses) != Pauses::default(),
        };
        (was, pauses.all.clone())
    };
    let (was, still) = store.update(PAUSES, change).await.map_err(unavailable)?;
    let name = name(args.function.as_ref(), args.pipeline.as_deref());
    print(&if was { format!("{name} resumed\n") } else { format!("{name} was not paused\n") })?;
    if let Some(all) = still {
        print(&format!("everything is still {all}\n"))?;
    }
    Ok(Exit::Success)
}

fn name(function: Option<&FunctionRef>, pipeline: Option<&str>) -> String {
    match (function, pipeline) {
        (Some(function), _) => function.to_string(),
        (None, Some(pipeline)) => format!("pipeline {pipeline}"),
        (None, None) => "everything".to_owned(),
    }
}

/// Lists the first of these names.
fn few<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    const FEW: usize = 5;
    let more = names.len().saturating_sub(FEW);
    let names: Vec<String> = names.take(FEW).map(|name| format!("`{}`", clean(name))).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// Converts the error of a store that cannot be read or written.
fn unavailable(error: Unavailable) -> Failure {
    Failure::Unexpected(error.to_string())
}
