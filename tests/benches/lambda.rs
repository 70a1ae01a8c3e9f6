//! Measures the Lambda function, the program `bootstrap`: `cargo bench --bench lambda`.
//!
//! Its weight: the time from the start of the process to its first request for an event, resident memory then and after
//! a tick of 1,000 pings, and the size of the binary. A round over TLS with each value of `limits.http`, with the whole
//! machine and with a seventh of a core. And a fleet of 10,000 functions with five environments each, spread over
//! several instances.
//!
//! # Results
//!
//! Two cores that the function and the emulator share, Linux x86-64, Rust 1.95.
//!
//! The first request for an event comes 3.7 ms after the start, with 14 MB resident, and 39 MB after a tick of 1,000
//! pings over plain HTTP. The size of the binary depends on the profile; `dist` makes the smaller one.
//!
//! 100 pings over TLS to a handler of 2 ms: the first round of a process, the next at once, and one after six seconds.
//! Medians of seven processes, in ms; all rounds reached 100 of 100:
//!
//! ```text
//!                               arrival spread           tick                     hold
//! CPU             limits.http   first  next  after 6 s   first  next  after 6 s   first  next  after 6 s
//! all             auto            1.4   1.6        1.0     110   109         18     100   100         10
//! all             http1           3.4   2.3        4.0     141   107         42     100   100         10
//! 1/7 of a core   auto            1.3   1.2        1.0     126   108         17     100   100         10
//! 1/7 of a core   http1           2.5   1.2       34.4     326   106        156     100   100         36
//! ```
//!
//! 10,000 functions of five environments with `max_in_flight: 500`, without canaries, in an account with room for all
//! pings: the first environment, which starts with that configuration in 152 ms, plans, puts 99 shards on the bus and
//! serves its own share in 554 ms. Of the 100 invocations, one after the other here, the median takes 519 ms and the
//! longest 554 ms. All 50,000 environments are proven.

#[path = "../cli/lambda/support.rs"]
mod support;

#[path = "quota.rs"]
mod quota;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use quota::Quota;
use serde_json::{Value, json};
use support::{LambdaHarness, ProcessOptions, Setting, now, scheduled};
use warmd::emulator::profile::Span;
use warmd::emulator::{Account, Emulator, Profile, Scenario, Tls};

/// The number of starts of the process.
const STARTS: usize = 21;
/// The number of processes for each line about TLS.
const PROCESSES: usize = 7;
/// The pings of a round over TLS.
const ROUND: u32 = 100;
/// A pause above the idle lifetime of HTTP/1.1 connections.
const PAUSE: Duration = Duration::from_secs(6);

const QUIET: [(&str, &str); 1] = [("RUST_LOG", "error")];
const BUS: [(&str, &str); 2] = [("RUST_LOG", "error"), ("WARMD_BUS", "default")];

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    warmd::aws::fd_limit::raise().unwrap();
    weight().await;
    tls().await;
    scale().await;
}

fn fleet(functions: u32, each: u32, limits: &str) -> String {
    let entry = |index: u32| {
        format!(
            "  f{index}: {{ region: eu-west-2, windows: [{{ days: daily, hours: all-day, concurrency: {each} }}] }}\n"
        )
    };
    let entries: String = (0..functions).map(entry).collect();
    format!(
        "version: 1\nlimits: {{ {limits} }}\ndefaults: {{ interval: 1m, canary: off }}\nfunctions:\n{entries}"
    )
}

fn median<T: Copy + PartialOrd>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

// ----------------------------------------------------------------------------------------------------- weight

/// Returns the resident memory, MB.
fn resident(harness: &LambdaHarness) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", harness.process())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1_024.0
}

async fn weight() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_bootstrap")).unwrap();
    let mut package = DeflateEncoder::new(Vec::new(), Compression::default());
    package.write_all(&binary).unwrap();
    let package = package.finish().unwrap();
    println!("binary: {:.1} MB; package: {:.1} MB", binary.len() as f64 / 1e6, package.len() as f64 / 1e6);
    let config = fleet(10, 100, "max_in_flight: 1000");
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let setting = Setting { scenario: Scenario::default(), config: &config, variables: &QUIET };
        starts.push(ms(LambdaHarness::set(setting).await.ready().await));
    }
    let fastest = starts.iter().copied().fold(f64::MAX, f64::min);
    println!("process start to first GET next: median {:.1} ms, fastest {fastest:.1} ms", median(starts));

    // Pings use a fifth of the account's concurrency.
    let account = Account { concurrency: 5_000, ..Account::default() };
    let scenario = Scenario { account, ..Scenario::default() };
    let mut harness = LambdaHarness::set(Setting { scenario, config: &config, variables: &QUIET }).await;
    harness.ready().await;
    println!("resident at the first GET next: {:.1} MB", resident(&harness));
    let tick = harness.tick(json!({ "warmd": { "run": {} } })).await;
    println!(
        "resident after a tick of 1000 pings: {:.1} MB; the tick took {} ms",
        resident(&harness),
        tick["duration_ms"]
    );
}

// -------------------------------------------------------------------------------------------------------- tls

/// The measurements of a round.
struct Measured {
    spread: f64,
    tick: f64,
    hold: f64,
    distinct: usize,
}

async fn tls() {
    println!("\n{ROUND} pings over TLS to a handler that takes 2 ms; medians of {PROCESSES} processes; ms");
    println!("  CPU            http      round          spread    tick    hold  distinct, worst");
    let quota = Quota::new();
    if quota.is_none() {
        println!("  (this machine allows no CPU quota: the lines of a seventh of a core are left out)");
    }
    let small = quota.as_ref().map(|quota| Some(quota.path()));
    for (cpu, cgroup) in [("the machine's", Some(None)), ("1/7 of a core", small)] {
        let Some(cgroup) = cgroup else { continue };
        for http in ["auto", "http1"] {
            let mut processes = Vec::new();
            for _ in 0..PROCESSES {
                processes.push(rounds(http, cgroup).await);
            }
            for (index, which) in ["first", "next at once", "after 6 s"].iter().enumerate() {
                let of =
                    |pick: fn(&Measured) -> f64| median(processes.iter().map(|rounds| pick(&rounds[index])));
                let worst = processes.iter().map(|rounds| rounds[index].distinct).min().unwrap();
                println!(
                    "  {cpu:<14} {http:<9} {which:<13} {:>7.1} {:>7.0} {:>7.0}  {worst:>15}",
                    of(|round| round.spread),
                    of(|round| round.tick),
                    of(|round| round.hold),
                );
            }
        }
    }
}

/// Runs three rounds of one process: the first, another at once, and one after its HTTP/1.1 connections are closed.
async fn rounds(http: &str, cgroup: Option<&Path>) -> Vec<Measured> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trusted.pem");
    std::fs::write(&file, certificate).unwrap();
    let quick = Profile {
        fetch: Span::millis(0),
        init: Span::millis(0),
        ping: Span::millis(2),
        ..Profile::default()
    };
    let emulator = Emulator::new(Scenario::default().with("f0", quick));
    let config = fleet(1, ROUND, &format!("http: {http}"));
    let variables = [("RUST_LOG", "error"), ("SSL_CERT_FILE", file.to_str().unwrap())];
    let options = ProcessOptions { tls: Some(tls), cgroup };
    let mut harness = LambdaHarness::with_options(emulator, &config, &variables, options).await;
    harness.ready().await;
    let mut measured = Vec::new();
    for pause in [None, None, Some(PAUSE)] {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        harness.emulator.reset();
        let tick = harness.tick(json!({ "warmd": { "run": {} } })).await;
        let seen = harness.emulator.observe().rounds().remove(0);
        measured.push(Measured {
            spread: ms(seen.arrival_spread),
            tick: tick["duration_ms"].as_f64().unwrap(),
            hold: tick["rounds"][0]["hold_ms"].as_f64().unwrap(),
            distinct: seen.environments,
        });
    }
    measured
}

// ------------------------------------------------------------------------------------------------------ scale

async fn scale() {
    const FUNCTIONS: u32 = 10_000;
    println!("\n{FUNCTIONS} functions of 5 environments, max_in_flight 500; one instance after the other");
    let config = fleet(FUNCTIONS, 5, "max_in_flight: 500");
    // A fifth of it, the default of `limits.account_share`, has room for all pings at once.
    let account = Account { concurrency: 5 * 5 * FUNCTIONS, ..Account::default() };
    let scenario = Scenario { remembered: 200_000, account, ..Scenario::default() };
    let mut harness = LambdaHarness::set(Setting { scenario, config: &config, variables: &BUS }).await;
    let start = harness.ready().await;
    println!("start with that configuration: {:.0} ms; {:.1} MB", ms(start), resident(&harness));
    let planner = harness.invoke_within(scheduled(now()), 900_000).await.body;
    let events = harness.emulator.observe().events;
    let shards: Vec<Value> = events
        .iter()
        .filter(|event| event.detail_type == "Warm Shard")
        .map(|event| json!({ "source": event.source, "detail-type": event.detail_type, "detail": event.detail }))
        .collect();
    println!(
        "planned, {} shards on the bus, its own share served: {} ms",
        shards.len(),
        planner["duration_ms"]
    );
    let mut took = vec![planner["duration_ms"].as_u64().unwrap()];
    let mut reports = vec![planner];
    for shard in shards {
        let tick = harness.invoke_within(shard, 900_000).await.body;
        took.push(tick["duration_ms"].as_u64().unwrap());
        reports.push(tick);
    }
    let rounds: Vec<&Value> = reports.iter().flat_map(|tick| tick["rounds"].as_array().unwrap()).collect();
    let sum = |key: &str| rounds.iter().filter_map(|round| round[key].as_u64()).sum::<u64>();
    println!(
        "{} invocations served {} rounds: median {} ms, longest {} ms; {} of {} environments proven; {:.1} MB in the end",
        took.len(),
        rounds.len(),
        median(took.iter().copied()),
        took.iter().max().unwrap(),
        sum("reached"),
        sum("target"),
        resident(&harness),
    );
    assert_eq!(rounds.len(), FUNCTIONS as usize);
}
