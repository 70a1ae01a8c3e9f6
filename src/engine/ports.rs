//! The narrow ports through which the engine touches the world.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::domain::fleet::{Role, WireSettings};
use crate::domain::function::{Identity, Region};
use crate::domain::metrics::Batch;
use crate::domain::preflight::{AccountLimits, Deployed, Lookup};
use crate::domain::round::RawInvocation;

/// The pings of one attempt of a round, to be sent together.
#[derive(Debug, Clone)]
pub struct PingRound {
    /// The function.
    pub function: Identity,
    /// The role to assume for it; none means the warmer's own.
    pub role: Option<Arc<Role>>,
    /// The payloads.
    pub payloads: Payloads,
    /// `X-Amz-Client-Context`, already base64.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`; none leaves the header to the SDK.
    pub trace_id: Option<String>,
    /// The way in which the pings reach Lambda.
    pub wire: WireSettings,
    /// The timeout of an answer, from the release. Above the target's own timeout.
    pub timeout: Duration,
}

/// The payloads of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payloads {
    /// Every ping has the same.
    Same {
        /// The payload.
        payload: Vec<u8>,
        /// The number of pings that have it.
        pings: u32,
    },
    /// Each ping has its own, in the order of their indices.
    Each(Vec<Vec<u8>>),
}

impl Payloads {
    /// The number of pings.
    pub fn pings(&self) -> u32 {
        match self {
            Self::Same { pings, .. } => *pings,
            Self::Each(payloads) => u32::try_from(payloads.len()).unwrap_or(u32::MAX),
        }
    }

    /// The payload of the ping with this index; empty when there is no such ping.
    pub fn of(&self, index: usize) -> &[u8] {
        match self {
            Self::Same { payload, .. } => payload,
            Self::Each(payloads) => payloads.get(index).map_or(&[], Vec::as_slice),
        }
    }
}

/// The end of one ping.
#[derive(Debug, Clone)]
pub struct PingEnd {
    /// The ping's index in its round, from 0.
    pub index: u32,
    /// The answer. Its times are offsets from the round's release.
    pub raw: RawInvocation,
    /// True when the ping was sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: bool,
}

/// The ends of a round's pings, in the order in which the pings end. The channel closes after the last one.
pub type PingEnds = mpsc::UnboundedReceiver<PingEnd>;

/// Lambda, as the engine needs it.
pub trait Lambda: Send + Sync + 'static {
    /// Sends all pings of a round at once and delivers each as it ends.
    ///
    /// No byte is sent before every ping has a connection that is ready or has failed. A ping is sent once; the only
    /// exception is a ping that HTTP/2 guarantees was not processed. Pings are synchronous invocations with log tail.
    /// The failure is the [`RawInvocation`]'s answer.
    fn send(&self, round: PingRound) -> PingEnds;
}

/// What a dry run says: what a ping would, so that a server which runs it all the same has a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// The payload.
    pub payload: Vec<u8>,
    /// `X-Amz-Client-Context`, already base64.
    pub client_context: Option<String>,
}

/// What a dry run was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRunOutcome {
    /// A dry run: the function may be invoked.
    Dry,
    /// An invocation, answered with this HTTP status: the server does not know dry runs.
    Ran(u16),
}

/// What can be read of functions without running them, one method for each
/// [`Read`](crate::domain::preflight::Read). `role` is the role to assume; none means the caller's own credentials.
pub trait Control: Send + Sync + 'static {
    /// Asks whether the function may be invoked, without invoking it.
    fn invoke(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
        dry_run: &DryRun,
    ) -> impl Future<Output = Lookup<DryRunOutcome>> + Send;

    /// What is deployed.
    fn configuration(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<Deployed>> + Send;

    /// The environments provisioned for the qualifier.
    fn provisioned(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<Option<u32>>> + Send;

    /// The concurrency reserved for the function, whatever the qualifier.
    fn reserved(
        &self,
        of: &Identity,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<Option<u32>>> + Send;

    /// The account's limits in a region.
    fn account(
        &self,
        region: Region,
        role: Option<&Arc<Role>>,
    ) -> impl Future<Output = Lookup<AccountLimits>> + Send;
}

/// CloudWatch, as the engine needs it.
pub trait Metrics: Send + Sync + 'static {
    /// Sends a batch, within the API's limits. Returns at `until` at the latest. PutMetricData is not idempotent:
    /// a request is sent again only when the one before was certainly not processed.
    ///
    /// # Errors
    /// The metrics without an acknowledgement, for the fallback to write.
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
    /// Why, for people.
    pub reason: String,
}

/// The fate of a request that a service did not acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Not processed: the service refused the request, or never received it.
    NotProcessed,
    /// Perhaps processed: the request was sent, and no usable answer arrived.
    Unknown,
}

/// Why a request has no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacknowledged {
    /// Why, for people.
    pub reason: String,
    /// The fate of the request.
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

/// EventBridge, as the engine needs it.
pub trait Events: Send + Sync + 'static {
    /// Puts events on their buses, within the API's limits. Returns at `until` at the latest. Refused events are sent
    /// again a few times; events that the bus may have taken are not.
    ///
    /// # Errors
    /// The events without an acknowledgement.
    fn put(&self, events: &[Event], until: Instant) -> impl Future<Output = Result<(), LostEvents>> + Send;
}

/// Events that EventBridge did not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("EventBridge did not {} {} of the events: {}", self.verb(), lost.len(), lost.first().map_or("", |(_, why)| why.reason.as_str()))]
pub struct LostEvents {
    /// Each event without an acknowledgement, and why. With [`Delivery::Unknown`] the bus may have taken it.
    pub lost: Vec<(Event, Unacknowledged)>,
}

impl LostEvents {
    fn verb(&self) -> &'static str {
        let refused = self.lost.iter().all(|(_, why)| why.delivery == Delivery::NotProcessed);
        if refused { "take" } else { "acknowledge" }
    }
}

/// The version of a stored object. Its text has a meaning for the store only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// The result of reading an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The object is still at the known version.
    Unchanged,
    /// The object is new or has changed.
    Object {
        /// The content.
        bytes: Vec<u8>,
        /// The version.
        version: Version,
    },
    /// No object has this key.
    Missing,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'v> {
    /// Unconditional.
    Always,
    /// No object has this key yet.
    New,
    /// The object is still at this version.
    Replaces(&'v Version),
}

/// The object store cannot be read or written. The text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ObjectStoreError(pub String);

/// The reason why an object was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The condition was not met.
    #[error("the object has changed in the meantime")]
    Conflict,
    /// The store cannot be written.
    #[error(transparent)]
    Failed(#[from] ObjectStoreError),
}

/// The future result of an object store.
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

    /// Lists the keys and versions of all objects, in the order of keys.
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

/// The wall clock. Read once a tick; everything downstream is handed that `now`.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;
}
