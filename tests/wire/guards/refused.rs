//! Functions that must not be pinged, and the kinds of environments.

use super::*;

const KINDS: &str = "
functions:
  durable: { configuration: { DurableConfig: { ExecutionTimeout: 60 } } }
  managed: { configuration: { CapacityProviderConfig: { LambdaManagedInstancesCapacityProviderConfig: { CapacityProviderArn: x } } } }
  off: { reserved: 0 }
  isolated: { configuration: { TenancyConfig: { TenantIsolationMode: PER_TENANT } } }
  kept: { provisioned: 3 }
  plain: {}
";
const NAMES: [(&str, u32); 6] =
    [("durable", 3), ("managed", 3), ("off", 3), ("isolated", 3), ("kept:live", 3), ("plain", 3)];
const REFUSED: [&str; 6] = [
    "durable: 3 durable 0+0",
    "isolated: 3 needs-tenants 0+0",
    "kept:live: 3 provisioned 0+0",
    "managed: 3 managed-instances 0+0",
    "off: 3 switched-off 0+0",
    "plain: 3 reached 0+3",
];

#[tokio::test(start_paused = true)]
async fn refused_functions_get_no_ping_once_their_facts_are_known() {
    let account = Account::new(KINDS);
    let process = account.daemon(functions_of(&NAMES));
    // The facts are read between the first ping and the rest.
    let first = process.tick().await;
    insta::assert_snapshot!(shown(&first).join("\n"), @r"
    durable: 3 durable 2+0
    isolated: 3 short 1+0
    kept:live: 3 provisioned 2+0
    managed: 3 managed-instances 2+0
    off: 3 short 1+0
    plain: 3 reached 2+3
    ");
    for (function, _) in &NAMES[..5] {
        assert!(account.invocations(function.trim_end_matches(":live")) <= 2, "{function}");
    }
    account.emulator.reset();
    for _ in 0..3 {
        let outcome = process.outcome().await;
        assert_eq!(shown(&json!(outcome.report)), REFUSED);
        assert!(!outcome.report.any_short(), "exit code 0");
    }
    let pinged: Vec<String> =
        account.emulator.observe().invocations.iter().map(|seen| seen.function.clone()).collect();
    assert_eq!(pinged, ["plain"; 9]);
    assert_eq!(account.count("durable").durable, 0);
    // Another process finds the facts in the store.
    let other = account.daemon(functions_of(&NAMES));
    assert_eq!(shown(&other.tick().await), REFUSED);
    assert_eq!(account.emulator.observe().invocations.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_single_tick_reads_facts_for_the_next_one() {
    let account = Account::new(KINDS);
    let once = Policy { refreshes_facts: true, ..Policy::default() };
    let run = async || {
        let process = account.process(functions_of(&NAMES), once);
        let trigger = Trigger::RunOnce { at: None, due_only: false };
        tokio::time::sleep(Duration::from_secs(60)).await;
        shown(&json!(process.serve(trigger).await.report))
    };
    let pinged = run().await;
    assert_eq!(pinged.iter().filter(|round| round.ends_with("0+0")).count(), 0, "{pinged:?}");
    account.emulator.reset();
    assert_eq!(run().await, REFUSED);
    assert_eq!(account.emulator.observe().invocations.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_changes_is_refused_after_the_next_read() {
    let account = Account::new("functions: { orders: {}, ocr: {} }");
    let process = account.daemon(functions_of(&[("orders", 2), ("ocr", 2)]));
    process.tick().await;
    assert_eq!(shown(&process.tick().await), ["ocr: 2 reached 0+2", "orders: 2 reached 0+2"]);
    account.change("functions: { orders: { configuration: { DurableConfig: {} } }, ocr: { reserved: 0 } }");
    // The throttle leads to a read at once. Nothing shows the other change before the facts are an hour old.
    let tick = process.tick().await;
    assert_eq!(tick["rounds"][1]["verdict"], "short", "{tick}");
    assert_eq!(shown(&process.tick().await)[0], "ocr: 2 switched-off 0+0");
    account.emulator.reset();
    let tick = process.ticks(60).await;
    assert_eq!(shown(&tick)[1], "orders: 2 durable 0+0");
    assert!(account.count("orders").durable < 2 * 60);
    account.emulator.reset();
    process.ticks(3).await;
    assert_eq!(account.emulator.observe().invocations.len(), 0);
    // It can be warmed again after the read of the next hour.
    account.change("functions: { ocr: { reserved: 10 } }");
    assert_eq!(shown(&process.ticks(61).await)[0], "ocr: 2 reached 0+2");
}

#[tokio::test(start_paused = true)]
async fn one_ping_wakes_an_inactive_function_and_the_round_follows() {
    let account = Account::new("functions: { f: {} }");
    let process = account.daemon(functions_of(&[("f", 4)]));
    assert_eq!(shown(&process.ticks(2).await), ["f: 4 reached 0+4"]);
    account.change("functions: { f: { inactive: 90s } }");
    // Before the facts are read again, all pings are sent.
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f: 4 inactive 0+4"]);
    account.emulator.reset();
    let outcome = process.outcome().await;
    assert_eq!(shown(&json!(outcome.report)), ["f: 4 inactive 1+0"]);
    assert!(!outcome.report.any_short());
    assert_eq!(account.invocations("f"), 1);
    assert_eq!(shown(&process.tick().await), ["f: 4 reached 1+4"]);
    assert_eq!(shown(&process.tick().await), ["f: 4 reached 0+4"]);
}

#[tokio::test(start_paused = true)]
async fn an_inactive_function_without_trust_is_contacted_when_it_is_active() {
    let account = Account::new("functions: { f: { inactive: 30s }, g: { inactive: 30s } }");
    // The facts are known, and the handlers are not.
    let reads = account.process(functions_of(&[("f", 4), ("g", 4)]), daemon());
    account.emulator.change(|scenario| scenario.denied = vec![Operation::GetAccountSettings]);
    let first = shown(&reads.tick().await);
    assert!(first.iter().all(|round| round.ends_with("1+0")), "{first:?}");
    let tick = reads.tick().await;
    assert_eq!(shown(&tick), ["f: 4 reached 2+4", "g: 4 reached 2+4"]);
    assert_eq!(shown(&reads.tick().await), ["f: 4 reached 0+4", "g: 4 reached 0+4"]);
}

#[tokio::test(start_paused = true)]
async fn all_pings_are_sent_together_to_a_partly_provisioned_qualifier() {
    let account = Account::new("functions: { f: { provisioned: 2, provisioned_on: [live] } }");
    let process = account.daemon(functions_of(&[("f:live", 5)]));
    process.tick().await;
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f:live: 5 reached 0+5"]);
    let kinds = &tick["rounds"][0]["by_kind"];
    assert_eq!(
        (&kinds["provisioned"]["environments"], &kinds["on_demand"]["environments"]),
        (&json!(2), &json!(3)),
        "{kinds}"
    );
    account.change("functions: { f: { provisioned: 5 } }");
    assert_eq!(shown(&process.ticks(61).await), ["f:live: 5 provisioned 0+0"]);
}
