//! Rounds of a group are released at the same instant, and delay no others.

use proptest::prelude::*;

use super::hung::HUNG;
use super::*;
use crate::domain::guard::Terms;
use crate::domain::preflight::{Pool, Room};
use crate::domain::round::{FirstPing, Purpose};

fn part(name: &str, pings: u32) -> Due {
    Due { together: Some(1), ..due(name, pings) }
}

fn after(name: &str, pings: u32, purpose: Purpose, canary: Option<Duration>) -> Due {
    let first = Some(FirstPing { purpose, canary });
    Due { terms: Terms { first, ..Terms::default() }, ..part(name, pings) }
}

/// Runs a tick, and returns its report with the times at which the pings of each function were sent, in ms.
async fn tick(
    scripts: &[(&'static str, Script)],
    cap: usize,
    rounds: Vec<Due>,
) -> (TickReport, Vec<(String, Vec<u128>)>) {
    let (engine, scripted) = engine(scripts, cap);
    let (_stopper, stop) = stop();
    let began = Instant::now();
    let report = engine.tick(at("2026-11-20T09:00:00Z"), None, rounds, &stop).await;
    assert!(scripted.most_in_flight.load(Ordering::SeqCst) <= cap, "the cap is exceeded");
    let sent = scripted.sent.lock().unwrap();
    let times = |name: &str| {
        let of = sent.iter().filter(|(function, _)| function == name);
        of.map(|(_, at)| (*at - began).as_millis()).collect()
    };
    (report, scripts.iter().map(|(name, _)| ((*name).to_owned(), times(name))).collect())
}

fn runs(ms: u64) -> Script {
    Script::Runs(Duration::from_millis(ms))
}

#[tokio::test(start_paused = true)]
async fn parts_are_released_at_the_same_instant_when_the_cap_is_almost_used_up() {
    let scripts = [("slow", runs(2_000)), ("a", runs(100)), ("b", runs(100)), ("small", runs(500))];
    // 3 of 10 slots are free until 2 s: enough for each part alone, not for both.
    let busy = Due { together: None, ..due("slow", 7) };
    let (_, times) = tick(&scripts, 10, vec![part("b", 2), busy, part("a", 3), due("small", 3)]).await;
    let starts: Vec<u128> = times.iter().map(|(_, sent)| sent[0]).collect();
    assert_eq!(starts, [0, 2_000, 2_000, 0], "slow, a, b, small");
    assert!(times[1..3].iter().all(|(_, sent)| sent.iter().all(|at| *at == 2_000)), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn parts_wait_for_each_others_first_pings() {
    let canary = Some(Duration::from_secs(1));
    let rounds = vec![
        after("a", 3, Purpose::Contact, canary),
        after("b", 3, Purpose::Contact, canary),
        part("c", 2),
        due("d", 1),
    ];
    let scripts = [("a", runs(900)), ("b", runs(300)), ("c", runs(100)), ("d", runs(100))];
    let (report, times) = tick(&scripts, 10, rounds).await;
    assert!(report.rounds.iter().all(|round| round.verdict() == Verdict::Reached), "{report:?}");
    let expected: [&[u128]; 4] = [&[0, 900, 900, 900], &[0, 900, 900, 900], &[900, 900], &[0]];
    for ((name, sent), expected) in times.iter().zip(expected) {
        assert_eq!(sent, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_not_sent_delays_no_other() {
    let canary = Some(Duration::from_millis(100));
    let unsafe_part = after("unsafe", 2, Purpose::Contact, canary);
    let panics = Target { timeout: Some(Duration::MAX), ..Target::clone(&due("panics", 3).target) };
    let panics = Due { target: Arc::new(panics), ..part("panics", 3) };
    let rounds = vec![
        part("a", 2),
        part("b", 2),
        part("large", 11),
        unsafe_part,
        panics,
        // Its earlier round is in flight: it is in the tick twice.
        part("a", 2),
    ];
    let scripts = [
        ("a", runs(100)),
        ("b", runs(100)),
        ("large", runs(1)),
        ("unsafe", runs(3_000)),
        ("panics", runs(1)),
    ];
    let (report, times) = tick(&scripts, 10, rounds).await;
    assert_eq!(times[0].1, [3_000; 2], "after the conclusion on the unsafe part");
    assert_eq!(times[1].1, [3_000; 2]);
    let skips: Vec<_> = report.rounds.iter().filter_map(|round| round.skip_reason()).collect();
    assert_eq!(skips, [SkipReason::Unsafe, SkipReason::NoRoom]);
    let left: Vec<_> = report.unfinished.iter().map(|left| (left.desired, left.reason)).collect();
    assert_eq!(left, [(11, UnfinishedReason::TooLarge), (3, UnfinishedReason::Unexpected)]);
}

#[tokio::test(start_paused = true)]
async fn a_first_ping_without_an_end_delays_the_others_by_30_seconds() {
    let rounds =
        vec![after("hung", 2, Purpose::Contact, Some(Duration::from_secs(1))), part("a", 2), part("b", 2)];
    let (report, times) = tick(&[("hung", HUNG), ("a", runs(1)), ("b", runs(1))], 10, rounds).await;
    assert_eq!((&times[1].1, &times[2].1), (&vec![30_000; 2], &vec![30_000; 2]));
    assert_eq!(report.rounds.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_group_above_the_cap_or_its_room_is_admitted_one_by_one() {
    let scripts = [("a", runs(1_000)), ("b", runs(1_000))];
    let (report, times) = tick(&scripts, 5, vec![part("a", 3), part("b", 3)]).await;
    assert!(report.rounds.iter().all(|round| round.verdict() == Verdict::Reached));
    assert_eq!((times[0].1[0], times[1].1[0]), (0, 1_000));

    let region = Region::parse("eu-west-2").unwrap();
    let in_room = |name, limit| {
        let room = Some(Room { pool: Pool::Account(region, None), limit });
        Due { terms: Terms { room, ..Terms::default() }, ..part(name, 3) }
    };
    for (limit, start) in [(5, 1_000), (6, 0)] {
        let (_, times) = tick(&scripts, 100, vec![in_room("a", limit), in_room("b", limit)]).await;
        assert_eq!((times[0].1[0], times[1].1[0]), (0, start), "a room of {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lowered_cap_separates_a_group() {
    let (engine, scripted) = engine(&[("slow", runs(1_000)), ("a", runs(500)), ("b", runs(500))], 6);
    let (_stopper, stop) = stop();
    let running = {
        let rounds = vec![part("a", 3), part("b", 3), due("slow", 6)];
        engine.start(at("2026-11-20T09:00:00Z"), None, rounds, None, &stop)
    };
    let busy = engine.start(at("2026-11-20T09:00:00Z"), None, vec![due("slow:other", 6)], None, &stop);
    tokio::time::sleep(Duration::from_millis(10)).await;
    engine.set_max_in_flight(4);
    for mut running in [running, busy] {
        running.wait(None).await;
        assert!(running.finish().rounds.iter().all(|round| round.verdict() == Verdict::Reached));
    }
    let sent = scripted.sent.lock().unwrap();
    let start = |name: &str| sent.iter().find(|(function, _)| function == name).unwrap().1;
    let (a, b) = (start("a"), start("b"));
    assert_eq!((a.max(b) - a.min(b)).as_millis(), 500, "one after the other");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_of_a_group() {
    let (engine, scripted) = engine(&[("slow", runs(5_000)), ("a", runs(1)), ("b", runs(1))], 4);
    let (stopper, stop) = stop();
    let rounds = vec![due("slow", 4), part("a", 1), part("b", 1)];
    let mut running = engine.start(at("2026-11-20T09:00:00Z"), None, rounds, None, &stop);
    tokio::time::sleep(Duration::from_secs(1)).await;
    stopper.stop();
    running.wait(None).await;
    let report = running.finish();
    let left: Vec<_> = report.unfinished.iter().map(|left| left.reason).collect();
    assert_eq!(left, [UnfinishedReason::Deadline; 2]);
    assert!(scripted.sent.lock().unwrap().iter().all(|(name, _)| name == "slow"));
    // Its slots were not lost.
    let (_stopper, stop) = super::stop();
    let report = engine.tick(at("2026-11-20T09:01:00Z"), None, vec![due("slow", 4)], &stop).await;
    assert_eq!(report.rounds[0].verdict(), Verdict::Reached);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_round_is_sent_once_and_groups_start_together(
        given in prop::collection::vec((1_u32..=6, 0_u32..4, 1_u64..4), 1..12),
        cap in 6_usize..=14,
    ) {
        let names = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11"];
        let scripts: Vec<_> =
            names.iter().zip(&given).map(|(name, (_, _, run))| (*name, runs(run * 700))).collect();
        let rounds: Vec<Due> = names
            .iter()
            .zip(&given)
            .map(|(name, (pings, group, _))| Due {
                together: Some(*group).filter(|group| *group > 0),
                ..due(name, *pings)
            })
            .collect();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (report, times) = runtime.block_on(tick(&scripts, cap, rounds));
        prop_assert_eq!(report.rounds.len(), given.len());
        for ((_, sent), (pings, _, _)) in times.iter().zip(&given) {
            prop_assert_eq!(sent.len(), *pings as usize);
        }
        for group in 1..4 {
            let members = || given.iter().zip(&times).filter(|((_, of, _), _)| *of == group);
            let pings: usize = members().map(|((pings, _, _), _)| *pings as usize).sum();
            let starts: std::collections::BTreeSet<u128> = members().map(|(_, (_, sent))| sent[0]).collect();
            prop_assert!(pings > cap || starts.len() <= 1, "{starts:?}");
        }
    }
}
