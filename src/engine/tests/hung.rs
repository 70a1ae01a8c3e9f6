//! Targets that do not answer: they delay no other target, and their pings are counted once.

use super::*;
use crate::domain::tick::RoundRecord;

/// A round that never ends by itself.
const HUNG: Script = Script::Runs(Duration::from_secs(1_000_000));

/// Runs one tick of these rounds as the daemon does. Returns its parts, each with the time of its report.
async fn parts(
    engine: &Arc<Engine<Shared>>,
    due: Vec<Due>,
    stop: crate::engine::stop::Stop,
) -> Vec<(u64, Part)> {
    struct Parts(Instant, Mutex<Vec<(u64, Part)>>);
    impl crate::engine::running::Reporter for Parts {
        async fn part(&self, part: Part) {
            self.1.lock().unwrap().push((self.0.elapsed().as_secs(), part));
        }
    }
    let parts = Parts(Instant::now(), Mutex::default());
    let running = engine.start(at("2026-11-20T09:00:00Z"), None, due, &stop);
    let skipped = vec![RoundRecord::skipped(&super::due("paused", 1).target, 1, SkipReason::Paused)];
    running.in_parts(&skipped, stop, GRACE, &parts).await;
    parts.1.into_inner().unwrap()
}

fn functions(part: &Part) -> Vec<String> {
    part.report.rounds.iter().map(|round| round.id.label()).collect()
}

/// `due` with an interval and a timeout.
fn timed(name: &str, interval_minutes: u32, timeout: Option<u64>) -> Due {
    let due = due(name, 2);
    let timeout = timeout.map(Duration::from_secs);
    Due { target: Arc::new(Target { interval_minutes, timeout, ..Target::clone(&due.target) }), ..due }
}

#[tokio::test(start_paused = true)]
async fn a_hung_target_delays_no_report_of_the_others() {
    for (interval, reported) in [(5, 45), (1, 30)] {
        let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(1))), ("hung", HUNG)], 10);
        let (_stopper, stop) = stop();
        let due = vec![timed("hung", interval, Some(100)), timed("f", 5, None)];
        let parts = parts(&engine, due, stop).await;
        let [(first_at, first), (last_at, last)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!((*first_at, *last_at), (reported, 120), "half the shortest interval, 45 s at most");
        assert_eq!((functions(first).join(" ").as_str(), first.report.partial), ("f paused", true));
        assert_eq!(
            (functions(last).join(" ").as_str(), last.report.partial),
            ("hung", false),
            "only the rest"
        );
        assert_eq!((first.is_first, first.whole.is_none()), (true, true));
        assert_eq!((last.is_first, first.report.tick), (false, last.report.tick));
        assert_eq!(first.running.iter().map(|due| due.target.label.as_str()).collect::<Vec<_>>(), ["hung"]);
        let whole = last.whole.as_ref().unwrap();
        assert_eq!((whole.rounds.len(), whole.unfinished.len()), (3, 0));
        assert_eq!(last.report.rounds[0].counts().timed_out, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_ends_in_time_has_one_part() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(1)))], 10);
    let (_stopper, stop) = stop();
    let parts = parts(&engine, vec![due("f", 2)], stop).await;
    let [(1, part)] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(
        (functions(part).join(" ").as_str(), part.report.partial, part.is_first),
        ("f paused", false, true)
    );
    assert_eq!(part.whole.as_ref(), Some(&part.report));
}

#[tokio::test(start_paused = true)]
async fn after_the_signal_to_stop_a_tick_ends_within_the_grace_and_lists_the_rest() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(15))), ("hung", HUNG)], 10);
    let (stopper, stop) = stop();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        stopper.stop();
        std::future::pending::<()>().await;
    });
    let parts = parts(&engine, vec![due("hung", 3), due("f", 2)], stop).await;
    let [(20, part)] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(functions(part), ["f", "paused"]);
    let [left] = &part.report.unfinished[..] else { panic!("{part:?}") };
    assert_eq!(
        (left.id.label().as_str(), left.desired, left.reason),
        ("hung", 3, UnfinishedReason::InFlight)
    );
    assert_eq!(part.report.unreported_pings(), 3);
    assert!(part.until > Instant::now(), "there is time for recording");
}

/// One round of a target at this time, seconds from the start.
async fn round(engine: &Arc<Engine<Shared>>, due: &Due) -> RoundRecord {
    let (_stopper, stop) = stop();
    engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due.clone()], &stop).await.rounds.remove(0)
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_the_wait_is_limited_and_the_target_paused() {
    let (engine, _) = engine(&[("hung", HUNG)], 10);
    let due = timed("hung", 5, None);
    let began = Instant::now();
    let first = round(&engine, &due).await;
    assert_eq!((first.counts().timed_out, began.elapsed().as_secs()), (2, 180));
    // Two intervals from when the pings were sent.
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
