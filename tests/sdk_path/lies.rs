//! Functions whose answers say more than is true, emulated: no round claims more environments than it met.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use warmd::aws::connector::Dialer;
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::Target;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::protocol::Protocol;
use warmd::domain::round::Verdict;
use warmd::domain::tick::SentRound;
use warmd::emulator::profile::{Hold, Ids, Network, Span};
use warmd::emulator::{Emulator, Fault, FaultKind, Profile, Scenario};
use warmd::engine::stop::stop;
use warmd::engine::tick::{Due, Engine};

use crate::lambda_through;

const FAR: Network = Network { median: Duration::from_millis(15), sigma: 0.6 };

/// A round, and how many environments it really met.
type Truth = (SentRound, u32);

/// Runs `number` rounds of ten pings to a function that behaves like `profile`, a minute apart.
async fn rounds(profile: Profile, protocol: &str, number: i64) -> Vec<Truth> {
    let emulator = Emulator::new(Scenario::default().with("f", profile));
    let server = emulator.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        let server = server.clone();
        tokio::spawn(async move { server.serve_io(far).await });
        async move { Ok(near) }
    });
    let engine = Arc::new(Engine::new(lambda_through(dialer), PriceBook::embedded(), 100));
    let (_stopper, stop) = stop();
    let target = Target {
        protocol: Protocol::parse(protocol).unwrap(),
        timeout: Some(Duration::from_secs(60)),
        ..Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap())
    };
    let due = Due { target: Arc::new(target), concurrency: NonZeroU32::new(10).unwrap() };
    let start: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
    let mut told = Vec::new();
    for minute in 0..number {
        emulator.reset();
        let now = start + TimeDelta::minutes(minute);
        let report = engine.tick(now, None, vec![due.clone()], &stop).await;
        let met = emulator.observe().rounds().iter().map(|round| round.environments).sum::<usize>();
        told.push((report.rounds[0].sent().unwrap().clone(), u32::try_from(met).unwrap()));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    told
}

fn honest(told: &[Truth]) {
    for (round, met) in told {
        let round = &round.report;
        assert!(round.reached.unwrap_or(0) <= *met, "more than {met}: {round:?}");
        assert!(round.verdict != Verdict::Reached || *met >= 10, "{round:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_works_on_after_the_answer_adds_nothing() {
    let ms = Duration::from_millis;
    for extension in [Span::millis(30), Span::millis(400), Span::between(ms(5), ms(120))] {
        for network in [Network::default(), FAR] {
            for hold in [Hold::AsAsked, Hold::Ignored] {
                let profile = Profile { extension, network, hold, ..Profile::python() };
                for protocol in ["warmd", "lambda-warmer-py"] {
                    let told = rounds(profile.clone(), protocol, 8).await;
                    honest(&told);
                    let last = &told[7];
                    if protocol == "warmd" {
                        assert_eq!(
                            last.0.report.reached,
                            Some(last.1),
                            "ids are none of the extension's business"
                        );
                    }
                }
            }
        }
    }
}

/// A handler that tells no id and keeps its hold: all ten are proven, also beside a short extension.
#[tokio::test(start_paused = true)]
async fn a_hold_that_is_kept_proves_them_all_beside_a_short_extension() {
    for extension in [Span::millis(0), Span::millis(15)] {
        let profile = Profile { extension, ..Profile::python() };
        for (round, met) in rounds(profile, "lambda-warmer-py", 3).await {
            let round = &round.report;
            assert_eq!((round.reached, round.verdict, met), (Some(10), Verdict::Reached, 10), "{round:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_with_a_new_id_for_every_invocation_is_found_out() {
    let lying = Profile { ids: Ids::Invocations, hold: Hold::Ignored, network: FAR, ..Profile::python() };
    let told = rounds(lying, "warmd", 10).await;
    let (believed, found_out) = told.split_at(6);
    assert!(
        believed.iter().any(|(round, met)| round.report.reached > Some(*met)),
        "it does lie: {believed:?}"
    );
    honest(found_out);
    for (round, _) in found_out {
        assert_eq!(round.report.verdict, Verdict::Unproven);
        let doubt = round.report.doubt.unwrap().explain();
        assert!(doubt.contains("a new id on every invocation"), "{doubt}");
    }
}

#[tokio::test(start_paused = true)]
async fn environments_that_take_several_invocations_at_once_are_not_counted() {
    let managed = Profile { at_once: NonZeroU32::new(10).unwrap(), ..Profile::python() };
    // warmd's handler says so; the other's id gives it away.
    for protocol in ["warmd", "opennext"] {
        let told = rounds(managed.clone(), protocol, 3).await;
        honest(&told);
        for (round, met) in told {
            let round = &round.report;
            let all = (round.reached, round.verdict, round.top_ups, met);
            assert_eq!(all, (None, Verdict::Unproven, 0, 1), "{protocol}: {round:?}");
            let doubt = round.doubt.unwrap().explain();
            assert!(doubt.contains("managed instances"), "{doubt}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_line_of_another_invocation_is_none() {
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
async fn a_ping_that_ran_and_whose_answer_was_cut_has_no_known_cost() {
    let profile = Profile { faults: vec![Fault::every(10, FaultKind::Reset)], ..Profile::python() };
    for (round, met) in rounds(profile, "warmd", 2).await {
        assert_eq!((round.report.counts.failed, met), (1, 10), "it ran");
        let cost = &round.cost;
        assert_eq!((cost.total, round.report.billed_ms), (None, None));
        let (least, most) = (cost.cost_at_least.unwrap(), cost.cost_at_most.unwrap());
        assert!(!least.is_zero() && least < most, "{least} {most}");
        // Refusals beside it would have been free; nine answers were told in full.
        assert_eq!(round.report.counts.warm + round.report.counts.cold, 9);
    }
}
