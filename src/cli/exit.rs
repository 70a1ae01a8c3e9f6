//! Exit codes, decided in one place.

use std::process::ExitCode;

use super::outlet::Delivered;
use crate::domain::tick::{TickReport, Verdict};
use crate::service::planner::StoreHealth;
use crate::service::recorder::Recorded;

/// How the process ends. The codes are a contract that other people's scripts use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, nothing short.
    Success,
    /// 1: something of ours failed (metrics lost, a round not run, anything unexpected).
    Failed,
    /// 1: a second signal ended the process before its work was done, or one signal while its output was not read.
    Interrupted,
    /// 2: bad usage or configuration; nothing was sent.
    Usage,
    /// 3: at least one round is short.
    Short,
    /// 4: `diff --exit-code` found changes.
    Changed,
}

impl Exit {
    /// The code of a single tick. A short round matters more than a loss of ours: it is what the caller asked about.
    pub fn of_tick(report: &TickReport, recorded: Option<Recorded>) -> Self {
        if report.rounds.iter().any(|round| round.verdict == Verdict::Short) {
            return Self::Short;
        }
        let recorded = match recorded {
            None | Some(Recorded::Sent) => true,
            // The data was saved, but CloudWatch did not take it: somebody should look.
            Some(Recorded::FellBack | Recorded::Lost) => false,
        };
        if recorded && report.unfinished.is_empty() { Self::Success } else { Self::Failed }
    }

    /// The code after the output: 0 when the reader of standard output has closed its end, as in `warmd plan | head`.
    pub fn after(self, delivered: Delivered) -> Self {
        match (self, delivered) {
            (Self::Interrupted, _) | (_, Delivered::Abandoned) => Self::Interrupted,
            (_, Delivered::Closed) => Self::Success,
            (exit, Delivered::Done) => exit,
        }
    }

    /// The same code, unless a success was had without the state store: that is a failure of ours.
    pub fn with_store(self, health: StoreHealth) -> Self {
        match (self, health) {
            (Self::Success, StoreHealth::Unavailable) => Self::Failed,
            _ => self,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed | Self::Interrupted => 1,
            Self::Usage => 2,
            Self::Short => 3,
            Self::Changed => 4,
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
    use crate::domain::tick::{RoundRecord, Skipped, Unfinished, UnfinishedReason};

    fn report(verdicts: &[Verdict], unfinished: bool) -> TickReport {
        let region = Region::parse("eu-west-2").unwrap();
        let target = crate::domain::fleet::Target::bare(&FunctionRef::parse("f").unwrap(), region);
        let rounds = verdicts.iter().map(|verdict| {
            let round = RoundRecord::skipped(&target, 1, Skipped::InFlight);
            RoundRecord { verdict: *verdict, ..round }
        });
        TickReport {
            tick: DateTime::UNIX_EPOCH,
            config: None,
            duration_ms: 1,
            partial: false,
            rounds: rounds.collect(),
            unfinished: unfinished
                .then(|| Unfinished::new(&target, 1, UnfinishedReason::Deadline))
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn a_reader_that_is_gone_wants_no_code_but_a_second_signal_has_one() {
        assert_eq!(Exit::Short.after(Delivered::Done), Exit::Short);
        assert_eq!(Exit::Short.after(Delivered::Closed).code(), 0);
        assert_eq!(Exit::Success.after(Delivered::Abandoned).code(), 1);
        assert_eq!(Exit::Interrupted.after(Delivered::Closed).code(), 1);
    }

    #[test]
    fn a_short_round_outranks_our_own_losses_and_anything_else_of_ours_is_1() {
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
