use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::backlog::{Metric, Reading, Rule};
use crate::domain::capacity::{self, By, Fallback, Provisioned, Strategy as Kind};
use crate::domain::schedule::{Mode, desired, plan_tick};

/// 2026-11-20T09:00Z.
const NINE: i64 = 29_919_420;
const MAX: u32 = 50;

fn target(interval_minutes: u32, phase_minutes: u32) -> Target {
    let (namespace, name) = ("AWS/SQS".to_owned(), "ApproximateNumberOfMessagesVisible".to_owned());
    let metric = Arc::new(Metric { namespace, name, dimensions: BTreeMap::new(), statistic: "Maximum" });
    let rule = Rule { metric, per_environment: 1.into(), max: MAX, pipeline: None };
    let backlogs = vec![rule];
    Target { backlogs, interval_minutes, phase_minutes, ..Target::example("f:live", "eu-west-2", Vec::new()) }
}

fn provisioned() -> Target {
    let by = By::Autoscaling { max: MAX, utilization: 70 };
    let strategy = Kind::Provisioned(Provisioned { by, fallback: Fallback::None });
    Target { strategy, ..target(5, 0) }
}

/// The ticks of a fleet of one target with the levels of its store.
struct Ticks {
    fleet: Fleet,
    levels: Levels,
}

impl Ticks {
    fn of(target: Target) -> Self {
        Self { fleet: Fleet::new(vec![target]), levels: Levels::default() }
    }

    /// Reads a number at a minute. Returns the fleet as the tick plans it.
    fn read(&mut self, minute: i64, number: u32) -> Fleet {
        let reading = Reading { number: number.min(MAX), ..Reading::default() };
        let readings = [(self.fleet.targets[0].id.clone(), reading)].into();
        self.levels.note(&self.fleet, &readings, Minute::from_epoch(minute));
        with_levels(Cow::Borrowed(&self.fleet), &self.levels, Minute::from_epoch(minute)).into_owned()
    }

    /// Returns the pings that are due; 0 for none.
    fn pings(&mut self, minute: i64, previous: i64, number: u32) -> u32 {
        let fleet = self.read(minute, number);
        let (now, previous) = (Minute::from_epoch(minute), Minute::from_epoch(previous));
        plan_tick(&fleet, now, Mode::DueSince(previous)).first().map_or(0, |due| due.desired)
    }

    fn capacity(&mut self, minute: i64, number: u32) -> u32 {
        capacity::desired(&self.read(minute, number).targets[0], Minute::from_epoch(minute))
    }

    fn all<const N: usize>(
        &mut self,
        mut of: impl FnMut(&mut Self, i64, u32) -> u32,
        numbers: [u32; N],
    ) -> [u32; N] {
        let mut minute = NINE;
        numbers.map(|number| {
            minute += 1;
            of(self, minute - 1, number)
        })
    }
}

#[test]
fn a_round_follows_each_rise_and_each_interval() {
    let due = |ticks: &mut Ticks, minute, number| ticks.pings(minute, minute - 1, number);
    let mut ticks = Ticks::of(target(5, 1));
    // 09:04 and 09:09 are the minutes of the interval.
    let numbers = [0, 3, 3, 8, 8, 8, 2, 8, 7, 8, 9, 9, 9, 0, 4];
    assert_eq!(ticks.all(due, numbers), [0, 3, 0, 8, 8, 0, 0, 0, 0, 8, 9, 0, 0, 0, 4]);
    // A number that varies by one leads to one more round, not to one in each minute.
    let mut ticks = Ticks::of(target(10, 0));
    let numbers = [30, 31, 30, 31, 30, 31, 30, 31, 30, 31];
    assert_eq!(ticks.all(due, numbers), [30, 31, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_target_with_spare_environments_has_the_number_itself() {
    let mut ticks = Ticks::of(Target { spare: 2, ..target(5, 0) });
    assert_eq!(ticks.pings(NINE + 1, NINE, 8), 8);
    // The spare ones are added to a number above zero.
    assert_eq!(Ticks::of(Target { spare: 2, ..target(5, 0) }).pings(NINE + 1, NINE, 1), 3);
}

#[test]
fn capacity_rises_at_once_and_falls_after_five_minutes() {
    let mut ticks = Ticks::of(provisioned());
    let numbers = [0, 10, 10, 20, 4, 4, 6, 4, 4, 4, 0, 0, 0, 0, 0, 0];
    let kept = [0, 10, 10, 20, 20, 20, 20, 20, 20, 6, 6, 6, 6, 6, 4, 4];
    let read = ticks.all(Ticks::capacity, numbers);
    assert_eq!(read[..10], kept[..10]);
    // 0 is lower than 6 from 09:10 on.
    assert_eq!(read[10..], [6, 6, 6, 6, 6, 0]);
    assert_eq!(ticks.levels, Levels::default(), "nothing is left");
}

#[test]
fn capacity_ends_without_warmd() {
    let mut ticks = Ticks::of(provisioned());
    let fleet = ticks.read(NINE, 10);
    let at = |minute| capacity::desired(&fleet.targets[0], Minute::from_epoch(NINE + minute));
    assert_eq!([0, 4, 5, 60].map(at), [10, 10, 0, 0]);
    // The end moves in steps, so that scheduled actions do not change in each minute.
    let ends: Vec<i64> = (1..=6)
        .map(|minute| {
            let fleet = ticks.read(NINE + minute, 10);
            let wanted = |end: &i64| desired(&fleet.targets[0], Minute::from_epoch(NINE + end)) == 0;
            (minute..60).find(wanted).unwrap()
        })
        .collect();
    assert_eq!(ends, [10, 10, 10, 10, 10, 15]);
}

#[test]
fn levels_of_other_processes_are_kept_while_they_count() {
    let other = Target::example("other", "us-east-1", Vec::new()).id;
    let level = |at| Level { number: 7, peak: 7, since: at, at, lower: None };
    let mut ticks = Ticks::of(target(5, 0));
    ticks.levels.targets.insert(other.clone(), level(NINE));
    ticks.read(NINE + 5, 3);
    assert_eq!(ticks.levels.targets.len(), 2);
    let mut stored = Levels { targets: [(other.clone(), level(NINE + 5))].into() };
    stored.take_over(&ticks.fleet, &ticks.levels, Minute::from_epoch(NINE + 6));
    assert_eq!(stored.targets[&other], level(NINE + 5), "the other process has read it since");
    assert_eq!(stored.targets.len(), 2);
    ticks.levels.targets.clear();
    stored.take_over(&ticks.fleet, &ticks.levels, Minute::from_epoch(NINE + 11));
    assert_eq!(stored, Levels::default());
}

#[test]
fn a_level_that_another_process_has_read_later_is_kept() {
    let own = Ticks::of(target(5, 0));
    let id = own.fleet.targets[0].id.clone();
    let levels = |number: u32, at: i64| Levels {
        targets: [(id.clone(), Level { number, peak: number, since: at, at, lower: None })].into(),
    };
    let after = |mut stored: Levels, noted: &Levels, at: i64| {
        stored.take_over(&own.fleet, noted, Minute::from_epoch(at));
        stored.targets.get(&id).map(|level| level.number)
    };
    let newer = || levels(20, NINE + 2);
    assert_eq!(after(newer(), &levels(5, NINE + 1), NINE + 1), Some(20));
    assert_eq!(
        after(newer(), &levels(5, NINE + 1), NINE + 3),
        Some(20),
        "the tick had no reading of its own"
    );
    assert_eq!(after(newer(), &Levels::default(), NINE + 1), Some(20), "it wanted none");
    assert_eq!(after(newer(), &levels(5, NINE + 2), NINE + 2), Some(5));
    assert_eq!(after(newer(), &Levels::default(), NINE + 3), None);
}

#[test]
fn a_late_tick_changes_no_newer_level() {
    let mut ticks = Ticks::of(target(5, 0));
    assert_eq!(ticks.pings(NINE + 1, NINE, 8), 8);
    assert_eq!(ticks.pings(NINE + 3, NINE + 2, 9), 9);
    // The tick of 09:02 is delivered after that of 09:03, and a jump of the clock by hours is a beginning.
    assert_eq!(ticks.pings(NINE + 2, NINE + 1, 8), 0);
    assert_eq!(ticks.pings(NINE + 4, NINE + 3, 9), 0);
    assert_eq!(ticks.pings(NINE - 600, NINE - 601, 9), 9);
    assert_eq!(ticks.pings(NINE + 601, NINE + 600, 9), 9);
}

/// Returns the minute-by-minute behaviour of pings: environment i is pinged when it is wanted and the last ping of it
/// does not last until the next round of the interval.
fn model(target: &Target, numbers: &[u32]) -> Vec<u32> {
    let (interval, phase) = (i64::from(target.interval_minutes), i64::from(target.phase_minutes));
    let is_round = |minute: i64| (minute + phase) % interval == 0;
    let mut warm = [false; MAX as usize];
    let mut pings = Vec::new();
    for (minute, number) in (NINE..).zip(numbers) {
        if is_round(minute) {
            warm.fill(false);
        }
        let wanted = &mut warm[..*number as usize];
        let is_due = wanted.iter().any(|warm| !warm);
        wanted.fill(true);
        pings.push(if is_due { *number } else { 0 });
    }
    pings
}

proptest! {
    #[test]
    fn pings_follow_the_model(
        numbers in prop::collection::vec(prop_oneof![2 => Just(0), 5 => 0..=MAX, 3 => Just(20_u32)], 1..60),
        interval in 1_u32..12,
        phase in 0_u32..12,
        restarts in any::<bool>(),
    ) {
        let target = target(interval, phase % interval);
        let mut ticks = Ticks::of(target.clone());
        let mut pings = Vec::new();
        for (minute, number) in (NINE..).zip(&numbers) {
            if restarts {
                // The document as another process reads it.
                let text = serde_json::to_string(&ticks.levels).unwrap();
                ticks.levels = serde_json::from_str(&text).unwrap();
            }
            pings.push(ticks.pings(minute, minute - 1, *number));
        }
        prop_assert_eq!(pings, model(&target, &numbers));
    }

    #[test]
    fn capacity_is_never_below_the_number_and_falls_seldom(
        numbers in prop::collection::vec(0..=MAX, 1..60),
    ) {
        let mut ticks = Ticks::of(provisioned());
        let mut kept: Vec<u32> = Vec::new();
        for (minute, number) in (NINE..).zip(&numbers) {
            kept.push(ticks.capacity(minute, *number));
        }
        for (index, number) in kept.iter().enumerate() {
            // The highest of the last five minutes at least, and never more than the highest of the numbers before.
            let recent = numbers[..=index].iter().rev().take(5).max().unwrap();
            prop_assert!(number >= &numbers[index] && number <= numbers[..=index].iter().max().unwrap());
            prop_assert!(index < 5 || kept[index - 1] > *number || number >= recent || number >= &kept[index - 1]);
        }
        let falls: Vec<usize> = (1..kept.len()).filter(|index| kept[*index] < kept[index - 1]).collect();
        prop_assert!(falls.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{:?}", kept);
    }

    #[test]
    fn documents_of_any_content_do_no_harm(
        number in any::<u32>(), peak in any::<u32>(), since in any::<i64>(), ago in -10_i64..10,
        lower in prop::option::of((any::<i64>(), any::<u32>())), read in 0..=MAX, is_capacity in any::<bool>(),
    ) {
        let target = if is_capacity { provisioned() } else { target(5, 0) };
        let mut ticks = Ticks::of(target);
        let at = NINE.saturating_sub(ago);
        for since in [since, at, at - 3] {
            let lower = lower.map(|(since, highest)| Lower { since, highest });
            let level = Level { number, peak, since, at, lower };
            ticks.levels.targets.insert(ticks.fleet.targets[0].id.clone(), level);
            let fleet = ticks.read(NINE, read);
            let wanted = desired(&fleet.targets[0], Minute::from_epoch(NINE));
            prop_assert!(wanted <= MAX, "{}", wanted);
            // Twenty minutes later the number is that of the metric.
            let mut pinged = 0;
            for minute in 1..=20 {
                pinged = pinged.max(ticks.pings(NINE + minute, NINE + minute - 1, read));
            }
            let now = Minute::from_epoch(NINE + 20);
            let fleet = with_levels(Cow::Borrowed(&ticks.fleet), &ticks.levels, now).into_owned();
            prop_assert_eq!(desired(&fleet.targets[0], now), read);
            prop_assert!(is_capacity || pinged >= read);
        }
    }
}

#[test]
fn a_document_without_levels_has_none() {
    let levels: Levels = serde_json::from_value(json!({})).unwrap();
    assert_eq!(levels, Levels::default());
}
