//! A week of the daemon on virtual time: 200 functions in two regions, and random faults of every kind.
//!
//! `cargo bench --bench soak` runs the daemon with the SDK over in-memory connections to the emulator, and prints its
//! figures. `-- --days 1 --seed 7` chooses the length and the faults. The same seed gives the same functions and
//! faults; the pauses of retries are random in each run. A rule that is violated is printed with the seed and the last
//! events of its function, and the exit code is 1.
//!
//! # Faults
//!
//! - Functions: throttles, refusals, timeouts, resets, errors, crashes, slow and hung runs, unreadable logs; new code,
//!   handlers that take pings for work or fail on them; durable, managed, with tenant isolation, switched off, less
//!   reserved, inactive, provisioned, removed.
//! - Services: reads of Lambda that are denied, throttled, slow, broken and garbage; account limits that shrink;
//!   CloudWatch that refuses, answers late or never; a state store that is down, slow, full of conflicts, or loses its
//!   answers.
//! - The daemon: its clock is set, its configuration is changed and broken, it is stopped and killed.
//!
//! # Rules
//!
//! - Every due minute of every target is served, made up for, or skipped for a reason that a fault explains.
//! - No ping reaches a function that the documents show as refused or unsafe. With an open breaker one ping follows
//!   after 15 minutes, and the round if it went well.
//! - A handler without trust gets one ping before its first round.
//! - Concurrent executions in the emulator stay within the room that the facts show.
//! - Metrics equal the counts of the emulator: pings, throttles and errors exactly, cold starts as far as answers show
//!   them. What CloudWatch has not acknowledged is in the lines. Only a kill loses metrics: those of the ticks in
//!   flight.
//! - Documents can be parsed. Memory after the first day stays the same.
//!
//! # Results
//!
//! Two cores, Linux x86-64, seed 1, seven days in 190 s: 9,904 ticks with 173,668 due minutes, of which 2,808 were
//! made up for by a later tick; 3,274 faults. 144,998 rounds of 275,332 pings, of which 275,279 are in metrics: 11 kills
//! lost 53. 1,755 batches of metrics waited in the spool. Resident memory: 46.3 MB after a day, 49.2 MB after seven.
//! No rule was violated.

// The week ends before the real time, with which the emulator compares timestamps.
#![allow(clippy::disallowed_methods)]

mod checks;
mod faults;
mod fleet;
mod ports;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Stopwatch};

use chrono::{NaiveTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsControl, AwsLambda, Clients, CloudWatch, EventBridge};
use warmd::config::Regions;
use warmd::domain::exposition::Totals;
use warmd::domain::records::Guards;
use warmd::domain::tick::TickReport;
use warmd::emulator::{Emulator, Scenario};
use warmd::engine::ports::Clock;
use warmd::engine::stop::{Stopper, stop};
use warmd::service::budget::TimeBudget;
use warmd::service::config_source::ConfigSource;
use warmd::service::daemon::{self, Ended};
use warmd::service::live_config::LiveConfig;
use warmd::service::recorder::Recorder;
use warmd::service::rounds::Part;
use warmd::service::store::{DocumentStore, Durability, Lock, Spool};
use warmd::service::{Observer, Policy, ScheduledTicks, Service};

use checks::{Checks, Interval, SERVICES, View};
use faults::{Outage, Trouble};
use fleet::FUNCTIONS;
use ports::{Counted, Delivered, FaultyStore, Page, Wall};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: u64 = 24 * 60;
/// The time that a stopped daemon has.
const GRACE: Duration = Duration::from_secs(20);
/// The last hours without new faults of services: what is spooled is sent.
const CALM: u64 = 3 * 60;
/// The growth of memory after the first day that counts as none, kB.
const NOISE_KB: u64 = 12 << 10;

type Simulated = Service<AwsLambda, Counted<CloudWatch>, EventBridge>;

/// Keeps the reports of ticks.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<TickReport>>>);

impl Observer for Reports {
    fn reported(&self, part: &Part) {
        self.0.lock().unwrap().push(part.report.clone());
    }
}

/// A process of the daemon.
struct Process {
    service: Arc<Simulated>,
    totals: Arc<Mutex<Totals>>,
    stopper: Stopper,
    running: JoinHandle<Ended>,
    _lock: Lock,
}

/// The emulator's counts, as metrics.
#[derive(Debug, Clone, Copy, Default)]
struct Truth {
    pings: f64,
    throttles: f64,
    errors: f64,
    cold_starts: f64,
    /// New environments in answers that do not show them.
    hidden: f64,
}

/// The simulation.
struct Soak {
    emulator: Emulator,
    wall: Arc<Wall>,
    store: Arc<FaultyStore>,
    folder: tempfile::TempDir,
    delivered: Arc<Mutex<Delivered>>,
    page: Page,
    reports: Reports,
    /// The reports of the last process that are not checked yet.
    carried: Vec<TickReport>,
    rng: StdRng,
    checks: Checks,
    deployments: Vec<u32>,
    troubles: Vec<Option<(Trouble, u64)>>,
    outages: BTreeMap<&'static str, (Outage, u64)>,
    /// The functions whose canaries an operator clears in a minute.
    clears: BTreeMap<u64, Vec<usize>>,
    edition: u32,
    counts: BTreeMap<String, u64>,
    /// The counts since the start of the process, and of all earlier ones.
    truth: Truth,
    all: Truth,
    embedded: f64,
    plain: f64,
    published: f64,
    reported: f64,
    lost: f64,
    /// The pings of the ticks that were in flight at kills.
    killed: f64,
    /// The invocations by minute, of the last minutes.
    recent: std::collections::VecDeque<(u64, String)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, usual: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(usual, |at| arguments[at + 1].parse().expect("a number"))
    };
    let (days, seed) = (number("--days", 7), number("--seed", 1));
    tokio::time::pause();
    let begun = Stopwatch::now();
    let mut soak = Soak::new(seed, days);
    let (mut process, mut before) = (soak.start().await, None);
    let (mut first, mut last) = (0, 0);
    for minute in 0..days * DAY {
        tokio::time::sleep_until(soak.at(minute)).await;
        before = soak.step(minute, before, &process).await;
        if minute % DAY == DAY - 1 {
            last = resident_kb();
            first = if first == 0 { last } else { first };
            eprintln!("day {}: {last} kB, {:.0} s", minute / DAY + 1, begun.elapsed().as_secs_f64());
        }
        if minute + CALM < days * DAY {
            process = soak.events(minute, process).await;
        } else {
            soak.calm(minute).await;
        }
    }
    soak.end(process, days * DAY, true).await;
    soak.print(seed, days, begun.elapsed(), (first, last))
}

impl Soak {
    fn new(seed: u64, days: u64) -> Self {
        let midnight = (Utc::now() - TimeDelta::days(1 + days as i64)).with_time(NaiveTime::MIN).unwrap();
        let functions =
            (0..FUNCTIONS).filter_map(|index| Some((fleet::name(index), fleet::profile(index, 0)?)));
        let scenario = Scenario {
            default: None,
            functions: functions.collect(),
            seed,
            remembered: 50_000,
            ..Scenario::default()
        };
        Self {
            emulator: Emulator::new(scenario),
            wall: Arc::new(Wall::new(midnight)),
            store: Arc::new(FaultyStore::new(seed)),
            folder: tempfile::tempdir().unwrap(),
            delivered: Arc::default(),
            page: Page::default(),
            reports: Reports::default(),
            carried: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            checks: Checks::new(FUNCTIONS),
            deployments: vec![0; FUNCTIONS],
            troubles: vec![None; FUNCTIONS],
            outages: BTreeMap::new(),
            clears: BTreeMap::new(),
            edition: 0,
            counts: BTreeMap::new(),
            truth: Truth::default(),
            all: Truth::default(),
            embedded: 0.0,
            plain: 0.0,
            published: 0.0,
            reported: 0.0,
            lost: 0.0,
            killed: 0.0,
            recent: Default::default(),
        }
    }

    /// Returns the end of a minute, just before the next tick.
    fn at(&self, minute: u64) -> Instant {
        let now = Instant::now();
        let elapsed =
            self.wall.now().signed_duration_since(self.wall.start) - TimeDelta::minutes(self.wall.ahead());
        now + (MINUTE * u32::try_from(minute + 1).unwrap())
            .saturating_sub(elapsed.to_std().unwrap() + MINUTE / 600)
    }

    /// Starts the daemon with new clients.
    async fn start(&mut self) -> Process {
        let emulator = self.emulator.clone();
        let dialer = Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(64 << 10);
            let emulator = emulator.clone();
            tokio::spawn(async move { emulator.serve_io(far).await });
            async move { Ok(near) }
        });
        let connector = Connector::new(dialer, Roots::Native, Proxies::Direct);
        let clients = Arc::new(Clients::local_through("http://lambda.test", connector));
        let path = self.folder.path().join("fleet.yaml");
        std::fs::write(&path, fleet::configuration(self.wall.start, self.edition)).unwrap();
        let no_bucket = |_: &_| Err("no bucket".to_owned());
        let live = LiveConfig::load(ConfigSource::new(vec![path], Regions::All, no_bucket)).await;
        let documents = DocumentStore::new(Arc::clone(&self.store) as _, Durability::Durable);
        let capacity = Box::new(|limits: warmd::domain::fleet::Limits, _| Ok(limits.max_in_flight as usize));
        let lambda = AwsLambda::new(Arc::clone(&clients));
        let live = live.unwrap_or_else(|problems| panic!("{problems}"));
        let mut service = Simulated::new(lambda, live, documents, capacity, None).unwrap();
        let state = self.folder.path().join("state");
        let lock = Lock::take(&state).unwrap();
        let metrics =
            Counted { metrics: clients.cloudwatch().unwrap(), delivered: Arc::clone(&self.delivered) };
        let spool = Spool::new(&state, &lock);
        let mut recorder = Recorder::new(metrics, Box::new(self.page.clone())).with_spool(Some(spool));
        let totals = Arc::new(Mutex::new(Totals::default()));
        recorder.totals = Some(Arc::clone(&totals));
        service.recorder = Some(recorder);
        service.guard(Arc::new(AwsControl::without_retries(clients)));
        service.policy = Policy { checks_contact: true, refreshes_facts: true, ..Policy::default() };
        service.clock = Arc::clone(&self.wall) as _;
        let service = Arc::new(service);
        let (stopper, stop) = stop();
        let budget = TimeBudget::until_stopped(stop.clone(), Some(GRACE));
        let ticks = Arc::new(ScheduledTicks {
            service: Arc::clone(&service),
            budget,
            observer: self.reports.clone(),
        });
        let wall = Arc::clone(&self.wall);
        let running = tokio::spawn(async move {
            let cron = "0 * * * * *".parse().unwrap();
            daemon::run(ticks, &*wall, &cron, stop).await
        });
        Process { service, totals, stopper, running, _lock: lock }
    }

    /// Checks the minute that has passed. Returns what the documents show now.
    async fn step(&mut self, minute: u64, before: Option<View>, process: &Process) -> Option<View> {
        let observed = self.drain(minute);
        let mut reports = std::mem::take(&mut self.carried);
        reports.append(&mut self.reports.0.lock().unwrap());
        let fleet = process.service.live_config().fleet();
        let in_flight = process.service.engine().still_in_flight();
        let after = match View::read(&self.store, fleet, &in_flight, self.wall.now()).await {
            Ok(view) => view,
            Err(problem) => {
                self.checks.violated("fn-000", minute, &format!("a document is broken: {problem}"));
                return None;
            }
        };
        if let Some(before) = &before {
            self.checks.check(&Interval {
                minute,
                before,
                after: &after,
                observed: &observed,
                reports: &reports,
            });
        }
        Some(after)
    }

    /// Takes the observations of the emulator, and adds them to the counts.
    fn drain(&mut self, minute: u64) -> warmd::emulator::Observations {
        let observed = self.emulator.observe();
        self.emulator.reset();
        assert!(observed.invocations.len() < 50_000);
        for call in observed.invocations.iter().filter(|call| call.kind != "DryRun") {
            let truth = &mut self.truth;
            truth.pings += 1.0;
            match (&call.refusal, &call.function_error, call.status) {
                (Some(refusal), ..) if refusal.starts_with("TooManyRequests") => truth.throttles += 1.0,
                (Some(_), ..) | (_, Some(_), _) | (_, _, None) => truth.errors += 1.0,
                _ => {}
            }
            let shows_log = !matches!(
                self.troubles[checks::index(&call.function)],
                Some((Trouble::NoLog | Trouble::GarbageLog | Trouble::ForeignReport, _))
            );
            let is_plain = shows_log && call.status.is_some() && call.function_error.is_none();
            truth.cold_starts += f64::from(call.is_new && is_plain);
            truth.hidden += f64::from(!is_plain);
            self.recent.push_back((minute, call.function.clone()));
        }
        while self.recent.front().is_some_and(|(at, _)| at + 20 < minute) {
            self.recent.pop_front();
        }
        self.published += observed.values("Pings").iter().sum::<f64>();
        let (embedded, plain) = self.page.take();
        self.embedded += embedded;
        self.plain += plain;
        observed
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn chance(&mut self, each_minutes: u32) -> bool {
        self.rng.random_ratio(1, each_minutes)
    }

    /// Begins and ends faults at random.
    async fn events(&mut self, minute: u64, process: Process) -> Process {
        self.end_faults(minute).await;
        if self.chance(3) {
            self.begin_trouble(minute);
        }
        if self.chance(25) {
            let outage = Outage::ALL[self.rng.random_range(0..Outage::ALL.len())];
            self.begin_outage(outage, minute);
        }
        self.note(minute);
        if !self.chance(6 * 60) {
            return process;
        }
        let killed = self.rng.random();
        let outage = if killed { Outage::Killed } else { Outage::Restarted };
        if killed {
            // Some time into a tick.
            let into = Duration::from_millis(self.rng.random_range(100..20_000));
            tokio::time::sleep(into).await;
        }
        self.count(outage.service());
        self.checks.tell(SERVICES, format!("minute {minute}: {outage:?}"));
        self.end(process, minute, !killed).await;
        self.checks.disturbed.restart = Some(minute + 2);
        self.start().await
    }

    /// Only ends faults.
    async fn calm(&mut self, minute: u64) {
        self.end_faults(minute).await;
        self.note(minute);
    }

    fn note(&mut self, minute: u64) {
        let disturbed = &mut self.checks.disturbed;
        let has = |service: &str| self.outages.contains_key(service);
        if has("reads of Lambda") || has("state store") || has("clock set") {
            disturbed.knowledge = Some(minute);
        }
        if has("state store") || has("clock set") {
            disturbed.store = Some(minute);
        }
        if has("account limit lowered") {
            disturbed.account = Some(minute);
        }
    }

    fn begin_trouble(&mut self, minute: u64) {
        let index = self.rng.random_range(0..FUNCTIONS);
        let trouble = Trouble::ALL[self.rng.random_range(0..Trouble::ALL.len())];
        let until = minute + self.rng.random_range(4..120);
        if self.troubles[index].is_some() || fleet::profile(index, 0).is_none() {
            return;
        }
        self.troubles[index] = Some((trouble, until));
        self.checks.histories[index].add(trouble, minute, until);
        self.checks.tell(&fleet::name(index), format!("minute {minute}: {trouble:?} until {until}"));
        self.count(format!("{trouble:?}"));
        self.deploy(index, trouble.deploys(), Some(trouble));
    }

    fn deploy(&mut self, index: usize, is_new: bool, trouble: Option<Trouble>) {
        self.deployments[index] += u32::from(is_new);
        let profile = fleet::profile(index, self.deployments[index]);
        let profile = match trouble {
            Some(trouble) => profile.and_then(|profile| trouble.apply(profile)),
            None => profile,
        };
        self.emulator.change(|scenario| {
            let name = fleet::name(index);
            match profile {
                Some(profile) => drop(scenario.functions.insert(name, profile)),
                None => drop(scenario.functions.remove(&name)),
            }
        });
    }

    async fn end_faults(&mut self, minute: u64) {
        for index in 0..FUNCTIONS {
            if let Some((trouble, _)) = self.troubles[index].take_if(|(_, until)| *until <= minute) {
                self.checks.tell(&fleet::name(index), format!("minute {minute}: {trouble:?} ends"));
                self.deploy(index, trouble.deploys(), None);
                self.clears.entry(minute + 90).or_default().push(index);
            }
        }
        let over: Vec<Outage> =
            self.outages.values().filter(|(_, until)| *until <= minute).map(|(outage, _)| *outage).collect();
        for outage in over {
            self.outages.remove(outage.service());
            self.set(outage, false, minute);
        }
        // An operator clears canaries, as `warmd canary clear` does.
        for index in self.clears.remove(&minute).unwrap_or_default() {
            self.checks.cleared.insert(index, minute);
            let documents = DocumentStore::new(Arc::clone(&self.store) as _, Durability::Durable);
            for region in ["eu-west-2", "us-east-1"] {
                let region = warmd::domain::function::Region::parse(region).unwrap();
                let clear = |guards: &mut Guards| guards.clear(|id| id.name.as_str() == fleet::name(index));
                let _ = documents.update(&Guards::document(region), clear).await;
            }
        }
    }

    fn begin_outage(&mut self, outage: Outage, minute: u64) {
        if self.outages.contains_key(outage.service()) {
            return;
        }
        let until = minute + self.rng.random_range(3..60);
        self.count(outage.service());
        self.outages.insert(outage.service(), (outage, until));
        self.set(outage, true, minute);
    }

    fn set(&mut self, outage: Outage, begins: bool, minute: u64) {
        self.checks.tell(
            SERVICES,
            format!("minute {minute}: {outage:?} {}", if begins { "begins" } else { "ends" }),
        );
        self.emulator.change(|scenario| outage.apply(scenario, begins));
        match outage {
            Outage::Store(fault) => self.store.set(begins.then_some(fault)),
            Outage::Clock(minutes) => {
                self.wall.set(if begins { minutes } else { 0 });
                self.checks.clock_set();
            }
            Outage::Configured | Outage::Misconfigured => {
                self.edition += u32::from(outage == Outage::Configured && begins);
                let mut text = fleet::configuration(self.wall.start, self.edition);
                if outage == Outage::Misconfigured && begins {
                    text.push_str("  broken: { windws: [] }\n");
                }
                std::fs::write(self.folder.path().join("fleet.yaml"), text).unwrap();
                self.checks.disturbed.fleet = Some(minute + 2);
                self.checks.forget_due();
            }
            _ => {}
        }
    }

    /// Ends a process, and compares its metrics with the counts of the emulator.
    async fn end(&mut self, process: Process, minute: u64, gracefully: bool) {
        let in_flight: Vec<String> =
            process.service.engine().still_in_flight().iter().map(|id| id.name.as_str().to_owned()).collect();
        if gracefully {
            process.stopper.stop();
            let ended = process.running.await.unwrap();
            assert_eq!(ended.lost_ticks, 0, "a tick panicked");
        } else {
            process.running.abort();
            let _ = process.running.await;
        }
        // What is in flight still ends, and counts for this process.
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.drain(minute + 1);
        let reports = std::mem::take(&mut *self.reports.0.lock().unwrap());
        let cut: f64 = reports.iter().map(|report| report.unreported_pings() as f64).sum();
        self.carried.extend(reports);
        let text = process.totals.lock().unwrap().text(&[]);
        let total = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.map_or(0.0, |value| value.parse().unwrap())
        };
        let truth = std::mem::take(&mut self.truth);
        let (pings, throttles) = (total("warmd_pings_total"), total("warmd_throttles_total"));
        let (errors, cold) = (total("warmd_errors_total"), total("warmd_cold_starts_total"));
        // Rounds that were cut off may have sent more or fewer pings than they were to send.
        let held =
            self.recent.iter().filter(|(_, function)| in_flight.contains(function)).count() as f64 + cut;
        let latest = self.recent.iter().filter(|(at, _)| at + 1 >= minute).count() as f64;
        let slack = if gracefully { held } else { held + latest };
        let near = |what: &str, metric: f64, counted: f64, slack: f64| {
            let is_near = (metric - counted).abs() <= slack;
            (!is_near)
                .then(|| format!("{what}: {metric} in metrics, {counted} in the emulator, {slack} cut off"))
        };
        let found = [
            near("pings", pings, truth.pings, slack),
            near("throttles", throttles, truth.throttles, slack),
            near("errors", errors, truth.errors, slack),
            near("cold starts", cold, truth.cold_starts, slack + truth.hidden),
        ];
        for problem in found.into_iter().flatten() {
            self.checks.violated("the metrics", minute, &problem);
        }
        if !gracefully {
            self.killed += slack;
            self.lost += truth.pings - pings;
        }
        self.reported += pings;
        self.all.pings += truth.pings;
        self.all.throttles += truth.throttles;
        self.all.errors += truth.errors;
        self.all.cold_starts += truth.cold_starts;
    }

    /// Prints the figures. Returns 1 if a rule was violated.
    fn print(mut self, seed: u64, days: u64, took: Duration, (first, last): (u64, u64)) -> ExitCode {
        let Delivered { acknowledged, unknown, cut, refused } = *self.delivered.lock().unwrap();
        let end = days * DAY;
        // A batch that is refused when the process is killed is neither spooled nor delivered.
        let missing = self.reported - acknowledged - unknown - cut;
        if missing < 0.0 || missing > self.killed {
            let rule =
                format!("{} pings in metrics, {acknowledged} + {unknown} + {cut} delivered", self.reported);
            self.checks.violated("CloudWatch", end, &rule);
        }
        if self.published < acknowledged || self.published > acknowledged + unknown + cut {
            let rule = format!("{} pings in CloudWatch, {acknowledged} acknowledged", self.published);
            self.checks.violated("CloudWatch", end, &rule);
        }
        if self.embedded != 0.0 || self.plain < unknown || self.plain > unknown + cut {
            let rule =
                format!("{} pings in plain lines, {} embedded, {unknown} unknown", self.plain, self.embedded);
            self.checks.violated("CloudWatch", end, &rule);
        }
        if last > first + NOISE_KB {
            self.checks.violated("memory", end, &format!("{first} kB after a day, {last} kB at the end"));
        }
        let checks = &self.checks;
        let list = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
        };
        let named = |counts: &BTreeMap<&'static str, u64>| {
            list(&counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect())
        };
        println!("seed {seed}, {days} days from {}, {FUNCTIONS} functions", self.wall.start.date_naive());
        println!("ticks            {}", checks.ticks);
        println!("due              {} (made up for later: {})", checks.due, checks.made_up);
        println!("rounds           {} ({})", checks.sent, named(&checks.verdicts));
        println!("skipped          {}", named(&checks.skips));
        println!("lowered          {} capped, {} after throttles", checks.capped, checks.backed_off);
        println!("first contacts   {}", checks.contacts);
        let Truth { pings, throttles, errors, cold_starts, .. } = self.all;
        println!("pings            {pings} (throttled {throttles}, errors {errors}, cold {cold_starts})");
        println!(
            "in metrics       {} (acknowledged {acknowledged}, unknown {unknown}, lost by kills {}); {refused} batches spooled",
            self.reported, self.lost
        );
        println!("faults           {}", list(&self.counts));
        println!("memory           {first} kB after a day, {last} kB at the end");
        println!("time             {:.0} s", took.as_secs_f64());
        println!("violations       {}", checks.violations);
        if checks.violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Returns the resident memory of this process, kB; 0 where the system does not show it.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
