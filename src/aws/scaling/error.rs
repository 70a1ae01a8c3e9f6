//! The meaning of failed reads and changes of capacity.

use std::error::Error;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::control;
use crate::aws::error::{Failure, refusal};
use crate::domain::capacity::{ChangeError, ChangeErrorKind};
use crate::domain::clean::clean;
use crate::domain::preflight::Lookup;
use crate::engine::ports::ErrorKind;

/// The maximum length of a kept message in characters, before characters are escaped.
const LONGEST_MESSAGE: usize = 300;

/// Lambda denies access to the scaling configuration of a function that is not on managed instances. Observed in
/// go-to-k/cdkd#1616.
const NO_CAPACITY_PROVIDER: &str = "the function has no capacity provider";

/// Returns the first line of a service's text, cut and escaped.
pub(in crate::aws) fn line(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut kept: String = first.chars().take(LONGEST_MESSAGE).collect();
    if kept.len() < first.len() {
        kept.push('…');
    }
    clean(&kept).into_owned()
}

/// Interprets a failed read.
pub(in crate::aws) fn unread<T, E>(error: &SdkError<E, HttpResponse>) -> Lookup<T>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ObjectNotFoundException") {
        return Lookup::Missing;
    }
    match control::unread(error) {
        Lookup::Denied(reason) if is_without_provider(&reason) => {
            Lookup::Failed(NO_CAPACITY_PROVIDER.to_owned())
        }
        Lookup::Denied(reason) => Lookup::Denied(line(&reason)),
        Lookup::Failed(reason) => Lookup::Failed(line(&reason)),
        Lookup::Throttled(reason) => Lookup::Throttled(line(&reason)),
        Lookup::Unreachable(reason) => Lookup::Unreachable(line(&reason)),
        other => other,
    }
}

/// Interprets a failed change.
pub(super) fn unchanged<E>(error: &SdkError<E, HttpResponse>) -> ChangeError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let refused = error.as_service_error();
    let message = line(&refused.and_then(|it| it.message()).map_or_else(|| refusal(error), str::to_owned));
    let kind = match error {
        SdkError::ServiceError(answer) => {
            kind(answer.raw().status().as_u16(), answer.err().code().unwrap_or_default(), &message)
        }
        SdkError::ConstructionFailure(_) => ChangeErrorKind::Refused,
        // The page of a proxy, or a success that cannot be read.
        SdkError::ResponseError(answer) => match answer.raw().status().as_u16() {
            300..=499 => ChangeErrorKind::Refused,
            _ => ChangeErrorKind::Unknown,
        },
        // A request without a failure of the connector has not reached it: credentials are missing, for example.
        SdkError::DispatchFailure(_) => match Failure::find(error) {
            None | Some(Failure::Request(_)) => ChangeErrorKind::Refused,
            Some(_) => ChangeErrorKind::Unknown,
        },
        _ => ChangeErrorKind::Unknown,
    };
    let message = match kind {
        ChangeErrorKind::Refused if is_without_provider(&message) => NO_CAPACITY_PROVIDER.to_owned(),
        _ => message,
    };
    ChangeError { kind, message }
}

/// Interprets the message of a failed activity, such as `Failed to set concurrency to 5. Reason: TEXT (Service: AWSLambda;
/// Status Code: 400; Error Code: InvalidParameterValueException; Request ID: …)`.
pub(super) fn failed(message: &str) -> ChangeError {
    let part = |name: &str| Some(message.split_once(name)?.1.split([';', ')']).next()?.trim());
    let status = part("Status Code: ").and_then(|status| status.parse().ok()).unwrap_or(400);
    let kind = kind(status, part("Error Code: ").unwrap_or_default(), message);
    ChangeError { kind, message: line(message) }
}

/// Interprets the refusal of a deletion: what does not exist is deleted.
pub(super) fn deleted(error: ChangeError) -> Result<(), ChangeError> {
    if error.kind == ChangeErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Classifies the refusal of a change by Lambda or Application Auto Scaling.
///
/// Lambda has no code of its own for weights and quotas, and Application Auto Scaling none for missing permissions.
/// Sources of the messages: hashicorp/terraform#24957, anomalyco/sst#5829, aws/aws-cdk#4108,
/// aws/aws-auto-scaling-custom-resource#25, the error codes of both APIs, 2026-11.
fn kind(status: u16, code: &str, message: &str) -> ChangeErrorKind {
    let text = message.to_ascii_lowercase();
    // Names of functions occur in messages. Names contain no white space.
    let has = |part: &str| text.contains(part);
    match code {
        _ if status == 429 => ChangeErrorKind::Throttled,
        _ if has("iam:createservicelinkedrole") || has("unable to assume iam role") => {
            ChangeErrorKind::ServiceLinkedRole
        }
        "AccessDenied" | "AccessDeniedException" if is_without_provider(message) => ChangeErrorKind::Refused,
        "AccessDenied" | "AccessDeniedException" | "FailedResourceAccessException" => {
            ChangeErrorKind::AccessDenied
        }
        // Application Auto Scaling checks the caller's permissions for Lambda and CloudWatch.
        "ValidationException" if has("missing the following permissions") => ChangeErrorKind::AccessDenied,
        _ if has("alias with weights") => ChangeErrorKind::AliasWeights,
        // A version has one configuration, its own or that of an alias. Waiting does not help.
        _ if has("already provisioned version") || has("pointed by a provisioned concurrency alias") => {
            ChangeErrorKind::Refused
        }
        "ConcurrentModificationException" | "ConcurrentUpdateException" | "ResourceConflictException" => {
            ChangeErrorKind::FunctionUpdating
        }
        "LimitExceededException" | "ServiceQuotaExceededException" | "TooManyTagsException" => {
            ChangeErrorKind::Quota
        }
        "ObjectNotFoundException"
        | "ProvisionedConcurrencyConfigNotFoundException"
        | "ResourceNotFoundException" => ChangeErrorKind::NotFound,
        _ if ErrorKind::of_code(code) == ErrorKind::Throttled => ChangeErrorKind::Throttled,
        // After a server error, or a success that cannot be read, the change may have been made.
        _ if !(300..500).contains(&status) => ChangeErrorKind::Unknown,
        // Also part of `UnreservedConcurrentExecution`.
        _ if has("reservedconcurrentexecution") => ChangeErrorKind::Quota,
        _ if has("update is in progress") || has("concurrent update") => ChangeErrorKind::FunctionUpdating,
        // moto has no ObjectNotFoundException.
        "ValidationException" if text.starts_with("no scal") || text.starts_with("no scheduled action") => {
            ChangeErrorKind::NotFound
        }
        _ => ChangeErrorKind::Refused,
    }
}

fn is_without_provider(message: &str) -> bool {
    message.to_ascii_lowercase().contains("not contain a capacity provider")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_changes() {
        use ChangeErrorKind as Kind;
        let unreserved = "Specified ConcurrentExecutions for function decreases account's \
                          UnreservedConcurrentExecution below its minimum value of [100].";
        let reserved = "Requested Provisioned Concurrency should not be greater than the \
                        reservedConcurrentExecution for function";
        let weights = "Alias with weights can not be used with Provisioned Concurrency";
        let updating = "The operation cannot be performed at this time. An update is in progress for resource: \
                        arn:aws:lambda:eu-west-2:123456789012:function:alias-with-weights";
        let role = "Unable to assume IAM role: arn:aws:iam::123456789012:role/aws-service-role/\
                    lambda.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency";
        let create = "User: arn:aws:iam::123456789012:user/a is not authorized to perform: \
                      iam:CreateServiceLinkedRole on resource: *";
        let provider = "The function provided by the arn does not contain a capacity provider configuration";
        let provisioned =
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
        let pointed = "Version is pointed by a Provisioned Concurrency alias";
        let table = [
            (409, "ResourceConflictException", provisioned, Kind::Refused),
            (409, "ResourceConflictException", pointed, Kind::Refused),
            (400, "InvalidParameterValueException", weights, Kind::AliasWeights),
            (409, "ResourceConflictException", weights, Kind::AliasWeights),
            (400, "ValidationException", weights, Kind::AliasWeights),
            (409, "ResourceConflictException", updating, Kind::FunctionUpdating),
            (400, "InvalidParameterValueException", updating, Kind::FunctionUpdating),
            (400, "ConcurrentUpdateException", "You already have a pending update", Kind::FunctionUpdating),
            (400, "ConcurrentModificationException", "", Kind::FunctionUpdating),
            (400, "InvalidParameterValueException", unreserved, Kind::Quota),
            (400, "InvalidParameterValueException", reserved, Kind::Quota),
            (400, "LimitExceededException", "too many scalable targets", Kind::Quota),
            (400, "ThrottlingException", "Rate exceeded", Kind::Throttled),
            (429, "TooManyRequestsException", "Rate exceeded", Kind::Throttled),
            (429, "", "", Kind::Throttled),
            (503, "SlowDown", "", Kind::Throttled),
            (403, "AccessDeniedException", "not authorized to perform: lambda:x", Kind::AccessDenied),
            (400, "AccessDeniedException", "", Kind::AccessDenied),
            (400, "FailedResourceAccessException", "cloudwatch:DescribeAlarms", Kind::AccessDenied),
            (
                400,
                "ValidationException",
                "User is missing the following permissions: lambda:x",
                Kind::AccessDenied,
            ),
            (403, "AccessDeniedException", provider, Kind::Refused),
            (403, "AccessDeniedException", create, Kind::ServiceLinkedRole),
            (400, "ValidationException", role, Kind::ServiceLinkedRole),
            (404, "ResourceNotFoundException", "Function not found", Kind::NotFound),
            (404, "ProvisionedConcurrencyConfigNotFoundException", "", Kind::NotFound),
            (400, "ObjectNotFoundException", "No scalable target registered for", Kind::NotFound),
            (400, "ValidationException", "No scalable target found for", Kind::NotFound),
            (500, "ServiceException", "", Kind::Unknown),
            (500, "InternalServiceException", weights.get(..5).unwrap(), Kind::Unknown),
            (504, "", "", Kind::Unknown),
            (200, "", "", Kind::Unknown),
            (403, "ExpiredTokenException", "The security token is expired", Kind::Refused),
            (400, "ValidationException", "1 validation error detected", Kind::Refused),
            (403, "", "", Kind::Refused),
        ];
        for (status, code, message, expected) in table {
            assert_eq!(kind(status, code, message), expected, "{status} {code}: {message}");
            let activity = format!(
                "Failed to set concurrency to 5. Reason: {message} (Service: AWSLambda; Status Code: {status}; Error \
                 Code: {code}; Request ID: 1; Proxy: null)"
            );
            if !message.starts_with("No scal") || code == "ObjectNotFoundException" {
                assert_eq!(failed(&activity).kind, expected, "{activity}");
            }
        }
    }

    #[test]
    fn an_activity_may_have_another_message() {
        for message in ["", "Status Code: ", "Status Code: 99999999; Error Code: ", "Error Code: X"] {
            assert_eq!(failed(message).kind, ChangeErrorKind::Refused, "{message}");
        }
    }

    #[test]
    fn messages_are_one_short_line() {
        assert_eq!(line("\n  Rate exceeded\u{202e}\x1b[2J\nAt: stack"), "Rate exceeded\\u{202e}\\u{1b}[2J");
        assert_eq!(line(""), "");
        let long = line(&"é".repeat(100_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LONGEST_MESSAGE + 1, true));
    }
}
