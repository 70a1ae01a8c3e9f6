//! Reads the history: the documents of days, of each region and of each shard, and the rows that wait in the status
//! documents, added up.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures_util::stream::{self, StreamExt};

use crate::domain::function::{Identity, Region};
use crate::domain::history::{DayFile, History, Refused, Row, Rows};
use crate::domain::records::{STATUS, Status};
use crate::engine::ports::Fetched;
use crate::service::store::{DocumentStore, Unavailable};

/// The extension of the documents of days.
const EXTENSION: &str = ".gz";
/// The documents that are read at once.
const CONCURRENT_READS: usize = 8;
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

/// Calls `visit` with each hour that [`read`] returns, in hours since the Unix epoch and in ascending order, so that one
/// hour is in memory at a time. Returns the documents that cannot be read, see [`History::unread`].
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
        for number in 0..24_u8 {
            let hour = first + i64::from(number);
            if hour < hour_from(from) || hour >= hour_from(until) {
                continue;
            }
            let mut rows = day.rows(number, &mut unread);
            for (write, of_write) in unmoved.take(hour) {
                let is_left = |region| !day.has(number, region, write);
                add(&mut rows, of_write.into_iter().filter(|(id, _)| is_left(id.region)));
            }
            if !rows.is_empty() {
                visit(hour, rows);
            }
        }
        day = Day::default();
    }
    unmoved.visit_before(i64::MAX, &mut visit);
    Ok(unread.notes)
}

/// Returns the hour of an instant, in hours since the Unix epoch.
fn hour_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3_600)
}

/// Returns the first hour that begins at an instant or later.
fn hour_from(at: DateTime<Utc>) -> i64 {
    let hour = hour_of(at);
    hour + i64::from(at.timestamp() != hour * 3_600 || at.timestamp_subsec_nanos() > 0)
}

/// Rows of status documents by the hour, each with the number of the write that moves them.
#[derive(Debug, Default)]
struct Waiting(BTreeMap<i64, Vec<(u64, Rows)>>);

impl Waiting {
    /// Takes the rows of an hour.
    fn take(&mut self, hour: i64) -> Vec<(u64, Rows)> {
        self.0.remove(&hour).unwrap_or_default()
    }

    /// Visits the hours before `hour`, of whose days there is no document.
    fn visit_before(&mut self, hour: i64, visit: &mut impl FnMut(i64, Rows)) {
        let later = self.0.split_off(&hour);
        for (hour, writes) in std::mem::replace(&mut self.0, later) {
            let mut rows = Rows::new();
            writes.into_iter().for_each(|(_, of_write)| add(&mut rows, of_write));
            visit(hour, rows);
        }
    }
}

/// Reads the rows that are not in the documents of their days yet.
async fn unmoved(
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
struct Unread {
    notes: Vec<String>,
    /// Those that the store did not return.
    failed: usize,
}

impl Unread {
    fn note(&mut self, key: &str, reason: &impl std::fmt::Display) {
        self.notes.push(format!("\"{key}\": {reason}"));
    }

    /// Notes a document that the store did not return.
    fn fail(&mut self, key: &str, unavailable: Unavailable) -> Result<(), Unavailable> {
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
struct Key {
    day: NaiveDate,
    text: String,
    region: Region,
}

/// Returns the region and the day of a document's key; `None` for other keys.
pub(super) fn day_of(key: &str) -> Option<(Region, NaiveDate)> {
    DayFile::parse_document(key.strip_suffix(EXTENSION)?)
}

/// Returns the keys of the documents with hours that begin within `from..until`, in order.
async fn keys(
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

    /// Returns the rows of an hour, added up.
    fn rows(&self, hour: u8, unread: &mut Unread) -> Rows {
        let mut sum = Rows::new();
        for (key, file) in &self.files {
            match file.checked_rows(hour, key.region) {
                Ok((rows, refused)) => {
                    refused.iter().for_each(|bad| unread.note(&key.text, bad));
                    add(&mut sum, rows);
                }
                Err(bad) => unread.note(&key.text, &bad),
            }
        }
        sum
    }

    /// Returns true if the rows of a write are in an hour of a region.
    fn has(&self, hour: u8, region: Region, write: u64) -> bool {
        let mut own = self.files.iter().filter(|(key, _)| key.region == region);
        own.any(|(_, file)| file.has(hour, write) == Ok(true))
    }
}

/// Adds the rows of an hour to those of the same hour.
fn add(sum: &mut Rows, rows: impl IntoIterator<Item = (Identity, Row)>) {
    for (id, row) in rows {
        sum.entry(id).or_default().add(&row);
    }
}
