//! The emulator, tested with the real SDKs and with plain HTTP.

mod account;
mod capacity;

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::Instant;
use warmd::emulator::profile::{HoldBehavior, LogFormat, Network, Route, Span};
use warmd::emulator::{Emulator, Fault, FaultKind, Observations, Operation, Profile, Scenario, Start};

use crate::support::{NOW, sdk};

type Lambda = aws_sdk_lambda::Client;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn in_memory(scenario: Scenario) -> (Emulator, Lambda) {
    let emulator = Emulator::new(scenario);
    let client = Lambda::new(&sdk(&emulator, "eu-west-2"));
    (emulator, client)
}

async fn invoke(client: &Lambda, function: &str, payload: Value) -> Result<InvokeOutput, InvokeError> {
    let payload = Blob::new(payload.to_string());
    let sent = client.invoke().function_name(function).log_type(LogType::Tail).payload(payload).send().await;
    sent.map_err(|error| error.into_service_error())
}

/// Invokes the function with a payload that is real work.
async fn work(client: &Lambda, function: &str) -> Result<InvokeOutput, InvokeError> {
    invoke(client, function, json!({ "orderId": 7 })).await
}

fn log(output: &InvokeOutput) -> String {
    String::from_utf8(STANDARD.decode(output.log_result().unwrap()).unwrap()).unwrap()
}

fn answer(output: &InvokeOutput) -> Value {
    serde_json::from_slice(output.payload().unwrap().as_ref()).unwrap()
}

/// Invokes the function with real work. Returns Init Duration and the time that the call took.
async fn timed(client: &Lambda, function: &str) -> (Option<f64>, Duration) {
    let begun = Instant::now();
    let output = work(client, function).await.unwrap();
    let took = begun.elapsed();
    let log = log(&output);
    let init =
        log.split("Init Duration: ").nth(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
    (init, took)
}

#[tokio::test(start_paused = true)]
async fn a_container_image_has_cold_and_semi_cold_starts() {
    let (_, client) = in_memory(Scenario::default().with("ocr", Profile::container_image()));

    let (init, took) = timed(&client, "ocr").await;
    assert!((89_000.0..91_000.0).contains(&init.unwrap()), "{init:?}");
    assert!((89.0..91.0).contains(&took.as_secs_f64()), "{took:?}");

    let (init, took) = timed(&client, "ocr").await;
    assert_eq!(init, None);
    assert!((0.065..0.070).contains(&took.as_secs_f64()), "{took:?}");

    // The environment is removed after 5 minutes. The image is still cached.
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    let (init, took) = timed(&client, "ocr").await;
    assert!((6_000.0..7_000.0).contains(&init.unwrap()), "{init:?}");
    assert!((6.0..7.2).contains(&took.as_secs_f64()), "{took:?}");

    // The image is removed after an hour.
    tokio::time::sleep(Duration::from_secs(61 * 60)).await;
    let (init, _) = timed(&client, "ocr").await;
    assert!((89_000.0..91_000.0).contains(&init.unwrap()), "{init:?}");
}

/// Sends `n` concurrent pings of warmd's own protocol. Returns the environments in the answers.
async fn round(client: &Lambda, function: &'static str, n: u64, hold_ms: u64) -> Vec<String> {
    let pings = (0..n).map(|index| {
        let client = client.clone();
        tokio::spawn(async move {
            let payload = json!({ "warmd": { "version": 1, "round": format!("r{n}-{hold_ms}"), "index": index,
                "concurrency": n, "hold_ms": hold_ms } });
            let output = invoke(&client, function, payload).await.unwrap();
            answer(&output)["warmd"]["environment"].as_str().unwrap().to_owned()
        })
    });
    let mut environments = Vec::new();
    for ping in pings.collect::<Vec<_>>() {
        environments.push(ping.await.unwrap());
    }
    environments
}

#[tokio::test(start_paused = true)]
async fn pings_reach_as_many_environments_as_overlap() {
    let (emulator, client) = in_memory(Scenario::default());
    let cold: HashSet<String> = round(&client, "f", 50, 100).await.into_iter().collect();
    assert_eq!(cold.len(), 50);
    let warm: HashSet<String> = round(&client, "f", 50, 90).await.into_iter().collect();
    assert_eq!(warm, cold, "the same environments again");
    for _ in 0..5 {
        // The newest idle environment serves consecutive requests.
        round(&client, "f", 1, 0).await;
    }

    let observed = emulator.observe();
    let rounds = observed.rounds();
    let shown: Vec<_> =
        rounds.iter().map(|r| (r.invocations, r.environments, r.started, r.in_flight)).collect();
    assert_eq!(shown, [(50, 50, 50, 50), (50, 50, 0, 50), (5, 1, 0, 1)]);
    // The handler's answers and the observations have the same environments.
    let environments: HashSet<&str> = observed.of("f").filter_map(|ran| ran.environment.as_deref()).collect();
    assert_eq!(environments, cold.iter().map(String::as_str).collect());
}

#[tokio::test(start_paused = true)]
async fn network_delays_spread_the_arrivals_so_that_a_short_hold_misses_environments() {
    let network = Network { median: ms(15), sigma: 0.6 };
    let (_, client) = in_memory(Scenario::default().with("far", Profile { network, ..Profile::rust() }));
    round(&client, "far", 50, 1000).await;
    let distinct = |environments: Vec<String>| environments.into_iter().collect::<HashSet<_>>().len();
    let short = distinct(round(&client, "far", 50, 5).await);
    let long = distinct(round(&client, "far", 50, 500).await);
    assert!((10..45).contains(&short), "{short} of 50 with a hold of 5 ms");
    assert_eq!(long, 50);
}

#[tokio::test(start_paused = true)]
async fn every_presets_handler_answers_and_holds_like_the_real_one() {
    let (_, client) =
        in_memory(Scenario::default().with("f", Profile { ping: Span::millis(0), ..Profile::python() }));
    work(&client, "f").await.unwrap();
    let npm = json!({ "warmer": true, "__WARMER_INVOCATION__": 2, "__WARMER_CONCURRENCY__": 3, "__WARMER_CORRELATIONID__": "c" });
    let py = json!({ "warmer": true, "__WARMER_INVOCATION__": 3, "__WARMER_CONCURRENCY__": 3, "__WARMER_CORRELATION_ID__": "c" });
    let opennext = json!({ "type": "warmer", "warmerId": "w", "index": 0, "concurrency": 1, "delay": 120 });
    for (payload, hold, expected) in [
        (json!({ "source": "serverless-plugin-warmup" }), 25, json!("Lambda is warm!")),
        (npm, 75, json!("warmed")),
        (py, 75, json!(null)),
        (opennext, 120, json!({ "serverId": "env-000001", "type": "warmer" })),
        (json!({ "warmer": true }), 10, json!(["Lambda is warm"])),
        (json!({ "vaporWarmerPing": true }), 50, json!(null)),
        (json!("#warmup wait=30"), 130, json!({ "instanceId": "env-000001" })),
    ] {
        let begun = Instant::now();
        let output = invoke(&client, "f", payload.clone()).await.unwrap();
        let took = begun.elapsed();
        assert!((ms(hold)..ms(hold + 5)).contains(&took), "{payload}: {took:?}");
        assert_eq!(answer(&output), expected, "{payload}");
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_that_do_not_recognize_the_ping_do_real_work() {
    use warmd::emulator::profile::{Handler, Preset};
    let only = |handler| Profile { handler, duration: Span::millis(800), ..Profile::python() };
    let scenario = Scenario::default()
        .with("none", only(Handler::None))
        .with("other", only(Handler::Only(Preset::Bref)))
        .with("ignoring", Profile { hold: HoldBehavior::Ignored, ..Profile::python() })
        .with("fixed", Profile { hold: HoldBehavior::Fixed(ms(60)), ..Profile::python() });
    let (_, client) = in_memory(scenario);
    for (function, expected) in [("none", 800), ("other", 800), ("ignoring", 1), ("fixed", 61)] {
        let ping =
            json!({ "warmd": { "version": 1, "round": "r", "index": 0, "concurrency": 1, "hold_ms": 30 } });
        invoke(&client, function, ping.clone()).await.unwrap();
        let begun = Instant::now();
        invoke(&client, function, ping).await.unwrap();
        let took = begun.elapsed();
        assert!((ms(expected)..ms(expected + 5)).contains(&took), "{function}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_have_lambdas_shape() {
    let refusing = |kind| Profile { faults: vec![Fault::always(kind)], ..Profile::python() };
    let reason = "CallerRateLimitExceeded";
    let scenario = Scenario { default: None, ..Scenario::default() }
        .with("throttled", refusing(FaultKind::Throttle { reason: reason.to_owned() }))
        .with("denied", refusing(FaultKind::refuse(403)))
        .with("broken", refusing(FaultKind::refuse(500)))
        .with("enis", refusing(FaultKind::refuse(502)))
        .with("fine", Profile { aliases: [("live".to_owned(), vec![])].into(), ..Profile::python() });
    let (emulator, client) = in_memory(scenario);

    let error = work(&client, "throttled").await.unwrap_err();
    let InvokeError::TooManyRequestsException(error) = error else { panic!("{error:?}") };
    assert_eq!(error.reason().unwrap().as_str(), reason);
    assert_eq!(error.retry_after_seconds(), Some("1"));
    assert_eq!(error.message(), Some("Rate Exceeded."));

    for (function, code, message) in [
        ("denied", "AccessDeniedException", "not authorized"),
        ("broken", "ServiceException", "cannot be processed"),
        ("enis", "EC2ThrottledException", "throttled"),
        ("missing", "ResourceNotFoundException", "arn:aws:lambda:eu-west-2:123456789012:function:missing"),
        ("fine:blue", "ResourceNotFoundException", "Cannot find alias arn"),
        ("arn:aws:lambda:us-east-1:123456789012:function:fine", "ResourceNotFoundException", "not reachable"),
    ] {
        let error = work(&client, function).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{function}");
        assert!(error.message().is_some_and(|text| text.contains(message)), "{function}: {error:?}");
    }
    let error = client.invoke().function_name("fine").payload(Blob::new("{")).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("InvalidRequestContentException"));
    let error = client.invoke().function_name("fine:1").qualifier("2").send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("InvalidParameterValueException"));
    let error =
        client.invoke().function_name("fine").payload(Blob::new(vec![b' '; 6 * 1024 * 1024 + 1])).send();
    assert_eq!(error.await.unwrap_err().into_service_error().code(), Some("RequestTooLargeException"));

    let observed = emulator.observe();
    let refusals: Vec<&str> =
        observed.invocations.iter().filter_map(|refused| refused.refusal.as_deref()).take(2).collect();
    assert_eq!(refusals, ["TooManyRequestsException: CallerRateLimitExceeded", "AccessDeniedException"]);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_limited_by_account_and_by_reservation() {
    let mut scenario = Scenario::default().with("mine", Profile { reserved: Some(2), ..Profile::python() });
    scenario.account.concurrency = 5;
    let (_, client) = in_memory(scenario);
    let reasons = async |function: &'static str, n: usize| {
        let calls: Vec<_> = (0..n)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { work(&client, function).await })
            })
            .collect();
        let mut reasons = Vec::new();
        for call in calls {
            if let Err(InvokeError::TooManyRequestsException(error)) = call.await.unwrap() {
                reasons.push(error.reason().unwrap().as_str().to_owned());
            }
        }
        reasons
    };
    assert_eq!(reasons("mine", 3).await, ["ReservedFunctionConcurrentInvocationLimitExceeded"]);
    assert_eq!(reasons("other", 5).await, ["ConcurrentInvocationLimitExceeded"; 2]);
    assert_eq!(reasons("other", 3).await, [""; 0], "the others have ended");
}

#[tokio::test(start_paused = true)]
async fn failed_invocations_have_lambdas_shape() {
    let failing =
        |kind| Profile { faults: vec![Fault::first(1, kind)], timeout: ms(3000), ..Profile::python() };
    let error = |error_type: &str| FaultKind::FunctionError { error_type: error_type.to_owned() };
    let scenario = Scenario::default()
        .with("caught", failing(error("KeyError")))
        .with("crash", failing(error("Runtime.ExitError")))
        .with("endless", failing(FaultKind::Timeout))
        .with("slow", failing(FaultKind::Slow { by: ms(500) }))
        .with("cut", failing(FaultKind::Reset));
    let (emulator, client) = in_memory(scenario);

    for (function, error_type, status, next) in [
        ("caught", "KeyError", "", Start::Warm),
        ("crash", "Runtime.ExitError", "Status: error\tError Type: Runtime.ExitError", Start::Reinitialised),
        ("endless", "Sandbox.Timedout", "Status: timeout", Start::Reinitialised),
    ] {
        let output = work(&client, function).await.unwrap();
        assert_eq!((output.status_code(), output.function_error()), (200, Some("Unhandled")), "{function}");
        assert_eq!(answer(&output)["errorType"], error_type, "{function}");
        assert!(log(&output).contains(status), "{function}: {}", log(&output));

        let output = work(&client, function).await.unwrap();
        assert_eq!(output.function_error(), None);
        assert!(!log(&output).contains("Init Duration"), "{function}: {}", log(&output));
        assert_eq!(emulator.observe().of(function).last().unwrap().start, Some(next), "{function}");
    }

    let begun = Instant::now();
    assert!(work(&client, "slow").await.is_ok());
    assert!(begun.elapsed() > ms(900), "a cold start of 400 ms and 500 ms more");

    let cut = client.invoke().function_name("cut").send().await.unwrap_err();
    assert!(matches!(cut, aws_sdk_lambda::error::SdkError::DispatchFailure(_)), "{cut:?}");
    let observed = emulator.observe();
    let cut = observed.of("cut").next().unwrap();
    assert!(cut.status.is_none() && cut.environment.is_some(), "the handler ran: {cut:?}");
}

#[tokio::test(start_paused = true)]
async fn log_tails_have_all_formats_and_faults() {
    let with = |log, kind: Option<FaultKind>| Profile {
        log,
        faults: kind.map(Fault::always).into_iter().collect(),
        ..Profile::python()
    };
    let scenario = Scenario::default()
        .with("json", with(LogFormat::Json, None))
        .with("silent", with(LogFormat::Silent, None))
        .with("none", with(LogFormat::Text, Some(FaultKind::NoLog)))
        .with("garbage", with(LogFormat::Text, Some(FaultKind::GarbageLog)))
        .with("snap", Profile::java_snapstart());
    let (_, client) = in_memory(scenario);

    let text = log(&work(&client, "plain").await.unwrap());
    assert!(text.starts_with("START RequestId: ") && text.contains("\tInit Duration: 250.00 ms\t"), "{text}");
    let records = log(&work(&client, "json").await.unwrap());
    let report: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    assert_eq!(report["type"], "platform.report");
    assert_eq!(report["record"]["metrics"]["billedDurationMs"], 252);
    let restored = log(&work(&client, "snap:7").await.unwrap());
    assert!(restored.contains("\tBilled Restore Duration: "), "{restored}");

    for function in ["silent", "none"] {
        assert_eq!(work(&client, function).await.unwrap().log_result(), None, "{function}");
    }
    let garbage = work(&client, "garbage").await.unwrap();
    assert!(STANDARD.decode(garbage.log_result().unwrap()).is_err());
    let garbage = work(&client, "garbage").await.unwrap();
    assert!(String::from_utf8(STANDARD.decode(garbage.log_result().unwrap()).unwrap()).is_err());
    let without = client.invoke().function_name("plain").send().await.unwrap();
    assert_eq!(without.log_result(), None);
}

#[tokio::test(start_paused = true)]
async fn versions_and_regions_have_separate_environments() {
    let route = |version: &str, weight| Route { version: version.to_owned(), weight };
    let aliases = [
        ("live".to_owned(), vec![route("7", 1.0)]),
        ("canary".to_owned(), vec![route("7", 0.5), route("8", 0.5)]),
    ];
    let scenario = Scenario::default().with("f", Profile { aliases: aliases.into(), ..Profile::python() });
    let (emulator, client) = in_memory(scenario);
    let version =
        async |function: &str| work(&client, function).await.unwrap().executed_version().unwrap().to_owned();
    assert_eq!(version("f").await, "$LATEST");
    assert_eq!(version("f:3").await, "3");
    assert_eq!(version("arn:aws:lambda:eu-west-2:123456789012:function:f:live").await, "7");
    let mut canary = HashSet::new();
    for _ in 0..20 {
        canary.insert(version("f:canary").await);
    }
    assert_eq!(canary.len(), 2);

    let elsewhere = Lambda::new(&sdk(&emulator, "us-east-1"));
    work(&elsewhere, "f").await.unwrap();
    let observed = emulator.observe();
    let cold = observed.of("f").filter(|ran| ran.start != Some(Start::Warm));
    let starts: Vec<_> = cold.map(|ran| (ran.region.as_str(), ran.version.as_deref().unwrap())).collect();
    assert_eq!(
        starts,
        [
            ("eu-west-2", "$LATEST"),
            ("eu-west-2", "3"),
            ("eu-west-2", "7"),
            ("eu-west-2", "8"),
            ("us-east-1", "$LATEST")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn dry_runs_start_no_environment_and_events_return_at_once() {
    let slow = Profile { duration: Span::millis(5000), ..Profile::python() };
    let (emulator, client) = in_memory(Scenario::default().with("f", slow));
    let dry =
        client.invoke().function_name("f").invocation_type(InvocationType::DryRun).send().await.unwrap();
    assert_eq!(dry.status_code(), 204);
    assert_eq!(emulator.observe().of("f").count(), 0);

    let begun = Instant::now();
    let payload = Blob::new(json!({ "orderId": 1 }).to_string());
    let event = client.invoke().function_name("f").invocation_type(InvocationType::Event).payload(payload);
    assert_eq!(event.send().await.unwrap().status_code(), 202);
    assert!(begun.elapsed() < ms(5));
    let observed = emulator.observe();
    let occupied = observed.of("f").next().unwrap().occupied.unwrap();
    assert_eq!(occupied.until - occupied.from, ms(150 + 250 + 5000), "the event runs");
}

#[tokio::test(start_paused = true)]
async fn reads_return_the_configuration_and_the_limits() {
    let durable = json!({ "DurableConfig": { "ExecutionTimeout": 60 } }).as_object().unwrap().clone();
    let profile = Profile { reserved: Some(20), configuration: durable, ..Profile::container_image() };
    let (_, client) = in_memory(Scenario::default().with("ocr", profile));

    let configuration = client.get_function_configuration().function_name("ocr").send().await.unwrap();
    assert_eq!((configuration.memory_size(), configuration.timeout()), (Some(3008), Some(300)));
    assert!(configuration.durable_config().is_some());
    let function = client.get_function().function_name("ocr").send().await.unwrap();
    assert_eq!(function.concurrency().unwrap().reserved_concurrent_executions(), Some(20));
    let concurrency = async |name: &str| {
        let got = client.get_function_concurrency().function_name(name).send().await.unwrap();
        got.reserved_concurrent_executions()
    };
    assert_eq!((concurrency("ocr").await, concurrency("other").await), (Some(20), None));
    let limit = client.get_account_settings().send().await.unwrap().account_limit().unwrap().clone();
    assert_eq!((limit.concurrent_executions(), limit.unreserved_concurrent_executions()), (1000, Some(980)));
    let provisioned =
        client.get_provisioned_concurrency_config().function_name("ocr").qualifier("7").send().await;
    let code = provisioned.unwrap_err().into_service_error().code().unwrap().to_owned();
    assert_eq!(code, "ProvisionedConcurrencyConfigNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn reads_are_observed_and_may_be_denied() {
    let profile = Profile { provisioned: Some(4), ..Profile::default() };
    let denied = vec![Operation::GetFunctionConcurrency];
    let (emulator, client) = in_memory(Scenario { denied, ..Scenario::default().with("kept", profile) });
    let provisioned = client.get_provisioned_concurrency_config().function_name("kept").qualifier("live");
    assert_eq!(provisioned.send().await.unwrap().requested_provisioned_concurrent_executions(), Some(4));
    let refused = client.get_function_concurrency().function_name("kept").send().await.unwrap_err();
    let refused = refused.into_service_error();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
    let message = refused.message().unwrap();
    assert!(
        message.contains("not authorized to perform: lambda:GetFunctionConcurrency on resource: arn:"),
        "{message}"
    );
    let reads: Vec<_> =
        emulator.observe().reads.into_iter().map(|read| (read.operation, read.function.unwrap())).collect();
    let expected = [
        (Operation::GetProvisionedConcurrencyConfig, "kept:live".to_owned()),
        (Operation::GetFunctionConcurrency, "kept".to_owned()),
    ];
    assert_eq!(reads, expected);
}

mod cloudwatch {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::primitives::DateTime;
    use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};

    use super::*;

    fn client(emulator: &Emulator) -> Client {
        Client::new(&sdk(emulator, "eu-west-2"))
    }

    fn datum(n: usize) -> MetricDatum {
        let dimension = Dimension::builder().name("Function").value(format!("function-{n}")).build();
        let datum =
            MetricDatum::builder().metric_name("Pings").dimensions(dimension).unit(StandardUnit::Count);
        datum.value(n as f64).build()
    }

    async fn refusal(client: &Client, data: Vec<MetricDatum>) -> (String, String) {
        let sent = client.put_metric_data().namespace("warmd").set_metric_data(Some(data)).send().await;
        let Err(error) = sent else { return ("accepted".to_owned(), String::new()) };
        let error = error.into_service_error();
        (error.code().unwrap().to_owned(), error.message().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn metrics_are_accepted_plain_and_gzipped() {
        let emulator = Emulator::new(Scenario::default());
        let client = client(&emulator);
        let with_time =
            |n| MetricDatum::builder().timestamp(DateTime::from_secs(NOW as i64)).set_value(Some(n as f64));
        let first = with_time(1).metric_name("TickDuration").unit(StandardUnit::Milliseconds).build();
        client.put_metric_data().namespace("warmd").metric_data(first).send().await.unwrap();
        // A thousand metrics are far above 10 KB, so the SDK sends them gzipped.
        let many = (0..1000).map(datum).collect();
        client.put_metric_data().namespace("warmd").set_metric_data(Some(many)).send().await.unwrap();

        let observed = emulator.observe();
        assert_eq!((observed.metric_calls, observed.metrics.len()), (2, 1001));
        let first = &observed.metrics[0];
        assert_eq!((first.name.as_str(), first.unit.as_deref()), ("TickDuration", Some("Milliseconds")));
        assert_eq!((first.namespace.as_str(), first.region.as_str()), ("warmd", "eu-west-2"));
        assert_eq!(first.timestamp.unwrap().timestamp(), NOW as i64);
        assert_eq!(observed.metrics[8].dimensions, [("Function".to_owned(), "function-7".to_owned())]);
        assert_eq!(observed.values("Pings").len(), 1000);
        assert_eq!(observed.values("Pings")[999], 999.0);
    }

    #[tokio::test]
    async fn the_limits_of_the_api_are_checked() {
        let emulator = Emulator::new(Scenario::default());
        let client = client(&emulator);
        let plain = || MetricDatum::builder().metric_name("Pings");
        let many = |n| (0..n).map(f64::from).collect::<Vec<_>>();
        let dimensions =
            (0..31).map(|n| Dimension::builder().name(format!("d{n}")).value("v").build()).collect();
        let time = |seconds: i64| DateTime::from_secs(NOW as i64 + seconds);
        let day = 24 * 3600;
        for (data, code) in [
            ((0..1001).map(datum).collect::<Vec<_>>(), "InvalidParameterValue"),
            (vec![plain().set_values(Some(many(151))).build()], "InvalidParameterValue"),
            (
                vec![plain().set_values(Some(many(2))).set_counts(Some(many(3))).build()],
                "InvalidParameterValue",
            ),
            (vec![plain().value(1.0).set_values(Some(many(2))).build()], "InvalidParameterCombination"),
            (vec![plain().build()], "MissingParameter"),
            (vec![plain().value(f64::NAN).build()], "InvalidParameterValue"),
            (vec![plain().value(1.0).unit(StandardUnit::from("Furlongs")).build()], "InvalidParameterValue"),
            (vec![plain().value(1.0).set_dimensions(Some(dimensions)).build()], "InvalidParameterValue"),
            (vec![plain().value(1.0).timestamp(time(-15 * day)).build()], "InvalidParameterValue"),
            (vec![plain().value(1.0).timestamp(time(3 * 3600)).build()], "InvalidParameterValue"),
        ] {
            assert_eq!(refusal(&client, data.clone()).await.0, code, "{:?}", data.first());
        }
        let reserved = client.put_metric_data().namespace("AWS/Lambda").metric_data(datum(1)).send().await;
        assert_eq!(reserved.unwrap_err().into_service_error().code(), Some("InvalidParameterValue"));
        assert!(emulator.observe().metrics.is_empty(), "all or nothing");

        let fine = plain().set_values(Some(many(150))).timestamp(time(-13 * day)).build();
        client.put_metric_data().namespace("warmd").metric_data(fine).send().await.unwrap();
        assert_eq!(emulator.observe().values("Pings").len(), 150);
    }

    #[tokio::test]
    async fn faults_apply_to_calls() {
        let metrics = vec![
            Fault::every(2, FaultKind::refuse(500)),
            Fault::first(1, FaultKind::Throttle { reason: String::new() }),
        ];
        let emulator = Emulator::new(Scenario { metrics, ..Scenario::default() });
        let client = client(&emulator);
        assert_eq!(refusal(&client, vec![datum(1)]).await.0, "Throttling");
        assert_eq!(refusal(&client, vec![datum(1)]).await.0, "ServiceException");
        client.put_metric_data().namespace("warmd").metric_data(datum(1)).send().await.unwrap();
        let observed = emulator.observe();
        assert_eq!((observed.metric_calls, observed.metrics.len()), (3, 1));
    }
}

mod eventbridge {
    use aws_sdk_eventbridge::Client;
    use aws_sdk_eventbridge::types::PutEventsRequestEntry;

    use super::*;

    fn entry(detail: &str) -> PutEventsRequestEntry {
        let entry = PutEventsRequestEntry::builder().source("warmd").detail_type("Warm Request");
        entry.detail(detail).event_bus_name("warm-bus").build()
    }

    #[tokio::test]
    async fn a_request_has_ten_events_at_most_and_each_may_fail() {
        let events = vec![Fault::every(3, FaultKind::FailEntry)];
        let emulator = Emulator::new(Scenario { events, ..Scenario::default() });
        let client = Client::new(&sdk(&emulator, "eu-west-2"));
        let entries = ["{\"function\":\"f\"}", "not json", "{}", "{}"].map(entry).to_vec();
        let output = client.put_events().set_entries(Some(entries)).send().await.unwrap();
        assert_eq!(output.failed_entry_count(), 2);
        let codes: Vec<_> = output.entries().iter().map(|entry| entry.error_code().unwrap_or("-")).collect();
        assert_eq!(codes, ["-", "MalformedDetail", "InternalFailure", "-"]);

        let observed = emulator.observe();
        assert_eq!(observed.events.len(), 2);
        assert_eq!(observed.events[0].detail, json!({ "function": "f" }));
        assert_eq!(
            (observed.events[0].bus.as_str(), observed.events[0].region.as_str()),
            ("warm-bus", "eu-west-2")
        );

        let eleven = vec![entry("{}"); 11];
        let error = client.put_events().set_entries(Some(eleven)).send().await.unwrap_err();
        assert_eq!(error.into_service_error().code(), Some("ValidationException"));
    }
}

mod server {
    use hyper::client::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    use warmd::emulator::{Tls, listen};

    use super::*;
    use crate::support::send;

    fn request(path: &str, body: &str) -> http::Request<Full<Bytes>> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let body = Full::new(Bytes::from(body.to_owned()));
        http::Request::builder().method(method).uri(path).header("host", "emulator").body(body).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn hundreds_of_connections_over_loopback_are_in_flight_together() {
        let profile = Profile { duration: Span::millis(1500), ..Profile::rust() };
        let emulator = Emulator::new(Scenario::default().with("f", profile));
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = emulator.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            server.serve(listener, None, async { stopped.await.unwrap_or_default() }).await;
        });

        let path = "/2015-03-31/functions/f/invocations";
        let calls: Vec<_> = (0..400)
            .map(|_| {
                let request = request(path, r#"{"orderId":1}"#);
                tokio::spawn(async move { send(address, request).await.unwrap().status() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), 200);
        }
        // Another process reads the observations over HTTP.
        let read = send(address, request("/_emulator/observations", "")).await.unwrap();
        let read: Observations = serde_json::from_slice(read.body()).unwrap();
        assert_eq!(read.invocations, emulator.observe().invocations);
        let rounds = read.rounds();
        assert_eq!((rounds[0].invocations, rounds[0].environments, rounds[0].in_flight), (400, 400, 400));

        assert_eq!(send(address, request("/_emulator/reset", "{}")).await.unwrap().status(), 200);
        assert!(emulator.observe().invocations.is_empty());
        let change = async |body: &str| send(address, request("/_emulator/change", body)).await.unwrap();
        assert_eq!(change("functions: { f: { reserved: 0 } }").await.status(), 200);
        assert_eq!(send(address, request(path, "{}")).await.unwrap().status(), 429);
        for (body, message) in [
            ("{ account: { concurrency: 1 }, functions: { f: { profile: none } } }", "unknown profile"),
            ("{ after: 5s }", "body:1:10: `after` is for a functions file"),
            ("seed: 2", "body:1:1: unknown field `seed`"),
        ] {
            let refused = change(body).await;
            let text = String::from_utf8_lossy(refused.body());
            assert!(refused.status() == 400 && text.contains(message), "{text}");
        }
        let account = send(address, request("/2016-08-19/account-settings", "")).await.unwrap();
        let account: Value = serde_json::from_slice(account.body()).unwrap();
        assert_eq!(account["AccountLimit"]["ConcurrentExecutions"], 1000, "a refused change changes nothing");

        assert_eq!(send(address, request("/no/such/thing", "")).await.unwrap().status(), 404);
        stop.send(()).unwrap();
        serving.await.unwrap();
        assert!(send(address, request("/_emulator/rounds", "")).await.is_err(), "the server has stopped");
    }

    /// Like Lambda's own endpoint: requests above the stream limit of an HTTP/2 connection wait.
    #[tokio::test]
    async fn http2_is_offered_over_tls_and_its_streams_are_limited() {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls =
            Tls::from_pem(key.cert.pem().as_bytes(), key.signing_key.serialize_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(key.cert.der().clone()).unwrap();
        let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let profile = Profile { duration: Span::millis(100), ..Profile::rust() };
        let scenario = Scenario { max_concurrent_streams: 16, ..Scenario::default() };
        let emulator = Emulator::new(scenario.with("f", profile));
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = emulator.clone();
        tokio::spawn(async move { server.serve(listener, Some(tls), std::future::pending()).await });

        let connector = TlsConnector::from(std::sync::Arc::new(config));
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        // The server's SETTINGS arrive with its first answer.
        let mut sender = sender;
        sender.send_request(request("https://localhost/_emulator/rounds", "")).await.unwrap();

        let calls: Vec<_> = (0..40)
            .map(|_| {
                let mut sender = sender.clone();
                tokio::spawn(async move {
                    let path = "https://localhost/2015-03-31/functions/f/invocations";
                    let response = sender.send_request(request(path, r#"{"orderId":1}"#)).await.unwrap();
                    let status = response.status();
                    response.into_body().collect().await.unwrap();
                    status
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), 200);
        }
        let observed = emulator.observe();
        assert_eq!(observed.connections, 1);
        let round = &observed.rounds()[0];
        assert_eq!((round.invocations, round.in_flight), (40, 16), "at most the allowed streams");
    }

    #[test]
    fn unusable_certificates_have_distinct_errors() {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, private) = (key.cert.pem(), key.signing_key.serialize_pem());
        let error = |certificate: &str, key: &str| {
            Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(error("nothing", &private), "the certificate file has no readable PEM certificate");
        assert_eq!(error(&certificate, "nothing"), "the key file has no readable PEM private key");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        assert!(
            error(&certificate, &other.signing_key.serialize_pem()).starts_with("certificate and key cannot")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn environments_of_an_isolated_function_belong_to_one_tenant() {
    let isolated = json!({ "TenancyConfig": { "TenantIsolationMode": "PER_TENANT" } });
    let Value::Object(configuration) = isolated else { panic!() };
    let (emulator, client) =
        in_memory(Scenario::default().with("isolated", Profile { configuration, ..Profile::rust() }));
    let invoke = async |function: &str, tenant: Option<&str>, kind: InvocationType| {
        let invoke = client.invoke().function_name(function).invocation_type(kind);
        let sent = invoke.set_tenant_id(tenant.map(str::to_owned)).payload(Blob::new("{}")).send().await;
        sent.map_err(|error| error.into_service_error().code().unwrap_or_default().to_owned())
    };
    let refused = Err("InvalidParameterValueException".to_owned());
    for kind in [InvocationType::RequestResponse, InvocationType::DryRun] {
        for (function, tenant) in
            [("isolated", None), ("isolated", Some("a,b")), ("isolated", Some("")), ("shared", Some("a"))]
        {
            assert_eq!(
                invoke(function, tenant, kind.clone()).await.map(|_| ()),
                refused,
                "{function} {tenant:?}"
            );
        }
    }
    for tenant in ["a", "b", "a b", "a"] {
        invoke("isolated", Some(tenant), InvocationType::RequestResponse).await.unwrap();
    }
    invoke("isolated", Some("b"), InvocationType::DryRun).await.unwrap();
    let observed = emulator.observe();
    let ran: Vec<_> = observed.of("isolated").filter(|ran| ran.environment.is_some()).collect();
    let tenants: Vec<_> = ran.iter().map(|ran| ran.tenant.as_deref().unwrap()).collect();
    assert_eq!(tenants, ["a", "b", "a b", "a"]);
    let environments: Vec<_> = ran.iter().map(|ran| &ran.environment).collect();
    assert_eq!(environments.iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(environments[3], environments[0]);
}
