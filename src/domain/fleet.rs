//! The fleet: what the configuration says, resolved. One [`Target`] is one function in one region.

use std::sync::Arc;
use std::time::Duration;

use super::calendar::Window;
use super::cost::assume::Assumptions;
use super::cost::{Download, PriceBook};
use super::function::{FunctionRef, Identity, Region};
use super::metrics::Detail;
use super::protocol::Protocol;

/// Everything that the configuration files say, resolved and checked.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The targets, in the order of files and entries.
    pub targets: Vec<Target>,
    /// Limits of the whole fleet.
    pub limits: Limits,
    /// Where and how finely metrics are sent.
    pub metrics: MetricsSettings,
    /// Prices: those that come with warmd, with the configuration's own in their place.
    pub prices: PriceBook,
    /// A stable hash of the configuration's content: the tick object's `config`.
    pub hash: String,
}

/// Limits of the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most pings in flight at once, 1 to 100,000. A round is never cut: rounds are packed into waves.
    pub max_in_flight: u32,
    /// The way in which the pings of a round reach Lambda.
    pub wire: WireSettings,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_in_flight: 500, wire: WireSettings::default() }
    }
}

/// The way in which the pings of a round reach Lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireSettings {
    /// The number of signatures of a round.
    pub sign: Sign,
    /// Which versions of HTTP carry pings.
    pub http: HttpVersions,
}

/// The number of signatures of a round. A signature covers the payload, so pings with different payloads are always signed
/// one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sign {
    /// One: SigV4 signs a request, and Lambda accepts the same signed request for five minutes.
    #[default]
    Round,
    /// One for each ping.
    Ping,
}

/// Which versions of HTTP carry pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersions {
    /// HTTP/2 where the server offers it during the TLS handshake, otherwise HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1, with a connection for each ping.
    Http1,
}

/// The visibility of pings in the traces of functions with active tracing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trace {
    /// No: every ping carries an `X-Amzn-Trace-Id` with `Sampled=0`.
    #[default]
    Off,
    /// The header is left to the SDK, which passes on the one of the warmer's own invocation, if any.
    Inherit,
}

impl Trace {
    /// Its name in the configuration: `off` or `inherit`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Inherit => "inherit",
        }
    }
}

/// The destination and the granularity of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The CloudWatch namespace.
    pub namespace: String,
    /// The granularity.
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
    /// Which function.
    pub id: Identity,
    /// As it was configured: `name[:qualifier]` or the ARN. What people see and metrics carry.
    pub label: String,
    /// Free text, carried into every record.
    pub owner: Option<String>,
    /// What a ping says.
    pub protocol: Protocol,
    /// How long a ping asks the handler to hold.
    pub hold: Hold,
    /// The target's own timeout, when configured; 900 s is assumed otherwise.
    pub timeout: Option<Duration>,
    /// Memory in MB of 1,048,576 bytes, when configured; otherwise read from the REPORT line.
    pub memory_mb: Option<u32>,
    /// Instruction set: it decides the price of a GB-second.
    pub architecture: Architecture,
    /// What a cold start, or every ping, downloads.
    pub downloads: Vec<Download>,
    /// What estimates of its cost rest on.
    pub assume: Assumptions,
    /// Minutes between two rounds of an open window, at least 1.
    pub interval_minutes: u32,
    /// Minutes added to the epoch minute before the interval is looked at; 0 unless `stagger` spreads the fleet.
    pub phase_minutes: u32,
    /// Environments added to every target above zero.
    pub spare: u32,
    /// When to keep how many warm. Only enabled windows that serve this region.
    pub windows: Vec<Window>,
    /// What Warm Requests may ask for; none means that they may not.
    pub on_request: Option<OnRequest>,
    /// The role to assume to reach the function; none means the warmer's own.
    pub role: Option<Arc<Role>>,
    /// The visibility of pings in traces.
    pub trace: Trace,
}

/// What Warm Requests may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnRequest {
    /// The most environments, at least 1.
    pub max_concurrency: u32,
    /// The longest that they are kept.
    pub max_for: Duration,
    /// Requests that are less than this apart are one.
    pub coalesce: Duration,
}

/// A role to assume.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The external id that its trust policy asks for. Not in [`Debug`](std::fmt::Debug): it is shared with the role's
    /// owner only.
    pub external_id: Option<String>,
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let external_id = self.external_id.as_ref().map(|_| "redacted");
        f.debug_struct("Role").field("arn", &self.arn).field("external_id", &external_id).finish()
    }
}

impl Target {
    /// The region the target is in.
    pub fn region(&self) -> Region {
        self.id.region
    }

    /// A target of `function` of which nothing more is known: warmd's own protocol, automatic hold, no schedule. The
    /// region is that of an ARN, else `region`.
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
            on_request: None,
            role: None,
            trace: Trace::Off,
        }
    }

    /// A target for tests: `arm64`, an interval of five minutes, no windows.
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

    /// The most environments that the target ever wants: the pings of its largest round.
    pub fn highest(&self) -> u32 {
        let windows = self.windows.iter().map(|window| window.concurrency);
        let windows = windows.max().map_or(0, |highest| highest.saturating_add(self.spare));
        windows.max(self.on_request.map_or(0, |rule| rule.max_concurrency))
    }

    /// Whether it is ever pinged: not when it is disabled, or wants nothing.
    pub fn is_warmed(&self) -> bool {
        self.highest() > 0
    }

    /// The time between two rounds of an open window.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_minutes) * 60)
    }

    /// The target's own timeout, 900 s (the most Lambda allows) when it is not configured.
    pub fn timeout_or_max(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(900))
    }
}

/// How long a ping asks the handler to keep its environment busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Learned from the skew that was measured; 100 ms before anything is known.
    #[default]
    Auto,
    /// This long to begin with; a round that is not proven is topped up with a longer one.
    Fixed(Duration),
}

/// A function's instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Architecture {
    /// `x86_64`, Lambda's default.
    #[default]
    X86_64,
    /// `arm64` (Graviton).
    Arm64,
}

impl Architecture {
    /// As Lambda writes it: `x86_64` or `arm64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}
