//! Tests of the review: sums, days, order, error budgets.

use std::time::Duration;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
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
    Row { target, reached, short, ..minutes(60, 60) }
}

#[test]
fn the_lowest_coverage_is_first_and_functions_without_one_are_last() {
    let mut fleet = fleet(&["a", "b", "unseen"]);
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
    assert_eq!((review.days.len(), review.silent_days()), (1, 0));
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
    let fleet = fleet(&["a", "b"]);
    let review = review(&history(&rows), &fleet, period(200));
    let shown = |days: &[Day]| days.iter().map(|day| (day.target, day.reached)).collect::<Vec<_>>();
    let of = |name: &str| shown(&review.functions.iter().find(|one| one.id == id(name)).unwrap().days);
    assert_eq!(of("a"), [(10, Some(9)), (2, None), (0, None), (5, Some(4))]);
    assert_eq!(of("b"), [(4, Some(3)), (0, None), (0, None), (0, None)]);
    assert_eq!(shown(&review.days), [(14, Some(13)), (2, None), (0, None), (5, Some(4))]);
    assert_eq!(review.silent_days(), 1);
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
    // Only `a` has an objective, so the fleet is `a`.
    assert_eq!(fleet_burn, of_a);
    let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-9;
    assert!(near(of_a.whole, 63.0 / 120.0) && near(of_a.recent, 3.0 / 60.0), "{of_a:?}");
    assert!(near(of_a.budget_left, 1.0 - 3.0 / 60.0) && !of_a.is_slow_burn(), "{of_a:?}");
    fleet.targets[1].slo = slo(500_000, 28);
    let both = burns(&fleet).1;
    assert!(near(both.recent, 6_003.0 / (60.0 + 3_000.0)), "{both:?}");
    assert!(near(both.budget_left, 1.0 - 6_003.0 / (60.0 + 3_000.0)), "{both:?}");
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
