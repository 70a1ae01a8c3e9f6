//! The rounds that belong together: those of a pipeline in one process, those of a stage at one instant.

use std::collections::HashMap;

use super::{Pipeline, function_of};
use crate::domain::function::Identity;

/// The groups of functions that are warmed together.
#[derive(Debug, Clone, Default)]
pub struct Bonds {
    stages: HashMap<Identity, u32>,
    pipelines: HashMap<Identity, u32>,
}

impl Bonds {
    /// Returns the groups of a fleet's pipelines. Groups with a common function are one group.
    pub fn of(pipelines: &[Pipeline]) -> Self {
        let stages = pipelines.iter().flat_map(|pipeline| &pipeline.stages);
        let parts = stages.map(|stage| stage.parts.iter().collect()).filter(|parts: &Vec<_>| parts.len() > 1);
        let all = |pipeline: &'_ Pipeline| -> Vec<Identity> {
            pipeline.stages.iter().flat_map(|stage| stage.parts.iter().cloned()).collect()
        };
        let all: Vec<Vec<Identity>> = pipelines.iter().map(all).collect();
        Self { stages: unite(parts), pipelines: unite(all.iter().map(|all| all.iter().collect())) }
    }

    /// Returns the number of the group whose rounds are released at the same instant; `None` if the function of the
    /// target is not one of several parts.
    pub fn stage(&self, id: &Identity) -> Option<u32> {
        get(&self.stages, id)
    }

    /// Returns the number of the group of pipelines; `None` if the function of the target is in none.
    pub fn pipeline(&self, id: &Identity) -> Option<u32> {
        get(&self.pipelines, id)
    }
}

fn get(groups: &HashMap<Identity, u32>, id: &Identity) -> Option<u32> {
    match id.tenant {
        None => groups.get(id).copied(),
        Some(_) => groups.get(&function_of(id)).copied(),
    }
}

/// Returns the number of the group of each function. Groups with a common function are united.
fn unite<'p>(groups: impl Iterator<Item = Vec<&'p Identity>>) -> HashMap<Identity, u32> {
    let mut numbers: HashMap<Identity, u32> = HashMap::new();
    for (group, number) in groups.zip(0_u32..) {
        let known: Vec<u32> = group.iter().filter_map(|id| numbers.get(*id).copied()).collect();
        numbers.values_mut().filter(|of| known.contains(of)).for_each(|of| *of = number);
        numbers.extend(group.into_iter().map(|id| (id.clone(), number)));
    }
    numbers
}
