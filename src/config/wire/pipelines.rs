//! The keys of pipelines.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::json;

use super::{MOST_CONCURRENCY, MetricSourceKeys, OnRequestKeys, WindowKeys};
use crate::config::node::Node;
use crate::config::reader::{FromNode, Reader};
use crate::config::values::{
    DrainTime, FreeText, Integer, Lead, List, Rate, RouteKind, Size, Table, TableEntry, Via, Zone,
};
use crate::config::wire_struct::wire_struct;
use crate::domain::function::{FunctionName, FunctionRef, Region};
use crate::domain::limits::Invocation;
use crate::domain::parse::quoted;

/// The most requests of one invocation, and of a backlog for which there is one environment.
pub(in crate::config) const MOST_REQUESTS: u32 = 1_000_000_000;

/// The pipelines by name. Commands take their names in place of functions, so they have the form of names of functions.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) struct Pipelines(
    #[schemars(
        with = "BTreeMap<String, PipelineKeys>",
        extend("propertyNames" = json!({ "pattern": "^[A-Za-z0-9_-]{1,64}$" }))
    )]
    pub Vec<TableEntry<PipelineKeys>>,
);

impl FromNode for Pipelines {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Table(entries) = Table::from_node(node, reader)?;
        for TableEntry { name, .. } in &entries {
            if FunctionName::parse(&name.value).is_err() {
                let message = format!("expected the name of a pipeline, found {}", quoted(&name.value));
                let problem = reader.error(name.span, message);
                reader.reject::<()>(problem.hint("use 1 to 64 of A-Z a-z 0-9 - _"));
            }
        }
        Some(Self(entries))
    }
}

wire_struct! {
    /// Functions that serve one load in stages, and are warmed together.
    struct PipelineKeys ["stages"] {
        /// The one region of the pipeline. Default: that of `defaults`.
        region: Region,
        /// The regions of the pipeline: it is complete in each.
        regions: List<Region>,
        /// The time zone of windows. Default: UTC.
        timezone: Zone,
        /// `false` disables the pipeline. Its functions keep windows of their own. Default: true.
        enabled: bool,
        /// The times with their loads: each needs `load: { requests_per_second: … }`.
        windows: List<WindowKeys>,
        /// The stages, in the order in which they serve a request.
        stages: List<StageKeys>,
        /// Limits of Warm Requests for the pipeline, and for its functions where theirs are lower.
        on_request: OnRequestKeys,
        /// A backlog of requests that is read from a metric at each tick.
        backlog: PipelineBacklogKeys,
        /// Free text in every record of functions that only this pipeline names.
        owner: FreeText,
        /// The time before an opening at which the full numbers are warm, in whole minutes. Default: the longest
        /// `init_duration` of the functions, rounded up; for stages with the strategies `provisioned` and `managed`
        /// their own default where it is longer.
        lead: Lead,
    }
}

wire_struct! {
    /// A stage of a pipeline: one function, or the parts of a model that is split over several functions.
    struct StageKeys ["rate"] {
        /// The function, by `name`, `name:qualifier` or function ARN.
        function: FunctionRef,
        /// The functions of a split model, at least 2, instead of `function`. Each has the number of the stage.
        parts: List<FunctionRef>,
        /// The requests of one invocation. Default: 1.
        takes: Integer<1, MOST_REQUESTS>,
        /// Requests a second that one environment serves. The number of a window is load ÷ rate, rounded up.
        rate: Rate,
        /// The waiting requests for which there is one environment. The number of a backlog is backlog ÷ per_backlog,
        /// rounded up.
        per_backlog: Integer<1, MOST_REQUESTS>,
        /// The size of the payload of an invocation: `2MB` is 2,000,000 bytes.
        payload: Size,
        /// The way of a payload that is too large for an invocation: `s3`.
        via: Via,
        /// How the function is invoked, which limits the payload: `sync` or `async`. Default: `async`.
        source: Invocation,
        /// The route of the bytes from S3, for prices. Needs `via: s3`.
        route: RouteKind,
        /// The region of the bucket, for the route `inter-region`.
        bucket_region: Region,
    }
}

wire_struct! {
    /// A backlog of requests for a pipeline.
    struct PipelineBacklogKeys ["metric", "max"] {
        /// The metric whose value is the number of waiting requests.
        metric: MetricSourceKeys,
        /// The most environments of a function.
        max: Integer<1, MOST_CONCURRENCY>,
        /// The time in which stages without `per_backlog` work off the backlog.
        drain: DrainTime,
    }
}

impl PipelineKeys {
    /// Returns the functions of the stages.
    pub(in crate::config) fn functions(&self) -> impl Iterator<Item = &FunctionRef> {
        let stages = self.stages.iter().flat_map(|stages| &stages.value.0).map(|at| &at.value);
        stages.flat_map(|stage| {
            let parts = stage.parts.iter().flat_map(|parts| &parts.value.0);
            stage.function.iter().chain(parts).map(|at| &at.value)
        })
    }
}
