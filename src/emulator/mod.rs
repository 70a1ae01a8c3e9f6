//! The embedded emulator: Lambda, CloudWatch, EventBridge and a part of S3 over HTTP.
//!
//! It implements the wire protocols and shares no types with the rest of the crate. So `--local` and the tests run the
//! real SDK path, and the emulator's model of Lambda is independent of ours.
//!
//! All waiting uses tokio's time: under a paused clock, a cold start of 90 s takes microseconds.

mod cloudwatch;
mod errors;
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
mod random;
mod reads;
mod reference;
mod routes;
mod s3;
mod scenario;
mod server;
mod span;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use pool::Pool;
use random::SeededRng;
use wire::{ConnectionCut, HttpResponse};

pub use execution::Start;
pub use fault::{Fault, FaultKind};
pub use observe::{
    AcceptedEvent, ControlRead, Invocation, Metric, Observations, ObservedRound, OccupiedInterval, overlap,
};
pub use profile::Profile;
pub use scenario::{Account, Operation, Scenario};
pub use server::{Tls, TlsError, listen};

/// An emulated AWS account, served over HTTP. Clones share their state.
#[derive(Debug, Clone)]
pub struct Emulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    scenario: Scenario,
    origin: Instant,
    connections: AtomicU64,
    state: Mutex<EmulatorState>,
}

/// The state that requests change.
#[derive(Debug)]
struct EmulatorState {
    pool: Pool,
    functions: HashMap<String, CallCounter>,
    /// Calls of PutMetricData.
    metrics: CallCounter,
    /// Calls of PutEvents.
    events: CallCounter,
    /// Entries of PutEvents.
    entries: CallCounter,
    /// The objects of S3.
    buckets: s3::Buckets,
    observations: Observations,
}

/// The number of calls so far, with a separate random generator.
#[derive(Debug)]
struct CallCounter {
    count: u64,
    rng: SeededRng,
}

impl CallCounter {
    fn new(seed: u64, name: &str) -> Self {
        Self { count: 0, rng: SeededRng::new(seed, name) }
    }

    /// Counts one more call and returns the faults that apply to it.
    fn next_faults<'a>(&mut self, faults: &'a [Fault]) -> Vec<&'a FaultKind> {
        self.count += 1;
        let Self { count, rng } = self;
        // Every fault is sampled, so that it applies to the same calls whatever the other faults are.
        faults.iter().filter(|fault| fault.when.applies_to(*count, rng)).map(|fault| &fault.kind).collect()
    }
}

impl EmulatorState {
    fn new(seed: u64) -> Self {
        Self {
            pool: Pool::default(),
            functions: HashMap::new(),
            metrics: CallCounter::new(seed, "metrics"),
            events: CallCounter::new(seed, "events"),
            entries: CallCounter::new(seed, "entries"),
            buckets: s3::Buckets::new(),
            observations: Observations::default(),
        }
    }
}

impl Emulator {
    /// Creates an emulator of `scenario` without any environment. Its time begins now.
    pub fn new(scenario: Scenario) -> Self {
        let state = Mutex::new(EmulatorState::new(scenario.seed));
        let inner = Inner { scenario, origin: Instant::now(), connections: AtomicU64::new(0), state };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the observations since the start, or since [`Emulator::reset`].
    pub fn observe(&self) -> Observations {
        let mut observations = self.state().observations.clone();
        observations.connections = self.inner.connections.load(Ordering::Relaxed);
        observations
    }

    /// Deletes the observations. Keeps the environments, and the call counts of faults.
    pub fn reset(&self) {
        self.state().observations = Observations::default();
        self.inner.connections.store(0, Ordering::Relaxed);
    }

    fn scenario(&self) -> &Scenario {
        &self.inner.scenario
    }

    fn state(&self) -> MutexGuard<'_, EmulatorState> {
        // After a panic of a holder, at worst a request is not counted.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the emulated time since the origin.
    fn now(&self) -> Duration {
        self.inner.origin.elapsed().mul_f64(self.scenario().speed)
    }

    /// Returns `response` after `delay`, or cuts the connection then. The request has been processed already.
    async fn respond_after(
        &self,
        delay: Duration,
        response: HttpResponse,
        cut: bool,
    ) -> Result<HttpResponse, ConnectionCut> {
        if !delay.is_zero() {
            self.until(self.now() + delay).await;
        }
        if cut { Err(ConnectionCut) } else { Ok(response) }
    }

    /// Waits until the emulated time `then`.
    async fn until(&self, then: Duration) {
        let real = then.div_f64(self.scenario().speed);
        tokio::time::sleep_until(self.inner.origin + real).await;
    }
}
