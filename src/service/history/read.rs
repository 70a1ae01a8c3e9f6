//! Reads the history: the documents of days, of each region and of each shard, and the rows that wait in the status
//! documents, added up.

use std::collections::BTreeMap;
use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures_util::stream::{self, StreamExt};

use crate::domain::function::{Identity, Region};
use crate::domain::history::{DayFile, History, Refused, Row, Rows, add_rows};
use crate::domain::records::{STATUS, Status};
use crate::engine::ports::Fetched;
use crate::service::store::{DocumentStore, Unavailable};

/// The extension of the documents of days.
const EXTENSION: &str = ".gz";
/// The documents that are read at once.
pub(super) const CONCURRENT_READS: usize = 8;
/// The hours that are unpacked at once, and are in memory.
const CONCURRENT_HOURS: usize = 4;
/// The documents that may fail to be read. With more of them the store is unavailable.
const MOST_FAILED: usize = 8;
/// The bytes of the documents of one day, which are in memory together. A day of 10,000 targets has far fewer.
const MOST_DAY_BYTES: usize = 256 << 20;

/// Reads the hours of the history that begin within `from..until`. Rows that a tick has noted and not yet moved into the
/// document of their day are included.
///
/// # Errors
/// [`Unavailable`].
pub async fn read(
    documents: &DocumentStore,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<History, Unavailable> {
    let mut hours = BTreeMap::new();
    let add = |hour, rows| {
        hours.insert(hour, rows);
    };
    let unread = for_each_hour(documents, from, until, add).await?;
    Ok(History { hours, unread })
}

/// Calls `visit` with each hour that [`read`] returns, in hours since the Unix epoch and in ascending order, so that few
/// hours are in memory at a time. Returns the documents that cannot be read, see [`History::unread`].
///
/// # Errors
/// [`Unavailable`], also after hours were visited.
pub async fn for_each_hour(
    documents: &DocumentStore,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    mut visit: impl FnMut(i64, Rows),
) -> Result<Vec<String>, Unavailable> {
    let mut unread = Unread::default();
    // Rows move from the status documents to those of days, so these are listed and read after them.
    let mut unmoved = unmoved(documents, from, until, &mut unread).await?;
    let reading = keys(documents, from, until).await?.into_iter().map(|key| async move {
        let fetched = documents.get_object(&key.text, None).await;
        (key, fetched)
    });
    let mut reading = std::pin::pin!(stream::iter(reading).buffered(CONCURRENT_READS).peekable());
    let mut day = Day::default();
    while let Some((key, fetched)) = reading.next().await {
        let ends = reading.as_mut().peek().await.is_none_or(|(next, _)| next.day != key.day);
        let first = hour_of(key.day.and_time(NaiveTime::MIN).and_utc());
        day.add(key, fetched, &mut unread)?;
        if !ends {
            continue;
        }
        unmoved.visit_before(first, &mut visit);
        let of_day = Arc::new(take(&mut day));
        let has_rows =
            |number: &u8| of_day.has_hour(*number) || unmoved.0.contains_key(&(first + i64::from(*number)));
        let numbers: Vec<u8> = hours_of_day(first, from, until).filter(has_rows).collect();
        let unpacking = numbers.into_iter().map(|number| {
            let of_day = Arc::clone(&of_day);
            in_background(move || (number, of_day.rows(number)))
        });
        let mut unpacking = stream::iter(unpacking).buffered(CONCURRENT_HOURS);
        while let Some((number, (mut rows, bad))) = unpacking.next().await {
            unread.notes.extend(bad);
            let hour = first + i64::from(number);
            for (write, of_write) in unmoved.take(hour) {
                let is_left = |region| !of_day.has(number, region, write);
                add_rows(&mut rows, of_write.into_iter().filter(|(id, _)| is_left(id.region)));
            }
            if !rows.is_empty() {
                visit(hour, rows);
            }
        }
    }
    unmoved.visit_before(i64::MAX, &mut visit);
    Ok(unread.notes)
}

/// Returns the hours of a day, from 0 to 23, that begin within `from..until`. `first` is its first hour since the Unix
/// epoch.
pub(super) fn hours_of_day(first: i64, from: DateTime<Utc>, until: DateTime<Utc>) -> Range<u8> {
    let of_day = |at| u8::try_from((hour_from(at) - first).clamp(0, 24)).unwrap_or_default();
    of_day(from)..of_day(until)
}

/// Runs work that takes long on a thread for it.
pub(super) async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and drops this future.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Returns the hour of an instant, in hours since the Unix epoch.
pub(super) fn hour_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3_600)
}

/// Returns the first hour that begins at an instant or later.
fn hour_from(at: DateTime<Utc>) -> i64 {
    let hour = hour_of(at);
    hour + i64::from(at.timestamp() != hour * 3_600 || at.timestamp_subsec_nanos() > 0)
}

/// Rows of status documents by the hour, each with the number of the write that moves them.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<i64, Vec<(u64, Rows)>>);

impl Waiting {
    /// Returns the writes by hour.
    pub(super) fn writes(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0.iter().flat_map(|(hour, writes)| writes.iter().map(|(write, _)| (*hour, *write)))
    }

    /// Returns all rows, each with its hour and its write.
    pub(super) fn rows(&self) -> impl Iterator<Item = (i64, u64, &Identity, &Row)> {
        let writes = self.0.iter().flat_map(|(hour, writes)| writes.iter().map(|write| (*hour, write)));
        writes.flat_map(|(hour, (write, rows))| rows.iter().map(move |(id, row)| (hour, *write, id, row)))
    }

    /// Takes the rows of an hour.
    fn take(&mut self, hour: i64) -> Vec<(u64, Rows)> {
        self.0.remove(&hour).unwrap_or_default()
    }

    /// Visits the hours before `hour`, of whose days there is no document.
    fn visit_before(&mut self, hour: i64, visit: &mut impl FnMut(i64, Rows)) {
        let later = self.0.split_off(&hour);
        for (hour, writes) in std::mem::replace(&mut self.0, later) {
            let mut rows = Rows::new();
            writes.into_iter().for_each(|(_, of_write)| add_rows(&mut rows, of_write));
            visit(hour, rows);
        }
    }
}

/// Reads the rows that are not in the documents of their days yet.
pub(super) async fn unmoved(
    documents: &DocumentStore,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    unread: &mut Unread,
) -> Result<Waiting, Unavailable> {
    let names = std::iter::once(STATUS.to_owned()).chain(Status::shard_documents());
    let reading = names.map(|name| async move {
        let status = documents.read::<Status>(&name).await;
        (name, status)
    });
    let mut reading = stream::iter(reading).buffered(CONCURRENT_READS);
    let mut waiting = Waiting::default();
    while let Some((name, status)) = reading.next().await {
        let mut history = match status {
            Ok(status) => status.history,
            Err(unavailable) => {
                unread.fail(&name, unavailable)?;
                continue;
            }
        };
        let mut refused = Refused::default();
        for rows in history.unmoved() {
            let hours = rows.rows().filter(|(hour, _)| (hour_from(from)..hour_from(until)).contains(hour));
            for (hour, of_write) in hours {
                let mut of_write = of_write.clone();
                of_write.retain(|id, row| refused.accepts(id, row));
                waiting.0.entry(hour).or_default().push((rows.write, of_write));
            }
        }
        refused.some().iter().for_each(|refused| unread.note(&name, refused));
        if let Some(reason) = history.take_unread() {
            unread.note(&name, &reason);
        }
    }
    Ok(waiting)
}

/// The documents that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) notes: Vec<String>,
    /// Those that the store did not return.
    failed: usize,
}

impl Unread {
    pub(super) fn note(&mut self, key: &str, reason: &impl std::fmt::Display) {
        self.notes.push(format!("\"{key}\": {reason}"));
    }

    /// Notes a document that the store did not return.
    pub(super) fn fail(&mut self, key: &str, unavailable: Unavailable) -> Result<(), Unavailable> {
        self.failed += 1;
        if self.failed > MOST_FAILED {
            return Err(unavailable);
        }
        self.note(key, &unavailable.0);
        Ok(())
    }
}

/// The document of a day. They are in the order of days.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) day: NaiveDate,
    pub(super) text: String,
    pub(super) region: Region,
}

/// Returns the region and the day of a document's key; `None` for other keys.
pub(super) fn day_of(key: &str) -> Option<(Region, NaiveDate)> {
    DayFile::parse_document(key.strip_suffix(EXTENSION)?)
}

/// Returns the keys of the documents with hours that begin within `from..until`, in order.
pub(super) async fn keys(
    documents: &DocumentStore,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Key>, Unavailable> {
    let key = |text: String| {
        let (region, day) = day_of(&text)?;
        let overlaps = from < until && (from.date_naive()..=until.date_naive()).contains(&day);
        overlaps.then_some(Key { day, text, region })
    };
    let mut keys: Vec<Key> = documents.keys().await?.into_iter().filter_map(key).collect();
    keys.sort_unstable();
    Ok(keys)
}

/// The documents of one day.
#[derive(Debug, Default)]
struct Day {
    files: Vec<(Key, DayFile)>,
    bytes: usize,
}

impl Day {
    /// Adds a document as it was read.
    fn add(
        &mut self,
        key: Key,
        fetched: Result<Fetched, Unavailable>,
        unread: &mut Unread,
    ) -> Result<(), Unavailable> {
        let bytes = match fetched {
            Ok(Fetched::Object { bytes, .. }) => bytes,
            // Deleted since it was listed.
            Ok(Fetched::Missing | Fetched::Unchanged) => return Ok(()),
            Err(unavailable) => return unread.fail(&key.text, unavailable),
        };
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MOST_DAY_BYTES {
            let reason = format!("the documents of its day have more than {MOST_DAY_BYTES} bytes");
            unread.note(&key.text, &reason);
            return Ok(());
        }
        match DayFile::parse(&bytes) {
            Ok(file) => self.files.push((key, file)),
            Err(bad) => unread.note(&key.text, &bad),
        }
        Ok(())
    }

    fn has_hour(&self, hour: u8) -> bool {
        self.files.iter().any(|(_, file)| file.hours().any(|known| known == hour))
    }

    /// Returns the rows of an hour, added up, and notes on the documents that cannot be read.
    fn rows(&self, hour: u8) -> (Rows, Vec<String>) {
        let (mut sum, mut unread) = (Rows::new(), Unread::default());
        for (key, file) in &self.files {
            match file.checked_rows(hour, key.region) {
                Ok((rows, refused)) => {
                    refused.iter().for_each(|bad| unread.note(&key.text, bad));
                    add_rows(&mut sum, rows);
                }
                Err(bad) => unread.note(&key.text, &bad),
            }
        }
        (sum, unread.notes)
    }

    /// Returns true if the rows of a write are in an hour of a region.
    fn has(&self, hour: u8, region: Region, write: u64) -> bool {
        let mut own = self.files.iter().filter(|(key, _)| key.region == region);
        own.any(|(_, file)| file.has(hour, write) == Ok(true))
    }
}
