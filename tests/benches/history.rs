//! Measures the size of the history, the work of writing it, and its requests: an hour of a fleet whose functions are
//! pinged every five minutes.
//!
//! `cargo bench --bench history` prints a line for each size of the fleet, the requests of a month, and the time to read
//! 28 days from a directory. It fails if the state or the document of a day is larger than the state store accepts, or if
//! the minutes take more than ten seconds to read, which `warmd status` waits for.

// A stopwatch needs the real clock, not the one that tests pause.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use warmd::domain::calendar::{DaySet, Hours, Opening, Window};
use warmd::domain::cost::{Item, PriceBook};
use warmd::domain::coverage::{Found, Look};
use warmd::domain::coverage::{Minutes, Slo};
use warmd::domain::fleet::{Fleet, Target};
use warmd::domain::function::{FunctionRef, Identity, Region};
use warmd::domain::history::{DayFile, Objectives, Observed, OpenHistory, Others, Row};
use warmd::domain::plan::Period;
use warmd::domain::records::MOST_BYTES;
use warmd::domain::review::Reviewing;
use warmd::domain::schedule::Minute;
use warmd::domain::tick::TickReport;
use warmd::engine::ports::{Condition, ObjectStore};
use warmd::service::history::{for_each_hour, for_each_minutes};
use warmd::service::store::{Directory, DocumentStore, Durability};

const REGION: &str = "eu-west-2";
/// The minutes between two moves into the document of a day: the tick after five minutes.
const MOVED_MINUTES: u32 = 6;
/// The days that are read: the default period of an objective.
const READ_DAYS: i64 = 28;
/// The longest time to read their minutes.
const MOST_READING: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    println!(
        "{:>8} {:>13} {:>13} {:>13} {:>13} {:>14} {:>11} {:>11} {:>11}",
        "targets",
        "state",
        "a target",
        "hour packed",
        "a target",
        "day document",
        "note",
        "serialize",
        "move"
    );
    let mut largest = 0;
    for targets in [100, 1_000, 10_000] {
        largest = largest.max(measure(targets));
    }
    requests();
    let (day, time) = read(10_000);
    match largest.max(day) > MOST_BYTES || time > MOST_READING {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn fleet(targets: usize) -> Fleet {
    let window = Window::new("always", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, Hours::AllDay), 10);
    let target = |number: usize| {
        let function = FunctionRef::parse(&format!("payments-service-{number:05}:live")).unwrap();
        Target {
            owner: Some(format!("team-{}", number % 40)),
            windows: vec![window.clone()],
            interval_minutes: 5,
            ..Target::bare(&function, Region::parse(REGION).unwrap())
        }
    };
    Fleet::new((0..targets).map(target).collect())
}

/// A row of a round whose numbers differ from those of other rounds, so that they do not compress too well.
fn row(target: &Target, seed: u64) -> Row {
    let noise = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let usd = |units: u64| Decimal::new(i64::try_from(units).unwrap(), 10);
    Row {
        owner: target.owner.clone(),
        target: 10,
        reached: Some(10),
        rounds: 1,
        pings: 10 + noise % 2,
        cold: noise % 7 / 6,
        cost: [
            ("requests".to_owned(), usd(20_000)),
            ("compute".to_owned(), usd(1_000_000 + noise % 1_000_000)),
        ]
        .into(),
        egress: if noise.is_multiple_of(50) {
            [("nat-gateway".to_owned(), noise)].into()
        } else {
            BTreeMap::new()
        },
        ..Row::default()
    }
}

fn observed(fleet: &Fleet, at: DateTime<Utc>, write: u64) -> Observed {
    let look = Look { reached: Some(10), found: Found::Warm(10), is_capped: false, serves_minutes: 5 };
    let rows = (0..)
        .zip(&fleet.targets)
        .map(|(number, target)| (target.id.clone(), row(target, number * 31 + write)));
    let looks = fleet.targets.iter().map(|target| (target.id.clone(), look));
    let (rows, looks) = (rows.collect(), looks.collect());
    Observed {
        rows,
        looks: Some(looks),
        ..Observed::new(&TickReport::empty(at, None), fleet, at, write, true)
    }
}

fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    *total += begun.elapsed();
    result
}

/// Simulates an hour, whose rounds are all in the same minute of the interval, and prints a line. Returns the bytes of
/// the state.
fn measure(number: usize) -> usize {
    let (fleet, region) = (fleet(number), Region::parse(REGION).unwrap());
    let targets: std::collections::HashMap<&Identity, &Target> =
        fleet.targets.iter().map(|target| (&target.id, target)).collect();
    let begin: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
    let (mut history, mut day, mut moved) = (OpenHistory::default(), DayFile::default(), Vec::new());
    let [mut noting, mut serializing, mut moving] = [Duration::ZERO; 3];
    let (mut largest, mut moves) = (0, 0);
    // The rounds of the next hour judge the last minutes of this one.
    for minute in 0..=66 {
        let (at, write) = (begin + TimeDelta::minutes(minute), u64::try_from(minute).unwrap());
        let tick = if minute % 5 == 0 && minute <= 60 {
            observed(&fleet, at, write)
        } else {
            Observed::new(&TickReport::empty(at, None), &fleet, at, write, true)
        };
        timed(&mut noting, || history.note(&tick, &fleet, Others::None, at));
        let sealed = history.seal(&moved, at).cloned();
        let bytes = timed(&mut serializing, || serde_json::to_vec(&history).unwrap());
        largest = largest.max(bytes.len());
        if let Some(sealed) = sealed {
            moves += 1;
            timed(&mut moving, || {
                day = DayFile::parse(&day.bytes()).unwrap();
                for (hour, own) in sealed.days().into_values().flatten().map(|hour| {
                    (u8::try_from(hour.rem_euclid(24)).unwrap(), sealed.rows_of(region, hour, &targets))
                }) {
                    day.add(hour, region, sealed.write, &own).unwrap();
                }
            });
            moved.push(sealed.write);
        }
    }
    let rows = day.rows(9, region).unwrap();
    assert_eq!(rows.len(), number);
    assert!(rows.values().all(|row| row.minutes.window == 60 && row.minutes.warm == 60), "an hour is judged");
    let hour = day.bytes().len() - {
        let mut next = DayFile::default();
        next.add(10, region, 0, &day.rows(10, region).unwrap()).unwrap();
        next.bytes().len()
    };
    let each = |bytes: usize| bytes as f64 / number as f64;
    println!(
        "{number:>8} {:>10} kB {:>11.1} B {:>10} kB {:>11.1} B {:>11.1} MB {:>8.1} ms {:>8.1} ms {:>8.1} ms",
        largest / 1_000,
        each(largest),
        hour / 1_000,
        each(hour),
        hour as f64 * 24.0 / 1e6,
        noting.as_secs_f64() * 1e3 / 67.0,
        serializing.as_secs_f64() * 1e3 / 67.0,
        moving.as_secs_f64() * 1e3 / f64::from(moves),
    );
    largest
}

/// Reads days from a directory as `warmd status` and `warmd report` do, and prints the times. Returns the bytes of a day,
/// and the time to read the minutes.
fn read(number: usize) -> (usize, Duration) {
    let (mut fleet, region) = (fleet(number), Region::parse(REGION).unwrap());
    let mut day = DayFile::default();
    for hour in 0..24 {
        let rows = (0..).zip(&fleet.targets).map(|(place, target)| {
            let minutes = Minutes { window: 60, warm: 60 - place % 5, ..Minutes::default() };
            let seed = place * 31 + u64::from(hour) * 7;
            (
                target.id.clone(),
                (0..12).fold(Row::of_minutes(minutes), |mut sum, round| {
                    sum.add(&row(target, seed + round * 1_009));
                    sum
                }),
            )
        });
        day.add(hour, region, 1, &rows.collect()).unwrap();
    }
    fleet.targets.iter_mut().for_each(|target| target.slo = Some(Slo::DEFAULT));
    let until: DateTime<Utc> = "2026-11-20T00:00:00Z".parse().unwrap();
    let from = until - TimeDelta::days(READ_DAYS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (bytes, directory) = (day.bytes(), Directory::new(folder.path()));
    runtime.block_on(async {
        for number in 0..READ_DAYS {
            let key = format!("{}.gz", DayFile::document(region, from + TimeDelta::days(number), None));
            directory.put(&key, bytes.clone(), Condition::New).await.unwrap();
        }
        let store = DocumentStore::new(Arc::new(directory), Durability::Durable);
        println!("{READ_DAYS} days of {number} targets, {:.1} MB a day:", bytes.len() as f64 / 1e6);
        let shown = |what: &str, time: Duration| println!("{what:>20} {:.1} s", time.as_secs_f64());
        let slos = fleet.targets.iter().map(|target| (target.id.clone(), Slo::DEFAULT)).collect();
        let mut objectives = Objectives::new(&slos, until);
        let begun = Instant::now();
        let add = |id: &Identity, hours: &[_]| objectives.add_minutes(id, hours);
        assert!(for_each_minutes(&store, from, until, add).await.unwrap().is_empty());
        let minutes = begun.elapsed();
        shown("minutes read", minutes);
        let rows = 24 * u64::try_from(READ_DAYS).unwrap() * number as u64;
        assert_eq!(objectives.fleet().unwrap().minutes.window, rows * 60);
        let (begun, mut found) = (Instant::now(), 0);
        for_each_hour(&store, from, until, |_, rows| found += rows.len() as u64).await.unwrap();
        shown("rows read", begun.elapsed());
        assert_eq!(found, rows);
        let period = Period { from: Minute::of(from), until: Minute::of(until) };
        let (begun, mut reviewing) = (Instant::now(), Reviewing::new(&fleet, period));
        for_each_hour(&store, from, until, |hour, rows| reviewing.add(hour, &rows)).await.unwrap();
        assert_eq!(reviewing.finish(Vec::new()).functions.len(), number);
        shown("read and reviewed", begun.elapsed());
        (bytes.len(), minutes)
    })
}

/// Prints the requests of a month of 730 hours with windows that are always open, and their price in us-east-1.
fn requests() {
    let moves = 730 * 60 / MOVED_MINUTES;
    let region = Region::parse("us-east-1").unwrap();
    let prices = PriceBook::embedded();
    let price = |item: Item| prices.price(&item, region).unwrap() * Decimal::from(moves);
    println!(
        "a month: {moves} reads and {moves} writes of documents of days for each region and writer: {} US dollars",
        price(Item::S3Get) + price(Item::S3Put)
    );
}
