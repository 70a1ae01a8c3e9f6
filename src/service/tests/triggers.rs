//! The records and metrics of each trigger. Only triggers of the schedule count as ticks.

mod budgets;
mod deployed;
mod processes;

use std::collections::BTreeSet;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{By, Fallback, Managed, Provisioned, Status as CapacityStatus, Strategy};
use crate::domain::events::{Backlog, Deployment, DirectNeed, DirectWarm, Need, Subject, WarmRequest};
use crate::domain::fleet::{Fleet, Limits, OnRequest};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::metric_data::Batch;
use crate::domain::pipeline::Pipeline;
use crate::domain::records::{REQUESTS, Requests, SERVED, STATUS, Served, Status};
use crate::domain::schedule::Minute;
use crate::domain::shard::{Shard, ShardRound};
use crate::engine::ports::{Event, Events, LostEvents, LostMetrics, Metrics, ObjectStore};
use crate::engine::tests::hung::HUNG;
use crate::service::capacity::tests::model::Model;
use crate::service::live_config::LiveConfig;
use crate::service::planner::{StoreHealth, TickPlanner};
use crate::service::recorder::Recorder;
use crate::service::store::{DocumentStore, Durability, Memory};
use crate::service::{
    Bus, CustomPayload, Observer, Policy, Refusal, ScheduledTicks, Service, Trigger, largest_round,
};

const NOW: &str = "2026-11-20T09:00:10Z";
const TICK: &str = "2026-11-20T09:00:00Z";

/// CloudWatch and EventBridge that accept everything.
#[derive(Debug, Clone, Default)]
struct Sink {
    batches: Arc<Mutex<Vec<Batch>>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Metrics for Sink {
    async fn put(&self, batch: &Batch, _: Instant) -> Result<(), LostMetrics> {
        self.batches.lock().unwrap().push(batch.clone());
        Ok(())
    }
}

impl Events for Sink {
    async fn put(&self, events: &[Event], _: Instant) -> Result<(), LostEvents> {
        self.events.lock().unwrap().extend(events.iter().cloned());
        Ok(())
    }
}

/// Collects the reports of parts.
#[derive(Debug, Clone, Default)]
struct Parts(Arc<Mutex<Vec<TickReport>>>);

impl Observer for Parts {
    fn recorded(&self, part: &Part) {
        self.0.lock().unwrap().push(part.report.clone());
    }
}

fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

fn target(name: &str) -> Target {
    let opening = Opening::Weekly(DaySet::DAILY, Hours::AllDay);
    let on_request = OnRequest {
        max_concurrency: 9,
        max_for: Duration::from_secs(3_600),
        coalesce: Duration::from_secs(60),
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    let direct = Provisioned { by: By::Direct, fallback: Fallback::Pings };
    Target {
        strategy: if name == "driven" { Strategy::Provisioned(direct) } else { Strategy::Pings },
        timeout: Some(Duration::from_secs(100)),
        interval_minutes: 1,
        windows: vec![Window::new("always", chrono_tz::UTC, opening, 2)],
        on_request: Some(on_request),
        ..Target::clone(&due(name, 2).target)
    }
}

/// The service with one warm function, and the ports that it writes to.
struct Harness {
    service: Arc<Service<ScriptedLambda, Sink, Sink>>,
    documents: DocumentStore,
    sink: Sink,
    scripted: Arc<Scripted>,
    clock: Arc<Wall>,
}

impl Harness {
    fn new(functions: &[(&'static str, Script)]) -> Self {
        Self::with_store(functions, Arc::new(Memory::default()))
    }

    fn with_store(functions: &[(&'static str, Script)], objects: Arc<dyn ObjectStore>) -> Self {
        Self::with_documents(functions, DocumentStore::new(objects, Durability::Durable))
    }

    fn with_documents(functions: &[(&'static str, Script)], documents: DocumentStore) -> Self {
        let targets = functions.iter().map(|(name, _)| target(name)).collect();
        Self::with_fleet(functions, Fleet::new(targets), documents)
    }

    fn with_fleet(functions: &[(&'static str, Script)], fleet: Fleet, documents: DocumentStore) -> Self {
        let (sink, scripted) = (Sink::default(), Arc::new(Scripted::new(functions)));
        let fleet = Fleet { hash: "cafe".to_owned(), ..fleet };
        let clock = Arc::new(Wall::new(NOW));
        let lambda = ScriptedLambda(Arc::clone(&scripted));
        let capacity = Box::new(|limits: Limits, _| Ok(limits.max_in_flight as usize));
        let live_config = LiveConfig::fixed(fleet);
        let mut service = Service::new(lambda, live_config, documents.clone(), capacity, None).unwrap();
        service.recorder = Some(Recorder::new(sink.clone(), Box::new(std::io::sink())));
        service.bus = Some(Bus { events: sink.clone(), name: "default".to_owned() });
        service.clock = clock.clone();
        service.policy = Policy {
            checks_contact: false,
            refreshes_facts: false,
            max_age: Some(Duration::from_secs(120)),
            custom_payload: CustomPayload::Refused,
            is_delivered_repeatedly: true,
        };
        Self { service: Arc::new(service), documents, sink, scripted, clock }
    }

    async fn serve(&self, trigger: Trigger) -> Result<StoreHealth, Refusal> {
        let budget = TimeBudget::fixed(Duration::from_secs(900));
        let outcome = self.service.serve(trigger, &budget, &Parts::default()).await;
        outcome.map(|outcome| outcome.health)
    }

    /// The names and values of metrics in each batch, without zeros.
    fn metrics(&self) -> Vec<BTreeSet<&'static str>> {
        let batches = self.sink.batches.lock().unwrap();
        let names = |batch: &Batch| {
            let data = batch.data.iter().filter(|datum| datum.value > 0.0 || datum.name == "TickDuration");
            data.map(|datum| datum.name).collect()
        };
        batches.iter().map(names).collect()
    }
}

fn shard(run: Option<&str>) -> Shard {
    let id = FunctionRef::parse("f").unwrap().identity(region());
    let round = ShardRound::example(id, 2.try_into().unwrap());
    let run = run.map(str::to_owned);
    Shard { tick: at(TICK), config: Some("cafe".to_owned()), attempt: 1, run, rounds: vec![round] }
}

fn subject(function: &str) -> Subject {
    Subject::Function(FunctionRef::parse(function).unwrap(), Need::Environments(2))
}

fn request() -> WarmRequest {
    WarmRequest {
        id: None,
        at: Some(at(TICK)),
        subject: subject("f"),
        region: None,
        keep_for: None,
        reason: None,
    }
}

fn warm() -> DirectWarm {
    DirectWarm {
        function: FunctionRef::parse("f").unwrap(),
        region: None,
        tenant: None,
        need: DirectNeed::Given(Need::Environments(2)),
        protocol: None,
        hold: None,
    }
}

/// A deployment of `name[:alias]`, ten seconds before the harness starts.
fn deployment(function: &str) -> Deployment {
    let FunctionRef { name, qualifier, .. } = FunctionRef::parse(function).unwrap();
    Deployment { function: name, alias: qualifier, account: None, region: region(), at: Some(at(TICK)) }
}

fn scheduled() -> Trigger {
    Trigger::Schedule { at: at(TICK), previous: Minute::of(at(TICK)).plus(-1) }
}

#[tokio::test(start_paused = true)]
async fn only_scheduled_ticks_count_as_ticks() {
    let at_five = Some(at("2026-11-20T05:00:00Z"));
    let id = || "r1".to_owned();
    let triggers = [
        ("schedule", scheduled()),
        ("run --once --due-only", Trigger::RunOnce { at: None, due_only: true }),
        ("run --once", Trigger::RunOnce { at: None, due_only: false }),
        ("run --once --at", Trigger::RunOnce { at: at_five, due_only: false }),
        ("run --once --at --due-only", Trigger::RunOnce { at: at_five, due_only: true }),
        ("run event", Trigger::RunEvent { at: None, request_id: id() }),
        ("run event at", Trigger::RunEvent { at: at_five, request_id: id() }),
        ("shard", Trigger::Shard { at: None, shard: shard(None) }),
        ("shard of a run event", Trigger::Shard { at: None, shard: shard(Some("r1")) }),
        ("request", Trigger::Request(request())),
        ("deployed", Trigger::Deployed(deployment("f"))),
        ("warm", Trigger::Warm { warm: warm(), region: region() }),
    ];
    let mut table = vec![format!(
        "{:<26} | {:<5} | {:<8} | {:<6} | {:<9} | {:<10} | events",
        "trigger", "tick?", "metrics", "served", "last tick", "last round"
    )];
    for (name, trigger) in triggers {
        let harness = Harness::new(&[("f", Script::Runs(Duration::from_secs(1)))]);
        let planner = TickPlanner::new(harness.documents.clone());
        planner.record_shards(&[shard(None), shard(Some("r1"))], at(NOW)).await;
        let _ = harness.serve(trigger).await.unwrap();
        assert_eq!(harness.scripted.sent.lock().unwrap().len(), 2, "{name}");
        let batches = harness.sink.batches.lock().unwrap().clone();
        let [batch] = &batches[..] else { panic!("{name}: {batches:?}") };
        let is_whole = batch.data.iter().any(|datum| datum.name == "TickDuration");
        let served: Served = harness.documents.read(SERVED).await.unwrap();
        let mut status: Status = harness.documents.read(STATUS).await.unwrap();
        for document in Status::shard_documents() {
            status.merge(harness.documents.read(&document).await.unwrap());
        }
        let shown = |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), |at| at.format("%T").to_string());
        table.push(format!(
            "{name:<26} | {:<5} | {} | {:<6} | {:<9} | {:<10} | {}",
            is_whole,
            batch.at.format("%T"),
            served != Served::default(),
            shown(status.tick),
            shown(
                status
                    .targets
                    .get(&FunctionRef::parse("f").unwrap().identity(region()))
                    .map(|last| last.tick)
            ),
            harness.sink.events.lock().unwrap().len(),
        ));
    }
    // `tick?`: with TickDuration. `metrics`: their time. `served`: the targets count as served. The last tick and round
    // are those in `warmd status`.
    insta::assert_snapshot!(table.join("\n"), @"
    trigger                    | tick? | metrics  | served | last tick | last round | events
    schedule                   | true  | 09:00:00 | true   | 09:00:00  | 09:00:00   | 0
    run --once --due-only      | true  | 09:00:10 | true   | 09:00:10  | 09:00:10   | 0
    run --once                 | false | 09:00:10 | false  | -         | 09:00:11   | 0
    run --once --at            | false | 09:00:11 | false  | -         | -          | 0
    run --once --at --due-only | false | 09:00:11 | false  | -         | -          | 0
    run event                  | false | 09:00:10 | false  | -         | 09:00:11   | 0
    run event at               | false | 09:00:11 | false  | -         | 09:00:11   | 0
    shard                      | false | 09:00:00 | false  | -         | 09:00:00   | 0
    shard of a run event       | false | 09:00:00 | false  | -         | 09:00:11   | 0
    request                    | false | 09:00:00 | true   | -         | 09:00:00   | 1
    deployed                   | false | 09:00:10 | true   | -         | 09:00:10   | 0
    warm                       | false | 09:00:10 | false  | -         | -          | 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_tick_in_two_parts_counts_once() {
    let harness = Harness::new(&[("f", Script::Runs(Duration::from_secs(1))), ("hung", HUNG)]);
    let parts = Parts::default();
    let budget = TimeBudget::fixed(Duration::from_secs(900));
    let outcome = harness.service.serve(scheduled(), &budget, &parts).await.unwrap();
    let reports = parts.0.lock().unwrap();
    let rounds = |report: &TickReport| {
        report.rounds.iter().map(|round| round.id.label()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reports.iter().map(rounds).collect::<Vec<_>>(), ["f", "hung"]);
    assert_eq!((rounds(&outcome.report), outcome.health), ("f hung".to_owned(), StoreHealth::Sound));
    let whole: Vec<bool> = harness.metrics().iter().map(|names| names.contains("TickDuration")).collect();
    assert_eq!(whole, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_store_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let store = Arc::new(crate::service::store::Directory::new(file));
    let functions = [("f", Script::Runs(Duration::from_secs(1))), ("hung", HUNG)];
    let harness = Harness::with_store(&functions, store);
    assert_eq!(harness.serve(scheduled()).await, Ok(StoreHealth::Unavailable));
    let counted: Vec<bool> =
        harness.metrics().iter().map(|names| names.contains("StateUnavailable")).collect();
    assert_eq!(counted, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn triggers_that_send_nothing_are_counted_by_their_reason() {
    let harness = Harness::new(&[("f", Script::Runs(Duration::from_secs(1)))]);
    let long_ago = at("2026-11-20T08:00:00Z");
    let stale = [
        Trigger::Schedule { at: long_ago, previous: Minute::of(long_ago).plus(-1) },
        Trigger::Shard { at: Some(long_ago), shard: shard(None) },
        Trigger::Request(WarmRequest { at: Some(long_ago), ..request() }),
    ];
    for trigger in stale {
        assert_eq!(harness.serve(trigger).await, Ok(StoreHealth::Sound));
        assert_eq!(harness.metrics(), [BTreeSet::from(["TicksStale"])]);
        harness.sink.batches.lock().unwrap().clear();
    }
    let unknown = WarmRequest { subject: subject("fn"), ..request() };
    for trigger in [Trigger::Shard { at: None, shard: shard(None) }, Trigger::Request(unknown)] {
        let refusal = harness.serve(trigger).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Refused(_)), "{refusal}");
        assert_eq!(harness.metrics(), [BTreeSet::from(["EventsRefused"])]);
        harness.sink.batches.lock().unwrap().clear();
    }
    assert!(harness.scripted.sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_sends_nothing() {
    let harness = Harness::new(&[("f", Script::Runs(Duration::from_secs(1)))]);
    let planner = TickPlanner::new(harness.documents.clone());
    planner.record_shards(&[shard(None)], at(NOW)).await;
    for trigger in [scheduled(), Trigger::Shard { at: None, shard: shard(None) }] {
        for _ in 0..2 {
            let _ = harness.serve(trigger.clone()).await.unwrap();
        }
    }
    assert_eq!(harness.scripted.sent.lock().unwrap().len(), 2 * 2, "one round for each trigger");
    let whole = harness.metrics().iter().filter(|names| names.contains("TickDuration")).count();
    assert_eq!((whole, harness.metrics().len()), (1, 3), "the repeated shard is in the metrics as served");
}

#[tokio::test(start_paused = true)]
async fn the_daemon_serves_firings_and_ends_with_the_rounds_in_flight() {
    let harness = Harness::new(&[("f", Script::Runs(Duration::from_secs(4)))]);
    let (stopper, stop) = stop();
    let parts = Parts::default();
    let ticks = Arc::new(ScheduledTicks {
        service: Arc::clone(&harness.service),
        budget: TimeBudget::until_stopped(stop.clone(), Some(GRACE)),
        observer: parts.clone(),
    });
    let daemon = tokio::spawn({
        let clock = Arc::clone(&harness.clock);
        let cron = "0 * * * * *".parse::<cron::Schedule>().unwrap();
        async move { daemon::run(ticks, clock.as_ref(), &cron, stop).await }
    });
    tokio::time::sleep(Duration::from_secs(51)).await;
    // The machine is suspended from 09:02 to 10:00: one tick, not fifty-nine.
    harness.clock.ahead.store(59 * 60, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // The 10:01 tick is in flight at the signal: it ends and is reported.
    tokio::time::sleep(Duration::from_secs(41)).await;
    stopper.stop();
    assert_eq!(daemon.await.unwrap().lost_ticks, 0);
    let reports = parts.0.lock().unwrap();
    let ticks: Vec<String> = reports.iter().map(|report| report.tick.format("%T").to_string()).collect();
    assert_eq!(ticks, ["09:00:10", "09:01:00", "10:00:05", "10:01:00"]);
    let rounds: Vec<usize> = reports.iter().map(|report| report.rounds.len()).collect();
    assert_eq!(rounds, [1; 4]);
    assert!(reports[3].rounds.iter().all(|round| round.verdict() == Verdict::Reached), "{reports:#?}");
}

#[test]
fn targets_that_are_never_pinged_have_no_rounds() {
    let target = |concurrency: u32, strategy: Strategy| {
        let daily = Opening::Weekly(DaySet::parse("daily").unwrap(), Hours::parse("all-day").unwrap());
        let window = Window::new("windows[0]", chrono_tz::Tz::UTC, daily, concurrency);
        Target { windows: vec![window], strategy, ..Target::example("f:live", "eu-west-2", Vec::new()) }
    };
    let provisioned = |fallback| Strategy::Provisioned(Provisioned { by: By::Direct, fallback });
    let fleet = Fleet::new(vec![
        target(5, Strategy::Pings),
        target(20, provisioned(Fallback::Pings)),
        target(300, provisioned(Fallback::None)),
        target(4_000, Strategy::Managed(Managed { floor: 3, max: 4_000 })),
    ]);
    assert_eq!(largest_round(&fleet), 20);
}

#[tokio::test(start_paused = true)]
async fn capacity_is_made_beside_the_rounds_of_the_present_minute() {
    let at_five = Some(at("2026-11-20T05:00:00Z"));
    let kept =
        WarmRequest { subject: subject("driven"), keep_for: Some(Duration::from_secs(600)), ..request() };
    for (trigger, reports) in [
        (scheduled(), 1),
        (Trigger::RunOnce { at: None, due_only: true }, 1),
        (Trigger::RunOnce { at: None, due_only: false }, 1),
        (Trigger::RunOnce { at: at_five, due_only: false }, 0),
        (Trigger::RunEvent { at: None, request_id: "r1".to_owned() }, 0),
        (Trigger::Request(kept), 1),
    ] {
        for hangs in [false, true] {
            let mut harness = Harness::new(&[("driven", Script::Runs(Duration::from_secs(1)))]);
            let model = Arc::new(Model::default());
            model.set_now(at(NOW));
            model.state().hangs = hangs;
            Arc::get_mut(&mut harness.service).unwrap().drive(model.clone(), true);
            let (begun, budget) = (Instant::now(), TimeBudget::fixed(Duration::from_secs(900)));
            let parts = Parts::default();
            let outcome = harness.service.serve(trigger.clone(), &budget, &parts).await.unwrap();
            assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
            let sent = harness.scripted.sent.lock().unwrap().clone();
            assert!(sent.len() >= 2 && sent.iter().all(|(_, sent)| *sent == begun), "{sent:?}");
            assert_eq!(outcome.report.capacity.len(), reports, "{trigger:?}");
            let status = outcome.report.capacity.first().map(|capacity| capacity.status);
            let expected = if hangs { CapacityStatus::Unknown } else { CapacityStatus::InProgress };
            assert_eq!(status, (reports > 0).then_some(expected), "{trigger:?}");
            assert_eq!(parts.0.lock().unwrap().last().unwrap().capacity, outcome.report.capacity);
            assert_eq!(model.taken().len(), usize::from(reports > 0 && !hangs));
        }
    }
}

/// A backlog of 30 requests, for three environments of one request a second.
fn backlog(hold_for: Option<Duration>) -> Need {
    let (rate, drain) = (1.into(), Duration::from_secs(10));
    Need::Backlog(Backlog { messages: 30, rate, drain, hold_for })
}

#[tokio::test(start_paused = true)]
async fn a_backlog_without_a_durable_store_is_refused() {
    let functions = [("f", Script::Runs(Duration::from_secs(1)))];
    let harness = Harness::with_documents(&functions, DocumentStore::memory());
    let function = FunctionRef::parse("f").unwrap();
    let pipeline =
        |name: &str| Subject::Pipeline { name: name.to_owned(), messages: 30, drain: None, hold_for: None };
    let kept = WarmRequest { keep_for: Some(Duration::from_secs(60)), ..request() };
    let mut refusals = Vec::new();
    for request in [
        WarmRequest { subject: Subject::Function(function, backlog(None)), ..request() },
        kept,
        WarmRequest { subject: pipeline("nlp\u{1b}[2J"), ..request() },
    ] {
        refusals.push(harness.serve(Trigger::Request(request)).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the Warm Request for `f` is refused, and nothing was sent: `backlog` needs a state store (WARMD_STATE), and there is none
    the Warm Request for `f` is refused, and nothing was sent: `for` needs a state store (WARMD_STATE), and there is none
    the Warm Request for the pipeline "nlp\u{1b}[2J" is refused, and nothing was sent: it is not in the configuration of this region
    "#);
    // An operator's round needs no store, and is limited.
    let need = Need::Backlog(Backlog {
        messages: u32::MAX,
        rate: 1.into(),
        drain: Duration::from_secs(1),
        hold_for: None,
    });
    let warm = DirectWarm { need: DirectNeed::Given(need), ..warm() };
    let _ = harness.serve(Trigger::Warm { warm, region: region() }).await.unwrap();
    assert_eq!(harness.scripted.sent.lock().unwrap().len(), 9, "`max_concurrency`");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_an_operator_is_kept_for_functions_with_on_request() {
    let harness = Harness::new(&[("f", Script::Runs(Duration::from_secs(1)))]);
    let warm = |function: &str| {
        let function = FunctionRef::parse(function).unwrap();
        let warm = DirectWarm {
            function,
            need: DirectNeed::Given(backlog(Some(Duration::from_secs(600)))),
            ..warm()
        };
        Trigger::Warm { warm, region: region() }
    };
    let sent = || std::mem::take(&mut *harness.scripted.sent.lock().unwrap()).len();
    let _ = harness.serve(warm("f")).await.unwrap();
    assert_eq!(sent(), 3);
    harness.clock.ahead.store(60, Ordering::SeqCst);
    let next = at(TICK) + chrono::TimeDelta::minutes(1);
    let _ = harness.serve(Trigger::Schedule { at: next, previous: Minute::of(next).plus(-1) }).await.unwrap();
    assert_eq!(sent(), 3, "not the 2 of the window");
    let requests: Requests = harness.documents.read(REQUESTS).await.unwrap();
    assert_eq!(requests.backlogs.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_an_operator_that_cannot_be_held_is_refused() {
    let functions = [("f", Script::Runs(Duration::from_secs(1)))];
    let disabled = Target { on_request: None, ..target("f") };
    let durable = || DocumentStore::new(Arc::new(Memory::default()), Durability::Durable);
    let mut refusals = Vec::new();
    for (target, documents) in [(target("f"), DocumentStore::memory()), (disabled, durable())] {
        let harness = Harness::with_fleet(&functions, Fleet::new(vec![target]), documents);
        let serve = |hold_for| {
            let warm = DirectWarm { need: DirectNeed::Given(backlog(hold_for)), ..warm() };
            harness.serve(Trigger::Warm { warm, region: region() })
        };
        refusals.push(serve(Some(Duration::from_secs(600))).await.unwrap_err().to_string());
        assert!(harness.scripted.sent.lock().unwrap().is_empty());
        let _ = serve(None).await.unwrap();
        assert_eq!(harness.scripted.sent.lock().unwrap().len(), 3);
    }
    insta::assert_snapshot!(refusals.join("\n"), @"
    nothing was sent: `hold_for` needs a state store (WARMD_STATE), and there is none
    nothing was sent: `hold_for` needs `on_request` in the configuration of the function, and there is none
    ");
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_pipeline_does_not_warm_disabled_functions() {
    let runs = Script::Runs(Duration::from_secs(1));
    let functions = [("f", runs), ("g", runs), ("off", runs)];
    let off = |name: &str| Target { on_request: None, windows: Vec::new(), ..target(name) };
    let stages = functions.map(|(name, _)| vec![target(name).id]);
    let on_request = target("f").on_request;
    let pipeline = Pipeline { on_request, ..Pipeline::example("nlp", &stages) };
    let serve = async |targets: Vec<Target>| {
        let fleet = Fleet { pipelines: vec![pipeline.clone()], ..Fleet::new(targets) };
        let documents = DocumentStore::new(Arc::new(Memory::default()), Durability::Durable);
        let harness = Harness::with_fleet(&functions, fleet, documents);
        let name = "nlp".to_owned();
        let subject = Subject::Pipeline { name, messages: 300, drain: None, hold_for: None };
        let trigger = Trigger::Request(WarmRequest { subject, ..request() });
        let budget = TimeBudget::fixed(Duration::from_secs(900));
        let served = harness.service.serve(trigger, &budget, &Parts::default()).await;
        let requests: Requests = harness.documents.read(REQUESTS).await.unwrap();
        (served.map(|outcome| outcome.report), requests.backlogs.len())
    };
    let (report, stored) = serve(vec![target("f"), target("g"), off("off")]).await;
    let report = report.unwrap();
    let sent: Vec<String> = report.rounds.iter().map(|round| round.id.label()).collect();
    assert_eq!((sent, stored), (vec!["f".to_owned(), "g".to_owned()], 2));
    let [result] = &report.pipelines[..] else { panic!("{:?}", report.pipelines) };
    assert_eq!((result.warm, &result.cold_stages[..]), (Some(false), &["off".to_owned()][..]));
    let (refused, stored) = serve(vec![off("f"), off("g"), off("off")]).await;
    insta::assert_snapshot!(refused.unwrap_err(), @r#"the Warm Request for the pipeline "nlp" is refused, and nothing was sent: every function of it is disabled"#);
    assert_eq!(stored, 0);
}
