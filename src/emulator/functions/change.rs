//! Changes of a scenario while the emulator runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_yaml::Spanned;

use super::super::scenario::{Operation, Scenario, TimedChange};
use super::scalars::DurationText;
use super::wire::{Faults, InvalidValue, ProfileEntry, ReadsEntry};

/// A change of a scenario: the keys of a functions file that replace what is there. A function's keys replace those of
/// the present function, unless they name a `profile` to begin with. `null` deletes a function.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    after: Option<Spanned<DurationText>>,
    account: Option<AccountChange>,
    denied: Option<Vec<Operation>>,
    reads: Option<ReadsEntry>,
    metrics: Option<Faults>,
    events: Option<Faults>,
    default: Option<ProfileEntry>,
    #[serde(default)]
    functions: BTreeMap<String, Option<ProfileEntry>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    concurrency: Option<u32>,
    in_use_by_others: Option<u32>,
}

impl Change {
    /// Applies the change to `scenario`.
    ///
    /// # Errors
    /// A profile that does not exist. The scenario may have been changed in part.
    pub(super) fn apply(self, scenario: &mut Scenario) -> Result<(), InvalidValue> {
        if let Some(AccountChange { concurrency, in_use_by_others }) = self.account {
            let account = &mut scenario.account;
            account.concurrency = concurrency.unwrap_or(account.concurrency);
            account.in_use_by_others = in_use_by_others.unwrap_or(account.in_use_by_others);
        }
        if let Some(denied) = self.denied {
            scenario.denied = denied;
        }
        if let Some(reads) = self.reads {
            scenario.reads = reads.into();
        }
        if let Some(metrics) = self.metrics {
            scenario.metrics = metrics.faults;
        }
        if let Some(events) = self.events {
            scenario.events = events.faults;
        }
        if let Some(entry) = self.default {
            scenario.default = Some(entry.resolve(&scenario.profiles, scenario.default.as_ref())?);
        }
        for (name, entry) in self.functions {
            let Some(entry) = entry else {
                scenario.functions.remove(&name);
                continue;
            };
            let profile = entry.resolve(&scenario.profiles, scenario.profile(&name))?;
            scenario.functions.insert(name, profile);
        }
        Ok(())
    }

    /// Returns the changes in the order of their times.
    ///
    /// # Errors
    /// A change without a time, or with a profile that does not exist in `scenario`.
    pub(super) fn timed(changes: Vec<Self>, scenario: &Scenario) -> Result<Vec<TimedChange>, InvalidValue> {
        let mut timed = Vec::new();
        for change in changes {
            let Some(after) = &change.after else {
                return Err((None, "each of `changes` requires `after`, a duration".to_owned()));
            };
            let after = after.value.into();
            change.clone().apply(&mut scenario.clone())?;
            let make = Arc::new(move |scenario: &mut Scenario| {
                // Its profiles exist: they do not change.
                let _ = change.clone().apply(scenario);
            });
            timed.push(TimedChange { after, make });
        }
        timed.sort_by_key(|change| change.after);
        Ok(timed)
    }

    /// Returns the change of a request, which applies at once.
    ///
    /// # Errors
    /// It has a time.
    pub(super) fn immediate(self) -> Result<Self, InvalidValue> {
        match &self.after {
            None => Ok(self),
            Some(after) => Err((Some(after.referenced), "`after` is for a functions file".to_owned())),
        }
    }
}
