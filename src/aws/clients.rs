//! The SDK's clients: one configuration, one connector, one Lambda client per region.

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
use super::credentials::{Assumed, Remembering};
use super::events::EventBridge;
use super::s3::Bucket;
use crate::domain::fleet::Role;
use crate::domain::function::Region;

/// Goes into every request's user agent as `app/warmd`.
const APP_NAME: &str = "warmd";
/// What the SDK calls a region when it talks to the emulator; the emulator does not care.
const LOCAL_REGION: &str = "eu-west-2";
/// A call that may be repeated safely, with all its repetitions: the tick waits for it.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);
/// One attempt of such a call.
const CONTROL_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// One client for each region and role.
pub(super) type LambdaClients = HashMap<(Region, Option<Arc<Role>>), aws_sdk_lambda::Client>;

/// The SDK's clients.
#[derive(Debug)]
pub struct Clients {
    config: SdkConfig,
    connector: Connector,
    lambda: Mutex<LambdaClients>,
}

/// The SDK found no region for what belongs to the warmer itself (its metrics, its events, its buckets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no AWS region is configured: set AWS_REGION, or `region` in the profile")]
pub struct NoRegion;

impl Clients {
    /// Clients configured as the SDK does it: environment, profiles, container and instance credentials.
    pub async fn load() -> Self {
        Self::load_through(Connector::default()).await
    }

    /// The same over a given connector.
    pub async fn load_through(connector: Connector) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(connector.clone());
        if let Ok(name) = aws_config::AppName::new(APP_NAME) {
            loader = loader.app_name(name);
        }
        let config = loader.load().await;
        let config = match config.credentials_provider() {
            None => config,
            Some(provider) => {
                let provider = SharedCredentialsProvider::new(Remembering::new(provider));
                config.to_builder().credentials_provider(provider).build()
            }
        };
        Self::over(config, connector)
    }

    /// Clients of the emulator at `endpoint` (`http://127.0.0.1:9001`), with made-up credentials. Reads neither the
    /// environment nor a profile.
    pub fn local(endpoint: &str) -> Self {
        Self::local_through(endpoint, Connector::default())
    }

    /// The same over a given connector.
    pub fn local_through(endpoint: &str, connector: Connector) -> Self {
        Self::local_as(endpoint, connector, None)
    }

    /// The same, with credentials that have a session token as those of roles do.
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

    /// The connections that pings go through.
    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The Lambda client of a region that signs pings, with the warmer's own credentials or those of a role that it
    /// assumes. It never repeats a request and sets no time limit: pings have their own.
    pub fn lambda(&self, region: Region, role: Option<&Arc<Role>>) -> aws_sdk_lambda::Client {
        let mut clients = self.lambda.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry((region, role.cloned())).or_insert_with(|| {
            let config = self
                .lambda_of(region, role)
                .retry_config(keeping(RetryConfig::disabled()))
                .timeout_config(TimeoutConfig::disabled())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            aws_sdk_lambda::Client::from_conf(config.build())
        });
        client.clone()
    }

    /// A client of the same for what is only read: the SDK may repeat it. It is made anew each time, with credentials
    /// of its own, so ask for one once.
    pub fn control(&self, region: Region, role: Option<&Arc<Role>>) -> aws_sdk_lambda::Client {
        let config = self
            .lambda_of(region, role)
            .retry_config(keeping(RetryConfig::standard()))
            .timeout_config(control_timeouts());
        aws_sdk_lambda::Client::from_conf(config.build())
    }

    fn lambda_of(&self, region: Region, role: Option<&Arc<Role>>) -> aws_sdk_lambda::config::Builder {
        let config = aws_sdk_lambda::config::Builder::from(&self.config)
            .region(aws_config::Region::from_static(region.as_str()));
        match role {
            None => config,
            Some(role) => {
                let assumed = Remembering::new(Assumed::provider(Arc::clone(role), region, &self.config));
                config.credentials_provider(SharedCredentialsProvider::new(assumed))
            }
        }
    }

    /// CloudWatch in the warmer's own region.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn cloudwatch(&self) -> Result<CloudWatch, NoRegion> {
        self.own_region()?;
        let config = aws_sdk_cloudwatch::config::Builder::from(&self.config)
            .retry_config(keeping(RetryConfig::disabled()))
            .timeout_config(attempts::timeouts());
        Ok(CloudWatch::new(aws_sdk_cloudwatch::Client::from_conf(config.build())))
    }

    /// EventBridge in the warmer's own region.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn events(&self) -> Result<EventBridge, NoRegion> {
        self.own_region()?;
        let config = aws_sdk_eventbridge::config::Builder::from(&self.config)
            .retry_config(keeping(RetryConfig::disabled()))
            .timeout_config(attempts::timeouts());
        Ok(EventBridge::new(aws_sdk_eventbridge::Client::from_conf(config.build())))
    }

    /// A prefix of a bucket in the warmer's own region.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn bucket(&self, bucket: &str, prefix: &str) -> Result<Bucket, NoRegion> {
        self.own_region()?;
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            // Another server than S3 (the emulator, say) need not be found under a name for each bucket.
            .force_path_style(self.config.endpoint_url().is_some() || self.s3_has_an_endpoint())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard())
            .timeout_config(control_timeouts());
        Ok(Bucket::new(aws_sdk_s3::Client::from_conf(config.build()), bucket, prefix))
    }

    /// Returns true when pings may share connections: Lambda's endpoint has TLS, and so may offer HTTP/2.
    pub fn lambda_has_tls(&self) -> bool {
        let own = self.endpoint_of("Lambda");
        own.as_deref().or(self.config.endpoint_url()).is_none_or(|endpoint| !endpoint.starts_with("http:"))
    }

    fn s3_has_an_endpoint(&self) -> bool {
        self.endpoint_of("S3").is_some()
    }

    /// The endpoint that the environment or the profile names for one service alone, found as the SDK does it.
    fn endpoint_of(&self, service: &str) -> Option<String> {
        let key =
            ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let (config, key) = self.config.service_config().zip(key.build().ok())?;
        config.load_config(key)
    }

    /// The warmer's own region: the one the SDK is configured for.
    ///
    /// # Errors
    /// [`NoRegion`].
    pub fn own_region(&self) -> Result<&str, NoRegion> {
        self.config.region().map(AsRef::as_ref).filter(|name: &&str| !name.is_empty()).ok_or(NoRegion)
    }
}

/// The connector itself leaves a connection on which something went wrong. The SDK would ask it to, and log an error
/// for each ping that it cannot.
fn keeping(retries: RetryConfig) -> RetryConfig {
    retries.with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

fn control_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_timeout(CONTROL_TIMEOUT)
        .operation_attempt_timeout(CONTROL_ATTEMPT_TIMEOUT)
        .build()
}
