//! Provisioned concurrency and the scaling configurations of managed instances.

use std::num::NonZeroU32;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::types::{
    FunctionScalingConfig, LastUpdateStatus, ProvisionedConcurrencyStatusEnum as Sdk, State,
};

use super::error::{deleted, line, unchanged, unread};
use super::numbers::{bounds, int, number};
use crate::aws::control::qualifier;
use crate::domain::capacity::{Bounds, ChangeError, ProvisionedState, ProvisionedStatus, ScalingConfig};
use crate::domain::function::{Identity, Qualifier};
use crate::domain::preflight::Lookup;

pub(super) async fn provisioned(client: &Client, of: &Identity) -> Lookup<Option<ProvisionedState>> {
    let request = client
        .get_provisioned_concurrency_config()
        .function_name(of.unqualified())
        .set_qualifier(qualifier(of));
    let output = match request.send().await {
        Ok(output) => output,
        Err(SdkError::ServiceError(refused))
            if refused.err().is_provisioned_concurrency_config_not_found_exception() =>
        {
            return Lookup::Known(None);
        }
        Err(error) => return unread(&error),
    };
    let status = match output.status {
        Some(Sdk::InProgress) => ProvisionedStatus::InProgress,
        Some(Sdk::Ready) => ProvisionedStatus::Ready,
        Some(Sdk::Failed) => ProvisionedStatus::Failed,
        other => {
            let status = other.map_or_else(String::new, |other| line(other.as_str()));
            return Lookup::Failed(format!("unknown status of provisioned concurrency: \"{status}\""));
        }
    };
    let numbers = || {
        Some(ProvisionedState {
            requested: number(output.requested_provisioned_concurrent_executions?)?,
            allocated: number(output.allocated_provisioned_concurrent_executions.unwrap_or(0))?,
            available: number(output.available_provisioned_concurrent_executions.unwrap_or(0))?,
            status,
            reason: output.status_reason.as_deref().map(line),
        })
    };
    let impossible = || Lookup::Failed("the answer has impossible numbers of environments".to_owned());
    numbers().map_or_else(impossible, |state| Lookup::Known(Some(state)))
}

pub(super) async fn is_updating(client: &Client, of: &Identity) -> Lookup<bool> {
    let request =
        client.get_function_configuration().function_name(of.unqualified()).set_qualifier(qualifier(of));
    match request.send().await {
        Ok(output) => Lookup::Known(
            output.state == Some(State::Pending)
                || output.last_update_status == Some(LastUpdateStatus::InProgress),
        ),
        Err(error) => unread(&error),
    }
}

pub(super) async fn scaling(client: &Client, of: &Identity, version: &Qualifier) -> Lookup<ScalingConfig> {
    let request =
        client.get_function_scaling_config().function_name(of.unqualified()).qualifier(version.as_str());
    let output = match request.send().await {
        Ok(output) => output,
        Err(error) => return unread(&error),
    };
    let both = || {
        Some(ScalingConfig {
            requested: numbers(output.requested_function_scaling_config.as_ref())?,
            applied: numbers(output.applied_function_scaling_config.as_ref())?,
        })
    };
    let impossible = || Lookup::Failed("the answer has impossible numbers of environments".to_owned());
    both().map_or_else(impossible, Lookup::Known)
}

/// Returns the numbers of a scaling configuration, if it has any; the outer `None` means impossible ones.
fn numbers(config: Option<&FunctionScalingConfig>) -> Option<Option<Bounds>> {
    match config.map(|config| (config.min_execution_environments, config.max_execution_environments)) {
        None | Some((None, None)) => Some(None),
        Some((Some(min), Some(max))) => bounds(min, max).map(Some),
        Some(_) => None,
    }
}

pub(super) async fn put_provisioned(
    client: &Client,
    of: &Identity,
    environments: NonZeroU32,
) -> Result<(), ChangeError> {
    let request = client
        .put_provisioned_concurrency_config()
        .function_name(of.unqualified())
        .set_qualifier(qualifier(of))
        .provisioned_concurrent_executions(int(environments.get()));
    request.send().await.map(drop).map_err(|error| unchanged(&error))
}

pub(super) async fn delete_provisioned(client: &Client, of: &Identity) -> Result<(), ChangeError> {
    let request = client
        .delete_provisioned_concurrency_config()
        .function_name(of.unqualified())
        .set_qualifier(qualifier(of));
    request.send().await.map(drop).or_else(|error| deleted(unchanged(&error)))
}

pub(super) async fn put_scaling(
    client: &Client,
    of: &Identity,
    version: &Qualifier,
    Bounds { min, max }: Bounds,
) -> Result<(), ChangeError> {
    let config = FunctionScalingConfig::builder()
        .min_execution_environments(int(min))
        .max_execution_environments(int(max));
    let request = client
        .put_function_scaling_config()
        .function_name(of.unqualified())
        .qualifier(version.as_str())
        .function_scaling_config(config.build());
    request.send().await.map(drop).map_err(|error| unchanged(&error))
}
