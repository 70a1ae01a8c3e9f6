//! Reads of deployed functions at a limited rate.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::domain::fleet::Role;
use crate::domain::function::{Identity, Region};
use crate::domain::preflight::{AccountLimits, Deployed, Lookup, Read};
use crate::domain::records::FunctionReads;
use crate::domain::routing::Routing;
use crate::engine::ports::Control;

/// The pause between two reads of one account in one region. Lambda accepts 15 per second for the whole account, and
/// deployments need some of them. Source: Lambda quotas.
pub(in crate::service) const PACE: Duration = Duration::from_millis(100);

/// The reads of [`Control`] except dry runs, for trait objects.
pub trait ReadFacts: Send + Sync {
    /// See [`Control::configuration`].
    fn configuration<'a>(
        &'a self,
        of: &'a Identity,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Deployed>>;

    /// See [`Control::alias`].
    fn alias<'a>(&'a self, of: &'a Identity, role: Option<&'a Arc<Role>>) -> BoxFuture<'a, Lookup<Routing>>;

    /// See [`Control::provisioned`].
    fn provisioned<'a>(
        &'a self,
        of: &'a Identity,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Option<u32>>>;

    /// See [`Control::reserved`].
    fn reserved<'a>(
        &'a self,
        of: &'a Identity,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Option<u32>>>;

    /// See [`Control::account`].
    fn account<'a>(
        &'a self,
        region: Region,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<AccountLimits>>;
}

impl<C: Control> ReadFacts for C {
    fn configuration<'a>(
        &'a self,
        of: &'a Identity,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Deployed>> {
        Box::pin(Control::configuration(self, of, role))
    }

    fn alias<'a>(&'a self, of: &'a Identity, role: Option<&'a Arc<Role>>) -> BoxFuture<'a, Lookup<Routing>> {
        Box::pin(Control::alias(self, of, role))
    }

    fn provisioned<'a>(
        &'a self,
        of: &'a Identity,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Option<u32>>> {
        Box::pin(Control::provisioned(self, of, role))
    }

    fn reserved<'a>(
        &'a self,
        of: &'a Identity,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Option<u32>>> {
        Box::pin(Control::reserved(self, of, role))
    }

    fn account<'a>(
        &'a self,
        region: Region,
        role: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<AccountLimits>> {
        Box::pin(Control::account(self, region, role))
    }
}

/// Turns with a pause between any two. A slow answer does not lead to a burst.
pub(in crate::service) struct Pace {
    pause: Duration,
    /// The instant before which there is no turn; `None` before the first.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Creates turns with a pause.
    pub(in crate::service) fn new(pause: Duration) -> Self {
        Self { pause, next: Mutex::default() }
    }

    /// Waits until the next turn.
    pub(in crate::service) async fn turn(&self) {
        let mut next = self.next.lock().await;
        if let Some(at) = *next {
            sleep_until(at).await;
        }
        *next = Some(Instant::now() + self.pause);
    }
}

/// Reads with a pause between any two.
pub(in crate::service) struct PacedReads {
    reader: Arc<dyn ReadFacts>,
    pace: Pace,
}

impl PacedReads {
    /// Creates reads with a pause.
    pub(in crate::service) fn new(reader: Arc<dyn ReadFacts>, pause: Duration) -> Self {
        Self { reader, pace: Pace::new(pause) }
    }

    /// Waits until the next read may be sent.
    pub(super) async fn turn(&self) {
        self.pace.turn().await;
    }
}

/// A way to send single reads.
pub(in crate::service) trait SingleReads: Sync {
    /// Returns the source of the reads.
    fn reader(&self) -> &dyn ReadFacts;

    /// Sends a read in its turn: `read` is not polled before. Returns `None` if no more reads are to be sent.
    fn one<T: Send>(&self, read: BoxFuture<'_, Lookup<T>>) -> impl Future<Output = Option<Lookup<T>>> + Send;
}

impl SingleReads for PacedReads {
    fn reader(&self) -> &dyn ReadFacts {
        &*self.reader
    }

    async fn one<T: Send>(&self, read: BoxFuture<'_, Lookup<T>>) -> Option<Lookup<T>> {
        self.turn().await;
        Some(read.await)
    }
}

/// Reads what `wants` returns true for of a function and qualifier. `reserved` is the reserved concurrency of the
/// function if it was read with another qualifier.
pub(in crate::service) async fn read_function(
    reads: &impl SingleReads,
    (id, role): (&Identity, Option<&Arc<Role>>),
    wants: impl Fn(Read) -> bool + Send,
    reserved: &mut Option<Lookup<Option<u32>>>,
) -> FunctionReads {
    let mut read = FunctionReads::default();
    if wants(Read::Configuration) {
        read.configuration = reads.one(reads.reader().configuration(id, role)).await;
        read.is_partial |= read.configuration.is_none();
    }
    if wants(Read::Reserved) {
        if reserved.is_none() {
            *reserved = reads.one(reads.reader().reserved(id, role)).await;
        }
        read.reserved.clone_from(reserved);
        read.is_partial |= read.reserved.is_none();
    }
    if wants(Read::Provisioned) && read.configuration != Some(Lookup::Missing) {
        read.provisioned = reads.one(reads.reader().provisioned(id, role)).await;
        read.is_partial |= read.provisioned.is_none();
    }
    if wants(Read::Alias) && read.configuration != Some(Lookup::Missing) {
        read.alias = reads.one(reads.reader().alias(id, role)).await;
        read.is_partial |= read.alias.is_none();
    }
    read
}
