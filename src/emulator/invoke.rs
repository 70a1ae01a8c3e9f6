//! Lambda's Invoke.

mod plan;
mod respond;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::control::denied;
use super::errors::ErrorResponse;
use super::fault::FaultKind;
use super::handler::{self, RecognizedPing};
use super::observe::Invocation;
use super::profile::Profile;
use super::reference::Reference;
use super::wire::{Call, ConnectionCut, HttpResponse, response};
use super::{Emulator, EmulatorState};
use crate::domain::function::Tenant;
use plan::{Executed, InvocationPlan};

/// The largest request of a synchronous invocation, bytes. Source: Lambda quotas.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;
/// The largest client context, bytes of base64.
const MAX_CONTEXT: usize = 3583;
/// The header that names the tenant of a function with tenant isolation.
const TENANT_ID: &str = "x-amz-tenant-id";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

impl InvocationType {
    fn parse(text: Option<&str>) -> Result<Self, ErrorResponse> {
        match text {
            None | Some("RequestResponse") => Ok(Self::RequestResponse),
            Some("Event") => Ok(Self::Event),
            Some("DryRun") => Ok(Self::DryRun),
            Some(other) => {
                let message = format!("Value '{other}' at 'invocationType' failed to satisfy constraint");
                Err(ErrorResponse::invalid(message))
            }
        }
    }
}

/// An invocation that Lambda has not refused yet.
struct Invoke<'a> {
    emulator: &'a Emulator,
    call: &'a Call,
    reference: Reference,
    /// The profile of the version that executes.
    profile: Profile,
    kind: InvocationType,
    plan: InvocationPlan,
}

/// Handles `POST /2015-03-31/functions/{name}/invocations`.
pub(super) async fn invoke(
    emulator: &Emulator,
    call: &Call,
    name: &str,
    body: Bytes,
) -> Result<HttpResponse, ConnectionCut> {
    let reference = match Reference::parse(name, call, &emulator.scenario()) {
        Ok(reference) => reference,
        Err(error) => return Ok(error.response("-")),
    };
    let mut observed = arrived(&reference, call);
    let invoke = match Invoke::plan(emulator, call, reference) {
        Ok(invoke) => invoke,
        Err(error) => {
            record_error(emulator, observed, &error, emulator.now());
            return Ok(error.response("-"));
        }
    };
    observed.version = Some(invoke.plan.version.clone());
    if !invoke.plan.delay_there.is_zero() {
        emulator.until(call.arrived + invoke.plan.delay_there).await;
    }
    let ping = match invoke.admit(&body) {
        Ok(ping) => ping,
        Err(error) => {
            let answered = emulator.now() + invoke.plan.delay_back;
            record_error(emulator, observed, &error, answered);
            emulator.until(answered).await;
            return Ok(error.response(&invoke.plan.request_id));
        }
    };
    if let Some(ping) = &ping {
        observed.preset = Some(ping.preset);
        observed.round.clone_from(&ping.round);
        observed.index = ping.index;
        observed.fans_out = ping.fans_out;
    }
    match invoke.kind {
        InvocationType::DryRun => Ok(invoke.dry_run(observed).await),
        InvocationType::RequestResponse | InvocationType::Event => invoke.serve(ping, observed).await,
    }
}

impl<'a> Invoke<'a> {
    fn plan(emulator: &'a Emulator, call: &'a Call, reference: Reference) -> Result<Self, ErrorResponse> {
        let kind = InvocationType::parse(call.header("x-amz-invocation-type"))?;
        let scenario = emulator.scenario();
        let profile = reference.profile(&scenario)?;
        if reference.qualifier.as_ref().is_some_and(|qualifier| profile.denied_on.contains(qualifier)) {
            return Err(denied(&scenario, "lambda", "InvokeFunction", &reference.arn()));
        }
        let plan = InvocationPlan::new(emulator, &reference, profile, kind)?;
        let profile = profile.of_version(&plan.version).clone();
        Ok(Self { emulator, call, reference, profile, kind, plan })
    }

    /// Returns the ping that the payload is; `None` for real work.
    ///
    /// # Errors
    /// The refusal of the payload, or that of a fault.
    fn admit(&self, body: &[u8]) -> Result<Option<RecognizedPing>, ErrorResponse> {
        self.check_tenant()?;
        let (payload, context) = payload(self.call, body)?;
        match self.plan.faults.iter().find_map(refusal) {
            Some(error) => Err(error),
            None => Ok(handler::recognize(self.profile.handler, &payload, context.as_ref())),
        }
    }

    /// Checks that the request names a tenant if the function has tenant isolation, and none otherwise.
    ///
    /// # Errors
    /// Lambda's refusal.
    fn check_tenant(&self) -> Result<(), ErrorResponse> {
        let mode =
            self.profile.configuration.get("TenancyConfig").map(|tenancy| &tenancy["TenantIsolationMode"]);
        let is_isolated = mode.is_some_and(|mode| mode == "PER_TENANT");
        let message = match (is_isolated, self.call.header(TENANT_ID)) {
            (true, Some(tenant)) if Tenant::parse(tenant).is_ok() => return Ok(()),
            (true, _) => {
                "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
            }
            (false, None) => return Ok(()),
            (false, Some(_)) => {
                "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again."
            }
        };
        Err(ErrorResponse::invalid(message))
    }

    async fn dry_run(&self, mut observed: Invocation) -> HttpResponse {
        let answered = self.emulator.now() + self.plan.delay_back;
        (observed.answered, observed.status) = (answered, Some(204));
        record(&mut self.emulator.state(), self.emulator, observed);
        self.emulator.until(answered).await;
        self.empty(204)
    }

    async fn serve(
        &self,
        ping: Option<RecognizedPing>,
        observed: Invocation,
    ) -> Result<HttpResponse, ConnectionCut> {
        let executed = self.execute(ping.as_ref(), observed);
        let answered = executed.as_ref().map_or_else(|(_, answered)| *answered, |ran| ran.answered);
        self.emulator.until(answered).await;
        match executed {
            _ if self.kind == InvocationType::Event && executed.is_err() => Ok(self.empty(202)),
            Err((error, _)) => Ok(error.response(&self.plan.request_id)),
            Ok(_) if self.plan.faults.contains(&FaultKind::Reset) => Err(ConnectionCut),
            Ok(_) if self.kind == InvocationType::Event => Ok(self.empty(202)),
            Ok(executed) => {
                let preset = ping.map(|ping| ping.preset);
                Ok(self.success(&executed.execution, &self.body(&executed, preset)))
            }
        }
    }

    /// Returns a response without a body.
    fn empty(&self, status: u16) -> HttpResponse {
        response(status, "application/json", Vec::new(), &[("x-amzn-requestid", &self.plan.request_id)])
    }
}

/// Returns the observation of a request that has arrived.
fn arrived(reference: &Reference, call: &Call) -> Invocation {
    Invocation {
        account: reference.account.clone(),
        region: reference.region.clone(),
        function: reference.name.clone(),
        qualifier: reference.qualifier.clone(),
        tenant: call.header(TENANT_ID).map(str::to_owned),
        kind: call.header("x-amz-invocation-type").unwrap_or("RequestResponse").to_owned(),
        connection: call.connection,
        arrived: call.arrived,
        answered: call.arrived,
        ..Invocation::default()
    }
}

/// Parses the payload and the client context.
///
/// # Errors
/// Lambda's refusal.
fn payload(call: &Call, body: &[u8]) -> Result<(Value, Option<Value>), ErrorResponse> {
    if body.len() > MAX_PAYLOAD {
        let message =
            format!("Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation");
        return Err(ErrorResponse::new(413, "RequestTooLargeException", message));
    }
    let invalid = |message: String| ErrorResponse::new(400, "InvalidRequestContentException", message);
    let payload = match body {
        [] => json!({}),
        _ => serde_json::from_slice(body)
            .map_err(|error| invalid(format!("Could not parse request body into json: {error}")))?,
    };
    let context = match call.header("x-amz-client-context") {
        None => None,
        Some(text) if text.len() > MAX_CONTEXT => {
            let message = "Client context must be no more than 3583 bytes when base64-encoded.";
            return Err(invalid(message.to_owned()));
        }
        Some(text) => {
            let decoded = STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let message = "Client context must be a valid Base64-encoded JSON object.";
            Some(decoded.ok_or_else(|| invalid(message.to_owned()))?)
        }
    };
    Ok((payload, context))
}

/// Returns the refusal of a fault that refuses the request.
fn refusal(fault: &FaultKind) -> Option<ErrorResponse> {
    match fault {
        FaultKind::Throttle { reason } => Some(ErrorResponse::throttled(reason)),
        FaultKind::Refuse { status, code, message } => Some(ErrorResponse::new(*status, code, message)),
        _ => None,
    }
}

fn record_error(emulator: &Emulator, mut observed: Invocation, error: &ErrorResponse, answered: Duration) {
    (observed.answered, observed.status, observed.refusal) =
        (answered, Some(error.status), Some(error.label()));
    record(&mut emulator.state(), emulator, observed);
}

fn record(state: &mut EmulatorState, emulator: &Emulator, observed: Invocation) {
    state.observations.add(observed, &mut state.in_flight, emulator.scenario().remembered);
}
