//! The state of a target as a tick saw it.

use crate::domain::capacity::CapacityReport;
use crate::domain::fleet::Target;
use crate::domain::tick::{RoundRecord, SkipReason};

/// The minutes after which the next look at capacity must have followed. Ticks look every few minutes.
const CAPACITY_SERVES: i64 = 10;

/// The state of a target as a tick saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The environments that are warm from now on; `None` if unknown.
    pub reached: Option<u32>,
    /// The environments that were warm before.
    pub found: Found,
    /// True if a guard or a budget lowered the number.
    pub is_capped: bool,
    /// The minutes within which the next look is due.
    pub serves_minutes: i64,
}

/// The environments that were warm before a look, from the worst to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// Pings were sent, and nothing is proven.
    Unknown,
    /// This number, and at least one that was looked at was not.
    Warm(u32),
    /// All that were looked at: as many as the look wanted. It shows nothing about others, which were wanted before.
    All,
    /// As many as were wanted, and Lambda keeps them.
    Kept,
    /// No ping was sent.
    NotLooked,
}

impl Look {
    /// Returns what a round shows; `None` if it shows nothing, and an earlier or a later one counts.
    pub fn at_round(round: &RoundRecord, target: &Target) -> Option<Self> {
        let serves_minutes = i64::from(target.interval_minutes.max(1));
        match round.skip_reason() {
            None => {
                let reached = round.reached();
                let found = found(round);
                let is_capped = round.capped_from.is_some() || round.backed_off_from.is_some();
                Some(Self { reached, found, is_capped, serves_minutes })
            }
            // Lambda has the number ready, whoever has ordered it.
            Some(SkipReason::Provisioned) if !target.strategy.is_capacity() => {
                let reached = Some(round.desired);
                Some(Self { reached, found: Found::Kept, is_capped: false, serves_minutes })
            }
            Some(reason) => {
                let is_capped = is_guard(reason)?;
                Some(Self { reached: Some(0), found: Found::NotLooked, is_capped, serves_minutes })
            }
        }
    }

    /// Returns what a tick shows of a target's capacity.
    pub fn at_capacity(capacity: &CapacityReport) -> Self {
        let available = capacity.available;
        let found = match available {
            Some(number) if number >= capacity.desired => Found::Kept,
            Some(number) => Found::Warm(number),
            None => Found::Unknown,
        };
        let is_capped = capacity.whole() > capacity.desired;
        Self { reached: available, found, is_capped, serves_minutes: CAPACITY_SERVES }
    }
}

/// Returns which environments reached were not new: the worst of a version while an alias has several.
fn found(round: &RoundRecord) -> Found {
    let versions = round.sent().map(|sent| &sent.versions[..]).unwrap_or_default();
    if let Some(worst) = versions.iter().map(|version| found(&version.record)).min() {
        return worst;
    }
    match (round.reached(), round.counts().new_environments().all()) {
        (None, _) => Found::Unknown,
        (Some(reached), 0) if reached >= round.desired => Found::All,
        (Some(reached), new) => Found::Warm(reached.saturating_sub(new)),
    }
}

/// Returns true if a guard skipped a round, and false if an operator (a pause) or the function itself did; `None` if the
/// target is served otherwise, or at the next tick.
fn is_guard(reason: SkipReason) -> Option<bool> {
    match reason {
        SkipReason::NoHeadroom | SkipReason::Budget | SkipReason::Breaker => Some(true),
        SkipReason::Paused
        | SkipReason::CustomPayload
        | SkipReason::Durable
        | SkipReason::SwitchedOff
        | SkipReason::NeedsTenants
        | SkipReason::Inactive
        | SkipReason::UpdateFailed
        | SkipReason::TooLarge
        | SkipReason::Unsafe => Some(false),
        SkipReason::InFlight
        | SkipReason::NoRoom
        | SkipReason::Deadline
        | SkipReason::DryRun
        | SkipReason::Coalesced
        | SkipReason::Served
        | SkipReason::Updating
        | SkipReason::Denied
        | SkipReason::ManagedInstances
        | SkipReason::Provisioned => None,
    }
}
