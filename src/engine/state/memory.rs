//! State that ends with the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Document, NotPut, State, Unavailable, Version};

/// Documents in memory: what there is without a store.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, (u64, Vec<u8>)>>);

impl State for Memory {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        let documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let document = documents.get(name);
        Ok(document
            .map(|(version, bytes)| Document { bytes: bytes.clone(), version: Version(version.to_string()) }))
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        let mut documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = documents.get(name).map(|(version, _)| *version);
        if current.map(|version| version.to_string()).as_deref() != replaces.map(|version| version.0.as_str())
        {
            return Err(NotPut::Conflict);
        }
        let next = current.unwrap_or(0) + 1;
        documents.insert(name.to_owned(), (next, bytes));
        Ok(Version(next.to_string()))
    }
}
