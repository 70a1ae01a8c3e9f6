//! Reads of functions: the meaning of each answer, and the credentials of the requests.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use warmd::aws::AwsControl;
use warmd::aws::connector::Dialer;
use warmd::domain::fleet::Role;
use warmd::domain::function::{FunctionRef, Identity, Region};
use warmd::domain::preflight::{AccountLimits, ExecutionModel, FunctionState, Lookup, UpdateStatus};
use warmd::engine::ports::{Control, DryRun, DryRunOutcome};

use crate::clients_through;
use crate::roles;
use crate::server::{Answer, Server, answer};

fn control_through(dialer: Dialer) -> AwsControl {
    AwsControl::new(Arc::new(clients_through(dialer)))
}

fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

fn function() -> Identity {
    FunctionRef::parse("f:live").unwrap().identity(region())
}

fn refusal(status: u16, code: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{{\"Message\":\"{code}, as text\"}}")));
    Response::builder().status(status).header("x-amzn-errortype", code).body(body).unwrap()
}

/// Makes a dry run against a server that always answers with `script`. Returns its outcome and the number of requests.
async fn dry_run(script: fn() -> Answer) -> (Lookup<DryRunOutcome>, usize) {
    let server = Server::new(move |_| async move { script() });
    let ping = DryRun { payload: b"{}".to_vec(), client_context: Some("e30=".to_owned()) };
    let outcome = control_through(server.dialer()).invoke(&function(), None, &ping).await;
    let request = server.observed.last();
    assert_eq!(request.body().as_ref(), b"{}");
    assert_eq!(request.headers()["x-amz-client-context"], "e30=");
    assert_eq!(request.headers()["x-amz-invocation-type"], "DryRun");
    assert_eq!(request.uri().query(), Some("Qualifier=live"));
    (outcome, server.observed.count())
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_distinguishes_permission_absence_and_other_refusals() {
    assert_eq!(dry_run(|| answer(204, "")).await, (Lookup::Known(DryRunOutcome::Dry), 1));
    let denied = Lookup::Denied("AccessDeniedException, as text".to_owned());
    assert_eq!(dry_run(|| refusal(403, "AccessDeniedException")).await, (denied, 1));
    assert_eq!(dry_run(|| refusal(404, "ResourceNotFoundException")).await, (Lookup::Missing, 1));
    // An error of the credentials, not of the permission.
    let (outcome, _) = dry_run(|| refusal(403, "UnrecognizedClientException")).await;
    let Lookup::Unreachable(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("UnrecognizedClientException: "), "{reason}");
    // A server that invokes the function.
    assert_eq!(dry_run(|| answer(200, "{}")).await, (Lookup::Known(DryRunOutcome::Ran(200)), 1));
    assert_eq!(dry_run(|| answer(202, "")).await, (Lookup::Known(DryRunOutcome::Ran(202)), 1));
    // A proxy's page, and a server that does not support dry runs.
    for odd in [|| answer(403, "<html>"), || refusal(501, "NotImplemented")] {
        let (outcome, _) = dry_run(odd).await;
        assert!(matches!(outcome, Lookup::Failed(_)), "{outcome:?}");
    }
    // Server errors are retried: a dry run has no effect.
    let (outcome, requests) = dry_run(|| refusal(500, "ServiceException")).await;
    assert!(matches!(outcome, Lookup::Failed(_)) && requests == 3, "{outcome:?} {requests}");
}

#[tokio::test(start_paused = true)]
async fn answers_are_parsed_and_absence_is_a_known_value() {
    let server = Server::new(|request: Request<Bytes>| async move {
        match request.uri().path().rsplit('/').next().unwrap() {
            "configuration" => answer(
                200,
                r#"{"FunctionArn":"arn:aws:lambda:eu-west-2:123456789012:function:f:live","State":"Inactive",
                    "StateReason":"idle","LastUpdateStatus":"InProgress","MemorySize":1769,"Timeout":30,
                    "Architectures":["arm64"],"SnapStart":{"ApplyOn":"PublishedVersions","OptimizationStatus":"On"}}"#,
            ),
            "concurrency" => answer(200, "{}"),
            "provisioned-concurrency" => refusal(404, "ProvisionedConcurrencyConfigNotFoundException"),
            _ => answer(
                200,
                r#"{"AccountLimit":{"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":900}}"#,
            ),
        }
    });
    let control = control_through(server.dialer());
    let Lookup::Known(deployed) = control.configuration(&function(), None).await else { panic!() };
    assert_eq!((deployed.state, deployed.state_reason.as_deref()), (FunctionState::Inactive, Some("idle")));
    assert_eq!((deployed.update, deployed.model), (UpdateStatus::InProgress, ExecutionModel::SnapStart));
    assert_eq!((deployed.memory_mb, deployed.timeout.unwrap().as_secs()), (Some(1769), 30));
    assert_eq!(deployed.architecture.unwrap().as_str(), "arm64");
    assert_eq!(control.reserved(&function(), None).await, Lookup::Known(None));
    assert_eq!(control.provisioned(&function(), None).await, Lookup::Known(None));
    let limits = AccountLimits { concurrent: 1000, unreserved: 900 };
    assert_eq!(control.account(region(), None).await, Lookup::Known(limits));
}

#[tokio::test(start_paused = true)]
async fn an_alias_with_impossible_versions_is_not_believed() {
    let many: Vec<String> = (8..300).map(|version| format!("\"{version}\":0.001")).collect();
    for (body, is_known) in [
        (r#"{"FunctionVersion":"7"}"#.to_owned(), true),
        (
            r#"{"FunctionVersion":"7","RoutingConfig":{"AdditionalVersionWeights":{"8":0.1}}}"#.to_owned(),
            true,
        ),
        (
            r#"{"FunctionVersion":"7","RoutingConfig":{"AdditionalVersionWeights":{"8":1.1}}}"#.to_owned(),
            false,
        ),
        (
            r#"{"FunctionVersion":"7","RoutingConfig":{"AdditionalVersionWeights":{"8":-0.1}}}"#.to_owned(),
            false,
        ),
        (
            r#"{"FunctionVersion":"7","RoutingConfig":{"AdditionalVersionWeights":{"blue":0.1}}}"#.to_owned(),
            false,
        ),
        (r#"{"FunctionVersion":"blue"}"#.to_owned(), false),
        (
            format!(
                r#"{{"FunctionVersion":"7","RoutingConfig":{{"AdditionalVersionWeights":{{{}}}}}}}"#,
                many.join(",")
            ),
            false,
        ),
        ("{}".to_owned(), false),
    ] {
        let text = body.clone();
        let server = Server::new(move |_| {
            let text = text.clone();
            async move { answer(200, text) }
        });
        let alias = control_through(server.dialer()).alias(&function(), None).await;
        assert_eq!(alias.known().is_some(), is_known, "{body}");
        assert!(is_known || matches!(alias, Lookup::Failed(_)), "{alias:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_once_for_all_reads() {
    let server = roles::account();
    let control = control_through(server.dialer());
    let role = |account: &str| {
        Arc::new(Role { arn: format!("arn:aws:iam::{account}:role/warmd"), external_id: None })
    };
    for _ in 0..3 {
        control.reserved(&function(), Some(&role("111111111111"))).await;
    }
    control.reserved(&function(), None).await;
    let (sts, keys) = roles::observed(&server);
    assert_eq!(sts.len(), 1);
    assert_eq!(keys, ["ASIA111111111111", "ASIA111111111111", "ASIA111111111111", "warmd-local"]);
    // Nothing is sent to Lambda with a role that may not be assumed.
    let limits = control.account(region(), Some(&role("333333333333"))).await;
    assert!(
        matches!(&limits, Lookup::Unreachable(reason) if reason.contains("sts:AssumeRole")),
        "{limits:?}"
    );
}
