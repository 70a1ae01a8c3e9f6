//! Tests of the review: sums, days, order, error budgets.

use std::time::Duration;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{self, By, Fallback, Provisioned};
use crate::domain::cost::compare::CostOption;
use crate::domain::coverage::Minutes;
use crate::domain::function::FunctionRef;
use crate::domain::history::{CapacityHour, ShortReason};

/// 2026-11-02T00:00Z, a Monday, in hours since the Unix epoch.
const MONDAY: i64 = 498_216;

fn period(hours: i64) -> Period {
    Period { from: Minute::from_epoch(MONDAY * 60), until: Minute::from_epoch((MONDAY + hours) * 60) }
}

fn fleet(names: &[&str]) -> Fleet {
    Fleet::new(names.iter().map(|name| Target::example(name, "eu-west-2", Vec::new())).collect())
}

fn id(name: &str) -> Identity {
    let region = crate::domain::function::Region::parse("eu-west-2").unwrap();
    FunctionRef::parse(name).unwrap().identity(region)
}

fn history(rows: &[(i64, &str, Row)]) -> History {
    let mut history = History::default();
    for (hour, name, row) in rows {
        history.hours.entry(MONDAY + hour).or_default().insert(id(name), row.clone());
    }
    history
}

fn minutes(window: u64, warm: u64) -> Row {
    Row::of_minutes(Minutes { window, warm, ..Minutes::default() })
}

fn levels(target: u32, reached: Option<u32>, is_short: bool) -> Row {
    let short = is_short.then_some((ShortReason::Throttled, 1)).into_iter().collect();
    Row { target, reached, short, rounds: 12, ..minutes(60, 60) }
}

#[test]
fn sums_of_hostile_rows_do_not_overflow() {
    let fleet = fleet(&["a", "b"]);
    let most = |cost: &str| Row {
        pings: u64::MAX,
        egress: [("nat-gateway".to_owned(), u64::MAX), ("internet".to_owned(), u64::MAX)].into(),
        cost: [("s3_egress".to_owned(), cost.parse().unwrap()), ("compute".to_owned(), Decimal::MAX)].into(),
        ..Row::of_minutes(Minutes { window: u64::MAX, unknown: u64::MAX, ..Minutes::default() })
    };
    let history =
        history(&[(5, "a", most("-5")), (6, "a", most("1")), (6, "b", most("1")), (5, "b", minutes(60, 60))]);
    let review = review(&history, &fleet, period(48));
    assert_eq!((review.fleet.row.minutes.window, review.fleet.row.pings), (u64::MAX, u64::MAX));
    assert_eq!(review.fleet.known_usd, Decimal::MAX);
}

#[test]
fn the_lowest_coverage_is_first_and_functions_without_one_are_last() {
    let mut fleet = always(&[("a", 1), ("b", 1), ("unseen", 1)]);
    fleet.targets[2].windows.clear();
    fleet.targets[2].on_request = Some(crate::domain::fleet::OnRequest {
        max_concurrency: 2,
        max_for: Duration::from_secs(60),
        coalesce: Duration::ZERO,
        hold_for: Duration::ZERO,
    });
    let history =
        history(&[(5, "a", minutes(60, 60)), (5, "b", minutes(60, 30)), (6, "removed", minutes(60, 45))]);
    let review = review(&history, &fleet, period(48));
    let names: Vec<_> = review.functions.iter().map(|function| function.id.label()).collect();
    assert_eq!(names, ["b", "removed", "a", "unseen"]);
    assert!(review.functions[1].comparison.is_none() && review.functions[1].target.is_none());
    assert!(review.functions[0].comparison.is_some());
    assert_eq!(
        review.known,
        Some(Period {
            from: Minute::from_epoch((MONDAY + 5) * 60),
            until: Minute::from_epoch((MONDAY + 7) * 60)
        })
    );
    assert_eq!((review.days.len(), review.missing_days), (1, 0));
    // Hours outside the period do not count.
    assert_eq!(super::review(&history, &fleet, period(6)).fleet.row.minutes.window, 120);
}

#[test]
fn a_day_has_its_target_less_what_was_missing_in_the_worst_hour() {
    // The number of windows changes within an hour: nothing is missing without a short round.
    let rows = [
        (8, "a", levels(10, Some(2), false)),
        (9, "a", levels(10, Some(10), false)),
        (9, "b", levels(4, Some(3), true)),
        (20, "a", levels(2, Some(1), true)),
        (30, "a", levels(2, None, false)),
        (75, "a", Row { capacity: Some(CapacityHour::default()), ..levels(5, Some(4), false) }),
    ];
    let fleet = always(&[("a", 1), ("b", 1)]);
    let review = review(&history(&rows), &fleet, period(200));
    let shown = |days: &[Day]| days.iter().map(|day| (day.target, day.reached)).collect::<Vec<_>>();
    let of = |name: &str| shown(&review.functions.iter().find(|one| one.id == id(name)).unwrap().days);
    assert_eq!(of("a"), [(10, Some(9)), (2, None), (0, None), (5, Some(4))]);
    assert_eq!(of("b"), [(4, Some(3)), (0, None), (0, None), (0, None)]);
    assert_eq!(shown(&review.days), [(14, Some(13)), (2, None), (0, None), (5, Some(4))]);
    assert_eq!(review.missing_days, 1);
}

#[test]
fn error_budgets_are_those_of_the_objectives_and_of_the_last_days() {
    let mut fleet = fleet(&["a", "b"]);
    let slo = |ppm, over_days| Some(Slo { coverage_ppm: ppm, over_days });
    // 100 hours ago 60 cold minutes, and 3 within the last three days.
    let rows =
        [(0, "a", minutes(6_000, 5_940)), (90, "a", minutes(6_000, 5_997)), (90, "b", minutes(6_000, 0))];
    let burns = |fleet: &Fleet| {
        let review = review(&history(&rows), fleet, period(100));
        let of_a = review.functions.iter().find(|function| function.id == id("a")).unwrap().burn;
        (review.is_default_slo, review.burn, of_a)
    };
    let (is_default, fleet_burn, of_a) = burns(&fleet);
    assert!(is_default && of_a.is_none() && fleet_burn.is_slow_burn());
    fleet.targets[0].slo = slo(990_000, 1);
    let (is_default, fleet_burn, of_a) = burns(&fleet);
    assert!(!is_default);
    let of_a = of_a.unwrap();
    let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-9;
    assert!(near(of_a.whole, 63.0 / 120.0) && near(of_a.recent, 3.0 / 60.0), "{of_a:?}");
    assert!(near(of_a.budget_left, 1.0 - 3.0 / 60.0) && !of_a.is_slow_burn(), "{of_a:?}");
    // `b` counts with the default objective, over the period of the fleet: the last day, but three for the slow burn.
    assert!(near(fleet_burn.whole, 6_063.0 / 180.0), "{fleet_burn:?}");
    assert!(near(fleet_burn.recent, 6_003.0 / 120.0), "{fleet_burn:?}");
    assert!(near(fleet_burn.budget_left, 1.0 - 6_003.0 / 120.0), "{fleet_burn:?}");
    fleet.targets[1].slo = slo(500_000, 28);
    let both = burns(&fleet).1;
    assert!(near(both.recent, 6_003.0 / (60.0 + 3_000.0)), "{both:?}");
    assert!(near(both.budget_left, 1.0 - 6_063.0 / (120.0 + 3_000.0)), "{both:?}");
}

#[test]
fn the_error_budget_is_that_of_status_and_begins_before_the_period() {
    let mut fleet = always(&[("a", 1), ("b", 1), ("c", 1)]);
    fleet.targets[0].slo = Some(Slo { coverage_ppm: 999_000, over_days: 7 });
    fleet.targets[1].slo = Some(Slo { coverage_ppm: 950_000, over_days: 2 });
    let days = |days: i64| days * 24;
    let rows = [
        (-days(9), "a", minutes(60, 0)),
        (-days(4), "a", minutes(60, 59)),
        (-days(4), "gone", minutes(60, 50)),
        (-days(1), "b", minutes(60, 40)),
        (-days(1), "c", minutes(60, 60)),
        (3, "a", minutes(60, 60)),
        (3, "c", minutes(60, 30)),
        (24, "c", minutes(60, 0)),
    ];
    let history = history(&rows);
    let period = period(24);
    let review = review(&history, &fleet, period);
    // The hours that `status` reads at the end of the period.
    let mut open = crate::domain::history::OpenHistory::default();
    open.set_objectives(&fleet);
    let mut status = Objectives::new(open.objectives(), period.until.instant());
    let (from, until) = (status.from().timestamp() / 3_600, MONDAY + 24);
    assert_eq!(from, MONDAY - days(6));
    assert_eq!(Reviewing::new(&fleet, period).from(), status.from());
    history.hours.range(from..until).for_each(|(hour, rows)| status.add(*hour, rows));
    let attained = status.fleet().unwrap();
    assert_eq!((review.objective, review.over_days), (attained.objective, attained.over_days));
    assert_eq!(review.burn.budget_left, Some(attained.budget_left));
    assert_eq!(review.burn.recent, attained.slow_burn);
    for function in review.functions.iter().filter(|function| function.burn.is_some()) {
        let attained = status.targets()[&function.id];
        let left = attained.slo.budget_left(attained.minutes);
        assert_eq!(function.burn.unwrap().budget_left, left, "{}", function.id.label());
    }
    let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-9;
    // Cold: 1 + 10 + 20 + 30. Allowed: 120 of 99.9 %, 60 of 95 %, and 180 of 99 %.
    assert!(near(review.burn.budget_left, 1.0 - 61.0 / (0.12 + 3.0 + 1.8)), "{:?}", review.burn);
    assert!(near(review.burn.whole, 30.0 / (0.06 + 0.6)), "{:?}", review.burn);
    // Nothing else of the time before the period is in the review.
    assert_eq!(review.fleet.row.minutes.window, 120);
    assert!(review.functions.iter().all(|function| function.id != id("gone")));
    let of_b = review.functions.iter().find(|function| function.id == id("b")).unwrap().burn.unwrap();
    assert_eq!((of_b.whole, of_b.recent), (None, Some((1.0 - 40.0 / 60.0) / 0.05)));
}

/// Returns a fleet of functions with windows around the clock.
fn always(wanted: &[(&str, u32)]) -> Fleet {
    let always = |concurrency| {
        let (days, hours) = (DaySet::parse("daily").unwrap(), Hours::parse("all-day").unwrap());
        Window::new("windows[0]", chrono_tz::Tz::UTC, Opening::Weekly(days, hours), concurrency)
    };
    let target = |(name, number): &(&str, u32)| Target {
        windows: vec![always(*number)],
        ..Target::example(name, "eu-west-2", Vec::new())
    };
    Fleet::new(wanted.iter().map(target).collect())
}

#[test]
fn what_was_not_proven_does_not_count_as_reached() {
    let fleet = always(&[("a", 5), ("b", 2)]);
    let unknown = Row::of_minutes(Minutes { unknown: 60, ..Minutes::default() });
    let capped = Row {
        minutes: Minutes { window: 60, capped: 60, ..Minutes::default() },
        ..levels(8, Some(3), false)
    };
    let served = |day: i64| (day * 24, "a", levels(5, Some(5), false));
    let rows = [
        // Nothing was sent to `a` in an hour, and `b` was served.
        served(0),
        (1, "a", minutes(60, 0)),
        (1, "b", levels(2, Some(2), false)),
        // No target was served for a day.
        (24, "a", minutes(60, 0)),
        (24, "b", minutes(60, 0)),
        // The number was lowered by a guard.
        served(2),
        (49, "a", capped),
        // Nothing is known of an hour: not of `a`, so not of the fleet.
        served(3),
        (73, "a", unknown),
        (73, "b", levels(2, Some(1), true)),
        // A round of a long interval serves hours without one.
        served(4),
        (97, "a", minutes(60, 60)),
        // The number reached is not known.
        (120, "a", levels(5, None, false)),
        (120, "b", levels(2, Some(2), false)),
        // No longer configured.
        (144, "gone", minutes(60, 0)),
    ];
    let review = review(&history(&rows), &fleet, period(200));
    let shown = |days: &[Day]| days.iter().map(|day| (day.target, day.reached)).collect::<Vec<_>>();
    let of = |name: &str| shown(&review.functions.iter().find(|one| one.id == id(name)).unwrap().days);
    assert_eq!(
        of("a"),
        [(5, Some(0)), (5, Some(0)), (8, Some(3)), (5, Some(5)), (5, Some(5)), (5, None), (0, None)]
    );
    assert_eq!(
        shown(&review.days),
        [(7, Some(2)), (7, Some(0)), (8, Some(3)), (7, Some(7)), (5, Some(5)), (7, None), (0, None)]
    );
}

#[test]
fn alternatives_are_compared_on_recorded_days_only() {
    let fleet = always(&[("a", 5)]);
    let days = |days: &[i64]| {
        let rows: Vec<_> = days
            .iter()
            .flat_map(|day| (0..24).map(move |hour| (day * 24 + hour, "a", levels(5, Some(5), false))))
            .collect();
        let review = review(&history(&rows), &fleet, period(10 * 24));
        let comparison = review.functions[0].comparison.clone().unwrap();
        let cold = comparison.options.iter().map(|option| option.cold_starts).collect::<Vec<_>>();
        let totals = comparison.options.iter().map(CostOption::total).collect::<Vec<_>>();
        (review.missing_days, totals, cold, comparison.cheapest)
    };
    let (silent, one_day, cold, cheapest) = days(&[0]);
    assert_eq!((silent, cheapest), (0, Some(CostAlternative::Pings)));
    let (silent, two_days, cold_of_two, _) = days(&[0, 9]);
    assert_eq!(silent, 8);
    let exact = [days(&[0, 1]).1, days(&(0..10).collect::<Vec<_>>()).1];
    for ((one, two), [adjacent, all]) in
        one_day.into_iter().zip(two_days).zip(exact[0].iter().zip(&exact[1]).map(|(one, two)| [one, two]))
    {
        assert_eq!((one.is_none(), one.is_none()), (two.is_none(), all.is_none()));
        let (Some(one), Some(two), Some(adjacent), Some(all)) = (one, two, adjacent, all) else { continue };
        let near = |value: Decimal, expected: Decimal| (value - expected).abs() <= Decimal::new(5, 2);
        assert!(near(two, one * Decimal::TWO) && near(two, *adjacent), "{one} {two} {adjacent}");
        assert!(*all > two || all.is_zero(), "{two} {all}");
    }
    assert_eq!(cold_of_two[0], cold[0].map(|cold| 2 * cold));
}

#[test]
fn alternatives_of_closed_hours_and_days_are_those_of_compare() {
    let mut fleet = always(&[("a", 5)]);
    let (days, hours) = (DaySet::parse("mon-fri").unwrap(), Hours::parse("08:00-18:00").unwrap());
    fleet.targets[0].windows =
        vec![Window::new("windows[0]", chrono_tz::Tz::UTC, Opening::Weekly(days, hours), 5)];
    let open = |day: i64| (8..18).map(move |hour| (day * 24 + hour, "a", levels(5, Some(5), false)));
    let week = period(7 * 24);
    let review = review(&history(&(0..5).flat_map(open).collect::<Vec<_>>()), &fleet, week);
    assert_eq!((review.known, review.missing_days, review.days.len()), (Some(week), 0, 7));
    let expected = TargetPlan::new(&fleet.targets[0], week, &fleet.prices).compare(&fleet.prices);
    let comparison = review.functions[0].comparison.as_ref().unwrap();
    assert_eq!(comparison.options, expected.options);
    let always = comparison.option(CostAlternative::ProvisionedAlways).unwrap().exact().unwrap();
    let in_windows = comparison.option(CostAlternative::ProvisionedWindows).unwrap().exact().unwrap();
    assert!(always > in_windows * Decimal::TWO, "168 hours and 50: {always} {in_windows}");
}

#[test]
fn what_is_recorded_is_compared_with_the_alternatives_to_the_own_strategy() {
    let mut fleet = always(&[("a", 5)]);
    let cheapest = |fleet: &Fleet, usd: i64, cost_unknown, rounds| {
        let row = |hour| {
            let cost = [("compute".to_owned(), Decimal::new(usd, 2))].into();
            (hour, "a", Row { cost, cost_unknown, rounds, ..levels(5, Some(5), false) })
        };
        let review = review(&history(&(0..24).map(row).collect::<Vec<_>>()), fleet, period(24));
        let function = &review.functions[0];
        assert!(!function.assumed.is_empty());
        function.cheapest()
    };
    // 24 cents are more than the estimate of pings, and less than that of provisioned concurrency.
    let pings = Some(Cheapest::Present(CostAlternative::Pings));
    assert_eq!(cheapest(&fleet, 1, 0, 12), pings);
    assert_eq!(cheapest(&fleet, 1, 1, 12), None, "it may cost more");
    assert_eq!(cheapest(&fleet, 0, 0, 0), None, "nothing was done");
    for unknown in [0, 1] {
        let dear = cheapest(&fleet, 1_000, unknown, 12);
        assert!(
            matches!(dear, Some(Cheapest::Other(other, usd)) if other != CostAlternative::Pings && usd < 240.into()),
            "{dear:?}"
        );
    }
    let provisioned = Provisioned { by: By::Direct, fallback: Fallback::None };
    fleet.targets[0].strategy = capacity::Strategy::Provisioned(provisioned);
    let dear = cheapest(&fleet, 1_000, 0, 12);
    assert!(matches!(dear, Some(Cheapest::Other(CostAlternative::Pings, _))), "{dear:?}");
    fleet.targets[0].windows.clear();
    assert_eq!(cheapest(&fleet, 1, 0, 12), None, "no window");
}

#[test]
fn the_cost_of_a_route_is_unknown_without_a_record() {
    let fleet = fleet(&["a", "b"]);
    let row = |route: &str, usd: Option<i64>, cost_unknown| Row {
        egress: [(route.to_owned(), 5_000)].into(),
        cost: usd.map(|usd| ("s3_egress".to_owned(), usd.into())).into_iter().collect(),
        cost_unknown,
        ..Row::default()
    };
    let routes = |rows: &[(i64, &str, Row)]| {
        let routes = review(&history(rows), &fleet, period(24)).fleet.routes;
        let usd =
            routes.values().map(|amount| (amount.known_usd().map(|usd| usd.to_string()), amount.is_partial));
        usd.collect::<Vec<_>>()
    };
    let known = |usd: &str, is_partial| [(Some(usd.to_owned()), is_partial)];
    assert_eq!(routes(&[(0, "a", row("nat-gateway", Some(3), 0))]), known("3", false));
    assert_eq!(routes(&[(0, "a", row("nat-gateway", None, 1))]), [(None, true)]);
    assert_eq!(routes(&[(0, "a", row("nat-gateway", Some(3), 1))]), known("3", true));
    assert_eq!(routes(&[(0, "a", row("same-region", None, 1))]), known("0", false), "it is free");
    let both = [(0, "a", row("nat-gateway", Some(3), 0)), (0, "b", row("nat-gateway", None, 1))];
    assert_eq!(routes(&both), known("3", true));
}

#[test]
fn nothing_recorded_is_no_coverage() {
    let fleet = fleet(&[]);
    let review = review(&History::default(), &fleet, period(24));
    assert_eq!((review.known, review.functions.len(), review.fleet.usd_per_warm_hour()), (None, 0, None));
    assert_eq!(review.burn, Burn::default());
}

fn any_row() -> impl Strategy<Value = Row> {
    let route = prop::sample::select(vec![
        "nat-gateway",
        "same-region",
        "inter-region",
        "internet",
        "of-a-newer-version",
    ]);
    let item = prop::sample::select(vec!["requests", "s3_egress", "capacity"]);
    let usd = (0_i64..10_000_000_000_000, 0_u32..14).prop_map(|(number, scale)| Decimal::new(number, scale));
    (
        prop::collection::btree_map(route.prop_map(str::to_owned), 0_u64..10_000_000_000_000, 0..4),
        prop::collection::btree_map(item.prop_map(str::to_owned), usd, 0..3),
        0_u64..1_000,
        0_u64..61,
        prop::option::of(prop::sample::select(vec!["x", "y"])),
    )
        .prop_map(|(egress, cost, pings, warm, owner)| Row {
            egress,
            cost,
            pings,
            owner: owner.map(str::to_owned),
            ..minutes(60, warm)
        })
}

proptest! {
    #[test]
    fn sums_of_functions_owners_routes_and_the_fleet_are_the_same(
        rows in prop::collection::vec((0_i64..96, prop::sample::select(vec!["a", "b", "c"]), any_row()), 0..40)
    ) {
        let fleet = fleet(&["a", "b"]);
        let history = history(&rows);
        let review = review(&history, &fleet, period(96));
        let kept = || history.hours.values().flatten().map(|(_, row)| row);
        let pings: u64 = kept().map(|row| row.pings).sum();
        let usd: Decimal = kept().map(Row::known_usd).sum();
        let bytes: u64 = kept().flat_map(|row| row.egress.values()).sum();
        let egress_usd: Decimal = kept().filter_map(|row| row.cost.get("s3_egress")).sum();
        let warm: u64 = kept().map(|row| row.minutes.warm).sum();
        let all = [&review.fleet];
        let functions: Vec<&Sums> = review.functions.iter().map(|function| &function.sums).collect();
        let owners: Vec<&Sums> = review.owners.values().collect();
        for sums in [&all[..], &functions, &owners] {
            prop_assert_eq!(sums.iter().map(|sums| sums.row.pings).sum::<u64>(), pings);
            prop_assert_eq!(sums.iter().map(|sums| sums.known_usd).sum::<Decimal>(), usd);
            prop_assert_eq!(sums.iter().map(|sums| sums.egress_bytes()).sum::<u64>(), bytes);
            prop_assert_eq!(sums.iter().flat_map(|sums| sums.routes.values()).map(|route| route.usd).sum::<Decimal>(), egress_usd);
            prop_assert_eq!(sums.iter().map(|sums| sums.row.minutes.warm).sum::<u64>(), warm);
        }
        prop_assert_eq!(review.days.iter().map(|day| day.minutes.warm).sum::<u64>(), warm);
        let of_days = review.functions.iter().flat_map(|function| &function.days);
        prop_assert_eq!(of_days.map(|day| day.minutes.warm).sum::<u64>(), warm);
        for day in review.functions.iter().flat_map(|function| &function.days).chain(&review.days) {
            prop_assert!(day.reached.is_none_or(|reached| reached <= day.target));
        }
    }
}
