//! The concurrency that pings leave to users.

use super::*;

/// Returns a fleet of functions `f0`, `f1` and so on, without canaries.
fn many(functions: u32, each: u32, limits: &str) -> Fleet {
    let names: Vec<String> = (0..functions).map(|index| format!("f{index}")).collect();
    let entries = entries(&names.iter().map(|name| (name.as_str(), each)).collect::<Vec<_>>());
    let entries = entries.replace("{ windows", "{ canary: off, windows");
    fleet(&format!("limits: {{ {limits} }}\nfunctions:\n{entries}"))
}

/// Runs the first two ticks of a fleet. Returns the peak of concurrent executions and the second tick.
async fn peak(functions: &str, fleet: Fleet) -> (u32, Value) {
    let account = Account::new(functions);
    let process = account.daemon(fleet);
    process.tick().await;
    let tick = process.tick().await;
    assert_eq!(tick["unfinished"], json!([]), "all are served within the tick");
    (account.peak(), tick)
}

#[tokio::test(start_paused = true)]
async fn all_pings_in_an_account_share_a_part_of_its_unreserved_concurrency() {
    for (concurrency, limits, expected) in [
        (1000, "", 200),
        (100, "", 20),
        (20, "", 5),
        (10, "", 5),
        (100, "account_share: 50%", 50),
        (100, "account_share: 1%", 5),
    ] {
        let functions = format!("account: {{ concurrency: {concurrency} }}\ndefault: {{}}");
        let (peak, tick) = peak(&functions, many(60, 4, limits)).await;
        assert!(peak <= expected && peak + 4 > expected, "{concurrency} {limits}: {peak}");
        let rounds = tick["rounds"].as_array().unwrap();
        assert!(rounds.len() == 60 && rounds.iter().all(|round| round["verdict"] == "reached"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_above_the_room_is_lowered() {
    let functions = "account: { concurrency: 100 }\nfunctions: { big: {}, own: { reserved: 30 }, small: {} }";
    let names = [("big", 25), ("own", 40), ("small", 3)];
    let (peak_of_all, tick) = peak(functions, functions_of(&names)).await;
    // 70 are unreserved: 14 of them for pings.
    let expected = [
        "big: 14 capped_from 25 reached 0+14",
        "own: 29 capped_from 40 reached 0+29",
        "small: 3 reached 0+3",
    ];
    assert_eq!(shown(&tick), expected);
    assert!(peak_of_all <= 14 + 29);
    let round = &tick["rounds"][0];
    assert_eq!(
        (&round["target"], &round["capped_from"], &round["reached"]),
        (&json!(14), &json!(25), &json!(14))
    );

    let limits = "limits: { account_share: 100%, leave_free: 10 }\nfunctions:\n";
    let (_, tick) = peak(functions, fleet(&format!("{limits}{}", entries(&names)))).await;
    let expected = ["big: 25 reached 0+25", "own: 20 capped_from 40 reached 0+20", "small: 3 reached 0+3"];
    assert_eq!(shown(&tick), expected);
}

#[tokio::test(start_paused = true)]
async fn the_qualifiers_of_a_reserved_function_leave_room_together() {
    for (limits, expected) in [("", 9), ("leave_free: 4", 6), ("leave_free: 0", 10)] {
        let account = Account::new("functions: { f: { reserved: 10 } }");
        let names = entries(&[("f:live", 6), ("f:1", 6), ("f:2", 6)]);
        let process = account.daemon(fleet(&format!("limits: {{ {limits} }}\nfunctions:\n{names}")));
        for _ in 0..3 {
            let tick = process.tick().await;
            assert_eq!((&tick["unfinished"], &tick["rounds"][2]["verdict"]), (&json!([]), &json!("reached")));
        }
        let count = account.count("f");
        assert!(count.peak <= expected && count.throttled() == 0, "{limits}: {count:?}");
    }
    let account = Account::new("functions: { f: { reserved: 1 } }");
    let process = account.daemon(functions_of(&[("f", 2)]));
    process.tick().await;
    assert_eq!(shown(&process.tick().await), ["f: 2 no-headroom 0+0"]);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_process_reads_the_limits_before_its_first_round() {
    let account = Account::new("account: { concurrency: 30 }\ndefault: {}");
    let process = account.daemon(many(20, 3, ""));
    let tick = process.tick().await;
    assert_eq!(tick["rounds"].as_array().unwrap().len(), 20);
    assert!(account.peak() <= 6, "{}", account.peak());
    let seen = account.emulator.observe();
    let limits = seen.reads.iter().find(|read| read.operation == Operation::GetAccountSettings).unwrap();
    assert!(limits.arrived <= seen.invocations[0].arrived);
    process.ticks(5).await;
    assert_eq!(account.reads(Operation::GetAccountSettings), 1, "they are known");
    account.daemon(many(20, 3, "")).tick().await;
    assert_eq!(account.reads(Operation::GetAccountSettings), 1, "the store knows them");
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_not_answered_delay_the_first_round_by_two_seconds() {
    let account = Account::new(
        "account: { concurrency: 10 }\ndefault: {}\nreads: { faults: { GetAccountSettings: [{ fault: slow, by: 10m }] } }",
    );
    let process = account.daemon(many(1, 9, ""));
    let begun = Instant::now();
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f0: 9 reached 0+9"], "the guard is off");
    let first = account.emulator.observe().invocations[0].arrived;
    assert!((1_900..2_100).contains(&first.as_millis()), "{first:?} {begun:?}");
    account.emulator.reset();
    process.tick().await;
    let arrived = account.emulator.observe().invocations[0].arrived;
    assert!(arrived.as_secs().is_multiple_of(60), "it does not wait again: {arrived:?}");
}

#[tokio::test(start_paused = true)]
async fn without_permission_the_guard_is_off() {
    let account = Account::new(
        "
account: { concurrency: 100 }
denied: [GetAccountSettings, GetFunctionConcurrency, GetFunctionConfiguration, GetProvisionedConcurrencyConfig]
functions: { f: { configuration: { DurableConfig: {} } }, g: { reserved: 3 } }
",
    );
    let process = account.daemon(functions_of(&[("f:live", 30), ("g", 3)]));
    process.tick().await;
    for _ in 0..2 {
        assert_eq!(shown(&process.tick().await), ["f:live: 30 reached 0+30", "g: 3 reached 0+3"]);
    }
    let facts = account.document("facts-eu-west-2").await.to_string();
    assert!(facts.contains("denied"), "for `status`: {facts}");
}
