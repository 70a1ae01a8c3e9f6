//! The SDK's clients: one configuration, one connector, one Lambda client per region and role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_types::retry::{ReconnectMode, RetryConfig};
use aws_types::service_config::ServiceConfigKey;

use super::attempts;
use super::cloudwatch::CloudWatch;
use super::connector::Connector;
use super::credentials::{Assumed, CachedFailure};
use super::events::EventBridge;
use super::s3::Bucket;
use crate::domain::fleet::Role;
use crate::domain::function::Region;

/// The name in every request's user agent, as `app/warmd`.
const APP_NAME: &str = "warmd";
/// The region of requests to the emulator, which accepts any.
const LOCAL_REGION: &str = "eu-west-2";
/// The time limit of an idempotent call with all its retries: the tick waits for it.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of one attempt of such a call.
const CONTROL_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// A value for each region and role.
pub(super) type ByRole<T> = HashMap<(Region, Option<Arc<Role>>), T>;

/// One client for each region and role.
pub(super) type LambdaClients = ByRole<aws_sdk_lambda::Client>;

/// The clients that read and change capacity in one region, with the credentials of one role.
#[derive(Debug, Clone)]
pub(super) struct CapacityClients {
    pub lambda: aws_sdk_lambda::Client,
    pub autoscaling: aws_sdk_applicationautoscaling::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
}

/// The SDK's clients.
#[derive(Debug)]
pub struct Clients {
    config: SdkConfig,
    connector: Connector,
    lambda: Mutex<LambdaClients>,
}

/// The SDK found no region for the warmer's metrics, events and buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no AWS region is configured: set AWS_REGION, or `region` in the profile")]
pub struct NoRegion;

impl Clients {
    /// Creates clients with the SDK's default configuration: environment, profiles, container and instance credentials.
    pub async fn load() -> Self {
        Self::load_through(Connector::default()).await
    }

    /// Like [`Clients::load`], over a given connector.
    pub async fn load_through(connector: Connector) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(connector.clone());
        if let Ok(name) = aws_config::AppName::new(APP_NAME) {
            loader = loader.app_name(name);
        }
        let config = loader.load().await;
        let config = match config.credentials_provider() {
            None => config,
            Some(provider) => {
                let provider = SharedCredentialsProvider::new(CachedFailure::new(provider));
                config.to_builder().credentials_provider(provider).build()
            }
        };
        Self::over(config, connector)
    }

    /// Creates clients of the emulator at `endpoint` (`http://127.0.0.1:9001`), with fake credentials. Reads neither
    /// the environment nor a profile.
    pub fn local(endpoint: &str) -> Self {
        Self::local_through(endpoint, Connector::default())
    }

    /// Like [`Clients::local`], over a given connector.
    pub fn local_through(endpoint: &str, connector: Connector) -> Self {
        Self::local_as(endpoint, connector, None)
    }

    /// Like [`Clients::local_through`], with credentials that have a session token, like those of roles.
    pub fn local_with_token(endpoint: &str, connector: Connector, token: &str) -> Self {
        Self::local_as(endpoint, connector, Some(token.to_owned()))
    }

    fn local_as(endpoint: &str, connector: Connector, token: Option<String>) -> Self {
        let credentials = Credentials::new("warmd-local", "warmd-local", token, None, "warmd --local");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(aws_config::Region::new(LOCAL_REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(aws_config::identity::IdentityCache::lazy().build())
            .http_client(connector.clone())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new());
        let config = match aws_config::AppName::new(APP_NAME) {
            Ok(name) => config.app_name(name),
            Err(_) => config,
        };
        Self::over(config.build(), connector)
    }

    fn over(config: SdkConfig, connector: Connector) -> Self {
        Self { config, connector, lambda: Mutex::default() }
    }

    /// Returns the connector that sends pings.
    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Returns the Lambda client that signs pings in a region, with the warmer's credentials or those of a role. It has
    /// no retries and no time limits, because pings have theirs.
    pub fn lambda(&self, region: Region, role: Option<&Arc<Role>>) -> aws_sdk_lambda::Client {
        let mut clients = self.lambda.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry((region, role.cloned())).or_insert_with(|| {
            let config = self
                .lambda_config(region, role)
                .retry_config(reusing_connections(RetryConfig::disabled()))
                .timeout_config(TimeoutConfig::disabled())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            aws_sdk_lambda::Client::from_conf(config.build())
        });
        client.clone()
    }

    /// Creates a Lambda client for reads. Callers should keep it, because each new client loads credentials.
    pub fn control(
        &self,
        region: Region,
        role: Option<&Arc<Role>>,
        retries: RetryConfig,
    ) -> aws_sdk_lambda::Client {
        let config = self
            .lambda_config(region, role)
            .retry_config(reusing_connections(retries))
            .timeout_config(control_timeouts());
        aws_sdk_lambda::Client::from_conf(config.build())
    }

    /// Creates clients for capacity, without retries. They share the credentials of the role. Callers should keep them,
    /// because each new set loads credentials.
    pub(super) fn capacity(&self, region: Region, role: Option<&Arc<Role>>) -> CapacityClients {
        let config = self.once(region, role);
        CapacityClients {
            lambda: aws_sdk_lambda::Client::new(&config),
            autoscaling: aws_sdk_applicationautoscaling::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        }
    }

    /// Creates a client for the values of metrics, without retries. Callers should keep it, because each new client loads
    /// credentials.
    pub(super) fn metric_values(
        &self,
        region: Region,
        role: Option<&Arc<Role>>,
    ) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.once(region, role))
    }

    /// Creates a client for dashboards and alarms in a region. Its requests are idempotent.
    pub(super) fn observability(&self, region: Region, retries: RetryConfig) -> aws_sdk_cloudwatch::Client {
        let config = self.config_for(region, None).retry_config(reusing_connections(retries));
        aws_sdk_cloudwatch::Client::new(&config.timeout_config(attempts::timeouts()).build())
    }

    /// Returns the configuration of idempotent calls that are sent once.
    fn once(&self, region: Region, role: Option<&Arc<Role>>) -> SdkConfig {
        let config = self.config_for(region, role).retry_config(reusing_connections(RetryConfig::disabled()));
        config.timeout_config(control_timeouts()).build()
    }

    fn lambda_config(&self, region: Region, role: Option<&Arc<Role>>) -> aws_sdk_lambda::config::Builder {
        aws_sdk_lambda::config::Builder::from(&self.config_for(region, role).build())
    }

    /// Returns the configuration for a region, with the warmer's credentials or those of a role.
    fn config_for(&self, region: Region, role: Option<&Arc<Role>>) -> aws_types::sdk_config::Builder {
        let config = self.config.to_builder().region(aws_config::Region::from_static(region.as_str()));
        match role {
            None => config,
            Some(role) => {
                let assumed = CachedFailure::new(Assumed::provider(Arc::clone(role), region, &self.config));
                config.credentials_provider(SharedCredentialsProvider::new(assumed))
            }
        }
    }

    /// Creates a CloudWatch client in the warmer's region.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn cloudwatch(&self) -> Result<CloudWatch, NoRegion> {
        Ok(CloudWatch::new(aws_sdk_cloudwatch::Client::new(&self.without_retries()?)))
    }

    /// Creates an EventBridge client in the warmer's region.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn events(&self) -> Result<EventBridge, NoRegion> {
        Ok(EventBridge::new(aws_sdk_eventbridge::Client::new(&self.without_retries()?)))
    }

    /// Returns the configuration of clients whose requests are sent through [`attempts`].
    fn without_retries(&self) -> Result<SdkConfig, NoRegion> {
        self.own_region()?;
        let config = self.config.to_builder().retry_config(reusing_connections(RetryConfig::disabled()));
        Ok(config.timeout_config(attempts::timeouts()).build())
    }

    /// Creates a client for a prefix of a bucket in the warmer's region.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn bucket(&self, bucket: &str, prefix: &str) -> Result<Bucket, NoRegion> {
        self.own_region()?;
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            // Servers other than S3, such as the emulator, may have no DNS name for each bucket.
            .force_path_style(self.config.endpoint_url().is_some() || self.s3_has_an_endpoint())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard())
            .timeout_config(control_timeouts());
        Ok(Bucket::new(aws_sdk_s3::Client::from_conf(config.build()), bucket, prefix))
    }

    /// Returns true when pings may share connections: HTTP/2 needs an endpoint with TLS.
    pub fn lambda_has_tls(&self) -> bool {
        let own = self.endpoint_of("Lambda");
        own.as_deref().or(self.config.endpoint_url()).is_none_or(|endpoint| !endpoint.starts_with("http:"))
    }

    fn s3_has_an_endpoint(&self) -> bool {
        self.endpoint_of("S3").is_some()
    }

    /// Returns the endpoint that the environment or the profile sets for one service, as the SDK resolves it.
    fn endpoint_of(&self, service: &str) -> Option<String> {
        let key =
            ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let (config, key) = self.config.service_config().zip(key.build().ok())?;
        config.load_config(key)
    }

    /// Returns the warmer's region, from the SDK's configuration.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn own_region(&self) -> Result<&str, NoRegion> {
        self.config.region().map(AsRef::as_ref).filter(|name: &&str| !name.is_empty()).ok_or(NoRegion)
    }
}

/// Turns off the SDK's closing of failed connections. The connector does that itself, and the SDK would log an error
/// for each ping.
fn reusing_connections(retries: RetryConfig) -> RetryConfig {
    retries.with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

fn control_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_timeout(CONTROL_TIMEOUT)
        .operation_attempt_timeout(CONTROL_ATTEMPT_TIMEOUT)
        .build()
}
