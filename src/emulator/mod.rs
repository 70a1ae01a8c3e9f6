//! The embedded emulator: Lambda, Application Auto Scaling, CloudWatch, EventBridge and a part of S3 over HTTP.
//!
//! It implements the wire protocols and shares no types with the rest of the crate. So `--local` and the tests run the
//! real SDK path, and the emulator's model of Lambda is independent of ours.
//!
//! All waiting uses tokio's time: under a paused clock, a cold start of 90 s takes microseconds. The emulated time begins
//! at the origin. Its UTC is that of the first signed request, to the second, and runs on with the emulated time;
//! before that request nothing that depends on UTC happens.

mod alarms;
mod autoscaling;
mod capacity;
mod cloudwatch;
mod control;
mod counts;
mod dashboards;
mod errors;
mod events;
mod execution;
pub mod fault;
pub mod functions;
mod get_metric_data;
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

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use pool::{Key, Pool};
use random::SeededRng;
use wire::{ConnectionCut, HttpResponse};

pub use counts::{Count, Counts};
pub use execution::Start;
pub use fault::{Fault, FaultKind};
pub use observe::{
    AcceptedEvent, ControlRead, Invocation, Metric, Observations, ObservedAlarm, ObservedProvisioned,
    ObservedRound, OccupiedInterval, ProvisionedLevel, ScalingChange, overlap,
};
pub use profile::Profile;
pub use scenario::{Account, Operation, Reads, Scenario, TimedChange};
pub use server::{Tls, TlsError, listen};

/// An emulated AWS account, served over HTTP. Clones share their state.
#[derive(Debug, Clone)]
pub struct Emulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    scenario: RwLock<Arc<Scenario>>,
    speed: f64,
    origin: Instant,
    connections: AtomicU64,
    state: Mutex<EmulatorState>,
    /// The UTC of the origin.
    utc_origin: OnceLock<DateTime<Utc>>,
    /// Locked before `state` where both are.
    scaling: Mutex<autoscaling::Scaling>,
}

/// The state that requests change.
#[derive(Debug)]
struct EmulatorState {
    pool: Pool,
    functions: BTreeMap<String, CallCounter>,
    /// The number of timed changes that have been made.
    changes: usize,
    /// The instants when inactive functions become active, since their first invocation.
    waking: BTreeMap<Key, Duration>,
    capacity: capacity::Capacity,
    /// Calls of the control plane by operation.
    reads: HashMap<Operation, CallCounter>,
    /// The calls of the control plane in the present second, by account and region.
    read_rates: HashMap<String, (u64, u32)>,
    in_flight: counts::InFlight,
    /// Calls of PutMetricData.
    metrics: CallCounter,
    /// Calls of PutEvents.
    events: CallCounter,
    /// Entries of PutEvents.
    entries: CallCounter,
    /// The objects of S3.
    buckets: s3::Buckets,
    /// The metrics that tests set.
    series: get_metric_data::Series,
    /// The dashboards of the account, and the alarms of its regions.
    dashboards: dashboards::Dashboards,
    alarms: alarms::Alarms,
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
            functions: BTreeMap::new(),
            changes: 0,
            waking: BTreeMap::new(),
            capacity: capacity::Capacity::default(),
            reads: HashMap::new(),
            read_rates: HashMap::new(),
            in_flight: counts::InFlight::default(),
            metrics: CallCounter::new(seed, "metrics"),
            events: CallCounter::new(seed, "events"),
            entries: CallCounter::new(seed, "entries"),
            buckets: s3::Buckets::new(),
            series: get_metric_data::Series::new(),
            dashboards: dashboards::Dashboards::new(),
            alarms: alarms::Alarms::new(),
            observations: Observations::default(),
        }
    }

    /// Follows a change of the scenario at the emulated time `at`: environments of replaced deployments end, functions
    /// that became inactive sleep, and changed provisioned concurrency is prepared.
    fn follow(&mut self, old: &Scenario, new: &Scenario, at: Duration) {
        self.pool.retain(|Key { function, version, .. }| {
            match (old.profile(function), new.profile(function)) {
                (Some(old), Some(new)) => !old.of_version(version).redeploys(new.of_version(version)),
                _ => false,
            }
        });
        self.waking.retain(|Key { function, version, .. }, _| {
            let inactive = |of: &Scenario| of.profile(function).and_then(|p| p.of_version(version).inactive);
            inactive(old) == inactive(new)
        });
        self.capacity.follow(old, new, &mut self.pool, at);
    }

    /// Returns the state of a function's version at `now`.
    fn function_state(&self, key: &Key, profile: &Profile, now: Duration) -> FunctionState {
        match (profile.inactive, self.waking.get(key)) {
            (None, _) => FunctionState::Active,
            (Some(_), None) => FunctionState::Inactive,
            (Some(_), Some(active)) if *active > now => FunctionState::Pending,
            (Some(_), Some(_)) => FunctionState::Active,
        }
    }
}

/// The state of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FunctionState {
    Active,
    Inactive,
    Pending,
}

impl Emulator {
    /// Creates an emulator of `scenario` without any environment. Its time begins now.
    pub fn new(scenario: Scenario) -> Self {
        let state = Mutex::new(EmulatorState::new(scenario.seed));
        let scaling = Mutex::new(autoscaling::Scaling::new(scenario.seed));
        let inner = Inner {
            speed: scenario.speed,
            scenario: RwLock::new(Arc::new(scenario)),
            origin: Instant::now(),
            connections: AtomicU64::new(0),
            state,
            utc_origin: OnceLock::new(),
            scaling,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the observations since the start, or since [`Emulator::reset`].
    pub fn observe(&self) -> Observations {
        self.make_due_changes();
        let mut observations = self.state().observations.clone();
        observations.provisioned = self.state().capacity.observe(self.now());
        observations.dashboards = dashboards::observe(&self.state().dashboards);
        observations.put_alarms = alarms::observe(&self.state().alarms);
        {
            let scaling = self.auto_scaling();
            (observations.scaling, observations.alarms) = (scaling.changes.clone(), scaling.alarms());
        }
        observations.connections = self.inner.connections.load(Ordering::Relaxed);
        observations
    }

    /// Deletes the observations. Keeps the environments with their bill, and the call counts of faults.
    pub fn reset(&self) {
        self.state().observations = Observations::default();
        self.auto_scaling().changes.clear();
        self.inner.connections.store(0, Ordering::Relaxed);
    }

    /// Changes the scenario now, such as a deployment or a reservation. Seed, speed and the stream limit stay.
    ///
    /// Environments of a function whose code, memory or timeout changes end. A function with another value of
    /// [`Profile::inactive`] becomes inactive. Changed provisioned concurrency and changed aliases replace what calls have
    /// set.
    pub fn change(&self, change: impl FnOnce(&mut Scenario)) {
        self.make_due_changes();
        let mut state = self.state();
        let at = self.now();
        self.change_at(&mut state, at, change);
    }

    fn change_at(&self, state: &mut EmulatorState, at: Duration, change: impl FnOnce(&mut Scenario)) {
        let old = self.scenario();
        let mut new = Scenario::clone(&old);
        change(&mut new);
        state.follow(&old, &new, at);
        *self.inner.scenario.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    /// Makes the timed changes of the scenario and the service actions of Application Auto Scaling that are due, in the
    /// order of time.
    fn make_due_changes(&self) {
        let now = self.now();
        loop {
            let due = |made: usize| self.scenario().changes.get(made).filter(|due| due.after <= now).cloned();
            let next = due(self.state().changes);
            autoscaling::advance(self, next.as_ref().map_or(now, |next| next.after));
            let Some(next) = next else { return };
            let mut state = self.state();
            // Another request may have made it meanwhile.
            if due(state.changes).is_some_and(|due| due.after == next.after) {
                state.changes += 1;
                self.change_at(&mut state, next.after, |scenario| (next.make)(scenario));
            }
        }
    }

    fn scenario(&self) -> Arc<Scenario> {
        Arc::clone(&self.inner.scenario.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, EmulatorState> {
        // After a panic of a holder, at worst a request is not counted.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn auto_scaling(&self) -> MutexGuard<'_, autoscaling::Scaling> {
        self.inner.scaling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the emulated time since the origin.
    fn now(&self) -> Duration {
        self.inner.origin.elapsed().mul_f64(self.inner.speed)
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
        let real = then.div_f64(self.inner.speed);
        tokio::time::sleep_until(self.inner.origin + real).await;
    }
}
