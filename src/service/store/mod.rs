//! The state store: small JSON documents in a directory, in S3, or in the memory of the process.

#[cfg(test)]
pub(crate) mod contract;
mod directory;
mod documents;
mod lock;
mod memory;
mod spool;

pub use self::directory::Directory;
pub use self::documents::{Document, DocumentStore, Durability, Unavailable, before};
pub(super) use self::documents::{MOST_ATTEMPTS, conflict_pause, parse, parse_bytes};
pub use self::lock::{Lock, LockError};
pub use self::memory::Memory;
pub use self::spool::{NotSpooled, Spool};
use crate::domain::records::MOST_BYTES;

/// The largest document that is read. It is above the largest that is written, so that a larger document of an earlier
/// version is read and repaired.
pub(super) const MOST_READ_BYTES: usize = 4 * MOST_BYTES;
