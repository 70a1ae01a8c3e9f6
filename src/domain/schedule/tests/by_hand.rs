//! Cases worked out by hand.

use std::fmt::Write;

use chrono_tz::Tz;

use super::super::{
    DueReason, DueTarget, LintLocation, Mode, Segment, WindowState, concurrency_at, desired, due, due_since,
    explain, lints, next_change, phase, plan_tick, segments,
};
use super::*;

const LONDON: Tz = Tz::Europe__London;

fn totals(segments: &[Segment]) -> (u64, u64) {
    (segments.iter().map(|segment| segment.rounds).sum(), segments.iter().map(Segment::pings).sum())
}

#[test]
fn segments_of_four_weeks_of_working_days() {
    let target = function(12, vec![weekly(LONDON, "mon-fri", "09:00-17:36", 10)]);
    let plan = segments(&target, minute("2026-02-02T00:00:00Z"), minute("2026-03-02T00:00:00Z"));
    assert_eq!(plan.len(), 20);
    assert_eq!(totals(&plan), (860, 8_600));
}

#[test]
fn first_minute_counts_as_rise_only_after_lower_value() {
    let target = function(60, vec![weekly(LONDON, "daily", "09:10-10:00", 3)]);
    let until = minute("2026-02-02T09:50:00Z");
    assert_eq!(totals(&segments(&target, minute("2026-02-02T09:10:00Z"), until)), (1, 3));
    assert_eq!(totals(&segments(&target, minute("2026-02-02T09:11:00Z"), until)), (0, 0));
    assert_eq!(segments(&target, until, until), []);
}

#[test]
fn lead_and_ramps_follow_formula() {
    let window = ramped(weekly(LONDON, "mon", "12:00-12:05", 3), 2, 4, 6);
    let values: Vec<u32> =
        (-8..13).map(|shift| concurrency_at(&window, minute("2026-02-02T12:00:00Z").plus(shift))).collect();
    // Up in 4 minutes from 11:54, lead from 11:58, down in 6 minutes from 12:05.
    assert_eq!(values, [0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0]);
}

#[test]
fn windows_combine_by_maximum_and_spare_is_added_above_zero() {
    let windows =
        vec![weekly(LONDON, "daily", "08:00-18:00", 10), weekly(LONDON, "daily", "12:00-14:00", 25)];
    let target = Target { spare: 2, ..function(5, windows) };
    let at = |text| desired(&target, minute(text));
    assert_eq!(at("2026-02-02T07:59:00Z"), 0);
    assert_eq!(at("2026-02-02T08:00:59Z"), 12);
    assert_eq!(at("2026-02-02T12:00:00Z"), 27);
    assert_eq!(at("2026-02-02T14:00:00Z"), 12);
    assert_eq!(
        next_change(&target, minute("2026-02-02T14:00:00Z")),
        Some((minute("2026-02-02T18:00:00Z"), 0))
    );
}

#[test]
fn weekday_date_and_calendar_apply_to_opening_day() {
    let night = weekly(LONDON, "fri", "22:00-06:00", 1);
    // Friday 27 November 2026.
    assert_eq!(concurrency_at(&night, minute("2026-11-28T05:59:00Z")), 1);
    assert_eq!(concurrency_at(&night, minute("2026-11-28T06:00:00Z")), 0);
    assert_eq!(concurrency_at(&night, minute("2026-11-27T05:59:00Z")), 0);
    let except_saturday = Window { except: vec![calendar(&["2026-11-28"])], ..night.clone() };
    assert_eq!(concurrency_at(&except_saturday, minute("2026-11-28T05:59:00Z")), 1);
    let except_friday = Window { except: vec![calendar(&["2026-11-27"])], ..night.clone() };
    assert_eq!(concurrency_at(&except_friday, minute("2026-11-28T05:59:00Z")), 0);
    let through_friday = Window { through: Some(date("2026-11-27")), ..night.clone() };
    assert_eq!(concurrency_at(&through_friday, minute("2026-11-28T05:59:00Z")), 1);
    let only_friday = Window { only: vec![calendar(&["2026-11-27"])], ..night };
    assert_eq!(concurrency_at(&only_friday, minute("2026-11-28T05:59:00Z")), 1);
    assert_eq!(concurrency_at(&only_friday, minute("2026-12-05T05:59:00Z")), 0);
}

#[test]
fn windows_with_offset_in_seconds_open_in_first_whole_minute() {
    // Before 1911-03-11 Paris was 9 minutes 21 seconds ahead, so 08:00 was 07:50:39 UTC and 08:30 was 08:20:39.
    let paris = weekly(Tz::Europe__Paris, "daily", "08:00-08:30", 1);
    let values = |text| concurrency_at(&paris, minute(text));
    assert_eq!([values("1910-06-01T07:50:00Z"), values("1910-06-01T07:51:00Z")], [0, 1]);
    assert_eq!([values("1910-06-01T08:20:00Z"), values("1910-06-01T08:21:00Z")], [1, 0]);
    let plan =
        segments(&function(5, vec![paris]), minute("1910-06-01T00:00:00Z"), minute("1910-06-02T00:00:00Z"));
    let [only] = plan[..] else { panic!("{plan:?}") };
    assert_eq!((only.from, only.until), (minute("1910-06-01T07:51:00Z"), minute("1910-06-01T08:21:00Z")));
}

#[test]
fn tick_serves_targets_of_its_mode() {
    let at = |interval, hours| function(interval, vec![weekly(LONDON, "daily", hours, 4)]);
    let fleet = Fleet::new(vec![
        at(5, "08:00-18:00"),
        at(7, "09:03-18:00"),
        at(60, "08:01-18:00"),
        at(5, "20:00-21:00"),
    ]);
    let now = minute("2026-02-02T09:03:00Z");
    let served = |mode| {
        let due = plan_tick(&fleet, now, mode);
        assert!(due.iter().all(|due| due.desired == 4));
        due.into_iter().map(|DueTarget { index, reason, .. }| (index, reason)).collect::<Vec<_>>()
    };
    assert_eq!(served(Mode::Open), [(0, DueReason::Open), (1, DueReason::Open), (2, DueReason::Open)]);
    assert_eq!(served(Mode::DueOnly), [(1, DueReason::Rise)]);
    assert_eq!(served(Mode::DueSince(now.plus(-1))), [(1, DueReason::Rise)]);
    assert_eq!(
        served(Mode::DueSince(now.plus(-4))),
        [(0, DueReason::Interval), (1, DueReason::Rise), (2, DueReason::Interval)]
    );
    // A repeated minute, or a clock that was set back, serves nothing.
    assert_eq!(served(Mode::DueSince(now)), []);
    assert_eq!(served(Mode::DueSince(now.plus(3))), []);
}

#[test]
fn closed_window_is_not_served_later() {
    let target = function(5, vec![weekly(LONDON, "daily", "09:00-09:30", 4)]);
    let after = minute("2026-02-02T08:50:00Z");
    assert_eq!(due_since(&target, after, minute("2026-02-02T09:29:00Z")), Some(DueReason::Interval));
    assert_eq!(due_since(&target, after, minute("2026-02-02T09:30:00Z")), None);
    // A long pause has the same result.
    assert_eq!(
        due_since(&target, after.plus(-10_000_000), minute("2026-02-02T09:29:00Z")),
        Some(DueReason::Interval)
    );
}

#[test]
fn phase_shifts_interval_but_not_rise() {
    let target = Target { phase_minutes: 2, ..function(5, vec![weekly(LONDON, "daily", "09:00-10:00", 1)]) };
    let open = minute("2026-02-02T09:00:00Z");
    let due: Vec<i64> = (0..12).filter(|shift| due(&target, open.plus(*shift)).is_some()).collect();
    assert_eq!(due, [0, 3, 8]);
}

#[test]
fn phases_are_stable_and_evenly_distributed() {
    let of =
        |name: &str, region: &str| FunctionRef::parse(name).unwrap().identity(Region::parse(region).unwrap());
    // A change of these values would move the rounds of every staggered fleet.
    let some = [
        phase(&of("nlp-inference:live", "eu-west-2"), 1_000_000),
        phase(&of("nlp-inference:live", "us-east-1"), 1_000_000),
        phase(&of("nlp-inference", "eu-west-2"), 1_000_000),
    ];
    insta::assert_debug_snapshot!(some, @r#"
        [
            186133,
            356586,
            7571,
        ]
        "#);
    let mut counts = [0; 5];
    for index in 0..1000 {
        counts[phase(&of(&format!("function-{index}"), "eu-west-2"), 5) as usize] += 1;
    }
    assert!(counts.iter().all(|count| (150..250).contains(count)), "{counts:?}");
    assert_eq!(phase(&of("f", "eu-west-2"), 1), 0);
}

#[test]
fn explanation_names_every_window_state() {
    let london = Window {
        label: "london".to_owned(),
        ..ramped(weekly(LONDON, "mon-fri", "08:00-18:00", 10), 5, 10, 30)
    };
    let windows = vec![
        Window { except: vec![calendar(&["2026-12-25"])], ..london },
        Window { label: "gap".to_owned(), ..weekly(LONDON, "sun", "01:15-01:45", 2) },
    ];
    let target = function(5, windows);
    let mut out = String::new();
    for at in [
        "2026-12-24T07:44:00Z",
        "2026-12-24T07:45:00Z",
        "2026-12-24T07:54:00Z",
        "2026-12-24T07:55:00Z",
        "2026-12-24T08:00:00Z",
        "2026-12-24T18:00:00Z",
        "2026-12-24T18:29:00Z",
        "2026-12-24T18:30:00Z",
        "2026-12-25T12:00:00Z",
        "2027-03-28T12:00:00Z",
    ] {
        let explanation = explain(&target, minute(at));
        let next = explanation.next_change.map(|(at, value)| format!("{value} at {at}"));
        writeln!(
            out,
            "{at}: {} {:?}, next {}",
            explanation.desired,
            explanation.due,
            next.unwrap_or_default()
        )
        .unwrap();
        for view in &explanation.windows {
            let at = |instant: Option<DateTime<Utc>>| {
                instant.map_or("-".to_owned(), |at| at.format("%d %b %H:%M").to_string())
            };
            let state = view.state.as_str();
            writeln!(
                out,
                "  {:<7} {state:<13} {} to {} {}",
                view.label,
                at(view.opens),
                at(view.closes),
                view.desired
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(out, @r#"
        2026-12-24T07:44:00Z: 0 None, next 1 at 2026-12-24T07:46:00Z
          london  closed        24 Dec 08:00 to 24 Dec 18:00 0
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T07:45:00Z: 0 None, next 1 at 2026-12-24T07:46:00Z
          london  ramping-up    24 Dec 08:00 to 24 Dec 18:00 0
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T07:54:00Z: 9 Some(Rise), next 10 at 2026-12-24T07:55:00Z
          london  ramping-up    24 Dec 08:00 to 24 Dec 18:00 9
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T07:55:00Z: 10 Some(Interval), next 9 at 2026-12-24T18:03:00Z
          london  leading       24 Dec 08:00 to 24 Dec 18:00 10
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T08:00:00Z: 10 Some(Interval), next 9 at 2026-12-24T18:03:00Z
          london  open          24 Dec 08:00 to 24 Dec 18:00 10
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T18:00:00Z: 10 Some(Interval), next 9 at 2026-12-24T18:03:00Z
          london  ramping-down  24 Dec 08:00 to 24 Dec 18:00 10
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T18:29:00Z: 1 None, next 0 at 2026-12-24T18:30:00Z
          london  ramping-down  24 Dec 08:00 to 24 Dec 18:00 1
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-24T18:30:00Z: 0 None, next 2 at 2026-12-27T01:15:00Z
          london  closed        28 Dec 08:00 to 28 Dec 18:00 0
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2026-12-25T12:00:00Z: 0 None, next 2 at 2026-12-27T01:15:00Z
          london  excepted      28 Dec 08:00 to 28 Dec 18:00 0
          gap     closed        27 Dec 01:15 to 27 Dec 01:45 0
        2027-03-28T12:00:00Z: 0 None, next 1 at 2027-03-29T06:46:00Z
          london  closed        29 Mar 07:00 to 29 Mar 17:00 0
          gap     empty         04 Apr 00:15 to 04 Apr 00:45 0
        "#);
    let ended = Window { through: Some(date("2026-01-01")), ..weekly(LONDON, "daily", "all-day", 1) };
    let target = function(5, vec![ended]);
    let explanation = explain(&target, minute("2026-12-24T12:00:00Z"));
    assert_eq!((explanation.windows[0].state, explanation.windows[0].opens), (WindowState::Closed, None));
    assert_eq!(explanation.next_change, None);
}

#[test]
fn lints_report_unintended_schedules() {
    let now = minute("2026-11-20T09:00:00Z");
    let windows = vec![
        weekly(LONDON, "mon-fri", "08:00-18:00", 10),
        weekly(LONDON, "fri-sun", "17:00-20:00", 10),
        weekly(LONDON, "mon-fri", "17:00-20:00", 11),
        weekly(LONDON, "mon-fri", "18:00-20:00", 10),
        on_dates(LONDON, &["2025-11-28"], "all-day", 4),
        Window { through: Some(date("2026-11-20")), ..weekly(LONDON, "daily", "08:00-10:00", 5) },
        cron(LONDON, "0 0 30 2 *", 60, 6),
        // There is no leap day in the next year.
        cron(LONDON, "0 0 29 2 *", 60, 7),
    ];
    let target = function(6, windows);
    let shown = lints(&target, now)
        .into_iter()
        .map(|lint| format!("{:?}: {}; {}", lint.location, lint.message, lint.hint.unwrap_or_default()));
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r#"
    Interval: an interval of 6 minutes is longer than the observed lifetime of idle environments; set it to `5m` or less
    Window(1): the window overlaps "windows[0]" with the same concurrency; first on 2026-11-20 at 17:00 UTC; overlapping windows combine by maximum, they do not add up
    Window(3): the window overlaps "windows[0]" with the same concurrency; first on 2026-11-20 at 18:00 UTC; overlapping windows combine by maximum, they do not add up
    Window(4): the window does not open in the next year; 
    Window(6): the window does not open in the next year; 
    Window(7): the window does not open in the next year;
    "#);
    let apart =
        function(5, vec![weekly(LONDON, "mon", "08:00-18:00", 1), weekly(LONDON, "tue", "08:00-18:00", 1)]);
    assert_eq!(lints(&apart, now), []);
    // Each window is reported once, not each pair.
    let same = function(5, vec![weekly(LONDON, "mon-fri", "08:00-18:00", 1); 300]);
    let found = lints(&same, now);
    assert_eq!(found.len(), 299);
    assert_eq!(found[0].location, LintLocation::Window(1));
    assert!(found[0].hint.as_ref().unwrap().starts_with("first on 2026-11-20 at 09:00 UTC"), "{found:?}");
}

#[test]
fn calendar_has_passed_after_last_date() {
    let england = DateSet {
        name: "england".to_owned(),
        dates: dates(&["2026-12-25", "2026-12-28"]),
        ranges: vec![(date("2026-12-18"), date("2027-01-04"))],
    };
    assert_eq!(england.last(), Some(date("2027-01-04")));
    assert!(!england.has_passed(date("2027-01-04")));
    assert!(england.has_passed(date("2027-01-05")));
    let empty = DateSet { dates: BTreeSet::new(), ranges: Vec::new(), ..england };
    assert_eq!((empty.last(), empty.has_passed(date("2027-01-05"))), (None, false));
}

#[test]
fn extreme_minutes_do_not_panic() {
    let far = TimeDelta::days(100_000_000);
    let windows = vec![
        Window {
            lead: far,
            ramp_up: far,
            ramp_down: far,
            ..weekly(Tz::Pacific__Apia, "daily", "22:00-06:00", u32::MAX)
        },
        window(LONDON, Opening::Cron(Box::new(parse_cron("* * * * *").unwrap()), far), 1),
    ];
    let target = Target { spare: u32::MAX, ..function(u32::MAX, windows) };
    for at in [i64::MIN, 0, i64::MAX].map(Minute::from_epoch) {
        let _ = desired(&target, at);
        let _ = due(&target, at);
        let _ = explain(&target, at);
        let _ = lints(&target, at);
        let _ = segments(&target, at.plus(-5), at.plus(5));
    }
}
