//! Selects the rounds of a tick.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::info;

use crate::domain::backlog::Readings;
use crate::domain::fleet::Fleet;
use crate::domain::function::Identity;
use crate::domain::pipeline::{self, PipelineNeed};
use crate::domain::records::{Levels, Pauses, Served};
use crate::domain::schedule::{self, DueReason, Minute};
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::tick::Due;

/// The targets that are due: those that are pinged, and those that are skipped.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    pub(super) due: Vec<Due>,
    pub(super) skipped: Vec<RoundRecord>,
}

/// A tick of the schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick<'f> {
    pub(super) fleet: &'f Fleet,
    pub(super) minute: Minute,
    /// The minute of the schedule's previous firing.
    pub(super) previous: Minute,
    /// The time of the system clock.
    pub(super) now: DateTime<Utc>,
    /// The metrics of backlogs.
    pub(super) readings: &'f Readings,
    /// The numbers that they want.
    pub(super) levels: &'f Levels,
}

/// Divides the due targets into those that are pinged, and those that are paused or busy at `now`.
pub(super) fn partition(
    tick: &Tick<'_>,
    due: &[schedule::DueTarget],
    pauses: &Pauses,
    served: &Served,
) -> Selection {
    let Tick { fleet, now, readings, .. } = *tick;
    let mut selection = Selection::default();
    for due in due {
        let Some(target) = fleet.targets.get(due.index) else { continue };
        let metric_age = readings.get(&target.id).and_then(|reading| reading.age);
        let skipped =
            |reason| RoundRecord { metric_age, ..RoundRecord::skipped(target, due.desired, reason) };
        if let Some(pause) = pauses.of(target, now) {
            // The deployment stays pending.
            if due.reason == DueReason::Deployment {
                continue;
            }
            info!(function = %target.id.shown(), region = %target.region(), "{pause}");
            selection.skipped.push(skipped(SkipReason::Paused));
        } else if served.is_busy(target, now) {
            selection.skipped.push(skipped(SkipReason::InFlight));
        } else {
            let is_deployed = served.deployments.is_due(&target.id, now);
            let due_round = |concurrency| {
                let due = Due::new(Arc::new(target.clone()), concurrency);
                Due { metric_age, is_deployed, ..due }
            };
            selection.due.extend(NonZeroU32::new(due.desired).map(due_round));
        }
    }
    selection
}

/// Adds to rounds what the process of a shard cannot know: whether they work off a backlog, and the numbers to which
/// pipelines raise them. `backlogs` is `None` if it is unknown which targets have one.
pub(super) fn mark(
    due: &mut [Due],
    fleet: &Fleet,
    pipelines: &[PipelineNeed],
    backlogs: Option<&BTreeSet<Identity>>,
    at: Minute,
) {
    let raised = pipeline::raised(fleet, pipelines, at);
    for due in due {
        let id = &due.target.id;
        due.raised_to = raised.get(&id.without_tenant()).copied();
        due.has_backlog = backlogs.map_or(due.target.on_request.is_some(), |backlogs| backlogs.contains(id));
    }
}

/// Returns the numbers of the pipelines with a target in the selection, or with capacity.
pub(super) fn needs(
    fleet: &Fleet,
    readings: &Readings,
    at: Minute,
    selection: &Selection,
) -> Vec<PipelineNeed> {
    if fleet.pipelines.is_empty() {
        return Vec::new();
    }
    let due = selection.due.iter().map(|due| &due.target.id);
    let selected: HashSet<&Identity> = due.chain(selection.skipped.iter().map(|round| &round.id)).collect();
    pipeline::needs(fleet, readings, at, |target| {
        target.strategy.is_capacity() || selected.contains(&target.id)
    })
}
