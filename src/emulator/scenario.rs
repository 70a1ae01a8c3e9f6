//! The behaviour of the emulated account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
    /// Profiles by name, which changes refer to besides the built-in ones.
    pub profiles: BTreeMap<String, Profile>,
    /// The changes while the emulator runs, in the order of their times.
    pub changes: Vec<TimedChange>,
    /// Calls of the control plane for which the caller has no permission.
    pub denied: Vec<Operation>,
    /// The rate limit and the faults of the control plane.
    pub reads: Reads,
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
            profiles: BTreeMap::new(),
            changes: Vec::new(),
            denied: Vec::new(),
            reads: Reads::default(),
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
        let reserved = self.functions.values().filter_map(|profile| profile.reserved);
        self.account.concurrency.saturating_sub(reserved.fold(0, u32::saturating_add))
    }

    /// Returns the provisioned concurrency of functions without a reservation, as the profiles have it.
    pub(super) fn provisioned(&self) -> u32 {
        let unreserved = self.functions.values().filter(|profile| profile.reserved.is_none());
        unreserved.map(Profile::provisioned_in_total).fold(0, u32::saturating_add)
    }
}

/// A change of the scenario while the emulator runs.
#[derive(Clone)]
pub struct TimedChange {
    /// The time from the start of the emulator.
    pub after: Duration,
    /// Makes the change.
    pub make: Arc<dyn Fn(&mut Scenario) + Send + Sync>,
}

impl std::fmt::Debug for TimedChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimedChange").field("after", &self.after).finish_non_exhaustive()
    }
}

/// The rate limit and the faults of control planes: of Lambda, of Application Auto Scaling, and of CloudWatch without
/// PutMetricData.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// The most calls a second of an account in a region, for each service; above it they are throttled. `None` means no
    /// limit. Lambda allows about 15 reads.
    pub rate: Option<u32>,
    /// The faults by operation. Only faults that refuse, delay, cut or change an answer apply.
    pub faults: BTreeMap<Operation, Vec<Fault>>,
}

/// An operation of Lambda's control plane, of Application Auto Scaling or of CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Operation {
    /// The configuration, the code and the reserved concurrency.
    GetFunction,
    /// The configuration alone.
    GetFunctionConfiguration,
    /// The reserved concurrency.
    GetFunctionConcurrency,
    /// The provisioned concurrency.
    GetProvisionedConcurrencyConfig,
    /// All provisioned concurrency of a function.
    ListProvisionedConcurrencyConfigs,
    /// Sets the provisioned concurrency.
    PutProvisionedConcurrencyConfig,
    /// Ends the provisioned concurrency.
    DeleteProvisionedConcurrencyConfig,
    /// The version and the weights of an alias.
    GetAlias,
    /// Moves an alias, or sets its weights.
    UpdateAlias,
    /// The numbers of environments on managed instances.
    GetFunctionScalingConfig,
    /// Sets the numbers of environments on managed instances.
    PutFunctionScalingConfig,
    /// The account's limits.
    GetAccountSettings,
    /// Creates or changes a scalable target.
    RegisterScalableTarget,
    /// Deletes a scalable target with its policies and scheduled actions.
    DeregisterScalableTarget,
    /// The scalable targets.
    DescribeScalableTargets,
    /// Creates or changes a scaling policy.
    PutScalingPolicy,
    /// Deletes a scaling policy.
    DeleteScalingPolicy,
    /// The scaling policies.
    DescribeScalingPolicies,
    /// Creates or changes a scheduled action.
    PutScheduledAction,
    /// Deletes a scheduled action.
    DeleteScheduledAction,
    /// The scheduled actions.
    DescribeScheduledActions,
    /// The scaling activities.
    DescribeScalingActivities,
    /// Adds tags to a scalable target.
    TagResource,
    /// Deletes tags of a scalable target.
    UntagResource,
    /// The tags of a scalable target.
    ListTagsForResource,
    /// Values of metrics.
    GetMetricData,
    /// The body of a dashboard.
    GetDashboard,
    /// Creates or changes a dashboard.
    PutDashboard,
    /// Deletes dashboards.
    DeleteDashboards,
    /// The alarms.
    DescribeAlarms,
    /// Creates or changes an alarm on a metric.
    PutMetricAlarm,
    /// Creates or changes an alarm on the states of other alarms.
    PutCompositeAlarm,
    /// Deletes alarms.
    DeleteAlarms,
}

impl Operation {
    /// Returns the HTTP status of a success.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::PutProvisionedConcurrencyConfig | Self::PutFunctionScalingConfig => 202,
            Self::DeleteProvisionedConcurrencyConfig => 204,
            _ => 200,
        }
    }
}

/// The emulated account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// The account id, twelve digits, of functions that are invoked by name.
    pub id: String,
    /// The concurrency in each region. The default of AWS is 1,000; new accounts have less.
    pub concurrency: u32,
    /// The part of the unreserved concurrency in each region that functions outside the scenario use.
    pub in_use_by_others: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self { id: "123456789012".to_owned(), concurrency: 1000, in_use_by_others: 0 }
    }
}
