//! The classification of one ping by its answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Answer, RawInvocation};
use crate::domain::protocol::{AnsweredBy, Protocol};
use crate::domain::report::Report;

/// The maximum number of characters of a message from a function or a service.
const LONGEST_MESSAGE: usize = 300;

/// The message of a ping whose log tail has only the REPORT line of another invocation.
const FOREIGN_REPORT: &str = "the REPORT line is another invocation's";

/// The initialization type of an environment, `AWS_LAMBDA_INITIALIZATION_TYPE`. Source: Lambda's list of runtime
/// environment variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialization {
    /// Lambda initialised the environment for a request, or ahead of expected ones.
    OnDemand,
    /// Provisioned concurrency initialised it ahead of requests.
    ProvisionedConcurrency,
    /// It was restored from a snapshot.
    SnapStart,
    /// It runs on managed instances, where an environment takes several invocations at once.
    ManagedInstances,
}

impl Initialization {
    /// Parses a value of the variable; `None` if it is unknown.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "on-demand" => Self::OnDemand,
            "provisioned-concurrency" => Self::ProvisionedConcurrency,
            "snap-start" => Self::SnapStart,
            "lambda-managed-instances" => Self::ManagedInstances,
            _ => return None,
        })
    }
}

/// The outcome of one ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An existing environment answered.
    Warm,
    /// A new environment answered: the REPORT line has an Init Duration.
    Cold,
    /// A new environment answered sooner than its init took: a part of the init came before the request. See
    /// [`Attempt::with_starts`](super::Attempt::with_starts).
    Preinitialized,
    /// A new environment restored from a snapshot answered: the REPORT line has a Restore Duration.
    Restored,
    /// Lambda refused the request because of a concurrency or rate limit.
    Throttled {
        /// Lambda's `Reason`, such as `ReservedFunctionConcurrentInvocationLimitExceeded`.
        reason: Option<String>,
    },
    /// The function failed.
    FunctionError {
        /// The error's type, such as `Runtime.ExitError`; otherwise the value of the header (`Unhandled`).
        kind: String,
    },
    /// The client stopped waiting, or the function's own timeout ended the invocation.
    TimedOut,
    /// The caller may not invoke the function.
    Denied,
    /// There is no such function or qualifier.
    NotFound,
    /// The function is inactive, or being created: Lambda refused the request.
    Inactive {
        /// The reason as text.
        detail: String,
    },
    /// Network, service or a malformed answer.
    Failed {
        /// The reason as text.
        detail: String,
    },
    /// The function answered successfully, but there is no readable REPORT line.
    Unclassified,
}

impl Outcome {
    /// Returns true if the ping is evidence of an environment: warm, cold, preinitialized or restored.
    pub fn is_evidence(&self) -> bool {
        matches!(self, Self::Warm | Self::Cold | Self::Preinitialized | Self::Restored)
    }

    /// Returns true if the ping created a new environment, from scratch or from a snapshot.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::Cold | Self::Preinitialized | Self::Restored)
    }

    /// Returns true if the ping failed: a round with a failed ping is short. Warm, cold, restored and unclassified
    /// pings have not failed.
    pub fn is_failure(&self) -> bool {
        !(self.is_evidence() || *self == Self::Unclassified)
    }

    /// Returns true if Lambda refused the ping because the function is inactive, or is becoming active.
    pub fn is_inactive(&self) -> bool {
        matches!(self, Self::Inactive { .. })
    }
}

/// Evidence that Lambda started the function for a ping. The cost of a ping depends on it, not on the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// Started: Lambda bills a request, and the time it took.
    Yes,
    /// Perhaps started: the request was sent, and no answer has the result.
    Maybe,
    /// Not started: the request was refused, or never sent. The ping cost nothing.
    No,
}

/// The result of one ping.
#[derive(Debug, Clone, PartialEq)]
pub struct PingResult {
    /// The outcome.
    pub outcome: Outcome,
    /// Evidence that the function was started.
    pub ran: Ran,
    /// The instant just before the request was written to the wire, from the attempt's release.
    pub sent: Duration,
    /// The instant at which the answer had been read, from the attempt's release.
    pub received: Duration,
    /// The REPORT line.
    pub report: Option<Report>,
    /// The environment's id, if the answer has one.
    pub environment: Option<String>,
    /// The environment's initialization type, if the answer has a known one.
    pub initialization: Option<Initialization>,
    /// The version that executed.
    pub version: Option<String>,
    /// The message of the service or the function about a failure.
    pub message: Option<String>,
}

/// Classifies a ping by its answer. Values of environment variables that the payload contains are removed from every
/// text, because a handler or a proxy may answer with the payload.
pub fn classify(protocol: &Protocol, raw: RawInvocation) -> PingResult {
    let RawInvocation { sent, received, answer } = raw;
    let redacted = |text: String| match protocol.redactor() {
        Some(redactor) => redactor.redact_cut(text),
        None => text,
    };
    let failed = |outcome, ran, message| PingResult {
        outcome,
        ran,
        sent,
        received,
        report: None,
        environment: None,
        initialization: None,
        version: None,
        message,
    };
    match answer {
        Answer::Responded { function_error, log_result, payload, executed_version, request_id } => {
            let [function_error, executed_version, request_id] =
                [function_error, executed_version, request_id].map(|text| text.map(redacted));
            let logged = log_result.and_then(|log| Report::parse(&redacted(tail_of(&log)?)));
            let foreign = is_of_another_invocation(logged.as_ref(), request_id.as_deref());
            let report = logged.filter(|_| !foreign);
            let (outcome, message) = responded(function_error, report.as_ref(), &payload, redacted);
            let AnsweredBy { environment, initialization } = protocol.answered_by(&payload);
            let initialization = initialization.as_deref().and_then(Initialization::parse);
            let outcome = match (outcome, initialization) {
                (Outcome::Cold, Some(Initialization::SnapStart)) => Outcome::Restored,
                (outcome, _) => outcome,
            };
            let message = match outcome {
                Outcome::Unclassified if foreign => Some(FOREIGN_REPORT.to_owned()),
                _ => message,
            };
            let request_id = request_id.or_else(|| report.as_ref()?.request_id.clone());
            let environment = environment.filter(|_| !outcome.is_failure()).map(redacted);
            // Some handlers answer the request's id as the environment's, which would make every ping look distinct.
            // Only a new environment may have the id of a request: its first.
            let environment = environment.filter(|id| outcome.is_new() || Some(id) != request_id.as_ref());
            PingResult {
                outcome,
                ran: Ran::Yes,
                sent,
                received,
                report,
                environment,
                initialization,
                version: executed_version,
                message,
            }
        }
        Answer::Refused { status, code, reason, message } => {
            let [code, reason, message] = [code, reason, message].map(|text| text.map(redacted));
            let outcome = refused(status, code.as_deref(), reason, message.as_deref());
            let ran = ran_despite(status, code.as_deref().unwrap_or_default());
            failed(outcome, ran, message.map(|message| cut(&message)))
        }
        // Lambda runs an invocation to its end even when the caller no longer waits.
        Answer::TimedOut => failed(Outcome::TimedOut, Ran::Maybe, Some("no answer in time".to_owned())),
        Answer::Broken { message, may_have_run } => {
            let ran = if may_have_run { Ran::Maybe } else { Ran::No };
            failed(Outcome::Failed { detail: cut(&redacted(message)) }, ran, None)
        }
    }
}

/// Decodes a log tail.
fn tail_of(log_result: &str) -> Option<String> {
    let tail = STANDARD.decode(log_result.trim()).ok()?;
    Some(String::from_utf8_lossy(&tail).into_owned())
}

/// Returns true if a REPORT line has another request id than the answer. The log of an environment that runs several
/// invocations at once may end with one, and so may the output of a function.
fn is_of_another_invocation(report: Option<&Report>, request_id: Option<&str>) -> bool {
    let logged = report.and_then(|report| report.request_id.as_deref());
    logged.zip(request_id).is_some_and(|(logged, own)| !logged.eq_ignore_ascii_case(own))
}

/// The error object that Lambda answers instead of the function's payload.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct FunctionFailure {
    error_type: Option<String>,
    error_message: Option<String>,
}

fn responded(
    function_error: Option<String>,
    report: Option<&Report>,
    payload: &[u8],
    redacted: impl Fn(String) -> String,
) -> (Outcome, Option<String>) {
    let status = report.and_then(|report| report.status.as_deref());
    if function_error.is_none() && status.is_none() {
        let outcome = match report {
            None => Outcome::Unclassified,
            Some(Report { restore_ms: Some(_), .. }) => Outcome::Restored,
            Some(Report { init_ms: Some(_), .. }) => Outcome::Cold,
            Some(_) => Outcome::Warm,
        };
        return (outcome, None);
    }
    // A timeout is a function error too; the REPORT line, or without one the error object, distinguishes them.
    let failure: FunctionFailure = serde_json::from_slice(payload).unwrap_or_default();
    let [error_type, message] = [failure.error_type, failure.error_message].map(|text| text.map(&redacted));
    let message = message.as_deref().map(cut);
    let names_timeout = match error_type.as_deref() {
        Some(kind) => kind == "Sandbox.Timedout",
        None => message.as_deref().is_some_and(|message| message.contains("Task timed out after")),
    };
    if report.is_some_and(Report::timed_out) || (function_error.is_some() && names_timeout) {
        return (Outcome::TimedOut, message);
    }
    let kind = error_type
        .or_else(|| report.and_then(|report| report.error_type.clone()))
        .or(function_error)
        .or_else(|| status.map(str::to_owned))
        .unwrap_or_default();
    (Outcome::FunctionError { kind: cut(&kind) }, message)
}

/// Classifies a refusal by the table of Invoke's exceptions. The status decides, because proxies and emulators omit the
/// code. A code about the function's file system or keys means that the caller was authorised and Lambda could not
/// start the function.
fn refused(status: u16, code: Option<&str>, reason: Option<String>, message: Option<&str>) -> Outcome {
    let code = code.unwrap_or_default();
    match status {
        429 => Outcome::Throttled { reason },
        404 => Outcome::NotFound,
        401 | 403 if !code.starts_with("EFS") && !code.starts_with("KMS") => Outcome::Denied,
        _ => {
            let mut detail = format!("HTTP {status}");
            for part in [code, message.unwrap_or_default()] {
                if !part.is_empty() {
                    detail.push_str(if detail.ends_with(code) && !code.is_empty() { ": " } else { " " });
                    detail.push_str(part);
                }
            }
            match INACTIVE.contains(&code) {
                true => Outcome::Inactive { detail: cut(&detail) },
                false => Outcome::Failed { detail: cut(&detail) },
            }
        }
    }
}

/// The exceptions of an invocation of a function that is not active. Source: the errors of Invoke in Lambda's API
/// reference.
const INACTIVE: [&str; 2] = ["ResourceConflictException", "ResourceNotReadyException"];

/// The prefixes of the exceptions that mean that Lambda could not create an environment for the function. Their status
/// is 4xx or 502. Source: the errors of Invoke in Lambda's API reference.
const NOT_STARTED: [&str; 10] = [
    "EC2",
    "EFS",
    "ENI",
    "InvalidRuntime",
    "InvalidSecurityGroup",
    "InvalidSubnet",
    "InvalidZipFile",
    "KMS",
    "ResourceNotReady",
    "SubnetIPAddress",
];

/// Returns the evidence that the function ran although the answer is a refusal. A client error (4xx) refuses the
/// request before it is processed, except 408 without an exception of Lambda, which a proxy answers after its own
/// timeout. A server error (5xx) may follow the run, unless it means that there was no environment to run in. Other
/// kinds of success (2xx) mean that the request was accepted.
fn ran_despite(status: u16, code: &str) -> Ran {
    let not_started =
        code.starts_with("SnapStart") || NOT_STARTED.iter().any(|beginning| code.starts_with(beginning));
    match status {
        _ if not_started => Ran::No,
        200..=299 | 408 | 500..=599 => Ran::Maybe,
        _ => Ran::No,
    }
}

/// Returns one line of at most [`LONGEST_MESSAGE`] characters.
fn cut(message: &str) -> String {
    let mut line: String =
        message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_MESSAGE).collect();
    if message.chars().nth(LONGEST_MESSAGE).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::protocol::CustomPayload;
    use crate::domain::secret::Environment;

    const WARM: &str = "REPORT RequestId: q1\tDuration: 25.16 ms\tBilled Duration: 26 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB";

    fn responded(function_error: Option<&str>, log: Option<&str>, payload: &str) -> PingResult {
        responded_to(None, function_error, log, payload)
    }

    fn responded_to(id: Option<&str>, error: Option<&str>, log: Option<&str>, payload: &str) -> PingResult {
        ping(Answer::Responded {
            function_error: error.map(str::to_owned),
            log_result: log.map(|log| STANDARD.encode(log)),
            payload: payload.as_bytes().to_vec(),
            executed_version: Some("7".to_owned()),
            request_id: id.map(str::to_owned),
        })
    }

    fn ping(answer: Answer) -> PingResult {
        let raw =
            RawInvocation { sent: Duration::from_millis(1), received: Duration::from_millis(40), answer };
        classify(&Protocol::Warmd, raw)
    }

    fn refused(status: u16, code: &str, reason: Option<&str>) -> Outcome {
        ping(Answer::Refused {
            status,
            code: (!code.is_empty()).then(|| code.to_owned()),
            reason: reason.map(str::to_owned),
            message: Some("no luck".to_owned()),
        })
        .outcome
    }

    #[test]
    fn values_of_environment_variables_are_removed_from_answers() {
        let secret = "s3cr\"3t/+";
        let mut protocol = Protocol::Custom(CustomPayload::parse(json!({ "t": "${env:T}" })).unwrap());
        protocol.bind(&Arc::new(Environment::read(["T"], |_| Some(secret.to_owned())).unwrap()));
        let quoted = format!("event {}", json!({ "t": secret }));
        let report = format!(
            "REPORT RequestId: {secret}\tDuration: 25.16 ms\tBilled Duration: 26 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB\tStatus: error\tError Type: {secret}"
        );
        let responded = |function_error: Option<&str>, log: &str, payload: Value| Answer::Responded {
            function_error: function_error.map(str::to_owned),
            log_result: Some(STANDARD.encode(log)),
            payload: payload.to_string().into_bytes(),
            executed_version: Some(secret.to_owned()),
            request_id: None,
        };
        let refused = |status, message: &str| Answer::Refused {
            status,
            code: Some(secret.to_owned()),
            reason: Some(secret.to_owned()),
            message: Some(message.to_owned()),
        };
        let long = format!("{}{secret}", "x".repeat(LONGEST_MESSAGE - 5));
        for answer in [
            responded(Some("Unhandled"), &report, json!({ "errorType": secret, "errorMessage": quoted })),
            responded(Some(secret), &report, json!({ "errorMessage": long })),
            responded(None, &report, json!({})),
            responded(None, WARM, json!({ "warmd": { "environment": secret } })),
            refused(413, &quoted),
            refused(429, &quoted),
            // A page that was cut.
            refused(502, &format!("page {}", &secret[..6])),
            Answer::Broken { message: quoted.clone(), may_have_run: true },
        ] {
            let raw = RawInvocation { sent: Duration::ZERO, received: Duration::ZERO, answer };
            let text = format!("{:?}", classify(&protocol, raw));
            assert!(!text.contains("s3cr") && text.contains("${env:T}"), "{text}");
        }
    }

    #[test]
    fn the_report_distinguishes_warm_cold_and_restored() {
        let answer = r#"{"warmd":{"environment":"e1"}}"#;
        let warm = responded(None, Some(WARM), answer);
        assert_eq!(warm.outcome, Outcome::Warm);
        assert_eq!(warm.environment.as_deref(), Some("e1"));
        assert_eq!(warm.version.as_deref(), Some("7"));
        assert_eq!(warm.report.unwrap().billed_ms, 26);
        assert_eq!((warm.sent, warm.received), (Duration::from_millis(1), Duration::from_millis(40)));

        let cold = format!("{WARM}\tInit Duration: 80.00 ms");
        assert_eq!(responded(None, Some(&cold), answer).outcome, Outcome::Cold);
        let restored = format!("{WARM}\tRestore Duration: 80.00 ms\tBilled Restore Duration: 3 ms");
        assert_eq!(responded(None, Some(&restored), answer).outcome, Outcome::Restored);
    }

    #[test]
    fn an_answer_without_a_readable_report_is_unclassified() {
        let answer = r#"{"warmd":{"environment":"e1"}}"#;
        for log in [None, Some(""), Some("hello\nworld"), Some("REPORT RequestId: q1")] {
            let ping = responded(None, log, answer);
            assert_eq!(ping.outcome, Outcome::Unclassified);
            assert_eq!(ping.environment.as_deref(), Some("e1"));
        }
        let garbage = Answer::Responded {
            function_error: None,
            log_result: Some("*** not base64 ***".to_owned()),
            payload: vec![0xff, 0xfe],
            executed_version: None,
            request_id: None,
        };
        assert_eq!(ping(garbage).outcome, Outcome::Unclassified);
    }

    #[test]
    fn the_requests_own_id_is_no_environment() {
        let answer = r#"{"warmd":{"environment":"q1"}}"#;
        assert_eq!(responded(None, Some(WARM), answer).environment, None);
        // A new environment may be named after its first request.
        let cold = format!("{WARM}\tInit Duration: 80.00 ms");
        assert_eq!(responded(None, Some(&cold), answer).environment.as_deref(), Some("q1"));
    }

    #[test]
    fn the_report_of_another_invocation_does_not_count() {
        let own = |id: Option<&str>, log: &str, payload: &str| responded_to(id, None, Some(log), payload);
        let answer = r#"{"warmd":{"environment":"e1"}}"#;
        let json = r#"{"type":"platform.report","record":{"requestId":"q1","metrics":{"durationMs":1,"billedDurationMs":1}}}"#;
        for log in [WARM, json] {
            let foreign = own(Some("q2"), log, answer);
            assert_eq!((&foreign.outcome, &foreign.report), (&Outcome::Unclassified, &None));
            assert_eq!(foreign.message.as_deref(), Some(FOREIGN_REPORT));
            assert_eq!((foreign.environment.as_deref(), foreign.ran), (Some("e1"), Ran::Yes));
            for own_id in [Some("q1"), Some("Q1"), None] {
                assert_eq!(own(own_id, log, answer).outcome, Outcome::Warm);
            }
        }
        let nameless = WARM.replace("RequestId: q1", "");
        assert_eq!(own(Some("q2"), &nameless, answer).outcome, Outcome::Warm, "it has no other id");
        // The id of the request is not that of an environment, with or without a REPORT line.
        assert_eq!(own(Some("e1"), &nameless, answer).environment, None);
    }

    #[test]
    fn initialization_types_are_recognised() {
        let of = |kind: &str| {
            let answer = format!(r#"{{"warmd":{{"environment":"e","initialization":"{kind}"}}}}"#);
            responded(None, Some(WARM), &answer).initialization
        };
        assert_eq!(of("on-demand"), Some(Initialization::OnDemand));
        assert_eq!(of("provisioned-concurrency"), Some(Initialization::ProvisionedConcurrency));
        assert_eq!(of("snap-start"), Some(Initialization::SnapStart));
        assert_eq!(of("lambda-managed-instances"), Some(Initialization::ManagedInstances));
        assert_eq!(of("Provisioned-Concurrency"), None);
    }

    #[test]
    fn function_errors_carry_their_type() {
        let kind = |ping: PingResult| match ping.outcome {
            Outcome::FunctionError { kind } => (kind, ping.message),
            other => panic!("{other:?}"),
        };
        let payload = r#"{"errorMessage":"no\nsuch key","errorType":"KeyError","trace":[]}"#;
        assert_eq!(
            kind(responded(Some("Unhandled"), Some(WARM), payload)),
            ("KeyError".to_owned(), Some("no such key".to_owned()))
        );
        let crash = format!("{WARM}\tStatus: error\tError Type: Runtime.ExitError");
        assert_eq!(kind(responded(Some("Unhandled"), Some(&crash), "")).0, "Runtime.ExitError");
        assert_eq!(kind(responded(None, Some(&crash), "")).0, "Runtime.ExitError");
        assert_eq!(kind(responded(Some("Handled"), None, "[]")).0, "Handled");
        // A failed invocation has no environment, and its REPORT still counts for the bill.
        let ping = responded(Some("Unhandled"), Some(WARM), r#"{"warmd":{"environment":"e"}}"#);
        assert_eq!(ping.environment, None);
        assert_eq!(ping.report.unwrap().billed_ms, 26);
    }

    #[test]
    fn timeouts_of_the_function_and_of_the_client() {
        let log = format!("{WARM}\tStatus: timeout");
        let payload = r#"{"errorMessage":"2026-11-20T09:00:00Z q1 Task timed out after 3.00 seconds"}"#;
        assert_eq!(responded(Some("Unhandled"), Some(&log), payload).outcome, Outcome::TimedOut);
        assert_eq!(responded(None, Some(&log), "").outcome, Outcome::TimedOut);
        assert_eq!(responded(Some("Unhandled"), None, payload).outcome, Outcome::TimedOut);
        let sandbox =
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: q1 Error: Task timed out"}"#;
        assert_eq!(responded(Some("Unhandled"), None, sandbox).outcome, Outcome::TimedOut);
        // An error of the function itself whose message only mentions a timeout.
        let own = r#"{"errorType":"DbError","errorMessage":"Task timed out after 1 s"}"#;
        assert!(matches!(responded(Some("Unhandled"), None, own).outcome, Outcome::FunctionError { .. }));
        assert_eq!(ping(Answer::TimedOut).outcome, Outcome::TimedOut);
    }

    #[test]
    fn every_refusal() {
        let reason = Some("CallerRateLimitExceeded");
        assert_eq!(
            refused(429, "TooManyRequestsException", reason),
            Outcome::Throttled { reason: reason.map(str::to_owned) }
        );
        assert_eq!(refused(429, "", None), Outcome::Throttled { reason: None });
        assert_eq!(refused(403, "AccessDeniedException", None), Outcome::Denied);
        assert_eq!(refused(403, "", None), Outcome::Denied);
        assert_eq!(refused(404, "ResourceNotFoundException", None), Outcome::NotFound);
        for (status, code, detail) in [
            (400, "InvalidRequestContentException", "HTTP 400 InvalidRequestContentException: no luck"),
            (403, "EFSMountFailureException", "HTTP 403 EFSMountFailureException: no luck"),
            (408, "SnapStartTimeoutException", "HTTP 408 SnapStartTimeoutException: no luck"),
            (409, "TooBusy", "HTTP 409 TooBusy: no luck"),
            (413, "", "HTTP 413 no luck"),
            (500, "ServiceException", "HTTP 500 ServiceException: no luck"),
            (502, "EC2ThrottledException", "HTTP 502 EC2ThrottledException: no luck"),
            (502, "KMSAccessDeniedException", "HTTP 502 KMSAccessDeniedException: no luck"),
            (799, "Tomorrow", "HTTP 799 Tomorrow: no luck"),
        ] {
            assert_eq!(refused(status, code, None), Outcome::Failed { detail: detail.to_owned() });
        }
        for (status, code) in [(409, "ResourceConflictException"), (502, "ResourceNotReadyException")] {
            let detail = format!("HTTP {status} {code}: no luck");
            assert_eq!(refused(status, code, None), Outcome::Inactive { detail });
        }
        let broken = ping(Answer::Broken { message: "connection reset".to_owned(), may_have_run: true });
        assert_eq!(broken.outcome, Outcome::Failed { detail: "connection reset".to_owned() });
    }

    #[test]
    fn some_refusals_may_follow_a_run() {
        let ran = |status, code: &str| {
            let code = (!code.is_empty()).then(|| code.to_owned());
            ping(Answer::Refused { status, code, reason: None, message: None }).ran
        };
        for (status, code) in [
            (400, "InvalidRequestContentException"),
            (403, "AccessDeniedException"),
            (404, ""),
            (408, "SnapStartTimeoutException"),
            (409, "ResourceConflictException"),
            (413, ""),
            (429, "TooManyRequestsException"),
            (502, "EC2ThrottledException"),
            (502, "ENILimitReachedException"),
            (502, "KMSAccessDeniedException"),
            (502, "InvalidRuntimeException"),
            (502, "ResourceNotReadyException"),
            (502, "SubnetIPAddressLimitReachedException"),
        ] {
            assert_eq!(ran(status, code), Ran::No, "{status} {code}");
        }
        for (status, code) in
            [(202, ""), (408, ""), (500, "ServiceException"), (500, ""), (502, ""), (503, ""), (504, "")]
        {
            assert_eq!(ran(status, code), Ran::Maybe, "{status} {code}");
        }
        let broken = |may_have_run| ping(Answer::Broken { message: String::new(), may_have_run }).ran;
        assert_eq!((broken(true), broken(false)), (Ran::Maybe, Ran::No));
        assert_eq!(ping(Answer::TimedOut).ran, Ran::Maybe);
        assert_eq!(responded(Some("Unhandled"), None, "").ran, Ran::Yes);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let ping = ping(Answer::Broken { message: "é".repeat(1000), may_have_run: true });
        let Outcome::Failed { detail } = ping.outcome else { panic!() };
        assert_eq!(detail.chars().count(), LONGEST_MESSAGE + 1);
    }
}
