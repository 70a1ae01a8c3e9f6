//! Capacity that clients request: provisioned concurrency, aliases and managed instances.

use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::get_alias::GetAliasOutput;
use aws_sdk_lambda::types::{AliasRoutingConfiguration, FunctionScalingConfig, State};

use super::account::{initializations, of, ping, pings};
use super::*;

const REGION: &str = "eu-west-2";

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Returns exception and message of a refusal.
fn refusal<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => {
            format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
        }
    }
}

async fn put(client: &Lambda, function: &str, qualifier: &str, number: i32) -> String {
    let call = client.put_provisioned_concurrency_config().function_name(function).qualifier(qualifier);
    refusal(call.provisioned_concurrent_executions(number).send().await)
}

async fn delete(client: &Lambda, function: &str, qualifier: &str) -> String {
    let call = client.delete_provisioned_concurrency_config().function_name(function).qualifier(qualifier);
    refusal(call.send().await)
}

/// Returns the status and the numbers requested, allocated and available, or the refusal.
async fn state(client: &Lambda, function: &str, qualifier: &str) -> String {
    let call = client.get_provisioned_concurrency_config().function_name(function).qualifier(qualifier);
    match call.send().await {
        Err(error) => refusal::<(), _>(Err(error)),
        Ok(of) => {
            let numbers = [
                of.requested_provisioned_concurrent_executions,
                of.allocated_provisioned_concurrent_executions,
                of.available_provisioned_concurrent_executions,
            ];
            let [requested, allocated, available] = numbers.map(|number| number.unwrap());
            let reason = of.status_reason.map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("{} {requested} {allocated} {available}{reason}", of.status.unwrap().as_str())
        }
    }
}

/// Returns the version of an alias, and its weights.
fn routes(alias: &GetAliasOutput) -> String {
    let weights = alias.routing_config().and_then(|config| config.additional_version_weights());
    let weights = weights.into_iter().flatten().map(|(version, weight)| format!(" {version}: {weight}"));
    format!("{}{}", alias.function_version().unwrap(), weights.collect::<String>())
}

async fn alias(client: &Lambda, function: &str) -> String {
    routes(&client.get_alias().function_name(function).name("live").send().await.unwrap())
}

/// Moves the alias `live`, sets the weight of an additional version, or clears the weights with `Some(None)`.
async fn update(
    client: &Lambda,
    function: &str,
    version: Option<&str>,
    weight: Option<Option<(&str, f64)>>,
) -> String {
    let config = weight.map(|weight| {
        let weights = weight.into_iter().map(|(version, weight)| (version.to_owned(), weight)).collect();
        AliasRoutingConfiguration::builder().set_additional_version_weights(Some(weights)).build()
    });
    let call = client.update_alias().function_name(function).name("live");
    refusal(call.set_function_version(version.map(str::to_owned)).set_routing_config(config).send().await)
}

#[tokio::test(start_paused = true)]
async fn provisioned_concurrency_is_put_read_listed_and_deleted() {
    let (emulator, client) = of("functions: { f: { prepare: 90s } }");
    let absent = "ProvisionedConcurrencyConfigNotFoundException: No Provisioned Concurrency Config found for this \
                  function";
    assert_eq!(state(&client, "f", "live").await, absent);
    assert_eq!(put(&client, "f", "live", 4).await, "accepted");
    let mut seen = vec![state(&client, "f", "live").await];
    for (seconds, number) in [(45, 0), (45, 0), (10, 10), (89, 0), (1, 0), (10, 2), (0, 8), (45, 0), (0, 1)] {
        sleep(seconds).await;
        if number > 0 {
            assert_eq!(put(&client, "f", "live", number).await, "accepted");
        }
        seen.push(state(&client, "f", "live").await);
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    IN_PROGRESS 4 0 0
    IN_PROGRESS 4 2 0
    READY 4 4 4
    IN_PROGRESS 10 4 4
    IN_PROGRESS 10 9 4
    READY 10 10 10
    READY 2 2 2
    IN_PROGRESS 8 2 2
    IN_PROGRESS 8 5 2
    READY 1 1 1
    ");
    assert_eq!(put(&client, "f", "7", 2).await, "accepted");
    let list = client.list_provisioned_concurrency_configs().function_name("f").send().await.unwrap();
    let listed: Vec<_> = list
        .provisioned_concurrency_configs()
        .iter()
        .map(|of| (of.function_arn().unwrap(), of.requested_provisioned_concurrent_executions().unwrap()))
        .collect();
    let arn = "arn:aws:lambda:eu-west-2:123456789012:function:f";
    assert_eq!(listed, [(&*format!("{arn}:7"), 2), (&*format!("{arn}:live"), 1)]);
    assert_eq!([delete(&client, "f", "live").await, delete(&client, "f", "live").await], ["accepted"; 2]);
    assert_eq!(state(&client, "f", "live").await, absent);
    let other_region = Lambda::new(&sdk(&emulator, "eu-west-1"));
    assert_eq!(state(&other_region, "f", "7").await, absent);
    let operations: Vec<_> =
        emulator.observe().reads.iter().map(|read| (read.operation, read.status)).collect();
    assert_eq!(operations[1], (Operation::PutProvisionedConcurrencyConfig, Some(202)));
    assert!(operations.contains(&(Operation::DeleteProvisionedConcurrencyConfig, Some(204))));
}

#[tokio::test(start_paused = true)]
async fn provisioned_concurrency_is_refused_as_lambda_does() {
    let (emulator, client) = of("
account: { concurrency: 200 }
functions:
  f: { aliases: { live: 7, other: 7, edge: $LATEST } }
  g: {}
  kept: { provisioned: 20, provisioned_on: [live] }
  own: { reserved: 10 }
  updating: { configuration: { LastUpdateStatus: InProgress } }
  canary: { aliases: { live: { 7: 0.9, 8: 0.1 } } }
");
    let mut all = Vec::new();
    for (function, qualifier, number) in [
        ("f", "live", 0),
        ("f", "live", -1),
        ("f", "$LATEST", 1),
        ("f", "edge", 1),
        ("f", "none", 1),
        ("absent", "live", 1),
        ("canary", "live", 1),
        ("updating", "live", 1),
        ("own", "live", 11),
        ("own", "live", 6),
        ("own", "7", 5),
        // 200 - 10 reserved - 20 of `kept`.
        ("f", "live", 171),
        ("f", "live", 71),
        ("f", "live", 70),
        ("f", "7", 1),
        ("g", "live", 1),
        ("kept", "live", 21),
        ("kept", "live", 19),
        ("g", "live", 1),
    ] {
        let answer = put(&client, function, qualifier, number).await;
        all.push(format!("{function}:{qualifier} {number}: {answer}"));
    }
    all.push(delete(&client, "f", "$LATEST").await);
    all.push(delete(&client, "absent", "live").await);
    all.push(delete(&client, "canary", "live").await);
    insta::assert_snapshot!(all.join("\n"), @"
    f:live 0: ValidationException: 1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1
    f:live -1: ValidationException: 1 validation error detected: Value '-1' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1
    f:$LATEST 1: InvalidParameterValueException: Provisioned Concurrency Configs cannot be applied to unpublished function versions.
    f:edge 1: InvalidParameterValueException: Provisioned Concurrency Configs cannot be applied to unpublished function versions.
    f:none 1: ResourceNotFoundException: Cannot find alias arn: arn:aws:lambda:eu-west-2:123456789012:function:f:none
    absent:live 1: ResourceNotFoundException: Function not found: arn:aws:lambda:eu-west-2:123456789012:function:absent
    canary:live 1: InvalidParameterValueException: Alias with weights can not be used with Provisioned Concurrency
    updating:live 1: ResourceConflictException: The operation cannot be performed at this time. An update is in progress for resource: arn:aws:lambda:eu-west-2:123456789012:function:updating
    own:live 11: InvalidParameterValueException: Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function
    own:live 6: accepted
    own:7 5: InvalidParameterValueException: Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function
    f:live 171: InvalidParameterValueException: Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [170].
    f:live 71: InvalidParameterValueException: Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].
    f:live 70: accepted
    f:7 1: ResourceConflictException: Version is pointed by a Provisioned Concurrency alias
    g:live 1: InvalidParameterValueException: Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].
    kept:live 21: InvalidParameterValueException: Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].
    kept:live 19: accepted
    g:live 1: accepted
    InvalidParameterValueException: The function resource provided must be an alias or a published version.
    ResourceNotFoundException: Function not found: arn:aws:lambda:eu-west-2:123456789012:function:absent
    accepted
    ");
    emulator.change(|scenario| scenario.account.concurrency = 10);
    let refused = emulator.put_provisioned(REGION, "h", "live", 1).unwrap_err();
    assert_eq!(refused, "Function not found: arn:aws:lambda:eu-west-2:123456789012:function:h");
    emulator.change(|scenario| scenario.account.concurrency = 150);
    assert_eq!(
        emulator.put_provisioned(REGION, "f", "live", 69),
        Ok(()),
        "less than before is always possible"
    );
}

#[tokio::test(start_paused = true)]
async fn an_increase_that_fails_leaves_what_was_available() {
    let (emulator, client) = of("functions: { f: { prepare: 60s } }");
    assert_eq!(put(&client, "f", "live", 3).await, "accepted");
    sleep(60).await;
    functions_change(&emulator, "functions: { f: { provisioned_fails: FUNCTION_ERROR_INIT_FAILURE } }");
    assert_eq!(state(&client, "f", "live").await, "READY 3 3 3", "prepared environments do not fail");
    assert_eq!(put(&client, "f", "live", 9).await, "accepted");
    sleep(59).await;
    assert_eq!(state(&client, "f", "live").await, "IN_PROGRESS 9 8 3");
    sleep(1).await;
    assert_eq!(state(&client, "f", "live").await, "FAILED 9 3 3 FUNCTION_ERROR_INIT_FAILURE");
    let kinds = initializations(&pings(&client, "f:live", 5).await);
    assert_eq!(kinds.iter().filter(|(kind, _)| kind == "provisioned-concurrency").count(), 3);
    functions_change(&emulator, "functions: { f: { provisioned_fails: none } }");
    assert_eq!(put(&client, "f", "live", 9).await, "accepted");
    sleep(60).await;
    assert_eq!(state(&client, "f", "live").await, "READY 9 9 9");
}

/// Applies a change as `POST /_emulator/change` does.
fn functions_change(emulator: &Emulator, yaml: &str) {
    emulator.change(|scenario| warmd::emulator::functions::change("body", yaml, scenario).unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_alias_has_weights_while_it_moves_and_its_capacity_cannot_be_changed() {
    const WEIGHTS: &str =
        "InvalidParameterValueException: Alias with weights can not be used with Provisioned Concurrency";
    let (emulator, client) = of("functions: { f: { aliases: { live: 7 }, moving: 60s, idle_life: 10m } }");
    assert_eq!(put(&client, "f", "live", 2).await, "accepted");
    assert_eq!(initializations(&pings(&client, "f:live", 2).await).len(), 2);
    assert_eq!(update(&client, "f", Some("8"), None).await, "accepted");
    assert_eq!(alias(&client, "f").await, "8 7: 1");
    assert_eq!(state(&client, "f", "live").await, "IN_PROGRESS 2 2 2");
    let configuration = client.get_function_configuration().function_name("f").qualifier("live").send().await;
    assert_eq!(configuration.unwrap().version(), Some("8"));
    assert_eq!([put(&client, "f", "live", 3).await, delete(&client, "f", "live").await], [WEIGHTS; 2]);
    let moved = update(&client, "f", Some("9"), None).await;
    assert_eq!(
        moved,
        "InvalidParameterValueException: Invalid alias configuration for Provisioned Concurrency"
    );
    sleep(59).await;
    let warm = invoke(&client, "f:live", ping()).await.unwrap();
    assert_eq!(
        (warm.executed_version(), log(&warm).contains("Init")),
        (Some("7"), false),
        "it is the old one"
    );
    sleep(1).await;
    assert_eq!(alias(&client, "f").await, "8");
    assert_eq!(state(&client, "f", "live").await, "READY 2 2 2");
    let new = invoke(&client, "f:live", ping()).await.unwrap();
    assert_eq!((new.executed_version(), log(&new).contains("Init Duration")), (Some("8"), true));
    assert_eq!(initializations(&[Ok(new)]), [("provisioned-concurrency".to_owned(), true)]);
    assert_eq!(put(&client, "f", "live", 3).await, "accepted");

    // Somebody else, through the scenario and through the API.
    functions_change(&emulator, "functions: { f: { aliases: { live: 9 } } }");
    assert_eq!(alias(&client, "f").await, "9 8: 1");
    sleep(60).await;
    assert_eq!(alias(&client, "f").await, "9");
    emulator.update_alias(REGION, "f", "live", Some("7"), None).unwrap();
    assert_eq!(alias(&client, "f").await, "7 9: 1");
    // Without weights, requests go to environments that are not ready.
    assert_eq!(update(&client, "f", None, Some(None)).await, "accepted");
    assert_eq!(alias(&client, "f").await, "7");
    assert_eq!(emulator.provisioned(REGION, "f", "live").unwrap().available, 3, "`prepare` is zero");
    assert_eq!(delete(&client, "f", "live").await, "accepted");
    assert_eq!(update(&client, "f", Some("8"), None).await, "accepted");
    assert_eq!(alias(&client, "f").await, "8", "without capacity, an alias moves at once");
}

#[tokio::test(start_paused = true)]
async fn weights_stay_when_the_environments_of_the_new_version_fail() {
    let (_, client) = of("
functions:
  f:
    aliases: { live: 7 }
    moving: 60s
    prepare: 30s
    versions: { 8: { provisioned_fails: FUNCTION_ERROR_INIT_FAILURE } }
");
    assert_eq!(put(&client, "f", "live", 2).await, "accepted");
    sleep(30).await;
    assert_eq!(update(&client, "f", Some("8"), None).await, "accepted");
    sleep(3600).await;
    assert_eq!(alias(&client, "f").await, "8 7: 1");
    assert_eq!(state(&client, "f", "live").await, "FAILED 2 2 2 FUNCTION_ERROR_INIT_FAILURE");
    assert_ne!(delete(&client, "f", "live").await, "accepted");
    assert_ne!(update(&client, "f", Some("9"), None).await, "accepted");
    // The way out: weights are cleared, then the configuration goes.
    assert_eq!(update(&client, "f", None, Some(None)).await, "accepted");
    assert_eq!(state(&client, "f", "live").await, "IN_PROGRESS 2 0 0");
    sleep(30).await;
    assert_eq!(state(&client, "f", "live").await, "FAILED 2 0 0 FUNCTION_ERROR_INIT_FAILURE");
    assert_eq!(delete(&client, "f", "live").await, "accepted");
    assert_eq!(update(&client, "f", Some("9"), None).await, "accepted");
    assert_eq!(alias(&client, "f").await, "9");
}

#[tokio::test(start_paused = true)]
async fn invocations_follow_the_weights_of_an_alias() {
    let (_, client) = of("functions: { f: { aliases: { live: 7 } } }");
    let mut all = vec![alias(&client, "f").await];
    for weight in [("7", 0.1), ("8", 1.5), ("x", 0.1), ("8", 0.25)] {
        all.push(update(&client, "f", None, Some(Some(weight))).await);
    }
    all.push(alias(&client, "f").await);
    let other = |name| client.get_alias().function_name("f").name(name).send();
    all.extend([refusal(other("none").await), refusal(other("7").await)]);
    insta::assert_snapshot!(all.join("\n"), @"
    7
    InvalidParameterValueException: Invalid function version 7. Function version 7 is already included in routing configuration.
    ValidationException: 1 validation error detected: Value '{8=1.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]
    InvalidParameterValueException: $LATEST is not supported for an alias pointing to more than 1 version
    accepted
    7 8: 0.25
    ResourceNotFoundException: Cannot find alias arn: arn:aws:lambda:eu-west-2:123456789012:function:f:none
    ValidationException: 1 validation error detected: Value '7' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)
    ");
    let mut versions = [0, 0];
    for answer in pings(&client, "f:live", 400).await {
        versions[usize::from(answer.unwrap().executed_version() == Some("8"))] += 1;
    }
    assert!((260..=340).contains(&versions[0]) && versions[0] + versions[1] == 400, "{versions:?}");
}

#[tokio::test(start_paused = true)]
async fn more_than_ten_requests_a_second_for_each_environment_spill_over() {
    let (emulator, client) = of("functions: { f: { provisioned: 2, ping: 0ms, duration: 1ms } }");
    let mut kinds = Vec::new();
    for _ in 0..2 {
        for _ in 0..25 {
            work(&client, "f:live").await.unwrap();
        }
        let count = emulator.observe().counts.of(REGION, "f");
        kinds.push(count.environments.get("on-demand").copied().unwrap_or(0));
        sleep(1).await;
    }
    assert_eq!(kinds, [1, 1], "one after the other in a warm environment on demand");
    let provisioned =
        |of: &warmd::emulator::Invocation| of.initialization.as_deref() == Some("provisioned-concurrency");
    let invocations = emulator.observe().invocations;
    assert_eq!(invocations.iter().filter(|of| provisioned(of)).count(), 40);
}

#[tokio::test(start_paused = true)]
async fn environments_end_with_a_decrease() {
    let (emulator, client) = of("functions: { f: {} }");
    let put = |number| emulator.put_provisioned(REGION, "f", "live", number).unwrap();
    let prepared = async || {
        let all = initializations(&pings(&client, "f:live", 4).await);
        all.iter().filter(|(kind, init)| kind == "provisioned-concurrency" && *init).count()
    };
    put(4);
    assert_eq!([prepared().await, prepared().await], [4, 0]);
    put(1);
    put(4);
    assert_eq!(prepared().await, 3);
    put(0);
    put(4);
    assert_eq!(prepared().await, 4);
    // The concurrency on demand is without that of provisioned environments.
    functions_change(&emulator, "account: { concurrency: 110 }\nfunctions: { g: {} }");
    let refused = pings(&client, "g", 110).await.into_iter().filter(Result::is_err).count();
    assert_eq!(refused, 4);
}

#[tokio::test(start_paused = true)]
async fn changes_are_throttled_denied_or_made_without_an_answer() {
    let (emulator, client) = of("
functions: { f: {} }
denied: [DeleteProvisionedConcurrencyConfig]
reads:
  rate: 3
  faults:
    PutProvisionedConcurrencyConfig: [{ fault: throttle, first: 1 }, { fault: reset, every: 2 }]
");
    assert_eq!(put(&client, "f", "live", 5).await, "TooManyRequestsException: Rate exceeded");
    assert_eq!(emulator.requested(REGION, "f", "live"), 0);
    let call = client.put_provisioned_concurrency_config().function_name("f").qualifier("live");
    let cut = call.provisioned_concurrent_executions(5).send().await.unwrap_err();
    assert!(matches!(cut, SdkError::DispatchFailure(_)), "{cut:?}");
    assert_eq!(emulator.requested(REGION, "f", "live"), 5, "the change was made");
    assert!(delete(&client, "f", "live").await.starts_with("AccessDeniedException: User: arn:aws:iam::"));
    assert_eq!(state(&client, "f", "live").await, "TooManyRequestsException: Rate exceeded");
    sleep(1).await;
    assert_eq!(state(&client, "f", "live").await, "READY 5 5 5");
    functions_change(&emulator, "functions: { f: { configuration: { LastUpdateStatus: InProgress } } }");
    let arn = "arn:aws:lambda:eu-west-2:123456789012:function:f";
    assert_eq!(
        put(&client, "f", "live", 6).await,
        format!(
            "ResourceConflictException: The operation cannot be performed at this time. An update is in progress \
             for resource: {arn}"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn the_bill_and_the_history_are_observed() {
    let (emulator, client) = of("
functions: { f: { prepare: 90s }, kept: { provisioned: 3, provisioned_on: [live] } }
changes: [{ after: 20m, functions: { kept: { provisioned: 1 } } }]
");
    assert_eq!(state(&client, "kept", "live").await, "READY 3 3 3");
    sleep(60).await;
    assert_eq!(put(&client, "f", "live", 10).await, "accepted");
    sleep(540).await;
    assert_eq!(put(&client, "f", "live", 4).await, "accepted");
    sleep(1201).await;
    assert_eq!(delete(&client, "f", "live").await, "accepted");
    sleep(3600).await;
    let all = emulator.observe().provisioned;
    let levels = |index: usize| -> Vec<_> {
        let level = |of: &warmd::emulator::ProvisionedLevel| (of.at.as_secs(), of.requested, of.available);
        all[index].levels.iter().map(level).collect()
    };
    assert_eq!((all[0].function.as_str(), all[0].status.as_deref(), all.len()), ("f", None, 2));
    assert_eq!(levels(0), [(60, 10, 0), (150, 10, 10), (600, 4, 4), (1801, 0, 0)]);
    // Six environments for 540 s, and four for 1,741 s.
    assert_eq!(all[0].environment_seconds, 6 * 600 + 4 * 1800);
    assert_eq!(levels(1), [(0, 3, 3), (1200, 1, 1)]);
    assert_eq!((all[1].requested, all[1].environment_seconds), (1, 2 * 1200 + 5700));
    assert_eq!(emulator.provisioned(REGION, "kept", "live").as_ref(), Some(&all[1]));
    let json = serde_json::to_value(&all[0]).unwrap();
    assert_eq!(
        json["levels"][1],
        json!({ "at_ms": 150_000.0, "requested": 10, "available": 10, "billed": 10 })
    );
    emulator.reset();
    assert_eq!(emulator.observe().provisioned, all, "the environments stay, and so does their bill");
    functions_change(&emulator, "functions: { kept: ~ }");
    let kept = &emulator.observe().provisioned[1];
    assert_eq!((kept.requested, kept.environment_seconds), (0, all[1].environment_seconds), "it is removed");
}

#[tokio::test(start_paused = true)]
async fn the_speed_applies_to_capacity() {
    let (emulator, client) = of("speed: 60\nfunctions: { f: { prepare: 90s } }");
    assert_eq!(put(&client, "f", "live", 2).await, "accepted");
    tokio::time::sleep(ms(1_400)).await;
    assert_eq!(emulator.provisioned(REGION, "f", "live").unwrap().available, 0);
    tokio::time::sleep(ms(100)).await;
    assert_eq!(emulator.provisioned(REGION, "f", "live").unwrap().available, 2);
    sleep(60).await;
    let seconds = emulator.provisioned(REGION, "f", "live").unwrap().environment_seconds;
    assert_eq!(seconds, 2 * 3900, "a minute and 1.5 s are 3,690 s");
}

#[tokio::test(start_paused = true)]
async fn the_utilization_is_that_of_the_available_environments() {
    let (emulator, client) = of("functions: { f: { prepare: 60s } }");
    let utilization = |end| emulator.utilization(REGION, "f", "live", Duration::from_secs(end));
    assert_eq!(utilization(60), None);
    emulator.put_provisioned(REGION, "f", "live", 4).unwrap();
    pings(&client, "f:live", 3).await;
    sleep(90).await;
    pings(&client, "f:live", 3).await;
    pings(&client, "f:live", 2).await;
    sleep(60).await;
    pings(&client, "f:live", 9).await;
    sleep(120).await;
    // The first pings were served on demand.
    assert_eq!([60, 120, 180, 240].map(utilization), [None, Some(0.75), Some(1.0), None]);
}

#[tokio::test(start_paused = true)]
async fn scaling_configurations_of_managed_instances_are_requested_and_applied() {
    let (emulator, client) = of("
functions:
  f: { at_once: 10, prepare: 60s, configuration: { CapacityProviderConfig: {} } }
  plain: {}
");
    let put = async |function: &str, qualifier: &str, min: Option<i32>, max: Option<i32>| {
        let config = FunctionScalingConfig::builder()
            .set_min_execution_environments(min)
            .set_max_execution_environments(max)
            .build();
        let call = client.put_function_scaling_config().function_name(function).qualifier(qualifier);
        call.function_scaling_config(config).send().await
    };
    let get = async |function: &str, qualifier: &str| {
        let call = client.get_function_scaling_config().function_name(function).qualifier(qualifier);
        let got = call.send().await.map_err(|error| refusal::<(), _>(Err(error)))?;
        let numbers = |config: Option<FunctionScalingConfig>| {
            config.map(|of| (of.min_execution_environments.unwrap(), of.max_execution_environments.unwrap()))
        };
        Ok::<_, String>([
            numbers(got.requested_function_scaling_config),
            numbers(got.applied_function_scaling_config),
        ])
    };
    assert_eq!(get("f", "7").await, Ok([None, None]));
    assert_eq!(put("f", "7", Some(3), Some(100)).await.unwrap().function_state(), Some(&State::Active));
    sleep(59).await;
    assert_eq!(get("f", "7").await, Ok([Some((3, 100)), None]));
    sleep(1).await;
    assert_eq!(get("f", "7").await, Ok([Some((3, 100)); 2]));
    emulator.put_scaling(REGION, "f", "7", (5, 100)).unwrap();
    assert_eq!(get("f", "7").await, Ok([Some((5, 100)), Some((3, 100))]));
    assert_eq!(put("f", "7", Some(0), Some(0)).await.unwrap().function_state(), Some(&State::Deactivating));
    sleep(60).await;
    assert_eq!(emulator.scaling(REGION, "f", "7"), [Some((0, 0)); 2]);
    assert_eq!(emulator.scaling("eu-west-1", "f", "7"), [None; 2]);
    assert!(put("f", "$LATEST.PUBLISHED", Some(1), Some(1)).await.is_ok());
    let mut all = Vec::new();
    for (function, qualifier, min, max) in [
        ("plain", "7", Some(3), Some(9)),
        ("f", "live", Some(3), Some(9)),
        ("f", "$LATEST", Some(3), Some(9)),
        ("f", "7", Some(3), None),
        ("f", "7", Some(0), Some(9)),
        ("f", "7", Some(9), Some(3)),
        ("f", "7", Some(9), Some(15_001)),
        ("absent", "7", Some(3), Some(9)),
    ] {
        all.push(refusal(put(function, qualifier, min, max).await));
    }
    all.push(get("plain", "7").await.unwrap_err());
    insta::assert_snapshot!(all.join("\n"), @r"
    AccessDeniedException: The function is not configured with a capacity provider.
    ValidationException: 1 validation error detected: Value 'live' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: (\$LATEST\.PUBLISHED|[0-9]+)
    ValidationException: 1 validation error detected: Value '$LATEST' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: (\$LATEST\.PUBLISHED|[0-9]+)
    InvalidParameterValueException: MinExecutionEnvironments and MaxExecutionEnvironments must be specified together.
    InvalidParameterValueException: MinExecutionEnvironments can be 0 only when MaxExecutionEnvironments is 0.
    InvalidParameterValueException: MinExecutionEnvironments must be less than or equal to MaxExecutionEnvironments.
    ValidationException: 1 validation error detected: Value '15001' at 'functionScalingConfig.maxExecutionEnvironments' failed to satisfy constraint: Member must have value less than or equal to 15000
    ResourceNotFoundException: Function not found: arn:aws:lambda:eu-west-2:123456789012:function:absent:7
    AccessDeniedException: The function is not configured with a capacity provider.
    ");
}
