//! Deployments that the facts show: the next tick serves the function.

use super::*;

/// A configuration whose targets are due every five minutes.
fn every_five_minutes(functions: &str) -> Fleet {
    let always = "windows: [{ days: daily, hours: all-day, concurrency: 2 }]";
    let entries: String = functions
        .split(' ')
        .map(|name| format!("  {name}: {{ interval: 5m, canary: off, {always} }}\n"))
        .collect();
    fleet(&format!("functions:\n{entries}"))
}

/// Serves ticks. Returns the minutes of the hour, with the functions that had a round.
async fn minutes(process: &Process, ticks: u32) -> Vec<String> {
    let mut served = Vec::new();
    for _ in 0..ticks {
        let tick = process.tick().await;
        let minute = tick["tick"].as_str().unwrap()[14..16].to_owned();
        let rounds = tick["rounds"].as_array().unwrap().iter();
        let names: Vec<&str> = rounds.map(|round| round["function"].as_str().unwrap()).collect();
        if !names.is_empty() {
            served.push(format!("{minute} {}", names.join(" ")));
        }
    }
    served
}

/// An account with a store, and one without.
const ACCOUNTS: [fn(&str) -> Account; 2] =
    [Account::new, |functions| Account::with_store(functions, DocumentStore::memory())];

#[tokio::test(start_paused = true)]
async fn weights_and_a_moved_alias_are_served_at_the_next_tick() {
    for account in ACCOUNTS {
        let account = account("functions: { f: { aliases: { live: 7 } }, g: { aliases: { live: 7 } } }");
        let process = account.daemon(every_five_minutes("f:live g:live"));
        assert_eq!(minutes(&process, 4).await, ["00 f g"]);
        let seen = account.emulator.observe();
        let first = seen.invocations.iter().map(|seen| seen.arrived).min().unwrap();
        let mut aliases = seen.reads.iter().filter(|read| read.operation == Operation::GetAlias);
        assert!(aliases.all(|read| read.arrived <= first), "before the first rounds, and not again");
        assert_eq!(account.reads(Operation::GetAlias), 2);
        account.change("functions: { f: { aliases: { live: { 7: 0.9, 8: 0.1 } } } }");
        assert_eq!(minutes(&process, 5).await, ["05 f g", "06 f"]);
        assert_eq!(
            account.reads(Operation::GetAlias),
            5,
            "after the rounds of an interval, and weights before each round"
        );
        account.change("functions: { f: { aliases: { live: 8 } } }");
        assert_eq!(minutes(&process, 5).await, ["10 f g", "11 f"]);
        assert_eq!(minutes(&process, 6).await, ["15 f g"]);
    }
}

#[tokio::test(start_paused = true)]
async fn other_code_is_served_at_the_next_tick() {
    for account in ACCOUNTS {
        let account = account("functions: { f: {}, g: {} }");
        let process = account.daemon(every_five_minutes("f g"));
        minutes(&process, 58).await;
        account.change("functions: { f: { code: new } }");
        // The facts are an hour old.
        let served = minutes(&process, 7).await;
        assert!(served == ["00 f g", "01 f"] || served == ["00 f g", "02 f"], "{served:?}");
        assert_eq!(minutes(&process, 5).await, ["05 f g"]);
    }
}

#[tokio::test(start_paused = true)]
async fn another_process_serves_a_deployment_with_the_same_store() {
    let account = Account::new("functions: { f: { aliases: { live: 7 } } }");
    let [first, second] = [0; 2].map(|_| account.daemon(every_five_minutes("f:live")));
    assert_eq!(minutes(&first, 3).await, ["00 f"]);
    account.change("functions: { f: { aliases: { live: 8 } } }");
    assert_eq!(minutes(&first, 3).await, ["05 f"]);
    assert!(!account.document("served").await["deployments"].is_null());
    assert_eq!(minutes(&second, 3).await, ["06 f"]);
    let facts = account.document("facts-eu-west-2").await;
    assert_eq!(
        facts["functions"]["f:live eu-west-2"]["seen"]["alias"],
        json!({ "known": { "version": "8" } })
    );
}

#[tokio::test(start_paused = true)]
async fn without_permission_rounds_go_through_the_alias() {
    let account =
        Account::new("denied: [GetAlias]\nfunctions: { f: { aliases: { live: { 7: 0.5, 8: 0.5 } } } }");
    let process = account.daemon(functions_of(&[("f:live", 2)]));
    for _ in 0..50 {
        let rounds = shown(&process.tick().await);
        assert!(rounds.len() == 1 && rounds[0].starts_with("f:live: 2 "), "{rounds:?}");
    }
    assert_eq!(account.reads(Operation::GetAlias), 1, "denied reads are repeated hourly");
    process.ticks(15).await;
    assert_eq!(account.reads(Operation::GetAlias), 2);
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_is_answered_slowly_delays_no_round_for_long() {
    let account = Account::new(
        "functions: { f: { aliases: { live: 7 } } }\nreads: { faults: { GetAlias: [{ fault: slow, by: 1h }] } }",
    );
    let process = account.daemon(every_five_minutes("f:live"));
    let begun = account.clock.now();
    assert_eq!(shown(&process.tick().await), ["f:live: 2 reached 0+2"]);
    let first = account.emulator.observe().invocations[0].arrived;
    assert!(first <= Duration::from_millis(2_100), "{first:?}");
    assert!(account.clock.now() - begun < TimeDelta::seconds(15));
}
