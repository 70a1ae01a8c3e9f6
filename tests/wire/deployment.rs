//! A deployment under steady user traffic: the cold starts that its users meet, by what keeps the function warm. The
//! service with the real SDK over HTTP against the emulator, on virtual time.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tokio::time::{Instant, interval_at, sleep_until};
use warmd::domain::events::LambdaEvent;
use warmd::domain::function::Region;
use warmd::emulator::Emulator;
use warmd::engine::ports::{Clock, Payloads, PingRound};
use warmd::service::Trigger;

use crate::guards::{Account, Process, daemon, fleet};
use crate::{Connect, deliveries, emulator_dialer, lambda_through, pings};

/// What keeps the function warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warmer {
    /// Nothing but the users.
    None,
    /// A tick each minute, and a round every five minutes.
    Ticks,
    /// The ticks, and the events of CloudTrail.
    Events,
    /// The ticks, and the hook before the alias moves.
    Hook,
}

const FLEET: &str = "functions: { \"orders:live\": { interval: 5m, \
    windows: [{ days: daily, hours: all-day, concurrency: 4 }] } }\n";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// The shifts of the alias from version 7 to 8, half a minute after a tick.
const SHIFTS: [(u32, &str); 3] = [(6, "{ 7: 90, 8: 10 }"), (13, "{ 7: 50, 8: 50 }"), (20, "{ 8: 100 }")];
const END: u32 = 27;
/// The time that CloudTrail takes to report a call.
const DELIVERY: Duration = Duration::from_secs(15);

/// Three users call `orders:live` at once, every three seconds. The first do half a second after a tick has begun.
async fn use_orders(emulator: Emulator) {
    let lambda = lambda_through(emulator_dialer(&emulator, |_| Connect::Serve));
    let mut calls = interval_at(Instant::now() + Duration::from_millis(500), 3 * SECOND);
    loop {
        calls.tick().await;
        let lambda = lambda.clone();
        let payloads = Payloads::Same { payload: br#"{"order":1}"#.to_vec(), pings: 3 };
        let round = PingRound { payloads, ..pings("orders:live", 3) };
        tokio::spawn(async move { deliveries(&lambda, round).await });
    }
}

/// Warms the new version as the hook of CodeDeploy does.
async fn warm_like_the_alias(process: &Process) {
    let event =
        json!({ "warmd": { "warm": { "function": "orders:8", "region": "eu-west-2", "like": "live" } } });
    let LambdaEvent::Warm(warm) = LambdaEvent::parse(&event).unwrap() else { panic!("{event}") };
    let region = Region::parse("eu-west-2").unwrap();
    let report = process.serve(Trigger::Warm { warm, region }).await.report;
    assert!(report.is_proven() && report.rounds.len() == 1, "{report:?}");
}

/// Delivers the event of a shift of the alias that was made `DELIVERY` ago.
async fn report_shift(account: &Account, process: &Process) {
    let time = account.clock.now() - TimeDelta::from_std(DELIVERY).unwrap();
    let event = json!({
        "source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail", "time": time.to_rfc3339(),
        "account": "123456789012", "region": "eu-west-2",
        "detail": {
            "eventSource": "lambda.amazonaws.com", "eventName": "UpdateAlias20150331",
            "eventTime": time.to_rfc3339(), "awsRegion": "eu-west-2",
            "requestParameters": { "functionName": "orders", "name": "live" },
        },
    });
    let LambdaEvent::Deployed(deployment) = LambdaEvent::parse(&event).unwrap() else { panic!("{event}") };
    let report = process.serve(Trigger::Deployed(deployment)).await.report;
    assert_eq!(report.rounds.len(), 1, "{report:?}");
}

/// Deploys version 8 behind the alias: 10 %, 50 % and 100 % of the requests, for seven minutes each. Returns the times of
/// the users' cold starts since the shift before.
async fn deploy(warmer: Warmer, seed: u64) -> Vec<Duration> {
    let account = Account::new(&format!(
        "seed: {seed}\nfunctions:\n  orders: {{ profile: python, init: 2s, duration: 100ms, idle_life: 8m, \
         recycle_after: 3h, versions: {{ 8: {{ code: b }} }}, aliases: {{ live: 7 }} }}\n"
    ));
    let begun = Instant::now();
    let process = account.process(fleet(FLEET), daemon());
    let users = tokio::spawn(use_orders(account.emulator.clone()));
    let shifts = async {
        for (nth, (minute, aliases)) in SHIFTS.into_iter().enumerate() {
            let at = begun + minute * MINUTE + 30 * SECOND;
            if (warmer, nth) == (Warmer::Hook, 0) {
                sleep_until(at - 20 * SECOND).await;
                warm_like_the_alias(&process).await;
            }
            sleep_until(at).await;
            account.change(&format!("functions: {{ orders: {{ aliases: {{ live: {aliases} }} }} }}"));
            if warmer == Warmer::Events {
                sleep_until(at + DELIVERY).await;
                report_shift(&account, &process).await;
            }
        }
        sleep_until(begun + END * MINUTE).await;
    };
    let ticks = async {
        while warmer != Warmer::None && begun.elapsed() < END * MINUTE {
            process.tick().await;
        }
    };
    tokio::join!(shifts, ticks);
    users.abort();
    let seen = account.emulator.observe();
    // The emulator counts from its own beginning, with that of the account.
    let shifts = SHIFTS.map(|(minute, _)| minute * MINUTE + 30 * SECOND);
    let cold = seen.of("orders").filter(|call| call.preset.is_none() && call.is_new);
    let after = cold.filter_map(|call| {
        let shift = shifts.iter().rev().find(|shift| **shift <= call.arrived)?;
        Some(call.arrived - *shift)
    });
    after.collect()
}

#[tokio::test(start_paused = true)]
async fn users_meet_the_cold_starts_of_a_new_version_unless_a_hook_warms_it() {
    let mut rows = Vec::new();
    for warmer in [Warmer::None, Warmer::Ticks, Warmer::Events, Warmer::Hook] {
        let (mut cold, mut last) = (0, Duration::ZERO);
        for seed in 1..=2 {
            let after = deploy(warmer, seed).await;
            cold += after.len();
            last = last.max(after.into_iter().max().unwrap_or_default());
        }
        match warmer {
            Warmer::None => assert!(cold >= 6, "each of three users at once creates an environment: {cold}"),
            Warmer::Ticks => assert!(cold > 0, "the first requests come before the next tick"),
            Warmer::Events => assert!(cold > 0 && last <= MINUTE, "{last:?}"),
            Warmer::Hook => assert_eq!(cold, 0),
        }
        rows.push(format!("{warmer:?}: {cold} cold starts, the last {} s after a shift", last.as_secs()));
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    None: 6 cold starts, the last 276 s after a shift
    Ticks: 5 cold starts, the last 261 s after a shift
    Events: 2 cold starts, the last 9 s after a shift
    Hook: 0 cold starts, the last 0 s after a shift
    ");
}
