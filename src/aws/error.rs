//! Errors of the SDK, in one line for people.

use std::error::Error;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::connector::{Failure, reasons};
use crate::engine::ports::{CallError, ErrorKind};

/// The commonest mistake of a first run.
const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, or give the machine a role; --local needs none";

/// Preambles that the SDK puts in front of a cause.
const NOISE: [&str; 7] = [
    "an error occurred while loading credentials",
    "dispatch failure",
    "service error",
    "failed to construct request",
    "failed to parse response",
    "unhandled error",
    "other",
];

/// Codes of a request that was refused because there are too many. Source: the common errors of the AWS APIs, 2026-11.
const THROTTLES: [&str; 8] = [
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Returns true for the code of a throttled request.
pub(super) fn is_throttle(code: &str) -> bool {
    THROTTLES.contains(&code)
}

/// Returns the kind of a failed call and [`refusal`] as its message.
pub(super) fn call_error<E>(error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let kind = match error {
        SdkError::ServiceError(refused) => {
            kind_of_code(refused.raw().status().as_u16(), refused.err().code().unwrap_or_default())
        }
        SdkError::TimeoutError(_) => ErrorKind::Timeout,
        SdkError::ResponseError(_) => ErrorKind::Other,
        _ if matches!(failure(error), Some(Failure::NoAnswer { .. })) => ErrorKind::Timeout,
        _ => ErrorKind::Unreachable,
    };
    CallError::new(kind, refusal(error))
}

/// Returns the kind of an error that a service answered.
pub(super) fn kind_of_code(status: u16, code: &str) -> ErrorKind {
    match code {
        _ if status == 429 || is_throttle(code) => ErrorKind::Throttled,
        "AccessDenied" | "AccessDeniedException" => ErrorKind::AccessDenied,
        "NoSuchKey" | "ResourceNotFoundException" => ErrorKind::NotFound,
        _ => ErrorKind::Other,
    }
}

/// The service's code and message when it refused a call, otherwise the reason why it could not be made.
pub(super) fn refusal<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error.as_service_error().and_then(|refused| refused.code().map(|code| (code, refused.message()))) {
        Some((code, Some(message))) => format!("{code}: {message}"),
        Some((code, None)) => code.to_owned(),
        None => chain(error),
    }
}

/// An error and its causes in one line, without the SDK's own "dispatch failure: other" in front.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(failure) = failure(error) {
        return failure.to_string();
    }
    let joined = reasons(error);
    // The SDK lists every place where it looked.
    if joined.contains("no credentials found in chain") {
        return NO_CREDENTIALS.to_owned();
    }
    let mut plain = joined.as_str();
    while let Some(cause) = NOISE.iter().find_map(|noise| plain.strip_prefix(noise)?.strip_prefix(": ")) {
        plain = cause;
    }
    // What follows is the whole request, payload and all.
    let plain = plain.split(" to request `Request {").next().unwrap_or(plain);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The connector's failure among the causes of an error.
pub(super) fn failure<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failure) = error.downcast_ref() {
            return Some(failure);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_and_a_denied_call_differ() {
        assert_eq!(kind_of_code(400, "ThrottlingException"), ErrorKind::Throttled);
        assert_eq!(kind_of_code(429, ""), ErrorKind::Throttled);
        assert_eq!(kind_of_code(403, "AccessDenied"), ErrorKind::AccessDenied);
        assert_eq!(kind_of_code(403, "ExpiredToken"), ErrorKind::Other);
    }

    #[test]
    fn errors_are_one_line_without_the_sdks_preambles() {
        let line = |text: &str| chain(&std::io::Error::other(text.to_owned()));
        let twice = "an error occurred while loading credentials: an error occurred while loading credentials: \
                     Error retrieving credentials: external process exited.\nStderr: none";
        assert_eq!(line(twice), "Error retrieving credentials: external process exited. Stderr: none");
        let endpoint = "failed to apply endpoint `foo` to request `Request { body: SdkBody { inner: … } }`";
        assert_eq!(line(&format!("other: {endpoint}")), "failed to apply endpoint `foo`");
        let nowhere = "the credential provider was not enabled: no credentials found in chain. Attempted:\n  Environment";
        assert!(line(nowhere).starts_with("no AWS credentials were found: set AWS_PROFILE"));
    }
}
