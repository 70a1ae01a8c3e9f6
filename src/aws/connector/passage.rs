//! What a ping carries through the SDK to the connector: its place at the gate, and the times that come back.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::release::Ticket;

tokio::task_local! {
    /// The ping that the running task is sending. Dearer ways (an interceptor per operation) exist; the SDK calls
    /// the connector in the task that called the SDK.
    static PASSAGE: Arc<Passage>;
}

/// A ping's way through the gate.
#[derive(Debug)]
pub(in crate::aws) struct Passage {
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ticket: Option<Ticket>,
    times: Times,
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
    /// A passage for one ping that waits for its answer until `timeout` after the release.
    pub(in crate::aws) fn new(ticket: Ticket, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { timeout, state: Mutex::new(State { ticket: Some(ticket), times: Times::default() }) })
    }

    /// Runs `future`; a request that it makes through a gated connector goes by this passage.
    pub(in crate::aws) fn scope<F: Future>(self: &Arc<Self>, future: F) -> impl Future<Output = F::Output> {
        // Not an `async fn`: that would keep the SDK's 5 KB twice in each of a thousand tasks.
        PASSAGE.scope(Arc::clone(self), future)
    }

    /// The passage of the running task.
    pub(super) fn current() -> Option<Arc<Self>> {
        PASSAGE.try_with(Arc::clone).ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ticket; none when it has been taken. So no ping can be sent twice, whatever the SDK does.
    pub(super) fn take_ticket(&self) -> Option<Ticket> {
        self.state().ticket.take()
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
