//! The Lambda port: a round of pings over shared connections.

mod dispatch;
mod ping;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Instrument;

use super::clients::Clients;
use super::connector::Origin;
use super::sign::{Signed, sign};
use crate::domain::fleet::Sign;
use crate::domain::function::Region;
use crate::domain::round::{Answer, RawInvocation};
use crate::engine::ports::{Lambda, Payloads, PingEnd, PingEnds, PingRound};
use dispatch::{Dispatch, Search};

/// Lambda: the SDK makes the requests, the connector sends them.
#[derive(Debug, Clone)]
pub struct AwsLambda {
    clients: Arc<Clients>,
    /// The latest origin of each region. Connections to it are opened while the next round is signed.
    origins: Arc<Mutex<HashMap<Region, Origin>>>,
}

impl AwsLambda {
    /// Creates the port over these clients.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients, origins: Arc::default() }
    }
}

impl Lambda for AwsLambda {
    fn send(&self, round: PingRound) -> PingEnds {
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let lambda = self.clone();
        // The span adds the invocation to log lines.
        tokio::spawn(async move { lambda.run(round, deliveries).await }.in_current_span());
        delivered
    }
}

impl AwsLambda {
    async fn run(self, round: PingRound, deliveries: mpsc::UnboundedSender<PingEnd>) {
        let (region, http) = (round.function.region, round.wire.http);
        let begin = |origin: &Origin| {
            let mut search = Search::new(self.clients.connector().pool(origin), http);
            search.start(round.payloads.pings() as usize);
            search
        };
        // Connections are opened while the request is signed, once the origin is known.
        let known = self.origins().get(&region).cloned();
        let search = known.as_ref().map(begin);
        let requests = match Requests::sign(&self.clients, &round).await {
            Ok(requests) => requests,
            Err(reason) => return none_sent(&round, &reason, &deliveries),
        };
        let origin = requests.origin().clone();
        let search = search.filter(|_| known.as_ref() == Some(&origin)).unwrap_or_else(|| begin(&origin));
        self.origins().insert(region, origin);
        Dispatch { clients: self.clients, round, requests, search }.run(deliveries).await;
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<Region, Origin>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports that no ping of the round was sent.
fn none_sent(round: &PingRound, reason: &str, deliveries: &mpsc::UnboundedSender<PingEnd>) {
    for index in 0..round.payloads.pings() {
        let answer = Answer::Broken { message: reason.to_owned(), may_have_run: false };
        let raw = RawInvocation { sent: Duration::ZERO, received: Duration::ZERO, answer };
        let _ = deliveries.send(PingEnd { index, raw, resent: false });
    }
}

/// The signed requests of a round.
enum Requests {
    /// One for all pings.
    Same(Box<Signed>),
    /// One for each ping, in the order of their indices. Never empty.
    Each(Vec<Signed>),
}

impl Requests {
    async fn sign(clients: &Clients, round: &PingRound) -> Result<Self, String> {
        match (&round.payloads, round.wire.sign) {
            (Payloads::Same { payload, .. }, Sign::Round) => {
                sign(clients, round, payload).await.map(|signed| Self::Same(Box::new(signed)))
            }
            (payloads, _) => {
                let mut requests = Vec::with_capacity(payloads.pings() as usize);
                for index in 0..payloads.pings().max(1) as usize {
                    requests.push(sign(clients, round, payloads.of(index)).await?);
                }
                Ok(Self::Each(requests))
            }
        }
    }

    fn of(&self, index: usize) -> &Signed {
        match self {
            Self::Same(signed) => signed,
            Self::Each(all) => &all[index.min(all.len() - 1)],
        }
    }

    fn origin(&self) -> &Origin {
        &self.of(0).origin
    }

    fn are_stale(&self) -> bool {
        self.of(0).is_stale()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::WireSettings;
    use crate::domain::function::FunctionRef;

    #[tokio::test]
    async fn every_ping_is_signed_when_the_configuration_requires_it() {
        let clients = Clients::local("https://lambda.test");
        let mut round = PingRound {
            function: FunctionRef::parse("f").unwrap().identity(Region::parse("eu-west-2").unwrap()),
            role: None,
            payloads: Payloads::Same { payload: b"{}".to_vec(), pings: 10 },
            client_context: None,
            trace_id: None,
            wire: WireSettings::default(),
            timeout: Duration::from_secs(30),
        };
        assert!(matches!(Requests::sign(&clients, &round).await, Ok(Requests::Same(_))));
        round.wire.sign = Sign::Ping;
        let Ok(Requests::Each(requests)) = Requests::sign(&clients, &round).await else { panic!() };
        assert_eq!(requests.len(), 10);
    }
}
