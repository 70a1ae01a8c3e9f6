//! The functions file as it is written, and what it means.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_yaml::{Location, Spanned};

use super::super::fault::Fault;
use super::super::profile::{
    Account, Handler, Hold, Ids, LogFormat, Network, Operation, Package, Profile, Scenario, Span,
};
use super::words::{Aliased, Megabytes, Time};

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
    memory: Option<Megabytes>,
    package: Option<PackageName>,
    fetch: Option<Span>,
    init: Option<Span>,
    init_limit: Option<Time>,
    restore: Option<Span>,
    duration: Option<Span>,
    ping: Option<Span>,
    handler: Option<Handler>,
    hold: Option<Hold>,
    extension: Option<Span>,
    ids: Option<Ids>,
    at_once: Option<NonZeroU32>,
    timeout: Option<Time>,
    idle_life: Option<Span>,
    recycle_after: Option<Span>,
    code_life: Option<Time>,
    network: Option<NetworkEntry>,
    reserved: Option<u32>,
    provisioned: Option<u32>,
    aliases: Option<BTreeMap<String, Aliased>>,
    log: Option<LogFormat>,
    xray: Option<bool>,
    chatter: Option<usize>,
    faults: Option<Vec<Fault>>,
    configuration: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkEntry {
    median: Time,
    #[serde(default)]
    sigma: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PackageName {
    Zip,
    Image,
}

/// Where something is wrong, and what.
pub(super) type Mistake = (Option<Location>, String);

impl File {
    /// The scenario; an error says where something is wrong, and what.
    pub(super) fn resolve(self) -> Result<Scenario, Mistake> {
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
        let plain = Scenario::default();
        let own: BTreeMap<String, Profile> = profiles
            .into_iter()
            .map(|(name, entry)| Ok((name, entry.resolve(&BTreeMap::new())?)))
            .collect::<Result<_, Mistake>>()?;
        let functions = functions
            .into_iter()
            .map(|(name, entry)| Ok((name, entry.resolve(&own)?)))
            .collect::<Result<_, Mistake>>()?;
        let speed = match speed {
            None => plain.speed,
            Some(given) if given.value.is_finite() && given.value > 0.0 => given.value,
            Some(given) => {
                let message = format!("speed is {}; it must be above 0", given.value);
                return Err((Some(given.referenced), message));
            }
        };
        let AccountEntry { id, concurrency } =
            account.unwrap_or(AccountEntry { id: None, concurrency: None });
        Ok(Scenario {
            account: Account {
                id: id.unwrap_or(plain.account.id),
                concurrency: concurrency.unwrap_or(plain.account.concurrency),
            },
            default: default.map(|entry| entry.resolve(&own)).transpose()?,
            functions,
            denied,
            metrics: metrics.map_or(Vec::new(), |metrics| metrics.faults),
            events: events.map_or(Vec::new(), |events| events.faults),
            seed: seed.unwrap_or(plain.seed),
            speed,
            max_concurrent_streams: max_concurrent_streams.unwrap_or(plain.max_concurrent_streams),
            remembered: plain.remembered,
        })
    }
}

impl ProfileEntry {
    /// The profile named, or the built-in default, with this entry's words over it.
    fn resolve(self, own: &BTreeMap<String, Profile>) -> Result<Profile, Mistake> {
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
            Some(named) => match own.get(&named.value).cloned().or_else(|| Profile::built_in(&named.value)) {
                Some(profile) => profile,
                None => {
                    let known: Vec<&str> = own.keys().map(String::as_str).chain(Profile::BUILT_IN).collect();
                    let message = format!("no profile `{}` (there are: {})", named.value, known.join(", "));
                    return Err((Some(named.referenced), message));
                }
            },
        };
        let aliases = aliases
            .map(|aliases| aliases.into_iter().map(|(name, Aliased(routes))| (name, routes)).collect());
        Ok(Profile {
            memory_mb: memory.map_or(base.memory_mb, |Megabytes(memory)| memory),
            package: package.map_or(base.package, |package| match package {
                PackageName::Zip => Package::Zip,
                PackageName::Image => Package::Image,
            }),
            fetch: fetch.unwrap_or(base.fetch),
            init: init.unwrap_or(base.init),
            init_limit: init_limit.map(|Time(limit)| limit).or(base.init_limit),
            restore: restore.or(base.restore),
            duration: duration.unwrap_or(base.duration),
            ping: ping.unwrap_or(base.ping),
            handler: handler.unwrap_or(base.handler),
            hold: hold.unwrap_or(base.hold),
            extension: extension.unwrap_or(base.extension),
            ids: ids.unwrap_or(base.ids),
            at_once: at_once.unwrap_or(base.at_once),
            timeout: timeout.map_or(base.timeout, |Time(timeout)| timeout),
            idle_life: idle_life.unwrap_or(base.idle_life),
            recycle_after: recycle_after.unwrap_or(base.recycle_after),
            code_life: code_life.map_or(base.code_life, |Time(life)| life),
            network: network.map_or(base.network, |NetworkEntry { median: Time(median), sigma }| Network {
                median,
                sigma,
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
