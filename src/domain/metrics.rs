//! Every CloudWatch metric: name, unit, meaning and the data of a tick.
//!
//! [`Metric::ALL`] is the one table; the data, the embedded-metric lines and the documentation come from it.

use std::fmt::Write;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};

use super::fleet::{Detail, MetricsSettings};
use super::tick::{RoundRecord, TickReport, Unfinished, UnfinishedReason, Verdict};

/// The most data in one PutMetricData request. Source: the CloudWatch API reference.
const REQUEST_DATA: usize = 1_000;
/// The most bytes we put in one request, uncompressed; the API takes 1 MB (1,000,000 to be safe), headers included.
const REQUEST_BYTES: usize = 900_000;
/// The most metrics in one embedded-metric event. Source: the embedded metric format specification.
const EVENT_METRICS: usize = 100;

/// A CloudWatch unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Count`.
    Count,
    /// `Bytes`.
    Bytes,
    /// `Milliseconds`.
    Milliseconds,
    /// `Seconds`.
    Seconds,
    /// `None`: US dollars have no unit of their own.
    None,
}

impl Unit {
    /// As CloudWatch writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::None => "None",
        }
    }
}

/// What a metric is told for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The fleet, every tick, zero included.
    Fleet,
    /// The fleet, only when it is not zero.
    FleetNotZero,
    /// The fleet every tick; with `detail: function` each target too.
    FleetAndTarget,
    /// Each target, with `detail: function`.
    Target,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Pings sent.
    Pings,
    /// New environments.
    ColdStarts,
    /// Throttled pings.
    Throttles,
    /// Failed pings.
    Errors,
    /// Short rounds.
    RoundsShort,
    /// Bytes from S3.
    S3EgressBytes,
    /// US dollars for them.
    S3EgressCost,
    /// US dollars in all.
    WarmingCost,
    /// How long the tick took.
    TickDuration,
    /// Targets with a round.
    Functions,
    /// Rounds of unknown cost.
    CostUnknown,
    /// Rounds that were due and have no result.
    RoundsUnfinished,
    /// Events that came too late.
    TicksStale,
    /// Events that were refused.
    EventsRefused,
    /// Ticks without the state store.
    StateUnavailable,
    /// How long the configuration in force has been the last good one.
    ConfigAge,
    /// Environments wanted.
    Target,
    /// Environments proven.
    Reached,
}

impl Metric {
    /// Every metric, in the order in which they are sent and documented.
    pub const ALL: [Self; 18] = [
        Self::Pings,
        Self::ColdStarts,
        Self::Throttles,
        Self::Errors,
        Self::RoundsShort,
        Self::S3EgressBytes,
        Self::S3EgressCost,
        Self::WarmingCost,
        Self::TickDuration,
        Self::Functions,
        Self::CostUnknown,
        Self::RoundsUnfinished,
        Self::TicksStale,
        Self::EventsRefused,
        Self::StateUnavailable,
        Self::ConfigAge,
        Self::Target,
        Self::Reached,
    ];

    /// The name in CloudWatch.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The unit.
    pub fn unit(self) -> Unit {
        self.row().1
    }

    /// What it is told for.
    pub fn scope(self) -> Scope {
        self.row().2
    }

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    fn row(self) -> (&'static str, Unit, Scope, &'static str) {
        use Scope::{Fleet, FleetAndTarget, FleetNotZero, Target};
        use Unit::{Bytes, Count, Milliseconds, None, Seconds};
        match self {
            Self::Pings => ("Pings", Count, Fleet, "pings sent, top-ups included"),
            Self::ColdStarts => (
                "ColdStarts",
                Count,
                FleetAndTarget,
                "pings that made a new environment, restored ones included",
            ),
            Self::Throttles => ("Throttles", Count, Fleet, "pings that Lambda throttled"),
            Self::Errors => (
                "Errors",
                Count,
                Fleet,
                "pings that failed otherwise: function errors, time-outs, denied, not found, network and service",
            ),
            Self::RoundsShort => ("RoundsShort", Count, Fleet, "rounds with the verdict `short`"),
            Self::S3EgressBytes => {
                ("S3EgressBytes", Bytes, Fleet, "bytes that the pings made functions read from S3")
            }
            Self::S3EgressCost => {
                ("S3EgressCost", None, FleetAndTarget, "US dollars for those bytes, as far as known")
            }
            Self::WarmingCost => (
                "WarmingCost",
                None,
                FleetAndTarget,
                "US dollars for requests, compute, S3 requests and S3 egress, as far as known",
            ),
            Self::TickDuration => (
                "TickDuration",
                Milliseconds,
                Fleet,
                "how long the tick took; of scheduled ticks only (from cron: `run --once --due-only`), not of shards, requests and operators' rounds",
            ),
            Self::Functions => ("Functions", Count, Fleet, "targets that were due, skipped rounds included"),
            Self::CostUnknown => {
                ("CostUnknown", Count, FleetNotZero, "rounds of which the cost is not fully known")
            }
            Self::RoundsUnfinished => (
                "RoundsUnfinished",
                Count,
                FleetNotZero,
                "rounds that were due and have no result: not sent in time, or not answered before the tick had to end",
            ),
            Self::TicksStale => (
                "TicksStale",
                Count,
                FleetNotZero,
                "events that came too late to be served: of the schedule, shards and Warm Requests; nothing was sent for them",
            ),
            Self::EventsRefused => (
                "EventsRefused",
                Count,
                FleetNotZero,
                "events that were refused, with the reason in the log: of no known kind, with mistakes, not allowed, or with a time more than a minute ahead; nothing was sent for them",
            ),
            Self::StateUnavailable => (
                "StateUnavailable",
                Count,
                FleetNotZero,
                "ticks, shards and requests for which the state store could not be read or written, with the reason in the log",
            ),
            Self::ConfigAge => (
                "ConfigAge",
                Seconds,
                FleetNotZero,
                "how long the configuration in force has not been what its source says, because that is refused or cannot be read",
            ),
            Self::Target => ("Target", Count, Target, "environments wanted"),
            Self::Reached => ("Reached", Count, Target, "environments proven; not sent when unknown"),
        }
    }
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric's name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Dimension names and values; empty for fleet metrics.
    pub dimensions: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Datum {
    /// A generous estimate of the datum's bytes in a request: its texts, and 150 for keys, time stamp and value.
    fn estimated_bytes(&self) -> usize {
        let dimensions = self.dimensions.iter().map(|(name, value)| name.len() + value.len() + 20);
        150 + self.name.len() + dimensions.sum::<usize>()
    }
}

/// The data of one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The CloudWatch namespace.
    pub namespace: String,
    /// The tick's instant: the timestamp of every datum.
    pub at: DateTime<Utc>,
    /// The data.
    pub data: Vec<Datum>,
}

/// The data of one tick: the fleet's ten, zeros included; `CostUnknown` when there is any; and each target's five when
/// the settings ask for them, less those that are unknown.
///
/// A share of a tick tells no duration: its count tells whether the schedule runs.
pub fn batch(report: &TickReport, settings: &MetricsSettings, facts: TickFacts) -> Batch {
    let told = |metric: &Metric| *metric != Metric::TickDuration || facts.share == Share::Whole;
    let mut data: Vec<Datum> = Metric::ALL
        .into_iter()
        .filter(told)
        .filter_map(|metric| fleet_value(metric, report).map(|value| datum(metric, Vec::new(), value)))
        .collect();
    if settings.detail == Detail::Function {
        for round in &report.rounds {
            let dimensions = [("Function", label(round)), ("Region", round.region.to_string())];
            data.extend(Metric::ALL.into_iter().filter_map(|metric| {
                target_value(metric, round).map(|value| datum(metric, dimensions.to_vec(), value))
            }));
        }
    }
    data.extend(facts.data());
    Batch { namespace: settings.namespace.clone(), at: report.tick, data }
}

/// How much of a scheduled tick a report tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Share {
    /// A tick of the schedule.
    #[default]
    Whole,
    /// A part that was handed on, or rounds outside the schedule: a request's, an operator's.
    Part,
}

/// What there is to tell of a moment beside its tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickFacts {
    /// How much of a tick is told.
    pub share: Share,
    /// Events that came too late.
    pub ticks_stale: u32,
    /// Events that were refused.
    pub events_refused: u32,
    /// Ticks, shards and requests without the state store.
    pub state_unavailable: u32,
    /// How long the configuration in force has been the last good one; none when it is what its source says.
    pub config_age: Option<Duration>,
}

impl TickFacts {
    /// The data: of what is not zero.
    pub fn data(self) -> Vec<Datum> {
        let counts = [
            (Metric::TicksStale, self.ticks_stale),
            (Metric::EventsRefused, self.events_refused),
            (Metric::StateUnavailable, self.state_unavailable),
        ];
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let counts = counts.map(|(metric, count)| datum(metric, Vec::new(), f64::from(count)));
        let age = self.config_age.map(|age| datum(Metric::ConfigAge, Vec::new(), age.as_secs_f64().round()));
        counts.chain(age).collect()
    }
}

/// The function as it was configured: `name[:qualifier]`, or the ARN.
fn label(round: &RoundRecord) -> String {
    match &round.qualifier {
        Some(qualifier) => format!("{}:{qualifier}", round.function),
        None => round.function.clone(),
    }
}

fn datum(metric: Metric, dimensions: Vec<(&'static str, String)>, value: f64) -> Datum {
    Datum { name: metric.name(), unit: metric.unit(), dimensions, value }
}

fn fleet_value(metric: Metric, report: &TickReport) -> Option<f64> {
    let rounds = &report.rounds;
    let count =
        |of: fn(&RoundRecord) -> u32| rounds.iter().map(|round| u64::from(of(round))).sum::<u64>() as f64;
    let dollars = |of: fn(&RoundRecord) -> Option<Decimal>| -> f64 {
        dollars(rounds.iter().filter_map(of).fold(Decimal::ZERO, Decimal::saturating_add))
    };
    let number = |of: fn(&RoundRecord) -> bool| rounds.iter().filter(|round| of(round)).count() as f64;
    Some(match metric {
        Metric::Pings => count(|round| round.pings) + report.unreported_pings() as f64,
        Metric::ColdStarts => count(cold_starts),
        Metric::Throttles => count(|round| round.throttled),
        Metric::Errors => count(errors),
        Metric::RoundsShort => number(|round| round.verdict == Verdict::Short),
        Metric::S3EgressBytes => {
            rounds.iter().filter_map(|round| round.s3_egress_bytes).fold(0, u64::saturating_add) as f64
        }
        Metric::S3EgressCost => dollars(|round| round.cost_usd.s3_egress),
        Metric::WarmingCost => dollars(|round| round.cost_usd.total),
        Metric::TickDuration => report.duration_ms as f64,
        Metric::Functions => rounds.len() as f64,
        Metric::CostUnknown => {
            let unknown = number(|round| round.verdict != Verdict::Skipped && round.cost_usd.total.is_none())
                + report.unfinished.iter().filter(|left| left.reason.may_have_sent()).count() as f64;
            return (unknown > 0.0).then_some(unknown);
        }
        Metric::RoundsUnfinished => {
            let left = |left: &&Unfinished| left.reason != UnfinishedReason::HandedOn;
            let unfinished = report.unfinished.iter().filter(left).count();
            return (unfinished > 0).then_some(unfinished as f64);
        }
        // Told by facts, not by the tick.
        Metric::TicksStale | Metric::EventsRefused | Metric::StateUnavailable | Metric::ConfigAge => {
            return None;
        }
        Metric::Target | Metric::Reached => return None,
    })
}

fn target_value(metric: Metric, round: &RoundRecord) -> Option<f64> {
    match metric {
        Metric::Target => Some(f64::from(round.target)),
        Metric::Reached => round.reached.map(f64::from),
        Metric::ColdStarts => Some(f64::from(cold_starts(round))),
        Metric::S3EgressCost => round.cost_usd.s3_egress.map(dollars),
        Metric::WarmingCost => round.cost_usd.total.map(dollars),
        Metric::Pings
        | Metric::Throttles
        | Metric::Errors
        | Metric::RoundsShort
        | Metric::S3EgressBytes
        | Metric::TickDuration
        | Metric::Functions
        | Metric::CostUnknown
        | Metric::RoundsUnfinished
        | Metric::TicksStale
        | Metric::EventsRefused
        | Metric::StateUnavailable
        | Metric::ConfigAge => None,
    }
}

fn cold_starts(round: &RoundRecord) -> u32 {
    round.cold.saturating_add(round.restored)
}

fn errors(round: &RoundRecord) -> u32 {
    [round.function_errors, round.timed_out, round.denied, round.not_found, round.failed]
        .into_iter()
        .fold(0, u32::saturating_add)
}

/// CloudWatch's values are binary: the one place where money leaves the decimals.
fn dollars(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(0.0)
}

/// The batch cut into requests that CloudWatch takes: at most 1,000 data and 1 MB each.
pub fn requests(batch: &Batch) -> Vec<Vec<&Datum>> {
    let mut requests: Vec<Vec<&Datum>> = Vec::new();
    let mut bytes = 0;
    for datum in &batch.data {
        let more = datum.estimated_bytes();
        match requests.last_mut() {
            Some(request) if request.len() < REQUEST_DATA && bytes + more <= REQUEST_BYTES => {
                request.push(datum);
                bytes += more;
            }
            _ => {
                requests.push(vec![datum]);
                bytes = more;
            }
        }
    }
    requests
}

/// The batch in the embedded metric format: one JSON event a line, for each set of dimensions and each hundred metrics.
/// CloudWatch Logs makes metrics of such lines, also when its metrics API does not answer.
pub fn emf_lines(batch: &Batch) -> Vec<String> {
    events(batch).iter().map(|event| emf_line(batch, event)).collect()
}

/// The data by line: one set of dimensions each, no metric twice, at most a hundred metrics.
fn events(batch: &Batch) -> Vec<Vec<&Datum>> {
    let mut events: Vec<Vec<&Datum>> = Vec::new();
    for datum in &batch.data {
        match events.last_mut() {
            Some(event)
                if event.len() < EVENT_METRICS
                    && event
                        .iter()
                        .all(|other| other.dimensions == datum.dimensions && other.name != datum.name) =>
            {
                event.push(datum);
            }
            _ => events.push(vec![datum]),
        }
    }
    events
}

fn emf_line(batch: &Batch, event: &[&Datum]) -> String {
    let names: Vec<&str> = dimensions(event).iter().map(|(name, _)| *name).collect();
    let metrics: Vec<Value> =
        event.iter().map(|datum| json!({ "Name": datum.name, "Unit": datum.unit.as_str() })).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": batch.at.timestamp_millis(),
            "CloudWatchMetrics": [{ "Namespace": batch.namespace, "Dimensions": [names], "Metrics": metrics }],
        }),
    );
    insert_values(&mut line, event);
    Value::Object(line).to_string()
}

/// The `message` of a line with metrics that CloudWatch may have counted.
pub const UNACKNOWLEDGED: &str = "metrics not acknowledged";

/// A batch that CloudWatch may have counted, as plain JSON: the values of the embedded metric format without its `_aws`
/// block, so that CloudWatch Logs does not count them again. One JSON object a line, each with `timestamp` (of the data),
/// `level`, `message` and `namespace`.
pub fn plain_lines(batch: &Batch) -> Vec<String> {
    let line = |event: &Vec<&Datum>| {
        let mut line = Map::new();
        let at = batch.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let head = [
            ("timestamp", at.as_str()),
            ("level", "WARN"),
            ("message", UNACKNOWLEDGED),
            ("namespace", batch.namespace.as_str()),
        ];
        line.extend(head.map(|(key, value)| (key.to_owned(), json!(value))));
        insert_values(&mut line, event);
        Value::Object(line).to_string()
    };
    events(batch).iter().map(line).collect()
}

fn dimensions<'d>(event: &[&'d Datum]) -> &'d [(&'static str, String)] {
    event.first().map_or(&[][..], |datum| &datum.dimensions[..])
}

fn insert_values(line: &mut Map<String, Value>, event: &[&Datum]) {
    for (name, value) in dimensions(event) {
        line.insert((*name).to_owned(), json!(value));
    }
    for datum in event {
        line.insert(datum.name.to_owned(), json!(datum.value));
    }
}

/// The metric table of the documentation, in Markdown.
pub fn markdown_table() -> String {
    let mut table = String::from("| Metric | Unit | Sent | Meaning |\n|---|---|---|---|\n");
    for metric in Metric::ALL {
        let sent = match metric.scope() {
            Scope::Fleet => "fleet",
            Scope::FleetNotZero => "fleet, when not 0",
            Scope::FleetAndTarget => "fleet, target",
            Scope::Target => "target",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {sent} | {} |",
            metric.name(),
            metric.unit().as_str(),
            metric.meaning()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::function::Region;
    use super::super::tick::{Evidence, RoundCost};
    use super::*;

    fn round() -> RoundRecord {
        let cost = |text: &str| Some(text.parse().unwrap());
        RoundRecord {
            function: "nlp-inference".to_owned(),
            qualifier: Some("live".to_owned()),
            region: Region::parse("eu-west-2").unwrap(),
            owner: None,
            target: 10,
            pings: 12,
            reached: Some(9),
            evidence: Some(Evidence::Ids),
            verdict: Verdict::Short,
            warm: 1,
            cold: 2,
            restored: 1,
            throttled: 1,
            function_errors: 1,
            timed_out: 1,
            denied: 1,
            not_found: 1,
            failed: 2,
            unclassified: 1,
            versions: Vec::new(),
            hold_ms: None,
            skew_ms: None,
            top_ups: 0,
            resent: 0,
            skipped: None,
            billed_ms: None,
            memory_mb: None,
            s3_egress_bytes: Some(660_000_000),
            routes: BTreeMap::new(),
            cost_usd: RoundCost {
                requests: cost("0.0000014"),
                compute: cost("0.001"),
                s3_requests: cost("0.0000012"),
                s3_egress: cost("0.03"),
                total: cost("0.0310026"),
                ..RoundCost::default()
            },
            quiet_for: None,
            problems: Vec::new(),
            doubts: Vec::new(),
            cost_unknown: Vec::new(),
        }
    }

    fn unknown() -> RoundRecord {
        RoundRecord {
            qualifier: None,
            reached: None,
            verdict: Verdict::Unproven,
            s3_egress_bytes: None,
            cost_usd: RoundCost::default(),
            ..round()
        }
    }

    fn report(rounds: Vec<RoundRecord>) -> TickReport {
        TickReport {
            tick: "2026-11-20T09:00:00Z".parse().unwrap(),
            config: None,
            duration_ms: 512,
            partial: false,
            rounds,
            unfinished: Vec::new(),
        }
    }

    fn settings(detail: Detail) -> MetricsSettings {
        MetricsSettings { detail, ..MetricsSettings::default() }
    }

    fn shown(batch: &Batch) -> String {
        let data = batch.data.iter().map(|datum| {
            let dimensions: String =
                datum.dimensions.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{} {} {}{dimensions}", datum.name, datum.value, datum.unit.as_str())
        });
        data.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_quiet_tick_still_tells_all_ten() {
        insta::assert_snapshot!(shown(&batch(&report(Vec::new()), &settings(Detail::Function), TickFacts::default())), @r"
        Pings 0 Count
        ColdStarts 0 Count
        Throttles 0 Count
        Errors 0 Count
        RoundsShort 0 Count
        S3EgressBytes 0 Bytes
        S3EgressCost 0 None
        WarmingCost 0 None
        TickDuration 512 Milliseconds
        Functions 0 Count
        ");
    }

    #[test]
    fn the_fleet_adds_up_and_each_target_tells_its_own() {
        let batch =
            batch(&report(vec![round(), unknown()]), &settings(Detail::Function), TickFacts::default());
        insta::assert_snapshot!(shown(&batch), @r"
        Pings 24 Count
        ColdStarts 6 Count
        Throttles 2 Count
        Errors 12 Count
        RoundsShort 1 Count
        S3EgressBytes 660000000 Bytes
        S3EgressCost 0.03 None
        WarmingCost 0.0310026 None
        TickDuration 512 Milliseconds
        Functions 2 Count
        CostUnknown 1 Count
        ColdStarts 3 Count Function=nlp-inference:live Region=eu-west-2
        S3EgressCost 0.03 None Function=nlp-inference:live Region=eu-west-2
        WarmingCost 0.0310026 None Function=nlp-inference:live Region=eu-west-2
        Target 10 Count Function=nlp-inference:live Region=eu-west-2
        Reached 9 Count Function=nlp-inference:live Region=eu-west-2
        ColdStarts 3 Count Function=nlp-inference Region=eu-west-2
        Target 10 Count Function=nlp-inference Region=eu-west-2
        ");
    }

    #[test]
    fn the_fleet_alone_has_no_dimensions() {
        let batch = batch(&report(vec![round()]), &settings(Detail::Fleet), TickFacts::default());
        assert_eq!(batch.data.len(), 10);
        assert!(batch.data.iter().all(|datum| datum.dimensions.is_empty()));
    }

    #[test]
    fn a_skipped_round_cost_nothing_that_is_unknown() {
        let skipped = RoundRecord { verdict: Verdict::Skipped, ..unknown() };
        let batch = batch(&report(vec![skipped]), &settings(Detail::Fleet), TickFacts::default());
        assert!(batch.data.iter().all(|datum| datum.name != "CostUnknown"));
    }

    #[test]
    fn what_is_sent_agrees_with_the_table() {
        let facts = TickFacts {
            share: Share::Whole,
            ticks_stale: 2,
            events_refused: 1,
            state_unavailable: 1,
            config_age: Some(Duration::from_millis(90_400)),
        };
        let mut report = report(vec![round(), unknown()]);
        let target = crate::domain::fleet::Target::example("f", "eu-west-2", Vec::new());
        report.unfinished.push(Unfinished::new(&target, 7, UnfinishedReason::InFlight));
        let batch = batch(&report, &settings(Detail::Function), facts);
        for metric in Metric::ALL {
            let sent = |fleet: bool| {
                batch
                    .data
                    .iter()
                    .any(|datum| datum.name == metric.name() && datum.dimensions.is_empty() == fleet)
            };
            let expected = match metric.scope() {
                Scope::Fleet | Scope::FleetNotZero => (true, false),
                Scope::FleetAndTarget => (true, true),
                Scope::Target => (false, true),
            };
            assert_eq!((sent(true), sent(false)), expected, "{}", metric.name());
        }
    }

    #[test]
    fn rounds_without_a_result_count_as_pings_of_unknown_cost() {
        let target = crate::domain::fleet::Target::example("f", "eu-west-2", Vec::new());
        let mut report = report(vec![round()]);
        let value = |report: &TickReport, metric: Metric| fleet_value(metric, report);
        let pings = value(&report, Metric::Pings).unwrap();
        assert_eq!(value(&report, Metric::RoundsUnfinished), None);
        for (reason, sent, unfinished) in [
            (UnfinishedReason::InFlight, true, true),
            (UnfinishedReason::Unexpected, true, true),
            (UnfinishedReason::Deadline, false, true),
            (UnfinishedReason::TooLarge, false, true),
            (UnfinishedReason::HandedOn, false, false),
        ] {
            report.unfinished = vec![Unfinished::new(&target, 7, reason)];
            let more = if sent { 7.0 } else { 0.0 };
            assert_eq!(value(&report, Metric::Pings), Some(pings + more), "{reason:?}");
            assert_eq!(value(&report, Metric::CostUnknown), sent.then_some(1.0), "{reason:?}");
            assert_eq!(value(&report, Metric::RoundsUnfinished), unfinished.then_some(1.0), "{reason:?}");
        }
    }

    #[test]
    fn circumstances_are_told_when_there_are_any() {
        assert_eq!(TickFacts::default().data(), []);
        let age = Some(Duration::from_millis(90_400));
        let facts = TickFacts { ticks_stale: 2, config_age: age, ..TickFacts::default() };
        let data = facts.data();
        let told: Vec<_> = data.iter().map(|datum| (datum.name, datum.value)).collect();
        assert_eq!(told, [("TicksStale", 2.0), ("ConfigAge", 90.0)]);
        let facts = TickFacts { events_refused: 1, state_unavailable: 3, ..TickFacts::default() };
        let told: Vec<_> = facts.data().iter().map(|datum| (datum.name, datum.value)).collect();
        assert_eq!(told, [("EventsRefused", 1.0), ("StateUnavailable", 3.0)]);
    }

    #[test]
    fn only_a_tick_of_the_schedule_counts_as_one() {
        let names = |share| {
            let facts = TickFacts { share, ..TickFacts::default() };
            let batch = batch(&report(vec![round()]), &settings(Detail::Fleet), facts);
            batch.data.iter().map(|datum| datum.name).collect::<Vec<_>>()
        };
        let (whole, mut part) = (names(Share::Whole), names(Share::Part));
        part.insert(whole.iter().position(|name| *name == "TickDuration").unwrap(), "TickDuration");
        assert_eq!(part, whole);
    }

    #[test]
    fn requests_keep_the_apis_limits_and_lose_nothing() {
        let datum = |label: &str| Datum {
            name: "Reached",
            unit: Unit::Count,
            dimensions: vec![("Function", label.to_owned()), ("Region", "eu-west-2".to_owned())],
            value: 1.0,
        };
        for (label, least) in [("f".to_owned(), 3), ("f".repeat(5_000), 13)] {
            let data = vec![datum(&label); 2_500];
            let batch = Batch { namespace: "warmd".to_owned(), at: DateTime::UNIX_EPOCH, data };
            let requests = requests(&batch);
            assert!(requests.len() >= least, "{}", requests.len());
            assert_eq!(requests.iter().map(Vec::len).sum::<usize>(), 2_500);
            for request in requests {
                assert!(request.len() <= 1_000);
                assert!(request.iter().map(|datum| datum.dimensions[0].1.len()).sum::<usize>() < 1_000_000);
            }
        }
    }

    #[test]
    fn embedded_metric_lines_are_events_of_one_set_of_dimensions() {
        let batch = batch(&report(vec![round()]), &settings(Detail::Function), TickFacts::default());
        let lines = emf_lines(&batch);
        assert_eq!(lines.len(), 2);
        insta::assert_snapshot!(lines[1], @r#"{"_aws":{"Timestamp":1795165200000,"CloudWatchMetrics":[{"Namespace":"warmd","Dimensions":[["Function","Region"]],"Metrics":[{"Name":"ColdStarts","Unit":"Count"},{"Name":"S3EgressCost","Unit":"None"},{"Name":"WarmingCost","Unit":"None"},{"Name":"Target","Unit":"Count"},{"Name":"Reached","Unit":"Count"}]}]},"Function":"nlp-inference:live","Region":"eu-west-2","ColdStarts":3.0,"S3EgressCost":0.03,"WarmingCost":0.0310026,"Target":10.0,"Reached":9.0}"#);
        let fleet: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(fleet["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        assert_eq!(fleet["Pings"], json!(12.0));
    }

    #[test]
    fn what_may_have_been_counted_is_not_counted_again() {
        let batch = batch(&report(vec![round()]), &settings(Detail::Function), TickFacts::default());
        let lines = plain_lines(&batch);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| !line.contains("_aws")));
        insta::assert_snapshot!(lines[1], @r#"{"timestamp":"2026-11-20T09:00:00.000Z","level":"WARN","message":"metrics not acknowledged","namespace":"warmd","Function":"nlp-inference:live","Region":"eu-west-2","ColdStarts":3.0,"S3EgressCost":0.03,"WarmingCost":0.0310026,"Target":10.0,"Reached":9.0}"#);
    }

    #[test]
    fn an_event_never_holds_a_metric_twice_nor_more_than_a_hundred() {
        let one = |name: &'static str| Datum { name, unit: Unit::Count, dimensions: Vec::new(), value: 0.0 };
        let names: Vec<&'static str> = (0..150).map(|i| &*format!("M{i}").leak()).collect();
        let data = names.iter().map(|name| one(name)).chain([one("M149")]).collect();
        let lines = emf_lines(&Batch { namespace: "warmd".to_owned(), at: DateTime::UNIX_EPOCH, data });
        let sizes = lines.iter().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(!line.contains('\n'));
            event["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len()
        });
        assert_eq!(sizes.collect::<Vec<_>>(), [100, 50, 1]);
    }

    #[test]
    fn the_table_for_the_documentation() {
        insta::assert_snapshot!(markdown_table(), @r"
        | Metric | Unit | Sent | Meaning |
        |---|---|---|---|
        | `Pings` | Count | fleet | pings sent, top-ups included |
        | `ColdStarts` | Count | fleet, target | pings that made a new environment, restored ones included |
        | `Throttles` | Count | fleet | pings that Lambda throttled |
        | `Errors` | Count | fleet | pings that failed otherwise: function errors, time-outs, denied, not found, network and service |
        | `RoundsShort` | Count | fleet | rounds with the verdict `short` |
        | `S3EgressBytes` | Bytes | fleet | bytes that the pings made functions read from S3 |
        | `S3EgressCost` | None | fleet, target | US dollars for those bytes, as far as known |
        | `WarmingCost` | None | fleet, target | US dollars for requests, compute, S3 requests and S3 egress, as far as known |
        | `TickDuration` | Milliseconds | fleet | how long the tick took; of scheduled ticks only (from cron: `run --once --due-only`), not of shards, requests and operators' rounds |
        | `Functions` | Count | fleet | targets that were due, skipped rounds included |
        | `CostUnknown` | Count | fleet, when not 0 | rounds of which the cost is not fully known |
        | `RoundsUnfinished` | Count | fleet, when not 0 | rounds that were due and have no result: not sent in time, or not answered before the tick had to end |
        | `TicksStale` | Count | fleet, when not 0 | events that came too late to be served: of the schedule, shards and Warm Requests; nothing was sent for them |
        | `EventsRefused` | Count | fleet, when not 0 | events that were refused, with the reason in the log: of no known kind, with mistakes, not allowed, or with a time more than a minute ahead; nothing was sent for them |
        | `StateUnavailable` | Count | fleet, when not 0 | ticks, shards and requests for which the state store could not be read or written, with the reason in the log |
        | `ConfigAge` | Seconds | fleet, when not 0 | how long the configuration in force has not been what its source says, because that is refused or cannot be read |
        | `Target` | Count | target | environments wanted |
        | `Reached` | Count | target | environments proven; not sent when unknown |
        ");
    }
}
