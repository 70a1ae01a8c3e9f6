//! The guards of rounds: the service with the real SDK over HTTP against the emulator, on virtual time.

mod breaker;
mod contact;
mod deployments;
mod headroom;
mod refused;
mod store;
mod versions;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;
use warmd::aws::{AwsControl, AwsLambda, AwsScaling, CloudWatch, EventBridge, MetricValues};
use warmd::config::{SourceFile, resolve};
use warmd::domain::fleet::Fleet;
use warmd::domain::schedule::Minute;
use warmd::domain::tick::TickReport;
use warmd::emulator::{Count, Emulator, Operation, Scenario, functions};
use warmd::engine::ports::{Clock, Condition, Fetched, ObjectStore, PutError, StoreFuture, Version};
use warmd::engine::stop::stop;
use warmd::service::budget::TimeBudget;
use warmd::service::live_config::LiveConfig;
use warmd::service::planner::StoreHealth;
use warmd::service::rounds::Part;
use warmd::service::store::{DocumentStore, Durability, Memory};
use warmd::service::{Observer, Outcome, Policy, Service, Trigger};

use crate::{Connect, clients_through, emulator_dialer};

/// A wall clock that moves with tokio's clock.
pub struct Wall {
    pub start: DateTime<Utc>,
    began: Instant,
}

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        self.start + TimeDelta::from_std(self.began.elapsed()).unwrap()
    }
}

/// An account with a state store.
pub struct Account {
    pub emulator: Emulator,
    pub objects: Arc<Objects>,
    pub store: DocumentStore,
    pub clock: Arc<Wall>,
}

/// The objects of a state store, which may be away.
#[derive(Debug, Default)]
pub struct Objects {
    memory: Memory,
    away: Mutex<Option<Away>>,
}

/// The behaviour of a store that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    Refuses,
    Hangs,
}

impl Objects {
    fn away(&self) -> Option<Away> {
        *self.away.lock().unwrap()
    }

    fn set(&self, away: Option<Away>) {
        *self.away.lock().unwrap() = away;
    }
}

impl ObjectStore for Objects {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        match self.away() {
            None => self.memory.get(key, known),
            Some(Away::Refuses) => Box::pin(async { Err("refused".to_owned().into()) }),
            Some(Away::Hangs) => Box::pin(std::future::pending()),
        }
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        match self.away() {
            None => self.memory.put(key, bytes, condition),
            Some(Away::Refuses) => Box::pin(async { Err(PutError::Failed("refused".to_owned().into())) }),
            Some(Away::Hangs) => Box::pin(std::future::pending()),
        }
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.memory.list()
    }
}

/// A process that keeps a fleet warm.
pub struct Process {
    pub service: Service<AwsLambda, CloudWatch, EventBridge>,
    clock: Arc<Wall>,
    /// The first parts of ticks.
    parts: Parts,
}

#[derive(Clone, Default)]
pub struct Parts(Arc<Mutex<Vec<TickReport>>>);

impl Observer for Parts {
    fn reported(&self, part: &Part) {
        self.0.lock().unwrap().push(part.report.clone());
    }
}

/// Returns the policy of the daemon.
pub fn daemon() -> Policy {
    Policy { checks_contact: true, refreshes_facts: true, ..Policy::default() }
}

fn scenario(text: &str) -> Scenario {
    functions::parse("functions.yaml", text).unwrap()
}

/// Parses a configuration. Its targets are due each minute.
pub fn fleet(text: &str) -> Fleet {
    let text = format!("version: 1\ndefaults: {{ region: eu-west-2, interval: 1m }}\n{text}");
    let file = SourceFile { path: "fleet.yaml".to_owned(), text };
    resolve(vec![file], &mut |_| Err("no file is named".to_owned()), None).unwrap().fleet
}

/// Returns a configuration of these functions, with these numbers of environments all day.
fn functions_of(functions: &[(&str, u32)]) -> Fleet {
    fleet(&format!("functions:\n{}", entries(functions)))
}

fn entries(functions: &[(&str, u32)]) -> String {
    let entry = |(function, number): &(&str, u32)| {
        format!("  {function}: {{ windows: [{{ days: daily, hours: all-day, concurrency: {number} }}] }}\n")
    };
    functions.iter().map(entry).collect()
}

impl Account {
    /// Creates an account with a functions file.
    pub fn new(functions: &str) -> Self {
        let objects = Arc::<Objects>::default();
        let store = DocumentStore::new(Arc::clone(&objects) as Arc<dyn ObjectStore>, Durability::Durable);
        Self { objects, ..Self::with_store(functions, store) }
    }

    fn with_store(functions: &str, store: DocumentStore) -> Self {
        let clock = Wall { start: "2026-11-20T09:00:00Z".parse().unwrap(), began: Instant::now() };
        let (emulator, objects) = (Emulator::new(scenario(functions)), Arc::default());
        Self { emulator, objects, store, clock: Arc::new(clock) }
    }

    /// Replaces a document.
    pub async fn write(&self, document: &str, text: impl Into<Vec<u8>>) {
        self.objects.put(&format!("{document}.json"), text.into(), Condition::Always).await.unwrap();
    }

    /// Returns a document.
    pub async fn document(&self, document: &str) -> Value {
        match self.objects.get(&format!("{document}.json"), None).await.unwrap() {
            Fetched::Object { bytes, .. } => serde_json::from_slice(&bytes).unwrap(),
            Fetched::Missing | Fetched::Unchanged => Value::Null,
        }
    }

    /// Starts a daemon.
    fn daemon(&self, fleet: Fleet) -> Process {
        self.process(fleet, daemon())
    }

    pub fn process(&self, fleet: Fleet, policy: Policy) -> Process {
        let dialer = emulator_dialer(&self.emulator, |_| Connect::Serve);
        let clients = Arc::new(clients_through(dialer));
        let lambda = AwsLambda::new(Arc::clone(&clients));
        let capacity = Box::new(|limits: warmd::domain::fleet::Limits, _| Ok(limits.max_in_flight as usize));
        let mut service =
            Service::new(lambda, LiveConfig::fixed(fleet), self.store.clone(), capacity, None).unwrap();
        service.drive(Arc::new(AwsScaling::new(Arc::clone(&clients))), true);
        service.read_backlogs(Arc::new(MetricValues::new(Arc::clone(&clients))));
        service.guard(Arc::new(AwsControl::without_retries(clients)));
        service.policy = policy;
        service.clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Process { service, clock: Arc::clone(&self.clock), parts: Parts::default() }
    }

    /// Deploys a change of the functions file.
    pub fn change(&self, change: &str) {
        self.emulator.change(|scenario| functions::change("change.yaml", change, scenario).unwrap());
    }

    pub fn count(&self, function: &str) -> Count {
        self.emulator.observe().counts.of("eu-west-2", function)
    }

    /// Returns the number of invocations of a function since the last call of [`Emulator::reset`], refused ones included.
    fn invocations(&self, function: &str) -> usize {
        self.emulator.observe().of(function).count()
    }

    /// Returns the most concurrent executions of the account.
    fn peak(&self) -> u32 {
        self.emulator.observe().counts.scopes["123456789012/eu-west-2"].peak
    }

    fn reads(&self, operation: Operation) -> usize {
        self.emulator.observe().reads.iter().filter(|read| read.operation == operation).count()
    }
}

impl Process {
    /// Waits for the next minute and serves its tick.
    pub async fn tick(&self) -> Value {
        json!(self.outcome().await.report)
    }

    pub async fn outcome(&self) -> Outcome {
        let now = self.clock.now();
        let next = Minute::of(now).instant();
        let wait = if next == now { TimeDelta::zero() } else { next + TimeDelta::minutes(1) - now };
        tokio::time::sleep(wait.to_std().unwrap()).await;
        let outcome = self.at_once().await;
        // Two ticks are never in the same minute.
        tokio::time::sleep(Duration::from_millis(1)).await;
        outcome
    }

    /// Serves a tick of the present minute.
    pub async fn at_once(&self) -> Outcome {
        let now = self.clock.now();
        self.serve(Trigger::Schedule { at: now, previous: Minute::of(now).plus(-1) }).await
    }

    pub async fn serve(&self, trigger: Trigger) -> Outcome {
        let (_stopper, stop) = stop();
        let budget = TimeBudget::until_stopped(stop, None);
        self.service.serve(trigger, &budget, &self.parts).await.unwrap()
    }

    /// Serves ticks, and returns the last.
    async fn ticks(&self, number: u32) -> Value {
        let mut last = Value::Null;
        for _ in 0..number {
            last = self.tick().await;
        }
        last
    }
}

/// Describes the rounds of a tick object, sorted: function, target, result, first pings and others.
pub fn shown(tick: &Value) -> Vec<String> {
    let shown = |round: &Value| {
        let [function, result] = ["function", "verdict"].map(|key| round[key].as_str().unwrap());
        let qualifier = round["qualifier"].as_str().map(|qualifier| format!(":{qualifier}"));
        let result = match (round["skipped"].as_str(), result) {
            (None, result) => result.to_owned(),
            (Some(reason), "skipped") => reason.to_owned(),
            (Some(reason), result) => format!("{result} ({reason})"),
        };
        let [pings, first] = ["pings", "first_pings"].map(|key| round[key].as_u64().unwrap());
        let from =
            |key: &str| round[key].as_u64().map(|number| format!(" {key} {number}")).unwrap_or_default();
        let from = from("capped_from") + &from("backed_off_from");
        let target = &round["target"];
        format!(
            "{function}{}: {target}{from} {result} {first}+{}",
            qualifier.unwrap_or_default(),
            pings - first
        )
    };
    let mut rounds: Vec<String> = tick["rounds"].as_array().unwrap().iter().map(shown).collect();
    rounds.sort();
    rounds
}
