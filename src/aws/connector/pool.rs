//! The connections to one origin: idle HTTP/1.1 connections, HTTP/2 connections shared by all rounds, and the opening
//! of new ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use super::CONNECT_TIMEOUT;
use super::http1::Http1;
use super::http2::{Handle, Outgoing};
use super::idle::IdleConnections;
use super::open::{Opened, Opener};
use super::origin::Origin;
use super::streams::{Lease, StreamUse};
use super::tls::Alpn;
use crate::aws::error::Failure;
use crate::domain::fleet::HttpVersions;

/// Connections opened at the same time. More would overflow listen queues of 128, and on a slow core their TLS
/// handshakes would delay each other past their time limit.
const OPENING: usize = 128;
/// Streams of one HTTP/2 connection, unless the server allows fewer. Lambda allows about 128.
pub const STREAMS_PER_CONNECTION: u32 = 100;
const STREAMS: usize = STREAMS_PER_CONNECTION as usize;
/// The time for which HTTP/2 is not offered to an origin that chose HTTP/1.1.
const HTTP1_REMEMBERED: Duration = Duration::from_secs(600);
/// The maximum number of searches for connections. A search is repeated for connections that turn out to be closed, to
/// allow fewer streams than expected, or to be HTTP/1.1.
const SEARCHES: usize = 4;

/// The connections to one origin.
#[derive(Debug)]
pub(in crate::aws) struct ConnectionPool {
    opener: Opener,
    opening: Semaphore,
    idle: Arc<IdleConnections>,
    http2: Mutex<Http2State>,
}

/// The HTTP/2 connections, and the observed properties of the server.
#[derive(Debug)]
struct Http2State {
    connections: Vec<Entry>,
    /// Streams that a new connection is expected to allow, at least 1.
    streams: usize,
    /// The instant until which HTTP/2 is not offered.
    http1_until: Option<Instant>,
}

/// An HTTP/2 connection, open or being opened.
#[derive(Debug)]
struct Entry {
    streams: Arc<StreamUse>,
    status: watch::Receiver<Status>,
}

#[derive(Debug, Clone)]
enum Status {
    Opening,
    Open(Handle),
    /// The reason.
    Failed(String),
    /// The server speaks HTTP/1.1.
    Http1,
}

/// A connection, or streams of one, for pings of a round.
pub(in crate::aws) enum Carrier {
    /// For one ping.
    Http1(Http1),
    /// For as many pings as there are streams.
    Http2(Streams),
    /// There is no connection for this many pings.
    Failed {
        /// The number of pings.
        pings: usize,
        /// The reason as text.
        reason: String,
    },
}

impl Carrier {
    /// Returns the number of pings that it accounts for.
    pub(in crate::aws) fn pings(&self) -> usize {
        match self {
            Self::Http1(_) => 1,
            Self::Http2(streams) => streams.count(),
            Self::Failed { pings, .. } => *pings,
        }
    }
}

/// Streams of an open HTTP/2 connection.
pub(in crate::aws) struct Streams {
    handle: Handle,
    lease: Lease,
}

impl Streams {
    /// Returns the number of streams, at least 1.
    pub(in crate::aws) fn count(&self) -> usize {
        self.lease.streams()
    }

    /// Sends pings, together. There must not be more pings than streams.
    pub(in crate::aws) fn send(self, pings: Vec<Outgoing>) {
        self.handle.send(pings, self.lease);
    }
}

/// A lease and the status of its connection.
struct Reserved {
    lease: Lease,
    status: watch::Receiver<Status>,
}

impl ConnectionPool {
    pub(super) fn new(opener: Opener) -> Self {
        let http2 = Http2State { connections: Vec::new(), streams: STREAMS, http1_until: None };
        let opening = Semaphore::new(OPENING);
        Self { opener, opening, idle: Arc::default(), http2: Mutex::new(http2) }
    }

    pub(in crate::aws) fn origin(&self) -> &Origin {
        self.opener.origin()
    }

    fn http2(&self) -> MutexGuard<'_, Http2State> {
        self.http2.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds or opens connections for `pings` pings and sends each to `found` when it is ready. In the end every ping
    /// is accounted for, by a connection or by a failure.
    pub(in crate::aws) async fn acquire(
        self: Arc<Self>,
        pings: usize,
        http: HttpVersions,
        found: mpsc::UnboundedSender<Carrier>,
    ) {
        let mut missing = pings;
        for search in 1..=SEARCHES {
            if missing == 0 {
                return;
            }
            if self.alpn(http) == Alpn::Http1 {
                return self.acquire_http1(missing, &found).await;
            }
            let mut waiting: FuturesUnordered<_> =
                self.reserve(missing, search == 1).into_iter().map(|reserved| self.ready(reserved)).collect();
            missing = 0;
            while let Some((carrier, again)) = waiting.next().await {
                missing += again;
                if let Some(carrier) = carrier {
                    // The receiver is gone when the round was cancelled. The streams are given back.
                    let _ = found.send(carrier);
                }
            }
        }
        if missing > 0 {
            let reason = format!("no connection to {} stayed open", self.origin());
            let _ = found.send(Carrier::Failed { pings: missing, reason });
        }
    }

    fn alpn(&self, http: HttpVersions) -> Alpn {
        let mut http2 = self.http2();
        if http2.http1_until.is_some_and(|until| until <= Instant::now()) {
            http2.http1_until = None;
        }
        match http {
            HttpVersions::Auto if self.origin().tls && http2.http1_until.is_none() => Alpn::Http2,
            HttpVersions::Auto | HttpVersions::Http1 => Alpn::Http1,
        }
    }

    /// Reserves `missing` streams: first those free on connections that are open or being opened, then those of new
    /// connections. `with_open` is false after a search that found dead connections: the other open ones may be dead
    /// too.
    fn reserve(self: &Arc<Self>, mut missing: usize, with_open: bool) -> Vec<Reserved> {
        let mut http2 = self.http2();
        let http2 = &mut *http2;
        http2.connections.retain(|entry| !entry.streams.is_retired());
        let mut reserved = Vec::new();
        for Entry { streams, status } in &http2.connections {
            let limit = match &*status.borrow() {
                Status::Open(_) if !with_open => continue,
                Status::Open(handle) => handle.streams.min(STREAMS),
                _ => http2.streams,
            };
            if let Some(lease) = streams.lease(missing, limit) {
                missing -= lease.streams();
                reserved.push(Reserved { lease, status: status.clone() });
            }
        }
        for connections in (1..=missing.div_ceil(http2.streams)).rev() {
            let share = missing.div_ceil(connections);
            missing -= share;
            let (sender, status) = watch::channel(Status::Opening);
            let streams = Arc::<StreamUse>::default();
            if let Some(lease) = streams.lease(share, share) {
                reserved.push(Reserved { lease, status: status.clone() });
            }
            tokio::spawn(Arc::clone(self).open_http2(Arc::clone(&streams), sender));
            http2.connections.push(Entry { streams, status });
        }
        reserved
    }

    async fn open_http2(self: Arc<Self>, streams: Arc<StreamUse>, status: watch::Sender<Status>) {
        let opened = match self.open_twice(Alpn::Http2).await {
            Ok(Opened::Http2(new)) => {
                debug!(origin = %self.origin(), streams = new.streams, "HTTP/2 connection opened");
                self.http2().streams = new.streams.min(STREAMS);
                Status::Open(Handle::start(*new, self.origin().clone(), Arc::clone(&streams)))
            }
            Ok(Opened::Http1(connection)) => {
                debug!(origin = %self.origin(), "server chose HTTP/1.1");
                self.http2().http1_until = Some(Instant::now() + HTTP1_REMEMBERED);
                self.keep(connection).await;
                Status::Http1
            }
            Err(failure) => Status::Failed(failure.to_string()),
        };
        if !matches!(opened, Status::Open(_)) {
            streams.retire();
        }
        status.send_replace(opened);
    }

    /// Waits until a reserved connection is open. Returns the carrier, and the number of pings that need another
    /// search.
    async fn ready(&self, mut reserved: Reserved) -> (Option<Carrier>, usize) {
        let lease = &mut reserved.lease;
        let streams = lease.streams();
        let status = match reserved.status.wait_for(|status| !matches!(status, Status::Opening)).await {
            Ok(status) => status.clone(),
            Err(_) => Status::Failed("the opening of the connection ended unexpectedly".to_owned()),
        };
        match status {
            Status::Opening | Status::Http1 => (None, streams),
            Status::Failed(reason) => {
                lease.retire();
                (Some(Carrier::Failed { pings: streams, reason }), 0)
            }
            Status::Open(handle) => {
                if !handle.is_alive().await {
                    debug!(origin = %self.origin(), "HTTP/2 connection did not answer a PING");
                    lease.retire();
                    return (None, streams);
                }
                let excess = lease.trim(handle.streams);
                if lease.streams() == 0 {
                    return (None, excess);
                }
                (Some(Carrier::Http2(Streams { handle, lease: reserved.lease })), excess)
            }
        }
    }

    /// Opens a connection, with one retry: nothing has been sent on it.
    async fn open_twice(&self, alpn: Alpn) -> Result<Opened, Failure> {
        // The semaphore is never closed.
        let _permit = self.opening.acquire().await;
        match self.opener.open(CONNECT_TIMEOUT, alpn).await {
            Err(failure) => {
                debug!(reason = %failure, "opening a connection failed, retrying once");
                self.opener.open(CONNECT_TIMEOUT, alpn).await
            }
            opened => opened,
        }
    }

    async fn acquire_http1(self: &Arc<Self>, mut missing: usize, found: &mpsc::UnboundedSender<Carrier>) {
        while missing > 0
            && let Some(connection) = self.idle.take().await
        {
            let _ = found.send(Carrier::Http1(connection));
            missing -= 1;
        }
        // One task per connection spreads the TLS handshakes over the cores.
        let mut opening = JoinSet::new();
        for _ in 0..missing {
            let pool = Arc::clone(self);
            opening.spawn(async move { pool.open_http1().await });
        }
        while let Some(opened) = opening.join_next().await {
            let carrier = match opened {
                Ok(Ok(connection)) => Carrier::Http1(connection),
                Ok(Err(failure)) => Carrier::Failed { pings: 1, reason: failure.to_string() },
                Err(error) => Carrier::Failed { pings: 1, reason: error.to_string() },
            };
            let _ = found.send(carrier);
        }
    }

    /// Opens an HTTP/1.1 connection, with one retry.
    ///
    /// # Errors
    /// The failure of the retry.
    pub(in crate::aws) async fn open_http1(&self) -> Result<Http1, Failure> {
        self.open_twice(Alpn::Http1).await.and_then(|opened| self.only_http1(opened))
    }

    /// Returns an HTTP/1.1 connection for a request of the SDK: the one that became idle last, or a new one.
    pub(super) async fn http1(&self, limit: Duration) -> Result<Http1, Failure> {
        if let Some(connection) = self.idle.take().await {
            return Ok(connection);
        }
        // The semaphore is never closed.
        let _permit = self.opening.acquire().await;
        self.opener.open(limit, Alpn::Http1).await.and_then(|opened| self.only_http1(opened))
    }

    fn only_http1(&self, opened: Opened) -> Result<Http1, Failure> {
        match opened {
            Opened::Http1(connection) => Ok(connection),
            Opened::Http2(_) => Err(Failure::NotHttp {
                origin: self.origin().clone(),
                reason: "the server chose HTTP/2, which was not offered".to_owned(),
            }),
        }
    }

    /// Keeps an HTTP/1.1 connection for the next request, if it is usable.
    pub(in crate::aws) async fn keep(&self, connection: Http1) {
        self.idle.put(connection).await;
    }
}
