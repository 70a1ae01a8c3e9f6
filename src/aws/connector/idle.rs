//! Idle HTTP/1.1 connections.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::http1::Http1;

/// The time after which an idle connection is closed. Lambda freezes the process between invocations, so that it may
/// not have noticed that the server closed the connection, and a request is never repeated.
const IDLE_LIFE: Duration = Duration::from_secs(5);

/// The idle HTTP/1.1 connections to one origin.
#[derive(Debug, Default)]
pub(super) struct IdleConnections(Mutex<Idle>);

#[derive(Debug, Default)]
struct Idle {
    /// The longest idle first.
    connections: VecDeque<(Instant, Http1)>,
    /// True while a task runs that closes old connections.
    is_watched: bool,
}

impl IdleConnections {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the usable connection that became idle last.
    pub(super) async fn take(&self) -> Option<Http1> {
        while let Some(mut connection) = self.newest() {
            if connection.is_usable().await {
                return Some(connection);
            }
        }
        None
    }

    fn newest(&self) -> Option<Http1> {
        let mut idle = self.lock();
        let (since, connection) = idle.connections.pop_back()?;
        if since.elapsed() > IDLE_LIFE {
            // The others have been idle for even longer.
            idle.connections.clear();
            return None;
        }
        Some(connection)
    }

    /// Keeps a connection for the next request, if it is usable.
    pub(super) async fn put(self: &Arc<Self>, mut connection: Http1) {
        if !connection.is_usable().await {
            return;
        }
        let mut idle = self.lock();
        idle.connections.push_back((Instant::now(), connection));
        if !idle.is_watched {
            idle.is_watched = true;
            tokio::spawn(close_old(Arc::downgrade(self)));
        }
    }
}

/// Closes connections that have been idle for too long. Ends when none is left.
async fn close_old(connections: Weak<IdleConnections>) {
    loop {
        tokio::time::sleep(IDLE_LIFE).await;
        let Some(connections) = connections.upgrade() else { return };
        let mut idle = connections.lock();
        let old = idle.connections.partition_point(|(since, _)| since.elapsed() >= IDLE_LIFE);
        idle.connections.drain(..old);
        if idle.connections.is_empty() {
            // A round of a thousand pings leaves a large buffer behind.
            idle.connections.shrink_to_fit();
            idle.is_watched = false;
            return;
        }
    }
}
