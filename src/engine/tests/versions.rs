//! The rounds of the versions behind a weighted alias.

use super::*;
use crate::domain::function::Qualifier;
use crate::domain::guard::{Terms, of_version};
use crate::domain::preflight::{Pool, Room};
use crate::domain::round::{FirstPing, Purpose};
use crate::domain::routing::Weight;
use crate::domain::tick::RoundRecord;
use crate::engine::tick::VersionDue;

const TICK: &str = "2026-11-20T09:00:00Z";

/// The round of an alias with these versions, which have the same number of pings.
fn alias(pings: u32, versions: &[&str]) -> Due {
    let due = due("f:live", pings);
    let version = |number: &&str| {
        let target = Arc::new(of_version(&due.target, &Qualifier::parse(number).unwrap()));
        let weight = Weight::new(0.5).unwrap();
        VersionDue { weight, due: Due { target, ..due.clone() }, skipped: None }
    };
    Due { versions: versions.iter().map(version).collect(), ..due.clone() }
}

fn with(mut due: Due, change: impl Fn(&str, &mut VersionDue)) -> Due {
    for version in &mut due.versions {
        let number = version.due.target.id.qualifier.clone().unwrap();
        change(number.as_str(), version);
    }
    due
}

async fn run(scripts: &[(&'static str, Script)], cap: usize, due: Vec<Due>) -> (TickReport, Arc<Scripted>) {
    let (engine, scripted) = engine(scripts, cap);
    let (_stopper, stop) = stop();
    let report = engine.tick(at(TICK), None, due, &stop).await;
    assert!(scripted.most_in_flight.load(Ordering::SeqCst) <= cap, "the cap is exceeded");
    assert!(engine.still_in_flight().is_empty());
    (report, scripted)
}

fn shown(record: &RoundRecord) -> String {
    let each = record.sent().unwrap().versions.iter().map(|version| {
        let record = &version.record;
        let number = record.id.qualifier.as_ref().unwrap();
        format!("{number} {}/{} {}", record.pings(), record.desired, record.verdict().name())
    });
    let each: Vec<String> = each.collect();
    let reached = record.reached().map_or_else(|| "?".to_owned(), |reached| reached.to_string());
    format!(
        "{}: {reached} {} of {} | {}",
        record.pings(),
        record.verdict().name(),
        record.desired,
        each.join(", ")
    )
}

const RUNS: Script = Script::Runs(Duration::ZERO);

#[tokio::test(start_paused = true)]
async fn every_version_is_pinged_with_the_full_number_at_once() {
    let scripts = [("f:7", RUNS), ("f:8", RUNS), ("f:live", Script::Panics)];
    let (report, scripted) = run(&scripts, 100, vec![alias(5, &["7", "8"])]).await;
    let [record] = &report.rounds[..] else { panic!("{report:?}") };
    assert_eq!(record.id.label(), "f:live");
    assert_eq!(shown(record), "10: 5 reached of 5 | 7 5/5 reached, 8 5/5 reached");
    let sent = scripted.sent.lock().unwrap();
    assert!(sent.iter().all(|(_, at)| *at == sent[0].1), "side by side");
}

#[tokio::test(start_paused = true)]
async fn versions_above_the_cap_or_the_room_follow_one_another() {
    let room = Room { pool: Pool::Account(Region::parse("eu-west-2").unwrap(), None), limit: 5 };
    let roomy = |cap: usize, room: Option<Room>| {
        let terms = Terms { room, ..Terms::default() };
        let due = with(alias(5, &["7", "8", "9"]), |_, version| version.due.terms = terms.clone());
        let scripts = [("f", RUNS), ("g", RUNS)];
        async move {
            let parts = [due, super::due("g", 2)].map(|due| Due { together: Some(1), ..due });
            run(&scripts, cap, parts.to_vec()).await
        }
    };
    for (cap, room) in [(5, None), (100, Some(room))] {
        let (report, scripted) = roomy(cap, room).await;
        let verdicts: Vec<Verdict> = report.rounds.iter().map(RoundRecord::verdict).collect();
        assert_eq!(verdicts, [Verdict::Reached; 2], "{report:?}");
        let mut starts: Vec<Instant> = scripted.sent.lock().unwrap().iter().map(|(_, at)| *at).collect();
        starts.dedup();
        assert!(starts.len() >= 3, "one after the other");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_or_short_version_does_not_stop_the_others() {
    let first = Some(FirstPing { purpose: Purpose::Contact, canary: Some(Duration::from_secs(1)) });
    let due = || {
        with(alias(3, &["7", "8"]), |number, version| {
            version.due.terms.first = first.filter(|_| number == "8");
        })
    };
    let slow = Script::Runs(Duration::from_secs(5));
    let (report, _) = run(&[("f:7", RUNS), ("f:8", slow)], 100, vec![due()]).await;
    assert_eq!(shown(&report.rounds[0]), "4: ? unsafe of 3 | 7 3/3 reached, 8 1/3 unsafe");
    assert!(report.any_short(), "exit code 3");
    let message = &sent(&report, 0).report.messages[0];
    assert!(message.starts_with("version 8: the handler ran 5s on a ping"), "{message}");
    let (report, _) = run(&[("f:7", Script::Throttles), ("f:8", RUNS)], 100, vec![due()]).await;
    assert_eq!(shown(&report.rounds[0]), "7: ? short of 3 | 7 3/3 short, 8 4/3 reached");
    // A version that was skipped is not reached, and the others are not short.
    let skipped = with(due(), |number, version| {
        version.skipped = (number == "8").then_some(SkipReason::Breaker);
    });
    let (report, _) = run(&[("f:7", RUNS)], 100, vec![skipped]).await;
    assert_eq!(shown(&report.rounds[0]), "3: ? unproven of 3 | 7 3/3 reached, 8 0/3 skipped");
}

#[tokio::test(start_paused = true)]
async fn where_pings_by_number_are_denied_the_alias_is_pinged_and_nothing_is_proven() {
    let denied = [("f:7", Script::Denies), ("f:8", Script::Denies), ("f:live", RUNS)];
    let (report, _) = run(&denied, 100, vec![alias(3, &["7", "8"])]).await;
    assert_eq!(shown(&report.rounds[0]), "9: ? unproven of 3 | 7 3/3 short, 8 3/3 short");
    assert!(!report.any_short());
    let messages = sent(&report, 0).report.messages.join("\n");
    assert!(messages.contains("lambda:InvokeFunction on `function:NAME:*`"), "{messages}");
    // What is known to be denied is not tried.
    let known = with(alias(3, &["7", "8"]), |number, version| {
        version.skipped = (number == "8").then_some(SkipReason::Denied);
    });
    let scripts = [("f:7", RUNS), ("f:8", Script::Panics), ("f:live", RUNS)];
    let (report, scripted) = run(&scripts, 100, vec![known.clone()]).await;
    assert_eq!(shown(&report.rounds[0]), "6: ? unproven of 3 | 7 3/3 reached, 8 0/3 skipped");
    let order: Vec<String> = scripted.sent.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(order, [["f:7"; 3], ["f:live"; 3]].concat(), "the alias after its versions");
    // The alias would reach a version that must not be pinged, or must not be pinged itself.
    let scripts = [("f:7", RUNS), ("f:live", Script::Panics)];
    let broken = Due { alias_skipped: Some(SkipReason::Breaker), ..known.clone() };
    let (report, _) = run(&scripts, 100, vec![broken]).await;
    assert_eq!(shown(&report.rounds[0]), "3: ? unproven of 3 | 7 3/3 reached, 8 0/3 skipped");
    let is_unsafe = with(known, |number, version| {
        version.skipped = Some(if number == "8" { SkipReason::Denied } else { SkipReason::Unsafe });
    });
    let (report, _) = run(&scripts, 100, vec![is_unsafe]).await;
    assert_eq!((report.rounds[0].verdict(), report.rounds[0].pings()), (Verdict::Unsafe, 0));
}

#[tokio::test(start_paused = true)]
async fn versions_that_were_not_sent_are_left_undone() {
    let (engine, _) = engine(&[("f", RUNS)], 5);
    let (stopper, stopped) = stop();
    stopper.stop();
    let report = engine.tick(at(TICK), None, vec![alias(5, &["7", "8"])], &stopped).await;
    assert!(report.rounds.is_empty());
    let [left] = &report.unfinished[..] else { panic!("{report:?}") };
    assert_eq!((left.id.label().as_str(), left.reason), ("f:live", UnfinishedReason::Deadline));
    assert_eq!((left.desired, left.pings), (5, 10));
    // The stop comes while one of them is in flight: the result of that one is kept, and the target stays due.
    let (stopper, stopped) = stop();
    let tick =
        tokio::spawn(async move { engine.tick(at(TICK), None, vec![alias(5, &["7", "8"])], &stopped).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    stopper.stop();
    let report = tick.await.unwrap();
    let [record] = &report.rounds[..] else { panic!("{report:?}") };
    assert_eq!(shown(record), "5: ? unproven of 5 | 7 5/5 reached, 8 0/5 skipped");
    assert!(record.stays_due() && record.skip_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_alias_in_flight_counts_the_pings_of_all_its_versions() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(3)))], 100);
    let (_stopper, stopped) = stop();
    let cutoff = Some(Instant::now() + Duration::from_secs(1));
    let report = engine.tick_until(at(TICK), None, vec![alias(5, &["7", "8"])], &stopped, cutoff).await;
    assert_eq!(report.unfinished[0].reason, UnfinishedReason::InFlight);
    assert_eq!(report.unreported_pings(), 10);
    let again = engine.tick(at(TICK), None, vec![alias(5, &["7", "8"])], &stopped).await;
    assert_eq!(again.rounds[0].skip_reason(), Some(SkipReason::InFlight));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_answer_keeps_the_others_from_nothing() {
    let scripts = [("f:7", RUNS), ("f:8", hung::HUNG), ("f:live", hung::HUNG)];
    let (engine, scripted) = engine(&scripts, 100);
    let (_stopper, stopped) = stop();
    let tick = async |due: Due| engine.tick(at(TICK), None, vec![due], &stopped).await.rounds.remove(0);
    // The alias without weights does not answer.
    let plain = tick(due("f:live", 3)).await;
    assert!(plain.sent().unwrap().quiet_for.is_some() && tick(due("f:live", 3)).await.stays_due());
    let first = tick(alias(3, &["7", "8"])).await;
    assert_eq!(shown(&first), "6: ? short of 3 | 7 3/3 reached, 8 3/3 short");
    assert_eq!(first.sent().unwrap().quiet_for, None, "version 7 is due as before");
    let second = tick(alias(3, &["7", "8"])).await;
    assert_eq!(shown(&second), "3: ? unproven of 3 | 7 3/3 reached, 8 0/3 skipped");
    let skipped = second.sent().unwrap().versions[1].record.skip_reason();
    assert_eq!((skipped, second.stays_due()), (Some(SkipReason::InFlight), false));
    // The alias is quiet, so it is not pinged instead of a version that is denied.
    scripted.sent.lock().unwrap().clear();
    let denied = with(alias(3, &["7", "8"]), |number, version| {
        version.skipped = (number == "8").then_some(SkipReason::Denied);
    });
    tick(denied).await;
    assert_eq!(scripted.sent.lock().unwrap().len(), 3, "those of version 7");
}

#[tokio::test(start_paused = true)]
async fn a_version_above_the_cap_is_not_due_with_every_tick() {
    let due = with(alias(3, &["7", "8"]), |number, version| match number {
        "7" => version.skipped = Some(SkipReason::Breaker),
        _ => version.due.concurrency = super::number(6),
    });
    let (report, _) = run(&[], 5, vec![due.clone()]).await;
    assert_eq!(
        (report.rounds[0].skip_reason(), report.rounds[0].stays_due()),
        (Some(SkipReason::Breaker), false)
    );
    let sent = with(due, |number, version| {
        version.skipped = version.skipped.filter(|_| number != "7");
    });
    let (report, _) = run(&[("f:7", RUNS)], 5, vec![sent]).await;
    let eight = &super::sent(&report, 0).versions[1].record;
    assert_eq!((eight.skip_reason(), report.rounds[0].stays_due()), (Some(SkipReason::TooLarge), false));
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add((*event.metadata().level() == tracing::Level::WARN).into(), Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_version_is_no_short_round_in_the_log() {
    let warnings = Warnings::default();
    let log =
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), warnings.clone());
    let _logged = tracing::subscriber::set_default(log);
    let scripts =
        [("f:7", Script::Denies), ("f:8", Script::Denies), ("f:live", RUNS), ("g:8", Script::Denies)];
    run(&scripts, 100, vec![alias(3, &["7", "8"])]).await;
    assert_eq!(warnings.0.load(Ordering::SeqCst), 0, "the guards warn once");
    run(&scripts, 100, vec![due("g:8", 3)]).await;
    assert_eq!(warnings.0.load(Ordering::SeqCst), 1, "a target of its own");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_a_target_too_keeps_its_history() {
    let (engine, _) = engine(&[("f:7", hung::HUNG), ("f", RUNS)], 100);
    let (_stopper, stopped) = stop();
    let tick = async |due: Due| engine.tick(at(TICK), None, vec![due], &stopped).await.rounds.remove(0);
    tick(alias(3, &["7", "8"])).await;
    assert_eq!(tick(due("f:7", 3)).await.skip_reason(), Some(SkipReason::InFlight));
    tick(alias(3, &["8", "9"])).await;
    assert_eq!(tick(due("f:7", 3)).await.skip_reason(), Some(SkipReason::InFlight), "after the weights too");
}
