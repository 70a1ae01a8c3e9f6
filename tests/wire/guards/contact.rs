//! First contact.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_ping_precedes_the_first_round_and_proves_nothing() {
    let account = Account::new("default: {}");
    let process = account.daemon(functions_of(&[("f:live", 4)]));
    let tick = process.tick().await;
    // The first ping met a new environment, so a second one followed. The round needs three more environments.
    assert_eq!(shown(&tick), ["f:live: 4 reached 2+4"]);
    let round = &tick["rounds"][0];
    let value = |key: &str| round[key].clone();
    assert_eq!([value("cold"), value("warm"), value("reached")], [json!(4), json!(2), json!(4)]);
    assert_eq!([value("evidence"), value("top_ups")], [json!("ids"), json!(0)]);
    let seen = account.emulator.observe();
    let alone = |index: usize| seen.invocations[index].answered <= seen.invocations[index + 1].arrived;
    assert!(alone(0) && alone(1) && !alone(2), "one after the other, then together");
    assert_eq!(shown(&process.tick().await), ["f:live: 4 reached 0+4"]);
    assert_eq!(account.invocations("f"), 10);
}

const WORKERS: &str = "
functions:
  works: { handler: none, duration: 5s }
  fails: { handler: none, unrecognized: KeyError }
  endless: { handler: none, unrecognized: timeout, timeout: 4s }
  slow: { handler: none, duration: 1090ms }
  sound: {}
";
const WORKER_NAMES: [(&str, u32); 5] =
    [("works:live", 3), ("fails", 3), ("endless", 3), ("slow", 3), ("sound", 3)];

#[tokio::test(start_paused = true)]
async fn nothing_more_is_sent_to_a_handler_that_takes_a_ping_for_work() {
    let account = Account::new(WORKERS);
    let process = account.daemon(functions_of(&WORKER_NAMES));
    let outcome = process.outcome().await;
    let tick = json!(outcome.report);
    insta::assert_snapshot!(shown(&tick).join("\n"), @r"
    endless: 3 unsafe (unsafe) 1+0
    fails: 3 unsafe (unsafe) 1+0
    slow: 3 reached 2+3
    sound: 3 reached 2+3
    works:live: 3 unsafe (unsafe) 2+0
    ");
    assert!(outcome.report.any_short(), "exit code 3");
    account.emulator.reset();
    let unsafe_since = [
        "endless: 3 unsafe (unsafe) 0+0",
        "fails: 3 unsafe (unsafe) 0+0",
        "slow: 3 reached 0+3",
        "sound: 3 reached 0+3",
        "works:live: 3 unsafe (unsafe) 0+0",
    ];
    // A restart changes nothing. After an hour the facts are read again.
    for process in [process, account.daemon(functions_of(&WORKER_NAMES))] {
        for _ in 0..65 {
            let outcome = process.outcome().await;
            assert_eq!(shown(&json!(outcome.report)), unsafe_since);
            assert!(outcome.report.any_short());
        }
    }
    for function in ["works", "fails", "endless"] {
        assert_eq!(account.invocations(function), 0, "{function}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_code_payload_or_protocol_is_contacted_again() {
    let account = Account::new("functions: { f: { handler: bref, unrecognized: KeyError } }");
    let process = account.daemon(functions_of(&[("f", 2)]));
    assert_eq!(shown(&process.tick().await), ["f: 2 unsafe (unsafe) 1+0"]);
    assert_eq!(shown(&process.tick().await), ["f: 2 unsafe (unsafe) 0+0"]);
    // The same code with the protocol that it knows, and with a payload that it does not know.
    let other = |protocol: &str| {
        let window = "windows: [{ days: daily, hours: all-day, concurrency: 2 }]";
        fleet(&format!("functions: {{ f: {{ {protocol}, {window} }} }}"))
    };
    let bref = account.daemon(other("protocol: bref"));
    assert_eq!(shown(&bref.tick().await), ["f: 2 reached 1+2"]);
    assert_eq!(shown(&bref.tick().await), ["f: 2 reached 0+2"]);
    let custom = account.daemon(other("protocol: custom, payload: { a: 1 }"));
    assert_eq!(shown(&custom.tick().await), ["f: 2 unsafe (unsafe) 1+0"]);
    let another = account.daemon(other("protocol: custom, payload: { warmer: true }"));
    assert!(shown(&another.tick().await)[0].ends_with(" 1+2"));
    account.emulator.reset();
    assert_eq!(shown(&custom.tick().await), ["f: 2 unsafe (unsafe) 0+0"]);
    assert_eq!(account.invocations("f"), 0);
    // New code: contacted after the next read of its facts.
    account.change("functions: { f: { code: fixed, handler: any } }");
    let mut since = 0;
    while shown(&process.tick().await) == ["f: 2 unsafe (unsafe) 0+0"] {
        since += 1;
        assert!(since <= 61, "the facts are read each hour");
    }
    assert!(since > 1);
    assert_eq!(shown(&process.tick().await), ["f: 2 reached 0+2"]);
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_handler_whose_code_was_unreadable_is_contacted_again_after_a_deployment() {
    let account = Account::new("functions: { f: { handler: none, unrecognized: KeyError } }");
    // The read between the first ping and the round has no answer in time.
    account.change("reads: { faults: { GetFunctionConfiguration: [{ fault: slow, by: 3s, first: 1 }] } }");
    let process = account.daemon(functions_of(&[("f", 2)]));
    assert_eq!(shown(&process.tick().await), ["f: 2 unsafe (unsafe) 1+0"]);
    assert_eq!(shown(&process.ticks(3).await), ["f: 2 unsafe (unsafe) 0+0"]);
    account.change("functions: { f: { code: fixed, handler: any } }");
    let last = process.ticks(65).await;
    assert_eq!(shown(&last), ["f: 2 reached 0+2"]);
    assert_eq!(account.count("f").function_errors, 1);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_warmed_before_traffic_moves_is_trusted_behind_the_alias() {
    let account = Account::new(
        "functions: { f: { aliases: { live: 7 }, versions: { 7: { code: a }, 8: { code: b } } } }",
    );
    let process = account.daemon(functions_of(&[("f:live", 3)]));
    assert_eq!(shown(&process.ticks(2).await), ["f:live: 3 reached 0+3"]);
    let both = account.daemon(functions_of(&[("f:live", 3), ("f:8", 3)]));
    assert_eq!(shown(&both.tick().await), ["f:8: 3 reached 2+3", "f:live: 3 reached 0+3"]);
    account.change("functions: { f: { aliases: { live: 8 } } }");
    account.emulator.reset();
    for tick in 0..65 {
        let now = shown(&process.tick().await);
        assert_eq!(now, ["f:live: 3 reached 0+3"], "{tick}");
    }
    assert_eq!(account.invocations("f"), 65 * 3);
}

#[tokio::test(start_paused = true)]
async fn targets_that_the_store_notes_as_served_start_trusted() {
    let account = Account::new(
        "functions: { f: { aliases: { live: 7, blue: 7 }, versions: { 7: { code: a }, 8: { code: b } } }, g: {} }",
    );
    // An older version has no guards, and has noted the targets.
    let off = functions_of(&[("f:live", 2), ("f:blue", 2)]);
    let mut older = account.daemon(off.clone());
    older.service.policy = Policy::default();
    older.tick().await;
    for document in ["guards-eu-west-2", "facts-eu-west-2"] {
        let text = match document.starts_with("guards") {
            true => json!({}),
            false => json!({ "accounts": {}, "functions": {} }),
        };
        account.write(document, text.to_string()).await;
    }
    let newer = account.daemon(functions_of(&[("f:live", 2), ("f:blue", 2), ("g", 2)]));
    let first = shown(&newer.tick().await);
    assert_eq!(first, ["f:blue: 2 reached 0+2", "f:live: 2 reached 0+2", "g: 2 reached 2+2"]);
    // New code is contacted at both aliases.
    newer.ticks(2).await;
    account.change("functions: { f: { aliases: { live: 8, blue: 8 } } }");
    let mut contacts = Vec::new();
    for _ in 0..62 {
        let tick = newer.tick().await;
        contacts.extend(shown(&tick).into_iter().filter(|round| !round.ends_with(" 0+2")));
    }
    assert_eq!(contacts, ["f:blue: 2 reached 1+2", "f:live: 2 reached 1+2"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_each_process_contacts_once_and_canaries_can_be_off() {
    let account = Account::with_store("default: {}", DocumentStore::memory());
    let process = account.daemon(functions_of(&[("f", 2)]));
    assert_eq!(shown(&process.tick().await), ["f: 2 reached 2+2"]);
    assert_eq!(shown(&process.ticks(3).await), ["f: 2 reached 0+2"]);
    let restarted = Account { store: DocumentStore::memory(), ..account };
    let process = restarted.daemon(functions_of(&[("f", 2)]));
    assert_eq!(shown(&process.tick().await), ["f: 2 reached 1+2"], "the environments are warm");

    let account = Account::new("default: { handler: none }");
    let windows = "windows: [{ days: daily, hours: all-day, concurrency: 2 }]";
    let fleet = fleet(&format!("functions: {{ f: {{ canary: off, {windows} }}, g: {{ {windows} }} }}"));
    let shown = shown(&account.daemon(fleet).tick().await);
    assert_eq!(shown, ["f: 2 reached 0+2", "g: 2 unproven 2+2"]);
}

#[tokio::test(start_paused = true)]
async fn a_single_tick_contacts_only_on_request_and_proves_no_trust() {
    let account = Account::new("default: { handler: none, duration: 5s }");
    let run = async |checks_contact: bool| {
        let policy = Policy { checks_contact, refreshes_facts: true, ..Policy::default() };
        let process = account.process(functions_of(&[("f", 2)]), policy);
        tokio::time::sleep(Duration::from_secs(60)).await;
        shown(&json!(process.serve(Trigger::RunOnce { at: None, due_only: false }).await.report))
    };
    assert_eq!(run(false).await, ["f: 2 reached 0+2"]);
    assert_eq!(run(true).await, ["f: 2 unsafe (unsafe) 1+0"]);
    assert_eq!(run(false).await, ["f: 2 unsafe (unsafe) 0+0"], "what is known holds for everybody");
}

#[tokio::test(start_paused = true)]
async fn a_refused_first_ping_says_nothing_about_the_handler() {
    let account = Account::new(
        "
functions:
  throttled: { faults: [{ fault: throttle, first: 1 }] }
  denied: { faults: [{ fault: denied, first: 1 }] }
  broken: { faults: [{ fault: service-error, first: 1 }] }
",
    );
    let process =
        account.daemon(functions_of(&[("throttled", 4), ("denied", 4), ("broken", 4), ("gone", 4)]));
    let first = shown(&process.tick().await);
    let short = ["broken: 4 short 1+0", "denied: 4 short 1+0", "gone: 4 short 1+0", "throttled: 4 short 1+0"];
    assert_eq!(first, short);
    let second = process.tick().await;
    assert_eq!(
        shown(&second),
        [
            "broken: 4 reached 2+4",
            "denied: 4 reached 2+4",
            "gone: 4 short 1+0",
            "throttled: 2 backed_off_from 4 reached 2+2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_holds_at_once_for_ticks_that_overlap_or_follow_a_slow_one() {
    let account = Account::new(
        "functions: { fails: { handler: none, unrecognized: KeyError }, hangs: { faults: [{ fault: slow, by: 10m }], timeout: 15m } }",
    );
    let names =
        entries(&[("fails", 2), ("hangs", 2)]).replace("hangs: { windows", "hangs: { timeout: 15m, windows");
    let process = Arc::new(account.daemon(fleet(&format!("functions:\n{names}"))));
    let slow = {
        let process = Arc::clone(&process);
        tokio::spawn(async move { process.tick().await })
    };
    tokio::time::sleep(Duration::from_secs(20)).await;
    for _ in 0..8 {
        let tick = process.tick().await;
        assert_eq!(shown(&tick), ["fails: 2 unsafe (unsafe) 0+0", "hangs: 2 in-flight 0+0"]);
    }
    assert_eq!(account.invocations("fails"), 1);
    // Another process sees the result before the slow tick has ended.
    assert!(!slow.is_finished());
    let other = account.daemon(functions_of(&[("fails", 2)]));
    assert_eq!(shown(&other.tick().await), ["fails: 2 unsafe (unsafe) 0+0"]);
    let _ = slow.await.unwrap();
    assert_eq!(process.parts.0.lock().unwrap().first().unwrap().rounds.len(), 1, "the first part");
}

#[tokio::test(start_paused = true)]
async fn facts_that_are_not_answered_delay_the_round_by_two_seconds() {
    let account = Account::new("functions: { f: { reserved: 4 } }");
    let process = account.daemon(functions_of(&[("f", 10)]));
    assert_eq!(shown(&process.tick().await), ["f: 3 capped_from 10 reached 2+3"]);
    account.change("functions: { f: { code: new } }\nreads: { faults: { GetFunctionConfiguration: [{ fault: slow, by: 1h, every: 2 }] } }");
    let mut slowest = (0, Vec::new());
    for _ in 0..65 {
        let tick = process.tick().await;
        let now = shown(&tick);
        // The facts of the plan hold while no others are known.
        assert!(now[0].starts_with("f: 3 capped_from 10 reached"), "{now:?}");
        slowest = slowest.max((tick["duration_ms"].as_u64().unwrap(), now));
    }
    assert!((2_000..3_500).contains(&slowest.0), "{slowest:?}");
    assert!(account.count("f").peak <= 3);
}
