//! `warmd status`: shows the records in the state store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::error::Failure;
use super::exit::Exit;
use super::options::StateArgs;
use super::output::{print, print_json, print_message};
use super::render::canary::ContactObject;
use super::select::near;
use super::value_parsers;
use crate::domain::clean::clean;
use crate::domain::function::{FunctionRef, Identity, Region, Tenant};
use crate::domain::preflight::{Read, Unchecked, UncheckedReason, failures};
use crate::domain::records::{
    AccountFacts, Code, Facts, FunctionFacts, Guards, Health, LastRound, PAUSES, Pause, Pauses, REQUESTS,
    Request, Requests, Status,
};
use crate::domain::round::Verdict;
use crate::domain::text::count;
use crate::domain::tick::SkipReason;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::planner;
use crate::service::store::{DocumentStore, Unavailable, before};

/// `warmd status`.
#[derive(Debug, Args)]
#[command(after_help = "\
The last tick is one of the schedule. Warm Requests, shards and manual runs appear as rounds only.
Unsafe handlers took a ping for work (`warmd canary`). An open breaker lets one ping pass each 15
minutes. Targets are backed off after throttles, and each clean round doubles their pings.
Times more than a minute ahead are shown as `in the future`. If a part of the state store cannot be
read, the rest is shown, and the exit code is 1.")]
pub struct StatusArgs {
    /// Function to show, as in the configuration. [default: all]
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Shows the last tick, the pauses and the active requests. Documents that cannot be read are shown as unknown.
///
/// # Errors
/// The store has no record of the function.
pub async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let store = args.state.open().await?;
    let now = SystemClock.now();
    let deadline = Instant::now() + WITHIN;
    let (status, pauses, requests) = tokio::join!(
        before(deadline, planner::status(&store)),
        before(deadline, store.read::<Pauses>(PAUSES)),
        before(deadline, store.read::<Requests>(REQUESTS)),
    );
    let (facts, guards) = match &status {
        Ok(status) => {
            tokio::join!(
                read_facts(&store, status, now, deadline),
                by_region(status, |region| read_guards(&store, region, deadline)),
            )
        }
        Err(unavailable) => (Err(unavailable.clone()), Err(unavailable.clone())),
    };
    let mut known = Known { status, pauses, requests, facts, guards };
    if let Ok(pauses) = &mut known.pauses {
        pauses.prune(now);
    }
    if let Ok(requests) = &mut known.requests {
        requests.targets.retain(|_, request| now < request.until);
    }
    if let Some(function) = &args.function {
        only(function, &mut known)?;
    }
    if args.json {
        print_json(&StatusObject::new(&known, now))?;
    } else {
        print(&shown(&known, now))?;
    }
    let failures: BTreeSet<String> = known.failures().collect();
    for failure in &failures {
        print_message(&format!("error: {failure}"));
    }
    Ok(if failures.is_empty() { Exit::Success } else { Exit::Failed })
}

/// The timeout of reads from the store.
const WITHIN: Duration = Duration::from_secs(10);

/// The documents of the store.
struct Known {
    status: Result<Status, Unavailable>,
    pauses: Result<Pauses, Unavailable>,
    requests: Result<Requests, Unavailable>,
    /// The facts about functions and accounts that a tick uses.
    facts: Result<BTreeMap<Region, Facts>, Unavailable>,
    /// The results of earlier rounds.
    guards: Result<BTreeMap<Region, Guards>, Unavailable>,
}

/// Reads the facts about the regions of the recorded targets.
async fn read_facts(
    store: &DocumentStore,
    status: &Status,
    now: DateTime<Utc>,
    deadline: Instant,
) -> Result<BTreeMap<Region, Facts>, Unavailable> {
    let read = by_region(status, |region| async move {
        let mut facts: Facts = before(deadline, store.read(&Facts::document(region))).await?;
        facts = facts.plausible(now);
        facts.functions.retain(|_, facts| facts.is_usable(now));
        facts.accounts.retain(|_, facts| facts.is_usable(now));
        Ok(facts)
    });
    read.await
}

async fn read_guards(
    store: &DocumentStore,
    region: Region,
    deadline: Instant,
) -> Result<Guards, Unavailable> {
    before(deadline, store.read(&Guards::document(region))).await
}

/// Reads a document for each region of the recorded targets.
async fn by_region<T, F: Future<Output = Result<T, Unavailable>>>(
    status: &Status,
    read: impl Fn(Region) -> F,
) -> Result<BTreeMap<Region, T>, Unavailable> {
    let regions: BTreeSet<Region> = status.targets.keys().map(|id| id.region).collect();
    let read = regions.into_iter().map(|region| {
        let read = read(region);
        async move { Ok((region, read.await?)) }
    });
    join_all(read).await.into_iter().collect()
}

/// A target with an open breaker: its health, and the earliest time of the next ping.
type Breaker<'k> = (&'k Identity, &'k Health, DateTime<Utc>);

/// Returns the targets with something against them.
fn health(
    guards: &BTreeMap<Region, Guards>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (&Identity, &Health)> {
    guards.values().flat_map(move |guards| {
        guards.health.keys().filter_map(move |id| Some((id, guards.health(id, now)?)))
    })
}

/// Returns the targets with an open breaker.
fn breakers(guards: &BTreeMap<Region, Guards>, now: DateTime<Utc>) -> impl Iterator<Item = Breaker<'_>> {
    health(guards, now).filter_map(|(id, health)| Some((id, health, health.next_try()?)))
}

/// Returns the targets with smaller rounds after throttles.
fn backed_off(
    guards: &BTreeMap<Region, Guards>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (&Identity, &Health, u32)> {
    health(guards, now).filter_map(|(id, health)| Some((id, health, health.limit?)))
}

impl Known {
    /// Returns the unsafe handlers. Those of code that is no longer deployed are left out.
    fn unsafe_handlers(&self) -> impl Iterator<Item = ContactObject> {
        let all = self.guards.iter().flat_map(BTreeMap::values).flat_map(|guards| &guards.contacts);
        let all = all.flat_map(|(id, contacts)| contacts.iter().map(move |contact| (id, contact)));
        all.filter(|(id, contact)| contact.unsafe_because.is_some() && self.is_deployed(id, &contact.code))
            .map(|(id, contact)| ContactObject::new(id, contact))
    }

    /// Returns false if the facts show that all qualifiers of a function denote other code.
    fn is_deployed(&self, function: &Identity, code: &Code) -> bool {
        let Code::Sha256(hash) = code else { return true };
        let facts = self.facts.as_ref().ok().and_then(|facts| facts.get(&function.region));
        let functions = facts.into_iter().flat_map(|facts| &facts.functions);
        let deployed = functions.filter(|(id, _)| id.function() == *function);
        let mut deployed = deployed.map(|(_, facts)| facts.seen.configuration.known()?.code_sha256.as_ref());
        let mut is_known = false;
        let is_it = deployed.any(|deployed| {
            is_known = true;
            deployed.is_none_or(|deployed| deployed == hash)
        });
        is_it || !is_known
    }

    /// Returns the reasons why documents cannot be read.
    fn failures(&self) -> impl Iterator<Item = String> {
        let all = [
            self.status.as_ref().err(),
            self.pauses.as_ref().err(),
            self.requests.as_ref().err(),
            self.facts.as_ref().err(),
            self.guards.as_ref().err(),
        ];
        all.into_iter().flatten().map(ToString::to_string)
    }
}

/// Removes the records of all other functions.
fn only(function: &FunctionRef, known: &mut Known) -> Result<(), Failure> {
    let label = function.to_string();
    let (none, nothing) = (Status::default(), Requests::default());
    let status = known.status.as_ref().unwrap_or(&none);
    let requests = known.requests.as_ref().unwrap_or(&nothing);
    let mut names = labels(status.targets.keys().chain(requests.targets.keys()));
    names.extend(known.pauses.iter().flat_map(|pauses| pauses.functions.keys()).map(ToString::to_string));
    if !names.contains(&label) && known.failures().next().is_none() {
        let hint = match near(&label, || names.iter().map(String::as_str)) {
            Some(near) => format!("\nhint: did you mean `{}`?", clean(near)),
            None => String::new(),
        };
        return Err(Failure::Usage(format!("the state store has no record of \"{label}\"{hint}")));
    }
    if let Ok(status) = &mut known.status {
        status.targets.retain(|id, _| function.is_of(id));
    }
    if let Ok(requests) = &mut known.requests {
        requests.targets.retain(|id, _| function.is_of(id));
    }
    if let Ok(pauses) = &mut known.pauses {
        pauses.functions.retain(|known, _| known == function);
    }
    for facts in known.facts.iter_mut().flat_map(BTreeMap::values_mut) {
        facts.functions.retain(|id, _| function.is_of(id));
    }
    let whole = FunctionRef { qualifier: None, ..function.clone() };
    for guards in known.guards.iter_mut().flat_map(BTreeMap::values_mut) {
        guards.contacts.retain(|id, _| whole.is_of(id));
        guards.health.retain(|id, _| function.is_of(id));
    }
    Ok(())
}

/// Returns the labels of targets, as in the configuration.
pub fn labels<'i>(ids: impl Iterator<Item = &'i Identity>) -> BTreeSet<String> {
    ids.map(Identity::label).collect()
}

/// Formats a time in RFC 3339, in whole seconds and UTC.
pub fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

// ---------------------------------------------------------------------------------------------------- JSON

/// Unreadable documents are null.
#[derive(Serialize)]
struct StatusObject<'s> {
    status: Option<TickObject<'s>>,
    pauses: Option<PausesObject<'s>>,
    requests: Option<Vec<RequestObject<'s>>>,
    facts: Option<FactsObject>,
    guards_off: Option<Vec<GuardsOffObject>>,
    #[serde(rename = "unsafe")]
    unsafe_handlers: Option<Vec<ContactObject>>,
    breakers: Option<Vec<BreakerObject<'s>>>,
    backed_off: Option<Vec<BackedOffObject<'s>>>,
}

/// The keys for a target, as in the tick object.
#[derive(Serialize)]
struct TargetObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    tenant: Option<&'s str>,
}

/// A target with an open breaker.
#[derive(Serialize)]
struct BreakerObject<'s> {
    #[serde(flatten)]
    target: TargetObject<'s>,
    failures: u32,
    since: String,
    next_try: String,
}

/// A target whose rounds are smaller after throttles.
#[derive(Serialize)]
struct BackedOffObject<'s> {
    #[serde(flatten)]
    target: TargetObject<'s>,
    limit: u32,
    since: String,
}

/// The facts about deployed functions and accounts that a tick uses.
#[derive(Serialize)]
struct FactsObject {
    targets: usize,
    accounts: usize,
    oldest: Option<String>,
}

/// Guards that are off because a read failed.
#[derive(Serialize)]
struct GuardsOffObject {
    guards: &'static [&'static str],
    read: &'static str,
    action: &'static str,
    reason: &'static str,
    message: String,
    regions: Vec<Region>,
    count: usize,
}

#[derive(Serialize)]
struct TickObject<'s> {
    tick: Option<String>,
    config: Option<&'s str>,
    config_behind_since: Option<String>,
    pauses_unknown: Option<bool>,
    duration_ms: Option<u64>,
    unfinished: Option<usize>,
    targets: Vec<RoundObject<'s>>,
}

/// The keys for a function, as in the tick object.
#[derive(Debug, Serialize)]
pub struct FunctionObject {
    function: String,
    qualifier: Option<String>,
}

#[derive(Serialize)]
struct RoundObject<'s> {
    #[serde(flatten)]
    function: FunctionObject,
    region: &'s str,
    tenant: Option<&'s str>,
    tick: String,
    target: u32,
    reached: Option<u32>,
    verdict: Verdict,
    skipped: Option<SkipReason>,
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
    tenant: Option<&'s str>,
    concurrency: u32,
    asked: String,
    since: String,
    until: String,
    reason: Option<&'s str>,
}

impl<'s> StatusObject<'s> {
    fn new(known: &'s Known, now: DateTime<Utc>) -> Self {
        let guards = known.guards.as_ref().ok();
        let requests = |requests: &'s Requests| {
            requests.targets.iter().map(|(id, request)| RequestObject::new(id, request)).collect()
        };
        Self {
            status: known.status.as_ref().ok().map(TickObject::new),
            pauses: known.pauses.as_ref().ok().map(PausesObject::new),
            requests: known.requests.as_ref().ok().map(requests),
            facts: known.facts.as_ref().ok().map(FactsObject::new),
            guards_off: known
                .facts
                .as_ref()
                .ok()
                .map(|facts| guards_off(facts).into_iter().map(GuardsOffObject::new).collect()),
            unsafe_handlers: guards.map(|_| known.unsafe_handlers().collect()),
            breakers: guards.map(|guards| breakers(guards, now).map(BreakerObject::new).collect()),
            backed_off: guards.map(|guards| backed_off(guards, now).map(BackedOffObject::new).collect()),
        }
    }
}

impl FactsObject {
    fn new(facts: &BTreeMap<Region, Facts>) -> Self {
        Self {
            targets: facts.values().map(|facts| facts.functions.len()).sum(),
            accounts: facts.values().map(|facts| facts.accounts.len()).sum(),
            oldest: oldest(facts).map(seconds),
        }
    }
}

impl GuardsOffObject {
    fn new(lost: Unchecked) -> Self {
        let Unchecked { read, why, reason, regions, count } = lost;
        let (guards, action) = (read.guards(), read.action());
        Self { guards, read: read.name(), action, reason: why.name(), message: reason, regions, count }
    }
}

/// Returns the failed reads on which guards depend.
fn guards_off(facts: &BTreeMap<Region, Facts>) -> Vec<Unchecked> {
    let of = |(region, facts): (&Region, _)| (*region, facts);
    failures(
        facts.iter().map(of).flat_map(|(region, facts): (Region, &Facts)| {
            facts.functions.values().map(move |function| (region, &function.seen))
        }),
        facts.iter().map(of).flat_map(|(region, facts): (Region, &Facts)| {
            facts.accounts.values().map(move |account| (region, &account.limits))
        }),
    )
}

/// Returns the time of the oldest value.
fn oldest(facts: &BTreeMap<Region, Facts>) -> Option<DateTime<Utc>> {
    let functions = facts.values().flat_map(|facts| facts.functions.values().map(FunctionFacts::since));
    let accounts = facts.values().flat_map(|facts| facts.accounts.values().map(AccountFacts::since));
    functions.chain(accounts).min()
}

impl<'s> TickObject<'s> {
    fn new(status: &'s Status) -> Self {
        Self {
            tick: status.tick.map(seconds),
            config: status.config.as_deref(),
            config_behind_since: status.config_behind_since.map(seconds),
            pauses_unknown: status.tick.map(|_| status.pauses_unknown),
            duration_ms: status.tick.map(|_| status.duration_ms),
            unfinished: status.tick.map(|_| status.unfinished),
            targets: status.targets.iter().map(|(id, last)| RoundObject::new(id, last)).collect(),
        }
    }
}

impl<'s> TargetObject<'s> {
    fn new(id: &'s Identity) -> Self {
        let tenant = id.tenant.as_ref().map(Tenant::as_str);
        Self { function: FunctionObject::of(id), region: id.region.as_str(), tenant }
    }
}

impl<'s> BreakerObject<'s> {
    fn new((id, health, next_try): Breaker<'s>) -> Self {
        let (since, next_try) = (seconds(health.at), seconds(next_try));
        Self { target: TargetObject::new(id), failures: health.failures, since, next_try }
    }
}

impl<'s> BackedOffObject<'s> {
    fn new((id, health, limit): (&'s Identity, &Health, u32)) -> Self {
        Self { target: TargetObject::new(id), limit, since: seconds(health.at) }
    }
}

impl<'s> PausesObject<'s> {
    fn new(pauses: &'s Pauses) -> Self {
        let paused = |(function, pause): (&FunctionRef, &'s Pause)| PausedObject {
            function: FunctionObject::new(function),
            pause: PauseObject::new(pause),
        };
        Self {
            all: pauses.all.as_ref().map(PauseObject::new),
            functions: pauses.functions.iter().map(paused).collect(),
        }
    }
}

impl FunctionObject {
    fn new(function: &FunctionRef) -> Self {
        let qualifier = function.qualifier.as_ref().map(ToString::to_string);
        Self { function: FunctionRef { qualifier: None, ..function.clone() }.to_string(), qualifier }
    }

    /// Converts the function of a target.
    pub fn of(id: &Identity) -> Self {
        Self { function: id.unqualified(), qualifier: id.qualifier.as_ref().map(ToString::to_string) }
    }
}

impl<'s> RoundObject<'s> {
    fn new(id: &'s Identity, last: &'s LastRound) -> Self {
        Self {
            function: FunctionObject::of(id),
            region: id.region.as_str(),
            tenant: id.tenant.as_ref().map(Tenant::as_str),
            tick: seconds(last.tick),
            target: last.desired,
            reached: last.reached,
            verdict: last.verdict,
            skipped: last.skipped.as_ref().map(|skip| skip.reason),
            skipped_tick: last.skipped.as_ref().map(|skip| seconds(skip.tick)),
        }
    }
}

impl<'s> PauseObject<'s> {
    /// Converts a pause.
    pub fn new(pause: &'s Pause) -> Self {
        Self { until: seconds(pause.until), reason: &pause.reason }
    }
}

impl<'s> RequestObject<'s> {
    fn new(id: &'s Identity, request: &'s Request) -> Self {
        Self {
            function: FunctionObject::of(id),
            region: id.region.as_str(),
            tenant: id.tenant.as_ref().map(Tenant::as_str),
            concurrency: request.concurrency,
            asked: seconds(request.asked),
            since: seconds(request.since),
            until: seconds(request.until),
            reason: request.reason.as_deref(),
        }
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
                let _ = writeln!(out, "{function} is {pause}");
            }
        }
        Err(_) => out.push_str("pauses unknown\n"),
    }
    match &known.requests {
        Ok(requests) => {
            for (id, request) in &requests.targets {
                show_request(&mut out, id, request, now);
            }
        }
        Err(_) => out.push_str("requests unknown\n"),
    }
    match &known.facts {
        Ok(facts) => show_facts(&mut out, facts, now),
        Err(_) => out.push_str("facts about deployed functions unknown\n"),
    }
    match &known.guards {
        Ok(guards) => show_guards(&mut out, known, guards, now),
        Err(_) => out.push_str("results for the guards unknown\n"),
    }
    out
}

fn show_guards(out: &mut String, known: &Known, guards: &BTreeMap<Region, Guards>, now: DateTime<Utc>) {
    for contact in known.unsafe_handlers() {
        let ContactObject { function, region, protocol, since, reason, .. } = contact;
        let reason = reason.unwrap_or_default();
        let line = format!("unsafe: {function} {region}, protocol {protocol}, since {since}: {reason}");
        let _ = writeln!(out, "{}", clean(&line));
    }
    for (id, health, next_try) in breakers(guards, now) {
        let rounds = count(health.failures.into(), "failed round");
        let next_try = seconds(next_try);
        let _ = writeln!(out, "breaker open: {} after {rounds}, next try {next_try}", shown_id(id));
    }
    for (id, health, limit) in backed_off(guards, now) {
        let (pings, ago) = (count(limit.into(), "ping"), ago(health.at, now));
        let _ = writeln!(out, "backed off: {} to {pings} after throttles ({ago})", shown_id(id));
    }
}

fn show_facts(out: &mut String, facts: &BTreeMap<Region, Facts>, now: DateTime<Utc>) {
    if let Some(oldest) = oldest(facts) {
        let targets: usize = facts.values().map(|facts| facts.functions.len()).sum();
        let targets = count(targets as u64, "target");
        let _ =
            writeln!(out, "facts about {targets}, the oldest of {} ({})", seconds(oldest), ago(oldest, now));
    }
    for lost in guards_off(facts) {
        let Unchecked { read, why, reason, regions, count: number } = lost;
        let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
        let targets = match read {
            Read::Account => String::new(),
            _ => format!(" for {}", count(number as u64, "target")),
        };
        let (guards, action, regions) = (read.guards().join(", "), read.action(), regions.join(", "));
        let why = match why {
            UncheckedReason::Denied => format!("no {action} in {regions}"),
            UncheckedReason::Failed => format!("{action} failed in {regions}: {}", clean(&reason)),
            UncheckedReason::Unreachable => {
                format!("{action} had no answer in {regions}: {}", clean(&reason))
            }
        };
        let _ = writeln!(out, "guards off: {guards}{targets} ({why})");
    }
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
    for (id, last) in &status.targets {
        let skipped = last.skipped.as_ref();
        let skipped =
            skipped.map(|skip| format!("skipped: {} ({})", skip.reason.name(), ago(skip.tick, now)));
        let reached = last.reached.map_or_else(|| "?".to_owned(), |reached| reached.to_string());
        let sent = format!("reached {reached}, {} ({})", last.verdict.name(), ago(last.tick, now));
        let what = match skipped {
            None => sent,
            Some(skipped) if last.was_sent() => format!("{sent}; {skipped}"),
            Some(skipped) => skipped,
        };
        let _ = writeln!(out, "  {}: target {}, {what}", shown_id(id), last.desired);
    }
}

/// Formats a target, such as `nlp-inference:live eu-west-2`.
fn shown_id(id: &Identity) -> String {
    format!("{} {}", id.shown(), id.region)
}

fn show_request(out: &mut String, id: &Identity, request: &Request, now: DateTime<Utc>) {
    let reason = request.reason.as_ref().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    // A request in the future has no effect yet.
    let future = if request.is_future(now) { " in the future," } else { "" };
    let _ = writeln!(
        out,
        "{} is requested{future} until {}, {} environments{reason}",
        shown_id(id),
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
