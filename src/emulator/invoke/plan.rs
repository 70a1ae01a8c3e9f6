//! The random decisions about an invocation, and its placement in an environment.

use std::time::Duration;

use super::super::execution::{Execution, HandlerOutcome, Samples};
use super::super::fault::When;
use super::super::handler::RecognizedPing;
use super::super::observe::OccupiedInterval;
use super::super::pool::{Assignment, ConcurrencyLimit, Key, Throttle};
use super::super::profile::HoldBehavior;
use super::super::{CallCounter, Emulator, EmulatorState};
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
        let mut state = emulator.state();
        let seed = emulator.scenario().seed;
        let counter = state.functions.entry(key).or_insert_with_key(|key| CallCounter::new(seed, key));
        let rng = &mut counter.rng;
        let version = reference.version(profile, rng.uniform())?;
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
    /// The throttle, and the arrival of its answer.
    pub(super) fn execute(
        &self,
        ping: Option<&RecognizedPing>,
        mut observed: Invocation,
    ) -> Result<Executed, (ErrorResponse, Duration)> {
        let Self { emulator, reference, profile, plan, .. } = self;
        let scope = format!("{}/{}", reference.account, reference.region);
        let name = format!("{scope}/{}", reference.name);
        let (function, version) = (reference.name.clone(), plan.version.clone());
        let key = Key { scope, function, version, tenant: observed.tenant.clone() };
        let scenario = emulator.scenario();
        let limit = match profile.reserved {
            Some(reserved) => ConcurrencyLimit::Reserved(reserved),
            None => ConcurrencyLimit::Shared(scenario.unreserved()),
        };

        let mut state = emulator.state();
        let EmulatorState { pool, functions, .. } = &mut *state;
        let counter = functions.entry(name).or_insert_with_key(|name| CallCounter::new(scenario.seed, name));
        let samples = self.sample(ping, counter);
        // Read under the lock, because the pool's time must not go back.
        let now = emulator.now();
        let mut execution = None;
        let placed = pool.place(now, &key, limit, |placement| {
            let run = Execution::new(now, placement, profile, &samples);
            let occupancy = run.occupancy(profile, &samples);
            execution = Some(run);
            occupancy
        });
        match (placed, execution) {
            (Ok(assignment), Some(execution)) => {
                let is_event = self.kind == InvocationType::Event;
                let answered = if is_event { now } else { execution.answered } + plan.delay_back;
                observed.answered = answered;
                observed.occupied = Some(OccupiedInterval { from: execution.from, until: execution.until });
                observed.environment = Some(self.environment_name(assignment));
                observed.start = Some(execution.start);
                observed.function_error = execution.outcome.error_type().map(str::to_owned);
                let was_cut = plan.faults.contains(&FaultKind::Reset);
                observed.status = (!was_cut).then_some(if is_event { 202 } else { 200 });
                record(&mut state, emulator, observed);
                Ok(Executed { assignment, execution, answered })
            }
            (placed, _) => {
                let error = ErrorResponse::throttled(match placed {
                    Err(Throttle::ReservedConcurrency) => "ReservedFunctionConcurrentInvocationLimitExceeded",
                    Err(Throttle::Rate) => "FunctionInvocationRateLimitExceeded",
                    Err(Throttle::ReservedRate) => "ReservedFunctionInvocationRateLimitExceeded",
                    Err(Throttle::Concurrency) | Ok(_) => "ConcurrentInvocationLimitExceeded",
                });
                let answered = now + plan.delay_back;
                (observed.answered, observed.status) = (answered, Some(429));
                observed.refusal = Some(error.label());
                record(&mut state, emulator, observed);
                Err((error, answered))
            }
        }
    }

    /// Samples the handler's work and outcome.
    fn sample(&self, ping: Option<&RecognizedPing>, counter: &mut CallCounter) -> Samples {
        let (profile, rng) = (self.profile, &mut counter.rng);
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
        let mut outcome = HandlerOutcome::Success;
        for fault in &self.plan.faults {
            match fault {
                FaultKind::Slow { by } => work += *by,
                FaultKind::FunctionError { error_type } if error_type.starts_with("Runtime.") => {
                    outcome = HandlerOutcome::Crash(error_type.clone());
                }
                FaultKind::FunctionError { error_type } => {
                    outcome = HandlerOutcome::Error(error_type.clone());
                }
                FaultKind::Timeout => outcome = HandlerOutcome::Timeout,
                _ => {}
            }
        }
        Samples::new(profile, rng, &self.plan.version, (work, outcome))
    }
}
