//! Application Auto Scaling.
//!
//! The identifier of a resource has the name of the function without account and region: the credentials and the
//! endpoint decide about them. A function that is configured by its ARN in another account needs a role there.

use std::collections::BTreeSet;

use aws_sdk_applicationautoscaling::Client;
use aws_sdk_applicationautoscaling::types::{
    MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension, ScalableTarget as SdkTarget,
    ScalableTargetAction, ScalingActivity, ScalingActivityStatusCode, ScalingPolicy as SdkPolicy,
    ScheduledAction as SdkAction, ServiceNamespace, SuspendedState, TargetTrackingScalingPolicyConfiguration,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{deleted, failed, line, unchanged, unread};
use super::numbers::{bounds, int, time};
use super::pages::{Page, pages};
use crate::domain::capacity::{
    Activity, Bounds, ChangeError, ChangeErrorKind, Owner, ScalableTarget, ScalingPolicy, ScheduledAction,
};
use crate::domain::function::{FunctionName, Identity, Qualifier, Region};
use crate::domain::preflight::Lookup;
use crate::engine::capacity::Listed;

const NAMESPACE: ServiceNamespace = ServiceNamespace::Lambda;
const DIMENSION: ScalableDimension = ScalableDimension::LambdaFunctionProvisionedConcurrency;
/// The maximum number of resources in a request for scalable targets. Source: API reference of DescribeScalableTargets.
const MOST_RESOURCES: usize = 50;
/// The largest believable number of environments of a function.
const MOST_ENVIRONMENTS: u32 = 1_000_000;
/// The time after the requested beginning from which an activity is not believed. The service keeps activities for six
/// weeks.
const FAR_FUTURE: TimeDelta = TimeDelta::days(366);

/// Returns the identifier of a scalable target.
fn resource(of: &Identity) -> String {
    format!("function:{}:{}", of.name, of.qualifier.as_ref().map_or("$LATEST", Qualifier::as_str))
}

/// Parses the identifier of a scalable target.
fn identity(resource: &str, region: Region) -> Option<Identity> {
    let (name, qualifier) = resource.strip_prefix("function:")?.split_once(':')?;
    Some(Identity {
        account: None,
        region,
        name: FunctionName::parse(name).ok()?,
        qualifier: Some(Qualifier::parse(qualifier).ok()?),
        tenant: None,
    })
}

pub(super) async fn scalable_targets(
    client: &Client,
    region: Region,
    ids: Option<&[Identity]>,
) -> Lookup<Vec<Listed>> {
    let Some(ids) = ids else { return targets(client, region, None).await };
    // Tenants of a function have one scalable target.
    let resources: Vec<String> = ids.iter().map(resource).collect::<BTreeSet<_>>().into_iter().collect();
    let mut all = Vec::new();
    for chunk in resources.chunks(MOST_RESOURCES) {
        match targets(client, region, Some(chunk)).await {
            Lookup::Known(found) => all.extend(found),
            unread => return unread,
        }
    }
    Lookup::Known(all)
}

async fn targets(client: &Client, region: Region, only: Option<&[String]>) -> Lookup<Vec<Listed>> {
    let read = |token| async move {
        let request = client
            .describe_scalable_targets()
            .service_namespace(NAMESPACE)
            .set_resource_ids(only.map(<[String]>::to_vec))
            // The service takes a dimension together with resources only.
            .set_scalable_dimension(only.map(|_| DIMENSION))
            .set_next_token(token);
        match request.send().await {
            Ok(output) => Lookup::Known((output.scalable_targets.unwrap_or_default(), output.next_token)),
            Err(error) => unread(&error),
        }
    };
    let is_wanted = |found: &SdkTarget| {
        found.scalable_dimension == DIMENSION && only.is_none_or(|only| only.contains(&found.resource_id))
    };
    pages(read).await.then(|found| {
        let known = found.into_iter().filter(is_wanted);
        let listed = known.filter_map(|found| Some((identity(&found.resource_id, region)?, found)));
        let all: Option<Vec<Listed>> =
            listed.map(|(id, found)| Some(Listed { id, scalable: scalable(found)? })).collect();
        all.map_or_else(
            || Lookup::Failed("a scalable target has impossible bounds".to_owned()),
            Lookup::Known,
        )
    })
}

fn scalable(found: SdkTarget) -> Option<ScalableTarget> {
    Some(ScalableTarget {
        bounds: bounds(found.min_capacity, found.max_capacity)?,
        is_suspended: found.suspended_state.and_then(|state| state.scheduled_scaling_suspended) == Some(true),
        arn: found.scalable_target_arn.unwrap_or_default(),
        owner: Lookup::NotRead,
    })
}

pub(super) async fn owner(client: &Client, arn: &str) -> Lookup<Option<String>> {
    if arn.is_empty() {
        return Lookup::Failed("the scalable target has no ARN, so its tags cannot be read".to_owned());
    }
    match client.list_tags_for_resource().resource_arn(arn).send().await {
        Ok(output) => {
            Lookup::Known(output.tags.and_then(|tags| tags.get(Owner::TAG).map(|value| line(value))))
        }
        Err(error) => unread(&error),
    }
}

pub(super) async fn policies(client: &Client, of: &Identity) -> Lookup<Vec<ScalingPolicy>> {
    let resource = resource(of);
    let read = |token| {
        let request = client
            .describe_scaling_policies()
            .service_namespace(NAMESPACE)
            .scalable_dimension(DIMENSION)
            .resource_id(&resource)
            .set_next_token(token);
        async move {
            match request.send().await {
                Ok(output) => Lookup::Known((output.scaling_policies.unwrap_or_default(), output.next_token)),
                Err(error) => unread(&error),
            }
        }
    };
    pages(read).await.then(|found| {
        let own = found.into_iter().filter(|policy| policy.resource_id == resource);
        Lookup::Known(own.map(policy).collect())
    })
}

fn policy(found: SdkPolicy) -> ScalingPolicy {
    let tracking = found.target_tracking_scaling_policy_configuration;
    let utilization =
        tracking.filter(|_| found.policy_type == PolicyType::TargetTrackingScaling).and_then(|it| {
            let metric = it.predefined_metric_specification?.predefined_metric_type;
            let is_utilization = metric == MetricType::LambdaProvisionedConcurrencyUtilization;
            let percent = it.target_value * 100.0;
            let is_whole = (1.0..=100.0).contains(&percent) && (percent - percent.round()).abs() < 0.01;
            (is_utilization && is_whole && it.disable_scale_in != Some(true))
                .then_some(percent.round() as u32)
        });
    ScalingPolicy { name: found.policy_name, utilization }
}

pub(super) async fn actions(client: &Client, of: &Identity) -> Lookup<Vec<ScheduledAction>> {
    let resource = resource(of);
    let read = |token| {
        let request = client
            .describe_scheduled_actions()
            .service_namespace(NAMESPACE)
            .scalable_dimension(DIMENSION)
            .resource_id(&resource)
            .set_next_token(token);
        async move {
            match request.send().await {
                Ok(output) => {
                    Lookup::Known((output.scheduled_actions.unwrap_or_default(), output.next_token))
                }
                Err(error) => unread(&error),
            }
        }
    };
    pages(read).await.then(|found| {
        let own = found.into_iter().filter(|action| action.resource_id == resource);
        Lookup::Known(own.map(action).collect())
    })
}

/// An action that is limited in time, or in another time zone than UTC, equals none of warmd.
fn action(found: SdkAction) -> ScheduledAction {
    let is_unlimited = found.start_time.is_none() && found.end_time.is_none();
    let numbers = found.scalable_target_action.filter(|_| is_unlimited);
    let schedule = match found.timezone.as_deref() {
        None | Some("UTC" | "Etc/UTC") => found.schedule,
        Some(zone) => format!("{} {zone}", found.schedule),
    };
    ScheduledAction {
        name: found.scheduled_action_name,
        schedule,
        bounds: numbers.and_then(|numbers| bounds(numbers.min_capacity?, numbers.max_capacity?)),
    }
}

pub(super) async fn activities(
    client: &Client,
    of: &Identity,
    since: DateTime<Utc>,
) -> Lookup<Vec<Activity>> {
    let resource = resource(of);
    let read = |token| {
        let request = client
            .describe_scaling_activities()
            .service_namespace(NAMESPACE)
            .scalable_dimension(DIMENSION)
            .resource_id(&resource)
            .set_next_token(token);
        let resource = &resource;
        async move {
            match request.send().await {
                Ok(output) => {
                    recent(output.scaling_activities.unwrap_or_default(), resource, since, output.next_token)
                }
                Err(error) => unread(&error),
            }
        }
    };
    pages(read).await.then(|mut found| {
        found.sort_by_key(|activity| activity.started);
        Lookup::Known(found)
    })
}

/// Returns the activities of a page that go on, or ended after `since`. The latest come first, so a page without any is
/// the last one.
fn recent(
    found: Vec<ScalingActivity>,
    resource: &str,
    since: DateTime<Utc>,
    next: Option<String>,
) -> Page<Activity> {
    let own = found.into_iter().filter(|activity| activity.resource_id == resource).filter_map(activity);
    let is_recent = |activity: &Activity| {
        let until = since.checked_add_signed(FAR_FUTURE);
        let last = activity.ended.unwrap_or(activity.started);
        until.is_none_or(|until| last < until) && activity.ended.is_none_or(|ended| ended >= since)
    };
    let recent: Vec<Activity> = own.filter(is_recent).collect();
    let next = next.filter(|_| !recent.is_empty());
    Lookup::Known((recent, next))
}

/// Parses an activity; `None` if its times are impossible.
fn activity(found: ScalingActivity) -> Option<Activity> {
    let started = time(&found.start_time)?;
    let ended = match &found.end_time {
        Some(ended) => Some(time(ended).filter(|ended| *ended >= started)?),
        None => None,
    };
    Some(Activity {
        started,
        ended,
        to: environments(&found.description),
        is_successful: found.status_code == ScalingActivityStatusCode::Successful,
        failure: (found.status_code == ScalingActivityStatusCode::Failed)
            .then(|| failed(found.status_message.as_deref().unwrap_or_default())),
    })
}

/// Parses the description of an activity, such as `Setting desired concurrency to 5.` The description of a scheduled
/// action, `Setting min capacity to 5 and max capacity to 10`, has bounds only.
fn environments(description: &str) -> Option<u32> {
    let number = description.trim().strip_prefix("Setting desired concurrency to ")?;
    let number = number.strip_suffix('.').unwrap_or(number);
    number.parse().ok().filter(|number| *number <= MOST_ENVIRONMENTS)
}

pub(super) async fn register(
    client: &Client,
    of: &Identity,
    bounds: Option<Bounds>,
    suspend: Option<bool>,
    owner: Option<&str>,
) -> Result<(), ChangeError> {
    let suspended = suspend.map(|it| SuspendedState::builder().scheduled_scaling_suspended(it).build());
    let request = client
        .register_scalable_target()
        .service_namespace(NAMESPACE)
        .scalable_dimension(DIMENSION)
        .resource_id(resource(of))
        .set_min_capacity(bounds.map(|bounds| int(bounds.min)))
        .set_max_capacity(bounds.map(|bounds| int(bounds.max)))
        .set_suspended_state(suspended);
    let request = match owner {
        Some(owner) => request.tags(Owner::TAG, owner),
        None => request,
    };
    request.send().await.map(drop).map_err(|error| unchanged(&error))
}

pub(super) async fn tag(client: &Client, arn: &str, owner: &str) -> Result<(), ChangeError> {
    let request = client.tag_resource().resource_arn(arn).tags(Owner::TAG, owner);
    request.send().await.map(drop).map_err(|error| unchanged(&error))
}

pub(super) async fn put_policy(
    client: &Client,
    of: &Identity,
    name: &str,
    utilization: u32,
) -> Result<(), ChangeError> {
    let metric = PredefinedMetricSpecification::builder()
        .predefined_metric_type(MetricType::LambdaProvisionedConcurrencyUtilization)
        .build()
        .map_err(incomplete)?;
    let tracking = TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(f64::from(utilization) / 100.0)
        .predefined_metric_specification(metric)
        .build()
        .map_err(incomplete)?;
    let request = client
        .put_scaling_policy()
        .service_namespace(NAMESPACE)
        .scalable_dimension(DIMENSION)
        .resource_id(resource(of))
        .policy_name(name)
        .policy_type(PolicyType::TargetTrackingScaling)
        .target_tracking_scaling_policy_configuration(tracking);
    request.send().await.map(drop).map_err(|error| unchanged(&error))
}

/// Interprets a request that lacks a required part.
fn incomplete(error: impl std::fmt::Display) -> ChangeError {
    ChangeError { kind: ChangeErrorKind::Refused, message: error.to_string() }
}

pub(super) async fn delete_policy(client: &Client, of: &Identity, name: &str) -> Result<(), ChangeError> {
    let request = client
        .delete_scaling_policy()
        .service_namespace(NAMESPACE)
        .scalable_dimension(DIMENSION)
        .resource_id(resource(of))
        .policy_name(name);
    request.send().await.map(drop).or_else(|error| deleted(unchanged(&error)))
}

pub(super) async fn put_action(
    client: &Client,
    of: &Identity,
    wanted: &ScheduledAction,
) -> Result<(), ChangeError> {
    let numbers = wanted.bounds.map(|Bounds { min, max }| {
        ScalableTargetAction::builder().min_capacity(int(min)).max_capacity(int(max)).build()
    });
    let request = client
        .put_scheduled_action()
        .service_namespace(NAMESPACE)
        .scalable_dimension(DIMENSION)
        .resource_id(resource(of))
        .scheduled_action_name(&wanted.name)
        .schedule(&wanted.schedule)
        .timezone("UTC")
        .set_scalable_target_action(numbers);
    request.send().await.map(drop).map_err(|error| unchanged(&error))
}

pub(super) async fn delete_action(client: &Client, of: &Identity, name: &str) -> Result<(), ChangeError> {
    let request = client
        .delete_scheduled_action()
        .service_namespace(NAMESPACE)
        .scalable_dimension(DIMENSION)
        .resource_id(resource(of))
        .scheduled_action_name(name);
    request.send().await.map(drop).or_else(|error| deleted(unchanged(&error)))
}

pub(super) async fn deregister(client: &Client, of: &Identity) -> Result<(), ChangeError> {
    let request = client
        .deregister_scalable_target()
        .service_namespace(NAMESPACE)
        .scalable_dimension(DIMENSION)
        .resource_id(resource(of));
    request.send().await.map(drop).or_else(|error| deleted(unchanged(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_activities() {
        let table = [
            ("Setting desired concurrency to 5.", Some(5)),
            ("Setting desired concurrency to 0", Some(0)),
            ("Setting min capacity to 5 and max capacity to 10", None),
            ("Setting desired concurrency to -5.", None),
            ("Setting desired concurrency to 4000000000.", None),
            ("Setting desired concurrency to 99999999999999999999.", None),
            ("Setting desired concurrency to .", None),
            ("", None),
        ];
        for (description, number) in table {
            assert_eq!(environments(description), number, "{description}");
        }
    }
}
