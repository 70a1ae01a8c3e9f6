//! The functions file as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Spanned;

use super::super::scenario::{Account, Operation, Scenario};
use super::change::Change;
use super::wire::{Faults, InvalidValue, ProfileEntry, ReadsEntry, resolve_all};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    account: Account,
    seed: Option<u64>,
    speed: Option<Spanned<f64>>,
    max_concurrent_streams: Option<u32>,
    default: Option<ProfileEntry>,
    #[serde(default)]
    profiles: BTreeMap<String, ProfileEntry>,
    #[serde(default)]
    functions: BTreeMap<String, ProfileEntry>,
    #[serde(default)]
    denied: Vec<Operation>,
    #[serde(default)]
    reads: ReadsEntry,
    #[serde(default)]
    changes: Vec<Change>,
    metrics: Option<Faults>,
    events: Option<Faults>,
}

impl File {
    /// Converts the file to a scenario.
    pub(super) fn resolve(self) -> Result<Scenario, InvalidValue> {
        let defaults = Scenario::default();
        let defined = resolve_all(self.profiles, &BTreeMap::new())?;
        let speed = match self.speed {
            None => defaults.speed,
            Some(given) if given.value.is_finite() && given.value > 0.0 => given.value,
            Some(given) => {
                let message = format!("expected a speed above 0, found {}", given.value);
                return Err((Some(given.referenced), message));
            }
        };
        let mut scenario = Scenario {
            account: self.account,
            default: self.default.map(|entry| entry.resolve(&defined, None)).transpose()?,
            functions: resolve_all(self.functions, &defined)?,
            profiles: defined,
            changes: Vec::new(),
            reads: self.reads.into(),
            denied: self.denied,
            metrics: self.metrics.map_or(Vec::new(), |metrics| metrics.faults),
            events: self.events.map_or(Vec::new(), |events| events.faults),
            seed: self.seed.unwrap_or(defaults.seed),
            speed,
            max_concurrent_streams: self.max_concurrent_streams.unwrap_or(defaults.max_concurrent_streams),
            remembered: defaults.remembered,
        };
        scenario.changes = Change::timed(self.changes, &scenario)?;
        Ok(scenario)
    }
}
