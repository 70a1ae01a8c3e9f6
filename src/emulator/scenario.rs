//! The behaviour of the emulated account.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::profile::Profile;

/// The configuration of the emulator: the account, its functions and the injected faults.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The account.
    pub account: Account,
    /// The profile of functions that `functions` does not list. `None` means that they do not exist (404).
    pub default: Option<Profile>,
    /// The functions by name. They exist in every region.
    pub functions: BTreeMap<String, Profile>,
    /// Reads for which the caller has no permission.
    pub denied: Vec<Operation>,
    /// The faults of CloudWatch's PutMetricData. Only faults that refuse a call, or delay or cut its answer, apply.
    pub metrics: Vec<Fault>,
    /// The faults of EventBridge's PutEvents. They count calls, [`FaultKind::FailEntry`](super::FaultKind::FailEntry)
    /// counts entries.
    pub events: Vec<Fault>,
    /// The seed of everything random.
    pub seed: u64,
    /// The number of emulated seconds in a second, above 0. 1 is real time.
    pub speed: f64,
    /// The maximum number of concurrent HTTP/2 streams of a connection. Lambda's endpoint: about 128 (public
    /// reports, 2024-2026).
    pub max_concurrent_streams: u32,
    /// The number of observations kept of each kind. The oldest are deleted first.
    pub remembered: usize,
}

impl Default for Scenario {
    /// Returns a scenario in which every function exists and behaves like [`Profile::python`].
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
    /// Adds a function.
    #[must_use]
    pub fn with(mut self, name: &str, profile: Profile) -> Self {
        self.functions.insert(name.to_owned(), profile);
        self
    }

    /// Returns the profile of the function with that name, if it exists.
    pub(super) fn profile(&self, name: &str) -> Option<&Profile> {
        self.functions.get(name).or(self.default.as_ref())
    }

    /// Returns the account's concurrency that no function has reserved.
    pub(super) fn unreserved(&self) -> u32 {
        let reserved: u32 = self.functions.values().filter_map(|profile| profile.reserved).sum();
        self.account.concurrency.saturating_sub(reserved)
    }
}

/// A read of Lambda's control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Operation {
    /// The configuration, the code and the reserved concurrency.
    GetFunction,
    /// The configuration alone.
    GetFunctionConfiguration,
    /// The reserved concurrency.
    GetFunctionConcurrency,
    /// The provisioned concurrency.
    GetProvisionedConcurrencyConfig,
    /// The account's limits.
    GetAccountSettings,
}

/// The emulated account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// The account id, twelve digits, of functions that are invoked by name.
    pub id: String,
    /// The concurrency in each region. The default of AWS is 1,000; new accounts have less.
    pub concurrency: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self { id: "123456789012".to_owned(), concurrency: 1000 }
    }
}
