//! Waves: which rounds may run together under the in-flight cap.
//!
//! A round is never cut: it is admitted with all its pings or it waits. Each ping gives its slot back when it has
//! ended, not when its round has, and whatever fits goes ahead of what does not, so that a slow function holds
//! back nothing but itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The in-flight cap, shared by every round of the process.
#[derive(Debug, Clone)]
pub struct Admission {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    in_flight: usize,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    pings: usize,
    admitted: oneshot::Sender<Slots>,
}

/// Slots of an admitted round. Dropping them gives them back.
#[derive(Debug)]
pub struct Slots {
    admission: Admission,
    held: usize,
}

/// One ping's slot.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its Drop")] Slots);

/// The round is larger than the cap, so it would wait for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a round of {pings} pings is larger than max_in_flight, {limit}")]
pub struct TooLarge {
    /// Pings of the round.
    pub pings: usize,
    /// The cap.
    pub limit: usize,
}

impl Admission {
    /// A cap of `limit` pings in flight.
    pub fn new(limit: usize) -> Self {
        Self { state: Arc::new(Mutex::new(State { limit, in_flight: 0, waiting: VecDeque::new() })) }
    }

    /// Changes the cap. Rounds in flight stay; a lower cap only holds back later ones.
    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
        self.admit_what_fits();
    }

    /// Waits until `pings` slots are free at once.
    ///
    /// # Errors
    /// [`TooLarge`] when they never can be.
    pub async fn admit(&self, pings: usize) -> Result<Slots, TooLarge> {
        let admitted = {
            let mut state = self.lock();
            if pings > state.limit {
                return Err(TooLarge { pings, limit: state.limit });
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(Waiting { pings, admitted: sender });
            receiver
        };
        self.admit_what_fits();
        // A waiting entry leaves the queue only with its slots, and the queue lives as long as `self`.
        Ok(admitted.await.unwrap_or(Slots { admission: self.clone(), held: 0 }))
    }

    fn admit_what_fits(&self) {
        // Slots sent to a round that has been given up come back through their Drop, which calls this again, so
        // they are dropped with the lock released.
        let mut unwanted = Vec::new();
        {
            let mut state = self.lock();
            let mut index = 0;
            while index < state.waiting.len() {
                let pings = state.waiting[index].pings;
                // Alone, a round always fits: a cap that was lowered meanwhile must not strand it.
                if state.in_flight > 0 && state.in_flight + pings > state.limit {
                    index += 1;
                    continue;
                }
                if let Some(waiting) = state.waiting.remove(index) {
                    state.in_flight += pings;
                    let slots = Slots { admission: self.clone(), held: pings };
                    unwanted.extend(waiting.admitted.send(slots).err());
                }
            }
        }
        drop(unwanted);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Splits one ping's slot off; `None` when all are handed out.
    pub fn take(&mut self) -> Option<Slot> {
        self.held = self.held.checked_sub(1)?;
        Some(Slot(Slots { admission: self.admission.clone(), held: 1 }))
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.held > 0 {
            self.admission.lock().in_flight -= self.held;
            self.admission.admit_what_fits();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_fits_goes_ahead_of_what_does_not() {
        let admission = Admission::new(10);
        let mut slow = admission.admit(8).await.unwrap();
        let large = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(5).await }
        });
        settle().await;
        let small = admission.admit(2).await.unwrap();
        assert!(!large.is_finished());
        drop(small);
        settle().await;
        assert!(!large.is_finished(), "8 of 10 are still taken");
        // Ping by ping, not round by round: three of the slow round's eight end.
        let ended: Vec<_> = (0..3).filter_map(|_| slow.take()).collect();
        drop(ended);
        assert_eq!(large.await.unwrap().unwrap().held, 5);
    }

    #[tokio::test]
    async fn a_round_above_the_cap_is_refused_and_a_lower_cap_holds_back() {
        let admission = Admission::new(4);
        assert_eq!(admission.admit(5).await.unwrap_err(), TooLarge { pings: 5, limit: 4 });
        let held = admission.admit(4).await.unwrap();
        admission.set_limit(2);
        drop(held);
        assert_eq!(admission.lock().in_flight, 0);
        assert!(admission.admit(3).await.is_err());
    }

    #[tokio::test]
    async fn a_round_that_waits_is_not_stranded_by_a_lower_cap() {
        let admission = Admission::new(4);
        let held = admission.admit(4).await.unwrap();
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(3).await }
        });
        settle().await;
        admission.set_limit(2);
        drop(held);
        assert_eq!(waiting.await.unwrap().unwrap().held, 3);
    }

    #[tokio::test]
    async fn slots_of_a_round_that_was_given_up_come_back() {
        let admission = Admission::new(3);
        let held = admission.admit(3).await.unwrap();
        let given_up = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(2).await.map(|_| ()) }
        });
        settle().await;
        given_up.abort();
        settle().await;
        drop(held);
        settle().await;
        assert_eq!(admission.lock().in_flight, 0);
        assert_eq!(admission.admit(3).await.unwrap().held, 3);
    }
}
