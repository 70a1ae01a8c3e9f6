//! How well N pings go out together: warmd beside the bare SDK with its default client, each in a process of its own,
//! against the emulator in a third, with a function that takes 100 ms.
//!
//! `cargo bench --bench fanout`

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region as SdkRegion, retry::RetryConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::aws::{AwsLambda, Clients, descriptors};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::Answer;
use warmd::emulator::profile::Span;
use warmd::emulator::{Emulator, Profile, Round, Scenario, listen};
use warmd::engine::ports::{Lambda, Ping};
use warmd::engine::release::Release;

/// What the function takes, ms.
const FUNCTION_MS: u64 = 100;
/// Rounds of one process. The first opens the connections.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["serve"] => serve().await,
        ["warmd", endpoint, n] => warmd(endpoint, n.parse().unwrap()).await,
        ["bare", endpoint, n] => bare(endpoint, n.parse().unwrap()).await,
        _ => compare(),
    }
}

/// A part of the benchmark in a process of its own.
fn part(arguments: &[&str]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn compare() {
    println!("{ROUNDS} rounds a process; a {FUNCTION_MS} ms function; plain HTTP on loopback; times in ms");
    println!("                             wall            arrival spread");
    println!("    N  client  distinct   first    best      first    best    CPU us/ping  peak MB");
    for n in ["10", "100", "1000"] {
        for client in ["warmd", "bare"] {
            let mut server = part(&["serve"]);
            let mut seen = BufReader::new(server.stdout.take().unwrap());
            let mut endpoint = String::new();
            seen.read_line(&mut endpoint).unwrap();
            let out = part(&[client, endpoint.trim(), n]).wait_with_output().unwrap();
            // The end of its input is the server's sign to tell what it saw.
            drop(server.stdin.take());
            let mut rounds = String::new();
            seen.read_to_string(&mut rounds).unwrap();
            server.wait().unwrap();
            let rounds: Vec<Round> = serde_json::from_str(&rounds).unwrap();
            line(n, client, &serde_json::from_slice(&out.stdout).unwrap(), &rounds);
        }
    }
}

/// Prints a line of the table. Distinct environments are those of the worst round.
fn line(n: &str, client: &str, own: &Figures, rounds: &[Round]) {
    let best = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let spreads: Vec<f64> = rounds.iter().map(|round| round.arrival_spread.as_secs_f64() * 1e3).collect();
    println!(
        "{n:>5}  {client:<6} {:>9} {:>7.1} {:>7.1}    {:>7.2} {:>7.2}    {:>11.0}  {:>7.1}",
        rounds.iter().map(|round| round.environments).min().unwrap_or_default(),
        own.walls.first().unwrap(),
        best(&own.walls),
        spreads.first().unwrap(),
        best(&spreads),
        own.cpu_us,
        own.peak_mb,
    );
}

/// What a client measured of itself.
#[derive(serde::Serialize, serde::Deserialize)]
struct Figures {
    /// Of each round, from the first task to the last answer, ms.
    walls: Vec<f64>,
    /// CPU time per ping, microseconds.
    cpu_us: f64,
    /// Peak resident memory, MB.
    peak_mb: f64,
}

/// Runs the rounds of `n` pings that `round` makes (of a round's number), and prints the figures.
async fn measure(n: usize, round: impl AsyncFn(usize)) {
    let before = cpu();
    let mut walls = Vec::new();
    for number in 0..ROUNDS {
        let began = Instant::now();
        round(number).await;
        walls.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let cpu_us = (cpu() - before).as_secs_f64() * 1e6 / (n * ROUNDS) as f64;
    println!("{}", serde_json::to_string(&Figures { walls, cpu_us, peak_mb: peak_mb() }).unwrap());
}

fn payload(round: usize, index: usize, n: usize) -> Vec<u8> {
    let warmd = serde_json::json!({
        "version": 1, "round": round.to_string(), "index": index, "concurrency": n, "hold_ms": 0
    });
    serde_json::json!({ "warmd": warmd }).to_string().into_bytes()
}

async fn warmd(endpoint: &str, n: usize) {
    descriptors::raise().unwrap();
    let lambda = AwsLambda::new(Arc::new(Clients::local(endpoint)));
    let function = FunctionRef::parse("f").unwrap().identity(Region::parse("eu-west-2").unwrap());
    measure(n, async |round| {
        let mut release = Release::new(n, Duration::from_secs(5));
        let mut tasks = JoinSet::new();
        for index in 0..n {
            let (lambda, ticket) = (lambda.clone(), release.ticket());
            let ping = Ping {
                function: function.clone(),
                payload: payload(round, index, n),
                client_context: None,
                timeout: Duration::from_secs(60),
            };
            tasks.spawn(async move { lambda.invoke(ping, ticket).await });
        }
        release.watch().await;
        while let Some(exchange) = tasks.join_next().await {
            assert!(matches!(exchange.unwrap().answer, Answer::Responded { .. }));
        }
    })
    .await;
}

async fn bare(endpoint: &str, n: usize) {
    descriptors::raise().unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(SdkRegion::new("eu-west-2"))
        .credentials_provider(Credentials::new("a", "b", None, None, "bench"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = aws_sdk_lambda::Client::from_conf(config);
    measure(n, async |round| {
        let mut tasks = JoinSet::new();
        for index in 0..n {
            let client = client.clone();
            let payload = payload(round, index, n);
            tasks.spawn(async move {
                let request = client
                    .invoke()
                    .function_name("f")
                    .invocation_type(InvocationType::RequestResponse)
                    .log_type(LogType::Tail)
                    .payload(Blob::new(payload));
                request.send().await.unwrap()
            });
        }
        while let Some(answer) = tasks.join_next().await {
            answer.unwrap();
        }
    })
    .await;
}

/// CPU time of all threads of this process.
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = threads.map(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// The emulator, until its input ends.
async fn serve() {
    descriptors::raise().unwrap();
    let profile = Profile {
        fetch: Span::millis(0),
        init: Span::millis(0),
        duration: Span::millis(FUNCTION_MS),
        ping: Span::millis(FUNCTION_MS),
        ..Profile::default()
    };
    let emulator = Emulator::new(Scenario::default().with("f", profile));
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let input_ends = async {
        let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        waiting.await.unwrap().unwrap();
    };
    emulator.serve(listener, None, input_ends).await;
    println!("{}", serde_json::to_string(&emulator.observe().rounds()).unwrap());
}
