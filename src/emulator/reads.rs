//! The reads of Lambda's control plane that a warmer uses, with plausible, minimal answers.

use serde_json::{Value, json};

use super::Emulator;
use super::profile::{Package, Profile};
use super::reference::{Reference, Refused};
use super::wire::{Answer, Call, Cut, json as answer};

/// A function that a request names, found.
fn found<'a>(
    emulator: &'a Emulator,
    call: &Call,
    name: &str,
) -> Result<(Reference, &'a Profile, String), Refused> {
    let reference = Reference::parse(name, call, emulator.scenario())?;
    let profile = reference.profile(emulator.scenario())?;
    let version = reference.version(profile, 0.0)?;
    Ok((reference, profile, version))
}

/// GetFunctionConfiguration.
pub(super) fn configuration(emulator: &Emulator, call: &Call, name: &str) -> Result<Answer, Cut> {
    Ok(match found(emulator, call, name) {
        Ok((reference, profile, version)) => answer(200, &described(&reference, profile, &version), &[]),
        Err(refused) => refused.answer("-"),
    })
}

/// GetFunction.
pub(super) fn function(emulator: &Emulator, call: &Call, name: &str) -> Result<Answer, Cut> {
    Ok(match found(emulator, call, name) {
        Ok((reference, profile, version)) => {
            let mut body = json!({
                "Configuration": described(&reference, profile, &version),
                "Code": { "RepositoryType": "S3" },
            });
            if let Some(reserved) = profile.reserved {
                body["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
            }
            answer(200, &body, &[])
        }
        Err(refused) => refused.answer("-"),
    })
}

/// GetFunctionConcurrency.
pub(super) fn concurrency(emulator: &Emulator, call: &Call, name: &str) -> Result<Answer, Cut> {
    Ok(match found(emulator, call, name) {
        Ok((_, profile, _)) => match profile.reserved {
            Some(reserved) => answer(200, &json!({ "ReservedConcurrentExecutions": reserved }), &[]),
            None => answer(200, &json!({}), &[]),
        },
        Err(refused) => refused.answer("-"),
    })
}

/// GetProvisionedConcurrencyConfig: nothing here has any.
pub(super) fn provisioned_concurrency(emulator: &Emulator, call: &Call, name: &str) -> Result<Answer, Cut> {
    let refused = match found(emulator, call, name) {
        Ok(_) => Refused::new(
            404,
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
        ),
        Err(refused) => refused,
    };
    Ok(refused.answer("-"))
}

/// GetAccountSettings.
pub(super) fn account_settings(emulator: &Emulator) -> Answer {
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
    answer(200, &body, &[])
}

fn described(reference: &Reference, profile: &Profile, version: &str) -> Value {
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
