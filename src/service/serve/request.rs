//! Plans Warm Requests.

use std::sync::Arc;

use tracing::info;

use super::Service;
use super::job::{Job, Work};
use crate::domain::events::WarmRequest;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::FunctionRef;
use crate::domain::parse::nearest;
use crate::domain::records::RequestTerms;
use crate::engine::ports::{Events, Lambda, Metrics};
use crate::service::Refusal;
use crate::service::store::Durability;

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Plans the rounds of a Warm Request.
    pub(super) async fn plan_request(&self, mut job: Job, request: &WarmRequest) -> Result<Job, Refusal> {
        let function = &request.function;
        let fleet = Arc::clone(&job.fleet);
        let targets = self.requested(&fleet, request).map_err(|reason| {
            let message =
                format!("the Warm Request for `{function}` is refused, and nothing was sent: {reason}");
            Refusal::Refused(message)
        })?;
        // The sender's clock may be up to a minute ahead.
        let at = request.at.unwrap_or(job.now).min(job.now);
        job.shard.tick = at;
        if self.is_stale(at, job.now) {
            return Ok(job.nothing(Work::Stale));
        }
        let (concurrency, keep_for, reason) = (request.concurrency, request.keep_for, request.reason.clone());
        info!(%function, concurrency, reason, "Warm Request");
        let terms = RequestTerms { at, concurrency, keep_for, reason };
        let plan = self.planner.request(&fleet, &targets, &terms, job.now).await.map_err(|unavailable| {
            Refusal::StateUnavailable(format!(
                "the Warm Request for `{function}` cannot be kept, and nothing was sent: {unavailable}"
            ))
        })?;
        Ok(Job { plan, ..job })
    }

    /// Returns the targets of a request.
    ///
    /// # Errors
    /// The reason why the request is refused.
    fn requested<'f>(&self, fleet: &'f Fleet, request: &WarmRequest) -> Result<Vec<&'f Target>, String> {
        let is_requested = |target: &&Target| {
            request.function.is_of(&target.id)
                && request.region.is_none_or(|region| region == target.region())
        };
        let mut targets: Vec<&Target> = fleet.targets.iter().filter(is_requested).collect();
        if targets.is_empty() {
            let near = nearest_target(fleet, &request.function);
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("it is not in the configuration of this region{hint}"));
        }
        targets.retain(|target| target.on_request.is_some());
        if targets.is_empty() {
            return Err("it has no `on_request` in the configuration".to_owned());
        }
        if request.keep_for.is_some() && self.planner.durability() == Durability::Volatile {
            return Err("`for` needs a state store (WARMD_STATE), and there is none".to_owned());
        }
        Ok(targets)
    }
}

/// Returns the target that was probably meant: the same function with another qualifier, or one of a similar name.
/// Targets with `on_request` come first.
fn nearest_target<'f>(fleet: &'f Fleet, function: &FunctionRef) -> Option<&'f str> {
    let written = function.to_string();
    let others = || fleet.targets.iter().filter(|target| target.label != written);
    let same = others().filter(|target| target.id.name == function.name);
    let same = same.min_by_key(|target| target.on_request.is_none()).map(|target| target.label.as_str());
    let allowed = || others().filter(|target| target.on_request.is_some());
    same.or_else(|| nearest(&written, allowed().map(|target| target.label.as_str())))
        .or_else(|| nearest(&written, others().map(|target| target.label.as_str())))
}
