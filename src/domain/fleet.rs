//! The resolved configuration. One [`Target`] is one function in one region.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::backlog;
use super::budget::Budget;
use super::calendar::Window;
use super::capacity::{Owner, Strategy};
use super::cost::assume::Assumptions;
use super::cost::{Download, PriceBook};
use super::coverage::Slo;
use super::function::{
    AccountId, Architecture, FunctionRef, Identity, Qualifier, Region, Tenant, account_of,
};
use super::metrics::Detail;
use super::pipeline::Pipeline;
use super::protocol::Protocol;

pub use super::on_request::OnRequest;

/// The resolved and validated configuration.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The targets, in the order of files and entries.
    pub targets: Vec<Target>,
    /// The pipelines, each in every one of its regions. Their windows and rules are in the targets as well.
    pub pipelines: Vec<Pipeline>,
    /// Limits of the whole fleet.
    pub limits: Limits,
    /// The destination and detail of metrics.
    pub metrics: MetricsSettings,
    /// The owner of the capacity that is made, in its tags and names.
    pub owner: Owner,
    /// The monthly budget of the whole fleet.
    pub budget: Option<Budget>,
    /// The monthly budgets of owners, by the text in [`Target::owner`].
    pub owner_budgets: BTreeMap<String, Budget>,
    /// The embedded prices with the overrides of the configuration.
    pub prices: PriceBook,
    /// A stable hash of the configuration's content, `config` in the tick object.
    pub hash: String,
}

impl Fleet {
    /// Creates a fleet with the defaults of a configuration, the embedded prices and an empty hash.
    pub fn new(targets: Vec<Target>) -> Self {
        Self {
            targets,
            pipelines: Vec::new(),
            limits: Limits::default(),
            metrics: MetricsSettings::default(),
            owner: Owner::default(),
            budget: None,
            owner_budgets: BTreeMap::new(),
            prices: PriceBook::embedded(),
            hash: String::new(),
        }
    }
}

/// Limits of the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of pings in flight, 1 to 100,000. A round is never cut: rounds are packed into waves.
    pub max_in_flight: u32,
    /// The share of an account's unreserved concurrency in a region that pings use at most, in percent, 1 to 100.
    pub account_share: u32,
    /// The part of a function's reserved concurrency that pings leave to its users, at least 0.
    pub leave_free: u32,
    /// The days for which the history is kept, 1 to 4,000.
    pub keep_history_days: u32,
    /// The transport of the pings of a round.
    pub wire: WireSettings,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_in_flight: 500,
            account_share: 20,
            leave_free: 1,
            keep_history_days: 400,
            wire: WireSettings::default(),
        }
    }
}

/// The transport of the pings of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireSettings {
    /// The number of signatures for a round.
    pub sign: Sign,
    /// The HTTP versions that carry pings.
    pub http: HttpVersions,
}

/// The number of signatures for a round. A signature covers the payload, so pings with different payloads are always
/// signed individually.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sign {
    /// One for the round. Lambda accepts the same signed request for five minutes.
    #[default]
    Round,
    /// One for each ping.
    Ping,
}

/// The HTTP versions that carry pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersions {
    /// HTTP/2 where the server offers it during the TLS handshake, otherwise HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 with one connection for each ping.
    Http1,
}

/// The visibility of pings in the traces of functions with active tracing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trace {
    /// Invisible: every ping carries an `X-Amzn-Trace-Id` with `Sampled=0`.
    #[default]
    Off,
    /// The SDK sets the header to that of the warmer's invocation, if any.
    Inherit,
}

impl Trace {
    /// Returns the name in the configuration: `off` or `inherit`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Inherit => "inherit",
        }
    }
}

/// The destination and detail of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The CloudWatch namespace.
    pub namespace: String,
    /// The detail of the metrics.
    pub detail: Detail,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { namespace: "warmd".to_owned(), detail: Detail::Fleet }
    }
}

/// One function in one region, with its schedule.
#[derive(Debug, Clone)]
pub struct Target {
    /// The function, and the tenant of one with tenant isolation.
    pub id: Identity,
    /// The function as configured, `name[:qualifier]` or the ARN. [`Identity::shown`] adds the tenant.
    pub label: String,
    /// Free text that is copied to every record.
    pub owner: Option<String>,
    /// The protocol of the pings.
    pub protocol: Protocol,
    /// The hold requested by a ping.
    pub hold: Hold,
    /// The function's timeout, if configured; 900 s is assumed otherwise.
    pub timeout: Option<Duration>,
    /// The memory in MB of 1,048,576 bytes, if configured; otherwise read from the REPORT line.
    pub memory_mb: Option<u32>,
    /// The instruction set, which determines the price of a GB-second.
    pub architecture: Architecture,
    /// The downloads of a cold start or of every ping.
    pub downloads: Vec<Download>,
    /// The assumptions of cost estimates.
    pub assume: Assumptions,
    /// Minutes between two rounds of an open window, at least 1.
    pub interval_minutes: u32,
    /// Minutes added to the epoch minute before it is divided by the interval; 0 without `stagger`.
    pub phase_minutes: u32,
    /// Environments added to a desired number above zero.
    pub spare: u32,
    /// The enabled windows that apply to this region.
    pub windows: Vec<Window>,
    /// The backlogs that are read from metrics.
    pub backlogs: Vec<backlog::Rule>,
    /// The limits of Warm Requests; `None` disables them.
    pub on_request: Option<OnRequest>,
    /// The role to assume for the function; `None` is that of the warmer.
    pub role: Option<Arc<Role>>,
    /// The visibility of pings in traces.
    pub trace: Trace,
    /// The check of the first contact.
    pub canary: Canary,
    /// The means that keep the target warm.
    pub strategy: Strategy,
    /// The time below which a cold start is semi-cold, without the hold: the code was still cached. `None` if unknown.
    pub semi_cold_below: Option<Duration>,
    /// The objective for coverage; `None` without one.
    pub slo: Option<Slo>,
    /// The monthly budget; `None` without one.
    pub budget: Option<Budget>,
}

/// The check of the first contact with a handler: one ping before the first round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// The handler is unsafe if a warm run takes longer than the hold and this time.
    On(Duration),
    /// No check.
    Off,
}

impl Default for Canary {
    fn default() -> Self {
        Self::On(Self::DEFAULT_MAX)
    }
}

impl Canary {
    /// The default time beyond the hold.
    pub const DEFAULT_MAX: Duration = Duration::from_secs(1);
}

/// A role to assume.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The external id required by its trust policy. Redacted in [`Debug`](std::fmt::Debug), because it is shared only
    /// with the role's owner.
    pub external_id: Option<String>,
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let external_id = self.external_id.as_ref().map(|_| "redacted");
        f.debug_struct("Role").field("arn", &self.arn).field("external_id", &external_id).finish()
    }
}

impl Target {
    /// Returns the region.
    pub fn region(&self) -> Region {
        self.id.region
    }

    /// Returns the tenant.
    pub fn tenant(&self) -> Option<&str> {
        self.id.tenant.as_ref().map(Tenant::as_str)
    }

    /// Creates a target with warmd's protocol, automatic hold and no schedule. The region is that of the ARN, if
    /// `function` is one, otherwise `region`.
    pub fn bare(function: &FunctionRef, region: Region) -> Self {
        Self {
            id: function.identity(region),
            label: function.to_string(),
            owner: None,
            protocol: Protocol::Warmd,
            hold: Hold::Auto,
            timeout: None,
            memory_mb: None,
            architecture: Architecture::default(),
            downloads: Vec::new(),
            assume: Assumptions::default(),
            interval_minutes: 1,
            phase_minutes: 0,
            spare: 0,
            windows: Vec::new(),
            backlogs: Vec::new(),
            on_request: None,
            role: None,
            trace: Trace::Off,
            canary: Canary::default(),
            strategy: Strategy::Pings,
            semi_cold_below: None,
            slo: None,
            budget: None,
        }
    }

    /// Creates a target for tests with `arm64`, an interval of five minutes and no windows.
    #[cfg(test)]
    pub(crate) fn example(function: &str, region: &str, downloads: Vec<Download>) -> Self {
        let region = Region::parse(region).unwrap();
        let function = FunctionRef::parse(function).unwrap();
        Self {
            owner: Some("payments".to_owned()),
            architecture: Architecture::Arm64,
            downloads,
            interval_minutes: 5,
            ..Self::bare(&function, region)
        }
    }

    /// Returns the highest desired number of environments, which is the number of pings in the largest round.
    pub fn highest(&self) -> u32 {
        let windows = self.windows.iter().map(|window| window.concurrency);
        let windows = windows.max().map_or(0, |highest| highest.saturating_add(self.spare));
        let backlogs = self.backlogs.iter().map(|rule| rule.max).max().unwrap_or(0);
        windows.max(backlogs).max(self.on_request.map_or(0, |rule| rule.max_concurrency))
    }

    /// Returns true if the target can have rounds, false if it is disabled or its desired number is always zero.
    pub fn is_warmed(&self) -> bool {
        self.highest() > 0
    }

    /// Returns true if pings are ever sent to the target.
    pub fn is_pinged(&self) -> bool {
        self.strategy.may_ping() && self.is_warmed()
    }

    /// Returns true if pings are ever sent through an alias, which may have several versions.
    pub fn is_pinged_by_alias(&self) -> bool {
        self.id.qualifier.as_ref().is_some_and(Qualifier::is_alias) && self.is_pinged()
    }

    /// Returns the ARN of the function without the qualifier. The account is that of the function's ARN, otherwise that
    /// of the role, otherwise `own`, and `*` when unknown.
    pub fn function_arn(&self, own: Option<&AccountId>) -> String {
        let Identity { account, region, name, .. } = &self.id;
        let named = account.as_ref().map(AccountId::as_str);
        let role = || self.role.as_ref().and_then(|role| account_of(&role.arn));
        let account = named.or_else(role).or(own.map(AccountId::as_str)).unwrap_or("*");
        format!("arn:{}:lambda:{region}:{account}:function:{name}", region.partition())
    }

    /// Returns the ARN on which Lambda authorises invocations, with the qualifier.
    pub fn arn(&self, own: Option<&AccountId>) -> String {
        let function = self.function_arn(own);
        match &self.id.qualifier {
            Some(qualifier) => format!("{function}:{qualifier}"),
            None => function,
        }
    }

    /// Returns the time between two rounds of an open window.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_minutes) * 60)
    }
}

/// The time for which a ping requests the handler to keep its environment busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Derived from the measured skew; 100 ms before any measurement.
    #[default]
    Auto,
    /// This time for the first attempt. A round that is not proven is topped up with a longer hold.
    Fixed(Duration),
}
