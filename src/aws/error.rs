//! Errors of connections and of the SDK: messages of one line, and kinds for decisions.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::connector::Origin;
use crate::engine::ports::{CallError, ErrorKind};

/// The reason why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection. Nothing was sent.
    #[error("connect to {origin}: {cause}")]
    Open {
        /// The server.
        origin: Origin,
        /// The reason.
        cause: OpenCause,
    },
    /// The connection or its stream broke before the whole answer had been read.
    #[error("the connection to {origin} broke: {reason}")]
    Broke {
        /// The server.
        origin: Origin,
        /// The reason.
        reason: String,
    },
    /// The answer is not HTTP, or is too long.
    #[error("the answer of {origin} is not usable: {reason}")]
    NotHttp {
        /// The server.
        origin: Origin,
        /// The reason.
        reason: String,
    },
    /// The time limit passed.
    #[error("no answer from {origin} within {limit:?}")]
    NoAnswer {
        /// The server.
        origin: Origin,
        /// The time limit.
        limit: Duration,
    },
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

/// The reason why no connection was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenCause {
    /// Name lookup or TCP.
    #[error("{}", without_number(.0))]
    Io(io::Error),
    /// The TLS handshake.
    #[error("TLS: {}", without_number(.0))]
    Tls(io::Error),
    /// No root certificates.
    #[error("TLS: {0}")]
    Roots(String),
    /// The time limit passed.
    #[error("no connection within {0:?}")]
    Slow(Duration),
    /// The HTTP/1.1 handshake.
    #[error("{0}")]
    Http(hyper::Error),
    /// The HTTP/2 handshake.
    #[error("HTTP/2: {0}")]
    Http2(h2::Error),
    /// The proxy refused the tunnel, or its URL is not usable.
    #[error("{0}")]
    Proxy(String),
}

impl Failure {
    /// Returns true when the request may have been processed: a part of it may have been written.
    pub(super) fn may_have_run(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Request(_) => false,
            Self::Broke { .. } | Self::NotHttp { .. } | Self::NoAnswer { .. } => true,
        }
    }

    /// Finds the connector's failure among the causes of an error.
    pub(super) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(<dyn Error>::downcast_ref)
    }
}

impl From<Failure> for ConnectorError {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::Open { cause: OpenCause::Slow(_), .. } => {
                Self::timeout(failure.into()).never_connected()
            }
            Failure::Open { .. } => Self::io(failure.into()).never_connected(),
            Failure::Broke { .. } => Self::io(failure.into()),
            Failure::NoAnswer { .. } => Self::timeout(failure.into()),
            Failure::Request(_) => Self::user(failure.into()),
            Failure::NotHttp { .. } => Self::other(failure.into(), None),
        }
    }
}

impl ErrorKind {
    /// Classifies a failed call.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(refused) => {
                let status = refused.raw().status().as_u16();
                match (status, refused.err().code().map(Self::of_code)) {
                    (429, _) => Self::Throttled,
                    // The other codes are about the caller: an unknown key, an expired token.
                    (401 | 403, Some(Self::Other)) => Self::Unreachable,
                    (_, Some(kind)) => kind,
                    (_, None) => Self::Other,
                }
            }
            // A proxy's page, for example.
            SdkError::ResponseError(_) => Self::Other,
            SdkError::TimeoutError(_) => Self::Timeout,
            _ if matches!(Failure::find(error), Some(Failure::NoAnswer { .. })) => Self::Timeout,
            _ => Self::Unreachable,
        }
    }

    /// Classifies a service's error code. Source: the common errors of the AWS APIs, 2026-11.
    pub(super) fn of_code(code: &str) -> Self {
        match code {
            "LimitExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException" => Self::Throttled,
            "AccessDenied" | "AccessDeniedException" => Self::AccessDenied,
            // A bucket that does not exist is a mistake in the configuration, and stays `Other`.
            "NoSuchKey" | "ResourceNotFoundException" => Self::NotFound,
            _ => Self::Other,
        }
    }
}

/// The commonest mistake of a first run.
const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, or give the machine a role; --local needs none";

/// Preambles that the SDK puts in front of a cause.
const PREAMBLES: [&str; 7] = [
    "an error occurred while loading credentials",
    "dispatch failure",
    "service error",
    "failed to construct request",
    "failed to parse response",
    "unhandled error",
    "other",
];

/// Returns the kind of a failed call, with [`refusal`] as its message.
pub(super) fn call_error<E>(error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    CallError::new(ErrorKind::of(error), refusal(error))
}

/// Returns the service's code and message when it refused a call, otherwise the reason why there is no answer.
pub(super) fn refusal<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error.as_service_error().and_then(|refused| refused.code().map(|code| (code, refused.message()))) {
        Some((code, Some(message))) => format!("{code}: {message}"),
        Some((code, None)) => code.to_owned(),
        None => one_line(error),
    }
}

/// Returns an error of the SDK and its causes in one line, without the SDK's preambles.
pub(super) fn one_line(error: &(dyn Error + 'static)) -> String {
    if let Some(failure) = Failure::find(error) {
        return failure.to_string();
    }
    let joined = reasons(error);
    // The SDK lists every place where it looked.
    if joined.contains("no credentials found in chain") {
        return NO_CREDENTIALS.to_owned();
    }
    let mut plain = joined.as_str();
    while let Some(cause) = PREAMBLES.iter().find_map(|noise| plain.strip_prefix(noise)?.strip_prefix(": ")) {
        plain = cause;
    }
    // The whole request follows, with its payload.
    let plain = plain.split(" to request `Request {").next().unwrap_or(plain);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Joins an error and its sources by colons. A source that an outer error already includes is not repeated.
pub(super) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut joined = String::new();
    for text in chain(error).map(ToString::to_string) {
        if !joined.contains(&text) {
            if !joined.is_empty() {
                joined.push_str(": ");
            }
            joined.push_str(&text);
        }
    }
    joined
}

/// Iterates over an error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

/// Returns an I/O error's message without the system's error number.
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_and_a_denied_call_differ() {
        assert_eq!(ErrorKind::of_code("ThrottlingException"), ErrorKind::Throttled);
        assert_eq!(ErrorKind::of_code("AccessDenied"), ErrorKind::AccessDenied);
        assert_eq!(ErrorKind::of_code("ExpiredToken"), ErrorKind::Other);
    }

    #[test]
    fn errors_are_one_line_without_the_sdks_preambles() {
        let line = |text: &str| one_line(&io::Error::other(text.to_owned()));
        let twice = "an error occurred while loading credentials: an error occurred while loading credentials: \
                     Error retrieving credentials: external process exited.\nStderr: none";
        assert_eq!(line(twice), "Error retrieving credentials: external process exited. Stderr: none");
        let endpoint = "failed to apply endpoint `foo` to request `Request { body: SdkBody { inner: … } }`";
        assert_eq!(line(&format!("other: {endpoint}")), "failed to apply endpoint `foo`");
        let nowhere = "the credential provider was not enabled: no credentials found in chain. Attempted:\n  Environment";
        assert!(line(nowhere).starts_with("no AWS credentials were found: set AWS_PROFILE"));
    }

    #[test]
    fn kinds_of_failed_calls() {
        use aws_sdk_lambda::operation::get_function::GetFunctionError;
        use aws_smithy_types::body::SdkBody;
        use aws_smithy_types::error::ErrorMetadata;

        let refused = |status: u16, code: Option<&str>| {
            let mut metadata = ErrorMetadata::builder();
            if let Some(code) = code {
                metadata = metadata.code(code);
            }
            let raw = http::Response::builder().status(status).body(SdkBody::empty()).unwrap();
            let error = GetFunctionError::generic(metadata.build());
            ErrorKind::of(&SdkError::service_error(error, HttpResponse::try_from(raw).unwrap()))
        };
        assert_eq!(refused(429, None), ErrorKind::Throttled);
        assert_eq!(refused(400, Some("ThrottlingException")), ErrorKind::Throttled);
        assert_eq!(refused(503, Some("SlowDown")), ErrorKind::Throttled);
        assert_eq!(refused(403, Some("AccessDenied")), ErrorKind::AccessDenied);
        assert_eq!(refused(403, Some("ExpiredToken")), ErrorKind::Unreachable);
        assert_eq!(refused(404, Some("ResourceNotFoundException")), ErrorKind::NotFound);
        assert_eq!(refused(404, Some("NoSuchBucket")), ErrorKind::Other);
        for page in [403, 404, 500] {
            assert_eq!(refused(page, None), ErrorKind::Other, "{page}");
        }

        let dispatch = |failure: Failure| {
            ErrorKind::of(&SdkError::<GetFunctionError, HttpResponse>::dispatch_failure(failure.into()))
        };
        let origin = || Origin { tls: true, host: "lambda.test".to_owned(), port: 443 };
        let limit = Duration::from_secs(3);
        assert_eq!(dispatch(Failure::NoAnswer { origin: origin(), limit }), ErrorKind::Timeout);
        let cause = OpenCause::Slow(limit);
        assert_eq!(dispatch(Failure::Open { origin: origin(), cause }), ErrorKind::Unreachable);
    }
}
