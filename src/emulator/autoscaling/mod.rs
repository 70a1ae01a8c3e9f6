//! Application Auto Scaling in JSON 1.1: scalable targets of provisioned concurrency, target tracking, one-time scheduled
//! actions and activities. Recurring schedules and step scaling are stored and have no effect.
//!
//! What the service does by itself happens when the next request or observation arrives, with the times at which it was
//! due.

mod describe;
mod operations;
mod schedule;
mod targets;
#[cfg(test)]
mod tests;
mod tracking;

use std::time::Duration;

use serde_json::{Value, json};

use super::capacity::{self, Place};
use super::errors::ErrorResponse;
use super::reference::Reference;
use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse, response};
use super::{Emulator, control};
use operations::{Caller, Input};
use targets::Capacity;
pub(super) use targets::{Scaling, next_minute};

/// The beginning of `X-Amz-Target`.
pub(super) const TARGET: &str = "AnyScaleFrontendService.";

impl Capacity for Emulator {
    fn check(&self, place: &Place) -> Result<(), ErrorResponse> {
        let (account, region) = place.scope.split_once('/').unwrap_or_default();
        let reference = Reference {
            account: account.to_owned(),
            region: region.to_owned(),
            name: place.function.clone(),
            qualifier: Some(place.qualifier.clone()),
        };
        capacity::version(self, &reference).map(drop)
    }

    fn request(&self, place: &Place, number: u32, at: Duration) -> Result<(), ErrorResponse> {
        capacity::request_at(self, place, number, at)
    }

    fn requested(&self, place: &Place, at: Duration) -> u32 {
        capacity::requested(self, place, at)
    }

    fn utilization(&self, place: &Place, end: Duration) -> Option<f64> {
        capacity::utilization(self, place, end)
    }

    fn prepare(&self, place: &Place) -> Duration {
        self.scenario().profile(&place.function).map_or(Duration::ZERO, |profile| profile.prepare)
    }
}

impl Scaling {
    /// Performs an operation.
    fn call<C: Capacity>(
        &mut self,
        caller: &Caller<'_, C>,
        operation: Operation,
        body: Value,
    ) -> Result<Value, ErrorResponse> {
        let input: Input = serde_json::from_value(body)
            .map_err(|error| ErrorResponse::new(400, "SerializationException", error.to_string()))?;
        let done = match operation {
            Operation::RegisterScalableTarget => self.register(caller, input),
            Operation::DeregisterScalableTarget => self.deregister(caller, &input),
            Operation::DescribeScalableTargets => self.describe_targets(caller, &input),
            Operation::PutScalingPolicy => self.put_policy(caller, input),
            Operation::DeleteScalingPolicy => self.delete_policy(caller, &input),
            Operation::DescribeScalingPolicies => self.describe_policies(caller, &input),
            Operation::PutScheduledAction => self.put_action(caller, input),
            Operation::DeleteScheduledAction => self.delete_action(caller, &input),
            Operation::DescribeScheduledActions => self.describe_actions(caller, &input),
            Operation::DescribeScalingActivities => self.describe_activities(caller, &input),
            Operation::TagResource | Operation::UntagResource => self.tags(caller, input).map(|_| json!({})),
            Operation::ListTagsForResource => self.tags(caller, input),
            _ => {
                let message = format!("{operation:?} is not an operation of Application Auto Scaling");
                Err(ErrorResponse::new(404, "UnknownOperationException", message))
            }
        };
        self.quiet_until = Duration::ZERO;
        done
    }
}

/// Does what the service has to do by itself up to the emulated time `until`.
pub(super) fn advance(emulator: &Emulator, until: Duration) {
    if let Some(origin) = emulator.inner.utc_origin.get() {
        emulator.auto_scaling().advance(emulator, *origin, until);
    }
}

/// Handles an operation of Application Auto Scaling.
pub(super) async fn serve(
    emulator: &Emulator,
    call: &Call,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    let name = call.header("x-amz-target").and_then(|target| target.strip_prefix(TARGET));
    let Ok(operation) = serde_json::from_value::<Operation>(json!(name)) else {
        let message = format!("the emulator does not support {}", name.unwrap_or_default());
        return Ok(refused(&ErrorResponse::new(404, "UnknownOperationException", message)));
    };
    let (is_above_rate, effect) = control::admit(emulator, call, operation, "/application-autoscaling");
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let throttled = || ErrorResponse::new(400, "ThrottlingException", "Rate exceeded");
    let function = body["ResourceId"].as_str().and_then(|id| id.strip_prefix("function:")).map(str::to_owned);
    let result = match effect.refusal {
        Some(error) => Err(error),
        None if is_above_rate => Err(throttled()),
        None => perform(emulator, call, operation, body),
    };
    let response = match result {
        Ok(answer) => json_1_1(200, &effect.answer.unwrap_or(answer), &[]),
        Err(error) => refused(&error),
    };
    control::record(emulator, call, operation, function, (!effect.cut).then_some(response.status().as_u16()));
    emulator.respond_after(effect.delay, response, effect.cut).await
}

fn perform(
    emulator: &Emulator,
    call: &Call,
    operation: Operation,
    body: Value,
) -> Result<Value, ErrorResponse> {
    let scenario = emulator.scenario();
    if emulator.inner.utc_origin.get().is_none() {
        let message = "Missing Authentication Token";
        return Err(ErrorResponse::new(400, "MissingAuthenticationTokenException", message));
    }
    let service = "application-autoscaling";
    let resource = format!("arn:aws:{service}:{}:{}:scalable-target/*", call.region(), scenario.account.id);
    control::permit(&scenario, service, operation, &resource)
        .map_err(|denied| ErrorResponse { status: 400, ..denied })?;
    emulator.scale(call.region(), operation, body)
}

fn json_1_1(status: u16, body: &Value, headers: &[(&'static str, &str)]) -> HttpResponse {
    response(status, "application/x-amz-json-1.1", body.to_string().into_bytes(), headers)
}

fn refused(error: &ErrorResponse) -> HttpResponse {
    let body = json!({ "__type": error.code, "Message": error.message });
    json_1_1(error.status, &body, &[("x-amzn-errortype", &error.code)])
}

impl Emulator {
    fn scale(&self, region: &str, operation: Operation, body: Value) -> Result<Value, ErrorResponse> {
        let scenario = self.scenario();
        let caller = Caller {
            capacity: self,
            account: &scenario.account.id,
            region,
            now: self.now(),
            origin: self.inner.utc_origin.get().copied(),
        };
        self.auto_scaling().call(&caller, operation, body)
    }

    /// Performs an operation of Application Auto Scaling as somebody else in the account, without permissions, rate
    /// limit, faults and record. `input` and the answer are the bodies of the request and the response.
    ///
    /// # Errors
    /// The exception and the message of a refusal.
    pub fn autoscaling(&self, region: &str, operation: Operation, input: Value) -> Result<Value, String> {
        self.make_due_changes();
        self.scale(region, operation, input).map_err(|error| format!("{}: {}", error.code, error.message))
    }

    /// Makes every change of capacity by Application Auto Scaling fail for a function and qualifier, with Lambda's
    /// message `failure`; with `None` it succeeds again. A failed change is not repeated by itself.
    pub fn fail_scaling(&self, region: &str, function: &str, qualifier: &str, failure: Option<&str>) {
        self.make_due_changes();
        let place = Place {
            scope: format!("{}/{region}", self.scenario().account.id),
            function: function.to_owned(),
            qualifier: qualifier.to_owned(),
        };
        self.auto_scaling().fail(place, failure);
    }
}
