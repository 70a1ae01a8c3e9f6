//! Planning with what outlives the process, and noting what came of it.
//!
//! When the store cannot be read, the schedule alone decides: a fleet that is pinged once too often is better off
//! than one that goes cold. Pauses that this process has read before stay in force. Whatever a tick needs is read side
//! by side, and all of it within [`READ_WITHIN`].

mod note;
mod trouble;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::trouble::Trouble;
use super::state::{Document, State, Unavailable, before, parsed, read, update, update_seen};
use super::tick::Due;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::future::later;
use crate::domain::handed_out::{self, HandedOut, NotAdmitted, PerMinute};
use crate::domain::records::{
    self, Decision, PAUSES, Pauses, REQUESTS, RequestTerms, Requests, SERVED, STATUS, Served, Shards, Status,
};
use crate::domain::schedule::{self, Minute, Mode};
use crate::domain::shard::Shard;
use crate::domain::tick::{RoundRecord, SkipReason};

/// The longest delay of a tick's first ping by the store.
pub const READ_WITHIN: Duration = Duration::from_secs(3);
/// The longest duration of a write that nothing waits for but the end of a tick, or that must not be lost. When the
/// store was unavailable before, [`READ_WITHIN`].
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// The interval at which the lease of a tick's claims is renewed: twice before it would lapse.
const RENEW_EVERY: Duration = Duration::from_secs(30);

/// The most entries of a document that a warning names.
const MOST_NAMED: usize = 5;

/// The lifetime of stored documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Documents outlive the process, and other processes share them.
    Durable,
    /// Documents end with the process.
    Volatile,
}

/// Where rounds come from that are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A tick of the schedule.
    Schedule {
        /// See [`Status::config_behind_since`].
        config_behind_since: Option<DateTime<Utc>>,
    },
    /// A part of such a tick that was handed on.
    Shard,
    /// Somebody asked for them: an operator.
    Asked,
}

/// The condition of the state store during a tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub enum StoreHealth {
    /// Every read and write succeeded, or there is no store.
    #[default]
    Sound,
    /// A document could not be read or written, and the log has the reason.
    Unavailable,
}

impl StoreHealth {
    /// The worse of the two.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Sound { other } else { self }
    }
}

/// Plans ticks with a state store.
#[derive(Debug)]
pub struct TickPlanner<S> {
    state: Arc<S>,
    durability: Durability,
    /// The pauses as they were last read; none when they never were.
    pauses: Mutex<Option<Pauses>>,
    /// Those of this process: what there is to go by when the store does not last, or cannot be read.
    shards: Mutex<Shards>,
    /// True once the log has a warning about stored times in the future.
    warned: AtomicBool,
    /// Those that were served without a look at the store.
    per_minute: Mutex<PerMinute>,
}

/// A shard that has been taken on.
#[derive(Debug)]
#[must_use]
pub struct TakenShard {
    id: String,
    by: u32,
}

/// What a tick is to do.
#[derive(Debug, Default)]
pub struct Plan {
    /// The rounds.
    pub due: Vec<Due>,
    /// Rounds that are due and not to be sent.
    pub skipped: Vec<RoundRecord>,
    /// The condition of the store.
    pub health: StoreHealth,
    /// True if the pauses are unknown: they cannot be read, and this process never has read them.
    pauses_unknown: bool,
    /// The claim on the targets of `due`; none when nothing was claimed.
    claim: Option<Lease>,
}

/// The claim of a plan. It is renewed until this is dropped.
#[derive(Debug)]
struct Lease {
    by: u32,
    renewing: AbortHandle,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Which targets of those that are due are pinged.
#[derive(Debug, Clone, Default)]
struct Sifted {
    due: Vec<Due>,
    skipped: Vec<RoundRecord>,
}

/// The state as read before a tick.
struct Known {
    requests: Requests,
    pauses: Option<Pauses>,
    /// The document of what was served; none when it cannot be read.
    served: Option<(Option<Document>, Served)>,
}

impl Plan {
    /// A plan of these rounds, of which nothing is noted.
    pub fn of(due: Vec<Due>) -> Self {
        Self { due, ..Self::default() }
    }
}

impl<S: State> TickPlanner<S> {
    /// A keeper of what is in `state`.
    pub fn new(state: S, durability: Durability) -> Self {
        Self {
            state: Arc::new(state),
            durability,
            pauses: Mutex::default(),
            shards: Mutex::default(),
            warned: AtomicBool::new(false),
            per_minute: Mutex::default(),
        }
    }

    /// The store.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Whether the store outlives the process.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Plans a tick at `at`; `previous` is the schedule's firing before, `now` the own clock. What it serves is
    /// claimed at once: of two deliveries of the same minute, one finds that the other has it. The claim holds while
    /// the plan lives, and [`Self::note`] ends it.
    pub async fn plan(&self, fleet: &Fleet, at: DateTime<Utc>, previous: Minute, now: DateTime<Utc>) -> Plan {
        let minute = Minute::of(at);
        let deadline = Instant::now() + READ_WITHIN;
        let mut trouble = Trouble::default();
        let known = self.known(fleet, now, deadline, &mut trouble).await;
        let fleet = &*records::with_requests(fleet, &known.requests, at);
        let pauses = known.pauses.clone().unwrap_or_default();
        let mut claim = None;
        let sifted = match known.served {
            None => {
                let due = schedule::plan_tick(fleet, minute, Mode::DueSince(previous));
                sift(fleet, &due, &pauses, &Served::default(), now)
            }
            Some((document, served)) => {
                let by = rand::random();
                let mut mine: Option<Sifted> = None;
                let claiming = |served: &mut Served| {
                    // A write whose answer was lost is run again, and has to be recognised as one's own.
                    if let Some(mine) = mine.take_if(|_| served.is_claimed_by(by)) {
                        return mine;
                    }
                    let due = served.plan(fleet, minute, previous, now);
                    let sifted = sift(fleet, &due, &pauses, served, now);
                    served.claim(by, minute, previous, now, sifted.due.iter().map(|due| due.target.as_ref()));
                    mine = Some(sifted.clone());
                    sifted
                };
                match before(deadline, update_seen(&*self.state, SERVED, document, claiming)).await {
                    Ok(sifted) => {
                        claim = (!sifted.due.is_empty()).then(|| self.lease(by, now));
                        sifted
                    }
                    Err(unavailable) => {
                        trouble.met(unavailable, "another process may serve the same targets");
                        let due = served.plan(fleet, minute, previous, now);
                        sift(fleet, &due, &pauses, &served, now)
                    }
                }
            }
        };
        Plan { claim, ..self.planned(sifted, known.pauses.is_none(), trouble) }
    }

    /// What a tick would serve; nothing is noted. `at` decides what is due, and with [`Mode::DueSince`] what was
    /// served before does so too. The pings would be sent `now`, so pauses and pings in flight are those of now.
    pub async fn look(&self, fleet: &Fleet, mode: Mode, at: DateTime<Utc>, now: DateTime<Utc>) -> Plan {
        let minute = Minute::of(at);
        let deadline = Instant::now() + READ_WITHIN;
        let mut trouble = Trouble::default();
        let known = self.known(fleet, now, deadline, &mut trouble).await;
        let fleet = &*records::with_requests(fleet, &known.requests, at);
        let served = known.served.map(|(_, served)| served);
        let due = match (mode, &served) {
            (Mode::DueSince(previous), Some(served)) => served.plan(fleet, minute, previous, now),
            _ => schedule::plan_tick(fleet, minute, mode),
        };
        let pauses = known.pauses.as_ref();
        let sifted =
            sift(fleet, &due, pauses.unwrap_or(&Pauses::default()), &served.unwrap_or_default(), now);
        self.planned(sifted, pauses.is_none(), trouble)
    }

    fn planned(&self, sifted: Sifted, pauses_unknown: bool, trouble: Trouble) -> Plan {
        let Sifted { due, skipped } = sifted;
        Plan { due, skipped, health: trouble.log(), pauses_unknown, claim: None }
    }

    /// Decides on a request for these targets, each of which allows it. `now` is the own clock.
    ///
    /// # Errors
    /// When the request has to be stored and cannot be. The sender should try again.
    pub async fn request(
        &self,
        targets: &[&Target],
        asked: &RequestTerms,
        now: DateTime<Utc>,
    ) -> Result<Plan, Unavailable> {
        let ask = |requests: &mut Requests| -> Vec<Option<Decision>> {
            let ask =
                |target: &&Target| Some(requests.add(&target.id, asked, target.on_request.as_ref()?, now));
            targets.iter().map(ask).collect()
        };
        let started = Instant::now();
        // What is to be kept must not be lost; a single round does not wait for long.
        let within = if asked.keep_for.is_some() { WRITE_WITHIN } else { READ_WITHIN };
        let mut trouble = Trouble::default();
        let mut unread = Trouble::default();
        let (answers, pauses) = tokio::join!(
            before(started + within, update(&*self.state, REQUESTS, ask)),
            self.pauses(started + READ_WITHIN, &mut unread),
        );
        let answers = match answers {
            Ok(answers) => answers,
            Err(unavailable) if asked.keep_for.is_some() => return Err(unavailable),
            Err(unavailable) => {
                trouble.met(unavailable, "requests shortly after this one are not one with it");
                let most = |target: &&Target| {
                    let rule = target.on_request.as_ref()?;
                    Some(Decision::Round(asked.concurrency.min(rule.max_concurrency)))
                };
                targets.iter().map(most).collect()
            }
        };
        trouble.and(unread);
        let paused = |target: &Target| pauses.as_ref().is_some_and(|pauses| pauses.of(target, now).is_some());
        let mut sifted = Sifted::default();
        for (target, answer) in targets.iter().zip(answers) {
            match answer {
                None => {}
                Some(Decision::Round(wanted) | Decision::Coalesced(wanted)) if paused(target) => {
                    sifted.skipped.push(RoundRecord::skipped(target, wanted, SkipReason::Paused));
                }
                Some(Decision::Round(concurrency)) => {
                    let due = |concurrency| Due { target: Arc::new((*target).clone()), concurrency };
                    sifted.due.extend(NonZeroU32::new(concurrency).map(due));
                }
                Some(Decision::Coalesced(wanted)) => {
                    sifted.skipped.push(RoundRecord::skipped(target, wanted, SkipReason::Coalesced));
                }
            }
        }
        Ok(self.planned(sifted, pauses.is_none(), trouble))
    }

    /// Notes shards that are about to be put on the bus, so that they are known to be of this warmd. When they cannot
    /// be noted they are put on the bus all the same: their receiver can probably not read the notes either.
    pub async fn hand_out(&self, shards: &[Shard], now: DateTime<Utc>) {
        let (Durability::Durable, Some(first)) = (self.durability, shards.first()) else { return };
        let ids = handed_out::ids(shards);
        let note = |handed_out: &mut HandedOut| handed_out.note(&ids, now);
        let document = HandedOut::document(first.tick);
        let noted = before(Instant::now() + READ_WITHIN, update(&*self.state, &document, note)).await;
        if let Err(unavailable) = noted {
            let mut trouble = Trouble::default();
            trouble.met(unavailable, "shards that are handed out are not noted, and may be refused");
            // The tick counts the store as unavailable by its own reads.
            let _ = trouble.log();
        }
    }

    /// Admits a shard that may be served: with a store one that was handed out, else as many a minute as `fleet` can
    /// need.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub async fn admit_shard(
        &self,
        shard: &Shard,
        fleet: &Fleet,
        now: DateTime<Utc>,
    ) -> Result<(), NotAdmitted> {
        let id = shard.id();
        if self.durability == Durability::Durable {
            let document = HandedOut::document(shard.tick);
            let reading = read::<HandedOut>(&*self.state, &document);
            match before(Instant::now() + READ_WITHIN, reading).await {
                Ok(handed_out) if handed_out.has(&id, now) => return Ok(()),
                Ok(_) => return Err(NotAdmitted::NotHandedOut),
                // Taking the shard on, which follows, logs and counts that the store is unavailable.
                Err(unavailable) => debug!(%unavailable, "whether the shard was handed out is not known"),
            }
        }
        // Another delivery of one that was served: nothing will be sent for it.
        if self.shards().taken.contains_key(&id) {
            return Ok(());
        }
        let most = handed_out::most_a_minute(fleet);
        let mut per_minute = self.per_minute.lock().unwrap_or_else(PoisonError::into_inner);
        if per_minute.admit(most, now) { Ok(()) } else { Err(NotAdmitted::TooMany(most)) }
    }

    /// Takes a shard on, by its id: none when another delivery of it has been taken on before. When the store is
    /// unavailable, this process's own memory decides.
    pub async fn take_shard(&self, id: &str, now: DateTime<Utc>) -> (Option<TakenShard>, StoreHealth) {
        let by = rand::random();
        if !self.shards().take(id, by, now) {
            return (None, StoreHealth::Sound);
        }
        let mut trouble = Trouble::default();
        let first = match self.durability {
            Durability::Volatile => true,
            Durability::Durable => {
                let take = |shards: &mut Shards| shards.take(id, by, now);
                let document = Shards::document(id);
                let taken = update(&*self.state, &document, take);
                before(Instant::now() + READ_WITHIN, taken).await.unwrap_or_else(|unavailable| {
                    trouble.met(unavailable, "whether the shard was served before is not known");
                    true
                })
            }
        };
        (first.then(|| TakenShard { id: id.to_owned(), by }), trouble.log())
    }

    /// Gives back a shard of which nothing was sent: another delivery may serve it.
    pub async fn give_back(&self, TakenShard { id, by }: TakenShard) -> StoreHealth {
        self.shards().give_back(&id, by);
        let mut trouble = Trouble::default();
        if self.durability == Durability::Durable {
            let give_back = |shards: &mut Shards| shards.give_back(&id, by);
            let document = Shards::document(&id);
            let given = update(&*self.state, &document, give_back);
            if let Err(unavailable) = before(Instant::now() + WRITE_WITHIN, given).await {
                trouble.met(unavailable, "the shard passes for served");
            }
        }
        trouble.log()
    }

    fn shards(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads everything that a tick is planned with, side by side.
    async fn known(
        &self,
        fleet: &Fleet,
        now: DateTime<Utc>,
        deadline: Instant,
        trouble: &mut Trouble,
    ) -> Known {
        let mut unread = Trouble::default();
        let (requests, pauses, served) = tokio::join!(
            self.requests(fleet, deadline),
            self.pauses(deadline, &mut unread),
            self.served(deadline),
        );
        let requests = requests.unwrap_or_else(|unavailable| {
            trouble.met(unavailable, "requests in force are not known");
            Requests::default()
        });
        let served = served.unwrap_or_else(|unavailable| {
            trouble.met(unavailable, "what was served before is not known");
            None
        });
        trouble.and(unread);
        let in_future = served.iter().flat_map(|(_, served)| served.in_future(now));
        let in_future: Vec<String> = in_future.chain(requests.in_future(now)).collect();
        if !in_future.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
            let some = in_future.get(..MOST_NAMED).unwrap_or(&in_future).join(", ");
            warn!(%now, entries = in_future.len(), %some,
                "the state store holds times in the future, which count as unknown: a clock is or was wrong");
        }
        Known { requests, pauses, served }
    }

    /// The requests in force; none are read when no target allows any.
    async fn requests(&self, fleet: &Fleet, deadline: Instant) -> Result<Requests, Unavailable> {
        if fleet.targets.iter().all(|target| target.on_request.is_none()) {
            return Ok(Requests::default());
        }
        before(deadline, read(&*self.state, REQUESTS)).await
    }

    /// The rounds served before; none when no state outlives the process.
    async fn served(&self, deadline: Instant) -> Result<Option<(Option<Document>, Served)>, Unavailable> {
        if self.durability == Durability::Volatile {
            return Ok(None);
        }
        let document = before(deadline, self.state.get(SERVED)).await?;
        let served = parsed(SERVED, document.as_ref())?;
        Ok(Some((document, served)))
    }

    /// The pauses, as they were last read when they cannot be read now; none when they never were.
    async fn pauses(&self, deadline: Instant, trouble: &mut Trouble) -> Option<Pauses> {
        let read = before(deadline, read::<Pauses>(&*self.state, PAUSES)).await;
        let mut last = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(pauses) => *last = Some(pauses),
            Err(unavailable) if last.is_some() => {
                trouble.met(unavailable, "pauses are as they were last read")
            }
            Err(unavailable) => trouble.met(unavailable, "pauses unknown"),
        }
        last.clone()
    }

    /// Renews the claim `by` of a plan made at `now` until it is dropped.
    fn lease(&self, by: u32, now: DateTime<Utc>) -> Lease {
        let (state, started) = (Arc::clone(&self.state), Instant::now());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let now = later(now, TimeDelta::from_std(started.elapsed()).unwrap_or(TimeDelta::MAX));
                let renew = |served: &mut Served| served.renew(by, now);
                let renewed = update(&*state, SERVED, renew);
                if let Err(unavailable) = before(Instant::now() + RENEW_EVERY, renewed).await {
                    warn!("{unavailable}; another process may serve targets that are being served");
                }
            }
        });
        Lease { by, renewing: renewing.abort_handle() }
    }
}

/// How ticks went, with the rounds of their shards.
///
/// # Errors
/// [`Unavailable`].
pub async fn status(state: &impl State) -> Result<Status, Unavailable> {
    let mut status: Status = read(state, STATUS).await?;
    if status.spread {
        for document in Status::shard_documents() {
            status.merge(read(state, &document).await?);
        }
    }
    Ok(status)
}

/// Which targets of those that are due are pinged: neither paused nor busy at `now`.
fn sift(
    fleet: &Fleet,
    due: &[schedule::DueTarget],
    pauses: &Pauses,
    served: &Served,
    now: DateTime<Utc>,
) -> Sifted {
    let mut sifted = Sifted::default();
    for due in due {
        let Some(target) = fleet.targets.get(due.index) else { continue };
        let wanted = due.desired;
        if let Some(pause) = pauses.of(target, now) {
            info!(function = %target.label, region = %target.region(), "{pause}");
            sifted.skipped.push(RoundRecord::skipped(target, wanted, SkipReason::Paused));
        } else if served.is_busy(target, now) {
            sifted.skipped.push(RoundRecord::skipped(target, wanted, SkipReason::InFlight));
        } else {
            let due = |concurrency| Due { target: Arc::new(target.clone()), concurrency };
            sifted.due.extend(NonZeroU32::new(wanted).map(due));
        }
    }
    sifted
}

#[cfg(test)]
mod tests;
