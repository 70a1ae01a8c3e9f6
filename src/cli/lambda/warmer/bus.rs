//! What goes on the bus: shards of a tick that is too large for one instance or too long, and news for who asked.

use tokio::time::Instant;
use tracing::{error, info};

use super::{Invoked, Warmer};
use crate::cli::clock::SystemClock;
use crate::domain::events::{ENVIRONMENTS_WARM, SOURCE, WARM_SHARD, environments_warm};
use crate::domain::fleet::Fleet;
use crate::domain::records::{REQUESTS, Requests, STATUS, Status};
use crate::domain::shard::{Shard, ShardRound};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, UnfinishedReason};
use crate::engine::planner::{Durability, READ_WITHIN};
use crate::engine::ports::{Clock, Event, Events};
use crate::engine::state::{before, read};
use crate::engine::tick::Due;

impl Warmer {
    /// What this instance serves, and what it has put on the bus because it does not fit in flight together.
    pub(super) async fn spread(
        &self,
        fleet: &Fleet,
        shard: &Shard,
        due: Vec<Due>,
        invoked: &Invoked<'_>,
    ) -> (Vec<Due>, Vec<Due>) {
        // Another instance would not know that they are in flight. The engine skips them.
        let in_flight = self.engine.still_in_flight();
        let (busy, due): (Vec<Due>, Vec<Due>) =
            due.into_iter().partition(|due| in_flight.contains(&due.target.id));
        let (mut own, handed_on) = self.spread_free(fleet, shard, due, invoked).await;
        own.extend(busy);
        (own, handed_on)
    }

    async fn spread_free(
        &self,
        fleet: &Fleet,
        shard: &Shard,
        due: Vec<Due>,
        invoked: &Invoked<'_>,
    ) -> (Vec<Due>, Vec<Due>) {
        let pings: u64 = due.iter().map(|due| u64::from(due.concurrency.get())).sum();
        let cap = fleet.limits.max_in_flight;
        if pings <= u64::from(cap) || self.settings.bus.is_none() {
            return (due, Vec::new());
        }
        let rounds: Vec<ShardRound> = due.iter().map(shard_round).collect();
        let shards = shard.parts(&rounds, cap);
        // The first is as full as any: this instance serves it itself.
        let until = invoked.until(invoked.share.release);
        let lost = self.put(shards.get(1..).unwrap_or_default(), until).await;
        let lost = self.take(lost).await;
        let first = shards.first().into_iter().flat_map(|shard| &shard.rounds);
        let mut mine: Vec<&ShardRound> = first.chain(lost.iter().flat_map(|shard| &shard.rounds)).collect();
        info!(pings, shards = shards.len(), lost = lost.len(), "spread over several instances");
        due.into_iter().partition(|due| {
            let round = shard_round(due);
            let found = mine.iter().position(|own| **own == round);
            found.map(|index| mine.swap_remove(index)).is_some()
        })
    }

    /// Takes shards on that the bus seems not to have taken, as if they had been delivered here: a call that failed may
    /// have put them on the bus all the same. Returns those that no other instance has.
    async fn take(&self, lost: Vec<Shard>) -> Vec<Shard> {
        let mut taken = Vec::with_capacity(lost.len());
        for shard in lost {
            match self.planner.take_shard(&shard.id(), SystemClock.now()).await {
                // It stays taken: its rounds are served, or late at the next tick.
                (Some(_), _) => taken.push(shard),
                (None, _) => {
                    info!(tick = %shard.tick, "the shard was delivered after all: another instance serves it")
                }
            }
        }
        taken
    }

    /// Puts shards on the bus. Returns those that the bus did not acknowledge until `until`; it may have taken them.
    async fn put(&self, shards: &[Shard], until: Instant) -> Vec<Shard> {
        self.planner.hand_out(shards, SystemClock.now()).await;
        let event = |shard: &Shard| Event {
            bus: self.settings.bus.clone(),
            source: SOURCE.to_owned(),
            detail_type: WARM_SHARD.to_owned(),
            detail: shard.detail().to_string(),
        };
        let events: Vec<Event> = shards.iter().map(event).collect();
        let Err(lost) = self.events.put(&events, until).await else {
            return Vec::new();
        };
        error!("{lost}");
        let lost: Vec<&str> = lost.lost.iter().map(|(event, _)| event.detail.as_str()).collect();
        let is_lost = |(event, _): &(&Event, &Shard)| lost.contains(&event.detail.as_str());
        let pairs = events.iter().zip(shards).filter(is_lost);
        pairs.map(|(_, shard)| shard.clone()).collect()
    }

    /// Puts the rounds that were not released on the bus, for another attempt, and says so in the report.
    pub(super) async fn hand_on(
        &self,
        fleet: &Fleet,
        shard: &Shard,
        due: &[Due],
        report: &mut TickReport,
        invoked: &Invoked<'_>,
    ) {
        let is_left = |due: &&Due| report.unfinished.contains(&due.unfinished(UnfinishedReason::Deadline));
        let left: Vec<ShardRound> = due.iter().filter(is_left).map(shard_round).collect();
        let Some(retry) = shard.retry(left) else {
            return;
        };
        let until = invoked.until(invoked.share.hand_on);
        let lost = self.put(&retry.parts(&retry.rounds, fleet.limits.max_in_flight), until).await;
        let lost = match self.planner.durability() {
            // The next tick makes up for those that are taken here: no other instance may serve them as well.
            Durability::Durable => self.take(lost).await,
            Durability::Volatile => lost,
        };
        let lost: Vec<ShardRound> = lost.into_iter().flat_map(|shard| shard.rounds).collect();
        for left in report.unfinished.iter_mut().filter(|left| left.reason == UnfinishedReason::Deadline) {
            if !lost.iter().any(|round| round.id == left.id) {
                left.reason = UnfinishedReason::HandedOn;
            }
        }
    }

    /// Says on the bus what a request has come to: for each of its targets, whatever became of it, so that nobody
    /// waits in vain. A request that is one with an earlier one is told how that one's round went, when it has ended.
    pub(super) async fn tell(&self, report: &TickReport, started: Instant, invoked: &Invoked<'_>) {
        if self.settings.bus.is_none() {
            return;
        }
        let coalesced = |round: &RoundRecord| round.skip_reason() == Some(SkipReason::Coalesced);
        let (requests, status) = if report.rounds.iter().any(coalesced) {
            let state = self.planner.state();
            let deadline = Instant::now() + READ_WITHIN;
            let (requests, status) = tokio::join!(
                before(deadline, read::<Requests>(state, REQUESTS)),
                before(deadline, read(state, STATUS)),
            );
            (requests.unwrap_or_default(), status.unwrap_or_default())
        } else {
            (Requests::default(), Status::default())
        };
        let earlier = |round: &RoundRecord| {
            let asked = requests.targets.get(&round.id)?.asked;
            let last = status.targets.get(&round.id)?;
            (last.tick >= asked && last.desired >= round.desired).then_some((last.reached, last.evidence))
        };
        let of_round = |round: &RoundRecord| {
            let (reached, evidence) = match coalesced(round) {
                true => earlier(round).unwrap_or_default(),
                false => (round.reached(), round.evidence()),
            };
            (round.id.label(), reached, evidence)
        };
        let rounds = report.rounds.iter().map(of_round);
        let told = rounds.chain(report.unfinished.iter().map(|left| (left.id.label(), None, None)));
        let event = |(function, reached, evidence): (String, _, _)| Event {
            bus: self.settings.bus.clone(),
            source: SOURCE.to_owned(),
            detail_type: ENVIRONMENTS_WARM.to_owned(),
            detail: environments_warm(&function, reached, evidence, started.elapsed()).to_string(),
        };
        let events: Vec<Event> = told.map(event).collect();
        if let Err(lost) = self.events.put(&events, invoked.until(invoked.share.tell)).await {
            error!("{lost}");
        }
    }
}

fn shard_round(due: &Due) -> ShardRound {
    ShardRound { id: due.target.id.clone(), concurrency: due.concurrency }
}
