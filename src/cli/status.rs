//! `warmd status`: what is in the state store.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde::Serialize;

use super::clock::SystemClock;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::pause::{StateArgs, unavailable};
use super::select::near;
use super::values;
use crate::domain::clean::clean;
use crate::domain::function::FunctionRef;
use crate::domain::ledger::{LastRound, PAUSES, Pause, Pauses, REQUESTS, Request, Requests, Status};
use crate::engine::keeper;
use crate::engine::ports::Clock;
use crate::engine::state::read;

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

/// Shows how the last tick went, and what is paused or asked for.
///
/// # Errors
/// When the store cannot be read, or knows nothing of the function.
pub async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let mut status = keeper::status(&store).await.map_err(unavailable)?;
    let mut pauses: Pauses = read(&store, PAUSES).await.map_err(unavailable)?;
    let mut requests: Requests = read(&store, REQUESTS).await.map_err(unavailable)?;
    pauses.prune(now);
    requests.targets.retain(|_, request| now < request.until);
    if let Some(function) = &args.function {
        only(&function.to_string(), &mut status, &mut pauses, &mut requests)?;
    }
    if args.json {
        print_json(&StatusObject::new(&status, &pauses, &requests))?;
    } else {
        print(&shown(&status, &pauses, &requests, now))?;
    }
    Ok(Exit::Success)
}

/// Leaves what is known of one function.
fn only(
    label: &str,
    status: &mut Status,
    pauses: &mut Pauses,
    requests: &mut Requests,
) -> Result<(), Failure> {
    let mut known = labels(status.targets.keys().chain(requests.targets.keys()));
    known.extend(pauses.functions.keys().map(String::as_str));
    if !known.contains(label) {
        let hint = match near(label, || known.iter().copied()) {
            Some(near) => format!("\nhint: did you mean `{}`?", clean(near)),
            None => String::new(),
        };
        return Err(Failure::Usage(format!("nothing is known of `{label}` here{hint}")));
    }
    let of = |key: &String| place(key).0 == label;
    status.targets.retain(|key, _| of(key));
    requests.targets.retain(|key, _| of(key));
    pauses.functions.retain(|known, _| known == label);
    Ok(())
}

/// The function, as it is configured, and the region of a target by its [`crate::domain::ledger::key`].
fn place(key: &str) -> (&str, &str) {
    key.rsplit_once(' ').unwrap_or((key, ""))
}

/// The functions of these keys.
pub fn labels<'k>(keys: impl Iterator<Item = &'k String>) -> BTreeSet<&'k str> {
    keys.map(|key| place(key).0).collect()
}

/// A time as people and scripts read it: RFC 3339, whole seconds, UTC.
fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

// ---------------------------------------------------------------------------------------------------- JSON

#[derive(Serialize)]
struct StatusObject<'s> {
    status: TickObject<'s>,
    pauses: PausesObject<'s>,
    requests: Vec<RequestObject<'s>>,
}

#[derive(Serialize)]
struct TickObject<'s> {
    tick: Option<String>,
    config: Option<&'s str>,
    config_behind_since: Option<String>,
    duration_ms: Option<u64>,
    unfinished: Option<usize>,
    targets: Vec<RoundObject<'s>>,
}

/// The keys by which the tick object names a function.
#[derive(Serialize)]
struct FunctionObject {
    function: String,
    qualifier: Option<String>,
}

#[derive(Serialize)]
struct RoundObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    tick: String,
    target: u32,
    reached: Option<u32>,
    verdict: &'s str,
    skipped: Option<&'s str>,
    skipped_tick: Option<String>,
}

#[derive(Serialize)]
struct PausesObject<'s> {
    all: Option<PauseObject<'s>>,
    functions: Vec<PausedObject<'s>>,
}

/// A pause, as commands print it.
#[derive(Debug, Serialize)]
pub struct PauseObject<'s> {
    until: String,
    reason: &'s str,
}

#[derive(Serialize)]
struct PausedObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    #[serde(flatten)]
    pause: PauseObject<'s>,
}

#[derive(Serialize)]
struct RequestObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    concurrency: u32,
    asked: String,
    since: String,
    until: String,
    reason: Option<&'s str>,
}

impl<'s> StatusObject<'s> {
    fn new(status: &'s Status, pauses: &'s Pauses, requests: &'s Requests) -> Self {
        let paused = |(label, pause): (&String, &'s Pause)| PausedObject {
            function: FunctionObject::new(label),
            pause: PauseObject::new(pause),
        };
        Self {
            status: TickObject {
                tick: status.tick.map(seconds),
                config: status.config.as_deref(),
                config_behind_since: status.config_behind_since.map(seconds),
                duration_ms: status.tick.map(|_| status.duration_ms),
                unfinished: status.tick.map(|_| status.unfinished),
                targets: status.targets.iter().map(|(key, last)| RoundObject::new(key, last)).collect(),
            },
            pauses: PausesObject {
                all: pauses.all.as_ref().map(PauseObject::new),
                functions: pauses.functions.iter().map(paused).collect(),
            },
            requests: requests
                .targets
                .iter()
                .map(|(key, request)| RequestObject::new(key, request))
                .collect(),
        }
    }
}

impl FunctionObject {
    fn new(label: &str) -> Self {
        match FunctionRef::parse(label) {
            Ok(FunctionRef { name, qualifier, place }) => Self {
                qualifier: qualifier.as_ref().map(ToString::to_string),
                function: FunctionRef { name, qualifier: None, place }.to_string(),
            },
            Err(_) => Self { function: label.to_owned(), qualifier: None },
        }
    }
}

impl<'s> RoundObject<'s> {
    fn new(key: &'s str, last: &'s LastRound) -> Self {
        let (label, region) = place(key);
        Self {
            function: FunctionObject::new(label),
            region,
            tick: seconds(last.tick),
            target: last.target,
            reached: last.reached,
            verdict: &last.verdict,
            skipped: last.skipped.as_ref().map(|skip| skip.why.as_str()),
            skipped_tick: last.skipped.as_ref().map(|skip| seconds(skip.tick)),
        }
    }
}

impl<'s> PauseObject<'s> {
    /// Of a pause.
    pub fn new(pause: &'s Pause) -> Self {
        Self { until: seconds(pause.until), reason: &pause.reason }
    }
}

impl<'s> RequestObject<'s> {
    fn new(key: &'s str, request: &'s Request) -> Self {
        let (label, region) = place(key);
        Self {
            function: FunctionObject::new(label),
            region,
            concurrency: request.concurrency,
            asked: seconds(request.asked),
            since: seconds(request.since),
            until: seconds(request.until),
            reason: request.reason.as_deref(),
        }
    }
}

// ---------------------------------------------------------------------------------------------------- text

fn shown(status: &Status, pauses: &Pauses, requests: &Requests, now: DateTime<Utc>) -> String {
    let mut out = String::new();
    let ago = |at: DateTime<Utc>| {
        let seconds = now.signed_duration_since(at).num_seconds().max(0);
        if seconds < 120 { format!("{seconds} s ago") } else { format!("{} min ago", seconds / 60) }
    };
    let _ = match status.tick {
        None => writeln!(out, "no tick of a schedule has been noted here"),
        Some(tick) => {
            let left = match status.unfinished {
                0 => String::new(),
                left => format!(", {left} unfinished"),
            };
            writeln!(out, "last tick {} ({}), took {} ms{left}", seconds(tick), ago(tick), status.duration_ms)
        }
    };
    if let Some(config) = &status.config {
        let behind = match status.config_behind_since {
            None => "as its source says".to_owned(),
            Some(since) => format!("the last good one since {} ({})", seconds(since), ago(since)),
        };
        let _ = writeln!(out, "configuration {}: {behind}", clean(config));
    }
    for (key, last) in &status.targets {
        let skipped = last.skipped.as_ref();
        let skipped = skipped.map(|skip| format!("skipped: {} ({})", clean(&skip.why), ago(skip.tick)));
        let reached = last.reached.map_or_else(|| "?".to_owned(), |reached| reached.to_string());
        let sent = format!("reached {reached}, {} ({})", clean(&last.verdict), ago(last.tick));
        let what = match skipped {
            None => sent,
            Some(skipped) if last.was_sent() => format!("{sent}; {skipped}"),
            Some(skipped) => skipped,
        };
        let _ = writeln!(out, "  {}: target {}, {what}", clean(key), last.target);
    }
    if let Some(pause) = &pauses.all {
        let _ = writeln!(out, "everything is {pause}");
    }
    for (function, pause) in &pauses.functions {
        let _ = writeln!(out, "{} is {pause}", clean(function));
    }
    for (key, request) in &requests.targets {
        let reason = request.reason.as_ref().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
        let _ = writeln!(
            out,
            "{} is asked for until {}, {} environments{reason}",
            clean(key),
            seconds(request.until),
            request.concurrency
        );
    }
    out
}
