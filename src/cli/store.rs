//! Where state is kept: a directory, S3, or nowhere beyond this process.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use tracing::{debug, error, info};

use super::error::Failure;
use crate::aws::{Bucket, Clients};
use crate::domain::s3_uri::S3Uri;
use crate::domain::tick::TickReport;
use crate::engine::planner::{Durability, StoreHealth, TickPlanner};
use crate::engine::state::{Directory, Document, Memory, NotPut, ObjectState, State, Unavailable, Version};

/// Metrics recorded later than this after their tick carry the time at which they are recorded.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// A state store.
#[derive(Debug)]
pub enum Store {
    /// Ends with the process.
    Memory(Memory),
    /// A directory.
    Directory(Directory),
    /// A prefix of a bucket.
    S3(ObjectState<Bucket>),
}

impl Store {
    /// The store at a place: a directory or `s3://bucket/prefix`; memory when none is given.
    ///
    /// # Errors
    /// A place that is none, or no region for S3.
    pub fn at(place: Option<&str>, clients: &Clients) -> Result<Self, Failure> {
        let Some(text) = place.filter(|place| !place.is_empty()) else {
            return Ok(Self::Memory(Memory::default()));
        };
        match S3Uri::parse(text) {
            None => Ok(Self::Directory(Directory::new(PathBuf::from(text)))),
            Some(Err(wrong)) => Err(Failure::Usage(format!("{text}: {wrong}"))),
            Some(Ok(S3Uri { bucket, prefix })) => {
                let bucket = clients.bucket(&bucket, &prefix);
                let bucket = bucket.map_err(|error| Failure::Usage(error.to_string()))?;
                Ok(Self::S3(ObjectState(bucket)))
            }
        }
    }

    /// The same, without temporary files that processes have left behind which died while they wrote. Removing them
    /// is never worth a failure.
    pub async fn swept(self, now: DateTime<Utc>) -> Self {
        if let Self::Directory(directory) = &self {
            let swept = directory.clone();
            match tokio::task::spawn_blocking(move || swept.remove_stale(now)).await {
                Ok(Ok(0)) | Err(_) => {}
                Ok(Ok(removed)) => info!(removed, "removed stale temporary files from the state store"),
                Ok(Err(error)) => {
                    debug!(%error, "the state store was not searched for stale temporary files")
                }
            }
        }
        self
    }

    /// Plans and notes with it.
    pub fn planner(self) -> TickPlanner<Self> {
        let lasting = match self {
            Self::Memory(_) => Durability::Volatile,
            Self::Directory(_) | Self::S3(_) => Durability::Durable,
        };
        TickPlanner::new(self, lasting)
    }
}

/// The time that the metrics of a tick carry: the tick's own, unless they are recorded long after it. Alarms look at the
/// latest minutes, and would miss what a late answer shows.
pub fn time_of_record(report: &TickReport, now: DateTime<Utc>) -> DateTime<Utc> {
    if now.signed_duration_since(report.tick).abs() > LATE { now } else { report.tick }
}

/// Waits for a note in the store, for half of the time until `until`: the other half is left to the metrics.
pub async fn halfway(until: Instant, noting: impl Future<Output = StoreHealth>) -> StoreHealth {
    let now = Instant::now();
    let deadline = now + until.saturating_duration_since(now) / 2;
    tokio::time::timeout_at(deadline, noting).await.unwrap_or_else(|_| {
        error!("StateUnavailable: no answer in time; how the tick went is not noted");
        StoreHealth::Unavailable
    })
}

/// The number of ticks with an unavailable store, 0 or 1, for a metric.
pub fn unavailable(health: StoreHealth) -> u32 {
    match health {
        StoreHealth::Sound => 0,
        StoreHealth::Unavailable => 1,
    }
}

impl State for Store {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        match self {
            Self::Memory(store) => store.get(name).await,
            Self::Directory(store) => store.get(name).await,
            Self::S3(store) => store.get(name).await,
        }
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        match self {
            Self::Memory(store) => store.put(name, bytes, replaces).await,
            Self::Directory(store) => store.put(name, bytes, replaces).await,
            Self::S3(store) => store.put(name, bytes, replaces).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::app::App;
    use crate::engine::ports::{Condition, Fetched, Objects};
    use crate::engine::state::contract;

    #[tokio::test]
    async fn s3_keeps_the_contract_of_stores() {
        let app = App::local(&[]).unwrap();
        contract::holds(Store::at(Some("s3://warmd-state/live"), app.clients()).unwrap()).await;
    }

    #[tokio::test]
    async fn objects_are_read_again_only_when_they_have_changed() {
        let app = App::local(&[]).unwrap();
        let bucket = app.clients().bucket("warmd-config", "a/b").unwrap();
        assert_eq!(bucket.get("x.yaml", None).await.unwrap(), Fetched::Missing);
        let version = bucket.put("x.yaml", b"1".to_vec(), Condition::Always).await.unwrap();
        bucket.put("deep/é &<.ics", b"2".to_vec(), Condition::New).await.unwrap();
        assert_eq!(bucket.get("x.yaml", Some(&version)).await.unwrap(), Fetched::Unchanged);
        let changed = bucket.put("x.yaml", b"3".to_vec(), Condition::Always).await.unwrap();
        let fetched = bucket.get("x.yaml", Some(&version)).await.unwrap();
        assert_eq!(fetched, Fetched::Object { bytes: b"3".to_vec(), version: changed.clone() });
        let other = app.clients().bucket("warmd-config", "a").unwrap();
        other.put("c.yaml", b"4".to_vec(), Condition::Always).await.unwrap();
        let listed = bucket.list().await.unwrap();
        let keys: Vec<_> = listed.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["deep/é &<.ics", "x.yaml"]);
        assert_eq!(listed[1].1, changed);
    }

    #[tokio::test]
    async fn long_lists_come_whole() {
        let app = App::local(&[]).unwrap();
        let bucket = app.clients().bucket("warmd-config", "many").unwrap();
        for index in 0..1_001 {
            bucket.put(&format!("{index:04}"), Vec::new(), Condition::Always).await.unwrap();
        }
        assert_eq!(bucket.list().await.unwrap().len(), 1_001);
    }
}
