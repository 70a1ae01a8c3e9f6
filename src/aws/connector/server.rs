//! One server (scheme, host, port): its idle connections and the opening of new ones.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::dial::{Addresses, Dialer, Transport, tcp};
use super::errand::Manners;
use super::line::Line;
use super::tls::Tls;
use super::{Failure, OpenCause};

/// A connection idle for longer is not trusted with a request that is never repeated, and is closed. The process may
/// have been frozen in between (Lambda does that), so that the server's good-bye has not been seen.
const IDLE_LIFE: Duration = Duration::from_secs(5);
/// Connections opened at the same time. A thousand at once would overflow listen queues, and on a slow core their
/// TLS handshakes would starve each other past the timeout, which runs for each from its own beginning.
const OPENING: usize = 256;
/// For a TLS handshake, besides the timeout of the TCP connection.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Place {
    /// `host:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    place: Place,
    dialer: Dialer,
    tls: Arc<Tls>,
    addresses: Addresses,
    opening: Semaphore,
    manners: Manners,
    idle: Mutex<Idle>,
}

/// Idle connections, the longest idle first.
#[derive(Debug, Default)]
struct Idle {
    lines: VecDeque<(Instant, Line)>,
    /// Whether a task is there that closes them in time.
    watched: bool,
}

impl Server {
    pub(super) fn new(place: Place, dialer: Dialer, tls: Arc<Tls>) -> Self {
        Self {
            place,
            dialer,
            tls,
            addresses: Addresses::default(),
            opening: Semaphore::new(OPENING),
            manners: Manners::default(),
            idle: Mutex::default(),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn manners(&self) -> &Manners {
        &self.manners
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that nobody else uses: the one that became idle last, or a new one.
    pub(super) async fn line(&self, patience: Duration) -> Result<Line, Failure> {
        match self.idle_line().await {
            Some(line) => Ok(line),
            None => self.open(patience).await,
        }
    }

    /// The connection that became idle last, if there is one that can be trusted.
    pub(super) async fn idle_line(&self) -> Option<Line> {
        while let Some(mut line) = self.newest_idle() {
            if line.is_usable().await {
                return Some(line);
            }
        }
        None
    }

    fn newest_idle(&self) -> Option<Line> {
        let mut idle = self.idle();
        let (since, line) = idle.lines.pop_back()?;
        if since.elapsed() > IDLE_LIFE {
            // The others have been idle for even longer.
            idle.lines.clear();
            return None;
        }
        Some(line)
    }

    /// Keeps a connection for the next request, if it can take one.
    pub(super) async fn keep(self: &Arc<Self>, mut line: Line) {
        if !line.is_usable().await {
            return;
        }
        let mut idle = self.idle();
        idle.lines.push_back((Instant::now(), line));
        if !idle.watched {
            idle.watched = true;
            tokio::spawn(close_in_time(Arc::downgrade(self)));
        }
    }

    /// Opens a new connection: TCP within `patience`, then TLS.
    pub(super) async fn open(&self, patience: Duration) -> Result<Line, Failure> {
        let failed = |cause| Failure::Open { place: self.place.clone(), cause };
        // The semaphore is never closed.
        let _permit = self.opening.acquire().await;
        let transport: Box<dyn Transport> = match &self.dialer {
            Dialer::Tcp => match tcp(&self.place.host, self.place.port, &self.addresses, patience).await {
                Ok(stream) => Box::new(stream),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    return Err(failed(OpenCause::Slow(patience)));
                }
                Err(error) => return Err(failed(OpenCause::Io(error))),
            },
            Dialer::Custom(dial) => match timeout(patience, dial(&self.place.host, self.place.port)).await {
                Ok(Ok(transport)) => transport,
                Ok(Err(error)) => return Err(failed(OpenCause::Io(error))),
                Err(_) => return Err(failed(OpenCause::Slow(patience))),
            },
        };
        let transport = if self.place.tls {
            match timeout(HANDSHAKE_PATIENCE, self.secure(transport)).await {
                Ok(secured) => secured.map_err(failed)?,
                Err(_) => return Err(failed(OpenCause::Slow(HANDSHAKE_PATIENCE))),
            }
        } else {
            transport
        };
        Line::open(transport).await.map_err(|error| failed(OpenCause::Http(error)))
    }

    async fn secure(&self, transport: Box<dyn Transport>) -> Result<Box<dyn Transport>, OpenCause> {
        let connector = self.tls.connector().await.map_err(OpenCause::Roots)?;
        let name = ServerName::try_from(self.place.host.clone()).map_err(|_| {
            OpenCause::Io(std::io::Error::other("not a name or address that TLS could check"))
        })?;
        let stream = connector.connect(name, transport).await.map_err(OpenCause::Tls)?;
        Ok(Box::new(stream))
    }
}

/// Closes connections that have been idle for too long; ends when none is left.
async fn close_in_time(server: Weak<Server>) {
    loop {
        tokio::time::sleep(IDLE_LIFE).await;
        let Some(server) = server.upgrade() else { return };
        let mut idle = server.idle();
        let too_old = idle.lines.partition_point(|(since, _)| since.elapsed() >= IDLE_LIFE);
        idle.lines.drain(..too_old);
        if idle.lines.is_empty() {
            // What a round of a thousand pings took is given back.
            idle.lines.shrink_to_fit();
            idle.watched = false;
            return;
        }
    }
}
