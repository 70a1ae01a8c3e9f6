use chrono::{NaiveTime, TimeDelta};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{By, Fallback, Managed, Provisioned, Strategy, segments};
use crate::domain::cost::assume::Traffic;

/// 2026-11-23 00:00 UTC, a Monday.
const MONDAY: i64 = 29_923_200;

fn window(concurrency: u32, from_hour: u32, until_hour: u32) -> Window {
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    let hours = Hours::Between { start: hour(from_hour), end: Some(hour(until_hour)) };
    Window::new("office", Tz::UTC, Opening::Weekly(DaySet::DAILY, hours), concurrency)
}

fn managed(floor: u32, windows: Vec<Window>) -> Target {
    let strategy = Strategy::Managed(Managed { floor, max: 1_000 });
    Target { strategy, windows, ..Target::example("f:live", "us-east-1", Vec::new()) }
}

fn found(target: &Target, days: i64) -> Vec<Finding> {
    let [from, until] = [0, days * 1_440].map(|minutes| Minute::from_epoch(MONDAY + minutes));
    findings(target, &segments(target, from, until), from)
}

#[test]
fn a_window_that_more_than_doubles_needs_a_ramp() {
    let office = |concurrency| vec![window(concurrency, 8, 18)];
    assert_eq!(found(&managed(3, office(6)), 7), [], "twice the floor");
    let at = Minute::from_epoch(MONDAY + 8 * 60);
    // At first the number may rise by the floor in five minutes: by 3, and by 7 in about 5 · 7 / 3 minutes.
    let expected = Finding::Doubles { at, before: 3, environments: 7, ramp_up_minutes: Some(11), times: 7 };
    assert_eq!(found(&managed(3, office(7)), 7), [expected]);
    let at_noon = window(7, 12, 18);
    let both = found(&managed(3, vec![window(5, 8, 12), at_noon]), 1);
    assert_eq!(both, [], "from 3 to 5, from 5 to 7");
    // From nothing, no ramp is slow enough.
    let from_nothing = found(&managed(0, office(2)), 1);
    let expected = Finding::Doubles { at, before: 0, environments: 2, ramp_up_minutes: None, times: 1 };
    assert_eq!(from_nothing, [expected]);
}

#[test]
fn a_ramp_that_is_too_short_is_named_with_its_whole_rise() {
    let steep = Window { ramp_up: TimeDelta::minutes(30), ..window(100, 8, 18) };
    let found = found(&managed(3, vec![steep]), 1);
    let [Finding::Doubles { before: 3, environments: 100, ramp_up_minutes: Some(ramp), .. }] = found[..]
    else {
        panic!("{found:?}");
    };
    // Doubling from 3 to 100 takes 6 × 5 minutes; a linear ramp rises faster than that at its foot.
    assert!(ramp > 30, "{ramp}");
}

#[test]
fn the_rate_of_requests_is_compared_with_environments() {
    let strategy = Strategy::Provisioned(Provisioned { by: By::Direct, fallback: Fallback::None });
    let rated = Window { load_needs: Some(3), ..window(60, 8, 18) };
    let windows = vec![rated, window(10, 19, 20)];
    let mut target = Target { strategy, windows, ..managed(0, Vec::new()) };
    let by_rate = Finding::RateDecides { window: "office".to_owned(), environments: 60, load_needs: 3 };
    assert_eq!(found(&target, 1), std::slice::from_ref(&by_rate));
    let traffic =
        |rate: u32| Traffic { requests_per_second: rate.into(), duration: std::time::Duration::ZERO };
    target.assume.traffic = Some(traffic(100));
    assert_eq!(found(&target, 1), std::slice::from_ref(&by_rate));
    target.assume.traffic = Some(traffic(101));
    let spillover =
        Finding::Spillover { window: "office".to_owned(), requests_per_second: 101.into(), environments: 10 };
    assert_eq!(found(&target, 1), [by_rate, spillover]);
    target.strategy = Strategy::Pings;
    assert_eq!(found(&target, 1), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_ramp_avoids_the_rise_and_a_shorter_one_does_not(
        floor in 1_u32..40, number in 1_u32..200, spare in 0_u32..3,
    ) {
        let target = |ramp: u32| {
            let rising = Window { ramp_up: TimeDelta::minutes(ramp.into()), ..window(number, 12, 18) };
            Target { spare, ..managed(floor, vec![rising]) }
        };
        let Some(ramp) = least_ramp(floor, number + spare, spare) else {
            // The first environment of the ramp and the spare ones are already too many.
            prop_assert!(1 + spare > 2 * floor || number > LONGEST_RAMP * floor / 6);
            return Ok(());
        };
        if ramp > 11 * 60 {
            return Ok(());
        }
        prop_assert_eq!(found(&target(ramp), 1), vec![]);
        // Minute by minute, with the numbers of the schedule itself.
        let at = |ramp, minute| {
            let minute = Minute::from_epoch(MONDAY + minute);
            crate::domain::schedule::desired(&target(ramp), minute).max(floor)
        };
        let doubles = |ramp| (5..12 * 60 + 5).any(|minute| at(ramp, minute) > 2 * at(ramp, minute - 5));
        prop_assert!(!doubles(ramp));
        if ramp > 1 {
            prop_assert!(doubles(ramp - 1));
        }
    }
}
