//! The random decisions about an invocation, and its placement in an environment.

use std::time::Duration;

use super::super::capacity::Place;
use super::super::execution::{Execution, HandlerOutcome, Samples};
use super::super::fault::When;
use super::super::handler::RecognizedPing;
use super::super::observe::OccupiedInterval;
use super::super::pool::{Assignment, ConcurrencyLimit, Key, Placement, Throttle};
use super::super::profile::{HoldBehavior, Unrecognized};
use super::super::{CallCounter, Emulator, EmulatorState, FunctionState};
use super::*;

/// The decisions about a request before it reaches an environment.
pub(super) struct InvocationPlan {
    pub request_id: String,
    pub version: String,
    /// The number of the request among those of its function, from 1.
    pub count: u64,
    /// The network delay of the request.
    pub delay_there: Duration,
    /// The network delay of the answer.
    pub delay_back: Duration,
    pub faults: Vec<FaultKind>,
}

/// The result of an execution.
pub(super) struct Executed {
    pub assignment: Assignment,
    pub execution: Execution,
    /// `AWS_LAMBDA_INITIALIZATION_TYPE` of the environment.
    pub initialization: &'static str,
    /// The arrival of the answer.
    pub answered: Duration,
}

impl InvocationPlan {
    /// Counts the request and samples what is random about it.
    pub(super) fn new(
        emulator: &Emulator,
        reference: &Reference,
        profile: &Profile,
        kind: InvocationType,
    ) -> Result<Self, ErrorResponse> {
        let key = format!("{}/{}/{}", reference.account, reference.region, reference.name);
        let EmulatorState { functions, capacity, .. } = &mut *emulator.state();
        let seed = emulator.scenario().seed;
        let counter = functions.entry(key).or_insert_with_key(|key| CallCounter::new(seed, key));
        let rng = &mut counter.rng;
        let version = capacity.chosen_version(reference, profile, emulator.now(), rng.uniform())?;
        let profile = profile.of_version(&version);
        let delay_there = rng.network_delay(profile.network);
        let delay_back = rng.network_delay(profile.network);
        let request_id = rng.uuid();
        let faults: Vec<&FaultKind> = match kind {
            // Dry runs are not counted, so that "the first three" means invocations. Faults of every request apply.
            InvocationType::DryRun => {
                let always = profile.faults.iter().filter(|fault| fault.when == When::Always);
                always.map(|fault| &fault.kind).collect()
            }
            InvocationType::RequestResponse | InvocationType::Event => counter.next_faults(&profile.faults),
        };
        let faults = faults.into_iter().cloned().collect();
        Ok(Self { request_id, version, count: counter.count, delay_there, delay_back, faults })
    }
}

impl Invoke<'_> {
    /// Places the request in an environment and records its execution, in one locked step.
    ///
    /// # Errors
    /// The throttle or the refusal of an inactive function, and the arrival of its answer.
    pub(super) fn execute(
        &self,
        ping: Option<&RecognizedPing>,
        mut observed: Invocation,
    ) -> Result<Executed, (ErrorResponse, Duration)> {
        let Self { emulator, reference, profile, plan, .. } = self;
        let scope = reference.scope();
        let name = format!("{scope}/{}", reference.name);
        let tenant = observed.tenant.clone();
        let (function, version) = (reference.name.clone(), plan.version.clone());
        let mut key = Key { scope, function, version, tenant, provisioned: None };
        let scenario = emulator.scenario();
        // The reservation and the provisioned concurrency are the function's, not the version's.
        let function = scenario.profile(&reference.name).unwrap_or(profile);
        let mut guard = emulator.state();
        let state = &mut *guard;
        let counter =
            state.functions.entry(name).or_insert_with_key(|name| CallCounter::new(scenario.seed, name));
        let samples = self.sample(ping, counter);
        // Read under the lock, because the pool's time must not go back.
        let now = emulator.now();
        if let Err(error) = wake(state, &key, profile, now) {
            return Err(self.refuse(state, observed, error, now));
        }
        let mut limit = match function.reserved {
            Some(reserved) => ConcurrencyLimit::Reserved(reserved),
            None => ConcurrencyLimit::Shared(state.capacity.shared(&scenario, &key.scope, now)),
        };
        let place = Place::of(reference);
        let ahead = place
            .as_ref()
            .and_then(|place| state.capacity.environments_of(place, &plan.version, function, now));
        let ahead = ahead.filter(|(provisioned, count)| {
            let ahead = Key { provisioned: reference.qualifier.clone(), ..key.clone() };
            let has_free = provisioned.load.admits(now, provisioned.available())
                && state.pool.has_free(now, &ahead, *count);
            if has_free {
                key = ahead;
            }
            has_free
        });
        if ahead.is_some() && function.reserved.is_none() {
            limit = ConcurrencyLimit::Provisioned;
        }
        let is_provisioned = key.provisioned.is_some();
        let mut execution = None;
        let placed = state.pool.place(now, &key, limit, |placement| {
            let run = Execution::new(now, placement, profile, &samples);
            let mut occupancy = run.occupancy(profile, &samples);
            if is_provisioned {
                // It stays until it is recycled.
                occupancy.idle_until = Duration::MAX;
            }
            execution = Some(run);
            occupancy
        });
        match (placed, execution) {
            (Ok(assignment), Some(execution)) => {
                if let Some((provisioned, _)) = ahead {
                    provisioned.load.start(now, execution.until);
                }
                let initialization = self.initialization(is_provisioned);
                let is_event = self.kind == InvocationType::Event;
                let answered = if is_event { now } else { execution.answered } + plan.delay_back;
                observed.answered = answered;
                observed.occupied = Some(OccupiedInterval { from: execution.from, until: execution.until });
                observed.environment = Some(self.environment_name(assignment));
                observed.start = Some(execution.start);
                observed.initialization = Some(initialization.to_owned());
                observed.is_new = !matches!(assignment.placement, Placement::Idle | Placement::Reset);
                observed.durable = self.is_durable();
                observed.billed_mb_ms = execution.billed_ms.saturating_mul(profile.memory_mb.into());
                observed.function_error = execution.outcome.error_type().map(str::to_owned);
                let was_cut = plan.faults.contains(&FaultKind::Reset);
                observed.status = (!was_cut).then_some(if is_event { 202 } else { 200 });
                record(state, emulator, observed);
                Ok(Executed { assignment, execution, initialization, answered })
            }
            (placed, _) => {
                let error = ErrorResponse::throttled(match placed {
                    Err(Throttle::ReservedConcurrency) => "ReservedFunctionConcurrentInvocationLimitExceeded",
                    Err(Throttle::Rate) => "FunctionInvocationRateLimitExceeded",
                    Err(Throttle::ReservedRate) => "ReservedFunctionInvocationRateLimitExceeded",
                    Err(Throttle::Concurrency) | Ok(_) => "ConcurrentInvocationLimitExceeded",
                });
                Err(self.refuse(state, observed, error, now))
            }
        }
    }

    /// Records a refusal at `now`. Returns it with the arrival of its answer.
    fn refuse(
        &self,
        state: &mut EmulatorState,
        mut observed: Invocation,
        error: ErrorResponse,
        now: Duration,
    ) -> (ErrorResponse, Duration) {
        let answered = now + self.plan.delay_back;
        (observed.answered, observed.status) = (answered, Some(error.status));
        observed.refusal = Some(error.label());
        record(state, self.emulator, observed);
        (error, answered)
    }

    /// Samples the handler's work and outcome.
    fn sample(&self, ping: Option<&RecognizedPing>, counter: &mut CallCounter) -> Samples {
        let (profile, rng) = (&self.profile, &mut counter.rng);
        let mut work = match ping {
            None => rng.within(profile.duration),
            Some(ping) => {
                let hold = match profile.hold {
                    HoldBehavior::AsRequested => ping.hold,
                    HoldBehavior::Ignored => Duration::ZERO,
                    HoldBehavior::Fixed(hold) => hold,
                };
                hold + rng.within(profile.ping)
            }
        };
        let mut outcome = match (ping, &profile.unrecognized) {
            (Some(_), _) | (None, Unrecognized::Work) => HandlerOutcome::Success,
            (None, Unrecognized::Fail(error_type)) => failure(error_type),
            (None, Unrecognized::Timeout) => HandlerOutcome::Timeout,
        };
        for fault in &self.plan.faults {
            match fault {
                FaultKind::Slow { by } => work += *by,
                FaultKind::FunctionError { error_type } => outcome = failure(error_type),
                FaultKind::Timeout => outcome = HandlerOutcome::Timeout,
                _ => {}
            }
        }
        Samples::new(profile, rng, &self.plan.version, (work, outcome))
    }
}

/// Returns the outcome of a handler that fails with an error of this type.
fn failure(error_type: &str) -> HandlerOutcome {
    match error_type.starts_with("Runtime.") {
        true => HandlerOutcome::Crash(error_type.to_owned()),
        false => HandlerOutcome::Error(error_type.to_owned()),
    }
}

/// Begins to wake an inactive function.
///
/// # Errors
/// The function is not active yet.
fn wake(state: &mut EmulatorState, key: &Key, profile: &Profile, now: Duration) -> Result<(), ErrorResponse> {
    match (state.function_state(key, profile, now), profile.inactive) {
        (FunctionState::Inactive, Some(pending)) => {
            state.waking.insert(key.clone(), now + pending);
            let message = "The function is inactive and its resources are being restored. Try again later.";
            Err(ErrorResponse::new(502, "ResourceNotReadyException", message))
        }
        (FunctionState::Pending, _) => {
            let message = "The operation cannot be performed at this time. The function is currently in the \
                           following state: Pending";
            Err(ErrorResponse::new(409, "ResourceConflictException", message))
        }
        (FunctionState::Active | FunctionState::Inactive, _) => Ok(()),
    }
}
