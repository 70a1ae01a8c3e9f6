//! Statements for provisioned concurrency and managed instances.

use std::collections::BTreeSet;

use serde_json::json;

use super::statement::{FunctionStatement, Purpose, Statement, arns};
use crate::domain::capacity::{By, Owner, Strategy};
use crate::domain::fleet::Target;
use crate::domain::function::AccountId;

/// Returns the statements about the functions. Actions on a qualifier are authorised on the qualified ARN.
pub(super) fn function_statements(
    purpose: Purpose,
    targets: &[&Target],
    own: Option<&AccountId>,
) -> Vec<FunctionStatement> {
    let with_capacity = targets.iter().copied().filter(|target| target.strategy.is_capacity());
    let (managed, provisioned): (Vec<_>, Vec<_>) =
        with_capacity.partition(|target| matches!(target.strategy, Strategy::Managed(_)));
    // The version behind an alias changes, and a configuration may be left on an earlier qualifier.
    let qualifiers = |target: &Target| format!("{}:*", target.function_arn(own));
    const PUT: &[&str] = &["lambda:PutProvisionedConcurrencyConfig"];
    const CLEAR: &[&str] =
        &["lambda:GetProvisionedConcurrencyConfig", "lambda:DeleteProvisionedConcurrencyConfig"];
    const SEE_INSTANCES: &[&str] = &["lambda:GetFunctionScalingConfig"];
    const INSTANCES: &[&str] = &["lambda:GetFunctionScalingConfig", "lambda:PutFunctionScalingConfig"];
    match purpose {
        Purpose::CheckLive => vec![("Instances", SEE_INSTANCES, arns(&managed, qualifiers))],
        Purpose::Warm => vec![
            ("Provision", PUT, arns(&provisioned, |target| target.arn(own))),
            ("Clear", CLEAR, arns(&provisioned, qualifiers)),
            ("Instances", INSTANCES, arns(&managed, qualifiers)),
        ],
    }
}

/// Returns the statements for Application Auto Scaling, if a target has provisioned concurrency: a scalable target of
/// somebody else is a conflict without autoscaling, too.
///
/// A scalable target's ARN has no name of a function, and the service authorises each action on the ARN with `*`:
/// namespace, dimension and tag are the restrictions. It also checks that the caller may do what the service-linked role
/// does, for which it calls CloudWatch without the name of an alarm: those actions have no narrower resource. Sources:
/// Service Authorization Reference, Application Auto Scaling User Guide (permissions validation), 2026-11.
pub(super) fn autoscaling(
    purpose: Purpose,
    targets: &[&Target],
    owner: &Owner,
    own: Option<&AccountId>,
) -> Vec<Statement> {
    let provisioned = targets.iter().copied();
    let provisioned: Vec<_> =
        provisioned.filter(|target| matches!(target.strategy, Strategy::Provisioned(_))).collect();
    let (direct, scaled): (Vec<_>, Vec<_>) =
        provisioned.iter().copied().partition(|target| target.strategy.by() == Some(By::Direct));
    // arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME
    let places = |targets: &[&Target], pattern: fn(&str, &str, &str) -> String| {
        let all = targets.iter().filter_map(|target| {
            let arn = target.function_arn(own);
            let account = arn.split(':').nth(4)?;
            Some(pattern(target.region().partition(), target.region().as_str(), account))
        });
        all.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let scalable = |targets: &[&Target]| {
        places(targets, |partition, region, account| {
            format!("arn:{partition}:application-autoscaling:{region}:{account}:scalable-target/*")
        })
    };
    let on = |sid, actions, resources, condition| Statement { sid, actions, resources, condition };
    const DESCRIBE: &[&str] = &[
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingActivities",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:DescribeScheduledActions",
    ];
    let all = || vec!["*".to_owned()];
    if provisioned.is_empty() {
        return Vec::new();
    }
    let mut statements = vec![
        on("Describe", DESCRIBE, all(), None),
        on("Tags", &["application-autoscaling:ListTagsForResource"], scalable(&provisioned), None),
    ];
    if purpose == Purpose::CheckLive {
        return statements;
    }
    const CHANGE: &[&str] = &[
        "application-autoscaling:DeleteScalingPolicy",
        "application-autoscaling:DeleteScheduledAction",
        "application-autoscaling:DeregisterScalableTarget",
        "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:PutScheduledAction",
        "application-autoscaling:RegisterScalableTarget",
    ];
    const CLOUDWATCH: &[&str] = &[
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "cloudwatch:PutMetricAlarm",
    ];
    let tag = |kind: &str| format!("aws:{kind}/{}", Owner::TAG);
    let lambda = |kind: &str| {
        json!({ "StringEquals": {
            "application-autoscaling:service-namespace": "lambda",
            "application-autoscaling:scalable-dimension": "lambda:function:ProvisionedConcurrency",
            tag(kind): owner.as_str(),
        } })
    };
    if !direct.is_empty() {
        // What is left of autoscaling.
        const LEFT: &[&str] = &["application-autoscaling:DeregisterScalableTarget"];
        statements.push(on("LeftTargets", LEFT, scalable(&direct), Some(lambda("ResourceTag"))));
    }
    if scaled.is_empty() {
        return statements;
    }
    let tagged = json!({ "StringEquals": { tag("RequestTag"): owner.as_str() } });
    let role = places(&scaled, |partition, _, account| {
        format!("arn:{partition}:iam::{account}:role/aws-service-role/{SERVICE}/{SERVICE_ROLE}")
    });
    let service = json!({ "StringEquals": { "iam:AWSServiceName": SERVICE } });
    const REGISTER: &[&str] = &["application-autoscaling:RegisterScalableTarget"];
    const TAG: &[&str] = &["application-autoscaling:TagResource"];
    statements.extend([
        on("NewTargets", REGISTER, scalable(&scaled), Some(lambda("RequestTag"))),
        on("TagTargets", TAG, scalable(&scaled), Some(tagged)),
        on("OwnTargets", CHANGE, scalable(&scaled), Some(lambda("ResourceTag"))),
        on("CloudWatch", CLOUDWATCH, all(), None),
        on("ServiceRole", &["iam:CreateServiceLinkedRole"], role, Some(service)),
    ]);
    statements
}

/// The service that uses the service-linked role.
const SERVICE: &str = "lambda.application-autoscaling.amazonaws.com";
/// The name of the service-linked role.
const SERVICE_ROLE: &str = "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency";
