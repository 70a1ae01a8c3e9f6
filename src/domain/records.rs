//! Documents that outlive a process: requests, pauses, the minutes in which targets were served, the shards that were
//! served, and the result of the last tick. They are plain data with pure functions, independent of the state store.

mod backlogs;
mod bounded;
mod capacity;
mod deployments;
mod facts;
mod guards;
mod levels;
mod pauses;
mod served;
mod shards;
mod status;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub(in crate::domain) use super::keyed;

use super::calendar::{Opening, Window};
use super::fleet::{Fleet, OnRequest, Target};
use super::function::Identity;
use super::future::{is_future, later};
use super::schedule::Minute;

pub use self::backlogs::{Backlog, BacklogTerms, CapacityStep, RequestRound};
pub use self::bounded::{Bounded, MOST_BYTES};
pub use self::capacity::{Capacities, Kept, Made, MadeBy, Seen};
pub use self::deployments::{COALESCE, Deployments};
pub use self::facts::{
    AccountFacts, AliasRead, Facts, FailedRead, FunctionFacts, FunctionReads, Refresh, Snapshot, is_due,
    refresh_order, role_key, shows_deployment,
};
pub use self::guards::{BREAKER_AFTER, Code, Contact, Guards, Health, Trust};
pub use self::levels::{Level, Levels, Lower, with_all, with_levels};
pub use self::pauses::{Pause, Pauses, with_pauses};
pub use self::served::{Claim, LEASE, Served};
pub use self::shards::{Shards, Taken};
pub use self::status::{LastPipeline, LastRound, LastVersion, Skip, Status, TickNote};

/// The name of the document [`Requests`].
pub const REQUESTS: &str = "requests";
/// The name of the document [`Pauses`].
pub const PAUSES: &str = "pauses";
/// The name of the document [`Served`].
pub const SERVED: &str = "served";
/// The name of the document [`Status`].
pub const STATUS: &str = "status";

/// The age at which the entry of a target is dropped. Above the longest interval, a day.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(2);
/// The time for which a request is kept at least, so that a repeated delivery is recognised. Above the longest
/// `coalesce`.
const REQUESTS_LIVE: TimeDelta = TimeDelta::hours(1);

/// The Warm Requests of all targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// The latest request by target.
    #[serde(with = "keyed")]
    pub targets: BTreeMap<Identity, Request>,
    /// The latest requests with a backlog by target: one of the function, and one of each pipeline.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "keyed::serialize",
        deserialize_with = "keyed::deserialize_known"
    )]
    pub backlogs: BTreeMap<Identity, Vec<Backlog>>,
}

/// The latest request for a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The desired number of environments.
    pub concurrency: u32,
    /// The arrival of the last request that led to a round.
    pub asked: DateTime<Utc>,
    /// The beginning of the time in which the target is kept warm; a whole minute.
    pub since: DateTime<Utc>,
    /// The end of that time, this instant not included. Not after `since` when only one round was requested.
    pub until: DateTime<Utc>,
    /// The reason as text.
    pub reason: Option<String>,
}

/// The terms of a request as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTerms {
    /// The arrival.
    pub at: DateTime<Utc>,
    /// The desired number of environments.
    pub concurrency: u32,
    /// The time for which to keep them warm; `None` means one round.
    pub keep_for: Option<Duration>,
    /// The reason as text.
    pub reason: Option<String>,
}

/// The decision on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A round for this number of environments.
    Round(u32),
    /// No round: a request less than `coalesce` earlier has warmed this number of environments, which is enough.
    Coalesced(u32),
}

impl Requests {
    /// Adds a request for a target, limited by `rule` and coalesced with requests shortly before it. Entries that are
    /// in the future of `now`, the local clock, or too old are dropped.
    pub fn add(
        &mut self,
        id: &Identity,
        terms: &RequestTerms,
        rule: &OnRequest,
        now: DateTime<Utc>,
    ) -> Decision {
        self.prune(terms.at.min(now), now);
        let concurrency = terms.concurrency.min(rule.max_concurrency);
        let span = |length: Duration| TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let since = Minute::of(terms.at).instant();
        let until = terms.keep_for.map_or(since, |keep| later(terms.at, span(keep.min(rule.max_for))));
        let before = self.targets.get(id);
        let active = before.filter(|before| before.until > terms.at);
        let coalesced = before.filter(|before| {
            let apart = terms.at.signed_duration_since(before.asked);
            apart.abs() < span(rule.coalesce) && before.concurrency >= concurrency
        });
        let request = Request {
            // A smaller or shorter request does not reduce an earlier one.
            concurrency: active
                .or(coalesced)
                .map_or(concurrency, |before| before.concurrency.max(concurrency)),
            asked: coalesced.map_or(terms.at, |before| before.asked),
            since: active.map_or(since, |before| before.since),
            until: active.map_or(until, |before| before.until.max(until)),
            reason: terms.reason.clone().or_else(|| before.and_then(|before| before.reason.clone())),
        };
        let decision = match coalesced {
            Some(before) => Decision::Coalesced(before.concurrency),
            None => Decision::Round(concurrency),
        };
        self.targets.insert(id.clone(), request);
        decision
    }

    /// Drops requests that have ended at `at`, and those in the future of `now`.
    fn prune(&mut self, at: DateTime<Utc>, now: DateTime<Utc>) {
        self.targets.retain(|_, request| {
            request.until.max(later(request.asked, REQUESTS_LIVE)) > at && !request.is_future(now)
        });
        self.prune_backlogs(at, now);
    }

    /// Returns the targets with a stored time in the future, for a warning.
    pub fn in_future(&self, now: DateTime<Utc>) -> Vec<String> {
        let future = self.targets.iter().filter(|(_, request)| request.is_future(now)).map(|(id, _)| id);
        let has_future = |backlogs: &[Backlog]| {
            backlogs.iter().any(|one| one.is_future(now) || is_future(one.counted, now))
        };
        let backlogs = self.backlogs.iter().filter(|(_, backlogs)| has_future(backlogs)).map(|(id, _)| id);
        future.chain(backlogs).map(ToString::to_string).collect()
    }

    /// Returns the request by which a target is kept warm at `now`.
    pub fn active(&self, target: &Target, now: DateTime<Utc>) -> Option<&Request> {
        let rule = target.on_request.as_ref()?;
        let request = self.targets.get(&target.id)?;
        (request.since <= now && now < request.ends(rule)).then_some(request)
    }
}

impl Request {
    /// Returns true if the request is later than `now`. It has no effect then.
    pub fn is_future(&self, now: DateTime<Utc>) -> bool {
        is_future(self.asked, now) || is_future(self.since, now)
    }

    /// Returns the end of the request, at most as late as the configuration allows: coalesced requests may have arrived
    /// up to `coalesce` after it.
    fn ends(&self, rule: &OnRequest) -> DateTime<Utc> {
        let longest = TimeDelta::from_std(rule.coalesce.saturating_add(rule.max_for));
        self.until.min(later(self.asked, longest.unwrap_or(TimeDelta::MAX)))
    }

    /// Returns the request as a window of the schedule, which is planned and explained like every other. `None` if only
    /// one round was requested.
    fn window(&self, target: &Target) -> Option<Window> {
        let rule = target.on_request.as_ref()?;
        let length = self.ends(rule).signed_duration_since(self.since);
        if length <= TimeDelta::zero() {
            return None;
        }
        let label = match &self.reason {
            Some(reason) => format!("request: {reason}"),
            None => "request".to_owned(),
        };
        // The configuration may allow less than it did when the request arrived. The schedule adds the spare ones.
        let wanted = self.concurrency.min(rule.max_concurrency).saturating_sub(target.spare).max(1);
        Some(Window::new(label, chrono_tz::UTC, Opening::Once(self.since, length), wanted))
    }
}

/// Returns the fleet with the requests that are active at `now`, each as a window of its target.
pub fn with_requests<'f>(fleet: &'f Fleet, requests: &Requests, now: DateTime<Utc>) -> Cow<'f, Fleet> {
    let mut with = Cow::Borrowed(fleet);
    for (index, target) in fleet.targets.iter().enumerate() {
        let mut windows = requests.backlog_windows(fleet, target, now);
        windows.extend(requests.active(target, now).and_then(|request| request.window(target)));
        if windows.is_empty() {
            continue;
        }
        if let Some(target) = with.to_mut().targets.get_mut(index) {
            target.windows.append(&mut windows);
        }
    }
    with
}

#[cfg(test)]
mod tests;
