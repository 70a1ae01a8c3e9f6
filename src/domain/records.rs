//! What outlives a process: requests in force, pauses, when each target was last served, which shards were, and how the
//! last tick went.
//!
//! Plain documents and pure functions on them. Where they are kept is not their business.

mod bounded;
mod served;
mod shards;
mod status;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::{Opening, Window};
use super::clean::clean;
use super::fleet::{Fleet, OnRequest, Target};
use super::future::{is_future, later};
use super::schedule::Minute;

pub use self::bounded::{Bounded, MOST_BYTES};
pub use self::served::{Claim, LEASE, Served};
pub use self::shards::{Shards, Taken};
pub use self::status::{LastRound, Skip, Status, TickNote};

/// The name of the document [`Requests`].
pub const REQUESTS: &str = "requests";
/// The name of the document [`Pauses`].
pub const PAUSES: &str = "pauses";
/// The name of the document [`Served`].
pub const SERVED: &str = "served";
/// The name of the document [`Status`].
pub const STATUS: &str = "status";

/// Entries of targets that have not been heard of for so long are dropped. Above the longest interval, a day.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(2);
/// A request is at least so long remembered, so that a repeated delivery finds it. Above the longest `coalesce`.
const REQUESTS_LIVE: TimeDelta = TimeDelta::hours(1);

/// What a target is known by in the documents: its label and its region.
pub fn key(target: &Target) -> String {
    format!("{} {}", target.label, target.region())
}

// ---------------------------------------------------------------------------------------------------- requests

/// Requests for warmth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// By target, see [`key`].
    pub targets: BTreeMap<String, Request>,
}

/// The request that is in force, or was last, for a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Environments wanted.
    pub concurrency: u32,
    /// When the last one arrived that led to a round.
    pub asked: DateTime<Utc>,
    /// Since when it is kept warm; whole minutes.
    pub since: DateTime<Utc>,
    /// Until when it is kept warm, this instant not included; not after `since` when only a round was asked for.
    pub until: DateTime<Utc>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// A request as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: DateTime<Utc>,
    /// Environments wanted.
    pub concurrency: u32,
    /// How long to keep them; none means one round.
    pub keep_for: Option<Duration>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What is to be done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A round for so many environments.
    Round(u32),
    /// Nothing: an earlier request that is less than `coalesce` ago has the same or more warmed, so many.
    Coalesced(u32),
}

impl Requests {
    /// Takes a request for the target of that [`key`]: within `rule`, and one with those that came shortly before.
    /// `now` is the own clock: what is stored and lies in its future is dropped, as is what is too old.
    pub fn ask(&mut self, key: &str, asked: &Asked, rule: &OnRequest, now: DateTime<Utc>) -> Decision {
        self.prune(asked.at.min(now), now);
        let concurrency = asked.concurrency.min(rule.max_concurrency);
        let span = |length: Duration| TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let since = Minute::of(asked.at).instant();
        let until = asked.keep_for.map_or(since, |keep| later(asked.at, span(keep.min(rule.max_for))));
        let before = self.targets.get(key);
        let live_config = before.filter(|before| before.until > asked.at);
        let coalesced = before.filter(|before| {
            let apart = asked.at.signed_duration_since(before.asked);
            apart.abs() < span(rule.coalesce) && before.concurrency >= concurrency
        });
        let request = Request {
            // What was asked for earlier is still owed: a smaller or shorter request takes nothing away.
            concurrency: live_config
                .or(coalesced)
                .map_or(concurrency, |before| before.concurrency.max(concurrency)),
            asked: coalesced.map_or(asked.at, |before| before.asked),
            since: live_config.map_or(since, |before| before.since),
            until: live_config.map_or(until, |before| before.until.max(until)),
            reason: asked.reason.clone().or_else(|| before.and_then(|before| before.reason.clone())),
        };
        let answered = match coalesced {
            Some(before) => Decision::Coalesced(before.concurrency),
            None => Decision::Round(concurrency),
        };
        self.targets.insert(key.to_owned(), request);
        answered
    }

    /// Drops what has passed at `at`, and what lies in the future of `now`.
    fn prune(&mut self, at: DateTime<Utc>, now: DateTime<Utc>) {
        self.targets.retain(|_, request| {
            request.until.max(later(request.asked, REQUESTS_LIVE)) > at && !request.is_future(now)
        });
    }

    /// The targets with a stored time in the future, for a warning.
    pub fn in_future(&self, now: DateTime<Utc>) -> Vec<&str> {
        let future = self.targets.iter().filter(|(_, request)| request.is_future(now));
        future.map(|(key, _)| key.as_str()).collect()
    }

    /// The request in force for a target.
    pub fn live_config(&self, target: &Target, now: DateTime<Utc>) -> Option<&Request> {
        let rule = target.on_request.as_ref()?;
        let request = self.targets.get(&key(target))?;
        (request.since <= now && now < request.ends(rule)).then_some(request)
    }
}

impl Request {
    /// Returns true if it was requested later than `now`. Then it counts as unknown.
    pub fn is_future(&self, now: DateTime<Utc>) -> bool {
        is_future(self.asked, now) || is_future(self.since, now)
    }

    /// The instant until which it is kept warm, at most as long as the configuration allows: requests that are one with
    /// it may have come up to `coalesce` after it.
    fn ends(&self, rule: &OnRequest) -> DateTime<Utc> {
        let longest = TimeDelta::from_std(rule.coalesce.saturating_add(rule.max_for));
        self.until.min(later(self.asked, longest.unwrap_or(TimeDelta::MAX)))
    }

    /// The request as a window, so that the ordinary schedule keeps it, plans it and explains it.
    ///
    /// None when there is nothing to keep.
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
        // Whoever may ask may have changed the most since: the configuration decides. Spare ones are added later.
        let wanted = self.concurrency.min(rule.max_concurrency).saturating_sub(target.spare).max(1);
        Some(Window {
            label,
            zone: chrono_tz::UTC,
            opening: Opening::Once(self.since, length),
            only: Vec::new(),
            except: Vec::new(),
            from: None,
            through: None,
            concurrency: wanted,
            lead: TimeDelta::zero(),
            ramp_up: TimeDelta::zero(),
            ramp_down: TimeDelta::zero(),
        })
    }
}

/// The fleet with the requests that are in force at `now`, each as a window of its target.
pub fn with_requests<'f>(fleet: &'f Fleet, requests: &Requests, now: DateTime<Utc>) -> Cow<'f, Fleet> {
    let mut fleet = Cow::Borrowed(fleet);
    for index in 0..fleet.targets.len() {
        let Some(window) = fleet
            .targets
            .get(index)
            .and_then(|target| requests.live_config(target, now).and_then(|request| request.window(target)))
        else {
            continue;
        };
        if let Some(target) = fleet.to_mut().targets.get_mut(index) {
            target.windows.push(window);
        }
    }
    fleet
}

// ---------------------------------------------------------------------------------------------------- pauses

/// What is not to be warmed for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    /// The pause of everything.
    pub all: Option<Pause>,
    /// By function, as it is configured: in all its regions.
    pub functions: BTreeMap<String, Pause>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Until when, this instant not included.
    pub until: DateTime<Utc>,
    /// Why, for people.
    pub reason: String,
}

impl Pauses {
    /// The pause that holds for a target: the one that lasts longer.
    pub fn of(&self, target: &Target, now: DateTime<Utc>) -> Option<&Pause> {
        let both = self.all.iter().chain(self.functions.get(&target.label));
        both.filter(|pause| now < pause.until).max_by_key(|pause| pause.until)
    }

    /// Drops what has passed.
    pub fn prune(&mut self, now: DateTime<Utc>) {
        self.all.take_if(|pause| pause.until <= now);
        self.functions.retain(|_, pause| pause.until > now);
    }
}

impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let until = self.until.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "paused until {until}: {}", clean(&self.reason))
    }
}

#[cfg(test)]
mod tests;
