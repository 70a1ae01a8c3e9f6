//! The events that the service puts on the bus: shards of a tick that is too large or too long for one invocation, and
//! the results of Warm Requests.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use tokio::time::Instant;
use tracing::{error, info};

use super::Service;
use crate::domain::budget::Cap;
use crate::domain::events::{
    ENVIRONMENTS_WARM, SOURCE, WARM_BUDGET_EXCEEDED, WARM_SHARD, budget_exceeded, environments_warm,
};
use crate::domain::function::Identity;
use crate::domain::pipeline::Bonds;
use crate::domain::preflight::Room;
use crate::domain::records::{REQUESTS, Requests, STATUS, Status};
use crate::domain::shard::{Shard, ShardRound};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, Unfinished, UnfinishedReason};
use crate::engine::ports::{Event, Events, Lambda, Metrics};
use crate::engine::tick::Due;
use crate::service::budget::TimeBudget;
use crate::service::planner::READ_WITHIN;
use crate::service::spending::{Channel, Reached};
use crate::service::store::{Durability, before};

/// The bus.
#[derive(Debug)]
pub struct Bus<E> {
    /// EventBridge.
    pub events: E,
    /// The name or ARN of the bus.
    pub name: String,
}

impl<E> Bus<E> {
    fn event(&self, detail_type: &str, detail: String) -> Event {
        Event {
            bus: Some(self.name.clone()),
            source: SOURCE.to_owned(),
            detail_type: detail_type.to_owned(),
            detail,
        }
    }
}

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Splits rounds that do not fit in flight together, after the guards were applied. Returns the rounds that this
    /// process serves, and those that are on the bus.
    pub(super) async fn spread(
        &self,
        shard: &Shard,
        due: Vec<Due>,
        bonds: &Bonds,
        max_in_flight: u32,
        until: Instant,
    ) -> (Vec<Due>, Vec<Due>) {
        let Some(bus) = &self.bus else { return (due, Vec::new()) };
        let in_flight = self.engine.still_in_flight();
        // The engine skips targets with a round in flight. Another process would ping them again.
        let (busy, mut due): (Vec<Due>, Vec<Due>) =
            due.into_iter().partition(|due| in_flight.contains(&due.target.id));
        let parts = shard.parts(due.iter().map(shard_round).collect(), bonds, max_in_flight);
        if parts.in_flight <= u64::from(max_in_flight) || parts.shards.len() <= 1 {
            due.extend(busy);
            return (due, Vec::new());
        }
        // The first shard is as full as any other: this process serves it.
        let (first, others) = parts.shards.split_at(1);
        let lost = self.put(bus, others, until).await;
        let lost = self.take_unacknowledged(lost).await;
        info!(
            pings = parts.in_flight,
            shards = parts.shards.len(),
            lost = lost.len(),
            "spread over several instances"
        );
        let own = first.iter().chain(&lost).flat_map(|shard| &shard.rounds).chain(&parts.rest);
        let shares: HashMap<&Identity, NonZeroU32> = own.map(|round| (&round.id, round.share)).collect();
        let (mut own, handed_on): (Vec<Due>, Vec<Due>) =
            due.into_iter().partition(|due| shares.contains_key(&due.target.id));
        for due in &mut own {
            due.share = shares.get(&due.target.id).copied().unwrap_or(due.share);
        }
        own.extend(busy);
        (own, handed_on)
    }

    /// Takes shards that the bus did not acknowledge, as if they had been delivered to this process. Returns those that
    /// no other process has taken: the bus may have delivered them nevertheless.
    async fn take_unacknowledged(&self, lost: Vec<Shard>) -> Vec<Shard> {
        let mut taken = Vec::with_capacity(lost.len());
        for shard in lost {
            match self.planner.take_shard(&shard.id(), self.clock.now()).await {
                // It stays taken: its rounds are served, or due again at the next tick.
                (Some(_), _) => taken.push(shard),
                (None, _) => {
                    info!(tick = %shard.tick, "the shard was delivered after all: another instance serves it")
                }
            }
        }
        taken
    }

    /// Puts shards on the bus. Returns those that the bus did not acknowledge by `until`. The bus may have taken them.
    async fn put(&self, bus: &Bus<E>, shards: &[Shard], until: Instant) -> Vec<Shard> {
        let (fleet, now) = (self.live_config.fleet(), self.clock.now());
        let recording = self.planner.record_shards(shards, now);
        let ((), reserved) = tokio::join!(recording, self.spending.reserve(&fleet, shards, now));
        if let Err(unavailable) = reserved {
            error!(
                "StateUnavailable: {unavailable}; the next ticks may exceed budgets by the cost of shards"
            );
        }
        let events: Vec<Event> =
            shards.iter().map(|shard| bus.event(WARM_SHARD, shard.detail().to_string())).collect();
        let Err(lost) = bus.events.put(&events, until).await else {
            return Vec::new();
        };
        error!("{lost}");
        let lost: Vec<&str> = lost.lost.iter().map(|(event, _)| event.detail.as_str()).collect();
        let is_lost = |(event, _): &(&Event, &Shard)| lost.contains(&event.detail.as_str());
        let pairs = events.iter().zip(shards).filter(is_lost);
        pairs.map(|(_, shard)| shard.clone()).collect()
    }

    /// Puts the rounds that were not released on the bus for another attempt, and marks them as handed on in the
    /// report.
    pub(super) async fn hand_on(
        &self,
        shard: &Shard,
        due: &[Due],
        bonds: &Bonds,
        report: &mut TickReport,
        max_in_flight: u32,
        budget: &TimeBudget,
    ) {
        let Some(bus) = &self.bus else { return };
        let is_late = |left: &&Unfinished| left.reason == UnfinishedReason::Deadline;
        let late: HashSet<Identity> =
            report.unfinished.iter().filter(is_late).map(|left| left.id.clone()).collect();
        let left = due.iter().filter(|due| late.contains(&due.target.id)).map(shard_round).collect();
        let Some(parts) = shard.retry(left, bonds, max_in_flight) else {
            return;
        };
        let lost = self.put(bus, &parts.shards, budget.until(|split| split.hand_on)).await;
        let lost = match self.planner.durability() {
            // The next tick serves what is taken here: no other process may serve it as well.
            Durability::Durable => self.take_unacknowledged(lost).await,
            Durability::Volatile => lost,
        };
        let lost = lost.iter().flat_map(|shard| &shard.rounds).chain(&parts.rest);
        let lost: HashSet<&Identity> = lost.map(|round| &round.id).collect();
        for left in &mut report.unfinished {
            if late.contains(&left.id) && !lost.contains(&left.id) {
                left.reason = UnfinishedReason::HandedOn;
            }
        }
    }

    /// Puts the result of a request on the bus: an event for each of its targets, with any result. A request that
    /// was coalesced with an earlier one gets the result of that one, if its round has ended.
    pub(super) async fn notify(&self, report: &TickReport, started: Instant, budget: &TimeBudget) {
        let Some(bus) = &self.bus else { return };
        let coalesced = |round: &RoundRecord| round.skip_reason() == Some(SkipReason::Coalesced);
        let (requests, status) = match report.rounds.iter().any(coalesced) {
            true => self.earlier_requests().await,
            false => Default::default(),
        };
        let earlier = |round: &RoundRecord| {
            let asked = requests.round(&round.id, round.desired)?.at;
            let last = status.targets.get(&round.id)?;
            (last.tick >= asked && last.desired >= round.desired).then_some((last.reached, last.evidence))
        };
        let of_round = |round: &RoundRecord| -> (Identity, _, _) {
            let (reached, evidence) = match coalesced(round) {
                true => earlier(round).unwrap_or_default(),
                false => (round.reached(), round.evidence()),
            };
            (round.id.clone(), reached, evidence)
        };
        let unfinished = report.unfinished.iter().map(|left| (left.id.clone(), None, None));
        let results = report.rounds.iter().map(of_round).chain(unfinished);
        let event = |(target, reached, evidence): (Identity, _, _)| {
            let detail = environments_warm(&target, reached, evidence, started.elapsed());
            bus.event(ENVIRONMENTS_WARM, detail.to_string())
        };
        let events: Vec<Event> = results.map(event).collect();
        if let Err(lost) = bus.events.put(&events, budget.until(|split| split.notify)).await {
            error!("{lost}");
        }
    }

    /// Puts levels that budgets have reached on the bus, and acknowledges them. What the bus does not acknowledge follows
    /// with the next report.
    pub(super) async fn announce_levels(&self, reached: Vec<Reached>, budget: &TimeBudget) {
        let mut unsent = self.spending.unreported(&reached, Channel::Bus);
        if let (Some(bus), false) = (&self.bus, unsent.is_empty()) {
            let event = |Reached { scope, standing, level, month }: &Reached| {
                let detail = budget_exceeded(scope, standing, *level, *month);
                bus.event(WARM_BUDGET_EXCEEDED, detail.to_string())
            };
            let events: Vec<Event> = unsent.iter().map(event).collect();
            if let Err(lost) = bus.events.put(&events, budget.until(|split| split.record)).await {
                error!("{lost}");
                let lost: HashSet<&str> = lost.lost.iter().map(|(event, _)| event.detail.as_str()).collect();
                let mut events = events.iter();
                unsent.retain(|_| events.next().is_some_and(|event| !lost.contains(event.detail.as_str())));
            }
        }
        self.spending.reported(&unsent, Channel::Bus);
        let acknowledged = self.spending.acknowledge(&reached, self.clock.now());
        let acknowledged = before(budget.until(|split| split.record), acknowledged).await;
        if let Err(unavailable) = acknowledged {
            error!("StateUnavailable: {unavailable}; levels of budgets may be reported again");
        }
    }

    /// Reads the active requests and the results of the last rounds; nothing when the store is unavailable.
    async fn earlier_requests(&self) -> (Requests, Status) {
        let documents = self.planner.documents();
        let deadline = Instant::now() + READ_WITHIN;
        let (requests, status) = tokio::join!(
            before(deadline, documents.read(REQUESTS)),
            before(deadline, documents.read(STATUS)),
        );
        (requests.unwrap_or_default(), status.unwrap_or_default())
    }
}

/// Returns the round as it is put on the bus, with the room that it has in this process.
fn shard_round(due: &Due) -> (ShardRound, Option<Room>) {
    let round = ShardRound {
        id: due.target.id.clone(),
        concurrency: due.configured(),
        share: due.share,
        metric_age: due.metric_age.and_then(|age| u32::try_from(age).ok()),
        has_backlog: due.has_backlog,
        raised_to: due.raised_to,
        budget: due.budget.as_ref().and_then(Cap::in_shard),
        rounds: u32::try_from(due.rounds().count()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
    };
    (round, due.room())
}
