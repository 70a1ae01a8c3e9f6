//! What a ping carries through the SDK to the connector: its place at the gate, and the times that come back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::errand::Errand;
use crate::engine::release::Ticket;

tokio::task_local! {
    /// What the running task is sending. Dearer ways (an interceptor per operation) exist; the SDK calls the connector
    /// in the task that called the SDK.
    static WAY: Way;
}

/// What a request made through a gated connector is.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// A ping.
    Ping(Arc<Passage>),
    /// What makes the connection of a ping ready.
    Errand(Arc<Errand>),
}

impl Way {
    /// Of the running task; none when it sends an ordinary request.
    pub(super) fn current() -> Option<Self> {
        WAY.try_with(Clone::clone).ok()
    }

    /// Runs `future`; a request that it makes through a gated connector goes this way.
    pub(super) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        WAY.scope(self, future)
    }
}

/// Makes a new connection ready, with a request of its own through the SDK.
pub(in crate::aws) type Preparation = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A ping's way through the gate.
#[derive(Debug)]
pub(in crate::aws) struct Passage {
    timeout: Duration,
    state: Mutex<State>,
}

struct State {
    ticket: Option<Ticket>,
    preparation: Option<Preparation>,
    times: Times,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("ticket", &self.ticket)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

/// What is known of a ping's times.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::aws) struct Times {
    /// When the gate opened.
    pub(in crate::aws) released: Option<Instant>,
    /// Just before the request was written.
    pub(in crate::aws) sent: Option<Instant>,
    /// When the answer had been read.
    pub(in crate::aws) received: Option<Instant>,
}

impl Passage {
    /// A passage for one ping that waits for its answer until `timeout` after the release. A connection that has to
    /// be opened for it is made ready with `preparation`.
    pub(in crate::aws) fn new(
        ticket: Ticket,
        timeout: Duration,
        preparation: Option<Preparation>,
    ) -> Arc<Self> {
        let state = State { ticket: Some(ticket), preparation, times: Times::default() };
        Arc::new(Self { timeout, state: Mutex::new(state) })
    }

    /// Runs `future`; a request that it makes through a gated connector goes by this passage.
    pub(in crate::aws) fn scope<F: Future>(self: &Arc<Self>, future: F) -> impl Future<Output = F::Output> {
        // Not an `async fn`: that would keep the SDK's 5 KB twice in each of a thousand tasks.
        Way::Ping(Arc::clone(self)).scope(future)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ticket; none when it has been taken. So no ping can be sent twice, whatever the SDK does.
    pub(super) fn take_ticket(&self) -> Option<Ticket> {
        self.state().ticket.take()
    }

    /// What makes a new connection ready, once.
    pub(super) fn take_preparation(&self) -> Option<Preparation> {
        self.state().preparation.take()
    }

    /// Gives the ticket up, so that the others do not wait, and tells the times.
    pub(in crate::aws) fn finish(&self) -> Times {
        let mut state = self.state();
        state.ticket = None;
        state.times
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn released(&self, at: Instant) {
        self.state().times.released = Some(at);
    }

    pub(super) fn sending(&self) {
        self.state().times.sent = Some(Instant::now());
    }

    pub(super) fn received(&self) {
        self.state().times.received = Some(Instant::now());
    }
}
