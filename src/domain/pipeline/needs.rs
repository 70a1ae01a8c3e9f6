//! The number of environments of each stage at a tick.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Pipeline, PipelineNeed, Stage, function_of};
use crate::domain::backlog::Readings;
use crate::domain::calendar::{Opening, Window};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::schedule::{Minute, concurrency_at, desired, due};

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

/// Returns the numbers of the pipelines with a round in a shard of a tick at `at`: those of their windows, and those to
/// which requests and metrics raise the rounds. Functions without a round that are due at `at` are in another process.
pub fn needs_of_rounds<'r>(
    fleet: &Fleet,
    at: Minute,
    rounds: impl Iterator<Item = (&'r Identity, Option<u32>)>,
) -> Vec<PipelineNeed> {
    if fleet.pipelines.is_empty() {
        return Vec::new();
    }
    let rounds: HashMap<Identity, Option<u32>> =
        rounds.map(|(id, raised_to)| (function_of(id), raised_to)).collect();
    let targets = by_function(fleet);
    let number = |_: &Pipeline, stage: &Stage| {
        let raised_to = stage.parts.iter().filter_map(|part| *rounds.get(part)?).min();
        number_of_windows(&targets, stage, at).max(raised_to.unwrap_or(0))
    };
    let is_unwarmed = |part: &Identity| targets.get(part).is_none_or(Vec::is_empty);
    let mut needs = collect(fleet, |part| rounds.contains_key(part), number, is_unwarmed);
    let is_due = |target: &&Target| target.is_pinged() && due(target, at).is_some();
    let is_elsewhere = |part: &&Identity| {
        !rounds.contains_key(*part) && targets.get(*part).into_iter().flatten().any(is_due)
    };
    for need in &mut needs {
        let parts = need.stages.iter().flat_map(|(parts, _)| parts);
        need.elsewhere = parts.filter(is_elsewhere).cloned().collect();
    }
    needs
}

/// Returns the functions for which requests or metrics want more than the windows of a pipeline, and the number: of
/// several pipelines the highest.
pub fn raised(fleet: &Fleet, needs: &[PipelineNeed], at: Minute) -> HashMap<Identity, u32> {
    let mut raised = HashMap::new();
    if needs.is_empty() {
        return raised;
    }
    let targets = by_function(fleet);
    for need in needs {
        let is_its = |of: &&Pipeline| (&of.name, of.region) == (&need.name, need.region);
        let stages = || fleet.pipelines.iter().filter(is_its).flat_map(|pipeline| &pipeline.stages);
        for (parts, number) in &need.stages {
            let own = stages().filter(|stage| stage.parts == *parts);
            let own = own.map(|stage| number_of_windows(&targets, stage, at)).max();
            if *number > own.unwrap_or(0) {
                for part in parts {
                    let to = raised.entry(part.clone()).or_insert(*number);
                    *to = (*to).max(*number);
                }
            }
        }
    }
    raised
}

/// Returns the number that the windows of a stage want, spare ones included.
fn number_of_windows(targets: &HashMap<Identity, Vec<&Target>>, stage: &Stage, at: Minute) -> u32 {
    let own = highest(stage.windows.iter(), at);
    let spare = |part: &Identity| {
        targets.get(part).into_iter().flatten().map(|target| target.spare).max().unwrap_or(0)
    };
    match own {
        0 => 0,
        own => own.saturating_add(stage.parts.iter().map(spare).min().unwrap_or(0)),
    }
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
            elsewhere: Vec::new(),
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
