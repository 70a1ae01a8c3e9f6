//! Measures how well N pings are sent together: warmd beside the bare SDK with its default client, each in a process of
//! its own, against the emulator in a third process, with a function that takes 100 ms. Then measures the effect of
//! hold and top-ups with a quick handler and a slow network, and the time from the start of the command to its first
//! ping.
//!
//! `cargo bench --bench fanout`
//!
//! # Results
//!
//! Two cores that client and emulator share, Linux x86-64, Rust 1.95. The first round of a process opens the
//! connections. Nine rounds follow at once (later, medians), and one after a minute (idle). The wall time runs from the
//! first task to the finished report. Distinct environments are those of the worst round, as the emulator saw them. CPU
//! is that of the whole client process: in ms from its start until the end of the first round, then in µs for each
//! ping.
//!
//! ```text
//!                                          wall time, ms      arrival spread, ms   ms of   µs a ping    peak
//!    N  transport, client      distinct  first later  idle    first  later   idle    CPU  later  idle     MB
//!   10  plain, warmd                 10    103   103   103      0.2    0.2    0.2    3.3    104   149   10.1
//!   10  plain, bare SDK              10    104   103   103      0.6    0.6    0.6    5.1    231   215    9.5
//!   10  TLS h1, warmd                10    116   103   104      0.3    0.2    0.3   13.1     99   285   11.6
//!   10  TLS h2, warmd                10    106   103   103      0.1    0.1    0.1    6.9    107   111   11.3
//!   10  TLS h2, bare SDK             10    105   103   104      0.1    0.4    0.2   13.7    247   286   11.2
//!  100  plain, warmd                100    108   105   107      2.0    0.9    3.0    9.4     37    59   13.3
//!  100  plain, bare SDK             100    111   108   108      7.2    1.6    4.9   18.1    120   127   14.6
//!  100  TLS h1, warmd               100    130   104   119      2.5    0.8    2.2   37.8     35   179   15.6
//!  100  TLS h2, warmd               100    109   105   106      1.2    0.8    1.1    8.0     25    29   11.8
//!  100  TLS h2, bare SDK            100    135   110   109      1.4    4.0    4.8   54.3    130   129   15.0
//! 1000  plain, warmd               1000    158   121   136     21.7   12.3   14.8   56.8     26    43   47.2
//! 1000  plain, bare SDK            1000    206   144   144     93.7   35.7   32.0  164.5    101   103   57.4
//! 1000  TLS h1, warmd              1000    379   124   374     22.0   13.9   18.7  341.2     31   345   54.5
//! 1000  TLS h2, warmd              1000    133   125   127      9.9    8.5    9.7   31.9     22    22   17.6
//! 1000  TLS h2, bare SDK            128    860   843   844    740.3  736.8  740.3  180.9    137   158   39.0
//! 1000  TLS h2, token 1.2 KB       1000    132   126   136     13.7    9.3   14.4   29.8     22    31   17.9
//! 1000  TLS h2, 200 rounds of 5   5 each    135   130   137      0.0    0.0    0.0   47.2     41    58   21.2
//!  100  TLS h2, 1/7 of a core       100    134   106   105      0.9    0.8    0.9    8.8     24    28   11.6
//! ```
//!
//! The bare SDK sends nothing together, proves nothing and prices nothing. AWS always uses TLS, and the endpoints of
//! functions offer HTTP/2 (h2). A session token of 1.2 KB costs little: HTTP/2 sends it once on each connection. A
//! seventh of a core is what Lambda gives 256 MB (a CPU quota in periods of 20 ms).
//!
//! Twenty rounds with `hold: auto` and a handler of 2 ms that holds as requested:
//!
//! ```text
//! network                                           N  distinct  proven  top-ups in   hold, ms
//!                                                       (worst round)    20 rounds    first  last
//! loopback                                        100       100     100           0     100    10
//! 15 ms each way (median; lognormal, sigma 0.6)    50        50      50           1     100   127
//! 15 ms each way (median; lognormal, sigma 0.6)   100       100     100           6     100    85
//! ```
//!
//! The first ping of `warmd warm` is on the wire 3.7 ms after the start of the process (median of 15; fastest 3.4).

#[path = "quota.rs"]
mod quota;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region as SdkRegion, retry::RetryConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use aws_smithy_http_client::tls;
use quota::Quota;
use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::aws::connector::Connector;
use warmd::aws::{AwsLambda, Clients, fd_limit};
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::{Hold, HttpVersions, Target, WireSettings};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::{RoundReport, Verdict};
use warmd::emulator::profile::{Network, Span};
use warmd::emulator::{Emulator, ObservedRound, Profile, Scenario, Tls, listen};
use warmd::engine::stop::{Stop, Stopper, stop};
use warmd::engine::tick::{Due, Engine};

/// The duration of the function, ms.
const FUNCTION_MS: u64 = 100;
/// Consecutive rounds of one process. The first opens the connections.
const ROUNDS: usize = 10;
/// The pause before one more round.
const IDLE: Duration = Duration::from_secs(60);
/// Rounds of a measurement of hold and top-ups.
const SCENE_ROUNDS: usize = 20;
/// The number of starts of the command.
const STARTS: usize = 15;
/// The size of a role's session token, bytes.
const TOKEN: usize = 1_200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = arguments.iter().map(String::as_str).skip(1).collect();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match args[..] {
        ["serve", kind, folder] => runtime().block_on(serve(kind == "tls", Path::new(folder))),
        ["warmd", endpoint, transport, n, targets] => {
            runtime().block_on(warmd(endpoint, transport, n.parse().unwrap(), targets.parse().unwrap()));
        }
        ["bare", endpoint, n] => runtime().block_on(bare(endpoint, n.parse().unwrap())),
        ["scene", endpoint, function, n] => {
            runtime().block_on(scene(endpoint, function, n.parse().unwrap()));
        }
        _ => {
            runtime().block_on(compare());
            scenes();
            first_ping();
        }
    }
}

/// Runs a part of the benchmark in a child process, optionally in a cgroup.
fn part(arguments: &[&str], certificate: Option<&Path>, cgroup: Option<&Path>) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = match cgroup {
        None => Command::new(program),
        Some(cgroup) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", "echo $$ > \"$0\"/cgroup.procs && exec \"$@\""]).arg(cgroup).arg(program);
            shell
        }
    };
    if let Some(certificate) = certificate {
        command.env("SSL_CERT_FILE", certificate);
    }
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// An emulator in a child process, and its endpoint.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    endpoint: String,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(with_tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kind = if with_tls { "tls" } else { "plain" };
        let mut process = part(&["serve", kind, folder.path().to_str().unwrap()], None, None);
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut endpoint = String::new();
        output.read_line(&mut endpoint).unwrap();
        Self { process, output, endpoint: endpoint.trim().to_owned(), folder }
    }

    /// Stops the server and returns the rounds that it observed.
    fn stop(mut self) -> Vec<ObservedRound> {
        // The server prints them at the end of its input.
        drop(self.process.stdin.take());
        let mut rounds = String::new();
        self.output.read_to_string(&mut rounds).unwrap();
        self.process.wait().unwrap();
        serde_json::from_str(&rounds).unwrap()
    }
}

/// A line of the table: a client, its transport, and the two processes.
struct Row {
    name: &'static str,
    n: usize,
    /// The rounds that the server observes in one round of the client.
    targets: usize,
    server: Server,
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The client's measurements: at first, then after the pause.
    figures: Vec<Figures>,
}

impl Row {
    fn start(name: &'static str, arguments: &[&str], with_tls: bool, cgroup: Option<&Path>) -> Self {
        let server = Server::start(with_tls);
        let certificate = server.folder.path().join("trusted.pem");
        let mut all = vec![arguments[0], &server.endpoint];
        all.extend(&arguments[1..]);
        let mut client = part(&all, with_tls.then_some(certificate.as_path()), cgroup);
        let (input, output) = (client.stdin.take().unwrap(), BufReader::new(client.stdout.take().unwrap()));
        let number = |word: Option<&&str>| word.and_then(|word| word.parse().ok());
        let (n, targets) = match arguments {
            ["bare", n] => (number(Some(n)).unwrap(), 1),
            _ => (number(arguments.get(2)).unwrap(), number(arguments.get(3)).unwrap_or(1)),
        };
        let mut row = Self { name, n, targets, server, client, input, output, figures: Vec::new() };
        row.read();
        row
    }

    fn read(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        self.figures.push(serde_json::from_str(&line).unwrap());
    }

    /// Runs one more round, after the pause.
    fn again(&mut self) {
        self.input.write_all(b"again\n").unwrap();
        self.read();
    }

    /// Ends both processes and prints the line, with the distinct environments of the worst round.
    fn print(mut self) {
        drop(self.input);
        assert!(self.client.wait().unwrap().success());
        let seen = self.server.stop();
        let distinct = seen.iter().map(|round| round.environments).min().unwrap_or_default();
        let spread = |rounds: &[ObservedRound]| {
            median(rounds.iter().map(|round| round.arrival_spread.as_secs_f64() * 1e3).collect())
        };
        let (first, rest) = seen.split_at(self.targets);
        let (later, idle) = rest.split_at(rest.len() - self.targets);
        let [now, after] = &self.figures[..] else { panic!("two lines") };
        println!(
            "{:>5}  {:<22} {distinct:>8}  {:>6.0} {:>6.0} {:>6.0}  {:>6.1} {:>6.1} {:>6.1}  {:>7.1} {:>6.0} {:>6.0}  {:>7.1}",
            self.n * self.targets,
            self.name,
            now.walls[0],
            median(now.walls[1..].to_vec()),
            after.walls[0],
            spread(first),
            spread(later),
            spread(idle),
            now.first_cpu_ms,
            now.cpu_us,
            after.cpu_us,
            after.peak_mb,
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

async fn compare() {
    println!(
        "{ROUNDS} rounds a process, one after the other, and one after {} s; a {FUNCTION_MS} ms function; loopback",
        IDLE.as_secs()
    );
    println!("                                          wall ms              arrival spread ms         CPU");
    println!(
        "    N  transport, client      distinct   first  later   idle   first  later   idle   first ms  us/ping   idle  peak MB"
    );
    let quota = Quota::new();
    let mut rows = Vec::new();
    for n in ["10", "100", "1000"] {
        rows.push(Row::start("plain, warmd", &["warmd", "http1", n, "1"], false, None));
        rows.push(Row::start("plain, bare SDK", &["bare", n], false, None));
        rows.push(Row::start("TLS h1, warmd", &["warmd", "http1", n, "1"], true, None));
        rows.push(Row::start("TLS h2, warmd", &["warmd", "auto", n, "1"], true, None));
        rows.push(Row::start("TLS h2, bare SDK", &["bare", n], true, None));
    }
    rows.push(Row::start("TLS h2, token 1.2 KB", &["warmd", "token", "1000", "1"], true, None));
    rows.push(Row::start("TLS h2, 200 x 5", &["warmd", "auto", "5", "200"], true, None));
    match &quota {
        Some(quota) => {
            let cgroup = Some(quota.path());
            rows.push(Row::start("TLS h2, 1/7 of a core", &["warmd", "auto", "100", "1"], true, cgroup));
        }
        None => println!("(this machine allows no CPU quota: the line of a seventh of a core is left out)"),
    }
    tokio::time::sleep(IDLE).await;
    rows.iter_mut().for_each(Row::again);
    rows.into_iter().for_each(Row::print);
}

/// Runs a part against a server of its own. Returns its output and the server's rounds.
fn served(arguments: impl FnOnce(String) -> Vec<String>) -> (String, Vec<ObservedRound>) {
    let server = Server::start(false);
    let arguments = arguments(server.endpoint.clone());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let out = part(&arguments, None, None).wait_with_output().unwrap();
    assert!(out.status.success());
    (String::from_utf8(out.stdout).unwrap(), server.stop())
}

/// Measures hold and top-ups with a quick handler and with a slow network.
fn scenes() {
    println!(
        "\n{SCENE_ROUNDS} rounds, hold: auto, top-ups included; distinct as observed by the emulator, proven by warmd"
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

/// Measures the time from before the creation of the command's process to the arrival of its first ping.
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

/// The measurements of a client.
#[derive(serde::Serialize, serde::Deserialize)]
struct Figures {
    /// The duration of each round, from the first task to the last answer, ms.
    walls: Vec<f64>,
    /// The CPU time of the process until the end of the first round, ms.
    first_cpu_ms: f64,
    /// The CPU time per ping of the rounds after the first, or of the one after the pause, microseconds.
    cpu_us: f64,
    /// The peak resident memory, MB.
    peak_mb: f64,
}

/// Runs rounds of `n` pings with `round`, which gets the number of the round, and prints the figures. Runs one more
/// round for each line of input.
async fn measure(n: usize, round: impl AsyncFn(usize)) {
    let mut number = 0;
    let mut rounds = ROUNDS;
    loop {
        let mut walls = Vec::new();
        let (mut first_cpu_ms, mut before) = (0.0, cpu());
        for index in 0..rounds {
            let began = Instant::now();
            round(number).await;
            walls.push(began.elapsed().as_secs_f64() * 1e3);
            number += 1;
            if rounds > 1 && index == 0 {
                before = cpu();
                first_cpu_ms = before.as_secs_f64() * 1e3;
            }
        }
        let pings = n * (rounds - 1).max(1);
        let cpu_us = (cpu() - before).as_secs_f64() * 1e6 / pings as f64;
        println!(
            "{}",
            serde_json::to_string(&Figures { walls, first_cpu_ms, cpu_us, peak_mb: peak_mb() }).unwrap()
        );
        let line = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        if line.await.unwrap().unwrap() == 0 {
            return;
        }
        rounds = 1;
    }
}

fn payload(round: usize, n: usize) -> Vec<u8> {
    let warmd = serde_json::json!({
        "version": 1, "round": round.to_string(), "concurrency": n, "hold_ms": 0
    });
    serde_json::json!({ "warmd": warmd }).to_string().into_bytes()
}

/// Creates the engine of the command for the emulator at `endpoint`.
fn engine(endpoint: &str, transport: &str, n: usize) -> (Arc<Engine<AwsLambda>>, Stopper, Stop) {
    fd_limit::raise().unwrap();
    let clients = match transport {
        "token" => Clients::local_with_token(endpoint, Connector::default(), &"t".repeat(TOKEN)),
        _ => Clients::local(endpoint),
    };
    let (stopper, stop) = stop();
    let engine = Engine::new(AwsLambda::new(Arc::new(clients)), PriceBook::embedded(), n);
    let http = if transport == "http1" { HttpVersions::Http1 } else { HttpVersions::Auto };
    engine.set_wire(WireSettings { http, ..WireSettings::default() });
    (Arc::new(engine), stopper, stop)
}

fn target(function: &str, hold: Hold) -> Arc<Target> {
    let region = Region::parse("eu-west-2").unwrap();
    let bare = Target::bare(&FunctionRef::parse(function).unwrap(), region);
    Arc::new(Target { hold, timeout: Some(Duration::from_secs(60)), ..bare })
}

/// Runs one tick of the engine, including evidence and cost.
async fn tick(
    engine: &Arc<Engine<AwsLambda>>,
    targets: &[Arc<Target>],
    n: usize,
    stop: &Stop,
) -> Vec<RoundReport> {
    let due = |target: &Arc<Target>| Due::new(Arc::clone(target), NonZeroU32::new(n as u32).unwrap());
    let due = targets.iter().map(due).collect();
    let tick = engine.tick("2026-11-20T09:00:00Z".parse().unwrap(), None, due, stop).await;
    tick.rounds.iter().map(|round| round.sent().unwrap().report.clone()).collect()
}

async fn warmd(endpoint: &str, transport: &str, n: usize, targets: usize) {
    let (engine, _stopper, stop) = engine(endpoint, transport, n * targets);
    let function = |number| if number == 0 { "f".to_owned() } else { format!("f{number}") };
    let all: Vec<_> = (0..targets).map(|i| target(&function(i), Hold::Fixed(Duration::ZERO))).collect();
    measure(n * targets, async |_| {
        for record in tick(&engine, &all, n, &stop).await {
            assert_eq!(
                (record.verdict, record.pings as usize),
                (Verdict::Reached, n),
                "{:?}",
                record.messages
            );
        }
    })
    .await;
}

/// The result of a scene.
#[derive(serde::Serialize, serde::Deserialize)]
struct Scene {
    proven: u32,
    top_ups: u32,
    first_hold: u64,
    last_hold: u64,
}

async fn scene(endpoint: &str, function: &str, n: usize) {
    let (engine, _stopper, stop) = engine(endpoint, "auto", n);
    let targets = [target(function, Hold::Auto)];
    let mut records = Vec::new();
    for _ in 0..SCENE_ROUNDS {
        records.push(tick(&engine, &targets, n, &stop).await.remove(0));
    }
    let hold = |record: Option<&RoundReport>| {
        record.and_then(|record| record.hold).unwrap_or_default().as_millis() as u64
    };
    let scene = Scene {
        proven: records.iter().map(|record| record.reached.unwrap_or_default()).min().unwrap_or_default(),
        top_ups: records.iter().map(|record| record.top_ups).sum(),
        first_hold: hold(records.first()),
        last_hold: hold(records.last()),
    };
    println!("{}", serde_json::to_string(&scene).unwrap());
}

async fn bare(endpoint: &str, n: usize) {
    fd_limit::raise().unwrap();
    let client = aws_smithy_http_client::Builder::new();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(SdkRegion::new("eu-west-2"))
        .credentials_provider(Credentials::new("a", "b", None, None, "bench"))
        .retry_config(RetryConfig::disabled());
    let config = match endpoint.starts_with("https") {
        true => config.http_client(
            client.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https(),
        ),
        false => config.http_client(client.build_http()),
    };
    let client = aws_sdk_lambda::Client::from_conf(config.build());
    measure(n, async |round| {
        let mut tasks = JoinSet::new();
        for _ in 0..n {
            let client = client.clone();
            let payload = payload(round, n);
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

/// Returns the CPU time of all threads of this process.
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

/// Runs the emulator until the end of its input. With TLS, writes its certificate into `folder`.
async fn serve(with_tls: bool, folder: &Path) {
    fd_limit::raise().unwrap();
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
    let functions = Scenario::default().with("f", profile.clone()).with("quick", quick).with("far", far);
    let functions = (1..200).fold(functions, |all, number| all.with(&format!("f{number}"), profile.clone()));
    let emulator = Emulator::new(functions);
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let tls = with_tls.then(|| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(folder.join("trusted.pem"), &certificate).unwrap();
        Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
    });
    println!("http{}://{}", if with_tls { "s" } else { "" }, listener.local_addr().unwrap());
    let input_ends = async {
        let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        waiting.await.unwrap().unwrap();
    };
    emulator.serve(listener, tls, input_ends).await;
    println!("{}", serde_json::to_string(&emulator.observe().rounds()).unwrap());
}
