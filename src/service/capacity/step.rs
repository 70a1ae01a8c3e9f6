//! The work on the capacity of a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use super::lane::{Lane, Requests};
use super::ledger::CapacityPlan;
use super::read::{Reader, is_same};
use super::record::{Intent, apply, memory_mb, report, role, seen};
use super::task::{Purpose, Task, Urgency};
use crate::domain::capacity::{By, CapacityReport, Change, Decision, Status, Strategy};
use crate::domain::fleet::{Role, Target};
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::future::is_future;
use crate::domain::preflight::Lookup;
use crate::domain::records::{Capacities, Kept, Made, MadeBy, Seen, Snapshot, role_key};
use crate::engine::capacity::{CapacityControl, Listed, Place};
use crate::engine::stop::Stop;
use crate::service::store::{DocumentStore, Unavailable, before};

/// The longest time for the capacity of a tick: enough to open forty targets of an account in a region directly.
const TICK_WITHIN: Duration = Duration::from_secs(20);
/// The time that is kept for writing, at most a tenth of the whole.
const WRITE_WITHIN: Duration = Duration::from_secs(1);
/// The most targets of a lane that are read in a tick.
const MOST_READ: usize = 50;
/// The targets of a lane that are read or changed concurrently: enough for the pace when an answer takes 800 ms.
const CONCURRENT: usize = 4;
/// The time after which all scalable targets are listed again, and a warning is repeated.
const HOURLY: TimeDelta = TimeDelta::hours(1);
/// The reason while the state store is unavailable.
const STATE_UNAVAILABLE: &str = "state-unavailable";

/// Keeps the capacity of a fleet. There is one in a process.
pub struct CapacityKeeper {
    documents: DocumentStore,
    reader: Reader,
    /// True if the fleet is the whole configuration: what it does not name is removed.
    is_whole: bool,
    memory: Mutex<Memory>,
    /// Held during the work.
    working: tokio::sync::Mutex<()>,
}

/// The state that a process keeps between ticks.
#[derive(Default)]
struct Memory {
    lanes: BTreeMap<(Region, String), Arc<Lane>>,
    /// The targets whose changes were not all tried.
    pending: BTreeSet<Identity>,
    /// The regions in which the last release could not list all scalable targets.
    unlisted: BTreeSet<Region>,
    /// The status and reason that were logged last.
    logged: BTreeMap<Identity, (Status, Option<String>, DateTime<Utc>)>,
}

/// The circumstances of the work.
pub struct Context<'c> {
    /// The fleet, the documents and the pauses.
    pub plan: &'c CapacityPlan,
    /// The facts about deployed functions.
    pub facts: &'c Snapshot,
    /// The time.
    pub now: DateTime<Utc>,
    /// The end of the work.
    pub until: Instant,
    /// The signal to stop.
    pub stop: &'c Stop,
}

/// The kind of work.
#[derive(Clone, Copy)]
struct Work<'w> {
    purpose: Purpose,
    is_dry: bool,
    selects: &'w (dyn Fn(&Identity) -> bool + Sync),
}

/// A task, the digest of its scheduled actions, what was seen of it, and its memory in MB.
type TaskResult<'t> = (&'t Task, Option<String>, Option<Seen>, Option<u32>);

/// The work on an account in a region.
struct LaneWork {
    requests: Requests,
    tasks: Vec<Task>,
    /// All scalable targets, if they were listed.
    listed: Option<Vec<Listed>>,
    /// The scalable targets of warmd that are recorded nowhere; `None` if that is unknown.
    strays: Option<Vec<Listed>>,
}

impl CapacityKeeper {
    /// Creates a keeper. `is_whole` is false if the fleet is a part of the configuration: capacity that the rest of it
    /// names is then not taken for what is left over.
    pub fn new(documents: DocumentStore, control: Arc<dyn CapacityControl>, is_whole: bool) -> Self {
        let reader = Reader::new(control);
        Self { documents, reader, is_whole, memory: Mutex::default(), working: tokio::sync::Mutex::default() }
    }

    /// Makes the capacity of a tick, for 20 s at most. Returns the state of all targets with capacity, in the order of
    /// the configuration, and what it no longer names.
    pub async fn tick(&self, context: &Context<'_>) -> Vec<CapacityReport> {
        let until = context.until.min(Instant::now() + TICK_WITHIN);
        let work = Work { purpose: Purpose::Tick, is_dry: false, selects: &|_| true };
        self.work(&Context { until, ..*context }, work).await
    }

    /// Returns the capacity that a tick would find, with the changes that it would make. Writes and changes nothing.
    pub async fn preview(&self, context: &Context<'_>) -> Vec<CapacityReport> {
        self.work(context, Work { purpose: Purpose::Tick, is_dry: true, selects: &|_| true }).await
    }

    /// Reads the capacity of the selected targets, and what is left of earlier ones. Writes and changes nothing.
    pub async fn status(
        &self,
        context: &Context<'_>,
        selects: impl Fn(&Identity) -> bool + Sync,
    ) -> Vec<CapacityReport> {
        self.work(context, Work { purpose: Purpose::Show, is_dry: true, selects: &selects }).await
    }

    /// Removes the selected capacity that warmd has made. A dry run returns the changes without making them.
    pub async fn release(
        &self,
        context: &Context<'_>,
        is_dry: bool,
        selects: impl Fn(&Identity) -> bool + Sync,
    ) -> Vec<CapacityReport> {
        self.work(context, Work { purpose: Purpose::Release, is_dry, selects: &selects }).await
    }

    /// Returns the regions in which the last release could not list all scalable targets: what is recorded nowhere may be
    /// left there.
    pub fn unlisted(&self) -> Vec<Region> {
        self.memory().unlisted.iter().copied().collect()
    }

    /// Takes over the selected capacity that somebody else has made. A dry run returns the changes without making them.
    pub async fn adopt(
        &self,
        context: &Context<'_>,
        is_dry: bool,
        selects: impl Fn(&Identity) -> bool + Sync,
    ) -> Vec<CapacityReport> {
        self.work(context, Work { purpose: Purpose::Adopt, is_dry, selects: &selects }).await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, context: &Context<'_>, work: Work<'_>) -> Vec<CapacityReport> {
        let tasks = self.tasks(context, work).into_iter().enumerate();
        let tasks = tasks.map(|(order, task)| Task { order, ..task });
        let Ok(_working) = timeout_at(context.until, self.working.lock()).await else {
            let reports = reports(&tasks.collect::<Vec<_>>(), work.is_dry, &BTreeMap::new(), context);
            return reports.into_iter().map(|(_, report)| report).collect();
        };
        let mut regions: BTreeMap<Region, Vec<Task>> = BTreeMap::new();
        for task in tasks {
            regions.entry(task.id.region).or_default().push(task);
        }
        if work.purpose == Purpose::Release {
            self.memory().unlisted.clear();
            // What is recorded nowhere is found by its tag.
            let scaled = context.plan.fleet.targets.iter().filter(|target| is_autoscaling(target));
            scaled.for_each(|target| {
                regions.entry(target.region()).or_default();
            });
        }
        let works = regions.into_iter().map(|(region, tasks)| self.region(context, work, region, tasks));
        let mut reports: Vec<(usize, CapacityReport)> = join_all(works).await.into_iter().flatten().collect();
        reports.sort_by_key(|(order, _)| *order);
        let reports: Vec<_> = reports.into_iter().map(|(_, report)| report).collect();
        self.log(&reports, context.now);
        reports
    }

    /// Returns the tasks: the targets with capacity, and then what is left of others.
    fn tasks(&self, context: &Context<'_>, Work { purpose, selects, .. }: Work<'_>) -> Vec<Task> {
        let CapacityPlan { fleet, only, loaded, pauses, knows_requests, .. } = context.plan;
        let now = context.now;
        let mut tasks: Vec<Task> = Vec::new();
        let mut named: BTreeSet<Identity> = BTreeSet::new();
        for target in fleet.targets.iter().filter(|target| target.strategy.is_capacity()) {
            let id = target.id.without_tenant();
            let earlier = match loaded.of(&id) {
                Some(_) => None,
                None => loaded.regions().find_map(|(_, document)| {
                    document.targets.iter().find(|(of, kept)| is_same(of, &id) && is_reached(target, kept))
                }),
            };
            named.extend(earlier.map(|(of, _)| of.clone()));
            if !named.insert(id.clone()) {
                continue;
            }
            let kept = loaded.of(&id).or(earlier.map(|(_, kept)| kept));
            let made = kept.and_then(|kept| kept.made.as_ref());
            let is_managed = matches!(target.strategy, Strategy::Managed(_));
            // One kind is removed before the other is made.
            let is_left = made.is_some_and(|made| (made.by == MadeBy::Managed) != is_managed);
            let is_released = purpose == Purpose::Release;
            let is_requested = only.as_ref().is_none_or(|only| only.contains(&target.id));
            if is_requested && selects(&id) && (!is_released || made.is_some()) {
                let task = Task::new(target.clone(), kept, is_left || is_released, now);
                let is_paused = pauses.as_ref().is_some_and(|pauses| pauses.of(target, now).is_some());
                // A request may keep it up.
                let is_unknown = purpose == Purpose::Tick && target.on_request.is_some() && !knows_requests;
                let blocked = is_unknown.then_some(STATE_UNAVAILABLE);
                tasks.push(Task { is_paused, blocked, from: earlier.map(|(of, _)| of.clone()), ..task });
            }
        }
        if only.is_some() || purpose == Purpose::Adopt || !self.is_whole && purpose == Purpose::Tick {
            return tasks;
        }
        for (_, document) in loaded.regions() {
            let left =
                document.targets.iter().filter(|(id, kept)| kept.made.is_some() && !named.contains(id));
            for (id, kept) in left.filter(|(id, _)| selects(id)) {
                let mut task = left_over(id, kept, now);
                task.is_paused = pauses.as_ref().is_some_and(|pauses| pauses.of(&task.target, now).is_some());
                task.role = match &kept.role {
                    None => Ok(None),
                    Some(arn) => {
                        let roles = fleet.targets.iter().filter_map(|target| target.role.as_ref());
                        let role = roles.into_iter().find(|role| role.arn == *arn).cloned();
                        role.map(Some).ok_or_else(|| arn.clone())
                    }
                };
                tasks.push(task);
            }
        }
        tasks
    }

    /// Works on the capacity of a region.
    async fn region(
        &self,
        context: &Context<'_>,
        work: Work<'_>,
        region: Region,
        tasks: Vec<Task>,
    ) -> Vec<(usize, CapacityReport)> {
        let Context { plan, now, until, .. } = *context;
        if plan.loaded.is_unread(region) || plan.pauses.is_none() {
            let block = |task| Task { blocked: Some(STATE_UNAVAILABLE), ..task };
            let tasks: Vec<Task> = tasks.into_iter().map(block).collect();
            return reports(&tasks, work.is_dry, &BTreeMap::new(), context);
        }
        let begun = Instant::now();
        let left = until.saturating_duration_since(begun);
        let end = until - WRITE_WITHIN.min(left / 10);
        let (mut lanes, mut unreachable) = self.lanes(context, tasks, region, work);
        let listed_at =
            plan.loaded.regions().find(|(of, _)| *of == region).and_then(|(_, document)| document.listed);
        let is_listing_due = match work.purpose {
            Purpose::Tick => {
                let is_old =
                    listed_at.is_none_or(|at| now.signed_duration_since(at) >= HOURLY || is_future(at, now));
                self.is_whole && plan.only.is_none() && is_old && !work.is_dry
            }
            Purpose::Release => true,
            Purpose::Show | Purpose::Adopt => false,
        };
        let surveys = lanes.iter_mut().map(|lane| async move {
            let lists = is_listing_due
                && (work.purpose == Purpose::Release
                    || lane.tasks.iter().any(|task| task.by() == Some(MadeBy::Autoscaling)));
            let LaneWork { requests, tasks, listed, .. } = lane;
            let own = (work.purpose == Purpose::Tick).then_some(&plan.fleet.owner);
            *listed = self.reader.survey(requests, tasks, lists, own, now, begun + left / 3).await;
            if work.purpose == Purpose::Release {
                let is_listed = lane.listed.is_some();
                self.find_strays(context, work.purpose, lane, end).await;
                if !is_listed || lane.strays.is_none() {
                    self.memory().unlisted.insert(region);
                }
                self.add_strays(context, work, lane);
            }
            self.classify(context, work, lane).await;
        });
        join_all(surveys).await;
        let mut is_stored = true;
        for is_urgent in [true, false] {
            let is_left = |task: &Task| task.urgency <= Urgency::Unsettled && !task.was_read;
            let (read_until, change_until) = match is_urgent {
                true => (begun + left * 9 / 20, begun + left * 13 / 20),
                // Their changes take half of the time that is left.
                false if lanes.iter().flat_map(|lane| &lane.tasks).any(is_left) => {
                    (begun + left * 15 / 20, end)
                }
                false => (end - left / 10, end),
            };
            let reads = lanes.iter_mut().map(|lane| self.read(context, work, lane, is_urgent, read_until));
            join_all(reads).await;
            let mut stored = self.renew(context, work, &mut lanes, region, change_until).await;
            if work.is_dry {
                continue;
            }
            if stored.is_ok() {
                stored = self.intend(&mut lanes, region, change_until).await;
            }
            if let Err(unavailable) = stored
                && take(&mut is_stored)
            {
                error!("StateUnavailable: {unavailable}; the capacity of {region} is not changed");
            }
            if !is_stored {
                let tasks = lanes.iter_mut().flat_map(|lane| &mut lane.tasks);
                tasks.filter(|task| task.done.is_empty() && task.failed.is_none()).for_each(|task| {
                    task.blocked = Some(STATE_UNAVAILABLE);
                });
            }
            join_all(lanes.iter_mut().map(|lane| self.change(lane, change_until))).await;
        }
        if is_listing_due && work.purpose == Purpose::Tick {
            join_all(lanes.iter_mut().map(|lane| self.find_strays(context, work.purpose, lane, end))).await;
        }
        let strays: Option<Vec<(Identity, Option<String>)>> = is_listing_due
            .then(|| {
                let found = lanes.iter_mut().map(|lane| {
                    let role = lane.requests.lane.role.as_ref().map(|role| role.arn.clone());
                    let strays = take(&mut lane.strays);
                    strays.map(|all| all.into_iter().map(|of| (of.id, role.clone())).collect::<Vec<_>>())
                });
                found.collect::<Option<Vec<_>>>().map(|found| found.into_iter().flatten().collect())
            })
            .flatten();
        let mut tasks: Vec<Task> = lanes.into_iter().flat_map(|lane| lane.tasks).collect();
        tasks.append(&mut unreachable);
        let mut seconds = BTreeMap::new();
        if !work.is_dry {
            self.remember(&tasks);
            let is_released = work.purpose == Purpose::Release;
            for task in tasks.iter_mut().filter(|task| is_released && task.decision.is_some()) {
                let is_whole = !task.is_pending && task.failed.is_none() && task.blocked.is_none();
                task.is_gone = is_whole && (task.is_gone || !task.done.is_empty());
            }
            match self.save(context, region, &tasks, strays).await {
                Ok(counted) => seconds = counted,
                Err(unavailable) => {
                    warn!(
                        "StateUnavailable: {unavailable}; what was seen of the capacity of {region} is not recorded"
                    );
                }
            }
        }
        reports(&tasks, work.is_dry, &seconds, context)
    }

    /// Divides tasks by account. Returns also those that are blocked or whose role is unknown.
    fn lanes(
        &self,
        context: &Context<'_>,
        tasks: Vec<Task>,
        region: Region,
        work: Work<'_>,
    ) -> (Vec<LaneWork>, Vec<Task>) {
        let mut lanes: BTreeMap<String, LaneWork> = BTreeMap::new();
        let mut unreachable = Vec::new();
        let mut memory = self.memory();
        let mut lane_of = |role: Option<&Arc<Role>>, task: Option<Task>| {
            let key = role_key(role.map(|role| &**role)).to_owned();
            let new = || Arc::new(Lane::new(region, role.cloned()));
            let lane = memory.lanes.entry((region, key.clone())).or_insert_with(new);
            // The external id of a role may change.
            if lane.role.as_ref() != role {
                *lane = new();
            }
            let requests = || Requests::new(Arc::clone(lane), context.stop.clone());
            let none = || LaneWork {
                requests: requests(),
                tasks: Vec::new(),
                listed: None,
                strays: Some(Vec::new()),
            };
            lanes.entry(key).or_insert_with(none).tasks.extend(task);
        };
        for task in tasks {
            if task.blocked.is_some() {
                unreachable.push(task);
                continue;
            }
            match task.role.clone() {
                Ok(role) => lane_of(role.as_ref(), Some(task)),
                Err(_) => unreachable.push(task),
            }
        }
        if work.purpose == Purpose::Release {
            let targets = context.plan.fleet.targets.iter();
            for target in targets.filter(|target| target.region() == region && is_autoscaling(target)) {
                lane_of(target.role.as_ref(), None);
            }
        }
        (lanes.into_values().collect(), unreachable)
    }

    /// Orders the tasks of a lane by urgency.
    async fn classify(&self, context: &Context<'_>, work: Work<'_>, lane: &mut LaneWork) {
        let pending = self.memory().pending.clone();
        for task in &mut lane.tasks {
            task.urgency = task.classify(work.purpose, &pending, &context.plan.fleet.owner, context.now);
            // The schedules of many targets take long, and rounds are waiting.
            tokio::task::yield_now().await;
        }
        // The one that was tried last comes last.
        let seen_at = |task: &Task| task.seen().map(|seen| seen.at);
        lane.tasks.sort_by_key(|task| (task.urgency, seen_at(task), task.order));
        if work.purpose == Purpose::Tick {
            lane.tasks.iter_mut().skip(MOST_READ).for_each(|task| task.urgency = Urgency::Idle);
        }
    }

    /// Reads the targets of a lane, the urgent ones or all that are left, and decides on them.
    async fn read(
        &self,
        context: &Context<'_>,
        work: Work<'_>,
        lane: &mut LaneWork,
        is_urgent: bool,
        until: Instant,
    ) {
        let Context { plan, now, .. } = *context;
        let LaneWork { requests, tasks, .. } = lane;
        let requests = &*requests;
        let due = tasks.iter_mut().filter(|task| is_due(task, is_urgent));
        stream::iter(due)
            .for_each_concurrent(CONCURRENT, |task| async move {
                self.reader.read(requests, task, work.purpose, now, until).await;
                if !task.was_read {
                    if work.purpose == Purpose::Adopt {
                        // The reason is reported. Nothing is taken over by halves.
                        judge(task, context, work);
                        task.decision.take_if(|decision| decision.made.is_some());
                        task.done.clear();
                    }
                    return;
                }
                judge(task, context, work);
                let changes = task.decision.as_ref().is_some_and(|decision| !decision.changes.is_empty());
                if changes && take(&mut task.is_owner_kept) {
                    self.reader.confirm(requests, task, &plan.fleet.owner, now, until).await;
                    if task.was_read {
                        judge(task, context, work);
                    }
                }
            })
            .await;
    }

    /// Decides again with the records as they are now, where something is to be changed or is taken for somebody
    /// else's: it may have been made since the records were read, by this process or another one.
    async fn renew(
        &self,
        context: &Context<'_>,
        work: Work<'_>,
        lanes: &mut [LaneWork],
        region: Region,
        until: Instant,
    ) -> Result<(), Unavailable> {
        let concerns = |task: &&mut Task| {
            let decides = |decision: &Decision| {
                let is_changing = !decision.changes.is_empty() || decision.made.as_ref() != task.made();
                is_changing || decision.status == Status::Conflict
            };
            !task.is_tried && task.blocked.is_none() && task.decision.as_ref().is_some_and(decides)
        };
        let concerned = lanes.iter_mut().flat_map(|lane| &mut lane.tasks).filter(concerns);
        let concerned: Vec<&mut Task> = concerned.collect();
        if concerned.is_empty() {
            return Ok(());
        }
        let name = Capacities::document(region);
        let read = before(until, self.documents.read::<Capacities>(&name)).await;
        for task in concerned {
            match &read {
                Ok(document) => {
                    let from = task.from.as_ref();
                    let entry = document.targets.get(&task.id);
                    let entry =
                        entry.or_else(|| document.targets.get(from?)).filter(|kept| kept.made.is_some());
                    if let Some(kept) = entry.filter(|kept| kept.made.as_ref() != task.made()) {
                        task.kept.get_or_insert_default().made.clone_from(&kept.made);
                        judge(task, context, work);
                    }
                }
                Err(_) => task.blocked = Some(STATE_UNAVAILABLE),
            }
        }
        read.map(drop)
    }

    /// Records what is about to be made.
    async fn intend(
        &self,
        lanes: &mut [LaneWork],
        region: Region,
        until: Instant,
    ) -> Result<(), Unavailable> {
        let mut intents = Vec::new();
        for task in lanes.iter_mut().flat_map(|lane| &mut lane.tasks) {
            let Some(decision) = task.decision.as_ref().filter(|_| !task.is_left && task.blocked.is_none())
            else {
                continue;
            };
            if decision.made.as_ref() != task.made() {
                let (before, after) = (task.made().cloned(), decision.made.clone());
                let (id, from, role) = (task.id.clone(), task.from.clone(), role(&task.target));
                intents.push(Intent { id, from, role, before, after: after.clone() });
                task.kept.get_or_insert_default().made = after;
            }
        }
        if intents.is_empty() {
            return Ok(());
        }
        let write = |document: &mut Capacities| intents.iter().for_each(|intent| intent.apply(document));
        let written = before(until, self.documents.update(&Capacities::document(region), write)).await;
        if written.is_err() {
            for task in lanes.iter_mut().flat_map(|lane| &mut lane.tasks) {
                if let Some(intent) = intents.iter().find(|intent| intent.id == task.id) {
                    task.kept.get_or_insert_default().made.clone_from(&intent.before);
                }
            }
        }
        written
    }

    /// Makes the changes of a lane.
    async fn change(&self, lane: &mut LaneWork, until: Instant) {
        let LaneWork { requests, tasks, .. } = lane;
        let requests = &*requests;
        let due = tasks.iter_mut().filter(|task| task.blocked.is_none() && !task.is_tried);
        stream::iter(due)
            .for_each_concurrent(CONCURRENT, |task| async move {
                let Some(decision) = &task.decision else { return };
                let changes = decision.changes.clone();
                task.is_tried = true;
                let place = Place { id: &task.id, role: requests.lane.role.as_ref() };
                for change in changes {
                    match requests.change(until, self.reader.control.change(place, &change)).await {
                        Some(Ok(())) => {
                            if let Change::Tag { arn, .. } = &change {
                                self.reader.forget(arn);
                            }
                            info!(function = %task.id.label(), region = %task.id.region, "{change}");
                            task.done.push(change);
                        }
                        Some(Err(error)) => {
                            task.failed = Some(error);
                            return;
                        }
                        None => {
                            task.is_pending = true;
                            return;
                        }
                    }
                }
            })
            .await;
    }

    /// Looks for scalable targets of warmd that neither the fleet nor the document names.
    async fn find_strays(
        &self,
        context: &Context<'_>,
        purpose: Purpose,
        lane: &mut LaneWork,
        until: Instant,
    ) {
        let Context { plan, now, .. } = *context;
        let is_named = |id: &Identity| {
            let mut scaled = plan.fleet.targets.iter().filter(|target| is_autoscaling(target));
            purpose == Purpose::Tick && scaled.any(|target| is_same(id, &target.id))
        };
        let uses = lane.tasks.iter().any(|task| task.by() == Some(MadeBy::Autoscaling));
        let Some(listed) = take(&mut lane.listed) else {
            if uses {
                lane.strays = None;
            }
            return;
        };
        let mut strays = Vec::new();
        for Listed { id, mut scalable } in listed {
            if lane.tasks.iter().any(|task| is_same(&id, &task.id)) || is_named(&id) {
                continue;
            }
            scalable.owner = self.reader.owner(&lane.requests, &id, &scalable, now, until).await.0;
            match &scalable.owner {
                Lookup::Known(owner) if owner.as_deref() == Some(plan.fleet.owner.as_str()) => {
                    strays.push(Listed { id, scalable });
                }
                Lookup::NotRead | Lookup::Throttled(_) | Lookup::Unreachable(_) => {
                    lane.strays = None;
                    return;
                }
                _ => {}
            }
        }
        lane.strays = Some(strays);
    }

    /// Adds what was found to the tasks of a release.
    fn add_strays(&self, context: &Context<'_>, work: Work<'_>, lane: &mut LaneWork) {
        let strays = lane.strays.iter_mut().flat_map(take).filter(|of| (work.selects)(&of.id));
        let role = &lane.requests.lane.role;
        let task = |Listed { id, scalable }: Listed| {
            let kept = Kept { made: Some(stray(context.now)), ..Kept::default() };
            let mut task = left_over(&id, &kept, context.now);
            task.observed.scalable = Lookup::Known(Some(scalable));
            Task { role: Ok(role.clone()), order: usize::MAX, ..task }
        };
        lane.tasks.extend(strays.map(task));
    }

    fn remember(&self, tasks: &[Task]) {
        let mut memory = self.memory();
        for task in tasks {
            if task.is_pending {
                memory.pending.insert(task.id.clone());
            } else if task.was_read {
                memory.pending.remove(&task.id);
            }
        }
    }

    /// Records the results. Returns the environment-seconds that are billed since the last record.
    async fn save(
        &self,
        context: &Context<'_>,
        region: Region,
        tasks: &[Task],
        strays: Option<Vec<(Identity, Option<String>)>>,
    ) -> Result<BTreeMap<Identity, Option<u64>>, Unavailable> {
        let Context { plan, facts, now, until, .. } = *context;
        let is_up = |task: &Task| task.kept.as_ref().is_some_and(|kept| kept.meter.number() > 0);
        let is_confirmed = |task: &Task| task.confirmed.is_some_and(|(_, at)| at == now);
        let has_news = |task: &Task| task.was_read || is_up(task) || is_confirmed(task);
        if strays.is_none() && !tasks.iter().any(has_news) {
            let none = |task: &Task| (task.id.clone(), task.kept.is_some().then_some(0));
            return Ok(tasks.iter().map(none).collect());
        }
        let results: Vec<TaskResult<'_>> = tasks
            .iter()
            .map(|task| {
                let digest = task.has_compared().then(|| task.digest(&plan.fleet.owner, now));
                (task, digest, seen(task, now), memory_mb(task, facts))
            })
            .collect();
        let write = |document: &mut Capacities| {
            if let Some(strays) = &strays {
                document.listed = Some(now);
                for (id, role) in strays {
                    let entry = document.targets.entry(id.clone()).or_default();
                    entry.made.get_or_insert_with(|| stray(now));
                    entry.role.clone_from(role);
                }
            }
            let apply = |(task, digest, seen, memory_mb): &TaskResult<'_>| {
                let seconds = apply(task, document, digest.as_deref(), seen.as_ref(), *memory_mb, now);
                (task.id.clone(), seconds)
            };
            results.iter().map(apply).collect()
        };
        // The changes were made: their result is recorded even if the time is over.
        let deadline = until.max(Instant::now() + WRITE_WITHIN);
        before(deadline, self.documents.update(&Capacities::document(region), write)).await
    }

    /// Logs what needs attention: once, and hourly while it lasts.
    fn log(&self, reports: &[CapacityReport], now: DateTime<Utc>) {
        let mut memory = self.memory();
        for report in reports {
            let CapacityReport { id, status, reason, desired, .. } = report;
            let is_bad = match status {
                Status::Failed | Status::Waiting | Status::Refused | Status::Conflict | Status::Unknown => {
                    true
                }
                Status::Closed | Status::Ready | Status::InProgress | Status::Paused => false,
            };
            let is_repeated = memory.logged.get(id).is_some_and(|(of, why, at)| {
                (of, why) == (status, reason) && now.signed_duration_since(*at) < HOURLY
            });
            if !is_bad {
                memory.logged.remove(id);
            } else if !is_repeated {
                memory.logged.insert(id.clone(), (*status, reason.clone(), now));
                let (function, region, reason) = (id.label(), id.region, reason.as_deref().unwrap_or("none"));
                warn!(function, %region, desired, reason, "capacity: {}", status.name());
            }
        }
    }
}

/// Decides on a task that was read.
fn judge(task: &mut Task, context: &Context<'_>, work: Work<'_>) {
    task.judge(work.purpose, &context.plan.fleet.owner, context.now);
    if let (Some(decision), true) = (&task.decision, work.is_dry) {
        task.done.clone_from(&decision.changes);
    }
}

/// Returns true if the task is to be read, in the pass of the urgent ones or in that of all.
fn is_due(task: &Task, is_urgent: bool) -> bool {
    let is_due = match task.urgency {
        Urgency::Changing | Urgency::Unknown | Urgency::Unsettled => true,
        Urgency::Routine(_) => !is_urgent,
        Urgency::Idle => false,
    };
    is_due && !task.was_read
}

fn is_autoscaling(target: &Target) -> bool {
    matches!(target.strategy.by(), Some(By::Autoscaling { .. }))
}

/// Returns true if a record belongs to the account of a target.
fn is_reached(target: &Target, kept: &Kept) -> bool {
    kept.made.is_some() && kept.role == role(target)
}

/// Returns the record of a scalable target that was found by its tag.
fn stray(now: DateTime<Utc>) -> Made {
    Made::new(MadeBy::Autoscaling, now)
}

/// Creates the task of what the configuration no longer names.
fn left_over(id: &Identity, kept: &Kept, now: DateTime<Utc>) -> Task {
    let name = FunctionRef { name: id.name.clone(), qualifier: id.qualifier.clone(), place: None };
    let target = Target { id: id.clone(), architecture: kept.architecture, ..Target::bare(&name, id.region) };
    Task::new(target, Some(kept), true, now)
}

fn reports(
    tasks: &[Task],
    is_dry: bool,
    seconds: &BTreeMap<Identity, Option<u64>>,
    context: &Context<'_>,
) -> Vec<(usize, CapacityReport)> {
    let prices = &context.plan.fleet.prices;
    let of = |task: &Task| {
        let seconds = seconds.get(&task.id).copied().flatten();
        let stopped = context.plan.stopped.get(&task.id).cloned();
        let report = report(task, is_dry, seconds, memory_mb(task, context.facts), prices);
        (task.order, CapacityReport { stopped, ..report })
    };
    tasks.iter().map(of).collect()
}
