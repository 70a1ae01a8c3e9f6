//! Exit codes.

use std::process::ExitCode;

use super::outlet::Delivered;
use crate::domain::tick::TickReport;
use crate::service::planner::StoreHealth;
use crate::service::recorder::Recorded;

/// The result of the process. Scripts depend on the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: success, no round is short or unsafe.
    Success,
    /// 1: internal failure (metrics lost, a round not run, anything unexpected).
    Failed,
    /// 1: stopped by a second signal, or by one signal while waiting for the reader of the output.
    Interrupted,
    /// 2: invalid usage or configuration; nothing was sent.
    Usage,
    /// 3: at least one round is short or unsafe, or not proven where that is required.
    Short,
    /// 4: `diff --exit-code` found changes.
    Changed,
    /// 5: the cost is above `diff --fail-above`.
    AboveLimit,
}

impl Exit {
    /// Returns the result of a single tick. A short round takes precedence over an internal failure.
    pub fn of_tick(report: &TickReport, recorded: Option<Recorded>) -> Self {
        if report.any_short() {
            return Self::Short;
        }
        let recorded = match recorded {
            None | Some(Recorded::Sent) => true,
            // The data is saved, but CloudWatch did not accept it.
            Some(Recorded::FellBack | Recorded::Lost) => false,
        };
        if recorded && report.unfinished.is_empty() { Self::Success } else { Self::Failed }
    }

    /// Returns the result after the output: success if the reader of standard output closed it, as in
    /// `warmd plan | head`.
    pub fn after(self, delivered: Delivered) -> Self {
        match (self, delivered) {
            (Self::Interrupted, _) | (_, Delivered::Abandoned) => Self::Interrupted,
            (_, Delivered::Closed) => Self::Success,
            (exit, Delivered::Done) => exit,
        }
    }

    /// Turns success into failure if the state store was unavailable.
    pub fn with_store(self, health: StoreHealth) -> Self {
        match (self, health) {
            (Self::Success, StoreHealth::Unavailable) => Self::Failed,
            _ => self,
        }
    }

    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed | Self::Interrupted => 1,
            Self::Usage => 2,
            Self::Short => 3,
            Self::Changed => 4,
            Self::AboveLimit => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::round::Verdict;
    use crate::domain::tick::{RoundRecord, SkipReason, Unfinished, UnfinishedReason};

    fn report(verdicts: &[Verdict], unfinished: bool) -> TickReport {
        let region = Region::parse("eu-west-2").unwrap();
        let target = crate::domain::fleet::Target::bare(&FunctionRef::parse("f").unwrap(), region);
        let rounds = verdicts.iter().map(|verdict| {
            if *verdict == Verdict::Skipped {
                return RoundRecord::skipped(&target, 1, SkipReason::InFlight);
            }
            RoundRecord::example(&target, 1, *verdict, None)
        });
        TickReport {
            rounds: rounds.collect(),
            unfinished: unfinished
                .then(|| Unfinished::new(&target, 1, UnfinishedReason::Deadline))
                .into_iter()
                .collect(),
            ..TickReport::empty(DateTime::UNIX_EPOCH, None)
        }
    }

    #[test]
    fn a_closed_output_is_success_and_an_interrupt_is_not() {
        assert_eq!(Exit::Short.after(Delivered::Done), Exit::Short);
        assert_eq!(Exit::Short.after(Delivered::Closed).code(), 0);
        assert_eq!(Exit::Success.after(Delivered::Abandoned).code(), 1);
        assert_eq!(Exit::Interrupted.after(Delivered::Closed).code(), 1);
    }

    #[test]
    fn a_short_round_takes_precedence_over_internal_failures() {
        let of = |verdicts: &[Verdict], unfinished, recorded| {
            Exit::of_tick(&report(verdicts, unfinished), recorded).code()
        };
        assert_eq!(of(&[], false, Some(Recorded::Sent)), 0);
        assert_eq!(of(&[Verdict::Reached, Verdict::Unproven, Verdict::Skipped], false, None), 0);
        assert_eq!(of(&[Verdict::Reached, Verdict::Short], true, Some(Recorded::Lost)), 3);
        assert_eq!(of(&[Verdict::Reached], false, Some(Recorded::FellBack)), 1);
        assert_eq!(of(&[Verdict::Reached], false, Some(Recorded::Lost)), 1);
        assert_eq!(of(&[Verdict::Reached], true, None), 1);
        let without_store = |exit: Exit| exit.with_store(StoreHealth::Unavailable).code();
        assert_eq!((without_store(Exit::Success), without_store(Exit::Short)), (1, 3));
        assert_eq!(Exit::Success.with_store(StoreHealth::Sound).code(), 0);
    }
}
