//! The reasons why a round is skipped, in one table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason why a round was skipped.
///
/// A skipped round counts in the metric `Functions`. It has the verdict `skipped`, which no exit code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// The target's earlier round is in flight, or an unanswered ping of it may still run.
    InFlight,
    /// The target's earlier round waits for room under `limits.max_in_flight`.
    NoRoom,
    /// The tick is a dry run.
    DryRun,
    /// The target or the fleet is paused.
    Paused,
    /// An earlier Warm Request has just warmed the target.
    Coalesced,
    /// The payload is `custom`, and the Lambda is not allowed to send it.
    CustomPayload,
    /// The shard was delivered and served before.
    Served,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::InFlight,
        Self::NoRoom,
        Self::DryRun,
        Self::Paused,
        Self::Coalesced,
        Self::CustomPayload,
        Self::Served,
    ];

    /// Returns the name in JSON, such as `in-flight`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Returns the explanation.
    pub fn explanation(self) -> &'static str {
        self.row().1
    }

    /// Returns true if the target is still due at the next tick.
    pub fn stays_due(self) -> bool {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::InFlight => {
                ("in-flight", "its earlier round is still in flight, or a ping of it may still run", true)
            }
            Self::NoRoom => {
                ("no-room", "its earlier round still waits for room under limits.max_in_flight", true)
            }
            Self::DryRun => ("dry-run", "this is a dry run", false),
            Self::Paused => ("paused", "it is paused", false),
            Self::Coalesced => ("coalesced", "an earlier request has just warmed it", false),
            Self::CustomPayload => {
                ("custom-payload", "custom payloads need WARMD_ALLOW_CUSTOM_PAYLOAD=true", false)
            }
            Self::Served => ("served", "its shard was delivered before and has been served", false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_in_json() {
        for reason in SkipReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
