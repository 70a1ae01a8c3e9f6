//! The events that the Lambda serves: those of the schedule, Warm Requests, shards of a large tick, deployments, and
//! direct invocations of operators. The keys of an event determine its kind. Other events are refused.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::backlog::{environments, per_environment};
use super::budget::{Level, Month, Scope, Standing};
use super::fleet::Hold;
use super::function::{FunctionRef, Identity, Qualifier, Region, Tenant};
use super::future::{TOLERANCE, is_future};
use super::parse::{TextError, did_you_mean, quoted};
use super::protocol::Protocol;
use super::quantity::DurationRange;
use super::round::Evidence;
use super::shard::{self, BudgetOf, MAX_ATTEMPTS, Shard, ShardRound};

mod deployed;
mod fields;
#[cfg(test)]
mod tests;

pub use deployed::{CLOUDTRAIL, Deployment};
use fields::Fields;
pub use fields::{MOST_REASON_CHARS, reason};

/// The `source` of events from warmd.
pub const SOURCE: &str = "warmd";
/// The `detail-type` of a Warm Request, with which an application warms a function.
pub const WARM_REQUEST: &str = "Warm Request";
/// The `detail-type` of a part of a tick that is too large for one invocation.
pub const WARM_SHARD: &str = "Warm Shard";
/// The `detail-type` of the event after the round of a Warm Request.
pub const ENVIRONMENTS_WARM: &str = "Environments Warm";
/// The `detail-type` of the event when a monthly budget reaches 80 % or 100 %.
pub const WARM_BUDGET_EXCEEDED: &str = "Warm Budget Exceeded";
/// The `detail-type` of EventBridge's schedules.
pub const SCHEDULED: &str = "Scheduled Event";
/// The name of scheduled events in messages.
const SCHEDULED_KIND: &str = "scheduled event";
/// The sources of scheduled events: rules of EventBridge, and EventBridge Scheduler.
const SCHEDULERS: [&str; 2] = ["aws.events", "aws.scheduler"];
/// The times in which a backlog may be worked off: at most a day.
pub const DRAIN: DurationRange = DurationRange { min: 1, max: 86_400_000, step: 1 };
/// The maximum number of environments of one event: the largest `max_in_flight`.
pub const MOST_CONCURRENCY: u32 = 100_000;

/// An event that the Lambda serves.
#[derive(Debug, Clone, PartialEq)]
pub enum LambdaEvent {
    /// A firing of the schedule.
    Scheduled {
        /// The time of the firing and the tick's `now`. A repeated delivery has the same time.
        at: DateTime<Utc>,
    },
    /// A Warm Request of an application.
    Request(WarmRequest),
    /// A part of a large tick.
    Shard {
        /// The time at which it was put on the bus; `None` if it did not arrive by a bus.
        at: Option<DateTime<Utc>>,
        /// The shard.
        shard: Shard,
    },
    /// A tick for an operator: `{"warmd":{"run":{"at":…}}}`.
    Run {
        /// The minute to serve; `None` means the current one.
        at: Option<DateTime<Utc>>,
    },
    /// One round for an operator: `{"warmd":{"warm":{…}}}`.
    Warm(DirectWarm),
    /// A deployment of a function.
    Deployed(Deployment),
    /// An event of CloudTrail that is no deployment, with the reason. Nothing is to be done.
    Ignored(String),
}

/// A Warm Request of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmRequest {
    /// The event's id, the same in every delivery; `None` if it did not arrive by a bus.
    pub id: Option<String>,
    /// The time at which it was put on the bus; `None` if it did not arrive by a bus.
    pub at: Option<DateTime<Utc>>,
    /// The function or pipeline to warm.
    pub subject: Subject,
    /// The region; `None` means every region that the Lambda serves.
    pub region: Option<Region>,
    /// The time for which to keep a number of environments warm; `None` means one round. Always `None` with a backlog.
    pub keep_for: Option<Duration>,
    /// The reason as text.
    pub reason: Option<String>,
}

/// The subject of a Warm Request.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A function, as it is configured.
    Function(FunctionRef, Need),
    /// The stages of a pipeline.
    Pipeline {
        /// The name.
        name: String,
        /// The waiting requests.
        messages: u32,
        /// The time in which to work them off, for stages without `per_backlog`.
        drain: Option<Duration>,
        /// The time for which the numbers are kept at least; `None` means that of the configuration.
        hold_for: Option<Duration>,
    },
}

/// The environments that a function needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// This number, 1 to 100,000.
    Environments(u32),
    /// As many as a backlog needs.
    Backlog(Backlog),
}

/// Requests that wait for a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// The waiting requests.
    pub messages: u32,
    /// The requests a second that one environment works off, 0.001 to 1,000,000.
    pub rate: Decimal,
    /// The time in which to work them off, above zero, at most a day.
    pub drain: Duration,
    /// The time for which the number is kept at least; `None` means that of the configuration.
    pub hold_for: Option<Duration>,
}

impl Backlog {
    /// Returns the number of environments that work the requests off in time.
    pub fn environments(&self) -> u32 {
        environments(self.messages.into(), per_environment(self.rate, self.drain))
    }
}

impl Need {
    /// Returns the number of environments.
    pub fn environments(&self) -> u32 {
        match self {
            Self::Environments(number) => *number,
            Self::Backlog(backlog) => backlog.environments(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(function, _) => write!(f, "`{function}`"),
            Self::Pipeline { name, .. } => write!(f, "the pipeline {}", quoted(name)),
        }
    }
}

/// One round for an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectWarm {
    /// The function.
    pub function: FunctionRef,
    /// The region; `None` means that of the Lambda.
    pub region: Option<Region>,
    /// The tenant; `None` means every configured tenant of the function.
    pub tenant: Option<Tenant>,
    /// The environments wanted.
    pub need: DirectNeed,
    /// The protocol of the pings; `None` means the configured protocol, or `warmd`.
    pub protocol: Option<Protocol>,
    /// The hold; `None` means the configured hold, or `auto`.
    pub hold: Option<Hold>,
}

/// The environments wanted by an operator.
#[derive(Debug, Clone, PartialEq)]
pub enum DirectNeed {
    /// A given number, or that of a backlog.
    Given(Need),
    /// As many as a configured alias of the function, or another qualifier of it, has at this moment. The round has the
    /// settings of that target.
    Like(Qualifier),
}

/// A refused event. Nothing was sent for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this event is not served, and nothing was sent: {kind}: {}", problems.join("; "))]
pub struct EventError {
    /// The kind of the event.
    pub kind: &'static str,
    /// All mistakes in the event.
    pub problems: Vec<String>,
}

/// The maximum number of problems in an error. They quote the event, which may have 1 MB.
const MOST_PROBLEMS: usize = 20;
/// The maximum number of characters of a problem.
const MOST_PROBLEM_CHARS: usize = 300;

impl EventError {
    fn new(kind: &'static str, problems: Vec<String>) -> Self {
        let omitted = problems.len().saturating_sub(MOST_PROBLEMS);
        let mut problems: Vec<String> = problems.into_iter().take(MOST_PROBLEMS).map(shortened).collect();
        if omitted > 0 {
            problems.push(format!("and {omitted} more"));
        }
        Self { kind, problems }
    }

    fn unknown(problem: String) -> Self {
        Self::new("unknown event", vec![problem])
    }
}

/// Shortens a long problem to its beginning and its end.
fn shortened(problem: String) -> String {
    let length = problem.chars().count();
    if length <= MOST_PROBLEM_CHARS {
        return problem;
    }
    let half = MOST_PROBLEM_CHARS / 2;
    let head: String = problem.chars().take(half).collect();
    let tail: String = problem.chars().skip(length - half).collect();
    format!("{head}…{tail}")
}

impl LambdaEvent {
    /// Parses an event.
    ///
    /// # Errors
    /// [`EventError`] for an unknown kind, or with every mistake in the event.
    pub fn parse(event: &Value) -> Result<Self, EventError> {
        let Some(event) = event.as_object() else {
            return Err(EventError::unknown(format!("expected a JSON object, found {}", kind_of(event))));
        };
        if let Some(direct) = event.get("warmd") {
            return direct_event(event, direct);
        }
        let text = |key| event.get(key).and_then(Value::as_str);
        match (text("source"), text("detail-type")) {
            (Some(source), Some(SCHEDULED)) if SCHEDULERS.contains(&source) => scheduled(event),
            (Some(_), Some(WARM_REQUEST)) => request(event),
            (Some(SOURCE), Some(WARM_SHARD)) => shard(event),
            (Some(_), Some(CLOUDTRAIL)) => Ok(deployed::deployed(event)),
            (Some(source), Some(kind)) => {
                Err(EventError::unknown(format!("{} from {} is not supported", quoted(kind), quoted(source))))
            }
            _ => Err(EventError::unknown(
                "expected the keys \"source\" and \"detail-type\" of EventBridge, or the key \"warmd\""
                    .to_owned(),
            )),
        }
    }
}

impl LambdaEvent {
    /// Refuses an event whose time is more than a minute ahead of `now`, the local clock. The sender of an event sets
    /// its time, and a target that was served in a later minute would not be served in the minutes before it.
    ///
    /// A tick for an operator may be for any minute, because it is not recorded as served. The time of a deployment may
    /// be any, because it is limited to the local clock.
    ///
    /// # Errors
    /// [`EventError`] with the times in the future.
    pub fn check_time(&self, now: DateTime<Utc>) -> Result<(), EventError> {
        let (kind, times) = match self {
            Self::Scheduled { at } => (SCHEDULED_KIND, vec![("time", Some(*at))]),
            Self::Request(request) => (WARM_REQUEST, vec![("time", request.at)]),
            Self::Shard { at, shard } => {
                let tick = shard.run.is_none().then_some(shard.tick);
                (WARM_SHARD, vec![("time", *at), ("tick", tick)])
            }
            Self::Run { .. } | Self::Warm(_) | Self::Deployed(_) | Self::Ignored(_) => return Ok(()),
        };
        let ahead =
            times.into_iter().filter_map(|(key, at)| Some((key, at.filter(|at| is_future(*at, now))?)));
        let problem = |(key, at): (&str, DateTime<Utc>)| {
            let [at, now] = [at, now].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
            let most = TOLERANCE.num_seconds();
            format!("{key}: expected at most {most} s after {now}, found {at}")
        };
        let problems: Vec<String> = ahead.map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(EventError { kind, problems }) }
    }
}

fn scheduled(event: &Map<String, Value>) -> Result<LambdaEvent, EventError> {
    let mut fields = Fields::of_envelope(SCHEDULED_KIND, event);
    let at = fields.instant("time");
    let at = fields.required("time", at);
    let at = fields.finish(at)?;
    Ok(LambdaEvent::Scheduled { at })
}

fn request(event: &Map<String, Value>) -> Result<LambdaEvent, EventError> {
    let mut envelope = Fields::of_envelope(WARM_REQUEST, event);
    let (id, at) = (envelope.text("id"), envelope.instant("time"));
    let (id, at) = envelope.finish(Some((id, at)))?;
    let mut fields = Fields::of_detail(WARM_REQUEST, event)?;
    let pipeline = fields.read("pipeline", reason);
    let subject = match fields.has("pipeline") {
        true => {
            for key in ["function", "concurrency", "rate"] {
                fields.exclude(key, "pipeline");
            }
            let keys = BacklogKeys::read(&mut fields);
            let messages = fields.required("backlog", keys.messages);
            let (drain, hold_for) = (keys.drain, keys.hold_for);
            let subject = |(name, messages)| Subject::Pipeline { name, messages, drain, hold_for };
            pipeline.zip(messages).map(subject)
        }
        false => {
            let (function, need) = function_and_need(&mut fields);
            function.zip(need).map(|(function, need)| Subject::Function(function, need))
        }
    };
    let region = region(&mut fields);
    let keep_for = fields.duration("for");
    if fields.has("for") && fields.has("backlog") {
        fields.problem("\"for\" cannot be used with \"backlog\"; write \"hold_for\"");
    }
    let reason = fields.read("reason", reason);
    let subject = fields.finish(subject)?;
    Ok(LambdaEvent::Request(WarmRequest { id, at, subject, region, keep_for, reason }))
}

/// The keys of a backlog.
struct BacklogKeys {
    messages: Option<u32>,
    rate: Option<Decimal>,
    drain: Option<Duration>,
    hold_for: Option<Duration>,
}

impl BacklogKeys {
    const KEYS: [&str; 4] = ["backlog", "rate", "drain", "hold_for"];

    fn read(fields: &mut Fields<'_>) -> Self {
        let [messages, rate, drain, hold_for] = Self::KEYS;
        Self {
            messages: fields.number(messages, 0, u32::MAX),
            rate: fields.rate(rate),
            drain: fields.read(drain, |text| DRAIN.parse(text).map_err(TextError::into_line)),
            hold_for: fields.duration(hold_for),
        }
    }
}

/// Reads the function of a request or a direct invocation, and its need: a number of environments, or a backlog.
fn function_and_need(fields: &mut Fields<'_>) -> (Option<FunctionRef>, Option<Need>) {
    let function = function(fields);
    let concurrency = fields.number("concurrency", 1, MOST_CONCURRENCY);
    let keys = BacklogKeys::read(fields);
    if !BacklogKeys::KEYS.iter().any(|key| fields.has(key)) {
        return (function, fields.required("concurrency", concurrency).map(Need::Environments));
    }
    let messages = fields.required("backlog", keys.messages);
    fields.exclude("concurrency", "backlog");
    let (rate, drain) = (fields.required("rate", keys.rate), fields.required("drain", keys.drain));
    let need = messages.zip(rate).zip(drain).map(|((messages, rate), drain)| {
        Need::Backlog(Backlog { messages, rate, drain, hold_for: keys.hold_for })
    });
    (function, need)
}

/// Reads the function of a direct invocation, and the qualifier whose number it is to have.
fn function_like(fields: &mut Fields<'_>) -> (Option<FunctionRef>, Option<DirectNeed>) {
    for key in ["concurrency"].into_iter().chain(BacklogKeys::KEYS) {
        fields.exclude(key, "like");
    }
    let function = function(fields);
    let like = fields.read("like", |text| Qualifier::parse(text).map_err(|error| error.to_string()));
    if let (Some(function), Some(like)) = (&function, &like)
        && let Err(problem) = check_like(function, like)
    {
        fields.problem(format!("function: {problem}"));
    }
    (function, like.map(DirectNeed::Like))
}

/// Checks that a function has a qualifier of its own. Otherwise the environments of another version than the one that
/// is to serve would be warmed.
///
/// # Errors
/// The expected form.
pub fn check_like(function: &FunctionRef, like: &Qualifier) -> Result<(), String> {
    match &function.qualifier {
        Some(qualifier) if qualifier != like => Ok(()),
        _ => {
            let (name, written) = (&function.name, quoted(&function.to_string()));
            Err(format!(
                "expected a version that is to be warmed like `{like}`, such as `{name}:8`, found {written}"
            ))
        }
    }
}

fn shard(event: &Map<String, Value>) -> Result<LambdaEvent, EventError> {
    let mut envelope = Fields::of_envelope(WARM_SHARD, event);
    let at = envelope.instant("time");
    let at = envelope.finish(Some(at))?;
    let mut fields = Fields::of_detail(WARM_SHARD, event)?;
    let version = fields.number("version", shard::VERSION, shard::VERSION);
    fields.required("version", version);
    let tick = fields.instant("tick");
    let tick = fields.required("tick", tick);
    let config = fields.text("config");
    let attempt = fields.number("attempt", 1, MAX_ATTEMPTS);
    let attempt = fields.required("attempt", attempt);
    let run = fields.text("run");
    let rounds = shard_rounds(&mut fields);
    let (tick, attempt) = fields.finish(tick.zip(attempt))?;
    Ok(LambdaEvent::Shard { at, shard: Shard { tick, config, attempt, run, rounds } })
}

fn shard_rounds(fields: &mut Fields<'_>) -> Vec<ShardRound> {
    let (mut rounds, mut ids) = (Vec::new(), HashSet::new());
    let Some(given) = fields.value("rounds").and_then(Value::as_array).filter(|given| !given.is_empty())
    else {
        fields.problem("rounds: expected a list of at least one round");
        return rounds;
    };
    for (index, round) in given.iter().enumerate() {
        match shard_round(round) {
            Ok(round) if ids.insert(round.id.clone()) => rounds.push(round),
            Ok(_) => fields.problem(format!("rounds[{index}]: duplicate target")),
            Err(error) => fields.problem(format!("rounds[{index}]: {}", error.problems.join("; "))),
        }
    }
    rounds
}

fn shard_round(round: &Value) -> Result<ShardRound, EventError> {
    let mut fields = Fields::of_value(WARM_SHARD, "rounds", round)?;
    let (function, region) = (function(&mut fields), region(&mut fields));
    let concurrency = fields.number("concurrency", 1, MOST_CONCURRENCY);
    let concurrency = fields.required("concurrency", concurrency);
    let region = fields.required("region", region);
    let tenant = tenant(&mut fields);
    let concurrency = concurrency.and_then(NonZeroU32::new);
    let share = fields.number("share", 1, u32::MAX).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let metric_age = fields.number("metric_age", 0, u32::MAX);
    let has_backlog = fields.flag("backlog");
    let raised_to = fields.number("raised_to", 1, u32::MAX);
    let budgets = BudgetOf::ALL.map(|of| Some((of, NonZeroU32::new(fields.number(of.key(), 1, u32::MAX)?)?)));
    let budget = budgets.into_iter().flatten().min_by_key(|(_, to)| *to);
    let ((function, region), concurrency) = fields.finish(function.zip(region).zip(concurrency))?;
    let id = Identity { tenant, ..function.identity(region) };
    let rounds = NonZeroU32::MIN;
    Ok(ShardRound { id, concurrency, share, metric_age, has_backlog, raised_to, budget, rounds })
}

fn direct_event(event: &Map<String, Value>, direct: &Value) -> Result<LambdaEvent, EventError> {
    const KIND: &str = "direct invocation";
    let mut fields = Fields::new(KIND, event);
    fields.value("warmd");
    fields.finish(Some(()))?;
    let mut fields = Fields::of_value(KIND, "warmd", direct)?;
    match (fields.value("run"), fields.value("warm")) {
        (Some(run), None) => {
            fields.finish(Some(()))?;
            let mut fields = Fields::of_value(KIND, "run", run)?;
            let at = fields.instant("at");
            fields.finish(Some(LambdaEvent::Run { at }))
        }
        (None, Some(warm)) => {
            fields.finish(Some(()))?;
            let mut fields = Fields::of_value(KIND, "warm", warm)?;
            let (function, need) = match fields.has("like") {
                true => function_like(&mut fields),
                false => {
                    let (function, need) = function_and_need(&mut fields);
                    (function, need.map(DirectNeed::Given))
                }
            };
            let region = region(&mut fields);
            let tenant = tenant(&mut fields);
            let protocol = fields.read("protocol", |text| {
                Protocol::parse(text).ok_or_else(|| {
                    let hint = did_you_mean(text, Protocol::NAMES.iter().copied())
                        .unwrap_or_else(|| format!("use one of {}", Protocol::NAMES.join(", ")));
                    TextError::expected("a protocol", text).hint(hint).into_line()
                })
            });
            let hold = fields.read("hold", hold);
            let (function, need) = fields.finish(function.zip(need))?;
            Ok(LambdaEvent::Warm(DirectWarm { function, region, tenant, need, protocol, hold }))
        }
        _ => {
            fields.problem("expected either the key \"run\" or the key \"warm\"");
            fields.finish(None)
        }
    }
}

/// Reads the function of a request, a round of a shard or a direct invocation.
fn function(fields: &mut Fields<'_>) -> Option<FunctionRef> {
    let function =
        fields.read("function", |text| FunctionRef::parse(text).map_err(|error| error.to_string()));
    fields.required("function", function)
}

/// Reads the region of a request, a round of a shard or a direct invocation.
fn region(fields: &mut Fields<'_>) -> Option<Region> {
    fields.read("region", |text| Region::parse(text).map_err(|error| TextError::from(error).into_line()))
}

/// Reads the tenant of a round of a shard or a direct invocation.
fn tenant(fields: &mut Fields<'_>) -> Option<Tenant> {
    fields.read("tenant", |text| Tenant::parse(text).map_err(|error| error.to_string()))
}

fn hold(text: &str) -> Result<Hold, String> {
    match text {
        "auto" => Ok(Hold::Auto),
        text => match fields::duration(text)? {
            hold if hold <= Duration::from_secs(900) => Ok(Hold::Fixed(hold)),
            _ => Err(format!("expected at most 900s, the longest run of a function, found {}", quoted(text))),
        },
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Returns the `detail` of an [`ENVIRONMENTS_WARM`] event: the result of a request for the target, and its duration.
pub fn environments_warm(
    target: &Identity,
    reached: Option<u32>,
    evidence: Option<Evidence>,
    took: Duration,
) -> Value {
    json!({
        "function": target.label(),
        "tenant": target.tenant.as_ref().map(Tenant::as_str),
        "reached": reached,
        "evidence": evidence,
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Returns the `detail` of a [`WARM_BUDGET_EXCEEDED`] event: a budget, and the level that it has reached in a month.
pub fn budget_exceeded(scope: &Scope, standing: &Standing, level: Level, month: Month) -> Value {
    let function = scope.function();
    json!({
        "version": 1,
        "scope": scope.name(),
        "owner": scope.owner(),
        "function": function.map(Identity::label),
        "region": function.map(|id| id.region),
        "month": month.text(),
        "level": level.percent(),
        "monthly_usd": standing.monthly_usd.normalize(),
        "spent_usd": standing.spent.usd().normalize(),
        "unknown": standing.spent.unknown,
        "on_exceed": standing.on_exceed.name(),
    })
}
