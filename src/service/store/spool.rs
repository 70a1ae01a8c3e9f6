//! The spool of metrics that CloudWatch refused: a directory with one file for each batch.
//!
//! A batch that waits is the file `N.json`. The numbers rise, so that the order does not depend on the clock. While a
//! batch is sent its file is `N.sending`: after a crash it is known that CloudWatch may have counted it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use tracing::{error, warn};

use super::directory::{Directory, read_regular};
use super::{Lock, MOST_READ_BYTES};
use crate::domain::metric_data::Batch;
use crate::domain::spool::{self, Age};
use crate::engine::ports::Delivery;

/// The directory of the spool in the state directory.
const DIRECTORY: &str = "metrics-spool";
/// The most time for an operation on the disk. Writing takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
const WAITING: &str = "json";
const SENDING: &str = "sending";

/// Metrics that CloudWatch refused, in a directory that this process alone uses.
#[derive(Debug)]
pub struct Spool {
    files: Directory,
    /// The batches that were dropped since [`Spool::take_dropped`].
    dropped: AtomicU32,
    turn: Mutex<()>,
}

/// The reason why an operation of the spool failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the spool of metrics: {reason}")]
pub struct NotSpooled {
    /// The reason, for people.
    pub reason: String,
    /// Unknown when the disk did not answer in time: the operation may still succeed.
    pub delivery: Delivery,
}

/// The content of the spool at the start of a replay.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The numbers of the batches that wait, oldest first.
    pub numbers: Vec<u64>,
    /// The batches that were being sent when a process ended. They are not in the spool any more.
    pub interrupted: Vec<Batch>,
}

/// A file of the spool.
struct Entry {
    number: u64,
    is_sending: bool,
    bytes: u64,
}

impl Spool {
    /// Opens the spool in a state directory. The lock excludes other processes, and must be kept as long as the spool.
    pub fn new(state: &Path, _lock: &Lock) -> Self {
        let files = Directory::new(state.join(DIRECTORY));
        Self { files, dropped: AtomicU32::new(0), turn: Mutex::new(()) }
    }

    /// Returns the number of batches that were dropped since the last call.
    pub fn take_dropped(&self) -> u32 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Returns the right to replay, unless another tick has it.
    pub fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }

    /// Adds a batch as the newest. It is on the disk afterwards. Drops the oldest batches that exceed the bounds.
    ///
    /// # Errors
    /// [`NotSpooled`].
    pub async fn add(&self, batch: &Batch) -> Result<(), NotSpooled> {
        let bytes = spool::encode(batch);
        let dropped = self.run(move |files| add(files, &bytes)).await?;
        if dropped > 0 {
            warn!(batches = dropped, "the spool of metrics is full: its oldest batches were dropped");
            self.count(dropped);
        }
        Ok(())
    }

    /// Returns the batches that wait, and removes those that were being sent when a process ended.
    ///
    /// # Errors
    /// [`NotSpooled`].
    pub async fn waiting(&self, now: DateTime<Utc>) -> Result<Waiting, NotSpooled> {
        let (waiting, unreadable) = self.run(move |files| waiting(files, now)).await?;
        for reason in unreadable {
            self.report_dropped(&reason);
        }
        Ok(waiting)
    }

    /// Takes a batch out of the spool in order to send it; [`Spool::sent`] removes it. None when it cannot be sent: it
    /// is ahead of the clock, or it was dropped as too old or unreadable.
    ///
    /// # Errors
    /// [`NotSpooled`].
    pub async fn take(&self, number: u64, now: DateTime<Utc>) -> Result<Option<Batch>, NotSpooled> {
        match self.run(move |files| take(files, number, now)).await? {
            Taken::Batch(batch) => Ok(Some(batch)),
            Taken::Left => Ok(None),
            Taken::Dropped(reason) => {
                self.report_dropped(&reason);
                Ok(None)
            }
        }
    }

    /// Removes a batch that was taken.
    ///
    /// # Errors
    /// [`NotSpooled`]. The next replay removes it.
    pub async fn sent(&self, number: u64) -> Result<(), NotSpooled> {
        self.run(move |files| fs::remove_file(file(files, number, SENDING))).await
    }

    fn report_dropped(&self, reason: &str) {
        error!(reason, "a batch of spooled metrics was dropped");
        self.count(1);
    }

    fn count(&self, dropped: u32) {
        let add = |count: u32| Some(count.saturating_add(dropped));
        let _ = self.dropped.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Runs an operation on the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> io::Result<T> + Send + 'static,
    ) -> Result<T, NotSpooled> {
        let late = |_| NotSpooled {
            reason: format!("{}: no answer in time", self.files.root().display()),
            delivery: Delivery::Unknown,
        };
        let done = timeout(PATIENCE, self.files.blocking(work)).await.map_err(late)?;
        done.map_err(|error| NotSpooled { reason: error.to_string(), delivery: Delivery::NotProcessed })
    }
}

fn file(files: &Directory, number: u64, extension: &str) -> PathBuf {
    // The width is that of the largest number, so that names sort like numbers.
    files.root().join(format!("{number:020}.{extension}"))
}

/// Syncs the directory, so that new names outlive a power failure.
fn sync(files: &Directory) -> io::Result<()> {
    fs::File::open(files.root())?.sync_all()
}

/// Returns the files of the spool, oldest first. Other files are left alone.
fn entries(files: &Directory) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in files.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((digits, extension)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        let is_name = digits.len() == 20 && (extension == WAITING || extension == SENDING);
        let Some(number) = digits.parse().ok().filter(|_| is_name) else { continue };
        // A file that was removed meanwhile has no size.
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        entries.push(Entry { number, is_sending: extension == SENDING, bytes });
    }
    entries.sort_unstable_by_key(|entry| entry.number);
    Ok(entries)
}

/// Writes a batch. Returns the number of batches that were dropped for it.
fn add(files: &Directory, bytes: &[u8]) -> io::Result<u32> {
    if bytes.len() > MOST_READ_BYTES {
        return Err(io::Error::other(format!("the batch is larger than {MOST_READ_BYTES} bytes")));
    }
    fs::create_dir_all(files.root())?;
    let entries = entries(files)?;
    let mut number = entries.last().map_or(0, |entry| entry.number);
    let created = loop {
        number = number.checked_add(1).ok_or_else(|| io::Error::other("it has the last possible number"))?;
        let file = file(files, number, WAITING);
        if files.create("batch", &file, bytes)? {
            break file;
        }
    };
    if let Err(error) = sync(files) {
        // The caller writes the metrics elsewhere, so they must not stay here as well.
        fs::remove_file(created).map_or(Ok(()), |()| Err(error))?;
    }
    let waiting: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_sending).collect();
    let sizes: Vec<u64> = waiting.iter().map(|entry| entry.bytes).collect();
    let surplus = &waiting[..spool::surplus(&sizes, bytes.len() as u64)];
    let dropped = surplus.iter().filter(|entry| fs::remove_file(file(files, entry.number, WAITING)).is_ok());
    Ok(u32::try_from(dropped.count()).unwrap_or(u32::MAX))
}

/// Returns the batches of the spool, and the reasons why others were dropped.
fn waiting(files: &Directory, now: DateTime<Utc>) -> io::Result<(Waiting, Vec<String>)> {
    files.remove_stale(now)?;
    let (mut found, mut dropped) = (Waiting::default(), Vec::new());
    for Entry { number, is_sending, .. } in entries(files)? {
        if !is_sending {
            found.numbers.push(number);
            continue;
        }
        let path = file(files, number, SENDING);
        match (read(&path), fs::remove_file(&path)) {
            (Ok(batch), Ok(())) => found.interrupted.push(batch),
            (Err(error), Ok(())) => dropped.push(error.to_string()),
            (_, Err(error)) => {
                error!(%error, file = %path.display(), "a batch of spooled metrics cannot be removed")
            }
        }
    }
    Ok((found, dropped))
}

/// The result of taking a batch.
enum Taken {
    Batch(Batch),
    /// It is gone, cannot be read at present, or is ahead of the clock.
    Left,
    Dropped(String),
}

fn take(files: &Directory, number: u64, now: DateTime<Utc>) -> io::Result<Taken> {
    let path = file(files, number, WAITING);
    let reason = match read(&path) {
        Ok(batch) => match spool::age(batch.at, now) {
            Age::Current => {
                return match fs::rename(path, file(files, number, SENDING)) {
                    Ok(()) => sync(files).map(|()| Taken::Batch(batch)),
                    Err(error) if is_of_one_file(&error) => Ok(Taken::Left),
                    Err(error) => Err(error),
                };
            }
            Age::Ahead => return Ok(Taken::Left),
            Age::Expired => format!("{}: {} is more than two weeks from now", path.display(), batch.at),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Left),
        Err(error) if error.raw_os_error().is_some() => {
            warn!(%error, file = %path.display(), "a batch of spooled metrics cannot be read at present");
            return Ok(Taken::Left);
        }
        Err(error) => error.to_string(),
    };
    match fs::remove_file(&path) {
        Ok(()) => Ok(Taken::Dropped(reason)),
        Err(error) => {
            error!(%error, reason, "a batch of spooled metrics cannot be removed");
            Ok(Taken::Left)
        }
    }
}

/// Returns true if the file was dropped meanwhile, or cannot be renamed because of a directory with the new name. The
/// other files can be.
fn is_of_one_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory)
}

/// Reads a batch. An error without a number of the operating system is about the content.
fn read(path: &Path) -> io::Result<Batch> {
    let invalid = |reason| io::Error::other(format!("{}: {reason}", path.display()));
    spool::decode(&read_regular(path)?).map_err(invalid)
}

#[cfg(test)]
mod tests;
