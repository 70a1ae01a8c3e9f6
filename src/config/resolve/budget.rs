//! Objectives and budgets: of functions, of owners and of the fleet.

use super::super::problem::Problem;
use super::super::reader::At;
use super::super::values::TableEntry;
use super::super::wire::{BudgetKeys, FileKeys, SloKeys};
use super::{Location, Resolver};
use crate::domain::budget::{Budget, OnExceed};
use crate::domain::coverage::Slo;
use crate::domain::parse::{did_you_mean, quoted};

/// Returns an objective; `None` if its coverage has an error.
pub(super) fn slo_of(keys: &SloKeys) -> Option<Slo> {
    let coverage_ppm = keys.coverage.as_ref()?.value.0;
    let over_days = keys.over.as_ref().map_or(Slo::DEFAULT.over_days, |over| over.value.days());
    Some(Slo { coverage_ppm, over_days })
}

impl<'a> Resolver<'a, '_> {
    /// Reports an objective over a longer time than the history is kept.
    pub(super) fn slo(&mut self, file: usize, keys: Option<&At<SloKeys>>) {
        let Some(At { value: keys, span }) = keys else { return };
        let Some(Slo { over_days, .. }) = slo_of(keys) else { return };
        let most = self.keep_history_days;
        if over_days > most {
            let location = Location { file, span: keys.over.as_ref().map_or(*span, |over| over.span) };
            let message = format!("{over_days}d exceed \"limits.keep_history\" ({most}d)");
            let hint = format!("write `over: {most}d` or less, or raise \"limits.keep_history\"");
            self.fail::<()>(location, message, &hint);
        }
    }

    /// Returns a budget; `None` if it has an error.
    pub(super) fn budget(&mut self, file: usize, keys: &BudgetKeys) -> Option<Budget> {
        let on_exceed = keys.on_exceed.as_ref().map(|at| at.value).unwrap_or_default();
        let stop_capacity = keys.stop_capacity.as_ref().filter(|at| at.value);
        if let Some(At { span, .. }) = stop_capacity
            && on_exceed != OnExceed::Stop
            && !keys.has_errors
        {
            let location = Location { file, span: *span };
            let hint = "set `on_exceed: stop`, or remove it";
            return self.fail(location, "\"stop_capacity\" requires `on_exceed: stop`", hint);
        }
        let monthly_usd = keys.monthly_usd.as_ref()?.value.0;
        Some(Budget { monthly_usd, on_exceed, stop_capacity: stop_capacity.is_some() })
    }

    /// Returns the budget of the fleet, with its location.
    pub(super) fn fleet_budget(
        &mut self,
        given: impl Iterator<Item = (usize, &'a At<BudgetKeys>)> + Clone,
    ) -> Option<(Budget, Location)> {
        let (file, At { span, .. }) = given.clone().next()?;
        let keys = self.single("budget", given)?;
        Some((self.budget(file, keys)?, Location { file, span: *span }))
    }

    /// Adds the owners of a file.
    pub(super) fn owners(&mut self, file: usize, keys: &'a FileKeys) {
        for TableEntry { name, value } in keys.owners.iter().flat_map(|table| &table.value.0) {
            let budget = value.as_ref().and_then(|keys| keys.budget.as_ref());
            let budget = budget.and_then(|at| self.budget(file, &at.value));
            self.define("owner", file, name, budget, |resolver| &mut resolver.owners);
        }
    }

    /// Returns warnings about owners that no function has.
    pub(super) fn owners_without_functions(&self) -> Vec<Problem> {
        if self.owners.is_empty() {
            return Vec::new();
        }
        let known: std::collections::BTreeSet<&str> =
            self.targets.iter().filter_map(|(target, _)| target.owner.as_deref()).collect();
        let unused = self.owners.iter().filter(|(name, _)| !known.contains(**name));
        let warning = |(name, owner): (&&str, &super::Definition<Budget>)| {
            let message = format!("no function has the owner {}", quoted(name));
            let hint = did_you_mean(name, known.iter().copied());
            self.warning(owner.location, message).maybe_hint(hint)
        };
        unused.map(warning).take(super::super::problem::MOST_PROBLEMS).collect()
    }
}
