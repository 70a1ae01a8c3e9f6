//! The wire types of the functions file, and their conversion to a scenario.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_yaml::{Location, Spanned};

use super::super::fault::Fault;
use super::super::profile::{Handler, HoldBehavior, Ids, LogFormat, Network, Package, Profile, Span};
use super::super::scenario::{Account, Operation, Scenario};
use super::scalars::{Aliases, DurationText, MemorySize};

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
    metrics: Option<Faults>,
    events: Option<Faults>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    faults: Vec<Fault>,
}

/// Defines `ProfileEntry` with optional keys, each with its type and the field of [`Profile`] that it replaces.
macro_rules! profile_entry {
    ($($key:ident: $kind:ty => $field:ident,)*) => {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct ProfileEntry {
            profile: Option<Spanned<String>>,
            $($key: Option<$kind>,)*
        }

        impl ProfileEntry {
            /// Replaces the fields of `profile` for which the entry has a key.
            fn apply(self, profile: &mut Profile) {
                $(if let Some(value) = self.$key {
                    profile.$field = value.into();
                })*
            }
        }
    };
}

profile_entry! {
    memory: MemorySize => memory_mb,
    package: Package => package,
    fetch: Span => fetch,
    init: Span => init,
    init_limit: DurationText => init_limit,
    restore: Span => restore,
    duration: Span => duration,
    ping: Span => ping,
    handler: Handler => handler,
    hold: HoldBehavior => hold,
    extension: Span => extension,
    ids: Ids => ids,
    at_once: NonZeroU32 => at_once,
    timeout: DurationText => timeout,
    idle_life: Span => idle_life,
    recycle_after: Span => recycle_after,
    code_life: DurationText => code_life,
    network: NetworkEntry => network,
    reserved: u32 => reserved,
    provisioned: u32 => provisioned,
    aliases: Aliases => aliases,
    log: LogFormat => log,
    xray: bool => xray,
    chatter: usize => chatter,
    faults: Vec<Fault> => faults,
    configuration: serde_json::Map<String, serde_json::Value> => configuration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkEntry {
    median: DurationText,
    #[serde(default)]
    sigma: f64,
}

impl From<NetworkEntry> for Network {
    fn from(entry: NetworkEntry) -> Self {
        Self { median: entry.median.into(), sigma: entry.sigma }
    }
}

/// The location and the message of an error.
pub(super) type InvalidValue = (Option<Location>, String);

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
        Ok(Scenario {
            account: self.account,
            default: self.default.map(|entry| entry.resolve(&defined)).transpose()?,
            functions: resolve_all(self.functions, &defined)?,
            denied: self.denied,
            metrics: self.metrics.map_or(Vec::new(), |metrics| metrics.faults),
            events: self.events.map_or(Vec::new(), |events| events.faults),
            seed: self.seed.unwrap_or(defaults.seed),
            speed,
            max_concurrent_streams: self.max_concurrent_streams.unwrap_or(defaults.max_concurrent_streams),
            remembered: defaults.remembered,
        })
    }
}

fn resolve_all(
    entries: BTreeMap<String, ProfileEntry>,
    defined: &BTreeMap<String, Profile>,
) -> Result<BTreeMap<String, Profile>, InvalidValue> {
    entries.into_iter().map(|(name, entry)| Ok((name, entry.resolve(defined)?))).collect()
}

impl ProfileEntry {
    /// Overrides the named profile, or the default one, with the values of this entry.
    fn resolve(mut self, defined: &BTreeMap<String, Profile>) -> Result<Profile, InvalidValue> {
        let mut profile = match self.profile.take() {
            None => Profile::default(),
            Some(name) => {
                let found = defined.get(&name.value).cloned().or_else(|| Profile::built_in(&name.value));
                found.ok_or_else(|| {
                    let mut known: Vec<&str> = defined.keys().map(String::as_str).collect();
                    known.extend(Profile::built_in_names().map(|name| -> &str { name }));
                    let message =
                        format!("unknown profile \"{}\"; known profiles: {}", name.value, known.join(", "));
                    (Some(name.referenced), message)
                })?
            }
        };
        self.apply(&mut profile);
        Ok(profile)
    }
}
