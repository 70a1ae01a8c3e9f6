//! The measurements, with their progress.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::output::print_message;
use crate::domain::fleet::{Hold, Target};
use crate::domain::function::{Identity, Qualifier};
use crate::domain::probe::{HoldSearch, IdlePlan, Measured, PROOFS, Ramp, StepResult};
use crate::domain::text::{count, elapsed};
use crate::engine::ports::Lambda;
use crate::service::probe::{Ended, MemoryResult, Observe, Prober};

/// The pings of a version: the first one, and warm ones.
const PER_VERSION: u64 = 6;
/// The holds that a search tries at most, with steps of 5 ms up to 10 s.
const MOST_HOLDS: u64 = 13;

/// The kind of a measurement, with its settings.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// The life of idle environments.
    Idle(IdlePlan),
    /// Parallel users.
    Parallel(Ramp),
    /// The shortest hold that proves so many environments.
    FindHold(NonZeroU32),
    /// Versions or aliases.
    Memory(Vec<Qualifier>),
}

impl Mode {
    /// Returns the expected length.
    pub fn length(&self) -> Duration {
        match self {
            Self::Idle(plan) => plan.length(),
            Self::Parallel(ramp) => ramp.length,
            Self::FindHold(_) | Self::Memory(_) => Duration::from_secs(60),
        }
    }

    /// Returns the most pings in flight.
    pub fn at_once(&self) -> NonZeroU32 {
        match self {
            Self::Parallel(ramp) => NonZeroU32::new(ramp.highest()).unwrap_or(NonZeroU32::MIN),
            Self::FindHold(number) => *number,
            Self::Idle(_) | Self::Memory(_) => NonZeroU32::MIN,
        }
    }

    /// Returns the hold of the pings.
    pub fn hold(&self, target: &Target) -> Duration {
        match self {
            Self::Parallel(_) | Self::FindHold(_) => hold_of(target),
            Self::Idle(_) | Self::Memory(_) => Duration::ZERO,
        }
    }

    /// Returns the number of pings, and the most cold starts among them.
    pub fn pings(&self) -> (u64, u64) {
        match self {
            Self::Idle(plan) => (plan.pings() as u64, plan.pings() as u64),
            Self::Parallel(ramp) => (u64::from(ramp.highest()), u64::from(ramp.highest())),
            Self::FindHold(number) => {
                let number = u64::from(number.get());
                (2 + number * (1 + MOST_HOLDS * u64::from(PROOFS)), number)
            }
            Self::Memory(qualifiers) => {
                let number = qualifiers.len() as u64;
                (number * PER_VERSION, number)
            }
        }
    }
}

/// Returns the hold of a target, that of `auto` before any measurement.
fn hold_of(target: &Target) -> Duration {
    match target.hold {
        Hold::Fixed(hold) => hold,
        Hold::Auto => Duration::from_millis(100),
    }
}

/// A measurement, complete or not.
#[derive(Debug)]
pub(super) struct Measurement {
    /// False if the process was stopped before the end.
    pub is_complete: bool,
    /// The results.
    pub result: Result,
}

/// The results of a measurement.
#[derive(Debug)]
pub(super) enum Result {
    Idle(IdlePlan),
    Parallel(Vec<StepResult>),
    FindHold { number: NonZeroU32, search: HoldSearch, tried: Vec<(Duration, bool)> },
    Memory(Vec<MemoryResult>),
}

/// Measures. `before` are pings that were sent before.
pub(super) async fn measure<L: Lambda>(
    mode: &Mode,
    prober: &Prober<'_, L>,
    before: Vec<Measured>,
    progress: &Progress,
) -> std::result::Result<Measurement, String> {
    let (result, ended) = match mode {
        Mode::Idle(plan) => {
            let mut plan = plan.clone();
            let ended = prober.idle(&mut plan, progress).await?;
            (Result::Idle(plan), ended)
        }
        Mode::Parallel(ramp) => {
            let hold = hold_of(prober.target());
            let (steps, ended) = prober.parallel(ramp, hold, before, progress).await?;
            (Result::Parallel(steps), ended)
        }
        Mode::FindHold(number) => {
            let mut search = HoldSearch::default();
            let ended = prober.find_hold(*number, &mut search, progress).await?;
            let tried = progress.tried.lock().map(|tried| tried.clone()).unwrap_or_default();
            (Result::FindHold { number: *number, search, tried }, ended)
        }
        Mode::Memory(qualifiers) => {
            let id = |qualifier: &Qualifier| Identity {
                qualifier: Some(qualifier.clone()),
                ..prober.target().id.clone()
            };
            let ids: Vec<Identity> = qualifiers.iter().map(id).collect();
            let (results, ended) = prober.memory(&ids, progress).await?;
            (Result::Memory(results), ended)
        }
    };
    Ok(Measurement { is_complete: ended == Ended::Complete, result })
}

/// Prints the progress to standard error.
#[derive(Debug)]
pub(super) struct Progress {
    pings: u64,
    ends: Instant,
    sent: Mutex<u64>,
    tried: Mutex<Vec<(Duration, bool)>>,
}

impl Progress {
    pub fn new(mode: &Mode) -> Self {
        let ends = Instant::now() + mode.length();
        Self { pings: mode.pings().0, ends, sent: Mutex::default(), tried: Mutex::default() }
    }

    fn left(&self) -> String {
        let left = self.ends.saturating_duration_since(Instant::now()).as_secs();
        match left {
            0 => String::new(),
            left => format!(", about {} left", elapsed(Duration::from_secs(left))),
        }
    }
}

impl Observe for Progress {
    fn waits(&self, gap: Duration) {
        if !gap.is_zero() {
            print_message(&format!("next ping in {}{}", elapsed(gap), self.left()));
        }
    }

    fn pinged(&self, ping: &Measured) {
        let sent = self.sent.lock().map_or(0, |mut sent| {
            *sent += 1;
            *sent
        });
        let what = match (&ping.start, &ping.failure) {
            (Some(start), _) => format!("{} after {}", start.name(), elapsed(ping.total())),
            (None, failure) => format!("failed: {}", failure.as_deref().unwrap_or_default()),
        };
        let of = self.pings.max(sent);
        print_message(&crate::domain::clean::clean(&format!("ping {sent} of {of}: {what}")));
    }

    fn stepped(&self, step: &StepResult) {
        let users = count(step.step.users.into(), "user");
        let cold = count(step.cold_starts as u64, "cold start");
        print_message(&format!("{users}: {}, {cold}{}", count(step.requests as u64, "request"), self.left()));
    }

    fn tried(&self, hold: Duration, is_proven: bool) {
        let result = if is_proven { "proven" } else { "not proven" };
        print_message(&format!("hold {}: {result}", elapsed(hold)));
        if let Ok(mut tried) = self.tried.lock() {
            tried.push((hold, is_proven));
        }
    }
}
