use proptest::prelude::*;

use super::kept::{existed, kept, started};
use super::simulation::{Outcome, Scene};
use super::*;
use crate::domain::calendar::{Opening, Window};
use crate::domain::cost::PriceBook;
use crate::domain::function::{Architecture, Region};
use crate::domain::schedule::{Minute, concurrency_at};

fn burst(numbers: &[u64], rate: &str, launch: usize) -> Burst {
    let arrivals = Arrivals::new(numbers, 1).unwrap();
    Burst { arrivals, rate: Rate::parse(rate).unwrap(), launch, max: None }
}

/// The burst of the article.
fn example() -> Burst {
    burst(&[5_000, 15_000, 25_000, 45_000, 30_000], "300", 4)
}

const BOUNDS: Bounds = Bounds { within: 10, max_wait: 10, hold: 60 };

fn pricing(prices: &PriceBook, by: By) -> Pricing<'_> {
    Pricing {
        prices,
        region: Region::parse("us-east-1").unwrap(),
        architecture: Architecture::X86_64,
        memory_mb: 1_024,
        per_invocation: 30,
        by,
    }
}

fn planned(policy: Policy, burst: &Burst, bounds: Bounds, by: By) -> Plan {
    plan(policy, burst, bounds, &pricing(&PriceBook::embedded(), by))
}

fn waiting(course: &Course) -> Vec<String> {
    (1..=course.seconds()).map(|second| course.waiting(second).to_string()).collect()
}

#[test]
fn the_figures_of_the_article() {
    let plan = planned(Policy::Backlog, &example(), BOUNDS, By::Pings);
    assert_eq!(waiting(&plan.course), ["5000", "20000", "45000", "90000", "30000", "0"]);
    assert_eq!(plan.course.in_use, [0, 0, 0, 300, 100, 0]);
    assert_eq!((plan.started, plan.most(), plan.course.empty_at()), (300, 300, Some(6)));
    // The first requests are served in second 5.
    assert_eq!(plan.waits, Some(Waits { longest: 4, p99: 4 }));
    assert_eq!((plan.kept.len(), plan.kept_at(64), plan.kept_at(65), plan.kept_at(66)), (66, 300, 100, 0));
}

#[test]
fn policies_of_the_article() {
    let prices = PriceBook::embedded();
    let shown: Vec<String> = [By::Pings, By::Provisioned]
        .iter()
        .flat_map(|by| plans(&example(), BOUNDS, &pricing(&prices, *by)))
        .map(|plan| {
            let (waits, cost) = (plan.waits.unwrap(), plan.money().unwrap().normalize());
            let empty = plan.course.empty_at().unwrap();
            format!("{}: {}, {waits:?}, empty at {empty}, ${cost}", plan.policy.name(), plan.started)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    backlog: 300, Waits { longest: 4, p99: 4 }, empty at 6, $0.02752672
    drain: 37, Waits { longest: 10, p99: 10 }, empty at 15, $0.0099407516
    cheapest: 37, Waits { longest: 10, p99: 10 }, empty at 15, $0.0099407516
    none: 400, Waits { longest: 5, p99: 5 }, empty at 9, $0.0341334
    backlog: 300, Waits { longest: 4, p99: 4 }, empty at 6, $0.39135852
    drain: 37, Waits { longest: 10, p99: 10 }, empty at 15, $0.0523781356
    cheapest: 37, Waits { longest: 10, p99: 10 }, empty at 15, $0.0523781356
    none: 400, Waits { longest: 5, p99: 5 }, empty at 9, $0.0341334
    ");
}

#[test]
fn numbers_are_spread_exactly_over_their_seconds() {
    let arrivals = Arrivals::new(&[10, 0, 7], 4).unwrap();
    let each: Vec<u64> = (1..=13).map(|second| arrivals.at(second)).collect();
    assert_eq!(each, [2, 3, 2, 3, 0, 0, 0, 0, 1, 2, 2, 2, 0]);
    assert_eq!((arrivals.total(), arrivals.seconds(), arrivals.last()), (17, 12, 12));
    assert_eq!(Arrivals::new(&[3, 0, 0], 1).unwrap().last(), 1);
    insta::assert_snapshot!(Arrivals::new(&[0], 1).unwrap_err(), @"expected at least one request, found none");
    insta::assert_snapshot!(Arrivals::new(&[1; 25], 3_600).unwrap_err(), @"expected arrivals of at most a day, found 90000 seconds");
    insta::assert_snapshot!(Arrivals::new(&[1_000_000_000_000, 1], 1).unwrap_err(), @"expected at most 10^12 requests in total");
}

#[test]
fn requests_and_rates_have_units() {
    for (text, requests) in [("500", 500), ("5k", 5_000), ("2.5M", 2_500_000), ("0", 0), ("0.5k", 500)] {
        assert_eq!(parse_count(text), Ok(requests));
    }
    let error = |text| parse_count(text).unwrap_err().into_line();
    insta::assert_snapshot!(error("5K"), @r#"expected a number of requests, found "5K"; write `5k`"#);
    insta::assert_snapshot!(error("1.5"), @r#"expected a whole number of requests, found "1.5"; write a whole number, such as `500`, `5k` (5,000) or `2.5M` (2,500,000)"#);
    insta::assert_snapshot!(error("2000000M"), @r#"expected at most 10^12 requests, found "2000000M""#);
    for bad in ["", "k", "m", "-1", "+1", "1e3", "1_000", ".5k", "5 k", "5G", "１"] {
        assert!(parse_count(bad).is_err(), "{bad}");
    }
    assert_eq!(Rate::parse("2.50").unwrap().to_string(), "2.5");
    for bad in ["0", "-3", "0.0001", "2.1234", "1000001", "fast", ""] {
        assert!(Rate::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn fractional_rates_leave_parts_of_requests() {
    let plan =
        planned(Policy::Backlog, &Burst { max: Some(1), ..burst(&[5, 0], "1.5", 1) }, BOUNDS, By::Pings);
    assert_eq!(waiting(&plan.course), ["5", "3.5", "2", "0.5", "0"]);
    // The third and the fifth request end in the second after the one in which they began.
    assert_eq!(plan.waits, Some(Waits { longest: 4, p99: 4 }));
}

#[test]
fn bounds_that_cannot_be_reached_are_named() {
    let late = burst(&[600], "300", 20);
    let capped = Burst { max: Some(20), ..example() };
    let never = Burst { max: Some(1), ..burst(&[1_000_000_000], "1", 0) };
    let shown: Vec<String> = [late, capped, never]
        .iter()
        .flat_map(|burst| {
            [Policy::Drain, Policy::Cheapest].map(|policy| {
                let plan = planned(policy, burst, BOUNDS, By::Pings);
                let empty = plan.course.empty_at();
                format!("{} environments, empty at {empty:?}: {}", plan.most(), plan.shortfall.unwrap())
            })
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    2 environments, empty at Some(21): --within 10s cannot be reached: the queue is empty 20 s after the last arrival at the earliest
    2 environments, empty at Some(21): --max-wait 10s cannot be reached: the longest wait is at least 20 s
    20 environments, empty at Some(24): --within 10s cannot be reached: the queue is empty 19 s after the last arrival at the earliest
    20 environments, empty at Some(24): --max-wait 10s cannot be reached: the longest wait is at least 19 s
    1 environments, empty at None: --within 10s cannot be reached: the queue does not empty within two days
    1 environments, empty at None: --max-wait 10s cannot be reached: the queue does not empty within two days
    ");
    let never = Burst { max: Some(1), ..burst(&[1_000_000_000], "1", 0) };
    let plan = planned(Policy::Backlog, &never, BOUNDS, By::Pings);
    assert_eq!((plan.waits, plan.money()), (None, None));
}

#[test]
fn environments_are_kept_for_a_second_wave() {
    let waves = |pause: usize| {
        let numbers: Vec<u64> = [vec![0, 900], vec![0; pause], vec![900]].concat();
        let burst = burst(&numbers, "300", 2);
        [By::Pings, By::Provisioned].map(|by| planned(Policy::Backlog, &burst, BOUNDS, by).started)
    };
    assert_eq!(waves(60), [3, 3]);
    // Idle on-demand environments outlive the last ping.
    assert_eq!(waves(61), [3, 6]);
    assert_eq!((waves(360), waves(361)), ([3, 6], [6, 6]));
    // Nothing is let go that is needed again within the launch time.
    assert_eq!(kept(&[0, 4, 1, 3, 0, 0], 1), [0, 4, 4, 3, 3, 0]);
    assert_eq!(started(&[0, 4, 4, 3, 3, 0]), 4);
    // One of 4 s, two of 4 s and one of 2 s before the launch of 3 s: one step each; the launch of 299 s costs two.
    assert_eq!((existed(&[0, 4, 4, 3, 3, 0], 3, 300), existed(&[1, 1, 0], 299, 300)), (1_200, 600));
}

#[test]
fn letting_go_has_a_price_and_a_risk() {
    let prices = PriceBook::embedded();
    for by in [By::Pings, By::Provisioned] {
        let pricing = pricing(&prices, by);
        let bounds = Bounds { hold: 200, ..BOUNDS };
        let plan = plan(Policy::Backlog, &example(), bounds, &pricing);
        let letting_go = letting_go(&plan, &example(), bounds, &pricing);
        assert_eq!(letting_go.steps, [(205, 100), (206, 0)]);
        let sentences = letting_go.sentences(&plan, &example()).join("\n");
        match by {
            By::Pings => insta::assert_snapshot!(sentences, @"
            closing means no more pings: idle on-demand environments cost nothing and end by themselves, after about 5 minutes
            later: keeping all environments costs 300 pings every 5 minutes
            the risk of earlier: a second wave waits 4 s for its launch again, up to 115,000 requests
            "),
            By::Provisioned => insta::assert_snapshot!(sentences, @"
            later: keeping environments for 400 s instead of 200 s costs $0.375003 more; billing steps are five minutes
            earlier: keeping them for 4 s instead of 200 s saves nothing
            the risk of earlier: a second wave waits 4 s for its launch again, up to 115,000 requests
            "),
        }
    }
}

#[test]
fn limits_are_checked_with_numbers() {
    let prices = PriceBook::embedded();
    let shown = |burst: &Burst, by, per_invocation, source| {
        let pricing = Pricing { per_invocation, ..pricing(&prices, by) };
        let plan = plan(Policy::Backlog, burst, BOUNDS, &pricing);
        let lines = warnings(&plan, burst, &pricing, source);
        lines.iter().map(|one| format!("{}: {}", one.limit, one.message)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(shown(&example(), By::Pings, 30, Source::Sync), "");
    assert_eq!(shown(&example(), By::Pings, 1, Source::Async), "");
    insta::assert_snapshot!(shown(&example(), By::Pings, 29, Source::Sqs), @"
    requests-per-environment: an environment takes 10 invocations a second, further ones are throttled: --rate 300 needs --requests-per-invocation 30, not 29
    sqs-scaling: 300 environments at second 4 cannot be reached from SQS: an event source begins with 5 concurrent invocations and adds 300 a minute, which is 25 at second 4 and 300 at second 59
    ");
    insta::assert_snapshot!(shown(&example(), By::Provisioned, 1, Source::Async), @"
    provisioned-preparation: provisioned concurrency takes a minute or two to prepare, --launch is 4 s: plan with --launch 2m, or enable it before the burst
    requests-per-environment: an environment takes 10 invocations a second, further ones go to on-demand environments: --rate 300 needs --requests-per-invocation 30, not 1
    ");
    let large = burst(&[10_000, 2_500_000], "300", 1);
    insta::assert_snapshot!(shown(&large, By::Pings, 300_000, Source::Sqs), @"
    scaling-rate: 8,334 environments are launched within 10 s, Lambda adds 1,000 to a function in this time: launch them 80 s earlier
    account-concurrency: 8,334 environments at once: an account has a concurrency of 1,000 in a region by default
    invocation-time: 300,000 requests take an environment 1,000 s, an invocation may take 900 s
    sqs-scaling: 34 environments at second 1 cannot be reached from SQS: an event source begins with 5 concurrent invocations and adds 300 a minute, which is 10 at second 1 and 34 at second 6
    sqs-in-flight: 8,334 environments with 300,000 requests each have 2,500,200,000 messages in flight, a queue may have 120,000
    ");
}

#[test]
fn unknown_prices_leave_the_cost_unknown() {
    let prices = PriceBook::embedded();
    let pricing =
        Pricing { region: Region::parse("me-south-1").unwrap(), ..pricing(&prices, By::Provisioned) };
    let plan = plan(Policy::Cheapest, &example(), BOUNDS, &pricing);
    assert_eq!((plan.money(), plan.shortfall), (None, None));
}

/// Returns the number that a window contributes in a minute.
fn number_of(window: &MinuteWindow, minute: i64) -> u64 {
    let start = Minute::from_epoch(1_000_000);
    let minutes = |minutes: u64| chrono::TimeDelta::minutes(minutes.try_into().unwrap());
    let opens = start.plus(window.opens.try_into().unwrap()).instant();
    let length = minutes((window.closes - window.opens) as u64);
    let opening = Opening::Once(opens, length);
    let window = Window {
        lead: minutes(window.lead),
        ramp_up: minutes(window.ramp_up),
        ramp_down: minutes(window.ramp_down),
        ..Window::new("w", chrono_tz::Tz::UTC, opening, window.concurrency.try_into().unwrap())
    };
    concurrency_at(&window, start.plus(minute)).into()
}

#[derive(Debug, Clone)]
struct Case {
    scene: Scene,
    bounds: Bounds,
}

impl Case {
    fn burst(&self) -> Burst {
        let Scene { arrivals, rate: (parts, per_request), launch, max } = &self.scene;
        Burst {
            arrivals: Arrivals::new(arrivals, 1).unwrap(),
            rate: Rate { parts: *parts, per_request: *per_request },
            launch: *launch,
            max: (*max < u64::MAX).then_some(*max),
        }
    }

    /// Returns the last second with arrivals.
    fn last(&self) -> usize {
        self.scene.arrivals.iter().rposition(|requests| *requests > 0).unwrap() + 1
    }

    fn is_empty_in_time(&self, outcome: &Outcome) -> bool {
        outcome.waiting.get(self.last() + self.bounds.within - 1).is_none_or(|parts| *parts == 0)
    }
}

fn cases(seconds: usize, requests: u64) -> impl Strategy<Value = Case> {
    let number = prop_oneof![2 => Just(0), 3 => 0..=requests];
    let arrivals = prop::collection::vec(number, 1..=seconds);
    let arrivals = arrivals.prop_filter("some request", |numbers| numbers.iter().sum::<u64>() > 0);
    let rate = prop_oneof![(1_u64..40, Just(1_u64)), (5_u64..200, Just(10_u64))];
    let max = prop_oneof![2 => Just(u64::MAX), 1 => 1_u64..12];
    let bounds = (1_usize..15, 1_usize..15, 0_usize..400).prop_map(|(within, max_wait, hold)| Bounds {
        within,
        max_wait,
        hold,
    });
    (arrivals, rate, 0_usize..8, max, bounds).prop_map(|(arrivals, rate, launch, max, bounds)| Case {
        scene: Scene { arrivals, rate, launch, max },
        bounds,
    })
}

fn assert_same(plan: &Plan, outcome: &Outcome, per_request: u64) -> Result<(), TestCaseError> {
    prop_assert_eq!(&plan.course.in_use, &outcome.in_use);
    let exact = |parts: &u64| {
        (rust_decimal::Decimal::from(*parts) / rust_decimal::Decimal::from(per_request))
            .normalize()
            .to_string()
    };
    let parts: Vec<String> = outcome.waiting.iter().map(exact).collect();
    prop_assert_eq!(waiting(&plan.course), parts);
    prop_assert_eq!(plan.waits, Some(Waits { longest: outcome.longest(), p99: outcome.p99() }));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn plans_are_those_of_a_simulation(case in cases(20, 40), is_provisioned: bool) {
        let (burst, scene) = (case.burst(), &case.scene);
        let by = if is_provisioned { By::Provisioned } else { By::Pings };
        let prices = PriceBook::embedded();
        let pricing = pricing(&prices, by);
        let plans = plans(&burst, case.bounds, &pricing);
        let [backlog, drain, cheapest, none] = &plans[..] else { unreachable!("four policies") };
        let fastest = scene.planned(u64::MAX);
        assert_same(backlog, &fastest, scene.rate.1)?;
        let unplanned = scene.unplanned();
        assert_same(none, &unplanned, scene.rate.1)?;
        prop_assert_eq!(none.started, unplanned.launches);

        // `drain` has the fewest environments, found one by one.
        let most = fastest.in_use.iter().copied().max().unwrap();
        let fewest = (1..=most).find(|cap| case.is_empty_in_time(&scene.planned(*cap)));
        prop_assert_eq!(drain.shortfall.is_none(), fewest.is_some());
        if let Some(fewest) = fewest {
            assert_same(drain, &scene.planned(fewest), scene.rate.1)?;
            prop_assert_eq!((drain.started, drain.most()), (fewest, fewest));
        } else {
            prop_assert_eq!(drain.course.empty_at(), backlog.course.empty_at());
        }

        // `cheapest` keeps to the bound where it is reachable, otherwise to the least longest wait.
        let bound = case.bounds.max_wait.max(fastest.longest());
        prop_assert_eq!(cheapest.shortfall.is_none(), fastest.longest() <= case.bounds.max_wait);
        let cap = cheapest.course.in_use.iter().copied().max().unwrap();
        let outcome = scene.planned(cap);
        assert_same(cheapest, &outcome, scene.rate.1)?;
        prop_assert!(outcome.longest() <= bound);
        for cap in 1..=most.min(60) {
            if scene.planned(cap).longest() <= bound {
                let other = plan(Policy::Backlog, &Burst { max: Some(cap.min(scene.max)), ..burst.clone() }, case.bounds, &pricing);
                prop_assert!(cheapest.money() <= other.money(), "{} environments cost less", cap);
            }
        }

        for plan in &plans {
            let is_enough = (1..=plan.course.seconds()).all(|second| plan.kept_at(second) >= plan.course.environments(second));
            prop_assert!(is_enough, "environments are in use that are not kept");
            prop_assert!(plan.started >= plan.most());
        }
    }

    #[test]
    fn windows_have_the_environments_of_the_plan(case in cases(20, 400), offset in 0_usize..60, stretch in 1_u64..400) {
        // Longer steps, so that the plan covers several minutes.
        let burst = Burst { arrivals: Arrivals::new(&case.scene.arrivals, stretch).unwrap(), ..case.burst() };
        let plan = planned(Policy::Backlog, &burst, case.bounds, By::Provisioned);
        let needed = minutes(&plan, offset);
        for second in 1..=plan.kept.len() {
            prop_assert!(needed[(offset + second) / 60] >= plan.kept_at(second));
        }
        let windows = windows(&needed, &burst, By::Provisioned);
        for (minute, needed) in (0..).zip(&needed) {
            let number = windows.iter().map(|window| number_of(window, minute)).max().unwrap();
            prop_assert!(number >= *needed, "minute {}: {} instead of {}", minute, number, needed);
        }
        let highest = windows.iter().map(|window| window.concurrency).max();
        prop_assert_eq!(highest, needed.iter().copied().max());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_plan_has_fewer_environments(case in cases(3, 12), within in 1_usize..4, max_wait in 1_usize..4) {
        let case = Case {
            scene: Scene { launch: case.scene.launch.min(2), rate: (case.scene.rate.0.clamp(2, 6), 1), ..case.scene },
            bounds: Bounds { within, max_wait, ..case.bounds },
        };
        let burst = case.burst();
        let end = case.last() + within;
        for by in [By::Pings, By::Provisioned] {
            let drain = planned(Policy::Drain, &burst, case.bounds, by);
            let cheapest = planned(Policy::Cheapest, &burst, case.bounds, by);
            // All numbers in all seconds take too long for more.
            if drain.shortfall.is_none() && drain.started <= 3 {
                prop_assert!(case.scene.can(drain.started, end, usize::MAX));
                prop_assert!(!case.scene.can(drain.started - 1, end, usize::MAX), "one fewer empties the queue");
            }
            // Within a billing step, a plan costs less only with fewer launches.
            if cheapest.shortfall.is_none() && cheapest.started <= 3 && case.bounds.hold + 30 < 300 {
                let end = case.last() + max_wait;
                prop_assert!(case.scene.can(cheapest.started, end, max_wait));
                prop_assert!(!case.scene.can(cheapest.started - 1, end, max_wait), "one fewer keeps to the bound");
            }
        }
    }
}
