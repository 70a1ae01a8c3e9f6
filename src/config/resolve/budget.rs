//! Objectives and budgets: of functions, of owners and of the fleet.

use super::super::problem::{MOST_PROBLEMS, Problem};
use super::super::reader::At;
use super::super::values::TableEntry;
use super::super::wire::{BudgetKeys, FileKeys, SloSetting};
use super::{Location, Resolver};
use crate::domain::budget::{Budget, OnExceed};
use crate::domain::coverage::{BurnAlarm, Slo};
use crate::domain::parse::{did_you_mean, quoted};

/// Returns an objective; `None` if it is off, or its coverage has an error.
pub(super) fn slo_of(setting: &SloSetting) -> Option<Slo> {
    let SloSetting::Keys(keys) = setting else { return None };
    let coverage_ppm = keys.coverage.as_ref()?.value.0;
    let over_days = keys.over.as_ref().map_or(Slo::DEFAULT.over_days, |over| over.value.days());
    Some(Slo { coverage_ppm, over_days })
}

impl<'a> Resolver<'a, '_> {
    /// Reports an objective over a longer time than the history is kept.
    pub(super) fn slo(&mut self, file: usize, setting: Option<&At<SloSetting>>) {
        let Some(At { value: setting, span }) = setting else { return };
        let (SloSetting::Keys(keys), Some(Slo { over_days, .. })) = (setting, slo_of(setting)) else {
            return;
        };
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

    /// Returns warnings about objectives that no alarm watches.
    pub(super) fn objectives_without_alarms(&self) -> Vec<Problem> {
        let rate = BurnAlarm::FAST.rate.min(BurnAlarm::SLOW.rate);
        let low = self.targets.iter().filter_map(|(target, locations)| {
            target.slo.filter(|slo| slo.fastest_burn() <= rate).map(|slo| (slo, locations.function))
        });
        let warning = |(slo, location): (Slo, Location)| {
            let message = format!(
                "no alarm can be raised for the objective {slo}: its error budget burns at most {:.1} times too fast",
                slo.fastest_burn()
            );
            let lowest = 100.0 - 100.0 / rate;
            self.warning(location, message).hint(format!(
                "alarms are raised at {rate} times too fast, which needs a coverage above {lowest:.2}%"
            ))
        };
        low.take(MOST_PROBLEMS).map(warning).collect()
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
        unused.map(warning).take(MOST_PROBLEMS).collect()
    }
}
