use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::schedule::Minute;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn id(function: &str) -> Identity {
    FunctionRef::parse(function).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

#[test]
fn months_are_those_of_utc() {
    let month = |text| Month::of(at(text));
    assert_eq!(month("2026-12-31T23:59:59Z").end(), at("2027-01-01T00:00:00Z"));
    assert_eq!(month("2026-12-31T23:59:59Z").begin(), at("2026-12-01T00:00:00Z"));
    assert_ne!(month("2026-01-15T00:00:00Z"), month("2027-01-15T00:00:00Z"));
    assert_eq!(Month::of(DateTime::<Utc>::MAX_UTC).end(), DateTime::<Utc>::MAX_UTC);
}

#[test]
fn levels_begin_at_eighty_and_at_a_hundred_percent() {
    let budget = Budget { monthly_usd: usd("25"), on_exceed: OnExceed::Warn, stop_capacity: false };
    assert_eq!(
        ["19.99", "20", "24.99", "25", "26"].map(|spent| budget.level(usd(spent))),
        [Level::Within, Level::Near, Level::Near, Level::Exceeded, Level::Exceeded]
    );
    assert_eq!(budget.left(usd("26")), Decimal::ZERO);
}

#[test]
fn a_level_is_reported_once_a_month() {
    let mut spending = Spending::default();
    spending.turn(at("2026-11-20T00:00:00Z"));
    assert!(spending.report(&Scope::Fleet, Level::Near));
    assert!(!spending.report(&Scope::Fleet, Level::Near) && !spending.report(&Scope::Fleet, Level::Within));
    assert!(spending.report(&Scope::Fleet, Level::Exceeded) && !spending.report(&Scope::Fleet, Level::Near));
    spending.turn(at("2026-12-01T00:00:00Z"));
    assert!(spending.report(&Scope::Fleet, Level::Near));
}

#[test]
fn spending_adds_up_once_for_each_write() {
    let spent = Spent { pings_usd: usd("0.5"), capacity_usd: usd("1"), pings: 100, unknown: 1 };
    let costs = [(id("f"), spent)].into();
    let now = at("2026-11-20T00:00:00Z");
    let mut spending = Spending::default();
    assert!(spending.add(1, &costs, now) && !spending.add(1, &costs, now) && spending.add(2, &costs, now));
    let sum = spending.sum(|_| true);
    assert_eq!((sum.usd(), sum.usd_per_ping(), sum.unknown), (usd("3"), Some(usd("0.005")), 2));
    assert_eq!(spending.sum(|id| id.name.as_str() == "g").usd(), Decimal::ZERO);
    let text = serde_json::to_string(&spending).unwrap();
    assert_eq!(serde_json::from_str::<Spending>(&text).unwrap(), spending);
    assert!(spending.add(1, &costs, at("2026-12-01T00:00:00Z")));
    assert_eq!(spending.sum(|_| true).usd(), usd("1.5"), "a new month");
}

fn rest(usd_per_ping: &str, rounds: &[(u32, u64)]) -> Rest {
    Rest { usd_per_ping: usd(usd_per_ping), rounds: rounds.to_vec(), fixed_usd: Decimal::ZERO }
}

#[test]
fn the_largest_number_fits_and_the_next_does_not() {
    let rest = rest("0.01", &[(10, 100), (4, 50)]);
    // 1,000 + 200 pings: 12 dollars.
    assert_eq!(largest_number(usd("12"), &rest), None);
    assert_eq!(largest_number(usd("11.99"), &rest), Some(9));
    assert_eq!(largest_number(usd("6"), &rest), Some(4));
    assert_eq!(largest_number(usd("5.99"), &rest), Some(3));
    assert_eq!(largest_number(usd("1.49"), &rest), Some(0));
    assert_eq!(largest_number(usd("0"), &Rest { rounds: Vec::new(), ..rest }), None);
}

#[test]
fn several_targets_keep_the_same_share() {
    let rests = [rest("0.01", &[(10, 100)]), rest("0.02", &[(1, 100)])];
    assert_eq!(largest_share(usd("12"), &rests), None);
    // Nine of ten, and none of one.
    assert_eq!(largest_share(usd("11.99"), &rests), Some(999));
    assert_eq!((share_of(10, 999), share_of(1, 999)), (9, 0));
    assert_eq!(largest_share(usd("0.5"), &rests), Some(99));
}

/// A target with ten environments on workdays from 08:00 to 18:00 UTC, pinged every half an hour.
fn target(concurrency: u32) -> Target {
    let hours = Hours::Between { start: "08:00:00".parse().unwrap(), end: "18:00:00".parse().ok() };
    let window = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), concurrency);
    Target { windows: vec![window], interval_minutes: 30, ..Target::example("f", "eu-west-2", Vec::new()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A month of rounds under a budget that is reduced before every round, with pings of varying cost.
    #[test]
    fn a_reduced_month_exceeds_its_budget_by_one_tick_at_most(
        concurrency in 1_u32..40,
        budget in 1_i64..400,
        costs in proptest::collection::vec(1_i64..200, 20),
    ) {
        let target = target(concurrency);
        let month = Month::of(at("2026-11-20T00:00:00Z"));
        let budget = Budget { monthly_usd: Decimal::from(budget), on_exceed: OnExceed::Reduce, stop_capacity: false };
        let (mut spent, mut now, mut dearest) = (Spent::default(), month.begin(), Decimal::ZERO);
        while now < month.end() {
            let minute = Minute::of(now);
            let per_ping = spent.usd_per_ping().unwrap_or(usd("0.001"));
            let rest = Rest::of(&target, minute, Minute::of(month.end()), per_ping);
            let desired = crate::domain::schedule::desired(&target, minute);
            let number = largest_number(budget.left(spent.usd()), &rest).map_or(desired, |limit| desired.min(limit));
            let cost = Decimal::new(costs[(minute.epoch() / 30) as usize % costs.len()], 4);
            let pings_usd = cost * Decimal::from(number);
            dearest = dearest.max(pings_usd);
            spent = spent.plus(&Spent { pings_usd, pings: u64::from(number), ..Spent::default() });
            now += TimeDelta::minutes(30);
        }
        prop_assert!(spent.usd() <= budget.monthly_usd + dearest, "{} of {}", spent.usd(), budget.monthly_usd);
        // What fits is used.
        let whole = Rest::of(&target, Minute::of(month.begin()), Minute::of(month.end()), Decimal::ONE);
        let all: u64 = whole.rounds.iter().map(|(number, rounds)| u64::from(*number) * rounds).sum();
        let is_cheap = Decimal::from(all) * usd("0.02") <= budget.monthly_usd;
        prop_assert!(!is_cheap || spent.pings == all, "{} of {all} pings", spent.pings);
    }
}

/// Returns a standing of the fleet.
fn standing(budget: &str, spent: &str, on_exceed: OnExceed) -> BTreeMap<Scope, Standing> {
    let spent = Spent { pings_usd: usd(spent), pings: 1, ..Spent::default() };
    let standing = Standing { monthly_usd: usd(budget), on_exceed, stop_capacity: false, spent, since: None };
    [(Scope::Fleet, standing)].into()
}

#[test]
fn an_unknown_cost_allows_one_ping_that_fits() {
    let fleet = Fleet { budget: None, ..Fleet::new(vec![target(10)]) };
    let allowed = |budget: &str, known: Option<&str>| {
        let caps = Caps::new(
            &fleet,
            &standing(budget, "0", OnExceed::Reduce),
            |_| known.map(usd),
            |_| rest("1", &[(10, 100)]),
        );
        caps.lowest(&fleet.targets[0], 10).map(|cap| cap.to)
    };
    assert_eq!(allowed("1000", None), None);
    assert_eq!(allowed("50", None), Some(1), "less than a ping a round, by an estimate");
    assert_eq!(allowed("0.5", None), Some(0), "not even one ping");
    assert_eq!((allowed("50", Some("1")), allowed("50", Some("0.1"))), (Some(0), Some(5)));
}

proptest! {
    /// The rounds of a fleet for the rest of a month cost at most what is left.
    #[test]
    fn limited_rounds_fit_into_the_rest(
        numbers in proptest::collection::vec((1_u32..50, 1_u64..500, 1_i64..100), 1..5),
        budget in 0_i64..2_000,
        is_stopped in any::<bool>(),
    ) {
        let targets = (0..numbers.len()).map(|index| Target::example(&format!("f{index}"), "eu-west-2", Vec::new()));
        let fleet = Fleet::new(targets.collect());
        let index = |id: &Identity| fleet.targets.iter().position(|target| target.id == *id).unwrap();
        let cost = |index: usize| Decimal::new(numbers[index].2, 3);
        let on_exceed = if is_stopped { OnExceed::Stop } else { OnExceed::Reduce };
        let budget = Decimal::new(budget, 1).max(usd("0.1"));
        let standings = standing(&budget.to_string(), "0.1", on_exceed);
        let rest = |target: &Target| {
            let (number, rounds, _) = numbers[index(&target.id)];
            rest("9", &[(number, rounds)])
        };
        let caps = Caps::new(&fleet, &standings, |id| Some(cost(index(id))), rest);
        let mut whole = Decimal::ZERO;
        for (index, target) in fleet.targets.iter().enumerate() {
            let (number, rounds, _) = numbers[index];
            let cap = caps.lowest(target, number);
            prop_assert!(cap.as_ref().is_none_or(|cap| cap.to < number && cap.scope == Scope::Fleet));
            let sent = cap.map_or(number, |cap| cap.to);
            whole += Decimal::from(sent) * Decimal::from(rounds) * cost(index);
        }
        let left = budget - usd("0.1");
        prop_assert!(whole <= left || is_stopped && left > Decimal::ZERO, "{whole} of {left}");
        prop_assert!(!is_stopped || left > Decimal::ZERO || whole.is_zero());
    }
}
