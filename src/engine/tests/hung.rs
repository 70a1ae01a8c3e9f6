//! Targets that do not answer: they delay no other target, and their pings are counted once.

use super::*;
use crate::domain::tick::{RoundRecord, SkipReason};

/// A round that never ends by itself.
pub(crate) const HUNG: Script = Script::Runs(Duration::from_secs(1_000_000));

/// `due` with an interval and a timeout.
pub(crate) fn timed(name: &str, interval_minutes: u32, timeout: Option<u64>) -> Due {
    let due = due(name, 2);
    let timeout = timeout.map(Duration::from_secs);
    Due { target: Arc::new(Target { interval_minutes, timeout, ..Target::clone(&due.target) }), ..due }
}

/// Runs one round of a target.
async fn round(engine: &Arc<Engine<ScriptedLambda>>, due: &Due) -> RoundRecord {
    let (_stopper, stop) = stop();
    engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due.clone()], &stop).await.rounds.remove(0)
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_the_wait_is_limited_and_the_target_skipped() {
    let (engine, _) = engine(&[("hung", HUNG)], 10);
    let due = timed("hung", 5, None);
    let began = Instant::now();
    let first = round(&engine, &due).await;
    assert_eq!((first.counts().timed_out, began.elapsed().as_secs()), (2, 180));
    // Two intervals from the sending of the pings.
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(round(&engine, &due).await.skip_reason(), Some(SkipReason::InFlight));
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(round(&engine, &due).await.skip_reason(), Some(SkipReason::InFlight));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let again = Instant::now();
    assert_eq!(round(&engine, &due).await.counts().timed_out, 2);
    assert_eq!(again.elapsed().as_secs(), 360, "twice as long");
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_with_a_configured_timeout() {
    let (engine, _) = engine(&[("hung", HUNG)], 10);
    let due = timed("hung", 1, Some(30));
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(round(&engine, &due).await.counts().timed_out, 2, "its invocations have ended");
        assert_eq!(began.elapsed().as_secs(), 50);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_waits_for_room_is_not_in_flight() {
    let (engine, scripted) = engine(&[("hung", HUNG), ("f", Script::Runs(Duration::ZERO))], 2);
    let tick = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move {
            let (_stopper, stop) = stop();
            let due = vec![timed("hung", 5, Some(100)), timed("f", 5, None)];
            engine.tick(at("2026-11-20T09:00:00Z"), None, due, &stop).await
        }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(round(&engine, &timed("f", 5, None)).await.skip_reason(), Some(SkipReason::NoRoom));
    assert_eq!(round(&engine, &timed("hung", 5, None)).await.skip_reason(), Some(SkipReason::InFlight));
    assert_eq!(scripted.sent.lock().unwrap().len(), 2, "the target that waits has no pings");
    let report = tick.await.unwrap();
    assert_eq!((report.rounds[1].id.label().as_str(), report.rounds[1].counts().warm), ("f", 2));
}
