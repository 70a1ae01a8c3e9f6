use chrono::{NaiveTime, TimeDelta};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::super::coverage::sum_over_environments;
use super::super::{Download, Per, Route};
use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{Fallback, Managed, Provisioned, Strategy, default_lead_minutes, steps};
use crate::domain::cost::assume::{Assumed, Assumptions};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{Architecture, Region};
use crate::domain::plan::{Period, Scope, TargetPlan, fleet_cost};
use crate::domain::schedule::Minute;

/// 2026-11-23 00:00 UTC, a Monday.
const MONDAY: i64 = 29_923_200;
const WEEK: i64 = 7 * 1_440;

fn minute(after: i64) -> Minute {
    Minute::from_epoch(MONDAY + after)
}

/// Returns a window of ten environments from 08:00 to 18:00 on five days of the week.
fn office(zone: Tz, strategy: Strategy) -> Window {
    use chrono::Weekday::{Fri, Mon, Thu, Tue, Wed};
    let days = [Mon, Tue, Wed, Thu, Fri].into_iter().fold(DaySet::default(), DaySet::with);
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    let hours = Hours::Between { start: hour(8), end: Some(hour(18)) };
    let lead = if strategy.is_capacity() { default_lead_minutes(10) } else { 0 };
    let window = Window::new("office", zone, Opening::Weekly(days, hours), 10);
    Window { lead: TimeDelta::minutes(lead.into()), ..window }
}

/// Returns a target of 1 GB with ten environments in office hours, each of which downloads 220 MB when it is created.
fn target(strategy: Strategy) -> Target {
    Target {
        windows: vec![office(Tz::UTC, strategy)],
        strategy,
        assume: Assumptions {
            memory_mb: Assumed::Given(1_024),
            architecture: Assumed::Given(Architecture::Arm64),
            ..Assumptions::default()
        },
        ..Target::example("f:live", "us-east-1", vec![Download::example(Route::NatGateway, Per::ColdStart)])
    }
}

fn provisioned(by: By) -> Strategy {
    Strategy::Provisioned(Provisioned { by, fallback: Fallback::Pings })
}

const AUTOSCALING: By = By::Autoscaling { max: 50, utilization: 70 };

fn week(target: &Target) -> TargetPlan<'_> {
    TargetPlan::new(target, Period { from: minute(0), until: minute(WEEK) }, &PriceBook::embedded())
}

fn shown(bill: &Bill) -> String {
    let lines = bill.lines.iter().map(|line| {
        let amount = line.amount().map_or("unknown".to_owned(), |amount| amount.to_string());
        format!("{} | {} {} | {amount}", line.item, line.quantity.round_dp(6).normalize(), line.unit)
    });
    let total = bill.total().map_or("unknown".to_owned(), |total| total.to_string());
    lines.chain([format!("total {total}")]).collect::<Vec<_>>().join("\n")
}

#[test]
fn ten_environments_for_ten_hours_on_five_days() {
    let target = target(provisioned(AUTOSCALING));
    let plan = week(&target);
    // 10 hours and a lead of 4 minutes are 36,240 s, which are billed as 121 steps of 300 s. 10 environments, 5 days.
    let held = plan.cost.held.unwrap();
    assert_eq!(held.seconds, 36_300 * 10 * 5);
    // Each is replaced after 2 hours: 36,240 s are six of them.
    assert_eq!(held.created, 6 * 10 * 5);
    // Of 1 GB, at $0.0000033334: $6.05. Initialisation: 300 times 10 s at $0.0000077778. Two alarms at $0.10 for 168 of
    // 730 hours. 300 downloads of 220 MB at $0.045 per GiB.
    insta::assert_snapshot!(shown(&plan.cost.bill), @"
    Provisioned concurrency arm64 | 1815000 GB-s | 6.05
    Provisioned initialisation | 3000 GB-s | 0.02
    S3 GET requests | 300 request | 0.00
    S3 egress by nat-gateway | 61.46729 GiB | 2.77
    CloudWatch alarms of target tracking | 0.460274 alarm-month | 0.05
    total 8.89
    ");
    assert_eq!((plan.pings(), plan.rounds(), plan.cost.cold_starts), (0, 0, 0));
    assert_eq!(plan.cost.assumed, ["recycle_after", "init_duration"]);
}

#[test]
fn a_week_of_every_strategy_is_a_golden_bill() {
    let bill = |strategy| {
        let target = target(strategy);
        format!("{strategy}\n{}\n", shown(&week(&target).cost.bill))
    };
    let bills = [
        Strategy::Pings,
        provisioned(By::Direct),
        provisioned(AUTOSCALING),
        Strategy::Managed(Managed { floor: 3, max: 100 }),
    ];
    insta::assert_snapshot!(bills.map(bill).join("\n"), @"
    pings
    Lambda requests | 6000 request | 0.00
    Lambda compute arm64, first 7.5 billion GB-s | 2530 GB-s | 0.03
    S3 GET requests | 250 request | 0.00
    S3 egress by nat-gateway | 51.222742 GiB | 2.31
    CloudWatch Logs of pings | 0.002235 GiB | 0.00
    total 2.34

    provisioned by direct, otherwise pings
    Provisioned concurrency arm64 | 1815000 GB-s | 6.05
    Provisioned initialisation | 3000 GB-s | 0.02
    S3 GET requests | 300 request | 0.00
    S3 egress by nat-gateway | 61.46729 GiB | 2.77
    total 8.84

    provisioned by autoscaling up to 50 at 70%, otherwise pings
    Provisioned concurrency arm64 | 1815000 GB-s | 6.05
    Provisioned initialisation | 3000 GB-s | 0.02
    S3 GET requests | 300 request | 0.00
    S3 egress by nat-gateway | 61.46729 GiB | 2.77
    CloudWatch alarms of target tracking | 0.460274 alarm-month | 0.05
    total 8.89

    managed from 3 up to 100
    EC2 c7g.large | 504 hour | 36.54
    Managed instances fee | 504 hour | 5.48
    total 42.02
    ");
}

#[test]
fn a_fleet_adds_its_strategies_and_the_capacity_of_warmd_itself() {
    let targets = vec![target(Strategy::Pings), target(provisioned(AUTOSCALING))];
    let fleet = Fleet::new(targets);
    let plans: Vec<TargetPlan<'_>> = fleet.targets.iter().map(week).collect();
    let period = plans[0].period;
    let both = fleet_cost(&fleet, &plans, period, Scope::Fleet);
    let lines = both.warmd.unwrap().lines;
    let quantity = |item: &str| {
        let line = lines.iter().find(|line| line.item.contains(item)).unwrap();
        line.quantity.round_dp(4).to_string()
    };
    // 16 metrics for 168 of 730 hours. The utilization is read in each of the 604 minutes of five days.
    assert_eq!(quantity("CloudWatch metrics"), "3.6822");
    assert_eq!(quantity("GetMetricData"), "3020");
}

#[test]
fn managed_instances_keep_their_floor_and_follow_the_steps() {
    let strategy = Strategy::Managed(Managed { floor: 3, max: 100 });
    let few = target(strategy);
    let plan = week(&few);
    // 3 environments for a week, and 7 more for 36,240 s on five days. They are not billed by the environment.
    assert_eq!(plan.cost.held.unwrap().seconds, 3 * 604_800 + 7 * 36_240 * 5);
    assert_eq!(plan.cost.assumed, [""; 0]);
    // Ten environments of 32 GB need more than the three instances of the floor, for 50 hours and 20 minutes.
    let large = Assumptions { memory_mb: Assumed::Given(10_240), ..few.assume };
    let large = Target { assume: large, ..few.clone() };
    let plan = week(&large);
    let hours = plan.cost.bill.lines[0].quantity;
    assert_eq!(plan.cost.bill.lines[0].item, "EC2 r7g.xlarge");
    // Three of them have 32 GB and hold three environments each: three instances, and four in office hours.
    let office = Decimal::from(5 * 36_240) / Decimal::from(3_600);
    assert_eq!(hours.round_dp(6), (Decimal::from(3 * 168) + office).round_dp(6));
    let nowhere = Region::parse("eu-north-1").unwrap();
    let id = crate::domain::function::Identity { region: nowhere, ..few.id.clone() };
    let unpriced = Target { id, ..few.clone() };
    let unknown = week(&unpriced).cost.bill;
    assert_eq!(unknown.total(), None);
    assert_eq!(unknown.lines[0].unit, "environment-hour");
    let closed = Target { strategy: Strategy::Managed(Managed { floor: 0, max: 9 }), windows: vec![], ..few };
    assert_eq!(week(&closed).cost.bill, Bill::default());
}

#[test]
fn the_hours_of_a_day_with_a_clock_change_are_billed() {
    // All of Sunday 2026-10-25 in London has 25 hours, and of Sunday 2026-03-29 has 23.
    let sunday = |from: &str| {
        let opening = Opening::Weekly(DaySet::default().with(chrono::Weekday::Sun), Hours::AllDay);
        let window = Window::new("sunday", Tz::Europe__London, opening, 2);
        let target = Target { windows: vec![window], ..target(provisioned(By::Direct)) };
        let from = Minute::of(from.parse().unwrap());
        let period = Period { from, until: from.plus(WEEK) };
        TargetPlan::new(&target, period, &PriceBook::embedded()).cost.held.unwrap().seconds
    };
    assert_eq!(sunday("2026-10-19T00:00:00Z"), 2 * 25 * 3_600);
    assert_eq!(sunday("2026-03-23T00:00:00Z"), 2 * 23 * 3_600);
    assert_eq!(sunday("2026-11-23T00:00:00Z"), 2 * 24 * 3_600);
}

#[test]
fn alternatives_have_the_lead_of_their_strategy() {
    let prices = PriceBook::embedded();
    let [pings, direct] = [Strategy::Pings, provisioned(By::Direct)].map(target);
    let totals = |target: &Target| -> Vec<Option<Decimal>> {
        week(target).compare(&prices).options.iter().map(|option| option.total()).collect()
    };
    let (of_pings, of_direct) = (totals(&pings), totals(&direct));
    assert_eq!(of_pings[0], week(&pings).cost.bill.total());
    assert_eq!(of_direct[0], of_pings[0], "pings have no lead of preparation");
    assert_eq!(of_direct[1], week(&direct).cost.bill.total());
    let autoscaling = target(provisioned(AUTOSCALING));
    assert_eq!(of_pings[1], week(&autoscaling).cost.bill.total(), "the default is autoscaling");
    assert_eq!(totals(&autoscaling)[1], of_pings[1]);
}

/// Returns segments from pauses, lengths and numbers.
fn segments(parts: Vec<(i64, i64, u32)>) -> Vec<Segment> {
    let mut at = 0;
    let segment = |(pause, length, desired): (i64, i64, u32)| {
        let from = at + pause;
        at = from + length;
        Segment { from: minute(from), until: minute(at), desired, rounds: 0 }
    };
    parts.into_iter().map(segment).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn held_time_is_the_exact_time_and_less_than_a_step_for_each_rise(
        parts in prop::collection::vec((0_i64..3, 1_i64..90, 1_u32..9), 0..12),
    ) {
        let segments = segments(parts);
        let assume = Assumptions::default();
        let coverage = Coverage {
            region: Region::parse("us-east-1").unwrap(),
            segments: &[],
            steps: &segments,
            strategy: provisioned(By::Direct),
            horizon: Duration::from_secs(86_400),
            interval: Duration::from_secs(300),
            downloads: &[],
            assume: &assume,
            is_tenant: false,
        };
        let held = held_in_windows(&coverage).seconds;
        let exact: u64 = segments.iter().map(environment_seconds).sum();
        let mut before = (minute(0), 0);
        let mut rises = 0;
        for segment in &segments {
            let number = if before.0 == segment.from { before.1 } else { 0 };
            rises += u64::from(segment.desired.saturating_sub(number));
            before = (segment.until, segment.desired);
        }
        prop_assert!(held >= exact, "{held} {exact}");
        prop_assert!(held == exact || held < exact + 300 * rises, "{held} {exact} {rises}");
        // By level instead of by time: the k-th environment is billed for each period with at least k of them.
        let by_level = sum_over_environments(&segments, Duration::ZERO, |seconds| seconds.div_ceil(300) * 300);
        prop_assert_eq!(held, by_level);
    }

    #[test]
    fn capacity_costs_at_least_the_exact_time_of_its_windows(
        hours in (0_u32..12, 1_u32..12), number in 1_u32..40, ramp in 0_i64..60,
    ) {
        let prices = PriceBook::embedded();
        let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let hours = Hours::Between { start: hour(hours.0), end: Some(hour(hours.0 + hours.1)) };
        let window = Window::new("w", Tz::UTC, Opening::Weekly(DaySet::DAILY, hours), number);
        let window = Window { ramp_up: TimeDelta::minutes(ramp), ..window };
        let target = Target { windows: vec![window], ..target(provisioned(By::Direct)) };
        let plan = week(&target);
        let exact: u64 = crate::domain::schedule::segments(&target, minute(0), minute(WEEK))
            .iter()
            .map(environment_seconds)
            .sum();
        let held = plan.cost.held.unwrap().seconds;
        prop_assert!(held >= exact);
        // Each step of the capacity may begin up to five minutes early or end late, and each is billed in whole steps.
        let changes = steps(&target, minute(0), minute(WEEK)).len() as u64;
        prop_assert!(held <= exact + changes * 2 * 300 * u64::from(number), "{held} {exact} {changes}");
        let price = prices.price(&Item::ProvisionedIdle(Architecture::Arm64), target.region()).unwrap();
        prop_assert!(plan.cost.bill.lines[0].exact().unwrap() >= Decimal::from(exact) * price);
    }
}
