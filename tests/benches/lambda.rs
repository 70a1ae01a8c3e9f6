//! The Lambda's own weight: `cargo bench --bench lambda`.
//!
//! Process start → first GET next, resident memory then and after a tick of 1,000 pings, and the binary's size. The
//! targets are 15 ms, 20 MB, 70 MB and 12 MB.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use warmd::emulator::{self, Emulator, Scenario};

const RUNS: usize = 21;
const FUNCTIONS: u32 = 10;
const EACH: u32 = 100;

/// The runtime interface: one request at a time, as one environment makes them.
struct Runtime {
    listener: TcpListener,
}

impl Runtime {
    fn new() -> Self {
        Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap() }
    }

    /// Waits for the next request on any connection: its first line, its body, and where to answer.
    fn request(&self, open: &mut Option<TcpStream>) -> (String, String) {
        loop {
            let stream = match open.take() {
                Some(stream) => stream,
                None => self.listener.accept().unwrap().0,
            };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                continue;
            }
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            *open = Some(stream);
            return (head, String::from_utf8(body).unwrap());
        }
    }
}

fn bootstrap(runtime: &Runtime, endpoint: &str, config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("RUST_LOG", "error")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_LAMBDA_RUNTIME_API", runtime.listener.local_addr().unwrap().to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "warmd")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/warmd")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "eu-west-2")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("WARMD_CONFIGS", config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Resident memory, MB.
fn resident(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1_024.0
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fleet.yaml");
    let entry = |index: u32| {
        format!(
            "  f{index}: {{ region: eu-west-2, windows: [{{ days: daily, hours: all-day, concurrency: {EACH} }}] }}\n"
        )
    };
    let entries: String = (0..FUNCTIONS).map(entry).collect();
    let text =
        format!("version: 1\nlimits: {{ max_in_flight: {} }}\nfunctions:\n{entries}", FUNCTIONS * EACH);
    std::fs::write(&config, text).unwrap();

    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener =
        tokio.block_on(async { emulator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap() });
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let emulator = Emulator::new(Scenario::default());
    tokio.spawn(async move { emulator.serve(listener, None, std::future::pending()).await });

    let size = std::fs::metadata(env!("CARGO_BIN_EXE_bootstrap")).unwrap().len() as f64 / 1e6;
    println!("binary: {size:.1} MB");

    let mut starts: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let runtime = Runtime::new();
            let begun = Instant::now();
            let child = bootstrap(&runtime, &endpoint, &config);
            let (head, _) = runtime.request(&mut None);
            let took = begun.elapsed();
            assert!(head.starts_with("GET /2018-06-01/runtime/invocation/next"), "{head}");
            end(child);
            took
        })
        .collect();
    starts.sort();
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    println!(
        "process start to first GET next: median {:.1} ms, fastest {:.1} ms",
        ms(starts[RUNS / 2]),
        ms(starts[0])
    );

    let runtime = Runtime::new();
    let child = bootstrap(&runtime, &endpoint, &config);
    let mut open = None;
    runtime.request(&mut open);
    println!("resident at the first GET next: {:.1} MB", resident(&child));
    let event = r#"{"warmd":{"run":{}}}"#;
    let mut stream = open.take().unwrap();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: r\r\nlambda-runtime-deadline-ms: 9999999999999\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-2:123456789012:function:warmd\r\n\
         content-length: {}\r\n\r\n{event}",
        event.len()
    )
    .unwrap();
    let mut open = None;
    // The answer may come on the same connection or on another one.
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    open.replace(stream);
    let (head, body) = runtime.request(&mut open);
    assert!(head.contains("/response"), "{head}{body}");
    let tick: serde_json::Value = serde_json::from_str(&body).unwrap();
    println!(
        "resident after a tick of {} pings: {:.1} MB; the tick took {} ms",
        FUNCTIONS * EACH,
        resident(&child),
        tick["duration_ms"]
    );
    end(child);
}
