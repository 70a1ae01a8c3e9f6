//! The real SDK over our connector, against a scripted HTTP server or the emulator.

mod ahead;
mod answers;
mod autoscaling;
mod backlog_metrics;
mod backlog_requests;
mod capacity;
mod capacity_random;
mod cleared;
mod connections;
mod control;
mod counted;
mod coverage;
mod deployed;
mod deployment;
mod emulator;
mod environment;
mod facts;
mod guards;
mod http2;
mod kinds;
mod lies;
mod nginx;
mod observability;
mod parity;
mod pipelines;
mod probe;
mod proxy;
mod roles;
mod scaling;
mod server;
mod sinks;
mod soak;
mod spool;
mod support;

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_rustls::rustls::RootCertStore;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients};
use warmd::domain::fleet::WireSettings;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::{Answer, RawInvocation};
use warmd::emulator::Emulator;
use warmd::engine::ports::{Lambda, Payloads, PingEnd, PingRound};

/// Creates a round of pings to `function`.
fn pings(function: &str, pings: u32) -> PingRound {
    let region = Region::parse("eu-west-2").unwrap();
    PingRound {
        function: FunctionRef::parse(function).unwrap().identity(region),
        role: None,
        payloads: Payloads::Same { payload: b"{}".to_vec(), pings },
        client_context: None,
        trace_id: None,
        wire: WireSettings::default(),
        timeout: Duration::from_secs(30),
    }
}

/// Creates a round of one ping.
fn ping(function: &str) -> PingRound {
    pings(function, 1)
}

/// Creates clients without TLS over `dialer`.
fn clients_through(dialer: Dialer) -> Clients {
    Clients::local_through("http://lambda.test", Connector::new(dialer, Roots::Native, Proxies::Direct))
}

/// Creates a Lambda port without TLS over `dialer`.
fn lambda_through(dialer: Dialer) -> AwsLambda {
    AwsLambda::new(Arc::new(clients_through(dialer)))
}

/// Creates a Lambda port over `dialer` and TLS, for the certificate of [`server::trust`].
fn secure_lambda_through(dialer: Dialer, roots: Arc<RootCertStore>) -> AwsLambda {
    let connector = Connector::new(dialer, Roots::Given(roots), Proxies::Direct);
    AwsLambda::new(Arc::new(Clients::local_through("https://localhost", connector)))
}

/// The behaviour of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connect {
    /// The emulator serves the connection.
    Serve,
    /// The connection is refused.
    Refuse,
    /// The connection is never opened.
    Hang,
    /// The connection is opened and never answered.
    Mute,
}

/// Creates in-memory connections to an emulator. `connect` decides about each attempt, by its number from 1.
fn emulator_dialer(emulator: &Emulator, connect: impl Fn(u64) -> Connect + Send + Sync + 'static) -> Dialer {
    let (emulator, count) = (emulator.clone(), AtomicU64::new(0));
    let muted = Mutex::new(Vec::new());
    Dialer::custom(move |_: &str, _| {
        let connect = connect(count.fetch_add(1, Ordering::SeqCst) + 1);
        let (near, far) = tokio::io::duplex(64 << 10);
        match connect {
            Connect::Serve => {
                let emulator = emulator.clone();
                tokio::spawn(async move { emulator.serve_io(far).await });
            }
            Connect::Mute => muted.lock().unwrap().push(far),
            Connect::Refuse | Connect::Hang => {}
        }
        async move {
            match connect {
                Connect::Serve | Connect::Mute => Ok(near),
                Connect::Refuse => Err(ErrorKind::ConnectionRefused.into()),
                Connect::Hang => std::future::pending().await,
            }
        }
    })
}

/// Returns true when Lambda has answered the ping with a success.
fn responded(raw: &RawInvocation) -> bool {
    matches!(raw.answer, Answer::Responded { .. })
}

/// Sends a round and returns its deliveries in the order of the pings.
async fn deliveries(lambda: &AwsLambda, round: PingRound) -> Vec<PingEnd> {
    let expected = round.payloads.pings() as usize;
    let mut delivered = lambda.send(round);
    let mut all = Vec::new();
    while let Some(delivery) = delivered.recv().await {
        all.push(delivery);
    }
    all.sort_by_key(|delivery| delivery.index);
    let indices: Vec<_> = all.iter().map(|delivery| delivery.index as usize).collect();
    assert_eq!(indices, (0..expected).collect::<Vec<_>>(), "each ping ends once");
    all
}

/// Sends a round. Returns its start, and the invocations in the order of the pings.
async fn round(lambda: &AwsLambda, round: PingRound) -> (Instant, Vec<RawInvocation>) {
    let began = Instant::now();
    let all = deliveries(lambda, round).await;
    (began, all.into_iter().map(|delivery| delivery.raw).collect())
}

/// Sends one ping.
async fn one(lambda: &AwsLambda, ping: PingRound) -> RawInvocation {
    round(lambda, ping).await.1.remove(0)
}

/// Advances the clock without running timers, like Lambda when it freezes the process.
fn freeze(by: Duration) {
    let mut advance = std::pin::pin!(tokio::time::advance(by));
    // The first poll advances the clock. The next one would run timers.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(advance.as_mut().poll(&mut context).is_pending());
}
