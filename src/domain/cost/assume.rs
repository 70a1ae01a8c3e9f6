//! What an estimate takes for granted, and whether somebody said so.

use std::time::Duration;

use rust_decimal::Decimal;

use super::super::fleet::Architecture;

/// A value that an estimate rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assumed<T> {
    /// Configured.
    Given(T),
    /// Ours, for want of a better one: estimates mark it.
    Assumed(T),
}

impl<T: Copy> Assumed<T> {
    /// The configured value, or ours.
    pub fn or(given: Option<T>, ours: T) -> Self {
        given.map_or(Self::Assumed(ours), Self::Given)
    }

    /// The value.
    pub fn value(self) -> T {
        match self {
            Self::Given(value) | Self::Assumed(value) => value,
        }
    }

    /// Whether it is ours.
    pub fn is_assumed(self) -> bool {
        matches!(self, Self::Assumed(_))
    }
}

/// What the estimate of a target's cost rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumptions {
    /// How long an idle environment is kept. 5 minutes unless given: the shortest that load tests have seen.
    pub idle_life: Assumed<Duration>,
    /// How long Lambda keeps an environment in use before it makes a new one. 2 hours unless given.
    pub recycle_after: Assumed<Duration>,
    /// Billed duration of a warm ping. 5 ms unless given.
    pub ping_duration: Assumed<Duration>,
    /// Billed duration of making an environment, downloads included. 10 s unless given.
    pub init_duration: Assumed<Duration>,
    /// Bytes that one ping writes to CloudWatch Logs. 400 unless given: the START, END and REPORT lines.
    pub log_bytes_per_ping: Assumed<u64>,
    /// Memory in MB of 1,048,576 bytes. 128 unless given: Lambda's default.
    pub memory_mb: Assumed<u32>,
    /// Instruction set. `x86_64` unless given: Lambda's default.
    pub architecture: Assumed<Architecture>,
    /// What users send; nothing can be taken for it.
    pub traffic: Option<Traffic>,
}

/// What users send while a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Requests a second, on average.
    pub requests_per_second: Decimal,
    /// How long one runs, on average.
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

impl Assumptions {
    /// The configuration's names of the values that are ours and not the user's.
    pub fn assumed(&self) -> Vec<&'static str> {
        [
            ("idle_life", self.idle_life.is_assumed()),
            ("recycle_after", self.recycle_after.is_assumed()),
            ("ping_duration", self.ping_duration.is_assumed()),
            ("init_duration", self.init_duration.is_assumed()),
            ("log_bytes_per_ping", self.log_bytes_per_ping.is_assumed()),
            ("memory", self.memory_mb.is_assumed()),
            ("architecture", self.architecture.is_assumed()),
        ]
        .into_iter()
        .filter_map(|(name, assumed)| assumed.then_some(name))
        .collect()
    }
}
