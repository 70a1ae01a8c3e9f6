use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::backlog::{Metric, Rule};
use crate::domain::capacity::{By, Fallback, Managed, Owner, Provisioned, Strategy};
use crate::domain::fleet::{MetricsSettings, OnRequest, Role};
use crate::domain::function::FunctionRef;

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

fn target(label: &str, at: &str) -> Target {
    let minute = Duration::from_secs(60);
    let on_request = OnRequest {
        max_concurrency: 5,
        max_for: minute,
        coalesce: minute,
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    Target { on_request: Some(on_request), ..Target::bare(&FunctionRef::parse(label).unwrap(), region(at)) }
}

/// Returns `target`, reached through a role.
fn with_role(target: Target, arn: &str, external_id: Option<&str>) -> Target {
    let role = Role { arn: arn.to_owned(), external_id: external_id.map(str::to_owned) };
    Target { role: Some(Arc::new(role)), ..target }
}

fn fleet(targets: Vec<Target>) -> Fleet {
    let metrics = MetricsSettings { namespace: "my warmd".to_owned(), ..MetricsSettings::default() };
    Fleet { metrics, ..Fleet::new(targets) }
}

fn input(fleet: &Fleet) -> PolicyInput<'_> {
    PolicyInput {
        purpose: Purpose::Warm,
        fleet,
        account: None,
        region: region("eu-west-2"),
        configs: None,
        state: None,
        bus: None,
    }
}

/// Returns all allowed pairs of action and resource, repeated ones included.
fn allowed(documents: &[Value]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for document in documents {
        for statement in document["Statement"].as_array().unwrap() {
            for action in statement["Action"].as_array().unwrap() {
                for resource in statement["Resource"].as_array().unwrap() {
                    pairs.push((action.as_str().unwrap().to_owned(), resource.as_str().unwrap().to_owned()));
                }
            }
        }
    }
    pairs
}

#[test]
fn a_small_configuration_is_one_document() {
    let account = AccountId::parse("123456789012").unwrap();
    let fleet = fleet(vec![
        target("nlp:live", "eu-west-2"),
        target("nlp:live", "us-east-1"),
        target("thumbnails", "eu-west-2"),
        target("arn:aws:lambda:eu-west-1:999999999999:function:shared:$LATEST", "eu-west-1"),
        with_role(target("far", "eu-west-2"), "arn:aws:iam::999999999999:role/warmed", None),
    ]);
    let prefix = |text| S3Prefix::parse(text).unwrap();
    let (configs, state) = (prefix("s3://warmd-config/configs/"), prefix("s3://warmd-config/state"));
    let input = PolicyInput {
        account: Some(&account),
        configs: Some(&configs),
        state: Some(&state),
        bus: Some("default"),
        ..input(&fleet)
    };
    let documents = policies(&input);
    assert_eq!(documents.len(), 1);
    let lines: Vec<String> =
        documents[0]["Statement"].as_array().unwrap().iter().map(Value::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"Sid":"Metrics","Effect":"Allow","Action":["cloudwatch:PutMetricData"],"Resource":["*"],"Condition":{"StringEquals":{"cloudwatch:namespace":"my warmd"}}}
    {"Sid":"Configs","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::warmd-config/configs/*"]}
    {"Sid":"State","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::warmd-config/state/*"]}
    {"Sid":"History","Effect":"Allow","Action":["s3:DeleteObject"],"Resource":["arn:aws:s3:::warmd-config/state/history-*"]}
    {"Sid":"List","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::warmd-config"],"Condition":{"StringLikeIfExists":{"s3:prefix":["configs","configs/*","state","state/*"]}}}
    {"Sid":"Bus","Effect":"Allow","Action":["events:PutEvents"],"Resource":["arn:aws:events:eu-west-2:123456789012:event-bus/default"]}
    {"Sid":"Roles","Effect":"Allow","Action":["sts:AssumeRole"],"Resource":["arn:aws:iam::999999999999:role/warmed"]}
    {"Sid":"Account","Effect":"Allow","Action":["lambda:GetAccountSettings"],"Resource":["*"]}
    {"Sid":"Ping","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:nlp:*","arn:aws:lambda:us-east-1:123456789012:function:nlp:*","arn:aws:lambda:eu-west-2:123456789012:function:thumbnails","arn:aws:lambda:eu-west-1:999999999999:function:shared:$LATEST"]}
    {"Sid":"Reserved","Effect":"Allow","Action":["lambda:GetFunctionConcurrency"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:thumbnails","arn:aws:lambda:eu-west-1:999999999999:function:shared"]}
    {"Sid":"Alias","Effect":"Allow","Action":["lambda:GetFunctionConcurrency","lambda:GetAlias"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:nlp","arn:aws:lambda:us-east-1:123456789012:function:nlp"]}
    "#);
}

#[test]
fn only_metrics_pings_and_reads_are_allowed_by_default() {
    let fleet = fleet(vec![target("f", "cn-north-1")]);
    let pairs = allowed(&policies(&PolicyInput { region: region("cn-north-1"), ..input(&fleet) }));
    let own = "arn:aws-cn:lambda:cn-north-1:*:function:f";
    let expected = [
        ("cloudwatch:PutMetricData", "*"),
        ("lambda:GetAccountSettings", "*"),
        ("lambda:InvokeFunction", own),
        ("lambda:GetFunctionConfiguration", own),
        ("lambda:GetProvisionedConcurrencyConfig", own),
        ("lambda:GetFunctionConcurrency", own),
    ];
    assert_eq!(pairs, expected.map(|(action, resource)| (action.to_owned(), resource.to_owned())));
}

#[test]
fn a_check_reads_and_does_not_write() {
    let state = S3Prefix::parse("s3://warmd-state/live").unwrap();
    let configs = S3Prefix::parse("s3://warmd-config").unwrap();
    let role = "arn:aws:iam::210987654321:role/warmed";
    let fleet =
        fleet(vec![target("nlp:live", "eu-west-2"), with_role(target("far", "eu-west-2"), role, None)]);
    let input = PolicyInput {
        purpose: Purpose::CheckLive,
        configs: Some(&configs),
        state: Some(&state),
        bus: Some("default"),
        ..input(&fleet)
    };
    let documents = policies(&input);
    let lines: Vec<String> =
        documents[0]["Statement"].as_array().unwrap().iter().map(Value::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"Sid":"Configs","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::warmd-config/*"]}
    {"Sid":"List","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::warmd-config"],"Condition":{"StringLikeIfExists":{"s3:prefix":["*"]}}}
    {"Sid":"Roles","Effect":"Allow","Action":["sts:AssumeRole"],"Resource":["arn:aws:iam::210987654321:role/warmed"]}
    {"Sid":"Account","Effect":"Allow","Action":["lambda:GetAccountSettings"],"Resource":["*"]}
    {"Sid":"Check","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:*:function:nlp:live"]}
    {"Sid":"Alias","Effect":"Allow","Action":["lambda:GetFunctionConcurrency","lambda:GetAlias"],"Resource":["arn:aws:lambda:eu-west-2:*:function:nlp"]}
    "#);
    let roles = assumed(&input);
    assert!(allowed(&roles[0].policies).contains(&("lambda:GetAccountSettings".to_owned(), "*".to_owned())));
}

#[test]
fn targets_that_are_never_warmed_are_left_out() {
    let resting = Target { on_request: None, ..target("resting", "eu-west-2") };
    let role = "arn:aws:iam::210987654321:role/warmed";
    let fleet = fleet(vec![with_role(resting.clone(), role, None), resting]);
    let documents = policies(&input(&fleet));
    assert_eq!(allowed(&documents), [("cloudwatch:PutMetricData".to_owned(), "*".to_owned())]);
    assert_eq!(assumed(&input(&fleet)), []);
}

#[test]
fn a_role_covers_its_targets_in_its_own_account() {
    let (first, second) = ("arn:aws:iam::210987654321:role/a", "arn:aws:iam::210987654321:role/b");
    let elsewhere = "arn:aws:lambda:eu-west-2:999999999999:function:shared:live";
    let fleet = fleet(vec![
        target("own", "eu-west-2"),
        with_role(target("f:live", "eu-west-2"), second, Some("s3cret")),
        with_role(target("f:live", "us-east-1"), second, Some("s3cret")),
        with_role(target("g", "eu-west-2"), first, None),
        with_role(target(elsewhere, "eu-west-2"), first, Some("unused")),
    ]);
    let account = AccountId::parse("111122223333").unwrap();
    let input = PolicyInput { account: Some(&account), ..input(&fleet) };
    let own = allowed(&policies(&input));
    let on = |pairs: &[(String, String)]| {
        let lambda = pairs.iter().filter(|(action, _)| action == "lambda:InvokeFunction");
        lambda.map(|(_, arn)| arn.clone()).collect::<Vec<_>>()
    };
    assert_eq!(on(&own), ["arn:aws:lambda:eu-west-2:111122223333:function:own"]);
    for role in [first, second] {
        assert!(own.contains(&("sts:AssumeRole".to_owned(), role.to_owned())), "{own:?}");
    }
    let mut shown = String::new();
    for role in assumed(&input) {
        let documents: Vec<String> = role.policies.iter().map(Value::to_string).collect();
        shown += &format!("{}\n{}\n{}\n", role.arn, documents.join("\n"), role.trust.unwrap());
    }
    insta::assert_snapshot!(shown, @r#"
    arn:aws:iam::210987654321:role/a
    {"Version":"2012-10-17","Statement":[{"Sid":"Account","Effect":"Allow","Action":["lambda:GetAccountSettings"],"Resource":["*"]},{"Sid":"Ping","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:210987654321:function:g","arn:aws:lambda:eu-west-2:999999999999:function:shared:*"]},{"Sid":"Reserved","Effect":"Allow","Action":["lambda:GetFunctionConcurrency"],"Resource":["arn:aws:lambda:eu-west-2:210987654321:function:g"]},{"Sid":"Alias","Effect":"Allow","Action":["lambda:GetFunctionConcurrency","lambda:GetAlias"],"Resource":["arn:aws:lambda:eu-west-2:999999999999:function:shared"]}]}
    {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}
    arn:aws:iam::210987654321:role/b
    {"Version":"2012-10-17","Statement":[{"Sid":"Account","Effect":"Allow","Action":["lambda:GetAccountSettings"],"Resource":["*"]},{"Sid":"Ping","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:210987654321:function:f:*","arn:aws:lambda:us-east-1:210987654321:function:f:*"]},{"Sid":"Alias","Effect":"Allow","Action":["lambda:GetFunctionConcurrency","lambda:GetAlias"],"Resource":["arn:aws:lambda:eu-west-2:210987654321:function:f","arn:aws:lambda:us-east-1:210987654321:function:f"]}]}
    {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":["s3cret"]}}}]}
    "#);
    let open = assumed(&PolicyInput { account: None, ..input });
    assert!(open.iter().all(|role| role.trust.is_none()), "no trust policy without an account");
}

#[test]
fn every_read_of_a_check_and_of_a_tick_is_allowed() {
    let fleet = fleet(vec![target("f:live", "eu-west-2")]);
    for purpose in [Purpose::Warm, Purpose::CheckLive] {
        let pairs = allowed(&policies(&PolicyInput { purpose, ..input(&fleet) }));
        let granted: Vec<&str> = pairs
            .iter()
            .map(|(action, _)| action.as_str())
            .filter(|action| action.starts_with("lambda:"))
            .collect();
        assert_eq!(granted.len(), Read::ALL.len());
        assert!(Read::ALL.iter().all(|read| granted.contains(&read.action())), "{granted:?}");
    }
}

#[test]
fn an_alias_needs_the_versions_of_its_function_once() {
    let (arn, names) = ("arn:aws:lambda:eu-west-2:*:function:f", ["f:live", "f:blue", "f:7", "f", "g:7"]);
    let aliased = fleet(names.map(|name| target(name, "eu-west-2")).into());
    let on = |purpose, wanted: &str| -> Vec<String> {
        let pairs = allowed(&policies(&PolicyInput { purpose, ..input(&aliased) }));
        pairs.into_iter().filter(|(action, _)| action == wanted).map(|(_, arn)| arn).collect()
    };
    let versions = [format!("{arn}:*"), arn.to_owned(), "arn:aws:lambda:eu-west-2:*:function:g:7".to_owned()];
    assert_eq!(on(Purpose::Warm, Read::Invoke.action()), versions);
    // Dry runs of a check have the names of the configuration.
    assert_eq!(on(Purpose::CheckLive, Read::Invoke.action()).len(), 5);
    for purpose in [Purpose::Warm, Purpose::CheckLive] {
        assert_eq!(on(purpose, Read::Alias.action()), [arn]);
        assert_eq!(on(purpose, Read::Reserved.action()), ["arn:aws:lambda:eu-west-2:*:function:g", arn]);
    }
}

/// Returns the statements that a strategy adds to those of pings, and those that it replaces.
fn added(strategy: Strategy, purpose: Purpose) -> String {
    let account = AccountId::parse("123456789012").unwrap();
    let lines = |strategy| {
        let fleet = Fleet {
            owner: Owner::parse("team-a").unwrap(),
            ..fleet(vec![Target { strategy, ..target("f:live", "eu-west-2") }])
        };
        let documents = policies(&PolicyInput { purpose, account: Some(&account), ..input(&fleet) });
        let statements = documents.iter().flat_map(|document| document["Statement"].as_array().unwrap());
        statements.map(Value::to_string).collect::<Vec<_>>()
    };
    let (before, after) = (lines(Strategy::Pings), lines(strategy));
    let removed = before.iter().filter(|line| !after.contains(line)).map(|line| format!("-{line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+{line}"));
    removed.chain(new).collect::<Vec<_>>().join("\n")
}

fn provisioned(by: By, fallback: Fallback) -> Strategy {
    Strategy::Provisioned(Provisioned { by, fallback })
}

const AUTOSCALING: By = By::Autoscaling { max: 50, utilization: 70 };

#[test]
fn provisioned_concurrency_without_autoscaling() {
    let direct = added(provisioned(By::Direct, Fallback::Pings), Purpose::Warm);
    insta::assert_snapshot!(direct, @r#"
    +{"Sid":"Describe","Effect":"Allow","Action":["application-autoscaling:DescribeScalableTargets","application-autoscaling:DescribeScalingActivities","application-autoscaling:DescribeScalingPolicies","application-autoscaling:DescribeScheduledActions"],"Resource":["*"]}
    +{"Sid":"Tags","Effect":"Allow","Action":["application-autoscaling:ListTagsForResource"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"]}
    +{"Sid":"LeftTargets","Effect":"Allow","Action":["application-autoscaling:DeregisterScalableTarget"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"],"Condition":{"StringEquals":{"application-autoscaling:service-namespace":"lambda","application-autoscaling:scalable-dimension":"lambda:function:ProvisionedConcurrency","aws:ResourceTag/warmd:owner":"team-a"}}}
    +{"Sid":"Provision","Effect":"Allow","Action":["lambda:PutProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"Clear","Effect":"Allow","Action":["lambda:GetProvisionedConcurrencyConfig","lambda:DeleteProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:*"]}
    "#);
    let check = added(provisioned(By::Direct, Fallback::Pings), Purpose::CheckLive);
    insta::assert_snapshot!(check, @r#"
    +{"Sid":"Describe","Effect":"Allow","Action":["application-autoscaling:DescribeScalableTargets","application-autoscaling:DescribeScalingActivities","application-autoscaling:DescribeScalingPolicies","application-autoscaling:DescribeScheduledActions"],"Resource":["*"]}
    +{"Sid":"Tags","Effect":"Allow","Action":["application-autoscaling:ListTagsForResource"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"]}
    "#);
}

#[test]
fn autoscaling_is_restricted_to_lambda_and_the_owner() {
    let warm = added(provisioned(AUTOSCALING, Fallback::None), Purpose::Warm);
    insta::assert_snapshot!(warm, @r#"
    -{"Sid":"Ping","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:*"]}
    +{"Sid":"Describe","Effect":"Allow","Action":["application-autoscaling:DescribeScalableTargets","application-autoscaling:DescribeScalingActivities","application-autoscaling:DescribeScalingPolicies","application-autoscaling:DescribeScheduledActions"],"Resource":["*"]}
    +{"Sid":"Tags","Effect":"Allow","Action":["application-autoscaling:ListTagsForResource"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"]}
    +{"Sid":"NewTargets","Effect":"Allow","Action":["application-autoscaling:RegisterScalableTarget"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"],"Condition":{"StringEquals":{"application-autoscaling:service-namespace":"lambda","application-autoscaling:scalable-dimension":"lambda:function:ProvisionedConcurrency","aws:RequestTag/warmd:owner":"team-a"}}}
    +{"Sid":"TagTargets","Effect":"Allow","Action":["application-autoscaling:TagResource"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"],"Condition":{"StringEquals":{"aws:RequestTag/warmd:owner":"team-a"}}}
    +{"Sid":"OwnTargets","Effect":"Allow","Action":["application-autoscaling:DeleteScalingPolicy","application-autoscaling:DeleteScheduledAction","application-autoscaling:DeregisterScalableTarget","application-autoscaling:PutScalingPolicy","application-autoscaling:PutScheduledAction","application-autoscaling:RegisterScalableTarget"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"],"Condition":{"StringEquals":{"application-autoscaling:service-namespace":"lambda","application-autoscaling:scalable-dimension":"lambda:function:ProvisionedConcurrency","aws:ResourceTag/warmd:owner":"team-a"}}}
    +{"Sid":"CloudWatch","Effect":"Allow","Action":["cloudwatch:DeleteAlarms","cloudwatch:DescribeAlarms","cloudwatch:GetMetricData","cloudwatch:PutMetricAlarm"],"Resource":["*"]}
    +{"Sid":"ServiceRole","Effect":"Allow","Action":["iam:CreateServiceLinkedRole"],"Resource":["arn:aws:iam::123456789012:role/aws-service-role/lambda.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency"],"Condition":{"StringEquals":{"iam:AWSServiceName":"lambda.application-autoscaling.amazonaws.com"}}}
    +{"Sid":"See","Effect":"Allow","Action":["lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"Provision","Effect":"Allow","Action":["lambda:PutProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"Clear","Effect":"Allow","Action":["lambda:GetProvisionedConcurrencyConfig","lambda:DeleteProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:*"]}
    "#);
    let check = added(provisioned(AUTOSCALING, Fallback::None), Purpose::CheckLive);
    insta::assert_snapshot!(check, @r#"
    -{"Sid":"Check","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"Describe","Effect":"Allow","Action":["application-autoscaling:DescribeScalableTargets","application-autoscaling:DescribeScalingActivities","application-autoscaling:DescribeScalingPolicies","application-autoscaling:DescribeScheduledActions"],"Resource":["*"]}
    +{"Sid":"Tags","Effect":"Allow","Action":["application-autoscaling:ListTagsForResource"],"Resource":["arn:aws:application-autoscaling:eu-west-2:123456789012:scalable-target/*"]}
    +{"Sid":"See","Effect":"Allow","Action":["lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    "#);
}

#[test]
fn managed_instances_are_never_invoked() {
    let managed = Strategy::Managed(Managed { floor: 3, max: 100 });
    insta::assert_snapshot!(added(managed, Purpose::Warm), @r#"
    -{"Sid":"Ping","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:*"]}
    +{"Sid":"See","Effect":"Allow","Action":["lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"Instances","Effect":"Allow","Action":["lambda:GetFunctionScalingConfig","lambda:PutFunctionScalingConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:*"]}
    "#);
    insta::assert_snapshot!(added(managed, Purpose::CheckLive), @r#"
    -{"Sid":"Check","Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"See","Effect":"Allow","Action":["lambda:GetFunctionConfiguration","lambda:GetProvisionedConcurrencyConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:live"]}
    +{"Sid":"Instances","Effect":"Allow","Action":["lambda:GetFunctionScalingConfig"],"Resource":["arn:aws:lambda:eu-west-2:123456789012:function:f:*"]}
    "#);
}

#[test]
fn capacity_of_other_accounts_is_changed_by_their_role() {
    let role = "arn:aws:iam::210987654321:role/warmed";
    let strategy = provisioned(AUTOSCALING, Fallback::Pings);
    let scaled = |label, region| Target { strategy, ..target(label, region) };
    let fleet = fleet(vec![
        with_role(scaled("f:live", "eu-west-2"), role, None),
        with_role(scaled("g:live", "eu-west-2"), role, None),
        with_role(scaled("f:live", "us-east-1"), role, None),
        target("own", "eu-west-2"),
    ]);
    let is_scaling = |(action, _): &&(String, String)| action.starts_with("application-autoscaling:");
    assert_eq!(allowed(&policies(&input(&fleet))).iter().filter(is_scaling).count(), 0);
    let pairs = allowed(&assumed(&input(&fleet))[0].policies);
    let tagged = "application-autoscaling:TagResource";
    let on: Vec<&str> =
        pairs.iter().filter(|(action, _)| action == tagged).map(|(_, arn)| arn.as_str()).collect();
    assert_eq!(
        on,
        [
            "arn:aws:application-autoscaling:eu-west-2:210987654321:scalable-target/*",
            "arn:aws:application-autoscaling:us-east-1:210987654321:scalable-target/*",
        ]
    );
    let linked: Vec<_> = pairs.iter().filter(|(action, _)| action == "iam:CreateServiceLinkedRole").collect();
    assert_eq!(linked.len(), 1, "one role of the account, for all regions: {linked:?}");
    let changes = pairs.iter().filter(|(action, _)| {
        let reads = ["Get", "Describe", "List"];
        let name = action.split_once(':').unwrap().1;
        action != "lambda:InvokeFunction" && !reads.iter().any(|read| name.starts_with(read))
    });
    for (action, arn) in changes {
        assert!(arn != "*" || action.ends_with("Alarm") || action.ends_with("Alarms"), "{action} on {arn}");
    }
}

#[test]
fn separate_buckets_have_separate_list_statements() {
    let fleet = fleet(Vec::new());
    let (configs, state) =
        (S3Prefix::parse("s3://first").unwrap(), S3Prefix::parse("s3://second/a/b").unwrap());
    let documents = policies(&PolicyInput { configs: Some(&configs), state: Some(&state), ..input(&fleet) });
    let statements = documents[0]["Statement"].as_array().unwrap();
    let lists: Vec<String> = statements
        .iter()
        .filter(|statement| statement["Action"][0] == "s3:ListBucket")
        .map(|statement| format!("{} {}", statement["Resource"][0], statement["Condition"]))
        .collect();
    assert_eq!(
        lists,
        [
            r#""arn:aws:s3:::first" {"StringLikeIfExists":{"s3:prefix":["*"]}}"#,
            r#""arn:aws:s3:::second" {"StringLikeIfExists":{"s3:prefix":["a/b","a/b/*"]}}"#,
        ]
    );
}

#[test]
fn a_bus_may_be_an_arn() {
    let fleet = fleet(Vec::new());
    let arn = "arn:aws:events:us-east-1:999999999999:event-bus/theirs";
    let pairs = allowed(&policies(&PolicyInput { bus: Some(arn), ..input(&fleet) }));
    assert!(pairs.contains(&("events:PutEvents".to_owned(), arn.to_owned())));
}

#[test]
fn a_thousand_targets_fill_documents_to_the_limit() {
    let label = |index| format!("payments-inference-service-{index:04}:live");
    let fleet = fleet((0..1_000).map(|index| target(&label(index), "eu-west-2")).collect());
    let documents = policies(&input(&fleet));
    let sizes: Vec<usize> = documents.iter().map(size).collect();
    assert!(sizes.iter().all(|size| *size <= MAX_CHARS), "{sizes:?}");
    let (_, all_but_last) = sizes.split_last().unwrap();
    assert!(all_but_last.iter().all(|size| *size > MAX_CHARS - 110), "documents are full: {sizes:?}");
    assert_eq!(documents.len(), 25);
    let pairs = allowed(&documents);
    let invoked: Vec<&str> = pairs
        .iter()
        .filter(|(action, _)| action == "lambda:InvokeFunction")
        .map(|(_, arn)| arn.as_str())
        .collect();
    let versions = |index| label(index).replace(":live", ":*");
    let expected: Vec<String> =
        (0..1_000).map(|index| format!("arn:aws:lambda:eu-west-2:*:function:{}", versions(index))).collect();
    assert_eq!(invoked, expected);
    assert_eq!(pairs.len(), 2 + 5 * 1_000);
}

#[test]
fn white_space_is_not_counted() {
    let document = json!({ "Sid": "a b", "x": [1, 2] });
    assert_eq!(size(&document), r#"{"Sid":"ab","x":[1,2]}"#.len());
}

#[test]
fn invalid_s3_prefixes_are_rejected() {
    for text in ["bucket/prefix", "s3://", "s3://UP/x", "s3://ab", "s3://bucket/a*", "s3://bucket/${x}"] {
        assert!(S3Prefix::parse(text).is_err(), "{text}");
    }
    assert_eq!(S3Prefix::parse("s3://bucket/a/"), S3Prefix::parse("s3://bucket/a"));
}

#[test]
fn metrics_of_backlogs_are_read_with_the_credentials_of_their_targets() {
    let (namespace, name) = ("AWS/SQS".to_owned(), "ApproximateNumberOfMessagesVisible".to_owned());
    let metric = Metric { namespace, name, dimensions: BTreeMap::new(), statistic: "Maximum" };
    let rule = Rule { metric: Arc::new(metric), per_environment: 300.into(), max: 100, pipeline: None };
    let with_backlog = |target: Target| Target { backlogs: vec![rule.clone(), rule.clone()], ..target };
    let role = "arn:aws:iam::210987654321:role/warmed";
    let far = with_role(with_backlog(target("far", "eu-west-2")), role, None);
    let read = (READ_METRICS.to_owned(), "*".to_owned());
    let reads = |documents: &[Value]| allowed(documents).iter().filter(|pair| **pair == read).count();
    for purpose in [Purpose::Warm, Purpose::CheckLive] {
        let own = fleet(vec![with_backlog(target("a", "eu-west-2")), with_backlog(target("b", "eu-west-2"))]);
        assert_eq!(reads(&policies(&PolicyInput { purpose, ..input(&own) })), 1);
        let other = fleet(vec![target("a", "eu-west-2"), far.clone()]);
        let other = PolicyInput { purpose, ..input(&other) };
        assert_eq!((reads(&policies(&other)), reads(&assumed(&other)[0].policies)), (0, 1));
    }
}
