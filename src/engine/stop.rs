//! The signal to stop: rounds in flight are finished, nothing new is released.

use tokio::sync::watch;

/// Says that the process is to stop. Dropping it says nothing.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears that the process is to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A stopper and its listener.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells every listener to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the process is to stop.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the process is to stop; for ever when nobody can say so any more.
    pub async fn stopped(&mut self) {
        if self.0.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending().await
        }
    }
}
