//! The Lambda port: a round of pings over shared connections.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, warn};

use super::answer;
use super::clients::Clients;
use super::connector::{
    Carrier, ConnectionPool, Failure, Http1, Origin, Outgoing, Reply, Report, ping_http1,
};
use super::sign::{Signed, sign};
use crate::domain::fleet::{HttpVersions, Sign};
use crate::domain::function::Region;
use crate::domain::round::{Answer, RawInvocation};
use crate::engine::ports::{Lambda, Payloads, PingEnd, PingEnds, PingRound};

/// The longest wait for the next connection of a round after the last one that became ready. Above the connect timeout, so
/// that a connection that fails delays the others no longer than its failure takes to be known.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pings over HTTP/1.1 that share a task. A task each would cost more, one task for all would use one core.
const HTTP1_GROUP: usize = 32;
/// The most searches of a ping for a connection: at first, after a stream that was refused, and after a connection that was
/// closed before the ping was written to it.
const MOST_TRIES: u8 = 3;

/// Lambda: requests made by the SDK, connections of our own.
#[derive(Debug, Clone)]
pub struct AwsLambda {
    clients: Arc<Clients>,
    /// Where a region's pings went last, so that connections are opened while the next round is signed.
    origins: Arc<Mutex<HashMap<Region, Origin>>>,
}

impl AwsLambda {
    /// Lambda, through these clients.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients, origins: Arc::default() }
    }
}

impl Lambda for AwsLambda {
    fn send(&self, round: PingRound) -> PingEnds {
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let lambda = self.clone();
        // The span names the invocation that a log line belongs to.
        tokio::spawn(async move { lambda.run(round, deliveries).await }.in_current_span());
        delivered
    }
}

/// A ping of a round: where its end is delivered, and how far it came.
struct Ping {
    index: u32,
    tries: u8,
    was_refused: bool,
    /// True once it was sent after a refusal.
    resent: bool,
    round: Arc<InFlight>,
}

/// State that the pings of one round share after the release.
struct InFlight {
    released: Instant,
    limit: Duration,
    deliveries: mpsc::UnboundedSender<PingEnd>,
    /// Pings that look for another connection. Closed when the last ping has ended.
    again: mpsc::UnboundedSender<Ping>,
}

impl Ping {
    fn deliver(self, sent: Instant, received: Instant, answer: Answer) {
        let since_release = |at: Instant| at.saturating_duration_since(self.round.released);
        let raw = RawInvocation { sent: since_release(sent), received: since_release(received), answer };
        // The receiver is gone when the round was given up.
        let _ = self.round.deliveries.send(PingEnd { index: self.index, raw, resent: self.resent });
    }

    /// Delivers that the ping was not sent.
    fn not_sent(self, message: String) {
        let now = self.round.released;
        self.deliver(now, now, Answer::Broken { message, may_have_run: false });
    }

    /// Looks for another connection, unless it has done so too often.
    fn retry(mut self, reason: String) {
        if self.tries >= MOST_TRIES {
            return self.not_sent(reason);
        }
        let again = self.round.again.clone();
        self.tries += 1;
        // The receiver lives until the last sender is dropped.
        let _ = again.send(self);
    }
}

impl Report for Ping {
    fn ended(self: Box<Self>, sent: Instant, received: Instant, reply: Reply) {
        let mut ping = *self;
        match reply {
            Reply::Decision(response) => ping.deliver(sent, received, answer::parse(response)),
            Reply::NotSent(reason) => ping.retry(reason),
            // Once more, and no oftener.
            Reply::NotProcessed(reason) if ping.was_refused => {
                ping.not_sent(format!("the server refused the request twice: {reason}"));
            }
            Reply::NotProcessed(reason) => {
                ping.was_refused = true;
                ping.retry(reason);
            }
            Reply::Failed(failure) => {
                let answer = match &failure {
                    Failure::NoAnswer { .. } => Answer::TimedOut,
                    other => {
                        Answer::Broken { message: other.to_string(), may_have_run: other.may_have_run() }
                    }
                };
                ping.deliver(sent, received, answer);
            }
        }
    }
}

impl AwsLambda {
    async fn run(self, round: PingRound, deliveries: mpsc::UnboundedSender<PingEnd>) {
        let (region, http) = (round.function.region, round.wire.http);
        let begin = |origin: &Origin| {
            let mut search = Search::at(self.clients.connector().pool(origin), http);
            search.look_for(round.payloads.pings() as usize);
            search
        };
        // Connections are opened while the request is signed, once it is known where to.
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

/// Delivers that no ping of the round was sent.
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

/// The search for connections that carry the pings of a round.
struct Search {
    pool: Arc<ConnectionPool>,
    http: HttpVersions,
    found: mpsc::UnboundedSender<Carrier>,
    carriers: mpsc::UnboundedReceiver<Carrier>,
    /// Pings for which nothing has been found yet.
    missing: usize,
}

impl Search {
    fn at(pool: Arc<ConnectionPool>, http: HttpVersions) -> Self {
        let (found, carriers) = mpsc::unbounded_channel();
        Self { pool, http, found, carriers, missing: 0 }
    }

    fn look_for(&mut self, pings: usize) {
        self.missing += pings;
        tokio::spawn(Arc::clone(&self.pool).acquire(pings, self.http, self.found.clone()));
    }

    /// The carriers that wait to be taken.
    fn found_already(&mut self) -> Vec<Carrier> {
        let mut found = Vec::new();
        while let Ok(carrier) = self.carriers.try_recv() {
            self.missing = self.missing.saturating_sub(carrier.pings());
            found.push(carrier);
        }
        found
    }

    /// The next carrier. Waits for ever when nothing is missing.
    async fn next(&mut self) -> Carrier {
        if self.missing > 0
            && let Some(carrier) = self.carriers.recv().await
        {
            self.missing = self.missing.saturating_sub(carrier.pings());
            return carrier;
        }
        std::future::pending().await
    }
}

/// A round from its first connection to the end of its last ping.
struct Dispatch {
    clients: Arc<Clients>,
    round: PingRound,
    requests: Requests,
    search: Search,
}

impl Dispatch {
    async fn run(mut self, deliveries: mpsc::UnboundedSender<PingEnd>) {
        let ready = self.gather().await;
        self.renew().await;
        if deliveries.is_closed() {
            // The round was given up: an unawaited request is not sent.
            return;
        }
        let abandoned = deliveries.downgrade();
        let (again, mut repeated) = mpsc::unbounded_channel();
        let released = Instant::now();
        let limit = self.round.timeout;
        let shared = InFlight { released, limit, deliveries, again };
        let shared = Arc::new(shared);
        let ping = |index| {
            let round = Arc::clone(&shared);
            Ping { index, tries: 1, was_refused: false, resent: false, round }
        };
        let mut queue: VecDeque<Ping> = (0..self.round.payloads.pings()).map(ping).collect();
        // From here on only pings keep it: when the last one has ended, `repeated` is closed.
        drop(shared);
        self.send(ready, &mut queue);
        loop {
            tokio::select! {
                carrier = self.search.next(), if !queue.is_empty() => {
                    self.renew().await;
                    if abandoned.upgrade().is_none_or(|deliveries| deliveries.is_closed()) {
                        return;
                    }
                    // What became ready in the same moment leaves in the same moment.
                    let mut carriers = vec![carrier];
                    carriers.extend(self.search.found_already());
                    self.send(carriers, &mut queue);
                }
                ping = repeated.recv() => {
                    let Some(ping) = ping else { return };
                    queue.push_back(ping);
                    let mut pings = 1;
                    // A connection that ends sends all its pings back at once.
                    while let Ok(ping) = repeated.try_recv() {
                        queue.push_back(ping);
                        pings += 1;
                    }
                    self.search.look_for(pings);
                }
            }
        }
    }

    /// The barrier: waits until there is a connection for every ping, or none has become ready for too long.
    async fn gather(&mut self) -> Vec<Carrier> {
        let mut ready = Vec::new();
        // Opening has time limits of its own: until a connection is ready there is nothing that could leave.
        let mut latest = None;
        while self.search.missing > 0 {
            let next = self.search.next();
            let carrier = match latest {
                None => next.await,
                Some(latest) => match timeout_at(latest + PATIENCE, next).await {
                    Ok(carrier) => carrier,
                    Err(_) => break,
                },
            };
            if !matches!(carrier, Carrier::Failed { .. }) {
                latest = Some(Instant::now());
            }
            ready.push(carrier);
        }
        ready
    }

    /// Signs anew what has become too old while connections were opened.
    async fn renew(&mut self) {
        if self.requests.are_stale() {
            match Requests::sign(&self.clients, &self.round).await {
                Ok(requests) => self.requests = requests,
                // Lambda accepts the old signature for some minutes more, or refuses it by name.
                Err(reason) => warn!(%reason, "a request could not be signed anew"),
            }
        }
    }

    /// Sends pings of the queue on these connections, all at once.
    fn send(&self, carriers: Vec<Carrier>, queue: &mut VecDeque<Ping>) {
        let mut http1 = Vec::new();
        let mut http2 = Vec::new();
        for carrier in carriers {
            match carrier {
                Carrier::Http1(connection) => {
                    if let Some(ping) = queue.pop_front() {
                        http1.push((connection, self.outgoing(ping, |signed| &signed.http1)));
                    }
                }
                Carrier::Http2(streams) => {
                    let pings = queue.drain(..streams.count().min(queue.len()));
                    let pings = pings.map(|ping| self.outgoing(ping, |signed| &signed.http2)).collect();
                    http2.push((streams, pings));
                }
                Carrier::Failed { pings, reason } => {
                    for ping in queue.drain(..pings.min(queue.len())) {
                        ping.not_sent(reason.clone());
                    }
                }
            }
        }
        for (streams, pings) in http2 {
            streams.send(pings);
        }
        while !http1.is_empty() {
            let group = http1.split_off(http1.len().saturating_sub(HTTP1_GROUP));
            tokio::spawn(over_http1(Arc::clone(&self.search.pool), group));
        }
    }

    fn outgoing(&self, mut ping: Ping, request: impl Fn(&Signed) -> &http::Request<()>) -> Outgoing {
        ping.resent = ping.was_refused;
        let signed = self.requests.of(ping.index as usize);
        // From when it is sent: one that found its connection late may run as long as the others.
        let limit = ping.round.limit;
        let deadline = Instant::now() + limit;
        let (request, body) = (request(signed).clone(), signed.body.clone());
        Outgoing { request, body, deadline, limit, report: Box::new(ping) }
    }
}

async fn over_http1(pool: Arc<ConnectionPool>, group: Vec<(Http1, Outgoing)>) {
    let mut pings: FuturesUnordered<_> =
        group.into_iter().map(|(connection, ping)| ping_http1(&pool, connection, ping)).collect();
    while pings.next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::WireSettings;
    use crate::domain::function::FunctionRef;

    #[tokio::test]
    async fn every_ping_is_signed_when_the_configuration_says_so() {
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
