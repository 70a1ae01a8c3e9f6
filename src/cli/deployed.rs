//! The facts about deployed functions for commands that send nothing: from Lambda, or from the state store.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;

use super::app::App;
use super::exit::Exit;
use super::output::print_message;
use super::render;
use crate::aws::AwsControl;
use crate::domain::budget::{Spending, has_budgets};
use crate::domain::clean::clean;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::guard::{Decision, Knowledge, decide};
use crate::domain::preflight::{Observations, Unchecked, unchecked};
use crate::domain::records::{Facts, Guards, SERVED, Served, Snapshot};
use crate::service::preflight::Preflight;
use crate::service::spending::{Budgets, rest, spending};
use crate::service::store::{DocumentStore, Unavailable};

/// The duration above which reads are announced.
const LONG: Duration = Duration::from_secs(10);

/// Reads the deployed functions of a fleet. Reads that take long are announced.
pub async fn observe(app: &App, fleet: &Fleet) -> Observations {
    let preflight = Preflight::new(&fleet.targets);
    if preflight.duration() > LONG {
        print_message(&render::live::announcement(preflight.reads(), preflight.duration()));
    }
    preflight.observe(AwsControl::new(Arc::clone(app.clients()))).await
}

/// The knowledge of a tick's guards about a fleet.
#[derive(Debug, Default)]
pub struct Deployed {
    facts: Snapshot,
    guards: BTreeMap<Region, Guards>,
    unchecked: Vec<Unchecked>,
    /// The budgets.
    pub budgets: Budgets,
    /// The time of the decisions.
    pub now: DateTime<Utc>,
}

impl Deployed {
    /// Reads the deployed functions of a fleet.
    pub async fn live(app: &App, fleet: &Fleet, now: DateTime<Utc>) -> Self {
        Self::observed(fleet, &observe(app, fleet).await, now)
    }

    /// Creates the knowledge that follows from observations at `now`.
    pub fn observed(fleet: &Fleet, seen: &Observations, now: DateTime<Utc>) -> Self {
        let (facts, unchecked) = (Snapshot::observed(fleet, seen, now), unchecked(fleet, seen));
        Self { facts, unchecked, now, ..Self::default() }
    }

    /// Reads what a state store has, and changes nothing.
    ///
    /// # Errors
    /// A document cannot be read.
    pub async fn stored(
        store: &DocumentStore,
        fleet: &Fleet,
        now: DateTime<Utc>,
    ) -> Result<Self, Unavailable> {
        let regions: BTreeSet<Region> = fleet.targets.iter().map(Target::region).collect();
        let (facts, guards) = (
            regions.iter().map(|region| async move {
                let facts: Facts = store.read(&Facts::document(*region)).await?;
                Ok((*region, Arc::new(facts.plausible(now))))
            }),
            regions.iter().map(|region| async move {
                let guards: Guards = store.read(&Guards::document(*region)).await?;
                Ok((*region, guards))
            }),
        );
        let (facts, guards, served, spending) = tokio::try_join!(
            try_join_all(facts),
            try_join_all(guards),
            store.read::<Served>(SERVED),
            async {
                match has_budgets(fleet) {
                    true => spending(store, now).await,
                    false => Ok(Spending::default()),
                }
            }
        )?;
        let budgets = Budgets::new(fleet, &spending, |target| rest(target, now, &fleet.prices), now);
        let mut guards: BTreeMap<Region, Guards> = guards.into_iter().collect();
        for (region, guards) in &mut guards {
            // As the next tick does.
            let known =
                |target: &&Target| target.region() == *region && served.targets.contains_key(&target.id);
            guards.begin(fleet.targets.iter().filter(known), now);
        }
        let facts = Snapshot::new(facts.into_iter().collect(), fleet, now);
        Ok(Self { facts, guards, budgets, now, ..Self::default() })
    }

    /// Returns the facts of `self`, with the records of `stored`.
    pub fn with_records_of(self, stored: Self) -> Self {
        Self { guards: stored.guards, budgets: stored.budgets, ..self }
    }

    /// Returns the facts about deployed functions.
    pub fn facts(&self) -> &Snapshot {
        &self.facts
    }

    /// Returns what is known about a target.
    pub fn of(&self, target: &Target) -> Knowledge<'_> {
        Knowledge {
            facts: self.facts.of(target).map(|facts| &facts.seen),
            account: self.facts.limits(target),
            guards: self.guards.get(&target.region()),
            ..Knowledge::default()
        }
    }

    /// Decides on a round as a tick would now. `checks_contact` is true for a tick that sends canaries.
    pub fn decide(
        &self,
        fleet: &Fleet,
        target: &Target,
        desired: NonZeroU32,
        checks_contact: bool,
    ) -> Decision {
        let budget = self.budgets.caps.lowest(target, desired.get());
        let known = Knowledge { budget: budget.as_ref(), ..self.of(target) };
        decide(target, desired, known, &fleet.limits, checks_contact, self.now)
    }

    /// Prints the reads that failed to standard error. Returns failure if a target could not be read for another reason
    /// than a missing permission.
    pub fn report_unchecked(&self) -> Exit {
        for lost in &self.unchecked {
            print_message(&format!("warning: {}", clean(&render::live::not_checked(lost))));
        }
        if self.unchecked.iter().any(Unchecked::is_failure) { Exit::Failed } else { Exit::Success }
    }
}
