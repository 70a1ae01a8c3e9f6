//! The Control port on the SDK: reads of functions, which run nothing.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::get_alias::GetAliasOutput;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::{
    Architecture as SdkArchitecture, InvocationType, LastUpdateStatus, SnapStartOptimizationStatus,
    State as SdkState, TenantIsolationMode,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::Blob;
use aws_smithy_types::retry::RetryConfig;

use super::clients::{Clients, LambdaClients};
use super::error::refusal;
use crate::domain::fleet::Role;
use crate::domain::function::{Architecture, Identity, Qualifier, Region};
use crate::domain::preflight::{
    AccountLimits, Deployed, ExecutionModel, FunctionState, Lookup, UpdateStatus,
};
use crate::domain::routing::{Routing, Weight};
use crate::engine::ports::{Control, DryRun, DryRunOutcome, ErrorKind};

/// The status of a dry run whose invocation Lambda would accept.
const WOULD_INVOKE: u16 = 204;

/// Reads of functions through the SDK.
#[derive(Debug)]
pub struct AwsControl {
    clients: Arc<Clients>,
    /// The retries of a read.
    retries: RetryConfig,
    cache: Mutex<LambdaClients>,
}

impl AwsControl {
    /// Creates the port over these clients, with the SDK's retries.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients, retries: RetryConfig::standard(), cache: Mutex::default() }
    }

    /// Creates the port without retries: each read is one request.
    pub fn without_retries(clients: Arc<Clients>) -> Self {
        Self { retries: RetryConfig::disabled(), ..Self::new(clients) }
    }

    fn client(&self, region: Region, role: Option<&Arc<Role>>) -> Client {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .entry((region, role.cloned()))
            .or_insert_with(|| self.clients.control(region, role, self.retries.clone()))
            .clone()
    }
}

impl Control for AwsControl {
    async fn invoke(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
        dry_run: &DryRun,
    ) -> Lookup<DryRunOutcome> {
        let request = self
            .client(of.region, role)
            .invoke()
            .function_name(of.unqualified())
            .set_qualifier(qualifier(of))
            .set_tenant_id(of.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()))
            .set_client_context(dry_run.client_context.clone())
            .payload(Blob::new(dry_run.payload.clone()))
            .invocation_type(InvocationType::DryRun);
        let answer = request.send().await;
        let status = match &answer {
            Ok(output) => u16::try_from(output.status_code).ok(),
            // A handler that ran may answer something unreadable.
            Err(error) => {
                error.raw_response().map(|raw| raw.status()).filter(|it| it.is_success()).map(u16::from)
            }
        };
        match (answer, status) {
            (Ok(_), Some(WOULD_INVOKE)) => Lookup::Known(DryRunOutcome::Dry),
            (_, Some(status)) => Lookup::Known(DryRunOutcome::Ran(status)),
            (Ok(_), None) => Lookup::Failed("the answer to a dry run has no HTTP status".to_owned()),
            (Err(error), None) => unread(&error),
        }
    }

    async fn configuration(&self, of: &Identity, role: Option<&Arc<Role>>) -> Lookup<Deployed> {
        let request = self
            .client(of.region, role)
            .get_function_configuration()
            .function_name(of.unqualified())
            .set_qualifier(qualifier(of));
        match request.send().await {
            Ok(output) => Lookup::Known(deployed(output)),
            Err(error) => unread(&error),
        }
    }

    async fn alias(&self, of: &Identity, role: Option<&Arc<Role>>) -> Lookup<Routing> {
        alias(&self.client(of.region, role), of).await
    }

    async fn provisioned(&self, of: &Identity, role: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        let request = self
            .client(of.region, role)
            .get_provisioned_concurrency_config()
            .function_name(of.unqualified())
            .set_qualifier(qualifier(of));
        match request.send().await {
            Ok(output) => Lookup::Known(output.requested_provisioned_concurrent_executions.and_then(number)),
            Err(SdkError::ServiceError(refused))
                if refused.err().is_provisioned_concurrency_config_not_found_exception() =>
            {
                Lookup::Known(None)
            }
            Err(error) => unread(&error),
        }
    }

    async fn reserved(&self, of: &Identity, role: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        let request = self.client(of.region, role).get_function_concurrency().function_name(of.unqualified());
        match request.send().await {
            Ok(output) => Lookup::Known(output.reserved_concurrent_executions.and_then(number)),
            Err(error) => unread(&error),
        }
    }

    async fn account(&self, region: Region, role: Option<&Arc<Role>>) -> Lookup<AccountLimits> {
        let limits = match self.client(region, role).get_account_settings().send().await {
            Ok(output) => output.account_limit,
            Err(error) => return unread(&error),
        };
        let read = limits.and_then(|limits| {
            let concurrent = number(limits.concurrent_executions)?;
            let unreserved = limits.unreserved_concurrent_executions.and_then(number).unwrap_or(concurrent);
            Some(AccountLimits { concurrent, unreserved })
        });
        read.map_or_else(|| Lookup::Failed("the answer has no account limits".to_owned()), Lookup::Known)
    }
}

pub(super) fn qualifier(of: &Identity) -> Option<String> {
    of.qualifier.as_ref().map(|qualifier| qualifier.as_str().to_owned())
}

/// Reads the versions behind an alias; [`Lookup::Missing`] if the qualifier is not an alias.
pub(super) async fn alias(client: &Client, of: &Identity) -> Lookup<Routing> {
    let Some(name) = of.qualifier.as_ref().filter(|name| name.is_alias()) else { return Lookup::Missing };
    match client.get_alias().function_name(of.unqualified()).name(name.as_str()).send().await {
        Ok(output) => match routing(output) {
            Some(routing) => Lookup::Known(routing),
            None => {
                Lookup::Failed("the answer has no version of the alias, or impossible weights".to_owned())
            }
        },
        Err(error) => unread(&error),
    }
}

/// Returns the routing in an answer; `None` if the versions or the weights are impossible.
fn routing(output: GetAliasOutput) -> Option<Routing> {
    let version = |text: &str| Qualifier::parse(text).ok();
    let weights = output.routing_config.and_then(|routing| routing.additional_version_weights);
    let others = weights.unwrap_or_default();
    let others = others.iter().map(|(number, weight)| Some((version(number)?, Weight::new(*weight)?)));
    let (version, others) = (version(&output.function_version?)?, others.collect::<Option<_>>()?);
    Some(Routing { version, others }).filter(Routing::is_possible)
}

fn number(number: i32) -> Option<u32> {
    u32::try_from(number).ok()
}

fn deployed(output: GetFunctionConfigurationOutput) -> Deployed {
    let snapshots = output.snap_start.and_then(|snap_start| snap_start.optimization_status);
    let tenants = output.tenancy_config.map(|tenancy| tenancy.tenant_isolation_mode);
    let model = if output.durable_config.is_some() {
        ExecutionModel::Durable
    } else if output.capacity_provider_config.is_some() {
        ExecutionModel::Managed
    } else if tenants == Some(TenantIsolationMode::PerTenant) {
        ExecutionModel::PerTenant
    } else if snapshots == Some(SnapStartOptimizationStatus::On) {
        ExecutionModel::SnapStart
    } else {
        ExecutionModel::OnDemand
    };
    let architecture = output.architectures.and_then(|all| match all.first() {
        Some(SdkArchitecture::Arm64) => Some(Architecture::Arm64),
        Some(SdkArchitecture::X8664) => Some(Architecture::X86_64),
        Some(_) | None => None,
    });
    Deployed {
        arn: output.function_arn,
        state: output.state.map_or(FunctionState::Active, state),
        state_reason: output.state_reason,
        update: match output.last_update_status {
            Some(LastUpdateStatus::InProgress) => UpdateStatus::InProgress,
            Some(LastUpdateStatus::Failed) => UpdateStatus::Failed,
            Some(_) | None => UpdateStatus::Successful,
        },
        update_reason: output.last_update_status_reason,
        memory_mb: output.memory_size.and_then(number),
        timeout: output.timeout.and_then(number).map(|seconds| Duration::from_secs(seconds.into())),
        architecture,
        model,
        version: output.version,
        code_sha256: output.code_sha256,
        runtime: output.runtime.map(|runtime| runtime.as_str().to_owned()),
    }
}

fn state(state: SdkState) -> FunctionState {
    match state {
        SdkState::Pending => FunctionState::Pending,
        SdkState::Inactive => FunctionState::Inactive,
        SdkState::Failed => FunctionState::Failed,
        SdkState::ActiveNonInvocable
        | SdkState::Deactivated
        | SdkState::Deactivating
        | SdkState::Deleting => FunctionState::Off,
        // A state that is not known here does not prevent pings.
        _ => FunctionState::Active,
    }
}

/// Interprets a failed read.
pub(super) fn unread<T, E>(error: &SdkError<E, HttpResponse>) -> Lookup<T>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match ErrorKind::of(error) {
        ErrorKind::AccessDenied => {
            let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
            Lookup::Denied(message.map_or_else(|| refusal(error), str::to_owned))
        }
        ErrorKind::NotFound => Lookup::Missing,
        ErrorKind::Timeout | ErrorKind::Unreachable => Lookup::Unreachable(refusal(error)),
        ErrorKind::Throttled => Lookup::Throttled(refusal(error)),
        ErrorKind::Other => Lookup::Failed(refusal(error)),
    }
}
