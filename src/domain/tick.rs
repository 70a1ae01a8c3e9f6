//! The report of a tick: one pass over the fleet.

mod keys;
mod skip;
mod sum;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::capacity::CapacityReport;
use super::cost::{RoundCost, S3Quantities};
use super::fleet::Target;
use super::function::Identity;
use super::pipeline::PipelineReport;
use super::round::{Evidence, FirstResult, OutcomeCounts, RoundReport, Verdict};
use super::routing::Weight;

pub use keys::schema;
pub use skip::SkipReason;
pub use sum::sum;

/// The report of one tick. Its JSON keys are a contract with users' scripts; [`schema`] describes them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TickReport {
    /// The `now` of the tick, UTC, in whole seconds.
    #[serde(serialize_with = "keys::seconds_utc")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub tick: DateTime<Utc>,
    /// The hash of the configuration; null without one (`warmd warm`).
    pub config: Option<String>,
    /// The duration of the tick, ms.
    pub duration_ms: u64,
    /// True if rounds were still running: a second object with the same `tick` has the rest.
    pub partial: bool,
    /// One record per due target, in the order of the configuration.
    #[schemars(with = "Vec<keys::RoundKeys>")]
    pub rounds: Vec<RoundRecord>,
    /// The due targets without a result.
    pub unfinished: Vec<Unfinished>,
    /// One record per target with provisioned concurrency or managed instances, and for capacity of warmd that the
    /// configuration no longer names.
    #[schemars(with = "Vec<keys::CapacityKeys>")]
    pub capacity: Vec<CapacityReport>,
    /// One record per pipeline with stages that were due.
    pub pipelines: Vec<PipelineReport>,
}

/// One round with its top-ups.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundRecord {
    /// The target's identity.
    pub id: Identity,
    /// Free text from the configuration.
    pub owner: Option<String>,
    /// The desired number of environments, after the guards lowered it.
    pub desired: u32,
    /// The configured number, if the headroom of the account or the function, or a budget, is lower.
    pub capped_from: Option<u32>,
    /// The setting that lowered it; `None` if `capped_from` is.
    pub capped_by: Option<Arc<str>>,
    /// The number before throttles lowered it.
    pub backed_off_from: Option<u32>,
    /// The age of the metric of the target's backlog in seconds; `None` without one, or if it is missing.
    pub metric_age: Option<u64>,
    /// Memory in MB of 1,048,576 bytes, configured or read from REPORT.
    pub memory_mb: Option<u32>,
    /// The result.
    pub outcome: RoundOutcome,
}

/// The result of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum RoundOutcome {
    /// Pings were sent.
    Sent(Box<SentRound>),
    /// Only first pings were sent, and the round did not follow.
    Withheld(Box<SentRound>, SkipReason),
    /// No ping was sent, and nothing was spent.
    Skipped(SkipReason),
}

/// A round whose pings were sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRound {
    /// The evaluation of the pings.
    pub report: RoundReport,
    /// The downloads from S3; `None` if unknown.
    pub s3: Option<S3Quantities>,
    /// The cost.
    pub cost: RoundCost,
    /// The reasons why a part of the cost is unknown, as text.
    pub cost_unknown: Vec<String>,
    /// The time for which an unanswered ping may still run.
    pub quiet_for: Option<Duration>,
    /// The conclusion from the first contact with the handler; `None` without one.
    pub contact: Option<FirstResult>,
    /// The rounds of the versions behind a weighted alias, each pinged by its number; empty otherwise. The report is
    /// their sum.
    pub versions: Vec<VersionRound>,
    /// The round through a weighted alias that was sent because pings by the number of a version are denied. It is part
    /// of the sum.
    pub through_alias: Option<Box<RoundRecord>>,
}

/// The round of one version behind a weighted alias.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRound {
    /// The share of requests that the version serves.
    pub weight: Weight,
    /// True if an environment that answered by the number of the version has answered through the alias too.
    pub is_confirmed: bool,
    /// The round. Its qualifier is the version.
    pub record: RoundRecord,
}

impl TickReport {
    /// Creates a report without rounds.
    pub fn empty(tick: DateTime<Utc>, config: Option<String>) -> Self {
        Self {
            tick,
            config,
            duration_ms: 0,
            partial: false,
            rounds: Vec::new(),
            unfinished: Vec::new(),
            capacity: Vec::new(),
            pipelines: Vec::new(),
        }
    }

    /// Returns true if it is certain that no ping was sent, and that no other instance was given rounds to send.
    pub fn sent_nothing(&self) -> bool {
        let unsent = |unfinished: &Unfinished| match unfinished.reason {
            UnfinishedReason::Deadline | UnfinishedReason::TooLarge => true,
            UnfinishedReason::InFlight | UnfinishedReason::HandedOn | UnfinishedReason::Unexpected => false,
        };
        self.rounds.iter().all(|round| round.sent().is_none()) && self.unfinished.iter().all(unsent)
    }

    /// Returns true if there is nothing in the report but its time.
    pub fn is_empty(&self) -> bool {
        self.rounds.is_empty() && self.unfinished.is_empty() && self.capacity.is_empty()
    }

    /// Returns true if every environment that is wanted is proven. A paused target wants none. A number that the headroom
    /// lowers is the wanted one; one that throttles lowered is not.
    pub fn is_proven(&self) -> bool {
        let is_proven = |round: &RoundRecord| {
            let is_reached = round.reached().is_some_and(|reached| reached >= round.desired);
            round.verdict() == Verdict::Reached && is_reached && round.backed_off_from.is_none()
                || round.skip_reason() == Some(SkipReason::Paused)
        };
        self.unfinished.is_empty() && self.rounds.iter().all(is_proven)
    }

    /// Returns the known number of pings that were sent and have no result. They count as pings; their cost is unknown.
    pub fn unreported_pings(&self) -> u64 {
        let sent = self.unfinished.iter().filter(|left| left.reason.may_have_sent());
        sent.map(|left| u64::from(left.pings)).sum()
    }

    /// Returns true if a round was short or unsafe: exit code 3.
    pub fn any_short(&self) -> bool {
        self.rounds.iter().any(|round| matches!(round.verdict(), Verdict::Short | Verdict::Unsafe))
    }
}

impl RoundRecord {
    /// Creates the record of a round for `desired` environments that was not sent.
    pub fn skipped(target: &Target, desired: u32, reason: SkipReason) -> Self {
        Self::new(target, desired, RoundOutcome::Skipped(reason))
    }

    /// A round for tests that was sent and used `used`.
    #[cfg(test)]
    pub(crate) fn sent_to(
        target: &Target,
        desired: u32,
        sent: SentRound,
        used: &super::cost::RoundQuantities,
    ) -> Self {
        Self { memory_mb: used.memory_mb, ..Self::new(target, desired, RoundOutcome::Sent(Box::new(sent))) }
    }

    /// A round for tests that was sent and of unknown cost.
    #[cfg(test)]
    pub(crate) fn example(target: &Target, desired: u32, verdict: Verdict, reached: Option<u32>) -> Self {
        let report = RoundReport::new(desired, &[], true, super::round::Known::default());
        let report = RoundReport { verdict, reached, ..report };
        let cost = RoundCost::default();
        let sent = SentRound {
            report,
            s3: None,
            cost,
            cost_unknown: Vec::new(),
            quiet_for: None,
            contact: None,
            versions: Vec::new(),
            through_alias: None,
        };
        Self::new(target, desired, RoundOutcome::Sent(Box::new(sent)))
    }

    /// Creates the record of a round for `desired` environments.
    pub fn new(target: &Target, desired: u32, outcome: RoundOutcome) -> Self {
        let Target { id, owner, memory_mb, .. } = target;
        let (capped_from, capped_by, backed_off_from, metric_age) = (None, None, None, None);
        Self {
            id: id.clone(),
            owner: owner.clone(),
            desired,
            capped_from,
            capped_by,
            backed_off_from,
            metric_age,
            memory_mb: *memory_mb,
            outcome,
        }
    }

    /// Returns the round as it was sent; `None` if it was skipped.
    pub fn sent(&self) -> Option<&SentRound> {
        match &self.outcome {
            RoundOutcome::Sent(sent) | RoundOutcome::Withheld(sent, _) => Some(sent),
            RoundOutcome::Skipped(_) => None,
        }
    }

    /// Returns the reason why the round was not sent; `None` if it was.
    pub fn skip_reason(&self) -> Option<SkipReason> {
        match self.outcome {
            RoundOutcome::Sent(_) => None,
            RoundOutcome::Skipped(reason) | RoundOutcome::Withheld(_, reason) => Some(reason),
        }
    }

    /// Returns the conclusion from the round.
    pub fn verdict(&self) -> Verdict {
        match &self.outcome {
            RoundOutcome::Sent(sent) => sent.report.verdict,
            RoundOutcome::Withheld(_, SkipReason::Unsafe) | RoundOutcome::Skipped(SkipReason::Unsafe) => {
                Verdict::Unsafe
            }
            RoundOutcome::Withheld(..) | RoundOutcome::Skipped(_) => Verdict::Skipped,
        }
    }

    /// Returns true if the target is still due at the next tick: the round was skipped for a reason that ends by itself,
    /// or no time was left for the round of a version behind the alias. Other reasons of a version may last for hours, in
    /// which the rounds of the other versions would be repeated with each tick.
    pub fn stays_due(&self) -> bool {
        let mut versions = self.sent().into_iter().flat_map(|sent| &sent.versions);
        self.skip_reason().is_some_and(SkipReason::stays_due)
            || versions.any(|version| version.record.skip_reason() == Some(SkipReason::Deadline))
    }

    /// Returns true if the caller may not ping the target: every ping was denied, or was denied before.
    pub fn is_denied(&self) -> bool {
        match &self.outcome {
            RoundOutcome::Skipped(reason) => *reason == SkipReason::Denied,
            RoundOutcome::Sent(sent) | RoundOutcome::Withheld(sent, _) => {
                sent.report.pings > 0 && sent.report.counts.denied == sent.report.pings
            }
        }
    }

    /// Returns the number of environments proven; `None` if unknown.
    pub fn reached(&self) -> Option<u32> {
        self.sent()?.report.reached
    }

    /// Returns the proof of [`Self::reached`]; `None` if the round was skipped.
    pub fn evidence(&self) -> Option<Evidence> {
        self.sent().map(|sent| sent.report.evidence)
    }

    /// Returns the number of pings sent, top-ups included.
    pub fn pings(&self) -> u32 {
        self.sent().map_or(0, |sent| sent.report.pings)
    }

    /// Returns the pings by outcome.
    pub fn counts(&self) -> OutcomeCounts {
        self.sent().map_or_else(OutcomeCounts::default, |sent| sent.report.counts)
    }

    /// Returns the cost; zero for a skipped round.
    pub fn cost(&self) -> RoundCost {
        self.sent().map_or(RoundCost::ZERO, |sent| sent.cost)
    }

    /// Returns the bytes downloaded from S3; `None` if unknown.
    pub fn s3_bytes(&self) -> Option<u64> {
        self.sent().map_or(Some(0), |sent| sent.s3.as_ref().map(S3Quantities::bytes))
    }
}

/// A due target without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Unfinished {
    /// The target's identity.
    #[serde(flatten, serialize_with = "keys::target")]
    #[schemars(with = "keys::TargetKeys")]
    pub id: Identity,
    /// The desired number of environments.
    #[serde(rename = "target")]
    pub desired: u32,
    /// The reason why there is no result.
    pub reason: UnfinishedReason,
    /// The pings that were to be sent: several for each environment if versions behind an alias are pinged.
    #[serde(skip)]
    pub pings: u32,
}

impl Unfinished {
    /// Creates the entry of `target`, due with `desired` environments.
    pub fn new(target: &Target, desired: u32, reason: UnfinishedReason) -> Self {
        Self { id: target.id.clone(), desired, reason, pings: desired }
    }
}

/// The reason why a due target has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnfinishedReason {
    /// Not sent: the time of the tick ran out, or the process was stopped.
    Deadline,
    /// Its pings were sent, and the time of the tick ran out before their answers came.
    InFlight,
    /// It was put on the bus for another instance of the Lambda.
    HandedOn,
    /// Not sent: the round is larger than the cap of pings in flight, and a round is never cut.
    TooLarge,
    /// Its round ended unexpectedly: pings may have been sent, and their results are unknown.
    Unexpected,
}

impl UnfinishedReason {
    /// Returns true if this process may have sent pings.
    pub fn may_have_sent(self) -> bool {
        match self {
            Self::InFlight | Self::Unexpected => true,
            Self::Deadline | Self::HandedOn | Self::TooLarge => false,
        }
    }
}

#[cfg(test)]
mod tests;
