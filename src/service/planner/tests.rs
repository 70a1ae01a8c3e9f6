//! Plans with a durable store, with a volatile one, and with one that fails.

use std::future::ready;
use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{CapacityReport, Strategy};
use crate::domain::fleet::{OnRequest, Target};
use crate::domain::function::{Architecture, FunctionRef, Identity, Region};
use crate::domain::handed_out::NotAdmitted;
use crate::domain::records::{BacklogTerms, Pause, RequestTerms};
use crate::domain::round::Verdict;
use crate::domain::shard::Shard;
use crate::domain::tick::{RoundOutcome, SkipReason, TickReport, Unfinished, UnfinishedReason};
use crate::engine::ports::{
    Condition, Fetched, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version,
};
use crate::service::store::{Directory, Memory};
use crate::service::trigger::RecordKind;

mod deployments;
mod levels;
mod pipelines;
mod shards;
mod store;

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
    planner.record(Results { fleet: &fleet, plan, sent, report }, kind, None, at(time)).await.0
}

/// A request of a number of environments.
pub(in crate::service) fn ask<'f>(target: &'f Target, terms: &RequestTerms) -> Ask<'f> {
    Ask::new(target, AskTerms::Environments(terms.clone())).unwrap()
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
            hold_for: crate::domain::backlog::DEFAULT_HOLD,
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
    let request = planner.request(&targets, &[ask(&targets.targets[0], &asked)], asked.at).await.unwrap();
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
        let request = planner.request(&fleet, &[ask(&fleet.targets[index], &asked)], asked.at).await.unwrap();
        assert_eq!(request.due.len(), 1);
        let report = report("09:05:01", Vec::new());
        let _ = record_as(RecordKind::Request, &planner, &request, &request.due, &report, "09:05:01").await;
    }
    assert_eq!(names(&plan(&planner, "09:05:00").await), ["a"], "b has as many as the schedule needs");
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

/// A tick hands the target on, and the shard that warms it has no plan of the tick.
#[tokio::test]
async fn rounds_of_shards_and_capacity_work_off_a_backlog() {
    let planner = durable(Memory::default());
    let fleet = fleet();
    let terms = BacklogTerms {
        at: at("09:00:10"),
        pipeline: None,
        messages: 90_000,
        rate: 300.into(),
        per_environment: 30_000.into(),
        hold_for: Some(Duration::from_secs(1)),
        reason: None,
    };
    let asks = [Ask::new(&fleet.targets[0], AskTerms::Backlog(terms)).unwrap()];
    let request = planner.request(&fleet, &asks, at("09:00:10")).await.unwrap();
    assert_eq!(request.due[0].concurrency.get(), 3);
    let round = |reached| RoundRecord::example(&fleet.targets[0], 3, Verdict::Short, reached);
    let left = async |time: &str| {
        let requests: Requests = planner.documents().read(REQUESTS).await.unwrap();
        requests.backlogs[&id("a")][0].left(at(time))
    };
    let shard = TickReport { rounds: vec![round(Some(2))], ..report("09:00:00", Vec::new()) };
    assert!(request.due[0].has_backlog);
    let none = Plan::of_shard(request.due.clone(), Vec::new(), StoreHealth::Sound);
    let _ = record_as(RecordKind::Shard, &planner, &none, &request.due, &shard, "09:00:20").await;
    assert_eq!(left("09:00:30").await, 90_000 - 2 * 300 * 10);
    // The rounds of a shard without a backlog change no request.
    let due = |has_backlog| Due { has_backlog, ..request.due[0].clone() };
    let without = Plan::of_shard(vec![due(false)], Vec::new(), StoreHealth::Sound);
    let report_of = |reached| TickReport { rounds: vec![round(reached)], ..report("09:00:00", Vec::new()) };
    let _ =
        record_as(RecordKind::Shard, &planner, &without, &without.due, &report_of(Some(3)), "09:00:20").await;
    assert_eq!(left("09:00:30").await, 90_000 - 2 * 300 * 10);
    let marked = plan(&planner, "09:00:00").await;
    assert_eq!(marked.due.iter().map(|due| due.has_backlog).collect::<Vec<_>>(), [true, false]);
    let _ = record(&planner, &marked, &report("09:00:00", Vec::new()), "09:00:20").await;
    // Another target, and a round without a proof.
    let other = RoundRecord::example(&fleet.targets[1], 2, Verdict::Reached, Some(2));
    for (rounds, time, expected) in [
        (vec![other], "09:00:30", 90_000 - 2 * 300 * 20),
        (vec![round(None)], "09:00:30", 90_000 - 2 * 300 * 10),
        (vec![RoundRecord::skipped(&fleet.targets[0], 3, SkipReason::InFlight)], "09:00:35", 84_000),
    ] {
        let tick = plan(&planner, time).await;
        let report = TickReport { rounds, ..report(time, Vec::new()) };
        let _ = record(&planner, &tick, &report, time).await;
        assert_eq!(left("09:00:40").await, expected, "{time}");
    }
    let capacity = CapacityReport { available: Some(1), ..CapacityReport::new(&fleet.targets[0], 3) };
    let driven = TickReport { capacity: vec![capacity], ..report("09:00:40", Vec::new()) };
    let _ = record_as(RecordKind::Request, &planner, &request, &[], &driven, "09:00:40").await;
    assert_eq!(left("09:00:50").await, 84_000 - 300 * 10);
}
