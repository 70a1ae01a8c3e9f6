//! Measures how long loading and deciding take, and how each grows with size: a configuration file, a tick of a whole
//! fleet, a year of plan.
//!
//! `cargo bench --bench plan` prints one line for each measurement: the median and the best of several runs, one
//! thread.
//!
//! # Results
//!
//! Two cores, Linux x86-64, Rust 1.95, medians. A tick of 10,000 functions takes 5.2 ms, a year of plan for 100
//! functions 19.3 ms, and loading a file of 10,000 functions 283 ms. All three grow in proportion to the number of
//! functions.

// A stopwatch needs the real clock, not the one that tests pause.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, TimeDelta};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use warmd::config::{SourceFile, resolve};
use warmd::domain::budget::{Budget, Month, OnExceed, Rest, Spending, Spent, standings};
use warmd::domain::calendar::{DateSet, DaySet, Hours, Opening, Window, parse_cron};
use warmd::domain::fleet::{Fleet, Target};
use warmd::domain::function::{Architecture, FunctionRef, Identity, Region};
use warmd::domain::schedule::{Minute, Mode, Segment, phase, plan_tick, segments};
use warmd::service::spending::{Budgets, rest};

/// The number of runs of each measurement.
const RUNS: usize = 15;
const YEAR_MINUTES: i64 = 365 * 24 * 60;
const ZONES: [Tz; 6] = [
    Tz::Europe__London,
    Tz::America__New_York,
    Tz::Asia__Kolkata,
    Tz::Australia__Sydney,
    Tz::America__Sao_Paulo,
    Tz::Africa__Casablanca,
];

fn main() {
    let now = minute("2026-11-20T09:00:00Z");
    let [name, size, median, best, each] = ["measured", "size", "median", "best", "per item"];
    println!("{name:<44} {size:>8} {median:>11} {best:>11} {each:>13}  target");
    for size in [100, 1_000, 10_000] {
        let text = written(size);
        let target = if size == 10_000 { "<= 500 ms" } else { "" };
        line("loading a file of functions", size, target, || load(&text));
    }
    for size in [100, 1_000, 10_000] {
        let fleet = fleet(size);
        let (target, mode) = (if size == 10_000 { "<= 10 ms" } else { "" }, Mode::DueSince(now.plus(-1)));
        line("tick, due since the minute before", size, target, || plan_tick(&fleet, now, mode).len());
        line("tick, between two due minutes", size, target, || {
            plan_tick(&fleet, now.plus(2), Mode::DueOnly).len()
        });
        line("tick, every target above zero", size, target, || plan_tick(&fleet, now, Mode::Open).len());
        line("tick after an hour of suspension", size, "", || {
            plan_tick(&fleet, now, Mode::DueSince(now.plus(-60))).len()
        });
    }
    for size in [10, 100, 1_000] {
        let fleet = fleet(size);
        let target = if size == 100 { "<= 100 ms" } else { "" };
        line("a year of plan", size, target, || year(&fleet, now));
    }
    for size in [1_000, 10_000] {
        // Two owners and the fleet.
        let mut fleet = fleet(size);
        let budget = Budget { monthly_usd: 10.into(), on_exceed: OnExceed::Reduce, stop_capacity: false };
        fleet.budget = Some(budget);
        fleet.owner_budgets = [("odd".to_owned(), budget), ("even".to_owned(), budget)].into();
        for (index, target) in fleet.targets.iter_mut().enumerate() {
            target.owner = Some(if index % 2 == 0 { "even" } else { "odd" }.to_owned());
        }
        let begin = now.instant();
        let mut spending = Spending::of(Month::of(begin));
        let spent = Spent { pings_usd: Decimal::new(1, 4), pings: 9, ..Spent::default() };
        let costs = fleet.targets.iter().map(|target| (target.id.clone(), spent)).collect();
        spending.add(1, &costs, begin);
        let of_month = |target: &Target| rest(target, begin, &fleet.prices);
        let rests: BTreeMap<&Identity, Rest> =
            fleet.targets.iter().map(|target| (&target.id, of_month(target))).collect();
        let target = if size == 10_000 { "<= 100 ms" } else { "" };
        line("what is spent of budgets", size, "", || standings(&fleet, &spending, begin).len());
        line("numbers of budgets, with counted schedules", size, target, || {
            Budgets::new(&fleet, &spending, |target| rests[&target.id].clone(), begin).standings.len()
        });
        line("numbers of budgets, with a third of a month", size, "", || {
            Budgets::new(&fleet, &spending, of_month, begin).standings.len()
        });
    }
    let fleet = dense(10);
    line("a year of plan, cron every five minutes", 10, "", || year(&fleet, now));
}

/// Parses and resolves the text of a file, like every command.
fn load(text: &str) -> usize {
    let file = SourceFile { path: "fleet.yaml".to_owned(), text: text.to_owned() };
    let loaded = resolve(vec![file], &mut |_| Err("no file is named".to_owned()), None);
    loaded.expect("the file of this bench is sound").fleet.targets.len()
}

/// Returns [`fleet`] in YAML.
fn written(size: usize) -> String {
    let mut text = "version: 1
calendars:
  holidays: { dates: [2026-12-25, 2026-12-28, 2027-01-01, 2027-03-26] }
defaults: { region: eu-west-2, timezone: Europe/London, interval: 5m, stagger: true, owner: payments }
functions:
"
    .to_owned();
    for index in 0..size {
        let (zone, interval) = (ZONES[index % ZONES.len()], 4 + index % 3);
        let windows = match index % 4 {
            0 => {
                "
      - { days: mon-fri, hours: \"08:00-18:00\", concurrency: 10, lead: 2m }
      - { days: mon-fri, hours: \"12:00-14:00\", concurrency: 25, ramp_up: 10m, ramp_down: 30m }"
            }
            1 => {
                "
      - { days: mon-fri, hours: \"07:30-19:00\", concurrency: 4, except: [holidays] }
      - { days: sat-sun, hours: \"22:00-06:00\", concurrency: 2 }"
            }
            2 => {
                "
      - { cron: \"30 7 * * mon-fri\", for: 2h, concurrency: 3 }
      - { dates: [2026-12-25, 2026-12-28, 2027-01-01, 2027-03-26], hours: all-day, concurrency: 40 }"
            }
            _ => {
                "
      - { days: daily, hours: all-day, concurrency: 1 }"
            }
        };
        text += &format!(
            "  function-{index}:live:
    timezone: {zone}
    interval: {interval}m
    memory: 1024MB
    windows:{windows}
"
        );
    }
    text
}

fn year(fleet: &Fleet, now: Minute) -> usize {
    let plan = |target| segments(target, now, now.plus(YEAR_MINUTES)).iter().map(Segment::pings).sum::<u64>();
    usize::try_from(fleet.targets.iter().map(plan).sum::<u64>()).unwrap_or(usize::MAX)
}

fn line(name: &str, size: usize, target: &str, mut work: impl FnMut() -> usize) {
    let mut times: Vec<Duration> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(work());
        times.push(start.elapsed());
    }
    times.sort();
    let median = times[RUNS / 2];
    let each = median / u32::try_from(size).unwrap_or(1);
    println!("{name:<44} {size:>8} {:>11} {:>11} {:>13}  {target}", ms(median), ms(times[0]), us(each));
}

fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn us(time: Duration) -> String {
    format!("{:.3} us", time.as_secs_f64() * 1e6)
}

fn minute(text: &str) -> Minute {
    Minute::of(DateTime::parse_from_rfc3339(text).expect("an instant of this file").to_utc())
}

/// Creates a realistic fleet: working hours with a ramped peak, nights, batch windows by cron, single dates and
/// holidays, in six time zones, with intervals of 4 to 6 minutes.
fn fleet(size: usize) -> Fleet {
    let date = |text: &str| text.parse::<NaiveDate>().expect("a date of this file");
    let holidays = Arc::new(DateSet {
        name: "holidays".to_owned(),
        dates: ["2026-12-25", "2026-12-28", "2027-01-01", "2027-03-26"].map(date).into(),
        ranges: vec![(date("2026-12-18"), date("2027-01-04"))],
    });
    let target = |index: usize| {
        let zone = ZONES[index % ZONES.len()];
        let weekly = |days: &str, hours: &str, n: u32| {
            let opening = Opening::Weekly(
                DaySet::parse(days).expect("days of this file"),
                Hours::parse(hours).expect("hours of this file"),
            );
            window(zone, opening, n)
        };
        let windows = match index % 4 {
            0 => vec![
                Window { lead: TimeDelta::minutes(2), ..weekly("mon-fri", "08:00-18:00", 10) },
                Window {
                    ramp_up: TimeDelta::minutes(10),
                    ramp_down: TimeDelta::minutes(30),
                    ..weekly("mon-fri", "12:00-14:00", 25)
                },
            ],
            1 => vec![
                Window { except: vec![Arc::clone(&holidays)], ..weekly("mon-fri", "07:30-19:00", 4) },
                weekly("sat-sun", "22:00-06:00", 2),
            ],
            2 => vec![
                cron(zone, "30 7 * * mon-fri", 120, 3),
                window(zone, Opening::Dates(holidays.dates.clone(), Hours::AllDay), 40),
            ],
            _ => vec![weekly("daily", "all-day", 1)],
        };
        new_target(index, windows)
    };
    Fleet::new((0..size).map(target).collect())
}

/// Creates a fleet whose windows open every five minutes for two minutes.
fn dense(size: usize) -> Fleet {
    Fleet::new((0..size).map(|index| new_target(index, vec![cron(ZONES[0], "*/5 * * * *", 2, 3)])).collect())
}

fn cron(zone: Tz, text: &str, minutes: i64, concurrency: u32) -> Window {
    let schedule = Box::new(parse_cron(text).expect("a cron expression of this file"));
    window(zone, Opening::Cron(schedule, TimeDelta::minutes(minutes)), concurrency)
}

fn window(zone: Tz, opening: Opening, concurrency: u32) -> Window {
    Window::new("windows[0]", zone, opening, concurrency)
}

fn new_target(index: usize, windows: Vec<Window>) -> Target {
    let name = FunctionRef::parse(&format!("function-{index}:live")).expect("a function of this file");
    let id = name.identity(Region::parse("eu-west-2").expect("a known region"));
    let interval_minutes = 4 + u32::try_from(index % 3).unwrap_or(0);
    let phase_minutes = phase(&id, interval_minutes);
    let bare = Target::bare(&name, id.region);
    Target { architecture: Architecture::Arm64, interval_minutes, phase_minutes, windows, ..bare }
}
