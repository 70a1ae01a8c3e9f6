//! `warmd pause`, `warmd resume` and `warmd status`: what is in the state store.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use serde_json::json;

use super::clock::SystemClock;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::store::Store;
use super::values;
use super::wiring::World;
use crate::domain::function::FunctionRef;
use crate::domain::ledger::{PAUSES, Pause, Pauses, REQUESTS, Requests, STATUS, Status};
use crate::engine::ports::Clock;
use crate::engine::state::{read, update};

/// Which state store.
#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// Where state is kept: a directory, or s3://bucket/prefix.
    #[arg(long, value_name = "DIR|s3://…", env = "WARMD_STATE", hide_env_values = true)]
    pub state: Option<String>,
}

impl StateArgs {
    /// Where it is, when one is given.
    pub fn place(&self) -> Option<&str> {
        self.state.as_deref().filter(|place| !place.is_empty())
    }

    /// The store.
    ///
    /// # Errors
    /// When none is given.
    async fn open(&self) -> Result<Store, Failure> {
        if self.place().is_none() {
            let message = "no state store is given\nhint: say --state, or set WARMD_STATE";
            return Err(Failure::Usage(message.to_owned()));
        }
        Store::at(self.place(), World::aws().await.clients())
    }
}

impl StateArgs {
    /// Requests and pauses, when a store is given; none otherwise.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn known(&self) -> Result<(Requests, Pauses), Failure> {
        if self.place().is_none() {
            return Ok(Default::default());
        }
        let store = self.open().await?;
        let requests = read(&store, REQUESTS).await.map_err(unavailable)?;
        Ok((requests, read(&store, PAUSES).await.map_err(unavailable)?))
    }
}

/// `warmd pause`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd pause nlp-inference:live --for 1h --reason 'migrating the model' --state s3://my-warmd/state
  warmd pause --all --for 2h --reason 'change freeze'

Honoured from the next tick on, in every region, and by Warm Requests too. `warmd status` and
`warmd explain --state` show it.")]
pub struct PauseArgs {
    /// Which function, as it is configured.
    #[arg(value_name = "FUNCTION", value_parser = values::function, required_unless_present = "all")]
    pub function: Option<FunctionRef>,
    /// Everything.
    #[arg(long, conflicts_with = "function")]
    pub all: bool,
    /// For how long, such as 1h.
    #[arg(long = "for", value_name = "DURATION", value_parser = values::duration)]
    pub for_: Duration,
    /// Why, for people.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `warmd resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Which function, as it is configured.
    #[arg(value_name = "FUNCTION", value_parser = values::function, required_unless_present = "all")]
    pub function: Option<FunctionRef>,
    /// Everything: the pause of all, and those of single functions.
    #[arg(long, conflicts_with = "function")]
    pub all: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `warmd status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this function, as it is configured.
    #[arg(value_name = "FUNCTION", value_parser = values::function)]
    pub function: Option<FunctionRef>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Pauses.
///
/// # Errors
/// When the store cannot be written.
pub async fn pause(args: &PauseArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let length = TimeDelta::from_std(args.for_).unwrap_or(TimeDelta::MAX);
    let Some(until) = now.checked_add_signed(length).filter(|until| *until > now) else {
        return Err(Failure::Usage("--for is neither nothing nor for ever".to_owned()));
    };
    let pause = Pause { until, reason: args.reason.clone() };
    let change = |pauses: &mut Pauses| {
        pauses.prune(now);
        match &args.function {
            Some(function) => {
                pauses.functions.insert(function.to_string(), pause.clone());
            }
            None => pauses.all = Some(pause.clone()),
        }
    };
    update(&store, PAUSES, change).await.map_err(unavailable)?;
    print(&format!("{} {pause}\n", name(args.function.as_ref())))?;
    Ok(Exit::Success)
}

/// Resumes.
///
/// # Errors
/// When the store cannot be written.
pub async fn resume(args: &ResumeArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let change = |pauses: &mut Pauses| {
        pauses.prune(now);
        match &args.function {
            Some(function) => (pauses.functions.remove(&function.to_string()).is_some(), pauses.all.clone()),
            None => (std::mem::take(pauses) != Pauses::default(), None),
        }
    };
    let (was, still) = update(&store, PAUSES, change).await.map_err(unavailable)?;
    let name = name(args.function.as_ref());
    print(&if was { format!("{name} resumed\n") } else { format!("{name} was not paused\n") })?;
    if let Some(all) = still {
        print(&format!("everything is still {all}\n"))?;
    }
    Ok(Exit::Success)
}

/// Shows how the last tick went, and what is paused or asked for.
///
/// # Errors
/// When the store cannot be read.
pub async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let mut status: Status = read(&store, STATUS).await.map_err(unavailable)?;
    let mut pauses: Pauses = read(&store, PAUSES).await.map_err(unavailable)?;
    let mut requests: Requests = read(&store, REQUESTS).await.map_err(unavailable)?;
    pauses.prune(now);
    requests.targets.retain(|_, request| now < request.until);
    if let Some(function) = &args.function {
        let label = function.to_string();
        let of = |key: &String| key.rsplit_once(' ').is_some_and(|(known, _)| known == label);
        status.targets.retain(|key, _| of(key));
        requests.targets.retain(|key, _| of(key));
        pauses.functions.retain(|known, _| *known == label);
    }
    if args.json {
        print_json(&json!({ "status": status, "pauses": pauses, "requests": requests }))?;
    } else {
        print(&shown(&status, &pauses, &requests, now))?;
    }
    Ok(Exit::Success)
}

fn shown(status: &Status, pauses: &Pauses, requests: &Requests, now: DateTime<Utc>) -> String {
    let mut out = String::new();
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let ago = |at: DateTime<Utc>| {
        let seconds = now.signed_duration_since(at).num_seconds().max(0);
        if seconds < 120 { format!("{seconds} s ago") } else { format!("{} min ago", seconds / 60) }
    };
    let _ = match status.tick {
        None => writeln!(out, "no tick has been noted here"),
        Some(tick) => {
            let left = match status.unfinished {
                0 => String::new(),
                left => format!(", {left} unfinished"),
            };
            writeln!(out, "last tick {} ({}), took {} ms{left}", time(tick), ago(tick), status.duration_ms)
        }
    };
    if let Some(config) = &status.config {
        let behind = match status.config_behind_since {
            None => "as its source says".to_owned(),
            Some(since) => format!("the last good one since {} ({})", time(since), ago(since)),
        };
        let _ = writeln!(out, "configuration {config}: {behind}");
    }
    for (key, last) in &status.targets {
        let reached = last.reached.map_or_else(|| "?".to_owned(), |reached| reached.to_string());
        let _ = writeln!(
            out,
            "  {key}: target {}, reached {reached}, {} ({})",
            last.target,
            last.verdict,
            ago(last.tick)
        );
    }
    if let Some(pause) = &pauses.all {
        let _ = writeln!(out, "everything is {pause}");
    }
    for (function, pause) in &pauses.functions {
        let _ = writeln!(out, "{function} is {pause}");
    }
    for (key, request) in &requests.targets {
        let reason = request.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "{key} is asked for until {}, {} environments{reason}",
            time(request.until),
            request.concurrency
        );
    }
    out
}

fn name(function: Option<&FunctionRef>) -> String {
    function.map_or_else(|| "everything".to_owned(), ToString::to_string)
}

fn unavailable(error: crate::engine::state::Unavailable) -> Failure {
    Failure::Unexpected(error.to_string())
}
