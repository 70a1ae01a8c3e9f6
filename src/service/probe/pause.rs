//! The pause of a function while it is probed.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::warn;

use crate::domain::function::FunctionRef;
use crate::domain::future::later;
use crate::domain::records::{PAUSES, Pause, Pauses};
use crate::engine::ports::Clock;
use crate::service::store::{DocumentStore, Unavailable, before};

/// The reason of the pause.
pub const PROBE: &str = "probe";
/// The length of the pause. It is renewed while the probe runs, and ends by itself after the process was killed.
const LENGTH: TimeDelta = TimeDelta::minutes(3);
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// The longest time for a write.
const WITHIN: Duration = Duration::from_secs(10);

/// The pause of a function while it is probed. The pauses of others are kept.
#[derive(Debug)]
#[must_use]
pub struct ProbePause {
    documents: DocumentStore,
    function: FunctionRef,
    renewing: AbortHandle,
}

impl ProbePause {
    /// Pauses the function, and renews the pause until [`ProbePause::end`].
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn begin(
        documents: DocumentStore,
        function: FunctionRef,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Unavailable> {
        renew(&documents, &function, clock.now()).await?;
        let renewing = tokio::spawn({
            let (documents, function) = (documents.clone(), function.clone());
            async move {
                loop {
                    tokio::time::sleep(RENEW_EVERY).await;
                    if let Err(unavailable) = renew(&documents, &function, clock.now()).await {
                        warn!("{unavailable}; the pause of the probe is not renewed");
                    }
                }
            }
        });
        Ok(Self { documents, function, renewing: renewing.abort_handle() })
    }

    /// Ends the pause.
    ///
    /// # Errors
    /// The store cannot be written. The pause then ends by itself within three minutes.
    pub async fn end(self) -> Result<(), Unavailable> {
        self.renewing.abort();
        let resume = |pauses: &mut Pauses| {
            if pauses.functions.get(&self.function).is_some_and(|pause| pause.reason == PROBE) {
                pauses.functions.remove(&self.function);
            }
        };
        before(Instant::now() + WITHIN, self.documents.update(PAUSES, resume)).await
    }
}

impl Drop for ProbePause {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn renew(
    documents: &DocumentStore,
    function: &FunctionRef,
    now: DateTime<Utc>,
) -> Result<(), Unavailable> {
    let until = later(now, LENGTH);
    let pause = |pauses: &mut Pauses| {
        pauses.prune(now);
        let own = pauses.functions.entry(function.clone());
        let own = own.or_insert_with(|| Pause { until, reason: PROBE.to_owned() });
        if own.reason == PROBE {
            own.until = until;
        }
    };
    before(Instant::now() + WITHIN, documents.update(PAUSES, pause)).await
}
