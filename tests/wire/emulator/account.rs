//! What guards react to: deployments, states of functions, limits of the account, handlers that take a ping for an
//! order, and faults of reads.

use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::types::{ProvisionedConcurrencyStatusEnum, State};
use warmd::emulator::functions;

use super::*;

const PING: &str =
    "{\"warmd\":{\"version\":1,\"round\":\"r\",\"index\":0,\"concurrency\":1,\"hold_ms\":100}}";

/// Creates an emulator of a functions file.
pub(super) fn of(yaml: &str) -> (Emulator, Lambda) {
    in_memory(functions::parse("functions.yaml", yaml).unwrap())
}

pub(super) fn ping() -> Value {
    serde_json::from_str(PING).unwrap()
}

/// Sends `n` concurrent pings. Returns their answers, or the code and the reason of their refusals.
pub(super) async fn pings(
    client: &Lambda,
    function: &'static str,
    n: usize,
) -> Vec<Result<InvokeOutput, String>> {
    let calls: Vec<_> = (0..n)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                invoke(&client, function, ping()).await.map_err(|error| match &error {
                    InvokeError::TooManyRequestsException(error) => {
                        error.reason().unwrap().as_str().to_owned()
                    }
                    other => other.code().unwrap().to_owned(),
                })
            })
        })
        .collect();
    let mut all = Vec::new();
    for call in calls {
        all.push(call.await.unwrap());
    }
    all
}

fn refusals(answers: &[Result<InvokeOutput, String>]) -> Vec<&str> {
    answers.iter().filter_map(|answer| answer.as_ref().err().map(String::as_str)).collect()
}

/// Returns version, CodeSha256, runtime and state.
async fn configuration(client: &Lambda, function: &str) -> (String, String, Option<String>, State) {
    let got = client.get_function_configuration().function_name(function).send().await.unwrap();
    (
        got.version.unwrap(),
        got.code_sha256.unwrap(),
        got.runtime.map(|runtime| runtime.as_str().to_owned()),
        got.state.unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn versions_have_code_and_handlers_of_their_own_and_aliases_have_those_of_their_version() {
    let (_, client) = of("
functions:
  f:
    code: a
    aliases: { live: 7, next: 8 }
    versions: { 8: { code: b, runtime: nodejs22.x, handler: none, duration: 5s } }
");
    let live = configuration(&client, "f:live").await;
    let (_, b, runtime, _) = configuration(&client, "f:8").await;
    assert_eq!((live.0.as_str(), live.2.as_deref()), ("7", Some("python3.13")));
    // The digest of "a", in base64.
    assert_eq!(live.1, "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=");
    assert_eq!(configuration(&client, "f:7").await.1, live.1);
    assert_eq!(configuration(&client, "f:next").await, ("8".to_owned(), b.clone(), runtime, State::Active));
    assert_ne!(b, live.1);
    for (function, version, seconds) in [("f:live", "7", 0), ("f:next", "8", 5)] {
        let warm = invoke(&client, function, ping()).await.unwrap();
        assert_eq!(warm.executed_version(), Some(version));
        let begun = Instant::now();
        invoke(&client, function, ping()).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), seconds, "{function}");
    }
    let (_, plain) = of("default: { profile: container-image }");
    let image = configuration(&plain, "any").await;
    // The digest of nothing, as before there was a `code`.
    assert_eq!((image.1.as_str(), image.2), ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", None));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_ends_the_environments_of_the_old_code_and_no_others() {
    let (emulator, client) = of("functions: { f: { versions: { 7: {} } } }");
    for _ in 0..2 {
        assert_eq!(refusals(&pings(&client, "f", 3).await), [""; 0]);
        pings(&client, "f:7", 2).await;
    }
    let before = configuration(&client, "f").await.1;
    emulator.change(|scenario| scenario.functions.get_mut("f").unwrap().code = "new".to_owned());
    assert_ne!(configuration(&client, "f").await.1, before);
    assert_eq!(configuration(&client, "f:7").await.1, before, "published versions are immutable");
    emulator.reset();
    pings(&client, "f", 3).await;
    pings(&client, "f:7", 2).await;
    let rollback = |scenario: &mut Scenario| scenario.functions.get_mut("f").unwrap().code = String::new();
    emulator.change(rollback);
    pings(&client, "f", 3).await;
    let fresh: Vec<_> =
        emulator.observe().invocations.iter().map(|i| (i.version.clone().unwrap(), i.is_new)).collect();
    let expected =
        [("$LATEST", true, 3), ("7", false, 2), ("$LATEST", true, 3)].map(|(version, is_new, n)| {
            vec![(version.to_owned(), is_new); n] //
        });
    assert_eq!(fresh, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn timed_changes_happen_at_their_times() {
    let (emulator, client) = of("
account: { concurrency: 10 }
functions: { f: {}, g: { reserved: 2 } }
changes:
  - { after: 20m, functions: { f: { reserved: 0 } }, denied: [GetFunctionConcurrency] }
  - { after: 10m, account: { concurrency: 5 }, functions: { f: { handler: none, configuration: { DurableConfig: {} } } } }
  - { after: 30m, functions: { f: ~ } }
");
    assert_eq!(refusals(&pings(&client, "f", 9).await), ["ConcurrentInvocationLimitExceeded"]);
    let minutes = async |n: u64| tokio::time::sleep(Duration::from_secs(60 * n)).await;
    minutes(10).await;
    let limit = client.get_account_settings().send().await.unwrap().account_limit().unwrap().clone();
    assert_eq!((limit.concurrent_executions(), limit.unreserved_concurrent_executions()), (5, Some(3)));
    let answers = pings(&client, "f", 4).await;
    assert_eq!(refusals(&answers), ["ConcurrentInvocationLimitExceeded"]);
    let arn = answers[0].as_ref().unwrap().durable_execution_arn().unwrap();
    assert!(arn.contains(":function:f:$LATEST/durable-execution/"), "{arn}");
    let reserved = async || client.get_function_concurrency().function_name("f").send().await;
    assert_eq!(reserved().await.unwrap().reserved_concurrent_executions(), None);
    minutes(10).await;
    assert_eq!(
        refusals(&pings(&client, "f", 2).await),
        ["ReservedFunctionConcurrentInvocationLimitExceeded"; 2]
    );
    assert_eq!(reserved().await.unwrap_err().into_service_error().code(), Some("AccessDeniedException"));
    minutes(10).await;
    assert_eq!(refusals(&pings(&client, "f", 1).await), ["ResourceNotFoundException"]);
    let counts = emulator.observe().counts.of("eu-west-2", "f");
    assert_eq!((counts.pings, counts.work, counts.durable, counts.throttled()), (8, 3, 3, 4));
    assert_eq!(counts.refusals["ResourceNotFoundException"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_inactive_function_refuses_the_first_invocation_and_wakes() {
    let (emulator, client) = of("functions: { f: { inactive: 30s } }");
    let state = async || configuration(&client, "f").await.3;
    assert_eq!(state().await, State::Inactive);
    let dry = client.invoke().function_name("f").invocation_type(InvocationType::DryRun).send().await;
    assert_eq!(
        (dry.unwrap().status_code(), state().await),
        (204, State::Inactive),
        "a dry run wakes nothing"
    );
    let answers = pings(&client, "f", 3).await;
    assert_eq!(
        refusals(&answers),
        ["ResourceNotReadyException", "ResourceConflictException", "ResourceConflictException"]
    );
    assert_eq!(state().await, State::Pending);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(refusals(&pings(&client, "f", 1).await), ["ResourceConflictException"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(state().await, State::Active);
    assert_eq!(refusals(&pings(&client, "f", 3).await), [""; 0]);
    assert_eq!(configuration(&client, "f:1").await.3, State::Inactive, "each version has a state");

    emulator.change(|scenario| scenario.functions.get_mut("f").unwrap().reserved = Some(9));
    assert_eq!(state().await, State::Active, "another change keeps it awake");
    emulator.change(|scenario| scenario.functions.get_mut("f").unwrap().inactive = Some(ms(5)));
    assert_eq!(state().await, State::Inactive);
}

#[tokio::test(start_paused = true)]
async fn reserved_concurrency_is_shared_by_qualifiers_and_the_rest_by_other_users() {
    let (emulator, client) = of("
account: { concurrency: 20, in_use_by_others: 9 }
functions: { mine: { reserved: 3 }, pc: { provisioned: 4, provisioned_on: [live] } }
default: {}
");
    let (one, other) = tokio::join!(pings(&client, "mine:1", 2), pings(&client, "mine:live", 2));
    let refused = [refusals(&one), refusals(&other)].concat();
    assert_eq!(refused, ["ReservedFunctionConcurrentInvocationLimitExceeded"]);
    // 20 - 3 reserved - 4 provisioned - 9 of others.
    assert_eq!(refusals(&pings(&client, "any", 6).await), ["ConcurrentInvocationLimitExceeded"; 2]);
    emulator.change(|scenario| scenario.account.in_use_by_others = 0);
    assert_eq!(refusals(&pings(&client, "any", 13).await), [""; 0]);

    let counts = emulator.observe().counts;
    assert_eq!(counts.of("eu-west-2", "mine").peak, 3);
    assert_eq!(counts.of("eu-west-2", "any").peak, 13);
    let all = &counts.scopes["123456789012/eu-west-2"];
    assert_eq!((all.peak, all.executions(), all.throttled()), (13, 3 + 4 + 13, 3));
}

/// Returns the initialization types in the answers of warmd's handler, with the number of their log tails that have an
/// Init Duration.
pub(super) fn initializations(answers: &[Result<InvokeOutput, String>]) -> Vec<(String, bool)> {
    let mut all: Vec<_> = answers
        .iter()
        .map(|output| {
            let output = output.as_ref().unwrap();
            let kind = answer(output)["warmd"]["initialization"].as_str().unwrap().to_owned();
            (kind, log(output).contains("Init Duration"))
        })
        .collect();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn pings_reach_provisioned_environments_first_and_the_rest_starts_on_demand() {
    let (emulator, client) =
        of("functions: { f: { provisioned: 3, provisioned_on: [live], prepare: 90s, idle_life: 5m } }");
    let provisioned = async |qualifier| {
        client.get_provisioned_concurrency_config().function_name("f").qualifier(qualifier).send().await
    };
    let preparing = provisioned("live").await.unwrap();
    assert_eq!(preparing.status(), Some(&ProvisionedConcurrencyStatusEnum::InProgress));
    assert_eq!(preparing.available_provisioned_concurrent_executions(), Some(0));
    assert!(provisioned("1").await.is_err());
    assert_eq!(initializations(&pings(&client, "f:live", 1).await), [("on-demand".to_owned(), true)]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(provisioned("live").await.unwrap().available_provisioned_concurrent_executions(), Some(3));

    let kinds = |provisioned: bool, on_demand: bool| {
        let kind = |kind: &str, init| (kind.to_owned(), init);
        let ahead = kind("provisioned-concurrency", provisioned);
        vec![kind("on-demand", on_demand), kind("on-demand", on_demand), ahead.clone(), ahead.clone(), ahead]
    };
    // Nobody waits for the INIT of a provisioned environment, and its first REPORT shows it.
    let begun = Instant::now();
    let first = pings(&client, "f:live", 1).await;
    assert!(begun.elapsed() < ms(110), "{:?}", begun.elapsed());
    let report = log(first[0].as_ref().unwrap());
    assert!(
        report.contains("Billed Duration: 101 ms") && report.contains("Init Duration: 250.00 ms"),
        "{report}"
    );
    assert_eq!(
        initializations(&pings(&client, "f:live", 3).await).iter().filter(|(_, init)| *init).count(),
        2
    );
    assert_eq!(initializations(&pings(&client, "f:live", 5).await), kinds(false, true));
    assert_eq!(initializations(&pings(&client, "f:live", 5).await), kinds(false, false));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(initializations(&pings(&client, "f:live", 5).await), kinds(false, true), "they stay");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(initializations(&pings(&client, "f:live", 5).await), kinds(true, true), "they are recycled");
    for other in ["f", "f:1"] {
        let all = initializations(&pings(&client, other, 2).await);
        assert!(all.iter().all(|(kind, _)| kind == "on-demand"), "{other}: {all:?}");
    }

    let count = emulator.observe().counts.of("eu-west-2", "f");
    assert_eq!(count.environments["provisioned-concurrency"], 6);
    assert_eq!(count.pings, count.succeeded);
    emulator.change(|scenario| scenario.functions.get_mut("f").unwrap().provisioned = Some(5));
    assert_eq!(
        provisioned("live").await.unwrap().status(),
        Some(&ProvisionedConcurrencyStatusEnum::InProgress)
    );
}

#[tokio::test(start_paused = true)]
async fn provisioned_environments_of_an_alias_follow_its_weights_and_count_as_reserved() {
    let (_, client) = of("
functions:
  f: { provisioned: 4, aliases: { live: { 7: 0.5, 8: 0.5 } } }
  own: { provisioned: 2, reserved: 2 }
");
    let kinds = initializations(&pings(&client, "f:live", 20).await);
    assert_eq!(kinds.iter().filter(|(kind, _)| kind == "provisioned-concurrency").count(), 4);
    let answers = pings(&client, "own:1", 3).await;
    assert_eq!(refusals(&answers), ["ReservedFunctionConcurrentInvocationLimitExceeded"]);
}

#[tokio::test(start_paused = true)]
async fn handlers_take_pings_of_others_for_orders() {
    let (emulator, client) = of("
functions:
  works: { handler: none, duration: 3s }
  fails: { handler: none, unrecognized: KeyError }
  crashes: { handler: none, unrecognized: Runtime.ExitError }
  endless: { handler: none, unrecognized: timeout, timeout: 4s }
  bref: { handler: bref, unrecognized: KeyError }
");
    for (function, error, warm) in [
        ("works", None, 3000),
        ("fails", Some("KeyError"), 2),
        ("crashes", Some("Runtime.ExitError"), 252),
        ("endless", Some("Sandbox.Timedout"), 4000),
        ("bref", Some("KeyError"), 2),
    ] {
        for expected in [None, Some(ms(warm))] {
            let begun = Instant::now();
            let output = invoke(&client, function, ping()).await.unwrap();
            let took = begun.elapsed();
            assert_eq!(answer(&output)["errorType"].as_str(), error, "{function}");
            assert!(expected.is_none_or(|warm| (warm..warm + ms(5)).contains(&took)), "{function}: {took:?}");
        }
        let count = emulator.observe().counts.of("eu-west-2", function);
        assert_eq!((count.pings, count.work, count.executions()), (0, 2, 2));
    }
    let own = invoke(&client, "bref", json!({ "warmer": true })).await.unwrap();
    assert_eq!((own.function_error(), answer(&own)), (None, json!(["Lambda is warm"])));
    let all = emulator.observe().counts.scopes["123456789012/eu-west-2"].clone();
    assert_eq!((all.succeeded, all.function_errors, all.timeouts, all.pings), (3, 6, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn reads_are_slow_throttled_broken_or_false() {
    let (emulator, client) = of(r#"
functions: { f: { provisioned: 4, memory: 1024 } }
reads:
  rate: 5
  faults:
    GetFunctionConcurrency: [{ fault: slow, by: 3s }, { fault: service-error, every: 2 }]
    GetFunctionConfiguration: [{ fault: answer, body: { MemorySize: -1, Timeout: ~, SnapStart: { ApplyOn: Odd } } }]
    GetProvisionedConcurrencyConfig: [{ fault: answer, body: "<html>" }, { fault: reset, every: 2 }]
    GetAccountSettings: [{ fault: answer, body: { AccountLimit: { ConcurrentExecutions: 2147483647 } } }, { fault: throttle, every: 2 }]
"#);
    let begun = Instant::now();
    let reserved = async || client.get_function_concurrency().function_name("f").send().await;
    assert_eq!(reserved().await.unwrap().reserved_concurrent_executions(), None);
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(reserved().await.unwrap_err().into_service_error().code(), Some("ServiceException"));

    let odd = client.get_function_configuration().function_name("f").send().await.unwrap();
    assert_eq!((odd.memory_size(), odd.timeout(), odd.version()), (Some(-1), None, Some("$LATEST")));
    let snap_start = odd.snap_start().unwrap();
    assert_eq!(snap_start.apply_on().unwrap().as_str(), "Odd");
    assert_eq!(snap_start.optimization_status().unwrap().as_str(), "Off", "other fields stay");
    let provisioned =
        async || client.get_provisioned_concurrency_config().function_name("f").qualifier("1").send().await;
    let page = provisioned().await.unwrap_err();
    assert_eq!(page.raw_response().unwrap().status().as_u16(), 200, "{page:?}");
    assert!(matches!(provisioned().await.unwrap_err(), SdkError::DispatchFailure(_)));
    let account = async || client.get_account_settings().send().await;
    let limit = account().await.unwrap().account_limit().unwrap().clone();
    assert_eq!(
        (limit.concurrent_executions(), limit.unreserved_concurrent_executions()),
        (i32::MAX, Some(1000))
    );
    assert_eq!(account().await.unwrap_err().into_service_error().code(), Some("TooManyRequestsException"));

    // A new second, with five reads.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut throttled = 0;
    for _ in 0..8 {
        let read = client.get_function().function_name("f").send().await;
        throttled +=
            usize::from(read.is_err_and(|error| error.into_service_error().is_too_many_requests_exception()));
    }
    assert_eq!(throttled, 3);
    let reads = emulator.observe().reads;
    let statuses: Vec<_> = reads.iter().map(|read| read.status).collect();
    assert_eq!(statuses[..7], [Some(200), Some(500), Some(200), Some(200), None, Some(200), Some(429)]);
    assert_eq!(reads.iter().filter(|read| read.arrived.as_secs() == 7).count(), 8, "{reads:?}");
}
