//! The metric data of a tick: PutMetricData requests, and the log lines for data that CloudWatch did not acknowledge.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};

use super::capacity::CapacityReport;
use super::coverage::Minutes;
use super::fleet::MetricsSettings;
use super::function::Identity;
use super::metrics::{Detail, Metric, Unit};
use super::round::Verdict;
use super::tick::{RoundRecord, TickReport, Unfinished, UnfinishedReason};

/// The maximum number of values in one PutMetricData request. Source: the CloudWatch API reference.
const REQUEST_DATA: usize = 1_000;
/// The maximum size in bytes of one request, uncompressed. The API takes 1 MB, headers included.
const REQUEST_BYTES: usize = 900_000;
/// The maximum number of metrics in one embedded-metric event. Source: the embedded metric format specification.
const EVENT_METRICS: usize = 100;

/// The dimensions of the metrics of a target.
pub const DIMENSIONS: [&str; 2] = [FUNCTION, REGION];
const FUNCTION: &str = "Function";
const REGION: &str = "Region";

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
    /// Returns an upper estimate of the datum's bytes in a request: its texts, and 150 for keys, timestamp and value.
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

/// Returns the data of one tick: the values of the fleet, and with [`Detail::Function`] those of each target. Unknown
/// values are left out, and so are those of capacity without a record of capacity. `coverage` has the minutes that the
/// tick has judged.
pub fn batch(
    report: &TickReport,
    settings: &MetricsSettings,
    facts: TickFacts,
    coverage: &BTreeMap<Identity, Minutes>,
) -> Batch {
    let judged: Minutes = coverage.values().copied().sum();
    let fleet = Metric::ALL.iter().filter_map(|&metric| {
        let value = minutes_value(metric, judged).or_else(|| fleet_value(metric, report, facts))?;
        let scope = metric.scope();
        let is_sent = scope.is_every_tick() || scope.is_capacity() || scope.is_coverage() || value != 0.0;
        is_sent.then(|| datum(metric, Vec::new(), value))
    });
    let mut data: Vec<Datum> = fleet.collect();
    if settings.detail == Detail::Function {
        let mut add = |id: &Identity, value: &dyn Fn(Metric) -> Option<f64>| {
            let dimensions = [(FUNCTION, id.shown()), (REGION, id.region.to_string())];
            let values = Metric::ALL.iter().filter_map(|&metric| Some((metric, value(metric)?)));
            data.extend(values.map(|(metric, value)| datum(metric, dimensions.to_vec(), value)));
        };
        for round in &report.rounds {
            add(&round.id, &|metric| target_value(metric, round));
        }
        for capacity in &report.capacity {
            add(&capacity.id, &|metric| capacity_value(metric, capacity));
        }
        for (id, minutes) in coverage {
            add(id, &|metric| minutes_value(metric, *minutes));
        }
    }
    Batch { namespace: settings.namespace.clone(), at: report.tick, data }
}

/// The part of a scheduled tick that a report covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TickScope {
    /// A tick of the schedule. It counts as one.
    #[default]
    Whole,
    /// A shard of a tick, or rounds outside the schedule: those of a request or an operator. Its duration is
    /// not sent, because the number of durations is the number of ticks.
    Part,
}

/// Facts about a moment that are not in the report of its tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickFacts {
    /// The part of a tick that the report covers.
    pub scope: TickScope,
    /// Events that were too old to be served.
    pub ticks_stale: u32,
    /// Events that were refused.
    pub events_refused: u32,
    /// Ticks, shards and requests without the state store.
    pub state_unavailable: u32,
    /// Batches of metrics that were dropped from the spool.
    pub metrics_dropped: u32,
    /// The levels of budgets that were reached at this tick.
    pub budgets_exceeded: u32,
    /// The time for which the configuration in use has been older than its source; `None` if it is up to date.
    pub config_age: Option<Duration>,
}

impl TickFacts {
    /// Returns the data of the facts that are not zero, for a moment without a tick.
    pub fn data(self) -> Vec<Datum> {
        let values = Metric::ALL.iter().filter_map(|&metric| Some((metric, self.value(metric)?)));
        values
            .filter(|(_, value)| *value != 0.0)
            .map(|(metric, value)| datum(metric, Vec::new(), value))
            .collect()
    }

    fn value(self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::TicksStale => Some(f64::from(self.ticks_stale)),
            Metric::EventsRefused => Some(f64::from(self.events_refused)),
            Metric::StateUnavailable => Some(f64::from(self.state_unavailable)),
            Metric::MetricsDropped => Some(f64::from(self.metrics_dropped)),
            Metric::BudgetExceeded => Some(f64::from(self.budgets_exceeded)),
            // At least 1: the alarm needs a value from the first tick on.
            Metric::ConfigAge => self.config_age.map(|age| age.as_secs_f64().round().max(1.0)),
            _ => None,
        }
    }
}

fn datum(metric: Metric, dimensions: Vec<(&'static str, String)>, value: f64) -> Datum {
    Datum { name: metric.name(), unit: metric.unit(), dimensions, value }
}

fn fleet_value(metric: Metric, report: &TickReport, facts: TickFacts) -> Option<f64> {
    let TickReport { rounds, unfinished, .. } = report;
    let count =
        |of: fn(&RoundRecord) -> u32| rounds.iter().map(|round| u64::from(of(round))).sum::<u64>() as f64;
    let dollars = |of: fn(&RoundRecord) -> Option<Decimal>| -> f64 {
        dollars(rounds.iter().filter_map(of).fold(Decimal::ZERO, Decimal::saturating_add))
    };
    let number = |of: fn(&RoundRecord) -> bool| rounds.iter().filter(|round| of(round)).count() as f64;
    let left = |of: fn(&Unfinished) -> bool| unfinished.iter().filter(|left| of(left)).count() as f64;
    Some(match metric {
        Metric::Pings => count(RoundRecord::pings) + report.unreported_pings() as f64,
        Metric::ColdStarts => count(|round| round.counts().cold_starts()),
        Metric::SemiColdStarts => count(|round| round.counts().semi_cold.unwrap_or(0)),
        Metric::Restores => count(|round| round.counts().restored),
        Metric::ProactiveInits => count(|round| round.counts().preinitialized),
        Metric::Throttles => count(|round| round.counts().throttled),
        Metric::Errors => count(|round| round.counts().errors()),
        Metric::RoundsShort => number(|round| round.verdict() == Verdict::Short),
        Metric::RoundsUnsafe => number(|round| round.verdict() == Verdict::Unsafe),
        Metric::S3EgressBytes => {
            rounds.iter().filter_map(RoundRecord::s3_bytes).fold(0, u64::saturating_add) as f64
        }
        Metric::S3EgressCost => dollars(|round| round.cost().s3_egress),
        Metric::WarmingCost => dollars(|round| round.cost().total),
        Metric::TickDuration if facts.scope == TickScope::Part => return None,
        Metric::TickDuration => report.duration_ms as f64,
        Metric::Functions => rounds.len() as f64,
        Metric::CostUnknown => {
            number(|round| round.cost().total.is_none()) + left(|left| left.reason.may_have_sent())
        }
        Metric::RoundsUnfinished => left(|left| left.reason != UnfinishedReason::HandedOn),
        Metric::PipelinesCold => {
            report.pipelines.iter().filter(|pipeline| pipeline.warm == Some(false)).count() as f64
        }
        Metric::TicksStale
        | Metric::EventsRefused
        | Metric::StateUnavailable
        | Metric::MetricsDropped
        | Metric::BudgetExceeded
        | Metric::ConfigAge => return facts.value(metric),
        Metric::Target | Metric::Reached => return None,
        Metric::WindowMinutes | Metric::WarmMinutes | Metric::UnknownMinutes => return None,
        Metric::CapacityDesired | Metric::CapacityAvailable | Metric::CapacityCost => {
            let values = report.capacity.iter().filter_map(|capacity| capacity_value(metric, capacity));
            return values.reduce(|sum, value| sum + value);
        }
    })
}

/// Returns the value of a metric of coverage. Those of no minutes are not sent: a metric whose sum is missing has no
/// effect on an alarm.
fn minutes_value(metric: Metric, minutes: Minutes) -> Option<f64> {
    let Minutes { window, warm, unknown, .. } = minutes;
    match metric {
        Metric::WindowMinutes => (window > 0).then_some(window as f64),
        Metric::WarmMinutes => (window > 0).then_some(warm as f64),
        Metric::UnknownMinutes => (unknown > 0).then_some(unknown as f64),
        _ => None,
    }
}

fn capacity_value(metric: Metric, capacity: &CapacityReport) -> Option<f64> {
    match metric {
        Metric::CapacityDesired => Some(f64::from(capacity.desired)),
        Metric::CapacityAvailable => capacity.available.map(f64::from),
        Metric::CapacityCost => capacity.cost_usd.map(dollars),
        _ => None,
    }
}

fn target_value(metric: Metric, round: &RoundRecord) -> Option<f64> {
    match metric {
        Metric::Pings => Some(f64::from(round.pings())),
        Metric::Target => Some(f64::from(round.desired)),
        Metric::Reached => round.reached().map(f64::from),
        Metric::ColdStarts => Some(f64::from(round.counts().cold_starts())),
        Metric::RoundsShort => (round.verdict() == Verdict::Short).then_some(1.0),
        Metric::RoundsUnsafe => (round.verdict() == Verdict::Unsafe).then_some(1.0),
        Metric::ProactiveInits => {
            Some(round.counts().preinitialized).filter(|number| *number > 0).map(f64::from)
        }
        Metric::S3EgressCost => round.cost().s3_egress.map(dollars),
        Metric::WarmingCost => round.cost().total.map(dollars),
        _ => None,
    }
}

/// Converts money to the binary value that CloudWatch takes. It is decimal everywhere else.
fn dollars(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(0.0)
}

/// Splits the batch into requests within CloudWatch's limits: at most 1,000 data and 1 MB each.
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

/// Returns the batch in the embedded metric format: one line of JSON for each set of dimensions and each hundred
/// metrics. CloudWatch Logs extracts metrics from such lines, also while the metrics API is unavailable.
pub fn emf_lines(batch: &Batch) -> Vec<String> {
    events(batch).iter().map(|event| emf_line(batch, event)).collect()
}

/// Groups the data by line: one set of dimensions each, no metric twice, at most a hundred metrics.
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

/// Returns a batch that CloudWatch may have counted as plain JSON: the values of the embedded metric format without its
/// `_aws` block, so that CloudWatch Logs does not count them again. Each line is one object with `timestamp` (of the
/// data), `level`, `message` and `namespace`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cost::{Download, Per, RoundCost, RoundQuantities, Route, s3_quantities};
    use crate::domain::fleet::Target;
    use crate::domain::function::Region;
    use crate::domain::metrics::Scope;
    use crate::domain::pipeline::PipelineReport;
    use crate::domain::round::{Evidence, Known, OutcomeCounts, RoundReport};
    use crate::domain::tick::{SentRound, SkipReason};

    const NOTHING: BTreeMap<Identity, Minutes> = BTreeMap::new();

    fn sent() -> SentRound {
        let cost = |text: &str| Some(text.parse().unwrap());
        let download = Download::example(Route::NatGateway, Per::ColdStart);
        SentRound {
            report: RoundReport {
                pings: 12,
                reached: Some(9),
                evidence: Evidence::Ids,
                verdict: Verdict::Short,
                counts: OutcomeCounts {
                    warm: 1,
                    cold: 2,
                    semi_cold: Some(1),
                    preinitialized: 2,
                    restored: 1,
                    throttled: 1,
                    function_errors: 1,
                    timed_out: 1,
                    denied: 1,
                    not_found: 1,
                    failed: 2,
                    unclassified: 1,
                },
                ..RoundReport::new(10, &[], true, Known::default())
            },
            s3: s3_quantities(&[download], 12, Some(3)),
            cost: RoundCost {
                requests: cost("0.0000014"),
                compute: cost("0.001"),
                s3_requests: cost("0.0000012"),
                s3_egress: cost("0.03"),
                total: cost("0.0310026"),
                ..RoundCost::default()
            },
            cost_unknown: Vec::new(),
            quiet_for: None,
            contact: None,
            versions: Vec::new(),
            through_alias: None,
        }
    }

    fn record(function: &str, sent: SentRound) -> RoundRecord {
        RoundRecord::sent_to(&target(function), 10, sent, &RoundQuantities::default())
    }

    fn target(function: &str) -> Target {
        Target::example(function, "eu-west-2", Vec::new())
    }

    fn round() -> RoundRecord {
        record("nlp-inference:live", sent())
    }

    fn unknown() -> RoundRecord {
        let mut sent = sent();
        sent.report = RoundReport { reached: None, verdict: Verdict::Unproven, ..sent.report };
        record("nlp-inference", SentRound { s3: None, cost: RoundCost::default(), ..sent })
    }

    fn report(rounds: Vec<RoundRecord>) -> TickReport {
        let tick = "2026-11-20T09:00:00Z".parse().unwrap();
        TickReport { duration_ms: 512, rounds, ..TickReport::empty(tick, None) }
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
    fn a_tick_without_rounds_has_the_metrics_of_every_tick() {
        insta::assert_snapshot!(shown(&batch(&report(Vec::new()), &settings(Detail::Function), TickFacts::default(), &NOTHING)), @r"
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

    fn pipeline(warm: Option<bool>) -> PipelineReport {
        let region = Region::parse("eu-west-2").unwrap();
        PipelineReport { name: "nlp".to_owned(), region, warm, cold_stages: Vec::new() }
    }

    #[test]
    fn cold_pipelines_are_counted_if_there_are_any() {
        let count = |warm: &[Option<bool>]| {
            let pipelines = warm.iter().copied().map(pipeline).collect();
            let report = TickReport { pipelines, ..report(Vec::new()) };
            let batch = batch(&report, &settings(Detail::Fleet), TickFacts::default(), &NOTHING);
            batch.data.iter().find(|datum| datum.name == "PipelinesCold").map(|datum| datum.value)
        };
        assert_eq!(count(&[Some(false), Some(true), None, Some(false)]), Some(2.0));
        assert_eq!((count(&[Some(true), None]), count(&[])), (None, None));
    }

    #[test]
    fn fleet_values_are_sums_of_those_of_targets() {
        let batch = batch(
            &report(vec![round(), unknown()]),
            &settings(Detail::Function),
            TickFacts::default(),
            &NOTHING,
        );
        insta::assert_snapshot!(shown(&batch), @"
        Pings 24 Count
        ColdStarts 6 Count
        SemiColdStarts 2 Count
        Restores 2 Count
        ProactiveInits 4 Count
        Throttles 2 Count
        Errors 12 Count
        RoundsShort 1 Count
        S3EgressBytes 660000000 Bytes
        S3EgressCost 0.03 None
        WarmingCost 0.0310026 None
        TickDuration 512 Milliseconds
        Functions 2 Count
        CostUnknown 1 Count
        Pings 12 Count Function=nlp-inference:live Region=eu-west-2
        ColdStarts 3 Count Function=nlp-inference:live Region=eu-west-2
        ProactiveInits 2 Count Function=nlp-inference:live Region=eu-west-2
        RoundsShort 1 Count Function=nlp-inference:live Region=eu-west-2
        S3EgressCost 0.03 None Function=nlp-inference:live Region=eu-west-2
        WarmingCost 0.0310026 None Function=nlp-inference:live Region=eu-west-2
        Target 10 Count Function=nlp-inference:live Region=eu-west-2
        Reached 9 Count Function=nlp-inference:live Region=eu-west-2
        Pings 12 Count Function=nlp-inference Region=eu-west-2
        ColdStarts 3 Count Function=nlp-inference Region=eu-west-2
        ProactiveInits 2 Count Function=nlp-inference Region=eu-west-2
        Target 10 Count Function=nlp-inference Region=eu-west-2
        ");
    }

    fn capacity(function: &str, desired: u32, available: Option<u32>, cost: Option<&str>) -> CapacityReport {
        let cost_usd = cost.map(|cost| cost.parse().unwrap());
        CapacityReport { available, cost_usd, ..CapacityReport::new(&target(function), desired) }
    }

    #[test]
    fn capacity_has_metrics_of_its_own_even_if_they_are_zero() {
        let shown_with = |detail, capacity| {
            let batch = batch(
                &TickReport { capacity, ..report(Vec::new()) },
                &settings(detail),
                TickFacts::default(),
                &NOTHING,
            );
            let of_capacity = |datum: &&Datum| datum.name.starts_with("Capacity");
            shown(&Batch { data: batch.data.iter().filter(of_capacity).cloned().collect(), ..batch })
        };
        assert_eq!(shown_with(Detail::Function, Vec::new()), "");
        let records =
            vec![capacity("a:live", 10, Some(8), Some("0.0125")), capacity("b:live", 5, None, None)];
        insta::assert_snapshot!(shown_with(Detail::Function, records), @r"
        CapacityDesired 15 Count
        CapacityAvailable 8 Count
        CapacityCost 0.0125 None
        CapacityDesired 10 Count Function=a:live Region=eu-west-2
        CapacityAvailable 8 Count Function=a:live Region=eu-west-2
        CapacityCost 0.0125 None Function=a:live Region=eu-west-2
        CapacityDesired 5 Count Function=b:live Region=eu-west-2
        ");
        insta::assert_snapshot!(shown_with(Detail::Fleet, vec![capacity("a:live", 0, Some(0), None)]), @"
        CapacityDesired 0 Count
        CapacityAvailable 0 Count
        ");
    }

    #[test]
    fn the_fleet_alone_has_no_dimensions() {
        let batch = batch(&report(vec![round()]), &settings(Detail::Fleet), TickFacts::default(), &NOTHING);
        // Three kinds of new environments are not zero.
        assert_eq!(batch.data.len() as u64, Metric::count(Scope::is_every_tick) + 3);
        assert!(batch.data.iter().all(|datum| datum.dimensions.is_empty()));
    }

    #[test]
    fn the_cost_of_a_skipped_round_is_known() {
        let skipped = RoundRecord::skipped(&target("f"), 10, SkipReason::Paused);
        let batch = batch(&report(vec![skipped]), &settings(Detail::Fleet), TickFacts::default(), &NOTHING);
        assert!(batch.data.iter().all(|datum| datum.name != "CostUnknown"));
    }

    #[test]
    fn every_metric_is_sent_in_its_scope() {
        let facts = TickFacts {
            scope: TickScope::Whole,
            ticks_stale: 2,
            events_refused: 1,
            state_unavailable: 1,
            metrics_dropped: 1,
            budgets_exceeded: 1,
            config_age: Some(Duration::from_millis(90_400)),
        };
        let minutes = Minutes { window: 5, warm: 0, unknown: 1, capped: 0 };
        let coverage = BTreeMap::from([(target("f").id, minutes)]);
        let mut report = report(vec![round(), unknown()]);
        let target = target("f");
        report.unfinished.push(Unfinished::new(&target, 7, UnfinishedReason::InFlight));
        report.rounds.push(RoundRecord::skipped(&target, 3, SkipReason::Unsafe));
        report.capacity.push(capacity("g:live", 10, Some(8), Some("0.0125")));
        report.pipelines.push(pipeline(Some(false)));
        let batch = batch(&report, &settings(Detail::Function), facts, &coverage);
        for metric in Metric::ALL {
            let sent = |fleet: bool| {
                batch
                    .data
                    .iter()
                    .any(|datum| datum.name == metric.name() && datum.dimensions.is_empty() == fleet)
            };
            let scope = metric.scope();
            let expected =
                (scope != Scope::Target, scope.is_target() || scope.is_capacity() || scope.is_coverage());
            assert_eq!((sent(true), sent(false)), expected, "{}", metric.name());
        }
    }

    #[test]
    fn the_minutes_of_coverage_are_sent_if_there_are_any() {
        let sent = |minutes: &[(&str, Minutes)]| {
            let coverage = minutes.iter().map(|(name, minutes)| (target(name).id, *minutes)).collect();
            let settings = settings(Detail::Function);
            let batch = batch(&report(Vec::new()), &settings, TickFacts::default(), &coverage);
            let of_coverage = |datum: &&Datum| datum.name.ends_with("Minutes");
            shown(&Batch { data: batch.data.iter().filter(of_coverage).cloned().collect(), ..batch })
        };
        assert_eq!(sent(&[]), "");
        let cold = Minutes { window: 5, ..Minutes::default() };
        let warm = Minutes { window: 4, warm: 4, ..Minutes::default() };
        let unknown = Minutes { unknown: 3, ..Minutes::default() };
        insta::assert_snapshot!(sent(&[("cold", cold), ("warm", warm), ("unknown", unknown)]), @"
        WindowMinutes 9 Count
        WarmMinutes 4 Count
        UnknownMinutes 3 Count
        WindowMinutes 5 Count Function=cold Region=eu-west-2
        WarmMinutes 0 Count Function=cold Region=eu-west-2
        UnknownMinutes 3 Count Function=unknown Region=eu-west-2
        WindowMinutes 4 Count Function=warm Region=eu-west-2
        WarmMinutes 4 Count Function=warm Region=eu-west-2
        ");
    }

    #[test]
    fn rounds_without_a_result_count_as_pings_of_unknown_cost() {
        let target = target("f");
        let mut report = report(vec![round()]);
        let value = |report: &TickReport, metric| fleet_value(metric, report, TickFacts::default()).unwrap();
        let pings = value(&report, Metric::Pings);
        assert_eq!(value(&report, Metric::RoundsUnfinished), 0.0);
        for (reason, sent, unfinished) in [
            (UnfinishedReason::InFlight, true, true),
            (UnfinishedReason::Unexpected, true, true),
            (UnfinishedReason::Deadline, false, true),
            (UnfinishedReason::TooLarge, false, true),
            (UnfinishedReason::HandedOn, false, false),
        ] {
            report.unfinished = vec![Unfinished::new(&target, 7, reason)];
            let more = if sent { 7.0 } else { 0.0 };
            assert_eq!(value(&report, Metric::Pings), pings + more, "{reason:?}");
            assert_eq!(value(&report, Metric::CostUnknown), f64::from(u8::from(sent)), "{reason:?}");
            assert_eq!(
                value(&report, Metric::RoundsUnfinished),
                f64::from(u8::from(unfinished)),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn facts_are_sent_unless_they_are_zero() {
        assert_eq!(TickFacts::default().data(), []);
        let age = Some(Duration::from_millis(90_400));
        let facts = TickFacts { ticks_stale: 2, config_age: age, ..TickFacts::default() };
        let data = facts.data();
        let sent: Vec<_> = data.iter().map(|datum| (datum.name, datum.value)).collect();
        assert_eq!(sent, [("TicksStale", 2.0), ("ConfigAge", 90.0)]);
        let facts = TickFacts { config_age: Some(Duration::ZERO), ..TickFacts::default() };
        assert_eq!(facts.data()[0].value, 1.0);
        let facts = TickFacts { events_refused: 1, state_unavailable: 3, ..TickFacts::default() };
        let sent: Vec<_> = facts.data().iter().map(|datum| (datum.name, datum.value)).collect();
        assert_eq!(sent, [("EventsRefused", 1.0), ("StateUnavailable", 3.0)]);
    }

    #[test]
    fn only_a_whole_tick_has_a_duration() {
        let names = |scope| {
            let facts = TickFacts { scope, ..TickFacts::default() };
            let batch = batch(&report(vec![round()]), &settings(Detail::Fleet), facts, &NOTHING);
            batch.data.iter().map(|datum| datum.name).collect::<Vec<_>>()
        };
        let (whole, mut part) = (names(TickScope::Whole), names(TickScope::Part));
        part.insert(whole.iter().position(|name| *name == "TickDuration").unwrap(), "TickDuration");
        assert_eq!(part, whole);
    }

    #[test]
    fn requests_are_within_the_limits_and_complete() {
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
    fn an_embedded_metric_line_has_one_set_of_dimensions() {
        let batch =
            batch(&report(vec![round()]), &settings(Detail::Function), TickFacts::default(), &NOTHING);
        let lines = emf_lines(&batch);
        assert_eq!(lines.len(), 2);
        insta::assert_snapshot!(lines[1], @r#"{"_aws":{"Timestamp":1795165200000,"CloudWatchMetrics":[{"Namespace":"warmd","Dimensions":[["Function","Region"]],"Metrics":[{"Name":"Pings","Unit":"Count"},{"Name":"ColdStarts","Unit":"Count"},{"Name":"ProactiveInits","Unit":"Count"},{"Name":"RoundsShort","Unit":"Count"},{"Name":"S3EgressCost","Unit":"None"},{"Name":"WarmingCost","Unit":"None"},{"Name":"Target","Unit":"Count"},{"Name":"Reached","Unit":"Count"}]}]},"Function":"nlp-inference:live","Region":"eu-west-2","Pings":12.0,"ColdStarts":3.0,"ProactiveInits":2.0,"RoundsShort":1.0,"S3EgressCost":0.03,"WarmingCost":0.0310026,"Target":10.0,"Reached":9.0}"#);
        let fleet: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(fleet["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        assert_eq!(fleet["Pings"], json!(12.0));
    }

    #[test]
    fn plain_lines_are_not_counted() {
        let batch =
            batch(&report(vec![round()]), &settings(Detail::Function), TickFacts::default(), &NOTHING);
        let lines = plain_lines(&batch);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| !line.contains("_aws")));
        insta::assert_snapshot!(lines[1], @r#"{"timestamp":"2026-11-20T09:00:00.000Z","level":"WARN","message":"metrics not acknowledged","namespace":"warmd","Function":"nlp-inference:live","Region":"eu-west-2","Pings":12.0,"ColdStarts":3.0,"ProactiveInits":2.0,"RoundsShort":1.0,"S3EgressCost":0.03,"WarmingCost":0.0310026,"Target":10.0,"Reached":9.0}"#);
    }

    #[test]
    fn an_event_has_each_metric_once_and_at_most_a_hundred() {
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
}
