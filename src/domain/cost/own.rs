//! What warmd itself costs.

use std::time::Duration;

use rust_decimal::Decimal;

use super::super::fleet::Architecture;
use super::super::function::Region;
use super::super::metrics::{Detail, Metric, Scope};
use super::bill::Bill;
use super::book::PriceBook;
use super::item::Item;
use super::{gb, gb_seconds, milliseconds, months};

/// What warmd itself does over a plan's time, when it runs as the Lambda of its template.
#[derive(Debug, Clone, Copy)]
pub struct OwnUse {
    /// Where warmd runs.
    pub region: Region,
    /// The plan's length.
    pub horizon: Duration,
    /// Rounds in it, of all targets.
    pub rounds: u64,
    /// Those of them that make new environments.
    pub cold_rounds: u64,
    /// How long making an environment takes, at most.
    pub init: Duration,
    /// Targets.
    pub targets: u64,
    /// Whether each target has metrics of its own.
    pub detail: Detail,
}

/// Memory of warmd's Lambda, MB: the default of `template.yaml`, one core.
const MEMORY_MB: u32 = 1_769;
/// Data that one PutMetricData request takes. Source: the service's quota.
const DATA_PER_REQUEST: u64 = 1_000;
/// Dashboards of `template.yaml`. A test counts them, and the next, there.
const DASHBOARDS: u64 = 1;
/// Metrics that the alarms of `template.yaml` watch: an alarm on an expression is billed once for each metric in it.
/// Source: Amazon CloudWatch pricing, which is per alarm metric.
const ALARM_METRICS: u64 = 11;

/// Assumed: a tick in which nothing is due reads a cached configuration and sends one PutMetricData request, which
/// takes tens of milliseconds from within the region.
const QUIET_TICK: Duration = Duration::from_millis(50);
/// Assumed: a tick with rounds waits besides for the slowest ping, which is held for 100 ms at first and for less once
/// the skew is known. New environments add their initialisation.
const BUSY_TICK: Duration = Duration::from_millis(250);
/// Bytes of a tick's log without its rounds: the tick object in a line of JSON, and Lambda's start and report lines.
const LOG_BYTES_PER_TICK: u64 = 1_000;
/// Bytes that one round adds: its record in the tick object, and a log line. A test holds this against a real record.
const LOG_BYTES_PER_ROUND: u64 = 900;

/// What warmd's own Lambda, metrics, dashboard, alarms, logs and schedule cost. An estimate at list prices: the free
/// tier, which an account has once, is not taken off, and ticks count as custom events, the most they can cost.
pub fn own_cost(book: &PriceBook, own: &OwnUse) -> Bill {
    let region = own.region;
    let ticks = own.horizon.as_secs() / 60;
    let busy = own.rounds.min(ticks);
    // Rounds of one tick wait side by side.
    let cold = own.cold_rounds.min(busy);
    let ran = |ticks: u64, each| Decimal::from(ticks).saturating_mul(milliseconds(each));
    let ran = ran(busy, BUSY_TICK)
        .saturating_add(ran(ticks - busy, QUIET_TICK))
        .saturating_add(ran(cold, own.init));
    let mut bill = Bill::default();
    let mut add = |name: &str, item: Item, quantity| {
        bill.add(book, format!("warmd itself: {name}"), (&item, region), quantity, Decimal::ZERO);
    };
    add("Lambda requests", Item::Requests, Decimal::from(ticks));
    add("Lambda compute arm64", Item::Duration(Architecture::Arm64), gb_seconds(ran, MEMORY_MB));

    let (of_fleet, of_target) = (Metric::count(Scope::is_every_tick), Metric::count(Scope::is_target));
    let (metrics, data_per_tick) = match own.detail {
        Detail::Fleet => (of_fleet, of_fleet),
        Detail::Function => {
            let of_rounds = own.rounds.saturating_mul(of_target).checked_div(ticks).unwrap_or(0);
            (
                own.targets.saturating_mul(of_target).saturating_add(of_fleet),
                of_rounds.saturating_add(of_fleet),
            )
        }
    };
    let held = |count: u64| Decimal::from(count).saturating_mul(months(own.horizon));
    add("CloudWatch metrics", Item::Metrics, held(metrics));
    add("CloudWatch dashboards", Item::Dashboards, held(DASHBOARDS));
    add("CloudWatch alarms", Item::Alarms, held(ALARM_METRICS));
    let puts = ticks.saturating_mul(data_per_tick.div_ceil(DATA_PER_REQUEST));
    add("PutMetricData requests", Item::PutRequests, Decimal::from(puts));
    let log_bytes = ticks
        .saturating_mul(LOG_BYTES_PER_TICK)
        .saturating_add(own.rounds.saturating_mul(LOG_BYTES_PER_ROUND));
    add("CloudWatch Logs", Item::LogGb, gb(log_bytes));
    add("EventBridge events", Item::Events, Decimal::from(ticks));
    bill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cost::{Download, Per, RoundQuantities, Route, round_cost, s3_quantities};
    use crate::domain::fleet::Target;
    use crate::domain::round::{Evidence, Known, RoundReport, Verdict};
    use crate::domain::tick::{RoundRecord, SentRound};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn own() -> OwnUse {
        OwnUse {
            region: Region::parse("us-east-1").unwrap(),
            horizon: 730 * HOUR,
            rounds: 2_080,
            cold_rounds: 100,
            init: Duration::from_secs(10),
            targets: 1,
            detail: Detail::Fleet,
        }
    }

    #[test]
    fn what_warmd_itself_costs_in_a_month() {
        let bill = own_cost(&PriceBook::embedded(), &own());
        let lines = bill
            .lines
            .iter()
            .map(|line| format!("{}: {} {} {}", line.item, line.quantity, line.unit, line.amount().unwrap()));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        warmd itself: Lambda requests: 43800 request 0.01
        warmd itself: Lambda compute arm64, first 7.5 billion GB-s: 6229.505859375 GB-s 0.08
        warmd itself: CloudWatch metrics, first 10,000 metric-months: 10 metric-month 3.00
        warmd itself: CloudWatch dashboards: 1 dashboard-month 3.00
        warmd itself: CloudWatch alarms: 11 alarm-month 1.10
        warmd itself: PutMetricData requests: 43800 request 0.44
        warmd itself: CloudWatch Logs: 0.042535364627838134765625 GB 0.02
        warmd itself: EventBridge events: 43800 event 0.04
        ");
        let detailed =
            own_cost(&PriceBook::embedded(), &OwnUse { detail: Detail::Function, targets: 200, ..own() });
        let metrics = detailed.lines.iter().find(|line| line.item.contains("metrics")).unwrap();
        assert_eq!(metrics.amount().unwrap().to_string(), "303.00");
        let nothing = OwnUse { horizon: Duration::ZERO, rounds: 0, ..own() };
        assert_eq!(own_cost(&PriceBook::embedded(), &nothing).total().unwrap().to_string(), "0.00");
    }

    #[test]
    fn a_round_writes_about_as_many_bytes_as_is_assumed() {
        let downloads = vec![Download {
            object: "s3://models/nlp-v7.bin".to_owned(),
            size_bytes: 220_000_000,
            route: Route::NatGateway,
            per: Per::ColdStart,
        }];
        let target = Target::example("nlp-inference:live", "eu-west-2", downloads);
        let used = RoundQuantities {
            requests: Some(10),
            billed_ms: Some(12_345),
            memory_mb: Some(1_024),
            s3: s3_quantities(&target.downloads, 10, Some(10)),
            ..RoundQuantities::default()
        };
        let (cost, cost_unknown) =
            round_cost(&PriceBook::embedded(), target.region(), target.architecture, &used);
        let report = RoundReport {
            pings: 10,
            reached: Some(10),
            evidence: Evidence::Overlap,
            verdict: Verdict::Reached,
            versions: vec!["7".to_owned()],
            hold: Some(Duration::from_millis(25)),
            skew: Some(Duration::from_micros(3_100)),
            billed_ms: used.billed_ms,
            ..RoundReport::new(10, &[], true, Known::default())
        };
        let sent = SentRound { report, s3: used.s3.clone(), cost, cost_unknown, quiet_for: None };
        let record = RoundRecord::sent_to(&target, 10, sent, &used);
        // The record, and a line such as `{"timestamp":…,"level":"INFO","fields":{"message":"round done",…},"target":…}`.
        let record = serde_json::to_string(&record).unwrap().len() as u64;
        let line = 300;
        let assumed = LOG_BYTES_PER_ROUND;
        assert!((assumed * 8 / 10..=assumed * 12 / 10).contains(&(record + line)), "{record}");
    }
}
