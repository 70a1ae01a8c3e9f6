//! Attempts at a request that must not be processed twice: PutMetricData and PutEvents.
//!
//! The SDK's own repetition is off for these requests. It repeats time-outs, broken connections and every 5xx status,
//! and after each of them the request may have been processed.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout_at};

use super::connector::Failure;
use super::error::{call_error, failure, is_throttle};
use crate::engine::ports::{CallError, Delivery, ErrorKind, Unacknowledged};

/// The longest that one attempt takes, connecting included. Answers after 5 s have been observed.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// The most attempts in all.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);

/// The time-outs of a client whose requests are sent through [`attempts`].
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// Sends a request until it is acknowledged or its outcome is unknown. Returns at `until` at the latest.
///
/// A further attempt is made only after one that was certainly not processed, and only when a whole attempt fits
/// before `until`: one that is cut off would leave the outcome unknown.
///
/// # Errors
/// Why the request has no acknowledgement.
pub(super) async fn attempts<T, E, F>(until: Instant, send: impl Fn() -> F) -> Result<T, Unacknowledged>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + Error + 'static,
{
    if until <= Instant::now() {
        return Err(Unacknowledged {
            reason: CallError::new(ErrorKind::Timeout, "no time was left to send the request"),
            delivery: Delivery::NotProcessed,
        });
    }
    let mut attempt = 1;
    loop {
        let error = match timeout_at(until, send()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                return Err(Unacknowledged {
                    reason: CallError::new(ErrorKind::Timeout, "no answer before the deadline of the report"),
                    delivery: Delivery::Unknown,
                });
            }
        };
        let next = next(&error);
        let pause = PAUSE * attempt;
        if next == Next::Repeat && attempt < ATTEMPTS && Instant::now() + pause + ATTEMPT_TIMEOUT <= until {
            sleep(pause).await;
            attempt += 1;
            continue;
        }
        let delivery = match next {
            Next::Repeat | Next::Refused => Delivery::NotProcessed,
            Next::Unknown => Delivery::Unknown,
        };
        return Err(Unacknowledged { reason: call_error(&error), delivery });
    }
}

/// The consequence of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It was not processed; the next attempt may succeed.
    Repeat,
    /// It was not processed; the next attempt would fail the same way.
    Refused,
    /// It may have been processed.
    Unknown,
}

fn next<E>(error: &SdkError<E, HttpResponse>) -> Next
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Next::Refused,
        SdkError::DispatchFailure(_) => match failure(error) {
            Some(Failure::Open { .. }) => Next::Repeat,
            // Without a failure of the connector the request never reached it: there are no credentials, say.
            Some(Failure::Request(_)) | None => Next::Refused,
            Some(_) => Next::Unknown,
        },
        SdkError::ServiceError(refused) => answered(refused.raw().status().as_u16(), refused.err().code()),
        SdkError::ResponseError(unreadable) => answered(unreadable.raw().status().as_u16(), None),
        _ => Next::Unknown,
    }
}

/// The consequence of an answer that is no acknowledgement.
///
/// 503 means that the server does not handle the request at present (RFC 9110), and is how AWS sheds load. After 500
/// the processing has begun, and behind 502 and 504 is another server that may have received the request. A success
/// whose body cannot be read is unknown too.
fn answered(status: u16, code: Option<&str>) -> Next {
    match status {
        200..=299 => Next::Unknown,
        429 | 503 => Next::Repeat,
        _ if code.is_some_and(is_throttle) => Next::Repeat,
        300..=499 => Next::Refused,
        _ => Next::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_are_certain() {
        assert_eq!(answered(400, Some("ThrottlingException")), Next::Repeat);
        assert_eq!(answered(429, None), Next::Repeat);
        assert_eq!(answered(503, Some("ServiceUnavailable")), Next::Repeat);
        assert_eq!(answered(403, Some("AccessDeniedException")), Next::Refused);
        assert_eq!(answered(500, Some("InternalServiceFault")), Next::Unknown);
        for status in [200, 202, 502, 504, 599] {
            assert_eq!(answered(status, None), Next::Unknown, "{status}");
        }
    }
}
