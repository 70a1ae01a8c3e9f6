//! Random fleets with capacity on random windows, under random faults, restarts and kills.
//!
//! # Rules
//!
//! - A report never says `ready` with less than the wanted number, nor `closed` while a number is wanted. A report from
//!   reads of the tick says neither while the account has another number. Any other status but `in-progress` and
//!   `paused` has a reason.
//! - [`CALM`] ticks after the last fault, the requested number is the wanted one, and with autoscaling the bounds are;
//!   six minutes after the last change it is available, too.
//! - A scalable target has at most 100 scheduled actions ahead. [`CALM`] ticks after the last fault there is one, and
//!   at all times the last one that is complete sets both bounds to 0.
//! - What somebody else has made stays as it is.
//! - After `release --all` nothing of warmd is left.
//! - The bill agrees with that of the emulator, see [`allowance`].

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::AddAssign;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use tokio::time::timeout;
use warmd::domain::capacity::{By, CapacityReport, MOST_ACTIONS, Status, desired};
use warmd::domain::cost::{Item, PriceBook};
use warmd::domain::fleet::{Fleet, Target};
use warmd::domain::function::{Architecture, Region};
use warmd::domain::records::{Capacities, PAUSES, Pause, Pauses};
use warmd::domain::schedule::Minute;
use warmd::emulator::fault::When;
use warmd::emulator::{Account, Fault, FaultKind, Operation, Profile, Scenario};
use warmd::engine::ports::Clock;

use super::world::{Away, Process, REGION, World, fleet, kept, next_minute};

/// The ticks after a fault in which capacity may still differ: a failed preparation is tried again after 15 minutes,
/// and then takes up to three.
const CALM: u64 = 20;
/// The functions of a fleet whose qualifier somebody else has taken.
const TAKEN: [&str; 2] = ["taken", "claimed"];
/// What somebody else has made: functions of the fleet, and others.
const FOREIGN: [&str; 4] = ["taken", "claimed", "alien", "by-hand"];
/// The operations that fail.
const OPERATIONS: [Operation; 16] = [
    Operation::GetProvisionedConcurrencyConfig,
    Operation::PutProvisionedConcurrencyConfig,
    Operation::DeleteProvisionedConcurrencyConfig,
    Operation::GetAlias,
    Operation::GetFunctionConfiguration,
    Operation::DescribeScalableTargets,
    Operation::RegisterScalableTarget,
    Operation::ListTagsForResource,
    Operation::DescribeScalingPolicies,
    Operation::PutScalingPolicy,
    Operation::DescribeScheduledActions,
    Operation::PutScheduledAction,
    Operation::DeleteScheduledAction,
    Operation::DescribeScalingActivities,
    Operation::GetMetricData,
    Operation::TagResource,
];

/// The figures of runs.
#[derive(Debug, Default)]
pub struct Figures {
    /// The functions, each with its schedule.
    pub schedules: u64,
    pub ticks: u64,
    pub calls: u64,
    /// The faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    pub violations: Vec<String>,
    /// The checks of a number that had to be reached.
    pub reached: u64,
    /// The checks of scheduled actions, and the most that a scalable target had ahead.
    pub actions: (u64, usize),
    /// The environment-seconds in the reports, and on the bill of the emulator.
    pub ours: i64,
    pub theirs: i64,
    /// The largest difference of a function, and the allowance for it.
    pub worst: (i64, i64),
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.ticks += other.ticks;
        self.calls += other.calls;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.violations.extend(other.violations);
        self.reached += other.reached;
        self.actions = (self.actions.0 + other.actions.0, self.actions.1.max(other.actions.1));
        self.ours += other.ours;
        self.theirs += other.theirs;
        self.worst = self.worst.max(other.worst);
    }
}

/// A fault that lasts for some ticks.
#[derive(Debug, Clone)]
enum Trouble {
    /// Calls fail.
    Calls(Fault),
    Denied,
    /// The most calls a second.
    Rate(u32),
    /// An alias moves, with transient weights.
    Moved(String),
    /// An operator sets weights.
    Weighted(String),
    /// Preparations fail.
    Unprepared,
    /// Application Auto Scaling cannot change the capacity.
    Unscalable(String),
    Updating,
    StoreAway,
    Paused,
}

impl Trouble {
    fn random(rng: &mut StdRng, functions: usize) -> Self {
        let fault = |rng: &mut StdRng, kind| {
            let often = When::Probability(rng.random_range(0.2..0.9));
            Self::Calls(Fault { kind, when: if rng.random_bool(0.3) { When::Always } else { often } })
        };
        let function = format!("f{}", rng.random_range(0..functions));
        match rng.random_range(0..14) {
            0 | 1 => fault(rng, FaultKind::Throttle { reason: String::new() }),
            2 => fault(rng, FaultKind::refuse(500)),
            3 => fault(rng, FaultKind::refuse(503)),
            4 => fault(rng, FaultKind::Reset),
            5 => {
                let by = Duration::from_millis(rng.random_range(500..8_000));
                fault(rng, FaultKind::Slow { by })
            }
            6 => Self::Denied,
            7 => Self::Rate(rng.random_range(1..4)),
            8 => Self::Moved(function),
            9 => Self::Weighted(function),
            10 => Self::Unprepared,
            11 => Self::Unscalable(function),
            12 if rng.random() => Self::Updating,
            12 => Self::Paused,
            _ => Self::StoreAway,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Calls(Fault { kind, .. }) => match kind {
                FaultKind::Throttle { .. } => "throttled",
                FaultKind::Refuse { .. } => "refused",
                FaultKind::Reset => "cut",
                _ => "slow",
            },
            Self::Denied => "denied",
            Self::Rate(_) => "rate lowered",
            Self::Moved(_) => "alias moved",
            Self::Weighted(_) => "alias weighted",
            Self::Unprepared => "preparation failed",
            Self::Unscalable(_) => "scaling failed",
            Self::Updating => "function updating",
            Self::StoreAway => "store away",
            Self::Paused => "paused",
        }
    }

    async fn set(&self, world: &World, rng: &mut StdRng, begins: bool, until: DateTime<Utc>) {
        let emulator = &world.emulator;
        let mut some = Vec::new();
        if begins {
            let share = rng.random_range(0.15..1.0);
            some.extend(OPERATIONS.into_iter().filter(|_| rng.random_bool(share)));
        }
        let profiles = |change: &dyn Fn(&mut Profile)| {
            emulator.change(|scenario| scenario.functions.values_mut().for_each(change));
        };
        match self {
            Self::Calls(fault) => emulator.change(|scenario| {
                let of = |operation| (operation, vec![fault.clone()]);
                scenario.reads.faults = some.into_iter().map(of).collect();
            }),
            Self::Denied => emulator.change(|scenario| scenario.denied = some),
            Self::Rate(rate) => emulator.change(|scenario| scenario.reads.rate = begins.then_some(*rate)),
            // An alias that is moving already cannot move.
            Self::Moved(function) => {
                let to = if begins { "2" } else { "1" };
                let _ = emulator.update_alias(REGION, function, "live", Some(to), None);
            }
            Self::Weighted(function) => {
                let weight = begins.then_some(("3", 0.25));
                let _ = emulator.update_alias(REGION, function, "live", None, weight);
            }
            Self::Unprepared => profiles(&|profile| {
                profile.provisioned_fails = begins.then(|| "FUNCTION_ERROR_INIT_FAILURE".to_owned());
            }),
            Self::Unscalable(function) => {
                let failure = begins.then_some("Function is not in a state to be scaled");
                emulator.fail_scaling(REGION, function, "live", failure);
            }
            Self::Updating => profiles(&|profile| {
                let status = begins.then(|| ("LastUpdateStatus".to_owned(), json!("InProgress")));
                profile.configuration = status.into_iter().collect();
            }),
            Self::StoreAway => world.objects.set(begins.then_some(Away::Refuses)),
            Self::Paused if begins => {
                let pause = |pauses: &mut Pauses| {
                    pauses.all = Some(Pause { until, reason: "deployment".to_owned() });
                };
                world.documents.update(PAUSES, pause).await.unwrap();
            }
            Self::Paused => {}
        }
    }
}

/// The bill of a function.
#[derive(Debug, Default)]
struct Bill {
    /// The price in the reports.
    reported: Decimal,
    /// The environment-seconds of ticks whose reports a kill has lost.
    lost: u64,
    /// The times of the successful reads.
    reads: Vec<Duration>,
}

/// A fleet with random schedules.
struct Schedule {
    seed: u64,
    rng: StdRng,
    world: World,
    fleet: Fleet,
    minute: u64,
    calm_since: u64,
    bills: BTreeMap<String, Bill>,
    /// The minutes for which the number of a function was not yet reached.
    late: BTreeMap<String, u32>,
    foreign: Vec<Value>,
    figures: Figures,
}

/// Returns the text of a time of the day, minutes after nine.
fn time(minutes: i64) -> String {
    let minutes = 9 * 60 + minutes;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// Returns random windows.
fn windows(rng: &mut StdRng, minutes: u64) -> String {
    let mut text = String::new();
    for _ in 0..rng.random_range(1..5) {
        let days = if rng.random_bool(0.2) { "daily" } else { "fri" };
        let begin = rng.random_range(-30..i64::try_from(minutes).unwrap());
        let length = *[3, 7, 12, rng.random_range(2..30), rng.random_range(15..150)].choose(rng).unwrap();
        let number = rng.random_range(1..10);
        write!(text, "      - {{ days: {days}, hours: \"{}-{}\"", time(begin), time(begin + length)).unwrap();
        write!(text, ", concurrency: {number}").unwrap();
        if rng.random_bool(0.3) {
            write!(text, ", lead: {}m", rng.random_range(0..8)).unwrap();
        }
        if length > 10 && rng.random_bool(0.3) {
            write!(text, ", ramp_up: {}m", rng.random_range(2..10)).unwrap();
        }
        if length > 10 && rng.random_bool(0.3) {
            write!(text, ", ramp_down: {}m", rng.random_range(2..10)).unwrap();
        }
        text.push_str(" }\n");
    }
    text
}

/// Returns windows that change more often in a week than scheduled actions fit.
fn dense_windows() -> String {
    let window = |hours: i64| {
        let (begin, end) = (time(hours * 60), time(hours * 60 + 60));
        format!("      - {{ days: daily, hours: \"{begin}-{end}\", concurrency: {} }}\n", hours % 3 + 1)
    };
    (0..12).map(|index| window(index * 2)).collect()
}

/// Returns a random configuration.
fn configuration(rng: &mut StdRng, functions: usize, minutes: u64) -> String {
    let mut text = "functions:\n".to_owned();
    let names = (0..functions).map(|index| format!("f{index}")).chain(TAKEN.map(str::to_owned));
    let is_dense = rng.random_bool(0.3);
    for name in names {
        let is_direct = match name.as_str() {
            "taken" => true,
            "claimed" => false,
            "f0" if is_dense => false,
            _ => rng.random_bool(0.4),
        };
        let fallback = if rng.random_bool(0.3) { "pings" } else { "none" };
        let by = match is_direct {
            true => "direct".to_owned(),
            false => {
                let (max, percent) = (rng.random_range(9..30), rng.random_range(10..=90));
                format!("autoscaling, max: {max}, utilization: 0.{percent}")
            }
        };
        writeln!(text, "  {name}:live:\n    strategy: provisioned").unwrap();
        writeln!(text, "    provisioned: {{ by: {by}, fallback: {fallback} }}\n    windows:").unwrap();
        match name.as_str() {
            "f0" if is_dense => text.push_str(&dense_windows()),
            _ => text.push_str(&windows(rng, minutes)),
        }
    }
    text
}

/// Returns an account with the functions.
fn scenario(rng: &mut StdRng, seed: u64, functions: usize) -> Scenario {
    let account = Account { concurrency: 100_000, ..Account::default() };
    let mut scenario = Scenario { account, seed, ..Scenario::default() };
    for name in (0..functions).map(|index| format!("f{index}")).chain(FOREIGN.map(str::to_owned)) {
        let prepare = Duration::from_secs(rng.random_range(0..150));
        let moving = Duration::from_secs(*[0, 45, 150].choose(rng).unwrap());
        scenario = scenario.with(&name, Profile { prepare, moving, ..Profile::default() });
    }
    scenario
}

/// Makes what belongs to somebody else.
fn settle(world: &World) {
    for function in ["taken", "alien"] {
        world.emulator.put_provisioned(REGION, function, "live", 3).unwrap();
    }
    let tags = [json!({ "warmd:owner": "another" }), json!({})];
    for (function, tags) in ["claimed", "by-hand"].into_iter().zip(tags) {
        let target = json!({ "MinCapacity": 1, "MaxCapacity": 4, "Tags": tags });
        world.scale(Operation::RegisterScalableTarget, function, target);
        let action = json!({
            "ScheduledActionName": "warmd-another-1",
            "Schedule": "at(2026-12-24T00:00:00)",
            "ScalableTargetAction": { "MinCapacity": 2, "MaxCapacity": 4 },
        });
        world.scale(Operation::PutScheduledAction, function, action);
        let metric = json!({ "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization" });
        let policy = json!({
            "PolicyName": "theirs",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration":
                { "TargetValue": 0.9, "PredefinedMetricSpecification": metric },
        });
        world.scale(Operation::PutScalingPolicy, function, policy);
    }
}

/// Describes what belongs to somebody else.
fn foreign(world: &World) -> Vec<Value> {
    let of = |function: &&str| {
        let scaling = world.scaling(function);
        // Their policy changes the number of their scalable target.
        let requested = scaling[0].is_empty().then(|| world.requested(function));
        json!([function, requested, scaling])
    };
    FOREIGN.iter().map(of).collect()
}

/// Runs a fleet of `functions` schedules for some minutes, and releases it.
pub async fn run(seed: u64, functions: usize, minutes: u64) -> Figures {
    let mut rng = StdRng::seed_from_u64(seed);
    let text = configuration(&mut rng, functions, minutes);
    let world = World::new(scenario(&mut rng, seed, functions)).await;
    settle(&world);
    let schedule = Schedule {
        seed,
        rng,
        foreign: foreign(&world),
        world,
        fleet: fleet(&text),
        minute: 0,
        calm_since: 0,
        bills: BTreeMap::new(),
        late: BTreeMap::new(),
        figures: Figures { schedules: functions as u64, ..Figures::default() },
    };
    schedule.run(minutes).await
}

impl Schedule {
    async fn run(mut self, minutes: u64) -> Figures {
        let mut process = self.world.process(self.fleet.clone());
        let (mut trouble, mut rest): (Option<(Trouble, u64)>, u64) = (None, self.rng.random_range(2..30));
        for minute in 0..minutes {
            next_minute(&self.world.clock).await;
            self.minute = minute;
            if let Some((over, _)) = trouble.take_if(|(_, until)| *until <= minute) {
                over.set(&self.world, &mut self.rng, false, self.world.clock.now()).await;
                rest = minute + *[1, 4, CALM + 25].choose(&mut self.rng).unwrap();
            }
            if trouble.is_none() && rest <= minute {
                let until = minute + self.rng.random_range(1..13);
                let begun = Trouble::random(&mut self.rng, self.fleet.targets.len() - TAKEN.len());
                let ends = self.world.clock.now() + TimeDelta::minutes((until - minute).cast_signed());
                begun.set(&self.world, &mut self.rng, true, ends).await;
                self.count(begun.name());
                trouble = Some((begun, until));
            }
            if trouble.is_some() {
                self.calm_since = minute + 1;
            }
            let restarts = self.rng.random_bool(0.02);
            if restarts {
                self.count("restarted");
                process = self.world.process(self.fleet.clone());
            }
            let is_killed = self.rng.random_bool(if rest > minute + 5 { 0.0 } else { 0.15 });
            match is_killed {
                false => {
                    let reports = process.serve().await;
                    self.check(&reports, trouble.is_some()).await;
                }
                true => process = self.kill(process).await,
            }
            self.figures.ticks += 1;
        }
        if let Some((over, _)) = trouble {
            over.set(&self.world, &mut self.rng, false, self.world.clock.now()).await;
        }
        self.world.documents.update(PAUSES, |pauses: &mut Pauses| *pauses = Pauses::default()).await.unwrap();
        // A moving alias cannot be changed.
        for _ in 0..8 {
            next_minute(&self.world.clock).await;
            self.minute += 1;
            self.calm_since = self.minute + 1;
            let reports = process.serve().await;
            self.check(&reports, true).await;
        }
        self.end().await;
        self.figures
    }

    fn count(&mut self, what: &'static str) {
        *self.figures.faults.entry(what).or_default() += 1;
    }

    fn violated(&mut self, function: &str, rule: &str) {
        let (seed, minute, calm) = (self.seed, self.minute, self.calm_since);
        self.figures
            .violations
            .push(format!("seed {seed}, minute {minute} (calm since {calm}), {function}: {rule}"));
    }

    /// Kills a process in the middle of a tick, and starts another. What the tick had recorded in the document, and
    /// nobody was shown, is counted as lost.
    async fn kill(&mut self, process: Process) -> Process {
        let longest = *[100, 1_500, 9_000].choose(&mut self.rng).unwrap();
        let within = Duration::from_millis(self.rng.random_range(0..longest));
        let before = self.world.capacities().await;
        let begun = self.world.clock.now();
        match timeout(within, process.serve()).await {
            Ok(reports) => self.check(&reports, true).await,
            Err(_) => {
                self.count("killed");
                let after = self.world.capacities().await;
                for (id, kept) in &after.targets {
                    let mut meter = before.targets.get(id).map(|of| of.meter.clone()).unwrap_or_default();
                    let bill = self.bills.entry(id.name.as_str().to_owned()).or_default();
                    if let Some(until) = kept.meter.until {
                        bill.lost += meter.advance(until, kept.meter.number());
                    }
                }
                self.note_reads(&after, begun);
            }
        }
        self.calm_since = self.minute + 1;
        self.world.process(self.fleet.clone())
    }

    /// Notes the targets that a tick at `now` has read.
    fn note_reads(&mut self, document: &Capacities, now: DateTime<Utc>) {
        for (id, kept) in &document.targets {
            if kept.seen.as_ref().is_some_and(|seen| seen.at == now && seen.requested.is_some()) {
                let at = (now - super::world::start()).to_std().unwrap();
                self.bills.entry(id.name.as_str().to_owned()).or_default().reads.push(at);
            }
        }
    }

    /// Checks the rules after a tick.
    async fn check(&mut self, reports: &[CapacityReport], is_troubled: bool) {
        let now = Minute::of(self.world.clock.now());
        let document = self.world.capacities().await;
        self.note_reads(&document, now.instant());
        let is_calm = !is_troubled && self.minute >= self.calm_since + CALM;
        let targets = self.fleet.targets.clone();
        for target in &targets {
            let name = target.id.name.as_str();
            let Some(report) = reports.iter().find(|report| report.id == target.id) else {
                self.violated(name, "no report");
                continue;
            };
            let bill = self.bills.entry(name.to_owned()).or_default();
            bill.reported += report.cost_usd.unwrap_or_default();
            let seen = kept(&document, name).and_then(|kept| kept.seen.as_ref());
            let was_read = seen.is_some_and(|seen| seen.at == now.instant());
            if let Err(rule) = honest(report, target, now) {
                self.violated(name, &rule);
            }
            if TAKEN.contains(&name) {
                let is_conflict = report.status == Status::Conflict || !is_calm;
                if !is_conflict || matches!(report.status, Status::Ready | Status::InProgress) {
                    self.violated(name, &format!("not a conflict: {report:?}"));
                }
                continue;
            }
            if let Err(rule) = self.reached(target, report, now, was_read, is_calm) {
                self.violated(name, &format!("{rule}: {report:?}"));
            }
        }
        if is_troubled || self.minute.is_multiple_of(4) {
            let present = foreign(&self.world);
            if present != self.foreign {
                self.violated("foreign", &format!("{present:?}, before {:?}", self.foreign));
                self.foreign = present;
            }
        }
    }

    /// Checks that the account has the wanted number.
    fn reached(
        &mut self,
        target: &Target,
        report: &CapacityReport,
        now: Minute,
        was_read: bool,
        is_calm: bool,
    ) -> Result<(), String> {
        let (name, wanted) = (target.id.name.as_str(), desired(target, now));
        let (requested, max) = (self.world.requested(name), most(target, wanted));
        let is_reached = (wanted..=max).contains(&requested);
        let is_settled = matches!(report.status, Status::Ready | Status::Closed);
        if !is_reached && is_settled && was_read {
            return Err(format!("{requested} requested, {wanted} wanted"));
        }
        if !is_calm {
            self.late.remove(name);
            return Ok(());
        }
        self.figures.reached += 1;
        // A number that is being prepared is not changed, which takes three minutes at most.
        let available = self.world.emulator.provisioned(REGION, name, "live").map_or(0, |of| of.available);
        let late = self.late.entry(name.to_owned()).or_default();
        *late = if is_reached && available >= wanted { 0 } else { *late + 1 };
        let is_late = *late > 6;
        if is_late {
            return Err(format!("{available} available of {requested} requested, {wanted} wanted for long"));
        }
        if !is_reached && report.status != Status::InProgress {
            return Err(format!("{requested} requested, {wanted} wanted"));
        }
        if target.strategy.by() == Some(By::Direct) {
            return Ok(());
        }
        let (bounds, own) = (self.world.bounds(name), (wanted, max));
        // The maximum is lowered while unused capacity comes down.
        if bounds.is_some_and(|bounds| bounds != own && bounds != (wanted, wanted)) {
            return Err(format!("the bounds are {bounds:?}, {own:?} wanted"));
        }
        if wanted > 0 && bounds.is_none() {
            return Err("no scalable target".to_owned());
        }
        if self.minute.is_multiple_of(3) { self.actions(target, now) } else { Ok(()) }
    }

    /// Checks the scheduled actions ahead.
    fn actions(&mut self, target: &Target, now: Minute) -> Result<(), String> {
        let [targets, _, actions] = self.world.scaling(target.id.name.as_str());
        let after = format!("at({})", now.instant().format("%Y-%m-%dT%H:%M:%S"));
        let schedule = |action: &Value| action["Schedule"].as_str().unwrap_or_default().to_owned();
        let ahead = actions.iter().filter(|action| schedule(action) > after);
        let (count, last) = (ahead.clone().count(), ahead.max_by_key(|action| schedule(action)));
        self.figures.actions = (self.figures.actions.0 + 1, self.figures.actions.1.max(count));
        if count > MOST_ACTIONS {
            return Err(format!("{count} scheduled actions"));
        }
        let zero = json!({ "MinCapacity": 0, "MaxCapacity": 0 });
        match last {
            Some(last) if last["ScalableTargetAction"] != zero => Err(format!("the last action is {last}")),
            None if !targets.is_empty() && desired(target, now) > 0 => Err("no action closes it".to_owned()),
            _ => Ok(()),
        }
    }

    /// Releases everything, and checks what is left and the bill.
    async fn end(&mut self) {
        let reports = self.world.release(&self.fleet).await;
        let released = self.world.clock.now();
        for report in &reports {
            let bill = self.bills.entry(report.id.name.as_str().to_owned()).or_default();
            bill.reported += report.cost_usd.unwrap_or_default();
            bill.reads.push((released - super::world::start()).to_std().unwrap());
        }
        let document = self.world.capacities().await;
        for (id, _) in document.targets.iter().filter(|(_, kept)| kept.made.is_some()) {
            self.violated(id.name.as_str(), "the document has it after the release");
        }
        let price = {
            let region = Region::parse(REGION).unwrap();
            let item = Item::ProvisionedIdle(Architecture::default());
            PriceBook::embedded().price(&item, region).unwrap()
        };
        let targets = self.fleet.targets.clone();
        for target in targets.iter().filter(|target| !TAKEN.contains(&target.id.name.as_str())) {
            let name = target.id.name.as_str();
            let (requested, left) = (self.world.requested(name), self.world.scaling(name));
            if requested > 0 || left.iter().any(|list| !list.is_empty()) {
                let report = reports.iter().find(|report| report.id == target.id);
                self.violated(name, &format!("left after the release: {requested}, {left:?}; {report:?}"));
            }
            let Some(provisioned) = self.world.emulator.provisioned(REGION, name, "live") else { continue };
            let bill = &self.bills[name];
            let reported = (bill.reported / price).round().to_i64().unwrap();
            let ours = reported + i64::try_from(bill.lost).unwrap();
            let theirs = i64::try_from(provisioned.environment_seconds).unwrap();
            let levels = provisioned.levels.iter().map(|level| (level.at, level.billed));
            let allowance = allowance(levels, &bill.reads);
            self.figures.ours += ours;
            self.figures.theirs += theirs;
            self.figures.worst = self.figures.worst.max(((ours - theirs).abs(), allowance));
            if (ours - theirs).abs() > allowance {
                let (lost, levels) = (bill.lost, &provisioned.levels);
                let rule =
                    format!("{ours} environment-seconds ({lost} lost), the bill has {theirs}: {levels:?}");
                self.violated(name, &rule);
            }
        }
        let present = foreign(&self.world);
        if present != self.foreign {
            self.violated("foreign", &format!("after the release {present:?}, before {:?}", self.foreign));
        }
        self.figures.calls += self.world.emulator.observe().reads.len() as u64;
    }
}

/// Checks a report by itself.
fn honest(report: &CapacityReport, target: &Target, now: Minute) -> Result<(), String> {
    let wanted = desired(target, now);
    let is_honest = match report.status {
        Status::Ready => wanted > 0 && report.is_available(),
        Status::Closed => wanted == 0,
        Status::InProgress | Status::Paused => true,
        _ => report.reason.is_some(),
    };
    let is_right = is_honest && report.desired == wanted;
    if is_right { Ok(()) } else { Err(format!("{wanted} wanted: {report:?}")) }
}

/// Returns the maximum of a scalable target, or the number with the direct way.
fn most(target: &Target, wanted: u32) -> u32 {
    match target.strategy.by() {
        Some(By::Autoscaling { max, .. }) if wanted > 0 => max.max(wanted),
        _ => wanted,
    }
}

/// Returns the environment-seconds by which two honest bills differ at most: for each change of the number, and each
/// environment of the change, the steps of five minutes that the time until the next successful read begins. With a
/// read each minute this is one step.
fn allowance(levels: impl Iterator<Item = (Duration, u32)>, reads: &[Duration]) -> i64 {
    let mut before = 0;
    let mut allowed = 0;
    for (at, number) in levels {
        let read = reads.iter().find(|read| **read >= at).copied().unwrap_or(at);
        let steps = (read - at).as_secs() / 300 + 1;
        allowed += i64::from(number.abs_diff(before)) * 300 * i64::try_from(steps).unwrap();
        before = number;
    }
    allowed
}
