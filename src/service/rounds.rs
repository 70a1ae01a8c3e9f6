//! The parts of a tick: slow rounds do not delay the report on the others.

use std::pin::pin;

use tokio::time::Instant;
use tracing::warn;

use super::budget::TimeBudget;
use crate::domain::pipeline::PipelineReport;
use crate::domain::tick::{RoundRecord, TickReport};
use crate::engine::running::RunningTick;
use crate::engine::tick::Due;

/// A part of a tick. A tick whose rounds take long has two: the rounds that ended in time, and the rest.
#[derive(Debug)]
pub struct Part {
    /// The part of the report that is shown and recorded.
    pub report: TickReport,
    /// True for the first part.
    pub is_first: bool,
    /// The whole report, with the last part only.
    pub whole: Option<TickReport>,
    /// The rounds that still run; none with the last part.
    pub running: Vec<Due>,
    /// The deadline for recording the part.
    pub until: Instant,
}

/// Completes and records the parts of a tick.
pub(super) trait Reporter: Sync {
    /// Completes the last part after its rounds have ended.
    fn complete(&self, rest: &mut TickReport) -> impl Future<Output = ()> + Send;

    /// Returns the results of the pipelines.
    fn pipelines(&self, _whole: &TickReport) -> Vec<PipelineReport> {
        Vec::new()
    }

    /// Takes a part.
    fn part(&self, part: &Part) -> impl Future<Output = ()> + Send;
}

/// Waits for rounds, and reports them with the rounds that were `skipped`: once, or in two parts when some take long.
/// Returns the whole report.
pub(super) async fn report_in_parts(
    mut running: RunningTick,
    skipped: Vec<RoundRecord>,
    budget: &TimeBudget,
    reporter: &impl Reporter,
) -> TickReport {
    let mut cutoff = pin!(budget.cutoff());
    let partial_at = running.partial_at();
    let (mut has_ended, mut is_cut) = (false, false);
    tokio::select! {
        biased;
        ended = running.wait(Some(partial_at)) => has_ended = ended,
        () = &mut cutoff => is_cut = true,
    }
    let is_late = !has_ended && !is_cut;
    let mut skipped = Some(skipped);
    let mut first = None;
    if is_late && budget.allows_part(partial_at) {
        let mut report = running.partial();
        report.rounds.extend(skipped.take().into_iter().flatten());
        let (left, until) = (running.left(), budget.until(|split| split.wait));
        let part = Part { report, is_first: true, whole: None, running: left, until };
        let waiting = async {
            tokio::select! {
                biased;
                _ = running.wait(None) => {}
                () = &mut cutoff => {}
            }
        };
        // Concurrently: a slow record must not delay the end of the rounds.
        tokio::join!(reporter.part(&part), waiting);
        first = Some(part.report);
    } else if is_late {
        tokio::select! {
            biased;
            _ = running.wait(None) => {}
            () = &mut cutoff => {}
        }
    }
    let mut report = running.finish();
    report.rounds.extend(skipped.into_iter().flatten());
    reporter.complete(&mut report).await;
    for left in &report.unfinished {
        let (function, region, reason) = (left.id.shown(), left.id.region, left.reason);
        warn!(function, %region, pings = left.desired, ?reason, "left unfinished");
    }
    let is_first = first.is_none();
    let mut whole = report.clone();
    if let Some(first) = first {
        whole.rounds.splice(0..0, first.rounds);
        whole.unfinished.splice(0..0, first.unfinished);
    }
    whole.pipelines = reporter.pipelines(&whole);
    report.pipelines.clone_from(&whole.pipelines);
    let until = budget.until(|split| split.record);
    let part = Part { report, is_first, whole: Some(whole), running: Vec::new(), until };
    reporter.part(&part).await;
    part.whole.unwrap_or(part.report)
}
