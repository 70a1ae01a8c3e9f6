//! The known cost of the present month, and the limits of the budgets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use rust_decimal::Decimal;
use tokio::time::Instant;
use tracing::warn;

use super::planner::READ_WITHIN;
use super::store::{DocumentStore, Durability, Unavailable, before};
use crate::domain::budget::{
    Caps, Counted, Level, Month, Rest, SPENDING, Scope, Spending, Spent, Standing, budgets, costs,
    has_budgets, reduced, standings,
};
use crate::domain::cost::PriceBook;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::plan::{Period, TargetPlan};
use crate::domain::schedule::Minute;
use crate::domain::shard::Shard;
use crate::domain::text::fnv1a;
use crate::domain::tick::TickReport;

/// The most writes that wait for the store. Older ones are added up.
const MOST_PENDING: usize = 8;
/// The part of the rest of a month after which the schedules are counted again.
const COUNTED_FOR: i32 = 100;

/// The spending of a process. Without a durable store it is that of this process only.
pub struct SpendingKeeper {
    documents: DocumentStore,
    memory: Mutex<Memory>,
}

/// What a process knows of the month.
#[derive(Default)]
struct Memory {
    /// The document as it was last read or written.
    main: Spending,
    /// The sum of the documents of shards.
    shards: Spending,
    /// The writes that are in the documents of shards, and for which the stored document has a reservation.
    settled: Vec<u64>,
    /// The number of writes of this process.
    written: u64,
    /// The costs that the store may not have.
    pending: Vec<Pending>,
    /// The levels of the month that this process has reported.
    reported: BTreeSet<(Month, Channel, Scope, Level)>,
    counted: Option<CountedRest>,
    has_warned: bool,
}

/// The costs of one write.
#[derive(Clone)]
struct Pending {
    document: String,
    write: u64,
    month: Month,
    costs: Arc<BTreeMap<Identity, Spent>>,
}

/// The count for the rest of the month.
struct CountedRest {
    hash: String,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
    targets: HashMap<Identity, Rest>,
    counted: Arc<Counted>,
}

/// A way on which levels are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The metric, after a line in the log.
    Metric,
    /// The event on the bus.
    Bus,
}

/// A level that a budget has reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// What the budget is for.
    pub scope: Scope,
    /// The budget.
    pub standing: Standing,
    /// The level.
    pub level: Level,
    /// The month.
    pub month: Month,
}

impl Reached {
    fn key(&self, by: Channel) -> (Month, Channel, Scope, Level) {
        (self.month, by, self.scope.clone(), self.level)
    }

    /// Logs the level.
    pub fn log(&self) {
        let Self { scope, standing, level, month } = self;
        let (spent, budget, unknown) = (standing.spent.usd(), standing.monthly_usd, standing.spent.unknown);
        warn!(month = month.text(), spent_usd = %spent.normalize(), monthly_usd = %budget.normalize(), unknown,
            on_exceed = standing.on_exceed.name(), "the budget of {scope} has reached {} %", level.percent());
    }
}

/// The budgets before the rounds of a trigger.
#[derive(Debug, Default)]
pub struct Budgets {
    /// What has been spent of each.
    pub standings: BTreeMap<Scope, Standing>,
    /// The limits on rounds.
    pub caps: Caps,
    /// The reason why the store could not be read.
    pub unavailable: Option<Unavailable>,
}

impl Budgets {
    /// Creates the budgets of a fleet after this spending. `rest` returns the rest of the month of a target.
    pub fn new(
        fleet: &Fleet,
        spending: &Spending,
        rest: impl FnMut(&Target) -> Rest,
        now: DateTime<Utc>,
    ) -> Self {
        let standings = standings(fleet, spending, now);
        let counted = Counted::new(fleet, reduced(&standings), |id| spending.of_target(id), rest);
        let caps = Caps::new(&standings, &spending.reserved(), Arc::new(counted), now);
        Self { standings, caps, unavailable: None }
    }
}

/// Returns what is left of a month of a target from `now` on, with the estimated cost of a ping.
pub fn rest(target: &Target, now: DateTime<Utc>, prices: &PriceBook) -> Rest {
    let period = Period { from: Minute::of(now), until: Minute::of(Month::of(now).end()) };
    let plan = TargetPlan::new(target, period, prices);
    let known = plan.cost.bill.lines.iter().filter_map(|line| line.exact());
    let usd = known.fold(Decimal::ZERO, Decimal::saturating_add);
    if target.strategy.is_capacity() {
        return Rest::fixed(usd);
    }
    Rest::of_segments(&plan.segments, usd.checked_div(plan.pings().into()).unwrap_or_default())
}

/// Reads the spending of the month, with that of shards.
///
/// # Errors
/// [`Unavailable`].
pub async fn spending(documents: &DocumentStore, now: DateTime<Utc>) -> Result<Spending, Unavailable> {
    let (mut main, shards, _) = read(documents, now).await?;
    main.merge(&shards);
    Ok(main)
}

/// Reads the document of the month, and the sum of those of shards. What they replace is no longer reserved; returns
/// the numbers of these writes, too.
async fn read(
    documents: &DocumentStore,
    now: DateTime<Utc>,
) -> Result<(Spending, Spending, Vec<u64>), Unavailable> {
    let mut main = documents.read::<Spending>(SPENDING).await?.plausible(now);
    let mut shards = Spending::of(main.month);
    let mut settled = Vec::new();
    if main.spread {
        let names: Vec<String> = Spending::shard_documents().collect();
        let found = try_join_all(names.iter().map(|name| documents.read::<Spending>(name))).await?;
        let found: Vec<Spending> = found.into_iter().map(|shard| shard.plausible(now)).collect();
        settled = main.settle(|write| found.iter().any(|shard| shard.has(write)));
        found.iter().for_each(|shard| shards.merge(shard));
    }
    Ok((main, shards, settled))
}

impl Memory {
    /// Returns everything that is known to be spent.
    fn total(&self, now: DateTime<Utc>) -> Spending {
        let mut total = self.main.clone().plausible(now);
        total.merge(&self.shards);
        for pending in self.pending.iter().filter(|pending| !self.main.has(pending.write)) {
            total.add(pending.write, &pending.costs, now);
        }
        total
    }

    /// Returns what budgets allow for the rest of the month. The schedules are counted again after a hundredth of the rest,
    /// and the numbers as well after a hundredth of what is left of a budget: until then, the same targets keep them.
    fn counted(
        &mut self,
        fleet: &Fleet,
        total: &Spending,
        standings: &BTreeMap<Scope, Standing>,
        now: DateTime<Utc>,
    ) -> Arc<Counted> {
        let (left, spent) = (reduced(standings), |id: &Identity| total.of_target(id));
        if left.is_empty() {
            return Arc::default();
        }
        let is_young = |known: &CountedRest| {
            let (age, whole) = (now - known.at, known.until - known.at);
            known.hash == fleet.hash && known.at <= now && now < known.until && age * COUNTED_FOR <= whole
        };
        let mut known = self.counted.take().filter(is_young).unwrap_or_else(|| CountedRest {
            hash: fleet.hash.clone(),
            at: now,
            until: Month::of(now).end(),
            targets: HashMap::new(),
            counted: Arc::default(),
        });
        let is_far = !known.counted.is_near(&left);
        if is_far || known.counted.lacks_price(spent) {
            // With the first costs of pings, what was left when the schedules were counted is divided anew.
            let left = if is_far { left } else { known.counted.left().clone() };
            let targets = &mut known.targets;
            let rest = |target: &Target| match targets.get(&target.id) {
                Some(rest) => rest.clone(),
                None => targets.entry(target.id.clone()).or_insert(rest(target, now, &fleet.prices)).clone(),
            };
            known.counted = Arc::new(Counted::new(fleet, left, spent, rest));
        }
        Arc::clone(&self.counted.insert(known).counted)
    }

    /// Adds costs that the store does not have.
    fn add(&mut self, document: String, write: u64, costs: BTreeMap<Identity, Spent>, month: Month) {
        self.pending.retain(|pending| pending.month == month);
        let costs = Arc::new(costs);
        let mut new = Pending { document, write, month, costs };
        if self.pending.len() >= MOST_PENDING {
            // Their sum has one number: at worst, what the store has nevertheless counts twice.
            let mut sum = BTreeMap::<Identity, Spent>::new();
            for pending in self.pending.drain(..).chain([new.clone()]) {
                for (id, spent) in &*pending.costs {
                    let known = sum.entry(id.clone()).or_default();
                    *known = known.plus(spent);
                }
            }
            new.costs = Arc::new(sum);
        }
        self.pending.push(new);
    }
}

impl SpendingKeeper {
    /// Creates a keeper that writes to `documents`.
    pub fn new(documents: DocumentStore) -> Self {
        Self { documents, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the budgets of a fleet, within [`READ_WITHIN`]; `None` without any. When the store cannot be read, what this
    /// process knows counts.
    ///
    /// The rounds of a shard were limited where it was put on the bus: one document is read, which has the standings of the
    /// last tick, and only budgets that are used up limit them further.
    pub async fn load(&self, fleet: &Fleet, is_shard: bool, now: DateTime<Utc>) -> Option<Budgets> {
        if !has_budgets(fleet) {
            return None;
        }
        let is_volatile = self.documents.durability() == Durability::Volatile;
        if is_volatile && !std::mem::replace(&mut self.memory().has_warned, true) {
            warn!(
                "budgets need a state store (WARMD_STATE): without one, each process counts its own cost only, \
                and begins anew when it starts"
            );
        }
        let written = self.memory().written;
        let reading = async {
            if is_shard {
                return Ok((self.documents.read::<Spending>(SPENDING).await?.plausible(now), None));
            }
            read(&self.documents, now).await.map(|(main, shards, settled)| (main, Some((shards, settled))))
        };
        let found = before(Instant::now() + READ_WITHIN, reading).await;
        let mut memory = self.memory();
        let unavailable = match found {
            // Otherwise this process has written meanwhile.
            Ok((main, shards)) if memory.written == written => {
                memory.main = main;
                if let Some(shards) = shards {
                    (memory.shards, memory.settled) = shards;
                }
                None
            }
            Ok(_) => None,
            Err(unavailable) => Some(unavailable),
        };
        let total = memory.total(now);
        let mut standings = standings(fleet, &total, now);
        let counted = if is_shard {
            for (scope, standing) in &mut standings {
                let known = total.budgets.get(scope).map(|known| known.spent);
                let more = known.filter(|known| known.usd() > standing.spent.usd());
                standing.spent = more.unwrap_or(standing.spent);
            }
            Arc::default()
        } else {
            memory.counted(fleet, &total, &standings, now)
        };
        // What was reserved for a shard is its own.
        let reserved = if is_shard { BTreeMap::new() } else { total.reserved() };
        let caps = Caps::new(&standings, &reserved, counted, now);
        Some(Budgets { standings, caps, unavailable })
    }

    /// Adds the cost of a report. Returns the levels that budgets have reached and that are not acknowledged. The costs of
    /// a shard have a document of their own. What the store does not take is written with the next report.
    ///
    /// `shard` is the write of a shard's report, see [`write_of`]; `None` for another report.
    pub async fn record(
        &self,
        fleet: &Fleet,
        report: &TickReport,
        shard: Option<u64>,
        now: DateTime<Utc>,
    ) -> (Vec<Reached>, Result<(), Unavailable>) {
        if !has_budgets(fleet) {
            return (Vec::new(), Ok(()));
        }
        let (costs, month) = (costs(report), Month::of(now));
        let is_shard = shard.is_some();
        let document = if is_shard { Spending::document_of(&report.rounds) } else { SPENDING.to_owned() };
        // A shard without cost ends its reservation.
        if is_shard || !costs.is_empty() {
            self.memory().add(document, shard.unwrap_or_else(rand::random), costs, month);
        }
        let deadline = Instant::now() + READ_WITHIN;
        let of_shards = before(deadline, self.write_shards(now)).await;
        if is_shard {
            return (Vec::new(), of_shards);
        }
        match before(deadline, self.write(fleet, now)).await {
            Ok(reached) => (reached, of_shards),
            Err(unavailable) => (Vec::new(), Err(unavailable)),
        }
    }

    /// Writes the costs of this process to the document, and the levels that budgets have reached.
    async fn write(&self, fleet: &Fleet, now: DateTime<Utc>) -> Result<Vec<Reached>, Unavailable> {
        let (pending, shards, settled) = {
            let memory = self.memory();
            let pending = memory.pending.iter().filter(|pending| pending.document == SPENDING);
            (pending.cloned().collect::<Vec<_>>(), memory.shards.clone(), memory.settled.clone())
        };
        let change = |spending: &mut Spending| {
            *spending = take(spending).plausible(now);
            let month = spending.month;
            spending.settle(|write| settled.contains(&write));
            // A write is repeated when its answer was lost.
            for Pending { write, costs, .. } in pending.iter().filter(|it| it.month == month) {
                spending.add(*write, costs, now);
            }
            let mut total = spending.clone();
            total.merge(&shards);
            spending.note_owners(fleet, &total);
            total.owners.clone_from(&spending.owners);
            spending.budgets = standings(fleet, &total, now);
            (unreported(spending), spending.clone())
        };
        let (reached, written) = self.documents.update(SPENDING, change).await?;
        let mut memory = self.memory();
        memory.main = written;
        memory.written += 1;
        memory.pending.retain(|kept| !pending.iter().any(|written| written.write == kept.write));
        Ok(reached)
    }

    /// Reserves the expected cost of shards that are about to be put on the bus: their pings at the mean cost so far. What
    /// they cost replaces it.
    ///
    /// # Errors
    /// [`Unavailable`]. The ticks that follow may then exceed a budget by the cost of these shards.
    pub async fn reserve(
        &self,
        fleet: &Fleet,
        shards: &[Shard],
        now: DateTime<Utc>,
    ) -> Result<(), Unavailable> {
        if !has_budgets(fleet) {
            return Ok(());
        }
        let (total, budgets) = (self.memory().total(now), budgets(fleet));
        let targets: HashMap<&Identity, &Target> =
            fleet.targets.iter().map(|target| (&target.id, target)).collect();
        let expected = |shard: &Shard| {
            let mut usd: BTreeMap<Scope, Decimal> = BTreeMap::new();
            for round in &shard.rounds {
                let limit = round.budget.map_or(round.concurrency, |(_, most)| most.min(round.concurrency));
                let pings = Decimal::from(limit.saturating_mul(round.rounds).get());
                let each = total.of_target(&round.id).usd_per_ping().unwrap_or_default();
                let Some(target) = targets.get(&round.id).filter(|_| !each.is_zero()) else { continue };
                for scope in Scope::of(target).filter(|scope| budgets.contains_key(scope)) {
                    let sum = usd.entry(scope).or_default();
                    *sum = sum.saturating_add(each.saturating_mul(pings));
                }
            }
            (write_of(shard, true), usd)
        };
        let expected: Vec<_> = shards.iter().map(expected).filter(|(_, usd)| !usd.is_empty()).collect();
        if expected.is_empty() {
            return Ok(());
        }
        let change = |spending: &mut Spending| {
            *spending = take(spending).plausible(now);
            for (write, usd) in &expected {
                spending.reserve(*write, usd.clone(), now);
            }
            spending.clone()
        };
        let written = before(Instant::now() + READ_WITHIN, self.documents.update(SPENDING, change)).await?;
        let mut memory = self.memory();
        memory.main = written;
        memory.written += 1;
        Ok(())
    }

    /// Writes the costs of shards to their documents, and that there are some.
    async fn write_shards(&self, now: DateTime<Utc>) -> Result<(), Unavailable> {
        let of_shards = |pending: &&Pending| pending.document != SPENDING;
        let pending: Vec<Pending> = self.memory().pending.iter().filter(of_shards).cloned().collect();
        if pending.is_empty() {
            return Ok(());
        }
        for Pending { document, write, month, costs } in &pending {
            let add = |spending: &mut Spending| {
                *spending = take(spending).plausible(now);
                if spending.month == *month {
                    spending.add(*write, costs, now);
                }
            };
            self.documents.update(document, add).await?;
            let mut memory = self.memory();
            memory.pending.retain(|kept| kept.write != *write);
            let mut own = Spending::of(*month);
            own.add(*write, costs, now);
            memory.shards.merge(&own);
            memory.written += 1;
        }
        let main = self.memory().main.clone().plausible(now);
        if !main.spread {
            let spread = |spending: &mut Spending| {
                *spending = take(spending).plausible(now);
                spending.spread = true;
            };
            self.documents.update(SPENDING, spread).await?;
        }
        Ok(())
    }

    /// Returns the levels that this process has not reported by a channel.
    pub fn unreported(&self, reached: &[Reached], by: Channel) -> Vec<Reached> {
        let memory = self.memory();
        reached.iter().filter(|it| !memory.reported.contains(&it.key(by))).cloned().collect()
    }

    /// Notes that levels are reported by a channel.
    pub fn reported(&self, reached: &[Reached], by: Channel) {
        let mut memory = self.memory();
        if let Some(Reached { month, .. }) = reached.first() {
            memory.reported.retain(|(of, ..)| of == month);
        }
        memory.reported.extend(reached.iter().map(|it| it.key(by)));
    }

    /// Notes in the document the levels that this process has reported by every channel: they are not reported again in
    /// the month.
    ///
    /// # Errors
    /// [`Unavailable`]. This process does not report them again, another one may.
    pub async fn acknowledge(&self, reached: &[Reached], now: DateTime<Utc>) -> Result<(), Unavailable> {
        let is_reported = {
            let memory = self.memory();
            let is_reported = |it: &Reached, by| memory.reported.contains(&it.key(by));
            let done = |it: &&Reached| is_reported(it, Channel::Metric) && is_reported(it, Channel::Bus);
            reached.iter().filter(done).cloned().collect::<Vec<_>>()
        };
        if is_reported.is_empty() {
            return Ok(());
        }
        let change = |spending: &mut Spending| {
            *spending = take(spending).plausible(now);
            let month = spending.month;
            for Reached { scope, level, .. } in is_reported.iter().filter(|it| it.month == month) {
                spending.report(scope, *level);
            }
        };
        self.documents.update(SPENDING, change).await
    }
}

/// Returns the number of the write with the cost of a shard, of its last report or of an earlier one. The last one
/// replaces what is reserved for it.
pub fn write_of(shard: &Shard, is_last: bool) -> u64 {
    let id = shard.id();
    fnv1a(&if is_last { id } else { format!("{id} first") })
}

/// Returns the levels that the budgets of a document have reached, and that are not noted as reported.
fn unreported(spending: &Spending) -> Vec<Reached> {
    let reached = spending.budgets.iter().map(|(scope, standing)| Reached {
        scope: scope.clone(),
        standing: standing.clone(),
        level: standing.level(),
        month: spending.month,
    });
    reached.filter(|it| !spending.is_reported(&it.scope, it.level)).collect()
}
