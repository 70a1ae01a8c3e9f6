//! Plans Warm Requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::failures::StoreFailures;
use super::{Plan, READ_WITHIN, Selection, TickPlanner, WRITE_WITHIN, mark, open_backlogs};
use crate::domain::capacity::Strategy;
use crate::domain::fleet::{Fleet, OnRequest, Target};
use crate::domain::function::Identity;
use crate::domain::pipeline::{Pipeline, PipelineNeed};
use crate::domain::records::{
    self, BacklogTerms, Decision, Levels, Pauses, REQUESTS, RequestTerms, Requests,
};
use crate::domain::schedule::Minute;
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::tick::Due;
use crate::service::capacity::{CapacityPlan, Loaded, read_levels};
use crate::service::store::{Unavailable, before};

/// The part of a Warm Request that concerns one target.
#[derive(Debug)]
pub struct Ask<'f> {
    /// The target.
    pub target: &'f Target,
    /// The limits.
    pub rule: &'f OnRequest,
    /// The terms.
    pub terms: AskTerms,
}

/// The terms of a Warm Request.
#[derive(Debug, Clone)]
pub enum AskTerms {
    /// A number of environments.
    Environments(RequestTerms),
    /// A backlog.
    Backlog(BacklogTerms),
}

impl<'f> Ask<'f> {
    /// Creates the request for a target with its own limits; `None` if Warm Requests are disabled.
    pub fn new(target: &'f Target, terms: AskTerms) -> Option<Self> {
        Some(Self { target, rule: target.on_request.as_ref()?, terms })
    }

    /// Returns the pipeline that the request names.
    fn pipeline(&self) -> Option<&str> {
        match &self.terms {
            AskTerms::Backlog(terms) => terms.pipeline.as_deref(),
            AskTerms::Environments(_) => None,
        }
    }

    /// Returns true if the request must be stored: its environments are kept.
    fn is_kept(&self) -> bool {
        match &self.terms {
            AskTerms::Environments(terms) => terms.keep_for.is_some(),
            AskTerms::Backlog(_) => true,
        }
    }

    /// Adds the request to the stored ones.
    fn add(&self, requests: &mut Requests, now: DateTime<Utc>) -> Decision {
        match &self.terms {
            AskTerms::Environments(terms) => requests.add(&self.target.id, terms, self.rule, now),
            AskTerms::Backlog(terms) => requests.add_backlog(&self.target.id, terms, self.rule, now),
        }
    }

    /// Returns the number of environments at the arrival.
    pub fn number(&self) -> u32 {
        match &self.terms {
            AskTerms::Environments(terms) => terms.concurrency.min(self.rule.max_concurrency),
            AskTerms::Backlog(terms) => terms.number(self.rule),
        }
    }
}

impl TickPlanner {
    /// Decides on a Warm Request for targets of a fleet.
    ///
    /// # Errors
    /// When the request must be stored and cannot be. The sender should try again.
    pub async fn request(
        &self,
        fleet: &Fleet,
        asks: &[Ask<'_>],
        now: DateTime<Utc>,
    ) -> Result<Plan, Unavailable> {
        let targets = || asks.iter().map(|ask| ask.target);
        let has_capacity = targets().any(|target| target.strategy.is_capacity());
        let is_kept = asks.iter().any(Ask::is_kept);
        let add = |requests: &mut Requests| -> (Vec<Decision>, BTreeSet<Identity>, Option<Requests>) {
            let decisions = asks.iter().map(|ask| ask.add(requests, now)).collect();
            (decisions, open_backlogs(requests, now), has_capacity.then(|| requests.clone()))
        };
        let started = Instant::now();
        // A request that keeps environments warm must not be lost; a single round must not wait for long.
        let within = if is_kept { WRITE_WITHIN } else { READ_WITHIN };
        let mut failures = StoreFailures::default();
        let mut unread = StoreFailures::default();
        let (added, pauses, (loaded, no_capacity), levels) = tokio::join!(
            before(started + within, self.documents.update(REQUESTS, add)),
            self.pauses(started + READ_WITHIN, &mut unread),
            async {
                match has_capacity {
                    true => self.ledger.load(targets(), now, started + READ_WITHIN).await,
                    false => (Loaded::default(), None),
                }
            },
            async {
                match has_capacity && is_kept {
                    true => read_levels(&self.documents, fleet, started + READ_WITHIN).await,
                    false => Ok(Levels::default()),
                }
            },
        );
        if let Some(unavailable) = no_capacity {
            failures.add(unavailable, "capacity is not changed");
        }
        let levels =
            levels.map_err(|unavailable| failures.add(unavailable, "capacity is changed later")).ok();
        let (decisions, backlogs, requests) = match added {
            Ok((decisions, backlogs, requests)) => (decisions, Some(backlogs), requests),
            Err(unavailable) if is_kept => return Err(unavailable),
            Err(unavailable) => {
                failures.add(unavailable, "requests shortly after this one are not coalesced with it");
                (asks.iter().map(|ask| Decision::Round(ask.number())).collect(), None, None)
            }
        };
        failures.append(unread);
        let capacity = requests.filter(|_| is_kept).zip(levels).map(|(requests, levels)| {
            let fleet = records::with_all(fleet, &requests, pauses.as_ref(), &levels, now).into_owned();
            let only = Some(targets().map(|target| target.id.clone()).collect());
            let (loaded, pauses) = (loaded.clone(), pauses.clone());
            let stopped = BTreeMap::new();
            Arc::new(CapacityPlan { fleet, only, loaded, pauses, knows_requests: true, stopped })
        });
        // Capacity that serves requests already needs no pings.
        let covered = |target: &Target, pings: u32| match target.strategy {
            Strategy::Pings => None,
            Strategy::Managed(_) => Some(SkipReason::ManagedInstances),
            Strategy::Provisioned(_) => {
                let is_covered = !target.strategy.may_ping() || loaded.covers(target, pings, now);
                is_covered.then_some(SkipReason::Provisioned)
            }
        };
        let paused = |ask: &Ask<'_>| {
            let of = |pauses: &Pauses| {
                let of_pipeline = ask.pipeline().and_then(|name| pauses.of_pipeline(name, now));
                pauses.of_function(&ask.target.id, now).or(of_pipeline).is_some()
            };
            pauses.as_ref().is_some_and(of)
        };
        let mut selection = Selection::default();
        for (ask, decision) in asks.iter().zip(decisions) {
            let target = ask.target;
            match decision {
                // Nothing waits.
                Decision::Round(0) | Decision::Coalesced(0) => {}
                Decision::Round(wanted) | Decision::Coalesced(wanted) if paused(ask) => {
                    selection.skipped.push(RoundRecord::skipped(target, wanted, SkipReason::Paused));
                }
                Decision::Round(concurrency) => {
                    if let Some(reason) = covered(target, concurrency) {
                        selection.skipped.push(RoundRecord::skipped(target, concurrency, reason));
                        continue;
                    }
                    let round = |concurrency| Due::new(Arc::new(target.clone()), concurrency);
                    selection.due.extend(NonZeroU32::new(concurrency).map(round));
                }
                Decision::Coalesced(wanted) => {
                    selection.skipped.push(RoundRecord::skipped(target, wanted, SkipReason::Coalesced));
                }
            }
        }
        let pipelines = asked(fleet, asks);
        mark(&mut selection.due, fleet, &pipelines, backlogs.as_ref(), Minute::of(now));
        Ok(Plan { capacity, pipelines, backlogs, ..self.planned(selection, pauses.is_none(), failures) })
    }
}

/// Returns the numbers that a Warm Request asks of pipelines.
fn asked(fleet: &Fleet, asks: &[Ask<'_>]) -> Vec<PipelineNeed> {
    let need = |pipeline: &Pipeline| {
        let is_its = |ask: &&Ask<'_>| {
            ask.pipeline() == Some(&*pipeline.name) && ask.target.region() == pipeline.region
        };
        let asks = asks.iter().filter(is_its);
        let numbers: HashMap<Identity, u32> =
            asks.map(|ask| (ask.target.id.without_tenant(), ask.number())).collect();
        let highest = numbers.values().copied().max().filter(|highest| *highest > 0)?;
        // A part that stands in another stage as well may have a higher number. Without any part the stage is cold.
        let number = |parts: &[Identity]| parts.iter().filter_map(|part| numbers.get(part).copied()).min();
        let stages = pipeline.stages.iter().map(|stage| &stage.parts);
        Some(PipelineNeed {
            name: Arc::clone(&pipeline.name),
            region: pipeline.region,
            stages: stages.clone().map(|parts| (parts.clone(), number(parts).unwrap_or(highest))).collect(),
            elsewhere: Vec::new(),
            unwarmed: stages.flatten().filter(|part| !numbers.contains_key(part)).cloned().collect(),
        })
    };
    fleet.pipelines.iter().filter_map(need).collect()
}
