//! The facts and records of the guards: their pace, their failures, and documents that others have written.

use super::*;

#[tokio::test(start_paused = true)]
async fn facts_are_read_after_the_rounds_at_a_limited_rate() {
    let names: Vec<String> = (0..60).map(|index| format!("f{index}:1")).collect();
    let entries = entries(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    let entries = entries.replace("{ windows", "{ canary: off, windows");
    let account = Account::new("default: {}");
    let process = account.daemon(fleet(&format!("functions:\n{entries}")));
    let mut tick_reads = Vec::new();
    for _ in 0..6 {
        account.emulator.reset();
        let begun = account.clock.now();
        process.tick().await;
        let seen = account.emulator.observe();
        let rounds = seen.invocations.iter().map(|seen| seen.answered).max().unwrap();
        let reads: Vec<_> =
            seen.reads.iter().filter(|read| read.function.is_some()).map(|read| read.arrived).collect();
        assert!(reads.iter().all(|read| *read >= rounds), "after the rounds");
        let in_a_second = |from: Duration| {
            reads.iter().filter(move |at| **at >= from && **at < from + Duration::from_secs(1))
        };
        assert!(reads.iter().all(|at| in_a_second(*at).count() <= 5), "{reads:?}");
        if let (Some(first), Some(last)) = (reads.first(), reads.last()) {
            assert!(*last - *first <= Duration::from_secs(10));
        }
        tick_reads.push(reads.len());
        assert!(account.clock.now() - begun < TimeDelta::seconds(75));
    }
    // Two reads for each function at a qualifier, and one for its provisioned concurrency.
    // Those of functions that a refresh did not finish are repeated.
    assert!((180..=210).contains(&tick_reads.iter().sum::<usize>()), "{tick_reads:?}");
    assert!(tick_reads[0] >= 40 && tick_reads[5] == 0, "{tick_reads:?}");
    // The oldest first, about hourly.
    account.emulator.reset();
    process.ticks(53).await;
    assert_eq!(account.emulator.observe().reads.len(), 0);
    process.ticks(10).await;
    let seen = account.emulator.observe();
    let order: Vec<&String> = seen
        .reads
        .iter()
        .filter(|read| read.operation == Operation::GetFunctionConfiguration)
        .filter_map(|read| read.function.as_ref())
        .collect();
    assert_eq!((order.len(), order[0].as_str()), (60, "f0:1"));
}

#[tokio::test(start_paused = true)]
async fn hostile_documents_stop_no_tick() {
    let far = "2099-01-01T00:00:00Z";
    let known =
        "account: { concurrency: 100 }\nfunctions: { f: { handler: none, unrecognized: KeyError }, g: {} }";
    let names = [("f", 2), ("g", 2)];
    let health = json!({ "g eu-west-2": { "at": far, "failures": 3, "limit": 1 } });
    let contact = |code: Value| json!({ "code": code, "contract": "warmd", "at": far });
    let sound = json!({ "since": far, "health": health, "contacts": { "g eu-west-2": [
        contact(json!({ "unknown-kind": "x" })), contact(json!({ "behind": "" })), 7,
    ] } });
    for (guards, contacted) in [
        (sound.to_string(), false),
        (
            json!({ "health": { "g eu-west-2": { "at": far, "failures": -3, "limit": -1 } }, "later": {} })
                .to_string(),
            true,
        ),
        (json!({ "contacts": { "g eu-west-2": 3, "nonsense": [], "h london": [] } }).to_string(), true),
        (json!({ "contacts": [] }).to_string(), true),
        ("not json".to_owned(), true),
        (format!("[{}1]", "1,".repeat(4 << 20)), true),
    ] {
        for facts in [
            json!({ "accounts": { "": { "at": far, "limits": { "known": { "concurrent": 1, "unreserved": 1 } } } } }).to_string(),
            json!({ "accounts": [], "functions": { "g eu-west-2": { "at": "x", "seen": 7 } }, "later": [] }).to_string(),
            format!("{{\"functions\":{{{}\"x\":1}}}}", "\"f eu-west-2\":{},".repeat(400_000)),
        ] {
            let account = Account::new(known);
            account.write("guards-eu-west-2", guards.clone()).await;
            account.write("facts-eu-west-2", facts).await;
            let process = account.daemon(functions_of(&names));
            let first = shown(&process.tick().await);
            let what = &guards[..guards.len().min(90)];
            assert_eq!(first[0], "f: 2 unsafe (unsafe) 1+0", "{what}");
            assert_eq!(first[1], if contacted { "g: 2 reached 2+2" } else { "g: 2 reached 0+2" }, "{what}");
            for _ in 0..2 {
                assert_eq!(shown(&process.tick().await), ["f: 2 unsafe (unsafe) 0+0", "g: 2 reached 0+2"], "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn results_outlive_a_store_that_is_away() {
    for away in [Away::Refuses, Away::Hangs] {
        for when in ["load", "record"] {
            let account = Account::new("functions: { f: { handler: none, unrecognized: KeyError }, g: {} }");
            let process = account.daemon(functions_of(&[("f", 2), ("g", 2)]));
            account.objects.set((when == "load").then_some(away));
            let objects = Arc::clone(&account.objects);
            let vanishes = async {
                // Between the plan and the records of the first tick.
                tokio::time::sleep(Duration::from_millis(50)).await;
                objects.set(Some(away));
            };
            let (outcome, ()) = tokio::join!(process.outcome(), vanishes);
            assert_eq!(outcome.health, StoreHealth::Unavailable, "{away:?} {when}");
            assert_eq!(shown(&json!(outcome.report)), ["f: 2 unsafe (unsafe) 1+0", "g: 2 reached 2+2"]);
            for _ in 0..2 {
                assert_eq!(shown(&process.tick().await), ["f: 2 unsafe (unsafe) 0+0", "g: 2 reached 0+2"]);
            }
            account.objects.set(None);
            assert_eq!(shown(&process.tick().await), ["f: 2 unsafe (unsafe) 0+0", "g: 2 reached 0+2"]);
            let guards = account.document("guards-eu-west-2").await;
            assert!(
                guards["contacts"]["f eu-west-2"][0]["unsafe_because"].is_string(),
                "{away:?} {when}: {guards}"
            );
            let other = account.daemon(functions_of(&[("f", 2), ("g", 2)]));
            assert_eq!(shown(&other.tick().await), ["f: 2 unsafe (unsafe) 0+0", "g: 2 reached 0+2"]);
            assert_eq!(account.invocations("f"), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn processes_with_one_store_keep_each_others_results() {
    let account = Account::new("default: { handler: none, unrecognized: KeyError }");
    let [one, other] = ["a", "b"].map(|name| account.daemon(functions_of(&[(name, 2)])));
    let (first, second) = tokio::join!(one.tick(), other.tick());
    assert_eq!([shown(&first), shown(&second)], [["a: 2 unsafe (unsafe) 1+0"], ["b: 2 unsafe (unsafe) 1+0"]]);
    let both = account.daemon(functions_of(&[("a", 2), ("b", 2)]));
    assert_eq!(shown(&both.tick().await), ["a: 2 unsafe (unsafe) 0+0", "b: 2 unsafe (unsafe) 0+0"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_after_the_first_ping_leaves_the_round_to_the_next_tick() {
    let account = Account::new(
        "functions: { f: { duration: 1s } }\nreads: { faults: { GetFunctionConfiguration: [{ fault: slow, by: 1h, first: 1 }] } }",
    );
    let process = account.daemon(functions_of(&[("f", 3)]));
    let (stopper, stop) = stop();
    let budget = TimeBudget::until_stopped(stop, Some(Duration::from_secs(20)));
    let now = account.clock.now();
    let trigger = Trigger::Schedule { at: now, previous: Minute::of(now).plus(-1) };
    let stopping = async {
        // The facts are being read.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        stopper.stop();
    };
    let (outcome, ()) = tokio::join!(process.service.serve(trigger, &budget, &process.parts), stopping);
    let report = outcome.unwrap().report;
    assert_eq!(shown(&json!(report)), ["f: 3 deadline 2+0"]);
    assert!(!report.any_short());
    assert!(account.clock.now() - now < TimeDelta::seconds(4));
    let restarted = account.daemon(functions_of(&[("f", 3)]));
    assert_eq!(shown(&restarted.tick().await), ["f: 3 reached 0+3"]);
}
