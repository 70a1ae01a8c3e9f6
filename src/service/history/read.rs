//! Reads the history: the documents of days, of each region and of each shard, added up.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};

use crate::domain::function::Region;
use crate::domain::history::{DayFile, History, Rows};
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
    let reading = keys(documents, from, until).await?.into_iter().map(|key| async move {
        let fetched = documents.get_object(&key.text, None).await;
        (key, fetched)
    });
    let mut reading = std::pin::pin!(stream::iter(reading).buffered(CONCURRENT_READS).peekable());
    let mut day = Day::default();
    while let Some((key, fetched)) = reading.next().await {
        let ends = reading.as_mut().peek().await.is_none_or(|(next, _)| next.day != key.day);
        let date = key.day;
        day.add(key, fetched, &mut unread)?;
        if !ends {
            continue;
        }
        for hour in 0..24_u8 {
            let begins = date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(hour.into());
            if begins < from || begins >= until {
                continue;
            }
            let rows = day.rows(hour, &mut unread);
            if !rows.is_empty() {
                visit(begins.timestamp().div_euclid(3_600), rows);
            }
        }
        day = Day::default();
    }
    Ok(unread.notes)
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

/// Returns the keys of the documents with hours that begin within `from..until`, in order.
async fn keys(
    documents: &DocumentStore,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Key>, Unavailable> {
    let key = |text: String| {
        let (region, day) = text.strip_suffix(EXTENSION).and_then(DayFile::parse_document)?;
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
            match file.rows(hour, key.region) {
                Ok(rows) => add(&mut sum, rows),
                Err(bad) => unread.note(&key.text, &bad),
            }
        }
        sum
    }
}

/// Adds the rows of an hour to those of the same hour.
fn add(sum: &mut Rows, rows: Rows) {
    for (id, row) in rows {
        sum.entry(id).or_default().add(&row);
    }
}
