//! Reads what is deployed, for `check --live`: each thing once, and no faster than the account can bear.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::error;

use crate::domain::fleet::{Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::preflight::{AccountSeen, Lookup, Observations, Observed, may_be_provisioned};
use crate::domain::protocol::PingContext;
use crate::engine::ports::{Control, DryRun, DryRunOutcome};

/// Between two reads of one account in one region. Lambda takes 15 of them a second, from everybody in the account
/// together (Lambda quotas), and deployments need some too.
const PACE: Duration = Duration::from_millis(100);
/// Functions that are looked at side by side: enough to keep the pace when an answer takes half a second.
const SIDE_BY_SIDE: usize = 8;

/// What is to be read, and in which order.
#[derive(Debug)]
pub struct Preflight {
    targets: usize,
    lanes: Vec<Lane>,
}

/// An account in a region: its reads wait for each other.
#[derive(Debug)]
struct Lane {
    region: Region,
    role: Option<Arc<Role>>,
    functions: Vec<Function>,
}

/// What is called differently and is one function.
type Function = Vec<Name>;

/// A function's name with one qualifier, and the places of the targets that have it.
#[derive(Debug)]
struct Name {
    id: Identity,
    dry_run: DryRun,
    places: Vec<usize>,
}

impl Name {
    fn of(target: &Target) -> Self {
        let ping = PingContext { round: "check", index: 0, concurrency: 1, hold_ms: 0 };
        let (payload, client_context) = (target.protocol.payload(&ping), target.protocol.client_context());
        Self { id: target.id.clone(), dry_run: DryRun { payload, client_context }, places: Vec::new() }
    }
}

impl Preflight {
    /// Of the targets that are ever pinged.
    pub fn of(targets: &[Target]) -> Self {
        let mut lanes: BTreeMap<_, BTreeMap<Identity, BTreeMap<Identity, Name>>> = BTreeMap::new();
        for (place, target) in targets.iter().enumerate().filter(|(_, target)| target.is_warmed()) {
            let role = target.role.as_ref().map(|role| (role.arn.clone(), role.external_id.clone()));
            let function = Identity { qualifier: None, ..target.id.clone() };
            let lane = lanes.entry((target.region(), role)).or_default();
            let name = lane.entry(function).or_default().entry(target.id.clone());
            name.or_insert_with(|| Name::of(target)).places.push(place);
        }
        let lanes = lanes.into_iter().map(|((region, role), functions)| Lane {
            region,
            role: role.map(|(arn, external_id)| Arc::new(Role { arn, external_id })),
            functions: functions.into_values().map(|names| names.into_values().collect()).collect(),
        });
        Self { targets: targets.len(), lanes: lanes.collect() }
    }

    /// How many questions are asked of accounts at 10 a second. Dry runs are invocations, which have limits of their own.
    pub fn reads(&self) -> usize {
        self.lanes.iter().map(Lane::reads).sum()
    }

    /// How long that takes at least.
    pub fn takes(&self) -> Duration {
        let longest = self.lanes.iter().map(Lane::reads).max().unwrap_or(0);
        PACE.saturating_mul(u32::try_from(longest.saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// Reads it all. Never fails: what could not be read says so.
    pub async fn observe<C: Control>(self, control: C) -> Observations {
        let control = Arc::new(control);
        let lost = Observed::unreachable("the reading of it ended unexpectedly".to_owned());
        let mut seen = Observations { targets: vec![lost; self.targets], accounts: Vec::new() };
        let mut lanes = JoinSet::new();
        for lane in self.lanes {
            lanes.spawn(lane.observe(Arc::clone(&control)));
        }
        while let Some(lane) = lanes.join_next().await {
            match lane {
                Ok((account, observed)) => {
                    seen.accounts.push(account);
                    for (place, observed) in observed {
                        if let Some(target) = seen.targets.get_mut(place) {
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
        let names = |function: &Function| {
            function.iter().map(|name| 1 + usize::from(may_be_provisioned(&name.id))).sum::<usize>()
        };
        // The account's own settings, and each function's reserved concurrency.
        1 + self.functions.iter().map(|function| 1 + names(function)).sum::<usize>()
    }

    async fn observe<C: Control>(self, control: Arc<C>) -> (AccountSeen, Vec<(usize, Observed)>) {
        let mut pace = interval(PACE);
        // A slow answer must not be made up for by a burst.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let role = self.role.clone();
        let paced = Arc::new(Paced { control, role, pace: Mutex::new(pace), dry_runs: Mutex::default() });
        let mut observed = Vec::new();
        // Asked first: when nobody answers that, or the credentials are not taken, the rest would take hours to fail.
        let limits = paced.turn().await.account(self.region, self.role.as_ref()).await;
        let limits = match limits {
            Lookup::Unreachable(reason) => {
                let places = self.functions.iter().flatten().flat_map(|name| &name.places);
                observed.extend(places.map(|place| (*place, Observed::unreachable(reason.clone()))));
                Lookup::NotAsked
            }
            limits => {
                observed.extend(paced.functions(self.functions).await);
                limits
            }
        };
        (AccountSeen { region: self.region, role: self.role, limits }, observed)
    }
}

/// An account's reads, one after the other.
struct Paced<C> {
    control: Arc<C>,
    role: Option<Arc<Role>>,
    pace: Mutex<Interval>,
    dry_runs: Mutex<DryRuns>,
}

/// What becomes of dry runs.
#[derive(Debug, Default)]
enum DryRuns {
    /// None was answered yet.
    #[default]
    Unknown,
    /// They are dry.
    Dry,
    /// They are run, so none is sent any more; for people.
    Run(String),
}

impl<C: Control> Paced<C> {
    /// Waits until the next read may go out.
    async fn turn(&self) -> &C {
        self.pace.lock().await.tick().await;
        &self.control
    }

    /// Asks whether a function may be invoked, unless that was found to run functions.
    async fn dry_run(&self, of: &Name) -> Lookup<()> {
        let known = self.dry_runs.lock().await;
        // Until one is known to be dry, each waits for the one before.
        let turn = match &*known {
            DryRuns::Run(reason) => return Lookup::Failed(reason.clone()),
            DryRuns::Unknown => Some(known),
            DryRuns::Dry => {
                drop(known);
                None
            }
        };
        let answer = self.control.invoke(&of.id, self.role.as_ref(), &of.dry_run).await;
        let mut known = match turn {
            Some(known) => known,
            None => self.dry_runs.lock().await,
        };
        answer.then(|trial| match trial {
            DryRunOutcome::Dry => {
                *known = DryRuns::Dry;
                Lookup::Known(())
            }
            DryRunOutcome::Ran(status) => {
                let reason = format!(
                    "a dry run was answered with status {status}, as if it had been run: no more are sent"
                );
                *known = DryRuns::Run(reason.clone());
                Lookup::Failed(reason)
            }
        })
    }

    async fn functions(self: Arc<Self>, functions: Vec<Function>) -> Vec<(usize, Observed)> {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let mut running = JoinSet::new();
        for function in functions {
            let (paced, places) = (Arc::clone(&self), Arc::clone(&places));
            running.spawn(async move {
                // Never closed.
                let _place = places.acquire().await;
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

    async fn function(&self, names: &[Name]) -> Vec<(usize, Observed)> {
        let mut observed = Vec::new();
        let role = self.role.as_ref();
        let Some(first) = names.first() else { return observed };
        let reserved = self.turn().await.reserved(&first.id, role).await;
        for name in names {
            let Name { id, places, .. } = name;
            let mut seen = Observed {
                invoke: self.dry_run(name).await,
                configuration: Lookup::NotAsked,
                reserved: reserved.clone(),
                provisioned: Lookup::NotAsked,
            };
            if seen.invoke != Lookup::Missing {
                seen.configuration = self.turn().await.configuration(id, role).await;
                if may_be_provisioned(id) && seen.configuration != Lookup::Missing {
                    seen.provisioned = self.turn().await.provisioned(id, role).await;
                }
            }
            observed.extend(places.iter().map(|place| (*place, seen.clone())));
        }
        observed
    }
}

#[cfg(test)]
mod tests;
