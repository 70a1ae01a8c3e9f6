//! The assumptions of cost estimates.

use std::time::Duration;

use rust_decimal::Decimal;

use crate::domain::function::Architecture;
use crate::domain::text::elapsed;

/// A configured or assumed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assumed<T> {
    /// Configured.
    Given(T),
    /// The built-in default. Estimates mark it.
    Assumed(T),
}

impl<T: Copy> Assumed<T> {
    /// Returns the configured value, otherwise our default.
    pub fn or(given: Option<T>, default: T) -> Self {
        given.map_or(Self::Assumed(default), Self::Given)
    }

    /// Returns the value.
    pub fn value(self) -> T {
        match self {
            Self::Given(value) | Self::Assumed(value) => value,
        }
    }

    /// Returns true for the built-in default.
    pub fn is_assumed(self) -> bool {
        matches!(self, Self::Assumed(_))
    }
}

/// The assumptions of the cost estimate for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumptions {
    /// Lifetime of an idle environment. Default: 5 minutes, the shortest observed in load tests.
    pub idle_life: Assumed<Duration>,
    /// Lifetime of an environment in use. Default: 2 hours.
    pub recycle_after: Assumed<Duration>,
    /// Billed duration of a warm ping. Default: 5 ms.
    pub ping_duration: Assumed<Duration>,
    /// Billed duration of creating an environment, including downloads. Default: 10 s.
    pub init_duration: Assumed<Duration>,
    /// Bytes that a ping writes to CloudWatch Logs. Default: 400, the START, END and REPORT lines.
    pub log_bytes_per_ping: Assumed<u64>,
    /// Memory in MB of 1,048,576 bytes. Default: 128, as in Lambda.
    pub memory_mb: Assumed<u32>,
    /// Instruction set. Default: `x86_64`, as in Lambda.
    pub architecture: Assumed<Architecture>,
    /// User traffic. There is no default.
    pub traffic: Option<Traffic>,
}

/// User traffic while a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Average number of requests per second.
    pub requests_per_second: Decimal,
    /// Average duration of a request.
    pub duration: Duration,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            idle_life: Assumed::Assumed(Duration::from_secs(5 * 60)),
            recycle_after: Assumed::Assumed(Duration::from_secs(2 * 60 * 60)),
            ping_duration: Assumed::Assumed(Duration::from_millis(5)),
            init_duration: Assumed::Assumed(Duration::from_secs(10)),
            log_bytes_per_ping: Assumed::Assumed(400),
            memory_mb: Assumed::Assumed(128),
            architecture: Assumed::Assumed(Architecture::X86_64),
            traffic: None,
        }
    }
}

/// An assumption with its name in the configuration, for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumption {
    /// The name in the configuration.
    pub name: &'static str,
    /// The value as text.
    pub value: String,
    /// True for the built-in default.
    pub is_assumed: bool,
}

impl Assumptions {
    /// Returns all assumptions, except for the traffic.
    pub fn list(&self) -> [Assumption; 7] {
        let entry = |name, value, is_assumed| Assumption { name, value, is_assumed };
        let time = |name, time: Assumed<Duration>| entry(name, elapsed(time.value()), time.is_assumed());
        let Self { log_bytes_per_ping: log_bytes, memory_mb: memory, architecture, .. } = *self;
        [
            time("idle_life", self.idle_life),
            time("recycle_after", self.recycle_after),
            time("ping_duration", self.ping_duration),
            time("init_duration", self.init_duration),
            entry("log_bytes_per_ping", log_bytes.value().to_string(), log_bytes.is_assumed()),
            entry("memory", format!("{}MB", memory.value()), memory.is_assumed()),
            entry("architecture", architecture.value().as_str().to_owned(), architecture.is_assumed()),
        ]
    }

    /// Returns the names of the values that are our defaults.
    pub fn assumed(&self) -> Vec<&'static str> {
        self.list().iter().filter(|entry| entry.is_assumed).map(|entry| entry.name).collect()
    }
}
