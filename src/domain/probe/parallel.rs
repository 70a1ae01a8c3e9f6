//! Users in parallel, each of whom calls again as soon as it was answered.

use std::collections::HashSet;
use std::time::Duration;

use super::start::Measured;

/// The users over time: the whole length, divided equally over the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramp {
    /// The numbers of users, each at least 1.
    pub users: Vec<u32>,
    /// The whole length.
    pub length: Duration,
}

/// A step of a ramp. Instants are from the begin of the ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The number of users.
    pub users: u32,
    /// The begin.
    pub from: Duration,
    /// The end, not included.
    pub until: Duration,
}

impl Ramp {
    /// Returns the steps.
    pub fn steps(&self) -> Vec<Step> {
        let number = u32::try_from(self.users.len()).unwrap_or(u32::MAX).max(1);
        let at = |index: u32| self.length * index / number;
        (0..)
            .zip(&self.users)
            .map(|(index, users)| Step { users: *users, from: at(index), until: at(index + 1) })
            .collect()
    }

    /// Returns the highest number of users.
    pub fn highest(&self) -> u32 {
        self.users.iter().copied().max().unwrap_or(0)
    }
}

/// Returns the number of requests of a ramp whose requests take `each`.
pub fn forecast(ramp: &Ramp, each: Duration) -> u64 {
    let each = each.max(Duration::from_millis(1)).as_nanos();
    let requests = |step: &Step| u128::from(step.users) * (step.until - step.from).as_nanos().div_ceil(each);
    ramp.steps().iter().map(requests).sum::<u128>().try_into().unwrap_or(u64::MAX)
}

/// The latency of the answered requests of a step: the time that the users waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The lowest.
    pub min: Duration,
    /// The median.
    pub p50: Duration,
    /// The time that 95 % of the requests do not exceed.
    pub p95: Duration,
    /// The time that 99 % of the requests do not exceed.
    pub p99: Duration,
    /// The highest.
    pub max: Duration,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// The step.
    pub step: Step,
    /// The requests that were sent.
    pub requests: usize,
    /// The requests that failed.
    pub errors: usize,
    /// The new environments that answered.
    pub cold_starts: usize,
    /// The distinct environments that answered; `None` unless every answer has an id.
    pub environments: Option<usize>,
    /// The latency; `None` if nothing was answered.
    pub latency: Option<Latency>,
    /// The answered requests per second of the step.
    pub throughput: f64,
}

/// Evaluates the requests that were sent in a step.
pub fn step_result(step: Step, pings: &[Measured]) -> StepResult {
    let answered: Vec<&Measured> = pings.iter().filter(|ping| ping.start.is_some()).collect();
    let ids: Option<HashSet<&str>> = answered.iter().map(|ping| ping.environment.as_deref()).collect();
    let mut totals: Vec<Duration> = answered.iter().map(|ping| ping.total()).collect();
    totals.sort_unstable();
    let seconds = (step.until - step.from).as_secs_f64();
    StepResult {
        step,
        requests: pings.len(),
        errors: pings.len() - answered.len(),
        cold_starts: answered.iter().filter(|ping| ping.start.is_some_and(|start| start.is_new())).count(),
        environments: ids.filter(|_| !answered.is_empty()).map(|ids| ids.len()),
        latency: latency(&totals),
        throughput: if seconds > 0.0 { answered.len() as f64 / seconds } else { 0.0 },
    }
}

/// Returns the latency of sorted times, by nearest rank.
fn latency(sorted: &[Duration]) -> Option<Latency> {
    let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Latency {
        min: *sorted.first()?,
        p50: rank(50)?,
        p95: rank(95)?,
        p99: rank(99)?,
        max: *sorted.last()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::probe::Start;

    const ARTICLE: [u32; 4] = [3, 6, 9, 18];

    fn ramp() -> Ramp {
        Ramp { users: ARTICLE.to_vec(), length: Duration::from_secs(300) }
    }

    fn ping(ms: u64, start: Option<Start>, id: Option<&str>) -> Measured {
        Measured {
            sent: Duration::ZERO,
            received: Duration::from_millis(ms),
            hold: Duration::ZERO,
            start,
            init: None,
            duration: None,
            billed: None,
            memory_mb: None,
            environment: id.map(str::to_owned),
            failure: None,
        }
    }

    #[test]
    fn the_length_is_divided_equally_over_the_steps() {
        let seconds: Vec<(u32, u64, u64)> = ramp()
            .steps()
            .iter()
            .map(|step| (step.users, step.from.as_secs(), step.until.as_secs()))
            .collect();
        assert_eq!(seconds, [(3, 0, 75), (6, 75, 150), (9, 150, 225), (18, 225, 300)]);
        assert_eq!(ramp().highest(), 18);
    }

    #[test]
    fn the_forecast_is_users_times_length_over_the_time_of_a_request() {
        // (3 + 6 + 9 + 18) users × 75 s ÷ 0.5 s.
        assert_eq!(forecast(&ramp(), Duration::from_millis(500)), 5_400);
        assert_eq!(forecast(&ramp(), Duration::ZERO), 36 * 75_000);
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let step = ramp().steps()[0];
        let pings: Vec<Measured> = (1..=100).map(|ms| ping(ms, Some(Start::Warm), Some("a"))).collect();
        let result = step_result(step, &pings);
        let latency = result.latency.unwrap();
        let [min, p50, p95, p99, max] =
            [latency.min, latency.p50, latency.p95, latency.p99, latency.max].map(|time| time.as_millis());
        assert_eq!((min, p50, p95, p99, max), (1, 50, 95, 99, 100));
        assert_eq!(
            (result.requests, result.errors, result.cold_starts, result.environments),
            (100, 0, 0, Some(1))
        );
        assert!((result.throughput - 100.0 / 75.0).abs() < 1e-9);
    }

    #[test]
    fn failures_and_missing_ids_are_not_counted_as_environments() {
        let step = ramp().steps()[0];
        let pings =
            [ping(5, Some(Start::Cold), Some("a")), ping(1, None, None), ping(2, Some(Start::Warm), None)];
        let result = step_result(step, &pings);
        assert_eq!(
            (result.requests, result.errors, result.cold_starts, result.environments),
            (3, 1, 1, None)
        );
        let nothing = step_result(step, &[ping(1, None, None)]);
        assert_eq!((nothing.errors, nothing.latency, nothing.environments), (1, None, None));
    }
}
