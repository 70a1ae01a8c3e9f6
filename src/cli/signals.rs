//! The signals that end the process: the first asks, the second insists.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::engine::stop::Stopper;

/// SIGINT and SIGTERM.
#[derive(Debug)]
pub struct Termination {
    interrupt: Signal,
    terminate: Signal,
}

impl Termination {
    /// From now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// The operating system's.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next of them and tells its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Speaks to `stopper` at the first signal; returns at the second.
    pub async fn twice(mut self, stopper: Stopper) {
        let first = self.next().await;
        info!(signal = first, "finishing the rounds in flight; the same signal again ends at once");
        stopper.stop();
        self.next().await;
    }
}
