//! The rules that hold at every tick, whatever fails.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use warmd::domain::fleet::{Canary, Fleet, Target};
use warmd::domain::function::{Identity, Region};
use warmd::domain::preflight::{AccountLimits, Pool, allowance};
use warmd::domain::records::{Facts, Guards, Snapshot, Trust};
use warmd::domain::schedule::{Minute, Mode, desired, plan_tick};
use warmd::domain::tick::{SkipReason, TickReport, UnfinishedReason};
use warmd::emulator::{Invocation, Observations};

use crate::faults::Trouble;
use crate::fleet::Kind;
use crate::ports::FaultyStore;
use warmd::engine::ports::{Fetched, ObjectStore};

/// The time after which knowledge follows a change: the refresh is hourly, and one in turn takes some minutes more.
const KNOWN_AFTER: u64 = 80;
/// The time for which knowledge may be older when reads, the store or the clock failed.
const KNOWN_FOR: u64 = 26 * 60;
/// The time that pings may stay in flight, and the pause after one without an answer.
const IN_FLIGHT: u64 = 40;
/// The longest run that the caller waits for, whatever the earlier answers were.
const WAITED_FOR: Duration = Duration::from_secs(30);
/// The minutes for which the history of limits is kept.
const LIMITS: usize = 20;
const MOST_STORY: usize = 40;
const MOST_SHOWN: usize = 10;
/// The story of what concerns every function.
pub const SERVICES: &str = "services";

/// What the documents show of a target.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    refusal: Option<SkipReason>,
    /// The function's own limit, or that of its account; `None` if unknown.
    room: Option<(bool, u32)>,
    trust: Trust,
    /// The time of the last ping to a target whose breaker is open.
    open_since: Option<DateTime<Utc>>,
    in_flight: bool,
}

/// What the documents show before a tick.
pub struct View {
    fleet: Arc<Fleet>,
    seen: Vec<Seen>,
    now: DateTime<Utc>,
}

impl View {
    /// Reads the documents. Returns the documents that cannot be parsed as an error.
    pub async fn read(
        store: &FaultyStore,
        fleet: Arc<Fleet>,
        in_flight: &[Identity],
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let (mut facts, mut guards) = (BTreeMap::new(), BTreeMap::new());
        let regions: BTreeSet<Region> = fleet.targets.iter().map(Target::region).collect();
        for region in regions {
            let read: Facts = document(store, &Facts::document(region)).await?;
            facts.insert(region, Arc::new(read.plausible(now)));
            let read: Guards = document(store, &Guards::document(region)).await?;
            guards.insert(region, read);
        }
        let snapshot = Snapshot::new(facts, &fleet, now);
        let in_flight: HashSet<&Identity> = in_flight.iter().collect();
        let seen = fleet.targets.iter().map(|target| {
            let of = snapshot.of(target).map(|facts| &facts.seen);
            let limits: Option<&AccountLimits> = snapshot.limits(target);
            let allowed = allowance(target, target.highest(), of, limits, &fleet.limits);
            let code = of.and_then(|seen| seen.configuration.known()?.code_sha256.as_deref());
            let guards = &guards[&target.region()];
            let health = guards.health(&target.id, now).filter(|health| health.is_open());
            Seen {
                refusal: allowed.refusal,
                room: allowed.room.map(|room| (matches!(room.pool, Pool::Function(_)), room.limit)),
                trust: guards.trust(target, code),
                open_since: health.map(|health| health.at),
                in_flight: in_flight.contains(&target.id),
            }
        });
        Ok(Self { seen: seen.collect(), fleet, now })
    }
}

/// Reads a document past the faults of the store.
async fn document<T: serde::de::DeserializeOwned + Default>(
    store: &FaultyStore,
    name: &str,
) -> Result<T, String> {
    match store.objects.get(&format!("{name}.json"), None).await {
        Ok(Fetched::Object { bytes, .. }) if bytes.len() > 2 << 20 => {
            Err(format!("{name}: {} bytes", bytes.len()))
        }
        Ok(Fetched::Object { bytes, .. }) => {
            serde_json::from_slice(&bytes).map_err(|error| format!("{name}: {error}"))
        }
        _ => Ok(T::default()),
    }
}

/// The faults of a function with the minutes in which they began and ended.
#[derive(Debug, Default)]
pub struct History(VecDeque<(Trouble, u64, u64)>);

impl History {
    pub fn add(&mut self, trouble: Trouble, from: u64, until: u64) {
        self.0.retain(|(.., until)| until + KNOWN_FOR > from);
        self.0.push_back((trouble, from, until));
    }

    /// Returns true if such a fault existed within the last `since` minutes.
    fn had(&self, minute: u64, since: u64, is: impl Fn(Trouble) -> bool) -> bool {
        self.0.iter().any(|(trouble, from, until)| *from <= minute && until + since >= minute && is(*trouble))
    }
}

/// What disturbs all functions: the last minute of each.
#[derive(Debug, Default, Clone, Copy)]
pub struct Disturbed {
    /// Reads, the store or the clock failed.
    pub knowledge: Option<u64>,
    /// The store failed, or the clock was set.
    pub store: Option<u64>,
    /// The daemon was started again.
    pub restart: Option<u64>,
    /// The account had little concurrency.
    pub account: Option<u64>,
    /// The configuration was changed.
    pub fleet: Option<u64>,
}

fn within(last: Option<u64>, minute: u64, minutes: u64) -> bool {
    last.is_some_and(|last| minute <= last + minutes)
}

type Key = (String, String, Option<String>, Option<String>);

/// Checks the rules, and counts.
#[derive(Default)]
pub struct Checks {
    pub histories: Vec<History>,
    pub disturbed: Disturbed,
    pub ticks: u64,
    pub due: u64,
    pub sent: u64,
    pub made_up: u64,
    pub skips: BTreeMap<&'static str, u64>,
    pub verdicts: BTreeMap<&'static str, u64>,
    pub capped: u64,
    pub backed_off: u64,
    pub contacts: u64,
    pub violations: u64,
    /// The minute in which an operator cleared the canaries of a function last.
    pub cleared: HashMap<usize, u64>,
    last_tick: Option<Minute>,
    pending: HashMap<Identity, (Minute, u64)>,
    stories: HashMap<String, VecDeque<String>>,
    limits: HashMap<Identity, VecDeque<Option<(bool, u32)>>>,
    busy: HashMap<String, BinaryHeap<Reverse<Duration>>>,
}

/// The events between two views.
pub struct Interval<'i> {
    pub minute: u64,
    pub before: &'i View,
    pub after: &'i View,
    pub observed: &'i Observations,
    pub reports: &'i [TickReport],
}

impl Checks {
    pub fn new(functions: usize) -> Self {
        Self { histories: (0..functions).map(|_| History::default()).collect(), ..Self::default() }
    }

    pub fn tell(&mut self, function: &str, event: String) {
        let story = self.stories.entry(function.to_owned()).or_default();
        story.push_back(event);
        if story.len() > MOST_STORY {
            story.pop_front();
        }
    }

    pub fn violated(&mut self, function: &str, minute: u64, rule: &str) {
        self.violations += 1;
        if self.violations as usize <= MOST_SHOWN {
            println!("VIOLATED in minute {minute}: {function}: {rule}");
            for story in [SERVICES, function] {
                for event in self.stories.get(story).into_iter().flatten() {
                    println!("    {story}, {event}");
                }
            }
        }
    }

    /// Forgets what is due, because the configuration was changed.
    pub fn forget_due(&mut self) {
        self.pending.clear();
        self.last_tick = None;
    }

    /// Forgets what is due. Minutes that a clock shows a second time are not due again.
    pub fn clock_set(&mut self) {
        self.pending.clear();
    }

    pub fn check(&mut self, interval: &Interval<'_>) {
        let mut invocations: HashMap<Key, Vec<&Invocation>> = HashMap::new();
        for call in interval.observed.invocations.iter().filter(|call| call.kind != "DryRun") {
            let key =
                (call.region.clone(), call.function.clone(), call.qualifier.clone(), call.tenant.clone());
            invocations.entry(key).or_default().push(call);
        }
        self.check_reports(interval);
        let same = interval.before.fleet.hash == interval.after.fleet.hash;
        for (index, target) in interval.before.fleet.targets.iter().enumerate() {
            let text = |of: Option<&str>| of.map(str::to_owned);
            let qualifier = target.id.qualifier.as_ref().map(ToString::to_string);
            let name = target.id.name.as_str().to_owned();
            let key = (target.region().to_string(), name.clone(), qualifier, text(target.tenant()));
            let calls = invocations.get(&key).map_or(&[][..], Vec::as_slice);
            if !calls.is_empty() {
                let shown: BTreeMap<String, u32> = calls.iter().fold(BTreeMap::new(), |mut all, call| {
                    let end = call
                        .refusal
                        .clone()
                        .or(call.function_error.clone())
                        .unwrap_or_else(|| "answered".to_owned());
                    *all.entry(end).or_default() += 1;
                    all
                });
                self.tell(&name, format!("minute {}: {} {shown:?}", interval.minute, target.id));
            }
            if same {
                let (before, after) = (&interval.before.seen[index], &interval.after.seen[index]);
                self.check_pings(interval, target, before, after, calls);
            }
        }
        self.check_rooms(interval, same);
    }

    /// Pings to functions that the documents show as refused, unsafe or open; and the first pings.
    fn check_pings(
        &mut self,
        at: &Interval<'_>,
        target: &Target,
        before: &Seen,
        after: &Seen,
        calls: &[&Invocation],
    ) {
        let name = target.id.name.as_str();
        let unread =
            within(self.disturbed.store, at.minute, 3) || within(self.disturbed.restart, at.minute, 2);
        if before.in_flight || calls.is_empty() || unread {
            return;
        }
        if let (Some(reason), true) = (before.refusal, before.refusal == after.refusal) {
            self.violated(
                name,
                at.minute,
                &format!("{} pings although it is refused as {}", calls.len(), reason.name()),
            );
        }
        if matches!((&before.trust, &after.trust), (Trust::Unsafe(a), Trust::Unsafe(b)) if a == b)
            && target.canary != Canary::Off
            && !within(self.cleared.get(&index(name)).copied(), at.minute, 2)
        {
            self.violated(name, at.minute, &format!("{} pings although it is unsafe", calls.len()));
        }
        if let (Some(since), Some(_)) = (before.open_since, after.open_since) {
            let age = at.before.now.signed_duration_since(since);
            // The round follows a first ping that went well.
            if age + TimeDelta::minutes(1) < TimeDelta::minutes(15) || !is_first_alone(calls) {
                let rule =
                    format!("{} pings with an open breaker, {} min old", calls.len(), age.num_minutes());
                self.violated(name, at.minute, &rule);
            }
        }
        if before.trust == Trust::None && target.canary != Canary::Off {
            self.contacts += 1;
            if !is_first_alone(calls) {
                self.violated(name, at.minute, "no canary before the first round");
            }
        }
    }

    /// Due targets have a result, or a reason that a fault explains.
    fn check_reports(&mut self, at: &Interval<'_>) {
        let fleet = &at.before.fleet;
        for report in at.reports {
            let minute = Minute::of(report.tick);
            let is_new = self.last_tick.is_none_or(|last| last < minute);
            if is_new && report.config.as_deref() == Some(fleet.hash.as_str()) {
                self.ticks += 1;
                // Every minute since the last tick, so that the minutes of a lost tick count as well.
                let first = self.last_tick.map_or(minute, |last| last.plus(1).max(minute.plus(-60)));
                for epoch in first.epoch()..=minute.epoch() {
                    for due in plan_tick(fleet, Minute::from_epoch(epoch), Mode::DueOnly) {
                        self.due += 1;
                        let id = fleet.targets[due.index].id.clone();
                        self.pending.entry(id).or_insert((Minute::from_epoch(epoch), at.minute));
                    }
                }
                self.last_tick = Some(minute);
            }
            for round in &report.rounds {
                let name = round.id.name.as_str();
                let reason = round.skip_reason();
                let result = reason.map_or(round.verdict().name(), SkipReason::name);
                self.tell(
                    name,
                    format!(
                        "minute {}: {} {} of {}: {result}",
                        at.minute,
                        round.id,
                        round.pings(),
                        round.desired
                    ),
                );
                self.capped += u64::from(round.capped_from.is_some());
                self.backed_off += u64::from(round.backed_off_from.is_some());
                match reason {
                    None => {
                        self.sent += 1;
                        *self.verdicts.entry(round.verdict().name()).or_default() += 1;
                    }
                    Some(reason) => {
                        *self.skips.entry(reason.name()).or_default() += 1;
                        if !self.explains(reason, &round.id, at.minute) {
                            self.violated(
                                name,
                                at.minute,
                                &format!("skipped as {} without a cause", reason.name()),
                            );
                        }
                    }
                }
                if reason.is_none_or(|reason| !matches!(reason, SkipReason::InFlight | SkipReason::NoRoom)) {
                    let due = self.pending.remove(&round.id);
                    self.made_up += u64::from(due.is_some_and(|(due, _)| due < minute));
                }
            }
            for left in report.unfinished.iter().filter(|left| left.reason == UnfinishedReason::InFlight) {
                self.pending.remove(&left.id);
            }
        }
        let now = Minute::of(at.after.now);
        let open: HashSet<&Identity> =
            fleet.targets.iter().filter(|target| desired(target, now) > 0).map(|target| &target.id).collect();
        // A window that has closed is not made up for.
        self.pending.retain(|id, _| open.contains(id));
        let late: Vec<(Identity, u64)> =
            self.pending.iter().map(|(id, (_, since))| (id.clone(), *since)).collect();
        for (id, since) in late.into_iter().filter(|(_, since)| at.minute > since + 2) {
            let held = |trouble: Trouble| trouble.disturbs_pings() || trouble == Trouble::Sleeps;
            let history = &self.histories[index(id.name.as_str())];
            let explained = history.had(at.minute, IN_FLIGHT, held)
                || Kind::of(index(id.name.as_str())) == Kind::Worker
                || within(self.disturbed.restart, at.minute, 5)
                || within(self.disturbed.store, at.minute, 5);
            if !explained || at.minute > since + 90 {
                self.pending.remove(&id);
                self.violated(
                    id.name.as_str(),
                    at.minute,
                    &format!("due since minute {since} and not served"),
                );
            }
        }
    }

    /// Returns true if a fault explains that a round was skipped.
    fn explains(&self, reason: SkipReason, id: &Identity, minute: u64) -> bool {
        let function = index(id.name.as_str());
        let (kind, history) = (Kind::of(function), &self.histories[function]);
        let since = if within(self.disturbed.knowledge, minute, KNOWN_FOR) { KNOWN_FOR } else { KNOWN_AFTER };
        let had = |troubles: &[Trouble]| history.had(minute, since, |trouble| troubles.contains(&trouble));
        match reason {
            SkipReason::Durable => kind == Kind::Durable || had(&[Trouble::Durable]),
            SkipReason::ManagedInstances => kind == Kind::Managed || had(&[Trouble::Managed]),
            SkipReason::NeedsTenants => kind == Kind::NeedsTenants || had(&[Trouble::Tenancy]),
            SkipReason::SwitchedOff => kind == Kind::SwitchedOff || had(&[Trouble::SwitchedOff]),
            SkipReason::Provisioned => matches!(kind, Kind::Provisioned(_)) || had(&[Trouble::Provisioned]),
            SkipReason::Budget => false,
            SkipReason::NoHeadroom => matches!(kind, Kind::Reserved(_)) || had(&[Trouble::Shrunk]),
            SkipReason::Inactive => kind == Kind::Inactive || had(&[Trouble::Sleeps]),
            SkipReason::Unsafe => {
                kind == Kind::Worker || history.had(minute, KNOWN_FOR, Trouble::disturbs_pings)
            }
            SkipReason::Breaker => {
                // Tenants appear and disappear with their refusals.
                let fails = |trouble: Trouble| {
                    trouble.disturbs_pings()
                        || matches!(trouble, Trouble::Removed | Trouble::Tenancy | Trouble::Sleeps)
                };
                matches!(kind, Kind::Missing | Kind::Worker | Kind::NeedsTenants)
                    || history.had(minute, since, fails)
            }
            SkipReason::InFlight | SkipReason::NoRoom | SkipReason::Deadline => {
                let held = |trouble: Trouble| trouble.disturbs_pings() || trouble == Trouble::Sleeps;
                history.had(minute, IN_FLIGHT, held)
                    || within(self.disturbed.restart, minute, 3)
                    || within(self.disturbed.store, minute, 5)
                    || within(self.disturbed.account, minute, KNOWN_AFTER)
            }
            _ => false,
        }
    }

    /// Concurrent pings stay within the room that the facts of the last minutes show.
    fn check_rooms(&mut self, at: &Interval<'_>, same: bool) {
        let (fleet, seen) = (&at.before.fleet, &at.before.seen);
        let mut limits: HashMap<String, Option<u32>> = HashMap::new();
        let mut shared: HashSet<String> = HashSet::new();
        let mut own: HashSet<String> = HashSet::new();
        for (target, seen) in fleet.targets.iter().zip(seen) {
            let history = self.limits.entry(target.id.clone()).or_default();
            history.push_back(seen.room);
            if history.len() > LIMITS {
                history.pop_front();
            }
            let region = target.region().to_string();
            let function = format!("{region}/{}", target.id.name.as_str());
            let has = |is_own| {
                history.len() == LIMITS
                    && history.iter().all(|room| room.is_some_and(|(own, _)| own == is_own))
            };
            let key = match (has(true), has(false)) {
                (true, _) => {
                    own.insert(function.clone());
                    function
                }
                (_, true) => {
                    shared.insert(function);
                    region
                }
                _ => continue,
            };
            let highest = history.iter().filter_map(|room| room.map(|(_, limit)| limit)).max();
            let limit = limits.entry(key).or_default();
            *limit = (*limit).max(highest);
        }
        let quiet = same
            && !within(self.disturbed.restart, at.minute, IN_FLIGHT)
            && !within(self.disturbed.fleet, at.minute, IN_FLIGHT)
            && !within(self.disturbed.store, at.minute, IN_FLIGHT);
        for call in &at.observed.invocations {
            let Some(occupied) = call.occupied else { continue };
            let function = format!("{}/{}", call.region, call.function);
            let pool = match (own.contains(&function), shared.contains(&function)) {
                (true, _) => function.clone(),
                (_, true) => call.region.clone(),
                _ => continue,
            };
            // The caller does not wait for a run without an answer, or for a very long one.
            if call.status.is_none() || occupied.until - occupied.from > WAITED_FOR {
                continue;
            }
            let ends = self.busy.entry(pool.clone()).or_default();
            while ends.peek().is_some_and(|Reverse(end)| *end <= occupied.from) {
                ends.pop();
            }
            ends.push(Reverse(occupied.until));
            let (held, limit) = (ends.len(), limits.get(&pool).copied().flatten());
            if let Some(limit) = limit.filter(|limit| quiet && held > *limit as usize) {
                self.violated(
                    &call.function,
                    at.minute,
                    &format!("{held} executions of {pool}, whose room is {limit}"),
                );
            }
        }
    }
}

pub fn index(function: &str) -> usize {
    function.trim_start_matches("fn-").parse().unwrap()
}

/// Returns true if the first ping was answered before the others were sent.
fn is_first_alone(calls: &[&Invocation]) -> bool {
    let mut ordered: Vec<&&Invocation> = calls.iter().collect();
    ordered.sort_by_key(|call| call.arrived);
    ordered.windows(2).next().is_none_or(|pair| pair[0].answered <= pair[1].arrived)
}
