//! Pipelines: functions that serve one load in stages, and are warmed together.

mod bonds;
mod needs;
mod report;

use std::sync::Arc;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;

use super::calendar::Window;
use super::cost::Route;
use super::function::{Identity, Region};
use super::on_request::OnRequest;

pub use self::bonds::Bonds;
pub use self::needs::{needs, needs_of_rounds, raised};
pub use self::report::report;

/// A pipeline in one region.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The name.
    pub name: Arc<str>,
    /// The region.
    pub region: Region,
    /// The stages, in the order in which they serve a request.
    pub stages: Vec<Stage>,
    /// The requests per second of each window, in the order of the windows of every stage.
    pub loads: Vec<Decimal>,
    /// The limits of Warm Requests; `None` disables them.
    pub on_request: Option<OnRequest>,
}

#[cfg(test)]
impl Pipeline {
    /// A pipeline for tests, without windows. Each environment serves 100 requests a second or of a backlog.
    pub(crate) fn example(name: &str, stages: &[Vec<Identity>]) -> Self {
        let stage = |parts: &Vec<Identity>| Stage {
            parts: parts.clone(),
            takes: 1,
            rate: Decimal::ONE_HUNDRED,
            per_backlog: Some(100),
            payload: None,
            windows: Vec::new(),
        };
        let region = Region::parse("eu-west-2").unwrap();
        let stages = stages.iter().map(stage).collect();
        Self { name: name.into(), region, stages, loads: Vec::new(), on_request: None }
    }
}

/// A stage of a pipeline.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The function, or the parts of a model that is split over several, without tenants. All have the same number of
    /// environments.
    pub parts: Vec<Identity>,
    /// The requests of one invocation, at least 1.
    pub takes: u32,
    /// The requests a second that one environment serves, above zero.
    pub rate: Decimal,
    /// The waiting requests for which there is one environment, at least 1; `None` if backlogs have no effect.
    pub per_backlog: Option<u32>,
    /// The payload of an invocation, if its size is configured.
    pub payload: Option<Payload>,
    /// The windows of the pipeline, with the number of this stage.
    pub windows: Vec<Window>,
}

/// The payload of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// The size in bytes.
    pub bytes: u64,
    /// True if it goes through S3: one PUT before and one GET in each invocation.
    pub is_via_s3: bool,
    /// The route of its bytes; `None` if it is not configured.
    pub route: Option<Route>,
}

impl Stage {
    /// Returns the functions, such as `encode-a:live + encode-b:live`.
    pub fn label(&self) -> String {
        label(&self.parts)
    }
}

fn label(parts: &[Identity]) -> String {
    parts.iter().map(Identity::label).collect::<Vec<_>>().join(" + ")
}

/// The numbers of a pipeline at a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineNeed {
    /// The name.
    pub name: Arc<str>,
    /// The region.
    pub region: Region,
    /// The stages: their functions, and the number of environments of each.
    pub stages: Vec<(Vec<Identity>, u32)>,
    /// Those of the functions that nothing warms now, although their stage has a number: disabled ones.
    pub unwarmed: Vec<Identity>,
    /// Those of the functions that are due in this tick in another process.
    pub elsewhere: Vec<Identity>,
}

/// Returns the function of a target, which names the targets of all its tenants.
fn function_of(id: &Identity) -> Identity {
    Identity { tenant: None, ..id.clone() }
}

/// The result of a pipeline at a tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PipelineReport {
    /// The name.
    pub name: String,
    /// The region.
    #[schemars(with = "String")]
    pub region: Region,
    /// True if every stage has its number of environments; null if no stage is known to be cold, and one is unknown. A
    /// function that was not due in this tick is as it was, and has no effect.
    pub warm: Option<bool>,
    /// The stages with fewer environments, each as the functions that are configured for it, such as
    /// `encode-a:live + encode-b:live`.
    pub cold_stages: Vec<String>,
}

#[cfg(test)]
mod tests;
