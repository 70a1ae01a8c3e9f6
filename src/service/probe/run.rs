//! The runs of a probe.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use crate::domain::cost::RoundCost;
use crate::domain::fleet::{Canary, Target};
use crate::domain::function::Identity;
use crate::domain::probe::{HoldSearch, IdlePlan, Measured, Ramp, Start, StepResult, step_result};
use crate::domain::text::elapsed;
use crate::engine::ports::{Clock, Lambda};
use crate::engine::stop::Stop;
use crate::engine::tick::{Due, Engine};

/// The warm pings of a version or an alias, whose median counts.
const WARM_PINGS: usize = 5;

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything was measured.
    Complete,
    /// The process was stopped before.
    Stopped,
}

/// The use of a probe by its pings.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// The number of pings.
    pub pings: u64,
    /// The cost.
    pub cost: RoundCost,
    /// The bytes from S3; `None` if unknown.
    pub s3_bytes: Option<u64>,
}

/// Observes a run.
pub trait Observe: Sync {
    /// Called before the run waits for `gap`.
    fn waits(&self, _gap: Duration) {}

    /// Called with each ping, but not with those of parallel users.
    fn pinged(&self, _ping: &Measured) {}

    /// Called with each step of parallel users.
    fn stepped(&self, _step: &StepResult) {}

    /// Called with each round of a search for the hold.
    fn tried(&self, _hold: Duration, _is_proven: bool) {}
}

/// The pings of a version or an alias.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryResult {
    /// The function with the version or alias.
    pub id: Identity,
    /// The first ping: a cold start, or a warm one.
    pub first: Measured,
    /// The warm pings that followed.
    pub warm: Vec<Measured>,
}

/// Sends the pings of a probe to a target.
pub struct Prober<'p, L> {
    engine: &'p Engine<L>,
    target: Arc<Target>,
    clock: &'p dyn Clock,
    stop: Stop,
    begun: Instant,
    spent: Mutex<Spent>,
}

/// The longest run of a ping beyond its hold; `None` if the check is off.
fn canary(target: &Target) -> Option<Duration> {
    match target.canary {
        Canary::On(max) => Some(max),
        Canary::Off => None,
    }
}

impl<'p, L: Lambda> Prober<'p, L> {
    /// Creates a prober whose time begins now.
    pub fn new(engine: &'p Engine<L>, target: Target, clock: &'p dyn Clock, stop: Stop) -> Self {
        let spent = Mutex::new(Spent { pings: 0, cost: RoundCost::ZERO, s3_bytes: Some(0) });
        Self { engine, target: Arc::new(target), clock, stop, begun: Instant::now(), spent }
    }

    /// Returns what the pings so far have used.
    pub fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends pings at once, each with the `hold`. `None` if the process was stopped before. Returns the number of
    /// environments that are proven as well.
    ///
    /// # Errors
    /// They do not fit under the cap together, or the handler took one for work.
    pub async fn pings(
        &self,
        target: &Arc<Target>,
        pings: NonZeroU32,
        hold: Duration,
    ) -> Result<Option<(Vec<Measured>, Option<u32>)>, String> {
        let at = self.begun.elapsed();
        let due = Due::new(Arc::clone(target), pings);
        let measured = self.engine.measure(&due, hold, self.clock.now(), self.stop.clone()).await?;
        let Some((attempt, report, cost)) = measured else { return Ok(None) };
        let quantities = report.quantities(target);
        {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.pings += u64::from(pings.get());
            spent.cost = spent.cost + cost;
            let bytes = quantities.s3.as_ref().map(|s3| s3.bytes());
            spent.s3_bytes = spent.s3_bytes.zip(bytes).map(|(all, more)| all.saturating_add(more));
        }
        let held = attempt.handler_hold.unwrap_or_default();
        let measured: Vec<Measured> =
            attempt.pings.iter().map(|ping| Measured::new(at, ping, held)).collect();
        // A new environment may run longer the first time.
        let warm = measured.iter().filter(|ping| ping.start == Some(Start::Warm));
        let longest = warm.filter_map(|ping| ping.duration).max();
        if let (Some(longest), Some(most)) = (longest, canary(target))
            && longest > held + most
        {
            return Err(format!(
                "a warm ping ran for {}, {} longer than its hold: the handler took it for work",
                elapsed(longest),
                elapsed(longest - held)
            ));
        }
        Ok(Some((measured, report.reached)))
    }

    /// The signal after which nothing more is sent.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends one ping, and a second one if the first created the environment: whether the handler takes a ping for work
    /// shows in a warm run. `None` if the process was stopped before.
    ///
    /// # Errors
    /// A ping failed. See [`Prober::pings`] as well.
    pub async fn contact(&self, hold: Duration) -> Result<Option<Vec<Measured>>, String> {
        let mut pings = Vec::new();
        loop {
            let Some(ping) = self.one(&self.target, hold).await? else { return Ok(None) };
            if let Some(failure) = &ping.failure {
                return Err(format!("the first ping failed: {failure}"));
            }
            let is_new = ping.start.is_some_and(Start::is_new);
            pings.push(ping);
            if !is_new || pings.len() > 1 {
                return Ok(Some(pings));
            }
        }
    }

    async fn one(&self, target: &Arc<Target>, hold: Duration) -> Result<Option<Measured>, String> {
        let pinged = self.pings(target, NonZeroU32::MIN, hold).await?;
        Ok(pinged.and_then(|(pings, _)| pings.into_iter().next()))
    }

    /// Waits. Returns false if the process is stopped before.
    async fn wait_until(&self, instant: Instant) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.stopped() => false,
            () = sleep_until(instant) => true,
        }
    }

    /// Sends single pings after idle times.
    ///
    /// # Errors
    /// The first ping failed. See [`Prober::pings`] as well.
    pub async fn idle(&self, plan: &mut IdlePlan, observer: &impl Observe) -> Result<Ended, String> {
        while let Some(gap) = plan.next() {
            observer.waits(gap);
            if !self.wait_until(Instant::now() + gap).await {
                return Ok(Ended::Stopped);
            }
            let Some(ping) = self.one(&self.target, Duration::ZERO).await? else { return Ok(Ended::Stopped) };
            observer.pinged(&ping);
            if let (Some(failure), None) = (&ping.failure, plan.last()) {
                return Err(format!("the first ping failed: {failure}"));
            }
            plan.note(ping, false);
        }
        Ok(Ended::Complete)
    }

    /// Lets users call in parallel, each again as soon as it was answered. The users of a step begin together, after
    /// the last answer of the step before. `before` are pings that were sent before, and count to the first step. Returns the
    /// steps so far.
    ///
    /// # Errors
    /// See [`Prober::pings`].
    pub async fn parallel(
        &self,
        ramp: &Ramp,
        hold: Duration,
        before: Vec<Measured>,
        observer: &impl Observe,
    ) -> Result<(Vec<StepResult>, Ended), String> {
        let (mut results, mut before) = (Vec::new(), before);
        for step in ramp.steps() {
            let length = step.until - step.from;
            let until = Instant::now() + length;
            let users = join_all((0..step.users).map(|_| self.user(until, hold))).await;
            let mut pings: Vec<Measured> = std::mem::take(&mut before);
            for user in users {
                pings.extend(user?);
            }
            let is_stopped = self.stop.is_stopping();
            let result = step_result(step, &pings);
            observer.stepped(&result);
            results.push(result);
            if is_stopped {
                return Ok((results, Ended::Stopped));
            }
        }
        Ok((results, Ended::Complete))
    }

    /// Calls until the end of a step.
    async fn user(&self, until: Instant, hold: Duration) -> Result<Vec<Measured>, String> {
        let mut pings: Vec<Measured> = Vec::new();
        while pings.is_empty() || Instant::now() < until {
            let Some(ping) = self.one(&self.target, hold).await? else { break };
            let has_failed = ping.start.is_none();
            pings.push(ping);
            // A refused call is answered at once: users of such a function wait before they try again.
            if has_failed && !self.wait_until(Instant::now() + PAUSE_AFTER_FAILURE).await {
                break;
            }
        }
        Ok(pings)
    }

    /// Searches for the shortest hold with which `number` environments are proven in all rounds. The first round, which
    /// creates the environments, does not count.
    ///
    /// # Errors
    /// See [`Prober::pings`].
    pub async fn find_hold(
        &self,
        number: NonZeroU32,
        search: &mut HoldSearch,
        observer: &impl Observe,
    ) -> Result<Ended, String> {
        let first = search.next().unwrap_or_default();
        let contact = self.contact(first).await?;
        if contact.is_none() || self.pings(&self.target, number, first).await?.is_none() {
            return Ok(Ended::Stopped);
        }
        while let Some(hold) = search.next() {
            let Some((_, reached)) = self.pings(&self.target, number, hold).await? else {
                return Ok(Ended::Stopped);
            };
            let is_proven = reached.is_some_and(|reached| reached >= number.get());
            observer.tried(hold, is_proven);
            search.note(is_proven);
        }
        Ok(Ended::Complete)
    }

    /// Pings versions or aliases one after the other.
    ///
    /// # Errors
    /// See [`Prober::pings`].
    pub async fn memory(
        &self,
        ids: &[Identity],
        observer: &impl Observe,
    ) -> Result<(Vec<MemoryResult>, Ended), String> {
        let mut results = Vec::new();
        for id in ids {
            // The version has its own memory.
            let target = Target { id: id.clone(), memory_mb: None, ..self.target.as_ref().clone() };
            let target = Arc::new(target);
            let Some(first) = self.one(&target, Duration::ZERO).await? else {
                return Ok((results, Ended::Stopped));
            };
            observer.pinged(&first);
            let mut result = MemoryResult { id: id.clone(), first, warm: Vec::new() };
            let is_answered = result.first.start.is_some();
            for _ in 0..if is_answered { WARM_PINGS } else { 0 } {
                let Some(ping) = self.one(&target, Duration::ZERO).await? else {
                    results.push(result);
                    return Ok((results, Ended::Stopped));
                };
                observer.pinged(&ping);
                result.warm.push(ping);
            }
            results.push(result);
        }
        Ok((results, Ended::Complete))
    }
}

/// The time after which a user whose call failed calls again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
