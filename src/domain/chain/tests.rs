use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::domain::backlog::environments;
use crate::domain::calendar::{DaySet, Hours, Opening};
use crate::domain::difference::{ChangeKind, difference};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::pipeline::Payload;
use crate::domain::schedule::Minute;

/// Returns a fleet with a pipeline of three stages in us-east-1: 600 requests a second from 08:00 to 18:00 UTC.
pub(crate) fn nlp() -> Fleet {
    let region = Region::parse("us-east-1").unwrap();
    let load = Decimal::from(600);
    let name: std::sync::Arc<str> = "nlp".into();
    let stage = |parts: &[&str], rate: u32, takes, per_backlog, payload| {
        let parts = parts.iter().map(|part| FunctionRef::parse(part).unwrap().identity(region)).collect();
        let mut stage = Stage { parts, takes, rate: rate.into(), per_backlog, payload, windows: Vec::new() };
        let time = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let hours = Hours::Between { start: time(8), end: Some(time(18)) };
        let opening = Opening::Weekly(DaySet::DAILY, hours);
        let window = Window::new("nlp: windows[0]", Tz::UTC, opening, environments(load, stage.rate));
        stage.windows = vec![Window { pipeline: Some(name.clone()), lead: TimeDelta::minutes(1), ..window }];
        stage
    };
    let payload = Payload { bytes: 2_000_000, is_via_s3: true, route: None };
    let stages = vec![
        stage(&["preprocess:live"], 600, 20, Some(6_000), None),
        stage(&["encode-a:live", "encode-b:live"], 300, 1, None, None),
        stage(&["infer:live"], 300, 1, Some(300), Some(payload)),
    ];
    let inits = [None, Some(8), Some(9), None];
    let parts = stages.iter().flat_map(|stage| stage.parts.iter().map(move |part| (part, &stage.windows)));
    let targets = parts.zip(inits).map(|((part, windows), init)| {
        let mut target = Target::example(&part.label(), "us-east-1", Vec::new());
        target.windows.clone_from(windows);
        if let Some(init) = init {
            target.assume.init_duration = Assumed::Given(Duration::from_secs(init));
        }
        target
    });
    let mut fleet = Fleet::new(targets.collect());
    fleet.pipelines =
        vec![Pipeline { name: name.clone(), region, stages, loads: vec![load], on_request: None }];
    fleet
}

/// Returns a period of whole days.
pub(crate) fn days(from: &str, days: i64) -> Period {
    let from = Minute::of(format!("{from}T00:00:00Z").parse().unwrap());
    Period { from, until: from.plus(days * 24 * 60) }
}

fn chain(fleet: &Fleet, period: Period) -> Chain<'_> {
    Chain::new(fleet, &fleet.pipelines[0], period)
}

#[test]
fn the_numbers_of_stages_are_those_of_the_load() {
    let fleet = nlp();
    let chain = chain(&fleet, days("2026-11-23", 7));
    let numbers: Vec<_> = chain.links.iter().map(|link| link.environments).collect();
    assert_eq!(numbers, [Some((1, 1)), Some((2, 2)), Some((2, 2))]);
    // 600 a second for ten hours on seven days.
    assert_eq!(chain.requests, Decimal::from(600 * 36_000 * 7));
}

#[test]
fn the_latency_is_the_sum_and_the_longest_of_all_functions() {
    let fleet = nlp();
    let latency = chain(&fleet, days("2026-11-23", 1)).cold_latency();
    let seconds = Duration::from_secs;
    let expected = ColdLatency { sequential: seconds(37), overlapped: seconds(10), is_assumed: true };
    assert_eq!(latency, expected);
}

#[test]
fn overlapping_windows_count_once_with_the_highest_load() {
    let mut fleet = nlp();
    let pipeline = &mut fleet.pipelines[0];
    pipeline.loads = vec![600.into(), 1_500.into()];
    for stage in &mut pipeline.stages {
        let time = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let hours = Hours::Between { start: time(12), end: Some(time(20)) };
        let number = environments(1_500.into(), stage.rate);
        stage.windows.push(Window::new("noon", Tz::UTC, Opening::Weekly(DaySet::DAILY, hours), number));
    }
    let chain = chain(&fleet, days("2026-11-23", 1));
    let numbers: Vec<_> = chain.links.iter().map(|link| link.environments).collect();
    assert_eq!(numbers, [Some((1, 3)), Some((2, 5)), Some((2, 5))]);
    assert_eq!(chain.requests, Decimal::from(600 * 4 * 3_600 + 1_500 * 8 * 3_600));
}

#[test]
fn a_period_without_a_window_has_no_numbers_and_no_load() {
    let fleet = nlp();
    let period = days("2026-11-23", 1);
    let night = Period { until: period.from.plus(7 * 60), ..period };
    let chain = chain(&fleet, night);
    assert!(chain.links.iter().all(|link| link.environments.is_none()));
    assert!(chain.requests.is_zero());
    let [first, ..] = &chain.links[2].payloads[..] else { panic!("no routes") };
    assert_eq!(
        (first.per_request.unwrap().to_string(), first.bill.total()),
        ("0.0000054".to_owned(), Some(Decimal::new(0, 2)))
    );
}

#[test]
fn payloads_are_priced_by_route_for_each_invocation() {
    let mut fleet = nlp();
    let shown = |fleet: &Fleet| -> Vec<String> {
        let chain = chain(fleet, days("2026-11-23", 1));
        let shown = chain.links[2].payloads.iter().map(|cost| {
            format!(
                "{} {} {}",
                cost.route,
                cost.per_request.unwrap().round_dp(9).normalize(),
                cost.bill.total().unwrap()
            )
        });
        shown.collect()
    };
    // 21,600,000 requests and 40,233.1 GiB, in both directions through a gateway or an endpoint.
    assert_eq!(
        shown(&fleet),
        [
            "same-region 0.0000054 116.64",
            "nat-gateway 0.000173038 3737.62",
            "interface-endpoint 0.000042653 921.30",
            "internet 0.000173038 3587.66",
        ]
    );
    // One payload for ten requests.
    fleet.pipelines[0].stages[2].takes = 10;
    fleet.pipelines[0].stages[2].payload =
        Some(Payload { bytes: 2_000_000, is_via_s3: true, route: Some(Route::SameRegion) });
    assert_eq!(shown(&fleet), ["same-region 0.00000054 11.66"]);
    fleet.pipelines[0].stages[2].payload = Some(Payload { bytes: 2_000_000, is_via_s3: false, route: None });
    assert!(shown(&fleet).is_empty());
}

#[test]
fn functions_without_windows_of_the_pipeline_are_named() {
    let mut fleet = nlp();
    fleet.targets[2].windows.clear();
    let chain = chain(&fleet, days("2026-11-23", 1));
    let unwarmed: Vec<String> =
        chain.links.iter().flat_map(|link| &link.unwarmed).map(|part| part.label()).collect();
    assert_eq!(unwarmed, ["encode-b:live"]);
    let infer = &fleet.targets[3].id;
    assert_eq!(names(&fleet, infer), ["nlp"]);
    let other = FunctionRef::parse("infer:beta").unwrap().identity(infer.region);
    assert!(names(&fleet, &other).is_empty());
}

#[test]
fn totals_are_sums_and_unknown_with_one_unknown() {
    let fleet = nlp();
    let period = days("2026-11-23", 1);
    let plans: Vec<TargetPlan<'_>> =
        fleet.targets.iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect();
    let comparisons: Vec<Comparison> = plans.iter().map(|plan| plan.compare(&fleet.prices)).collect();
    let sums = totals(&fleet.pipelines[0], &plans, &comparisons);
    let of = |alternative| sums.iter().find(|total: &&Total| total.alternative == alternative).unwrap();
    let pings = comparisons.iter().map(|comparison| comparison.option(CostAlternative::Pings).unwrap());
    assert_eq!(of(CostAlternative::Pings).usd, pings.map(|option| option.total()).sum());
    // Without assumed traffic the effect of no warming is unknown.
    assert_eq!(of(CostAlternative::Nothing).cold_starts, None);
    assert_ne!(cheapest(&sums), None);
    assert!(totals(&fleet.pipelines[0], &[], &[]).is_empty());
}

#[test]
fn differences_of_pipelines_have_their_numbers() {
    let (old, mut new) = (nlp(), nlp());
    let period = days("2026-11-23", 1);
    assert!(difference(&old, &new, period).is_empty());
    new.pipelines[0].loads = vec![900.into()];
    for stage in &mut new.pipelines[0].stages {
        stage.windows[0].concurrency = environments(900.into(), stage.rate);
    }
    let of = |difference: &crate::domain::difference::Difference<'_>| -> Vec<String> {
        let changes = difference.pipelines.iter().flat_map(|change| &change.settings);
        changes.map(|(name, before, after)| format!("{name} {before:?} {after:?}")).collect()
    };
    assert_eq!(
        of(&difference(&old, &new, period)),
        [
            r#"load Some("600/s") Some("900/s")"#,
            r#"preprocess:live: environments Some("1") Some("2")"#,
            r#"encode-a:live + encode-b:live: environments Some("2") Some("3")"#,
            r#"infer:live: environments Some("2") Some("3")"#,
        ]
    );
    let none = Fleet::new(Vec::new());
    let kinds = |old, new| {
        difference(old, new, period).pipelines.iter().map(|change| change.kind).collect::<Vec<_>>()
    };
    assert_eq!(
        (kinds(&none, &new), kinds(&new, &none)),
        (vec![ChangeKind::Added], vec![ChangeKind::Removed])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_load_is_that_of_a_sum_over_minutes(
        windows in prop::collection::vec((0_u32..24, 1_u32..24, 1_u32..2_000), 1..5),
        from in 0_i64..2_000,
        length in 1_i64..3_000,
    ) {
        let mut fleet = nlp();
        let pipeline = &mut fleet.pipelines[0];
        pipeline.loads = windows.iter().map(|(.., load)| Decimal::from(*load)).collect();
        for stage in &mut pipeline.stages {
            stage.windows = windows
                .iter()
                .map(|&(start, hours, load)| {
                    let time = |hour: u32| chrono::NaiveTime::from_hms_opt(hour % 24, 0, 0).unwrap();
                    let hours = Hours::Between { start: time(start), end: Some(time(start + hours)) };
                    let number = environments(load.into(), stage.rate);
                    Window::new("any", Tz::UTC, Opening::Weekly(DaySet::DAILY, hours), number)
                })
                .collect();
        }
        let start = days("2026-11-23", 1).from.plus(from);
        let chain = chain(&fleet, Period { from: start, until: start.plus(length) });
        let (mut sum, mut lowest, mut highest) = (0_u64, None::<u32>, None::<u32>);
        for minute in from..from + length {
            let hour = u32::try_from(minute.rem_euclid(24 * 60) / 60).unwrap();
            let is_open = |(start, hours): (u32, u32)| (hour + 24 - start) % 24 < hours;
            let open = windows.iter().filter(|(start, hours, _)| is_open((*start, *hours)));
            let Some(load) = open.map(|(.., load)| *load).max() else { continue };
            sum += u64::from(load) * 60;
            let number = load.div_ceil(300);
            lowest = Some(lowest.map_or(number, |lowest| lowest.min(number)));
            highest = Some(highest.map_or(number, |highest| highest.max(number)));
        }
        prop_assert_eq!(chain.requests, Decimal::from(sum));
        prop_assert_eq!(chain.links[2].environments, lowest.zip(highest));
    }
}
