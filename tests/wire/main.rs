//! The real SDK over our connector, against a scripted HTTP server.

mod answers;
mod connections;
mod control;
mod counted;
mod emulator;
mod environment;
mod http2;
mod lies;
mod nginx;
mod parity;
mod proxy;
mod roles;
mod server;
mod sinks;
mod soak;
mod support;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients};
use warmd::domain::fleet::WireSettings;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::RawInvocation;
use warmd::engine::ports::{Lambda, Payloads, PingEnd, PingRound};

/// A round of pings to `function`.
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

/// A round of one ping.
fn ping(function: &str) -> PingRound {
    pings(function, 1)
}

/// Lambda as `--local` sees it, through `dialer`.
fn lambda_through(dialer: Dialer) -> AwsLambda {
    let connector = Connector::new(dialer, Roots::Native, Proxies::Direct);
    AwsLambda::new(Arc::new(Clients::local_through("http://lambda.test", connector)))
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

/// Sends a round. Returns when it was begun, and the exchanges in the order of the pings.
async fn round(lambda: &AwsLambda, round: PingRound) -> (Instant, Vec<RawInvocation>) {
    let began = Instant::now();
    let all = deliveries(lambda, round).await;
    (began, all.into_iter().map(|delivery| delivery.raw).collect())
}

/// Sends one ping.
async fn one(lambda: &AwsLambda, ping: PingRound) -> RawInvocation {
    round(lambda, ping).await.1.remove(0)
}

/// Moves the clock without running timers, as when Lambda freezes the process.
fn freeze(by: Duration) {
    let mut advance = std::pin::pin!(tokio::time::advance(by));
    // Its first step moves the clock; in the next it would let timers run.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(advance.as_mut().poll(&mut context).is_pending());
}
