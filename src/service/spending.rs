//! The known cost of the present month, and the limits of the budgets.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use rust_decimal::Decimal;
use tokio::time::Instant;
use tracing::warn;

use super::capacity::CapacityPlan;
use super::planner::READ_WITHIN;
use super::store::{DocumentStore, Durability, Unavailable, before};
use crate::domain::budget::{
    Caps, Level, Month, Rest, SPENDING, Scope, Spending, Spent, Standing, capacity_stops, costs, has_budgets,
    standings,
};
use crate::domain::capacity::stopped;
use crate::domain::cost::PriceBook;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::plan::{Period, TargetPlan};
use crate::domain::schedule::Minute;
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
    /// The number of writes of this process.
    written: u64,
    /// The costs that the store may not have.
    pending: Vec<Pending>,
    /// The levels of writes whose answer was lost, with their numbers.
    doubtful: Vec<(u64, Vec<Reached>)>,
    /// The levels that the bus has not acknowledged.
    unsent: Vec<Reached>,
    rests: Option<Rests>,
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

/// The rest of the month of each target of a configuration.
struct Rests {
    hash: String,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
    targets: HashMap<Identity, Rest>,
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
    fn log(&self) {
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
        let spent = |id: &Identity| spending.targets.get(id)?.usd_per_ping();
        let caps = Caps::new(fleet, &standings, spent, rest);
        Self { standings, caps, unavailable: None }
    }

    /// Ends the capacity of a plan that budgets have stopped.
    pub fn stop_capacity(&self, plan: &mut Arc<CapacityPlan>, now: DateTime<Utc>) {
        let stops = |target: &Target| -> Vec<_> {
            if target.strategy.is_capacity() {
                capacity_stops(target, &self.standings).collect()
            } else {
                Vec::new()
            }
        };
        for index in 0..plan.fleet.targets.len() {
            let found = plan.fleet.targets.get(index).map(stops).unwrap_or_default();
            for stop in found {
                if let Some(target) = Arc::make_mut(plan).fleet.targets.get_mut(index) {
                    *target = stopped(target, stop, Minute::of(now));
                }
            }
        }
    }
}

/// Returns what is left of a month of a target from `now` on, with the estimated cost of a ping.
pub fn rest(target: &Target, now: DateTime<Utc>, prices: &PriceBook) -> Rest {
    let period = Period { from: Minute::of(now), until: Minute::of(Month::of(now).end()) };
    let plan = TargetPlan::new(target, period, prices);
    let known = plan.cost.bill.lines.iter().filter_map(|line| line.exact());
    let usd = known.fold(Decimal::ZERO, Decimal::saturating_add);
    if target.strategy.is_capacity() {
        return Rest { usd_per_ping: Decimal::ZERO, rounds: Vec::new(), fixed_usd: usd };
    }
    Rest::of_segments(&plan.segments, usd.checked_div(plan.pings().into()).unwrap_or_default())
}

/// Reads the spending of the month, with that of shards.
///
/// # Errors
/// [`Unavailable`].
pub async fn spending(documents: &DocumentStore, now: DateTime<Utc>) -> Result<Spending, Unavailable> {
    let (mut main, shards) = read(documents, now).await?;
    main.merge(&shards);
    Ok(main)
}

/// Reads the document of the month, and the sum of those of shards.
async fn read(documents: &DocumentStore, now: DateTime<Utc>) -> Result<(Spending, Spending), Unavailable> {
    let main = documents.read::<Spending>(SPENDING).await?.plausible(now);
    let mut shards = Spending::of(main.month);
    if main.spread {
        let names: Vec<String> = Spending::shard_documents().collect();
        for shard in try_join_all(names.iter().map(|name| documents.read::<Spending>(name))).await? {
            shards.merge(&shard.plausible(now));
        }
    }
    Ok((main, shards))
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

    /// Returns the rest of the month of a target. It is counted again after a hundredth of the rest.
    fn rest(&mut self, fleet: &Fleet, target: &Target, now: DateTime<Utc>) -> Rest {
        let is_current = |rests: &Rests| {
            let (age, whole) = (now - rests.at, rests.until - rests.at);
            rests.hash == fleet.hash && rests.at <= now && now < rests.until && age * COUNTED_FOR <= whole
        };
        if !self.rests.as_ref().is_some_and(is_current) {
            let until = Month::of(now).end();
            self.rests = Some(Rests { hash: fleet.hash.clone(), at: now, until, targets: HashMap::new() });
        }
        let counted = || rest(target, now, &fleet.prices);
        match &mut self.rests {
            Some(rests) => rests.targets.entry(target.id.clone()).or_insert_with(counted).clone(),
            None => counted(),
        }
    }

    /// Adds costs that the store does not have.
    fn add(&mut self, document: String, costs: BTreeMap<Identity, Spent>, month: Month) {
        self.pending.retain(|pending| pending.month == month);
        let costs = Arc::new(costs);
        let mut new = Pending { document, write: rand::random(), month, costs };
        if self.pending.len() >= MOST_PENDING {
            // Their sum has a new number: at worst, what the store has nevertheless counts twice.
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
    pub async fn load(&self, fleet: &Fleet, now: DateTime<Utc>) -> Option<Budgets> {
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
        let found = before(Instant::now() + READ_WITHIN, read(&self.documents, now)).await;
        let mut memory = self.memory();
        let unavailable = match found {
            // Otherwise this process has written meanwhile.
            Ok((main, shards)) if memory.written == written => {
                (memory.main, memory.shards) = (main, shards);
                None
            }
            Ok(_) => None,
            Err(unavailable) => Some(unavailable),
        };
        let total = memory.total(now);
        let budgets = Budgets::new(fleet, &total, |target| memory.rest(fleet, target, now), now);
        Some(Budgets { unavailable, ..budgets })
    }

    /// Adds the cost of a report. Returns the levels that budgets have reached by it, each once a month. The costs of a
    /// shard have a document of their own. What the store does not take is written with the next report.
    pub async fn record(
        &self,
        fleet: &Fleet,
        report: &TickReport,
        is_shard: bool,
        now: DateTime<Utc>,
    ) -> (Vec<Reached>, Result<(), Unavailable>) {
        if !has_budgets(fleet) {
            return (Vec::new(), Ok(()));
        }
        let (costs, month) = (costs(report), Month::of(now));
        let document = if is_shard { Spending::document_of(&report.rounds) } else { SPENDING.to_owned() };
        if !costs.is_empty() {
            self.memory().add(document, costs, month);
        }
        let deadline = Instant::now() + READ_WITHIN;
        let of_shards = before(deadline, self.write_shards(now)).await;
        if is_shard {
            return (Vec::new(), of_shards);
        }
        match before(deadline, self.write(fleet, now)).await {
            Ok(reached) => {
                reached.iter().for_each(Reached::log);
                (reached, of_shards)
            }
            Err(unavailable) => (Vec::new(), Err(unavailable)),
        }
    }

    /// Writes the costs of this process to the document, and the levels that budgets have reached.
    async fn write(&self, fleet: &Fleet, now: DateTime<Utc>) -> Result<Vec<Reached>, Unavailable> {
        let (pending, shards) = {
            let memory = self.memory();
            let pending = memory.pending.iter().filter(|pending| pending.document == SPENDING);
            (pending.cloned().collect::<Vec<_>>(), memory.shards.clone())
        };
        let mark: u64 = rand::random();
        let change = |spending: &mut Spending| {
            *spending = take(spending).plausible(now);
            let mut memory = self.memory();
            let is_written = |(mark, _): &&(u64, Vec<Reached>)| spending.has(*mark);
            let written = memory.doubtful.iter().filter(is_written);
            let mut reached: Vec<Reached> = written.flat_map(|(_, reached)| reached.clone()).collect();
            // A write is repeated when its answer was lost.
            if !spending.has(mark) {
                let month = spending.month;
                for Pending { write, costs, .. } in pending.iter().filter(|it| it.month == month) {
                    spending.add(*write, costs, now);
                }
                let mut total = spending.clone();
                total.merge(&shards);
                spending.budgets = standings(fleet, &total, now);
                let new = new_levels(spending);
                memory.doubtful.retain(|(other, _)| *other != mark);
                if !new.is_empty() {
                    spending.add(mark, &BTreeMap::new(), now);
                    memory.doubtful.push((mark, new.clone()));
                }
                reached.extend(new);
            }
            (reached, spending.clone())
        };
        let (reached, written) = self.documents.update(SPENDING, change).await?;
        let mut memory = self.memory();
        memory.main = written;
        memory.written += 1;
        memory.doubtful.clear();
        memory.pending.retain(|kept| !pending.iter().any(|written| written.write == kept.write));
        Ok(reached)
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

    /// Returns the levels that the bus does not have, with new ones.
    pub fn take_unsent(&self, new: Vec<Reached>) -> Vec<Reached> {
        let mut unsent = take(&mut self.memory().unsent);
        unsent.extend(new);
        unsent
    }

    /// Keeps levels that the bus did not acknowledge for the next report.
    pub fn keep_unsent(&self, unsent: Vec<Reached>) {
        let mut memory = self.memory();
        memory.unsent.extend(unsent);
        let surplus = memory.unsent.len().saturating_sub(MOST_UNSENT);
        memory.unsent.drain(..surplus);
    }
}

/// The most levels that wait for the bus.
const MOST_UNSENT: usize = 1_000;

/// Returns the levels that the budgets of a document have reached, and notes them as reported.
fn new_levels(spending: &mut Spending) -> Vec<Reached> {
    let month = spending.month;
    let near = spending.budgets.iter().filter(|(_, standing)| standing.level() > Level::Within);
    let near: Vec<(Scope, Standing)> =
        near.map(|(scope, standing)| (scope.clone(), standing.clone())).collect();
    let mut new = Vec::new();
    for (scope, standing) in near {
        let level = standing.level();
        if spending.report(&scope, level) {
            new.push(Reached { scope, standing, level, month });
        }
    }
    new
}
