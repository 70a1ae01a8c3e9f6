//! How the last tick of the schedule went, and each target's last round.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::FORGOTTEN_AFTER;
use crate::domain::future::{is_future, later};
use crate::domain::tick::{Evidence, RoundRecord, TickReport, UnfinishedReason, Verdict};

/// How the last tick went, and how each target's last round did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The latest tick of the schedule.
    pub tick: Option<DateTime<Utc>>,
    /// The configuration's hash.
    pub config: Option<String>,
    /// Since when the configuration in force is not what its source says; none when it is.
    pub config_behind_since: Option<DateTime<Utc>>,
    /// True if the latest tick was planned without the pauses: this process had never been able to read them.
    #[serde(default)]
    pub pauses_unknown: bool,
    /// How long the latest tick took, ms.
    pub duration_ms: u64,
    /// Targets that were due in the latest tick and neither served nor handed on.
    pub unfinished: usize,
    /// Whether ticks have been spread over several instances: then shards keep documents of their own.
    #[serde(default)]
    pub spread: bool,
    /// The last round of each target, by [`super::key`].
    pub targets: BTreeMap<String, LastRound>,
}

/// A tick of the schedule that has ended.
#[derive(Debug, Clone, Copy)]
pub struct TickNote<'r> {
    /// The rounds of the tick.
    pub report: &'r TickReport,
    /// See [`Status::config_behind_since`].
    pub config_behind_since: Option<DateTime<Utc>>,
    /// See [`Status::pauses_unknown`].
    pub pauses_unknown: bool,
}

/// A target's last round that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRound {
    /// The tick of the round.
    pub tick: DateTime<Utc>,
    /// Environments wanted.
    pub target: u32,
    /// Environments proven; none when unknown.
    pub reached: Option<u32>,
    /// What proves them; none when it is not known.
    #[serde(default)]
    pub evidence: Option<Evidence>,
    /// What was concluded: `reached`, `unproven` or `short`; `skipped` when no round is known that was sent.
    pub verdict: String,
    /// That rounds have been skipped since: the last of them.
    #[serde(default)]
    pub skipped: Option<Skip>,
}

/// A round that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The tick of the round.
    pub tick: DateTime<Utc>,
    /// Why, as in the tick object: `paused`, for instance.
    pub why: String,
}

/// [`super::key`], from a round's record.
fn key_of(round: &RoundRecord) -> String {
    let qualifier = round.qualifier.as_ref().map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
    format!("{}{qualifier} {}", round.function, round.region)
}

/// How many documents shards keep their rounds in.
const SHARD_DOCUMENTS: u32 = 16;

impl Status {
    /// The name of the document for a shard's rounds. Shards of one tick end at the same moment, and would lose races
    /// for one document. Mostly the same rounds go together, so that each document has its own.
    pub fn document_of(rounds: &[RoundRecord]) -> String {
        let sum = rounds.first().map(key_of).unwrap_or_default().bytes().map(u32::from).sum::<u32>();
        Self::shard_document(sum % SHARD_DOCUMENTS)
    }

    /// The names of all documents that shards may have.
    pub fn shard_documents() -> impl Iterator<Item = String> {
        (0..SHARD_DOCUMENTS).map(Self::shard_document)
    }

    fn shard_document(number: u32) -> String {
        format!("status-{number:x}")
    }

    /// Takes the rounds of another document in. The newer one stays.
    pub fn merge(&mut self, other: Self) {
        for (key, theirs) in other.targets {
            if self.targets.get(&key).is_none_or(|ours| ours.latest() < theirs.latest()) {
                self.targets.insert(key, theirs);
            }
        }
    }

    /// Takes a tick of the schedule in; `now` is the own clock. A stored tick in its future is replaced.
    pub fn note_tick(&mut self, tick: &TickNote<'_>, now: DateTime<Utc>) {
        let TickNote { report, config_behind_since, pauses_unknown } = *tick;
        if self.tick.is_none_or(|tick| tick <= report.tick || is_future(tick, now)) {
            self.tick = Some(report.tick);
            self.config.clone_from(&report.config);
            self.config_behind_since = config_behind_since;
            self.pauses_unknown = pauses_unknown;
            self.duration_ms = report.duration_ms;
            let left = report.unfinished.iter().filter(|left| left.reason != UnfinishedReason::HandedOn);
            self.unfinished = left.count();
        }
        self.spread |= report.unfinished.iter().any(|left| left.reason == UnfinishedReason::HandedOn);
        self.note_rounds(&report.rounds, report.tick, now);
    }

    /// Adds rounds of the time `at`; `now` is the own clock. A stored round stays when it is
    /// newer, unless it lies in the future.
    pub fn note_rounds(&mut self, rounds: &[RoundRecord], at: DateTime<Utc>, now: DateTime<Utc>) {
        self.targets.retain(|_, last| !is_future(last.latest(), now));
        for round in rounds {
            let key = key_of(round);
            let before = self.targets.get(&key);
            let newer = before.filter(|before| before.latest() > at);
            let sent = before.filter(|before| before.was_sent());
            let noted = match round.skipped {
                Some(_) if newer.is_some() => continue,
                // It stays to be seen what the last round that was sent has reached.
                Some(why) => LastRound {
                    skipped: Some(Skip { tick: at, why: why.name().to_owned() }),
                    ..sent.cloned().unwrap_or_else(|| LastRound::of(round, at))
                },
                None if sent.is_some_and(|sent| sent.tick > at) => continue,
                None => LastRound {
                    skipped: newer.and_then(|newer| newer.skipped.clone()),
                    ..LastRound::of(round, at)
                },
            };
            self.targets.insert(key, noted);
        }
        let oldest = at.min(now);
        self.targets.retain(|_, last| later(last.latest(), FORGOTTEN_AFTER) > oldest);
    }
}

impl LastRound {
    fn of(round: &RoundRecord, tick: DateTime<Utc>) -> Self {
        let verdict = round.verdict.name().to_owned();
        let RoundRecord { target, reached, evidence, .. } = *round;
        Self { tick, target, reached, evidence, verdict, skipped: None }
    }

    /// Whether it was sent at all: when no such round is known, one that was skipped stands for it.
    pub fn was_sent(&self) -> bool {
        self.verdict != Verdict::Skipped.name()
    }

    /// The tick in which a round was last sent or skipped.
    pub(super) fn latest(&self) -> DateTime<Utc> {
        self.skipped.as_ref().map_or(self.tick, |skip| skip.tick.max(self.tick))
    }
}
