//! The history of `run --once --due-only` that cron starts each minute, a process for each tick.

use super::*;
use crate::domain::coverage::Minutes;
use crate::domain::history::{History, Rows};
use crate::service::history;

const FUNCTION: &[(&str, Script)] = &[("f", Script::Runs(Duration::from_secs(1)))];

/// Serves a minute after [`NOW`] with a process of its own.
async fn tick(store: &Arc<dyn ObjectStore>, minute: i64) {
    let harness = Harness::with_store(FUNCTION, Arc::clone(store));
    harness.clock.ahead.store(minute * 60, Ordering::SeqCst);
    let health = harness.serve(Trigger::RunOnce { at: None, due_only: true }).await.unwrap();
    assert_eq!(health, StoreHealth::Sound, "{minute}");
}

/// Returns the minutes and the pings that a reader of the store finds, and the pings in the documents of days alone.
async fn known(store: &Arc<dyn ObjectStore>) -> (Minutes, u64, u64) {
    let documents = DocumentStore::new(Arc::clone(store), Durability::Durable);
    let (from, until) = (at("2026-11-20T00:00:00Z"), at("2026-11-22T00:00:00Z"));
    let History { hours, unread } = history::read(&documents, from, until).await.unwrap();
    assert_eq!(unread, [""; 0]);
    let rows: Vec<_> = hours.values().flat_map(Rows::values).collect();
    let pings = rows.iter().map(|row| row.pings).sum();
    let status: Status = documents.read(STATUS).await.unwrap();
    let unmoved = status.history.unmoved().flat_map(|unmoved| unmoved.rows());
    let left: u64 = unmoved.flat_map(|(_, rows)| rows.values()).map(|row| row.pings).sum();
    // Rows that are sealed are in the documents already.
    let sealed = status.history.sealed().into_iter().flat_map(|sealed| sealed.rows());
    let sealed: u64 = sealed.flat_map(|(_, rows)| rows.values()).map(|row| row.pings).sum();
    (rows.iter().map(|row| row.minutes).sum(), pings, pings - left + sealed)
}

#[tokio::test(start_paused = true)]
async fn ticks_of_processes_of_their_own_are_moved_into_the_documents_of_days() {
    const MINUTES: u64 = 180;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::default());
    for minute in 0..MINUTES {
        tick(&store, minute.try_into().unwrap()).await;
        let (minutes, pings, moved) = known(&store).await;
        assert_eq!((minutes.window, minutes.warm, pings), (minute, minute, 2 * minute + 2));
        assert!(moved + 2 * 6 >= pings, "{moved} of {pings} pings are moved in minute {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_between_two_processes_is_shown_at_once() {
    const HOURS: i64 = 20;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::default());
    // The last process has sealed rows, or it has not.
    for last in [5, 7] {
        let store = match last {
            5 => Arc::clone(&store),
            _ => Arc::new(Memory::default()),
        };
        for minute in 0..=last {
            tick(&store, minute).await;
        }
        tick(&store, last + HOURS * 60).await;
        let expected = u64::try_from(last + HOURS * 60).unwrap();
        let warm = u64::try_from(last + 1).unwrap();
        let (minutes, ..) = known(&store).await;
        assert_eq!(minutes, Minutes { window: expected, warm, ..Minutes::default() }, "{last}");
    }
}
