//! One execution: what a request costs the environment it met, in time and in money.

use std::time::Duration;

use super::chance::Chance;
use super::pool::{Health, Met, Stay};
use super::profile::{Package, Profile};

/// How an environment came to serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// It was idle.
    Warm,
    /// It was made, and the code was fetched.
    Cold,
    /// It was made; the code was cached near by.
    SemiCold,
    /// It was made from a snapshot.
    Restored,
    /// It was idle after a crash or timeout and had to initialise again, which REPORT shows as Duration.
    Reinitialised,
}

/// How a handler ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an answer.
    Success,
    /// With an error that the runtime caught.
    Error(String),
    /// With the end of its process.
    Crash(String),
    /// At the function's timeout.
    Timeout,
}

/// What chance decides of an execution before anything is met.
#[derive(Debug)]
pub(super) struct Draws {
    fetch: Duration,
    init: Duration,
    restore: Option<Duration>,
    idle_life: Duration,
    recycle_after: Duration,
    work: Duration,
    extension: Duration,
    ending: Ending,
}

impl Draws {
    /// Drawn from `profile`, for a handler that would like to work for `work` and to end in `ending`.
    pub(super) fn new(
        profile: &Profile,
        chance: &mut Chance,
        version: &str,
        (work, ending): (Duration, Ending),
    ) -> Self {
        let published = !version.starts_with('$');
        Self {
            fetch: chance.within(profile.fetch),
            init: chance.within(profile.init),
            restore: profile.restore.filter(|_| published).map(|restore| chance.within(restore)),
            idle_life: chance.within(profile.idle_life),
            recycle_after: chance.within(profile.recycle_after),
            work,
            extension: match profile.extension {
                // Drawn only where there is one: what chance decides of the others must not depend on it.
                none if none.most.is_zero() => Duration::ZERO,
                some => chance.within(some),
            },
            ending,
        }
    }
}

/// One execution. Instants are counted from the emulator's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Execution {
    /// How its environment came to serve it.
    pub start: Start,
    /// From when its environment was occupied.
    pub from: Duration,
    /// When the handler had answered.
    pub answered: Duration,
    /// The instant until which its environment was occupied.
    pub until: Duration,
    /// `Duration` of REPORT.
    pub duration: Duration,
    /// `Init Duration`.
    pub init: Option<Duration>,
    /// `Restore Duration` and `Billed Restore Duration` in ms.
    pub restore: Option<(Duration, u64)>,
    /// An INIT that was given up: its INIT_REPORT.
    pub init_given_up: Option<Duration>,
    /// `Billed Duration`, ms.
    pub billed_ms: u64,
    /// How the handler ended.
    pub ending: Ending,
}

impl Execution {
    /// The execution of a request that met `met` at `now`.
    pub(super) fn new(now: Duration, met: Met, profile: &Profile, draws: &Draws) -> Self {
        let mut execution = Self {
            start: Start::Warm,
            from: now,
            answered: now,
            until: now,
            duration: Duration::ZERO,
            init: None,
            restore: None,
            init_given_up: None,
            billed_ms: 0,
            ending: draws.ending.clone(),
        };
        // What passes before the handler's own clock starts, and what of INIT falls into that clock.
        let (mut before, mut suppressed) = (Duration::ZERO, Duration::ZERO);
        match (met, draws.restore) {
            (Met::Idle, _) => {}
            (Met::New | Met::NewWithCode, _) if profile.at_once.get() > 1 => {}
            (Met::Reset, _) => {
                execution.start = Start::Reinitialised;
                suppressed = draws.init;
            }
            (Met::New | Met::NewWithCode, Some(restore)) => {
                execution.start = Start::Restored;
                // Billed: loading the runtime and after-restore hooks, not the fetching of the snapshot. About six
                // tenths in the one published sample (511.25 ms, of which 303 billed).
                execution.restore = Some((restore, ceil_ms(restore.mul_f64(0.6))));
                before = restore;
            }
            (Met::New | Met::NewWithCode, None) => {
                let fetch = if met == Met::New { draws.fetch } else { Duration::ZERO };
                execution.start = if met == Met::New { Start::Cold } else { Start::SemiCold };
                let (unseen, init) = match profile.package {
                    Package::Zip => (fetch, draws.init),
                    Package::Image => (Duration::ZERO, fetch + draws.init),
                };
                match profile.init_limit {
                    Some(limit) if init > limit => {
                        execution.init_given_up = Some(limit);
                        before = unseen + limit;
                        suppressed = draws.init;
                    }
                    Some(_) | None => {
                        execution.init = Some(init);
                        before = unseen + init;
                    }
                }
            }
        }
        execution.duration = suppressed + draws.work;
        if draws.ending == Ending::Timeout || execution.duration > profile.timeout {
            execution.duration = profile.timeout;
            execution.ending = Ending::Timeout;
        }
        execution.answered = now + before + execution.duration;
        // The extension's time counts towards the function's timeout.
        execution.duration = profile.timeout.min(execution.duration + draws.extension);
        let billed_extra = match (execution.init, execution.restore) {
            (_, Some((_, billed_ms))) => Duration::from_millis(billed_ms),
            (Some(init), None) => init,
            (None, None) => Duration::ZERO,
        };
        execution.billed_ms = ceil_ms(execution.duration + billed_extra);
        execution.until = now + before + execution.duration;
        execution
    }

    /// What that means for the environment.
    pub(super) fn stay(&self, profile: &Profile, draws: &Draws) -> Stay {
        Stay {
            until: self.until,
            idle_until: self.until + draws.idle_life,
            recycled_at: self.from + draws.recycle_after,
            code_from: self.from + draws.fetch,
            code_until: self.until + profile.code_life,
            health: match self.ending {
                Ending::Success | Ending::Error(_) => Health::Well,
                Ending::Crash(_) | Ending::Timeout => Health::Reset,
            },
        }
    }
}

/// Whole milliseconds, rounded up: how Lambda bills since 2020-12.
fn ceil_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::profile::Span;
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn run(met: Met, profile: &Profile, version: &str, work: Duration, ending: Ending) -> Execution {
        let draws = Draws::new(profile, &mut Chance::of(1, "t"), version, (work, ending));
        Execution::new(ms(1000), met, profile, &draws)
    }

    #[test]
    fn init_is_billed_and_fetching_a_zip_is_not() {
        let run = run(Met::New, &Profile::python(), "$LATEST", Duration::from_micros(1160), Ending::Success);
        assert_eq!((run.start, run.init, run.billed_ms), (Start::Cold, Some(ms(250)), 252));
        assert_eq!(run.until, ms(1000 + 150 + 250) + Duration::from_micros(1160));
    }

    #[test]
    fn fetching_an_image_is_part_of_init() {
        let profile = Profile::container_image();
        let cold = run(Met::New, &profile, "1", ms(65), Ending::Success);
        let semi_cold = run(Met::NewWithCode, &profile, "1", ms(65), Ending::Success);
        assert_eq!(cold.init.unwrap() - semi_cold.init.unwrap(), Duration::from_millis(83_435));
        assert!((89_000..91_000).contains(&cold.billed_ms), "{}", cold.billed_ms);
        assert!((6_065..7_066).contains(&semi_cold.billed_ms), "{}", semi_cold.billed_ms);
        assert_eq!(run(Met::Idle, &profile, "1", ms(65), Ending::Success).billed_ms, 65);
    }

    #[test]
    fn snapstart_restores_published_versions_only() {
        let profile = Profile::java_snapstart();
        let restored = run(Met::New, &profile, "7", ms(20), Ending::Success);
        let (took, billed_ms) = restored.restore.unwrap();
        assert!(restored.init.is_none() && billed_ms < took.as_millis() as u64);
        assert_eq!(restored.billed_ms, 20 + billed_ms);
        assert_eq!(run(Met::New, &profile, "$LATEST", ms(20), Ending::Success).start, Start::Cold);
    }

    #[test]
    fn a_reset_environment_shows_its_init_as_duration() {
        let run = run(Met::Reset, &Profile::python(), "1", ms(2), Ending::Success);
        assert_eq!((run.start, run.init, run.duration), (Start::Reinitialised, None, ms(252)));
    }

    #[test]
    fn the_timeout_cuts_the_handler_and_not_init() {
        let profile = Profile { timeout: ms(100), ..Profile::python() };
        let run = run(Met::New, &profile, "1", ms(5000), Ending::Success);
        assert_eq!((run.ending, run.duration, run.billed_ms), (Ending::Timeout, ms(100), 350));
    }

    #[test]
    fn an_extension_works_on_after_the_answer_and_is_billed() {
        let profile = Profile { extension: Span::millis(40), timeout: ms(100), ..Profile::python() };
        let idle = run(Met::Idle, &profile, "1", ms(25), Ending::Success);
        assert_eq!((idle.answered, idle.until), (ms(1025), ms(1065)));
        assert_eq!((idle.duration, idle.billed_ms), (ms(65), 65));
        // Its time counts towards the function's timeout.
        let long = run(Met::Idle, &profile, "1", ms(80), Ending::Success);
        assert_eq!((long.answered, long.until, long.ending), (ms(1080), ms(1100), Ending::Success));
    }

    #[test]
    fn managed_instances_are_initialised_before_they_get_requests() {
        let profile = Profile { at_once: NonZeroU32::new(10).unwrap(), ..Profile::python() };
        let first = run(Met::New, &profile, "1", ms(25), Ending::Success);
        assert_eq!((first.start, first.init, first.until), (Start::Warm, None, ms(1025)));
    }

    #[test]
    fn init_above_its_limit_is_given_up_and_repeated_in_the_request() {
        let profile = Profile { init_limit: Some(Duration::from_secs(10)), ..Profile::container_image() };
        let run = run(Met::New, &profile, "1", ms(65), Ending::Success);
        assert_eq!((run.init, run.init_given_up), (None, Some(Duration::from_secs(10))));
        assert!((ms(6065)..=ms(7065)).contains(&run.duration), "{:?}", run.duration);
    }
}
