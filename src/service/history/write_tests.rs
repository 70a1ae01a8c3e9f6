//! The writer over a store that fails, loses answers, and is used by several processes.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::coverage::{Found, Look};
use crate::domain::function::FunctionRef;
use crate::domain::history::{Row, Rows};
use crate::domain::tick::TickReport;
use crate::engine::ports::{Condition, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version};
use crate::service::store::{Durability, Memory};

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is applied.
    Applied,
    /// It fails.
    Refused,
    /// It is applied, and its answer is lost.
    AnswerLost,
    /// It is applied, and repeated by the client when its answer was lost: a conflict with itself.
    Repeated,
}

/// A store in memory whose writes have fates, in their order.
#[derive(Debug)]
struct Flaky {
    memory: Arc<Memory>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    fate: fn(usize, usize) -> Fate,
    nth: usize,
}

impl Flaky {
    fn new(memory: &Arc<Memory>, nth: usize, fate: fn(usize, usize) -> Fate) -> Arc<Self> {
        let [reads, writes] = [0, 0].map(AtomicUsize::new);
        Arc::new(Self { memory: Arc::clone(memory), reads, writes, fate, nth })
    }

    fn sound(memory: &Arc<Memory>) -> Arc<Self> {
        Self::new(memory, 0, |_, _| Fate::Applied)
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }
}

impl ObjectStore for Flaky {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.memory.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        let fate = (self.fate)(self.writes.fetch_add(1, Ordering::Relaxed) + 1, self.nth);
        Box::pin(async move {
            let lost = || PutError::Failed(ObjectStoreError::from("no answer".to_owned()));
            match fate {
                Fate::Applied => self.memory.put(key, bytes, condition).await,
                Fate::Refused => Err(lost()),
                Fate::AnswerLost => self.memory.put(key, bytes, condition).await.and(Err(lost())),
                Fate::Repeated => self.memory.put(key, bytes, condition).await.and(Err(PutError::Conflict)),
            }
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.memory.list()
    }
}

fn start() -> DateTime<Utc> {
    "2026-11-20T23:50:00Z".parse().unwrap()
}

fn id(function: &str) -> Identity {
    FunctionRef::parse(function).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

fn fleet() -> Fleet {
    let window = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, Hours::AllDay), 2);
    Fleet::new(vec![Target {
        windows: vec![window],
        interval_minutes: 1,
        ..Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap())
    }])
}

/// A process that writes a history.
struct Process {
    writer: HistoryWriter,
    store: Arc<Flaky>,
    documents: DocumentStore,
    minutes: Minutes,
}

impl Process {
    fn new(store: Arc<Flaky>) -> Self {
        let documents = DocumentStore::new(Arc::clone(&store) as Arc<dyn ObjectStore>, Durability::Durable);
        Self { writer: HistoryWriter::default(), store, documents, minutes: Minutes::default() }
    }

    /// Records a tick with pings to f. Returns false if the status document could not be written.
    async fn tick(&mut self, minute: i64, pings: u64, document: &str) -> bool {
        let at = start() + TimeDelta::minutes(minute);
        let mut observed = Observed::new(&TickReport::empty(at, None), &fleet(), at, rand::random(), true);
        if pings > 0 {
            observed.rows = Rows::from([(id("f"), Row { pings, ..Row::default() })]);
        }
        self.save(observed, document).await
    }

    /// Records a tick that found f warm. Returns false if the status document could not be written.
    async fn warm_tick(&mut self, minute: i64) -> bool {
        let at = start() + TimeDelta::minutes(minute);
        let look = Look { reached: Some(2), found: Found::All, is_capped: false, serves_minutes: 1 };
        let tick = Observed::new(&TickReport::empty(at, None), &fleet(), at, rand::random(), true);
        self.save(Observed { looks: Some([(id("f"), look)].into()), ..tick }, STATUS).await
    }

    async fn save(&mut self, observed: Observed, document: &str) -> bool {
        let (fleet, at) = (fleet(), observed.at);
        let saving = self.writer.save(&self.documents, document, Some(observed), &fleet, at, |_| {});
        let Ok(Saved { minutes, to_move, .. }) = saving.await else { return false };
        self.minutes += minutes.into_values().sum();
        if let Some(to_move) = to_move {
            // A failure leaves the rows to the next tick.
            let _ = self.writer.move_rows(&self.documents, &to_move, &fleet).await;
        }
        true
    }
}

/// Returns the pings in the documents of days, after ticks that move what is left.
async fn pings(memory: &Arc<Memory>, documents: &[&str]) -> u64 {
    let mut process = Process::new(Flaky::sound(memory));
    for (index, document) in documents.iter().enumerate() {
        for minute in 0..20 {
            assert!(process.tick(minute + 20 * i64::try_from(index).unwrap() + 1_000, 0, document).await);
        }
        let status: Status = process.documents.read(document).await.unwrap();
        assert_eq!(status.history.unmoved().count(), 0);
    }
    let (from, until) = (start() - TimeDelta::days(1), start() + TimeDelta::days(2));
    let history = super::super::read(&process.documents, from, until).await.unwrap();
    assert_eq!(history.unread, [""; 0]);
    history.hours.values().flat_map(Rows::values).map(|row| row.pings).sum()
}

#[tokio::test(start_paused = true)]
async fn every_ping_is_counted_once_whatever_happens_to_a_write() {
    let fates: [fn(usize, usize) -> Fate; 4] = [
        |number, nth| if number == nth { Fate::Refused } else { Fate::Applied },
        |number, nth| if number == nth { Fate::AnswerLost } else { Fate::Applied },
        |number, nth| if number == nth { Fate::Repeated } else { Fate::Applied },
        |number, nth| match number % (nth + 1) {
            0 => Fate::Refused,
            1 => Fate::AnswerLost,
            _ => Fate::Applied,
        },
    ];
    for (kind, fate) in fates.into_iter().enumerate() {
        for nth in 1..45 {
            let memory = Arc::<Memory>::default();
            let mut process = Process::new(Flaky::new(&memory, nth, fate));
            for minute in 0..30 {
                let _ = process.tick(minute, 1, STATUS).await;
            }
            // The last tick may wait in the process.
            process.documents = Process::new(Flaky::sound(&memory)).documents;
            assert!(process.tick(30, 1, STATUS).await);
            assert_eq!(pings(&memory, &[STATUS]).await, 31, "fate {kind}, write {nth}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_minute_is_returned_once_whatever_happens_to_a_write() {
    let fates: [fn(usize, usize) -> Fate; 4] = [
        |number, nth| if number == nth { Fate::Refused } else { Fate::Applied },
        |number, nth| if number == nth { Fate::AnswerLost } else { Fate::Applied },
        |number, nth| if number == nth { Fate::Repeated } else { Fate::Applied },
        |number, nth| if number >= nth && number < nth + 3 { Fate::AnswerLost } else { Fate::Applied },
    ];
    for (kind, fate) in fates.into_iter().enumerate() {
        for nth in 1..20 {
            let memory = Arc::<Memory>::default();
            let mut process = Process::new(Flaky::new(&memory, nth, fate));
            for minute in 0..15 {
                let _ = process.warm_tick(minute).await;
            }
            process.documents = Process::new(Flaky::sound(&memory)).documents;
            assert!(process.warm_tick(15).await);
            let expected = Minutes { window: 15, warm: 15, ..Minutes::default() };
            assert_eq!(process.minutes, expected, "fate {kind}, write {nth}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_between_two_writes_loses_at_most_its_tick() {
    let fates: [fn(usize, usize) -> Fate; 2] = [
        |number, nth| if number >= nth { Fate::Refused } else { Fate::Applied },
        |number, nth| match number {
            _ if number > nth => Fate::Refused,
            _ if number == nth => Fate::AnswerLost,
            _ => Fate::Applied,
        },
    ];
    let mut lost = 0;
    for fate in fates {
        for nth in 1..30 {
            let memory = Arc::<Memory>::default();
            let mut process = Process::new(Flaky::new(&memory, nth, fate));
            let (mut minute, mut sent) = (0, 0);
            // It ends in the tick whose write has no answer.
            while process.store.writes() < nth {
                sent += 1;
                let _ = process.tick(minute, 1, STATUS).await;
                minute += 1;
            }
            let mut next = Process::new(Flaky::sound(&memory));
            for minute in minute..minute + 10 {
                assert!(next.tick(minute, 1, STATUS).await);
            }
            let pings = pings(&memory, &[STATUS]).await;
            assert!(pings == sent + 10 || pings == sent + 9, "write {nth}: {pings} of {sent}");
            lost += usize::from(pings == sent + 9);
        }
    }
    // Only where the status document was not written at all.
    assert!(0 < lost && lost < 58 / 2, "{lost}");
}

/// Returns the pings that the status document still has.
async fn unmoved(memory: &Arc<Memory>) -> u64 {
    let status: Status = Process::new(Flaky::sound(memory)).documents.read(STATUS).await.unwrap();
    let rows = status.history.unmoved().flat_map(Unmoved::rows);
    rows.flat_map(|(_, rows)| rows.values()).map(|row| row.pings).sum()
}

/// Runs three hours of ticks, each by one of `processes` in turn; by one of its own without any. Returns the reads and
/// the writes.
async fn three_hours(processes: usize) -> (usize, usize) {
    let memory = Arc::<Memory>::default();
    let mut all: Vec<Process> = (0..processes).map(|_| Process::new(Flaky::sound(&memory))).collect();
    let (mut reads, mut writes) = (0, 0);
    for minute in 0..180 {
        let index = minute % processes.max(1);
        let mut own = None;
        let process = all.get_mut(index);
        let process = process.unwrap_or_else(|| own.insert(Process::new(Flaky::sound(&memory))));
        assert!(process.tick(minute.try_into().unwrap(), 1, STATUS).await);
        let store = &process.store;
        reads += store.reads.swap(0, Ordering::Relaxed);
        writes += store.writes.swap(0, Ordering::Relaxed);
        let left = unmoved(&memory).await;
        assert!(left <= 7, "{left} pings are not moved in minute {minute}");
    }
    assert_eq!(pings(&memory, &[STATUS]).await, 180, "{processes} processes");
    (reads, writes)
}

#[tokio::test(start_paused = true)]
async fn a_process_finishes_the_moves_of_others() {
    // A tick reads and writes the status document, and a move that of its day. Two days have a part of one move.
    let (moves, parts) = (30, 31);
    assert_eq!(three_hours(1).await, (180 + parts, 180 + parts));
    // But for the last move, the next process reads the document of the day, and then the status document again.
    let checks = (moves - 1) + (parts - 1);
    for processes in [0, 2] {
        assert_eq!(three_hours(processes).await, (180 + parts + checks, 180 + parts), "{processes}");
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_end_between_two_writes_lose_at_most_their_tick() {
    let fates: [fn(usize, usize) -> Fate; 2] = [
        |number, nth| if nth > 0 && number >= nth { Fate::Refused } else { Fate::Applied },
        |number, nth| match number {
            _ if nth > 0 && number > nth => Fate::Refused,
            _ if number == nth => Fate::AnswerLost,
            _ => Fate::Applied,
        },
    ];
    let mut lost = 0;
    for fate in fates {
        // The process of each write ends at it, or those of this one and of the next ones.
        for (nth, ends) in (1..25).flat_map(|nth| [(nth, 1), (nth, 2), (nth, 3)]) {
            let memory = Arc::<Memory>::default();
            let (mut writes, mut ended) = (0, 0);
            for minute in 0..30 {
                let left = nth - writes.min(nth);
                let is_ending = ended < ends && (left > 0 || ended > 0);
                let ends_at = if ended > 0 { 1 } else { left };
                let store = Flaky::new(&memory, if is_ending { ends_at } else { 0 }, fate);
                let mut process = Process::new(Arc::clone(&store));
                let _ = process.tick(minute, 1, STATUS).await;
                writes += store.writes();
                ended += usize::from(is_ending && store.writes() >= ends_at);
            }
            let pings = pings(&memory, &[STATUS]).await;
            let least = 30 - u64::try_from(ended).unwrap();
            assert!((least..=30).contains(&pings), "write {nth}, {ends} processes: {pings}");
            lost += 30 - pings;
        }
    }
    assert!(lost > 0);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_each_process_finds_damaged_is_replaced() {
    let memory = Arc::<Memory>::default();
    let key = "history-eu-west-2-2026-11-20.gz";
    memory.put(key, b"not gzip".to_vec(), Condition::New).await.unwrap();
    for minute in 0..60 {
        let mut process = Process::new(Flaky::sound(&memory));
        assert!(process.tick(minute, 1, STATUS).await);
        let left = unmoved(&memory).await;
        assert!(left <= 8, "{left} pings are not moved in minute {minute}");
    }
    let Fetched::Object { bytes, .. } = memory.get(key, None).await.unwrap() else { panic!() };
    assert_eq!(bytes, b"not gzip");
}

#[tokio::test(start_paused = true)]
async fn two_processes_add_up() {
    for documents in [[STATUS, STATUS], ["status-3", "status-c"]] {
        let memory = Arc::<Memory>::default();
        let sound = || Process::new(Flaky::sound(&memory));
        let (mut one, mut other) = (sound(), sound());
        for minute in 0..30 {
            assert!(one.tick(minute, 1, documents[0]).await);
            assert!(other.tick(minute, 10, documents[1]).await);
        }
        assert_eq!(pings(&memory, &documents).await, 330, "{documents:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_document_is_left_and_another_one_is_begun() {
    let memory = Arc::<Memory>::default();
    let key = "history-eu-west-2-2026-11-20.gz";
    memory.put(key, b"not gzip".to_vec(), Condition::New).await.unwrap();
    let mut process = Process::new(Flaky::sound(&memory));
    for minute in 0..9 {
        assert!(process.tick(minute, 1, STATUS).await);
    }
    // Another process takes the other document as well.
    let mut process = Process::new(Flaky::sound(&memory));
    for minute in 1_000..1_020 {
        assert!(process.tick(minute, 0, STATUS).await);
    }
    let keys: Vec<String> = memory.list().await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys[..2], ["history-eu-west-2-2026-11-20-30.gz".to_owned(), key.to_owned()]);
    let Fetched::Object { bytes, .. } = memory.get(key, None).await.unwrap() else { panic!() };
    assert_eq!(bytes, b"not gzip");
    let Fetched::Object { bytes, .. } = memory.get(&keys[0], None).await.unwrap() else { panic!() };
    let rows = DayFile::parse(&bytes).unwrap().rows(23, Region::parse("eu-west-2").unwrap()).unwrap();
    assert_eq!(rows[&id("f")].pings, 9);
}

#[tokio::test(start_paused = true)]
async fn the_documents_of_days_are_written_every_five_minutes() {
    let memory = Arc::<Memory>::default();
    let mut process = Process::new(Flaky::sound(&memory));
    for minute in 0..120 {
        assert!(process.tick(minute, 1, STATUS).await);
    }
    let Fetched::Object { version, .. } = memory.get("history-eu-west-2-2026-11-21.gz", None).await.unwrap()
    else {
        panic!()
    };
    // From 00:01 to 01:49: the tick after a move begins the next five minutes.
    assert_eq!(version.0, "19");
}
