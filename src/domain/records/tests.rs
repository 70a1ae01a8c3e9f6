//! Tests of the documents.

use insta::assert_snapshot;

use super::shards::MOST_SHARDS;
use super::*;
use crate::domain::calendar::{DaySet, Hours};
use crate::domain::function::{Architecture, FunctionRef, Region};
use crate::domain::pipeline::PipelineReport;
use crate::domain::round::{Evidence, NewEnvironments, Verdict};
use crate::domain::schedule::{self, DueReason, explain};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-20T{text}Z").parse().unwrap()
}

fn minute(text: &str) -> Minute {
    Minute::of(at(text))
}

fn target(name: &str, hours: Option<&str>) -> Target {
    let window = |hours: &str| {
        let opening = Opening::Weekly(DaySet::DAILY, Hours::parse(hours).unwrap());
        Window::new("office", chrono_tz::UTC, opening, 3)
    };
    Target {
        architecture: Architecture::Arm64,
        interval_minutes: 5,
        windows: hours.map(window).into_iter().collect(),
        on_request: Some(RULE),
        ..Target::bare(&function(name), Region::parse("eu-west-2").unwrap())
    }
}

fn function(name: &str) -> FunctionRef {
    FunctionRef::parse(name).unwrap()
}

fn id(name: &str) -> Identity {
    function(name).identity(Region::parse("eu-west-2").unwrap())
}

const RULE: OnRequest = OnRequest {
    max_concurrency: 10,
    max_for: Duration::from_secs(1_800),
    coalesce: Duration::from_secs(60),
    hold_for: crate::domain::backlog::DEFAULT_HOLD,
};

fn fleet(targets: Vec<Target>) -> Fleet {
    Fleet { hash: "cafe".to_owned(), ..Fleet::new(targets) }
}

/// Adds a request that arrives without delay. Returns the decision.
fn ask(requests: &mut Requests, id: &Identity, terms: &RequestTerms) -> Decision {
    requests.add(id, terms, &RULE, terms.at)
}

fn terms(time: &str, concurrency: u32, minutes: u64) -> RequestTerms {
    let keep_for = (minutes > 0).then(|| Duration::from_secs(60 * minutes));
    RequestTerms { at: at(time), concurrency, keep_for, reason: Some("token issued".to_owned()) }
}

#[test]
fn requests_shortly_after_one_another_are_coalesced() {
    let mut requests = Requests::default();
    assert_eq!(ask(&mut requests, &id("f"), &terms("09:00:10", 5, 10)), Decision::Round(5));
    assert_eq!(
        ask(&mut requests, &id("f"), &terms("09:00:10", 5, 10)),
        Decision::Coalesced(5),
        "delivered twice"
    );
    assert_eq!(ask(&mut requests, &id("f"), &terms("09:01:09", 2, 10)), Decision::Coalesced(5));
    assert_eq!(
        ask(&mut requests, &id("g"), &terms("09:01:09", 2, 10)),
        Decision::Round(2),
        "another function"
    );
    // Coalescing counts from the last round, not from the last request: a steady stream is served every minute.
    assert_eq!(ask(&mut requests, &id("f"), &terms("09:01:10", 2, 10)), Decision::Round(2));
    assert_eq!(
        ask(&mut requests, &id("f"), &terms("09:01:11", 7, 0)),
        Decision::Round(7),
        "more than was warmed"
    );
    let request = &requests.targets[&id("f")];
    assert_eq!((request.concurrency, request.since, request.until), (7, at("09:00:00"), at("09:11:10")));
}

#[test]
fn a_request_gets_at_most_what_the_configuration_allows() {
    let mut requests = Requests::default();
    assert_eq!(ask(&mut requests, &id("f"), &terms("09:00:10", 500, 600)), Decision::Round(10));
    assert_eq!(requests.targets[&id("f")].until, at("09:30:10"));
}

#[test]
fn an_active_request_is_a_window_of_the_schedule() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", Some("12:00-13:00")), target("g", None)]);
    ask(&mut requests, &fleet.targets[0].id, &terms("09:00:10", 5, 10));
    let values = |time: &str| {
        let with = with_requests(&fleet, &requests, at(time));
        with.targets.iter().map(|target| schedule::desired(target, minute(time))).collect::<Vec<_>>()
    };
    assert_eq!(values("09:00:59"), [5, 0]);
    assert_eq!(values("09:10:00"), [5, 0]);
    assert_eq!(values("09:11:00"), [0, 0], "it has ended");
    assert_eq!(values("12:00:00"), [3, 0], "the window is still there");
    let with = with_requests(&fleet, &requests, at("09:05:00"));
    let explanation = explain(&with.targets[0], minute("09:05:00"));
    assert_eq!((explanation.desired, explanation.due), (5, Some(DueReason::Interval)));
    let view = &explanation.windows[1];
    assert_snapshot!(format!("{} {} until {}", view.label, view.state.as_str(), view.closes.unwrap()), @"request: token issued open until 2026-11-20 09:10:10 UTC");
}

#[test]
fn spare_environments_are_part_of_the_requested_number() {
    let mut requests = Requests::default();
    let mut only = target("f", None);
    only.spare = 2;
    let fleet = fleet(vec![only]);
    ask(&mut requests, &id("f"), &terms("09:00:00", 10, 10));
    let with = with_requests(&fleet, &requests, at("09:01:00"));
    assert_eq!(schedule::desired(&with.targets[0], minute("09:01:00")), 10, "not 12");
}

#[test]
fn a_request_for_one_round_is_no_window() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", None)]);
    assert_eq!(ask(&mut requests, &id("f"), &terms("09:00:30", 5, 0)), Decision::Round(5));
    let with = with_requests(&fleet, &requests, at("09:00:30"));
    assert!(matches!(with, Cow::Borrowed(_)));
}

/// The targets that a tick serves at once.
fn planned(served: &Served, fleet: &Fleet, time: &str) -> Vec<usize> {
    let due = served.plan(fleet, minute(time), minute(time).plus(-1), at(time));
    due.iter().map(|due| due.index).collect()
}

/// A tick that serves these targets and ends at once.
fn tick<'t>(served: &mut Served, time: &str, targets: impl IntoIterator<Item = &'t Target>) {
    served.claim(1, minute(time), minute(time).plus(-1), at(time), targets);
    served.settle(1, |_| false, at(time));
}

#[test]
fn the_next_tick_serves_the_targets_of_a_lost_one() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("new", Some("09:32-17:00"))]);
    let mut served = Served::default();
    assert_eq!(planned(&served, &fleet, "09:30:00"), [0], "no entries, as without a store");
    tick(&mut served, "09:30:00", [&fleet.targets[0]]);
    assert_eq!(planned(&served, &fleet, "09:30:00"), [0; 0], "a repeated delivery");
    assert_eq!(planned(&served, &fleet, "09:31:00"), [0; 0]);
    // The ticks from 09:31 to 09:35 are lost: a due minute of one target, the opening of the other.
    assert_eq!(planned(&served, &fleet, "09:36:00"), [0, 1]);
    tick(&mut served, "09:36:00", &fleet.targets);
    assert_eq!(planned(&served, &fleet, "09:37:00"), [0; 0], "once");
    let late = |served: &Served| served.plan(&fleet, minute("09:29:00"), minute("09:28:00"), at("09:37:00"));
    assert_eq!(late(&served), [], "an old delivery");
    served.note(minute("09:29:00"), [&fleet.targets[0]], at("09:37:00"));
    assert_eq!(planned(&served, &fleet, "09:37:00"), [0; 0], "and it reverts nothing");
    assert_eq!(planned(&served, &fleet, "17:30:00"), [0; 0], "a window that has closed since is not served");
}

#[test]
fn processes_with_different_targets_share_a_store() {
    let fleets = ["f", "g"].map(|name| fleet(vec![target(name, Some("09:00-17:00"))]));
    let mut served = Served::default();
    for time in ["09:00:00", "09:05:00", "09:10:00"] {
        // The second process ticks in the same minute, after the first.
        for fleet in &fleets {
            for due in [1, 0] {
                assert_eq!(planned(&served, fleet, time).len(), due, "{time}");
                tick(&mut served, time, &fleet.targets);
            }
        }
    }
}

#[test]
fn the_claim_of_a_process_that_died_expires_and_its_targets_are_due() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("new", Some("09:05-17:00"))]);
    let mut served = Served::default();
    tick(&mut served, "09:00:00", [&fleet.targets[0]]);
    served.claim(7, minute("09:05:00"), minute("09:04:00"), at("09:05:02"), &fleet.targets);
    assert!(served.is_claimed_by(7) && !served.is_claimed_by(8));
    assert_eq!(planned(&served, &fleet, "09:05:02"), [0; 0], "another delivery");
    assert_eq!(planned(&served, &fleet, "09:06:01"), [0; 0], "the lease has a second left");
    let dead = served.clone();
    assert_eq!(
        planned(&dead, &fleet, "09:06:02"),
        [0, 1],
        "it has expired: one was served before, one never"
    );
    served.renew(7, at("09:05:32"));
    assert_eq!(planned(&served, &fleet, "09:06:31"), [0; 0], "it was renewed");
    assert_eq!(planned(&served, &fleet, "09:06:32"), [0, 1]);
    // Another tick has taken over: the first one changes nothing of its claims.
    let mut taken = dead;
    taken.claim(8, minute("09:06:00"), minute("09:05:00"), at("09:06:02"), &fleet.targets);
    let before = taken.clone();
    taken.renew(7, at("09:06:03"));
    taken.settle(7, |_| false, at("09:06:04"));
    assert_eq!(taken, before);
    taken.settle(8, |id| id.name.as_str() == "new", at("09:06:10"));
    assert_eq!(planned(&taken, &fleet, "09:07:00"), [1], "a target that was left undone is due");
    assert!(taken.claims.is_empty());
}

#[test]
fn a_stored_minute_in_the_future_is_ignored_and_repaired_at_the_next_write() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("g", Some("09:00-17:00"))]);
    let tomorrow = minute("09:05:00").plus(24 * 60).epoch();
    for stored in [tomorrow, i64::MAX] {
        let mut served = Served::default();
        served.targets.insert(id("f"), stored);
        served.ticked = Some(stored);
        served.busy.insert(id("g"), at("09:05:00") + TimeDelta::days(1));
        assert_eq!(planned(&served, &fleet, "09:05:00"), [0, 1]);
        assert!(!served.is_busy(&fleet.targets[1], at("09:05:00")));
        assert_eq!(served.in_future(at("09:05:00")), ["f (eu-west-2)", "g (eu-west-2)", "the latest tick"]);
        tick(&mut served, "09:05:00", [&fleet.targets[0]]);
        assert_eq!(served.in_future(at("09:05:00")), [""; 0]);
        assert_eq!((served.ticked, served.busy.len()), (Some(minute("09:05:00").epoch()), 0));
        assert_eq!(planned(&served, &fleet, "09:10:00"), [0, 1], "and the schedule goes on");
    }
    // A claim of a clock that is a day ahead.
    let mut served = Served::default();
    let ahead = at("09:05:00") + TimeDelta::days(1);
    served.claim(7, Minute::of(ahead), Minute::of(ahead), ahead, &fleet.targets);
    assert_eq!(planned(&served, &fleet, "09:05:00"), [0, 1]);
    // The clock of another machine may be half a minute ahead.
    let mut served = Served::default();
    tick(&mut served, "09:05:00", &fleet.targets);
    let behind = served.plan(&fleet, minute("09:05:00"), minute("09:04:00"), at("09:04:30"));
    assert_eq!((behind, served.in_future(at("09:04:30"))), (vec![], vec![]));
}

#[test]
fn a_request_of_the_future_is_ignored_and_dropped_at_the_next_one() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", None)]);
    let target = &fleet.targets[0];
    let future = Request {
        concurrency: 9,
        asked: at("09:00:00") + TimeDelta::days(1),
        since: at("09:00:00") + TimeDelta::days(1),
        until: DateTime::<Utc>::MAX_UTC,
        reason: None,
    };
    requests.targets.insert(id("f"), future.clone());
    requests.targets.insert(id("other"), future);
    assert_eq!(requests.active(target, at("09:00:00")), None);
    assert_eq!(requests.in_future(at("09:00:00")), ["f (eu-west-2)", "other (eu-west-2)"]);
    assert_eq!(ask(&mut requests, &target.id, &terms("09:00:10", 2, 10)), Decision::Round(2));
    assert_eq!(requests.targets.len(), 1);
    let kept = requests.active(target, at("09:05:00")).unwrap();
    assert_eq!((kept.concurrency, kept.since), (2, at("09:00:00")));
}

#[test]
fn a_late_or_early_request_drops_entries_by_the_local_clock() {
    let mut requests = Requests::default();
    ask(&mut requests, &id("f"), &terms("09:00:10", 5, 10));
    let mut early = terms("09:00:10", 1, 10);
    early.at = "2099-01-01T00:00:00Z".parse().unwrap();
    requests.add(&id("g"), &early, &RULE, at("09:00:20"));
    assert_eq!(requests.targets[&id("f")].concurrency, 5, "it is still active");
}

#[test]
fn the_configuration_limits_a_stored_request() {
    let fleet = fleet(vec![target("f", None)]);
    let request = Request {
        concurrency: 3,
        asked: at("09:00:00"),
        since: at("09:00:00"),
        until: DateTime::<Utc>::MAX_UTC,
        reason: None,
    };
    let requests = Requests { targets: [(id("f"), request)].into(), ..Requests::default() };
    let value = |time: &str| {
        let with = with_requests(&fleet, &requests, at(time));
        schedule::desired(&with.targets[0], minute(time))
    };
    assert_eq!([value("09:00:00"), value("09:30:59"), value("09:31:00")], [3, 3, 0]);
}

#[test]
fn no_arithmetic_on_stored_instants_overflows() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00"))]);
    let target = &fleet.targets[0];
    let key = id("f");
    let report = |tick| TickReport {
        rounds: vec![RoundRecord::skipped(target, 3, SkipReason::Paused)],
        ..TickReport::empty(tick, None)
    };
    let times = [DateTime::<Utc>::MIN_UTC, at("09:00:00"), DateTime::<Utc>::MAX_UTC];
    for (stored, now) in times.iter().flat_map(|stored| times.iter().map(move |now| (*stored, *now))) {
        let last = LastRound {
            tick: stored,
            desired: 3,
            reached: None,
            evidence: None,
            verdict: Verdict::Short,
            new: Some(NewEnvironments { cold: 3, ..NewEnvironments::default() }),
            skipped: Some(Skip { tick: stored, reason: SkipReason::Paused }),
            versions: Vec::new(),
        };
        let mut status = Status { tick: Some(stored), ..Status::default() };
        status.targets.insert(key.clone(), last);
        let report = report(now);
        let tick = TickNote { report: &report, config_behind_since: None, pauses_unknown: false };
        status.note_tick(&tick, now);
        assert_eq!(status.tick, Some(now), "older, or in the future");
        status.note_rounds(&report.rounds, stored, now);

        let taken = [("a1".to_owned(), Taken { at: stored, by: 1 })];
        let mut shards = Shards { taken: taken.into() };
        let free = stored != now || now == DateTime::<Utc>::MAX_UTC;
        assert_eq!(shards.take("a1", 2, now), free, "too old, or in the future");

        let request = Request { concurrency: 1, asked: stored, since: stored, until: stored, reason: None };
        let mut requests = Requests { targets: [(key.clone(), request)].into(), ..Requests::default() };
        with_requests(&fleet, &requests, now);
        let terms = RequestTerms { at: now, concurrency: 1, keep_for: Some(Duration::MAX), reason: None };
        requests.add(&key, &terms, &OnRequest { max_for: Duration::MAX, ..RULE }, now);
        with_requests(&fleet, &requests, now);

        for minute in [i64::MIN, i64::MAX] {
            let claim = Claim { by: 1, minute, before: minute, until: stored };
            let mut served = Served {
                ticked: Some(minute),
                targets: [(key.clone(), minute)].into(),
                busy: [(key.clone(), stored)].into(),
                claims: [(key.clone(), claim)].into(),
                levels: crate::domain::records::Levels::default(),
                deployments: crate::domain::records::Deployments::default(),
            };
            served.plan(&fleet, Minute::of(now), Minute::of(stored), now);
            served.in_future(now);
            served.renew(1, now);
            served.claim(2, Minute::of(now), Minute::of(stored), now, &fleet.targets);
            served.settle(2, |_| true, now);
            served.note(Minute::of(stored), &fleet.targets, now);
        }
    }
}

#[test]
fn a_status_of_the_future_is_replaced() {
    let target = target("f", None);
    let tomorrow = at("09:00:00") + TimeDelta::days(1);
    let rounds = vec![RoundRecord::skipped(&target, 3, SkipReason::Paused)];
    let report = |tick| TickReport { rounds: rounds.clone(), ..TickReport::empty(tick, None) };
    let mut status = Status::default();
    let mut note = |tick, now| {
        let report = report(tick);
        let tick = TickNote { report: &report, config_behind_since: None, pauses_unknown: true };
        status.note_tick(&tick, now);
        (status.tick.unwrap(), status.targets[&id("f")].latest())
    };
    assert_eq!(note(tomorrow, tomorrow), (tomorrow, tomorrow));
    assert_eq!(note(at("09:05:00"), at("09:05:01")), (at("09:05:00"), at("09:05:00")));
    assert!(status.pauses_unknown);
}

#[test]
fn the_oldest_entries_are_dropped_until_a_document_fits() {
    let mut requests = Requests::default();
    for (second, name) in (10..20).zip('a'..) {
        let mut terms = terms(&format!("09:00:{second}"), 1, 10);
        terms.reason = Some("r".repeat(1_000));
        ask(&mut requests, &id(&name.to_string()), &terms);
    }
    let bytes = |requests: &Requests| serde_json::to_vec(requests).unwrap().len();
    let before = bytes(&requests);
    assert_eq!(requests.drop_oldest(2_500), 3, "three of more than a thousand bytes");
    assert_eq!(requests.targets.keys().map(Identity::label).collect::<String>(), "defghij");
    assert!(bytes(&requests) <= before - 2_500);
    assert_eq!(requests.drop_oldest(usize::MAX), 7);
    assert_eq!(requests.drop_oldest(1), 0, "it is empty");
    let pause = |time: &str| Pause { until: at(time), reason: "r".to_owned() };
    let mut pauses = Pauses { all: Some(pause("09:00:00")), ..Pauses::default() };
    pauses.functions.insert(function("f"), pause("10:00:00"));
    pauses.pipelines.insert("nlp".to_owned(), pause("12:00:00"));
    pauses.pipelines.insert("ocr".to_owned(), pause("11:00:00"));
    assert_eq!((pauses.drop_oldest(1), pauses.pipelines.contains_key("nlp")), (1, true), "the first to end");
    assert_eq!((pauses.drop_oldest(1), pauses.functions.len()), (1, 1));
    assert_eq!(
        (pauses.drop_oldest(1), pauses.all.is_some()),
        (1, true),
        "the pause of the fleet is dropped last"
    );
    assert_eq!((pauses.drop_oldest(1), pauses.all.is_some(), pauses.drop_oldest(1)), (1, false, 0));
    let mut status = Status::default();
    status.note_rounds(
        &[RoundRecord::skipped(&target("f", None), 3, SkipReason::Paused)],
        at("09:00:00"),
        at("09:00:00"),
    );
    let last = |name: &str, time: &str| LastPipeline {
        name: name.to_owned(),
        region: "eu-west-2".to_owned(),
        tick: at(time),
        warm: Some(true),
        cold_stages: Vec::new(),
    };
    status.pipelines = vec![last("nlp", "09:00:00"), last("ocr", "08:00:00")];
    assert_eq!(status.drop_oldest(1), 1);
    assert_eq!(status.pipelines, [last("nlp", "09:00:00")]);
    assert_eq!((status.drop_oldest(1), status.pipelines.len(), status.targets.len()), (1, 0, 1));
    assert_eq!((status.drop_oldest(1), status.drop_oldest(1)), (1, 0));
}

#[test]
fn a_target_is_busy_until_its_pings_have_ended() {
    let target = target("f", None);
    let mut served = Served::default();
    served.note_busy([(&target, at("09:15:00"))]);
    served.note_busy([(&target, at("09:10:00"))]);
    assert!(served.is_busy(&target, at("09:14:59")));
    assert!(!served.is_busy(&target, at("09:15:00")));
}

#[test]
fn the_pause_that_ends_last_applies() {
    let target = target("f", None);
    let pause = |time: &str, reason: &str| Pause { until: at(time), reason: reason.to_owned() };
    let mut pauses = Pauses { all: Some(pause("10:00:00", "freeze")), ..Pauses::default() };
    pauses.functions.insert(function("f"), pause("11:00:00", "migration"));
    assert_snapshot!(pauses.of(&target, at("09:00:00")).unwrap(), @"paused until 2026-11-20T11:00:00Z: migration");
    pauses.prune(at("10:00:00"));
    assert_eq!((pauses.all.is_none(), pauses.functions.len()), (true, 1));
    assert_eq!(pauses.of(&target, at("11:00:00")), None);
}

#[test]
fn a_shard_is_assigned_once_and_dropped_after_an_hour() {
    let mut shards = Shards::default();
    assert!(shards.take("a1", 1, at("09:00:00")));
    assert!(!shards.take("a1", 2, at("09:03:00")), "another delivery");
    assert!(shards.take("a1", 1, at("09:03:00")), "the write's answer was lost");
    assert!(shards.take("a2", 2, at("09:03:00")));
    shards.give_back("a1", 2);
    assert!(!shards.take("a1", 3, at("09:04:00")), "only its own");
    shards.give_back("a1", 1);
    assert!(shards.take("a1", 3, at("09:05:00")));
    assert!(shards.take("a3", 4, at("10:04:00")));
    assert_eq!(shards.taken.keys().collect::<Vec<_>>(), ["a1", "a3"], "after an hour");
    assert_eq!(Shards::document("a3"), "shards-a");
}

#[test]
fn the_number_of_stored_shards_is_limited() {
    let mut shards = Shards::default();
    for index in 0..2_000 {
        assert!(shards.take(&index.to_string(), 1, at("09:00:00") + TimeDelta::seconds(index)));
    }
    assert_eq!(shards.taken.len(), MOST_SHARDS);
    assert!(
        !shards.take("1999", 2, at("09:40:00")) && !shards.take("1000", 2, at("09:40:00")),
        "the oldest are dropped"
    );
}

#[test]
fn the_last_round_that_was_sent_stays_beside_later_skips() {
    let target = target("f", None);
    let skipped = |reason| RoundRecord::skipped(&target, 3, reason);
    let sent = |reached| RoundRecord::example(&target, 3, Verdict::Short, Some(reached));
    let mut status = Status::default();
    let mut after = |time: &str, round: RoundRecord| {
        status.note_rounds(&[round], at(time), at("09:20:00"));
        let last = &status.targets[&id("f")];
        let skip = last.skipped.as_ref();
        let skip = skip.map(|skip| format!("; {} at {}", skip.reason.name(), skip.tick.format("%H:%M")));
        let reached = last.reached.map_or("?".to_owned(), |reached| reached.to_string());
        format!(
            "{} {reached} at {}{}",
            last.verdict.name(),
            last.tick.format("%H:%M"),
            skip.unwrap_or_default()
        )
    };
    assert_snapshot!(after("09:00:00", skipped(SkipReason::Paused)), @"skipped ? at 09:00; paused at 09:00");
    assert_snapshot!(after("09:05:00", skipped(SkipReason::InFlight)), @"skipped ? at 09:05; in-flight at 09:05");
    assert_snapshot!(after("09:03:00", sent(2)), @"short 2 at 09:03; in-flight at 09:05");
    assert_snapshot!(after("09:10:00", sent(1)), @"short 1 at 09:10");
    assert_snapshot!(after("09:15:00", skipped(SkipReason::Paused)), @"short 1 at 09:10; paused at 09:15");
    assert_snapshot!(after("09:14:00", skipped(SkipReason::Coalesced)), @"short 1 at 09:10; paused at 09:15");
    // A late request or shard.
    assert_snapshot!(after("09:09:00", sent(3)), @"short 1 at 09:10; paused at 09:15");
    assert_snapshot!(after("09:20:00", sent(3)), @"short 3 at 09:20");
}

#[test]
fn the_last_result_of_each_pipeline_is_kept() {
    let report = |region: &str, warm, cold: &[&str]| PipelineReport {
        name: "nlp".to_owned(),
        region: Region::parse(region).unwrap(),
        warm,
        cold_stages: cold.iter().map(|stage| (*stage).to_owned()).collect(),
    };
    let mut status = Status::default();
    let mut after = |time: &str, reports: &[PipelineReport]| {
        status.note_pipelines(reports, at(time), at("10:00:00"));
        let last = |last: &LastPipeline| {
            format!(
                "{} {} {:?} {}",
                last.region,
                last.tick.format("%H:%M"),
                last.warm,
                last.cold_stages.join(", ")
            )
        };
        status.pipelines.iter().map(last).collect::<Vec<_>>().join("\n")
    };
    let cold = report("eu-west-2", Some(false), &["infer:live"]);
    after("09:00:00", &[cold, report("eu-west-1", Some(true), &[])]);
    assert_snapshot!(after("09:05:00", &[report("eu-west-2", None, &[])]), @"
    eu-west-2 09:05 None 
    eu-west-1 09:00 Some(true)
    ");
    assert_snapshot!(after("09:04:00", &[report("eu-west-2", Some(true), &[])]), @"
    eu-west-2 09:05 None 
    eu-west-1 09:00 Some(true)
    ");
    // Another process of the same tick: the worse result of each counts, in any order.
    assert_snapshot!(after("09:05:00", &[report("eu-west-2", Some(true), &[])]), @"
    eu-west-2 09:05 None 
    eu-west-1 09:00 Some(true)
    ");
    after("09:05:00", &[report("eu-west-2", Some(false), &["infer:live"])]);
    after("09:05:00", &[report("eu-west-2", Some(true), &[])]);
    after("09:05:00", &[report("eu-west-2", Some(false), &["pre", "infer:live"])]);
    assert_snapshot!(after("09:05:00", &[report("eu-west-2", None, &[])]), @"
    eu-west-2 09:05 Some(false) infer:live, pre
    eu-west-1 09:00 Some(true)
    ");
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    // Those of another document, of the future, and of two days ago.
    let mut other = Status::default();
    other.note_pipelines(&[report("eu-west-2", Some(true), &[])], at("09:10:00"), at("10:00:00"));
    other.merge(status);
    assert_eq!(other.pipelines.iter().map(|last| last.warm).collect::<Vec<_>>(), [Some(true), Some(true)]);
    other.note_pipelines(&[], at("09:00:00"), at("08:00:00"));
    assert!(other.pipelines.is_empty(), "the clock was wrong");
}

/// Documents as version 0.1 wrote them.
mod stored {
    use super::*;

    fn read<T: serde::de::DeserializeOwned + Serialize>(document: &str) -> T {
        let read: T = serde_json::from_str(document).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), document, "it is written in the same form");
        read
    }

    #[test]
    fn requests() {
        let requests: Requests = read(
            r#"{"targets":{"nlp:live eu-west-2":{"concurrency":5,"asked":"2026-11-20T09:00:10Z","since":"2026-11-20T09:00:00Z","until":"2026-11-20T09:10:10Z","reason":"token issued"},"arn:aws:lambda:us-east-1:123456789012:function:nlp:7 us-east-1":{"concurrency":1,"asked":"2026-11-20T09:00:10Z","since":"2026-11-20T09:00:00Z","until":"2026-11-20T09:00:00Z","reason":null}}}"#,
        );
        assert_eq!(requests.targets[&id("nlp:live")].concurrency, 5);
        let arn = requests.targets.keys().find(|id| id.account.is_some()).unwrap();
        assert_eq!((arn.region.as_str(), arn.qualifier.as_ref().unwrap().as_str()), ("us-east-1", "7"));
    }

    #[test]
    fn pauses() {
        let pauses: Pauses = read(
            r#"{"all":{"until":"2026-11-20T10:00:00Z","reason":"freeze"},"functions":{"nlp:live":{"until":"2026-11-20T11:00:00Z","reason":"migration"}}}"#,
        );
        assert_eq!(pauses.of(&target("nlp:live", None), at("10:30:00")).unwrap().reason, "migration");
        assert_eq!(pauses.of(&target("nlp", None), at("10:30:00")), None);
    }

    #[test]
    fn served() {
        let served: Served = read(
            r#"{"ticked":29919900,"targets":{"f eu-west-2":29919900},"busy":{"f eu-west-2":"2026-11-20T09:15:00Z"},"claims":{"g:$LATEST eu-west-2":{"by":7,"minute":29919900,"before":29919895,"until":"2026-11-20T09:01:00Z"}}}"#,
        );
        assert_eq!((served.targets[&id("f")], served.claims[&id("g")].by), (29_919_900, 7));
        assert!(served.busy.contains_key(&id("f")));
        // Before claims were kept.
        let old: Served = serde_json::from_str(r#"{"ticked":null,"targets":{"f eu-west-2":1}}"#).unwrap();
        assert_eq!(old.targets.len(), 1);
    }

    #[test]
    fn status() {
        let status: Status = read(
            r#"{"tick":"2026-11-20T09:00:00Z","config":"cafe","config_behind_since":null,"pauses_unknown":false,"duration_ms":512,"unfinished":0,"spread":false,"targets":{"f eu-west-2":{"tick":"2026-11-20T09:00:00Z","target":3,"reached":2,"evidence":"cold-starts","verdict":"short","skipped":{"tick":"2026-11-20T09:05:00Z","why":"in-flight"}},"g eu-west-2":{"tick":"2026-11-20T09:00:00Z","target":3,"reached":null,"evidence":null,"verdict":"skipped","skipped":null}}}"#,
        );
        let last = &status.targets[&id("f")];
        assert_eq!(
            (last.desired, last.verdict, last.evidence),
            (3, Verdict::Short, Some(Evidence::ColdStarts))
        );
        assert_eq!(last.skipped.as_ref().unwrap().reason, SkipReason::InFlight);
        assert!(!status.targets[&id("g")].was_sent());
    }

    #[test]
    fn entries_of_a_newer_version_leave_the_rest_readable() {
        let status: Status = serde_json::from_str(
            r#"{"tick":null,"config":null,"config_behind_since":null,"duration_ms":0,"unfinished":0,"targets":{"f moon-west-1":{"tick":"2026-11-20T09:00:00Z","target":1,"reached":1,"verdict":"reached"},"f eu-west-2":{"tick":"2026-11-20T09:00:00Z","target":1,"reached":1,"verdict":"reached"},"g eu-west-2":{"tick":"2026-11-20T09:00:00Z","target":1,"reached":1,"verdict":"reached","skipped":{"tick":"2026-11-20T09:05:00Z","why":"too-hot"}}}}"#,
        )
        .unwrap();
        assert_eq!(status.targets.keys().collect::<Vec<_>>(), [&id("f")]);
    }
}
