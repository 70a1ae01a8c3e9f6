//! State in an object store: for the Lambda, and for commands beside it.

use super::{Document, MOST_READ_BYTES, NotPut, State, Unavailable, Version};
use crate::engine::ports::{Condition, Fetched, NotStored, Objects};

/// Documents as objects `NAME.json`, replaced by conditional writes.
#[derive(Debug, Clone)]
pub struct ObjectState<O>(pub O);

impl<O: Objects> State for ObjectState<O> {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        match self.0.get(&key(name), None).await.map_err(|error| Unavailable(error.0))? {
            Fetched::Object { bytes, .. } if bytes.len() > MOST_READ_BYTES => Err(Unavailable(format!(
                "`{}` is refused: it is larger than {MOST_READ_BYTES} bytes",
                key(name)
            ))),
            Fetched::Object { bytes, version } => Ok(Some(Document { bytes, version })),
            Fetched::Missing | Fetched::Unchanged => Ok(None),
        }
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        let condition = replaces.map_or(Condition::New, Condition::Replaces);
        self.0.put(&key(name), bytes, condition).await.map_err(|error| match error {
            NotStored::Conflict => NotPut::Conflict,
            NotStored::Failed(error) => NotPut::Unavailable(Unavailable(error.0)),
        })
    }
}

fn key(name: &str) -> String {
    format!("{name}.json")
}
