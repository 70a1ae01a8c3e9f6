//! Compares `template.yaml` with the code: dashboard, events, metrics and permissions.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use warmd::config::{SourceFile, resolve};
use warmd::deploy::alarms::{AlarmsInput, alarms, properties as alarm_properties};
use warmd::deploy::iam::{PolicyInput, Purpose, S3Prefix, policies, size};
use warmd::deploy::{EventKind, dashboard, sample};
use warmd::domain::capacity::{By, Fallback, Managed, Owner, Provisioned, Strategy};
use warmd::domain::cost::PriceBook;
use warmd::domain::cost::self_usage::{SelfUsage, least_observing_per_day, self_cost};
use warmd::domain::coverage::Slo;
use warmd::domain::events::{ENVIRONMENTS_WARM, SOURCE};
use warmd::domain::fleet::{Fleet, MetricsSettings, Target};
use warmd::domain::function::Region;
use warmd::domain::metrics::{Detail, Metric, Scope};
use warmd::domain::tick::{RoundRecord, SkipReason, TickReport};
use warmd::domain::tick_line;

/// Returns the template without tags (`!Ref`, `!Sub`, …). Their values stay.
fn template() -> Value {
    let text = include_str!("../../template.yaml");
    serde_yaml::from_str(text).unwrap()
}

fn properties<'a>(template: &'a Value, resource: &str) -> &'a Value {
    let properties = &template["Resources"][resource]["Properties"];
    assert!(properties.is_object(), "{resource} is in the template");
    properties
}

/// Returns all objects in `value`, at any depth.
fn objects(value: &Value) -> Vec<&Value> {
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    let own = value.is_object().then_some(value);
    own.into_iter().chain(inner.into_iter().flat_map(objects)).collect()
}

fn texts(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    }
}

/// Returns a configuration of two functions, the second in another account.
fn fleet() -> Fleet {
    let text = "
version: 1
functions:
  nlp:live:
    region: eu-west-2
    timezone: Europe/London
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
  far:
    region: eu-west-2
    role_arn: arn:aws:iam::999999999999:role/warmed
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
";
    let file = SourceFile { path: "nlp.yaml".to_owned(), text: text.to_owned() };
    resolve(vec![file], &mut |_| unreachable!("no file is referenced"), None).unwrap().fleet
}

/// Returns the body of the dashboard with the default objective.
fn dashboard_body(namespace: &str, log_group: &str, region: &str) -> Value {
    dashboard::body(&dashboard::DashboardInput {
        namespace,
        log_group,
        region,
        objective: Slo::DEFAULT,
        observing_per_day: least_observing_per_day(&PriceBook::embedded()),
    })
}

/// Returns a text of the template with the default of the objective.
fn with_objective(text: &str) -> String {
    let default = &template()["Parameters"]["CoverageObjective"]["Default"];
    assert_eq!(*default, 99);
    text.replace("${CoverageObjective}", "99")
}

#[test]
fn the_queries_of_the_dashboard_use_keys_of_the_log() {
    let fleet = fleet();
    let report = TickReport {
        tick: "2026-11-20T09:00:00Z".parse().unwrap(),
        config: None,
        duration_ms: 0,
        partial: false,
        rounds: vec![RoundRecord::skipped(&fleet.targets[0], 2, SkipReason::InFlight)],
        unfinished: Vec::new(),
        capacity: Vec::new(),
        pipelines: Vec::new(),
    };
    let line = tick_line::lines(&report, report.tick, "r-1").remove(0);
    let line: Value = serde_json::from_str(&line).unwrap();
    let body = dashboard_body("warmd", "/aws/lambda/warmd", "eu-west-2");
    let queries: Vec<&str> =
        objects(&body).into_iter().filter_map(|object| object["query"].as_str()).collect();
    assert_eq!(queries.len(), 5);
    for query in queries {
        assert!(query.contains(&format!("filter message = {}\n", line["message"])), "{query}");
        assert!(query.contains("unnest line.tick.rounds into item"), "{query}");
        for path in query.split("item.").skip(1) {
            let path = path.split([',', ' ', ')', '\n']).next().unwrap();
            let round = &line["tick"]["rounds"][0];
            let exists = round.pointer(&format!("/{}", path.replace('.', "/"))).is_some();
            assert!(exists, "{path} in {query}");
        }
    }
}

#[test]
fn the_template_contains_the_printed_dashboard() {
    let template = template();
    let deployed = properties(&template, "Dashboard")["DashboardBody"].as_str().unwrap();
    let deployed: Value = serde_json::from_str(&with_objective(deployed)).unwrap();
    // `!Sub` replaces these names by those of the stack.
    let printed = dashboard_body("${MetricNamespace}", "${LogGroup}", "${AWS::Region}");
    assert_eq!(
        deployed,
        printed,
        "replace the template's DashboardBody by this, with ${{CoverageObjective}} for 99 in expressions and in the \
         annotation:\n{}",
        serde_json::to_string_pretty(&printed).unwrap()
    );
}

#[test]
fn the_defaults_of_the_dashboard_match_a_stack_named_warmd() {
    let template = template();
    assert_eq!(properties(&template, "LogGroup")["LogGroupName"], "/aws/lambda/${AWS::StackName}");
    let namespace = &template["Parameters"]["MetricNamespace"]["Default"];
    assert_eq!(*namespace, json!(MetricsSettings::default().namespace));
}

/// Returns true if `pattern`, of lists of strings, prefixes and absent keys, matches `event` in EventBridge.
fn matches(pattern: &Value, event: &Value) -> bool {
    let mut conditions = pattern.as_object().unwrap().iter();
    conditions.all(|(key, allowed)| {
        let Value::Array(allowed) = allowed else { return matches(allowed, &event[key]) };
        assert!(!allowed.is_empty(), "{key}: expected a list");
        let value = event[key].as_str();
        allowed.iter().any(|allowed| match (allowed, &allowed["prefix"], &allowed["exists"]) {
            (Value::String(text), ..) => text == "AWS::AccountId" || value == Some(text),
            (_, Value::String(prefix), _) => value.is_some_and(|value| value.starts_with(prefix)),
            (_, _, Value::Bool(false)) => event.get(key).is_none(),
            _ => panic!("{allowed} in {key}"),
        })
    })
}

#[test]
fn each_event_matches_its_own_rule_only() {
    let template = template();
    let rules = ["RequestRule", "ShardRule", "DeployRule"];
    let taken = |event: &Value| {
        let takes = |rule: &&str| matches(&properties(&template, rule)["EventPattern"], event);
        rules.into_iter().filter(takes).collect::<Vec<_>>()
    };
    assert_eq!(taken(&sample(EventKind::WarmRequest)), ["RequestRule"]);
    assert_eq!(taken(&sample(EventKind::Shard)), ["ShardRule"]);
    assert_eq!(taken(&sample(EventKind::Scheduled)), [""; 0]);
    assert_eq!(taken(&sample(EventKind::Deployed)), ["DeployRule"]);
    assert!(properties(&template, "TickRule")["ScheduleExpression"].is_string());

    let mut forged = sample(EventKind::Shard);
    forged["source"] = json!("shop");
    assert_eq!(taken(&forged), [""; 0]);
    for rule in rules {
        let account = &properties(&template, rule)["EventPattern"]["account"];
        assert_eq!(*account, json!(["AWS::AccountId"]), "{rule} must not match events of other accounts");
    }
    for (call, rules) in [
        ("UpdateFunctionCode20150331v2", &["DeployRule"][..]),
        ("UpdateFunctionConfiguration20150331v2", &["DeployRule"]),
        ("UpdateEventSourceMapping20150331", &[]),
        ("PublishVersion20150331", &[]),
    ] {
        let mut event = sample(EventKind::Deployed);
        event["detail"]["eventName"] = json!(call);
        assert_eq!(taken(&event), rules, "{call}");
        event["detail"]["errorCode"] = json!("ResourceConflictException");
        assert_eq!(taken(&event), [""; 0], "failed calls change nothing");
    }
    let mut done = sample(EventKind::WarmRequest);
    (done["source"], done["detail-type"]) = (json!(SOURCE), json!(ENVIRONMENTS_WARM));
    assert_eq!(taken(&done), [""; 0], "the function does not invoke itself");
}

#[test]
fn stale_events_are_not_delivered() {
    let template = template();
    let function = properties(&template, "Function");
    assert_eq!(function["EventInvokeConfig"]["MaximumEventAgeInSeconds"], 120);
    assert_eq!(function["EventInvokeConfig"]["MaximumRetryAttempts"], 0);
    for rule in ["TickRule", "RequestRule", "ShardRule", "DeployRule"] {
        let targets = properties(&template, rule)["Targets"].as_array().unwrap();
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0]["RetryPolicy"]["MaximumEventAgeInSeconds"], 120, "{rule}");
        assert_eq!(targets[0]["DeadLetterConfig"]["Arn"], "DeadLetters.Arn", "{rule}");
    }
}

#[test]
fn deployments_are_reported_on_the_default_bus_unless_disabled() {
    let template = template();
    let rule = properties(&template, "DeployRule");
    assert_eq!(
        (rule.get("EventBusName"), &rule["State"]),
        (None, &json!(["WarmsOnDeploy", "ENABLED", "DISABLED"]))
    );
    assert_eq!(template["Conditions"]["WarmsOnDeploy"], json!(["WarmOnDeploy", "true"]));
    assert_eq!(template["Parameters"]["WarmOnDeploy"]["Default"], "true");
    assert_eq!(properties(&template, "DeployPermission")["SourceArn"], "DeployRule.Arn");
    let queue = &properties(&template, "DeadLettersPolicy")["PolicyDocument"]["Statement"][0];
    assert!(texts(&queue["Condition"]["ArnEquals"]["aws:SourceArn"]).contains("DeployRule.Arn"));
}

#[test]
fn the_bucket_is_kept_versioned_encrypted_and_tls_only() {
    let template = template();
    for kept in ["OwnBucket", "OwnBucketPolicy"] {
        assert_eq!(template["Resources"][kept]["DeletionPolicy"], "Retain", "{kept}");
    }
    let bucket = properties(&template, "OwnBucket");
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256");
    let policy = properties(&template, "OwnBucketPolicy");
    assert_eq!(policy["Bucket"], "OwnBucket");
    let statement = &policy["PolicyDocument"]["Statement"][0];
    assert_eq!(
        (&statement["Effect"], &statement["Principal"], &statement["Action"]),
        (&json!("Deny"), &json!("*"), &json!("s3:*"))
    );
    assert_eq!(statement["Condition"]["Bool"]["aws:SecureTransport"], "false");
    assert_eq!(statement["Resource"], json!(["OwnBucket.Arn", "${OwnBucket.Arn}/*"]));
    // Old versions of state are numerous and soon useless.
    let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap();
    let state = rules.iter().find(|rule| rule["Prefix"] == "${StatePrefix}/").unwrap();
    assert_eq!(state["NoncurrentVersionExpiration"]["NoncurrentDays"], 1);
}

#[test]
fn the_function_is_what_cargo_lambda_builds() {
    let template = template();
    let metadata = &template["Resources"]["Function"]["Metadata"];
    assert_eq!(
        *metadata,
        json!({ "BuildMethod": "rust-cargolambda", "BuildProperties": { "Binary": "bootstrap" } })
    );
    let function = properties(&template, "Function");
    assert_eq!(function["Architectures"], json!(["arm64"]));
    assert_eq!(function["Runtime"], "provided.al2023");
    assert_eq!(function["Timeout"], 900);
    let parameter = |name: &str, key: &str| template["Parameters"][name][key].clone();
    assert_eq!(parameter("MemorySize", "Default"), 1769);
    assert_eq!(parameter("ReservedConcurrency", "MinValue"), 5);
    let variables: Vec<&str> =
        function["Environment"]["Variables"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        variables,
        [
            "WARMD_CONFIGS",
            "WARMD_STATE",
            "WARMD_REGIONS",
            "WARMD_TICK",
            "WARMD_MAX_TICK_AGE",
            "WARMD_ALLOW_CUSTOM_PAYLOAD",
            "WARMD_BUS",
        ]
    );
}

#[test]
fn alarms_use_metrics_that_are_sent() {
    let template = template();
    let sent: BTreeSet<&str> = Metric::ALL
        .iter()
        .filter(|metric| metric.scope() != Scope::Target)
        .map(|metric| metric.name())
        .collect();
    let short = properties(&template, "RoundsShortAlarm");
    let watched = short["Metrics"].as_array().unwrap();
    for (metric, name) in watched[1..].iter().zip([Metric::RoundsShort, Metric::RoundsUnfinished]) {
        assert_eq!(metric["MetricStat"]["Metric"]["Namespace"], "MetricNamespace");
        assert_eq!(metric["MetricStat"]["Metric"]["MetricName"], name.name());
        assert_eq!(metric["MetricStat"]["Period"], 900, "one short round in 15 minutes is enough");
    }
    assert_eq!((watched.len(), &short["EvaluationPeriods"]), (3, &json!(1)));
    for alarm in ["NoTickAlarm", "ConfigBehindAlarm", "NoTargetAlarm"] {
        let alarm = properties(&template, alarm);
        assert_eq!(alarm["Namespace"], "MetricNamespace");
        assert!(sent.contains(alarm["MetricName"].as_str().unwrap()), "{alarm}");
        assert!(alarm.get("Dimensions").is_none(), "fleet metrics have none");
    }
    let no_tick = properties(&template, "NoTickAlarm");
    let minutes = no_tick["Period"].as_u64().unwrap() * no_tick["EvaluationPeriods"].as_u64().unwrap() / 60;
    assert_eq!((minutes, no_tick["TreatMissingData"].as_str()), (5, Some("breaching")));
    // Sent only if not zero.
    for alarm in [
        "RoundsShortAlarm",
        "ErrorsAlarm",
        "ConfigBehindAlarm",
        "DeadLettersAlarm",
        "RulesFailedAlarm",
        "NoTargetAlarm",
    ] {
        assert_eq!(properties(&template, alarm)["TreatMissingData"], "notBreaching", "{alarm}");
    }
    let no_target = properties(&template, "NoTargetAlarm");
    assert_eq!(
        (&no_target["MetricName"], &no_target["Period"]),
        (&json!(Metric::Functions.name()), &json!(86_400))
    );
    assert_eq!(no_target["ComparisonOperator"], "LessThanThreshold");
    assert_eq!(template["Parameters"]["NoTargetDays"]["Default"], 1);
    let dead = properties(&template, "DeadLettersAlarm");
    assert_eq!(dead["MetricName"], "ApproximateNumberOfMessagesVisible");
    assert_eq!(dead["Dimensions"][0]["Value"], "DeadLetters.QueueName");
}

/// Names and texts differ, because CloudFormation makes names.
#[test]
fn the_template_contains_the_printed_alarms() {
    let template = template();
    let fleet = Fleet {
        metrics: MetricsSettings { namespace: "MetricNamespace".to_owned(), ..MetricsSettings::default() },
        ..Fleet::new(Vec::new())
    };
    let printed = alarms(&AlarmsInput {
        fleet: &fleet,
        owner: &fleet.owner,
        objective: Some(Slo::DEFAULT),
        of_functions: true,
        topic: Some("AlarmTopicArn"),
    });
    let resources = [
        ("warmd-warmd-fleet-fast-long", "FastBurnLongAlarm"),
        ("warmd-warmd-fleet-fast-short", "FastBurnShortAlarm"),
        ("warmd-warmd-fleet-fast", "FastBurnAlarm"),
        ("warmd-warmd-fleet-slow-long", "SlowBurnLongAlarm"),
        ("warmd-warmd-fleet-slow-short", "SlowBurnShortAlarm"),
        ("warmd-warmd-fleet-slow", "SlowBurnAlarm"),
        ("warmd-warmd-no-tick", "NoTickAlarm"),
    ];
    let printed = printed.unwrap();
    assert_eq!(printed.len(), resources.len());
    for (alarm, (name, resource)) in printed.iter().zip(resources) {
        assert_eq!(alarm.name, name);
        let mut printed = alarm_properties(alarm);
        let mut deployed = properties(&template, resource).clone();
        for object in [&mut printed, &mut deployed] {
            let object = object.as_object_mut().unwrap();
            // All periods are to be beyond the threshold, which is the default.
            for key in ["AlarmName", "AlarmDescription", "ActionsEnabled", "DatapointsToAlarm"] {
                object.remove(key);
            }
            // Without its tag, `!If` is a list: condition, topics, none.
            for key in ["AlarmActions", "OKActions"] {
                if let Some(topics) = object.get_mut(key)
                    && topics[0] == "HasTopic"
                {
                    *topics = topics[1].clone();
                }
            }
            if let Some(threshold) = object.get_mut("Threshold") {
                *threshold = json!(threshold.as_f64());
            }
        }
        for query in deployed.get_mut("Metrics").and_then(Value::as_array_mut).into_iter().flatten() {
            query.as_object_mut().unwrap().remove("Label");
            if let Some(expression) = query.get_mut("Expression") {
                *expression = json!(with_objective(expression.as_str().unwrap()));
            }
        }
        if let Some(rule) = deployed.get_mut("AlarmRule") {
            let text = resources.iter().fold(rule.as_str().unwrap().to_owned(), |text, (name, resource)| {
                text.replace(&format!("${{{resource}}}"), name)
            });
            *rule = json!(text);
        }
        assert_eq!(deployed, printed, "{resource}");
    }
}

/// EventBridge counts failures per rule.
#[test]
fn the_alarm_includes_the_failures_of_every_rule() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let rules = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Events::Rule");
    let watched = properties(&template, "RulesFailedAlarm")["Metrics"].to_string();
    for (rule, _) in rules {
        assert!(watched.contains(&format!("\"{rule}\"")), "{rule} in {watched}");
    }
    let metrics = properties(&template, "RulesFailedAlarm")["Metrics"].as_array().unwrap();
    let sum = metrics[0]["Expression"].as_str().unwrap();
    for metric in &metrics[1..] {
        assert_eq!(metric["MetricStat"]["Metric"]["MetricName"], "FailedInvocations");
        assert!(sum.contains(&format!("FILL({}, 0)", metric["Id"].as_str().unwrap())), "{sum}");
    }
}

#[test]
fn the_cost_of_warmd_includes_the_deployed_dashboards_and_alarms() {
    let template = template();
    let deployed = |kind: &str| -> Vec<&Value> {
        let resources = template["Resources"].as_object().unwrap().values();
        resources
            .filter(|resource| resource["Type"] == kind)
            .map(|resource| &resource["Properties"])
            .collect()
    };
    let metrics = |alarm: &Value| match &alarm["Metrics"] {
        Value::Array(queries) => queries.iter().filter(|query| query.get("MetricStat").is_some()).count(),
        _ => 1,
    };
    let dashboards = deployed("AWS::CloudWatch::Dashboard").len();
    let alarm_metrics: usize = deployed("AWS::CloudWatch::Alarm").into_iter().map(metrics).sum();
    let bill = self_cost(
        &PriceBook::embedded(),
        &SelfUsage {
            region: Region::parse("eu-west-2").unwrap(),
            // A month of CloudWatch.
            horizon: Duration::from_secs(730 * 3_600),
            rounds: 0,
            cold_rounds: 0,
            init: Duration::ZERO,
            targets: 1,
            capacity_targets: 0,
            metric_reads: 0,
            detail: Detail::Fleet,
            has_budgets: false,
        },
    );
    let billed = |unit: &str| bill.lines.iter().find(|line| line.unit == unit).unwrap().quantity.to_string();
    assert_eq!(billed("dashboard-month"), dashboards.to_string());
    let alarms = bill.lines.iter().filter(|line| line.unit == "alarm-month");
    let alarms: Vec<String> = alarms.map(|line| line.quantity.to_string()).collect();
    let composite = deployed("AWS::CloudWatch::CompositeAlarm").len();
    assert_eq!(alarms, [alarm_metrics.to_string(), composite.to_string()]);
    let metric = deployed("AWS::CloudWatch::Alarm").len();
    let readme = include_str!("../../README.md");
    for text in [
        format!("{} alarms. Every parameter", metric + composite),
        format!("{metric} metric alarms, {composite} composite alarms"),
    ] {
        assert!(readme.contains(&text), "{text}");
    }
}

#[test]
fn every_parameter_has_a_description_a_group_and_a_default() {
    let template = template();
    let groups =
        template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].as_array().unwrap();
    let mut grouped: Vec<&str> = groups.iter().flat_map(|group| texts(&group["Parameters"])).collect();
    let parameters = template["Parameters"].as_object().unwrap();
    let mut named: Vec<&str> = parameters.keys().map(String::as_str).collect();
    grouped.sort_unstable();
    named.sort_unstable();
    assert_eq!(grouped, named);
    for (name, parameter) in parameters {
        assert!(parameter["Description"].as_str().is_some_and(|text| text.len() > 20), "{name}");
        assert!(parameter.get("Default").is_some(), "{name}: `sam deploy` needs no input");
    }
}

/// Returns true if a condition about the parameter `Capacity` holds for its value.
fn holds(template: &Value, condition: &str, capacity: &str) -> bool {
    let definition = template["Conditions"][condition].as_array().unwrap();
    definition.iter().any(|part| match part {
        Value::String(other) => holds(template, other, capacity),
        pair => *pair == json!(["Capacity", capacity]),
    })
}

/// Returns `value` with each `!If` on the parameter `Capacity` replaced by the branch for its value.
fn chosen(template: &Value, value: &Value, capacity: &str) -> Value {
    match value {
        Value::Array(list) => match list.as_slice() {
            [Value::String(condition), then, otherwise]
                if ["Autoscales", "ManagesInstances", "Provisions"].contains(&condition.as_str()) =>
            {
                let branch = if holds(template, condition, capacity) { then } else { otherwise };
                chosen(template, branch, capacity)
            }
            list => list.iter().map(|part| chosen(template, part, capacity)).collect(),
        },
        Value::Object(object) => {
            object.iter().map(|(key, part)| (key.clone(), chosen(template, part, capacity))).collect()
        }
        plain => plain.clone(),
    }
}

#[test]
fn the_role_has_the_permissions_of_the_printed_policies_only() {
    let (configs, state) =
        (S3Prefix::parse("s3://b-1/configs").unwrap(), S3Prefix::parse("s3://b-1/state").unwrap());
    let actions = |value: &Value| {
        let actions = objects(value).into_iter().flat_map(|object| texts(&object["Action"]));
        actions.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let provisioned = |by| Strategy::Provisioned(Provisioned { by, fallback: Fallback::Pings });
    let autoscaling = provisioned(By::Autoscaling { max: 5, utilization: 70 });
    let (direct, managed) = (provisioned(By::Direct), Strategy::Managed(Managed { floor: 3, max: 5 }));
    let capacities = [
        ("none", vec![]),
        ("autoscaling", vec![autoscaling]),
        ("direct", vec![direct]),
        ("managed", vec![managed]),
        ("all", vec![autoscaling, direct, managed]),
    ];
    let template = template();
    let parameter = &template["Parameters"]["Capacity"];
    assert_eq!(
        parameter["AllowedValues"],
        json!(capacities.iter().map(|(name, _)| *name).collect::<Vec<_>>())
    );
    for (capacity, strategies) in capacities {
        let mut fleet = fleet();
        let pinged = fleet.targets[0].clone();
        fleet.targets.extend(strategies.into_iter().map(|strategy| Target { strategy, ..pinged.clone() }));
        let input = PolicyInput {
            purpose: Purpose::Warm,
            fleet: &fleet,
            account: None,
            region: Region::parse("eu-west-2").unwrap(),
            configs: Some(&configs),
            state: Some(&state),
            bus: Some("default"),
        };
        let granted = chosen(&template, &properties(&template, "Role")["Policies"], capacity);
        let mut role = actions(&granted);
        // Permissions for its own log and dead-letter queue.
        for own in ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"] {
            assert!(role.remove(own), "{own}");
        }
        assert_eq!(role, actions(&json!(policies(&input))), "{capacity}");
        let check = PolicyInput { purpose: Purpose::CheckLive, ..input };
        let checked = chosen(&template, properties(&template, "CheckPolicy"), capacity);
        assert_eq!(actions(&checked), actions(&json!(policies(&check))), "{capacity}");

        let broad: BTreeSet<&str> = objects(&granted)
            .into_iter()
            .filter(|object| object["Resource"] == "*" && object.get("Condition").is_none())
            .flat_map(|object| texts(&object["Action"]))
            .filter(|action| !action.contains(":Describe") && *action != "cloudwatch:GetMetricData")
            .collect();
        let expected = match capacity {
            "autoscaling" | "all" => {
                vec!["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "lambda:GetAccountSettings"]
            }
            _ => vec!["lambda:GetAccountSettings"],
        };
        assert_eq!(broad, expected.into_iter().collect(), "{capacity}");
        // The quota of inline policies of a role is 10,240 characters, with the names in place.
        assert!(size(&granted) < 9_000, "{}", size(&granted));
    }
    assert_eq!(template["Parameters"]["CapacityOwner"]["Default"], Owner::default().as_str());
}
