//! Planning with what outlives the process, and noting what came of it.
//!
//! When the store cannot be read, the schedule alone decides: a fleet that is pinged once too often is better off
//! than one that goes cold. Pauses that were read before stay in force.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tracing::error;

use super::state::{State, Unavailable, read, update};
use super::tick::Due;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::handed_out::{self, HandedOut, NotAdmitted, PerMinute};
use crate::domain::ledger::{
    self, Answered, Asked, PAUSES, Pauses, REQUESTS, Requests, SERVED, STATUS, Served, Shards, Status,
};
use crate::domain::schedule::{self, Minute, Mode};
use crate::domain::shard::Shard;
use crate::domain::tick::{RoundRecord, Skipped, TickReport, UnfinishedReason};

/// How much longer than its timeout a ping that nobody waited for is left alone: its init, and the network.
const BUSY_MARGIN: TimeDelta = TimeDelta::seconds(20);

/// Whether documents outlive the process. Those that do not tell nothing of what other processes have served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// They do.
    Yes,
    /// They do not.
    No,
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

/// Plans ticks with a state store.
#[derive(Debug)]
pub struct Keeper<S> {
    state: S,
    lasting: Lasting,
    pauses: Mutex<Pauses>,
    /// Those of this process: what there is to go by when the store does not last, or cannot be read.
    shards: Mutex<Shards>,
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
    /// What was noted as served, by [`ledger::key`], and what was noted before.
    claimed: BTreeMap<String, Option<i64>>,
}

impl Plan {
    /// A plan of these rounds, of which nothing is noted.
    pub fn of(due: Vec<Due>) -> Self {
        Self { due, ..Self::default() }
    }
}

impl<S: State> Keeper<S> {
    /// A keeper of what is in `state`.
    pub fn new(state: S, lasting: Lasting) -> Self {
        Self {
            state,
            lasting,
            pauses: Mutex::default(),
            shards: Mutex::default(),
            per_minute: Mutex::default(),
        }
    }

    /// The store.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Whether the store outlives the process.
    pub fn lasting(&self) -> Lasting {
        self.lasting
    }

    /// What a tick at `now` serves; `previous` is the schedule's firing before. What it serves is noted at once: of
    /// two deliveries of the same minute, one finds that the other has it.
    pub async fn plan(&self, fleet: &Fleet, now: DateTime<Utc>, previous: Minute) -> Plan {
        let minute = Minute::of(now);
        let fleet = &*self.with_requests(fleet, now).await;
        let mut claimed = BTreeMap::new();
        let due = match self.lasting {
            Lasting::No => schedule::plan_tick(fleet, minute, Mode::DueSince(previous)),
            Lasting::Yes => {
                let pauses = self.pauses().await;
                // A write of which the answer was lost is run again, and has to be known as one's own.
                let by = rand::random();
                let mut mine = None;
                let claim = |served: &mut Served| {
                    if let Some(mine) = mine.take_if(|_| served.claimed_by == Some(by)) {
                        return mine;
                    }
                    let due = served.plan(fleet, minute, previous);
                    let targets = due.iter().filter_map(|due| fleet.targets.get(due.index));
                    let free: Vec<&Target> = targets
                        .filter(|target| pauses.of(target, now).is_none() && !served.is_busy(target, now))
                        .collect();
                    let before = |target: &&Target| {
                        let key = ledger::key(target);
                        let before = served.targets.get(&key).copied();
                        (key, before)
                    };
                    let claimed: BTreeMap<_, _> = free.iter().map(before).collect();
                    served.claimed_by = if free.is_empty() { served.claimed_by } else { Some(by) };
                    served.note(minute, free);
                    mine = Some((due.clone(), claimed.clone()));
                    (due, claimed)
                };
                match update(&self.state, SERVED, claim).await {
                    Ok((due, noted)) => {
                        claimed = noted;
                        due
                    }
                    Err(unavailable) => {
                        say(&unavailable, "what was served before is not known");
                        schedule::plan_tick(fleet, minute, Mode::DueSince(previous))
                    }
                }
            }
        };
        Plan { claimed, ..self.sift(fleet, now, &due).await }
    }

    /// What a tick would serve; nothing is noted. `at` decides what is due, and with [`Mode::DueSince`] what was
    /// served before does so too. The pings would be sent `now`, so pauses and pings in flight are those of now.
    pub async fn look(&self, fleet: &Fleet, mode: Mode, at: DateTime<Utc>, now: DateTime<Utc>) -> Plan {
        let minute = Minute::of(at);
        let fleet = &*self.with_requests(fleet, at).await;
        let due = match (mode, self.lasting) {
            (Mode::DueSince(previous), Lasting::Yes) => match read::<Served>(&self.state, SERVED).await {
                Ok(served) => served.plan(fleet, minute, previous),
                Err(unavailable) => {
                    say(&unavailable, "what was served before is not known");
                    schedule::plan_tick(fleet, minute, mode)
                }
            },
            _ => schedule::plan_tick(fleet, minute, mode),
        };
        self.sift(fleet, now, &due).await
    }

    /// What is to be done about a request for these targets, each of which allows it.
    ///
    /// # Errors
    /// When the request cannot be kept: whoever delivers it should try again.
    pub async fn request(&self, targets: &[&Target], asked: &Asked) -> Result<Plan, Unavailable> {
        let ask = |requests: &mut Requests| -> Vec<Option<Answered>> {
            let ask = |target: &&Target| {
                Some(requests.ask(&ledger::key(target), asked, target.on_request.as_ref()?))
            };
            targets.iter().map(ask).collect()
        };
        let answers = update(&self.state, REQUESTS, ask).await?;
        let pauses = self.pauses().await;
        let mut plan = Plan::default();
        for (target, answer) in targets.iter().zip(answers) {
            match answer {
                None => {}
                Some(Answered::Round(wanted) | Answered::Coalesced(wanted))
                    if pauses.of(target, asked.at).is_some() =>
                {
                    plan.skipped.push(RoundRecord::skipped(target, wanted, Skipped::Paused));
                }
                Some(Answered::Round(concurrency)) => {
                    plan.due.push(Due { target: Arc::new((*target).clone()), concurrency });
                }
                Some(Answered::Coalesced(wanted)) => {
                    plan.skipped.push(RoundRecord::skipped(target, wanted, Skipped::Coalesced));
                }
            }
        }
        Ok(plan)
    }

    /// Notes shards that are about to be put on the bus, so that they are known to be of this warmd. When they cannot
    /// be noted they are put on the bus all the same: whoever gets them will hardly be able to look either.
    pub async fn hand_out(&self, shards: &[Shard], now: DateTime<Utc>) {
        let (Lasting::Yes, Some(first)) = (self.lasting, shards.first()) else { return };
        let ids = handed_out::ids(shards);
        let note = |handed_out: &mut HandedOut| handed_out.note(&ids, now);
        if let Err(unavailable) = update(&self.state, &HandedOut::document(first.tick), note).await {
            say(&unavailable, "shards that are handed out are not noted, and may be refused");
        }
    }

    /// Whether a shard may be served: with a store one that was handed out, else as many a minute as `fleet` can need.
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
        if self.lasting == Lasting::Yes {
            match read::<HandedOut>(&self.state, &HandedOut::document(shard.tick)).await {
                Ok(handed_out) if handed_out.has(&id, now) => return Ok(()),
                Ok(_) => return Err(NotAdmitted::NotHandedOut),
                Err(unavailable) => say(&unavailable, "whether the shard was handed out is not known"),
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

    /// Takes a shard on, by its id: none when another delivery of it has been taken on before.
    pub async fn take_shard(&self, id: &str, now: DateTime<Utc>) -> Option<TakenShard> {
        let by = rand::random();
        if !self.shards().take(id, by, now) {
            return None;
        }
        let first = match self.lasting {
            Lasting::No => true,
            Lasting::Yes => {
                let take = |shards: &mut Shards| shards.take(id, by, now);
                update(&self.state, &Shards::document(id), take).await.unwrap_or_else(|unavailable| {
                    say(&unavailable, "whether the shard was served before is not known");
                    true
                })
            }
        };
        first.then(|| TakenShard { id: id.to_owned(), by })
    }

    /// Gives back a shard of which nothing was sent: another delivery may serve it.
    pub async fn give_back(&self, TakenShard { id, by }: TakenShard) {
        self.shards().give_back(&id, by);
        if self.lasting == Lasting::No {
            return;
        }
        let give_back = |shards: &mut Shards| shards.give_back(&id, by);
        if let Err(unavailable) = update(&self.state, &Shards::document(&id), give_back).await {
            say(&unavailable, "the shard passes for served");
        }
    }

    fn shards(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fleet with the requests in force, each as a window of its target.
    pub async fn with_requests<'f>(
        &self,
        fleet: &'f Fleet,
        now: DateTime<Utc>,
    ) -> std::borrow::Cow<'f, Fleet> {
        let requests = if fleet.targets.iter().any(|target| target.on_request.is_some()) {
            read::<Requests>(&self.state, REQUESTS).await.unwrap_or_else(|unavailable| {
                say(&unavailable, "requests in force are not known");
                Requests::default()
            })
        } else {
            Requests::default()
        };
        ledger::with_requests(fleet, &requests, now)
    }

    /// The pauses in force, as they were last known when they cannot be read.
    async fn pauses(&self) -> Pauses {
        match read::<Pauses>(&self.state, PAUSES).await {
            Ok(pauses) => {
                self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&pauses);
                pauses
            }
            Err(unavailable) => {
                say(&unavailable, "pauses are as they were last known");
                self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
        }
    }

    /// Tells what is sent from what is skipped.
    async fn sift(&self, fleet: &Fleet, now: DateTime<Utc>, due: &[schedule::Due]) -> Plan {
        let pauses = self.pauses().await;
        let busy = match self.lasting {
            Lasting::Yes => read::<Served>(&self.state, SERVED).await.unwrap_or_default(),
            Lasting::No => Served::default(),
        };
        let mut plan = Plan::default();
        for due in due {
            let Some(target) = fleet.targets.get(due.index) else { continue };
            if let Some(pause) = pauses.of(target, now) {
                tracing::info!(function = %target.label, region = %target.region(), "{pause}");
                plan.skipped.push(RoundRecord::skipped(target, due.target, Skipped::Paused));
            } else if busy.is_busy(target, now) {
                plan.skipped.push(RoundRecord::skipped(target, due.target, Skipped::InFlight));
            } else {
                plan.due.push(Due { target: Arc::new(target.clone()), concurrency: due.target });
            }
        }
        plan
    }

    /// Notes how rounds went, when they have ended at `now`: what was not served after all is late at the next tick,
    /// what is still in flight is left alone until it must have ended, and people can ask how it went.
    ///
    /// `sent` are the rounds that were given out.
    pub async fn note(
        &self,
        plan: &Plan,
        sent: &[Due],
        report: &TickReport,
        cause: Cause,
        now: DateTime<Utc>,
    ) {
        if self.lasting == Lasting::No {
            return;
        }
        let minute = Minute::of(report.tick);
        // Which minute each target goes back to.
        let undone: Vec<(String, Minute)> = match cause {
            Cause::Schedule { .. } | Cause::Shard => {
                let undone = left_undone(sent, report);
                let undone = sent
                    .iter()
                    .map(|due| (ledger::key(&due.target), due))
                    .filter(|(key, _)| undone.contains(key));
                let before = |(key, due): (String, &Due)| {
                    // An interval ago, when nothing is known: there is a due minute in every interval.
                    let interval_ago = minute.plus(-i64::from(due.target.interval_minutes));
                    let before = plan.claimed.get(&key).copied().flatten().map(Minute::from_epoch);
                    (key, before.unwrap_or(interval_ago))
                };
                undone.map(before).collect()
            }
            // It was never noted that these were served.
            Cause::Asked => Vec::new(),
        };
        let in_flight = |due: &&Due| {
            report.unfinished.iter().any(|left| {
                left.reason == UnfinishedReason::InFlight
                    && is_of(&due.target, left.region, &left.function, left.qualifier.as_deref())
            })
        };
        let busy = sent.iter().filter(in_flight).map(|due| {
            let timeout = TimeDelta::from_std(due.target.timeout_or_max()).unwrap_or(TimeDelta::zero());
            // They may have been released in the last moment, however long ago the tick's own time is.
            (due.target.as_ref(), now + timeout + BUSY_MARGIN)
        });
        let busy: Vec<(&Target, DateTime<Utc>)> = busy.collect();
        if !undone.is_empty() || !busy.is_empty() {
            let correct = |served: &mut Served| {
                for (key, before) in &undone {
                    served.take_back(key, minute, *before);
                }
                served.note_busy(busy.iter().copied());
            };
            if let Err(unavailable) = update(&self.state, SERVED, correct).await {
                say(&unavailable, "what was left undone is not noted");
            }
        }
        let document = match cause {
            Cause::Schedule { .. } | Cause::Asked => STATUS.to_owned(),
            Cause::Shard => Status::document_of(&report.rounds),
        };
        let status = |status: &mut Status| match cause {
            Cause::Schedule { config_behind_since } => status.note_tick(report, config_behind_since),
            Cause::Shard => status.note_rounds(&report.rounds, report.tick),
            // Whatever minute was asked for, the pings were sent now.
            Cause::Asked => status.note_rounds(&report.rounds, now),
        };
        if let Err(unavailable) = update(&self.state, &document, status).await {
            say(&unavailable, "how the tick went is not noted");
        }
    }

    /// Notes that a request's rounds have served their targets at this minute, as far as they have as many as the
    /// schedule wants.
    pub async fn note_request(&self, fleet: &Fleet, sent: &[Due], report: &TickReport) {
        if self.lasting == Lasting::No || sent.is_empty() {
            return;
        }
        let minute = Minute::of(report.tick);
        let undone = left_undone(sent, report);
        let fleet = &*self.with_requests(fleet, report.tick).await;
        let enough = |due: &&Due| {
            let scheduled = fleet.targets.iter().find(|target| target.id == due.target.id);
            scheduled.is_some_and(|target| schedule::target(target, minute) <= due.concurrency)
                && !undone.contains(&ledger::key(&due.target))
        };
        let targets: Vec<&Target> = sent.iter().filter(enough).map(|due| due.target.as_ref()).collect();
        // Only what is noted of the targets: the tick of this minute may still come.
        let note = |served: &mut Served| {
            let ticked = served.ticked;
            served.note(minute, targets.iter().copied());
            served.ticked = ticked;
        };
        if let Err(unavailable) = update(&self.state, SERVED, note).await {
            say(&unavailable, "the request's rounds are not noted");
        }
        let status = |status: &mut Status| status.note_rounds(&report.rounds, report.tick);
        if let Err(unavailable) = update(&self.state, STATUS, status).await {
            say(&unavailable, "how the request went is not noted");
        }
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

/// Keys of targets whose rounds were neither sent nor handed on.
fn left_undone(sent: &[Due], report: &TickReport) -> HashSet<String> {
    let undone = |target: &Target| {
        report.unfinished.iter().any(|left| {
            left.reason == UnfinishedReason::Deadline
                && is_of(target, left.region, &left.function, left.qualifier.as_deref())
        }) || report.rounds.iter().any(|round| {
            round.skipped == Some(Skipped::InFlight)
                && is_of(target, round.region, &round.function, round.qualifier.as_deref())
        })
    };
    sent.iter().filter(|due| undone(&due.target)).map(|due| ledger::key(&due.target)).collect()
}

fn is_of(
    target: &Target,
    region: crate::domain::function::Region,
    function: &str,
    qualifier: Option<&str>,
) -> bool {
    target.region() == region
        && target.id.qualifier.as_ref().map(|own| own.as_str()) == qualifier
        && target.id.unqualified() == function
}

fn say(unavailable: &Unavailable, so: &str) {
    error!("{unavailable}; {so}");
}

#[cfg(test)]
mod tests;
