//! The limits that budgets set to rounds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::rest::{Rest, largest_number, largest_share, share_of};
use super::scope::Scope;
use super::standing::Standing;
use super::{Level, OnExceed};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::shard::BudgetOf;

/// The number of pings that a budget allows for a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// The number; 0 if the round is skipped.
    pub to: u32,
    /// The budget that limits it.
    pub scope: Scope,
}

impl Cap {
    /// Returns the limit as a shard names it; `None` if no ping is allowed.
    pub fn in_shard(&self) -> Option<(BudgetOf, NonZeroU32)> {
        let of = match self.scope {
            Scope::Fleet => BudgetOf::Fleet,
            Scope::Owner(_) => BudgetOf::Owner,
            Scope::Function(_) => BudgetOf::Function,
        };
        Some((of, NonZeroU32::new(self.to)?))
    }

    /// Returns the limit on a round to `target` that a shard names.
    pub fn of_shard(target: &Target, (of, to): (BudgetOf, NonZeroU32)) -> Self {
        let scope = match (of, &target.owner) {
            (BudgetOf::Owner, Some(owner)) => Scope::Owner(owner.clone()),
            (BudgetOf::Function, _) => Scope::Function(target.id.without_tenant()),
            (BudgetOf::Fleet | BudgetOf::Owner, _) => Scope::Fleet,
        };
        Self { to: to.get(), scope }
    }
}

/// The limit of one budget on the rounds of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// No ping.
    Stopped,
    /// At most this number of pings, and at most as many as the rest of the budget pays for.
    Number(u32, u32),
    /// At most this share of the number, in thousandths, and at most as many as the rest of the budget pays for.
    Share(u32, u32),
}

/// The limits that budgets set to the rounds of a tick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caps {
    rules: BTreeMap<Scope, Rule>,
    /// The targets whose pings have no known cost in the month.
    unpriced: HashSet<Identity>,
}

impl Caps {
    /// Creates the limits of the budgets of a fleet. `rests` returns what is left of the month for a target, with the
    /// estimated cost of a ping; it is asked for the targets of budgets with [`OnExceed::Reduce`] only. The mean cost of the
    /// month replaces the estimate.
    ///
    /// Before the first ping of known cost, one ping is allowed if it fits: an estimate may be far too high.
    pub fn new(
        fleet: &Fleet,
        standings: &BTreeMap<Scope, Standing>,
        spent_per_ping: impl Fn(&Identity) -> Option<Decimal>,
        mut rests: impl FnMut(&Target) -> Rest,
    ) -> Self {
        let (mut rules, mut unpriced) = (BTreeMap::new(), HashSet::new());
        let mut members: HashMap<&Scope, Vec<Rest>> = HashMap::new();
        for (scope, standing) in standings {
            match standing.on_exceed {
                OnExceed::Warn => {}
                OnExceed::Stop if standing.level() == Level::Exceeded => {
                    rules.insert(scope.clone(), Rule::Stopped);
                }
                OnExceed::Stop => {}
                OnExceed::Reduce => drop(members.insert(scope, Vec::new())),
            }
        }
        if !members.is_empty() {
            for target in &fleet.targets {
                let scopes = Scope::of(target).filter_map(|scope| Some(standings.get_key_value(&scope)?.0));
                let scopes: Vec<&Scope> = scopes.filter(|scope| members.contains_key(*scope)).collect();
                if scopes.is_empty() {
                    continue;
                }
                let mut rest = rests(target);
                match spent_per_ping(&target.id) {
                    Some(usd) => rest.usd_per_ping = usd,
                    None => drop(unpriced.insert(target.id.clone())),
                }
                for scope in scopes {
                    if let Some(members) = members.get_mut(scope) {
                        members.push(rest.clone());
                    }
                }
            }
        }
        for (scope, rests) in members {
            let Some(standing) = standings.get(scope) else { continue };
            let left = standing.budget().left(standing.spent.usd());
            // Rounds outside of the schedule must fit as well.
            let dearest = rests.iter().map(|rest| rest.usd_per_ping).max().unwrap_or_default();
            let most = left.checked_div(dearest).map_or(u32::MAX, |pings| pings.to_u32().unwrap_or(u32::MAX));
            let rule = match &rests[..] {
                [rest] => Rule::Number(largest_number(left, rest).unwrap_or(u32::MAX), most),
                rests => Rule::Share(largest_share(left, rests).unwrap_or(1_000), most),
            };
            rules.insert(scope.clone(), rule);
        }
        Self { rules, unpriced }
    }

    /// Returns the lowest limit on a round of `desired` pings; `None` if every budget allows them.
    pub fn lowest(&self, target: &Target, desired: u32) -> Option<Cap> {
        let least = u32::from(self.unpriced.contains(&target.id));
        let cap = |scope: Scope| {
            let to = match *self.rules.get(&scope)? {
                Rule::Stopped => 0,
                Rule::Number(number, most) => number.max(least).min(most),
                Rule::Share(share, most) => share_of(desired, share).max(least).min(most),
            };
            (to < desired).then_some(Cap { to, scope })
        };
        if self.rules.is_empty() {
            return None;
        }
        Scope::of(target).filter_map(cap).min_by_key(|cap| cap.to)
    }
}

/// A budget that ends capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityStop {
    /// The instant from which capacity is not raised.
    pub since: DateTime<Utc>,
    /// True if it ends at once, false if at its next closing.
    pub is_immediate: bool,
}

/// Returns the budgets that end the capacity of a target now.
pub fn capacity_stops<'s>(
    target: &Target,
    standings: &'s BTreeMap<Scope, Standing>,
) -> impl Iterator<Item = CapacityStop> + use<'s> {
    let scopes: Vec<Scope> = Scope::of(target).collect();
    scopes.into_iter().filter_map(move |scope| {
        let standing = standings.get(&scope).filter(|standing| standing.on_exceed == OnExceed::Stop)?;
        Some(CapacityStop { since: standing.since?, is_immediate: standing.stop_capacity })
    })
}
