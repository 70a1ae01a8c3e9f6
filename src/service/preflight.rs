//! Reads the deployed settings for `check --live`: each setting once, and below the rate limits of the account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tracing::error;

use super::facts::{PACE, PacedReads, ReadFacts, SingleReads, read_function};
use crate::domain::fleet::{Role, Target};
use crate::domain::function::{Identity, Qualifier, Region};
use crate::domain::preflight::{
    AccountObservation, Lookup, Observations, Read, TargetObservation, may_be_provisioned,
};
use crate::domain::protocol::PingContext;
use crate::engine::ports::{Control, DryRun, DryRunOutcome};

/// The functions that are read concurrently: enough for the rate of [`PACE`] when an answer takes half a second.
const CONCURRENT_FUNCTIONS: usize = 8;

/// The reads, grouped by account and region.
#[derive(Debug)]
pub struct Preflight {
    targets: usize,
    lanes: Vec<Lane>,
}

/// An account in a region. Its reads are sequential.
#[derive(Debug)]
struct Lane {
    region: Region,
    role: Option<Arc<Role>>,
    functions: Vec<Function>,
}

/// The names of one function.
type Function = Vec<Name>;

/// A function with one qualifier, and the indices of the targets that have it.
#[derive(Debug)]
struct Name {
    id: Identity,
    /// None if the function is never pinged.
    dry_run: Option<DryRun>,
    indices: Vec<usize>,
}

impl Name {
    fn new(target: &Target) -> Self {
        let ping = PingContext { round: "check", index: 0, concurrency: 1, hold_ms: 0 };
        let (payload, client_context) = (target.protocol.payload(&ping), target.protocol.client_context());
        let dry_run = target.is_pinged().then_some(DryRun { payload, client_context });
        Self { id: target.id.clone(), dry_run, indices: Vec::new() }
    }

    fn is_pinged_by_alias(&self) -> bool {
        self.dry_run.is_some() && self.id.qualifier.as_ref().is_some_and(Qualifier::is_alias)
    }
}

impl Preflight {
    /// Creates the reads for the targets that are ever warmed. Those that are never pinged get no dry run.
    pub fn new(targets: &[Target]) -> Self {
        let mut lanes: BTreeMap<_, BTreeMap<Identity, BTreeMap<Identity, Name>>> = BTreeMap::new();
        for (index, target) in targets.iter().enumerate().filter(|(_, target)| target.is_warmed()) {
            let role = target.role.as_ref().map(|role| (role.arn.clone(), role.external_id.clone()));
            let lane = lanes.entry((target.region(), role)).or_default();
            // One read serves all tenants of a function. The dry run names the first.
            let name = lane.entry(target.id.function()).or_default().entry(target.id.without_tenant());
            name.or_insert_with(|| Name::new(target)).indices.push(index);
        }
        let lanes = lanes.into_iter().map(|((region, role), functions)| Lane {
            region,
            role: role.map(|(arn, external_id)| Arc::new(Role { arn, external_id })),
            functions: functions.into_values().map(|names| names.into_values().collect()).collect(),
        });
        Self { targets: targets.len(), lanes: lanes.collect() }
    }

    /// Returns the number of reads, without dry runs: these are invocations, which have another rate limit.
    pub fn reads(&self) -> usize {
        self.lanes.iter().map(Lane::reads).sum()
    }

    /// Returns the shortest time that the reads take.
    pub fn duration(&self) -> Duration {
        let longest = self.lanes.iter().map(Lane::reads).max().unwrap_or(0);
        PACE.saturating_mul(u32::try_from(longest.saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// Reads everything. A read that fails is part of the result.
    pub async fn observe<C: Control>(self, control: C) -> Observations {
        let control = Arc::new(control);
        let lost = TargetObservation::unreachable("the read ended unexpectedly".to_owned());
        let mut seen = Observations { targets: vec![lost; self.targets], accounts: Vec::new() };
        let mut lanes = JoinSet::new();
        for lane in self.lanes {
            lanes.spawn(lane.observe(Arc::clone(&control)));
        }
        while let Some(lane) = lanes.join_next().await {
            match lane {
                Ok((account, observed)) => {
                    seen.accounts.push(account);
                    for (index, observed) in observed {
                        if let Some(target) = seen.targets.get_mut(index) {
                            *target = observed;
                        }
                    }
                }
                Err(panicked) => error!(%panicked, "reading an account ended unexpectedly"),
            }
        }
        seen.accounts.sort_by_key(|account| account.region);
        seen
    }
}

impl Lane {
    fn reads(&self) -> usize {
        let of_name = |name: &Name| {
            1 + usize::from(may_be_provisioned(&name.id)) + usize::from(name.is_pinged_by_alias())
        };
        let names = |function: &Function| function.iter().map(of_name).sum::<usize>();
        // The settings of the account, and the reserved concurrency of each function.
        1 + self.functions.iter().map(|function| 1 + names(function)).sum::<usize>()
    }

    async fn observe<C: Control>(
        self,
        control: Arc<C>,
    ) -> (AccountObservation, Vec<(usize, TargetObservation)>) {
        let reads = PacedReads::new(Arc::clone(&control) as Arc<dyn ReadFacts>, PACE);
        let role = self.role.clone();
        let paced = Arc::new(Paced { control, role, reads, dry_runs: Mutex::default() });
        let mut observed = Vec::new();
        // The first read: if the account is unreachable, or the credentials are refused, the others would fail only
        // after hours.
        let limits = paced.reads.one(paced.reads.reader().account(self.region, self.role.as_ref())).await;
        let limits = limits.unwrap_or_default();
        let limits = match limits {
            Lookup::Unreachable(reason) => {
                let indices = self.functions.iter().flatten().flat_map(|name| &name.indices);
                observed
                    .extend(indices.map(|index| (*index, TargetObservation::unreachable(reason.clone()))));
                Lookup::NotRead
            }
            limits => {
                observed.extend(paced.functions(self.functions).await);
                limits
            }
        };
        (AccountObservation { region: self.region, role: self.role, limits }, observed)
    }
}

/// Reads an account at the rate of [`PACE`].
struct Paced<C> {
    control: Arc<C>,
    role: Option<Arc<Role>>,
    reads: PacedReads,
    dry_runs: Mutex<DryRuns>,
}

/// The treatment of dry runs by the server.
#[derive(Debug, Default)]
enum DryRuns {
    /// No dry run was answered yet.
    #[default]
    Unknown,
    /// Dry runs invoke nothing.
    Dry,
    /// Dry runs invoke functions, so no more are sent. The reason is for people.
    Run(String),
}

impl<C: Control> Paced<C> {
    /// Sends a dry run, unless an earlier one invoked a function.
    async fn dry_run(&self, id: &Identity, dry_run: &DryRun) -> Lookup<()> {
        let known = self.dry_runs.lock().await;
        // Dry runs are sequential until the first has shown that they invoke nothing.
        let turn = match &*known {
            DryRuns::Run(reason) => return Lookup::Failed(reason.clone()),
            DryRuns::Unknown => Some(known),
            DryRuns::Dry => {
                drop(known);
                None
            }
        };
        let answer = self.control.invoke(id, self.role.as_ref(), dry_run).await;
        let mut known = match turn {
            Some(known) => known,
            None => self.dry_runs.lock().await,
        };
        answer.then(|outcome| match outcome {
            DryRunOutcome::Dry => {
                *known = DryRuns::Dry;
                Lookup::Known(())
            }
            DryRunOutcome::Ran(status) => {
                let reason = format!(
                    "a dry run was answered with status {status}, as if it had invoked the function: no more are sent"
                );
                *known = DryRuns::Run(reason.clone());
                Lookup::Failed(reason)
            }
        })
    }

    async fn functions(self: Arc<Self>, functions: Vec<Function>) -> Vec<(usize, TargetObservation)> {
        let permits = Arc::new(Semaphore::new(CONCURRENT_FUNCTIONS));
        let mut running = JoinSet::new();
        for function in functions {
            let (paced, permits) = (Arc::clone(&self), Arc::clone(&permits));
            running.spawn(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                paced.function(&function).await
            });
        }
        let mut observed = Vec::new();
        while let Some(function) = running.join_next().await {
            match function {
                Ok(seen) => observed.extend(seen),
                Err(panicked) => error!(%panicked, "reading a function ended unexpectedly"),
            }
        }
        observed
    }

    async fn function(&self, names: &[Name]) -> Vec<(usize, TargetObservation)> {
        let mut observed = Vec::new();
        let mut reserved = None;
        for name in names {
            let Name { id, indices, .. } = name;
            let invoke = match &name.dry_run {
                Some(dry_run) => self.dry_run(id, dry_run).await,
                None => Lookup::NotRead,
            };
            let wants = |read| match read {
                Read::Provisioned => may_be_provisioned(id) && invoke != Lookup::Missing,
                Read::Alias => name.is_pinged_by_alias() && invoke != Lookup::Missing,
                read => read == Read::Reserved || invoke != Lookup::Missing,
            };
            let read = read_function(&self.reads, (id, self.role.as_ref()), wants, &mut reserved).await;
            let seen = TargetObservation {
                invoke,
                configuration: read.configuration.unwrap_or_default(),
                reserved: read.reserved.unwrap_or_default(),
                provisioned: read.provisioned.unwrap_or_default(),
                alias: read.alias.unwrap_or_default(),
            };
            observed.extend(indices.iter().map(|index| (*index, seen.clone())));
        }
        observed
    }
}

#[cfg(test)]
mod tests;
