//! What every store must do: run by the tests of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Memory, NotPut, State, Version, read, update};
use crate::domain::records::Bounded;

impl Bounded for BTreeSet<u32> {
    fn drop_oldest(&mut self, _: usize) -> usize {
        usize::from(self.pop_first().is_some())
    }
}

/// Runs the contract on an empty store.
pub(crate) async fn holds(state: impl State) {
    let state = Arc::new(state);
    assert_eq!(state.get("pauses").await.unwrap(), None);
    let stale = Version("nonsense".to_owned());
    assert_eq!(state.put("pauses", b"{}".to_vec(), Some(&stale)).await, Err(NotPut::Conflict));
    assert_eq!(state.get("pauses").await.unwrap(), None, "nothing was written");

    let first = state.put("pauses", b"1".to_vec(), None).await.unwrap();
    assert_eq!(state.put("pauses", b"x".to_vec(), None).await, Err(NotPut::Conflict), "it exists");
    let second = state.put("pauses", b"22".to_vec(), Some(&first)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(state.put("pauses", b"x".to_vec(), Some(&first)).await, Err(NotPut::Conflict), "overtaken");
    let third = state.put("pauses", b"333".to_vec(), Some(&second)).await.unwrap();
    // Long overtaken: the version between is gone as well.
    assert_eq!(state.put("pauses", b"x".to_vec(), Some(&first)).await, Err(NotPut::Conflict));
    let document = state.get("pauses").await.unwrap().unwrap();
    assert_eq!((document.bytes.as_slice(), document.version), (&b"333"[..], third));
    assert_eq!(state.get("pause").await.unwrap(), None, "another name is another document");

    races_lose_nothing(&state).await;

    state.put("broken", b"not json".to_vec(), None).await.unwrap();
    let error = update(state.as_ref(), "broken", |numbers: &mut BTreeSet<u32>| numbers.insert(1)).await;
    assert!(error.unwrap_err().to_string().contains("`broken` cannot be read"));
    assert_eq!(state.get("broken").await.unwrap().unwrap().bytes, b"not json", "it is left for people");
}

async fn races_lose_nothing(state: &Arc<impl State>) {
    let writers = (0..6_u32).map(|number| {
        let state = Arc::clone(state);
        tokio::spawn(async move {
            update(state.as_ref(), "requests", |numbers: &mut BTreeSet<u32>| numbers.insert(number)).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert!(writer.await.unwrap().unwrap());
    }
    let numbers: BTreeSet<u32> = read(state.as_ref(), "requests").await.unwrap();
    assert_eq!(numbers, (0..6).collect());
    let before = state.get("requests").await.unwrap();
    assert!(
        !update(state.as_ref(), "requests", |numbers: &mut BTreeSet<u32>| numbers.insert(3)).await.unwrap()
    );
    assert_eq!(state.get("requests").await.unwrap(), before, "nothing changed, nothing was written");
}

#[tokio::test]
async fn memory() {
    holds(Memory::default()).await;
}

#[tokio::test]
async fn directory() {
    let folder = tempfile::tempdir().unwrap();
    holds(super::Directory::new(folder.path().join("deep/state"))).await;
    let left = std::fs::read_dir(folder.path().join("deep/state")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["broken.1.json", "pauses.3.json", "requests.6.json"], "no litter");
}
