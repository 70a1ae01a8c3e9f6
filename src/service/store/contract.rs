//! The contract of object stores and of documents over them, run by the tests of each store.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Directory, DocumentStore, Durability, Memory};
use crate::domain::records::Bounded;
use crate::engine::ports::Condition::{Always, New, Replaces};
use crate::engine::ports::{Fetched, ObjectStore, PutError, Version};

impl Bounded for BTreeSet<u32> {
    fn drop_oldest(&mut self, _: usize) -> usize {
        usize::from(self.pop_first().is_some())
    }
}

/// Runs the contract on an empty store.
pub(crate) async fn verify(store: Arc<dyn ObjectStore>) {
    const KEY: &str = "pauses.json";
    let put = async |bytes: &[u8], condition| store.put(KEY, bytes.to_vec(), condition).await;
    assert_eq!(store.get(KEY, None).await, Ok(Fetched::Missing));
    let foreign = Version("nonsense".to_owned());
    assert_eq!(put(b"{}", Replaces(&foreign)).await, Err(PutError::Conflict));
    assert_eq!(store.get(KEY, None).await, Ok(Fetched::Missing), "nothing was written");

    let first = put(b"1", New).await.unwrap();
    assert_eq!(put(b"x", New).await, Err(PutError::Conflict), "it exists");
    let second = put(b"22", Replaces(&first)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(put(b"x", Replaces(&first)).await, Err(PutError::Conflict), "stale");
    let third = put(b"333", Replaces(&second)).await.unwrap();
    // A version before that conflicts as well.
    assert_eq!(put(b"x", Replaces(&first)).await, Err(PutError::Conflict));
    let fetched = Fetched::Object { bytes: b"333".to_vec(), version: third.clone() };
    assert_eq!(store.get(KEY, Some(&second)).await, Ok(fetched));
    assert_eq!(store.get(KEY, Some(&third)).await, Ok(Fetched::Unchanged));
    let fourth = put(b"4444", Always).await.unwrap();
    assert_eq!(store.list().await, Ok(vec![(KEY.to_owned(), fourth)]));
    assert_eq!(store.get("pause.json", None).await, Ok(Fetched::Missing), "another key is another object");
    store.put("pauses.gz", b"gzip".to_vec(), New).await.unwrap();
    assert_eq!(put(b"x", New).await, Err(PutError::Conflict), "it still exists");
    let keys = store.list().await.unwrap().into_iter().map(|(key, _)| key);
    assert_eq!(keys.collect::<Vec<_>>(), ["pauses.gz", KEY]);

    verify_documents(&store).await;
}

async fn verify_documents(store: &Arc<dyn ObjectStore>) {
    let documents = DocumentStore::new(Arc::clone(store), Durability::Durable);
    let writers = (0..6_u32).map(|number| {
        let documents = documents.clone();
        tokio::spawn(async move {
            documents.update("requests", |numbers: &mut BTreeSet<u32>| numbers.insert(number)).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert!(writer.await.unwrap().unwrap());
    }
    let numbers: BTreeSet<u32> = documents.read("requests").await.unwrap();
    assert_eq!(numbers, (0..6).collect(), "no update is lost");
    let before = documents.get("requests").await.unwrap();
    assert!(!documents.update("requests", |numbers: &mut BTreeSet<u32>| numbers.insert(3)).await.unwrap());
    assert_eq!(documents.get("requests").await.unwrap(), before, "nothing changed, nothing was written");

    store.put("broken.json", b"not json".to_vec(), New).await.unwrap();
    let error = documents.update("broken", |numbers: &mut BTreeSet<u32>| numbers.insert(1)).await;
    assert!(error.unwrap_err().to_string().contains("`broken` cannot be read"));
    let Fetched::Object { bytes, .. } = store.get("broken.json", None).await.unwrap() else { panic!() };
    assert_eq!(bytes, b"not json", "the document is unchanged");
}

#[tokio::test]
async fn memory() {
    verify(Arc::new(Memory::default())).await;
}

#[tokio::test]
async fn too_large_documents_are_refused() {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::default());
    store.put("served.json", vec![b' '; super::MOST_READ_BYTES + 1], New).await.unwrap();
    let documents = DocumentStore::new(store, Durability::Durable);
    let refused = documents.read::<BTreeSet<u32>>("served").await.unwrap_err();
    insta::assert_snapshot!(refused, @"the state store: `served.json` is refused: it is larger than 33554432 bytes");
}

#[tokio::test]
async fn directory() {
    let folder = tempfile::tempdir().unwrap();
    verify(Arc::new(Directory::new(folder.path().join("deep/state")))).await;
    let left = std::fs::read_dir(folder.path().join("deep/state")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(
        left,
        ["broken.1.json", "pauses.1.gz", "pauses.4.json", "requests.6.json"],
        "no temporary files"
    );
}
