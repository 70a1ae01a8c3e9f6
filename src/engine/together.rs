//! Rounds that are released at the same instant: the parts of a split model.
//!
//! Each round of a group arrives when its first pings have ended. Once every other round has arrived or ended, one
//! decision admits those that have arrived.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::admission::{Admission, Slots, TooLarge, Waiting};
use super::due::Due;
use crate::domain::preflight::Room;

/// The time from the start of a tick for which rounds wait for the first pings of the others: three times the longest
/// init of an environment outside its timeout (10 s, AWS Lambda execution environment), and less than the interval of
/// ticks.
const WITHIN: Duration = Duration::from_secs(30);

/// The rounds of a tick with the same [`Due::together`].
#[derive(Debug)]
pub(super) struct Group(Arc<Shared>);

/// A round of a group. Dropping it lets the others go without it.
#[derive(Debug)]
pub(super) struct Member(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    admission: Admission,
    until: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The number of rounds that have neither arrived nor ended.
    missing: usize,
    arrived: Vec<Waiting>,
}

impl Group {
    /// Returns the groups of at least two rounds, by their number.
    pub(super) fn of(due: &[Due], admission: &Admission) -> HashMap<u32, Self> {
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for due in due {
            if let Some(number) = due.together {
                *sizes.entry(number).or_default() += Self::members_of(due);
            }
        }
        let until = Instant::now() + WITHIN;
        let group = |missing| {
            let state = Mutex::new(State { missing, arrived: Vec::with_capacity(missing) });
            Self(Arc::new(Shared { admission: admission.clone(), until, state }))
        };
        sizes.into_iter().filter(|(_, size)| *size > 1).map(|(number, size)| (number, group(size))).collect()
    }

    /// Returns the memberships of a target: one, or one for each version behind a weighted alias that is pinged. They
    /// are taken once for each target of the group.
    pub(super) fn members(&self, due: &Due) -> Vec<Member> {
        std::iter::repeat_with(|| Member(Arc::clone(&self.0))).take(Self::members_of(due)).collect()
    }

    fn members_of(due: &Due) -> usize {
        due.versions.iter().filter(|version| version.skipped.is_none()).count().max(1)
    }
}

impl Member {
    /// Waits until `pings` slots are free at once, in `room` as well, and the same for the other rounds.
    ///
    /// # Errors
    /// [`TooLarge`] if the cap is lower than that. The others go without the round.
    pub(super) async fn admit(self, pings: usize, room: Option<&Room>) -> Result<Slots, TooLarge> {
        let shared = Arc::clone(&self.0);
        let (waiting, receiver) = shared.admission.waiting(pings, room)?;
        shared.lock().arrived.push(waiting);
        drop(self);
        let mut admitted = std::pin::pin!(shared.admission.admitted(receiver));
        tokio::select! {
            biased;
            slots = &mut admitted => Ok(slots),
            () = sleep_until(shared.until) => {
                shared.release();
                Ok(admitted.await)
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let is_last = {
            let mut state = self.0.lock();
            state.missing -= 1;
            state.missing == 0
        };
        if is_last {
            self.0.release();
        }
    }
}

impl Shared {
    /// Puts the rounds that have arrived into the queue.
    fn release(&self) {
        let arrived = std::mem::take(&mut self.lock().arrived);
        if !arrived.is_empty() {
            self.admission.enqueue(arrived);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
