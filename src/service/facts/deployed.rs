//! Facts about functions that have just been deployed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use super::{FactsKeeper, READ_WITHIN, ReadsBefore, SingleReads, read_function};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{Qualifier, Region};
use crate::domain::preflight::{Lookup, Progress, Read};
use crate::domain::records::{FunctionFacts, FunctionReads, is_due};
use crate::engine::ports::Clock;
use crate::service::store::{Durability, Unavailable};

/// The seconds at which a deployment is read. Many functions may be deployed together.
const SECONDS: [u64; 6] = [0, 1, 2, 4, 8, 14];

impl FactsKeeper {
    /// Reads the configuration of a target at 0, 1, 2, 4, 8 and 14 s until its deployment is complete or has failed, and
    /// then the routing of an alias. What was read is known from then on. Returns the progress, and the time before the
    /// last read. The deployment stays [`Progress::Underway`] if it is not complete `until` then, if the service
    /// throttles a read, or if it cannot be read.
    pub async fn await_deployed(
        &self,
        target: &Target,
        until: Instant,
        clock: &dyn Clock,
    ) -> (Progress, DateTime<Utc>) {
        let (began, mut last) = (Instant::now(), clock.now());
        for next in SECONDS
            .map(|seconds| began + Duration::from_secs(seconds))
            .into_iter()
            .filter(|next| *next < until)
        {
            sleep_until(next).await;
            last = clock.now();
            match self.read_deployed(target, until, last).await {
                Some(Progress::Underway) => {}
                progress => return (progress.unwrap_or(Progress::Underway), last),
            }
        }
        (Progress::Underway, last)
    }

    /// Reads the deployment of a target. `None` if another read is of no use.
    async fn read_deployed(&self, target: &Target, until: Instant, now: DateTime<Utc>) -> Option<Progress> {
        let (reads, known) = self.lane_for(target)?;
        let deadline = until.min(Instant::now() + READ_WITHIN);
        let reads = ReadsBefore { keeper: self, reads: &reads, deadline };
        let (id, role) = (&target.id, target.role.as_ref());
        let Some(configuration) = reads.one(reads.reader().configuration(id, role)).await else {
            return self.underway();
        };
        let mut progress = match &configuration {
            Lookup::Known(deployed) => Some(deployed.progress()),
            Lookup::Failed(_) | Lookup::Unreachable(_) => Some(Progress::Underway),
            Lookup::NotRead | Lookup::Missing | Lookup::Denied(_) | Lookup::Throttled(_) => None,
        };
        let known = known.filter(|facts| facts.is_usable(now));
        let mut read = FunctionReads { is_partial: true, ..FunctionReads::default() };
        if progress == Some(Progress::Ready) {
            let is_due = |read| is_due(target, known.as_ref(), read, now);
            let is_old = known.as_ref().is_none_or(|facts| facts.is_old(now));
            let wants = |read| is_old && matches!(read, Read::Reserved | Read::Provisioned) && is_due(read);
            read = read_function(&reads, (id, role), wants, &mut None).await;
            read.is_partial |= !is_old;
            let is_denied = known.as_ref().is_some_and(|facts| facts.is_denied(Read::Alias, now));
            // Even if it was read in this minute: before the deployment.
            if id.qualifier.as_ref().is_some_and(Qualifier::is_alias) && !is_denied {
                read.alias = reads.one(reads.reader().alias(id, role)).await;
                // A round by the earlier routing could miss a version.
                let is_unread =
                    |alias: &Lookup<_>| matches!(alias, Lookup::Failed(_) | Lookup::Unreachable(_));
                if read.alias.as_ref().is_none_or(is_unread) {
                    (progress, read.is_partial) = (self.underway(), true);
                }
            }
        }
        read.configuration = Some(configuration);
        self.add_function(target, FunctionFacts::after(known.as_ref(), read, now));
        progress
    }

    /// Marks a target whose deployment is not complete to be read first by the next refresh of any process.
    pub fn doubt_deployed(&self, target: &Target) {
        self.memory().doubt(target);
    }

    /// Returns the progress after a read without an answer. A throttle ends the reads.
    fn underway(&self) -> Option<Progress> {
        (!self.memory().is_quiet()).then_some(Progress::Underway)
    }

    /// Writes what was read about a region, for the other processes.
    ///
    /// # Errors
    /// [`Unavailable`]. It is written with the next refresh.
    pub async fn save_deployed(
        &self,
        region: Region,
        fleet: &Fleet,
        now: DateTime<Utc>,
        until: Instant,
    ) -> Result<(), Unavailable> {
        match self.documents.durability() {
            Durability::Durable => self.save_region(region, fleet, now, until).await,
            Durability::Volatile => Ok(()),
        }
    }
}
