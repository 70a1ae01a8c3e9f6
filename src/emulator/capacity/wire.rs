//! The calls of the control plane about capacity.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::control::{check_permission, serve, target};
use super::super::errors::ErrorResponse;
use super::super::reference::Reference;
use super::super::scenario::{Operation, Scenario};
use super::super::wire::{Call, ConnectionCut, HttpResponse};
use super::super::{Emulator, EmulatorState};
use super::change::{existing, request_at, unpublished, update_alias};
use super::provisioned::Provisioned;
use super::routing::Routing;
use super::scaling::Numbers;
use super::{Place, status};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutProvisioned {
    provisioned_concurrent_executions: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateAlias {
    function_version: Option<String>,
    routing_config: Option<RoutingConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoutingConfig {
    #[serde(default)]
    additional_version_weights: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutScaling {
    function_scaling_config: Option<ScalingConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    min_execution_environments: Option<i64>,
    max_execution_environments: Option<i64>,
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorResponse> {
    let invalid = |error: serde_json::Error| {
        let message = format!("Could not parse request body into json: {error}");
        ErrorResponse::new(400, "InvalidRequestContentException", message)
    };
    serde_json::from_slice(body).map_err(invalid)
}

/// Handles GET, PUT and DELETE of the provisioned concurrency of a qualifier.
pub(in crate::emulator) async fn provisioned_concurrency(
    emulator: &Emulator,
    call: &Call,
    name: &str,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    let operation = match call.parts.method {
        Method::PUT => Operation::PutProvisionedConcurrencyConfig,
        Method::DELETE => Operation::DeleteProvisionedConcurrencyConfig,
        _ => Operation::GetProvisionedConcurrencyConfig,
    };
    let answer = |scenario: &Scenario| {
        let reference = Reference::parse(name, call, scenario)?;
        check_permission(scenario, operation, &reference.arn())?;
        let place = Place::of(&reference);
        match operation {
            Operation::PutProvisionedConcurrencyConfig => {
                let PutProvisioned { provisioned_concurrent_executions: number } = parsed(body)?;
                let number = u32::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
                    let rule = "Member must have value greater than or equal to 1";
                    ErrorResponse::constraint(number, "provisionedConcurrentExecutions", rule)
                })?;
                let place = place.ok_or_else(unpublished)?;
                request_at(emulator, &place, number, emulator.now())?;
                read(emulator, scenario, &place)
            }
            Operation::DeleteProvisionedConcurrencyConfig => {
                request_at(emulator, &place.ok_or_else(unqualified)?, 0, emulator.now())?;
                Ok(Value::Null)
            }
            _ => read(emulator, scenario, &place.ok_or_else(unqualified)?),
        }
    };
    serve(emulator, call, operation, Some(target(name, call)), answer).await
}

fn unqualified() -> ErrorResponse {
    ErrorResponse::invalid("The function resource provided must be an alias or a published version.")
}

/// Returns the body of GetProvisionedConcurrencyConfig.
fn read(emulator: &Emulator, scenario: &Scenario, place: &Place) -> Result<Value, ErrorResponse> {
    let EmulatorState { capacity, .. } = &mut *emulator.state();
    let now = emulator.now();
    let (profile, _) = existing(capacity, scenario, place, now)?;
    let provisioned = capacity.provisioned(place, profile, now).filter(|of| of.requested() > 0);
    let provisioned = provisioned.ok_or_else(|| {
        let message = "No Provisioned Concurrency Config found for this function";
        ErrorResponse::new(404, "ProvisionedConcurrencyConfigNotFoundException", message)
    })?;
    Ok(body_of(provisioned, now))
}

fn body_of(provisioned: &Provisioned, now: Duration) -> Value {
    let (status, reason) = status(provisioned);
    let mut body = json!({
        "RequestedProvisionedConcurrentExecutions": provisioned.requested(),
        "AvailableProvisionedConcurrentExecutions": provisioned.available(),
        "AllocatedProvisionedConcurrentExecutions": provisioned.allocated(now),
        "Status": status,
        "LastModified": "2026-01-01T00:00:00+0000",
    });
    if let Some(reason) = reason {
        body["StatusReason"] = json!(reason);
    }
    body
}

/// Handles ListProvisionedConcurrencyConfigs. A profile without a list of qualifiers shows those that were contacted.
pub(in crate::emulator) async fn provisioned_list(
    emulator: &Emulator,
    call: &Call,
    name: &str,
) -> Result<HttpResponse, ConnectionCut> {
    let operation = Operation::ListProvisionedConcurrencyConfigs;
    let answer = |scenario: &Scenario| {
        let reference = Reference::parse(name, call, scenario)?;
        check_permission(scenario, operation, &reference.arn())?;
        let profile = reference.profile(scenario)?;
        let (EmulatorState { capacity, .. }, now) = (&mut *emulator.state(), emulator.now());
        let is_of = |place: &&Place| (&place.scope, &place.function) == (&reference.scope(), &reference.name);
        let mut qualifiers = profile.provisioned_on.clone();
        qualifiers.extend(capacity.provisioned.keys().filter(is_of).map(|place| place.qualifier.clone()));
        qualifiers.sort();
        qualifiers.dedup();
        let item = |qualifier: String| {
            let of = Reference { qualifier: Some(qualifier), ..reference.clone() };
            let provisioned = capacity.provisioned(&Place::of(&of)?, profile, now)?;
            let mut body = (provisioned.requested() > 0).then(|| body_of(provisioned, now))?;
            body["FunctionArn"] = json!(of.arn());
            Some(body)
        };
        let items: Vec<Value> = qualifiers.into_iter().filter_map(item).collect();
        Ok(json!({ "ProvisionedConcurrencyConfigs": items }))
    };
    serve(emulator, call, operation, Some(target(name, call)), answer).await
}

/// Handles GetAlias and UpdateAlias.
pub(in crate::emulator) async fn alias(
    emulator: &Emulator,
    call: &Call,
    name: &str,
    alias: &str,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    let operation = match call.parts.method {
        Method::PUT => Operation::UpdateAlias,
        _ => Operation::GetAlias,
    };
    let answer = |scenario: &Scenario| {
        let reference = Reference::parse(name, call, scenario)?;
        check_permission(scenario, operation, &reference.arn())?;
        let reference = Reference { qualifier: Some(alias.to_owned()), ..reference };
        let place = Place::of(&reference).filter(|place| !place.is_version()).ok_or_else(|| {
            let rule = "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)";
            ErrorResponse::constraint(alias, "name", rule)
        })?;
        let (state, now) = (&mut *emulator.state(), emulator.now());
        if operation == Operation::UpdateAlias {
            let UpdateAlias { function_version, routing_config } = parsed(body)?;
            let weights = routing_config.map(|routing| routing.additional_version_weights);
            update_alias(state, scenario, &place, function_version, weights, now)?;
        }
        let (_, routing) = existing(&mut state.capacity, scenario, &place, now)?;
        Ok(alias_body(&reference, alias, &routing))
    };
    serve(emulator, call, operation, Some(format!("{name}:{alias}")), answer).await
}

fn alias_body(reference: &Reference, alias: &str, routing: &Routing) -> Value {
    let Routing { version, weights } = routing;
    let mut body = json!({
        "AliasArn": reference.arn(),
        "Name": alias,
        "FunctionVersion": version,
        "Description": "",
        "RevisionId": "00000000-0000-4000-8000-000000000000",
    });
    if !weights.is_empty() {
        body["RoutingConfig"] = json!({ "AdditionalVersionWeights": weights });
    }
    body
}

/// Handles GetFunctionScalingConfig and PutFunctionScalingConfig.
pub(in crate::emulator) async fn function_scaling(
    emulator: &Emulator,
    call: &Call,
    name: &str,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    let operation = match call.parts.method {
        Method::PUT => Operation::PutFunctionScalingConfig,
        _ => Operation::GetFunctionScalingConfig,
    };
    let answer = |scenario: &Scenario| {
        let reference = Reference::parse(name, call, scenario)?;
        check_permission(scenario, operation, &reference.arn())?;
        let qualifier = reference.qualifier.clone().unwrap_or_default();
        let is_version = !qualifier.is_empty() && qualifier.bytes().all(|byte| byte.is_ascii_digit());
        if !is_version && qualifier != "$LATEST.PUBLISHED" {
            let rule = "Member must satisfy regular expression pattern: (\\$LATEST\\.PUBLISHED|[0-9]+)";
            return Err(ErrorResponse::constraint(qualifier, "qualifier", rule));
        }
        let profile = reference.profile(scenario)?.of_version(&qualifier);
        if !profile.configuration.get("CapacityProviderConfig").is_some_and(Value::is_object) {
            let message = "The function is not configured with a capacity provider.";
            return Err(ErrorResponse::new(403, "AccessDeniedException", message));
        }
        let place = Place { scope: reference.scope(), function: reference.name.clone(), qualifier };
        let EmulatorState { capacity, .. } = &mut *emulator.state();
        let now = emulator.now();
        if operation == Operation::GetFunctionScalingConfig {
            return Ok(capacity.scaling.entry(place).or_default().json(now, &reference.arn()));
        }
        let config = parsed::<PutScaling>(body)?.function_scaling_config;
        let config = config.map(|of| (of.min_execution_environments, of.max_execution_environments));
        let (min, max) = config.unwrap_or_default();
        let numbers = Numbers::new(min, max)?;
        capacity.scaling.entry(place).or_default().request(now, numbers, profile.prepare);
        let state = if numbers.max == 0 { "Deactivating" } else { "Active" };
        Ok(json!({ "FunctionState": state }))
    };
    serve(emulator, call, operation, Some(target(name, call)), answer).await
}
