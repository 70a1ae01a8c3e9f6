//! The history in the state store.

use chrono::{DateTime, Utc};

use super::store::{DocumentStore, Unavailable};
use crate::domain::history::History;

/// Reads the hours of the history that begin within `from..until`. Rows that a tick has noted and not yet moved into the
/// document of their day are included.
///
/// # Errors
/// [`Unavailable`].
pub async fn read(
    _documents: &DocumentStore,
    _from: DateTime<Utc>,
    _until: DateTime<Utc>,
) -> Result<History, Unavailable> {
    Err(Unavailable("the history is not readable yet".to_owned()))
}
