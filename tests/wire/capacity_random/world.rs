//! An emulated account with a state store, and processes that keep capacity in it, on virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, AwsScaling, Clients, CloudWatch, EventBridge};
use warmd::config::{SourceFile, resolve};
use warmd::domain::capacity::CapacityReport;
use warmd::domain::fleet::{Fleet, Limits};
use warmd::domain::function::Region;
use warmd::domain::records::{Capacities, Kept, Snapshot};
use warmd::domain::schedule::{Minute, Mode};
use warmd::emulator::{Emulator, Operation, Scenario};
use warmd::engine::ports::{Clock, Condition, Fetched, ObjectStore, PutError, StoreFuture, Version};
use warmd::engine::stop::stop;
use warmd::service::budget::TimeBudget;
use warmd::service::capacity::{CapacityKeeper, Context};
use warmd::service::live_config::LiveConfig;
use warmd::service::planner::TickPlanner;
use warmd::service::store::{DocumentStore, Durability, Memory};
use warmd::service::{Observer, Service, Trigger};

pub const REGION: &str = "eu-west-2";
/// The memory of all functions, MB: the price of an environment-second is that of a GB-second.
pub const MEMORY_MB: u32 = 1_024;

/// A wall clock that moves with tokio's clock. Its beginning is that of the emulator.
#[derive(Debug)]
pub struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        start() + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

/// Returns the beginning of the virtual time, a Friday.
pub fn start() -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

/// The failure of a state store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// Every call is refused.
    Refuses,
    /// The n-th write of a document of capacity, from 1, has no answer. It is made, or it is not.
    Hangs { write: u32, is_made: bool },
}

/// The objects of a state store.
#[derive(Debug, Default)]
pub struct Objects {
    memory: Memory,
    away: Mutex<Option<Away>>,
}

impl Objects {
    pub fn set(&self, away: Option<Away>) {
        *self.away.lock().unwrap() = away;
    }

    /// Returns the failure that applies to a call, which is a write or not.
    fn meet(&self, key: &str, is_write: bool) -> Option<Away> {
        match &mut *self.away.lock().unwrap() {
            Some(Away::Hangs { write, is_made }) => {
                if !is_write || !key.starts_with("capacity-") {
                    return None;
                }
                *write = write.saturating_sub(1);
                (*write == 0).then_some(Away::Hangs { write: 0, is_made: *is_made })
            }
            away => *away,
        }
    }
}

impl ObjectStore for Objects {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        match self.meet(key, false) {
            Some(_) => Box::pin(async { Err("refused".to_owned().into()) }),
            None => self.memory.get(key, known),
        }
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        match self.meet(key, true) {
            None => self.memory.put(key, bytes, condition),
            Some(Away::Refuses) => Box::pin(async { Err(PutError::Failed("refused".to_owned().into())) }),
            Some(Away::Hangs { is_made, .. }) => Box::pin(async move {
                if is_made {
                    self.memory.put(key, bytes, condition).await?;
                }
                std::future::pending().await
            }),
        }
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.memory.list()
    }
}

/// An account with a state store.
pub struct World {
    pub emulator: Emulator,
    pub objects: Arc<Objects>,
    pub documents: DocumentStore,
    pub clock: Arc<Wall>,
}

/// A process that keeps the capacity of a fleet.
pub struct Process {
    service: Service<AwsLambda, CloudWatch, EventBridge>,
    clock: Arc<Wall>,
}

struct Quiet;
impl Observer for Quiet {}

/// Parses a configuration.
pub fn fleet(text: &str) -> Fleet {
    let defaults = format!("{{ region: {REGION}, memory: {MEMORY_MB}MB, interval: 1m }}");
    let file = SourceFile {
        path: "fleet.yaml".to_owned(),
        text: format!("version: 1\ndefaults: {defaults}\n{text}"),
    };
    let resolved = resolve(vec![file], &mut |_| Err("no file is named".to_owned()), None);
    resolved.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).fleet
}

/// Returns the members of a request about the scalable target of a function's alias `live`.
pub fn members(function: &str, other: Value) -> Value {
    let mut input = json!({
        "ServiceNamespace": "lambda",
        "ResourceId": format!("function:{function}:live"),
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
    });
    input.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    input
}

impl World {
    pub async fn new(scenario: Scenario) -> Self {
        let (emulator, clock) = (Emulator::new(scenario), Arc::new(Wall(Instant::now())));
        // The first signed request sets the date of the emulator.
        let (mut near, far) = tokio::io::duplex(64 << 10);
        let server = emulator.clone();
        tokio::spawn(async move { server.serve_io(far).await });
        let date = start().format("%Y%m%dT%H%M%SZ");
        let request =
            format!("GET / HTTP/1.1\r\nhost: lambda.test\r\nx-amz-date: {date}\r\nconnection: close\r\n\r\n");
        near.write_all(request.as_bytes()).await.unwrap();
        near.read_to_end(&mut Vec::new()).await.unwrap();
        Self::over(emulator, clock)
    }

    /// Creates a world with a store of its own in an account.
    pub fn over(emulator: Emulator, clock: Arc<Wall>) -> Self {
        let objects = Arc::<Objects>::default();
        let documents = DocumentStore::new(Arc::clone(&objects) as Arc<dyn ObjectStore>, Durability::Durable);
        Self { emulator, objects, documents, clock }
    }

    fn clients(&self) -> Arc<Clients> {
        let emulator = self.emulator.clone();
        let dialer = Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(64 << 10);
            let emulator = emulator.clone();
            tokio::spawn(async move { emulator.serve_io(far).await });
            async move { Ok(near) }
        });
        let connector = Connector::new(dialer, Roots::Native, Proxies::Direct);
        Arc::new(Clients::local_through("http://lambda.test", connector))
    }

    pub fn process(&self, fleet: Fleet) -> Process {
        let clients = self.clients();
        let lambda = AwsLambda::new(Arc::clone(&clients));
        let room = Box::new(|limits: Limits, _| Ok(limits.max_in_flight as usize));
        let mut service =
            Service::new(lambda, LiveConfig::fixed(fleet), self.documents.clone(), room, None).unwrap();
        service.drive(Arc::new(AwsScaling::new(clients)), true);
        service.clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Process { service, clock: Arc::clone(&self.clock) }
    }

    /// Removes what warmd has made, like `warmd capacity release --all`.
    pub async fn release(&self, fleet: &Fleet) -> Vec<CapacityReport> {
        let (planner, now) = (TickPlanner::new(self.documents.clone()), self.clock.now());
        let plan = planner.preview(fleet, Mode::Open, now, now).await.capacity.expect("capacity");
        let keeper =
            CapacityKeeper::new(self.documents.clone(), Arc::new(AwsScaling::new(self.clients())), true);
        let ((_stopper, stop), facts) = (stop(), Snapshot::default());
        let until = Instant::now() + Duration::from_secs(300);
        let context = Context { plan: &plan, facts: &facts, now, until, stop: &stop };
        keeper.release(&context, false, |_| true).await
    }

    /// Returns the document of capacity.
    pub async fn capacities(&self) -> Capacities {
        let name = format!("{}.json", Capacities::document(Region::parse(REGION).unwrap()));
        match self.objects.memory.get(&name, None).await.unwrap() {
            Fetched::Object { bytes, .. } => serde_json::from_slice(&bytes).unwrap(),
            Fetched::Missing | Fetched::Unchanged => Capacities::default(),
        }
    }

    /// Returns the number that is requested for the alias `live` of a function.
    pub fn requested(&self, function: &str) -> u32 {
        self.emulator.requested(REGION, function, "live")
    }

    /// Performs an operation of somebody else on the scalable target of a function.
    pub fn scale(&self, operation: Operation, function: &str, other: Value) -> Value {
        self.emulator.autoscaling(REGION, operation, members(function, other)).unwrap()
    }

    /// Returns the scalable target of a function with its tags, policies and actions; the lists are empty without one.
    pub fn scaling(&self, function: &str) -> [Vec<Value>; 3] {
        let list = |operation, of: Value, key: &str| {
            self.emulator.autoscaling(REGION, operation, of).unwrap()[key].as_array().unwrap().clone()
        };
        let target =
            json!({ "ServiceNamespace": "lambda", "ResourceIds": [format!("function:{function}:live")] });
        let of = |limit: u32| members(function, json!({ "MaxResults": limit }));
        let mut targets = list(Operation::DescribeScalableTargets, target, "ScalableTargets");
        for target in &mut targets {
            let arn = json!({ "ResourceARN": target["ScalableTargetARN"] });
            let tags = self.emulator.autoscaling(REGION, Operation::ListTagsForResource, arn).unwrap();
            target["Tags"] = tags["Tags"].clone();
        }
        let mut actions = Vec::new();
        let mut page = of(50);
        loop {
            let answer =
                self.emulator.autoscaling(REGION, Operation::DescribeScheduledActions, page).unwrap();
            actions.extend(answer["ScheduledActions"].as_array().unwrap().clone());
            match answer.get("NextToken").filter(|token| token.is_string()) {
                Some(token) => page = members(function, json!({ "MaxResults": 50, "NextToken": token })),
                None => break,
            }
        }
        [targets, list(Operation::DescribeScalingPolicies, of(10), "ScalingPolicies"), actions]
    }

    /// Returns the minimum and the maximum of a function's scalable target.
    pub fn bounds(&self, function: &str) -> Option<(u32, u32)> {
        let [targets, ..] = self.scaling(function);
        let number = |key: &str| u32::try_from(targets[0][key].as_u64().unwrap()).unwrap();
        (!targets.is_empty()).then(|| (number("MinCapacity"), number("MaxCapacity")))
    }
}

/// Returns the record of a function's alias `live`.
pub fn kept<'d>(document: &'d Capacities, function: &str) -> Option<&'d Kept> {
    document.targets.iter().find(|(id, _)| id.name.as_str() == function).map(|(_, kept)| kept)
}

/// Waits for the next minute; not at all at the beginning of a minute.
pub async fn next_minute(clock: &Wall) {
    let now = clock.now();
    let minute = Minute::of(now).instant();
    if minute != now {
        tokio::time::sleep((minute + TimeDelta::minutes(1) - now).to_std().unwrap()).await;
    }
}

impl Process {
    /// Serves a tick of the present minute.
    pub async fn serve(&self) -> Vec<CapacityReport> {
        let now = self.clock.now();
        let (_stopper, stop) = stop();
        let budget = TimeBudget::until_stopped(stop, None);
        let trigger = Trigger::Schedule { at: now, previous: Minute::of(now).plus(-1) };
        let outcome = self.service.serve(trigger, &budget, &Quiet).await.unwrap();
        // Two ticks are never in the same minute.
        tokio::time::sleep(Duration::from_millis(1)).await;
        outcome.report.capacity
    }

    /// Waits for the next minute and serves its tick.
    pub async fn tick(&self) -> Vec<CapacityReport> {
        next_minute(&self.clock).await;
        self.serve().await
    }

    /// Serves ticks, and returns the reports of the last.
    pub async fn ticks(&self, number: u32) -> Vec<CapacityReport> {
        let mut last = Vec::new();
        for _ in 0..number {
            last = self.tick().await;
        }
        last
    }
}

/// Describes reports: the function, available and requested of desired environments, the status and its reason.
pub fn shown(reports: &[CapacityReport]) -> String {
    let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
    let line = |report: &CapacityReport| {
        let CapacityReport { id, desired, requested, available, status, reason, .. } = report;
        let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let (available, requested) = (number(*available), number(*requested));
        format!("{} {available}/{requested} of {desired} {}{reason}", id.name, status.name())
    };
    reports.iter().map(line).collect::<Vec<_>>().join("; ")
}
