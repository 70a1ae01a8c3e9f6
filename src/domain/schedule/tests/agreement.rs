//! Compares the schedule with the reference model at every clock change of every zone from 2000 to 2037, and in random
//! weeks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{NaiveDateTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::model::{self, ClockChange};
use super::super::{WindowState, concurrency_at, desired, due, due_since, explain, next_change, segments};
use super::*;
use crate::domain::calendar::{closing_instant, opening_instant};

const DAY: i64 = 1440;

fn years() -> (i64, i64) {
    (minute("2000-01-01T00:00:00Z").epoch(), minute("2038-01-01T00:00:00Z").epoch())
}

fn every_change() -> Vec<(Tz, Vec<ClockChange>)> {
    let (from, until) = years();
    TZ_VARIANTS.iter().map(|zone| (*zone, model::changes(*zone, from, until))).collect()
}

fn wall(minute: i64) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp(minute * 60, 0).unwrap().naive_utc()
}

/// Checks that a wall time w near a change maps to the instants w − before, if that is before the change, and w −
/// after, if that is not. Both apply in a fold, neither in a gap.
fn check_mapping(zone: Tz, change: &ClockChange) {
    let ClockChange { at, before, after } = *change;
    let (low, high) = (before.min(after), before.max(after));
    for wall_minute in
        (at + low - 90..at + high + 90).step_by(15).chain([at + low - 1, at + high - 1, at + high])
    {
        let candidates =
            [Some(wall_minute - before).filter(|t| *t < at), Some(wall_minute - after).filter(|t| *t >= at)];
        let (opens, closes) = match candidates {
            [Some(earlier), Some(later)] => (earlier, later),
            [Some(only), None] | [None, Some(only)] => (only, only),
            [None, None] => (at, at),
        };
        let time = wall(wall_minute);
        assert_eq!(opening_instant(time, zone).timestamp(), opens * 60, "{zone} opening {time}");
        assert_eq!(closing_instant(time, zone).timestamp(), closes * 60, "{zone} closing {time}");
    }
}

/// Returns windows that open or close at the wall time of a change, and some near it.
fn windows_for(zone: Tz, change: &ClockChange, seed: usize) -> Vec<Window> {
    let shown = wall(change.at + change.before);
    let hour_before = (shown - TimeDelta::minutes(60)).format("%H:%M");
    let within = (shown + TimeDelta::minutes(15)).format("%H:%M");
    let later = (shown + TimeDelta::minutes(150)).format("%H:%M");
    let day = shown.date().to_string();
    match seed % 6 {
        0 => vec![
            weekly(zone, "daily", "all-day", 7),
            ramped(weekly(zone, "daily", "22:00-06:00", 9), 10, 25, 40),
        ],
        1 => vec![
            ramped(weekly(zone, "daily", &format!("{within}-{later}"), 5), 20, 0, 30),
            on_dates(zone, &[&day], "all-day", 3),
        ],
        2 => vec![
            weekly(zone, "daily", &format!("{hour_before}-{within}"), 4),
            ramped(on_dates(zone, &[&day], &format!("{within}-{hour_before}"), 11), 0, 90, 90),
        ],
        3 => vec![
            weekly(zone, "sat-sun", "00:00-24:00", 2),
            ramped(weekly(zone, "daily", "23:30-00:30", 13), 5, 7, 11),
        ],
        4 => vec![
            cron(zone, "15,45 * * * *", 10, 6),
            ramped(weekly(zone, "daily", &format!("{within}-{hour_before}"), 2), 3, 0, 0),
        ],
        _ => vec![
            ramped(cron(zone, "30 0-3 * * *", 45, 8), 15, 20, 20),
            weekly(zone, "fri-mon", &format!("00:00-{later}"), 1),
        ],
    }
}

#[test]
fn windows_agree_with_model_at_every_clock_change_from_2000_to_2037() {
    let mut mapped = 0;
    // Zones with the same change and the same days around it have the same result.
    let mut seen: HashMap<Vec<ClockChange>, Tz> = HashMap::new();
    for (zone, changes) in every_change() {
        for change in &changes {
            check_mapping(zone, change);
            mapped += 1;
            let near: Vec<ClockChange> =
                changes.iter().filter(|other| (other.at - change.at).abs() < 8 * DAY).copied().collect();
            let seed = seen.len();
            if let Entry::Vacant(vacant) = seen.entry(near) {
                check_windows(zone, change, vacant.key(), seed);
                vacant.insert(zone);
            }
        }
    }
    // The number of changes in the database; a lower number means that the sweep has stopped early.
    assert!(mapped > 17_000, "{mapped} changes");
    assert!(seen.len() > 3_000, "{} distinct", seen.len());
}

fn check_windows(zone: Tz, change: &ClockChange, changes: &[ClockChange], seed: usize) {
    let (from, until) = (change.at - 2 * DAY, change.at + 2 * DAY);
    let target = function([5, 12, 60][seed % 3], windows_for(zone, change, seed));
    let offset = |_, minute: i64| {
        let begun = changes.iter().rev().find(|change| change.at <= minute);
        begun.map_or(changes[0].before, |change| change.after)
    };
    let model = model::Timeline::with(&target, from - 1, until, offset);
    let got = segments(&target, Minute::from_epoch(from), Minute::from_epoch(until));
    let expected = model.segments();
    if let Some(place) =
        (0..got.len().max(expected.len())).find(|place| got.get(*place) != expected.get(*place))
    {
        panic!(
            "{zone} {}: got {:?}, expected {:?}; {:#?}",
            Minute::from_epoch(change.at),
            got.get(place),
            expected.get(place),
            target.windows
        );
    }
}

fn any_zone() -> impl Strategy<Value = Tz> {
    const SELECTED: &[Tz] = &[
        Tz::UTC,
        Tz::Europe__London,
        Tz::America__New_York,
        Tz::Australia__Lord_Howe,
        Tz::Pacific__Apia,
        Tz::Pacific__Chatham,
        Tz::Africa__Casablanca,
        Tz::America__Sao_Paulo,
        Tz::America__St_Johns,
        Tz::Antarctica__Troll,
    ];
    prop_oneof![select(SELECTED), select(&TZ_VARIANTS[..])]
}

/// Returns a zone and the first minute of a week, which may contain a clock change of the zone.
fn any_week_of_zone() -> impl Strategy<Value = (Tz, i64)> {
    (any_zone(), years().0..years().1 - 8 * DAY, 0..7 * DAY, any::<bool>()).prop_map(
        |(zone, start, shift, any_week)| {
            let changes = if any_week { Vec::new() } else { model::changes(zone, start, start + 366 * DAY) };
            (zone, changes.first().map_or(start, |change| change.at - shift))
        },
    )
}

fn any_opening(from: i64) -> impl Strategy<Value = Opening> {
    let time = || {
        (0..24u32, select(&[0u32, 0, 15, 30, 59][..]))
            .prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
    };
    let hours = prop_oneof![
        Just("all-day".to_owned()),
        time().prop_map(|start| format!("{start}-24:00")),
        (time(), time()).prop_map(|(start, end)| format!("{start}-{end}")),
    ]
    .prop_filter_map("equal ends", |text| Hours::parse(&text).ok());
    let days = select(&["daily", "mon-fri", "sat,sun", "fri-mon", "wed"][..])
        .prop_map(|text| DaySet::parse(text).unwrap());
    let some_dates = prop::collection::btree_set(-1..9i64, 1..4)
        .prop_map(move |days| days.into_iter().map(|day| wall(from + day * DAY).date()).collect());
    let crons = select(
        &[
            "30 7 * * mon-fri",
            "*/20 1-3 * * *",
            "0 0 * * *",
            "59 23 * * sun",
            "15 2 * * *",
            "7 */5 1-20 * *",
            "* 2 * * *",
        ][..],
    )
    .prop_map(|text| Box::new(parse_cron(text).unwrap()));
    prop_oneof![
        (days, hours.clone()).prop_map(|(days, hours)| Opening::Weekly(days, hours)),
        (some_dates, hours).prop_map(|(dates, hours)| Opening::Dates(dates, hours)),
        (crons, 1..2000i64).prop_map(|(cron, length)| Opening::Cron(cron, TimeDelta::minutes(length))),
        (-DAY..8 * DAY, 1..2000i64).prop_map(move |(at, length)| {
            Opening::Once(Minute::from_epoch(from + at).instant(), TimeDelta::minutes(length))
        }),
    ]
}

fn any_window(zone: Tz, from: i64) -> impl Strategy<Value = Window> {
    let minutes = || prop_oneof![Just(0), 1..200i64];
    let calendars = move || {
        prop::collection::vec(prop::collection::btree_set(-1..8i64, 0..5), 0..2).prop_map(move |sets| {
            let of =
                |days: BTreeSet<i64>| days.into_iter().map(|day| wall(from + day * DAY).date()).collect();
            sets.into_iter()
                .map(|days| Arc::new(DateSet { name: "c".to_owned(), dates: of(days), ranges: Vec::new() }))
                .collect::<Vec<_>>()
        })
    };
    let edge =
        move || prop::option::weighted(0.2, (-1..8i64).prop_map(move |day| wall(from + day * DAY).date()));
    let calendars = (calendars(), calendars(), edge(), edge());
    let zone = prop_oneof![4 => Just(zone), 1 => any_zone()];
    (zone, any_opening(from), calendars, 1..40u32, (minutes(), minutes(), minutes())).prop_map(
        |(zone, opening, (only, except, from, through), n, (lead, up, down))| {
            let plain = ramped(window(zone, opening, n), lead, up, down);
            Window { only, except, from, through, ..plain }
        },
    )
}

fn any_target() -> impl Strategy<Value = (Target, i64)> {
    any_week_of_zone().prop_flat_map(|(zone, from)| {
        let windows = prop::collection::vec(any_window(zone, from), 1..4);
        (windows, 1..90u32, 0..90u32, select(&[0u32, 0, 2][..])).prop_map(
            move |(windows, interval, phase, spare)| {
                (Target { phase_minutes: phase % interval, spare, ..function(interval, windows) }, from)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn schedule_agrees_with_model_in_random_weeks((target, from) in any_target(), probes in prop::collection::vec(0..7 * DAY, 12), step in 2..200i64) {
        let until = from + 7 * DAY;
        let model = model::Timeline::of(&target, from - 1, until);
        let expected = model.segments();
        let (first, last) = (Minute::from_epoch(from), Minute::from_epoch(until));
        prop_assert_eq!(&segments(&target, first, last), &expected);

        let edges = expected.iter().flat_map(|segment| [segment.from.epoch(), segment.until.epoch() - 1]).take(40);
        for at in probes.into_iter().map(|probe| from + probe).chain(edges) {
            let now = Minute::from_epoch(at);
            prop_assert_eq!(desired(&target, now), model.value(at), "{}", now);
            prop_assert_eq!(due(&target, now).is_some(), model.due(at), "{}", now);
            let after = (at - step).max(from - 1);
            let served = model.value(at) > 0 && (after + 1..=at).any(|minute| model.due(minute));
            prop_assert_eq!(due_since(&target, Minute::from_epoch(after), now).is_some(), served, "{} to {}", after, now);
            match next_change(&target, now) {
                Some((change, value)) if change.epoch() < until => {
                    prop_assert!((at..change.epoch()).all(|minute| model.value(minute) == model.value(at)), "{}", now);
                    prop_assert_eq!(model.value(change.epoch()), value);
                    prop_assert_ne!(model.value(at), value);
                }
                _ => prop_assert!((at..until).all(|minute| model.value(minute) == model.value(at)), "{}", now),
            }
        }
    }

    #[test]
    fn explanation_agrees_with_definitions((target, from) in any_target(), probes in prop::collection::vec(0..7 * DAY, 8)) {
        for (index, window) in target.windows.iter().enumerate() {
            let spans = model::spans(window, from, from + 10 * DAY, |minute| model::offset(window.zone, minute));
            let (lead, up, down) =
                (window.lead.num_minutes(), window.ramp_up.num_minutes(), window.ramp_down.num_minutes());
            for at in probes.iter().map(|probe| from + probe) {
                let now = Minute::from_epoch(at);
                let explanation = explain(&target, now);
                let view = &explanation.windows[index];
                prop_assert_eq!(view.desired, concurrency_at(window, now));
                prop_assert_eq!(explanation.due, due(&target, now));
                let mut real = spans.iter().filter(|span| span.closes > span.opens);
                let any = |holds: &dyn Fn(i64, i64) -> bool| real.clone().any(|span| holds(span.opens, span.closes));
                let open = any(&|o, c| o <= at && at < c);
                let leading = any(&|o, c| o - lead <= at && at < c);
                let rising = any(&|o, _| o - lead - up <= at && at < o - lead);
                let falling = any(&|_, c| c <= at && at < c + down);
                let today = wall(at + model::offset(window.zone, at)).date();
                let state = view.state;
                prop_assert!(match state {
                    WindowState::Open => open,
                    WindowState::Leading => !open && leading,
                    WindowState::RampingUp => !leading && rising,
                    WindowState::RampingDown => !leading && falling,
                    WindowState::Closed | WindowState::Excepted | WindowState::Empty => !leading && !rising && !falling,
                }, "{} {:?}", now, state);
                if state == WindowState::Empty {
                    prop_assert!(spans.iter().any(|span| span.day == today && span.closes <= span.opens), "{}", now);
                }
                if matches!(state, WindowState::Closed | WindowState::Excepted | WindowState::Empty)
                    && let Some(next) = real.find(|span| span.opens > at)
                    // The model covers two days beyond the period.
                    && next.opens < from + 9 * DAY
                {
                    prop_assert_eq!(view.opens, Some(Minute::from_epoch(next.opens).instant()));
                    prop_assert_eq!(view.closes, Some(Minute::from_epoch(next.closes).instant()));
                }
            }
        }
    }

    #[test]
    fn rounds_of_open_window_are_at_most_an_interval_apart((target, from) in any_target()) {
        // Each period above zero begins with a round and continues with rounds.
        let model = model::Timeline::of(&target, from - 1, from + 3 * DAY);
        let interval = i64::from(target.interval_minutes);
        let mut last_round = None;
        for at in from..from + 3 * DAY {
            let now = Minute::from_epoch(at);
            if model.value(at) == 0 {
                last_round = None;
                continue;
            }
            let begun = model.value(at - 1) == 0;
            if model.due(at) {
                last_round = Some(at);
            }
            if begun {
                prop_assert!(due(&target, now).is_some(), "{}", now);
            } else if let Some(last) = last_round {
                prop_assert!(at - last < interval, "{} to {}", last, now);
            }
        }
    }
}
