//! The sending of a round: connections for all pings first, then all pings together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::Requests;
use super::ping::{InFlight, Ping};
use crate::aws::clients::Clients;
use crate::aws::connector::{Carrier, ConnectionPool, Http1, Outgoing, ping_http1};
use crate::aws::sign::Signed;
use crate::domain::fleet::HttpVersions;
use crate::engine::ports::{PingEnd, PingRound};

/// The longest wait for the next connection of a round after the last one that became ready. Above the connect timeout,
/// so that a failing connection delays the others no longer than until its failure is known.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pings over HTTP/1.1 that share a task. A task each would cost more, one task for all would use one core.
const HTTP1_GROUP: usize = 32;

/// The search for connections for the pings of a round.
pub(super) struct Search {
    pool: Arc<ConnectionPool>,
    http: HttpVersions,
    found: mpsc::UnboundedSender<Carrier>,
    carriers: mpsc::UnboundedReceiver<Carrier>,
    /// Pings for which no carrier has been received yet.
    missing: usize,
}

impl Search {
    pub(super) fn new(pool: Arc<ConnectionPool>, http: HttpVersions) -> Self {
        let (found, carriers) = mpsc::unbounded_channel();
        Self { pool, http, found, carriers, missing: 0 }
    }

    /// Starts to search connections for this many more pings.
    pub(super) fn start(&mut self, pings: usize) {
        self.missing += pings;
        tokio::spawn(Arc::clone(&self.pool).acquire(pings, self.http, self.found.clone()));
    }

    /// Takes the carriers that are ready now.
    fn ready(&mut self) -> Vec<Carrier> {
        let mut ready = Vec::new();
        while let Ok(carrier) = self.carriers.try_recv() {
            self.missing = self.missing.saturating_sub(carrier.pings());
            ready.push(carrier);
        }
        ready
    }

    /// Waits for the next carrier; forever when nothing is missing.
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
pub(super) struct Dispatch {
    pub clients: Arc<Clients>,
    pub round: PingRound,
    pub requests: Requests,
    pub search: Search,
}

impl Dispatch {
    pub(super) async fn run(mut self, deliveries: mpsc::UnboundedSender<PingEnd>) {
        let ready = self.gather().await;
        self.renew().await;
        if deliveries.is_closed() {
            // The round was cancelled.
            return;
        }
        let cancelled = deliveries.downgrade();
        let (retries, mut retried) = mpsc::unbounded_channel();
        let (released, limit) = (Instant::now(), self.round.timeout);
        let shared = Arc::new(InFlight { released, limit, deliveries, retries });
        let pings = 0..self.round.payloads.pings();
        let mut queue: VecDeque<Ping> = pings.map(|index| Ping::new(index, Arc::clone(&shared))).collect();
        // Only pings hold it from here on, so that `retried` closes when the last one has ended.
        drop(shared);
        self.send(ready, &mut queue);
        loop {
            tokio::select! {
                carrier = self.search.next(), if !queue.is_empty() => {
                    self.renew().await;
                    if cancelled.upgrade().is_none_or(|deliveries| deliveries.is_closed()) {
                        return;
                    }
                    // Connections that are ready at the same time are used at the same time.
                    let mut carriers = vec![carrier];
                    carriers.extend(self.search.ready());
                    self.send(carriers, &mut queue);
                }
                ping = retried.recv() => {
                    let Some(ping) = ping else { return };
                    queue.push_back(ping);
                    let mut pings = 1;
                    // A connection that ends sends all its pings back at once.
                    while let Ok(ping) = retried.try_recv() {
                        queue.push_back(ping);
                        pings += 1;
                    }
                    self.search.start(pings);
                }
            }
        }
    }

    /// Waits until there is a connection for every ping, or until none has become ready within [`PATIENCE`].
    async fn gather(&mut self) -> Vec<Carrier> {
        let mut ready = Vec::new();
        // There is no deadline before the first connection: opening a connection has time limits.
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

    /// Signs the requests again if they became stale while connections were opened.
    async fn renew(&mut self) {
        if self.requests.are_stale() {
            match Requests::sign(&self.clients, &self.round).await {
                Ok(requests) => self.requests = requests,
                // Lambda accepts the old signature for some minutes more, or refuses it with a clear error.
                Err(reason) => warn!(%reason, "cannot sign a request again"),
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
        // Counted from the sending, so that a ping with a late connection may run as long as the others.
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
