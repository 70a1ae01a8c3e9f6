//! The reads of Lambda's control plane that a warmer needs, with plausible, minimal answers.

use serde_json::{Value, json};

use super::Emulator;
use super::errors::ErrorResponse;
use super::observe::ControlRead;
use super::profile::{Package, Profile};
use super::reference::Reference;
use super::scenario::Operation;
use super::wire::{Call, HttpResponse, json_response};

/// Handles a read of a function.
pub(super) fn read(emulator: &Emulator, call: &Call, operation: Operation, name: &str) -> HttpResponse {
    let function = match call.query("Qualifier") {
        Some(qualifier) => format!("{name}:{qualifier}"),
        None => name.to_owned(),
    };
    record(emulator, call, operation, Some(function));
    let scenario = emulator.scenario();
    let body = Reference::parse(name, call, scenario).and_then(|reference| {
        check_permission(emulator, operation, &reference.arn())?;
        let profile = reference.profile(scenario)?;
        let version = reference.version(profile, 0.0)?;
        body(operation, &reference, profile, &version)
    });
    match body {
        Ok(body) => json_response(200, &body, &[]),
        Err(error) => error.response("-"),
    }
}

/// Handles GetAccountSettings.
pub(super) fn account_settings(emulator: &Emulator, call: &Call) -> HttpResponse {
    record(emulator, call, Operation::GetAccountSettings, None);
    if let Err(error) = check_permission(emulator, Operation::GetAccountSettings, "*") {
        return error.response("-");
    }
    let scenario = emulator.scenario();
    let body = json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": scenario.account.concurrency,
            "UnreservedConcurrentExecutions": scenario.unreserved(),
        },
        "AccountUsage": { "TotalCodeSize": 0, "FunctionCount": scenario.functions.len() },
    });
    json_response(200, &body, &[])
}

fn record(emulator: &Emulator, call: &Call, operation: Operation, function: Option<String>) {
    let reads = &mut emulator.state().observations.reads;
    reads.push_back(ControlRead { region: call.region().to_owned(), operation, function });
    while reads.len() > emulator.scenario().remembered {
        reads.pop_front();
    }
}

/// Checks the caller's permission.
fn check_permission(emulator: &Emulator, operation: Operation, resource: &str) -> Result<(), ErrorResponse> {
    let scenario = emulator.scenario();
    if !scenario.denied.contains(&operation) {
        return Ok(());
    }
    let message = format!(
        "User: arn:aws:iam::{}:user/emulated is not authorized to perform: lambda:{operation:?} on \
         resource: {resource} \
         because no identity-based policy allows the lambda:{operation:?} action",
        scenario.account.id
    );
    Err(ErrorResponse::new(403, "AccessDeniedException", message))
}

/// Returns the body of a successful read.
fn body(
    operation: Operation,
    reference: &Reference,
    profile: &Profile,
    version: &str,
) -> Result<Value, ErrorResponse> {
    let reserved = profile.reserved.map(|reserved| json!({ "ReservedConcurrentExecutions": reserved }));
    Ok(match operation {
        Operation::GetFunction => {
            let mut body = json!({
                "Configuration": configuration(reference, profile, version),
                "Code": { "RepositoryType": "S3" },
            });
            if let Some(reserved) = reserved {
                body["Concurrency"] = reserved;
            }
            body
        }
        Operation::GetFunctionConfiguration => configuration(reference, profile, version),
        Operation::GetFunctionConcurrency => reserved.unwrap_or_else(|| json!({})),
        Operation::GetProvisionedConcurrencyConfig => {
            let Some(provisioned) = profile.provisioned.filter(|_| !version.starts_with('$')) else {
                return Err(ErrorResponse::new(
                    404,
                    "ProvisionedConcurrencyConfigNotFoundException",
                    "No Provisioned Concurrency Config found for this function",
                ));
            };
            json!({
                "RequestedProvisionedConcurrentExecutions": provisioned,
                "AvailableProvisionedConcurrentExecutions": provisioned,
                "AllocatedProvisionedConcurrentExecutions": provisioned,
                "Status": "READY",
                "LastModified": "2026-01-01T00:00:00+0000",
            })
        }
        Operation::GetAccountSettings => json!({}),
    })
}

fn configuration(reference: &Reference, profile: &Profile, version: &str) -> Value {
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
        "CodeSha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "Description": "",
        "Timeout": profile.timeout.as_secs(),
        "MemorySize": profile.memory_mb,
        "LastModified": "2026-01-01T00:00:00.000+0000",
        "PackageType": package,
        "Architectures": ["x86_64"],
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "TracingConfig": { "Mode": if profile.xray { "Active" } else { "PassThrough" } },
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": snapstart,
    });
    if let Some(fields) = body.as_object_mut() {
        fields.extend(profile.configuration.clone());
    }
    body
}
