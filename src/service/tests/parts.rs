//! The report in parts: targets that do not answer do not delay the report on the others.

use super::*;
use crate::engine::tests::hung::{HUNG, timed};

/// Runs these rounds, and returns the parts of the report with the seconds after which they were reported.
async fn parts(
    engine: &Arc<Engine<ScriptedLambda>>,
    due: Vec<Due>,
    stop: crate::engine::stop::Stop,
) -> Vec<(u64, Part)> {
    struct Parts(Instant, Mutex<Vec<(u64, Part)>>);
    impl Reporter for Parts {
        async fn complete(&self, _: &mut TickReport) {}

        async fn part(&self, part: &Part) {
            let Part { report, is_first, whole, running, until } = part;
            let (report, whole, running) = (report.clone(), whole.clone(), running.clone());
            let part = Part { report, is_first: *is_first, whole, running, until: *until };
            self.1.lock().unwrap().push((self.0.elapsed().as_secs(), part));
        }
    }
    let parts = Parts(Instant::now(), Mutex::default());
    let running = engine.start(at("2026-11-20T09:00:00Z"), None, due, None, &stop);
    let skipped = vec![RoundRecord::skipped(&super::due("paused", 1).target, 1, SkipReason::Paused)];
    let budget = TimeBudget::until_stopped(stop, Some(GRACE));
    report_in_parts(running, skipped, &budget, &parts).await;
    parts.1.into_inner().unwrap()
}

fn functions(part: &Part) -> Vec<&str> {
    part.report.rounds.iter().map(|round| round.id.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hung_target_delays_the_report_on_no_other() {
    for (interval, reported) in [(5, 45), (1, 30)] {
        let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(1))), ("hung", HUNG)], 10);
        let (_stopper, stop) = stop();
        let due = vec![timed("hung", interval, Some(100)), timed("f", 5, None)];
        let parts = parts(&engine, due, stop).await;
        let [(first_at, first), (last_at, last)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!((*first_at, *last_at), (reported, 120), "half the shortest interval, 45 s at most");
        assert_eq!((functions(first), first.report.partial), (vec!["f", "paused"], true));
        assert_eq!((functions(last), last.report.partial), (vec!["hung"], false), "only the rest");
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
    assert_eq!((functions(part), part.report.partial, part.is_first), (vec!["f", "paused"], false, true));
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
    assert_eq!((left.id.name.as_str(), left.desired, left.reason), ("hung", 3, UnfinishedReason::InFlight));
    assert_eq!(part.report.unreported_pings(), 3);
    assert!(part.until > Instant::now(), "there is time for recording");
}
