//! Plans with a store that lasts, with one that does not, and with one that fails.

use std::time::Duration;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::{Limits, MetricsSettings, OnRequest};
use crate::domain::function::{Architecture, FunctionRef, Identity, Region};
use crate::domain::records::Pause;
use crate::domain::round::Verdict;
use crate::domain::tick::{RoundOutcome, TickReport, Unfinished, UnfinishedReason};
use crate::engine::state::{Directory, Document, Memory, NotPut, Version};

const SCHEDULE: Cause = Cause::Schedule { config_behind_since: None };

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
        windows: vec![Window {
            label: "always".to_owned(),
            zone: chrono_tz::UTC,
            opening: Opening::Weekly(DaySet::DAILY, Hours::AllDay),
            only: Vec::new(),
            except: Vec::new(),
            from: None,
            through: None,
            concurrency: 2,
            lead: TimeDelta::zero(),
            ramp_up: TimeDelta::zero(),
            ramp_down: TimeDelta::zero(),
        }],
        on_request: Some(OnRequest {
            max_concurrency: 9,
            max_for: Duration::from_secs(3_600),
            coalesce: Duration::from_secs(60),
        }),
        ..Target::bare(&FunctionRef::parse(name).unwrap(), Region::parse("eu-west-2").unwrap())
    };
    Fleet {
        targets: vec![target("a"), target("b")],
        limits: Limits::default(),
        metrics: MetricsSettings::default(),
        hash: "cafe".to_owned(),
        prices: crate::domain::cost::PriceBook::embedded(),
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.due.iter().map(|due| due.target.label.as_str()).collect()
}

async fn plan<S: State>(planner: &TickPlanner<S>, time: &str) -> Plan {
    planner.plan(&fleet(), at(time), Minute::of(at(time)).plus(-1), at(time)).await
}

/// A tick whose rounds all ended at once.
async fn tick<S: State>(planner: &TickPlanner<S>, time: &str) -> Plan {
    let plan = plan(planner, time).await;
    let _ = planner.note(&plan, &plan.due, &report(time, Vec::new()), SCHEDULE, at(time)).await;
    plan
}

fn report(time: &str, unfinished: Vec<Unfinished>) -> TickReport {
    TickReport { duration_ms: 1, unfinished, ..TickReport::empty(at(time), None) }
}

#[tokio::test]
async fn a_minute_is_claimed_and_what_was_left_undone_is_late() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let first = plan(&planner, "09:00:00").await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(names(&plan(&planner, "09:00:00").await), [""; 0], "another delivery of the same minute");
    let left = |index: usize, reason| Unfinished::new(&first.due[index].target, 2, reason);
    let unfinished = vec![left(0, UnfinishedReason::Deadline), left(1, UnfinishedReason::InFlight)];
    let _ = planner.note(&first, &first.due, &report("09:00:00", unfinished), SCHEDULE, at("09:00:10")).await;
    let second = plan(&planner, "09:01:00").await;
    assert_eq!(names(&second), ["a"], "it is late; the other one is in flight, and was served");
    assert_eq!(names(&plan(&planner, "09:05:00").await), ["a", "b"]);
}

#[tokio::test]
async fn what_may_still_be_in_flight_is_left_alone_until_its_timeout() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let first = plan(&planner, "09:04:50").await;
    assert_eq!(names(&first), [""; 0]);
    let first = plan(&planner, "09:05:00").await;
    let unfinished = vec![Unfinished::new(&first.due[1].target, 2, UnfinishedReason::InFlight)];
    let _ = planner.note(&first, &first.due, &report("09:05:00", unfinished), SCHEDULE, at("09:09:40")).await;
    let busy = tick(&planner, "09:10:00").await;
    assert_eq!((names(&busy), busy.skipped[0].skip_reason()), (vec!["a"], Some(SkipReason::InFlight)));
    assert_eq!(names(&plan(&planner, "09:11:00").await), ["b"], "and made up for then");
}

#[tokio::test]
async fn a_ping_released_at_the_end_of_a_long_tick_may_run_for_as_long() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let first = plan(&planner, "09:00:00").await;
    let unfinished = vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::InFlight)];
    let _ = planner.note(&first, &first.due, &report("09:00:00", unfinished), SCHEDULE, at("09:14:15")).await;
    assert_eq!(names(&tick(&planner, "09:15:00").await), ["b"]);
    assert_eq!(names(&plan(&planner, "09:16:00").await), ["a"]);
}

#[tokio::test]
async fn looking_notes_nothing_and_pauses_are_those_of_now() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    plan(&planner, "09:00:00").await;
    let pause = Pause { until: at("09:10:00"), reason: "migration".to_owned() };
    let change = |pauses: &mut Pauses| {
        pauses.functions.insert(FunctionRef::parse("a").unwrap(), pause.clone());
    };
    update(planner.state(), PAUSES, change).await.unwrap();
    let look = async |mode, time: &str| {
        let looked = planner.look(&fleet(), mode, at(time), at("09:07:00")).await;
        (names(&looked).join(" "), looked.skipped.len())
    };
    let late = Mode::DueSince(Minute::of(at("09:06:00")));
    for _ in 0..2 {
        assert_eq!(look(late, "09:07:00").await, ("b".to_owned(), 1), "due at 09:05, and not served since");
    }
    assert_eq!(look(Mode::DueOnly, "09:07:00").await, (String::new(), 0));
    assert_eq!(look(Mode::Open, "17:03:00").await, ("b".to_owned(), 1), "the pings would be sent now");
}

#[tokio::test]
async fn what_a_shard_leaves_undone_is_late_too() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let tick = tick(&planner, "09:00:00").await;
    let undone = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::Deadline)];
    let _ = planner
        .note(&Plan::default(), &tick.due, &report("09:00:00", undone), Cause::Shard, at("09:01:00"))
        .await;
    assert_eq!(names(&plan(&planner, "09:02:00").await), ["a"]);
}

#[tokio::test]
async fn pings_of_a_late_shard_are_left_alone_from_when_they_were_sent() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let first = tick(&planner, "09:00:00").await;
    let unfinished = vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::InFlight)];
    // The second attempt at rounds of 09:00 began a quarter of an hour later, and was over at once.
    let late = report("09:00:00", unfinished);
    let _ = planner.note(&Plan::default(), &first.due, &late, Cause::Shard, at("09:14:30")).await;
    assert_eq!(names(&tick(&planner, "09:15:00").await), ["b"]);
    assert_eq!(names(&plan(&planner, "09:16:00").await), ["a"]);
}

#[tokio::test]
async fn what_another_tick_has_served_since_is_not_taken_back() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let first = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick(&planner, "09:05:00").await), ["a", "b"]);
    let undone = || vec![Unfinished::new(&first.due[0].target, 2, UnfinishedReason::Deadline)];
    let nothing = Plan::default();
    for (plan, cause) in [(&first, SCHEDULE), (&nothing, Cause::Shard)] {
        let _ = planner.note(plan, &first.due, &report("09:00:00", undone()), cause, at("09:05:30")).await;
    }
    // An operator's tick in the minute of one that has served its targets.
    let asked = report("09:05:20", undone());
    let _ = planner.note(&nothing, &first.due, &asked, Cause::Asked, at("09:05:30")).await;
    assert_eq!(names(&plan(&planner, "09:06:00").await), [""; 0]);
}

#[tokio::test]
async fn only_ticks_of_the_schedule_are_ticks() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let fleet = fleet();
    let tick = plan(&planner, "09:00:00").await;
    let unfinished = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::TooLarge)];
    let scheduled = TickReport { config: Some("cafe".to_owned()), ..report("09:00:00", unfinished) };
    let behind = Cause::Schedule { config_behind_since: Some(at("08:00:00")) };
    let _ = planner.note(&tick, &tick.due, &scheduled, behind, at("09:00:01")).await;
    let rounds = |reached| vec![RoundRecord::example(&fleet.targets[0], 2, Verdict::Short, Some(reached))];
    let other = |time: &str, reached| TickReport {
        duration_ms: 70_000,
        partial: false,
        rounds: rounds(reached),
        ..report(time, Vec::new())
    };
    let nothing = Plan::default();
    let _ = planner.note(&nothing, &tick.due, &other("09:00:00", 1), Cause::Shard, at("09:02:00")).await;
    let asked = Plan::default();
    let _ = planner.note_request(&fleet, &asked, &tick.due, &other("09:03:00", 1), at("09:03:00")).await;
    let _ = planner.note(&nothing, &tick.due, &other("17:00:00", 2), Cause::Asked, at("09:04:00")).await;
    let status = status(planner.state()).await.unwrap();
    assert_eq!((status.tick, status.duration_ms, status.unfinished), (Some(at("09:00:00")), 1, 1));
    assert_eq!((status.config.as_deref(), status.config_behind_since), (Some("cafe"), Some(at("08:00:00"))));
    let last = &status.targets[&id("a")];
    assert_eq!((last.tick, last.reached), (at("09:04:00"), Some(2)), "an operator's pings are of now");
}

#[tokio::test]
async fn the_rounds_of_shards_are_known_without_a_race_for_one_document() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let (fleet, tick) = (fleet(), plan(&planner, "09:00:00").await);
    let round =
        |index: usize, reached| RoundRecord::example(&fleet.targets[index], 2, Verdict::Short, Some(reached));
    let told = |time: &str, rounds| TickReport { rounds, ..report(time, Vec::new()) };
    let handed_on = vec![Unfinished::new(&fleet.targets[1], 2, UnfinishedReason::HandedOn)];
    let whole = TickReport { rounds: vec![round(0, 1)], ..report("09:05:00", handed_on) };
    let _ = planner.note(&tick, &tick.due, &whole, SCHEDULE, at("09:05:01")).await;
    let before: Status = read(planner.state(), STATUS).await.unwrap();
    // Late, and older than what the planner has told of the same target.
    let shard = told("09:04:00", vec![round(1, 2), round(0, 2)]);
    let _ = planner.note(&Plan::default(), &tick.due, &shard, Cause::Shard, at("09:05:02")).await;
    assert_eq!(read::<Status>(planner.state(), STATUS).await.unwrap(), before, "another document");
    let status = status(planner.state()).await.unwrap();
    let reached = |name: &str| status.targets[&id(name)].reached;
    assert_eq!((reached("a"), reached("b")), (Some(1), Some(2)));
    assert_eq!((status.tick, status.unfinished), (Some(at("09:05:00")), 0));
}

#[tokio::test]
async fn paused_targets_are_skipped_and_served_at_once_when_resumed() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    plan(&planner, "09:00:00").await;
    let pause = Pause { until: at("09:07:00"), reason: "migration".to_owned() };
    let change = |pauses: &mut Pauses| {
        pauses.functions.insert(FunctionRef::parse("a").unwrap(), pause.clone());
    };
    update(planner.state(), PAUSES, change).await.unwrap();
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
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    plan(&planner, "09:00:00").await;
    let fleet = fleet();
    for (index, concurrency) in [(0, 1), (1, 2)] {
        let asked = RequestTerms { at: at("09:05:01"), concurrency, keep_for: None, reason: None };
        let request = planner.request(&[&fleet.targets[index]], &asked, asked.at).await.unwrap();
        assert_eq!(request.due.len(), 1);
        let _ = planner
            .note_request(&fleet, &request, &request.due, &report("09:05:01", Vec::new()), at("09:05:01"))
            .await;
    }
    assert_eq!(names(&plan(&planner, "09:05:00").await), ["a"], "b has as many as the schedule wants");
}

#[tokio::test]
async fn without_a_lasting_store_the_schedule_alone_decides() {
    let planner = TickPlanner::new(Memory::default(), Durability::Volatile);
    for _ in 0..2 {
        assert_eq!(names(&plan(&planner, "09:00:00").await), ["a", "b"]);
    }
    assert_eq!(names(&plan(&planner, "09:01:00").await), [""; 0]);
}

/// A store whose first answer to a write is lost: the client sends it again, and is told that it has changed.
#[derive(Default)]
struct Forgetful(Memory, std::sync::atomic::AtomicBool);

impl State for Forgetful {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        self.0.get(name).await
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        let put = self.0.put(name, bytes, replaces).await;
        let again = self.1.swap(true, std::sync::atomic::Ordering::Relaxed);
        if again { put } else { Err(NotPut::Conflict) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_which_the_answer_was_lost_is_one_s_own() {
    let planner = TickPlanner::new(Forgetful::default(), Durability::Durable);
    let tick = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick), ["a", "b"]);
    assert_eq!(names(&plan(&planner, "09:00:00").await), [""; 0], "another delivery");
    let undone = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::Deadline)];
    let _ = planner.note(&tick, &tick.due, &report("09:00:00", undone), SCHEDULE, at("09:00:10")).await;
    assert_eq!(names(&plan(&planner, "09:01:00").await), ["a"]);
}

/// A store that is away.
struct Away;

impl State for Away {
    async fn get(&self, _: &str) -> Result<Option<Document>, Unavailable> {
        Err(Unavailable("away".to_owned()))
    }

    async fn put(&self, _: &str, _: Vec<u8>, _: Option<&Version>) -> Result<Version, NotPut> {
        Err(NotPut::Unavailable(Unavailable("away".to_owned())))
    }
}

#[tokio::test]
async fn a_store_that_is_away_does_not_let_the_fleet_go_cold() {
    let planner = TickPlanner::new(Away, Durability::Durable);
    let tick = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick), ["a", "b"]);
    let _ = planner.note(&tick, &tick.due, &report("09:00:00", Vec::new()), SCHEDULE, at("09:00:01")).await;
    assert!(planner.take_shard("a1", at("09:00:00")).await.0.is_some(), "a shard is served");
    assert!(
        planner.take_shard("a1", at("09:00:01")).await.0.is_none(),
        "and not twice by the same environment"
    );
    let asked = RequestTerms { at: at("09:00:00"), concurrency: 1, keep_for: None, reason: None };
    let fleet = fleet();
    let round = planner.request(&[&fleet.targets[0]], &asked, asked.at).await.unwrap();
    assert_eq!((names(&round), round.health), (vec!["a"], StoreHealth::Unavailable), "it needs no store");
    let asked = RequestTerms { keep_for: Some(Duration::from_secs(60)), ..asked };
    let kept = planner.request(&[&fleet.targets[0]], &asked, asked.at).await;
    assert!(kept.is_err(), "it could not be kept");
}

/// A store that answers after a second, or never.
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

impl State for Slow {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        self.answer().await;
        self.store.get(name).await
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        self.answer().await;
        self.store.put(name, bytes, replaces).await
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
    let (planner, started_late) =
        (TickPlanner::new(slow(), Durability::Durable), TickPlanner::new(slow(), Durability::Durable));
    update(&Directory::new(folder.path()), PAUSES, pause_a).await.unwrap();
    let took = async |planner: &TickPlanner<Slow>, time: &str| {
        let started = Instant::now();
        let plan = plan(planner, time).await;
        (names(&plan).join(" "), plan.health, started.elapsed().as_secs(), plan.pauses_unknown)
    };
    // One second for three documents side by side, and one for the claim.
    assert_eq!(took(&planner, "09:00:00").await, ("b".to_owned(), StoreHealth::Sound, 2, false));
    hangs.store(true, Ordering::Relaxed);
    let without = ("b".to_owned(), StoreHealth::Unavailable, 3, false);
    assert_eq!(took(&planner, "09:05:00").await, without, "the pauses as they were read before");
    let never = ("a b".to_owned(), StoreHealth::Unavailable, 3, true);
    assert_eq!(took(&started_late, "09:05:00").await, never, "a process that has never read them");
    let started = Instant::now();
    let late = plan(&started_late, "09:05:00").await;
    let ended = report("09:05:00", Vec::new());
    let noted = started_late.note(&late, &late.due, &ended, SCHEDULE, at("09:05:01")).await;
    assert_eq!(noted, StoreHealth::Unavailable);
    assert_eq!(started.elapsed(), 2 * READ_WITHIN, "the end does not wait for long either");
}

#[tokio::test]
async fn a_tick_that_did_not_know_the_pauses_says_so_in_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let planner = TickPlanner::new(Directory::new(folder.path()), Durability::Durable);
    std::fs::write(folder.path().join("pauses.1.json"), "not json").unwrap();
    let first = tick(&planner, "09:00:00").await;
    assert_eq!((names(&first), first.health), (vec!["a", "b"], StoreHealth::Unavailable));
    assert!(status(planner.state()).await.unwrap().pauses_unknown);
    std::fs::remove_file(folder.path().join("pauses.1.json")).unwrap();
    assert_eq!(tick(&planner, "09:05:00").await.health, StoreHealth::Sound);
    assert!(!status(planner.state()).await.unwrap().pauses_unknown);
}

#[tokio::test(start_paused = true)]
async fn a_claim_lives_as_long_as_its_process_and_is_taken_over_then() {
    let folder = tempfile::tempdir().unwrap();
    let process = || TickPlanner::new(Directory::new(folder.path()), Durability::Durable);
    let (one, two) = (process(), process());
    let running = plan(&one, "09:00:00").await;
    assert_eq!(names(&running), ["a", "b"]);
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(names(&plan(&two, "09:01:05").await), [""; 0], "it was renewed twice");
    drop(running);
    tokio::time::sleep(Duration::from_secs(64)).await;
    let taken = plan(&two, "09:02:09").await;
    assert_eq!(names(&taken), ["a", "b"], "it ended at 09:02");
    let _ = two.note(&taken, &taken.due, &report("09:02:09", Vec::new()), SCHEDULE, at("09:02:10")).await;
    assert_eq!(names(&plan(&two, "09:03:10").await), [""; 0]);
}

#[tokio::test]
async fn pauses_are_judged_by_the_own_clock() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    update(planner.state(), PAUSES, pause_a).await.unwrap();
    let previous = Minute::of(at("10:00:00"));
    let early = planner.plan(&fleet(), at("10:00:20"), previous.plus(-1), at("09:59:50")).await;
    assert_eq!(
        (names(&early), early.skipped.len()),
        (vec!["b"], 1),
        "an event that comes early passes no pause"
    );
    let targets = fleet();
    let asked = RequestTerms { at: at("10:00:20"), concurrency: 1, keep_for: None, reason: None };
    let request = planner.request(&[&targets.targets[0]], &asked, at("09:59:50")).await.unwrap();
    assert_eq!(request.skipped[0].skip_reason(), Some(SkipReason::Paused));
}

#[tokio::test]
async fn a_clock_that_was_a_day_ahead_stops_nothing() {
    let planner = TickPlanner::new(Memory::default(), Durability::Durable);
    let tomorrow = at("09:00:00") + TimeDelta::days(1);
    let ahead = planner.plan(&fleet(), tomorrow, Minute::of(tomorrow).plus(-1), tomorrow).await;
    let tick = TickReport { tick: tomorrow, ..report("09:00:00", Vec::new()) };
    let _ = planner.note(&ahead, &ahead.due, &tick, SCHEDULE, tomorrow).await;
    assert_eq!(names(&self::tick(&planner, "09:05:00").await), ["a", "b"]);
    assert_eq!(names(&self::tick(&planner, "09:05:00").await), [""; 0], "repaired");
    assert_eq!(status(planner.state()).await.unwrap().tick, Some(at("09:05:00")));
}

#[tokio::test]
async fn a_document_that_has_grown_too_large_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let state = Directory::new(folder.path());
    // As an earlier version let it grow: 70 requests with reasons of 240 kB.
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
    let planner = TickPlanner::new(state.clone(), Durability::Durable);
    let asked = RequestTerms {
        at: at("09:00:00"),
        concurrency: 1,
        keep_for: Some(Duration::from_secs(60)),
        reason: None,
    };
    let fleet = fleet();
    let kept = planner.request(&[&fleet.targets[0]], &asked, asked.at).await.unwrap();
    assert_eq!(names(&kept), ["a"]);
    let requests: Requests = read(&state, REQUESTS).await.unwrap();
    assert!(requests.targets.contains_key(&id("a")) && !requests.targets.contains_key(&id("f00")));
    let bytes = state.get(REQUESTS).await.unwrap().unwrap().bytes.len();
    assert!(bytes <= records::MOST_BYTES && bytes > records::MOST_BYTES / 2, "{bytes}");
}

#[tokio::test]
async fn a_shard_is_taken_on_once_by_all_environments_together() {
    let folder = tempfile::tempdir().unwrap();
    let environment = || TickPlanner::new(Directory::new(folder.path()), Durability::Durable);
    let (one, two) = (environment(), environment());
    let (first, second) =
        tokio::join!(one.take_shard("a1", at("09:00:00")), two.take_shard("a1", at("09:00:00")));
    let (first, second) = (first.0, second.0);
    assert_eq!([&first, &second].into_iter().flatten().count(), 1);
    for taken in [first, second].into_iter().flatten() {
        let _ = one.give_back(taken).await;
    }
    let third = environment();
    assert!(third.take_shard("a1", at("09:01:00")).await.0.is_some(), "nothing was sent of it");
    assert!(environment().take_shard("a1", at("09:02:00")).await.0.is_none());
}

#[tokio::test]
async fn without_a_store_an_environment_knows_its_own_shards() {
    let planner = TickPlanner::new(Memory::default(), Durability::Volatile);
    let taken = planner.take_shard("a1", at("09:00:00")).await.0.unwrap();
    assert!(planner.take_shard("a1", at("09:00:01")).await.0.is_none());
    let _ = planner.give_back(taken).await;
    assert!(planner.take_shard("a1", at("09:00:02")).await.0.is_some());
}

#[tokio::test]
async fn a_shard_is_admitted_when_it_was_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let environment = || TickPlanner::new(Directory::new(folder.path()), Durability::Durable);
    let shard =
        |attempt| Shard { tick: at("09:00:00"), config: None, attempt, run: None, rounds: Vec::new() };
    let fleet = fleet();
    environment().hand_out(&[shard(1), shard(2)], at("09:00:01")).await;
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
    // A store that is away: what a tick may need, in every minute.
    let away = TickPlanner::new(Away, Durability::Durable);
    assert_eq!(away.admit_shard(&shard(1), &fleet, at("09:00:02")).await, Ok(()));
    assert_eq!(away.admit_shard(&shard(2), &fleet, at("09:00:03")).await, Err(NotAdmitted::TooMany(1)));
    assert_eq!(away.admit_shard(&shard(2), &fleet, at("09:01:00")).await, Ok(()));
}

/// A tick with one target that does not answer: the other target is free again with its first part, the hung one when
/// its round has ended, and what was not answered stays busy after that.
#[tokio::test]
async fn a_hung_target_is_left_alone_by_every_process_and_holds_back_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let process = || TickPlanner::new(Directory::new(folder.path()), Durability::Durable);
    let (planner, other) = (process(), process());
    let first = plan(&planner, "09:00:00").await;
    assert_eq!(names(&first), ["a", "b"]);

    // Both are in flight: a process that looks five minutes later, and finds the lease renewed, sends nothing.
    let renew = |served: &mut Served| served.renew(first.claim.as_ref().unwrap().by, at("09:04:30"));
    update(planner.state(), SERVED, renew).await.unwrap();
    let busy = plan(&other, "09:05:00").await;
    assert_eq!((names(&busy).len(), busy.skipped.len()), (0, 2));
    assert!(busy.skipped.iter().all(|round| round.skip_reason() == Some(SkipReason::InFlight)));

    // `a` has ended.
    let running = first.due[1..].to_vec();
    let part = report("09:00:00", Vec::new());
    assert_eq!(
        planner.note_part(&first, &running, &part, &first.due, at("09:05:10")).await,
        StoreHealth::Sound
    );
    let free = plan(&other, "09:05:15").await;
    assert_eq!(names(&free), ["a"], "served at 09:00, due at 09:05");
    assert_eq!(free.skipped.len(), 1);
    let _ = other.note(&free, &free.due, &report("09:05:15", Vec::new()), SCHEDULE, at("09:05:16")).await;

    // `b` has ended without an answer, and may run for four minutes more.
    let mut unanswered = report("09:00:00", Vec::new());
    let mut round = RoundRecord::example(&first.due[1].target, 2, Verdict::Short, None);
    if let RoundOutcome::Sent(sent) = &mut round.outcome {
        sent.quiet_for = Some(Duration::from_secs(240));
    }
    unanswered.rounds.push(round);
    let _ = planner.note(&first, &first.due, &unanswered, SCHEDULE, at("09:06:20")).await;
    let later = plan(&other, "09:10:00").await;
    assert_eq!(names(&later), ["a"]);
    let _ = other.note(&later, &later.due, &report("09:10:00", Vec::new()), SCHEDULE, at("09:10:01")).await;
    assert_eq!(names(&plan(&other, "09:15:00").await), ["a", "b"]);
}

/// A round that waits for room in another tick of the process was not served.
#[tokio::test(start_paused = true)]
async fn a_round_without_room_is_due_again() {
    for skipped in [SkipReason::InFlight, SkipReason::NoRoom] {
        let planner = TickPlanner::new(Memory::default(), Durability::Durable);
        let first = plan(&planner, "09:00:00").await;
        let mut ended = report("09:00:00", Vec::new());
        ended.rounds.push(RoundRecord::skipped(&first.due[0].target, 2, skipped));
        let _ = planner.note(&first, &first.due, &ended, SCHEDULE, at("09:00:10")).await;
        assert_eq!(names(&plan(&planner, "09:01:00").await), ["a"], "{skipped:?}");
    }
}
