//! The tick object: what one wake-up of the schedule did. Its keys are a contract that other people's scripts use.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use super::cost::RoundQuantities;
use super::fleet::Target;
use super::function::Region;
use super::round::{OutcomeCounts, RoundReport};

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
    /// True when rounds were still running: a second object with the same `tick` has the rest.
    pub partial: bool,
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
    /// Pings sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: u32,
    /// Why the round was skipped; null when it was not.
    pub skipped: Option<Skipped>,
    /// Billed duration, ms, summed over pings; null unless every ping that ran, or may have run, told it.
    pub billed_ms: Option<u64>,
    /// Memory in MB, configured or read from REPORT.
    pub memory_mb: Option<u32>,
    /// Bytes downloaded from S3.
    pub s3_egress_bytes: Option<u64>,
    /// The same, by route.
    pub routes: BTreeMap<&'static str, u64>,
    /// Cost, US dollars.
    pub cost_usd: RoundCost,
    /// The time that an unanswered ping may still run. Not a key of the object.
    #[serde(skip)]
    pub quiet_for: Option<Duration>,
    /// What went wrong with pings, for people. Not a key of the object.
    #[serde(skip)]
    pub problems: Vec<String>,
    /// The doubt about the answers, as text. Not a key of the object.
    #[serde(skip)]
    pub doubts: Vec<String>,
    /// Why a part of the cost is unknown, for people. Not a key of the object.
    #[serde(skip)]
    pub cost_unknown: Vec<String>,
}

impl TickReport {
    /// Whether it is known that no ping was sent, and that nobody else was asked to send any.
    pub fn sent_nothing(&self) -> bool {
        let unsent = |unfinished: &Unfinished| match unfinished.reason {
            UnfinishedReason::Deadline | UnfinishedReason::TooLarge => true,
            UnfinishedReason::InFlight | UnfinishedReason::HandedOn | UnfinishedReason::Unexpected => false,
        };
        self.rounds.iter().all(|round| round.verdict == Verdict::Skipped)
            && self.unfinished.iter().all(unsent)
    }

    /// Pings of rounds that were sent, as far as is known, and have no result. They count as pings; their cost is
    /// unknown.
    pub fn unreported_pings(&self) -> u64 {
        let sent = self.unfinished.iter().filter(|left| left.reason.may_have_sent());
        sent.map(|left| u64::from(left.target)).sum()
    }

    /// Whether a round was short: exit code 3.
    pub fn any_short(&self) -> bool {
        self.rounds.iter().any(|round| round.verdict == Verdict::Short)
    }
}

impl RoundRecord {
    /// The record of a round at `target`: what was reported, what it used and what that cost.
    pub fn new(target: &Target, report: &RoundReport, used: &RoundQuantities, cost_usd: RoundCost) -> Self {
        let OutcomeCounts {
            warm,
            cold,
            restored,
            throttled,
            function_errors,
            timed_out,
            denied,
            not_found,
            failed,
            unclassified,
        } = report.counts;
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            pings: report.pings,
            reached: report.reached,
            evidence: Some(report.evidence),
            verdict: report.verdict,
            warm,
            cold,
            restored,
            throttled,
            function_errors,
            timed_out,
            denied,
            not_found,
            failed,
            unclassified,
            versions: report.versions.clone(),
            hold_ms: report.hold.map(ms),
            skew_ms: report.skew.map(|skew| skew.as_secs_f64() * 1e3),
            top_ups: report.top_ups,
            resent: report.resent,
            skipped: None,
            billed_ms: report.billed_ms,
            memory_mb: used.memory_mb,
            s3_egress_bytes: used.s3.as_ref().map(|s3| s3.bytes()),
            routes: used.s3.as_ref().map(|s3| s3.routes()).unwrap_or_default(),
            cost_usd,
            problems: report.messages.clone(),
            doubts: report.doubt.map(|doubt| doubt.explain().to_owned()).into_iter().collect(),
            ..Self::untouched(target, report.concurrency)
        }
    }

    /// The record of a round for `concurrency` environments that was not sent. It cost nothing, which is known.
    pub fn skipped(target: &Target, concurrency: u32, why: Skipped) -> Self {
        let nothing = Some(Decimal::ZERO);
        Self {
            skipped: Some(why),
            s3_egress_bytes: Some(0),
            cost_usd: RoundCost {
                requests: nothing,
                compute: nothing,
                s3_requests: nothing,
                s3_egress: nothing,
                total: nothing,
                ..RoundCost::default()
            },
            ..Self::untouched(target, concurrency)
        }
    }

    /// The target's own keys, and nothing sent.
    fn untouched(target: &Target, concurrency: u32) -> Self {
        Self {
            function: target.id.unqualified(),
            qualifier: target.id.qualifier.as_ref().map(ToString::to_string),
            region: target.region(),
            owner: target.owner.clone(),
            target: concurrency,
            pings: 0,
            reached: None,
            evidence: None,
            verdict: Verdict::Skipped,
            warm: 0,
            cold: 0,
            restored: 0,
            throttled: 0,
            function_errors: 0,
            timed_out: 0,
            denied: 0,
            not_found: 0,
            failed: 0,
            unclassified: 0,
            versions: Vec::new(),
            hold_ms: None,
            skew_ms: None,
            top_ups: 0,
            resent: 0,
            skipped: None,
            billed_ms: None,
            memory_mb: target.memory_mb,
            s3_egress_bytes: None,
            routes: BTreeMap::new(),
            cost_usd: RoundCost::default(),
            quiet_for: None,
            problems: Vec::new(),
            doubts: Vec::new(),
            cost_unknown: Vec::new(),
        }
    }
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
    /// Where the sum is null: no less than this, by what is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_at_least: Option<Decimal>,
    /// Where the sum is null: no more than this. Absent when the function's memory, its timeout or a price is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_at_most: Option<Decimal>,
}

/// What proves the number of environments reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
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

impl Verdict {
    /// Its name, as in the tick object.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Unproven => "unproven",
            Self::Short => "short",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a round was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skipped {
    /// The target's earlier round is still in flight, or a ping of it that was not answered may still run.
    InFlight,
    /// The target's earlier round still waits for room under `limits.max_in_flight`.
    NoRoom,
    /// It was asked what would be sent, not to send it.
    DryRun,
    /// Somebody has paused it.
    Paused,
    /// A request that came shortly before has had it warmed.
    Coalesced,
    /// Its payload is the configuration's own, which the Lambda sends only when it is allowed to.
    CustomPayload,
    /// The shard that it is in was delivered before, and has been served.
    Served,
}

impl Skipped {
    /// Its name, as in the tick object.
    pub fn name(self) -> &'static str {
        match self {
            Self::InFlight => "in-flight",
            Self::NoRoom => "no-room",
            Self::DryRun => "dry-run",
            Self::Paused => "paused",
            Self::Coalesced => "coalesced",
            Self::CustomPayload => "custom-payload",
            Self::Served => "served",
        }
    }
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

impl Unfinished {
    /// `target`, due with `concurrency` environments, was not served.
    pub fn new(target: &Target, concurrency: u32, reason: UnfinishedReason) -> Self {
        Self {
            function: target.id.unqualified(),
            qualifier: target.id.qualifier.as_ref().map(ToString::to_string),
            region: target.region(),
            target: concurrency,
            reason,
        }
    }
}

/// Why a target was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnfinishedReason {
    /// The time of the tick ran out, or the process was told to stop.
    Deadline,
    /// Its pings were sent, and the time of the tick ran out before their answers came.
    InFlight,
    /// It was put on the bus, for another instance of the Lambda.
    HandedOn,
    /// The round is larger than the cap of pings in flight: it would wait for ever, and is never cut.
    TooLarge,
    /// Something unexpected ended it: pings may have been sent, and what became of them is not known.
    Unexpected,
}

impl UnfinishedReason {
    /// Returns true when pings may have been sent, by this process.
    pub fn may_have_sent(self) -> bool {
        match self {
            Self::InFlight | Self::Unexpected => true,
            Self::Deadline | Self::HandedOn | Self::TooLarge => false,
        }
    }
}

fn seconds_utc<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

fn tenths<S: Serializer>(ms: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    ms.map(|ms| (ms * 10.0).round() / 10.0).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::domain::cost::{Download, Per, Route};
    use crate::domain::function::FunctionRef;
    use crate::domain::report::Report;
    use crate::domain::round::{Attempt, Known, Outcome, PingResult, Ran};

    fn target(function: &str) -> Target {
        let id = FunctionRef::parse(function).unwrap().identity(Region::parse("eu-west-2").unwrap());
        let download = Download {
            object: "s3://models/nlp-v7.bin".to_owned(),
            size_bytes: 220_000_000,
            route: Route::NatGateway,
            per: Per::ColdStart,
        };
        Target { label: id.label(), id, ..Target::example("nlp-inference", "eu-west-2", vec![download]) }
    }

    fn cold(index: u32) -> PingResult {
        PingResult {
            outcome: Outcome::Cold,
            ran: Ran::Yes,
            sent: Duration::ZERO,
            received: Duration::from_millis(900),
            report: Some(Report {
                duration_ms: 25.5,
                billed_ms: 106,
                memory_mb: Some(1024),
                init_ms: Some(80.0),
                ..Report::default()
            }),
            environment: Some(index.to_string()),
            managed_instance: false,
            version: Some("7".to_owned()),
            message: None,
        }
    }

    fn report(pings: Vec<PingResult>) -> RoundReport {
        RoundReport::new(
            2,
            &[Attempt { hold: Some(Duration::from_millis(25)), handler_hold: None, pings, resent: 0 }],
            true,
            Known::default(),
        )
    }

    fn record(target: &Target, report: &RoundReport) -> RoundRecord {
        let cost = RoundCost { requests: Some(Decimal::new(4, 7)), ..RoundCost::default() };
        RoundRecord::new(target, report, &report.quantities(target), cost)
    }

    /// The keys and their order are a contract.
    #[test]
    fn the_tick_object() {
        let target = target("nlp-inference:live");
        let tick = TickReport {
            tick: DateTime::from_timestamp(1_795_165_200, 0).unwrap(),
            config: Some("3f2a".to_owned()),
            duration_ms: 912,
            partial: false,
            rounds: vec![
                record(&target, &report(vec![cold(0), cold(1)])),
                RoundRecord::skipped(&target, 2, Skipped::InFlight),
            ],
            unfinished: vec![Unfinished::new(&target, 3, UnfinishedReason::Deadline)],
        };
        assert!(!tick.any_short());
        assert_snapshot!(serde_json::to_string(&tick).unwrap().replace("{\"function", "\n{\"function"), @r#"
        {"tick":"2026-11-20T09:00:00Z","config":"3f2a","duration_ms":912,"partial":false,"rounds":[
        {"function":"nlp-inference","qualifier":"live","region":"eu-west-2","owner":"payments","target":2,"pings":2,"reached":2,"evidence":"ids","verdict":"reached","warm":0,"cold":2,"restored":0,"throttled":0,"function_errors":0,"timed_out":0,"denied":0,"not_found":0,"failed":0,"unclassified":0,"versions":["7"],"hold_ms":25,"skew_ms":null,"top_ups":0,"resent":0,"skipped":null,"billed_ms":212,"memory_mb":1024,"s3_egress_bytes":440000000,"routes":{"nat-gateway":440000000},"cost_usd":{"requests":"0.0000004","compute":null,"s3_requests":null,"s3_egress":null,"total":null}},
        {"function":"nlp-inference","qualifier":"live","region":"eu-west-2","owner":"payments","target":2,"pings":0,"reached":null,"evidence":null,"verdict":"skipped","warm":0,"cold":0,"restored":0,"throttled":0,"function_errors":0,"timed_out":0,"denied":0,"not_found":0,"failed":0,"unclassified":0,"versions":[],"hold_ms":null,"skew_ms":null,"top_ups":0,"resent":0,"skipped":"in-flight","billed_ms":null,"memory_mb":null,"s3_egress_bytes":0,"routes":{},"cost_usd":{"requests":"0","compute":"0","s3_requests":"0","s3_egress":"0","total":"0"}}],"unfinished":[
        {"function":"nlp-inference","qualifier":"live","region":"eu-west-2","target":3,"reason":"deadline"}]}
        "#);
    }

    #[test]
    fn a_function_configured_by_arn_is_recorded_by_arn() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:nlp";
        let record = RoundRecord::skipped(&target(&format!("{arn}:7")), 1, Skipped::InFlight);
        assert_eq!(record.function, arn);
        assert_eq!(record.qualifier.as_deref(), Some("7"));
        assert_eq!(record.region.as_str(), "us-east-1");
    }

    #[test]
    fn configured_memory_goes_before_the_reported() {
        let mut target = target("nlp");
        let report = report(vec![cold(0)]);
        assert_eq!(record(&target, &report).memory_mb, Some(1024));
        target.memory_mb = Some(512);
        assert_eq!(record(&target, &report).memory_mb, Some(512));
    }

    #[test]
    fn downloads_are_unknown_when_cold_starts_are() {
        let silent = PingResult { outcome: Outcome::Unclassified, report: None, ..cold(0) };
        let record = record(&target("nlp"), &report(vec![silent]));
        assert_eq!((record.s3_egress_bytes, record.routes.len()), (None, 0));
        assert_eq!((record.reached, record.evidence), (None, Some(Evidence::Unknown)));
    }

    #[test]
    fn whether_anything_was_sent_is_known() {
        let target = target("nlp");
        let tick = |rounds, unfinished| TickReport {
            tick: DateTime::UNIX_EPOCH,
            config: None,
            duration_ms: 1,
            partial: false,
            rounds,
            unfinished,
        };
        let left = |reason| tick(Vec::new(), vec![Unfinished::new(&target, 1, reason)]).sent_nothing();
        assert!(left(UnfinishedReason::Deadline) && left(UnfinishedReason::TooLarge));
        assert!(!left(UnfinishedReason::InFlight) && !left(UnfinishedReason::HandedOn));
        assert!(!left(UnfinishedReason::Unexpected), "it may have been");
        let skipped = RoundRecord::skipped(&target, 1, Skipped::InFlight);
        assert!(tick(vec![skipped.clone()], Vec::new()).sent_nothing());
        assert!(!tick(vec![skipped, record(&target, &report(vec![cold(0)]))], Vec::new()).sent_nothing());
    }

    #[test]
    fn bounds_stand_beside_an_unknown_total_only() {
        let bounded = RoundCost {
            cost_at_least: Some(Decimal::new(4, 7)),
            cost_at_most: Some(Decimal::new(5, 2)),
            ..RoundCost::default()
        };
        assert_snapshot!(serde_json::to_string(&bounded).unwrap(), @r#"{"requests":null,"compute":null,"s3_requests":null,"s3_egress":null,"total":null,"cost_at_least":"0.0000004","cost_at_most":"0.05"}"#);
        let known = RoundRecord::skipped(&target("nlp"), 1, Skipped::DryRun).cost_usd;
        let keys = serde_json::to_value(&known).unwrap();
        assert!(keys.get("cost_at_least").is_none() && keys.get("cost_at_most").is_none());
    }

    #[test]
    fn one_short_round_makes_the_tick_short() {
        let target = target("nlp");
        let denied = PingResult { outcome: Outcome::Denied, report: None, environment: None, ..cold(0) };
        let tick = TickReport {
            tick: DateTime::UNIX_EPOCH,
            config: None,
            duration_ms: 1,
            partial: false,
            rounds: vec![
                record(&target, &report(vec![cold(0), cold(1)])),
                record(&target, &report(vec![denied])),
            ],
            unfinished: Vec::new(),
        };
        assert!(tick.any_short());
    }
}
