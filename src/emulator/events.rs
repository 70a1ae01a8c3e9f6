//! EventBridge's PutEvents in JSON 1.1.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::ErrorResponse;
use super::fault::{CallEffect, Fault, FaultKind};
use super::observe::AcceptedEvent;
use super::wire::{Call, ConnectionCut, HttpResponse, response};
use super::{Emulator, EmulatorState};

/// Entries in a request. Source for this and the limit below: EventBridge quotas, 2026-11.
const MAX_ENTRIES: usize = 10;
/// All entries of a request together, bytes.
const MAX_SIZE: usize = 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    time: Option<Value>,
}

fn json_1_1(status: u16, body: &Value, headers: &[(&'static str, &str)]) -> HttpResponse {
    response(status, "application/x-amz-json-1.1", body.to_string().into_bytes(), headers)
}

fn refused(error: &ErrorResponse) -> HttpResponse {
    let body = json!({ "__type": error.code, "message": error.message });
    json_1_1(error.status, &body, &[("x-amzn-errortype", &error.code)])
}

/// Handles PutEvents.
pub(super) async fn put_events(
    emulator: &Emulator,
    call: &Call,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    // `FailEntry` counts entries, all other faults count calls.
    let (per_entry, per_call): (Vec<_>, Vec<_>) =
        emulator.scenario().events.iter().cloned().partition(|fault| fault.kind == FaultKind::FailEntry);
    let CallEffect { refusal, delay, cut, .. } =
        CallEffect::of(&emulator.state().events.next_faults(&per_call));
    let response = match refusal.map_or_else(|| accept(emulator, call, body, &per_entry), Err) {
        Ok(results) => json_1_1(200, &results, &[]),
        Err(error) => refused(&error),
    };
    emulator.respond_after(delay, response, cut).await
}

/// Accepts the entries of a request, except the invalid ones and those that a fault applies to. Returns the answer.
fn accept(
    emulator: &Emulator,
    call: &Call,
    body: &[u8],
    per_entry: &[Fault],
) -> Result<Value, ErrorResponse> {
    let PutEvents { entries } = serde_json::from_slice(body)
        .map_err(|error| ErrorResponse::new(400, "SerializationException", error.to_string()))?;
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        let message = format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length \
             between 1 and {MAX_ENTRIES}"
        );
        return Err(ErrorResponse::new(400, "ValidationException", message));
    }
    if entries.iter().map(Entry::size).sum::<usize>() > MAX_SIZE {
        let message = "Total size of the entries in the request is over the limit.";
        return Err(ErrorResponse::new(400, "ValidationException", message));
    }

    let mut state = emulator.state();
    let EmulatorState { entries: counter, observations, .. } = &mut *state;
    let mut failed = 0;
    let mut results = Vec::with_capacity(entries.len());
    for entry in entries {
        let accepted = match counter.next_faults(per_entry).is_empty() {
            true => entry.into_event(call.region()),
            false => Err(("InternalFailure", "Internal Service Failure".to_owned())),
        };
        results.push(match accepted {
            Ok(event) => {
                observations.events.push_back(event);
                json!({ "EventId": counter.rng.uuid() })
            }
            Err((code, message)) => {
                failed += 1;
                json!({ "ErrorCode": code, "ErrorMessage": message })
            }
        });
    }
    while observations.events.len() > emulator.scenario().remembered {
        observations.events.pop_front();
    }
    Ok(json!({ "FailedEntryCount": failed, "Entries": results }))
}

impl Entry {
    /// Returns the size as EventBridge counts it: the texts, and 14 bytes for a time.
    fn size(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail].into_iter().flatten();
        let bytes: usize = texts.chain(&self.resources).map(String::len).sum();
        bytes + if self.time.is_some() { 14 } else { 0 }
    }

    /// Validates the entry.
    ///
    /// # Errors
    /// The code and the message of the refusal.
    fn into_event(self, region: &str) -> Result<AcceptedEvent, (&'static str, String)> {
        let required = |name: &str, text: Option<String>| {
            text.filter(|text| !text.is_empty()).ok_or_else(|| {
                let message =
                    format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
                ("InvalidArgument", message)
            })
        };
        let source = required("Source", self.source)?;
        let detail_type = required("DetailType", self.detail_type)?;
        if source.starts_with("aws.") {
            return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
        }
        let detail: Value = serde_json::from_str(&required("Detail", self.detail)?).unwrap_or_default();
        if !detail.is_object() {
            return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
        }
        let bus = self.event_bus_name.unwrap_or_else(|| "default".to_owned());
        Ok(AcceptedEvent { region: region.to_owned(), bus, source, detail_type, detail })
    }
}
