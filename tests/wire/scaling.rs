//! Reads and changes of capacity: the requests, the meaning of each answer, and hostile answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use warmd::aws::AwsScaling;
use warmd::aws::connector::Dialer;
use warmd::domain::capacity::{
    Bounds, Change, ChangeErrorKind, ProvisionedStatus, ScalingConfig, ScalingPolicy, ScheduledAction,
};
use warmd::domain::fleet::Role;
use warmd::domain::function::{FunctionRef, Identity, Qualifier, Region};
use warmd::domain::preflight::Lookup;
use warmd::engine::capacity::{CapacityControl, Place};

use crate::clients_through;
use crate::roles;
use crate::server::{Answer, Server, answer};

fn through(dialer: Dialer) -> AwsScaling {
    AwsScaling::new(Arc::new(clients_through(dialer)))
}

fn function(label: &str) -> Identity {
    FunctionRef::parse(label).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

fn own(id: &Identity) -> Place<'_> {
    Place { id, role: None }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Creates a server that always answers with this JSON.
fn json_server(value: Value) -> Server {
    Server::new(move |_| {
        let value = value.clone();
        async move { answer(200, value.to_string()) }
    })
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "__type": code, "Message": message, "message": message }).to_string();
    let body = Full::new(Bytes::from(body));
    Response::builder().status(status).header("x-amzn-errortype", code).body(body).unwrap()
}

/// Returns the request of a change as method, path or operation, and body.
async fn sent(change: Change) -> String {
    let server = json_server(json!({}));
    let id = function("arn:aws:lambda:eu-west-2:123456789012:function:f:live");
    through(server.dialer()).change(own(&id), &change).await.unwrap();
    assert_eq!(server.observed.count(), 1);
    shown(&server.observed.last())
}

fn shown(request: &Request<Bytes>) -> String {
    let body = String::from_utf8_lossy(request.body());
    match request.headers().get("x-amz-target") {
        Some(target) => format!("{} {body}", target.to_str().unwrap()),
        None => format!("{} {} {body}", request.method(), request.uri().path_and_query().unwrap()),
    }
    .trim_end()
    .to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_change_is_one_request() {
    let zero = Some(Bounds::ZERO);
    let action = ScheduledAction {
        name: "warmd-a-1".to_owned(),
        schedule: "at(2026-11-23T07:56:00)".to_owned(),
        bounds: Some(Bounds { min: 10, max: 50 }),
    };
    let register = |bounds, suspend, owner: Option<&str>| Change::Register {
        bounds,
        suspend,
        owner: owner.map(str::to_owned),
    };
    let changes = [
        Change::PutProvisioned(NonZeroU32::new(10).unwrap()),
        Change::DeleteProvisioned,
        Change::PutScaling { version: Qualifier::parse("7").unwrap(), bounds: Bounds { min: 3, max: 100 } },
        register(zero, None, Some("a")),
        register(None, Some(true), None),
        register(zero, Some(false), None),
        Change::Tag { arn: "arn:x".to_owned(), owner: "a".to_owned() },
        Change::PutPolicy { name: "warmd-a-utilization".to_owned(), utilization: 70 },
        Change::DeletePolicy("theirs".to_owned()),
        Change::PutAction(action),
        Change::DeleteAction("warmd-a-0".to_owned()),
        Change::Deregister,
    ];
    let mut requests = Vec::new();
    for change in changes {
        requests.push(sent(change).await);
    }
    insta::assert_snapshot!(requests.join("\n"), @r#"
    PUT /2019-09-30/functions/arn%3Aaws%3Alambda%3Aeu-west-2%3A123456789012%3Afunction%3Af/provisioned-concurrency?Qualifier=live {"ProvisionedConcurrentExecutions":10}
    DELETE /2019-09-30/functions/arn%3Aaws%3Alambda%3Aeu-west-2%3A123456789012%3Afunction%3Af/provisioned-concurrency?Qualifier=live
    PUT /2025-11-30/functions/arn%3Aaws%3Alambda%3Aeu-west-2%3A123456789012%3Afunction%3Af/function-scaling-config?Qualifier=7 {"FunctionScalingConfig":{"MinExecutionEnvironments":3,"MaxExecutionEnvironments":100}}
    AnyScaleFrontendService.RegisterScalableTarget {"ServiceNamespace":"lambda","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency","MinCapacity":0,"MaxCapacity":0,"Tags":{"warmd:owner":"a"}}
    AnyScaleFrontendService.RegisterScalableTarget {"ServiceNamespace":"lambda","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency","SuspendedState":{"ScheduledScalingSuspended":true}}
    AnyScaleFrontendService.RegisterScalableTarget {"ServiceNamespace":"lambda","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency","MinCapacity":0,"MaxCapacity":0,"SuspendedState":{"ScheduledScalingSuspended":false}}
    AnyScaleFrontendService.TagResource {"ResourceARN":"arn:x","Tags":{"warmd:owner":"a"}}
    AnyScaleFrontendService.PutScalingPolicy {"PolicyName":"warmd-a-utilization","ServiceNamespace":"lambda","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency","PolicyType":"TargetTrackingScaling","TargetTrackingScalingPolicyConfiguration":{"TargetValue":0.7,"PredefinedMetricSpecification":{"PredefinedMetricType":"LambdaProvisionedConcurrencyUtilization"}}}
    AnyScaleFrontendService.DeleteScalingPolicy {"PolicyName":"theirs","ServiceNamespace":"lambda","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency"}
    AnyScaleFrontendService.PutScheduledAction {"ServiceNamespace":"lambda","Schedule":"at(2026-11-23T07:56:00)","Timezone":"UTC","ScheduledActionName":"warmd-a-1","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency","ScalableTargetAction":{"MinCapacity":10,"MaxCapacity":50}}
    AnyScaleFrontendService.DeleteScheduledAction {"ServiceNamespace":"lambda","ScheduledActionName":"warmd-a-0","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency"}
    AnyScaleFrontendService.DeregisterScalableTarget {"ServiceNamespace":"lambda","ResourceId":"function:f:live","ScalableDimension":"lambda:function:ProvisionedConcurrency"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn provisioned_concurrency_is_read() {
    let id = function("f:live");
    let read = |value: Value| {
        let (server, id) = (json_server(value), id.clone());
        async move { through(server.dialer()).provisioned(own(&id)).await }
    };
    let numbers = |requested: i64, status: &str| {
        json!({
            "RequestedProvisionedConcurrentExecutions": requested,
            "AllocatedProvisionedConcurrentExecutions": 4,
            "Status": status,
            "StatusReason": "FUNCTION_ERROR_INIT_FAILURE\nsecond line",
        })
    };
    let Lookup::Known(Some(state)) = read(numbers(10, "FAILED")).await else { panic!() };
    assert_eq!((state.requested, state.allocated, state.available), (10, 4, 0));
    assert_eq!(state.status, ProvisionedStatus::Failed);
    assert_eq!(state.reason.as_deref(), Some("FUNCTION_ERROR_INIT_FAILURE"));
    for odd in [numbers(-1, "READY"), numbers(1, "SLEEPING"), json!({ "Status": "READY" }), json!({})] {
        let lookup = read(odd).await;
        assert!(matches!(lookup, Lookup::Failed(_)), "{lookup:?}");
    }

    let refused = |status, code: &'static str| {
        let server = Server::new(move |_| async move { refusal(status, code, "as text\nsecond line") });
        let id = id.clone();
        async move { (through(server.dialer()).provisioned(own(&id)).await, server.observed.count()) }
    };
    let absent = refused(404, "ProvisionedConcurrencyConfigNotFoundException").await;
    assert_eq!(absent, (Lookup::Known(None), 1));
    assert_eq!(refused(404, "ResourceNotFoundException").await.0, Lookup::Missing);
    let denied = Lookup::Denied("as text".to_owned());
    assert_eq!(refused(403, "AccessDeniedException").await.0, denied);
    let (throttled, requests) = refused(429, "TooManyRequestsException").await;
    assert!(matches!(throttled, Lookup::Throttled(_)) && requests == 1, "{throttled:?} {requests}");
    let (failed, requests) = refused(500, "ServiceException").await;
    assert!(matches!(failed, Lookup::Failed(_)) && requests == 1, "no retries: {failed:?} {requests}");
}

#[tokio::test(start_paused = true)]
async fn aliases_and_updates_are_read() {
    let server = Server::new(|request: Request<Bytes>| async move {
        let body = match request.uri().path() {
            "/2015-03-31/functions/f/aliases/moving" => {
                r#"{"FunctionVersion":"7","RoutingConfig":{"AdditionalVersionWeights":{"6":0.0}}}"#
            }
            "/2015-03-31/functions/f/aliases/live" => {
                r#"{"FunctionVersion":"7","RoutingConfig":{"AdditionalVersionWeights":{}}}"#
            }
            "/2015-03-31/functions/f/aliases/odd" => r#"{"FunctionVersion":"7;8"}"#,
            "/2015-03-31/functions/f/configuration" => match request.uri().query() {
                Some("Qualifier=new") => r#"{"State":"Pending"}"#,
                Some("Qualifier=moving") => r#"{"State":"Active","LastUpdateStatus":"InProgress"}"#,
                _ => r#"{"State":"Active","LastUpdateStatus":"Successful"}"#,
            },
            _ => return refusal(404, "ResourceNotFoundException", ""),
        };
        answer(200, body)
    });
    let control = through(server.dialer());
    for (label, weighted) in [("f:moving", true), ("f:live", false)] {
        let Lookup::Known(alias) = control.alias(own(&function(label))).await else { panic!("{label}") };
        assert_eq!((alias.version.as_str(), alias.is_weighted()), ("7", weighted));
    }
    let odd = control.alias(own(&function("f:odd"))).await;
    assert!(matches!(odd, Lookup::Failed(_)), "{odd:?}");
    let before = server.observed.count();
    for version in ["f:7", "f:$LATEST", "f"] {
        assert_eq!(control.alias(own(&function(version))).await, Lookup::Missing);
    }
    assert_eq!(server.observed.count(), before, "versions are no aliases");
    assert_eq!(control.alias(own(&function("f:gone"))).await, Lookup::Missing);
    for (label, expected) in [("f:new", true), ("f:moving", true), ("f:live", false)] {
        assert_eq!(control.is_updating(own(&function(label))).await, Lookup::Known(expected), "{label}");
    }
}

#[tokio::test(start_paused = true)]
async fn scaling_configurations_of_managed_instances_are_read() {
    let (id, version) = (function("f:live"), Qualifier::parse("7").unwrap());
    let read = |value: Value| {
        let (server, id, version) = (json_server(value), id.clone(), version.clone());
        async move {
            let lookup = through(server.dialer()).scaling(own(&id), &version).await;
            assert_eq!(server.observed.last().uri().query(), Some("Qualifier=7"));
            lookup
        }
    };
    let numbers =
        |min: i64, max: i64| json!({ "MinExecutionEnvironments": min, "MaxExecutionEnvironments": max });
    let value =
        json!({ "RequestedFunctionScalingConfig": numbers(5, 9), "AppliedFunctionScalingConfig": {} });
    let requested = Some(Bounds { min: 5, max: 9 });
    assert_eq!(read(value).await, Lookup::Known(ScalingConfig { requested, applied: None }));
    assert_eq!(read(json!({})).await, Lookup::Known(ScalingConfig::default()));
    for odd in [numbers(9, 5), numbers(-1, 5), json!({ "MinExecutionEnvironments": 1 })] {
        let lookup = read(json!({ "AppliedFunctionScalingConfig": odd })).await;
        assert!(matches!(lookup, Lookup::Failed(_)), "{lookup:?}");
    }
    let message = "The function provided by the arn does not contain a capacity provider configuration";
    let server = Server::new(move |_| async move { refusal(403, "AccessDeniedException", message) });
    let control = through(server.dialer());
    let expected = "the function has no capacity provider";
    assert_eq!(control.scaling(own(&id), &version).await, Lookup::Failed(expected.to_owned()));
    let change = Change::PutScaling { version, bounds: Bounds::ZERO };
    let error = control.change(own(&id), &change).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ChangeErrorKind::Refused, expected));
}

fn target(resource: &str, min: i64, max: i64) -> Value {
    json!({
        "ServiceNamespace": "lambda",
        "ResourceId": resource,
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        "MinCapacity": min,
        "MaxCapacity": max,
        "RoleARN": "arn:aws:iam::123456789012:role/x",
        "CreationTime": 1795165200.5,
        "SuspendedState": { "ScheduledScalingSuspended": true },
        "ScalableTargetARN": format!("arn:{resource}"),
    })
}

#[tokio::test(start_paused = true)]
async fn scalable_targets_are_listed_in_pages() {
    let server = Server::new(|request: Request<Bytes>| async move {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let page = match body.get("NextToken").and_then(Value::as_str) {
            None => json!({ "ScalableTargets": [target("function:f:live", 1, 2)], "NextToken": "2" }),
            Some(_) => {
                let mut other = target("function:f:live", 1, 1);
                other["ScalableDimension"] = json!("lambda:function:Other");
                json!({ "ScalableTargets": [target("service/x", 1, 1), other, target("function:g:7", 0, 0)] })
            }
        };
        answer(200, page.to_string())
    });
    let control = through(server.dialer());
    let region = Region::parse("eu-west-2").unwrap();
    let Lookup::Known(all) = control.scalable_targets(region, None, None).await else { panic!() };
    let labels: Vec<String> = all.iter().map(|listed| listed.id.to_string()).collect();
    assert_eq!(labels.len(), 2, "{labels:?}");
    assert_eq!((&all[0].id, all[0].scalable.bounds), (&function("f:live"), Bounds { min: 1, max: 2 }));
    assert_eq!((all[0].scalable.arn.as_str(), all[0].scalable.is_suspended), ("arn:function:f:live", true));
    assert_eq!(
        shown(&server.observed.last()),
        r#"AnyScaleFrontendService.DescribeScalableTargets {"ServiceNamespace":"lambda","NextToken":"2"}"#
    );

    let other = function("arn:aws:lambda:eu-west-2:123456789012:function:g:7");
    let ids: Vec<Identity> =
        (0..60).map(|index| function(&format!("f{index}:live"))).chain([other.clone(), other]).collect();
    let before = server.observed.count();
    let Lookup::Known(some) = control.scalable_targets(region, None, Some(&ids)).await else { panic!() };
    assert_eq!(some.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&function("g:7")]);
    assert_eq!(server.observed.count() - before, 4, "two requests of 50 and 11, with two pages each");
    let body: Value = serde_json::from_slice(server.observed.last().body()).unwrap();
    assert_eq!(body["ResourceIds"].as_array().unwrap().len(), 11);
    assert_eq!(body["ScalableDimension"], "lambda:function:ProvisionedConcurrency");
}

#[tokio::test(start_paused = true)]
async fn endless_and_impossible_lists_fail() {
    let region = Region::parse("eu-west-2").unwrap();
    let repeated = json!({ "ScalableTargets": [target("function:f:live", 1, 2)], "NextToken": "same" });
    let server = json_server(repeated);
    let lookup = through(server.dialer()).scalable_targets(region, None, None).await;
    assert_eq!(lookup, Lookup::Failed("the list has a page twice".to_owned()));
    assert_eq!(server.observed.count(), 2);

    let counting = |pause: u64| {
        Server::new(move |request: Request<Bytes>| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let token: u32 = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            answer(200, json!({ "NextToken": (token + 1).to_string() }).to_string())
        })
    };
    let server = counting(0);
    let lookup = through(server.dialer()).actions(own(&function("f:live"))).await;
    assert!(matches!(lookup, Lookup::Failed(_)), "{lookup:?}");
    assert_eq!(server.observed.count(), 50);
    let server = counting(3);
    let lookup = through(server.dialer()).policies(own(&function("f:live"))).await;
    assert_eq!(lookup, Lookup::Unreachable("no complete list within 20s".to_owned()));
    assert_eq!(server.observed.count(), 7);

    for (min, max) in [(-1, 5), (5, 4)] {
        let server = json_server(json!({ "ScalableTargets": [target("function:f:live", min, max)] }));
        let lookup = through(server.dialer()).scalable_targets(region, None, None).await;
        assert!(matches!(lookup, Lookup::Failed(_)), "{lookup:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn policies_and_scheduled_actions_are_read() {
    let id = function("f:live");
    let policy = |name: &str, tracking: Value| {
        json!({
            "PolicyARN": "a", "PolicyName": name, "ServiceNamespace": "lambda", "ResourceId": "function:f:live",
            "ScalableDimension": "lambda:function:ProvisionedConcurrency", "PolicyType": "TargetTrackingScaling",
            "CreationTime": 1, "TargetTrackingScalingPolicyConfiguration": tracking,
        })
    };
    let tracking = |target: f64, metric: &str| json!({ "TargetValue": target, "PredefinedMetricSpecification": { "PredefinedMetricType": metric } });
    let ours = "LambdaProvisionedConcurrencyUtilization";
    let mut one_way = tracking(0.7, ours);
    one_way["DisableScaleIn"] = json!(true);
    let mut elsewhere = policy("elsewhere", tracking(0.7, ours));
    elsewhere["ResourceId"] = json!("function:g:live");
    let server = json_server(json!({ "ScalingPolicies": [
        policy("ours", tracking(0.7, ours)),
        policy("uneven", tracking(0.705, ours)),
        policy("absurd", tracking(-7e300, ours)),
        policy("other", tracking(0.7, "Other")),
        policy("one-way", one_way),
        policy("none", Value::Null),
        elsewhere,
    ] }));
    let expected = [
        ("ours", Some(70)),
        ("uneven", None),
        ("absurd", None),
        ("other", None),
        ("one-way", None),
        ("none", None),
    ];
    let expected = expected.map(|(name, utilization)| ScalingPolicy { name: name.to_owned(), utilization });
    assert_eq!(through(server.dialer()).policies(own(&id)).await, Lookup::Known(expected.to_vec()));

    let action = |name: &str, extra: Value| {
        let mut action = json!({
            "ScheduledActionName": name, "ScheduledActionARN": "a", "ServiceNamespace": "lambda",
            "Schedule": "at(2026-11-23T07:56:00)", "ResourceId": "function:f:live", "CreationTime": 1,
            "ScalableTargetAction": { "MinCapacity": 1, "MaxCapacity": 2 },
        });
        action.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        action
    };
    let server = json_server(json!({ "ScheduledActions": [
        action("utc", json!({ "Timezone": "UTC" })),
        action("zoned", json!({ "Timezone": "Europe/London" })),
        action("half", json!({ "ScalableTargetAction": { "MinCapacity": 1 } })),
        action("negative", json!({ "ScalableTargetAction": { "MinCapacity": -1, "MaxCapacity": 2 } })),
        action("ends", json!({ "EndTime": 2 })),
    ] }));
    let Lookup::Known(actions) = through(server.dialer()).actions(own(&id)).await else { panic!() };
    let both = Some(Bounds { min: 1, max: 2 });
    assert_eq!(
        actions.iter().map(|action| action.bounds).collect::<Vec<_>>(),
        [both, both, None, None, None]
    );
    let schedules: Vec<&str> = actions.iter().take(2).map(|action| action.schedule.as_str()).collect();
    assert_eq!(schedules, ["at(2026-11-23T07:56:00)", "at(2026-11-23T07:56:00) Europe/London"]);
}

#[tokio::test(start_paused = true)]
async fn activities_are_read_until_the_page_that_is_too_old() {
    let activity = |description: &str, started: Value, ended: Value, status: &str| {
        json!({
            "ActivityId": "1", "ServiceNamespace": "lambda", "ResourceId": "function:f:live",
            "ScalableDimension": "lambda:function:ProvisionedConcurrency", "Description": description, "Cause": "c",
            "StartTime": started, "EndTime": ended, "StatusCode": status, "StatusMessage": "done\nmore",
        })
    };
    let since = at("2026-11-20T09:00:00Z");
    let second = move |offset: i64| json!(since.timestamp() + offset);
    let first = json!({ "NextToken": "2", "ScalingActivities": [
        activity("Setting desired concurrency to 9.", second(60), Value::Null, "InProgress"),
        activity("Setting min capacity to 1 and max capacity to 2", second(30), second(31), "Successful"),
        activity("Setting desired concurrency to 5.", second(-60), second(1), "Successful"),
        activity("Setting desired concurrency to 6.", second(40), second(41), "Failed"),
        activity("Setting desired concurrency to 1.", second(20), second(10), "Successful"),
        activity("Setting desired concurrency to 2.", json!(253_000_000_000_i64), Value::Null, "Napping"),
        activity("Setting desired concurrency to 3.", json!(9e300), Value::Null, "Successful"),
    ] });
    let server = Server::new(move |request: Request<Bytes>| {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let old = activity("Setting desired concurrency to 7.", second(-90), second(-80), "Successful");
        let page = match body.get("NextToken").and_then(Value::as_str) {
            None => first.clone(),
            Some("2") => json!({ "NextToken": "3", "ScalingActivities": [old] }),
            Some(_) => panic!("the page before was too old"),
        };
        async move { answer(200, page.to_string()) }
    });
    let lookup = through(server.dialer()).activities(own(&function("f:live")), since).await;
    let Lookup::Known(found) = lookup else { panic!("{lookup:?}") };
    let seen: Vec<_> = found.iter().map(|it| (it.to, it.ended.is_some(), it.is_successful)).collect();
    assert_eq!(
        seen,
        [(Some(5), true, true), (None, true, true), (Some(6), true, false), (Some(9), false, false)]
    );
    let failures: Vec<_> = found.iter().map(|it| it.failure.as_ref().map(|it| it.message.as_str())).collect();
    assert_eq!(failures, [None, None, Some("done"), None]);
}

#[tokio::test(start_paused = true)]
async fn the_owner_is_the_value_of_the_tag() {
    let id = function("f:live");
    let server = json_server(json!({ "Tags": { "warmd:owner": "a", "x": "b" } }));
    assert_eq!(through(server.dialer()).owner(own(&id), "arn:x").await, Lookup::Known(Some("a".to_owned())));
    assert_eq!(
        shown(&server.observed.last()),
        r#"AnyScaleFrontendService.ListTagsForResource {"ResourceARN":"arn:x"}"#
    );
    assert_eq!(through(json_server(json!({})).dialer()).owner(own(&id), "arn:x").await, Lookup::Known(None));
    let server = Server::new(|_| async { refusal(400, "ResourceNotFoundException", "") });
    assert_eq!(through(server.dialer()).owner(own(&id), "arn:x").await, Lookup::Missing);
    let without = through(server.dialer()).owner(own(&id), "").await;
    assert!(matches!(without, Lookup::Failed(_)) && server.observed.count() == 1, "{without:?}");
}

#[tokio::test(start_paused = true)]
async fn the_latest_utilization_is_within_the_requested_time() {
    let server = Server::new(|request: Request<Bytes>| async move {
        let body: ciborium::Value = ciborium::from_reader(request.body().as_ref()).unwrap();
        let text = format!("{body:?}");
        for part in
            ["\"ProvisionedConcurrencyUtilization\"", "\"f:live\"", "\"FunctionName\"", "\"Resource\""]
        {
            assert!(text.contains(part), "{text}");
        }
        let text = |text: &str| ciborium::Value::Text(text.to_owned());
        let time = |seconds: i64| {
            ciborium::Value::Tag(1, Box::new(ciborium::Value::Integer((1_795_165_200 + seconds).into())))
        };
        let times = [3_000_000_000, 900, 840, 0, -60].map(time).to_vec();
        let result = ciborium::Value::Map(vec![
            (text("Timestamps"), ciborium::Value::Array(times)),
            (text("StatusCode"), text("Complete")),
        ]);
        let answer =
            ciborium::Value::Map(vec![(text("MetricDataResults"), ciborium::Value::Array(vec![result]))]);
        let mut body = Vec::new();
        ciborium::into_writer(&answer, &mut body).unwrap();
        Response::builder()
            .header("smithy-protocol", "rpc-v2-cbor")
            .header("content-type", "application/cbor")
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    });
    let id = function("f:live");
    let control = through(server.dialer());
    let last = async |since, until| control.last_utilization(own(&id), at(since), at(until)).await;
    let found = last("2026-11-20T09:00:00Z", "2026-11-20T09:15:00Z").await;
    assert_eq!(found, Lookup::Known(Some(at("2026-11-20T09:14:00Z"))));
    assert_eq!(last("2026-11-20T09:01:00Z", "2026-11-20T09:14:00Z").await, Lookup::Known(None));
}

#[tokio::test(start_paused = true)]
async fn failed_changes_are_sent_once_and_classified() {
    let id = function("f:live");
    let end = |script: fn() -> Answer, change: Change| {
        let (server, id) = (Server::new(move |_| async move { script() }), id.clone());
        async move {
            let end = through(server.dialer()).change(own(&id), &change).await;
            assert_eq!(server.observed.count(), 1, "no retries");
            end.map_err(|error| (error.kind, error.message))
        }
    };
    let put = || Change::PutProvisioned(NonZeroU32::MIN);
    let weights = || refusal(400, "InvalidParameterValueException", "Alias with weights can not be used\nx");
    let expected = (ChangeErrorKind::AliasWeights, "Alias with weights can not be used".to_owned());
    assert_eq!(end(weights, put()).await, Err(expected));
    let kind = async |script, change| end(script, change).await.unwrap_err().0;
    assert_eq!(kind(|| refusal(500, "ServiceException", ""), put()).await, ChangeErrorKind::Unknown);
    assert_eq!(kind(|| answer(502, "<html>"), put()).await, ChangeErrorKind::Unknown);
    assert_eq!(kind(|| answer(403, "<html>"), put()).await, ChangeErrorKind::Refused);
    assert_eq!(kind(|| answer(200, "<html>"), put()).await, ChangeErrorKind::Unknown);
    let pending = || refusal(400, "ConcurrentUpdateException", "pending");
    assert_eq!(kind(pending, Change::Deregister).await, ChangeErrorKind::FunctionUpdating);
    let role = || refusal(400, "ValidationException", "Unable to assume IAM role: arn:x");
    let register = Change::Register { bounds: Some(Bounds::ZERO), suspend: None, owner: None };
    assert_eq!(kind(role, register).await, ChangeErrorKind::ServiceLinkedRole);

    let gone = || refusal(400, "ObjectNotFoundException", "No scalable target registered");
    for change in
        [Change::Deregister, Change::DeleteAction("a".to_owned()), Change::DeletePolicy("p".to_owned())]
    {
        assert_eq!(end(gone, change).await, Ok(()));
    }
    assert_eq!(
        end(|| refusal(404, "ResourceNotFoundException", ""), Change::DeleteProvisioned).await,
        Ok(())
    );
    assert_eq!(
        kind(gone, Change::PutPolicy { name: "p".to_owned(), utilization: 70 }).await,
        ChangeErrorKind::NotFound
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_without_an_answer_is_unknown() {
    let server = Server::new(|_| std::future::pending());
    let (id, began) = (function("f:live"), tokio::time::Instant::now());
    let error = through(server.dialer()).change(own(&id), &Change::DeleteProvisioned).await.unwrap_err();
    assert_eq!(error.kind, ChangeErrorKind::Unknown, "{error}");
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
    let read = through(server.dialer()).provisioned(own(&id)).await;
    assert!(matches!(read, Lookup::Unreachable(_)), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_once_for_lambda_and_autoscaling() {
    let server = Server::new(|request: Request<Bytes>| async move {
        if request.headers().contains_key("x-amz-target") {
            return answer(200, "{}");
        }
        roles::assume(&request).unwrap_or_else(|| answer(200, "{}"))
    });
    let role = Arc::new(Role { arn: "arn:aws:iam::222222222222:role/warmd".to_owned(), external_id: None });
    let id = function("f:live");
    let of = Place { id: &id, role: Some(&role) };
    let control = through(server.dialer());
    assert_eq!(control.change(of, &Change::DeleteProvisioned).await, Ok(()));
    assert_eq!(control.change(of, &Change::Deregister).await, Ok(()));
    assert_eq!(control.policies(of).await, Lookup::Known(Vec::new()));
    let requests = server.observed.requests.lock().unwrap();
    let keys: Vec<bool> = requests
        .iter()
        .map(|request| request.headers()["authorization"].to_str().unwrap().contains("ASIA222222222222"))
        .collect();
    assert_eq!(keys, [false, true, true, true], "STS once, then the role's credentials");
}
