//! The result of the last tick of the schedule, and of each target's last round.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::keyed::Key;
use super::{FORGOTTEN_AFTER, keyed};
use crate::domain::function::Identity;
use crate::domain::future::{is_future, later};
use crate::domain::history::OpenHistory;
use crate::domain::pipeline::PipelineReport;
use crate::domain::round::{Evidence, NewEnvironments, Verdict};
use crate::domain::tick::{
    RoundOutcome, RoundRecord, SkipReason, TickReport, UnfinishedReason, VersionRound,
};

/// The result of the last tick, and of each target's last round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The latest tick of the schedule.
    pub tick: Option<DateTime<Utc>>,
    /// The configuration's hash.
    pub config: Option<String>,
    /// The instant since which the configuration in use is older than its source; `None` if it is up to date.
    pub config_behind_since: Option<DateTime<Utc>>,
    /// True if the latest tick was planned without the pauses, because its process has never read them.
    #[serde(default)]
    pub pauses_unknown: bool,
    /// The duration of the latest tick, ms.
    pub duration_ms: u64,
    /// Targets that were due in the latest tick and neither served nor put on the bus.
    pub unfinished: usize,
    /// True if ticks have been spread over several instances. Each shard then has a document.
    #[serde(default)]
    pub spread: bool,
    /// The last round of each target. Verdicts and reasons of newer versions are left out.
    #[serde(serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize_known")]
    pub targets: BTreeMap<Identity, LastRound>,
    /// The last result of each pipeline in each region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pipelines: Vec<LastPipeline>,
    /// The coverage, and the rows of the history that are not in the documents of their days yet.
    #[serde(default, skip_serializing_if = "OpenHistory::is_empty")]
    pub history: OpenHistory,
    /// The UTC day on which old documents of the history were removed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_removed: Option<NaiveDate>,
}

/// A pipeline's last result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPipeline {
    /// The name.
    pub name: String,
    /// The region.
    pub region: String,
    /// The tick of the result.
    pub tick: DateTime<Utc>,
    /// See [`PipelineReport::warm`].
    pub warm: Option<bool>,
    /// See [`PipelineReport::cold_stages`].
    pub cold_stages: Vec<String>,
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
    /// The desired number of environments.
    #[serde(rename = "target")]
    pub desired: u32,
    /// The number of environments proven; `None` if unknown.
    pub reached: Option<u32>,
    /// The proof of `reached`; `None` if no sent round is known.
    #[serde(default)]
    pub evidence: Option<Evidence>,
    /// The conclusion; [`Verdict::Skipped`] if no sent round is known.
    pub verdict: Verdict,
    /// The new environments of the round; `None` if it was noted by a version that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<NewEnvironments>,
    /// The last of the rounds that were skipped since.
    #[serde(default)]
    pub skipped: Option<Skip>,
    /// The versions behind a weighted alias, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<LastVersion>,
}

/// The last round of a version behind a weighted alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVersion {
    /// The number of the version.
    pub version: String,
    /// The desired number of environments.
    #[serde(rename = "target")]
    pub desired: u32,
    /// The number of environments proven; `None` if unknown.
    pub reached: Option<u32>,
}

/// A round that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The tick of the round.
    pub tick: DateTime<Utc>,
    /// The reason.
    #[serde(rename = "why")]
    pub reason: SkipReason,
}

/// The maximum number of versions that are kept of a target. Lambda allows two.
const MOST_VERSIONS: usize = 5;
/// The number of documents for the rounds of shards.
const SHARD_DOCUMENTS: u32 = 16;

impl Status {
    /// Returns the name of the document for a shard's rounds. Shards of one tick end at the same moment and would
    /// compete for one document. A round is mostly in the same shard, and so in the same document.
    pub fn document_of(rounds: &[RoundRecord]) -> String {
        let sum = rounds
            .first()
            .map(|round| round.id.text())
            .unwrap_or_default()
            .bytes()
            .map(u32::from)
            .sum::<u32>();
        Self::shard_document(sum % SHARD_DOCUMENTS)
    }

    /// Returns the names of all documents for rounds of shards.
    pub fn shard_documents() -> impl Iterator<Item = String> {
        (0..SHARD_DOCUMENTS).map(Self::shard_document)
    }

    /// Returns the number of a document for rounds of shards; `None` for another document.
    pub fn shard_of(document: &str) -> Option<u32> {
        u32::from_str_radix(document.strip_prefix("status-")?, 16).ok()
    }

    fn shard_document(number: u32) -> String {
        format!("status-{number:x}")
    }

    /// Adds the rounds of another document. Of two rounds of a target the newer one is kept.
    pub fn merge(&mut self, other: Self) {
        for (id, theirs) in other.targets {
            if self.targets.get(&id).is_none_or(|ours| ours.latest() < theirs.latest()) {
                self.targets.insert(id, theirs);
            }
        }
        other.pipelines.into_iter().for_each(|theirs| self.add_pipeline(theirs));
    }

    /// Adds the result of a pipeline. Of two ticks the later one counts. Of one tick, whose processes each have a part of
    /// the functions, the worse result counts: cold, then unknown, then warm.
    fn add_pipeline(&mut self, last: LastPipeline) {
        let is_same = |other: &&mut LastPipeline| (&other.name, &other.region) == (&last.name, &last.region);
        match self.pipelines.iter_mut().find(is_same) {
            Some(before) if before.tick > last.tick => {}
            Some(before) if before.tick == last.tick => {
                before.warm = match (before.warm, last.warm) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (one, other) => one.and(other),
                };
                for stage in last.cold_stages {
                    if !before.cold_stages.contains(&stage) {
                        before.cold_stages.push(stage);
                    }
                }
            }
            Some(before) => *before = last,
            None => self.pipelines.push(last),
        }
    }

    /// Adds the results of pipelines at the time `at`. `now` is the local clock. A stored result that is newer is kept,
    /// unless it is in the future.
    pub fn note_pipelines(&mut self, reports: &[PipelineReport], at: DateTime<Utc>, now: DateTime<Utc>) {
        let oldest = at.min(now);
        self.pipelines
            .retain(|last| !is_future(last.tick, now) && later(last.tick, FORGOTTEN_AFTER) > oldest);
        for PipelineReport { name, region, warm, cold_stages } in reports {
            let (name, region, cold_stages) = (name.clone(), region.to_string(), cold_stages.clone());
            self.add_pipeline(LastPipeline { name, region, tick: at, warm: *warm, cold_stages });
        }
    }

    /// Adds a tick of the schedule. `now` is the local clock; a stored tick in its future is replaced.
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
        self.note_pipelines(&report.pipelines, report.tick, now);
    }

    /// Adds rounds of the time `at`. `now` is the local clock. A stored round that is newer is kept, unless it is in
    /// the future.
    pub fn note_rounds(&mut self, rounds: &[RoundRecord], at: DateTime<Utc>, now: DateTime<Utc>) {
        self.targets.retain(|_, last| !is_future(last.latest(), now));
        for round in rounds {
            let before = self.targets.get(&round.id);
            let newer = before.filter(|before| before.latest() > at);
            let sent = before.filter(|before| before.was_sent());
            let noted = match round.outcome {
                RoundOutcome::Sent(_) | RoundOutcome::Withheld(_, SkipReason::Unsafe)
                    if sent.is_some_and(|sent| sent.tick > at) =>
                {
                    continue;
                }
                RoundOutcome::Sent(_) | RoundOutcome::Withheld(_, SkipReason::Unsafe) => LastRound {
                    skipped: newer.and_then(|newer| newer.skipped.clone()),
                    ..LastRound::of(round, at)
                },
                RoundOutcome::Skipped(_) | RoundOutcome::Withheld(..) if newer.is_some() => continue,
                // The result of the last sent round is kept.
                RoundOutcome::Skipped(reason) | RoundOutcome::Withheld(_, reason) => LastRound {
                    skipped: Some(Skip { tick: at, reason }),
                    ..sent.cloned().unwrap_or_else(|| LastRound::of(round, at))
                },
            };
            self.targets.insert(round.id.clone(), noted);
        }
        let oldest = at.min(now);
        self.targets.retain(|_, last| later(last.latest(), FORGOTTEN_AFTER) > oldest);
    }
}

impl LastRound {
    fn of(round: &RoundRecord, tick: DateTime<Utc>) -> Self {
        let versions = round.sent().into_iter().flat_map(|sent| &sent.versions);
        let versions = versions.map(|VersionRound { record, .. }| LastVersion {
            version: record.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default(),
            desired: record.desired,
            reached: record.reached(),
        });
        Self {
            tick,
            desired: round.desired,
            reached: round.reached(),
            evidence: round.evidence(),
            verdict: round.verdict(),
            new: round.sent().map(|sent| sent.report.counts.new_environments()),
            skipped: None,
            versions: versions.take(MOST_VERSIONS).collect(),
        }
    }

    /// Returns true if the round was sent. Otherwise no sent round of the target is known.
    pub fn was_sent(&self) -> bool {
        self.verdict != Verdict::Skipped
    }

    /// Returns the tick in which a round was last sent or skipped.
    pub(super) fn latest(&self) -> DateTime<Utc> {
        self.skipped.as_ref().map_or(self.tick, |skip| skip.tick.max(self.tick))
    }
}
