use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::*;
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::history::{DayFile, Row, Rows};
use crate::engine::ports::{
    Condition, Fetched, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version,
};
use crate::service::store::{DocumentStore, Durability, Memory};

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}:00Z").parse().unwrap()
}

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

fn id(function: &str, at: &str) -> Identity {
    FunctionRef::parse(function).unwrap().identity(region(at))
}

/// A store in memory that refuses to return some objects, or to list any.
#[derive(Debug, Default)]
struct Objects {
    memory: Memory,
    refused: BTreeSet<String>,
    is_unlisted: bool,
}

impl ObjectStore for Objects {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        match self.refused.contains(key) {
            true => Box::pin(async { Err(ObjectStoreError::from("access denied".to_owned())) }),
            false => self.memory.get(key, known),
        }
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        self.memory.put(key, bytes, condition)
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        match self.is_unlisted {
            true => Box::pin(async { Err(ObjectStoreError::from("no route".to_owned())) }),
            false => self.memory.list(),
        }
    }
}

impl Objects {
    async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.memory.put(key, bytes, Condition::Always).await.unwrap();
    }

    /// Adds the document of a day, with pings of one function by the hour.
    async fn put_day(&self, at: &str, day: &str, writer: Option<u32>, function: &str, pings: &[(u8, u64)]) {
        self.put(&key(at, day, writer), file(at, function, pings).bytes()).await;
    }

    fn documents(self) -> DocumentStore {
        DocumentStore::new(Arc::new(self), Durability::Durable)
    }
}

fn key(region_name: &str, day: &str, writer: Option<u32>) -> String {
    format!("{}.gz", DayFile::document(region(region_name), at(&format!("{day}T00:00")), writer))
}

fn file(region_name: &str, function: &str, pings: &[(u8, u64)]) -> DayFile {
    let mut file = DayFile::default();
    for (hour, pings) in pings {
        let row = Row { pings: *pings, ..Row::default() };
        let rows: Rows = [(id(function, region_name), row)].into();
        file.add(*hour, region(region_name), 7, &rows).unwrap();
    }
    file
}

/// Reads a period, and returns a line for each row, and one for each unread document.
async fn shown(documents: &DocumentStore, from: &str, until: &str) -> Vec<String> {
    let history = read(documents, at(from), at(until)).await.unwrap();
    let rows = history.hours.iter().flat_map(|(hour, rows)| {
        let begins = DateTime::from_timestamp(hour * 3_600, 0).unwrap().format("%d %Hh");
        rows.iter().map(move |(id, row)| format!("{begins} {} {} {}", id.region, id.label(), row.pings))
    });
    rows.chain(history.unread.iter().cloned()).collect()
}

#[tokio::test]
async fn documents_of_regions_and_shards_are_added_up() {
    let store = Objects::default();
    store.put_day("eu-west-2", "2026-11-19", None, "a", &[(22, 1), (23, 2)]).await;
    store.put_day("eu-west-2", "2026-11-20", None, "a", &[(0, 4), (9, 8), (10, 16)]).await;
    store.put_day("eu-west-2", "2026-11-20", Some(10), "a", &[(9, 32)]).await;
    store.put_day("eu-west-2", "2026-11-20", Some(11), "b", &[(9, 64)]).await;
    store.put_day("us-east-1", "2026-11-20", None, "a", &[(9, 128)]).await;
    store.put_day("eu-west-2", "2026-11-21", None, "a", &[(0, 256)]).await;
    for other in
        ["status.json", "history-eu-west-2-2026-11-20.json", "history-x-2026-11-20.gz", "history-.gz", "é.gz"]
    {
        store.put(other, b"not gzip".to_vec()).await;
    }
    let documents = store.documents();
    let day = [
        "20 00h eu-west-2 a 4",
        "20 09h eu-west-2 a 40",
        "20 09h us-east-1 a 128",
        "20 09h eu-west-2 b 64",
        "20 10h eu-west-2 a 16",
    ];
    assert_eq!(shown(&documents, "2026-11-20T00:00", "2026-11-21T00:00").await, day);
    assert_eq!(
        shown(&documents, "2026-11-19T22:01", "2026-11-20T00:01").await,
        ["19 23h eu-west-2 a 2", "20 00h eu-west-2 a 4"]
    );
    assert_eq!(shown(&documents, "2026-11-20T09:01", "2026-11-20T10:00").await, [""; 0]);
    for (from, until) in [("2026-11-20T10:00", "2026-11-20T09:00"), ("2030-01-01T00:00", "2030-01-02T00:00")]
    {
        assert_eq!(shown(&documents, from, until).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_damaged_document_does_not_hide_the_others() {
    let store = Objects::default();
    let bytes = file("eu-west-2", "a", &[(9, 1), (10, 2)]).bytes();
    store.put(&key("eu-west-2", "2026-11-18", None), bytes[..bytes.len() - 1].to_vec()).await;
    // The checksum of the last hour differs.
    let mut flipped = bytes.clone();
    let end = flipped.len();
    flipped[end - 8] ^= 1;
    store.put(&key("eu-west-2", "2026-11-19", None), flipped).await;
    store.put(&key("eu-west-2", "2026-11-20", Some(1)), vec![0; (32 << 20) + 1]).await;
    store.put_day("eu-west-2", "2026-11-20", None, "a", &[(9, 4)]).await;
    let documents = store.documents();
    insta::assert_snapshot!(shown(&documents, "2026-11-18T00:00", "2026-11-21T00:00").await.join("\n"), @r#"
    19 09h eu-west-2 a 1
    20 09h eu-west-2 a 4
    "history-eu-west-2-2026-11-18.gz": it is damaged at byte 85
    "history-eu-west-2-2026-11-19.gz": the hour 10 is damaged: corrupt gzip stream does not have a matching checksum
    "history-eu-west-2-2026-11-20-1.gz": `history-eu-west-2-2026-11-20-1.gz` is refused: it is larger than 33554432 bytes
    "#);
    // An hour outside the period is not unpacked.
    assert_eq!(shown(&documents, "2026-11-19T00:00", "2026-11-19T10:00").await, ["19 09h eu-west-2 a 1"]);
}

#[tokio::test]
async fn a_store_that_fails_is_no_history() {
    let store = |refused: u32| async move {
        let mut store = Objects::default();
        for writer in 0..12 {
            store.put_day("eu-west-2", "2026-11-20", Some(writer), "a", &[(9, 1)]).await;
            if writer < refused {
                store.refused.insert(key("eu-west-2", "2026-11-20", Some(writer)));
            }
        }
        store
    };
    let day =
        async |store: Objects| read(&store.documents(), at("2026-11-20T00:00"), at("2026-11-21T00:00")).await;
    let some = day(store(8).await).await.unwrap();
    assert_eq!(some.hours.values().flat_map(Rows::values).map(|row| row.pings).sum::<u64>(), 4);
    insta::assert_snapshot!(some.unread[0], @r#""history-eu-west-2-2026-11-20-0.gz": access denied"#);
    insta::assert_snapshot!(day(store(9).await).await.unwrap_err(), @"the state store: access denied");
    let unlisted = Objects { is_unlisted: true, ..store(0).await };
    insta::assert_snapshot!(day(unlisted).await.unwrap_err(), @"the state store: no route");
}
