//! The facts that a tick uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{AccountFacts, Facts, FunctionFacts, role_key};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::preflight::{
    AccountLimits, AccountObservation, Lookup, Observations, account_id, is_in_account,
};

/// The facts about a fleet at one instant. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    regions: BTreeMap<Region, Arc<Facts>>,
    /// The account of the credentials of warmd, if known.
    own: Option<Arc<str>>,
    now: DateTime<Utc>,
}

impl Snapshot {
    /// Creates a snapshot at `now`.
    pub fn new(regions: BTreeMap<Region, Arc<Facts>>, fleet: &Fleet, now: DateTime<Utc>) -> Self {
        let mut snapshot = Self { regions, own: None, now };
        let seen = fleet.targets.iter().filter_map(|target| Some((target, &snapshot.of(target)?.seen)));
        let own = account_id(None, seen).map(Arc::from);
        snapshot.own = own;
        snapshot
    }

    /// Creates a snapshot of observations that were made at `now`, in the order of the fleet.
    pub fn observed(fleet: &Fleet, seen: &Observations, now: DateTime<Utc>) -> Self {
        let mut regions: BTreeMap<Region, Facts> = BTreeMap::new();
        for (target, seen) in fleet.targets.iter().zip(&seen.targets) {
            let facts = FunctionFacts::new(now, seen.clone());
            regions.entry(target.region()).or_default().functions.insert(target.id.without_tenant(), facts);
        }
        for AccountObservation { region, role, limits } in &seen.accounts {
            let facts = AccountFacts { at: now, limits: limits.clone(), failed: None };
            let role = role_key(role.as_deref()).to_owned();
            regions.entry(*region).or_default().accounts.insert(role, facts);
        }
        let regions = regions.into_iter().map(|(region, facts)| (region, Arc::new(facts)));
        Self::new(regions.collect(), fleet, now)
    }

    /// Returns the facts about a target; `None` if they are unknown, or older than a day.
    pub fn of(&self, target: &Target) -> Option<&FunctionFacts> {
        self.regions.get(&target.region())?.of(target).filter(|facts| facts.is_usable(self.now))
    }

    /// Returns the limits of the account that the target belongs to; `None` if they are unknown, or older than a day.
    pub fn limits(&self, target: &Target) -> Option<&AccountLimits> {
        let role = target.role.as_deref();
        let id = role.map_or(self.own.as_deref(), |role| account_id(Some(role), []));
        self.account(target).filter(|_| is_in_account(&target.id, id))?.limits.known()
    }

    fn account(&self, target: &Target) -> Option<&AccountFacts> {
        let facts = self.regions.get(&target.region())?.account(target.role.as_deref());
        facts.filter(|facts| facts.is_usable(self.now))
    }

    /// Returns the facts as observations in the order of the fleet.
    pub fn observations(&self, fleet: &Fleet) -> Observations {
        let seen = |target| self.of(target).map(|facts| facts.seen.clone()).unwrap_or_default();
        let accounts: BTreeMap<_, _> = fleet
            .targets
            .iter()
            .map(|target| ((target.region(), role_key(target.role.as_deref())), target))
            .collect();
        let account = |target: &Target| AccountObservation {
            region: target.region(),
            role: target.role.clone(),
            limits: self.account(target).map_or(Lookup::NotRead, |facts| facts.limits.clone()),
        };
        Observations {
            targets: fleet.targets.iter().map(seen).collect(),
            accounts: accounts.into_values().map(account).collect(),
        }
    }
}
