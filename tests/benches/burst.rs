//! Measures how long the plan of a burst takes: an hour of arrivals, one number for each second, all policies.
//!
//! `cargo bench --bench burst` prints one line for each burst: the median and the best of several runs, one thread.
//!
//! # Results
//!
//! Linux x86-64, Rust 1.95:
//!
//! ```text
//! an hour of arrivals, all policies            strategy      median        best  target
//! two waves                                       pings    1.671 ms    1.639 ms  < 50 ms
//! two waves                                 provisioned    1.455 ms    1.386 ms  < 50 ms
//! constant                                        pings    1.063 ms    1.034 ms  < 50 ms
//! constant                                  provisioned    5.987 ms    5.899 ms  < 50 ms
//! random                                          pings    1.340 ms    1.299 ms  < 50 ms
//! random                                    provisioned   11.010 ms    9.811 ms  < 50 ms
//! ```

// A stopwatch needs the real clock, not the one that tests pause.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use warmd::domain::burst::{Arrivals, Bounds, Burst, By, Pricing, Rate, plans};
use warmd::domain::cost::PriceBook;
use warmd::domain::function::{Architecture, Region};

/// The number of runs of each measurement.
const RUNS: usize = 15;
const HOUR: u64 = 3_600;

fn main() {
    let [name, strategy, median, best] = ["an hour of arrivals, all policies", "strategy", "median", "best"];
    println!("{name:<40} {strategy:>12} {median:>11} {best:>11}  target");
    // Two waves, a constant rate, and numbers without a pattern (those of a linear congruential generator).
    let waves = |second: u64| if second % 1_800 < 600 { 2_000 + second % 600 * 20 } else { 0 };
    let mut state = 7_u64;
    let random = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 20_000
    };
    let bursts: [(&str, Vec<u64>); 3] = [
        ("two waves", (0..HOUR).map(waves).collect()),
        ("constant", vec![10_000; 3_600]),
        ("random", (0..HOUR).map(random).collect()),
    ];
    for (name, numbers) in &bursts {
        for by in [By::Pings, By::Provisioned] {
            line(name, numbers, by);
        }
    }
}

fn line(name: &str, numbers: &[u64], by: By) {
    let prices = PriceBook::embedded();
    let pricing = Pricing {
        prices: &prices,
        region: Region::parse("us-east-1").expect("a known region"),
        architecture: Architecture::X86_64,
        memory_mb: 1_024,
        per_invocation: 30,
        by,
    };
    let bounds = Bounds { within: 10, max_wait: 10, hold: 60 };
    let mut times: Vec<Duration> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        let burst = Burst {
            arrivals: Arrivals::new(numbers, 1).expect("some requests"),
            rate: Rate::parse("300").expect("a rate"),
            launch: 4,
            max: None,
        };
        black_box(plans(&burst, bounds, &pricing));
        times.push(start.elapsed());
    }
    times.sort();
    let ms = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
    println!("{name:<40} {:>12} {:>11} {:>11}  < 50 ms", by.name(), ms(times[RUNS / 2]), ms(times[0]));
}
