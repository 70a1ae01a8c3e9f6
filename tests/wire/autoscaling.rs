//! Application Auto Scaling and GetMetricData of the emulator, with the real SDKs.

use std::time::Duration;

use aws_sdk_applicationautoscaling::error::ProvideErrorMetadata;
use aws_sdk_applicationautoscaling::primitives::DateTime;
use aws_sdk_applicationautoscaling::types::{
    MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension, ScalableTargetAction,
    ServiceNamespace, SuspendedState, TargetTrackingScalingPolicyConfiguration,
};
use aws_sdk_applicationautoscaling::{Client, config};
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use serde_json::json;
use warmd::emulator::fault::FaultKind;
use warmd::emulator::{Emulator, Fault, Operation, Scenario};

use crate::support::{NOW, sdk};

const LIVE: &str = "function:f:live";
const DIMENSION: ScalableDimension = ScalableDimension::LambdaFunctionProvisionedConcurrency;

fn in_memory(scenario: Scenario) -> (Emulator, Client) {
    let emulator = Emulator::new(scenario);
    let client = Client::from_conf(config::Builder::from(&sdk(&emulator, "eu-west-2")).build());
    (emulator, client)
}

async fn register(client: &Client, min: i32, max: i32) -> Result<String, (String, String)> {
    let request = client.register_scalable_target().service_namespace(ServiceNamespace::Lambda);
    let request = request.resource_id(LIVE).scalable_dimension(DIMENSION).min_capacity(min).max_capacity(max);
    let sent = request.tags("warmd:owner", "warmd").send().await.map_err(|error| error.into_service_error());
    let named = |text: Option<&str>| text.unwrap_or_default().to_owned();
    sent.map(|answer| answer.scalable_target_arn.unwrap())
        .map_err(|error| (named(error.code()), named(error.message())))
}

#[tokio::test(start_paused = true)]
async fn a_target_with_a_policy_and_an_action() {
    let (emulator, client) = in_memory(Scenario::default());
    let arn = register(&client, 2, 50).await.unwrap();
    let tags = client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap();
    assert_eq!(tags.tags.unwrap()["warmd:owner"], "warmd");

    let metric = MetricType::LambdaProvisionedConcurrencyUtilization;
    let metric = PredefinedMetricSpecification::builder().predefined_metric_type(metric).build().unwrap();
    let settings = TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(0.7)
        .predefined_metric_specification(metric)
        .build()
        .unwrap();
    let request = client.put_scaling_policy().policy_name("warmd-utilization").resource_id(LIVE);
    let request = request.service_namespace(ServiceNamespace::Lambda).scalable_dimension(DIMENSION);
    let request = request.policy_type(PolicyType::TargetTrackingScaling);
    let put = request.target_tracking_scaling_policy_configuration(settings.clone()).send().await.unwrap();
    assert_eq!(put.alarms().len(), 2);
    let request = client.describe_scaling_policies().service_namespace(ServiceNamespace::Lambda);
    let policies = request.resource_id(LIVE).send().await.unwrap();
    let [policy] = policies.scaling_policies() else { panic!("{policies:?}") };
    assert_eq!(policy.target_tracking_scaling_policy_configuration(), Some(&settings));
    assert_eq!((policy.policy_arn(), policy.alarms()), (put.policy_arn(), put.alarms()));

    let bounds = ScalableTargetAction::builder().min_capacity(0).max_capacity(0).build();
    let request = client.put_scheduled_action().scheduled_action_name("warmd-close").resource_id(LIVE);
    let request = request.service_namespace(ServiceNamespace::Lambda).scalable_dimension(DIMENSION);
    let request = request.schedule("at(2026-11-20T10:00:00)").scalable_target_action(bounds.clone());
    request.send().await.unwrap();
    let request = client.describe_scheduled_actions().service_namespace(ServiceNamespace::Lambda);
    let actions = request.resource_id(LIVE).send().await.unwrap();
    let [action] = actions.scheduled_actions() else { panic!("{actions:?}") };
    assert_eq!(
        (action.schedule(), action.scalable_target_action()),
        ("at(2026-11-20T10:00:00)", Some(&bounds))
    );

    // The time of the signatures does not run on; the emulated time does.
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let suspended = SuspendedState::builder().scheduled_scaling_suspended(true).build();
    let request = client.register_scalable_target().service_namespace(ServiceNamespace::Lambda);
    let request = request.resource_id(LIVE).scalable_dimension(DIMENSION).suspended_state(suspended);
    assert_eq!(request.send().await.unwrap().scalable_target_arn(), Some(arn.as_str()));
    let request = client.describe_scalable_targets().service_namespace(ServiceNamespace::Lambda);
    let targets = request.resource_ids(LIVE).send().await.unwrap();
    let [target] = targets.scalable_targets() else { panic!("{targets:?}") };
    assert_eq!((target.min_capacity(), target.max_capacity()), (0, 0));
    assert_eq!(target.suspended_state().unwrap().scheduled_scaling_suspended(), Some(true));
    assert_eq!(target.creation_time(), &DateTime::from_secs(NOW as i64));

    let request = client.describe_scaling_activities().service_namespace(ServiceNamespace::Lambda);
    let activities = request.resource_id(LIVE).send().await.unwrap();
    let first = activities.scaling_activities().last().unwrap();
    assert_eq!(first.description(), "Setting desired concurrency to 2.");
    assert_eq!(first.start_time(), &DateTime::from_secs(NOW as i64));
    let scheduled = "scheduled action name warmd-close was triggered";
    let fired = activities.scaling_activities().iter().find(|one| one.cause() == scheduled).unwrap();
    assert_eq!(fired.start_time(), &DateTime::from_secs(NOW as i64 + 3600));

    let observed = emulator.observe();
    assert_eq!(observed.alarms, 2);
    let changes = observed.scaling.iter().map(|change| (change.at.as_secs(), change.bounds.unwrap()));
    assert_eq!(changes.collect::<Vec<_>>(), [(0, (2, 50)), (3600, (0, 0))]);
    // What was due is done with its own time, also after many minutes in which policies were evaluated.
    let levels = &observed.provisioned[0].levels;
    let levels: Vec<_> = levels.iter().map(|level| (level.at.as_secs(), level.requested)).collect();
    assert_eq!(levels, [(0, 2), (3600, 0)]);
    let calls = observed.reads.iter().filter(|call| call.operation == Operation::RegisterScalableTarget);
    assert!(calls.clone().all(|call| call.function.as_deref() == Some("f:live")) && calls.count() == 2);

    let request = client.deregister_scalable_target().service_namespace(ServiceNamespace::Lambda);
    let request = request.resource_id(LIVE).scalable_dimension(DIMENSION);
    request.clone().send().await.unwrap();
    let again = request.send().await.unwrap_err().into_service_error();
    assert!(again.is_object_not_found_exception(), "{again:?}");
    assert_eq!(emulator.observe().alarms, 0);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_codes() {
    let refuse =
        |code: &str| FaultKind::Refuse { status: 400, code: code.to_owned(), message: "busy".to_owned() };
    let mut scenario = Scenario::default();
    let faults = vec![
        Fault::first(1, FaultKind::Throttle { reason: String::new() }),
        Fault { kind: refuse("ConcurrentUpdateException"), when: warmd::emulator::fault::When::Every(2) },
    ];
    scenario.reads.faults.insert(Operation::RegisterScalableTarget, faults);
    let (emulator, client) = in_memory(scenario);
    let error = |code: &str, message: &str| (code.to_owned(), message.to_owned());
    assert_eq!(register(&client, 0, 1).await.unwrap_err(), error("ThrottlingException", "Rate exceeded"));
    assert_eq!(register(&client, 0, 1).await.unwrap_err(), error("ConcurrentUpdateException", "busy"));
    emulator.change(|scenario| scenario.denied.push(Operation::RegisterScalableTarget));
    let (code, message) = register(&client, 0, 1).await.unwrap_err();
    assert_eq!(code, "AccessDeniedException");
    assert!(
        message.contains("not authorized to perform: application-autoscaling:RegisterScalableTarget"),
        "{message}"
    );
    emulator.change(|scenario| {
        scenario.denied.clear();
        scenario.reads.faults.clear();
        scenario.reads.rate = Some(1);
    });
    let statuses: Vec<_> = emulator.observe().reads.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(400); 3]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    register(&client, 0, 1).await.unwrap();
    assert_eq!(register(&client, 0, 1).await.unwrap_err(), error("ThrottlingException", "Rate exceeded"));
}

#[tokio::test(start_paused = true)]
async fn somebody_else_registers_a_target() {
    let (emulator, client) = in_memory(Scenario::default());
    let names = |other: serde_json::Value| {
        let mut input = json!({
            "ServiceNamespace": "lambda",
            "ResourceId": LIVE,
            "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        });
        input.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        input
    };
    let target = names(json!({ "MinCapacity": 3, "MaxCapacity": 9, "Tags": { "team": "orders" } }));
    emulator.autoscaling("eu-west-2", Operation::RegisterScalableTarget, target.clone()).unwrap();
    emulator.fail_scaling("eu-west-2", "f", "live", Some("Alias with weights"));
    let action = names(json!({
        "ScheduledActionName": "theirs",
        "Schedule": "at(2026-11-20T09:30:00)",
        "ScalableTargetAction": { "MinCapacity": 5 },
    }));
    emulator.autoscaling("eu-west-2", Operation::PutScheduledAction, action).unwrap();
    let again = emulator.autoscaling("eu-west-2", Operation::RegisterScalableTarget, target).unwrap_err();
    assert!(again.starts_with("ValidationException: Tags of an existing"), "{again}");
    // Nothing that depends on UTC happens before the first signed request.
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(emulator.observe().scaling.len(), 1);
    let request = client.describe_scalable_targets().service_namespace(ServiceNamespace::Lambda);
    assert_eq!(request.send().await.unwrap().scalable_targets()[0].max_capacity(), 9);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let last = emulator.observe().scaling.back().unwrap().clone();
    assert_eq!((last.bounds, last.at.as_secs()), (Some((5, 9)), 600 + 1800));
    let request = client.describe_scaling_activities().service_namespace(ServiceNamespace::Lambda);
    let latest = request.send().await.unwrap().scaling_activities()[0].clone();
    assert!(latest.status_message().unwrap().contains("Reason: Alias with weights"), "{latest:?}");
}

#[tokio::test(start_paused = true)]
async fn metric_data_has_pages() {
    let emulator = Emulator::new(Scenario::default());
    let client = aws_sdk_cloudwatch::Client::new(&sdk(&emulator, "eu-west-2"));
    let at = |minute: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(NOW as i64 + 60 * minute);
    for minute in 0..5_i64 {
        let time = chrono::DateTime::from_timestamp(NOW as i64 + 60 * minute, 0).unwrap();
        let metric = ("AWS/SQS", "ApproximateNumberOfMessagesVisible");
        emulator.set_metric("eu-west-2", metric, &[("QueueName", "orders")], (time, minute as f64));
    }
    let query = |id: &str, namespace: &str, name: &str, dimensions: &[(&str, &str)], period| {
        let dimension = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
        let dimensions = dimensions.iter().map(dimension).collect();
        let metric =
            Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions));
        let stat = MetricStat::builder().metric(metric.build()).period(period).stat("Maximum").build();
        MetricDataQuery::builder().id(id).metric_stat(stat).build()
    };
    let queue = |period| {
        let dimensions = [("QueueName", "orders")];
        query("depth", "AWS/SQS", "ApproximateNumberOfMessagesVisible", &dimensions, period)
    };
    let dimensions = [("FunctionName", "f"), ("Resource", "f:live")];
    let utilization = query("used", "AWS/Lambda", "ProvisionedConcurrencyUtilization", &dimensions, 60);
    let request = client.get_metric_data().start_time(at(1)).end_time(at(5)).metric_data_queries(queue(60));
    let request =
        request.metric_data_queries(utilization).max_datapoints(3).scan_by(ScanBy::TimestampAscending);
    let first = request.clone().send().await.unwrap();
    let [depth, used] = first.metric_data_results() else { panic!("{first:?}") };
    assert_eq!((depth.id(), depth.status_code()), (Some("depth"), Some(&StatusCode::PartialData)));
    assert_eq!(depth.values(), [1.0, 2.0, 3.0]);
    assert_eq!(depth.timestamps(), [at(1), at(2), at(3)]);
    // Nobody has invoked the function: there is no point.
    assert_eq!(
        (used.id(), used.values(), used.status_code()),
        (Some("used"), &[][..], Some(&StatusCode::Complete))
    );
    let second = request.next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!(second.metric_data_results()[0].values(), [4.0]);
    assert_eq!(second.metric_data_results()[0].status_code(), Some(&StatusCode::Complete));
    assert_eq!(second.next_token(), None);

    let request = client.get_metric_data().start_time(at(0)).end_time(at(5));
    let newest = request.clone().metric_data_queries(queue(120)).send().await.unwrap();
    assert_eq!(newest.metric_data_results()[0].values(), [4.0, 3.0, 1.0]);
    let error = request.clone().metric_data_queries(queue(45)).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    emulator.change(|scenario| scenario.denied.push(Operation::GetMetricData));
    let denied = request.metric_data_queries(queue(60)).send().await.unwrap_err().into_service_error();
    assert_eq!(aws_sdk_cloudwatch::error::ProvideErrorMetadata::code(&denied), Some("AccessDenied"));
}
