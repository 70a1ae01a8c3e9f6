//! The real SDK over our connector, against a scripted HTTP server.

mod answers;
mod connections;
mod control;
mod environment;
mod lies;
mod prepare;
mod roles;
mod server;
mod sinks;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use warmd::aws::connector::{Connector, Dialer, Roots};
use warmd::aws::{AwsLambda, Clients};
use warmd::domain::fleet::Prepare;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::round::Exchange;
use warmd::engine::ports::{Lambda, Ping};
use warmd::engine::release::Release;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn ping(function: &str) -> Ping {
    let region = Region::parse("eu-west-2").unwrap();
    Ping {
        function: FunctionRef::parse(function).unwrap().identity(region),
        role: None,
        payload: b"{}".to_vec(),
        client_context: None,
        prepare: Prepare::Off,
        timeout: Duration::from_secs(30),
    }
}

/// Lambda as `--local` sees it, through `dialer`.
fn lambda_through(dialer: Dialer) -> AwsLambda {
    let connector = Connector::new(dialer, Roots::Native);
    AwsLambda::new(Arc::new(Clients::local_through("http://lambda.test", connector)))
}

/// Sends the pings as one round. Returns when the gate opened, and the exchanges in the order of the pings.
async fn round(lambda: &AwsLambda, pings: Vec<Ping>, patience: Duration) -> (Instant, Vec<Exchange>) {
    let mut release = Release::new(pings.len(), patience);
    let mut tasks = JoinSet::new();
    for (index, ping) in pings.into_iter().enumerate() {
        let (lambda, ticket) = (lambda.clone(), release.ticket());
        tasks.spawn(async move { (index, lambda.invoke(ping, ticket).await) });
    }
    let opened = release.watch().await;
    let mut exchanges = tasks.join_all().await;
    exchanges.sort_by_key(|(index, _)| *index);
    (opened, exchanges.into_iter().map(|(_, exchange)| exchange).collect())
}

/// Sends one ping.
async fn one(lambda: &AwsLambda, ping: Ping) -> Exchange {
    round(lambda, vec![ping], PATIENCE).await.1.remove(0)
}
