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

pub use self::directory::Directory;
pub use self::memory::Memory;
pub use self::object::ObjectState;

/// How often a lost race is run again. Writers are few: overlapping ticks, and people.
const RACES: u32 = 8;
/// The longest pause before the first repetition; it doubles with each, and how much of it is waited is chance.
const PAUSE: Duration = Duration::from_millis(40);

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

/// The document as a `T`; the default when there is none. One that cannot be read is reported, not overwritten.
///
/// # Errors
/// [`Unavailable`], also when the document is not a `T`.
pub async fn read<T: DeserializeOwned + Default>(state: &impl State, name: &str) -> Result<T, Unavailable> {
    parsed(name, state.get(name).await?.as_ref())
}

/// Changes the document as `change` says, on its newest version: a lost race is run again. Nothing is written when
/// nothing changes.
///
/// # Errors
/// [`Unavailable`], also when the document is not a `T` or every race was lost.
pub async fn update<T, R>(
    state: &impl State,
    name: &str,
    mut change: impl FnMut(&mut T) -> R + Send,
) -> Result<R, Unavailable>
where
    T: Serialize + DeserializeOwned + Default + PartialEq + Clone + Send,
    R: Send,
{
    for race in 0..RACES {
        let before = state.get(name).await?;
        let old: T = parsed(name, before.as_ref())?;
        let mut new = old.clone();
        let result = change(&mut new);
        if new == old {
            return Ok(result);
        }
        let bytes = serde_json::to_vec(&new).map_err(|error| Unavailable(format!("`{name}`: {error}")))?;
        match state.put(name, bytes, before.as_ref().map(|document| &document.version)).await {
            Ok(_) => return Ok(result),
            Err(NotPut::Conflict) => {
                tokio::time::sleep(PAUSE.mul_f64(f64::from(1 << race) * rand::random::<f64>())).await;
            }
            Err(NotPut::Unavailable(error)) => return Err(error),
        }
    }
    Err(Unavailable(format!("`{name}` kept changing: {RACES} attempts to write it were overtaken")))
}

fn parsed<T: DeserializeOwned + Default>(name: &str, document: Option<&Document>) -> Result<T, Unavailable> {
    match document {
        None => Ok(T::default()),
        Some(document) => serde_json::from_slice(&document.bytes)
            .map_err(|error| Unavailable(format!("the document `{name}` cannot be read: {error}"))),
    }
}
