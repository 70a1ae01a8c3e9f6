//! The breaker, and rounds that throttles lower.

use super::*;

const FAILING: &str = "functions: { f: { faults: [{ fault: function-error, type: KeyError }] }, g: {} }";

#[tokio::test(start_paused = true)]
async fn three_failed_rounds_open_the_breaker_and_a_success_closes_it() {
    let account = Account::new("functions: { f: {}, g: {} }");
    let process = account.daemon(functions_of(&[("f", 3), ("g", 3)]));
    process.ticks(2).await;
    account.change(FAILING);
    account.emulator.reset();
    for _ in 0..3 {
        assert_eq!(shown(&process.tick().await), ["f: 3 short 0+3", "g: 3 reached 0+3"]);
    }
    let open = account.clock.now();
    let mut tries = Vec::new();
    for _ in 0..46 {
        let outcome = process.outcome().await;
        let round = shown(&json!(outcome.report)).remove(0);
        assert!(!outcome.report.any_short(), "{round}");
        match round.as_str() {
            "f: 3 breaker 0+0" => {}
            "f: 3 breaker 1+0" => tries.push(account.clock.now().signed_duration_since(open).num_minutes()),
            other => panic!("{other}"),
        }
    }
    assert_eq!(tries, [15, 30, 45]);
    assert_eq!(account.invocations("f"), 9 + 3);
    // Another process goes on, and the first success is followed by the round in the same tick.
    account.change("functions: { f: ~ }\ndefault: {}");
    let other = account.daemon(functions_of(&[("f", 3), ("g", 3)]));
    let mut last = other.tick().await;
    for _ in 0..14 {
        if shown(&last)[0] != "f: 3 breaker 0+0" {
            break;
        }
        last = other.tick().await;
    }
    assert_eq!(shown(&last)[0], "f: 3 reached 1+3");
    assert_eq!(shown(&other.tick().await)[0], "f: 3 reached 0+3");
}

#[tokio::test(start_paused = true)]
async fn denials_and_missing_functions_count_and_other_failures_do_not() {
    let account =
        Account::new("functions: { denied: {}, mixed: {}, timeouts: {}, partly: {}, broken: {}, gone: {} }");
    let names = [("denied", 2), ("mixed", 2), ("timeouts", 2), ("partly", 2), ("broken", 2), ("gone", 2)];
    let process = account.daemon(functions_of(&names));
    process.ticks(2).await;
    account.change(
        "
functions:
  gone: ~
  denied: { faults: [{ fault: denied }] }
  mixed: { faults: [{ fault: denied }, { fault: not-found, every: 2 }] }
  timeouts: { faults: [{ fault: timeout }], timeout: 3s }
  partly: { faults: [{ fault: denied, every: 2 }] }
  broken: { faults: [{ fault: service-error }] }
",
    );
    process.ticks(3).await;
    let tick = process.tick().await;
    let rounds = [
        "broken: 2 short 0+2",
        "denied: 2 breaker 0+0",
        "gone: 2 breaker 0+0",
        "mixed: 2 breaker 0+0",
        "partly: 2 short 0+2",
        "timeouts: 2 short 0+2",
    ];
    assert_eq!(shown(&tick), rounds);
}

#[tokio::test(start_paused = true)]
async fn a_try_without_a_success_leaves_the_breaker_open() {
    let account = Account::new("functions: { f: {} }");
    let process = account.daemon(functions_of(&[("f", 3)]));
    process.ticks(2).await;
    account.change(FAILING);
    process.ticks(3).await;
    // The ping that tries again runs into its timeout, and the next one is throttled.
    account.change("functions: { f: { faults: [{ fault: timeout }], timeout: 3s } }");
    account.emulator.reset();
    process.ticks(29).await;
    assert_eq!(account.invocations("f"), 1);
    account.change("functions: { f: { faults: [{ fault: throttle }], timeout: 3s } }");
    process.ticks(15).await;
    assert_eq!(account.invocations("f"), 2);
    account.change("functions: { f: { faults: [] } }");
    let last = process.ticks(15).await;
    assert!(account.count("f").succeeded > 0, "{:?}", shown(&last));
}

#[tokio::test(start_paused = true)]
async fn throttles_halve_the_round_and_clean_rounds_double_it() {
    let account = Account::new("functions: { f: {} }");
    let process = account.daemon(functions_of(&[("f", 9)]));
    process.ticks(2).await;
    let sizes = async |ticks: u32| {
        let mut sizes = Vec::new();
        for _ in 0..ticks {
            let tick = process.tick().await;
            let round = &tick["rounds"][0];
            let number = |key: &str| round[key].as_u64();
            sizes.push((
                number("target").unwrap(),
                number("backed_off_from"),
                number("throttled").unwrap() > 0,
            ));
        }
        sizes
    };
    // Others use the account.
    account.change("functions: { f: { faults: [{ fault: throttle }] } }");
    let from = Some(9);
    let down = sizes(6).await;
    assert_eq!(
        down,
        [
            (9, None, true),
            (4, from, true),
            (2, from, true),
            (1, from, true),
            (1, from, true),
            (1, from, true)
        ]
    );
    account.change("functions: { f: { faults: [] } }");
    assert_eq!(
        sizes(6).await,
        [
            (1, from, false),
            (2, from, false),
            (4, from, false),
            (8, from, false),
            (9, None, false),
            (9, None, false)
        ]
    );
    let health = account.document("guards-eu-west-2").await["health"].clone();
    assert_eq!(health, json!({}), "nothing is left of it");
}
