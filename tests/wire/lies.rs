//! Functions with misleading answers: no round reports more environments than it reached.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::Target;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::protocol::Protocol;
use warmd::domain::round::Verdict;
use warmd::domain::tick::SentRound;
use warmd::emulator::profile::{HoldBehavior, Ids, Network, Span};
use warmd::emulator::{Emulator, Fault, FaultKind, Profile, Scenario};
use warmd::engine::stop::stop;
use warmd::engine::tick::{Due, Engine};

use crate::{Connect, emulator_dialer, lambda_through};

const FAR: Network = Network { median: Duration::from_millis(15), sigma: 0.6 };

/// A round, and the number of environments that the emulator observed.
type Observed = (SentRound, u32);

/// Runs `number` rounds of ten pings, a minute apart, to a function with this profile.
async fn rounds(profile: Profile, protocol: &str, number: i64) -> Vec<Observed> {
    let emulator = Emulator::new(Scenario::default().with("f", profile));
    let lambda = lambda_through(emulator_dialer(&emulator, |_| Connect::Serve));
    let engine = Arc::new(Engine::new(lambda, PriceBook::embedded(), 100));
    let (_stopper, stop) = stop();
    let target = Target {
        protocol: Protocol::parse(protocol).unwrap(),
        timeout: Some(Duration::from_secs(60)),
        ..Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap())
    };
    let due = Due::new(Arc::new(target), NonZeroU32::new(10).unwrap());
    let start: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
    let mut all = Vec::new();
    for minute in 0..number {
        emulator.reset();
        let now = start + TimeDelta::minutes(minute);
        let report = engine.tick(now, None, vec![due.clone()], &stop).await;
        let observed = emulator.observe().rounds().iter().map(|round| round.environments).sum::<usize>();
        all.push((report.rounds[0].sent().unwrap().clone(), u32::try_from(observed).unwrap()));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    all
}

fn assert_not_exaggerated(rounds: &[Observed]) {
    for (round, observed) in rounds {
        let round = &round.report;
        assert!(round.reached.unwrap_or(0) <= *observed, "more than {observed}: {round:?}");
        assert!(round.verdict != Verdict::Reached || *observed >= 10, "{round:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_after_the_answer_does_not_change_the_count() {
    let ms = Duration::from_millis;
    for extension in [Span::millis(30), Span::millis(400), Span::between(ms(5), ms(120))] {
        for network in [Network::default(), FAR] {
            for hold in [HoldBehavior::AsRequested, HoldBehavior::Ignored] {
                let profile = Profile { extension, network, hold, ..Profile::python() };
                for protocol in ["warmd", "lambda-warmer-py"] {
                    let all = rounds(profile.clone(), protocol, 8).await;
                    assert_not_exaggerated(&all);
                    let last = &all[7];
                    if protocol == "warmd" {
                        assert_eq!(last.0.report.reached, Some(last.1), "an extension does not change ids");
                    }
                }
            }
        }
    }
}

/// The handler answers no id.
#[tokio::test(start_paused = true)]
async fn a_hold_proves_all_environments_in_spite_of_a_short_extension() {
    for extension in [Span::millis(0), Span::millis(15)] {
        let profile = Profile { extension, ..Profile::python() };
        for (round, observed) in rounds(profile, "lambda-warmer-py", 3).await {
            let round = &round.report;
            assert_eq!(
                (round.reached, round.verdict, observed),
                (Some(10), Verdict::Reached, 10),
                "{round:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_with_a_new_id_for_every_invocation_is_detected() {
    let misleading =
        Profile { ids: Ids::Invocations, hold: HoldBehavior::Ignored, network: FAR, ..Profile::python() };
    let all = rounds(misleading, "warmd", 10).await;
    let (undetected, detected) = all.split_at(6);
    assert!(
        undetected.iter().any(|(round, observed)| round.report.reached > Some(*observed)),
        "{undetected:?}"
    );
    assert_not_exaggerated(detected);
    for (round, _) in detected {
        assert_eq!(round.report.verdict, Verdict::Unproven);
        let doubt = round.report.doubt.unwrap().explain();
        assert!(doubt.contains("a new id on every invocation"), "{doubt}");
    }
}

#[tokio::test(start_paused = true)]
async fn environments_that_take_several_invocations_at_once_are_not_counted() {
    let managed = Profile { at_once: NonZeroU32::new(10).unwrap(), ..Profile::python() };
    // warmd's handler reports its initialization type; the other's ids repeat.
    for protocol in ["warmd", "opennext"] {
        let all = rounds(managed.clone(), protocol, 3).await;
        assert_not_exaggerated(&all);
        for (round, observed) in all {
            let round = &round.report;
            let result = (round.reached, round.verdict, round.top_ups, observed);
            assert_eq!(result, (None, Verdict::Unproven, 0, 1), "{protocol}: {round:?}");
            let doubt = round.doubt.unwrap().explain();
            assert!(doubt.contains("managed instances"), "{doubt}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_line_of_another_invocation_is_ignored() {
    let foreign = Fault::always(FaultKind::ForeignReport);
    let profile = Profile { faults: vec![foreign], ..Profile::python() };
    for (round, _) in rounds(profile, "warmd", 2).await {
        let SentRound { report: round, cost, .. } = round;
        assert_eq!((round.counts.unclassified, round.reached), (10, None));
        assert_eq!((round.billed_ms, cost.total), (None, None));
        assert!(round.messages[0].contains("another invocation"), "{:?}", round.messages);
    }
}

#[tokio::test(start_paused = true)]
async fn the_cost_of_a_ping_without_an_answer_is_unknown() {
    let profile = Profile { faults: vec![Fault::every(10, FaultKind::Reset)], ..Profile::python() };
    for (round, observed) in rounds(profile, "warmd", 2).await {
        assert_eq!((round.report.counts.failed, observed), (1, 10), "it ran");
        let cost = &round.cost;
        assert_eq!((cost.total, round.report.billed_ms), (None, None));
        let (least, most) = (cost.cost_at_least.unwrap(), cost.cost_at_most.unwrap());
        assert!(!least.is_zero() && least < most, "{least} {most}");
        assert_eq!(round.report.counts.warm + round.report.counts.cold, 9);
    }
}
