//! The operations that describe scalable targets, policies, scheduled actions and activities, in pages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::capacity::Place;
use super::super::errors::ErrorResponse;
use super::operations::{Caller, DIMENSION, Input, invalid, resource_id};
use super::targets::{Activity, Effect, Scaling, Target};

/// Returns a page of an answer: of `items`, in the order of their keys, those after the last one of the page before.
fn page(
    name: &str,
    items: impl Iterator<Item = (String, Value)>,
    input: &Input,
    most: usize,
) -> Result<Value, ErrorResponse> {
    let size = input.max_results.unwrap_or(most);
    if size == 0 || size > most {
        return Err(invalid(format!("MaxResults must be between 1 and {most}")));
    }
    let unknown = || ErrorResponse::new(400, "InvalidNextTokenException", "Invalid NextToken");
    let after = match &input.next_token {
        None => None,
        Some(token) => {
            let bytes = STANDARD.decode(token).map_err(|_| unknown())?;
            Some(String::from_utf8(bytes).map_err(|_| unknown())?)
        }
    };
    let mut rest = items.skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after)).peekable();
    let mut last = String::new();
    let mut shown = Vec::new();
    while let Some((key, item)) = rest.next_if(|_| shown.len() < size) {
        last = key;
        shown.push(item);
    }
    let mut answer = json!({ name: shown });
    if rest.peek().is_some() {
        answer["NextToken"] = json!(STANDARD.encode(last));
    }
    Ok(answer)
}

impl Scaling {
    /// Returns the targets of the caller that the request names, with their resource ids.
    fn chosen<'s, C>(
        &'s self,
        caller: &Caller<'_, C>,
        input: &'s Input,
    ) -> impl Iterator<Item = (String, &'s Target)> + use<'s, C> {
        let scope = caller.scope();
        let own = self.targets.iter().filter(move |(place, _)| place.scope == scope);
        own.map(|(place, target)| (resource_id(place), target)).filter(|(id, _)| {
            input.resource_id.as_ref().is_none_or(|only| only == id)
                && input.resource_ids.as_ref().is_none_or(|ids| ids.contains(id))
        })
    }

    /// DescribeScalableTargets.
    pub(super) fn describe_targets<C>(
        &self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        input.check()?;
        let role = format!(
            "arn:aws:iam::{}:role/aws-service-role/lambda.application-autoscaling.amazonaws.com/\
             AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
            caller.account
        );
        let shown = |(id, target): (String, &Target)| {
            let body = json!({
                "ServiceNamespace": "lambda",
                "ResourceId": id,
                "ScalableDimension": DIMENSION,
                "MinCapacity": target.min,
                "MaxCapacity": target.max,
                "RoleARN": role,
                "CreationTime": caller.seconds(target.created),
                "SuspendedState": {
                    "DynamicScalingInSuspended": target.suspended.scaling_in,
                    "DynamicScalingOutSuspended": target.suspended.scaling_out,
                    "ScheduledScalingSuspended": target.suspended.scheduled,
                },
                "ScalableTargetARN": target.arn,
            });
            (id, body)
        };
        page("ScalableTargets", sorted(self.chosen(caller, input).map(shown)), input, 50)
    }

    /// DescribeScalingPolicies.
    pub(super) fn describe_policies<C>(
        &self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        input.check()?;
        let of = |(id, target): (String, &Target)| -> Vec<(String, Value)> {
            let named = target.policies.iter();
            let named =
                named.filter(|(name, _)| input.policy_names.as_ref().is_none_or(|n| n.contains(name)));
            let shown = |(name, policy): (&String, &super::targets::Policy)| {
                let mut body = json!({
                    "PolicyARN": policy.arn,
                    "PolicyName": name,
                    "ServiceNamespace": "lambda",
                    "ResourceId": id,
                    "ScalableDimension": DIMENSION,
                    "PolicyType": policy.kind,
                    "Alarms": policy.shown_alarms(caller),
                    "CreationTime": caller.seconds(policy.created),
                });
                if let Some(body) = body.as_object_mut() {
                    body.extend(policy.settings.clone());
                }
                (format!("{id}/{name}"), body)
            };
            named.map(shown).collect()
        };
        page("ScalingPolicies", sorted(self.chosen(caller, input).flat_map(of)), input, 10)
    }

    /// DescribeScheduledActions.
    pub(super) fn describe_actions<C>(
        &self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        input.check()?;
        let names = input.scheduled_action_names.as_ref();
        let of = |(id, target): (String, &Target)| -> Vec<(String, Value)> {
            let named = target.actions.iter().filter(|(name, _)| names.is_none_or(|n| n.contains(name)));
            let shown = |(name, action): (&String, &super::targets::Action)| {
                let mut body = json!({
                    "ScheduledActionName": name,
                    "ScheduledActionARN": action.arn,
                    "ServiceNamespace": "lambda",
                    "Schedule": action.schedule,
                    "ResourceId": id,
                    "ScalableDimension": DIMENSION,
                    "ScalableTargetAction": {},
                    "CreationTime": caller.seconds(action.created),
                });
                for (key, bound) in [("MinCapacity", action.min), ("MaxCapacity", action.max)] {
                    if let Some(bound) = bound {
                        body["ScalableTargetAction"][key] = json!(bound);
                    }
                }
                if let Some(timezone) = &action.timezone {
                    body["Timezone"] = json!(timezone);
                }
                for (key, time) in [("StartTime", action.period.0), ("EndTime", action.period.1)] {
                    if let Some(time) = time {
                        body[key] = json!(time.timestamp_millis() as f64 / 1e3);
                    }
                }
                (format!("{id}/{name}"), body)
            };
            named.map(shown).collect()
        };
        page("ScheduledActions", sorted(self.chosen(caller, input).flat_map(of)), input, 50)
    }

    /// DescribeScalingActivities, the latest first. They outlive their targets.
    pub(super) fn describe_activities<C>(
        &self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        input.check()?;
        let scope = caller.scope();
        let is_chosen = |Activity { place, .. }: &&Activity| {
            place.scope == scope && input.resource_id.as_ref().is_none_or(|only| *only == resource_id(place))
        };
        let shown = |activity: &Activity| {
            // The keys ascend from the latest activity.
            (format!("{:020}", u64::MAX - activity.number), activity.shown(caller))
        };
        page("ScalingActivities", self.activities.iter().rev().filter(is_chosen).map(shown), input, 50)
    }
}

/// Sorts items by their keys.
fn sorted(items: impl Iterator<Item = (String, Value)>) -> impl Iterator<Item = (String, Value)> {
    let mut items: Vec<(String, Value)> = items.collect();
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    items.into_iter()
}

impl Activity {
    /// Returns the activity as answers have it. Source of the wording: Application Auto Scaling user guide and public
    /// reports on Lambda, 2022-2026.
    fn shown<C>(&self, caller: &Caller<'_, C>) -> Value {
        let Self { place: place @ Place { .. }, cause, started, ended, failure, .. } = self;
        let (effect, stop) = match self.effect {
            Effect::Capacity(number) => (format!("desired concurrency to {number}"), "."),
            Effect::Bounds(Some(min), Some(max)) => {
                (format!("min capacity to {min} and max capacity to {max}"), "")
            }
            Effect::Bounds(Some(min), None) => (format!("min capacity to {min}"), ""),
            Effect::Bounds(None, max) => (format!("max capacity to {}", max.unwrap_or_default()), ""),
        };
        let is_over = *ended <= caller.now;
        let (code, message) = match (failure, &self.effect) {
            (Some(failure), _) => ("Failed", format!("Failed to set {effect}. {failure}")),
            (None, Effect::Bounds(..)) => ("Successful", format!("Successfully set {effect}")),
            (None, Effect::Capacity(_)) if is_over => {
                ("Successful", format!("Successfully set {effect}. Change successfully fulfilled by lambda."))
            }
            (None, Effect::Capacity(_)) => (
                "InProgress",
                format!("Successfully set {effect}. Waiting for change to be fulfilled by lambda."),
            ),
        };
        let mut body = json!({
            "ActivityId": self.id,
            "ServiceNamespace": "lambda",
            "ResourceId": resource_id(place),
            "ScalableDimension": DIMENSION,
            "Description": format!("Setting {effect}{stop}"),
            "Cause": cause,
            "StartTime": caller.seconds(*started),
            "StatusCode": code,
            "StatusMessage": message,
        });
        // The service answers no end for a change of bounds.
        if is_over && matches!(self.effect, Effect::Capacity(_)) {
            body["EndTime"] = json!(caller.seconds(*ended));
        }
        body
    }
}
