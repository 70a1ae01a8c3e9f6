//! The reads of Lambda's control plane that a warmer needs, with plausible, minimal answers.

use serde_json::{Value, json};

use super::capacity;
use super::control::{check_permission, serve, target};
use super::pool::Key;
use super::profile::{Package, Profile};
use super::reference::Reference;
use super::scenario::{Operation, Scenario};
use super::wire::{Call, ConnectionCut, HttpResponse};
use super::{Emulator, FunctionState};

/// Handles a read of a function.
pub(super) async fn read(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    name: &str,
) -> Result<HttpResponse, ConnectionCut> {
    let answer = |scenario: &Scenario| {
        let reference = Reference::parse(name, call, scenario)?;
        check_permission(scenario, operation, &reference.arn())?;
        let profile = reference.profile(scenario)?;
        let version = capacity::version(emulator, &reference)?;
        Ok(body(emulator, operation, &reference, profile, &version))
    };
    serve(emulator, call, operation, Some(target(name, call)), answer).await
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

/// Returns the body of a successful read.
fn body(
    emulator: &Emulator,
    operation: Operation,
    reference: &Reference,
    profile: &Profile,
    version: &str,
) -> Value {
    let reserved = profile.reserved.map(|reserved| json!({ "ReservedConcurrentExecutions": reserved }));
    match operation {
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
        _ => json!({}),
    }
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
