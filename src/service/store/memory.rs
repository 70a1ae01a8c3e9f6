//! Objects in the memory of the process.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::ports::{Condition, Fetched, ObjectStore, PutError, StoreFuture, Version};

/// An object store that ends with the process.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, (u64, Vec<u8>)>>);

impl Memory {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, (u64, Vec<u8>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: &str, bytes: Vec<u8>, condition: Condition<'_>) -> Result<Version, PutError> {
        let mut objects = self.objects();
        let current = objects.get(key).map(|(version, _)| *version);
        let is_met = match condition {
            Condition::Always => true,
            Condition::New => current.is_none(),
            Condition::Replaces(version) => current.is_some_and(|current| current.to_string() == version.0),
        };
        if !is_met {
            return Err(PutError::Conflict);
        }
        let next = current.unwrap_or(0) + 1;
        objects.insert(key.to_owned(), (next, bytes));
        Ok(Version(next.to_string()))
    }
}

impl ObjectStore for Memory {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        let fetched = match self.objects().get(key) {
            None => Fetched::Missing,
            Some((version, _)) if known.is_some_and(|known| known.0 == version.to_string()) => {
                Fetched::Unchanged
            }
            Some((version, bytes)) => {
                Fetched::Object { bytes: bytes.clone(), version: Version(version.to_string()) }
            }
        };
        Box::pin(ready(Ok(fetched)))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(ready(self.write(key, bytes, condition)))
    }

    fn remove<'a>(&'a self, key: &'a str, expected: &'a Version) -> StoreFuture<'a, (), PutError> {
        let mut objects = self.objects();
        let is_other = objects.get(key).is_some_and(|(version, _)| version.to_string() != expected.0);
        if !is_other {
            objects.remove(key);
        }
        Box::pin(ready(if is_other { Err(PutError::Conflict) } else { Ok(()) }))
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        let objects = self.objects();
        let listed = objects.iter().map(|(key, (version, _))| (key.clone(), Version(version.to_string())));
        Box::pin(ready(Ok(listed.collect())))
    }
}
