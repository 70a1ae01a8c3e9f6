//! Removes the documents of days that are no longer kept.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::read::day_of;
use crate::domain::history::first_kept;
use crate::domain::records::{STATUS, Status};
use crate::service::store::{DocumentStore, Durability, Unavailable, before};

/// The most documents that are removed at once.
const MOST_REMOVED: usize = 1_000;
/// The documents that are removed concurrently.
const CONCURRENT: usize = 8;

/// Removes the documents of the history before the days that [`first_kept`] keeps, at most a thousand, the oldest first.
/// Returns their number.
///
/// # Errors
/// [`Unavailable`], also after documents were removed.
pub async fn expire(
    documents: &DocumentStore,
    keep_days: u32,
    now: DateTime<Utc>,
) -> Result<usize, Unavailable> {
    let listed = documents.versions().await?;
    let mut dated: Vec<_> =
        listed.into_iter().filter_map(|(key, version)| Some((day_of(&key)?.1, key, version))).collect();
    let days: BTreeSet<NaiveDate> = dated.iter().map(|(day, ..)| *day).collect();
    let Some(first) = first_kept(&days, keep_days, now.date_naive()) else { return Ok(0) };
    dated.retain(|(day, ..)| *day < first);
    dated.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    dated.truncate(MOST_REMOVED);
    let removing = dated
        .into_iter()
        .map(|(_, key, version)| async move { documents.remove_object(&key, &version).await });
    let mut removing = stream::iter(removing).buffer_unordered(CONCURRENT);
    let mut removed = 0;
    while let Some(is_removed) = removing.next().await {
        removed += usize::from(is_removed?);
    }
    Ok(removed)
}

/// Calls [`expire`] once in a UTC day, which the status document notes for other processes.
#[derive(Debug, Default)]
pub struct Expiry(Mutex<Option<NaiveDate>>);

impl Expiry {
    /// Notes the day of the last removal that the status document had at `now`.
    pub fn note(&self, removed: Option<NaiveDate>, now: DateTime<Utc>) {
        if removed == Some(now.date_naive()) {
            *self.last() = removed;
        }
    }

    /// Removes what is no longer kept, until `until`, unless it was tried in the day of `now`. A failure, a missing
    /// permission for example, is a warning. Volatile stores have no history.
    pub async fn daily(&self, documents: &DocumentStore, keep_days: u32, now: DateTime<Utc>, until: Instant) {
        let today = Some(now.date_naive());
        let last = std::mem::replace(&mut *self.last(), today);
        if documents.durability() == Durability::Volatile || last == today {
            return;
        }
        match before(until, expire(documents, keep_days, now)).await {
            Ok(0) => {}
            Ok(removed) => {
                info!(removed, keep_days, "removed old documents of the history");
                if removed == MOST_REMOVED {
                    // There may be more.
                    *self.last() = last;
                    return;
                }
            }
            Err(error) => {
                warn!(%error, keep_days, "old documents of the history are not removed; the next attempt is tomorrow");
            }
        }
        let note = |status: &mut Status| status.history_removed = today;
        if let Err(error) = before(until, documents.update(STATUS, note)).await {
            // What makes the status document unavailable is reported by the tick.
            debug!(%error, "the removal of old history is not recorded; the next process repeats it");
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<NaiveDate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
