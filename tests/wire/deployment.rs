//! A deployment under steady user traffic: the cold starts that its users meet, by what keeps the function warm. The
//! service with the real SDK over HTTP against the emulator, on virtual time.

use std::time::Duration;

use tokio::time::{Instant, interval_at};
use warmd::domain::events::{DirectNeed, DirectWarm};
use warmd::domain::function::{FunctionRef, Qualifier, Region};
use warmd::emulator::Emulator;
use warmd::engine::ports::{Payloads, PingRound};
use warmd::service::Trigger;

use crate::guards::{Account, Process, daemon, fleet};
use crate::{Connect, deliveries, emulator_dialer, lambda_through, pings};

/// What keeps the function warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warmer {
    /// Nothing but the users.
    None,
    /// A tick each minute.
    Ticks,
    /// The ticks, and the hook before the alias moves.
    Hook,
}

const FLEET: &str =
    "functions:\n  orders:live: { windows: [{ days: daily, hours: all-day, concurrency: 4 }] }\n";

/// Three users call `orders:live` at once, every two seconds. The first do half a second after a tick has begun.
async fn use_orders(emulator: Emulator) {
    let lambda = lambda_through(emulator_dialer(&emulator, |_| Connect::Serve));
    let mut calls = interval_at(Instant::now() + Duration::from_millis(500), 2 * SECOND);
    loop {
        calls.tick().await;
        let lambda = lambda.clone();
        let payloads = Payloads::Same { payload: br#"{"order":1}"#.to_vec(), pings: 3 };
        let round = PingRound { payloads, ..pings("orders:live", 3) };
        tokio::spawn(async move { deliveries(&lambda, round).await });
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Waits for so many ticks, and 20 s more.
async fn ticks(process: Option<&Process>, number: u32) {
    for _ in 0..number {
        match process {
            Some(process) => drop(process.tick().await),
            None => tokio::time::sleep(60 * SECOND).await,
        }
    }
    tokio::time::sleep(20 * SECOND).await;
}

/// Deploys version 8 behind the alias: 10 %, 50 % and 100 % of the requests, for two minutes each. Returns the times of
/// the users' cold starts since the first shift.
async fn deploy(warmer: Warmer, seed: u64) -> Vec<Duration> {
    let account = Account::new(&format!(
        "seed: {seed}\nfunctions:\n  orders: {{ profile: python, init: 2s, duration: 100ms, idle_life: 5m, \
         versions: {{ 8: {{ code: b }} }}, aliases: {{ live: 7 }} }}\n"
    ));
    let process = (warmer != Warmer::None).then(|| account.process(fleet(FLEET), daemon()));
    let users = tokio::spawn(use_orders(account.emulator.clone()));
    ticks(process.as_ref(), 2).await;
    if let (Warmer::Hook, Some(process)) = (warmer, &process) {
        let region = Region::parse("eu-west-2").unwrap();
        let warm = DirectWarm {
            function: FunctionRef::parse("orders:8").unwrap(),
            region: Some(region),
            tenant: None,
            need: DirectNeed::Like(Qualifier::parse("live").unwrap()),
            protocol: None,
            hold: None,
        };
        let report = process.serve(Trigger::Warm { warm, region }).await.report;
        assert!(report.is_proven() && report.rounds.len() == 1, "{report:?}");
    }
    let mut cold = Vec::new();
    let begun = account.emulator.observe().invocations.iter().map(|call| call.arrived).max().unwrap();
    for share in [10, 50, 100] {
        account.emulator.reset();
        let others = if share < 100 { format!("7: {}, ", 100 - share) } else { String::new() };
        account
            .change(&format!("functions: {{ orders: {{ aliases: {{ live: {{ {others}8: {share} }} }} }} }}"));
        ticks(process.as_ref(), 2).await;
        let seen = account.emulator.observe();
        let of_users = seen.of("orders").filter(|call| call.preset.is_none());
        cold.extend(of_users.filter(|call| call.is_new).map(|call| call.arrived - begun));
    }
    users.abort();
    cold
}

#[tokio::test(start_paused = true)]
async fn users_meet_the_cold_starts_of_a_new_version_unless_a_hook_warms_it() {
    for seed in [1, 2] {
        let (none, ticks, hook) = (
            deploy(Warmer::None, seed).await,
            deploy(Warmer::Ticks, seed).await,
            deploy(Warmer::Hook, seed).await,
        );
        assert!(none.len() >= 3, "each of three users at once creates an environment: {none:?}");
        // The first requests of the new version come before the next tick.
        assert!(ticks.first().is_some_and(|at| *at < 40 * SECOND), "{ticks:?}");
        assert_eq!(hook, [Duration::ZERO; 0], "seed {seed}");
    }
}
