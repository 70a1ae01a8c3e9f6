//! Rounds to functions whose environments Lambda initialises ahead of demand.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::{Hold, Target};
use warmd::domain::function::{FunctionRef, Region};
use warmd::emulator::profile::{Ahead, HoldBehavior, Span};
use warmd::emulator::{Emulator, Profile, Scenario, Start};
use warmd::engine::stop::stop;
use warmd::engine::tick::{Due, Engine};

use crate::{Connect, emulator_dialer, lambda_through};

/// Returns the profile of a function with an init of 400 ms, a share of which begins `ms` before the request.
fn ahead(share: f64, ms: u64) -> Profile {
    let ahead = Some(Ahead { share, by: Span::millis(ms) });
    Profile { init: Span::millis(400), ahead, ..Profile::python() }
}

/// Sends rounds with these numbers of pings and a hold of 100 ms, one after the other. Returns their objects, and the
/// emulator.
async fn rounds(profile: Profile, pings: &[u32]) -> (Vec<Value>, Emulator) {
    let emulator = Emulator::new(Scenario::default().with("f", profile));
    let lambda = lambda_through(emulator_dialer(&emulator, |_| Connect::Serve));
    let engine = Arc::new(Engine::new(lambda, PriceBook::embedded(), 100));
    let target = Target {
        hold: Hold::Fixed(Duration::from_millis(100)),
        semi_cold_below: Some(Duration::from_millis(500)),
        ..Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap())
    };
    let target = Arc::new(target);
    let (_stopper, stop) = stop();
    let mut all = Vec::new();
    for pings in pings {
        let due = Due::new(Arc::clone(&target), NonZeroU32::new(*pings).unwrap());
        let now = "2026-11-20T09:00:00Z".parse().unwrap();
        all.push(json!(engine.tick(now, None, vec![due], &stop).await.rounds[0]));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    (all, emulator)
}

/// Returns the values of the keys by which a round counts its starts.
fn starts(round: &Value) -> String {
    let keys = ["warm", "cold", "semi_cold", "preinitialized", "waited_at_most_ms"];
    keys.map(|key| round[key].to_string()).join(" ")
}

#[tokio::test(start_paused = true)]
async fn environments_initialised_ahead_are_counted_apart() {
    let (all, emulator) = rounds(ahead(1.0, 5_000), &[2, 5]).await;
    assert!(
        emulator.observe().of("f").all(|ran| matches!(ran.start, Some(Start::Preinitialized | Start::Warm)))
    );
    // Without a warm ping, the hold is not proven.
    assert_eq!(starts(&all[0]), "0 0 0 2 101.0");
    // 100 ms of hold, less the tolerance of 1 ms for timers and that of the clocks.
    assert_eq!(starts(&all[1]), "2 0 0 3 2.0");
    assert_eq!((&all[1]["reached"], &all[1]["verdict"]), (&json!(5), &json!("reached")));
    // Their inits are billed: 401 + 101 ms.
    assert_eq!((&all[0]["billed_ms"], &all[1]["billed_ms"]), (&json!(1_002), &json!(1_705)));
}

#[tokio::test(start_paused = true)]
async fn an_init_that_is_not_certain_to_have_begun_before_is_a_cold_start() {
    // They wait for 300 ms of the init. With the hold 401 ms pass, without it 302 ms.
    let (all, _) = rounds(ahead(1.0, 100), &[2, 5]).await;
    assert_eq!(starts(&all[0]), "0 2 2 0 null");
    assert_eq!(starts(&all[1]), "2 0 0 3 302.0");
    // None is ahead: the code is fetched for 150 ms, then cached.
    let (all, _) = rounds(ahead(0.0, 5_000), &[2, 5]).await;
    assert_eq!(starts(&all[0]), "0 2 0 0 null");
    assert_eq!(starts(&all[1]), "2 3 3 0 null");
}

#[tokio::test(start_paused = true)]
async fn an_extension_is_not_mistaken_for_a_hold() {
    // The handler ignores the hold of 100 ms, and an extension works for longer after the answer.
    for by in [0, 20] {
        let profile = Profile { hold: HoldBehavior::Ignored, extension: Span::millis(105), ..ahead(1.0, by) };
        let (all, _) = rounds(profile, &[4, 8]).await;
        let claimed = u64::from(by > 0);
        for round in &all {
            let preinitialized = round["preinitialized"].as_u64().unwrap();
            assert_eq!(preinitialized > 0, claimed > 0, "{round}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_environments_is_initialised_ahead() {
    let (all, emulator) = rounds(ahead(0.5, 5_000), &[40]).await;
    let observed = emulator.observe();
    let of = |start| observed.of("f").filter(|ran| ran.start == Some(start)).count();
    let counts = ["cold", "preinitialized"].map(|key| all[0][key].as_u64().unwrap() as usize);
    assert_eq!(counts, [of(Start::Cold) + of(Start::SemiCold), of(Start::Preinitialized)]);
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
