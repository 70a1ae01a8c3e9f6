use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{By, CapacityReport, Fallback, Provisioned, Stopped, Strategy, desired};
use crate::domain::coverage::Found;
use crate::domain::function::Region;
use crate::domain::history::Rows;
use crate::domain::round::Verdict;
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, Unfinished, UnfinishedReason};

fn time(text: &str) -> DateTime<Utc> {
    format!("2026-11-{text}:00Z").parse().unwrap()
}

/// A target with two environments from 08:00 to 18:00 UTC, pinged every five minutes.
fn target(name: &str) -> Target {
    let hours = Hours::Between { start: "08:00:00".parse().unwrap(), end: "18:00:00".parse().ok() };
    let window = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), 2);
    Target { windows: vec![window], interval_minutes: 5, ..Target::example(name, "eu-west-2", Vec::new()) }
}

fn fleet(names: &[&str]) -> Fleet {
    Fleet::new(names.iter().map(|name| target(name)).collect())
}

fn report(tick: DateTime<Utc>, fleet: &Fleet) -> TickReport {
    let round = |target: &Target| RoundRecord::example(target, 2, Verdict::Reached, Some(2));
    TickReport { rounds: fleet.targets.iter().map(round).collect(), ..TickReport::empty(tick, None) }
}

/// A tick in which every target was proven.
fn proven(at: DateTime<Utc>, fleet: &Fleet, write: u64) -> Observed {
    Observed::new(&report(at, fleet), fleet, at, write, true)
}

/// A tick in which no target was due.
fn idle(at: DateTime<Utc>, fleet: &Fleet, write: u64) -> Observed {
    Observed::new(&TickReport::empty(at, None), fleet, at, write, true)
}

fn window(window: u64, warm: u64) -> Minutes {
    Minutes { window, warm, ..Minutes::default() }
}

fn total(history: &OpenHistory, fleet: &Fleet) -> Minutes {
    let targets: HashMap<_, _> = fleet.targets.iter().map(|target| (&target.id, target)).collect();
    let mut sum = Minutes::default();
    for unmoved in history.unmoved() {
        for ((region, _), hours) in unmoved.days() {
            for hour in hours {
                let rows: Rows = unmoved.rows_of(region, hour, &targets);
                assert!(rows.values().all(|row| row.minutes.window + row.minutes.unknown <= 60), "{rows:?}");
                sum += rows.values().map(|row| row.minutes).sum();
            }
        }
    }
    sum
}

#[test]
fn a_day_is_judged_by_its_ticks() {
    let (fleet, mut history) = (fleet(&["f"]), OpenHistory::default());
    let mut judged = Minutes::default();
    for minute in 0..24 * 60 {
        let at = time("20T00:00") + TimeDelta::minutes(minute);
        let is_due = (8 * 60..18 * 60).contains(&minute) && minute % 5 == 0;
        let write = u64::try_from(minute).unwrap();
        let tick = if is_due { proven(at, &fleet, write) } else { idle(at, &fleet, write) };
        judged += history.note(&tick, &fleet, Others::None, at).total();
        // The answer to the write was lost.
        assert_eq!(history.note(&tick, &fleet, Others::None, at), Noted::default());
    }
    assert_eq!((judged, total(&history, &fleet)), (window(600, 600), window(600, 600)));
    let pings: u64 = history
        .unmoved()
        .flat_map(Unmoved::rows)
        .flat_map(|(_, rows)| rows.values())
        .map(|row| row.rounds)
        .sum();
    assert_eq!(pings, 120, "rounds");
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<OpenHistory>(&text).unwrap(), history);
}

#[test]
fn outages_are_filled_in() {
    for (until, window_minutes, lost, rows) in [
        // The round of 10:05 was missed.
        ("20T10:10", 15, 5, 2),
        ("20T11:05", 70, 60, 3),
        // Three days, over three nights: stored as one outage.
        ("23T10:05", 4 * 600 - 475 - 115, 4 * 600 - 475 - 120 - 5, 4),
    ] {
        let (fleet, mut history) = (fleet(&["f"]), OpenHistory::default());
        let (before, from, until) = (time("20T09:55"), time("20T10:00"), time(until));
        let _ = history.note(&proven(before, &fleet, 3), &fleet, Others::None, before);
        let first = history.note(&proven(from, &fleet, 1), &fleet, Others::None, from).total();
        let judged = first + history.note(&proven(until, &fleet, 2), &fleet, Others::None, until).total();
        let expected = window(window_minutes, window_minutes - lost);
        assert_eq!((judged, total(&history, &fleet)), (expected, expected), "{until}");
        let stored: usize = history.unmoved().map(Unmoved::len).sum();
        assert!(stored <= rows, "{stored} rows until {until}");
        let watch = history.watch(&fleet.targets[0].id).unwrap();
        assert_eq!(watch.until(), Minute::of(until).epoch());
    }
}

#[test]
fn rows_have_the_pings_that_were_not_answered_and_rounds_of_requests_judge_nothing() {
    let fleet = fleet(&["f", "g"]);
    let at = time("20T10:00");
    let left = |index: usize, reason| Unfinished::new(&fleet.targets[index], 7, reason);
    let unfinished = vec![left(0, UnfinishedReason::InFlight), left(1, UnfinishedReason::Deadline)];
    let tick = TickReport { unfinished, ..TickReport::empty(at, None) };
    let observed = Observed::new(&tick, &fleet, at, 1, true);
    let row = &observed.rows[&fleet.targets[0].id];
    assert_eq!((row.pings, row.cost_unknown, observed.rows.len()), (7, 1, 1));
    let mut history = OpenHistory::default();
    let _ = history.note(&proven(time("20T09:55"), &fleet, 2), &fleet, Others::None, at);
    assert_eq!(
        history.note(&observed, &fleet, Others::None, at).total(),
        Minutes { unknown: 5, ..Minutes::default() }
    );
    let later = time("20T10:05");
    let asked = Observed::new(&report(later, &fleet), &fleet, later, 3, false);
    assert_eq!(history.note(&asked, &fleet, Others::None, later).total(), Minutes::default());
    assert_eq!(asked.rows.len(), 2);
}

#[test]
fn capacity_is_looked_at_unless_pings_serve_meanwhile() {
    let at = time("20T10:00");
    let look = |fallback, desired, available, round: Option<SkipReason>| {
        let mut fleet = fleet(&["f:live"]);
        if let Some(fallback) = fallback {
            fleet.targets[0].strategy = Strategy::Provisioned(Provisioned { by: By::Direct, fallback });
        }
        let target = &fleet.targets[0];
        let capacity = CapacityReport { available, ..CapacityReport::new(target, desired) };
        let rounds = round.map(|reason| RoundRecord::skipped(target, 2, reason)).into_iter().collect();
        let tick = TickReport { capacity: vec![capacity], rounds, ..TickReport::empty(at, None) };
        let looks = Observed::new(&tick, &fleet, at, 1, true).looks.unwrap();
        looks.get(&target.id).map(|look| (look.reached, look.found))
    };
    let (none, pings) = (Some(Fallback::None), Some(Fallback::Pings));
    assert_eq!(look(none, 2, Some(1), None), Some((Some(1), Found::Warm(1))));
    assert_eq!(look(none, 2, None, None), Some((None, Found::Unknown)));
    assert_eq!(look(pings, 2, Some(2), None), Some((Some(2), Found::Kept)));
    assert_eq!(look(pings, 2, Some(1), None), None);
    assert_eq!(look(none, 0, Some(0), None), None);
    // Capacity that the configuration no longer names is released.
    assert_eq!(look(None, 0, Some(0), None), None);
    // Somebody else has provisioned the number.
    assert_eq!(look(None, 0, Some(0), Some(SkipReason::Provisioned)), Some((Some(2), Found::Kept)));
}

#[test]
fn minutes_of_capacity_that_a_budget_has_stopped_are_capped() {
    let (mut fleet, mut history) = (fleet(&["f:live"]), OpenHistory::default());
    fleet.targets[0].strategy =
        Strategy::Provisioned(Provisioned { by: By::Direct, fallback: Fallback::None });
    let target = &fleet.targets[0];
    let tick = |minute: i64, is_stopped: bool| {
        let at = time("20T10:00") + TimeDelta::minutes(minute);
        let desired = desired(target, Minute::of(at));
        let by = Stopped { from: desired, by: "budget".to_owned(), until: time("30T00:00") };
        let number = if is_stopped { 0 } else { desired };
        let (available, stopped) = (Some(number), is_stopped.then_some(by));
        let capacity = CapacityReport { available, stopped, ..CapacityReport::new(target, number) };
        let report = TickReport { capacity: vec![capacity], ..TickReport::empty(at, None) };
        Observed::new(&report, &fleet, at, minute.cast_unsigned(), true)
    };
    let mut judged = Minutes::default();
    for minute in 0..=20 {
        let observed = tick(minute, minute >= 10);
        assert_eq!(observed.rows[&target.id].target, desired(target, Minute::of(observed.at)));
        judged += history.note(&observed, &fleet, Others::None, observed.at).total();
    }
    assert_eq!((judged.window, judged.warm, judged.capped), (20, 10, 10));
}

#[test]
fn a_target_that_nobody_serves_is_judged_while_its_window_is_open() {
    let (fleet, mut history) = (fleet(&["f"]), OpenHistory::default());
    let at = |minute: i64| time("20T10:00") + TimeDelta::minutes(minute);
    for (write, minute) in [(99, -5), (100, 0)] {
        let _ = history.note(&proven(at(minute), &fleet, write), &fleet, Others::None, at(minute));
    }
    let mut judged = Vec::new();
    for minute in 1..=10 {
        let write = u64::try_from(minute).unwrap();
        let noted = history.note(&idle(at(minute), &fleet, write), &fleet, Others::None, at(minute));
        judged.push((noted.total().window, noted.total().warm));
    }
    // The round of 10:05 may end until 10:07.
    assert_eq!(judged, [[(0, 0); 6].as_slice(), &[(7, 5), (1, 0), (1, 0), (1, 0)]].concat());
    // It did end, so late that its minutes are judged: the later ones are judged by it.
    let _ = history.note(&proven(at(7), &fleet, 20), &fleet, Others::None, at(10));
    let next = history.note(&proven(at(12), &fleet, 21), &fleet, Others::None, at(12)).total();
    assert_eq!((next, total(&history, &fleet)), (window(2, 2), window(17, 12)));
    // The first round of a window may be late as well, and deployments judge only their own targets.
    let mut begun = OpenHistory::default();
    for (write, at) in [(29, "20T17:50"), (30, "20T17:55")] {
        let _ = begun.note(&proven(time(at), &fleet, write), &fleet, Others::None, time(at));
    }
    for (write, at, expected) in
        [(31, "20T18:00", window(5, 5)), (32, "21T08:01", window(0, 0)), (33, "21T08:02", window(2, 0))]
    {
        let tick = idle(time(at), &fleet, write);
        let other = Observed { is_scheduled: false, write: write + 10, ..tick.clone() };
        assert_eq!(begun.note(&other, &fleet, Others::None, time(at)).total(), window(0, 0), "{at}");
        assert_eq!(begun.note(&tick, &fleet, Others::None, time(at)).total(), expected, "{at}");
    }
}

#[test]
fn the_time_in_which_a_target_is_not_configured_is_no_outage() {
    let (both, one, mut history) = (fleet(&["f", "g"]), fleet(&["f"]), OpenHistory::default());
    let abroad =
        Fleet::new(vec![Target { windows: Vec::new(), ..Target::example("h", "us-east-1", Vec::new()) }]);
    let at = |minute: i64| time("20T10:00") + TimeDelta::minutes(minute);
    let mut judged = Minutes::default();
    for (write, minute) in (0..).zip((0..=120).step_by(5)) {
        let fleet = if (30..90).contains(&minute) { &one } else { &both };
        judged += history.note(&proven(at(minute), fleet, write), fleet, Others::None, at(minute)).total();
        // Another process serves another region.
        let other = idle(at(minute), &abroad, write + 1_000);
        judged += history.note(&other, &abroad, Others::None, at(minute)).total();
    }
    // f for 120 minutes, and g until its round of 10:25 and from 11:30.
    assert_eq!(judged, window(120 + 25 + 30, 120 + 25 + 30));
    assert_eq!(history.watches().len(), 2);
}

#[test]
fn rows_are_sealed_after_five_minutes_and_dropped_when_they_are_moved() {
    let (fleet, mut history) = (fleet(&["f"]), OpenHistory::default());
    let at = |minute: i64| time("20T10:00") + TimeDelta::minutes(minute);
    let _ = history.note(&proven(at(0), &fleet, 1), &fleet, Others::None, at(0));
    assert_eq!(history.seal(&[], at(4)), None);
    assert_eq!(history.seal(&[], at(5)).map(|sealed| sealed.write), Some(1));
    let _ = history.note(&proven(at(5), &fleet, 2), &fleet, Others::None, at(5));
    // Another process has not moved it yet.
    assert_eq!(history.seal(&[9], at(20)).map(|sealed| sealed.write), Some(1));
    assert_eq!(history.seal(&[1], at(21)).map(|sealed| sealed.write), Some(2));
    assert_eq!(history.seal(&[2], at(22)), None);
    assert_eq!(history.unmoved().count(), 0);
    // The clock of the first write was ahead.
    let _ = history.note(&idle(at(300), &fleet, 3), &fleet, Others::None, at(300));
    let _ = history.note(&proven(at(300), &fleet, 4), &fleet, Others::None, at(300));
    assert_eq!(history.seal(&[], at(30)).map(|sealed| sealed.write), Some(3));
}

#[test]
fn a_clock_that_is_set_back_judges_no_minute_twice() {
    let (fleet, mut history) = (fleet(&["f"]), OpenHistory::default());
    let minutes = (0..=60).chain(30..=90);
    for (write, minute) in (0..).zip(minutes.filter(|minute| minute % 5 == 0)) {
        let at = time("20T10:00") + TimeDelta::minutes(minute);
        let _ = history.note(&proven(at, &fleet, write), &fleet, Others::None, at);
    }
    assert_eq!(total(&history, &fleet), window(90, 90));
    // A state a year ahead, of a clock that was wrong, is forgotten.
    let wrong = time("20T10:00") + TimeDelta::days(365);
    let _ = history.note(&proven(wrong, &fleet, 90), &fleet, Others::None, wrong);
    let (begin, next) = (time("20T12:00"), time("20T12:05"));
    let _ = history.note(&proven(begin, &fleet, 91), &fleet, Others::None, begin);
    assert_eq!(history.note(&proven(next, &fleet, 92), &fleet, Others::None, next).total(), window(5, 5));
}

#[test]
fn a_hostile_state_is_begun_anew_or_bounded() {
    for text in ["7", "\"\"", "\"###\"", "\"H4sIAAAA\"", "{\"watch\":{}}", "null"] {
        let mut history: OpenHistory = serde_json::from_str(text).unwrap();
        assert!(history.take_unread().is_some(), "{text}");
        assert!(history.is_empty());
    }
    let packed = |json: &str| {
        let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
        packing.write_all(json.as_bytes()).unwrap();
        format!("\"{}\"", BASE64_STANDARD.encode(packing.finish().unwrap()))
    };
    let bomb = packed(&format!("{{\"watch\":{{}}{}}}", " ".repeat(usize::try_from(MOST_UNPACKED).unwrap())));
    assert!(bomb.len() < 1 << 20);
    assert!(serde_json::from_str::<OpenHistory>(&bomb).unwrap().take_unread().is_some());
    let (least, most) = (i64::MIN, i64::MAX);
    let hostile = format!(
        r#"{{"watch":{{"f eu-west-2":{{"until":{least},"last":{{"until":{most},"reached":2}}}},"g eu-west-2":{{"until":{most}}},
        "h nowhere":{{"until":0}}}},"pending":{{"write":1,"since":"1970-01-01T00:00:00Z","hours":{{"{least}":{{"f eu-west-2":{{}}}},
        "{most}":{{"f eu-west-2":{{"pings":{},"window":{}}}}}}},"gaps":{{"f eu-west-2":{{"watch":{{"until":{least}}},"until":{most}}},
        "g eu-west-2":{{"watch":{{"until":{most}}},"until":{least}}}}}}},"unknown":[1]}}"#,
        u64::MAX,
        u64::MAX
    );
    let mut history: OpenHistory = serde_json::from_str(&packed(&hostile)).unwrap();
    assert_eq!(history.take_unread(), None);
    let (fleet, at) = (fleet(&["f", "g"]), time("20T10:00"));
    let noted = history.note(&proven(at, &fleet, 2), &fleet, Others::None, at);
    assert_eq!((noted.total(), noted.dropped), (Minutes::default(), 4));
    let next = time("20T10:05");
    assert_eq!(history.note(&proven(next, &fleet, 3), &fleet, Others::None, next).total(), window(10, 10));
    let hours: Vec<_> = history.unmoved().flat_map(|unmoved| unmoved.days().into_keys()).collect();
    assert_eq!(hours, [(Region::parse("eu-west-2").unwrap(), at.timestamp() / 86_400)]);
}

#[test]
fn too_many_rows_are_dropped_and_counted() {
    let mut unmoved = Unmoved::new(1, time("20T10:00"));
    let id = target("f").id;
    for hour in 0..60_000 {
        unmoved.add(hour, &id, &Row { pings: 1, ..Row::default() });
    }
    // All but the hours around the present.
    let now = DateTime::from_timestamp(30_000 * 3_600, 0).unwrap();
    assert_eq!(unmoved.prune(now), 60_000 - unmoved.len());
    assert_eq!(unmoved.len(), 31 * 24 + 48 + 24 + 1);
    let before = unmoved.len();
    for number in 0..100_000 {
        let id = target(&format!("f{number}")).id;
        unmoved.add(30_024, &id, &Row { pings: 1, ..Row::default() });
    }
    assert_eq!(unmoved.prune(now), before);
    assert_eq!(unmoved.rows().map(|(hour, _)| hour).collect::<Vec<_>>(), [30_024], "the oldest are gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A target that moves between documents is judged once for each minute.
    #[test]
    fn shards_judge_each_minute_once(
        interval in prop_oneof![Just(1_u32), Just(5)],
        ramp in prop_oneof![Just(0), Just(30)],
        ticks in prop::collection::vec((0_usize..4, prop::bool::weighted(0.8)), 400..=700),
    ) {
        let mut fleet = fleet(&["f"]);
        fleet.targets[0].interval_minutes = interval;
        fleet.targets[0].windows[0].ramp_down = TimeDelta::minutes(ramp);
        fleet.targets[0].windows[0].ramp_up = TimeDelta::minutes(ramp);
        let target = fleet.targets[0].clone();
        let mut documents: [OpenHistory; 4] = Default::default();
        let mut looks = Vec::new();
        for (index, (document, is_served)) in (0_i64..).zip(ticks) {
            let at = time("20T07:00") + TimeDelta::minutes(index);
            let minute = Minute::of(at);
            let is_due = crate::domain::schedule::due(&target, minute).is_some();
            let write = u64::try_from(index).unwrap();
            let tick = if is_due && is_served { proven(at, &fleet, write) } else { idle(at, &fleet, write) };
            if is_due && is_served {
                looks.push(minute.epoch());
            } else if is_due {
                continue;
            }
            let mut others: BTreeMap<Identity, Watch> = BTreeMap::new();
            for (_, other) in documents.iter().enumerate().filter(|(other, _)| *other != document) {
                for (id, watch) in other.watches() {
                    let latest = others.entry(id.clone()).or_insert(*watch);
                    if latest.until() < watch.until() {
                        *latest = *watch;
                    }
                }
            }
            // They are read only if they are needed.
            let history = &mut documents[document];
            if !history.needs_others(&tick, &fleet) {
                others.clear();
            }
            let known = Others::Latest(&others);
            let _ = history.note(&tick, &fleet, known, at);
        }
        let sum: Minutes = documents.iter().map(|history| total(history, &fleet)).sum();
        let open = |from: i64, until: i64| {
            let minutes = (from..until).filter(|minute| desired(&target, Minute::from_epoch(*minute)) > 0);
            u64::try_from(minutes.count()).unwrap()
        };
        let (first, last) = (looks[0], looks[looks.len() - 1]);
        let until = documents.iter().filter_map(|history| history.watch(&target.id)).map(Watch::until).max();
        let until = until.unwrap();
        prop_assert!(last <= until);
        prop_assert_eq!(sum.window + sum.unknown, open(first, until));
        let served = |minute: i64| (minute - i64::from(interval) + 1..=minute).any(|at| looks.contains(&at));
        let warm = (first..until).filter(|minute| served(*minute)).map(|minute| open(minute, minute + 1));
        // What the first round of the opening has reached is not known to have outlived it, if none followed.
        prop_assert!(sum.unknown <= u64::from(interval));
        let known = Minutes { warm: sum.warm, unknown: sum.unknown, ..window(sum.window, 0) };
        prop_assert_eq!((sum, sum.warm + sum.unknown), (known, warm.sum()));
    }
}
