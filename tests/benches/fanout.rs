//! How well N pings go out together: warmd beside the bare SDK with its default client, each in a process of its own,
//! against a server in a third that takes 100 ms for an answer.
//!
//! `cargo bench --bench fanout`

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region as SdkRegion, retry::RetryConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::aws::{AwsLambda, Clients, descriptors};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::Answer;
use warmd::engine::ports::{Lambda, Ping};
use warmd::engine::release::Release;

/// What the function takes, ms.
const FUNCTION_MS: u64 = 100;
/// Rounds of one process. The first opens the connections.
const ROUNDS: usize = 5;
const PAYLOAD: &[u8] =
    br#"{"warmd":{"version":1,"round":"01JD0000000000000000000000","index":7,"concurrency":1000,"hold_ms":25}}"#;

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
    command.args(arguments).stdout(Stdio::piped()).spawn().unwrap()
}

fn compare() {
    println!("{ROUNDS} rounds a process; a {FUNCTION_MS} ms function; plain HTTP on loopback");
    println!(
        "       N  client  answered  wall ms (first, best)  arrivals ms (first, best)  CPU us/ping  peak MB"
    );
    for n in ["10", "100", "1000"] {
        for client in ["warmd", "bare"] {
            let mut server = part(&["serve"]);
            let mut endpoint = String::new();
            BufReader::new(server.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
            let out = part(&[client, endpoint.trim(), n]).wait_with_output().unwrap();
            print!("{n:>8}  {client:<6}  {}", String::from_utf8_lossy(&out.stdout));
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }
}

/// One client's rounds, measured.
#[derive(Default)]
struct Figures {
    answered: usize,
    walls: Vec<Duration>,
    spreads: Vec<Duration>,
    cpu: Duration,
}

impl Figures {
    async fn round(&mut self, endpoint: &str, wall: Duration, cpu: Duration, answered: usize) {
        self.walls.push(wall);
        self.cpu += cpu;
        self.answered += answered;
        self.spreads.push(arrivals(endpoint).await);
    }

    fn print(&self, n: usize) {
        let best = |times: &[Duration]| times.iter().min().unwrap().as_secs_f64() * 1e3;
        let first = |times: &[Duration]| times[0].as_secs_f64() * 1e3;
        println!(
            "{:>8}  {:>10.1} {:>10.1}  {:>13.2} {:>11.2}  {:>11.0}  {:>7.1}",
            self.answered,
            first(&self.walls),
            best(&self.walls),
            first(&self.spreads),
            best(&self.spreads),
            self.cpu.as_secs_f64() * 1e6 / (n * ROUNDS) as f64,
            peak_mb(),
        );
    }
}

async fn warmd(endpoint: &str, n: usize) {
    descriptors::raise().unwrap();
    let lambda = AwsLambda::new(Arc::new(Clients::local(endpoint)));
    let function = FunctionRef::parse("f:live").unwrap().identity(Region::parse("eu-west-2").unwrap());
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        let (began, cpu) = (Instant::now(), cpu());
        let mut release = Release::new(n, Duration::from_secs(5));
        let mut tasks = JoinSet::new();
        for _ in 0..n {
            let (lambda, ticket) = (lambda.clone(), release.ticket());
            let ping = Ping {
                function: function.clone(),
                role: None,
                payload: PAYLOAD.to_vec(),
                client_context: None,
                timeout: Duration::from_secs(60),
            };
            tasks.spawn(async move { lambda.invoke(ping, ticket).await });
        }
        release.watch().await;
        let mut answered = 0;
        while let Some(exchange) = tasks.join_next().await {
            answered += usize::from(matches!(exchange.unwrap().answer, Answer::Responded { .. }));
        }
        let (wall, cpu) = (began.elapsed(), self::cpu() - cpu);
        figures.round(endpoint, wall, cpu, answered).await;
    }
    figures.print(n);
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
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        let (began, cpu) = (Instant::now(), cpu());
        let mut tasks = JoinSet::new();
        for _ in 0..n {
            let client = client.clone();
            tasks.spawn(async move {
                let request = client
                    .invoke()
                    .function_name("f")
                    .qualifier("live")
                    .invocation_type(InvocationType::RequestResponse)
                    .log_type(LogType::Tail)
                    .payload(Blob::new(PAYLOAD));
                request.send().await.is_ok()
            });
        }
        let mut answered = 0;
        while let Some(ok) = tasks.join_next().await {
            answered += usize::from(ok.unwrap());
        }
        let (wall, cpu) = (began.elapsed(), self::cpu() - cpu);
        figures.round(endpoint, wall, cpu, answered).await;
    }
    figures.print(n);
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

/// Asks the server how far apart the pings of the last round arrived.
async fn arrivals(endpoint: &str) -> Duration {
    let mut stream = tokio::net::TcpStream::connect(endpoint.trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"GET /arrivals HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    Duration::from_micros(text.rsplit("\r\n").next().unwrap().parse().unwrap())
}

async fn serve() {
    descriptors::raise().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4096).unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let arrived = Arc::new(Mutex::new(Vec::<Instant>::new()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let arrived = Arc::clone(&arrived);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let arrived = Arc::clone(&arrived);
                async move { Ok::<_, Infallible>(answer(request, &arrived).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, arrived: &Mutex<Vec<Instant>>) -> Response<Full<Bytes>> {
    let at = Instant::now();
    if request.uri().path() == "/arrivals" {
        let arrived = std::mem::take(&mut *arrived.lock().unwrap());
        let spread = *arrived.iter().max().unwrap() - *arrived.iter().min().unwrap();
        return Response::new(Full::from(spread.as_micros().to_string()));
    }
    arrived.lock().unwrap().push(at);
    request.into_body().collect().await.unwrap();
    tokio::time::sleep_until(at + Duration::from_millis(FUNCTION_MS)).await;
    Response::builder()
        .header("X-Amz-Executed-Version", "7")
        .header("X-Amz-Log-Result", "UkVQT1JUIFJlcXVlc3RJZDogeAlEdXJhdGlvbjogMTAwLjAwIG1zCUJpbGxlZCBEdXJhdGlvbjogMTAwIG1zCU1lbW9yeSBTaXplOiAxMjggTUIJTWF4IE1lbW9yeSBVc2VkOiAxNyBNQgkK")
        .body(Full::from(r#"{"warmd":{"environment":"01JD0000000000000000000000"}}"#))
        .unwrap()
}
