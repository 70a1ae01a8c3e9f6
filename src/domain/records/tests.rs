//! Requests, pauses and what is late.

use insta::assert_snapshot;

use super::shards::MOST_SHARDS;
use super::*;
use crate::domain::calendar::{DaySet, Hours};
use crate::domain::fleet::{Limits, MetricsSettings};
use crate::domain::function::{Architecture, FunctionRef, Region};
use crate::domain::schedule::{self, DueReason, explain};
use crate::domain::tick::{RoundRecord, Skipped, TickReport, Verdict};

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

/// The decision on a request for that target that arrives at once.
fn ask(requests: &mut Requests, key: &str, asked: &Asked) -> Decision {
    requests.ask(key, asked, &RULE, asked.at)
}

fn asked(time: &str, concurrency: u32, minutes: u64) -> Asked {
    let keep_for = (minutes > 0).then(|| Duration::from_secs(60 * minutes));
    Asked { at: at(time), concurrency, keep_for, reason: Some("token issued".to_owned()) }
}

#[test]
fn requests_shortly_after_one_another_are_one() {
    let mut requests = Requests::default();
    assert_eq!(ask(&mut requests, "f eu", &asked("09:00:10", 5, 10)), Decision::Round(5));
    assert_eq!(
        ask(&mut requests, "f eu", &asked("09:00:10", 5, 10)),
        Decision::Coalesced(5),
        "delivered twice"
    );
    assert_eq!(ask(&mut requests, "f eu", &asked("09:01:09", 2, 10)), Decision::Coalesced(5));
    assert_eq!(ask(&mut requests, "g eu", &asked("09:01:09", 2, 10)), Decision::Round(2), "another function");
    // Coalescing counts from the round, not from the request before: a steady stream is served every minute.
    assert_eq!(ask(&mut requests, "f eu", &asked("09:01:10", 2, 10)), Decision::Round(2));
    assert_eq!(
        ask(&mut requests, "f eu", &asked("09:01:11", 7, 0)),
        Decision::Round(7),
        "more than was warmed"
    );
    let request = &requests.targets["f eu"];
    assert_eq!((request.concurrency, request.since, request.until), (7, at("09:00:00"), at("09:11:10")));
}

#[test]
fn a_request_gets_at_most_what_the_configuration_allows() {
    let mut requests = Requests::default();
    assert_eq!(ask(&mut requests, "f eu", &asked("09:00:10", 500, 600)), Decision::Round(10));
    assert_eq!(requests.targets["f eu"].until, at("09:30:10"));
}

#[test]
fn a_request_in_force_is_kept_by_the_schedule_and_explained() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", Some("12:00-13:00")), target("g", None)]);
    ask(&mut requests, &key(&fleet.targets[0]), &asked("09:00:10", 5, 10));
    let values = |time: &str| {
        let with = with_requests(&fleet, &requests, at(time));
        with.targets.iter().map(|target| schedule::desired(target, minute(time))).collect::<Vec<_>>()
    };
    assert_eq!(values("09:00:59"), [5, 0]);
    assert_eq!(values("09:10:00"), [5, 0]);
    assert_eq!(values("09:11:00"), [0, 0], "it has passed");
    assert_eq!(values("12:00:00"), [3, 0], "the window is still there");
    let with = with_requests(&fleet, &requests, at("09:05:00"));
    let explanation = explain(&with.targets[0], minute("09:05:00"));
    assert_eq!((explanation.desired, explanation.due), (5, Some(DueReason::Interval)));
    let view = &explanation.windows[1];
    assert_snapshot!(format!("{} {} until {}", view.label, view.state.as_str(), view.closes.unwrap()), @"request: token issued open until 2026-11-20 09:10:10 UTC");
}

#[test]
fn spare_environments_are_part_of_what_a_request_is_given() {
    let mut requests = Requests::default();
    let mut only = target("f", None);
    only.spare = 2;
    let fleet = fleet(vec![only]);
    ask(&mut requests, "f eu-west-2", &asked("09:00:00", 10, 10));
    let with = with_requests(&fleet, &requests, at("09:01:00"));
    assert_eq!(schedule::desired(&with.targets[0], minute("09:01:00")), 10, "not 12");
}

#[test]
fn a_round_without_a_length_is_not_kept() {
    let mut requests = Requests::default();
    let fleet = fleet(vec![target("f", None)]);
    assert_eq!(ask(&mut requests, "f eu-west-2", &asked("09:00:30", 5, 0)), Decision::Round(5));
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
fn what_a_lost_tick_has_left_is_served_at_the_next_one() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("new", Some("09:32-17:00"))]);
    let mut served = Served::default();
    assert_eq!(planned(&served, &fleet, "09:30:00"), [0], "nothing is known: as without a store");
    tick(&mut served, "09:30:00", [&fleet.targets[0]]);
    assert_eq!(planned(&served, &fleet, "09:30:00"), [0; 0], "a repeated delivery");
    assert_eq!(planned(&served, &fleet, "09:31:00"), [0; 0]);
    // The ticks from 09:31 to 09:35 are lost: one target's beat, the other's opening.
    assert_eq!(planned(&served, &fleet, "09:36:00"), [0, 1]);
    tick(&mut served, "09:36:00", &fleet.targets);
    assert_eq!(planned(&served, &fleet, "09:37:00"), [0; 0], "made up once");
    let late = |served: &Served| served.plan(&fleet, minute("09:29:00"), minute("09:28:00"), at("09:37:00"));
    assert_eq!(late(&served), [], "an old delivery that comes late");
    served.note(minute("09:29:00"), [&fleet.targets[0]], at("09:37:00"));
    assert_eq!(planned(&served, &fleet, "09:37:00"), [0; 0], "and it takes nothing back");
    assert_eq!(planned(&served, &fleet, "17:30:00"), [0; 0], "what has closed since is not made up");
}

#[test]
fn processes_with_different_targets_share_a_store() {
    let fleets = ["f", "g"].map(|name| fleet(vec![target(name, Some("09:00-17:00"))]));
    let mut served = Served::default();
    for time in ["09:00:00", "09:05:00", "09:10:00"] {
        // The second one comes in the same minute, and finds that somebody's tick has been there.
        for fleet in &fleets {
            for due in [1, 0] {
                assert_eq!(planned(&served, fleet, time).len(), due, "{time}");
                tick(&mut served, time, &fleet.targets);
            }
        }
    }
}

#[test]
fn the_claim_of_a_process_that_died_lapses_and_its_targets_are_late() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("new", Some("09:05-17:00"))]);
    let mut served = Served::default();
    tick(&mut served, "09:00:00", [&fleet.targets[0]]);
    served.claim(7, minute("09:05:00"), minute("09:04:00"), at("09:05:02"), &fleet.targets);
    assert!(served.is_claimed_by(7) && !served.is_claimed_by(8));
    assert_eq!(planned(&served, &fleet, "09:05:02"), [0; 0], "another delivery");
    assert_eq!(planned(&served, &fleet, "09:06:01"), [0; 0], "the lease has a second left");
    let dead = served.clone();
    assert_eq!(planned(&dead, &fleet, "09:06:02"), [0, 1], "it has lapsed: one was served before, one never");
    served.renew(7, at("09:05:32"));
    assert_eq!(planned(&served, &fleet, "09:06:31"), [0; 0], "it runs on");
    assert_eq!(planned(&served, &fleet, "09:06:32"), [0, 1]);
    // Taken over: what the first one notes when it wakes up changes nothing of the second one's.
    let mut taken = dead;
    taken.claim(8, minute("09:06:00"), minute("09:05:00"), at("09:06:02"), &fleet.targets);
    let before = taken.clone();
    taken.renew(7, at("09:06:03"));
    taken.settle(7, |_| false, at("09:06:04"));
    assert_eq!(taken, before);
    taken.settle(8, |key| key.starts_with("new"), at("09:06:10"));
    assert_eq!(planned(&taken, &fleet, "09:07:00"), [1], "what was left undone is late");
    assert!(taken.claims.is_empty());
}

#[test]
fn a_stored_minute_in_the_future_is_unknown_and_repaired_at_the_next_write() {
    let fleet = fleet(vec![target("f", Some("09:00-17:00")), target("g", Some("09:00-17:00"))]);
    let tomorrow = minute("09:05:00").plus(24 * 60).epoch();
    for stored in [tomorrow, i64::MAX] {
        let mut served = Served::default();
        served.targets.insert(key(&fleet.targets[0]), stored);
        served.ticked = Some(stored);
        served.busy.insert(key(&fleet.targets[1]), at("09:05:00") + TimeDelta::days(1));
        assert_eq!(planned(&served, &fleet, "09:05:00"), [0, 1]);
        assert!(!served.is_busy(&fleet.targets[1], at("09:05:00")));
        assert_eq!(served.in_future(at("09:05:00")), ["f eu-west-2", "g eu-west-2", "the latest tick"]);
        tick(&mut served, "09:05:00", [&fleet.targets[0]]);
        assert_eq!(served.in_future(at("09:05:00")), [""; 0]);
        assert_eq!((served.ticked, served.busy.len()), (Some(minute("09:05:00").epoch()), 0));
        assert_eq!(planned(&served, &fleet, "09:10:00"), [0, 1], "and the beat goes on");
    }
    // A claim of a clock that is a day ahead.
    let mut served = Served::default();
    let ahead = at("09:05:00") + TimeDelta::days(1);
    served.claim(7, Minute::of(ahead), Minute::of(ahead), ahead, &fleet.targets);
    assert_eq!(planned(&served, &fleet, "09:05:00"), [0, 1]);
    // Another machine's clock is half a minute ahead, which is no mistake.
    let mut served = Served::default();
    tick(&mut served, "09:05:00", &fleet.targets);
    let behind = served.plan(&fleet, minute("09:05:00"), minute("09:04:00"), at("09:04:30"));
    assert_eq!((behind, served.in_future(at("09:04:30"))), (vec![], vec![]));
}

#[test]
fn a_request_of_the_future_is_unknown_and_dropped_at_the_next_one() {
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
    requests.targets.insert(key(target), future.clone());
    requests.targets.insert("other".to_owned(), future);
    assert_eq!(requests.live_config(target, at("09:00:00")), None);
    assert_eq!(requests.in_future(at("09:00:00")), ["f eu-west-2", "other"]);
    assert_eq!(ask(&mut requests, &key(target), &asked("09:00:10", 2, 10)), Decision::Round(2));
    assert_eq!(requests.targets.len(), 1);
    let kept = requests.live_config(target, at("09:05:00")).unwrap();
    assert_eq!((kept.concurrency, kept.since), (2, at("09:00:00")));
}

#[test]
fn a_late_or_early_request_prunes_by_the_own_clock() {
    let mut requests = Requests::default();
    ask(&mut requests, "f eu", &asked("09:00:10", 5, 10));
    let mut early = asked("09:00:10", 1, 10);
    early.at = "2099-01-01T00:00:00Z".parse().unwrap();
    requests.ask("g eu", &early, &RULE, at("09:00:20"));
    assert_eq!(requests.targets["f eu"].concurrency, 5, "it is in force still");
}

#[test]
fn a_kept_request_ends_when_the_configuration_says_whatever_is_stored() {
    let fleet = fleet(vec![target("f", None)]);
    let target = &fleet.targets[0];
    let request = Request {
        concurrency: 3,
        asked: at("09:00:00"),
        since: at("09:00:00"),
        until: DateTime::<Utc>::MAX_UTC,
        reason: None,
    };
    let requests = Requests { targets: [(key(target), request)].into() };
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
    let key = key(target);
    let report = |tick| TickReport {
        tick,
        config: None,
        duration_ms: 1,
        partial: false,
        rounds: vec![RoundRecord::skipped(target, 3, Skipped::Paused)],
        unfinished: Vec::new(),
    };
    let times = [DateTime::<Utc>::MIN_UTC, at("09:00:00"), DateTime::<Utc>::MAX_UTC];
    for (stored, now) in times.iter().flat_map(|stored| times.iter().map(move |now| (*stored, *now))) {
        let last = LastRound {
            tick: stored,
            target: 3,
            reached: None,
            evidence: None,
            verdict: "short".to_owned(),
            skipped: Some(Skip { tick: stored, why: "paused".to_owned() }),
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
        let mut requests = Requests { targets: [(key.clone(), request)].into() };
        with_requests(&fleet, &requests, now);
        let asked = Asked { at: now, concurrency: 1, keep_for: Some(Duration::MAX), reason: None };
        requests.ask(&key, &asked, &OnRequest { max_for: Duration::MAX, ..RULE }, now);
        with_requests(&fleet, &requests, now);

        for minute in [i64::MIN, i64::MAX] {
            let claim = Claim { by: 1, minute, before: minute, until: stored };
            let mut served = Served {
                ticked: Some(minute),
                targets: [(key.clone(), minute)].into(),
                busy: [(key.clone(), stored)].into(),
                claims: [(key.clone(), claim)].into(),
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
    let rounds = vec![RoundRecord::skipped(&target, 3, Skipped::Paused)];
    let report = |tick| TickReport {
        tick,
        config: Some("cafe".to_owned()),
        duration_ms: 1,
        partial: false,
        rounds: rounds.clone(),
        unfinished: Vec::new(),
    };
    let mut status = Status::default();
    let mut note = |tick, now| {
        let report = report(tick);
        let tick = TickNote { report: &report, config_behind_since: None, pauses_unknown: true };
        status.note_tick(&tick, now);
        (status.tick.unwrap(), status.targets["f eu-west-2"].latest())
    };
    assert_eq!(note(tomorrow, tomorrow), (tomorrow, tomorrow));
    assert_eq!(note(at("09:05:00"), at("09:05:01")), (at("09:05:00"), at("09:05:00")));
    assert!(status.pauses_unknown);
}

#[test]
fn what_does_not_fit_is_dropped_oldest_first() {
    let mut requests = Requests::default();
    for (second, name) in (10..20).zip('a'..) {
        let mut asked = asked(&format!("09:00:{second}"), 1, 10);
        asked.reason = Some("r".repeat(1_000));
        ask(&mut requests, &name.to_string(), &asked);
    }
    let bytes = |requests: &Requests| serde_json::to_vec(requests).unwrap().len();
    let before = bytes(&requests);
    assert_eq!(requests.drop_oldest(2_500), 3, "three of a thousand bytes and more");
    assert_eq!(requests.targets.keys().map(String::as_str).collect::<String>(), "defghij");
    assert!(bytes(&requests) <= before - 2_500);
    assert_eq!(requests.drop_oldest(usize::MAX), 7);
    assert_eq!(requests.drop_oldest(1), 0, "nothing is left");
    let pause = |time: &str| Pause { until: at(time), reason: "r".to_owned() };
    let mut pauses = Pauses { all: Some(pause("09:00:00")), ..Pauses::default() };
    pauses.functions.insert("f".to_owned(), pause("10:00:00"));
    assert_eq!(
        (pauses.drop_oldest(1), pauses.all.is_some()),
        (1, true),
        "the pause of everything stays longest"
    );
    assert_eq!((pauses.drop_oldest(1), pauses.all.is_some(), pauses.drop_oldest(1)), (1, false, 0));
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
        status.note_rounds(&[round], at(time), at("09:20:00"));
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
