//! The port for capacity on the SDKs of Lambda, Application Auto Scaling and CloudWatch.
//!
//! Answers are distrusted: negative or inverted numbers, an unknown status and endless lists are failed reads.

mod autoscaling;
pub(super) mod error;
mod lambda;
pub(super) mod numbers;
pub(super) mod pages;
mod utilization;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::clients::{ByRole, CapacityClients, Clients};
use crate::domain::capacity::{
    Activity, Change, ChangeError, ProvisionedState, ScalingConfig, ScalingPolicy, ScheduledAction,
};
use crate::domain::fleet::Role;
use crate::domain::function::{Identity, Qualifier, Region};
use crate::domain::preflight::Lookup;
use crate::domain::routing::Routing;
use crate::engine::capacity::{CapacityControl, Listed, Place};

/// Capacity through the SDKs.
#[derive(Debug)]
pub struct AwsScaling {
    clients: Arc<Clients>,
    cache: Mutex<ByRole<CapacityClients>>,
}

impl AwsScaling {
    /// Creates the port over these clients. Each request is sent once.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients, cache: Mutex::default() }
    }

    fn clients(&self, region: Region, role: Option<&Arc<Role>>) -> CapacityClients {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.entry((region, role.cloned())).or_insert_with(|| self.clients.capacity(region, role)).clone()
    }

    fn of(&self, place: Place<'_>) -> CapacityClients {
        self.clients(place.id.region, place.role)
    }
}

impl CapacityControl for AwsScaling {
    fn provisioned<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Option<ProvisionedState>>> {
        Box::pin(async move { lambda::provisioned(&self.of(of).lambda, of.id).await })
    }

    fn alias<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Routing>> {
        Box::pin(async move { crate::aws::control::alias(&self.of(of).lambda, of.id).await })
    }

    fn is_updating<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<bool>> {
        Box::pin(async move { lambda::is_updating(&self.of(of).lambda, of.id).await })
    }

    fn scaling<'a>(&'a self, of: Place<'a>, version: &'a Qualifier) -> BoxFuture<'a, Lookup<ScalingConfig>> {
        Box::pin(async move { lambda::scaling(&self.of(of).lambda, of.id, version).await })
    }

    fn scalable_targets<'a>(
        &'a self,
        region: Region,
        role: Option<&'a Arc<Role>>,
        ids: Option<&'a [Identity]>,
    ) -> BoxFuture<'a, Lookup<Vec<Listed>>> {
        Box::pin(async move {
            autoscaling::scalable_targets(&self.clients(region, role).autoscaling, region, ids).await
        })
    }

    fn owner<'a>(&'a self, of: Place<'a>, arn: &'a str) -> BoxFuture<'a, Lookup<Option<String>>> {
        Box::pin(async move { autoscaling::owner(&self.of(of).autoscaling, arn).await })
    }

    fn policies<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Vec<ScalingPolicy>>> {
        Box::pin(async move { autoscaling::policies(&self.of(of).autoscaling, of.id).await })
    }

    fn actions<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Vec<ScheduledAction>>> {
        Box::pin(async move { autoscaling::actions(&self.of(of).autoscaling, of.id).await })
    }

    fn activities<'a>(&'a self, of: Place<'a>, since: DateTime<Utc>) -> BoxFuture<'a, Lookup<Vec<Activity>>> {
        Box::pin(async move { autoscaling::activities(&self.of(of).autoscaling, of.id, since).await })
    }

    fn last_utilization<'a>(
        &'a self,
        of: Place<'a>,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Lookup<Option<DateTime<Utc>>>> {
        Box::pin(async move { utilization::last(&self.of(of).cloudwatch, of.id, since, until).await })
    }

    fn change<'a>(&'a self, of: Place<'a>, change: &'a Change) -> BoxFuture<'a, Result<(), ChangeError>> {
        Box::pin(async move {
            let CapacityClients { lambda: functions, autoscaling: targets, .. } = self.of(of);
            let id = of.id;
            match change {
                Change::PutProvisioned(number) => lambda::put_provisioned(&functions, id, *number).await,
                Change::DeleteProvisioned => lambda::delete_provisioned(&functions, id).await,
                Change::PutScaling { version, bounds } => {
                    lambda::put_scaling(&functions, id, version, *bounds).await
                }
                Change::Register { bounds, suspend, owner } => {
                    autoscaling::register(&targets, id, *bounds, *suspend, owner.as_deref()).await
                }
                Change::Tag { arn, owner } => autoscaling::tag(&targets, arn, owner).await,
                Change::PutPolicy { name, utilization } => {
                    autoscaling::put_policy(&targets, id, name, *utilization).await
                }
                Change::DeletePolicy(name) => autoscaling::delete_policy(&targets, id, name).await,
                Change::PutAction(action) => autoscaling::put_action(&targets, id, action).await,
                Change::DeleteAction(name) => autoscaling::delete_action(&targets, id, name).await,
                Change::Deregister => autoscaling::deregister(&targets, id).await,
            }
        })
    }
}
