//! The numbers that metrics want, with requests and pauses.

use std::collections::BTreeMap;

use super::*;
use crate::domain::backlog::{Metric, Rule};
use crate::domain::capacity::{self, By, Fallback, Provisioned};
use crate::domain::history::{Row, Unmoved};
use crate::domain::records::{Level, STATUS, Status};
use crate::domain::tick::RoundRecord;

/// The fleet: metrics may want `max` environments of `a`, and the pipeline `nlp` wants 40 of both functions.
fn read(max: u32) -> Fleet {
    let mut fleet = fleet();
    for target in &mut fleet.targets {
        let window = Window { pipeline: Some("nlp".into()), concurrency: 40, ..target.windows[0].clone() };
        target.windows.push(window);
    }
    let (namespace, name) = ("AWS/SQS".to_owned(), "Depth".to_owned());
    let metric = Arc::new(Metric { namespace, name, dimensions: [].into(), statistic: "Maximum" });
    fleet.targets[0].backlogs = vec![Rule { metric, per_environment: 1.into(), max, pipeline: None }];
    fleet
}

/// A planner with a pause of `nlp` in its store. The metric of `a` wanted 30 environments at 09:04.
async fn planner() -> TickPlanner {
    let planner = durable(Memory::default());
    let pause = Pause { until: at("10:00:00"), reason: "freeze".to_owned() };
    let change = |pauses: &mut Pauses| _ = pauses.pipelines.insert("nlp".to_owned(), pause.clone());
    planner.documents().update(PAUSES, change).await.unwrap();
    let minute = Minute::of(at("09:04:00")).epoch();
    let level = Level { number: 30, peak: 30, since: minute, at: minute, lower: None };
    let change = |served: &mut Served| _ = served.levels.targets.insert(id("a"), level);
    planner.documents().update(SERVED, change).await.unwrap();
    planner
}

#[tokio::test]
async fn capacity_keeps_the_numbers_of_metrics_with_a_request_and_for_an_operator() {
    let (planner, mut fleet, now) = (planner().await, read(50), at("09:05:01"));
    let by = By::Autoscaling { max: 50, utilization: 70 };
    for target in &mut fleet.targets {
        target.strategy = Strategy::Provisioned(Provisioned { by, fallback: Fallback::None });
    }
    let numbers = |fleet: &Fleet| -> Vec<u32> {
        fleet.targets.iter().map(|target| capacity::desired(target, Minute::of(now))).collect()
    };
    let terms = |concurrency| RequestTerms {
        at: now,
        concurrency,
        keep_for: Some(Duration::from_secs(600)),
        reason: None,
    };
    let (five, six) = (terms(5), terms(6));
    let asks = [ask(&fleet.targets[0], &five), ask(&fleet.targets[1], &six)];
    let requested = planner.request(&fleet, &asks, now).await.unwrap();
    assert_eq!(numbers(&requested.capacity.unwrap().fleet), [30, 6]);
    let deadline = Instant::now() + READ_WITHIN;
    let read = CapacityPlan::read(planner.documents(), &fleet, None, now, deadline).await.unwrap();
    assert_eq!(numbers(&read.fleet), [30, 6]);
}

#[tokio::test]
async fn capacity_is_not_changed_by_a_request_while_the_numbers_of_metrics_are_unknown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("served.1.json"), "not json").unwrap();
    let (planner, mut fleet, now) = (durable(Directory::new(folder.path())), read(50), at("09:05:01"));
    let by = By::Autoscaling { max: 50, utilization: 70 };
    fleet.targets[0].strategy = Strategy::Provisioned(Provisioned { by, fallback: Fallback::None });
    let keep_for = Some(Duration::from_secs(600));
    let terms = RequestTerms { at: now, concurrency: 5, keep_for, reason: None };
    let requested = planner.request(&fleet, &[ask(&fleet.targets[0], &terms)], now).await.unwrap();
    assert_eq!((requested.capacity.is_none(), requested.health), (true, StoreHealth::Unavailable));
}

/// The requests of 09:05:01 are for nine environments: more than the windows need, except those of the paused pipeline.
#[tokio::test]
async fn a_request_does_not_take_the_place_of_a_round_that_a_metric_may_want() {
    for (max, due) in [(50, "a"), (9, "")] {
        let (planner, fleet, now) = (planner().await, read(max), at("09:05:01"));
        let terms = RequestTerms { at: now, concurrency: 9, keep_for: None, reason: None };
        let asks: Vec<Ask<'_>> = fleet.targets.iter().map(|target| ask(target, &terms)).collect();
        let request = planner.request(&fleet, &asks, now).await.unwrap();
        assert_eq!(names(&request), ["a", "b"]);
        let report = report("09:05:01", Vec::new());
        let results = Results { fleet: &fleet, plan: &request, sent: &request.due, report: &report };
        let _ = planner.record(results, RecordKind::Request, None, at("09:05:02")).await;
        let tick = planner.plan(&fleet, at("09:05:00"), Minute::of(at("09:04:00")), at("09:05:03")).await;
        assert_eq!(names(&tick).join(" "), due, "metrics may want {max}");
    }
}

/// Returns the status document's rows of the history, of each target.
async fn rows(planner: &TickPlanner) -> BTreeMap<String, Row> {
    let status: Status = planner.documents().read(STATUS).await.unwrap();
    let mut sum = BTreeMap::<String, Row>::new();
    for (_, rows) in status.history.unmoved().flat_map(Unmoved::rows) {
        rows.iter().for_each(|(id, row)| sum.entry(id.label()).or_default().add(row));
    }
    sum
}

#[tokio::test]
async fn the_capacity_of_a_request_without_pings_is_in_the_history() {
    let planner = planner().await;
    let fleet = fleet();
    let terms = RequestTerms { at: at("09:05:01"), concurrency: 9, keep_for: None, reason: None };
    let plan = planner.request(&fleet, &[ask(&fleet.targets[0], &terms)], at("09:05:01")).await.unwrap();
    let cost_usd = Some("0.25".parse().unwrap());
    let capacity = vec![CapacityReport { cost_usd, ..CapacityReport::new(&fleet.targets[0], 9) }];
    let report = TickReport { capacity, ..report("09:05:01", Vec::new()) };
    let health = record_as(RecordKind::Request, &planner, &plan, &[], &report, "09:05:02").await;
    assert_eq!(health, StoreHealth::Sound);
    let cost: Vec<_> = rows(&planner).await.into_values().map(|row| row.known_usd().to_string()).collect();
    assert_eq!(cost, ["0.25"]);
}

#[tokio::test]
async fn a_request_in_the_place_of_a_round_judges_its_minutes() {
    // Nine cover the two that are scheduled, and one does not.
    for (number, expected) in [(9, (10, 10)), (1, (10, 5))] {
        let planner = durable(Memory::default());
        let fleet = fleet();
        let report_of = |time: &str, number| {
            let round = |target| RoundRecord::example(target, number, Verdict::Reached, Some(number));
            TickReport { rounds: fleet.targets.iter().map(round).collect(), ..report(time, Vec::new()) }
        };
        let first = plan(&planner, "09:00:00").await;
        let _ = record(&planner, &first, &report_of("09:00:00", 2), "09:00:01").await;
        let terms = RequestTerms { at: at("09:05:01"), concurrency: number, keep_for: None, reason: None };
        let asks: Vec<Ask<'_>> = fleet.targets.iter().map(|target| ask(target, &terms)).collect();
        let asked = planner.request(&fleet, &asks, at("09:05:01")).await.unwrap();
        let asked_report = report_of("09:05:01", number);
        let kind = RecordKind::Request;
        let _ = record_as(kind, &planner, &asked, &asked.due, &asked_report, "09:05:02").await;
        let second = plan(&planner, "09:05:00").await;
        assert_eq!(second.due.len(), if number == 9 { 0 } else { 2 });
        // The tick of 09:05 is lost if it has rounds.
        let _ =
            record(&planner, &plan(&planner, "09:10:00").await, &report_of("09:10:00", 2), "09:10:01").await;
        for row in rows(&planner).await.into_values() {
            assert_eq!((row.minutes.window, row.minutes.warm), expected, "{number}");
        }
    }
}
