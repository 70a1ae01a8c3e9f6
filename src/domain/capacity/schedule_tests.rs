use proptest::prelude::*;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window, parse_zone};
use crate::domain::capacity::{Fallback, Provisioned, Strategy};
use crate::domain::schedule;

fn minute(text: &str) -> Minute {
    Minute::of(text.parse().unwrap())
}

fn provisioned(windows: Vec<Window>) -> Target {
    let by = By::Autoscaling { max: 50, utilization: 70 };
    let strategy = Strategy::Provisioned(Provisioned { by, fallback: Fallback::Pings });
    Target { strategy, windows, ..Target::example("checkout-api:live", "eu-west-2", Vec::new()) }
}

fn window(days: DaySet, start: &str, end: &str, concurrency: u32, lead: i64) -> Window {
    let time = |text: &str| text.parse().unwrap();
    let hours = Hours::Between { start: time(start), end: Some(time(end)) };
    let zone = parse_zone("Europe/London").unwrap();
    let window = Window::new("w", zone, Opening::Weekly(days, hours), concurrency);
    Window { lead: TimeDelta::minutes(lead), ..window }
}

fn weekdays() -> DaySet {
    use chrono::Weekday::{Fri, Mon, Thu, Tue, Wed};
    [Mon, Tue, Wed, Thu, Fri].into_iter().fold(DaySet::default(), DaySet::with)
}

fn shown(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| format!("{} {}", step.at, step.desired)).collect()
}

#[test]
fn the_lead_of_a_number_covers_its_preparation() {
    let leads = [1, 10, 6_000, 6_001, 15_000].map(default_lead_minutes);
    assert_eq!(leads, [4, 4, 4, 5, 6]);
}

#[test]
fn a_week_of_office_hours_through_the_end_of_summer_time() {
    let target = provisioned(vec![window(weekdays(), "08:00:00", "18:00:00", 10, 4)]);
    let (friday, tuesday) = (minute("2026-10-23T12:00:00Z"), minute("2026-10-27T12:00:00Z"));
    let steps = steps(&target, friday, tuesday);
    assert_eq!(
        shown(&steps),
        [
            "2026-10-23T12:00:00Z 10",
            "2026-10-23T17:00:00Z 0",
            "2026-10-26T07:56:00Z 10",
            "2026-10-26T18:00:00Z 0",
            "2026-10-27T07:56:00Z 10",
        ]
    );
}

#[test]
fn a_ramp_rises_in_steps_of_five_minutes_and_never_below_it() {
    let ramp =
        Window { ramp_up: TimeDelta::minutes(10), ..window(DaySet::DAILY, "08:00:00", "08:30:00", 10, 0) };
    let steps =
        steps(&provisioned(vec![ramp]), minute("2026-11-20T07:00:00Z"), minute("2026-11-20T09:00:00Z"));
    assert_eq!(
        shown(&steps),
        [
            "2026-11-20T07:00:00Z 0",
            "2026-11-20T07:51:00Z 5",
            "2026-11-20T07:56:00Z 10",
            "2026-11-20T08:30:00Z 0",
        ]
    );
}

#[test]
fn a_number_holds_for_five_minutes() {
    let short = window(DaySet::DAILY, "08:00:00", "08:01:00", 3, 0);
    let steps =
        steps(&provisioned(vec![short]), minute("2026-11-20T07:00:00Z"), minute("2026-11-20T09:00:00Z"));
    assert_eq!(shown(&steps), ["2026-11-20T07:00:00Z 0", "2026-11-20T08:00:00Z 3", "2026-11-20T08:05:00Z 0"]);
}

#[test]
fn actions_of_a_week_end_at_zero() {
    let target = provisioned(vec![window(weekdays(), "08:00:00", "18:00:00", 10, 4)]);
    let actions = actions(&target, &Owner::default(), minute("2026-11-20T09:30:00Z"));
    let shown: Vec<String> = actions
        .iter()
        .map(|action| {
            let Bounds { min, max } = action.bounds.unwrap();
            format!("{} {} {min} {max}", action.name, action.schedule)
        })
        .collect();
    assert_eq!(shown.len(), 11);
    assert_eq!(
        shown[..3],
        [
            "warmd-warmd-20261120T1800Z at(2026-11-20T18:00:00) 0 0",
            "warmd-warmd-20261123T0756Z at(2026-11-23T07:56:00) 10 50",
            "warmd-warmd-20261123T1800Z at(2026-11-23T18:00:00) 0 0",
        ]
    );
    // The window is open when the seven days end.
    assert_eq!(shown[10], "warmd-warmd-20261127T0900Z at(2026-11-27T09:00:00) 0 0");
}

#[test]
fn actions_are_at_most_a_hundred_and_end_at_zero_nevertheless() {
    let hourly = (0..24).map(|hour| {
        window(DaySet::DAILY, &format!("{hour:02}:00:00"), &format!("{hour:02}:30:00"), 10 + hour, 0)
    });
    let target = provisioned(hourly.collect());
    let now = minute("2026-11-20T09:10:00Z");
    let actions = actions(&target, &Owner::default(), now);
    assert_eq!(actions.len(), MOST_ACTIONS);
    assert_eq!(actions.last().unwrap().bounds, Some(Bounds::ZERO));
    assert_eq!(actions[98].bounds, Some(Bounds::ZERO));
    assert_eq!(actions[97].bounds.map(|bounds| bounds.max), Some(50));

    let always = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, Hours::AllDay), 2);
    let always = provisioned(vec![always]);
    let only = super::actions(&always, &Owner::default(), now);
    assert_eq!(only.len(), 1);
    assert_eq!((only[0].schedule.as_str(), only[0].bounds), ("at(2026-11-27T09:00:00)", Some(Bounds::ZERO)));
    assert_eq!(super::actions(&provisioned(Vec::new()), &Owner::default(), now), []);
    let pings = Target { strategy: Strategy::Pings, ..always };
    assert_eq!(super::actions(&pings, &Owner::default(), now), []);
}

#[test]
fn pings_replace_what_is_not_covered() {
    let open = || vec![window(DaySet::DAILY, "08:00:00", "18:00:00", 10, 4)];
    let pings = Target { strategy: Strategy::Pings, ..provisioned(open()) };
    let without = Provisioned { by: By::Direct, fallback: Fallback::None };
    let without = Target { strategy: Strategy::Provisioned(without), ..provisioned(open()) };
    let fleet = Fleet::new(vec![pings.clone(), provisioned(open()), without]);
    let (lead, open) = (minute("2026-11-20T07:58:00Z"), minute("2026-11-20T07:59:00Z"));
    let desired = |fleet: &Fleet, at| -> Vec<u32> {
        fleet.targets.iter().map(|target| schedule::desired(target, at)).collect()
    };
    assert_eq!(desired(&for_pings(&fleet, |_| false), lead), [10, 0, 0]);
    assert_eq!(desired(&for_pings(&fleet, |_| false), open), [10, 10, 0]);
    assert_eq!(desired(&for_pings(&fleet, |_| true), open), [10, 0, 0]);
    let fleet = Fleet::new(vec![pings]);
    assert!(matches!(for_pings(&fleet, |_| false), Cow::Borrowed(_)));
}

prop_compose! {
    fn any_window()(
        start in 0_i64..1440, length in 1_i64..600, concurrency in 1_u32..40, lead in 0_i64..30,
        up in 0_i64..40, down in 0_i64..40, days in 1_u8..128,
    ) -> Window {
        let time = |minutes: i64| chrono::NaiveTime::MIN + TimeDelta::minutes(minutes % 1440);
        let chosen = (0..7).filter(|day| days & (1 << day) != 0);
        let days = chosen.fold(DaySet::default(), |days, day| days.with(chrono::Weekday::try_from(day).unwrap()));
        let hours = Hours::Between { start: time(start), end: Some(time(start + length)) };
        Window {
            lead: TimeDelta::minutes(lead),
            ramp_up: TimeDelta::minutes(up),
            ramp_down: TimeDelta::minutes(down),
            ..Window::new("w", parse_zone("Europe/London").unwrap(), Opening::Weekly(days, hours), concurrency)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn steps_cover_what_is_wanted_and_last_five_minutes(
        windows in prop::collection::vec(any_window(), 1..4),
        start in 0_i64..20_000,
    ) {
        let target = provisioned(windows);
        let from = minute("2026-10-20T00:00:00Z").plus(start);
        let until = from.plus(2 * DAY);
        let steps = steps(&target, from, until);
        let value = |at: Minute| steps.iter().rev().find(|step| step.at <= at).unwrap().desired;
        for (offset, pair) in steps.windows(2).enumerate() {
            prop_assert_ne!(pair[0].desired, pair[1].desired);
            // The first step is cut by the beginning of the range.
            prop_assert!(offset == 0 || pair[1].at.epoch() - pair[0].at.epoch() >= LEAST_UP_MINUTES);
        }
        let margin = LEAST_UP_MINUTES - 1;
        let wanted: Vec<u32> =
            (-margin..2 * DAY + margin).map(|offset| schedule::desired(&target, from.plus(offset))).collect();
        for (offset, near) in wanted.windows(9).enumerate() {
            let at = from.plus(i64::try_from(offset).unwrap());
            prop_assert!(value(at) >= near[4], "{at}");
            prop_assert!(value(at) <= *near.iter().max().unwrap(), "{at}");
        }
    }

    #[test]
    fn scheduled_actions_and_the_tick_agree(
        windows in prop::collection::vec(any_window(), 1..3),
        start in 0_i64..20_000,
    ) {
        let target = provisioned(windows);
        let now = minute("2026-10-20T00:00:00Z").plus(start);
        let actions = actions(&target, &Owner::default(), now);
        prop_assert!(actions.len() <= MOST_ACTIONS);
        let Some((last, others)) = actions.split_last() else { return Ok(()) };
        prop_assert_eq!(last.bounds, Some(Bounds::ZERO));
        for action in others {
            let at = action.schedule.trim_start_matches("at(").trim_end_matches(')');
            let at = minute(&format!("{at}Z"));
            prop_assert!(at > now);
            prop_assert_eq!(action.bounds.unwrap().min, desired(&target, at), "{}", at);
        }
    }
}
