//! The port for the capacity of functions: provisioned concurrency, Application Auto Scaling and managed instances.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use crate::domain::capacity::{
    Activity, Change, ChangeError, ProvisionedState, ScalableTarget, ScalingConfig, ScalingPolicy,
    ScheduledAction,
};
use crate::domain::fleet::Role;
use crate::domain::function::{Identity, Qualifier, Region};
use crate::domain::preflight::Lookup;
use crate::domain::routing::Routing;

/// A function with its qualifier, and the role through which it is reached; none means the credentials of warmd.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    /// The function.
    pub id: &'p Identity,
    /// The role.
    pub role: Option<&'p Arc<Role>>,
}

/// The scalable target of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The function with its qualifier. The account is none.
    pub id: Identity,
    /// The scalable target. Its owner is not read.
    pub scalable: ScalableTarget,
}

/// The port for capacity. Each call is one request and is not retried, apart from the pages of a list.
pub trait CapacityControl: Send + Sync + 'static {
    /// GetProvisionedConcurrencyConfig. Without a configuration it is `Known(None)`.
    fn provisioned<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Option<ProvisionedState>>>;

    /// GetAlias. [`Lookup::Missing`] if the qualifier is not an alias; for a version number nothing is sent.
    fn alias<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Routing>>;

    /// GetFunctionConfiguration: true while the function is being created or updated.
    fn is_updating<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<bool>>;

    /// GetFunctionScalingConfig of a version.
    fn scaling<'a>(&'a self, of: Place<'a>, version: &'a Qualifier) -> BoxFuture<'a, Lookup<ScalingConfig>>;

    /// DescribeScalableTargets: those of these functions, without `ids` all of the service namespace `lambda`. Others
    /// of the answer are left out.
    fn scalable_targets<'a>(
        &'a self,
        region: Region,
        role: Option<&'a Arc<Role>>,
        ids: Option<&'a [Identity]>,
    ) -> BoxFuture<'a, Lookup<Vec<Listed>>>;

    /// ListTagsForResource of a scalable target: the value of the tag [`Owner::TAG`](crate::domain::capacity::Owner).
    fn owner<'a>(&'a self, of: Place<'a>, arn: &'a str) -> BoxFuture<'a, Lookup<Option<String>>>;

    /// DescribeScalingPolicies.
    fn policies<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Vec<ScalingPolicy>>>;

    /// DescribeScheduledActions.
    fn actions<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Vec<ScheduledAction>>>;

    /// DescribeScalingActivities since a time, the earliest first.
    fn activities<'a>(&'a self, of: Place<'a>, since: DateTime<Utc>) -> BoxFuture<'a, Lookup<Vec<Activity>>>;

    /// GetMetricData: the latest data point of ProvisionedConcurrencyUtilization in [`since`, `until`); `Known(None)`
    /// without one.
    fn last_utilization<'a>(
        &'a self,
        of: Place<'a>,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Lookup<Option<DateTime<Utc>>>>;

    /// Makes a change.
    ///
    /// # Errors
    /// [`ChangeError`]. With [`Unknown`](crate::domain::capacity::ChangeErrorKind::Unknown) it may have been made.
    fn change<'a>(&'a self, of: Place<'a>, change: &'a Change) -> BoxFuture<'a, Result<(), ChangeError>>;
}
