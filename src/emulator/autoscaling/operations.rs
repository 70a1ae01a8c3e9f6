//! The operations that change scalable targets, policies, scheduled actions and tags.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::capacity::Place;
use super::super::errors::ErrorResponse;
use super::schedule;
use super::targets::{Action, Capacity, Policy, Scaling, Suspended, Target};
use super::tracking::Tracking;
use crate::domain::function::Region;

/// The service namespace.
const NAMESPACE: &str = "lambda";
/// The scalable dimension.
pub(super) const DIMENSION: &str = "lambda:function:ProvisionedConcurrency";
/// The scalable targets of Lambda in a region. Source for this and the limits below: Application Auto Scaling quotas,
/// 2026-11.
const MAX_TARGETS: usize = 500;
/// The scheduled actions of a scalable target.
const MAX_ACTIONS: usize = 200;
/// The scaling policies of a scalable target.
const MAX_POLICIES: usize = 50;
/// The tags of a scalable target.
const MAX_TAGS: usize = 50;
/// The keys of a policy's configuration.
pub(super) const TRACKING: &str = "TargetTrackingScalingPolicyConfiguration";
const STEPS: &str = "StepScalingPolicyConfiguration";

/// The caller of an operation, and when it is called.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Caller<'c, C> {
    pub capacity: &'c C,
    pub account: &'c str,
    pub region: &'c str,
    pub now: Duration,
    /// The UTC of the emulator's origin; `None` before the first signed request.
    pub origin: Option<DateTime<Utc>>,
}

/// The members of all requests.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Input {
    service_namespace: Option<String>,
    pub resource_id: Option<String>,
    pub scalable_dimension: Option<String>,
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
    suspended_state: Option<SuspendedState>,
    tags: Option<BTreeMap<String, String>>,
    tag_keys: Vec<String>,
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    policy_name: Option<String>,
    policy_type: Option<String>,
    target_tracking_scaling_policy_configuration: Option<Map<String, Value>>,
    step_scaling_policy_configuration: Option<Map<String, Value>>,
    scheduled_action_name: Option<String>,
    schedule: Option<String>,
    timezone: Option<String>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    scalable_target_action: Option<Bounds>,
    pub resource_ids: Option<Vec<String>>,
    pub policy_names: Option<Vec<String>>,
    pub scheduled_action_names: Option<Vec<String>>,
    pub max_results: Option<usize>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Bounds {
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SuspendedState {
    dynamic_scaling_in_suspended: Option<bool>,
    dynamic_scaling_out_suspended: Option<bool>,
    scheduled_scaling_suspended: Option<bool>,
}

pub(super) fn invalid(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::new(400, "ValidationException", message)
}

fn missing(member: &str) -> ErrorResponse {
    invalid(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

fn exceeded(what: &str, most: usize) -> ErrorResponse {
    ErrorResponse::new(400, "LimitExceededException", format!("The limit of {most} {what} is exceeded."))
}

fn object_not_found(what: &str, place: &Place, name: Option<(&str, &str)>) -> ErrorResponse {
    let name = name.map_or(String::new(), |(kind, name)| format!(", {kind}: {name}"));
    let message = format!(
        "No {what} for service namespace: {NAMESPACE}, resource ID: {}, scalable dimension: {DIMENSION}{name}",
        resource_id(place)
    );
    ErrorResponse::new(400, "ObjectNotFoundException", message)
}

fn unregistered(place: &Place) -> ErrorResponse {
    object_not_found("scalable target registered", place, None)
}

/// Returns the resource id of a function with its qualifier.
pub(super) fn resource_id(Place { function, qualifier, .. }: &Place) -> String {
    format!("function:{function}:{qualifier}")
}

fn capacity(number: Option<i64>) -> Result<Option<u32>, ErrorResponse> {
    let invalid = |_| invalid("Capacity must be a number from 0 to 2147483647");
    let number = number.map(|number| i32::try_from(number).map(i64::from)).transpose().map_err(invalid)?;
    number.map(u32::try_from).transpose().map_err(invalid)
}

fn bounded(min: u32, max: u32) -> Result<(), ErrorResponse> {
    match min <= max {
        true => Ok(()),
        false => Err(invalid("Maximum capacity cannot be less than minimum capacity")),
    }
}

fn time(seconds: Option<f64>) -> Result<Option<DateTime<Utc>>, ErrorResponse> {
    let time = |seconds: f64| {
        DateTime::from_timestamp_millis((seconds * 1e3) as i64)
            .ok_or_else(|| invalid("The time is out of range"))
    };
    seconds.map(time).transpose()
}

impl Input {
    /// Returns a member that is required and not empty.
    fn required(text: Option<&String>, member: &str) -> Result<String, ErrorResponse> {
        text.filter(|text| !text.is_empty()).cloned().ok_or_else(|| missing(member))
    }

    /// Checks the service namespace, and the scalable dimension if it is present.
    pub(super) fn check(&self) -> Result<(), ErrorResponse> {
        let namespace = Self::required(self.service_namespace.as_ref(), "serviceNamespace")?;
        if namespace != NAMESPACE {
            return Err(invalid(format!("Unsupported service namespace: {namespace}")));
        }
        match &self.scalable_dimension {
            Some(other) if other != DIMENSION => Err(invalid(format!(
                "Unsupported service namespace, resource type or scalable dimension: {other}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the function and qualifier that the request names.
    fn place<C>(&self, caller: &Caller<'_, C>) -> Result<Place, ErrorResponse> {
        self.check()?;
        Self::required(self.scalable_dimension.as_ref(), "scalableDimension")?;
        let id = Self::required(self.resource_id.as_ref(), "resourceId")?;
        let fields: Vec<&str> = id.split(':').collect();
        match fields.as_slice() {
            ["function", function, qualifier]
                if !function.is_empty() && !qualifier.is_empty() && !qualifier.starts_with('$') =>
            {
                Ok(Place {
                    scope: caller.scope(),
                    function: (*function).to_owned(),
                    qualifier: (*qualifier).to_owned(),
                })
            }
            _ => Err(invalid(format!("Unsupported resource ID: {id}"))),
        }
    }
}

impl<C> Caller<'_, C> {
    /// Returns the account and region as in [`Place::scope`].
    pub(super) fn scope(&self) -> String {
        format!("{}/{}", self.account, self.region)
    }

    /// Returns the beginning of an ARN of a service.
    pub(super) fn arn(&self, service: &str) -> String {
        let partition = Region::parse(self.region).map_or("aws", Region::partition);
        format!("arn:{partition}:{service}:{}:{}", self.region, self.account)
    }

    /// Returns an emulated time in seconds since 1970, as answers have it.
    pub(super) fn seconds(&self, at: Duration) -> f64 {
        let origin = self.origin.unwrap_or_default().timestamp_millis();
        (origin as f64 + at.as_millis() as f64) / 1e3
    }
}

impl Scaling {
    /// RegisterScalableTarget.
    pub(super) fn register<C: Capacity>(
        &mut self,
        caller: &Caller<'_, C>,
        input: Input,
    ) -> Result<Value, ErrorResponse> {
        let place = input.place(caller)?;
        let (min, max) = (capacity(input.min_capacity)?, capacity(input.max_capacity)?);
        match self.targets.get(&place) {
            Some(Target { min: old_min, max: old_max, .. }) => {
                if input.tags.is_some_and(|tags| !tags.is_empty()) {
                    return Err(invalid(
                        "Tags of an existing scalable target cannot be changed by RegisterScalableTarget. Use \
                         TagResource",
                    ));
                }
                bounded(min.unwrap_or(*old_min), max.unwrap_or(*old_max))?;
            }
            None => {
                let (Some(min), Some(max)) = (min, max) else {
                    return Err(missing(if min.is_none() { "minCapacity" } else { "maxCapacity" }));
                };
                bounded(min, max)?;
                caller.capacity.check(&place).map_err(|error| invalid(error.message))?;
                if self.targets.keys().filter(|other| other.scope == place.scope).count() >= MAX_TARGETS {
                    return Err(exceeded("scalable targets", MAX_TARGETS));
                }
                let tags = input.tags.unwrap_or_default();
                if tags.len() > MAX_TAGS {
                    return Err(invalid("Too many tags"));
                }
                let id: String = self.rng.uuid().chars().filter(|letter| *letter != '-').collect();
                let arn = format!("{}:scalable-target/{id}", caller.arn("application-autoscaling"));
                let target = Target::new(arn, tags, caller.now);
                self.targets.insert(place.clone(), target);
            }
        }
        let target = self.targets.get_mut(&place).ok_or_else(|| unregistered(&place))?;
        (target.min, target.max) = (min.unwrap_or(target.min), max.unwrap_or(target.max));
        if let Some(state) = input.suspended_state {
            let old = target.suspended;
            target.suspended = Suspended {
                scaling_in: state.dynamic_scaling_in_suspended.unwrap_or(old.scaling_in),
                scaling_out: state.dynamic_scaling_out_suspended.unwrap_or(old.scaling_out),
                scheduled: state.scheduled_scaling_suspended.unwrap_or(old.scheduled),
            };
        }
        let answer = json!({ "ScalableTargetARN": target.arn });
        self.enforce(&place, caller.now, caller.capacity);
        self.note(&place, caller.now, caller.capacity);
        Ok(answer)
    }

    /// DeregisterScalableTarget, which deletes policies and scheduled actions. The capacity stays.
    pub(super) fn deregister<C: Capacity>(
        &mut self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        let place = input.place(caller)?;
        self.targets.remove(&place).ok_or_else(|| unregistered(&place))?;
        self.note(&place, caller.now, caller.capacity);
        Ok(json!({}))
    }

    /// PutScalingPolicy.
    pub(super) fn put_policy<C>(
        &mut self,
        caller: &Caller<'_, C>,
        input: Input,
    ) -> Result<Value, ErrorResponse> {
        let place = input.place(caller)?;
        let name = Input::required(input.policy_name.as_ref(), "policyName")?;
        let target = self.targets.get_mut(&place).ok_or_else(|| unregistered(&place))?;
        let old = target.policies.get(&name);
        let kind = input.policy_type.or_else(|| old.map(|old| old.kind.clone()));
        let (key, settings) = match kind.as_deref() {
            Some("TargetTrackingScaling") => (TRACKING, input.target_tracking_scaling_policy_configuration),
            Some("StepScaling") => (STEPS, input.step_scaling_policy_configuration),
            other => {
                return Err(invalid(format!("Unsupported policy type: {}", other.unwrap_or("none"))));
            }
        };
        let settings = settings.ok_or_else(|| missing(key))?;
        let tracking = if key == TRACKING { tracking(&settings)? } else { None };
        if old.is_none() && target.policies.len() >= MAX_POLICIES {
            return Err(exceeded("scaling policies", MAX_POLICIES));
        }
        let resource = resource_id(&place);
        let (arn, created, mut alarms) = match old {
            Some(old) => (old.arn.clone(), old.created, old.alarms.clone()),
            None => {
                let (arn, id) = (caller.arn("autoscaling"), self.rng.uuid());
                let arn =
                    format!("{arn}:scalingPolicy:{id}:resource/{NAMESPACE}/{resource}:policyName/{name}");
                (arn, caller.now, Vec::new())
            }
        };
        match key == TRACKING {
            true if alarms.is_empty() => {
                alarms = ["AlarmHigh", "AlarmLow"]
                    .map(|kind| format!("TargetTracking-{resource}-{kind}-{}", self.rng.uuid()))
                    .into();
            }
            true => {}
            false => alarms.clear(),
        }
        let settings = [(key.to_owned(), Value::Object(settings))].into_iter().collect();
        let policy = Policy { arn, kind: kind.unwrap_or_default(), settings, created, alarms, tracking };
        let answer = json!({ "PolicyARN": policy.arn, "Alarms": policy.shown_alarms(caller) });
        target.policies.insert(name, policy);
        Ok(answer)
    }

    /// DeleteScalingPolicy, which deletes its alarms.
    pub(super) fn delete_policy<C>(
        &mut self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        let place = input.place(caller)?;
        let name = Input::required(input.policy_name.as_ref(), "policyName")?;
        let absent = || object_not_found("scaling policy found", &place, Some(("policy name", &name)));
        let target = self.targets.get_mut(&place).ok_or_else(absent)?;
        target.policies.remove(&name).ok_or_else(absent)?;
        Ok(json!({}))
    }

    /// PutScheduledAction. Members that are absent keep their values, except the start and the end, which are deleted.
    pub(super) fn put_action<C>(
        &mut self,
        caller: &Caller<'_, C>,
        input: Input,
    ) -> Result<Value, ErrorResponse> {
        let place = input.place(caller)?;
        let name = Input::required(input.scheduled_action_name.as_ref(), "scheduledActionName")?;
        let target = self.targets.get_mut(&place).ok_or_else(|| unregistered(&place))?;
        let old = target.actions.get(&name);
        let schedule = input.schedule.or_else(|| old.map(|old| old.schedule.clone()));
        let schedule = Input::required(schedule.as_ref(), "schedule")?;
        let timezone = input.timezone.or_else(|| old.and_then(|old| old.timezone.clone()));
        let due = schedule::instant(&schedule, timezone.as_deref()).map_err(invalid)?;
        let now = caller.origin.map(|origin| origin + caller.now);
        if due.zip(now).is_some_and(|(due, now)| due <= now) {
            return Err(invalid(format!("The schedule {schedule} is in the past")));
        }
        let (min, max) = match input.scalable_target_action {
            Some(Bounds { min_capacity, max_capacity }) => (capacity(min_capacity)?, capacity(max_capacity)?),
            None => old.map_or((None, None), |old| (old.min, old.max)),
        };
        if (min, max) == (None, None) {
            return Err(missing("scalableTargetAction"));
        }
        min.zip(max).map_or(Ok(()), |(min, max)| bounded(min, max))?;
        if old.is_none() && target.actions.len() >= MAX_ACTIONS {
            return Err(exceeded("scheduled actions", MAX_ACTIONS));
        }
        let (arn, created) = match old {
            Some(old) => (old.arn.clone(), old.created),
            None => {
                let (arn, id, resource) = (caller.arn("autoscaling"), self.rng.uuid(), resource_id(&place));
                let arn = format!(
                    "{arn}:scheduledAction:{id}:resource/{NAMESPACE}/{resource}:scheduledActionName/{name}"
                );
                (arn, caller.now)
            }
        };
        let period = (time(input.start_time)?, time(input.end_time)?);
        target.actions.insert(name, Action { arn, schedule, timezone, period, min, max, created, due });
        Ok(json!({}))
    }

    /// DeleteScheduledAction.
    pub(super) fn delete_action<C>(
        &mut self,
        caller: &Caller<'_, C>,
        input: &Input,
    ) -> Result<Value, ErrorResponse> {
        let place = input.place(caller)?;
        let name = Input::required(input.scheduled_action_name.as_ref(), "scheduledActionName")?;
        let absent =
            || object_not_found("scheduled action found", &place, Some(("scheduled action name", &name)));
        let target = self.targets.get_mut(&place).ok_or_else(absent)?;
        target.actions.remove(&name).ok_or_else(absent)?;
        Ok(json!({}))
    }

    /// TagResource, UntagResource and ListTagsForResource. Each answers all tags, of which only the last operation's
    /// answer is used.
    pub(super) fn tags<C>(&mut self, caller: &Caller<'_, C>, input: Input) -> Result<Value, ErrorResponse> {
        let arn = Input::required(input.resource_arn.as_ref(), "resourceARN")?;
        let scope = caller.scope();
        let own = self.targets.iter_mut().find(|(place, target)| place.scope == scope && target.arn == arn);
        let Some((_, target)) = own else {
            let message = format!("Resource not found: {arn}");
            return Err(ErrorResponse::new(400, "ResourceNotFoundException", message));
        };
        let mut tags = target.tags.clone();
        tags.extend(input.tags.unwrap_or_default());
        tags.retain(|key, _| !input.tag_keys.contains(key));
        if tags.len() > MAX_TAGS {
            let message = format!("A scalable target has at most {MAX_TAGS} tags");
            return Err(ErrorResponse::new(400, "TooManyTagsException", message));
        }
        target.tags.clone_from(&tags);
        Ok(json!({ "Tags": tags }))
    }
}

/// Returns the tracking of a target tracking configuration; `None` on another metric.
fn tracking(settings: &Map<String, Value>) -> Result<Option<Tracking>, ErrorResponse> {
    let target = settings.get("TargetValue").and_then(Value::as_f64).ok_or_else(|| missing("targetValue"))?;
    let predefined =
        settings.get("PredefinedMetricSpecification").map(|metric| &metric["PredefinedMetricType"]);
    match predefined.and_then(Value::as_str) {
        None if settings.contains_key("CustomizedMetricSpecification") => return Ok(None),
        None => return Err(missing("predefinedMetricSpecification")),
        Some("LambdaProvisionedConcurrencyUtilization") => {}
        Some(other) => return Err(invalid(format!("Unsupported predefined metric type: {other}"))),
    }
    if !(target > 0.0 && target <= 1.0) {
        return Err(invalid(format!("The target value {target} is out of range")));
    }
    let cooldown = |key| Duration::from_secs(settings.get(key).and_then(Value::as_u64).unwrap_or_default());
    let is_scaling_in = settings.get("DisableScaleIn").and_then(Value::as_bool) != Some(true);
    let cooldowns = (cooldown("ScaleOutCooldown"), cooldown("ScaleInCooldown"));
    Ok(Some(Tracking::new(target, is_scaling_in, cooldowns)))
}

impl Policy {
    /// Returns the alarms as answers have them.
    pub(super) fn shown_alarms<C>(&self, caller: &Caller<'_, C>) -> Vec<Value> {
        let arn = caller.arn("cloudwatch");
        let shown = |name| json!({ "AlarmName": name, "AlarmARN": format!("{arn}:alarm:{name}") });
        self.alarms.iter().map(shown).collect()
    }
}
