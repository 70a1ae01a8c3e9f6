//! Parses all answers of the emulator, and some of proxies, with the SDK's deserialiser and with ours. Both must return
//! the same [`Answer`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::RequestId;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::Blob;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use warmd::aws::answer::parse;
use warmd::domain::round::Answer;
use warmd::emulator::profile::Span;
use warmd::emulator::{Emulator, Fault, FaultKind, Profile, Scenario};

/// An HTTP client with one fixed answer.
#[derive(Debug, Clone)]
struct Canned(Arc<Mutex<Option<Response<Bytes>>>>);

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.lock().unwrap().take().unwrap().map(SdkBody::from);
        HttpConnectorFuture::ready(Ok(answer.try_into().unwrap()))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Parses an answer with the SDK.
async fn with_the_sdk(answer: Response<Bytes>) -> Answer {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
        .region(aws_sdk_lambda::config::Region::new("eu-west-2"))
        .credentials_provider(aws_sdk_lambda::config::Credentials::new("a", "b", None, None, "test"))
        .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
        .http_client(Canned(Arc::new(Mutex::new(Some(answer)))))
        .build();
    let invoke = aws_sdk_lambda::Client::from_conf(config).invoke().function_name("f");
    match invoke.send().await {
        Ok(output) => responded(output),
        Err(error) => refused(&error),
    }
}

fn responded(output: InvokeOutput) -> Answer {
    match u16::try_from(output.status_code).unwrap() {
        200 => Answer::Responded {
            request_id: output.request_id().map(str::to_owned),
            function_error: output.function_error,
            log_result: output.log_result,
            payload: output.payload.map(Blob::into_inner).unwrap_or_default(),
            executed_version: output.executed_version,
        },
        status => Answer::Refused { status, code: None, reason: None, message: None },
    }
}

fn refused(error: &SdkError<InvokeError, HttpResponse>) -> Answer {
    let raw = error.raw_response().expect("an answer");
    if raw.status().is_success() {
        return Answer::Broken { message: String::new(), may_have_run: true };
    }
    let typed = error.as_service_error();
    let reason = match typed {
        Some(InvokeError::TooManyRequestsException(throttle)) => throttle.reason(),
        _ => None,
    };
    Answer::Refused {
        status: raw.status().as_u16(),
        code: typed.and_then(|error| error.code()).map(str::to_owned),
        reason: reason.map(|reason| reason.as_str().to_owned()),
        message: typed.and_then(|error| error.message()).map(str::to_owned),
    }
}

/// Parses an answer with our parser. Leaves out what the SDK does not have: messages about unusable answers, and
/// excerpts of bodies that are not error objects.
fn with_our_parser(answer: Response<Bytes>) -> Answer {
    let is_object = serde_json::from_slice::<serde_json::Map<_, _>>(answer.body()).is_ok();
    match parse(answer) {
        Answer::Broken { may_have_run, .. } => Answer::Broken { message: String::new(), may_have_run },
        Answer::Refused { status, code, reason, .. } if !is_object => {
            Answer::Refused { status, code, reason, message: None }
        }
        other => other,
    }
}

async fn assert_same(what: &str, answer: Response<Bytes>) {
    assert_eq!(with_our_parser(answer.clone()), with_the_sdk(answer.clone()).await, "{what}: {answer:?}");
}

/// Invokes `function` and returns the emulator's response.
async fn emulated(emulator: &Emulator, function: &str, kind: &str) -> Option<Response<Bytes>> {
    let (near, far) = tokio::io::duplex(1 << 20);
    let serving = emulator.clone();
    tokio::spawn(async move { serving.serve_io(far).await });
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    let payload = json!({ "warmd": { "version": 1, "round": "r", "concurrency": 1, "hold_ms": 5 } });
    let request = http::Request::post(format!("/2015-03-31/functions/{function}/invocations"))
        .header("host", "emulator")
        .header("x-amz-invocation-type", kind)
        .header("x-amz-log-type", "Tail")
        .body(Full::new(Bytes::from(payload.to_string())))
        .unwrap();
    let (head, body) = sender.send_request(request).await.ok()?.into_parts();
    Some(Response::from_parts(head, body.collect().await.ok()?.to_bytes()))
}

#[tokio::test(start_paused = true)]
async fn answers_of_the_emulator() {
    let throttles = [
        "ConcurrentInvocationLimitExceeded",
        "ReservedFunctionConcurrentInvocationLimitExceeded",
        "FunctionInvocationRateLimitExceeded",
        "ReservedFunctionInvocationRateLimitExceeded",
        "CallerRateLimitExceeded",
        "ConcurrentSnapshotCreateLimitExceeded",
        "FutureReason",
    ];
    let refusals = [
        (400, "InvalidParameterValueException"),
        (400, "InvalidRequestContentException"),
        (400, "SnapStartException"),
        (400, "RecursiveInvocationException"),
        (403, "AccessDeniedException"),
        (403, "EFSMountFailureException"),
        (404, "ResourceNotFoundException"),
        (408, "SnapStartTimeoutException"),
        (408, "EFSMountTimeoutException"),
        (409, "ResourceConflictException"),
        (409, "SnapStartNotReadyException"),
        (413, "RequestTooLargeException"),
        (415, "UnsupportedMediaTypeException"),
        (500, "ServiceException"),
        (502, "EC2ThrottledException"),
        (502, "EC2AccessDeniedException"),
        (502, "ENILimitReachedException"),
        (502, "SubnetIPAddressLimitReachedException"),
        (502, "KMSDisabledException"),
        (502, "InvalidRuntimeException"),
        (502, "ResourceNotReadyException"),
        (599, "FutureException"),
    ];
    let faults = throttles
        .map(|reason| FaultKind::Throttle { reason: reason.to_owned() })
        .into_iter()
        .chain(refusals.map(|(status, code)| FaultKind::Refuse {
            status,
            code: code.to_owned(),
            message: "an error: \"ü\"".to_owned(),
        }))
        .chain([
            FaultKind::Slow { by: Duration::from_secs(2) },
            FaultKind::FunctionError { error_type: "KeyError".to_owned() },
            FaultKind::FunctionError { error_type: "Runtime.ExitError".to_owned() },
            FaultKind::Timeout,
            FaultKind::GarbageLog,
            FaultKind::NoLog,
        ]);
    let quick = Profile { init: Span::millis(10), ..Profile::default() };
    let mut scenario = Scenario::default().with("sound", quick.clone());
    let mut names = vec!["sound".to_owned()];
    for (number, fault) in faults.enumerate() {
        let name = format!("f{number}");
        let profile = Profile { faults: vec![Fault::always(fault)], ..quick.clone() };
        scenario = scenario.with(&name, profile);
        names.push(name);
    }
    for (name, profile) in [
        ("json", Profile { log: warmd::emulator::profile::LogFormat::Json, ..quick.clone() }),
        ("work", Profile { handler: warmd::emulator::profile::Handler::None, ..quick.clone() }),
        ("none", Profile { reserved: Some(0), ..quick.clone() }),
        ("chatty", Profile { chatter: 20_000, ..quick.clone() }),
    ] {
        scenario = scenario.with(name, profile);
        names.push(name.to_owned());
    }
    let emulator = Emulator::new(scenario);
    let mut compared = 0;
    for name in &names {
        for kind in ["RequestResponse", "RequestResponse", "Event", "DryRun", "Nonsense"] {
            if let Some(answer) = emulated(&emulator, name, kind).await {
                assert_same(&format!("{name} {kind}"), answer).await;
                compared += 1;
            }
        }
    }
    assert_eq!(compared, names.len() * 5);
}

#[tokio::test]
async fn answers_of_other_servers() {
    let built = |status: u16, headers: &[(&str, &[u8])], body: &'static str| {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, http::HeaderValue::from_bytes(value).unwrap());
        }
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    };
    for (what, answer) in [
        ("a bare 200", built(200, &[], "")),
        ("log of other bytes", built(200, &[("x-amz-log-result", b"\xff\xfe")], "null")),
        ("two logs", built(200, &[("x-amz-log-result", b"a"), ("x-amz-log-result", b"b")], "null")),
        ("spaces around a header", built(200, &[("x-amz-executed-version", b" 7 ")], "null")),
        ("an id under its other name", built(200, &[("x-amz-request-id", b"q")], "null")),
        ("accepted", built(202, &[], "")),
        ("no content", built(204, &[], "")),
        ("a page", built(502, &[], "<html> <b>Bad   Gateway</b></html>")),
        ("a redirect", built(301, &[], "")),
        ("the code in the body", built(400, &[], r#"{"code":"Teapot","message":"short"}"#)),
        ("the type in the body", built(400, &[], r#"{"__type":"a.b#Teapot","Message":"stout"}"#)),
        (
            "a decorated type",
            built(
                500,
                &[("x-amzn-errortype", b"aws#ServiceException:http://internal.amazon.com/coral/")],
                "{}",
            ),
        ),
        ("an error of an odd shape", built(400, &[("x-amzn-errortype", b"Odd")], r#"{"message":null}"#)),
        (
            "a throttle without an object",
            built(429, &[("x-amzn-errortype", b"TooManyRequestsException")], "{}"),
        ),
    ] {
        assert_same(what, answer).await;
    }
}
