//! The reasons why a round is skipped, in one table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason why a round was skipped.
///
/// A skipped round counts in the metric `Functions`. Its verdict is `skipped`, which does not change the
/// exit code, or `unsafe`, which has exit code 3. With `warmd warm --require-reached` every reason but `paused` has exit
/// code 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// The target's earlier round is in flight, or an unanswered ping of it may still run.
    InFlight,
    /// The target's earlier round waits for room under `limits.max_in_flight`.
    NoRoom,
    /// The round of a version behind an alias is larger than the cap of pings in flight, and a round is never cut.
    TooLarge,
    /// The time of the tick ran out after a first ping, or the process was stopped.
    Deadline,
    /// The tick is a dry run.
    DryRun,
    /// The target or the fleet is paused.
    Paused,
    /// An earlier Warm Request, or an earlier deployment, has just warmed the target.
    Coalesced,
    /// The deployment is not known to be complete. It is left to the next tick.
    Updating,
    /// The deployment failed, and the previous one is still active.
    UpdateFailed,
    /// The payload is `custom`, and the Lambda is not allowed to send it.
    CustomPayload,
    /// The shard was delivered and served before.
    Served,
    /// The function is durable: every ping would begin a durable execution.
    Durable,
    /// The function runs on managed instances, which have no cold starts.
    ManagedInstances,
    /// The function's reserved concurrency is 0.
    SwitchedOff,
    /// The function isolates tenants, and the configuration names none.
    NeedsTenants,
    /// The function is inactive. One ping wakes it.
    Inactive,
    /// Provisioned concurrency covers the target.
    Provisioned,
    /// `limits.leave_free` leaves nothing of the function's reserved concurrency.
    NoHeadroom,
    /// A monthly budget is used up, or leaves less than one ping for now.
    Budget,
    /// The target's rounds have failed repeatedly. One ping each 15 minutes tries again.
    Breaker,
    /// The handler took a ping for work.
    Unsafe,
    /// The caller may not ping a version by its number: its alias is pinged instead.
    Denied,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 22] = [
        Self::InFlight,
        Self::NoRoom,
        Self::TooLarge,
        Self::Deadline,
        Self::DryRun,
        Self::Paused,
        Self::Coalesced,
        Self::Updating,
        Self::UpdateFailed,
        Self::CustomPayload,
        Self::Served,
        Self::Durable,
        Self::ManagedInstances,
        Self::SwitchedOff,
        Self::NeedsTenants,
        Self::Inactive,
        Self::Provisioned,
        Self::NoHeadroom,
        Self::Budget,
        Self::Breaker,
        Self::Unsafe,
        Self::Denied,
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
            Self::TooLarge => (
                "too-large",
                "its round is larger than limits.max_in_flight, and a round is never cut",
                false,
            ),
            Self::Deadline => ("deadline", "the time of the tick ran out after its first ping", true),
            Self::DryRun => ("dry-run", "this is a dry run", false),
            Self::Paused => ("paused", "it is paused", false),
            Self::Coalesced => ("coalesced", "an earlier request or deployment has just warmed it", false),
            Self::Updating => {
                ("updating", "its deployment is not known to be complete; it is due at the next tick", true)
            }
            Self::UpdateFailed => {
                ("update-failed", "its deployment failed, and the previous one is still active", false)
            }
            Self::CustomPayload => {
                ("custom-payload", "custom payloads need WARMD_ALLOW_CUSTOM_PAYLOAD=true", false)
            }
            Self::Served => ("served", "its shard was delivered before and has been served", false),
            Self::Durable => ("durable", "every ping would begin a durable execution", false),
            Self::ManagedInstances => {
                ("managed-instances", "it runs on managed instances, which have no cold starts", false)
            }
            Self::SwitchedOff => ("switched-off", "its reserved concurrency is 0", false),
            Self::NeedsTenants => {
                ("needs-tenants", "it isolates tenants: add `tenants` to the configuration", false)
            }
            Self::Inactive => ("inactive", "it is inactive; one ping wakes it, and the round follows", true),
            Self::Provisioned => ("provisioned", "provisioned concurrency covers it", false),
            Self::NoHeadroom => {
                ("no-headroom", "limits.leave_free leaves nothing of its reserved concurrency", false)
            }
            Self::Budget => ("budget", "a monthly budget is used up, or leaves no ping now", false),
            Self::Breaker => {
                ("breaker", "its last rounds failed entirely; one ping each 15 minutes tries again", false)
            }
            Self::Unsafe => {
                ("unsafe", "its handler took a ping for work; `warmd canary clear` allows pings again", false)
            }
            Self::Denied => (
                "denied",
                "pings by the number of the version are denied, and the alias is pinged instead: allow \
                 lambda:InvokeFunction on `function:NAME:*` (`warmd iam` grants it); they are tried again after an hour",
                false,
            ),
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
