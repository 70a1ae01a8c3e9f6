use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    let is_reported = |spending: &Spending| {
        [Level::Within, Level::Near, Level::Exceeded].map(|level| spending.is_reported(&Scope::Fleet, level))
    };
    assert_eq!(is_reported(&spending), [true, false, false]);
    spending.report(&Scope::Fleet, Level::Near);
    assert_eq!(is_reported(&spending), [true, true, false]);
    spending.report(&Scope::Fleet, Level::Exceeded);
    spending.report(&Scope::Fleet, Level::Near);
    assert_eq!(is_reported(&spending), [true, true, true]);
    spending.turn(at("2026-12-01T00:00:00Z"));
    assert_eq!(is_reported(&spending), [true, false, false]);
}

#[test]
fn a_wrong_clock_changes_its_own_month_only() {
    let spent = |text: &str| BTreeMap::from([(id("f"), Spent { pings_usd: usd(text), ..Spent::default() })]);
    let (now, ahead) = ("2026-11-20T00:00:00Z", "2026-12-20T00:00:00Z");
    for (right, wrong) in
        [(now, ahead), (ahead, now), (now, "2262-04-11T00:00:00Z"), (now, "1970-01-01T00:00:00Z")]
    {
        let (right, wrong) = (at(right), at(wrong));
        let mut spending = Spending::default();
        spending.add(1, &spent("9"), right);
        spending.report(&Scope::Fleet, Level::Near);
        spending.spread = true;
        spending.add(2, &spent("1"), wrong);
        assert!(!spending.is_reported(&Scope::Fleet, Level::Near) && !spending.spread);
        assert_eq!(spending.sum(|_| true).usd(), usd("1"), "{wrong}");
        // As another process reads it.
        let text = serde_json::to_string(&spending).unwrap();
        let mut spending = serde_json::from_str::<Spending>(&text).unwrap().plausible(right);
        assert!(!spending.add(1, &spent("9"), right), "the write is known");
        assert!(spending.is_reported(&Scope::Fleet, Level::Near) && spending.spread);
        assert_eq!(spending.sum(|_| true).usd(), usd("9"), "{wrong}");
        spending.turn(wrong);
        assert_eq!(spending.sum(|_| true).usd(), usd("1"), "{wrong}");
    }
}

#[test]
fn a_clock_that_jumps_about_leaves_the_month_in_use_and_bounds_the_document() {
    let costs = BTreeMap::from([(id("f"), Spent { pings_usd: usd("1"), ..Spent::default() })]);
    let mut spending = Spending::default();
    for number in 0..50 {
        spending.add(number * 2, &costs, at("2026-11-20T00:00:00Z"));
        spending.add(number * 2 + 1, &costs, at(&format!("{}-01-20T00:00:00Z", 2030 + number)));
    }
    assert_eq!(serde_json::to_string(&spending).unwrap().matches(r#""month""#).count(), 3);
    spending.turn(at("2026-11-20T00:00:00Z"));
    assert_eq!(spending.sum(|_| true).usd(), usd("50"));
    // A document that nests.
    let mut nested = r#"{"month":1,"targets":{}}"#.to_owned();
    for month in 2..20 {
        nested = format!(r#"{{"month":{month},"targets":{{}},"aside":[{nested}]}}"#);
    }
    let spending = serde_json::from_str::<Spending>(&nested).unwrap().plausible(at("2026-11-20T00:00:00Z"));
    assert!(serde_json::to_string(&spending).unwrap().matches(r#""month""#).count() <= 3);
}

#[test]
fn spending_adds_up_once_for_each_write() {
    let spent = Spent {
        pings_usd: usd("0.7"),
        partial_usd: usd("0.2"),
        capacity_usd: usd("1"),
        pings: 100,
        unknown: 1,
    };
    let costs = [(id("f"), spent)].into();
    let now = at("2026-11-20T00:00:00Z");
    let mut spending = Spending::default();
    assert!(spending.add(1, &costs, now) && !spending.add(1, &costs, now) && spending.add(2, &costs, now));
    let sum = spending.sum(|_| true);
    assert_eq!((sum.usd(), sum.usd_per_ping(), sum.unknown), (usd("3.4"), Some(usd("0.005")), 2));
    assert_eq!(spending.sum(|id| id.name.as_str() == "g").usd(), Decimal::ZERO);
    let text = serde_json::to_string(&spending).unwrap();
    assert_eq!(serde_json::from_str::<Spending>(&text).unwrap(), spending);
    assert!(spending.add(1, &costs, at("2026-12-01T00:00:00Z")));
    assert_eq!(spending.sum(|_| true).usd(), usd("1.7"), "a new month");
}

fn rest(usd_per_ping: &str, rounds: &[(u32, u64)]) -> Rest {
    Rest { usd_per_ping: usd(usd_per_ping), rounds: rounds.to_vec(), ..Rest::fixed(Decimal::ZERO) }
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

/// Returns the limits on rounds outside of trials.
fn caps(standings: &BTreeMap<Scope, Standing>, counted: Counted) -> impl Fn(&Target, u32) -> Option<Cap> {
    let counted = Arc::new(counted);
    // No target has trials in two hours that follow each other.
    let hours = ["2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z"];
    let caps = hours.map(|now| Caps::new(standings, &BTreeMap::new(), Arc::clone(&counted), at(now)));
    move |target, desired| {
        let [one, other] = [&caps[0], &caps[1]].map(|caps| caps.lowest(target, desired));
        [one, other].into_iter().flatten().min_by_key(|cap| cap.to)
    }
}

fn pings(usd_per_ping: Decimal, pings: u64) -> Spent {
    Spent { pings_usd: usd_per_ping * Decimal::from(pings), pings, ..Spent::default() }
}

#[test]
fn an_unknown_cost_allows_one_ping_that_fits() {
    let fleet = Fleet { budget: None, ..Fleet::new(vec![target(10)]) };
    let allowed = |budget: &str, known: Option<&str>| {
        let spent = |_: &Identity| known.map(|known| pings(usd(known), 9_000)).unwrap_or_default();
        let standings = standing(budget, "0", OnExceed::Reduce);
        let counted = Counted::new(&fleet, reduced(&standings), spent, |_| rest("1", &[(10, 100)]));
        caps(&standings, counted)(&fleet.targets[0], 10).map(|cap| cap.to)
    };
    assert_eq!(allowed("1000", None), None);
    assert_eq!(allowed("50", None), Some(1), "less than a ping a round, by an estimate");
    assert_eq!(allowed("0.5", None), Some(0), "not even one ping");
    assert_eq!((allowed("50", Some("1")), allowed("50", Some("0.1"))), (Some(0), Some(5)));
}

#[test]
fn a_target_without_a_number_gets_one_ping_in_an_hour_of_23() {
    let fleet = Fleet { budget: None, ..Fleet::new(vec![target(10)]) };
    let hours = |budget: &str| {
        let standings = standing(budget, "0", OnExceed::Reduce);
        let known = |_: &Identity| pings(usd("1"), 1);
        let counted = Counted::new(&fleet, reduced(&standings), known, |_| rest("1", &[(10, 100)]));
        let counted = Arc::new(counted);
        let allowed = |hour: i64| {
            let now = at("2026-11-01T00:30:00Z") + TimeDelta::hours(hour);
            Caps::new(&standings, &BTreeMap::new(), counted.clone(), now)
                .lowest(&fleet.targets[0], 10)
                .unwrap()
                .to
        };
        (0..23 * 24).filter(|hour| allowed(*hour) == 1).collect::<Vec<_>>()
    };
    let trials = hours("50");
    assert_eq!(trials.len(), 24);
    assert_eq!(trials.iter().map(|hour| hour % 24).collect::<BTreeSet<_>>().len(), 24);
    assert!(hours("0.5").is_empty(), "not even one ping fits");
}

/// Ten environments on 21 workdays, a round each five minutes for ten hours: 25,200 pings. The first round of a day is
/// cold.
fn workdays(budget: &str, cold: &str, warm: &str) -> (Vec<u32>, Decimal) {
    let fleet = Fleet { budget: None, ..Fleet::new(vec![target(10)]) };
    let plan = (usd(cold) * Decimal::from(210) + usd(warm) * Decimal::from(24_990)) / Decimal::from(25_200);
    let (mut spent, mut sent) = (Spent::default(), Vec::new());
    for round in 0..2_520_u64 {
        let mut standings = standing(budget, "0", OnExceed::Reduce);
        standings.get_mut(&Scope::Fleet).unwrap().spent = spent;
        let rest = Rest { usd_per_ping: plan, ..rest("1", &[(10, 2_520 - round)]) };
        let counted = Counted::new(&fleet, reduced(&standings), |_| spent, |_| rest.clone());
        let number = caps(&standings, counted)(&fleet.targets[0], 10).map_or(10, |cap| cap.to);
        let per_ping = usd(if round % 120 == 0 { cold } else { warm });
        spent = spent.plus(&pings(per_ping, number.into()));
        sent.push(number);
    }
    (sent, spent.usd())
}

#[test]
fn the_cold_start_of_a_day_is_not_taken_for_the_cost_of_a_ping() {
    // 210 cold starts at $0.045: $9.45 a month.
    let (sent, _) = workdays("25", "0.045", "0.0000004");
    assert!(sent.iter().all(|number| *number == 10), "{sent:?}");
    let (sent, spent) = workdays("10", "0.045", "0.0000004");
    assert!(sent.iter().all(|number| *number >= 5), "{sent:?}");
    assert!(spent > usd("8") && spent <= usd("10"), "{spent}");
    // $4 for a plan of $9.45.
    let (sent, spent) = workdays("4", "0.045", "0.0000004");
    assert!(sent.iter().all(|number| *number >= 1), "{sent:?}");
    // The last rounds of the month get what is left.
    assert!(sent.iter().take(2_400).all(|number| *number <= 6), "{sent:?}");
    assert!(spent > usd("3") && spent <= usd("4.27"), "{spent}");
}

#[test]
fn a_partly_unknown_cost_does_not_raise_the_mean() {
    let spent = pings(usd("0.001"), 1_000);
    let partial = Spent { pings_usd: usd("100"), partial_usd: usd("100"), unknown: 1, ..Spent::default() };
    assert_eq!(spent.plus(&partial).usd_per_ping(), Some(usd("0.001")));
    assert_eq!(spent.plus(&partial).usd(), usd("101"));
}

/// Returns the targets that run under a budget for this share of the cost of a hundred functions with one environment.
fn running(budget: &str, rounds: u64) -> Vec<usize> {
    let targets = (0..100).map(|index| Target::example(&format!("f{index}"), "eu-west-2", Vec::new()));
    let fleet = Fleet::new(targets.collect());
    let known = |_: &Identity| pings(usd("0.001"), 1_000);
    let standings = standing(budget, "0", OnExceed::Reduce);
    let counted = Counted::new(&fleet, reduced(&standings), known, |_| rest("0.001", &[(1, rounds)]));
    let caps = caps(&standings, counted);
    let targets = fleet.targets.iter().enumerate();
    targets.filter_map(|(index, target)| caps(target, 1).is_none().then_some(index)).collect()
}

#[test]
fn functions_with_one_environment_run_as_far_as_the_budget_goes() {
    // A hundred dollars for all.
    let (all, most, half) = (running("100", 1_000), running("99", 1_000), running("50.9", 1_000));
    assert_eq!((all.len(), most.len(), half.len()), (100, 99, 50));
    // Those that run with less run with more, and later in the month.
    assert!(half.iter().all(|index| most.contains(index)));
    assert_eq!(running("25.1", 500), half);
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
            Rest { usd_per_ping: cost(index(&target.id)), ..rest("9", &[(number, rounds)]) }
        };
        let spent = |id: &Identity| pings(cost(index(id)), 1_000_000);
        let caps = caps(&standings, Counted::new(&fleet, reduced(&standings), spent, rest));
        let (mut whole, mut more) = (Decimal::ZERO, Vec::new());
        for (index, target) in fleet.targets.iter().enumerate() {
            let (number, rounds, _) = numbers[index];
            let cap = caps(target, number);
            prop_assert!(cap.as_ref().is_none_or(|cap| cap.to < number && cap.scope == Scope::Fleet));
            let sent = cap.map_or(number, |cap| cap.to);
            let one = Decimal::from(rounds) * cost(index);
            whole += Decimal::from(sent) * one;
            if sent < number {
                more.push(one);
            }
        }
        let left = budget - usd("0.1");
        prop_assert!(whole <= left || is_stopped && left > Decimal::ZERO, "{whole} of {left}");
        prop_assert!(!is_stopped || left > Decimal::ZERO || whole.is_zero());
        // One environment more would not fit.
        prop_assert!(more.is_empty() || more.iter().any(|one| whole + one > left), "{whole} of {left}: {more:?}");
    }
}
