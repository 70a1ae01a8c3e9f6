//! The events that the Lambda takes, told apart by their shape: the schedule's, requests for warmth, shards of a
//! large tick, and what operators ask for directly. Whatever else arrives is refused.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::fleet::Hold;
use super::function::{FunctionRef, Region};
use super::future::{TOLERANCE, is_future};
use super::parse::nearest;
use super::protocol::Protocol;
use super::shard::Shard;
use super::tick::Evidence;

mod fields;
#[cfg(test)]
mod tests;

pub(super) use fields::Fields;
pub use fields::{MOST_REASON_CHARS, reason};

/// The `source` of events that warmd itself puts on a bus.
pub const SOURCE: &str = "warmd";
/// The `detail-type` by which an application asks for warmth.
pub const WARM_REQUEST: &str = "Warm Request";
/// The `detail-type` of a part of a tick that is too large for one invocation.
pub const WARM_SHARD: &str = "Warm Shard";
/// The `detail-type` that says that a request's environments are warm.
pub const ENVIRONMENTS_WARM: &str = "Environments Warm";
/// The `detail-type` of EventBridge's schedules.
pub const SCHEDULED: &str = "Scheduled Event";
/// The name of such an event in messages.
const SCHEDULED_KIND: &str = "scheduled event";
/// Who fires schedules: rules of EventBridge, and EventBridge Scheduler.
const SCHEDULERS: [&str; 2] = ["aws.events", "aws.scheduler"];
/// The most environments that one event may ask for: as many as may ever be in flight.
const MOST_CONCURRENCY: u32 = 100_000;

/// An event that the Lambda serves.
#[derive(Debug, Clone, PartialEq)]
pub enum LambdaEvent {
    /// The schedule fired.
    Scheduled {
        /// When: the tick's `now`, so that a repeated delivery acts on its own minute.
        at: DateTime<Utc>,
    },
    /// An application asks for warmth.
    Request(WarmRequest),
    /// A part of a large tick.
    Shard {
        /// When it was put on the bus; none when it did not come over one.
        at: Option<DateTime<Utc>>,
        /// Its rounds.
        shard: Shard,
    },
    /// An operator asks for a tick: `{"warmd":{"run":{"at":…}}}`.
    Run {
        /// The minute to serve; none means the present one.
        at: Option<DateTime<Utc>>,
    },
    /// An operator asks for one round: `{"warmd":{"warm":{…}}}`.
    Warm(DirectWarm),
}

/// What an application asks for in a `Warm Request`.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmRequest {
    /// The event's id, the same in every delivery; none when it did not come over a bus.
    pub id: Option<String>,
    /// When it was put on the bus; none when it did not come over one.
    pub at: Option<DateTime<Utc>>,
    /// The function, as it is configured.
    pub function: FunctionRef,
    /// Only there; none means every region that the Lambda serves.
    pub region: Option<Region>,
    /// Environments wanted, 1 to 100,000.
    pub concurrency: u32,
    /// How long to keep them warm; none means once.
    pub keep_for: Option<Duration>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// One round that an operator asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectWarm {
    /// The function.
    pub function: FunctionRef,
    /// Its region; none means the Lambda's own.
    pub region: Option<Region>,
    /// Environments wanted, 1 to 100,000.
    pub concurrency: u32,
    /// What a ping says; none means the configured protocol, or `warmd`.
    pub protocol: Option<Protocol>,
    /// How long a ping holds; none means the configured hold, or `auto`.
    pub hold: Option<Hold>,
}

/// An event that is not served. Nothing was sent for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this event is not served, and nothing was sent: {kind}: {}", problems.join("; "))]
pub struct EventError {
    /// What it was taken for.
    pub kind: &'static str,
    /// Every mistake in it.
    pub problems: Vec<String>,
}

/// The most problems that are kept of an event, and the most characters of each: they quote the event, which may have
/// a megabyte, and go to the log.
const MOST_PROBLEMS: usize = 20;
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

/// The beginning of a long problem, and its end: that is where the reason stands.
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
    /// Reads an event.
    ///
    /// # Errors
    /// [`EventError`] when it is of no known kind, or has mistakes: all of them.
    pub fn parse(event: &Value) -> Result<Self, EventError> {
        let Some(event) = event.as_object() else {
            return Err(EventError::unknown(format!("expected a JSON object, got {}", kind_of(event))));
        };
        if let Some(direct) = event.get("warmd") {
            return direct_event(event, direct);
        }
        let text = |key| event.get(key).and_then(Value::as_str);
        match (text("source"), text("detail-type")) {
            (Some(source), Some(SCHEDULED)) if SCHEDULERS.contains(&source) => scheduled(event),
            (Some(_), Some(WARM_REQUEST)) => request(event),
            (Some(SOURCE), Some(WARM_SHARD)) => shard(event),
            (Some(source), Some(kind)) => {
                Err(EventError::unknown(format!("`{kind}` from `{source}` is not known")))
            }
            _ => Err(EventError::unknown(
                "it has neither `source` and `detail-type`, as events of EventBridge do, nor `warmd`"
                    .to_owned(),
            )),
        }
    }
}

impl LambdaEvent {
    /// Refuses an event whose time is more than a minute ahead of `now`, the own clock: the sender of an event
    /// chooses its time, and a target served in a later minute would not be served in those before it.
    ///
    /// An operator may ask for a tick of any minute: nothing is noted of it.
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
            Self::Run { .. } | Self::Warm(_) => return Ok(()),
        };
        let ahead =
            times.into_iter().filter_map(|(key, at)| Some((key, at.filter(|at| is_future(*at, now))?)));
        let problem = |(key, at): (&str, DateTime<Utc>)| {
            let [at, now] = [at, now].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
            let most = TOLERANCE.num_seconds();
            format!("`{key}`: expected at most {most} s after {now}, found {at}")
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
    let (function, region, concurrency) = place(&mut fields);
    let keep_for = fields.duration("for");
    let reason = fields.read("reason", reason);
    let (function, concurrency) = fields.finish(function.zip(concurrency))?;
    Ok(LambdaEvent::Request(WarmRequest { id, at, function, region, concurrency, keep_for, reason }))
}

fn shard(event: &Map<String, Value>) -> Result<LambdaEvent, EventError> {
    let mut envelope = Fields::of_envelope(WARM_SHARD, event);
    let at = envelope.instant("time");
    let at = envelope.finish(Some(at))?;
    Shard::read(Fields::of_detail(WARM_SHARD, event)?).map(|shard| LambdaEvent::Shard { at, shard })
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
            let (function, region, concurrency) = place(&mut fields);
            let protocol = fields.read("protocol", |text| {
                Protocol::parse(text).ok_or_else(|| match nearest(text, Protocol::NAMES.iter().copied()) {
                    Some(near) => format!("`{text}` is not a protocol: did you mean `{near}`?"),
                    None => format!("`{text}` is not one of {}", Protocol::NAMES.join(", ")),
                })
            });
            let hold = fields.read("hold", hold);
            let (function, concurrency) = fields.finish(function.zip(concurrency))?;
            Ok(LambdaEvent::Warm(DirectWarm { function, region, concurrency, protocol, hold }))
        }
        _ => {
            fields.problem("expected either `run` or `warm`");
            fields.finish(None)
        }
    }
}

/// Which function, where, and how many environments: the same in requests, rounds of a shard and direct invocations.
pub(super) fn place(fields: &mut Fields<'_>) -> (Option<FunctionRef>, Option<Region>, Option<u32>) {
    let function =
        fields.read("function", |text| FunctionRef::parse(text).map_err(|error| error.to_string()));
    let function = fields.required("function", function);
    let region = fields.read("region", |text| {
        Region::parse(text).map_err(|error| match error.nearest {
            Some(near) => format!("{error}: did you mean `{near}`?"),
            None => error.to_string(),
        })
    });
    let concurrency = fields.number("concurrency", 1, MOST_CONCURRENCY);
    let concurrency = fields.required("concurrency", concurrency);
    (function, region, concurrency)
}

fn hold(text: &str) -> Result<Hold, String> {
    match text {
        "auto" => Ok(Hold::Auto),
        text => match fields::duration(text)? {
            hold if hold <= Duration::from_secs(900) => Ok(Hold::Fixed(hold)),
            _ => Err("above 900s, the longest that Lambda lets an invocation run".to_owned()),
        },
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The `detail` of an [`ENVIRONMENTS_WARM`] event: what a request for `function` has led to, and how long it took.
pub fn environments_warm(
    function: &str,
    reached: Option<u32>,
    evidence: Option<Evidence>,
    took: Duration,
) -> Value {
    json!({
        "function": function,
        "reached": reached,
        "evidence": evidence,
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}
