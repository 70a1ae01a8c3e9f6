//! The reads of Lambda's control plane that a warmer needs, with plausible, minimal answers.

use serde_json::{Value, json};

use super::errors::ErrorResponse;
use super::fault::CallEffect;
use super::observe::ControlRead;
use super::pool::Key;
use super::profile::{Package, Profile};
use super::reference::Reference;
use super::scenario::{Operation, Scenario};
use super::wire::{Call, ConnectionCut, HttpResponse, json_response, response};
use super::{CallCounter, Emulator, EmulatorState, FunctionState};

/// Handles a read of a function.
pub(super) async fn read(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    name: &str,
) -> Result<HttpResponse, ConnectionCut> {
    let function = match call.query("Qualifier") {
        Some(qualifier) => format!("{name}:{qualifier}"),
        None => name.to_owned(),
    };
    let answer = |scenario: &Scenario| {
        let reference = Reference::parse(name, call, scenario)?;
        check_permission(scenario, operation, &reference.arn())?;
        let profile = reference.profile(scenario)?;
        let version = reference.version(profile, 0.0)?;
        body(emulator, operation, &reference, profile, &version)
    };
    serve(emulator, call, operation, Some(function), answer).await
}

/// Handles GetAccountSettings.
pub(super) async fn account_settings(
    emulator: &Emulator,
    call: &Call,
) -> Result<HttpResponse, ConnectionCut> {
    let operation = Operation::GetAccountSettings;
    let answer = |scenario: &Scenario| {
        check_permission(scenario, operation, "*")?;
        Ok(json!({
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800_u64,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": scenario.account.concurrency,
                "UnreservedConcurrentExecutions": scenario.unreserved(),
            },
            "AccountUsage": { "TotalCodeSize": 0, "FunctionCount": scenario.functions.len() },
        }))
    };
    serve(emulator, call, operation, None, answer).await
}

/// Answers a read with `answer`, unless the rate limit or a fault applies, and records it.
async fn serve(
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
            None => json_response(200, &body, &[]),
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
fn check_permission(scenario: &Scenario, operation: Operation, resource: &str) -> Result<(), ErrorResponse> {
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
    let message = format!(
        "User: arn:aws:iam::{}:user/emulated is not authorized to perform: {service}:{operation:?} on \
         resource: {resource} \
         because no identity-based policy allows the {service}:{operation:?} action",
        scenario.account.id
    );
    Err(ErrorResponse::new(403, "AccessDeniedException", message))
}

/// Returns the body of a successful read.
fn body(
    emulator: &Emulator,
    operation: Operation,
    reference: &Reference,
    profile: &Profile,
    version: &str,
) -> Result<Value, ErrorResponse> {
    let reserved = profile.reserved.map(|reserved| json!({ "ReservedConcurrentExecutions": reserved }));
    Ok(match operation {
        Operation::GetFunction => {
            let mut body = json!({
                "Configuration": configuration(emulator, reference, profile, version),
                "Code": { "RepositoryType": "S3" },
            });
            if let Some(reserved) = reserved {
                body["Concurrency"] = reserved;
            }
            body
        }
        Operation::GetFunctionConfiguration => configuration(emulator, reference, profile, version),
        Operation::GetFunctionConcurrency => reserved.unwrap_or_else(|| json!({})),
        Operation::GetProvisionedConcurrencyConfig => {
            let Some(provisioned) = profile.provisioned_for(reference.qualifier.as_deref()) else {
                return Err(ErrorResponse::new(
                    404,
                    "ProvisionedConcurrencyConfigNotFoundException",
                    "No Provisioned Concurrency Config found for this function",
                ));
            };
            let is_ready = emulator.state().is_prepared(&reference.name, profile, emulator.now());
            let available = if is_ready { provisioned } else { 0 };
            json!({
                "RequestedProvisionedConcurrentExecutions": provisioned,
                "AvailableProvisionedConcurrentExecutions": available,
                "AllocatedProvisionedConcurrentExecutions": available,
                "Status": if is_ready { "READY" } else { "IN_PROGRESS" },
                "LastModified": "2026-01-01T00:00:00+0000",
            })
        }
        _ => json!({}),
    })
}

/// Returns the configuration of `version` of the function with that profile.
fn configuration(emulator: &Emulator, reference: &Reference, profile: &Profile, version: &str) -> Value {
    let profile = profile.of_version(version);
    let key = Key {
        scope: format!("{}/{}", reference.account, reference.region),
        function: reference.name.clone(),
        version: version.to_owned(),
        tenant: None,
        provisioned: None,
    };
    let state = emulator.state().function_state(&key, profile, emulator.now());
    let (state, reason) = match state {
        FunctionState::Active => ("Active", None),
        FunctionState::Inactive => ("Inactive", Some(("Idle", "The function has been idle."))),
        FunctionState::Pending => ("Pending", Some(("Restoring", "The function is being restored."))),
    };
    let package = match profile.package {
        Package::Zip => "Zip",
        Package::Image => "Image",
    };
    let snapstart = match profile.restore {
        Some(_) if version.starts_with('$') => {
            json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "Off" })
        }
        Some(_) => json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "On" }),
        None => json!({ "ApplyOn": "None", "OptimizationStatus": "Off" }),
    };
    let mut body = json!({
        "FunctionName": reference.name,
        "FunctionArn": reference.arn(),
        "Version": version,
        "Role": format!("arn:aws:iam::{}:role/emulated", reference.account),
        "CodeSize": 1024,
        "CodeSha256": profile.code_sha256(),
        "Description": "",
        "Timeout": profile.timeout.as_secs(),
        "MemorySize": profile.memory_mb,
        "LastModified": "2026-01-01T00:00:00.000+0000",
        "PackageType": package,
        "Architectures": ["x86_64"],
        "State": state,
        "LastUpdateStatus": "Successful",
        "TracingConfig": { "Mode": if profile.xray { "Active" } else { "PassThrough" } },
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": snapstart,
    });
    if let Some(runtime) = profile.runtime.as_ref().filter(|_| profile.package == Package::Zip) {
        body["Runtime"] = json!(runtime);
    }
    if let Some((code, text)) = reason {
        (body["StateReasonCode"], body["StateReason"]) = (json!(code), json!(text));
    }
    if let Some(fields) = body.as_object_mut() {
        fields.extend(profile.configuration.clone());
    }
    body
}
