//! The history that is not in the documents of its days yet, and the state of coverage: a part of the status document.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{Read, Write};
use std::mem::take;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::unmoved::Gap;
use super::{Observed, Row, Unmoved};
use crate::domain::coverage::{ByHour, Look, MOST_FILLED, Minutes, Slo, Watch, advance};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::future::is_future;
use crate::domain::keyed;
use crate::domain::schedule::{Minute, desired, segments};

/// The shortest time between two writes to the document of a day.
const MOVED_EVERY: TimeDelta = TimeDelta::minutes(5);
/// The writes that are remembered. A write is repeated within minutes, and there are a few in a minute.
const MOST_WRITES: usize = 256;
/// The minutes by which a state of coverage may be ahead. The minutes until then are judged already.
const MOST_AHEAD: i64 = 24 * 60;
/// The hours of an outage whose rows are stored one by one. Longer ones are stored as outages.
const FEW_HOURS: usize = 3;
/// The largest state after it is unpacked.
const MOST_UNPACKED: u64 = 64 << 20;
/// The documents that are replaced: of a month, in several regions.
const MOST_REPLACED: usize = 1_000;

/// The history that is not in the documents of its days yet, and the state of coverage. It is stored as JSON in gzip in
/// base64: that of ten thousand targets would otherwise double the size of the status document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenHistory {
    state: State,
    /// The reason why the stored state could not be read, and is begun anew; for people.
    unread: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The coverage of each target since its last look.
    #[serde(serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize")]
    watch: BTreeMap<Identity, Watch>,
    /// The objectives of the functions that have one, as of the last tick.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "keyed::serialize",
        deserialize_with = "keyed::deserialize"
    )]
    slo: BTreeMap<Identity, Slo>,
    /// The rows that collect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Unmoved>,
    /// The rows that are being moved. They do not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Unmoved>,
    /// Random numbers of the latest observations.
    writes: Vec<u64>,
    /// The names of documents of days that cannot be read or are full. Others take their place.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    replaced: BTreeSet<String>,
}

/// The states of coverage in the other status documents.
#[derive(Debug, Clone, Copy)]
pub enum Others<'o> {
    /// There are none: no ticks are spread over shards.
    None,
    /// The latest of each target; empty if they are not needed.
    Latest(&'o BTreeMap<Identity, Watch>),
    /// They could not be read: targets that others may have served since are left for later.
    Unknown,
}

/// The result of an observation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noted {
    /// The minutes that are judged by it.
    pub minutes: BTreeMap<Identity, Minutes>,
    /// The rows that were dropped, because they were too many or far from the present.
    pub dropped: usize,
}

impl Noted {
    /// Adds the result of another observation.
    pub fn add(&mut self, other: Self) {
        self.dropped += other.dropped;
        for (id, minutes) in other.minutes {
            *self.minutes.entry(id).or_default() += minutes;
        }
    }

    /// Returns the minutes of the fleet.
    pub fn total(&self) -> Minutes {
        self.minutes.values().copied().sum()
    }
}

impl OpenHistory {
    /// Returns true if nothing was ever noted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the rows that may not be in the documents of their days yet.
    pub fn unmoved(&self) -> impl Iterator<Item = &Unmoved> {
        self.state.sealed.iter().chain(&self.state.pending)
    }

    /// Returns the rows that are being moved.
    pub fn sealed(&self) -> Option<&Unmoved> {
        self.state.sealed.as_ref()
    }

    /// Returns the state of a target's coverage; `None` if it is not known.
    pub fn watch(&self, id: &Identity) -> Option<&Watch> {
        self.state.watch.get(id)
    }

    /// Returns the states of coverage.
    pub fn watches(&self) -> &BTreeMap<Identity, Watch> {
        &self.state.watch
    }

    /// Returns the objectives of the functions that have one.
    pub fn objectives(&self) -> &BTreeMap<Identity, Slo> {
        &self.state.slo
    }

    /// Notes the objectives of a fleet, for readers without its configuration.
    pub fn set_objectives(&mut self, fleet: &Fleet) {
        let own = fleet.targets.iter().filter_map(|target| Some((target.id.clone(), target.slo?)));
        self.state.slo = own.collect();
    }

    /// Returns the reason why the stored state could not be read, once.
    pub fn take_unread(&mut self) -> Option<String> {
        self.unread.take()
    }

    /// Returns true if the observation was noted before.
    pub fn has(&self, observed: &Observed) -> bool {
        self.state.writes.contains(&observed.write)
    }

    /// Returns true if a target that is judged has no state here, or an old one: another process may have served it.
    pub fn needs_others(&self, observed: &Observed, fleet: &Fleet) -> bool {
        let is_judged = observed.is_scheduled && !self.has(observed);
        let Some(looks) = observed.looks.as_ref().filter(|_| is_judged) else { return false };
        let at = Minute::of(observed.at);
        fleet.targets.iter().any(|target| {
            let (look, watch) = (looks.get(&target.id), self.watch(&target.id));
            (look.is_some() || watch.is_some_and(|watch| is_judged_unseen(watch, target, at)))
                && is_late(watch, target, at)
        })
    }

    /// Adds an observation, unless it was added before. `now` is the local clock.
    pub fn note(
        &mut self,
        observed: &Observed,
        fleet: &Fleet,
        others: Others<'_>,
        now: DateTime<Utc>,
    ) -> Noted {
        let mut noted = Noted::default();
        if self.has(observed) {
            return noted;
        }
        self.state.writes.push(observed.write);
        let surplus = self.state.writes.len().saturating_sub(MOST_WRITES);
        self.state.writes.drain(..surplus);
        let (earliest, latest) = (Minute::of(now).plus(-MOST_FILLED), Minute::of(now).plus(MOST_AHEAD));
        self.state.watch.retain(|_, watch| (earliest.epoch()..=latest.epoch()).contains(&watch.until()));
        let mut pending =
            self.state.pending.take().unwrap_or_else(|| Unmoved::new(observed.write, observed.at));
        let at = Minute::of(observed.at);
        for (id, row) in &observed.rows {
            pending.add(at.epoch().div_euclid(60), id, row);
        }
        let looks = observed.looks.as_ref();
        let looks = looks.filter(|_| observed.is_scheduled || matches!(others, Others::None));
        if looks.is_some() && observed.is_scheduled {
            self.forget_removed(fleet);
        }
        for (target, looks) in fleet.targets.iter().filter_map(|target| Some((target, looks?))) {
            if !observed.is_scheduled && !looks.contains_key(&target.id) {
                continue;
            }
            let minutes = self.judge(target, at, looks.get(&target.id), others, &mut pending);
            if !minutes.is_empty() {
                noted.minutes.insert(target.id.clone(), minutes);
            }
        }
        noted.dropped = pending.prune(now);
        self.state.pending = Some(pending).filter(|pending| !pending.is_empty());
        noted
    }

    /// Drops the states of targets that the configuration no longer names: they are not served, and the time until they
    /// are named again is no outage. A fleet has all targets of its regions, and may lack those of others.
    fn forget_removed(&mut self, fleet: &Fleet) {
        let named: HashSet<&Identity> = fleet.targets.iter().map(|target| &target.id).collect();
        let regions: HashSet<_> = named.iter().map(|id| id.region).collect();
        self.state.watch.retain(|id, _| named.contains(id) || !regions.contains(&id.region));
    }

    /// Judges the minutes of a target before `at`. `look` is `None` for a target without one, which is judged if its
    /// windows have closed, or if its round is overdue: the ticks run out of time or of room.
    fn judge(
        &mut self,
        target: &Target,
        at: Minute,
        look: Option<&Look>,
        others: Others<'_>,
        pending: &mut Unmoved,
    ) -> Minutes {
        let id = &target.id;
        let mut watch = self.watch(id).copied();
        if look.is_none() && !watch.is_some_and(|watch| is_judged_unseen(&watch, target, at)) {
            return Minutes::default();
        }
        if !matches!(others, Others::None) && is_late(watch.as_ref(), target, at) {
            let other = match others {
                Others::None => None,
                Others::Latest(others) => others.get(id).copied(),
                Others::Unknown => return Minutes::default(),
            };
            if other.map(|other| other.until()) > watch.map(|watch| watch.until()) {
                watch = other;
                if look.is_none() {
                    self.state.watch.remove(id);
                    return Minutes::default();
                }
            }
        }
        // A round that ended after a later one, or a clock that was set back: the minutes are judged already.
        if let Some(watch) = watch.filter(|watch| watch.until() > at.epoch()) {
            if let (Some(look), Some(own)) = (look, self.state.watch.get_mut(id).filter(|own| **own == watch))
            {
                *own = own.with_late(target, at, look);
            }
            return Minutes::default();
        }
        let (watch, filled) = match watch.and_then(|watch| Some((watch, watch.unserved(at)?))) {
            Some((before, (from, until))) => {
                let (watch, mut hours) = advance(Some(&before), target, Minute::from_epoch(from), None);
                let gap = Gap { watch, until };
                let unserved = gap.minutes(target);
                let mut minutes = Minutes::default();
                if unserved.len() > FEW_HOURS && pending.add_gap(id, gap) {
                    minutes = unserved.into_values().sum();
                } else {
                    unserved.into_iter().for_each(|(hour, more)| *hours.entry(hour).or_default() += more);
                }
                (Some(watch.moved(until)), minutes + add(pending, id, &hours))
            }
            None => (watch, Minutes::default()),
        };
        let (watch, hours) = advance(watch.as_ref(), target, at, look);
        self.state.watch.insert(id.clone(), watch);
        filled + add(pending, id, &hours)
    }

    /// Drops the rows being moved if their write is one of `moved`, and begins to move the pending ones if they are old
    /// enough, or if one is of a long outage: readers see it when it is moved. Returns those to be moved.
    pub fn seal(&mut self, moved: &[u64], now: DateTime<Utc>) -> Option<&Unmoved> {
        self.state.sealed.take_if(|sealed| moved.contains(&sealed.write));
        let is_old = |pending: &Unmoved| {
            let age = now.signed_duration_since(pending.since);
            pending.has_gaps() || age >= MOVED_EVERY || is_future(pending.since, now)
        };
        if self.state.sealed.is_none() && self.state.pending.as_ref().is_some_and(is_old) {
            self.state.sealed = self.state.pending.take();
        }
        self.state.sealed.as_ref()
    }

    /// Replaces documents of days that cannot be read or are full.
    pub fn replace(&mut self, documents: impl IntoIterator<Item = String>) {
        self.state.replaced.extend(documents);
        while self.state.replaced.len() > MOST_REPLACED {
            self.state.replaced.pop_first();
        }
    }

    /// Returns the documents of days that others replace.
    pub fn replaced(&self) -> &BTreeSet<String> {
        &self.state.replaced
    }

    /// Drops the rows, and keeps the states of coverage: for a process whose store ends with it.
    pub fn drop_rows(&mut self) {
        (self.state.pending, self.state.sealed) = (None, None);
    }

    /// Drops the state, which is too large to be stored. Returns the number of rows and states.
    pub fn clear(&mut self) -> usize {
        let state = take(self).state;
        state.watch.len() + state.sealed.iter().chain(&state.pending).map(Unmoved::len).sum::<usize>()
    }
}

/// Returns true if the minutes of a target are judged without a look.
fn is_judged_unseen(watch: &Watch, target: &Target, at: Minute) -> bool {
    desired(target, at) == 0 || watch.is_overdue(target, at)
}

/// Returns true if another process may have served the target since its last look, `at` not included: a round was due, or
/// a metric may have wanted one.
fn is_late(watch: Option<&Watch>, target: &Target, at: Minute) -> bool {
    let Some(watch) = watch else { return true };
    let was_due =
        || segments(target, Minute::from_epoch(watch.until()).plus(1), at).iter().any(|one| one.rounds > 0);
    let age = at.epoch().saturating_sub(watch.until());
    age > i64::from(target.interval_minutes) || age > 0 && !target.backlogs.is_empty() || was_due()
}

/// Adds minutes to the rows of a target. Returns their sum.
fn add(pending: &mut Unmoved, id: &Identity, hours: &ByHour) -> Minutes {
    for (hour, minutes) in hours.iter().filter(|(_, minutes)| !minutes.is_empty()) {
        pending.add(*hour, id, &Row::of_minutes(*minutes));
    }
    hours.values().copied().sum()
}

impl Serialize for OpenHistory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let packed = || {
            let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
            packing.write_all(&serde_json::to_vec(&self.state)?)?;
            packing.finish()
        };
        let packed: std::io::Result<Vec<u8>> = packed();
        serializer.serialize_str(&BASE64_STANDARD.encode(packed.map_err(serde::ser::Error::custom)?))
    }
}

impl<'de> Deserialize<'de> for OpenHistory {
    /// Never fails: a state that cannot be read does not keep the rest of the document from being read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(match unpack(&value) {
            Ok(state) => Self { state, unread: None },
            Err(reason) => Self { state: State::default(), unread: Some(reason) },
        })
    }
}

fn unpack(value: &serde_json::Value) -> Result<State, String> {
    let text = value.as_str().ok_or("expected text")?;
    let packed = BASE64_STANDARD.decode(text).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let unpacking = GzDecoder::new(&packed[..]).take(MOST_UNPACKED + 1).read_to_end(&mut bytes);
    unpacking.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_UNPACKED {
        return Err(format!("it has more than {MOST_UNPACKED} bytes"));
    }
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
