//! The connections to one origin: idle HTTP/1.1 connections, HTTP/2 connections shared by all rounds, and the opening
//! of new ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use super::http1::Http1;
use super::http2::{Handle, Outgoing};
use super::open::{Opened, Opener};
use super::origin::Origin;
use super::tls::Offer;
use super::{CONNECT_TIMEOUT, Failure};
use crate::domain::fleet::HttpVersions;

/// An HTTP/1.1 connection idle for longer is not trusted with a request that is never repeated, and is closed. The
/// process may have been frozen in between (Lambda does that), so that the server's closing has not been seen.
const IDLE_LIFE: Duration = Duration::from_secs(5);
/// Connections opened at the same time. More would overflow listen queues of 128, and on a slow core their TLS
/// handshakes would starve each other past their time limit.
const OPENING: usize = 128;
/// Streams of one HTTP/2 connection, unless the server allows fewer. Lambda allows about 128.
pub const STREAMS_PER_CONNECTION: u32 = 100;
const STREAMS: usize = STREAMS_PER_CONNECTION as usize;
/// The time for which an origin that chose HTTP/1.1 is not offered HTTP/2 again.
const HTTP1_REMEMBERED: Duration = Duration::from_secs(600);
/// The most searches for connections, when those found turn out to be closed, to allow fewer streams, or to speak
/// HTTP/1.1.
const SEARCHES: usize = 4;

/// The connections to one origin.
#[derive(Debug)]
pub(in crate::aws) struct ConnectionPool {
    opener: Opener,
    opening: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Idle HTTP/1.1 connections, the longest idle first.
    idle: VecDeque<(Instant, Http1)>,
    /// True while a task runs that closes them in time.
    is_watched: bool,
    http2: Vec<Entry>,
    next_id: u64,
    /// Streams that a new HTTP/2 connection is expected to allow.
    streams: usize,
    /// The instant until which HTTP/2 is not offered.
    http1_until: Option<Instant>,
}

/// An HTTP/2 connection, open or being opened.
#[derive(Debug)]
struct Entry {
    id: u64,
    /// Streams that are in use or promised to a round.
    in_use: usize,
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

/// Streams of one HTTP/2 connection, promised to a round. Dropping it gives them back.
#[derive(Debug)]
pub(in crate::aws) struct Lease {
    pool: Arc<ConnectionPool>,
    id: u64,
    streams: usize,
}

/// One stream of a [`Lease`]. Dropping it gives the stream back.
#[derive(Debug)]
pub(super) struct StreamSlot(Lease);

impl StreamSlot {
    /// Takes the connection out of the pool.
    pub(super) fn retire(&self) {
        self.0.retire();
    }
}

/// A carrier of pings of a round.
pub(in crate::aws) enum Carrier {
    /// One ping.
    Http1(Http1),
    /// As many pings as there are streams.
    Http2(Streams),
    /// There is no connection for so many pings.
    Failed {
        /// The pings.
        pings: usize,
        /// The reason, for people.
        reason: String,
    },
}

impl Carrier {
    /// The number of pings that it accounts for.
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
    /// The number of streams, at least 1.
    pub(in crate::aws) fn count(&self) -> usize {
        self.lease.streams
    }

    /// Sends pings, together. Not more than there are streams.
    pub(in crate::aws) fn send(self, pings: Vec<Outgoing>) {
        self.handle.send(pings, self.lease);
    }
}

/// A lease and the connection that it belongs to.
struct Reserved {
    lease: Lease,
    status: watch::Receiver<Status>,
}

impl ConnectionPool {
    pub(super) fn new(opener: Opener) -> Self {
        let state = State {
            idle: VecDeque::new(),
            is_watched: false,
            http2: Vec::new(),
            next_id: 0,
            streams: STREAMS,
            http1_until: None,
        };
        Self { opener, opening: Semaphore::new(OPENING), state: Mutex::new(state) }
    }

    pub(in crate::aws) fn origin(&self) -> &Origin {
        self.opener.origin()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds or opens what carries `pings` pings, and sends each carrier to `found` when it is ready. Every ping is
    /// accounted for in the end, by a carrier or by a failure.
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
            if self.offer(http) == Offer::Http1 {
                return self.acquire_http1(missing, &found).await;
            }
            let mut waiting: FuturesUnordered<_> =
                self.reserve(missing, search == 1).into_iter().map(Reserved::ready).collect();
            missing = 0;
            while let Some((carrier, again)) = waiting.next().await {
                missing += again;
                if let Some(carrier) = carrier {
                    // The receiver is gone when the round was given up. The streams are given back.
                    let _ = found.send(carrier);
                }
            }
        }
        if missing > 0 {
            let reason = format!("no connection to {} stayed open", self.origin());
            let _ = found.send(Carrier::Failed { pings: missing, reason });
        }
    }

    fn offer(&self, http: HttpVersions) -> Offer {
        let mut state = self.state();
        if state.http1_until.is_some_and(|until| until <= Instant::now()) {
            state.http1_until = None;
        }
        match http {
            HttpVersions::Auto if self.origin().tls && state.http1_until.is_none() => Offer::Http2,
            HttpVersions::Auto | HttpVersions::Http1 => Offer::Http1,
        }
    }

    /// Promises `missing` streams: those free on connections that are open or being opened, then those of new ones. After
    /// a search that found dead connections, open ones are left out: the others may be as dead.
    fn reserve(self: &Arc<Self>, mut missing: usize, with_open: bool) -> Vec<Reserved> {
        let mut state = self.state();
        let state = &mut *state;
        let mut reserved = Vec::new();
        let mut promise = |entry: &mut Entry, streams: usize| {
            entry.in_use += streams;
            let lease = Lease { pool: Arc::clone(self), id: entry.id, streams };
            reserved.push(Reserved { lease, status: entry.status.clone() });
        };
        for entry in &mut state.http2 {
            let limit = match &*entry.status.borrow() {
                Status::Open(_) if !with_open => continue,
                Status::Open(handle) => handle.streams.min(STREAMS),
                _ => state.streams,
            };
            let streams = limit.saturating_sub(entry.in_use).min(missing);
            if streams > 0 {
                promise(entry, streams);
                missing -= streams;
            }
        }
        for connections in (1..=missing.div_ceil(state.streams)).rev() {
            let streams = missing.div_ceil(connections);
            missing -= streams;
            let (sender, status) = watch::channel(Status::Opening);
            let mut entry = Entry { id: state.next_id, in_use: 0, status };
            state.next_id += 1;
            promise(&mut entry, streams);
            tokio::spawn(Arc::clone(self).open_http2(entry.id, sender));
            state.http2.push(entry);
        }
        reserved
    }

    async fn open_http2(self: Arc<Self>, id: u64, status: watch::Sender<Status>) {
        let opened = match self.open_twice(Offer::Http2).await {
            Ok(Opened::Http2(new)) => {
                debug!(origin = %self.origin(), streams = new.streams, "HTTP/2 connection opened");
                self.state().streams = new.streams.min(STREAMS);
                let (retired, idle) = (Arc::downgrade(&self), Arc::downgrade(&self));
                let retire = move || {
                    if let Some(pool) = retired.upgrade() {
                        pool.forget(id);
                    }
                };
                let idle = move || idle.upgrade().is_none_or(|pool| pool.forget_idle(id));
                Status::Open(Handle::start(*new, self.origin().clone(), retire, idle))
            }
            Ok(Opened::Http1(connection)) => {
                debug!(origin = %self.origin(), "the server speaks HTTP/1.1");
                self.state().http1_until = Some(Instant::now() + HTTP1_REMEMBERED);
                self.keep(connection).await;
                Status::Http1
            }
            Err(failure) => Status::Failed(failure.to_string()),
        };
        if !matches!(opened, Status::Open(_)) {
            self.forget(id);
        }
        status.send_replace(opened);
    }

    fn forget(&self, id: u64) {
        self.state().http2.retain(|entry| entry.id != id);
    }

    /// Forgets a connection that is not in use, and returns true; false when it is in use.
    fn forget_idle(&self, id: u64) -> bool {
        let mut state = self.state();
        let is_idle = state.http2.iter().all(|entry| entry.id != id || entry.in_use == 0);
        if is_idle {
            state.http2.retain(|entry| entry.id != id);
        }
        is_idle
    }

    /// Gives streams back.
    fn give_back(&self, id: u64, streams: usize) {
        if let Some(entry) = self.state().http2.iter_mut().find(|entry| entry.id == id) {
            entry.in_use = entry.in_use.saturating_sub(streams);
        }
    }

    /// Opens a connection, once more after a failure: opening is not sending.
    async fn open_twice(&self, offer: Offer) -> Result<Opened, Failure> {
        // The semaphore is never closed.
        let _permit = self.opening.acquire().await;
        match self.opener.open(CONNECT_TIMEOUT, offer).await {
            Err(failure) => {
                debug!(reason = %failure, "opening a connection failed, trying once more");
                self.opener.open(CONNECT_TIMEOUT, offer).await
            }
            opened => opened,
        }
    }

    async fn acquire_http1(self: &Arc<Self>, mut missing: usize, found: &mpsc::UnboundedSender<Carrier>) {
        while missing > 0
            && let Some(connection) = self.idle_http1().await
        {
            let _ = found.send(Carrier::Http1(connection));
            missing -= 1;
        }
        // A task each: TLS handshakes are spread over the cores.
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

    /// Opens an HTTP/1.1 connection, once more after a failure.
    ///
    /// # Errors
    /// The failure of the second try.
    pub(in crate::aws) async fn open_http1(&self) -> Result<Http1, Failure> {
        self.open_twice(Offer::Http1).await.and_then(|opened| self.only_http1(opened))
    }

    /// An HTTP/1.1 connection for a request of the SDK's: the one that became idle last, or a new one.
    pub(super) async fn http1(&self, limit: Duration) -> Result<Http1, Failure> {
        if let Some(connection) = self.idle_http1().await {
            return Ok(connection);
        }
        // The semaphore is never closed.
        let _permit = self.opening.acquire().await;
        self.opener.open(limit, Offer::Http1).await.and_then(|opened| self.only_http1(opened))
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

    /// The connection that became idle last, if there is one that can be trusted.
    async fn idle_http1(&self) -> Option<Http1> {
        while let Some(mut connection) = self.newest_idle() {
            if connection.is_usable().await {
                return Some(connection);
            }
        }
        None
    }

    fn newest_idle(&self) -> Option<Http1> {
        let mut state = self.state();
        let (since, connection) = state.idle.pop_back()?;
        if since.elapsed() > IDLE_LIFE {
            // The others have been idle for even longer.
            state.idle.clear();
            return None;
        }
        Some(connection)
    }

    /// Keeps a connection for the next request, if it can take one.
    pub(in crate::aws) async fn keep(self: &Arc<Self>, mut connection: Http1) {
        if !connection.is_usable().await {
            return;
        }
        let mut state = self.state();
        state.idle.push_back((Instant::now(), connection));
        if !state.is_watched {
            state.is_watched = true;
            tokio::spawn(close_in_time(Arc::downgrade(self)));
        }
    }
}

impl Reserved {
    /// Waits until the connection is open. Returns what carries pings, and for how many another search is needed.
    async fn ready(mut self) -> (Option<Carrier>, usize) {
        let streams = self.lease.streams;
        let status = match self.status.wait_for(|status| !matches!(status, Status::Opening)).await {
            Ok(status) => status.clone(),
            Err(_) => Status::Failed("the opening of the connection ended unexpectedly".to_owned()),
        };
        match status {
            Status::Opening | Status::Http1 => (None, streams),
            Status::Failed(reason) => {
                self.lease.retire();
                (Some(Carrier::Failed { pings: streams, reason }), 0)
            }
            Status::Open(handle) => {
                if !handle.is_alive().await {
                    debug!(origin = %self.lease.pool.origin(), "an open HTTP/2 connection is dead");
                    self.lease.retire();
                    return (None, streams);
                }
                let excess = self.lease.trim(handle.streams);
                if self.lease.streams == 0 {
                    return (None, excess);
                }
                (Some(Carrier::Http2(Streams { handle, lease: self.lease })), excess)
            }
        }
    }
}

impl Lease {
    /// Gives back what the connection does not allow after all. Returns how many streams that are.
    fn trim(&mut self, limit: usize) -> usize {
        let excess = {
            let mut state = self.pool.state();
            let Some(entry) = state.http2.iter_mut().find(|entry| entry.id == self.id) else { return 0 };
            let excess = entry.in_use.saturating_sub(limit).min(self.streams);
            entry.in_use -= excess;
            excess
        };
        self.streams -= excess;
        excess
    }

    /// Takes the connection out of the pool: no further round gets streams of it. Its pings in flight go on.
    pub(super) fn retire(&self) {
        self.pool.forget(self.id);
    }

    /// Splits one stream off; none when all are taken.
    pub(super) fn take(&mut self) -> Option<StreamSlot> {
        self.streams = self.streams.checked_sub(1)?;
        Some(StreamSlot(Lease { pool: Arc::clone(&self.pool), id: self.id, streams: 1 }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.streams > 0 {
            self.pool.give_back(self.id, self.streams);
        }
    }
}

/// Closes HTTP/1.1 connections that have been idle for too long; ends when none is left.
async fn close_in_time(pool: Weak<ConnectionPool>) {
    loop {
        tokio::time::sleep(IDLE_LIFE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state();
        let too_old = state.idle.partition_point(|(since, _)| since.elapsed() >= IDLE_LIFE);
        state.idle.drain(..too_old);
        if state.idle.is_empty() {
            // Gives the memory of a round of a thousand pings back.
            state.idle.shrink_to_fit();
            state.is_watched = false;
            return;
        }
    }
}
