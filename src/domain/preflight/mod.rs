//! What `check --live` compares: what is configured with what is deployed.
//!
//! Reading is the business of others; here stand what can be read, what was seen, and what follows from it.

mod findings;
mod peak;

use std::sync::Arc;
use std::time::Duration;

pub use self::findings::{Finding, Kind, Rate, Severity, Unchecked, Why, findings, unchecked};
pub use self::peak::{Peak, peak};
use super::fleet::{Architecture, Role};
use super::function::{Identity, Qualifier, Region};

/// A question to Lambda. Policies grant what stands here, and nothing else is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// Invoke as a dry run: whether the function is there and may be invoked.
    Invoke,
    /// GetFunctionConfiguration.
    Configuration,
    /// GetProvisionedConcurrencyConfig.
    Provisioned,
    /// GetFunctionConcurrency.
    Reserved,
    /// GetAccountSettings.
    Account,
}

impl Read {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Invoke, Self::Configuration, Self::Provisioned, Self::Reserved, Self::Account];

    /// The IAM action that it needs.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Invoke => "lambda:InvokeFunction",
            Self::Configuration => "lambda:GetFunctionConfiguration",
            Self::Provisioned => "lambda:GetProvisionedConcurrencyConfig",
            Self::Reserved => "lambda:GetFunctionConcurrency",
            Self::Account => "lambda:GetAccountSettings",
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It was not asked: the answer to another one made it pointless.
    #[default]
    NotAsked,
    /// The answer.
    Known(T),
    /// There is no such function, version or alias.
    Missing,
    /// The caller has no permission to ask; what the service said.
    Denied(String),
    /// The service could not answer this one; why, for people.
    Failed(String),
    /// Nobody answered, or the credentials are not taken: no other question to the same place will fare better.
    Unreachable(String),
}

impl<T> Lookup<T> {
    /// The answer, when there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(answer) => Some(answer),
            Self::NotAsked | Self::Missing | Self::Denied(_) | Self::Failed(_) | Self::Unreachable(_) => None,
        }
    }

    /// The same with what `of` makes of the answer.
    pub fn then<U>(self, of: impl FnOnce(T) -> Lookup<U>) -> Lookup<U> {
        match self {
            Self::NotAsked => Lookup::NotAsked,
            Self::Known(answer) => of(answer),
            Self::Missing => Lookup::Missing,
            Self::Denied(reason) => Lookup::Denied(reason),
            Self::Failed(reason) => Lookup::Failed(reason),
            Self::Unreachable(reason) => Lookup::Unreachable(reason),
        }
    }
}

/// A deployed function, as far as warming is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployed {
    /// Its ARN.
    pub arn: Option<String>,
    /// Whether it can run.
    pub state: State,
    /// Why it is in that state.
    pub state_reason: Option<String>,
    /// What became of its last update.
    pub update: Update,
    /// Why the last update is where it is.
    pub update_reason: Option<String>,
    /// Memory, MB.
    pub memory_mb: Option<u32>,
    /// Its timeout.
    pub timeout: Option<Duration>,
    /// Its instruction set, when it is one that has a price.
    pub architecture: Option<Architecture>,
    /// What else decides what warming does for it.
    pub model: Model,
}

/// Whether a function can run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// It can, as far as is known.
    #[default]
    Active,
    /// It is being made.
    Pending,
    /// Its resources were reclaimed because nobody called it: the next invocation fails, and wakes it up.
    Inactive,
    /// It could not be made.
    Failed,
    /// It is deactivated, being deleted, or not to be invoked for another reason.
    Off,
}

/// What became of a function's last update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Update {
    /// It is done, as far as is known.
    #[default]
    Successful,
    /// It is under way.
    InProgress,
    /// It failed: what was deployed before goes on running.
    Failed,
}

/// How Lambda runs a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Model {
    /// On demand: what warming is for.
    #[default]
    OnDemand,
    /// On demand, restored from a snapshot.
    SnapStart,
    /// Every invocation begins a durable execution.
    Durable,
    /// On instances of a capacity provider.
    Managed,
    /// Every environment belongs to a tenant, whom an invocation has to name.
    PerTenant,
}

/// What was seen of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Whether it may be invoked.
    pub invoke: Lookup<()>,
    /// What is deployed.
    pub configuration: Lookup<Deployed>,
    /// The concurrency reserved for the function; none when it takes part in the account's.
    pub reserved: Lookup<Option<u32>>,
    /// Environments provisioned for the qualifier.
    pub provisioned: Lookup<Option<u32>>,
}

impl Observed {
    /// Of a target of which nothing could be learned.
    pub fn unreachable(reason: String) -> Self {
        Self {
            invoke: Lookup::Unreachable(reason),
            configuration: Lookup::NotAsked,
            reserved: Lookup::NotAsked,
            provisioned: Lookup::NotAsked,
        }
    }

    /// Whether it could be compared: it is known what is deployed, or that nothing is.
    pub fn was_compared(&self) -> bool {
        self.invoke == Lookup::Missing || matches!(self.configuration, Lookup::Known(_) | Lookup::Missing)
    }
}

/// An account's limits in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// Concurrent executions altogether.
    pub concurrent: u32,
    /// Those of them that no function has reserved.
    pub unreserved: u32,
}

/// What was seen of an account in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSeen {
    /// The region.
    pub region: Region,
    /// The role whose account it is; none means the caller's own.
    pub role: Option<Arc<Role>>,
    /// Its limits.
    pub limits: Lookup<AccountLimits>,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    /// Of each target, in the order in which they were given.
    pub targets: Vec<Observed>,
    /// Of each account and region.
    pub accounts: Vec<AccountSeen>,
}

/// Whether a function can have provisioned concurrency under this name: `$LATEST` cannot.
pub fn may_be_provisioned(id: &Identity) -> bool {
    id.qualifier.as_ref().is_some_and(|qualifier| !Qualifier::is_latest(qualifier))
}

#[cfg(test)]
mod tests;
