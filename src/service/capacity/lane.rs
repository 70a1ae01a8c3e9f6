//! Requests to the control plane of an account in a region, at a limited rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::domain::capacity::{ChangeError, ChangeErrorKind};
use crate::domain::fleet::Role;
use crate::domain::function::Region;
use crate::domain::preflight::Lookup;
use crate::engine::stop::Stop;
use crate::service::facts::{Pace, QUIET_FOR, READ_WITHIN};

/// The pause between two requests: eight a second, of the fifteen that Lambda's control plane takes in an account.
const PAUSE: Duration = Duration::from_millis(125);
/// The time without a result of a change after which the lane is taken to be unreachable.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// The longest time for a change.
const CHANGE_WITHIN: Duration = Duration::from_secs(5);

/// An account in a region.
pub(super) struct Lane {
    pub region: Region,
    pub role: Option<Arc<Role>>,
    pace: Pace,
    /// No requests before this instant, because the service throttled one.
    quiet_until: Mutex<Option<Instant>>,
}

impl Lane {
    pub fn new(region: Region, role: Option<Arc<Role>>) -> Self {
        Self { region, role, pace: Pace::new(PAUSE), quiet_until: Mutex::default() }
    }

    fn quiet(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests of a tick. There are no more after a throttle, when the lane is unreachable, and after the end.
pub(super) struct Requests {
    pub lane: Arc<Lane>,
    stop: Stop,
    is_lost: AtomicBool,
}

impl Requests {
    pub fn new(lane: Arc<Lane>, stop: Stop) -> Self {
        Self { lane, stop, is_lost: AtomicBool::default() }
    }

    fn is_over(&self, until: Instant) -> bool {
        let now = Instant::now();
        let is_quiet = self.lane.quiet().is_some_and(|until| now < until);
        now >= until || is_quiet || self.stop.is_stopping() || self.is_lost.load(Ordering::Relaxed)
    }

    /// Waits for a turn; false if there is none.
    async fn turn(&self, until: Instant) -> bool {
        if self.is_over(until) {
            return false;
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.stopped() => return false,
            () = sleep_until(until) => return false,
            () = self.lane.pace.turn() => {}
        }
        !self.is_over(until)
    }

    fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    fn note_throttle(&self) {
        *self.lane.quiet() = Some(Instant::now() + QUIET_FOR);
    }

    /// Sends a read in its turn; [`Lookup::NotRead`] if there is none before `until`.
    pub async fn read<T>(&self, until: Instant, read: BoxFuture<'_, Lookup<T>>) -> Lookup<T> {
        if !self.turn(until).await {
            return Lookup::NotRead;
        }
        let mut stop = self.stop.clone();
        let answer = tokio::select! {
            biased;
            _ = stop.stopped() => return Lookup::NotRead,
            answer = timeout_at(until.min(Instant::now() + READ_WITHIN), read) => answer,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) if Instant::now() >= until => return Lookup::NotRead,
            Err(_) => Lookup::Unreachable("no answer in time".to_owned()),
        };
        match &answer {
            Lookup::Throttled(_) => self.note_throttle(),
            Lookup::Unreachable(_) => self.lose(),
            _ => {}
        }
        answer
    }

    /// Makes a change in its turn; `None` if there is none before `until`.
    pub async fn change(
        &self,
        until: Instant,
        change: BoxFuture<'_, Result<(), ChangeError>>,
    ) -> Option<Result<(), ChangeError>> {
        if !self.turn(until).await {
            return None;
        }
        let begun = Instant::now();
        let made = timeout_at(until.min(begun + CHANGE_WITHIN), change).await.unwrap_or_else(|_| {
            Err(ChangeError { kind: ChangeErrorKind::Unknown, message: "no answer in time".to_owned() })
        });
        match &made {
            Err(ChangeError { kind: ChangeErrorKind::Throttled, .. }) => self.note_throttle(),
            // A server error is soon answered. It concerns the function, and others can be changed.
            Err(ChangeError { kind: ChangeErrorKind::Unknown, .. }) if begun.elapsed() >= LOST_AFTER => {
                self.lose();
            }
            _ => {}
        }
        Some(made)
    }
}
