//! Plans with a durable store, with a volatile one, and with one that fails.

use std::future::ready;
use std::time::Duration;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::OnRequest;
use crate::domain::function::{Architecture, FunctionRef, Identity, Region};
use crate::domain::handed_out::NotAdmitted;
use crate::domain::records::Pause;
use crate::domain::round::Verdict;
use crate::domain::shard::Shard;
use crate::domain::tick::{RoundOutcome, TickReport, Unfinished, UnfinishedReason};
use crate::engine::ports::{
    Condition, Fetched, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version,
};
use crate::service::store::{Directory, Memory};
use crate::service::trigger::RecordKind;

fn durable(objects: impl ObjectStore) -> TickPlanner {
    TickPlanner::new(DocumentStore::new(Arc::new(objects), Durability::Durable))
}

fn volatile() -> TickPlanner {
    TickPlanner::new(DocumentStore::memory())
}

/// Records the results of all rounds of a plan.
async fn record(planner: &TickPlanner, plan: &Plan, report: &TickReport, time: &str) -> StoreHealth {
    record_as(RecordKind::Tick, planner, plan, &plan.due, report, time).await
}

async fn record_as(
    kind: RecordKind,
    planner: &TickPlanner,
    plan: &Plan,
    sent: &[Due],
    report: &TickReport,
    time: &str,
) -> StoreHealth {
    let fleet = fleet();
    planner.record(Results { fleet: &fleet, plan, sent, report }, kind, None, at(time)).await
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-20T{time}Z").parse().unwrap()
}

fn id(name: &str) -> Identity {
    FunctionRef::parse(name).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

fn fleet() -> Fleet {
    let target = |name: &str| Target {
        timeout: Some(Duration::from_secs(30)),
        architecture: Architecture::Arm64,
        interval_minutes: 5,
        windows: vec![Window::new(
            "always",
            chrono_tz::UTC,
            Opening::Weekly(DaySet::DAILY, Hours::AllDay),
            2,
        )],
        on_request: Some(OnRequest {
            max_concurrency: 9,
            max_for: Duration::from_secs(3_600),
            coalesce: Duration::from_secs(60),
        }),
        ..Target::bare(&FunctionRef::parse(name).unwrap(), Region::parse("eu-west-2").unwrap())
    };
    Fleet { hash: "cafe".to_owned(), ..Fleet::new(vec![target("a"), target("b")]) }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.due.iter().map(|due| due.target.label.as_str()).collect()
}

async fn plan(planner: &TickPlanner, time: &str) -> Plan {
    planner.plan(&fleet(), at(time), Minute::of(at(time)).plus(-1), at(time)).await
}

/// A tick whose rounds all ended at once.
async fn tick(planner: &TickPlanner, time: &str) -> Plan {
    let plan = plan(planner, time).await;
    let _ = record(planner, &plan, &report(time, Vec::new()), time).await;
    plan
}

fn report(time: &str, unfinished: Vec<Unfinished>) -> TickReport {
    TickReport { duration_ms: 1, unfinished, ..TickReport::empty(at(time), None) }
}

#[tokio::test]
async fn a_minute_is_claimed_and_undone_rounds_are_due_again() {
    let planner = durable(Memory::default());
    let first = plan(&planner, "09:00:00").await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(names(&plan(&planner, "09:00:00").await), [""; 0], "another delivery of the same minute");
    let left = |index: usize, reason| Unfinished::new(&first.due[index].target, 2, reason);
    let unfinished = vec![left(0, UnfinishedReason::Deadline), left(1, UnfinishedReason::InFlight)];
    let _ = record(&planner, &first, &report("09:00:00", unfinished), "09:00:10").await;
    let second = plan(&planner, "09:01:00").await;
    assert_eq!(names(&second), ["a"], "the first is due again; the other is in flight, and was served");
    assert_eq!(names(&plan(&planner, "09:05:00").await), ["a", "b"]);
}

#[tokio::test]
async fn a_target_in_flight_is_skipped_until_its_timeout() {
    let planner = durable(Memory::default());
    let first = plan(&planner, "09:04:50").await;
    assert_eq!(names(&first), [""; 0]);
    let first = plan(&planner, "09:05:00").await;
    let unfinished = vec![Unfinished::new(&first.due[1].target, 2, UnfinishedReason::InFlight)];
    let _ = record(&planner, &first, &report("09:05:00", unfinished), "09:09:40").await;
    let busy = tick(&planner, "09:10:00").await;
    assert_eq!((names(&busy), busy.skipped[0].skip_reason()), (vec!["a"], Some(SkipReason::InFlight)));
    assert_eq!(names(&plan(&planner, "09:11:00").await), ["b"], "and due again then");
}

#[tokio::test]
async fn pings_released_late_in_a_tick_may_run_to_their_timeout() {
    let planner = durable(Memory::default());
    let first = plan(&planner, "09:00:00").await;
    let unfinished = vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::InFlight)];
    let _ = record(&planner, &first, &report("09:00:00", unfinished), "09:14:15").await;
    assert_eq!(names(&tick(&planner, "09:15:00").await), ["b"]);
    assert_eq!(names(&plan(&planner, "09:16:00").await), ["a"]);
}

#[tokio::test]
async fn a_preview_records_nothing_and_uses_the_present_pauses() {
    let planner = durable(Memory::default());
    plan(&planner, "09:00:00").await;
    let pause = Pause { until: at("09:10:00"), reason: "migration".to_owned() };
    let change = |pauses: &mut Pauses| {
        pauses.functions.insert(FunctionRef::parse("a").unwrap(), pause.clone());
    };
    planner.documents().update(PAUSES, change).await.unwrap();
    let look = async |mode, time: &str| {
        let plan = planner.preview(&fleet(), mode, at(time), at("09:07:00")).await;
        (names(&plan).join(" "), plan.skipped.len())
    };
    let late = Mode::DueSince(Minute::of(at("09:06:00")));
    for _ in 0..2 {
        assert_eq!(look(late, "09:07:00").await, ("b".to_owned(), 1), "due at 09:05, and not served since");
    }
    assert_eq!(look(Mode::DueOnly, "09:07:00").await, (String::new(), 0));
    assert_eq!(look(Mode::Open, "17:03:00").await, ("b".to_owned(), 1), "the pings are sent now");
}

#[tokio::test]
async fn rounds_that_a_shard_leaves_undone_are_due_again() {
    let planner = durable(Memory::default());
    let tick = tick(&planner, "09:00:00").await;
    let undone = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::Deadline)];
    let _ = record_as(
        RecordKind::Shard,
        &planner,
        &Plan::default(),
        &tick.due,
        &report("09:00:00", undone),
        "09:01:00",
    )
    .await;
    assert_eq!(names(&plan(&planner, "09:02:00").await), ["a"]);
}

#[tokio::test]
async fn pings_of_a_late_shard_count_from_their_sending() {
    let planner = durable(Memory::default());
    let first = tick(&planner, "09:00:00").await;
    let unfinished = vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::InFlight)];
    // The second attempt at rounds of 09:00 began a quarter of an hour later, and was over at once.
    let late = report("09:00:00", unfinished);
    let _ = record_as(RecordKind::Shard, &planner, &Plan::default(), &first.due, &late, "09:14:30").await;
    assert_eq!(names(&tick(&planner, "09:15:00").await), ["b"]);
    assert_eq!(names(&plan(&planner, "09:16:00").await), ["a"]);
}

#[tokio::test]
async fn targets_that_a_later_tick_served_stay_served() {
    let planner = durable(Memory::default());
    let first = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick(&planner, "09:05:00").await), ["a", "b"]);
    let undone = || vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::Deadline)];
    let nothing = Plan::default();
    for (plan, kind) in [(&first, RecordKind::Tick), (&nothing, RecordKind::Shard)] {
        let report = report("09:00:00", undone());
        let _ = record_as(kind, &planner, plan, &first.due, &report, "09:05:30").await;
    }
    // An operator's tick in the minute of one that has served its targets.
    let asked = report("09:05:20", undone());
    let _ = record_as(RecordKind::Operator, &planner, &nothing, &first.due, &asked, "09:05:30").await;
    assert_eq!(names(&plan(&planner, "09:06:00").await), [""; 0]);
}

#[tokio::test]
async fn only_ticks_of_the_schedule_are_ticks() {
    let planner = durable(Memory::default());
    let fleet = fleet();
    let tick = plan(&planner, "09:00:00").await;
    let unfinished = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::TooLarge)];
    let scheduled = TickReport { config: Some("cafe".to_owned()), ..report("09:00:00", unfinished) };
    let results = Results { fleet: &fleet, plan: &tick, sent: &tick.due, report: &scheduled };
    let _ = planner.record(results, RecordKind::Tick, Some(at("08:00:00")), at("09:00:01")).await;
    let rounds = |reached| vec![RoundRecord::example(&fleet.targets[0], 2, Verdict::Short, Some(reached))];
    let other = |time: &str, reached| TickReport {
        duration_ms: 70_000,
        partial: false,
        rounds: rounds(reached),
        ..report(time, Vec::new())
    };
    let nothing = Plan::default();
    let _ =
        record_as(RecordKind::Shard, &planner, &nothing, &tick.due, &other("09:00:00", 1), "09:02:00").await;
    let asked = Plan::default();
    let request = other("09:03:00", 1);
    let _ = record_as(RecordKind::Request, &planner, &asked, &tick.due, &request, "09:03:00").await;
    let _ = record_as(RecordKind::Operator, &planner, &nothing, &tick.due, &other("17:00:00", 2), "09:04:00")
        .await;
    let status = status(planner.documents()).await.unwrap();
    assert_eq!((status.tick, status.duration_ms, status.unfinished), (Some(at("09:00:00")), 1, 1));
    assert_eq!((status.config.as_deref(), status.config_behind_since), (Some("cafe"), Some(at("08:00:00"))));
    let last = &status.targets[&id("a")];
    assert_eq!((last.tick, last.reached), (at("09:04:00"), Some(2)), "an operator's pings are of now");
}

#[tokio::test]
async fn shards_record_their_rounds_in_other_documents() {
    let planner = durable(Memory::default());
    let (fleet, tick) = (fleet(), plan(&planner, "09:00:00").await);
    let round =
        |index: usize, reached| RoundRecord::example(&fleet.targets[index], 2, Verdict::Short, Some(reached));
    let report_of = |time: &str, rounds| TickReport { rounds, ..report(time, Vec::new()) };
    let handed_on = vec![Unfinished::new(&fleet.targets[1], 2, UnfinishedReason::HandedOn)];
    let whole = TickReport { rounds: vec![round(0, 1)], ..report("09:05:00", handed_on) };
    let _ = record(&planner, &tick, &whole, "09:05:01").await;
    let before: Status = planner.documents().read(STATUS).await.unwrap();
    // Late, and older than the last round of the same target.
    let shard = report_of("09:04:00", vec![round(1, 2), round(0, 2)]);
    let _ = record_as(RecordKind::Shard, &planner, &Plan::default(), &tick.due, &shard, "09:05:02").await;
    assert_eq!(planner.documents().read::<Status>(STATUS).await.unwrap(), before, "another document");
    let status = status(planner.documents()).await.unwrap();
    let reached = |name: &str| status.targets[&id(name)].reached;
    assert_eq!((reached("a"), reached("b")), (Some(1), Some(2)));
    assert_eq!((status.tick, status.unfinished), (Some(at("09:05:00")), 0));
}

#[tokio::test]
async fn paused_targets_are_skipped_and_served_after_the_pause() {
    let planner = durable(Memory::default());
    plan(&planner, "09:00:00").await;
    let pause = Pause { until: at("09:07:00"), reason: "migration".to_owned() };
    let change = |pauses: &mut Pauses| {
        pauses.functions.insert(FunctionRef::parse("a").unwrap(), pause.clone());
    };
    planner.documents().update(PAUSES, change).await.unwrap();
    let paused = tick(&planner, "09:05:00").await;
    assert_eq!((names(&paused), paused.skipped[0].skip_reason()), (vec!["b"], Some(SkipReason::Paused)));
    let targets = fleet();
    let asked = RequestTerms { at: at("09:05:30"), concurrency: 3, keep_for: None, reason: None };
    let request = planner.request(&[&targets.targets[0]], &asked, asked.at).await.unwrap();
    assert_eq!((request.due.len(), request.skipped[0].skip_reason()), (0, Some(SkipReason::Paused)));
    assert_eq!(names(&plan(&planner, "09:07:00").await), ["a"]);
}

#[tokio::test]
async fn a_request_does_not_take_the_place_of_a_larger_scheduled_round() {
    let planner = durable(Memory::default());
    plan(&planner, "09:00:00").await;
    let fleet = fleet();
    for (index, concurrency) in [(0, 1), (1, 2)] {
        let asked = RequestTerms { at: at("09:05:01"), concurrency, keep_for: None, reason: None };
        let request = planner.request(&[&fleet.targets[index]], &asked, asked.at).await.unwrap();
        assert_eq!(request.due.len(), 1);
        let report = report("09:05:01", Vec::new());
        let _ = record_as(RecordKind::Request, &planner, &request, &request.due, &report, "09:05:01").await;
    }
    assert_eq!(names(&plan(&planner, "09:05:00").await), ["a"], "b has as many as the schedule needs");
}

#[tokio::test]
async fn the_schedule_alone_decides_without_a_durable_store() {
    let planner = volatile();
    for _ in 0..2 {
        assert_eq!(names(&plan(&planner, "09:00:00").await), ["a", "b"]);
    }
    assert_eq!(names(&plan(&planner, "09:01:00").await), [""; 0]);
}

/// A store whose first answer to a write is lost, so that the client repeats the write and gets a conflict.
#[derive(Debug, Default)]
struct Forgetful(Memory, AtomicBool);

impl ObjectStore for Forgetful {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        self.0.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(async move {
            let put = self.0.put(key, bytes, condition).await;
            let is_repeated = self.1.swap(true, Ordering::Relaxed);
            if is_repeated { put } else { Err(PutError::Conflict) }
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.0.list()
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_found_again() {
    let planner = durable(Forgetful::default());
    let tick = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick), ["a", "b"]);
    assert_eq!(names(&plan(&planner, "09:00:00").await), [""; 0], "another delivery");
    let undone = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::Deadline)];
    let _ = record(&planner, &tick, &report("09:00:00", undone), "09:00:10").await;
    assert_eq!(names(&plan(&planner, "09:01:00").await), ["a"]);
}

/// A store that fails.
#[derive(Debug)]
struct Failing;

impl Failing {
    fn error() -> ObjectStoreError {
        ObjectStoreError::from("away".to_owned())
    }
}

impl ObjectStore for Failing {
    fn get<'a>(&'a self, _: &'a str, _: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(ready(Err(Self::error())))
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>, _: Condition<'a>) -> StoreFuture<'a, Version, PutError> {
        Box::pin(ready(Err(Self::error().into())))
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        Box::pin(ready(Err(Self::error())))
    }
}

#[tokio::test]
async fn the_fleet_stays_warm_without_the_store() {
    let planner = durable(Failing);
    let tick = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick), ["a", "b"]);
    let _ = record(&planner, &tick, &report("09:00:00", Vec::new()), "09:00:01").await;
    assert!(planner.take_shard("a1", at("09:00:00")).await.0.is_some(), "a shard is served");
    assert!(
        planner.take_shard("a1", at("09:00:01")).await.0.is_none(),
        "and not twice by the same environment"
    );
    let asked = RequestTerms { at: at("09:00:00"), concurrency: 1, keep_for: None, reason: None };
    let fleet = fleet();
    let round = planner.request(&[&fleet.targets[0]], &asked, asked.at).await.unwrap();
    assert_eq!(
        (names(&round), round.health),
        (vec!["a"], StoreHealth::Unavailable),
        "a round needs no store"
    );
    let asked = RequestTerms { keep_for: Some(Duration::from_secs(60)), ..asked };
    let kept = planner.request(&[&fleet.targets[0]], &asked, asked.at).await;
    assert!(kept.is_err(), "a request that is kept needs it");
}

/// A store that answers after a second, or never.
#[derive(Debug)]
struct Slow {
    store: Directory,
    hangs: Arc<AtomicBool>,
}

impl Slow {
    async fn answer(&self) {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl ObjectStore for Slow {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(async move {
            self.answer().await;
            self.store.get(key, known).await
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(async move {
            self.answer().await;
            self.store.put(key, bytes, condition).await
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.store.list()
    }
}

fn pause_a(pauses: &mut Pauses) {
    let pause = Pause { until: at("10:00:00"), reason: "migration".to_owned() };
    pauses.functions.insert(FunctionRef::parse("a").unwrap(), pause);
}

#[tokio::test(start_paused = true)]
async fn a_hung_store_delays_a_tick_by_three_seconds_and_pauses_stay_known() {
    let folder = tempfile::tempdir().unwrap();
    let hangs = Arc::new(AtomicBool::new(false));
    let slow = || Slow { store: Directory::new(folder.path()), hangs: Arc::clone(&hangs) };
    let (planner, started_late) = (durable(slow()), durable(slow()));
    durable(Directory::new(folder.path())).documents().update(PAUSES, pause_a).await.unwrap();
    let took = async |planner: &TickPlanner, time: &str| {
        let started = Instant::now();
        let plan = plan(planner, time).await;
        (names(&plan).join(" "), plan.health, started.elapsed().as_secs(), plan.pauses_unknown)
    };
    // One second for three documents at the same time, and one for the claim.
    assert_eq!(took(&planner, "09:00:00").await, ("b".to_owned(), StoreHealth::Sound, 2, false));
    hangs.store(true, Ordering::Relaxed);
    let without = ("b".to_owned(), StoreHealth::Unavailable, 3, false);
    assert_eq!(took(&planner, "09:05:00").await, without, "the pauses as they were read before");
    let never = ("a b".to_owned(), StoreHealth::Unavailable, 3, true);
    assert_eq!(took(&started_late, "09:05:00").await, never, "a process that never read the pauses");
    let started = Instant::now();
    let late = plan(&started_late, "09:05:00").await;
    let ended = report("09:05:00", Vec::new());
    let noted = record(&started_late, &late, &ended, "09:05:01").await;
    assert_eq!(noted, StoreHealth::Unavailable);
    assert_eq!(started.elapsed(), 2 * READ_WITHIN, "recording has the same limit");
}

#[tokio::test]
async fn unknown_pauses_are_in_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let planner = durable(Directory::new(folder.path()));
    std::fs::write(folder.path().join("pauses.1.json"), "not json").unwrap();
    let first = tick(&planner, "09:00:00").await;
    assert_eq!((names(&first), first.health), (vec!["a", "b"], StoreHealth::Unavailable));
    assert!(status(planner.documents()).await.unwrap().pauses_unknown);
    std::fs::remove_file(folder.path().join("pauses.1.json")).unwrap();
    assert_eq!(tick(&planner, "09:05:00").await.health, StoreHealth::Sound);
    assert!(!status(planner.documents()).await.unwrap().pauses_unknown);
}

#[tokio::test(start_paused = true)]
async fn a_claim_ends_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let process = || durable(Directory::new(folder.path()));
    let (one, two) = (process(), process());
    let running = plan(&one, "09:00:00").await;
    assert_eq!(names(&running), ["a", "b"]);
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(names(&plan(&two, "09:01:05").await), [""; 0], "the claim was renewed twice");
    drop(running);
    tokio::time::sleep(Duration::from_secs(64)).await;
    let taken = plan(&two, "09:02:09").await;
    assert_eq!(names(&taken), ["a", "b"], "the claim ended at 09:02");
    let _ = record(&two, &taken, &report("09:02:09", Vec::new()), "09:02:10").await;
    assert_eq!(names(&plan(&two, "09:03:10").await), [""; 0]);
}

#[tokio::test]
async fn pauses_use_the_system_clock() {
    let planner = durable(Memory::default());
    planner.documents().update(PAUSES, pause_a).await.unwrap();
    let previous = Minute::of(at("10:00:00"));
    let early = planner.plan(&fleet(), at("10:00:20"), previous.plus(-1), at("09:59:50")).await;
    assert_eq!((names(&early), early.skipped.len()), (vec!["b"], 1), "an early event does not end a pause");
    let targets = fleet();
    let asked = RequestTerms { at: at("10:00:20"), concurrency: 1, keep_for: None, reason: None };
    let request = planner.request(&[&targets.targets[0]], &asked, at("09:59:50")).await.unwrap();
    assert_eq!(request.skipped[0].skip_reason(), Some(SkipReason::Paused));
}

#[tokio::test]
async fn times_in_the_future_are_repaired() {
    let planner = durable(Memory::default());
    let tomorrow = at("09:00:00") + TimeDelta::days(1);
    let ahead = planner.plan(&fleet(), tomorrow, Minute::of(tomorrow).plus(-1), tomorrow).await;
    let tick = TickReport { tick: tomorrow, ..report("09:00:00", Vec::new()) };
    let fleet = fleet();
    let results = Results { fleet: &fleet, plan: &ahead, sent: &ahead.due, report: &tick };
    let _ = planner.record(results, RecordKind::Tick, None, tomorrow).await;
    assert_eq!(names(&self::tick(&planner, "09:05:00").await), ["a", "b"]);
    assert_eq!(names(&self::tick(&planner, "09:05:00").await), [""; 0], "repaired");
    assert_eq!(status(planner.documents()).await.unwrap().tick, Some(at("09:05:00")));
}

#[tokio::test]
async fn a_document_that_has_grown_too_large_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = Directory::new(folder.path());
    // The document of an earlier version: 70 requests with reasons of 240 kB.
    let reason = "r".repeat(240_000);
    let request = |minute: u32| {
        let time = at(&format!("08:{minute:02}:00"));
        serde_json::json!({ "concurrency": 1, "asked": time, "since": time, "until": at("10:00:00"), "reason": reason })
    };
    let targets: serde_json::Map<_, _> =
        (0..70).map(|index| (format!("f{index:02} eu-west-2"), request(index % 60))).collect();
    let document = serde_json::json!({ "targets": targets }).to_string();
    assert!(document.len() > 16_000_000);
    std::fs::write(folder.path().join("requests.1.json"), document).unwrap();
    let planner = durable(store.clone());
    let asked = RequestTerms {
        at: at("09:00:00"),
        concurrency: 1,
        keep_for: Some(Duration::from_secs(60)),
        reason: None,
    };
    let fleet = fleet();
    let kept = planner.request(&[&fleet.targets[0]], &asked, asked.at).await.unwrap();
    assert_eq!(names(&kept), ["a"]);
    let requests: Requests = planner.documents().read(REQUESTS).await.unwrap();
    assert!(requests.targets.contains_key(&id("a")) && !requests.targets.contains_key(&id("f00")));
    let Fetched::Object { bytes, .. } = store.get("requests.json", None).await.unwrap() else { panic!() };
    let bytes = bytes.len();
    assert!(bytes <= records::MOST_BYTES && bytes > records::MOST_BYTES / 2, "{bytes}");
}

#[tokio::test]
async fn a_shard_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let environment = || durable(Directory::new(folder.path()));
    let (one, two) = (environment(), environment());
    let (first, second) =
        tokio::join!(one.take_shard("a1", at("09:00:00")), two.take_shard("a1", at("09:00:00")));
    let (first, second) = (first.0, second.0);
    assert_eq!([&first, &second].into_iter().flatten().count(), 1);
    for taken in [first, second].into_iter().flatten() {
        let _ = one.release_shard(&taken).await;
    }
    let third = environment();
    assert!(third.take_shard("a1", at("09:01:00")).await.0.is_some(), "no ping of it was sent");
    assert!(environment().take_shard("a1", at("09:02:00")).await.0.is_none());
}

#[tokio::test]
async fn a_shard_is_taken_once_without_a_store() {
    let planner = volatile();
    let taken = planner.take_shard("a1", at("09:00:00")).await.0.unwrap();
    assert!(planner.take_shard("a1", at("09:00:01")).await.0.is_none());
    let _ = planner.release_shard(&taken).await;
    assert!(planner.take_shard("a1", at("09:00:02")).await.0.is_some());
}

#[tokio::test]
async fn recorded_shards_are_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let environment = || durable(Directory::new(folder.path()));
    let shard =
        |attempt| Shard { tick: at("09:00:00"), config: None, attempt, run: None, rounds: Vec::new() };
    let fleet = fleet();
    environment().record_shards(&[shard(1), shard(2)], at("09:00:01")).await;
    let other = environment();
    for (attempt, when, admitted) in [
        (1, "09:00:02", Ok(())),
        (2, "09:59:00", Ok(())),
        (3, "09:00:02", Err(NotAdmitted::NotHandedOut)),
        (1, "10:00:02", Err(NotAdmitted::NotHandedOut)),
    ] {
        assert_eq!(
            other.admit_shard(&shard(attempt), &fleet, at(when)).await,
            admitted,
            "{attempt} at {when}"
        );
    }
    // Without the store: as many per minute as a tick may need.
    let away = durable(Failing);
    assert_eq!(away.admit_shard(&shard(1), &fleet, at("09:00:02")).await, Ok(()));
    assert_eq!(away.admit_shard(&shard(2), &fleet, at("09:00:03")).await, Err(NotAdmitted::TooMany(1)));
    assert_eq!(away.admit_shard(&shard(2), &fleet, at("09:01:00")).await, Ok(()));
}

/// A tick with one target that does not answer: the claim of the other target ends with the first part, that of the
/// hung one with its round. Unanswered pings keep it busy after that.
#[tokio::test]
async fn a_hung_target_is_skipped_by_every_process_and_delays_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let process = || durable(Directory::new(folder.path()));
    let (planner, other) = (process(), process());
    let first = plan(&planner, "09:00:00").await;
    assert_eq!(names(&first), ["a", "b"]);

    // Both are in flight: another process finds the renewed claim five minutes later, and sends nothing.
    let renew = |served: &mut Served| served.renew(first.claim.as_ref().unwrap().by, at("09:04:30"));
    planner.documents().update(SERVED, renew).await.unwrap();
    let busy = plan(&other, "09:05:00").await;
    assert_eq!((names(&busy).len(), busy.skipped.len()), (0, 2));
    assert!(busy.skipped.iter().all(|round| round.skip_reason() == Some(SkipReason::InFlight)));

    // `a` has ended.
    let running = first.due[1..].to_vec();
    let part = report("09:00:00", Vec::new());
    let fleet = fleet();
    let results = Results { fleet: &fleet, plan: &first, sent: &first.due, report: &part };
    assert_eq!(planner.record_part(results, &running, at("09:05:10")).await, StoreHealth::Sound);
    let free = plan(&other, "09:05:15").await;
    assert_eq!(names(&free), ["a"], "served at 09:00, due at 09:05");
    assert_eq!(free.skipped.len(), 1);
    let _ = record(&other, &free, &report("09:05:15", Vec::new()), "09:05:16").await;

    // `b` has ended without an answer, and may run for four minutes more.
    let mut unanswered = report("09:00:00", Vec::new());
    let mut round = RoundRecord::example(&first.due[1].target, 2, Verdict::Short, None);
    if let RoundOutcome::Sent(sent) = &mut round.outcome {
        sent.quiet_for = Some(Duration::from_secs(240));
    }
    unanswered.rounds.push(round);
    let _ = record(&planner, &first, &unanswered, "09:06:20").await;
    let later = plan(&other, "09:10:00").await;
    assert_eq!(names(&later), ["a"]);
    let _ = record(&other, &later, &report("09:10:00", Vec::new()), "09:10:01").await;
    assert_eq!(names(&plan(&other, "09:15:00").await), ["a", "b"]);
}

/// A target whose earlier round waits for room was not served.
#[tokio::test(start_paused = true)]
async fn a_round_without_room_is_due_again() {
    for skipped in [SkipReason::InFlight, SkipReason::NoRoom] {
        let planner = durable(Memory::default());
        let first = plan(&planner, "09:00:00").await;
        let mut ended = report("09:00:00", Vec::new());
        ended.rounds.push(RoundRecord::skipped(&first.due[0].target, 2, skipped));
        let _ = record(&planner, &first, &ended, "09:00:10").await;
        assert_eq!(names(&plan(&planner, "09:01:00").await), ["a"], "{skipped:?}");
    }
}
