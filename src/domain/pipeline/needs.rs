//! The number of environments of each stage at a tick.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Pipeline, PipelineNeed, Stage, function_of};
use crate::domain::backlog::Readings;
use crate::domain::calendar::{Opening, Window};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::schedule::{Minute, concurrency_at, desired};

/// Returns the numbers of the pipelines with a function that is due, skipped or has capacity in a tick at `at`, which
/// `is_in_tick` decides. `fleet` is the one that the tick is planned with, requests and metrics included. Pipelines whose
/// number is 0 are left out.
pub fn needs(
    fleet: &Fleet,
    readings: &Readings,
    at: Minute,
    is_in_tick: impl Fn(&Target) -> bool,
) -> Vec<PipelineNeed> {
    let targets = by_function(fleet);
    let of = |part: &Identity| targets.get(part).into_iter().flatten().copied();
    let number = |pipeline: &Pipeline, stage: &Stage| {
        let own = highest(stage.windows.iter(), at);
        let of_part =
            |part| of(part).map(|target| number_of(pipeline, target, own, readings, at)).max().unwrap_or(own);
        // Environments that only some parts have to spare are not missing.
        stage.parts.iter().map(of_part).min().unwrap_or(own)
    };
    let is_unwarmed = |part: &Identity| of(part).all(|target| desired(target, at) == 0);
    collect(fleet, |part| of(part).any(&is_in_tick), number, is_unwarmed)
}

/// Returns the numbers of the pipelines with a round in a shard of a tick at `at`. The numbers that requests and metrics
/// wanted are not in the shard: a stage without an open window has the number of its rounds.
pub fn needs_of_rounds<'r>(
    fleet: &Fleet,
    at: Minute,
    rounds: impl Iterator<Item = (&'r Identity, u32)>,
) -> Vec<PipelineNeed> {
    if fleet.pipelines.is_empty() {
        return Vec::new();
    }
    let rounds: HashMap<Identity, u32> = rounds.map(|(id, number)| (function_of(id), number)).collect();
    let of_windows =
        needs(fleet, &Readings::new(), at, |target| rounds.contains_key(&function_of(&target.id)));
    let number = |pipeline: &Pipeline, stage: &Stage| {
        let of = |need: &&PipelineNeed| (&need.name, need.region) == (&pipeline.name, pipeline.region);
        let stages = of_windows.iter().find(of).into_iter().flat_map(|need| &need.stages);
        let open = stages.filter(|(parts, _)| *parts == stage.parts).map(|(_, number)| *number).max();
        let of_rounds = || stage.parts.iter().filter_map(|part| rounds.get(part).copied()).min();
        open.filter(|number| *number > 0).or_else(of_rounds).unwrap_or(0)
    };
    let targets = by_function(fleet);
    let is_unwarmed = |part: &Identity| targets.get(part).is_none_or(Vec::is_empty);
    collect(fleet, |part| rounds.contains_key(part), number, is_unwarmed)
}

fn collect(
    fleet: &Fleet,
    is_in_tick: impl Fn(&Identity) -> bool,
    number: impl Fn(&Pipeline, &Stage) -> u32,
    is_unwarmed: impl Fn(&Identity) -> bool,
) -> Vec<PipelineNeed> {
    let need = |pipeline: &Pipeline| {
        let parts = || pipeline.stages.iter().flat_map(|stage| &stage.parts);
        parts().any(&is_in_tick).then(|| PipelineNeed {
            name: Arc::clone(&pipeline.name),
            region: pipeline.region,
            stages: pipeline
                .stages
                .iter()
                .map(|stage| (stage.parts.clone(), number(pipeline, stage)))
                .collect(),
            unwarmed: parts().filter(|part| is_unwarmed(part)).cloned().collect(),
        })
    };
    let needs = fleet.pipelines.iter().filter_map(need);
    needs.filter(|need| need.stages.iter().any(|(_, number)| *number > 0)).collect()
}

/// Returns the targets of each function of a pipeline: one, or one for each tenant.
fn by_function(fleet: &Fleet) -> HashMap<Identity, Vec<&Target>> {
    let stages = fleet.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
    let mut targets: HashMap<Identity, Vec<&Target>> =
        stages.flat_map(|stage| &stage.parts).map(|part| (part.clone(), Vec::new())).collect();
    if !targets.is_empty() {
        for target in &fleet.targets {
            if let Some(of) = targets.get_mut(&function_of(&target.id)) {
                of.push(target);
            }
        }
    }
    targets
}

fn highest<'w>(windows: impl Iterator<Item = &'w Window>, at: Minute) -> u32 {
    windows.map(|window| concurrency_at(window, at)).max().unwrap_or(0)
}

/// Returns the number that a pipeline wants of a target, spare ones included. `own` is that of the stage's windows.
fn number_of(pipeline: &Pipeline, target: &Target, own: u32, readings: &Readings, at: Minute) -> u32 {
    let is_request = |window: &&Window| {
        window.pipeline.as_ref() == Some(&pipeline.name) && matches!(window.opening, Opening::Once(..))
    };
    let requested = highest(target.windows.iter().filter(is_request), at);
    let read = readings.get(&target.id).into_iter().flat_map(|reading| &reading.by_pipeline);
    let read = read.filter(|(name, _)| *name == pipeline.name).map(|(_, number)| *number).max().unwrap_or(0);
    // The spare ones are part of the number of a metric.
    let read = if read == 0 { 0 } else { read.saturating_sub(target.spare).max(1) };
    match own.max(requested).max(read) {
        0 => 0,
        number => number.saturating_add(target.spare),
    }
}
