//! Measures how long a report takes: reading the documents of the history, adding up, and rendering the page.
//!
//! `cargo bench --bench report` prints a line for each number of functions, and its page's size. It fails if 200
//! functions need more than a second or a page of more than 300 KB.

// A stopwatch needs the real clock, not the one that tests pause.
#![allow(clippy::disallowed_methods)]

mod month;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use warmd::cli::report_page;
use warmd::domain::function::Region;
use warmd::domain::history::{DayFile, History, Rows};
use warmd::domain::review::review;
use warmd::domain::schedule::Minute;

/// The number of runs of each measurement.
const RUNS: usize = 5;
/// The length of the period.
const DAYS: i64 = 30;

/// The number of functions that the bounds are for, and the bounds: the time, and the bytes of the page.
const BOUND: (usize, Duration, usize) = (200, Duration::from_secs(1), 300_000);

fn main() -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    println!(
        "{:>9}  {:>12} {:>11} {:>11} {:>11} {:>11}  target",
        "functions", "documents", "read", "review", "page", "all"
    );
    for functions in [50, 200, 800] {
        let (fleet, history) = month::month(functions, DAYS);
        let documents = documents(&history);
        let bytes: usize = documents.iter().map(|(_, _, bytes)| bytes.len()).sum();
        let mut runs: Vec<[Duration; 3]> = Vec::with_capacity(RUNS);
        let mut size = 0;
        for _ in 0..RUNS {
            let start = Instant::now();
            let history = read(&documents);
            let read = start.elapsed();
            let review = review(&history, &fleet, month::period(DAYS));
            let reviewed = start.elapsed();
            size = report_page(&review, false).len();
            runs.push([read, reviewed - read, start.elapsed() - reviewed]);
        }
        runs.sort_by_key(|times| times.iter().sum::<Duration>());
        let times = runs[RUNS / 2];
        let all: Duration = times.iter().sum();
        let [read, reviewed, rendered] = times.map(ms);
        let target = if functions == BOUND.0 { "<= 1 s, <= 300 kB" } else { "" };
        if functions == BOUND.0 && (all > BOUND.1 || size > BOUND.2) {
            exit = ExitCode::FAILURE;
        }
        println!(
            "{functions:>9}  {:>9} kB {read:>11} {reviewed:>11} {rendered:>11} {:>11}  page {} kB  {target}",
            bytes / 1_000,
            ms(all),
            size / 1_000,
        );
    }
    exit
}

/// Returns the documents of a history, by region and day.
fn documents(history: &History) -> Vec<(Region, i64, Vec<u8>)> {
    let mut files: BTreeMap<(Region, i64), DayFile> = BTreeMap::new();
    for (hour, rows) in &history.hours {
        let mut regions: BTreeMap<Region, Rows> = BTreeMap::new();
        for (id, row) in rows {
            regions.entry(id.region).or_default().insert(id.clone(), row.clone());
        }
        for (region, rows) in regions {
            let file = files.entry((region, hour.div_euclid(24))).or_default();
            let of_day = u8::try_from(hour.rem_euclid(24)).expect("an hour of a day");
            file.add(of_day, region, 1, &rows).expect("a new document");
        }
    }
    files.into_iter().map(|((region, day), file)| (region, day, file.bytes())).collect()
}

/// Reads the documents as `warmd report` does, without the store.
fn read(documents: &[(Region, i64, Vec<u8>)]) -> History {
    let mut history = History::default();
    for (region, day, bytes) in documents {
        let file = DayFile::parse(bytes).expect("a document of this bench");
        for hour in file.hours() {
            let rows = file.rows(hour, *region).expect("an hour of this bench");
            history.hours.entry(day * 24 + i64::from(hour)).or_default().extend(rows);
        }
    }
    assert!(history.hours.keys().all(|hour| Minute::from_epoch(hour * 60) < month::period(DAYS).until));
    history
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
