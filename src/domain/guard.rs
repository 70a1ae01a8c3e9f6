//! The guards of a round: whether it is sent, with how many pings, and whether one ping precedes it.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};

use super::fleet::{Canary, Limits, Target};
use super::preflight::{AccountLimits, Room, TargetObservation, allowance};
use super::records::{BREAKER_AFTER, Guards, Health, TRY_EVERY, Trust};
use super::round::{FirstPing, Purpose};
use super::tick::{RoundRecord, SkipReason};

/// The number of pings of a round, and its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The configured number, if the headroom is lower.
    pub capped_from: Option<u32>,
    /// The number before throttles lowered it.
    pub backed_off_from: Option<u32>,
    /// The concurrency that the pings share with other rounds; `None` if it is unknown.
    pub room: Option<Room>,
    /// The ping that precedes the round.
    pub first: Option<FirstPing>,
    /// The provisioned environments of the qualifier; `None` without any.
    pub provisioned: Option<u32>,
}

/// The decision on a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The round is sent with this number of pings.
    Send(NonZeroU32, Terms),
    /// The round is skipped.
    Skip(SkipReason),
}

/// What is known about a target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Knowledge<'k> {
    /// The facts about the function.
    pub facts: Option<&'k TargetObservation>,
    /// The limits of its account.
    pub account: Option<&'k AccountLimits>,
    /// The records of earlier rounds.
    pub guards: Option<&'k Guards>,
}

impl Knowledge<'_> {
    /// Returns the hash of the deployed code, if known.
    pub fn code(&self) -> Option<&str> {
        self.facts?.configuration.known()?.code_sha256.as_deref()
    }
}

/// Decides on a round of `desired` pings. `checks_contact` is false for callers that send no canaries.
pub fn decide(
    target: &Target,
    desired: NonZeroU32,
    known: Knowledge<'_>,
    limits: &Limits,
    checks_contact: bool,
    now: DateTime<Utc>,
) -> Decision {
    let allowed = allowance(target, desired.get(), known.facts, known.account, limits);
    if let Some(reason) = allowed.refusal {
        return Decision::Skip(reason);
    }
    let trust = known.guards.map_or(Trust::None, |guards| guards.trust(target, known.code()));
    let canary = match (target.canary, trust) {
        (Canary::Off, _) | (Canary::On(_), Trust::Trusted) => None,
        (Canary::On(_), Trust::Unsafe(_)) => return Decision::Skip(SkipReason::Unsafe),
        (Canary::On(max), Trust::None) => checks_contact.then_some(max),
    };
    let health = known.guards.and_then(|guards| guards.health(&target.id, now));
    let is_open = health.is_some_and(Health::is_open);
    if is_open && health.is_some_and(|health| now.signed_duration_since(health.at) < TRY_EVERY) {
        return Decision::Skip(SkipReason::Breaker);
    }
    let capped = lower(desired, allowed.room.as_ref().map(|room| room.limit));
    let backed_off = lower(capped, health.and_then(|health| health.limit));
    let purpose = match (allowed.is_inactive, is_open, canary) {
        (true, _, _) => Some(Purpose::Wake),
        (false, true, _) => Some(Purpose::Retry),
        (false, false, Some(_)) => Some(Purpose::Contact),
        (false, false, None) => None,
    };
    let terms = Terms {
        capped_from: (capped < desired).then_some(desired.get()),
        backed_off_from: (backed_off < capped).then_some(capped.get()),
        room: allowed.room,
        first: purpose.map(|purpose| FirstPing { purpose, canary }),
        provisioned: allowed.provisioned,
    };
    Decision::Send(backed_off, terms)
}

fn lower(number: NonZeroU32, limit: Option<u32>) -> NonZeroU32 {
    limit.and_then(NonZeroU32::new).map_or(number, |limit| number.min(limit))
}

/// Returns the health of a target after a round; `None` if nothing is known against it.
pub fn health_after(
    target: &Target,
    before: Option<&Health>,
    round: &RoundRecord,
    now: DateTime<Utc>,
) -> Option<Health> {
    let Some(sent) = round.sent() else { return before.cloned() };
    let (counts, pings) = (&sent.report.counts, sent.report.pings);
    let failed = counts.function_errors.saturating_add(counts.denied).saturating_add(counts.not_found);
    let failures = before.map_or(0, |before| before.failures);
    let failures = if pings > 0 && failed == pings {
        failures.saturating_add(1).min(BREAKER_AFTER)
    } else if counts.throttled == pings {
        // Neither the function's fault nor a sign that it works.
        failures
    } else {
        0
    };
    let limit = match before.and_then(|before| before.limit) {
        _ if counts.throttled > 0 => Some((round.desired / 2).max(1)),
        Some(limit) if counts.errors() == 0 => {
            Some(limit.saturating_mul(2)).filter(|limit| *limit < target.highest())
        }
        limit => limit,
    };
    (failures > 0 || limit.is_some()).then_some(Health { at: now, failures, limit })
}
