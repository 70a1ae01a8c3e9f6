//! The rounds of an invocation, within its time.

use std::borrow::Cow;

use super::{Invoked, Warmer, nothing};
use crate::cli::clock::SystemClock;
use crate::cli::store::halfway;
use crate::domain::fleet::Fleet;
use crate::domain::metric_data::TickScope;
use crate::domain::shard::Shard;
use crate::domain::tick::TickReport;
use crate::engine::planner::{Plan, StoreHealth};
use crate::engine::ports::Clock;
use crate::engine::stop::stop;
use crate::engine::tick::Due;

/// The number of rounds of a tick that were recorded before it ended: they come first in its report.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstPart {
    /// True when there was one; nothing may have ended by then.
    was_recorded: bool,
    rounds: usize,
    unfinished: usize,
}

impl FirstPart {
    /// Returns the part of the tick that is still to be recorded.
    pub(super) fn rest<'r>(&self, report: &'r TickReport) -> Cow<'r, TickReport> {
        if !self.was_recorded {
            return Cow::Borrowed(report);
        }
        let mut rest = report.clone();
        rest.rounds.drain(..self.rounds);
        rest.unfinished.drain(..self.unfinished);
        Cow::Owned(rest)
    }

    /// Returns the share for the rest of a tick: figures that count once for a tick were sent with its first part.
    pub(super) fn share(&self, share: TickScope) -> TickScope {
        if self.was_recorded { TickScope::Part } else { share }
    }
}

impl Warmer {
    /// Runs rounds within the invocation's time. Those that were not released are handed on, as often as they may be.
    /// When some take long, what has ended is recorded before; the second value is what was.
    pub(super) async fn rounds(
        &self,
        fleet: &Fleet,
        shard: &Shard,
        due: Vec<Due>,
        share: TickScope,
        plan: Option<&Plan>,
        invoked: &Invoked<'_>,
    ) -> (TickReport, FirstPart) {
        let (stopper, stop) = stop();
        let cutoff = invoked.start + invoked.share.wait;
        let released = invoked.start + invoked.share.release;
        let mut running = self.engine.start(shard.tick, Some(fleet.hash.clone()), due.clone(), &stop);
        let stopping = async {
            tokio::time::sleep_until(invoked.start + invoked.share.release).await;
            stopper.stop();
            std::future::pending::<()>().await
        };
        let running = async {
            let partial_at = running.partial_at();
            let all_ended = running.wait(Some(partial_at.min(cutoff))).await;
            let mut first = None;
            // Not when the time is nearly over: what is handed on then is part of the last report.
            if !all_ended && partial_at < released {
                let (report, left) = (running.partial(), running.left());
                let recording = async {
                    if let Some(plan) = plan {
                        let noting = self.planner.note_part(plan, &left, &report, &due, SystemClock.now());
                        let _ = halfway(cutoff, noting).await;
                    }
                    self.record_until(fleet, &report, share, StoreHealth::Sound, invoked, cutoff).await;
                };
                // Side by side: a slow record must not delay the end of the rounds.
                tokio::join!(recording, running.wait(Some(cutoff)));
                first = Some(report);
            }
            let mut report = running.finish();
            let mut part = FirstPart::default();
            if let Some(first) = first {
                part = FirstPart {
                    was_recorded: true,
                    rounds: first.rounds.len(),
                    unfinished: first.unfinished.len(),
                };
                report.rounds.splice(0..0, first.rounds);
                report.unfinished.splice(0..0, first.unfinished);
            }
            (report, part)
        };
        let (mut report, part) = tokio::select! {
            ended = running => ended,
            () = stopping => (nothing(shard.tick, fleet), FirstPart::default()),
        };
        if self.settings.bus.is_some() {
            self.hand_on(fleet, shard, &due, &mut report, invoked).await;
        }
        (report, part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Target;
    use crate::domain::tick::{RoundRecord, SkipReason, Unfinished, UnfinishedReason};

    #[test]
    fn what_was_recorded_first_is_not_recorded_again() {
        let target = |name: &str| Target::example(name, "eu-west-2", Vec::new());
        let round = |name: &str| RoundRecord::skipped(&target(name), 1, SkipReason::Paused);
        let left = |name: &str| Unfinished::new(&target(name), 1, UnfinishedReason::InFlight);
        let report = TickReport {
            tick: "2026-11-20T09:00:00Z".parse().unwrap(),
            config: None,
            duration_ms: 1,
            partial: false,
            rounds: ["a", "b", "c"].map(round).to_vec(),
            unfinished: ["d", "e"].map(left).to_vec(),
        };
        let none = FirstPart::default();
        assert_eq!((none.rest(&report).as_ref(), none.share(TickScope::Whole)), (&report, TickScope::Whole));
        let first = FirstPart { was_recorded: true, rounds: 2, unfinished: 1 };
        let rest = first.rest(&report);
        let names = |rounds: &[RoundRecord]| rounds.iter().map(|round| round.id.label()).collect::<Vec<_>>();
        assert_eq!((names(&rest.rounds), rest.unfinished[0].id.name.as_str()), (vec!["c".to_owned()], "e"));
        assert_eq!((rest.unfinished.len(), first.share(TickScope::Whole)), (1, TickScope::Part));
        let empty = FirstPart { was_recorded: true, ..FirstPart::default() };
        assert_eq!(
            empty.share(TickScope::Whole),
            TickScope::Part,
            "counted once, also when nothing had ended"
        );
    }
}
