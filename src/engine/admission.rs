//! The caps of pings in flight: that of the process, and the rooms of accounts and functions.
//!
//! A round is never cut: it is admitted with all its pings, or it waits. A ping returns its slot when it has ended, not
//! when its round has, and a round that fits precedes one that does not. A slow function thus delays only itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::preflight::{Pool, Room};

/// The caps, shared by every round of the process.
#[derive(Debug, Clone)]
pub struct Admission {
    queue: Arc<Mutex<AdmissionQueue>>,
}

#[derive(Debug)]
struct AdmissionQueue {
    limit: usize,
    in_flight: usize,
    /// The pings in flight of each room.
    rooms: HashMap<Pool, usize>,
    waiting: VecDeque<Vec<Waiting>>,
}

/// A round that waits, alone or with others that are admitted at the same instant.
#[derive(Debug)]
pub(super) struct Waiting {
    pings: usize,
    room: Option<Room>,
    admitted: oneshot::Sender<Slots>,
}

/// Slots of an admitted round. Dropping them returns them.
#[derive(Debug)]
pub struct Slots {
    admission: Admission,
    pool: Option<Pool>,
    held: usize,
}

/// The slot of one ping.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its Drop")] Slots);

/// The error for a round that is larger than the cap and would wait forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a round of {pings} pings is larger than max_in_flight, {limit}")]
pub struct TooLarge {
    /// Pings of the round.
    pub pings: usize,
    /// The cap.
    pub limit: usize,
}

impl Admission {
    /// Creates a cap of `limit` pings in flight.
    pub fn new(limit: usize) -> Self {
        let (rooms, waiting) = (HashMap::new(), VecDeque::new());
        Self { queue: Arc::new(Mutex::new(AdmissionQueue { limit, in_flight: 0, rooms, waiting })) }
    }

    /// Changes the cap. A lower one affects later rounds only.
    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
        self.admit_what_fits();
    }

    /// Waits until `pings` slots are free at once, in `room` as well.
    ///
    /// # Errors
    /// [`TooLarge`] if the cap is lower than that.
    pub async fn admit(&self, pings: usize, room: Option<&Room>) -> Result<Slots, TooLarge> {
        let (waiting, admitted) = self.waiting(pings, room)?;
        self.enqueue(vec![waiting]);
        Ok(self.admitted(admitted).await)
    }

    /// Returns an entry for the queue, and the receiver of its slots.
    ///
    /// # Errors
    /// [`TooLarge`] if the cap is lower than `pings`.
    pub(super) fn waiting(
        &self,
        pings: usize,
        room: Option<&Room>,
    ) -> Result<(Waiting, oneshot::Receiver<Slots>), TooLarge> {
        let limit = self.lock().limit;
        if pings > limit {
            return Err(TooLarge { pings, limit });
        }
        let (admitted, receiver) = oneshot::channel();
        Ok((Waiting { pings, room: room.cloned(), admitted }, receiver))
    }

    /// Adds rounds that are admitted at the same instant. If they exceed the cap or a room together, each is admitted
    /// alone.
    pub(super) fn enqueue(&self, rounds: Vec<Waiting>) {
        self.lock().waiting.push_back(rounds);
        self.admit_what_fits();
    }

    /// Waits for the slots of an entry in the queue.
    pub(super) async fn admitted(&self, receiver: oneshot::Receiver<Slots>) -> Slots {
        // An entry leaves the queue only with its slots, and the queue lives as long as `self`.
        receiver.await.unwrap_or(Slots { admission: self.clone(), pool: None, held: 0 })
    }

    fn admit_what_fits(&self) {
        // Slots for a cancelled round are returned by their Drop, which calls this function again, so they are dropped
        // after the lock is released.
        let mut unwanted = Vec::new();
        {
            let mut queue = self.lock();
            let mut index = 0;
            while index < queue.waiting.len() {
                // Rounds that were cancelled delay no others.
                queue.waiting[index].retain(|waiting| !waiting.admitted.is_closed());
                queue.separate(index);
                if !queue.fits(&queue.waiting[index]) {
                    index += 1;
                    continue;
                }
                for waiting in queue.waiting.remove(index).into_iter().flatten() {
                    let (pings, pool) = (waiting.pings, waiting.room.map(|room| room.pool));
                    queue.in_flight += pings;
                    if let Some(pool) = pool.clone() {
                        *queue.rooms.entry(pool).or_default() += pings;
                    }
                    let slots = Slots { admission: self.clone(), pool, held: pings };
                    unwanted.extend(waiting.admitted.send(slots).err());
                }
            }
        }
        drop(unwanted);
    }

    fn lock(&self) -> MutexGuard<'_, AdmissionQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdmissionQueue {
    /// Separates the rounds of an entry if they exceed the cap or a room together.
    fn separate(&mut self, index: usize) {
        let rounds = &self.waiting[index];
        let exceeds = |(_, pings, limit): (_, usize, usize)| pings > limit;
        if rounds.len() > 1 && (pings_of(rounds) > self.limit || rooms_of(rounds).any(exceeds)) {
            let rounds = std::mem::take(&mut self.waiting[index]);
            self.waiting.remove(index);
            for (place, round) in rounds.into_iter().enumerate() {
                self.waiting.insert(index + place, vec![round]);
            }
        }
    }

    /// Returns true if an entry can be admitted. A single round always fits: a limit may have been lowered since.
    fn fits(&self, rounds: &[Waiting]) -> bool {
        let fits =
            |in_flight: usize, pings: usize, limit: usize| in_flight == 0 || in_flight + pings <= limit;
        let in_room = |(pool, pings, limit): (&Pool, usize, usize)| {
            fits(self.rooms.get(pool).copied().unwrap_or_default(), pings, limit)
        };
        rooms_of(rounds).all(in_room) && fits(self.in_flight, pings_of(rounds), self.limit)
    }

    fn release(&mut self, pings: usize, pool: Option<&Pool>) {
        self.in_flight -= pings;
        let Some(pool) = pool else { return };
        if let Some(in_flight) = self.rooms.get_mut(pool) {
            *in_flight -= pings;
            if *in_flight == 0 {
                self.rooms.remove(pool);
            }
        }
    }
}

fn pings_of(rounds: &[Waiting]) -> usize {
    rounds.iter().map(|round| round.pings).sum()
}

/// Returns the room of each round with the pings of all rounds in it.
fn rooms_of(rounds: &[Waiting]) -> impl Iterator<Item = (&Pool, usize, usize)> {
    let rooms = rounds.iter().filter_map(|round| round.room.as_ref());
    rooms.map(|room| {
        let is_in_room = |round: &&Waiting| round.room.as_ref().is_some_and(|other| other.pool == room.pool);
        let pings = rounds.iter().filter(is_in_room).map(|round| round.pings).sum();
        (&room.pool, pings, room.limit as usize)
    })
}

impl Slots {
    /// Splits off the slot of one ping; none when all have been split off.
    pub fn take(&mut self) -> Option<Slot> {
        self.held = self.held.checked_sub(1)?;
        Some(Slot(Slots { admission: self.admission.clone(), pool: self.pool.clone(), held: 1 }))
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.held > 0 {
            self.admission.lock().release(self.held, self.pool.as_ref());
            self.admission.admit_what_fits();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::function::Region;

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_round_that_fits_precedes_one_that_does_not() {
        let admission = Admission::new(10);
        let mut slow = admission.admit(8, None).await.unwrap();
        let large = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(5, None).await }
        });
        settle().await;
        let small = admission.admit(2, None).await.unwrap();
        assert!(!large.is_finished());
        drop(small);
        settle().await;
        assert!(!large.is_finished(), "8 of 10 are still taken");
        // Three pings of the slow round end.
        let ended: Vec<_> = (0..3).filter_map(|_| slow.take()).collect();
        drop(ended);
        assert_eq!(large.await.unwrap().unwrap().held, 5);
    }

    #[tokio::test]
    async fn a_round_above_the_cap_is_refused() {
        let admission = Admission::new(4);
        assert_eq!(admission.admit(5, None).await.unwrap_err(), TooLarge { pings: 5, limit: 4 });
        let held = admission.admit(4, None).await.unwrap();
        admission.set_limit(2);
        drop(held);
        assert_eq!(admission.lock().in_flight, 0);
        assert!(admission.admit(3, None).await.is_err());
    }

    #[tokio::test]
    async fn a_waiting_round_above_a_lowered_cap_is_admitted_alone() {
        let admission = Admission::new(4);
        let held = admission.admit(4, None).await.unwrap();
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(3, None).await }
        });
        settle().await;
        admission.set_limit(2);
        drop(held);
        assert_eq!(waiting.await.unwrap().unwrap().held, 3);
    }

    #[tokio::test]
    async fn slots_of_a_cancelled_round_are_returned() {
        let admission = Admission::new(3);
        let held = admission.admit(3, None).await.unwrap();
        let cancelled = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(2, None).await.map(|_| ()) }
        });
        settle().await;
        cancelled.abort();
        settle().await;
        drop(held);
        settle().await;
        assert_eq!(admission.lock().in_flight, 0);
        assert_eq!(admission.admit(3, None).await.unwrap().held, 3);
    }

    #[tokio::test]
    async fn rounds_wait_for_room_and_others_do_not() {
        let admission = Admission::new(100);
        let room = |account: &str| Room {
            pool: Pool::Account(Region::parse("eu-west-2").unwrap(), Some(account.to_owned())),
            limit: 10,
        };
        let mut held = admission.admit(8, Some(&room("a"))).await.unwrap();
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(5, Some(&room("a"))).await }
        });
        settle().await;
        assert!(!waiting.is_finished());
        let other = admission.admit(10, Some(&room("b"))).await.unwrap();
        let small = admission.admit(2, Some(&room("a"))).await.unwrap();
        drop((small, other));
        settle().await;
        assert!(!waiting.is_finished(), "8 of 10 are still taken");
        drop((0..3).filter_map(|_| held.take()).collect::<Vec<_>>());
        assert_eq!(waiting.await.unwrap().unwrap().held, 5);
        drop(held);
        assert!(admission.lock().rooms.is_empty());
        // A limit that was lowered since the round was planned.
        let lowered = Room { limit: 3, ..room("a") };
        assert_eq!(admission.admit(4, Some(&lowered)).await.unwrap().held, 4);
    }
}
