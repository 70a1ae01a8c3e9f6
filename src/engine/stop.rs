//! The signal to stop: rounds in flight are finished, nothing new is released.

use tokio::sync::watch;
use tokio::time::Instant;

/// Signals that the process is to stop. Dropping it signals nothing.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// Receives the signal to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Instant>>);

/// A stopper and its receiver.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Signals every receiver to stop. Only the first call counts.
    pub fn stop(&self) {
        self.0.send_if_modified(|since| {
            let first = since.is_none();
            since.get_or_insert_with(Instant::now);
            first
        });
    }
}

impl Stop {
    /// Returns true when the process is to stop.
    pub fn is_stopping(&self) -> bool {
        self.since().is_some()
    }

    /// When the signal came; none when it has not.
    pub fn since(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits for the signal, and returns when it came. Waits for ever when every sender is gone.
    pub async fn stopped(&mut self) -> Instant {
        let since = match self.0.wait_for(Option::is_some).await {
            Ok(since) => *since,
            Err(_) => None,
        };
        match since {
            Some(since) => since,
            None => std::future::pending().await,
        }
    }
}
