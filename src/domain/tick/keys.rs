//! The JSON form of a tick's report: its keys, their order and their schema.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};

use super::{RoundRecord, SentRound, SkipReason, TickReport, VersionRound};
use crate::domain::by_kind::ByKind;
use crate::domain::capacity::{CapacityReport, Status};
use crate::domain::cost::{RoundCost, S3Quantities};
use crate::domain::function::Identity;
use crate::domain::round::{Evidence, KindReport, OutcomeCounts, Verdict};

/// Returns the JSON Schema (draft 7) of a tick's report.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft07().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<TickReport>();
    schema.insert("title".to_owned(), "warmd tick".into());
    schema.to_value()
}

/// The keys by which an object names its target.
#[derive(Serialize, JsonSchema)]
pub(super) struct TargetKeys {
    /// The function's name, or its ARN without qualifier when it was configured by ARN.
    function: String,
    /// The qualifier as configured.
    qualifier: Option<String>,
    /// The region.
    region: &'static str,
    /// The tenant of a function with tenant isolation, otherwise null.
    tenant: Option<String>,
}

impl From<&Identity> for TargetKeys {
    fn from(id: &Identity) -> Self {
        Self {
            function: id.unqualified(),
            qualifier: id.qualifier.as_ref().map(ToString::to_string),
            region: id.region.as_str(),
            tenant: id.tenant.as_ref().map(ToString::to_string),
        }
    }
}

/// One round with its top-ups.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RoundKeys {
    #[serde(flatten)]
    id: TargetKeys,
    /// Free text from the configuration.
    owner: Option<String>,
    /// The desired number of environments, after the guards lowered it.
    target: u32,
    /// The configured number, if the headroom of the account or the function, or a budget, is lower; otherwise null.
    capped_from: Option<u32>,
    /// The setting that lowered it, such as `limits.account_share` or `owners.nlp.budget`; otherwise null.
    capped_by: Option<String>,
    /// The number before throttles lowered it; otherwise null.
    backed_off_from: Option<u32>,
    /// The age of the metric of the target's backlog, s; null without such a metric, and if its value is missing.
    metric_age: Option<u64>,
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
    /// The longest time that a preinitialized ping can have waited for the handler, ms, in tenths: from request to
    /// answer, without the hold where a warm ping of the attempt shows that handlers keep it. Null without such a ping.
    waited_at_most_ms: Option<f64>,
    /// The versions behind a weighted alias, each pinged by its number. Without weights the versions that executed,
    /// sorted: more than one is a warning.
    versions: Vec<VersionKeys>,
    /// The hold of the last attempt, ms; null when the protocol does not carry one.
    hold_ms: Option<u64>,
    /// The time between the first and the last start of the pings' runs, ms, in tenths; null when unknown.
    skew_ms: Option<f64>,
    /// Pings that preceded the round, of `pings`: to a handler without trust, an inactive function, or a target whose
    /// rounds have failed. They prove nothing.
    first_pings: u32,
    /// Attempts after the first: 0 to 2.
    top_ups: u32,
    /// Pings sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    resent: u32,
    /// The reason why the round was skipped, or did not follow its first pings; null when it was sent.
    skipped: Option<SkipReason>,
    /// Billed duration, ms, summed over the pings, without the init of provisioned environments; null unless known for
    /// every ping that ran or may have run.
    billed_ms: Option<u64>,
    /// Memory in MB of 1,048,576 bytes, configured or read from REPORT.
    memory_mb: Option<u32>,
    /// Bytes downloaded from S3; null when unknown.
    s3_egress_bytes: Option<u64>,
    /// The same, by route.
    routes: BTreeMap<&'static str, u64>,
    /// The cost.
    cost_usd: RoundCost,
    /// The round by the kind of environment; null if nothing indicates provisioned ones.
    by_kind: Option<ByKindKeys>,
}

/// A version of a round.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct VersionKeys {
    /// The number of the version, or `$LATEST`.
    version: String,
    /// The share of requests that it serves, 0 to 1; null if the alias has no weights, or they are unknown.
    weight: Option<f64>,
    /// The desired number of environments, after the guards lowered it.
    target: u32,
    /// The number of its environments proven, null when unknown. Never above the truth.
    reached: Option<u32>,
    /// The proof of `reached`; null when its round was skipped.
    evidence: Option<Evidence>,
    /// `confirmed` once an environment that was pinged by number has answered through the alias too, `assumed` before;
    /// null for a version that was not pinged by its number.
    serves_alias: Option<ServesAlias>,
    /// The reason why its round was skipped, or did not follow its first pings; null when it was sent.
    skipped: Option<SkipReason>,
}

/// The knowledge whether environments that are pinged by number serve the alias.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ServesAlias {
    Confirmed,
    Assumed,
}

impl From<bool> for ServesAlias {
    fn from(is_confirmed: bool) -> Self {
        if is_confirmed { Self::Confirmed } else { Self::Assumed }
    }
}

impl VersionKeys {
    fn of(sent: &SentRound, desired: u32) -> Vec<Self> {
        if !sent.versions.is_empty() {
            return sent.versions.iter().map(Self::from).collect();
        }
        let SentRound { report, .. } = sent;
        let executed = report.versions.iter().zip(&report.proofs);
        let keys = executed.map(|(version, proof)| Self {
            version: version.clone(),
            weight: None,
            target: desired,
            reached: proof.reached(),
            evidence: Some(proof.evidence),
            serves_alias: report.by_number.get(version).copied().map(ServesAlias::from),
            skipped: None,
        });
        keys.collect()
    }
}

impl From<&VersionRound> for VersionKeys {
    fn from(VersionRound { weight, is_confirmed, record }: &VersionRound) -> Self {
        Self {
            version: record.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default(),
            weight: Some(weight.share()),
            target: record.desired,
            reached: record.reached(),
            evidence: record.evidence(),
            serves_alias: Some(ServesAlias::from(*is_confirmed)),
            skipped: record.skip_reason(),
        }
    }
}

/// A round by the kind of environment. The parts add up to `reached`, `cold`, `preinitialized` and `restored` (of
/// pings that did not fail), and `cost_usd`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ByKindKeys {
    /// The pings on provisioned environments. The price of provisioned capacity itself is not part of a round.
    provisioned: KindKeys,
    /// The other pings.
    on_demand: KindKeys,
    /// False if every ping that ran reported the kind of its environment. Otherwise as many of the other pings as there
    /// are provisioned environments count as provisioned, if they were certainly not cold starts.
    assumed: bool,
}

/// The pings of a round on one kind of environment.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct KindKeys {
    /// The number of environments proven, null when unknown.
    environments: Option<u32>,
    /// New environments, preinitialized ones included, null when unknown; 0 for provisioned ones, which exist before.
    cold_starts: Option<u32>,
    /// The cost, US dollars; null when unknown.
    #[schemars(with = "Option<String>")]
    cost_usd: Option<Decimal>,
}

impl ByKindKeys {
    fn new(sent: &SentRound) -> Option<Self> {
        let kinds = sent.report.by_kind.as_ref()?;
        let costs = sent.cost.by_kind.unwrap_or_default();
        let keys = |part: &KindReport, cost_usd| KindKeys {
            environments: part.environments,
            cold_starts: part.usage.cold_starts,
            cost_usd,
        };
        let ByKind { provisioned, on_demand } = &kinds.parts;
        Some(Self {
            provisioned: keys(provisioned, costs.provisioned),
            on_demand: keys(on_demand, costs.on_demand),
            assumed: kinds.assumed,
        })
    }
}

impl From<&RoundRecord> for RoundKeys {
    fn from(round: &RoundRecord) -> Self {
        let sent = round.sent();
        let report = sent.map(|sent| &sent.report);
        Self {
            id: (&round.id).into(),
            owner: round.owner.clone(),
            target: round.desired,
            capped_from: round.capped_from,
            capped_by: round.capped_by.as_deref().map(str::to_owned),
            backed_off_from: round.backed_off_from,
            metric_age: round.metric_age,
            pings: round.pings(),
            reached: round.reached(),
            evidence: round.evidence(),
            verdict: round.verdict(),
            counts: round.counts(),
            waited_at_most_ms: report.and_then(|report| report.waited_at_most.map(tenths_of_ms)),
            versions: sent.map(|sent| VersionKeys::of(sent, round.desired)).unwrap_or_default(),
            hold_ms: report.and_then(|report| u64::try_from(report.hold?.as_millis()).ok()),
            skew_ms: report.and_then(|report| report.skew.map(tenths_of_ms)),
            first_pings: report.map_or(0, |report| report.first_pings),
            top_ups: report.map_or(0, |report| report.top_ups),
            resent: report.map_or(0, |report| report.resent),
            skipped: round.skip_reason(),
            billed_ms: report.and_then(|report| report.billed_ms),
            memory_mb: round.memory_mb,
            s3_egress_bytes: round.s3_bytes(),
            routes: sent.and_then(|sent| sent.s3.as_ref()).map(S3Quantities::routes).unwrap_or_default(),
            cost_usd: round.cost(),
            by_kind: sent.and_then(ByKindKeys::new),
        }
    }
}

/// The capacity of a target at the end of a tick.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CapacityKeys {
    /// The function's name, or its ARN without qualifier when it was configured by ARN.
    function: String,
    /// The qualifier as configured.
    qualifier: Option<String>,
    /// The region.
    region: &'static str,
    /// `provisioned` or `managed`; `pings` for capacity that the configuration no longer names.
    strategy: &'static str,
    /// `autoscaling` or `direct`; null for managed instances.
    by: Option<&'static str>,
    /// The number of environments wanted now.
    desired: u32,
    /// The number requested from Lambda, the minimum for managed instances; null when unknown.
    requested: Option<u32>,
    /// The number allocated; null when unknown, and for managed instances.
    allocated: Option<u32>,
    /// The number that serves requests, the applied minimum for managed instances; null when unknown.
    available: Option<u32>,
    /// The status.
    status: Status,
    /// The reason for the status, otherwise null: `alias-weights`, `function-updating`, `quota` or `throttled` while it
    /// waits, `access-denied`, `service-linked-role` or `not-found` when it is refused, the resource of another
    /// owner in a conflict, or a message of the service.
    reason: Option<String>,
    /// The price of the capacity since the tick before, US dollars, without invocations; null when unknown.
    #[schemars(with = "Option<String>")]
    cost_usd: Option<Decimal>,
    /// The changes that were made, or would be made by a dry run.
    changes: Vec<String>,
    /// The number wanted without a budget that is used up; only if it is higher than `desired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    capped_from: Option<u32>,
    /// The setting of a budget that is used up and stops the capacity, such as `owners.nlp.budget`; only with one. What is
    /// up may stay until its next closing.
    #[serde(skip_serializing_if = "Option::is_none")]
    capped_by: Option<String>,
    /// The end of the month of that budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    capped_until: Option<String>,
}

impl From<&CapacityReport> for CapacityKeys {
    fn from(capacity: &CapacityReport) -> Self {
        let TargetKeys { function, qualifier, region, .. } = (&capacity.id).into();
        let stopped = capacity.stopped.as_ref();
        Self {
            function,
            qualifier,
            region,
            strategy: capacity.strategy.name(),
            by: capacity.by,
            desired: capacity.desired,
            requested: capacity.requested,
            allocated: capacity.allocated,
            available: capacity.available,
            status: capacity.status,
            reason: capacity.reason.clone(),
            cost_usd: capacity.cost_usd,
            changes: capacity.changes.clone(),
            capped_from: (capacity.whole() > capacity.desired).then(|| capacity.whole()),
            capped_by: stopped.map(|stopped| stopped.by.clone()),
            capped_until: stopped.map(|stopped| stopped.until.to_rfc3339_opts(SecondsFormat::Secs, true)),
        }
    }
}

impl Serialize for CapacityReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        CapacityKeys::from(self).serialize(serializer)
    }
}

impl Serialize for RoundRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RoundKeys::from(self).serialize(serializer)
    }
}

/// Writes the keys of a target.
pub(super) fn target<S: Serializer>(id: &Identity, serializer: S) -> Result<S::Ok, S::Error> {
    TargetKeys::from(id).serialize(serializer)
}

/// Writes an instant in whole seconds.
pub(super) fn seconds_utc<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn tenths_of_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3 * 10.0).round() / 10.0
}
