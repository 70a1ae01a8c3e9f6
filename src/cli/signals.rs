//! The signals that end the process: the first after the rounds in flight, the second at once.

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
    /// Starts to listen. The signals do not end the process by themselves any more.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal. Returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Signals `stopper` at the first signal. Returns at the second.
    pub async fn second(mut self, stopper: Stopper) {
        let first = self.next().await;
        info!(signal = first, "finishing the rounds in flight; a second signal ends at once");
        stopper.stop();
        self.next().await;
    }
}
