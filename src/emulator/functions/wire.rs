//! The wire types of the functions file, and their conversion to profiles.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_yaml::{Location, Spanned};

use super::super::fault::Fault;
use super::super::profile::{
    Ahead, Handler, HoldBehavior, Ids, LogFormat, Network, Package, Profile, Span, Unrecognized,
};
use super::super::scenario::{Operation, Reads};
use super::scalars::{Aliases, DurationText, MemorySize, Optional, Text, Texts};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Faults {
    pub(super) faults: Vec<Fault>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadsEntry {
    rate: Option<u32>,
    #[serde(default)]
    faults: BTreeMap<Operation, Vec<Fault>>,
}

impl From<ReadsEntry> for Reads {
    fn from(ReadsEntry { rate, faults }: ReadsEntry) -> Self {
        Self { rate, faults }
    }
}

/// Defines `ProfileEntry` with optional keys, each with its type and the field of [`Profile`] that it replaces.
macro_rules! profile_entry {
    ($($key:ident: $kind:ty => $field:ident,)*) => {
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct ProfileEntry {
            profile: Option<Spanned<String>>,
            #[serde(default)]
            versions: BTreeMap<String, ProfileEntry>,
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
    code: Text => code,
    runtime: Text => runtime,
    memory: MemorySize => memory_mb,
    package: Package => package,
    fetch: Span => fetch,
    init: Span => init,
    init_limit: DurationText => init_limit,
    restore: Span => restore,
    ahead: Ahead => ahead,
    duration: Span => duration,
    ping: Span => ping,
    handler: Handler => handler,
    unrecognized: Unrecognized => unrecognized,
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
    provisioned_on: Texts => provisioned_on,
    denied_on: Texts => denied_on,
    prepare: DurationText => prepare,
    provisioned_fails: Optional => provisioned_fails,
    moving: DurationText => moving,
    inactive: DurationText => inactive,
    aliases: Aliases => aliases,
    log: LogFormat => log,
    xray: bool => xray,
    chatter: usize => chatter,
    faults: Vec<Fault> => faults,
    configuration: serde_json::Map<String, serde_json::Value> => configuration,
}

#[derive(Debug, Clone, Deserialize)]
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

/// Resolves the entries with the profiles in `defined`.
pub(super) fn resolve_all(
    entries: BTreeMap<String, ProfileEntry>,
    defined: &BTreeMap<String, Profile>,
) -> Result<BTreeMap<String, Profile>, InvalidValue> {
    entries.into_iter().map(|(name, entry)| Ok((name, entry.resolve(defined, None)?))).collect()
}

impl ProfileEntry {
    /// Overrides the named profile, or without a name the `present` or the default one, with the values of this entry.
    pub(super) fn resolve(
        mut self,
        defined: &BTreeMap<String, Profile>,
        present: Option<&Profile>,
    ) -> Result<Profile, InvalidValue> {
        let mut profile = match self.profile.take() {
            None => present.cloned().unwrap_or_default(),
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
        let versions = std::mem::take(&mut self.versions);
        self.apply(&mut profile);
        for (version, entry) in versions {
            let own = Profile { versions: BTreeMap::new(), ..profile.clone() };
            let present = profile.versions.get(&version).unwrap_or(&own);
            let resolved = entry.resolve(defined, Some(present))?;
            profile.versions.insert(version, resolved);
        }
        Ok(profile)
    }
}
