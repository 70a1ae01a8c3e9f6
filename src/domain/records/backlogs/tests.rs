use std::sync::Arc;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::domain::capacity::{self, By, Fallback, Provisioned};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::pipeline::{Pipeline, Stage};
use crate::domain::records::with_requests;
use crate::domain::schedule::{self, explain};

const RULE: OnRequest = OnRequest {
    max_concurrency: 1_000,
    max_for: Duration::from_secs(1_800),
    coalesce: Duration::from_secs(60),
    hold_for: Duration::from_secs(300),
};

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-20T{time}Z").parse().unwrap()
}

fn id(function: &str) -> Identity {
    FunctionRef::parse(function).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

fn target(function: &str, max_concurrency: u32) -> Target {
    let rule = OnRequest { max_concurrency, ..RULE };
    Target { on_request: Some(rule), ..Target::example(function, "eu-west-2", Vec::new()) }
}

/// The backlog of the issue: 300 requests a second, to be worked off in 10 s.
fn terms(time: &str, messages: u32) -> BacklogTerms {
    BacklogTerms {
        at: at(time),
        pipeline: None,
        messages,
        rate: 300.into(),
        per_environment: 3_000.into(),
        hold_for: Some(Duration::from_secs(1)),
        reason: None,
    }
}

/// Requests with the backlog of the issue at 09:00:00, and this number of environments from then on.
fn requests(reached: Option<u32>) -> Requests {
    let mut requests = Requests::default();
    let decision = requests.add_backlog(&id("f"), &terms("09:00:00", 90_000), &RULE, at("09:00:00"));
    assert_eq!(decision, Decision::Round(30));
    requests.note_reached(&[(id("f"), reached)].into(), at("09:00:00"));
    requests
}

/// The number that the schedule has for a target.
fn desired(requests: &Requests, target: &Target, time: &str) -> u32 {
    let fleet = Fleet::new(vec![target.clone()]);
    let with = with_requests(&fleet, requests, at(time));
    schedule::desired(&with.targets[0], Minute::of(at(time)))
}

#[test]
fn the_number_falls_as_the_backlog_is_worked_off() {
    let f = target("f", 1_000);
    let numbers = |reached| {
        let requests = requests(reached);
        ["09:00:00", "09:00:01", "09:00:05", "09:00:09", "09:00:10", "09:05:00"]
            .map(|time| desired(&requests, &f, time))
    };
    assert_eq!(numbers(Some(30)), [30, 27, 15, 3, 0, 0]);
    assert_eq!(numbers(Some(15)), [30, 29, 23, 17, 15, 0]);
    assert_eq!(numbers(None), [30; 6], "unknown counts as none");
    // Without a report it ends with `max_for`.
    assert_eq!(desired(&requests(None), &f, "09:29:59"), 30);
    assert_eq!(desired(&requests(None), &f, "09:30:00"), 0);
}

#[test]
fn the_number_is_held_until_the_hold_ends() {
    let mut requests = Requests::default();
    let held = BacklogTerms { hold_for: None, ..terms("09:00:20", 90_000) };
    requests.add_backlog(&id("f"), &held, &RULE, at("09:00:20"));
    requests.note_reached(&[(id("f"), Some(20))].into(), at("09:00:20"));
    let f = target("f", 1_000);
    let numbers = ["09:00:30", "09:05:19", "09:05:20"].map(|time| desired(&requests, &f, time));
    assert_eq!(numbers, [30, 30, 0]);
    let fleet = Fleet::new(vec![f]);
    let window = |time: &str| {
        let with = with_requests(&fleet, &requests, at(time));
        let explanation = explain(&with.targets[0], Minute::of(at(time)));
        let view = &explanation.windows[0];
        format!("{} {} until {}", view.label, view.desired, view.closes.unwrap())
    };
    assert_snapshot!(window("09:00:30"), @"backlog request 30 until 2026-11-20 09:30:20 UTC");
    assert_snapshot!(window("09:01:00"), @"backlog request 30 until 2026-11-20 09:05:20 UTC");
}

#[test]
fn a_lower_limit_and_a_removed_one_apply_at_once() {
    let requests = requests(Some(30));
    assert_eq!([9, 20].map(|most| desired(&requests, &target("f", most), "09:00:04")), [9, 18]);
    let spare = Target { spare: 2, ..target("f", 1_000) };
    assert_eq!(desired(&requests, &spare, "09:00:05"), 15, "not 17");
    assert_eq!(desired(&requests, &Target { on_request: None, ..spare }, "09:00:05"), 0);
    let short = OnRequest { max_for: Duration::from_secs(4), ..RULE };
    let short = Target { on_request: Some(short), ..target("f", 1) };
    assert_eq!(["09:00:03", "09:00:04"].map(|time| desired(&requests, &short, time)), [21, 0]);
}

#[test]
fn a_newer_request_replaces_an_older_one_and_an_older_one_is_ignored() {
    let f = target("f", 1_000);
    let mut all = requests(Some(30));
    let mut add = |time: &str, messages| {
        let decision = all.add_backlog(&id("f"), &terms(time, messages), &RULE, at("09:02:00"));
        (decision, desired(&all, &f, time))
    };
    assert_eq!(add("08:59:59", 300_000), (Decision::Coalesced(30), 0), "older");
    assert_eq!(add("09:00:00", 90_000), (Decision::Coalesced(30), 30), "repeated");
    assert_eq!(add("09:00:00", 1), (Decision::Coalesced(30), 1), "less in the same second, and later");
    assert_eq!(add("09:00:05", 60_000), (Decision::Coalesced(30), 20), "fewer, and warmed just before");
    assert_eq!(add("09:00:05", 60_000), (Decision::Coalesced(20), 20), "repeated");
    assert_eq!(add("09:00:20", 120_000), (Decision::Round(40), 40), "more");
    assert_eq!(add("09:01:30", 3_000), (Decision::Round(1), 1), "later than `coalesce`");
    assert_eq!(add("09:01:31", 0), (Decision::Round(0), 0), "the end");
    assert_eq!(add("09:01:30", 3_000), (Decision::Coalesced(0), 0), "late");
    assert_eq!(all.backlogs[&id("f")].len(), 1);
}

#[test]
fn the_later_of_two_requests_in_the_same_second_counts() {
    let corrections: [fn(&mut BacklogTerms); 5] = [
        |terms| terms.messages = 0,
        |terms| terms.rate = 100.into(),
        |terms| terms.per_environment = 9_000.into(),
        |terms| terms.hold_for = None,
        |terms| terms.reason = Some("a correction".to_owned()),
    ];
    let numbers = corrections.map(|correct| {
        let mut all = requests(Some(30));
        all.note_reached(&[(id("f"), Some(20))].into(), at("09:00:01"));
        let before = all.clone();
        let mut terms = terms("09:00:00", 90_000);
        all.add_backlog(&id("f"), &terms, &RULE, at("09:00:02"));
        assert_eq!(all, before, "a repeated delivery");
        correct(&mut terms);
        all.add_backlog(&id("f"), &terms, &RULE, at("09:00:02"));
        assert_ne!(all, before, "{terms:?}");
        let corrected = all.clone();
        all.add_backlog(&id("f"), &terms, &RULE, at("09:00:02"));
        assert_eq!(all, corrected, "a repeated delivery");
        desired(&all, &target("f", 1_000), "09:00:05")
    });
    assert_eq!(numbers, [0, 27, 7, 30, 20], "20 environments since the arrival");
}

#[test]
fn a_late_report_does_not_replace_a_newer_one() {
    let mut all = requests(Some(30));
    all.note_reached(&[(id("f"), Some(10))].into(), at("09:00:02"));
    all.note_reached(&[(id("f"), Some(0))].into(), at("09:00:01"));
    assert_eq!(desired(&all, &target("f", 1_000), "09:00:04"), 22, "90,000 - 2 * 9,000 - 2 * 3,000");
}

#[test]
fn a_report_of_a_clock_ahead_keeps_the_request_open() {
    let (f, mut all) = (target("f", 1_000), requests(Some(1)));
    all.note_reached(&[(id("f"), Some(1))].into(), at("09:04:00"));
    // For this clock, four minutes less have passed.
    assert_eq!(all.open_backlogs(at("09:00:01")).count(), 1);
    assert_eq!(["09:00:01", "09:04:00", "09:04:10"].map(|time| desired(&all, &f, time)), [6, 6, 5]);
    let mut all = requests(Some(0));
    all.note_reached(&[(id("f"), Some(1))].into(), at("09:05:00"));
    assert_eq!(["09:00:10", "09:05:00", "09:05:10"].map(|time| desired(&all, &f, time)), [30, 30, 29]);
    all.add_backlog(&id("g"), &terms("09:00:10", 1), &RULE, at("09:00:10"));
    assert_eq!(all.open_backlogs(at("09:00:10")).count(), 2, "it is not dropped");
}

#[test]
fn the_backlogs_of_a_target_divide_its_environments() {
    let mut all = requests(None);
    for (pipeline, messages) in [("nlp", 30_000), ("done", 0)] {
        let terms = BacklogTerms { pipeline: Some(pipeline.to_owned()), ..terms("09:00:00", messages) };
        all.add_backlog(&id("f"), &terms, &RULE, at("09:00:00"));
    }
    let mut reached = |reached, time| {
        all.note_reached(&[(id("f"), reached)].into(), at(time));
        all.backlogs[&id("f")].iter().map(|backlog| backlog.reached).collect::<Vec<_>>()
    };
    assert_eq!(reached(Some(30), "09:00:00"), [Some(22), Some(8), None], "30 and 10 are needed");
    // 30,000 are worked off by 8 environments in 12.5 s.
    assert_eq!(reached(Some(30), "09:00:13"), [Some(30), Some(8), None], "one is open");
    assert_eq!(reached(None, "09:00:13"), [None, Some(8), None]);
    assert_eq!(desired(&all, &target("f", 1_000), "09:00:14"), 2, "90,000 - 13 * 6,600");
}

#[test]
fn capacity_falls_in_steps_of_five_minutes() {
    let direct = Provisioned { by: By::Direct, fallback: Fallback::Pings };
    let pinged = target("f", 1_000);
    let driven = Target { strategy: capacity::Strategy::Provisioned(direct), ..pinged.clone() };
    let numbers = |all: &mut Requests, target: &Target| {
        let minutes = (0..16).map(|minute| {
            let time = format!("09:{minute:02}:00");
            let number = desired(all, target, &time);
            // Reports of the minute, and between two of them.
            for seconds in ["02", "40"] {
                let time = format!("09:{minute:02}:{seconds}");
                all.note_reached(&[(id("f"), Some(1))].into(), at(&time));
            }
            number
        });
        minutes.collect::<Vec<_>>()
    };
    let asked = || {
        let mut all = Requests::default();
        let hold_for = Some(Duration::from_secs(80));
        let terms = BacklogTerms { rate: 50.into(), hold_for, ..terms("09:00:10", 45_000) };
        all.add_backlog(&id("f"), &terms, &RULE, at("09:00:10"));
        all
    };
    // The first report is that of 09:00:40. Steps are at 09:01:30, 09:06:30 and 09:11:30.
    assert_eq!(numbers(&mut asked(), &pinged), [15, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers(&mut asked(), &driven), [15, 15, 15, 15, 15, 15, 15, 10, 10, 10, 10, 10, 5, 5, 5, 5]);
    let mut all = asked();
    numbers(&mut all, &driven);
    let text = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Requests>(&text).unwrap(), all, "the step is stored");
}

#[test]
fn environments_that_are_warm_work_off_the_next_backlog() {
    let mut requests = requests(Some(30));
    requests.add_backlog(&id("f"), &terms("09:00:05", 90_000), &RULE, at("09:00:05"));
    assert_eq!(desired(&requests, &target("f", 99), "09:00:10"), 15);
    // Those of one that has ended may be gone.
    requests.add_backlog(&id("f"), &terms("09:09:00", 90_000), &RULE, at("09:09:00"));
    assert_eq!(desired(&requests, &target("f", 99), "09:10:00"), 30);
}

#[test]
fn requests_of_both_kinds_stay_beside_each_other() {
    let f = target("f", 1_000);
    let plain = |at, concurrency| super::super::RequestTerms {
        at,
        concurrency,
        keep_for: Some(Duration::from_secs(600)),
        reason: None,
    };
    let mut requests = requests(Some(30));
    requests.add(&f.id, &plain(at("09:00:30"), 20), &RULE, at("09:00:30"));
    assert_eq!(["09:00:00", "09:00:09"].map(|time| desired(&requests, &f, time)), [30, 20]);
    // The round of one coalesces a backlog.
    let decision = requests.add_backlog(&f.id, &terms("09:00:40", 60_000), &RULE, at("09:00:40"));
    assert_eq!(decision, Decision::Coalesced(20));
    let decision = requests.add_backlog(&f.id, &terms("09:01:31", 60_000), &RULE, at("09:01:31"));
    assert_eq!(decision, Decision::Round(20));
}

#[test]
fn the_limits_of_a_pipeline_apply_to_its_requests() {
    let f = target("f", 1_000);
    let mut requests = requests(Some(30));
    let of_pipeline = BacklogTerms { pipeline: Some("nlp".to_owned()), ..terms("09:00:01", 900_000) };
    let rule = OnRequest { max_concurrency: 100, ..RULE };
    let decision = requests.add_backlog(&f.id, &of_pipeline, &rule, at("09:00:01"));
    assert_eq!((decision, requests.backlogs[&f.id].len()), (Decision::Round(100), 2));
    let pipeline = |name: &str, parts, max_concurrency| Pipeline {
        name: name.into(),
        region: f.region(),
        stages: vec![Stage {
            parts,
            takes: 1,
            rate: 300.into(),
            per_backlog: None,
            payload: None,
            windows: Vec::new(),
        }],
        loads: Vec::new(),
        on_request: Some(OnRequest { max_concurrency, ..RULE }),
    };
    let desired = |pipelines| {
        let fleet = Fleet { pipelines, ..Fleet::new(vec![f.clone()]) };
        let with = with_requests(&fleet, &requests, at("09:00:05"));
        let windows = &with.targets[0].windows;
        let named: Vec<Option<Arc<str>>> = windows.iter().map(|window| window.pipeline.clone()).collect();
        (named, schedule::desired(&with.targets[0], Minute::of(at("09:00:05"))))
    };
    assert_eq!(desired(vec![pipeline("nlp", vec![f.id.clone()], 80)]), (vec![None, Some("nlp".into())], 80));
    let disabled = Target { on_request: None, ..f.clone() };
    let pipelines = vec![pipeline("nlp", vec![f.id.clone()], 80)];
    let fleet = Fleet { pipelines, ..Fleet::new(vec![disabled]) };
    let with = with_requests(&fleet, &requests, at("09:00:05"));
    assert!(with.targets[0].windows.is_empty(), "a disabled function has no limits");
    for gone in [pipeline("other", vec![f.id.clone()], 80), pipeline("nlp", vec![id("g")], 80)] {
        assert_eq!(desired(vec![gone]), (vec![None], 15));
    }
}

#[test]
fn a_backlog_of_the_future_is_ignored_and_dropped_at_the_next_one() {
    let f = target("f", 1_000);
    let future = |change: fn(&mut Backlog)| {
        let mut requests = requests(Some(30));
        let backlog = requests.backlogs.get_mut(&id("f")).unwrap();
        change(&mut backlog[0]);
        requests
    };
    let late: DateTime<Utc> = at("09:00:00") + TimeDelta::days(1);
    assert!(
        future(|backlog| backlog.counted = DateTime::<Utc>::MAX_UTC).in_future(late)[0].starts_with("f ")
    );
    let mut requests = future(|backlog| backlog.asked = DateTime::<Utc>::MAX_UTC);
    assert_eq!(requests.in_future(at("09:00:01")), ["f (eu-west-2)"]);
    assert_eq!(requests.open_backlogs(at("09:00:01")).count(), 0);
    let decision = requests.add_backlog(&id("f"), &terms("09:02:00", 3_000), &RULE, at("09:02:00"));
    assert_eq!((decision, desired(&requests, &f, "09:02:00")), (Decision::Round(1), 1));
}

#[test]
fn documents_are_read_as_they_were_written_and_without_backlogs() {
    let requests = requests(Some(30));
    let text = serde_json::to_string(&requests).unwrap();
    assert_snapshot!(text, @r#"{"targets":{},"backlogs":{"f eu-west-2":[{"messages":90000,"rate":"300","per_environment":"3000","most":1000,"asked":"2026-11-20T09:00:00Z","hold_until":"2026-11-20T09:00:01Z","until":"2026-11-20T09:30:00Z","round":{"at":"2026-11-20T09:00:00Z","environments":30},"worked_off":"0","counted":"2026-11-20T09:00:00Z","reached":30,"reason":null}]}}"#);
    assert_eq!(serde_json::from_str::<Requests>(&text).unwrap(), requests);
    assert_eq!(serde_json::from_str::<Requests>(r#"{"targets":{}}"#).unwrap(), Requests::default());
    let newer = text.replace("\"messages\":90000", "\"messages\":-1");
    assert_eq!(serde_json::from_str::<Requests>(&newer).unwrap(), Requests::default(), "it is left out");
}

#[test]
fn ended_backlogs_are_dropped_after_an_hour() {
    let mut requests = requests(Some(30));
    for (time, number) in [("09:59:59", 2), ("10:00:01", 1)] {
        requests.add_backlog(&id("g"), &terms(time, 1), &RULE, at(time));
        assert_eq!(requests.backlogs.len(), number);
    }
}

proptest! {
    /// Any stored numbers and instants: nothing panics, and the limits hold.
    #[test]
    fn stored_nonsense_stays_within_the_limits(
        numbers in prop::array::uniform3(prop_oneof![
            Just(Decimal::MAX), Just(Decimal::MIN), Just(Decimal::ZERO), Just(Decimal::new(1, 28)),
            any::<i64>().prop_map(Decimal::from),
        ]),
        times in prop::array::uniform4(prop_oneof![
            Just(DateTime::<Utc>::MIN_UTC), Just(DateTime::<Utc>::MAX_UTC), Just(at("09:00:00")), Just(at("09:00:30")),
        ]),
        messages in any::<u32>(),
        stepped in any::<bool>(),
        reached in any::<Option<u32>>(),
        max_for in prop_oneof![Just(Duration::MAX), Just(RULE.max_for)],
    ) {
        let [rate, per_environment, worked_off] = numbers;
        let [asked, counted, hold_until, until] = times;
        let step = stepped.then_some(CapacityStep { at: hold_until, waiting: rate });
        let direct = Provisioned { by: By::Direct, fallback: Fallback::None };
        let round = RequestRound { at: asked, environments: messages };
        let backlog = Backlog {
            pipeline: None, messages, rate, per_environment, most: 1, asked, hold_until, until, round, worked_off,
            counted, reached, step, reason: None,
        };
        let mut requests = Requests { backlogs: [(id("f"), vec![backlog])].into(), ..Requests::default() };
        let rule = OnRequest { max_for, ..RULE };
        let f = Target { on_request: Some(rule), ..target("f", 1) };
        let driven = Target { strategy: capacity::Strategy::Provisioned(direct), ..f.clone() };
        for now in times {
            let fleet = Fleet::new(vec![f.clone(), driven.clone()]);
            let with = with_requests(&fleet, &requests, now);
            for target in &with.targets {
                prop_assert!(schedule::desired(target, Minute::of(now)) <= 1_000);
            }
            requests.note_reached(&[(id("f"), reached)].into(), now);
            let terms = BacklogTerms { at: now, per_environment, rate, hold_for: Some(max_for), ..terms("09:00:00", messages) };
            requests.add_backlog(&id("f"), &terms, &rule, now);
        }
    }

    /// A model that counts each millisecond, in thousandths of a request.
    #[test]
    fn the_falling_number_is_that_of_a_model(
        messages in 0_u32..5_000,
        rate in 1_u64..5_000,
        drain_ms in 1_u32..5_000,
        most in 1_u32..60,
        hold_ms in 1_u64..4_000,
        reports in prop::collection::vec((1_u64..1_500, prop::option::of(0_u32..40)), 0..6),
    ) {
        let start = at("09:00:00");
        let after = |ms: u64| start + TimeDelta::milliseconds(i64::try_from(ms).unwrap());
        let rule = OnRequest { max_concurrency: most, ..RULE };
        let f = Target { on_request: Some(rule), ..target("f", 1) };
        let fleet = Fleet::new(vec![f]);
        let rate_thousandths = Decimal::new(rate.try_into().unwrap(), 3);
        let terms = BacklogTerms {
            rate: rate_thousandths,
            per_environment: rate_thousandths * Decimal::new(drain_ms.into(), 3),
            hold_for: Some(Duration::from_millis(hold_ms)),
            ..terms("09:00:00", messages)
        };
        let mut requests = Requests::default();
        requests.add_backlog(&id("f"), &terms, &rule, start);
        // In millionths of a request: rate (thousandths a second) × environments × milliseconds.
        let (mut left, mut working, mut now, mut before) = (u64::from(messages) * 1_000_000, 0, 0, u32::MAX);
        let per_environment = rate * u64::from(drain_ms);
        let number = |left: u64| u32::try_from(left.div_ceil(per_environment)).unwrap_or(u32::MAX).min(most);
        let first = number(left);
        for (pause, reached) in reports.into_iter().chain([(700, None)]) {
            for _ in 0..pause {
                left = left.saturating_sub(rate * working);
                now += 1;
            }
            let expected = if now < hold_ms { first } else { number(left) };
            let with = with_requests(&fleet, &requests, after(now));
            let desired = schedule::desired(&with.targets[0], Minute::of(start));
            prop_assert_eq!(desired, expected, "after {} ms", now);
            prop_assert!(desired <= before, "it never rises");
            before = desired;
            requests.note_reached(&[(id("f"), reached)].into(), after(now));
            working = u64::from(reached.unwrap_or(0));
        }
    }
}
