//! Sample events for tests of a deployed Lambda.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::domain::events::{CLOUDTRAIL, SCHEDULED, SOURCE, WARM_REQUEST, WARM_SHARD};

/// A kind of event that the Lambda accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventKind {
    /// A tick of the schedule.
    Scheduled,
    /// A request of an application for warm environments.
    WarmRequest,
    /// A request of an application for as many warm environments as a backlog needs.
    BacklogRequest,
    /// A part of a tick that is too large for one invocation.
    Shard,
    /// A deployment of a function: an alias with weights, as CloudTrail reports its update.
    Deployed,
}

/// Returns an event as EventBridge delivers it.
pub fn sample(kind: EventKind) -> Value {
    let (detail_type, source, resources, detail) = match kind {
        EventKind::Scheduled => (
            SCHEDULED,
            "aws.events",
            json!(["arn:aws:events:eu-west-2:123456789012:rule/warmd-Tick"]),
            json!({}),
        ),
        EventKind::WarmRequest => (
            WARM_REQUEST,
            "com.example.auth",
            json!([]),
            json!({ "function": "nlp-inference:live", "concurrency": 5, "for": "10m", "reason": "token issued" }),
        ),
        EventKind::BacklogRequest => (
            WARM_REQUEST,
            "com.example.uploads",
            json!([]),
            json!({ "function": "nlp-inference:live", "backlog": 90_000, "rate": 300, "drain": "10s" }),
        ),
        EventKind::Shard => (
            WARM_SHARD,
            SOURCE,
            json!([]),
            json!({
                "version": 1,
                "tick": "2026-11-20T09:00:00Z",
                "config": "9f2c4e1a7b3d5e60",
                "attempt": 1,
                "rounds": [
                    { "function": "nlp-inference:live", "region": "eu-west-2", "concurrency": 10 },
                    { "function": "thumbnails", "region": "eu-west-2", "concurrency": 2 },
                ],
            }),
        ),
        EventKind::Deployed => (CLOUDTRAIL, "aws.lambda", json!([]), update_of_alias()),
    };
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": detail_type,
        "source": source,
        "account": "123456789012",
        "time": "2026-11-20T09:00:00Z",
        "region": "eu-west-2",
        "resources": resources,
        "detail": detail,
    })
}

/// Returns the `detail` of CloudTrail about an update of an alias, which sends 10 % of the requests to version 8.
fn update_of_alias() -> Value {
    let routing = json!({ "additionalVersionWeights": { "8": 0.1 } });
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLEEXAMPLE:deploy",
            "arn": "arn:aws:sts::123456789012:assumed-role/pipeline/deploy",
            "accountId": "123456789012",
        },
        "eventTime": "2026-11-20T09:00:00Z",
        "eventSource": "lambda.amazonaws.com",
        "eventName": "UpdateAlias20150331",
        "awsRegion": "eu-west-2",
        "sourceIPAddress": "192.0.2.17",
        "userAgent": "aws-cli/2.31.0",
        "requestParameters": {
            "functionName": "nlp-inference",
            "name": "live",
            "functionVersion": "7",
            "routingConfig": routing,
        },
        "responseElements": {
            "aliasArn": "arn:aws:lambda:eu-west-2:123456789012:function:nlp-inference:live",
            "name": "live",
            "functionVersion": "7",
            "description": "",
            "routingConfig": routing,
            "revisionId": "8f1e9a44-2d0b-4c53-9f5e-6c1d7b0a3e21",
        },
        "requestID": "5c0b6f1e-7a43-4f0e-8d6c-2b9a1e4d7f30",
        "eventID": "e2a7c9d4-1b3f-4e68-a5d0-9c8b7f6e5d41",
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::events::{Deployment, LambdaEvent, Need, Subject, WarmRequest};
    use crate::domain::function::{AccountId, FunctionName, FunctionRef, Qualifier, Region};

    #[test]
    fn every_sample_is_an_event_of_its_kind() {
        let tick = "2026-11-20T09:00:00Z".parse().unwrap();
        for kind in EventKind::value_variants() {
            let event = LambdaEvent::parse(&sample(*kind)).unwrap();
            match kind {
                EventKind::Scheduled => {
                    assert_eq!(event, LambdaEvent::Scheduled { at: tick });
                }
                EventKind::WarmRequest => assert_eq!(
                    event,
                    LambdaEvent::Request(WarmRequest {
                        id: Some("53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa".to_owned()),
                        at: Some(tick),
                        subject: Subject::Function(
                            FunctionRef::parse("nlp-inference:live").unwrap(),
                            Need::Environments(5)
                        ),
                        region: None,
                        keep_for: Some(Duration::from_secs(600)),
                        reason: Some("token issued".to_owned()),
                    })
                ),
                EventKind::BacklogRequest => {
                    let LambdaEvent::Request(request) = event else { panic!("{event:?}") };
                    let Subject::Function(_, need) = request.subject else { panic!("{:?}", request.subject) };
                    assert_eq!(need.environments(), 30);
                }
                EventKind::Shard => {
                    let LambdaEvent::Shard { at, shard } = event else { panic!("{event:?}") };
                    assert!(at.is_some());
                    assert_eq!((shard.attempt, shard.rounds.len()), (1, 2));
                    assert_eq!(shard.detail(), sample(*kind)["detail"], "the shard keeps every field");
                }
                EventKind::Deployed => assert_eq!(
                    event,
                    LambdaEvent::Deployed(Deployment {
                        function: FunctionName::parse("nlp-inference").unwrap(),
                        alias: Qualifier::parse("live").ok(),
                        account: AccountId::parse("123456789012"),
                        region: Region::parse("eu-west-2").unwrap(),
                        at: Some(tick),
                    })
                ),
            }
        }
    }
}
