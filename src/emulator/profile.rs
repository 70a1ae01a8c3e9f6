//! How the emulated account and its functions behave.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::fault::Fault;

/// Everything the emulator is told: the account, its functions, and what goes wrong.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The account.
    pub account: Account,
    /// How functions behave that `functions` does not list; none: they do not exist (404).
    pub default: Option<Profile>,
    /// Functions by name. They exist in every region.
    pub functions: BTreeMap<String, Profile>,
    /// Reads for which the caller has no permission, whatever they are about.
    pub denied: Vec<Operation>,
    /// The faults of CloudWatch's PutMetricData. Only faults that refuse the call, or delay or cut its answer,
    /// apply.
    pub metrics: Vec<Fault>,
    /// What goes wrong with EventBridge's PutEvents. Faults count calls, [`FaultKind::FailEntry`](super::FaultKind::FailEntry) counts entries.
    pub events: Vec<Fault>,
    /// The seed of everything that is left to chance.
    pub seed: u64,
    /// How many emulated seconds pass in a second, above 0. 1 is real time.
    pub speed: f64,
    /// The most HTTP/2 streams at once on a connection. Lambda's own endpoint: about 128 (public reports, 2024-2026).
    pub max_concurrent_streams: u32,
    /// How many invocations, metrics and events are remembered, each; the oldest are forgotten first.
    pub remembered: usize,
}

impl Default for Scenario {
    /// Any function name works and behaves like [`Profile::python`].
    fn default() -> Self {
        Self {
            account: Account::default(),
            default: Some(Profile::default()),
            functions: BTreeMap::new(),
            denied: Vec::new(),
            metrics: Vec::new(),
            events: Vec::new(),
            seed: 1,
            speed: 1.0,
            max_concurrent_streams: 128,
            remembered: 100_000,
        }
    }
}

impl Scenario {
    /// The scenario with one more function.
    #[must_use]
    pub fn with(mut self, name: &str, profile: Profile) -> Self {
        self.functions.insert(name.to_owned(), profile);
        self
    }

    /// How the function of that name behaves, if it exists.
    pub(super) fn profile(&self, name: &str) -> Option<&Profile> {
        self.functions.get(name).or(self.default.as_ref())
    }

    /// The account's concurrency that no function has reserved.
    pub(super) fn unreserved(&self) -> u32 {
        let reserved: u32 = self.functions.values().filter_map(|profile| profile.reserved).sum();
        self.account.concurrency.saturating_sub(reserved)
    }
}

/// A read of Lambda's control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Operation {
    /// Configuration, code and reserved concurrency.
    GetFunction,
    /// The configuration alone.
    GetFunctionConfiguration,
    /// Reserved concurrency.
    GetFunctionConcurrency,
    /// Provisioned concurrency.
    GetProvisionedConcurrencyConfig,
    /// The account's limits.
    GetAccountSettings,
}

/// The emulated account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits; the account of functions that are called by name.
    pub id: String,
    /// Concurrency in each region. AWS gives 1,000 by default, new accounts less.
    pub concurrency: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self { id: "123456789012".to_owned(), concurrency: 1000 }
    }
}

/// How one function behaves.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Memory, MB.
    pub memory_mb: u32,
    /// How the code is packed: decides whether REPORT shows the fetching of it.
    pub package: Package,
    /// Fetching the code, when it is not cached near by.
    pub fetch: Span,
    /// INIT: what a new environment takes before its first request.
    pub init: Span,
    /// How long INIT may take before Lambda gives it up, writes INIT_REPORT and runs it again as part of the first
    /// request. Lambda: 10 s. None: as long as it takes.
    pub init_limit: Option<Duration>,
    /// SnapStart: restoring takes this long, instead of INIT, on published versions.
    pub restore: Option<Span>,
    /// The handler's real work.
    pub duration: Span,
    /// What the handler takes for a ping it knows, besides holding.
    pub ping: Span,
    /// Which pings the handler knows.
    pub handler: Handler,
    /// How long it holds on a ping it knows.
    pub hold: Hold,
    /// The time that an extension works on after the handler has answered: the environment stays occupied, and REPORT's
    /// Duration has it. The caller's answer does not wait for it.
    pub extension: Span,
    /// The ids that the handler answers.
    pub ids: Ids,
    /// The number of invocations that an environment takes at once: more than one on managed instances, whose
    /// environments are initialised before they get requests.
    pub at_once: NonZeroU32,
    /// The function's timeout.
    pub timeout: Duration,
    /// How long an idle environment is kept.
    pub idle_life: Span,
    /// How long an environment is kept at most. Active ones are recycled about every two hours (warming studies).
    pub recycle_after: Span,
    /// How long the code stays cached after the last run. At least the idle life.
    pub code_life: Duration,
    /// The network between the caller and Lambda.
    pub network: Network,
    /// Reserved concurrency.
    pub reserved: Option<u32>,
    /// Provisioned concurrency, of every version and alias. It is told when asked for, and does nothing.
    pub provisioned: Option<u32>,
    /// Aliases and the versions they point at. Empty: every alias exists and points at version 1.
    pub aliases: BTreeMap<String, Vec<Route>>,
    /// The log's format.
    pub log: LogFormat,
    /// Whether REPORT tells of an X-Ray trace.
    pub xray: bool,
    /// How many bytes of its own the handler logs per request.
    pub chatter: usize,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Put over the answer of GetFunctionConfiguration, such as `DurableConfig` or `CapacityProviderConfig`.
    pub configuration: serde_json::Map<String, serde_json::Value>,
}

impl Default for Profile {
    fn default() -> Self {
        Self::python()
    }
}

impl Profile {
    /// The names of the built-in profiles: what a functions file may name as `profile`.
    pub const BUILT_IN: [&'static str; 8] = [
        "python",
        "node",
        "rust",
        "java",
        "java-snapstart",
        "container-image",
        "model-download",
        "model-serving",
    ];

    /// The built-in profile of that name.
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            "python" => Some(Self::python()),
            "node" => Some(Self::node()),
            "rust" => Some(Self::rust()),
            "java" => Some(Self::java()),
            "java-snapstart" => Some(Self::java_snapstart()),
            "container-image" => Some(Self::container_image()),
            "model-download" => Some(Self::model_download()),
            "model-serving" => Some(Self::model_serving()),
            _ => None,
        }
    }

    /// A small Python function: 512 MB, init 250 ms, 2 ms when warm. Environments stay idle for 5 to 7 minutes
    /// (measured 2021: hardly any gone before 5 minutes, all gone at 7).
    pub fn python() -> Self {
        Self {
            memory_mb: 512,
            package: Package::Zip,
            fetch: Span::millis(150),
            init: Span::millis(250),
            init_limit: None,
            restore: None,
            duration: Span::millis(2),
            ping: Span::millis(1),
            handler: Handler::Any,
            hold: Hold::AsAsked,
            extension: Span::millis(0),
            ids: Ids::Environments,
            at_once: NonZeroU32::MIN,
            timeout: Duration::from_secs(60),
            idle_life: Span::between(Duration::from_secs(300), Duration::from_secs(420)),
            recycle_after: Span::from(Duration::from_secs(2 * 3600)),
            code_life: Duration::from_secs(2 * 3600),
            network: Network::default(),
            reserved: None,
            provisioned: None,
            aliases: BTreeMap::new(),
            log: LogFormat::Text,
            xray: false,
            chatter: 0,
            faults: Vec::new(),
            configuration: serde_json::Map::new(),
        }
    }

    /// A small Node function: init 180 ms.
    pub fn node() -> Self {
        Self { init: Span::millis(180), ..Self::python() }
    }

    /// A small compiled function: 128 MB, init 20 ms.
    pub fn rust() -> Self {
        Self { memory_mb: 128, init: Span::millis(20), duration: Span::millis(1), ..Self::python() }
    }

    /// A Java function under load tests: 512 MB, init 8 to 18 s.
    pub fn java() -> Self {
        Self {
            init: Span::between(Duration::from_secs(8), Duration::from_secs(18)),
            duration: Span::millis(20),
            ..Self::python()
        }
    }

    /// The same with SnapStart: published versions restore in 400 to 700 ms.
    pub fn java_snapstart() -> Self {
        Self {
            restore: Some(Span::between(Duration::from_millis(400), Duration::from_millis(700))),
            ..Self::java()
        }
    }

    /// Model inference in a container image: cold 90 s, semi-cold 6 to 7 s, warm 65 ms; environments go after about
    /// 5 minutes, the image later.
    pub fn container_image() -> Self {
        Self {
            memory_mb: 3008,
            package: Package::Image,
            fetch: Span::from(Duration::from_millis(83_435)),
            init: Span::between(Duration::from_secs(6), Duration::from_secs(7)),
            duration: Span::millis(65),
            timeout: Duration::from_secs(300),
            idle_life: Span::from(Duration::from_secs(300)),
            code_life: Duration::from_secs(3600),
            ..Self::python()
        }
    }

    /// An API whose cold start takes 10 s and downloads a 220 MB model for another 15 to 20 s.
    pub fn model_download() -> Self {
        Self {
            memory_mb: 1024,
            init: Span::between(Duration::from_secs(25), Duration::from_secs(30)),
            duration: Span::millis(200),
            ..Self::python()
        }
    }

    /// Model serving under load tests: cold about 8 s, warm about 1 s, still warm after 14 minutes, not after 30.
    pub fn model_serving() -> Self {
        Self {
            init: Span::between(Duration::from_millis(6000), Duration::from_millis(7000)),
            duration: Span::between(Duration::from_millis(900), Duration::from_millis(1100)),
            idle_life: Span::between(Duration::from_secs(15 * 60), Duration::from_secs(30 * 60)),
            ..Self::python()
        }
    }
}

/// A duration, or a range that chance picks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub least: Duration,
    /// The most; the same as the least when nothing is left to chance.
    pub most: Duration,
}

impl Span {
    /// Always that many milliseconds.
    pub fn millis(millis: u64) -> Self {
        Self::from(Duration::from_millis(millis))
    }

    /// Uniform between the two.
    pub fn between(least: Duration, most: Duration) -> Self {
        Self { least, most }
    }
}

impl From<Duration> for Span {
    fn from(always: Duration) -> Self {
        Self { least: always, most: always }
    }
}

/// How a function's code is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package {
    /// A zip archive: it is fetched before INIT begins, and REPORT does not show that.
    Zip,
    /// A container image: its blocks are fetched while INIT reads them, so Init Duration includes it.
    Image,
}

/// The network between the caller and Lambda: lognormal one-way times, drawn for each direction of each request.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Network {
    /// The median one-way time; zero: no network at all.
    pub median: Duration,
    /// The sigma of the time's natural logarithm.
    pub sigma: f64,
}

/// Which pings a handler knows. What it does not know is real work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// Every preset's.
    Any,
    /// None: every request is real work.
    None,
    /// One preset's.
    Only(Preset),
}

/// The warmers whose pings a handler may know.
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

/// How long a handler holds on a ping it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// As the ping asks, or as long as the preset always does.
    AsAsked,
    /// Not at all.
    Ignored,
    /// Always this long.
    Fixed(Duration),
}

/// The ids that a handler answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ids {
    /// Those of environments, as they should be.
    Environments,
    /// New ones on every invocation.
    Invocations,
}

/// One of the versions an alias points at.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The version number.
    pub version: String,
    /// Its share of the requests, in proportion to the other weights.
    pub weight: f64,
}

/// The format of a function's log.
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
