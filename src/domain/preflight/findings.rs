//! What follows from what was seen.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::peak::{Peak, peak};
use super::{AccountLimits, AccountSeen, Lookup, Model, Observations, Observed, Read, State, Update};
use crate::domain::fleet::{Architecture, Fleet, Hold, Target};
use crate::domain::function::{AccountId, Identity, Region, account_of};
use crate::domain::schedule::Minute;

/// Lambda takes ten requests a second for each concurrent execution. Source: Lambda quotas.
const REQUESTS_PER_EXECUTION: u64 = 10;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Warming fails, or does harm.
    Error,
    /// Warming works; it gains little, or something that is said about it is wrong.
    Warning,
}

/// Something about a target that does not fit what is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The target's place in the fleet.
    pub target: usize,
    /// What it is.
    pub kind: Kind,
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The caller may not invoke it; what Lambda said.
    MayNotInvoke {
        /// What Lambda said.
        said: String,
        /// The ARN, when it is known.
        arn: Option<String>,
    },
    /// It is not there.
    NoFunction,
    /// The function is there, the version or alias is not.
    NoQualifier,
    /// It is not active.
    State {
        /// Its state, never [`State::Active`].
        state: State,
        /// Lambda's reason.
        reason: Option<String>,
    },
    /// The last update is not done.
    Update {
        /// Where it is, never [`Update::Successful`].
        update: Update,
        /// Lambda's reason.
        reason: Option<String>,
    },
    /// It is not run on demand.
    Model(Model),
    /// Each ping holds the handler until the function times out.
    HoldOutlasts {
        /// The configured hold.
        hold: Duration,
        /// The deployed timeout.
        timeout: Duration,
    },
    /// Its reserved concurrency does not leave room for its largest round.
    Reserved {
        /// What is reserved; 0 means that the function is switched off.
        reserved: u32,
        /// The pings of the largest round.
        wanted: u32,
    },
    /// Its largest round takes all of its reserved concurrency: users are throttled while it lasts.
    ReservedAll {
        /// What is reserved.
        reserved: u32,
    },
    /// Its largest round is larger than what the account has.
    Account {
        /// The account's concurrent executions that no function has reserved.
        unreserved: u32,
        /// The pings of the largest round.
        wanted: u32,
    },
    /// The rounds of several of its qualifiers that fall due together do not fit into the reserved concurrency that
    /// they share, or take all of it. Told of the target with the most pings.
    ReservedTogether {
        /// What is reserved.
        reserved: u32,
        /// What is due.
        peak: Peak,
    },
    /// Provisioned environments take its pings.
    Provisioned {
        /// How many there are.
        provisioned: u32,
        /// The pings of the largest round.
        wanted: u32,
    },
    /// The configured memory is not what is deployed.
    Memory {
        /// What is deployed, MB.
        deployed: u32,
        /// What is configured, MB.
        configured: u32,
    },
    /// The configured timeout is not what is deployed.
    Timeout {
        /// What is deployed.
        deployed: Duration,
        /// What is configured.
        configured: Duration,
    },
    /// The configured instruction set, or the one that is taken when none is, is not what is deployed.
    Architecture {
        /// What is deployed.
        deployed: Architecture,
        /// What is configured.
        configured: Architecture,
    },
    /// All that is due in one minute is more than what the account has. Told of the target with the most pings.
    Crowd {
        /// What is due.
        peak: Peak,
        /// What the account has.
        limits: AccountLimits,
        /// Whether the pings, sent within a second, are also more than the requests that Lambda takes in one.
        rate: Rate,
        /// `limits.max_in_flight`.
        max_in_flight: u32,
    },
}

/// Whether requests keep to the rate that Lambda takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// They do.
    Kept,
    /// They are more than that many a second.
    Above(u64),
}

impl Kind {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::ReservedTogether { reserved, peak } if peak.pings > u64::from(*reserved) => Severity::Error,
            Self::MayNotInvoke { .. }
            | Self::NoFunction
            | Self::NoQualifier
            | Self::HoldOutlasts { .. }
            | Self::Reserved { .. }
            | Self::Account { .. }
            | Self::Model(Model::Durable | Model::PerTenant)
            | Self::State { state: State::Failed | State::Off, .. } => Severity::Error,
            Self::State { state: State::Inactive | State::Pending | State::Active, .. }
            | Self::Update { .. }
            | Self::Model(Model::Managed | Model::SnapStart | Model::OnDemand)
            | Self::ReservedAll { .. }
            | Self::ReservedTogether { .. }
            | Self::Provisioned { .. }
            | Self::Memory { .. }
            | Self::Timeout { .. }
            | Self::Architecture { .. }
            | Self::Crowd { .. } => Severity::Warning,
        }
    }
}

/// What does not fit, target by target in the order of the fleet. Targets that are never pinged are left out.
pub fn findings(fleet: &Fleet, seen: &Observations, now: Minute) -> Vec<Finding> {
    let accounts: Vec<Account<'_>> =
        seen.accounts.iter().map(|account| Account::of(account, fleet, seen)).collect();
    let mut found = Vec::new();
    for (index, (target, observed)) in fleet.targets.iter().zip(&seen.targets).enumerate() {
        if target.is_warmed() {
            let account = accounts.iter().find(|account| account.has(target));
            let kinds = of_target(target, observed, account.and_then(|account| account.seen.limits.known()));
            found.extend(kinds.into_iter().map(|kind| Finding { target: index, kind }));
        }
    }
    found.extend(shared(fleet, seen, now));
    found.extend(accounts.iter().filter_map(|account| account.crowd(fleet, seen, now)));
    found.sort_by_key(|finding| finding.target);
    found
}

fn of_target(target: &Target, seen: &Observed, account: Option<&AccountLimits>) -> Vec<Kind> {
    if seen.invoke == Lookup::Missing || seen.configuration == Lookup::Missing {
        // Reserved concurrency is the function's, whatever the qualifier: who has it is there.
        let there = target.id.qualifier.is_some() && seen.reserved.known().is_some();
        return vec![if there { Kind::NoQualifier } else { Kind::NoFunction }];
    }
    let mut kinds = Vec::new();
    let deployed = seen.configuration.known();
    if let Lookup::Denied(said) = &seen.invoke {
        let arn = deployed.and_then(|deployed| deployed.arn.clone());
        kinds.push(Kind::MayNotInvoke { said: said.clone(), arn });
    }
    let wanted = target.highest();
    if let Some(deployed) = deployed {
        if deployed.state != State::Active {
            kinds.push(Kind::State { state: deployed.state, reason: deployed.state_reason.clone() });
        }
        if deployed.update != Update::Successful {
            kinds.push(Kind::Update { update: deployed.update, reason: deployed.update_reason.clone() });
        }
        if deployed.model != Model::OnDemand {
            kinds.push(Kind::Model(deployed.model));
        }
        if let (Hold::Fixed(hold), Some(timeout)) = (target.hold, deployed.timeout)
            && hold >= timeout
            && target.protocol.honours_hold()
        {
            kinds.push(Kind::HoldOutlasts { hold, timeout });
        }
    }
    match seen.reserved.known() {
        Some(Some(reserved)) if *reserved < wanted => {
            kinds.push(Kind::Reserved { reserved: *reserved, wanted })
        }
        Some(Some(reserved)) if *reserved == wanted => kinds.push(Kind::ReservedAll { reserved: *reserved }),
        Some(None) => {
            let unreserved =
                account.map(|limits| limits.unreserved).filter(|unreserved| *unreserved < wanted);
            kinds.extend(unreserved.map(|unreserved| Kind::Account { unreserved, wanted }));
        }
        Some(Some(_)) | None => {}
    }
    if let Some(Some(provisioned)) = seen.provisioned.known() {
        kinds.push(Kind::Provisioned { provisioned: *provisioned, wanted });
    }
    if let Some(deployed) = deployed {
        if let (Some(deployed), Some(configured)) = (deployed.memory_mb, target.memory_mb)
            && deployed != configured
        {
            kinds.push(Kind::Memory { deployed, configured });
        }
        if let (Some(deployed), Some(configured)) = (deployed.timeout, target.timeout)
            && deployed != configured
        {
            kinds.push(Kind::Timeout { deployed, configured });
        }
        if let Some(deployed) = deployed.architecture
            && deployed != target.architecture
        {
            kinds.push(Kind::Architecture { deployed, configured: target.architecture });
        }
    }
    kinds
}

/// Functions whose qualifiers together are due for all of their reserved concurrency, or more.
fn shared(fleet: &Fleet, seen: &Observations, now: Minute) -> Vec<Finding> {
    let mut functions: HashMap<_, (u32, Vec<(usize, &Target)>)> = HashMap::new();
    for (index, (target, observed)) in fleet.targets.iter().zip(&seen.targets).enumerate() {
        if let Some(Some(reserved @ 1..)) = observed.reserved.known() {
            let function = Identity { qualifier: None, ..target.id.clone() };
            let known = functions.entry((function, target.role.as_deref()));
            known.or_insert_with(|| (*reserved, Vec::new())).1.push((index, target));
        }
    }
    let functions = functions.into_values().filter(|(_, targets)| targets.len() > 1);
    let peaks = functions.filter_map(|(reserved, targets)| Some((reserved, peak(&targets, now)?)));
    // One round alone is told as such.
    let tight = peaks.filter(|(reserved, peak)| peak.pings >= u64::from(*reserved) && peak.targets > 1);
    let told = tight.map(|(reserved, peak)| Finding {
        target: peak.largest,
        kind: Kind::ReservedTogether { reserved, peak },
    });
    told.collect()
}

/// An account in a region.
struct Account<'s> {
    seen: &'s AccountSeen,
    /// Its id, as far as anything tells it.
    id: Option<&'s str>,
}

impl<'s> Account<'s> {
    fn of(account: &'s AccountSeen, fleet: &Fleet, seen: &'s Observations) -> Self {
        let id = match &account.role {
            Some(role) => account_of(&role.arn),
            // It stands in the ARN of whatever is called by its name.
            None => fleet.targets.iter().zip(&seen.targets).find_map(|(target, observed)| {
                let own = target.role.is_none() && target.id.account.is_none();
                account_of(observed.configuration.known().filter(|_| own)?.arn.as_deref()?)
            }),
        };
        Self { seen: account, id }
    }

    /// Whether the target runs in it: one that is configured by ARN may be in another.
    fn has(&self, target: &Target) -> bool {
        let named = target.id.account.as_ref().map(AccountId::as_str);
        self.seen.region == target.region()
            && self.seen.role == target.role
            && (named.is_none() || self.id.is_none() || named == self.id)
    }

    /// Whether more is due at once than it has.
    fn crowd(&self, fleet: &Fleet, seen: &Observations, now: Minute) -> Option<Finding> {
        let limits = *self.seen.limits.known()?;
        let pairs = fleet.targets.iter().zip(&seen.targets).enumerate();
        let members: Vec<(usize, &Target)> = pairs
            // What is reserved is not taken from the others.
            .filter(|(_, (_, observed))| !matches!(observed.reserved, Lookup::Known(Some(_))))
            .filter(|(_, (target, _))| self.has(target))
            .map(|(index, (target, _))| (index, target))
            .collect();
        let peak = peak(&members, now)?;
        // A single round that is too large is told as such.
        if peak.pings <= u64::from(limits.unreserved) || peak.targets < 2 {
            return None;
        }
        let most = u64::from(limits.concurrent).saturating_mul(REQUESTS_PER_EXECUTION);
        let rate = if peak.pings > most { Rate::Above(most) } else { Rate::Kept };
        let kind = Kind::Crowd { peak, limits, rate, max_in_flight: fleet.limits.max_in_flight };
        Some(Finding { target: peak.largest, kind })
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// What was asked.
    pub read: Read,
    /// Why there is no answer.
    pub why: Why,
    /// The reason that was given, for people; of [`Why::Denied`] the first, since each names its own function.
    pub reason: String,
    /// The regions in which it could not be read, in alphabetical order.
    pub regions: Vec<Region>,
    /// Of how many targets; of how many accounts and regions, for [`Read::Account`].
    pub count: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The target was not reached at all.
    Unreachable,
    /// The caller has no permission to read it.
    Denied,
    /// The service could not answer.
    Failed,
}

impl Unchecked {
    /// Whether it keeps targets from being compared at all, through no decision of anybody's: permissions that are not
    /// granted are one.
    pub fn is_failure(&self) -> bool {
        match self.why {
            Why::Unreachable => true,
            Why::Failed => self.read == Read::Configuration,
            Why::Denied => false,
        }
    }
}

/// What could not be read, each told once for every reason.
pub fn unchecked<'s>(fleet: &Fleet, seen: &'s Observations) -> Vec<Unchecked> {
    let mut found: BTreeMap<(Why, Read, &str), Unchecked> = BTreeMap::new();
    let mut note = |read: Read, region: Region, why: Option<(Why, &'s str)>| {
        let Some((why, reason)) = why else { return };
        let apart = if why == Why::Denied { "" } else { reason };
        let lost = found.entry((why, read, apart)).or_insert_with(|| {
            let reason = reason.to_owned();
            Unchecked { read, why, reason, regions: Vec::new(), count: 0 }
        });
        lost.count += 1;
        if let Err(place) = lost.regions.binary_search(&region) {
            lost.regions.insert(place, region);
        }
    };
    for (target, observed) in fleet.targets.iter().zip(&seen.targets) {
        if !target.is_warmed() {
            continue;
        }
        let region = target.region();
        // That it may not be invoked is a finding of its own.
        note(Read::Invoke, region, why(&observed.invoke).filter(|(why, _)| *why != Why::Denied));
        note(Read::Configuration, region, why(&observed.configuration));
        note(Read::Reserved, region, why(&observed.reserved));
        note(Read::Provisioned, region, why(&observed.provisioned));
    }
    for account in &seen.accounts {
        note(Read::Account, account.region, why(&account.limits));
    }
    found.into_values().collect()
}

fn why<T>(seen: &Lookup<T>) -> Option<(Why, &str)> {
    match seen {
        Lookup::NotAsked | Lookup::Known(_) | Lookup::Missing => None,
        Lookup::Denied(reason) => Some((Why::Denied, reason)),
        Lookup::Failed(reason) => Some((Why::Failed, reason)),
        Lookup::Unreachable(reason) => Some((Why::Unreachable, reason)),
    }
}
