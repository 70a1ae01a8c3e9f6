//! State in an object store: for the Lambda, and for commands beside it.

use super::{Document, MOST_READ_BYTES, NotPut, State, Unavailable, Version};
use crate::engine::ports::{Condition, Fetched, NotStored, Objects};

/// Documents as objects `NAME.json`, replaced by conditional writes.
#[derive(Debug, Clone)]
pub struct ObjectState<O>(pub O);

impl<O: Objects> State for ObjectState<O> {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        match self.0.get(&key(name), None).await.map_err(|error| Unavailable(error.to_string()))? {
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
            NotStored::Failed(error) => NotPut::Unavailable(Unavailable(error.to_string())),
        })
    }
}

fn key(name: &str) -> String {
    format!("{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ports::{NotStored, ObjectsFailed};

    /// A store of one object of so many bytes.
    struct One(usize);

    impl Objects for One {
        async fn get(&self, _: &str, _: Option<&Version>) -> Result<Fetched, ObjectsFailed> {
            Ok(Fetched::Object { bytes: vec![b' '; self.0], version: Version("1".to_owned()) })
        }

        async fn put(&self, _: &str, _: Vec<u8>, _: Condition<'_>) -> Result<Version, NotStored> {
            Err(NotStored::Conflict)
        }

        async fn list(&self) -> Result<Vec<(String, Version)>, ObjectsFailed> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_by_name() {
        assert!(ObjectState(One(MOST_READ_BYTES)).get("served").await.is_ok());
        let refused = ObjectState(One(MOST_READ_BYTES + 1)).get("served").await.unwrap_err();
        insta::assert_snapshot!(refused, @"the state store: `served.json` is refused: it is larger than 33554432 bytes");
    }
}
