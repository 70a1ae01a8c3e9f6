//! Ticks that are spread over several instances: together they keep to the room of the account.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::{BoxFuture, ready};
use rust_decimal::Decimal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::domain::backlog::{Metric, Rule, Sample};
use crate::domain::budget::{Budget, OnExceed};
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::events::LambdaEvent;
use crate::domain::fleet::{Fleet, Limits, OnRequest, Role};
use crate::domain::function::{Identity, Qualifier, Region};
use crate::domain::metric_data::Batch;
use crate::domain::pipeline::Pipeline;
use crate::domain::preflight::{AccountLimits, Deployed, ExecutionModel, Lookup};
use crate::domain::records::{BacklogTerms, REQUESTS, Requests};
use crate::domain::routing::Routing;
use crate::domain::schedule::Minute;
use crate::engine::metrics::ReadMetrics;
use crate::engine::ports::{
    Control, DryRun, DryRunOutcome, Event, Events, Lambda, LostEvents, LostMetrics, Metrics, PingEnds,
    PingRound,
};
use crate::service::live_config::LiveConfig;
use crate::service::store::{DocumentStore, Durability, Memory};
use crate::service::{Bus, Observer, Policy, Service, Trigger};

const TICK: &str = "2026-11-20T09:00:00Z";
const HOME: &str = "eu-west-2";
const AWAY: &str = "us-east-1";

/// Counts the pings in flight in each region, over all instances.
#[derive(Debug, Clone)]
struct Counted {
    lambda: ScriptedLambda,
    /// The pings in flight, and the most of them.
    in_flight: Arc<Mutex<HashMap<Region, (u32, u32)>>>,
}

impl Lambda for Counted {
    fn send(&self, round: PingRound) -> PingEnds {
        let (in_flight, region) = (Arc::clone(&self.in_flight), round.function.region);
        {
            let mut all = in_flight.lock().unwrap();
            let (now, most) = all.entry(region).or_default();
            *now += round.payloads.pings();
            *most = (*most).max(*now);
        }
        let mut ends = self.lambda.send(round);
        let (forward, forwarded) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(end) = ends.recv().await {
                in_flight.lock().unwrap().get_mut(&region).unwrap().0 -= 1;
                let _ = forward.send(end);
            }
        });
        forwarded
    }
}

/// CloudWatch, the bus and the observer of every instance.
#[derive(Debug, Clone)]
struct Sink(mpsc::UnboundedSender<Event>);

impl Metrics for Sink {
    async fn put(&self, _: &Batch, _: Instant) -> Result<(), LostMetrics> {
        Ok(())
    }
}

impl Events for Sink {
    async fn put(&self, events: &[Event], _: Instant) -> Result<(), LostEvents> {
        events.iter().for_each(|event| self.0.send(event.clone()).unwrap());
        Ok(())
    }
}

impl Observer for Sink {}

/// The control plane of an account. A function whose name begins with `durable` is one.
#[derive(Debug, Clone)]
struct Plane {
    unreserved: u32,
    reads: Arc<Mutex<Vec<&'static str>>>,
}

impl Control for Plane {
    async fn invoke(&self, _: &Identity, _: Option<&Arc<Role>>, _: &DryRun) -> Lookup<DryRunOutcome> {
        panic!("a tick makes no dry run")
    }

    async fn configuration(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Deployed> {
        self.reads.lock().unwrap().push("configuration");
        let is_durable = of.name.as_str().starts_with("durable");
        let model = if is_durable { ExecutionModel::Durable } else { ExecutionModel::OnDemand };
        let code_sha256 = Some("code".to_owned());
        Lookup::Known(Deployed { model, code_sha256, version: Some("7".to_owned()), ..Deployed::default() })
    }

    async fn alias(&self, _: &Identity, _: Option<&Arc<Role>>) -> Lookup<Routing> {
        Lookup::Known(Routing::to(Qualifier::parse("7").unwrap()))
    }

    async fn provisioned(&self, _: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        Lookup::Known(None)
    }

    async fn reserved(&self, _: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        Lookup::Known(None)
    }

    async fn account(&self, _: Region, _: Option<&Arc<Role>>) -> Lookup<AccountLimits> {
        self.reads.lock().unwrap().push("account");
        Lookup::Known(AccountLimits { concurrent: self.unreserved, unreserved: self.unreserved })
    }
}

/// Metrics with the value 0, half a minute old.
struct Idle;

impl ReadMetrics for Idle {
    fn latest<'a>(
        &'a self,
        _: Region,
        _: Option<&'a Arc<Role>>,
        metrics: &'a [Arc<Metric>],
        _: DateTime<Utc>,
        _: DateTime<Utc>,
    ) -> BoxFuture<'a, Vec<Lookup<Option<Sample>>>> {
        let sample = Sample { at: at(TICK) - TimeDelta::seconds(30), value: 0.into() };
        Box::pin(ready(vec![Lookup::Known(Some(sample)); metrics.len()]))
    }
}

/// An account with the Lambda. Each event has an instance of its own.
struct World {
    fleet: Fleet,
    documents: DocumentStore,
    lambda: Counted,
    plane: Plane,
    clock: Arc<Wall>,
    policy: Policy,
    time: Duration,
    /// True if CloudWatch has a value of each metric.
    reads_metrics: bool,
    sink: Sink,
    bus: mpsc::UnboundedReceiver<Event>,
}

impl World {
    /// Creates an account with these functions of five environments, whose pings run for `script`.
    fn new(functions: Vec<(String, &str)>, script: Script, unreserved: u32, max_in_flight: u32) -> Self {
        let opening = Opening::Weekly(DaySet::DAILY, Hours::AllDay);
        let window = Window::new("always", chrono_tz::UTC, opening, 5);
        let target = |(name, region): &(String, &str)| Target {
            timeout: Some(Duration::from_secs(100)),
            interval_minutes: 1,
            windows: vec![window.clone()],
            ..Target::example(name, region, Vec::new())
        };
        let mut fleet = Fleet::new(functions.iter().map(target).collect());
        fleet.hash = "cafe".to_owned();
        fleet.limits.max_in_flight = max_in_flight;
        let scripts: Vec<(&'static str, Script)> =
            functions.into_iter().map(|(name, _)| (&*name.leak(), script)).collect();
        let lambda = ScriptedLambda(Arc::new(Scripted::new(&scripts)));
        let (sender, bus) = mpsc::unbounded_channel();
        Self {
            fleet,
            documents: DocumentStore::new(Arc::new(Memory::default()), Durability::Durable),
            lambda: Counted { lambda, in_flight: Arc::default() },
            plane: Plane { unreserved, reads: Arc::default() },
            clock: Arc::new(Wall::new(TICK)),
            policy: Policy::default(),
            time: Duration::from_secs(900),
            reads_metrics: false,
            sink: Sink(sender),
            bus,
        }
    }

    /// Returns functions with these names and numbers in a region.
    fn named(name: &str, number: u32, region: &'static str) -> Vec<(String, &'static str)> {
        (0..number).map(|index| (format!("{name}{index}"), region)).collect()
    }

    fn instance(&self) -> Service<Counted, Sink, Sink> {
        let capacity = Box::new(|limits: Limits, _| Ok(limits.max_in_flight as usize));
        let live_config = LiveConfig::fixed(self.fleet.clone());
        let documents = self.documents.clone();
        let mut service = Service::new(self.lambda.clone(), live_config, documents, capacity, None).unwrap();
        service.bus = Some(Bus { events: self.sink.clone(), name: "default".to_owned() });
        service.clock = self.clock.clone();
        service.policy = self.policy;
        service.guard(Arc::new(self.plane.clone()));
        if self.reads_metrics {
            service.read_backlogs(Arc::new(Idle));
        }
        service
    }

    /// Serves a trigger, and every shard that it leads to, at once. Returns the reports with the shares of the rounds
    /// of each shard.
    async fn serve(&mut self, trigger: Trigger) -> Vec<(TickReport, Vec<u64>)> {
        let mut running = JoinSet::new();
        let spawn = |world: &Self, running: &mut JoinSet<_>, trigger, shares| {
            let (service, sink, budget) =
                (world.instance(), world.sink.clone(), TimeBudget::fixed(world.time));
            running.spawn(async move {
                let outcome = service.serve(trigger, &budget, &sink).await.unwrap();
                assert_eq!(outcome.health, crate::service::planner::StoreHealth::Sound);
                (outcome.report, shares)
            });
        };
        spawn(self, &mut running, trigger, Vec::new());
        let mut reports = Vec::new();
        loop {
            tokio::select! {
                biased;
                Some(event) = self.bus.recv() => {
                    let detail: serde_json::Value = serde_json::from_str(&event.detail).unwrap();
                    let share = |round: &serde_json::Value| round["share"].as_u64().unwrap_or(1);
                    let shares = detail["rounds"].as_array().unwrap().iter().map(share).collect();
                    let event = serde_json::json!({
                        "source": event.source, "detail-type": event.detail_type, "detail": detail,
                    });
                    let Ok(LambdaEvent::Shard { at, shard }) = LambdaEvent::parse(&event) else { panic!("{event}") };
                    spawn(self, &mut running, Trigger::Shard { at, shard }, shares);
                }
                ended = running.join_next() => match ended {
                    Some(ended) => reports.push(ended.unwrap()),
                    None => return reports,
                }
            }
        }
    }

    fn most_in_flight(&self, region: &str) -> u32 {
        self.lambda.in_flight.lock().unwrap()[&Region::parse(region).unwrap()].1
    }

    /// Returns the number of pings of each function.
    fn pings(&self) -> BTreeMap<String, usize> {
        let mut pings = BTreeMap::new();
        for (name, _) in self.lambda.lambda.0.sent.lock().unwrap().iter() {
            *pings.entry(name.clone()).or_default() += 1;
        }
        pings
    }
}

fn scheduled(at: DateTime<Utc>) -> Trigger {
    Trigger::Schedule { at, previous: Minute::of(at).plus(-1) }
}

fn rounds(reports: &[(TickReport, Vec<u64>)]) -> usize {
    reports.iter().map(|(report, _)| report.rounds.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn the_instances_of_a_tick_share_the_room_of_their_account() {
    for (checks_contact, pings) in [(false, 5), (true, 6)] {
        let functions = [World::named("home", 12, HOME), World::named("away", 9, AWAY)].concat();
        // 20 % of 250 are 50, and 60 pings are due at home. Three instances have 20 in flight each.
        let mut world = World::new(functions, Script::Runs(Duration::from_secs(1)), 250, 20);
        world.policy.checks_contact = checks_contact;
        let reports = world.serve(scheduled(at(TICK))).await;
        assert_eq!(reports.len(), 6, "105 pings are due, and 95 fit");
        assert_eq!(rounds(&reports), 21);
        let is_reached = |report: &TickReport| report.rounds.iter().all(|round| round.reached() == Some(5));
        assert!(reports.iter().all(|(report, _)| is_reached(report)), "{reports:#?}");
        assert!(world.pings().values().all(|sent| *sent == pings), "{:?}", world.pings());
        assert_eq!(world.most_in_flight(HOME), 45, "three rounds in each part of 16");
        assert_eq!(world.most_in_flight(AWAY), 45, "all of them");
        let mut shares: Vec<u64> = reports.iter().flat_map(|(_, shares)| shares.clone()).collect();
        shares.sort_unstable();
        assert_eq!((shares[0], shares.last()), (1, Some(&3)), "{shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_instance_serves_what_it_can_have_in_flight() {
    // 20 % of 100 are 20.
    let mut world = World::new(World::named("f", 30, HOME), Script::Runs(Duration::from_secs(1)), 100, 20);
    let reports = world.serve(scheduled(at(TICK))).await;
    assert_eq!((reports.len(), rounds(&reports), world.most_in_flight(HOME)), (1, 30, 20));
}

#[tokio::test(start_paused = true)]
async fn later_attempts_share_the_room_too() {
    // Each of two instances has two rounds at a time, and time for nine of them.
    let mut world =
        World::new(World::named("f", 60, HOME), Script::Runs(Duration::from_millis(1_800)), 100, 10);
    world.time = Duration::from_secs(20);
    let reports = world.serve(scheduled(at(TICK))).await;
    let handed_on = |report: &TickReport| {
        report.unfinished.iter().filter(|left| left.reason == UnfinishedReason::HandedOn).count()
    };
    let handed_on: Vec<usize> = reports.iter().map(|(report, _)| handed_on(report)).collect();
    assert_eq!((handed_on, rounds(&reports)), (vec![42, 12, 0, 0], 60), "30 and 12, then 12");
    assert!(reports.iter().flat_map(|(_, shares)| shares).all(|share| *share == 2), "{reports:#?}");
    assert!(world.pings().values().all(|sent| *sent == 5), "{:?}", world.pings());
    assert_eq!(world.most_in_flight(HOME), 20);
}

#[tokio::test(start_paused = true)]
async fn refused_rounds_are_not_put_on_the_bus() {
    let functions = [World::named("f", 8, HOME), World::named("durable", 8, HOME)].concat();
    let mut world = World::new(functions, Script::Runs(Duration::from_secs(1)), 1_000, 20);
    world.policy.refreshes_facts = true;
    let first = world.serve(scheduled(at(TICK))).await;
    assert_eq!((first.len(), rounds(&first)), (4, 16), "nothing is known of them");
    let reads = std::mem::take(&mut *world.plane.reads.lock().unwrap());
    assert_eq!(
        reads.iter().filter(|read| **read == "configuration").count(),
        16,
        "the tick alone reads facts"
    );

    world.clock.ahead.store(60, Ordering::SeqCst);
    let second = world.serve(scheduled(at(TICK) + TimeDelta::minutes(1))).await;
    assert_eq!((second.len(), rounds(&second)), (2, 16), "the rest fits into two instances");
    let skipped = |report: &TickReport| {
        report.rounds.iter().filter(|round| round.skip_reason() == Some(SkipReason::Durable)).count()
    };
    let mut skipped: Vec<usize> = second.iter().map(|(report, _)| skipped(report)).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, [0, 8], "reported once, by the tick");
    let pings = world.pings();
    assert!((0..8).all(|index| pings[&format!("durable{index}")] == 5 && pings[&format!("f{index}")] == 10));
}

/// A request raises each stage of a pipeline without windows to seven environments. A process has room for two stages.
#[tokio::test(start_paused = true)]
async fn shards_report_their_stages_and_record_the_progress_of_backlogs() {
    let mut world = World::new(World::named("f", 4, HOME), Script::Runs(Duration::from_secs(1)), 1_000, 14);
    let runs = Script::Runs(Duration::from_secs(1));
    let scripts = [("f0", runs), ("f1", runs), ("f2", runs), ("f3", Script::Throttles)];
    world.lambda.lambda = ScriptedLambda(Arc::new(Scripted::new(&scripts)));
    world.reads_metrics = true;
    let rule = OnRequest {
        max_concurrency: 9,
        max_for: Duration::from_secs(3_600),
        coalesce: Duration::ZERO,
        hold_for: Duration::from_secs(60),
    };
    let (namespace, name) = ("AWS/SQS".to_owned(), "Depth".to_owned());
    let metric = Arc::new(Metric { namespace, name, dimensions: BTreeMap::new(), statistic: "Maximum" });
    for target in &mut world.fleet.targets {
        target.on_request = Some(rule);
        target.backlogs =
            vec![Rule { metric: Arc::clone(&metric), per_environment: 1.into(), max: 9, pipeline: None }];
    }
    let ids: Vec<Identity> = world.fleet.targets.iter().map(|target| target.id.clone()).collect();
    let stages: Vec<Vec<Identity>> = ids.iter().map(|id| vec![id.clone()]).collect();
    world.fleet.pipelines = vec![Pipeline { on_request: Some(rule), ..Pipeline::example("nlp", &stages) }];
    let terms = BacklogTerms {
        at: at(TICK),
        pipeline: Some("nlp".to_owned()),
        messages: 700,
        rate: 1.into(),
        per_environment: 100.into(),
        hold_for: None,
        reason: None,
    };
    let ask = |requests: &mut Requests| {
        for id in &ids {
            let _ = requests.add_backlog(id, &terms, &rule, at(TICK));
        }
    };
    world.documents.update(REQUESTS, ask).await.unwrap();

    let reports = world.serve(scheduled(at(TICK))).await;
    assert_eq!((reports.len(), rounds(&reports)), (2, 4));
    for (report, _) in &reports {
        assert!(
            report.rounds.iter().all(|round| (round.desired, round.metric_age) == (7, Some(30))),
            "{report:#?}"
        );
        let is_cold = report.rounds.iter().any(|round| round.id.label() == "f3");
        let [pipeline] = &report.pipelines[..] else { panic!("{report:#?}") };
        let cold: &[&str] = if is_cold { &["f3"] } else { &[] };
        assert_eq!(
            (pipeline.warm, &pipeline.cold_stages[..]),
            (is_cold.then_some(false), &cold.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
    }
    let status = crate::service::planner::status(&world.documents).await.unwrap();
    assert_eq!(
        (status.pipelines[0].warm, &status.pipelines[0].cold_stages[..]),
        (Some(false), &["f3".to_owned()][..])
    );
    let requests: Requests = world.documents.read(REQUESTS).await.unwrap();
    let reached: Vec<_> = ids.iter().map(|id| requests.backlogs[id][0].reached.unwrap_or(0)).collect();
    assert_eq!(reached, [7, 7, 7, 0]);
}

#[tokio::test(start_paused = true)]
async fn shards_that_wait_on_the_bus_count_for_the_budget() {
    let mut world = World::new(World::named("f", 12, HOME), Script::Runs(Duration::from_secs(1)), 1_000, 20);
    // A ping of a second with 128 MB on arm64.
    let ping = Decimal::new(2, 7) + Decimal::new(133_334, 10) / Decimal::from(8);
    let monthly_usd = ping * Decimal::from(115);
    world.fleet.budget = Some(Budget { monthly_usd, on_exceed: OnExceed::Stop, stop_capacity: false });
    let reports = world.serve(scheduled(at(TICK))).await;
    assert_eq!((reports.len(), world.pings().values().sum::<usize>()), (3, 60), "they show the cost");
    let mut sent = Vec::new();
    for minute in 1..4 {
        world.clock.ahead.fetch_add(60, Ordering::SeqCst);
        // The shards stay on the bus.
        let budget = TimeBudget::fixed(world.time);
        let trigger = scheduled(at(TICK) + TimeDelta::minutes(minute));
        let report = world.instance().serve(trigger, &budget, &world.sink).await.unwrap().report;
        sent.push((report.rounds.iter().map(RoundRecord::pings).sum::<u32>(), report.unfinished.len()));
    }
    // 60 pings, 20 of the first tick and 40 of its shards.
    assert_eq!(sent, [(20, 8), (0, 0), (0, 0)]);
}
