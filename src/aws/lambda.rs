//! The Lambda port on the SDK.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::RequestId;
use aws_sdk_lambda::operation::invoke::builders::InvokeFluentBuilder;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::types::{InvocationType, LogType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::Blob;
use tokio::time::Instant;

use super::clients::Clients;
use super::connector::{Failure, Passage, Preparation, reasons};
use crate::domain::fleet::Prepare;
use crate::domain::round::{Answer, Exchange};
use crate::engine::ports::{Lambda, Ping};
use crate::engine::release::Ticket;

/// As much of an unreadable answer's body as is shown.
const EXCERPT: usize = 200;

/// Lambda, through the SDK.
#[derive(Debug, Clone)]
pub struct AwsLambda {
    clients: Arc<Clients>,
}

impl AwsLambda {
    /// Lambda, through these clients.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients }
    }
}

impl AwsLambda {
    /// A ping's request, and what makes a new connection ready for it. Not in the future below: what it holds while
    /// it is made would be held a thousand times while it is sent.
    fn request(&self, ping: Ping) -> (InvokeFluentBuilder, Option<Preparation>) {
        let invoke = self
            .clients
            .lambda(ping.function.region, ping.role.as_ref())
            .invoke()
            .function_name(ping.function.unqualified())
            .set_qualifier(ping.function.qualifier.as_ref().map(|qualifier| qualifier.as_str().to_owned()))
            .set_client_context(ping.client_context)
            .payload(Blob::new(ping.payload));
        let preparation = match ping.prepare {
            Prepare::Off => None,
            Prepare::DryRun => Some(dry_run(invoke.clone())),
        };
        let request = invoke.invocation_type(InvocationType::RequestResponse).log_type(LogType::Tail);
        (request, preparation)
    }
}

impl Lambda for AwsLambda {
    async fn invoke(&self, ping: Ping, ticket: Ticket) -> Exchange {
        let timeout = ping.timeout;
        let (request, preparation) = self.request(ping);
        let passage = Passage::new(ticket, timeout, preparation);
        let result = passage.scope(request.send()).await;
        let times = passage.finish();
        let ended = times.received.unwrap_or_else(Instant::now);
        // A ping that never came to the release has no times.
        let released = times.released.unwrap_or(ended);
        let sent = times.sent.unwrap_or(ended);
        Exchange {
            sent: sent.saturating_duration_since(released),
            received: ended.saturating_duration_since(released),
            answer: match result {
                Ok(output) => responded(output),
                Err(error) => refused_or_broken(error),
            },
        }
    }
}

/// The ping itself, but not to be run: with its payload, so that a server which runs it all the same has a ping.
fn dry_run(invoke: InvokeFluentBuilder) -> Preparation {
    Box::new(|| {
        Box::pin(async {
            // What came of it is the connector's business, and the ping will tell what is wrong.
            drop(invoke.invocation_type(InvocationType::DryRun).send().await);
        })
    })
}

fn responded(output: InvokeOutput) -> Answer {
    match u16::try_from(output.status_code) {
        Ok(200) => Answer::Responded {
            request_id: output.request_id().map(str::to_owned),
            function_error: output.function_error,
            log_result: output.log_result,
            payload: output.payload.map(Blob::into_inner).unwrap_or_default(),
            executed_version: output.executed_version,
        },
        // 202 and 204 answer other kinds of invocation.
        Ok(status) => Answer::Refused { status, code: None, reason: None, message: None },
        Err(_) => Answer::Broken {
            message: format!("{} is not an HTTP status", output.status_code),
            may_have_run: true,
        },
    }
}

fn refused_or_broken(error: SdkError<InvokeError, HttpResponse>) -> Answer {
    match &error {
        // The function ran, but the SDK cannot read what came back.
        SdkError::ServiceError(odd) if odd.raw().status().is_success() => unusable(&error),
        SdkError::ResponseError(odd) if odd.raw().status().is_success() => unusable(&error),
        SdkError::ServiceError(refusal) => {
            let error = refusal.err();
            let reason = match error {
                InvokeError::TooManyRequestsException(throttle) => throttle.reason(),
                _ => None,
            };
            Answer::Refused {
                status: refusal.raw().status().as_u16(),
                code: error.code().map(str::to_owned),
                reason: reason.map(|reason| reason.as_str().to_owned()),
                message: error.message().map(str::to_owned).or_else(|| excerpt(refusal.raw())),
            }
        }
        SdkError::ResponseError(unreadable) => Answer::Refused {
            status: unreadable.raw().status().as_u16(),
            code: None,
            reason: None,
            message: excerpt(unreadable.raw()),
        },
        _ => match failure(&error) {
            Some(Failure::NoAnswer { .. }) => Answer::TimedOut,
            Some(failure) => Answer::Broken {
                message: failure.to_string(),
                may_have_run: matches!(failure, Failure::Broke { .. } | Failure::NotHttp { .. }),
            },
            // Without a failure of the connector the request never came to it.
            None => Answer::Broken { message: chain(&error), may_have_run: false },
        },
    }
}

fn unusable(error: &SdkError<InvokeError, HttpResponse>) -> Answer {
    Answer::Broken { message: format!("the answer is not usable: {}", chain(error)), may_have_run: true }
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

/// The commonest mistake of a first run.
const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, or give the machine a role; --local needs none";

/// What the SDK puts in front of the cause.
const NOISE: [&str; 7] = [
    "an error occurred while loading credentials",
    "dispatch failure",
    "service error",
    "failed to construct request",
    "failed to parse response",
    "unhandled error",
    "other",
];

/// What the service said when it refused a call, else what went wrong on the way.
pub(super) fn refusal<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error.as_service_error().and_then(|said| said.code().map(|code| (code, said.message()))) {
        Some((code, Some(message))) => format!("{code}: {message}"),
        Some((code, None)) => code.to_owned(),
        None => chain(error),
    }
}

/// What went wrong, in one line, without the SDK's own "dispatch failure: other" in front.
fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(failure) = failure(error) {
        return failure.to_string();
    }
    let told = reasons(error);
    // The SDK lists every place where it looked.
    if told.contains("no credentials found in chain") {
        return NO_CREDENTIALS.to_owned();
    }
    let mut plain = told.as_str();
    while let Some(cause) = NOISE.iter().find_map(|noise| plain.strip_prefix(noise)?.strip_prefix(": ")) {
        plain = cause;
    }
    // What follows is the whole request, payload and all.
    let plain = plain.split(" to request `Request {").next().unwrap_or(plain);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a body that is not Lambda's: a proxy's page, say.
fn excerpt(answer: &HttpResponse) -> Option<String> {
    let text = String::from_utf8_lossy(answer.body().bytes()?);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| text.chars().take(EXCERPT).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        chain(&std::io::Error::other(text.to_owned()))
    }

    #[test]
    fn what_went_wrong_is_one_line_without_the_sdks_preambles() {
        let twice = "an error occurred while loading credentials: an error occurred while loading credentials: \
                     Error retrieving credentials: external process exited.\nStderr: none";
        assert_eq!(told(twice), "Error retrieving credentials: external process exited. Stderr: none");
        let endpoint = "failed to apply endpoint `foo` to request `Request { body: SdkBody { inner: … } }`";
        assert_eq!(told(&format!("other: {endpoint}")), "failed to apply endpoint `foo`");
        let nowhere = "the credential provider was not enabled: no credentials found in chain. Attempted:\n  Environment";
        assert!(told(nowhere).starts_with("no AWS credentials were found: set AWS_PROFILE"));
    }
}
