//! The JSON form of a tick's report: its keys, their order and their schema.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};

use super::{RoundOutcome, RoundRecord, SkipReason, TickReport, Unfinished, UnfinishedReason};
use crate::domain::cost::RoundCost;
use crate::domain::function::Identity;
use crate::domain::round::{Evidence, OutcomeCounts, Verdict};

/// Returns the JSON Schema (draft 7) of a tick's report.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft07().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<TickKeys<'_>>();
    schema.insert("title".to_owned(), "warmd tick".into());
    schema.to_value()
}

/// The report of one tick.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TickKeys<'r> {
    /// The instant that the tick was planned for, whole seconds, UTC.
    #[schemars(extend("format" = "date-time"))]
    tick: String,
    /// The hash of the configuration; null without one (`warmd warm`).
    config: Option<&'r str>,
    /// The duration of the tick, ms.
    duration_ms: u64,
    /// True if rounds were still running: a second object with the same `tick` has the rest.
    partial: bool,
    /// One record per due target, in the order of the configuration.
    #[schemars(with = "Vec<RoundKeys>")]
    rounds: &'r [RoundRecord],
    /// The due targets without a result.
    #[schemars(with = "Vec<UnfinishedKeys>")]
    unfinished: &'r [Unfinished],
}

impl Serialize for TickReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { tick, config, duration_ms, partial, rounds, unfinished } = self;
        let (tick, config) = (seconds_utc(*tick), config.as_deref());
        TickKeys { tick, config, duration_ms: *duration_ms, partial: *partial, rounds, unfinished }
            .serialize(serializer)
    }
}

/// The keys by which an object names its target.
#[derive(Serialize, JsonSchema)]
struct TargetKeys {
    /// The function's name, or its ARN without qualifier when it was configured by ARN.
    function: String,
    /// The qualifier as configured.
    qualifier: Option<String>,
    /// The region.
    region: &'static str,
}

impl From<&Identity> for TargetKeys {
    fn from(id: &Identity) -> Self {
        Self {
            function: id.unqualified(),
            qualifier: id.qualifier.as_ref().map(ToString::to_string),
            region: id.region.as_str(),
        }
    }
}

/// One round with its top-ups.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RoundKeys {
    #[serde(flatten)]
    id: TargetKeys,
    /// Free text from the configuration.
    owner: Option<String>,
    /// The number of environments wanted.
    target: u32,
    /// Pings sent, top-ups included.
    pings: u32,
    /// The number of environments proven, null when unknown. Never above the truth.
    reached: Option<u32>,
    /// The proof of `reached`; null when the round was skipped.
    evidence: Option<Evidence>,
    /// The conclusion.
    verdict: Verdict,
    #[serde(flatten)]
    counts: OutcomeCounts,
    /// The versions that executed, sorted. More than one is a warning.
    versions: Vec<String>,
    /// The hold of the last attempt, ms; null when the protocol does not carry one.
    hold_ms: Option<u64>,
    /// The time between the first and the last start of the pings' runs, ms, in tenths; null when unknown.
    skew_ms: Option<f64>,
    /// Attempts after the first: 0 to 2.
    top_ups: u32,
    /// Pings sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    resent: u32,
    /// The reason why the round was skipped; null when it was sent.
    skipped: Option<SkipReason>,
    /// Billed duration, ms, summed over the pings; null unless known for every ping that ran or may have run.
    billed_ms: Option<u64>,
    /// Memory in MB of 1,048,576 bytes, configured or read from REPORT.
    memory_mb: Option<u32>,
    /// Bytes downloaded from S3; null when unknown.
    s3_egress_bytes: Option<u64>,
    /// The same, by route.
    routes: BTreeMap<&'static str, u64>,
    /// The cost.
    cost_usd: RoundCost,
}

impl From<&RoundRecord> for RoundKeys {
    fn from(round: &RoundRecord) -> Self {
        let RoundRecord { id, owner, desired, memory_mb, outcome } = round;
        let keys = Self {
            id: id.into(),
            owner: owner.clone(),
            target: *desired,
            pings: round.pings(),
            reached: round.reached(),
            evidence: round.evidence(),
            verdict: round.verdict(),
            counts: round.counts(),
            versions: Vec::new(),
            hold_ms: None,
            skew_ms: None,
            top_ups: 0,
            resent: 0,
            skipped: round.skip_reason(),
            billed_ms: None,
            memory_mb: *memory_mb,
            s3_egress_bytes: round.s3_bytes(),
            routes: BTreeMap::new(),
            cost_usd: round.cost(),
        };
        let RoundOutcome::Sent(sent) = outcome else { return keys };
        let report = &sent.report;
        Self {
            versions: report.versions.clone(),
            hold_ms: report.hold.map(|hold| u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)),
            skew_ms: report.skew.map(tenths_of_ms),
            top_ups: report.top_ups,
            resent: report.resent,
            billed_ms: report.billed_ms,
            routes: sent.s3.as_ref().map(|s3| s3.routes()).unwrap_or_default(),
            ..keys
        }
    }
}

impl Serialize for RoundRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RoundKeys::from(self).serialize(serializer)
    }
}

/// A due target without a result.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UnfinishedKeys {
    #[serde(flatten)]
    id: TargetKeys,
    /// The number of environments wanted.
    target: u32,
    /// The reason why there is no result.
    reason: UnfinishedReason,
}

impl Serialize for Unfinished {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, desired, reason } = self;
        UnfinishedKeys { id: id.into(), target: *desired, reason: *reason }.serialize(serializer)
    }
}

fn seconds_utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn tenths_of_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3 * 10.0).round() / 10.0
}
