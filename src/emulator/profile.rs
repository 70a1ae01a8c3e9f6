//! The behaviour of an emulated function.

mod built_in;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::fault::Fault;
pub use super::span::{Network, Span};

/// The behaviour of one function.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The text that stands for the code. CodeSha256 is its digest.
    pub code: String,
    /// The runtime's identifier, such as `python3.13`. Container images have none.
    pub runtime: Option<String>,
    /// The memory, MB.
    pub memory_mb: u32,
    /// The package type. It decides whether REPORT includes the fetching of the code.
    pub package: Package,
    /// The time to fetch the code when it is not cached.
    pub fetch: Span,
    /// INIT: the time that a new environment needs before its first request.
    pub init: Span,
    /// The time limit of INIT. Above it, Lambda writes INIT_REPORT and runs INIT again as part of the first request.
    /// Lambda's limit is 10 s. `None` means no limit.
    pub init_limit: Option<Duration>,
    /// SnapStart: the time to restore a published version, instead of INIT.
    pub restore: Option<Span>,
    /// The initialisations ahead of demand; `None` means that every init begins with a request.
    pub ahead: Option<Ahead>,
    /// The time that the handler works on a request.
    pub duration: Span,
    /// The time that the handler takes for a ping it recognizes, besides the hold.
    pub ping: Span,
    /// The pings that the handler recognizes.
    pub handler: Handler,
    /// The reaction of the handler to a payload that it does not recognize as a ping.
    pub unrecognized: Unrecognized,
    /// The hold on a ping that the handler recognizes.
    pub hold: HoldBehavior,
    /// The time that an extension works after the handler has answered. The environment stays occupied and REPORT's
    /// Duration includes the time, but the answer does not wait for it.
    pub extension: Span,
    /// The ids in the handler's answers.
    pub ids: Ids,
    /// The number of concurrent invocations of an environment. It is above one on managed instances, whose environments
    /// are initialised before they get requests.
    pub at_once: NonZeroU32,
    /// The function's timeout.
    pub timeout: Duration,
    /// The lifetime of an idle environment.
    pub idle_life: Span,
    /// The longest lifetime of an environment. Active ones are recycled about every two hours (warming studies).
    pub recycle_after: Span,
    /// The time for which the code stays cached after the last run. At least the idle life.
    pub code_life: Duration,
    /// The network between the caller and Lambda.
    pub network: Network,
    /// The reserved concurrency.
    pub reserved: Option<u32>,
    /// The provisioned concurrency of a version or alias, set by somebody else. Calls of the control plane replace it for
    /// a qualifier in a region, and a change of the profile replaces it everywhere.
    pub provisioned: Option<u32>,
    /// The versions and aliases with provisioned concurrency. When empty, every one has it.
    pub provisioned_on: Vec<String>,
    /// The versions and aliases that the caller may not invoke.
    pub denied_on: Vec<String>,
    /// The time to prepare provisioned environments, from the start of the emulator or the change that set them. None of
    /// an increase is usable before. On managed instances, the time until requested numbers are applied.
    pub prepare: Duration,
    /// The reason for which provisioned environments fail after the time to prepare them, such as
    /// `FUNCTION_ERROR_INIT_FAILURE`. `None` means that they succeed.
    pub provisioned_fails: Option<String>,
    /// The time for which an alias with provisioned concurrency has weights when it moves to another version: the
    /// environments of that version are prepared meanwhile. If they fail, the weights stay.
    pub moving: Duration,
    /// The function is Inactive until its first invocation, which is refused. Then it is Pending for this time. `None`
    /// means that it is Active.
    pub inactive: Option<Duration>,
    /// The versions whose behaviour differs from the function's own. A version's reservation, provisioned concurrency
    /// and aliases have no effect: they are the function's. The failure of its environments is the version's.
    pub versions: BTreeMap<String, Profile>,
    /// The aliases with the versions they point at. When empty, every alias exists and points at version 1.
    pub aliases: BTreeMap<String, Vec<Route>>,
    /// The log format.
    pub log: LogFormat,
    /// Adds an X-Ray trace to REPORT.
    pub xray: bool,
    /// The bytes that the handler itself logs per request.
    pub chatter: usize,
    /// The injected faults.
    pub faults: Vec<Fault>,
    /// Fields added to the answer of GetFunctionConfiguration, such as `DurableConfig` or `CapacityProviderConfig`.
    pub configuration: serde_json::Map<String, serde_json::Value>,
}

impl Default for Profile {
    /// Returns [`Profile::python`].
    fn default() -> Self {
        Self::python()
    }
}

impl Profile {
    /// Returns the profile of a version.
    pub(super) fn of_version(&self, version: &str) -> &Self {
        self.versions.get(version).unwrap_or(self)
    }

    /// Returns `CodeSha256`.
    pub(super) fn code_sha256(&self) -> String {
        STANDARD.encode(Sha256::digest(self.code.as_bytes()))
    }

    /// Returns true when `other` is another deployment, so that it has environments of its own.
    pub(super) fn redeploys(&self, other: &Self) -> bool {
        (&self.code, self.memory_mb, self.timeout) != (&other.code, other.memory_mb, other.timeout)
    }

    /// Returns the provisioned concurrency of a qualifier; `None` for `$LATEST` and for qualifiers without any.
    pub(super) fn provisioned_for(&self, qualifier: Option<&str>) -> Option<u32> {
        let qualifier = qualifier.filter(|qualifier| !qualifier.starts_with('$'))?;
        let is_listed =
            self.provisioned_on.is_empty() || self.provisioned_on.iter().any(|on| on == qualifier);
        self.provisioned.filter(|_| is_listed)
    }

    /// Returns the function's provisioned concurrency. Without a list of qualifiers it counts for one.
    pub(super) fn provisioned_in_total(&self) -> u32 {
        let qualifiers = u32::try_from(self.provisioned_on.len().max(1)).unwrap_or(u32::MAX);
        self.provisioned.unwrap_or(0).saturating_mul(qualifiers)
    }
}

/// New environments whose init begins before the request that they serve first. REPORT shows the whole init.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ahead {
    /// Their share of the new environments on demand, from 0 to 1. Restored ones do not count.
    pub share: f64,
    /// The time from the beginning of the init to the request.
    pub by: Span,
}

/// The package type of a function's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Package {
    /// A zip archive. It is fetched before INIT begins, and REPORT does not include that.
    Zip,
    /// A container image. Its blocks are fetched while INIT reads them, so Init Duration includes that.
    Image,
}

/// The pings that a handler recognizes. Any other payload is real work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// Those of every preset.
    Any,
    /// No pings.
    None,
    /// Those of one preset.
    Only(Preset),
}

/// The behaviour of a handler with a payload that it does not recognize as a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecognized {
    /// It works for [`Profile::duration`].
    Work,
    /// It works for [`Profile::duration`] and fails with an error of this type. A type that begins with `Runtime.` is a
    /// crash: the environment is reset.
    Fail(String),
    /// It runs until the function's timeout.
    Timeout,
}

/// The warmers whose pings a handler may recognize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// warmd's own.
    Warmd,
    /// serverless-plugin-warmup.
    ServerlessPluginWarmup,
    /// lambda-warmer (npm).
    LambdaWarmer,
    /// lambda-warmer-py.
    LambdaWarmerPy,
    /// OpenNext and SST.
    #[serde(rename = "opennext")]
    OpenNext,
    /// Bref.
    Bref,
    /// Laravel Vapor.
    Vapor,
    /// Thundra.
    Thundra,
}

/// The hold of a handler on a ping it recognizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldBehavior {
    /// The hold that the ping requests, or the preset's fixed hold.
    AsRequested,
    /// No hold.
    Ignored,
    /// A fixed hold.
    Fixed(Duration),
}

/// The ids in a handler's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ids {
    /// The ids of environments, which is correct.
    Environments,
    /// A new id on every invocation.
    Invocations,
}

/// One of the versions that an alias points at.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The version number.
    pub version: String,
    /// Its share of the requests, in proportion to the other weights.
    pub weight: f64,
}

/// The log format of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lambda's plain text: START, END, REPORT.
    Text,
    /// Lambda's JSON records.
    Json,
    /// JSON at system level WARN: no REPORT at all.
    Silent,
}
