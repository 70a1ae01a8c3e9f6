//! The guards after a deployment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Known, RoundGuards};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::preflight::Progress;
use crate::engine::ports::Clock;
use crate::service::store::Unavailable;

impl RoundGuards {
    /// Waits `until` then at most for the deployments of targets to be complete. What is read then is known to the
    /// guards. Returns the progress of each function and qualifier, and the time before the earliest last read.
    pub async fn await_deployed<'t>(
        &self,
        targets: impl IntoIterator<Item = &'t Target>,
        fleet: &Fleet,
        known: &mut Known,
        until: Instant,
        clock: &dyn Clock,
    ) -> (BTreeMap<Identity, Progress>, DateTime<Utc>) {
        let now = clock.now();
        let functions: BTreeMap<Identity, &Target> =
            targets.into_iter().map(|target| (target.id.without_tenant(), target)).collect();
        let reads = functions.into_iter().map(|(id, target)| async move {
            let (progress, at) = self.facts.await_deployed(target, until, clock).await;
            (id, progress, at)
        });
        let read = join_all(reads).await;
        known.facts = self.facts.snapshot(fleet, clock.now());
        let at = read.iter().map(|(_, _, at)| *at).min().unwrap_or(now);
        (read.into_iter().map(|(id, progress, _)| (id, progress)).collect(), at)
    }

    /// Marks a target whose deployment is not complete to be read first by the next refresh of any process.
    pub fn doubt_deployed(&self, target: &Target) {
        self.facts.doubt_deployed(target);
    }

    /// Writes the facts that were read after a deployment of these targets.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn save_deployed(
        &self,
        targets: &[Identity],
        fleet: &Fleet,
        now: DateTime<Utc>,
        until: Instant,
    ) -> Result<(), Unavailable> {
        // A deployment is in one region.
        match targets.first() {
            Some(id) => self.facts.save_deployed(id.region, fleet, now, until).await,
            None => Ok(()),
        }
    }
}
