//! The signal to stop: rounds in flight end, and no new ones are released.

use tokio::sync::watch;
use tokio::time::Instant;

/// The sender of the signal to stop. Dropping it sends no signal.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// The receiver of the signal to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Instant>>);

/// Creates a sender and its receiver.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Sends the signal to every receiver. Only the first call has an effect.
    pub fn stop(&self) {
        self.0.send_if_modified(|since| {
            let first = since.is_none();
            since.get_or_insert_with(Instant::now);
            first
        });
    }
}

impl Stop {
    /// Returns true if the signal was sent.
    pub fn is_stopping(&self) -> bool {
        self.since().is_some()
    }

    /// Returns the instant of the signal; none before it.
    pub fn since(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits for the signal and returns its instant. Waits forever when every sender was dropped.
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
