//! What must outlive a process: small documents, each replaced only by whoever has seen its last version.

#[cfg(test)]
pub(crate) mod contract;
mod directory;
mod memory;
mod object;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::warn;

use crate::domain::records::{Bounded, MOST_BYTES};

pub use self::directory::Directory;
pub use self::memory::Memory;
pub use self::object::ObjectState;

/// How often a lost race is run again. Writers are few: overlapping ticks, and people.
const RACES: u32 = 8;
/// The longest pause before the first repetition; it doubles with each, and how much of it is waited is chance.
const PAUSE: Duration = Duration::from_millis(40);
/// The largest document that is read. Above what is written, so that a document which an earlier version let grow is
/// read and repaired.
pub(crate) const MOST_READ_BYTES: usize = 4 * MOST_BYTES;

/// Which version of a document was seen. Means something to the store only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its version.
    pub version: Version,
}

/// The store cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state store: {0}")]
pub struct Unavailable(pub String);

/// Why a document was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPut {
    /// Somebody else was faster.
    #[error("the document has changed meanwhile")]
    Conflict,
    /// The store cannot be written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A store of small documents, as the engine needs it. Names are of `[a-z0-9-]`.
pub trait State: Send + Sync + 'static {
    /// The document of that name; none when there is none yet.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<Document>, Unavailable>> + Send;

    /// Replaces the version `replaces`, or makes the document when that is none. All of it is written, or nothing.
    ///
    /// # Errors
    /// [`NotPut::Conflict`] when the document is no longer at that version, or exists already.
    fn put(
        &self,
        name: &str,
        bytes: Vec<u8>,
        replaces: Option<&Version>,
    ) -> impl Future<Output = Result<Version, NotPut>> + Send;
}

/// Returns the result of `work`, unless it has not ended at `deadline`.
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

/// The document as a `T`; the default when there is none. One that cannot be read is reported, not overwritten.
///
/// # Errors
/// [`Unavailable`], also when the document is not a `T`.
pub async fn read<T: DeserializeOwned + Default>(state: &impl State, name: &str) -> Result<T, Unavailable> {
    parsed(name, state.get(name).await?.as_ref())
}

/// Changes the document as `change` says, on its newest version: a lost race is run again. Nothing is written when
/// nothing changes. What does not fit into [`MOST_BYTES`] is dropped, oldest first, with a warning.
///
/// # Errors
/// [`Unavailable`], also when the document is not a `T` or every race was lost.
pub async fn update<T, R>(
    state: &impl State,
    name: &str,
    change: impl FnMut(&mut T) -> R + Send,
) -> Result<R, Unavailable>
where
    T: Bounded + Serialize + DeserializeOwned + Default + PartialEq + Clone + Send,
    R: Send,
{
    let seen = state.get(name).await?;
    update_seen(state, name, seen, change).await
}

/// The same for a document that was read already.
///
/// # Errors
/// As [`update`].
pub async fn update_seen<T, R>(
    state: &impl State,
    name: &str,
    mut seen: Option<Document>,
    mut change: impl FnMut(&mut T) -> R + Send,
) -> Result<R, Unavailable>
where
    T: Bounded + Serialize + DeserializeOwned + Default + PartialEq + Clone + Send,
    R: Send,
{
    for race in 0..RACES {
        let old: T = parsed(name, seen.as_ref())?;
        let mut new = old.clone();
        let result = change(&mut new);
        if new == old {
            return Ok(result);
        }
        let bytes = bounded(name, &mut new, MOST_BYTES)?;
        match state.put(name, bytes, seen.as_ref().map(|document| &document.version)).await {
            Ok(_) => return Ok(result),
            Err(NotPut::Conflict) => {
                tokio::time::sleep(PAUSE.mul_f64(f64::from(1 << race) * rand::random::<f64>())).await;
            }
            Err(NotPut::Unavailable(error)) => return Err(error),
        }
        seen = state.get(name).await?;
    }
    Err(Unavailable(format!("`{name}` kept changing: {RACES} attempts to write it were overtaken")))
}

/// The document as it is written, without what does not fit into `most` bytes.
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

/// The document as a `T`; the default when there is none.
///
/// # Errors
/// [`Unavailable`] when it is not a `T`.
pub(super) fn parsed<T: DeserializeOwned + Default>(
    name: &str,
    document: Option<&Document>,
) -> Result<T, Unavailable> {
    match document {
        None => Ok(T::default()),
        Some(document) => serde_json::from_slice(&document.bytes)
            .map_err(|error| Unavailable(format!("the document `{name}` cannot be read: {error}"))),
    }
}
