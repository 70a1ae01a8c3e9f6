//! The reads of a tick, what they are worth without an answer, and their effect on plans.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::*;
use crate::domain::backlog::{Rule, STALE_AFTER, Sample};
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::Target;
use crate::domain::function::FunctionRef;
use crate::domain::preflight::Lookup;
use crate::domain::records::{PAUSES, Pause, Pauses};
use crate::domain::schedule::{Minute, Mode};
use crate::domain::tick::{SkipReason, TickReport};
use crate::service::planner::{Plan, READ_WITHIN, Results, StoreHealth, TickPlanner};
use crate::service::store::{DocumentStore, Durability, Memory};
use crate::service::trigger::RecordKind;

/// Metrics that answer after a time: in regions of the US never.
#[derive(Default)]
struct Metrics {
    /// The answer for each metric; none means that the list ends before it.
    answer: Mutex<Option<Lookup<Option<Sample>>>>,
    delay: Duration,
    /// The number of metrics of each request.
    requests: Mutex<Vec<usize>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Metrics {
    fn set(&self, answer: Lookup<Option<Sample>>) {
        *self.answer.lock().unwrap() = Some(answer);
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl ReadMetrics for Metrics {
    fn latest<'a>(
        &'a self,
        region: Region,
        _: Option<&'a Arc<Role>>,
        metrics: &'a [Arc<Metric>],
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Vec<Lookup<Option<Sample>>>> {
        assert_eq!(until - since, LOOK_BACK);
        Box::pin(async move {
            self.requests.lock().unwrap().push(metrics.len());
            let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(running, Ordering::Relaxed);
            if region.as_str().starts_with("us-") {
                std::future::pending::<()>().await;
            }
            sleep(self.delay).await;
            self.running.fetch_sub(1, Ordering::Relaxed);
            let answer = self.answer.lock().unwrap().clone();
            metrics.iter().filter_map(|_| answer.clone()).collect()
        })
    }
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-20T{time}Z").parse().unwrap()
}

fn value(time: &str, messages: u32) -> Lookup<Option<Sample>> {
    Lookup::Known(Some(Sample { at: at(time), value: messages.into() }))
}

/// Creates a target with two environments all day, and one more for each 100 messages.
fn target(function: &str, region: &str) -> Target {
    let (namespace, name) = ("AWS/SQS".to_owned(), "ApproximateNumberOfMessagesVisible".to_owned());
    let dimensions = [("QueueName".to_owned(), function.to_owned())].into();
    let metric = Arc::new(Metric { namespace, name, dimensions, statistic: "Maximum" });
    let rule = Rule { metric, per_environment: 100.into(), max: 50, pipeline: None };
    let opening = Opening::Weekly(DaySet::DAILY, Hours::AllDay);
    Target {
        backlogs: vec![rule],
        interval_minutes: 5,
        windows: vec![Window::new("always", chrono_tz::UTC, opening, 2)],
        ..Target::bare(&FunctionRef::parse(function).unwrap(), Region::parse(region).unwrap())
    }
}

fn fleet() -> Fleet {
    Fleet::new(vec![target("f", "eu-west-2"), Target { backlogs: Vec::new(), ..target("g", "eu-west-2") }])
}

fn planner(metrics: &Arc<Metrics>, durability: Durability) -> TickPlanner {
    let store = match durability {
        Durability::Durable => DocumentStore::new(Arc::new(Memory::default()), durability),
        Durability::Volatile => DocumentStore::memory(),
    };
    let mut planner = TickPlanner::new(store);
    planner.read_backlogs(Arc::clone(metrics) as Arc<dyn ReadMetrics>);
    planner
}

/// Plans a tick whose rounds all end at once.
async fn plan(planner: &TickPlanner, time: &str) -> Plan {
    let (fleet, now) = (fleet(), at(time));
    let plan = planner.plan(&fleet, now, Minute::of(now).plus(-1), now).await;
    let results =
        Results { fleet: &fleet, plan: &plan, sent: &plan.due, report: &TickReport::empty(now, None) };
    let health = planner.record(results, RecordKind::Tick, None, now).await.0;
    assert_eq!(health, StoreHealth::Sound);
    plan
}

/// Returns the due rounds: function, number, age of the metric.
fn due(plan: &Plan) -> Vec<(&str, u32, Option<u64>)> {
    let due = plan.due.iter();
    due.map(|due| (due.target.label.as_str(), due.concurrency.get(), due.metric_age)).collect()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_metrics_are_read_in_twenty_requests() {
    let metrics = Metrics { delay: Duration::from_millis(400), ..Metrics::default() };
    metrics.set(value("08:59:00", 7));
    let fleet = Fleet::new((0..10_000).map(|index| target(&format!("f{index}"), "eu-west-2")).collect());
    let started = Instant::now();
    let samples = read(&metrics, &fleet, LOOK_BACK, at("09:00:00"), started + READ_WITHIN).await;
    assert_eq!((samples.len(), started.elapsed()), (10_000, 2 * metrics.delay));
    assert_eq!(*metrics.requests.lock().unwrap(), [500; 20]);
    assert_eq!(metrics.most.into_inner(), CONCURRENT_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn regions_that_hang_cost_no_more_than_their_own_metrics() {
    let metrics = Metrics { delay: Duration::from_millis(100), ..Metrics::default() };
    metrics.set(value("08:59:00", 7));
    let mut targets: Vec<Target> =
        (0..6_000).map(|index| target(&format!("f{index}"), "us-east-1")).collect();
    targets.extend(["us-east-2", "us-west-1", "eu-west-2", "eu-west-1"].map(|region| target("f", region)));
    let fleet = Fleet::new(targets);
    let started = Instant::now();
    let samples = read(&metrics, &fleet, LOOK_BACK, at("09:00:00"), started + READ_WITHIN).await;
    assert_eq!(started.elapsed(), READ_WITHIN);
    let mut regions: Vec<&str> = samples.keys().map(|(region, ..)| region.as_str()).collect();
    regions.sort_unstable();
    assert_eq!(regions, ["eu-west-1", "eu-west-2"]);
}

#[tokio::test]
async fn an_answer_that_ends_early_leaves_metrics_unread() {
    let reader = BacklogReader::new(Arc::<Metrics>::default());
    let samples = reader.read(&fleet(), at("09:00:00"), Instant::now() + READ_WITHIN).await;
    assert!(samples.is_empty());
    let known = reader.obstacles.lock().unwrap();
    assert_eq!(known.values().collect::<Vec<_>>(), [&Obstacle::Unreadable("no answer in time".to_owned())]);
}

#[test]
fn a_change_is_logged_once() {
    let reader = BacklogReader::new(Arc::<Metrics>::default());
    let fleet = fleet();
    let changes = |read: Lookup<Option<Sample>>, time: &str| -> String {
        let samples = sources(&fleet.targets).into_iter().map(|source| (source, read.clone())).collect();
        let changes = reader.changes(&fleet, &samples, at(time));
        let shown = |change: &Change| match change {
            Change::NoEffect { function, region, metric, reason } => {
                format!("{function} {region} {metric}: {reason}")
            }
            other => format!("{other:?}"),
        };
        changes.iter().map(shown).collect::<Vec<_>>().join("; ")
    };
    let denied = |by: &str| Lookup::Denied(format!("{by} is not authorized"));
    let lines = [
        changes(value("08:59:00", 1), "09:00:00"),
        changes(Lookup::Known(None), "09:01:00"),
        changes(Lookup::Known(None), "09:02:00"),
        changes(value("08:57:00", 1), "09:03:00"),
        changes(value("08:57:00", 1), "09:04:00"),
        changes(denied("a"), "09:05:00"),
        changes(denied("b"), "09:06:00"),
        changes(value("09:06:00", 0), "09:07:00"),
        changes(value("09:07:00", 0), "09:08:00"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"

    f eu-west-2 AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=f}: it has no value of the last minutes

    f eu-west-2 AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=f}: its latest value is 6m old, more than 5m

    f eu-west-2 AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=f}: no permission cloudwatch:GetMetricData: a is not authorized

    Effect { function: "f", region: eu-west-2 }
    "#);
}

#[test]
fn a_large_fleet_logs_a_few_lines() {
    let reader = BacklogReader::new(Arc::<Metrics>::default());
    let fleet = Fleet::new((0..10_000).map(|index| target(&format!("f{index}"), "eu-west-2")).collect());
    let changes = reader.changes(&fleet, &Samples::new(), at("09:00:00"));
    assert_eq!((changes.len(), changes.last()), (MOST_LINES + 1, Some(&Change::More(10_000 - MOST_LINES))));
    assert_eq!(reader.changes(&fleet, &Samples::new(), at("09:01:00")), []);
}

#[tokio::test(start_paused = true)]
async fn a_plan_follows_the_metric_and_its_rounds_have_its_age() {
    for durability in [Durability::Durable, Durability::Volatile] {
        let metrics = Arc::<Metrics>::default();
        let planner = planner(&metrics, durability);
        metrics.set(value("08:59:00", 900));
        assert_eq!(due(&plan(&planner, "09:00:30").await), [("f", 9, Some(90)), ("g", 2, None)]);
        metrics.set(value("09:00:00", 901));
        assert_eq!(due(&plan(&planner, "09:01:00").await), [("f", 10, Some(60))], "the number rises");
        assert_eq!(due(&plan(&planner, "09:02:00").await), [], "it stays");
        metrics.set(Lookup::Throttled("Rate exceeded".to_owned()));
        assert_eq!(due(&plan(&planner, "09:05:00").await), [("f", 2, None), ("g", 2, None)]);
        // Old values show their age, and have no effect.
        metrics.set(value("09:03:00", 900));
        assert_eq!(due(&plan(&planner, "09:10:00").await), [("f", 2, Some(420)), ("g", 2, None)]);
        assert_eq!(metrics.count(), 5, "one request a tick");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_that_hang_do_not_delay_a_tick_for_long() {
    let metrics = Arc::new(Metrics { delay: Duration::from_secs(60), ..Metrics::default() });
    let planner = planner(&metrics, Durability::Durable);
    let started = Instant::now();
    assert_eq!(due(&plan(&planner, "09:00:00").await), [("f", 2, None), ("g", 2, None)]);
    assert_eq!(started.elapsed(), READ_WITHIN);
}

#[tokio::test]
async fn skipped_rounds_have_the_age_too() {
    let metrics = Arc::<Metrics>::default();
    let planner = planner(&metrics, Durability::Durable);
    let pause = Pause { until: at("09:30:00"), reason: "migration".to_owned() };
    planner.documents().update(PAUSES, |pauses: &mut Pauses| pauses.all = Some(pause.clone())).await.unwrap();
    metrics.set(value("08:59:00", 900));
    let plan = plan(&planner, "09:00:00").await;
    let skipped: Vec<_> =
        plan.skipped.iter().map(|round| (round.desired, round.skip_reason(), round.metric_age)).collect();
    assert_eq!(skipped, [(9, Some(SkipReason::Paused), Some(60)), (2, Some(SkipReason::Paused), None)]);
}

#[tokio::test]
async fn metrics_are_not_those_of_another_time() {
    let metrics = Arc::<Metrics>::default();
    let planner = planner(&metrics, Durability::Durable);
    metrics.set(value("08:59:00", 900));
    let look = async |time: &str| {
        let plan = planner.preview(&fleet(), Mode::Open, at(time), at("09:00:00")).await;
        due(&plan).first().map(|(_, number, age)| (*number, *age))
    };
    assert_eq!(look("09:00:00").await, Some((9, Some(60))));
    assert_eq!(look("17:00:00").await, Some((2, None)));
    assert_eq!(look("08:00:00").await, Some((2, None)));
    assert_eq!(metrics.count(), 1);
    assert_eq!(STALE_AFTER, TimeDelta::minutes(5));
}
