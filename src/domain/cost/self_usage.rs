//! The cost of warmd itself.

use std::time::Duration;

use rust_decimal::Decimal;

use super::bill::{Bill, BillLine};
use super::item::Item;
use super::price_book::PriceBook;
use super::{gb_seconds, gib, milliseconds, months};
use crate::domain::function::{Architecture, Region};
use crate::domain::metrics::{Detail, Metric, Scope};

/// The usage of warmd itself over the period of a plan, as the Lambda of its template.
#[derive(Debug, Clone, Copy)]
pub struct SelfUsage {
    /// The region of warmd.
    pub region: Region,
    /// The length of the period.
    pub horizon: Duration,
    /// The number of rounds of all targets.
    pub rounds: u64,
    /// The number of rounds that create environments.
    pub cold_rounds: u64,
    /// The maximum time to create an environment.
    pub init: Duration,
    /// The number of targets.
    pub targets: u64,
    /// The number of targets with capacity.
    pub capacity_targets: u64,
    /// The metrics read with GetMetricData: each minute one for each scalable target whose capacity may be above its
    /// minimum, and each metric of a backlog.
    pub metric_reads: u64,
    /// The detail of the metrics.
    pub detail: Detail,
    /// True if the fleet has budgets, whose spending is in the state store.
    pub has_budgets: bool,
}

/// Memory of warmd's Lambda in MB: the default of `template.yaml`, one vCPU.
const MEMORY_MB: u32 = 1_769;
/// Metric data in a PutMetricData request. Source: the service quota.
const DATA_PER_REQUEST: u64 = 1_000;
/// Dashboards in `template.yaml`. A test compares this and the next two constants with the template.
const DASHBOARDS: u64 = 1;
/// Metrics of the alarms in `template.yaml`. An alarm on an expression is billed for each of its metrics. Source:
/// Amazon CloudWatch pricing.
const ALARM_METRICS: u64 = 24;
/// Composite alarms in `template.yaml`.
const COMPOSITE_ALARMS: u64 = 2;
/// The beginning of the names of lines.
const SELF: &str = "warmd itself: ";
/// The services and operations of observing.
const OBSERVING: [&str; 3] = ["CloudWatch ", "PutMetricData ", "GetMetricData "];

/// The assumed duration of a tick without rounds: it reads a cached configuration and sends one PutMetricData request,
/// which takes tens of milliseconds within the region.
const QUIET_TICK: Duration = Duration::from_millis(50);
/// The assumed duration of a tick with rounds: it also waits for the slowest ping, which is held for 100 ms at first
/// and for less once the skew is known. The init time of new environments is added.
const BUSY_TICK: Duration = Duration::from_millis(250);
/// Bytes of a tick's log without rounds: the tick object as a line of JSON, and Lambda's START, END and REPORT lines.
const LOG_BYTES_PER_TICK: u64 = 1_000;
/// Bytes that a round adds: its record in the tick object and a log line. A test compares this with a record.
const LOG_BYTES_PER_ROUND: u64 = 1_000;
/// Bytes that a target with capacity adds to every tick: its record. A test compares this with a record.
const LOG_BYTES_PER_CAPACITY: u64 = 270;

/// The reads of the spending in a tick with budgets: before its rounds, and before the write. A test of the service
/// compares both with a tick.
pub(crate) const BUDGET_READS: u64 = 2;
/// The writes of the spending in a tick with a cost.
pub(crate) const BUDGET_WRITES: u64 = 1;

/// Estimates the cost of warmd's Lambda, metrics, dashboard, alarms, logs and schedule at list prices.
///
/// The estimate is an upper bound: it ignores the free tier, and prices ticks as custom events.
pub fn self_cost(prices: &PriceBook, usage: &SelfUsage) -> Bill {
    let region = usage.region;
    let ticks = usage.horizon.as_secs() / 60;
    // Every tick reads capacity and the metrics of backlogs.
    let has_capacity = usage.capacity_targets > 0;
    let busy = if has_capacity || usage.metric_reads > 0 { ticks } else { usage.rounds.min(ticks) };
    // Rounds of one tick run concurrently.
    let cold = usage.cold_rounds.min(ticks);
    let ran = |ticks: u64, each| Decimal::from(ticks).saturating_mul(milliseconds(each));
    let ran = ran(busy, BUSY_TICK)
        .saturating_add(ran(ticks - busy, QUIET_TICK))
        .saturating_add(ran(cold, usage.init));
    let mut bill = Bill::default();
    let mut add = |name: &str, item: Item, quantity| {
        bill.add(prices, format!("{SELF}{name}"), (&item, region), quantity);
    };
    add("Lambda requests", Item::Requests, Decimal::from(ticks));
    add("Lambda compute arm64", Item::Duration(Architecture::Arm64), gb_seconds(ran, MEMORY_MB));

    let (of_fleet, of_target) = (Metric::count(Scope::is_every_tick), Metric::count(Scope::is_every_round));
    let of_capacity = Metric::count(Scope::is_capacity);
    let of_fleet = if has_capacity { of_fleet.saturating_add(of_capacity) } else { of_fleet };
    // Those of coverage are sent while windows are open.
    let has_windows = has_capacity || usage.rounds > 0;
    let of_coverage = if has_windows { Metric::count(Scope::is_coverage) } else { 0 };
    let (of_fleet, of_target) = (of_fleet.saturating_add(of_coverage), of_target.saturating_add(of_coverage));
    let of_capacity = usage.capacity_targets.saturating_mul(of_capacity);
    let (metrics, data_per_tick) = match usage.detail {
        Detail::Fleet => (of_fleet, of_fleet),
        Detail::Function => {
            let of_rounds = usage.rounds.saturating_mul(of_target).checked_div(ticks).unwrap_or(0);
            let with_capacity = of_fleet.saturating_add(of_capacity);
            (
                usage.targets.saturating_mul(of_target).saturating_add(with_capacity),
                of_rounds.saturating_add(with_capacity),
            )
        }
    };
    let held = |count: u64| Decimal::from(count).saturating_mul(months(usage.horizon));
    add("CloudWatch metrics", Item::Metrics, held(metrics));
    add("CloudWatch dashboards", Item::Dashboards, held(DASHBOARDS));
    add("CloudWatch alarms", Item::Alarms, held(ALARM_METRICS));
    add("CloudWatch composite alarms", Item::CompositeAlarms, held(COMPOSITE_ALARMS));
    let puts = ticks.saturating_mul(data_per_tick.div_ceil(DATA_PER_REQUEST));
    add("PutMetricData requests", Item::PutRequests, Decimal::from(puts));
    add("GetMetricData metrics", Item::MetricReads, Decimal::from(usage.metric_reads));
    let bytes_per_tick =
        usage.capacity_targets.saturating_mul(LOG_BYTES_PER_CAPACITY).saturating_add(LOG_BYTES_PER_TICK);
    let log_bytes =
        ticks.saturating_mul(bytes_per_tick).saturating_add(usage.rounds.saturating_mul(LOG_BYTES_PER_ROUND));
    add("CloudWatch Logs", Item::LogData, gib(log_bytes));
    add("EventBridge events", Item::Events, Decimal::from(ticks));
    if usage.has_budgets {
        add("S3 reads of budgets", Item::S3Get, Decimal::from(ticks.saturating_mul(BUDGET_READS)));
        add("S3 writes of budgets", Item::S3Put, Decimal::from(busy.saturating_mul(BUDGET_WRITES)));
    }
    bill
}

/// Returns the part of the bill of [`self_cost`] that is for observing, not for warming: metrics, dashboard, alarms, reads
/// of metrics, and the log. US dollars; `None` when a part is unknown.
pub fn observing(bill: &Bill) -> Option<Decimal> {
    let is_observing = |line: &&BillLine| {
        let name = line.item.strip_prefix(SELF).unwrap_or_default();
        OBSERVING.iter().any(|of| name.starts_with(of))
    };
    let lines = bill.lines.iter().filter(is_observing);
    Bill { lines: lines.cloned().collect() }.total()
}

/// Returns the cost of alarms for a month: of each metric of a metric alarm, and of composite alarms.
pub fn alarms_cost(prices: &PriceBook, region: Region, metrics: u64, composite: u64) -> Bill {
    let mut bill = Bill::default();
    let of =
        [("alarm metrics", Item::Alarms, metrics), ("composite alarms", Item::CompositeAlarms, composite)];
    for (name, item, count) in of {
        bill.add(prices, name, (&item, region), Decimal::from(count));
    }
    bill
}

/// Returns the cost of dashboards for a month.
pub fn dashboards_cost(prices: &PriceBook, region: Region, dashboards: u64) -> Bill {
    let mut bill = Bill::default();
    bill.add(prices, "dashboards", (&Item::Dashboards, region), Decimal::from(dashboards));
    bill
}

/// Returns US dollars of observing for each day of a fleet without rounds and capacity, at the list prices of us-east-1.
pub fn least_observing_per_day(prices: &PriceBook) -> Option<Decimal> {
    let day = Duration::from_secs(24 * 3_600);
    let days = 30;
    let usage = SelfUsage {
        region: Region::parse("us-east-1").ok()?,
        // Over several days, amounts are not lost by rounding to cents.
        horizon: day * days,
        rounds: 0,
        cold_rounds: 0,
        init: Duration::ZERO,
        targets: 0,
        capacity_targets: 0,
        metric_reads: 0,
        detail: Detail::Fleet,
        has_budgets: false,
    };
    Some((observing(&self_cost(prices, &usage))? / Decimal::from(days)).round_dp(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::capacity::{CapacityReport, Status};
    use crate::domain::cost::{Download, Per, RoundQuantities, Route, round_cost, s3_quantities};
    use crate::domain::fleet::Target;
    use crate::domain::round::{Evidence, Known, RoundReport, Verdict};
    use crate::domain::tick::{RoundRecord, SentRound};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn usage() -> SelfUsage {
        SelfUsage {
            region: Region::parse("us-east-1").unwrap(),
            horizon: 730 * HOUR,
            rounds: 2_080,
            cold_rounds: 100,
            init: Duration::from_secs(10),
            targets: 1,
            capacity_targets: 0,
            metric_reads: 0,
            detail: Detail::Fleet,
            has_budgets: false,
        }
    }

    #[test]
    fn cost_of_warmd_for_a_month() {
        let bill = self_cost(&PriceBook::embedded(), &usage());
        let lines = bill
            .lines
            .iter()
            .map(|line| format!("{}: {} {} {}", line.item, line.quantity, line.unit, line.amount().unwrap()));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
        warmd itself: Lambda requests: 43800 request 0.01
        warmd itself: Lambda compute arm64, first 7.5 billion GB-s: 6229.505859375 GB-s 0.08
        warmd itself: CloudWatch metrics, first 10,000 metric-months: 13 metric-month 3.90
        warmd itself: CloudWatch dashboards: 1 dashboard-month 3.00
        warmd itself: CloudWatch alarms: 24 alarm-month 2.40
        warmd itself: CloudWatch composite alarms: 2 alarm-month 1.00
        warmd itself: PutMetricData requests: 43800 request 0.44
        warmd itself: CloudWatch Logs: 0.042729079723358154296875 GiB 0.02
        warmd itself: EventBridge events: 43800 event 0.04
        ");
        let detailed = self_cost(
            &PriceBook::embedded(),
            &SelfUsage { detail: Detail::Function, targets: 200, ..usage() },
        );
        let metrics = detailed.lines.iter().find(|line| line.item.contains("metrics")).unwrap();
        assert_eq!(metrics.amount().unwrap().to_string(), "543.90");
        let nothing = SelfUsage { horizon: Duration::ZERO, rounds: 0, ..usage() };
        assert_eq!(self_cost(&PriceBook::embedded(), &nothing).total().unwrap().to_string(), "0.00");
    }

    #[test]
    fn budgets_add_requests_to_the_state_store() {
        let prices = PriceBook::embedded();
        let bill = self_cost(&prices, &SelfUsage { has_budgets: true, capacity_targets: 1, ..usage() });
        let lines = bill.lines.iter().filter(|line| line.item.contains("of budgets"));
        let shown = lines.map(|line| format!("{} {} {}", line.item, line.quantity, line.amount().unwrap()));
        insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @"
        warmd itself: S3 reads of budgets 87600 0.04
        warmd itself: S3 writes of budgets 43800 0.22
        ");
    }

    #[test]
    fn capacity_adds_metrics_reads_and_records() {
        let prices = PriceBook::embedded();
        let lines = |usage: &SelfUsage| -> Vec<String> {
            let lines = self_cost(&prices, usage).lines;
            lines
                .iter()
                .map(|line| format!("{} {} {}", line.item, line.quantity, line.amount().unwrap()))
                .collect()
        };
        let before = lines(&usage());
        // Two targets, one of which is scaled by load for 217 hours a month.
        let capacity = SelfUsage { capacity_targets: 2, metric_reads: 217 * 60, ..usage() };
        let added: Vec<String> = lines(&capacity).into_iter().filter(|line| !before.contains(line)).collect();
        insta::assert_snapshot!(added.join("\n"), @"
        warmd itself: Lambda compute arm64, first 7.5 billion GB-s 20644.091796875 0.28
        warmd itself: CloudWatch metrics, first 10,000 metric-months 16 4.80
        warmd itself: GetMetricData metrics 13020 0.13
        warmd itself: CloudWatch Logs 0.0647567212581634521484375 0.03
        ");
        let detailed = SelfUsage { detail: Detail::Function, targets: 10, ..capacity };
        // 10 of the fleet, 3 of its coverage and 3 of its capacity; 6 and 3 of each target, 3 of each with capacity.
        let metrics = lines(&detailed).into_iter().find(|line| line.contains("metrics,")).unwrap();
        assert!(metrics.contains(" 112 "), "{metrics}");
    }

    #[test]
    fn assumed_bytes_per_capacity_match_a_record() {
        let target = Target::example("nlp-inference:live", "eu-west-2", Vec::new());
        let record = CapacityReport {
            by: Some("autoscaling"),
            requested: Some(10),
            allocated: Some(10),
            available: Some(10),
            status: Status::Ready,
            cost_usd: Some("0.0025000002".parse().unwrap()),
            ..CapacityReport::new(&target, 10)
        };
        let record = serde_json::to_string(&record).unwrap().len() as u64;
        let assumed = LOG_BYTES_PER_CAPACITY;
        assert!((assumed * 8 / 10..=assumed * 12 / 10).contains(&record), "{record}");
    }

    #[test]
    fn assumed_bytes_per_round_match_a_record() {
        let downloads = vec![Download::example(Route::NatGateway, Per::ColdStart)];
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
        let sent = SentRound {
            report,
            s3: used.s3.clone(),
            cost,
            cost_unknown,
            quiet_for: None,
            contact: None,
            versions: Vec::new(),
            through_alias: None,
        };
        let record = RoundRecord::sent_to(&target, 10, sent, &used);
        // A record, and a line such as `{"timestamp":…,"level":"INFO","fields":{"message":"round done",…}}`.
        let record = serde_json::to_string(&record).unwrap().len() as u64;
        let line = 300;
        let assumed = LOG_BYTES_PER_ROUND;
        assert!((assumed * 8 / 10..=assumed * 12 / 10).contains(&(record + line)), "{record}");
    }
}
