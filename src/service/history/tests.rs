use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};

use super::*;
use crate::domain::coverage::Minutes;
use crate::domain::fleet::Fleet;
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::history::{DayFile, Observed, Row, Rows};
use crate::domain::records::STATUS;
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
    lists: AtomicUsize,
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

    fn remove<'a>(&'a self, key: &'a str, expected: &'a Version) -> StoreFuture<'a, (), PutError> {
        match self.refused.contains(key) {
            true => Box::pin(async { Err(ObjectStoreError::from("access denied".to_owned()).into()) }),
            false => self.memory.remove(key, expected),
        }
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
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
        let minutes = Minutes { window: 60, warm: *pings % 60, ..Minutes::default() };
        let row = Row { pings: *pings, ..Row::of_minutes(minutes) };
        let rows: Rows = [(id(function, region_name), row)].into();
        file.add(*hour, region(region_name), 7, &rows).unwrap();
    }
    file
}

/// Reads the minutes by target and hour, and the unread documents.
async fn minutes(
    documents: &DocumentStore,
    from: &str,
    until: &str,
) -> (BTreeMap<(Identity, i64), Minutes>, BTreeSet<String>) {
    let mut sums: BTreeMap<(Identity, i64), Minutes> = BTreeMap::new();
    let add = |id: &Identity, hours: &[(i64, Minutes)]| {
        hours.iter().for_each(|(hour, minutes)| *sums.entry((id.clone(), *hour)).or_default() += *minutes);
    };
    let unread = for_each_minutes(documents, at(from), at(until), add).await.unwrap();
    (sums, unread.into_iter().collect())
}

/// Reads a period, and returns a line for each row, and one for each unread document. The minutes alone are those of the
/// rows.
async fn shown(documents: &DocumentStore, from: &str, until: &str) -> Vec<String> {
    let history = read(documents, at(from), at(until)).await.unwrap();
    let rows = history.hours.iter().flat_map(|(hour, rows)| rows.iter().map(move |row| (*hour, row)));
    let of_rows = rows.map(|(hour, (id, row))| ((id.clone(), hour), row.minutes)).collect();
    let unread = history.unread.iter().cloned().collect();
    assert_eq!(minutes(documents, from, until).await, (of_rows, unread));
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
        ["pauses.json", "history-eu-west-2-2026-11-20.json", "history-x-2026-11-20.gz", "history-.gz", "é.gz"]
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
    "history-eu-west-2-2026-11-18.gz": it is damaged at byte 106
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
    let day = async |store: Objects| {
        let (documents, [from, until]) =
            (store.documents(), ["2026-11-20T00:00", "2026-11-21T00:00"].map(at));
        let history = read(&documents, from, until).await;
        let minutes = for_each_minutes(&documents, from, until, |_, _| {}).await;
        assert_eq!(minutes, history.clone().map(|history| history.unread));
        history
    };
    let some = day(store(8).await).await.unwrap();
    assert_eq!(some.hours.values().flat_map(Rows::values).map(|row| row.pings).sum::<u64>(), 4);
    insta::assert_snapshot!(some.unread[0], @r#""history-eu-west-2-2026-11-20-0.gz": access denied"#);
    insta::assert_snapshot!(day(store(9).await).await.unwrap_err(), @"the state store: access denied");
    let unlisted = Objects { is_unlisted: true, ..store(0).await };
    insta::assert_snapshot!(day(unlisted).await.unwrap_err(), @"the state store: no route");
}

/// Returns a store with the documents of `number` days from 2025-01-01 on.
async fn days(number: usize) -> Objects {
    let store = Objects::default();
    let bytes = file("eu-west-2", "a", &[(9, 1)]).bytes();
    for day in at("2025-01-01T00:00").date_naive().iter_days().take(number) {
        store.put(&key("eu-west-2", &day.to_string(), None), bytes.clone()).await;
    }
    for other in ["pauses.json", "history-x-2020-01-01.gz", "history-eu-west-2-2020-01-01.json"] {
        store.put(other, b"{}".to_vec()).await;
    }
    store
}

/// Returns the first days that have a document, and the number of objects.
async fn left(documents: &DocumentStore) -> (String, usize) {
    let keys = documents.keys().await.unwrap();
    (keys.iter().find(|key| key.ends_with("gz")).unwrap().clone(), keys.len())
}

#[tokio::test]
async fn days_that_are_not_kept_are_removed() {
    let documents = days(410).await.documents();
    assert_eq!(expire(&documents, 400, at("2026-02-14T09:00")).await, Ok(9), "the last of 410 days");
    assert_eq!(left(&documents).await, (key("eu-west-2", "2025-01-10", None), 404));
    assert_eq!(expire(&documents, 400, at("2026-02-14T09:05")).await, Ok(0));
    // A clock that is ahead by years, before and after it has recorded a day.
    assert_eq!(expire(&documents, 401, at("2030-01-01T00:00")).await, Ok(0));
    documents.put_object(&key("eu-west-2", "2030-01-01", None), Vec::new(), None).await.unwrap();
    assert_eq!(expire(&documents, 401, at("2030-01-01T00:05")).await, Ok(1));
    assert_eq!(expire(&documents, 1, at("1970-01-01T00:05")).await, Ok(0));
}

#[tokio::test]
async fn a_thousand_documents_are_removed_at_once() {
    let documents = days(1_210).await.documents();
    let now = at("2028-04-24T00:00");
    assert_eq!(expire(&documents, 10, now).await, Ok(1_000));
    assert_eq!(left(&documents).await.1, 213);
    assert_eq!(expire(&documents, 10, now).await, Ok(199), "today and ten days before it");
}

#[tokio::test(start_paused = true)]
async fn old_documents_are_removed_once_a_day() {
    let mut store = days(20).await;
    let denied = key("eu-west-2", "2025-01-02", None);
    store.refused.insert(denied.clone());
    let objects = Arc::new(store);
    let documents = DocumentStore::new(Arc::clone(&objects) as Arc<dyn ObjectStore>, Durability::Durable);
    let expiry = Expiry::default();
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
    let daily = async |time: &str| {
        expiry.daily(&documents, 10, at(time), until).await;
        left(&documents).await.1
    };
    // Without the permission for one document the tick goes on.
    let first = daily("2025-01-20T00:00").await;
    assert!(first >= 23 - 8, "{first}");
    assert_eq!(daily("2025-01-20T00:05").await, first);
    assert!(documents.keys().await.unwrap().contains(&denied));
    // The next process of the day leaves the store alone, and the first one of the next day does not.
    let writer = HistoryWriter::default();
    for (time, lists) in [("2025-01-20T00:10", 0), ("2025-01-21T00:00", 1), ("2025-01-21T00:01", 0)] {
        let saved = writer.save(&documents, STATUS, None, &Fleet::new(Vec::new()), at(time), |_| {}).await;
        let expiry = Expiry::default();
        expiry.note(saved.unwrap().removed, at(time));
        let before = objects.lists.load(Ordering::Relaxed);
        expiry.daily(&documents, 10, at(time), until).await;
        assert_eq!(objects.lists.load(Ordering::Relaxed) - before, lists, "{time}");
    }
    let volatile = DocumentStore::new(Arc::new(days(20).await), Durability::Volatile);
    Expiry::default().daily(&volatile, 10, at("2025-01-20T00:00"), until).await;
    assert_eq!(left(&volatile).await.1, 23);
}

/// All objects of a store.
type Snapshot = BTreeMap<String, Vec<u8>>;

/// A store that keeps a copy of itself after each write.
#[derive(Debug, Default)]
struct Filmed {
    memory: Memory,
    film: Mutex<Vec<Snapshot>>,
}

impl ObjectStore for Filmed {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        self.memory.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(async move {
            let put = self.memory.put(key, bytes.clone(), condition).await;
            if put.is_ok() {
                let mut film = self.film.lock().unwrap();
                let mut next = film.last().cloned().unwrap_or_default();
                next.insert(key.to_owned(), bytes);
                film.push(next);
            }
            put
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.memory.list()
    }
}

/// A store that changes into a later one between two reads.
#[derive(Debug)]
struct Changing {
    before: Snapshot,
    after: Snapshot,
    /// The number of reads of `before`.
    reads: AtomicUsize,
}

impl Changing {
    fn now(&self) -> &Snapshot {
        let left = self.reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { &self.before } else { &self.after }
    }
}

impl ObjectStore for Changing {
    fn get<'a>(&'a self, key: &'a str, _: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        let object =
            |bytes: &Vec<u8>| Fetched::Object { bytes: bytes.clone(), version: Version(String::new()) };
        let fetched = self.now().get(key).map_or(Fetched::Missing, object);
        Box::pin(async { Ok(fetched) })
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>, _: Condition<'a>) -> StoreFuture<'a, Version, PutError> {
        Box::pin(async { Err(PutError::Conflict) })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        let keys: Vec<_> = self.now().keys().map(|key| (key.clone(), Version(String::new()))).collect();
        Box::pin(async { Ok(keys) })
    }
}

/// Returns the pings of a history, or of its minutes alone. Their digits in base 4 are the ticks.
async fn pings(store: Changing, minutes_alone: bool) -> u64 {
    let documents = DocumentStore::new(Arc::new(store), Durability::Durable);
    let (from, until) = ("2026-11-20T00:00", "2026-11-22T00:00");
    if minutes_alone {
        let (sums, unread) = minutes(&documents, from, until).await;
        assert_eq!(unread.len(), 0);
        let tick = |id: &Identity| id.label()[1..].parse().unwrap();
        return sums.iter().map(|((id, _), minutes)| minutes.window * 4_u64.pow(tick(id))).sum();
    }
    let history = read(&documents, at(from), at(until)).await.unwrap();
    assert_eq!(history.unread, [""; 0]);
    history.hours.values().flat_map(Rows::values).map(|row| row.pings).sum()
}

#[tokio::test]
async fn a_reader_between_any_two_writes_sees_each_ping_once() {
    const TICKS: u32 = 13;
    let filmed = Arc::new(Filmed::default());
    let documents = DocumentStore::new(Arc::clone(&filmed) as Arc<dyn ObjectStore>, Durability::Durable);
    let (writer, fleet) = (HistoryWriter::default(), Fleet::new(Vec::new()));
    // Over midnight, in two regions, by a scheduler and by a shard.
    for tick in 0..TICKS {
        let now = at("2026-11-20T23:53") + chrono::TimeDelta::minutes(tick.into());
        let region = if tick % 2 == 0 { "eu-west-2" } else { "us-east-1" };
        let document = if tick % 3 == 0 { "status-3" } else { STATUS };
        let pings = 4_u64.pow(tick);
        let minutes = Minutes { window: 1, ..Minutes::default() };
        let rows = [(id(&format!("f{tick}"), region), Row { pings, ..Row::of_minutes(minutes) })].into();
        let write = 1_000 + u64::from(tick);
        let observed = Observed { write, at: now, rows, looks: None, is_scheduled: true };
        let saved = writer.save(&documents, document, Some(observed), &fleet, now, |_| {}).await.unwrap();
        if let Some(to_move) = saved.to_move {
            writer.move_rows(&documents, &to_move, &fleet).await.unwrap();
        }
    }
    let film = filmed.film.lock().unwrap().clone();
    let days = film.last().unwrap().keys().filter(|key| key.ends_with(".gz")).count();
    assert!(days >= 3, "{days} documents of days");
    // Each write of a status document is a tick.
    let mut noted = Vec::new();
    for (index, snapshot) in film.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| &film[index]);
        let is_tick = snapshot.iter().any(|(key, bytes)| {
            key.ends_with(".json") && before.and_then(|before| before.get(key)) != Some(bytes)
        });
        noted.push(noted.last().copied().unwrap_or(0) + u32::from(is_tick));
    }
    assert_eq!(noted.last(), Some(&TICKS));
    for (first, before) in film.iter().enumerate() {
        for (last, after) in film.iter().enumerate().skip(first).take(4) {
            for (reads, alone) in (0..26).flat_map(|reads| [(reads, false), (reads, true)]) {
                let (before, after) = (before.clone(), after.clone());
                let seen = pings(Changing { before, after, reads: AtomicUsize::new(reads) }, alone).await;
                let digit = |tick: u32| seen / 4_u64.pow(tick) % 4;
                for tick in 0..TICKS {
                    let context = format!("tick {tick}, writes {first} to {last} after {reads} reads");
                    assert!(digit(tick) <= 1, "twice: {context}");
                    assert!(tick >= noted[first] || digit(tick) == 1, "missing: {context}");
                    assert!(tick < noted[last] || digit(tick) == 0, "too early: {context}");
                }
            }
        }
    }
}
