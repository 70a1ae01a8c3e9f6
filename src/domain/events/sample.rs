//! Sample events for tests of a deployed Lambda.

use serde_json::{Value, json};

use super::{SCHEDULED, SOURCE, WARM_REQUEST, WARM_SHARD};

/// A kind of sample event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The schedule fired.
    Scheduled,
    /// An application asks for warmth.
    WarmRequest,
    /// A part of a large tick.
    Shard,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Scheduled, Self::WarmRequest, Self::Shard];

    /// The kind's name: `scheduled`, `warm-request` or `shard`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::WarmRequest => "warm-request",
            Self::Shard => "shard",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An event of that kind as EventBridge delivers it.
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
