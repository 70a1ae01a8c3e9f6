//! The ports of the engine: Lambda, its control plane, CloudWatch, EventBridge, an object store and the clock.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::domain::fleet::{Role, WireSettings};
use crate::domain::function::{Identity, Region};
use crate::domain::metric_data::Batch;
use crate::domain::preflight::{AccountLimits, Deployed, Lookup};
use crate::domain::round::RawInvocation;
use crate::domain::routing::Routing;

/// The pings of one attempt of a round, to be sent together.
#[derive(Debug, Clone)]
pub struct PingRound {
    /// The function.
    pub function: Identity,
    /// The role to assume; none means the credentials of warmd.
    pub role: Option<Arc<Role>>,
    /// The payloads.
    pub payloads: Payloads,
    /// `X-Amz-Client-Context`, already base64.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`; none means the header of the SDK.
    pub trace_id: Option<String>,
    /// The way in which the pings reach Lambda.
    pub wire: WireSettings,
    /// The timeout of an answer, from the release. Above the target's own timeout.
    pub timeout: Duration,
}

/// The payloads of a round. They may contain secrets: [`Debug`](fmt::Debug) prints their number only.
#[derive(Clone, PartialEq, Eq)]
pub enum Payloads {
    /// Every ping has the same payload.
    Same {
        /// The payload.
        payload: Vec<u8>,
        /// The number of pings that have it.
        pings: u32,
    },
    /// Each ping has its own payload, in the order of the indices.
    Each(Vec<Vec<u8>>),
}

impl fmt::Debug for Payloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} payloads", self.pings())
    }
}

impl Payloads {
    /// Returns the number of pings.
    pub fn pings(&self) -> u32 {
        match self {
            Self::Same { pings, .. } => *pings,
            Self::Each(payloads) => u32::try_from(payloads.len()).unwrap_or(u32::MAX),
        }
    }

    /// Returns the payload of the ping with this index; empty if there is no such ping.
    pub fn of(&self, index: usize) -> &[u8] {
        match self {
            Self::Same { payload, .. } => payload,
            Self::Each(payloads) => payloads.get(index).map_or(&[], Vec::as_slice),
        }
    }
}

/// The result of one ping.
#[derive(Debug, Clone)]
pub struct PingEnd {
    /// The ping's index in its round, from 0.
    pub index: u32,
    /// The answer. Its times are offsets from the round's release.
    pub raw: RawInvocation,
    /// True when the ping was sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: bool,
}

/// The results of a round's pings, in the order in which the pings end. The channel closes after the last one.
pub type PingEnds = mpsc::UnboundedReceiver<PingEnd>;

/// The port for pings.
pub trait Lambda: Send + Sync + 'static {
    /// Sends all pings of a round at once and delivers each as it ends.
    ///
    /// Sending begins when every ping has a connection that is ready or has failed. A ping is sent once, or a second
    /// time if HTTP/2 guarantees that the first was not processed. Pings are synchronous invocations with the log tail.
    /// A failure is the answer of its [`RawInvocation`].
    fn send(&self, round: PingRound) -> PingEnds;
}

impl Lambda for Box<dyn Lambda> {
    fn send(&self, round: PingRound) -> PingEnds {
        (**self).send(round)
    }
}

/// The content of a dry run. It is that of a ping, for servers that invoke the function nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// The payload.
    pub payload: Vec<u8>,
    /// `X-Amz-Client-Context`, already base64.
    pub client_context: Option<String>,
}

/// The interpretation of a dry run by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRunOutcome {
    /// A dry run: the function may be invoked.
    Dry,
    /// An invocation, answered with this HTTP status: the server does not support dry runs.
    Ran(u16),
}

/// The port for reading functions without running them, with one method for each
/// [`Read`](crate::domain::preflight::Read). `role` is the role to assume; none means the credentials of warmd.
pub trait Control: Send + Sync + 'static {
    /// Checks that the function may be invoked, without invoking it.
    fn invoke(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
        dry_run: &DryRun,
    ) -> impl Future<Output = Lookup<DryRunOutcome>> + Send;

    /// Reads the deployed configuration.
    fn configuration(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<Deployed>> + Send;

    /// Reads the versions behind the alias (GetAlias). [`Lookup::Missing`] if the qualifier is not an alias; for a version
    /// number, `$LATEST` or no qualifier nothing is sent.
    fn alias(&self, of: &Identity, role: Option<&Arc<Role>>) -> impl Future<Output = Lookup<Routing>> + Send;

    /// Reads the provisioned concurrency of the qualifier.
    fn provisioned(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<Option<u32>>> + Send;

    /// Reads the reserved concurrency of the function, which all qualifiers share.
    fn reserved(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<Option<u32>>> + Send;

    /// Reads the limits of the account in a region.
    fn account(
        &self,
        region: Region,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<AccountLimits>> + Send;
}

/// The port for metrics.
pub trait Metrics: Send + Sync + 'static {
    /// Sends a batch, within the API's limits. Returns at `until` at the latest. PutMetricData is not idempotent:
    /// a request is retried only if the one before was certainly not processed.
    ///
    /// # Errors
    /// The metrics without an acknowledgement, for the fallback.
    fn put(&self, batch: &Batch, until: Instant) -> impl Future<Output = Result<(), LostMetrics>> + Send;
}

/// Metrics that CloudWatch did not acknowledge.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("CloudWatch did not acknowledge {} of the metrics: {reason}", lost.data.len() + unknown.data.len())]
pub struct LostMetrics {
    /// The metrics that CloudWatch certainly did not count.
    pub lost: Batch,
    /// The metrics that CloudWatch may have counted.
    pub unknown: Batch,
    /// The reason.
    pub reason: CallError,
}

impl LostMetrics {
    /// Returns an instruction for the operator, if there is one for this reason.
    pub fn hint(&self) -> &'static str {
        match self.reason.kind {
            ErrorKind::AccessDenied => "; allow cloudwatch:PutMetricData in the IAM policy of warmd",
            _ => "",
        }
    }
}

/// A failed call of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The failure in one line, for people.
    pub message: String,
}

impl CallError {
    /// Creates an error.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The kind of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The service throttles requests.
    Throttled,
    /// The credentials lack a permission.
    AccessDenied,
    /// The resource does not exist.
    NotFound,
    /// No answer arrived in time.
    Timeout,
    /// The request could not be sent, or its connection broke.
    Unreachable,
    /// Any other failure.
    Other,
}

/// The state of a request that a service did not acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Not processed: the service refused the request, or never received it.
    NotProcessed,
    /// Perhaps processed: the request was sent, and no usable answer arrived.
    Unknown,
}

/// The reason why a request has no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacknowledged {
    /// The reason.
    pub reason: CallError,
    /// The state of the request.
    pub delivery: Delivery,
}

/// An event for a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The bus's name or ARN; none means the account's default bus.
    pub bus: Option<String>,
    /// `source`, such as `warmd`.
    pub source: String,
    /// `detail-type`, such as `Warm Request`.
    pub detail_type: String,
    /// `detail`: a JSON object.
    pub detail: String,
}

/// The port for events.
pub trait Events: Send + Sync + 'static {
    /// Puts events on their buses, within the API's limits. Returns at `until` at the latest. Refused events are
    /// retried a few times; events that the bus may have accepted are not.
    ///
    /// # Errors
    /// The events without an acknowledgement.
    fn put(&self, events: &[Event], until: Instant) -> impl Future<Output = Result<(), LostEvents>> + Send;
}

/// Events that EventBridge did not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("EventBridge did not {} {} of the events: {}", self.verb(), lost.len(), self.reason())]
pub struct LostEvents {
    /// The events without an acknowledgement. With [`Delivery::Unknown`] the bus may have accepted one.
    pub lost: Vec<(Event, Unacknowledged)>,
}

impl LostEvents {
    /// Returns the reason of the first event.
    fn reason(&self) -> &str {
        self.lost.first().map_or("", |(_, error)| error.reason.message.as_str())
    }

    fn verb(&self) -> &'static str {
        let refused = self.lost.iter().all(|(_, error)| error.delivery == Delivery::NotProcessed);
        if refused { "accept" } else { "acknowledge" }
    }
}

/// The version of a stored object, an opaque text of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// The result of reading an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The object still has the known version.
    Unchanged,
    /// The object is new or has changed.
    Object {
        /// The content.
        bytes: Vec<u8>,
        /// The version.
        version: Version,
    },
    /// There is no such object.
    Missing,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'v> {
    /// No condition.
    Always,
    /// The object does not exist.
    New,
    /// The object has this version.
    Replaces(&'v Version),
}

/// A failed call of the object store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ObjectStoreError(#[from] pub CallError);

impl From<String> for ObjectStoreError {
    fn from(message: String) -> Self {
        Self(CallError { kind: ErrorKind::Other, message })
    }
}

/// The reason why an object was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The condition was not met.
    #[error("the object has changed since it was read")]
    Conflict,
    /// The call failed.
    #[error(transparent)]
    Failed(#[from] ObjectStoreError),
}

/// The future result of a call of an object store.
pub type StoreFuture<'a, T, E = ObjectStoreError> = BoxFuture<'a, Result<T, E>>;

/// An object store under one prefix. Keys are relative to the prefix.
pub trait ObjectStore: std::fmt::Debug + Send + Sync + 'static {
    /// Reads an object, unless it is still at the version `known`.
    ///
    /// # Errors
    /// [`ObjectStoreError`].
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched>;

    /// Writes an object if `condition` is met. Returns its new version.
    ///
    /// # Errors
    /// [`PutError`].
    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError>;

    /// Removes an object if it has the version `expected`. A missing object is no error.
    ///
    /// # Errors
    /// [`PutError`].
    fn remove<'a>(&'a self, key: &'a str, _expected: &'a Version) -> StoreFuture<'a, (), PutError> {
        let refused = format!("{key}: this store removes no objects");
        Box::pin(async { Err(PutError::Failed(refused.into())) })
    }

    /// Lists the keys and versions of all objects, sorted by key.
    ///
    /// # Errors
    /// [`ObjectStoreError`].
    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>>;

    /// Removes what interrupted writes left behind more than an hour before `now`. Returns the number of removed files.
    ///
    /// # Errors
    /// [`ObjectStoreError`].
    fn sweep(&self, _now: DateTime<Utc>) -> StoreFuture<'_, usize> {
        Box::pin(async { Ok(0) })
    }
}

/// The wall clock. A tick reads it once and passes its `now` on.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present instant.
    fn now(&self) -> DateTime<Utc>;
}
