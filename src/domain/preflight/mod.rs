//! Comparison of the configuration with the deployed functions, for `check --live` and for the guards of a tick.
//!
//! This module defines what is read, the observations, and the findings derived from them. The caller reads.

mod account;
mod allowance;
mod backlogs;
mod findings;
mod peak;
mod unchecked;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::account::{account_id, is_in_account};
pub use self::allowance::{Allowance, Pool, Room, allowance};
pub use self::backlogs::backlog_findings;
pub use self::findings::{Finding, Severity, findings};
pub use self::peak::{Peak, peak};
pub use self::unchecked::{Unchecked, UncheckedReason, failure, failures, unchecked};
use super::fleet::Role;
use super::function::{Architecture, Identity, Qualifier, Region};
use super::routing::Routing;

/// A read operation of Lambda. Generated policies allow exactly these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// Invoke as a dry run, which checks existence and permission.
    Invoke,
    /// GetFunctionConfiguration.
    Configuration,
    /// GetAlias.
    Alias,
    /// GetProvisionedConcurrencyConfig.
    Provisioned,
    /// GetFunctionConcurrency.
    Reserved,
    /// GetAccountSettings.
    Account,
}

impl Read {
    /// All operations.
    pub const ALL: [Self; 6] =
        [Self::Invoke, Self::Configuration, Self::Alias, Self::Provisioned, Self::Reserved, Self::Account];

    /// Returns the required IAM action.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Invoke => "lambda:InvokeFunction",
            Self::Configuration => "lambda:GetFunctionConfiguration",
            Self::Alias => "lambda:GetAlias",
            Self::Provisioned => "lambda:GetProvisionedConcurrencyConfig",
            Self::Reserved => "lambda:GetFunctionConcurrency",
            Self::Account => "lambda:GetAccountSettings",
        }
    }

    /// Returns the name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Configuration => "configuration",
            Self::Alias => "alias",
            Self::Provisioned => "provisioned",
            Self::Reserved => "reserved",
            Self::Account => "account",
        }
    }

    /// Returns the guards of a tick that need this read. Without it they are off.
    pub const fn guards(self) -> &'static [&'static str] {
        match self {
            // The tick makes no dry run.
            Self::Invoke => &[],
            Self::Configuration => {
                &["durable", "managed-instances", "needs-tenants", "inactive", "first contact by code"]
            }
            Self::Alias => &["versions behind aliases"],
            Self::Provisioned => &["provisioned"],
            Self::Reserved => &["switched-off", "headroom of functions"],
            Self::Account => &["headroom of accounts"],
        }
    }
}

/// The result of a read operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup<T> {
    /// Not read, because the result of another operation made it unnecessary.
    #[default]
    NotRead,
    /// The value.
    Known(T),
    /// The function, version or alias does not exist.
    Missing,
    /// The caller has no permission; the service's message.
    Denied(String),
    /// The service could not answer; the reason.
    Failed(String),
    /// The service throttles reads; the reason. Other reads take capacity from deployments.
    Throttled(String),
    /// No answer, or the credentials were rejected; the reason. Other reads from the same endpoint would fail as well.
    Unreachable(String),
}

impl<T> Lookup<T> {
    /// Returns the value, if known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotRead
            | Self::Missing
            | Self::Denied(_)
            | Self::Failed(_)
            | Self::Throttled(_)
            | Self::Unreachable(_) => None,
        }
    }

    /// Returns true if the value was not read.
    fn is_not_read(&self) -> bool {
        matches!(self, Self::NotRead)
    }

    /// Maps a known value.
    pub fn then<U>(self, of: impl FnOnce(T) -> Lookup<U>) -> Lookup<U> {
        match self {
            Self::NotRead => Lookup::NotRead,
            Self::Known(value) => of(value),
            Self::Missing => Lookup::Missing,
            Self::Denied(reason) => Lookup::Denied(reason),
            Self::Failed(reason) => Lookup::Failed(reason),
            Self::Throttled(reason) => Lookup::Throttled(reason),
            Self::Unreachable(reason) => Lookup::Unreachable(reason),
        }
    }
}

/// The properties of a deployed function that are relevant for warming.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployed {
    /// The ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The state.
    #[serde(skip_serializing_if = "is_default")]
    pub state: FunctionState,
    /// Lambda's reason for the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// The status of the last update.
    #[serde(skip_serializing_if = "is_default")]
    pub update: UpdateStatus,
    /// Lambda's reason for the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_reason: Option<String>,
    /// Memory in MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u32>,
    /// The timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The instruction set, if it is a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The execution model.
    #[serde(skip_serializing_if = "is_default")]
    pub model: ExecutionModel,
    /// The version that the qualifier denotes: a number, or `$LATEST`. Without a qualifier `$LATEST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The SHA-256 of the deployment package, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_sha256: Option<String>,
    /// The runtime, such as `python3.13`; none for container images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

impl Deployed {
    /// Returns the language of the snippet that `warmd handler` has for the runtime; `None` for other runtimes.
    pub fn language(&self) -> Option<&'static str> {
        let runtime = self.runtime.as_deref()?;
        let of = |(prefix, language)| runtime.starts_with(prefix).then_some(language);
        [("python", "python"), ("nodejs", "node")].into_iter().find_map(of)
    }

    /// Returns the hash of the code that invocations execute; `None` if it is unknown, as during an update: the hash is
    /// then that of the new code, and invocations execute the earlier one.
    pub fn code(&self) -> Option<&str> {
        self.code_sha256.as_deref().filter(|_| self.update != UpdateStatus::InProgress)
    }

    /// Returns the progress of the last deployment.
    pub fn progress(&self) -> Progress {
        match (self.update, self.state) {
            (UpdateStatus::Failed, _) | (_, FunctionState::Failed) => Progress::Failed,
            (UpdateStatus::InProgress, _) | (_, FunctionState::Pending) => Progress::Underway,
            // The guards decide on the others.
            (
                UpdateStatus::Successful,
                FunctionState::Active | FunctionState::Inactive | FunctionState::Off,
            ) => Progress::Ready,
        }
    }
}

/// The progress of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The function is active, or is activated by an invocation, and its last update was successful.
    Ready,
    /// The function is being created or updated.
    Underway,
    /// The function could not be created or updated. After an update the previous deployment is still active.
    Failed,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The state of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionState {
    /// Ready, or unknown.
    #[default]
    Active,
    /// Being created.
    Pending,
    /// Its resources were reclaimed after weeks without an invocation. The next invocation fails and reactivates it.
    Inactive,
    /// The creation failed.
    Failed,
    /// Deactivated, being deleted, or not invocable for another reason.
    Off,
}

/// The status of a function's last update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateStatus {
    /// Done, or unknown.
    #[default]
    Successful,
    /// In progress.
    InProgress,
    /// Failed; the previous deployment is still active.
    Failed,
}

/// The execution model of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutionModel {
    /// On demand.
    #[default]
    OnDemand,
    /// On demand, restored from a snapshot.
    SnapStart,
    /// Durable: every invocation begins a durable execution.
    Durable,
    /// On instances of a capacity provider.
    Managed,
    /// Tenant isolation: every invocation must name a tenant.
    PerTenant,
}

/// The observations of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetObservation {
    /// The result of the dry run.
    #[serde(skip_serializing_if = "Lookup::is_not_read")]
    pub invoke: Lookup<()>,
    /// The deployed function.
    #[serde(skip_serializing_if = "Lookup::is_not_read")]
    pub configuration: Lookup<Deployed>,
    /// The reserved concurrency of the function; `None` when it uses the account's unreserved concurrency.
    #[serde(skip_serializing_if = "Lookup::is_not_read")]
    pub reserved: Lookup<Option<u32>>,
    /// The provisioned concurrency of the qualifier.
    #[serde(skip_serializing_if = "Lookup::is_not_read")]
    pub provisioned: Lookup<Option<u32>>,
    /// The versions behind the alias.
    #[serde(skip_serializing_if = "Lookup::is_not_read")]
    pub alias: Lookup<Routing>,
}

impl TargetObservation {
    /// Creates the observations of an unreachable target.
    pub fn unreachable(reason: String) -> Self {
        Self {
            invoke: Lookup::Unreachable(reason),
            configuration: Lookup::NotRead,
            reserved: Lookup::NotRead,
            provisioned: Lookup::NotRead,
            alias: Lookup::NotRead,
        }
    }

    /// Returns true if the function is known to be created or updated at the moment.
    pub fn is_updating(&self) -> bool {
        self.configuration.known().is_some_and(|deployed| deployed.progress() == Progress::Underway)
    }

    /// Returns true if the target could be compared: its deployment, or its absence, is known.
    pub fn was_compared(&self) -> bool {
        self.invoke == Lookup::Missing || matches!(self.configuration, Lookup::Known(_) | Lookup::Missing)
    }
}

/// An account's limits in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// All concurrent executions.
    pub concurrent: u32,
    /// Concurrent executions that are not reserved by a function.
    pub unreserved: u32,
}

/// The observations of an account in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountObservation {
    /// The region.
    pub region: Region,
    /// The role of the account; `None` is the caller's own account.
    pub role: Option<Arc<Role>>,
    /// The limits.
    pub limits: Lookup<AccountLimits>,
}

/// All observations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    /// The observations of each target, in the given order.
    pub targets: Vec<TargetObservation>,
    /// The observations of each account and region.
    pub accounts: Vec<AccountObservation>,
}

/// Returns true if the qualifier can have provisioned concurrency, which `$LATEST` cannot.
pub fn may_be_provisioned(id: &Identity) -> bool {
    id.qualifier.as_ref().is_some_and(|qualifier| !Qualifier::is_latest(qualifier))
}

#[cfg(test)]
mod tests;
