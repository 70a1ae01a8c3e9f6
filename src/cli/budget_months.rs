//! Months of a fleet with budgets, on virtual time against the emulator. What is spent is priced here, from what the
//! emulator has seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use rust_decimal::Decimal;
use tokio::time::{Instant, sleep_until};

use super::app::{App, AwsService};
use crate::config;
use crate::domain::budget::Month;
use crate::domain::events::{Deployment, Need, Subject, WarmRequest};
use crate::domain::fleet::Fleet;
use crate::domain::function::{FunctionRef, Region};
use crate::domain::schedule::Minute;
use crate::domain::tick::{RoundRecord, TickReport};
use crate::emulator::profile::Span;
use crate::emulator::{Emulator, Fault, FaultKind, Scenario};
use crate::engine::ports::Clock;
use crate::engine::stop::stop;
use crate::service::budget::TimeBudget;
use crate::service::live_config::LiveConfig;
use crate::service::spending::spending;
use crate::service::store::{DocumentStore, Durability, Memory};
use crate::service::{Bus, Observer, Trigger};

const FLEET: &str = r#"
version: 1
defaults: { region: eu-west-2, memory: 6144MB, timeout: 1m, hold: 10s, assume: { init_duration: 20s } }
budget: { monthly_usd: FLEET, MODE }
owners: { nlp: { budget: { monthly_usd: NLP, MODE } }, ml: { budget: { monthly_usd: ML, MODE } } }
functions:
  a:
    owner: nlp
    budget: { monthly_usd: OWN, MODE }
    on_request: { max_concurrency: 9, max_for: 1h }
    windows: [{ days: daily, hours: "06:00-20:00", concurrency: 6 }]
  b:
    owner: nlp
    on_request: { max_concurrency: 9, max_for: 1h }
    windows: [{ days: daily, hours: all-day, concurrency: 3 }]
  c:
    owner: ml
    windows: [{ days: mon-fri, hours: "08:00-18:00", concurrency: 8 }]
  d:live:
    owner: ml
    memory: 128MB
    strategy: provisioned
    provisioned: { by: direct, fallback: none }
    windows: [{ days: daily, hours: "06:00-21:00", concurrency: 3 }]
  e: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
"#;

/// The budgets, and the functions that each counts.
const SCOPES: [(&str, &str); 4] =
    [("fleet", "abcde"), ("owner nlp", "ab"), ("owner ml", "cd"), ("function a", "a")];
/// The minutes between two rounds, and between two ticks while no budget is near its end.
const EVERY: u32 = 180;
/// Any instant of the month.
const MONTH: &str = "2026-11-15T00:00:00Z";
/// US dollars of a request, of a GB-second on x86, and of one that is provisioned in eu-west-2.
const PRICES: [&str; 3] = ["0.0000002", "0.0000166667", "0.0000048304"];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A clock that begins with the test, and moves with the time of the runtime.
struct Simulated(DateTime<Utc>, Instant);

impl Clock for Simulated {
    fn now(&self) -> DateTime<Utc> {
        self.0 + self.1.elapsed()
    }
}

struct Silent;

impl Observer for Silent {}

/// The cost of a trigger as the emulator has counted it, in US dollars: of pings by function, and of the capacity of `d`.
#[derive(Default)]
struct Drained {
    pings: BTreeMap<String, Decimal>,
    capacity: Decimal,
}

/// A month so far.
struct World {
    service: AwsService,
    documents: DocumentStore,
    emulator: Emulator,
    clock: Arc<Simulated>,
    limits: [Decimal; 4],
    /// The environment-seconds that are counted.
    provisioned: u64,
    /// The cost of each budget in each month.
    spent: BTreeMap<(Month, &'static str), Decimal>,
    /// The highest cost of the pings of one trigger.
    dearest: BTreeMap<&'static str, Decimal>,
    /// For each budget that is used up: the day, and the cost of its pings and of its capacity since, in November.
    since: BTreeMap<&'static str, (DateTime<Utc>, Decimal, Decimal)>,
    /// The time of the last capacity in November.
    last_capacity: DateTime<Utc>,
    /// The sent pings of `a`, their cost, and those of the fleet.
    of_a: (u64, Decimal),
    all: u64,
    levels: Vec<(String, String, u64)>,
}

impl World {
    fn new(mode: &str, budgets: [&str; 4]) -> Self {
        let names = ["FLEET", "NLP", "ML", "OWN"];
        let text =
            names.iter().zip(budgets).fold(FLEET.to_owned(), |text, (name, usd)| text.replace(name, usd));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleet.yaml");
        std::fs::write(&file, text.replace("MODE", mode)).unwrap();
        let fleet = config::load(&[file], None).unwrap().fleet;
        let targets = fleet.targets.iter().cloned();
        let targets =
            targets.map(|target| crate::domain::fleet::Target { interval_minutes: EVERY, ..target });
        let fleet = Fleet { targets: targets.collect(), ..fleet };
        let (app, emulator) = App::simulated_long(&fleet.targets);
        emulator.change(|scenario| {
            scenario.remembered = 10_000;
            for profile in scenario.functions.values_mut() {
                (profile.fetch, profile.init) = (Span::millis(0), Span::millis(20_000));
                profile.recycle_after = Duration::from_secs(90 * 86_400).into();
                profile.prepare = Duration::from_secs(90);
            }
            scenario.functions.get_mut("e").unwrap().faults = vec![Fault::every(7, FaultKind::Reset)];
        });
        set_idle_life(&emulator, 4 * 3_600);
        let from = at("2026-10-31T18:00:00Z");
        let clock = Arc::new(Simulated(from, Instant::now()));
        let documents = DocumentStore::new(Arc::new(Memory::default()), Durability::Durable);
        let mut service = app.service(LiveConfig::fixed(fleet), documents.clone(), None, None).unwrap();
        service.clock = clock.clone();
        service.bus = Some(Bus { events: app.clients().events().unwrap(), name: "default".to_owned() });
        app.drive(&mut service, &documents);
        Self {
            service,
            documents,
            emulator,
            clock,
            limits: budgets.map(usd),
            provisioned: 0,
            spent: BTreeMap::new(),
            dearest: BTreeMap::new(),
            since: BTreeMap::new(),
            last_capacity: from,
            of_a: (0, Decimal::ZERO),
            all: 0,
            levels: Vec::new(),
        }
    }

    /// Serves a trigger at `now`, and counts what the emulator saw of it.
    async fn serve(&mut self, now: DateTime<Utc>, trigger: Trigger) -> (TickReport, Drained) {
        let Simulated(from, since) = *self.clock;
        sleep_until(since + (now - from).to_std().unwrap_or_default()).await;
        let (_stopper, stop) = stop();
        let budget = TimeBudget::until_stopped(stop, None);
        let report = self.service.serve(trigger, &budget, &Silent).await.unwrap().report;
        let drained = self.drain();
        let month = Month::of(self.clock.now());
        let is_november = month.text() == "2026-11";
        if is_november && drained.capacity > Decimal::ZERO {
            self.last_capacity = now;
        }
        for ((scope, functions), limit) in SCOPES.into_iter().zip(self.limits) {
            let pings: Decimal =
                drained.pings.iter().filter(|(name, _)| functions.contains(*name)).map(|(_, usd)| *usd).sum();
            let capacity = if functions.contains('d') { drained.capacity } else { Decimal::ZERO };
            let spent = self.spent.entry((month, scope)).or_default();
            if is_november && let Some((_, later_pings, later_capacity)) = self.since.get_mut(scope) {
                (*later_pings, *later_capacity) = (*later_pings + pings, *later_capacity + capacity);
            }
            *spent += pings + capacity;
            if is_november && *spent >= limit {
                self.since.entry(scope).or_insert((now, Decimal::ZERO, Decimal::ZERO));
            }
            let dearest = self.dearest.entry(scope).or_default();
            *dearest = pings.max(*dearest);
        }
        (report, drained)
    }

    fn drain(&mut self) -> Drained {
        let [request, on_demand, provisioned] = PRICES.map(usd);
        let seen = self.emulator.observe();
        self.emulator.reset();
        let mut drained = Drained::default();
        self.all += seen.counts.scopes.values().map(|count| count.pings).sum::<u64>();
        for invocation in &seen.invocations {
            // The cost of a lost answer is unknown.
            let (Some(200), Some(occupied)) = (invocation.status, invocation.occupied) else { continue };
            let ms = (occupied.until - occupied.from).as_micros().div_ceil(1_000);
            let gb_seconds = Decimal::from(ms as u64) * usd("6") / usd("1000");
            let cost = request + gb_seconds * on_demand;
            *drained.pings.entry(invocation.function.clone()).or_default() += cost;
            if invocation.function == "a" {
                self.of_a = (self.of_a.0 + 1, self.of_a.1 + cost);
            }
        }
        let levels = seen.provisioned.iter().flat_map(|of| &of.levels);
        let now = self.clock.1.elapsed();
        let ends = levels.clone().skip(1).map(|level| level.at).chain([now]);
        // From enabling to disabling, in steps of five minutes. The requests may come a second late.
        let (mut seconds, mut begun) = (0, None);
        for (level, until) in levels.zip(ends) {
            let from = *begun.get_or_insert(level.at);
            if level.billed > 0 && until > from {
                let steps = |until: Duration| {
                    (until - from).saturating_sub(Duration::from_secs(1)).as_secs().div_ceil(300)
                };
                seconds += (steps(until) - steps(level.at)) * 300 * u64::from(level.billed);
            }
            if level.billed == 0 {
                begun = None;
            }
        }
        drained.capacity = Decimal::from(seconds - self.provisioned) * provisioned / usd("8");
        self.provisioned = seconds;
        for event in seen.events.iter().filter(|event| event.detail_type == "Warm Budget Exceeded") {
            let of = ["owner", "function"].map(|key| event.detail[key].as_str().unwrap_or_default());
            let scope = format!("{} {}", event.detail["scope"].as_str().unwrap(), of.concat());
            let month = event.detail["month"].as_str().unwrap().to_owned();
            self.levels.push((month, scope.trim().to_owned(), event.detail["level"].as_u64().unwrap()));
        }
        drained
    }

    fn requested(&self) -> u32 {
        self.emulator.observe().provisioned.iter().map(|of| of.requested).sum()
    }

    fn spent(&self, now: DateTime<Utc>, scope: &'static str) -> Decimal {
        self.spent.get(&(Month::of(now), scope)).copied().unwrap_or_default()
    }
}

fn set_idle_life(emulator: &Emulator, seconds: u64) {
    emulator.change(|scenario: &mut Scenario| {
        scenario.functions.values_mut().for_each(|it| it.idle_life = Duration::from_secs(seconds).into());
    });
}

/// Returns the cost of five minutes of the capacity of `d`.
fn step() -> Decimal {
    Decimal::from(3 * 300) / usd("8") * usd(PRICES[2])
}

fn schedule(now: DateTime<Utc>) -> Trigger {
    Trigger::Schedule { at: now, previous: Minute::of(now).plus(-1) }
}

fn request(now: DateTime<Utc>) -> Trigger {
    Trigger::Request(WarmRequest {
        id: None,
        at: Some(now),
        subject: Subject::Function(FunctionRef::parse("b").unwrap(), Need::Environments(9)),
        region: None,
        keep_for: None,
        reason: None,
    })
}

fn deployment(now: DateTime<Utc>) -> Trigger {
    let FunctionRef { name, qualifier, .. } = FunctionRef::parse("a").unwrap();
    let region = Region::parse("eu-west-2").unwrap();
    Trigger::Deployed(Deployment { function: name, alias: qualifier, account: None, region, at: Some(now) })
}

/// A round of `a` on the schedule.
struct OfA {
    sent: u32,
    /// True if its own budget is the lowest limit.
    is_own: bool,
    /// The rest of its own budget before, and the mean cost of its pings so far.
    left: Decimal,
    mean: Option<Decimal>,
}

/// Runs from the last hours of October to the first of December. Ticks follow each other within a minute while a budget
/// that stops capacity is about to be used up.
async fn month(mode: &str, budgets: [&str; 4]) -> (World, Vec<OfA>) {
    let mut world = World::new(mode, budgets);
    let (mut now, mut rounds, mut dearest) = (world.clock.0, Vec::new(), Decimal::ZERO);
    while now < at("2026-12-01T00:00:00Z") {
        let is_full = (now.hour() * 60 + now.minute()).is_multiple_of(EVERY);
        let (day, hour) = (now.day(), now.hour());
        match (day, hour, now.month()) {
            // For five days, every ping is cold.
            (12, 0, 11) => set_idle_life(&world.emulator, 3_600),
            (17, 0, 11) => set_idle_life(&world.emulator, 4 * 3_600),
            _ => {}
        }
        let left = world.limits[3] - world.spent(now, "function a");
        let mean = world.of_a.1.checked_div(world.of_a.0.into());
        let (report, drained) = world.serve(now, schedule(now)).await;
        if let Some(round) = report.rounds.iter().find(|round| round.id.label() == "a") {
            let is_own = round.capped_by.as_deref() == Some("functions.a.budget");
            if now.month() == 11 {
                rounds.push(OfA { sent: round.pings(), is_own, left, mean });
            }
        }
        if mode.contains("warn") {
            let is_whole = |round: &RoundRecord| round.capped_from.is_none() && round.skip_reason().is_none();
            assert!(report.rounds.iter().all(is_whole), "{report:#?}");
        }
        let mut extra = now + TimeDelta::minutes(20);
        if is_full && hour == 9 && day.is_multiple_of(3) {
            world.serve(extra, request(extra)).await;
            extra += TimeDelta::minutes(10);
        }
        if is_full && hour == 15 && day.is_multiple_of(5) {
            world.emulator.change(|scenario| scenario.functions.get_mut("a").unwrap().code.push('x'));
            world.serve(extra, deployment(extra)).await;
            extra += TimeDelta::minutes(10);
        }
        if is_full && hour == 12 && day.is_multiple_of(7) {
            world.serve(extra, Trigger::RunEvent { at: None, request_id: now.to_string() }).await;
        }
        let is_up = mode.contains("stop") && world.requested() > 0;
        dearest = dearest.max(drained.capacity);
        let left = SCOPES.iter().zip(world.limits).filter(|((_, of), _)| of.contains('d'));
        let left: Vec<Decimal> = left.map(|((scope, _), limit)| limit - world.spent(now, scope)).collect();
        let is_ending = mode.contains("true") && left.iter().any(|left| *left <= Decimal::ZERO);
        let least = left.iter().filter(|left| **left > Decimal::ZERO).min().copied().unwrap_or(Decimal::MAX);
        let step = match () {
            () if is_up && (is_ending || least < dearest / usd("12")) => 1,
            () if is_up && least < dearest * usd("1.3") => 10,
            () => i64::from(EVERY),
        };
        let next = Minute::from_epoch(Minute::of(now).epoch() / step * step + step);
        now = next.instant().max(Minute::of(world.clock.now()).plus(1).instant());
    }
    (world, rounds)
}

/// Checks what holds in every mode, and the first round of December. Returns its numbers of pings.
async fn check(world: &mut World) -> Vec<u32> {
    let end = at("2026-11-30T23:59:59Z");
    let recorded = spending(&world.documents, end).await.unwrap();
    let sum = |of: &str| recorded.sum(|id| of.contains(id.name.as_str()));
    for ((scope, of), limit) in SCOPES.into_iter().zip(world.limits) {
        let spent = world.spent(end, scope);
        assert!((sum(of).usd() - spent).abs() < usd("0.000001"), "{scope}: {:?} of {spent}", sum(of));
        // Each level once, and as soon as it is reached.
        let levels = world.levels.iter().filter(|(month, name, _)| month == "2026-11" && name == scope);
        let levels: Vec<u64> = levels.map(|(.., level)| *level).collect();
        let reached = [(80, "0.8"), (100, "1")].into_iter().filter(|(_, part)| spent >= limit * usd(part));
        assert_eq!(levels, reached.map(|(level, _)| level).collect::<Vec<_>>(), "{scope}");
    }
    assert!(world.levels.iter().all(|(month, ..)| month == "2026-11"), "{:?}", world.levels);
    assert!(sum("e").unknown > 20 && sum("abcd").unknown == 0);
    let mut first = Vec::new();
    for hour in [0, 9] {
        let now = at("2026-12-01T00:00:00Z") + TimeDelta::hours(hour);
        let (report, _) = world.serve(now, schedule(now)).await;
        first = report.rounds.iter().map(RoundRecord::pings).collect();
    }
    first
}

/// Checks that nothing is sent for a budget that is used up, and that each was.
fn check_stop(world: &World) {
    for ((scope, of), limit) in SCOPES.into_iter().zip(world.limits) {
        let (since, pings, _) = world.since[scope];
        assert_eq!(pings, Decimal::ZERO, "{scope} since {since}");
        let spent = world.spent(since, scope) - world.since[scope].2;
        assert!(spent <= limit + world.dearest[scope] + step(), "{scope}: {spent}");
        assert!(of.contains('d') || world.since[scope].2.is_zero());
    }
}

#[tokio::test(start_paused = true)]
async fn warn_changes_nothing() {
    let (mut world, _) = month("on_exceed: warn", ["4", "1.2", "2", "0.5"]).await;
    assert_eq!(check(&mut world).await, [6, 3, 8, 2]);
    assert_eq!(world.since.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_pings_at_the_budget_and_capacity_at_its_closing() {
    let (mut world, _) = month("on_exceed: stop", ["3.6", "1", "2", "0.4"]).await;
    check_stop(&world);
    let (since, ..) = world.since["owner ml"];
    assert_eq!(world.last_capacity.date_naive(), since.date_naive());
    assert!(world.since["owner ml"].2 > Decimal::ZERO && world.requested() == 0);
    assert_eq!(check(&mut world).await, [6, 3, 8, 2]);
    assert_eq!(world.requested(), 3);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_capacity_at_once() {
    let (mut world, _) = month("on_exceed: stop, stop_capacity: true", ["3.45", "1", "2", "0.4"]).await;
    check_stop(&world);
    for ((scope, _), limit) in SCOPES.into_iter().zip(world.limits) {
        let spent = world.spent(at(MONTH), scope);
        assert!(spent <= limit + world.dearest[scope] + step(), "{scope}: {spent}");
    }
    assert_eq!(check(&mut world).await, [6, 3, 8, 2]);
    assert_eq!(world.requested(), 3);
}

#[tokio::test(start_paused = true)]
async fn reduce_sends_the_largest_number_that_fits() {
    let (mut world, rounds) = month("on_exceed: reduce", ["4.4", "1.2", "3.3", "0.4"]).await;
    for ((scope, _), limit) in SCOPES.into_iter().zip(world.limits) {
        let spent = world.spent(at(MONTH), scope);
        assert!(spent <= limit + world.dearest[scope] + step(), "{scope}: {spent}");
        // What is left of the others' budgets limits `b`.
        assert!(scope == "owner nlp" || spent >= limit * usd("0.95"), "{scope}: {spent}");
    }
    let total = rounds.len();
    for (index, OfA { sent, is_own, left, mean }) in rounds.into_iter().enumerate() {
        let fits = left / Decimal::from(total - index) / mean.unwrap();
        // The mean counts the cold starts of the first days fully, warmd does not.
        let (least, most) = (usd("0.9") * fits, usd("1.4") * fits);
        assert!(
            !is_own || (least.floor()..=most).contains(&sent.into()),
            "{sent} of {fits} in round {index}"
        );
        assert!(sent > 0 || fits < Decimal::ONE, "{fits} in round {index}");
    }
    let first = check(&mut world).await;
    assert!(first.len() == 4 && first.iter().all(|number| (1..=2).contains(number)), "{first:?}");
}
