//! Writes the history: the status document with each tick, and the documents of days every five minutes.
//!
//! The status document carries what is not in the documents of days yet, so that nothing is lost when a process ends
//! between two writes. Observations and moves have random numbers, so that nothing is counted twice when a write is
//! repeated, by this process or by the next one. A process that finds rows of another one being moved finishes the move
//! first: the documents of days show what is left of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::{replace, take};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::domain::coverage::{Minutes, Watch};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::history::{BadHistory, DayFile, Noted, Observed, OpenHistory, Others, Unmoved};
use crate::domain::records::{STATUS, Status};
use crate::engine::ports::Fetched;
use crate::service::store::{
    DocumentStore, MOST_ATTEMPTS, MOST_READ_BYTES, Unavailable, before, conflict_pause,
};

/// The rows and looks that wait in the process while the store cannot be written: those of a tick of a large fleet.
const MOST_UNSAVED: usize = 50_000;
/// The moves that are remembered. One is dropped from the status document with the next tick.
const MOST_MOVED: usize = 64;
/// The documents that are read at once.
const CONCURRENT_READS: usize = 8;
/// The longest time for the move of another process. The status document is written after it, within three seconds.
const OTHERS_MOVE_WITHIN: Duration = Duration::from_secs(2);
/// The first number of the documents of days that replace others. Lower ones are those of shards.
const FIRST_REPLACEMENT: u32 = 0x10;

const NONE: BTreeMap<Identity, Watch> = BTreeMap::new();

/// Writes the history of a process.
#[derive(Debug, Default)]
pub struct HistoryWriter {
    /// The observations whose write has not succeeded, by status document.
    unsaved: Mutex<BTreeMap<String, Vec<Arc<Queued>>>>,
    /// The latest moves into the documents of days.
    moved: Mutex<Vec<u64>>,
    /// The latest move that this process has begun, by status document.
    begun: Mutex<BTreeMap<String, u64>>,
    /// The documents of days that this process has found damaged or full.
    replaced: Mutex<BTreeSet<String>>,
    /// The state of coverage of a process without a durable store.
    volatile: Mutex<OpenHistory>,
}

/// An observation that waits for its write.
#[derive(Debug)]
struct Queued {
    observed: Observed,
    /// The result of the latest attempt, and true once it was returned.
    noted: Mutex<(Noted, bool)>,
}

impl Queued {
    /// Adds the observation to a history. One that has it already is of a write whose answer was lost: the result of
    /// that attempt stays.
    fn note(&self, history: &mut OpenHistory, fleet: &Fleet, others: Others<'_>, now: DateTime<Utc>) {
        if !history.has(&self.observed) {
            lock(&self.noted).0 = history.note(&self.observed, fleet, others, now);
        }
    }

    /// Returns the result, once.
    fn take(&self) -> Noted {
        let (noted, is_returned) = &mut *lock(&self.noted);
        if replace(is_returned, true) { Noted::default() } else { take(noted) }
    }
}

/// The history of a tick after its status document was written.
#[derive(Debug, Default)]
pub struct Saved {
    /// The minutes that the tick has judged, by target. Each minute is judged once.
    pub minutes: BTreeMap<Identity, Minutes>,
    /// The rows that are now to be moved into the documents of their days.
    pub to_move: Option<ToMove>,
    /// See [`Status::history_removed`].
    pub removed: Option<NaiveDate>,
}

/// The condition of a status document for the writes of a tick.
enum Step {
    /// The states of coverage in the other status documents are needed first.
    NeedsOthers,
    /// Another process has begun to move these rows, and may have ended.
    Begun(ToMove),
    /// The document is changed.
    Changed { to_move: Option<ToMove>, removed: Option<NaiveDate> },
}

/// Rows that are to be moved into the documents of their days.
#[derive(Debug)]
pub struct ToMove {
    rows: Unmoved,
    /// The number of the status document of a shard.
    shard: Option<u32>,
    /// The documents of days that others replace.
    replaced: BTreeSet<String>,
}

impl HistoryWriter {
    /// Adds an observation to a status document with the earlier ones that could not be written, and applies `change` to
    /// the document.
    ///
    /// # Errors
    /// [`Unavailable`]. The observation is added with the next one.
    pub async fn save(
        &self,
        documents: &DocumentStore,
        document: &str,
        observed: Option<Observed>,
        fleet: &Fleet,
        now: DateTime<Utc>,
        mut change: impl FnMut(&mut Status) + Send,
    ) -> Result<Saved, Unavailable> {
        let queue = self.queue(document, observed);
        let shard = Status::shard_of(document);
        let mut others: Option<Result<BTreeMap<Identity, Watch>, Unavailable>> = None;
        loop {
            let save = |status: &mut Status| {
                let sealed = status.history.sealed();
                if let Some(rows) = sealed.filter(|rows| self.is_of_other(document, rows.write)) {
                    let (rows, replaced) = (rows.clone(), status.history.replaced().clone());
                    return Step::Begun(ToMove { rows, shard, replaced });
                }
                let is_spread = shard.is_some() || status.spread;
                let known = match &others {
                    Some(Ok(latest)) => Others::Latest(latest),
                    Some(Err(_)) => Others::Unknown,
                    None if is_spread => Others::Latest(&NONE),
                    None => Others::None,
                };
                let needs_others =
                    || queue.iter().any(|queued| status.history.needs_others(&queued.observed, fleet));
                if others.is_none() && is_spread && needs_others() {
                    return Step::NeedsOthers;
                }
                change(status);
                let is_tick =
                    |queued: &Arc<Queued>| queued.observed.is_scheduled && queued.observed.looks.is_some();
                if shard.is_none() && queue.iter().any(is_tick) {
                    status.history.set_objectives(fleet);
                }
                if let Some(reason) = status.history.take_unread() {
                    error!(document, %reason, "the history's state cannot be read: it is begun anew, and up to \
                        five minutes of rows are lost");
                }
                for queued in &queue {
                    queued.note(&mut status.history, fleet, known, now);
                }
                status.history.replace(lock(&self.replaced).iter().cloned());
                let rows = status.history.seal(&lock(&self.moved), now).cloned();
                let replaced = status.history.replaced().clone();
                let to_move = rows.map(|rows| ToMove { rows, shard, replaced });
                Step::Changed { to_move, removed: status.history_removed }
            };
            let (to_move, removed) = match documents.update(document, save).await? {
                Step::NeedsOthers => {
                    others = Some(watches(documents, document).await);
                    continue;
                }
                Step::Begun(to_move) => {
                    self.begin(document, &to_move);
                    let moving = self.move_rows(documents, &to_move, fleet);
                    if let Err(unavailable) = before(Instant::now() + OTHERS_MOVE_WITHIN, moving).await {
                        warn!(
                            "{unavailable}; rows that another process has begun to move are left for later"
                        );
                    }
                    continue;
                }
                Step::Changed { to_move, removed } => (to_move, removed),
            };
            if let Some(to_move) = &to_move {
                self.begin(document, to_move);
            }
            self.forget(document, &queue);
            let mut noted = Noted::default();
            queue.iter().for_each(|queued| noted.add(queued.take()));
            let Noted { minutes, dropped } = noted;
            if dropped > 0 {
                error!(
                    dropped,
                    "rows of the history were dropped: they are too many, or far from the present"
                );
            }
            if let Some(Err(unavailable)) = others {
                warn!(
                    "{unavailable}; the coverage of targets that other shards may have served is judged later"
                );
            }
            return Ok(Saved { minutes, to_move, removed });
        }
    }

    /// Adds an observation to the state of the process, for a store that ends with it. There are no documents of days.
    pub fn note(&self, observed: &Observed, fleet: &Fleet, now: DateTime<Utc>) -> Saved {
        let mut state = lock(&self.volatile);
        let Noted { minutes, .. } = state.note(observed, fleet, Others::None, now);
        state.drop_rows();
        Saved { minutes, ..Saved::default() }
    }

    /// Moves rows into the documents of their days. A document that is damaged or full is left as it is; the next tick
    /// of this process begins another one.
    ///
    /// # Errors
    /// [`Unavailable`]. The rows stay in the status document, and the next tick moves those that are left.
    pub async fn move_rows(
        &self,
        documents: &DocumentStore,
        to_move: &ToMove,
        fleet: &Fleet,
    ) -> Result<(), Unavailable> {
        let targets: HashMap<&Identity, &Target> =
            fleet.targets.iter().map(|target| (&target.id, target)).collect();
        let moving = to_move.rows.days().into_iter().filter_map(|((region, day), hours)| {
            let begins = DateTime::from_timestamp(day.saturating_mul(86_400), 0)?;
            let name = to_move.document(region, begins);
            let targets = &targets;
            Some(async move {
                let add = |bytes: &[u8]| {
                    let (mut file, mut is_changed, write) =
                        (DayFile::parse(bytes)?, false, to_move.rows.write);
                    for hour in &hours {
                        let number = u8::try_from(hour.rem_euclid(24)).unwrap_or_default();
                        if file.has(number, write)? {
                            continue;
                        }
                        let rows = to_move.rows.rows_of(region, *hour, targets);
                        is_changed |= !rows.is_empty() && file.add(number, region, write, &rows)?;
                    }
                    Ok(is_changed.then(|| file.bytes()))
                };
                let moved = update_day(documents, &format!("{name}.gz"), add).await;
                moved.map(|moved| (name, moved))
            })
        });
        let mut moving = stream::iter(moving).buffered(CONCURRENT_READS);
        let mut is_whole = true;
        while let Some((name, moved)) = moving.try_next().await? {
            let Err(reason) = moved else { continue };
            is_whole = false;
            if lock(&self.replaced).insert(name.clone()) {
                error!(document = name, %reason,
                    "the document of the history is left as it is, and another one is begun");
            }
        }
        if is_whole {
            let mut moved = lock(&self.moved);
            moved.push(to_move.rows.write);
            let surplus = moved.len().saturating_sub(MOST_MOVED);
            moved.drain(..surplus);
        }
        Ok(())
    }

    /// Returns true if the rows of a status document with this write were sealed by another process, and this one has not
    /// tried to move them.
    fn is_of_other(&self, document: &str, write: u64) -> bool {
        lock(&self.begun).get(document) != Some(&write) && !lock(&self.moved).contains(&write)
    }

    /// Notes that this process moves rows of a status document.
    fn begin(&self, document: &str, to_move: &ToMove) {
        lock(&self.begun).insert(document.to_owned(), to_move.rows.write);
    }

    /// Adds an observation to those that are to be written, and returns all of them.
    fn queue(&self, document: &str, observed: Option<Observed>) -> Vec<Arc<Queued>> {
        let mut unsaved = lock(&self.unsaved);
        let Some(observed) = observed else { return unsaved.get(document).cloned().unwrap_or_default() };
        let queue = unsaved.entry(document.to_owned()).or_default();
        queue.push(Arc::new(Queued { observed, noted: Mutex::default() }));
        let size =
            |Queued { observed, .. }: &Queued| observed.rows.len() + observed.looks.iter().flatten().count();
        while queue.len() > 1 && queue.iter().map(|queued| size(queued)).sum::<usize>() > MOST_UNSAVED {
            let lost = &queue.remove(0).observed;
            let (rows, tick) = (lost.rows.len(), lost.at);
            error!(rows, %tick, "rows of the history are lost: the state store could not be written for too long");
        }
        queue.clone()
    }

    /// Drops observations that are written.
    fn forget(&self, document: &str, written: &[Arc<Queued>]) {
        if let Some(queue) = lock(&self.unsaved).get_mut(document) {
            queue.retain(|queued| !written.iter().any(|written| Arc::ptr_eq(written, queued)));
        }
    }
}

impl ToMove {
    /// Returns the name of the document of a region and a day: the first that is not replaced.
    fn document(&self, region: Region, day: DateTime<Utc>) -> String {
        let own = self.shard.unwrap_or(FIRST_REPLACEMENT);
        let replacements = (1..).map(|number| Some(2 * FIRST_REPLACEMENT * number + own));
        let mut names = std::iter::once(self.shard)
            .chain(replacements)
            .map(|writer| DayFile::document(region, day, writer));
        names.find(|name| !self.replaced.contains(name)).unwrap_or_default()
    }
}

/// Returns the latest states of coverage in the other status documents.
async fn watches(documents: &DocumentStore, own: &str) -> Result<BTreeMap<Identity, Watch>, Unavailable> {
    let names = std::iter::once(STATUS.to_owned()).chain(Status::shard_documents());
    let reading =
        names.filter(|name| name != own).map(|name| async move { documents.read::<Status>(&name).await });
    let mut reading = stream::iter(reading).buffered(CONCURRENT_READS);
    let mut latest: BTreeMap<Identity, Watch> = BTreeMap::new();
    while let Some(status) = reading.try_next().await? {
        for (id, watch) in status.history.watches() {
            let known = latest.entry(id.clone()).or_insert(*watch);
            if known.until() < watch.until() {
                *known = *watch;
            }
        }
    }
    Ok(latest)
}

/// Applies `change` to the newest version of a document of a day, and writes what it returns. The inner error is the
/// reason why the document is left as it is.
async fn update_day(
    documents: &DocumentStore,
    key: &str,
    change: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, BadHistory>,
) -> Result<Result<(), String>, Unavailable> {
    for attempt in 0..MOST_ATTEMPTS {
        let (bytes, version) = match documents.get_object(key, None).await? {
            Fetched::Object { bytes, version } => (bytes, Some(version)),
            Fetched::Missing | Fetched::Unchanged => (Vec::new(), None),
        };
        let changed = match change(&bytes) {
            Ok(Some(changed)) => changed,
            Ok(None) => return Ok(Ok(())),
            Err(bad) => return Ok(Err(bad.to_string())),
        };
        if changed.len() > MOST_READ_BYTES {
            return Ok(Err(format!("it is full: it would have more than {MOST_READ_BYTES} bytes")));
        }
        if documents.put_object(key, changed, version.as_ref()).await?.is_some() {
            return Ok(Ok(()));
        }
        conflict_pause(attempt).await;
    }
    Err(Unavailable(format!(
        "`{key}` was changed by other writers during each of {MOST_ATTEMPTS} attempts to write it"
    )))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
