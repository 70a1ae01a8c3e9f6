//! Lambda's Invoke.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::execution::{Draws, Ending, Execution};
use super::fault::{FaultKind, When};
use super::handler::{self, Ping};
use super::log;
use super::observe::{Invocation, Occupied};
use super::pool::{Key, Limit, Placement, Refusal};
use super::profile::{Hold, Ids, LogFormat, Profile};
use super::reference::{Reference, Refused};
use super::wire::{Answer, Call, Cut, answer};
use super::{Counted, Emulator, World};

/// The largest request of a synchronous invocation, bytes. Source: Lambda quotas.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;
/// The largest client context, bytes of base64.
const MAX_CONTEXT: usize = 3583;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

impl Kind {
    fn parse(text: Option<&str>) -> Result<Self, Refused> {
        match text {
            None | Some("RequestResponse") => Ok(Self::RequestResponse),
            Some("Event") => Ok(Self::Event),
            Some("DryRun") => Ok(Self::DryRun),
            Some(other) => {
                let message = format!("Value '{other}' at 'invocationType' failed to satisfy constraint");
                Err(Refused::new(400, "InvalidParameterValueException", &message))
            }
        }
    }
}

/// What is decided about a request before it reaches an environment.
struct Fate {
    request_id: String,
    version: String,
    count: u64,
    out: Duration,
    back: Duration,
    faults: Vec<FaultKind>,
}

/// Serves `POST /2015-03-31/functions/{name}/invocations`.
pub(super) async fn invoke(emulator: &Emulator, call: &Call, name: &str, body: Bytes) -> Result<Answer, Cut> {
    let reference = match Reference::parse(name, call, emulator.scenario()) {
        Ok(reference) => reference,
        Err(refused) => return Ok(refused.answer("-")),
    };
    let mut seen = Invocation {
        account: reference.account.clone(),
        region: reference.region.clone(),
        function: reference.name.clone(),
        qualifier: reference.qualifier.clone(),
        version: None,
        kind: call.header("x-amz-invocation-type").unwrap_or("RequestResponse").to_owned(),
        connection: call.connection,
        arrived: call.arrived,
        answered: call.arrived,
        occupied: None,
        status: None,
        refusal: None,
        environment: None,
        start: None,
        function_error: None,
        preset: None,
        round: None,
        index: None,
        fans_out: false,
    };
    let asked = Kind::parse(call.header("x-amz-invocation-type"))
        .and_then(|kind| Ok((kind, reference.profile(emulator.scenario())?)))
        .and_then(|(kind, profile)| Ok((kind, profile, fate(emulator, &reference, profile, kind)?)));
    let (kind, profile, fate) = match asked {
        Ok(asked) => asked,
        Err(refused) => {
            note_refusal(emulator, seen, &refused, emulator.now());
            return Ok(refused.answer("-"));
        }
    };
    seen.version = Some(fate.version.clone());
    if !fate.out.is_zero() {
        emulator.until(call.arrived + fate.out).await;
    }

    let admitted = payload(call, &body).and_then(|(payload, context)| {
        let refusal = fate.faults.iter().find_map(refusal);
        refusal.map_or(Ok(handler::recognise(profile.handler, &payload, context.as_ref())), Err)
    });
    let ping = match admitted {
        Ok(ping) => ping,
        Err(refused) => {
            let then = emulator.now() + fate.back;
            note_refusal(emulator, seen, &refused, then);
            emulator.until(then).await;
            return Ok(refused.answer(&fate.request_id));
        }
    };
    if let Some(ping) = &ping {
        seen.preset = Some(ping.preset);
        seen.round.clone_from(&ping.round);
        seen.index = ping.index;
        seen.fans_out = ping.fans_out;
    }
    if kind == Kind::DryRun {
        let then = emulator.now() + fate.back;
        (seen.answered, seen.status) = (then, Some(204));
        note(&mut emulator.world(), emulator, seen);
        emulator.until(then).await;
        return Ok(answer(204, "application/json", Vec::new(), &[("x-amzn-requestid", &fate.request_id)]));
    }

    let placed = run(emulator, &reference, profile, &fate, ping.as_ref(), (kind, seen));
    let (placement, execution, answered) = match placed {
        Ok(placed) => placed,
        Err((refused, answered)) => {
            emulator.until(answered).await;
            return Ok(match kind {
                Kind::RequestResponse | Kind::DryRun => refused.answer(&fate.request_id),
                Kind::Event => accepted(&fate),
            });
        }
    };
    emulator.until(answered).await;
    if fate.faults.contains(&FaultKind::Reset) {
        return Err(Cut);
    }
    Ok(match kind {
        Kind::Event => accepted(&fate),
        Kind::RequestResponse | Kind::DryRun => {
            let preset = ping.map(|ping| ping.preset);
            let body = match (&execution.ending, preset) {
                (Ending::Success, Some(preset)) => {
                    let id = match profile.ids {
                        Ids::Environments => name_of(profile, placement),
                        Ids::Invocations => format!("run-{:06}", fate.count),
                    };
                    handler::answer(preset, &id, initialization(profile, &fate))
                }
                (Ending::Success, None) => json!({ "statusCode": 200 }),
                (ending, _) => error_body(ending, &execution, &fate.request_id),
            };
            responded(call, profile, &fate, &execution, &body)
        }
    })
}

/// Counts the request and draws what chance decides of it.
fn fate(emulator: &Emulator, reference: &Reference, profile: &Profile, kind: Kind) -> Result<Fate, Refused> {
    let key = format!("{}/{}/{}", reference.account, reference.region, reference.name);
    let mut world = emulator.world();
    let seed = emulator.scenario().seed;
    let counted = world.functions.entry(key).or_insert_with_key(|key| Counted::new(seed, key));
    let chance = &mut counted.chance;
    let version = reference.version(profile, chance.uniform())?;
    let (out, back) = (chance.trip(profile.network), chance.trip(profile.network));
    let request_id = chance.uuid();
    let faults: Vec<&FaultKind> = match kind {
        // Not counted, so that "the first three" means invocations; a function that refuses all refuses it too.
        Kind::DryRun => profile
            .faults
            .iter()
            .filter(|fault| fault.when == When::Always)
            .map(|fault| &fault.kind)
            .collect(),
        Kind::RequestResponse | Kind::Event => counted.struck(&profile.faults),
    };
    Ok(Fate {
        request_id,
        version,
        count: counted.count,
        out,
        back,
        faults: faults.into_iter().cloned().collect(),
    })
}

/// The payload and the client context, when Lambda would take them.
fn payload(call: &Call, body: &[u8]) -> Result<(Value, Option<Value>), Refused> {
    if body.len() > MAX_PAYLOAD {
        let message =
            format!("Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation");
        return Err(Refused::new(413, "RequestTooLargeException", &message));
    }
    let content = |message: &str| Refused::new(400, "InvalidRequestContentException", message);
    let payload = match body {
        [] => json!({}),
        _ => serde_json::from_slice(body)
            .map_err(|error| content(&format!("Could not parse request body into json: {error}")))?,
    };
    let context = match call.header("x-amz-client-context") {
        None => None,
        Some(text) if text.len() > MAX_CONTEXT => {
            return Err(content("Client context must be no more than 3583 bytes when base64-encoded."));
        }
        Some(text) => {
            let decoded = STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            Some(
                decoded
                    .ok_or_else(|| content("Client context must be a valid Base64-encoded JSON object."))?,
            )
        }
    };
    Ok((payload, context))
}

/// The refusal that a fault is, if it is one.
fn refusal(fault: &FaultKind) -> Option<Refused> {
    match fault {
        FaultKind::Throttle { reason } => Some(Refused::throttled(reason)),
        FaultKind::Refuse { status, code, message } => Some(Refused::new(*status, code, message)),
        FaultKind::Reset
        | FaultKind::Slow { .. }
        | FaultKind::FunctionError { .. }
        | FaultKind::Timeout
        | FaultKind::GarbageLog
        | FaultKind::NoLog
        | FaultKind::ForeignReport
        | FaultKind::FailEntry => None,
    }
}

/// Places the request and notes what it did, in one locked step. Returns where it ran, how, and when the answer
/// arrives; or why it did not run, and when the refusal arrives.
fn run(
    emulator: &Emulator,
    reference: &Reference,
    profile: &Profile,
    fate: &Fate,
    ping: Option<&Ping>,
    (kind, mut seen): (Kind, Invocation),
) -> Result<(Placement, Execution, Duration), (Refused, Duration)> {
    let place = format!("{}/{}", reference.account, reference.region);
    let name = format!("{place}/{}", reference.name);
    let key = Key { place, function: reference.name.clone(), version: fate.version.clone() };
    let scenario = emulator.scenario();
    let limit = profile.reserved.map_or(Limit::Shared(scenario.unreserved()), Limit::Reserved);

    let mut world = emulator.world();
    let World { pool, functions, .. } = &mut *world;
    let counted = functions.entry(name).or_insert_with_key(|name| Counted::new(scenario.seed, name));
    let draws = draws(profile, fate, ping, counted);
    // Read under the lock: the pool's time must not go back.
    let now = emulator.now();
    let mut execution = None;
    let placed = pool.place(now, &key, limit, |met| {
        let run = Execution::new(now, met, profile, &draws);
        let stay = run.stay(profile, &draws);
        execution = Some(run);
        stay
    });
    match (placed, execution) {
        (Ok(placement), Some(execution)) => {
            let answered = match kind {
                Kind::Event => now + fate.back,
                Kind::RequestResponse | Kind::DryRun => execution.answered + fate.back,
            };
            seen.answered = answered;
            seen.occupied = Some(Occupied { from: execution.from, until: execution.until });
            seen.environment = Some(name_of(profile, placement));
            seen.start = Some(execution.start);
            seen.function_error = error_type(&execution.ending).map(str::to_owned);
            seen.status = match kind {
                _ if fate.faults.contains(&FaultKind::Reset) => None,
                Kind::Event => Some(202),
                Kind::RequestResponse | Kind::DryRun => Some(200),
            };
            note(&mut world, emulator, seen);
            Ok((placement, execution, answered))
        }
        (placed, _) => {
            let reason = match placed {
                Err(Refusal::ReservedConcurrency) => "ReservedFunctionConcurrentInvocationLimitExceeded",
                Err(Refusal::Rate) => "FunctionInvocationRateLimitExceeded",
                Err(Refusal::ReservedRate) => "ReservedFunctionInvocationRateLimitExceeded",
                Err(Refusal::Concurrency) | Ok(_) => "ConcurrentInvocationLimitExceeded",
            };
            let refused = Refused::throttled(reason);
            let answered = now + fate.back;
            (seen.answered, seen.status, seen.refusal) = (answered, Some(429), Some(refused.label()));
            note(&mut world, emulator, seen);
            Err((refused, answered))
        }
    }
}

/// How long the handler works and how it ends.
fn draws(profile: &Profile, fate: &Fate, ping: Option<&Ping>, counted: &mut Counted) -> Draws {
    let chance = &mut counted.chance;
    let mut work = match ping {
        None => chance.within(profile.duration),
        Some(ping) => {
            let hold = match profile.hold {
                Hold::AsAsked => ping.hold,
                Hold::Ignored => Duration::ZERO,
                Hold::Fixed(hold) => hold,
            };
            hold + chance.within(profile.ping)
        }
    };
    let mut ending = Ending::Success;
    for fault in &fate.faults {
        match fault {
            FaultKind::Slow { by } => work += *by,
            FaultKind::FunctionError { error_type } if error_type.starts_with("Runtime.") => {
                ending = Ending::Crash(error_type.clone());
            }
            FaultKind::FunctionError { error_type } => ending = Ending::Error(error_type.clone()),
            FaultKind::Timeout => ending = Ending::Timeout,
            FaultKind::Throttle { .. }
            | FaultKind::Refuse { .. }
            | FaultKind::Reset
            | FaultKind::GarbageLog
            | FaultKind::NoLog
            | FaultKind::ForeignReport
            | FaultKind::FailEntry => {}
        }
    }
    Draws::new(profile, chance, &fate.version, (work, ending))
}

/// An environment's name: what its handler answers, and what the observations show.
///
/// An environment that takes several invocations at once is so many places of the pool, one after the other.
fn name_of(profile: &Profile, placement: Placement) -> String {
    let number = match u64::from(profile.at_once.get()) {
        1 => placement.environment,
        at_once => placement.environment.div_ceil(at_once),
    };
    format!("env-{number:06}")
}

/// `AWS_LAMBDA_INITIALIZATION_TYPE` of the function's environments.
fn initialization(profile: &Profile, fate: &Fate) -> &'static str {
    if profile.at_once.get() > 1 {
        "lambda-managed-instances"
    } else if profile.restore.is_some() && !fate.version.starts_with('$') {
        "snap-start"
    } else {
        "on-demand"
    }
}

fn error_type(ending: &Ending) -> Option<&str> {
    match ending {
        Ending::Success => None,
        Ending::Error(error_type) | Ending::Crash(error_type) => Some(error_type),
        Ending::Timeout => Some("Sandbox.Timedout"),
    }
}

/// What Lambda, or the runtime, answers for a handler that failed.
fn error_body(ending: &Ending, execution: &Execution, request_id: &str) -> Value {
    let message = match ending {
        Ending::Success | Ending::Error(_) => "the emulator was told to fail".to_owned(),
        Ending::Crash(_) => {
            format!("RequestId: {request_id} Error: Runtime exited with error: exit status 1")
        }
        Ending::Timeout => {
            let seconds = execution.duration.as_secs_f64();
            format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds")
        }
    };
    json!({ "errorMessage": message, "errorType": error_type(ending) })
}

fn responded(call: &Call, profile: &Profile, fate: &Fate, execution: &Execution, body: &Value) -> Answer {
    let trace = format!("Root=1-{};Sampled=0", fate.request_id.get(..8).unwrap_or_default());
    let mut headers = vec![
        ("x-amzn-requestid", fate.request_id.as_str()),
        ("x-amz-executed-version", fate.version.as_str()),
        ("x-amzn-trace-id", trace.as_str()),
    ];
    if execution.ending != Ending::Success {
        // Since runtimes report their errors themselves, Lambda calls all of them unhandled.
        headers.push(("x-amz-function-error", "Unhandled"));
    }
    let asked = call.header("x-amz-log-type") == Some("Tail") && profile.log != LogFormat::Silent;
    let log = if !asked || fate.faults.contains(&FaultKind::NoLog) {
        None
    } else if fate.faults.contains(&FaultKind::GarbageLog) {
        // By turns: not base64, and base64 of something that begins like a REPORT.
        Some(match fate.count.is_multiple_of(2) {
            false => "*** not base64 ***".to_owned(),
            true => STANDARD.encode(b"REPORT RequestId: \xff\xfe\tDuration: NaN ms\tBilled Duration: -1"),
        })
    } else {
        let time = call.time().unwrap_or_default().format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let request_id = match fate.faults.contains(&FaultKind::ForeignReport) {
            true => "00000000-0000-4000-8000-000000000000",
            false => &fate.request_id,
        };
        let context = log::Context { request_id, version: &fate.version, time: &time };
        Some(log::tail(execution, profile, context))
    };
    if let Some(log) = &log {
        headers.push(("x-amz-log-result", log));
    }
    answer(200, "application/json", body.to_string().into_bytes(), &headers)
}

fn accepted(fate: &Fate) -> Answer {
    answer(202, "application/json", Vec::new(), &[("x-amzn-requestid", &fate.request_id)])
}

fn note_refusal(emulator: &Emulator, mut seen: Invocation, refused: &Refused, answered: Duration) {
    (seen.answered, seen.status, seen.refusal) = (answered, Some(refused.status), Some(refused.label()));
    note(&mut emulator.world(), emulator, seen);
}

fn note(world: &mut World, emulator: &Emulator, seen: Invocation) {
    let invocations = &mut world.seen.invocations;
    invocations.push_back(seen);
    while invocations.len() > emulator.scenario().remembered {
        invocations.pop_front();
    }
}
