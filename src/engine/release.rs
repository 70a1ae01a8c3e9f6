//! The release: a gate that lets all pings of a round go together.
//!
//! Every ping of a round holds a [`Ticket`]. It makes its request ready (serialised, signed, on an open connection) and
//! then waits at the gate. The gate opens when every ticket has arrived or has been given up, or when no other has come
//! for as long as the patience lasts: one slow connection must not hold back the others, while a thousand handshakes
//! on a small part of a core may take their time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

#[derive(Debug)]
struct Gate {
    missing: AtomicUsize,
    /// When the last ticket came or was given up; at first, when the release was made.
    latest: Mutex<Instant>,
    open: watch::Sender<bool>,
    opened_at: OnceLock<Instant>,
}

impl Gate {
    fn open(&self) {
        self.opened_at.get_or_init(Instant::now);
        self.open.send_replace(true);
    }

    fn latest(&self) -> MutexGuard<'_, Instant> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self) {
        *self.latest() = Instant::now();
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open();
        }
    }
}

/// The release of one round.
#[derive(Debug)]
pub struct Release {
    gate: Arc<Gate>,
    patience: Duration,
    issued: usize,
}

/// One ping's place at the gate. A ticket that is dropped has been given up: nobody waits for it.
#[derive(Debug)]
pub struct Ticket {
    gate: Arc<Gate>,
    arrived: bool,
}

impl Release {
    /// A release for `pings` pings that opens at the latest when `patience` has passed since the last of those that
    /// have come.
    pub fn new(pings: usize, patience: Duration) -> Self {
        let gate = Gate {
            missing: AtomicUsize::new(pings),
            latest: Mutex::new(Instant::now()),
            open: watch::Sender::new(pings == 0),
            opened_at: OnceLock::new(),
        };
        Self { gate: Arc::new(gate), patience, issued: 0 }
    }

    /// The next ping's ticket. To be taken once for each ping.
    pub fn ticket(&mut self) -> Ticket {
        self.issued += 1;
        Ticket { gate: Arc::clone(&self.gate), arrived: false }
    }

    /// Waits until the gate is open and tells when that was; opens it when nobody has come for too long.
    pub async fn watch(&self) -> Instant {
        let mut open = self.gate.open.subscribe();
        loop {
            let until = *self.gate.latest() + self.patience;
            if timeout_at(until, open.wait_for(|open| *open)).await.is_ok() {
                break;
            }
            if *self.gate.latest() + self.patience <= until {
                self.gate.open();
                break;
            }
        }
        self.opened_at()
    }

    /// When the gate opened; now, when it has not.
    pub fn opened_at(&self) -> Instant {
        *self.gate.opened_at.get_or_init(Instant::now)
    }
}

impl Ticket {
    /// Says that the request is ready, and waits for the release. Returns the instant of the release: the origin of
    /// the round's times.
    pub async fn ready(&mut self) -> Instant {
        let mut open = self.gate.open.subscribe();
        if !self.arrived {
            self.arrived = true;
            self.gate.arrive();
        }
        // The sender lives in the gate that this ticket holds, so waiting cannot fail.
        let _ = open.wait_for(|open| *open).await;
        *self.gate.opened_at.get_or_init(Instant::now)
    }

    /// Whether the others have gone already.
    pub fn is_late(&self) -> bool {
        *self.gate.open.borrow()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.arrived {
            self.gate.arrive();
        }
    }
}
