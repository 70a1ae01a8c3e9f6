//! Claims the targets of a tick, so that only one of two deliveries of the same minute serves them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::warn;

use super::TickPlanner;
use super::failures::StoreFailures;
use super::select::{Selection, Tick, partition};
use crate::domain::future::later;
use crate::domain::records::{Pauses, SERVED, Served};
use crate::service::store::{Document, before};

/// The interval at which the claim of a tick is renewed: twice before it expires.
const RENEW_EVERY: Duration = Duration::from_secs(30);

/// The claim of a plan. It is renewed until the lease is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) by: u32,
    pub(super) renewing: AbortHandle,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl TickPlanner {
    /// Selects the due targets, and claims them in the document of served targets.
    pub(super) async fn claim(
        &self,
        tick: &Tick<'_>,
        pauses: &Pauses,
        document: Option<Document>,
        served: Served,
        deadline: Instant,
        failures: &mut StoreFailures,
    ) -> (Selection, Option<Lease>) {
        let Tick { fleet, minute, previous, now, levels, .. } = *tick;
        let by = rand::random();
        let noted = self.deployments().clone();
        let mut own: Option<Selection> = None;
        let claiming = |served: &mut Served| {
            // A write is repeated when its answer was lost. Its own claim is then in the document.
            if let Some(own) = own.take_if(|_| served.is_claimed_by(by)) {
                return own;
            }
            served.deployments.note_pending(&noted, now);
            let due = served.plan(fleet, minute, previous, now);
            let selection = partition(tick, &due, pauses, served);
            served.levels.take_over(fleet, levels, minute);
            served.claim(by, minute, previous, now, selection.due.iter().map(|due| due.target.as_ref()));
            own = Some(selection.clone());
            selection
        };
        match before(deadline, self.documents.update_seen(SERVED, document, claiming)).await {
            Ok(selection) => {
                self.forget(&noted);
                let claim = (!selection.due.is_empty()).then(|| self.lease(by, now));
                (selection, claim)
            }
            Err(unavailable) => {
                failures.add(unavailable, "another process may serve the same targets");
                let mut served = served;
                served.deployments.note_pending(&noted, now);
                let due = served.plan(fleet, minute, previous, now);
                (partition(tick, &due, pauses, &served), None)
            }
        }
    }

    /// Renews the claim `by` of a plan made at `now` until the lease is dropped.
    fn lease(&self, by: u32, now: DateTime<Utc>) -> Lease {
        let (documents, started) = (self.documents.clone(), Instant::now());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let now = later(now, TimeDelta::from_std(started.elapsed()).unwrap_or(TimeDelta::MAX));
                let renew = |served: &mut Served| served.renew(by, now);
                let renewed = documents.update(SERVED, renew);
                if let Err(unavailable) = before(Instant::now() + RENEW_EVERY, renewed).await {
                    warn!("{unavailable}; another process may serve the same targets");
                }
            }
        });
        Lease { by, renewing: renewing.abort_handle() }
    }
}
