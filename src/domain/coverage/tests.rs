use proptest::prelude::*;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::round::Verdict;
use crate::domain::routing::Weight;
use crate::domain::schedule::{self, desired};
use crate::domain::tick::{RoundOutcome, RoundRecord, VersionRound};

fn minute(text: &str) -> Minute {
    Minute::of(text.parse().unwrap())
}

/// A target with ten environments from 08:00 to 18:00 UTC, pinged every five minutes.
fn target() -> Target {
    let hours = Hours::Between { start: "08:00:00".parse().unwrap(), end: "18:00:00".parse().ok() };
    let window = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), 10);
    Target { windows: vec![window], interval_minutes: 5, ..Target::example("f", "eu-west-2", Vec::new()) }
}

fn look(reached: Option<u32>, found: Found) -> Look {
    Look { reached, found, is_capped: false, serves_minutes: 5 }
}

/// A clock that ticks every minute and calls [`advance`] as the service does.
struct Ticks {
    target: Target,
    watch: Option<Watch>,
    hours: ByHour,
}

impl Ticks {
    fn new() -> Self {
        Self { target: target(), watch: None, hours: ByHour::new() }
    }

    /// Serves every tick in [`from`, `until`); what a due round sees is that of `of`.
    fn run(&mut self, from: &str, until: &str, of: impl Fn(Minute) -> Look) {
        let (from, until) = (minute(from), minute(until));
        for at in (from.epoch()..until.epoch()).map(Minute::from_epoch) {
            let is_due = schedule::due(&self.target, at).is_some();
            let closes = desired(&self.target, at) == 0 && desired(&self.target, at.plus(-1)) > 0;
            // The first tick after an outage finds what is due since.
            let is_late =
                self.watch.is_some_and(|watch| at.epoch() - watch.until > 5) && desired(&self.target, at) > 0;
            if is_due || is_late || closes {
                let look = (!closes).then(|| of(at));
                self.step(at, look.as_ref());
            }
        }
    }

    fn step(&mut self, at: Minute, look: Option<&Look>) {
        let (watch, hours) = advance(self.watch.as_ref(), &self.target, at, look);
        self.watch = Some(watch);
        hours.into_iter().for_each(|(hour, minutes)| *self.hours.entry(hour).or_default() += minutes);
    }

    fn sum(&self) -> Minutes {
        self.hours.values().copied().sum()
    }
}

const WARM: Look = Look { reached: Some(10), found: Found::Warm(10), is_capped: false, serves_minutes: 5 };

fn minutes(window: u64, warm: u64) -> Minutes {
    Minutes { window, warm, ..Minutes::default() }
}

#[test]
fn a_day_of_warm_rounds_is_covered() {
    let mut ticks = Ticks::new();
    ticks.run("2026-11-20T07:00:00Z", "2026-11-20T19:00:00Z", |at| Look {
        found: Found::Warm(if at == minute("2026-11-20T08:00:00Z") { 0 } else { 10 }),
        ..WARM
    });
    assert_eq!(ticks.sum(), minutes(600, 600));
    assert_eq!(ticks.hours.len(), 10);
    assert!(ticks.hours.values().all(|hour| *hour == minutes(60, 60)));
    assert_eq!(ticks.sum().coverage(), Some(1.0));
}

#[test]
fn a_function_whose_every_ping_is_cold_is_not_covered() {
    let mut ticks = Ticks::new();
    ticks.run("2026-11-20T07:00:00Z", "2026-11-20T19:00:00Z", |_| look(Some(10), Found::Warm(0)));
    assert_eq!(ticks.sum(), minutes(600, 0));
    // Rounds of a function that were skipped are no look either.
    for skipped in [0, 1] {
        let mut ticks = Ticks::new();
        ticks.run("2026-11-20T08:00:00Z", "2026-11-20T19:00:00Z", |at| match at.epoch() / 5 % 2 == skipped {
            true => look(Some(0), Found::NotLooked),
            false => look(Some(10), Found::Warm(0)),
        });
        // Those after the first round are unknown.
        assert_eq!(ticks.sum(), Minutes { unknown: 5, ..minutes(595, 0) }, "{skipped}");
    }
}

#[test]
fn minutes_after_the_last_round_are_judged_by_what_it_found() {
    let sum = |looks: &[(&str, Look)], closes: &str| {
        let mut ticks = Ticks::new();
        for (at, look) in looks {
            ticks.step(minute(&format!("2026-11-{at}:00Z")), Some(look));
        }
        ticks.hours.clear();
        ticks.step(minute(&format!("2026-11-{closes}:00Z")), None);
        ticks.sum()
    };
    let unknown = Minutes { unknown: 5, ..minutes(0, 0) };
    let [warm, one, none, all] =
        [Found::Warm(10), Found::Warm(1), Found::Warm(0), Found::All].map(|found| look(Some(10), found));
    let skip = look(Some(0), Found::NotLooked);
    for (before, last, expected) in [
        (warm, warm, minutes(5, 5)),
        (none, one, minutes(5, 5)),
        (none, all, minutes(5, 5)),
        (warm, none, minutes(5, 0)),
        (all, look(Some(9), Found::Warm(9)), minutes(5, 0)),
        (all, look(None, Found::Unknown), unknown),
        (all, look(Some(10), Found::Unknown), unknown),
        (all, skip, minutes(5, 0)),
        (skip, all, unknown),
    ] {
        assert_eq!(sum(&[("20T17:50", before), ("20T17:55", last)], "20T18:00"), expected, "{last:?}");
    }
    assert_eq!(sum(&[("20T17:50", all), ("20T17:52", skip), ("20T17:55", none)], "20T18:00"), minutes(5, 0));
    // The only round of an opening, whatever it found; one of the day before is none of the opening.
    for last in [none, one, all] {
        assert_eq!(sum(&[("20T17:55", last)], "20T18:00"), unknown);
        assert_eq!(sum(&[("19T17:55", all), ("20T17:55", last)], "20T18:00"), unknown);
        assert_eq!(sum(&[("20T17:55", all), ("20T17:55", last)], "20T18:00"), unknown, "in the same minute");
    }
    // An outage within the opening.
    assert_eq!(sum(&[("20T10:00", all), ("20T17:55", one)], "20T18:00"), minutes(5, 5));
    assert_eq!(sum(&[("20T10:00", all), ("20T17:55", none)], "20T18:00"), minutes(5, 0));
    // Lambda keeps capacity.
    assert_eq!(sum(&[("20T17:55", look(Some(10), Found::Kept))], "20T18:00"), minutes(5, 5));
}

#[test]
fn minutes_that_nobody_served_are_not_capped() {
    let mut ticks = Ticks::new();
    ticks.step(
        minute("2026-11-20T08:00:00Z"),
        Some(&Look { is_capped: true, ..look(Some(3), Found::Warm(3)) }),
    );
    ticks.step(minute("2026-11-20T08:20:00Z"), Some(&WARM));
    assert_eq!(ticks.sum(), Minutes { capped: 5, ..minutes(20, 0) });
}

#[test]
fn outages_are_filled_in() {
    for (from, until, window, lost) in [
        // Five minutes: the round of 10:00 was missed, and the next tick serves it at 10:05.
        ("2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z", 4 * 600, 5),
        ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z", 4 * 600, 60),
        // Three days, over three nights.
        ("2026-11-20T10:00:00Z", "2026-11-23T10:00:00Z", 4 * 600, 8 * 60 + 2 * 600 + 2 * 60),
    ] {
        let mut ticks = Ticks::new();
        ticks.run("2026-11-20T07:00:00Z", from, |_| WARM);
        ticks.run(until, "2026-11-23T19:00:00Z", |_| WARM);
        assert_eq!(ticks.sum(), minutes(window, window - lost), "{from} to {until}");
    }
}

#[test]
fn unknown_and_capped_minutes_are_apart() {
    let mut ticks = Ticks::new();
    let [a, b, c, d, e] =
        ["08:00", "08:05", "08:10", "08:15", "08:20"].map(|time| minute(&format!("2026-11-20T{time}:00Z")));
    ticks.step(a, Some(&look(None, Found::Unknown)));
    ticks.step(b, Some(&WARM));
    assert_eq!(ticks.sum(), Minutes { unknown: 5, ..Minutes::default() });
    ticks.step(c, Some(&look(Some(10), Found::Unknown)));
    assert_eq!(ticks.sum().unknown, 10);
    // Too few were reached, whatever was found.
    ticks.step(c, Some(&look(Some(9), Found::Warm(9))));
    ticks.step(d, Some(&Look { is_capped: true, ..look(None, Found::Unknown) }));
    assert_eq!((ticks.sum().window, ticks.sum().unknown), (5, 10));
    ticks.step(e, Some(&WARM));
    assert_eq!(ticks.sum(), Minutes { window: 10, warm: 0, unknown: 10, capped: 5 });
}

/// Environments that live for some minutes after each use, as Lambda keeps them.
struct Pool {
    used: Vec<i64>,
    life: i64,
}

impl Pool {
    fn alive(&self, at: i64) -> u32 {
        self.used.iter().filter(|used| at - **used < self.life).count() as u32
    }

    /// Serves a round of `number` pings. Returns the number of new environments.
    fn round(&mut self, at: i64, number: u32) -> u32 {
        self.used.retain(|used| at - *used < self.life);
        let new = number.saturating_sub(self.used.len() as u32);
        self.used.extend((0..new).map(|_| at));
        self.used.sort_unstable();
        self.used.iter_mut().rev().take(number as usize).for_each(|used| *used = at);
        new
    }
}

/// Serves a day with a step down at noon, from 15 to 2 environments, and a ramp to both sides. Returns the judged
/// minutes, and those in which the pool had as many environments as desired.
fn day_of(life: i64, ramp: i64, versions: u32, capped: Option<(&str, &str)>) -> (Minutes, Minutes) {
    let window = |start: &str, end: &str, number| {
        let hours = Hours::Between { start: start.parse().unwrap(), end: end.parse().ok() };
        let window = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), number);
        let ramp = chrono::TimeDelta::minutes(ramp);
        Window { ramp_up: ramp, ramp_down: ramp, ..window }
    };
    let windows = vec![window("08:00:00", "12:00:00", 15), window("08:00:00", "18:00:00", 2)];
    let target = Target { windows, ..target() };
    let mut pools: Vec<Pool> = (0..versions).map(|_| Pool { used: Vec::new(), life }).collect();
    let (mut watch, mut judged, mut truth) = (None::<Watch>, Minutes::default(), Minutes::default());
    let is_capped = |at: &str| capped.is_some_and(|(from, until)| (from..until).contains(&at));
    for minute in minute("2026-11-20T06:00:00Z").epoch()..minute("2026-11-20T20:00:00Z").epoch() {
        let at = Minute::from_epoch(minute);
        let wanted = desired(&target, at);
        let cap = is_capped(&format!("{:02}:{:02}", minute / 60 % 24, minute % 60));
        let closes = wanted == 0 && desired(&target, at.plus(-1)) > 0;
        let look = schedule::due(&target, at).map(|_| {
            let number = if cap { wanted.min(1) } else { wanted };
            let mut of = |pool: &mut Pool| {
                let new = pool.round(minute, number);
                let mut round = RoundRecord::example(&target, number, Verdict::Reached, Some(number));
                let RoundOutcome::Sent(sent) = &mut round.outcome else { panic!() };
                sent.report.counts.cold = new;
                round
            };
            let mut rounds: Vec<RoundRecord> = pools.iter_mut().map(&mut of).collect();
            let mut round = rounds[0].clone();
            if versions > 1 {
                let version =
                    |record| VersionRound { weight: Weight::new(0.5).unwrap(), is_confirmed: false, record };
                let RoundOutcome::Sent(sent) = &mut round.outcome else { panic!() };
                sent.versions = rounds.drain(..).map(version).collect();
            }
            round.capped_from = cap.then_some(wanted);
            Look::at_round(&round, &target).unwrap()
        });
        if look.is_some() || closes {
            let (next, hours) = advance(watch.as_ref(), &target, at, look.as_ref());
            (watch, judged) = (Some(next), judged + hours.into_values().sum());
        }
        if wanted > 0 {
            let is_warm = pools.iter().all(|pool| pool.alive(minute) >= wanted) && !cap;
            truth += minutes(1, is_warm.into());
        }
    }
    (judged, truth)
}

#[test]
fn a_fall_of_the_number_leaves_earlier_minutes_warm() {
    for (ramp, versions) in [(0, 1), (30, 1), (0, 2), (30, 2)] {
        // Two hours: every environment that was reached is warm until after the last window.
        let (judged, truth) = day_of(1_000, ramp, versions, None);
        assert_eq!(judged, truth, "ramp {ramp}, versions {versions}");
        assert_eq!(truth.warm, truth.window, "the pool is never too small");
        assert!(truth.window >= 600);
        // The minutes before the cap are judged by what was reached.
        let (judged, truth) = day_of(1_000, ramp, versions, Some(("10:00", "10:30")));
        assert_eq!((judged.warm, judged.capped), (truth.warm, 30), "ramp {ramp}, versions {versions}");
        // None lives until the next round, whatever the number is; but for rounds of a ramp, which follow sooner.
        let (judged, truth) = day_of(3, ramp, versions, None);
        let most = if ramp == 0 { 5 } else { truth.warm / 10 };
        assert!(judged.warm <= most && truth.warm > 300, "{judged:?} {truth:?}");
    }
}

#[test]
fn a_round_that_found_some_cold_shows_that_others_were_too() {
    let step = |found| {
        let mut ticks = Ticks::new();
        ticks.step(minute("2026-11-20T08:00:00Z"), Some(&WARM));
        ticks.step(minute("2026-11-20T08:05:00Z"), Some(&look(Some(2), found)));
        ticks.sum()
    };
    assert_eq!(step(Found::All), minutes(5, 5));
    assert_eq!(step(Found::Warm(1)), minutes(5, 0));
    let mut round = RoundRecord::example(&target(), 2, Verdict::Reached, Some(2));
    let found = |round: &RoundRecord| Look::at_round(round, &target()).unwrap().found;
    assert_eq!(found(&round), Found::All);
    // One of three environments was new, so not even two are proven to have been there before.
    let RoundOutcome::Sent(sent) = &mut round.outcome else { panic!() };
    (sent.report.reached, sent.report.counts.cold) = (Some(3), 1);
    assert_eq!(found(&round), Found::Warm(2));
    let RoundOutcome::Sent(sent) = &mut round.outcome else { panic!() };
    (sent.report.reached, sent.report.counts.cold) = (Some(1), 0);
    assert_eq!(found(&round), Found::Warm(1), "the other ping was not answered");
}

#[test]
fn a_state_of_the_future_counts_as_new() {
    let at = minute("2026-11-20T09:00:00Z");
    let last =
        Last { until: i64::MAX, reached: Some(99), is_capped: false, sent: Some(i64::MAX), survived: None };
    let future = Watch { until: i64::MAX, last: Some(last) };
    let past = Watch { until: i64::MIN, last: None };
    assert_eq!(advance(Some(&future), &target(), at, Some(&WARM)).1, ByHour::new());
    let (watch, hours) = advance(Some(&past), &target(), at, Some(&WARM));
    assert_eq!(watch.until, at.epoch());
    // 31 days of ten hours, from 09:00 to 09:00.
    assert_eq!(hours.into_values().sum::<Minutes>(), minutes(31 * 600, 0));
}

/// A second calculator: it judges every minute by itself, from the list of all looks.
fn naive(number_at: &[u32], begin: i64, looks: &[(i64, Look)]) -> Minutes {
    let mut sum = Minutes::default();
    for (minute, wanted) in (begin..).zip(number_at.iter().copied()) {
        if wanted == 0 {
            continue;
        }
        let before = looks.iter().rev().find(|(at, _)| *at <= minute);
        let after = looks.iter().find(|(at, _)| *at > minute);
        // Only a look in the same opening counts.
        let is_open = |until: i64| (minute..until).all(|minute| number_at[(minute - begin) as usize] > 0);
        let after = after.filter(|(at, _)| is_open(*at)).map(|(_, look)| look.found);
        let Some((at, look)) = before else {
            sum.window += 1;
            continue;
        };
        let is_served = minute < at + look.serves_minutes;
        if look.is_capped && is_served {
            sum.window += 1;
            sum.capped += 1;
            continue;
        }
        let parts = [
            look.reached,
            match after {
                Some(Found::Warm(number)) => Some(number),
                Some(Found::Unknown) => None,
                Some(Found::All | Found::Kept) => Some(u32::MAX),
                Some(Found::NotLooked) | None => outlived(number_at, begin, looks, *at, look.found),
            },
        ];
        if !is_served || parts.iter().flatten().any(|part| *part < wanted) {
            sum.window += 1;
        } else if parts.contains(&None) {
            sum.unknown += 1;
        } else {
            sum.window += 1;
            sum.warm += 1;
        }
    }
    sum
}

/// Returns the environments that a round at `at`, which found this, shows to live on: any number, none, or unknown.
fn outlived(number_at: &[u32], begin: i64, looks: &[(i64, Look)], at: i64, found: Found) -> Option<u32> {
    let is_open = |from: i64| (from..at).all(|minute| number_at[(minute - begin) as usize] > 0);
    let is_earlier =
        |(earlier, look): &(i64, Look)| *earlier < at && look.found != Found::NotLooked && is_open(*earlier);
    match found {
        Found::Kept => Some(u32::MAX),
        Found::Unknown | Found::NotLooked => None,
        _ if !looks.iter().any(is_earlier) => None,
        Found::Warm(0) => Some(0),
        Found::Warm(_) | Found::All => Some(u32::MAX),
    }
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(3), Just(9), Just(10), Just(12)]
}

fn any_look() -> impl Strategy<Value = Look> {
    let found = prop_oneof![
        number().prop_map(Found::Warm),
        Just(Found::Unknown),
        Just(Found::All),
        Just(Found::Kept),
        Just(Found::NotLooked)
    ];
    (proptest::option::of(number()), found, proptest::bool::weighted(0.1), 1_i64..20).prop_map(
        |(reached, found, is_capped, serves_minutes)| Look { reached, found, is_capped, serves_minutes },
    )
}

#[test]
fn one_short_round_never_raises_an_alarm() {
    for interval in [1, 5, 15, 60] {
        let target = Target { interval_minutes: interval, ..target() };
        let (begin, end) = (minute("2026-11-20T08:00:00Z").epoch(), minute("2026-11-20T18:00:00Z").epoch());
        let short_at = minute("2026-11-20T13:00:00Z").epoch();
        let (mut watch, mut judged) = (None, BTreeMap::new());
        for at in (begin..end).filter(|at| at % i64::from(interval) == 0) {
            let number = if at == short_at { 9 } else { 10 };
            let look = Look { serves_minutes: interval.into(), ..look(Some(number), Found::Warm(number)) };
            let (next, hours) = advance(watch.as_ref(), &target, Minute::from_epoch(at), Some(&look));
            watch = Some(next);
            judged.insert(at, hours.into_values().sum::<Minutes>());
        }
        let mut burned = false;
        for alarm in [BurnAlarm::FAST, BurnAlarm::SLOW] {
            for now in begin..end {
                let within = |length: std::time::Duration| {
                    let from = now - (length.as_secs() / 60) as i64 + 1;
                    let sum: Minutes = judged.range(from..=now).map(|(_, minutes)| *minutes).sum();
                    (sum, u64::from((from..=now).contains(&short_at)))
                };
                let ((long, short_rounds), (short, _)) = (within(alarm.long), within(alarm.short));
                assert!(!alarm.is_raised(&Slo::DEFAULT, long, short, short_rounds), "{interval} {now}");
                burned |= alarm.is_raised(&Slo::DEFAULT, long, short, 2);
            }
        }
        // It is the number of short rounds that matters: the rate alone would raise an alarm.
        assert_eq!(burned, interval > 1, "{interval}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_sum_is_that_of_single_minutes(
        ramp in 0_i64..120,
        gaps in proptest::collection::vec((1_i64..300, any_look()), 1..15),
    ) {
        let mut target = target();
        target.windows[0].ramp_up = chrono::TimeDelta::minutes(ramp);
        let noon = Hours::Between { start: "06:30:00".parse().unwrap(), end: "12:00:00".parse().ok() };
        target.windows.push(Window::new("noon", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, noon), 12));
        let begin = minute("2026-11-20T05:00:00Z").epoch();
        let end = begin + gaps.iter().map(|(gap, _)| gap).sum::<i64>();
        let wanted: Vec<u32> = (begin..end).map(|at| desired(&target, Minute::from_epoch(at))).collect();
        let mut at = begin;
        let (mut watch, _) = advance(None, &target, Minute::from_epoch(begin), None);
        let (mut sum, mut looks) = (Minutes::default(), Vec::new());
        for (gap, look) in gaps {
            // The first tick after each closing.
            for tick in at + 1..at + gap {
                let index = (tick - begin) as usize;
                if wanted[index] == 0 && wanted[index - 1] > 0 {
                    let (next, hours) = advance(Some(&watch), &target, Minute::from_epoch(tick), None);
                    watch = next;
                    sum += hours.into_values().sum();
                }
            }
            at += gap;
            let (next, hours) = advance(Some(&watch), &target, Minute::from_epoch(at), Some(&look));
            watch = next;
            for (hour, minutes) in &hours {
                prop_assert!(minutes.window + minutes.unknown <= 60 && *hour * 60 < at, "{hours:?}");
            }
            sum += hours.into_values().sum();
            looks.push((at, look));
        }
        prop_assert_eq!(sum, naive(&wanted, begin, &looks));
        prop_assert!(sum.warm + sum.capped <= sum.window);
    }
}
