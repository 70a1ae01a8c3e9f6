//! A synthetic history, from a seed.

use chrono::{DateTime, Datelike as _, Utc, Weekday};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rust_decimal::Decimal;
use warmd::domain::calendar::{DaySet, Hours, Opening, Window};
use warmd::domain::coverage::{Minutes, Slo};
use warmd::domain::fleet::{Fleet, Target};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::history::{History, Row, ShortReason};
use warmd::domain::plan::Period;
use warmd::domain::schedule::Minute;

const REGIONS: [&str; 3] = ["eu-west-2", "us-east-1", "ap-southeast-2"];
const OWNERS: [&str; 5] = ["payments", "search", "shop", "identity", "data-platform"];
const ROUTES: [&str; 2] = ["nat-gateway", "interface-endpoint"];

/// Returns a period of days from 1 October 2026.
pub fn period(days: i64) -> Period {
    let from = "2026-10-01T00:00:00Z".parse::<DateTime<Utc>>().expect("an instant of this file");
    let from = Minute::of(from);
    Period { from, until: from.plus(days * 24 * 60) }
}

/// Returns the configuration and the history of so many functions. Each has two environments around the clock, and
/// every second one ten in office hours. Each has a short round on a day in ten.
pub fn month(functions: usize, days: i64) -> (Fleet, History) {
    let mut random = StdRng::seed_from_u64(17);
    let targets: Vec<Target> = (0..functions).map(target).collect();
    let first = period(days).from.epoch() / 60;
    let mut history = History::default();
    for hour in first..first + days * 24 {
        let rows = (0_i64..).zip(&targets).map(|(index, target)| {
            let incident = (hour / 24 + index) % 10 == 0 && hour % 24 == 9;
            (target.id.clone(), row(target, hour, incident, &mut random))
        });
        history.hours.insert(hour, rows.collect());
    }
    (Fleet::new(targets), history)
}

fn target(index: usize) -> Target {
    let region = Region::parse(REGIONS[index % REGIONS.len()]).expect("a region of this file");
    // 48 characters without the alias.
    let name = format!("production-checkout-service-payment-handler-{index:04}:live");
    let name = FunctionRef::parse(&name).expect("a name of this file");
    let weekly = |days: &str, hours: &str, concurrency| {
        let days = DaySet::parse(days).expect("days of this file");
        let hours = Hours::parse(hours).expect("hours of this file");
        Window::new("windows[0]", Tz::UTC, Opening::Weekly(days, hours), concurrency)
    };
    let mut windows = vec![weekly("daily", "all-day", 2)];
    if index.is_multiple_of(2) {
        windows.push(weekly("mon-fri", "08:00-18:00", 10));
    }
    Target {
        owner: Some(OWNERS[index % OWNERS.len()].to_owned()),
        memory_mb: Some(1_024),
        interval_minutes: 5,
        windows,
        slo: Some(Slo::DEFAULT),
        ..Target::bare(&name, region)
    }
}

fn row(target: &Target, hour: i64, incident: bool, random: &mut StdRng) -> Row {
    let at = Minute::from_epoch(hour * 60).instant();
    let is_weekend = matches!(at.weekday(), Weekday::Sat | Weekday::Sun);
    let is_busy = target.windows.len() > 1 && (8..18).contains(&(hour % 24)) && !is_weekend;
    let wanted: u32 = if is_busy { 10 } else { 2 };
    let lost = if incident { random.random_range(1..=wanted) } else { 0 };
    let cold = u64::from(lost) + u64::from(random.random_ratio(1, 24));
    let pings = u64::from(wanted) * 12;
    let usd = |nanos: u64| Decimal::from_i128_with_scale(nanos.into(), 9);
    let bytes = cold * 220_000_000;
    let route = ROUTES[usize::from(target.id.region.as_str() == REGIONS[0])];
    Row {
        owner: target.owner.clone(),
        minutes: Minutes {
            window: 60,
            warm: if incident { random.random_range(20..55) } else { 60 },
            ..Minutes::default()
        },
        target: wanted,
        reached: Some(wanted - lost),
        rounds: 12,
        pings,
        cold,
        short: incident.then_some((ShortReason::Throttled, 1)).into_iter().collect(),
        egress: (bytes > 0).then(|| (route.to_owned(), bytes)).into_iter().collect(),
        cost: [("requests", pings * 200), ("compute", pings * 1_667), ("s3_egress", bytes / 20_000)]
            .into_iter()
            .filter(|(_, nanos)| *nanos > 0)
            .map(|(item, nanos)| (item.to_owned(), usd(nanos)))
            .collect(),
        ..Row::default()
    }
}
