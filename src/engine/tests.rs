//! Tests of the engine on a scripted Lambda and paused time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ports::{Lambda, PingEnd, PingEnds, PingRound};
use super::stop::stop;
use super::tick::{Due, Engine};
use crate::domain::cost::PriceBook;
use crate::domain::fleet::Target;
use crate::domain::function::{Architecture, FunctionRef, Identity, Region};
use crate::domain::round::{Answer, RawInvocation, Verdict};
use crate::domain::tick::{SentRound, SkipReason, TickReport, UnfinishedReason};

pub(crate) mod hung;
mod together;
mod versions;

/// The behaviour of the scripted Lambda for the pings of one function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// Each ping has a warm environment of its own that runs for the hold, and this long at least.
    Runs(Duration),
    /// Every ping is throttled.
    Throttles,
    /// The ping's task panics.
    Panics,
    /// One environment runs the pings one after the other, and its handler creates a new id for each.
    FreshIds,
    /// The answer breaks after the request was sent.
    Breaks,
    /// Every ping is denied.
    Denies,
}

#[derive(Debug, Default)]
pub(crate) struct Scripted {
    scripts: HashMap<&'static str, Script>,
    pub(crate) sent: Mutex<Vec<(String, Instant)>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    /// The only environment of [`Script::FreshIds`].
    environment: tokio::sync::Mutex<()>,
}

impl Scripted {
    pub(crate) fn new(scripts: &[(&'static str, Script)]) -> Self {
        Self { scripts: scripts.iter().copied().collect(), ..Self::default() }
    }
}

/// The scripted Lambda, shared with the engine.
#[derive(Debug, Clone)]
pub(crate) struct ScriptedLambda(pub(crate) Arc<Scripted>);

impl Lambda for ScriptedLambda {
    fn send(&self, round: PingRound) -> PingEnds {
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let (released, limit) = (Instant::now(), round.timeout);
        for index in 0..round.payloads.pings() {
            let (scripted, deliveries) = (Arc::clone(&self.0), deliveries.clone());
            let (function, payload) = (round.function.clone(), round.payloads.of(index as usize).to_vec());
            tokio::spawn(async move {
                let answering = scripted.answer(&function, &payload);
                let answer = tokio::time::timeout(limit, answering).await.unwrap_or(Answer::TimedOut);
                let raw = RawInvocation { sent: Duration::ZERO, received: released.elapsed(), answer };
                drop(deliveries.send(PingEnd { index, raw, resent: false }));
            });
        }
        delivered
    }
}

impl Scripted {
    async fn answer(&self, function: &Identity, payload: &[u8]) -> Answer {
        let label = function.label();
        // A qualifier may have a script of its own.
        let name =
            if self.scripts.contains_key(label.as_str()) { label.as_str() } else { function.name.as_str() };
        let payload: serde_json::Value = serde_json::from_slice(payload).unwrap();
        self.sent.lock().unwrap().push((name.to_owned(), Instant::now()));
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let hold = Duration::from_millis(payload["warmd"]["hold_ms"].as_u64().unwrap());
        let answer = match self.scripts[name] {
            Script::Throttles => Answer::Refused {
                status: 429,
                code: Some("TooManyRequestsException".to_owned()),
                reason: Some("ReservedFunctionConcurrentInvocationLimitExceeded".to_owned()),
                message: None,
            },
            Script::Panics => panic!("scripted"),
            Script::Runs(least) => {
                tokio::time::sleep(hold.max(least)).await;
                responded(hold.max(least))
            }
            Script::FreshIds => {
                let _environment = self.environment.lock().await;
                tokio::time::sleep(hold).await;
                answered(hold, &format!(r#"{{"warmd":{{"environment":"{}"}}}}"#, rand::random::<u128>()))
            }
            Script::Denies => Answer::Refused {
                status: 403,
                code: Some("AccessDeniedException".to_owned()),
                reason: None,
                message: None,
            },
            Script::Breaks => Answer::Broken { message: "reset".to_owned(), may_have_run: true },
        };
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

fn responded(ran: Duration) -> Answer {
    answered(ran, "null")
}

fn answered(ran: Duration, payload: &str) -> Answer {
    let ms = ran.as_millis();
    let line = format!(
        "REPORT RequestId: 93bcbe8c-0000-0000-0000-000000000000\tDuration: {ms}.00 ms\tBilled Duration: {ms} ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB\t\n"
    );
    Answer::Responded {
        function_error: None,
        log_result: Some(STANDARD.encode(line)),
        payload: payload.as_bytes().to_vec(),
        executed_version: Some("7".to_owned()),
        request_id: None,
    }
}

pub(crate) fn due(name: &str, concurrency: u32) -> Due {
    let region = Region::parse("eu-west-2").unwrap();
    let target = Target {
        architecture: Architecture::Arm64,
        interval_minutes: 5,
        ..Target::bare(&FunctionRef::parse(name).unwrap(), region)
    };
    Due::new(Arc::new(target), number(concurrency))
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// A round of the report, which was sent.
fn sent(report: &TickReport, index: usize) -> &SentRound {
    report.rounds[index].sent().unwrap()
}

pub(crate) fn engine(
    scripts: &[(&'static str, Script)],
    cap: usize,
) -> (Arc<Engine<ScriptedLambda>>, Arc<Scripted>) {
    let scripted = Arc::new(Scripted::new(scripts));
    (Arc::new(Engine::new(ScriptedLambda(Arc::clone(&scripted)), PriceBook::embedded(), cap)), scripted)
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_round_is_proven_by_the_overlap_of_its_holds_and_priced() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::ZERO))], 500);
    let (_stopper, stop) = stop();
    let report =
        engine.tick(at("2026-11-20T09:00:00Z"), Some("abc".to_owned()), vec![due("f", 10)], &stop).await;
    assert_eq!(report.rounds.len(), 1);
    let SentRound { report: round, cost, .. } = sent(&report, 0);
    assert_eq!((round.reached, round.verdict, round.top_ups), (Some(10), Verdict::Reached, 0));
    assert_eq!((round.pings, round.counts.warm, round.billed_ms), (10, 10, Some(1_000)));
    assert_eq!(round.hold, Some(Duration::from_millis(100)));
    // 10 × $0.20/M; 1 s × 128/1,024 GB × $0.0000133334 on arm64.
    assert_eq!(cost.total.unwrap().round_dp(10).to_string(), "0.0000036667");

    // The skew of the first round makes the hold of the second shorter.
    let report = engine.tick(at("2026-11-20T09:05:00Z"), None, vec![due("f", 10)], &stop).await;
    let round = &sent(&report, 0).report;
    assert_eq!((round.hold, round.reached), (Some(Duration::from_millis(10)), Some(10)));
}

#[tokio::test(start_paused = true)]
async fn ids_of_invocations_do_not_count_after_three_rounds() {
    let (engine, _) = engine(&[("f", Script::FreshIds)], 10);
    let (_stopper, stop) = stop();
    let mut results = Vec::new();
    for minute in 0..5 {
        let now = at("2026-11-20T09:00:00Z") + TimeDelta::minutes(minute);
        let report = engine.tick(now, None, vec![due("f", 3)], &stop).await;
        let round = &sent(&report, 0).report;
        assert_eq!(round.counts.warm, round.pings);
        results.push((round.reached, round.verdict, round.doubt.is_some()));
    }
    let (undetected, detected) = ((Some(3), Verdict::Reached, false), (Some(1), Verdict::Unproven, true));
    assert_eq!(results, [undetected, undetected, detected, detected, detected]);
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_may_have_run_has_no_known_cost() {
    let (engine, _) = engine(&[("f", Script::Breaks)], 10);
    let (_stopper, stop) = stop();
    let target = Target {
        memory_mb: Some(1024),
        timeout: Some(Duration::from_secs(3)),
        ..Target::clone(&due("f", 1).target)
    };
    let bounded = Due::new(Arc::new(target), number(2));
    let report = engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due("f:live", 2), bounded], &stop).await;
    let costs: Vec<_> = report.rounds.iter().map(|round| round.cost()).collect();
    assert!(costs.iter().all(|cost| cost.total.is_none() && cost.cost_at_least.unwrap().is_zero()));
    // 2 × ($0.20/M + 133 GB-s × $0.0000133334).
    let most = costs[1].cost_at_most.unwrap().round_dp(7).to_string();
    assert_eq!((costs[0].cost_at_most, most.as_str()), (None, "0.0035471"));
    assert!(
        report.rounds.iter().all(|round| round.verdict() == Verdict::Short && round.counts().failed == 2)
    );
}

#[tokio::test(start_paused = true)]
async fn one_slow_function_delays_no_other() {
    let slow = Script::Runs(Duration::from_secs(90));
    let (engine, scripted) = engine(&[("slow", slow), ("quick", Script::Runs(Duration::ZERO))], 10);
    let (_stopper, stop) = stop();
    let began = Instant::now();
    let rounds = vec![due("slow", 6), due("quick:a", 4), due("quick:b", 4), due("quick:c", 4)];
    let report = engine.tick(at("2026-11-20T09:00:00Z"), None, rounds, &stop).await;
    assert!(report.rounds.iter().all(|round| round.verdict() == Verdict::Reached));
    assert_eq!(scripted.most_in_flight.load(Ordering::SeqCst), 10, "the cap is reached and not exceeded");
    let last_quick =
        scripted.sent.lock().unwrap().iter().filter(|(name, _)| name == "quick").map(|(_, at)| *at).max();
    assert!(last_quick.unwrap() - began < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_round_is_not_topped_up() {
    let (engine, _) = engine(&[("f", Script::Throttles)], 10);
    let (_stopper, stop) = stop();
    let report = engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due("f", 3)], &stop).await;
    let SentRound { report: round, cost, .. } = sent(&report, 0);
    assert_eq!((round.counts.throttled, round.pings, round.top_ups), (3, 3, 0));
    assert_eq!((round.verdict, round.reached), (Verdict::Short, None));
    assert_eq!(cost.total.unwrap().normalize().to_string(), "0");
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_panics_is_a_failed_ping() {
    let (engine, _) = engine(&[("f", Script::Panics)], 10);
    let (_stopper, stop) = stop();
    let report = engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due("f", 2)], &stop).await;
    assert_eq!((report.rounds[0].counts().failed, report.rounds[0].verdict()), (2, Verdict::Short));
    // Its slots were returned: there is room for a whole round.
    let report = engine.tick(at("2026-11-20T09:05:00Z"), None, vec![due("f", 10)], &stop).await;
    assert_eq!(report.rounds[0].counts().failed, 10);
}

#[tokio::test(start_paused = true)]
async fn a_target_in_flight_is_skipped_and_free_again_after() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(90)))], 10);
    let (_stopper, stop) = stop();
    let first = tokio::spawn({
        let (engine, stop) = (Arc::clone(&engine), stop.clone());
        async move { engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due("f", 2)], &stop).await }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let second = engine.tick(at("2026-11-20T09:01:00Z"), None, vec![due("f:$LATEST", 2)], &stop).await;
    assert_eq!((second.rounds[0].skip_reason(), second.rounds[0].pings()), (Some(SkipReason::InFlight), 0));
    assert_eq!(first.await.unwrap().rounds[0].verdict(), Verdict::Reached);
    let third = engine.tick(at("2026-11-20T09:02:00Z"), None, vec![due("f", 2)], &stop).await;
    assert_eq!(third.rounds[0].skip_reason(), None);
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_rounds_in_flight_end_and_the_rest_is_listed() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(30)))], 4);
    let (stopper, stop) = stop();
    let tick = tokio::spawn({
        let engine = Arc::clone(&engine);
        let rounds = vec![due("f:a", 4), due("f:b", 4)];
        async move { engine.tick(at("2026-11-20T09:00:00Z"), None, rounds, &stop).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    stopper.stop();
    let report = tick.await.unwrap();
    let [done] = &report.rounds[..] else { panic!("{report:?}") };
    assert_eq!((done.reached(), done.verdict()), (Some(4), Verdict::Reached));
    let [left] = &report.unfinished[..] else { panic!("{report:?}") };
    assert_eq!((left.desired, left.reason), (4, UnfinishedReason::Deadline));
    assert_ne!(done.id, left.id);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_ends_unexpectedly_is_reported() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(1)))], 8);
    let (_stopper, stop) = stop();
    let sound = due("f:a", 2);
    // An addition to this timeout panics. No configuration has it.
    let broken = Target { timeout: Some(Duration::MAX), ..Target::clone(&due("f:b", 3).target) };
    let broken = Due::new(Arc::new(broken), number(3));
    let report = engine.tick(at("2026-11-20T09:00:00Z"), None, vec![broken, sound], &stop).await;
    assert_eq!(report.rounds[0].verdict(), Verdict::Reached);
    let [left] = &report.unfinished[..] else { panic!("{report:?}") };
    assert_eq!((left.id.label().as_str(), left.reason), ("f:b", UnfinishedReason::Unexpected));
    assert_eq!(engine.still_in_flight(), []);
}

#[tokio::test(start_paused = true)]
async fn a_round_above_the_cap_is_not_cut() {
    let (engine, _) = engine(&[("f", Script::Runs(Duration::from_secs(1)))], 4);
    let (_stopper, stop) = stop();
    let report =
        engine.tick(at("2026-11-20T09:00:00Z"), None, vec![due("f:a", 5), due("f:b", 4)], &stop).await;
    assert_eq!(report.rounds.len(), 1);
    let [left] = &report.unfinished[..] else { panic!("{report:?}") };
    assert_eq!((left.desired, left.reason), (5, UnfinishedReason::TooLarge));
    assert_eq!(serde_json::to_value(left.reason).unwrap(), "too-large");
}
