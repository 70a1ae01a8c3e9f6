//! `warmd status`: shows the records in the state store.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::Failure;
use super::exit::Exit;
use super::output::{complain, print, print_json};
use super::pause::StateArgs;
use super::select::near;
use super::value_parsers;
use crate::domain::clean::clean;
use crate::domain::function::FunctionRef;
use crate::domain::records::{LastRound, PAUSES, Pause, Pauses, REQUESTS, Request, Requests, Status};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::planner;
use crate::service::store::{Unavailable, before};

/// `warmd status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Show this function only, as it is configured.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Shows the last tick, the pauses and the requests in force. Documents that cannot be read are shown as unknown.
///
/// # Errors
/// When the store has no record of the function.
pub async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let deadline = Instant::now() + WITHIN;
    let (status, pauses, requests) = tokio::join!(
        before(deadline, planner::status(&store)),
        before(deadline, store.read::<Pauses>(PAUSES)),
        before(deadline, store.read::<Requests>(REQUESTS)),
    );
    let mut known = Known { status, pauses, requests };
    if let Ok(pauses) = &mut known.pauses {
        pauses.prune(now);
    }
    if let Ok(requests) = &mut known.requests {
        requests.targets.retain(|_, request| now < request.until);
    }
    if let Some(function) = &args.function {
        only(&function.to_string(), &mut known)?;
    }
    if args.json {
        print_json(&object(&known))?;
    } else {
        print(&shown(&known, now))?;
    }
    let failures: BTreeSet<String> = known.failures().collect();
    for failure in &failures {
        complain(&format!("error: {failure}"));
    }
    Ok(if failures.is_empty() { Exit::Success } else { Exit::Failed })
}

/// The longest time that reading the store may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The documents of the store.
struct Known {
    status: Result<Status, Unavailable>,
    pauses: Result<Pauses, Unavailable>,
    requests: Result<Requests, Unavailable>,
}

impl Known {
    /// Returns the reasons why documents cannot be read.
    fn failures(&self) -> impl Iterator<Item = String> {
        let all = [self.status.as_ref().err(), self.pauses.as_ref().err(), self.requests.as_ref().err()];
        all.into_iter().flatten().map(ToString::to_string)
    }
}

/// Keeps the records of one function.
fn only(label: &str, known: &mut Known) -> Result<(), Failure> {
    let (none, nothing) = (Status::default(), Requests::default());
    let status = known.status.as_ref().unwrap_or(&none);
    let requests = known.requests.as_ref().unwrap_or(&nothing);
    let mut names = labels(status.targets.keys().chain(requests.targets.keys()));
    names.extend(known.pauses.iter().flat_map(|pauses| pauses.functions.keys()).map(String::as_str));
    if !names.contains(label) && known.failures().next().is_none() {
        let hint = match near(label, || names.iter().copied()) {
            Some(near) => format!("\nhint: did you mean `{}`?", clean(near)),
            None => String::new(),
        };
        return Err(Failure::Usage(format!("the state store has no record of `{label}`{hint}")));
    }
    let of = |key: &String| place(key).0 == label;
    if let Ok(status) = &mut known.status {
        status.targets.retain(|key, _| of(key));
    }
    if let Ok(requests) = &mut known.requests {
        requests.targets.retain(|key, _| of(key));
    }
    if let Ok(pauses) = &mut known.pauses {
        pauses.functions.retain(|known, _| known == label);
    }
    Ok(())
}

/// Splits the [`crate::domain::records::key`] of a target into its label and its region.
fn place(key: &str) -> (&str, &str) {
    key.rsplit_once(' ').unwrap_or((key, ""))
}

/// Returns the labels of these keys.
pub fn labels<'k>(keys: impl Iterator<Item = &'k String>) -> BTreeSet<&'k str> {
    keys.map(|key| place(key).0).collect()
}

/// Formats a time in RFC 3339, in whole seconds and UTC.
fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

// ---------------------------------------------------------------------------------------------------- JSON

/// A pause in JSON.
#[derive(Debug, Serialize)]
pub struct PauseObject<'s> {
    until: String,
    reason: &'s str,
}

impl<'s> PauseObject<'s> {
    /// Converts a pause.
    pub fn new(pause: &'s Pause) -> Self {
        Self { until: seconds(pause.until), reason: &pause.reason }
    }
}

/// Returns the JSON object. Documents that cannot be read are null.
fn object(known: &Known) -> Value {
    let requests = |requests: &Requests| {
        requests.targets.iter().map(|(key, request)| request_object(key, request)).collect::<Vec<_>>()
    };
    json!({
        "status": known.status.as_ref().ok().map(tick_object),
        "pauses": known.pauses.as_ref().ok().map(pauses_object),
        "requests": known.requests.as_ref().ok().map(requests),
    })
}

fn tick_object(status: &Status) -> Value {
    json!({
        "tick": status.tick.map(seconds),
        "config": status.config,
        "config_behind_since": status.config_behind_since.map(seconds),
        "pauses_unknown": status.tick.map(|_| status.pauses_unknown),
        "duration_ms": status.tick.map(|_| status.duration_ms),
        "unfinished": status.tick.map(|_| status.unfinished),
        "targets": status.targets.iter().map(|(key, last)| round_object(key, last)).collect::<Vec<_>>(),
    })
}

fn round_object(key: &str, last: &LastRound) -> Value {
    let (label, region) = place(key);
    let (function, qualifier) = function(label);
    json!({
        "function": function,
        "qualifier": qualifier,
        "region": region,
        "tick": seconds(last.tick),
        "target": last.target,
        "reached": last.reached,
        "verdict": last.verdict,
        "skipped": last.skipped.as_ref().map(|skip| &skip.why),
        "skipped_tick": last.skipped.as_ref().map(|skip| seconds(skip.tick)),
    })
}

fn pauses_object(pauses: &Pauses) -> Value {
    let paused = |(label, pause): (&String, &Pause)| {
        let (function, qualifier) = function(label);
        let PauseObject { until, reason } = PauseObject::new(pause);
        json!({ "function": function, "qualifier": qualifier, "until": until, "reason": reason })
    };
    let functions: Vec<Value> = pauses.functions.iter().map(paused).collect();
    json!({ "all": pauses.all.as_ref().map(PauseObject::new), "functions": functions })
}

fn request_object(key: &str, request: &Request) -> Value {
    let (label, region) = place(key);
    let (function, qualifier) = function(label);
    json!({
        "function": function,
        "qualifier": qualifier,
        "region": region,
        "concurrency": request.concurrency,
        "asked": seconds(request.asked),
        "since": seconds(request.since),
        "until": seconds(request.until),
        "reason": request.reason,
    })
}

/// Splits a label into the function and its qualifier, as in the tick object.
fn function(label: &str) -> (String, Option<String>) {
    match FunctionRef::parse(label) {
        Ok(FunctionRef { name, qualifier, place }) => {
            let qualifier = qualifier.as_ref().map(ToString::to_string);
            (FunctionRef { name, qualifier: None, place }.to_string(), qualifier)
        }
        Err(_) => (label.to_owned(), None),
    }
}

// ---------------------------------------------------------------------------------------------------- text

fn shown(known: &Known, now: DateTime<Utc>) -> String {
    let mut out = String::new();
    match &known.status {
        Ok(status) => show_status(&mut out, status, now),
        Err(_) => out.push_str("the last tick is unknown\n"),
    }
    match &known.pauses {
        Ok(Pauses { all, functions }) => {
            if let Some(pause) = all {
                let _ = writeln!(out, "everything is {pause}");
            }
            for (function, pause) in functions {
                let _ = writeln!(out, "{} is {pause}", clean(function));
            }
        }
        Err(_) => out.push_str("pauses unknown\n"),
    }
    match &known.requests {
        Ok(requests) => {
            for (key, request) in &requests.targets {
                show_request(&mut out, key, request, now);
            }
        }
        Err(_) => out.push_str("requests unknown\n"),
    }
    out
}

fn show_status(out: &mut String, status: &Status, now: DateTime<Utc>) {
    let _ = match status.tick {
        None => writeln!(out, "no tick of a schedule is recorded"),
        Some(tick) => {
            let left = match status.unfinished {
                0 => String::new(),
                left => format!(", {left} unfinished"),
            };
            writeln!(
                out,
                "last tick {} ({}), took {} ms{left}",
                seconds(tick),
                ago(tick, now),
                status.duration_ms
            )
        }
    };
    if status.pauses_unknown {
        let _ = writeln!(out, "the last tick could not read the pauses");
    }
    if let Some(config) = &status.config {
        let age = match status.config_behind_since {
            None => "as in its source".to_owned(),
            Some(since) => format!("stale since {} ({})", seconds(since), ago(since, now)),
        };
        let _ = writeln!(out, "configuration {}: {age}", clean(config));
    }
    for (key, last) in &status.targets {
        let skipped = last.skipped.as_ref();
        let skipped = skipped.map(|skip| format!("skipped: {} ({})", clean(&skip.why), ago(skip.tick, now)));
        let reached = last.reached.map_or_else(|| "?".to_owned(), |reached| reached.to_string());
        let sent = format!("reached {reached}, {} ({})", clean(&last.verdict), ago(last.tick, now));
        let what = match skipped {
            None => sent,
            Some(skipped) if last.was_sent() => format!("{sent}; {skipped}"),
            Some(skipped) => skipped,
        };
        let _ = writeln!(out, "  {}: target {}, {what}", clean(key), last.target);
    }
}

fn show_request(out: &mut String, key: &str, request: &Request, now: DateTime<Utc>) {
    let reason = request.reason.as_ref().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    // A request in the future keeps nothing warm.
    let future = if request.is_future(now) { " in the future," } else { "" };
    let _ = writeln!(
        out,
        "{} is requested{future} until {}, {} environments{reason}",
        clean(key),
        seconds(request.until),
        request.concurrency
    );
}

/// Formats the time since `at`.
fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match now.signed_duration_since(at).num_seconds() {
        ..0 => "in the future".to_owned(),
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds => format!("{} min ago", seconds / 60),
    }
}
