//! Application Auto Scaling with a simple capacity: available at once, and as busy as there are users.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::capacity::Place;
use super::super::errors::ErrorResponse;
use super::super::scenario::Operation;
use super::operations::Caller;
use super::targets::{Capacity, Scaling};
use Operation::*;

/// Capacity that is available after `prepare`. `users` is the number of busy environments in a minute.
#[derive(Default)]
struct Environments {
    requested: RefCell<BTreeMap<String, u32>>,
    /// Emulated seconds and numbers of all requests.
    log: RefCell<Vec<(u64, u32)>>,
    users: RefCell<Vec<u32>>,
    prepare: Cell<Duration>,
}

impl Capacity for Environments {
    fn check(&self, place: &Place) -> Result<(), ErrorResponse> {
        match place.function.as_str() {
            "missing" => Err(ErrorResponse::not_found("Function not found: missing")),
            _ => Ok(()),
        }
    }

    fn request(&self, place: &Place, number: u32, at: Duration) -> Result<(), ErrorResponse> {
        self.requested.borrow_mut().insert(place.function.clone(), number);
        self.log.borrow_mut().push((at.as_secs(), number));
        Ok(())
    }

    fn requested(&self, place: &Place, _: Duration) -> u32 {
        self.requested.borrow().get(&place.function).copied().unwrap_or_default()
    }

    fn utilization(&self, place: &Place, end: Duration) -> Option<f64> {
        let minute = usize::try_from(end.as_secs() / 60 - 1).unwrap();
        let users = self.users.borrow().get(minute).copied().filter(|users| *users > 0)?;
        let available = self.requested(place, end);
        (available > 0).then(|| (f64::from(users) / f64::from(available)).min(1.0))
    }

    fn prepare(&self, _: &Place) -> Duration {
        self.prepare.get()
    }
}

/// The service and its capacity. The emulated time begins on Monday 2026-11-23 at 07:00:00 UTC.
struct Account {
    scaling: Scaling,
    environments: Environments,
    now: Duration,
}

impl Account {
    fn new() -> Self {
        Self { scaling: Scaling::new(1), environments: Environments::default(), now: Duration::ZERO }
    }

    fn origin() -> DateTime<Utc> {
        "2026-11-23T07:00:00Z".parse().unwrap()
    }

    /// Performs an operation, for a resource of this name unless the input has a resource id or names no resource.
    fn call(&mut self, operation: Operation, mut input: Value) -> Result<Value, String> {
        let common = json!({
            "ServiceNamespace": "lambda",
            "ResourceId": "function:f:live",
            "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        });
        for (key, value) in common.as_object().unwrap() {
            input.as_object_mut().unwrap().entry(key).or_insert(value.clone());
        }
        self.scaling.advance(&self.environments, Self::origin(), self.now);
        let caller = Caller {
            capacity: &self.environments,
            account: "123456789012",
            region: "eu-west-2",
            now: self.now,
            origin: Some(Self::origin()),
        };
        let done = self.scaling.call(&caller, operation, input);
        done.map_err(|error| format!("{}: {}", error.code, error.message))
    }

    fn ok(&mut self, operation: Operation, input: Value) -> Value {
        self.call(operation, input).unwrap()
    }

    fn register(&mut self, min: u32, max: u32) {
        self.ok(RegisterScalableTarget, json!({ "MinCapacity": min, "MaxCapacity": max }));
    }

    /// Adds a policy at 70 %.
    fn track(&mut self) {
        self.ok(
            PutScalingPolicy,
            json!({
                "PolicyName": "warmd-utilization",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 0.7,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization",
                    },
                },
            }),
        );
    }

    /// Adds an action at a time of the day.
    fn action(&mut self, name: &str, time: &str, bounds: Value) -> Result<Value, String> {
        let schedule = format!("at(2026-11-23T{time})");
        let input =
            json!({ "ScheduledActionName": name, "Schedule": schedule, "ScalableTargetAction": bounds });
        self.call(PutScheduledAction, input)
    }

    /// Lets minutes pass without a request, then evaluates.
    fn pass(&mut self, minutes: u64) {
        self.now += Duration::from_secs(60 * minutes);
        self.scaling.advance(&self.environments, Self::origin(), self.now);
    }

    fn bounds(&mut self) -> (u64, u64) {
        let answer = self.ok(DescribeScalableTargets, json!({}));
        let target = &answer["ScalableTargets"][0];
        (target["MinCapacity"].as_u64().unwrap(), target["MaxCapacity"].as_u64().unwrap())
    }

    /// Returns the activities, the earliest first, each in a line.
    fn activities(&mut self) -> String {
        let answer = self.ok(DescribeScalingActivities, json!({}));
        let line = |activity: &Value| {
            let text = |key: &str| activity[key].as_str().unwrap().to_owned();
            let time = |key: &str| {
                let at = activity[key].as_f64().and_then(|at| DateTime::from_timestamp(at as i64, 0));
                at.map_or("-".to_owned(), |at| at.format("%T").to_string())
            };
            let (started, ended) = (time("StartTime"), time("EndTime"));
            format!(
                "{started} {ended} {} | {} | {} | {}\n",
                text("Description"),
                text("Cause"),
                text("StatusCode"),
                text("StatusMessage"),
            )
        };
        answer["ScalingActivities"].as_array().unwrap().iter().rev().map(line).collect()
    }
}

/// Lets minutes with these numbers of users pass. Returns the changes of capacity: the minute, its users, and the
/// requested capacity before and after.
fn tracked(account: &mut Account, users: Vec<u32>) -> String {
    account.environments.users.replace(users.clone());
    let mut changes = String::new();
    for (minute, users) in (1..).zip(users) {
        let requested = |account: &Account| account.environments.log.borrow().last().unwrap().1;
        let before = requested(account);
        account.pass(1);
        let after = requested(account);
        if after != before {
            changes.push_str(&format!("{minute:3} {users:3} {before:3} -> {after}\n"));
        }
    }
    changes
}

#[test]
fn users_from_0_to_100_to_0() {
    let mut account = Account::new();
    account.register(10, 120);
    account.track();
    let up = (0..=20).map(|step| step * 5);
    // 40 users of 58 are 69 %: between the thresholds. Without users the capacity stays.
    let users = up.chain([100; 20]).chain([40; 20]).chain([0; 20]).chain([1; 16]).collect();
    insta::assert_snapshot!(tracked(&mut account, users), @r"
      5  20  10 -> 15
      6  25  15 -> 22
      7  30  22 -> 32
      8  35  32 -> 46
      9  40  46 -> 58
     10  45  58 -> 65
     11  50  65 -> 72
     12  55  72 -> 79
     13  60  79 -> 86
     14  65  86 -> 93
     15  70  93 -> 100
     16  75 100 -> 108
     17  80 108 -> 115
     18  85 115 -> 120
     56  40 120 -> 58
     96   1  58 -> 10
    ");
    let last = "07:00:00 07:00:00 Setting desired concurrency to 10. | minimum capacity was set to 10 | Successful | \
                Successfully set desired concurrency to 10. Change successfully fulfilled by lambda.\n";
    assert!(account.activities().starts_with(last), "{}", account.activities());
    let alarm = account.ok(DescribeScalingPolicies, json!({}))["ScalingPolicies"][0]["Alarms"][1].clone();
    let alarm = alarm["AlarmName"].as_str().unwrap();
    let cause = format!("monitor alarm {alarm} in state ALARM triggered policy warmd-utilization");
    let line = account.activities().lines().last().unwrap().to_owned();
    assert!(line.starts_with("08:36:00") && line.contains(&cause), "{line}");
}

#[test]
fn no_change_begins_while_one_is_in_progress() {
    let mut account = Account::new();
    account.environments.prepare.set(Duration::from_secs(90));
    account.register(10, 50);
    account.track();
    tracked(&mut account, vec![100; 12]);
    let log = account.environments.log.borrow().clone();
    assert_eq!(log, [(0, 10), (180, 15), (300, 22), (420, 32), (540, 46), (660, 50)]);
    let last = account.activities().lines().last().unwrap().to_owned();
    assert!(last.ends_with("InProgress | Successfully set desired concurrency to 50. Waiting for change to be fulfilled by lambda."), "{last}");
    account.pass(1);
    let last = account.activities().lines().last().unwrap().to_owned();
    assert!(last.starts_with("07:11:00 07:12:30 ") && last.contains("| Successful |"), "{last}");
}

#[test]
fn suspended_tracking_changes_nothing() {
    let suspended = |kind: &str| {
        let mut account = Account::new();
        account.register(10, 50);
        account.track();
        account.ok(RegisterScalableTarget, json!({ "SuspendedState": { kind: true } }));
        tracked(&mut account, [[20; 5].as_slice(), &[1; 20]].concat()).lines().count()
    };
    assert_eq!(suspended("DynamicScalingOutSuspended"), 0);
    assert_eq!(suspended("DynamicScalingInSuspended"), 3);
    assert_eq!(suspended("ScheduledScalingSuspended"), 4);
}

#[test]
fn actions_happen_at_their_instant_while_nobody_calls() {
    let mut account = Account::new();
    account.register(0, 0);
    account.action("open", "07:56:00", json!({ "MinCapacity": 10, "MaxCapacity": 50 })).unwrap();
    account.action("more", "09:00:30", json!({ "MinCapacity": 20 })).unwrap();
    account.action("close", "18:00:00", json!({ "MinCapacity": 0, "MaxCapacity": 0 })).unwrap();
    account.pass(2 * 24 * 60);
    let log = account.environments.log.borrow().clone();
    assert_eq!(log, [(56 * 60, 10), (2 * 3600 + 30, 20), (11 * 3600, 0)]);
    let changes = account.scaling.changes.iter();
    let changes: Vec<_> =
        changes.map(|change| (change.at.as_secs(), change.bounds, change.requested)).collect();
    let expected = [(0, (0, 0), 0), (3360, (10, 50), 10), (7230, (20, 50), 20), (39600, (0, 0), 0)];
    assert_eq!(changes, expected.map(|(at, bounds, requested)| (at, Some(bounds), requested)));
    assert_eq!(account.bounds(), (0, 0));
    insta::assert_snapshot!(account.activities(), @r"
    07:56:00 - Setting min capacity to 10 and max capacity to 50 | scheduled action name open was triggered | Successful | Successfully set min capacity to 10 and max capacity to 50
    07:56:00 07:56:00 Setting desired concurrency to 10. | minimum capacity was set to 10 | Successful | Successfully set desired concurrency to 10. Change successfully fulfilled by lambda.
    09:00:30 - Setting min capacity to 20 | scheduled action name more was triggered | Successful | Successfully set min capacity to 20
    09:00:30 09:00:30 Setting desired concurrency to 20. | minimum capacity was set to 20 | Successful | Successfully set desired concurrency to 20. Change successfully fulfilled by lambda.
    18:00:00 - Setting min capacity to 0 and max capacity to 0 | scheduled action name close was triggered | Successful | Successfully set min capacity to 0 and max capacity to 0
    18:00:00 18:00:00 Setting desired concurrency to 0. | maximum capacity was set to 0 | Successful | Successfully set desired concurrency to 0. Change successfully fulfilled by lambda.
    ");
}

#[test]
fn an_action_is_lost_while_scheduled_scaling_is_suspended() {
    let mut account = Account::new();
    account.register(0, 0);
    account.action("open", "08:00:00", json!({ "MinCapacity": 10, "MaxCapacity": 50 })).unwrap();
    account.ok(RegisterScalableTarget, json!({ "SuspendedState": { "ScheduledScalingSuspended": true } }));
    account.pass(120);
    account.ok(RegisterScalableTarget, json!({ "SuspendedState": { "ScheduledScalingSuspended": false } }));
    account.pass(120);
    assert_eq!((account.bounds(), account.activities().as_str()), ((0, 0), ""));
    // It is listed until it is deleted.
    let listed = account.ok(DescribeScheduledActions, json!({}));
    assert_eq!(listed["ScheduledActions"][0]["Schedule"], "at(2026-11-23T08:00:00)");
    account.ok(DeleteScheduledAction, json!({ "ScheduledActionName": "open" }));
    assert_eq!(
        account.call(DeleteScheduledAction, json!({ "ScheduledActionName": "open" })).unwrap_err(),
        "ObjectNotFoundException: No scheduled action found for service namespace: lambda, resource ID: \
         function:f:live, scalable dimension: lambda:function:ProvisionedConcurrency, scheduled action name: open"
    );
}

#[test]
fn actions_that_cannot_happen_are_refused_or_fail() {
    let mut account = Account::new();
    account.register(0, 5);
    account.pass(10);
    let bounds = || json!({ "MinCapacity": 1, "MaxCapacity": 2 });
    for (time, bounds, reason) in [
        ("07:10:00", bounds(), "The schedule at(2026-11-23T07:10:00) is in the past"),
        ("25:00:00", bounds(), "Invalid schedule expression: at(2026-11-23T25:00:00)"),
        ("08:00:00", json!({ "MinCapacity": 3, "MaxCapacity": 2 }), "Maximum capacity cannot be less"),
        ("08:00:00", json!({ "MinCapacity": -1 }), "Capacity must be a number"),
        ("08:00:00", json!({}), "1 validation error detected: Value at 'scalableTargetAction'"),
    ] {
        let error = account.action("a", time, bounds).unwrap_err();
        assert!(error.starts_with(&format!("ValidationException: {reason}")), "{error}");
    }
    account.action("a", "08:00:00", json!({ "MinCapacity": 6 })).unwrap();
    account.pass(60);
    assert_eq!(account.bounds(), (0, 5));
    assert!(account.activities().contains("| Failed | Failed to set min capacity to 6. Reason: "));
    // Others are stored and do not happen.
    let rate = json!({ "MinCapacity": 1 });
    let rate =
        json!({ "ScheduledActionName": "r", "Schedule": "rate(1 hour)", "ScalableTargetAction": rate });
    account.ok(PutScheduledAction, rate);
    // A changed action keeps its bounds and happens at the new time.
    account
        .ok(PutScheduledAction, json!({ "ScheduledActionName": "r", "Schedule": "at(2026-11-24T00:00:00)" }));
    account.pass(48 * 60);
    assert_eq!(account.bounds(), (1, 5));
}

#[test]
fn registration_keeps_what_is_absent_and_moves_the_capacity() {
    let mut account = Account::new();
    let refused = |account: &mut Account, input: Value, reason: &str| {
        let error = account.call(RegisterScalableTarget, input).unwrap_err();
        assert!(error.starts_with(&format!("ValidationException: {reason}")), "{error}");
    };
    refused(&mut account, json!({ "MinCapacity": 1 }), "1 validation error detected: Value at 'maxCapacity'");
    refused(&mut account, json!({ "MinCapacity": 2, "MaxCapacity": 1 }), "Maximum capacity cannot be less");
    for id in ["function:f", "function:f:$LATEST", "table/t", "function:f:live:1"] {
        let input = json!({ "MinCapacity": 1, "MaxCapacity": 1, "ResourceId": id });
        refused(&mut account, input, "Unsupported resource ID: ");
    }
    let absent = json!({ "MinCapacity": 1, "MaxCapacity": 1, "ResourceId": "function:missing:live" });
    refused(&mut account, absent, "Function not found: missing");
    refused(&mut account, json!({ "ServiceNamespace": "ecs" }), "Unsupported service namespace: ecs");

    let tags = json!({ "warmd:owner": "warmd" });
    let made = json!({ "MinCapacity": 5, "MaxCapacity": 20, "Tags": tags });
    let arn =
        account.ok(RegisterScalableTarget, made.clone())["ScalableTargetARN"].as_str().unwrap().to_owned();
    let prefix = "arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/";
    assert!(arn.starts_with(prefix), "{arn}");
    refused(&mut account, made, "Tags of an existing scalable target");
    refused(&mut account, json!({ "MaxCapacity": 4 }), "Maximum capacity cannot be less");
    assert_eq!(account.ok(RegisterScalableTarget, json!({ "MinCapacity": 7 }))["ScalableTargetARN"], arn);
    assert_eq!(account.bounds(), (7, 20));
    account.ok(RegisterScalableTarget, json!({ "MinCapacity": 0, "MaxCapacity": 3 }));
    let log = account.environments.log.borrow().clone();
    assert_eq!(log, [(0, 5), (0, 7), (0, 3)]);

    account.ok(TagResource, json!({ "ResourceARN": arn, "Tags": { "a": "1", "b": "2" } }));
    account.ok(UntagResource, json!({ "ResourceARN": arn, "TagKeys": ["a"] }));
    let listed = account.ok(ListTagsForResource, json!({ "ResourceARN": arn }));
    assert_eq!(listed, json!({ "Tags": { "b": "2", "warmd:owner": "warmd" } }));
    let many: BTreeMap<String, String> = (0..50).map(|n| (format!("k{n}"), String::new())).collect();
    let error = account.call(TagResource, json!({ "ResourceARN": arn, "Tags": many })).unwrap_err();
    assert!(error.starts_with("TooManyTagsException: "), "{error}");
    let error = account.call(ListTagsForResource, json!({ "ResourceARN": "arn:x" })).unwrap_err();
    assert_eq!(error, "ResourceNotFoundException: Resource not found: arn:x");
}

#[test]
fn deregistration_deletes_policies_and_actions_and_leaves_the_capacity() {
    let mut account = Account::new();
    account.register(5, 20);
    account.track();
    account.action("open", "08:00:00", json!({ "MinCapacity": 10 })).unwrap();
    assert_eq!(account.scaling.alarms(), 2);
    account.ok(DeregisterScalableTarget, json!({}));
    account.pass(120);
    assert_eq!(account.environments.log.borrow().as_slice(), [(0, 5)]);
    assert_eq!(account.scaling.alarms(), 0);
    let last = account.scaling.changes.back().unwrap();
    assert_eq!((last.bounds, last.requested), (None, 5));
    let absent = "ObjectNotFoundException: No scalable target registered for service namespace: lambda, resource ID: \
                  function:f:live, scalable dimension: lambda:function:ProvisionedConcurrency";
    assert_eq!(account.call(DeregisterScalableTarget, json!({})).unwrap_err(), absent);
    assert_eq!(account.action("a", "12:00:00", json!({ "MinCapacity": 1 })).unwrap_err(), absent);
    // A new target has none of them. The activities are still there.
    account.register(0, 20);
    for (operation, list) in
        [(DescribeScalingPolicies, "ScalingPolicies"), (DescribeScheduledActions, "ScheduledActions")]
    {
        assert_eq!(account.ok(operation, json!({})), json!({ list: [] }));
    }
    assert_eq!(account.activities().lines().count(), 1);
}

#[test]
fn quotas() {
    let mut account = Account::new();
    let target = |n: usize| json!({ "MinCapacity": 0, "MaxCapacity": 0, "ResourceId": format!("function:f{n:03}:live") });
    for n in 0..500 {
        account.ok(RegisterScalableTarget, target(n));
    }
    let error = account.call(RegisterScalableTarget, target(500)).unwrap_err();
    assert_eq!(error, "LimitExceededException: The limit of 500 scalable targets is exceeded.");
    account.ok(RegisterScalableTarget, target(7));
    account.ok(DeregisterScalableTarget, target(8));
    account.register(0, 0);
    let zero = || json!({ "MinCapacity": 0, "MaxCapacity": 0 });
    for n in 0..200 {
        account.action(&format!("a{n}"), "12:00:00", zero()).unwrap();
    }
    let error = account.action("b", "12:00:00", zero()).unwrap_err();
    assert_eq!(error, "LimitExceededException: The limit of 200 scheduled actions is exceeded.");
    account.action("a7", "13:00:00", zero()).unwrap();
}

#[test]
fn answers_have_pages() {
    let mut account = Account::new();
    for n in 0..12 {
        let id = format!("function:f{n:02}:live");
        account.ok(RegisterScalableTarget, json!({ "MinCapacity": 1, "MaxCapacity": 9, "ResourceId": id }));
    }
    // All resources.
    let all = |input: Value| {
        let mut input = input;
        input["ResourceId"] = Value::Null;
        input
    };
    let mut token = Value::Null;
    let mut pages = Vec::new();
    loop {
        let answer = account.ok(DescribeScalableTargets, all(json!({ "MaxResults": 5, "NextToken": token })));
        let ids = answer["ScalableTargets"].as_array().unwrap().iter();
        pages.push(ids.map(|target| target["ResourceId"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        // A target that is deleted between two pages does not shift the others.
        let _ = account.call(DeregisterScalableTarget, json!({ "ResourceId": "function:f01:live" }));
        token = answer["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let seen: Vec<String> = pages.concat();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 2]);
    assert_eq!(seen, (0..12).map(|n| format!("function:f{n:02}:live")).collect::<Vec<_>>());
    let latest = account.ok(DescribeScalingActivities, all(json!({ "MaxResults": 10 })));
    assert_eq!(latest["ScalingActivities"][0]["ResourceId"], "function:f11:live");
    let rest = account.ok(DescribeScalingActivities, all(json!({ "NextToken": latest["NextToken"] })));
    assert_eq!(rest["ScalingActivities"].as_array().unwrap().len(), 2);
    assert!(rest.get("NextToken").is_none());
    let named = json!({ "ResourceIds": ["function:f03:live", "function:f99:live"] });
    assert_eq!(
        account.ok(DescribeScalableTargets, all(named))["ScalableTargets"].as_array().unwrap().len(),
        1
    );
    let error = account.call(DescribeScalableTargets, all(json!({ "NextToken": "?" }))).unwrap_err();
    assert_eq!(error, "InvalidNextTokenException: Invalid NextToken");
    let error = account.call(DescribeScalingPolicies, all(json!({ "MaxResults": 11 }))).unwrap_err();
    assert_eq!(error, "ValidationException: MaxResults must be between 1 and 10");
}

#[test]
fn a_failed_change_is_named_and_not_repeated() {
    let mut account = Account::new();
    account.register(0, 0);
    let place = Place {
        scope: "123456789012/eu-west-2".to_owned(),
        function: "f".to_owned(),
        qualifier: "live".to_owned(),
    };
    let reason = "Alias with weights can not be used with Provisioned Concurrency";
    account.scaling.fail(place.clone(), Some(reason));
    account.action("open", "08:00:00", json!({ "MinCapacity": 10, "MaxCapacity": 50 })).unwrap();
    account.pass(90);
    let last = account.activities().lines().last().unwrap().to_owned();
    let failed = "| Failed | Failed to set desired concurrency to 10. Reason: Alias with weights can not be used with \
                  Provisioned Concurrency (Service: AWSLambda; Status Code: 400; Error Code: \
                  InvalidParameterValueException; Request ID: ";
    assert!(last.starts_with("08:00:00 08:00:00 ") && last.contains(failed), "{last}");
    account.scaling.fail(place, None);
    account.pass(24 * 60);
    assert_eq!(account.environments.log.borrow().as_slice(), []);
    assert_eq!(account.bounds(), (10, 50));
    account.register(10, 50);
    assert_eq!(account.environments.log.borrow().as_slice(), [((90 + 24 * 60) * 60, 10)]);
}

#[test]
fn policies_have_two_alarms_and_keep_their_arns() {
    let mut account = Account::new();
    account.register(1, 9);
    account.track();
    let described = account.ok(DescribeScalingPolicies, json!({}))["ScalingPolicies"][0].clone();
    account.track();
    assert_eq!(account.ok(DescribeScalingPolicies, json!({}))["ScalingPolicies"], json!([described]));
    let settings = &described["TargetTrackingScalingPolicyConfiguration"];
    assert_eq!((&settings["TargetValue"], described["Alarms"].as_array().unwrap().len()), (&json!(0.7), 2));
    // Policies of other kinds are stored.
    let steps = json!({
        "PolicyName": "steps",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": { "AdjustmentType": "ChangeInCapacity" },
    });
    account.ok(PutScalingPolicy, steps);
    assert_eq!(account.scaling.alarms(), 2);
    for (settings, reason) in [
        (
            json!({ "TargetValue": 0.7 }),
            "1 validation error detected: Value at 'predefinedMetricSpecification'",
        ),
        (
            json!({ "TargetValue": 70, "PredefinedMetricSpecification":
                { "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization" } }),
            "The target value 70 is out of range",
        ),
        (
            json!({ "TargetValue": 0.7, "PredefinedMetricSpecification":
                { "PredefinedMetricType": "ECSServiceAverageCPUUtilization" } }),
            "Unsupported predefined metric type: ECSServiceAverageCPUUtilization",
        ),
    ] {
        let policy = json!({
            "PolicyName": "other",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": settings,
        });
        let error = account.call(PutScalingPolicy, policy).unwrap_err();
        assert!(error.starts_with(&format!("ValidationException: {reason}")), "{error}");
    }
    account.ok(DeleteScalingPolicy, json!({ "PolicyName": "warmd-utilization" }));
    assert_eq!(account.scaling.alarms(), 0);
}

#[test]
fn minutes_are_those_of_utc() {
    let origin = "2026-11-23T07:00:45.500Z".parse().unwrap();
    let next = |millis| super::next_minute(Duration::from_millis(millis), origin).as_millis();
    assert_eq!((next(0), next(14_499), next(14_500), next(74_501)), (14_500, 14_500, 74_500, 134_500));
}
