//! The tick object: what one wake-up of the schedule did. Its keys are a contract that other people's scripts use.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::function::Region;

/// What one tick did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TickReport {
    /// The tick's `now`, whole seconds, UTC.
    #[serde(serialize_with = "seconds_utc")]
    pub tick: DateTime<Utc>,
    /// The hash of the configuration; null without one (`warmd warm`).
    pub config: Option<String>,
    /// How long the tick took, ms.
    pub duration_ms: u64,
    /// One record per target that was due, in the order of the configuration.
    pub rounds: Vec<RoundRecord>,
    /// What was due and was not done.
    pub unfinished: Vec<Unfinished>,
}

/// One round, with its top-ups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundRecord {
    /// The function's name, or its ARN without qualifier when it was configured by ARN.
    pub function: String,
    /// The qualifier as configured.
    pub qualifier: Option<String>,
    /// The region.
    pub region: Region,
    /// Free text from the configuration.
    pub owner: Option<String>,
    /// Environments wanted.
    pub target: u32,
    /// Pings sent, top-ups included.
    pub pings: u32,
    /// Environments proven, null when unknown. Never above the truth.
    pub reached: Option<u32>,
    /// What proves it; null when the round was skipped.
    pub evidence: Option<Evidence>,
    /// What is concluded.
    pub verdict: Verdict,
    /// Pings that met a warm environment.
    pub warm: u32,
    /// Pings that made a new environment.
    pub cold: u32,
    /// Pings that made a new environment from a snapshot.
    pub restored: u32,
    /// Pings that Lambda throttled.
    pub throttled: u32,
    /// Pings on which the function failed.
    pub function_errors: u32,
    /// Pings whose answer did not come in time, or that the function's own timeout ended.
    pub timed_out: u32,
    /// Pings that we may not send.
    pub denied: u32,
    /// Pings to a function or qualifier that is not there.
    pub not_found: u32,
    /// Pings that network, service or a malformed answer lost.
    pub failed: u32,
    /// Pings that were answered without a readable REPORT.
    pub unclassified: u32,
    /// The versions that executed, sorted. More than one is a warning.
    pub versions: Vec<String>,
    /// The hold that was asked for, of the last attempt; null when the protocol does not carry one.
    pub hold_ms: Option<u64>,
    /// How far apart the pings ran, see [`super::round`]; null when unknown.
    #[serde(serialize_with = "tenths")]
    pub skew_ms: Option<f64>,
    /// How often the round was topped up: 0 to 2.
    pub top_ups: u32,
    /// Why the round was skipped; null when it was not.
    pub skipped: Option<Skipped>,
    /// Billed duration, ms, summed over pings; null when not one ping told it.
    pub billed_ms: Option<u64>,
    /// Memory in MB, configured or read from REPORT.
    pub memory_mb: Option<u32>,
    /// Bytes downloaded from S3.
    pub s3_egress_bytes: Option<u64>,
    /// The same, by route.
    pub routes: BTreeMap<&'static str, u64>,
    /// Cost, US dollars.
    pub cost_usd: RoundCost,
}

/// What a round cost, US dollars; null where unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RoundCost {
    /// Invocations.
    pub requests: Option<Decimal>,
    /// GB-seconds.
    pub compute: Option<Decimal>,
    /// GET requests to S3.
    pub s3_requests: Option<Decimal>,
    /// Bytes from S3, by the price of their routes.
    pub s3_egress: Option<Decimal>,
    /// The sum; null when any part is.
    pub total: Option<Decimal>,
}

/// What proves the number of environments reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Distinct ids that the handlers answered.
    Ids,
    /// Runs that must have overlapped, or work that cannot have fitted into fewer environments.
    Overlap,
    /// Every cold start or restore made an environment of its own.
    ColdStarts,
    /// Nothing.
    Unknown,
}

/// What is concluded from a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As many environments proven as wanted, nothing failed.
    Reached,
    /// Nothing failed, but fewer environments are proven than wanted.
    Unproven,
    /// A ping failed, or ids prove fewer environments than wanted.
    Short,
    /// No ping was sent.
    Skipped,
}

/// Why a round was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skipped {
    /// The target's earlier round is still in flight.
    InFlight,
    /// It was asked what would be sent, not to send it.
    DryRun,
}

/// A target that was due and was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// As in [`RoundRecord::function`].
    pub function: String,
    /// The qualifier as configured.
    pub qualifier: Option<String>,
    /// The region.
    pub region: Region,
    /// Environments wanted.
    pub target: u32,
    /// Why it was not served.
    pub reason: UnfinishedReason,
}

/// Why a target was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnfinishedReason {
    /// The time of the tick ran out, or the process was told to stop.
    Deadline,
}

fn seconds_utc<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

fn tenths<S: Serializer>(ms: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    ms.map(|ms| (ms * 10.0).round() / 10.0).serialize(serializer)
}
