//! What outlives a process: requests in force, pauses, when each target was last served, which shards were, and how the
//! last tick went.
//!
//! Plain documents and pure functions on them. Where they are kept is not their business.

mod status;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::{Opening, Window};
use super::clean::clean;
use super::fleet::{Fleet, OnRequest, Target};
use super::schedule::{self, Minute};

pub use self::status::{LastRound, Skip, Status};

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
/// How long a shard is remembered. Above what a delivery may be late: Lambda and EventBridge give up after two minutes
/// each, as `template.yaml` has it.
const SHARDS_LIVE: TimeDelta = TimeDelta::hours(1);
/// The most shards in a document. An hour of a hundred shards a minute makes some 400 in each of 16 documents.
const MOST_SHARDS: usize = 1_000;
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
pub enum Answered {
    /// A round for so many environments.
    Round(u32),
    /// Nothing: an earlier request that is less than `coalesce` ago has the same or more warmed, so many.
    Coalesced(u32),
}

impl Requests {
    /// Takes a request for the target of that [`key`]: within `rule`, and one with those that came shortly before.
    pub fn ask(&mut self, key: &str, asked: &Asked, rule: &OnRequest) -> Answered {
        let concurrency = asked.concurrency.min(rule.max_concurrency);
        let span = |length: Duration| TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let later = |length: TimeDelta| asked.at.checked_add_signed(length).unwrap_or(asked.at);
        let since = Minute::of(asked.at).instant();
        let until = asked.keep_for.map_or(since, |keep| later(span(keep.min(rule.max_for))));
        let before = self.targets.get(key);
        let in_force = before.filter(|before| before.until > asked.at);
        let coalesced = before.filter(|before| {
            let apart = asked.at.signed_duration_since(before.asked);
            apart.abs() < span(rule.coalesce) && before.concurrency >= concurrency
        });
        let request = Request {
            // What was asked for earlier is still owed: a smaller or shorter request takes nothing away.
            concurrency: in_force
                .or(coalesced)
                .map_or(concurrency, |before| before.concurrency.max(concurrency)),
            asked: coalesced.map_or(asked.at, |before| before.asked),
            since: in_force.map_or(since, |before| before.since),
            until: in_force.map_or(until, |before| before.until.max(until)),
            reason: asked.reason.clone().or_else(|| before.and_then(|before| before.reason.clone())),
        };
        let answered = match coalesced {
            Some(before) => Answered::Coalesced(before.concurrency),
            None => Answered::Round(concurrency),
        };
        self.targets.insert(key.to_owned(), request);
        self.targets.retain(|_, request| request.until.max(request.asked + REQUESTS_LIVE) > asked.at);
        answered
    }

    /// The request in force for a target.
    pub fn in_force(&self, target: &Target, now: DateTime<Utc>) -> Option<&Request> {
        target.on_request.as_ref()?;
        self.targets.get(&key(target)).filter(|request| request.since <= now && now < request.until)
    }
}

impl Request {
    /// The request as a window, so that the ordinary schedule keeps it, plans it and explains it.
    ///
    /// None when there is nothing to keep.
    fn window(&self, target: &Target) -> Option<Window> {
        let length = self.until.signed_duration_since(self.since);
        let rule = target.on_request.as_ref().filter(|_| length > TimeDelta::zero())?;
        let at = self.since;
        // One instant, as a cron expression with its year: the calendar has no other word for what happens once.
        let cron = format!(
            "{} {} {} {} {} ? {}",
            at.second(),
            at.minute(),
            at.hour(),
            at.day(),
            at.month(),
            at.year()
        );
        let schedule = cron::Schedule::from_str(&cron).ok()?;
        let label = match &self.reason {
            Some(reason) => format!("request: {reason}"),
            None => "request".to_owned(),
        };
        // Whoever may ask may have changed the most since: the configuration decides. Spare ones are added later.
        let wanted = self.concurrency.min(rule.max_concurrency).saturating_sub(target.spare).max(1);
        Some(Window {
            label,
            zone: chrono_tz::UTC,
            opening: Opening::Cron(Box::new(schedule), length),
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
            .and_then(|target| requests.in_force(target, now).and_then(|request| request.window(target)))
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

// ---------------------------------------------------------------------------------------------------- served

/// When each target was last served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The minute since the epoch of the latest tick.
    pub ticked: Option<i64>,
    /// The minute since the epoch in which a target was last served, by target, see [`key`].
    pub targets: BTreeMap<String, i64>,
    /// Targets with pings that nobody has waited for to the end, and until when they may run.
    pub busy: BTreeMap<String, DateTime<Utc>>,
    /// A number drawn for the latest delivery that has taken targets on, as in [`Taken::by`].
    pub claimed_by: Option<u32>,
}

impl Served {
    /// What a tick at `now` serves; `previous` is the schedule's firing before.
    ///
    /// Whatever has been due for a target since it was last served: so what a lost tick has left is made up at the
    /// next one, and what has been served in this minute is not served again. Targets of which nothing is known
    /// have been due since the firing before, or since the latest tick when that is longer ago. A tick in this very
    /// minute says nothing about them: it may be that of another process, which has other targets.
    pub fn plan(&self, fleet: &Fleet, now: Minute, previous: Minute) -> Vec<schedule::Due> {
        let unknown = self.ticked.map_or(previous, |ticked| Minute::from_epoch(ticked).min(previous));
        let targets = fleet.targets.iter().enumerate();
        let due = targets.filter_map(|(index, target)| {
            let served = self.targets.get(&key(target)).map(|minute| Minute::from_epoch(*minute));
            let why = schedule::due_since(target, served.unwrap_or(unknown), now)?;
            Some(schedule::Due { index, target: schedule::target(target, now), why })
        });
        due.collect()
    }

    /// Whether pings that were left in flight may still run at `now`.
    pub fn is_busy(&self, target: &Target, now: DateTime<Utc>) -> bool {
        self.busy.get(&key(target)).is_some_and(|until| now < *until)
    }

    /// Notes what a tick at `minute` has served.
    pub fn note<'t>(&mut self, minute: Minute, targets: impl IntoIterator<Item = &'t Target>) {
        // Deliveries may overtake each other: what is known stays when it is newer.
        self.ticked = self.ticked.max(Some(minute.epoch()));
        for target in targets {
            let served = self.targets.entry(key(target)).or_insert(i64::MIN);
            *served = (*served).max(minute.epoch());
        }
        let forgotten = minute.epoch() - FORGOTTEN_AFTER.num_minutes();
        self.targets.retain(|_, served| *served > forgotten);
        self.busy.retain(|_, until| *until > minute.instant());
    }

    /// Takes back that a tick at `minute` has served the target of that [`key`]: it was served at `before`. Nothing
    /// is taken back of what another tick has noted.
    pub fn take_back(&mut self, key: &str, minute: Minute, before: Minute) {
        if let Some(served) = self.targets.get_mut(key).filter(|served| **served == minute.epoch()) {
            *served = before.epoch();
        }
    }

    /// Notes until when the pings of targets may run that nobody has waited for to the end.
    pub fn note_busy<'t>(&mut self, busy: impl IntoIterator<Item = (&'t Target, DateTime<Utc>)>) {
        for (target, until) in busy {
            let known = self.busy.entry(key(target)).or_insert(until);
            *known = until.max(*known);
        }
    }
}

// ---------------------------------------------------------------------------------------------------- shards

/// Shards of large ticks that somebody has taken on, so that another delivery finds them. They are spread over several
/// documents, because all shards of a tick are taken on at the same moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shards {
    /// By [`super::shard::Shard::id`].
    pub taken: BTreeMap<String, Taken>,
}

/// Who has taken a shard on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// When.
    pub at: DateTime<Utc>,
    /// A number drawn for this delivery: a write of which the answer was lost is known as one's own.
    pub by: u32,
}

impl Shards {
    /// The name of the document that a shard is in: `shards-` and the first digit of its id.
    pub fn document(id: &str) -> String {
        format!("shards-{}", id.get(..1).unwrap_or_default())
    }

    /// Takes a shard on for the delivery `by`; `false` when another delivery has it. Drops what is too old.
    pub fn take(&mut self, id: &str, by: u32, now: DateTime<Utc>) -> bool {
        if let Some(taken) = self.taken.get(id).filter(|taken| taken.at + SHARDS_LIVE > now) {
            return taken.by == by;
        }
        self.taken.retain(|_, taken| taken.at + SHARDS_LIVE > now);
        if self.taken.len() >= MOST_SHARDS {
            let oldest = self.taken.iter().min_by_key(|(_, taken)| taken.at).map(|(id, _)| id.clone());
            oldest.map(|oldest| self.taken.remove(&oldest));
        }
        self.taken.insert(id.to_owned(), Taken { at: now, by });
        true
    }

    /// Gives back what the delivery `by` has taken on and not served.
    pub fn give_back(&mut self, id: &str, by: u32) {
        self.taken.retain(|known, taken| known != id || taken.by != by);
    }
}

#[cfg(test)]
mod tests;
