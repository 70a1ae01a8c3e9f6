//! A thousand random schedules of capacity on virtual time, with faults, restarts and kills.
//!
//! `cargo bench --bench capacity` runs fleets of ten functions, each with random windows and a random strategy, for two
//! hours of ticks against the emulator, and prints its figures. `-- --schedules 100 --seed 7` chooses the
//! number and the first seed: each fleet has the next one, and the same seed gives the same schedules and faults. The
//! rules are those of the test, see `tests/wire/capacity_random/random.rs`. A rule that is violated is printed with its
//! seed, and the exit code is 1.

// The test has more use of both.
#[allow(dead_code)]
#[path = "../wire/capacity_random/random.rs"]
mod random;
#[allow(dead_code)]
#[path = "../wire/capacity_random/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The functions of a fleet.
const FUNCTIONS: usize = 10;
/// The minutes of a fleet.
const MINUTES: u64 = 120;

// The time is that of this machine.
#[allow(clippy::disallowed_methods)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, usual: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(usual, |at| arguments[at + 1].parse().expect("a number"))
    };
    let (schedules, seed) = (number("--schedules", 1_000), number("--seed", 1));
    let begun = Instant::now();
    let (mut figures, mut violations) = (random::Figures::default(), 0);
    for seed in seed..seed + schedules.div_ceil(FUNCTIONS as u64) {
        // Each fleet begins at the same time.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        figures += runtime.expect("a runtime").block_on(random::run(seed, FUNCTIONS, MINUTES));
        for violation in figures.violations.drain(..) {
            violations += 1;
            println!("violated: {violation}");
        }
        if figures.schedules.is_multiple_of(100) {
            eprintln!("{} schedules after {:.0} s", figures.schedules, begun.elapsed().as_secs_f64());
        }
    }
    print(seed, &figures, violations, begun.elapsed());
    if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints figures.
fn print(seed: u64, figures: &random::Figures, violations: u64, took: Duration) {
    let faults: Vec<String> = figures.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let (ours, theirs) = (figures.ours, figures.theirs);
    println!("first seed           {seed}");
    println!("schedules            {}", figures.schedules);
    println!("ticks                {}", figures.ticks);
    println!("calls                {}", figures.calls);
    println!("faults               {}", faults.join(", "));
    println!("numbers checked      {}", figures.reached);
    println!("actions checked      {}, {} ahead at most", figures.actions.0, figures.actions.1);
    println!("environment-seconds  {ours} reported, {theirs} billed");
    println!("largest difference   {} of a function, {} allowed", figures.worst.0, figures.worst.1);
    println!("violations           {}", violations);
    println!("time                 {:.0} s", took.as_secs_f64());
}
