//! Credential providers: failures are cached for a while, and roles are assumed when first needed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::error::reasons;
use crate::domain::fleet::Role;
use crate::domain::function::Region;

/// The session name of assumed roles, which CloudTrail shows in the other account.
const SESSION: &str = "warmd";

/// The lifetime of a cached failure: longer than a round needs to fail, shorter than a tick.
const FAILURE_LIFE: Duration = Duration::from_secs(5);

/// A provider that caches a failure for [`FAILURE_LIFE`].
///
/// The SDK's identity cache loads credentials once for all waiting requests. When that fails, each of them tries again,
/// one after the other: a thousand pings without credentials would make a thousand attempts of a second or more.
#[derive(Debug)]
pub(super) struct CachedFailure {
    inner: SharedCredentialsProvider,
    failure: Mutex<Option<(Instant, Unavailable)>>,
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Unavailable(String);

impl CachedFailure {
    pub(super) fn new(inner: SharedCredentialsProvider) -> Self {
        Self { inner, failure: Mutex::new(None) }
    }

    fn cached(&self) -> Option<Unavailable> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reason) = failure.as_ref()?;
        (at.elapsed() < FAILURE_LIFE).then(|| reason.clone())
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        if let Some(reason) = self.cached() {
            return Err(CredentialsError::provider_error(reason));
        }
        self.inner.provide_credentials().await.map_err(|error| {
            let reason = Unavailable(reasons(&error));
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            *failure = Some((Instant::now(), reason.clone()));
            CredentialsError::provider_error(reason)
        })
    }
}

impl ProvideCredentials for CachedFailure {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

/// The credentials of a role, assumed when first needed. The SDK's identity cache keeps them.
#[derive(Debug)]
pub(super) struct Assumed {
    role: Arc<Role>,
    region: Region,
    config: SdkConfig,
    provider: OnceCell<AssumeRoleProvider>,
}

impl Assumed {
    /// Creates a provider that assumes the role through STS in `region`, with the credentials of `config`.
    pub(super) fn provider(role: Arc<Role>, region: Region, config: &SdkConfig) -> SharedCredentialsProvider {
        let assumed = Self { role, region, config: config.clone(), provider: OnceCell::new() };
        SharedCredentialsProvider::new(assumed)
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let build = || {
            let builder = AssumeRoleProvider::builder(&self.role.arn)
                .configure(&self.config)
                .region(aws_config::Region::from_static(self.region.as_str()))
                .session_name(SESSION);
            match &self.role.external_id {
                None => builder.build(),
                Some(id) => builder.external_id(id).build(),
            }
        };
        self.provider.get_or_init(build).await.provide_credentials().await
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Broken(Arc<AtomicUsize>);

    impl ProvideCredentials for Broken {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::SeqCst);
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no role is attached")))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_cached_for_a_while_with_its_reason() {
        let calls = Arc::new(AtomicUsize::new(0));
        let provider = CachedFailure::new(SharedCredentialsProvider::new(Broken(Arc::clone(&calls))));
        for _ in 0..1_000 {
            let error = provider.load().await.unwrap_err();
            assert!(reasons(&error).contains("no role is attached"), "{error:?}");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        tokio::time::advance(FAILURE_LIFE).await;
        provider.load().await.unwrap_err();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}
