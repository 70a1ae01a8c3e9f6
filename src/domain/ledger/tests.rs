//! Requests, pauses and what is late.

use insta::assert_snapshot;

use super::*;
use crate::domain::calendar::{DaySet, Hours};
use crate::domain::fleet::{Architecture, Limits, MetricsSettings};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::schedule::{Why, explain};
use crate::domain::tick::{RoundRecord, Skipped, Verdict};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-20T{text}Z").parse().unwrap()
}

fn minute(text: &str) -> Minute {
    Minute::of(at(text))
}

fn target(name: &str, hours: Option<&str>) -> Target {
    let window = |hours: &str| Window {
        label: "office".to_owned(),
        zone: chrono_tz::UTC,
        opening: Opening::Weekly(DaySet::DAILY, Hours::parse(hours).unwrap()),
        only: Vec::new(),
        except: Vec::new(),
        from: None,
        through: None,
        concurrency: 3,
        lead: TimeDelta::zero(),
        ramp_up: TimeDelta::zero(),
        ramp_down: TimeDelta::zero(),
    };
    Target {
        architecture: Architecture::Arm64,
        interval_minutes: 5,
        windows: hours.map(window).into_iter().collect(),
        on_request: Some(RULE),
        ..Target::bare(&FunctionRef::parse(name).unwrap(), Region::parse("eu-west-2").unwrap())
    }
}

const RULE: OnRequest =
    OnRequest { max_concurrency: 10, max_for: Duration::from_secs(1_800), coalesce: Duration::from_secs(60) };

fn fleet(targets: Vec<Target>) -> Fleet {
    Fleet {
        targets,
        limits: Limits::default(),
        metrics: MetricsSettings::default(),
        hash: "cafe".to_owned(),
        prices: crate::domain::cost::PriceBook::embedded(),
    }
}

fn asked(time: &str, concurrency: u32, minutes: u64) -> Asked {
    let keep_for = (minutes > 0).then(|| Duration::from_secs(60 * minutes));
    Asked { at: at(time), concurrency, keep_for, reason: Some("token issued".to_owned()) }
}

#[test]
fn requests_shortly_after_one_another_are_one() {
    let mut requests = Requests::default();
    assert_eq!(requests.ask("f eu", &asked("09:00:10", 5, 10), &RULE), Answered::Round(5));
    assert_eq!(
        requests.ask("f eu", &asked("09:00:10", 5, 10), &RULE),
        Answered::Coalesced(5),
        "delivered twice"
    );
    assert_eq!(requests.ask("f eu", &asked("09:01:09", 2, 10), &RULE), Answered::Coalesced(5));
    assert_eq!(
        requests.ask("g eu", &asked("09:01:09", 2, 10), &RULE),
        Answered::Round(2),
        "another function"
    );
    // Coalescing counts from the round, not from the request before: a steady stream is served every minute.
    assert_eq!(requests.ask("f eu", &asked("09:01:10", 2, 10), &RULE), Answered::Round(2));
    assert_eq!(
        requests.ask("f eu", &asked("09:01:11", 7, 0), &RULE),
        Answered::Round(7),
        "more than was warmed"
    );
    let request = &requests.targets["f eu"];
    assert_eq!((request.concurrency, request.since, request.until), (7, at("09:00:00"), at("09:11:10")));
}

#[test]
fn a_request_gets_at_most_what_the_configuration_allows() {
    let mut requests = Requests::default();
    assert_eq!(requests.ask("f eu", &asked("09:00:10", 500, 600), &RULE), Answered::Round(10));
    assert_eq!(requests.targets["f eu"].until, at("09:30:10"));
}

#[test]
fn a_request_in_force_is_kept_by_the_schedule_and_explained() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", Some("12:00-13:00")), target("g", None)]);
    requests.ask(&key(&fleet.targets[0]), &asked("09:00:10", 5, 10), &RULE);
    let values = |time: &str| {
        let with = with_requests(&fleet, &requests, at(time));
        with.targets.iter().map(|target| schedule::target(target, minute(time))).collect::<Vec<_>>()
    };
    assert_eq!(values("09:00:59"), [5, 0]);
    assert_eq!(values("09:10:00"), [5, 0]);
    assert_eq!(values("09:11:00"), [0, 0], "it has passed");
    assert_eq!(values("12:00:00"), [3, 0], "the window is still there");
    let with = with_requests(&fleet, &requests, at("09:05:00"));
    let explanation = explain(&with.targets[0], minute("09:05:00"));
    assert_eq!((explanation.target, explanation.due), (5, Some(Why::Interval)));
    let view = &explanation.windows[1];
    assert_snapshot!(format!("{} {} until {}", view.label, view.state.as_str(), view.closes.unwrap()), @"request: token issued open until 2026-11-20 09:10:10 UTC");
}

#[test]
fn spare_environments_are_part_of_what_a_request_is_given() {
    let mut requests = Requests::default();
    let mut only = target("f", None);
    only.spare = 2;
    let fleet = fleet(vec![only]);
    requests.ask("f eu-west-2", &asked("09:00:00", 10, 10), &RULE);
    let with = with_requests(&fleet, &requests, at("09:01:00"));
    assert_eq!(schedule::target(&with.targets[0], minute("09:01:00")), 10, "not 12");
}

#[test]
fn a_round_without_a_length_is_not_kept() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", None)]);
    assert_eq!(requests.ask("f eu-west-2", &asked("09:00:30", 5, 0), &RULE), Answered::Round(5));
    let with = with_requests(&fleet, &requests, at("09:00:30"));
    assert!(matches!(with, Cow::Borrowed(_)));
}

#[test]
fn what_a_lost_tick_has_left_is_served_at_the_next_one() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("new", Some("09:32-17:00"))]);
    let mut served = Served::default();
    let plan = |served: &Served, time: &str| -> Vec<usize> {
        served.plan(&fleet, minute(time), minute(time).plus(-1)).iter().map(|due| due.index).collect()
    };
    assert_eq!(plan(&served, "09:30:00"), [0], "nothing is known: as without a store");
    served.note(minute("09:30:00"), [&fleet.targets[0]]);
    assert_eq!(plan(&served, "09:30:00"), [0; 0], "a repeated delivery");
    assert_eq!(plan(&served, "09:31:00"), [0; 0]);
    // The ticks from 09:31 to 09:35 are lost: one target's beat, the other's opening.
    assert_eq!(plan(&served, "09:36:00"), [0, 1]);
    served.note(minute("09:36:00"), &fleet.targets);
    assert_eq!(plan(&served, "09:37:00"), [0; 0], "made up once");
    assert_eq!(plan(&served, "09:29:00"), [0; 0], "an old delivery that comes late");
    served.note(minute("09:29:00"), [&fleet.targets[0]]);
    assert_eq!(plan(&served, "09:37:00"), [0; 0], "and it takes nothing back");
    assert_eq!(plan(&served, "17:30:00"), [0; 0], "what has closed since is not made up");
}

#[test]
fn processes_with_different_targets_share_a_store() {
    let fleets = ["f", "g"].map(|name| fleet(vec![target(name, Some("09:00-17:00"))]));
    let mut served = Served::default();
    for time in ["09:00:00", "09:05:00", "09:10:00"] {
        // The second one comes in the same minute, and finds that somebody's tick has been there.
        for fleet in &fleets {
            for due in [1, 0] {
                assert_eq!(served.plan(fleet, minute(time), minute(time).plus(-1)).len(), due, "{time}");
                served.note(minute(time), &fleet.targets);
            }
        }
    }
}

#[test]
fn busy_targets_are_left_alone_until_their_pings_have_ended() {
    let target = target("f", None);
    let mut served = Served::default();
    served.note_busy([(&target, at("09:15:00"))]);
    served.note_busy([(&target, at("09:10:00"))]);
    assert!(served.is_busy(&target, at("09:14:59")));
    assert!(!served.is_busy(&target, at("09:15:00")));
}

#[test]
fn the_longer_pause_holds() {
    let target = target("f", None);
    let pause = |time: &str, reason: &str| Pause { until: at(time), reason: reason.to_owned() };
    let mut pauses = Pauses { all: Some(pause("10:00:00", "freeze")), ..Pauses::default() };
    pauses.functions.insert("f".to_owned(), pause("11:00:00", "migration"));
    assert_snapshot!(pauses.of(&target, at("09:00:00")).unwrap(), @"paused until 2026-11-20T11:00:00Z: migration");
    pauses.prune(at("10:00:00"));
    assert_eq!((pauses.all.is_none(), pauses.functions.len()), (true, 1));
    assert_eq!(pauses.of(&target, at("11:00:00")), None);
}

#[test]
fn a_shard_is_taken_on_once_and_forgotten_in_time() {
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
fn a_flood_of_shards_does_not_fill_the_store() {
    let mut shards = Shards::default();
    for index in 0..2_000 {
        assert!(shards.take(&index.to_string(), 1, at("09:00:00") + TimeDelta::seconds(index)));
    }
    assert_eq!(shards.taken.len(), MOST_SHARDS);
    assert!(
        !shards.take("1999", 2, at("09:40:00")) && !shards.take("1000", 2, at("09:40:00")),
        "the oldest go"
    );
}

#[test]
fn the_last_round_that_was_sent_stays_beside_what_was_skipped_since() {
    let target = target("f", None);
    let skipped = |why| RoundRecord::skipped(&target, 3, why);
    let sent = |reached| RoundRecord {
        skipped: None,
        verdict: Verdict::Short,
        reached: Some(reached),
        ..skipped(Skipped::Paused)
    };
    let mut status = Status::default();
    let mut after = |time: &str, round: RoundRecord| {
        status.note_rounds(&[round], at(time));
        let last = &status.targets["f eu-west-2"];
        let skip = last.skipped.as_ref();
        let skip = skip.map(|skip| format!("; {} at {}", skip.why, skip.tick.format("%H:%M")));
        let reached = last.reached.map_or("?".to_owned(), |reached| reached.to_string());
        format!("{} {reached} at {}{}", last.verdict, last.tick.format("%H:%M"), skip.unwrap_or_default())
    };
    assert_snapshot!(after("09:00:00", skipped(Skipped::Paused)), @"skipped ? at 09:00; paused at 09:00");
    assert_snapshot!(after("09:05:00", skipped(Skipped::InFlight)), @"skipped ? at 09:05; in-flight at 09:05");
    assert_snapshot!(after("09:03:00", sent(2)), @"short 2 at 09:03; in-flight at 09:05");
    assert_snapshot!(after("09:10:00", sent(1)), @"short 1 at 09:10");
    assert_snapshot!(after("09:15:00", skipped(Skipped::Paused)), @"short 1 at 09:10; paused at 09:15");
    assert_snapshot!(after("09:14:00", skipped(Skipped::Coalesced)), @"short 1 at 09:10; paused at 09:15");
    // A request or a shard that comes late.
    assert_snapshot!(after("09:09:00", sent(3)), @"short 1 at 09:10; paused at 09:15");
    assert_snapshot!(after("09:20:00", sent(3)), @"short 3 at 09:20");
}
