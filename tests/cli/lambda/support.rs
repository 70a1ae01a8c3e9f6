//! A server of Lambda's runtime interface for one execution environment.

#![allow(dead_code)] // tests and a benchmark use different parts

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use warmd::aws::Clients;
use warmd::emulator::{self, Emulator, Scenario, Tls};

/// The timeout of waits, longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response of the environment.
#[derive(Debug, Clone)]
pub struct Answer {
    pub body: Value,
    pub error: bool,
}

struct Invocation {
    id: String,
    event: Value,
    deadline_ms: i64,
    answer: oneshot::Sender<Answer>,
}

/// Options of the process.
#[derive(Default)]
pub struct ProcessOptions<'h> {
    /// TLS of the emulator.
    pub tls: Option<Tls>,
    /// The cgroup of the process.
    pub cgroup: Option<&'h Path>,
}

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>;

/// An AWS account with one execution environment of the Lambda.
pub struct LambdaHarness {
    pub emulator: Emulator,
    pub endpoint: String,
    invocations: mpsc::UnboundedSender<Invocation>,
    init_error: mpsc::UnboundedReceiver<Value>,
    requested: mpsc::UnboundedReceiver<Instant>,
    begun: Instant,
    child: Child,
    pub folder: tempfile::TempDir,
    count: u32,
}

/// The settings of a harness.
pub struct Setting<'s> {
    pub scenario: Scenario,
    pub config: &'s str,
    pub variables: &'s [(&'s str, &'s str)],
}

impl LambdaHarness {
    /// Starts an emulator, and the binary with a configuration file and environment variables. In variables,
    /// `{endpoint}` is that of the emulator and `{folder}` the folder of the harness.
    pub async fn set(setting: Setting<'_>) -> Self {
        let emulator = Emulator::new(setting.scenario);
        Self::beside(emulator, setting.config, setting.variables).await
    }

    /// Starts the binary in an existing account.
    pub async fn beside(emulator: Emulator, config: &str, variables: &[(&str, &str)]) -> Self {
        Self::with_options(emulator, config, variables, ProcessOptions::default()).await
    }

    /// Starts the binary in an existing account, with options of the process.
    pub async fn with_options(
        emulator: Emulator,
        config: &str,
        variables: &[(&str, &str)],
        options: ProcessOptions<'_>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("fleet.yaml"), config).unwrap();
        let listener = emulator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let serving = emulator.clone();
        tokio::spawn(async move { serving.serve(listener, options.tls, std::future::pending()).await });

        let (invocations, queue) = mpsc::unbounded_channel();
        let (failed, init_error) = mpsc::unbounded_channel();
        let (requests, requested) = mpsc::unbounded_channel();
        let api = serve_runtime(queue, failed, requests).await;
        let mut command = command(options.cgroup);
        command
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "warmd")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/warmd")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_REGION", "eu-west-2")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("WARMD_CONFIGS", folder.path().join("fleet.yaml"))
            .stdin(Stdio::null());
        for (name, value) in variables {
            let folder = folder.path().to_string_lossy();
            command.env(name, value.replace("{endpoint}", &endpoint).replace("{folder}", &folder));
        }
        for (stream, name) in [(0, "stdout"), (1, "stderr")] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            if stream == 0 {
                command.stdout(file)
            } else {
                command.stderr(file)
            };
        }
        let begun = Instant::now();
        let child = command.spawn().unwrap();
        Self { emulator, endpoint, invocations, init_error, requested, begun, child, folder, count: 0 }
    }

    /// Waits until the binary requests its first event. Returns the time since its start.
    pub async fn ready(&mut self) -> Duration {
        match tokio::time::timeout(PATIENCE, self.requested.recv()).await {
            Ok(Some(at)) => at - self.begun,
            other => panic!("no request for an event ({other:?})\n{}", self.stderr()),
        }
    }

    /// Returns the process id of the binary.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Invokes the Lambda with 60 seconds until its deadline.
    pub async fn invoke(&mut self, event: Value) -> Answer {
        self.invoke_within(event, 60_000).await
    }

    /// Invokes the Lambda with `ms` milliseconds until its deadline.
    pub async fn invoke_within(&mut self, event: Value, ms: i64) -> Answer {
        self.count += 1;
        let (answer, answered) = oneshot::channel();
        let deadline_ms = now().timestamp_millis() + ms;
        let id = format!("request-{}", self.count);
        assert!(self.invocations.send(Invocation { id, event, deadline_ms, answer }).is_ok());
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            other => panic!("no answer ({other:?})\n{}{}", self.stdout(), self.stderr()),
        }
    }

    /// Invokes the Lambda and returns its response, which must be a tick object.
    pub async fn tick(&mut self, event: Value) -> Value {
        let answer = self.invoke(event).await;
        assert!(!answer.error, "{}\n{}", answer.body, self.stderr());
        answer.body
    }

    /// Waits for the init error.
    pub async fn init_error(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.init_error.recv()).await {
            Ok(Some(error)) => error,
            other => panic!("no init error ({other:?})\n{}", self.stderr()),
        }
    }

    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stdout")).unwrap()
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// Returns the number of pings of each function.
    pub fn pings(&self) -> HashMap<String, usize> {
        let mut pings = HashMap::new();
        for invocation in self.emulator.observe().invocations {
            *pings.entry(invocation.function).or_default() += 1;
        }
        pings
    }

    /// Returns the sum of a metric of the fleet, if it was sent.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let mut observed = self.emulator.observe();
        observed.metrics.retain(|metric| metric.dimensions.is_empty());
        let values = observed.values(name);
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Returns the shards on the bus, as EventBridge delivers them.
    pub fn shards(&self) -> Vec<Value> {
        let events = self.emulator.observe().events;
        let shards = events.iter().filter(|event| event.detail_type == "Warm Shard");
        shards
            .map(|event| json!({ "source": event.source, "detail-type": event.detail_type, "detail": event.detail }))
            .collect()
    }

    /// Returns SDK clients of the account.
    pub fn clients(&self) -> Clients {
        Clients::local(&self.endpoint)
    }
}

impl Drop for LambdaHarness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the current time.
#[allow(clippy::disallowed_methods, reason = "the binary compares with the machine's clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Returns a scheduled event.
pub fn scheduled(at: DateTime<Utc>) -> Value {
    json!({
        "version": "0", "id": "53dc4d37", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "123456789012", "time": at.to_rfc3339_opts(SecondsFormat::Secs, true), "region": "eu-west-2",
        "resources": [], "detail": {},
    })
}

/// Returns a Warm Request.
pub fn request(detail: Value) -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "Warm Request", "source": "com.example.auth",
        "account": "123456789012", "time": now().to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": "eu-west-2", "resources": [], "detail": detail,
    })
}

/// Returns the command of the binary, in a cgroup if one is given.
fn command(cgroup: Option<&Path>) -> Command {
    let binary = env!("CARGO_BIN_EXE_bootstrap");
    match cgroup {
        None => Command::new(binary),
        Some(cgroup) => {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "echo $$ > \"$0\"/cgroup.procs && exec \"$1\""]).arg(cgroup).arg(binary);
            command
        }
    }
}

async fn serve_runtime(
    queue: mpsc::UnboundedReceiver<Invocation>,
    failed: mpsc::UnboundedSender<Value>,
    requests: mpsc::UnboundedSender<Instant>,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let queue = Arc::new(tokio::sync::Mutex::new(queue));
    let waiting = Waiting::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (queue, waiting, failed) = (Arc::clone(&queue), Arc::clone(&waiting), failed.clone());
            let requests = requests.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                if request.method() == Method::GET {
                    // The harness may have been dropped.
                    let _ = requests.send(Instant::now());
                }
                let (queue, waiting, failed) = (Arc::clone(&queue), Arc::clone(&waiting), failed.clone());
                async move { Ok::<_, hyper::Error>(serve(request, &queue, &waiting, &failed).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn serve(
    request: Request<Incoming>,
    queue: &tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    waiting: &Waiting,
    failed: &mpsc::UnboundedSender<Value>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default().to_owned();
    match (&parts.method, path.split('/').collect::<Vec<_>>().as_slice()) {
        (&Method::GET, ["invocation", "next"]) => {
            let Some(Invocation { id, event, deadline_ms, answer }) = queue.lock().await.recv().await else {
                return std::future::pending().await;
            };
            waiting.lock().unwrap().insert(id.clone(), answer);
            Response::builder()
                .header("lambda-runtime-aws-request-id", id)
                .header("lambda-runtime-deadline-ms", deadline_ms)
                .header(
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:eu-west-2:123456789012:function:warmd",
                )
                .body(Full::new(Bytes::from(event.to_string())))
                .unwrap()
        }
        (&Method::POST, ["invocation", id, kind @ ("response" | "error")]) => {
            let body = serde_json::from_slice(&body).unwrap();
            if let Some(answer) = waiting.lock().unwrap().remove(*id) {
                let _ = answer.send(Answer { body, error: *kind == "error" });
            }
            accepted()
        }
        (&Method::POST, ["init", "error"]) => {
            let _ = failed.send(serde_json::from_slice(&body).unwrap());
            accepted()
        }
        _ => Response::builder().status(404).body(Full::default()).unwrap(),
    }
}

fn accepted() -> Response<Full<Bytes>> {
    Response::builder().status(202).body(Full::new(Bytes::from_static(b"{}"))).unwrap()
}
