//! JSON documents of bounded size over an object store, each replaced by conditional writes only.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Directory, MOST_READ_BYTES, Memory};
use crate::domain::records::{Bounded, MOST_BYTES};
use crate::domain::s3_uri::S3Uri;
use crate::engine::ports::{Condition, Fetched, ObjectStore, ObjectStoreError, PutError, Version};

/// The most attempts to update a document that other writers change at the same time. Writers are few: overlapping
/// ticks, and people.
pub(in crate::service) const MOST_ATTEMPTS: u32 = 8;
/// The longest pause before the second attempt. It doubles with each attempt, and its length is random.
const PAUSE: Duration = Duration::from_millis(40);

/// The state store cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state store: {0}")]
pub struct Unavailable(pub String);

impl From<ObjectStoreError> for Unavailable {
    fn from(error: ObjectStoreError) -> Self {
        Self(error.to_string())
    }
}

/// The lifetime of stored documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Documents outlive the process, and other processes share them.
    Durable,
    /// Documents end with the process.
    Volatile,
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    bytes: Vec<u8>,
    version: Version,
}

/// A store of documents. The document `NAME` is the object `NAME.json`; names consist of `[a-z0-9-]`. Clones share the
/// store.
#[derive(Debug, Clone)]
pub struct DocumentStore {
    objects: Arc<dyn ObjectStore>,
    durability: Durability,
}

impl DocumentStore {
    /// Creates a store of documents over an object store.
    pub fn new(objects: Arc<dyn ObjectStore>, durability: Durability) -> Self {
        Self { objects, durability }
    }

    /// Creates a store that ends with the process.
    pub fn memory() -> Self {
        Self::new(Arc::new(Memory::default()), Durability::Volatile)
    }

    /// Opens the store at `location`: a directory or `s3://bucket/prefix`; memory without a location. `connect` returns
    /// the object store under an S3 prefix.
    ///
    /// # Errors
    /// An invalid location, or the error of `connect`; both for people.
    pub fn open(
        location: Option<&str>,
        connect: impl FnOnce(&S3Uri) -> Result<Arc<dyn ObjectStore>, String>,
    ) -> Result<Self, String> {
        let Some(text) = location.filter(|location| !location.is_empty()) else {
            return Ok(Self::memory());
        };
        let objects: Arc<dyn ObjectStore> = match S3Uri::parse(text) {
            None => Arc::new(Directory::new(text)),
            Some(uri) => connect(&uri.map_err(|reason| format!("{text}: {reason}"))?)?,
        };
        Ok(Self::new(objects, Durability::Durable))
    }

    /// Returns the lifetime of the documents.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Removes temporary files that interrupted writes left behind. A failure is logged and has no other effect.
    pub async fn sweep(&self, now: DateTime<Utc>) {
        match self.objects.sweep(now).await {
            Ok(0) => {}
            Ok(removed) => info!(removed, "removed stale temporary files from the state store"),
            Err(error) => debug!(%error, "the state store was not searched for stale temporary files"),
        }
    }

    /// Returns the names of the documents.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn names(&self) -> Result<BTreeSet<String>, Unavailable> {
        let name = |key: String| Some(key.strip_suffix(".json")?.to_owned());
        Ok(self.keys().await?.into_iter().filter_map(name).collect())
    }

    /// Returns the keys of all objects, in order.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(in crate::service) async fn keys(&self) -> Result<Vec<String>, Unavailable> {
        Ok(self.objects.list().await?.into_iter().map(|(key, _)| key).collect())
    }

    /// Reads a document; the default value when there is none. A document that is not a `T` is an error, and is not
    /// changed.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn read<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, Unavailable> {
        parse(name, self.get(name).await?.as_ref())
    }

    /// Reads a document without parsing it; none when there is none.
    ///
    /// # Errors
    /// [`Unavailable`], also when the document is larger than 32 MiB.
    pub(in crate::service) async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        Ok(match self.get_unless(name, None).await? {
            Fetched::Object { bytes, version } => Some(Document { bytes, version }),
            Fetched::Missing | Fetched::Unchanged => None,
        })
    }

    /// Reads a document, unless it is still at the version `known`.
    ///
    /// # Errors
    /// [`Unavailable`], also when the document is larger than 32 MiB.
    pub(in crate::service) async fn get_unless(
        &self,
        name: &str,
        known: Option<&Version>,
    ) -> Result<Fetched, Unavailable> {
        self.get_object(&key(name), known).await
    }

    /// Reads an object that is not JSON by its whole key, such as `NAME.gz`, unless it is still at the version `known`.
    ///
    /// # Errors
    /// [`Unavailable`], also when the object is larger than 32 MiB.
    pub(in crate::service) async fn get_object(
        &self,
        key: &str,
        known: Option<&Version>,
    ) -> Result<Fetched, Unavailable> {
        match self.objects.get(key, known).await? {
            Fetched::Object { bytes, .. } if bytes.len() > MOST_READ_BYTES => {
                Err(Unavailable(format!("`{key}` is refused: it is larger than {MOST_READ_BYTES} bytes")))
            }
            fetched => Ok(fetched),
        }
    }

    /// Writes an object that is not JSON by its whole key, if it replaces the version `replaced` or is new. Returns its
    /// version; `None` after a conflict with another writer.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(in crate::service) async fn put_object(
        &self,
        key: &str,
        bytes: Vec<u8>,
        replaced: Option<&Version>,
    ) -> Result<Option<Version>, Unavailable> {
        let condition = replaced.map_or(Condition::New, Condition::Replaces);
        match self.objects.put(key, bytes, condition).await {
            Ok(version) => Ok(Some(version)),
            Err(PutError::Conflict) => Ok(None),
            Err(PutError::Failed(error)) => Err(error.into()),
        }
    }

    /// Writes a document that replaces the version `replaced`, or that is new. Returns its version; `None` after a
    /// conflict with another writer. Entries that do not fit into [`MOST_BYTES`] are dropped, oldest first.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(in crate::service) async fn put<T: Bounded + Serialize>(
        &self,
        name: &str,
        document: &mut T,
        replaced: Option<&Version>,
    ) -> Result<Option<Version>, Unavailable> {
        let bytes = bounded(name, document, MOST_BYTES)?;
        self.put_object(&key(name), bytes, replaced).await
    }

    /// Applies `change` to the newest version of a document, and writes the result if it differs. The change is applied
    /// again after a conflict with another writer. Entries that do not fit into [`MOST_BYTES`] are dropped, oldest
    /// first, with a warning.
    ///
    /// # Errors
    /// [`Unavailable`], also when the document is not a `T`, or when each conditional write met a conflict.
    pub async fn update<T, R>(
        &self,
        name: &str,
        change: impl FnMut(&mut T) -> R + Send,
    ) -> Result<R, Unavailable>
    where
        T: Bounded + Serialize + DeserializeOwned + Default + PartialEq + Clone + Send,
        R: Send,
    {
        let seen = self.get(name).await?;
        self.update_seen(name, seen, change).await
    }

    /// Updates a document that was read already, see [`DocumentStore::update`].
    ///
    /// # Errors
    /// As [`DocumentStore::update`].
    pub(in crate::service) async fn update_seen<T, R>(
        &self,
        name: &str,
        mut seen: Option<Document>,
        mut change: impl FnMut(&mut T) -> R + Send,
    ) -> Result<R, Unavailable>
    where
        T: Bounded + Serialize + DeserializeOwned + Default + PartialEq + Clone + Send,
        R: Send,
    {
        for attempt in 0..MOST_ATTEMPTS {
            let old: T = parse(name, seen.as_ref())?;
            let mut new = old.clone();
            let result = change(&mut new);
            if new == old {
                return Ok(result);
            }
            let replaced = seen.as_ref().map(|document| &document.version);
            if self.put(name, &mut new, replaced).await?.is_some() {
                return Ok(result);
            }
            conflict_pause(attempt).await;
            seen = self.get(name).await?;
        }
        Err(Unavailable(format!(
            "`{name}` was changed by other writers during each of {MOST_ATTEMPTS} attempts to write it"
        )))
    }
}

/// Waits after the conflict of an attempt, from 0.
pub(in crate::service) async fn conflict_pause(attempt: u32) {
    tokio::time::sleep(PAUSE.mul_f64(f64::from(1 << attempt) * rand::random::<f64>())).await;
}

fn key(name: &str) -> String {
    format!("{name}.json")
}

/// Returns the result of `work`, or an error at `deadline`.
///
/// # Errors
/// [`Unavailable`].
pub async fn before<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    let late = |_| Unavailable("no answer in time".to_owned());
    tokio::time::timeout_at(deadline, work).await.map_err(late)?
}

/// Serializes a document without the entries that do not fit into `most` bytes.
fn bounded<T: Bounded + Serialize>(
    name: &str,
    document: &mut T,
    most: usize,
) -> Result<Vec<u8>, Unavailable> {
    let mut dropped = 0;
    loop {
        let bytes =
            serde_json::to_vec(document).map_err(|error| Unavailable(format!("`{name}`: {error}")))?;
        let excess = bytes.len().saturating_sub(most);
        if excess == 0 {
            if dropped > 0 {
                warn!(
                    document = name,
                    dropped,
                    most_bytes = most,
                    "the state document was too large: its oldest entries were dropped"
                );
            }
            return Ok(bytes);
        }
        match document.drop_oldest(excess) {
            0 => return Err(Unavailable(format!("`{name}` is larger than {most} bytes"))),
            more => dropped += more,
        }
    }
}

/// Parses a document; the default value when there is none.
///
/// # Errors
/// [`Unavailable`] when it is not a `T`.
pub(in crate::service) fn parse<T: DeserializeOwned + Default>(
    name: &str,
    document: Option<&Document>,
) -> Result<T, Unavailable> {
    match document {
        None => Ok(T::default()),
        Some(document) => parse_bytes(name, &document.bytes),
    }
}

/// Parses the content of a document.
///
/// # Errors
/// [`Unavailable`] when it is not a `T`.
pub(in crate::service) fn parse_bytes<T: DeserializeOwned>(
    name: &str,
    bytes: &[u8],
) -> Result<T, Unavailable> {
    serde_json::from_slice(bytes)
        .map_err(|error| Unavailable(format!("the document `{name}` cannot be read: {error}")))
}
