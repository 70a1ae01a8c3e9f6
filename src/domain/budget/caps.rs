//! The limits that budgets set to rounds.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::rest::{Rest, Shares, largest_number, largest_shares, share_of};
use super::scope::Scope;
use super::spent::Spent;
use super::standing::Standing;
use super::{Level, OnExceed};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::records::keyed::Key;
use crate::domain::shard::BudgetOf;
use crate::domain::text::fnv1a;

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

/// The number of hours between two hours in which a target whose number is 0 gets one ping a round. It shares no factor
/// with 24: in turn, every hour of the day is one of them.
const HOURS_PER_TRIAL: u64 = 23;
/// The part of what is left of a budget, as a divisor, whose loss makes what was counted outdated.
const COUNTED_FOR: u64 = 100;

/// The limit of a budget with [`OnExceed::Reduce`] on the rounds of its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reduction {
    /// None: the schedule fits.
    Whole,
    /// At most this number of pings.
    Number(u32),
    /// At most this share of the number, in thousandths; for these targets, one ping more.
    Share(u32, HashSet<Identity>),
}

impl Reduction {
    /// Returns the number of pings of a round of `desired` to a target.
    fn of(&self, id: &Identity, desired: u32) -> u32 {
        match self {
            Self::Whole => desired,
            Self::Number(number) => *number,
            Self::Share(share, more) => share_of(desired, *share).saturating_add(more.contains(id).into()),
        }
    }
}

/// The allowance of a budget with [`OnExceed::Reduce`], and the prices of its targets in US dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    reduction: Reduction,
    /// The cost of the dearest ping.
    dearest: Decimal,
    /// The cost of the capacity until the end of the month.
    fixed: Decimal,
}

/// The allowance of budgets with [`OnExceed::Reduce`] for the rest of the month, as counted at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The rest of each budget in US dollars.
    left: BTreeMap<Scope, Decimal>,
    /// The limits of each.
    reductions: BTreeMap<Scope, Limit>,
    /// The targets whose pings had no known cost in the month.
    unpriced: HashSet<Identity>,
}

impl Counted {
    /// Counts for a fleet. `rests` returns what is left of the month for a target, with the estimated cost of a ping; it is
    /// asked for the targets of budgets in `left` only, which has what is left of them in US dollars at the same instant.
    /// `spent` returns the cost of a target so far, whose mean counts beside the estimate.
    pub fn new(
        fleet: &Fleet,
        left: BTreeMap<Scope, Decimal>,
        spent: impl Fn(&Identity) -> Spent,
        mut rests: impl FnMut(&Target) -> Rest,
    ) -> Self {
        let mut members: BTreeMap<&Scope, Vec<usize>> =
            left.keys().map(|scope| (scope, Vec::new())).collect();
        let (mut rests_of, mut unpriced) = (Vec::new(), HashSet::new());
        let targets = if members.is_empty() { &[] } else { &fleet.targets[..] };
        for target in targets {
            let scopes: Vec<Scope> = Scope::of(target).filter(|scope| left.contains_key(scope)).collect();
            if scopes.is_empty() {
                continue;
            }
            let spent = spent(&target.id);
            if spent.pings == 0 {
                unpriced.insert(target.id.clone());
            }
            for scope in &scopes {
                if let Some(members) = members.get_mut(scope) {
                    members.push(rests_of.len());
                }
            }
            rests_of.push((order(&target.id), &target.id, rests(target).with_mean(&spent)));
        }
        let mut reductions = BTreeMap::new();
        // The budgets of functions come first, then those of owners: what they do not allow is left to the others.
        for (scope, mut members) in members.into_iter().rev() {
            // The same targets keep one environment more each time, in every process.
            members.sort_by_key(|index| (rests_of[*index].0, rests_of[*index].1));
            let of: Vec<&Rest> = members.iter().map(|index| &rests_of[*index].2).collect();
            let left = left.get(scope).copied().unwrap_or_default();
            let reduction = match &of[..] {
                [rest] => largest_number(left, rest).map(Reduction::Number),
                rests => largest_shares(left, rests).map(|Shares { share, more }| {
                    let more = members.iter().zip(more).filter(|(_, keeps)| *keeps);
                    Reduction::Share(share, more.map(|(index, _)| rests_of[*index].1.clone()).collect())
                }),
            };
            let reduction = reduction.unwrap_or(Reduction::Whole);
            let dearest = of.iter().map(|rest| rest.usd_per_ping).max().unwrap_or_default();
            let fixed = of.iter().map(|rest| rest.fixed_usd).fold(Decimal::ZERO, Decimal::saturating_add);
            for index in members {
                let (_, id, rest) = &mut rests_of[index];
                rest.limit(|desired| reduction.of(id, desired));
            }
            reductions.insert(scope.clone(), Limit { reduction, dearest, fixed });
        }
        Self { left, reductions, unpriced }
    }

    /// The rest of each budget in US dollars.
    pub fn left(&self) -> &BTreeMap<Scope, Decimal> {
        &self.left
    }

    /// Returns true while no budget has lost or won more than a hundredth.
    pub fn is_near(&self, left: &BTreeMap<Scope, Decimal>) -> bool {
        let is_near = |(before, now): (&Decimal, &Decimal)| {
            before.saturating_sub(*now).abs().saturating_mul(COUNTED_FOR.into()) <= *before
        };
        self.left.keys().eq(left.keys()) && self.left.values().zip(left.values()).all(is_near)
    }

    /// Returns true if the first cost of a target is known now.
    pub fn lacks_price(&self, spent: impl Fn(&Identity) -> Spent) -> bool {
        self.unpriced.iter().any(|id| spent(id).pings > 0)
    }
}

/// Returns what is left of each budget with [`OnExceed::Reduce`] in US dollars.
pub fn reduced(standings: &BTreeMap<Scope, Standing>) -> BTreeMap<Scope, Decimal> {
    let reduced = standings.iter().filter(|(_, standing)| standing.on_exceed == OnExceed::Reduce);
    reduced.map(|(scope, standing)| (scope.clone(), standing.budget().left(standing.spent.usd()))).collect()
}

/// Returns the place of a target among those of a budget.
fn order(id: &Identity) -> u64 {
    fnv1a(&id.text())
}

/// The limits that budgets set to the rounds of a tick.
#[derive(Debug, Clone, Default)]
pub struct Caps {
    /// For each budget that may limit rounds, the most pings of a round: those that what is left pays for.
    most: BTreeMap<Scope, u32>,
    counted: Arc<Counted>,
    now: DateTime<Utc>,
}

impl Caps {
    /// Creates the limits of budgets at `now`. `reserved` counts as spent, in US dollars. Without anything counted, budgets that are used up allow nothing, and others
    /// everything.
    ///
    /// If a budget allows no ping a round, one that fits is allowed before the first ping of known cost, and in one hour of
    /// 23: the mean cost may be that of cold starts, and an estimate far too high.
    pub fn new(
        standings: &BTreeMap<Scope, Standing>,
        reserved: &BTreeMap<Scope, Decimal>,
        counted: Arc<Counted>,
        now: DateTime<Utc>,
    ) -> Self {
        let most = |(scope, standing): (&Scope, &Standing)| {
            let (budget, reserved) = (standing.budget(), reserved.get(scope).copied().unwrap_or_default());
            let spent = standing.spent.usd().saturating_add(reserved);
            let most = match standing.on_exceed {
                OnExceed::Warn => return None,
                _ if budget.level(spent) == Level::Exceeded => 0,
                OnExceed::Stop => return None,
                // Rounds outside of the schedule must fit as well, beside the capacity.
                OnExceed::Reduce => counted.reductions.get(scope).map_or(u32::MAX, |limit| {
                    let pings = budget
                        .left(spent)
                        .saturating_sub(limit.fixed)
                        .max(Decimal::ZERO)
                        .checked_div(limit.dearest);
                    pings.map_or(u32::MAX, |pings| pings.to_u32().unwrap_or(u32::MAX))
                }),
            };
            Some((scope.clone(), most))
        };
        Self { most: standings.iter().filter_map(most).collect(), counted, now }
    }

    /// Returns the lowest limit on a round of `desired` pings; `None` if every budget allows them.
    pub fn lowest(&self, target: &Target, desired: u32) -> Option<Cap> {
        if self.most.is_empty() {
            return None;
        }
        let cap = |scope: Scope| {
            let most = *self.most.get(&scope)?;
            let limit = self.counted.reductions.get(&scope);
            let number = limit.map_or(desired, |limit| limit.reduction.of(&target.id, desired));
            let number = if number == 0 && self.is_trial(target) { 1 } else { number };
            let to = number.min(most);
            (to < desired).then_some(Cap { to, scope })
        };
        Scope::of(target).filter_map(cap).min_by_key(|cap| cap.to)
    }

    /// Returns true if a ping shows what the target costs.
    fn is_trial(&self, target: &Target) -> bool {
        let hour = self.now.timestamp().div_euclid(3_600).cast_unsigned();
        self.counted.unpriced.contains(&target.id)
            || order(&target.id).wrapping_add(hour).is_multiple_of(HOURS_PER_TRIAL)
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
) -> impl Iterator<Item = (Scope, CapacityStop)> + use<'s> {
    let scopes: Vec<Scope> = Scope::of(target).collect();
    scopes.into_iter().filter_map(move |scope| {
        let standing = standings.get(&scope).filter(|standing| standing.on_exceed == OnExceed::Stop)?;
        let stop = CapacityStop { since: standing.since?, is_immediate: standing.stop_capacity };
        Some((scope, stop))
    })
}
