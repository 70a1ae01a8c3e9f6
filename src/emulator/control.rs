//! Calls of Lambda's control plane: permission, rate limit, faults and observation.

use serde_json::Value;

use super::errors::ErrorResponse;
use super::fault::CallEffect;
use super::observe::ControlRead;
use super::scenario::{Operation, Scenario};
use super::wire::{Call, ConnectionCut, HttpResponse, json_response, response};
use super::{CallCounter, Emulator, EmulatorState};

/// Returns the function of a call with the qualifier of its query, as in [`ControlRead::function`].
pub(super) fn target(name: &str, call: &Call) -> String {
    match call.query("Qualifier") {
        Some(qualifier) => format!("{name}:{qualifier}"),
        None => name.to_owned(),
    }
}

/// Answers a call with `answer`, unless the rate limit or a fault applies, and records it.
pub(super) async fn serve(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    function: Option<String>,
    answer: impl FnOnce(&Scenario) -> Result<Value, ErrorResponse>,
) -> Result<HttpResponse, ConnectionCut> {
    let scenario = emulator.scenario();
    let (is_above_rate, effect) = admit(emulator, call, operation, "");
    let result = match effect.refusal {
        // Lambda's throttle, which is not that of the other services.
        Some(error) if error.code == "ThrottlingException" => Err(too_many()),
        _ if is_above_rate => Err(too_many()),
        Some(error) => Err(error),
        None => answer(&scenario),
    };
    let response = match result {
        Ok(body) => match effect.answer {
            None if operation.status() == 204 => response(204, "application/json", Vec::new(), &[]),
            None => json_response(operation.status(), &body, &[]),
            Some(Value::String(text)) => response(200, "application/json", text.into_bytes(), &[]),
            Some(other) => json_response(200, &merged(body, other), &[]),
        },
        Err(error) => error.response("-"),
    };
    record(emulator, call, operation, function, (!effect.cut).then_some(response.status().as_u16()));
    emulator.respond_after(effect.delay, response, effect.cut).await
}

/// Counts a call of an operation. Returns true if it is above the rate limit of its `service`, and the effect of the
/// faults.
pub(super) fn admit(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    service: &str,
) -> (bool, CallEffect) {
    let scenario = emulator.scenario();
    let EmulatorState { reads, read_rates, .. } = &mut *emulator.state();
    let second = emulator.now().as_secs();
    let rate = read_rates.entry(format!("{}/{}{service}", scenario.account.id, call.region())).or_default();
    *rate = (second, if rate.0 == second { rate.1.saturating_add(1) } else { 1 });
    let counter = reads
        .entry(operation)
        .or_insert_with(|| CallCounter::new(scenario.seed, &format!("reads/{operation:?}")));
    let faults = scenario.reads.faults.get(&operation).map_or(&[][..], Vec::as_slice);
    (scenario.reads.rate.is_some_and(|most| rate.1 > most), CallEffect::of(&counter.next_faults(faults)))
}

/// Adds a call of an operation to the observations.
pub(super) fn record(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    function: Option<String>,
    status: Option<u16>,
) {
    let read =
        ControlRead { region: call.region().to_owned(), operation, function, arrived: call.arrived, status };
    let reads = &mut emulator.state().observations.reads;
    reads.push_back(read);
    while reads.len() > emulator.scenario().remembered {
        reads.pop_front();
    }
}

fn too_many() -> ErrorResponse {
    ErrorResponse::new(429, "TooManyRequestsException", "Rate exceeded")
}

/// Replaces the fields of `body` that `patch` has. `null` removes a field.
fn merged(body: Value, patch: Value) -> Value {
    match (body, patch) {
        (Value::Object(mut body), Value::Object(patch)) => {
            for (name, value) in patch {
                let old = body.remove(&name);
                if !value.is_null() {
                    body.insert(name, merged(old.unwrap_or_default(), value));
                }
            }
            Value::Object(body)
        }
        (_, patch) => patch,
    }
}

/// Checks the caller's permission for an operation of Lambda.
pub(super) fn check_permission(
    scenario: &Scenario,
    operation: Operation,
    resource: &str,
) -> Result<(), ErrorResponse> {
    permit(scenario, "lambda", operation, resource)
}

/// Checks the caller's permission for an operation of a service.
pub(super) fn permit(
    scenario: &Scenario,
    service: &str,
    operation: Operation,
    resource: &str,
) -> Result<(), ErrorResponse> {
    if !scenario.denied.contains(&operation) {
        return Ok(());
    }
    Err(denied(scenario, service, &format!("{operation:?}"), resource))
}

/// Returns the refusal of an action for which the caller has no permission.
pub(super) fn denied(scenario: &Scenario, service: &str, action: &str, resource: &str) -> ErrorResponse {
    let message = format!(
        "User: arn:aws:iam::{}:user/emulated is not authorized to perform: {service}:{action} on \
         resource: {resource} \
         because no identity-based policy allows the {service}:{action} action",
        scenario.account.id
    );
    ErrorResponse::new(403, "AccessDeniedException", message)
}
