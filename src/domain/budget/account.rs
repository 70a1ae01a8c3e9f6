//! The cost of a report, and the amount spent of each budget of a fleet.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::scope::{Scope, budgets};
use super::spending::Spending;
use super::spent::Spent;
use super::standing::Standing;
use super::{Budget, Level};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::future::is_future;
use crate::domain::history::Row;
use crate::domain::tick::TickReport;

/// Returns the budgets of a fleet with what has been spent of each. Budgets of owners and functions count the targets of
/// the present configuration, and those that are no longer configured with the last known owner; that of the fleet counts
/// all.
pub fn standings(fleet: &Fleet, spending: &Spending, now: DateTime<Utc>) -> BTreeMap<Scope, Standing> {
    let mut spent: BTreeMap<Scope, Spent> = BTreeMap::from([(Scope::Fleet, spending.others)]);
    let budgets = budgets(fleet);
    let targets: HashMap<Identity, &Target> =
        fleet.targets.iter().map(|target| (target.id.without_tenant(), target)).collect();
    for (id, cost) in &spending.targets {
        let target = targets.get(&id.without_tenant());
        let scopes = target.into_iter().flat_map(|target| Scope::of(target));
        let left = target.is_none().then(|| spending.owners.get(id).cloned().map(Scope::Owner));
        let left = left.into_iter().flat_map(|owner| owner.into_iter().chain([Scope::Fleet]));
        for scope in scopes.chain(left).filter(|scope| budgets.contains_key(scope)) {
            let sum = spent.entry(scope).or_default();
            *sum = sum.plus(cost);
        }
    }
    let standing = |(scope, budget): (Scope, Budget)| {
        let Budget { monthly_usd, on_exceed, stop_capacity } = budget;
        let spent = spent.get(&scope).copied().unwrap_or_default();
        let known = spending.budgets.get(&scope).and_then(|known| known.since);
        let is_known = |since: &DateTime<Utc>| !is_future(*since, now) && *since >= spending.month.begin();
        let is_used_up = budget.level(spent.usd()) == Level::Exceeded;
        let since = is_used_up.then(|| known.filter(is_known).unwrap_or(now));
        (scope, Standing { monthly_usd, on_exceed, stop_capacity, spent, since })
    };
    budgets.into_iter().map(standing).collect()
}

/// Returns the known cost of each target in a report.
pub fn costs(report: &TickReport) -> BTreeMap<Identity, Spent> {
    let mut costs: BTreeMap<Identity, Spent> = BTreeMap::new();
    let mut add = |id: &Identity, spent: Spent| {
        if spent != Spent::default() {
            let sum = costs.entry(id.clone()).or_default();
            *sum = sum.plus(&spent);
        }
    };
    for round in &report.rounds {
        let Some(row) = Row::of_round(round) else { continue };
        let unknown = row.cost_unknown;
        // Of an unknown cost, the lower bound counts: one lost answer does not hide the pings that were answered.
        let least = round.cost().cost_at_least.unwrap_or_default();
        let pings_usd = if unknown == 0 { row.known_usd() } else { row.known_usd().max(least) };
        let (partial_usd, pings) = if unknown == 0 { (Decimal::ZERO, row.pings) } else { (pings_usd, 0) };
        let spent = Spent { pings_usd, partial_usd, pings, unknown, ..Spent::default() };
        add(&round.id, spent);
    }
    for capacity in &report.capacity {
        let row = Row::of_capacity(capacity);
        let unknown = u64::from(capacity.cost_usd.is_none() && capacity.requested != Some(0));
        add(&capacity.id, Spent { capacity_usd: row.known_usd(), unknown, ..Spent::default() });
    }
    for left in report.unfinished.iter().filter(|left| left.reason.may_have_sent()) {
        add(&left.id, Spent { unknown: 1, ..Spent::default() });
    }
    costs
}
