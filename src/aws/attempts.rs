//! Retries of requests that must not be processed twice: PutMetricData and PutEvents.
//!
//! The retries of the SDK are off for these requests. It retries timeouts, broken connections and every 5xx status,
//! and after each of these the request may have been processed.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::{Failure, call_error};
use crate::engine::ports::{CallError, Delivery, ErrorKind, Unacknowledged};

/// The time limit of one attempt, connecting included. Answers after 5 s have been observed.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum number of attempts.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt. The pause before the third is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// Returns the timeouts of a client whose requests are sent through [`attempts`].
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// Sends a request until it is acknowledged or its outcome is unknown. Returns at `until` at the latest.
///
/// Retries only after an attempt that was certainly not processed, and only when a whole attempt fits before `until`:
/// an attempt that is cut off would leave the outcome unknown.
///
/// # Errors
/// The reason why the request has no acknowledgement.
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
        let processed = processed(&error);
        let pause = PAUSE * attempt;
        if processed == Processed::NotYet
            && attempt < ATTEMPTS
            && Instant::now() + pause + ATTEMPT_TIMEOUT <= until
        {
            sleep(pause).await;
            attempt += 1;
            continue;
        }
        let delivery = match processed {
            Processed::NotYet | Processed::Never => Delivery::NotProcessed,
            Processed::Unknown => Delivery::Unknown,
        };
        return Err(Unacknowledged { reason: call_error(&error), delivery });
    }
}

/// The certainty with which a failed attempt was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Processed {
    /// It was not processed. The next attempt may succeed.
    NotYet,
    /// It was not processed. The next attempt would fail the same way.
    Never,
    /// It may have been processed.
    Unknown,
}

fn processed<E>(error: &SdkError<E, HttpResponse>) -> Processed
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Processed::Never,
        SdkError::DispatchFailure(_) => match Failure::find(error) {
            Some(Failure::Open { .. }) => Processed::NotYet,
            // A request without a failure of the connector has not reached it: credentials are missing, for example.
            Some(Failure::Request(_)) | None => Processed::Never,
            Some(_) => Processed::Unknown,
        },
        SdkError::ServiceError(refused) => answered(refused.raw().status().as_u16(), ErrorKind::of(error)),
        SdkError::ResponseError(unreadable) => answered(unreadable.raw().status().as_u16(), ErrorKind::Other),
        _ => Processed::Unknown,
    }
}

/// Interprets an answer that is not an acknowledgement.
///
/// 503 means that the server does not handle the request at present (RFC 9110); AWS sheds load with it. After 500 the
/// processing may have begun, and 502 and 504 come from a gateway whose server may have received the request. A success
/// whose body cannot be read is unknown too.
fn answered(status: u16, kind: ErrorKind) -> Processed {
    match status {
        200..=299 => Processed::Unknown,
        429 | 503 => Processed::NotYet,
        _ if kind == ErrorKind::Throttled => Processed::NotYet,
        300..=499 => Processed::Never,
        _ => Processed::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_are_certain() {
        assert_eq!(answered(400, ErrorKind::Throttled), Processed::NotYet);
        assert_eq!(answered(429, ErrorKind::Other), Processed::NotYet);
        assert_eq!(answered(503, ErrorKind::Other), Processed::NotYet);
        assert_eq!(answered(403, ErrorKind::AccessDenied), Processed::Never);
        assert_eq!(answered(500, ErrorKind::Other), Processed::Unknown);
        for status in [200, 202, 502, 504, 599] {
            assert_eq!(answered(status, ErrorKind::Other), Processed::Unknown, "{status}");
        }
    }
}
