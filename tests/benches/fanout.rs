//! How well N pings go out together: warmd beside the bare SDK with its default client, each in a process of its own,
//! against the emulator in a third, with a function that takes 100 ms. Then what hold and top-ups make of a quick
//! handler and of a slow network, and how soon after its start the command has its first ping on the wire.
//!
//! `cargo bench --bench fanout`

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region as SdkRegion, retry::RetryConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::aws::{AwsLambda, Clients, descriptors};
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::{Hold, Target};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::tick::{RoundRecord, Verdict};
use warmd::emulator::profile::{Network, Span};
use warmd::emulator::{Emulator, Profile, Round, Scenario, listen};
use warmd::engine::stop::{Stop, Stopper, stop};
use warmd::engine::tick::{Due, Engine};

/// What the function takes, ms.
const FUNCTION_MS: u64 = 100;
/// Rounds of one process. The first opens the connections.
const ROUNDS: usize = 10;
/// Rounds of a scene of hold and top-ups.
const SCENE_ROUNDS: usize = 20;
/// Starts of the command.
const STARTS: usize = 15;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["serve"] => serve().await,
        ["warmd", endpoint, n] => warmd(endpoint, n.parse().unwrap()).await,
        ["bare", endpoint, n] => bare(endpoint, n.parse().unwrap()).await,
        ["scene", endpoint, function, n] => scene(endpoint, function, n.parse().unwrap()).await,
        _ => {
            compare();
            scenes();
            first_ping();
        }
    }
}

/// A part of the benchmark in a process of its own.
fn part(arguments: &[&str]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn compare() {
    println!("{ROUNDS} rounds a process; a {FUNCTION_MS} ms function; plain HTTP on loopback; times in ms");
    println!("                             wall                 arrival spread");
    println!("    N  client  distinct   first  median    best    first  median    CPU us/ping  peak MB");
    for n in ["10", "100", "1000"] {
        for client in ["warmd", "bare"] {
            let (out, rounds) = served(|endpoint| vec![client.into(), endpoint, n.into()]);
            line(n, client, &serde_json::from_str(&out).unwrap(), &rounds);
        }
    }
}

/// Runs a part against an emulator of its own: what it printed, and what the emulator saw.
fn served(arguments: impl FnOnce(String) -> Vec<String>) -> (String, Vec<Round>) {
    let mut server = part(&["serve"]);
    let mut seen = BufReader::new(server.stdout.take().unwrap());
    let mut endpoint = String::new();
    seen.read_line(&mut endpoint).unwrap();
    let arguments = arguments(endpoint.trim().to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let out = part(&arguments).wait_with_output().unwrap();
    assert!(out.status.success());
    // The end of its input is the server's sign to tell what it saw.
    drop(server.stdin.take());
    let mut rounds = String::new();
    seen.read_to_string(&mut rounds).unwrap();
    server.wait().unwrap();
    (String::from_utf8(out.stdout).unwrap(), serde_json::from_str(&rounds).unwrap())
}

/// What hold and top-ups make of a handler that answers at once, and of a slow network.
fn scenes() {
    println!(
        "\n{SCENE_ROUNDS} rounds, hold: auto, top-ups included; distinct as the emulator saw it, proven as warmd says"
    );
    println!(
        "  handler and network                  N  distinct, worst  proven, worst  top-ups  hold ms: first, last"
    );
    for (function, what, n) in [
        ("quick", "2 ms, loopback", "100"),
        ("far", "2 ms, 15 ms each way, sigma .6", "50"),
        ("far", "2 ms, 15 ms each way, sigma .6", "100"),
    ] {
        let (out, rounds) = served(|endpoint| vec!["scene".into(), endpoint, function.into(), n.into()]);
        let own: Scene = serde_json::from_str(&out).unwrap();
        let distinct = rounds.iter().map(|round| round.environments).min().unwrap_or_default();
        println!(
            "  {what:<34} {n:>3}  {distinct:>15}  {:>13}  {:>7}  {:>12}, {:>4}",
            own.proven, own.top_ups, own.first_hold, own.last_hold
        );
    }
}

/// How soon after the start of the command its first ping arrives. Measured from before the process is made.
fn first_ping() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut times: Vec<f64> = (0..STARTS)
        .map(|_| {
            let began = Instant::now();
            let mut child = Command::new(env!("CARGO_BIN_EXE_warmd"))
                .args(["warm", "f", "--concurrency", "1", "--region", "eu-west-2"])
                .envs([("AWS_ENDPOINT_URL", endpoint.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")])
                .envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            let arrived = began.elapsed();
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                .unwrap();
            child.wait().unwrap();
            arrived.as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "\nfirst ping on the wire after process start, ms ({STARTS} starts): fastest {:.1}, median {:.1}",
        times[0],
        times[STARTS / 2]
    );
}

/// Prints a line of the table. Distinct environments are those of the worst round.
fn line(n: &str, client: &str, own: &Figures, rounds: &[Round]) {
    // Of the rounds after the first, which has the connections to open.
    let later = |times: &[f64]| {
        let mut times = times[1..].to_vec();
        times.sort_by(f64::total_cmp);
        times
    };
    let median = |times: &[f64]| later(times)[(times.len() - 1) / 2];
    let spreads: Vec<f64> = rounds.iter().map(|round| round.arrival_spread.as_secs_f64() * 1e3).collect();
    println!(
        "{n:>5}  {client:<6} {:>9} {:>7.1} {:>7.1} {:>7.1}  {:>7.2} {:>7.2}    {:>11.0}  {:>7.1}",
        rounds.iter().map(|round| round.environments).min().unwrap_or_default(),
        own.walls.first().unwrap(),
        median(&own.walls),
        later(&own.walls)[0],
        spreads.first().unwrap(),
        median(&spreads),
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

/// The engine as the command has it, on the emulator at `endpoint`.
fn engine(endpoint: &str, n: usize) -> (Arc<Engine<AwsLambda>>, Stopper, Stop) {
    descriptors::raise().unwrap();
    let lambda = AwsLambda::new(Arc::new(Clients::local(endpoint)));
    let (stopper, stop) = stop();
    (Arc::new(Engine::new(lambda, PriceBook::embedded(), n)), stopper, stop)
}

fn target(function: &str, hold: Hold) -> Arc<Target> {
    let region = Region::parse("eu-west-2").unwrap();
    let bare = Target::bare(&FunctionRef::parse(function).unwrap(), region);
    Arc::new(Target { hold, timeout: Some(Duration::from_secs(60)), ..bare })
}

/// One round of the engine, evidence and cost included.
async fn round(engine: &Arc<Engine<AwsLambda>>, target: &Arc<Target>, n: usize, stop: &Stop) -> RoundRecord {
    let due = Due { target: Arc::clone(target), concurrency: n as u32 };
    let mut report = engine.tick("2026-11-20T09:00:00Z".parse().unwrap(), None, vec![due], stop).await;
    report.rounds.remove(0)
}

async fn warmd(endpoint: &str, n: usize) {
    let (engine, _stopper, stop) = engine(endpoint, n);
    let target = target("f", Hold::Fixed(Duration::ZERO));
    measure(n, async |_| {
        let record = round(&engine, &target, n, &stop).await;
        assert_eq!((record.verdict, record.pings as usize), (Verdict::Reached, n));
    })
    .await;
}

/// What a scene came to.
#[derive(serde::Serialize, serde::Deserialize)]
struct Scene {
    proven: u32,
    top_ups: u32,
    first_hold: u64,
    last_hold: u64,
}

async fn scene(endpoint: &str, function: &str, n: usize) {
    let (engine, _stopper, stop) = engine(endpoint, n);
    let target = target(function, Hold::Auto);
    let mut records = Vec::new();
    for _ in 0..SCENE_ROUNDS {
        records.push(round(&engine, &target, n, &stop).await);
    }
    let hold = |record: Option<&RoundRecord>| record.and_then(|record| record.hold_ms).unwrap_or_default();
    let scene = Scene {
        proven: records.iter().map(|record| record.reached.unwrap_or_default()).min().unwrap_or_default(),
        top_ups: records.iter().map(|record| record.top_ups).sum(),
        first_hold: hold(records.first()),
        last_hold: hold(records.last()),
    };
    println!("{}", serde_json::to_string(&scene).unwrap());
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
    let quick = Profile {
        fetch: Span::millis(0),
        init: Span::millis(0),
        ping: Span::millis(2),
        ..Profile::default()
    };
    let network = Network { median: Duration::from_millis(15), sigma: 0.6 };
    let far = Profile { network, ..quick.clone() };
    let functions = Scenario::default().with("f", profile).with("quick", quick).with("far", far);
    let emulator = Emulator::new(functions);
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let input_ends = async {
        let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        waiting.await.unwrap().unwrap();
    };
    emulator.serve(listener, None, input_ends).await;
    println!("{}", serde_json::to_string(&emulator.observe().rounds()).unwrap());
}
