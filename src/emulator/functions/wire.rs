//! The wire types of the functions file, and their conversion to a scenario.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_yaml::{Location, Spanned};

use super::super::fault::Fault;
use super::super::profile::{Handler, HoldBehavior, Ids, LogFormat, Network, Package, Profile, Span};
use super::super::scenario::{Account, Operation, Scenario};
use super::scalars::{AliasRoutes, DurationText, MemorySize};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    account: Option<AccountEntry>,
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
struct AccountEntry {
    id: Option<String>,
    concurrency: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileEntry {
    profile: Option<Spanned<String>>,
    memory: Option<MemorySize>,
    package: Option<PackageName>,
    fetch: Option<Span>,
    init: Option<Span>,
    init_limit: Option<DurationText>,
    restore: Option<Span>,
    duration: Option<Span>,
    ping: Option<Span>,
    handler: Option<Handler>,
    hold: Option<HoldBehavior>,
    extension: Option<Span>,
    ids: Option<Ids>,
    at_once: Option<NonZeroU32>,
    timeout: Option<DurationText>,
    idle_life: Option<Span>,
    recycle_after: Option<Span>,
    code_life: Option<DurationText>,
    network: Option<NetworkEntry>,
    reserved: Option<u32>,
    provisioned: Option<u32>,
    aliases: Option<BTreeMap<String, AliasRoutes>>,
    log: Option<LogFormat>,
    xray: Option<bool>,
    chatter: Option<usize>,
    faults: Option<Vec<Fault>>,
    configuration: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkEntry {
    median: DurationText,
    #[serde(default)]
    sigma: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PackageName {
    Zip,
    Image,
}

/// The location and the message of an error.
pub(super) type InvalidValue = (Option<Location>, String);

impl File {
    /// Converts the file to a scenario.
    pub(super) fn resolve(self) -> Result<Scenario, InvalidValue> {
        let Self {
            account,
            seed,
            speed,
            max_concurrent_streams,
            default,
            profiles,
            functions,
            denied,
            metrics,
            events,
        } = self;
        let defaults = Scenario::default();
        let defined: BTreeMap<String, Profile> = profiles
            .into_iter()
            .map(|(name, entry)| Ok((name, entry.resolve(&BTreeMap::new())?)))
            .collect::<Result<_, InvalidValue>>()?;
        let functions = functions
            .into_iter()
            .map(|(name, entry)| Ok((name, entry.resolve(&defined)?)))
            .collect::<Result<_, InvalidValue>>()?;
        let speed = match speed {
            None => defaults.speed,
            Some(given) if given.value.is_finite() && given.value > 0.0 => given.value,
            Some(given) => {
                let message = format!("expected a speed above 0, found {}", given.value);
                return Err((Some(given.referenced), message));
            }
        };
        let AccountEntry { id, concurrency } =
            account.unwrap_or(AccountEntry { id: None, concurrency: None });
        Ok(Scenario {
            account: Account {
                id: id.unwrap_or(defaults.account.id),
                concurrency: concurrency.unwrap_or(defaults.account.concurrency),
            },
            default: default.map(|entry| entry.resolve(&defined)).transpose()?,
            functions,
            denied,
            metrics: metrics.map_or(Vec::new(), |metrics| metrics.faults),
            events: events.map_or(Vec::new(), |events| events.faults),
            seed: seed.unwrap_or(defaults.seed),
            speed,
            max_concurrent_streams: max_concurrent_streams.unwrap_or(defaults.max_concurrent_streams),
            remembered: defaults.remembered,
        })
    }
}

impl ProfileEntry {
    /// Overrides the named profile, or the default one, with the values of this entry.
    fn resolve(self, defined: &BTreeMap<String, Profile>) -> Result<Profile, InvalidValue> {
        let Self {
            profile,
            memory,
            package,
            fetch,
            init,
            init_limit,
            restore,
            duration,
            ping,
            handler,
            hold,
            extension,
            ids,
            at_once,
            timeout,
            idle_life,
            recycle_after,
            code_life,
            network,
            reserved,
            provisioned,
            aliases,
            log,
            xray,
            chatter,
            faults,
            configuration,
        } = self;
        let base = match profile {
            None => Profile::default(),
            Some(named) => match defined
                .get(&named.value)
                .cloned()
                .or_else(|| Profile::built_in(&named.value))
            {
                Some(profile) => profile,
                None => {
                    let known: Vec<&str> =
                        defined.keys().map(String::as_str).chain(Profile::BUILT_IN).collect();
                    let message =
                        format!("unknown profile \"{}\"; known profiles: {}", named.value, known.join(", "));
                    return Err((Some(named.referenced), message));
                }
            },
        };
        let aliases = aliases
            .map(|aliases| aliases.into_iter().map(|(name, AliasRoutes(routes))| (name, routes)).collect());
        Ok(Profile {
            memory_mb: memory.map_or(base.memory_mb, |MemorySize(memory)| memory),
            package: package.map_or(base.package, |package| match package {
                PackageName::Zip => Package::Zip,
                PackageName::Image => Package::Image,
            }),
            fetch: fetch.unwrap_or(base.fetch),
            init: init.unwrap_or(base.init),
            init_limit: init_limit.map(|DurationText(limit)| limit).or(base.init_limit),
            restore: restore.or(base.restore),
            duration: duration.unwrap_or(base.duration),
            ping: ping.unwrap_or(base.ping),
            handler: handler.unwrap_or(base.handler),
            hold: hold.unwrap_or(base.hold),
            extension: extension.unwrap_or(base.extension),
            ids: ids.unwrap_or(base.ids),
            at_once: at_once.unwrap_or(base.at_once),
            timeout: timeout.map_or(base.timeout, |DurationText(timeout)| timeout),
            idle_life: idle_life.unwrap_or(base.idle_life),
            recycle_after: recycle_after.unwrap_or(base.recycle_after),
            code_life: code_life.map_or(base.code_life, |DurationText(life)| life),
            network: network.map_or(base.network, |NetworkEntry { median: DurationText(median), sigma }| {
                Network { median, sigma }
            }),
            reserved: reserved.or(base.reserved),
            provisioned: provisioned.or(base.provisioned),
            aliases: aliases.unwrap_or(base.aliases),
            log: log.unwrap_or(base.log),
            xray: xray.unwrap_or(base.xray),
            chatter: chatter.unwrap_or(base.chatter),
            faults: faults.unwrap_or(base.faults),
            configuration: configuration.unwrap_or(base.configuration),
        })
    }
}
