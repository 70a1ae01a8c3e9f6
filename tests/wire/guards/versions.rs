//! Versions behind weighted aliases.

use super::*;

/// Sets the routing of `f:live` in the emulated account and in the known facts.
async fn route(account: &Account, version: u32, others: &[(u32, f64)]) {
    let own = 1.0 - others.iter().map(|(_, share)| share).sum::<f64>();
    let routes: Vec<String> =
        [(version, own)].iter().chain(others).map(|(number, share)| format!("{number}: {share}")).collect();
    let routes = if others.is_empty() { version.to_string() } else { format!("{{ {} }}", routes.join(", ")) };
    account.change(&format!("functions: {{ f: {{ aliases: {{ live: {routes} }} }} }}"));
    let weight = |(number, share): &(u32, f64)| (number.to_string(), json!((share * 1e6).round() as u32));
    let others: serde_json::Map<String, Value> = others.iter().map(weight).collect();
    let mut facts = account.document("facts-eu-west-2").await;
    let seen = &mut facts["functions"]["f:live eu-west-2"]["seen"];
    assert!(seen.is_object(), "the facts were read before");
    seen["alias"] = json!({ "known": { "version": version.to_string(), "others": others } });
    account.write("facts-eu-west-2", facts.to_string()).await;
}

fn versions(tick: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let one = |version: &Value| {
        let keys = ["version", "weight", "target", "reached", "evidence", "serves_alias", "skipped"];
        keys.map(|key| text(&version[key])).join(" ")
    };
    tick["rounds"][0]["versions"].as_array().unwrap().iter().map(one).collect()
}

fn qualifiers(account: &Account) -> Vec<String> {
    let seen = account.emulator.observe();
    let mut qualifiers: Vec<String> =
        seen.of("f").map(|invocation| invocation.qualifier.clone().unwrap_or_default()).collect();
    qualifiers.sort();
    qualifiers
}

const F: &str = "functions: { f: { aliases: { live: 7 }, versions: {
    7: { code: a }, 8: { code: b }, 9: { code: c, handler: none, unrecognized: KeyError } } } }";

/// Starts a daemon whose alias without weights is warm.
async fn warm() -> (Account, Process) {
    let account = Account::new(F);
    let process = account.daemon(functions_of(&[("f:live", 3)]));
    assert_eq!(shown(&process.ticks(2).await), ["f:live: 3 reached 0+3"]);
    account.emulator.reset();
    (account, process)
}

#[tokio::test(start_paused = true)]
async fn each_version_is_warmed_in_full_and_confirmed_by_ids_through_the_alias() {
    let (account, process) = warm().await;
    route(&account, 7, &[(8, 0.1)]).await;
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f:live: 3 reached 2+6"]);
    assert_eq!(versions(&tick), ["7 0.9 3 3 ids confirmed null", "8 0.1 3 3 ids assumed null"]);
    assert_eq!(tick["rounds"][0]["cold"], 3, "those of version 8");
    assert_eq!(qualifiers(&account), [["7"; 3].as_slice(), &["8"; 5]].concat());
    // The facts that were read by number make a second contact unnecessary. Weights move.
    route(&account, 7, &[(8, 0.5)]).await;
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f:live: 3 reached 0+6"]);
    assert_eq!(versions(&tick), ["7 0.5 3 3 ids confirmed null", "8 0.5 3 3 ids assumed null"]);
    let status = account.document("status").await;
    let last = &status["targets"]["f:live eu-west-2"]["versions"];
    assert_eq!(last[1], json!({ "version": "8", "target": 3, "reached": 3 }));
    // The alias moves: no environment of version 8 is new, and its users have met none.
    route(&account, 8, &[]).await;
    account.emulator.reset();
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f:live: 3 reached 0+3"]);
    assert_eq!(versions(&tick), ["8 null 3 3 ids confirmed null"]);
    assert_eq!((qualifiers(&account), &tick["rounds"][0]["cold"]), (vec!["live".to_owned(); 3], &json!(0)));
    route(&account, 8, &[(7, 0.0)]).await;
    let tick = process.tick().await;
    assert_eq!(versions(&tick), ["8 1.0 3 3 ids confirmed null", "7 0.0 3 3 ids confirmed null"]);
    // It is kept for later deployments, and a version that was never pinged by its number has nothing to confirm.
    route(&account, 8, &[(9, 0.1)]).await;
    process.tick().await;
    route(&account, 8, &[(7, 0.1)]).await;
    let tick = process.tick().await;
    assert_eq!(versions(&tick), ["8 0.9 3 3 ids confirmed null", "7 0.1 3 3 ids confirmed null"]);
    account.change("functions: { f: { versions: { 10: { code: a } } } }");
    route(&account, 10, &[]).await;
    assert_eq!(versions(&process.tick().await), ["10 null 3 3 ids null null"]);
}

#[tokio::test(start_paused = true)]
async fn throttles_of_the_round_through_the_alias_lower_it() {
    let (account, process) = warm().await;
    let throttled = "{ faults: [{ fault: throttle }] }";
    let versions = format!("{{ 7: {throttled}, 8: {throttled} }}");
    account.change(&format!("functions: {{ f: {{ denied_on: [7, 8], versions: {versions} }} }}"));
    route(&account, 7, &[(8, 0.1)]).await;
    assert_eq!(process.tick().await["rounds"][0]["verdict"], "short");
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f:live: 1 backed_off_from 3 short 0+1"]);
    let guards = account.document("guards-eu-west-2").await;
    assert_eq!(guards["health"]["f:live eu-west-2"]["limit"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_that_takes_pings_for_work_is_left_alone_and_the_old_one_stays_warm() {
    let (account, process) = warm().await;
    route(&account, 7, &[(9, 0.1)]).await;
    let outcome = process.outcome().await;
    let tick = json!(outcome.report);
    assert_eq!(shown(&tick), ["f:live: 3 unsafe 1+3"]);
    assert_eq!(versions(&tick), ["7 0.9 3 3 ids confirmed null", "9 0.1 3 null unknown assumed unsafe"]);
    assert!(outcome.report.any_short(), "exit code 3");
    account.emulator.reset();
    let tick = process.ticks(20).await;
    assert_eq!(shown(&tick), ["f:live: 3 unsafe 0+3"]);
    assert_eq!(qualifiers(&account), ["7"; 60], "nothing reaches version 9, through the alias neither");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_may_not_be_pinged_is_reached_through_the_alias_and_unproven() {
    let (account, process) = warm().await;
    account.change("functions: { f: { denied_on: [8] } }");
    route(&account, 7, &[(8, 0.1)]).await;
    let outcome = process.outcome().await;
    let tick = json!(outcome.report);
    // The first ping of version 8, the round of version 7, and that of the alias.
    assert_eq!(shown(&tick), ["f:live: 3 unproven 1+6"]);
    assert_eq!(tick["rounds"][0]["denied"], 1);
    assert!(!outcome.report.any_short());
    let messages = outcome.report.rounds[0].sent().unwrap().report.messages.join("; ");
    assert!(messages.contains("lambda:InvokeFunction on `function:NAME:*`"), "{messages}");
    account.emulator.reset();
    let tick = process.ticks(58).await;
    assert_eq!(shown(&tick), ["f:live: 3 unproven 0+6"]);
    assert_eq!(versions(&tick)[1], "8 0.1 3 null null assumed denied");
    assert!(!qualifiers(&account).contains(&"8".to_owned()), "it is not tried for an hour");
    account.change("functions: { f: { denied_on: [] } }");
    let last = process.ticks(3).await;
    assert_eq!(shown(&last), ["f:live: 3 reached 0+6"]);
    let guards = account.document("guards-eu-west-2").await;
    assert_eq!(guards["health"], json!({}), "a denial is no failure of the function");
}

#[tokio::test(start_paused = true)]
async fn without_the_routing_a_round_of_several_versions_is_unproven() {
    let account = Account::new(&format!("denied: [GetAlias]\n{F}"));
    let process = account.daemon(functions_of(&[("f:live", 8)]));
    assert_eq!(shown(&process.ticks(2).await), ["f:live: 8 reached 0+8"]);
    account.change("functions: { f: { aliases: { live: { 7: 0.5, 8: 0.5 } } } }");
    let outcome = process.outcome().await;
    let report = &outcome.report.rounds[0].sent().unwrap().report;
    assert_eq!((report.versions.len(), report.reached), (2, Some(8)));
    let tick = json!(outcome.report);
    assert_eq!(tick["rounds"][0]["verdict"], "unproven");
    let [seven, eight] =
        [0, 1].map(|index| tick["rounds"][0]["versions"][index]["reached"].as_u64().unwrap());
    assert_eq!(seven + eight, 8);
    let expected = format!(
        "several versions executed, and each needs 8 environments: proven are {seven} of version 7, {eight} of \
         version 8"
    );
    assert_eq!(report.messages, [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_deleted_fails_alone() {
    let (account, process) = warm().await;
    route(&account, 7, &[(8, 0.1)]).await;
    account.change("functions: { f: { versions: { 8: { faults: [{ fault: not-found }] } } } }");
    let tick = process.tick().await;
    assert_eq!(shown(&tick), ["f:live: 3 short 1+3"]);
    assert_eq!(versions(&tick)[0], "7 0.9 3 3 ids confirmed null");
    // The breaker is that of the version.
    let tick = process.ticks(4).await;
    assert_eq!(shown(&tick), ["f:live: 3 unproven 0+3"]);
    assert_eq!(versions(&tick)[1], "8 0.1 3 null null assumed breaker");
    let guards = account.document("guards-eu-west-2").await;
    assert_eq!(guards["health"]["f:8 eu-west-2"]["failures"], 3);
    assert_eq!(guards["health"].as_object().unwrap().len(), 1);
}
