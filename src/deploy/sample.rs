//! Sample events for tests of a deployed Lambda.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::domain::events::{SCHEDULED, SOURCE, WARM_REQUEST, WARM_SHARD};

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::events::{LambdaEvent, Need, Subject, WarmRequest};
    use crate::domain::function::FunctionRef;

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
            }
        }
    }
}
