//! One execution of a request: its timing, its billing and its effect on the environment.

use std::time::Duration;

use super::pool::{EnvironmentHealth, Occupancy, Placement};
use super::profile::{Package, Profile};
use super::random::SeededRng;

/// The way in which an environment started to serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The environment was idle.
    Warm,
    /// A new environment, for which the code was fetched.
    Cold,
    /// A new environment, whose code was cached.
    SemiCold,
    /// A new environment, whose init began before the request.
    Preinitialized,
    /// A new environment, restored from a snapshot.
    Restored,
    /// The environment was idle after a crash or timeout and initialised again. REPORT shows that as Duration.
    Reinitialised,
}

/// The outcome of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HandlerOutcome {
    /// An answer.
    Success,
    /// An error that the runtime caught, with its type.
    Error(String),
    /// The end of its process, with the error's type.
    Crash(String),
    /// The function's timeout.
    Timeout,
}

impl HandlerOutcome {
    /// Returns `errorType` of the answer; `None` for a success.
    pub(super) fn error_type(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Error(error_type) | Self::Crash(error_type) => Some(error_type),
            Self::Timeout => Some("Sandbox.Timedout"),
        }
    }
}

/// The random values of an execution, sampled before its placement.
#[derive(Debug)]
pub(super) struct Samples {
    fetch: Duration,
    init: Duration,
    restore: Option<Duration>,
    /// The time by which the init of a new environment begins before the request.
    ahead: Option<Duration>,
    idle_life: Duration,
    recycle_after: Duration,
    work: Duration,
    extension: Duration,
    outcome: HandlerOutcome,
}

impl Samples {
    /// Samples from `profile`, for a handler that works for `work` and ends with `outcome` unless the timeout is
    /// earlier.
    pub(super) fn new(
        profile: &Profile,
        rng: &mut SeededRng,
        version: &str,
        (work, outcome): (Duration, HandlerOutcome),
    ) -> Self {
        let published = !version.starts_with('$');
        Self {
            fetch: rng.within(profile.fetch),
            init: rng.within(profile.init),
            restore: profile.restore.filter(|_| published).map(|restore| rng.within(restore)),
            idle_life: rng.within(profile.idle_life),
            recycle_after: rng.within(profile.recycle_after),
            work,
            extension: match profile.extension {
                // No sample without an extension, so that it does not change the other samples.
                none if none.most.is_zero() => Duration::ZERO,
                some => rng.within(some),
            },
            // No sample without a share, either.
            ahead: profile
                .ahead
                .and_then(|ahead| (rng.uniform() < ahead.share).then(|| rng.within(ahead.by))),
            outcome,
        }
    }
}

/// One execution. Instants are counted from the emulator's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Execution {
    /// The start of its environment.
    pub start: Start,
    /// The instant from which its environment was occupied.
    pub from: Duration,
    /// The instant of the handler's answer.
    pub answered: Duration,
    /// The instant until which its environment was occupied.
    pub until: Duration,
    /// `Duration` of REPORT.
    pub duration: Duration,
    /// `Init Duration`.
    pub init: Option<Duration>,
    /// `Restore Duration` and `Billed Restore Duration` in ms.
    pub restore: Option<(Duration, u64)>,
    /// The duration of an INIT that exceeded its limit, for INIT_REPORT.
    pub init_timeout: Option<Duration>,
    /// `Billed Duration`, ms.
    pub billed_ms: u64,
    /// The handler's outcome.
    pub outcome: HandlerOutcome,
}

impl Execution {
    /// Calculates the execution of a request with that placement at `now`.
    pub(super) fn new(now: Duration, placement: Placement, profile: &Profile, samples: &Samples) -> Self {
        let mut execution = Self {
            start: Start::Warm,
            from: now,
            answered: now,
            until: now,
            duration: Duration::ZERO,
            init: None,
            restore: None,
            init_timeout: None,
            billed_ms: 0,
            outcome: samples.outcome.clone(),
        };
        let (before, suppressed) = execution.start_environment(placement, profile, samples);
        execution.duration = suppressed + samples.work;
        if samples.outcome == HandlerOutcome::Timeout || execution.duration > profile.timeout {
            execution.duration = profile.timeout;
            execution.outcome = HandlerOutcome::Timeout;
        }
        execution.answered = now + before + execution.duration;
        // The extension's time counts towards the function's timeout.
        execution.duration = profile.timeout.min(execution.duration + samples.extension);
        let billed_extra = match (execution.init, execution.restore) {
            // The INIT of a provisioned environment delays no request. The price of the environment includes it.
            _ if placement == Placement::Prepared => Duration::ZERO,
            (_, Some((_, billed_ms))) => Duration::from_millis(billed_ms),
            (Some(init), None) => init,
            (None, None) => Duration::ZERO,
        };
        execution.billed_ms = ceil_ms(execution.duration + billed_extra);
        execution.until = now + before + execution.duration;
        execution
    }

    /// Starts the environment. Returns the time before the handler's Duration starts, and the INIT within that
    /// Duration.
    fn start_environment(
        &mut self,
        placement: Placement,
        profile: &Profile,
        samples: &Samples,
    ) -> (Duration, Duration) {
        let (mut before, mut suppressed) = (Duration::ZERO, Duration::ZERO);
        match (placement, samples.restore) {
            (Placement::Idle, _) => {}
            (Placement::New | Placement::NewWithCode, _) if profile.at_once.get() > 1 => {}
            (Placement::Prepared, _) => {
                let fetch = if profile.package == Package::Image { samples.fetch } else { Duration::ZERO };
                self.init = Some(fetch + samples.init);
            }
            (Placement::Reset, _) => {
                self.start = Start::Reinitialised;
                suppressed = samples.init;
            }
            (Placement::New | Placement::NewWithCode, Some(restore)) => {
                self.start = Start::Restored;
                // Lambda bills the loading of the runtime and the after-restore hooks, but not the fetching of the
                // snapshot: about six tenths in the one published sample (303 of 511.25 ms).
                self.restore = Some((restore, ceil_ms(restore.mul_f64(0.6))));
                before = restore;
            }
            (Placement::New | Placement::NewWithCode, None) => {
                let fetch = if placement == Placement::New { samples.fetch } else { Duration::ZERO };
                self.start = match (samples.ahead, placement) {
                    (Some(_), _) => Start::Preinitialized,
                    (None, Placement::New) => Start::Cold,
                    (None, _) => Start::SemiCold,
                };
                let (unseen, init) = match profile.package {
                    Package::Zip => (fetch, samples.init),
                    Package::Image => (Duration::ZERO, fetch + samples.init),
                };
                match profile.init_limit {
                    Some(limit) if init > limit => {
                        self.init_timeout = Some(limit);
                        before = unseen + limit;
                        suppressed = samples.init;
                    }
                    Some(_) | None => {
                        self.init = Some(init);
                        before = unseen + init;
                    }
                }
                if let Some(ahead) = samples.ahead {
                    // The code was fetched before the init began.
                    before = (before - unseen).saturating_sub(ahead);
                }
            }
        }
        (before, suppressed)
    }

    /// Returns the occupancy of the environment.
    pub(super) fn occupancy(&self, profile: &Profile, samples: &Samples) -> Occupancy {
        Occupancy {
            until: self.until,
            idle_until: self.until + samples.idle_life,
            recycled_at: self.from + samples.recycle_after,
            code_from: match self.start {
                Start::Preinitialized => self.from,
                _ => self.from + samples.fetch,
            },
            code_until: self.until + profile.code_life,
            health: match self.outcome {
                HandlerOutcome::Success | HandlerOutcome::Error(_) => EnvironmentHealth::Healthy,
                HandlerOutcome::Crash(_) | HandlerOutcome::Timeout => EnvironmentHealth::Reset,
            },
        }
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod ahead_tests;

/// Returns whole milliseconds, rounded up, as Lambda bills since 2020-12.
fn ceil_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::profile::{Ahead, Span};
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn run(
        placement: Placement,
        profile: &Profile,
        version: &str,
        work: Duration,
        outcome: HandlerOutcome,
    ) -> Execution {
        let samples = Samples::new(profile, &mut SeededRng::new(1, "t"), version, (work, outcome));
        Execution::new(ms(1000), placement, profile, &samples)
    }

    #[test]
    fn init_is_billed_and_fetching_a_zip_is_not() {
        let run = run(
            Placement::New,
            &Profile::python(),
            "$LATEST",
            Duration::from_micros(1160),
            HandlerOutcome::Success,
        );
        assert_eq!((run.start, run.init, run.billed_ms), (Start::Cold, Some(ms(250)), 252));
        assert_eq!(run.until, ms(1000 + 150 + 250) + Duration::from_micros(1160));
    }

    #[test]
    fn fetching_an_image_is_part_of_init() {
        let profile = Profile::container_image();
        let cold = run(Placement::New, &profile, "1", ms(65), HandlerOutcome::Success);
        let semi_cold = run(Placement::NewWithCode, &profile, "1", ms(65), HandlerOutcome::Success);
        assert_eq!(cold.init.unwrap() - semi_cold.init.unwrap(), Duration::from_millis(83_435));
        assert!((89_000..91_000).contains(&cold.billed_ms), "{}", cold.billed_ms);
        assert!((6_065..7_066).contains(&semi_cold.billed_ms), "{}", semi_cold.billed_ms);
        assert_eq!(run(Placement::Idle, &profile, "1", ms(65), HandlerOutcome::Success).billed_ms, 65);
    }

    #[test]
    fn snapstart_restores_published_versions_only() {
        let profile = Profile::java_snapstart();
        let restored = run(Placement::New, &profile, "7", ms(20), HandlerOutcome::Success);
        let (took, billed_ms) = restored.restore.unwrap();
        assert!(restored.init.is_none() && billed_ms < took.as_millis() as u64);
        assert_eq!(restored.billed_ms, 20 + billed_ms);
        assert_eq!(
            run(Placement::New, &profile, "$LATEST", ms(20), HandlerOutcome::Success).start,
            Start::Cold
        );
    }

    #[test]
    fn a_reset_environment_shows_its_init_as_duration() {
        let run = run(Placement::Reset, &Profile::python(), "1", ms(2), HandlerOutcome::Success);
        assert_eq!((run.start, run.init, run.duration), (Start::Reinitialised, None, ms(252)));
    }

    #[test]
    fn the_timeout_applies_to_the_handler_and_not_to_init() {
        let profile = Profile { timeout: ms(100), ..Profile::python() };
        let run = run(Placement::New, &profile, "1", ms(5000), HandlerOutcome::Success);
        assert_eq!((run.outcome, run.duration, run.billed_ms), (HandlerOutcome::Timeout, ms(100), 350));
    }

    #[test]
    fn an_extension_works_after_the_answer_and_is_billed() {
        let profile = Profile { extension: Span::millis(40), timeout: ms(100), ..Profile::python() };
        let idle = run(Placement::Idle, &profile, "1", ms(25), HandlerOutcome::Success);
        assert_eq!((idle.answered, idle.until), (ms(1025), ms(1065)));
        assert_eq!((idle.duration, idle.billed_ms), (ms(65), 65));
        // Its time counts towards the function's timeout.
        let long = run(Placement::Idle, &profile, "1", ms(80), HandlerOutcome::Success);
        assert_eq!((long.answered, long.until, long.outcome), (ms(1080), ms(1100), HandlerOutcome::Success));
    }

    #[test]
    fn an_init_ahead_shortens_the_wait_and_is_reported_and_billed_in_full() {
        let start = |by| {
            let ahead = Some(Ahead { share: 1.0, by: Span::millis(by) });
            let profile = Profile { ahead, ..Profile::python() };
            let run = run(Placement::New, &profile, "1", ms(2), HandlerOutcome::Success);
            assert_eq!((run.start, run.init, run.billed_ms), (Start::Preinitialized, Some(ms(250)), 252));
            run.answered
        };
        // Without the fetching of the code, which came before.
        assert_eq!([start(0), start(200), start(9_000)], [ms(1252), ms(1052), ms(1002)]);
        let profile =
            Profile { ahead: Some(Ahead { share: 0.0, by: Span::millis(200) }), ..Profile::python() };
        let none = run(Placement::New, &profile, "1", ms(2), HandlerOutcome::Success);
        assert_eq!((none.start, none.answered), (Start::Cold, ms(1402)));
    }

    #[test]
    fn managed_instances_are_initialised_before_they_get_requests() {
        let profile = Profile { at_once: NonZeroU32::new(10).unwrap(), ..Profile::python() };
        let first = run(Placement::New, &profile, "1", ms(25), HandlerOutcome::Success);
        assert_eq!((first.start, first.init, first.until), (Start::Warm, None, ms(1025)));
    }

    #[test]
    fn init_above_its_limit_is_repeated_in_the_request() {
        let profile = Profile { init_limit: Some(Duration::from_secs(10)), ..Profile::container_image() };
        let run = run(Placement::New, &profile, "1", ms(65), HandlerOutcome::Success);
        assert_eq!((run.init, run.init_timeout), (None, Some(Duration::from_secs(10))));
        assert!((ms(6065)..=ms(7065)).contains(&run.duration), "{:?}", run.duration);
    }
}
