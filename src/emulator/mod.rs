//! The embedded emulator: Lambda, CloudWatch, EventBridge and a little S3 over HTTP. It speaks the wire, not our types, so that
//! what runs against it is the real SDK path, and so that it is a second opinion of Lambda and not an echo of ours.
//!
//! All waiting is tokio's time: under a paused clock, a cold start of 90 s takes microseconds.

mod chance;
mod cloudwatch;
mod events;
mod execution;
pub mod fault;
pub mod functions;
mod handler;
mod invoke;
mod log;
mod observe;
mod pool;
pub mod profile;
mod reads;
mod reference;
mod routes;
mod s3;
mod server;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use chance::Chance;
use pool::Pool;
use wire::{Answer, Cut};

pub use execution::Start;
pub use fault::{Fault, FaultKind};
pub use observe::{Event, Invocation, Metric, Observations, Occupied, Read, Round, overlap};
pub use profile::{Operation, Profile, Scenario};
pub use server::{BadTls, Tls, listen};

/// An emulated AWS account, served over HTTP. Clones are the same emulator.
#[derive(Debug, Clone)]
pub struct Emulator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    scenario: Scenario,
    origin: Instant,
    connections: AtomicU64,
    world: Mutex<World>,
}

/// Everything that changes.
#[derive(Debug)]
struct World {
    pool: Pool,
    functions: HashMap<String, Counted>,
    /// Calls of PutMetricData.
    metrics: Counted,
    /// Calls of PutEvents.
    events: Counted,
    /// Entries of PutEvents.
    entries: Counted,
    /// The objects of S3.
    buckets: s3::Buckets,
    seen: Observations,
}

/// How often something was asked for, and its own source of chance.
#[derive(Debug)]
struct Counted {
    count: u64,
    chance: Chance,
}

impl Counted {
    fn new(seed: u64, name: &str) -> Self {
        Self { count: 0, chance: Chance::of(seed, name) }
    }

    /// Counts once more, and tells which of the faults strike.
    fn struck<'a>(&mut self, faults: &'a [Fault]) -> Vec<&'a FaultKind> {
        self.count += 1;
        let Self { count, chance } = self;
        // Each fault draws, whether an earlier one struck or not: what strikes must not depend on the others.
        faults.iter().filter(|fault| fault.when.strikes(*count, chance)).map(|fault| &fault.kind).collect()
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            pool: Pool::default(),
            functions: HashMap::new(),
            metrics: Counted::new(seed, "metrics"),
            events: Counted::new(seed, "events"),
            entries: Counted::new(seed, "entries"),
            buckets: s3::Buckets::new(),
            seen: Observations::default(),
        }
    }
}

impl Emulator {
    /// An emulator of `scenario`, in which no environment exists yet. Its time begins now.
    pub fn new(scenario: Scenario) -> Self {
        let world = Mutex::new(World::new(scenario.seed));
        let shared = Shared { scenario, origin: Instant::now(), connections: AtomicU64::new(0), world };
        Self { shared: Arc::new(shared) }
    }

    /// What it saw since it started, or since [`Emulator::reset`].
    pub fn observe(&self) -> Observations {
        let mut seen = self.world().seen.clone();
        seen.connections = self.shared.connections.load(Ordering::Relaxed);
        seen
    }

    /// Forgets what it saw. Environments, and the counts that faults go by, stay.
    pub fn reset(&self) {
        self.world().seen = Observations::default();
        self.shared.connections.store(0, Ordering::Relaxed);
    }

    fn scenario(&self) -> &Scenario {
        &self.shared.scenario
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // What a panicking holder leaves behind is at worst an uncounted request.
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The emulated time since the origin.
    fn now(&self) -> Duration {
        self.shared.origin.elapsed().mul_f64(self.scenario().speed)
    }

    /// Answers after `late`, or closes the connection then. The request has been processed already.
    async fn answer_late(&self, answer: Answer, late: Duration, cut: bool) -> Result<Answer, Cut> {
        if !late.is_zero() {
            self.until(self.now() + late).await;
        }
        if cut { Err(Cut) } else { Ok(answer) }
    }

    /// Waits until the emulated time has come.
    async fn until(&self, then: Duration) {
        let real = then.div_f64(self.scenario().speed);
        tokio::time::sleep_until(self.shared.origin + real).await;
    }
}
