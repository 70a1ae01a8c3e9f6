//! The provisioned concurrency of one qualifier. It is pure: time is an argument, and an earlier one than the last has
//! the effect of the last.

use std::time::Duration;

use super::super::observe::ProvisionedLevel;
use super::load::Load;

/// The billing step. Source: AWS Lambda pricing.
const STEP: u64 = 300;

/// The state of the environments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// All that are requested are available.
    #[default]
    Ready,
    /// More are prepared.
    InProgress {
        /// The beginning.
        since: Duration,
        /// The instant when all are available, or have failed.
        until: Duration,
        /// The reason for which they will fail.
        fails: Option<String>,
    },
    /// The preparation failed for this reason. What was available before stays.
    Failed(String),
}

/// The configuration of a qualifier and its environments. A number of 0 means that there is no configuration.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Provisioned {
    requested: u32,
    available: u32,
    phase: Phase,
    /// True while the number is that of the profile.
    pub(super) is_initial: bool,
    last: Duration,
    levels: Vec<ProvisionedLevel>,
    /// The requests that the environments serve.
    pub(in crate::emulator) load: Load,
}

impl Provisioned {
    /// Returns the number requested.
    pub(super) fn requested(&self) -> u32 {
        self.requested
    }

    /// Returns the number of environments that serve requests.
    pub(in crate::emulator) fn available(&self) -> u32 {
        self.available
    }

    /// Returns the state of the environments.
    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Returns the changes of the numbers.
    pub(super) fn levels(&self) -> &[ProvisionedLevel] {
        &self.levels
    }

    /// Returns the number allocated at `now`: it grows from the available to the requested one.
    pub(super) fn allocated(&self, now: Duration) -> u32 {
        match &self.phase {
            Phase::InProgress { since, until, .. } if until > since => {
                let part = now.saturating_sub(*since).div_duration_f64(*until - *since).min(1.0);
                let missing = self.requested.saturating_sub(self.available);
                self.available + (f64::from(missing) * part) as u32
            }
            _ => self.available,
        }
    }

    /// Returns the concurrency that the environments take from that of the account or function.
    pub(super) fn claimed(&self) -> u32 {
        match self.phase {
            Phase::Failed(_) => self.available,
            Phase::Ready | Phase::InProgress { .. } => self.requested,
        }
    }

    /// Completes a preparation that has ended by `now`.
    pub(in crate::emulator) fn advance(&mut self, now: Duration) {
        if let Phase::InProgress { until, fails, .. } = &self.phase
            && *until <= now
        {
            let until = *until;
            self.phase = match fails.clone() {
                Some(reason) => Phase::Failed(reason),
                None => {
                    self.available = self.requested;
                    Phase::Ready
                }
            };
            self.record(until);
        }
        self.last = self.last.max(now);
    }

    /// Requests `number` environments at `at`. More than the available ones take the time `prepare`, and then fail for
    /// the reason `fails`, if there is one.
    pub(super) fn request(&mut self, at: Duration, number: u32, prepare: Duration, fails: Option<String>) {
        let at = at.max(self.last);
        self.advance(at);
        if number == self.requested && !matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        self.requested = number;
        if number <= self.available {
            (self.available, self.phase) = (number, Phase::Ready);
        } else {
            self.phase = Phase::InProgress { since: at, until: at + prepare, fails };
        }
        self.record(at);
        self.advance(at);
    }

    /// Prepares all environments anew for the time `time`, for another version. `keeps` is true if those of the present
    /// version serve requests until then.
    pub(super) fn renew(&mut self, at: Duration, time: Duration, fails: Option<String>, keeps: bool) {
        let at = at.max(self.last);
        self.advance(at);
        if self.requested == 0 {
            return;
        }
        if !keeps {
            self.available = 0;
        }
        self.phase = Phase::InProgress { since: at, until: at + time, fails };
        self.record(at);
        self.advance(at);
    }

    /// Sets the reason for which a preparation in progress will fail.
    pub(super) fn set_fails(&mut self, reason: Option<&String>) {
        if let Phase::InProgress { fails, .. } = &mut self.phase {
            *fails = reason.cloned();
        }
    }

    fn record(&mut self, at: Duration) {
        let level = ProvisionedLevel {
            at,
            requested: self.requested,
            available: self.available,
            billed: self.claimed(),
        };
        let numbers = |level: &ProvisionedLevel| (level.requested, level.available, level.billed);
        match self.levels.last_mut() {
            Some(last) if numbers(last) == numbers(&level) => {}
            Some(last) if last.at == at => *last = level,
            _ => self.levels.push(level),
        }
    }

    /// Returns the environment-seconds that are billed until `now`: each environment from the instant when it was
    /// enabled until it is disabled, rounded up to five minutes. The last to be enabled are the first to be disabled.
    pub(super) fn environment_seconds(&self, now: Duration) -> u64 {
        let mut steps: Vec<u32> = self.levels.iter().map(|level| level.billed).collect();
        steps.sort_unstable();
        steps.dedup();
        // Environments of the same band are up at the same times.
        let bands = steps.iter().scan(0, |below, step| Some((std::mem::replace(below, *step), *step)));
        bands.map(|(below, step)| u64::from(step - below) * self.billed_above(below, now)).sum()
    }

    /// Returns the seconds that are billed for an environment that is up while more than `below` are.
    fn billed_above(&self, below: u32, now: Duration) -> u64 {
        let (mut seconds, mut since) = (0, None);
        for level in &self.levels {
            match (since, level.billed > below) {
                (None, true) => since = Some(level.at),
                (Some(begun), false) => {
                    seconds += rounded(level.at - begun);
                    since = None;
                }
                _ => {}
            }
        }
        seconds + since.map_or(0, |begun| rounded(now.saturating_sub(begun)))
    }

    /// Returns the number of available environments at `at`.
    pub(super) fn available_at(&self, at: Duration) -> u32 {
        self.levels.iter().rev().find(|level| level.at <= at).map_or(0, |level| level.available)
    }
}

/// Returns whole seconds, rounded up to the billing step.
fn rounded(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(u128::from(STEP) * 1_000_000_000)).unwrap_or(u64::MAX / STEP)
        * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn phase(provisioned: &Provisioned) -> &'static str {
        match provisioned.phase() {
            Phase::Ready => "ready",
            Phase::InProgress { .. } => "in progress",
            Phase::Failed(_) => "failed",
        }
    }

    #[test]
    fn an_increase_is_available_when_all_of_it_is_prepared_and_a_decrease_at_once() {
        // (time, request), then phase and requested, allocated and available environments.
        let mut provisioned = Provisioned::default();
        let mut rows = Vec::new();
        for (at, number) in [
            (0, Some(4)),
            (45, None),
            (90, None),
            (100, Some(10)),
            (130, None),
            (140, Some(6)),
            (229, None),
            (230, None),
            (240, Some(2)),
            (250, Some(8)),
            (260, Some(2)),
            (270, Some(0)),
            (400, None),
        ] {
            match number {
                Some(number) => provisioned.request(s(at), number, s(90), None),
                None => provisioned.advance(s(at)),
            }
            let Provisioned { requested, available, .. } = provisioned;
            let allocated = provisioned.allocated(s(at));
            rows.push(format!("{at} {} {requested} {allocated} {available}", phase(&provisioned)));
        }
        insta::assert_snapshot!(rows.join("\n"), @r"
        0 in progress 4 0 0
        45 in progress 4 2 0
        90 ready 4 4 4
        100 in progress 10 4 4
        130 in progress 10 6 4
        140 in progress 6 4 4
        229 in progress 6 5 4
        230 ready 6 6 6
        240 ready 2 2 2
        250 in progress 8 2 2
        260 ready 2 2 2
        270 ready 0 0 0
        400 ready 0 0 0
        ");
    }

    #[test]
    fn a_failed_increase_leaves_what_was_available_until_it_is_tried_again() {
        let mut provisioned = Provisioned::default();
        provisioned.request(s(0), 3, s(0), None);
        provisioned.request(s(10), 9, s(60), Some("FUNCTION_ERROR_INIT_FAILURE".to_owned()));
        provisioned.advance(s(69));
        assert_eq!(
            (phase(&provisioned), provisioned.available(), provisioned.claimed()),
            ("in progress", 3, 9)
        );
        provisioned.advance(s(70));
        assert_eq!((phase(&provisioned), provisioned.available(), provisioned.claimed()), ("failed", 3, 3));
        assert_eq!(provisioned.requested(), 9);
        provisioned.request(s(100), 9, s(60), None);
        assert_eq!(phase(&provisioned), "in progress");
        provisioned.advance(s(200));
        assert_eq!((phase(&provisioned), provisioned.available()), ("ready", 9));
        let levels: Vec<_> =
            provisioned.levels().iter().map(|l| (l.at.as_secs(), l.requested, l.available)).collect();
        assert_eq!(
            levels,
            [(0, 3, 3), (10, 9, 3), (70, 9, 3), (100, 9, 3), (160, 9, 9)],
            "at the instants themselves"
        );
        assert_eq!([59, 160, 159].map(|at| provisioned.available_at(s(at))), [3, 9, 3]);
    }

    #[test]
    fn the_failure_of_a_preparation_in_progress_can_change() {
        let mut provisioned = Provisioned::default();
        provisioned.request(s(0), 2, s(60), None);
        provisioned.set_fails(Some(&"X".to_owned()));
        provisioned.advance(s(60));
        assert_eq!(provisioned.phase(), &Phase::Failed("X".to_owned()));
        provisioned.set_fails(None);
        assert_eq!(phase(&provisioned), "failed");
    }

    #[test]
    fn an_earlier_time_has_the_effect_of_the_last() {
        let mut provisioned = Provisioned::default();
        provisioned.request(s(100), 2, s(0), None);
        provisioned.request(s(50), 1, s(0), None);
        assert_eq!(provisioned.levels().last().map(|level| level.at), Some(s(100)));
        assert_eq!(provisioned.levels().len(), 1);
    }

    #[test]
    fn the_bill_rounds_each_uninterrupted_period_up_to_five_minutes() {
        // (changes, time of the bill, environment-seconds by hand)
        for (changes, now, expected) in [
            (&[(0, 10)][..], 0, 0),
            (&[(0, 10)], 1, 10 * 300),
            (&[(0, 10), (300, 0)], 9000, 10 * 300),
            (&[(0, 10), (301, 0)], 9000, 10 * 600),
            // Twice a minute of one environment, not in one piece.
            (&[(0, 1), (60, 0), (120, 1), (180, 0)], 9000, 2 * 300),
            // Four environments for an hour, six more for 7 minutes of it.
            (&[(0, 4), (600, 10), (1020, 4), (3600, 0)], 9000, 4 * 3600 + 6 * 600),
            // Five up, three of which end early, and two of which come again for a minute.
            (&[(0, 5), (400, 2), (1000, 4), (1060, 0)], 9000, 2 * 1200 + 3 * 600 + 2 * 300),
            (&[(10, 7), (10, 0)], 9000, 0),
        ] {
            let mut provisioned = Provisioned::default();
            for (at, number) in changes {
                provisioned.request(s(*at), *number, s(0), None);
            }
            assert_eq!(provisioned.environment_seconds(s(now)), expected, "{changes:?}");
        }
    }

    #[test]
    fn a_failed_increase_is_billed_until_it_fails() {
        let mut provisioned = Provisioned::default();
        provisioned.request(s(0), 2, s(0), None);
        provisioned.request(s(600), 5, s(120), Some("X".to_owned()));
        provisioned.advance(s(6000));
        assert_eq!(provisioned.environment_seconds(s(6000)), 2 * 6000 + 3 * 300);
    }

    #[test]
    fn another_version_is_prepared_while_the_present_one_serves_or_not() {
        let mut provisioned = Provisioned::default();
        provisioned.renew(s(0), s(60), None, true);
        assert_eq!((phase(&provisioned), provisioned.levels().len()), ("ready", 0), "nothing to prepare");
        provisioned.request(s(0), 2, s(0), None);
        provisioned.renew(s(100), s(60), None, true);
        assert_eq!((phase(&provisioned), provisioned.available()), ("in progress", 2));
        provisioned.renew(s(110), s(60), None, false);
        assert_eq!((phase(&provisioned), provisioned.available()), ("in progress", 0));
        provisioned.advance(s(170));
        assert_eq!((phase(&provisioned), provisioned.available()), ("ready", 2));
        assert_eq!(provisioned.environment_seconds(s(300)), 600);
    }
}
