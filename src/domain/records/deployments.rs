//! Deployments of targets that a round has to follow: a part of the document `served`.
//!
//! A deployment is noted with its time, by an event or when the facts show other code. It is pending until a round was
//! released after it. Several within [`COALESCE`] are one: a process that serves an event claims the target, and later
//! events only move the time of the deployment. What the round of the claim does not cover is left to the next tick.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::domain::function::Identity;
use crate::domain::future::{is_future, later};

/// The time for which events about one target are one.
pub const COALESCE: TimeDelta = TimeDelta::seconds(30);
/// The resolution of an event's time. The deployment may be later by this.
const EVENT_GRAIN: TimeDelta = TimeDelta::seconds(1);
/// The age from which a pending deployment is forgotten: its environments are warmed by the windows since.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::hours(1);

/// The deployments of targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deployments {
    #[serde(with = "keyed")]
    pub(super) targets: BTreeMap<Identity, Deployment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deployment {
    /// The time of the latest deployment.
    pub(super) at: DateTime<Utc>,
    /// The claim of a process that serves an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claimed: Option<EventClaim>,
    /// The time at which a round was released last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warmed: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct EventClaim {
    /// A random number of the process. It identifies a write whose answer was lost.
    by: u32,
    /// The time of the claim.
    at: DateTime<Utc>,
}

impl EventClaim {
    fn holds(&self, now: DateTime<Utc>) -> bool {
        is_recent(self.at, now)
    }
}

/// Returns true if `at` is less than [`COALESCE`] ago. Times in the future are not.
fn is_recent(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    !is_future(at, now) && later(at, COALESCE) > now
}

impl Deployment {
    /// Returns true if no round was released after it. Times in the future count as unknown.
    fn is_pending(&self, now: DateTime<Utc>) -> bool {
        self.warmed.is_none_or(|warmed| is_future(warmed, now) || later(self.at, EVENT_GRAIN) > warmed)
    }

    /// Returns true if an event about the target was served shortly before `now`, or is being served.
    fn is_recent(&self, now: DateTime<Utc>) -> bool {
        self.claimed.is_some_and(|claim| claim.holds(now))
            || self.warmed.is_some_and(|warmed| is_recent(warmed, now))
    }
}

impl Deployments {
    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Notes a deployment of a target at `at`. A later time than `now` counts as `now`.
    pub fn note(&mut self, id: &Identity, at: DateTime<Utc>, now: DateTime<Utc>) {
        self.prune(now);
        let at = at.min(now);
        let new = Deployment { at, claimed: None, warmed: None };
        let known = self.targets.entry(id.clone()).or_insert(new);
        known.at = if is_future(known.at, now) { at } else { known.at.max(at) };
    }

    /// Notes a deployment, and claims the target for its round. Returns false if an event about the target was served
    /// less than [`COALESCE`] ago, or is being served: nothing is to be sent now. `by` is a random number of the
    /// event's process, whose own claim counts as none: a write is repeated when its answer was lost.
    pub fn claim(&mut self, by: u32, id: &Identity, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.note(id, at, now);
        let is_free =
            |known: &Deployment| known.claimed.is_some_and(|claim| claim.by == by) || !known.is_recent(now);
        let Some(known) = self.targets.get_mut(id).filter(|known| is_free(known)) else { return false };
        known.claimed = Some(EventClaim { by, at: now });
        true
    }

    /// Ends a claim whose round was not sent: the next tick serves the target.
    pub fn release(&mut self, id: &Identity) {
        if let Some(known) = self.targets.get_mut(id) {
            known.claimed = None;
        }
    }

    /// Drops a deployment that no round has to follow, and its claim. A deployment after `until` is kept.
    pub fn forget(&mut self, id: &Identity, until: DateTime<Utc>) {
        self.release(id);
        self.targets.retain(|known, deployment| known != id || deployment.at > until);
    }

    /// Notes that a round of a target was released at `at`. Nothing is noted for targets without a deployment.
    pub fn note_warmed(&mut self, id: &Identity, at: DateTime<Utc>, now: DateTime<Utc>) {
        if let Some(known) = self.targets.get_mut(id) {
            known.claimed = None;
            known.warmed = Some(
                known.warmed.filter(|warmed| !is_future(*warmed, now)).map_or(at, |warmed| warmed.max(at)),
            );
        }
        self.prune(now);
    }

    /// Notes the deployments of `other` that no round has followed.
    pub fn note_pending(&mut self, other: &Self, now: DateTime<Utc>) {
        for (id, known) in other.targets.iter().filter(|(_, known)| known.is_pending(now)) {
            self.note(id, known.at, now);
        }
    }

    /// Returns true if a tick at `now` serves the target because of a deployment.
    pub fn is_due(&self, id: &Identity, now: DateTime<Utc>) -> bool {
        self.targets.get(id).is_some_and(|known| {
            let is_claimed = known.claimed.is_some_and(|claim| claim.holds(now));
            known.is_pending(now) && !is_claimed && later(known.at, FORGOTTEN_AFTER) > now
        })
    }

    /// Drops what has no effect any more.
    fn prune(&mut self, now: DateTime<Utc>) {
        self.targets.retain(|_, known| {
            let is_old = later(known.at, FORGOTTEN_AFTER) <= now;
            known.is_recent(now) || (known.is_pending(now) && !is_old)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::function::{FunctionRef, Region};

    fn at(second: i64) -> DateTime<Utc> {
        "2026-11-20T09:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
    }

    fn id() -> Identity {
        FunctionRef::parse("f:live").unwrap().identity(Region::parse("eu-west-2").unwrap())
    }

    #[test]
    fn events_within_thirty_seconds_are_one() {
        let (id, mut deployments) = (id(), Deployments::default());
        assert!(deployments.claim(1, &id, at(0), at(1)));
        assert!(!deployments.claim(2, &id, at(2), at(3)), "the first is being served");
        assert!(deployments.claim(1, &id, at(2), at(3)), "by this process: the answer of the store was lost");
        assert!(!deployments.is_due(&id, at(4)), "its claim holds");
        deployments.note_warmed(&id, at(5), at(6));
        assert!(!deployments.is_due(&id, at(7)), "its round covers both");
        assert!(!deployments.claim(2, &id, at(8), at(9)));
        assert!(deployments.is_due(&id, at(10)), "the round was before the third");
        assert!(deployments.claim(1, &id, at(35), at(36)));
    }

    #[test]
    fn a_deployment_without_a_round_is_left_to_the_next_tick() {
        let (id, mut deployments) = (id(), Deployments::default());
        assert!(deployments.claim(1, &id, at(0), at(0)));
        assert!(!deployments.is_due(&id, at(20)) && deployments.is_due(&id, at(30)), "its process has died");
        deployments.release(&id);
        assert!(deployments.is_due(&id, at(20)));
        assert!(!deployments.is_due(&id, at(3_600)), "too old");
        deployments.note(&id, at(4_000), at(4_000));
        deployments.note_warmed(&id, at(4_010), at(4_010));
        deployments.note(&id, at(3_990), at(4_020));
        assert!(!deployments.is_due(&id, at(4_020)), "an earlier one that arrives late");
        deployments.note_warmed(&id, at(4_060), at(4_060));
        deployments.note(&id, at(4_100), at(4_100));
        assert_eq!(deployments.targets.len(), 1);
    }

    #[test]
    fn a_deployment_that_needs_no_round_is_forgotten_unless_another_follows() {
        let (id, mut deployments) = (id(), Deployments::default());
        assert!(deployments.claim(1, &id, at(0), at(1)));
        deployments.forget(&id, at(5));
        assert!(deployments.is_empty());
        assert!(deployments.claim(2, &id, at(6), at(7)), "the next one is served at once");
        assert!(!deployments.claim(3, &id, at(9), at(10)));
        deployments.forget(&id, at(8));
        assert!(deployments.is_due(&id, at(11)));
    }

    #[test]
    fn times_in_the_future_silence_nothing() {
        let (id, mut deployments) = (id(), Deployments::default());
        deployments.note_warmed(&id, at(1_000_000), at(0));
        assert!(deployments.is_empty());
        assert!(deployments.claim(1, &id, at(1_000_000), at(0)));
        deployments.note_warmed(&id, at(1_000_000), at(1_000_000));
        assert!(deployments.is_due(&id, at(0)), "a wrong clock wrote it");
        assert!(deployments.claim(1, &id, at(1), at(2)));
        deployments.note_warmed(&id, at(3), at(3));
        assert!(!deployments.is_due(&id, at(5)));
    }
}
