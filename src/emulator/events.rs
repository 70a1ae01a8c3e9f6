//! EventBridge's PutEvents in JSON 1.1.

use std::time::Duration;

use serde_json::{Value, json};

use super::fault::{Fault, FaultKind};
use super::observe::Event;
use super::wire::{Answer, Call, Cut, answer};
use super::{Emulator, World};

/// Entries in a request. Source for this and the limit below: EventBridge quotas, 2026-11.
const MAX_ENTRIES: usize = 10;
/// All entries of a request together, bytes.
const MAX_SIZE: usize = 1024 * 1024;

fn refused(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "__type": code, "message": message }).to_string().into_bytes();
    answer(status, "application/x-amz-json-1.1", body, &[("x-amzn-errortype", code)])
}

/// Serves PutEvents.
pub(super) async fn put_events(emulator: &Emulator, call: &Call, body: &[u8]) -> Result<Answer, Cut> {
    let scenario = emulator.scenario();
    // Whether an entry fails is counted by entries, everything else by calls.
    let (per_entry, per_call): (Vec<_>, Vec<_>) =
        scenario.events.iter().cloned().partition(|fault| fault.kind == FaultKind::FailEntry);
    let struck: Vec<FaultKind> = emulator.world().events.struck(&per_call).into_iter().cloned().collect();
    let (mut refusal, mut late, mut cut) = (None, Duration::ZERO, false);
    for fault in struck {
        match fault {
            FaultKind::Throttle { .. } => {
                refusal = Some(refused(400, "ThrottlingException", "Rate exceeded"));
            }
            FaultKind::Refuse { status, code, message } => {
                refusal = Some(refused(status, &code, &message));
            }
            FaultKind::Reset => cut = true,
            FaultKind::Slow { by } => late += by,
            FaultKind::FunctionError { .. }
            | FaultKind::Timeout
            | FaultKind::GarbageLog
            | FaultKind::NoLog
            | FaultKind::ForeignReport
            | FaultKind::FailEntry => {}
        }
    }
    let answer = refusal.unwrap_or_else(|| take(emulator, call, body, &per_entry));
    emulator.answer_late(answer, late, cut).await
}

/// Takes the entries of a request, except those on which a fault strikes.
fn take(emulator: &Emulator, call: &Call, body: &[u8], per_entry: &[Fault]) -> Answer {
    let request: Value = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return refused(400, "SerializationException", &error.to_string()),
    };
    let entries = request.get("Entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        let message = format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length \
             between 1 and {MAX_ENTRIES}"
        );
        return refused(400, "ValidationException", &message);
    }
    if entries.iter().map(size).sum::<usize>() > MAX_SIZE {
        let message = "Total size of the entries in the request is over the limit.";
        return refused(400, "ValidationException", message);
    }

    let mut world = emulator.world();
    let World { entries: counted, seen, .. } = &mut *world;
    let mut failed = 0;
    let mut results = Vec::with_capacity(entries.len());
    for entry in entries {
        let taken = match counted.struck(per_entry).is_empty() {
            true => event(entry, call.region()),
            false => Err(("InternalFailure", "Internal Service Failure".to_owned())),
        };
        results.push(match taken {
            Ok(event) => {
                seen.events.push_back(event);
                json!({ "EventId": counted.chance.uuid() })
            }
            Err((code, message)) => {
                failed += 1;
                json!({ "ErrorCode": code, "ErrorMessage": message })
            }
        });
    }
    while seen.events.len() > emulator.scenario().remembered {
        seen.events.pop_front();
    }
    let body = json!({ "FailedEntryCount": failed, "Entries": results }).to_string().into_bytes();
    answer(200, "application/x-amz-json-1.1", body, &[])
}

/// An entry's size as EventBridge counts it: the texts, and 14 bytes for a time.
fn size(entry: &Value) -> usize {
    let length = |name: &str| entry.get(name).and_then(Value::as_str).map_or(0, str::len);
    let resources = entry.get("Resources").and_then(Value::as_array);
    let resources = resources.map_or(0, |all| all.iter().filter_map(Value::as_str).map(str::len).sum());
    let time = if entry.get("Time").is_some() { 14 } else { 0 };
    length("Source") + length("DetailType") + length("Detail") + resources + time
}

/// The event of an entry, or why it is not taken: code and message.
fn event(entry: &Value, region: &str) -> Result<Event, (&'static str, String)> {
    let required = |name: &str| match entry.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) | None => Err((
            "InvalidArgument",
            format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
        )),
    };
    let (source, detail_type) = (required("Source")?, required("DetailType")?);
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let detail: Value = serde_json::from_str(required("Detail")?).unwrap_or_default();
    if !detail.is_object() {
        return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
    }
    let bus = entry.get("EventBusName").and_then(Value::as_str).unwrap_or("default");
    Ok(Event {
        region: region.to_owned(),
        bus: bus.to_owned(),
        source: source.to_owned(),
        detail_type: detail_type.to_owned(),
        detail,
    })
}
