//! Plans Warm Requests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tracing::info;

use super::Service;
use super::job::{Job, Work};
use crate::domain::backlog::per_environment;
use crate::domain::events::{Backlog, Need, Subject, WarmRequest};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::FunctionRef;
use crate::domain::parse::{nearest, quoted};
use crate::domain::pipeline::Pipeline;
use crate::domain::records::{BacklogTerms, RequestTerms};
use crate::engine::ports::{Events, Lambda, Metrics};
use crate::service::Refusal;
use crate::service::planner::{Ask, AskTerms};
use crate::service::store::Durability;

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Plans the rounds of a Warm Request.
    pub(super) async fn plan_request(&self, mut job: Job, request: &WarmRequest) -> Result<Job, Refusal> {
        let subject = &request.subject;
        let fleet = Arc::clone(&job.fleet);
        // The sender's clock may be up to a minute ahead.
        let at = request.at.unwrap_or(job.now).min(job.now);
        let refused = |reason| {
            let message =
                format!("the Warm Request for {subject} is refused, and nothing was sent: {reason}");
            Refusal::Refused(message)
        };
        let asks = match subject {
            Subject::Function(function, need) => requested(&fleet, function, need, request, at),
            Subject::Pipeline { .. } => requested_of_pipeline(&fleet, request, at),
        };
        let asks = asks.and_then(|asks| self.check_store(request).map(|()| asks)).map_err(refused)?;
        job.shard.tick = at;
        if self.is_stale(at, job.now) {
            return Ok(job.nothing(Work::Stale));
        }
        match subject {
            Subject::Function(function, Need::Environments(concurrency)) => {
                info!(%function, concurrency, reason = request.reason, "Warm Request");
            }
            Subject::Function(function, Need::Backlog(Backlog { messages, .. })) => {
                info!(%function, backlog = messages, reason = request.reason, "Warm Request");
            }
            Subject::Pipeline { name, messages, .. } => {
                info!(pipeline = name, backlog = messages, reason = request.reason, "Warm Request");
            }
        }
        let plan = self.planner.request(&fleet, &asks, job.now).await.map_err(|unavailable| {
            Refusal::StateUnavailable(format!(
                "the Warm Request for {subject} cannot be kept, and nothing was sent: {unavailable}"
            ))
        })?;
        Ok(Job { plan, ..job })
    }

    /// Refuses a request that must be stored when there is no state store.
    fn check_store(&self, request: &WarmRequest) -> Result<(), String> {
        let key = match &request.subject {
            Subject::Function(_, Need::Environments(_)) if request.keep_for.is_some() => "for",
            Subject::Function(_, Need::Environments(_)) => return Ok(()),
            Subject::Function(_, Need::Backlog(_)) | Subject::Pipeline { .. } => "backlog",
        };
        match self.planner.durability() {
            Durability::Durable => Ok(()),
            Durability::Volatile => {
                Err(format!("`{key}` needs a state store (WARMD_STATE), and there is none"))
            }
        }
    }
}

/// Returns what a request asks of the targets of a function.
///
/// # Errors
/// The reason why the request is refused.
fn requested<'f>(
    fleet: &'f Fleet,
    function: &FunctionRef,
    need: &Need,
    request: &WarmRequest,
    at: DateTime<Utc>,
) -> Result<Vec<Ask<'f>>, String> {
    let is_requested = |target: &&Target| {
        function.is_of(&target.id) && request.region.is_none_or(|region| region == target.region())
    };
    let mut targets = fleet.targets.iter().filter(is_requested).peekable();
    if targets.peek().is_none() {
        let near = nearest_target(fleet, function);
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("it is not in the configuration of this region{hint}"));
    }
    let reason = &request.reason;
    let terms = match need {
        Need::Environments(concurrency) => {
            let (concurrency, keep_for) = (*concurrency, request.keep_for);
            AskTerms::Environments(RequestTerms { at, concurrency, keep_for, reason: reason.clone() })
        }
        Need::Backlog(backlog) => AskTerms::Backlog(backlog_terms(backlog, at, reason.clone())),
    };
    let asks: Vec<Ask<'f>> = targets.filter_map(|target| Ask::new(target, terms.clone())).collect();
    if asks.is_empty() { Err(NO_RULE.to_owned()) } else { Ok(asks) }
}

const NO_RULE: &str = "it has no `on_request` in the configuration";

/// Returns the terms of a backlog of a function.
pub(super) fn backlog_terms(backlog: &Backlog, at: DateTime<Utc>, reason: Option<String>) -> BacklogTerms {
    let Backlog { messages, rate, drain, hold_for } = *backlog;
    let per_environment = per_environment(rate, drain);
    BacklogTerms { at, pipeline: None, messages, rate, per_environment, hold_for, reason }
}

/// Returns what a request asks of the targets of a pipeline. A target in several stages has the highest number.
///
/// # Errors
/// The reason why the request is refused.
fn requested_of_pipeline<'f>(
    fleet: &'f Fleet,
    request: &WarmRequest,
    at: DateTime<Utc>,
) -> Result<Vec<Ask<'f>>, String> {
    let Subject::Pipeline { name, messages, drain, hold_for } = &request.subject else {
        return Ok(Vec::new());
    };
    let is_requested = |pipeline: &&Pipeline| {
        *pipeline.name == **name && request.region.is_none_or(|region| region == pipeline.region)
    };
    let mut pipelines = fleet.pipelines.iter().filter(is_requested).peekable();
    if pipelines.peek().is_none() {
        let near = nearest(name, fleet.pipelines.iter().map(|pipeline| &*pipeline.name));
        let hint = near.map(|near| format!("; did you mean {}?", quoted(near))).unwrap_or_default();
        return Err(format!("it is not in the configuration of this region{hint}"));
    }
    let mut asks: Vec<Ask<'f>> = Vec::new();
    let mut has_rule = false;
    for (pipeline, rule) in pipelines.filter_map(|one| Some((one, one.on_request.as_ref()?))) {
        has_rule = true;
        for stage in &pipeline.stages {
            let of_drain = || drain.map(|drain| per_environment(stage.rate, drain));
            let Some(per_environment) = stage.per_backlog.map(Decimal::from).or_else(of_drain) else {
                let stage = stage.label();
                return Err(format!(
                    "its stage `{stage}` has no `per_backlog`; add \"drain\" to the request"
                ));
            };
            let terms = BacklogTerms {
                at,
                pipeline: Some(name.clone()),
                messages: *messages,
                rate: stage.rate,
                per_environment,
                hold_for: *hold_for,
                reason: request.reason.clone(),
            };
            // A disabled function has no `on_request`, not even that of the pipeline.
            let is_part = |target: &&Target| {
                target.on_request.is_some() && stage.parts.contains(&target.id.without_tenant())
            };
            for target in fleet.targets.iter().filter(is_part) {
                let terms = AskTerms::Backlog(terms.clone());
                let ask = Ask { target, rule, terms };
                match asks.iter_mut().find(|earlier| earlier.target.id == target.id) {
                    Some(earlier) if earlier.number() < ask.number() => *earlier = ask,
                    Some(_) => {}
                    None => asks.push(ask),
                }
            }
        }
    }
    match (has_rule, asks.is_empty()) {
        (false, _) => Err(NO_RULE.to_owned()),
        (true, true) => Err("every function of it is disabled".to_owned()),
        (true, false) => Ok(asks),
    }
}

/// Returns the target that was probably meant: the same function with another qualifier, or one of a similar name.
/// Targets with `on_request` come first.
pub(super) fn nearest_target<'f>(fleet: &'f Fleet, function: &FunctionRef) -> Option<&'f str> {
    let written = function.to_string();
    let others = || fleet.targets.iter().filter(|target| target.label != written);
    let same = others().filter(|target| target.id.name == function.name);
    let same = same.min_by_key(|target| target.on_request.is_none()).map(|target| target.label.as_str());
    let allowed = || others().filter(|target| target.on_request.is_some());
    same.or_else(|| nearest(&written, allowed().map(|target| target.label.as_str())))
        .or_else(|| nearest(&written, others().map(|target| target.label.as_str())))
}
